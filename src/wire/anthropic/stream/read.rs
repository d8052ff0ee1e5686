//! A stream of Messages as events (wire.md 1.6).
//!
//! ```text
//!           message_start            message_stop
//!   Fresh ────────────────▶ Running ───────────────▶ Over
//!     │                       │ blocks: [`Blocks`]     ▲
//!     └──────── error ────────┴──────── error ─────────┘
//! ```
//!
//! A `message_start` that comes again (a proxy has asked a second time) tells usage and no more. The end of the answer is
//! `message_stop`; where the connection ends behind the stop reason, it is whole too. Does not cut the bytes into events
//! and keeps no text.

use super::{Kind, kind, stop_reason};
use crate::error::{Class, Failure};
use crate::json::{self, Span};
use crate::wire::Stop;
use crate::wire::anthropic::blocks::Blocks;
use crate::wire::anthropic::request::member_of;
use crate::wire::anthropic::usage::Counts;
use crate::wire::frame::sse;
use crate::wire::ir::Event;
use crate::wire::meter::Told;
use crate::wire::traits::Traits;
use crate::wire::transcode::Sink;

/// The reader of one stream.
#[derive(Debug)]
pub struct Decoder {
    phase: Phase,
    blocks: Blocks,
    counts: Counts,
    stop: Option<Stop>,
    /// The inside of the stop sequence that came up.
    sequence: Option<Box<[u8]>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Fresh,
    Running,
    Over,
}

impl Decoder {
    /// At the start of a stream. `family` is whose opaque state it carries ([`crate::wire::seal`]).
    pub fn new(_traits: &'static Traits, family: &str) -> Self {
        Self {
            phase: Phase::Fresh,
            blocks: Blocks::new(family),
            counts: Counts::default(),
            stop: None,
            sequence: None,
        }
    }

    /// Reads one event of the stream.
    pub fn push(&mut self, event: &sse::Event<'_>, sink: &mut Sink<'_>) {
        if self.phase == Phase::Over {
            return;
        }
        if event.unread {
            // Behind a block's end it can only be one of the provider's own tools that has answered at length.
            if self.blocks.is_open() {
                self.fault(&too_long(), sink);
            }
            return;
        }
        let data = event.data;
        match kind(event) {
            Kind::Delta => {
                if let Some(delta) = member_of(data, Span::all(data), "delta") {
                    self.blocks.delta(data, delta.value, sink);
                }
            }
            Kind::Start => self.start(data, sink),
            Kind::BlockStart => {
                self.begin(None, sink);
                if let Some(block) = member_of(data, Span::all(data), "content_block") {
                    self.blocks.open(data, block.value, sink);
                }
            }
            Kind::BlockStop => self.blocks.close(sink),
            Kind::MessageDelta => self.message_delta(data, sink),
            Kind::Stop => self.finish(sink),
            Kind::Error => self.fault(&crate::wire::fault::told(data), sink),
            Kind::Ping | Kind::Unknown => {}
        }
    }

    /// The connection has ended: ends the answer if it is whole.
    pub fn end(&mut self, sink: &mut Sink<'_>) {
        if self.phase == Phase::Running && self.is_complete() {
            self.finish(sink);
        }
    }

    /// Whether the answer is told to be complete, so that a connection that breaks now breaks nothing.
    pub fn is_complete(&self) -> bool {
        self.stop.is_some() && !self.blocks.is_open()
    }

    /// Whether nothing follows that is part of the answer.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    fn start(&mut self, data: &[u8], sink: &mut Sink<'_>) {
        let again = self.phase != Phase::Fresh;
        let mut model = None;
        if let Some(message) = member_of(data, Span::all(data), "message") {
            for member in json::members(data, message.value).map_while(Result::ok) {
                match member.key.of(data) {
                    b"\"model\"" => model = inside(member.value.of(data)),
                    b"\"usage\"" => self.counts.read(data, member.value),
                    _ => {}
                }
            }
        }
        self.begin(model, sink);
        if !again && self.counts.told() {
            sink(Event::Usage(self.counts.usage()));
        }
    }

    fn begin(&mut self, model: Option<&[u8]>, sink: &mut Sink<'_>) {
        if self.phase == Phase::Fresh {
            self.phase = Phase::Running;
            sink(Event::Start { model });
        }
    }

    fn message_delta(&mut self, data: &[u8], sink: &mut Sink<'_>) {
        for member in json::members(data, Span::all(data)).map_while(Result::ok) {
            match member.key.of(data) {
                b"\"usage\"" => self.counts.read(data, member.value),
                b"\"delta\"" => {
                    let stop = stop_reason(data, member.value);
                    if stop.is_some() {
                        self.blocks.close(sink);
                        self.stop = stop;
                    }
                    let sequence = member_of(data, member.value, "stop_sequence");
                    let sequence = sequence.and_then(|sequence| inside(sequence.value.of(data)));
                    self.sequence = sequence.map(Into::into).or(self.sequence.take());
                }
                _ => {}
            }
        }
    }

    fn finish(&mut self, sink: &mut Sink<'_>) {
        self.begin(None, sink);
        self.blocks.close(sink);
        self.phase = Phase::Over;
        if self.counts.told() {
            sink(Event::Usage(self.counts.usage()));
        }
        let unsaid = if self.blocks.called() { Stop::ToolUse } else { Stop::EndTurn };
        let reason = self.stop.as_ref().unwrap_or(&unsaid);
        sink(Event::Stop { reason, sequence: self.sequence.as_deref() });
    }

    fn fault(&mut self, told: &Told, sink: &mut Sink<'_>) {
        self.phase = Phase::Over;
        sink(Event::Fault(told));
    }
}

