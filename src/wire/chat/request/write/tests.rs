//! Conversations are built by a small vocabulary, written, and compared as JSON text; nothing of another dialect is read
//! here.

use std::sync::Arc;

use serde_json::{Value, json};

use super::write;
use crate::wire::chat::repair::Field;
use crate::wire::chat::request::{read, tools};
use crate::wire::chat::{Ask, request};
use crate::wire::ir::{
    Block, Choice, Content, Conversation, Effort, Escaped, Format, Media, MediaKind, Reasoning, Role, Seal,
    Setting, Source, Switch, Tier, Tool, ToolKind, Ttl, Turn,
};
use crate::wire::traits::{
    CHAT, CacheForm, EffortForm, ForcedChoice, FormatForm, IdRule, LateSystem, OutputLimit, Replay,
    SystemRole, Traits, UserField,
};
use crate::wire::translate::{Target, Toolbox};
use crate::wire::{Dialect, Loss};

const MARKS: Traits = Traits {
    family: "openrouter",
    family_by_vendor: true,
    system: SystemRole::System,
    cache: CacheForm::Marks,
    effort: EffortForm::Object,
    replay: Replay::Details,
    top_k: true,
    ..CHAT
};

/// Texts only, thinks, and wants it back.
const TEXTS: Traits = Traits {
    family: "deepseek",
    output_limit: OutputLimit::MaxTokens,
    images: false,
    files: false,
    audio: false,
    replay: Replay::Demanded("reasoning_content"),
    effort: EffortForm::Switch,
    efforts: &[Effort::Low, Effort::High, Effort::Max],
    forced_choice: ForcedChoice::NotThinking,
    format: FormatForm::Json,
    cache: CacheForm::Never,
    user: UserField::Never,
    tier: false,
    settings: false,
    picky: true,
    empty_content: true,
    ..CHAT
};

fn target(model: &'static str, traits: &'static Traits) -> Target<'static> {
    Target { model, traits, limit: None, repairs: 0, cut_thinking: false, context_1m: false }
}

fn text(text: &str) -> Block<'static> {
    Block::new(Content::Text(Escaped::of(text)))
}

fn call(id: &str, name: &str, args: &str) -> Block<'static> {
    let args = args.as_bytes().to_vec().into();
    Block::new(Content::ToolCall { id: Escaped::of(id), name: Escaped::of(name), args })
}

fn result(id: &str, blocks: Vec<Block<'static>>, error: bool) -> Block<'static> {
    Block::new(Content::ToolResult { id: Escaped::of(id), blocks, error })
}

fn image() -> Block<'static> {
    media(MediaKind::Image, Source::Base64 { mime: Escaped::of("image/png"), data: Escaped::of("AA==") })
}

fn media(kind: MediaKind, source: Source<'static>) -> Block<'static> {
    Block::new(Content::Media(Media { kind, source, title: None, detail: None }))
}

fn thinking(text: &str, family: &'static str, payload: &'static [u8]) -> Block<'static> {
    let seal = Seal { family: family.into(), payload: payload.into() };
    Block::new(Content::Thinking { text: Escaped::of(text), seal: Some(seal) })
}

fn marked(block: Block<'static>) -> Block<'static> {
    Block { cache: Some(Ttl::Default), ..block }
}

fn user(blocks: Vec<Block<'static>>) -> Turn<'static> {
    Turn { role: Role::User, blocks }
}

fn assistant(blocks: Vec<Block<'static>>) -> Turn<'static> {
    Turn { role: Role::Assistant, blocks }
}

fn system(blocks: Vec<Block<'static>>) -> Turn<'static> {
    Turn { role: Role::System, blocks }
}

fn says(turns: Vec<Turn<'static>>) -> Conversation<'static> {
    Conversation { turns, ..Conversation::default() }
}

fn function(name: &str) -> Tool<'static> {
    let kind =
        ToolKind::Function { name: Escaped::of(name), description: None, schema: Some(b"{}"), strict: None };
    Tool { kind, cache: None }
}

fn search() -> Tool<'static> {
    let word = "web_search_20250305".into();
    Tool { kind: ToolKind::Server { name: Escaped::of("web_search"), word, raw: b"{}" }, cache: None }
}

fn boxed(tools: &[Tool<'_>], target: &Target<'_>) -> Arc<Toolbox> {
    Arc::new(tools::write(tools, target.traits, target.model))
}

/// What is sent, and what is lost.
fn sent(conversation: &Conversation<'_>, tools: &[Tool<'_>], target: &Target<'_>) -> (Value, String) {
    let written = write(conversation, &boxed(tools, target), target).unwrap();
    let bytes = written.pieces().collect::<Vec<_>>().concat();
    let value = serde_json::from_slice(&bytes)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&bytes)));
    (value, written.loss.header())
}

