//! When an answer is committed, and what happens to one that breaks afterwards.

use std::time::Duration;

use crate::support::upstream::{chunk, sse, sse_then, trickle};
use crate::support::*;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn a_stream_passes_byte_for_byte_but_for_the_models_name() {
    let events = stream("real-model", "hello")
        + ": a comment\n\n"
        + &event("future_event", r#"{"type":"future_event","x":[1]}"#);
    let first = upstream().streams(&events);
    let answer = gateway().weighted("first", &first, 1).run().post(messages().stream());
    assert_eq!(answer.is(200).text(), events.replace("real-model", "claude-test"));
}

#[test]
fn a_silent_upstream_does_not_keep_the_client_waiting_without_a_sign() {
    let first = upstream().always([vec![Act::Wait(ms(900))], sse(&stream("m", "late"))].concat());
    let gw = gateway().weighted("first", &first, 1).retry("ping_after: 200ms").run();
    let answer = gw.post(messages().stream());
    answer.is(200).says("late");
    assert_eq!(answer.events()[0].0, "ping");
    assert!(answer.header("x-pointsman-provider").is_none(), "an early head knows only its id");
    assert!(answer.header("request-id").is_some());
}

#[test]
fn failover_still_works_after_an_early_head() {
    let first = upstream().always(vec![Act::Wait(ms(600)), Act::Reset]);
    let second = upstream().streams(&stream("m", "rescued"));
    let gw = gateway()
        .weighted("first", &first, 70)
        .weighted("second", &second, 30)
        .retry("ping_after: 200ms")
        .run();
    gw.post(messages().stream()).is(200).says("rescued");
}

#[test]
fn a_failure_after_an_early_head_is_an_error_event() {
    let first = upstream()
        .always([vec![Act::Wait(ms(600))], upstream::reply(529, "application/json", OVERLOADED)].concat());
    let gw = gateway().weighted("first", &first, 1).retry("ping_after: 200ms, attempts: 1").run();
    let answer = gw.post(messages().stream());
    let events = answer.is(200).events();
    assert_eq!(events.last().unwrap().0, "error");
    assert_eq!(events.last().unwrap().1["error"]["type"], "overloaded_error");
}

/// Whatever breaks after content ends with an error event, never with an ending that looks clean.
#[test]
fn a_stream_that_breaks_after_content_ends_with_an_error_event() {
    let begun = message_start("m") + &block_start() + &delta("half");
    let partial = begun.clone() + "event: content_block_delta\ndata: {\"type\":\"content_bl";
    for (name, acts) in [
        ("closed", sse_then(&begun, vec![Act::Close])),
        ("reset", sse_then(&begun, vec![Act::Wait(ms(50)), Act::Reset])),
        ("a clean end of the body without message_stop", sse(&begun)),
        ("all blocks closed, but no message_stop", sse(&(begun.clone() + &block_stop()))),
        ("cut in the middle of an event", sse_then(&partial, vec![Act::Close])),
        (
            "cut in the middle of a chunk",
            sse_then(&begun, vec![Act::Send(b"ffff\r\ndata: x".to_vec()), Act::Close]),
        ),
        ("silence", sse_then(&begun, vec![Act::Hold])),
    ] {
        let first = upstream().always(acts);
        let second = upstream().streams(&stream("m", "never"));
        let gw = gateway()
            .weighted("first", &first, 70)
            .weighted("second", &second, 30)
            .retry("idle_timeout: 300ms")
            .run();
        let answer = gw.post(messages().stream());
        let events = answer.is(200).events();
        assert_eq!(events.last().unwrap().0, "error", "{name}: {}", answer.text());
        assert_eq!(events.last().unwrap().1["error"]["type"], "api_error", "{name}");
        assert!(!answer.text().contains("message_stop"), "{name}");
        answer.says("half").attempts("first:ok");
        assert_eq!(second.count(), 0, "{name}");
    }
}

#[test]
fn the_upstreams_own_error_event_after_content_is_passed_on() {
    let events =
        message_start("claude-test") + &block_start() + &delta("half") + &error_event("overloaded_error");
    let first = upstream().streams(&events);
    let answer = gateway().weighted("first", &first, 1).run().post(messages().stream());
    assert_eq!(answer.is(200).text(), events);
}

#[test]
fn events_reach_the_client_as_they_come() {
    let begun = message_start("m") + &block_start() + &delta("one");
    let rest = vec![
        Act::Wait(ms(700)),
        Act::Send(chunk(&(delta("two") + &block_stop() + &message_end()))),
        Act::Send(b"0\r\n\r\n".to_vec()),
    ];
    let first = upstream().always(sse_then(&begun, rest));
    let gw = gateway().weighted("first", &first, 1).run();
    let asked = std::time::Instant::now();
    let mut client = gw.client().send(&messages().stream());
    client.wait_for("one");
    assert!(asked.elapsed() < ms(500), "held back for {:?}", asked.elapsed());
    client.answer().is(200).says("onetwo");
}

#[test]
fn a_clean_end_without_content_is_an_answer() {
    let first = upstream().streams(&(message_start("m") + &message_end()));
    let second = upstream();
    let gw = gateway().weighted("first", &first, 70).weighted("second", &second, 30).run();
    gw.post(messages().stream()).is(200).says("").attempts("first:ok");
}

#[test]
fn a_stream_that_is_held_too_long_passes() {
    let held = message_start("m") + &ping().repeat(3000);
    let first = upstream().always(sse_then(&held, vec![Act::Hold]));
    let gw = gateway().weighted("first", &first, 1).run();
    let mut client = gw.client().send(&messages().stream());
    client.wait_for("message_start");
}

/// The bound of the gate and the error come in the same read: the attempt can still be replaced.
#[test]
fn an_error_beside_the_gates_bound_is_still_replaced() {
    let pings = (65_536 - message_start("m").len()) / ping().len();
    let held = message_start("m") + &ping().repeat(pings);
    // So little that one read takes it all.
    let rest = ping().repeat(10) + &error_event("overloaded_error");
    assert!(held.len() <= 65_536 && held.len() + 2 * ping().len() > 65_536 && rest.len() < 900);
    let broken = sse_then(&held, vec![Act::Wait(ms(300)), Act::Send(chunk(&rest)), Act::Hold]);
    let first = upstream().always(broken);
    let second = upstream().streams(&stream("m", "rescued"));
    let gw = gateway().weighted("first", &first, 1).provider("second", &second, "standby: true").run();
    gw.post(messages().stream()).is(200).says("rescued").attempts("first:529, second:ok");
}

/// What the connection does after the last event is none of the client's business.
#[test]
fn a_complete_answer_stays_complete_whatever_follows() {
    let all = stream("claude-test", "done");
    for (name, then) in [
        ("closed without a last chunk", vec![Act::Close]),
        ("reset", vec![Act::Wait(ms(50)), Act::Reset]),
        ("held open", vec![Act::Hold]),
    ] {
        let first = upstream().always(sse_then(&all, then));
        let gw = gateway().weighted("first", &first, 1).retry("idle_timeout: 2s").run();
        let asked = std::time::Instant::now();
        let answer = gw.post(messages().stream());
        assert_eq!(answer.is(200).text(), all, "{name}");
        assert!(asked.elapsed() < ms(1500), "{name}: the end was held back for {:?}", asked.elapsed());
    }
}

#[test]
fn an_error_event_after_content_is_the_only_one() {
    let events =
        message_start("claude-test") + &block_start() + &delta("half") + &error_event("overloaded_error");
    let first = upstream().always(sse_then(&events, vec![Act::Reset]));
    let answer = gateway().weighted("first", &first, 1).run().post(messages().stream());
    assert_eq!(answer.is(200).text(), events);
}

#[test]
fn a_refusal_after_an_early_head_is_an_error_event() {
    let first = upstream().always(vec![Act::Wait(ms(500)), Act::Close]);
    let second = upstream();
    let gw = gateway()
        .weighted("first", &first, 1)
        .provider("second", &second, "standby: true, strict: true, model: claude-3-5-haiku-20241022")
        .retry("ping_after: 200ms")
        .run();
    let thinking = r#"{"model":"claude-test","max_tokens":4000,"stream":true,"thinking":{"type":"enabled","budget_tokens":2000},"messages":[{"role":"user","content":"x"}]}"#;
    let answer = gw.post(messages().body(thinking));
    let events = answer.is(200).events();
    assert_eq!(events.last().unwrap().0, "error", "{}", answer.text());
    assert!(events.last().unwrap().1["error"]["message"].as_str().unwrap().contains("strict"), "{events:?}");
}

#[test]
fn pings_that_are_held_back_do_not_leave_the_client_without_a_sign() {
    let held = [message_start("m"), ping()].concat();
    let acts = [sse_then(&held, Vec::new()), trickle(&chunk(&ping()), ms(60), 20), vec![Act::Hold]].concat();
    let first = upstream().always(acts);
    let gw = gateway().weighted("first", &first, 1).retry("ping_after: 300ms").run();
    let asked = std::time::Instant::now();
    gw.client().send(&messages().stream()).wait_for("ping");
    assert!(asked.elapsed() < ms(1000), "nothing for {:?}", asked.elapsed());
}

/// Bytes that trickle in without end outlast no deadline.
#[test]
fn deadlines_hold_while_bytes_trickle() {
    let answer = |head: &str, piece: &[u8]| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {head}\r\n\r\n");
        [vec![Act::Send(head.into_bytes())], trickle(piece, ms(20), 400)].concat()
    };
    let pings = chunk(&ping());
    for (name, streams, acts, attempts) in [
        ("whole", false, answer("application/json\r\ncontent-length: 1000", b" "), "first:total_timeout"),
        (
            "stream",
            true,
            answer("text/event-stream\r\ntransfer-encoding: chunked", &pings),
            "first:total_timeout",
        ),
    ] {
        let first = upstream().always(acts);
        let gw = gateway().weighted("first", &first, 1).retry("total_timeout: 1s, attempts: 1").run();
        let asked = std::time::Instant::now();
        let answer = gw.post(if streams { messages().stream() } else { messages() });
        assert!(asked.elapsed() < ms(3000), "{name}: {:?}", asked.elapsed());
        answer.is(502).has(attempts);
    }
}

#[test]
fn an_event_larger_than_the_gate_passes_whole() {
    let text = "y".repeat(700_000);
    let first = upstream().streams(&stream("m", &text));
    gateway().weighted("first", &first, 1).run().post(messages().stream()).is(200).says(&text);
}
