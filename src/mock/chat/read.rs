//! A checked Chat request as the mock's brain understands it: in Anthropic's form.
//!
//! Much is left out that the brain does not look at; nothing is refused, for [`super::strict`] did. Written apart from
//! the gateway's own translation, which is tested against it.

use serde_json::{Map, Value, json};

use super::strict::{self, Checked};
use crate::mock::strict::Asked;

/// The request as it is put to the brain.
pub fn asked(checked: &Checked) -> Asked {
    let body = &checked.body;
    let limit = strict::output_limit(body).unwrap_or(u64::MAX).min(checked.model.output);
    let mut asked = json!({
        "model": body["model"], "max_tokens": limit, "messages": messages(body), "thinking": thinking(checked),
    });
    let system = system(body);
    if !system.is_empty() {
        asked["system"] = json!(system);
    }
    if let Some(tools) = body["tools"].as_array() {
        asked["tools"] = tools.iter().filter(|tool| is_allowed(body, tool)).map(tool).collect();
        asked["tool_choice"] = choice(body);
    }
    match &body["stop"] {
        Value::String(stop) => asked["stop_sequences"] = json!([stop]),
        Value::Array(stops) => asked["stop_sequences"] = json!(stops),
        _ => {}
    }
    if let Some(schema) = schema(&body["response_format"]) {
        asked["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}});
    }
    Asked::translated(asked)
}

fn thinking(checked: &Checked) -> Value {
    if strict::thinks(&checked.body, checked.model) {
        json!({"type": "adaptive", "display": "summarized"})
    } else {
        json!({"type": "disabled"})
    }
}

fn list(body: &Value) -> impl Iterator<Item = &Value> {
    body["messages"].as_array().into_iter().flatten()
}

fn system(body: &Value) -> Vec<Value> {
    let speaks = |message: &&Value| message["role"] == "system" || message["role"] == "developer";
    list(body).filter(speaks).flat_map(|message| blocks(&message["content"])).collect()
}

fn messages(body: &Value) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for message in list(body) {
        let (role, content) = match message["role"].as_str() {
            Some("user") => ("user", blocks(&message["content"])),
            Some("assistant") => ("assistant", said(message)),
            Some("tool") => ("user", vec![result(message)]),
            _ => continue,
        };
        let result = message["role"] == "tool";
        let last = out.last_mut().filter(|last| result && is_results(last));
        match last.and_then(|last| last["content"].as_array_mut()) {
            Some(results) => results.extend(content),
            None => out.push(json!({"role": role, "content": content})),
        }
    }
    out
}

/// Results side by side are one message of the user.
fn is_results(message: &Value) -> bool {
    message["content"][0]["type"] == "tool_result"
}

fn said(message: &Value) -> Vec<Value> {
    let mut said = blocks(&message["content"]);
    said.extend(message["refusal"].as_str().map(|text| json!({"type": "text", "text": text})));
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    said.extend(calls.map(|call| {
        let function = &call["function"];
        let input: Option<Map<String, Value>> =
            function["arguments"].as_str().and_then(|text| serde_json::from_str(text).ok());
        json!({"type": "tool_use", "id": call["id"], "name": function["name"], "input": input.unwrap_or_default()})
    }));
    said
}

/// Chat has no field for a result that is an error; as a model does, the brain takes it from the words.
fn result(message: &Value) -> Value {
    let blocks = blocks(&message["content"]);
    let is_error =
        blocks.first().and_then(|block| block["text"].as_str()).is_some_and(|t| t.starts_with("Error: "));
    let mut result =
        json!({"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": blocks});
    if is_error {
        result["is_error"] = json!(true);
    }
    result
}

fn blocks(content: &Value) -> Vec<Value> {
    match content {
        Value::String(text) if !text.is_empty() => vec![json!({"type": "text", "text": text})],
        Value::Array(parts) => parts.iter().filter_map(block).collect(),
        _ => Vec::new(),
    }
}

fn block(part: &Value) -> Option<Value> {
    let mut block = match part["type"].as_str()? {
        "text" if part["text"] != "" => json!({"type": "text", "text": part["text"]}),
        "refusal" => json!({"type": "text", "text": part["refusal"]}),
        "image_url" => json!({"type": "image", "source": {"type": "base64"}}),
        "file" | "input_audio" | "document_url" => json!({"type": "document", "source": {"type": "base64"}}),
        _ => return None,
    };
    if part["cache_control"].is_object() {
        block["cache_control"] = part["cache_control"].clone();
    }
    Some(block)
}

