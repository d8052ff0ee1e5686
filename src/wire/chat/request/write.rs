//! A conversation as a Chat Completions request.
//!
//! One buffer grows from the model's name to the list of tools, whose bytes were translated before and are shared; what
//! concerns tools follows them. Texts cross as they stand. How the provider's form differs is read from its traits, what
//! its model takes from [`capability`]; both are tables, so that nothing here knows a provider. What becomes of a message
//! follows from the message and from the results that answer it, never from what comes later: prompt caches hit.

mod choice;
mod fields;
mod history;
mod pieces;
mod replay;
mod thinking;

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::Error;
use crate::json::text;
use crate::wire::Loss;
use crate::wire::chat::capability::{self, Capability};
use crate::wire::chat::repair::{self, Field};
use crate::wire::ir::{Block, Content, Conversation, Source, Ttl};
use crate::wire::refusal::bad;
use crate::wire::traits::{CacheForm, Traits};
use crate::wire::translate::{Target, Toolbox, Written};

/// Writes a request. `tools` are the conversation's, translated ([`super::tools::write`]). The loss is that of
/// writing alone. An error is the client's: the provider cannot do what must be done.
pub fn write(
    conversation: &Conversation<'_>,
    tools: &Arc<Toolbox>,
    target: &Target<'_>,
) -> Result<Written, Error> {
    let given = Given::new(conversation, tools, target);
    let mut loss = Loss::default();
    let choice = choice::choose(&given, &mut loss)?;
    let level = thinking::level(&given, choice.unthinking);
    let mut request = Request { given: &given, out: Vec::with_capacity(room(conversation)), loss };
    request.out.extend_from_slice(b"{\"model\":");
    text::quote_into(&mut request.out, target.model);
    request.out.extend_from_slice(b",\"messages\":[");
    if !history::write(&mut request) {
        return Err(bad("messages: nothing of them can be said to this model"));
    }
    request.out.push(b']');
    fields::write(&mut request, level);
    Ok(request.finish(tools, &choice))
}

/// The member that marks a part, a message or a tool for a prompt cache, comma first.
pub(super) fn cache_control(ttl: Ttl) -> &'static [u8] {
    match ttl {
        Ttl::Default => b",\"cache_control\":{\"type\":\"ephemeral\"}",
        Ttl::Hour => b",\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}",
    }
}

/// What a request is written from.
struct Given<'a> {
    conversation: &'a Conversation<'a>,
    tools: &'a Toolbox,
    target: &'a Target<'a>,
    traits: &'static Traits,
    /// `None`: nobody has described the model, it takes what its provider takes.
    model: Option<&'static Capability>,
    /// Whose opaque state the target takes.
    family: Cow<'static, str>,
    /// Cache marks are written.
    marks: bool,
}

impl<'a> Given<'a> {
    fn new(conversation: &'a Conversation<'a>, tools: &'a Toolbox, target: &'a Target<'a>) -> Self {
        let traits = target.traits;
        Self {
            conversation,
            tools,
            target,
            traits,
            model: capability::of(target.model),
            family: traits.family_of(target.model),
            marks: traits.cache == CacheForm::Marks
                && capability::takes_marks(target.model)
                && !repair::has(target.repairs, Field::CacheControl),
        }
    }

    /// Whether this was refused before.
    fn drops(&self, field: Field) -> bool {
        repair::has(self.target.repairs, field)
    }

    fn takes_images(&self) -> bool {
        self.traits.images && self.model.is_none_or(|model| model.images)
    }

    /// Whether a content may be an array of parts; providers that take text only want a string.
    fn takes_parts(&self) -> bool {
        self.traits.images || self.traits.files || self.traits.audio || self.marks
    }
}

/// A request as it grows.
struct Request<'g, 'a> {
    given: &'g Given<'a>,
    out: Vec<u8>,
    loss: Loss,
}

impl Request<'_, '_> {
    /// `,"name":` in front of a value; `false`: the field was refused before, and that it is lost is noted.
    fn opens(&mut self, name: &'static str) -> bool {
        if Field::top(name).is_some_and(|field| self.given.drops(field)) {
            self.loss.add(name);
            return false;
        }
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        true
    }

    /// A member whose value is JSON.
    fn member(&mut self, name: &'static str, value: &[u8]) {
        if self.opens(name) {
            self.out.extend_from_slice(value);
        }
    }

    /// A member whose value is a string that needs no escape.
    fn word(&mut self, name: &'static str, value: &[u8]) {
        if self.opens(name) {
            self.out.push(b'"');
            self.out.extend_from_slice(value);
            self.out.push(b'"');
        }
    }

    fn finish(mut self, tools: &Arc<Toolbox>, choice: &choice::Chosen<'_>) -> Written {
        if tools.json.is_empty() {
            self.out.push(b'}');
            return Written { front: self.out, loss: self.loss, ..Written::default() };
        }
        self.out.extend_from_slice(b",\"tools\":");
        let front = std::mem::take(&mut self.out);
        choice::write(&mut self, choice);
        self.out.push(b'}');
        let tools = choice::offered(&mut self, tools, choice);
        Written { front, tools: Some(tools), back: self.out, betas: None, loss: self.loss }
    }
}

/// About how many bytes the messages take.
fn room(conversation: &Conversation<'_>) -> usize {
    let turns = conversation.turns.iter().flat_map(|turn| &turn.blocks);
    conversation.system.iter().chain(turns).map(weight).sum::<usize>() + FRAME
}

fn weight(block: &Block<'_>) -> usize {
    FRAME
        + match &block.content {
            Content::Text(text) | Content::Refusal(text) => text.as_bytes().len(),
            Content::Media(media) => match &media.source {
                Source::Base64 { data: text, .. } | Source::Url(text) | Source::Text(text) => {
                    text.as_bytes().len()
                }
                Source::File(_) => 0,
            },
            // Each byte may get a backslash.
            Content::ToolCall { args, .. } => 2 * args.len(),
            Content::ToolResult { blocks, .. } => blocks.iter().map(shallow).sum(),
            Content::Thinking { text, seal } => {
                text.as_bytes().len() + seal.as_ref().map_or(0, |seal| seal.payload.len())
            }
            Content::Server { .. } | Content::Opaque { .. } => 0,
        }
}

/// The weight of what stands in a result: texts and media only.
fn shallow(block: &Block<'_>) -> usize {
    if matches!(block.content, Content::ToolResult { .. }) { FRAME } else { weight(block) }
}

/// What stands around a block.
const FRAME: usize = 128;

#[cfg(test)]
mod tests;
