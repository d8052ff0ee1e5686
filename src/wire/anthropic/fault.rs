//! Errors in the Anthropic dialect: what is one, which field of a request it refuses, and how our own are written
//! (wire.md 1.6, 12).
//!
//! Judges nothing: what an answer that is no success means for routing is [`crate::wire::fault`]'s, whatever dialect it
//! came in.

use std::borrow::Cow;

use super::repair::{Beta, Field};
use crate::error::{Class, Error, Failure, Kind, Length};
use crate::json::{Span, member_of, text};
use crate::wire::fault::Wording;

/// Whether a body is an error of the dialect as it stands.
pub fn is_native(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    let string =
        |object, name| member_of(body, object, name).and_then(|found| text::string(found.value.of(body)));
    let says = |object, name| string(object, name).is_some_and(|text| !text.is_empty());
    let top = Span::all(body);
    string(top, "type").is_some_and(|kind| kind == "error")
        && member_of(body, top, "error")
            .is_some_and(|error| says(error.value, "type") && says(error.value, "message"))
}

/// What is not taken, if one thing is named that can be left out.
pub fn field(wording: &Wording<'_>) -> Option<Field> {
    if let Some(field) = wording.phrase(PHRASES) {
        return Some(field);
    }
    if wording.says(&["anthropic-beta", "beta flag"]) {
        return Some(beta(wording));
    }
    wording.refused(at_path)
}

/// The beta that is refused; all of them where none or several are named.
fn beta(wording: &Wording<'_>) -> Field {
    let mut named = wording.quoted().filter(|word| word.contains("-20")).map(Beta::of);
    match named.next() {
        Some(first) if named.all(|other| other == first) => Field::Beta(first),
        _ => Field::Betas,
    }
}

/// The field at a path: `top_k`, `tools.0.custom.strict`, `messages[3].role`, `#/thinking`.
fn at_path(path: &str) -> Option<Field> {
    let mut steps = path.split(['.', '[', ']', '/', '#']).filter(|step| !step.is_empty() && *step != "body");
    let top = steps.next()?;
    let below: Vec<&str> = steps.collect();
    let has = |name: &str| below.contains(&name);
    match top {
        "tools" | "system" | "messages" if has("cache_control") => Some(mark(&below)),
        // A schema's own names are the client's.
        "tools" if has("input_schema") => None,
        "tools" => TOOL_FIELDS.iter().find(|(name, _)| has(name)).map(|(_, field)| *field),
        "messages" => match below.as_slice() {
            [_, "role"] => Some(Field::SystemRole),
            [_, "output_config", ..] => Some(Field::MessageConfig),
            _ => None,
        },
        "thinking" if has("display") => Some(Field::ThinkingDisplay),
        "thinking" if has("block_binding") => Some(Field::ThinkingBinding),
        "output_config" if has("effort") => Some(Field::Effort),
        "output_config" if has("format") => Some(Field::OutputFormat),
        "output_config" if has("task_budget") => Some(Field::TaskBudget),
        "cache_control" if below.is_empty() => Some(Field::AutoCache),
        "cache_control" => Some(mark(&below)),
        "anthropic_beta" | "betas" => Some(Field::Betas),
        plain => Field::top(plain),
    }
}

/// What is refused of a cache mark.
fn mark(steps: &[&str]) -> Field {
    match steps.last() {
        Some(&"scope") => Field::CacheScope,
        Some(&"ttl") => Field::CacheTtl,
        _ => Field::CacheMarks,
    }
}

/// The `error.type` of a refusal of our own (INTERFACE section 6).
pub fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::BadRequest
        | Kind::TooLong
        | Kind::Method(_)
        | Kind::Expectation
        | Kind::HeadTooLarge
        | Kind::Version => INVALID,
        Kind::Unauthorized | Kind::Expired => "authentication_error",
        Kind::Billing => "billing_error",
        Kind::Forbidden => "permission_error",
        Kind::NotFound => "not_found_error",
        Kind::Timeout => "timeout_error",
        Kind::TooLarge => "request_too_large",
        Kind::RateLimit => "rate_limit_error",
        Kind::NotOffered => "not_supported",
        Kind::Unavailable => "overloaded_error",
        Kind::Internal | Kind::BadGateway | Kind::OwnCredential | Kind::Loop => SERVER,
    }
}

/// The body of a refusal of our own.
pub fn body(error: &Error, request_id: &str) -> Vec<u8> {
    object(kind(error.kind), &error.message, request_id)
}

/// The body that tells in this dialect what an upstream said in another; `status` is what the client is told.
pub fn rewritten(status: u16, failure: &Failure, message: &str, request_id: &str) -> Vec<u8> {
    let message = match failure.class {
        Class::Overflow => Cow::Owned(too_long(message, failure.length)),
        _ => Cow::Borrowed(message),
    };
    object(kind_of(status), &message, request_id)
}

