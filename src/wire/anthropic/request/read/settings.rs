//! The settings of a Messages request: everything beside `system` and `messages` (wire.md 1.2).
//!
//! Fields that no other dialect has are told as lost, but for those that change no answer ([`SILENT`]). An unknown value of
//! a known field is told as lost too, under the field's name. Judges no value beyond its kind.

use crate::error::Error;
use crate::json::{self, Member, Span, text};
use crate::wire::Loss;
use crate::wire::anthropic::request::{Ask, member_of, wrong};
use crate::wire::ir::{Choice, Conversation, Effort, Escaped, Format, Reasoning, Switch, Tier};

/// Reads the settings into a conversation.
pub(super) fn read<'b>(ask: &Ask<'b>, into: &mut Conversation<'b>) -> Result<(), Error> {
    let given =
        |member: Option<Member>| member.map(|at| at.value.of(ask.body)).filter(|value| *value != b"null");
    into.tools = tools(given(ask.tools))?;
    into.max_output = ask.max_tokens;
    into.temperature = given(ask.temperature);
    into.top_p = given(ask.top_p);
    into.top_k = given(ask.top_k);
    into.stream = ask.stream;
    if let Some(value) = given(ask.tool_choice) {
        choice(value, into)?;
    }
    if let Some(value) = given(ask.thinking) {
        into.reasoning = thinking(value, &mut into.loss);
    }
    if let Some(value) = given(ask.output_config) {
        output_config(value, into);
    }
    if let Some(value) = given(ask.metadata) {
        let user = member_of(value, Span::all(value), "user_id").map(|user| user.value.of(value));
        into.user = user.and_then(Escaped::of_value).filter(|user| !user.is_empty());
    }
    if given(ask.context_management).is_some_and(manages) {
        into.loss.add("context_management");
    }
    if given(ask.speed).is_some_and(|speed| speed != b"\"standard\"") {
        into.loss.add("speed");
    }
    for member in &ask.unread {
        other(ask.body, *member, into)?;
    }
    Ok(())
}

fn tools(value: Option<&[u8]>) -> Result<Option<&[u8]>, Error> {
    let Some(value) = value else { return Ok(None) };
    if !value.starts_with(b"[") {
        return Err(wrong("tools", "an array", value));
    }
    Ok(json::elements(value, Span::all(value)).next().map(|_| value))
}

fn choice<'b>(value: &'b [u8], into: &mut Conversation<'b>) -> Result<(), Error> {
    let inner = |name| member_of(value, Span::all(value), name).map(|member| member.value.of(value));
    let kind = inner("type").unwrap_or_default();
    into.choice = Some(match kind {
        b"\"auto\"" => Choice::Auto,
        b"\"any\"" => Choice::Any,
        b"\"none\"" => Choice::None,
        b"\"tool\"" => {
            let name = inner("name").unwrap_or_default();
            let name = Escaped::of_value(name).filter(|name| !name.is_empty());
            Choice::Tool(name.ok_or_else(|| wrong("tool_choice.name", "the name of a tool", value))?)
        }
        _ => return Err(wrong("tool_choice.type", "`auto`, `any`, `tool` or `none`", kind)),
    });
    into.parallel = inner("disable_parallel_tool_use").and_then(text::boolean).map(|disabled| !disabled);
    Ok(())
}

fn thinking(value: &[u8], loss: &mut Loss) -> Reasoning {
    let mut found = Reasoning::default();
    for member in json::members(value, Span::all(value)).map_while(Result::ok) {
        let inner = member.value.of(value);
        match text::string(member.key.of(value)).as_deref() {
            Some("type") => match inner {
                b"\"enabled\"" | b"\"adaptive\"" => found.switch = Switch::On,
                // Between tools is as little as a model can think that does not stop.
                b"\"disabled\"" | b"\"between_tools\"" => found.switch = Switch::Off,
                _ => loss.add("thinking"),
            },
            Some("budget_tokens") => found.budget = text::count(inner),
            Some("display") => match inner {
                b"\"omitted\"" => found.shown = Some(false),
                b"null" => {}
                _ => found.shown = Some(true),
            },
            _ => {}
        }
    }
    found
}

fn output_config<'b>(value: &'b [u8], into: &mut Conversation<'b>) {
    for member in json::members(value, Span::all(value)).map_while(Result::ok) {
        let inner = member.value.of(value);
        match text::string(member.key.of(value)).as_deref() {
            _ if inner == b"null" => {}
            Some("effort") => {
                into.reasoning.effort = text::string(inner).and_then(|word| Effort::from_word(&word));
                if into.reasoning.effort.is_none() {
                    into.loss.add("output_config.effort");
                }
            }
            Some("format") => format(inner, "output_config.format", into),
            Some(name) => {
                let name = format!("output_config.{name}");
                into.loss.add(name);
            }
            None => {}
        }
    }
}

fn format<'b>(value: &'b [u8], name: &'static str, into: &mut Conversation<'b>) {
    let inner = |name| member_of(value, Span::all(value), name).map(|member| member.value.of(value));
    match (inner("type"), inner("schema")) {
        (Some(b"\"json_schema\""), Some(schema)) => {
            into.format = Format::Schema { name: None, schema, strict: None };
        }
        _ => into.loss.add(name),
    }
}

/// A field that only a conversation has use for, or none.
fn other<'b>(body: &'b [u8], member: Member, into: &mut Conversation<'b>) -> Result<(), Error> {
    let value = member.value.of(body);
    let Some(name) = text::string(member.key.of(body)) else { return Ok(()) };
    match &*name {
        _ if value == b"null" || SILENT.contains(&&*name) => {}
        "stop_sequences" => into.stop = stops(value)?,
        "output_format" => format(value, "output_format", into),
        "service_tier" => match value {
            b"\"auto\"" => into.tier = Some(Tier::Auto),
            b"\"standard_only\"" => into.tier = Some(Tier::Standard),
            _ => into.loss.add("service_tier"),
        },
        name => into.loss.add(name.to_owned()),
    }
    Ok(())
}

fn stops(value: &[u8]) -> Result<Vec<Escaped<'_>>, Error> {
    if !value.starts_with(b"[") {
        return Err(wrong("stop_sequences", "an array of strings", value));
    }
    let elements = json::elements(value, Span::all(value)).map_while(Result::ok).enumerate();
    let text = |(index, span): (usize, Span)| {
        let value = span.of(value);
        Escaped::of_value(value).ok_or_else(|| wrong(&format!("stop_sequences.{index}"), "a string", value))
    };
    elements.map(text).collect()
}

/// Whether `context_management` does anything: an edit that keeps all thinking, which Claude Code always sends, takes
/// nothing out.
fn manages(value: &[u8]) -> bool {
    let Some(edits) = member_of(value, Span::all(value), "edits") else { return false };
    json::elements(value, edits.value).map_while(Result::ok).any(|edit| {
        let inner = |name| member_of(value, edit, name).and_then(|at| text::string(at.value.of(value)));
        let clears = inner("type").is_some_and(|kind| kind.starts_with("clear_thinking_"));
        !(clears && inner("keep").as_deref() == Some("all"))
    })
}

/// Fields that change no answer: how the request is cached, counted, billed and attributed, and what other carriers of
/// the dialect have in the place of headers.
const SILENT: &[&str] = &[
    "anthropic_beta",
    "anthropic_version",
    "betas",
    "billing_policy",
    "cache_control",
    "diagnostics",
    "user_profile_id",
    "workspace_id",
];
