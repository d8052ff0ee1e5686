//! What a conversation is written as, model by model.
//!
//! Conversations are read from bodies of the dialect itself where that says it shortest, and made by hand where a client of
//! another one has something that this one does not.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::{Ask, Call, read, tools};
use super::write;
use crate::wire::Loss;
use crate::wire::anthropic::Field;
use crate::wire::ir::{
    Block, Choice, Content, Conversation, Effort, Escaped, Format, Media, MediaKind, Role, Seal, Setting,
    Source, Switch, Tier, Turn,
};
use crate::wire::traits::MESSAGES;
use crate::wire::translate::{Target, Toolbox};

fn target(model: &str) -> Target<'_> {
    Target { model, traits: &MESSAGES, limit: None, repairs: 0, cut_thinking: false, context_1m: false }
}

/// The body and the loss.
fn sent(conversation: &Conversation<'_>, target: &Target<'_>) -> Result<(Value, String), String> {
    let mut loss = Loss::default();
    let list = conversation.tools.map(|raw| tools::read(raw, &mut loss).unwrap()).unwrap_or_default();
    let toolbox: Arc<Toolbox> = tools::write(&list, &MESSAGES, target.model).into();
    let written = write(conversation, &toolbox, target).map_err(|error| error.message)?;
    let body: Vec<u8> = written.pieces().collect::<Vec<_>>().concat();
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&body)));
    Ok((body, written.loss.header()))
}

/// The same for the messages of a body in the dialect.
fn messages(messages: &Value, model: &str) -> Result<(Value, String), String> {
    let body = json!({"model": "m", "messages": messages}).to_string();
    let ask = Ask::read(body.as_bytes(), Call::CountTokens).unwrap();
    let (body, loss) = sent(&read::read(&ask).unwrap(), &target(model))?;
    Ok((body["messages"].clone(), loss))
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": [{"type": "text", "text": text}]})
}

fn assistant(text: &str) -> Value {
    json!({"role": "assistant", "content": [{"type": "text", "text": text}]})
}

fn call(id: &str) -> Value {
    json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "f", "input": {"a": 1}}]})
}

fn result(id: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": "ok"}]})
}

fn says<'b>(role: Role, text: &str) -> Turn<'b> {
    Turn { role, blocks: vec![Block::new(Content::Text(Escaped::of(text)))] }
}

fn hello<'b>() -> Conversation<'b> {
    Conversation { turns: vec![says(Role::User, "hi")], ..Conversation::default() }
}

const NEW: &str = "claude-opus-5";
const OLD: &str = "claude-haiku-4-5";

#[test]
fn turns_are_grouped_as_the_api_demands() {
    let late = |role: &str, text: &str| json!({"role": role, "content": [{"type": "text", "text": text}]});
    let reminded = "<system-reminder>\ns\n</system-reminder>";
    for (name, came, model, expected, lost) in [
        (
            "neighbours of one role",
            json!([user("a"), user("b"), assistant("c"), assistant("d"), user("e")]),
            NEW,
            json!([
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]},
                user("e")
            ]),
            "",
        ),
        (
            "results in front of texts",
            json!([user("a"), call("i"), {"role": "user", "content": [{"type": "text", "text": "t"}, result("i")]}]),
            NEW,
            json!([user("a"), call("i"), {"role": "user", "content": [result("i"), {"type": "text", "text": "t"}]}]),
            "",
        ),
        (
            "later instructions",
            json!([user("a"), late("system", "s"), user("b")]),
            NEW,
            json!([user("a"), late("system", "s"), user("b")]),
            "",
        ),
        (
            "later instructions to an older model",
            json!([user("a"), late("system", "s"), user("b")]),
            OLD,
            json!([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": reminded}, {"type": "text", "text": "b"}]}]),
            "messages.system",
        ),
        (
            "later instructions to an unknown model",
            json!([user("a"), assistant("b"), late("system", "s")]),
            "glm-4.6",
            json!([user("a"), assistant("b"), user(reminded)]),
            "messages.system",
        ),
        (
            "instructions between a call and its result",
            json!([user("a"), call("i"), late("system", "s"), {"role": "user", "content": [result("i")]}]),
            NEW,
            json!([user("a"), call("i"), {"role": "user", "content": [result("i")]}, late("system", "s")]),
            "",
        ),
        (
            "the same to an older model",
            json!([user("a"), call("i"), late("system", "s"), {"role": "user", "content": [result("i")]}]),
            OLD,
            json!([user("a"), call("i"), {"role": "user", "content": [result("i"), {"type": "text", "text": reminded}]}]),
            "messages.system",
        ),
        (
            "the assistant has the first word",
            json!([assistant("a"), user("b")]),
            NEW,
            json!([user("."), assistant("a"), user("b")]),
            "",
        ),
        ("a call has the last word", json!([user("a"), call("i")]), NEW, json!([user("a"), call("i")]), ""),
    ] {
        let (found, loss) = messages(&came, model).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((found, loss.as_str()), (expected, lost), "{name}");
    }
}

