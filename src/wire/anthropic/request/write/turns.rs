//! The turns of a conversation in the order and grouping that Messages demands (wire.md 1.3).
//!
//! ```text
//! system turns in front    ──▶ system
//! neighbours of one role   ──▶ one message
//! results of tools         ──▶ first in the user's message behind their calls, in front of later instructions
//! later instructions       ──▶ role system where the model has it, else the user's, as a reminder
//! ```
//!
//! What is left out of a turn is decided by that turn alone. Only references are kept here; bytes are `content`'s.

use std::borrow::Cow;
use std::collections::HashSet;

use super::content::{self, List};
use crate::error::Error;
use crate::json::{Span, text};
use crate::wire::anthropic::request::member_of;
use crate::wire::ir::{Block, Content, Conversation, Escaped, Media, Role, Turn};
use crate::wire::refusal::bad;
use crate::wire::traits::Traits;
use crate::wire::{Dialect, Loss};

/// The conversation as it is to be written.
#[derive(Debug)]
pub(super) struct Arranged<'c> {
    pub(super) system: Vec<Cow<'c, Block<'c>>>,
    messages: Vec<Message<'c>>,
}

/// One message.
#[derive(Debug)]
struct Message<'c> {
    role: Role,
    /// Results of tools, which come first.
    results: Vec<&'c Block<'c>>,
    blocks: Vec<Cow<'c, Block<'c>>>,
}

impl<'c> Arranged<'c> {
    /// Arranges the turns. `family` is whose opaque state may stand in them, `system_role` whether instructions may stand
    /// in their midst. Calls without results and results without calls are the client's mistake.
    pub(super) fn read(
        conversation: &'c Conversation<'c>,
        family: &str,
        system_role: bool,
        loss: &mut Loss,
    ) -> Result<Self, Error> {
        let mut found = Self { system: Vec::new(), messages: Vec::new() };
        found.system.extend(conversation.system.iter().filter(|block| says(block)).map(Cow::Borrowed));
        for turn in &conversation.turns {
            match turn.role {
                Role::System if found.messages.is_empty() => {
                    found.system.extend(turn.blocks.iter().filter(|block| says(block)).map(Cow::Borrowed));
                }
                Role::System => found.later_system(turn, system_role, loss),
                Role::User | Role::Assistant => found.turn(turn, family, loss),
            }
        }
        found.begin(loss);
        found.check()?;
        Ok(found)
    }

    /// Sees to the end: a model that takes no beginning of its answer is asked in words to go on from it.
    pub(super) fn end(&mut self, prefills: bool, loss: &mut Loss) {
        let Some(last) = self.messages.last_mut().filter(|last| last.role == Role::Assistant) else { return };
        if last.calls().next().is_some() {
            return;
        }
        if !prefills {
            loss.add("messages.prefill");
            self.messages.push(Message::of(Role::User, GO_ON));
            return;
        }
        // White space at the end is refused.
        if let Some(block) = last.blocks.last_mut()
            && let Content::Text(text) = &block.content
        {
            let content = Content::Text(Escaped::of(text.plain().trim_end()));
            *block = Cow::Owned(Block { content, cache: block.cache });
        }
    }

    /// Writes `messages`.
    pub(super) fn write(&self, traits: &Traits, out: &mut Vec<u8>) -> Result<(), Error> {
        out.push(b'[');
        for (index, message) in self.messages.iter().enumerate() {
            out.extend_from_slice(if index > 0 { b",{\"role\":" } else { b"{\"role\":" });
            out.extend_from_slice(match message.role {
                Role::User => b"\"user\"",
                Role::Assistant => b"\"assistant\"",
                Role::System => b"\"system\"",
            });
            out.extend_from_slice(b",\"content\":[");
            let mut list = List::new(out);
            for block in message.results.iter().copied().chain(message.blocks.iter().map(AsRef::as_ref)) {
                list.block(block, traits)?;
            }
            out.extend_from_slice(b"]}");
        }
        out.push(b']');
        Ok(())
    }

    fn turn(&mut self, turn: &'c Turn<'c>, family: &str, loss: &mut Loss) {
        let kept = turn.blocks.iter().filter(|block| keeps(block, family, loss));
        let (results, blocks): (Vec<_>, Vec<_>) =
            kept.partition(|block| matches!(block.content, Content::ToolResult { .. }));
        if results.is_empty() && blocks.is_empty() {
            return;
        }
        let message = self.slot(turn.role, !results.is_empty());
        message.results.extend(results);
        message.blocks.extend(blocks.into_iter().map(Cow::Borrowed));
    }

    fn later_system(&mut self, turn: &'c Turn<'c>, system_role: bool, loss: &mut Loss) {
        let mut said = turn.blocks.iter().filter(|block| says(block)).peekable();
        if said.peek().is_none() {
            return;
        }
        if system_role {
            self.slot(Role::System, false).blocks.extend(said.map(Cow::Borrowed));
        } else {
            loss.add("messages.system");
            self.slot(Role::User, false).blocks.extend(said.map(reminder));
        }
    }

