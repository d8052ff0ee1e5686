//! Framing of streams: where one event ends and the next begins. Knows nothing of what the events say.

pub mod sse;

pub use sse::{Event, Sse};
