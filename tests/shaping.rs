//! Requests of Claude Code, shaped from each model to each other one, and the laws of shaping.
//!
//! The judge is the bundled provider's own idea of what the API refuses, an independent table; and the laws are held
//! against the bytes, and against what reaches a provider through the gateway. Single rules are tested where they are
//! made, in `wire::anthropic::shape`.

#![allow(clippy::disallowed_methods)] // Tests are plain threads.

#[path = "gateway/support/mod.rs"]
#[allow(dead_code, unused_imports)] // The vocabulary of another test; only a few words of it are used here.
mod support;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;
use std::{fs, path::Path};

use pointsman::mock::{Options, Request, reply, strict};
use pointsman::wire::anthropic::{Ask, Call, Target, shape};
use serde::Deserialize;
use serde_json::value::RawValue;
use support::upstream::{Seen, reply as answered};
use support::{OVERLOADED, gateway, upstream};

/// Every family that the judge knows.
const MODELS: &[&str] = &[
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-fable-5-1",
    "claude-mythos-5-1",
    "claude-opus-5",
    "claude-sonnet-5",
    "claude-fable-5",
    "claude-mythos-preview",
    "claude-opus-4-8",
    "claude-opus-4-7",
    "claude-opus-4-6",
    "claude-sonnet-4-6",
    "claude-opus-4-5-20251101",
    "claude-haiku-4-5-20251001",
    "claude-sonnet-4-5-20250929",
    "claude-opus-4-1-20250805",
    "claude-sonnet-4-20250514",
    "claude-3-7-sonnet-20250219",
    "claude-3-5-haiku-20241022",
    "claude-3-opus-20240229",
];

const SYSTEM: &str = "\"role\":\"system\"";

/// A request with its betas, as it is on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    call: Call,
    body: String,
    betas: Option<String>,
}

impl Sent {
    fn model(&self) -> String {
        Ask::read(self.body.as_bytes(), self.call).expect(&self.body).model.into_owned()
    }

    fn shaped(&self, target: &Target<'_>) -> Self {
        let ask = Ask::read(self.body.as_bytes(), self.call).expect(&self.body);
        let shaped = shape(&ask, self.betas.as_deref(), target).expect(&self.body);
        let body = String::from_utf8(shaped.body.to_vec()).expect("text");
        assert_eq!(body.len(), shaped.body.len());
        Self { call: self.call, body, betas: shaped.betas.map(std::borrow::Cow::into_owned) }
    }

    fn for_model(&self, model: &str) -> Self {
        self.shaped(&to(model))
    }

    /// The same under another name, nothing else changed.
    fn named(&self, model: &str) -> Self {
        let ask = Ask::read(self.body.as_bytes(), self.call).expect(&self.body);
        let mut body = self.body.clone();
        body.replace_range(ask.model_at.value.start..ask.model_at.value.end, &format!("\"{model}\""));
        Self { body, ..self.clone() }
    }

    fn messages(&self) -> Vec<&str> {
        let ask = Ask::read(self.body.as_bytes(), self.call).expect(&self.body);
        ask.messages.iter().map(|span| &self.body[span.start..span.end]).collect()
    }

    /// The same without the [`MISTAKES`] that the judge finds in it, which are noted.
    fn mended(mut self, found: &mut Vec<&str>) -> Self {
        for (refusal, changes) in MISTAKES {
            if self.judged().is_err_and(|message| message.contains(refusal)) {
                for (wrong, right) in *changes {
                    assert!(self.body.contains(wrong), "{refusal}");
                    self.body = self.body.replace(wrong, right);
                }
                found.push(refusal);
            }
        }
        self
    }

    /// What the judge says to it.
    fn judged(&self) -> Result<(), String> {
        let mut headers = vec![("x-api-key", "k"), ("anthropic-version", "2023-06-01")];
        headers.extend(self.betas.as_deref().map(|betas| ("anthropic-beta", betas)));
        let (path, body) = ("/v1/messages", self.body.as_bytes());
        let request = Request { method: "POST", path, query: "", headers: &headers, body };
        let judged = match self.call {
            Call::Messages => strict::messages(&request, &Options::default()),
            Call::CountTokens => strict::count_tokens(&request, &Options::default()),
        };
        judged.map(drop).map_err(|refusal| refusal.message)
    }
}

fn to(model: &str) -> Target<'_> {
    Target { model, limit: None, repairs: 0, cut_thinking: false, context_1m: false }
}

#[derive(Deserialize)]
struct Recorded {
    url: String,
    headers: HashMap<String, String>,
    body: Box<RawValue>,
}

