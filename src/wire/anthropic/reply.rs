//! Reads one whole answer: the model's place, usage, stop reason, and whether it is an error in disguise.
//!
//! The body passes as it is but for the model's name; nothing is checked beyond "an object with a `type`", which tells
//! an answer of the dialect from a stranger's JSON.

use super::blocks::Blocks;
use super::envelope;
use super::signature::UNSEALED;
use super::usage::Counts;
use crate::json::{self, Edits, Span, Spliced, text};
use crate::wire::ir::{Delta, Escaped, Event, Open};
use crate::wire::meter::Told;
use crate::wire::names::plain_id;
use crate::wire::traits::Traits;
use crate::wire::transcode::{Frame, Sink};
use crate::wire::{Dialect, Meter, Stop, Usage, seal};

/// A whole answer, as far as it is read.
#[derive(Clone, Debug)]
pub struct Reply<'b> {
    body: &'b [u8],
    /// Where the value of the top-level `model` stands.
    pub model_at: Option<Span>,
    /// Usage, stop reason, model; `error` if this 200 is an error body.
    pub meter: Meter,
}

impl<'b> Reply<'b> {
    /// Reads a body; `None` if it is no answer of this dialect ([`crate::error::Class::Unreadable`]).
    pub fn read(body: &'b [u8]) -> Option<Self> {
        let mut reply = Self { body, model_at: None, meter: Meter::default() };
        let mut counts = Counts::default();
        let mut kind = None;
        let mut error = false;
        for member in json::members(body, Span::all(body)) {
            let member = member.ok()?;
            let value = member.value.of(body);
            match member.key.of(body) {
                b"\"type\"" => kind = text::string(value),
                b"\"model\"" => {
                    reply.model_at = Some(member.value);
                    reply.meter.model = text::string(value).map(|model| model.as_ref().into());
                }
                b"\"usage\"" => counts.read(body, member.value),
                b"\"stop_reason\"" => {
                    reply.meter.stop = text::string(value).map(|word| Stop::from_anthropic(&word));
                }
                b"\"error\"" => error = value != b"null",
                _ => {}
            }
        }
        match kind.as_deref() {
            Some("error") => reply.meter.error = Some(crate::wire::fault::told(body)),
            // Routers answer 200 with the error of the provider behind them, in a shape without `type`.
            None if error => reply.meter.error = Some(crate::wire::fault::told(body)),
            None => return None,
            Some(_) => {}
        }
        reply.meter.usage = counts.usage();
        reply.meter.counted = counts.told();
        Some(reply)
    }

    /// The body with `asked` as the model's name; as it is where it already says so or names none.
    pub fn named(&self, asked: &str) -> Spliced<'b> {
        let mut edits = Edits::new();
        match self.model_at {
            Some(at) if self.meter.model.as_deref() != Some(asked) => edits.replace(at, text::quote(asked)),
            _ => {}
        }
        edits.on(self.body)
    }
}

/// The count of a `count_tokens` answer; `None` if the body is none.
pub fn counted(body: &[u8]) -> Option<u64> {
    let count = super::request::member_of(body, Span::all(body), "input_tokens")?;
    text::count(count.value.of(body))
}

/// A `count_tokens` answer with this count.
pub fn counted_as(tokens: u64) -> Vec<u8> {
    format!("{{\"input_tokens\":{tokens}}}").into_bytes()
}

/// Reads a whole answer as the events of a stream; `false` if it is none. `family` is whose opaque state it carries.
pub fn decode(body: &[u8], _traits: &'static Traits, family: &str, sink: &mut Sink<'_>) -> bool {
    let Some(reply) = Reply::read(body) else { return false };
    let meter = reply.meter;
    if let Some(told) = &meter.error {
        sink(Event::Fault(told));
        return true;
    }
    let model = reply.model_at.map(|at| at.of(body)).and_then(inside);
    sink(Event::Start { model });
    let mut blocks = Blocks::new(family);
    let (mut content, mut sequence) = (Vec::new(), None);
    let mut members = json::members(body, Span::all(body));
    while let Some(Ok(member)) = members.next_opening("content", &mut content) {
        if member.is(body, "stop_sequence") {
            sequence = inside(member.value.of(body));
        }
    }
    for block in content {
        blocks.open(body, block, sink);
    }
    blocks.close(sink);
    if meter.counted {
        sink(Event::Usage(meter.usage));
    }
    let unsaid = if blocks.called() { Stop::ToolUse } else { Stop::EndTurn };
    sink(Event::Stop { reason: meter.stop.as_ref().unwrap_or(&unsaid), sequence });
    true
}