#[test]
fn a_call_and_its_result_go_together() {
    for (came, message) in [
        (
            json!([user("a"), call("i"), user("b")]),
            "messages: the call `i` has no result; send one for every call in front of what follows",
        ),
        (
            json!([user("a"), {"role": "user", "content": [result("i")]}]),
            "messages: the result of `i` stands behind no call of that id; send it behind its call",
        ),
        (json!([]), "messages: nothing in them says anything; send at least one message of the user"),
    ] {
        assert_eq!(messages(&came, NEW).unwrap_err(), message);
    }
}

#[test]
fn ids_are_fitted_the_same_for_call_and_result() {
    let (found, _) = messages(
        &json!([user("a"), call("functions.f:0"), {"role": "user", "content": [result("functions.f:0")]}]),
        NEW,
    )
    .unwrap();
    let id = found[1]["content"][0]["id"].as_str().unwrap();
    assert!(id.starts_with("functions_f_0_"), "{id}");
    assert_eq!(found[2]["content"][0]["tool_use_id"], id);
}

#[test]
fn a_beginning_of_the_answer_is_kept_where_it_is_taken() {
    let came = json!([user("a"), assistant("It is \n")]);
    assert_eq!(messages(&came, OLD).unwrap(), (json!([user("a"), assistant("It is")]), String::new()));
    let (found, loss) = messages(&came, NEW).unwrap();
    assert_eq!((found[1].clone(), loss.as_str()), (assistant("It is \n"), "messages.prefill"));
    assert_eq!((found[2]["role"].as_str(), found.as_array().unwrap().len()), (Some("user"), 3));
}

#[test]
fn thinking_goes_back_to_its_own_family_only() {
    let thinking = |signature: &str| json!({"type": "thinking", "thinking": "hm", "signature": signature});
    let redacted = json!({"type": "redacted_thinking", "data": "EmwK"});
    let text = json!({"type": "text", "text": "b"});
    let turn = |blocks: Value| json!([user("a"), {"role": "assistant", "content": blocks}, user("c")]);
    for (came, expected, lost) in [
        (json!([thinking("c2ln"), redacted, text]), json!([thinking("c2ln"), redacted, text]), ""),
        (json!([thinking("pm1.deepseek.c2ln"), text]), json!([text]), "messages.reasoning_content"),
        (json!([thinking("pm1.anthropic.c2ln"), text]), json!([thinking("sig"), text]), ""),
        (json!([thinking(""), text]), json!([text]), "messages.reasoning_content"),
    ] {
        let (found, loss) = messages(&turn(came.clone()), NEW).unwrap();
        assert_eq!((found[1]["content"].clone(), loss.as_str()), (expected, lost), "{came}");
    }
    // A message of nothing else goes whole, and its neighbours become one.
    let (found, _) = messages(&turn(json!([thinking("pm1.xai.c2ln")])), NEW).unwrap();
    assert_eq!(found.as_array().unwrap().len(), 1);
}

