//! Errors of every dialect: what an upstream's mean, and how they and our own reach a client (wire.md 12).
//!
//! ```text
//! status, body ──▶ Said (words, any shape) ──▶ Wording (what they mean) ──▶ Verdict: class, repair, what was told
//!                                                                             │
//!                  the client's dialect: byte for byte if it is the target's, else the same message rewritten
//! ```
//!
//! The status alone does not say whose fault it is: providers without money answer 400, a bad key is a 400 here and a
//! 403 there, and an overload comes inside a 200. Routing decides by the [`Class`] that is found here. Does not decide
//! what is tried next, and rests nothing; how one dialect writes an error and which of its fields one refuses is that
//! dialect's `fault`.

mod length;
pub mod others;
mod said;
mod wait;
mod wording;

use std::borrow::Cow;
use std::time::Duration;

use super::repair::{Field, Repair};
use super::{Dialect, anthropic, chat};
use crate::error::{Class, Error, Failure, Kind, Length, Stage};
use crate::json::{Span, member_of};
use crate::wire::frame::Sse;
use crate::wire::meter::Told;
use said::Said;
pub use wait::retry_after;
pub use wording::Wording;

// ---- What it means ----

/// What an answer that is no success means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What routing decides by.
    pub failure: Failure,
    /// What may be taken out of the request so that the same model takes it; only with [`Class::Field`] and
    /// [`Class::Signature`].
    pub repair: Option<Repair>,
    /// The provider's own words.
    pub told: Told,
    /// The answer may be about the endpoint: nothing in it names the model.
    endpoint: bool,
}

impl Verdict {
    /// Of an error that was read from a stream already.
    pub fn of(told: Told) -> Self {
        Self { failure: told.failure, repair: None, endpoint: false, told }
    }

    /// The same of a `count_tokens` request, which many servers of the format do not offer.
    #[must_use]
    pub fn of_counting(mut self) -> Self {
        if self.endpoint {
            self.failure.class = Class::NotOffered;
        }
        self
    }
}

/// Judges an answer whose status is not 2xx, to a request in `target`'s dialect. `retry_after` is what its headers say
/// ([`retry_after`]); where they are silent, the body is asked.
pub fn verdict(target: Dialect, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Verdict {
    let said = Said::read(body);
    // Proxies pack errors of another kind into a 400 or a 500.
    let packed = if matches!(status, 400 | 413) || status >= 500 { kind_of(&said) } else { None };
    let wording = Wording::of(&said);
    let (class, repair) = judge(packed.unwrap_or(status), &wording, Some(target));
    let endpoint = matches!(status, 404 | 405 | 501) && !wording.model();
    let retry_after = retry_after.or_else(|| if class == Class::RateLimit { wait::told(body) } else { None });
    let failure = Failure { class, status, retry_after, length: length(class, &wording) };
    Verdict { failure, repair, endpoint, told: words(failure, &said) }
}

/// Judges an error that came inside a 200, to a request in `target`'s dialect: the data of an event, or a body.
pub fn verdict_inside(target: Dialect, data: &[u8]) -> Verdict {
    let (told, repair) = inside(data, Some(target));
    Verdict { failure: told.failure, repair, endpoint: false, told }
}

/// Reads an error that came inside a 200, whatever dialect it is in: the data of an event, or a body.
pub fn told(data: &[u8]) -> Told {
    inside(data, None).0
}

fn inside(data: &[u8], target: Option<Dialect>) -> (Told, Option<Repair>) {
    let said = Said::read(data);
    let wording = Wording::of(&said);
    let coded = || said.code.parse().ok().filter(|code| (400..600).contains(code));
    let failed_midway = || MIDWAY.contains(&said.code.as_ref()).then_some(500);
    let (status, (class, repair)) = match kind_of(&said).or_else(failed_midway).or_else(coded) {
        Some(status) => (status, judge(status, &wording, target)),
        None if REQUESTS.iter().any(|kind| said.kind.eq_ignore_ascii_case(kind)) => {
            (400, judge(400, &wording, target))
        }
        None => match bad_request(&wording, target) {
            // Nothing says whose fault it is, and a 200 was no refusal.
            (Class::Client, _) => (500, judge(500, &wording, target)),
            found => (400, found),
        },
    };
    let failure = Failure { class, status, retry_after: None, length: length(class, &wording) };
    (words(failure, &said), repair)
}

/// Whether the data of a stream's event, or a body, is an error: nobody's content has these members.
pub fn is_error(data: &[u8]) -> bool {
    let data = data.trim_ascii();
    let value = |name| member_of(data, Span::all(data), name).map(|found| found.value.of(data));
    value("error").is_some_and(|error| error != b"null")
        || value("object") == Some(b"\"error\"")
        || value("type") == Some(b"\"error\"")
}

/// The data of the error event in a stream's beginning, which stands for an error body; empty if there is none.
pub fn body_in(beginning: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    Sse::new().push(beginning, |event| {
        if event.name == b"error" || is_error(event.data) {
            body = event.data.to_vec();
        }
    });
    body
}

/// What a status means, given the words beside it (INTERFACE section 4.4).
fn judge(status: u16, wording: &Wording<'_>, target: Option<Dialect>) -> (Class, Option<Repair>) {
    let class = match status {
        400 | 422 => return bad_request(wording, target),
        401 | 403 | 429 if wording.money() => Class::Money,
        // Refused is the model, not the key: the account was not let in to it.
        403 if wording.model() => Class::Model,
        403 if wording.flagged() => Class::Client,
        401 | 403 => Class::Credential,
        402 => Class::Money,
        404 if wording.unable() => Class::Unable,
        // A file or a batch that is not there was named by the client.
        404 if wording.names_no_model() => Class::Client,
        404 | 410 => Class::Model,
        408 | 409 | 425 => Class::Conflict,
        413 | 500 if wording.overflow() => Class::Overflow,
        429 => Class::RateLimit,
        503 | 529 => Class::Overloaded,
        508 => Class::Loop,
        424 | 500..=599 => Class::Server,
        405..=499 => Class::Client,
        // A redirect, or no status of HTTP: whoever answered there is no provider.
        _ => Class::Unreadable,
    };
    (class, None)
}

/// A 400 can be anybody's fault.
fn bad_request(wording: &Wording<'_>, target: Option<Dialect>) -> (Class, Option<Repair>) {
    if wording.money() {
        (Class::Money, None)
    } else if wording.credential() {
        (Class::Credential, None)
    } else if wording.overflow() {
        (Class::Overflow, None)
    } else if wording.signature() {
        (Class::Signature, Some(Repair::CutThinking))
    } else if let Some(field) = target.and_then(|target| field(target, wording)) {
        (Class::Field, Some(Repair::Drop(field)))
    } else if wording.model() {
        (Class::Model, None)
    } else {
        (Class::Client, None)
    }
}

fn field(target: Dialect, wording: &Wording<'_>) -> Option<Field> {
    match target {
        Dialect::Messages => anthropic::fault::field(wording).map(Field::Messages),
        Dialect::Chat => chat::fault::field(wording).map(Field::Chat),
    }
}

/// The status that an error's kind stands for where it came without one of its own, or in the disguise of another.
fn kind_of(said: &Said<'_>) -> Option<u16> {
    stands_for(&said.kind).or_else(|| stands_for(&said.code))
}

fn stands_for(kind: &str) -> Option<u16> {
    let exception = kind.rsplit(['#', '.']).next().unwrap_or(kind);
    STATUSES.iter().find(|(word, _)| word.eq_ignore_ascii_case(exception)).map(|(_, status)| *status)
}

fn length(class: Class, wording: &Wording<'_>) -> Length {
    if class == Class::Overflow { wording.length() } else { Length::default() }
}

fn words(failure: Failure, said: &Said<'_>) -> Told {
    let coded = said.kind.is_empty() && !said.code.starts_with(|c: char| c.is_ascii_digit());
    let kind = if coded { &said.code } else { &said.kind };
    Told { failure, kind: kind.as_ref().into(), message: said.message.as_ref().into() }
}

// ---- What the client is told ----

/// The status that a relayed failure goes out with: a redirect or the like is no error of HTTP, an overflow is the
/// client's to mend, and 529 is known to clients of Anthropic only.
pub fn status_told(client: Dialect, failure: &Failure) -> u16 {
    match (client, failure.class, failure.status) {
        (_, Class::Overflow, _) => 400,
        (Dialect::Chat, _, 529) => 503,
        (_, _, status @ 400..600) => status,
        _ => 502,
    }
}

/// Whether the words of this answer may reach the client. Refusals of the gateway's own credential or account may
/// not: they are none of the client's business, and a client would take them for its own. Nor what a server says of an
/// endpoint that it does not have: the client asked this gateway for it.
pub fn relayed(failure: &Failure) -> bool {
    let Failure { class, status, .. } = *failure;
    !matches!(class, Class::Credential | Class::Money | Class::NotOffered) && !matches!(status, 401..=403)
}

/// The body for a client, if [`relayed`]: an error of its own dialect byte for byte where that is the target's too
/// (clients match on its wording), any other as one with the same message. Goes out with [`status_told`].
pub fn passed_on<'b>(
    client: Dialect,
    target: Dialect,
    verdict: &Verdict,
    body: &'b [u8],
    request_id: &str,
) -> Cow<'b, [u8]> {
    let Verdict { failure, told, .. } = verdict;
    if client == target && is_native(client, failure.class, body) {
        return Cow::Borrowed(body);
    }
    Cow::Owned(rewritten(client, told, request_id))
}