fn messages(turns: Vec<Turn<'static>>, target: &Target<'_>) -> (Value, String) {
    let (mut body, loss) = sent(&says(turns), &[], target);
    (body["messages"].take(), loss)
}

#[test]
fn a_tool_loop_is_written_as_calls_and_one_message_for_each_result() {
    let turns = vec![
        user(vec![text("go")]),
        assistant(vec![text("I look."), call("a", "Read", "{\"p\": \"x\\n\\\"\"}"), call("b", "Bash", "{}")]),
        user(vec![result("b", vec![text("two")], false), text("and?"), result("a", vec![text("one")], true)]),
    ];
    let (found, loss) = messages(turns, &target("gpt-4o", &CHAT));
    assert_eq!(
        found,
        json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": "I look.", "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "Read", "arguments": "{\"p\": \"x\\n\\\"\"}"}},
                {"id": "b", "type": "function", "function": {"name": "Bash", "arguments": "{}"}},
            ]},
            {"role": "tool", "tool_call_id": "a", "content": "Error: one"},
            {"role": "tool", "tool_call_id": "b", "content": "two"},
            {"role": "user", "content": "and?"},
        ])
    );
    assert_eq!(loss, "");
}

#[test]
fn a_tool_results_image_follows_all_results_in_a_message_of_the_user() {
    let turns = || {
        vec![
            assistant(vec![call("a", "Read", "{}"), call("b", "Read", "{}")]),
            user(vec![result("a", vec![image()], false), result("b", vec![text("x")], false), text("and?")]),
        ]
    };
    let (found, loss) = messages(turns(), &target("gpt-4o", &CHAT));
    assert_eq!(
        found.as_array().unwrap()[1..],
        [
            json!({"role": "tool", "tool_call_id": "a", "content": "[image: in the next message of the user]"}),
            json!({"role": "tool", "tool_call_id": "b", "content": "x"}),
            json!({"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                {"type": "text", "text": "and?"},
            ]}),
        ]
    );
    assert_eq!(loss, "");
    let (found, loss) = messages(turns(), &target("deepseek-chat", &TEXTS));
    assert_eq!(found[1]["content"], "[image left out]");
    assert_eq!((&found[3], loss.as_str()), (&json!({"role": "user", "content": "and?"}), "messages.image"));
}

#[test]
fn results_and_calls_that_do_not_meet_break_no_strict_server() {
    let turns = vec![
        user(vec![result("z", vec![text("stray")], false)]),
        assistant(vec![call("a", "f", "{}"), call("b", "f", "{}")]),
        user(vec![result("b", vec![], false), text("go on")]),
        assistant(vec![call("c", "f", "{}")]),
    ];
    let (found, loss) = messages(turns, &target("gpt-4o", &CHAT));
    assert_eq!(
        found[0],
        json!({"role": "user", "content": [{"type": "text", "text": "Result of a tool call:\nstray"}]})
    );
    assert_eq!(found[2], json!({"role": "tool", "tool_call_id": "a", "content": "(no result)"}));
    assert_eq!(found[3], json!({"role": "tool", "tool_call_id": "b", "content": "(no output)"}));
    assert_eq!(found[4], json!({"role": "user", "content": "go on"}));
    assert_eq!(found[5]["content"], Value::Null);
    assert_eq!(
        (found.as_array().unwrap().len(), loss.as_str()),
        (6, "messages.tool_result, messages.tool_use")
    );
}

#[test]
fn an_error_is_told_once() {
    for (said, expected) in [
        (vec![text("Error: location not found")], "Error: location not found"),
        (vec![text("broken")], "Error: broken"),
        (vec![], "Error: (no output)"),
        (vec![text("a"), text(""), text("b")], "Error: a\nb"),
    ] {
        let turns = vec![assistant(vec![call("a", "f", "{}")]), user(vec![result("a", said, true)])];
        assert_eq!(messages(turns, &target("gpt-4o", &CHAT)).0[1]["content"], expected);
    }
}