    /// The message that the next blocks of a role belong to. Results belong behind their calls, also where instructions
    /// came between the two.
    fn slot(&mut self, role: Role, results: bool) -> &mut Message<'c> {
        let behind = self.messages.iter().rev().take_while(|last| results && last.role == Role::System);
        let end = self.messages.len() - behind.count();
        match end.checked_sub(1) {
            Some(last) if self.messages[last].role == role => &mut self.messages[last],
            _ => {
                self.messages.insert(end, Message { role, results: Vec::new(), blocks: Vec::new() });
                &mut self.messages[end]
            }
        }
    }

    /// Sees to the beginning: it is the user's.
    fn begin(&mut self, loss: &mut Loss) {
        match self.messages.first().map(|first| first.role) {
            Some(Role::User) => {}
            Some(Role::Assistant | Role::System) => self.messages.insert(0, Message::of(Role::User, ".")),
            None if self.system.is_empty() => {}
            // Instructions alone are a prompt elsewhere.
            None => {
                loss.add("messages.system");
                let blocks = std::mem::take(&mut self.system);
                self.messages.push(Message { role: Role::User, results: Vec::new(), blocks });
            }
        }
    }

    /// Every call has its result in the message behind it, unless it is the last word, and every result its call.
    fn check(&self) -> Result<(), Error> {
        if self.messages.is_empty() {
            return Err(bad(
                "messages: nothing in them says anything; send at least one message of the user",
            ));
        }
        let mut spoken = self.messages.iter().filter(|message| message.role != Role::System).peekable();
        let mut before: Option<&Message<'_>> = None;
        while let Some(message) = spoken.next() {
            let called: HashSet<&[u8]> =
                before.iter().flat_map(|before| before.calls()).map(Escaped::as_bytes).collect();
            if let Some(id) = message.answers().find(|id| !called.contains(id.as_bytes())) {
                let id = id.plain();
                return Err(bad(format!(
                    "messages: the result of `{id}` stands behind no call of that id; send it behind its call"
                )));
            }
            let answered: HashSet<&[u8]> =
                spoken.peek().iter().flat_map(|next| next.answers()).map(Escaped::as_bytes).collect();
            if spoken.peek().is_some()
                && let Some(id) = message.calls().find(|id| !answered.contains(id.as_bytes()))
            {
                let id = id.plain();
                return Err(bad(format!(
                    "messages: the call `{id}` has no result; send one for every call in front of what follows"
                )));
            }
            before = Some(message);
        }
        Ok(())
    }
}

impl<'c> Message<'c> {
    fn of(role: Role, text: &str) -> Self {
        let block = Block::new(Content::Text(Escaped::of(text)));
        Self { role, results: Vec::new(), blocks: vec![Cow::Owned(block)] }
    }

    fn calls(&self) -> impl Iterator<Item = &Escaped<'c>> {
        self.blocks.iter().filter_map(|block| match &block.content {
            Content::ToolCall { id, .. } => Some(id),
            _ => None,
        })
    }

    fn answers(&self) -> impl Iterator<Item = &Escaped<'c>> {
        self.results.iter().filter_map(|block| match &block.content {
            Content::ToolResult { id, .. } => Some(id),
            _ => None,
        })
    }
}

/// Whether a block holds anything: blank texts are refused.
fn says(block: &Block<'_>) -> bool {
    !matches!(&block.content, Content::Text(text) | Content::Refusal(text) if text.is_blank())
}

/// Whether a block is for this API; what is not is told.
fn keeps(block: &Block<'_>, family: &str, loss: &mut Loss) -> bool {
    match &block.content {
        Content::Thinking { seal: Some(seal), .. } if seal.family == family => true,
        // As clients of other dialects call it; those of this one never come here.
        Content::Thinking { .. } => {
            loss.add("messages.reasoning_content");
            false
        }
        Content::Server { owner, raw } | Content::Opaque { owner, raw } if *owner != Dialect::Messages => {
            loss.add(format!("messages.{}", kind(raw)));
            false
        }
        Content::Media(Media { detail: Some(detail), .. }) => {
            if detail.as_bytes() != b"auto" {
                loss.add("messages.detail");
            }
            true
        }
        _ => says(block),
    }
}

fn kind(raw: &[u8]) -> Cow<'_, str> {
    let kind = member_of(raw, Span::all(raw), "type").and_then(|kind| text::string(kind.value.of(raw)));
    kind.unwrap_or("content".into())
}

/// A text of instructions as the user's, in the words that Claude Code has for it.
fn reminder<'c>(block: &'c Block<'c>) -> Cow<'c, Block<'c>> {
    match &block.content {
        Content::Text(text) if !text.as_bytes().starts_with(content::REMINDER) => {
            let text = [content::REMINDER, b"\\n", text.as_bytes(), b"\\n</system-reminder>"].concat();
            Cow::Owned(Block { content: Content::Text(Escaped::raw(text)), cache: block.cache })
        }
        _ => Cow::Borrowed(block),
    }
}

/// For models that take no beginning of their answer.
const GO_ON: &str = "Go on with your last answer from exactly where it ends, without repeating any of it.";
