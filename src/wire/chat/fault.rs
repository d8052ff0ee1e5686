//! Errors in the Chat dialect: what is one, which field of a request it refuses, and how our own are written
//! (wire.md 8, 12).
//!
//! Judges nothing: what an answer that is no success means for routing is [`crate::wire::fault`]'s, whatever dialect it
//! came in.

use std::borrow::Cow;

use super::repair::Field;
use crate::error::{Class, Error, Failure, Kind, Length, Stage};
use crate::json::{Span, member_of, text};
use crate::wire::fault::Wording;

/// Whether a body is an error of the dialect as it stands: `{"error": {"message", …}}` with a type or a code, as every
/// client of it reads it. Google's and Anthropic's objects look alike and are none; nor is a chunk that also has an error.
pub fn is_native(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    let top = Span::all(body);
    let has = |object, name| member_of(body, object, name).is_some();
    let Some(error) = member_of(body, top, "error").map(|error| error.value) else { return false };
    let message = member_of(body, error, "message").and_then(|message| text::string(message.value.of(body)));
    let google =
        member_of(body, error, "status").is_some_and(|word| text::string(word.value.of(body)).is_some());
    message.is_some_and(|text| !text.is_empty())
        && (has(error, "type") || has(error, "code"))
        && !google
        && !has(top, "type")
        && !has(top, "choices")
}

/// Whether a body is an overflow that clients know for one: they look for the code.
pub fn is_native_overflow(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    let error = member_of(body, Span::all(body), "error");
    let code = error.and_then(|error| member_of(body, error.value, "code"));
    code.is_some_and(|code| text::string(code.value.of(body)).is_some_and(|code| code == OVERFLOW))
}

/// What is not taken, if one thing is named that can be left out or written in another way.
pub fn field(wording: &Wording<'_>) -> Option<Field> {
    let found = wording.phrase(PHRASES).or_else(|| wording.refused(at_path));
    // `role 'user' is not allowed here` is not about the field of that name.
    found.filter(|field| *field != Field::User || !wording.says(&["role"]))
}

/// The field at a path: `top_k`, `reasoningEffort`, `tools[0].function.strict`, `messages.1.name`.
fn at_path(path: &str) -> Option<Field> {
    let mut steps = path.split(['.', '[', ']', '/', '#']).filter(|step| !step.is_empty() && *step != "body");
    let top = snake(steps.next()?);
    let below: Vec<&str> = steps.collect();
    match &*top {
        "messages" | "tools" if below.contains(&"cache_control") => Some(Field::CacheControl),
        // A schema's own names are the client's.
        "tools" if below.contains(&"parameters") => None,
        "tools" => below.contains(&"strict").then_some(Field::ToolStrict),
        "messages" => match below.as_slice() {
            [_, name] => Field::of_message(name),
            _ => None,
        },
        // What only a message has.
        "reasoning_content" => Some(Field::MessageReasoningContent),
        "reasoning_details" => Some(Field::MessageReasoningDetails),
        plain => Field::top(plain),
    }
}

/// `presencePenalty` as `presence_penalty`.
fn snake(word: &str) -> Cow<'_, str> {
    if !word.starts_with(|c: char| c.is_ascii_lowercase()) || !word.contains(|c: char| c.is_ascii_uppercase())
    {
        return Cow::Borrowed(word);
    }
    let mut out = String::with_capacity(word.len() + 4);
    for letter in word.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    Cow::Owned(out)
}

