//! The rules of a conversation: who may speak when, what a block may hold, and which result answers which call.
//!
//! Messages in a row with the same role count as one turn, and system messages within are passed over, as the real API
//! does. Wordings are its own. Knows nothing of tools' schemas or of the model's answer.

use std::collections::HashSet;

use serde_json::Value;

use super::models::{Family, Thinking};
use super::strict::{Refusal, guard, is_id, no_extras};
use super::{Request, reply};

/// Checks `messages` of a body whose other fields are in order.
pub(super) fn check(body: &Value, family: &Family, request: &Request<'_>) -> Result<(), Refusal> {
    let Some(messages) = body["messages"].as_array() else {
        return Err(Refusal::invalid("messages: Input should be a valid list"));
    };
    guard(!messages.is_empty(), || "messages: at least one message is required".to_owned())?;
    for (i, message) in messages.iter().enumerate() {
        role(i, message, family)?;
        own_config(i, message, family, request)?;
        content(i, message, i + 1 == messages.len())?;
    }
    guard(messages[0]["role"] != "assistant", || {
        "messages: first message must use the \"user\" role".to_owned()
    })?;
    let turns = merge(messages);
    tool_pairs(&turns)?;
    references(body, &turns)?;
    kept_thinking(body, &turns, family)?;
    ending(&turns, family)
}

/// A block with where it stands: message and position.
struct Placed<'a> {
    message: usize,
    at: usize,
    block: &'a Value,
}

impl Placed<'_> {
    fn is(&self, kind: &str) -> bool {
        self.block["type"] == kind
    }

    fn place(&self) -> String {
        format!("messages.{}.content.{}", self.message, self.at)
    }
}

/// What one side says until the other speaks. Plain string contents have no blocks.
struct Turn<'a> {
    assistant: bool,
    first: usize,
    blocks: Vec<Placed<'a>>,
    /// The content of the last message if it is a string.
    text: Option<&'a str>,
}

fn merge(messages: &[Value]) -> Vec<Turn<'_>> {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for (i, message) in messages.iter().enumerate().filter(|(_, message)| message["role"] != "system") {
        let assistant = message["role"] == "assistant";
        if turns.last().is_none_or(|turn| turn.assistant != assistant) {
            turns.push(Turn { assistant, first: i, blocks: Vec::new(), text: None });
        }
        if let Some(turn) = turns.last_mut() {
            turn.text = message["content"].as_str();
            let blocks = message["content"].as_array().into_iter().flatten().enumerate();
            turn.blocks.extend(blocks.map(|(at, block)| Placed { message: i, at, block }));
        }
    }
    turns
}

fn role(i: usize, message: &Value, family: &Family) -> Result<(), Refusal> {
    match message["role"].as_str() {
        Some("user" | "assistant") => Ok(()),
        Some("system") if !family.system_role => {
            Err(Refusal::invalid("role 'system' is not supported on this model"))
        }
        Some("system") => guard(i > 0, || {
            "messages.0: use the top-level `system` parameter for the initial system prompt".to_owned()
        }),
        Some(other) => Err(Refusal::invalid(format!(
            "messages: Unexpected role \"{other}\". Allowed roles are \"user\" or \"assistant\"."
        ))),
        None => Err(Refusal::invalid(format!("messages.{i}.role: Field required"))),
    }
}

/// A message's own `output_config`, and any field that no message has.
fn own_config(i: usize, message: &Value, family: &Family, request: &Request<'_>) -> Result<(), Refusal> {
    if !message["output_config"].is_null() {
        let beta = request.beta("per-turn-control-2026-07-01");
        guard(beta, || format!("messages.{i}.output_config: Extra inputs are not permitted"))?;
        guard(family.per_turn, || {
            format!("messages.{i}: output_config.effort requires a model that supports per-turn effort")
        })?;
    }
    let known = ["role", "content", "output_config", "cache_control", "clear_at"];
    message.as_object().map_or(Ok(()), |fields| no_extras(fields, &known, &format!("messages.{i}.")))
}

