//! What the fuzz targets share: streams of either dialect decoded in pieces and written again, requests written in both.
//!
//! Holds the laws of `tests/hub` that are true of any bytes. Reads no recorded traffic: `scripts/fuzz` seeds with it.

use std::sync::Arc;

use pointsman::wire::frame::Sse;
use pointsman::wire::grammar::Grammar;
use pointsman::wire::ir::{Conversation, Event};
use pointsman::wire::names::Names;
use pointsman::wire::traits::{CHAT, MESSAGES, Traits};
use pointsman::wire::transcode::Frame;
use pointsman::wire::translate::Target;
use pointsman::wire::{Dialect, Loss, anthropic, chat};

static OPENAI: Traits = CHAT;
static THINKING: Traits = Traits { think_tags: true, ..CHAT };
static ANTHROPIC: Traits = MESSAGES;

/// The laws of streams: no panic, the grammar holds, pieces do not matter, and what is written is read again.
pub fn stream(dialect: Dialect, bytes: &[u8]) {
    let traits = match dialect {
        Dialect::Messages => &ANTHROPIC,
        Dialect::Chat if bytes.len() % 2 == 0 => &OPENAI,
        Dialect::Chat => &THINKING,
    };
    let (whole, over) = decoded(dialect, traits, [bytes], &mut |_| {});
    for size in [1, 7, 64] {
        assert_eq!(decoded(dialect, traits, bytes.chunks(size), &mut |_| {}).0, whole, "in pieces of {size}");
    }
    for target in [Dialect::Messages, Dialect::Chat] {
        let mut out = Vec::new();
        let mut writer = Writer::new(target);
        decoded(dialect, traits, [bytes], &mut |event| writer.push(event, &mut out));
        let mut sse = Sse::new();
        sse.push(&out, |event| {
            let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(event.data).is_ok();
            // A text that was no UTF-8 crosses as it came.
            assert!(
                is_json || event.data == b"[DONE]" || std::str::from_utf8(bytes).is_err() || !sound(bytes)
            );
        });
        let traits = if target == Dialect::Messages { &ANTHROPIC } else { &OPENAI };
        let (_, again) = decoded(target, traits, [out.as_slice()], &mut |_| {});
        assert!(again || !over || !sound(bytes), "what was whole is cut in {target:?}");
    }
}

/// Whether the data of every event is JSON: what else a decoder takes, it may pass on.
fn sound(bytes: &[u8]) -> bool {
    let mut sound = true;
    Sse::new().push(bytes, |event| {
        sound &=
            event.data == b"[DONE]" || serde_json::from_slice::<serde::de::IgnoredAny>(event.data).is_ok();
    });
    sound
}

/// The events, each as text, and whether they came to an end.
fn decoded<'p>(
    dialect: Dialect,
    traits: &'static Traits,
    pieces: impl IntoIterator<Item = &'p [u8]>,
    each: &mut dyn FnMut(&Event<'_>),
) -> (Vec<String>, bool) {
    let (mut grammar, mut sse, mut events) = (Grammar::new(), Sse::new(), Vec::new());
    let mut sink = |event: Event<'_>| {
        if let Err(wrong) = grammar.check(&event) {
            panic!("against the grammar: {wrong}");
        }
        events.push(format!("{event:?}"));
        each(&event);
    };
    match dialect {
        Dialect::Messages => {
            let mut decoder = anthropic::stream::read::Decoder::new(traits, traits.family);
            for piece in pieces {
                sse.push(piece, |event| decoder.push(&event, &mut sink));
            }
            decoder.end(&mut sink);
        }
        Dialect::Chat => {
            let mut decoder = chat::stream::read::Decoder::new(traits, traits.family);
            for piece in pieces {
                sse.push(piece, |event| decoder.push(&event, &mut sink));
            }
            decoder.end(&mut sink);
        }
    }
    (events, grammar.is_over())
}

enum Writer {
    Messages(anthropic::stream::write::Encoder),
    Chat(chat::stream::write::Encoder),
}

impl Writer {
    fn new(dialect: Dialect) -> Self {
        let frame = Frame {
            id: "req_1".into(),
            model: "m".into(),
            created: 1,
            usage: true,
            names: Arc::new(Names::default()),
        };
        match dialect {
            Dialect::Messages => Self::Messages(anthropic::stream::write::Encoder::new(frame)),
            Dialect::Chat => Self::Chat(chat::stream::write::Encoder::new(frame)),
        }
    }

    fn push(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Messages(encoder) => encoder.push(event, out),
            Self::Chat(encoder) => encoder.push(event, out),
        }
    }
}

/// The laws of requests: no panic, and valid JSON becomes valid JSON in both dialects.
pub fn request(dialect: Dialect, body: &[u8]) {
    match dialect {
        Dialect::Messages => {
            let Ok(ask) = anthropic::Ask::read(body, anthropic::Call::Messages) else { return };
            let Ok(conversation) = anthropic::request::read::read(&ask) else { return };
            let mut loss = Loss::default();
            let tools = conversation.tools.unwrap_or(b"[]");
            let Ok(tools) = anthropic::request::tools::read(tools, &mut loss) else { return };
            written(body, &conversation, &tools);
        }
        Dialect::Chat => {
            let Ok(ask) = chat::Ask::read(body, false) else { return };
            let Ok(conversation) = chat::request::read::read(&ask) else { return };
            let mut loss = Loss::default();
            let tools = conversation.tools.unwrap_or(b"[]");
            let Ok(tools) = chat::request::tools::read(tools, &mut loss) else { return };
            written(body, &conversation, &tools);
        }
    }
}

fn written(body: &[u8], conversation: &Conversation<'_>, tools: &[pointsman::wire::ir::Tool<'_>]) {
    assert!(pointsman::wire::tokens::measure(conversation).tokens(Default::default()) > 0);
    for (dialect, model, traits) in [
        (Dialect::Messages, "claude-sonnet-4-5", &ANTHROPIC),
        (Dialect::Chat, "gpt-4o", &OPENAI),
        (Dialect::Chat, "gpt-5.2", &OPENAI),
    ] {
        let target =
            Target { model, traits, limit: None, repairs: 0, cut_thinking: false, context_1m: false };
        let written = match dialect {
            Dialect::Messages => {
                let tools = Arc::new(anthropic::request::tools::write(tools, traits, model));
                anthropic::request::write::write(conversation, &tools, &target)
            }
            Dialect::Chat => {
                let tools = Arc::new(chat::request::tools::write(tools, traits, model));
                chat::request::write::write(conversation, &tools, &target)
            }
        };
        let Ok(written) = written else { continue };
        if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() {
            let out = written.pieces().collect::<Vec<_>>().concat();
            serde_json::from_slice::<serde::de::IgnoredAny>(&out)
                .unwrap_or_else(|wrong| panic!("{dialect:?}: {wrong}: {}", String::from_utf8_lossy(&out)));
        }
    }
}
