//! An answer on its way from its upstream's dialect to its client's.
//!
//! ```text
//! bytes ──▶ frame::Sse ──▶ decoder ──Event──▶ encoder ──▶ bytes          a stream
//! body  ─────────────────▶ decode  ──Event──▶ fold    ──▶ body           a whole answer
//! ```
//!
//! Both ways run over the same events, so that a stream and a whole answer cannot drift apart. Holds the choice between
//! dialects and what all have in common; formats are `wire/<dialect>`'s.

use std::sync::Arc;

use super::ir::Event;
use super::names::Names;

/// What the answer to one request is written with.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Our id of the request (`req_…`): the dialect makes the answer's own id of what stands behind its `_`.
    pub id: Box<str>,
    /// The model that the client asked for.
    pub model: Box<str>,
    /// Now, in seconds of Unix time.
    pub created: i64,
    /// The client wants usage at the end of a stream, where that is asked for.
    pub usage: bool,
    /// Names of tools to put back.
    pub names: Arc<Names>,
}

/// Where a decoder's events go.
pub type Sink<'s> = dyn FnMut(Event<'_>) + 's;
