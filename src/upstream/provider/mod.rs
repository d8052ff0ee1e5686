//! What differs from provider to provider outside the dialect: URL, authentication, the headers that cross.
//!
//! One file per family. Looks at no message.

pub mod anthropic;
pub mod entry;
