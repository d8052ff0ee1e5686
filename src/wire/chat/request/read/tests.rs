//! Reading is compared with what the messages say, as one line each; nothing is written back here.

use super::read;
use crate::wire::chat::Ask;
use crate::wire::chat::request::tools;
use crate::wire::ir::{Block, Content, Conversation, Source, ToolKind};
use crate::wire::{Loss, seal};

fn conversation(body: &str) -> Result<Conversation<'_>, String> {
    let ask = Ask::read(body.as_bytes(), false).map_err(|error| error.message)?;
    read(&ask).map_err(|error| error.message)
}

/// A block in few words.
fn told(block: &Block<'_>) -> String {
    let mark = block.cache.map_or(String::new(), |ttl| format!("!{ttl:?}"));
    let said = match &block.content {
        Content::Text(text) => format!("{:?}", text.plain()),
        Content::Refusal(text) => format!("no {:?}", text.plain()),
        Content::Thinking { text, seal } => {
            let family = seal.as_ref().map_or("", |seal| &seal.family);
            format!("think {:?} {family}", text.plain())
        }
        Content::ToolCall { id, name, args } => {
            format!("call {} {} {}", id.plain(), name.plain(), String::from_utf8_lossy(args))
        }
        Content::ToolResult { id, blocks, .. } => {
            format!("result {} [{}]", id.plain(), blocks.iter().map(told).collect::<Vec<_>>().join(", "))
        }
        Content::Media(media) => match &media.source {
            Source::Base64 { mime, data } => format!("{:?} {} {}", media.kind, mime.plain(), data.plain()),
            Source::Url(url) => format!("{:?} at {}", media.kind, url.plain()),
            Source::File(id) => format!("{:?} file {}", media.kind, id.plain()),
            Source::Text(text) => format!("{:?} text {}", media.kind, text.plain()),
        },
        Content::Server { .. } | Content::Opaque { .. } => "foreign".to_owned(),
    };
    said + &mark
}

fn turns(conversation: &Conversation<'_>) -> Vec<String> {
    let turn = |turn: &crate::wire::ir::Turn<'_>| {
        format!("{:?}: {}", turn.role, turn.blocks.iter().map(told).collect::<Vec<_>>().join(", "))
    };
    conversation.turns.iter().map(turn).collect()
}

