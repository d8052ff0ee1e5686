//! Models of Anthropic's API that are retired, or will be on an announced day.
//!
//! Data (Anthropic's model deprecations, and the price table of 2026-11-25), read by `check`. Reads no clock.

use jiff::civil::Date;

/// A model with the day of its retirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retired {
    /// As asked for at Anthropic's API.
    pub model: &'static str,
    /// The first day on which it is refused.
    pub on: Date,
}

/// The retirement of a model, if one is announced.
pub fn retired(model: &str) -> Option<Retired> {
    let model = model.strip_suffix("[1m]").unwrap_or(model);
    RETIRED.iter().find(|r| r.model == model).copied()
}

const fn at(model: &'static str, year: i16, month: i8, day: i8) -> Retired {
    Retired { model, on: Date::constant(year, month, day) }
}

const RETIRED: &[Retired] = &[
    at("claude-2.0", 2025, 7, 21),
    at("claude-2.1", 2025, 7, 21),
    at("claude-3-sonnet-20240229", 2025, 7, 21),
    at("claude-3-5-sonnet-20240620", 2025, 10, 28),
    at("claude-3-5-sonnet-20241022", 2025, 10, 28),
    at("claude-3-opus-20240229", 2026, 1, 5),
    at("claude-3-7-sonnet-20250219", 2026, 2, 19),
    at("claude-3-5-haiku-20241022", 2026, 2, 19),
    at("claude-mythos-preview", 2026, 6, 9),
    at("claude-sonnet-4-20250514", 2026, 6, 15),
    at("claude-sonnet-4-5", 2026, 11, 30),
    at("claude-sonnet-4-5-20250929", 2026, 11, 30),
];

#[cfg(test)]
mod tests {
    use super::retired;

    #[test]
    fn the_long_context_mark_does_not_hide_a_retirement() {
        assert_eq!(
            retired("claude-sonnet-4-20250514[1m]").map(|r| r.on.to_string()),
            Some("2026-06-15".to_owned())
        );
        assert_eq!(retired("claude-opus-4-6"), None);
    }
}