/// What the API refuses of the requests that were written by hand, in its own words, and what stands in its place: the
/// fixtures hold what no client sends. In the order in which the judge finds them.
const MISTAKES: &[(&str, &[(&str, &str)])] = &[
    // An edit of thinking where thinking is off: anthropics/claude-code#11971.
    (
        "`clear_thinking_20251015` strategy requires `thinking` to be enabled",
        &[
            ("clear_thinking_20251015", "clear_tool_uses_20250919"),
            (r#""keep": "all""#, r#""exclude_tools": []"#),
        ],
    ),
    // Wei-Shaw/sub2api#176.
    (
        "A maximum of 4 blocks with cache_control may be provided. Found 5",
        &[(
            "\"what is it?\",\n      \"cache_control\": {\n       \"type\": \"ephemeral\"\n      }",
            "\"what is it?\"",
        )],
    ),
    // An hour's mark behind one of five minutes: cnighswonger/claude-code-cache-fix#44, headroomlabs-ai/headroom#2939.
    // The client marks all with an hour or none (claude-code-traffic.md section 2).
    (
        "a ttl='1h' cache_control block must not come after a ttl='5m'",
        &[(r#""ttl": "1h""#, r#""ttl": "5m""#)],
    ),
];

/// The recorded requests, with signatures that the judge knows as its own and without [`MISTAKES`].
fn recorded() -> Vec<(String, Sent)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/client-requests");
    let files =
        fs::read_dir(folder).expect("the recorded requests").map(|entry| entry.expect("a file").path());
    let mut found = Vec::new();
    let mut all: Vec<_> = files
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("claude-code-"))
        })
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a text");
            let Recorded { url, mut headers, body } =
                serde_json::from_str(&text).expect("a recorded request");
            let call = if url.contains("count_tokens") { Call::CountTokens } else { Call::Messages };
            let signature = reply::signature("Both reads are independent.", 7);
            let body = body.get().replace("EqQBCkYIBhgCKkD0SIGNATURE+opaque/bytes==", &signature);
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, Sent { call, body, betas: headers.remove("anthropic-beta") }.mended(&mut found))
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(all.len() >= 7, "{}", all.len());
    assert!(
        MISTAKES.iter().all(|(refusal, _)| found.contains(refusal)),
        "no such mistake any more: {found:?}"
    );
    all
}

/// What version 2.1.330 sends in the `n`th request of a session, as claude-code-traffic.md sections 2 and 3 tell it.
fn newest(n: usize) -> Sent {
    let thought = |text: &str| {
        let signature = reply::signature(text, 3);
        format!(r#"{{"type":"thinking","thinking":"{text}","signature":"{signature}"}}"#)
    };
    let turns = [
        [
            r#"{"role":"user","content":[{"type":"text","text":"make a file"}]}"#.to_owned(),
            r#"{"role":"system","content":"Working directory: \/w\n\u00e4","output_config":{"effort":"high"}}"#.to_owned(),
        ],
        [
            format!(r#"{{"role":"assistant","content":[{},{{"type":"text","text":"Loading."}},{{"type":"tool_use","id":"toolu_1","name":"ToolSearch","input":{{"query":"select:A"}}}}]}}"#, thought("one")),
            r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"tool_reference","tool_name":"A"}]},{"type":"text","text":"Tool loaded."}]}"#.to_owned(),
        ],
        [
            r#"{"role":"assistant","content":[{"type":"tool_use","id":"toolu_2","name":"A","input":{ "x": 1.0 }}]}"#.to_owned(),
            r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_2","is_error":true}]},{"role":"system","content":[{"type":"text","text":"<total_tokens>5 tokens left</total_tokens>"}]}"#.to_owned(),
        ],
        [
            format!(r#"{{"role":"assistant","content":[{},{{"type":"text","text":"Done."}}]}}"#, thought("two")),
            r#"{"role":"user","content":"and now?"},{"role":"system","content":[],"output_config":{"effort":"low"}}"#.to_owned(),
        ],
    ];
    let messages = turns[..n].concat().join(",");
    let mut body = String::new();
    write!(
        body,
        r#"{{"model":"claude-opus-5-5","messages":[{messages}],"system":[{{"type":"text","text":"x-anthropic-billing-header: cc_version=2.1.330;"}},{{"type":"text","text":"You are Claude Code.","cache_control":{{"type":"ephemeral"}}}}],"tools":[{{"name":"ToolSearch","description":"finds","input_schema":{{"type":"object","properties":{{}},"additionalProperties":false}}}},{{"name":"A","defer_loading":true,"input_schema":{{"type":"object","properties":{{"x":{{"type":"integer","exclusiveMinimum":0}}}}}}}},{{"name":"DeferredToolPlaceholder","defer_loading":true,"input_schema":{{"type":"object"}}}}],"metadata":{{"user_id":"{{\"session_id\":\"s\"}}"}},"max_tokens":128000,"thinking":{{"type":"adaptive","display":"updates"}},"context_management":{{"edits":[{{"type":"clear_thinking_20251015","keep":"all"}}]}},"output_config":{{"effort":"xhigh"}},"stream":true}}"#
    )
    .expect("a text");
    let betas = "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,\
                 per-turn-control-2026-07-01,mid-conversation-tool-changes-2026-07-01,thinking-token-count-2026-05-13,\
                 advanced-tool-use-2025-11-20,effort-2025-11-24,thinking-display-updates-2026-08-18";
    Sent { call: Call::Messages, body, betas: Some(betas.to_owned()) }
}

