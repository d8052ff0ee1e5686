//! Laws of the Messages dialect's side of the hub, held against the recorded corpus.
//!
//! - Every stream, cut anywhere, becomes the same events, and these keep the grammar.
//! - What is written from events, as a stream or whole, is read as the same events again.
//! - The decoder's usage and stop reason are those of the reader that runs along a verbatim answer.
//! - Every recorded request is read; what is written of it holds the same, and is written the same again.
//!
//! What becomes of single blocks and fields is tested beside the code.

#[allow(dead_code)]
#[path = "laws/corpus.rs"]
mod corpus;

use std::sync::Arc;

use pointsman::wire::anthropic::stream::read::Decoder;
use pointsman::wire::anthropic::stream::write::Encoder;
use pointsman::wire::anthropic::{Ask, Call, StreamReader, reply, request};
use pointsman::wire::frame::Sse;
use pointsman::wire::grammar::Grammar;
use pointsman::wire::ir::{Content, Conversation, Delta, Event, Open, Role};
use pointsman::wire::traits::MESSAGES;
use pointsman::wire::transcode::Frame;
use pointsman::wire::translate::{Target, Toolbox};
use pointsman::wire::{Ending, Usage};
use serde_json::Value;

/// An answer as lines, one for each event; neighbouring pieces of a text are one, and only the last usage is kept.
#[derive(Debug, Default, PartialEq)]
struct Lines(Vec<String>);

impl Lines {
    fn push(&mut self, event: &Event<'_>) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        match event {
            Event::Usage(_) => self.0.retain(|line| !line.starts_with("usage ")),
            // A call without arguments means an empty object.
            Event::Close if self.0.last().is_some_and(|line| line.starts_with("call ")) => {
                self.0.push("piece {}".to_owned());
            }
            Event::Delta(Delta::Text(piece) | Delta::Args(piece)) => {
                if let Some(last) = self.0.last_mut().filter(|line| line.starts_with("piece ")) {
                    last.push_str(&text(piece));
                    return;
                }
                // Citations stand behind their text in a whole answer.
                let cites = self.0.iter().rev().take_while(|line| line.starts_with("cite ")).count();
                let at = self.0.len() - cites;
                match self.0[..at].last_mut().filter(|line| cites > 0 && line.starts_with("piece ")) {
                    Some(before) => before.push_str(&text(piece)),
                    None => self.0.insert(at, format!("piece {}", text(piece))),
                }
                return;
            }
            _ => {}
        }
        self.0.push(match event {
            Event::Start { model } => format!("start {}", text(model.unwrap_or_default())),
            Event::Open(Open::ToolCall { id, name }) => format!("call {} {}", text(id), text(name)),
            Event::Open(Open::Opaque { raw, .. }) => format!("opaque {}", text(raw)),
            Event::Open(open) => format!("open {open:?}"),
            Event::Delta(Delta::Citation { raw, .. }) => format!("cite {}", text(raw)),
            Event::Delta(Delta::Seal { family, payload }) => format!("seal {family} {}", text(payload)),
            Event::Delta(Delta::Text(_) | Delta::Args(_)) => return,
            Event::Close => "close".to_owned(),
            Event::Usage(usage) => format!("usage {usage:?}"),
            Event::Stop { reason, sequence } => format!("stop {} {sequence:?}", reason.word()),
            Event::Fault(told) => format!("fault {} {}", told.kind, told.message),
        });
    }

    fn model(&self) -> &str {
        self.0.first().and_then(|line| line.strip_prefix("start ")).unwrap_or_default()
    }
}

