//! The table of provider types: which dialect each speaks, how its form of it differs, and how it wants its key.
//!
//! Addresses and versions are the configuration's (`config::types`), and the traits stand in `super::traits`. Looks
//! inside no message.

use super::traits as table;
use crate::config::snapshot::Kind;
use crate::wire::Dialect;
use crate::wire::traits::{CHAT, MESSAGES, Traits};

/// One provider type.
#[derive(Debug)]
pub struct Entry {
    /// What it is asked in.
    pub dialect: Dialect,
    /// How its form of the dialect differs.
    pub traits: Traits,
    /// How its key is sent.
    pub auth: Auth,
    /// The field that tells it the session, so that a prompt cache is found again (wire.md 17).
    pub session: Option<&'static str>,
    /// It is a server of the user's own: what it answers costs nothing.
    pub local: bool,
}

/// How a key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `x-api-key`.
    ApiKey,
    /// `authorization: Bearer`.
    Bearer,
    /// Both: servers that speak the format look in one place or the other.
    Both,
}

/// The entry of a type.
pub fn entry(kind: Kind) -> &'static Entry {
    match kind {
        Kind::Anthropic | Kind::Mock => &const { messages(Auth::ApiKey) },
        Kind::AnthropicCompatible => &const { messages(Auth::Both) },
        Kind::OpenAi => &const { chat(CHAT) },
        Kind::OpenAiCompatible => &const { chat(table::COMPATIBLE) },
        Kind::Gemini => &const { chat(table::GEMINI) },
        Kind::OpenRouter => &const { chat(table::OPENROUTER) },
        Kind::Groq => &const { chat(table::GROQ) },
        Kind::Mistral => &const { chat(table::MISTRAL) },
        Kind::DeepSeek => &const { chat(table::DEEPSEEK) },
        Kind::Xai => &const { with_session("x-grok-conv-id", table::XAI) },
        Kind::Together => &const { chat(table::TOGETHER) },
        Kind::Fireworks => &const { with_session("x-session-affinity", table::FIREWORKS) },
        Kind::Cerebras => &const { chat(table::CEREBRAS) },
        Kind::Perplexity => &const { chat(table::PERPLEXITY) },
        Kind::Zai => &const { chat(table::ZAI) },
        Kind::Moonshot => &const { chat(table::MOONSHOT) },
        Kind::Nvidia => &const { chat(table::NVIDIA) },
        Kind::HuggingFace => &const { chat(table::HUGGINGFACE) },
        Kind::GitHub => &const { chat(table::GITHUB) },
        Kind::Ollama => &const { local(table::OLLAMA) },
        Kind::Vllm => &const { local(table::VLLM) },
        Kind::LmStudio => &const { local(table::LMSTUDIO) },
        Kind::LlamaCpp => &const { local(table::LLAMACPP) },
    }
}

/// What a type's form of its dialect is.
pub fn traits(kind: Kind) -> &'static Traits {
    &entry(kind).traits
}

const fn messages(auth: Auth) -> Entry {
    Entry { dialect: Dialect::Messages, traits: MESSAGES, auth, session: None, local: false }
}

const fn chat(traits: Traits) -> Entry {
    Entry { dialect: Dialect::Chat, traits, auth: Auth::Bearer, session: None, local: false }
}

const fn local(traits: Traits) -> Entry {
    Entry { local: true, ..chat(traits) }
}

const fn with_session(field: &'static str, traits: Traits) -> Entry {
    Entry { session: Some(field), ..chat(traits) }
}

#[cfg(test)]
mod tests {
    use super::{Kind, entry, traits};
    use crate::wire::Dialect;
    use crate::wire::traits::{IdRule, Replay};

    #[test]
    fn state_of_one_provider_is_never_taken_for_anothers() {
        let chat = || Kind::ALL.iter().map(|&kind| entry(kind)).filter(|e| e.dialect == Dialect::Chat);
        let mut families: Vec<_> = chat().map(|entry| entry.traits.family).collect();
        assert!(
            families.iter().all(|f| f.bytes().all(|b| b.is_ascii_lowercase())),
            "the name stands in seals: {families:?}"
        );
        families.push(entry(Kind::Anthropic).traits.family);
        let all = families.len();
        families.sort_unstable();
        families.dedup();
        assert_eq!(families.len(), all);
    }

    /// wire.md 8, 13 and 15.
    #[test]
    fn known_demands_of_providers_stand_in_the_table() {
        assert_eq!(traits(Kind::Mistral).ids, IdRule::Alphanumeric(9));
        assert_eq!(traits(Kind::Mistral).required, "any");
        assert_eq!(traits(Kind::DeepSeek).replay, Replay::Demanded("reasoning_content"));
        assert!(!traits(Kind::DeepSeek).images && !traits(Kind::Perplexity).tools);
        assert!(traits(Kind::Perplexity).alternate && !traits(Kind::Perplexity).embeddings);
        assert!(!traits(Kind::Anthropic).embeddings && traits(Kind::OpenAi).embeddings);
    }
}
