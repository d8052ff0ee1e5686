//! What the providers of Chat Completions refuse, each in its own words (`wire.md` sections 2.1, 8, 12, 15).
//!
//! Checks run in one order, and the first refusal is the answer. The words are [`super::words`]', the columns
//! [`super::flavour`]'s. Answers nothing.

use std::collections::HashSet;

use serde_json::Value;

use super::flavour::{Carrier, Flavour, Ids, Order, Unknown};
use super::models::{self, Model, Thinks};
use super::read;
use super::refusal::{Refusal, guard};
use super::words::Wrong;
use crate::mock::Request;
use crate::mock::reply::{is_signed, tokens_of};

type Checked = Result<(), Box<Refusal>>;

/// Whether a key came where these providers look for it.
pub fn key(request: &Request<'_>, flavour: &Flavour, keyless: bool) -> Checked {
    let bearer = request.header("authorization").is_some_and(|value| value.starts_with("Bearer "));
    guard(bearer || keyless || !flavour.key, || Refusal::says(flavour, Wrong::Key, "", &[]))
}

/// Checks a body; gives its model.
pub fn check(body: &Value, flavour: &Flavour) -> Result<&'static Model, Box<Refusal>> {
    let name = body["model"].as_str().unwrap_or_default();
    let model = models::find(name)
        .ok_or_else(|| Refusal::says(flavour, Wrong::Model, "model", &[("model", &name)]))?;
    fields(body, flavour)?;
    settings(body, flavour, model, name)?;
    tools(body, flavour, model)?;
    format(body, flavour)?;
    conversation(body, flavour, model, name)?;
    window(body, flavour, model)?;
    Ok(model)
}

fn fields(body: &Value, flavour: &Flavour) -> Checked {
    for field in body.as_object().into_iter().flatten().map(|(name, _)| name.as_str()) {
        let strange = !COMMON.contains(&field) && !flavour.more.contains(&field);
        let refused = flavour.less.contains(&field) || (strange && flavour.unknown == Unknown::Refused);
        guard(!refused, || Refusal::says(flavour, Wrong::Field, field, &[("field", &field)]))?;
    }
    for field in ["user", "safety_identifier", "prompt_cache_key"] {
        let length = body[field].as_str().map_or(0, |text| text.chars().count());
        guard(length <= 64, || {
            let message = format!(
                "Invalid '{field}': string too long. Expected a string with maximum length 64, but got a string with \
                 length {length} instead."
            );
            Refusal::invalid(field, Some("string_above_max_length"), message)
        })?;
    }
    guard(body["stream_options"].is_null() || body["stream"] == true, || {
        Refusal::says(flavour, Wrong::StreamOptions, "stream_options", &[])
    })
}

fn settings(body: &Value, flavour: &Flavour, model: &Model, name: &str) -> Checked {
    let set = |field: &str| !body[field].is_null();
    if flavour.by_model && model.reasons {
        guard(!set("max_tokens"), || {
            let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
            Refusal::invalid("max_tokens", Some("unsupported_parameter"), message)
        })?;
        for field in ["temperature", "top_p"] {
            let changes = body[field].as_f64().is_some_and(|value| (value - 1.0).abs() > f64::EPSILON);
            guard(!changes, || {
                let message = format!(
                    "Unsupported value: '{field}' does not support {} with this model. Only the default (1) value is supported.",
                    body[field]
                );
                Refusal::invalid(field, Some("unsupported_value"), message)
            })?;
        }
    }
    guard(!(flavour.by_model && model.unstoppable && set("stop")), || {
        Refusal::says(flavour, Wrong::Setting, "stop", &[("field", &"stop")])
    })?;
    let stops = body["stop"].as_array().map_or(0, Vec::len);
    guard(stops <= flavour.stops, || {
        let message = format!(
            "Invalid 'stop': array too long. Expected an array with maximum length {}, but got an array with length \
             {stops} instead.",
            flavour.stops
        );
        Refusal::invalid("stop", Some("array_above_max_length"), message)
    })?;
    for field in ["max_tokens", "max_completion_tokens"] {
        guard(!set(field) || body[field].is_u64(), || {
            let message =
                format!("Invalid type for '{field}': expected an integer, but got something else instead.");
            Refusal::invalid(field, Some("invalid_type"), message)
        })?;
        let given = body[field].as_u64().unwrap_or(0);
        guard(given <= model.output, || {
            let values: [(&str, &dyn std::fmt::Display); 4] =
                [("field", &field), ("limit", &model.output), ("given", &given), ("model", &name)];
            Refusal::says(flavour, Wrong::Limit, field, &values)
        })?;
    }
    effort(body, flavour, model)
}

