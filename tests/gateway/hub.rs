//! Clients of one dialect over providers of another, and Chat over Chat: what crosses, what is told as lost, what a
//! broken answer looks like on the other side.

use serde_json::{Value, json};

use crate::support::upstream::{reply, sse, sse_then};
use crate::support::*;

fn body_of(upstream: &Upstream, at: usize) -> Value {
    serde_json::from_slice(&upstream.seen()[at].body).unwrap()
}

fn names(answer: &client::Answer) -> Vec<String> {
    answer.events().into_iter().map(|(name, _)| name).filter(|name| name != "ping").collect()
}

/// The arguments of every tool call of an Anthropic stream, by the call's name.
fn calls(answer: &client::Answer) -> Vec<(String, Value)> {
    let mut calls: Vec<(String, String)> = Vec::new();
    for (_, data) in answer.events() {
        if data["content_block"]["type"] == "tool_use" {
            calls.push((data["content_block"]["name"].as_str().unwrap().to_owned(), String::new()));
        }
        if let Some(part) = data["delta"]["partial_json"].as_str() {
            calls.last_mut().unwrap().1.push_str(part);
        }
    }
    calls.into_iter().map(|(name, args)| (name, serde_json::from_str(&args).unwrap())).collect()
}

const TOOLS: &str = r#""tools":[{"name":"read","description":"Reads","input_schema":{"type":"object","properties":{"path":{"type":"string"}}}},{"name":"list","input_schema":{"type":"object","properties":{}}}],"#;

