//! A Messages request as a conversation (wire.md 1.2, 1.3).
//!
//! ```text
//! Ask (spans) ──▶ system ─┐
//!             ──▶ turns  ─┼──▶ Conversation, borrowing from the body
//!             ──▶ settings┘
//! ```
//!
//! Texts, arguments and schemas are borrowed as they stand; a text is made only where a block becomes another one. The
//! attribution in front of Claude Code's system text is left out, since it means nothing to others and changes from
//! request to request. Tools stay raw: [`super::tools`]. What a message becomes depends on that message alone. Does not
//! know the target.

mod block;
mod settings;

use std::borrow::Cow;
use std::fmt;

use super::{Ask, cache};
use crate::error::Error;
use crate::json::{self, Span, text};
use crate::wire::Loss;
use crate::wire::ir::{Block, Content, Conversation, Effort, Escaped, Role, Turn};
use crate::wire::refusal::{missing, not_json, wrong};

/// Reads a request. An error is the client's and names the path of what is wrong: `messages.3.content.0.id: …`.
pub fn read<'b>(ask: &Ask<'b>) -> Result<Conversation<'b>, Error> {
    let mut reader = Reader { body: ask.body, loss: Loss::default(), effort: None };
    let system = reader.system(ask)?;
    let mut turns = Vec::with_capacity(ask.messages.len());
    for (index, message) in ask.messages.iter().enumerate() {
        let place = Place { within: None, list: "messages", index };
        turns.extend(reader.message(*message, place)?);
    }
    let mut conversation = Conversation { system, turns, loss: reader.loss, ..Conversation::default() };
    settings::read(ask, &mut conversation)?;
    // The effort of a turn stands until another one is told.
    conversation.reasoning.effort = reader.effort.or(conversation.reasoning.effort);
    Ok(conversation)
}

/// Where an element stands, for the messages of errors.
#[derive(Clone, Copy, Debug)]
struct Place<'p> {
    within: Option<&'p Place<'p>>,
    list: &'static str,
    index: usize,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(outer) = self.within {
            write!(f, "{outer}.")?;
        }
        write!(f, "{}.{}", self.list, self.index)
    }
}

impl Place<'_> {
    fn missing(&self, name: &str) -> Error {
        missing(&format!("{self}.{name}"))
    }

    fn wrong(&self, name: &str, expected: &str, value: &[u8]) -> Error {
        wrong(&format!("{self}.{name}"), expected, value)
    }

    /// For an element that shall be an object.
    fn no_object(&self, value: &[u8]) -> Error {
        wrong(&self.to_string(), "an object", value)
    }
}

/// The walk through the messages.
struct Reader<'b> {
    body: &'b [u8],
    loss: Loss,
    /// The last one that a message told for its turn.
    effort: Option<Effort>,
}

