//! Events of a `text/event-stream`, pushed in pieces of any size (WHATWG HTML, "Server-sent events"; wire.md 0.1).
//!
//! Lines end in LF, CRLF or CR; an event ends at a blank line; comments and unknown fields are skipped; several `data`
//! lines are joined with LF. An event that lies whole in the pushed bytes is lent out without a copy; one that is cut
//! by the end of the bytes waits in a carry of at most [`limits::MAX_METERED_EVENT`] bytes (or as [`Sse::reading`] says). A longer one passes unread
//! ([`Event::unread`]), but its end is still found. Does not know what events mean, and never holds bytes back: it
//! reads along while they pass.
//!
//! ```
//! use pointsman::wire::frame::Sse;
//! let mut sse = Sse::new();
//! let bytes = b"event: ping\ndata: {\"type\":\"ping\"}\n\n: a comment\n\ndata: ha";
//! let mut seen = Vec::new();
//! let boundary = sse.push(bytes, |event| seen.push((event.name.to_vec(), event.data.to_vec())));
//! assert_eq!(seen, [(b"ping".to_vec(), b"{\"type\":\"ping\"}".to_vec())]);
//! assert_eq!(boundary, Some(bytes.len() - "data: ha".len()));
//! assert!(!sse.at_boundary());
//! sse.push(b"lf\r\n\r\n", |event| assert_eq!(event.data, b"half"));
//! assert!(sse.at_boundary());
//! ```

use std::mem;

use memchr::memchr2;

use crate::json::Span;
use crate::limits;

/// One event, lent for as long as it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The value of `event`; empty if there was none.
    pub name: &'a [u8],
    /// The data, joined.
    pub data: &'a [u8],
    /// Offset of `data` in the whole stream, where it stands there in one piece.
    pub data_at: Option<u64>,
    /// Too long to be kept: `name` and `data` are empty.
    pub unread: bool,
    /// Where the event begins and ends in the whole stream, its blank line included.
    pub range: (u64, u64),
}

/// Where the reader stands in a stream.
///
/// Invariants: `carry` holds the bytes of the event under way that came with earlier pushes; it is empty while
/// `unread`; `carry.len() <= longest`; `began <= passed`.
#[derive(Debug)]
pub struct Sse {
    /// Longest event that is read.
    longest: usize,
    carry: Vec<u8>,
    /// Scratch for events with several data lines.
    joined: Vec<u8>,
    /// Bytes of earlier pushes.
    passed: u64,
    /// Where the event under way begins in the stream.
    began: u64,
    /// Whether the line under way holds any byte.
    in_line: bool,
    /// The last byte was the CR of a line's end; an LF would belong to it.
    after_cr: bool,
    /// The event under way is too long for the carry.
    unread: bool,
}

impl Default for Sse {
    fn default() -> Self {
        Self::new()
    }
}

impl Sse {
    /// At the start of a stream.
    pub fn new() -> Self {
        Self::reading(limits::MAX_METERED_EVENT)
    }

    /// The same, reading events of up to `longest` bytes.
    pub fn reading(longest: usize) -> Self {
        Self {
            longest,
            carry: Vec::new(),
            joined: Vec::new(),
            passed: 0,
            began: 0,
            in_line: false,
            after_cr: false,
            unread: false,
        }
    }

