//! A secret that cannot print itself.
//!
//! `Debug` shows nothing of the content and there is no `Display`: a secret reaches a socket by [`Secret::expose`] and
//! nothing else. It is not wiped from memory on drop (that would need `unsafe` or a further crate).

use std::fmt;

/// A key, a token, or a header value that may hold one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the wire only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
