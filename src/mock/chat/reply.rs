//! An answer as one whole Chat completion, in each provider's form.
//!
//! Decides nothing about what is said ([`super::said`] holds it).

use serde_json::{Map, Value, json};

use super::flavour::Carrier;
use super::said::{Call, Said};

/// The answer as one object.
pub fn whole(said: &Said<'_>) -> Value {
    let choices: Vec<Value> = (0..said.choices).map(|index| choice(said, index)).collect();
    let mut body = frame(said, "chat.completion");
    body.insert("choices".to_owned(), json!(choices));
    body.insert("usage".to_owned(), said.usage(said.turn.usage.output));
    for (name, value) in extras(said) {
        body.insert(name.to_owned(), value);
    }
    Value::Object(body)
}

/// What every object of an answer bears.
pub fn frame(said: &Said<'_>, object: &str) -> Map<String, Value> {
    let mut frame = Map::new();
    frame.insert("id".to_owned(), json!(said.id()));
    frame.insert("object".to_owned(), json!(object));
    frame.insert("created".to_owned(), json!(said.created()));
    frame.insert("model".to_owned(), json!(said.turn.model));
    let more = match said.flavour.name {
        "openai" => ("service_tier", json!("default")),
        "openrouter" => ("provider", json!("Mock")),
        "ollama" => ("system_fingerprint", json!("fp_ollama")),
        "perplexity" => ("citations", json!(["https://example.com/mock"])),
        "groq" | "deepseek" | "xai" | "cerebras" | "llamacpp" => ("system_fingerprint", json!("fp_mock")),
        _ => return frame,
    };
    frame.insert(more.0.to_owned(), more.1);
    frame
}

/// What only a whole answer, or the last chunk of a stream, bears.
pub fn extras(said: &Said<'_>) -> Vec<(&'static str, Value)> {
    match said.flavour.name {
        "groq" => vec![("x_groq", json!({"id": format!("req_mock{}", said.number)}))],
        "cerebras" => vec![(
            "time_info",
            json!({"queue_time": 0.01, "prompt_time": 0.01, "completion_time": 0.02, "total_time": 0.04}),
        )],
        "llamacpp" => vec![(
            "timings",
            json!({"prompt_n": said.turn.usage.input, "predicted_n": said.turn.usage.output}),
        )],
        "zai" => vec![("request_id", json!(said.id()))],
        "together" => vec![("prompt", json!([]))],
        "perplexity" => vec![(
            "search_results",
            json!([{"title": "A page of the mock", "url": "https://example.com/mock", "source": "web"}]),
        )],
        _ => Vec::new(),
    }
}

fn choice(said: &Said<'_>, index: u64) -> Value {
    let mut choice = json!({"index": index, "message": message(said), "finish_reason": said.finish()});
    match said.flavour.name {
        "openai" | "groq" | "deepseek" | "together" => choice["logprobs"] = Value::Null,
        "openrouter" => choice["native_finish_reason"] = json!(said.native_finish()),
        "vllm" => choice["stop_reason"] = json!(said.turn.stop_sequence),
        _ => {}
    }
    choice
}

fn message(said: &Said<'_>) -> Value {
    let mut message = json!({"role": "assistant", "content": content(said)});
    if said.flavour.name == "openai" {
        message["refusal"] = Value::Null;
        message["annotations"] = json!([]);
    }
    match (said.flavour.carrier, said.thought()) {
        (Carrier::Field(name), Some(thought)) => message[name] = json!(thought),
        (Carrier::Details, thought) => {
            message["reasoning"] = json!(thought);
            message["refusal"] = Value::Null;
            if thought.is_some() {
                message["reasoning_details"] = json!(said.details());
            }
        }
        _ => {}
    }
    let calls: Vec<Value> =
        said.calls().iter().enumerate().map(|(at, call)| called(said, at, call)).collect();
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    } else if matches!(said.flavour.name, "mistral") {
        message["tool_calls"] = Value::Null;
    } else if said.flavour.name == "vllm" {
        message["tool_calls"] = json!([]);
    }
    message
}

fn content(said: &Said<'_>) -> Value {
    let text = said.text();
    if let (Carrier::Part, Some(thought)) = (said.flavour.carrier, said.thought()) {
        return json!([
            {"type": "thinking", "thinking": [{"type": "text", "text": thought}], "closed": true},
            {"type": "text", "text": text},
        ]);
    }
    let null =
        text.is_empty() && matches!(said.flavour.name, "openai" | "groq" | "together" | "vllm" | "gemini");
    if null { Value::Null } else { json!(text) }
}

/// A call as a whole.
pub fn called(said: &Said<'_>, at: usize, call: &Call) -> Value {
    let mut called = json!({
        "id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments},
    });
    if matches!(said.flavour.name, "openrouter" | "together" | "zai") {
        called["index"] = json!(at);
    }
    if let Some(extra) = &call.extra {
        called["extra_content"] = extra.clone();
    }
    called
}
