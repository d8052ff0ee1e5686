//! Lists of tools in Messages, read and written (wire.md 1.4, 14).
//!
//! Schemas cross as they stand: key order and the spelling of numbers are what prompt caches are kept by. What only tells
//! how a tool is loaded or streamed is left out, since the tool is offered all the same; what tells the model more of it is
//! named in the loss. Which tools a model may be forced to call is not decided here.

use std::borrow::Cow;
use std::sync::Arc;

use super::cache;
use crate::error::Error;
use crate::json::{self, Span, text};
use crate::wire::Loss;
use crate::wire::anthropic::capability;
use crate::wire::ir::{Escaped, Tool, ToolKind, Ttl};
use crate::wire::names::fit_name;
use crate::wire::refusal::{missing, not_json, wrong};
use crate::wire::traits::Traits;
use crate::wire::translate::Toolbox;

/// Reads a list; what cannot be read into the IR is noted. Claude Code's stand-in for deferred tools, which nobody can call,
/// is left out.
pub fn read<'b>(raw: &'b [u8], loss: &mut Loss) -> Result<Vec<Tool<'b>>, Error> {
    let mut tools = Vec::new();
    for (index, span) in json::elements(raw, Span::all(raw)).enumerate() {
        let span = span.map_err(|fault| not_json(raw, fault))?;
        tools.extend(tool(span.of(raw), index, loss)?);
    }
    Ok(tools)
}

fn tool<'b>(raw: &'b [u8], index: usize, loss: &mut Loss) -> Result<Option<Tool<'b>>, Error> {
    if !raw.starts_with(b"{") {
        return Err(wrong(&format!("tools.{index}"), "an object", raw));
    }
    let (mut kind, mut name, mut description, mut schema) = (None, None, None, None);
    let (mut strict, mut mark, mut deferred) = (None, None, false);
    for member in json::members(raw, Span::all(raw)) {
        let member = member.map_err(|fault| not_json(raw, fault))?;
        let value = member.value.of(raw);
        match text::string(member.key.of(raw)).as_deref() {
            _ if value == b"null" => {}
            Some("type") => kind = text::string(value),
            Some("name") => name = Escaped::of_value(value).filter(|name| !name.is_empty()),
            Some("description") => description = Escaped::of_value(value),
            Some("input_schema") => schema = Some(value),
            Some("strict") => strict = text::boolean(value),
            Some("cache_control") => mark = cache::read(value),
            Some("defer_loading") => deferred = true,
            Some("input_examples") if value != b"[]" => loss.add("tools.input_examples"),
            // Only a call by the model itself is left; where that was not allowed, it is now.
            Some("allowed_callers") if !calls_directly(value) => loss.add("tools.allowed_callers"),
            _ => {}
        }
    }
    let kind = kind.filter(|kind| kind != "custom");
    let Some(word) = kind else {
        let name = name.ok_or_else(|| missing(&format!("tools.{index}.name")))?;
        if deferred && name.as_bytes() == PLACEHOLDER {
            return Ok(None);
        }
        let kind = ToolKind::Function { name, description, schema, strict };
        return Ok(Some(Tool { kind, cache: mark }));
    };
    let name = name.unwrap_or_else(|| Escaped::of(&word));
    let kind = if KNOWN.iter().any(|family| word.starts_with(family)) {
        ToolKind::Known { name, word, raw }
    } else {
        ToolKind::Server { name, word, raw }
    };
    Ok(Some(Tool { kind, cache: mark }))
}

fn calls_directly(callers: &[u8]) -> bool {
    json::elements(callers, Span::all(callers)).flatten().any(|caller| caller.of(callers) == b"\"direct\"")
}