/// An error inside the stream of another dialect, as a body for the client. Words that are not for it ([`relayed`]) are
/// left out.
pub fn body_told(client: Dialect, told: &Told, request_id: &str) -> Vec<u8> {
    if relayed(&told.failure) {
        return rewritten(client, told, request_id);
    }
    let message = "the provider refused the request of the gateway; the gateway's log says why";
    body(client, &Error::new(Stage::Upstream, Kind::OwnCredential, message), request_id)
}

fn rewritten(client: Dialect, told: &Told, request_id: &str) -> Vec<u8> {
    let failure = &told.failure;
    let status = status_told(client, failure);
    let message = match &*told.message {
        "" => Cow::Owned(format!("the provider answered {} without a message", failure.status)),
        message => Cow::Borrowed(message),
    };
    match client {
        Dialect::Messages => anthropic::fault::rewritten(status, failure, &message, request_id),
        Dialect::Chat => chat::fault::rewritten(status, failure, &message),
    }
}

fn is_native(dialect: Dialect, class: Class, body: &[u8]) -> bool {
    match dialect {
        Dialect::Messages => anthropic::fault::is_native(body),
        // Its clients know an overflow by its code.
        Dialect::Chat if class == Class::Overflow => chat::fault::is_native_overflow(body),
        Dialect::Chat => chat::fault::is_native(body),
    }
}

/// The body of a refusal of our own.
pub fn body(client: Dialect, error: &Error, request_id: &str) -> Vec<u8> {
    match client {
        Dialect::Messages => anthropic::fault::body(error, request_id),
        Dialect::Chat => chat::fault::body(error),
    }
}

/// The event that ends a stream which cannot go on.
pub fn event(client: Dialect, error: &Error, request_id: &str) -> Vec<u8> {
    event_of(client, &body(client, error, request_id))
}

/// An error body of the client's dialect as the event that tells the same inside a stream.
pub fn event_of(client: Dialect, body: &[u8]) -> Vec<u8> {
    match client {
        Dialect::Messages => anthropic::fault::event_of(body),
        Dialect::Chat => chat::fault::event_of(body),
    }
}

/// What keeps a silent stream alive.
pub fn keep_alive(client: Dialect) -> &'static [u8] {
    match client {
        Dialect::Messages => anthropic::fault::PING,
        Dialect::Chat => chat::fault::KEEP_ALIVE,
    }
}

/// Codes of what went wrong while the model was writing, though they call the request wrong: Groq's model wrote a call
/// that fits no tool. Asked again, it may do better, or another one.
const MIDWAY: &[&str] = &["tool_use_failed"];

/// Kinds of a request that is wrong, which say nothing more.
const REQUESTS: &[&str] =
    &["invalid_request_error", "BadRequestError", "INVALID_ARGUMENT", "FAILED_PRECONDITION"];

