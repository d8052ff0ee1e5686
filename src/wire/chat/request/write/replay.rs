//! Thinking of earlier answers on its way back to the family that made it.
//!
//! Each provider wants it in another carrier, or not at all. What another family thought is cut, the same on every turn.
//! Opaque state is checked to be JSON where it stands as JSON, and never looked into.

use super::{Given, Request};
use crate::json::{self, Span, text};
use crate::wire::chat::repair::Field;
use crate::wire::ir::{Block, Content, Escaped, Seal};
use crate::wire::traits::Replay;

/// Whether there is thinking to be sent back; what is cut is noted.
pub(super) fn find<'c>(request: &mut Request<'_, '_>, blocks: impl Iterator<Item = &'c Block<'c>>) -> bool {
    let given = request.given;
    let mut found = false;
    for (text, seal) in blocks.filter_map(thought) {
        let own = is_own(seal, &given.family);
        if given.target.cut_thinking {
            request.loss.add("thinking.signature");
        } else if !own {
            request.loss.add("messages.thinking");
        }
        // A provider that takes none back misses nothing of its own.
        let stated = || seal.is_some_and(|seal| elements(&seal.payload).next().is_some());
        let said = !text.is_empty() || (given.traits.replay == Replay::Details && stated());
        found |= own && said && !given.target.cut_thinking && is_taken(given);
    }
    found
}

fn thought<'c>(block: &'c Block<'c>) -> Option<(&'c Escaped<'c>, Option<&'c Seal<'c>>)> {
    match &block.content {
        Content::Thinking { text, seal } => Some((text, seal.as_ref())),
        _ => None,
    }
}

/// Whether the provider takes thinking back in its carrier.
fn is_taken(given: &Given<'_>) -> bool {
    let refused = |name| Field::of_message(name).is_some_and(|field| given.drops(field));
    match given.traits.replay {
        Replay::Never => false,
        Replay::Part => true,
        Replay::Field(name) | Replay::Demanded(name) => !refused(name),
        Replay::Details => !refused("reasoning_details"),
    }
}

fn is_own(seal: Option<&Seal<'_>>, family: &str) -> bool {
    seal.is_some_and(|seal| seal.family == family)
}

/// The members of an assistant's message that hold its thinking.
pub(super) fn fields<'c>(
    request: &mut Request<'_, '_>,
    blocks: impl Iterator<Item = &'c Block<'c>> + Clone,
    replayed: bool,
    has_calls: bool,
) {
    let family = request.given.family.as_ref();
    let own = blocks.filter_map(thought).filter(|(_, seal)| is_own(*seal, family));
    match request.given.traits.replay {
        Replay::Field(name) | Replay::Demanded(name) if replayed => field(&mut request.out, name, own),
        Replay::Demanded(name) if has_calls && is_taken(request.given) => {
            field(&mut request.out, name, std::iter::empty());
        }
        Replay::Details if replayed => details(&mut request.out, own),
        Replay::Never | Replay::Field(_) | Replay::Demanded(_) | Replay::Details | Replay::Part => {}
    }
}

type Thought<'c> = (&'c Escaped<'c>, Option<&'c Seal<'c>>);

/// The texts as one, in a field of that name.
fn field<'c>(out: &mut Vec<u8>, name: &str, own: impl Iterator<Item = Thought<'c>>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    for (text, _) in own {
        out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
}

/// `reasoning_details`, all arrays as one; where the state is none, the text alone.
fn details<'c>(out: &mut Vec<u8>, own: impl Iterator<Item = Thought<'c>> + Clone) {
    let mut front: &[u8] = b",\"reasoning_details\":[";
    for (_, seal) in own.clone() {
        for detail in elements(seal.map_or(&[][..], |seal| &seal.payload)) {
            out.extend_from_slice(front);
            out.extend_from_slice(detail);
            front = b",";
        }
    }
    if front == b"," {
        out.push(b']');
    } else {
        field(out, "reasoning", own);
    }
}

/// The objects of an array, or the one that stands alone; nothing where it is damaged.
fn elements(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let all = Span::all(payload);
    let array: Result<Vec<Span>, _> = json::elements(payload, all).collect();
    let one = || json::members(payload, all).all(|member| member.is_ok()).then(|| vec![all]);
    let each = array.ok().or_else(one).unwrap_or_default().into_iter().map(|element| element.of(payload));
    each.filter(|element| element.starts_with(b"{"))
}

/// Parts of type `thinking`, each with the signature that came with it.
pub(super) fn parts<'c>(out: &mut Vec<u8>, blocks: impl Iterator<Item = &'c Block<'c>>, family: &str) {
    let own = blocks.filter_map(thought).filter(|(text, seal)| is_own(*seal, family) && !text.is_empty());
    for (index, (text, seal)) in own.enumerate() {
        out.extend_from_slice(if index == 0 { b"" } else { b"," });
        out.extend_from_slice(b"{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"");
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\"}]");
        if let Some(seal) = seal.filter(|seal| !seal.payload.is_empty()) {
            out.extend_from_slice(b",\"signature\":\"");
            text::escape_into(out, &seal.payload);
            out.push(b'"');
        }
        out.push(b'}');
    }
}
