//! Changing a body by byte ranges, beside parse, change and serialise.

mod bodies;

use bodies::{SIZES, request};
use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use pointsman::json::{Edits, Span, text};
use pointsman::wire::anthropic::{Ask, Call};
use serde_json::Value;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// The edits of a usual attempt: another model, another limit, a field that goes, one that comes.
fn edits(body: &[u8], ask: &Ask<'_>) -> Edits {
    let mut edits = Edits::new();
    edits.replace(ask.model_at.value, text::quote("other-model"));
    if let Some(limit) = ask.max_tokens_at {
        edits.replace(limit.value, "4096");
    }
    if let Some(metadata) = ask.metadata {
        edits.remove(metadata.whole());
    }
    edits.insert_member(Span::root(body), "anthropic_version", b"\"bedrock-2023-05-31\"");
    edits
}

fn change(value: &mut Value) {
    value["model"] = "other-model".into();
    value["max_tokens"] = 4096.into();
    value["anthropic_version"] = "bedrock-2023-05-31".into();
    value.as_object_mut().expect("is an object").remove("metadata");
}

/// Up to the pieces of a vectored write; the body is not copied.
#[divan::bench(args = SIZES)]
fn pieces(bencher: Bencher, size: usize) {
    let body = request(size);
    let ask = Ask::read(&body, Call::Messages).expect("is a request");
    let mut twin: Value = serde_json::from_slice(&body).expect("is JSON");
    change(&mut twin);
    let spliced = edits(&body, &ask).on(&body).to_vec();
    assert_eq!(serde_json::from_slice::<Value>(&spliced).expect("is JSON"), twin);
    bencher.counter(BytesCount::of_slice(&body)).bench(|| {
        let spliced = edits(&body, &ask).on(black_box(&body));
        spliced.pieces().map(<[u8]>::len).sum::<usize>()
    });
}

/// The same with the peek in front and one copy behind.
#[divan::bench(args = SIZES)]
fn peek_splice_copy(bencher: Bencher, size: usize) {
    let body = request(size);
    bencher.counter(BytesCount::of_slice(&body)).bench(|| {
        let ask = Ask::read(black_box(&body), Call::Messages).expect("is a request");
        edits(&body, &ask).on(&body).to_vec()
    });
}

#[divan::bench(args = SIZES)]
fn twin_parse_change_write(bencher: Bencher, size: usize) {
    let body = request(size);
    bencher.counter(BytesCount::of_slice(&body)).bench(|| {
        let mut value: Value = serde_json::from_slice(black_box(&body)).expect("is JSON");
        change(&mut value);
        serde_json::to_vec(&value).expect("was JSON")
    });
}
