//! Errors of the Anthropic dialect (wire.md 1.6).

use super::request::member_of;
use crate::error::{Class, Failure};
use crate::json::{Span, text};
use crate::wire::meter::Told;

/// Reads an error object, of an event's data or of a body.
pub fn told(data: &[u8]) -> Told {
    let error = member_of(data, Span::all(data), "error");
    let word = |name| {
        error
            .and_then(|e| member_of(data, e.value, name))
            .and_then(|m| text::string(m.value.of(data)))
            .unwrap_or_default()
    };
    let (kind, message) = (word("type"), word("message"));
    Told {
        failure: Failure::silent(Class::Server),
        kind: kind.as_ref().into(),
        message: message.as_ref().into(),
    }
}
