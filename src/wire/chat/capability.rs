//! What each family of models takes that is asked over Chat Completions, and how their ids are spelled.
//!
//! A model is described by its own limits and refusals, whoever serves it; how a provider's form of the dialect differs is
//! in [`crate::wire::traits`]. Sources: context and output limits from the price list (`fixtures/pricing.json`, dated
//! 2026-11-25), efforts and refusals from wire.md 2.1 and 13.1. A model that is not in the table takes everything that
//! its provider takes: a guess would break what a newer model can do, and a refusal is repaired ([`super::repair`]).

mod table;

use crate::wire::ir::Effort;
use table::FAMILIES;

/// Whether a model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinks {
    /// Not at all: fields about thinking are refused.
    Never,
    /// It can be switched off, by an effort of none or by its provider's switch.
    Switchable,
    /// It cannot be switched off.
    Always,
}

/// Whether `temperature`, `top_p`, penalties and the like are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// Always.
    Free,
    /// `temperature` and `top_p` while the model does not think; penalties and `logit_bias` never.
    WithoutThinking,
    /// Never.
    Fixed,
}

/// What a family of models takes. Token counts are whole tokens.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools)] // One column each; they rule nothing out between them.
pub struct Capability {
    /// The id without vendor and date.
    pub family: &'static str,
    /// Context window.
    pub window: u64,
    /// Largest output limit.
    pub max_output: u64,
    /// Whether it thinks.
    pub thinks: Thinks,
    /// Levels of effort, least first; empty: its provider's.
    pub efforts: &'static [Effort],
    /// Whether it can be told how hard to think.
    pub effort: bool,
    /// Whether it thinks when nothing is said of it.
    pub thinks_unasked: bool,
    /// Sampling parameters.
    pub sampling: Sampling,
    /// `stop`.
    pub stop: bool,
    /// Instructions go in the role `developer`.
    pub developer: bool,
    /// `max_tokens` is refused in favour of `max_completion_tokens`.
    pub completion_limit: bool,
    /// Images.
    pub images: bool,
    /// `parallel_tool_calls`.
    pub parallel: bool,
    /// `cache_control` on parts and tools does something, where the provider takes it.
    pub marks: bool,
}

/// What a model takes, by its id in any spelling: with vendors in front (`openai/…`, `models/…`,
/// `accounts/fireworks/models/…`), a date, `-latest`, `-preview`, `:free`, in any case, `.` as `p` or `-`. `None` for models
/// that nobody has described.
pub fn of(model: &str) -> Option<&'static Capability> {
    let name = bare(model);
    // The longest family that fits: `gpt-4o-mini` is no `gpt-4o`.
    FAMILIES.iter().filter(|known| is_spelling_of(name, known.family)).max_by_key(|known| known.family.len())
}

/// The context window of a model in tokens, if it is known.
pub fn window(model: &str) -> Option<u64> {
    of(model).map(|known| known.window)
}

