//! An answer on its way from its upstream's dialect to its client's.
//!
//! ```text
//! bytes ──▶ frame::Sse ──▶ decoder ──Event──▶ encoder ──▶ bytes          a stream
//! body  ─────────────────▶ decode  ──Event──▶ fold    ──▶ body           a whole answer
//! ```
//!
//! Both ways run over the same events, so that a stream and a whole answer cannot drift apart. Where both ends speak one
//! dialect the bytes pass, and only what the dialect's own passage edits is changed. Holds the choice between dialects
//! and what all have in common; formats are `wire/<dialect>`'s.

use std::borrow::Cow;
use std::sync::Arc;

use super::frame::Sse;
use super::ir::Event;
use super::meter::Meter;
use super::names::Names;
use super::traits::Traits;
use super::{Dialect, Ending, Heard, anthropic, chat};
use crate::limits;
use crate::wire::grammar::Grammar;

/// What the answer to one request is written with.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Our id of the request (`req_…`): the dialect makes the answer's own id of what stands behind its `_`.
    pub id: Box<str>,
    /// The model that the client asked for.
    pub model: Box<str>,
    /// Now, in seconds of Unix time.
    pub created: i64,
    /// The client wants usage at the end of a stream, where that is asked for.
    pub usage: bool,
    /// Names of tools to put back.
    pub names: Arc<Names>,
}

/// Where a decoder's events go.
pub type Sink<'s> = dyn FnMut(Event<'_>) + 's;

/// How an answer gets from its upstream to its client.
#[derive(Clone, Debug)]
pub struct Route {
    /// What the client speaks.
    pub client: Dialect,
    /// What the upstream speaks.
    pub target: Dialect,
    /// How its form of it differs.
    pub traits: &'static Traits,
    /// Whose opaque state the answer carries.
    pub family: Cow<'static, str>,
    /// What the answer is written with.
    pub frame: Frame,
}

/// A whole answer for the client.
#[derive(Debug)]
pub struct Whole {
    /// Its body; `None`: as it came.
    pub body: Option<Vec<u8>>,
    /// Usage, stop reason, model; `error` where this 200 is an error body.
    pub meter: Meter,
}

impl Route {
    /// For a stream.
    pub fn stream(&self) -> Passage {
        match (self.client, self.target) {
            (Dialect::Messages, Dialect::Messages) => Passage::Messages(anthropic::StreamReader::new()),
            (Dialect::Chat, Dialect::Chat) => {
                let Frame { model, usage, .. } = &self.frame;
                Passage::Chat(Box::new(chat::stream::verbatim::Passage::new(self.traits, model, *usage)))
            }
            (Dialect::Messages, Dialect::Chat) | (Dialect::Chat, Dialect::Messages) => {
                Passage::Hub(Box::new(Transcoder::new(self)))
            }
        }
    }

    /// A whole answer; `None` if the body is none of the upstream's dialect.
    pub fn whole(&self, body: &[u8]) -> Option<Whole> {
        let asked = &self.frame.model;
        let (named, meter) = match (self.client, self.target) {
            (Dialect::Messages, Dialect::Messages) => {
                let reply = anthropic::Reply::read(body)?;
                (reply.named(asked), reply.meter)
            }
            (Dialect::Chat, Dialect::Chat) => {
                let reply = chat::reply::Reply::read(body, self.traits)?;
                (reply.named(asked), reply.meter)
            }
            (Dialect::Messages, Dialect::Chat) | (Dialect::Chat, Dialect::Messages) => {
                return self.folded(body);
            }
        };
        let body = if named.is_verbatim() { None } else { Some(named.to_vec()) };
        Some(Whole { body, meter })
    }

    fn folded(&self, body: &[u8]) -> Option<Whole> {
        let mut fold = Fold::new(self);
        let mut noted = Noted::default();
        let mut sink = |event: Event<'_>| {
            noted.note(&event);
            fold.push(&event);
        };
        let read = match self.target {
            Dialect::Messages => anthropic::reply::decode(body, self.traits, &self.family, &mut sink),
            Dialect::Chat => chat::reply::decode(body, self.traits, &self.family, &mut sink),
        };
        read.then(|| Whole { body: Some(fold.finish()), meter: noted.meter })
    }
}

/// A stream on its way.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // The larger is the usual one, and spares an allocation.
pub enum Passage {
    /// Messages to Messages: bytes pass as they come, and are only read along.
    Messages(anthropic::StreamReader),
    /// Chat to Chat: whole events pass, with few edits.
    Chat(Box<chat::stream::verbatim::Passage>),
    /// From one dialect to another.
    Hub(Box<Transcoder>),
}

