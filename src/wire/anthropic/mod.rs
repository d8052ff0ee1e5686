//! The Anthropic Messages dialect (wire.md section 1).
//!
//! When the target speaks it too, the body passes verbatim but for the edits of [`mod@shape`], and the answer passes as it
//! comes while [`stream`] or [`reply`] read along. Otherwise a request is read into the IR ([`request::read`]) or written
//! from it ([`request::write`]), and an answer likewise by events (`stream::read`, `stream::write`, `reply`). Knows no other
//! dialect.

mod blocks;
pub mod capability;
mod drops;
mod envelope;
pub mod estimate;
pub mod fault;
mod history;
mod management;
mod marks;
pub mod rename;
pub mod repair;
pub mod reply;
pub mod request;
mod sampling;
pub mod shape;
mod signature;
pub mod stream;
mod thinking;
mod usage;

pub use repair::{Beta, Field};
pub use reply::Reply;
pub use request::{Ask, Call};
pub use shape::{Shaped, Target, shape};
pub use stream::StreamReader;
