//! Streamed answers of Chat Completions: passed on, read and written.
//!
//! Placeholder.

pub mod read;
pub mod verbatim;
pub mod write;
