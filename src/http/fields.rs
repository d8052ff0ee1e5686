//! Header fields: read by name from a head, and written as lines.
//!
//! Names compare without case. A value that could end a line is never written: it is left out, since every value comes
//! from a parsed head, the configuration (checked there) or the gateway itself.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem;

/// Header fields of a parsed head, as ranges into its bytes.
#[derive(Debug, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    spans: Vec<(Range<u32>, Range<u32>)>,
    /// The [`trait_of`] of every name: most questions are for fields that are not there.
    traits: u64,
}

impl Fields {
    /// Takes a head's bytes and the fields that `httparse` found in exactly these bytes (in `parsed`, which may be
    /// another copy of them at `origin`).
    pub fn new(bytes: Vec<u8>, origin: &[u8], parsed: &[httparse::Header<'_>]) -> Self {
        let base = origin.as_ptr() as usize;
        let span = |part: &[u8]| {
            let start = u32::try_from(part.as_ptr() as usize - base).unwrap_or(0);
            start..start + u32::try_from(part.len()).unwrap_or(0)
        };
        let spans = parsed.iter().map(|field| (span(field.name.as_bytes()), span(field.value))).collect();
        let traits = parsed.iter().fold(0, |all, field| all | trait_of(field.name.as_bytes()));
        Self { bytes, spans, traits }
    }

    fn slice(&self, range: &Range<u32>) -> &[u8] {
        self.bytes.get(range.start as usize..range.end as usize).unwrap_or_default()
    }

    /// All fields, in the order in which they came. A name is a token, so it is ASCII.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.spans.iter().map(|(name, value)| (self.slice(name), self.slice(value)))
    }

    /// The first field of that name, as text; one that is not UTF-8 counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.named(name).next()?;
        std::str::from_utf8(self.slice(value)).ok()
    }

    /// Every value of fields of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.named(name).map(|(_, value)| self.slice(value))
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a (Range<u32>, Range<u32>)> {
        let may_be = self.traits & trait_of(name.as_bytes()) != 0;
        let spans: &[_] = if may_be { &self.spans } else { &[] };
        spans.iter().filter(move |(span, _)| self.is(span, name))
    }

    fn is(&self, span: &Range<u32>, name: &str) -> bool {
        span.len() == name.len() && self.slice(span).eq_ignore_ascii_case(name.as_bytes())
    }

    /// Whether a comma-separated field of that name holds `token`, without case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name).any(|value| {
            value.split(|&b| b == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
        })
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The head's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// One bit of 64 by a name's length and its first and last letter, without case.
fn trait_of(name: &[u8]) -> u64 {
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return 0 };
    let mixed = name.len() ^ (usize::from(first | 0x20) << 1) ^ (usize::from(last | 0x20) << 3);
    1 << (mixed % 64)
}

/// Header lines being written.
#[derive(Debug, Default, Clone)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// No lines yet, with room for a usual head.
    pub fn new() -> Self {
        Self(Vec::with_capacity(768))
    }

    /// No lines yet, behind what stands there.
    pub fn behind(first: Vec<u8>) -> Self {
        Self(first)
    }

    /// Adds a line with a field of a parsed head, which was checked when it was read.
    pub fn push_parsed(&mut self, name: &[u8], value: &[u8]) {
        self.0.reserve(name.len() + value.len() + 4);
        self.0.extend_from_slice(name);
        self.0.extend_from_slice(b": ");
        self.0.extend_from_slice(value);
        self.0.extend_from_slice(b"\r\n");
    }

    /// Adds a line. A name or value that could break out of its line is left out.
    pub fn push(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        // Without an early end, so that the compiler looks at many bytes at once.
        let clean = value.iter().fold(true, |clean, &b| clean & is_value(b));
        if name.is_empty() || !name.bytes().all(is_token) || !clean {
            return;
        }
        self.push_parsed(name.as_bytes(), value);
    }

    /// Adds a line with a number.
    pub fn push_number(&mut self, name: &str, value: u64) {
        self.push(name, Decimal::new(value).as_bytes());
    }

    /// The lines, and what they stand behind.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The lines as they go out.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Where a head ends: just behind the first empty line.
pub fn end(bytes: &[u8]) -> Option<usize> {
    static EMPTY_LINE: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"\r\n\r\n"));
    EMPTY_LINE.find(bytes).map(|at| at + 4)
}

/// Whether a byte may stand in a header's name (RFC 9110 5.6.2).
pub fn is_token(b: u8) -> bool {
    TOKEN[usize::from(b)]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let signs = b"!#$%&'*+-.^_`|~";
    let mut b = 0;
    while b < 256 {
        // Below 256, so the cast is exact.
        #[allow(clippy::cast_possible_truncation)]
        let byte = b as u8;
        table[b] = byte.is_ascii_alphanumeric();
        b += 1;
    }
    let mut i = 0;
    while i < signs.len() {
        table[signs[i] as usize] = true;
        i += 1;
    }
    table
};

/// Whether a byte may stand in a header's value.
pub fn is_value(b: u8) -> bool {
    b == b'\t' || (b >= 0x20 && b != 0x7f)
}

/// A number in decimal digits, without an allocation.
#[derive(Debug, Clone, Copy)]
pub struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    /// Writes the digits.
    pub fn new(mut value: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + u8::try_from(value % 10).unwrap_or(0);
            value /= 10;
            if value == 0 {
                return Self { digits, start };
            }
        }
    }

    /// The digits.
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, Lines};

    #[test]
    fn a_value_that_would_end_its_line_is_left_out() {
        let mut lines = Lines::new();
        lines.push("a", "fine");
        lines.push("b", "evil\r\nc: d");
        lines.push("bad name", "x");
        assert_eq!(lines.as_bytes(), b"a: fine\r\n");
    }

    #[test]
    fn decimals() {
        for n in [0, 9, 10, 12_345, u64::MAX] {
            assert_eq!(Decimal::new(n).as_bytes(), n.to_string().as_bytes());
        }
    }
}
