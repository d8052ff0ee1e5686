//! The gateway from outside: real sockets on loopback, scripted providers, and the sentences that users would write in a
//! bug report.

#![allow(clippy::disallowed_methods)] // Tests are plain threads.

mod cancel;
mod edge;
mod failover;
mod gate;
mod hub;
mod keys;
mod named;
mod process;
mod routing;
mod support;
mod upstreams;
