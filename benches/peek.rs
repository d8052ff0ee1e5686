//! Finding what the gateway needs in a body, beside a full parse of the same.

mod bodies;

use bodies::{SIZES, request};
use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use pointsman::json::{self, Span};
use pointsman::wire::anthropic::{Ask, Call};
use serde_json::Value;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES)]
fn ask(bencher: Bencher, size: usize) {
    let body = request(size);
    let twin: Value = serde_json::from_slice(&body).expect("is JSON");
    let ask = Ask::read(&body, Call::Messages).expect("is a request");
    assert_eq!(*ask.model, *twin["model"].as_str().expect("has a model"));
    assert_eq!(Some(ask.messages.len()), twin["messages"].as_array().map(Vec::len));
    assert!(ask.stream);
    bencher.counter(BytesCount::of_slice(&body)).bench(|| {
        let ask = Ask::read(black_box(&body), Call::Messages).expect("is a request");
        black_box(ask.messages.len())
    });
}

/// The whole of a list of tools: short strings, the hardest of a body to skip.
#[divan::bench]
fn tools(bencher: Bencher) {
    let body = request(100_000);
    let ask = Ask::read(&body, Call::Messages).expect("is a request");
    let tools = ask.tools.expect("has tools").value.of(&body);
    let count = || json::elements(black_box(tools), Span::all(tools)).map_while(Result::ok).count();
    assert_eq!(count(), 40);
    bencher.counter(BytesCount::of_slice(tools)).bench(count);
}

#[divan::bench(args = SIZES)]
fn twin_full_parse(bencher: Bencher, size: usize) {
    let body = request(size);
    bencher.counter(BytesCount::of_slice(&body)).bench(|| {
        let value: Value = serde_json::from_slice(black_box(&body)).expect("is JSON");
        black_box(value["messages"].as_array().map(Vec::len))
    });
}

/// What a gateway pays that checks the syntax alone.
#[divan::bench(args = SIZES)]
fn twin_ignored_parse(bencher: Bencher, size: usize) {
    let body = request(size);
    bencher.counter(BytesCount::of_slice(&body)).bench(|| {
        serde_json::from_slice::<serde::de::IgnoredAny>(black_box(&body)).expect("is JSON");
    });
}

/// The floor: looking at every quote.
#[divan::bench(args = SIZES)]
fn floor_memchr(bencher: Bencher, size: usize) {
    let body = request(size);
    bencher
        .counter(BytesCount::of_slice(&body))
        .bench(|| memchr::memchr_iter(b'"', black_box(&body)).count());
}
