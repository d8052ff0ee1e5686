//! Slow twins over parsed trees, written from wire.md alone: usage (10) and what a request says (19.1).

use std::collections::HashMap;

use pointsman::wire::traits::{Traits, UsageRule};
use pointsman::wire::{Dialect, Usage};
use serde_json::Value;

use crate::laws_twin::events;

/// The usage that a stream tells; `None` where it tells none.
pub fn usage_of_stream(dialect: Dialect, stream: &[u8], traits: &Traits) -> Option<Usage> {
    let mut last = None;
    let mut known = Value::Null;
    for (_, data) in events(stream) {
        let Ok(event) = serde_json::from_slice::<Value>(&data) else { continue };
        match dialect {
            Dialect::Messages => {
                for usage in [&event["message"]["usage"], &event["usage"]] {
                    for (name, value) in usage.as_object().into_iter().flatten() {
                        // What is told again supersedes; null tells nothing.
                        if !value.is_null() {
                            known[name] = value.clone();
                        }
                    }
                }
                last = (!known.is_null()).then(|| messages_usage(&known));
            }
            Dialect::Chat => {
                for usage in [&event["x_groq"]["usage"], &event["usage"]] {
                    if usage["prompt_tokens"].is_u64() || usage["completion_tokens"].is_u64() {
                        last = Some(chat_usage(usage, traits));
                    }
                }
            }
        }
    }
    last
}

/// The usage that a whole answer tells.
pub fn usage_of_reply(dialect: Dialect, body: &[u8], traits: &Traits) -> Option<Usage> {
    let body: Value = serde_json::from_slice(body).unwrap();
    let usage = body.get("usage").filter(|usage| usage.is_object())?;
    Some(match dialect {
        Dialect::Messages => messages_usage(usage),
        Dialect::Chat => chat_usage(usage, traits),
    })
}

fn messages_usage(usage: &Value) -> Usage {
    let count = |path: &str| usage.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let hour = count("/cache_creation/ephemeral_1h_input_tokens");
    let written = usage["cache_creation_input_tokens"]
        .as_u64()
        .unwrap_or(hour + count("/cache_creation/ephemeral_5m_input_tokens"));
    Usage {
        input: count("/input_tokens"),
        cache_read: count("/cache_read_input_tokens"),
        cache_write_5m: written - hour.min(written),
        cache_write_1h: hour.min(written),
        output: count("/output_tokens"),
        reasoning: count("/output_tokens_details/thinking_tokens"),
        web_searches: count("/server_tool_use/web_search_requests"),
        web_fetches: count("/server_tool_use/web_fetch_requests"),
        cost_nano: None,
    }
}

fn chat_usage(usage: &Value, traits: &Traits) -> Usage {
    let count = |paths: &[&str]| paths.iter().find_map(|path| usage.pointer(path)?.as_u64()).unwrap_or(0);
    let cache_read = count(&[
        "/prompt_tokens_details/cached_tokens",
        "/prompt_cache_hit_tokens",
        "/num_cached_tokens",
        "/cached_tokens",
    ]);
    let written = count(&["/prompt_tokens_details/cache_write_tokens"]);
    let reasoning = count(&["/completion_tokens_details/reasoning_tokens", "/reasoning_tokens"]);
    let dollars = usage["cost"].as_f64().or_else(|| usage["cost"]["total_cost"].as_f64());
    // A tick of xAI is a tenth of a nano-dollar.
    let ticks = usage["cost_in_usd_ticks"].as_u64().map(|ticks| ticks / 10);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let cost_nano = dollars.map(|dollars| (dollars * 1e9).round() as u64).or(ticks);
    let apart = if traits.usage == UsageRule::Apart { reasoning } else { 0 };
    Usage {
        input: count(&["/prompt_tokens"]).saturating_sub(cache_read + written),
        cache_read,
        cache_write_5m: written,
        output: count(&["/completion_tokens"]) + apart,
        reasoning,
        web_searches: count(&[
            "/server_tool_use_details/web_search_requests",
            "/server_tool_use/web_search_requests",
        ]),
        cost_nano,
        ..Usage::default()
    }
}

/// What a request says, item by item: who (`S`ystem, `U`ser, `A`ssistant), `C`all, `R`esult, with texts freed of blanks,
/// since how neighbours are joined is free. Calls are numbered in their order, since ids may change.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outline {
    pub items: Vec<String>,
    /// Pictures, documents and sounds, wherever they stand.
    pub media: usize,
    /// Something stands in a tool's result that Chat cannot hold there: its words are free.
    pub loose: bool,
    calls: HashMap<String, usize>,
}

impl Outline {
    /// Of a request in Messages.
    pub fn messages(body: &Value) -> Self {
        let mut outline = Self::default();
        outline.parts('S', &body["system"]);
        for message in body["messages"].as_array().into_iter().flatten() {
            let who = match message["role"].as_str().unwrap() {
                "system" => 'S',
                "assistant" => 'A',
                _ => 'U',
            };
            outline.results(&message["content"]);
            outline.parts(who, &message["content"]);
        }
        outline
    }