/// The named complaint: marks on tools and tool results were lost on the way to a provider that takes them.
#[test]
fn cache_control_on_tools_and_tool_results_survives_to_a_provider_that_takes_it() {
    let mark = json!({"type": "ephemeral"});
    let conversation = Conversation {
        system: vec![text("s"), Block { cache: Some(Ttl::Hour), ..text("t") }],
        ..says(vec![
            user(vec![marked(text("go"))]),
            assistant(vec![marked(text("I look.")), call("a", "f", "{}"), call("b", "f", "{}")]),
            user(vec![
                marked(result("a", vec![text("x")], false)),
                result("b", vec![marked(image())], false),
            ]),
        ])
    };
    let tools = [Tool { cache: Some(Ttl::Default), ..function("f") }, function("g")];
    let (found, loss) = sent(&conversation, &tools, &target("anthropic/claude-haiku-4.5", &MARKS));
    assert_eq!(found["tools"][0]["cache_control"], mark);
    assert_eq!(found["tools"][1].get("cache_control"), None);
    let system = json!([{"type": "text", "text": "s"}, {"type": "text", "text": "t", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]);
    assert_eq!(found["messages"][0]["content"], system);
    for message in 1..4 {
        assert_eq!(found["messages"][message]["content"][0]["cache_control"], mark, "{message}");
    }
    assert_eq!(found["messages"][5]["content"][0]["cache_control"], mark);
    assert_eq!(loss, "");
    // For others the caches are automatic, and unknown members are refused.
    for target in [target("openai/gpt-4o", &MARKS), target("gpt-4o", &CHAT)] {
        assert!(!sent(&conversation, &tools, &target).0.to_string().contains("cache_control"));
    }
    let refused =
        Target { repairs: Field::CacheControl.bit(), ..target("anthropic/claude-haiku-4.5", &MARKS) };
    assert!(!sent(&conversation, &tools, &refused).0.to_string().contains("cache_control"));
}

/// The named complaint: the translated prefix changed from turn to turn, and no prompt cache ever hit.
#[test]
fn the_translated_prefix_does_not_change_from_turn_to_turn() {
    const PART: Traits =
        Traits { family: "mistral", replay: Replay::Part, ids: IdRule::Alphanumeric(9), ..CHAT };
    const ALTERNATES: Traits = Traits { alternate: true, late_system: LateSystem::AsUser, ..CHAT };
    let turns = [
        vec![user(vec![text("a"), text("go")]), system(vec![text("cwd /x")])],
        vec![
            assistant(vec![
                thinking("t", "deepseek", b""),
                text("I look."),
                call("toolu_01A", "Read", "{ }"),
            ]),
            user(vec![result("toolu_01A", vec![image(), text("x")], false)]),
            system(vec![text("9 tokens left")]),
        ],
        vec![assistant(vec![text("Done.")]), user(vec![text("next")])],
        vec![
            assistant(vec![call("b", "Read", "{}"), call("c", "Read", "{}")]),
            user(vec![result("c", vec![], true), result("b", vec![text("y")], false), text("hurry")]),
        ],
    ];
    for (model, traits) in [
        ("gpt-5", &CHAT),
        ("anthropic/claude-haiku-4.5", &MARKS),
        ("deepseek-v4-pro", &TEXTS),
        ("mistral-small", &PART),
        ("unknown", &ALTERNATES),
    ] {
        let target = target(model, traits);
        let mut before: Vec<u8> = Vec::new();
        for count in 1..=turns.len() {
            let conversation = says(turns[..count].concat());
            let written = write(&conversation, &boxed(&[], &target), &target).unwrap();
            let end = memchr::memmem::rfind(&written.front, b"}]").unwrap();
            assert!(written.front.starts_with(&before), "{model} turn {count}");
            before = written.front[..=end].to_vec();
        }
        assert!(before.len() > 400, "{model}");
    }
}

#[test]
fn a_choice_names_only_what_is_offered() {
    const WORDS: Traits = Traits { named_choice: false, required: "any", ..CHAT };
    const LEFT: Traits = Traits { forced_choice: ForcedChoice::Never, ..CHAT };
    let named = |name: &str| Choice::Tool(Escaped::of(name));
    for (choice, traits, expected, loss) in [
        (Choice::Auto, &CHAT, json!("auto"), ""),
        (Choice::None, &CHAT, json!("none"), ""),
        (Choice::Any, &CHAT, json!("required"), ""),
        (Choice::Any, &WORDS, json!("any"), ""),
        (named("f"), &CHAT, json!({"type": "function", "function": {"name": "f"}}), ""),
        (named("removed"), &CHAT, json!("auto"), "tool_choice"),
        (named("f"), &LEFT, json!("auto"), "tool_choice"),
    ] {
        let conversation = Conversation { choice: Some(choice), ..says(vec![user(vec![text("x")])]) };
        let (found, lost) = sent(&conversation, &[function("f"), function("g")], &target("gpt-4o", traits));
        assert_eq!((&found["tool_choice"], lost.as_str()), (&expected, loss));
        let (bare, _) = sent(&conversation, &[], &target("gpt-4o", traits));
        assert_eq!((bare.get("tool_choice"), bare.get("tools")), (None, None));
    }
    // A tool that cannot be named is offered alone.
    let conversation = Conversation { choice: Some(named("g")), ..says(vec![user(vec![text("x")])]) };
    let (found, _) = sent(&conversation, &[function("f"), function("g")], &target("gpt-4o", &WORDS));
    assert_eq!(found["tools"].as_array().unwrap().len(), 1);
    assert_eq!((&found["tools"][0]["function"]["name"], &found["tool_choice"]), (&json!("g"), &json!("any")));
}

#[test]
fn a_forced_tool_of_the_providers_own_is_refused_by_name() {
    for (choice, tools) in [
        (Choice::Tool(Escaped::of("web_search")), vec![search(), function("f")]),
        (Choice::Any, vec![search()]),
    ] {
        let conversation = Conversation { choice: Some(choice), ..says(vec![user(vec![text("x")])]) };
        let target = target("gpt-4o", &CHAT);
        let refused = write(&conversation, &boxed(&tools, &target), &target).unwrap_err();
        assert_eq!(
            refused.message,
            "tool_choice: `web_search` must be called, but it is a tool that the provider would have to run itself, \
             and the provider of `gpt-4o` has no such tool"
        );
    }
}

#[test]
fn no_tool_is_forced_upon_a_model_that_thinks_where_that_is_refused() {
    let on = Reasoning { switch: Switch::On, ..Reasoning::default() };
    let conversation =
        Conversation { choice: Some(Choice::Any), reasoning: on, ..says(vec![user(vec![text("x")])]) };
    let (found, loss) = sent(&conversation, &[function("f")], &target("deepseek-v4-pro", &TEXTS));
    assert_eq!(
        (&found["thinking"], &found["tool_choice"], loss.as_str()),
        (&json!({"type": "disabled"}), &json!("required"), "thinking")
    );
    // What cannot be switched off is not forced.
    let (found, loss) = sent(&conversation, &[function("f")], &target("deepseek-reasoner", &TEXTS));
    assert_eq!((&found["tool_choice"], loss.as_str()), (&json!("auto"), "tool_choice"));
}

#[test]
fn effort_takes_the_providers_form_at_a_level_that_the_model_has() {
    const TEMPLATE: Traits = Traits { effort: EffortForm::Template, ..CHAT };
    let level = |switch, effort, budget| Reasoning { switch, effort, budget, shown: None };
    let on = |effort| level(Switch::On, Some(effort), None);
    let off = level(Switch::Off, None, None);
    for (model, traits, asked, expected, loss) in [
        ("gpt-5.2", &CHAT, on(Effort::Max), json!({"reasoning_effort": "xhigh"}), ""),
        ("gpt-5.2", &CHAT, level(Switch::On, None, None), json!({"reasoning_effort": "medium"}), ""),
        ("gpt-5", &CHAT, level(Switch::On, None, None), json!({}), ""),
        ("gpt-5", &CHAT, on(Effort::Max), json!({"reasoning_effort": "high"}), ""),
        ("gpt-5", &CHAT, off, json!({"reasoning_effort": "minimal"}), "thinking"),
        ("gpt-5.1", &CHAT, off, json!({"reasoning_effort": "none"}), ""),
        ("o3", &CHAT, level(Switch::On, None, Some(31_999)), json!({"reasoning_effort": "high"}), ""),
        ("gpt-4o", &CHAT, on(Effort::High), json!({}), "thinking"),
        ("gpt-4o", &CHAT, off, json!({}), ""),
        ("unknown", &CHAT, off, json!({}), ""),
        ("unknown", &CHAT, on(Effort::High), json!({"reasoning_effort": "high"}), ""),
        ("grok-4", &CHAT, on(Effort::High), json!({}), ""),
        ("google/gemini-3-pro", &MARKS, on(Effort::Medium), json!({"reasoning": {"effort": "medium"}}), ""),
        (
            "x/unknown",
            &MARKS,
            level(Switch::On, None, Some(2000)),
            json!({"reasoning": {"max_tokens": 2000}}),
            "",
        ),
        ("x/unknown", &MARKS, level(Switch::On, None, None), json!({"reasoning": {"enabled": true}}), ""),
        ("x/unknown", &MARKS, off, json!({"reasoning": {"effort": "none"}}), ""),
        ("deepseek-v4-pro", &TEXTS, off, json!({"thinking": {"type": "disabled"}}), ""),
        (
            "deepseek-v4-pro",
            &TEXTS,
            on(Effort::Medium),
            json!({"thinking": {"type": "enabled"}, "reasoning_effort": "low"}),
            "",
        ),
        ("qwen3-32b", &TEMPLATE, off, json!({"chat_template_kwargs": {"enable_thinking": false}}), ""),
        ("gpt-5", &CHAT, Reasoning::default(), json!({}), ""),
    ] {
        let conversation = Conversation { reasoning: asked, ..says(vec![user(vec![text("x")])]) };
        let (mut found, lost) = sent(&conversation, &[], &target(model, traits));
        let fields = found.as_object_mut().unwrap();
        fields.retain(|name, _| !matches!(name.as_str(), "model" | "messages"));
        assert_eq!((&found, lost.as_str()), (&expected, loss), "{model} {asked:?}");
    }
}

#[test]
fn thinking_goes_back_to_the_family_that_made_it_and_to_no_other() {
    const PART: Traits = Traits { family: "mistral", replay: Replay::Part, ..CHAT };
    let details = br#"[{"type":"reasoning.text","text":"t","signature":"s"}]"#;
    let google = "google/gemini-3-pro";
    for (model, traits, block, expected, loss) in [
        (
            "deepseek-v4-pro",
            &TEXTS,
            thinking("t", "deepseek", b""),
            json!({"reasoning_content": "t", "content": "a"}),
            "",
        ),
        (
            "deepseek-v4-pro",
            &TEXTS,
            thinking("t", "anthropic", b"sig"),
            json!({"content": "a"}),
            "messages.thinking",
        ),
        (
            google,
            &MARKS,
            thinking("t", "openrouter-google", details),
            json!({"reasoning_details": [{"type": "reasoning.text", "text": "t", "signature": "s"}], "content": "a"}),
            "",
        ),
        (
            google,
            &MARKS,
            thinking("t", "openrouter-anthropic", details),
            json!({"content": "a"}),
            "messages.thinking",
        ),
        (
            google,
            &MARKS,
            thinking("t", "openrouter-google", b"[{"),
            json!({"reasoning": "t", "content": "a"}),
            "",
        ),
        (google, &MARKS, thinking("", "openrouter-google", b"[{"), json!({"content": "a"}), ""),
        (
            "mistral-small",
            &PART,
            thinking("t", "mistral", b"a\"b"),
            json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}], "signature": "a\"b"}, {"type": "text", "text": "a"}]}),
            "",
        ),
        ("gpt-5", &CHAT, thinking("t", "openai", b"x"), json!({"content": "a"}), ""),
        ("gpt-5", &CHAT, thinking("t", "anthropic", b"x"), json!({"content": "a"}), "messages.thinking"),
    ] {
        let (found, lost) =
            messages(vec![user(vec![text("q")]), assistant(vec![block, text("a")])], &target(model, traits));
        let mut message = found[1].clone();
        message.as_object_mut().unwrap().remove("role");
        if let Some(plain) = message["content"].as_array().filter(|parts| parts.len() == 1) {
            message["content"] = plain[0]["text"].clone();
        }
        assert_eq!((&message, lost.as_str()), (&expected, loss), "{model}");
    }
    let cut = Target { cut_thinking: true, ..target("deepseek-v4-pro", &TEXTS) };
    let turns = vec![user(vec![text("q")]), assistant(vec![thinking("t", "deepseek", b""), text("a")])];
    assert_eq!(messages(turns, &cut).1, "thinking.signature");
}

