//! Strict readers of what clients get, written from wire.md 1.6 and 2.3 alone: slow, and forgiving nothing.

use serde_json::Value;

use crate::laws_twin::events;
use crate::machines::MODEL;

/// What a client made of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Got {
    pub text: String,
    pub thinking: String,
    /// Name and arguments of each call.
    pub calls: Vec<(String, String)>,
    pub stop: Option<String>,
    pub error: bool,
}

/// A stream of Messages.
pub fn messages(stream: &[u8]) -> Result<Got, String> {
    let mut got = Got::default();
    let (mut begun, mut open, mut next, mut over) = (false, None::<(u64, String)>, 0_u64, false);
    for (name, data) in events(stream) {
        let event: Value = serde_json::from_slice(&data).map_err(|wrong| format!("no JSON: {wrong}"))?;
        let kind = text(&event["type"])?;
        check(name == kind.as_bytes(), || {
            format!("event {:?} of type {kind}", String::from_utf8_lossy(&name))
        })?;
        check(!over, || format!("{kind} behind the end"))?;
        let index = event["index"].as_u64();
        match kind.as_str() {
            "ping" => {}
            "error" => {
                text(&event["error"]["type"])?;
                text(&event["error"]["message"])?;
                (got.error, over) = (true, true);
            }
            "message_start" => {
                check(!begun, || "message_start twice".to_owned())?;
                begun = true;
                let message = &event["message"];
                check(text(&message["id"])?.starts_with("msg_"), || format!("{}", message["id"]))?;
                check(message["type"] == "message" && message["role"] == "assistant", || {
                    message.to_string()
                })?;
                check(message["model"] == MODEL && message["content"] == serde_json::json!([]), || {
                    message.to_string()
                })?;
                check(message.get("stop_reason").is_some_and(Value::is_null), || message.to_string())?;
                usage(&message["usage"], &["input_tokens", "output_tokens"])?;
            }
            "content_block_start" => {
                check(begun && open.is_none() && index == Some(next), || format!("{event} at {next}"))?;
                let block = &event["content_block"];
                let kind = text(&block["type"])?;
                match kind.as_str() {
                    "text" => check(block["text"] == "", || block.to_string())?,
                    "thinking" => check(block["thinking"] == "", || block.to_string())?,
                    "tool_use" => {
                        check(block["input"] == serde_json::json!({}), || block.to_string())?;
                        let id = text(&block["id"])?;
                        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
                        check(!id.is_empty() && id.len() <= 64 && id.bytes().all(fits), || id.clone())?;
                        got.calls.push((some(&block["name"])?, String::new()));
                    }
                    _ => {}
                }
                open = Some((next, kind));
                next += 1;
            }
            "content_block_delta" => {
                let Some((at, kind)) = &open else { return Err(format!("{event} in no block")) };
                check(index == Some(*at), || format!("{event} in {at}"))?;
                let delta = &event["delta"];
                match (kind.as_str(), text(&delta["type"])?.as_str()) {
                    ("text", "text_delta") => got.text += &some(&delta["text"])?,
                    ("thinking", "thinking_delta") => got.thinking += &text(&delta["thinking"])?,
                    ("thinking", "signature_delta") => drop(text(&delta["signature"])?),
                    ("text", "citations_delta") => {
                        check(delta["citation"].is_object(), || delta.to_string())?;
                    }
                    ("tool_use", "input_json_delta") => {
                        got.calls.last_mut().unwrap().1 += &text(&delta["partial_json"])?;
                    }
                    ("text" | "thinking" | "tool_use", other) => return Err(format!("{other} in {kind}")),
                    _ => {}
                }
            }
            "content_block_stop" => {
                let at = open.take().map(|(at, _)| at);
                check(at.is_some() && index == at, || format!("{event} at {at:?}"))?;
            }
            "message_delta" => {
                check(begun && open.is_none() && got.stop.is_none(), || {
                    format!("{event} too early or again")
                })?;
                let reason = some(&event["delta"]["stop_reason"])?;
                usage(&event["usage"], &["output_tokens"])?;
                got.stop = Some(reason);
            }
            "message_stop" => {
                check(got.stop.is_some(), || "message_stop without a reason".to_owned())?;
                over = true;
            }
            other => return Err(format!("{other} is no event")),
        }
    }
    check(over, || "the stream has no end".to_owned())?;
    Ok(got)
}

