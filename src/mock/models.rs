//! The models that the mock knows, and what each family of them takes and refuses.
//!
//! Plain data after Anthropic's pages, recorded errors (`wire.md` section 1.2) and what Claude Code sends to each. Has no
//! prices and checks nothing: [`super::strict`] reads these columns.

/// How a family thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// Not at all.
    Never,
    /// `enabled` with a budget.
    Budget,
    /// `enabled` with a budget, or `adaptive`.
    Both,
    /// `adaptive` only; off unless asked for.
    Adaptive,
    /// `adaptive` only; on unless switched off, which is refused at an effort above high.
    AdaptiveByDefault,
    /// `adaptive` only; on unless `between_tools`, which no other family takes and which stands for `disabled`.
    BetweenTools,
    /// `adaptive` only, and never off.
    Always,
}

/// What a family of models takes.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools)] // Columns of a table, each a yes or no of its own.
pub struct Family {
    /// The id without a date.
    pub id: &'static str,
    /// The name that people read.
    pub name: &'static str,
    /// When it came out, RFC 3339; for the list of models only.
    pub created: &'static str,
    /// Context window in tokens.
    pub context: u64,
    /// Whether the context window is a million with the beta for it.
    pub long_by_beta: bool,
    /// Whether input and `max_tokens` together must fit the window; the later ones stop at its end.
    pub counts_output: bool,
    /// Largest `max_tokens`.
    pub max_output: u64,
    /// How it thinks.
    pub thinking: Thinking,
    /// Levels of `output_config.effort`, sorted as the real error lists them; empty: the parameter is refused.
    pub effort: &'static [&'static str],
    /// Whether `temperature`, `top_p` and `top_k` may differ from their defaults.
    pub sampling: bool,
    /// Whether the last message may be the assistant's.
    pub prefill: bool,
    /// Whether `role: system` may stand inside `messages`.
    pub system_role: bool,
    /// Whether a message may bear an `output_config` of its own (with its beta).
    pub per_turn: bool,
}

impl Family {
    /// Whether it thinks when a request says nothing of it.
    pub fn thinks_by_default(&self) -> bool {
        matches!(self.thinking, Thinking::AdaptiveByDefault | Thinking::BetweenTools | Thinking::Always)
    }
}

/// A known model under the id that it was asked by.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    /// The id as asked.
    pub id: &'a str,
    /// The name that people read.
    pub name: &'static str,
    /// What it takes.
    pub family: &'static Family,
}

/// Finds a model: a family's id, alone or with a date, `-latest` of a line, or anything that begins with `mock-`.
pub fn find(id: &str) -> Option<Model<'_>> {
    let wanted = match id {
        "claude-opus-latest" => "claude-opus-5-5",
        "claude-sonnet-latest" => "claude-sonnet-5-5",
        "claude-haiku-latest" => "claude-haiku-5-5",
        "claude-fable-latest" => "claude-fable-5-1",
        _ if id.starts_with("mock-") => "mock-",
        _ => without_date(id),
    };
    let family = FAMILIES.iter().find(|family| family.id == wanted)?;
    Some(Model { id, name: family.name, family })
}

/// The family that takes whatever most of them take.
pub(super) fn mock() -> &'static Family {
    &FAMILIES[FAMILIES.len() - 1]
}

fn without_date(id: &str) -> &str {
    match id.rsplit_once('-') {
        Some((line, date)) if date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()) => line,
        Some((line, "latest" | "0")) => line,
        _ => id,
    }
}

/// The ids that `GET /v1/models` lists, newest first.
pub const LISTED: &[&str] = &[
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-fable-5-1",
    "claude-mythos-5-1",
    "claude-opus-5",
    "claude-sonnet-5",
    "claude-fable-5",
    "claude-mythos-5",
    "claude-opus-4-8",
    "claude-opus-4-7",
    "claude-opus-4-6",
    "claude-sonnet-4-6",
    "claude-opus-4-5-20251101",
    "claude-haiku-4-5-20251001",
    "claude-sonnet-4-5-20250929",
];

const THREE: &[&str] = &["high", "low", "medium"];
const FOUR: &[&str] = &["high", "low", "max", "medium"];
const FIVE: &[&str] = &["high", "low", "max", "medium", "xhigh"];

const ELDER: Family = Family {
    id: "",
    name: "",
    created: "2024-01-01T00:00:00Z",
    context: 200_000,
    long_by_beta: false,
    counts_output: false,
    max_output: 64_000,
    thinking: Thinking::Budget,
    effort: &[],
    sampling: true,
    prefill: true,
    system_role: false,
    per_turn: false,
};

const CURRENT: Family = Family {
    context: 1_000_000,
    max_output: 128_000,
    thinking: Thinking::AdaptiveByDefault,
    effort: FIVE,
    sampling: false,
    prefill: false,
    system_role: true,
    ..ELDER
};

const fn family(base: Family, id: &'static str, name: &'static str, created: &'static str) -> Family {
    Family { id, name, created, ..base }
}

const TURNS: Family = Family { per_turn: true, ..CURRENT };
const MYTHIC: Family = Family { thinking: Thinking::Always, ..TURNS };
const SIX: Family =
    Family { thinking: Thinking::Both, effort: FOUR, sampling: true, system_role: false, ..CURRENT };
