//! Reads along one streamed answer: where content begins, what it cost, how it ended.
//!
//! ```text
//! message_start  ping  content_block_start  content_block_delta …  content_block_stop  message_delta  message_stop
//!      │                        └────────────────┬────────────────────────┘                 │              │
//!   model, usage                     content: the first that shows any                 stop, usage        end
//! ```
//!
//! The bytes themselves are not touched, held or counted here: [`crate::gate`] decides what they may do with what is
//! [`Heard`]. Deltas, nearly all of a stream, are told by their first or last bytes and not parsed once content was
//! seen; keys may stand in any order; unknown events pass. An answer is whole only with `message_stop`.

pub mod read;
pub mod write;

use super::request::member_of;
use super::usage::Counts;
use crate::json::{self, Span, text};
use crate::wire::fault;
use crate::wire::frame::{Event, Sse};
use crate::wire::{Ending, Heard, Meter, Stop};

/// The reader of one stream.
#[derive(Debug, Default)]
pub struct StreamReader {
    sse: Sse,
    seen: Seen,
}

#[derive(Debug, Default)]
struct Seen {
    meter: Meter,
    counts: Counts,
    /// Any event has come.
    any: bool,
    content: bool,
    ended: bool,
    model_at: Option<(u64, u64)>,
}

impl StreamReader {
    /// At the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) -> Heard {
        let seen = &mut self.seen;
        let boundary = self.sse.push(bytes, |event| seen.event(&event));
        Heard {
            content: seen.content,
            fault: seen.meter.error.as_ref().map(|told| told.failure),
            model_at: seen.model_at,
            boundary,
        }
    }

    /// What the stream amounts to, now that its connection has ended.
    pub fn ending(&self) -> Ending {
        match &self.seen.meter.error {
            Some(told) => Ending::Told(told.failure),
            None if self.seen.ended => Ending::Whole,
            None if self.seen.any => Ending::Cut,
            None => Ending::Empty,
        }
    }

    /// Usage, stop reason, model and error so far.
    pub fn meter(&self) -> &Meter {
        &self.seen.meter
    }
}

/// The events that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Start,
    Ping,
    BlockStart,
    Delta,
    BlockStop,
    MessageDelta,
    Stop,
    Error,
    Unknown,
}

impl Seen {
    fn event(&mut self, event: &Event<'_>) {
        self.any = true;
        if event.unread {
            // Nothing but content grows so long (a tool's result, a redacted block).
            self.show();
            return;
        }
        match kind(event) {
            Kind::Delta | Kind::BlockStart if self.content => {}
            Kind::Delta => {
                if delta_shows(event.data) {
                    self.show();
                }
            }
            Kind::BlockStart => {
                if start_shows(event.data) {
                    self.show();
                }
            }
            Kind::BlockStop => self.show(),
            Kind::Start => self.start(event),
            Kind::MessageDelta => self.message_delta(event.data),
            Kind::Stop => {
                self.show();
                self.ended = self.meter.error.is_none();
            }
            Kind::Error => self.error(event.data),
            Kind::Ping | Kind::Unknown => {}
        }
    }

    /// Content, unless an error came first.
    fn show(&mut self) {
        self.content |= self.meter.error.is_none();
    }

    fn start(&mut self, event: &Event<'_>) {
        let data = event.data;
        let Some(message) = member_of(data, Span::all(data), "message") else { return };
        for member in json::members(data, message.value).map_while(Result::ok) {
            match member.key.of(data) {
                b"\"model\"" if self.meter.model.is_none() => {
                    self.meter.model = text::string(member.value.of(data)).map(|model| model.as_ref().into());
                    self.model_at = event.data_at.map(|at| {
                        let Span { start, end } = member.value;
                        (at + start as u64, at + end as u64)
                    });
                }
                b"\"usage\"" => self.usage(data, member.value),
                _ => {}
            }
        }
    }

    fn message_delta(&mut self, data: &[u8]) {
        for member in json::members(data, Span::all(data)).map_while(Result::ok) {
            match member.key.of(data) {
                b"\"usage\"" => self.usage(data, member.value),
                b"\"delta\"" => {
                    if let Some(stop) = stop_reason(data, member.value) {
                        self.meter.stop = Some(stop);
                        self.show();
                    }
                }
                _ => {}
            }
        }
    }

    fn usage(&mut self, data: &[u8], usage: Span) {
        self.counts.read(data, usage);
        self.meter.usage = self.counts.usage();
        self.meter.counted = self.counts.told();
    }

