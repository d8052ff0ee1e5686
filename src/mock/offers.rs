//! What may be offered: tools, the choice among them, and the schemas of tools and of answers.
//!
//! Wordings are the real API's. Looks at no conversation, and calls nothing.

use std::collections::HashSet;

use serde_json::Value;

use super::strict::{Refusal, guard, is_id, no_extras};

/// Checks `tools`, `tool_choice` and the schema of `output_config.format`.
pub(super) fn check(body: &Value) -> Result<(), Refusal> {
    tools(&body["tools"])?;
    tool_choice(body)?;
    answer_schema("output_config.format", &body["output_config"]["format"])?;
    answer_schema("output_format", &body["output_format"])
}

fn tools(tools: &Value) -> Result<(), Refusal> {
    let Some(list) = tools.as_array() else {
        return guard(tools.is_null(), || "tools: Input should be a valid list".to_owned());
    };
    let mut names = HashSet::new();
    for (i, tool) in list.iter().enumerate() {
        match tool["type"].as_str() {
            None | Some("custom") => custom_tool(i, tool)?,
            Some(kind) => {
                let known = SERVER_TOOLS.iter().any(|prefix| kind.starts_with(prefix));
                guard(known, || {
                    format!(
                        "tools.{i}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
                    )
                })?;
            }
        }
        let name = tool["name"].as_str().unwrap_or_default();
        guard(name.is_empty() || names.insert(name), || "tools: Tool names must be unique.".to_owned())?;
        guard(tool["defer_loading"] != true || tool["cache_control"].is_null(), || {
            format!(
                "Tool '{name}' cannot have both defer_loading=true and cache_control set. Tools with defer_loading \
                 cannot use prompt caching."
            )
        })?;
    }
    let all_deferred = !list.is_empty() && list.iter().all(|tool| tool["defer_loading"] == true);
    guard(!all_deferred, || "At least one tool must have defer_loading=false.".to_owned())
}

fn custom_tool(i: usize, tool: &Value) -> Result<(), Refusal> {
    let place = format!("tools.{i}.custom");
    let Some(name) = tool["name"].as_str() else {
        return Err(Refusal::invalid(format!("{place}.name: Field required")));
    };
    let fits = (1..=128).contains(&name.len()) && is_id(name);
    guard(fits, || format!("{place}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"))?;
    let schema = &tool["input_schema"];
    guard(!schema.is_null(), || format!("{place}.input_schema: Field required"))?;
    guard(schema.is_object(), || format!("{place}.input_schema: Input does not match the expected shape."))?;
    guard(!schema["type"].is_null(), || format!("{place}.input_schema.type: Field required"))?;
    guard(schema["type"] == "object", || format!("{place}.input_schema.type: Input should be 'object'"))?;
    tool_schema(&format!("{place}.input_schema"), schema)?;
    tool.as_object().map_or(Ok(()), |fields| no_extras(fields, TOOL_FIELDS, &format!("{place}.")))
}

/// What the real one refuses of a tool's schema; the first level only, where clients trip.
fn tool_schema(place: &str, schema: &Value) -> Result<(), Refusal> {
    let composed = ["oneOf", "allOf", "anyOf"].iter().any(|word| !schema[*word].is_null());
    guard(!composed, || {
        format!("{place}: input_schema does not support oneOf, allOf, or anyOf at the top level")
    })?;
    let properties = &schema["properties"];
    let required = &schema["required"];
    let additional = &schema["additionalProperties"];
    let sound = (properties.is_null() || properties.as_object().is_some_and(|p| p.values().all(is_schema)))
        && (required.is_null()
            || required.as_array().is_some_and(|names| names.iter().all(Value::is_string)))
        && (additional.is_null() || is_schema(additional));
    guard(sound, || {
        format!(
            "{place}: JSON schema is invalid. It must match JSON Schema draft 2020-12 \
             (https://json-schema.org/draft/2020-12). Learn more about tool use at \
             https://docs.claude.com/en/docs/tool-use."
        )
    })?;
    let named = |key: &String| (1..=64).contains(&key.len()) && is_id(&key.replace('.', "_"));
    let good = properties.as_object().is_none_or(|p| p.keys().all(named));
    guard(good, || {
        format!("{place}.properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{{1,64}}$'")
    })
}

fn is_schema(value: &Value) -> bool {
    value.is_object() || value.is_boolean()
}

/// A format of the answer: every object in it is closed.
fn answer_schema(place: &str, format: &Value) -> Result<(), Refusal> {
    if format.is_null() {
        return Ok(());
    }
    guard(format["type"] == "json_schema", || format!("{place}.type: Input should be 'json_schema'"))?;
    guard(format["schema"].is_object(), || format!("{place}.schema: Field required"))?;
    let mut left = vec![&format["schema"]];
    while let Some(schema) = left.pop() {
        let open = schema["type"] == "object" && schema["additionalProperties"] != false;
        guard(!open, || {
            format!(
                "{place}.schema: For 'object' type, 'additionalProperties' must be explicitly set to false"
            )
        })?;
        // `properties` and `$defs` are maps of schemas by names, `items` is one, `anyOf` a list.
        for part in ["properties", "$defs"] {
            left.extend(schema[part].as_object().into_iter().flatten().map(|(_, inner)| inner));
        }
        left.extend(schema["anyOf"].as_array().into_iter().flatten());
        left.extend(Some(&schema["items"]).filter(|items| items.is_object()));
    }
    Ok(())
}

fn tool_choice(body: &Value) -> Result<(), Refusal> {
    let choice = &body["tool_choice"];
    if choice.is_null() {
        return Ok(());
    }
    let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    guard(!tools.is_empty(), || "tool_choice may only be specified while providing `tools`.".to_owned())?;
    let forced = match choice["type"].as_str() {
        Some("auto" | "none") => false,
        Some("any") => true,
        Some("tool") => {
            let name = choice["name"].as_str().unwrap_or_default();
            guard(!name.is_empty(), || "tool_choice.tool.name: Field required".to_owned())?;
            let offered = tools.iter().any(|tool| tool["name"] == name);
            guard(offered, || format!("Tool '{name}' not found in provided tools"))?;
            true
        }
        Some(other) => {
            return Err(Refusal::invalid(format!(
                "tool_choice: Input tag '{other}' found using 'type' does not match any of the expected tags: \
                 'any', 'auto', 'none', 'tool'"
            )));
        }
        None => return Err(Refusal::invalid("tool_choice.type: Field required")),
    };
    let thinks = matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive"));
    guard(!(forced && thinks), || "Thinking may not be enabled when tool_choice forces tool use.".to_owned())
}

const TOOL_FIELDS: &[&str] = &[
    "name",
    "description",
    "input_schema",
    "cache_control",
    "strict",
    "defer_loading",
    "input_examples",
    "eager_input_streaming",
    "allowed_callers",
    "type",
];

/// Beginnings of the types of tools that Anthropic defines.
const SERVER_TOOLS: &[&str] = &[
    "bash_",
    "text_editor_",
    "computer_",
    "memory_",
    "web_search_",
    "web_fetch_",
    "code_execution_",
    "tool_search_tool_",
    "advisor_",
    "mcp_toolset",
];
