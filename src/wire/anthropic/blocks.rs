//! The content blocks of an answer as events, whether they come in pieces or whole (wire.md 1.3, 1.6).
//!
//! ```text
//!             open                    delta                 close
//!   Nothing ───────▶ Text           ──▶ Text, Citation   ───────▶ Nothing
//!           ───────▶ Thinking       ──▶ Text                 Seal, where there is one
//!           ───────▶ ToolCall       ──▶ Args
//!           ───────▶ Opaque         ──▶ (collected)          Open, Close: the block is told when it is whole
//! ```
//!
//! A whole block is one that is opened with everything in it and closed at once, so that a stream and a whole answer
//! cannot drift apart. Nothing is allocated for a delta of a text, of arguments or of thinking. Knows nothing of the
//! message around the blocks.

use crate::json::{self, Span, text};
use crate::wire::Dialect;
use crate::wire::ir::{Delta, Escaped, Event, Open};
use crate::wire::transcode::Sink;

use super::signature::{self, Field};

/// The blocks of one answer.
#[derive(Debug)]
pub(super) struct Blocks {
    /// Whose native opaque state is.
    family: Box<str>,
    inside: Inside,
    /// The signature as it came, or the raw block that is told when it is whole.
    held: Vec<u8>,
    /// What came for a member of the held block: its name, and the value as it came.
    patch: Option<(&'static str, Vec<u8>)>,
    /// Calls of the client's tools so far.
    calls: u64,
}

/// What is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Nothing,
    Text,
    Thinking(Field),
    ToolCall,
    Opaque,
}

/// What a block begins with.
#[derive(Default)]
struct Beginning<'b> {
    kind: &'b [u8],
    text: Option<&'b [u8]>,
    opaque: Option<&'b [u8]>,
    id: Option<&'b [u8]>,
    name: Option<&'b [u8]>,
    input: Option<&'b [u8]>,
    citations: Option<Span>,
}

impl Blocks {
    /// Before the first block.
    pub(super) fn new(family: &str) -> Self {
        let (held, patch) = (Vec::new(), None);
        Self { family: family.into(), inside: Inside::Nothing, held, patch, calls: 0 }
    }

