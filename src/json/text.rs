//! Scalars: reading a string, a number or a boolean from its bytes, and writing a string.
//!
//! Each function takes the bytes of one value as [`super::peek`] found them. No numbers beyond what the gateway needs:
//! counts.

use std::borrow::Cow;

use wide::u8x16;

/// What kind of value these bytes begin, as error messages name it.
pub fn kind(value: &[u8]) -> &'static str {
    match value.first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(_) => "a number",
        None => "nothing",
    }
}

/// The text of a string value (with its quotes); `None` if it is no string, no UTF-8, or has a bad escape. Borrows
/// unless an escape stands in it. A lone surrogate becomes U+FFFD.
pub fn string(value: &[u8]) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let text = std::str::from_utf8(inner).ok()?;
    match memchr::memchr(b'\\', inner) {
        None => Some(Cow::Borrowed(text)),
        Some(first) => unescape(text, first).map(Cow::Owned),
    }
}

/// Whether a key (with its quotes) is `name`. Compares bytes unless the key holds an escape, which makes it longer than
/// what it says.
pub fn key_is(key: &[u8], name: &str) -> bool {
    let inner = key.get(1..key.len().saturating_sub(1)).unwrap_or_default();
    inner == name.as_bytes()
        || (inner.len() > name.len()
            && memchr::memchr(b'\\', inner).is_some()
            && string(key).is_some_and(|key| key == name))
}

/// A boolean value.
pub fn boolean(value: &[u8]) -> Option<bool> {
    match value {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// A count: digits, or a number without a fraction as some clients and providers write it (`68.0`, `1e3`).
pub fn count(value: &[u8]) -> Option<u64> {
    if !is_number(value) {
        return None;
    }
    let text = std::str::from_utf8(value).ok()?;
    if value.iter().all(u8::is_ascii_digit) {
        return text.parse().ok();
    }
    let number: f64 = text.parse().ok()?;
    // Up to 2^53 every whole number is exact in a double.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // In range, whole and not negative.
    (number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number)).then_some(number as u64)
}

/// Whether these bytes are a JSON number (RFC 8259 section 6).
pub fn is_number(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"-").unwrap_or(word);
    let (whole, rest) = digits(word);
    if whole == 0 || (whole > 1 && word[0] == b'0') {
        return false;
    }
    let rest = match rest.strip_prefix(b".") {
        None => rest,
        Some(after) => match digits(after) {
            (0, _) => return false,
            (_, rest) => rest,
        },
    };
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', power @ ..] | [b'e' | b'E', power @ ..] => {
            !power.is_empty() && digits(power).1.is_empty()
        }
        _ => false,
    }
}

/// Appends `text` as a JSON string with its quotes.
pub fn quote_into(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape_into(out, text.as_bytes());
    out.push(b'"');
}

/// Appends `raw` as the inside of a JSON string, sixteen bytes at a time up to the next one that needs an escape. Takes
/// room for twice as much and gives it back.
pub fn escape_into(out: &mut Vec<u8>, raw: &[u8]) {
    let start = out.len();
    out.resize(start + 2 * raw.len() + LANE, 0);
    let room = out.get_mut(start..).unwrap_or_default();
    if let Some(length) = escape_shortly(room, raw) {
        out.truncate(start + length);
    } else {
        out.truncate(start);
        for byte in raw {
            escape_byte(out, *byte);
        }
    }
}

/// Escapes what needs two bytes at most; `None` for what needs more, or does not fit.
fn escape_shortly(room: &mut [u8], raw: &[u8]) -> Option<usize> {
    let (mut rest, mut end) = (raw, 0);
    while let Some((lane, behind)) = rest.split_first_chunk::<LANE>() {
        room.get_mut(end..end + LANE)?.copy_from_slice(lane);
        let bytes = u8x16::new(*lane);
        let below = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
        let marks = below | bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\'));
        let clean = marks.to_bitmask().trailing_zeros() as usize;
        let Some(marked) = lane.get(clean) else {
            (rest, end) = (behind, end + LANE);
            continue;
        };
        end = escape_one(room, end + clean, *marked)?;
        rest = rest.get(clean + 1..)?;
    }
    rest.iter().try_fold(end, |end, byte| escape_one(room, end, *byte))
}

/// Writes one byte at `at`; tells where the next one goes.
fn escape_one(room: &mut [u8], at: usize, byte: u8) -> Option<usize> {
    let place = room.get_mut(at..at + 2)?;
    match LETTERS[usize::from(byte)] {
        b'u' => None,
        0 => {
            place[0] = byte;
            Some(at + 1)
        }
        letter => {
            place.copy_from_slice(&[b'\\', letter]);
            Some(at + 2)
        }
    }
}

fn escape_byte(out: &mut Vec<u8>, byte: u8) {
    match LETTERS[usize::from(byte)] {
        0 => out.push(byte),
        b'u' => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
        letter => out.extend_from_slice(&[b'\\', letter]),
    }
}

/// `text` as a JSON string with its quotes.
pub fn quote(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * text.len() + LANE + 2);
    quote_into(&mut out, text);
    out
}

fn digits(word: &[u8]) -> (usize, &[u8]) {
    let count = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count, &word[count..])
}

