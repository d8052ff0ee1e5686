//! The models that Chat providers serve, by the beginnings of their names: windows, limits, and how they think.
//!
//! A few families suffice; any other id is a model of middling size that takes everything. Plain data after the
//! providers' pages (`wire.md` sections 2.1 and 13.1). Checks nothing.

/// How a model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinks {
    /// Not at all.
    Never,
    /// Where a request asks for it.
    Asked,
    /// Unless a request says no.
    ByDefault,
    /// Whatever a request says.
    Always,
}

/// A family of models.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// The beginning of the id, without a vendor before it.
    pub begins: &'static str,
    /// Context window in tokens.
    pub context: u64,
    /// Most output in tokens.
    pub output: u64,
    /// How it thinks.
    pub thinks: Thinks,
    /// Levels of `reasoning_effort`; empty: those of the flavour.
    pub efforts: &'static [&'static str],
    /// Whether it is one of `OpenAI`'s reasoning models, with what those refuse.
    pub reasons: bool,
    /// Whether it refuses stop sequences.
    pub unstoppable: bool,
}

/// The model of an id: the longest beginning that fits, vendors left out. `None` for ids that nobody serves.
pub fn find(id: &str) -> Option<&'static Model> {
    let name = without_vendor(id);
    let unknown = name.is_empty()
        || name.starts_with("unknown")
        || ["does-not-exist", "nonexistent", "non-existent"].iter().any(|part| name.contains(part))
        || (name.starts_with("claude-") && name.contains("nothing"));
    if unknown {
        return None;
    }
    let fits = MODELS.iter().filter(|model| name.starts_with(model.begins));
    fits.max_by_key(|model| model.begins.len())
}

/// The name behind `vendor/` or `accounts/…/models/`.
pub fn without_vendor(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// The vendor before the first `/`; empty if there is none.
pub fn vendor(id: &str) -> &str {
    id.split_once('/').map_or("", |(vendor, _)| vendor)
}

/// Ids that the list of models shows.
pub const LISTED: &[&str] =
    &["gpt-5.4", "gpt-4o", "gpt-4o-mini", "deepseek-v4-flash", "mistral-small-latest", "mock-1"];

const ANY: Model = Model {
    begins: "",
    context: 131_072,
    output: 65_536,
    thinks: Thinks::Never,
    efforts: &[],
    reasons: false,
    unstoppable: false,
};

const REASONER: Model = Model {
    context: 400_000,
    output: 128_000,
    thinks: Thinks::Always,
    efforts: &["low", "medium", "high"],
    reasons: true,
    ..ANY
};

const fn model(base: Model, begins: &'static str) -> Model {
    Model { begins, ..base }
}

const fn sized(base: Model, begins: &'static str, context: u64, output: u64) -> Model {
    Model { begins, context, output, ..base }
}

/// o1 and what came after it.
const O: Model = Model { context: 200_000, output: 100_000, ..REASONER };
/// From gpt-5.1 on thinking is asked for.
const LATER: Model =
    Model { thinks: Thinks::Asked, efforts: &["none", "low", "medium", "high", "xhigh"], ..REASONER };
const SWITCHED: Model = Model { thinks: Thinks::ByDefault, ..ANY };
const THINKER: Model = Model { thinks: Thinks::Always, ..ANY };

const MODELS: &[Model] = &[
    ANY,
    Model { thinks: Thinks::Asked, ..sized(ANY, "mock-", 1_000_000, 128_000) },
    sized(ANY, "gpt-3.5", 16_385, 4_096),
    sized(ANY, "gpt-4-turbo", 128_000, 4_096),
    sized(ANY, "gpt-4o", 128_000, 16_384),
    sized(ANY, "gpt-4.1", 1_047_576, 32_768),
    sized(ANY, "gpt-5-chat", 128_000, 16_384),
    Model { efforts: &["minimal", "low", "medium", "high"], ..model(REASONER, "gpt-5") },
    Model { efforts: &["none", "low", "medium", "high"], ..model(LATER, "gpt-5.1") },
    model(LATER, "gpt-5.2"),
    model(LATER, "gpt-5.3"),
    sized(LATER, "gpt-5.4", 1_050_000, 128_000),
    sized(LATER, "gpt-5.5", 1_050_000, 128_000),
    Model {
        efforts: &["none", "low", "medium", "high", "xhigh", "max"],
        ..sized(LATER, "gpt-5.6", 1_050_000, 128_000)
    },
    model(O, "o1"),
    Model { unstoppable: true, ..model(O, "o3") },
    Model { unstoppable: true, ..model(O, "o4") },
    Model { efforts: &["low", "medium", "high"], ..sized(THINKER, "gpt-oss", 131_072, 65_536) },
    sized(ANY, "deepseek-chat", 1_000_000, 384_000),
    sized(THINKER, "deepseek-reasoner", 1_000_000, 384_000),
    sized(SWITCHED, "deepseek-v", 1_000_000, 384_000),
    Model { thinks: Thinks::Asked, ..sized(ANY, "mistral-small", 131_072, 131_072) },
    Model { thinks: Thinks::Asked, ..sized(ANY, "mistral-medium", 262_144, 262_144) },
    sized(THINKER, "magistral", 131_072, 131_072),
    sized(THINKER, "grok-4", 256_000, 256_000),
    sized(ANY, "grok-4-fast-non-reasoning", 2_000_000, 256_000),
    sized(ANY, "grok-4-1-fast-non-reasoning", 2_000_000, 256_000),
    Model { efforts: &["low", "high"], ..model(THINKER, "grok-3-mini") },
    model(THINKER, "grok-code"),
    sized(SWITCHED, "glm-", 200_000, 131_072),
    sized(SWITCHED, "kimi-k2.5", 262_144, 65_536),
    sized(THINKER, "kimi-k2-thinking", 262_144, 65_536),
    sized(SWITCHED, "qwen3", 262_144, 65_536),
    sized(SWITCHED, "gemini-2.5", 1_048_576, 65_536),
    sized(THINKER, "gemini-3", 1_048_576, 65_536),
    model(THINKER, "sonar-reasoning"),
    Model { thinks: Thinks::Asked, ..sized(ANY, "claude-", 200_000, 64_000) },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_beginning_counts_and_vendors_do_not() {
        for (id, begins) in [
            ("gpt-5", "gpt-5"),
            ("gpt-5-mini-2025-08-07", "gpt-5"),
            ("gpt-5.1-codex", "gpt-5.1"),
            ("gpt-5-chat-latest", "gpt-5-chat"),
            ("openai/gpt-4o-mini", "gpt-4o"),
            ("accounts/fireworks/models/deepseek-v4", "deepseek-v"),
            ("anthropic/claude-haiku-4.5", "claude-"),
            ("anything", ""),
        ] {
            assert_eq!(find(id).map(|m| m.begins), Some(begins), "{id}");
        }
        for id in ["", "unknown-1", "openai/unknown", "gpt-does-not-exist"] {
            assert!(find(id).is_none(), "{id}");
        }
    }
}