const SEVEN: Family = Family { thinking: Thinking::Adaptive, system_role: false, ..CURRENT };
const EIGHT: Family = Family { thinking: Thinking::Adaptive, ..CURRENT };
const FOURTH: Family = Family { counts_output: true, ..ELDER };
const THIRD: Family = Family { thinking: Thinking::Never, max_output: 8_192, ..FOURTH };
const FIRST_THIRD: Family = Family { max_output: 4_096, ..THIRD };

const FAMILIES: &[Family] = &[
    family(MYTHIC, "claude-opus-5-5", "Claude Opus 5.5", "2026-10-20T00:00:00Z"),
    Family {
        thinking: Thinking::BetweenTools,
        ..family(TURNS, "claude-sonnet-5-5", "Claude Sonnet 5.5", "2026-10-20T00:00:00Z")
    },
    family(TURNS, "claude-haiku-5-5", "Claude Haiku 5.5", "2026-10-20T00:00:00Z"),
    family(MYTHIC, "claude-fable-5-1", "Claude Fable 5.1", "2026-09-15T00:00:00Z"),
    family(MYTHIC, "claude-mythos-5-1", "Claude Mythos 5.1", "2026-09-15T00:00:00Z"),
    family(CURRENT, "claude-opus-5", "Claude Opus 5", "2026-07-24T00:00:00Z"),
    family(CURRENT, "claude-sonnet-5", "Claude Sonnet 5", "2026-06-30T00:00:00Z"),
    family(MYTHIC, "claude-fable-5", "Claude Fable 5", "2026-06-15T00:00:00Z"),
    family(MYTHIC, "claude-mythos-5", "Claude Mythos 5", "2026-06-15T00:00:00Z"),
    family(MYTHIC, "claude-mythos-preview", "Claude Mythos Preview", "2026-04-07T00:00:00Z"),
    family(EIGHT, "claude-opus-4-8", "Claude Opus 4.8", "2026-05-28T00:00:00Z"),
    family(SEVEN, "claude-opus-4-7", "Claude Opus 4.7", "2026-04-16T00:00:00Z"),
    family(SIX, "claude-opus-4-6", "Claude Opus 4.6", "2026-02-05T00:00:00Z"),
    family(SIX, "claude-sonnet-4-6", "Claude Sonnet 4.6", "2026-02-17T00:00:00Z"),
    Family { effort: THREE, ..family(ELDER, "claude-opus-4-5", "Claude Opus 4.5", "2025-11-01T00:00:00Z") },
    family(ELDER, "claude-haiku-4-5", "Claude Haiku 4.5", "2025-10-01T00:00:00Z"),
    Family {
        long_by_beta: true,
        ..family(ELDER, "claude-sonnet-4-5", "Claude Sonnet 4.5", "2025-09-29T00:00:00Z")
    },
    Family {
        max_output: 32_000,
        ..family(FOURTH, "claude-opus-4-1", "Claude Opus 4.1", "2025-08-05T00:00:00Z")
    },
    Family { max_output: 32_000, ..family(FOURTH, "claude-opus-4", "Claude Opus 4", "2025-05-14T00:00:00Z") },
    Family {
        long_by_beta: true,
        ..family(FOURTH, "claude-sonnet-4", "Claude Sonnet 4", "2025-05-14T00:00:00Z")
    },
    family(FOURTH, "claude-3-7-sonnet", "Claude Sonnet 3.7", "2025-02-19T00:00:00Z"),
    family(THIRD, "claude-3-5-haiku", "Claude Haiku 3.5", "2024-10-22T00:00:00Z"),
    family(THIRD, "claude-3-5-sonnet", "Claude Sonnet 3.5", "2024-06-20T00:00:00Z"),
    family(FIRST_THIRD, "claude-3-haiku", "Claude Haiku 3", "2024-03-07T00:00:00Z"),
    family(FIRST_THIRD, "claude-3-sonnet", "Claude Sonnet 3", "2024-02-29T00:00:00Z"),
    family(FIRST_THIRD, "claude-3-opus", "Claude Opus 3", "2024-02-29T00:00:00Z"),
    // Takes whatever most of them take: for tests that are not about a model.
    Family {
        sampling: true,
        prefill: true,
        ..family(Family { thinking: Thinking::Both, ..TURNS }, "mock-", "Mock", "2026-01-01T00:00:00Z")
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_bear_a_date_and_an_unknown_one_is_unknown() {
        for (id, family) in [
            ("claude-opus-5-5", "claude-opus-5-5"),
            ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
            ("claude-sonnet-4-20250514", "claude-sonnet-4"),
            ("claude-sonnet-latest", "claude-sonnet-5-5"),
            ("claude-3-7-sonnet-latest", "claude-3-7-sonnet"),
            ("mock-anything", "mock-"),
        ] {
            assert_eq!(find(id).map(|m| m.family.id), Some(family), "{id}");
        }
        for id in ["claude-does-not-exist", "claude-sonet-4-5", "gpt-4o", "claude-opus-5-5-2026", ""] {
            assert!(find(id).is_none(), "{id}");
        }
    }

    #[test]
    fn the_last_family_is_the_mocks() {
        assert_eq!(mock().id, "mock-");
    }

    #[test]
    fn every_listed_model_is_known() {
        assert!(LISTED.iter().all(|id| find(id).is_some()));
    }
}