fn content(i: usize, message: &Value, is_last: bool) -> Result<(), Refusal> {
    let content = &message["content"];
    let role = message["role"].as_str().unwrap_or_default();
    // A system message may be empty: it then only carries its output_config.
    let may_be_empty = role == "system" || (role == "assistant" && is_last);
    let hollow = || {
        format!(
            "messages.{i}: all messages must have non-empty content except for the optional final assistant message"
        )
    };
    match content {
        Value::Null => Err(Refusal::invalid(format!("messages.{i}.content: Field required"))),
        Value::String(text) => guard(may_be_empty || !text.is_empty(), hollow),
        Value::Array(blocks) => {
            guard(may_be_empty || !blocks.is_empty(), hollow)?;
            blocks
                .iter()
                .enumerate()
                .try_for_each(|(at, block)| check_block(&format!("messages.{i}.content.{at}"), role, block))
        }
        _ => Err(Refusal::invalid(format!("messages.{i}.content: Input should be a valid list"))),
    }
}

fn check_block(place: &str, role: &str, block: &Value) -> Result<(), Refusal> {
    let Some(kind) = block["type"].as_str() else {
        return Err(Refusal::invalid(format!("{place}.type: Field required")));
    };
    match kind {
        "text" => text_block(place, block)?,
        "thinking" | "redacted_thinking" if role != "assistant" => {
            return Err(Refusal::invalid(format!(
                "{place}: `{kind}` blocks can only be in `assistant` messages"
            )));
        }
        "thinking" => signed_thinking(place, block)?,
        "image" => image(place, block)?,
        "redacted_thinking" => {
            let ours = block["data"].as_str().is_some_and(|data| reply::is_signed("", data));
            guard(ours, || format!("{place}: Invalid `data` in `redacted_thinking` block"))?;
        }
        "tool_use" => tool_use(place, role, block)?,
        "tool_result" => {
            guard(role == "user", || {
                format!("{place}: `tool_result` blocks can only be in `user` messages")
            })?;
            guard(block["tool_use_id"].is_string(), || {
                format!("{place}.tool_result.tool_use_id: Field required")
            })?;
            result_content(place, block)?;
        }
        _ => guard(OTHER_BLOCKS.contains(&kind) || kind.ends_with("_tool_result"), || {
            format!("{place}: Input tag '{kind}' found using 'type' does not match any of the expected tags")
        })?,
    }
    let Some((_, known)) = BLOCK_FIELDS.iter().find(|(name, _)| *name == kind) else { return Ok(()) };
    block.as_object().map_or(Ok(()), |fields| no_extras(fields, known, &format!("{place}.{kind}.")))
}

fn text_block(place: &str, block: &Value) -> Result<(), Refusal> {
    let Some(text) = block["text"].as_str() else {
        return Err(Refusal::invalid(format!("{place}.text.text: Field required")));
    };
    guard(!text.is_empty(), || "messages: text content blocks must be non-empty".to_owned())?;
    guard(!text.trim().is_empty(), || {
        "messages: text content blocks must contain non-whitespace text".to_owned()
    })
}

fn result_content(place: &str, block: &Value) -> Result<(), Refusal> {
    let content = &block["content"];
    let Some(inner) = content.as_array() else {
        let fits = content.is_null() || content.is_string();
        return guard(fits, || format!("{place}.tool_result.content: Input should be a valid list"));
    };
    for (at, inner) in inner.iter().enumerate() {
        let kind = inner["type"].as_str().unwrap_or_default();
        let place = format!("{place}.tool_result.content.{at}");
        guard(RESULT_BLOCKS.contains(&kind), || {
            format!("{place}: Input tag '{kind}' found using 'type' does not match any of the expected tags")
        })?;
        if kind == "image" {
            image(&place, inner)?;
        }
    }
    let plain = block["is_error"] != true || inner.iter().all(|inner| inner["type"] == "text");
    guard(plain, || format!("{place}.tool_result: all content must be type `text` if `is_error` is true"))
}