fn effort(body: &Value, flavour: &Flavour, model: &Model) -> Checked {
    let Some(effort) = body["reasoning_effort"].as_str() else { return Ok(()) };
    let levels = if model.efforts.is_empty() { flavour.efforts } else { model.efforts };
    let thinks = model.thinks != Thinks::Never || !flavour.by_model;
    guard(thinks, || {
        let message = "Unrecognized request argument supplied: reasoning_effort";
        Refusal::invalid("reasoning_effort", Some("unsupported_parameter"), message)
    })?;
    guard(levels.is_empty() || levels.contains(&effort), || {
        let values: [(&str, &dyn std::fmt::Display); 2] =
            [("effort", &effort), ("levels", &levels.join(", "))];
        Refusal::says(flavour, Wrong::Effort, "reasoning_effort", &values)
    })
}

fn tools(body: &Value, flavour: &Flavour, model: &Model) -> Checked {
    let list = body["tools"].as_array();
    guard(list.is_none_or(|list| !list.is_empty()), || Refusal::says(flavour, Wrong::NoTools, "tools", &[]))?;
    guard(list.is_none() || flavour.tools, || Refusal::says(flavour, Wrong::Tools, "tools", &[]))?;
    for field in ["tool_choice", "parallel_tool_calls"] {
        guard(list.is_some() || body[field].is_null() || body[field] == "none", || {
            let message =
                format!("Invalid value for '{field}': '{field}' is only allowed when 'tools' are specified.");
            Refusal::invalid(field, None, message)
        })?;
    }
    let mut names = HashSet::new();
    for (at, tool) in list.into_iter().flatten().enumerate() {
        let name = tool["function"]["name"].as_str().unwrap_or_default();
        names.insert(name);
        guard(tool["type"] == "function", || {
            let message =
                format!("Invalid value: '{}'. Supported values are: 'function' and 'custom'.", tool["type"]);
            Refusal::invalid(&format!("tools[{at}].type"), Some("invalid_value"), message)
        })?;
        guard(is_name(name), || {
            let place = format!("tools[{at}].function.name");
            let message = format!(
                "Invalid '{place}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
            );
            Refusal::invalid(&place, Some("invalid_value"), message)
        })?;
    }
    let forced = body["tool_choice"]["function"]["name"].as_str();
    guard(forced.is_none_or(|name| names.contains(name)), || {
        let message = "Tool choice names a function that is not in 'tools'.";
        Refusal::invalid("tool_choice", None, message)
    })?;
    let must_call = forced.is_some() || matches!(body["tool_choice"].as_str(), Some("required" | "any"));
    let thinking = flavour.name == "deepseek" && read::thinks(body, flavour, model);
    guard(!(must_call && thinking), || {
        Refusal::invalid(
            "tool_choice",
            Some("invalid_request_error"),
            "Thinking mode does not support this tool_choice",
        )
    })
}

fn format(body: &Value, flavour: &Flavour) -> Checked {
    let format = &body["response_format"];
    let schema = format["type"] == "json_schema";
    guard(!schema || flavour.schemas, || Refusal::says(flavour, Wrong::Format, "response_format", &[]))?;
    let name = format["json_schema"]["name"].as_str().unwrap_or_default();
    guard(!schema || is_name(name), || {
        let place = "response_format.json_schema.name";
        Refusal::invalid(place, None, format!("Missing required parameter: '{place}'."))
    })
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The rules of the conversation.
fn conversation(body: &Value, flavour: &Flavour, model: &Model, name: &str) -> Checked {
    let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
    guard(!messages.is_empty(), || {
        let message = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.";
        Refusal::invalid("messages", Some("empty_array"), message)
    })?;
    let mut open: Vec<&str> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if role == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            let known = open.iter().position(|call| *call == id);
            let Some(known) = known else {
                return Err(Box::new(Refusal::says(flavour, Wrong::Orphan, "messages", &[])));
            };
            open.remove(known);
            guard(only_text(&message["content"]), || {
                let message = "Invalid 'messages': tool messages may hold text only.";
                Refusal::invalid(&format!("messages[{at}].content"), Some("invalid_value"), message)
            })?;
            continue;
        }
        guard(open.is_empty(), || {
            Refusal::says(flavour, Wrong::Unanswered, "messages", &[("ids", &open.join(", "))])
        })?;
        of_role(body, flavour, model, name, (at, role, message))?;
        open =
            message["tool_calls"].as_array().into_iter().flatten().filter_map(|c| c["id"].as_str()).collect();
    }
    guard(open.is_empty(), || {
        Refusal::says(flavour, Wrong::Unanswered, "messages", &[("ids", &open.join(", "))])
    })?;
    order(messages, flavour)
}

