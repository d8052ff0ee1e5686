//! What a Messages request is read as, case by case.
//!
//! A conversation is shown as one line, so that a case is a pair of texts. Recorded requests are read in `tests/laws.rs`
//! as far as they are passed on; here is what becomes of each kind of block.

use super::super::{Ask, Call};
use super::read;
use crate::wire::Dialect;
use crate::wire::ir::{Block, Choice, Content, Conversation, Escaped, Format, Media, Source, Ttl};

fn conversation(body: &str) -> Result<Conversation<'_>, String> {
    let ask = Ask::read(body.as_bytes(), Call::CountTokens).expect(body);
    read(&ask).map_err(|error| error.message)
}

fn with(members: &str) -> String {
    let messages = if members.contains(r#""messages""#) { "" } else { r#","messages":[]"# };
    format!(r#"{{"model":"m"{messages},{members}}}"#)
}

/// The turns of a request with these messages, and what was lost.
fn turns(messages: &str) -> (String, String) {
    let body = with(&format!(r#""messages":[{messages}]"#));
    let conversation = conversation(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    let show = |turn: &crate::wire::ir::Turn<'_>| format!("{:?}[{}]", turn.role, blocks(&turn.blocks));
    let turns: Vec<String> = conversation.turns.iter().map(show).collect();
    (turns.join(" ").to_lowercase(), conversation.loss.header())
}

fn blocks(blocks: &[Block<'_>]) -> String {
    let mark = |cache| match cache {
        None => "",
        Some(Ttl::Default) => "+5m",
        Some(Ttl::Hour) => "+1h",
    };
    let show = |block: &Block<'_>| format!("{}{}", content(&block.content), mark(block.cache));
    blocks.iter().map(show).collect::<Vec<_>>().join(" ")
}

fn content(content: &Content<'_>) -> String {
    match content {
        Content::Text(text) => format!("`{}`", text.plain()),
        Content::Media(Media { kind, source, title, .. }) => {
            let title = title.as_ref().map(|title| title.plain().into_owned()).unwrap_or_default();
            format!("{kind:?}({title};{})", place(source))
        }
        Content::ToolCall { id, name, args } => {
            format!("call({},{},{})", id.plain(), name.plain(), String::from_utf8_lossy(args))
        }
        Content::ToolResult { id, blocks: inner, error } => {
            format!("result{}({}:{})", if *error { "!" } else { "" }, id.plain(), blocks(inner))
        }
        Content::Thinking { text, seal } => {
            let seal = seal
                .as_ref()
                .map(|seal| format!("{}:{}", seal.family, String::from_utf8_lossy(&seal.payload)));
            format!("think({};{})", text.plain(), seal.unwrap_or_default())
        }
        Content::Refusal(text) => format!("refusal({})", text.plain()),
        Content::Server { owner: Dialect::Messages, raw } => format!("server({})", raw.len()),
        Content::Opaque { owner: Dialect::Messages, raw } => format!("opaque({})", raw.len()),
        Content::Server { owner, .. } | Content::Opaque { owner, .. } => format!("stranger({owner:?})"),
    }
}

fn place(source: &Source<'_>) -> String {
    match source {
        Source::Base64 { mime, data } => format!("{},{}", mime.plain(), data.plain()),
        Source::Url(url) => url.plain().into_owned(),
        Source::Text(text) => format!("`{}`", text.plain()),
        Source::File(id) => format!("file {}", id.plain()),
    }
}

fn user(block: &str) -> String {
    format!(r#"{{"role":"user","content":[{block}]}}"#)
}

#[test]
fn a_message_is_read_in_every_form_of_its_content() {
    for (messages, expected) in [
        (r#"{"role":"user","content":"a \"b\""}"#, "user[`a \"b\"`]"),
        (r#"{"content":[{"text":"x","type":"text"}],"role":"user"}"#, "user[`x`]"),
        (r#"{"r\u006fle":"user","content":[{"t\u0079pe":"text","te\u0078t":"x"}]}"#, "user[`x`]"),
        // The carrier of a setting, and texts that the API would refuse.
        (r#"{"role":"system","content":[]},{"role":"user","content":"  "}"#, ""),
        (
            r#"{"role":"user","content":[{"type":"text","text":""},{"type":"text","text":" \n "},{"type":"text","text":"x"}]}"#,
            "user[`x`]",
        ),
        (r#"{"role":"ctx","content":"a"},{"role":"msg","content":"b"}"#, "user[`a`] user[`b`]"),
        (
            r#"{"role":"user","content":"a"},{"role":"system","content":"s"},{"role":"user","content":"b"}"#,
            "user[`a`] system[`s`] user[`b`]",
        ),
        (
            r#"{"role":"system","content":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}"#,
            "system[`s`+1h]",
        ),
        (
            r#"{"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}},{"type":"text","text":"y","cache_control":null}]}"#,
            "user[`x`+5m `y`]",
        ),
    ] {
        assert_eq!(turns(messages), (expected.to_owned(), String::new()), "{messages}");
    }
}

#[test]
fn each_kind_of_block_is_read() {
    for (block, expected, lost) in [
        (
            r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA+/"}}"#,
            "image(;image/png,aa+/)",
            "",
        ),
        (
            r#"{"type":"image","source":{"type":"url","url":"https://x/y"},"cache_control":{"type":"ephemeral"}}"#,
            "image(;https://x/y)+5m",
            "",
        ),
        (r#"{"type":"image","source":{"type":"file","file_id":"f1"}}"#, "image(;file f1)", ""),
        (
            r#"{"type":"document","title":"t","context":"about","source":{"type":"base64","media_type":"application/pdf","data":"JV"}}"#,
            "`about` document(t;application/pdf,jv)",
            "",
        ),
        (
            r#"{"type":"document","citations":{"enabled":true},"source":{"type":"text","media_type":"text/plain","data":"body"}}"#,
            "document(;`body`)",
            "messages.citations",
        ),
        (
            r#"{"type":"document","title":"t","cache_control":{"type":"ephemeral"},"source":{"type":"content","content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"url","url":"https://x"}}]}}"#,
            "`t` `a` image(;https://x)+5m",
            "",
        ),
        (r#"{"type":"document","source":{"type":"content","content":"whole"}}"#, "`whole`", ""),
        (
            r#"{"type":"search_result","title":"t","source":"https://s","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#,
            "`t\nhttps://s\na\nb`",
            "",
        ),
        (
            r#"{"type":"tool_use","id":"i","name":"n","input":{"b":1.0, "a":[]}}"#,
            "call(i,n,{\"b\":1.0, \"a\":[]})",
            "",
        ),
        (r#"{"type":"tool_use","id":"i","name":"n"}"#, "call(i,n,{})", ""),
        (r#"{"type":"tool_result","tool_use_id":"i","content":"ok"}"#, "result(i:`ok`)", ""),
        (
            r#"{"type":"tool_result","tool_use_id":"i","is_error":true,"content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"url","url":"https://x"}}],"cache_control":{"type":"ephemeral"}}"#,
            "result!(i:`a` image(;https://x))+5m",
            "",
        ),
        (r#"{"type":"tool_result","tool_use_id":"i"}"#, "result(i:)", ""),
        (
            r#"{"type":"tool_result","tool_use_id":"i","content":[{"type":"tool_reference","tool_name":"A"},{"type":"tool_reference","tool_name":"B"}]}"#,
            "result(i:`tool loaded: a` `tool loaded: b`)",
            "",
        ),
        (
            r#"{"type":"tool_result","tool_use_id":"i","content":[{"type":"brand_new"}]}"#,
            "result(i:)",
            "messages.tool_result.brand_new",
        ),
        (r#"{"type":"thinking","thinking":"hm","signature":"c2ln"}"#, "think(hm;anthropic:c2ln)", ""),
        (
            r#"{"type":"thinking","thinking":"hm","signature":"pm1.deepseek.c2VhbA"}"#,
            "think(hm;deepseek:seal)",
            "",
        ),
        (r#"{"type":"thinking","thinking":"hm","signature":"pm1.deepseek.%%"}"#, "think(hm;)", ""),
        (r#"{"type":"thinking","thinking":"hm","signature":""}"#, "think(hm;)", ""),
        (r#"{"type":"redacted_thinking","data":"EmwK"}"#, "think(;anthropic:redacted:emwk)", ""),
        (r#"{"type":"redacted_thinking","data":"pm1.xai.c2VhbA"}"#, "think(;xai:seal)", ""),
        (r#"{"type":"server_tool_use","id":"s"}"#, "server(35)", ""),
        (r#"{"type":"web_search_tool_result"}"#, "server(33)", ""),
        (r#"{"type":"mcp_tool_use"}"#, "server(23)", ""),
        (r#"{"type":"container_upload"}"#, "server(27)", ""),
        (r#"{"type":"compaction","content":"so far"}"#, "`so far`", ""),
        (r#"{"type":"brand_new"}"#, "opaque(20)", ""),
    ] {
        let (turns, loss) = turns(&user(block));
        assert_eq!((turns, loss.as_str()), (format!("user[{expected}]"), lost), "{block}");
    }
    for nothing in [r#"{"type":"fallback","from":"a","to":"b"}"#, r#"{"type":"compaction","content":null}"#] {
        assert_eq!(turns(&user(nothing)), (String::new(), String::new()));
    }
}

#[test]
fn a_change_of_tools_is_told_in_words() {
    for (block, expected) in [
        (r#"{"type":"tool_addition","tool":{"type":"tool_reference","tool_name":"A"}}"#, "`tool added: a`"),
        (r#"{"type":"tool_removal","tool":{"name":"A"}}"#, "`tool removed: a`"),
        (r#"{"type":"tool_addition","tool_name":"A"}"#, "`tool added: a`"),
    ] {
        let message = format!(r#"{{"role":"system","content":[{block}]}}"#);
        assert_eq!(turns(&message), (format!("system[{expected}]"), "messages.tool_changes".to_owned()));
    }
}

#[test]
fn the_effort_of_the_last_turn_is_that_of_the_request() {
    let body = with(
        r#""output_config":{"effort":"high"},"messages":[{"role":"system","content":[],"output_config":{"effort":"low"}},{"role":"user","content":"x"}]"#,
    );
    let found = conversation(&body).unwrap();
    assert_eq!((found.reasoning.effort.unwrap().word(), found.turns.len()), ("low", 1));
    assert!(found.loss.is_empty());
    let other = r#"{"role":"user","content":"x","output_config":{"new":1},"clear_at":"next_user_message"}"#;
    assert_eq!(turns(other).1, "messages.output_config, messages.clear_at");
}

#[test]
fn a_mistake_is_named_by_its_path() {
    for (messages, message) in [
        ("5", "messages.0: expected an object, got 5"),
        (r#"{"content":"x"}"#, "messages.0.role: field required"),
        (
            r#"{"role":"tool","content":"x"}"#,
            "messages.0.role: expected `user`, `assistant` or `system`, got a string",
        ),
        (r#"{"role":"user"}"#, "messages.0.content: field required"),
        (r#"{"role":"user","content":null}"#, "messages.0.content: expected a string or an array, got null"),
        (r#"{"role":"user","content":["x"]}"#, "messages.0.content.0: expected an object, got a string"),
        (r#"{"role":"user","content":[{"text":"x"}]}"#, "messages.0.content.0.type: field required"),
        (r#"{"role":"user","content":[{"type":"text"}]}"#, "messages.0.content.0.text: field required"),
        (
            r#"{"role":"user","content":[{"type":"text","text":5}]}"#,
            "messages.0.content.0.text: expected a string, got 5",
        ),
        (
            r#"{"role":"user","content":"x"},{"role":"user","content":[{"type":"tool_result","content":"x"}]}"#,
            "messages.1.content.0.tool_use_id: field required",
        ),
        (
            r#"{"role":"assistant","content":[{"type":"tool_use","name":"n"}]}"#,
            "messages.0.content.0.id: field required",
        ),
        (
            r#"{"role":"assistant","content":[{"type":"tool_use","id":"i","name":"n","input":[]}]}"#,
            "messages.0.content.0.input: expected an object, got an array",
        ),
        (
            r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"i","content":[{"type":"image"}]}]}"#,
            "messages.0.content.0.content.0.source: field required",
        ),
        (
            r#"{"role":"user","content":[{"type":"image","source":{"type":"x"}}]}"#,
            "messages.0.content.0.source.type: expected `base64`, `url`, `text`, `content` or `file`, got a string",
        ),
    ] {
        let body = with(&format!(r#""messages":[{messages}]"#));
        assert_eq!(conversation(&body).unwrap_err(), message, "{messages}");
    }
    for (members, message) in [
        (r#""system":5"#, "system: expected a string or an array, got 5"),
        (r#""system":[5]"#, "system.0: expected an object, got 5"),
        (r#""tools":{}"#, "tools: expected an array, got an object"),
        (
            r#""tool_choice":{"type":"x"}"#,
            "tool_choice.type: expected `auto`, `any`, `tool` or `none`, got a string",
        ),
        (r#""stop_sequences":["a",5]"#, "stop_sequences.1: expected a string, got 5"),
    ] {
        assert_eq!(conversation(&with(members)).unwrap_err(), message, "{members}");
    }
}

#[test]
fn the_attribution_of_the_client_is_left_out() {
    for (system, expected) in [
        (r#""plain""#, "`plain`"),
        (
            r#"[{"type":"text","text":"x-anthropic-billing-header: cc_version=2; cch=1;"},{"type":"text","text":"You are","cache_control":{"type":"ephemeral"}}]"#,
            "`You are`+5m",
        ),
        (
            r#"[{"type":"text","text":"a"},{"type":"text","text":"x-anthropic-billing-header: quoted"}]"#,
            "`a` `x-anthropic-billing-header: quoted`",
        ),
        ("null", ""),
    ] {
        let body = with(&format!(r#""system":{system}"#));
        let found = conversation(&body).unwrap();
        assert_eq!((blocks(&found.system).as_str(), found.loss.is_empty()), (expected, true), "{system}");
    }
}

#[test]
fn thinking_and_effort_are_one_wish() {
    for (members, expected) in [
        (r#""thinking":{"type":"enabled","budget_tokens":5000}"#, "On None Some(5000) None"),
        (
            r#""thinking":{"type":"adaptive","display":"summarized"},"output_config":{"effort":"xhigh"}"#,
            "On Some(XHigh) None Some(true)",
        ),
        (r#""thinking":{"type":"adaptive","display":"updates"}"#, "On None None Some(true)"),
        (r#""thinking":{"type":"adaptive","display":"omitted"}"#, "On None None Some(false)"),
        (r#""thinking":{"type":"disabled"}"#, "Off None None None"),
        (r#""thinking":{"type":"between_tools"}"#, "Off None None None"),
        (r#""thinking":null,"output_config":{"effort":"low"}"#, "Unsaid Some(Low) None None"),
    ] {
        let body = with(members);
        let found = conversation(&body).unwrap();
        let wish = found.reasoning;
        let told = format!("{:?} {:?} {:?} {:?}", wish.switch, wish.effort, wish.budget, wish.shown);
        assert_eq!((told.as_str(), found.loss.is_empty()), (expected, true), "{members}");
    }
}

#[test]
fn settings_are_taken_over_as_they_are_written() {
    let body = with(
        r#""max_tokens":9,"temperature":0.70,"top_p":1e0,"top_k":null,"stop_sequences":["\n","b"],"stream":true,"tools":[],"metadata":{"user_id":"u\"1"},"service_tier":"standard_only","tool_choice":{"type":"tool","name":"n","disable_parallel_tool_use":true},"output_config":{"format":{"type":"json_schema","schema":{"a" :1.0}}}"#,
    );
    let found = conversation(&body).unwrap();
    assert_eq!((found.max_output, found.stream, found.tools), (Some(9), true, None));
    assert_eq!((found.temperature, found.top_p, found.top_k), (Some(&b"0.70"[..]), Some(&b"1e0"[..]), None));
    assert_eq!(found.stop.iter().map(Escaped::as_bytes).collect::<Vec<_>>(), [&b"\\n"[..], b"b"]);
    assert_eq!(found.user.unwrap().plain(), "u\"1");
    assert_eq!(found.parallel, Some(false));
    assert!(matches!(found.choice, Some(Choice::Tool(name)) if name.as_bytes() == b"n"));
    assert!(matches!(found.format, Format::Schema { schema, .. } if schema == b"{\"a\" :1.0}"));
    assert!(found.loss.is_empty());
}

#[test]
fn what_no_other_format_has_is_told() {
    for (members, lost) in [
        (r#""context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]}"#, ""),
        (
            r#""context_management":{"edits":[{"type":"clear_thinking_20251015","keep":{"type":"thinking_turns","value":1}}]}"#,
            "context_management",
        ),
        (r#""context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}"#, "context_management"),
        (
            r#""container":"c","mcp_servers":[],"inference_geo":"eu","speed":"fast""#,
            "speed, container, mcp_servers, inference_geo",
        ),
        (
            r#""container":null,"speed":"standard","anthropic_version":"x","cache_control":{"type":"ephemeral"}"#,
            "",
        ),
        (
            r#""output_config":{"task_budget":{},"effort":"huge"}"#,
            "output_config.task_budget, output_config.effort",
        ),
        (r#""output_format":{"type":"grammar"},"service_tier":"odd""#, "output_format, service_tier"),
        (r#""thinking":{"type":"later"}"#, "thinking"),
    ] {
        assert_eq!(conversation(&with(members)).unwrap().loss.header(), lost, "{members}");
    }
}