fn image(place: &str, block: &Value) -> Result<(), Refusal> {
    let source = &block["source"];
    match source["type"].as_str() {
        Some("base64") => {
            let kind = source["media_type"].as_str().unwrap_or_default();
            guard(PICTURES.contains(&kind), || {
                format!(
                    "{place}.image.source.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or \
                     'image/webp'"
                )
            })?;
            let data = source["data"].as_str().unwrap_or_default();
            guard(!data.is_empty(), || format!("{place}.image.source.base64.data: Field required"))
        }
        Some("url") => {
            guard(source["url"].is_string(), || format!("{place}.image.source.url.url: Field required"))
        }
        Some("file") => guard(source["file_id"].is_string(), || {
            format!("{place}.image.source.file.file_id: Field required")
        }),
        _ => Err(Refusal::invalid(format!("{place}.image.source: Field required"))),
    }
}

fn signed_thinking(place: &str, block: &Value) -> Result<(), Refusal> {
    let text = block["thinking"].as_str().unwrap_or_default();
    let Some(signature) = block["signature"].as_str() else {
        return Err(Refusal::invalid(format!("{place}.thinking.signature: Field required")));
    };
    guard(reply::is_signed(text, signature), || format!("{place}: Invalid `signature` in `thinking` block"))
}

fn tool_use(place: &str, role: &str, block: &Value) -> Result<(), Refusal> {
    guard(role == "assistant", || format!("{place}: `tool_use` blocks can only be in `assistant` messages"))?;
    let id = block["id"].as_str().unwrap_or_default();
    guard(is_id(id), || format!("{place}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"))?;
    let name = block["name"].as_str().unwrap_or_default();
    let fits = is_id(name) && name.len() <= 200;
    guard(fits, || format!("{place}.tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{{1,200}}$'"))?;
    guard(block["input"].is_object(), || {
        format!("{place}.tool_use.input: Input should be a valid dictionary")
    })
}

/// Every call has exactly one result, first in the turn that follows it; no result stands alone; ids are unique.
fn tool_pairs(turns: &[Turn<'_>]) -> Result<(), Refusal> {
    let mut ids = HashSet::new();
    for (n, turn) in turns.iter().enumerate() {
        let ends_thinking = turn.assistant && turn.blocks.last().is_some_and(|b| b.is("thinking"));
        guard(!ends_thinking, || {
            format!("messages.{}: The final block in an assistant message cannot be `thinking`.", turn.first)
        })?;
        let calls: Vec<&Placed<'_>> = turn.blocks.iter().filter(|b| b.is("tool_use")).collect();
        for call in &calls {
            let fresh = ids.insert(call.block["id"].as_str());
            guard(fresh, || format!("{}: `tool_use` ids must be unique", call.place()))?;
        }
        if let Some(next) = turns.get(n + 1).filter(|_| turn.assistant) {
            answered(&calls, next)?;
        }
        if !turn.assistant {
            let before = n.checked_sub(1).map(|n| turns[n].blocks.as_slice()).unwrap_or_default();
            results(turn, before)?;
        }
    }
    Ok(())
}

/// That the results at the beginning of `next` cover all calls.
fn answered(calls: &[&Placed<'_>], next: &Turn<'_>) -> Result<(), Refusal> {
    let leading = next.blocks.iter().take_while(|b| b.is("tool_result"));
    let results: HashSet<Option<&str>> = leading.map(|b| b.block["tool_use_id"].as_str()).collect();
    let open = calls.iter().map(|call| call.block["id"].as_str()).filter(|id| !results.contains(id));
    let open: Vec<&str> = open.flatten().collect();
    guard(open.is_empty(), || {
        format!(
            "messages.{}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each \
             `tool_use` block must have a corresponding `tool_result` block in the next message.",
            calls.first().map_or(0, |call| call.message),
            open.join(", ")
        )
    })
}

/// That each result of a turn answers one call of the turn before, once.
fn results(turn: &Turn<'_>, before: &[Placed<'_>]) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for result in turn.blocks.iter().filter(|b| b.is("tool_result")) {
        let id = result.block["tool_use_id"].as_str().unwrap_or_default();
        let asked = before.iter().any(|b| b.is("tool_use") && b.block["id"] == id);
        guard(asked, || {
            format!(
                "{}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a \
                 corresponding `tool_use` block in the previous message.",
                result.place()
            )
        })?;
        guard(seen.insert(id), || {
            let place = result.place();
            format!(
                "{place}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: {id}"
            )
        })?;
    }
    Ok(())
}

