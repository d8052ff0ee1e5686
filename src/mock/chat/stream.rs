//! An answer as a stream of Chat chunks, in each provider's way.
//!
//! ```text
//! comments   role   thinking…   text…   calls…   finish   (finish again)   usage   [DONE]
//! ```
//!
//! Which of these come, and in which form, are columns of [`super::flavour`]. Decides nothing about what is said
//! ([`super::said`] holds it).

use serde_json::{Value, json};

use super::flavour::{Calls, Carrier, UsageAt};
use super::reply::{called, extras, frame};
use super::said::{Call, Said};
use crate::mock::reply::{BYTES_PER_TOKEN, pieces};

/// The events of a stream, one for each element.
pub fn events(said: &Said<'_>) -> Vec<Vec<u8>> {
    let mut stream = Stream { said, out: Vec::new(), content: String::new() };
    for comment in said.flavour.comments {
        stream.out.push(format!(": {comment}\n\n").into_bytes());
    }
    stream.begin();
    stream.thinking();
    stream.text();
    let held = stream.calls();
    stream.finish(held);
    if said.flavour.done {
        stream.out.push(b"data: [DONE]\n\n".to_vec());
    }
    stream.out
}

/// A stream that is being written.
struct Stream<'a, 't> {
    said: &'a Said<'t>,
    out: Vec<Vec<u8>>,
    /// All content so far.
    content: String,
}

impl Stream<'_, '_> {
    fn begin(&mut self) {
        match self.said.flavour.name {
            "openrouter" | "xai" | "together" | "perplexity" | "zai" | "ollama" | "gemini" => {}
            "vllm" => self.delta(json!({"role": "assistant"})),
            "deepseek" if self.said.thought().is_some() => {
                self.delta(json!({"role": "assistant", "content": null, "reasoning_content": ""}));
            }
            "groq" => {
                let id = json!({"id": format!("req_mock{}", self.said.number), "seed": 1});
                self.chunk(json!({"role": "assistant", "content": ""}), None, &[("x_groq", id)]);
            }
            "llamacpp" => self.delta(json!({"role": "assistant", "content": null})),
            "openai" => self.delta(json!({"role": "assistant", "content": "", "refusal": null})),
            _ => self.delta(json!({"role": "assistant", "content": ""})),
        }
    }

    fn thinking(&mut self) {
        let Some(thought) = self.said.thought() else { return };
        let thought = thought.to_owned();
        match self.said.flavour.carrier {
            Carrier::Hidden | Carrier::Tags => {}
            Carrier::Field(name) => {
                for piece in pieces(&thought) {
                    let mut delta = json!({name: piece});
                    match self.said.flavour.name {
                        "deepseek" => delta["content"] = Value::Null,
                        "ollama" => delta["content"] = json!(""),
                        _ => {}
                    }
                    self.delta(delta);
                }
            }
            Carrier::Details => self.details(),
            Carrier::Part => {
                for piece in pieces(&thought) {
                    self.delta(json!({"content": [thinking_part(piece, false)]}));
                }
            }
        }
    }

    /// Details come in pieces too; a signature, and what is encrypted, after the text.
    fn details(&mut self) {
        for detail in self.said.details() {
            let field = ["text", "summary"].into_iter().find(|field| detail[*field].is_string());
            let Some(field) = field else {
                self.delta(json!({"content": "", "reasoning": null, "reasoning_details": [detail]}));
                continue;
            };
            let mut piece = detail.clone();
            let signature = piece.as_object_mut().and_then(|piece| piece.remove("signature"));
            for text in pieces(detail[field].as_str().unwrap_or_default()) {
                piece[field] = json!(text);
                self.delta(json!({"content": "", "reasoning": text, "reasoning_details": [piece]}));
            }
            if let Some(signature) = signature {
                piece[field] = json!("");
                piece["signature"] = signature;
                self.delta(json!({"content": "", "reasoning": null, "reasoning_details": [piece]}));
            }
        }
    }

