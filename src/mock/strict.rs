//! What the real Messages API refuses, in its own words.
//!
//! Wordings matter as much as statuses: clients repair their requests by them (`claude-code-traffic.md` section 5). They
//! are taken from recorded answers, from public reports of users, and from what the client looks for. Checks run in one order, and the
//! first refusal is the answer. The rules of the conversation itself are in `turns.rs`; what a family takes is a table
//! in [`super::models`]. Repairs nothing and answers nothing.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::models::{self, Family, Thinking};
use super::{Answer, Options, Request, marks, offers, reply, turns};

/// A refusal before it is numbered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// `error.type`.
    pub kind: &'static str,
    /// `error.message`.
    pub message: String,
}

impl Refusal {
    /// A 400 `invalid_request_error`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { status: 400, kind: "invalid_request_error", message: message.into() }
    }

    /// The answer that carries it.
    pub fn answer(&self, number: u64) -> Answer {
        Answer::error(self.status, self.kind, &self.message, number)
    }
}

/// A request that the real API would take. Made by [`messages`], [`count_tokens`] and
/// `Asked::translated` only.
#[derive(Clone, Debug)]
#[allow(clippy::manual_non_exhaustive)] // A proof: nobody outside can build one.
pub struct Asked {
    /// The body; an object with a known model and a conversation in order.
    pub body: Value,
    /// What the model takes.
    pub family: &'static Family,
    _checked: (),
}

impl Asked {
    /// A request that came in another format and was checked there, put into this one for the brain.
    pub(super) fn translated(body: Value) -> Self {
        Self { body, family: models::mock(), _checked: () }
    }

    /// Whether events are wanted.
    pub fn stream(&self) -> bool {
        self.body["stream"] == true
    }

    /// The model's id as asked.
    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    /// Whether the model thinks before it answers.
    pub fn thinks(&self) -> bool {
        match self.body["thinking"]["type"].as_str() {
            Some(kind) => !matches!(kind, "disabled" | "between_tools"),
            None => self.family.thinks_by_default(),
        }
    }

    /// Whether the text of the thinking is shown: asked for, or the habit of the older families.
    pub fn shows_thinking(&self) -> bool {
        match self.body["thinking"]["display"].as_str() {
            Some(display) => display != "omitted",
            None => matches!(self.family.thinking, Thinking::Never | Thinking::Budget | Thinking::Both),
        }
    }
}

/// Checks a request of `POST /v1/messages`.
pub fn messages(request: &Request<'_>, options: &Options) -> Result<Asked, Refusal> {
    let asked = common(request, options, &[])?;
    output_limit(&asked.body, asked.family)?;
    window(&asked.body, asked.family, request)?;
    Ok(asked)
}

/// Checks a request of `POST /v1/messages/count_tokens`: the same without what concerns the output.
pub fn count_tokens(request: &Request<'_>, options: &Options) -> Result<Asked, Refusal> {
    common(request, options, &["max_tokens", "stream"])
}

/// Checks the headers that every endpoint wants: a key and a version.
pub fn headers(request: &Request<'_>, options: &Options) -> Result<(), Refusal> {
    if request.key().is_none() && !options.keyless {
        let message = "x-api-key header is required".to_owned();
        return Err(Refusal { status: 401, kind: "authentication_error", message });
    }
    let Some(version) = request.header("anthropic-version") else {
        return Err(Refusal::invalid("anthropic-version: header is required"));
    };
    let is_date = version.len() == 10 && version.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    guard(is_date, || format!("anthropic-version: \"{version}\" is not a valid version"))?;
    betas(request)
}

/// Betas come too fast for a list of them; what is refused is what cannot be one.
fn betas(request: &Request<'_>) -> Result<(), Refusal> {
    let lines = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("anthropic-beta"));
    let all = lines.flat_map(|(_, value)| value.split(',')).map(str::trim).filter(|beta| !beta.is_empty());
    let wrong: Vec<String> = all.filter(|beta| !is_beta(beta)).map(|beta| format!("`{beta}`")).collect();
    guard(wrong.is_empty(), || {
        format!(
            "Unexpected value(s) {} for the `anthropic-beta` header. Please consult our documentation at \
             docs.anthropic.com or try again without the header.",
            wrong.join(", ")
        )
    })
}

/// Whether it ends in a date, as all of them do: `name-2025-02-19`, or `claude-code-20250219`.
fn is_beta(text: &str) -> bool {
    let digits = text.bytes().rev().take_while(|b| b.is_ascii_digit() || *b == b'-');
    is_id(text) && digits.filter(u8::is_ascii_digit).count() >= 8
}

/// `Ok` if it holds, else a 400 with this message.
pub(super) fn guard(holds: bool, message: impl FnOnce() -> String) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(Refusal::invalid(message())) }
}