/// Kinds and codes of error that say more than the status around them: Anthropic's, then other vendors' and AWS's
/// exceptions.
const STATUSES: &[(&str, u16)] = &[
    ("authentication_error", 401),
    ("permission_error", 403),
    ("billing_error", 402),
    ("not_found_error", 404),
    ("request_too_large", 413),
    ("rate_limit_error", 429),
    ("timeout_error", 504),
    ("overloaded_error", 529),
    ("insufficient_quota", 402),
    ("rate_limit_exceeded", 429),
    ("invalid_api_key", 401),
    ("model_not_found", 404),
    ("context_length_exceeded", 400),
    ("service_unavailable", 503),
    ("engine_overloaded_error", 503),
    ("RESOURCE_EXHAUSTED", 429),
    ("UNAUTHENTICATED", 401),
    ("PERMISSION_DENIED", 403),
    ("NOT_FOUND", 404),
    ("UNAVAILABLE", 503),
    ("AccessDeniedException", 403),
    ("ResourceNotFoundException", 404),
    ("ModelTimeoutException", 408),
    ("ModelNotReadyException", 429),
    ("ServiceQuotaExceededException", 429),
    ("ThrottlingException", 429),
    ("ServiceUnavailableException", 503),
];

#[cfg(test)]
mod tests {
    use super::*;

    use crate::wire::anthropic::{Beta, Field};
    use crate::wire::repair::Field as Either;

    const CLIENTS: [Dialect; 2] = [Dialect::Messages, Dialect::Chat];

    /// An error as Anthropic words it.
    fn native(kind: &str, message: &str) -> String {
        format!(
            r#"{{"type":"error","error":{{"type":{},"message":{}}},"request_id":"req_1"}}"#,
            serde_json::Value::from(kind),
            serde_json::Value::from(message)
        )
    }

    fn judged(status: u16, body: &str) -> (Class, Option<Repair>) {
        let Verdict { failure, repair, told, .. } = verdict(Dialect::Messages, status, None, body.as_bytes());
        assert_eq!((failure.status, told.failure), (status, failure), "{body}");
        (failure.class, repair)
    }

