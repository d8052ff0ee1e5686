//! Single values: durations, sizes, money, numbers, dates, hashes, addresses.
//!
//! Text in, value or the reason out (`is not …; expected …`, without the text itself: the caller quotes it, or does not
//! where it is a secret). Money is read digit by digit and never becomes a float.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A duration such as `250ms`, `30s`, `5m`, `1h`, `1d`; parts may follow each other (`1h30m`). `0` needs no unit.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("is not a duration; expected {DURATION}");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let count: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let millis = match &rest[digits..digits + unit] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" => return Err(format!("has no unit; expected {DURATION}")),
            _ => return Err(wrong()),
        };
        let part = count.checked_mul(millis).map(Duration::from_millis);
        total = part.and_then(|p| total.checked_add(p)).ok_or_else(wrong)?;
        rest = &rest[digits + unit..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

/// A duration in its shortest form, as `duration` reads it.
pub fn show_duration(d: Duration) -> String {
    let ms = d.as_millis();
    for (unit, name) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
        if ms >= unit && ms.is_multiple_of(unit) {
            return format!("{}{name}", ms / unit);
        }
    }
    if ms == 0 { "0s".to_owned() } else { format!("{ms}ms") }
}

/// A size in bytes such as `64KiB`, `32MiB`, `1GiB`, or a plain number of bytes.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("is not a size; expected {SIZE}");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let count: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let shift = match text[digits..].trim_start() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        near @ ("K" | "KB" | "kB" | "kb" | "M" | "MB" | "mb" | "G" | "GB" | "gb" | "kib" | "mib" | "gib") => {
            let unit = near[..1].to_ascii_uppercase();
            return Err(format!("is not a size; did you mean `{count}{unit}iB`? ({SIZE})"));
        }
        _ => return Err(wrong()),
    };
    count.checked_mul(1 << shift).ok_or_else(wrong)
}

/// A size in its shortest form, as `size` reads it.
pub fn show_size(bytes: u64) -> String {
    for (shift, name) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >= 1 << shift && bytes.trailing_zeros() >= shift {
            return format!("{}{name}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// US dollars as written (`200`, `0.10`), in nano-dollars, exact.
pub fn money(text: &str) -> Result<i128, String> {
    let wrong = || format!("is not an amount of money; expected {MONEY}");
    if text.starts_with('-') {
        return Err(format!("is less than nothing; expected {MONEY}"));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || text.ends_with('.') || whole.len() > 12 {
        return Err(wrong());
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 9 {
        return Err(format!("is finer than a billionth of a dollar; expected {MONEY}"));
    }
    let nanos: i128 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
    let dollars: i128 = whole.parse().map_err(|_| wrong())?;
    Ok(dollars * 1_000_000_000 + nanos)
}

/// Nano-dollars as dollars, as `money` reads them, with at least two decimals where there are any.
pub fn show_money(nanos: i128) -> String {
    let (dollars, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    if rest == 0 {
        return dollars.to_string();
    }
    let digits = format!("{rest:09}");
    let trimmed = digits.trim_end_matches('0');
    format!("{dollars}.{trimmed:0<2}")
}

/// A whole number within bounds.
pub fn whole(text: &str, min: u64, max: u64) -> Result<u64, String> {
    let number: u64 =
        text.parse().map_err(|_| format!("is not a whole number; expected one from {min} to {max}"))?;
    if (min..=max).contains(&number) {
        Ok(number)
    } else {
        Err(format!("is out of range; expected {min} to {max}"))
    }
}

/// A weight: any finite number that is not negative.
pub fn weight(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("is not a number; expected {WEIGHT}"))?;
    if number.is_nan() || number.is_infinite() {
        return Err(format!("is not a finite number; expected {WEIGHT}"));
    }
    if number < 0.0 { Err(format!("is negative; expected {WEIGHT}")) } else { Ok(number) }
}

/// `true` or `false`.
pub fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        "yes" | "on" | "True" | "TRUE" | "1" => Err("is not true or false; did you mean `true`?".to_owned()),
        "no" | "off" | "False" | "FALSE" | "0" => {
            Err("is not true or false; did you mean `false`?".to_owned())
        }
        _ => Err("is not true or false".to_owned()),
    }
}

/// A SHA-256 in 64 hex digits.
pub fn hash(text: &str) -> Result<[u8; 32], String> {
    let wrong =
        || format!("is not a SHA-256; expected 64 hex digits, got {} characters", text.chars().count());
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let bytes: Vec<u8> =
        digits.ok_or_else(wrong)?.chunks(2).map(|pair| pair.iter().fold(0, |a, d| a << 4 | d)).collect();
    if text.len() == 64 { bytes.try_into().map_err(|_| wrong()) } else { Err(wrong()) }
}

/// A date (`2027-01-31`: the end of that day, UTC) or a moment (`2027-01-31T12:00:00Z`), in Unix seconds.
pub fn expiry(text: &str) -> Result<i64, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment.as_second());
    }
    let wrong = || format!("is not a date; expected {DATE}");
    let strict = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let date: Date = text.parse().ok().filter(|_| strict).ok_or_else(wrong)?;
    let next = date.checked_add(1.day()).map_err(|_| wrong())?;
    next.to_zoned_datetime(TimeZone::UTC).map(|z| z.timestamp().as_second()).map_err(|_| wrong())
}

