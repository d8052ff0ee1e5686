//! The coroutine runtime, tamed: worker threads pinned to cores, each the *home* of the connections that it serves.
//!
//! `may` serves a socket on worker `fd % workers` and resumes a coroutine wherever it is woken from. Left alone, a
//! connection would wander between cores and lose wake-ups. So this module owns every raw descriptor ([`socket`]),
//! every wait that is no socket wait ([`home`]) and every thread of the program ([`home::thread`]); all others read,
//! write, and call [`home`].
//!
//! Starts the workers once per process; knows nothing of HTTP.

#![allow(clippy::disallowed_methods)] // The one place that may touch may's primitives; see `.clippy.toml`.

pub mod buffer;
pub mod home;
pub mod line;
pub mod locals;
pub mod panics;
pub mod socket;
pub mod start;

pub use home::Home;
pub use line::Line;
pub use locals::Locals;