/// Whether cache marks do something for this model, described or not.
pub fn takes_marks(model: &str) -> bool {
    let named = |word: &str| {
        model.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    of(model).map_or_else(|| MARKED.iter().any(|word| named(word)), |known| known.marks)
}

/// The id without vendors and what a router hangs behind it.
fn bare(model: &str) -> &str {
    let name = model.rsplit_once('/').map_or(model, |(_, name)| name);
    let name = name.split([':', '@', '[']).next().unwrap_or_default();
    name.rsplit_once("anthropic.").map_or(name, |(_, name)| name)
}

/// Whether `name` is `family` in any case, with a dot spelled in any way, followed by nothing but dates and stages.
fn is_spelling_of(name: &str, family: &str) -> bool {
    let same = |(byte, known): (u8, u8)| {
        byte.eq_ignore_ascii_case(&known) || (known == b'.' && matches!(byte, b'p' | b'-'))
    };
    let fits = name.len() >= family.len() && name.bytes().zip(family.bytes()).all(same);
    fits && name.get(family.len()..).is_some_and(is_suffix)
}

/// Whether this is nothing, or what may stand behind a family's name: `-2024-08-06`, `-20251001`, `-0125`, `-latest`,
/// `-preview`, `-05-20`, `-v1`, `-exp`, `-instruct`, also several of them.
fn is_suffix(rest: &str) -> bool {
    let mut parts = rest.split('-');
    if parts.next() != Some("") {
        return false;
    }
    parts.all(|part| {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_date = matches!(part.len(), 2 | 3 | 4 | 8) && digits(part);
        let is_version = part.strip_prefix('v').is_some_and(digits);
        is_date || is_version || STAGES.iter().any(|stage| part.eq_ignore_ascii_case(stage))
    })
}

const STAGES: &[&str] =
    &["latest", "preview", "exp", "instruct", "chat", "fast", "turbo", "it", "hf", "fp8", "us"];

/// Vendors whose models take cache marks where their provider passes them on (wire.md section 17).
const MARKED: &[&str] = &["claude", "gemini", "qwen"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_known_in_every_spelling() {
        for (model, family) in [
            ("gpt-4o", Some("gpt-4o")),
            ("openai/gpt-4o-2024-08-06", Some("gpt-4o")),
            ("gpt-4o-mini", Some("gpt-4o-mini")),
            ("gpt-5", Some("gpt-5")),
            ("gpt-5-chat-latest", Some("gpt-5-chat")),
            ("gpt-5.1-codex-mini", Some("gpt-5.1-codex-mini")),
            ("gpt-5.6-terra", Some("gpt-5.6-terra")),
            ("o3-2025-04-16", Some("o3")),
            ("models/gemini-2.5-flash-preview-05-20", Some("gemini-2.5-flash")),
            ("google/gemini-3.1-pro-preview", Some("gemini-3.1-pro")),
            ("deepseek/deepseek-r1:free", Some("deepseek-r1")),
            ("deepseek-ai/DeepSeek-V3.1", Some("deepseek-v3.1")),
            ("accounts/fireworks/models/kimi-k2p5", Some("kimi-k2.5")),
            ("anthropic/claude-haiku-4.5", Some("claude-haiku-4.5")),
            ("claude-haiku-4-5-20251001", Some("claude-haiku-4.5")),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Some("claude-sonnet-4.5")),
            ("mistral-small-latest", Some("mistral-small")),
            ("meta-llama/Llama-3.3-70B-Instruct-Turbo", Some("llama-3.3-70b")),
            ("openai/gpt-oss-120b", Some("gpt-oss-120b")),
            ("gpt-5-nova", None),
            ("gpt-4of", None),
            ("", None),
        ] {
            assert_eq!(of(model).map(|known| known.family), family, "{model}");
        }
    }

    #[test]
    fn every_family_is_found_by_its_own_name_and_stands_once() {
        for known in FAMILIES {
            let found = of(known.family).map(|found| found.family);
            assert_eq!(found, Some(known.family));
            assert_eq!(
                FAMILIES.iter().filter(|other| other.family == known.family).count(),
                1,
                "{}",
                known.family
            );
            assert!(known.max_output <= known.window && known.efforts.is_sorted(), "{}", known.family);
            assert!(known.thinks != Thinks::Never || !known.thinks_unasked, "{}", known.family);
        }
    }

    #[test]
    fn marks_are_for_vendors_that_take_them() {
        for (model, marks) in [
            ("anthropic/claude-haiku-4.5", true),
            ("anthropic/claude-next", true),
            ("google/gemini-9", true),
            ("openai/gpt-5", false),
            ("x/unknown", false),
        ] {
            assert_eq!(takes_marks(model), marks, "{model}");
        }
        assert_eq!((window("gpt-4o"), window("nobody")), (Some(128_000), None));
    }
}
