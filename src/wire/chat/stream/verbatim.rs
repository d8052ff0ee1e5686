//! A stream of Chat Completions on its way to a client of the same dialect.
//!
//! Placeholder.

use crate::wire::{Ending, Heard, Meter};

/// The reader of one stream, which writes what the client gets.
#[derive(Debug)]
pub struct Passage;

impl Passage {
    /// At the start of a stream. `asked` is the model's name for the client; without `usage` the chunk that only tells
    /// usage is left out.
    pub fn new(_traits: &'static crate::wire::traits::Traits, _asked: &str, _usage: bool) -> Self {
        unimplemented!()
    }

    /// Reads the next bytes and writes what the client gets behind `out`: whole events only.
    pub fn push(&mut self, _bytes: &[u8], _out: &mut Vec<u8>) -> Heard {
        unimplemented!()
    }

    /// What the stream amounts to, now that its connection has ended.
    pub fn ending(&self) -> Ending {
        unimplemented!()
    }

    /// Whether nothing follows that is part of the answer.
    pub fn is_over(&self) -> bool {
        unimplemented!()
    }

    /// Usage, stop reason, model and error so far.
    pub fn meter(&self) -> &Meter {
        unimplemented!()
    }
}
