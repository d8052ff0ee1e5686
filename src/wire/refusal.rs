//! Refusals of a request, in the same words whatever dialect it came in.
//!
//! Each names the field, what came and what was expected. Nothing of a value is shown but a short number; which
//! fields a dialect has, and what each of them takes, is `wire/<dialect>/request`'s.

use crate::error::{Error, Kind, Stage};
use crate::json::{Fault, text};

/// The refusal of a request.
pub(super) fn bad(message: impl Into<String>) -> Error {
    Error::new(Stage::Wire, Kind::BadRequest, message)
}

/// The refusal of a request that lacks a field.
pub(super) fn missing(name: &str) -> Error {
    bad(format!("{name}: field required"))
}

/// The refusal of a value of the wrong kind.
pub(super) fn wrong(name: &str, expected: &str, value: &[u8]) -> Error {
    let came = match text::kind(value) {
        // A number of the wrong kind says more when it is shown, and is short.
        "a number" if value.len() <= 24 => String::from_utf8_lossy(value).into_owned(),
        "a string" if text::string(value).is_none() => "a string that is not valid JSON text".to_owned(),
        kind => kind.to_owned(),
    };
    bad(format!("{name}: expected {expected}, got {came}"))
}

/// The refusal of a field that stands there `again`.
pub(super) fn once(name: &str, again: bool) -> Result<(), Error> {
    if again { Err(bad(format!("{name}: the key stands there twice; send it once"))) } else { Ok(()) }
}

/// The refusal of a body that is no JSON object.
pub(super) fn not_json(body: &[u8], fault: Fault) -> Error {
    let (line, column) = fault.place(body);
    bad(format!(
        "body: not a JSON object ({} at line {line}, column {column}, byte {})",
        fault.what, fault.at
    ))
}
