//! Dialects: what the bytes of requests and answers mean, and how they are shaped for the model that gets them.
//!
//! ```text
//! wire/
//!   frame/sse.rs         events of a text/event-stream, pushed in pieces
//!   meter.rs             usage in disjoint counts, stop reason, error, model: what accounting and the record need
//!   loss.rs              names of what a request lost on the way to its model
//!   heard.rs             how an answer stands: content, end, errors
//!   ir.rs                a conversation and the events of an answer, whatever dialect they come in
//!   grammar.rs           the order that events come in
//!   tokens.rs            how many tokens a conversation has, estimated and learnt
//!   traits.rs            table: how providers of one dialect differ
//!   names.rs             names and ids that a target takes
//!   seal.rs              opaque state of a provider inside a client's own opaque field
//!   ask.rs               what the gateway needs of a request, whatever dialect it comes in
//!   memo.rs              lists of tools that were translated before
//!   translate.rs         a request from its client's dialect to its target's: verbatim, or through the IR
//!   transcode.rs         an answer from its upstream's dialect to its client's, as a stream or whole
//!   refusal.rs           what is said of a request that cannot be read or sent on
//!   repair.rs            what mends a request that a model refused
//!   fault/               what an upstream's error means in any dialect; what a client of each is told
//!   anthropic/
//!     request.rs         Ask: what the gateway needs of a Messages or count_tokens body
//!     capability.rs      table: what each family of models takes
//!     shape.rs           edits that make a request fit the model that it goes to
//!     repair.rs          the fields that can be left out of a request that a model refused
//!     drops.rs           fields and betas that are left out, in pairs; the beta header
//!     thinking.rs        the form of `thinking` that a model takes
//!     history.rs         cuts and changes inside `messages`
//!     marks.rs           cache marks that are refused
//!     stream.rs          one streamed answer: content, usage, end, errors
//!     reply.rs           one whole answer
//!     usage.rs           the `usage` object
//!     fault.rs           which field an error refuses; error bodies and events of our own
//! ```
//!
//! Values in, values out: no I/O, no clock, no log, no lock, no configuration. Knows no provider's name, URL or
//! header. A body is never parsed into a tree; unknown fields, blocks and events pass as they are.

pub mod anthropic;
pub mod ask;
pub mod chat;
pub mod fault;
pub mod frame;
pub mod grammar;
pub mod heard;
pub mod ir;
pub mod loss;
pub mod memo;
pub mod meter;
pub mod names;
mod refusal;
pub mod repair;
pub mod seal;
pub mod tokens;
pub mod traits;
pub mod transcode;
pub mod translate;

pub use anthropic::capability::asks_for_large_window;
pub use anthropic::rename::renamed;
pub use anthropic::reply::{counted, counted_as};
pub use ask::{Ask, window};
pub use heard::{Ending, Heard};
pub use loss::Loss;
pub use meter::{Meter, Stop, Usage};

/// A JSON schema of requests and answers with its event vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Anthropic Messages.
    Messages,
    /// `OpenAI` Chat Completions, and embeddings beside it.
    Chat,
}

/// What is asked of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// An answer, in Messages.
    Messages,
    /// How many tokens a Messages request has.
    CountTokens,
    /// An answer, in Chat Completions.
    Chat,
    /// Embeddings in `OpenAI`'s form.
    Embeddings,
}

impl Call {
    /// The call that asks for an answer in a dialect.
    pub fn answer_in(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Messages => Self::Messages,
            Dialect::Chat => Self::Chat,
        }
    }

    /// The word for records.
    pub fn word(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
        }
    }

    /// The dialect that it is asked in.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Messages | Self::CountTokens => Dialect::Messages,
            Self::Chat | Self::Embeddings => Dialect::Chat,
        }
    }
}