    fn error(&mut self, data: &[u8]) {
        if self.meter.error.is_none() {
            self.meter.error = Some(fault::told(data));
        }
    }
}

/// The stop reason in an object that holds one; `None` for `null` and absent.
fn stop_reason(body: &[u8], object: Span) -> Option<Stop> {
    let reason = member_of(body, object, "stop_reason")?;
    text::string(reason.value.of(body)).map(|word| Stop::from_anthropic(&word))
}

/// What an event is, by the `type` of its data; by its name only where the data has none.
fn kind(event: &Event<'_>) -> Kind {
    let data = event.data;
    if let Some(rest) = data.strip_prefix(b"{\"type\":\"")
        && let Some(end) = memchr::memchr(b'"', &rest[..rest.len().min(LONGEST)])
    {
        return named(&rest[..end]);
    }
    // Some providers and recordings write `type` last.
    if data.ends_with(b",\"type\":\"content_block_delta\"}") {
        return Kind::Delta;
    }
    match member_of(data, Span::all(data), "type").and_then(|kind| text::string(kind.value.of(data))) {
        Some(name) => named(name.as_bytes()),
        None if !event.name.is_empty() => named(event.name),
        // Routers put the error of the provider behind them into the stream in a shape without `type`.
        None if member_of(data, Span::all(data), "error").is_some() => Kind::Error,
        None => Kind::Unknown,
    }
}

fn named(name: &[u8]) -> Kind {
    match name {
        b"content_block_delta" => Kind::Delta,
        b"content_block_start" => Kind::BlockStart,
        b"content_block_stop" => Kind::BlockStop,
        b"message_start" => Kind::Start,
        b"message_delta" => Kind::MessageDelta,
        b"message_stop" => Kind::Stop,
        b"ping" => Kind::Ping,
        b"error" => Kind::Error,
        _ => Kind::Unknown,
    }
}

/// Whether a delta holds anything: a text that is not empty, or a value that is no text (a citation).
fn delta_shows(data: &[u8]) -> bool {
    let Some(delta) = member_of(data, Span::all(data), "delta") else { return false };
    json::members(data, delta.value).map_while(Result::ok).any(|member| {
        !member.is(data, "type") && !matches!(member.value.of(data), b"\"\"" | b"null" | b"{}" | b"[]")
    })
}

/// Whether a block is more than announced when it begins: text, thinking and tool calls begin empty; everything else
/// (redacted thinking, results of server tools) comes complete.
fn start_shows(data: &[u8]) -> bool {
    let Some(block) = member_of(data, Span::all(data), "content_block") else { return false };
    let value =
        |name: &str| member_of(data, block.value, name).map_or(&b""[..], |member| member.value.of(data));
    match value("type") {
        b"\"text\"" => !matches!(value("text"), b"" | b"\"\"" | b"null"),
        b"\"thinking\"" => !matches!(value("thinking"), b"" | b"\"\"" | b"null"),
        b"\"tool_use\"" | b"\"server_tool_use\"" | b"\"mcp_tool_use\"" => {
            let input = value("input");
            !matches!(input, b"" | b"\"\"" | b"null") && !empty_object(input)
        }
        _ => true,
    }
}

fn empty_object(value: &[u8]) -> bool {
    json::members(value, Span::all(value)).next().is_none()
}