    /// Whether a block has begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        self.inside != Inside::Nothing
    }

    /// Whether one of the client's tools was called.
    pub(super) fn called(&self) -> bool {
        self.calls > 0
    }

    /// A block begins; one that is still open has ended.
    pub(super) fn open(&mut self, body: &[u8], block: Span, sink: &mut Sink<'_>) {
        self.close(sink);
        let begun = Beginning::read(body, block);
        self.held.clear();
        match begun.kind {
            b"\"text\"" => self.text(body, &begun, sink),
            b"\"thinking\"" => self.thinking(Field::Signature, &begun, sink),
            b"\"redacted_thinking\"" => self.thinking(Field::Data, &begun, sink),
            b"\"tool_use\"" if begun.name.is_some() => self.call(&begun, sink),
            _ => {
                self.inside = Inside::Opaque;
                self.held.extend_from_slice(block.of(body));
            }
        }
    }

    /// More of the open block. What belongs to none of its kind is passed over.
    pub(super) fn delta(&mut self, body: &[u8], delta: Span, sink: &mut Sink<'_>) {
        for member in json::members(body, delta).map_while(Result::ok) {
            let value = member.value.of(body);
            match (self.inside, member.key.of(body)) {
                (Inside::Text, b"\"text\"") | (Inside::Thinking(_), b"\"thinking\"") => {
                    more(value, Delta::Text, sink);
                }
                (Inside::ToolCall, b"\"partial_json\"") => more(value, Delta::Args, sink),
                (Inside::Thinking(_), b"\"signature\"") => {
                    self.held.extend_from_slice(inside(value).unwrap_or_default());
                }
                (Inside::Text, b"\"citation\"") => cite(value, sink),
                (Inside::Opaque, b"\"partial_json\"") => self.collect(value),
                (Inside::Opaque, b"\"content\"") => self.patch = Some(("content", value.to_vec())),
                _ => {}
            }
        }
    }

    /// The open block is whole.
    pub(super) fn close(&mut self, sink: &mut Sink<'_>) {
        match std::mem::replace(&mut self.inside, Inside::Nothing) {
            Inside::Nothing => return,
            Inside::Text | Inside::ToolCall => {}
            Inside::Thinking(field) => {
                if let Some(seal) = signature::read(field, &self.held, &self.family) {
                    sink(Event::Delta(Delta::Seal { family: &seal.family, payload: &seal.payload }));
                }
            }
            Inside::Opaque => {
                self.patched();
                sink(Event::Open(Open::Opaque { owner: Dialect::Messages, raw: &self.held }));
            }
        }
        sink(Event::Close);
    }

    fn text(&mut self, body: &[u8], begun: &Beginning<'_>, sink: &mut Sink<'_>) {
        self.inside = Inside::Text;
        sink(Event::Open(Open::Text));
        more(begun.text.unwrap_or_default(), Delta::Text, sink);
        let Some(citations) = begun.citations else { return };
        for citation in json::elements(body, citations).map_while(Result::ok) {
            cite(citation.of(body), sink);
        }
    }

    fn thinking(&mut self, field: Field, begun: &Beginning<'_>, sink: &mut Sink<'_>) {
        self.inside = Inside::Thinking(field);
        self.held.extend_from_slice(begun.opaque.and_then(inside).unwrap_or_default());
        sink(Event::Open(Open::Thinking));
        more(begun.text.unwrap_or_default(), Delta::Text, sink);
    }

    fn call(&mut self, begun: &Beginning<'_>, sink: &mut Sink<'_>) {
        self.inside = Inside::ToolCall;
        self.calls += 1;
        let minted;
        let id = if let Some(id) = begun.id {
            id
        } else {
            minted = format!("toolu_{}", self.calls);
            minted.as_bytes()
        };
        sink(Event::Open(Open::ToolCall { id, name: begun.name.unwrap_or_default() }));
        let input = begun.input.filter(|input| json::members(input, Span::all(input)).next().is_some());
        if let Some(input) = input {
            let args = Escaped::of(&String::from_utf8_lossy(input));
            sink(Event::Delta(Delta::Args(args.as_bytes())));
        }
    }

    /// A fragment of the input of a provider's tool.
    fn collect(&mut self, fragment: &[u8]) {
        let fragment = inside(fragment).unwrap_or_default();
        match &mut self.patch {
            Some((_, input)) => input.extend_from_slice(fragment),
            None => self.patch = Some(("input", fragment.to_vec())),
        }
    }

    /// Puts what was collected into the held block, where it makes a value.
    fn patched(&mut self) {
        let Some((name, value)) = self.patch.take() else { return };
        let value = match name {
            "input" => Escaped::raw(value).plain().into_owned().into_bytes(),
            _ => value,
        };
        let sound = serde_json::from_slice::<serde::de::IgnoredAny>(&value).is_ok();
        let whole = Span::all(&self.held);
        if let Some(at) = json::member_of(&self.held, whole, name).filter(|_| sound) {
            self.held.splice(at.value.start..at.value.end, value);
        }
    }
}

impl<'b> Beginning<'b> {
    fn read(body: &'b [u8], block: Span) -> Self {
        let mut found = Self::default();
        for member in json::members(body, block).map_while(Result::ok) {
            let value = member.value.of(body);
            let said = || inside(value).filter(|text| !text.is_empty());
            match text::string(member.key.of(body)).as_deref() {
                Some("type") => found.kind = value,
                Some("text" | "thinking") => found.text = Some(value),
                Some("signature" | "data") => found.opaque = Some(value),
                Some("id") => found.id = said(),
                Some("name") => found.name = said(),
                Some("input") => found.input = Some(value),
                Some("citations") => found.citations = Some(member.value),
                _ => {}
            }
        }
        found
    }
}

/// A piece of a text, unless it is empty or none.
fn more<'e>(value: &'e [u8], delta: impl FnOnce(&'e [u8]) -> Delta<'e>, sink: &mut Sink<'_>) {
    if let Some(piece) = inside(value).filter(|piece| !piece.is_empty()) {
        sink(Event::Delta(delta(piece)));
    }
}

fn cite(citation: &[u8], sink: &mut Sink<'_>) {
    if citation.starts_with(b"{") {
        sink(Event::Delta(Delta::Citation { owner: Dialect::Messages, raw: citation }));
    }
}