/// The inside of a string that is not empty.
fn inside(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"").filter(|text| !text.is_empty())
}

/// Writes a whole answer from events.
///
/// The input of a call must be an object here. Arguments that are none, because the answer was cut or the model wrote
/// nonsense, stand as the string `_raw` of one: the tool refuses them, and the model sees what it wrote.
#[derive(Debug)]
pub struct Fold {
    frame: Frame,
    /// The blocks so far, separated by commas.
    content: Vec<u8>,
    inside: Inside,
    /// Arguments or citations of the open block.
    held: Vec<u8>,
    usage: Usage,
    /// `stop_reason` and `stop_sequence`.
    stop: Vec<u8>,
    fault: Option<Told>,
}

/// What is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Text,
    Thinking {
        sealed: bool,
    },
    ToolCall,
    /// Whole as it came, or not for this dialect.
    Whole,
}

impl Fold {
    /// Before the first event.
    pub fn new(frame: Frame) -> Self {
        Self {
            frame,
            content: Vec::new(),
            inside: Inside::Whole,
            held: Vec::new(),
            usage: Usage::default(),
            stop: Vec::new(),
            fault: None,
        }
    }

    /// Takes the next event.
    pub fn push(&mut self, event: &Event<'_>) {
        match event {
            Event::Start { .. } => {}
            Event::Open(open) => self.open(open),
            Event::Delta(delta) => self.delta(delta),
            Event::Close => self.close(),
            Event::Usage(usage) => self.usage = *usage,
            Event::Stop { .. } => envelope::stop(event, &mut self.stop),
            Event::Fault(told) => self.fault = Some((*told).clone()),
        }
    }

    /// The body; that of an error if the answer broke.
    pub fn finish(self) -> Vec<u8> {
        if let Some(told) = &self.fault {
            return crate::wire::fault::body_told(Dialect::Messages, told, &self.frame.id);
        }
        let mut out = Vec::with_capacity(self.content.len() + 512);
        out.push(b'{');
        envelope::head(&self.frame, &mut out);
        out.extend_from_slice(b",\"content\":[");
        out.extend_from_slice(&self.content);
        out.extend_from_slice(b"],");
        out.extend_from_slice(&self.stop);
        out.extend_from_slice(if self.stop.is_empty() { b"\"usage\":" } else { b",\"usage\":" });
        envelope::usage(&self.usage, &mut out);
        out.push(b'}');
        out
    }

    fn open(&mut self, open: &Open<'_>) {
        self.held.clear();
        self.inside = match open {
            Open::Text | Open::Refusal => Inside::Text,
            Open::Thinking => Inside::Thinking { sealed: false },
            Open::ToolCall { .. } => Inside::ToolCall,
            Open::Opaque { .. } => Inside::Whole,
        };
        if matches!(open, Open::Opaque { owner, .. } if *owner != Dialect::Messages) {
            return;
        }
        let out = &mut self.content;
        if !out.is_empty() {
            out.push(b',');
        }
        match open {
            Open::Text | Open::Refusal => out.extend_from_slice(b"{\"type\":\"text\",\"text\":\""),
            Open::Thinking => out.extend_from_slice(b"{\"type\":\"thinking\",\"thinking\":\""),
            Open::ToolCall { id, name } => {
                out.extend_from_slice(b"{\"type\":\"tool_use\",\"id\":");
                envelope::string(&plain_id(id), out);
                out.extend_from_slice(b",\"name\":");
                envelope::string(self.frame.names.original(name), out);
                out.extend_from_slice(b",\"input\":");
            }
            Open::Opaque { raw, .. } => out.extend_from_slice(raw),
        }
    }

