//! A stream of Chat Completions as events (wire.md 20.1), and a whole answer as the same events.
//!
//! ```text
//!           a choice                finish_reason            [DONE], or the end
//!   Fresh ───────────▶ Answering ─────────────────▶ Finished ──────────────────▶ Over
//!     │                    │ [DONE]: inferred           │                          ▲
//!     └────────────────────┴───── an error ─────────────┴──────────────────────────┘
//! ```
//!
//! Usage follows the finish or stands anywhere else: it is kept and told in front of the stop. A second finish and
//! content behind the first are ignored; a stream that ends without either a finish or `[DONE]` was cut, and is not ended
//! here. What blocks the pieces make is `blocks`'s. Reads no bytes: events are framed already.

mod blocks;
mod calls;
mod details;
mod progress;
mod tags;
#[cfg(test)]
mod tests;

use blocks::Blocks;

use crate::error::{Class, Failure};
use crate::json::{Span, text};
use crate::wire::chat::chunk::{Choice, Chunk, Said};
use crate::wire::chat::finish;
use crate::wire::chat::usage::Counts;
use crate::wire::frame::sse;
use crate::wire::ir::Event;
use crate::wire::meter::{Stop, Told};
use crate::wire::traits::Traits;
use crate::wire::transcode::Sink;

/// The reader of one stream.
#[derive(Debug)]
pub struct Decoder {
    traits: &'static Traits,
    stage: Stage,
    blocks: Blocks,
    counts: Counts,
}

/// Where the answer stands.
#[derive(Debug)]
enum Stage {
    /// Nothing of an answer has come.
    Fresh,
    /// It is under way.
    Answering,
    /// It is told to be complete; usage may follow.
    Finished { stop: Stop, sequence: Option<Box<[u8]>> },
    /// Ended or broken.
    Over,
}

impl Decoder {
    /// At the start of a stream. `family` is whose opaque state it carries ([`crate::wire::seal`]).
    pub fn new(traits: &'static Traits, family: &str) -> Self {
        Self { traits, stage: Stage::Fresh, blocks: Blocks::new(traits, family), counts: Counts::default() }
    }

    /// Reads one event of the stream.
    pub fn push(&mut self, event: &sse::Event<'_>, sink: &mut Sink<'_>) {
        let data = event.data.trim_ascii();
        match Chunk::read(data) {
            _ if self.is_over() => {}
            _ if event.unread => self.fault(&unreadable("an event that is too long"), sink),
            _ if data == b"[DONE]" => self.done(sink),
            Some(chunk) if chunk.error || event.name == b"error" => {
                self.usage(data, &chunk);
                self.fault(&crate::wire::fault::told(data), sink);
            }
            Some(chunk) => self.chunk(data, &chunk, sink),
            None if event.name == b"error" => self.fault(&crate::wire::fault::told(data), sink),
            None if data.starts_with(b"{") => self.fault(&unreadable("an event that is no JSON"), sink),
            None => {}
        }
    }

    /// Reads a whole answer; `false` if it is none.
    pub(in crate::wire::chat) fn whole(&mut self, body: &[u8], sink: &mut Sink<'_>) -> bool {
        let Some(chunk) = Chunk::read(body) else { return false };
        if chunk.error {
            self.fault(&crate::wire::fault::told(body), sink);
            return true;
        }
        self.chunk(body, &chunk, sink);
        let answered = !matches!(self.stage, Stage::Fresh);
        self.done(sink);
        answered
    }

    /// The connection has ended: ends the answer if it is whole.
    pub fn end(&mut self, sink: &mut Sink<'_>) {
        match self.stage {
            Stage::Finished { .. } => self.done(sink),
            Stage::Fresh | Stage::Answering | Stage::Over => {}
        }
    }

    /// Whether the answer is told to be complete, so that a connection that breaks now breaks nothing.
    pub fn is_complete(&self) -> bool {
        matches!(self.stage, Stage::Finished { .. } | Stage::Over)
    }

