//! Thinking in `<think>` tags at the very beginning of a text (wire.md 13.6), cut anywhere between deltas.
//!
//! ```text
//!   Before ──<think>──▶ Inside ──</think>──▶ Behind ──▶ Off
//!     └──── anything but blanks and a tag ─────────────▲
//! ```
//!
//! Blanks behind a tag are dropped; a tag anywhere else is text. Works on escaped text, where servers also write `\u003c`
//! for `<`. Opens no blocks.

use memchr::memchr2;

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Thinking,
    Text,
}

/// The splitter of one answer's text.
#[derive(Debug, Default)]
pub(super) struct Tags {
    state: State,
    /// What may be the beginning of a tag: never longer than blanks and a tag.
    held: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    /// Whether anything but blanks was thought.
    Inside {
        begun: bool,
    },
    Behind,
    Off,
}

impl Tags {
    /// Takes more text.
    pub fn push(&mut self, text: &[u8], each: &mut dyn FnMut(Part, &[u8])) {
        if self.held.is_empty() {
            return self.read(text, each);
        }
        let mut joined = std::mem::take(&mut self.held);
        joined.extend_from_slice(text);
        self.read(&joined, each);
    }

    /// The text is over: what was held is what it looks like.
    pub fn finish(&mut self, each: &mut dyn FnMut(Part, &[u8])) {
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Inside { .. } => show(Part::Thinking, &held, each),
            State::Before | State::Behind | State::Off => show(Part::Text, &held, each),
        }
        self.state = State::Off;
    }

    fn read(&mut self, text: &[u8], each: &mut dyn FnMut(Part, &[u8])) {
        let mut rest = text;
        while !rest.is_empty() {
            rest = match self.state {
                State::Before => self.before(rest),
                State::Inside { begun: false } if behind_blanks(rest).is_empty() => b"",
                State::Inside { begun: false } => {
                    self.state = State::Inside { begun: true };
                    behind_blanks(rest)
                }
                State::Inside { begun: true } => self.inside(rest, each),
                State::Behind => {
                    let shown = behind_blanks(rest);
                    if !shown.is_empty() {
                        self.state = State::Off;
                    }
                    shown
                }
                State::Off => {
                    show(Part::Text, rest, each);
                    b""
                }
            };
        }
    }

    fn before<'t>(&mut self, text: &'t [u8]) -> &'t [u8] {
        match meets(behind_blanks(text), &OPEN) {
            Meets::Whole(behind) => {
                self.state = State::Inside { begun: false };
                behind
            }
            Meets::Beginning => self.hold(text),
            Meets::Not => {
                self.state = State::Off;
                text
            }
        }
    }

    fn inside<'t>(&mut self, text: &'t [u8], each: &mut dyn FnMut(Part, &[u8])) -> &'t [u8] {
        let mut from = 0;
        while let Some(step) = memchr2(b'<', b'\\', &text[from..]) {
            let at = from + step;
            match meets(&text[at..], &CLOSE) {
                Meets::Whole(behind) => {
                    show(Part::Thinking, &text[..at], each);
                    self.state = State::Behind;
                    return behind;
                }
                Meets::Beginning => {
                    show(Part::Thinking, &text[..at], each);
                    return self.hold(&text[at..]);
                }
                // What follows a backslash belongs to it.
                Meets::Not => from = (at + 1 + usize::from(text[at] == b'\\')).min(text.len()),
            }
        }
        show(Part::Thinking, text, each);
        b""
    }

    fn hold<'t>(&mut self, text: &[u8]) -> &'t [u8] {
        self.held.extend_from_slice(text);
        b""
    }
}

/// How a text begins.
enum Meets<'t> {
    /// With the tag; this follows.
    Whole(&'t [u8]),
    /// It could become the tag.
    Beginning,
    Not,
}

fn meets<'t>(text: &'t [u8], spellings: &[&[u8]; 3]) -> Meets<'t> {
    if let Some(behind) = spellings.iter().find_map(|tag| text.strip_prefix(*tag)) {
        Meets::Whole(behind)
    } else if spellings.iter().any(|tag| tag.starts_with(text)) {
        Meets::Beginning
    } else {
        Meets::Not
    }
}

fn behind_blanks(text: &[u8]) -> &[u8] {
    let mut rest = text;
    while let [b' ', behind @ ..] | [b'\\', b'n' | b'r' | b't', behind @ ..] = rest {
        rest = behind;
    }
    rest
}

fn show(part: Part, text: &[u8], each: &mut dyn FnMut(Part, &[u8])) {
    if !text.is_empty() {
        each(part, text);
    }
}

const OPEN: [&[u8]; 3] = [b"<think>", br"\u003cthink\u003e", br"\u003Cthink\u003E"];
const CLOSE: [&[u8]; 3] = [b"</think>", br"\u003c/think\u003e", br"\u003C/think\u003E"];

#[cfg(test)]
mod tests {
    use super::*;

    /// Thinking and text of an answer in these pieces.
    fn split<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> (String, String) {
        let (mut tags, mut thinking, mut text) = (Tags::default(), Vec::new(), Vec::new());
        let mut each = |part, piece: &[u8]| match part {
            Part::Thinking => thinking.extend_from_slice(piece),
            Part::Text => text.extend_from_slice(piece),
        };
        pieces.into_iter().for_each(|piece| tags.push(piece, &mut each));
        tags.finish(&mut each);
        (String::from_utf8(thinking).unwrap(), String::from_utf8(text).unwrap())
    }

    /// Where a server may cut: not within an escape.
    fn cuts(text: &str) -> Vec<usize> {
        let mut cuts = vec![0];
        let mut at = 0;
        while at < text.len() {
            at += match &text.as_bytes()[at..] {
                [b'\\', b'u', ..] => 6,
                [b'\\', ..] => 2,
                _ => 1,
            };
            cuts.push(at);
        }
        cuts
    }

    #[test]
    fn tags_are_taken_at_the_beginning_only_wherever_the_text_is_cut() {
        for (whole, thinking, text) in [
            ("<think>a</think>b", "a", "b"),
            (r"\n<think>\na b\n</think>\n\nc", r"a b\n", "c"),
            (r"\u003cthink\u003ea\u003c/think\u003eb", "a", "b"),
            (r"<think>a < b \\n </thin c</think>d", r"a < b \\n </thin c", "d"),
            (r"<think>a \\u003c/think></think>d", r"a \\u003c/think>", "d"),
            (r"<think>\n\n</think>\n\nb", "", "b"),
            ("a <think>b</think>", "", "a <think>b</think>"),
            ("<thinking>a", "", "<thinking>a"),
            (r" \n x", "", r" \n x"),
            ("<think>a", "a", ""),
            ("<think>a</thi", "a</thi", ""),
            ("<thi", "", "<thi"),
            ("", "", ""),
        ] {
            let expected = (thinking.to_owned(), text.to_owned());
            let cuts = cuts(whole);
            for at in &cuts {
                let (front, back) = whole.as_bytes().split_at(*at);
                assert_eq!(split([front, back]), expected, "{whole} at {at}");
            }
            let each = cuts.windows(2).map(|pair| &whole.as_bytes()[pair[0]..pair[1]]);
            assert_eq!(split(each), expected, "{whole}");
        }
    }
}