/// Longest event name that is looked for at the front: `content_block_delta"` has 20 bytes.
const LONGEST: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Class, Failure};

    fn event(data: &str) -> String {
        format!("data: {data}\n\n")
    }

    const START: &str = r#"{"type":"message_start","message":{"id":"m","model":"real","usage":{"input_tokens":9,"output_tokens":1}}}"#;

    #[test]
    fn content_is_what_shows_something() {
        for (data, content) in [
            (r#"{"type":"ping"}"#, false),
            (r#"{"type":"brand_new","text":"x"}"#, false),
            (r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#, false),
            (r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"x"}}"#, true),
            (
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
                false,
            ),
            (
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking","data":"x"}}"#,
                true,
            ),
            (
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"n","input":{ }}}"#,
                false,
            ),
            (
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"n","input":{"a":1}}}"#,
                true,
            ),
            (
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"web_search_tool_result","content":[]}}"#,
                true,
            ),
            (r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}"#, false),
            (r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}"#, true),
            (r#"{"delta":{"text":"x","type":"text_delta"},"index":0,"type":"content_block_delta"}"#, true),
            (r#"{"delta":{"text":"","type":"text_delta"},"index":0,"type":"content_block_delta"}"#, false),
            (
                r#"{ "type" : "content_block_delta", "delta": {"type":"input_json_delta","partial_json":"{"} }"#,
                true,
            ),
            (
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"a":1}}}"#,
                true,
            ),
            (
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s"}}"#,
                true,
            ),
            (r#"{"type":"content_block_stop","index":0}"#, true),
            (r#"{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":5}}"#, false),
            (
                r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5}}"#,
                true,
            ),
            (r#"{"type":"message_stop"}"#, true),
            (r#"{"type":"error","error":{"type":"api_error","message":"m"}}"#, false),
            ("not JSON", false),
        ] {
            let mut reader = StreamReader::new();
            assert!(!reader.push(event(START).as_bytes()).content);
            assert_eq!(reader.push(event(data).as_bytes()).content, content, "{data}");
        }
    }

    #[test]
    fn an_event_is_known_by_its_data_before_its_name() {
        let kind = |name: &str, data: &str| {
            kind(&Event {
                name: name.as_bytes(),
                data: data.as_bytes(),
                data_at: None,
                unread: false,
                range: (0, 0),
            })
        };
        for (name, data, expected) in [
            ("message_stop", r#"{"type":"ping"}"#, Kind::Ping),
            ("message_stop", r#"{"a":"\"type\":\"ping\""}"#, Kind::Stop),
            ("", r#"{"type":"content_block_delta_of_a_new_kind_that_is_long"}"#, Kind::Unknown),
            (
                "",
                r#"{"delta":{"text":"a,\"type\":\"content_block_delta\"}"},"type":"message_stop"}"#,
                Kind::Stop,
            ),
            ("", r#"{"ty\u0070e":"error"}"#, Kind::Error),
            ("error", "gone", Kind::Error),
            ("", r#"{"error":{"code":502}}"#, Kind::Error),
            ("", r#"{"type":"brand_new","error":{}}"#, Kind::Unknown),
            ("ping", "", Kind::Ping),
            ("", "[DONE]", Kind::Unknown),
        ] {
            assert_eq!(kind(name, data), expected, "{name} {data}");
        }
    }

    #[test]
    fn a_stream_ends_in_one_of_four_ways() {
        let stop = r#"{"type":"message_stop"}"#;
        let fault = r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#;
        let ending = |events: &[&str]| {
            let mut reader = StreamReader::new();
            for data in events {
                reader.push(event(data).as_bytes());
            }
            reader.ending()
        };
        let told = Ending::Told(Failure { status: 529, ..Failure::silent(Class::Overloaded) });
        assert_eq!(ending(&[]), Ending::Empty);
        assert_eq!(ending(&[START, stop]), Ending::Whole);
        assert_eq!(ending(&[START]), Ending::Cut);
        assert_eq!(ending(&[fault]), told);
        assert_eq!(ending(&[START, fault, stop]), told);
        let mut reader = StreamReader::new();
        let heard = reader.push([event(fault), event(stop)].concat().as_bytes());
        assert_eq!((heard.content, heard.fault.map(|f| f.status)), (false, Some(529)));
        assert_eq!(reader.ending(), told);
    }

    #[test]
    fn the_first_model_is_found_in_the_stream_and_usage_is_superseded() {
        let stream = [
            event(r#"{"type":"ping"}"#),
            event(START),
            event(&START.replace("real", "spliced")),
            event(r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{"output_tokens":5,"input_tokens":null}}"#),
            event(r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":7,"cache_read_input_tokens":3}}"#),
        ]
        .concat();
        for piece in [1, 7, stream.len()] {
            let mut reader = StreamReader::new();
            let heard = stream.as_bytes().chunks(piece).map(|piece| reader.push(piece)).last().unwrap();
            let (start, end) = heard
                .model_at
                .map(|(start, end)| (usize::try_from(start).unwrap(), usize::try_from(end).unwrap()))
                .unwrap();
            assert_eq!(&stream[start..end], "\"real\"");
            let meter = reader.meter();
            assert_eq!((meter.usage.input, meter.usage.output, meter.usage.cache_read), (9, 7, 3));
            assert_eq!((meter.model.as_deref(), meter.stop.clone()), (Some("real"), Some(Stop::MaxTokens)));
        }
    }
}
