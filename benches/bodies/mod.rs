//! Bodies and streams for the benches, made from recorded requests and a text as coding agents send it.

#![allow(dead_code)] // Each bench takes what it needs.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// Sizes that are measured: a title request, a first turn, a long session.
pub const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];

/// A Messages body of about that size: tools and system as Claude Code sends them, then turns that read source text.
pub fn request(size: usize) -> Vec<u8> {
    if size < 10_000 {
        return json!({
            "model": "claude-x", "max_tokens": 64, "stream": true,
            "messages": [{"role": "user", "content": &SOURCE[..size - 120]}],
        })
        .to_string()
        .into_bytes();
    }
    let mut body = claude_code("claude-code-parallel-tool-results");
    // A tenth of the real list: 40 schemas in a body of 100 KB.
    let tools = body["tools"].as_array().cloned().unwrap_or_default();
    body["tools"] = tools.iter().cycle().take(40).cloned().collect();
    body["stream"] = true.into();
    let mut messages = body["messages"].as_array().cloned().unwrap_or_default();
    let mut length = body.to_string().len();
    for turn in 0.. {
        if length >= size {
            break;
        }
        let pair = tool_turn(turn);
        length += pair.iter().map(|message| message.to_string().len() + 1).sum::<usize>();
        messages.extend(pair);
    }
    body["messages"] = messages.into();
    body.to_string().into_bytes()
}

/// A stream of about that size, as recorded: its deltas are repeated.
pub fn stream(size: usize) -> Vec<u8> {
    let recorded =
        fixture("anthropic/fantasy--testanthropicthinking-claude-sonnet-4-thinking-streaming/1.resp.sse");
    let text = String::from_utf8(recorded).expect("recorded as UTF-8");
    let events: Vec<_> = text.split_inclusive("\n\n").collect();
    let first = events.iter().position(|event| event.contains("content_block_delta")).expect("has deltas");
    let (front, rest) = events.split_at(first);
    let deltas: Vec<_> = rest.iter().take_while(|event| event.contains("content_block_delta")).collect();
    let mut out: String = front.concat();
    for delta in deltas.iter().cycle() {
        if out.len() >= size {
            break;
        }
        out.push_str(delta);
    }
    out.push_str(&rest[deltas.len()..].concat());
    out.into_bytes()
}

fn claude_code(name: &str) -> Value {
    let call: Value =
        serde_json::from_slice(&fixture(&format!("client-requests/{name}.json"))).expect("is JSON");
    call["body"].clone()
}

/// What one tool call adds to a history.
fn tool_turn(turn: usize) -> [Value; 2] {
    let id = format!("toolu_{turn:024}");
    let from = turn % 4 * 500;
    let thinking = json!({"type": "thinking", "thinking": "Let me look at the file first.", "signature": "ErUBCkYIBxgC".repeat(30)});
    let call = json!({"type": "tool_use", "id": id, "name": "Read", "input": {"file_path": "/repo/src/json/peek.rs"}});
    let result = json!({"type": "tool_result", "tool_use_id": id, "content": &SOURCE[from..from + 6000]});
    [json!({"role": "assistant", "content": [thinking, call]}), json!({"role": "user", "content": [result]})]
}

fn fixture(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Source text: many line ends, some quotes.
const SOURCE: &str = include_str!("../../src/json/text.rs");
