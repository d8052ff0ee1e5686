//! Laws of requests.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use memchr::memmem;
use pointsman::json::{self, Span};
use pointsman::wire::ir::Conversation;
use pointsman::wire::traits::{CHAT, MESSAGES, Traits};
use pointsman::wire::translate::Target;
use pointsman::wire::{Dialect, Loss, anthropic, chat};
use serde_json::Value;

use crate::answer::{all, lossy, same};
use crate::corpus;
use crate::machines::told;
use crate::twin::Outline;

static OPENAI: Traits = CHAT;
static ANTHROPIC: Traits = MESSAGES;

#[test]
fn a_request_is_the_same_after_writing_and_reading_it_again() {
    law(|name, dialect, body| {
        let once = written(dialect, body, dialect)?;
        same(name, &lossy(&written(dialect, body, dialect)?), &lossy(&once))?;
        let (found, expected) = (outline(dialect, &once), outline(dialect, body));
        if expected.loose {
            covers(name, &found, &expected)
        } else {
            same(name, &found.items, &expected.items)
        }
    });
}

#[test]
fn a_request_says_the_same_in_the_other_dialect() {
    law(|name, dialect, body| {
        let other = other(dialect);
        let (found, expected) = (outline(other, &written(dialect, body, other)?), outline(dialect, body));
        same(&format!("{name}: media"), &found.media, &expected.media)?;
        if expected.loose {
            covers(name, &found, &expected)
        } else {
            same(name, &found.items, &expected.items)
        }
    });
}

#[test]
fn a_request_says_the_same_after_going_there_and_back() {
    law(|name, dialect, body| {
        let other = other(dialect);
        let back = written(other, &written(dialect, body, other)?, dialect)?;
        let (found, expected) = (outline(dialect, &back), outline(dialect, body));
        if expected.loose {
            covers(name, &found, &expected)
        } else {
            same(name, &found.items, &expected.items)
        }
    });
}

#[test]
fn schemas_and_arguments_cross_byte_for_byte() {
    law(|name, dialect, body| {
        let out = written(dialect, body, other(dialect))?;
        for schema in schemas(dialect, body) {
            let found = memmem::find(&out, &schema).is_some();
            same(&format!("{name}: the schema {}", lossy(&schema)), &found, &true)?;
        }
        for args in arguments(dialect, body) {
            // In Chat they stand inside of a string.
            let expected = match dialect {
                Dialect::Messages => json::text::quote(&lossy(&args)),
                Dialect::Chat => args.clone(),
            };
            let found = memmem::find(&out, &expected).is_some();
            same(&format!("{name}: the arguments {}", lossy(&args)), &found, &true)?;
        }
        Ok(())
    });
}

/// What a request became does not depend on what follows it: prompt caches are found by their front.
#[test]
fn a_longer_conversation_begins_with_the_shorter_one() {
    law(|name, dialect, body| {
        let whole: Value = serde_json::from_slice(body).unwrap();
        let messages = whole["messages"].as_array().unwrap();
        for cut in (1..messages.len()).filter(|cut| is_turn(&messages[*cut - 1], &messages[*cut])) {
            let mut shorter = whole.clone();
            shorter["messages"].as_array_mut().unwrap().truncate(cut);
            let to = other(dialect);
            let long = written(dialect, whole.to_string().as_bytes(), to)?;
            let short = written(dialect, shorter.to_string().as_bytes(), to)?;
            let (long, short) = (said(&long), said(&short));
            for (at, (long, short)) in long.iter().zip(&short).enumerate() {
                // Cache marks move to the end as the conversation grows, and are the client's own.
                same(&format!("{name} cut at {cut}, message {at}"), &unmarked(long), &unmarked(short))?;
            }
        }
        Ok(())
    });
}

/// Whether a client may have sent the conversation as far as `last`: the next turn is the model's.
fn is_turn(last: &Value, next: &Value) -> bool {
    last["role"] != "assistant" && next["role"] == "assistant"
}

fn said(body: &[u8]) -> Vec<Value> {
    let body: Value = serde_json::from_slice(body).unwrap();
    body["messages"].as_array().unwrap().clone()
}

fn unmarked(message: &Value) -> Value {
    let mut message = message.clone();
    for part in message["content"].as_array_mut().into_iter().flatten() {
        part.as_object_mut().unwrap().remove("cache_control");
    }
    message
}

/// Runs a law on every request of both dialects that the gateway would take.
fn law(law: impl Fn(&str, Dialect, &[u8]) -> Result<(), String>) {
    let messages =
        corpus::messages_requests().into_iter().map(|(name, body)| (name, Dialect::Messages, body));
    let chat = corpus::chat_requests().into_iter().map(|(name, body)| (name, Dialect::Chat, body));
    let runs = messages.chain(chat).filter(|(_, dialect, body)| is_taken(*dialect, body));
    let results: Vec<_> = runs
        .map(|(name, dialect, body)| {
            catch_unwind(AssertUnwindSafe(|| law(&name, dialect, &body)))
                .unwrap_or_else(|panic| Err(told(&*panic)))
                .or_else(
                    |wrong| {
                        if REFUSED.iter().any(|known| wrong.contains(known)) { Ok(()) } else { Err(wrong) }
                    },
                )
                .map_err(|wrong| format!("{name}: {wrong}"))
        })
        .collect();
    assert!(results.len() > 200, "{}", results.len());
    all(results);
}

/// What no other provider could do, or the translation never does, is refused, in words of these.
const REFUSED: [&str; 5] = [
    "n: expected 1",
    "was handed to another provider",
    "is a tool that the provider would have to run itself",
    "expected an object, got a boolean",
    "expected a message of the user at the least, got instructions only",
];

