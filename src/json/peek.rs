//! The members of an object and the elements of an array as byte ranges, in one pass.
//!
//! [`members`] and [`elements`] walk one level; every value below it is skipped by `blocks`, so that depth costs
//! no recursion. The level that is walked is checked strictly (commas, colons, what a value may look
//! like, nothing after its end); values below it are only balanced. Duplicates are shown as they stand. Whether the
//! bytes are UTF-8 is checked only where a string is read ([`super::text`]): a whole-body check would cost as much as
//! the peek itself, and a provider refuses such a body with a 400 that is passed on.

use memchr::memchr;

use super::blocks::nested_end;

/// A byte range of a body. `start <= end <= body.len()` for the body that it was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The range from `start` up to `end`.
    pub fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end);
        Self { start, end }
    }

    /// The range of all of `body`.
    pub fn all(body: &[u8]) -> Self {
        Self { start: 0, end: body.len() }
    }

    /// The bytes it stands for; empty if it belongs to another body and does not fit.
    pub fn of<'b>(&self, body: &'b [u8]) -> &'b [u8] {
        body.get(self.start..self.end).unwrap_or_default()
    }

    /// The range of what `body` holds without the blanks around it, as edits need it.
    pub fn root(body: &[u8]) -> Self {
        let start = body.len() - body.trim_ascii_start().len();
        Self { start, end: start + body.trim_ascii().len() }
    }

    /// How many bytes it holds.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether it holds no byte.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// From its first byte to the last one of `other`, which must not begin before it.
    #[must_use]
    pub fn to(&self, other: Self) -> Self {
        Self::new(self.start, other.end)
    }
}

/// One member of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The key with its quotes.
    pub key: Span,
    /// The value without the blanks around it.
    pub value: Span,
}

impl Member {
    /// Key and value together, as `splice` removes them.
    pub fn whole(&self) -> Span {
        self.key.to(self.value)
    }

    /// Whether the key is `name`, escapes included (`"mo\u0064el"` is `model`).
    pub fn is(&self, body: &[u8], name: &str) -> bool {
        super::text::key_is(self.key.of(body), name)
    }
}

/// What is wrong with a body, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Offset of the byte where it shows.
    pub at: usize,
    /// What is wrong there.
    pub what: What,
}

/// The kinds of [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Something else stands where an object was expected.
    NotObject,
    /// Something else stands where an array was expected.
    NotArray,
    /// The text ends inside a value.
    Ends,
    /// This byte cannot stand here.
    Unexpected(u8),
    /// Bytes follow the end of the value.
    Trailing,
    /// More than [`MAX_DEPTH`] levels.
    Deep,
}

impl Fault {
    /// Line and column, both from 1, columns in bytes.
    pub fn place(&self, body: &[u8]) -> (usize, usize) {
        let before = &body[..self.at.min(body.len())];
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |at| at + 1) + 1;
        (line, column)
    }
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotObject => f.write_str("expected an object"),
            Self::NotArray => f.write_str("expected an array"),
            Self::Ends => f.write_str("the text ends early"),
            Self::Unexpected(byte) => write!(f, "unexpected `{}`", byte.escape_ascii()),
            Self::Trailing => f.write_str("something follows the end"),
            Self::Deep => write!(f, "more than {MAX_DEPTH} levels"),
        }
    }
}

/// The members of the object that `span` holds, blanks around it allowed. Ends after the first fault.
pub fn members(body: &[u8], span: Span) -> Members<'_> {
    Members(Walk::new(body, span))
}

/// The elements of the array that `span` holds, blanks around it allowed. Ends after the first fault.
pub fn elements(body: &[u8], span: Span) -> Elements<'_> {
    Elements(Walk::new(body, span))
}

/// The member of that name of an object; the first one, if it stands there twice.
pub fn member_of(body: &[u8], object: Span, name: &str) -> Option<Member> {
    members(body, object).map_while(Result::ok).find(|member| member.is(body, name))
}

/// Iterator of [`members`].
#[derive(Debug, Clone)]
pub struct Members<'b>(Walk<'b>);

