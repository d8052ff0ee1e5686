//! A stream of Chat Completions on its way to a client of the same dialect.
//!
//! Whole events pass as they came, comments too. Two things are edited: the model's name, which stands in every chunk, and
//! the chunk that only tells usage is left out where the client did not ask for it. Usage, end and errors are read along
//! the way. An event longer than what is read passes unread.

use crate::json::{Span, text};
use crate::limits;
use crate::wire::chat::chunk::{Choice, Chunk, Said};
use crate::wire::chat::finish;
use crate::wire::chat::usage::Counts;
use crate::wire::frame::{Event, Sse};
use crate::wire::meter::Told;
use crate::wire::traits::{Traits, UsageRule};
use crate::wire::{Ending, Heard, Meter, fault};

/// The reader of one stream, which writes what the client gets.
///
/// `held` are the bytes of the event under way, `passed` is where they begin in the stream.
#[derive(Debug)]
pub struct Passage {
    sse: Sse,
    held: Vec<u8>,
    passed: u64,
    seen: Seen,
}

#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // Each is told by events of its own, in any order.
struct Seen {
    rule: UsageRule,
    /// The model's name for the client, quoted.
    asked: Box<[u8]>,
    usage: bool,
    counts: Counts,
    meter: Meter,
    any: bool,
    content: bool,
    /// `[DONE]` came.
    done: bool,
    /// What of the stream is replaced by what, in order.
    edits: Vec<Edit>,
}

/// A range of the stream in whose place the model's name for the client stands, or nothing.
#[derive(Debug)]
struct Edit {
    from: u64,
    to: u64,
    renames: bool,
}

impl Passage {
    /// At the start of a stream. `asked` is the model's name for the client; without `usage` the chunk that only tells
    /// usage is left out.
    pub fn new(traits: &'static Traits, asked: &str, usage: bool) -> Self {
        let seen = Seen {
            rule: traits.usage,
            asked: text::quote(asked).into(),
            usage,
            counts: Counts::default(),
            meter: Meter::default(),
            any: false,
            content: false,
            done: false,
            edits: Vec::new(),
        };
        Self { sse: Sse::new(), held: Vec::new(), passed: 0, seen }
    }

    /// Reads the next bytes and writes what the client gets behind `out`: whole events only.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Heard {
        let seen = &mut self.seen;
        let boundary = self.sse.push(bytes, |event| seen.event(&event));
        let before = self.held.len();
        self.held.extend_from_slice(bytes);
        match boundary {
            Some(boundary) => self.pass(before + boundary, out),
            None if self.held.len() > limits::MAX_TRANSLATED_EVENT => self.pass(self.held.len(), out),
            None => {}
        }
        Heard {
            content: self.seen.content,
            fault: self.seen.meter.error.as_ref().map(|told| told.failure),
            model_at: None,
            boundary: None,
        }
    }

    /// The connection has ended: an end of the stream that lacks its blank line gets it.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.held.trim_ascii().strip_prefix(b"data:").is_some_and(|data| data.trim_ascii() == b"[DONE]") {
            let blank: &[u8] = if self.held.ends_with(b"\n") { b"\n" } else { b"\n\n" };
            self.push(blank, out);
        }
    }

    /// What the stream amounts to, now that its connection has ended.
    pub fn ending(&self) -> Ending {
        let Seen { meter, done, any, .. } = &self.seen;
        match &meter.error {
            Some(told) => Ending::Told(told.failure),
            None if *done || meter.stop.is_some() => Ending::Whole,
            None if *any => Ending::Cut,
            None => Ending::Empty,
        }
    }

    /// Whether nothing follows that is part of the answer.
    pub fn is_over(&self) -> bool {
        self.seen.done || self.seen.meter.error.is_some()
    }

    /// Usage, stop reason, model and error so far.
    pub fn meter(&self) -> &Meter {
        &self.seen.meter
    }

    /// Passes the first `count` bytes of what is held on, with their edits.
    fn pass(&mut self, count: usize, out: &mut Vec<u8>) {
        let start = self.passed;
        let place = |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(0).min(count);
        let mut from = 0;
        for edit in self.seen.edits.drain(..) {
            let (begin, end) = (place(edit.from), place(edit.to));
            out.extend_from_slice(self.held.get(from..begin).unwrap_or_default());
            if edit.renames {
                out.extend_from_slice(&self.seen.asked);
            }
            from = end.max(from);
        }
        out.extend_from_slice(self.held.get(from..count).unwrap_or_default());
        self.held.drain(..count);
        self.passed += count as u64;
    }
}