#[test]
fn a_provider_that_demands_its_thinking_gets_at_least_an_empty_one_with_calls() {
    let turns = vec![
        assistant(vec![text("a")]),
        user(vec![text("q")]),
        assistant(vec![call("a", "f", "{}")]),
        user(vec![result("a", vec![text("x")], false)]),
    ];
    let (found, _) = messages(turns, &target("deepseek-v4-pro", &TEXTS));
    assert_eq!(found[0].get("reasoning_content"), None);
    assert_eq!((&found[2]["reasoning_content"], &found[2]["content"]), (&json!(""), &json!("")));
}

#[test]
fn instructions_stand_where_the_provider_takes_them() {
    const ASIDE: Traits = Traits { late_system: LateSystem::AsUser, ..CHAT };
    let conversation = Conversation {
        system: vec![text("one"), text(" "), text("two")],
        ..says(vec![user(vec![text("q")]), system(vec![text("late"), text("er")])])
    };
    let late = |traits: &'static Traits, model| {
        sent(&conversation, &[], &target(model, traits)).0["messages"].take()
    };
    assert_eq!(
        late(&CHAT, "gpt-5"),
        json!([
            {"role": "developer", "content": "one\n\ntwo"},
            {"role": "user", "content": "q"},
            {"role": "developer", "content": "late\n\ner"},
        ])
    );
    assert_eq!(
        late(&ASIDE, "gpt-4o"),
        json!([
            {"role": "system", "content": "one\n\ntwo"},
            {"role": "user", "content": "q"},
            {"role": "user", "content": "<system-reminder>\nlate\n\ner\n</system-reminder>"},
        ])
    );
    let refused = |field: Field| Target { repairs: field.bit(), ..target("gpt-5", &CHAT) };
    assert_eq!(sent(&conversation, &[], &refused(Field::DeveloperRole)).0["messages"][0]["role"], "system");
    assert_eq!(sent(&conversation, &[], &refused(Field::SystemRole)).0["messages"][0]["role"], "user");
}

