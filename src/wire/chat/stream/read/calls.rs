//! The calls of one answer, put together from fragments in every form that providers send (wire.md 15, 16).
//!
//! An index is missing, or never incremented; an id or a name comes again, empty, late or not at all; arguments come
//! whole, in pieces, as an object, or interleaved with another call's. Which call a fragment belongs to is decided here;
//! when a call is shown is [`super::blocks`]'s.

use std::borrow::Cow;

use super::inner;
use super::progress::Progress;
use crate::json::{self, Span, text};
use crate::wire::ir::Escaped;
use crate::wire::names::digest_of;

/// One element of `tool_calls`. Texts are insides of strings; empty is as absent.
#[derive(Debug, Default)]
pub(super) struct Fragment<'d> {
    index: Option<u64>,
    id: &'d [u8],
    name: &'d [u8],
    args: Cow<'d, [u8]>,
}

/// The calls so far, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Calls {
    all: Vec<Call>,
    /// What ids are made of where there are none.
    answer: Box<[u8]>,
    /// Which delta is read, to tell two calls in one from one call in two.
    delta: u64,
}

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    /// Never empty.
    pub id: Vec<u8>,
    /// Empty until it is known.
    pub name: Vec<u8>,
    index: Option<u64>,
    minted: bool,
    stage: Stage,
    progress: Progress,
    /// Arguments that came before it was shown.
    held: Vec<u8>,
    delta: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Open,
    Done,
}

impl<'d> Fragment<'d> {
    /// Of an element of `tool_calls`.
    pub fn read(data: &'d [u8], element: Span) -> Self {
        let mut fragment = Self::default();
        for member in json::members(data, element).map_while(Result::ok) {
            match member.key.of(data) {
                b"\"index\"" => fragment.index = text::count(member.value.of(data)),
                b"\"id\"" => fragment.id = inner(data, member.value),
                b"\"function\"" => fragment.function(data, member.value),
                _ => {}
            }
        }
        fragment
    }

    /// Of `function_call`, of which there is one.
    pub fn legacy(data: &'d [u8], function: Span) -> Self {
        let mut fragment = Self { index: Some(0), ..Self::default() };
        fragment.function(data, function);
        fragment
    }

    fn function(&mut self, data: &'d [u8], function: Span) {
        for member in json::members(data, function).map_while(Result::ok) {
            match member.key.of(data) {
                b"\"name\"" => self.name = inner(data, member.value),
                b"\"arguments\"" => self.args = arguments(data, member.value),
                _ => {}
            }
        }
    }
}

/// Arguments as the inside of a string: they should be one, but some servers send the object itself.
fn arguments(data: &[u8], value: Span) -> Cow<'_, [u8]> {
    match value.of(data) {
        raw @ [b'{' | b'[', ..] => Cow::Owned(Escaped::of(&String::from_utf8_lossy(raw)).as_bytes().to_vec()),
        _ => Cow::Borrowed(inner(data, value)),
    }
}

impl Calls {
    /// Tells bytes that no other answer has.
    pub fn made_by(&mut self, answer: &[u8]) {
        self.answer = answer.into();
    }

    /// A delta begins.
    pub fn next_delta(&mut self) {
        self.delta += 1;
    }

    /// Whether there is any call that can be shown.
    pub fn any(&self) -> bool {
        self.all.iter().any(|call| !call.name.is_empty())
    }

    /// The call that a fragment belongs to; a new one if it belongs to none. Takes its name.
    pub fn of(&mut self, fragment: &Fragment<'_>) -> usize {
        let at = self.find(fragment).unwrap_or_else(|| self.add(fragment));
        if let Some(call) = self.all.get_mut(at) {
            call.delta = self.delta;
            if call.name.is_empty() {
                call.name = fragment.name.to_vec();
            }
        }
        at
    }

    /// The arguments of a fragment that count: `null` in the place of all of them is none, and a call that has made way
    /// for another one is closed.
    pub fn args<'f>(&mut self, at: usize, fragment: &'f Fragment<'_>) -> &'f [u8] {
        let Some(call) = self.all.get_mut(at) else { return b"" };
        let nothing = call.stage == Stage::Done || (!call.progress.begun() && *fragment.args == *b"null");
        if nothing {
            return b"";
        }
        call.progress.read(&fragment.args);
        &fragment.args
    }

    /// Keeps arguments of a call that is not shown yet.
    pub fn hold(&mut self, at: usize, args: &[u8]) {
        if let Some(call) = self.all.get_mut(at) {
            call.held.extend_from_slice(args);
        }
    }

    /// The first call that could be shown and is not.
    pub fn waiting(&self) -> Option<usize> {
        self.all.iter().position(|call| call.stage == Stage::Waiting && !call.name.is_empty())
    }

    /// Whether the arguments of a call are complete.
    pub fn whole(&self, at: usize) -> bool {
        self.all.get(at).is_none_or(|call| call.progress.whole())
    }

    /// Shows a call: itself, and the arguments that were kept.
    pub fn open(&mut self, at: usize) -> Option<(&Call, Vec<u8>)> {
        let call = self.all.get_mut(at)?;
        call.stage = Stage::Open;
        let held = std::mem::take(&mut call.held);
        Some((call, held))
    }

    /// A call has made way.
    pub fn close(&mut self, at: usize) {
        if let Some(call) = self.all.get_mut(at) {
            call.stage = Stage::Done;
        }
    }

    fn find(&self, fragment: &Fragment<'_>) -> Option<usize> {
        let at = match fragment.index {
            Some(_) => self.all.iter().rposition(|call| call.index == fragment.index)?,
            None if fragment.id.is_empty() => self.all.len().checked_sub(1)?,
            None => self.all.iter().rposition(|call| call.id == fragment.id)?,
        };
        let call = self.all.get(at)?;
        (!self.is_another(call, fragment)).then_some(at)
    }

    /// Whether a fragment that should belong to this call begins another one all the same.
    fn is_another(&self, call: &Call, fragment: &Fragment<'_>) -> bool {
        let named = !fragment.name.is_empty() && !call.name.is_empty();
        let same_id = !fragment.id.is_empty() && call.id == fragment.id;
        if !fragment.id.is_empty() && !call.minted {
            return !same_id;
        }
        // Without ids: another name, a second one in the same delta, or one more behind arguments without an index.
        let behind = fragment.index.is_none() && call.progress.begun();
        named && (call.name != fragment.name || call.delta == self.delta || behind)
    }

    fn add(&mut self, fragment: &Fragment<'_>) -> usize {
        let minted = fragment.id.is_empty();
        let id = if minted { self.mint() } else { fragment.id.to_vec() };
        self.all.push(Call {
            id,
            name: Vec::new(),
            index: fragment.index,
            minted,
            stage: Stage::Waiting,
            progress: Progress::default(),
            held: Vec::new(),
            delta: self.delta,
        });
        self.all.len() - 1
    }

    /// An id for a call that came without: the same for the same answer, and another one in every other.
    fn mint(&self) -> Vec<u8> {
        format!("call_{}_{}", self.all.len(), digest_of(&self.answer, MINTED)).into_bytes()
    }
}

/// 60 bits: ids of a conversation do not meet.
const MINTED: usize = 12;
