//! What each family of Claude models takes, as data, and how their ids are spelled.
//!
//! A provider may be given another model than the client asked for; what that model would refuse is read from here by
//! [`mod@super::shape`]. Sources: the models' overview and migration guides of Anthropic's platform documentation,
//! wire.md 1.2, 1.3, 13.1 and 13.4 (fields, refusals, effort), claude-code-traffic.md section 2 (what the client sends to
//! which model). A model that is not in the table takes everything: a guess would break what a newer model can do, and
//! a refusal is repaired ([`super::repair`]). What a provider lacks, as opposed to a model, is not known here.

use memchr::memmem;

/// How a model thinks: which values of `thinking.type` it takes, and what it does without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// Not at all; history with thinking in it is not for it either.
    Never,
    /// `enabled` with a budget; off otherwise. The turn that a tool loop goes on from must begin with its thinking.
    Budget,
    /// As [`Thinking::Budget`], or `adaptive`; off otherwise.
    Both,
    /// `adaptive`; off otherwise.
    Adaptive,
    /// `adaptive`, on unless `disabled`, which goes with an effort up to high only.
    Default,
    /// `adaptive`, on unless `between_tools`, which stands where others have `disabled`.
    BetweenTools,
    /// `adaptive`, and never off: `disabled` is refused.
    Always,
}

/// Which of `temperature`, `top_p`, `top_k` a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// All, together too.
    Free,
    /// `temperature` or `top_p`, not both.
    Either,
    /// Only what changes nothing: `temperature` and `top_p` of 1.
    Fixed,
}

/// Which edits of `context_management` a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Management {
    /// None: the field is refused.
    None,
    /// `clear_tool_uses_…` and `clear_thinking_…`.
    Clear,
    /// Those and `compact_…`.
    Compact,
}

/// What a family of models takes. Token counts are whole tokens.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools)] // One column each; they rule nothing out between them.
pub struct Capability {
    /// The id without date and vendor.
    pub family: &'static str,
    /// Context window.
    pub window: u64,
    /// Context window with the beta `context-1m-2025-08-07`, where that makes a difference.
    pub beta_window: Option<u64>,
    /// Largest `max_tokens`.
    pub max_output: u64,
    /// How it thinks.
    pub thinking: Thinking,
    /// Values of `output_config.effort`, least first; none: the field is refused.
    pub effort: &'static [&'static str],
    /// Sampling parameters.
    pub sampling: Sampling,
    /// Whether `tool_choice` may force a tool (`any`, `tool`).
    pub forced_tools: bool,
    /// Whether tools may be deferred (`defer_loading`, `tool_reference`).
    pub tool_search: bool,
    /// Whether messages may have the role `system`.
    pub system_role: bool,
    /// Whether a system message may hold `tool_addition` and `tool_removal`.
    pub tool_changes: bool,
    /// Whether a message may have its own `output_config` and `clear_at`.
    pub turn_control: bool,
    /// Edits of `context_management`.
    pub management: Management,
    /// `output_config.format` with a schema.
    pub formats: bool,
    /// `output_config.task_budget`.
    pub task_budget: bool,
    /// `thinking.display: "updates"`.
    pub updates: bool,
    /// `thinking.block_binding`.
    pub binding: bool,
    /// `speed: "fast"`.
    pub fast: bool,
}

impl Capability {
    /// Whether it thinks when a request does not say anything of it.
    pub fn thinks_by_default(&self) -> bool {
        matches!(self.thinking, Thinking::Default | Thinking::BetweenTools | Thinking::Always)
    }

    /// Whether the conversation may end with the beginning of the answer; from 4.6 on it may not (wire.md 1.3).
    pub fn takes_prefill(&self) -> bool {
        matches!(self.thinking, Thinking::Never | Thinking::Budget)
    }

    /// Whether it takes the beta for a window of a million tokens, with or without need.
    pub fn takes_large_context(&self) -> bool {
        self.window >= MILLION || self.beta_window.is_some()
    }

    /// The level nearest to `level` that it takes, looking down first; `None` for what is no level at all.
    pub fn nearest_effort(&self, level: &str) -> Option<&'static str> {
        let rank = |name: &str| LADDER.iter().position(|known| *known == name);
        let wanted = rank(level)?;
        self.effort.iter().rfind(|known| rank(known) <= Some(wanted)).or(self.effort.first()).copied()
    }
}

