//! The rules of a Chat conversation: what a message may hold, which result answers which call, who has the last word.
//!
//! Wordings are `OpenAI`'s unless a flavour has its own. Knows nothing of tools' schemas or of the answer.

use std::collections::HashSet;
use std::fmt::Display;

use serde_json::Value;

use super::flavour::{Flavour, Ids, Order};
use super::models::{self, Model};
use super::offers::known_fields;
use super::refusal::{Refusal, guard};
use super::strict::{self, empty};
use super::words::Wrong;
use crate::mock::reply;

/// Checks `messages` of a body whose other fields are in order.
pub fn check(body: &Value, flavour: &Flavour, model: &Model) -> Result<(), Refusal> {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (at, message) in messages.iter().enumerate() {
        role(at, message, flavour)?;
        fields(at, message, flavour)?;
        content(at, message, flavour)?;
        calls(at, message, flavour)?;
        thinking(at, message, body, flavour, model)?;
    }
    pairs(messages, flavour)?;
    order(messages, flavour)
}

fn role_of(message: &Value) -> &str {
    message["role"].as_str().unwrap_or_default()
}

fn role(at: usize, message: &Value, flavour: &Flavour) -> Result<(), Refusal> {
    let role = role_of(message);
    let known = match role {
        "system" | "user" | "assistant" | "tool" => true,
        "developer" => flavour.developer,
        _ => false,
    };
    guard(known, || {
        let message = format!(
            "Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', and 'tool'."
        );
        Refusal::invalid(&format!("messages[{at}].role"), Some("invalid_value"), message)
    })
}

fn fields(at: usize, message: &Value, flavour: &Flavour) -> Result<(), Refusal> {
    let common: &[&str] = match role_of(message) {
        "assistant" => &["role", "content", "name", "refusal", "audio", "tool_calls", "function_call"],
        "tool" => &["role", "content", "tool_call_id", "name"],
        _ => &["role", "content", "name"],
    };
    let takes_name = !matches!(flavour.name, "groq" | "mistral") || role_of(message) == "tool";
    let mut known: Vec<&str> =
        common.iter().copied().filter(|field| *field != "name" || takes_name).collect();
    if role_of(message) == "assistant" {
        known.extend(flavour.history);
    }
    known_fields(message, &known, &format!("messages[{at}]"), flavour)
}

fn content(at: usize, message: &Value, flavour: &Flavour) -> Result<(), Refusal> {
    let (role, content) = (role_of(message), &message["content"]);
    let parts = match content {
        Value::String(_) => return Ok(()),
        Value::Array(parts) => parts,
        _ => {
            let excused = role == "assistant"
                && ["tool_calls", "refusal", "function_call", "audio"].iter().any(|f| !message[*f].is_null());
            return guard(content.is_null() && excused, || {
                let text = "Invalid value for 'content': expected a string, got null.";
                Refusal::invalid(&format!("messages.[{at}].content"), None, text)
            });
        }
    };
    let place = format!("messages[{at}].content");
    guard(!parts.is_empty(), || empty(&place))?;
    parts.iter().enumerate().try_for_each(|(n, part)| one_part(at, n, part, role, flavour))
}

fn one_part(at: usize, n: usize, part: &Value, role: &str, flavour: &Flavour) -> Result<(), Refusal> {
    let place = format!("messages[{at}].content[{n}]");
    let kind = part["type"].as_str().unwrap_or_default();
    let media = matches!(kind, "image_url" | "input_audio" | "file" | "document_url");
    let values: [(&str, &dyn Display); 4] =
        [("field", &format!("messages[{at}]")), ("index", &at), ("kind", &kind), ("role", &role)];
    guard(!media || (role == "user" && flavour.images), || {
        Refusal::says(flavour, Wrong::Image, &format!("messages[{at}]"), &values)
    })?;
    let known: &[&str] = match kind {
        "text" => &["type", "text", "prompt_cache_breakpoint"],
        "image_url" => &["type", "image_url", "prompt_cache_breakpoint"],
        "input_audio" => &["type", "input_audio", "prompt_cache_breakpoint"],
        "file" => &["type", "file", "prompt_cache_breakpoint"],
        "refusal" if role == "assistant" => &["type", "refusal"],
        "thinking" if role == "assistant" && flavour.name == "mistral" => {
            &["type", "thinking", "closed", "signature"]
        }
        "document_url" if flavour.name == "mistral" => &["type", "document_url", "document_name"],
        _ => {
            let message = format!(
                "Invalid value: '{kind}'. Supported values are: 'text', 'image_url', 'input_audio', 'refusal', 'audio', \
                 and 'file'."
            );
            return Err(Refusal::invalid(&format!("{place}.type"), Some("invalid_value"), message));
        }
    };
    guard(kind != "text" || part["text"].is_string(), || {
        let message = format!("Missing required parameter: '{place}.text'.");
        Refusal::invalid(&format!("{place}.text"), Some("missing_required_parameter"), message)
    })?;
    known_fields(part, known, &place, flavour)
}