impl Seen {
    fn event(&mut self, event: &Event<'_>) {
        self.any = true;
        let data = event.data;
        if event.unread {
            return self.show();
        }
        if data.trim_ascii() == b"[DONE]" {
            self.show();
            self.done = true;
            return;
        }
        match Chunk::read(data) {
            Some(chunk) => self.chunk(event, &chunk),
            None if event.name == b"error" => self.error(fault::told(data)),
            None => {}
        }
    }

    /// Content, unless an error came first.
    fn show(&mut self) {
        self.content |= self.meter.error.is_none();
    }

    fn error(&mut self, told: Told) {
        self.meter.error.get_or_insert(told);
    }

    fn chunk(&mut self, event: &Event<'_>, chunk: &Chunk) {
        let data = event.data;
        // An error may come with what was used up to it.
        chunk.usage.into_iter().flatten().for_each(|usage| self.counts.read(data, usage));
        self.meter.usage = self.counts.usage(self.rule);
        self.meter.counted = self.counts.told();
        if chunk.only_usage() && !self.usage {
            let (from, to) = event.range;
            return self.edits.push(Edit { from, to, renames: false });
        }
        if let Some(model) = chunk.model {
            self.model(event, model);
        }
        if chunk.error || event.name == b"error" {
            return self.error(fault::told(data));
        }
        if let Some(choice) = &chunk.choice {
            self.choice(data, choice);
        }
    }

    fn model(&mut self, event: &Event<'_>, model: Span) {
        let value = model.of(event.data);
        if self.meter.model.is_none() {
            let told = text::string(value).filter(|model| !model.is_empty());
            self.meter.model = told.map(|model| model.as_ref().into());
        }
        if let Some(at) = event.data_at.filter(|_| *value != *self.asked) {
            let (from, to) = (at + model.start as u64, at + model.end as u64);
            self.edits.push(Edit { from, to, renames: true });
        }
    }