fn unescape(text: &str, first: usize) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut rest = &text[first..];
    while let Some(after) = rest.strip_prefix('\\') {
        let taken = one_escape(after, &mut out)?;
        rest = after.get(taken..)?;
        let plain = memchr::memchr(b'\\', rest.as_bytes()).unwrap_or(rest.len());
        out.push_str(&rest[..plain]);
        rest = &rest[plain..];
    }
    Some(out)
}

/// Reads what follows a backslash; returns how many bytes it was.
fn one_escape(after: &str, out: &mut String) -> Option<usize> {
    let plain = match after.as_bytes().first()? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(after, out),
        _ => return None,
    };
    out.push(plain);
    Some(1)
}

/// `uXXXX`, or a pair of them for a character beyond the basic plane.
fn unicode(after: &str, out: &mut String) -> Option<usize> {
    let high = hex4(after.get(1..5)?)?;
    if let Ok(plain) = char::try_from(high) {
        out.push(plain);
        return Some(5);
    }
    let low = after.get(5..).and_then(|rest| rest.strip_prefix("\\u")).and_then(|rest| hex4(rest.get(..4)?));
    match low {
        Some(low @ 0xDC00..=0xDFFF) if high < 0xDC00 => {
            let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
            out.push(char::try_from(code).ok()?);
            Some(11)
        }
        _ => {
            out.push(char::REPLACEMENT_CHARACTER);
            Some(5)
        }
    }
}

fn hex4(digits: &str) -> Option<u32> {
    digits
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit())
        .then(|| u32::from_str_radix(digits, 16).ok())
        .flatten()
}

/// Bytes that are looked at at once.
const LANE: usize = 16;

/// What follows the backslash of an escaped byte; 0: it needs none, `u`: its code does.
static LETTERS: [u8; 256] = {
    let mut letters = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        letters[control] = b'u';
        control += 1;
    }
    letters[b'\n' as usize] = b'n';
    letters[b'\r' as usize] = b'r';
    letters[b'\t' as usize] = b't';
    letters[b'"' as usize] = b'"';
    letters[b'\\' as usize] = b'\\';
    letters
};

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_read_as_serde_reads_it() {
        for text in [
            r#""""#,
            r#""plain""#,
            r#""\"\\\/\b\f\n\r\t""#,
            r#""\u00e9\u20AC""#,
            r#""\ud83d\ude00""#,
            r#""a\u0041b\\""#,
            "\"\u{e9}\u{1f600}\"",
            r#""\x""#,
            r#""\u12""#,
            r#""\u12g4""#,
            r#""\u+123""#,
            r#""\"#,
            r#"""#,
            "plain",
            "1",
            "",
        ] {
            let read = string(text.as_bytes()).map(Cow::into_owned);
            assert_eq!(read, serde_json::from_str(text).ok(), "{text}");
        }
        // Where serde gives up, a lone surrogate is replaced.
        assert_eq!(string(br#""\ud83dx""#).unwrap(), "\u{fffd}x");
        assert_eq!(string(br#""\ude00""#).unwrap(), "\u{fffd}");
        assert_eq!(string(br#""\ud83d\u0041""#).unwrap(), "\u{fffd}A");
        assert_eq!(string(b"\"\xff\""), None);
        assert!(matches!(string(b"\"lent\""), Some(Cow::Borrowed("lent"))));
    }

    #[test]
    fn a_key_is_compared_by_what_it_says() {
        assert!(key_is(br#""model""#, "model"));
        assert!(key_is(br#""mo\u0064el""#, "model"));
        assert!(!key_is(br#""models""#, "model"));
        assert!(!key_is(br#""mod\el""#, "model"));
        assert!(key_is(b"\"\"", ""));
        assert!(!key_is(b"", "model"));
    }

    #[test]
    fn a_count_is_whole_and_not_negative() {
        for (text, expected) in [
            ("0", Some(0)),
            ("68", Some(68)),
            ("68.0", Some(68)),
            ("1e3", Some(1000)),
            ("1.5", None),
            ("-1", None),
            ("-0", Some(0)),
            ("01", None),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("1e300", None),
            ("\"1\"", None),
            ("null", None),
            ("", None),
        ] {
            assert_eq!(count(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_number_is_what_serde_takes_for_one() {
        let letters = ["0", "1", "-", "+", ".", "e", "E"];
        let mut words = vec![String::new()];
        for _ in 0..5 {
            let longer: Vec<_> =
                words.iter().flat_map(|word| letters.map(|l| format!("{word}{l}"))).collect();
            words.extend(longer);
            words.sort();
            words.dedup();
        }
        for word in words {
            let known = serde_json::from_str::<&serde_json::value::RawValue>(&word).is_ok();
            assert_eq!(is_number(word.as_bytes()), known, "{word}");
        }
    }

    #[test]
    fn a_quoted_text_comes_back_from_serde() {
        let every: String = (0..=0x2fff).filter_map(char::from_u32).collect();
        for text in ["", "plain", every.as_str(), "\u{1f600}\"\\\u{7f}"] {
            assert_eq!(serde_json::from_slice::<String>(&quote(text)).unwrap(), text);
            assert_eq!(string(&quote(text)).unwrap(), text);
            // At every place of a lane.
            for front in 0..LANE {
                let text = format!("{}{text}", "x".repeat(front));
                assert_eq!(serde_json::from_slice::<String>(&quote(&text)).unwrap(), text);
            }
        }
    }
}
