//! Where a nested value ends, by blocks of 64 bytes instead of byte by byte.
//!
//! Of each block three 64-bit masks are made (quotes, backslashes, brackets), one bit per byte; which bytes are escaped
//! and which lie within strings follows by arithmetic on them, without a branch per string. Only brackets outside of
//! strings are then looked at one by one. The method is that of G. Langdale and D. Lemire, "Parsing Gigabytes of JSON
//! per Second" (2019), section 3.1. Knows nothing of what a value may look like: see [`super::peek`].

use wide::u8x16;

use super::peek::{Fault, MAX_DEPTH, What};

/// The end of the object or array that begins at `start`: strings are skipped, brackets matched on a stack of bits.
pub(super) fn nested_end(text: &[u8], start: usize) -> Result<usize, Fault> {
    let mut strings = Strings::default();
    let mut open = Open::default();
    let mut at = start;
    while at < text.len() {
        let marks = match text[at..].first_chunk() {
            Some(block) => Marks::of(block),
            None => Marks::of(&padded(&text[at..])),
        };
        let inside = strings.next(&marks);
        // A backslash outside of a string can stand nowhere: what follows it is not looked at.
        let stray = marks.slashes & !inside;
        let before_it = if stray == 0 { u64::MAX } else { (stray & stray.wrapping_neg()) - 1 };
        let mut brackets = marks.brackets & !inside & before_it;
        while brackets != 0 {
            let here = at + brackets.trailing_zeros() as usize;
            if open.meets(text[here], here)? {
                return Ok(here + 1);
            }
            brackets &= brackets - 1;
        }
        if stray != 0 {
            let here = at + stray.trailing_zeros() as usize;
            return Err(Fault { at: here, what: What::Unexpected(b'\\') });
        }
        at += BLOCK;
    }
    Err(Fault { at: text.len(), what: What::Ends })
}

/// The brackets that are open, innermost last; 1 = object.
struct Open {
    stack: [u64; MAX_DEPTH / 64],
    depth: usize,
}

impl Default for Open {
    fn default() -> Self {
        Self { stack: [0; MAX_DEPTH / 64], depth: 0 }
    }
}

impl Open {
    /// A bracket; whether it closes the outermost one.
    fn meets(&mut self, byte: u8, at: usize) -> Result<bool, Fault> {
        if matches!(byte, b'{' | b'[') {
            if self.depth == MAX_DEPTH {
                return Err(Fault { at, what: What::Deep });
            }
            let bit = 1 << (self.depth % 64);
            let word = &mut self.stack[self.depth / 64];
            *word = if byte == b'{' { *word | bit } else { *word & !bit };
            self.depth += 1;
            return Ok(false);
        }
        self.depth -= 1; // The walk begins at an open bracket and ends at depth 0, so there is one.
        let object = self.stack[self.depth / 64] >> (self.depth % 64) & 1 == 1;
        if object != (byte == b'}') {
            return Err(Fault { at, what: What::Unexpected(byte) });
        }
        Ok(self.depth == 0)
    }
}

/// What crosses from block to block.
#[derive(Default)]
struct Strings {
    /// 1: the next block's first byte is escaped.
    escaped: u64,
    /// All ones: the next block begins within a string.
    inside: u64,
}

impl Strings {
    /// Which bytes of a block lie within strings; the opening quote does, the closing one does not.
    fn next(&mut self, marks: &Marks) -> u64 {
        let quotes = marks.quotes & !self.escaped_bytes(marks.slashes);
        // Each bit becomes the parity of those up to it.
        let mut inside = quotes;
        for step in [1, 2, 4, 8, 16, 32] {
            inside ^= inside << step;
        }
        inside ^= self.inside;
        self.inside = if inside >> 63 == 1 { u64::MAX } else { 0 };
        inside
    }

    /// The bytes that a backslash stands before which is not escaped itself.
    ///
    /// A run of backslashes that begins on an even place escapes odd places and the other way round. Subtracting each
    /// run's beginning from the odd bits carries along the run and leaves the right ones of the two behind.
    fn escaped_bytes(&mut self, slashes: u64) -> u64 {
        let before = std::mem::take(&mut self.escaped);
        if slashes == 0 {
            return before;
        }
        let starting = slashes & !before;
        let codes = (starting << 1 | ODD).wrapping_sub(starting) ^ ODD;
        self.escaped = (codes & slashes) >> 63;
        codes ^ (slashes | before)
    }
}

/// One bit per byte of a block, the first byte's lowest.
#[derive(Debug, PartialEq, Eq)]
struct Marks {
    quotes: u64,
    slashes: u64,
    brackets: u64,
}

