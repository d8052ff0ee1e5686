//! In the steady state of a translated stream nothing is allocated per delta: the law of DESIGN section 4, counted for both
//! decoders and both encoders.
//!
//! A process of its own, like `tests/allocations.rs`, since counting takes a global allocator. Counts the way of a delta from
//! its bytes to the bytes for the client; what sockets and coroutines allocate is not counted here.

use std::fmt::Write as _;
use std::sync::Arc;

use allocation_counter::measure;
use pointsman::wire::frame::{Sse, sse};
use pointsman::wire::ir::Event;
use pointsman::wire::traits::{CHAT, MESSAGES, Traits};
use pointsman::wire::transcode::{Frame, Sink};
use pointsman::wire::{anthropic, chat};

static OPENAI: Traits = CHAT;
static ANTHROPIC: Traits = MESSAGES;

#[test]
fn no_allocation_per_delta_on_any_way() {
    for (name, start, delta) in MESSAGES_DELTAS {
        let mut decoder = anthropic::stream::read::Decoder::new(&ANTHROPIC, "anthropic");
        holds(name, start, delta, |event, sink| decoder.push(event, sink));
    }
    for (name, start, delta) in CHAT_DELTAS {
        let mut decoder = chat::stream::read::Decoder::new(&OPENAI, "openai");
        holds(name, start, delta, |event, sink| decoder.push(event, sink));
    }
}

/// Runs a beginning, a thousand deltas that may grow the buffers, and a thousand that may not.
fn holds(name: &str, start: &str, delta: &str, mut decode: impl FnMut(&sse::Event<'_>, &mut Sink<'_>)) {
    let mut to_messages = anthropic::stream::write::Encoder::new(frame());
    let mut to_chat = chat::stream::write::Encoder::new(frame());
    let deltas = (0..1000).fold(String::new(), |mut all, _| {
        write!(all, "data: {delta}\n\n").expect("a text");
        all
    });
    let mut sse = Sse::new();
    let (mut out, mut events) = (Vec::with_capacity(1 << 20), 0_usize);
    let mut run = |bytes: &[u8]| {
        for piece in bytes.chunks(1460) {
            out.clear();
            sse.push(piece, |event| {
                decode(&event, &mut |event: Event<'_>| {
                    events += usize::from(matches!(event, Event::Delta(_)));
                    to_messages.push(&event, &mut out);
                    to_chat.push(&event, &mut out);
                });
            });
        }
    };
    run(start.as_bytes());
    run(deltas.as_bytes());
    let counted = measure(|| run(deltas.as_bytes()));
    assert_eq!((counted.count_total, counted.bytes_total), (0, 0), "{name}");
    assert!(events >= 2000, "{name}: {events} deltas");
}

fn frame() -> Frame {
    Frame { id: "req_1".into(), model: "m".into(), created: 1, usage: true, names: Arc::default() }
}

/// What is streamed, the beginning of the stream, one delta.
const MESSAGES_DELTAS: [(&str, &str, &str); 3] = [
    (
        "text of Messages",
        concat!(
            "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n",
            "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
        ),
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"some \"words\""}}"#,
    ),
    (
        "thinking of Messages",
        concat!(
            "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"content\":[]}}\n\n",
            "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n"
        ),
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"\u00e9 hm"}}"#,
    ),
    (
        "arguments of Messages",
        concat!(
            "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"content\":[]}}\n\n",
            "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"n\",\"input\":{}}}\n\n"
        ),
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1"}}"#,
    ),
];

/// The same for Chat Completions.
const CHAT_DELTAS: [(&str, &str, &str); 3] = [
    (
        "text of Chat",
        "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"a\"}}]}\n\n",
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"some \"words\""},"finish_reason":null}]}"#,
    ),
    (
        "thinking of Chat",
        "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"reasoning_content\":\"a\"}}]}\n\n",
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"reasoning_content":"hm"},"finish_reason":null}]}"#,
    ),
    (
        "arguments of Chat",
        "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"n\",\"arguments\":\"\"}}]}}]}\n\n",
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1"}}]},"finish_reason":null}]}"#,
    ),
];