impl<'b> Reader<'b> {
    fn system(&mut self, ask: &Ask<'b>) -> Result<Vec<Block<'b>>, Error> {
        let Some(system) = ask.system else { return Ok(Vec::new()) };
        let value = system.value.of(self.body);
        let mut blocks = Vec::new();
        match value.first() {
            Some(b'"') => blocks.extend(said(value).map(Block::new)),
            Some(b'[') => {
                for (index, span) in json::elements(self.body, system.value).enumerate() {
                    let span = span.map_err(|fault| not_json(self.body, fault))?;
                    let place = Place { within: None, list: "system", index };
                    block::read(self.body, span, place, &mut blocks, &mut self.loss)?;
                }
            }
            _ if value == b"null" => {}
            _ => return Err(wrong("system", "a string or an array", value)),
        }
        if blocks.first().is_some_and(is_attribution) {
            blocks.remove(0);
        }
        Ok(blocks)
    }

    /// One message; `None` if it says nothing (`[]`, which carries a setting only).
    fn message(&mut self, message: Span, place: Place<'_>) -> Result<Option<Turn<'b>>, Error> {
        let body = self.body;
        if body.get(message.start) != Some(&b'{') {
            return Err(place.no_object(message.of(body)));
        }
        let (mut role, mut content, mut mark) = (None, None, None);
        let mut spans = Vec::new();
        let mut members = json::members(body, message);
        while let Some(member) = members.next_opening("content", &mut spans) {
            let member = member.map_err(|fault| not_json(body, fault))?;
            let value = member.value.of(body);
            match &*name(member.key.of(body)) {
                b"role" => role = Some(value),
                b"content" => content = Some(value),
                b"cache_control" => mark = cache::read(value),
                b"output_config" => self.turn_config(member.value),
                b"clear_at" if !matches!(value, b"null" | b"\"never\"") => {
                    self.loss.add("messages.clear_at");
                }
                _ => {}
            }
        }
        let role = role_of(role.ok_or_else(|| place.missing("role"))?, place)?;
        let content = content.ok_or_else(|| place.missing("content"))?;
        let mut blocks = self.content(content, &spans, place)?;
        if let Some(last) = blocks.last_mut() {
            last.cache = last.cache.or(mark);
        }
        Ok((!blocks.is_empty()).then_some(Turn { role, blocks }))
    }

    fn content(
        &mut self,
        value: &'b [u8],
        spans: &[Span],
        place: Place<'_>,
    ) -> Result<Vec<Block<'b>>, Error> {
        match value.first() {
            Some(b'"') => Ok(said(value).map(Block::new).into_iter().collect()),
            Some(b'[') => {
                let mut blocks = Vec::with_capacity(spans.len());
                for (index, span) in spans.iter().enumerate() {
                    let place = Place { within: Some(&place), list: "content", index };
                    block::read(self.body, *span, place, &mut blocks, &mut self.loss)?;
                }
                Ok(blocks)
            }
            _ => Err(place.wrong("content", "a string or an array", value)),
        }
    }

    /// The settings of a turn: its effort counts from there on, others are for its own API.
    fn turn_config(&mut self, config: Span) {
        for member in json::members(self.body, config).map_while(Result::ok) {
            let level = text::string(member.value.of(self.body)).and_then(|word| Effort::from_word(&word));
            if member.is(self.body, "effort") && level.is_some() {
                self.effort = level;
            } else {
                self.loss.add("messages.output_config");
            }
        }
    }
}

/// What a key says, given with its quotes. Hardly any holds an escape, and nearly all are short: no search is called for.
fn name(key: &[u8]) -> Cow<'_, [u8]> {
    let inner = key.get(1..key.len().saturating_sub(1)).unwrap_or_default();
    match inner.contains(&b'\\').then(|| text::string(key)).flatten() {
        Some(plain) => Cow::Owned(plain.into_owned().into_bytes()),
        None => Cow::Borrowed(inner),
    }
}

/// A text that says something.
fn said(value: &[u8]) -> Option<Content<'_>> {
    Escaped::of_value(value).filter(|text| !text.is_blank()).map(Content::Text)
}

fn is_attribution(block: &Block<'_>) -> bool {
    matches!(&block.content, Content::Text(text) if text.as_bytes().starts_with(ATTRIBUTION))
}

fn role_of(value: &[u8], place: Place<'_>) -> Result<Role, Error> {
    match value {
        // Some versions of Claude Code send `ctx` and `msg` (wire.md 9.1).
        b"\"user\"" | b"\"ctx\"" | b"\"msg\"" => Ok(Role::User),
        b"\"assistant\"" => Ok(Role::Assistant),
        b"\"system\"" => Ok(Role::System),
        _ => Err(place.wrong("role", "`user`, `assistant` or `system`", value)),
    }
}

/// What Claude Code's first system block begins with (wire.md 9.1).
const ATTRIBUTION: &[u8] = b"x-anthropic-billing-header:";

#[cfg(test)]
mod tests;
