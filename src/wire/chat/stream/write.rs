//! Events as a stream of Chat Completions (wire.md 2.3, 20.2).
//!
//! ```text
//! role ▶ (content | reasoning_content, reasoning_details | refusal | tool_calls)* ▶ finish ▶ usage, if wanted ▶ [DONE]
//! ```
//!
//! Blocks that only another dialect knows, and citations in its form, are left out. A fault is the last thing that is
//! written: no `[DONE]` follows it. Allocates nothing for a piece of text or of arguments.

use crate::wire::chat::{envelope, fault, finish};
use crate::wire::ir::{Delta, Event, Open};
use crate::wire::transcode::Frame;
use crate::wire::{Dialect, Usage};

/// The writer of one stream.
#[derive(Debug)]
pub struct Encoder {
    frame: Frame,
    /// A chunk up to its delta.
    front: Box<[u8]>,
    now: Now,
    /// Calls so far.
    calls: usize,
    /// Blocks of thinking so far.
    thoughts: usize,
    usage: Option<Usage>,
}

/// What is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Now {
    Nothing,
    Text,
    Thinking,
    Refusal,
    Call {
        args: bool,
    },
    /// Nothing of it reaches the client.
    Foreign,
}

impl Encoder {
    /// At the start of a stream.
    pub fn new(frame: Frame) -> Self {
        let mut front = b"data: {".to_vec();
        envelope::head(&frame, "chat.completion.chunk", &mut front);
        front.extend_from_slice(b",\"choices\":[");
        Self { frame, front: front.into(), now: Now::Nothing, calls: 0, thoughts: 0, usage: None }
    }

