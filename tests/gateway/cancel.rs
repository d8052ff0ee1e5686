//! A client that goes away takes its upstream with it.

use std::time::Duration;

use crate::support::upstream::{chunk, sse_then, trickle};
use crate::support::*;

const PROMISE: Duration = Duration::from_millis(250);
/// What the machine may add on a bad day; the promise itself is held against the median of several.
const SLACK: Duration = Duration::from_millis(1500);

fn cancelled(how: &str, streams: bool, acts: &[Act], leave: impl Fn(Client, &Gateway) -> std::time::Instant) {
    let mut delays = Vec::new();
    for _ in 0..5 {
        let first = upstream().always(acts.to_vec());
        let gw = gateway().weighted("first", &first, 1).run();
        let ask = if streams { messages().stream() } else { messages() };
        let client = gw.client().send(&ask);
        until("the upstream was asked", || first.count() == 1);
        let left = leave(client, &gw);
        until("the upstream saw the end", || first.seen()[0].left_at.is_some());
        delays.push(first.seen()[0].left_at.unwrap().saturating_duration_since(left));
        until("the request is over", || {
            gw.shared.open_requests.load(std::sync::atomic::Ordering::Relaxed) == 0
        });
    }
    delays.sort();
    assert!(delays[2] <= PROMISE && delays[4] <= SLACK, "{how}: {delays:?}");
}

#[test]
fn a_disconnect_while_waiting_for_the_first_byte() {
    for streams in [false, true] {
        cancelled("close", streams, &[Act::Hold], |client, _| client.leave());
    }
}

#[test]
fn a_disconnect_that_leaves_the_upstream_working() {
    let begun = message_start("m") + &block_start() + &delta("x");
    cancelled("in the middle of a stream", true, &sse_then(&begun, vec![Act::Hold]), |mut client, _| {
        client.wait_for("text_delta");
        client.leave()
    });
}

/// Also while the upstream goes on sending, so that no wait for it ever ends by its tick.
#[test]
fn a_disconnect_while_bytes_trickle() {
    let every = Duration::from_millis(20);
    let whole = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n".to_vec();
    let whole = [vec![Act::Send(whole)], trickle(b" ", every, 400)].concat();
    let begun = message_start("m") + &block_start() + &delta("x");
    let streamed = sse_then(&begun, trickle(&chunk(&ping()), every, 400));
    for (streams, acts) in [(false, whole), (true, streamed)] {
        cancelled("while bytes trickle", streams, &acts, |client, _| client.leave());
    }
}

#[test]
fn a_fin_counts_as_gone() {
    let kept = std::sync::Mutex::new(Vec::new());
    cancelled("FIN", true, &[Act::Hold], |client, _| {
        client.half_close();
        kept.lock().unwrap().push(client);
        std::time::Instant::now()
    });
}

#[test]
fn a_client_that_leaves_while_a_lone_provider_rests_is_not_waited_for() {
    let first = upstream().answers(500, "x");
    let gw = gateway().weighted("first", &first, 1).retry("max_wait: 30s, attempts: 4").run();
    let client = gw.client().send(&messages());
    until("the first attempt failed", || first.count() >= 1);
    client.leave();
    until("the request is over", || gw.shared.open_requests.load(std::sync::atomic::Ordering::Relaxed) == 0);
    assert!(first.count() < 4);
}
