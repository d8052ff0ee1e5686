//! Whole answers of Chat Completions, and of embeddings: passed on, read and written.
//!
//! Placeholder.

use crate::json::Spliced;
use crate::wire::Meter;
use crate::wire::ir::Event;
use crate::wire::traits::Traits;
use crate::wire::transcode::{Frame, Sink};

/// A whole answer, as far as the gateway reads it.
#[derive(Debug)]
pub struct Reply<'b> {
    body: &'b [u8],
    /// Usage, stop reason, model and error.
    pub meter: Meter,
}

impl<'b> Reply<'b> {
    /// Reads a body; `None` if it is no answer of the dialect.
    pub fn read(_body: &'b [u8], _traits: &Traits) -> Option<Self> {
        unimplemented!()
    }

    /// The same with the model's name that the client asked for.
    pub fn named(&self, _asked: &str) -> Spliced<'b> {
        Spliced::verbatim(self.body)
    }
}

/// Reads a whole answer as the events of a stream; `false` if it is none.
pub fn decode(_body: &[u8], _traits: &'static Traits, _family: &str, _sink: &mut Sink<'_>) -> bool {
    unimplemented!()
}

/// Writes a whole answer from events.
#[derive(Debug)]
pub struct Fold;

impl Fold {
    /// Before the first event.
    pub fn new(_frame: Frame) -> Self {
        unimplemented!()
    }

    /// Takes the next event.
    pub fn push(&mut self, _event: &Event<'_>) {
        unimplemented!()
    }

    /// The body.
    pub fn finish(self) -> Vec<u8> {
        unimplemented!()
    }
}