/// The first key of `fields` that is not among `known`, as the refusal of the field at `place`.
pub(super) fn no_extras(fields: &Map<String, Value>, known: &[&str], place: &str) -> Result<(), Refusal> {
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(Refusal::invalid(format!("{place}{key}: Extra inputs are not permitted"))),
    }
}

fn common(request: &Request<'_>, options: &Options, unwanted: &[&str]) -> Result<Asked, Refusal> {
    headers(request, options)?;
    let body = read(request.body)?;
    let Some(fields) = body.as_object() else {
        return Err(Refusal::invalid("Input should be a valid dictionary or object to extract fields from"));
    };
    top_level(fields, request, unwanted)?;
    let id = body["model"].as_str().unwrap_or_default();
    let Some(model) = models::find(id) else {
        return Err(Refusal { status: 404, kind: "not_found_error", message: format!("model: {id}") });
    };
    let family = model.family;
    plain_fields(&body)?;
    sampling(&body, family)?;
    effort(&body, family)?;
    thinking(&body, family, request)?;
    context_edits(&body, family)?;
    offers::check(&body)?;
    marks::check(&body, request)?;
    turns::check(&body, family, request)?;
    Ok(Asked { body, family, _checked: () })
}

fn read(body: &[u8]) -> Result<Value, Refusal> {
    if body.len() > MAX_BODY {
        let message = "Request exceeds the maximum size".to_owned();
        return Err(Refusal { status: 413, kind: "request_too_large", message });
    }
    let read = if body.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice(body).map(|Fields(fields)| Value::Object(fields))
    } else {
        serde_json::from_slice(body)
    };
    read.map_err(|e| Refusal::invalid(format!("The request body is not valid JSON: {e}")))
}

/// The members of an object, each key once: which of two would count is a guess.
struct Fields(Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Map::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if fields.contains_key(&key) {
                        return Err(A::Error::custom(format_args!("duplicate key `{key}`")));
                    }
                    fields.insert(key, value);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// Required fields, unknown fields, and fields that want their beta.
fn top_level(fields: &Map<String, Value>, request: &Request<'_>, unwanted: &[&str]) -> Result<(), Refusal> {
    for required in ["model", "max_tokens", "messages"] {
        let is_there = fields.contains_key(required) || unwanted.contains(&required);
        guard(is_there, || format!("{required}: Field required"))?;
    }
    let known: Vec<&str> = FIELDS.iter().copied().filter(|field| !unwanted.contains(field)).collect();
    no_extras(fields, &known, "")?;
    for (field, beta) in NEED_BETA {
        let goes = !fields.contains_key(*field) || request.beta(beta);
        guard(goes, || format!("{field}: Extra inputs are not permitted"))?;
    }
    guard(fields["model"].is_string(), || "model: Input should be a valid string".to_owned())
}

fn plain_fields(body: &Value) -> Result<(), Refusal> {
    let stream = &body["stream"];
    guard(stream.is_null() || stream.is_boolean(), || "stream: Input should be a valid boolean".to_owned())?;
    kinds(body)?;
    if let Some(fields) = body["metadata"].as_object() {
        no_extras(fields, &["user_id"], "metadata.")?;
    }
    let tier = &body["service_tier"];
    let fits = tier.is_null() || tier == "auto" || tier == "standard_only";
    guard(fits, || "service_tier: Input should be 'auto' or 'standard_only'".to_owned())?;
    let user = body["metadata"]["user_id"].as_str().unwrap_or_default();
    guard(user.chars().count() <= 256, || {
        "metadata.user_id: String should have at most 256 characters".to_owned()
    })?;
    for stop in body["stop_sequences"].as_array().into_iter().flatten() {
        let full = stop.as_str().is_some_and(|s| !s.trim().is_empty());
        guard(full, || "stop_sequences: each stop sequence must contain non-whitespace".to_owned())?;
    }
    system(&body["system"])
}

/// Fields of which the kind alone is looked at, or is looked at first.
fn kinds(body: &Value) -> Result<(), Refusal> {
    let of = |path: &str| path.split('.').fold(body, |value, name| &value[name]);
    for (path, kind, fits) in KINDS {
        let value = of(path);
        guard(value.is_null() || fits(value), || format!("{path}: Input should be a valid {kind}"))?;
    }
    Ok(())
}

fn system(system: &Value) -> Result<(), Refusal> {
    let Some(blocks) = system.as_array() else {
        let fits = system.is_null() || system.is_string();
        return guard(fits, || "system: Input should be a valid list".to_owned());
    };
    for (i, block) in blocks.iter().enumerate() {
        guard(block["type"] == "text", || format!("system.{i}.type: Input should be 'text'"))?;
        let text = block["text"].as_str();
        guard(text.is_some(), || format!("system.{i}.text: Field required"))?;
        guard(text != Some(""), || "system: text content blocks must be non-empty".to_owned())?;
    }
    Ok(())
}

fn sampling(body: &Value, family: &Family) -> Result<(), Refusal> {
    let given = |field: &str| !body[field].is_null();
    let is_default = |field: &str| body[field].as_f64() == Some(1.0);
    for field in ["temperature", "top_p"] {
        let number = body[field].as_f64();
        guard(!given(field) || number.is_some(), || format!("{field}: Input should be a valid number"))?;
        let fits = number.is_none_or(|n| (0.0..=1.0).contains(&n));
        guard(fits, || format!("{field}: range: 0..1"))?;
    }
    guard(!given("top_k") || body["top_k"].is_u64(), || "top_k: Input should be a valid integer".to_owned())?;
    if !family.sampling {
        for field in ["temperature", "top_p", "top_k"] {
            let fits = !given(field) || (field != "top_k" && is_default(field));
            guard(fits, || format!("`{field}` is deprecated for this model."))?;
        }
    }
    let one = !(given("temperature") && given("top_p")) || family.thinking == Thinking::Never;
    guard(one, || {
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.".to_owned()
    })?;
    if matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive")) {
        let fits = !given("temperature") || is_default("temperature");
        guard(fits, || format!("`temperature` may only be set to 1 when thinking is enabled. {CONSULT}"))?;
        guard(!given("top_k"), || format!("`top_k` must be unset when thinking is enabled. {CONSULT}"))?;
        let fits = body["top_p"].as_f64().is_none_or(|n| n >= 0.95);
        guard(fits, || {
            format!(
                "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled. {CONSULT}"
            )
        })?;
    }
    Ok(())
}

