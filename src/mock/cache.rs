//! The prompt cache: which beginnings of requests were marked lately, and what a request therefore costs.
//!
//! As at the real one a beginning is tools, then system, then messages; it is kept where a block bears `cache_control`,
//! for one key and model, and found again at any block up to [`LOOK_BACK`] before a mark. So a session that moves to
//! another mock reads nothing there, which is what tests of affinity look at. Providers that cache by themselves go by
//! the very bytes of each tool and message ([`Cache::bill_automatic`]). Reads no clock: an entry lives until
//! [`MAX_ENTRIES`] younger ones came.

use std::collections::{HashSet, VecDeque};

use serde_json::Value;

use super::reply::{self, Usage};

/// The beginnings that are kept. `known` and `order` hold the same hashes; `order.len() <= MAX_ENTRIES`.
#[derive(Default)]
pub struct Cache {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

/// A tool or a message as it was written, for [`Cache::bill_automatic`].
pub struct Piece<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Its tokens.
    pub tokens: u64,
}

/// The end of a block within a request.
struct Place {
    hash: u64,
    /// Tokens up to here.
    tokens: u64,
    /// Whether it is marked, and whether for an hour.
    mark: Option<bool>,
}

impl Cache {
    /// Splits the input of a usage into what is read, what is written, and the rest; and keeps what is written.
    pub fn bill(&mut self, body: &Value, key: &str, usage: &mut Usage) {
        let places = places(body, key);
        let Some(last) = places.iter().rposition(|place| place.mark.is_some()) else { return };
        let total = usage.input;
        let read = self.longest(&places).map_or(0, |place| place.tokens).min(total);
        let mut written = read;
        for place in places[..=last].iter().filter(|place| place.tokens >= MIN_TOKENS) {
            let Some(hour) = place.mark else { continue };
            let tokens = place.tokens.min(total).saturating_sub(written);
            written += tokens;
            *if hour { &mut usage.cache_write_1h } else { &mut usage.cache_write_5m } += tokens;
            self.keep(place.hash);
        }
        usage.cache_read = read;
        usage.input = total - written;
    }

