//! What the words of an error mean, where its status does not say it.
//!
//! Tables of codes and phrases, each as some provider or proxy writes it. Phrases are looked for in the message in
//! lower case; they are long enough not to turn up in what a client is told about its own mistake. Decides nothing
//! about statuses (that is [`super::verdict`]'s) and knows no field by name: each dialect has a table of its own.

use super::length;
use super::said::Said;
use crate::error::Length;

/// An error's words, ready to be looked through.
#[derive(Debug)]
pub struct Wording<'s> {
    said: &'s Said<'s>,
    /// The message in lower case, with straight apostrophes.
    message: String,
    kind: String,
    code: String,
}

impl<'s> Wording<'s> {
    pub(super) fn of(said: &'s Said<'s>) -> Self {
        Self {
            said,
            message: said.message.to_lowercase().replace('\u{2019}', "'"),
            kind: said.kind.to_ascii_lowercase(),
            code: said.code.to_ascii_lowercase(),
        }
    }

    /// The account has no money left.
    pub(super) fn money(&self) -> bool {
        self.coded(MONEY_CODES) || self.says(MONEY)
    }

    /// The credential is not taken.
    pub(super) fn credential(&self) -> bool {
        self.coded(CREDENTIAL_CODES) || self.says(CREDENTIAL)
    }

    /// The conversation is too long for the model.
    pub(super) fn overflow(&self) -> bool {
        self.coded(OVERFLOW_CODES) || self.says(OVERFLOW)
    }

    /// What an overflow tells of lengths.
    pub(super) fn length(&self) -> Length {
        length::told(&self.message)
    }

    /// A thinking block is not taken as it came back, or a turn lacks the one that it had.
    pub(super) fn signature(&self) -> bool {
        self.says(SIGNATURE)
    }

    /// The model is not there, or not for this account.
    pub(super) fn model(&self) -> bool {
        self.coded(MODEL_CODES)
            || self.says(MODEL)
            || (self.says(NAMING_MODEL) && self.says(&["does not exist", "not found", "not available"]))
    }

    /// Something else than the model is not there.
    pub(super) fn names_no_model(&self) -> bool {
        !self.message.contains("model") && self.says(&["file not found", "file_id", "container", "batch"])
    }

    /// The request is of a kind that this target does not take at all.
    pub(super) fn unable(&self) -> bool {
        self.says(UNABLE)
    }

    /// The content was found to break rules.
    pub(super) fn flagged(&self) -> bool {
        self.says(FLAGGED)
    }

    /// The first line of a table whose parts all stand in the message.
    pub fn phrase<F: Copy>(&self, table: &[(&[&str], F)]) -> Option<F> {
        let fits = |parts: &[&str]| parts.iter().all(|part| self.message.contains(part));
        table.iter().find(|(parts, _)| fits(parts)).map(|(_, found)| *found)
    }

    /// What a message refuses, if one thing is named; `at_path` knows the dialect's paths.
    pub fn refused<F>(&self, at_path: fn(&str) -> Option<F>) -> Option<F> {
        if self.coded(FIELD_CODES) && !self.said.param.is_empty() {
            return at_path(&self.said.param);
        }
        if !self.says(REFUSING) {
            return None;
        }
        let message = &*self.said.message;
        if let Some(path) = googled(message) {
            return at_path(&path);
        }
        let is_path = |word: &str| has_form_of_path(word) || at_path(word).is_some();
        match subject(message, is_path) {
            // `tools.0.custom.strict: Extra inputs are not permitted`: it is about this path and nothing else.
            Some(path) => at_path(path),
            None => self.behind_a_front().into_iter().chain(tokens(message)).find_map(at_path),
        }
    }

    /// What stands in quotes or brackets in the message.
    pub fn quoted(&self) -> impl Iterator<Item = &str> {
        quoted(&self.said.message)
    }

    /// Whether one of these stands in the message; they are in lower case.
    pub fn says(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.message.contains(phrase))
    }

    /// The word that a message ends its announcement with, quotes or not: `Argument not supported on this model: stop`.
    fn behind_a_front(&self) -> Option<&str> {
        let message = &*self.said.message;
        let lower = message.to_ascii_lowercase();
        let start = FRONTS.iter().find_map(|front| Some(lower.find(front)? + front.len()))?;
        let word = message.get(start..)?.split_whitespace().next()?;
        Some(word.trim_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '_')))
    }

    fn coded(&self, codes: &[&str]) -> bool {
        codes.contains(&self.code.as_str()) || codes.contains(&self.kind.as_str())
    }
}

/// Google's `Unknown name "strict" at 'tools[0].function': Cannot find field.` as one path.
fn googled(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("nknown name \"")?;
    let (name, rest) = rest.split_once('"')?;
    let (path, _) = rest.strip_prefix(" at '")?.split_once('\'')?;
    Some(format!("{path}.{name}"))
}

/// The path that stands in front of a colon, if one does; a proxy's own words may come before it.
fn subject(message: &str, is_path: impl Fn(&str) -> bool) -> Option<&str> {
    let fronts = message.match_indices(": ").filter_map(|(at, _)| message[..at].rsplit(' ').next());
    fronts.map(|word| word.trim_matches(['`', '"', '\''])).find(|word| is_path(word))
}

fn has_form_of_path(word: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-[]#/".contains(&byte);
    word.contains(['.', '_', '/']) && word.bytes().all(known)
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
    "key limit exceeded",
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
    // The same of providers that carry it in a field of Chat Completions.
    "in the thinking mode must be passed back",
    "reasoning_content is missing",
    "missing `reasoning_content`",
    "encrypted content could not be",
    "corrupted thought signature",
    "thought signature is not valid",
    "invalid thought signature",
];

const MODEL_CODES: &[&str] = &[
    "model_not_found",
    "model_not_available",
    "model_not_supported",
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

/// `OpenRouter` found no endpoint for what the request uses; without it the model is there.
const UNABLE: &[&str] = &["no endpoints found that support"];

/// A filter of an aggregator looked at the content, and refuses with the status of a bad key.
const FLAGGED: &[&str] = &["was flagged", "requires moderation"];

const FIELD_CODES: &[&str] = &["unsupported_parameter", "unsupported_value", "unknown_parameter"];

/// What stands right before the name of a field, which is in no quotes.
const FRONTS: &[&str] = &[
    "not supported on this model: ",
    "not support parameter ",
    "not support the parameter ",
    "request argument supplied: ",
    "request arguments supplied: ",
    "unsupported parameter: ",
    "unknown parameter: ",
];

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