/// Takes events, checks their order and shows them to `each`.
fn checked(name: &str, mut each: impl FnMut(&Event<'_>)) -> impl FnMut(Event<'_>) {
    let mut grammar = Grammar::new();
    move |event| {
        grammar.check(&event).unwrap_or_else(|error| panic!("{name}: {error}"));
        each(&event);
    }
}

/// The events of a stream that comes in pieces of this size.
fn heard(name: &str, stream: &[u8], piece: usize, mut each: impl FnMut(&Event<'_>)) -> bool {
    let (mut sse, mut decoder) = (Sse::new(), Decoder::new(&MESSAGES, "anthropic"));
    let mut sink = checked(name, &mut each);
    for bytes in stream.chunks(piece) {
        sse.push(bytes, |event| decoder.push(&event, &mut sink));
    }
    decoder.end(&mut sink);
    decoder.is_over()
}

fn lines(name: &str, stream: &[u8], piece: usize) -> Lines {
    let mut lines = Lines::default();
    heard(name, stream, piece, |event| lines.push(event));
    lines
}

fn whole(name: &str, body: &[u8], mut each: impl FnMut(&Event<'_>)) {
    assert!(reply::decode(body, &MESSAGES, "anthropic", &mut checked(name, &mut each)), "{name}");
}

fn frame(model: &str) -> Frame {
    Frame { id: "req_1".into(), model: model.into(), created: 0, usage: false, names: Arc::default() }
}

#[test]
fn every_stream_becomes_the_same_events_wherever_it_is_cut() {
    for (name, stream) in corpus::streams() {
        let all = lines(&name, &stream, stream.len());
        for piece in [1, 7, 61, 1460] {
            assert_eq!(lines(&name, &stream, piece), all, "{name} in pieces of {piece}");
        }
        if stream.len() < 3000 {
            for cut in 1..stream.len() {
                let (mut sse, mut decoder) = (Sse::new(), Decoder::new(&MESSAGES, "anthropic"));
                let mut found = Lines::default();
                let mut sink = checked(&name, |event| found.push(event));
                for bytes in [&stream[..cut], &stream[cut..]] {
                    sse.push(bytes, |event| decoder.push(&event, &mut sink));
                }
                decoder.end(&mut sink);
                drop(sink);
                assert_eq!(found, all, "{name} cut at {cut}");
            }
        }
    }
}

#[test]
fn a_stream_ends_as_the_reader_of_verbatim_answers_says() {
    let mut ends = [0; 3];
    for (name, stream) in corpus::streams() {
        let mut reader = StreamReader::new();
        reader.push(&stream);
        let (mut usage, mut stop, mut fault) = (Usage::default(), None, None);
        let over = heard(&name, &stream, stream.len(), |event| match event {
            Event::Usage(told) => usage = *told,
            Event::Stop { reason, .. } => stop = Some((*reason).clone()),
            Event::Fault(told) => fault = Some(told.failure),
            _ => {}
        });
        let meter = reader.meter();
        match reader.ending() {
            Ending::Whole => {
                assert_eq!((usage, stop, over), (meter.usage, meter.stop.clone(), true), "{name}");
                ends[0] += 1;
            }
            Ending::Told(failure) => {
                assert_eq!((fault, over), (Some(failure), true), "{name}");
                ends[1] += 1;
            }
            Ending::Cut | Ending::Empty => {
                assert!(fault.is_none() && (!over || meter.stop.is_some()), "{name}");
                ends[2] += 1;
            }
        }
    }
    assert!(ends.iter().all(|count| *count > 0), "{ends:?}");
}

#[test]
fn what_is_written_from_events_is_read_as_the_same_events() {
    let mut kinds = std::collections::BTreeSet::new();
    for (name, stream) in corpus::streams() {
        let came = lines(&name, &stream, stream.len());
        if !came.0.last().is_some_and(|line| line.starts_with("stop ")) {
            continue;
        }
        kinds.extend(came.0.iter().filter_map(|line| line.split(' ').next()).map(str::to_owned));
        let mut encoder = Encoder::new(frame(came.model()));
        let mut fold = reply::Fold::new(frame(came.model()));
        let mut written = Vec::new();
        heard(&name, &stream, stream.len(), |event| {
            encoder.push(event, &mut written);
            fold.push(event);
        });
        assert_eq!(lines(&name, &written, written.len()), came, "{name} as a stream");
        let mut found = Lines::default();
        whole(&name, &fold.finish(), |event| found.push(event));
        assert_eq!(found, came, "{name} whole");
    }
    for kind in ["call", "opaque", "open", "cite", "seal", "piece", "usage"] {
        assert!(kinds.contains(kind), "no {kind} in the corpus");
    }
}

#[test]
fn a_whole_answer_and_its_stream_are_folded_into_the_same_body() {
    for (name, body) in corpus::replies() {
        let mut came = Lines::default();
        whole(&name, &body, |event| came.push(event));
        let (mut encoder, mut written) = (Encoder::new(frame(came.model())), Vec::new());
        let mut direct = reply::Fold::new(frame(came.model()));
        whole(&name, &body, |event| {
            encoder.push(event, &mut written);
            direct.push(event);
        });
        let mut streamed = reply::Fold::new(frame(came.model()));
        heard(&name, &written, 61, |event| streamed.push(event));
        let direct = direct.finish();
        assert_eq!(direct, streamed.finish(), "{name}");
        same_content(&name, &body, &direct);
    }
}

/// Texts and calls are those of the recorded answer.
fn same_content(name: &str, came: &[u8], folded: &[u8]) {
    let content = |body: &[u8]| -> Vec<Value> {
        let body: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{name}: {error}"));
        let blocks = body["content"].as_array().unwrap().iter().filter(|block| block["type"] != "thinking");
        let parts = |block: &Value| {
            serde_json::json!([block["type"], block["text"], block["id"], block["name"], block["input"]])
        };
        blocks.filter(|block| block["type"] != "redacted_thinking").map(parts).collect()
    };
    assert_eq!(content(came), content(folded), "{name}");
}

#[test]
fn every_recorded_request_is_read() {
    for (name, body) in corpus::requests() {
        let ask = Ask::read(&body, Call::CountTokens).unwrap_or_else(|error| panic!("{name}: {error}"));
        let conversation = match request::read::read(&ask) {
            Ok(conversation) => conversation,
            // The API refused this one as well.
            Err(error) if name.contains("completion-error") => {
                assert_eq!(error.message, "messages.0: expected an object, got a string");
                continue;
            }
            Err(error) => panic!("{name}: {error}"),
        };
        assert!(!conversation.turns.is_empty(), "{name}");
        let mut loss = pointsman::wire::Loss::default();
        let tools = conversation.tools.map(|raw| request::tools::read(raw, &mut loss).unwrap());
        assert_eq!(tools.is_some(), conversation.tools.is_some(), "{name}");
    }
}

#[test]
fn what_is_written_of_a_request_holds_the_same_and_is_written_the_same_again() {
    let mut compared = 0;
    // A file belongs to the provider that it was handed to.
    let all = corpus::requests().into_iter().filter(|(_, body)| !text(body).contains("\"file_id\""));
    for (name, body) in all {
        for model in
            ["claude-opus-5", "claude-sonnet-4-6", "claude-haiku-4-5", "claude-3-5-haiku", "nobody-knows"]
        {
            let name = format!("{name} to {model}");
            let Some(came) = conversation(&body) else { continue };
            let once = written(&name, &came, model);
            let again = conversation(&once).unwrap();
            assert_eq!(text(&written(&name, &again, model)), text(&once), "{name}");
            // Where nothing is changed for the model, and no words are added to what the assistant has begun.
            if model == "claude-opus-5" && came.turns.last().unwrap().role != Role::Assistant {
                assert_eq!(held(&again), held(&came), "{name}");
                compared += 1;
            }
        }
    }
    assert!(compared > 50, "{compared}");
}

fn conversation(body: &[u8]) -> Option<Conversation<'_>> {
    request::read::read(&Ask::read(body, Call::CountTokens).unwrap()).ok()
}

fn written(name: &str, conversation: &Conversation<'_>, model: &str) -> Vec<u8> {
    let mut loss = pointsman::wire::Loss::default();
    let tools = conversation.tools.map(|raw| request::tools::read(raw, &mut loss).unwrap());
    let tools: Arc<Toolbox> = request::tools::write(&tools.unwrap_or_default(), &MESSAGES, model).into();
    let target =
        Target { model, traits: &MESSAGES, limit: None, repairs: 0, cut_thinking: false, context_1m: false };
    let written = request::write::write(conversation, &tools, &target);
    let written = written.unwrap_or_else(|error| panic!("{name}: {error}"));
    let body = written.pieces().collect::<Vec<_>>().concat();
    serde_json::from_slice::<Value>(&body).unwrap_or_else(|error| panic!("{name}: {error}"));
    body
}

/// The blocks of a conversation, in no order; thinking that nobody sealed is for nobody.
fn held(conversation: &Conversation<'_>) -> Vec<String> {
    let turns =
        conversation.turns.iter().flat_map(|turn| turn.blocks.iter().map(move |block| (turn.role, block)));
    let system = conversation.system.iter().map(|block| (Role::System, block));
    let kept = turns
        .chain(system)
        .filter(|(_, block)| !matches!(block.content, Content::Thinking { seal: None, .. }));
    let mut all: Vec<String> = kept.map(|(role, block)| format!("{role:?} {block:?}")).collect();
    all.sort_unstable();
    all
}

fn text(body: &[u8]) -> String {
    String::from_utf8(body.to_vec()).unwrap()
}
