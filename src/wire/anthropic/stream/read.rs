//! A stream of Messages as events.
//!
//! Placeholder.

use crate::wire::frame::sse;
use crate::wire::traits::Traits;
use crate::wire::transcode::Sink;

/// The reader of one stream.
#[derive(Debug)]
pub struct Decoder;

impl Decoder {
    /// At the start of a stream. `family` is whose opaque state it carries ([`crate::wire::seal`]).
    pub fn new(_traits: &'static Traits, _family: &str) -> Self {
        unimplemented!()
    }

    /// Reads one event of the stream.
    pub fn push(&mut self, _event: &sse::Event<'_>, _sink: &mut Sink<'_>) {
        unimplemented!()
    }

    /// The connection has ended: ends the answer if it is whole.
    pub fn end(&mut self, _sink: &mut Sink<'_>) {
        unimplemented!()
    }

    /// Whether the answer is told to be complete, so that a connection that breaks now breaks nothing.
    pub fn is_complete(&self) -> bool {
        unimplemented!()
    }

    /// Whether nothing follows that is part of the answer.
    pub fn is_over(&self) -> bool {
        unimplemented!()
    }
}