/// An error body as the event that tells the same inside a stream.
pub fn event_of(body: &[u8]) -> Vec<u8> {
    let mut out = b"event: error\n".to_vec();
    for line in body.split(|&b| b == b'\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line.trim_ascii_end());
        out.push(b'\n');
    }
    out.push(b'\n');
    out
}

/// The event that keeps a silent stream alive.
pub const PING: &[u8] = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";

/// The `error.type` for a status (wire.md section 12).
fn kind_of(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 | 410 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        400..500 => INVALID,
        _ => SERVER,
    }
}

fn object(kind: &str, message: &str, request_id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 128);
    out.extend_from_slice(br#"{"type":"error","error":{"type":"#);
    text::quote_into(&mut out, kind);
    out.extend_from_slice(br#","message":"#);
    text::quote_into(&mut out, message);
    out.extend_from_slice(br#"},"request_id":"#);
    text::quote_into(&mut out, request_id);
    out.push(b'}');
    out
}

/// Another vendor's words for an overflow in those that Claude Code compacts by (wire.md 9.1).
fn too_long(message: &str, length: Length) -> String {
    match length {
        Length { needed: Some(needed), limit: Some(limit) } => {
            format!("prompt is too long: {needed} tokens > {limit} maximum")
        }
        _ if message.to_ascii_lowercase().contains("prompt is too long") => message.to_owned(),
        _ => format!("prompt is too long: {message}"),
    }
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "api_error";

/// Messages that name what they are about in words. All parts must be there; the first line that fits counts.
const PHRASES: &[(&[&str], Field)] = &[
    // Names effort too, as what to use instead.
    (&["\"thinking.type", "not supported"], Field::Thinking),
    (&["effort", "not support"], Field::Effort),
    (&["effort parameter"], Field::Effort),
    (&["`temperature` and `top_p` cannot both"], Field::TopP),
    (&["fast mode", "not"], Field::Speed),
    (&["adaptive thinking", "not support"], Field::Thinking),
    (&["extended thinking", "not support"], Field::Thinking),
    (&["does not support thinking"], Field::Thinking),
    (&["thinking is not supported"], Field::Thinking),
    (&["clear_thinking_20251015", "requires"], Field::ContextManagement),
    (&["long context beta"], Field::Beta(Beta::CONTEXT_1M)),
    (&["structured outputs are not supported"], Field::OutputFormat),
    (&["does not support structured output"], Field::OutputFormat),
    (&["does not support this tool_choice"], Field::ToolChoice),
    (&["unexpected role", "system"], Field::SystemRole),
    (&["role", "system", "not support"], Field::SystemRole),
    (&[".role: input should be 'user' or 'assistant'"], Field::SystemRole),
];

const TOOL_FIELDS: &[(&str, Field)] = &[
    ("strict", Field::ToolStrict),
    ("defer_loading", Field::ToolDefer),
    ("eager_input_streaming", Field::ToolEager),
    ("input_examples", Field::ToolExamples),
    ("allowed_callers", Field::ToolCallers),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Stage;

    #[test]
    fn only_an_error_of_the_dialect_is_native() {
        let native = |body: &str| is_native(body.as_bytes());
        assert!(native(r#"{"error": {"message": "m", "type": "not_found_error"}, "type": "error"}"#));
        assert!(!native(r#"{"error":{"message":"m","type":"not_found_error"}}"#));
        assert!(!native(r#"{"type":"error","error":{"message":"m"}}"#));
        assert!(!native(r#"{"type":"error","error":{"type":"t","message":""}}"#));
        assert!(!native(r#"{"type":"error","error":"m"}"#));
        assert!(!native(r#"[{"type":"error","error":{"type":"t","message":"m"}}]"#));
        assert!(!native("gone"));
        assert!(!native(""));
    }

    #[test]
    fn our_own_errors_are_of_the_dialect() {
        let error = Error::new(Stage::Govern, Kind::Billing, "spend limit \"x\"\nreached");
        let body = body(&error, "req_7");
        let expected = r#"{"type":"error","error":{"type":"billing_error","message":"spend limit \"x\"\nreached"},"request_id":"req_7"}"#;
        assert_eq!(std::str::from_utf8(&body).unwrap(), expected);
        assert!(is_native(&body));
        let event = event_of(&body);
        let mut reader = crate::wire::anthropic::StreamReader::new();
        let heard = reader.push(&[PING, &event].concat());
        assert_eq!(heard.boundary, Some(PING.len() + event.len()));
        assert_eq!(&*reader.meter().error.clone().unwrap().message, "spend limit \"x\"\nreached");
    }
}
