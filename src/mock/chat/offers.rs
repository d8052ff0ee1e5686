//! What a Chat request offers: tools, the choice among them, and the format of the answer.
//!
//! Wordings are `OpenAI`'s unless a flavour has its own. Looks at no conversation.

use serde_json::Value;

use super::flavour::{Flavour, Unknown};
use super::models::Model;
use super::refusal::{Refusal, guard};
use super::strict::{self, too_long, too_many};
use super::words::Wrong;
use crate::mock::strict::is_id;

/// Checks `tools`, `tool_choice`, `parallel_tool_calls` and `response_format`.
pub fn check(body: &Value, flavour: &Flavour, model: &Model) -> Result<(), Refusal> {
    let tools = &body["tools"];
    if !tools.is_null() {
        guard(flavour.tools, || Refusal::says(flavour, Wrong::Tools, "tools", &[]))?;
        all(tools, flavour)?;
    }
    for field in ["tool_choice", "parallel_tool_calls"] {
        let alone = tools.is_null() && !body[field].is_null() && body[field] != "none";
        guard(!alone, || {
            let message =
                format!("Invalid value for '{field}': '{field}' is only allowed when 'tools' are specified.");
            Refusal::invalid(field, None, message)
        })?;
    }
    choice(body, flavour, model)?;
    format(body, flavour)
}

fn all(tools: &Value, flavour: &Flavour) -> Result<(), Refusal> {
    let list = tools.as_array().map(Vec::as_slice).unwrap_or_default();
    guard(!list.is_empty(), || Refusal::says(flavour, Wrong::NoTools, "tools", &[]))?;
    guard(list.len() <= MAX_TOOLS, || too_many("tools", MAX_TOOLS, list.len()))?;
    list.iter().enumerate().try_for_each(|(at, tool)| one(at, tool, flavour))
}

fn one(at: usize, tool: &Value, flavour: &Flavour) -> Result<(), Refusal> {
    guard(tool["type"] == "function", || {
        let message = format!(
            "Invalid value: {}. Supported values are: 'function'.",
            tool["type"].as_str().map_or("null".to_owned(), |kind| format!("'{kind}'"))
        );
        Refusal::invalid(&format!("tools[{at}].type"), Some("invalid_value"), message)
    })?;
    let function = &tool["function"];
    for (fields, known, place) in [
        (tool, &["type", "function"][..], format!("tools[{at}]")),
        (function, &["name", "description", "parameters", "strict"][..], format!("tools[{at}].function")),
    ] {
        known_fields(fields, known, &place, flavour)?;
    }
    let place = format!("tools[{at}].function.name");
    let name = function["name"].as_str().unwrap_or_default();
    guard(!name.is_empty(), || {
        Refusal::invalid(
            &place,
            Some("missing_required_parameter"),
            format!("Missing required parameter: '{place}'."),
        )
    })?;
    named(&place, name)?;
    parameters(at, name, function)
}

/// A name of a tool or of a schema.
fn named(place: &str, name: &str) -> Result<(), Refusal> {
    guard(is_id(name), || {
        let message = format!(
            "Invalid '{place}': string does not match pattern. Expected a string that matches the pattern \
             '^[a-zA-Z0-9_-]+$'."
        );
        Refusal::invalid(place, Some("invalid_value"), message)
    })?;
    guard(name.len() <= MAX_NAME, || too_long(place, MAX_NAME, name.len()))
}

/// Refuses a field that is not among `known`, where the flavour does that.
pub fn known_fields(fields: &Value, known: &[&str], place: &str, flavour: &Flavour) -> Result<(), Refusal> {
    if flavour.unknown == Unknown::Ignored {
        return Ok(());
    }
    let mut names = fields.as_object().into_iter().flat_map(serde_json::Map::keys);
    let wrong = names.find(|name| !known.contains(&name.as_str()));
    wrong.map_or(Ok(()), |name| Err(strict::unknown(flavour, &format!("{place}.{name}"), place, name)))
}

fn parameters(at: usize, name: &str, function: &Value) -> Result<(), Refusal> {
    let schema = &function["parameters"];
    if schema.is_null() {
        return Ok(());
    }
    let place = format!("tools[{at}].function.parameters");
    let refused = |why: String| {
        let message = format!("Invalid schema for function '{name}': {why}");
        Refusal::invalid(&place, Some("invalid_function_parameters"), message)
    };
    guard(schema["type"] == "object", || {
        let kind = schema["type"].as_str().unwrap_or("None");
        refused(format!("schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."))
    })?;
    let composed = ["oneOf", "anyOf", "allOf", "enum", "not"].iter().any(|word| !schema[*word].is_null());
    guard(!composed, || {
        let words = "'oneOf'/'anyOf'/'allOf'/'enum'/'not'";
        refused(format!("schema must have type 'object' and not have {words} at the top level."))
    })?;
    inside(schema, function["strict"] == true).map_or(Ok(()), |why| Err(refused(why)))
}