fn inside(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block that begins so and goes on so, as lines.
    fn told(begins: &str, deltas: &[&str]) -> Vec<String> {
        let mut lines = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut sink = |event: Event<'_>| {
            lines.push(match event {
                Event::Open(Open::Opaque { raw, .. }) => format!("opaque {}", text(raw)),
                Event::Open(Open::ToolCall { id, name }) => format!("call {} {}", text(id), text(name)),
                Event::Open(open) => format!("{open:?}").to_lowercase(),
                Event::Delta(Delta::Text(piece) | Delta::Args(piece)) => format!("+{}", text(piece)),
                Event::Delta(Delta::Seal { family, payload }) => format!("seal {family} {}", text(payload)),
                Event::Delta(Delta::Citation { raw, .. }) => format!("cite {}", text(raw)),
                other => format!("{other:?}").to_lowercase(),
            });
        };
        let mut blocks = Blocks::new("anthropic");
        blocks.open(begins.as_bytes(), Span::all(begins.as_bytes()), &mut sink);
        for delta in deltas {
            blocks.delta(delta.as_bytes(), Span::all(delta.as_bytes()), &mut sink);
        }
        blocks.close(&mut sink);
        assert!(!blocks.is_open());
        lines
    }

    #[test]
    fn a_block_in_pieces_is_the_block_that_comes_whole() {
        for (begins, deltas, whole) in [
            (
                r#"{"type":"text","text":""}"#,
                &[r#"{"text":"a\n"}"#, r#"{"text":""}"#][..],
                r#"{"type":"text","text":"a\n"}"#,
            ),
            (
                r#"{"type":"thinking","thinking":"","signature":""}"#,
                &[r#"{"thinking":"hm"}"#, r#"{"signature":"c2"}"#, r#"{"signature":"ln"}"#],
                r#"{"signature":"c2ln","thinking":"hm","type":"thinking"}"#,
            ),
            (
                r#"{"type":"tool_use","id":"i","name":"n","input":{}}"#,
                &[r#"{"partial_json":""}"#, r#"{"partial_json":"{\"a\":1.0}"}"#],
                r#"{"type":"tool_use","id":"i","name":"n","input":{"a":1.0}}"#,
            ),
            (
                r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#,
                &[r#"{"partial_json":"{\"query\":"}"#, r#"{"partial_json":"\"x\"}"}"#],
                r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"x"}}"#,
            ),
            (
                r#"{"type":"compaction","content":null}"#,
                &[r#"{"type":"compaction_delta","content":"so far"}"#],
                r#"{"type":"compaction","content":"so far"}"#,
            ),
        ] {
            assert_eq!(told(begins, deltas), told(whole, &[]), "{begins}");
        }
    }

    #[test]
    fn what_is_missing_or_strange_breaks_nothing() {
        for (begins, deltas, expected) in [
            (r#"{"type":"tool_use","name":"n","id":""}"#, &[][..], "call toolu_1 n|close"),
            (r#"{"type":"tool_use","id":"i"}"#, &[], r#"opaque {"type":"tool_use","id":"i"}|close"#),
            (r#"{"type":"brand_new"}"#, &[r#"{"text":"x"}"#], r#"opaque {"type":"brand_new"}|close"#),
            (
                r#"{"type":"server_tool_use","input":{}}"#,
                &[r#"{"partial_json":"{\"a"}"#],
                r#"opaque {"type":"server_tool_use","input":{}}|close"#,
            ),
            (
                r#"{"type":"text","citations":[{"a":1},5],"text":"x"}"#,
                &[r#"{"citation":{"b":2}}"#],
                r#"text|+x|cite {"a":1}|cite {"b":2}|close"#,
            ),
            (r#"{"type":"thinking"}"#, &[r#"{"text":"no thinking"}"#], "thinking|close"),
            (
                r#"{"type":"redacted_thinking","data":"Emw"}"#,
                &[],
                "thinking|seal anthropic redacted:Emw|close",
            ),
            (r#"{"type":"text","text":null}"#, &["not JSON", r#"{"text":5}"#], "text|close"),
        ] {
            assert_eq!(told(begins, deltas).join("|"), expected, "{begins}");
        }
    }
}