fn calls(at: usize, message: &Value, flavour: &Flavour) -> Result<(), Refusal> {
    let Some(calls) = message["tool_calls"].as_array() else { return Ok(()) };
    // Mistral sends an empty list itself, and takes it back.
    guard(!calls.is_empty() || flavour.name == "mistral", || empty(&format!("messages[{at}].tool_calls")))?;
    for (n, call) in calls.iter().enumerate() {
        let place = format!("messages[{at}].tool_calls[{n}]");
        let function = &call["function"];
        let missing = [
            ("id", &call["id"]),
            ("function.name", &function["name"]),
            ("function.arguments", &function["arguments"]),
        ];
        if let Some((field, _)) = missing.iter().find(|(_, value)| !value.is_string()) {
            let message = format!("Missing required parameter: '{place}.{field}'.");
            return Err(Refusal::invalid(
                &format!("{place}.{field}"),
                Some("missing_required_parameter"),
                message,
            ));
        }
        let extra: &[&str] = if flavour.name == "gemini" { &["extra_content"] } else { &[] };
        known_fields(call, &[&["id", "type", "index", "function"], extra].concat(), &place, flavour)?;
        known_fields(function, &["name", "arguments"], &format!("{place}.function"), flavour)?;
        id(&format!("{place}.id"), call["id"].as_str().unwrap_or_default(), flavour)?;
        thought_signature(&call["extra_content"], flavour)?;
        // OpenAI takes any text here; the others put it into the model's own form.
        let arguments = function["arguments"].as_str().unwrap_or_default();
        let sound = flavour.name == "openai" || serde_json::from_str::<Value>(arguments).is_ok();
        guard(sound, || {
            let message =
                format!("Invalid '{place}.function.arguments': expected a JSON object in a string.");
            Refusal::invalid(&format!("{place}.function.arguments"), None, message)
        })?;
    }
    Ok(())
}

fn id(place: &str, id: &str, flavour: &Flavour) -> Result<(), Refusal> {
    let fits = match flavour.ids {
        // Google sends empty ones itself.
        Ids::Any => !id.is_empty() || flavour.name == "gemini",
        Ids::AtMost(most) => (1..=most).contains(&id.len()),
        Ids::Nine => id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric()),
    };
    let length = id.len();
    let values: [(&str, &dyn Display); 3] = [("field", &place), ("id", &id), ("length", &length)];
    guard(fits, || Refusal::says(flavour, Wrong::Id, place, &values))
}

/// Google's opaque state at a call comes back as it was, if it comes back.
fn thought_signature(extra: &Value, flavour: &Flavour) -> Result<(), Refusal> {
    let Some(signed) = extra["google"]["thought_signature"].as_str() else { return Ok(()) };
    guard(flavour.name != "gemini" || reply::is_signed("", signed), || {
        Refusal::invalid("", None, "Corrupted thought signature.")
    })
}

/// What a provider demands of the thinking in its history.
fn thinking(
    at: usize,
    message: &Value,
    body: &Value,
    flavour: &Flavour,
    model: &Model,
) -> Result<(), Refusal> {
    if role_of(message) != "assistant" {
        return Ok(());
    }
    let calls = message["tool_calls"].as_array().is_some_and(|calls| !calls.is_empty());
    let lacks = flavour.name == "deepseek"
        && calls
        && strict::thinks(body, model)
        && !message["reasoning_content"].is_string();
    guard(!lacks, || {
        let message = "The reasoning_content in the thinking mode must be passed back to the API.";
        Refusal::invalid("", Some("invalid_request_error"), message)
    })?;
    let anthropic = models::vendor(body["model"].as_str().unwrap_or_default()) == "anthropic";
    let held = !(flavour.name == "openrouter" && anthropic) || are_unchanged(&message["reasoning_details"]);
    guard(held, || {
        Refusal {
        raw: Some(format!(
            "{{\"type\":\"error\",\"error\":{{\"type\":\"invalid_request_error\",\"message\":\"messages.{at}.content.0: \
             Invalid `signature` in `thinking` block\"}}}}"
        ).into_boxed_str()),
        ..Refusal::invalid("", None, "Provider returned error")
    }
    })
}

/// Whether all details are the mock's own, pieces of one index put together as the real one does.
fn are_unchanged(details: &Value) -> bool {
    let details = details.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut at = 0;
    while at < details.len() {
        let same = |d: &&Value| d["index"] == details[at]["index"] && d["type"] == details[at]["type"];
        let run: Vec<&Value> = details[at..].iter().take_while(same).collect();
        let joined = |field: &str| run.iter().filter_map(|d| d[field].as_str()).collect::<String>();
        let good = match details[at]["type"].as_str() {
            Some("reasoning.text") => reply::is_signed(&joined("text"), &joined("signature")),
            Some("reasoning.encrypted") => reply::is_signed("", &joined("data")),
            Some("reasoning.summary") => true,
            _ => false,
        };
        if !good {
            return false;
        }
        at += run.len();
    }
    true
}