    fn text(&mut self) {
        let text = self.said.text();
        let mut closing = self.said.flavour.carrier == Carrier::Part && self.said.thought().is_some();
        for piece in pieces(&text) {
            self.content.push_str(piece);
            let content = if std::mem::take(&mut closing) {
                json!([thinking_part("", true), {"type": "text", "text": piece}])
            } else {
                json!(piece)
            };
            let mut delta = json!({"content": content});
            if self.said.calls == Calls::Nulls {
                delta["tool_calls"] = Value::Null;
            }
            self.delta(delta);
        }
    }

    /// The chunks of the calls; what has to wait for the finish is given back.
    fn calls(&mut self) -> Option<Value> {
        let calls = self.said.calls();
        if calls.is_empty() {
            return None;
        }
        let whole = |at: usize, index: bool| {
            let mut whole = called(self.said, at, &calls[at]);
            if let Some(whole) = whole.as_object_mut() {
                whole.remove("index");
                if index {
                    whole.insert("index".to_owned(), json!(at));
                }
            }
            whole
        };
        let all = |index: bool| json!((0..calls.len()).map(|at| whole(at, index)).collect::<Vec<_>>());
        match self.said.calls {
            Calls::Whole => {
                let each: Vec<Value> = (0..calls.len()).map(|at| whole(at, true)).collect();
                for call in each {
                    self.delta(json!({"tool_calls": [call]}));
                }
            }
            Calls::Together => {
                let all = all(true);
                self.delta(json!({"tool_calls": all}));
            }
            Calls::Finish => return Some(all(true)),
            Calls::FinishBare => return Some(all(false)),
            pattern => {
                for (at, call) in calls.iter().enumerate() {
                    for fragment in fragments(pattern, at, call) {
                        let null = self.said.flavour.name == "openrouter" || pattern == Calls::Nulls;
                        self.delta(if null {
                            json!({"content": null, "tool_calls": [fragment]})
                        } else {
                            json!({"tool_calls": [fragment]})
                        });
                    }
                }
            }
        }
        None
    }

    fn finish(&mut self, calls: Option<Value>) {
        let said = self.said;
        let usage = said.usage(said.turn.usage.output);
        let mut delta = match said.flavour.name {
            "mistral" | "deepseek" | "openrouter" | "together" | "zai" | "perplexity" => {
                json!({"content": ""})
            }
            _ => json!({}),
        };
        if said.flavour.name == "mistral" && calls.is_some() {
            delta = json!({});
        }
        if let Some(calls) = calls {
            delta["tool_calls"] = calls;
        }
        let end = Some(said.finish());
        match said.flavour.usage {
            UsageAt::Finish | UsageAt::Every => self.chunk(delta, end, &[("usage", usage)]),
            UsageAt::SecondFinish => {
                self.chunk(delta, end, &[]);
                self.chunk(json!({"content": ""}), end, &[("usage", usage)]);
            }
            UsageAt::Groq => {
                let own = json!({"id": format!("req_mock{}", said.number), "usage": usage});
                if said.include_usage {
                    self.chunk(delta, end, &[("x_groq", own), ("usage", usage.clone())]);
                    self.bare(usage);
                } else {
                    self.chunk(delta, end, &[("x_groq", own)]);
                }
            }
            UsageAt::Asked => {
                self.chunk(delta, end, &[]);
                if said.include_usage {
                    self.bare(usage);
                }
            }
        }
    }

    fn delta(&mut self, delta: Value) {
        self.chunk(delta, None, &[]);
    }