    /// Whether nothing follows that is part of the answer.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    fn chunk(&mut self, data: &[u8], chunk: &Chunk, sink: &mut Sink<'_>) {
        self.usage(data, chunk);
        let Some(choice) = &chunk.choice else { return };
        match self.stage {
            Stage::Fresh => self.start(data, chunk, sink),
            Stage::Answering => {}
            Stage::Finished { .. } | Stage::Over => return,
        }
        self.choice(data, choice, sink);
    }

    fn start(&mut self, data: &[u8], chunk: &Chunk, sink: &mut Sink<'_>) {
        self.stage = Stage::Answering;
        self.blocks.made_by(chunk.id.map_or(data, |id| id.of(data)));
        let model = chunk.model.map(|model| model.of(data));
        let inner = model.and_then(|model| model.strip_prefix(b"\"")?.strip_suffix(b"\""));
        sink(Event::Start { model: inner.filter(|model| !model.is_empty()) });
    }

    fn choice(&mut self, data: &[u8], choice: &Choice, sink: &mut Sink<'_>) {
        // Some repeat all that was said so far in a `message` beside the delta.
        let message = choice.message.filter(|_| !self.blocks.shown());
        if let Some(object) = choice.delta.or(message) {
            self.blocks.said(data, &Said::read(data, object), sink);
        }
        let stopped = choice.stopped.map(|value| value.of(data));
        match choice.finish.and_then(|value| finish::read(value.of(data), stopped)) {
            None => {}
            Some(Ok(stop)) => {
                let sequence = stopped.filter(|_| stop == Stop::StopSequence).and_then(finish::sequence);
                self.stage = Stage::Finished { stop, sequence: sequence.map(Into::into) };
                self.blocks.finish(sink);
            }
            Some(Err(told)) => self.fault(&told, sink),
        }
    }

    fn usage(&mut self, data: &[u8], chunk: &Chunk) {
        chunk.usage.into_iter().flatten().for_each(|usage| self.counts.read(data, usage));
    }

    fn done(&mut self, sink: &mut Sink<'_>) {
        let (stop, sequence) = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Fresh | Stage::Over => return,
            Stage::Answering => (Stop::EndTurn, None),
            Stage::Finished { stop, sequence } => (stop, sequence),
        };
        self.blocks.finish(sink);
        self.tell_usage(sink);
        let reason = match finish::with_calls(stop, self.blocks.called()) {
            Stop::EndTurn if self.blocks.refused() => Stop::Refusal,
            reason => reason,
        };
        sink(Event::Stop { reason: &reason, sequence: sequence.as_deref() });
    }

    fn fault(&mut self, told: &Told, sink: &mut Sink<'_>) {
        if !matches!(std::mem::replace(&mut self.stage, Stage::Over), Stage::Fresh) {
            // What is open stays open: its end would count as content, and the answer could not be replaced any more.
            self.tell_usage(sink);
        }
        sink(Event::Fault(told));
    }

    fn tell_usage(&self, sink: &mut Sink<'_>) {
        if self.counts.told() {
            sink(Event::Usage(self.counts.usage(self.traits.usage)));
        }
    }
}

/// An event that would have to be read and cannot be: what it says is lost, and with it the answer.
fn unreadable(what: &str) -> Told {
    Told {
        failure: Failure { status: 502, ..Failure::silent(Class::Unreadable) },
        kind: "server_error".into(),
        message: format!("the provider's stream has {what}").into(),
    }
}

/// The inside of a string value; empty for everything else.
fn inner(data: &[u8], value: Span) -> &[u8] {
    value.of(data).strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or_default()
}

/// What a string value means, as bytes; `None` for everything else.
fn plain(data: &[u8], value: Span) -> Option<Box<[u8]>> {
    text::string(value.of(data)).map(|plain| plain.as_bytes().into())
}
