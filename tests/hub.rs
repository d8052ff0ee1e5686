//! Laws of the hub (DESIGN section 4): what goes from one dialect to another, held against recorded traffic.
//!
//! - Decoders keep the grammar of events, at every split, cut and wound, with the same events.
//! - `decode ∘ encode ∘ decode = decode`, for streams and whole answers, in a dialect and across.
//! - A folded stream is the whole answer; usage is what a slow reading finds.
//! - Requests say the same after every way that they may go; schemas and arguments cross byte for byte.
//! - Clients of both kinds understand every recorded answer: readers of their own, that forgive nothing.
//!
//! That nothing is allocated per delta is held in `tests/hub_allocations.rs`. Tests no routing and no sockets.

#[path = "hub/answer.rs"]
mod answer;
#[path = "laws/chance.rs"]
#[allow(dead_code)] // Shared with the laws of the verbatim path.
mod chance;
#[path = "laws/corpus.rs"]
#[allow(dead_code)] // As above.
mod corpus;
#[path = "laws/twin.rs"]
#[allow(dead_code)] // As above.
mod laws_twin;
#[path = "hub/machines.rs"]
mod machines;
#[path = "hub/requests.rs"]
mod requests;
#[path = "hub/streams.rs"]
mod streams;
#[path = "hub/strict.rs"]
mod strict;
#[path = "hub/twin.rs"]
mod twin;