/// A stream of Chat Completions.
pub fn chat(stream: &[u8]) -> Result<Got, String> {
    let mut got = Got::default();
    let (mut id, mut finished, mut counted, mut over) = (None, false, false, false);
    for (name, data) in events(stream) {
        check(name.is_empty(), || "a name of an event".to_owned())?;
        check(!over, || "something behind the end".to_owned())?;
        if data == b"[DONE]" {
            check(finished && !got.error, || "[DONE] without a finish".to_owned())?;
            over = true;
            continue;
        }
        let chunk: Value = serde_json::from_slice(&data).map_err(|wrong| format!("no JSON: {wrong}"))?;
        if chunk.get("error").is_some() {
            some(&chunk["error"]["message"])?;
            (got.error, over) = (true, true);
            continue;
        }
        check(chunk["object"] == "chat.completion.chunk" && chunk["model"] == MODEL, || chunk.to_string())?;
        check(chunk["created"].is_u64(), || chunk.to_string())?;
        let this = some(&chunk["id"])?;
        check(this.starts_with("chatcmpl-"), || this.clone())?;
        let first = id.is_none();
        check(*id.get_or_insert_with(|| this.clone()) == this, || format!("another id: {this}"))?;
        let choices = chunk["choices"].as_array().ok_or("no choices")?;
        if choices.is_empty() {
            check(finished && !counted, || format!("{chunk} too early or again"))?;
            let counts = ["prompt_tokens", "completion_tokens", "total_tokens"];
            usage(&chunk["usage"], &counts)?;
            let [input, output, total] = counts.map(|name| chunk["usage"][name].as_u64().unwrap());
            check(input + output == total, || chunk.to_string())?;
            counted = true;
            continue;
        }
        check(choices.len() == 1 && choices[0]["index"] == 0, || chunk.to_string())?;
        check(!finished, || format!("{chunk} behind the finish"))?;
        let delta = &choices[0]["delta"];
        check(delta.is_object() && (first == (delta["role"] == "assistant")), || chunk.to_string())?;
        for name in ["content", "refusal"] {
            got.text += delta[name].as_str().unwrap_or_default();
        }
        got.thinking += delta["reasoning_content"].as_str().unwrap_or_default();
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let index = usize::try_from(call["index"].as_u64().ok_or("a call without an index")?).unwrap();
            if index == got.calls.len() {
                check(call["type"] == "function", || call.to_string())?;
                some(&call["id"])?;
                got.calls.push((some(&call["function"]["name"])?, String::new()));
            } else {
                check(index + 1 == got.calls.len(), || format!("{call} behind {} calls", got.calls.len()))?;
                check(call.get("id").is_none() && call["function"].get("name").is_none(), || {
                    call.to_string()
                })?;
            }
            got.calls[index].1 += &text(&call["function"]["arguments"])?;
        }
        if let Some(reason) = choices[0]["finish_reason"].as_str() {
            let known = ["stop", "length", "tool_calls", "content_filter"];
            check(known.contains(&reason), || reason.to_owned())?;
            (got.stop, finished) = (Some(reason.to_owned()), true);
        }
    }
    check(over, || "the stream has no end".to_owned())?;
    Ok(got)
}

fn usage(usage: &Value, counts: &[&str]) -> Result<(), String> {
    check(counts.iter().all(|name| usage[name].is_u64()), || format!("usage {usage}"))
}

fn check(right: bool, wrong: impl FnOnce() -> String) -> Result<(), String> {
    if right { Ok(()) } else { Err(wrong()) }
}

fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("{value} is no text"))
}

fn some(value: &Value) -> Result<String, String> {
    text(value).and_then(|text| if text.is_empty() { Err("an empty text".to_owned()) } else { Ok(text) })
}
