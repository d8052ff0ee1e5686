//! What the gateway needs of a Chat Completions or embeddings body, found in one pass and kept as byte ranges.
//!
//! Placeholder for the peek.

pub mod read;
pub mod tools;
pub mod write;

use std::borrow::Cow;

use crate::error::Error;

/// A request body, as far as the gateway reads it.
#[derive(Clone, Debug)]
pub struct Ask<'b> {
    /// The body as it came.
    pub body: &'b [u8],
    /// `model` as the client wrote it, `[1m]` included.
    pub model: Cow<'b, str>,
    /// `stream`; absent and `null` are `false`.
    pub stream: bool,
    /// `stream_options.include_usage`.
    pub include_usage: bool,
}

impl<'b> Ask<'b> {
    /// Reads a body; `embeddings`: it has `input` and no `messages`. The error names the field, what came and what was
    /// expected.
    pub fn read(_body: &'b [u8], _embeddings: bool) -> Result<Self, Error> {
        unimplemented!()
    }

    /// The session by the names that clients have for it: `session_id`, else `prompt_cache_key`.
    pub fn session(&self) -> Option<Cow<'b, str>> {
        unimplemented!()
    }

    /// Whether the user speaks, and no tool answers.
    pub fn new_turn(&self) -> bool {
        unimplemented!()
    }
}
