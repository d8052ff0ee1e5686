//! Slow twins: the same answers by way of full parses, written without the code under test.

use std::fmt;

use pointsman::wire::Usage;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The members of an object in order, duplicates included, values as their text.
pub struct Members<'b>(pub Vec<(String, &'b RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found = Vec::new();
                while let Some(member) = map.next_entry()? {
                    found.push(member);
                }
                Ok(Members(found))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// The events of a whole stream: name and data.
pub fn events(stream: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let text = String::from_utf8_lossy(stream).replace("\r\n", "\n").replace('\r', "\n");
    let mut found = Vec::new();
    let (mut name, mut data) = (String::new(), None::<String>);
    // What follows the last line end is no line yet.
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    for line in whole.lines() {
        let (field, value) = line
            .split_once(':')
            .map_or((line, ""), |(field, value)| (field, value.strip_prefix(' ').unwrap_or(value)));
        match (line, field) {
            ("", _) => {
                if let Some(data) = data.take() {
                    found.push((name.clone().into_bytes(), data.into_bytes()));
                }
                name.clear();
            }
            (_, "event") => value.clone_into(&mut name),
            (_, "data") => {
                data = Some(data.map_or_else(|| value.to_owned(), |before| format!("{before}\n{value}")));
            }
            _ => {}
        }
    }
    found
}

/// What a stream of the dialect says: model, stop reason, usage, the kind of its first error, whether it ended.
#[derive(Debug, Default, PartialEq)]
pub struct Told {
    pub model: Option<String>,
    pub stop: Option<String>,
    pub usage: Usage,
    pub error: Option<String>,
    pub ended: bool,
    pub content: bool,
}

/// Reads a stream by full parses.
pub fn told(stream: &[u8]) -> Told {
    let mut told = Told::default();
    let mut usage = Value::Null;
    for (_, data) in events(stream) {
        let Ok(event) = serde_json::from_slice::<Value>(&data) else { continue };
        let fine = told.error.is_none();
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => {
                told.model = told.model.or_else(|| event["message"]["model"].as_str().map(str::to_owned));
                merge(&mut usage, &event["message"]["usage"]);
            }
            "message_delta" => {
                merge(&mut usage, &event["usage"]);
                if let Some(stop) = event["delta"]["stop_reason"].as_str() {
                    told.stop = Some(stop.to_owned());
                    told.content |= fine;
                }
            }
            "content_block_delta" => {
                let delta = event["delta"].as_object().unwrap();
                told.content |= fine
                    && delta.iter().any(|(name, value)| name != "type" && value != "" && !value.is_null());
            }
            "content_block_stop" => told.content |= fine,
            "message_stop" => {
                told.ended |= fine;
                told.content |= fine;
            }
            "error" => told.error = told.error.or_else(|| event["error"]["type"].as_str().map(str::to_owned)),
            _ => {}
        }
    }
    // An error is the end, whatever came before it.
    told.ended &= told.error.is_none();
    told.usage = disjoint(&usage);
    told
}

/// A stream as the whole answer that it amounts to; `None` if it has no beginning or no end.
pub fn folded(stream: &[u8]) -> Option<Value> {
    let mut whole = Value::Null;
    let mut usage = Value::Null;
    let mut ended = false;
    for (_, data) in events(stream) {
        let event: Value = serde_json::from_slice(&data).ok()?;
        match event["type"].as_str()? {
            "message_start" => {
                whole = event["message"].clone();
                merge(&mut usage, &event["message"]["usage"]);
            }
            "content_block_start" => whole["content"].as_array_mut()?.push(event["content_block"].clone()),
            "message_delta" => {
                merge(&mut usage, &event["usage"]);
                for (name, value) in event["delta"].as_object()? {
                    whole[name] = value.clone();
                }
            }
            "error" => return None,
            "message_stop" => ended = true,
            _ => {}
        }
    }
    whole["usage"] = usage;
    ended.then_some(whole)
}

/// A whole answer as a stream, its usage spread over beginning and end.
pub fn unfolded(whole: &Value) -> Vec<u8> {
    let mut start = whole.clone();
    start["content"] = Value::Array(Vec::new());
    start["stop_reason"] = Value::Null;
    start["usage"]["output_tokens"] = 1.into();
    let mut events = Vec::new();
    let mut push = |name: &str, data: &Value| events.push(format!("event: {name}\ndata: {data}\n\n"));
    push("message_start", &serde_json::json!({"type": "message_start", "message": start}));
    for (index, block) in whole["content"].as_array().unwrap().iter().enumerate() {
        let empty = serde_json::json!({"type": "text", "text": ""});
        push(
            "content_block_start",
            &serde_json::json!({"type": "content_block_start", "index": index, "content_block": empty}),
        );
        for piece in block["text"].as_str().unwrap_or("x").split_inclusive(' ') {
            let delta = serde_json::json!({"type": "text_delta", "text": piece});
            push(
                "content_block_delta",
                &serde_json::json!({"type": "content_block_delta", "index": index, "delta": delta}),
            );
        }
        push("content_block_stop", &serde_json::json!({"type": "content_block_stop", "index": index}));
    }
    let delta =
        serde_json::json!({"stop_reason": whole["stop_reason"], "stop_sequence": whole["stop_sequence"]});
    push(
        "message_delta",
        &serde_json::json!({"type": "message_delta", "delta": delta, "usage": whole["usage"]}),
    );
    push("message_stop", &serde_json::json!({"type": "message_stop"}));
    events.concat().into_bytes()
}

/// Lays what is told over what was told before.
fn merge(known: &mut Value, told: &Value) {
    for (name, value) in told.as_object().into_iter().flatten() {
        if value.is_object() && known[name].is_object() {
            merge(&mut known[name], value);
        } else if !value.is_null() {
            known[name] = value.clone();
        }
    }
}

/// Anthropic's usage in disjoint counts (wire.md section 10).
fn disjoint(usage: &Value) -> Usage {
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let split = &usage["cache_creation"];
    let (five, hour) =
        (count(&split["ephemeral_5m_input_tokens"]), count(&split["ephemeral_1h_input_tokens"]));
    let written = usage["cache_creation_input_tokens"].as_u64().unwrap_or(five + hour);
    Usage {
        input: count(&usage["input_tokens"]),
        cache_read: count(&usage["cache_read_input_tokens"]),
        cache_write_5m: written - hour.min(written),
        cache_write_1h: hour.min(written),
        output: count(&usage["output_tokens"]),
        reasoning: count(&usage["output_tokens_details"]["thinking_tokens"]),
        web_searches: count(&usage["server_tool_use"]["web_search_requests"]),
        web_fetches: count(&usage["server_tool_use"]["web_fetch_requests"]),
        cost_nano: None,
    }
}
