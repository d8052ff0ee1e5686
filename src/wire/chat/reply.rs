//! Whole answers of Chat Completions, and of embeddings: passed on, read and written.
//!
//! What passes is edited in the model's name only. What is read gives the events of a stream by the stream's own decoder,
//! and what is written is folded from events, so that the two forms cannot drift apart. Several texts become one, since
//! the dialect knows no blocks.

use crate::json::{Edits, Span, Spliced, text};
use crate::wire::chat::chunk::Chunk;
use crate::wire::chat::stream::read::Decoder;
use crate::wire::chat::usage::Counts;
use crate::wire::chat::{envelope, finish};
use crate::wire::ir::{Delta, Event, Open};
use crate::wire::traits::Traits;
use crate::wire::transcode::{Frame, Sink};
use crate::wire::{Meter, Usage, fault};

/// A whole answer, as far as the gateway reads it.
#[derive(Debug)]
pub struct Reply<'b> {
    body: &'b [u8],
    model: Option<Span>,
    /// Usage, stop reason, model; `error` if this 200 is an error body.
    pub meter: Meter,
}

impl<'b> Reply<'b> {
    /// Reads a body; `None` if it is no answer of the dialect ([`crate::error::Class::Unreadable`]).
    pub fn read(body: &'b [u8], traits: &Traits) -> Option<Self> {
        let chunk = Chunk::read(body)?;
        let mut meter = Meter::default();
        if chunk.error {
            meter.error = Some(fault::told(body));
        } else if !chunk.choices && !chunk.list {
            return None;
        }
        let mut counts = Counts::default();
        chunk.usage.into_iter().flatten().for_each(|usage| counts.read(body, usage));
        meter.usage = counts.usage(traits.usage);
        meter.counted = counts.told();
        meter.model =
            chunk.model.and_then(|model| text::string(model.of(body))).map(|model| model.as_ref().into());
        if let Some(choice) = &chunk.choice {
            let stopped = choice.stopped.map(|value| value.of(body));
            match choice.finish.and_then(|value| finish::read(value.of(body), stopped)) {
                Some(Ok(stop)) => meter.stop = Some(stop),
                Some(Err(told)) => meter.error = Some(told),
                None => {}
            }
        }
        Some(Self { body, model: chunk.model, meter })
    }

    /// The same with the model's name that the client asked for.
    pub fn named(&self, asked: &str) -> Spliced<'b> {
        let mut edits = Edits::new();
        let quoted = text::quote(asked);
        if let Some(model) = self.model.filter(|model| model.of(self.body) != quoted) {
            edits.replace(model, quoted);
        }
        edits.on(self.body)
    }
}

/// Reads a whole answer as the events of a stream; `false` if it is none.
pub fn decode(body: &[u8], traits: &'static Traits, family: &str, sink: &mut Sink<'_>) -> bool {
    Decoder::new(traits, family).whole(body, sink)
}

/// Writes a whole answer from events. Texts are the insides of JSON strings.
#[derive(Debug)]
pub struct Fold {
    frame: Frame,
    text: Option<Vec<u8>>,
    thinking: Vec<u8>,
    refusal: Vec<u8>,
    /// Elements of `reasoning_details`.
    details: Vec<u8>,
    /// Elements of `tool_calls`, the open one without its end.
    calls: Vec<u8>,
    thoughts: usize,
    now: Now,
    usage: Usage,
    finish: &'static str,
}

/// What is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Now {
    Nothing,
    Text,
    Thinking,
    Refusal,
    Call { args: bool },
}

impl Fold {
    /// Before the first event.
    pub fn new(frame: Frame) -> Self {
        Self {
            frame,
            text: None,
            thinking: Vec::new(),
            refusal: Vec::new(),
            details: Vec::new(),
            calls: Vec::new(),
            thoughts: 0,
            now: Now::Nothing,
            usage: Usage::default(),
            finish: "stop",
        }
    }

