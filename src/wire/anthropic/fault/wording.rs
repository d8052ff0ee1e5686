//! What the words of an error mean, where its status does not say it.
//!
//! Tables of codes and phrases, each as some provider or proxy writes it. Phrases are looked for in the message in
//! lower case; they are long enough not to turn up in what a client is told about its own mistake. Decides nothing
//! about statuses: that is `fault`'s.

use super::length;
use super::said::Said;
use crate::error::Length;
use crate::wire::anthropic::repair::{Beta, Field};

/// An error's words, ready to be looked through.
#[derive(Debug)]
pub(super) struct Wording<'s> {
    said: &'s Said<'s>,
    /// The message in lower case, with straight apostrophes.
    message: String,
    kind: String,
    code: String,
}

impl<'s> Wording<'s> {
    pub fn of(said: &'s Said<'s>) -> Self {
        Self {
            said,
            message: said.message.to_lowercase().replace('\u{2019}', "'"),
            kind: said.kind.to_ascii_lowercase(),
            code: said.code.to_ascii_lowercase(),
        }
    }

    /// The account has no money left.
    pub fn money(&self) -> bool {
        self.coded(MONEY_CODES) || self.says(MONEY)
    }

    /// The credential is not taken.
    pub fn credential(&self) -> bool {
        self.coded(CREDENTIAL_CODES) || self.says(CREDENTIAL)
    }

    /// The conversation is too long for the model.
    pub fn overflow(&self) -> bool {
        self.coded(OVERFLOW_CODES) || self.says(OVERFLOW)
    }

    /// What an overflow tells of lengths.
    pub fn length(&self) -> Length {
        length::told(&self.message)
    }

    /// A thinking block is not taken as it came back, or a turn lacks the one that it had.
    pub fn signature(&self) -> bool {
        self.says(SIGNATURE)
    }

    /// The model is not there, or not for this account.
    pub fn model(&self) -> bool {
        self.coded(MODEL_CODES)
            || self.says(MODEL)
            || (self.says(NAMING_MODEL) && self.says(&["does not exist", "not found", "not available"]))
    }

    /// Something else than the model is not there.
    pub fn names_no_model(&self) -> bool {
        !self.message.contains("model") && self.says(&["file not found", "file_id", "container", "batch"])
    }

    /// What the model does not take, if one thing is named that can be left out.
    pub fn field(&self) -> Option<Field> {
        if let Some((_, field)) =
            PHRASES.iter().find(|(parts, _)| parts.iter().all(|part| self.message.contains(part)))
        {
            return Some(*field);
        }
        if self.message.contains("anthropic-beta") || self.message.contains("beta flag") {
            return Some(self.beta());
        }
        if self.coded(FIELD_CODES) {
            return at_path(&self.said.param);
        }
        if !self.says(REFUSING) {
            return None;
        }
        match subject(&self.said.message) {
            // `tools.0.custom.strict: Extra inputs are not permitted`: it is about this path and nothing else.
            Some(path) => at_path(path),
            None => tokens(&self.said.message).find_map(at_path),
        }
    }

    /// The beta that is refused; all of them where none or several are named.
    fn beta(&self) -> Field {
        let mut named = quoted(&self.said.message).filter(|word| word.contains("-20")).map(Beta::of);
        match named.next() {
            Some(first) if named.all(|other| other == first) => Field::Beta(first),
            _ => Field::Betas,
        }
    }

    fn coded(&self, codes: &[&str]) -> bool {
        codes.contains(&self.code.as_str()) || codes.contains(&self.kind.as_str())
    }

