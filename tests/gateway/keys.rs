//! Who is served, and what crosses to the provider.

use crate::support::*;

const KEYS: &str = "virtual_keys:\n  - { id: dev, key: sk-dev-0123456789abcdef, account: a, allow: { models: [\"claude-*\"] } }\n  - { id: old, key: sk-old-0123456789abcdef, account: a, expires: \"2020-01-01\" }\n  - { id: off, key: sk-off-0123456789abcdef, account: a, disabled: true }";

#[test]
fn every_carrier_of_a_key_is_understood() {
    let first = upstream();
    let gw = gateway().weighted("first", &first, 1).also(KEYS).run();
    for name in [
        "x-pointsman-key",
        "x-bf-vk",
        "x-litellm-api-key",
        "x-api-key",
        "authorization",
        "x-goog-api-key",
        "api-key",
    ] {
        for value in ["sk-dev-0123456789abcdef", "Bearer sk-dev-0123456789abcdef"] {
            let answer = gw.post(messages().header(name, value));
            assert_eq!(answer.status, 200, "{name}: {value}: {}", answer.text());
        }
    }
    // The first known one counts, whatever else was sent.
    gw.post(
        messages().header("x-api-key", "unknown").header("authorization", "Bearer sk-dev-0123456789abcdef"),
    )
    .is(200);
}

#[test]
fn a_key_that_is_no_good_is_refused_so_that_the_client_knows_what_to_do() {
    let first = upstream();
    let gw = gateway().weighted("first", &first, 1).also(KEYS).run();
    for (name, key, retry) in [
        ("none", None, Some("false")),
        ("unknown", Some("sk-xxx"), Some("false")),
        ("disabled", Some("sk-off-0123456789abcdef"), Some("false")),
        ("expired", Some("sk-old-0123456789abcdef"), None),
    ] {
        let ask = key.map_or_else(messages, |key| messages().header("x-api-key", key));
        let answer = gw.post(ask);
        assert_eq!(answer.status, 401, "{name}");
        answer.error("authentication_error", "");
        assert_eq!(answer.header("x-should-retry"), retry, "{name}");
        if let Some(key) = key {
            assert!(!answer.text().contains(key), "{name}: the answer repeats the key");
        }
    }
    assert_eq!(first.count(), 0);
}

#[test]
fn a_model_that_the_key_may_not_use_is_a_403() {
    let first = upstream();
    let gw = gateway().weighted("first", &first, 1).also(KEYS).run();
    let ask = messages().header("x-api-key", "sk-dev-0123456789abcdef");
    gw.post(ask.clone().model("gpt-4o")).is(403).error("permission_error", "`claude-*`");
    gw.post(ask).is(200);
}

#[test]
fn open_mode_refuses_what_came_through_another_proxy() {
    let first = upstream();
    let gw = gateway().weighted("first", &first, 1).run();
    gw.post(messages().header("x-api-key", "anything")).is(200);
    for name in ["forwarded", "x-forwarded-for"] {
        gw.post(messages().header(name, "for=1.2.3.4")).is(401).error("authentication_error", "");
    }
}

#[test]
fn only_allowed_headers_cross_and_the_clients_credential_never_does() {
    let first = upstream();
    let gw = gateway().provider("first", &first, "headers: { x-team: red }").also(KEYS).run();
    let ask = messages()
        .header("x-api-key", "sk-dev-0123456789abcdef")
        .header("authorization", "Bearer other-secret")
        .header("cookie", "c=1")
        .header("anthropic-version", "2023-06-01")
        .header("anthropic-beta", "a-2025-01-01")
        .header("x-claude-code-session-id", "s1")
        .header("x-stainless-lang", "js")
        .header("user-agent", "claude-cli/2")
        .header("x-app", "cli")
        .header("x-pointsman-tags", "a=b")
        .header("x-forwarded-proto", "https")
        .header("accept-encoding", "gzip, br");
    gw.post(ask).is(200);
    let seen = &first.seen()[0];
    for (name, value) in [
        ("x-api-key", Some("secret-of-first")),
        ("authorization", Some("Bearer secret-of-first")),
        ("cookie", None),
        ("anthropic-version", Some("2023-06-01")),
        ("anthropic-beta", Some("a-2025-01-01")),
        ("x-claude-code-session-id", Some("s1")),
        ("x-stainless-lang", Some("js")),
        ("user-agent", Some("claude-cli/2")),
        ("x-app", Some("cli")),
        ("x-team", Some("red")),
        ("x-pointsman-tags", None),
        ("x-forwarded-proto", None),
        ("accept-encoding", Some("identity")),
    ] {
        assert_eq!(seen.header(name), value, "{name}\n{}", seen.head);
    }
    assert!(!seen.head.contains("sk-dev") && !seen.head.contains("other-secret"), "{}", seen.head);
}