    fn choice(&mut self, data: &[u8], choice: &Choice) {
        let stopped = choice.stopped.map(|value| value.of(data));
        match choice.finish.and_then(|value| finish::read(value.of(data), stopped)) {
            Some(Err(told)) => return self.error(told),
            Some(Ok(stop)) => {
                self.meter.stop.get_or_insert(stop);
                self.show();
            }
            None => {}
        }
        let said = || choice.delta.or(choice.message).map(|object| Said::read(data, object));
        if !self.content && said().is_some_and(|said| said.anything()) {
            self.show();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::traits::CHAT;

    const CHUNK: &str = r#"data: {"id":"c","model":"real","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}"#;
    const FINISH: &str =
        r#"data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"model":"real"}"#;
    const USAGE: &str =
        r#"data: {"id":"c","model":"real","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;

    fn passed(stream: &str, usage: bool, piece: usize) -> (String, Passage) {
        let (mut passage, mut out) = (Passage::new(&CHAT, "asked", usage), Vec::new());
        for piece in stream.as_bytes().chunks(piece) {
            passage.push(piece, &mut out);
        }
        (String::from_utf8(out).unwrap(), passage)
    }

    #[test]
    fn everything_passes_but_the_name_and_the_usage_that_nobody_asked_for() {
        let stream = format!(": COMMENT\n\n{CHUNK}\n\n{FINISH}\r\n\r\n{USAGE}\n\ndata: [DONE]\n\n");
        for piece in 1..=stream.len() {
            let (out, passage) = passed(&stream, false, piece);
            assert_eq!(
                out,
                stream
                    .replace("real", "asked")
                    .replace(&format!("{}\n\n", USAGE.replace("real", "asked")), ""),
                "{piece}"
            );
            assert!(passage.is_over() && passage.ending() == Ending::Whole);
            let meter = passage.meter();
            assert_eq!((meter.usage.input, meter.usage.output, meter.model.as_deref()), (5, 2, Some("real")));
            assert_eq!(passed(&stream, true, piece).0, stream.replace("real", "asked"));
        }
        assert_eq!(passed(&stream.replace("real", "asked"), true, 9).0, stream.replace("real", "asked"));
    }

    #[test]
    fn a_stream_ends_in_one_of_four_ways() {
        let error = r#"data: {"error":{"message":"m","code":502}}"#;
        let ending = |stream: &str| {
            let (_, passage) = passed(stream, false, 7);
            (passage.ending(), passage.is_over())
        };
        assert_eq!(ending(""), (Ending::Empty, false));
        assert_eq!(ending(&format!("{CHUNK}\n\n")), (Ending::Cut, false));
        assert_eq!(ending(&format!("{CHUNK}\n\n{FINISH}\n\n")), (Ending::Whole, false));
        assert!(matches!(ending(&format!("{error}\n\n")), (Ending::Told(_), true)));
    }

    #[test]
    fn content_is_what_shows_something() {
        let content = |data: &str| {
            let mut passage = Passage::new(&CHAT, "m", false);
            passage.push(format!("data: {data}\n\n").as_bytes(), &mut Vec::new()).content
        };
        for (delta, shows) in [
            (r#"{"role":"assistant","content":""}"#, false),
            (r#"{"content":null,"tool_calls":[]}"#, false),
            (r#"{"content":"x"}"#, true),
            (r#"{"reasoning":"x"}"#, true),
            (r#"{"tool_calls":[{"index":0}]}"#, true),
        ] {
            assert_eq!(
                content(&format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#)),
                shows,
                "{delta}"
            );
        }
        assert!(!content(r#"{"choices":[],"prompt_filter_results":[]}"#));
    }

    #[test]
    fn an_error_tells_what_was_used_and_is_no_content() {
        let error = r#"data: {"model":"real","error":{"message":"m","code":502},"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
        let (mut passage, mut out) = (Passage::new(&CHAT, "asked", false), Vec::new());
        let stream = format!("{error}\n\n{CHUNK}\n\n{FINISH}\n\ndata: [DONE]\n\n");
        let heard = passage.push(stream.as_bytes(), &mut out);
        assert!(!heard.content && heard.fault.is_some_and(|failure| failure.status == 502));
        assert!(matches!(passage.ending(), Ending::Told(_)));
        assert_eq!((passage.meter().usage.input, passage.meter().usage.output), (5, 2));
        assert_eq!(String::from_utf8(out).unwrap(), stream.replace("real", "asked"));
    }

    #[test]
    fn the_end_reaches_the_client_even_without_its_blank_line() {
        for (rest, whole) in [
            ("data: [DONE]", "data: [DONE]\n\n"),
            ("data:[DONE]\n", "data:[DONE]\n\n"),
            ("data: {\"model\":\"re", ""),
            ("", ""),
        ] {
            let (mut passage, mut out) = (Passage::new(&CHAT, "real", false), Vec::new());
            passage.push(format!("{CHUNK}\n\n{rest}").as_bytes(), &mut out);
            passage.end(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{CHUNK}\n\n{whole}"));
            assert_eq!(passage.ending() == Ending::Whole, !whole.is_empty(), "{rest}");
        }
    }

    #[test]
    fn an_event_that_is_too_long_to_be_read_passes() {
        let long =
            format!("data: {{\"choices\":[],\"x\":\"{}\"}}\n\n", "y".repeat(limits::MAX_METERED_EVENT));
        let stream = format!("{long}{FINISH}\n\n");
        for piece in [1000, stream.len()] {
            let (out, passage) = passed(&stream, false, piece);
            assert!(out == stream.replace("real", "asked"), "{piece}");
            assert_eq!(passage.ending(), Ending::Whole);
        }
    }
}
