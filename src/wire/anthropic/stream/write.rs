//! Events as a stream of Messages (wire.md 1.6, 9.1).
//!
//! ```text
//! Start ── (held until the first block, so that usage that is known by then stands in it)
//! Open  ── message_start once, content_block_start, ping once
//! Delta ── content_block_delta
//! Close ── what the block lacks, content_block_stop
//! Stop  ── message_delta, message_stop           Fault ── error
//! ```
//!
//! Seals of whatever family go out marked, in the field of the signature: what comes back without our mark was made by the
//! dialect's own API. Blocks and citations of other dialects are passed over. Relies on the grammar of events; nothing is
//! allocated for a delta but room in `out`.

use crate::wire::anthropic::envelope::{self, number};
use crate::wire::anthropic::fault;
use crate::wire::anthropic::signature::UNSEALED;
use crate::wire::ir::{Delta, Event, Open};
use crate::wire::names::plain_id;
use crate::wire::transcode::Frame;
use crate::wire::{Dialect, Usage, seal};

/// The writer of one stream.
#[derive(Debug)]
pub struct Encoder {
    frame: Frame,
    begun: bool,
    inside: Inside,
    /// Of the block that is open, or the next one.
    index: u64,
    usage: Usage,
}

/// What the open block still lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    /// Nothing: it is whole whenever it ends, or none is open.
    Fine,
    /// Thinking without a seal.
    Unsealed,
    /// A call without arguments.
    NoArgs,
    /// It is not for clients of this dialect.
    Skipped,
}

impl Encoder {
    /// At the start of a stream.
    pub fn new(frame: Frame) -> Self {
        Self { frame, begun: false, inside: Inside::Fine, index: 0, usage: Usage::default() }
    }

    /// Writes one event behind `out`.
    pub fn push(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { .. } => {}
            Event::Usage(usage) => self.usage = *usage,
            Event::Open(open) => self.open(open, out),
            Event::Delta(delta) => self.delta(delta, out),
            Event::Close => self.close(out),
            Event::Stop { .. } => {
                self.begin(out);
                self.stop(event, out);
            }
            Event::Fault(told) => {
                out.extend_from_slice(&fault::event_of(&crate::wire::fault::body_told(
                    Dialect::Messages,
                    told,
                    &self.frame.id,
                )));
            }
        }
    }

    /// `message_start`, unless it has been; tells whether this was the first time.
    fn begin(&mut self, out: &mut Vec<u8>) -> bool {
        if self.begun {
            return false;
        }
        self.begun = true;
        out.extend_from_slice(b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{");
        envelope::head(&self.frame, out);
        out.extend_from_slice(b",\"content\":[],");
        envelope::stop(&Event::Close, out);
        out.extend_from_slice(b",\"usage\":");
        envelope::usage(&self.usage, out);
        out.extend_from_slice(b"}}\n\n");
        true
    }

    fn open(&mut self, open: &Open<'_>, out: &mut Vec<u8>) {
        let first = self.begin(out);
        self.inside = match open {
            Open::Text | Open::Refusal => Inside::Fine,
            Open::Thinking => Inside::Unsealed,
            Open::ToolCall { .. } => Inside::NoArgs,
            Open::Opaque { owner: Dialect::Messages, .. } => Inside::Fine,
            Open::Opaque { .. } => Inside::Skipped,
        };
        if self.inside == Inside::Skipped {
            return;
        }
        out.extend_from_slice(
            b"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":",
        );
        number(out, "", self.index);
        out.extend_from_slice(b",\"content_block\":");
        match open {
            Open::Text | Open::Refusal => out.extend_from_slice(b"{\"type\":\"text\",\"text\":\"\"}"),
            Open::Thinking => {
                out.extend_from_slice(b"{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}");
            }
            Open::ToolCall { id, name } => {
                out.extend_from_slice(b"{\"type\":\"tool_use\",\"id\":");
                envelope::string(&plain_id(id), out);
                out.extend_from_slice(b",\"name\":");
                envelope::string(self.frame.names.original(name), out);
                out.extend_from_slice(b",\"input\":{}}");
            }
            Open::Opaque { raw, .. } => out.extend_from_slice(raw),
        }
        out.extend_from_slice(b"}\n\n");
        if first {
            out.extend_from_slice(fault::PING);
        }
    }

    fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match (delta, self.inside) {
            (_, Inside::Skipped) | (Delta::Citation { owner: Dialect::Chat, .. }, _) => {}
            (Delta::Text(text), Inside::Unsealed) => self.text("thinking_delta\",\"thinking", text, out),
            (Delta::Text(text), Inside::Fine | Inside::NoArgs) => self.text("text_delta\",\"text", text, out),
            (Delta::Args(args), _) => {
                self.inside = Inside::Fine;
                self.text("input_json_delta\",\"partial_json", args, out);
            }
            (Delta::Seal { family, payload }, _) => self.seal(family, payload, out),
            (Delta::Citation { owner: Dialect::Messages, raw }, _) => {
                self.front("citations_delta\",\"citation", out);
                out.extend_from_slice(raw);
                out.extend_from_slice(b"}}\n\n");
            }
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.inside, Inside::Fine) {
            Inside::Fine => {}
            Inside::Unsealed => self.seal(UNSEALED, b"", out),
            Inside::NoArgs => self.text("input_json_delta\",\"partial_json", b"{}", out),
            Inside::Skipped => return,
        }
        out.extend_from_slice(
            b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":",
        );
        number(out, "", self.index);
        out.extend_from_slice(b"}\n\n");
        self.index += 1;
    }

    fn stop(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{");
        envelope::stop(event, out);
        out.extend_from_slice(b"},\"usage\":");
        envelope::usage(&self.usage, out);
        out.extend_from_slice(b"}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    }

    /// A delta that is a string.
    fn text(&self, kind: &str, inside: &[u8], out: &mut Vec<u8>) {
        self.front(kind, out);
        envelope::string(inside, out);
        out.extend_from_slice(b"}}\n\n");
    }

    fn seal(&mut self, family: &str, payload: &[u8], out: &mut Vec<u8>) {
        self.inside = Inside::Fine;
        self.front("signature_delta\",\"signature", out);
        out.push(b'"');
        seal::write(out, family, payload);
        out.extend_from_slice(b"\"}}\n\n");
    }

    /// A delta up to its value. `kind` is the inside of the quotes around type and name.
    fn front(&self, kind: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":",
        );
        number(out, "", self.index);
        out.extend_from_slice(b",\"delta\":{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\":");
    }
}