fn all() -> Vec<(String, Sent)> {
    let mut all = recorded();
    all.extend((1..=4).map(|n| (format!("newest, request {n}"), newest(n))));
    all
}

#[test]
fn a_request_for_one_model_is_taken_by_every_other() {
    let (mut refused, mut unshaped) = (Vec::new(), 0);
    for (name, came) in all() {
        assert_eq!(came.judged(), Ok(()), "{name} as it came");
        for asked in MODELS {
            let first = came.for_model(asked);
            for sent in MODELS {
                unshaped += usize::from(first.named(sent).judged().is_err());
                let shaped = first.for_model(sent);
                if let Err(message) = shaped.judged() {
                    refused.push(format!("{name}, {} to {asked} to {sent}: {message}", came.model()));
                }
            }
        }
    }
    assert!(unshaped > 1_000, "the judge has nothing against {unshaped} requests as they are");
    assert!(refused.is_empty(), "{} refused:\n{}", refused.len(), refused.join("\n"));
}

/// What a provider's prompt cache is keyed by: all of a request but what stands behind the last message.
#[derive(Debug)]
struct Cached {
    tools: String,
    system: String,
    messages: Vec<String>,
}

impl Cached {
    fn of(seen: &Seen) -> Self {
        let ask = Ask::read(&seen.body, Call::Messages).expect("a request");
        let text =
            |span: pointsman::json::Span| String::from_utf8(span.of(&seen.body).to_vec()).expect("text");
        Self {
            tools: text(ask.tools.expect("tools").value),
            system: text(ask.system.expect("a system text").value),
            messages: ask.messages.iter().map(|message| text(*message)).collect(),
        }
    }

    /// The next request of the session begins with these bytes.
    fn begins(&self, next: &Self, name: &str) {
        assert_eq!(self.tools, next.tools, "{name}");
        assert_eq!(self.system, next.system, "{name}");
        assert!(next.messages.len() > self.messages.len(), "{name}: {next:?}");
        assert_eq!(self.messages, next.messages[..self.messages.len()], "{name}");
    }
}

/// A request to the gateway as the client sends it, in one session.
fn asked(sent: &Sent) -> support::client::Request {
    let body = sent.body.replacen("\"stream\":true", "\"stream\":false", 1);
    let ask = support::messages().body(&body).header("x-claude-code-session-id", "s-1");
    ask.header("anthropic-beta", sent.betas.as_deref().expect("betas"))
}

/// Not by a pure function alone: whatever stands between the client and the provider has a part in it.
#[test]
fn the_same_request_comes_out_the_same() {
    for model in ["claude-opus-5-5", "claude-opus-4-6", "claude-haiku-4-5", "claude-3-5-haiku", "other"] {
        let provider = upstream();
        let gw = gateway().provider("p", &provider, &format!("model: {model}")).run();
        for n in 1..=4 {
            for _ in 0..2 {
                gw.post(asked(&newest(n))).is(200);
            }
            let seen = provider.seen();
            let [.., first, second] = seen.as_slice() else { panic!("{} requests", seen.len()) };
            assert_eq!(first.head, second.head, "{model}, request {n}");
            assert_eq!(first.text(), second.text(), "{model}, request {n}");
        }
    }
}