fn messages(messages: &str) -> (Vec<String>, String) {
    let body = format!(r#"{{"model":"m","messages":[{messages}]}}"#);
    let read = conversation(&body).unwrap_or_else(|error| panic!("{error}: {messages}"));
    (turns(&read), read.loss.header())
}

#[test]
fn every_part_of_a_message_is_read() {
    for (message, expected, loss) in [
        (r#"{"role":"user","content":"a\"b"}"#, r#"User: "a\"b""#, ""),
        (
            r#"{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}]}"#,
            r#"User: "a"!Hour"#,
            "",
        ),
        (
            r#"{"content":"Say hi in Portuguese","role":"user","cache_control":{"type":"ephemeral"}}"#,
            r#"User: "Say hi in Portuguese"!Default"#,
            "",
        ),
        (
            r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image\/png;base64,AA==","detail":"low"}}]}"#,
            "User: Image image/png AA==",
            "",
        ),
        (
            r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}"#,
            "User: Image at https://x/y.png",
            "",
        ),
        (
            r#"{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA","format":"wav"}}]}"#,
            "User: Audio wav AA",
            "",
        ),
        (
            r#"{"role":"user","content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,AA","filename":"a.pdf"}}]}"#,
            "User: Document application/pdf AA",
            "",
        ),
        (
            r#"{"role":"user","content":[{"type":"file","file":{"file_id":"f-1"}}]}"#,
            "User: Document file f-1",
            "",
        ),
        (
            r#"{"role":"user","name":"joe","content":[{"type":"video_url","video_url":{}},{"type":"text","text":"a"}]}"#,
            r#"User: "a""#,
            "messages.name, messages.video_url",
        ),
        (r#"{"role":"assistant","content":null,"refusal":"no"}"#, r#"Assistant: no "no""#, ""),
        (
            r#"{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]}"#,
            r#"Assistant: no "no""#,
            "",
        ),
        (
            r#"{"role":"assistant","content":"a","reasoning_content":"t"}"#,
            r#"Assistant: think "t" , "a""#,
            "",
        ),
        (
            r#"{"role":"assistant","content":"a","reasoning":"t","reasoning_details":[]}"#,
            r#"Assistant: think "t" , "a""#,
            "",
        ),
        (
            r#"{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"t"},{"type":"text","text":"u"}]},{"type":"text","text":"a"}]}"#,
            r#"Assistant: think "tu" , "a""#,
            "",
        ),
    ] {
        assert_eq!(messages(message), (vec![expected.to_owned()], loss.to_owned()), "{message}");
    }
}

#[test]
fn instructions_in_front_are_the_conversations_and_later_ones_turns() {
    let body = r#"{"model":"m","messages":[{"role":"system","content":"a"},{"role":"developer","content":[{"type":"text","text":"b"}]},{"role":"user","content":"c"},{"role":"system","content":"d"},{"role":"system","content":""}]}"#;
    let read = conversation(body).unwrap();
    assert_eq!(read.system.iter().map(told).collect::<Vec<_>>(), ["\"a\"", "\"b\""]);
    assert_eq!(turns(&read), ["User: \"c\"", "System: \"d\""]);
}

#[test]
fn empty_null_and_broken_arguments_become_an_object() {
    for (arguments, expected, loss) in [
        (r#""{\"a\":\"\\n\"}""#, r#"{"a":"\n"}"#, ""),
        (r#""{\"b\": 1.0, \"a\":1}""#, r#"{"b": 1.0, "a":1}"#, ""),
        (r#""""#, "{}", ""),
        ("null", "{}", ""),
        (r#""null""#, "{}", ""),
        (r#""\"\"""#, "{}", ""),
        (r#"{"a":1}"#, r#"{"a":1}"#, ""),
        (r#""{\"a\":""#, r#"{"arguments":"{\"a\":"}"#, "messages.tool_calls.arguments"),
        (r#""[1]""#, r#"{"arguments":"[1]"}"#, "messages.tool_calls.arguments"),
    ] {
        let message = format!(
            r#"{{"role":"assistant","content":"","tool_calls":[{{"id":"c","type":"function","function":{{"name":"f","arguments":{arguments}}}}}]}}"#
        );
        assert_eq!(messages(&message), (vec![format!("Assistant: call c f {expected}")], loss.to_owned()));
    }
    let absent = r#"{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f"}}]}"#;
    assert_eq!(messages(absent).0, ["Assistant: call c f {}"]);
}

#[test]
fn results_that_stand_together_are_one_turn() {
    // From a recorded session with two calls at once.
    let recorded = r#"{"content":"Call both.","role":"user"},{"content":"","role":"assistant","tool_calls":[{"function":{"arguments":"{}","name":"lookup_harbor_label"},"id":"call_REDACTED_1","index":0,"type":"function"},{"function":{"arguments":"{}","name":"lookup_orchard_label"},"id":"call_REDACTED_2","index":0,"type":"function"}]},{"content":"crimson-harbor","role":"tool","tool_call_id":"call_REDACTED_1"},{"content":[{"type":"text","text":"silver-orchard","cache_control":{"type":"ephemeral"}}],"role":"tool","tool_call_id":"call_REDACTED_2"},{"role":"user","content":"go on"}"#;
    assert_eq!(
        messages(recorded).0,
        [
            "User: \"Call both.\"",
            "Assistant: call call_REDACTED_1 lookup_harbor_label {}, call call_REDACTED_2 lookup_orchard_label {}",
            "User: result call_REDACTED_1 [\"crimson-harbor\"], result call_REDACTED_2 [\"silver-orchard\"]!Default",
            "User: \"go on\"",
        ]
    );
}

#[test]
fn calls_of_other_kinds_are_read() {
    let (read, _) = messages(
        r#"{"role":"user","content":"x"},{"role":"assistant","function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"r"},{"role":"assistant","tool_calls":[{"id":"c","type":"custom","custom":{"name":"patch","input":"a\nb"}}]},{"role":"tool","tool_call_id":"c","content":"ok"}"#,
    );
    assert_eq!(
        read[1..],
        [
            "Assistant: call function_1 f {}",
            "User: result function_1 [\"r\"]",
            r#"Assistant: call c patch {"input":"a\nb"}"#,
            "User: result c [\"ok\"]",
        ]
    );
}

#[test]
fn a_seal_comes_back_with_its_thinking() {
    let mut sealed = Vec::new();
    seal::write(&mut sealed, "anthropic", b"state");
    let sealed = String::from_utf8(sealed).unwrap();
    for (details, expected) in [
        (format!(r#"{{"type":"reasoning.text","text":"t","signature":"{sealed}"}}"#), r#"think "t" anthropic"#),
        (format!(r#"{{"type":"reasoning.text","text":"t"}},{{"type":"reasoning.encrypted","data":"{sealed}"}}"#), r#"think "t" anthropic"#),
        (format!(r#"{{"type":"reasoning.encrypted","data":"{sealed}"}}"#), r#"think "plain" anthropic"#),
        (r#"{"format":"anthropic-claude-v1","index":0,"signature":"EvgCCkgIDRABGAIq","text":"t","type":"reasoning.text"}"#.to_owned(), r#"think "t" "#),
        (r#"{"type":"reasoning.encrypted","data":"gAAAA"}"#.to_owned(), r#"think "plain" "#),
    ] {
        let message = format!(
            r#"{{"role":"assistant","content":"a","reasoning":"plain","reasoning_details":[{details}]}}"#
        );
        assert_eq!(messages(&message).0, [format!(r#"Assistant: {expected}, "a""#)], "{details}");
    }
}

#[test]
fn fields_are_read_and_the_rest_is_told() {
    let body = r#"{"model":"m","stream":true,"max_tokens":9,"max_completion_tokens":7,"temperature":0.50,"top_p":null,"top_k":5,"stop":"x","seed":1,"logprobs":true,"top_logprobs":2,"n":1,"user":"u","safety_identifier":"s","service_tier":"flex","parallel_tool_calls":false,"tool_choice":{"type":"function","function":{"name":"f"}},"reasoning_effort":"low","response_format":{"type":"json_schema","json_schema":{"name":"r","schema":{"a":1.0},"strict":true}},"store":true,"verbosity":"low","metadata":{},"modalities":["text"],"web_search_options":{},"prompt_cache_key":"k","messages":[{"role":"user","content":"x"}]}"#;
    let read = conversation(body).unwrap();
    assert_eq!(
        (read.max_output, read.temperature, read.top_p, read.top_k),
        (Some(7), Some(&b"0.50"[..]), None, Some(&b"5"[..]))
    );
    assert_eq!((read.stop.len(), read.settings.len(), read.parallel), (1, 3, Some(false)));
    assert_eq!(read.user.unwrap().as_bytes(), b"s");
    assert_eq!(format!("{:?} {:?}", read.tier, read.reasoning.effort), "Some(Flex) Some(Low)");
    assert_eq!(read.loss.header(), "store, verbosity, metadata, web_search_options");
    assert!(matches!(
        read.format,
        crate::wire::ir::Format::Schema { schema: br#"{"a":1.0}"#, strict: Some(true), .. }
    ));
}

#[test]
fn every_form_of_a_choice_is_read() {
    for (field, expected) in [
        (r#""tool_choice":"auto""#, "Some(Auto)"),
        (r#""tool_choice":"none""#, "Some(None)"),
        (r#""tool_choice":"required""#, "Some(Any)"),
        (r#""tool_choice":{"type":"custom","custom":{"name":"f"}}"#, "Some(Tool(Escaped([102])))"),
        (
            r#""tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[]}}"#,
            "Some(Any)",
        ),
        (r#""function_call":{"name":"f"}"#, "Some(Tool(Escaped([102])))"),
        (r#""function_call":"none""#, "Some(None)"),
        (r#""tool_choice":null"#, "None"),
    ] {
        let body = format!(r#"{{"model":"m",{field},"messages":[{{"role":"user","content":"x"}}]}}"#);
        assert_eq!(format!("{:?}", conversation(&body).unwrap().choice), expected, "{field}");
    }
}

#[test]
fn reasoning_is_read_in_every_spelling() {
    for (field, expected) in [
        (r#""reasoning_effort":"none""#, "Off Some(None) None None"),
        (r#""reasoning":{"max_tokens":1024,"exclude":true}"#, "On None Some(1024) Some(false)"),
        (r#""reasoning":{"effort":"high","enabled":true}"#, "On Some(High) None None"),
        (r#""thinking":{"type":"disabled"}"#, "Off None None None"),
        (r#""thinking":{"type":"enabled","budget_tokens":2000}"#, "On None Some(2000) None"),
    ] {
        let body = format!(r#"{{"model":"m",{field},"messages":[{{"role":"user","content":"x"}}]}}"#);
        let read = conversation(&body).unwrap().reasoning;
        let told = format!("{:?} {:?} {:?} {:?}", read.switch, read.effort, read.budget, read.shown);
        assert_eq!(told, expected, "{field}");
    }
}

#[test]
fn a_refusal_names_the_field_what_came_and_what_was_expected() {
    let call = r#"{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]}"#;
    for (rest, message) in [
        (
            r#""messages":[{"role":"tool","tool_call_id":"c","content":"x"}]"#.to_owned(),
            "messages[0].tool_call_id: expected the id of a call in the assistant's message before it, got `c`",
        ),
        (
            format!(r#""messages":[{call},{{"role":"tool","tool_call_id":"d","content":"x"}}]"#),
            "messages[1].tool_call_id: expected the id of a call in the assistant's message before it, got `d`",
        ),
        (
            format!(r#""messages":[{call},{{"role":"tool","content":"x"}}]"#),
            "messages[1].tool_call_id: field required",
        ),
        (r#""messages":[5]"#.to_owned(), "messages[0]: expected an object, got 5"),
        (r#""messages":[{"content":"x"}]"#.to_owned(), "messages[0].role: field required"),
        (
            r#""messages":[{"role":"robot"}]"#.to_owned(),
            "messages[0].role: expected developer, system, user, assistant or tool, got a string",
        ),
        (
            r#""messages":[{"role":"user","content":5}]"#.to_owned(),
            "messages[0].content: expected a string or an array of parts, got 5",
        ),
        (
            r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,x"}}]}]"#
                .to_owned(),
            "messages[0].content[].url: expected a data URL as `data:<type>;base64,<data>`",
        ),
        (
            r#""messages":[{"role":"system","content":"x"}]"#.to_owned(),
            "messages: expected a message of the user at the least, got instructions only",
        ),
        (
            r#""messages":[{"role":"user","content":"x"}],"n":2"#.to_owned(),
            "n: expected 1, since the model answers once to each request, got 2",
        ),
        (
            r#""messages":[{"role":"user","content":"x"}],"temperature":"hot""#.to_owned(),
            "temperature: expected a number, got a string",
        ),
        (
            r#""messages":[{"role":"user","content":"x"}],"tools":{}"#.to_owned(),
            "tools: expected an array, got an object",
        ),
        (
            r#""messages":[{"role":"user","content":"x"}],"reasoning_effort":"huge""#.to_owned(),
            "reasoning_effort: expected none, minimal, low, medium, high, xhigh or max, got a string",
        ),
    ] {
        assert_eq!(conversation(&format!(r#"{{"model":"m",{rest}}}"#)).unwrap_err(), message, "{rest}");
    }
}

#[test]
fn tools_of_every_kind_are_read() {
    let raw = br#"[{"type":"function","function":{"name":"a","description":"d\n","parameters":{"x":1.0},"strict":false},"cache_control":{"type":"ephemeral"}},{"name":"old","parameters":null},{"type":"custom","custom":{"name":"patch","format":{"type":"grammar"}}},{"type":"web_search"}]"#;
    let mut loss = Loss::default();
    let read = tools::read(raw, &mut loss).unwrap();
    let told: Vec<String> = read
        .iter()
        .map(|tool| match &tool.kind {
            ToolKind::Function { name, schema, strict, .. } => {
                format!(
                    "{} {:?} {strict:?} {:?}",
                    name.plain(),
                    schema.map(String::from_utf8_lossy),
                    tool.cache
                )
            }
            ToolKind::Known { name, word, .. } => format!("known {} {word}", name.plain()),
            ToolKind::Server { name, word, .. } => format!("server {} {word}", name.plain()),
        })
        .collect();
    assert_eq!(
        told,
        [
            r#"a Some("{\"x\":1.0}") Some(false) Some(Default)"#,
            "old None None None",
            "known patch custom",
            "server web_search web_search",
        ]
    );
    for (raw, message) in [
        (&b"[5]"[..], "tools[]: expected an object, got 5"),
        (br#"[{"type":"function","function":{}}]"#, "tools[].function.name: expected a name, got nothing"),
        (
            br#"[{"type":"function","function":{"name":"a","parameters":[]}}]"#,
            "tools[].function.parameters: expected an object, got an array",
        ),
    ] {
        assert_eq!(tools::read(raw, &mut loss).unwrap_err().message, message);
    }
}