fn with_tools(messages: &str) -> String {
    format!(r#"{{"model":"claude-test","max_tokens":64,"stream":true,{TOOLS}"messages":{messages}}}"#)
}

#[test]
fn claude_code_over_an_openai_provider() {
    let up = upstream().streams(&chat_stream("hello"));
    let gw = gateway().speaks("gpt", "openai", &up, "model: gpt-4o").run();
    let body = r#"{"model":"claude-test","max_tokens":64,"stream":true,"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=1;"},{"type":"text","text":"Be brief."}],"messages":[{"role":"user","content":"h\u00e9"}]}"#;
    let answer = gw.post(messages().header("x-claude-code-session-id", "s-1").body(body));
    answer.is(200).says("hello").attempts("gpt:ok");
    assert_eq!(
        names(&answer),
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    let events = answer.events();
    assert_eq!(events[0].1["message"]["model"], "claude-test");
    let usage = &events.iter().find(|(name, _)| name == "message_delta").unwrap().1["usage"];
    assert_eq!(
        (&usage["input_tokens"], &usage["cache_read_input_tokens"], &usage["output_tokens"]),
        (&json!(20), &json!(10), &json!(7))
    );
    let sent = body_of(&up, 0);
    assert_eq!(sent["model"], "gpt-4o");
    assert_eq!(
        sent["messages"],
        json!([{"role":"system","content":"Be brief."},{"role":"user","content":"hé"}])
    );
    assert_eq!(sent["stream_options"]["include_usage"], true);
    let head = &up.seen()[0];
    assert!(head.head.starts_with("POST /v1/chat/completions HTTP/1.1"), "{}", head.head);
    assert_eq!(head.header("authorization"), Some("Bearer secret-of-gpt"));
    for absent in ["anthropic-version", "x-api-key", "x-claude-code-session-id"] {
        assert_eq!(head.header(absent), None, "{absent}");
    }
}

#[test]
fn an_openai_client_over_claude() {
    let up = upstream()
        .then(reply(200, "application/json", &whole("real", "hello")))
        .always(sse(&stream("real", "hello")));
    let gw = gateway().weighted("claude", &up, 1).run();
    let answer = gw.post(chat());
    answer.is(200).says("hello").attempts("claude:ok");
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((&body["object"], &body["model"]), (&json!("chat.completion"), &json!("claude-test")));
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        body["usage"],
        json!({"prompt_tokens":13,"completion_tokens":7,"total_tokens":20,"prompt_tokens_details":{"cached_tokens":3}})
    );
    assert!(answer.header("x-request-id").is_some());
    assert_eq!(up.seen()[0].header("anthropic-version"), Some("2023-06-01"));
    for (asked, usages) in [("", 0), (r#","stream_options":{"include_usage":true}"#, 1)] {
        let body = format!(
            r#"{{"model":"claude-test","stream":true{asked},"messages":[{{"role":"user","content":"hi"}}]}}"#
        );
        let answer = gw.post(chat().body(&body));
        answer.is(200).says("hello");
        let events = answer.events();
        assert_eq!(events.last().unwrap().1, "[DONE]");
        let with_usage = events.iter().filter(|(_, data)| data["usage"].is_object()).count();
        assert_eq!(with_usage, usages, "{}", answer.text());
    }
}

#[test]
fn chat_passes_over_chat_as_it_is_less_the_usage_that_nobody_asked_for() {
    let up = upstream().streams(&chat_stream("hello"));
    let gw = gateway().speaks("gpt", "openai", &up, "model: real-chat-2").run();
    let answer = gw.post(chat().stream());
    answer.is(200).says("hello");
    assert_eq!(
        answer.text(),
        (chat_role() + &chat_text("hello") + &chat_finish("stop") + DONE).replace("real-chat", "claude-test")
    );
    let sent = up.seen()[0].text().to_owned();
    assert!(sent.contains(r#""include_usage":true"#), "{sent}");
    let body = r#"{"model":"claude-test","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}],"brand_new": 1.0}"#;
    let asked = gw.post(chat().body(body));
    asked.has(r#""prompt_tokens":30"#);
    assert_eq!(up.seen()[1].text(), body.replace("claude-test", "real-chat-2"));
}

/// Every way in which `OpenRouter` and its like were seen to send the arguments of a call.
#[test]
fn the_arguments_of_a_tool_arrive_whole_whatever_chunks_they_come_in() {
    let call = |fields: &str| format!(r#"{{"tool_calls":[{{{fields}}}]}}"#);
    let text = r#""arguments":"{\"path\":\"a.txt\"}""#;
    let cases = [
        (
            "in fragments",
            vec![
                chunk(
                    &call(
                        r#""index":0,"id":"c1","type":"function","function":{"name":"read","arguments":""}"#,
                    ),
                    None,
                ),
                chunk(&call(r#""index":0,"function":{"arguments":"{\"path\":"}"#), None),
                chunk(&call(r#""index":0,"function":{"arguments":"\"a.txt\"}"}"#), None),
                chat_finish("tool_calls"),
            ],
        ),
        (
            "whole in the finish chunk",
            vec![chunk(
                &call(&format!(
                    r#""index":0,"id":"c1","type":"function","function":{{"name":"read",{text}}}"#
                )),
                Some("tool_calls"),
            )],
        ),
        (
            "id and name repeated",
            vec![
                chunk(
                    &call(r#""index":0,"id":"c1","function":{"name":"read","arguments":"{\"path\":"}"#),
                    None,
                ),
                chunk(
                    &call(r#""index":0,"id":"c1","function":{"name":"read","arguments":"\"a.txt\"}"}"#),
                    None,
                ),
                chat_finish("tool_calls"),
            ],
        ),
        (
            "id and name empty later",
            vec![
                chunk(
                    &call(r#""index":0,"id":"c1","function":{"name":"read","arguments":"{\"path\":"}"#),
                    None,
                ),
                chunk(&call(r#""index":0,"id":"","function":{"name":"","arguments":"\"a.txt\"}"}"#), None),
                chat_finish("stop"),
            ],
        ),
        (
            "without an index",
            vec![
                chunk(
                    &call(&format!(r#""id":"c1","type":"function","function":{{"name":"read",{text}}}"#)),
                    None,
                ),
                chat_finish("tool_calls"),
            ],
        ),
        (
            "two finish chunks",
            vec![
                chunk(&call(&format!(r#""index":0,"id":"c1","function":{{"name":"read",{text}}}"#)), None),
                chat_finish("tool_calls"),
                chat_finish("tool_calls"),
            ],
        ),
        (
            "as an object",
            vec![
                chunk(
                    &call(r#""index":0,"id":"c1","function":{"name":"read","arguments":{"path":"a.txt"}}"#),
                    None,
                ),
                chat_finish("tool_calls"),
            ],
        ),
        (
            "nulls around it",
            vec![
                chunk(
                    &format!(
                        r#"{{"content":null,"reasoning":null,"refusal":null,"tool_calls":[{{"index":0,"id":"c1","type":null,"function":{{"name":"read",{text}}}}}]}}"#
                    ),
                    None,
                ),
                chunk(r#"{"content":"","tool_calls":null}"#, Some("tool_calls")),
            ],
        ),
    ];
    for (case, chunks) in cases {
        let up = upstream().streams(&(chat_role() + &chunks.concat() + &chat_usage() + DONE));
        let gw = gateway().speaks("or", "openrouter", &up, "").run();
        let answer = gw.post(messages().body(&with_tools(r#"[{"role":"user","content":"hi"}]"#)));
        answer.is(200);
        assert_eq!(calls(&answer), [("read".to_owned(), json!({"path":"a.txt"}))], "{case}");
        let events = answer.events();
        let stops: Vec<_> = events.iter().filter(|(name, _)| name == "message_delta").collect();
        assert_eq!((stops.len(), &stops[0].1["delta"]["stop_reason"]), (1, &json!("tool_use")), "{case}");
        assert_eq!(events.last().unwrap().0, "message_stop", "{case}");
    }
}

#[test]
fn two_calls_at_once_and_one_without_arguments() {
    let delta = r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"read","arguments":"{\"pa"}},{"index":1,"id":"b","function":{"name":"list","arguments":""}}]}"#;
    let rest = r#"{"tool_calls":[{"index":0,"function":{"arguments":"th\":\"x\"}"}}]}"#;
    let up =
        upstream().streams(&(chunk(delta, None) + &chunk(rest, None) + &chat_finish("tool_calls") + DONE));
    let gw = gateway().speaks("gpt", "openai", &up, "").run();
    let answer = gw.post(messages().body(&with_tools(r#"[{"role":"user","content":"hi"}]"#)));
    let expected = [("read".to_owned(), json!({"path":"x"})), ("list".to_owned(), json!({}))];
    assert_eq!(calls(&answer), expected, "{}", answer.text());
}

#[test]
fn an_error_inside_a_200_goes_to_the_next_provider() {
    let error = r#"{"error":{"code":502,"message":"Provider returned error","metadata":{"provider_name":"x"}},"user_id":"u"}"#;
    let cases = [
        reply(200, "application/json", error),
        sse(&chat_error(502, "Provider returned error")),
        sse(&(chat_role() + &chat_error(429, "slow down") + DONE)),
    ];
    for acts in cases {
        let first = upstream().always(acts);
        let second = upstream().streams(&stream("m", "hello"));
        let gw =
            gateway().speaks("or", "openrouter", &first, "weight: 9").weighted("second", &second, 1).run();
        let answer = gw.post(messages().stream());
        answer.is(200).says("hello");
        let attempts = answer.header("x-pointsman-attempts").unwrap().to_owned();
        assert!(attempts.starts_with("or:") && attempts.ends_with("second:ok"), "{attempts}");
        assert_eq!(second.count(), 1);
    }
}

#[test]
fn an_error_behind_content_ends_the_stream_with_an_error_in_the_clients_format() {
    let up = upstream().streams(&(chat_role() + &chat_text("half") + &chat_error(502, "it broke") + DONE));
    let gw = gateway().speaks("or", "openrouter", &up, "").run();
    let answer = gw.post(messages().stream());
    let (name, data) = answer.events().last().unwrap().clone();
    assert_eq!((name.as_str(), &data["type"]), ("error", &json!("error")), "{}", answer.text());
    assert!(data["error"]["message"].as_str().unwrap().contains("it broke"), "{data}");
    let up = upstream()
        .streams(&(message_start("m") + &block_start() + &delta("half") + &error_event("api_error")));
    let answer = gateway().weighted("claude", &up, 1).run().post(chat().stream());
    let (_, data) = answer.events().last().unwrap().clone();
    assert!(data["error"]["message"].is_string(), "{}", answer.text());
    assert!(!answer.text().contains("[DONE]"), "{}", answer.text());
}

#[test]
fn a_stream_that_is_cut_in_the_middle_never_looks_whole() {
    let begun = chat_role() + &chat_text("half");
    for acts in [sse(&begun), sse_then(&begun, vec![Act::Close]), sse_then(&begun, vec![Act::Reset])] {
        let up = upstream().always(acts);
        let gw = gateway().speaks("gpt", "openai", &up, "").run();
        let answer = gw.post(messages().stream());
        assert_eq!(answer.events().last().unwrap().0, "error", "{}", answer.text());
        let answer = gw.post(chat().stream());
        assert!(answer.events().last().unwrap().1["error"].is_object(), "{}", answer.text());
    }
}

#[test]
fn a_stream_cut_after_the_finish_chunk_but_before_usage_is_whole() {
    let said = chat_role() + &chat_text("hello") + &chat_finish("stop");
    for acts in [sse(&said), sse_then(&said, vec![Act::Close]), sse_then(&said, vec![Act::Reset])] {
        let up = upstream().always(acts);
        let gw = gateway().speaks("gpt", "openai", &up, "").run();
        let answer = gw.post(messages().stream());
        answer.is(200).says("hello");
        assert_eq!(answer.events().last().unwrap().0, "message_stop", "{}", answer.text());
    }
}

#[test]
fn a_whole_answer_with_tools_both_ways() {
    let up = upstream().answers(200, r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"I look.","tool_calls":[{"id":"call_1","type":"function","function":{"name":"read","arguments":"{\"path\": \"a\", \"n\": 1.0}"}},{"id":"call_2","type":"function","function":{"name":"list","arguments":""}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#);
    let gw = gateway().speaks("gpt", "openai", &up, "").run();
    let body = with_tools(r#"[{"role":"user","content":"hi"}]"#).replace("\"stream\":true,", "");
    let answer = gw.post(messages().body(&body));
    // Byte for byte: no number is spelled anew.
    answer.is(200).has(r#""input":{"path": "a", "n": 1.0}"#);
    let message: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(message["stop_reason"], "tool_use");
    assert_eq!(message["content"][0], json!({"type":"text","text":"I look."}));
    assert_eq!(message["content"][2]["input"], json!({}));
    let up = upstream().answers(200, r#"{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"I look."},{"type":"tool_use","id":"toolu_1","name":"read","input":{"path": "a", "n": 1.0}}],"stop_reason":"tool_use","usage":{"input_tokens":5,"output_tokens":2}}"#);
    let gw = gateway().weighted("claude", &up, 1).run();
    let answer = gw.post(chat().body(r#"{"model":"claude-test","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"read","parameters":{"type":"object","properties":{"path":{"type":"string"}}}}}]}"#));
    let body: Value = serde_json::from_slice(&answer.is(200).body).unwrap();
    let call = &body["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(
        (&call["id"], &call["function"]["arguments"]),
        (&json!("toolu_1"), &json!("{\"path\": \"a\", \"n\": 1.0}"))
    );
    assert_eq!(body["choices"][0]["finish_reason"], "tool_calls");
}

/// Thinking of one family is kept from the other, and comes back to its own.
#[test]
fn a_session_goes_from_anthropic_to_openai_and_back_inside_a_tool_loop() {
    let chat_up = upstream().streams(
        &(chunk(r#"{"role":"assistant","reasoning_content":"I must read."}"#, None)
            + &chunk(r#"{"tool_calls":[{"index":0,"id":"call_b","function":{"name":"read","arguments":"{\"path\":\"b\"}"}}]}"#, None)
            + &chat_finish("tool_calls")
            + DONE),
    );
    let claude = upstream().streams(&stream("m", "done"));
    let gw = gateway()
        .speaks("deep", "deepseek", &chat_up, "model: deepseek-reasoner")
        .provider("claude", &claude, "model: claude-opus-4-5")
        .run();
    let first = r#"{"role":"user","content":"go"},{"role":"assistant","content":[{"type":"thinking","thinking":"Hm.","signature":"EqQBnative"},{"type":"tool_use","id":"toolu_a","name":"read","input":{"path":"a"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_a","content":"A"}]}"#;
    let body = with_tools(&format!("[{first}]"));
    let answer = gw.post(messages().body(&body.replace("claude-test", "deep/deepseek-reasoner")));
    answer.is(200);
    let sent = chat_up.seen()[0].text().to_owned();
    assert!(!sent.contains("EqQBnative") && !sent.contains("Hm."), "{sent}");
    // DeepSeek demands the field on every turn with calls.
    assert_eq!(body_of(&chat_up, 0)["messages"][1]["reasoning_content"], "");
    let events = answer.events();
    let seal = events.iter().find_map(|(_, data)| data["delta"]["signature"].as_str()).unwrap();
    assert!(seal.starts_with("pm1.deepseek."), "{seal}");
    // The client gives back what it got, now to Claude.
    let next = format!(
        r#"[{first},{{"role":"assistant","content":[{{"type":"thinking","thinking":"I must read.","signature":"{seal}"}},{{"type":"tool_use","id":"call_b","name":"read","input":{{"path":"b"}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"call_b","content":"B"}}]}}]"#
    );
    let body = with_tools(&next);
    gw.post(messages().body(&body.replace("claude-test", "claude/claude-opus-4-5"))).is(200).says("done");
    let sent = claude.seen()[0].text().to_owned();
    assert!(
        sent.contains("EqQBnative") && !sent.contains("pm1.") && !sent.contains("I must read."),
        "{sent}"
    );
    // And to its own family once more.
    gw.post(messages().body(&body.replace("claude-test", "deep/deepseek-reasoner"))).is(200);
    let sent = body_of(&chat_up, 1);
    assert_eq!(sent["messages"][3]["reasoning_content"], "I must read.");
    // What was sent before is sent again in the same bytes, so that prompt caches hit.
    let (before, after) = (chat_up.seen()[0].text().to_owned(), chat_up.seen()[1].text().to_owned());
    let prefix = |text: &str| {
        let from = text.find("\"messages\":").unwrap();
        let to = text.find("\"A\"").unwrap();
        text[from..to].to_owned()
    };
    assert_eq!(prefix(&before), prefix(&after));
}

#[test]
fn a_conversation_crosses_the_same_way_on_every_turn() {
    let up = upstream().streams(&chat_stream("ok"));
    let gw = gateway().speaks("gpt", "openai", &up, "model: gpt-4o").run();
    let turns = [
        r#"{"role":"user","content":"one"}"#,
        r#"{"role":"system","content":"the folder is /x"}"#,
        r#"{"role":"assistant","content":[{"type":"text","text":"I read"},{"type":"tool_use","id":"toolu_1","name":"read","input":{"path":"p"}}]}"#,
        r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"it"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO"}}]},{"type":"text","text":"go on","cache_control":{"type":"ephemeral"}}]}"#,
        r#"{"role":"assistant","content":"fine"}"#,
        r#"{"role":"user","content":"two"}"#,
    ];
    let mut last = String::new();
    for end in [1, 4, 6] {
        gw.post(messages().body(&with_tools(&format!("[{}]", turns[..end].join(","))))).is(200);
        let sent = up.seen().last().unwrap().text().to_owned();
        let from = sent.find("\"messages\":[").unwrap();
        let to = from + sent[from..].find("],\"").unwrap();
        let messages = sent[from..to].to_owned();
        assert!(messages.starts_with(&last), "{last}\n{messages}");
        last = messages;
    }
    let sent = body_of(&up, 2);
    let roles: Vec<&str> =
        sent["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert!(roles.windows(2).any(|pair| pair == ["assistant", "tool"]), "{roles:?}");
    assert!(last.contains("data:image/png;base64,iVBO"), "{last}");
}

#[test]
fn a_loss_is_told_and_strict_refuses_it() {
    let up = upstream().streams(&chat_stream("ok"));
    let gw = gateway().speaks("gpt", "openai", &up, "model: gpt-4o").run();
    let body = r#"{"model":"claude-test","max_tokens":64,"stream":true,"top_k":5,"messages":[{"role":"user","content":"hi"}]}"#;
    let answer = gw.post(messages().body(body));
    assert_eq!(answer.is(200).header("x-pointsman-loss"), Some("top_k"));
    let refused = gw.post(messages().body(body).header("x-pointsman-strict", "1"));
    refused.is(400).error("invalid_request_error", "top_k");
    assert_eq!(up.count(), 1);
    let clean = gw.post(messages().stream());
    assert_eq!(clean.is(200).header("x-pointsman-loss"), None);
}

#[test]
fn an_overflow_is_told_in_the_words_of_the_client() {
    let openai = r#"{"error":{"message":"This model's maximum context length is 128000 tokens. However, your messages resulted in 130011 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
    let up = upstream().answers(400, openai);
    let gw = gateway().speaks("gpt", "openai", &up, "").run();
    gw.post(messages())
        .is(400)
        .error("invalid_request_error", "prompt is too long: 130011 tokens > 128000 maximum");
    assert_eq!(gw.post(chat()).is(400).text(), openai);
    let anthropic = r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#;
    let up = upstream().answers(400, anthropic);
    let answer = gateway().weighted("claude", &up, 1).run().post(chat());
    let body: Value = serde_json::from_slice(&answer.is(400).body).unwrap();
    assert_eq!(body["error"]["code"], "context_length_exceeded", "{body}");
}

#[test]
fn a_refusal_of_the_gateways_own_key_is_not_told_as_the_clients() {
    let up = upstream().answers(
        401,
        r#"{"error":{"message":"Incorrect API key provided: sk-secret","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
    );
    let gw = gateway().speaks("gpt", "openai", &up, "").run();
    for request in [messages(), chat()] {
        let answer = gw.post(request);
        answer.is(502).has("`gpt`");
        assert!(!answer.text().contains("sk-secret"), "{}", answer.text());
        assert_eq!(answer.header("x-should-retry"), Some("false"));
    }
}

#[test]
fn failover_crosses_dialects_both_ways() {
    let limited =
        r#"{"error":{"message":"Rate limit reached","type":"tokens","code":"rate_limit_exceeded"}}"#;
    let gpt = upstream().answers(429, limited);
    let claude = upstream().answers(200, &whole("m", "hello"));
    let gw = gateway().speaks("gpt", "openai", &gpt, "weight: 9").weighted("claude", &claude, 1).run();
    gw.post(chat()).is(200).says("hello").attempts("gpt:429, claude:ok");
    let claude = upstream().answers(529, OVERLOADED);
    let gpt = upstream().answers(200, &chat_whole("hello"));
    let gw = gateway().weighted("claude", &claude, 9).speaks("gpt", "openai", &gpt, "weight: 1").run();
    gw.post(messages()).is(200).says("hello").attempts("claude:529, gpt:ok");
}

#[test]
fn a_content_filter_is_a_refusal() {
    let up = upstream().streams(&(chat_role() + &chat_text("I") + &chat_finish("content_filter") + DONE));
    let answer = gateway().speaks("gpt", "openai", &up, "").run().post(messages().stream());
    let events = answer.events();
    let stop = &events.iter().find(|(name, _)| name == "message_delta").unwrap().1;
    assert_eq!(stop["delta"]["stop_reason"], "refusal");
}

#[test]
fn embeddings_pass_to_those_that_have_them() {
    let claude = upstream();
    let body = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.10,-2e-3]}],"model":"text-embedding-3-small","usage":{"prompt_tokens":4,"total_tokens":4}}"#;
    let gpt = upstream().answers(200, body);
    let gw = gateway().weighted("claude", &claude, 9).speaks("gpt", "openai", &gpt, "weight: 1").run();
    let asked = r#"{"input":["a", "b"],"model":"text-embedding-3-small","dimensions": 256}"#;
    let answer = gw.post(raw("POST", "/openai/v1/embeddings").body(asked));
    assert_eq!(answer.is(200).text(), body);
    assert_eq!((gpt.seen()[0].text(), claude.count()), (asked, 0));
    assert!(gpt.seen()[0].head.starts_with("POST /v1/embeddings "), "{}", gpt.seen()[0].head);
}

#[test]
fn tokens_are_counted_where_the_provider_does_not_and_the_count_learns() {
    let counts = |n: u64| chat_whole("ok").replace("\"prompt_tokens\":30", &format!("\"prompt_tokens\":{n}"));
    let text = "some words of a talk that goes on and on. ".repeat(200);
    let body = format!(
        r#"{{"model":"claude-test","max_tokens":64,"messages":[{{"role":"user","content":"{text}"}}]}}"#
    );
    let up = upstream().answers(200, &counts(4000));
    let gw = gateway().speaks("gpt", "openai", &up, "").run();
    let count = || {
        let answer = gw.post(count_tokens().body(&body.replace("\"max_tokens\":64,", "")));
        let count: Value = serde_json::from_slice(&answer.is(200).body).unwrap();
        count["input_tokens"].as_u64().unwrap()
    };
    let first = count();
    assert!((1000..4000).contains(&first), "{first}");
    assert_eq!(up.count(), 0, "nobody is asked for a count");
    for _ in 0..20 {
        gw.post(messages().body(&body)).is(200);
    }
    let learnt = count();
    assert!(learnt.abs_diff(4000) <= 200, "{learnt}");
}

#[test]
fn models_are_listed_in_both_shapes_with_pins_and_aliases() {
    let up = upstream();
    let gw = gateway()
        .speaks("gpt", "openai", &up, "model: gpt-4o")
        .also("aliases: { claude-gpt-4o: gpt/gpt-4o }")
        .run();
    let openai: Value =
        serde_json::from_slice(&gw.post(raw("GET", "/openai/v1/models")).is(200).body).unwrap();
    let ids: Vec<&str> =
        openai["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!((&openai["object"], ids), (&json!("list"), vec!["claude-gpt-4o", "gpt-4o", "gpt/gpt-4o"]));
    let anthropic: Value =
        serde_json::from_slice(&gw.post(raw("GET", "/anthropic/v1/models")).is(200).body).unwrap();
    assert_eq!(anthropic["data"][0]["type"], "model");
    gw.post(raw("GET", "/openai/v1/models/gpt%2Fgpt-4o")).is(200).has(r#""object":"model""#);
}

#[test]
fn refusals_of_our_own_are_in_the_format_of_an_openai_client() {
    let up = upstream();
    let gw = gateway()
        .speaks("gpt", "openai", &up, "")
        .also("virtual_keys: [{ id: k, key: a-key-that-is-known }]")
        .run();
    let answer = gw.post(chat().header("authorization", "Bearer nobody-knows-this"));
    let body: Value = serde_json::from_slice(&answer.is(401).body).unwrap();
    assert_eq!(body["error"]["code"], "invalid_api_key", "{body}");
    assert!(answer.header("x-request-id").is_some());
    let answer =
        gw.post(chat().header("authorization", "Bearer a-key-that-is-known").body("{\"messages\":[]}"));
    let body: Value = serde_json::from_slice(&answer.is(400).body).unwrap();
    assert!(body["error"]["message"].as_str().unwrap().contains("model"), "{body}");
}

#[test]
fn a_silent_chat_stream_is_kept_alive_by_comments() {
    let slow = vec![
        Act::Send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".to_vec()),
        Act::Wait(std::time::Duration::from_millis(900)),
        Act::Send(chat_stream("late").into_bytes()),
        Act::Close,
    ];
    let up = upstream().always(slow);
    let gw = gateway().speaks("gpt", "openai", &up, "").retry("ping_after: 300ms").run();
    let answer = gw.post(chat().stream());
    answer.is(200).says("late");
    assert!(answer.text().starts_with(": "), "{}", answer.text());
}