/// The provider learns in mid-session that its model takes no system messages, breaks for one request, and is gone back
/// to: what it had in its prompt cache is still the beginning of what it gets.
#[test]
fn a_session_keeps_its_prefix_through_a_repair_and_a_failover_there_and_back() {
    let refusal = r#"{"type":"error","error":{"type":"invalid_request_error","message":"messages.1: role 'system' is not supported on this model"}}"#;
    let whole = support::whole("m", "ok");
    let ok = || answered(200, "application/json", &whole);
    let overloaded = || answered(529, "application/json", OVERLOADED);
    let first =
        upstream().then(answered(400, "application/json", refusal)).then(ok()).then(ok()).then(overloaded());
    let second = upstream().then(ok()).then(overloaded());
    let gw = gateway()
        .provider("first", &first, "model: other, weight: 1")
        .provider("second", &second, "model: claude-haiku-4-5, standby: true")
        .with_sessions()
        .run();
    for (n, attempts) in [
        (1, "first:400, first:ok"),
        (2, "first:ok"),
        (3, "first:529, second:ok"),
        (4, "second:529, first:ok"),
    ] {
        if n == 4 {
            // The first one rests for a second.
            std::thread::sleep(Duration::from_millis(1100));
        }
        gw.post(asked(&newest(n))).is(200).attempts(attempts);
    }
    let to_first: Vec<Cached> = first.seen()[1..].iter().map(Cached::of).collect();
    let to_second: Vec<Cached> = second.seen().iter().map(Cached::of).collect();
    // The repair holds from its first request on.
    assert!(first.seen()[1..].iter().all(|seen| !seen.text().contains(SYSTEM)));
    for pair in to_first.windows(2).chain(to_second.windows(2)) {
        pair[0].begins(&pair[1], "from turn to turn");
    }
    assert_eq!((to_first.len(), to_second.len()), (4, 2));
}

#[test]
fn a_low_top_p_beside_thinking_is_taken_by_every_model() {
    for sampling in
        [r#""temperature":1,"top_p":0.5"#, r#""top_p":0.97,"temperature":1"#, r#""top_p":0.5,"top_k":5"#]
    {
        let body = format!(
            r#"{{"model":"some-alias","max_tokens":4000,"thinking":{{"type":"adaptive"}},{sampling},"messages":[{{"role":"user","content":"hi"}}]}}"#
        );
        let came = Sent { call: Call::Messages, body, betas: None };
        for model in MODELS {
            assert_eq!(came.for_model(model).judged(), Ok(()), "{sampling} to {model}");
        }
    }
}

#[test]
fn a_shaped_request_needs_no_shaping() {
    for (name, came) in all() {
        for model in MODELS {
            let once = came.for_model(model);
            let again = once.named(&came.model()).for_model(model);
            assert_eq!(again, once, "{name} to {model}");
        }
    }
}

#[test]
fn a_prefix_that_changes_from_turn_to_turn_so_that_no_prompt_cache_ever_hits() {
    for model in MODELS {
        for cut_thinking in [false, true] {
            let target = Target { cut_thinking, ..to(model) };
            for n in 1..4 {
                let (turn, next) = (newest(n).shaped(&target), newest(n + 1).shaped(&target));
                let (turn, next) = (turn.messages(), next.messages());
                assert!(next.len() > turn.len(), "{model}, request {n}");
                assert_eq!(turn, next[..turn.len()], "{model}, request {n}");
            }
        }
    }
}

#[test]
fn what_no_rule_names_stays_byte_for_byte() {
    let odd = r#" "zeta" : {"a": [1.0, 2E+3 , "\u0041\/"], "model":"claude-opus-5-5"} , "#;
    let block = r#"{"type":"new_block" , "temperature":0.3,"thinking":{"x":1},"effort":"max"}"#;
    for n in 1..=4 {
        let mut came = newest(n);
        came.body = came.body.replacen(r#""messages":["#, &format!(r#"{odd}"messages":["#), 1);
        came.body = came.body.replacen(
            r#"{"type":"text","text":"make a file"}"#,
            &format!("{block},{{\"type\":\"text\",\"text\":\"make a file\"}}"),
            1,
        );
        for model in MODELS {
            let shaped = came.for_model(model);
            assert!(shaped.body.contains(odd) && shaped.body.contains(block), "{model}: {}", shaped.body);
            assert!(n < 3 || shaped.body.contains(r#""input":{ "x": 1.0 }"#), "{model}: {}", shaped.body);
            assert!(shaped.body.contains(r"\/w\n\u00e4"), "{model}: {}", shaped.body);
        }
    }
}

#[test]
fn system_messages_are_kept_where_they_are_taken_and_told_to_the_user_where_not() {
    for (model, kept) in
        [("claude-opus-4-8", true), ("claude-sonnet-5", true), ("claude-haiku-4-5", false), ("gpt-4o", true)]
    {
        let shaped = newest(3).for_model(model);
        assert_eq!(shaped.body.contains(SYSTEM), kept, "{model}");
        assert_eq!(shaped.body.matches("<system-reminder>").count(), if kept { 0 } else { 2 }, "{model}");
    }
}
