//! The pieces of deltas as blocks, one open at a time.
//!
//! Within one delta thinking comes first, then text with its citations, a refusal, and calls, in whatever order the keys
//! stand. Blocks open with the first piece that shows something; calls that interleave, and whatever comes between the
//! fragments of an unfinished one, wait for their turn. Knows nothing of chunks, ends and usage.

use super::calls::{Calls, Fragment};
use super::details::{self, Details};
use super::tags::{Part, Tags};
use super::{inner, plain};
use crate::json::{self, Span};
use crate::wire::Dialect;
use crate::wire::chat::chunk::Said;
use crate::wire::ir::{Delta, Event, Open};
use crate::wire::traits::{Replay, Traits};
use crate::wire::transcode::Sink;

/// What has been shown, and what is open.
#[derive(Debug)]
pub(super) struct Blocks {
    family: Box<str>,
    now: Now,
    shown: bool,
    /// A refusal was among it.
    refused: bool,
    /// For text that may begin with thinking; `None` where tags mean nothing.
    tags: Option<Tags>,
    /// State of the open thinking, where it goes back as `reasoning_details`.
    details: Option<Details>,
    /// State of the open thinking, where it is a part with a signature.
    signature: Box<[u8]>,
    calls: Calls,
    /// What came between fragments of a call, with its kind.
    late: Vec<(Now, Vec<u8>)>,
}

/// The block that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Now {
    Nothing,
    Text,
    Thinking,
    Refusal,
    Call(usize),
}

impl Blocks {
    pub fn new(traits: &Traits, family: &str) -> Self {
        Self {
            family: family.into(),
            now: Now::Nothing,
            shown: false,
            refused: false,
            tags: traits.think_tags.then(Tags::default),
            details: (traits.replay == Replay::Details).then(Details::default),
            signature: Box::default(),
            calls: Calls::default(),
            late: Vec::new(),
        }
    }

    /// Tells bytes that no other answer has, for ids of calls that came without one.
    pub fn made_by(&mut self, answer: &[u8]) {
        self.calls.made_by(answer);
    }

    /// Whether any block was opened, or a call is known.
    pub fn shown(&self) -> bool {
        self.shown || self.called()
    }

    /// Whether the model declined in words.
    pub fn refused(&self) -> bool {
        self.refused
    }

    /// Whether a tool was called.
    pub fn called(&self) -> bool {
        self.calls.any()
    }

    /// Reads what a delta or a message holds.
    pub fn said(&mut self, data: &[u8], said: &Said, sink: &mut Sink<'_>) {
        if let Some(reasoning) = said.reasoning {
            self.thinking(inner(data, reasoning), sink);
        }
        if let Some(details) = said.details {
            self.details(data, details, said.reasoning.is_none(), sink);
        }
        if let Some(content) = said.content {
            self.content(data, content, sink);
        }
        if let Some(annotations) = said.annotations {
            self.citations(data, annotations, sink);
        }
        if let Some(refusal) = said.refusal {
            self.piece(Now::Refusal, inner(data, refusal), sink);
        }
        let calls = said.calls.into_iter().flat_map(|list| json::elements(data, list).map_while(Result::ok));
        self.calls.next_delta();
        for fragment in calls.map(|call| Fragment::read(data, call)) {
            self.fragment(&fragment, sink);
        }
        if let Some(call) = said.call {
            self.fragment(&Fragment::legacy(data, call), sink);
        }
    }

    /// Everything that waited comes now, and what is open ends: the answer is complete.
    pub fn finish(&mut self, sink: &mut Sink<'_>) {
        self.pass_tags(|tags, each| tags.finish(each), sink);
        while let Some(next) = self.calls.waiting() {
            self.open_call(next, sink);
        }
        self.catch_up(sink);
        if self.details.as_ref().is_some_and(|details| !details.is_empty()) {
            self.enter(Now::Thinking, Open::Thinking, sink);
        }
        self.leave(sink);
    }

    /// Ends what is open.
    pub fn leave(&mut self, sink: &mut Sink<'_>) {
        match std::mem::replace(&mut self.now, Now::Nothing) {
            Now::Nothing => return,
            Now::Thinking => self.seal(sink),
            Now::Call(at) => self.calls.close(at),
            Now::Text | Now::Refusal => {}
        }
        sink(Event::Close);
    }

    fn seal(&mut self, sink: &mut Sink<'_>) {
        let payload = match &mut self.details {
            Some(details) => details.take().into(),
            None => std::mem::take(&mut self.signature),
        };
        sink(Event::Delta(Delta::Seal { family: &self.family, payload: &payload }));
    }

    fn enter(&mut self, now: Now, open: Open<'_>, sink: &mut Sink<'_>) {
        if self.now != now {
            self.leave(sink);
            self.now = now;
            self.shown = true;
            self.refused |= now == Now::Refusal;
            sink(Event::Open(open));
        }
    }

    /// More of a text of this kind.
    fn piece(&mut self, now: Now, text: &[u8], sink: &mut Sink<'_>) {
        if text.is_empty() {
            return;
        }
        if self.in_a_call() {
            return self.keep(now, text);
        }
        self.catch_up(sink);
        self.show(now, text, sink);
    }