/// Every call is answered right behind it, in any order, and nothing else is.
fn pairs(messages: &[Value], flavour: &Flavour) -> Result<(), Refusal> {
    let mut open: Vec<&str> = Vec::new();
    let mut known: HashSet<&str> = HashSet::new();
    let unanswered = |open: &[&str], at: usize| {
        guard(open.is_empty(), || {
            let ids = open.join(", ");
            Refusal::says(flavour, Wrong::Unanswered, &format!("messages.[{at}].role"), &[("ids", &ids)])
        })
    };
    for (at, message) in messages.iter().enumerate() {
        if role_of(message) == "tool" {
            let before = at.checked_sub(1).map_or("system", |before| role_of(&messages[before]));
            guard(!known.is_empty(), || {
                Refusal::says(flavour, Wrong::Orphan, &format!("messages.[{at}].role"), &[("role", &before)])
            })?;
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            guard(known.contains(id), || {
                let text = format!(
                    "Invalid parameter: 'tool_call_id' of '{id}' not found in 'tool_calls' of previous message."
                );
                Refusal::invalid(&format!("messages.[{at}].tool_call_id"), None, text)
            })?;
            open.retain(|known| *known != id);
            continue;
        }
        unanswered(&open, at)?;
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        open = calls.filter_map(|call| call["id"].as_str()).collect();
        known = open.iter().copied().collect();
    }
    unanswered(&open, messages.len())
}