fn effort(body: &Value, family: &Family) -> Result<(), Refusal> {
    let config = &body["output_config"];
    if let Some(fields) = config.as_object() {
        no_extras(fields, &["effort", "format", "task_budget"], "output_config.")?;
    }
    let Some(level) = config["effort"].as_str() else { return Ok(()) };
    guard(!family.effort.is_empty(), || "This model does not support the effort parameter.".to_owned())?;
    let known = ["low", "medium", "high", "xhigh", "max"].contains(&level);
    guard(known, || {
        "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'".to_owned()
    })?;
    guard(family.effort.contains(&level), || {
        let levels = family.effort.join(", ");
        format!("This model does not support effort level '{level}'. Supported levels: {levels}.")
    })?;
    let off = ["disabled", "between_tools"].iter().any(|kind| body["thinking"]["type"] == *kind);
    let capped = matches!(family.thinking, Thinking::AdaptiveByDefault | Thinking::BetweenTools) && off;
    guard(!capped || !matches!(level, "xhigh" | "max"), || {
        format!("effort '{level}' is not supported when thinking is disabled for this model.")
    })
}

fn thinking(body: &Value, family: &Family, request: &Request<'_>) -> Result<(), Refusal> {
    let thinking = &body["thinking"];
    if thinking.is_null() {
        return Ok(());
    }
    let Some(kind) = thinking["type"].as_str() else {
        return Err(Refusal::invalid("thinking.type: Field required"));
    };
    let takes = family.thinking;
    match kind {
        "enabled" => {
            guard(takes != Thinking::Never, || NO_THINKING.to_owned())?;
            let fits = matches!(takes, Thinking::Budget | Thinking::Both);
            guard(fits, || not_this_thinking(kind))?;
            budget(body, request)?;
        }
        "adaptive" => {
            guard(takes != Thinking::Never, || NO_THINKING.to_owned())?;
            guard(takes != Thinking::Budget, || {
                "adaptive thinking is not supported on this model".to_owned()
            })?;
        }
        "disabled" => {
            let fits = !matches!(takes, Thinking::BetweenTools | Thinking::Always);
            guard(fits, || not_this_thinking(kind))?;
        }
        // No beta goes with it any more: Anthropic's page on the model asks for none.
        "between_tools" => guard(takes == Thinking::BetweenTools, || not_this_thinking(kind))?,
        other => {
            let tags = "'adaptive', 'disabled', 'enabled'";
            return Err(Refusal::invalid(format!(
                "thinking: Input tag '{other}' found using 'type' does not match any of the expected tags: {tags}"
            )));
        }
    }
    display(thinking, kind, request)?;
    let known: &[&str] = match kind {
        "enabled" => &["type", "budget_tokens", "display", "block_binding"],
        "adaptive" => &["type", "display", "block_binding"],
        _ => &["type"],
    };
    thinking.as_object().map_or(Ok(()), |fields| no_extras(fields, known, &format!("thinking.{kind}.")))
}

fn not_this_thinking(kind: &str) -> String {
    format!(
        "\"thinking.type.{kind}\" is not supported for this model. Use \"thinking.type.adaptive\" and \
         \"output_config.effort\" to control thinking behavior."
    )
}