    /// Reads the next bytes and shows each event that ends in them. Returns the offset in `bytes` just behind the last
    /// event or comment that ended there.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Event<'_>)) -> Option<usize> {
        if bytes.is_empty() {
            // A CR at the end of the last push still waits for its LF.
            return None;
        }
        let mut boundary = None;
        let mut from = 0;
        let mut at = 0;
        if mem::take(&mut self.after_cr) && bytes.first() == Some(&b'\n') {
            at = 1;
            if self.at_boundary() {
                from = 1;
                self.began += 1;
                boundary = Some(1);
            }
        }
        let mut lines = Lines::default();
        while let Some(step) = memchr2(b'\n', b'\r', &bytes[at..]) {
            let end = at + step;
            let blank = step == 0 && !self.in_line;
            let next = self.line_end(bytes, end);
            if blank {
                let range = (self.began, self.passed + next as u64);
                self.finish(&bytes[from..next], range, &lines, &mut each);
                self.began = self.passed + next as u64;
                lines = Lines::default();
                from = next;
                boundary = Some(next);
            } else {
                lines.note(&bytes[at..end], at - from);
            }
            at = next;
        }
        self.in_line |= at < bytes.len();
        self.keep(&bytes[from..]);
        self.passed += bytes.len() as u64;
        boundary
    }

    /// Whether no event is under way, so that one of our own may be inserted here.
    pub fn at_boundary(&self) -> bool {
        self.carry.is_empty() && !self.unread
    }

    /// Where the next line begins, for a line that ends at `end`.
    fn line_end(&mut self, bytes: &[u8], end: usize) -> usize {
        self.in_line = false;
        if bytes[end] == b'\n' {
            return end + 1;
        }
        match bytes.get(end + 1) {
            Some(b'\n') => end + 2,
            Some(_) => end + 1,
            None => {
                self.after_cr = true;
                end + 1
            }
        }
    }

    /// An event is whole: `block` are its bytes in this push, `lines` their reading.
    fn finish(&mut self, block: &[u8], range: (u64, u64), lines: &Lines, each: &mut impl FnMut(Event<'_>)) {
        if self.unread || self.carry.len() + block.len() > self.longest {
            self.unread = false;
            self.carry = Vec::new();
            each(Event { name: b"", data: b"", data_at: None, unread: true, range });
        } else if self.carry.is_empty() {
            self.show(block, range, lines, each);
        } else {
            let mut carry = mem::take(&mut self.carry);
            carry.extend_from_slice(block);
            self.show(&carry, range, &Lines::of(&carry), each);
            if carry.capacity() <= KEPT_CARRY {
                carry.clear();
                self.carry = carry;
            }
        }
    }

    fn show(&mut self, block: &[u8], range: (u64, u64), lines: &Lines, each: &mut impl FnMut(Event<'_>)) {
        let name = lines.name.map_or(&b""[..], |name| name.of(block));
        let Some(data) = lines.data else { return };
        if lines.many {
            self.joined.clear();
            join(block, &mut self.joined);
            each(Event { name, data: &self.joined, data_at: None, unread: false, range });
            if self.joined.capacity() > KEPT_CARRY {
                self.joined = Vec::new();
            }
        } else {
            let data_at = Some(self.began + data.start as u64);
            each(Event { name, data: data.of(block), data_at, unread: false, range });
        }
    }

    /// Puts the bytes of an unfinished event aside.
    fn keep(&mut self, rest: &[u8]) {
        if self.unread || rest.is_empty() {
            return;
        }
        if self.carry.len() + rest.len() > self.longest {
            self.carry = Vec::new();
            self.unread = true;
        } else {
            self.carry.extend_from_slice(rest);
        }
    }
}

/// The fields of one event that matter, as ranges of its bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Lines {
    name: Option<Span>,
    data: Option<Span>,
    /// More than one data line.
    many: bool,
}

impl Lines {
    /// Reads a whole event.
    fn of(block: &[u8]) -> Self {
        let mut lines = Self::default();
        each_line(block, |at, line| lines.note(line, at));
        lines
    }

    /// Reads one line that begins at `at` in the event.
    fn note(&mut self, line: &[u8], at: usize) {
        if let Some(value) = field(line, b"data") {
            self.many |= self.data.is_some();
            self.data = Some(Span::new(at + line.len() - value.len(), at + line.len()));
        } else if let Some(value) = field(line, b"event") {
            self.name = Some(Span::new(at + line.len() - value.len(), at + line.len()));
        }
    }
}

