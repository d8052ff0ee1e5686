//! What a provider of the environment is asked for, so that a client of Claude works over it without a file.
//!
//! Model ids are those of the price table of 2026-11-25 (`OpenRouter`, which it does not list, spells Claude's with dots), chosen
//! for tools, a long window and a price near that of the model they stand in for; Gemini's are of the generation that
//! demands no signatures with calls, which its compatible endpoint has no place for. A name of the provider's own goes there
//! as it is. Data only: a file with `models` says it better.

use super::pattern::Pattern;
use super::snapshot::{Kind, Models};

/// A type that the environment may name, by the variable of its key.
#[derive(Debug)]
pub struct StandIn {
    /// The type.
    pub kind: Kind,
    /// Patterns of its own names.
    own: &'static [&'static str],
    /// For Opus, for Haiku, and for everything else.
    models: [&'static str; 3],
}

/// In the order in which they are asked: Anthropic needs no stand-ins; then those whose models are nearest.
#[rustfmt::skip]
pub static STAND_INS: &[StandIn] = &[
    of(Kind::OpenAi, &["gpt-*", "chatgpt-*", "o1*", "o3*", "o4*", "text-embedding-*"], ["gpt-5.5", "gpt-5.4-mini", "gpt-5.4"]),
    of(Kind::Gemini, &["gemini-*", "gemma-*"], ["gemini-2.5-pro", "gemini-2.5-flash-lite", "gemini-2.5-flash"]),
    of(Kind::OpenRouter, &["*/*"], ["anthropic/claude-opus-4.6", "anthropic/claude-haiku-4.5", "anthropic/claude-sonnet-4.6"]),
    of(Kind::Xai, &["grok-*"], ["grok-4.7", "grok-4.3", "grok-4.7"]),
    of(Kind::DeepSeek, &["deepseek-*"], ["deepseek-v4-pro", "deepseek-v4-flash", "deepseek-v4-pro"]),
    of(Kind::Moonshot, &["kimi-*", "moonshot-*"], ["kimi-k3", "kimi-k2.7-code", "kimi-k3.1-pro"]),
    of(Kind::Zai, &["glm-*"], ["glm-5.3", "glm-5.3-flash", "glm-5.3"]),
    of(Kind::Mistral, &["*stral*"], ["mistral-medium-latest", "mistral-small-latest", "mistral-medium-latest"]),
    of(Kind::Fireworks, &["accounts/*"], ["accounts/fireworks/models/kimi-k3p1-pro", "accounts/fireworks/models/glm-5p3-flash", "accounts/fireworks/models/kimi-k3p1-pro"]),
    of(Kind::Together, &["*/*"], ["moonshotai/Kimi-K3.1-Pro", "zai-org/GLM-5.3-Flash", "moonshotai/Kimi-K3.1-Pro"]),
    of(Kind::Groq, &["*/*", "llama-*"], ["openai/gpt-oss-120b", "openai/gpt-oss-20b", "openai/gpt-oss-120b"]),
    of(Kind::Cerebras, &["gpt-oss-*", "gemma-*", "llama*", "qwen-*"], ["gpt-oss-120b", "gpt-oss-120b", "gpt-oss-120b"]),
    of(Kind::Perplexity, &["sonar*"], ["sonar-pro", "sonar", "sonar-pro"]),
];

const fn of(kind: Kind, own: &'static [&'static str], models: [&'static str; 3]) -> StandIn {
    StandIn { kind, own, models }
}

impl StandIn {
    /// `models` as a file would have it.
    pub fn models(&self) -> Models {
        let own = self.own.iter().map(|own| (*own, "*"));
        let [opus, haiku, rest] = self.models;
        // `*` last: also models of other families, so that a request for them survives its own provider.
        let claude = [("*claude*opus*", opus), ("*claude*haiku*", haiku), ("*", rest)];
        let pair = |(from, to): (&str, &str)| (Pattern::new(from), to.to_owned());
        Models::Map(own.chain(claude).map(pair).collect())
    }
}