impl Passage {
    /// Reads the next bytes and writes what the client gets behind `out`. Not for [`Passage::Messages`], whose bytes are
    /// passed by themselves.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Heard {
        match self {
            Self::Messages(reader) => reader.push(bytes),
            Self::Chat(passage) => passage.push(bytes, out),
            Self::Hub(transcoder) => transcoder.push(bytes, out),
        }
    }

    /// The connection has ended, or broke behind the last thing that was said: what is still to be written goes behind `out`.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Messages(_) => {}
            Self::Chat(passage) => passage.end(out),
            Self::Hub(transcoder) => transcoder.end(out),
        }
    }

    /// Whether the model has said all, so that a connection that breaks now breaks nothing.
    pub fn is_complete(&self) -> bool {
        match self {
            Self::Messages(_) => false,
            Self::Chat(passage) => passage.ending() == Ending::Whole,
            Self::Hub(transcoder) => transcoder.decoder.is_complete(),
        }
    }

    /// Whether nothing can follow that is part of the answer.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Messages(reader) => matches!(reader.ending(), Ending::Whole | Ending::Told(_)),
            Self::Chat(passage) => passage.is_over(),
            Self::Hub(transcoder) => matches!(transcoder.ending(), Ending::Whole | Ending::Told(_)),
        }
    }

    /// What the stream amounts to, should its connection have ended.
    pub fn ending(&self) -> Ending {
        match self {
            Self::Messages(reader) => reader.ending(),
            Self::Chat(passage) => passage.ending(),
            Self::Hub(transcoder) => transcoder.ending(),
        }
    }

    /// Usage, stop reason, model and error so far.
    pub fn meter(&self) -> &Meter {
        match self {
            Self::Messages(reader) => reader.meter(),
            Self::Chat(passage) => passage.meter(),
            Self::Hub(transcoder) => &transcoder.noted.meter,
        }
    }
}

/// A stream from one dialect to another.
#[derive(Debug)]
pub struct Transcoder {
    sse: Sse,
    decoder: Decoder,
    encoder: Encoder,
    noted: Noted,
    /// Any event has come.
    any: bool,
}

impl Transcoder {
    fn new(route: &Route) -> Self {
        Self {
            sse: Sse::reading(limits::MAX_TRANSLATED_EVENT),
            decoder: Decoder::new(route),
            encoder: Encoder::new(route),
            noted: Noted::default(),
            any: false,
        }
    }

    /// Reads the next bytes and writes the client's events behind `out`.
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Heard {
        let Self { sse, decoder, encoder, noted, any } = self;
        sse.push(bytes, |event| {
            *any = true;
            decoder.push(&event, &mut |event| {
                noted.note(&event);
                encoder.push(&event, out);
            });
        });
        self.noted.heard()
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if !self.sse.at_boundary() && !self.decoder.is_complete() {
            // Some servers leave the blank line behind the last event out.
            self.push(b"\n\n", out);
        }
        let Self { decoder, encoder, noted, .. } = self;
        decoder.end(&mut |event| {
            noted.note(&event);
            encoder.push(&event, out);
        });
    }

    fn ending(&self) -> Ending {
        match &self.noted.meter.error {
            Some(told) => Ending::Told(told.failure),
            None if self.noted.stopped => Ending::Whole,
            None if self.any => Ending::Cut,
            None => Ending::Empty,
        }
    }
}

/// What the events of an answer have told so far.
#[derive(Debug, Default)]
struct Noted {
    meter: Meter,
    content: bool,
    stopped: bool,
    /// In debug builds decoders are held to the grammar.
    grammar: Grammar,
}

impl Noted {
    fn note(&mut self, event: &Event<'_>) {
        if cfg!(debug_assertions) {
            let checked = self.grammar.check(event);
            debug_assert!(checked.is_ok(), "a decoder breaks the grammar: {checked:?}");
        }
        match event {
            Event::Start { model } => {
                self.meter.model = model.and_then(|model| Some(std::str::from_utf8(model).ok()?.into()));
            }
            Event::Open(_) => {}
            Event::Delta(_) | Event::Close => self.content = true,
            Event::Usage(usage) => {
                self.meter.usage = *usage;
                self.meter.counted = true;
            }
            Event::Stop { reason, .. } => {
                self.meter.stop = Some((*reason).clone());
                self.content = true;
                self.stopped = true;
            }
            Event::Fault(told) => self.meter.error = Some((*told).clone()),
        }
    }

    fn heard(&self) -> Heard {
        Heard {
            content: self.content,
            fault: self.meter.error.as_ref().map(|told| told.failure),
            model_at: None,
            boundary: None,
        }
    }
}

/// Reads an upstream's stream.
#[derive(Debug)]
enum Decoder {
    Messages(anthropic::stream::read::Decoder),
    Chat(chat::stream::read::Decoder),
}