#[test]
fn thinking_is_switched_off_where_the_tool_loop_began_without_it() {
    let loop_of = |thinking: &str| {
        json!({
            "model": "m", "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000},
            "messages": [user("a"), {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": thinking},
                {"type": "tool_use", "id": "i", "name": "f", "input": {}}
            ]}, {"role": "user", "content": [result("i")]}]
        })
        .to_string()
    };
    for (signature, thinks) in [("c2ln", true), ("pm1.deepseek.c2ln", false)] {
        let body = loop_of(signature);
        let ask = Ask::read(body.as_bytes(), Call::Messages).unwrap();
        let (found, loss) = sent(&read::read(&ask).unwrap(), &target(OLD)).unwrap();
        assert_eq!(found.get("thinking").is_some(), thinks, "{loss}");
        assert_eq!(loss.contains("thinking"), !thinks);
    }
    let cut = Target { cut_thinking: true, ..target(OLD) };
    let body = loop_of("c2ln");
    let ask = Ask::read(body.as_bytes(), Call::Messages).unwrap();
    let (found, loss) = sent(&read::read(&ask).unwrap(), &cut).unwrap();
    assert!(found.get("thinking").is_none() && !found.to_string().contains("c2ln"), "{found}");
    assert!(loss.contains("thinking.signature"), "{loss}");
}

#[test]
fn the_output_limit_is_the_clients_or_the_models() {
    for (model, asked, limit, expected, lost) in [
        (NEW, None, None, 32_000, ""),
        ("claude-3-5-haiku", None, None, 8_192, ""),
        ("glm-4.6", None, Some(9_000), 9_000, ""),
        ("claude-3-5-haiku", Some(50_000), None, 8_192, "max_tokens"),
        (NEW, Some(50_000), None, 50_000, ""),
    ] {
        let conversation = Conversation { max_output: asked, ..hello() };
        let (body, loss) = sent(&conversation, &Target { limit, ..target(model) }).unwrap();
        assert_eq!((body["max_tokens"].as_u64(), loss.as_str()), (Some(expected), lost), "{model}");
        assert_eq!(body["model"], model);
    }
}

#[test]
fn instructions_stand_in_front_and_alone_they_are_the_prompt() {
    let system = |turns: Vec<Turn<'static>>| Conversation { turns, ..Conversation::default() };
    let both = system(vec![says(Role::System, "s"), says(Role::System, "t"), says(Role::User, "hi")]);
    let (body, loss) = sent(&both, &target(OLD)).unwrap();
    assert_eq!(body["system"], json!([{"type": "text", "text": "s"}, {"type": "text", "text": "t"}]));
    assert_eq!((body["messages"].clone(), loss.as_str()), (json!([user("hi")]), ""));
    let (body, loss) = sent(&system(vec![says(Role::System, "s")]), &target(OLD)).unwrap();
    assert_eq!((body["messages"].clone(), loss.as_str()), (json!([user("s")]), "messages.system"));
    assert!(body.get("system").is_none());
}

#[test]
fn sampling_and_settings_go_out_as_far_as_they_are_taken() {
    let conversation = Conversation {
        temperature: Some(b"1.7"),
        top_p: Some(b"0.90"),
        stop: vec![Escaped::of("\n"), Escaped::of("END")],
        settings: vec![
            (Setting::Seed, b"7"),
            (Setting::FrequencyPenalty, b"0.0"),
            (Setting::LogitBias, b"{}"),
            (Setting::Logprobs, b"true"),
        ],
        tier: Some(Tier::Flex),
        user: Some(Escaped::of("u-1")),
        stream: true,
        ..hello()
    };
    let (body, loss) = sent(&conversation, &target("glm-4.6")).unwrap();
    assert_eq!(body["temperature"], 1);
    assert_eq!((body["stop_sequences"].clone(), body["stream"].as_bool()), (json!(["END"]), Some(true)));
    assert_eq!(body["metadata"], json!({"user_id": "u-1"}));
    assert_eq!(loss, "temperature, stop, service_tier, seed, logprobs");
    let (body, loss) = sent(&conversation, &target("claude-opus-4-7")).unwrap();
    assert!(body.get("top_p").is_none() && loss.ends_with("top_p"), "{loss}");
    let long = Conversation { user: Some(Escaped::of(&"u".repeat(300))), ..hello() };
    let (body, _) = sent(&long, &target(NEW)).unwrap();
    assert_eq!(body["metadata"]["user_id"].as_str().unwrap().len(), 64);
}