/// What a model takes, by its id in any spelling: with a date, a vendor (`anthropic/…`, `us.anthropic.…-v1:0`), an
/// `@date`, dots for hyphens, `[1m]`. `None` for models that nobody has described.
pub fn of(model: &str) -> Option<&'static Capability> {
    let name = bare(model);
    FAMILIES.iter().find(|known| is_spelling_of(name, known.family)).or_else(|| {
        let (_, family) = ALIASES.iter().find(|(alias, _)| is_spelling_of(name, alias))?;
        FAMILIES.iter().find(|known| known.family == *family)
    })
}

/// The context window of a model in tokens, if it is known. With `[1m]` at its end it is the one that the beta gives, and
/// a million where nobody has described the model.
pub fn window(model: &str) -> Option<u64> {
    let (plain, large) = super::request::strip_context_mark(model);
    match of(plain) {
        Some(known) if large => Some(known.beta_window.unwrap_or(known.window)),
        Some(known) => Some(known.window),
        None => large.then_some(MILLION),
    }
}

/// Whether the lines of `anthropic-beta` ask for the window of a million tokens.
pub fn asks_for_large_window<'b>(mut betas: impl Iterator<Item = &'b [u8]>) -> bool {
    betas.any(|line| memmem::find(line, LARGE_WINDOW).is_some())
}

/// The ids of the models that anyone can ask for today, newest first.
pub fn known() -> impl Iterator<Item = &'static str> {
    LISTED.iter().copied()
}

/// The id without mark, path and vendor; empty if there is no Claude in it.
fn bare(model: &str) -> &str {
    let (model, _) = super::request::strip_context_mark(model);
    let name = model.rsplit_once('/').map_or(model, |(_, name)| name);
    match name.rsplit_once("anthropic.") {
        Some((region, name)) if region.is_empty() || region.ends_with('.') => name,
        Some(_) => "",
        None => name,
    }
}

/// Whether `name` is `family`, in any case and with dots for hyphens, followed by nothing but dates and versions.
fn is_spelling_of(name: &str, family: &str) -> bool {
    let same = |(byte, known): (u8, u8)| byte.eq_ignore_ascii_case(&known) || (byte == b'.' && known == b'-');
    let fits = name.len() >= family.len() && name.bytes().zip(family.bytes()).all(same);
    fits && name.get(family.len()..).is_some_and(is_suffix)
}

/// Whether this is nothing, or what stands behind a family's name: `-20251001`, `@20250929`, `-latest`, `-0`, `-fast`,
/// `-v1:0`, `:thinking`, also several of them.
fn is_suffix(rest: &str) -> bool {
    let mut rest = rest;
    loop {
        if rest.is_empty() || rest.starts_with(['@', ':']) {
            return true;
        }
        let Some(after) = rest.strip_prefix('-') else { return false };
        let part = after.split(['-', '@', ':']).next().unwrap_or_default();
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_date = part.len() == 8 && digits(part);
        let is_version = part.strip_prefix('v').is_some_and(digits);
        if !(is_date || is_version || matches!(part, "latest" | "0" | "fast")) {
            return false;
        }
        rest = &after[part.len()..];
    }
}

/// Other names of families: the newest of a line, and spellings of other catalogues.
const ALIASES: &[(&str, &str)] = &[
    ("claude-opus", "claude-opus-5-5"),
    ("claude-sonnet", "claude-sonnet-5-5"),
    ("claude-haiku", "claude-haiku-5-5"),
    ("claude-fable", "claude-fable-5-1"),
    ("claude-4-opus", "claude-opus-4"),
    ("claude-4-sonnet", "claude-sonnet-4"),
    ("claude-4-5-sonnet", "claude-sonnet-4-5"),
    ("claude-4-5-haiku", "claude-haiku-4-5"),
];

/// Without the models that are retired and those that are given out by invitation.
const LISTED: &[&str] = &[
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-fable-5-1",
    "claude-opus-5",
    "claude-sonnet-5",
    "claude-fable-5",
    "claude-opus-4-8",
    "claude-opus-4-7",
    "claude-opus-4-6",
    "claude-sonnet-4-6",
    "claude-opus-4-5",
    "claude-sonnet-4-5",
    "claude-haiku-4-5",
];

const MILLION: u64 = 1_000_000;

/// The beta of [`Capability::beta_window`], without its date.
const LARGE_WINDOW: &[u8] = b"context-1m-";

