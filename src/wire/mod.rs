//! Dialects: what the bytes of requests and answers mean, and how they are shaped for the model that gets them.
//!
//! ```text
//! wire/
//!   frame/sse.rs         events of a text/event-stream, pushed in pieces
//!   meter.rs             usage in disjoint counts, stop reason, error, model: what accounting and the record need
//!   loss.rs              names of what a request lost on the way to its model
//!   anthropic/
//!     request.rs         Ask: what the gateway needs of a Messages or count_tokens body
//!     capability.rs      table: what each family of models takes
//!     shape.rs           edits that make a request fit the model that it goes to
//!     repair.rs          what can be taken out of a request that a model refused
//!     drops.rs           fields and betas that are left out, in pairs; the beta header
//!     thinking.rs        the form of `thinking` that a model takes
//!     history.rs         cuts and changes inside `messages`
//!     marks.rs           cache marks that are refused
//!     stream.rs          one streamed answer: content, usage, end, errors
//!     reply.rs           one whole answer
//!     usage.rs           the `usage` object
//!     fault.rs           what an upstream's error means; error bodies and events of our own
//! ```
//!
//! Values in, values out: no I/O, no clock, no log, no lock, no configuration. Knows no provider's name, URL or
//! header. A body is never parsed into a tree; unknown fields, blocks and events pass as they are.

pub mod anthropic;
pub mod fault;
pub mod frame;
pub mod loss;
pub mod meter;

pub use loss::Loss;
pub use meter::{Meter, Stop, Usage};