#[test]
fn neighbours_are_joined_where_roles_must_alternate() {
    const ALTERNATES: Traits = Traits { alternate: true, late_system: LateSystem::AsUser, ..CHAT };
    let turns = vec![
        user(vec![text("a")]),
        user(vec![text("b")]),
        system(vec![text("<system-reminder>c")]),
        assistant(vec![text("d")]),
        assistant(vec![text("e")]),
    ];
    let part = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(
        messages(turns, &target("m", &ALTERNATES)).0,
        json!([
            {"role": "user", "content": [part("a"), part("b"), part("<system-reminder>c")]},
            {"role": "assistant", "content": "d\n\ne"},
        ])
    );
}

#[test]
fn a_provider_without_tools_is_told_in_words() {
    const TALKS: Traits = Traits { tools: false, alternate: true, ..CHAT };
    let turns = vec![
        user(vec![text("q")]),
        assistant(vec![text("I look."), call("a", "Read", "{\"p\":1}")]),
        user(vec![result("a", vec![text("x")], false)]),
    ];
    let (found, loss) = sent(&says(turns), &[function("Read")], &target("sonar", &TALKS));
    assert_eq!(found["messages"][1]["content"], "I look.\n\n[Called Read with {\"p\":1}]");
    assert_eq!(found["messages"][2]["content"][0]["text"], "Result of a tool call:\nx");
    assert_eq!((found.get("tools"), loss.as_str()), (None, ""));
    assert_eq!(boxed(&[function("Read")], &target("sonar", &TALKS)).loss.header(), "tools");
}