    /// A chunk with a choice, or with as many equal ones as were asked for.
    fn chunk(&mut self, mut delta: Value, finish: Option<&str>, more: &[(&str, Value)]) {
        let said = self.said;
        let repeats = matches!(
            said.flavour.name,
            "openrouter" | "together" | "zai" | "perplexity" | "ollama" | "gemini"
        );
        let first = said.flavour.name == "xai" && self.out.is_empty();
        if repeats || first {
            delta["role"] = json!("assistant");
        }
        for index in 0..said.choices {
            let choice = self.choice(index, &delta, finish);
            let mut chunk = frame(said, "chat.completion.chunk");
            chunk.insert("choices".to_owned(), json!([choice]));
            let null =
                said.include_usage && said.flavour.usage == UsageAt::Asked && said.flavour.name == "openai";
            if null || matches!(said.flavour.name, "deepseek" | "together") {
                chunk.insert("usage".to_owned(), Value::Null);
            }
            if said.flavour.usage == UsageAt::Every {
                let output = (self.content.len() as u64).div_ceil(BYTES_PER_TOKEN);
                chunk.insert("usage".to_owned(), said.usage(output.min(said.turn.usage.output)));
            }
            if said.flavour.name == "mistral" {
                chunk.insert("p".to_owned(), json!("abcdefghijkl"));
            }
            chunk.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            self.send(&Value::Object(chunk));
        }
    }

    fn choice(&self, index: u64, delta: &Value, finish: Option<&str>) -> Value {
        let mut choice = json!({"index": index, "delta": delta, "finish_reason": finish});
        match self.said.flavour.name {
            "openai" | "groq" | "deepseek" => choice["logprobs"] = Value::Null,
            "openrouter" => {
                choice["native_finish_reason"] = json!(finish.map(|_| self.said.native_finish()));
            }
            "together" => {
                choice["text"] = json!(delta["content"].as_str().unwrap_or_default());
                choice["seed"] = Value::Null;
            }
            "perplexity" => choice["message"] = json!({"role": "assistant", "content": self.content}),
            "vllm" if finish.is_some() => choice["stop_reason"] = json!(self.said.turn.stop_sequence),
            _ => {}
        }
        if matches!(self.said.flavour.name, "xai" | "zai" | "perplexity")
            && finish.is_none()
            && let Some(choice) = choice.as_object_mut()
        {
            choice.remove("finish_reason");
        }
        choice
    }

    /// The chunk that holds nothing but the usage.
    fn bare(&mut self, usage: Value) {
        let mut chunk = frame(self.said, "chat.completion.chunk");
        chunk.insert("choices".to_owned(), json!([]));
        chunk.insert("usage".to_owned(), usage);
        for (name, value) in extras(self.said).into_iter().filter(|(name, _)| *name != "x_groq") {
            chunk.insert(name.to_owned(), value);
        }
        self.send(&Value::Object(chunk));
    }

    fn send(&mut self, chunk: &Value) {
        self.out.push(format!("data: {chunk}\n\n").into_bytes());
    }
}

fn thinking_part(text: &str, closed: bool) -> Value {
    let mut part = json!({"type": "thinking", "thinking": [{"type": "text", "text": text}]});
    if closed {
        part["closed"] = json!(true);
    }
    part
}

/// A call in pieces.
fn fragments(pattern: Calls, at: usize, call: &Call) -> Vec<Value> {
    let first = json!({"index": at, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}});
    let mut fragments = vec![first.clone()];
    for piece in pieces(&call.arguments) {
        let mut fragment = match pattern {
            Calls::Repeated => first.clone(),
            Calls::Nulls => json!({"index": at, "id": null, "type": null, "function": {"name": null}}),
            Calls::Blank => json!({"index": at, "id": "", "type": "function", "function": {"name": ""}}),
            _ => json!({"index": at, "function": {}}),
        };
        fragment["function"]["arguments"] = json!(piece);
        fragments.push(fragment);
    }
    if pattern == Calls::Nulls {
        fragments[0]["function"]["arguments"] = Value::Null;
    }
    if pattern == Calls::Bare {
        for fragment in fragments.iter_mut().filter_map(Value::as_object_mut) {
            fragment.remove("index");
        }
    }
    fragments
}
