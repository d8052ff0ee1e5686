//! Which provider is asked, with which key, as which model, and who follows when it fails.
//!
//! ```text
//!   model ──pins──▶ Asked ──lineup──▶ who may ──select, session──▶ Plan ──next──▶ Candidate ──▶ the attempt
//!                                                                   ▲   health        │
//!                                                                   └── failed, succeeded
//! ```
//!
//! Sees no message content, does no I/O, reads no clock (the time is passed in), writes no log. A [`Plan`] can only be
//! made from an [`crate::govern::Entry`]; a [`Candidate`] only by [`Plan::next`].

pub mod attempt;
pub mod health;
pub mod lineup;
pub mod lossy;
pub mod pins;
pub mod plan;
pub mod select;
pub mod session;
pub mod table;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

pub use attempt::{Attempt, Candidate, Exhausted, Next, Outcome, Why};
pub use health::Registry;
pub use lineup::{LeftOut, Reason};
pub use plan::{Choice, Plan, plan};
pub use select::Chooser;
pub use table::Table;

use crate::auth::Surface;
use crate::config::snapshot::Kind;
use crate::wire::traits::Traits;

/// What a request wants, as far as routing asks. From its head and the peek of its body.
#[derive(Clone, Copy)]
#[allow(clippy::struct_excessive_bools)] // Questions about one request, none of which answers another.
pub struct Want<'a> {
    /// The model as the client names it, with or without `[1m]`.
    pub model: &'a str,
    /// The surface it came in by.
    pub surface: Surface,
    /// [`session_hash`] of the session's id, if it has one.
    pub session: Option<u64>,
    /// A new turn of the user, not the middle of a tool loop: a moved session may return.
    pub new_turn: bool,
    /// How long the prompt cache lives without use: 5 minutes, or 1 hour where the request says so. Asked only for a
    /// session that was answered away from home, because it takes a look through the whole body.
    pub cache_ttl: &'a dyn Fn() -> Duration,
    /// The client asks for the window of a million tokens by the beta itself, whatever the model's name says.
    pub large_context: bool,
    /// Tokens that the model's window must hold at the least, if known.
    pub context_needed: Option<u64>,
    /// The context window of a model in tokens, with `[1m]` at the end of its name the large one; `None` where it is not
    /// known.
    pub window: fn(&str) -> Option<u64>,
    /// Embeddings are asked for: nobody without them is asked.
    pub embeddings: bool,
    /// The request holds images: those who take none are left out as long as another one may be asked.
    /// Asked only where there is one of either kind.
    pub images: &'a dyn Fn() -> bool,
    /// What providers of a type take.
    pub traits: fn(Kind) -> &'static Traits,
}

impl fmt::Debug for Want<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Want")
            .field("model", &self.model)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// A session's id as a number, the same on every worker and after every restart.
pub fn session_hash(id: &str) -> u64 {
    select::hash(id)
}
