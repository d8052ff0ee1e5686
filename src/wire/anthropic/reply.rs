//! Reads one whole answer: the model's place, usage, stop reason, and whether it is an error in disguise.
//!
//! The body passes as it is but for the model's name; nothing is checked beyond "an object with a `type`", which tells
//! an answer of the dialect from a stranger's JSON.

use super::fault;
use super::usage::Counts;
use crate::json::{self, Edits, Span, Spliced, text};
use crate::wire::{Meter, Stop};

/// A whole answer, as far as it is read.
#[derive(Clone, Debug)]
pub struct Reply<'b> {
    body: &'b [u8],
    /// Where the value of the top-level `model` stands.
    pub model_at: Option<Span>,
    /// Usage, stop reason, model; `error` if this 200 is an error body.
    pub meter: Meter,
}

impl<'b> Reply<'b> {
    /// Reads a body; `None` if it is no answer of this dialect ([`crate::error::Class::Unreadable`]).
    pub fn read(body: &'b [u8]) -> Option<Self> {
        let mut reply = Self { body, model_at: None, meter: Meter::default() };
        let mut counts = Counts::default();
        let mut kind = None;
        let mut error = false;
        for member in json::members(body, Span::all(body)) {
            let member = member.ok()?;
            let value = member.value.of(body);
            match member.key.of(body) {
                b"\"type\"" => kind = text::string(value),
                b"\"model\"" => {
                    reply.model_at = Some(member.value);
                    reply.meter.model = text::string(value).map(|model| model.as_ref().into());
                }
                b"\"usage\"" => counts.read(body, member.value),
                b"\"stop_reason\"" => {
                    reply.meter.stop = text::string(value).map(|word| Stop::from_anthropic(&word));
                }
                b"\"error\"" => error = value != b"null",
                _ => {}
            }
        }
        match kind.as_deref() {
            Some("error") => reply.meter.error = Some(fault::told(body)),
            // Routers answer 200 with the error of the provider behind them, in a shape without `type`.
            None if error => reply.meter.error = Some(fault::told(body)),
            None => return None,
            Some(_) => {}
        }
        reply.meter.usage = counts.usage();
        reply.meter.counted = counts.told();
        Some(reply)
    }

    /// The body with `asked` as the model's name; as it is where it already says so or names none.
    pub fn named(&self, asked: &str) -> Spliced<'b> {
        let mut edits = Edits::new();
        match self.model_at {
            Some(at) if self.meter.model.as_deref() != Some(asked) => edits.replace(at, text::quote(asked)),
            _ => {}
        }
        edits.on(self.body)
    }
}

/// The count of a count_tokens answer; `None` if the body is none.
pub fn counted(body: &[u8]) -> Option<u64> {
    let count = super::request::member_of(body, Span::all(body), "input_tokens")?;
    text::count(count.value.of(body))
}