impl Iterator for Members<'_> {
    type Item = Result<Member, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.step(b'{', b'}', What::NotObject, Walk::member)
    }
}

impl Members<'_> {
    /// The next member like [`Iterator::next`]; if it is an array called `name`, its elements are noted on the way:
    /// what would be the second pass over most of a body is saved.
    pub fn next_opening(&mut self, name: &str, elements: &mut Vec<Span>) -> Option<Result<Member, Fault>> {
        self.0.step(b'{', b'}', What::NotObject, |walk| walk.member_opening(name, elements))
    }
}

/// Iterator of [`elements`].
#[derive(Debug, Clone)]
pub struct Elements<'b>(Walk<'b>);

impl Iterator for Elements<'_> {
    type Item = Result<Span, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.step(b'[', b']', What::NotArray, Walk::value)
    }
}

/// Where a walk over one level stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// In front of the opening bracket.
    Outside,
    /// Behind an item.
    Inside,
    /// Behind the end, or behind a fault.
    Over,
}

/// A walk over one level. `0 <= at <= text.len()`, kept by every method; `text` ends where the span ends, so that
/// offsets are those of the whole body.
#[derive(Clone, Debug)]
struct Walk<'b> {
    text: &'b [u8],
    at: usize,
    stand: Stand,
}

impl<'b> Walk<'b> {
    fn new(body: &'b [u8], span: Span) -> Self {
        let text = &body[..span.end.min(body.len())];
        Self { text, at: span.start.min(text.len()), stand: Stand::Outside }
    }

    fn step<T>(
        &mut self,
        open: u8,
        close: u8,
        not: What,
        item: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Option<Result<T, Fault>> {
        let step = match self.stand {
            Stand::Over => return None,
            Stand::Outside => self.enter(open, not).and_then(|()| self.next_item(close, true, item)),
            Stand::Inside => self.next_item(close, false, item),
        };
        self.stand = if matches!(step, Ok(Some(_))) { Stand::Inside } else { Stand::Over };
        step.and_then(|item| if item.is_none() { self.leave() } else { Ok(item) }).transpose()
    }

    fn enter(&mut self, open: u8, not: What) -> Result<(), Fault> {
        self.blanks();
        match self.text.get(self.at) {
            None => Err(self.fault(What::Ends)),
            Some(&byte) if byte == open => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(self.fault(not)),
        }
    }

    /// The next item; `None` behind the closing bracket.
    fn next_item<T>(
        &mut self,
        close: u8,
        first: bool,
        item: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        match self.byte()? {
            byte if byte == close => {
                self.at += 1;
                return Ok(None);
            }
            b',' if !first => {
                self.at += 1;
                self.byte()?;
            }
            _ if first => {}
            byte => return Err(self.fault(What::Unexpected(byte))),
        }
        item(self).map(Some)
    }

    /// Behind the closing bracket of the level that is walked, nothing may follow.
    fn leave<T>(&mut self) -> Result<Option<T>, Fault> {
        self.blanks();
        if self.at < self.text.len() { Err(self.fault(What::Trailing)) } else { Ok(None) }
    }

    fn member(&mut self) -> Result<Member, Fault> {
        let key = self.key()?;
        Ok(Member { key, value: self.value()? })
    }

    fn member_opening(&mut self, name: &str, elements: &mut Vec<Span>) -> Result<Member, Fault> {
        let key = self.key()?;
        let opens = self.text.get(self.at) == Some(&b'[') && super::text::key_is(key.of(self.text), name);
        let value = if opens { self.array(elements)? } else { self.value()? };
        Ok(Member { key, value })
    }

    /// A key and its colon; the walk stands on the value afterwards.
    fn key(&mut self) -> Result<Span, Fault> {
        let byte = self.byte()?;
        if byte != b'"' {
            return Err(self.fault(What::Unexpected(byte)));
        }
        let key = Span::new(self.at, self.string(self.at)?);
        self.at = key.end;
        match self.byte()? {
            b':' => self.at += 1,
            byte => return Err(self.fault(What::Unexpected(byte))),
        }
        self.byte()?;
        Ok(key)
    }

    fn array(&mut self, elements: &mut Vec<Span>) -> Result<Span, Fault> {
        let start = self.at;
        self.enter(b'[', What::NotArray)?;
        let mut first = true;
        while let Some(element) = self.next_item(b']', first, Self::value)? {
            elements.push(element);
            first = false;
        }
        Ok(Span::new(start, self.at))
    }

    fn value(&mut self) -> Result<Span, Fault> {
        let start = self.at;
        let end = match self.byte()? {
            b'"' => self.string(start)?,
            b'{' | b'[' => nested_end(self.text, start)?,
            byte => self.scalar(start).ok_or(Fault { at: start, what: What::Unexpected(byte) })?,
        };
        self.at = end;
        Ok(Span::new(start, end))
    }

    /// The end of the string that begins at `start`. Only quotes stop the search; whether one is escaped is told by
    /// the run of backslashes in front of it. Each run belongs to one quote, so the whole stays linear.
    fn string(&self, start: usize) -> Result<usize, Fault> {
        let mut from = start + 1;
        while let Some(quote) = quote_from(self.text, from) {
            from = quote + 1;
            if self.text[quote - 1] != b'\\' {
                return Ok(from);
            }
            let slashes = self.text[start..quote].iter().rev().take_while(|byte| **byte == b'\\').count();
            if slashes % 2 == 0 {
                return Ok(from);
            }
        }
        Err(Fault { at: self.text.len(), what: What::Ends })
    }

    /// The end of the number or literal that begins at `start`, if it is one.
    fn scalar(&self, start: usize) -> Option<usize> {
        let rest = &self.text[start..];
        let length = rest
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'+' | b'-' | b'.' | b'E'));
        let word = &rest[..length.unwrap_or(rest.len())];
        let good = matches!(word, b"true" | b"false" | b"null") || super::text::is_number(word);
        good.then_some(start + word.len())
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is no blank; the walk stands on it afterwards.
    fn byte(&mut self) -> Result<u8, Fault> {
        self.blanks();
        self.text.get(self.at).copied().ok_or_else(|| self.fault(What::Ends))
    }

