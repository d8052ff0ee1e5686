//! What the real Messages API refuses, in its own words.
//!
//! Wordings matter as much as statuses: clients repair their requests by them (`claude-code-traffic.md` section 5). They
//! are taken from recorded answers, from public reports of users, and from what the client looks for. Checks run in one order, and the
//! first refusal is the answer. The rules of the conversation itself are in `turns.rs`; what a family takes is a table
//! in [`super::models`]. Repairs nothing and answers nothing.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::models::{self, Family, Thinking};
use super::{Answer, Options, Request, reply, turns};

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

/// A request that the real API would take. Made by [`messages`] and [`count_tokens`] only.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The body; an object with a known model and a conversation in order.
    pub body: Value,
    /// What the model takes.
    pub family: &'static Family,
    _checked: (),
}

impl Asked {
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
            Some(kind) => kind != "disabled",
            None => matches!(self.family.thinking, Thinking::AdaptiveByDefault | Thinking::Always),
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
    window(&asked.body, asked.family)?;
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
    guard(is_date, || format!("anthropic-version: \"{version}\" is not a valid version"))
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
    tools(&body["tools"])?;
    tool_choice(&body)?;
    cache_marks(&body)?;
    turns::check(&body, family, request)?;
    Ok(Asked { body, family, _checked: () })
}

fn read(body: &[u8]) -> Result<Value, Refusal> {
    if body.len() > MAX_BODY {
        let message = "Request exceeds the maximum size".to_owned();
        return Err(Refusal { status: 413, kind: "request_too_large", message });
    }
    serde_json::from_slice(body)
        .map_err(|e| Refusal::invalid(format!("The request body is not valid JSON: {e}")))
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
    if let Some(temperature) = body["temperature"].as_f64() {
        let fits = (0.0..=1.0).contains(&temperature);
        guard(fits, || "temperature: range: 0..1".to_owned())?;
    }
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
    }
    Ok(())
}

fn effort(body: &Value, family: &Family) -> Result<(), Refusal> {
    let config = &body["output_config"];
    guard(config.is_null() || config.is_object(), || {
        "output_config: Input should be a valid dictionary".to_owned()
    })?;
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
    let capped = family.thinking == Thinking::AdaptiveByDefault && body["thinking"]["type"] == "disabled";
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
            budget(body)?;
        }
        "adaptive" => {
            guard(takes != Thinking::Never, || NO_THINKING.to_owned())?;
            guard(takes != Thinking::Budget, || {
                "adaptive thinking is not supported on this model".to_owned()
            })?;
        }
        "disabled" => guard(takes != Thinking::Always, || not_this_thinking(kind))?,
        "between_tools" => {}
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

fn budget(body: &Value) -> Result<(), Refusal> {
    let Some(budget) = body["thinking"]["budget_tokens"].as_u64() else {
        return Err(Refusal::invalid("thinking.enabled.budget_tokens: Field required"));
    };
    guard(budget >= 1024, || {
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024".to_owned()
    })?;
    let limit = body["max_tokens"].as_u64().unwrap_or(u64::MAX);
    guard(budget < limit, || format!("`max_tokens` must be greater than `thinking.budget_tokens`. {CONSULT}"))
}

fn display(thinking: &Value, kind: &str, request: &Request<'_>) -> Result<(), Refusal> {
    let fits = match thinking["display"].as_str() {
        None | Some("summarized" | "omitted") => true,
        Some("updates") => kind == "adaptive" && request.beta("thinking-display-updates-"),
        Some(_) => false,
    };
    guard(fits, || format!("thinking.{kind}.display: Input should be 'summarized' or 'omitted'"))
}

fn tools(tools: &Value) -> Result<(), Refusal> {
    let Some(list) = tools.as_array() else {
        return guard(tools.is_null(), || "tools: Input should be a valid list".to_owned());
    };
    let mut names = HashSet::new();
    for (i, tool) in list.iter().enumerate() {
        match tool["type"].as_str() {
            None | Some("custom") => custom_tool(i, tool)?,
            Some(kind) => {
                let known = SERVER_TOOLS.iter().any(|prefix| kind.starts_with(prefix));
                guard(known, || {
                    format!(
                        "tools.{i}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
                    )
                })?;
            }
        }
        let name = tool["name"].as_str().unwrap_or_default();
        guard(name.is_empty() || names.insert(name), || "tools: Tool names must be unique.".to_owned())?;
    }
    Ok(())
}