fn of_role(
    body: &Value,
    flavour: &Flavour,
    model: &Model,
    name: &str,
    (at, role, message): (usize, &str, &Value),
) -> Checked {
    let known = matches!(role, "system" | "user" | "assistant") || (role == "developer" && flavour.developer);
    guard(known, || {
        let message = format!(
            "Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'."
        );
        Refusal::invalid(&format!("messages[{at}].role"), Some("invalid_value"), message)
    })?;
    let shown = message["content"].as_array().into_iter().flatten().any(|part| part["type"] == "image_url");
    guard(flavour.images || !shown, || {
        let values: [(&str, &dyn std::fmt::Display); 2] = [("index", &at), ("kind", &"image_url")];
        Refusal::says(flavour, Wrong::Image, "messages", &values)
    })?;
    if flavour.unknown == Unknown::Refused {
        let fields = message.as_object().into_iter().flatten().map(|(field, _)| field.as_str());
        for field in fields {
            let fine = MESSAGE.contains(&field) || flavour.history.contains(&field);
            let fine = fine && !(field == "name" && flavour.name == "groq");
            guard(fine, || {
                let values: [(&str, &dyn std::fmt::Display); 4] =
                    [("field", &field), ("index", &at), ("role", &role), ("name", &field)];
                Refusal::says(flavour, Wrong::Field, &format!("messages.{at}.{field}"), &values)
            })?;
        }
    }
    let calls = message["tool_calls"].as_array().map_or(&[][..], Vec::as_slice);
    for call in calls {
        id(call["id"].as_str().unwrap_or_default(), flavour, at)?;
        let args = call["function"]["arguments"].as_str();
        let parsed = args.and_then(|args| serde_json::from_str::<Value>(args).ok());
        guard(parsed.is_some_and(|args| args.is_object()), || {
            let message = "Invalid 'arguments': expected a JSON object in a string.";
            Refusal::invalid(&format!("messages[{at}].tool_calls"), Some("invalid_value"), message)
        })?;
    }
    let demanded = flavour.name == "deepseek" && read::thinks(body, flavour, model);
    guard(!demanded || calls.is_empty() || message["reasoning_content"].is_string(), || {
        let message = "The `reasoning_content` in the thinking mode must be passed back to the API.";
        Refusal::invalid("", Some("invalid_request_error"), message)
    })?;
    details(message, flavour, name)
}

/// Signed reasoning comes back as it was given, at the routers that pass it on to Anthropic.
fn details(message: &Value, flavour: &Flavour, name: &str) -> Checked {
    if flavour.carrier != Carrier::Details || models::vendor(name) != "anthropic" {
        return Ok(());
    }
    let details = message["reasoning_details"].as_array().into_iter().flatten();
    for detail in details.filter(|detail| detail["type"] == "reasoning.text") {
        let text = detail["text"].as_str().unwrap_or_default();
        let signed = detail["signature"].as_str().is_some_and(|signature| is_signed(text, signature));
        guard(signed, || {
            let raw = "messages.1.content.0: Invalid `signature` in `thinking` block";
            let refusal = Refusal::invalid("", None, "Provider returned error");
            Refusal { raw: Some(raw.to_owned()), ..refusal }
        })?;
    }
    Ok(())
}

fn id(id: &str, flavour: &Flavour, at: usize) -> Checked {
    let fits = match flavour.ids {
        Ids::Any => !id.is_empty(),
        Ids::AtMost(most) => (1..=most).contains(&id.len()),
        Ids::Nine => id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()),
    };
    guard(fits, || {
        let values: [(&str, &dyn std::fmt::Display); 3] =
            [("id", &id), ("length", &id.len()), ("index", &at)];
        Refusal::says(flavour, Wrong::Id, &format!("messages[{at}].tool_calls[0].id"), &values)
    })
}

fn only_text(content: &Value) -> bool {
    match content {
        Value::String(_) => true,
        Value::Array(parts) => parts.iter().all(|part| part["type"] == "text"),
        _ => false,
    }
}

fn order(messages: &[Value], flavour: &Flavour) -> Checked {
    let talk = messages.iter().filter(|message| message["role"] != "system");
    let roles: Vec<&str> = talk.map(|message| message["role"].as_str().unwrap_or_default()).collect();
    let last = roles.last().copied().unwrap_or_default();
    let refused = match flavour.order {
        Order::Free => false,
        Order::NotLast => last == "assistant",
        Order::Alternate => last != "user" || roles.windows(2).any(|pair| pair[0] == pair[1]),
    };
    guard(!refused, || Refusal::says(flavour, Wrong::Order, "messages", &[("role", &last)]))
}

fn window(body: &Value, flavour: &Flavour, model: &Model) -> Checked {
    let input = tokens_of(&body["messages"]) + tokens_of(&body["tools"]);
    let asked = ["max_completion_tokens", "max_tokens"].iter().find_map(|name| body[*name].as_u64());
    let total = input + asked.unwrap_or(0);
    guard(input <= model.context, || {
        let values: [(&str, &dyn std::fmt::Display); 5] = [
            ("context", &model.context),
            ("input", &input),
            ("output", &asked.unwrap_or(0)),
            ("total", &total),
            ("over", &input.saturating_sub(model.context)),
        ];
        Refusal::says(flavour, Wrong::Window, "messages", &values)
    })
}

/// Fields that all of them take, if only by passing them over.
const COMMON: &[&str] = &[
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "n",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "verbosity",
    "service_tier",
    "store",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "prediction",
    "modalities",
    "audio",
    "web_search_options",
    "moderation",
    "functions",
    "function_call",
];

/// Fields of a message.
const MESSAGE: &[&str] =
    &["role", "content", "name", "tool_calls", "tool_call_id", "refusal", "audio", "function_call"];
