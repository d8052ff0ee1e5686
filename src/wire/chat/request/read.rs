//! A Chat Completions request as a conversation.
//!
//! Each member of the body has its line in a table; `messages` are taken apart by `messages`, the answer's form and the
//! choice of a tool here. What the conversation has no place for is named in its loss; a member that nobody knows too.
//! Checks what it has to understand and nothing else: what a model takes is not known here.

mod fields;
mod messages;
mod parts;

pub(super) use parts::mark;

use crate::error::Error;
use crate::wire::chat::Ask;
use crate::wire::ir::Conversation;
use crate::wire::refusal::bad;

/// Reads a request.
pub fn read<'b>(ask: &Ask<'b>) -> Result<Conversation<'b>, Error> {
    let mut conversation =
        Conversation { stream: ask.stream, max_output: ask.max_output, ..Conversation::default() };
    for member in &ask.fields {
        fields::read(ask.body, *member, &mut conversation)?;
    }
    messages::read(ask, &mut conversation)?;
    if conversation.turns.is_empty() {
        return Err(bad("messages: expected a message of the user at the least, got instructions only"));
    }
    Ok(conversation)
}

#[cfg(test)]
mod tests;