    /// Of a request in Chat Completions.
    pub fn chat(body: &Value) -> Self {
        let mut outline = Self::default();
        for message in body["messages"].as_array().into_iter().flatten() {
            let content = &message["content"];
            match message["role"].as_str().unwrap() {
                "system" | "developer" => outline.parts('S', content),
                "user" => outline.parts('U', content),
                "tool" => {
                    outline.media +=
                        content.as_array().into_iter().flatten().filter(|part| is_media(part)).count();
                    let id = message["tool_call_id"].as_str().unwrap_or_default();
                    outline.result(id, &joined(content));
                }
                _ => {
                    outline.parts('A', content);
                    outline.say('A', message["refusal"].as_str().unwrap_or_default());
                    for call in message["tool_calls"].as_array().into_iter().flatten() {
                        let function = &call["function"];
                        let args = function["arguments"].as_str().unwrap_or_default();
                        let args = serde_json::from_str(args).unwrap_or_else(|_| serde_json::json!({}));
                        outline.call(&call["id"], &function["name"], &args);
                    }
                }
            }
        }
        outline
    }

    /// Whether all that `other` says is said here too, by the same and in its order.
    pub fn covers(&self, other: &Self) -> bool {
        let mut rest = self.items.iter();
        other.items.iter().all(|wanted| {
            let holds = |item: &String| item[..1] == wanted[..1] && item[1..].contains(wanted[1..].trim());
            rest.any(holds)
        })
    }

    fn results(&mut self, content: &Value) {
        for part in content.as_array().into_iter().flatten().filter(|part| part["type"] == "tool_result") {
            let inner = &part["content"];
            let strange = |inner: &Value| inner["type"] != "text";
            self.loose |= inner.as_array().is_some_and(|inner| inner.iter().any(strange));
            self.media += inner.as_array().into_iter().flatten().filter(|inner| is_media(inner)).count();
            self.result(part["tool_use_id"].as_str().unwrap(), &joined(inner));
        }
    }

    fn parts(&mut self, who: char, content: &Value) {
        if let Some(text) = content.as_str() {
            return self.say(who, text);
        }
        for part in content.as_array().into_iter().flatten() {
            match part["type"].as_str().unwrap_or_default() {
                "text" => {
                    let text = part["text"].as_str().unwrap_or_default();
                    if !(who == 'S' && text.starts_with("x-anthropic-billing-header")) {
                        self.say(who, text);
                    }
                }
                "refusal" => self.say(who, part["refusal"].as_str().unwrap_or_default()),
                "tool_use" => self.call(&part["id"], &part["name"], &part["input"]),
                _ if is_media(part) => {
                    self.media += 1;
                    // A document may become a text of any wording.
                    self.loose |= part["type"] == "document" || part["type"] == "file";
                }
                "tool_result" | "thinking" | "redacted_thinking" => {}
                _ => self.loose = true,
            }
        }
    }

    fn say(&mut self, who: char, text: &str) {
        let text = OURS.iter().fold(text.to_owned(), |text, ours| text.replace(ours, ""));
        let text: String = text.split_whitespace().collect();
        if text.is_empty() || (who == 'U' && text == ".") {
            return;
        }
        // Instructions in the middle may be the user's, marked.
        let late = who == 'S' && self.items.iter().any(|item| !item.starts_with('S'));
        let who = if late { 'U' } else { who };
        match self.items.last_mut() {
            Some(last) if last.starts_with(who) => last.push_str(&text),
            _ => self.items.push(format!("{who} {text}")),
        }
    }

    fn call(&mut self, id: &Value, name: &Value, args: &Value) {
        let number = self.calls.len();
        // What is no object stands for one without members.
        let none = serde_json::json!({});
        let args = if args.is_object() { args } else { &none };
        self.calls.insert(id.as_str().unwrap_or_default().to_owned(), number);
        self.items.push(format!("C #{number} {} {args}", name.as_str().unwrap_or_default()));
    }

    fn result(&mut self, id: &str, text: &str) {
        let text: String = text.trim_start().trim_start_matches("Error:").split_whitespace().collect();
        let number = self.calls.get(id).map_or_else(|| "?".to_owned(), ToString::to_string);
        let text = text.replace("[image:inthenextmessageoftheuser]", "");
        self.items.push(format!("R #{number} {text}"));
        // Results of one turn may stand in any order.
        let start = self.items.iter().rposition(|item| !item.starts_with('R')).map_or(0, |at| at + 1);
        self.items[start..].sort();
    }
}

/// What translation adds of its own: marks of instructions in the middle, hints where a format has no field,
/// words for what cannot be there.
const OURS: [&str; 6] = [
    "[image left out]",
    "[document left out]",
    "<system-reminder>",
    "</system-reminder>",
    "Answer with a JSON object and nothing else.",
    "Answer with one JSON object and nothing else.",
];

fn is_media(part: &Value) -> bool {
    let kind = part["type"].as_str().unwrap_or_default();
    // A file that another provider holds is none to this one, and a text is a text.
    let source = part["source"]["type"].as_str().unwrap_or_default();
    let elsewhere = ["file", "text", "content"].contains(&source) || part["file"]["file_id"].is_string();
    ["image", "image_url", "document", "file", "input_audio"].contains(&kind) && !elsewhere
}

fn joined(content: &Value) -> String {
    if let Some(text) = content.as_str() {
        return text.to_owned();
    }
    let parts = content.as_array().into_iter().flatten();
    parts.filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
}
