//! The mock as every Chat provider, from the request to the bytes: what a client makes of them.
//!
//! The client here is a small one of its own, so that neither the gateway's decoder nor the mock's renderer is trusted.

use super::flavour::of_path;
use super::*;
use crate::mock::{Framing, Mock};

const BASES: &[&str] = &[
    "/openai/v1",
    "/openrouter/api/v1",
    "/groq/openai/v1",
    "/mistral/v1",
    "/deepseek",
    "/xai/v1",
    "/together/v1",
    "/fireworks/inference/v1",
    "/cerebras/v1",
    "/perplexity",
    "/zai/api/paas/v4",
    "/moonshot/v1",
    "/gemini/v1beta/openai",
    "/ollama/v1",
    "/vllm/v1",
    "/llamacpp/v1",
];

fn ask(mock: &Mock, base: &str, body: &Value, more: &[(&str, &str)]) -> Answer {
    let (path, text) = (format!("{base}/chat/completions"), body.to_string());
    let headers = [&[("authorization", "Bearer k")], more].concat();
    mock.answer(&Request { method: "POST", path: &path, query: "", headers: &headers, body: text.as_bytes() })
}

fn whole(mock: &Mock, base: &str, body: &Value) -> Value {
    let answer = ask(mock, base, body, &[]);
    let text = String::from_utf8(answer.bytes()).unwrap();
    assert_eq!(answer.status, 200, "{base}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// What a client holds of a stream at its end.
#[derive(Debug, Default, PartialEq)]
struct Held {
    text: String,
    thought: String,
    calls: Vec<(String, String, String)>,
    finishes: Vec<String>,
    usage: Value,
    done: bool,
}

/// Folds a stream as a patient client does.
fn fold(bytes: &[u8]) -> Held {
    let mut held = Held::default();
    for line in std::str::from_utf8(bytes).unwrap().split("\n\n").filter_map(|e| e.strip_prefix("data: ")) {
        if line == "[DONE]" {
            held.done = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(line).unwrap();
        if chunk["usage"].is_object() {
            held.usage = chunk["usage"].clone();
        } else if chunk["x_groq"]["usage"].is_object() {
            held.usage = chunk["x_groq"]["usage"].clone();
        }
        let choice = &chunk["choices"][0];
        held.finishes.extend(choice["finish_reason"].as_str().map(str::to_owned));
        take(&mut held, &choice["delta"]);
    }
    held
}

fn take(held: &mut Held, delta: &Value) {
    match &delta["content"] {
        Value::String(text) => held.text += text,
        Value::Array(parts) => {
            for part in parts {
                held.text += part["text"].as_str().unwrap_or_default();
                held.thought += part["thinking"][0]["text"].as_str().unwrap_or_default();
            }
        }
        _ => {}
    }
    let thought = delta["reasoning_content"].as_str().or(delta["reasoning"].as_str());
    held.thought += thought.unwrap_or_default();
    for call in delta["tool_calls"].as_array().into_iter().flatten() {
        let said = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let id = said(&call["id"]);
        if !id.is_empty() && held.calls.iter().all(|(known, ..)| *known != id) {
            held.calls.push((id.clone(), said(&call["function"]["name"]), String::new()));
        }
        let at = match (call["index"].as_u64(), id.is_empty()) {
            (Some(at), _) => usize::try_from(at).unwrap(),
            (None, true) => held.calls.len() - 1,
            (None, false) => held.calls.iter().position(|(known, ..)| *known == id).unwrap(),
        };
        held.calls[at].2 += call["function"]["arguments"].as_str().unwrap_or_default();
    }
}

/// What a client holds of a whole answer.
fn held(body: &Value) -> Held {
    let message = &body["choices"][0]["message"];
    let mut held = Held { usage: body["usage"].clone(), ..Held::default() };
    take(&mut held, message);
    held.finishes.push(body["choices"][0]["finish_reason"].as_str().unwrap().to_owned());
    held
}

fn tool(name: &str, field: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "a tool", "parameters": {
        "type": "object", "properties": {field: {"type": "string"}}, "required": [field],
    }}})
}

fn task(text: &str) -> Value {
    json!({
        "model": "mock-1", "messages": [{"role": "user", "content": text}],
        "tools": [tool("Read", "file_path"), tool("Bash", "command")],
    })
}

fn streamed(body: &Value) -> Value {
    let mut body = body.clone();
    body["stream"] = json!(true);
    body
}

