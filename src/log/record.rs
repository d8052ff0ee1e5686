//! The record of one request: what was asked, who answered, when, and what it used.
//!
//! Column names follow the table of the request log, so that a later store takes it as it is. Holds no secret and no
//! content: ids, names, counts and times only.

use std::sync::Arc;

use serde::Serialize;

use crate::wire::meter::Usage;

/// One request. Times are microseconds; offsets count from `t_recv`, 0 = it did not happen.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Record {
    /// Our id, as told to the client.
    pub rid: String,
    /// The provider's id of the last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_rid: Option<String>,
    /// Received, Unix time.
    pub t_recv: u64,
    /// The request went to the (last) upstream.
    pub d_up: u64,
    /// The first byte of its answer.
    pub d_byte: u64,
    /// The first content.
    pub d_token: u64,
    /// The answer ended.
    pub d_end: u64,
    /// Own time up to the first upstream request.
    pub overhead_us: u64,
    /// The key's id.
    pub key: Arc<str>,
    /// The key's team, customer and owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<Arc<str>>,
    /// See `team`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<Arc<str>>,
    /// See `team`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Arc<str>>,
    /// The client's session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The client's sub-agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// `x-pointsman-tags`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<String>,
    /// `messages`, `count_tokens`, `models`.
    pub surface: &'static str,
    /// The model that the client asked for.
    pub asked: String,
    /// The provider that answered.
    pub provider: String,
    /// The id of its key.
    pub credential: String,
    /// The model that was sent.
    pub model: String,
    /// The model that the provider named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered: Option<String>,
    /// Every attempt: `openai-primary:429, gemini-fallback:ok`.
    pub attempts: String,
    /// Who was left out, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// What translation or shaping could not carry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<String>,
    /// Whether it was streamed.
    pub stream: bool,
    /// The status that the client got; 0: it was gone before.
    pub status: u16,
    /// Why the model stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<String>,
    /// Class of the failure that the client saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub err: Option<String>,
    /// Who cut the answer: `client`, `upstream`, `gateway`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_by: Option<&'static str>,
    /// Tokens, disjoint.
    pub usage: Usage,
    /// Whether the usage is final, partial (the answer was cut) or was never told: `final`, `partial`, `none`.
    pub usage_src: &'static str,
    /// The client's body.
    pub bytes_in: u64,
    /// What the client got, without heads and framing.
    pub bytes_out: u64,
}
