//! A Claude Code request on its way to Chat Completions with its list of tools seen before, and the events of a stream on
//! their way back. Both are held to the right answer first, and the allocations that divan reports for the steady state of
//! a stream must be none.

mod bodies;

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use bodies::{SIZES, request};
use divan::counter::{BytesCount, ItemsCount};
use divan::{AllocProfiler, Bencher, black_box};
use pointsman::wire::memo::Memo;
use pointsman::wire::traits::CHAT;
use pointsman::wire::transcode::{Frame, Passage, Route};
use pointsman::wire::translate::{Target, prepare};
use pointsman::wire::{Ask, Call, Dialect};
use serde_json::Value;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const TARGET: Target<'_> = Target {
    model: "gpt-4o",
    traits: &CHAT,
    limit: None,
    repairs: 0,
    cut_thinking: false,
    context_1m: false,
};

/// Reads and writes a request; gives the bytes of the result.
fn translate(body: &[u8], memo: &mut Memo) -> usize {
    let ask = Ask::read(body, Call::Messages).expect("is a request");
    let prepared =
        prepare(&ask, Dialect::Chat, None, &TARGET, Some("session"), memo).expect("can be written");
    prepared.body.pieces().iter().map(|piece| piece.len()).sum()
}

/// Reading, translating and writing, the list of tools from the memo.
#[divan::bench(args = SIZES)]
fn messages_to_chat(bencher: Bencher, size: usize) {
    let body = request(size);
    let mut memo = Memo::default();
    let ask = Ask::read(&body, Call::Messages).expect("is a request");
    let prepared = prepare(&ask, Dialect::Chat, None, &TARGET, None, &mut memo).expect("can be written");
    let chat: Value = serde_json::from_slice(&prepared.body.pieces().concat()).expect("is JSON");
    let own: Value = serde_json::from_slice(&body).expect("is JSON");
    let count = |value: &Value| value.as_array().map_or(0, Vec::len);
    assert!(count(&chat["messages"]) >= count(&own["messages"]));
    assert_eq!(count(&chat["tools"]), count(&own["tools"]));
    bencher.counter(BytesCount::of_slice(&body)).bench_local(|| translate(black_box(&body), &mut memo));
}

/// Chunks of text as `OpenAI` sends them when usage is asked for.
fn chunks(count: usize) -> String {
    (0..count).fold(String::new(), |mut out, n| {
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "data: {{\"id\":\"chatcmpl-000000000000000000000000\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"gpt-4o-2024-08-06\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_0123456789\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" word{n}\"}},\"logprobs\":null,\"finish_reason\":null}}],\"usage\":null}}\n\n"
        );
        out
    })
}

fn passage() -> Passage {
    let frame = Frame {
        id: "req_1".into(),
        model: "claude-x".into(),
        created: 0,
        usage: true,
        names: Arc::default(),
    };
    let family = Cow::Borrowed("openai");
    Route { client: Dialect::Messages, target: Dialect::Chat, traits: &CHAT, family, frame }.stream()
}

/// A hundred events of text in the middle of a stream.
#[divan::bench]
fn hundred_events_to_messages(bencher: Bencher) {
    let chunks = chunks(100);
    let (mut passage, mut out) = (passage(), Vec::with_capacity(64 * 1024));
    passage.push(chunks.as_bytes(), &mut out);
    assert_eq!(memchr::memmem::find_iter(&out, b"text_delta").count(), 100);
    bencher.counter(ItemsCount::new(100_usize)).bench_local(|| {
        out.clear();
        passage.push(black_box(chunks.as_bytes()), &mut out);
        out.len()
    });
}