    fn show(&mut self, now: Now, text: &[u8], sink: &mut Sink<'_>) {
        let open = match now {
            Now::Thinking => Open::Thinking,
            Now::Refusal => Open::Refusal,
            Now::Text | Now::Call(_) | Now::Nothing => Open::Text,
        };
        self.enter(now, open, sink);
        sink(Event::Delta(Delta::Text(text)));
    }

    fn keep(&mut self, now: Now, text: &[u8]) {
        match self.late.last_mut() {
            Some((kind, kept)) if *kind == now => kept.extend_from_slice(text),
            _ => self.late.push((now, text.to_vec())),
        }
    }

    /// Shows what came while a call was under way.
    fn catch_up(&mut self, sink: &mut Sink<'_>) {
        for (now, text) in std::mem::take(&mut self.late) {
            self.show(now, &text, sink);
        }
    }

    fn thinking(&mut self, text: &[u8], sink: &mut Sink<'_>) {
        self.piece(Now::Thinking, text, sink);
    }

    /// `shown`: their text is not told elsewhere in the same delta.
    fn details(&mut self, data: &[u8], list: Span, shown: bool, sink: &mut Sink<'_>) {
        if shown {
            details::texts(data, list, |text| self.thinking(text, sink));
        }
        if self.details.is_some() && !self.in_a_call() {
            self.enter(Now::Thinking, Open::Thinking, sink);
        }
        if let Some(details) = &mut self.details {
            details.read(data, list);
        }
    }

    fn content(&mut self, data: &[u8], content: Span, sink: &mut Sink<'_>) {
        if content.of(data).starts_with(b"[") {
            json::elements(data, content).map_while(Result::ok).for_each(|part| self.part(data, part, sink));
        } else {
            self.text(inner(data, content), sink);
        }
    }

    /// Text, which may begin with thinking in tags.
    fn text(&mut self, text: &[u8], sink: &mut Sink<'_>) {
        if self.tags.is_some() {
            self.pass_tags(|tags, each| tags.push(text, each), sink);
        } else {
            self.piece(Now::Text, text, sink);
        }
    }

    fn pass_tags(&mut self, pass: impl FnOnce(&mut Tags, &mut dyn FnMut(Part, &[u8])), sink: &mut Sink<'_>) {
        let Some(mut tags) = self.tags.take() else { return };
        pass(&mut tags, &mut |part, text| match part {
            Part::Thinking => self.thinking(text, sink),
            Part::Text => self.piece(Now::Text, text, sink),
        });
        self.tags = Some(tags);
    }

    /// One part of a content that is a list (wire.md 8, Mistral).
    fn part(&mut self, data: &[u8], part: Span, sink: &mut Sink<'_>) {
        for member in json::members(data, part).map_while(Result::ok) {
            match member.key.of(data) {
                b"\"text\"" => self.piece(Now::Text, inner(data, member.value), sink),
                b"\"refusal\"" => self.piece(Now::Refusal, inner(data, member.value), sink),
                b"\"thinking\"" => self.thoughts(data, member.value, sink),
                b"\"signature\"" if !self.in_a_call() => {
                    if let Some(signature) = plain(data, member.value).filter(|text| !text.is_empty()) {
                        self.enter(Now::Thinking, Open::Thinking, sink);
                        self.signature = signature;
                    }
                }
                _ => {}
            }
        }
    }

    /// A thought as a text, or as a list of parts with a text each.
    fn thoughts(&mut self, data: &[u8], value: Span, sink: &mut Sink<'_>) {
        self.thinking(inner(data, value), sink);
        for part in json::elements(data, value).map_while(Result::ok) {
            if let Some(text) = json::member_of(data, part, "text") {
                self.thinking(inner(data, text.value), sink);
            }
        }
    }

    /// Citations belong to the text that is open; without one they have no place.
    fn citations(&mut self, data: &[u8], annotations: Span, sink: &mut Sink<'_>) {
        if self.now == Now::Text {
            for raw in json::elements(data, annotations).map_while(Result::ok) {
                sink(Event::Delta(Delta::Citation { owner: Dialect::Chat, raw: raw.of(data) }));
            }
        }
    }

    fn fragment(&mut self, fragment: &Fragment<'_>, sink: &mut Sink<'_>) {
        let at = self.calls.of(fragment);
        self.advance(sink);
        let args = self.calls.args(at, fragment);
        if args.is_empty() {
            return;
        }
        if self.now == Now::Call(at) {
            sink(Event::Delta(Delta::Args(args)));
            self.advance(sink);
        } else {
            self.calls.hold(at, args);
        }
    }

    /// Whether a call is open whose arguments are not complete, or calls wait behind it.
    fn in_a_call(&self) -> bool {
        matches!(self.now, Now::Call(at) if !self.calls.whole(at)) || self.calls.waiting().is_some()
    }

    /// Opens the calls that waited, as far as the open one is complete.
    fn advance(&mut self, sink: &mut Sink<'_>) {
        while !matches!(self.now, Now::Call(at) if !self.calls.whole(at)) {
            let Some(next) = self.calls.waiting() else { return };
            self.open_call(next, sink);
        }
    }

    fn open_call(&mut self, at: usize, sink: &mut Sink<'_>) {
        self.leave(sink);
        let Some((call, held)) = self.calls.open(at) else { return };
        (self.now, self.shown) = (Now::Call(at), true);
        sink(Event::Open(Open::ToolCall { id: &call.id, name: &call.name }));
        if !held.is_empty() {
            sink(Event::Delta(Delta::Args(&held)));
        }
    }
}
