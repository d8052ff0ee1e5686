//! What differs from provider to provider outside the dialect: URL, authentication, the headers that cross.
//!
//! A table of types with the traits of each, and one function that writes heads for all. Looks at no message.

pub mod entry;
pub mod head;
mod traits;
