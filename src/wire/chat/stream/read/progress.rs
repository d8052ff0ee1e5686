//! How far the JSON of a call's arguments has come, by its brackets alone.
//!
//! A call whose arguments are complete makes way for the next one at once, so that calls in a row are never held back. The
//! arguments come as fragments of a string's inside: each escape is undone on the way. Judges nothing: what never closes
//! is just never complete.

/// Where the arguments stand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    depth: u32,
    begun: bool,
    in_string: bool,
    escaped: bool,
}

impl Progress {
    /// Whether anything has come.
    pub fn begun(self) -> bool {
        self.begun
    }

    /// Whether an object or an array has come to its end.
    pub fn whole(self) -> bool {
        self.begun && self.depth == 0
    }

    /// Reads a fragment that ends between two escapes of the outer string.
    pub fn read(&mut self, fragment: &[u8]) {
        let mut rest = fragment;
        while let Some((byte, behind)) = outer(rest) {
            self.byte(byte);
            rest = behind;
        }
    }

    fn byte(&mut self, byte: u8) {
        if std::mem::take(&mut self.escaped) {
            return;
        }
        match byte {
            b'\\' => self.escaped = self.in_string,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b' ' => return,
            // A scalar is complete with nothing that could be seen here.
            _ if self.depth == 0 && !self.begun => self.depth = 1,
            _ => {}
        }
        self.begun = true;
    }
}

/// The next byte of the text that a string's inside means. What is no ASCII, or white space, counts as a blank.
fn outer(inside: &[u8]) -> Option<(u8, &[u8])> {
    Some(match inside {
        [] => return None,
        [b'\\', b'u', a, b, c, d, rest @ ..] => (unicode([*a, *b, *c, *d]), rest),
        [b'\\', byte @ (b'"' | b'\\' | b'/'), rest @ ..] => (*byte, rest),
        [b'\\', _, rest @ ..] => (b' ', rest),
        [byte, rest @ ..] => (*byte, rest),
    })
}

fn unicode(hex: [u8; 4]) -> u8 {
    let code = std::str::from_utf8(&hex).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
    code.filter(u8::is_ascii_graphic).unwrap_or(b' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ir::Escaped;

    #[test]
    fn arguments_are_whole_when_their_brackets_are() {
        for (args, whole) in [
            ("{}", true),
            ("[]", true),
            (r#"{"a":"}"}"#, true),
            (r#"{"a":"\"}"}"#, true),
            (r#"{"a":"\\"}"#, true),
            (r#"{"a":"x\\\"}"#, false),
            (r#"{"a":{"b":[1,2]}"#, false),
            (" \n{\n}\n", true),
            ("", false),
            (" ", false),
            ("12", false),
            ("null", false),
        ] {
            let escaped = Escaped::of(args);
            let mut progress = Progress::default();
            progress.read(escaped.as_bytes());
            assert_eq!(progress.whole(), whole, "{args}");
            let mut progress = Progress::default();
            for byte in args.bytes() {
                progress.read(format!("\\u{byte:04x}").as_bytes());
            }
            assert_eq!(progress.whole(), whole, "{args} byte by byte");
        }
    }
}