    fn delta(&mut self, delta: &Delta<'_>) {
        match delta {
            Delta::Text(text) => self.content.extend_from_slice(text),
            Delta::Args(args) => self.held.extend_from_slice(args),
            Delta::Seal { family, payload } => {
                self.inside = Inside::Thinking { sealed: true };
                self.seal(family, payload);
            }
            Delta::Citation { owner: Dialect::Messages, raw } => {
                self.held.push(if self.held.is_empty() { b'[' } else { b',' });
                self.held.extend_from_slice(raw);
            }
            Delta::Citation { owner: Dialect::Chat, .. } => {}
        }
    }

    fn close(&mut self) {
        match self.inside {
            Inside::Text => {
                self.content.push(b'"');
                if !self.held.is_empty() {
                    self.content.extend_from_slice(b",\"citations\":");
                    self.content.extend_from_slice(&self.held);
                    self.content.push(b']');
                }
            }
            Inside::Thinking { sealed: false } => self.seal(UNSEALED, b""),
            Inside::Thinking { sealed: true } => {}
            Inside::ToolCall => self.input(),
            Inside::Whole => return,
        }
        self.content.push(b'}');
    }

    fn seal(&mut self, family: &str, payload: &[u8]) {
        self.content.extend_from_slice(b"\",\"signature\":\"");
        seal::write(&mut self.content, family, payload);
        self.content.push(b'"');
    }

    fn input(&mut self) {
        let args = Escaped::raw(&self.held[..]);
        let plain = args.plain();
        let input = plain.trim();
        if input.is_empty() {
            self.content.extend_from_slice(b"{}");
        } else if is_object(input) {
            self.content.extend_from_slice(input.as_bytes());
        } else {
            self.content.extend_from_slice(b"{\"_raw\":");
            text::quote_into(&mut self.content, &plain);
            self.content.push(b'}');
        }
    }
}

