//! Reading along a stream for content, usage and its end, beside a full parse of every event.

mod bodies;

use bodies::{SIZES, stream};
use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use pointsman::wire::Ending;
use pointsman::wire::anthropic::StreamReader;
use serde_json::Value;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// The usual read of a socket while a model writes.
const PIECE: usize = 1460;

fn read(stream: &[u8]) -> u64 {
    let mut reader = StreamReader::new();
    for piece in stream.chunks(PIECE) {
        reader.push(piece);
    }
    assert_eq!(reader.ending(), Ending::Whole);
    reader.meter().usage.output
}

fn twin(stream: &str) -> u64 {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    let mut told = data.filter_map(|data| {
        let event: Value = serde_json::from_str(data).ok()?;
        event["usage"]["output_tokens"]
            .as_u64()
            .or_else(|| event["message"]["usage"]["output_tokens"].as_u64())
    });
    told.next_back().unwrap_or(0)
}

#[divan::bench(args = SIZES)]
fn meter(bencher: Bencher, size: usize) {
    let stream = stream(size);
    assert_eq!(read(&stream), twin(std::str::from_utf8(&stream).expect("is UTF-8")));
    bencher.counter(BytesCount::of_slice(&stream)).bench(|| read(black_box(&stream)));
}

/// Deltas only, content seen: nearly all of a stream's life. Reports no allocation.
#[divan::bench]
fn steady_deltas(bencher: Bencher) {
    let stream = stream(100_000);
    let stop = memchr::memmem::find(&stream, b"event: content_block_stop").expect("has a stop");
    let start = memchr::memmem::find(&stream, b"event: content_block_delta").expect("has deltas");
    let deltas = &stream[start..stop];
    let mut reader = StreamReader::new();
    deltas.chunks(PIECE).for_each(|piece| assert!(reader.push(piece).fault.is_none()));
    bencher.counter(BytesCount::of_slice(deltas)).bench_local(|| {
        deltas.chunks(PIECE).filter_map(|piece| black_box(&mut reader).push(piece).boundary).sum::<usize>()
    });
}

#[divan::bench(args = SIZES)]
fn twin_full_parses(bencher: Bencher, size: usize) {
    let stream = String::from_utf8(stream(size)).expect("is UTF-8");
    bencher.counter(BytesCount::of_str(&stream)).bench(|| twin(black_box(&stream)));
}