/// The value of the field if this line is that field: one blank behind the colon is not part of it.
fn field<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    match line.strip_prefix(name)? {
        [] => Some(b""),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

fn join(block: &[u8], out: &mut Vec<u8>) {
    let mut first = true;
    each_line(block, |_, line| {
        if let Some(value) = field(line, b"data") {
            if !mem::take(&mut first) {
                out.push(b'\n');
            }
            out.extend_from_slice(value);
        }
    });
}

fn each_line(block: &[u8], mut each: impl FnMut(usize, &[u8])) {
    let mut at = 0;
    // An LF behind a CR only makes an empty line, which is no field.
    while let Some(step) = memchr2(b'\n', b'\r', &block[at..]) {
        each(at, &block[at..at + step]);
        at += step + 1;
    }
}

/// A carry, or a join, is kept for the next event up to this capacity, so that thousands of open streams stay small.
const KEPT_CARRY: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = (Vec<u8>, Vec<u8>, bool);

    /// What comes of a stream in these pieces, and whether it ended between two events.
    fn read<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> (Vec<Seen>, bool) {
        let mut sse = Sse::new();
        let mut seen = Vec::new();
        let mut all: Vec<u8> = Vec::new();
        for piece in pieces {
            all.extend_from_slice(piece);
            let boundary = sse.push(piece, |event| {
                if let Some(at) = event.data_at {
                    let at = usize::try_from(at).unwrap();
                    assert_eq!(&all[at..at + event.data.len()], event.data);
                }
                seen.push((event.name.to_vec(), event.data.to_vec(), event.unread));
            });
            assert!(boundary.is_none_or(|at| at <= piece.len()));
            assert!(sse.at_boundary() || boundary != Some(piece.len()));
        }
        (seen, sse.at_boundary())
    }

    #[test]
    fn lines_fields_and_comments_are_read_as_the_standard_says() {
        let event = |name: &str, data: &str| (name.as_bytes().to_vec(), data.as_bytes().to_vec(), false);
        for (stream, expected) in [
            ("data: a\n\n", vec![event("", "a")]),
            ("event: x\ndata: a\n\n", vec![event("x", "a")]),
            ("data: a\nevent: x\n\n", vec![event("x", "a")]),
            ("event: x\r\ndata: a\r\n\r\n", vec![event("x", "a")]),
            ("event: x\rdata: a\r\r", vec![event("x", "a")]),
            ("event: x\r\ndata: a\n\r\n", vec![event("x", "a")]),
            ("data:a\ndata:  b\ndata\n\n", vec![event("", "a\n b\n")]),
            (": comment\n\n:\n\nid: 1\nretry: 5\ndata: a\n\n", vec![event("", "a")]),
            ("event: x\n\ndata: a\n\n", vec![event("", "a")]),
            ("database: no\ndata : no\ndata: a\n\n", vec![event("", "a")]),
            ("event: x\nevent: y\ndata: a\n\n", vec![event("y", "a")]),
            ("\n\n\r\n\rdata: a\n\n\n\n", vec![event("", "a")]),
            ("data: a\n\ndata: b", vec![event("", "a")]),
            ("data: a\n", vec![]),
            ("", vec![]),
        ] {
            let (seen, between) = read([stream.as_bytes()]);
            assert_eq!(seen, expected, "{stream:?}");
            assert_eq!(
                between,
                stream.is_empty()
                    || stream.ends_with("\n\n")
                    || stream.ends_with("\r\r")
                    || stream.ends_with("\n\r\n"),
                "{stream:?}"
            );
            for split in 0..=stream.len() {
                let (front, back) = stream.as_bytes().split_at(split);
                assert_eq!(read([front, b"", back]), (expected.clone(), between), "{stream:?} at {split}");
            }
            assert_eq!(read(stream.as_bytes().chunks(1)), (expected, between), "{stream:?} byte by byte");
        }
    }

    #[test]
    fn an_event_beyond_the_bound_passes_unread_however_it_is_split() {
        let frame = "data: \n\n".len();
        for (length, unread) in
            [(limits::MAX_METERED_EVENT - frame, false), (limits::MAX_METERED_EVENT - frame + 1, true)]
        {
            let stream = format!("data: {}\n\nevent: x\ndata: after\n\n", "y".repeat(length));
            for piece in [stream.len(), 1000, length + 7, length + 6, 7, limits::MAX_METERED_EVENT] {
                let (seen, between) = read(stream.as_bytes().chunks(piece));
                assert_eq!(seen.len(), 2);
                assert_eq!(
                    (seen[0].2, seen[0].1.len()),
                    (unread, if unread { 0 } else { length }),
                    "{piece}"
                );
                assert_eq!(seen[1], (b"x".to_vec(), b"after".to_vec(), false));
                assert!(between);
            }
        }
    }

    #[test]
    fn what_is_kept_for_later_stays_small() {
        let mut sse = Sse::new();
        let long = format!("data: {}\ndata: z\n\n", "y".repeat(100_000));
        for piece in long.as_bytes().chunks(999) {
            sse.push(piece, |_| ());
        }
        assert!(sse.carry.capacity() <= KEPT_CARRY && sse.joined.capacity() <= KEPT_CARRY);
    }

    #[test]
    fn no_allocation_per_event_once_the_carry_has_grown() {
        let mut sse = Sse::new();
        let stream = b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\"}\n\n".repeat(3);
        let mut carry = None;
        for (round, piece) in stream.repeat(50).chunks(100).enumerate() {
            sse.push(piece, |_| ());
            let now = (sse.carry.as_ptr(), sse.carry.capacity());
            match carry {
                _ if round < 10 => carry = Some(now),
                Some(before) => assert_eq!(now, before),
                None => unreachable!(),
            }
        }
    }
}