    /// Takes the next event.
    pub fn push(&mut self, event: &Event<'_>) {
        match event {
            Event::Start { .. } | Event::Fault(_) => {}
            Event::Open(open) => self.open(open),
            Event::Delta(delta) => self.delta(delta),
            Event::Close => self.close(),
            Event::Usage(usage) => self.usage = *usage,
            Event::Stop { reason, .. } => self.finish = finish::word(reason, !self.calls.is_empty()),
        }
    }

    fn open(&mut self, open: &Open<'_>) {
        self.now = match open {
            Open::Text => {
                self.text.get_or_insert_default();
                Now::Text
            }
            Open::Thinking => Now::Thinking,
            Open::Refusal => Now::Refusal,
            Open::Opaque { .. } => Now::Nothing,
            Open::ToolCall { id, name } => {
                let front: &[u8] = if self.calls.is_empty() { b"{\"id\":\"" } else { b",{\"id\":\"" };
                let name = self.frame.names.original(name);
                let between: &[u8] = b"\",\"type\":\"function\",\"function\":{\"name\":\"";
                for piece in [front, id, between, name, b"\",\"arguments\":\""] {
                    self.calls.extend_from_slice(piece);
                }
                Now::Call { args: false }
            }
        };
    }

    fn delta(&mut self, delta: &Delta<'_>) {
        match (self.now, delta) {
            (Now::Text, Delta::Text(text)) => self.text.get_or_insert_default().extend_from_slice(text),
            (Now::Thinking, Delta::Text(text)) => self.thinking.extend_from_slice(text),
            (Now::Refusal, Delta::Text(text)) => self.refusal.extend_from_slice(text),
            (Now::Call { .. }, Delta::Args(args)) => {
                self.calls.extend_from_slice(args);
                self.now = Now::Call { args: true };
            }
            (Now::Thinking, Delta::Seal { family, payload }) if !payload.is_empty() => {
                if !self.details.is_empty() {
                    self.details.push(b',');
                }
                envelope::sealed(self.thoughts, family, payload, &mut self.details);
            }
            _ => {}
        }
    }

    fn close(&mut self) {
        match std::mem::replace(&mut self.now, Now::Nothing) {
            Now::Call { args } => {
                // Clients parse the arguments of every call.
                let end: &[u8] = if args { b"\"}}" } else { b"{}\"}}" };
                self.calls.extend_from_slice(end);
            }
            Now::Thinking => self.thoughts += 1,
            Now::Nothing | Now::Text | Now::Refusal => {}
        }
    }

    /// The body.
    pub fn finish(self) -> Vec<u8> {
        let mut out = b"{".to_vec();
        envelope::head(&self.frame, "chat.completion", &mut out);
        out.extend_from_slice(b",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
        string_or_null(self.text.as_deref(), &mut out);
        out.extend_from_slice(b",\"refusal\":");
        string_or_null(Some(&*self.refusal).filter(|refusal| !refusal.is_empty()), &mut out);
        if !self.thinking.is_empty() {
            out.extend_from_slice(b",\"reasoning_content\":");
            string_or_null(Some(&self.thinking), &mut out);
        }
        for (name, list) in [("reasoning_details", &self.details), ("tool_calls", &self.calls)] {
            if !list.is_empty() {
                for piece in [b",\"", name.as_bytes(), b"\":[", list, b"]"] {
                    out.extend_from_slice(piece);
                }
            }
        }
        out.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":\"");
        out.extend_from_slice(self.finish.as_bytes());
        out.extend_from_slice(b"\"}],\"usage\":");
        envelope::usage(&self.usage, &mut out);
        out.push(b'}');
        out
    }
}