fn order(messages: &[Value], flavour: &Flavour) -> Result<(), Refusal> {
    let last = messages.last().map(role_of).unwrap_or_default();
    let refused = |role: &str| Refusal::says(flavour, Wrong::Order, "", &[("role", &role)]);
    match flavour.order {
        Order::Free => Ok(()),
        Order::NotLast => {
            let prefix = messages.last().is_some_and(|message| message["prefix"] == true);
            guard(last != "assistant" || prefix, || refused(last))
        }
        Order::Alternate => {
            let talk = messages.iter().skip_while(|message| role_of(message) == "system");
            let wrong = talk
                .enumerate()
                .find(|(n, message)| role_of(message) != if n % 2 == 0 { "user" } else { "assistant" });
            guard(wrong.is_none() && last == "user", || refused(last))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::strict::tests::{check, table};
    use super::*;

    const OPENAI: &str = "/openai/v1";
    const MISTRAL: &str = "/mistral/v1";

    fn user() -> Value {
        json!({"role": "user", "content": "hi"})
    }

    fn call(ids: &[&str]) -> Value {
        let calls = ids
            .iter()
            .map(|id| json!({"id": id, "type": "function", "function": {"name": "a", "arguments": "{}"}}));
        json!({"role": "assistant", "content": null, "tool_calls": calls.collect::<Vec<_>>()})
    }

    fn result(id: &str) -> Value {
        json!({"role": "tool", "tool_call_id": id, "content": "done"})
    }

    fn said(messages: &[Value]) -> Value {
        json!({"messages": messages})
    }

    #[test]
    fn every_call_is_answered_right_behind_it() {
        table(&[
            (OPENAI, said(&[user(), call(&["c1", "c2"]), result("c2"), result("c1")]), ""),
            (
                OPENAI,
                said(&[user(), call(&["c1", "c2"]), result("c1")]),
                "did not have response messages: c2",
            ),
            (
                OPENAI,
                said(&[user(), call(&["c1"]), user(), result("c1")]),
                "did not have response messages: c1",
            ),
            (OPENAI, said(&[user(), result("c1")]), "must be a response to a preceeding message"),
            (OPENAI, said(&[user(), call(&["c1"]), result("c2")]), "'tool_call_id' of 'c2' not found"),
            (
                OPENAI,
                said(&[user(), call(&[&"c".repeat(41)]), result("c")]),
                "maximum length 40, but got a string with length 41",
            ),
            ("/deepseek", said(&[user(), call(&["c1"])]), "insufficient tool messages following"),
            (
                MISTRAL,
                said(&[user(), call(&["call_1"]), result("call_1")]),
                "Tool call id was call_1 but must be",
            ),
            (MISTRAL, said(&[user(), call(&["abcdef123"]), result("abcdef123")]), ""),
            (MISTRAL, said(&[user(), call(&["abcdef123"]), result("abcdef123"), user()]), ""),
        ]);
    }

    #[test]
    fn arguments_are_json_but_at_openai() {
        let mut broken = call(&["c1"]);
        broken["tool_calls"][0]["function"]["arguments"] = json!("{\"a\":");
        table(&[
            (OPENAI, said(&[user(), broken.clone(), result("c1")]), ""),
            ("/groq/openai/v1", said(&[user(), broken, result("c1")]), "arguments': expected a JSON object"),
        ]);
    }

    #[test]
    fn content_is_what_the_role_may_say() {
        let image = json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]);
        let mut shown = result("c1");
        shown["content"] = image.clone();
        let marked = json!([{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]);
        table(&[
            (OPENAI, said(&[json!({"role": "user", "content": image})]), ""),
            (OPENAI, said(&[user(), call(&["c1"]), shown]), "only allowed for messages with role 'user'"),
            (
                "/deepseek",
                said(&[json!({"role": "user", "content": image})]),
                "messages[0]: unknown variant `image_url`, expected `text`",
            ),
            (
                OPENAI,
                said(&[json!({"role": "user", "content": marked})]),
                "Unknown parameter: 'messages[0].content[0].cache_control'.",
            ),
            ("/openrouter/api/v1", said(&[json!({"role": "user", "content": marked})]), ""),
            (OPENAI, said(&[json!({"role": "user", "content": null})]), "expected a string, got null"),
            (OPENAI, said(&[json!({"role": "clown", "content": ""})]), "Invalid value: 'clown'"),
            (OPENAI, said(&[json!({"role": "developer", "content": "x"}), user()]), ""),
            (
                MISTRAL,
                said(&[json!({"role": "developer", "content": "x"}), user()]),
                "Invalid value: 'developer'",
            ),
            (
                "/groq/openai/v1",
                said(&[json!({"role": "user", "content": "x", "name": "n"})]),
                "property 'messages[0].name' is unsupported",
            ),
            (
                OPENAI,
                said(&[
                    user(),
                    json!({"role": "assistant", "content": "x", "reasoning_content": "y"}),
                    user(),
                ]),
                "Unknown parameter: 'messages[1].reasoning_content'.",
            ),
        ]);
    }

    #[test]
    fn deepseek_demands_its_reasoning_back_and_keeps_to_text() {
        let with = |reasoning: Value| {
            let mut assistant = call(&["c1"]);
            if !reasoning.is_null() {
                assistant["reasoning_content"] = reasoning;
            }
            json!({"model": "deepseek-v4-flash", "messages": [user(), assistant, result("c1")]})
        };
        let demanded = "The reasoning_content in the thinking mode must be passed back to the API.";
        let mut off = with(Value::Null);
        off["thinking"] = json!({"type": "disabled"});
        table(&[
            ("/deepseek", with(Value::Null), demanded),
            ("/deepseek", with(json!("")), ""),
            ("/deepseek", with(json!("hmm")), ""),
            ("/deepseek", off, ""),
        ]);
    }

    #[test]
    fn the_last_word_is_not_always_free() {
        let assistant = json!({"role": "assistant", "content": "x"});
        let prefix = json!({"role": "assistant", "content": "x", "prefix": true});
        table(&[
            (MISTRAL, said(&[user(), assistant.clone()]), "Expected last role User or Tool"),
            (MISTRAL, said(&[user(), prefix]), ""),
            (OPENAI, said(&[user(), assistant.clone()]), ""),
            ("/perplexity", said(&[user(), user()]), "should alternate"),
            ("/perplexity", said(&[user(), assistant, user()]), ""),
        ]);
    }

    #[test]
    fn reasoning_details_of_anthropic_come_back_unchanged() {
        let signed = reply::signature("hmm, yes", 3);
        let sealed = reply::signature("", 4);
        let text = |text: &str, signature: Option<&str>| json!({"type": "reasoning.text", "text": text, "signature": signature, "index": 0});
        let encrypted = |data: &str| json!({"type": "reasoning.encrypted", "data": data, "index": 1});
        for (details, good) in [
            (json!([text("hmm, yes", Some(&signed))]), true),
            (json!([text("hmm, ", None), text("yes", None), text("", Some(&signed))]), true),
            (json!([text("hmm, yes", Some(&signed)), encrypted(&sealed)]), true),
            (json!([text("hmm, no", Some(&signed))]), false),
            (json!([text("hmm, yes", None)]), false),
            (json!([encrypted("abc")]), false),
            (json!([]), true),
        ] {
            for (model, good) in [("anthropic/claude-haiku-4.5", good), ("openai/gpt-5", true)] {
                let assistant = json!({"role": "assistant", "content": "x", "reasoning_details": details});
                let body = json!({"model": model, "messages": [user(), assistant, user()]});
                let refused = check("/openrouter/api/v1", &body).err();
                assert_eq!(refused.is_none(), good, "{model} {details}");
                assert!(refused.is_none_or(|r| r.raw.unwrap().contains("Invalid `signature`")));
            }
        }
    }
}