/// The smallest window of all models in the table.
pub const SMALLEST_WINDOW: u64 = 200_000;

/// All levels of effort, least first (wire.md 13.1).
const LADDER: &[&str] = &["low", "medium", "high", "xhigh", "max"];
const TO_HIGH: &[&str] = &["low", "medium", "high"];
/// `xhigh` came with Opus 4.7; the recorded refusal of 4.6 names the others.
const WITHOUT_XHIGH: &[&str] = &["low", "medium", "high", "max"];

/// Claude 3: no thinking, nothing of what came later.
const THIRD: Capability = Capability {
    family: "",
    window: SMALLEST_WINDOW,
    beta_window: None,
    max_output: 4_096,
    thinking: Thinking::Never,
    effort: &[],
    sampling: Sampling::Free,
    forced_tools: true,
    tool_search: false,
    system_role: false,
    tool_changes: false,
    turn_control: false,
    management: Management::None,
    formats: false,
    task_budget: false,
    updates: false,
    binding: false,
    fast: false,
};

/// Claude 3.5: longer answers.
const THIRD_AND_HALF: Capability = Capability { max_output: 8_192, ..THIRD };

/// Claude 4: thinks with a budget. Sampling by `temperature` or `top_p` is documented from 4.1 on and safe before.
const FOURTH: Capability = Capability {
    max_output: 64_000,
    thinking: Thinking::Budget,
    sampling: Sampling::Either,
    management: Management::Clear,
    ..THIRD
};

/// Claude 4.5: formats and deferred tools.
const FOUR_FIVE: Capability = Capability { tool_search: true, formats: true, ..FOURTH };

/// Claude 4.6: a million tokens without a beta, adaptive thinking beside the budget.
const FOUR_SIX: Capability = Capability {
    window: MILLION,
    max_output: 128_000,
    thinking: Thinking::Both,
    effort: WITHOUT_XHIGH,
    management: Management::Compact,
    ..FOUR_FIVE
};

/// From Opus 4.7 on: neither budget nor sampling.
const FOUR_SEVEN: Capability = Capability {
    thinking: Thinking::Adaptive,
    effort: LADDER,
    sampling: Sampling::Fixed,
    task_budget: true,
    updates: true,
    ..FOUR_SIX
};

/// From Opus 4.8 on: system messages within the conversation.
const FOUR_EIGHT: Capability = Capability { system_role: true, tool_changes: true, ..FOUR_SEVEN };

/// Claude 5: thinks unless told otherwise.
const FIFTH: Capability = Capability { thinking: Thinking::Default, ..FOUR_EIGHT };

/// From Fable 5.1 on: effort per turn, thinking bound to its conversation.
const BOUND: Capability = Capability { turn_control: true, binding: true, ..FIFTH };

/// Those of them that never stop thinking and that no tool can be forced upon.
const ALWAYS: Capability = Capability { thinking: Thinking::Always, forced_tools: false, ..BOUND };

const fn named(family: &'static str, as_: Capability) -> Capability {
    Capability { family, ..as_ }
}