#[test]
fn a_request_that_comes_round_again_is_a_508() {
    let first = upstream();
    let gw = gateway().weighted("first", &first, 1).run();
    gw.post(messages()).is(200);
    let mark = first.seen()[0].header("via").unwrap().to_owned();
    gw.post(messages().header("via", &mark)).is(508).error("api_error", "came round");
    // It carries a provider's key and any host: neither is looked at before.
    gw.post(messages().header("via", &mark).header("x-api-key", "secret-of-first")).is(508);
    gw.post(messages().header("via", "1.1 varnish")).is(200);
}

#[test]
fn models_are_listed_in_both_shapes() {
    let first = upstream();
    let gw = gateway()
        .provider("first", &first, "model: claude-real")
        .also("aliases: { fast: \"first/claude-real\" }")
        .run();
    gw.post(raw("GET", "/anthropic/v1/models?limit=1000"))
        .is(200)
        .has(r#""id":"fast""#)
        .has(r#""type":"model""#);
    gw.post(raw("GET", "/v1/models").header("anthropic-version", "2023-06-01"))
        .is(200)
        .has(r#""has_more":false"#);
    gw.post(raw("GET", "/v1/models")).is(200).has(r#""object":"list""#);
    gw.post(raw("GET", "/anthropic/v1/models/claude-real")).is(200).has(r#""id":"claude-real""#);
    gw.post(raw("GET", "/anthropic/v1/models/none")).is(404).error("not_found_error", "none");
    assert_eq!(first.count(), 0);
}

#[test]
fn tokens_are_counted_by_the_provider() {
    let first = upstream().answers(200, r#"{"input_tokens":42}"#);
    let gw = gateway().provider("first", &first, "model: claude-real").run();
    let answer = gw.post(count_tokens());
    assert_eq!(answer.is(200).text(), r#"{"input_tokens":42}"#);
    assert!(first.seen()[0].head.starts_with("POST /v1/messages/count_tokens HTTP/1.1"));
    assert!(first.seen()[0].text().contains("claude-real"));
}

#[test]
fn a_pin_asks_only_that_provider() {
    let first = upstream().answers(529, OVERLOADED);
    let second = upstream();
    let gw =
        gateway().weighted("first", &first, 1).weighted("second", &second, 99).retry("attempts: 1").run();
    gw.post(messages().model("first/claude-x")).is(529).attempts("first:529");
    assert!(first.seen()[0].text().contains(r#""model":"claude-x""#));
    assert_eq!(second.count(), 0);
}

#[test]
fn a_session_stays_with_its_provider() {
    let (first, second) = (upstream(), upstream());
    let gw = gateway().weighted("first", &first, 50).weighted("second", &second, 50).with_sessions().run();
    for session in 0..8 {
        let ask = messages().header("x-claude-code-session-id", &format!("s{session}"));
        let who = gw.post(ask.clone()).header("x-pointsman-provider").unwrap().to_owned();
        for _ in 0..3 {
            assert_eq!(
                gw.post(ask.clone()).header("x-pointsman-provider"),
                Some(who.as_str()),
                "session {session}"
            );
        }
    }
    assert!(first.count() > 0 && second.count() > 0);
}

#[test]
fn a_reload_holds_from_the_next_request_on() {
    let (first, second) = (upstream(), upstream());
    let gw = gateway().weighted("first", &first, 1).run();
    gw.post(messages()).is(200).attempts("first:ok");
    gw.reload(&gateway().weighted("second", &second, 1));
    gw.post(messages()).is(200).attempts("second:ok");
}
