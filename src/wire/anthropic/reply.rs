//! Reads one whole answer: the model's place, usage, stop reason, and whether it is an error in disguise.
//!
//! The body passes as it is but for the model's name; nothing is checked beyond "an object with a `type`", which tells
//! an answer of the dialect from a stranger's JSON.

use super::usage::Counts;
use crate::json::{self, Edits, Span, Spliced, text};
use crate::wire::fault;
use crate::wire::ir::Event;
use crate::wire::traits::Traits;
use crate::wire::transcode::{Frame, Sink};
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

/// The count of a `count_tokens` answer; `None` if the body is none.
pub fn counted(body: &[u8]) -> Option<u64> {
    let count = super::request::member_of(body, Span::all(body), "input_tokens")?;
    text::count(count.value.of(body))
}

/// Reads a whole answer as the events of a stream; `false` if it is none.
pub fn decode(_body: &[u8], _traits: &'static Traits, _family: &str, _sink: &mut Sink<'_>) -> bool {
    unimplemented!()
}

/// Writes a whole answer from events.
#[derive(Debug)]
pub struct Fold;

impl Fold {
    /// Before the first event.
    pub fn new(_frame: Frame) -> Self {
        unimplemented!()
    }

    /// Takes the next event.
    pub fn push(&mut self, _event: &Event<'_>) {
        unimplemented!()
    }

    /// The body.
    pub fn finish(self) -> Vec<u8> {
        unimplemented!()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;
    use crate::wire::Usage;

    #[test]
    fn a_whole_answer_gives_model_usage_and_stop_in_any_order() {
        let body = br#"{"content":[{"type":"text","text":"\"model\":\"x\""}],"usage":{"input_tokens":10,"cache_creation_input_tokens":7,"cache_read_input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4},"output_tokens":20,"output_tokens_details":{"thinking_tokens":9},"server_tool_use":{"web_search_requests":2,"web_fetch_requests":1},"new_tokens":8},"stop_reason":"end_turn","model":"real","type":"message"}"#;
        let reply = Reply::read(body).unwrap();
        let usage = Usage {
            input: 10,
            cache_read: 5,
            cache_write_5m: 3,
            cache_write_1h: 4,
            output: 20,
            reasoning: 9,
            web_searches: 2,
            web_fetches: 1,
            cost_nano: None,
        };
        assert_eq!(reply.meter.usage, usage);
        assert_eq!((reply.meter.stop.clone(), reply.meter.counted), (Some(Stop::EndTurn), true));
        let named = String::from_utf8(reply.named("asked \"so\"").to_vec()).unwrap();
        assert_eq!(named, String::from_utf8_lossy(body).replace("\"real\"", r#""asked \"so\"""#));
        assert!(reply.named("real").is_verbatim());
    }

    #[test]
    fn a_split_of_cache_writes_never_exceeds_their_total() {
        for (usage, five, hour) in [
            (r#"{"input_tokens":1,"cache_creation_input_tokens":7}"#, 7, 0),
            (r#"{"input_tokens":1,"cache_creation":{"ephemeral_1h_input_tokens":4}}"#, 0, 4),
            (
                r#"{"input_tokens":1,"cache_creation_input_tokens":2,"cache_creation":{"ephemeral_1h_input_tokens":4}}"#,
                0,
                2,
            ),
            (r#"{"input_tokens":1,"cache_creation_input_tokens":null,"cache_creation":null}"#, 0, 0),
            (r#"{"input_tokens":1.0,"cache_creation_input_tokens":"many"}"#, 0, 0),
        ] {
            let body = format!(r#"{{"type":"message","usage":{usage}}}"#);
            let meter = Reply::read(body.as_bytes()).unwrap().meter;
            assert_eq!(
                (meter.usage.input, meter.usage.cache_write_5m, meter.usage.cache_write_1h),
                (1, five, hour),
                "{usage}"
            );
        }
    }

    #[test]
    fn an_error_inside_a_200_is_told() {
        for (body, class) in [
            (r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#, Class::Overloaded),
            (r#"{"error":{"message":"Provider returned error","code":502},"user_id":"u"}"#, Class::Server),
        ] {
            let error = Reply::read(body.as_bytes()).unwrap().meter.error.unwrap();
            assert_eq!(error.failure.class, class, "{body}");
        }
        let fine = Reply::read(br#"{"type":"message","error":null}"#).unwrap();
        assert_eq!((fine.meter.error, fine.meter.counted), (None, false));
    }

    #[test]
    fn a_strangers_answer_is_none() {
        for body in [
            "",
            "{}",
            "[]",
            "<html>",
            "{\"type\":\"message\"",
            "{\"type\":\"message\"} x",
            "{\"type\":1}",
            "{\"error\":null}",
        ] {
            assert!(Reply::read(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn a_count_is_read() {
        assert_eq!(counted(br#"{"input_tokens": 14}"#), Some(14));
        assert_eq!(counted(br#"{"input_tokens":"14"}"#), None);
        assert_eq!(counted(b"{}"), None);
    }
}
