//! A provider breaks, and the client does not notice.

use crate::support::upstream::{dead, reply, reply_with, sse, sse_then};
use crate::support::*;

fn ms(n: u64) -> std::time::Duration {
    std::time::Duration::from_millis(n)
}

#[test]
fn an_error_before_content_is_replaced_by_the_next_provider() {
    let first = upstream().streams(&(message_start("m") + &error_event("overloaded_error")));
    let second = upstream().streams(&stream("m", "hello"));
    let gw = gateway().weighted("first", &first, 70).weighted("second", &second, 30).run();
    let answer = gw.post(messages().stream());
    answer.is(200).says("hello").attempts("first:529, second:ok");
}

/// Everything that a provider can do wrong before its first content, whole and streamed.
#[test]
fn every_fault_of_a_provider_moves_on() {
    let error = |kind: &str, message: &str| {
        format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}"#)
    };
    let cases: Vec<(&str, Vec<Act>, &str)> = vec![
        ("429", reply_with(429, "retry-after: 1\r\n", &error("rate_limit_error", "slow down")), "429"),
        ("529", reply(529, "application/json", OVERLOADED), "529"),
        ("500", reply(500, "application/json", &error("api_error", "x")), "500"),
        ("502 from a proxy", reply(502, "text/html", "<html>bad gateway</html>"), "502"),
        ("503", reply(503, "text/plain", ""), "503"),
        ("401", reply(401, "application/json", &error("authentication_error", "invalid x-api-key")), "401"),
        ("403", reply(403, "application/json", &error("permission_error", "no")), "403"),
        ("402", reply(402, "application/json", &error("billing_error", "no")), "402"),
        (
            "no money",
            reply(
                400,
                "application/json",
                &error("invalid_request_error", "Your credit balance is too low to access the API"),
            ),
            "400",
        ),
        (
            "unknown model",
            reply(404, "application/json", &error("not_found_error", "model: claude-test")),
            "404",
        ),
        ("408", reply(408, "text/plain", "timeout"), "408"),
        ("409", reply(409, "text/plain", "conflict"), "409"),
        ("reset", vec![Act::Reset], "reset"),
        ("closed without a byte", vec![Act::Close], "reset"),
        ("garbage", vec![Act::Send(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()), Act::Close], "unreadable"),
        ("an answer without JSON", reply(200, "text/html", "<html>login</html>"), "unreadable"),
        (
            "a strange encoding",
            reply_with(200, "content-encoding: br\r\ncontent-type: application/json\r\n", "x"),
            "unreadable",
        ),
        ("an error inside a 200", reply(200, "application/json", OVERLOADED), "529"),
        (
            "half an answer",
            vec![
                Act::Send(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"
                        .to_vec(),
                ),
                Act::Close,
            ],
            "reset",
        ),
    ];
    for (name, acts, told) in cases {
        let first = upstream().always(acts.clone());
        let second = upstream().answers(200, &whole("m", "rescued"));
        let gw = gateway().weighted("first", &first, 70).weighted("second", &second, 30).run();
        let answer = gw.post(messages());
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        answer.says("rescued").attempts(&format!("first:{told}, second:ok"));
    }
}

#[test]
fn every_fault_of_a_stream_before_its_content_moves_on() {
    let start = message_start("m");
    for (name, acts, told) in [
        ("an empty stream", sse(""), "unreadable"),
        ("a stream that is no stream", reply(200, "application/json", "{}"), "unreadable"),
        ("an end after message_start", sse(&start), "reset"),
        ("a cut after message_start", sse_then(&start, vec![Act::Close]), "reset"),
        (
            "a reset after message_start",
            sse_then(&(start.clone() + &block_start()), vec![Act::Reset]),
            "reset",
        ),
        ("pings and then an error", sse(&(ping() + &ping() + &error_event("api_error"))), "500"),
        (
            "an error after the block began",
            sse(&(start.clone() + &block_start() + &error_event("overloaded_error"))),
            "529",
        ),
    ] {
        let first = upstream().always(acts);
        let second = upstream().streams(&stream("m", "rescued"));
        let gw = gateway().weighted("first", &first, 70).weighted("second", &second, 30).run();
        let answer = gw.post(messages().stream());
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        answer.says("rescued").attempts(&format!("first:{told}, second:ok"));
    }
}