fn tool(tool: &Value) -> Value {
    let function = &tool["function"];
    let none = json!({"type": "object", "properties": {}});
    let schema = if function["parameters"].is_object() { &function["parameters"] } else { &none };
    let mut tool_out =
        json!({"name": function["name"], "description": function["description"], "input_schema": schema});
    if tool["cache_control"].is_object() {
        tool_out["cache_control"] = tool["cache_control"].clone();
    }
    tool_out
}

/// Whether `allowed_tools` leaves a tool.
fn is_allowed(body: &Value, tool: &Value) -> bool {
    let allowed = body["tool_choice"]["allowed_tools"]["tools"].as_array();
    allowed.is_none_or(|tools| {
        tools.iter().any(|allowed| allowed["function"]["name"] == tool["function"]["name"])
    })
}

fn choice(body: &Value) -> Value {
    let choice = &body["tool_choice"];
    let word = choice.as_str().or_else(|| choice["allowed_tools"]["mode"].as_str());
    let mut out = match word {
        Some("none") => json!({"type": "none"}),
        Some("required" | "any") => json!({"type": "any"}),
        _ if choice["type"] == "function" => json!({"type": "tool", "name": choice["function"]["name"]}),
        _ => json!({"type": "auto"}),
    };
    if body["parallel_tool_calls"] == false {
        out["disable_parallel_tool_use"] = json!(true);
    }
    out
}

fn schema(format: &Value) -> Option<Value> {
    match format["type"].as_str()? {
        "json_schema" => Some(format["json_schema"]["schema"].clone()),
        "json_object" => Some(json!({"type": "object", "properties": {"answer": {"type": "string"}}})),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::strict::tests::check;
    use super::*;

    #[test]
    fn a_result_that_says_error_is_one() {
        for (text, expected) in [("Error: no such file", true), ("No Error: fine", false)] {
            let message = json!({"role": "tool", "tool_call_id": "1", "content": text});
            assert_eq!(result(&message)["is_error"] == true, expected, "{text}");
        }
    }

    #[test]
    fn a_conversation_comes_out_in_anthropics_form() {
        let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}});
        let checked = check(
            "/openai/v1",
            &json!({
                "model": "gpt-4o", "max_tokens": 9, "stop": "END", "parallel_tool_calls": false, "tool_choice": "required",
                "tools": [{"type": "function", "function": {"name": "f"}}],
                "messages": [
                    {"role": "system", "content": "be good"},
                    {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "https://x"}}]},
                    {"role": "assistant", "content": "", "tool_calls": [call("1", "{\"a\":1}"), call("2", "not json")]},
                    {"role": "tool", "tool_call_id": "2", "content": "two"},
                    {"role": "tool", "tool_call_id": "1", "content": "one"},
                    {"role": "system", "content": "be brief"},
                    {"role": "user", "content": "and?"},
                ],
            }),
        );
        let asked = asked(&checked.unwrap()).body;
        let text = |text: &str| json!({"type": "text", "text": text});
        let result =
            |id: &str, said: &str| json!({"type": "tool_result", "tool_use_id": id, "content": [text(said)]});
        let used =
            |id: &str, input: Value| json!({"type": "tool_use", "id": id, "name": "f", "input": input});
        assert_eq!(
            asked,
            json!({
                "model": "gpt-4o", "max_tokens": 9, "stop_sequences": ["END"], "thinking": {"type": "disabled"},
                "system": [text("be good"), text("be brief")],
                "tools": [{"name": "f", "description": null, "input_schema": {"type": "object", "properties": {}}}],
                "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
                "messages": [
                    {"role": "user", "content": [text("look"), {"type": "image", "source": {"type": "base64"}}]},
                    {"role": "assistant", "content": [used("1", json!({"a": 1})), used("2", json!({}))]},
                    {"role": "user", "content": [result("2", "two"), result("1", "one")]},
                    {"role": "user", "content": [text("and?")]},
                ],
            })
        );
    }
}