impl Decoder {
    fn new(route: &Route) -> Self {
        let Route { traits, family, .. } = route;
        match route.target {
            Dialect::Messages => Self::Messages(anthropic::stream::read::Decoder::new(traits, family)),
            Dialect::Chat => Self::Chat(chat::stream::read::Decoder::new(traits, family)),
        }
    }

    fn push(&mut self, event: &super::frame::Event<'_>, sink: &mut Sink<'_>) {
        match self {
            Self::Messages(decoder) => decoder.push(event, sink),
            Self::Chat(decoder) => decoder.push(event, sink),
        }
    }

    fn end(&mut self, sink: &mut Sink<'_>) {
        match self {
            Self::Messages(decoder) => decoder.end(sink),
            Self::Chat(decoder) => decoder.end(sink),
        }
    }

    fn is_complete(&self) -> bool {
        match self {
            Self::Messages(decoder) => decoder.is_complete(),
            Self::Chat(decoder) => decoder.is_complete(),
        }
    }
}

/// Writes a client's stream.
#[derive(Debug)]
enum Encoder {
    Messages(anthropic::stream::write::Encoder),
    Chat(chat::stream::write::Encoder),
}

impl Encoder {
    fn new(route: &Route) -> Self {
        let frame = route.frame.clone();
        match route.client {
            Dialect::Messages => Self::Messages(anthropic::stream::write::Encoder::new(frame)),
            Dialect::Chat => Self::Chat(chat::stream::write::Encoder::new(frame)),
        }
    }

    fn push(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Messages(encoder) => encoder.push(event, out),
            Self::Chat(encoder) => encoder.push(event, out),
        }
    }
}

/// Writes a client's whole answer.
#[derive(Debug)]
enum Fold {
    Messages(anthropic::reply::Fold),
    Chat(chat::reply::Fold),
}

impl Fold {
    fn new(route: &Route) -> Self {
        let frame = route.frame.clone();
        match route.client {
            Dialect::Messages => Self::Messages(anthropic::reply::Fold::new(frame)),
            Dialect::Chat => Self::Chat(chat::reply::Fold::new(frame)),
        }
    }

    fn push(&mut self, event: &Event<'_>) {
        match self {
            Self::Messages(fold) => fold.push(event),
            Self::Chat(fold) => fold.push(event),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Messages(fold) => fold.finish(),
            Self::Chat(fold) => fold.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::traits::{CHAT, MESSAGES};

    fn stream(client: Dialect, target: Dialect, traits: &'static Traits) -> Passage {
        let frame =
            Frame { id: "req_1".into(), model: "m".into(), created: 0, usage: true, names: Arc::default() };
        Route { client, target, traits, family: Cow::Borrowed("openai"), frame }.stream()
    }

    #[test]
    fn a_provider_tool_that_answers_at_length_does_not_break_the_stream() {
        let (mut passage, mut out) = (stream(Dialect::Chat, Dialect::Messages, &MESSAGES), Vec::new());
        let long = "x".repeat(limits::MAX_TRANSLATED_EVENT);
        for data in [
            r#"{"type":"message_start","message":{"id":"a","model":"m","usage":{"input_tokens":9}}}"#,
            &format!(
                r#"{{"type":"content_block_start","index":0,"content_block":{{"type":"web_fetch_tool_result","content":"{long}"}}}}"#
            ),
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"found"}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5}}"#,
            r#"{"type":"message_stop"}"#,
        ] {
            passage.push(format!("data: {data}\n\n").as_bytes(), &mut out);
        }
        passage.end(&mut out);
        let out = String::from_utf8(out).unwrap();
        assert!(
            out.contains("found") && !out.contains("error") && out.ends_with("data: [DONE]\n\n"),
            "{out}"
        );
        assert!(matches!(passage.ending(), Ending::Whole));
    }

    #[test]
    fn nothing_follows_an_event_that_is_too_long() {
        let (mut passage, mut out) = (stream(Dialect::Messages, Dialect::Chat, &CHAT), Vec::new());
        let chunk = |content: &str| {
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{content}\"}}}}]}}\n\n")
        };
        let long = chunk(&"x".repeat(limits::MAX_TRANSLATED_EVENT));
        for piece in [chunk("hi").as_bytes(), long.as_bytes(), chunk("more").as_bytes(), b"data: [DONE]\n\n"]
        {
            passage.push(piece, &mut out);
        }
        passage.end(&mut out);
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("\"hi\"") && !out.contains("more") && !out.contains("message_stop"), "{out}");
        assert!(out.trim_end().rsplit("event: ").next().unwrap().starts_with("error"), "{out}");
        assert!(matches!(passage.ending(), Ending::Told(_)));
    }
}