#[test]
fn media_become_parts_where_they_are_taken_and_words_elsewhere() {
    let base64 = |mime: &str| Source::Base64 { mime: Escaped::of(mime), data: Escaped::of("AA") };
    for (block, expected, on_texts) in [
        (
            media(MediaKind::Image, Source::Url(Escaped::of("https://x/y"))),
            json!([{"type": "image_url", "image_url": {"url": "https://x/y"}}]),
            "[image left out: https://x/y]",
        ),
        (
            media(MediaKind::Document, base64("application/pdf")),
            json!([{"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,AA"}}]),
            "[document left out]",
        ),
        (
            media(MediaKind::Audio, base64("audio/mpeg")),
            json!([{"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}}]),
            "[sound left out]",
        ),
        (
            media(MediaKind::Document, Source::Text(Escaped::of("plain"))),
            json!([{"type": "text", "text": "plain"}]),
            "plain",
        ),
        (
            media(MediaKind::Image, Source::File(Escaped::of("file-1"))),
            json!([{"type": "text", "text": "[image left out]"}]),
            "[image left out]",
        ),
    ] {
        let turns = || vec![user(vec![block.clone()])];
        assert_eq!(messages(turns(), &target("gpt-4o", &CHAT)).0[0]["content"], expected);
        assert_eq!(messages(turns(), &target("deepseek-chat", &TEXTS)).0[0]["content"], on_texts);
    }
}

#[test]
fn what_no_provider_of_the_dialect_knows_leaves_no_empty_message() {
    let raw: &[u8] = br#"{"type":"server_tool_use","id":"s"}"#;
    let foreign = Block::new(Content::Server { owner: Dialect::Messages, raw: raw.into() });
    let turns = vec![
        user(vec![text("q")]),
        assistant(vec![foreign.clone()]),
        user(vec![text("  ")]),
        assistant(vec![foreign, text("a")]),
    ];
    let (found, loss) = messages(turns, &target("gpt-4o", &CHAT));
    assert_eq!(found, json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]));
    assert_eq!(loss, "messages.server_tool_use");
    let refused =
        write(&says(vec![user(vec![text(" ")])]), &Arc::default(), &target("gpt-4o", &CHAT)).unwrap_err();
    assert_eq!(refused.message, "messages: nothing of them can be said to this model");
}

