//! Events that were kept, and the answer that they amount to.

use std::fmt::Debug;

use pointsman::wire::grammar::Grammar;
use pointsman::wire::ir::{Delta, Escaped, Event, Open};
use pointsman::wire::meter::{Stop, Usage};
use pointsman::wire::{Dialect, names};

/// One event with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Start(Option<String>),
    Text,
    Thinking,
    Call(String, String),
    Refusal,
    Opaque(Dialect, String),
    More(String),
    Args(String),
    Seal(String, Vec<u8>),
    Citation(Dialect, String),
    Close,
    Usage(Usage),
    Stop(Stop, Option<String>),
    Fault(String),
}

/// Keeps events, and holds each against the grammar.
#[derive(Default)]
pub struct Keep {
    grammar: Grammar,
    pub said: Vec<Said>,
}

impl Keep {
    pub fn take(&mut self, event: &Event<'_>) {
        if let Err(wrong) = self.grammar.check(event) {
            panic!("against the grammar: {wrong} behind {:?}", self.said);
        }
        self.said.push(Said::of(event));
    }

    pub fn is_over(&self) -> bool {
        self.grammar.is_over()
    }
}

impl Said {
    pub fn of(event: &Event<'_>) -> Self {
        match event {
            Event::Start { model } => Self::Start(model.map(plain)),
            Event::Open(Open::Text) => Self::Text,
            Event::Open(Open::Thinking) => Self::Thinking,
            Event::Open(Open::ToolCall { id, name }) => Self::Call(plain(id), plain(name)),
            Event::Open(Open::Refusal) => Self::Refusal,
            Event::Open(Open::Opaque { owner, raw }) => Self::Opaque(*owner, lossy(raw)),
            Event::Delta(Delta::Text(text)) => Self::More(lossy(text)),
            Event::Delta(Delta::Args(args)) => Self::Args(lossy(args)),
            Event::Delta(Delta::Seal { family, payload }) => {
                Self::Seal((*family).to_owned(), payload.to_vec())
            }
            Event::Delta(Delta::Citation { owner, raw }) => Self::Citation(*owner, lossy(raw)),
            Event::Close => Self::Close,
            Event::Usage(usage) => Self::Usage(*usage),
            Event::Stop { reason, sequence } => Self::Stop((*reason).clone(), sequence.map(plain)),
            Event::Fault(told) => Self::Fault(told.message.to_string()),
        }
    }
}

/// What an answer says, however it was cut into deltas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub blocks: Vec<Block>,
    pub usage: Option<Usage>,
    pub stop: Option<Stop>,
    pub sequence: Option<String>,
    pub fault: Option<String>,
}

/// One block with its deltas joined, unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub kind: Kind,
    pub text: String,
    pub sealed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Thinking,
    Call(String, String),
    Refusal,
    Opaque,
}

impl Answer {
    pub fn of(said: &[Said]) -> Self {
        let mut answer = Self::default();
        let mut escaped = String::new();
        for event in said {
            let mut open = |kind| answer.blocks.push(Block { kind, text: String::new(), sealed: false });
            match event {
                Said::Start(_) | Said::Citation(..) => {}
                Said::Text => open(Kind::Text),
                Said::Thinking => open(Kind::Thinking),
                Said::Call(id, name) => open(Kind::Call(id.clone(), name.clone())),
                Said::Refusal => open(Kind::Refusal),
                Said::Opaque(..) => open(Kind::Opaque),
                Said::More(text) | Said::Args(text) => escaped.push_str(text),
                Said::Seal(..) => answer.blocks.last_mut().unwrap().sealed = true,
                Said::Close => {
                    let block = answer.blocks.last_mut().unwrap();
                    block.text = plain(escaped.as_bytes());
                    escaped.clear();
                    if matches!(block.kind, Kind::Call(..)) && block.text.is_empty() {
                        block.text.push_str("{}");
                    }
                }
                Said::Usage(usage) => answer.usage = Some(*usage),
                Said::Stop(stop, sequence) => {
                    answer.stop = Some(stop.clone());
                    answer.sequence.clone_from(sequence);
                }
                Said::Fault(message) => answer.fault = Some(message.clone()),
            }
        }
        // A fault leaves its block open.
        if let Some(last) = answer.blocks.last_mut().filter(|_| !escaped.is_empty()) {
            last.text = plain(escaped.as_bytes());
        }
        answer
    }

    /// What is left of it once it went through another client's format: foreign blocks go, neighbours of a kind are one
    /// block, ids fit, seals are the dialect's own matter, and what Chat cannot say is said as it can.
    pub fn crossed(&self) -> Self {
        let mut answer = Self { blocks: Vec::new(), ..self.clone() };
        for block in &self.blocks {
            let kind = match &block.kind {
                Kind::Opaque => continue,
                // Messages has refusals as a text.
                Kind::Refusal => Kind::Text,
                Kind::Call(id, name) => Kind::Call(lossy(&names::plain_id(id.as_bytes())), name.clone()),
                kind => kind.clone(),
            };
            let is_call = matches!(kind, Kind::Call(..));
            if block.text.is_empty() && !is_call {
                continue;
            }
            let text = if is_call { compact(&block.text) } else { block.text.clone() };
            match answer.blocks.last_mut() {
                Some(last) if last.kind == kind && !is_call => last.text.push_str(&text),
                _ => answer.blocks.push(Block { kind, text, sealed: false }),
            }
        }
        answer.stop = self.stop.clone().map(|stop| match stop {
            Stop::StopSequence | Stop::PauseTurn | Stop::Compaction => Stop::EndTurn,
            Stop::ContextWindow => Stop::MaxTokens,
            stop => stop,
        });
        answer.sequence = None;
        answer.usage = self.usage.map(|usage| Usage {
            cache_write_5m: usage.cache_write_5m + usage.cache_write_1h,
            cache_write_1h: 0,
            web_searches: 0,
            web_fetches: 0,
            cost_nano: None,
            ..usage
        });
        answer
    }

    /// The texts of calls.
    pub fn arguments(&self) -> Vec<&str> {
        let calls = self.blocks.iter().filter(|block| matches!(block.kind, Kind::Call(..)));
        calls.map(|block| block.text.as_str()).collect()
    }
}

/// Blanks in arguments may go where a whole answer is an object and no text.
fn compact(args: &str) -> String {
    serde_json::from_str::<serde_json::Value>(args).map_or_else(|_| args.to_owned(), |args| args.to_string())
}

pub fn plain(escaped: &[u8]) -> String {
    Escaped::raw(escaped).plain().into_owned()
}

pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Fails with the name and the first place that differs.
pub fn same<T: PartialEq + Debug>(name: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    let (found, expected) = (format!("{found:?}"), format!("{expected:?}"));
    let at = found.bytes().zip(expected.bytes()).take_while(|(a, b)| a == b).count().saturating_sub(60);
    let show = |text: &str| lossy(&text.as_bytes()[at.min(text.len())..(at + 240).min(text.len())]);
    Err(format!("{name}:\n    found    …{}\n    expected …{}", show(&found), show(&expected)))
}

/// Fails once, with all that failed.
pub fn all(results: impl IntoIterator<Item = Result<(), String>>) {
    let results: Vec<_> = results.into_iter().collect();
    let wrong: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert!(!results.is_empty(), "nothing was looked at");
    let shown: Vec<_> = wrong.iter().take(12).map(|wrong| wrong.as_str()).collect();
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), results.len(), shown.join("\n"));
}
