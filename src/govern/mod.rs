//! Whether a caller may do what it asks: access now, rates and budgets in a later version.
//!
//! Sees no message content, does no I/O, and chooses no provider (that is `route`'s).

pub mod access;

pub use access::{Entry, enter};