    /// The same where the cache is automatic: any beginning may be read that a request of the same `key` began with, and
    /// nothing is told of writing.
    pub fn bill_automatic(&mut self, pieces: &[Piece<'_>], key: &[&str], usage: &mut Usage) {
        let mut hash = reply::hash(&[key.join("\0").as_bytes()]);
        let (mut tokens, mut read) = (0, 0);
        for piece in pieces {
            hash = reply::hash(&[&hash.to_be_bytes(), &reply::hash(&[piece.bytes]).to_be_bytes()]);
            tokens += piece.tokens;
            if tokens < MIN_TOKENS {
                continue;
            }
            if self.known.contains(&hash) {
                read = tokens;
            }
            self.keep(hash);
        }
        usage.cache_read = read.min(usage.input) / STEP * STEP;
        usage.input -= usage.cache_read;
    }

    /// The longest beginning that is known, near enough before a mark.
    fn longest<'a>(&self, places: &'a [Place]) -> Option<&'a Place> {
        let near = |at: usize| places[at..].iter().take(LOOK_BACK + 1).any(|place| place.mark.is_some());
        let at = (0..places.len()).rev().find(|at| self.known.contains(&places[*at].hash) && near(*at));
        at.map(|at| &places[at])
    }

    fn keep(&mut self, hash: u64) {
        if !self.known.insert(hash) {
            return;
        }
        self.order.push_back(hash);
        if self.order.len() > MAX_ENTRIES
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

/// All ends of blocks, in the order of the cache.
fn places(body: &Value, key: &str) -> Vec<Place> {
    let mut places = Vec::new();
    let mut walk = Walk { hash: reply::hash(&[key.as_bytes(), &[0], text(&body["model"])]), tokens: 0 };
    for part in ["tools", "system"] {
        walk.blocks(part, &body[part], &mut places);
    }
    for message in body["messages"].as_array().into_iter().flatten() {
        walk.blocks(message["role"].as_str().unwrap_or_default(), &message["content"], &mut places);
    }
    // At the top level the mark stands for one at the last block.
    if let (Some(last), Some(hour)) = (places.last_mut(), mark(body)) {
        last.mark = Some(hour);
    }
    places
}

/// What was walked over so far.
struct Walk {
    hash: u64,
    tokens: u64,
}

impl Walk {
    /// A text is one block: clients send the same words as a text once they bear no mark any more.
    fn blocks(&mut self, role: &str, content: &Value, places: &mut Vec<Place>) {
        match content {
            Value::String(text) => {
                self.block(role, &[text.as_bytes()], reply::tokens_of(content), None, places);
            }
            Value::Array(blocks) => {
                for block in blocks.iter().filter(|block| !is_billing(block)) {
                    if block["type"] == "text" {
                        let tokens = reply::tokens_of(&block["text"]);
                        self.block(role, &[text(&block["text"])], tokens, mark(block), places);
                        continue;
                    }
                    let tokens = reply::tokens_of(block);
                    let fields =
                        block.as_object().into_iter().flatten().filter(|(name, _)| *name != "cache_control");
                    let fields: Vec<String> = fields.map(|(name, value)| format!("{name}:{value}")).collect();
                    let parts: Vec<&[u8]> = fields.iter().map(String::as_bytes).collect();
                    self.block(role, &parts, tokens, mark(block), places);
                }
            }
            _ => {}
        }
    }

    fn block(
        &mut self,
        role: &str,
        parts: &[&[u8]],
        tokens: u64,
        mark: Option<bool>,
        places: &mut Vec<Place>,
    ) {
        let own = reply::hash(parts);
        self.hash = reply::hash(&[&self.hash.to_be_bytes(), role.as_bytes(), &own.to_be_bytes()]);
        self.tokens += tokens;
        places.push(Place { hash: self.hash, tokens: self.tokens, mark });
    }
}

fn mark(block: &Value) -> Option<bool> {
    let mark = &block["cache_control"];
    mark.is_object().then(|| mark["ttl"] == "1h")
}

fn text(value: &Value) -> &[u8] {
    value.as_str().unwrap_or_default().as_bytes()
}

/// Claude Code's first system block changes with every request, and the real one does not cache by it.
fn is_billing(block: &Value) -> bool {
    block["text"].as_str().is_some_and(|text| text.starts_with("x-anthropic-billing-header:"))
}

/// Blocks before a mark at which an earlier entry is looked for.
const LOOK_BACK: usize = 20;
/// Beginnings that are kept: some thousand sessions.
const MAX_ENTRIES: usize = 16_384;
/// A shorter beginning is not cached.
const MIN_TOKENS: u64 = 1024;
/// An automatic cache counts in steps.
const STEP: u64 = 128;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bill(cache: &mut Cache, body: &Value, key: &str) -> (u64, u64, u64) {
        let mut usage = Usage { input: reply::input_tokens(body), ..Usage::default() };
        let total = usage.input;
        cache.bill(body, key, &mut usage);
        assert_eq!(total, usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h);
        (usage.cache_read, usage.cache_write_5m, usage.cache_write_1h)
    }

    fn body(turns: &[Value]) -> Value {
        let system = json!([
            {"type": "text", "text": format!("x-anthropic-billing-header: {}", turns.len())},
            {"type": "text", "text": "be good. ".repeat(1000), "cache_control": {"type": "ephemeral"}},
        ]);
        json!({"model": "mock-1", "system": system, "messages": turns})
    }

    fn marked(text: &str) -> Value {
        json!({"role": "user", "content": [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]})
    }

    #[test]
    fn a_session_reads_what_its_last_turn_wrote() {
        let mut cache = Cache::default();
        let (question, answer) = ("why? ".repeat(300), json!({"role": "assistant", "content": "because"}));
        let first = body(&[marked(&question)]);
        let (read, written, _) = bill(&mut cache, &first, "k");
        assert!(read == 0 && written > 2500, "{read} {written}");
        // Unmarked, the same words come as a plain text.
        let second = body(&[json!({"role": "user", "content": question}), answer, marked("and now?")]);
        let (read, more, _) = bill(&mut cache, &second, "k");
        assert!(read == written && (1..50).contains(&more), "{read} {written} {more}");
        for (name, body, key) in [
            ("another key", second.clone(), "other"),
            (
                "another model",
                json!({"model": "mock-2", "system": second["system"], "messages": second["messages"]}),
                "k",
            ),
            ("another system", json!({"model": "mock-1", "messages": second["messages"]}), "k"),
        ] {
            assert_eq!(bill(&mut cache, &body, key).0, 0, "{name}");
        }
    }

    #[test]
    fn what_bears_no_mark_or_is_short_is_not_cached() {
        let mut cache = Cache::default();
        for _ in 0..2 {
            assert_eq!(
                bill(&mut cache, &json!({"model": "m", "messages": [marked("short")]}), "k"),
                (0, 0, 0)
            );
            let unmarked =
                json!({"model": "m", "messages": [{"role": "user", "content": "long ".repeat(5000)}]});
            assert_eq!(bill(&mut cache, &unmarked, "k"), (0, 0, 0));
        }
    }

    #[test]
    fn an_hour_is_told_apart() {
        let mut asked = body(&[marked("hello")]);
        asked["system"][1]["cache_control"]["ttl"] = json!("1h");
        let (_, five_minutes, hour) = bill(&mut Cache::default(), &asked, "k");
        assert!(hour > 2000 && (1..20).contains(&five_minutes), "{hour} {five_minutes}");
    }

    #[test]
    fn an_automatic_cache_reads_a_beginning_of_the_same_bytes() {
        let piece = |bytes: &'static str| Piece { bytes: bytes.as_bytes(), tokens: 1_500 };
        let mut cache = Cache::default();
        let mut read = |pieces: &[&'static str], key: &str| {
            let pieces: Vec<Piece<'_>> = pieces.iter().map(|bytes| piece(bytes)).collect();
            let mut usage = Usage { input: 1_500 * pieces.len() as u64, ..Usage::default() };
            cache.bill_automatic(&pieces, &["openai", key], &mut usage);
            usage.cache_read
        };
        assert_eq!(read(&["tools", "one"], "k"), 0);
        assert_eq!(read(&["tools", "one", "two"], "k"), 2_944);
        assert_eq!(read(&["tools", "one", "two"], "other"), 0);
        assert_eq!(read(&["tools", "one ", "two"], "k"), 1_408);
        assert_eq!(read(&["tools ", "one", "two"], "k"), 0);
    }

    #[test]
    fn the_oldest_entry_goes() {
        let mut cache = Cache::default();
        for n in 0..=MAX_ENTRIES as u64 {
            cache.keep(n);
        }
        assert!(!cache.known.contains(&0) && cache.known.contains(&1) && cache.order.len() == MAX_ENTRIES);
    }
}