fn is_object(text: &str) -> bool {
    text.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    #[test]
    fn a_whole_answer_gives_model_usage_and_stop_in_any_order() {
        let body = br#"{"content":[{"type":"text","text":"\"model\":\"x\""}],"usage":{"input_tokens":10,"cache_creation_input_tokens":7,"cache_read_input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4},"output_tokens":20,"output_tokens_details":{"thinking_tokens":9},"server_tool_use":{"web_search_requests":2,"web_fetch_requests":1},"new_tokens":8},"stop_reason":"end_turn","model":"real","type":"message"}"#;
        let reply = Reply::read(body).unwrap();
        let usage = Usage {
            input: 10,
            cache_read: 5,
            cache_write_5m: 3,
            cache_write_1h: 4,
            output: 20,
            reasoning: 9,
            web_searches: 2,
            web_fetches: 1,
            cost_nano: None,
        };
        assert_eq!(reply.meter.usage, usage);
        assert_eq!((reply.meter.stop.clone(), reply.meter.counted), (Some(Stop::EndTurn), true));
        let named = String::from_utf8(reply.named("asked \"so\"").to_vec()).unwrap();
        assert_eq!(named, String::from_utf8_lossy(body).replace("\"real\"", r#""asked \"so\"""#));
        assert!(reply.named("real").is_verbatim());
    }

    #[test]
    fn a_split_of_cache_writes_never_exceeds_their_total() {
        for (usage, five, hour) in [
            (r#"{"input_tokens":1,"cache_creation_input_tokens":7}"#, 7, 0),
            (r#"{"input_tokens":1,"cache_creation":{"ephemeral_1h_input_tokens":4}}"#, 0, 4),
            (
                r#"{"input_tokens":1,"cache_creation_input_tokens":2,"cache_creation":{"ephemeral_1h_input_tokens":4}}"#,
                0,
                2,
            ),
            (r#"{"input_tokens":1,"cache_creation_input_tokens":null,"cache_creation":null}"#, 0, 0),
            (r#"{"input_tokens":1.0,"cache_creation_input_tokens":"many"}"#, 0, 0),
        ] {
            let body = format!(r#"{{"type":"message","usage":{usage}}}"#);
            let meter = Reply::read(body.as_bytes()).unwrap().meter;
            assert_eq!(
                (meter.usage.input, meter.usage.cache_write_5m, meter.usage.cache_write_1h),
                (1, five, hour),
                "{usage}"
            );
        }
    }

    #[test]
    fn an_error_inside_a_200_is_told() {
        for (body, class) in [
            (r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#, Class::Overloaded),
            (r#"{"error":{"message":"Provider returned error","code":502},"user_id":"u"}"#, Class::Server),
        ] {
            let error = Reply::read(body.as_bytes()).unwrap().meter.error.unwrap();
            assert_eq!(error.failure.class, class, "{body}");
        }
        let fine = Reply::read(br#"{"type":"message","error":null}"#).unwrap();
        assert_eq!((fine.meter.error, fine.meter.counted), (None, false));
    }

    #[test]
    fn a_strangers_answer_is_none() {
        for body in [
            "",
            "{}",
            "[]",
            "<html>",
            "{\"type\":\"message\"",
            "{\"type\":\"message\"} x",
            "{\"type\":1}",
            "{\"error\":null}",
        ] {
            assert!(Reply::read(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn a_count_is_read() {
        assert_eq!(counted(br#"{"input_tokens": 14}"#), Some(14));
        assert_eq!(counted(br#"{"input_tokens":"14"}"#), None);
        assert_eq!(counted(b"{}"), None);
    }

    fn frame() -> Frame {
        Frame {
            id: "req_1".into(),
            model: "m".into(),
            created: 0,
            usage: false,
            names: std::sync::Arc::default(),
        }
    }

    #[test]
    fn the_input_of_a_call_is_an_object_whatever_the_arguments_are() {
        for (pieces, input) in [
            (&[][..], "{}"),
            (&[" "], "{}"),
            (&[r#"{\"b\":1.0,"#, r#"\"a\":\"\\n\"}"#], r#"{"b":1.0,"a":"\n"}"#),
            (&[r#"{\"a\":\"cut"#], r#"{"_raw":"{\"a\":\"cut"}"#),
            (&["[1]"], r#"{"_raw":"[1]"}"#),
        ] {
            let mut fold = Fold::new(frame());
            fold.push(&Event::Start { model: None });
            fold.push(&Event::Open(Open::ToolCall { id: b"i", name: b"n" }));
            for piece in pieces {
                fold.push(&Event::Delta(Delta::Args(piece.as_bytes())));
            }
            fold.push(&Event::Close);
            fold.push(&Event::Stop { reason: &Stop::ToolUse, sequence: None });
            let body = String::from_utf8(fold.finish()).unwrap();
            serde_json::from_str::<serde_json::Value>(&body).expect(&body);
            let call = format!(r#""content":[{{"type":"tool_use","id":"i","name":"n","input":{input}}}]"#);
            assert!(body.contains(&call), "{body}");
        }
    }

    #[test]
    fn an_empty_answer_and_a_broken_one_are_bodies_of_the_dialect() {
        let mut fold = Fold::new(frame());
        fold.push(&Event::Start { model: None });
        fold.push(&Event::Stop { reason: &Stop::StopSequence, sequence: Some(b"\\n") });
        assert_eq!(
            String::from_utf8(fold.finish()).unwrap(),
            r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":"stop_sequence","stop_sequence":"\n","usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}"#
        );
        let mut fold = Fold::new(frame());
        let told = crate::wire::fault::told(
            br#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#,
        );
        fold.push(&Event::Fault(&told));
        let body: serde_json::Value = serde_json::from_slice(&fold.finish()).unwrap();
        assert_eq!(
            (body["error"]["type"].as_str(), body["error"]["message"].as_str()),
            (Some("overloaded_error"), Some("busy"))
        );
    }

    #[test]
    fn only_an_answer_is_decoded() {
        use crate::wire::traits::MESSAGES;
        let mut faults = 0;
        let mut sink = |event: Event<'_>| faults += u32::from(matches!(event, Event::Fault(_)));
        assert!(!decode(b"<html>", &MESSAGES, "anthropic", &mut sink));
        let error = br#"{"type":"error","error":{"type":"api_error","message":"m"}}"#;
        assert!(decode(error, &MESSAGES, "anthropic", &mut sink));
        assert_eq!(faults, 1);
    }
}