    fn fault(&self, what: What) -> Fault {
        Fault { at: self.at, what }
    }
}

/// The place of the next quote, from `from` on. Schemas are made of strings shorter than a call of `memchr` costs, so
/// the first bytes are looked at eight at a time: 1.5 times as fast on a list of tools, no slower on long texts.
#[inline]
fn quote_from(text: &[u8], mut from: usize) -> Option<usize> {
    for _ in 0..SHORT_WORDS {
        let Some(word) = text.get(from..).and_then(|rest| rest.first_chunk()) else { break };
        // The lowest byte that is a quote sets the lowest high bit (a zero byte of the XOR borrows).
        let word = u64::from_le_bytes(*word) ^ QUOTES;
        let hits = word.wrapping_sub(LOW_BITS) & !word & (LOW_BITS << 7);
        if hits != 0 {
            return Some(from + hits.trailing_zeros() as usize / 8);
        }
        from += 8;
    }
    memchr(b'"', text.get(from..)?).map(|step| from + step)
}

const LOW_BITS: u64 = u64::from_le_bytes([1; 8]);
const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);

/// Words of eight bytes that are looked at before `memchr` is called.
const SHORT_WORDS: usize = 4;

/// Deepest nesting below the walked level: real tool schemas stay under 40; 1,024 bits fit two cache lines of stack.
pub const MAX_DEPTH: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<Vec<(&str, &str)>, Fault> {
        let text = text.as_bytes();
        let part = |span: Span| std::str::from_utf8(span.of(text)).unwrap();
        members(text, Span::all(text)).map(|member| member.map(|m| (part(m.key), part(m.value)))).collect()
    }

    #[test]
    fn members_are_shown_as_they_stand() {
        let text = " {\"a\" : 1 ,\n\"b\":[{}, \"]\"],\"a\":\"x\\\"}\", \"\":{\"c\":null}} ";
        let found = shown(text).unwrap();
        let expected =
            [("\"a\"", "1"), ("\"b\"", "[{}, \"]\"]"), ("\"a\"", "\"x\\\"}\""), ("\"\"", "{\"c\":null}")];
        assert_eq!(found, expected);
        assert_eq!(shown("{}").unwrap(), []);
    }

    #[test]
    fn elements_of_a_span_are_those_of_that_span() {
        let text = b"{\"a\":[1, [2],\"3\" ],\"b\":2}";
        let array = members(text, Span::all(text)).next().unwrap().unwrap().value;
        let found: Vec<_> = elements(text, array).map(|span| span.unwrap().of(text)).collect();
        assert_eq!(found, [&b"1"[..], b"[2]", b"\"3\""]);
        assert_eq!(
            elements(text, Span::new(100, 200)).next(),
            Some(Err(Fault { at: text.len(), what: What::Ends }))
        );
    }

    #[test]
    fn a_fault_says_what_and_where() {
        use What::{Ends, NotObject, Trailing, Unexpected};
        for (text, at, what) in [
            ("", 0, Ends),
            ("  ", 2, Ends),
            ("[]", 0, NotObject),
            ("nope", 0, NotObject),
            ("{", 1, Ends),
            ("{\"a", 3, Ends),
            ("{\"a\"", 4, Ends),
            ("{\"a\":", 5, Ends),
            ("{\"a\":1", 6, Ends),
            ("{\"a\":1,}", 7, Unexpected(b'}')),
            ("{,}", 1, Unexpected(b',')),
            ("{\"a\" 1}", 5, Unexpected(b'1')),
            ("{\"a\":1 \"b\":2}", 7, Unexpected(b'"')),
            ("{\"a\":tru}", 5, Unexpected(b't')),
            ("{\"a\":01}", 5, Unexpected(b'0')),
            ("{\"a\":}", 5, Unexpected(b'}')),
            ("{\"a\":[}", 6, Unexpected(b'}')),
            ("{\"a\":[{]}", 7, Unexpected(b']')),
            ("{\"a\":[1,{}", 10, Ends),
            ("{\"a\":\"\\\"}", 9, Ends),
            ("{'a':1}", 1, Unexpected(b'\'')),
            ("{} x", 3, Trailing),
            ("{}{}", 2, Trailing),
        ] {
            assert_eq!(shown(text), Err(Fault { at, what }), "{text}");
        }
        assert_eq!(Fault { at: 5, what: Ends }.place(b"{\n \n\"a"), (3, 2));
        assert_eq!(Fault { at: 0, what: Ends }.place(b""), (1, 1));
    }

    #[test]
    fn depth_has_a_bound_and_no_recursion() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(shown(&nested(MAX_DEPTH)).unwrap().len(), 1);
        assert_eq!(shown(&nested(MAX_DEPTH + 1)), Err(Fault { at: 5 + MAX_DEPTH, what: What::Deep }));
    }

    #[test]
    fn an_array_is_opened_on_the_way() {
        for (text, count) in [
            ("{\"a\":1,\"m\":[1,{\"m\":[2]},\"]\" ] ,\"b\":[4]}", 3),
            ("{\"\\u006d\":[1]}", 1),
            ("{\"m\":[]}", 0),
            ("{\"m\":{}}", 0),
            ("{\"n\":[1]}", 0),
        ] {
            let text = text.as_bytes();
            let mut found = Vec::new();
            let mut walk = members(text, Span::all(text));
            let opened: Vec<_> = std::iter::from_fn(|| walk.next_opening("m", &mut found)).collect();
            assert!(members(text, Span::all(text)).eq(opened));
            assert_eq!(found.len(), count);
            if let Some(first) = found.first() {
                assert_eq!(first.of(text), b"1");
            }
        }
    }

    #[test]
    fn a_string_ends_at_its_quote_wherever_that_stands() {
        for length in 0..80 {
            for tail in ["", "\\\"", "\\\\", "\\\\\\\"", "\\\\\\\\"] {
                let string = format!("\"{}{tail}\"", "x".repeat(length));
                let text = format!("{{\"a\":[{string},{string}]}}");
                let found = shown(&text).unwrap();
                assert_eq!(found, [("\"a\"", format!("[{string},{string}]").as_str())]);
                assert!(shown(&text[..text.len() - 3]).is_err());
            }
        }
    }
}