/// Writes a list. Tools of another dialect's own kinds are left out and noted.
pub fn write(tools: &[Tool<'_>], traits: &Traits, model: &str) -> Toolbox {
    let known = capability::of(model);
    let strict_taken = traits.strict_tools && known.is_none_or(|model| model.formats);
    let mut toolbox = Toolbox::default();
    let mut out = Vec::new();
    for tool in tools {
        match &tool.kind {
            ToolKind::Function { name, description, schema, strict } => {
                let sent = fit_name(name, traits.name_length);
                Arc::make_mut(&mut toolbox.names).note(name.as_bytes(), &sent);
                toolbox.offered.push(name.as_bytes().into());
                let strict = *strict == Some(true);
                if strict && !strict_taken {
                    toolbox.loss.add("tools.strict");
                }
                let entry = Entry { name: &sent, description: description.as_ref(), schema: *schema };
                out.push(if out.is_empty() { b'[' } else { b',' });
                entry.write(strict && strict_taken, tool.cache, &mut out);
            }
            ToolKind::Known { name, word, .. } | ToolKind::Server { name, word, .. } => {
                toolbox.left_out.push(name.as_bytes().into());
                toolbox.loss.add(format!("tools.{word}"));
            }
        }
    }
    if !out.is_empty() {
        out.push(b']');
    }
    toolbox.json = out.into();
    toolbox
}

/// A function as it is sent.
struct Entry<'t> {
    name: &'t [u8],
    description: Option<&'t Escaped<'t>>,
    schema: Option<&'t [u8]>,
}

impl Entry<'_> {
    fn write(&self, strict: bool, mark: Option<Ttl>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"name\":\"");
        out.extend_from_slice(self.name);
        out.push(b'"');
        if let Some(description) = self.description.filter(|text| !text.is_empty()) {
            out.extend_from_slice(b",\"description\":\"");
            out.extend_from_slice(description.as_bytes());
            out.push(b'"');
        }
        out.extend_from_slice(b",\"input_schema\":");
        out.extend_from_slice(&object_schema(self.schema.unwrap_or_default()));
        if strict {
            out.extend_from_slice(b",\"strict\":true");
        }
        out.extend_from_slice(cache::member(mark));
        out.push(b'}');
    }
}

/// A schema with the `type` that the API demands; as it is where it has one.
fn object_schema(schema: &[u8]) -> Cow<'_, [u8]> {
    let schema = schema.trim_ascii();
    let Some(rest) = schema.strip_prefix(b"{").filter(|rest| rest.trim_ascii_start() != b"}") else {
        return Cow::Borrowed(b"{\"type\":\"object\",\"properties\":{}}");
    };
    match json::member_of(schema, Span::all(schema), "type") {
        Some(_) => Cow::Borrowed(schema),
        None => Cow::Owned([b"{\"type\":\"object\",", rest].concat()),
    }
}