/// `error.type` and `error.code` of a refusal of our own (INTERFACE section 6, wire.md 12).
pub fn kind(error: &Error) -> (&'static str, Option<&'static str>) {
    match error.kind {
        Kind::BadRequest | Kind::Method(_) | Kind::Expectation | Kind::HeadTooLarge | Kind::Version => {
            (INVALID, None)
        }
        Kind::TooLong => (INVALID, Some(OVERFLOW)),
        Kind::Unauthorized | Kind::Expired => (INVALID, Some("invalid_api_key")),
        Kind::Billing => (QUOTA, Some(QUOTA)),
        Kind::Forbidden => (INVALID, Some("forbidden")),
        Kind::NotFound if error.stage == Stage::Route => (INVALID, Some("model_not_found")),
        Kind::NotFound => (INVALID, Some("unknown_url")),
        Kind::Timeout => (INVALID, Some("request_timeout")),
        Kind::TooLarge => (INVALID, Some("request_too_large")),
        Kind::RateLimit => (REQUESTS, Some("rate_limit_exceeded")),
        Kind::NotOffered => (INVALID, Some("not_supported")),
        Kind::Unavailable => (SERVER, Some("service_unavailable")),
        Kind::Internal | Kind::BadGateway | Kind::OwnCredential | Kind::Loop => (SERVER, None),
    }
}

/// The body of a refusal of our own.
pub fn body(error: &Error) -> Vec<u8> {
    let (kind, code) = kind(error);
    match error.kind {
        Kind::TooLong => object(kind, code, &too_long(&error.message, Length::default())),
        _ => object(kind, code, &error.message),
    }
}

/// The body that tells in this dialect what an upstream said in another; `status` is what the client is told.
pub fn rewritten(status: u16, failure: &Failure, message: &str) -> Vec<u8> {
    let (kind, code) = match (failure.class, status) {
        (Class::Overflow, _) => {
            return object(INVALID, Some(OVERFLOW), &too_long(message, failure.length));
        }
        (Class::Model, _) => (INVALID, Some("model_not_found")),
        (_, 401) => (INVALID, Some("invalid_api_key")),
        (_, 402) => (QUOTA, Some(QUOTA)),
        (_, 413) => (INVALID, Some("request_too_large")),
        (_, 429) => (REQUESTS, Some("rate_limit_exceeded")),
        (_, 503 | 529) => (SERVER, Some("service_unavailable")),
        (_, 500..) => (SERVER, None),
        _ => (INVALID, None),
    };
    object(kind, code, message)
}

