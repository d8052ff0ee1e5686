//! The members of a body beside `messages`.
//!
//! Numbers stay as they are written. `null` is the same as absent everywhere. Knows no defaults.

use crate::error::Error;
use crate::json::{self, Member, Span, member_of, text};
use crate::wire::ir::{Choice, Conversation, Effort, Escaped, Format, Setting, Switch, Tier};
use crate::wire::refusal::wrong;

/// Reads one member of the body.
pub(super) fn read<'b>(
    body: &'b [u8],
    member: Member,
    conversation: &mut Conversation<'b>,
) -> Result<(), Error> {
    let value = member.value.of(body);
    let key = text::string(member.key.of(body));
    let Some(name) = key.as_deref().filter(|_| value != b"null") else { return Ok(()) };
    match name {
        // Read with the body, or by the caller.
        "model"
        | "messages"
        | "stream"
        | "stream_options"
        | "max_tokens"
        | "max_completion_tokens"
        | "session_id"
        | "prompt_cache_key" => {}
        "tools" => conversation.tools = Some(array(name, value)?),
        "functions" => conversation.tools = conversation.tools.or(Some(array(name, value)?)),
        "tool_choice" => choice(body, member.value, conversation)?,
        "function_call" => {
            let named = function_call(body, member.value)?;
            conversation.choice.get_or_insert(named);
        }
        "parallel_tool_calls" => conversation.parallel = Some(boolean(name, value)?),
        "stop" => conversation.stop = stop(body, member.value)?,
        "temperature" => conversation.temperature = Some(number(name, value)?),
        "top_p" => conversation.top_p = Some(number(name, value)?),
        "top_k" => conversation.top_k = Some(number(name, value)?),
        "seed" => conversation.settings.push((Setting::Seed, value)),
        "frequency_penalty" => conversation.settings.push((Setting::FrequencyPenalty, value)),
        "presence_penalty" => conversation.settings.push((Setting::PresencePenalty, value)),
        "logit_bias" => conversation.settings.push((Setting::LogitBias, value)),
        "logprobs" | "store" if value == b"false" => {}
        "logprobs" | "top_logprobs" => conversation.settings.push((Setting::Logprobs, value)),
        "n" if value == b"1" => {}
        "n" => return Err(wrong("n", "1, since the model answers once to each request", value)),
        "reasoning_effort" => {
            let level = effort(name, value)?;
            set_effort(conversation, level);
        }
        "reasoning" => reasoning(body, member.value, conversation)?,
        "thinking" => thinking(body, member.value, conversation)?,
        "include_reasoning" => conversation.reasoning.shown = Some(boolean(name, value)?),
        "response_format" => conversation.format = format(body, member.value)?,
        "user" => {
            let user = string(name, value)?;
            conversation.user.get_or_insert(user);
        }
        "safety_identifier" => conversation.user = Some(string(name, value)?),
        "service_tier" => match tier(value) {
            Some(tier) => conversation.tier = Some(tier),
            None => conversation.loss.add(name.to_owned()),
        },
        "modalities" if value == b"[\"text\"]" => {}
        name => conversation.loss.add(name.to_owned()),
    }
    Ok(())
}

fn array<'b>(name: &str, value: &'b [u8]) -> Result<&'b [u8], Error> {
    if value.starts_with(b"[") { Ok(value) } else { Err(wrong(name, "an array", value)) }
}

fn boolean(name: &str, value: &[u8]) -> Result<bool, Error> {
    text::boolean(value).ok_or_else(|| wrong(name, "a boolean", value))
}

fn number<'b>(name: &str, value: &'b [u8]) -> Result<&'b [u8], Error> {
    if text::is_number(value) { Ok(value) } else { Err(wrong(name, "a number", value)) }
}

fn string<'b>(name: &str, value: &'b [u8]) -> Result<Escaped<'b>, Error> {
    Escaped::of_value(value).ok_or_else(|| wrong(name, "a string", value))
}

/// The value of a member of an object that is not `null`.
fn inside<'b>(body: &'b [u8], object: Span, name: &str) -> Option<&'b [u8]> {
    let value = member_of(body, object, name)?.value.of(body);
    (value != b"null").then_some(value)
}

fn stop(body: &[u8], value: Span) -> Result<Vec<Escaped<'_>>, Error> {
    if value.of(body).starts_with(b"\"") {
        return Ok(vec![string("stop", value.of(body))?]);
    }
    let each = json::elements(body, array("stop", value.of(body)).map(|_| value)?);
    each.map_while(Result::ok).map(|text| string("stop[]", text.of(body))).collect()
}