/// What is wrong with a schema, if anything: lists without items, and what strictness forbids.
fn inside(schema: &Value, strict: bool) -> Option<String> {
    let mut left = vec![(String::new(), schema)];
    while let Some((path, schema)) = left.pop() {
        if schema["type"] == "array" && schema["items"].is_null() && schema["prefixItems"].is_null() {
            return Some(format!("In context=({path}), array schema missing items."));
        }
        if strict && let Some(why) = open(schema) {
            return Some(format!("In context=({path}), {why}"));
        }
        let within = |name: &str| format!("{path}{}'{name}'", if path.is_empty() { "" } else { ", " });
        for group in ["properties", "$defs", "definitions"] {
            let fields = schema[group].as_object().into_iter().flatten();
            left.extend(fields.map(|(name, field)| (format!("{}, '{name}'", within(group)), field)));
        }
        for group in ["anyOf", "oneOf", "allOf"] {
            let options = schema[group].as_array().into_iter().flatten();
            left.extend(options.map(|option| (within(group), option)));
        }
        if schema["items"].is_object() {
            left.push((within("items"), &schema["items"]));
        }
    }
    None
}

/// What strictness forbids of one schema (`wire.md` section 14).
fn open(schema: &Value) -> Option<String> {
    for word in ["oneOf", "allOf", "not", "patternProperties", "default"] {
        if !schema[word].is_null() {
            return Some(format!("'{word}' is not permitted."));
        }
    }
    if schema["type"] != "object" {
        return None;
    }
    if schema["additionalProperties"] != false {
        return Some("'additionalProperties' is required to be supplied and to be false.".to_owned());
    }
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut names = schema["properties"].as_object().into_iter().flat_map(serde_json::Map::keys);
    let missing = names.find(|name| !required.iter().any(|r| r == name.as_str()))?;
    Some(format!(
        "'required' is required to be supplied and to be an array including every key in properties. Missing '{missing}'."
    ))
}

fn choice(body: &Value, flavour: &Flavour, model: &Model) -> Result<(), Refusal> {
    let choice = &body["tool_choice"];
    let refused = |message: String| Refusal::invalid("tool_choice", Some("invalid_value"), message);
    let forced = match choice {
        Value::Null => false,
        Value::String(word) => {
            let any = flavour.name == "mistral" || flavour.name == "llamacpp";
            let fits = matches!(word.as_str(), "none" | "auto" | "required") || (any && word == "any");
            guard(fits, || {
                refused(format!(
                    "Invalid value: '{word}'. Supported values are: 'none', 'auto', and 'required'."
                ))
            })?;
            word == "required" || word == "any"
        }
        object if object["type"] == "function" => {
            let name = &object["function"]["name"];
            let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
            guard(tools.iter().any(|tool| tool["function"]["name"] == *name), || {
                refused(format!(
                    "Tool choice '{}' not found in 'tools' parameter.",
                    name.as_str().unwrap_or_default()
                ))
            })?;
            true
        }
        object if object["type"] == "allowed_tools" && flavour.name == "openai" => false,
        other => return Err(refused(format!("Invalid value: {other}."))),
    };
    let not_here = flavour.name == "deepseek" && strict::thinks(body, model);
    guard(!(forced && not_here), || {
        let message = "Thinking mode does not support this tool_choice";
        Refusal::invalid("", Some("invalid_request_error"), message)
    })
}

fn format(body: &Value, flavour: &Flavour) -> Result<(), Refusal> {
    let format = &body["response_format"];
    match format["type"].as_str() {
        None if format.is_null() => Ok(()),
        Some("text") => Ok(()),
        Some("json_object") => {
            let says = body["messages"].to_string().to_lowercase().contains("json");
            guard(says || !matches!(flavour.name, "openai" | "groq" | "deepseek"), || {
                let message = "'messages' must contain the word 'json' in some form, to use 'response_format' of type \
                               'json_object'.";
                Refusal::invalid("messages", None, message)
            })?;
            combined(body, flavour)
        }
        Some("json_schema") => {
            guard(flavour.schemas, || Refusal::says(flavour, Wrong::Format, "response_format", &[]))?;
            schema(&format["json_schema"])?;
            combined(body, flavour)
        }
        _ => {
            let message = "Invalid value: 'response_format.type'. Supported values are: 'json_object', 'json_schema', \
                           and 'text'.";
            Err(Refusal::invalid("response_format.type", Some("invalid_value"), message))
        }
    }
}

/// Some take a format or tools, but not both.
fn combined(body: &Value, flavour: &Flavour) -> Result<(), Refusal> {
    let both = !body["tools"].is_null() && matches!(flavour.name, "groq" | "cerebras");
    guard(!both, || {
        Refusal::invalid("response_format", None, "json mode cannot be combined with tool/function calling")
    })
}

