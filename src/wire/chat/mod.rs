//! `OpenAI` Chat Completions, as a client's dialect and as an upstream's, and embeddings beside it (wire.md 2 and 8).
//!
//! Every provider that speaks it differs a little; how is in [`super::traits`], what its models take in [`capability`]. Knows
//! no provider by name, no URL and no header.

pub mod capability;
mod chunk;
mod envelope;
pub mod fault;
mod finish;
pub mod repair;
pub mod reply;
pub mod request;
pub mod shape;
pub mod stream;
pub mod usage;

pub use request::Ask;