/// Which tool, in every form: a word, `{function: {name}}`, `{custom: {name}}`, `{allowed_tools: {mode, tools}}`.
fn choice<'b>(body: &'b [u8], value: Span, conversation: &mut Conversation<'b>) -> Result<(), Error> {
    let raw = value.of(body);
    if raw.starts_with(b"\"") {
        conversation.choice = Some(choice_word("tool_choice", raw)?);
        return Ok(());
    }
    if let Some(allowed) = member_of(body, value, "allowed_tools") {
        let mode = inside(body, allowed.value, "mode").unwrap_or(b"\"auto\"");
        conversation.choice = Some(choice_word("tool_choice.allowed_tools.mode", mode)?);
        conversation.loss.add("tool_choice.allowed_tools");
        return Ok(());
    }
    let named = ["function", "custom"].into_iter().find_map(|kind| member_of(body, value, kind));
    let name = named.and_then(|named| inside(body, named.value, "name"));
    let name = name.ok_or_else(|| wrong("tool_choice", "a word or {function: {name}}", raw))?;
    conversation.choice = Some(Choice::Tool(string("tool_choice.function.name", name)?));
    Ok(())
}

fn choice_word<'b>(name: &str, value: &[u8]) -> Result<Choice<'b>, Error> {
    Ok(match value {
        b"\"auto\"" => Choice::Auto,
        b"\"none\"" => Choice::None,
        b"\"required\"" | b"\"any\"" => Choice::Any,
        _ => return Err(wrong(name, "`auto`, `none` or `required`", value)),
    })
}

fn function_call(body: &[u8], value: Span) -> Result<Choice<'_>, Error> {
    match inside(body, value, "name") {
        Some(name) => Ok(Choice::Tool(string("function_call.name", name)?)),
        None => choice_word("function_call", value.of(body)),
    }
}

fn effort(name: &str, value: &[u8]) -> Result<Effort, Error> {
    let level = text::string(value).and_then(|word| Effort::from_word(&word));
    level.ok_or_else(|| wrong(name, "none, minimal, low, medium, high, xhigh or max", value))
}

fn set_effort(conversation: &mut Conversation<'_>, level: Effort) {
    conversation.reasoning.switch = if level == Effort::None { Switch::Off } else { Switch::On };
    conversation.reasoning.effort = Some(level);
}

/// `reasoning: {effort, max_tokens, enabled, exclude}`.
fn reasoning(body: &[u8], value: Span, conversation: &mut Conversation<'_>) -> Result<(), Error> {
    if let Some(level) = inside(body, value, "effort") {
        set_effort(conversation, effort("reasoning.effort", level)?);
    }
    if let Some(tokens) = inside(body, value, "max_tokens") {
        budget("reasoning.max_tokens", tokens, conversation)?;
    }
    if let Some(enabled) = inside(body, value, "enabled") {
        let on = boolean("reasoning.enabled", enabled)?;
        conversation.reasoning.switch = if on { Switch::On } else { Switch::Off };
    }
    if let Some(exclude) = inside(body, value, "exclude") {
        conversation.reasoning.shown = Some(!boolean("reasoning.exclude", exclude)?);
    }
    Ok(())
}

/// `thinking: {type, budget_tokens}`.
fn thinking(body: &[u8], value: Span, conversation: &mut Conversation<'_>) -> Result<(), Error> {
    conversation.reasoning.switch = match inside(body, value, "type") {
        Some(b"\"enabled\"" | b"\"adaptive\"") => Switch::On,
        Some(b"\"disabled\"") => Switch::Off,
        other => return Err(wrong("thinking.type", "`enabled` or `disabled`", other.unwrap_or_default())),
    };
    match inside(body, value, "budget_tokens") {
        Some(tokens) => budget("thinking.budget_tokens", tokens, conversation),
        None => Ok(()),
    }
}

fn budget(name: &str, tokens: &[u8], conversation: &mut Conversation<'_>) -> Result<(), Error> {
    let tokens = text::count(tokens).ok_or_else(|| wrong(name, "an integer >= 0", tokens))?;
    conversation.reasoning.switch = if tokens == 0 { Switch::Off } else { Switch::On };
    conversation.reasoning.budget = Some(tokens);
    Ok(())
}

fn format(body: &[u8], value: Span) -> Result<Format<'_>, Error> {
    Ok(match inside(body, value, "type") {
        Some(b"\"text\"") => Format::Text,
        Some(b"\"json_object\"") => Format::Json,
        Some(b"\"json_schema\"") => schema(body, value)?,
        other => {
            let name = "response_format.type";
            return Err(wrong(name, "`text`, `json_object` or `json_schema`", other.unwrap_or_default()));
        }
    })
}

fn schema(body: &[u8], format: Span) -> Result<Format<'_>, Error> {
    let object = member_of(body, format, "json_schema").map(|member| member.value);
    let part = |name| object.and_then(|object| inside(body, object, name));
    let Some(schema) = part("schema") else { return Ok(Format::Json) };
    if !schema.starts_with(b"{") {
        return Err(wrong("response_format.json_schema.schema", "an object", schema));
    }
    let name = part("name").map(|name| string("response_format.json_schema.name", name)).transpose()?;
    // Absent is `false` in this dialect.
    let strict = part("strict").and_then(text::boolean).unwrap_or(false);
    Ok(Format::Schema { name, schema, strict: Some(strict) })
}

fn tier(value: &[u8]) -> Option<Tier> {
    Some(match value {
        b"\"auto\"" => Tier::Auto,
        b"\"default\"" | b"\"standard\"" => Tier::Standard,
        b"\"flex\"" => Tier::Flex,
        b"\"priority\"" => Tier::Priority,
        _ => return None,
    })
}