#[test]
fn a_stream_holds_what_the_whole_answer_holds() {
    for base in BASES {
        let mut body = task("TASK: read a\nTASK: bash ls");
        if *base == "/perplexity" {
            body.as_object_mut().unwrap().remove("tools");
        }
        let asked = ["/deepseek", "/mistral/v1"].contains(base);
        if asked {
            body["reasoning_effort"] = json!("high");
        }
        // Fresh mocks give both the same number.
        let expected = held(&whole(&Mock::new(Options::default()), base, &body));
        let mut body = streamed(&body);
        if *base != "/mistral/v1" {
            body["stream_options"] = json!({"include_usage": true});
        }
        let answer = ask(&Mock::new(Options::default()), base, &body, &[]);
        let mut found = fold(&answer.bytes());
        assert_eq!(found.done, *base != "/perplexity", "{base}");
        found.done = false;
        assert_eq!(found.finishes.len(), if base.contains("openrouter") { 2 } else { 1 }, "{base}");
        found.finishes.truncate(1);
        assert_eq!(found, expected, "{base}");
        assert_eq!(found.calls.len(), if *base == "/perplexity" { 0 } else { 2 }, "{base}");
        assert_eq!(found.thought.is_empty(), !asked, "{base}: {}", found.thought);
    }
}

#[test]
fn calls_are_whole_in_every_pattern() {
    let mock = Mock::new(Options::default());
    for (name, _) in Calls::NAMED {
        for base in ["/openrouter/api/v1", "/openai/v1"] {
            let body = streamed(&task("TASK: read a and bash ls"));
            let by_header = ask(&mock, base, &body, &[(PATTERN, name)]);
            let by_fault = ask(&mock, base, &body, &[("x-mock-fault", &format!("pattern={name}"))]);
            for answer in [by_header, by_fault] {
                let held = fold(&answer.bytes());
                let told: Vec<(&str, &str)> = held
                    .calls
                    .iter()
                    .map(|(_, name, arguments)| (name.as_str(), arguments.as_str()))
                    .collect();
                assert_eq!(
                    told,
                    [("Read", r#"{"file_path":"a"}"#), ("Bash", r#"{"command":"ls"}"#)],
                    "{base} {name}"
                );
            }
        }
    }
    let wrong = ask(&mock, "/openai/v1", &task("x"), &[(PATTERN, "odd")]);
    assert_eq!(wrong.status, 400);
}

#[test]
fn a_task_is_done_by_calls_and_their_results() {
    for base in BASES.iter().filter(|base| **base != "/perplexity") {
        let mock = Mock::new(Options::default());
        let mut body = task("TASK: read a and bash ls");
        let first = whole(&mock, base, &body);
        let message = &first["choices"][0]["message"];
        assert_eq!(first["choices"][0]["finish_reason"], "tool_calls", "{base}");
        let flavour = of_path(&format!("{base}/chat/completions")).unwrap().0;
        let mut back = json!({"role": "assistant", "content": "", "tool_calls": message["tool_calls"]});
        for name in flavour.history.iter().chain(&["reasoning_content", "reasoning_details"]) {
            if !message[*name].is_null() {
                back[*name] = message[*name].clone();
            }
        }
        let messages = body["messages"].as_array_mut().unwrap();
        messages.push(back);
        for call in message["tool_calls"].as_array().unwrap().iter().rev() {
            messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "the result"}));
        }
        let last = held(&whole(&mock, base, &body));
        assert_eq!((last.finishes, last.calls.len()), (vec!["stop".to_owned()], 0), "{base}");
        assert!(last.text.contains("I did run \"ls\". Bash answered: the result"), "{base}: {}", last.text);
    }
}