/// Families of tools that the client runs and the model knows without a schema (wire.md 1.4).
const KNOWN: &[&str] = &["bash_", "text_editor_", "computer_", "memory_"];
/// claude-code-traffic.md section 3.
const PLACEHOLDER: &[u8] = b"DeferredToolPlaceholder";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::traits::MESSAGES;

    fn read_all(raw: &str) -> (Vec<Tool<'_>>, String) {
        let mut loss = Loss::default();
        let tools = read(raw.as_bytes(), &mut loss).unwrap();
        (tools, loss.header())
    }

    fn written(raw: &str, model: &str) -> (String, Toolbox) {
        let toolbox = write(&read_all(raw).0, &MESSAGES, model);
        (String::from_utf8(toolbox.json.to_vec()).unwrap(), toolbox)
    }

    #[test]
    fn each_kind_of_tool_is_told_apart() {
        for (raw, expected, lost) in [
            (r#"{"name":"a","input_schema":{}}"#, "function a", ""),
            (
                r#"{"type":"custom","name":"a","defer_loading":true,"eager_input_streaming":true}"#,
                "function a",
                "",
            ),
            (r#"{"name":"DeferredToolPlaceholder","defer_loading":true,"input_schema":{}}"#, "", ""),
            (
                r#"{"name":"DeferredToolPlaceholder","input_schema":{}}"#,
                "function DeferredToolPlaceholder",
                "",
            ),
            (r#"{"type":"bash_20250124","name":"bash"}"#, "known bash bash_20250124", ""),
            (r#"{"type":"memory_20250818","name":"memory"}"#, "known memory memory_20250818", ""),
            (
                r#"{"type":"web_search_20250305","name":"web_search","max_uses":8}"#,
                "server web_search web_search_20250305",
                "",
            ),
            (r#"{"type":"mcp_toolset","mcp_server_name":"x"}"#, "server mcp_toolset mcp_toolset", ""),
            (
                r#"{"name":"a","input_examples":[{"b":1}],"allowed_callers":["direct"]}"#,
                "function a",
                "tools.input_examples",
            ),
            (
                r#"{"name":"a","allowed_callers":["code_execution_20260120"]}"#,
                "function a",
                "tools.allowed_callers",
            ),
        ] {
            let raw = format!("[{raw}]");
            let (tools, loss) = read_all(&raw);
            let told: Vec<String> = tools.iter().map(|tool| told(&tool.kind)).collect();
            assert_eq!((told.concat().as_str(), loss.as_str()), (expected, lost), "{raw}");
        }
    }

    fn told(kind: &ToolKind<'_>) -> String {
        match kind {
            ToolKind::Function { name, .. } => format!("function {}", name.plain()),
            ToolKind::Known { name, word, .. } => format!("known {} {word}", name.plain()),
            ToolKind::Server { name, word, .. } => format!("server {} {word}", name.plain()),
        }
    }

    #[test]
    fn a_tool_that_is_none_is_refused_by_its_place() {
        for (raw, message) in [
            (r#"[{"name":"a"},5]"#, "tools.1: expected an object, got 5"),
            (r#"[{"description":"x"}]"#, "tools.0.name: field required"),
        ] {
            assert_eq!(read(raw.as_bytes(), &mut Loss::default()).unwrap_err().message, message);
        }
    }

    #[test]
    fn a_cache_mark_on_a_tool_is_kept() {
        let raw = r#"[{"name":"a"},{"name":"b","cache_control":{"type":"ephemeral","ttl":"1h"}},{"name":"c","cache_control":{"type":"ephemeral"}}]"#;
        let marks: Vec<_> = read_all(raw).0.iter().map(|tool| tool.cache).collect();
        assert_eq!(marks, [None, Some(Ttl::Hour), Some(Ttl::Default)]);
        let (json, _) = written(raw, "claude-sonnet-4-5");
        assert!(
            json.contains(
                r#"{"type":"object","properties":{}},"cache_control":{"type":"ephemeral","ttl":"1h"}}"#
            ),
            "{json}"
        );
    }

    #[test]
    fn a_schema_gets_the_type_that_it_lacks_and_is_else_untouched() {
        let object = r#"{"type":"object","properties":{}}"#;
        for (came, sent) in [
            ("", object),
            ("{}", object),
            (" { } ", object),
            ("null", object),
            (
                r#"{"properties":{"a":{"minimum":1.0}}}"#,
                r#"{"type":"object","properties":{"a":{"minimum":1.0}}}"#,
            ),
            (r#"{"$schema":"x", "type":"object"}"#, r#"{"$schema":"x", "type":"object"}"#),
            (r#"{"type":["object","null"]}"#, r#"{"type":["object","null"]}"#),
        ] {
            assert_eq!(String::from_utf8_lossy(&object_schema(came.as_bytes())), sent, "{came}");
        }
    }

    #[test]
    fn names_are_fitted_and_foreign_tools_left_out() {
        let long = format!("mcp__{}", "x".repeat(140));
        let raw = format!(
            r#"[{{"name":"{long}","description":"says \"hi\"","strict":true}},{{"type":"bash_20250124","name":"bash"}},{{"name":"b","strict":false}}]"#
        );
        let (json, toolbox) = written(&raw, "claude-sonnet-4-5");
        let list: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
        let sent = list[0]["name"].as_str().unwrap();
        assert_eq!((list.len(), sent.len()), (2, 128));
        assert_eq!(toolbox.names.original(sent.as_bytes()), long.as_bytes());
        assert_eq!(
            (list[0]["description"].as_str(), list[0]["strict"].as_bool()),
            (Some("says \"hi\""), Some(true))
        );
        assert!(list[1].get("strict").is_none());
        assert!(toolbox.offers(long.as_bytes()) && toolbox.offers(b"b") && !toolbox.offers(b"bash"));
        assert_eq!((toolbox.left_out.len(), toolbox.loss.header().as_str()), (1, "tools.bash_20250124"));
        let (json, toolbox) = written(&raw, "claude-3-5-haiku");
        assert!(!json.contains("strict"), "{json}");
        assert_eq!(toolbox.loss.header(), "tools.strict, tools.bash_20250124");
        assert!(written("[]", "x").0.is_empty());
    }
}