#[test]
fn fields_go_where_they_are_taken() {
    let asked = || Conversation {
        max_output: Some(64_000),
        stop: vec![Escaped::of("a"), Escaped::of(""), Escaped::of("b")],
        temperature: Some(b"0.50"),
        top_p: Some(b"1"),
        top_k: Some(b"40"),
        settings: vec![(Setting::Seed, b"7"), (Setting::Logprobs, b"true"), (Setting::Logprobs, b"2")],
        user: Some(Escaped::of("user_1")),
        session: Some("s".into()),
        tier: Some(Tier::Priority),
        parallel: Some(false),
        stream: true,
        ..says(vec![user(vec![text("x")])])
    };
    let fields = |target: &Target<'_>| {
        let (mut found, loss) = sent(&asked(), &[function("f")], target);
        let fields = found.as_object_mut().unwrap();
        fields.retain(|name, _| !matches!(name.as_str(), "model" | "messages" | "tools"));
        (found, loss)
    };
    let hash = crate::wire::names::digest_of(b"user_1", 64);
    let (found, loss) = fields(&target("gpt-4o", &CHAT));
    let mut all = json!({
        "stream": true, "stream_options": {"include_usage": true}, "max_completion_tokens": 16384, "temperature": 0.50,
        "top_p": 1, "seed": 7, "logprobs": true, "top_logprobs": 2, "stop": ["a", "b"], "safety_identifier": hash,
        "prompt_cache_key": "s", "service_tier": "priority", "parallel_tool_calls": false,
    });
    assert_eq!((&found, loss.as_str()), (&all, "max_tokens, top_k"));
    let refused = Field::Temperature.bit() | Field::StreamOptions.bit() | Field::MaxCompletionTokens.bit();
    let (found, loss) = fields(&Target { repairs: refused, limit: Some(9), ..target("gpt-4o", &CHAT) });
    let map = all.as_object_mut().unwrap();
    for name in ["temperature", "stream_options", "max_completion_tokens"] {
        map.remove(name);
    }
    map.insert("max_tokens".to_owned(), json!(9));
    assert_eq!((&found, loss.as_str()), (&all, "max_tokens, temperature, top_k"));
    let (found, loss) = fields(&target("o3", &CHAT));
    assert_eq!(found.get("temperature").or(found.get("stop")).or(found.get("parallel_tool_calls")), None);
    assert_eq!(found["max_completion_tokens"], 64_000);
    assert_eq!(loss, "temperature, top_k, logprobs, stop_sequences, disable_parallel_tool_use");
    let (found, loss) = fields(&target("deepseek-v4-pro", &TEXTS));
    assert_eq!(
        found,
        json!({"stream": true, "stream_options": {"include_usage": true}, "max_tokens": 64000, "temperature": 0.50, "top_p": 1, "stop": ["a", "b"], "parallel_tool_calls": false})
    );
    assert_eq!(loss, "top_k, seed, logprobs, service_tier");
}

#[test]
fn the_form_of_the_answer_is_a_field_or_an_instruction() {
    const NEVER: Traits = Traits { format: FormatForm::Never, ..CHAT };
    let schema: &[u8] = br#"{"title":"My Answer","type":"object"}"#;
    let by_schema = || Format::Schema { name: None, schema, strict: None };
    let hint = "Answer with JSON and nothing else: a value that fits this JSON Schema.\n{\"title\":\"My Answer\",\"type\":\"object\"}";
    let json_hint = "Answer with a JSON object and nothing else.";
    for (format, traits, field, system, loss) in [
        (by_schema(), &CHAT, Some("json_schema"), None, ""),
        (by_schema(), &TEXTS, Some("json_object"), Some(hint), "output_config.format"),
        (by_schema(), &NEVER, None, Some(hint), "output_config.format"),
        (Format::Json, &CHAT, Some("json_object"), Some(json_hint), ""),
        (Format::Json, &NEVER, None, Some(json_hint), "output_config.format"),
    ] {
        let conversation = Conversation { format, ..says(vec![user(vec![text("x")])]) };
        let (found, lost) = sent(&conversation, &[], &target("m", traits));
        assert_eq!(found["response_format"]["type"].as_str(), field);
        assert_eq!(found["messages"][0]["content"].as_str().filter(|text| *text != "x"), system);
        assert_eq!(lost, loss);
        if field == Some("json_schema") {
            let name = found["response_format"]["json_schema"]["name"].as_str().unwrap();
            assert!(name.starts_with("My_Answer_"), "{name}");
        }
    }
}

