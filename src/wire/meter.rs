//! What an answer cost and how it ended, whatever dialect it came in.
//!
//! Filled by the readers of each dialect while bytes pass; read by the record and by accounting. Usage is kept as
//! disjoint counts, so that nobody adds a cached token twice. Prices are not known here.

use serde::Serialize;

use crate::error::Failure;

/// Tokens and calls in disjoint counts; `reasoning` alone lies within `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Input tokens that came from no cache and went into none.
    pub input: u64,
    /// Input tokens read from the prompt cache.
    pub cache_read: u64,
    /// Input tokens written to the cache for five minutes.
    pub cache_write_5m: u64,
    /// Input tokens written to the cache for an hour.
    pub cache_write_1h: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// Output tokens that were thinking.
    pub reasoning: u64,
    /// Web searches that the provider ran.
    pub web_searches: u64,
    /// Pages that the provider fetched.
    pub web_fetches: u64,
    /// What the provider says it charged for all of it, in billionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_nano: Option<u64>,
}

/// Why an answer ended (wire.md section 11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The model was done.
    EndTurn,
    /// One of the request's stop sequences came up.
    StopSequence,
    /// The output limit was reached.
    MaxTokens,
    /// The context window was full.
    ContextWindow,
    /// The model waits for a tool's result.
    ToolUse,
    /// A server tool's turn may be continued.
    PauseTurn,
    /// The model or a filter refused.
    Refusal,
    /// The provider compacted the conversation.
    Compaction,
    /// A reason that is not known here, as the provider wrote it.
    Other(Box<str>),
}

impl Stop {
    /// The word for records: Anthropic's spelling, or the provider's own.
    pub fn word(&self) -> &str {
        match self {
            Self::EndTurn => "end_turn",
            Self::StopSequence => "stop_sequence",
            Self::MaxTokens => "max_tokens",
            Self::ContextWindow => "model_context_window_exceeded",
            Self::ToolUse => "tool_use",
            Self::PauseTurn => "pause_turn",
            Self::Refusal => "refusal",
            Self::Compaction => "compaction",
            Self::Other(word) => word,
        }
    }

    /// The reason behind Anthropic's word for it.
    pub fn from_anthropic(word: &str) -> Self {
        match word {
            "end_turn" => Self::EndTurn,
            "stop_sequence" => Self::StopSequence,
            "max_tokens" => Self::MaxTokens,
            "model_context_window_exceeded" => Self::ContextWindow,
            "tool_use" => Self::ToolUse,
            "pause_turn" => Self::PauseTurn,
            "refusal" => Self::Refusal,
            "compaction" => Self::Compaction,
            other => Self::Other(other.into()),
        }
    }
}

/// An error that came inside a 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What it means for routing.
    pub failure: Failure,
    /// The provider's word for it: `overloaded_error`.
    pub kind: Box<str>,
    /// The provider's message. May quote the request: for the client, not for logs.
    pub message: Box<str>,
}

/// What is known of one answer so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// Usage as last told; the last count that was told stands, nothing is added up.
    pub usage: Usage,
    /// Whether any usage was told.
    pub counted: bool,
    /// Why the answer ended.
    pub stop: Option<Stop>,
    /// The model that the provider says it was.
    pub model: Option<Box<str>>,
    /// The first error inside the answer.
    pub error: Option<Told>,
}
