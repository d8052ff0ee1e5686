//! Events as a stream of Chat Completions.
//!
//! Placeholder.

use crate::wire::ir::Event;
use crate::wire::transcode::Frame;

/// The writer of one stream.
#[derive(Debug)]
pub struct Encoder;

impl Encoder {
    /// At the start of a stream.
    pub fn new(_frame: Frame) -> Self {
        unimplemented!()
    }

    /// Writes one event behind `out`.
    pub fn push(&mut self, _event: &Event<'_>, _out: &mut Vec<u8>) {
        unimplemented!()
    }
}
