//! pointsman: one static binary between coding agents and LLM providers.
//!
//! A client sets `ANTHROPIC_BASE_URL` to the gateway; every request is authenticated, routed by weight, failed over
//! when a provider breaks, streamed back without delay and recorded. It is a synchronous, thread-per-core proxy: code
//! that reads from top to bottom, run by coroutines that stay on the core of their sockets.
//!
//! ```text
//! edge ──Head+Body──▶ auth ──Caller──▶ govern::enter ──Entry──▶ route ──Plan──▶ per attempt: wire ──▶ upstream
//! log  ◀──Record────── exchange ◀──Usage── relay ◀── gate ◀──bytes / events────────────────────────────┘
//! ```
//!
//! Each stage needs the value of the stage before it, and only that stage can build the value. [`exchange`] alone knows
//! the sequence and the retry loop.
//!
//! Invariants, kept by `tests/architecture.rs` and `.clippy.toml`:
//! - no `unsafe`; a coroutine waits on sockets only, everything else goes through [`runtime::home`];
//! - `json`, `wire` and [`gate`] do no I/O, read no clock, log nothing: values in, values out;
//! - only [`error`] and `wire/*/fault.rs` choose an HTTP status or write an error body;
//! - the request path neither panics on purpose nor holds a lock across I/O.

pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod edge;
pub mod error;
pub mod exchange;
pub mod gate;
pub mod gateway;
pub mod govern;
pub mod http;
pub mod json;
pub mod learn;
pub mod limits;
pub mod log;
pub mod mock;
pub mod models;
pub mod relay;
pub mod reply;
pub mod route;
pub mod runtime;
pub mod upstream;
pub mod wire;
