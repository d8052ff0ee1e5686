//! What a turn of the brain says in Chat's terms: its text, its thinking, its calls, its end and its usage.
//!
//! Both renderings ([`super::reply`] the whole one, [`super::stream`] the streamed one) read it, so they cannot drift.

use serde_json::{Value, json};

use super::flavour::{Calls, Carrier, Flavour, Shape};
use super::models;
use crate::mock::reply::{self, Turn};

/// One answer, ready to be rendered.
pub struct Said<'a> {
    /// Whose answer it is.
    pub flavour: &'static Flavour,
    /// What the brain said.
    pub turn: &'a Turn,
    /// The request's number.
    pub number: u64,
    /// How the calls come in a stream; never [`Calls::Rotating`].
    pub calls: Calls,
    /// Whether the request asked for usage in the stream.
    pub include_usage: bool,
    /// How many equal choices are given.
    pub choices: u64,
}

/// A call, as it is told.
pub struct Call {
    /// Its id in the flavour's form.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The input as text.
    pub arguments: String,
    /// Google's opaque state, on the first call of a turn with thinking.
    pub extra: Option<Value>,
}

impl Said<'_> {
    /// The id of the answer.
    pub fn id(&self) -> String {
        let seed = self.turn.id.trim_start_matches("msg_mock");
        match self.flavour.name {
            "openrouter" => format!("gen-{}-{seed}", self.created()),
            _ => format!("{}{seed}", self.flavour.id),
        }
    }

    /// Seconds since 1970, after a clock that ticks with the requests.
    pub fn created(&self) -> u64 {
        1_790_000_000 + self.number
    }

    /// The text; at Perplexity with the thinking before it.
    pub fn text(&self) -> String {
        let said: String = self.of("text").filter_map(|block| block["text"].as_str()).collect();
        match (self.flavour.carrier, self.thought()) {
            (Carrier::Tags, Some(thought)) => format!("<think>\n{thought}\n</think>\n\n{said}"),
            _ => said,
        }
    }

    /// The thinking, if there was any.
    pub fn thought(&self) -> Option<&str> {
        self.of("thinking").find_map(|block| block["thinking"].as_str())
    }

    /// The thinking as `reasoning_details`, in the form of the model's vendor.
    pub fn details(&self) -> Vec<Value> {
        let Some(thought) = self.thought() else { return Vec::new() };
        let seed = self.number;
        let sealed = |format: &str, index: u64| {
            json!({
                "type": "reasoning.encrypted", "data": reply::signature("", seed), "format": format,
                "id": format!("rs_mock{seed}"), "index": index,
            })
        };
        match models::vendor(&self.turn.model) {
            "anthropic" => vec![json!({
                "type": "reasoning.text", "text": thought, "signature": reply::signature(thought, seed),
                "format": "anthropic-claude-v1", "index": 0,
            })],
            vendor @ ("openai" | "x-ai") => {
                let format = if vendor == "openai" { "openai-responses-v1" } else { "xai-responses-v1" };
                let summary =
                    json!({"type": "reasoning.summary", "summary": thought, "format": format, "index": 0});
                vec![summary, sealed(format, 0)]
            }
            "google" => vec![
                json!({"type": "reasoning.text", "text": thought, "format": "google-gemini-v1", "index": 0}),
                sealed("google-gemini-v1", 1),
            ],
            _ => vec![json!({"type": "reasoning.text", "text": thought, "format": "unknown", "index": 0})],
        }
    }

    /// The calls.
    pub fn calls(&self) -> Vec<Call> {
        let signs = self.flavour.name == "gemini" && self.turn.usage.thinking > 0;
        let calls = self.of("tool_use").enumerate().map(|(at, block)| Call {
            id: self.call_id(block["id"].as_str().unwrap_or_default(), at),
            name: block["name"].as_str().unwrap_or_default().to_owned(),
            arguments: block["input"].to_string(),
            extra: (signs && at == 0)
                .then(|| json!({"google": {"thought_signature": reply::signature("", self.number)}})),
        });
        calls.collect()
    }

    fn call_id(&self, id: &str, at: usize) -> String {
        let hash = reply::hash(&[id.as_bytes()]);
        match self.flavour.name {
            // Nine letters and digits, no more and no less.
            "mistral" => format!("{:09x}", hash & 0xf_ffff_ffff),
            "openrouter" if models::vendor(&self.turn.model) == "anthropic" => id.to_owned(),
            "deepseek" => format!("call_{at:02}_{hash:016x}"),
            _ => format!("{}{hash:016x}", self.flavour.call_id),
        }
    }

    /// `finish_reason`.
    pub fn finish(&self) -> &'static str {
        match self.turn.stop_reason {
            "tool_use" => "tool_calls",
            "max_tokens" => "length",
            "refusal" => "content_filter",
            _ => "stop",
        }
    }

    /// `native_finish_reason` of `OpenRouter`.
    pub fn native_finish(&self) -> &'static str {
        match models::vendor(&self.turn.model) {
            "anthropic" => self.turn.stop_reason,
            "google" => "STOP",
            _ => self.finish(),
        }
    }

    /// The usage after `output` of the tokens were said.
    pub fn usage(&self, output: u64) -> Value {
        let counted = &self.turn.usage;
        let written = counted.cache_write_5m + counted.cache_write_1h;
        let prompt = counted.input + counted.cache_read + written;
        let (cached, reasoning) = (counted.cache_read, counted.thinking.min(output));
        let apart = matches!(self.flavour.shape, Shape::Xai | Shape::Google);
        let completion = if apart { output - reasoning } else { output };
        let mut usage = json!({
            "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + output,
        });
        let fields = match self.flavour.shape {
            Shape::Plain | Shape::Google => json!({}),
            Shape::Details => json!({
                "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
                "completion_tokens_details": {
                    "reasoning_tokens": reasoning, "audio_tokens": 0, "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            }),
            Shape::Cached => json!({"prompt_tokens_details": {"cached_tokens": cached}}),
            Shape::OpenRouter => {
                let (input_cost, output_cost) = (cost(prompt), cost(output * 5));
                json!({
                    "cost": cost(prompt + output * 5), "is_byok": false,
                    "prompt_tokens_details": {
                        "cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": 0, "video_tokens": 0,
                    },
                    "cost_details": {
                        "upstream_inference_cost": cost(prompt + output * 5),
                        "upstream_inference_prompt_cost": input_cost,
                        "upstream_inference_completions_cost": output_cost,
                    },
                    "completion_tokens_details": {"reasoning_tokens": reasoning, "image_tokens": 0, "audio_tokens": 0},
                })
            }
            Shape::Groq => json!({
                "queue_time": 0.2, "prompt_time": 0.02, "completion_time": 0.05, "total_time": 0.07,
                "prompt_tokens_details": {"cached_tokens": cached},
            }),
            Shape::Xai => json!({
                "prompt_tokens_details": {
                    "text_tokens": prompt, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": cached,
                },
                "completion_tokens_details": {
                    "reasoning_tokens": reasoning, "audio_tokens": 0, "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
                "num_sources_used": 0, "cost_in_usd_ticks": (prompt + output * 5) * 10_000,
            }),
            Shape::DeepSeek => json!({
                "prompt_tokens_details": {"cached_tokens": cached},
                "prompt_cache_hit_tokens": cached, "prompt_cache_miss_tokens": prompt - cached,
            }),
            Shape::Together => json!({"cached_tokens": cached}),
            Shape::Perplexity => json!({
                "search_context_size": "low",
                "cost": {"input_tokens_cost": cost(prompt), "output_tokens_cost": cost(output * 5), "request_cost": 0.005,
                         "total_cost": cost(prompt + output * 5 + 5_000)},
            }),
        };
        if let (Some(usage), Value::Object(fields)) = (usage.as_object_mut(), fields) {
            usage.extend(fields);
        }
        let told = matches!(self.flavour.shape, Shape::Cached | Shape::DeepSeek) && reasoning > 0;
        if told && self.flavour.name != "mistral" {
            usage["completion_tokens_details"] = json!({"reasoning_tokens": reasoning});
        }
        usage
    }

    fn of(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.turn.content.iter().filter(move |block| block["type"] == kind)
    }
}

/// Dollars for so many tokens at one dollar a million.
fn cost(tokens: u64) -> Value {
    // Exact for any number of tokens that a request can have.
    serde_json::from_str(&format!("{}.{:06}", tokens / 1_000_000, tokens % 1_000_000)).unwrap_or_default()
}
