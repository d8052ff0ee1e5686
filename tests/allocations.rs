//! In the steady state of a stream nothing is allocated per delta: the law of DESIGN section 4, counted.
//!
//! A process of its own, since counting takes a global allocator of its own (the one of `allocation-counter`, so that
//! this crate stays without `unsafe`; what divan's counts can only be read off its report). Counts the steps that every
//! byte of a committed answer goes through: the SSE reader, the reader of the answer, the gate. What sockets and
//! coroutines allocate is not counted here: the counts belong to the thread that asks.

use std::fmt::Write as _;
use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use pointsman::gate::Gate;
use pointsman::wire::anthropic::StreamReader;
use pointsman::wire::anthropic::stream::read::Decoder;
use pointsman::wire::anthropic::stream::write::Encoder;
use pointsman::wire::frame::Sse;
use pointsman::wire::traits::MESSAGES;
use pointsman::wire::transcode::Frame;

/// Reads of one byte, of less than an event, a TCP segment, a full buffer.
const PIECES: [usize; 4] = [1, 50, 1460, 16 * 1024];

#[test]
fn no_allocation_per_delta() {
    for (name, deltas) in [
        ("text", deltas(r#""delta":{"type":"text_delta","text":"some words"}"#, "\n")),
        ("CRLF", deltas(r#""delta":{"type":"text_delta","text":"some words"}"#, "\r\n")),
        ("a tool's input", deltas(r#""delta":{"type":"input_json_delta","partial_json":"{\"a\":1"}"#, "\n")),
        ("thinking", deltas(r#""delta":{"type":"thinking_delta","thinking":"\u00e9"}"#, "\n")),
        (
            "keys in another order",
            deltas(r#""delta":{"text":"x","type":"text_delta"},"x":[{"a":"b"}]"#, "\n"),
        ),
        ("pings", "event: ping\ndata: {\"type\": \"ping\"}\n\n: keep-alive\n\n".repeat(1000)),
        ("two lines of data", "data: {\"type\":\ndata: \"content_block_delta\"}\n\n".repeat(1000)),
    ] {
        for piece in PIECES {
            let mut sse = Sse::new();
            let mut reader = StreamReader::new();
            let mut gate = Gate::new(Duration::from_secs(30));
            reader.push(BEGINNING.as_bytes());
            gate.hear(BEGINNING.as_bytes(), true, Duration::ZERO);
            gate.take_held();
            let mut run = || {
                let mut events = 0_usize;
                for bytes in deltas.as_bytes().chunks(piece) {
                    sse.push(bytes, |_| events += 1);
                    let heard = reader.push(bytes);
                    assert!(heard.content && heard.fault.is_none());
                    gate.passed(Duration::ZERO);
                }
                assert!(events >= 1000, "{name}: {events}");
            };
            // The first time round the buffers may grow to what an event takes.
            run();
            let counted = measure(&mut run);
            assert_eq!((counted.count_total, counted.bytes_total), (0, 0), "{name} in pieces of {piece}");
        }
    }
}

#[test]
fn no_allocation_per_delta_that_is_read_and_written_again() {
    for (name, block, delta) in [
        ("text", r#"{"type":"text","text":""}"#, r#""delta":{"type":"text_delta","text":"some words"}"#),
        (
            "a tool's input",
            r#"{"type":"tool_use","id":"i","name":"n","input":{}}"#,
            r#""delta":{"type":"input_json_delta","partial_json":"{\"a\":1"}"#,
        ),
        (
            "thinking",
            r#"{"type":"thinking","thinking":"","signature":""}"#,
            r#""delta":{"thinking":"\u00e9","type":"thinking_delta"}"#,
        ),
    ] {
        let frame = Frame {
            id: "req_1".into(),
            model: "m".into(),
            created: 0,
            usage: false,
            names: std::sync::Arc::default(),
        };
        let (mut sse, mut decoder) = (Sse::new(), Decoder::new(&MESSAGES, "anthropic"));
        let (mut encoder, mut out) = (Encoder::new(frame), Vec::new());
        let mut pieces = 0_usize;
        let mut run = |bytes: &str| {
            sse.push(bytes.as_bytes(), |event| {
                decoder.push(&event, &mut |event| {
                    pieces += 1;
                    out.clear();
                    encoder.push(&event, &mut out);
                });
            });
        };
        run(&format!("data: {{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{block}}}\n\n"));
        let deltas = deltas(delta, "\n");
        // The first time round the buffers may grow to what an event takes.
        run(&deltas);
        let counted = measure(|| run(&deltas));
        assert_eq!((counted.count_total, counted.bytes_total), (0, 0), "{name}");
        assert!(pieces >= 2000, "{name}: {pieces}");
    }
}

#[test]
fn an_allocation_would_be_counted() {
    let AllocationInfo { count_total, .. } = measure(|| drop(std::hint::black_box(vec![1_u8])));
    assert_eq!(count_total, 1);
}

/// A thousand deltas.
fn deltas(member: &str, end: &str) -> String {
    (0..1000).fold(String::new(), |mut all, index| {
        let head = "event: content_block_delta";
        let data = format!("{{\"type\":\"content_block_delta\",\"index\":{index},{member}}}");
        write!(all, "{head}{end}data: {data}{end}{end}").expect("a text");
        all
    })
}

/// What comes before the steady state: usage, a model, the first content.
const BEGINNING: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"content\":[],",
    "\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
    "\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n",
);
