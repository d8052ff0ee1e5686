//! How long a conversation is and how long it may be, out of the words of an overflow.
//!
//! ```text
//! prompt is too long: 250000 tokens > 200000 maximum       needed > limit, also as a sum
//! … maximum context length is 131072 … contains 537812     the limit by the words beside it, then what is above it
//! ```
//!
//! A number that nothing explains counts for nothing: a limit that was never meant would send a conversation to the wrong
//! place. Does not decide whether something is an overflow: that is `wording`'s.

use crate::error::Length;

/// What a message in lower case tells.
pub(super) fn told(message: &str) -> Length {
    if NO_TOKENS.iter().any(|unit| message.contains(unit)) {
        return Length::default();
    }
    let numbers: Vec<Number> = numbers(message).collect();
    compared(message, &numbers).unwrap_or_else(|| described(message, &numbers))
}

/// A number that stands by itself, with the bytes that it takes.
#[derive(Clone, Copy)]
struct Number {
    at: usize,
    end: usize,
    value: u64,
}

/// `208310 tokens > 200000`, `190000 + 32000 > 200000`.
fn compared(message: &str, numbers: &[Number]) -> Option<Length> {
    let between = |pair: &[Number]| Some(message.get(pair.first()?.end..pair.last()?.at)?.trim());
    numbers.windows(2).enumerate().find_map(|(at, pair)| {
        let sign = between(pair)?.trim_start_matches("tokens").trim();
        if sign != ">" {
            return None;
        }
        let summands = numbers.get(..=at)?.windows(2).rev().take_while(|pair| between(pair) == Some("+"));
        let [last, limit] = pair else { return None };
        let needed =
            summands.filter_map(<[Number]>::first).fold(last.value, |sum, n| sum.saturating_add(n.value));
        let makes_sense = needed > limit.value;
        makes_sense.then_some(Length { needed: Some(needed), limit: Some(limit.value) })
    })
}

/// The limit is the first number with the words of one beside it; needed is the first that is above.
fn described(message: &str, numbers: &[Number]) -> Length {
    let limits = |number: &&Number| {
        let front = message[..number.at].trim_end_matches(|c: char| c == ' ' || "([:=".contains(c));
        let front = FILLERS.iter().find_map(|word| front.strip_suffix(word)).unwrap_or(front);
        let behind = message[number.end..].trim_start();
        LIMITS.iter().any(|words| front.ends_with(words)) || behind.starts_with("maximum")
    };
    let limit = numbers.iter().find(limits).map(|number| number.value);
    let needed =
        limit.and_then(|limit| numbers.iter().map(|number| number.value).find(|value| *value > limit));
    Length { needed, limit }
}

/// Whole numbers, also as `200,000`, that are no part of a word, a name, a date or a fraction.
fn numbers(message: &str) -> impl Iterator<Item = Number> {
    let bytes = message.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            while at < bytes.len() && !is_digit(at) {
                at += 1;
            }
            if at == bytes.len() {
                return None;
            }
            let start = at;
            while is_digit(at) || (bytes.get(at) == Some(&b',') && is_digit(at + 1)) {
                at += 1;
            }
            let (before, after) = (start.checked_sub(1).and_then(|at| bytes.get(at)), bytes.get(at));
            let joins = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_@/".contains(byte);
            let is_fraction = before == Some(&b'.') || (after == Some(&b'.') && is_digit(at + 1));
            let alone = !is_fraction && ![before, after].into_iter().flatten().any(joins);
            let digits: String = message[start..at].chars().filter(|c| *c != ',').collect();
            if let (true, Ok(value)) = (alone, digits.parse()) {
                return Some(Number { at: start, end: at, value });
            }
        }
    })
}

/// Units in which no window is measured.
const NO_TOKENS: &[&str] = &["characters", " bytes"];

/// Words between a limit's name and its number.
const FILLERS: &[&str] = &[" is only", " is", " of", " at most", " only"];

/// How the name of a limit ends.
const LIMITS: &[&str] = &[
    "allowed",
    "context length",
    "context limit",
    "context size",
    "context window",
    "limit",
    "max input tokens",
    "max size",
    "maximum",
    "n_ctx",
    "prompt length",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_in_the_words_of_every_vendor() {
        for (message, needed, limit) in [
            ("prompt is too long: 250000 tokens > 200000 maximum", Some(250_000), Some(200_000)),
            ("messages.3: prompt is too long: 2 tokens > 1 maximum", Some(2), Some(1)),
            (
                "prompt is too long for claude-3-haiku-20240307: 210,000 tokens > 200,000 maximum",
                Some(210_000),
                Some(200_000),
            ),
            (
                "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000, decrease input length or `max_tokens` and try again",
                Some(222_000),
                Some(200_000),
            ),
            (
                "the input token count (1250074) exceeds the maximum number of tokens allowed (1048576).",
                Some(1_250_074),
                Some(1_048_576),
            ),
            (
                "the input token count exceeds the maximum number of tokens allowed 1048576.",
                None,
                Some(1_048_576),
            ),
            (
                "this model's maximum context length is 128000 tokens. however, your messages resulted in 130011 tokens (129000 in the messages, 1011 in the functions).",
                Some(130_011),
                Some(128_000),
            ),
            (
                "this endpoint's maximum context length is 128000 tokens. however, you requested about 200000 tokens (195904 of text input, 4096 in the output).",
                Some(200_000),
                Some(128_000),
            ),
            (
                "'max_tokens' or 'max_completion_tokens' is too large: 8192. this model's maximum context length is 32768 tokens and your request has 30000 input tokens (8192 > 32768 - 30000).",
                None,
                Some(32_768),
            ),
            (
                "this model's maximum prompt length is 131072 but the request contains 537812 tokens.",
                Some(537_812),
                Some(131_072),
            ),
            (
                "prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
                Some(40_000),
                Some(32_768),
            ),
            (
                "too many input tokens. max input tokens: 300000, request input token count: 350000",
                Some(350_000),
                Some(300_000),
            ),
            (
                "the request exceeds the available context size (4096 tokens), try increasing it",
                None,
                Some(4_096),
            ),
            (
                "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
                Some(5_000),
                Some(4_096),
            ),
            ("prompt token count of 135000 exceeds the limit of 128000", Some(135_000), Some(128_000)),
            (
                "the prompt is too long: 150000, model maximum context length: 131071",
                Some(150_000),
                Some(131_071),
            ),
            ("input is too long for requested model.", None, None),
            ("too many tokens: size limit exceeded by 11326 tokens", None, None),
            ("your input exceeds the context window of gpt-5.4-2026-03-05", None, None),
            ("prompt is too long: 9000000 bytes > 1000000 maximum", None, None),
            ("prompt is too long: 100 tokens > 200000 maximum", None, Some(200_000)),
            ("prompt is too long: 99999999999999999999 tokens > 200000 maximum", None, Some(200_000)),
            ("", None, None),
        ] {
            assert_eq!(told(message), Length { needed, limit }, "{message}");
        }
    }
}