#[test]
fn a_provider_that_is_not_there_is_passed_over() {
    let second = upstream();
    let gw = gateway().weighted("first", &dead(), 70).weighted("second", &second, 30).run();
    gw.post(messages()).is(200).says("hello").attempts("first:connect, second:ok");
    // It rests now: the next request does not even try.
    gw.post(messages()).is(200).attempts("second:ok");
}

#[test]
fn a_provider_that_stays_silent_is_replaced_in_time() {
    let first = upstream().always(vec![Act::Hold]);
    let second = upstream().streams(&stream("m", "rescued"));
    let gw = gateway()
        .weighted("first", &first, 70)
        .weighted("second", &second, 30)
        .retry("first_byte_timeout: 300ms")
        .run();
    gw.post(messages().stream()).is(200).says("rescued").attempts("first:first_byte_timeout, second:ok");
}

#[test]
fn a_stream_that_stalls_before_its_content_is_replaced() {
    let first = upstream().always(sse_then(&message_start("m"), vec![Act::Hold]));
    let second = upstream().streams(&stream("m", "rescued"));
    let gw = gateway()
        .weighted("first", &first, 70)
        .weighted("second", &second, 30)
        .retry("idle_timeout: 300ms")
        .run();
    gw.post(messages().stream()).is(200).says("rescued").attempts("first:idle_timeout, second:ok");
}

#[test]
fn a_whole_answer_has_its_total_time_only() {
    let first = upstream().always(vec![Act::Hold]);
    let gw = gateway().weighted("first", &first, 1).retry("total_timeout: 300ms, attempts: 1").run();
    gw.post(messages()).is(502).error("api_error", "total_timeout");
    let slow = upstream()
        .always([vec![Act::Wait(ms(500))], reply(200, "application/json", &whole("m", "late"))].concat());
    let gw =
        gateway().weighted("slow", &slow, 1).retry("first_byte_timeout: 200ms, idle_timeout: 200ms").run();
    gw.post(messages()).is(200).says("late");
}