#[test]
fn a_form_of_the_answer_is_asked_for_in_words_where_it_cannot_be_told() {
    let schema = Format::Schema { name: None, schema: b"{\"type\":\"object\"}", strict: None };
    let form = |format: &Format<'static>, target: &Target<'_>| {
        let (body, loss) = sent(&Conversation { format: format.clone(), ..hello() }, target).unwrap();
        let hint = body["system"][0]["text"].as_str().map(str::to_owned);
        (body["output_config"]["format"].clone(), hint, loss)
    };
    let (told, hint, loss) = form(&schema, &target(NEW));
    assert_eq!(told, json!({"type": "json_schema", "schema": {"type": "object"}}));
    assert!(hint.is_none() && loss.is_empty());
    let refused = Target { repairs: Field::OutputFormat.bit(), ..target(NEW) };
    for target in [&target("claude-3-5-haiku"), &refused] {
        let (told, hint, loss) = form(&schema, target);
        assert_eq!((told, loss.as_str()), (Value::Null, "response_format"));
        assert!(hint.unwrap().ends_with("{\"type\":\"object\"}"));
    }
    let loose = Format::Schema { name: None, schema: b"{\"type\":\"object\"}", strict: Some(false) };
    let (told, hint, loss) = form(&loose, &target(NEW));
    assert_eq!(told["schema"], json!({"additionalProperties": false, "type": "object"}));
    assert!(hint.is_none() && loss.is_empty());
    let (told, hint, loss) = form(&Format::Json, &target(NEW));
    assert!(told.is_null() && hint.unwrap().contains("JSON object") && loss.is_empty());
}

#[test]
fn a_choice_of_tools_holds_among_those_that_are_offered() {
    let tools = br#"[{"name":"f","input_schema":{"type":"object"}},{"type":"bash_20250124","name":"bash"}]"#;
    let chosen = |tools: Option<&'static [u8]>, choice: Option<Choice<'static>>, parallel, model: &str| {
        let conversation = Conversation { tools, choice, parallel, ..hello() };
        let (body, loss) = sent(&conversation, &target(model)).unwrap();
        (
            body["tool_choice"].clone(),
            loss.replace("tools.bash_20250124", "").trim_matches([',', ' ']).to_owned(),
        )
    };
    let tool = |name: &str| Some(Choice::Tool(Escaped::of(name)));
    for (offered, choice, parallel, model, expected, lost) in [
        (true, None, None, NEW, Value::Null, ""),
        (true, None, Some(false), NEW, json!({"type": "auto", "disable_parallel_tool_use": true}), ""),
        (
            true,
            Some(Choice::Any),
            Some(false),
            NEW,
            json!({"type": "any", "disable_parallel_tool_use": true}),
            "",
        ),
        (true, Some(Choice::None), Some(false), NEW, json!({"type": "none"}), ""),
        (true, tool("f"), None, NEW, json!({"type": "tool", "name": "f"}), ""),
        (true, tool("bash"), None, NEW, json!({"type": "auto"}), "tool_choice"),
        (true, Some(Choice::Any), None, "claude-opus-5-5", json!({"type": "auto"}), "tool_choice"),
        (false, Some(Choice::Any), None, NEW, Value::Null, "tool_choice"),
        (false, Some(Choice::Auto), Some(false), NEW, Value::Null, ""),
    ] {
        let (found, loss) = chosen(offered.then_some(&tools[..]), choice.clone(), parallel, model);
        assert_eq!((found, loss.as_str()), (expected, lost), "{choice:?} {model}");
    }
}

