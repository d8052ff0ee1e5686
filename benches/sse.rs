//! Finding the events of a stream as it comes in pieces, beside a line splitter. The allocations that divan reports for
//! the steady state must be none.

mod bodies;

use bodies::{SIZES, stream};
use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use pointsman::wire::frame::Sse;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// A TLS record of a small event, a TCP segment, a full read buffer.
const PIECES: [usize; 3] = [200, 1460, 16 * 1024];

fn twin(stream: &str) -> usize {
    stream.split("\n\n").filter(|event| event.lines().any(|line| line.starts_with("data:"))).count()
}

fn events(sse: &mut Sse, stream: &[u8], piece: usize) -> usize {
    let mut events = 0;
    for piece in stream.chunks(piece) {
        sse.push(piece, |_| events += 1);
    }
    events
}

#[divan::bench(args = PIECES)]
fn steady(bencher: Bencher, piece: usize) {
    let stream = stream(100_000);
    let mut sse = Sse::new();
    assert_eq!(events(&mut sse, &stream, piece), twin(std::str::from_utf8(&stream).expect("is UTF-8")));
    bencher
        .counter(BytesCount::of_slice(&stream))
        .bench_local(|| events(&mut sse, black_box(&stream), piece));
}

#[divan::bench(args = SIZES)]
fn whole(bencher: Bencher, size: usize) {
    let stream = stream(size);
    bencher
        .counter(BytesCount::of_slice(&stream))
        .bench(|| events(&mut Sse::new(), black_box(&stream), stream.len()));
}

#[divan::bench(args = SIZES)]
fn twin_lines(bencher: Bencher, size: usize) {
    let stream = String::from_utf8(stream(size)).expect("is UTF-8");
    bencher.counter(BytesCount::of_str(&stream)).bench(|| twin(black_box(&stream)));
}
