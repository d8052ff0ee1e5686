//! The `usage` objects of Chat Completions (wire.md 10), folded into the meter's disjoint counts.
//!
//! Providers tell the same counts in different places and under different names; all of them are read by one table.
//! Nothing is added up: a count that is told again supersedes the one before (several providers are cumulative), `null`
//! and absent tell nothing. What a provider says it charged is kept exactly, without floats. Prices nothing itself.

use crate::json::{self, Span, text};
use crate::wire::Usage;
use crate::wire::traits::UsageRule;

/// The raw counts as last told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// The whole prompt, cached or not.
    prompt: Option<u64>,
    cached: Option<u64>,
    written: Option<u64>,
    completion: Option<u64>,
    reasoning: Option<u64>,
    total: Option<u64>,
    searches: Option<u64>,
    cost_nano: Option<u64>,
}

impl Counts {
    /// Reads a `usage` value over what is known; `null` changes nothing.
    pub(super) fn read(&mut self, body: &[u8], usage: Span) {
        for member in json::members(body, usage).map_while(Result::ok) {
            let value = member.value.of(body);
            match member.key.of(body) {
                b"\"cost\"" if value.starts_with(b"{") => self.read_inner(body, member.value),
                b"\"cost\"" => put(&mut self.cost_nano, nano(value, USD)),
                b"\"cost_in_usd_ticks\"" => put(&mut self.cost_nano, nano(value, TICK)),
                b"\"prompt_tokens_details\""
                | b"\"completion_tokens_details\""
                | b"\"server_tool_use_details\"" => self.read_inner(body, member.value),
                key => self.count(key, value),
            }
        }
    }

    fn read_inner(&mut self, body: &[u8], inner: Span) {
        for member in json::members(body, inner).map_while(Result::ok) {
            let value = member.value.of(body);
            match member.key.of(body) {
                b"\"total_cost\"" => put(&mut self.cost_nano, nano(value, USD)),
                key => self.count(key, value),
            }
        }
    }

    fn count(&mut self, key: &[u8], value: &[u8]) {
        let slot = match key {
            b"\"prompt_tokens\"" => &mut self.prompt,
            b"\"completion_tokens\"" => &mut self.completion,
            b"\"total_tokens\"" => &mut self.total,
            b"\"cached_tokens\"" | b"\"num_cached_tokens\"" | b"\"prompt_cache_hit_tokens\"" => {
                &mut self.cached
            }
            b"\"cache_write_tokens\"" => &mut self.written,
            b"\"reasoning_tokens\"" => &mut self.reasoning,
            b"\"web_search_requests\"" => &mut self.searches,
            _ => return,
        };
        put(slot, text::count(value));
    }

    /// Whether anything was told.
    pub(super) fn told(&self) -> bool {
        self.prompt.is_some() || self.completion.is_some()
    }

    /// The disjoint counts.
    pub(super) fn usage(&self, rule: UsageRule) -> Usage {
        let [prompt, cached, written] =
            [self.prompt, self.cached, self.written].map(Option::unwrap_or_default);
        Usage {
            input: prompt.saturating_sub(cached).saturating_sub(written),
            cache_read: cached,
            cache_write_5m: written,
            output: self.output(rule),
            reasoning: self.reasoning.unwrap_or(0),
            web_searches: self.searches.unwrap_or(0),
            cost_nano: self.cost_nano,
            ..Usage::default()
        }
    }

    /// Output with reasoning in it. A total that only adds up with reasoning beside the completion says so itself,
    /// whoever serves the model.
    fn output(&self, rule: UsageRule) -> u64 {
        let [completion, reasoning] = [self.completion, self.reasoning].map(Option::unwrap_or_default);
        let both = completion.saturating_add(reasoning);
        let adds_up = self.total == Some(self.prompt.unwrap_or(0).saturating_add(both));
        match rule {
            // Some tell reasoning in the total only.
            UsageRule::Apart => both.max(self.total.unwrap_or(0).saturating_sub(self.prompt.unwrap_or(0))),
            UsageRule::Including if adds_up => both,
            UsageRule::Including => completion,
        }
    }
}

fn put(slot: &mut Option<u64>, told: Option<u64>) {
    *slot = told.or(*slot);
}

/// A price in billionths of a dollar, rounded to the nearest, from its decimal text; `places` is what one unit of the text
/// is worth, as a power of ten. `None` if it is no number, negative, or out of range.
fn nano(value: &[u8], places: i32) -> Option<u64> {
    if !text::is_number(value) || value.starts_with(b"-") {
        return None;
    }
    let (digits, power) = match value.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&value[..at], std::str::from_utf8(&value[at + 1..]).ok()?.parse::<i32>().ok()?),
        None => (value, 0),
    };
    let point = digits.iter().position(|byte| *byte == b'.').unwrap_or(digits.len());
    // The place of a digit right of which billionths end.
    let end = i32::try_from(point).ok()?.checked_add(power)?.checked_add(places)?;
    let mut sum: u64 = 0;
    for (place, digit) in (0..).zip(digits.iter().filter(|byte| **byte != b'.').map(|byte| byte - b'0')) {
        if place < end {
            sum = sum.checked_mul(10)?.checked_add(u64::from(digit))?;
        } else if place == end && digit >= 5 {
            sum = sum.checked_add(1)?;
        }
    }
    let written = i32::try_from(digits.len() - usize::from(point < digits.len())).ok()?;
    match u32::try_from(end.checked_sub(written)?) {
        Ok(missing) if sum > 0 => sum.checked_mul(10_u64.checked_pow(missing)?),
        _ => Some(sum),
    }
}

