//! One turn in chunks, in each provider's own way: where thinking, calls and usage stand, and how a stream ends
//! (`wire.md` section 8).
//!
//! Whole answers are [`super::tell`]'s. Decides nothing about what is said.

use serde_json::{Map, Value, json};

use super::flavour::{Calls, Carrier, UsageAt};
use super::tell::Told;

/// The events of a stream, one for each element.
pub fn events(told: &Told<'_>, calls: Calls) -> Vec<Vec<u8>> {
    let comments = told.flavour.comments.iter().map(|text| format!(": {text}\n\n").into_bytes());
    let mut out = Stream { told, events: comments.collect(), said: String::new() };
    out.delta(&json!({"role": "assistant", "content": ""}));
    out.thinking();
    for piece in pieces(&told.text) {
        out.said.push_str(piece);
        out.delta(&json!({"content": piece}));
    }
    let last = out.calls(calls);
    out.end(&last);
    out.events
}

struct Stream<'s, 't> {
    told: &'s Told<'t>,
    events: Vec<Vec<u8>>,
    /// All text so far, for those who repeat it.
    said: String,
}

impl Stream<'_, '_> {
    fn chunk(&self, delta: &Value, finish: Option<&str>) -> Value {
        let mut choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        if self.told.flavour.usage == UsageAt::Every {
            choice["message"] = json!({"role": "assistant", "content": self.said});
        }
        json!({
            "id": self.told.id, "object": "chat.completion.chunk", "created": 1_764_000_000,
            "model": self.told.turn.model, "choices": [choice],
        })
    }

    fn push(&mut self, mut chunk: Value) {
        if self.told.flavour.usage == UsageAt::Every {
            chunk["usage"] = self.told.usage();
        } else if self.told.usage_asked && chunk["usage"].is_null() {
            chunk["usage"] = Value::Null;
        }
        self.events.push(format!("data: {chunk}\n\n").into_bytes());
    }

    fn delta(&mut self, delta: &Value) {
        let chunk = self.chunk(delta, None);
        self.push(chunk);
    }

    fn thinking(&mut self) {
        let told = self.told;
        if told.thinking.is_empty() {
            return;
        }
        match told.flavour.carrier {
            Carrier::Hidden => {}
            Carrier::Tags => {
                for piece in ["<thi", "nk>\n", &told.thinking, "\n</think", ">\n\n"] {
                    self.said.push_str(piece);
                    self.delta(&json!({"content": piece}));
                }
            }
            Carrier::Part => {
                for piece in pieces(&told.thinking) {
                    let part = json!({"type": "thinking", "thinking": [{"type": "text", "text": piece}]});
                    self.delta(&json!({"content": [part]}));
                }
            }
            Carrier::Field(_) | Carrier::Details => {
                for piece in pieces(&told.thinking) {
                    let delta: Map<String, Value> = told.thought(piece).into_iter().collect();
                    self.delta(&Value::Object(delta));
                }
                if told.flavour.carrier == Carrier::Details && pieces(&told.thinking).len() > 1 {
                    let detail = json!({"type": "reasoning.text", "signature": told.signature, "format": "anthropic-claude-v1", "index": 0});
                    self.delta(&json!({"reasoning_details": [detail]}));
                }
            }
        }
    }

    /// The calls; gives what is left for the chunk that finishes.
    fn calls(&mut self, pattern: Calls) -> Value {
        let told = self.told;
        let whole = |index: bool| -> Vec<Value> {
            let calls = told.calls.iter().enumerate().map(|(at, (id, name, args))| {
                let mut call =
                    json!({"id": id, "type": "function", "function": {"name": name, "arguments": args}});
                if index {
                    call["index"] = json!(at);
                }
                call
            });
            calls.collect()
        };
        if told.calls.is_empty() {
            return json!({});
        }
        match pattern {
            Calls::Whole => {
                for call in whole(true) {
                    self.delta(&json!({"tool_calls": [call]}));
                }
            }
            Calls::Together => self.delta(&json!({"tool_calls": whole(true)})),
            Calls::Finish => return json!({"tool_calls": whole(true)}),
            Calls::FinishBare => return json!({"content": "", "tool_calls": whole(false)}),
            Calls::Fragments
            | Calls::Repeated
            | Calls::Bare
            | Calls::Nulls
            | Calls::Blank
            | Calls::Rotating => {
                for (at, call) in told.calls.iter().enumerate() {
                    for delta in fragments(at, call, pattern) {
                        self.delta(&delta);
                    }
                }
            }
        }
        json!({})
    }

    fn end(&mut self, last: &Value) {
        let told = self.told;
        let mut finish = self.chunk(last, Some(told.finish));
        let usage = told.usage();
        match told.flavour.usage {
            UsageAt::Finish => finish["usage"] = usage.clone(),
            UsageAt::Groq => finish["x_groq"] = json!({"id": "req_mock", "usage": usage}),
            UsageAt::Asked | UsageAt::SecondFinish | UsageAt::Every => {}
        }
        self.push(finish);
        if told.flavour.usage == UsageAt::SecondFinish {
            let mut second = self.chunk(&json!({"role": "assistant", "content": ""}), Some(told.finish));
            second["usage"] = usage.clone();
            self.push(second);
        }
        let asked = told.usage_asked && matches!(told.flavour.usage, UsageAt::Asked | UsageAt::Groq);
        if asked {
            let mut chunk = self.chunk(&json!({}), None);
            chunk["choices"] = json!([]);
            chunk["usage"] = usage;
            self.push(chunk);
        }
        if told.flavour.done {
            self.events.push(b"data: [DONE]\n\n".to_vec());
        }
    }
}

/// One call in pieces.
fn fragments(at: usize, (id, name, args): &(String, String, String), pattern: Calls) -> Vec<Value> {
    let mut out = Vec::new();
    let first = json!({"id": id, "type": "function", "function": {"name": name, "arguments": ""}});
    let later = |piece: &str| match pattern {
        Calls::Repeated => {
            json!({"id": id, "type": "function", "function": {"name": name, "arguments": piece}})
        }
        Calls::Nulls => json!({"id": null, "type": null, "function": {"name": null, "arguments": piece}}),
        Calls::Blank => json!({"id": "", "type": "function", "function": {"name": "", "arguments": piece}}),
        _ => json!({"function": {"arguments": piece}}),
    };
    for (place, mut call) in std::iter::once(first).chain(pieces(args).into_iter().map(later)).enumerate() {
        if pattern != Calls::Bare {
            call["index"] = json!(at);
        }
        let nulls = pattern == Calls::Nulls && place > 0;
        let delta = json!({"tool_calls": [call]});
        out.push(if nulls { with(delta, "content", Value::Null) } else { delta });
    }
    out
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

/// A text in pieces of some words.
fn pieces(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.char_indices().map(|(at, _)| at).nth(PIECE).unwrap_or(rest.len());
        let (piece, behind) = rest.split_at(end);
        out.push(piece);
        rest = behind;
    }
    out
}

const PIECE: usize = 12;