    fn says(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.message.contains(phrase))
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

/// The path that stands in front of a colon, if one does; a proxy's own words may come before it.
fn subject(message: &str) -> Option<&str> {
    let fronts = message.match_indices(": ").filter_map(|(at, _)| message[..at].rsplit(' ').next());
    fronts.map(|word| word.trim_matches(['`', '"', '\''])).find(|word| is_path(word))
}

fn is_path(word: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-[]#/".contains(&byte);
    (word.contains(['.', '_', '/']) && word.bytes().all(known)) || at_path(word).is_some()
}

/// Words of a message that may name a field: what stands in quotes or brackets, what is written as only a field is
/// (`top_k`, `output_config.effort`), and the few plain words that mean nothing else.
fn tokens(message: &str) -> impl Iterator<Item = &str> {
    let words = message.split(|c: char| !(c.is_ascii_alphanumeric() || "._".contains(c)));
    let named = words.map(|word| word.trim_matches('.'));
    quoted(message)
        .chain(named.filter(|word| word.contains('_') || matches!(*word, "temperature" | "thinking")))
}

fn quoted(message: &str) -> impl Iterator<Item = &str> {
    let inside = |(index, piece)| (index % 2 == 1).then_some(piece);
    let marks =
        ['`', '"', '\''].into_iter().flat_map(move |mark| message.split(mark).enumerate().filter_map(inside));
    let brackets = message.split('[').skip(1).filter_map(|rest| rest.split_once(']')).map(|(inner, _)| inner);
    marks.chain(brackets)
}

const MONEY_CODES: &[&str] = &[
    "billing_error",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_balance",
    "insufficient_credits",
    "insufficient_funds",
    "insufficient_quota",
    "payment_required",
];

const MONEY: &[&str] = &[
    "credit balance is too low",
    "insufficient account balance",
    "insufficient balance",
    "insufficient credit",
    "insufficient funds",
    "out of credits",
    "requires more credits",
    "used all available credits",
    "billing account is disabled",
    "requires billing to be enabled",
];

const CREDENTIAL_CODES: &[&str] = &[
    "authentication_error",
    "api_key_invalid",
    "invalid_api_key",
    "unauthenticated",
    "unrecognizedclientexception",
    "expiredtokenexception",
    "invalidsignatureexception",
    "missingauthenticationtokenexception",
];

const CREDENTIAL: &[&str] = &[
    "api key not valid",
    "api key not found",
    "api key expired",
    "api key is invalid",
    "api key is not valid",
    "invalid api key",
    "incorrect api key",
    "api key has been disabled",
    "invalid bearer token",
    "invalid authentication credentials",
    "credential is only authorized for use with",
    "organization has been disabled",
    "security token included in the request",
];

const OVERFLOW_CODES: &[&str] = &[
    "context_length_exceeded",
    "context_window_exceeded",
    "exceed_context_size_error",
    "too_many_prompt_tokens",
    "too_many_tokens",
];

const OVERFLOW: &[&str] = &[
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "exceed context limit",
    "exceeds context limit",
    "maximum context length",
    "max context length",
    "context length exceeded",
    "exceeds the context length",
    "context window exceeded",
    "exceeds the context window",
    "exceeds the model's context window",
    "available context size",
    "exceeds the maximum number of tokens",
    "exceeds the maximum prompt length",
    "maximum prompt length",
    "exceeds the limit of tokens",
    "input tokens exceeded",
    "input token count exceeds",
    "too many input tokens",
    "too many tokens: size limit exceeded",
    "total length of all messages is too long",
    "reduce the length of the messages",
    "reduce the length of your prompt",
];

const SIGNATURE: &[&str] = &[
    "`signature` in `thinking`",
    "signature in thinking",
    "`data` in `redacted_thinking`",
    "thinking block signature",
    "thinking.signature",
    "redacted_thinking.data",
    "invalid signature in",
    "`redacted_thinking` blocks in the latest assistant message cannot be modified",
    "thinking blocks cannot be modified",
    "thinking block cannot be modified",
    // The turn had thinking once, and another provider's was cut: without any, the model is asked not to think.
    "expected `thinking` or `redacted_thinking`, but found",
    "must start with a thinking block",
    "corrupted thought signature",
    "thought signature is not valid",
    "invalid thought signature",
];

const MODEL_CODES: &[&str] = &[
    "model_not_found",
    "model_not_available",
    "invalid_model",
    "unknown_model",
    "deploymentnotfound",
    "not_found_error",
    "resourcenotfoundexception",
];

const MODEL: &[&str] = &[
    "is not a valid model",
    "invalid model",
    "unknown model",
    "unsupported model",
    "model identifier is invalid",
    "model not found",
    "model is not supported",
    "reached the end of its life",
    "throughput isn't supported",
    "access to the model",
    "access to model",
    "not allowed to access model",
    "not a supported model",
];

/// How a message writes the name of the model that is not there.
const NAMING_MODEL: &[&str] = &["model `", "model '", "model \"", "model: ", "models/", "the model "];

const FIELD_CODES: &[&str] = &["unsupported_parameter", "unsupported_value", "unknown_parameter"];

/// What a message says of something that the model does not take, in contrast to something that is wrong.
const REFUSING: &[&str] = &[
    "extra inputs are not permitted",
    "not permitted",
    "not supported",
    "n't supported",
    "not support",
    "n't support",
    "unsupported",
    "not available",
    "not allowed",
    "not enabled",
    "deprecated",
    "unknown field",
    "unknown name",
    "unknown parameter",
    "unrecognized",
    "was unexpected",
    "extraneous key",
    "expected tags",
    "cannot both be specified",
];

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
