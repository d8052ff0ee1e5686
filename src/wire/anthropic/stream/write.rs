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
            Open::Text | Open::Refusal | Open::Opaque { owner: Dialect::Messages, .. } => Inside::Fine,
            Open::Thinking => Inside::Unsealed,
            Open::ToolCall { .. } => Inside::NoArgs,
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::error::{Class, Failure};
    use crate::wire::Stop;
    use crate::wire::meter::Told;
    use crate::wire::names::Names;

    /// The data of the events that come of these, one a line.
    fn written(events: &[Event<'_>]) -> String {
        let mut names = Names::default();
        names.note(b"mcp.tool", b"mcp_tool_x");
        let names = Arc::new(names);
        let frame =
            Frame { id: "req_7".into(), model: "claude-x[1m]".into(), created: 0, usage: false, names };
        let (mut encoder, mut out) = (Encoder::new(frame), Vec::new());
        for event in events {
            encoder.push(event, &mut out);
        }
        let text = String::from_utf8(out).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    fn stop(reason: &Stop) -> Event<'_> {
        Event::Stop { reason, sequence: None }
    }

    #[test]
    fn a_turn_with_everything_is_the_stream_that_clients_know() {
        let usage = Usage {
            input: 9,
            cache_read: 5,
            cache_write_5m: 3,
            output: 20,
            reasoning: 4,
            ..Usage::default()
        };
        let told = written(&[
            Event::Start { model: Some(b"gpt") },
            Event::Open(Open::Thinking),
            Event::Delta(Delta::Text(b"hm")),
            Event::Delta(Delta::Seal { family: "deepseek", payload: b"state" }),
            Event::Close,
            Event::Open(Open::Text),
            Event::Delta(Delta::Text(b"a \\\"b\\\"")),
            Event::Close,
            Event::Open(Open::ToolCall { id: b"call:1", name: b"mcp_tool_x" }),
            Event::Delta(Delta::Args(b"{\\\"a\\\":")),
            Event::Delta(Delta::Args(b"1}")),
            Event::Close,
            Event::Open(Open::ToolCall { id: b"call_2", name: b"other" }),
            Event::Close,
            Event::Usage(usage),
            stop(&Stop::ToolUse),
        ]);
        let expected = concat!(
            r#"{"type":"message_start","message":{"id":"msg_7","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}"#,
            "\n",
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
            "\n",
            r#"{"type": "ping"}"#,
            "\n",
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
            "\n",
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"pm1.deepseek.c3RhdGU"}}"#,
            "\n",
            r#"{"type":"content_block_stop","index":0}"#,
            "\n",
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
            "\n",
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a \"b\""}}"#,
            "\n",
            r#"{"type":"content_block_stop","index":1}"#,
            "\n",
            r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"ID","name":"mcp.tool","input":{}}}"#,
            "\n",
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}"#,
            "\n",
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
            "\n",
            r#"{"type":"content_block_stop","index":2}"#,
            "\n",
            r#"{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"call_2","name":"other","input":{}}}"#,
            "\n",
            r#"{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
            "\n",
            r#"{"type":"content_block_stop","index":3}"#,
            "\n",
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":9,"cache_creation_input_tokens":3,"cache_read_input_tokens":5,"output_tokens":20,"output_tokens_details":{"thinking_tokens":4}}}"#,
            "\n",
            r#"{"type":"message_stop"}"#,
            "\n",
        );
        let id = String::from_utf8(plain_id(b"call:1").into_owned()).unwrap();
        assert_eq!(told, expected.replace("\"ID\"", &format!("\"{id}\"")));
    }

    #[test]
    fn thinking_that_nobody_sealed_is_marked_as_foreign() {
        let told = written(&[
            Event::Start { model: None },
            Event::Open(Open::Thinking),
            Event::Delta(Delta::Text(b"hm")),
            Event::Close,
            stop(&Stop::EndTurn),
        ]);
        assert!(told.contains(r#""signature":"pm1.none.""#), "{told}");
    }

    #[test]
    fn blocks_of_other_dialects_leave_no_gap() {
        let raw = &b"{\"x\":1}"[..];
        let told = written(&[
            Event::Start { model: None },
            Event::Open(Open::Opaque { owner: Dialect::Chat, raw }),
            Event::Close,
            Event::Open(Open::Refusal),
            Event::Delta(Delta::Text(b"no")),
            Event::Delta(Delta::Citation { owner: Dialect::Chat, raw }),
            Event::Close,
            Event::Open(Open::Opaque { owner: Dialect::Messages, raw }),
            Event::Close,
            stop(&Stop::Refusal),
        ]);
        let starts: Vec<&str> = told.lines().filter(|line| line.contains("content_block_start")).collect();
        assert_eq!(
            starts,
            [
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                r#"{"type":"content_block_start","index":1,"content_block":{"x":1}}"#,
            ]
        );
        assert!(!told.contains("citations_delta") && told.contains(r#""stop_reason":"refusal""#), "{told}");
    }

    #[test]
    fn usage_that_is_known_at_the_start_stands_in_it() {
        let usage = Usage { input: 9, cache_write_1h: 2, ..Usage::default() };
        let told = written(&[Event::Start { model: None }, Event::Usage(usage), stop(&Stop::EndTurn)]);
        assert!(told.lines().next().unwrap().contains(
            r#""usage":{"input_tokens":9,"cache_creation_input_tokens":2,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":2},"output_tokens":0}"#
        ), "{told}");
    }

    #[test]
    fn a_fault_is_told_in_the_dialects_words_and_never_with_the_gateways_credential() {
        let told = |class, status, message: &str| {
            let failure = Failure { status, ..Failure::silent(class) };
            let told = Told { failure, kind: "server_error".into(), message: message.into() };
            written(&[Event::Start { model: None }, Event::Fault(&told)])
        };
        let overloaded = told(Class::Overloaded, 529, "busy");
        assert!(overloaded.contains(r#""type":"overloaded_error","message":"busy""#), "{overloaded}");
        assert!(!overloaded.contains("message_start"), "{overloaded}");
        let credential = told(Class::Credential, 401, "bad key sk-1");
        assert!(credential.contains("api_error") && !credential.contains("sk-1"), "{credential}");
    }
}
