//! A Chat request as the Messages body that the model of this mock understands.
//!
//! Loose on purpose: [`super::strict`] has refused what is wrong. Translates back nothing.

use serde_json::{Map, Value, json};

use super::flavour::Flavour;
use super::models::{Model, Thinks};
use crate::mock::models;
use crate::mock::strict::Asked;

/// What is asked.
pub fn asked(body: &Value, flavour: &Flavour, model: &Model) -> Asked {
    let mut out = Map::new();
    out.insert("model".to_owned(), body["model"].clone());
    let (system, messages) = messages(&body["messages"]);
    out.insert("system".to_owned(), Value::Array(system));
    out.insert("messages".to_owned(), Value::Array(messages));
    out.insert("tools".to_owned(), tools(&body["tools"]));
    if let Some(choice) = choice(body) {
        out.insert("tool_choice".to_owned(), choice);
    }
    let limit = ["max_completion_tokens", "max_tokens"].iter().find_map(|name| body[*name].as_u64());
    out.insert("max_tokens".to_owned(), json!(limit.unwrap_or(model.output)));
    out.insert("stop_sequences".to_owned(), listed(&body["stop"]));
    if body["response_format"]["type"] == "json_schema" {
        let schema = &body["response_format"]["json_schema"]["schema"];
        out.insert("output_config".to_owned(), json!({"format": {"type": "json_schema", "schema": schema}}));
    }
    let thinking = if thinks(body, flavour, model) {
        json!({"type": "enabled", "budget_tokens": 1024})
    } else {
        json!({"type": "disabled"})
    };
    out.insert("thinking".to_owned(), thinking);
    // Caches of these providers are automatic: as if the last block were marked.
    out.insert("cache_control".to_owned(), json!({"type": "ephemeral"}));
    Asked::of(Value::Object(out), models::any())
}

/// Whether the model thinks before this answer.
pub fn thinks(body: &Value, flavour: &Flavour, model: &Model) -> bool {
    let off = body["reasoning_effort"] == "none"
        || body["thinking"]["type"] == "disabled"
        || body["reasoning"]["enabled"] == false
        || body["reasoning"]["effort"] == "none";
    let asked = [&body["reasoning_effort"], &body["reasoning"], &body["thinking"]];
    match model.thinks {
        Thinks::Never => false,
        Thinks::Always => true,
        Thinks::ByDefault => !off,
        Thinks::Asked => !off && (asked.iter().any(|value| !value.is_null()) || flavour.name == "perplexity"),
    }
}

fn listed(value: &Value) -> Value {
    match value {
        Value::String(_) => json!([value]),
        Value::Array(_) => value.clone(),
        _ => json!([]),
    }
}

/// Instructions in front, and the turns.
fn messages(list: &Value) -> (Vec<Value>, Vec<Value>) {
    let (mut system, mut turns) = (Vec::new(), Vec::<Value>::new());
    for message in list.as_array().into_iter().flatten() {
        let role = message["role"].as_str().unwrap_or_default();
        match role {
            "system" | "developer" if turns.is_empty() => system.extend(blocks(&message["content"])),
            "system" | "developer" => {
                turns.push(json!({"role": "system", "content": blocks(&message["content"])}));
            }
            "tool" => result(message, &mut turns),
            _ => {
                let mut content = blocks(&message["content"]);
                content.extend(calls(message));
                turns.push(json!({"role": role, "content": content}));
            }
        }
    }
    (system, turns)
}

/// Results of neighbouring messages stand in one turn.
fn result(message: &Value, turns: &mut Vec<Value>) {
    let content = blocks(&message["content"]);
    let text = content.first().and_then(|block| block["text"].as_str()).unwrap_or_default();
    // A model sees from the words that a tool failed.
    let failed = text.starts_with("Error");
    let block = json!({
        "type": "tool_result", "tool_use_id": message["tool_call_id"], "content": content, "is_error": failed,
    });
    match turns.last_mut() {
        Some(last) if last["role"] == "user" && last["content"][0]["type"] == "tool_result" => {
            if let Some(list) = last["content"].as_array_mut() {
                list.push(block);
            }
        }
        _ => turns.push(json!({"role": "user", "content": [block]})),
    }
}

fn calls(message: &Value) -> impl Iterator<Item = Value> {
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    calls.map(|call| {
        let args = call["function"]["arguments"].as_str().unwrap_or_default();
        let input: Value = serde_json::from_str(args).unwrap_or_else(|_| json!({}));
        json!({"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": input})
    })
}

fn blocks(content: &Value) -> Vec<Value> {
    match content {
        Value::String(text) if !text.is_empty() => vec![json!({"type": "text", "text": text})],
        Value::Array(parts) => parts.iter().filter_map(block).collect(),
        _ => Vec::new(),
    }
}

fn block(part: &Value) -> Option<Value> {
    Some(match part["type"].as_str()? {
        "text" | "refusal" => {
            json!({"type": "text", "text": part["text"].as_str().or(part["refusal"].as_str())?})
        }
        "image_url" => {
            let url = part["image_url"]["url"].as_str().or(part["image_url"].as_str())?;
            let source = match url.strip_prefix("data:").and_then(|data| data.split_once(";base64,")) {
                Some((kind, data)) => json!({"type": "base64", "media_type": kind, "data": data}),
                None => json!({"type": "url", "url": url}),
            };
            json!({"type": "image", "source": source})
        }
        "file" => {
            json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": ""}})
        }
        _ => return None,
    })
}

fn tools(list: &Value) -> Value {
    let functions = list.as_array().into_iter().flatten().filter(|tool| tool["type"] == "function");
    let tools = functions.map(|tool| {
        let function = &tool["function"];
        let schema = if function["parameters"].is_object() {
            function["parameters"].clone()
        } else {
            json!({"type": "object", "properties": {}})
        };
        json!({"name": function["name"], "description": function["description"], "input_schema": schema})
    });
    Value::Array(tools.collect())
}

fn choice(body: &Value) -> Option<Value> {
    let mut choice = match &body["tool_choice"] {
        Value::String(word) => match word.as_str() {
            "none" => json!({"type": "none"}),
            "required" | "any" => json!({"type": "any"}),
            _ => json!({"type": "auto"}),
        },
        Value::Object(named) => json!({"type": "tool", "name": named.get("function")?["name"]}),
        _ if body["parallel_tool_calls"] == false => json!({"type": "auto"}),
        _ => return None,
    };
    if body["parallel_tool_calls"] == false {
        choice["disable_parallel_tool_use"] = json!(true);
    }
    Some(choice)
}