#[test]
fn effort_is_told_in_the_models_own_form() {
    let thinks = |model: &str, choice: Option<Choice<'static>>| {
        let reasoning = crate::wire::ir::Reasoning {
            switch: Switch::Unsaid,
            effort: Some(Effort::High),
            budget: None,
            shown: Some(true),
        };
        let conversation = Conversation {
            reasoning,
            choice,
            tools: Some(br#"[{"name":"f"}]"#),
            temperature: Some(b"0.5"),
            ..hello()
        };
        let (body, loss) = sent(&conversation, &target(model)).unwrap();
        (body["thinking"].clone(), body["output_config"].clone(), loss)
    };
    assert_eq!(
        thinks(OLD, None),
        (json!({"type": "enabled", "budget_tokens": 16000}), Value::Null, "temperature".to_owned())
    );
    assert_eq!(
        thinks(NEW, None),
        (
            json!({"type": "adaptive", "display": "summarized"}),
            json!({"effort": "high"}),
            "temperature".to_owned()
        )
    );
    assert_eq!(
        thinks(OLD, Some(Choice::Any)),
        (json!({"type": "disabled"}), Value::Null, "reasoning_effort".to_owned())
    );
}

#[test]
fn media_become_blocks_and_what_cannot_is_refused() {
    let media = |kind, source| Media {
        kind,
        source,
        title: Some(Escaped::of("t")),
        detail: Some(Escaped::of("low")),
    };
    let base64 = |mime: &str| Source::Base64 { mime: Escaped::of(mime), data: Escaped::of("aGk=") };
    let sent = |media: Media<'static>| {
        let turns = vec![Turn { role: Role::User, blocks: vec![Block::new(Content::Media(media))] }];
        let (body, loss) = sent(&Conversation { turns, ..Conversation::default() }, &target(NEW))?;
        Ok((body["messages"][0]["content"][0].clone(), loss))
    };
    let pdf = json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}, "title": "t"});
    let text = json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}, "title": "t"});
    for (came, expected) in [
        (
            media(MediaKind::Image, base64("image/jpg")),
            Ok(
                json!({"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "aGk="}}),
            ),
        ),
        (
            media(MediaKind::Image, Source::Url(Escaped::of("https://x"))),
            Ok(json!({"type": "image", "source": {"type": "url", "url": "https://x"}})),
        ),
        (media(MediaKind::Document, base64("application/pdf")), Ok(pdf)),
        (media(MediaKind::Document, base64("text/csv")), Ok(text)),
        (media(MediaKind::Audio, base64("wav")), Err("the model takes no sound")),
        (media(MediaKind::Image, Source::File(Escaped::of("file-1"))), Err("the file `file-1`")),
    ] {
        let found: Result<(Value, String), String> = sent(came.clone());
        match (found, expected) {
            (Ok((block, loss)), Ok(expected)) => {
                assert_eq!((block, loss.as_str()), (expected, "messages.detail"), "{came:?}");
            }
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (found, _) => panic!("{came:?}: {found:?}"),
        }
    }
}

#[test]
fn what_another_format_has_alone_is_left_out_and_told() {
    let raw = &br#"{"type":"odd"}"#[..];
    let blocks = vec![
        Block::new(Content::Opaque { owner: crate::wire::Dialect::Chat, raw: raw.into() }),
        Block::new(Content::Refusal(Escaped::of("no"))),
        Block::new(Content::Thinking {
            text: Escaped::of("hm"),
            seal: Some(Seal { family: "openai".into(), payload: b"x"[..].into() }),
        }),
    ];
    let turns = vec![says(Role::User, "hi"), Turn { role: Role::Assistant, blocks }, says(Role::User, "so?")];
    let (body, loss) = sent(&Conversation { turns, ..Conversation::default() }, &target(NEW)).unwrap();
    assert_eq!(body["messages"][1], assistant("no"));
    assert_eq!(loss, "messages.odd, messages.reasoning_content");
}

#[test]
fn a_cache_mark_goes_out_where_it_came_in_and_none_is_added() {
    let marked = json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}});
    let (found, _) =
        messages(&json!([{"role": "user", "content": [marked]}, assistant("b"), user("c")]), NEW).unwrap();
    assert_eq!(found[0]["content"][0], marked);
    assert_eq!(found.to_string().matches("cache_control").count(), 1);
}
