//! Why an answer of Chat Completions ended: the words of all its providers, and the one word for clients (wire.md 11).
//!
//! Two words are no end but a failure: `error` and `abort`. Does not know whether tools were called; who does settles
//! [`with_calls`].

use crate::error::{Class, Failure};
use crate::json::text;
use crate::wire::Stop;
use crate::wire::meter::Told;

/// What a `finish_reason` means: a stop, or that the answer broke. `None`: it tells nothing yet.
pub(super) fn read(value: &[u8], stopped: Option<&[u8]>) -> Option<Result<Stop, Told>> {
    let word = text::string(value).filter(|word| !word.is_empty())?;
    Some(match &*word {
        "error" | "abort" => Err(broken(&word)),
        _ => Ok(match (stop(&word), stopped) {
            (Stop::EndTurn, Some(stopped)) if sequence(stopped).is_some() => Stop::StopSequence,
            (stop, _) => stop,
        }),
    })
}

/// The stop sequence that some servers tell beside the reason: a text, escaped. They tell a token's number where the model
/// ended by itself, and proxies repeat the reason in other words.
pub(super) fn sequence(stopped: &[u8]) -> Option<&[u8]> {
    let word = text::string(stopped).filter(|word| !word.is_empty())?;
    matches!(stop(&word), Stop::Other(_)).then(|| &stopped[1..stopped.len() - 1])
}

fn stop(word: &str) -> Stop {
    match word {
        "stop" | "eos" | "end_turn" | "complete" => Stop::EndTurn,
        "stop_sequence" => Stop::StopSequence,
        "tool_calls" | "function_call" | "tool_use" => Stop::ToolUse,
        "length" | "max_tokens" | "model_length" => Stop::MaxTokens,
        "model_context_window_exceeded" => Stop::ContextWindow,
        "content_filter" | "sensitive" | "refusal" => Stop::Refusal,
        other => Stop::Other(other.into()),
    }
}

/// The reason, given whether tools were called: then a plain end means that their results are awaited, and without any
/// nobody can be waiting for one.
pub(super) fn with_calls(stop: Stop, called: bool) -> Stop {
    match stop {
        Stop::EndTurn if called => Stop::ToolUse,
        Stop::ToolUse if !called => Stop::EndTurn,
        stop => stop,
    }
}

/// The `finish_reason` for clients.
pub(super) fn word(stop: &Stop, called: bool) -> &'static str {
    match stop {
        Stop::ToolUse => "tool_calls",
        Stop::EndTurn if called => "tool_calls",
        Stop::MaxTokens | Stop::ContextWindow => "length",
        Stop::Refusal => "content_filter",
        Stop::EndTurn | Stop::StopSequence | Stop::PauseTurn | Stop::Compaction | Stop::Other(_) => "stop",
    }
}

/// An answer that ended in `finish_reason` `error` or `abort`, without a word why.
fn broken(word: &str) -> Told {
    Told {
        failure: Failure { status: 502, ..Failure::silent(Class::Server) },
        kind: "server_error".into(),
        message: format!("the provider ended the answer with finish_reason `{word}`").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_for_an_end_is_known() {
        let stops = |value: &str, stopped: &str| {
            read(value.as_bytes(), Some(stopped.as_bytes())).map(|end| end.map(|stop| stop.word().to_owned()))
        };
        for (value, stopped, expected) in [
            ("\"stop\"", "null", "end_turn"),
            ("\"stop\"", "151336", "end_turn"),
            ("\"stop\"", "\"END\"", "stop_sequence"),
            ("\"stop\"", "\"end_turn\"", "end_turn"),
            ("\"eos\"", "null", "end_turn"),
            ("\"length\"", "\"END\"", "max_tokens"),
            ("\"model_length\"", "null", "max_tokens"),
            ("\"tool_calls\"", "null", "tool_use"),
            ("\"function_call\"", "null", "tool_use"),
            ("\"content_filter\"", "null", "refusal"),
            ("\"sensitive\"", "null", "refusal"),
            ("\"model_context_window_exceeded\"", "null", "model_context_window_exceeded"),
            ("\"brand_new\"", "null", "brand_new"),
        ] {
            assert_eq!(stops(value, stopped), Some(Ok(expected.to_owned())), "{value} {stopped}");
        }
        assert_eq!(stops("null", "null"), None);
        assert_eq!(stops("\"\"", "null"), None);
        for word in ["error", "abort"] {
            let told = stops(&format!("\"{word}\""), "null").unwrap().unwrap_err();
            assert!(told.failure.class == Class::Server && told.message.contains(word));
        }
    }

    #[test]
    fn calls_settle_what_an_end_means() {
        for (stop, called, settled, told) in [
            (Stop::EndTurn, true, Stop::ToolUse, "tool_calls"),
            (Stop::EndTurn, false, Stop::EndTurn, "stop"),
            (Stop::ToolUse, false, Stop::EndTurn, "stop"),
            (Stop::MaxTokens, true, Stop::MaxTokens, "length"),
            (Stop::Refusal, false, Stop::Refusal, "content_filter"),
            (Stop::PauseTurn, false, Stop::PauseTurn, "stop"),
            (Stop::Other("x".into()), true, Stop::Other("x".into()), "stop"),
        ] {
            let stop = with_calls(stop, called);
            assert_eq!((&stop, word(&stop, called)), (&settled, told));
        }
    }
}