/// Some recorded bodies are no requests of the dialect, on purpose.
fn is_taken(dialect: Dialect, body: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return false };
    let Some(messages) = value["messages"].as_array().filter(|messages| !messages.is_empty()) else {
        return false;
    };
    match dialect {
        Dialect::Messages => value["model"].is_string() && messages.iter().all(Value::is_object),
        Dialect::Chat => value["model"].is_string() && messages.iter().any(is_said),
    }
}

/// Whether the user says something in a form that is known: what is left of a request without would be none.
fn is_said(message: &Value) -> bool {
    let is_text = |part: &Value| part["type"] == "text";
    let content = &message["content"];
    message["role"] == "user"
        && (content.is_string() || content.as_array().is_some_and(|all| all.iter().any(is_text)))
}

/// A request read as one dialect and written as one.
fn written(from: Dialect, body: &[u8], to: Dialect) -> Result<Vec<u8>, String> {
    let ask;
    let chat_ask;
    let conversation = match from {
        Dialect::Messages => {
            ask = anthropic::Ask::read(body, anthropic::Call::Messages)
                .or_else(|_| anthropic::Ask::read(body, anthropic::Call::CountTokens))
                .map_err(|error| format!("{error}"))?;
            anthropic::request::read::read(&ask)
        }
        Dialect::Chat => {
            chat_ask = chat::Ask::read(body, false).map_err(|error| format!("{error}"))?;
            chat::request::read::read(&chat_ask)
        }
    };
    write(from, &conversation.map_err(|error| format!("{error}"))?, to)
}

fn write(from: Dialect, conversation: &Conversation<'_>, to: Dialect) -> Result<Vec<u8>, String> {
    let mut loss = Loss::default();
    let raw = conversation.tools.unwrap_or(b"[]");
    let tools = match from {
        Dialect::Messages => anthropic::request::tools::read(raw, &mut loss),
        Dialect::Chat => chat::request::tools::read(raw, &mut loss),
    };
    let tools = tools.map_err(|error| format!("{error}"))?;
    let written = match to {
        Dialect::Messages => {
            let target = target("claude-sonnet-4-5", &ANTHROPIC);
            let tools = Arc::new(anthropic::request::tools::write(&tools, target.traits, target.model));
            anthropic::request::write::write(conversation, &tools, &target)
        }
        Dialect::Chat => {
            let target = target("gpt-4o", &OPENAI);
            let tools = Arc::new(chat::request::tools::write(&tools, target.traits, target.model));
            chat::request::write::write(conversation, &tools, &target)
        }
    };
    let body = written.map_err(|error| format!("{error}"))?.pieces().collect::<Vec<_>>().concat();
    serde_json::from_slice::<Value>(&body).map_err(|wrong| format!("{wrong} in {}", lossy(&body)))?;
    Ok(body)
}

fn target<'a>(model: &'a str, traits: &'static Traits) -> Target<'a> {
    Target { model, traits, limit: None, repairs: 0, cut_thinking: false, context_1m: false }
}

fn outline(dialect: Dialect, body: &[u8]) -> Outline {
    let body: Value = serde_json::from_slice(body).unwrap();
    match dialect {
        Dialect::Messages => Outline::messages(&body),
        Dialect::Chat => Outline::chat(&body),
    }
}

fn covers(name: &str, found: &Outline, expected: &Outline) -> Result<(), String> {
    if found.covers(expected) { Ok(()) } else { same(name, &found.items, &expected.items) }
}

fn other(dialect: Dialect) -> Dialect {
    match dialect {
        Dialect::Messages => Dialect::Chat,
        Dialect::Chat => Dialect::Messages,
    }
}

/// The schemas of the tools that a client runs, as they stand.
fn schemas(dialect: Dialect, body: &[u8]) -> Vec<Vec<u8>> {
    let Some(tools) = json::member_of(body, Span::root(body), "tools") else { return Vec::new() };
    let tools = json::elements(body, tools.value).map_while(Result::ok);
    let schema = |tool: Span| match dialect {
        Dialect::Messages => json::member_of(body, tool, "input_schema"),
        Dialect::Chat => json::member_of(body, json::member_of(body, tool, "function")?.value, "parameters"),
    };
    let found = tools.filter_map(|tool| Some(schema(tool)?.value.of(body).to_vec()));
    // What is no object schema must be made one.
    found.filter(|schema| serde_json::from_slice::<Value>(schema).unwrap()["type"] == "object").collect()
}

/// The arguments of all calls that parse as objects, as they stand.
fn arguments(dialect: Dialect, body: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let Some(messages) = json::member_of(body, Span::root(body), "messages") else { return found };
    let list = |object: Span, name: &str| {
        let member = json::member_of(body, object, name);
        let all =
            member.map(|member| json::elements(body, member.value).map_while(Result::ok).collect::<Vec<_>>());
        all.unwrap_or_default()
    };
    for message in json::elements(body, messages.value).map_while(Result::ok) {
        let args: Vec<Vec<u8>> = match dialect {
            Dialect::Messages => list(message, "content")
                .into_iter()
                .filter(|block| {
                    json::member_of(body, *block, "type")
                        .is_some_and(|kind| kind.value.of(body) == b"\"tool_use\"")
                })
                .filter_map(|block| Some(json::member_of(body, block, "input")?.value.of(body).to_vec()))
                .collect(),
            Dialect::Chat => list(message, "tool_calls")
                .into_iter()
                .filter_map(|call| {
                    let function = json::member_of(body, call, "function")?;
                    let args = json::member_of(body, function.value, "arguments")?;
                    Some(json::text::string(args.value.of(body))?.into_owned().into_bytes())
                })
                .collect(),
        };
        found.extend(
            args.into_iter()
                .filter(|args| serde_json::from_slice::<Value>(args).is_ok_and(|args| args.is_object())),
        );
    }
    found
}
