//! Any bytes as a `text/event-stream`: split anywhere it is the same stream. Compares events with their places; knows no
//! dialect.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman::wire::frame::Sse;

fuzz_target!(|bytes: &[u8]| {
    let whole = read([bytes]);
    for size in [1, 2, 3, 7, 64] {
        assert_eq!(read(bytes.chunks(size)), whole, "in pieces of {size}");
    }
    // The first byte chooses a place of its own.
    let at = bytes.first().map_or(0, |byte| usize::from(*byte) * bytes.len() / 256);
    assert_eq!(read([&bytes[..at], &bytes[at..]]), whole, "split at {at}");
});

/// Name and data of each event, and whether the end is between two. Where data stands in the stream is told in one piece
/// only, and must be true.
fn read<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> (Vec<(Vec<u8>, Vec<u8>, bool)>, bool) {
    let (mut sse, mut events, mut passed) = (Sse::new(), Vec::new(), Vec::new());
    for piece in pieces {
        passed.extend_from_slice(piece);
        let boundary = sse.push(piece, |event| {
            if let Some(at) = event.data_at {
                assert!(passed[usize::try_from(at).unwrap()..].starts_with(event.data));
            }
            events.push((event.name.to_vec(), event.data.to_vec(), event.unread));
        });
        assert!(boundary.is_none_or(|at| at <= piece.len()));
    }
    let between = sse.at_boundary();
    (events, between)
}
