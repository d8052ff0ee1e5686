//! Who is asked for what, as seen from outside.

use crate::support::client::Request;
use crate::support::upstream::{reply, reply_with};
use crate::support::*;

fn too_long(told: &str) -> String {
    format!(
        r#"{{"type":"error","error":{{"type":"invalid_request_error","message":"prompt is too long: {told}"}}}}"#
    )
}

#[test]
fn a_context_overflow_goes_to_the_window_that_the_provider_itself_has_not() {
    let first = upstream().answers(400, &too_long("250000 tokens > 200000 maximum"));
    let second = upstream().answers(200, &whole("m", "rescued"));
    let gw = gateway()
        .provider("a", &first, "weight: 70, model: claude-opus-5-5")
        .provider("b", &second, "weight: 30, model: claude-sonnet-4-6")
        .run();
    gw.post(messages()).is(200).says("rescued").attempts("a:400, b:ok");
}

#[test]
fn a_context_overflow_everywhere_is_told_as_it_came() {
    let said = too_long("1250000 tokens > 200000 maximum");
    let first = upstream().answers(400, &said);
    let second = upstream();
    let gw = gateway()
        .provider("a", &first, "weight: 70, model: claude-opus-5-5")
        .provider("b", &second, "weight: 30, model: claude-sonnet-4-6")
        .run();
    let answer = gw.post(messages());
    assert_eq!(answer.text(), said);
    answer.is(400).attempts("a:400");
    assert_eq!(second.count(), 0, "a million tokens do not hold it either");
}

/// Two million bytes of text, which no window of 200,000 tokens holds.
fn long(request: Request, more: &str) -> Request {
    let text = "some plain words of a long talk. ".repeat(60_000);
    request.body(&format!(
        r#"{{"model":"claude-test","max_tokens":64{more},"messages":[{{"role":"user","content":"{text}"}}]}}"#
    ))
}

#[test]
fn a_conversation_that_is_much_too_long_for_a_model_is_not_sent_there() {
    let small = upstream().answers(400, &too_long("500000 tokens > 200000 maximum"));
    let large = upstream().answers(200, &whole("m", "it fits"));
    let two = |small_model: &str| {
        gateway()
            .provider("small", &small, &format!("model: {small_model}"))
            .provider("large", &large, "standby: true, model: claude-opus-5-5")
            .run()
    };
    let gw = two("claude-haiku-4-5");
    gw.post(long(messages(), "")).is(200).says("it fits").attempts("large:ok");
    assert_eq!(small.count(), 0);
    // What might fit is sent: a short one, one that the provider shortens, and one with the beta for a large window.
    gw.post(messages()).attempts("small:400, large:ok");
    let edits = r#","context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}"#;
    gw.post(long(messages(), edits)).attempts("small:400, large:ok");
    let gw = two("claude-sonnet-4-5");
    gw.post(long(messages(), "")).attempts("large:ok");
    let beta = ("anthropic-beta", "interleaved-thinking-2025-05-14,context-1m-2025-08-07");
    gw.post(long(messages(), "").header(beta.0, beta.1)).attempts("small:400, large:ok");
    // Nobody has described this one.
    two("my-model").post(long(messages(), "")).attempts("small:400, large:ok");
}

#[test]
fn a_conversation_that_is_too_long_for_everyone_is_sent_all_the_same() {
    let small = upstream().answers(400, &too_long("500000 tokens > 200000 maximum"));
    let gw = gateway().provider("small", &small, "model: claude-haiku-4-5").run();
    gw.post(long(messages(), "")).is(400).attempts("small:400");
}

#[test]
fn what_is_too_long_to_be_answered_is_counted() {
    let small = upstream().answers(200, r#"{"input_tokens":500000}"#);
    let large = upstream();
    let gw = gateway()
        .provider("small", &small, "model: claude-haiku-4-5")
        .provider("large", &large, "standby: true, model: claude-opus-5-5")
        .run();
    gw.post(long(count_tokens(), "")).is(200).attempts("small:ok");
}

#[test]
fn a_gateway_whose_only_key_is_refused_is_not_ready() {
    let ready = |gw: &Gateway| gw.post(raw("GET", "/readyz"));
    for status in [401, 402] {
        let only = upstream().answers(status, "{}");
        let gw = gateway().weighted("only", &only, 1).run();
        ready(&gw).is(200).has(r#""usable_providers":1"#);
        gw.post(messages()).is(502);
        ready(&gw).is(503).has("no usable provider").has(r#""usable_providers":0"#);
    }
}

#[test]
fn a_session_is_known_by_every_name_that_it_may_come_under() {
    let (first, second) = (upstream(), upstream());
    let gw = gateway().weighted("first", &first, 50).weighted("second", &second, 50).with_sessions().run();
    let field = |name: &str, id: &str| {
        messages().body(&format!(
            r#"{{"model":"claude-test","max_tokens":64,"{name}":"{id}","messages":[{{"role":"user","content":"hi"}}]}}"#
        ))
    };
    let home = |request| gw.post(request).is(200).header("x-pointsman-provider").unwrap().to_owned();
    let mut homes = std::collections::BTreeSet::new();
    for at in 0..12 {
        let id = format!("session-{at}");
        let expected = home(messages().header("x-claude-code-session-id", &id));
        for _ in 0..2 {
            assert_eq!(home(messages().header("session_id", &id)), expected, "{id}: header session_id");
            assert_eq!(home(field("session_id", &id)), expected, "{id}: field session_id");
            assert_eq!(home(field("prompt_cache_key", &id)), expected, "{id}: prompt_cache_key");
            assert_eq!(home(messages().header("x-pointsman-session", &id)), expected, "{id}: our header");
        }
        // The first of them counts.
        let both = field("prompt_cache_key", "other").header("session_id", &id);
        assert_eq!(home(both.header("x-pointsman-session", "another")), expected, "{id}: all");
        homes.insert(expected);
    }
    assert_eq!(homes.len(), 2, "sessions have different homes");
}

#[test]
fn a_loop_is_told_at_once_and_rests_nobody() {
    let body = r#"{"type":"error","error":{"type":"api_error","message":"the request came round to this gateway again"}}"#;
    let lines = "content-type: application/json\r\nx-should-retry: false\r\n";
    let round = upstream().always(reply_with(508, lines, body));
    let gw = gateway().weighted("round", &round, 1).run();
    let answer = gw.post(messages());
    assert_eq!((answer.text(), answer.header("x-should-retry")), (body, Some("false")));
    answer.is(508).attempts("round:508");
    let other = upstream();
    let gw = gateway().weighted("round", &round, 70).provider("other", &other, "standby: true").run();
    for _ in 0..2 {
        gw.post(messages()).is(200).attempts("round:508, other:ok");
    }
}

#[test]
fn a_failed_attempt_shows_no_status_of_success() {
    let streamed = upstream().always(reply(200, "application/json", &whole("m", "not asked for")));
    let empty = upstream().always(reply(200, "application/json", ""));
    let rest = upstream().streams(&stream("m", "rescued"));
    let gw = gateway().weighted("a", &streamed, 70).weighted("b", &empty, 20).weighted("c", &rest, 10).run();
    gw.post(messages().stream()).is(200).attempts("a:unreadable, b:unreadable, c:ok");
}