/// Claude Code counts in bursts: a server that cannot count must not lose the session by that.
#[test]
fn who_does_not_count_tokens_rests_by_nothing() {
    for (status, body) in [
        (404, r#"{"detail":"Not Found"}"#),
        (404, "404 page not found"),
        (405, r#"{"detail":"Method Not Allowed"}"#),
        (501, r#"{"type":"error","error":{"type":"not_supported","message":"no"}}"#),
    ] {
        let first = upstream().then(reply(status, "application/json", body));
        let second = upstream().answers(200, r#"{"input_tokens":7}"#);
        let gw = gateway().weighted("first", &first, 1).provider("second", &second, "standby: true").run();
        gw.post(count_tokens()).is(200).has("7").attempts(&format!("first:{status}, second:ok"));
        gw.post(messages()).is(200).says("hello").attempts("first:ok");
        assert_eq!((first.count(), second.count()), (2, 1), "{status}");
    }
}

#[test]
fn where_nobody_counts_tokens_they_are_estimated() {
    for status in [404, 405, 501] {
        let first = upstream().answers(status, "no");
        let answer = gateway().weighted("first", &first, 1).run().post(count_tokens());
        answer.is(200).attempts(&format!("first:{status}"));
        let count: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert!((1..50).contains(&count["input_tokens"].as_u64().unwrap()), "{count}");
        assert_eq!(first.count(), 1);
    }
}

/// The status says whose fault it is, whatever becomes of the body.
#[test]
fn a_refusal_whose_body_breaks_off_is_still_that_refusal() {
    let long =
        format!(r#"{{"error":{{"type":"invalid_request_error","message":"{}"}}}}"#, "x".repeat(300_000));
    let cut =
        b"HTTP/1.1 401 X\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"type\"".to_vec();
    for (name, acts, attempts) in [
        ("a 400 that is too long", reply(400, "application/json", &long), "first:400"),
        (
            "a 429 that is packed strangely",
            reply_with(429, "content-encoding: br\r\nretry-after: 50\r\n", "\u{1}\u{2}"),
            "first:429, second:ok",
        ),
        ("a 401 that is cut", vec![Act::Send(cut), Act::Close], "first:401, second:ok"),
    ] {
        let first = upstream().always(acts);
        let second = upstream();
        let gw = gateway().weighted("first", &first, 1).provider("second", &second, "standby: true").run();
        let answer = gw.post(messages());
        assert_eq!(answer.header("x-pointsman-attempts"), Some(attempts), "{name}: {}", answer.head);
    }
}

/// Whatever shape an error came in, the client gets it in its own.
#[test]
fn an_error_in_another_shape_is_told_in_the_clients() {
    let router = r#"{"error":{"message":"Provider returned error","code":502}}"#;
    let html = "<html><body>Bad Gateway</body></html>";
    let event = format!("data: {router}\n\n");
    for (name, acts, status, kind) in [
        ("inside a 200", reply(200, "application/json", router), 502, "api_error"),
        ("the first event", sse(&event), 502, "api_error"),
        ("the first event, native", sse(&error_event("overloaded_error")), 529, "overloaded_error"),
        ("a page", reply(502, "text/html", html), 502, "api_error"),
        ("a redirect", reply_with(302, "location: /elsewhere\r\n", ""), 502, "api_error"),
    ] {
        let first = upstream().always(acts);
        let gw = gateway().weighted("first", &first, 1).retry("attempts: 1").run();
        let answer = gw.post(messages().stream());
        let body: serde_json::Value = serde_json::from_slice(&answer.is(status).body).unwrap();
        assert_eq!(
            (body["type"].as_str(), body["error"]["type"].as_str()),
            (Some("error"), Some(kind)),
            "{name}"
        );
        assert_eq!(answer.header("content-type"), Some("application/json"), "{name}");
    }
}

/// The client is told the soonest time that anyone named, and whose words it reads.
#[test]
fn what_is_told_when_all_failed_names_the_soonest_return_and_the_one_who_spoke() {
    let limit = |after: &str| {
        let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#;
        reply_with(429, &format!("content-type: application/json\r\nretry-after: {after}\r\n"), body)
    };
    let refused = reply(
        401,
        "application/json",
        r#"{"type":"error","error":{"type":"authentication_error","message":"x"}}"#,
    );
    let broken = reply(
        500,
        "application/json",
        r#"{"type":"error","error":{"type":"api_error","message":"from first"}}"#,
    );
    for (first, second, status, after, provider, attempts) in [
        (limit("50"), limit("90"), 429, Some("50"), "second", "first:429, second:429"),
        (limit("50"), limit("86400"), 429, Some("50"), "second", "first:429, second:429"),
        (broken, refused.clone(), 500, None, "first", "first:500, second:401"),
        (refused.clone(), refused, 502, None, "second", "first:401, second:401"),
        (vec![Act::Close], vec![Act::Close], 502, None, "second", "first:reset, second:reset"),
    ] {
        let (first, second) = (upstream().always(first), upstream().always(second));
        let gw = gateway()
            .weighted("first", &first, 1)
            .provider("second", &second, "standby: true")
            .retry("attempts: 2")
            .run();
        let answer = gw.post(messages());
        answer.is(status).attempts(attempts);
        assert_eq!(answer.header("retry-after"), after, "{attempts}");
        assert_eq!(answer.header("x-pointsman-provider"), Some(provider), "{attempts}");
        assert!(answer.header("x-pointsman-model").is_some(), "{attempts}");
    }
}

#[test]
fn a_media_type_is_read_without_case() {
    let mut acts = sse(&stream("m", "hello"));
    let Act::Send(bytes) = &mut acts[0] else { unreachable!() };
    *bytes = String::from_utf8_lossy(bytes).replace("text/event-stream", "Text/Event-Stream").into_bytes();
    let first = upstream().always(acts);
    gateway().weighted("first", &first, 1).run().post(messages().stream()).is(200).attempts("first:ok");
}

#[test]
fn a_fault_of_the_client_is_passed_on_byte_for_byte() {
    for (status, body) in [
        (
            400,
            r#"{"type":"error", "error":{"type":"invalid_request_error","message":"messages: at least one message is required"}, "request_id":"req_up"}"#,
        ),
        (413, r#"{"type":"error","error":{"type":"request_too_large","message":"too large"}}"#),
        (422, r#"{"type":"error","error":{"type":"invalid_request_error","message":"unprocessable"}}"#),
    ] {
        let first = upstream().answers(status, body);
        let second = upstream();
        let gw = gateway().weighted("first", &first, 70).weighted("second", &second, 30).run();
        let answer = gw.post(messages());
        answer.is(status).attempts(&format!("first:{status}"));
        assert_eq!(answer.text(), body);
        assert_eq!(second.count(), 0, "{status}");
    }
}

#[test]
fn the_last_answer_is_told_when_every_provider_failed() {
    let first = upstream().answers(503, "down");
    let second = upstream().always(reply_with(
        529,
        "content-type: application/json\r\nretry-after: 7\r\n",
        OVERLOADED,
    ));
    let gw = gateway().weighted("first", &first, 70).weighted("second", &second, 30).run();
    let answer = gw.post(messages().stream());
    answer.is(529).attempts("first:503, second:529");
    assert_eq!(answer.text(), OVERLOADED);
    assert_eq!(answer.header("retry-after"), Some("7"));
}

#[test]
fn no_answer_at_all_is_a_502_that_says_what_happened() {
    let gw =
        gateway().weighted("first", &dead(), 70).weighted("second", &dead(), 30).retry("max_wait: 0s").run();
    gw.post(messages()).is(502).error("api_error", "first:connect, second:connect");
}

#[test]
fn a_refusal_of_the_gateways_own_key_never_reaches_the_client() {
    let secret = r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key secret-of-first"}}"#;
    let first = upstream().answers(401, secret);
    let gw = gateway().weighted("first", &first, 1).run();
    let answer = gw.post(messages());
    answer.is(502).error("api_error", "`first` refused the gateway's own credential");
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert!(!answer.text().contains("secret-of-first"));
}

#[test]
fn a_lone_provider_is_asked_again_after_its_failure() {
    let only = upstream().then(reply(529, "application/json", OVERLOADED));
    let gw = gateway().weighted("only", &only, 1).run();
    gw.post(messages()).is(200).says("hello").attempts("only:529, only:ok");
}

#[test]
fn at_most_the_configured_attempts_are_made() {
    let broken: Vec<Upstream> = (0..5).map(|_| upstream().answers(500, "x")).collect();
    let mut building = gateway().retry("attempts: 3");
    for (i, b) in broken.iter().enumerate() {
        building = building.weighted(&format!("p{i}"), b, 9 - u32::try_from(i).unwrap());
    }
    building.run().post(messages()).is(500).attempts("p0:500, p1:500, p2:500");
}

#[test]
fn a_400_that_names_a_field_is_repaired_once_and_remembered() {
    let refusal = r#"{"type":"error","error":{"type":"invalid_request_error","message":"context_management: Extra inputs are not permitted"}}"#;
    let first = upstream().then(reply(400, "application/json", refusal));
    let gw = gateway().weighted("first", &first, 1).run();
    let ask = messages()
        .body(r#"{"model":"claude-test","max_tokens":64,"context_management":{"edits":[]},"messages":[{"role":"user","content":"hi"}]}"#);
    let answer = gw.post(ask.clone());
    answer.is(200).attempts("first:400, first:ok");
    assert!(answer.header("x-pointsman-loss").unwrap().contains("context_management"));
    gw.post(ask).is(200).attempts("first:ok");
    assert!(first.seen()[0].text().contains("context_management"));
    assert!(first.seen()[1..].iter().all(|s| !s.text().contains("context_management")));
}

#[test]
fn a_stale_pooled_connection_is_retried_without_counting() {
    // The second request is read, and the connection closed without a byte: as when it crosses the server's own close.
    for end in [Act::Close, Act::Reset] {
        let first = upstream().then(reply(200, "application/json", &whole("m", "one"))).then(vec![end]);
        let gw = gateway().weighted("first", &first, 1).run();
        let mut client = gw.client();
        client.post(&messages()).is(200).says("one");
        client.post(&messages()).is(200).says("hello").attempts("first:ok");
        assert_eq!((first.count(), first.connections()), (3, 2));
    }
}

#[test]
fn a_connection_that_closes_on_its_first_request_is_a_failure() {
    let first = upstream().then(vec![Act::Close]);
    let gw = gateway().weighted("first", &first, 1).run();
    gw.post(messages()).is(200).says("hello").attempts("first:reset, first:ok");
}

#[test]
fn a_pooled_connection_that_was_closed_meanwhile_is_not_used() {
    let first =
        upstream().then([reply(200, "application/json", &whole("m", "one")), vec![Act::Close]].concat());
    let gw = gateway().weighted("first", &first, 1).run();
    let mut client = gw.client();
    client.post(&messages()).is(200).says("one");
    std::thread::sleep(ms(50));
    client.post(&messages()).is(200).says("hello").attempts("first:ok");
    assert_eq!((first.count(), first.connections()), (2, 2));
}

#[test]
fn connections_to_providers_are_reused() {
    let first = upstream();
    let gw = gateway().weighted("first", &first, 1).run();
    let mut client = gw.client();
    for _ in 0..10 {
        client = client.send(&messages());
        client.next_answer().is(200);
    }
    assert_eq!(first.connections(), 1);
}
