//! What the gateway needs of a request, whatever dialect it came in.
//!
//! One line of a match for each dialect; what is read and checked is `wire/<dialect>/request`'s. Translates nothing.

use std::borrow::Cow;

use super::{Call, Dialect, anthropic, chat};
use crate::error::Error;

/// A request body, as far as the gateway reads it.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // One for each request, and the larger is the usual one.
pub enum Ask<'b> {
    /// Anthropic Messages, and the counting of its tokens.
    Messages(anthropic::Ask<'b>),
    /// Chat Completions and embeddings.
    Chat(chat::Ask<'b>),
}

impl<'b> Ask<'b> {
    /// Reads a body. The error names the field, what came and what was expected.
    pub fn read(body: &'b [u8], call: Call) -> Result<Self, Error> {
        Ok(match call {
            Call::Messages => Self::Messages(anthropic::Ask::read(body, anthropic::Call::Messages)?),
            Call::CountTokens => Self::Messages(anthropic::Ask::read(body, anthropic::Call::CountTokens)?),
            Call::Chat => Self::Chat(chat::Ask::read(body, false)?),
            Call::Embeddings => Self::Chat(chat::Ask::read(body, true)?),
        })
    }

    /// What it came in.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Messages(_) => Dialect::Messages,
            Self::Chat(_) => Dialect::Chat,
        }
    }

    /// The body as it came.
    pub fn body(&self) -> &'b [u8] {
        match self {
            Self::Messages(ask) => ask.body,
            Self::Chat(ask) => ask.body,
        }
    }

    /// The model as the client wrote it, `[1m]` included.
    pub fn model(&self) -> &str {
        match self {
            Self::Messages(ask) => &ask.model,
            Self::Chat(ask) => &ask.model,
        }
    }

    /// Whether the answer is to be streamed: counts and embeddings never are.
    pub fn stream(&self) -> bool {
        match self {
            Self::Messages(ask) => ask.stream && ask.max_tokens.is_some(),
            Self::Chat(ask) => ask.stream && !ask.messages.is_empty(),
        }
    }

    /// Whether a stream is to end with its usage. Only Chat leaves that to the client.
    pub fn usage(&self) -> bool {
        match self {
            Self::Messages(_) => true,
            Self::Chat(ask) => ask.include_usage,
        }
    }

    /// The session that the dialect's own field for it names.
    pub fn session(&self) -> Option<Cow<'b, str>> {
        match self {
            Self::Messages(ask) => ask.session(),
            Self::Chat(_) => None,
        }
    }

    /// The session by the names that routers and other clients have for it: `session_id`, else `prompt_cache_key`.
    pub fn session_of_others(&self) -> Option<Cow<'b, str>> {
        match self {
            Self::Messages(ask) => ask.session_of_others(),
            Self::Chat(ask) => ask.session(),
        }
    }

    /// Whether the user speaks, and no tool answers.
    pub fn new_turn(&self) -> bool {
        match self {
            Self::Messages(ask) => ask.new_turn(),
            Self::Chat(ask) => ask.new_turn(),
        }
    }

    /// Whether any cache mark asks for an hour.
    pub fn caches_for_an_hour(&self) -> bool {
        match self {
            Self::Messages(ask) => ask.caches_for_an_hour(),
            Self::Chat(_) => false,
        }
    }

    /// Whether it holds an image; a text that quotes one does not count, since its quotes are escaped.
    pub fn shows_images(&self) -> bool {
        let mark: &[u8] = match self {
            Self::Messages(_) => b"\"image\"",
            Self::Chat(_) => b"\"image_url\"",
        };
        memchr::memmem::find(self.body(), mark).is_some()
    }

    /// The fewest tokens that it can have, where that could exceed a window.
    pub fn fewest_tokens(&self) -> Option<u64> {
        match self {
            Self::Messages(ask) => anthropic::estimate::fewest_tokens(ask),
            Self::Chat(_) => None,
        }
    }
}

/// The context window of a model in tokens, if it is known; `[1m]` at the end of its name asks for the large one.
pub fn window(model: &str) -> Option<u64> {
    anthropic::capability::window(model).or_else(|| chat::capability::window(model))
}
