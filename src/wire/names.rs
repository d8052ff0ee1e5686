//! Names and ids that a target takes, in the place of those that it refuses.
//!
//! Every change follows from the old value alone, so that it is the same on every turn and for call and result; a changed
//! name ends in a hash, so that two do not meet. Names of tools are put back in answers by the list that was sent. Does not know
//! which rules hold: `traits` does.

use std::borrow::Cow;

use ring::digest::{SHA256, digest};

use super::ir::Escaped;
use super::traits::IdRule;

/// Names of tools that were changed on the way to the upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Vec<Renamed>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Renamed {
    original: Box<[u8]>,
    sent: Box<[u8]>,
}

impl Names {
    /// Remembers that `original` was sent as `sent`, both escaped.
    pub fn note(&mut self, original: &[u8], sent: &[u8]) {
        if original != sent {
            self.0.push(Renamed { original: original.into(), sent: sent.into() });
        }
    }

    /// What the client calls a tool that the upstream calls `sent`.
    pub fn original<'n>(&'n self, sent: &'n [u8]) -> &'n [u8] {
        self.0.iter().find(|known| *known.sent == *sent).map_or(sent, |known| &known.original)
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A tool's name as the target takes it: of `[A-Za-z0-9_-]`, `longest` bytes at most.
pub fn fit_name<'b>(name: &'b Escaped<'_>, longest: usize) -> Cow<'b, [u8]> {
    fit(name.as_bytes(), longest, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// An id of a call as the target takes it.
pub fn fit_id<'b>(id: &'b Escaped<'_>, rule: IdRule) -> Cow<'b, [u8]> {
    let id = id.as_bytes();
    match rule {
        IdRule::AtMost(longest) => {
            fit(id, longest, |byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
        }
        IdRule::Alphanumeric(length) => {
            if id.len() == length && id.iter().all(u8::is_ascii_alphanumeric) {
                return Cow::Borrowed(id);
            }
            Cow::Owned(hash(id, length))
        }
    }
}

/// An id as Anthropic's clients take it: of `[A-Za-z0-9_-]`, 64 bytes at most.
pub fn plain_id(id: &[u8]) -> Cow<'_, [u8]> {
    fit(id, 64, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// A text that stands for another one where only so many letters and digits fit (a user's id).
pub fn digest_of(text: &[u8], length: usize) -> String {
    String::from_utf8(hash(text, length)).unwrap_or_default()
}

fn fit(value: &[u8], longest: usize, good: impl Fn(u8) -> bool) -> Cow<'_, [u8]> {
    if !value.is_empty() && value.len() <= longest && value.iter().all(|byte| good(*byte)) {
        return Cow::Borrowed(value);
    }
    let kept = longest.saturating_sub(HASH + 1);
    let mut out: Vec<u8> =
        value.iter().take(kept).map(|byte| if good(*byte) { *byte } else { b'_' }).collect();
    out.push(b'_');
    out.extend(hash(value, HASH));
    Cow::Owned(out)
}

/// The first characters of a SHA-256, by 5 bits: letters and digits only.
fn hash(value: &[u8], length: usize) -> Vec<u8> {
    let digest = digest(&SHA256, value);
    let digits = b"abcdefghijklmnopqrstuvwxyz012345";
    let bytes = digest.as_ref().iter().cycle();
    bytes.take(length).map(|byte| digits[usize::from(byte & 31)]).collect()
}

/// 40 bits: a list of a thousand names meets itself once in two million.
const HASH: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_and_what_does_not_is_the_same_every_time() {
        let name = |text: &str| String::from_utf8(fit_name(&Escaped::of(text), 64).into_owned()).unwrap();
        assert_eq!(name("mcp__server__tool-1"), "mcp__server__tool-1");
        let long = "mcp__".repeat(17);
        assert_eq!(name(&long).len(), 64);
        assert_eq!(name(&long), name(&long));
        assert_ne!(name(&long), name(&format!("{long}x")));
        assert!(name("a.b").starts_with("a_b_"));
        assert_ne!(name("a.b"), name("a:b"));
        assert_ne!(name(""), "");
    }

    #[test]
    fn ids_fit_the_rule() {
        let id = |text: &str, rule| String::from_utf8(fit_id(&Escaped::of(text), rule).into_owned()).unwrap();
        assert_eq!(id("call_1", IdRule::AtMost(40)), "call_1");
        assert_eq!(id("functions.x:0", IdRule::AtMost(40)), "functions.x:0");
        assert_eq!(id(&"x".repeat(41), IdRule::AtMost(40)).len(), 40);
        assert_eq!(id("abc123DEF", IdRule::Alphanumeric(9)), "abc123DEF");
        let made = id("toolu_01", IdRule::Alphanumeric(9));
        assert!(made.len() == 9 && made.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_eq!(plain_id(b"toolu_1"), &b"toolu_1"[..]);
        assert!(plain_id(b"functions.x:0").starts_with(b"functions_x_0_"));
    }

    #[test]
    fn changed_names_are_put_back() {
        let mut names = Names::default();
        names.note(b"same", b"same");
        assert!(names.is_empty());
        names.note(b"a.b", b"a_b_x");
        assert_eq!((names.original(b"a_b_x"), names.original(b"c")), (&b"a.b"[..], &b"c"[..]));
    }
}