/// An id is looked for from the top; ids are compared whole, so the order does not matter.
static FAMILIES: &[Capability] = &[
    Capability { fast: true, ..named("claude-opus-5-5", ALWAYS) },
    Capability { thinking: Thinking::BetweenTools, forced_tools: false, ..named("claude-sonnet-5-5", BOUND) },
    named("claude-haiku-5-5", BOUND),
    named("claude-fable-5-1", ALWAYS),
    named("claude-mythos-5-1", ALWAYS),
    named("claude-fable-5-2", ALWAYS),
    named("claude-mythos-5-2", ALWAYS),
    Capability { fast: true, ..named("claude-opus-5", FIFTH) },
    Capability { tool_changes: false, ..named("claude-sonnet-5", FIFTH) },
    Capability { thinking: Thinking::Always, ..named("claude-fable-5", FIFTH) },
    Capability { thinking: Thinking::Always, ..named("claude-mythos-5", FIFTH) },
    Capability {
        thinking: Thinking::Always,
        effort: WITHOUT_XHIGH,
        ..named("claude-mythos-preview", FOUR_SEVEN)
    },
    Capability { fast: true, ..named("claude-opus-4-8", FOUR_EIGHT) },
    named("claude-opus-4-7", FOUR_SEVEN),
    named("claude-opus-4-6", FOUR_SIX),
    named("claude-sonnet-4-6", FOUR_SIX),
    Capability { effort: TO_HIGH, ..named("claude-opus-4-5", FOUR_FIVE) },
    Capability { beta_window: Some(MILLION), ..named("claude-sonnet-4-5", FOUR_FIVE) },
    named("claude-haiku-4-5", FOUR_FIVE),
    Capability { max_output: 32_000, formats: true, ..named("claude-opus-4-1", FOURTH) },
    Capability { max_output: 32_000, ..named("claude-opus-4", FOURTH) },
    Capability { beta_window: Some(MILLION), ..named("claude-sonnet-4", FOURTH) },
    Capability { management: Management::None, ..named("claude-3-7-sonnet", FOURTH) },
    named("claude-3-5-sonnet", THIRD_AND_HALF),
    named("claude-3-5-haiku", THIRD_AND_HALF),
    named("claude-3-opus", THIRD),
    named("claude-3-sonnet", THIRD),
    named("claude-3-haiku", THIRD),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_known_in_every_spelling() {
        for (model, family) in [
            ("claude-sonnet-4-5", "claude-sonnet-4-5"),
            ("claude-sonnet-4-5[1m]", "claude-sonnet-4-5"),
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
            ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
            ("anthropic/claude-3.7-sonnet:thinking", "claude-3-7-sonnet"),
            ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
            ("us-gov.anthropic.claude-opus-4-8", "claude-opus-4-8"),
            ("anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
            (
                "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-haiku-5-5",
                "claude-haiku-5-5",
            ),
            ("claude-3-5-sonnet-v2@20241022", "claude-3-5-sonnet"),
            ("claude-3-haiku-20240307", "claude-3-haiku"),
            ("claude-opus-4-0", "claude-opus-4"),
            ("claude-sonnet-4-20250514", "claude-sonnet-4"),
            ("claude-opus-5-5-fast", "claude-opus-5-5"),
            ("~anthropic/claude-opus-latest", "claude-opus-5-5"),
            ("Claude-Opus-4-1-20250805", "claude-opus-4-1"),
        ] {
            assert_eq!(of(model).map(|known| known.family), Some(family), "{model}");
        }
    }

    #[test]
    fn a_model_that_nobody_has_described_is_unknown() {
        let unknown = [
            "",
            "gpt-4o",
            "claude-gpt-4o",
            "claude-opus-4-9",
            "claude-opus-6",
            "claude-2.1",
            "claude",
            "my-claude-opus-5",
        ];
        for model in unknown {
            assert!(of(model).is_none(), "{model}");
        }
    }

    #[test]
    fn a_window_is_a_million_by_mark_or_by_nature() {
        for (model, tokens) in [
            ("claude-haiku-4-5", Some(200_000)),
            ("claude-sonnet-4-5", Some(200_000)),
            ("claude-sonnet-4-5[1m]", Some(MILLION)),
            ("claude-haiku-4-5[1m]", Some(200_000)),
            ("claude-opus-5-5", Some(MILLION)),
            ("gpt-4o[1m]", Some(MILLION)),
            ("gpt-4o", None),
        ] {
            assert_eq!(window(model), tokens, "{model}");
        }
    }

    #[test]
    fn an_effort_that_is_not_taken_becomes_the_next_lower_one() {
        for (model, asked, sent) in [
            ("claude-opus-5", "xhigh", Some("xhigh")),
            ("claude-opus-4-6", "xhigh", Some("high")),
            ("claude-opus-4-6", "max", Some("max")),
            ("claude-opus-4-5", "max", Some("high")),
            ("claude-opus-4-5", "low", Some("low")),
            ("claude-opus-4-5", "ultra", None),
            ("claude-haiku-4-5", "high", None),
        ] {
            assert_eq!(of(model).and_then(|known| known.nearest_effort(asked)), sent, "{model} {asked}");
        }
    }

    #[test]
    fn every_family_is_found_under_its_own_name_and_every_alias_leads_to_one() {
        for known in FAMILIES {
            assert_eq!(of(known.family).map(|found| found.family), Some(known.family));
        }
        assert!(known().all(|id| of(id).is_some_and(|found| found.family == id)));
        for (alias, family) in ALIASES {
            assert_eq!(of(alias).map(|found| found.family), Some(*family), "{alias}");
        }
    }
}