impl Marks {
    fn of(block: &[u8; BLOCK]) -> Self {
        let mut marks = Self { quotes: 0, slashes: 0, brackets: 0 };
        for (place, lane) in block.as_chunks().0.iter().enumerate() {
            let lane = u8x16::new(*lane);
            let are = |lane: u8x16, byte| lane.simd_eq(u8x16::splat(byte));
            let bits = |hits: u8x16| u64::from(hits.to_bitmask()) << (place * 16);
            // `[` and `{`, `]` and `}` differ in this bit, and nothing else becomes one of them by it.
            let folded = lane | u8x16::splat(0x20);
            marks.quotes |= bits(are(lane, b'"'));
            marks.slashes |= bits(are(lane, b'\\'));
            marks.brackets |= bits(are(folded, b'{') | are(folded, b'}'));
        }
        marks
    }

    #[cfg(test)]
    fn slowly(block: &[u8; BLOCK]) -> Self {
        let bits = |is: fn(u8) -> bool| {
            block.iter().enumerate().fold(0, |bits, (place, &byte)| bits | u64::from(is(byte)) << place)
        };
        Self {
            quotes: bits(|byte| byte == b'"'),
            slashes: bits(|byte| byte == b'\\'),
            brackets: bits(|byte| matches!(byte, b'{' | b'}' | b'[' | b']')),
        }
    }
}

/// A last block, filled up with blanks.
fn padded(rest: &[u8]) -> [u8; BLOCK] {
    let mut block = [b' '; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    block
}

const BLOCK: usize = 64;
const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;

#[cfg(test)]
mod tests {
    use super::{BLOCK, Fault, MAX_DEPTH, Marks, What, nested_end};

    /// The same byte by byte.
    fn slowly(text: &[u8], start: usize) -> Result<usize, Fault> {
        let (mut open, mut string, mut escaped) = (Vec::new(), false, false);
        for (at, &byte) in text.iter().enumerate().skip(start) {
            if string {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => string = true,
                b'\\' => return Err(Fault { at, what: What::Unexpected(byte) }),
                b'{' | b'[' if open.len() == MAX_DEPTH => return Err(Fault { at, what: What::Deep }),
                b'{' => open.push(b'}'),
                b'[' => open.push(b']'),
                b'}' | b']' if open.pop() != Some(byte) => {
                    return Err(Fault { at, what: What::Unexpected(byte) });
                }
                _ if open.is_empty() => return Ok(at + 1),
                _ => {}
            }
        }
        Err(Fault { at: text.len(), what: What::Ends })
    }

    /// Numbers that are the same in every run (xorshift).
    fn numbers(mut seed: u64) -> impl FnMut(usize) -> usize {
        move |below| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed % below as u64).unwrap()
        }
    }

    #[test]
    fn blocks_equal_their_slow_twin_on_texts_of_every_kind() {
        let mut pick = numbers(0x9e37_79b9_7f4a_7c15);
        let mut ends = 0;
        for round in 0..40_000 {
            // Many quotes and backslashes, so that runs of them cross the blocks' borders in every way.
            let pieces: [&[&str]; 4] = [
                &["\\\\", "\\\"", "a", "]}", "\\n"],
                &["\\", "\"", "{", "}", "[", "]", ",", "a"],
                &["\\", "\\", "\\", "\"", "abcdefgh"],
                &["[", "]", "{", "}", "\"x"],
            ];
            let pieces = pieces[round % 4];
            let mut text = ["[\"", "{\"", "[", "{"][pick(4)].to_owned();
            (0..pick(200)).for_each(|_| text.push_str(pieces[pick(pieces.len())]));
            text.push_str("\"}]");
            let text = text.into_bytes();
            let found = nested_end(&text, 0);
            assert_eq!(found, slowly(&text, 0), "{}", text.escape_ascii());
            ends += usize::from(found.is_ok_and(|end| end > BLOCK));
        }
        assert!(ends > 1_000, "only {ends} texts had an end behind their first block");
    }

    #[test]
    fn whole_values_end_where_they_end_at_every_place_of_a_block() {
        for lead in 0..130 {
            for inner in ["\\\"", "\\\\", "\\\\\\\"}", "]}", "\\u005c"] {
                let value = format!("{{\"{}{inner}\":[{{}},\"]\"]}}", "x".repeat(lead));
                let text = format!("{}{value}, 1]", " ".repeat(lead % 7));
                let start = lead % 7;
                assert_eq!(nested_end(text.as_bytes(), start), Ok(start + value.len()), "{text}");
            }
        }
    }

    #[test]
    fn marks_equal_their_slow_twin() {
        let mut pick = numbers(7);
        for _ in 0..2_000 {
            let block = std::array::from_fn(|_| u8::try_from(pick(256)).unwrap());
            assert_eq!(Marks::of(&block), Marks::slowly(&block));
        }
        let all: Vec<u8> = (0..=255).collect();
        for block in all.as_chunks().0 {
            assert_eq!(Marks::of(block), Marks::slowly(block));
        }
    }
}
