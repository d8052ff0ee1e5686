//! When a provider says to come back, in its headers or in its words.
//!
//! Reads only: no clock, and nothing is capped; what a wait means is the routing's.

use std::time::Duration;

use jiff::fmt::rfc2822;
use memchr::memmem;

/// When an answer says to come back: `retry-after-ms`, else `retry-after` in seconds (also with a fraction) or as a
/// date (RFC 9110 section 10.2.3); a date that is over is now. `get` gives the value of a header, `now_unix` is the
/// time in seconds. Nonsense is `None`.
pub fn retry_after<'h>(get: impl Fn(&str) -> Option<&'h str>, now_unix: i64) -> Option<Duration> {
    let number = |name| get(name).and_then(|value| value.trim().parse::<f64>().ok());
    if let Some(wait) = number("retry-after-ms").and_then(|ms| seconds(ms / 1000.0)) {
        return Some(wait);
    }
    if let Some(wait) = number("retry-after").and_then(seconds) {
        return Some(wait);
    }
    let date = rfc2822::DateTimeParser::new().parse_timestamp(get("retry-after")?.trim()).ok()?;
    Some(Duration::from_secs(u64::try_from(date.as_second().saturating_sub(now_unix)).unwrap_or(0)))
}

/// `None` for what no duration can be: below zero, infinite, not a number.
fn seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number).ok()
}

/// The wait that a body names: Google's `"retryDelay": "34.4s"`, or `try again in 1m2.5s` in a message.
pub(super) fn told(body: &[u8]) -> Option<Duration> {
    WAITS.iter().find_map(|front| {
        let at = memmem::find(body, front.as_bytes())? + front.len();
        let rest = &body[at..body.len().min(at + LONGEST_WAIT)];
        let rest = rest.trim_ascii_start().strip_prefix(b":").unwrap_or(rest).trim_ascii_start();
        duration(rest.strip_prefix(b"\"").unwrap_or(rest))
    })
}

/// `1h2m3.5s`, `812ms`, `20 seconds`.
fn duration(mut rest: &[u8]) -> Option<Duration> {
    let mut total = None;
    loop {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
        let Some(number) =
            std::str::from_utf8(&rest[..digits]).ok().and_then(|text| text.parse::<f64>().ok())
        else {
            return seconds(total?);
        };
        rest = rest[digits..].trim_ascii_start();
        let letters = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let unit = match &rest[..letters] {
            b"ms" | b"milliseconds" => 0.001,
            [b's', ..] => 1.0,
            [b'm', ..] => 60.0,
            [b'h', ..] => 3600.0,
            _ => return None,
        };
        total = Some(total.unwrap_or(0.0) + number * unit);
        rest = &rest[letters..];
    }
}

const WAITS: [&str; 4] = ["\"retryDelay\"", "try again in ", "retry in ", "retry after "];

/// `"1h59m59.999999999s"` behind a colon and blanks.
const LONGEST_WAIT: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Dialect;
    use crate::wire::fault::verdict;

    #[test]
    fn a_wait_is_read_from_headers_in_every_form() {
        // 2026-11-25 12:00:00 UTC
        let now = 1_795_608_000;
        let ms = Duration::from_millis;
        for (millis, after, wait) in [
            (None, None, None),
            (None, Some("17"), Some(ms(17_000))),
            (None, Some(" 1.5 "), Some(ms(1500))),
            (None, Some("0"), Some(ms(0))),
            (Some("812"), Some("1"), Some(ms(812))),
            (Some("soon"), Some("1"), Some(ms(1000))),
            (None, Some("-1"), None),
            (None, Some("nan"), None),
            (None, Some("inf"), None),
            (None, Some("1e300"), None),
            (None, Some(""), None),
            (None, Some("later"), None),
            (None, Some("Wed, 25 Nov 2026 12:00:30 GMT"), Some(ms(30_000))),
            (None, Some("Wed, 25 Nov 2026 11:00:30 GMT"), Some(ms(0))),
            (None, Some("Wed, 45 Nov 2026 11:00:30 GMT"), None),
        ] {
            let get = |name: &str| match name {
                "retry-after-ms" => millis,
                "retry-after" => after,
                _ => None,
            };
            assert_eq!(retry_after(get, now), wait, "{millis:?} {after:?}");
        }
    }

    #[test]
    fn a_wait_is_read_from_the_body_where_the_headers_are_silent() {
        let wait =
            |after, body: &str| verdict(Dialect::Chat, 429, after, body.as_bytes()).failure.retry_after;
        let ms = Duration::from_millis;
        let google =
            r#"{"error":{"code":429,"message":"Please retry in 48.9s.","details":[{"retryDelay": "48s"}]}}"#;
        assert_eq!(wait(None, google), Some(ms(48_000)));
        assert_eq!(wait(Some(ms(5)), google), Some(ms(5)));
        assert_eq!(wait(None, r#"{"error":{"message":"Please try again in 812ms."}}"#), Some(ms(812)));
        assert_eq!(wait(None, r#"{"error":{"message":"Please try again in 6m0s."}}"#), Some(ms(360_000)));
        assert_eq!(wait(None, r#"{"error":{"message":"Please try again in 20 seconds"}}"#), Some(ms(20_000)));
        assert_eq!(wait(None, r#"{"error":{"message":"Please try again in a while"}}"#), None);
        assert_eq!(wait(None, r#"{"error":{"message":"try again in 5 weeks"}}"#), None);
        assert_eq!(wait(None, ""), None);
    }
}
