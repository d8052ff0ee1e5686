//! The provider types (INTERFACE section 2), one line each: word, fields, address (wire.md 8), variable of the key.
//!
//! What a type is asked in and how its form of the dialect differs is `upstream::provider`'s. Data only: asks nobody, and
//! says nothing of types that this version does not know beyond their name ([`LATER`]).

use super::fields::{ANTHROPIC, MESSAGES_TOO, OPENAI, PROVIDER};
use super::table::Table;

/// What the configuration knows of a provider type.
#[derive(Debug)]
pub struct Type {
    /// The word of the configuration.
    pub word: &'static str,
    /// All its fields.
    pub table: &'static Table,
    /// Its own address; empty where it has none.
    pub home: &'static str,
    /// The version segment that is appended to a base URL without one (empty: none), and what follows it in this way of
    /// asking.
    pub version: &'static str,
    /// The variable that holds its key by custom; empty where it needs none.
    pub variable: &'static str,
    /// Whether its own model ids may hold slashes (`meta-llama/…`).
    pub slashes: bool,
}

impl Type {
    const fn new(word: &'static str, home: &'static str, version: &'static str) -> Self {
        Self { word, table: &PROVIDER, home, version, variable: "", slashes: false }
    }

    const fn key(self, variable: &'static str) -> Self {
        Self { variable, ..self }
    }

    const fn fields(self, table: &'static Table) -> Self {
        Self { table, ..self }
    }

    const fn slashes(self) -> Self {
        Self { slashes: true, ..self }
    }
}

macro_rules! types {
    ($($about:literal $kind:ident = $of:expr;)*) => {
        /// A provider's `type`, as far as this version knows more of it than its name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $(#[doc = $about] $kind,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// What the configuration knows of it.
            pub(super) fn of(self) -> &'static Type {
                match self {
                    $(Self::$kind => {
                        static TYPE: Type = $of;
                        &TYPE
                    })*
                }
            }
        }
    };
}

#[rustfmt::skip]
types! {
    "Anthropic's own API." Anthropic = Type::new("anthropic", "https://api.anthropic.com", "v1").key("ANTHROPIC_API_KEY").fields(&ANTHROPIC);
    "Any server that speaks Anthropic Messages." AnthropicCompatible = Type::new("anthropic_compatible", "", "v1").slashes();
    "The bundled provider." Mock = Type::new("mock", "", "v1");
    "`OpenAI`'s own API." OpenAi = Type::new("openai", "https://api.openai.com", "v1").key("OPENAI_API_KEY").fields(&OPENAI);
    "Any server that speaks Chat Completions." OpenAiCompatible = Type::new("openai_compatible", "", "v1").slashes();
    "Google's Gemini, by its `OpenAI`-compatible endpoint." Gemini = Type::new("gemini", "https://generativelanguage.googleapis.com", "v1beta/openai").key("GEMINI_API_KEY");
    "`OpenRouter`." OpenRouter = Type::new("openrouter", "https://openrouter.ai/api", "v1").key("OPENROUTER_API_KEY").fields(&MESSAGES_TOO).slashes();
    "Groq." Groq = Type::new("groq", "https://api.groq.com/openai", "v1").key("GROQ_API_KEY").slashes();
    "Mistral." Mistral = Type::new("mistral", "https://api.mistral.ai", "v1").key("MISTRAL_API_KEY");
    "`DeepSeek`." DeepSeek = Type::new("deepseek", "https://api.deepseek.com", "").key("DEEPSEEK_API_KEY").fields(&MESSAGES_TOO);
    "xAI." Xai = Type::new("xai", "https://api.x.ai", "v1").key("XAI_API_KEY");
    "Together." Together = Type::new("together", "https://api.together.xyz", "v1").key("TOGETHER_API_KEY").slashes();
    "Fireworks." Fireworks = Type::new("fireworks", "https://api.fireworks.ai/inference", "v1").key("FIREWORKS_API_KEY").fields(&MESSAGES_TOO).slashes();
    "Cerebras." Cerebras = Type::new("cerebras", "https://api.cerebras.ai", "v1").key("CEREBRAS_API_KEY");
    "Perplexity." Perplexity = Type::new("perplexity", "https://api.perplexity.ai", "").key("PERPLEXITY_API_KEY");
    "z.ai." Zai = Type::new("zai", "https://api.z.ai/api/paas/v4", "v4").key("ZAI_API_KEY").fields(&MESSAGES_TOO);
    "Moonshot." Moonshot = Type::new("moonshot", "https://api.moonshot.ai", "v1").key("MOONSHOT_API_KEY");
    "NVIDIA's NIM." Nvidia = Type::new("nvidia", "https://integrate.api.nvidia.com", "v1").key("NVIDIA_API_KEY").slashes();
    "Hugging Face's router." HuggingFace = Type::new("huggingface", "https://router.huggingface.co", "v1").key("HF_TOKEN").slashes();
    "GitHub Models." GitHub = Type::new("github", "https://models.github.ai/inference", "").key("GITHUB_TOKEN").slashes();
    "Ollama on this machine." Ollama = Type::new("ollama", "http://127.0.0.1:11434", "v1").fields(&MESSAGES_TOO).slashes();
    "vLLM on this machine." Vllm = Type::new("vllm", "http://127.0.0.1:8000", "v1").fields(&MESSAGES_TOO).slashes();
    "LM Studio on this machine." LmStudio = Type::new("lmstudio", "http://127.0.0.1:1234", "v1").slashes();
    "llama.cpp's server on this machine." LlamaCpp = Type::new("llamacpp", "http://127.0.0.1:8080", "v1").slashes();
}

/// Types of later versions, by name only.
pub const LATER: &[&str] = &["azure", "vertex", "bedrock", "cohere"];

impl Kind {
    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        self.of().word
    }

    /// The type of a word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.word() == word)
    }

    /// Every word that is a type's, those of later versions last.
    pub fn words() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|kind| kind.word()).chain(LATER.iter().copied())
    }

    /// Whether its own model ids may hold slashes: then an unknown word before one may be part of a name.
    pub fn has_slashes(self) -> bool {
        self.of().slashes
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;
    use crate::config::url;

    #[test]
    fn every_type_has_an_address_or_asks_for_one() {
        for &kind in Kind::ALL {
            let of = kind.of();
            let Ok(base) = url::base(of.home, of.version) else {
                assert!(of.home.is_empty() && of.variable.is_empty(), "{kind:?}");
                continue;
            };
            // No key is sent in clear text, and only this machine is asked without one.
            assert_eq!(base.tls, !of.variable.is_empty(), "{kind:?}");
            assert_eq!(url::is_loopback(&base.host), of.variable.is_empty(), "{kind:?}");
        }
    }

    #[test]
    fn a_word_belongs_to_one_type() {
        let mut words: Vec<_> = Kind::words().collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 28);
        assert!(Kind::ALL.iter().all(|&kind| Kind::named(kind.word()) == Some(kind)));
        assert_eq!(Kind::named("bedrock"), None);
    }
}