fn budget(body: &Value, request: &Request<'_>) -> Result<(), Refusal> {
    let Some(budget) = body["thinking"]["budget_tokens"].as_u64() else {
        return Err(Refusal::invalid("thinking.enabled.budget_tokens: Field required"));
    };
    guard(budget >= 1024, || {
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024".to_owned()
    })?;
    let limit = body["max_tokens"].as_u64().unwrap_or(u64::MAX);
    // Between tool calls the budget is that of all answers together.
    let fits = budget < limit || request.beta("interleaved-thinking-");
    guard(fits, || format!("`max_tokens` must be greater than `thinking.budget_tokens`. {CONSULT}"))
}

fn display(thinking: &Value, kind: &str, request: &Request<'_>) -> Result<(), Refusal> {
    let fits = match thinking["display"].as_str() {
        None | Some("summarized" | "omitted") => true,
        Some("updates") => kind == "adaptive" && request.beta("thinking-display-updates-"),
        Some(_) => false,
    };
    guard(fits, || format!("thinking.{kind}.display: Input should be 'summarized' or 'omitted'"))
}

fn context_edits(body: &Value, family: &Family) -> Result<(), Refusal> {
    let thinks = match body["thinking"]["type"].as_str() {
        Some(kind) => !matches!(kind, "disabled" | "between_tools"),
        None => family.thinks_by_default(),
    };
    for (i, edit) in body["context_management"]["edits"].as_array().into_iter().flatten().enumerate() {
        let kind = edit["type"].as_str().unwrap_or_default();
        guard(EDITS.contains(&kind), || {
            let tags = EDITS.join("', '");
            format!(
                "context_management.edits.{i}: Input tag '{kind}' found using 'type' does not match any of the \
                 expected tags: '{tags}'"
            )
        })?;
        guard(thinks || !kind.starts_with("clear_thinking_"), || {
            format!("`{kind}` strategy requires `thinking` to be enabled or adaptive")
        })?;
    }
    Ok(())
}

fn output_limit(body: &Value, family: &Family) -> Result<(), Refusal> {
    guard(body["max_tokens"].as_i64().is_none_or(|limit| limit >= 0), || {
        "max_tokens: Input should be greater than or equal to 0".to_owned()
    })?;
    let Some(limit) = body["max_tokens"].as_u64() else {
        return Err(Refusal::invalid("max_tokens: Input should be a valid integer"));
    };
    let most = family.max_output;
    guard(limit <= most, || {
        let model = body["model"].as_str().unwrap_or_default();
        format!(
            "max_tokens: {limit} > {most}, which is the maximum allowed number of output tokens for {model}"
        )
    })
}

fn window(body: &Value, family: &Family, request: &Request<'_>) -> Result<(), Refusal> {
    let million = family.long_by_beta && request.beta("context-1m-");
    let (tokens, most) = (reply::input_tokens(body), if million { 1_000_000 } else { family.context });
    guard(tokens <= most, || format!("prompt is too long: {tokens} tokens > {most} maximum"))?;
    let limit = body["max_tokens"].as_u64().unwrap_or(0);
    guard(!family.counts_output || tokens + limit <= most, || {
        format!(
            "input length and `max_tokens` exceed context limit: {tokens} + {limit} > {most}, decrease input length or \
             `max_tokens` and try again"
        )
    })
}

/// Whether all characters may stand in a tool's name or id.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// The real limit of the API.
const MAX_BODY: usize = 32 * 1024 * 1024;
const CONSULT: &str =
    "Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking";
const NO_THINKING: &str = "thinking is not supported on this model";

/// Fields of a request (`wire.md` section 1.2). Some are betas that nobody has seen refused.
const FIELDS: &[&str] = &[
    "model",
    "max_tokens",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "stream",
    "thinking",
    "output_config",
    "metadata",
    "cache_control",
    "service_tier",
    "context_management",
    "container",
    "mcp_servers",
    "inference_geo",
    "speed",
    "diagnostics",
    "fallbacks",
    "fallback_credit_token",
    "thread",
    "compaction",
    "billing_policy",
    "user_profile_id",
    "workspace_id",
    "output_format",
];

const EDITS: &[&str] = &["clear_tool_uses_20250919", "clear_thinking_20251015", "compact_20260112"];

/// What a field must be, unless it is null or absent, in the words of the refusal.
#[allow(clippy::type_complexity)] // A table of three columns.
const KINDS: &[(&str, &str, fn(&Value) -> bool)] = &[
    ("metadata", "dictionary", Value::is_object),
    ("metadata.user_id", "string", Value::is_string),
    ("stop_sequences", "list", Value::is_array),
    ("thinking", "dictionary", Value::is_object),
    ("thinking.type", "string", Value::is_string),
    ("thinking.display", "string", Value::is_string),
    ("output_config", "dictionary", Value::is_object),
    ("output_config.effort", "string", Value::is_string),
    ("output_config.format", "dictionary", Value::is_object),
    ("output_config.task_budget", "dictionary", Value::is_object),
    ("output_format", "dictionary", Value::is_object),
    ("context_management", "dictionary", Value::is_object),
    ("context_management.edits", "list", Value::is_array),
    ("tool_choice", "dictionary", Value::is_object),
    ("mcp_servers", "list", Value::is_array),
    ("service_tier", "string", Value::is_string),
    ("inference_geo", "string", Value::is_string),
    ("speed", "string", Value::is_string),
];