fn schema(given: &Value) -> Result<(), Refusal> {
    let missing = |field: &str| {
        let message = format!("Missing required parameter: '{field}'.");
        Refusal::invalid(field, Some("missing_required_parameter"), message)
    };
    guard(given.is_object(), || missing("response_format.json_schema"))?;
    let place = "response_format.json_schema.name";
    let name = given["name"].as_str().unwrap_or_default();
    guard(!name.is_empty(), || missing(place))?;
    named(place, name)?;
    let schema = &given["schema"];
    guard(schema.is_object() || given["strict"] != true, || missing("response_format.json_schema.schema"))?;
    let refused = |why: String| {
        Refusal::invalid(
            "response_format",
            None,
            format!("Invalid schema for response_format '{name}': {why}"),
        )
    };
    inside(schema, given["strict"] == true).map_or(Ok(()), |why| Err(refused(why)))
}

/// Tools of one request.
const MAX_TOOLS: usize = 128;
/// Characters of the name of a tool or of a schema.
const MAX_NAME: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::strict::tests::table;
    use super::*;

    const OPENAI: &str = "/openai/v1";

    fn tool(name: &str, parameters: &Value) -> Value {
        json!([{"type": "function", "function": {"name": name, "parameters": parameters}}])
    }

    #[test]
    fn tools_are_looked_at() {
        let plain = tool("a", &json!({"type": "object", "properties": {"x": {"type": "string"}}}));
        let mut strict = plain.clone();
        strict[0]["function"]["strict"] = json!(true);
        let mut closed = strict.clone();
        closed[0]["function"]["parameters"]["additionalProperties"] = json!(false);
        let mut whole = closed.clone();
        whole[0]["function"]["parameters"]["required"] = json!(["x"]);
        let mut marked = plain.clone();
        marked[0]["cache_control"] = json!({"type": "ephemeral"});
        table(&[
            (OPENAI, json!({"tools": plain}), ""),
            (OPENAI, json!({"tools": []}), "Invalid 'tools': empty array."),
            (OPENAI, json!({"tools": tool("a b", &json!({"type": "object"}))}), "does not match pattern"),
            (
                OPENAI,
                json!({"tools": tool(&"a".repeat(65), &json!({"type": "object"}))}),
                "maximum length 64",
            ),
            (OPENAI, json!({"tools": tool("a", &json!({}))}), "got 'type: \"None\"'"),
            (
                OPENAI,
                json!({"tools": tool("a", &json!({"type": "object", "anyOf": []}))}),
                "at the top level",
            ),
            (
                OPENAI,
                json!({"tools": tool("a", &json!({"type": "object", "properties": {"x": {"type": "array"}}}))}),
                "In context=('properties', 'x'), array schema missing items.",
            ),
            (
                OPENAI,
                json!({"tools": strict}),
                "'additionalProperties' is required to be supplied and to be false.",
            ),
            (OPENAI, json!({"tools": closed}), "Missing 'x'."),
            (OPENAI, json!({"tools": whole}), ""),
            (OPENAI, json!({"tools": marked}), "Unknown parameter: 'tools[0].cache_control'."),
            ("/openrouter/api/v1", json!({"tools": marked}), ""),
            ("/perplexity", json!({"tools": plain}), "Tool calling is not supported"),
        ]);
    }

    #[test]
    fn a_choice_needs_its_tools() {
        let tools = tool("a", &json!({"type": "object"}));
        let named = |name: &str| json!({"type": "function", "function": {"name": name}});
        table(&[
            (
                OPENAI,
                json!({"tool_choice": "auto"}),
                "'tool_choice' is only allowed when 'tools' are specified.",
            ),
            (OPENAI, json!({"parallel_tool_calls": true}), "'parallel_tool_calls' is only allowed when"),
            (OPENAI, json!({"tools": tools, "tool_choice": named("a")}), ""),
            (OPENAI, json!({"tools": tools, "tool_choice": named("b")}), "Tool choice 'b' not found"),
            (OPENAI, json!({"tools": tools, "tool_choice": "any"}), "Invalid value: 'any'"),
            ("/mistral/v1", json!({"tools": tools, "tool_choice": "any"}), ""),
            (
                "/deepseek",
                json!({"model": "deepseek-v4", "tools": tools, "tool_choice": "required"}),
                "does not support this tool_choice",
            ),
            (
                "/deepseek",
                json!({"model": "deepseek-v4", "tools": tools, "tool_choice": "required", "thinking": {"type": "disabled"}}),
                "",
            ),
        ]);
    }

    #[test]
    fn a_format_is_looked_at() {
        let schema = |name: &str, strict: bool| {
            json!({"response_format": {"type": "json_schema", "json_schema": {
                "name": name, "strict": strict, "schema": {"type": "object", "properties": {}},
            }}})
        };
        table(&[
            (OPENAI, schema("a", false), ""),
            (
                OPENAI,
                schema("a", true),
                "Invalid schema for response_format 'a': In context=(), 'additionalProperties'",
            ),
            (OPENAI, schema("a b", false), "response_format.json_schema.name': string does not match"),
            (OPENAI, schema("", false), "Missing required parameter: 'response_format.json_schema.name'."),
            (OPENAI, json!({"response_format": {"type": "json_object"}}), "must contain the word 'json'"),
            ("/deepseek", schema("a", false), "This response_format type is unavailable now"),
            ("/groq/openai/v1", schema("a", false), ""),
        ]);
    }
}
