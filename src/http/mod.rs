//! The parts of HTTP/1.1 that the edge (as a server) and the upstream (as a client) share, sans-I/O.
//!
//! Chunked coding, header lines, header lookups. Neither side's rules of the road: what a server refuses is `edge`'s,
//! what a client accepts is `upstream`'s.

pub mod chunked;
pub mod fields;
pub mod status;

pub use chunked::Chunked;
pub use fields::{Fields, Lines};
