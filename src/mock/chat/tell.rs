//! One turn of the model in the form of a provider of Chat Completions: what it says, and as one whole answer.
//!
//! [`super::stream`] tells the same in chunks. Decides nothing about what is said.

use serde_json::{Map, Value, json};

use super::flavour::{Carrier, Flavour, Shape};
use crate::mock::reply::Turn;

/// A turn taken apart.
pub struct Told<'t> {
    pub flavour: &'t Flavour,
    pub turn: &'t Turn,
    pub id: String,
    /// Usage is asked for in a stream.
    pub usage_asked: bool,
    pub thinking: String,
    pub signature: String,
    pub text: String,
    /// Id, name, arguments.
    pub calls: Vec<(String, String, String)>,
    pub finish: &'static str,
}

impl<'t> Told<'t> {
    pub fn new(turn: &'t Turn, body: &Value, flavour: &'t Flavour, number: u64) -> Self {
        let mut told = Self {
            flavour,
            turn,
            id: format!("{}{}{number:08x}", flavour.id, turn.id.trim_start_matches("msg_")),
            usage_asked: body["stream_options"]["include_usage"] == true,
            thinking: String::new(),
            signature: String::new(),
            text: String::new(),
            calls: Vec::new(),
            finish: match turn.stop_reason {
                "tool_use" => "tool_calls",
                "max_tokens" => "length",
                "refusal" => "content_filter",
                _ => "stop",
            },
        };
        let text = |block: &Value, field: &str| block[field].as_str().unwrap_or_default().to_owned();
        for block in &turn.content {
            match block["type"].as_str().unwrap_or_default() {
                "thinking" => {
                    told.thinking = text(block, "thinking");
                    told.signature = text(block, "signature");
                }
                "text" => told.text.push_str(&text(block, "text")),
                "tool_use" => {
                    let id = call_id(flavour, &text(block, "id"), told.calls.len());
                    told.calls.push((id, text(block, "name"), block["input"].to_string()));
                }
                _ => {}
            }
        }
        told
    }

    /// The answer in one piece.
    pub fn whole(&self) -> Value {
        let mut message = Map::new();
        message.insert("role".to_owned(), json!("assistant"));
        let content = match self.flavour.carrier {
            Carrier::Tags if !self.thinking.is_empty() => {
                json!(format!("<think>\n{}\n</think>\n\n{}", self.thinking, self.text))
            }
            Carrier::Part if !self.thinking.is_empty() => {
                json!([self.part(), {"type": "text", "text": self.text}])
            }
            _ if self.text.is_empty() && !self.calls.is_empty() => Value::Null,
            _ => json!(self.text),
        };
        message.insert("content".to_owned(), content);
        for (name, value) in self.thought(&self.thinking) {
            message.insert(name, value);
        }
        if !self.calls.is_empty() {
            let calls = self.calls.iter().map(|(id, name, args)| {
                json!({"id": id, "type": "function", "function": {"name": name, "arguments": args}})
            });
            message.insert("tool_calls".to_owned(), calls.collect());
        }
        json!({
            "id": self.id, "object": "chat.completion", "created": 1_764_000_000, "model": self.turn.model,
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish, "logprobs": null}],
            "usage": self.usage(),
        })
    }

    /// Thinking as a part of the content.
    pub fn part(&self) -> Value {
        json!({"type": "thinking", "thinking": [{"type": "text", "text": self.thinking}], "closed": true})
    }

    /// Fields of a message or a delta that carry this piece of thinking.
    pub fn thought(&self, text: &str) -> Vec<(String, Value)> {
        if text.is_empty() {
            return Vec::new();
        }
        match self.flavour.carrier {
            Carrier::Field(name) => vec![(name.to_owned(), json!(text))],
            Carrier::Details => {
                let mut detail = json!({"type": "reasoning.text", "text": text, "format": "anthropic-claude-v1", "index": 0});
                if text.len() == self.thinking.len() {
                    detail["signature"] = json!(self.signature);
                }
                vec![("reasoning".to_owned(), json!(text)), ("reasoning_details".to_owned(), json!([detail]))]
            }
            Carrier::Hidden | Carrier::Part | Carrier::Tags => Vec::new(),
        }
    }

    /// The object of `usage`.
    pub fn usage(&self) -> Value {
        let usage = &self.turn.usage;
        let cached = usage.cache_read;
        let prompt = usage.input + cached + usage.cache_write_5m + usage.cache_write_1h;
        let (output, thinking) = (usage.output, usage.thinking);
        let mut told =
            json!({"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output});
        let details = |told: &mut Value| {
            told["prompt_tokens_details"] = json!({"cached_tokens": cached, "audio_tokens": 0});
            told["completion_tokens_details"] = json!({"reasoning_tokens": thinking, "audio_tokens": 0});
        };
        match self.flavour.shape {
            Shape::Plain => {}
            Shape::Details => details(&mut told),
            Shape::Cached => told["prompt_tokens_details"] = json!({"cached_tokens": cached}),
            Shape::OpenRouter => {
                details(&mut told);
                told["cost"] = json!(0.001_234_5);
                told["is_byok"] = json!(false);
                told["cost_details"] = json!({"upstream_inference_cost": null});
            }
            Shape::Groq => {
                told["queue_time"] = json!(0.01);
                told["total_time"] = json!(0.2);
            }
            Shape::Xai => {
                details(&mut told);
                told["completion_tokens"] = json!(output - thinking);
                told["cost_in_usd_ticks"] = json!(12_345_000);
            }
            Shape::DeepSeek => {
                details(&mut told);
                told["prompt_cache_hit_tokens"] = json!(cached);
                told["prompt_cache_miss_tokens"] = json!(prompt - cached);
            }
            Shape::Together => told["cached_tokens"] = json!(cached),
            Shape::Perplexity => told["cost"] = json!({"total_cost": 0.005, "request_cost": 0.005}),
            Shape::Google => {
                told["completion_tokens"] = json!(output - thinking);
            }
        }
        told
    }
}

/// An id as this provider makes them, from the one that the turn has.
fn call_id(flavour: &Flavour, id: &str, at: usize) -> String {
    let plain: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
    let tail = &plain[plain.len().saturating_sub(10)..];
    if flavour.name == "mistral" {
        let hash = crate::mock::reply::hash(&[id.as_bytes()]);
        return format!("{:08x}{at}", hash & 0xffff_ffff);
    }
    format!("{}{tail}{at}", flavour.call_id)
}
