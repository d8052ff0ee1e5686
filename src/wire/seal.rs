//! Opaque state of a provider on its way through a client that knows another format.
//!
//! Signatures, encrypted reasoning and the like go back only to the family that made them. In the client's own opaque
//! field they stand as `pm1.<family>.<payload>`, the payload in base64url without padding, so that a text search for
//! [`MARK`] finds them and every dialect's alphabet takes them. Native values of the client's dialect bear no mark and
//! are none of this module's business. Does not know which family a target is: that is told by `traits`.
//!
//! ```
//! use pointsman::wire::{ir::Seal, seal};
//! let mut out = Vec::new();
//! seal::write(&mut out, "deepseek", b"\x00state");
//! assert_eq!(out, b"pm1.deepseek.AHN0YXRl");
//! let Seal { family, payload } = seal::read(&out).unwrap();
//! assert_eq!((&*family, &*payload), ("deepseek", &b"\x00state"[..]));
//! assert!(seal::read(b"EqQBCkYIAxgCKkA").is_none()); // a native signature
//! ```

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::ir::Seal;

/// What every seal begins with.
pub const MARK: &[u8] = b"pm1.";

/// Appends a seal. The family is plain ASCII without a dot.
pub fn write(out: &mut Vec<u8>, family: &str, payload: &[u8]) {
    debug_assert!(family.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.'), "{family}");
    out.extend_from_slice(MARK);
    out.extend_from_slice(family.as_bytes());
    out.push(b'.');
    let start = out.len();
    let room = payload.len().div_ceil(3) * 4;
    out.resize(start + room, 0);
    let written = URL_SAFE_NO_PAD.encode_slice(payload, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}

/// The seal of these bytes; `None` if they are none of ours, or damaged.
pub fn read(bytes: &[u8]) -> Option<Seal<'static>> {
    let rest = bytes.strip_prefix(MARK)?;
    let dot = memchr::memchr(b'.', rest)?;
    let family = std::str::from_utf8(&rest[..dot]).ok()?.to_owned();
    let payload = URL_SAFE_NO_PAD.decode(&rest[dot + 1..]).ok()?;
    Some(Seal { family: family.into(), payload: payload.into() })
}

#[cfg(test)]
mod tests {
    #[test]
    fn whatever_is_sealed_is_read_again() {
        for length in 0..70_u8 {
            let payload: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(37)).collect();
            let mut out = b"front".to_vec();
            super::write(&mut out, "a-b", &payload);
            let seal = super::read(&out[5..]).unwrap();
            assert_eq!((&*seal.family, &*seal.payload), ("a-b", payload.as_slice()));
        }
    }

    #[test]
    fn damaged_seals_are_none() {
        for bytes in [&b"pm1."[..], b"pm1.a", b"pm1.a.%", b"pm2.a.AA", b""] {
            assert!(super::read(bytes).is_none());
        }
    }
}