/// The inside of a string that is not empty.
fn inside(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"").filter(|text| !text.is_empty())
}

fn too_long() -> Told {
    Told {
        failure: Failure::silent(Class::Unreadable),
        kind: "api_error".into(),
        message: "the provider sent a piece of the answer that is too long to be read".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::grammar::Grammar;
    use crate::wire::traits::MESSAGES;

    const START: &str =
        r#"{"type":"message_start","message":{"model":"m","usage":{"input_tokens":9,"output_tokens":1}}}"#;
    const TEXT: &str =
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    const PIECE: &str =
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#;
    const END: &str = r#"{"type":"content_block_stop","index":0}"#;
    const REASON: &str = r#"{"type":"message_delta","delta":{"stop_reason":"stop_sequence","stop_sequence":"X"},"usage":{"output_tokens":5}}"#;
    const STOP: &str = r#"{"type":"message_stop"}"#;
    const FAULT: &str = r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;

    /// What became of these events and of the connection's end, and whether the answer was complete before that.
    fn read(events: &[&str]) -> (String, bool, bool) {
        let (mut grammar, mut told) = (Grammar::new(), Vec::new());
        let mut sink = |event: Event<'_>| {
            grammar.check(&event).unwrap();
            told.push(match event {
                Event::Usage(usage) => format!("{}/{}", usage.input, usage.output),
                Event::Stop { reason, sequence } => {
                    format!("{} {}", reason.word(), sequence.map(String::from_utf8_lossy).unwrap_or_default())
                }
                Event::Fault(told) => format!("fault {}", told.message),
                Event::Start { .. } => "start".to_owned(),
                Event::Open(_) => "open".to_owned(),
                Event::Delta(_) => "+".to_owned(),
                Event::Close => "close".to_owned(),
            });
        };
        let mut decoder = Decoder::new(&MESSAGES, "anthropic");
        for data in events {
            let unread = *data == "unread";
            let data = if unread { b"" } else { data.as_bytes() };
            decoder.push(&sse::Event { name: b"", data, data_at: None, unread, range: (0, 0) }, &mut sink);
        }
        let complete = decoder.is_complete();
        decoder.end(&mut sink);
        (told.join(" "), complete, decoder.is_over())
    }

    #[test]
    fn an_answer_is_told_to_its_end_however_it_comes() {
        let whole = "start 9/1 open + close 9/5 stop_sequence X";
        for (name, events, expected) in [
            ("as it should", &[START, TEXT, PIECE, END, REASON, STOP][..], whole),
            ("a start in the middle again", &[START, TEXT, PIECE, START, END, REASON, STOP], whole),
            ("a block that never ends", &[START, TEXT, PIECE, REASON, STOP], whole),
            ("what follows the end", &[START, TEXT, PIECE, END, REASON, STOP, PIECE, FAULT, STOP], whole),
            ("cut behind the reason", &[START, TEXT, PIECE, END, REASON], whole),
            ("cut in front of it", &[START, TEXT, PIECE, END], "start 9/1 open + close"),
            ("no start", &[TEXT, PIECE, END, STOP], "start open + close end_turn "),
            (
                "a second block in the first",
                &[START, TEXT, TEXT, PIECE, END, REASON, STOP],
                "start 9/1 open close open + close 9/5 stop_sequence X",
            ),
            ("a delta of nothing", &[START, PIECE, END, STOP], "start 9/1 9/1 end_turn "),
            ("an error in a block", &[START, TEXT, PIECE, FAULT, END], "start 9/1 open + fault busy"),
            ("an error at once", &[FAULT, START], "fault busy"),
            ("nothing", &[], ""),
            (
                "a long answer of a provider's tool",
                &[START, "unread", END, REASON, STOP],
                "start 9/1 9/5 stop_sequence X",
            ),
            (
                "a long piece of a text",
                &[START, TEXT, "unread", END, STOP],
                "start 9/1 open fault the provider sent a piece of the answer that is too long to be read",
            ),
        ] {
            assert_eq!(read(events).0, expected, "{name}");
        }
    }

    #[test]
    fn an_answer_is_complete_with_its_reason_and_over_with_its_end() {
        for (events, complete, over) in [
            (&[START, TEXT, PIECE][..], false, false),
            (&[START, TEXT, PIECE, END, REASON], true, true),
            (&[START, TEXT, PIECE, END, REASON, STOP], true, true),
            (&[START, FAULT], false, true),
        ] {
            let found = read(events);
            assert_eq!((found.1, found.2), (complete, over), "{events:?}");
        }
    }
}