    #[test]
    fn a_status_and_its_words_give_the_class() {
        // Recorded bodies where they are not marked as made up.
        for (status, body, class) in [
            (401, native("authentication_error", "invalid x-api-key"), Class::Credential),
            (403, r#"{"message":"The security token included in the request is expired"}"#.into(), Class::Credential),
            (400, r#"{"code":"invalid-argument","error":"Incorrect API key provided. You can …"}"#.into(), Class::Credential),
            (400, r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#.into(), Class::Credential),
            (401, r#"{"detail":"Invalid API Key"}"#.into(), Class::Credential),
            // Made up: a web application firewall in front of the provider.
            (403, "<html><title>403 Forbidden</title></html>".into(), Class::Credential),
            (400, native("invalid_request_error", "This organization has been disabled."), Class::Credential),
            (402, native("billing_error", "Your account is past due."), Class::Money),
            (402, String::new(), Class::Money),
            (400, native("invalid_request_error", "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."), Class::Money),
            (429, r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#.into(), Class::Money),
            // The same words are a mere rate limit elsewhere.
            (429, r#"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED"}}"#.into(), Class::RateLimit),
            (429, native("rate_limit_error", "This request would exceed your organization's rate limit of 30,000 input tokens per minute."), Class::RateLimit),
            (429, r#"{"message":"Too many requests, please wait before trying again."}"#.into(), Class::RateLimit),
            (429, r#"{"error":{"message":"Rate limit reached for gpt-5.4","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#.into(), Class::RateLimit),
            (429, String::new(), Class::RateLimit),
            (404, r#"{"error": {"message": "model: claude-does-not-exist", "type": "not_found_error"}, "type": "error"}"#.into(), Class::Model),
            (404, r#"{"error":{"code":404,"message":"Publisher Model `projects/p/locations/l/publishers/google/models/m` not found.","status":"NOT_FOUND","details":[]}}"#.into(), Class::Model),
            (404, r#"{"message":"This model version has reached the end of its life."}"#.into(), Class::Model),
            (404, "404 page not found".into(), Class::Model),
            (404, native("not_found_error", "File not found: file_011"), Class::Client),
            (400, r#"{"message": "The provided model identifier is invalid."}"#.into(), Class::Model),
            (400, r#"{"message":"Invocation of model ID anthropic.claude with on-demand throughput isn’t supported. Retry your request with …"}"#.into(), Class::Model),
            (400, r#"{"error":{"code":400,"message":"openai/gpt-nonexistent is not a valid model ID"},"user_id":"u"}"#.into(), Class::Model),
            (400, r#"{"code":"1500","message":"Invalid model: definitely-not-a-model","object":"error","type":"invalid_model"}"#.into(), Class::Model),
            (400, r#"{"code":"invalid-argument","error":"Model not found: grok-nonexistent"}"#.into(), Class::Model),
            (400, r#"{"error":{"code":"model_not_found","message":"The requested model 'x' does not exist.","param":"model","type":"invalid_request_error"}}"#.into(), Class::Model),
            (403, r#"{"message":"You don't have access to the model with the specified model ID."}"#.into(), Class::Model),
            (408, String::new(), Class::Conflict),
            (409, native("invalid_request_error", "conflict"), Class::Conflict),
            (500, native("api_error", "Internal server error"), Class::Server),
            (500, native("overloaded_error", "Overloaded"), Class::Overloaded),
            (502, "<html><title>502 Bad Gateway</title></html>".into(), Class::Server),
            (504, native("timeout_error", "Request timed out"), Class::Server),
            (520, "error code: 520".into(), Class::Server),
            (508, native("api_error", "the request came round to this gateway again"), Class::Loop),
            (508, String::new(), Class::Loop),
            (503, r#"{"message":"Bedrock is unable to process your request."}"#.into(), Class::Overloaded),
            (503, r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#.into(), Class::Overloaded),
            (529, native("overloaded_error", "Overloaded"), Class::Overloaded),
            (529, String::new(), Class::Overloaded),
            (424, r#"{"message":"The model failed","originalStatusCode":500}"#.into(), Class::Server),
            (400, native("invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum"), Class::Overflow),
            (400, native("invalid_request_error", "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000"), Class::Overflow),
            (400, r#"{"message":"Input is too long for requested model."}"#.into(), Class::Overflow),
            (400, r#"{"error":{"code":400,"message":"The input token count (1250074) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#.into(), Class::Overflow),
            (400, r#"{"error_type":"TOO_MANY_TOKENS","message":"too many tokens: size limit exceeded by 25836 tokens."}"#.into(), Class::Overflow),
            (400, r#"{"error":{"message":"prompt too long; exceeded max context length by 1119046 tokens","type":"invalid_request_error"}}"#.into(), Class::Overflow),
            (400, r#"{"error":{"message":"The total length of all messages is too long.","type":"too_many_prompt_tokens","code":400}}"#.into(), Class::Overflow),
            (400, r#"{"error":{"message":"This model's maximum context length is 128000 tokens.","code":"context_length_exceeded"}}"#.into(), Class::Overflow),
            (413, native("request_too_large", "Request exceeds the maximum size"), Class::Client),
            (422, r#"{"object":"error","message":{"detail":[{"loc":["body","top_k2"],"msg":"Extra inputs are not permitted"}]}}"#.into(), Class::Client),
            (401, r#"{"error":{"code":"invalid_api_key","message":"Invalid API Key","type":"invalid_request_error"}}"#.into(), Class::Credential),
            (401, r#"{"error":{"message":"Unauthorized","type":"api_error","param":null,"code":null}}"#.into(), Class::Credential),
            (404, r#"{"error":"model 'nonexistent-model:latest' not found"}"#.into(), Class::Model),
            (404, r#"{"error": {"code": "model_not_found", "message": "The model `non-existent` does not exist or you do not have access to it.", "type": "invalid_request_error"}}"#.into(), Class::Model),
            (404, r#"{"id":"2","message":"model 'command-does-not-exist' not found, make sure the correct model ID was used and that you have access to the model."}"#.into(), Class::Model),
            (429, r#"{"error": {"code": 429, "message": "Provider returned error", "metadata": {"provider_name": "Google", "raw": "google/gemini-2.0-flash-exp:free is temporarily rate-limited upstream. Please retry shortly"}}, "user_id": "u"}"#.into(), Class::RateLimit),
            (400, r#"{"error": {"code": "tool_use_failed", "failed_generation": "{}", "message": "Tool call validation failed: tool call validation failed: parameters for tool get_something_by_name did not match schema: errors: [missing properties: 'name', additionalProperties 'foo' not allowed]", "type": "invalid_request_error"}}"#.into(), Class::Client),
            (400, r#"{"error":{"message":"prompt too long; exceeded max context length by 1119046 tokens (ref: 9)","type":"invalid_request_error","param":null,"code":null}}"#.into(), Class::Overflow),
            (400, r#"{"error":{"code":"invalid_request_error","message":"Failed to deserialize the JSON body into the target type: messages[0]: unknown variant `image_url`, expected `text` at line 1 column 391","param":null,"type":"invalid_request_error"}}"#.into(), Class::Client),
            (400, r#"{"error":{"message":"No tool output found for tool call call-a.","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#.into(), Class::Client),
            // As the vendors' pages and trackers have them.
            (402, r#"{"error":{"code":402,"message":"This request requires more credits, or fewer max_tokens."}}"#.into(), Class::Money),
            (408, r#"{"error":{"code":408,"message":"Request timed out"}}"#.into(), Class::Conflict),
            (502, r#"{"error":{"code":502,"message":"Provider returned error"}}"#.into(), Class::Server),
            (503, r#"{"error":{"code":503,"message":"No instances available"}}"#.into(), Class::Overloaded),
            (403, r#"{"error":{"code":403,"message":"Your input was flagged","metadata":{"reasons":["violence"]}}}"#.into(), Class::Client),
            (404, r#"{"error":{"code":404,"message":"No endpoints found that support tool use. To learn more about provider routing, visit: …"}}"#.into(), Class::Unable),
            (429, r#"{"error":{"code":"1113","message":"Insufficient balance or no resource package. Please recharge."}}"#.into(), Class::Money),
            (413, r#"{"error":{"message":"Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 12000","type":"tokens","code":"rate_limit_exceeded"}}"#.into(), Class::RateLimit),
            (400, native("invalid_request_error", "messages.0: Input does not match the expected shape."), Class::Client),
            (400, native("invalid_request_error", "max_tokens: 64000 > 8192, which is the maximum allowed number of output tokens for claude-3-5-haiku"), Class::Client),
            (400, r#"{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400}}"#.into(), Class::Client),
            (400, r#"{"object": "error", "message": "max_tokens must be positive", "type": "BadRequestError", "param": "max_tokens", "code": 400}"#.into(), Class::Client),
            (400, "not JSON at all".into(), Class::Client),
            (400, String::new(), Class::Client),
            (405, String::new(), Class::Client),
            (307, String::new(), Class::Unreadable),
            (999, String::new(), Class::Unreadable),
        ] {
            let (found, repair) = judged(status, &body);
            assert_eq!((found, repair), (class, None), "{status} {body}");
        }
    }

    #[test]
    fn a_400_that_names_what_it_does_not_take_names_the_repair() {
        let long_context = Field::Beta(Beta::CONTEXT_1M);
        for (message, field) in [
            ("context_management: Extra inputs are not permitted", Field::ContextManagement),
            (
                "The model returned the following errors: context_management: Extra inputs are not permitted",
                Field::ContextManagement,
            ),
            ("output_config.task_budget: Extra inputs are not permitted", Field::TaskBudget),
            ("output_config: Extra inputs are not permitted", Field::OutputConfig),
            ("output_format: Extra inputs are not permitted", Field::LegacyFormat),
            ("tools.0.custom.defer_loading: Extra inputs are not permitted", Field::ToolDefer),
            ("tools.11.custom.eager_input_streaming: Extra inputs are not permitted", Field::ToolEager),
            ("tools.0.custom.strict: Extra inputs are not permitted", Field::ToolStrict),
            ("tools.0.cache_control: Extra inputs are not permitted", Field::CacheMarks),
            ("system.1.cache_control.ephemeral.scope: Extra inputs are not permitted", Field::CacheScope),
            (
                "messages.2.content.0.text.cache_control.ephemeral.ttl: Extra inputs are not permitted",
                Field::CacheTtl,
            ),
            ("cache_control: Extra inputs are not permitted", Field::AutoCache),
            ("messages.3.output_config: Extra inputs are not permitted", Field::MessageConfig),
            ("messages.3.role: Input should be 'user' or 'assistant'", Field::SystemRole),
            (
                "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` parameter",
                Field::SystemRole,
            ),
            ("role 'system' is not supported on this model", Field::SystemRole),
            ("`temperature` is deprecated for this model.", Field::Temperature),
            (
                "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
                Field::TopP,
            ),
            ("`top_k` is not supported for this model", Field::TopK),
            ("temperature is not supported by this model", Field::Temperature),
            ("adaptive thinking is not supported on this model", Field::Thinking),
            (
                "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \"output_config.effort\" to control thinking behavior.",
                Field::Thinking,
            ),
            (
                "thinking: Input tag 'adaptive' found using 'type' does not match any of the expected tags: 'disabled', 'enabled'",
                Field::Thinking,
            ),
            ("thinking.adaptive.display: Extra inputs are not permitted", Field::ThinkingDisplay),
            (
                "This model does not support effort level 'xhigh'. Supported levels: high, low, max, medium.",
                Field::Effort,
            ),
            ("This model does not support the effort parameter.", Field::Effort),
            (
                "context_management.edits.0: `clear_thinking_20251015` strategy requires `thinking` to be enabled or adaptive",
                Field::ContextManagement,
            ),
            ("speed: 'fast' is not supported for this model", Field::Speed),
            (
                "Unexpected value(s) `context-1m-2025-08-07` for the `anthropic-beta` header. Please consult our documentation",
                long_context,
            ),
            (
                "Unexpected value(s) `effort-2025-11-24`, `context-1m-2025-08-07` for the `anthropic-beta` header.",
                Field::Betas,
            ),
            ("The long context beta is not yet available for this subscription.", long_context),
            ("invalid beta flag", Field::Betas),
            (
                "Malformed input request: #: extraneous key [top_k] is not permitted, please reformat your input and try again.",
                Field::TopK,
            ),
            ("Invalid JSON payload received. Unknown name \"metadata\": Cannot find field.", Field::Metadata),
            (
                "unknown field `service_tier`, expected one of `model`, `messages`, `metadata`",
                Field::ServiceTier,
            ),
            ("Additional properties are not allowed ('container' was unexpected)", Field::Container),
        ] {
            let body = native("invalid_request_error", message);
            assert_eq!(
                judged(400, &body),
                (Class::Field, Some(Repair::Drop(Either::Messages(field)))),
                "{message}"
            );
        }
        let param = r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}"#;
        assert_eq!(judged(400, param).1, Some(Repair::Drop(Either::Messages(Field::Temperature))));
        let role = r#"{"error":{"code":"unsupported_value","message":"Unsupported value: 'messages[0].role' does not support 'system' with this model.","param":"messages[0].role"}}"#;
        assert_eq!(judged(400, role).1, Some(Repair::Drop(Either::Messages(Field::SystemRole))));
        let loc = r#"{"detail":[{"type":"extra_forbidden","loc":["body","top_k"],"msg":"Extra inputs are not permitted"}]}"#;
        assert_eq!(judged(400, loc).1, Some(Repair::Drop(Either::Messages(Field::TopK))));
        assert_eq!(judged(422, loc).1, Some(Repair::Drop(Either::Messages(Field::TopK))));
    }

    #[test]
    fn what_the_client_did_wrong_is_not_repaired() {
        for message in [
            "model_name: Extra inputs are not permitted",
            "messages.1.content.0.tool_use.id: Extra inputs are not permitted",
            "tools.0.custom.input_schema.properties.strict: Extra inputs are not permitted",
            "tools.0.custom.input_schema.type: Field required",
            "temperature: range: 0..1",
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
            "`max_tokens` must be greater than `thinking.budget_tokens`.",
            "Thinking may not be enabled when tool_choice forces tool use.",
            "This model does not support assistant message prefill. The conversation must end with a user message.",
            "messages: at least one message is required",
            "messages.2: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_01.",
            "messages.1.content.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_02.",
            "system: text content blocks must be non-empty",
            "metadata.user_id: String should have at most 256 characters",
            "messages.0.content.1.image.source.base64: invalid base64 data",
        ] {
            let body = native("invalid_request_error", message);
            assert_eq!(judged(400, &body), (Class::Client, None), "{message}");
        }
    }

    #[test]
    fn a_refused_signature_cuts_the_thinking() {
        for message in [
            "messages.1.content.0: Invalid `signature` in `thinking` block",
            "messages.3.content.0: Invalid `data` in `redacted_thinking` block",
            "messages.1.content.13: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified. These blocks must remain as they were in the original response.",
            "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a final `assistant` message must start with a thinking block",
            "messages.1.content.0.thinking.signature: Field required",
            "***.***.content.0.thinking.signature: Field required",
        ] {
            let body = native("invalid_request_error", message);
            assert_eq!(judged(400, &body), (Class::Signature, Some(Repair::CutThinking)), "{message}");
        }
    }

    #[test]
    fn an_error_inside_a_200_is_judged_by_its_kind() {
        for (data, class, status) in [
            (native("overloaded_error", "Overloaded"), Class::Overloaded, 529),
            (native("rate_limit_error", "slow down"), Class::RateLimit, 429),
            (native("authentication_error", "who"), Class::Credential, 401),
            (native("permission_error", "no"), Class::Credential, 403),
            (native("billing_error", "pay"), Class::Money, 402),
            (native("api_error", "oops"), Class::Server, 500),
            (native("timeout_error", "late"), Class::Server, 504),
            (native("not_found_error", "model: x"), Class::Model, 404),
            (native("request_too_large", "big"), Class::Client, 413),
            (
                native("invalid_request_error", "prompt is too long: 2 tokens > 1 maximum"),
                Class::Overflow,
                400,
            ),
            (native("invalid_request_error", "Your credit balance is too low"), Class::Money, 400),
            (native("invalid_request_error", "messages: at least one"), Class::Client, 400),
            (native("brand_new_error", "?"), Class::Server, 500),
            (r#"{"error":{"message":"Provider returned error","code":502}}"#.into(), Class::Server, 502),
            (r#"{"error":{"message":"slow","code":"rate_limit_exceeded"}}"#.into(), Class::RateLimit, 429),
            // Recorded in streams of OpenRouter and Groq.
            (
                r#"{"id":"gen-1","error":{"code":400,"message":"Token limit reached"},"object":"chat.completion.chunk","choices":[]}"#.into(),
                Class::Client,
                400,
            ),
            (
                r#"{"error":{"message":"Tool choice is required, but model did not call a tool","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"","status_code":400}}"#.into(),
                Class::Server,
                500,
            ),
            (
                r#"{"error":{"message":"The server had an error while processing your request.","type":"server_error","param":null,"code":null}}"#.into(),
                Class::Server,
                500,
            ),
            (
                r#"{"object": "error", "message": "max_tokens must be positive", "type": "BadRequestError", "param": "max_tokens", "code": 400}"#.into(),
                Class::Client,
                400,
            ),
            (r#"{"error":"model 'x' not found"}"#.into(), Class::Model, 400),
            (
                r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#.into(),
                Class::Money,
                402,
            ),
            (
                r#"{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}"#.into(),
                Class::RateLimit,
                429,
            ),
            (
                r#"{"__type":"com.amazonaws.bedrock#ThrottlingException","message":"slow"}"#.into(),
                Class::RateLimit,
                429,
            ),
            (String::new(), Class::Server, 500),
            ("{\"type\":\"error\"".into(), Class::Server, 500),
        ] {
            let told = told(data.as_bytes());
            assert_eq!((told.failure.class, told.failure.status), (class, status), "{data}");
        }
        let told = told(native("overloaded_error", "Over\"loaded\"").as_bytes());
        assert_eq!((&*told.kind, &*told.message), ("overloaded_error", "Over\"loaded\""));
    }

    #[test]
    fn refusals_of_our_own_credential_or_account_stay_here() {
        let may = |status, kind, message| {
            relayed(&verdict(Dialect::Messages, status, None, native(kind, message).as_bytes()).failure)
        };
        assert!(may(400, "invalid_request_error", "messages: at least one message is required"));
        assert!(may(404, "not_found_error", "model: x"));
        assert!(may(429, "rate_limit_error", "slow down"));
        assert!(may(529, "overloaded_error", "Overloaded"));
        assert!(!may(401, "authentication_error", "invalid x-api-key"));
        assert!(!may(403, "permission_error", "You don't have access to the model"));
        assert!(!may(402, "billing_error", "pay"));
        assert!(!may(400, "invalid_request_error", "Your credit balance is too low"));
    }

    #[test]
    fn a_native_error_passes_verbatim_and_a_strange_one_in_our_shape() {
        let pass = |status, body: &str| {
            let dialect = Dialect::Messages;
            let verdict = verdict(dialect, status, None, body.as_bytes());
            let passed = passed_on(dialect, dialect, &verdict, body.as_bytes(), "req_9");
            String::from_utf8(passed.into_owned()).unwrap()
        };
        let ours = |kind, message| native(kind, message).replace("req_1", "req_9");
        let spaced = r#"{"error": {"message": "model: x", "type": "not_found_error"}, "type": "error"}"#;
        assert_eq!(pass(404, spaced), spaced);
        assert_eq!(
            pass(400, r#"{"message":"Malformed input"}"#),
            ours("invalid_request_error", "Malformed input")
        );
        assert_eq!(pass(502, "<html><title>502 Bad Gateway</title>"), ours("api_error", "502 Bad Gateway"));
        assert_eq!(pass(500, ""), ours("api_error", "the provider answered 500 without a message"));
        let vertex = r#"{"error":{"code":400,"message":"The input token count (1250074) exceeds the maximum number of tokens allowed (1048576)."}}"#;
        assert_eq!(
            pass(400, vertex),
            ours("invalid_request_error", "prompt is too long: 1250074 tokens > 1048576 maximum")
        );
        let bedrock = r#"{"message":"Input is too long for requested model."}"#;
        assert_eq!(
            pass(400, bedrock),
            ours("invalid_request_error", "prompt is too long: Input is too long for requested model.")
        );
        let inner = r#"{"message":"prompt is too long: 208310 tokens > 200000 maximum"}"#;
        assert_eq!(
            pass(400, inner),
            ours("invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum")
        );
    }

    #[test]
    fn a_chat_server_names_what_it_does_not_take_in_many_ways() {
        use chat::repair::Field;
        for (status, body, field) in [
            // Recorded.
            (
                400,
                r#"{"error":{"code":"unsupported_value","message":"Unsupported value: 'messages[0].role' does not support 'system' with this model.","param":"messages[0].role","type":"invalid_request_error"}}"#,
                Field::SystemRole,
            ),
            // As the vendors' pages and trackers have them.
            (
                400,
                r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
                Field::MaxTokens,
            ),
            (
                400,
                r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."}}"#,
                Field::MaxTokens,
            ),
            (
                400,
                r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}"#,
                Field::Temperature,
            ),
            (
                400,
                r#"{"error":{"message":"Unrecognized request argument supplied: reasoning_effort","type":"invalid_request_error","param":null,"code":null}}"#,
                Field::ReasoningEffort,
            ),
            (
                400,
                r#"{"error":{"message":"Unrecognized request arguments supplied: store, metadata"}}"#,
                Field::Store,
            ),
            (
                400,
                r#"{"error":{"message":"Unknown parameter: 'prompt_cache_retention'.","type":"invalid_request_error","param":"prompt_cache_retention","code":"unknown_parameter"}}"#,
                Field::CacheRetention,
            ),
            (
                400,
                r#"{"error":{"message":"Unsupported value: 'messages[0].role' does not support 'developer' with this model.","param":"messages[0].role","code":"unsupported_value"}}"#,
                Field::DeveloperRole,
            ),
            (
                400,
                r#"{"error":{"message":"'developer' is not one of ['system', 'assistant', 'user', 'function'] - 'messages.0.role'"}}"#,
                Field::DeveloperRole,
            ),
            (
                422,
                r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted","input":1}]},"type":"invalid_request_error","param":null,"code":null}"#,
                Field::Seed,
            ),
            (
                422,
                r#"{"detail":[{"type":"extra_forbidden","loc":["body","tools",0,"function","strict"],"msg":"Extra inputs are not permitted"}]}"#,
                Field::ToolStrict,
            ),
            (
                422,
                r#"{"detail":[{"type":"extra_forbidden","loc":["body","messages",2,"assistant","cache_control"],"msg":"Extra inputs are not permitted"}]}"#,
                Field::CacheControl,
            ),
            (
                400,
                r#"{"object":"error","message":"[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), 'msg': 'Extra inputs are not permitted', 'input': {}}]","type":"BadRequestError","param":null,"code":400}"#,
                Field::StreamOptions,
            ),
            (
                400,
                r#"{"error":{"message":"property 'parallel_tool_calls' is unsupported","type":"invalid_request_error"}}"#,
                Field::ParallelTools,
            ),
            (
                400,
                r#"{"error":{"message":"'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : property 'reasoning_content' is unsupported, did you mean 'reasoning'?)]","type":"invalid_request_error"}}"#,
                Field::MessageReasoningContent,
            ),
            (
                400,
                r#"{"error":{"object":"error","type":"invalid_request_error","message":"Extra inputs are not permitted, field: 'service_tier', value: 'auto'"}}"#,
                Field::ServiceTier,
            ),
            (
                400,
                r#"[{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"seed\": Cannot find field.","status":"INVALID_ARGUMENT"}}]"#,
                Field::Seed,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"strict\" at 'tools[0].function': Cannot find field.","status":"INVALID_ARGUMENT"}}"#,
                Field::ToolStrict,
            ),
            (
                400,
                r#"{"code":"Client specified an invalid argument","error":"Argument not supported on this model: stop"}"#,
                Field::Stop,
            ),
            (
                400,
                r#"{"code":"Client specified an invalid argument","error":"Model grok-4 does not support parameter presencePenalty."}"#,
                Field::PresencePenalty,
            ),
            (
                400,
                r#"{"error":{"message":"deepseek-reasoner does not support this tool_choice","type":"invalid_request_error"}}"#,
                Field::ToolChoice,
            ),
            (
                400,
                r#"{"error":{"message":"This response_format type is unavailable now","type":"invalid_request_error"}}"#,
                Field::ResponseFormat,
            ),
            (
                400,
                r#"{"error":{"message":"\"qwen3:1.7b\" does not support thinking","type":"api_error"}}"#,
                Field::ReasoningEffort,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"Developer instruction is not enabled for models/gemma-3","status":"INVALID_ARGUMENT"}}"#,
                Field::SystemRole,
            ),
            (
                400,
                r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"Unsupported parameter: 'top_p'\",\"param\":\"top_p\",\"code\":\"unsupported_parameter\"}}","provider_name":"OpenAI"}}}"#,
                Field::TopP,
            ),
        ] {
            let found = verdict(Dialect::Chat, status, None, body.as_bytes());
            let expected = (Class::Field, Some(Repair::Drop(Either::Chat(field))));
            assert_eq!((found.failure.class, found.repair), expected, "{body}");
            let inside = verdict_inside(Dialect::Chat, body.as_bytes());
            // Only where the body says itself that it is a 400.
            assert!(inside.failure.class == Class::Server || inside.repair == expected.1, "{body}");
        }
    }

    #[test]
    fn what_a_chat_client_did_wrong_is_not_repaired() {
        for body in [
            r#"{"object": "error", "message": "max_tokens must be positive", "type": "BadRequestError", "param": "max_tokens", "code": 400}"#,
            r#"{"error":{"message":"Invalid value: 'x'. Supported values are: 'low', 'high'.","param":"reasoning_effort","code":"invalid_value"}}"#,
            r#"{"error":{"code":"invalid_request_error","message":"messages[0]: unknown variant `image_url`, expected `text`"}}"#,
            r#"{"error":{"message":"Unsupported value: 'x'","param":"messages[0].content[1].type","code":"unsupported_value"}}"#,
            r#"{"error":{"message":"role 'user' is not allowed after role 'tool'"}}"#,
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","tools",0,"function","parameters","strict"],"msg":"Extra inputs are not permitted"}]}"#,
            // Cutting thinking would not bring back what is missing.
            r#"{"error":{"code":400,"message":"Function call is missing a thought_signature in functionCall parts.","status":"INVALID_ARGUMENT"}}"#,
            r#"{"error":{"message":"Error while downloading https://x.","type":"invalid_request_error","param":null,"code":"invalid_image_url"}}"#,
        ] {
            for status in [400, 422] {
                let found = verdict(Dialect::Chat, status, None, body.as_bytes());
                assert_eq!((found.failure.class, found.repair), (Class::Client, None), "{body}");
            }
        }
    }

    #[test]
    fn reasoning_that_is_missing_or_forged_cuts_the_thinking() {
        for message in [
            "The `reasoning_content` in the thinking mode must be passed back to the API.",
            "The reasoning_content in the thinking mode must be passed back to the API.",
            "thinking is enabled but reasoning_content is missing in assistant tool call message at index 2",
            "The encrypted content gAAA could not be verified. Reason: Encrypted content could not be decrypted or parsed.",
            "Invalid `signature` in `thinking` block",
        ] {
            let body = serde_json::json!({"error": {"message": message, "type": "invalid_request_error"}})
                .to_string();
            let found = verdict(Dialect::Chat, 400, None, body.as_bytes());
            assert_eq!(
                (found.failure.class, found.repair),
                (Class::Signature, Some(Repair::CutThinking)),
                "{message}"
            );
        }
    }

    #[test]
    fn each_client_is_told_in_its_own_format() {
        let pass = |client, target, status, body: &str| {
            let verdict = verdict(target, status, None, body.as_bytes());
            let passed = passed_on(client, target, &verdict, body.as_bytes(), "req_1").into_owned();
            (status_told(client, &verdict.failure), String::from_utf8(passed).unwrap())
        };
        let (messages, chat) = (Dialect::Messages, Dialect::Chat);
        let openai = |kind: &str, code: &str, message: &str| {
            format!(r#"{{"error":{{"message":"{message}","type":"{kind}","param":null,"code":{code}}}}}"#)
        };
        let overloaded = native("overloaded_error", "Overloaded");
        let busy = openai("server_error", r#""service_unavailable""#, "Overloaded");
        assert_eq!(pass(messages, messages, 529, &overloaded), (529, overloaded.clone()));
        assert_eq!(pass(chat, messages, 529, &overloaded), (503, busy.clone()));
        // An error of another dialect is never passed as it is, whoever sends it.
        assert_eq!(pass(chat, chat, 529, &overloaded), (503, busy));
        let limit = r#"{"error": {"message": "slow", "type": "requests", "param": null, "code": "rate_limit_exceeded"}}"#;
        assert_eq!(pass(chat, chat, 429, limit), (429, limit.to_owned()));
        assert_eq!(pass(messages, chat, 429, limit), (429, native("rate_limit_error", "slow")));
        let gone = r#"{"error":"model 'x' not found"}"#;
        let unknown = openai("invalid_request_error", r#""model_not_found""#, "model 'x' not found");
        assert_eq!(pass(chat, chat, 404, gone), (404, unknown));
        assert_eq!(pass(messages, chat, 404, gone), (404, native("not_found_error", "model 'x' not found")));
        assert_eq!(
            pass(chat, chat, 502, ""),
            (502, openai("server_error", "null", "the provider answered 502 without a message"))
        );
    }

    #[test]
    fn an_overflow_is_a_400_in_the_words_that_the_client_looks_for() {
        let long = native("invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum");
        let vllm = r#"{"error":{"message":"This model's maximum context length is 1000 tokens. However, your messages resulted in 1500 tokens.","type":"BadRequestError","param":null,"code":400}}"#;
        let own = r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
        let perplexity = r#"{"error":{"message":"The total length of all messages is too long.","type":"too_many_prompt_tokens","code":400}}"#;
        let sum = |limit: u64, needed: u64| {
            format!(
                "This model's maximum context length is {limit} tokens. However, your messages resulted in {needed} tokens. Please reduce the length of the messages."
            )
        };
        let (messages, chat) = (Dialect::Messages, Dialect::Chat);
        for (client, target, status, body, message) in [
            (messages, messages, 400, &*long, "prompt is too long: 208310 tokens > 200000 maximum"),
            (chat, messages, 400, &long, &sum(200_000, 208_310)),
            (messages, chat, 400, vllm, "prompt is too long: 1500 tokens > 1000 maximum"),
            (chat, chat, 500, vllm, &sum(1000, 1500)),
            (chat, chat, 400, own, "too long"),
            (messages, chat, 400, own, "prompt is too long: too long"),
            (
                chat,
                chat,
                400,
                perplexity,
                "This model's maximum context length was exceeded: The total length of all messages is too long.",
            ),
        ] {
            let verdict = verdict(target, status, None, body.as_bytes());
            assert_eq!(
                (verdict.failure.class, status_told(client, &verdict.failure)),
                (Class::Overflow, 400)
            );
            let passed = passed_on(client, target, &verdict, body.as_bytes(), "r");
            let passed: serde_json::Value = serde_json::from_slice(&passed).unwrap();
            assert_eq!(passed["error"]["message"], message, "{client:?} {body}");
            let code =
                if client == chat { "context_length_exceeded".into() } else { serde_json::Value::Null };
            assert_eq!(passed["error"]["code"], code, "{client:?} {body}");
        }
    }

    #[test]
    fn a_stream_ends_and_lives_on_in_the_clients_own_way() {
        let error = Error::new(Stage::Relay, Kind::BadGateway, "broke off");
        for (client, front, alive) in [
            (
                Dialect::Messages,
                &b"event: error\ndata: {\"type\":\"error\""[..],
                &b"event: ping\ndata: {\"type\": \"ping\"}\n\n"[..],
            ),
            (Dialect::Chat, b"data: {\"error\":{\"message\":\"broke off\"", b": keep-alive\n\n"),
        ] {
            let event = event(client, &error, "req_1");
            assert!(event.starts_with(front) && event.ends_with(b"}\n\n"), "{client:?}");
            assert_eq!(body_in(&[keep_alive(client), &event].concat()), body(client, &error, "req_1"));
            assert_eq!(keep_alive(client), alive);
        }
    }

    #[test]
    fn the_error_in_a_streams_beginning_is_found_in_every_dialect() {
        let chunk = r#"data: {"choices":[{"delta":{"role":"assistant","content":""}}],"error":null}"#;
        for (event, body) in [
            (r#"data: {"error":{"message":"m"}}"#, r#"{"error":{"message":"m"}}"#),
            ("event: error\ndata: {\"message\":\"m\"}", r#"{"message":"m"}"#),
            (r#"data: {"object":"error","message":"m"}"#, r#"{"object":"error","message":"m"}"#),
            (r#"data: {"type":"error","error":{}}"#, r#"{"type":"error","error":{}}"#),
            (r#"data: {"choices":[{"delta":{"content":"\"error\""}}]}"#, ""),
            ("data: [DONE]", ""),
        ] {
            let beginning = format!(": PROCESSING\n\n{chunk}\n\n{event}\n\ndata: [DONE]\n\n");
            assert_eq!(String::from_utf8(body_in(beginning.as_bytes())).unwrap(), body, "{event}");
        }
    }

    #[test]
    fn no_body_upsets_the_reading_of_errors() {
        for body in [
            "",
            "{",
            "[",
            "[[",
            "null",
            "{\"error\":",
            "{\"error\":{\"metadata\":{\"raw\":\"{\"}}}",
            "<title>",
            "\u{feff}{}",
        ] {
            for client in CLIENTS {
                for target in CLIENTS {
                    let verdict = verdict(target, 400, None, body.as_bytes());
                    let passed = passed_on(client, target, &verdict, body.as_bytes(), "r");
                    let passed: serde_json::Value = serde_json::from_slice(&passed).unwrap();
                    assert!(
                        passed["error"]["message"].as_str().is_some_and(|text| !text.is_empty()),
                        "{body}"
                    );
                }
            }
        }
    }
}