#[test]
fn thinking_stands_where_the_provider_puts_it() {
    for (base, model, field) in [
        ("/deepseek", "deepseek-v4-flash", "reasoning_content"),
        ("/groq/openai/v1", "openai/gpt-oss-120b", "reasoning"),
        ("/cerebras/v1", "gpt-oss-120b", "reasoning"),
        ("/xai/v1", "grok-4", "reasoning_content"),
        ("/openrouter/api/v1", "deepseek/deepseek-v4", "reasoning_details"),
        ("/vllm/v1", "Qwen/Qwen3-8B", "reasoning"),
    ] {
        let model = model.to_lowercase();
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
        let body = whole(&Mock::new(Options::default()), base, &body);
        assert!(!body["choices"][0]["message"][field].is_null(), "{base}: {body}");
    }
    let body = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    let hidden = whole(&Mock::new(Options::default()), "/openai/v1", &body("gpt-5"));
    assert!(hidden["usage"]["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap() > 0);
    assert!(!hidden.to_string().contains("The mock has all it needs"));
    let tags = held(&whole(&Mock::new(Options::default()), "/perplexity", &body("sonar-reasoning-pro")));
    assert!(tags.text.starts_with("<think>\n"), "{}", tags.text);
}

#[test]
fn signed_details_come_back_from_a_stream_or_are_refused() {
    let mock = Mock::new(Options::default());
    let base = "/openrouter/api/v1";
    let mut body = json!({
        "model": "anthropic/claude-haiku-4.5", "reasoning": {"effort": "high"}, "stream": true,
        "messages": [{"role": "user", "content": "hi"}],
    });
    let stream = ask(&mock, base, &body, &[]).bytes();
    let chunks =
        std::str::from_utf8(&stream).unwrap().split("\n\n").filter_map(|e| e.strip_prefix("data: {"));
    let chunks = chunks.map(|data| serde_json::from_str::<Value>(&format!("{{{data}")).unwrap());
    let details = |chunk: Value| chunk["choices"][0]["delta"]["reasoning_details"].as_array().cloned();
    let mut details: Vec<Value> = chunks.filter_map(details).flatten().collect();
    assert!(details.len() > 2, "{details:?}");
    let back = json!({"role": "assistant", "content": "x", "reasoning_details": details});
    let messages = body["messages"].as_array_mut().unwrap();
    messages.extend([back, json!({"role": "user", "content": "and?"})]);
    assert_eq!(ask(&mock, base, &body, &[]).status, 200);
    details.remove(0);
    body["messages"][1]["reasoning_details"] = json!(details);
    assert_eq!(ask(&mock, base, &body, &[]).status, 400);
}

#[test]
fn usage_is_told_as_each_provider_tells_it() {
    let thinker = |base: &str, model: &str, usage: bool| {
        let mut body =
            json!({"model": model, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
        if usage {
            body["stream_options"] = json!({"include_usage": true});
        }
        fold(&ask(&Mock::new(Options::default()), base, &body, &[]).bytes()).usage
    };
    for (base, asked, told) in [
        ("/openai/v1", false, false),
        ("/openai/v1", true, true),
        ("/openrouter/api/v1", false, true),
        ("/groq/openai/v1", false, true),
        ("/mistral/v1", false, true),
        ("/deepseek", false, true),
        ("/xai/v1", false, false),
        ("/ollama/v1", true, true),
        ("/vllm/v1", false, false),
        ("/perplexity", false, true),
    ] {
        assert_eq!(thinker(base, "mock-1", asked).is_object(), told, "{base} {asked}");
    }
    for (base, model, apart) in [
        ("/xai/v1", "grok-4", true),
        ("/gemini/v1beta/openai", "gemini-3-pro", true),
        ("/openai/v1", "gpt-5", false),
    ] {
        let usage = thinker(base, model, true);
        let count = |name: &str| usage[name].as_u64().unwrap();
        let sum = count("prompt_tokens") + count("completion_tokens");
        assert_eq!(count("total_tokens") > sum, apart, "{base}: {usage}");
    }
    let cost = &thinker("/openrouter/api/v1", "mock-1", false)["cost"];
    assert!(cost.as_f64().unwrap() > 0.0, "{cost}");
}

#[test]
fn a_changed_beginning_is_a_cache_miss() {
    let long = "be good. ".repeat(2_000);
    let body = |system: &str, more: &[Value]| {
        let first = json!({"role": "system", "content": system});
        let messages = [&[first, json!({"role": "user", "content": "hi"})], more].concat();
        json!({"model": "gpt-4o", "prompt_cache_key": "s1", "messages": messages})
    };
    let mock = Mock::new(Options::default());
    let cached = |body: &Value| {
        whole(&mock, "/openai/v1", body)["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap()
    };
    assert_eq!(cached(&body(&long, &[])), 0);
    let next = [json!({"role": "assistant", "content": "x"}), json!({"role": "user", "content": "y"})];
    assert!(cached(&body(&long, &next)) > 4_000);
    assert_eq!(cached(&body(&format!("{long}."), &next)), 0);
    let mut other = body(&long, &next);
    other["prompt_cache_key"] = json!("s2");
    assert_eq!(cached(&other), 0);
}

#[test]
fn limits_stops_and_formats_are_kept() {
    let mock = Mock::new(Options::default());
    let ask = |changes: Value| {
        let mut body =
            json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "TASK: count to 50"}]});
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        held(&whole(&mock, "/openai/v1", &body))
    };
    let cut = ask(json!({"max_tokens": 4}));
    assert_eq!((cut.finishes[0].as_str(), cut.text.len()), ("length", 16));
    let stopped = ask(json!({"stop": [" 7"]}));
    assert_eq!((stopped.finishes[0].as_str(), stopped.text.as_str()), ("stop", "1 2 3 4 5 6"));
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false});
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "a", "strict": true, "schema": schema}});
    let shaped: Value = serde_json::from_str(&ask(json!({"response_format": format})).text).unwrap();
    assert!(shaped["n"].is_u64(), "{shaped}");
}

