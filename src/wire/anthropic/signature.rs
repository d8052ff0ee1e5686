//! The opaque fields of thinking, `signature` and `data`, as seals and back (wire.md 13.5).
//!
//! A native value becomes the payload of a seal as it is; that of redacted thinking bears [`REDACTED`] in front, which no
//! signature has (they are base64), so that it can be told which of the two blocks it came from. A value that is a seal of
//! another family is opened. Judges no signature: that is the provider's.

use std::borrow::Cow;

use crate::json::text;
use crate::wire::ir::Seal;
use crate::wire::seal;

/// A field of a block of thinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// `thinking.signature`.
    Signature,
    /// `redacted_thinking.data`.
    Data,
}

/// The seal in a field; `value` is the inside of its string, `family` whose it is if it is a native one. `None`: it is
/// empty, damaged, or only says that there is none.
pub(super) fn read<'b>(field: Field, value: &'b [u8], family: &'b str) -> Option<Seal<'b>> {
    let plain = plain(value);
    if plain.is_empty() {
        return None;
    }
    if plain.starts_with(seal::MARK) {
        return seal::read(&plain).filter(|seal| seal.family != UNSEALED);
    }
    let payload = match field {
        Field::Signature => plain,
        Field::Data => Cow::Owned([REDACTED, &plain].concat()),
    };
    Some(Seal { family: family.into(), payload })
}

/// The field and its plain value that a native payload stands for.
pub(super) fn native(payload: &[u8]) -> (Field, &[u8]) {
    match payload.strip_prefix(REDACTED) {
        Some(data) => (Field::Data, data),
        None => (Field::Signature, payload),
    }
}

fn plain(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', value).is_none() {
        return Cow::Borrowed(value);
    }
    let quoted = [b"\"", value, b"\""].concat();
    match text::string(&quoted) {
        Some(plain) => Cow::Owned(plain.into_owned().into_bytes()),
        None => Cow::Borrowed(value),
    }
}

/// The family of a seal for thinking that its provider gave no state to: marked as foreign all the same, so that it is
/// cut where only the API's own thinking is taken.
pub(super) const UNSEALED: &str = "none";
/// In front of the payload of redacted thinking.
const REDACTED: &[u8] = b"redacted:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_native_value_and_a_seal_are_told_apart() {
        for (field, value, expected) in [
            (Field::Signature, "EqQB+/=", Some(("anthropic", "EqQB+/="))),
            (Field::Signature, r"a\/b", Some(("anthropic", "a/b"))),
            (Field::Data, "Emw", Some(("anthropic", "redacted:Emw"))),
            (Field::Signature, "pm1.deepseek.c3RhdGU", Some(("deepseek", "state"))),
            (Field::Data, "pm1.deepseek.c3RhdGU", Some(("deepseek", "state"))),
            (Field::Signature, "pm1.deepseek.%", None),
            (Field::Signature, "pm1.none.", None),
            (Field::Signature, "", None),
        ] {
            let seal = read(field, value.as_bytes(), "anthropic");
            let seal = seal.map(|seal| (seal.family, String::from_utf8(seal.payload.into_owned()).unwrap()));
            let found = seal.as_ref().map(|(family, payload)| (&**family, &**payload));
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn a_payload_goes_back_into_the_field_that_it_came_from() {
        for (field, value) in [(Field::Signature, &b"EqQB"[..]), (Field::Data, b"Emw")] {
            let seal = read(field, value, "anthropic").unwrap();
            assert_eq!(native(&seal.payload), (field, value));
        }
    }
}
