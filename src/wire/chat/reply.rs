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