fn string_or_null(inside: Option<&[u8]>, out: &mut Vec<u8>) {
    match inside {
        Some(inside) => {
            out.push(b'"');
            out.extend_from_slice(inside);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::wire::Stop;
    use crate::wire::names::Names;
    use crate::wire::traits::CHAT;

    #[test]
    fn a_whole_answer_passes_but_for_the_models_name() {
        let body = br#"{"id":"c","choices":[{"index":0,"message":{"content":"real"},"finish_reason":"length"}], "model": "real","usage":{"prompt_tokens":5,"completion_tokens":2,"cost":0.5}}"#;
        let reply = Reply::read(body, &CHAT).unwrap();
        let meter = &reply.meter;
        assert_eq!((meter.usage.input, meter.usage.output, meter.usage.cost_nano), (5, 2, Some(500_000_000)));
        assert_eq!(
            (&meter.stop, meter.model.as_deref(), meter.counted),
            (&Some(Stop::MaxTokens), Some("real"), true)
        );
        let named = String::from_utf8(reply.named("a \"b\"").to_vec()).unwrap();
        let body = std::str::from_utf8(body).unwrap();
        assert_eq!(named, body.replace(r#""model": "real""#, r#""model": "a \"b\"""#));
        assert!(reply.named("real").is_verbatim());
    }

    #[test]
    fn an_answer_is_told_from_an_error_and_from_a_strangers_body() {
        let read = |body: &str| Reply::read(body.as_bytes(), &CHAT).map(|reply| reply.meter);
        let error = |body: &str| read(body).unwrap().error.map(|told| told.message.into_string());
        for body in [
            r#"{"error":{"message":"m","code":502},"user_id":"u"}"#,
            r#"{"object":"error","message":"m","code":400}"#,
        ] {
            assert_eq!(error(body).as_deref(), Some("m"), "{body}");
        }
        let broke = r#"{"choices":[{"message":{"content":"x"},"finish_reason":"error"}]}"#;
        assert!(error(broke).is_some());
        assert_eq!(error(r#"{"error":null,"choices":[{"message":{"content":"x"}}]}"#), None);
        let list =
            r#"{"object":"list","data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#;
        assert_eq!(read(list).unwrap().usage.input, 8);
        for body in [r#"{"type":"message","usage":{}}"#, "[]", "<html>", ""] {
            assert!(read(body).is_none(), "{body}");
        }
    }

    /// What becomes of an answer that is read and written again.
    fn folded(message: &str, finish: &str) -> String {
        let names = Arc::new(Names::default());
        let frame = Frame { id: "req_1".into(), model: "asked".into(), created: 7, usage: false, names };
        let mut fold = Fold::new(frame);
        let body = format!(
            r#"{{"choices":[{{"message":{message},"finish_reason":"{finish}"}}],"usage":{{"prompt_tokens":5,"completion_tokens":2}}}}"#
        );
        assert!(decode(body.as_bytes(), &CHAT, "f", &mut |event| fold.push(&event)));
        let whole = String::from_utf8(fold.finish()).unwrap();
        let (front, rest) = whole.split_once(r#""message":{"role":"assistant","#).unwrap();
        assert_eq!(
            front,
            r#"{"id":"chatcmpl-1","object":"chat.completion","created":7,"model":"asked","choices":[{"index":0,"#
        );
        let end = r#"],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":0}}}"#;
        rest.strip_suffix(end).unwrap().to_owned()
    }

    #[test]
    fn a_folded_answer_has_a_place_for_each_kind() {
        let call = r#"{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}"#;
        for (message, finish, expected) in [
            (
                r#"{"content":"x","reasoning":"t"}"#.to_owned(),
                "stop",
                r#""content":"x","refusal":null,"reasoning_content":"t"},"logprobs":null,"finish_reason":"stop"}"#.to_owned(),
            ),
            (
                format!(r#"{{"content":null,"tool_calls":[{call},{}]}}"#, call.replace("{}", "").replace(":\"a\"", ":\"b\"")),
                "stop",
                format!(
                    r#""content":null,"refusal":null,"tool_calls":[{call},{}]}},"logprobs":null,"finish_reason":"tool_calls"}}"#,
                    call.replace(":\"a\"", ":\"b\"")
                ),
            ),
            (
                r#"{"content":null,"refusal":"no"}"#.to_owned(),
                "content_filter",
                r#""content":null,"refusal":"no"},"logprobs":null,"finish_reason":"content_filter"}"#.to_owned(),
            ),
        ] {
            assert_eq!(folded(&message, finish), expected, "{message}");
        }
    }
}