/// A tool that a result refers to is offered.
fn references(body: &Value, turns: &[Turn<'_>]) -> Result<(), Refusal> {
    let results = turns.iter().flat_map(|turn| &turn.blocks).filter(|b| b.is("tool_result"));
    let inner = results.filter_map(|result| result.block["content"].as_array()).flatten();
    for reference in inner.filter(|inner| inner["type"] == "tool_reference") {
        let name = reference["tool_name"].as_str().unwrap_or_default();
        let offered =
            body["tools"].as_array().is_some_and(|tools| tools.iter().any(|tool| tool["name"] == name));
        guard(offered, || format!("Tool reference '{name}' not found in available tools"))?;
    }
    Ok(())
}

/// With a thinking budget, the assistant's turn that a tool loop goes on from must begin with its thinking. (With
/// adaptive thinking the real models go on without it.)
fn kept_thinking(body: &Value, turns: &[Turn<'_>], family: &Family) -> Result<(), Refusal> {
    let demands =
        body["thinking"]["type"] == "enabled" && matches!(family.thinking, Thinking::Budget | Thinking::Both);
    let loops =
        turns.last().is_some_and(|turn| !turn.assistant && turn.blocks.iter().any(|b| b.is("tool_result")));
    if !demands || !loops {
        return Ok(());
    }
    // Walk back to the words of the user that the loop began with.
    let asked =
        turns.iter().rposition(|turn| !turn.assistant && !turn.blocks.iter().any(|b| b.is("tool_result")));
    let begun = turns.iter().skip(asked.map_or(0, |at| at + 1)).find(|turn| turn.assistant);
    let Some(first) = begun.and_then(|turn| turn.blocks.first()) else { return Ok(()) };
    guard(first.is("thinking") || first.is("redacted_thinking"), || {
        format!(
            "{}.type: Expected `thinking` or `redacted_thinking`, but found `{}`. When `thinking` is enabled, a final \
             `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and \
             `tool_result` blocks). We recommend you include thinking blocks from previous turns. To avoid this \
             requirement, disable `thinking`.",
            first.place(),
            first.block["type"].as_str().unwrap_or_default()
        )
    })
}

/// Who has the last word, and how it may end.
fn ending(turns: &[Turn<'_>], family: &Family) -> Result<(), Refusal> {
    let Some(last) = turns.last().filter(|turn| turn.assistant) else { return Ok(()) };
    guard(family.prefill, || {
        "This model does not support assistant message prefill. The conversation must end with a user message.".to_owned()
    })?;
    let calls = last.blocks.iter().any(|b| b.is("tool_use"));
    guard(!calls, || {
        format!(
            "messages.{}: `tool_use` ids were found without `tool_result` blocks immediately after",
            last.first
        )
    })?;
    let text =
        last.text.or_else(|| last.blocks.last().and_then(|b| b.block["text"].as_str())).unwrap_or_default();
    guard(text == text.trim_end(), || {
        "messages: final assistant content cannot end with trailing whitespace".to_owned()
    })
}

/// Blocks that a result may hold.
const RESULT_BLOCKS: &[&str] = &["text", "image", "document", "search_result", "tool_reference"];
const PICTURES: &[&str] = &["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Blocks whose inside is not looked at.
const OTHER_BLOCKS: &[&str] = &[
    "image",
    "document",
    "search_result",
    "server_tool_use",
    "mcp_tool_use",
    "container_upload",
    "compaction",
    "fallback",
    "tool_reference",
    "tool_addition",
    "tool_removal",
];

/// All fields that a block may have.
const BLOCK_FIELDS: &[(&str, &[&str])] = &[
    ("text", &["type", "text", "cache_control", "citations"]),
    ("thinking", &["type", "thinking", "signature"]),
    ("redacted_thinking", &["type", "data"]),
    ("tool_use", &["type", "id", "name", "input", "cache_control", "caller"]),
    ("tool_result", &["type", "tool_use_id", "content", "is_error", "cache_control"]),
];