#[test]
fn too_much_input_is_refused_in_the_providers_words() {
    let body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "word ".repeat(110_000)}]});
    for (base, expected) in [
        ("/openai/v1", "maximum context length is 128000 tokens. However, your messages resulted in"),
        ("/openrouter/api/v1", "This endpoint's maximum context length is 128000 tokens."),
        ("/mistral/v1", "too large for model with 128000 maximum context length"),
        ("/gemini/v1beta/openai", "exceeds the maximum number of tokens allowed (128000)."),
        ("/ollama/v1", "prompt too long; exceeded max context length by"),
    ] {
        let answer = ask(&Mock::new(Options::default()), base, &body, &[]);
        let text = String::from_utf8(answer.bytes()).unwrap();
        assert!(answer.status == 400 && text.contains(expected), "{base}: {text}");
    }
}

#[test]
fn faults_speak_the_providers_language() {
    let body = streamed(&json!({"model": "mock-1", "messages": [{"role": "user", "content": "hi"}]}));
    for (base, fault, status, part, done) in [
        ("/openai/v1", "status=429", 429, "rate_limit_exceeded", false),
        ("/openai/v1", "status=529", 529, r#""type":"server_error""#, false),
        ("/gemini/v1beta/openai", "status=503", 503, r#""status":"UNAVAILABLE""#, false),
        ("/openrouter/api/v1", "inside", 200, r#"{"error":{"code":503"#, false),
        ("/openai/v1", "error=2; message=broke", 200, "broke", true),
        ("/groq/openai/v1", "error=2", 200, "event: error\n", false),
        ("/openai/v1", "broken=2", 200, "\"conte\n", true),
        ("/openrouter/api/v1", "finish_cut", 200, r#""finish_reason":"stop""#, false),
        ("/openai/v1", "end=2", 200, "data: ", false),
    ] {
        let answer = ask(&Mock::new(Options::default()), base, &body, &[("x-mock-fault", fault)]);
        let text = String::from_utf8(answer.bytes()).unwrap();
        assert!(answer.status == status && text.contains(part), "{base} {fault}: {} {text}", answer.status);
        assert_eq!(text.contains("[DONE]"), done, "{base} {fault}: {text}");
    }
    let cut =
        ask(&Mock::new(Options::default()), "/openrouter/api/v1", &body, &[("x-mock-fault", "finish_cut")]);
    assert_eq!(fold(&cut.bytes()).usage, Value::Null);
    assert_eq!(cut.framing, Framing::Stream);
}

#[test]
fn models_and_embeddings_are_served() {
    let mock = Mock::new(Options::default());
    let get = |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        let answer = mock.answer(&Request { method, path, query: "", headers, body: body.as_bytes() });
        (answer.status, serde_json::from_slice::<Value>(&answer.bytes()).unwrap_or_default())
    };
    let key = [("authorization", "Bearer k")];
    let (status, list) = get("GET", "/openrouter/api/v1/models", &key, "");
    assert_eq!((status, &list["data"][0]["id"]), (200, &json!("gpt-5.4")));
    assert_eq!(get("GET", "/v1/models", &key, "").1["object"], "list");
    assert_eq!(get("GET", "/openai/v1/models/unknown-1", &key, "").0, 404);
    assert_eq!(get("GET", "/openai/v1/chat/completions", &key, "").0, 405);
    let path = "/openai/v1/embeddings";
    let (status, one) =
        get("POST", path, &key, r#"{"model":"text-embedding-3-small","input":["a","b"],"dimensions":4}"#);
    assert_eq!((status, one["data"][1]["embedding"].as_array().unwrap().len()), (200, 4));
    assert_ne!(one["data"][0]["embedding"], one["data"][1]["embedding"]);
    let coded = r#"{"model":"text-embedding-3-small","input":"a","dimensions":4,"encoding_format":"base64"}"#;
    let text = get("POST", path, &key, coded).1["data"][0]["embedding"].as_str().unwrap().to_owned();
    assert_eq!(BASE64.decode(text).unwrap().len(), 16);
    assert_eq!(get("POST", path, &[], coded).0, 401);
    let shown = get("GET", "/mock/requests", &[], "").1;
    assert_eq!(shown["requests"][0]["flavour"], "openrouter");
}