/// A dollar is 10^9 billionths of one.
const USD: i32 = 9;
/// xAI's tick is 10^-10 dollars.
const TICK: i32 = -1;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(usages: &[&str], rule: UsageRule) -> Usage {
        let mut counts = Counts::default();
        for usage in usages {
            counts.read(usage.as_bytes(), Span::all(usage.as_bytes()));
        }
        counts.usage(rule)
    }

    #[test]
    fn every_providers_usage_becomes_disjoint_counts() {
        use UsageRule::{Apart, Including};
        for (who, usage, rule, [input, read_, written, output, reasoning], cost) in [
            (
                "openai",
                r#"{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":64,"cache_write_tokens":30,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":7,"audio_tokens":0}}"#,
                Including,
                [6, 64, 30, 20, 7],
                None,
            ),
            (
                "openrouter",
                r#"{"prompt_tokens":695,"completion_tokens":191,"total_tokens":886,"cost":0.00165,"is_byok":false,"cost_details":{"upstream_inference_cost":0.1},"prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"completion_tokens_details":{"reasoning_tokens":103,"image_tokens":0}}"#,
                Including,
                [695, 0, 0, 191, 103],
                Some(1_650_000),
            ),
            (
                "xai",
                r#"{"prompt_tokens":311,"completion_tokens":26,"total_tokens":518,"prompt_tokens_details":{"text_tokens":311,"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":181},"num_sources_used":0,"cost_in_usd_ticks":1987005}"#,
                Apart,
                [307, 4, 0, 207, 181],
                Some(198_701),
            ),
            (
                "xai behind azure",
                r#"{"prompt_tokens":10,"completion_tokens":2,"total_tokens":17,"completion_tokens_details":{"reasoning_tokens":5}}"#,
                Including,
                [10, 0, 0, 7, 5],
                None,
            ),
            (
                "deepseek",
                r#"{"prompt_tokens":300,"completion_tokens":5,"prompt_cache_hit_tokens":256,"prompt_cache_miss_tokens":44}"#,
                Including,
                [44, 256, 0, 5, 0],
                None,
            ),
            (
                "together",
                r#"{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8,"cached_tokens":1}"#,
                Including,
                [2, 1, 0, 5, 0],
                None,
            ),
            (
                "mistral",
                r#"{"prompt_tokens":31,"completion_tokens":5,"num_cached_tokens":16,"prompt_tokens_details":null}"#,
                Including,
                [15, 16, 0, 5, 0],
                None,
            ),
            (
                "sglang, in floats",
                r#"{"prompt_tokens":68.0,"completion_tokens":4.0,"reasoning_tokens":2.0}"#,
                Including,
                [68, 0, 0, 4, 2],
                None,
            ),
            (
                "perplexity",
                r#"{"prompt_tokens":8,"completion_tokens":1,"cost":{"input_tokens_cost":0,"total_cost":0.005}}"#,
                Including,
                [8, 0, 0, 1, 0],
                Some(5_000_000),
            ),
            (
                "more cached than there is",
                r#"{"prompt_tokens":5,"completion_tokens":1,"cached_tokens":9}"#,
                Including,
                [0, 9, 0, 1, 0],
                None,
            ),
        ] {
            let expected = Usage {
                input,
                cache_read: read_,
                cache_write_5m: written,
                output,
                reasoning,
                cost_nano: cost,
                ..Usage::default()
            };
            assert_eq!(read(&[usage], rule), expected, "{who}");
        }
    }

    #[test]
    fn the_last_count_stands_and_null_tells_nothing() {
        let told = [
            r#"{"prompt_tokens":8,"completion_tokens":1}"#,
            "null",
            r#"{"prompt_tokens":null,"completion_tokens":7,"cost":null}"#,
        ];
        let usage = read(&told, UsageRule::Including);
        assert_eq!((usage.input, usage.output, usage.cost_nano), (8, 7, None));
        assert!(!Counts::default().told());
    }

    #[test]
    fn a_price_is_exact_to_the_billionth() {
        for (text, expected) in [
            ("0", Some(0)),
            ("0.00005025", Some(50_250)),
            ("5.025e-05", Some(50_250)),
            ("5.025E-05", Some(50_250)),
            ("1", Some(1_000_000_000)),
            ("12.5", Some(12_500_000_000)),
            ("1e2", Some(100_000_000_000)),
            ("0.1", Some(100_000_000)),
            ("0.0000000004", Some(0)),
            ("0.0000000005", Some(1)),
            ("1e-30", Some(0)),
            ("0e300", Some(0)),
            ("1e300", None),
            ("1e99999999999", None),
            ("-1", None),
            ("\"1\"", None),
            ("null", None),
        ] {
            assert_eq!(nano(text.as_bytes(), USD), expected, "{text}");
        }
        assert_eq!(nano(b"19", TICK), Some(2));
    }
}