/// An error body as the event that tells the same inside a stream, on one line: not every client joins lines.
pub fn event_of(body: &[u8]) -> Vec<u8> {
    let mut out = b"data: ".to_vec();
    // Line ends of a JSON text are blanks between its tokens.
    out.extend(body.trim_ascii().iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    out.extend_from_slice(b"\n\n");
    out
}

/// The comment that keeps a silent stream alive.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

fn object(kind: &str, code: Option<&str>, message: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 128);
    out.extend_from_slice(br#"{"error":{"message":"#);
    text::quote_into(&mut out, message);
    out.extend_from_slice(br#","type":"#);
    text::quote_into(&mut out, kind);
    out.extend_from_slice(br#","param":"#);
    match field_of(message).filter(|_| kind == INVALID) {
        Some(field) => text::quote_into(&mut out, field),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(br#","code":"#);
    match code {
        Some(code) => text::quote_into(&mut out, code),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b"}}");
    out
}

/// The field that a message is about: ours begin with it (`messages.0.role: expected …`).
fn field_of(message: &str) -> Option<&str> {
    let (field, _) = message.split_once(": ")?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._[]".contains(&byte);
    (field != "body" && field.bytes().all(plain)).then_some(field)
}

/// Another vendor's words for an overflow in `OpenAI`'s.
fn too_long(message: &str, length: Length) -> String {
    match length {
        Length { needed: Some(needed), limit: Some(limit) } => format!(
            "This model's maximum context length is {limit} tokens. However, your messages resulted in {needed} tokens. Please reduce the length of the messages."
        ),
        _ if message.to_ascii_lowercase().contains("maximum context length") => message.to_owned(),
        _ => format!("This model's maximum context length was exceeded: {message}"),
    }
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";
const QUOTA: &str = "insufficient_quota";
const REQUESTS: &str = "requests";
const OVERFLOW: &str = "context_length_exceeded";

/// Messages that name what they are about in words. All parts must be there; the first line that fits counts.
const PHRASES: &[(&[&str], Field)] = &[
    (&["does not support 'developer'"], Field::DeveloperRole),
    (&["'developer' is not one of"], Field::DeveloperRole),
    (&["unknown variant `developer`"], Field::DeveloperRole),
    (&["input tag 'developer'"], Field::DeveloperRole),
    (&["does not support 'system'"], Field::SystemRole),
    (&["developer instruction is not enabled"], Field::SystemRole),
    (&["system role not supported"], Field::SystemRole),
    (&["not support", "tool_choice"], Field::ToolChoice),
    (&["not support", "structured output"], Field::ResponseFormat),
    (&["response_format", "unavailable"], Field::ResponseFormat),
    (&["not support", "response format"], Field::ResponseFormat),
    (&["does not support thinking"], Field::ReasoningEffort),
    (&["thinking is not supported"], Field::ReasoningEffort),
    (&["thinking_level is not supported"], Field::ReasoningEffort),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: Vec<u8>) -> String {
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn only_an_error_of_the_dialect_is_native() {
        for (body, native) in [
            (r#"{"error":{"message":"m","type":"t","param":null,"code":null}}"#, true),
            // Recorded at OpenRouter and llama.cpp.
            (r#"{"error":{"code":400,"message":"x is not a valid model ID"},"user_id":"u"}"#, true),
            (r#"{"error":{"code":401,"message":"Invalid API Key","type":"authentication_error"}}"#, true),
            (r#"{"type":"error","error":{"type":"t","message":"m"}}"#, false),
            (r#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}"#, false),
            (r#"{"error":{"code":502,"message":"m"},"choices":[]}"#, false),
            (r#"[{"error":{"message":"m","type":"t"}}]"#, false),
            (r#"{"error":{"message":"","type":"t"}}"#, false),
            (r#"{"error":"m"}"#, false),
            ("gone", false),
            ("", false),
        ] {
            assert_eq!(is_native(body.as_bytes()), native, "{body}");
        }
    }

    #[test]
    fn each_refusal_of_our_own_has_openais_type_and_code() {
        for (stage, kind, expected) in [
            (
                Stage::Auth,
                Kind::Unauthorized,
                r#""type":"invalid_request_error","param":null,"code":"invalid_api_key"}"#,
            ),
            (
                Stage::Route,
                Kind::NotFound,
                r#""type":"invalid_request_error","param":null,"code":"model_not_found"}"#,
            ),
            (
                Stage::Edge,
                Kind::NotFound,
                r#""type":"invalid_request_error","param":null,"code":"unknown_url"}"#,
            ),
            (
                Stage::Govern,
                Kind::Billing,
                r#""type":"insufficient_quota","param":null,"code":"insufficient_quota"}"#,
            ),
            (
                Stage::Govern,
                Kind::RateLimit,
                r#""type":"requests","param":null,"code":"rate_limit_exceeded"}"#,
            ),
            (Stage::Edge, Kind::BadRequest, r#""type":"invalid_request_error","param":null,"code":null}"#),
            (Stage::Upstream, Kind::BadGateway, r#""type":"server_error","param":null,"code":null}"#),
        ] {
            let body = text(body(&Error::new(stage, kind, "say \"x\"\n")));
            assert_eq!(body, format!(r#"{{"error":{{"message":"say \"x\"\n",{expected}}}"#));
            assert!(is_native(body.as_bytes()), "{body}");
        }
        let long =
            text(body(&Error::new(Stage::Route, Kind::TooLong, "prompt is too long for every provider")));
        assert_eq!(
            long,
            r#"{"error":{"message":"This model's maximum context length was exceeded: prompt is too long for every provider","type":"invalid_request_error","param":null,"code":"context_length_exceeded"}}"#
        );
    }

    #[test]
    fn an_error_in_a_stream_is_one_line() {
        let body = b"{\n  \"error\": {\"message\": \"m\"}\r\n}\n";
        assert_eq!(text(event_of(body)), "data: {   \"error\": {\"message\": \"m\"}  }\n\n");
    }
}