/// Fields that exist only together with a beta header; a trailing `-` stands for any date.
const NEED_BETA: &[(&str, &str)] = &[
    ("context_management", "context-management-2025-06-27"),
    ("mcp_servers", "mcp-client-"),
    ("output_format", "structured-outputs-"),
    ("speed", "fast-mode-"),
    ("thread", "message-threads-"),
    ("fallback_credit_token", "fallback-credit-"),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A request that is good for every model, with `changes` over it.
    fn check(changes: &Value, betas: &str) -> Result<Asked, Refusal> {
        let mut body = json!({
            "model": "claude-haiku-4-5", "max_tokens": 2000, "messages": [{"role": "user", "content": "hi"}],
        });
        for (field, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(body.as_object_mut().unwrap().remove(field)),
                value => body[field] = value.clone(),
            }
        }
        let text = body.to_string();
        let headers = [("x-api-key", "k"), ("anthropic-version", "2023-06-01"), ("anthropic-beta", betas)];
        let request =
            Request { method: "POST", path: "", query: "", headers: &headers, body: text.as_bytes() };
        messages(&request, &Options::default())
    }

    /// Each case: what is changed, the betas asked for, and a part of the refusal; empty where there is none.
    fn table(cases: &[(Value, &str, &str)]) {
        for (changes, betas, expected) in cases {
            match check(changes, betas) {
                Ok(_) => assert_eq!(*expected, "", "{changes} was let through"),
                Err(refusal) => {
                    assert!(!expected.is_empty(), "{changes} was refused: {}", refusal.message);
                    assert!(refusal.message.contains(expected), "{changes}: {}", refusal.message);
                }
            }
        }
    }

    #[test]
    fn headers_are_wanted() {
        let body =
            br#"{"model":"claude-haiku-4-5","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}"#;
        for (headers, status, part) in [
            (vec![], 401, "x-api-key header is required"),
            (vec![("x-api-key", "k")], 400, "anthropic-version: header is required"),
            (
                vec![("authorization", "Bearer k"), ("anthropic-version", "latest")],
                400,
                "is not a valid version",
            ),
            (
                vec![("x-api-key", "k"), ("anthropic-version", "2023-06-01"), ("anthropic-beta", "nonsense")],
                400,
                "Unexpected value(s) `nonsense`",
            ),
            (
                vec![
                    ("x-api-key", "k"),
                    ("anthropic-version", "2023-06-01"),
                    ("anthropic-beta", "claude-code-20250219,effort-2025-11-24"),
                ],
                200,
                "",
            ),
        ] {
            let request = Request { method: "POST", path: "", query: "", headers: &headers, body };
            let found = messages(&request, &Options::default());
            let (found, message) = found.map_or_else(|r| (r.status, r.message), |_| (200, String::new()));
            assert!(found == status && message.contains(part), "{headers:?}: {found} {message}");
        }
    }

    #[test]
    fn plain_fields() {
        let long = "x".repeat(257);
        table(&[
            (json!({}), "", ""),
            (json!({"max_tokens": null}), "", "max_tokens: Field required"),
            (json!({"max_tokens": -1}), "", "greater than or equal to 0"),
            (json!({"max_tokens": "many"}), "", "max_tokens: Input should be a valid integer"),
            (
                json!({"max_tokens": 64_001}),
                "",
                "max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens for claude-haiku-4-5",
            ),
            (json!({"no_such_field": 1}), "", "no_such_field: Extra inputs are not permitted"),
            (json!({"model": "claude-sonet-4-5"}), "", "model: claude-sonet-4-5"),
            (json!({"model": 4}), "", "model: Input should be a valid string"),
            (json!({"stream": "yes"}), "", "stream: Input should be a valid boolean"),
            (json!({"metadata": {"user_id": long}}), "", "at most 256 characters"),
            (json!({"metadata": {"team": "a"}}), "", "metadata.team: Extra inputs"),
            (json!({"service_tier": "gold"}), "", "service_tier: Input should be"),
            (json!({"metadata": "x"}), "", "metadata: Input should be a valid dictionary"),
            (json!({"metadata": {"user_id": 5}}), "", "metadata.user_id: Input should be a valid string"),
            (json!({"stop_sequences": "x"}), "", "stop_sequences: Input should be a valid list"),
            (json!({"thinking": "adaptive"}), "", "thinking: Input should be a valid dictionary"),
            (
                json!({"output_config": {"effort": 5}}),
                "",
                "output_config.effort: Input should be a valid string",
            ),
            (json!({"tool_choice": "any"}), "", "tool_choice: Input should be a valid dictionary"),
            (
                json!({"context_management": "all"}),
                "context-management-2025-06-27",
                "context_management: Input should be a valid dictionary",
            ),
            (json!({"stop_sequences": [" "]}), "", "non-whitespace"),
            (json!({"system": [{"type": "image"}]}), "", "system.0.type"),
            (
                json!({"context_management": {"edits": []}}),
                "",
                "context_management: Extra inputs are not permitted",
            ),
            (json!({"context_management": {"edits": []}}), "context-management-2025-06-27", ""),
            (
                json!({"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}}),
                "context-management-2025-06-27",
                "`clear_thinking_20251015` strategy requires `thinking` to be enabled",
            ),
        ]);
    }

    #[test]
    fn a_body_with_a_key_that_stands_there_twice_is_refused() {
        let headers = [("x-api-key", "k"), ("anthropic-version", "2023-06-01")];
        let sent = |body: &str| {
            let body = body.as_bytes();
            let request = Request { method: "POST", path: "", query: "", headers: &headers, body };
            messages(&request, &Options::default()).map(drop).map_err(|refusal| refusal.message)
        };
        let rest = r#""max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;
        for (front, key) in [
            (r#"{"model":"x","model":"claude-haiku-4-5","#, "model"),
            (r#"{"model":"claude-haiku-4-5","mod\u0065l":"x","#, "model"),
            (r#" {"metadata":{},"model":"claude-haiku-4-5","metadata":{},"#, "metadata"),
        ] {
            let refused = sent(&format!("{front}{rest}")).unwrap_err();
            assert!(refused.contains(&format!("duplicate key `{key}`")), "{refused}");
        }
        assert_eq!(sent(&format!(r#"{{"model":"claude-haiku-4-5",{rest}"#)), Ok(()));
    }

    #[test]
    fn thinking_between_tools_is_for_the_model_that_has_it_and_stands_there_for_disabled() {
        let with = |model: &str, kind: &str| json!({"model": model, "thinking": {"type": kind}});
        let effort = |level: &str| json!({"model": "claude-sonnet-5-5", "thinking": {"type": "between_tools"}, "output_config": {"effort": level}});
        let refused = "\"thinking.type.between_tools\" is not supported for this model";
        table(&[
            (with("claude-sonnet-5-5", "between_tools"), "", ""),
            (with("claude-sonnet-5-5", "adaptive"), "", ""),
            (with("claude-sonnet-5-5", "disabled"), "", "\"thinking.type.disabled\" is not supported"),
            (with("claude-opus-5-5", "disabled"), "", "\"thinking.type.disabled\" is not supported"),
            (with("claude-opus-5-5", "between_tools"), "", refused),
            (with("claude-haiku-5-5", "between_tools"), "", refused),
            (with("claude-opus-4-6", "between_tools"), "", refused),
            (with("claude-haiku-4-5", "between_tools"), "", refused),
            (with("claude-3-5-haiku", "between_tools"), "", refused),
            (effort("high"), "", ""),
            (effort("xhigh"), "", "effort 'xhigh' is not supported when thinking is disabled"),
        ]);
    }

    #[test]
    fn sampling_thinking_and_effort_follow_the_family() {
        let adaptive = json!({"type": "adaptive"});
        let budget = |n: u32| json!({"type": "enabled", "budget_tokens": n});
        table(&[
            (json!({"temperature": 0.5}), "", ""),
            (json!({"temperature": 1.5}), "", "temperature: range: 0..1"),
            (json!({"temperature": "hot"}), "", "temperature: Input should be a valid number"),
            (json!({"temperature": 0.5, "top_p": 0.9}), "", "cannot both be specified"),
            (
                json!({"model": "claude-opus-5-5", "temperature": 0.5}),
                "",
                "`temperature` is deprecated for this model.",
            ),
            (json!({"model": "claude-opus-5-5", "temperature": 1}), "", ""),
            (json!({"thinking": budget(1024), "temperature": 0.5}), "", "may only be set to 1 when thinking"),
            (
                json!({"thinking": budget(1024), "top_p": 0.5}),
                "",
                "`top_p` must be greater than or equal to 0.95",
            ),
            (json!({"thinking": budget(1024)}), "", ""),
            (json!({"thinking": budget(100)}), "", "greater than or equal to 1024"),
            (
                json!({"thinking": budget(2000)}),
                "",
                "`max_tokens` must be greater than `thinking.budget_tokens`",
            ),
            (json!({"thinking": budget(4000)}), "interleaved-thinking-2025-05-14", ""),
            (json!({"thinking": adaptive}), "", "adaptive thinking is not supported on this model"),
            (
                json!({"thinking": budget(1024), "model": "claude-opus-5-5"}),
                "",
                "\"thinking.type.enabled\" is not supported for this model",
            ),
            (json!({"thinking": adaptive, "model": "claude-opus-5-5"}), "", ""),
            (
                json!({"thinking": {"type": "adaptive", "display": "updates"}, "model": "claude-opus-5-5"}),
                "",
                "thinking.adaptive.display",
            ),
            (
                json!({"thinking": {"type": "adaptive", "display": "updates"}, "model": "claude-opus-5-5"}),
                "thinking-display-updates-2026-08-18",
                "",
            ),
            (
                json!({"thinking": {"type": "disabled"}, "model": "claude-fable-5"}),
                "",
                "\"thinking.type.disabled\" is not supported",
            ),
            (json!({"output_config": {"effort": "high"}}), "", "does not support the effort parameter"),
            (
                json!({"output_config": {"effort": "xhigh"}, "model": "claude-opus-4-6"}),
                "",
                "Supported levels: high, low, max, medium.",
            ),
            (json!({"output_config": {"effort": "high"}, "model": "claude-opus-4-6"}), "", ""),
            (json!({"output_config": {"efort": "high"}}), "", "output_config.efort: Extra inputs"),
        ]);
    }

    #[test]
    fn tools_and_schemas() {
        let tool = |schema: Value| json!([{"name": "t", "input_schema": schema}]);
        let format =
            |schema: Value| json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}});
        let good = || json!({"type": "object", "properties": {"a": {"type": "string"}}});
        table(&[
            (json!({"tools": tool(good())}), "", ""),
            (
                json!({"tools": tool(json!({"properties": {}}))}),
                "",
                "tools.0.custom.input_schema.type: Field required",
            ),
            (
                json!({"tools": tool(json!({"type": "object", "anyOf": []}))}),
                "",
                "does not support oneOf, allOf, or anyOf at the top level",
            ),
            (
                json!({"tools": tool(json!({"type": "object", "properties": {"a b": {}}}))}),
                "",
                "Property keys should match pattern",
            ),
            (
                json!({"tools": tool(json!({"type": "object", "required": "a"}))}),
                "",
                "JSON schema is invalid",
            ),
            (
                json!({"tools": [{"name": "a b", "input_schema": good()}]}),
                "",
                "tools.0.custom.name: String should match pattern",
            ),
            (
                json!({"tools": [{"name": "t", "input_schema": good(), "extra": 1}]}),
                "",
                "tools.0.custom.extra: Extra inputs",
            ),
            (
                json!({"tools": [{"name": "t", "input_schema": good()}, {"name": "t", "input_schema": good()}]}),
                "",
                "Tool names must be unique",
            ),
            (json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}), "", ""),
            (json!({"tools": [{"type": "function", "name": "t"}]}), "", "Input tag 'function'"),
            (
                json!({"tools": [{"name": "t", "input_schema": good(), "defer_loading": true, "cache_control": {"type": "ephemeral"}}]}),
                "",
                "cannot have both defer_loading=true and cache_control set",
            ),
            (json!({"tool_choice": {"type": "any"}}), "", "only be specified while providing `tools`"),
            (
                json!({"tools": tool(good()), "tool_choice": {"type": "tool", "name": "u"}}),
                "",
                "Tool 'u' not found in provided tools",
            ),
            (
                json!({"tools": tool(good()), "tool_choice": {"type": "any"}, "thinking": {"type": "enabled", "budget_tokens": 1024}}),
                "",
                "Thinking may not be enabled when tool_choice forces tool use",
            ),
            (format(json!({"type": "object", "additionalProperties": false})), "", ""),
            (
                format(json!({"type": "object", "properties": {}})),
                "",
                "'additionalProperties' must be explicitly set to false",
            ),
            (
                format(json!({"type": "array", "items": {"type": "object"}})),
                "",
                "'additionalProperties' must be explicitly set to false",
            ),
        ]);
    }

    #[test]
    fn marks_of_the_cache() {
        let text = |ttl: &str| json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": ttl}});
        let user = |blocks: Vec<Value>| json!([{"role": "user", "content": blocks}]);
        let scoped =
            json!([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "scope": "global"}}]);
        table(&[
            (json!({"messages": user(vec![text("5m"); 4])}), "", ""),
            (
                json!({"messages": user(vec![text("5m"); 5])}),
                "",
                "A maximum of 4 blocks with cache_control may be provided. Found 5.",
            ),
            (
                json!({"messages": user(vec![text("2h")])}),
                "",
                "cache_control.ttl: Input should be '5m' or '1h'",
            ),
            (json!({"messages": user(vec![text("1h"), text("5m")])}), "", ""),
            (
                json!({"messages": user(vec![text("5m"), text("1h")])}),
                "",
                "messages.0.content.1.cache_control.ttl: a ttl='1h' cache_control block must not come after",
            ),
            (json!({"system": scoped}), "", "scope: Extra inputs are not permitted"),
            (json!({"system": scoped}), "prompt-caching-scope-2026-01-05", ""),
        ]);
    }

    #[test]
    fn the_conversation() {
        let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "t", "input": {}});
        let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "r"});
        let after = |assistant: Value, user: Value| {
            json!({"messages": [
                {"role": "user", "content": "hi"}, {"role": "assistant", "content": assistant}, {"role": "user", "content": user},
            ]})
        };
        let only = |message: Value| json!({ "messages": [message] });
        let signed =
            |text: &str| json!({"type": "thinking", "thinking": "a", "signature": reply::signature(text, 1)});
        let said = json!({"type": "text", "text": "b"});
        table(&[
            (json!({"messages": []}), "", "at least one message is required"),
            (
                only(json!({"role": "assistant", "content": "hi"})),
                "",
                "first message must use the \"user\" role",
            ),
            (only(json!({"role": "tool", "content": "hi"})), "", "Unexpected role \"tool\""),
            (only(json!({"role": "user", "content": ""})), "", "must have non-empty content"),
            (
                only(json!({"role": "user", "content": [{"type": "text", "text": " "}]})),
                "",
                "must contain non-whitespace text",
            ),
            (
                only(json!({"role": "user", "content": "hi", "name": "bob"})),
                "",
                "messages.0.name: Extra inputs",
            ),
            (after(json!([call("a")]), json!([result("a")])), "", ""),
            (after(json!([call("a"), call("b")]), json!([result("b"), result("a"), said])), "", ""),
            (
                after(json!([call("a"), call("b")]), json!([result("a")])),
                "",
                "`tool_use` ids were found without `tool_result` blocks immediately after: b",
            ),
            (
                after(json!([call("a")]), json!([said, result("a")])),
                "",
                "without `tool_result` blocks immediately after: a",
            ),
            (
                after(json!([call("a")]), json!([result("a"), result("a")])),
                "",
                "each tool_use must have a single result",
            ),
            (after(json!([call("a"), call("a")]), json!([result("a")])), "", "`tool_use` ids must be unique"),
            (
                after(json!("ok"), json!([result("a")])),
                "",
                "unexpected `tool_use_id` found in `tool_result` blocks: a",
            ),
            (
                after(json!([call("a!")]), json!([result("a!")])),
                "",
                "tool_use.id: String should match pattern",
            ),
            (
                after(
                    json!([call("a")]),
                    json!([{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "tool_reference", "tool_name": "x"}]}]),
                ),
                "",
                "Tool reference 'x' not found in available tools",
            ),
            (
                after(
                    json!([call("a")]),
                    json!([{"type": "tool_result", "tool_use_id": "a", "is_error": true, "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}]}]),
                ),
                "",
                "all content must be type `text` if `is_error` is true",
            ),
            (after(json!([signed("a"), said]), json!("ok")), "", ""),
            (
                after(json!([signed("b"), said]), json!("ok")),
                "",
                "messages.1.content.0: Invalid `signature` in `thinking` block",
            ),
            (
                after(json!([{"type": "thinking", "thinking": "a"}, said]), json!("ok")),
                "",
                "thinking.signature: Field required",
            ),
            (
                only(json!({"role": "user", "content": [signed("a")]})),
                "",
                "can only be in `assistant` messages",
            ),
            (
                only(
                    json!({"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": "aa"}}]}),
                ),
                "",
                "media_type: Input should be",
            ),
            (only(json!({"role": "user", "content": [{"type": "video"}]})), "", "Input tag 'video'"),
            (
                json!({"model": "claude-opus-5-5", "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}),
                "",
                "does not support assistant message prefill",
            ),
            (
                json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}),
                "",
                "",
            ),
            (
                json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b "}]}),
                "",
                "trailing whitespace",
            ),
            (
                json!({"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]}),
                "",
                "role 'system' is not supported on this model",
            ),
            (
                json!({"model": "claude-opus-5-5", "messages": [{"role": "user", "content": "a"}, {"role": "system", "content": []}]}),
                "",
                "",
            ),
            (
                json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "messages": [
                    {"role": "user", "content": "a"}, {"role": "assistant", "content": [call("a")]}, {"role": "user", "content": [result("a")]},
                ]}),
                "",
                "Expected `thinking` or `redacted_thinking`, but found `tool_use`",
            ),
        ]);
    }

    #[test]
    fn the_window() {
        let long = |tokens: usize| json!([{"role": "user", "content": "abcd".repeat(tokens)}]);
        table(&[
            (json!({"messages": long(201_000)}), "", "prompt is too long: 201"),
            (json!({"messages": long(199_000)}), "", ""),
            (json!({"model": "claude-sonnet-4-5", "messages": long(201_000)}), "context-1m-2025-08-07", ""),
            (
                json!({"model": "claude-opus-4-1", "messages": long(199_000)}),
                "",
                "input length and `max_tokens` exceed context limit: 199",
            ),
        ]);
    }
}