fn custom_tool(i: usize, tool: &Value) -> Result<(), Refusal> {
    let place = format!("tools.{i}.custom");
    let Some(name) = tool["name"].as_str() else {
        return Err(Refusal::invalid(format!("{place}.name: Field required")));
    };
    let fits = (1..=128).contains(&name.len()) && is_id(name);
    guard(fits, || format!("{place}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"))?;
    let schema = &tool["input_schema"];
    guard(!schema.is_null(), || format!("{place}.input_schema: Field required"))?;
    guard(schema.is_object(), || format!("{place}.input_schema: Input does not match the expected shape."))?;
    guard(!schema["type"].is_null(), || format!("{place}.input_schema.type: Field required"))?;
    guard(schema["type"] == "object", || format!("{place}.input_schema.type: Input should be 'object'"))?;
    tool.as_object().map_or(Ok(()), |fields| no_extras(fields, TOOL_FIELDS, &format!("{place}.")))
}

fn tool_choice(body: &Value) -> Result<(), Refusal> {
    let choice = &body["tool_choice"];
    if choice.is_null() {
        return Ok(());
    }
    let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    guard(!tools.is_empty(), || "tool_choice may only be specified while providing `tools`.".to_owned())?;
    let forced = match choice["type"].as_str() {
        Some("auto" | "none") => false,
        Some("any") => true,
        Some("tool") => {
            let name = choice["name"].as_str().unwrap_or_default();
            guard(!name.is_empty(), || "tool_choice.tool.name: Field required".to_owned())?;
            let offered = tools.iter().any(|tool| tool["name"] == name);
            guard(offered, || format!("Tool '{name}' not found in provided tools"))?;
            true
        }
        Some(other) => {
            return Err(Refusal::invalid(format!(
                "tool_choice: Input tag '{other}' found using 'type' does not match any of the expected tags: \
                 'any', 'auto', 'none', 'tool'"
            )));
        }
        None => return Err(Refusal::invalid("tool_choice.type: Field required")),
    };
    let thinks = matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive"));
    guard(!(forced && thinks), || "Thinking may not be enabled when tool_choice forces tool use.".to_owned())
}

/// At most four marks; only blocks of the system, tools, and messages (not what stands inside a result) are looked at.
fn cache_marks(body: &Value) -> Result<(), Refusal> {
    let messages = body["messages"].as_array().into_iter().flatten();
    let blocks = messages.filter_map(|message| message["content"].as_array()).flatten();
    let others = ["system", "tools"].into_iter().filter_map(|part| body[part].as_array()).flatten();
    let marks = blocks.chain(others).filter(|block| block["cache_control"].is_object()).count()
        + usize::from(body["cache_control"].is_object());
    guard(marks <= 4, || format!("A maximum of 4 blocks with cache_control may be provided. Found {marks}."))
}

fn output_limit(body: &Value, family: &Family) -> Result<(), Refusal> {
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

fn window(body: &Value, family: &Family) -> Result<(), Refusal> {
    let (tokens, most) = (reply::input_tokens(body), family.context);
    guard(tokens <= most, || format!("prompt is too long: {tokens} tokens > {most} maximum"))
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

/// Fields that exist only together with a beta header; a trailing `-` stands for any date.
const NEED_BETA: &[(&str, &str)] = &[
    ("context_management", "context-management-2025-06-27"),
    ("mcp_servers", "mcp-client-"),
    ("output_format", "structured-outputs-"),
    ("speed", "fast-mode-"),
    ("thread", "message-threads-"),
    ("fallback_credit_token", "fallback-credit-"),
];

const TOOL_FIELDS: &[&str] = &[
    "name",
    "description",
    "input_schema",
    "cache_control",
    "strict",
    "defer_loading",
    "input_examples",
    "eager_input_streaming",
    "allowed_callers",
    "type",
];

/// Beginnings of the types of tools that Anthropic defines.
const SERVER_TOOLS: &[&str] = &[
    "bash_",
    "text_editor_",
    "computer_",
    "memory_",
    "web_search_",
    "web_fetch_",
    "code_execution_",
    "tool_search_tool_",
    "advisor_",
    "mcp_toolset",
];