/// An address to listen on, `host:port` with an IP or `localhost`.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    match (host, port.parse::<u16>()) {
        ("localhost", Ok(port)) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        ("" | "*", Ok(port)) => Err(format!(
            "names no address; did you mean `127.0.0.1:{port}`? (all interfaces: `0.0.0.0:{port}`)"
        )),
        _ => Err(format!("is not an address to listen on; expected {ADDRESS}")),
    }
}

/// The name of a time zone.
pub fn timezone(text: &str) -> Result<(), String> {
    let known = !text.is_empty() && TimeZone::get(text).is_ok();
    if known {
        Ok(())
    } else {
        Err("is not a time zone; expected an IANA name such as `UTC` or `Europe/Berlin`".to_owned())
    }
}

/// What a duration looks like.
pub const DURATION: &str = "a number with a unit, such as `30s` (ms, s, m, h, d)";
/// What a size looks like.
pub const SIZE: &str = "bytes or a number with a unit, such as `32MiB` (KiB, MiB, GiB)";
/// What money looks like.
pub const MONEY: &str = "US dollars, such as `200` or `0.25`";
/// What a weight looks like.
pub const WEIGHT: &str = "a number >= 0";
/// What a date looks like.
pub const DATE: &str = "a day such as `2027-01-31` or a moment such as `2027-01-31T12:00:00Z`";
/// What an address looks like.
pub const ADDRESS: &str = "an IP and a port, such as `127.0.0.1:8080`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_come_back_as_written() {
        for text in ["250ms", "30s", "5m", "1h", "1d", "90s", "36h", "1001ms", "0s"] {
            assert_eq!(show_duration(duration(text).unwrap()), text);
        }
        assert_eq!(duration("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for text in [
            "",
            "30",
            "s",
            "1.5s",
            "-1s",
            "1 s",
            "1w",
            "99999999999999999999s",
            "18446744073709551615d",
            "１s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_come_back_as_written() {
        for text in ["64KiB", "32MiB", "1GiB", "1000", "1025KiB", "0"] {
            assert_eq!(show_size(size(text).unwrap()), text);
        }
        for text in ["", "32MB", "MiB", "-1", "1.5MiB", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(size("32MB"), Err(format!("is not a size; did you mean `32MiB`? ({SIZE})")));
    }

    #[test]
    fn money_stays_exact() {
        for (text, nanos, shown) in [
            ("200", 200_000_000_000, "200"),
            ("0.10", 100_000_000, "0.10"),
            ("0.1", 100_000_000, "0.10"),
            ("0.000000001", 1, "0.000000001"),
            ("19.999", 19_999_000_000, "19.999"),
            ("3.00", 3_000_000_000, "3"),
            ("0.10000000000000", 100_000_000, "0.10"),
        ] {
            assert_eq!(money(text), Ok(nanos), "{text}");
            assert_eq!(show_money(nanos), shown);
            assert_eq!(money(shown), Ok(nanos));
        }
        for text in
            ["", "-1", "1e3", "1,000", ".5", "5.", "$5", "0.0000000001", "1000000000000000", "NaN", "１"]
        {
            assert!(money(text).is_err(), "{text}");
        }
    }

    #[test]
    fn days_end_at_midnight_utc() {
        assert_eq!(expiry("2027-01-31"), Ok(1_801_440_000));
        assert_eq!(expiry("2027-01-31T12:00:00Z"), Ok(1_801_396_800));
        for text in ["31.01.2027", "2027-13-01", "2027-02-30", "soon", "", "20270131", "9999-12-31"] {
            assert!(expiry(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hashes_are_64_hex_digits() {
        assert_eq!(hash(&"0f".repeat(32)), Ok([15; 32]));
        assert_eq!(hash(&"AB".repeat(32)), Ok([0xab; 32]));
        for text in [String::new(), "0f".repeat(31), "0g".repeat(32), "é".repeat(32)] {
            assert!(hash(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_are_an_ip_and_a_port() {
        assert_eq!(address("127.0.0.1:8080").unwrap().port(), 8080);
        assert_eq!(address("localhost:1").unwrap().to_string(), "127.0.0.1:1");
        assert!(address("[::1]:80").is_ok());
        for text in ["", "8080", ":8080", "*:80", "example.com:80", "127.0.0.1", "127.0.0.1:99999"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
