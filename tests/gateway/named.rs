//! What users of other gateways complain of, each by its name.

use crate::support::upstream::{reply, sse, sse_then};
use crate::support::*;

/// Claude Code answers a broken stream with the same request, not streamed and with its whole output limit.
#[test]
fn a_stream_that_the_client_falls_back_from() {
    let begun = message_start("m") + &block_start() + &delta("half");
    let first = upstream().then(sse_then(&begun, vec![Act::Reset])).then(reply(
        200,
        "application/json",
        &whole("m", "whole"),
    ));
    let gw = gateway().weighted("first", &first, 1).run();
    let body = r#"{"model":"claude-test","max_tokens":128000,"messages":[{"role":"user","content":"hi"}]"#;
    let streamed = gw.post(messages().body(&format!("{body},\"stream\":true}}")));
    assert_eq!(streamed.events().last().unwrap().0, "error");
    let fallback = format!("{body}}}");
    gw.post(messages().body(&fallback)).is(200).says("whole");
    assert_eq!(first.seen()[1].text(), fallback);
}

#[test]
fn a_message_start_and_then_an_error_does_not_spoil_failover() {
    let first = upstream().streams(&(message_start("first") + &ping() + &error_event("overloaded_error")));
    let second = upstream().streams(&stream("second", "hello"));
    let gw = gateway().weighted("first", &first, 70).weighted("second", &second, 30).run();
    let answer = gw.post(messages().stream());
    answer.is(200).says("hello").attempts("first:529, second:ok");
    let starts = answer.events().iter().filter(|(name, _)| name == "message_start").count();
    assert_eq!(starts, 1, "{}", answer.text());
}

#[test]
fn an_upstream_that_dies_does_not_become_a_clean_end() {
    let begun = message_start("m") + &block_start() + &delta("half") + &block_stop();
    for acts in [sse(&begun), sse_then(&begun, vec![Act::Close]), sse_then(&begun, vec![Act::Reset])] {
        let first = upstream().always(acts);
        let answer = gateway().weighted("first", &first, 1).run().post(messages().stream());
        assert_eq!(answer.events().last().unwrap().0, "error", "{}", answer.text());
    }
}

/// Claude Code matches on the wording of these and mends its request itself.
#[test]
fn an_error_body_reaches_the_client_unchanged_so_that_it_repairs_itself() {
    for message in [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "max_tokens: 64000 > 32000, which is the maximum allowed number of output tokens for claude-test",
        "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000, decrease input length or `max_tokens` and try again",
        "messages.1.content.0: each tool_use must have a single result",
    ] {
        let body = format!(
            "{{ \"type\":\"error\",\n \"error\":{{\"type\":\"invalid_request_error\",\"message\":\"{message}\"}},\"request_id\":\"req_up\"}}"
        );
        let first = upstream().answers(400, &body);
        let answer = gateway().weighted("first", &first, 1).run().post(messages());
        assert_eq!(answer.is(400).text(), body);
        assert_ne!(answer.header("x-should-retry"), Some("false"), "the client would not repair it");
    }
}

/// As sent, with betas of the provider's own, and for a model that takes less.
#[test]
fn a_beta_header_and_its_body_field_stay_together() {
    let body = r#"{"model":"claude-test","max_tokens":64,"unknown_field":{"x":1},"context_management":{"edits":[]},"messages":[{"role":"user","content":"hi"}]}"#;
    let betas = "context-management-2025-06-27,something-new-2027-01-01";
    let ours = "ours-2025-01-01,something-new-2027-01-01";
    let without = body.replace(r#""context_management":{"edits":[]},"#, "");
    for (fields, sent_body, sent_betas) in [
        ("weight: 1", body, betas.to_owned()),
        (&*format!("headers: {{ anthropic-beta: \"{ours}\" }}"), body, format!("{betas},ours-2025-01-01")),
        (
            "model: claude-3-5-haiku",
            &*without.replace("claude-test", "claude-3-5-haiku"),
            "something-new-2027-01-01".to_owned(),
        ),
        (
            &*format!("model: claude-3-5-haiku, headers: {{ anthropic-beta: \"{ours}\" }}"),
            &*without.replace("claude-test", "claude-3-5-haiku"),
            "something-new-2027-01-01,ours-2025-01-01".to_owned(),
        ),
        // A beta that only the provider's configuration asks for has a field of the client's just the same.
        (
            "model: claude-3-5-haiku, headers: { anthropic-beta: context-management-2025-06-27 }",
            &*without.replace("claude-test", "claude-3-5-haiku"),
            "something-new-2027-01-01".to_owned(),
        ),
    ] {
        let first = upstream();
        let gw = gateway().provider("first", &first, fields).run();
        gw.post(messages().body(body).header("anthropic-beta", betas)).is(200);
        let seen = &first.seen()[0];
        assert_eq!(seen.text(), sent_body, "{fields}");
        assert_eq!(seen.header("anthropic-beta"), Some(&*sent_betas), "{fields}");
        assert_eq!(seen.head.matches("anthropic-beta").count(), 1, "{fields}: {}", seen.head);
    }
}

#[test]
fn a_configured_header_is_not_sent_twice() {
    let first = upstream();
    let headers = r#"headers: { content-type: "application/json; charset=utf-8", x-api-key: other, anthropic-version: "2026-10-21" }"#;
    let gw = gateway().provider("first", &first, headers).run();
    gw.post(messages().header("anthropic-version", "2023-06-01")).is(200);
    let head = &first.seen()[0].head;
    for (name, value) in [
        ("content-type", "application/json; charset=utf-8"),
        ("x-api-key", "other"),
        ("anthropic-version", "2026-10-21"),
    ] {
        let lines: Vec<_> = head.lines().filter_map(|line| line.strip_prefix(&format!("{name}: "))).collect();
        assert_eq!(lines, [value], "{head}");
    }
}

/// `pointsman` with nothing configured can show what a failover looks like.
#[test]
fn a_fault_on_demand_reaches_the_bundled_mock_and_no_other_provider() {
    let gw = mocked();
    let ask = || messages().model("claude-opus-5-5");
    gw.post(ask()).is(200).attempts("mock:ok");
    gw.post(ask().header("x-mock-fault", "status=400; message=no")).is(400).has("no");
    gw.post(ask().header("x-mock-fault", "status=529; first=1")).is(200).attempts("mock:529, mock:ok");
    let first = upstream();
    let gw = gateway().weighted("first", &first, 1).run();
    gw.post(messages().header("x-mock-fault", "status=529")).is(200);
    assert_eq!(first.seen()[0].header("x-mock-fault"), None);
}

#[test]
fn a_body_reaches_the_provider_byte_for_byte() {
    let first = upstream();
    let gw = gateway().weighted("first", &first, 1).run();
    let body = "{ \"max_tokens\" : 64 ,\"model\":\"claude-test\", \"z\":\"\\u00e9\\/é\", \"messages\": [ {\"role\":\"user\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"AbC+/=\"}]} ]\n}";
    gw.post(messages().body(body)).is(200);
    assert_eq!(first.seen()[0].text(), body);
}