    /// Writes one event behind `out`.
    pub fn push(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { .. } => self.chunk(out, &[b"\"role\":\"assistant\",\"content\":\"\""]),
            Event::Open(open) => self.open(open, out),
            Event::Delta(delta) => self.delta(delta, out),
            Event::Close => self.close(out),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Stop { reason, .. } => self.stop(finish::word(reason, self.calls > 0), out),
            Event::Fault(told) => {
                let body = crate::wire::fault::body_told(Dialect::Chat, told, &self.frame.id);
                out.extend_from_slice(&fault::event_of(&body));
            }
        }
    }

    fn open(&mut self, open: &Open<'_>, out: &mut Vec<u8>) {
        self.now = match open {
            Open::Text => Now::Text,
            Open::Thinking => Now::Thinking,
            Open::Refusal => Now::Refusal,
            Open::Opaque { .. } => Now::Foreign,
            Open::ToolCall { id, name } => {
                let index = self.calls.to_string();
                let name = self.frame.names.original(name);
                let call: [&[u8]; 7] = [
                    b"\"tool_calls\":[{\"index\":",
                    index.as_bytes(),
                    b",\"id\":\"",
                    id,
                    b"\",\"type\":\"function\",\"function\":{\"name\":\"",
                    name,
                    b"\",\"arguments\":\"\"}}]",
                ];
                self.chunk(out, &call);
                self.calls += 1;
                Now::Call { args: false }
            }
        };
    }

    fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        let field: &[u8] = match (self.now, delta) {
            (Now::Text, Delta::Text(_)) => b"\"content\":\"",
            (Now::Thinking, Delta::Text(_)) => b"\"reasoning_content\":\"",
            (Now::Refusal, Delta::Text(_)) => b"\"refusal\":\"",
            (Now::Call { .. }, Delta::Args(args)) => {
                self.now = Now::Call { args: true };
                return self.args(args, out);
            }
            (Now::Thinking, Delta::Seal { family, payload }) => return self.seal(family, payload, out),
            _ => return,
        };
        if let Delta::Text(text) = delta {
            self.chunk(out, &[field, text, b"\""]);
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.now, Now::Nothing) {
            // Clients parse the arguments of every call.
            Now::Call { args: false } => self.args(b"{}", out),
            Now::Thinking => self.thoughts += 1,
            Now::Nothing | Now::Text | Now::Refusal | Now::Call { args: true } | Now::Foreign => {}
        }
    }

    fn args(&self, args: &[u8], out: &mut Vec<u8>) {
        let mut digits = [0; 20];
        let index = decimal(self.calls.saturating_sub(1), &mut digits);
        let front: &[u8] = b"\"tool_calls\":[{\"index\":";
        self.chunk(out, &[front, index, b",\"function\":{\"arguments\":\"", args, b"\"}}]"]);
    }

    fn seal(&self, family: &str, payload: &[u8], out: &mut Vec<u8>) {
        if payload.is_empty() {
            return;
        }
        out.extend_from_slice(&self.front);
        out.extend_from_slice(b"{\"index\":0,\"delta\":{\"reasoning_details\":[");
        envelope::sealed(self.thoughts, family, payload, out);
        out.extend_from_slice(b"]},\"finish_reason\":null}]}\n\n");
    }

    fn stop(&self, finish: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.front);
        out.extend_from_slice(b"{\"index\":0,\"delta\":{},\"finish_reason\":\"");
        out.extend_from_slice(finish.as_bytes());
        out.extend_from_slice(b"\"}]}\n\n");
        if let (true, Some(usage)) = (self.frame.usage, &self.usage) {
            out.extend_from_slice(&self.front);
            out.extend_from_slice(b"],\"usage\":");
            envelope::usage(usage, out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    /// A chunk with these members, in pieces, as its delta.
    fn chunk(&self, out: &mut Vec<u8>, members: &[&[u8]]) {
        out.extend_from_slice(&self.front);
        out.extend_from_slice(b"{\"index\":0,\"delta\":{");
        for piece in members {
            out.extend_from_slice(piece);
        }
        out.extend_from_slice(b"},\"finish_reason\":null}]}\n\n");
    }
}

/// A number in decimal.
fn decimal(mut number: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b"0123456789"[number % 10];
        number /= 10;
        if number == 0 || at == 0 {
            return &digits[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::error::{Class, Failure};
    use crate::wire::meter::{Stop, Told};
    use crate::wire::names::Names;

    fn written(usage: bool, events: &[Event<'_>]) -> String {
        let mut names = Names::default();
        names.note(b"long.name", b"long_name_x");
        let frame =
            Frame { id: "req_1".into(), model: "asked".into(), created: 7, usage, names: Arc::new(names) };
        let (mut encoder, mut out) = (Encoder::new(frame), Vec::new());
        for event in events {
            encoder.push(event, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    const FRONT: &str = r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"asked","choices":["#;

    /// What the deltas of a stream are.
    fn deltas(stream: &str) -> Vec<&str> {
        let deltas = stream.split("\n\n").filter_map(|event| {
            event.strip_prefix(FRONT)?.strip_prefix(r#"{"index":0,"delta":"#)?.strip_suffix("}]}")
        });
        deltas.collect()
    }

    #[test]
    fn every_block_has_its_delta() {
        let usage = Usage { input: 1, cache_read: 2, output: 3, reasoning: 1, ..Usage::default() };
        let stop = Stop::ToolUse;
        let events = [
            Event::Start { model: None },
            Event::Open(Open::Thinking),
            Event::Delta(Delta::Text(b"hm")),
            Event::Delta(Delta::Seal { family: "anthropic", payload: b"sig" }),
            Event::Close,
            Event::Open(Open::Text),
            Event::Delta(Delta::Text(b"a\\n")),
            Event::Close,
            Event::Open(Open::ToolCall { id: b"t1", name: b"long_name_x" }),
            Event::Delta(Delta::Args(b"{\\\"a\\\":1}")),
            Event::Close,
            Event::Open(Open::ToolCall { id: b"t2", name: b"n" }),
            Event::Close,
            Event::Usage(usage),
            Event::Stop { reason: &stop, sequence: None },
        ];
        let stream = written(true, &events);
        assert_eq!(
            deltas(&stream),
            [
                r#"{"role":"assistant","content":""},"finish_reason":null"#,
                r#"{"reasoning_content":"hm"},"finish_reason":null"#,
                r#"{"reasoning_details":[{"type":"reasoning.text","signature":"pm1.anthropic.c2ln","format":"pointsman","index":0}]},"finish_reason":null"#,
                r#"{"content":"a\n"},"finish_reason":null"#,
                r#"{"tool_calls":[{"index":0,"id":"t1","type":"function","function":{"name":"long.name","arguments":""}}]},"finish_reason":null"#,
                r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1}"}}]},"finish_reason":null"#,
                r#"{"tool_calls":[{"index":1,"id":"t2","type":"function","function":{"name":"n","arguments":""}}]},"finish_reason":null"#,
                r#"{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]},"finish_reason":null"#,
                r#"{},"finish_reason":"tool_calls""#,
            ]
        );
        let end = r#"],"usage":{"prompt_tokens":3,"completion_tokens":3,"total_tokens":6,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}}"#;
        assert!(stream.ends_with(&format!("{FRONT}{end}\n\ndata: [DONE]\n\n")), "{stream}");
        assert!(!written(false, &events).contains("usage"));
    }

    #[test]
    fn a_fault_is_the_last_word() {
        let told =
            Told { failure: Failure::silent(Class::Server), kind: "k".into(), message: "it broke".into() };
        let stream = written(true, &[Event::Start { model: None }, Event::Fault(&told)]);
        let last = stream.trim_end().rsplit("\n\n").next().unwrap();
        assert!(last.starts_with("data: {\"error\":{") && last.contains("it broke"), "{stream}");
    }
}
