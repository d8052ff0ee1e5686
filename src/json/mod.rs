//! JSON by byte ranges: what stands where in a body, and how to change it without touching the rest.
//!
//! [`peek`] finds members and elements (over blocks), [`splice`] edits them, [`text`] reads and writes scalars. There is no tree and
//! no copy: signed thinking blocks and prompt caches survive only byte for byte. Not a validator: what lies inside a
//! value that nobody asks for is only balanced, never judged; the provider judges it.

mod blocks;
pub mod peek;
pub mod splice;
pub mod text;

pub use peek::{Elements, Fault, Member, Members, Span, elements, member_of, members};
pub use splice::{Edits, Spliced};