#[test]
fn long_names_of_tools_fit_everywhere_and_are_put_back() {
    let long = format!("mcp__server__{}", "x".repeat(80));
    let target = target("gpt-4o", &CHAT);
    let toolbox = boxed(&[function(&long), function("f")], &target);
    let conversation = Conversation {
        choice: Some(Choice::Tool(Escaped::of(&long))),
        ..says(vec![
            assistant(vec![call(&"i".repeat(60), &long, "{}")]),
            user(vec![result(&"i".repeat(60), vec![text("x")], false)]),
        ])
    };
    let (found, _) = sent(&conversation, &[function(&long), function("f")], &target);
    let name = found["tools"][0]["function"]["name"].as_str().unwrap();
    assert_eq!(name.len(), 64);
    assert_eq!(found["tool_choice"]["function"]["name"], name);
    assert_eq!(found["messages"][0]["tool_calls"][0]["function"]["name"], name);
    let id = found["messages"][0]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(id.len() <= 40 && found["messages"][1]["tool_call_id"] == id);
    assert_eq!(toolbox.names.original(name.as_bytes()), long.as_bytes());
    assert!(toolbox.offers(long.as_bytes()) && !toolbox.offers(name.as_bytes()));
}

#[test]
fn a_list_of_tools_keeps_its_schemas_and_tells_what_it_leaves_out() {
    const LAX: Traits = Traits { strict_tools: false, ..CHAT };
    let schema: &[u8] = br#"{"$schema":"https://json-schema.org/draft/2020-12/schema","b":1.0,"a":{}}"#;
    let strict = Tool {
        kind: ToolKind::Function {
            name: Escaped::of("f"),
            description: Some(Escaped::raw(&br"a\nb"[..])),
            schema: Some(schema),
            strict: Some(true),
        },
        cache: None,
    };
    let bare = Tool {
        kind: ToolKind::Function { name: Escaped::of("g"), description: None, schema: None, strict: None },
        cache: None,
    };
    let list = [strict, search(), bare];
    let toolbox = tools::write(&list, &CHAT, "gpt-4o");
    let front = r#"[{"type":"function","function":{"name":"f","description":"a\nb","parameters":"#;
    let back =
        r#"}},{"type":"function","function":{"name":"g","parameters":{"type":"object","properties":{}}}}]"#;
    let schema = std::str::from_utf8(schema).unwrap();
    let json = |toolbox: &Toolbox| String::from_utf8(toolbox.json.to_vec()).unwrap();
    assert_eq!(json(&toolbox), format!(r#"{front}{schema},"strict":true{back}"#));
    assert_eq!(toolbox.loss.header(), "tools.web_search_20250305");
    assert!(toolbox.left_out.iter().map(|name| &**name).eq([&b"web_search"[..]]));
    let lax = tools::write(&list, &LAX, "gpt-4o");
    assert_eq!(json(&lax), format!("{front}{schema}{back}"));
    assert_eq!(lax.loss.header(), "tools.strict, tools.web_search_20250305");
    let refused = Target { repairs: Field::ToolStrict.bit(), ..target("gpt-4o", &CHAT) };
    let (found, loss) = sent(&says(vec![user(vec![text("x")])]), &list, &refused);
    assert_eq!((found["tools"][0]["function"].get("strict"), loss.as_str()), (None, "tools.strict"));
    assert!(tools::write(&[search()], &CHAT, "gpt-4o").json.is_empty());
}

/// What a Chat client says comes out the same for a provider of its own dialect.
#[test]
fn a_request_of_the_same_dialect_crosses_unharmed() {
    // Recorded; the order of the members is ours.
    let recorded = r#"{"model":"gpt-4o","messages":[{"role":"system","content":"You are a helpful assistant"},{"role":"user","content":"What's the weather in Florence, Italy?"},{"role":"assistant","content":null,"tool_calls":[{"id":"toolu_bdrk_01AfMUr4SPqrUP7qb65GXqma","type":"function","function":{"name":"weather","arguments":"{\"location\": \"Florence, Italy\"}"}}]},{"role":"tool","tool_call_id":"toolu_bdrk_01AfMUr4SPqrUP7qb65GXqma","content":"40 C"}],"max_completion_tokens":4000,"stop":["x"],"tools":[{"type":"function","function":{"name":"weather","description":"Get weather information for a location","parameters":{"properties":{"location":{"description":"the city","type":"string"}},"required":["location"],"type":"object"},"strict":false}}],"tool_choice":"auto"}"#;
    let ask = Ask::read(recorded.as_bytes(), false).unwrap();
    let conversation = read::read(&ask).unwrap();
    let mut loss = Loss::default();
    let tools = request::tools::read(conversation.tools.unwrap(), &mut loss).unwrap();
    let target = target("gpt-4o", &CHAT);
    let written = write(&conversation, &boxed(&tools, &target), &target).unwrap();
    let bytes = written.pieces().collect::<Vec<_>>().concat();
    assert_eq!(String::from_utf8(bytes).unwrap(), recorded);
    assert!(loss.is_empty() && written.loss.is_empty() && conversation.loss.is_empty());
}
