//! The `usage` object of Messages (wire.md 1.5), folded into the meter's disjoint counts.
//!
//! The same reading serves `message_start`, `message_delta` and a whole reply, so that a stream and its folded reply
//! cannot drift apart. Nothing is added up: a count that is told again supersedes the one before (`message_delta` is
//! cumulative); `null` and absent tell nothing.

use crate::json::{self, Span, text};
use crate::wire::Usage;

/// The raw counts as last told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    input: Option<u64>,
    cache_read: Option<u64>,
    /// Both lifetimes together.
    cache_write: Option<u64>,
    write_5m: Option<u64>,
    write_1h: Option<u64>,
    output: Option<u64>,
    reasoning: Option<u64>,
    web_searches: Option<u64>,
    web_fetches: Option<u64>,
}

impl Counts {
    /// Reads a `usage` value over what is known.
    pub(super) fn read(&mut self, body: &[u8], usage: Span) {
        for member in json::members(body, usage).map_while(Result::ok) {
            let value = member.value.of(body);
            let slot = match member.key.of(body) {
                b"\"input_tokens\"" => &mut self.input,
                b"\"output_tokens\"" => &mut self.output,
                b"\"cache_read_input_tokens\"" => &mut self.cache_read,
                b"\"cache_creation_input_tokens\"" => &mut self.cache_write,
                b"\"cache_creation\"" | b"\"output_tokens_details\"" | b"\"server_tool_use\"" => {
                    self.read_inner(body, member.value);
                    continue;
                }
                _ => continue,
            };
            if let Some(count) = text::count(value) {
                *slot = Some(count);
            }
        }
    }

    fn read_inner(&mut self, body: &[u8], inner: Span) {
        for member in json::members(body, inner).map_while(Result::ok) {
            let slot = match member.key.of(body) {
                b"\"ephemeral_5m_input_tokens\"" => &mut self.write_5m,
                b"\"ephemeral_1h_input_tokens\"" => &mut self.write_1h,
                b"\"thinking_tokens\"" => &mut self.reasoning,
                b"\"web_search_requests\"" => &mut self.web_searches,
                b"\"web_fetch_requests\"" => &mut self.web_fetches,
                _ => continue,
            };
            if let Some(count) = text::count(member.value.of(body)) {
                *slot = Some(count);
            }
        }
    }

    /// Whether anything was told.
    pub(super) fn told(&self) -> bool {
        self.input.is_some() || self.output.is_some()
    }

    /// The disjoint counts. The total of cache writes rules; what its split does not cover was written for five
    /// minutes, the default.
    pub(super) fn usage(&self) -> Usage {
        let split = self.write_5m.unwrap_or(0).saturating_add(self.write_1h.unwrap_or(0));
        let written = self.cache_write.unwrap_or(split);
        let hour = self.write_1h.unwrap_or(0).min(written);
        Usage {
            input: self.input.unwrap_or(0),
            cache_read: self.cache_read.unwrap_or(0),
            cache_write_5m: written - hour,
            cache_write_1h: hour,
            output: self.output.unwrap_or(0),
            reasoning: self.reasoning.unwrap_or(0),
            web_searches: self.web_searches.unwrap_or(0),
            web_fetches: self.web_fetches.unwrap_or(0),
            cost_nano: None,
        }
    }
}
