//! What providers send, beside what is made of it. Every case is read in the order of its events and kept to the grammar; an
//! answer is written as its blocks: `think{…|state} text{…} call(id,name){…} refusal{…}`, then usage and how it ended.

use super::*;
use crate::wire::grammar::Grammar;
use crate::wire::ir::{Delta, Open};
use crate::wire::traits::{CHAT, Replay, UsageRule};

const DETAILS: Traits = Traits { replay: Replay::Details, ..CHAT };
const PART: Traits = Traits { replay: Replay::Part, ..CHAT };
const TAGS: Traits = Traits { think_tags: true, ..CHAT };
const APART: Traits = Traits { usage: UsageRule::Apart, ..CHAT };

/// An answer in one line.
#[derive(Default)]
struct Line {
    line: String,
    grammar: Grammar,
}

impl Line {
    fn take(&mut self, event: &Event<'_>) {
        self.grammar.check(event).unwrap_or_else(|wrong| panic!("{wrong} behind {}", self.line));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let said = match event {
            Event::Start { .. } => String::new(),
            Event::Open(Open::Text) => "text{".into(),
            Event::Open(Open::Thinking) => "think{".into(),
            Event::Open(Open::Refusal) => "refusal{".into(),
            Event::Open(Open::ToolCall { id, name }) => format!("call({},{}){{", text(id), text(name)),
            Event::Open(Open::Opaque { .. }) => "opaque{".into(),
            Event::Delta(Delta::Text(piece) | Delta::Args(piece)) => text(piece),
            Event::Delta(Delta::Seal { payload, .. }) => format!("|{}", text(payload)),
            Event::Delta(Delta::Citation { raw, .. }) => format!("<{}>", text(raw)),
            Event::Close => "} ".into(),
            Event::Usage(usage) => format!("usage {}+{} ", usage.input, usage.output),
            Event::Stop { reason, sequence } => {
                let sequence = sequence.map(|sequence| format!(" at {}", text(sequence)));
                format!("{}{}", reason.word(), sequence.unwrap_or_default())
            }
            Event::Fault(told) => format!("broke: {}", told.message),
        };
        self.line.push_str(&said);
    }
}

/// What is made of these events' data, and whether the answer is complete and over before its connection ends.
fn read(traits: &'static Traits, events: &[&str]) -> (String, bool, bool) {
    let (mut decoder, mut told) = (Decoder::new(traits, "family"), Line::default());
    for data in events {
        let event =
            sse::Event { name: b"", data: data.as_bytes(), data_at: None, range: (0, 0), unread: false };
        decoder.push(&event, &mut |event| told.take(&event));
    }
    let stands = (decoder.is_complete(), decoder.is_over());
    decoder.end(&mut |event| told.take(&event));
    (told.line, stands.0, stands.1)
}

fn chunk(delta: &str) -> String {
    format!(r#"{{"id":"c1","model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#)
}

fn finish(word: &str) -> String {
    format!(r#"{{"id":"c1","model":"m","choices":[{{"index":0,"delta":{{}},"finish_reason":"{word}"}}]}}"#)
}

/// The same of deltas that end in a plain stop.
fn deltas(traits: &'static Traits, deltas: &[&str]) -> String {
    let mut events: Vec<String> = deltas.iter().map(|delta| chunk(delta)).collect();
    events.push(finish("stop"));
    events.push("[DONE]".into());
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    read(traits, &events).0
}

/// Calls as one delta each.
fn calls(fragments: &[&str]) -> String {
    let all: Vec<String> =
        fragments.iter().map(|fragment| format!(r#"{{"tool_calls":[{fragment}]}}"#)).collect();
    deltas(&CHAT, &all.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn calls_are_put_together_however_a_provider_cuts_them() {
    for (what, fragments, expected) in [
        (
            "as OpenAI does",
            &[
                r#"{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}"#,
                r#"{"index":0,"function":{"arguments":"{\"x\":"}}"#,
                r#"{"index":0,"function":{"arguments":"1}"}}"#,
                r#"{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":""}}"#,
                r#"{"index":1,"function":{"arguments":"{}"}}"#,
            ][..],
            r#"call(a,f){{\"x\":1}} call(b,g){{}} tool_use"#,
        ),
        (
            "whole, all in one delta, without an index",
            &[
                r#"{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"f","arguments":"{}"}}"#,
            ],
            "call(a,f){{}} call(b,f){{}} tool_use",
        ),
        (
            "an index that is never incremented",
            &[
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}"#,
                r#"{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}"#,
            ],
            "call(a,f){{}} call(b,g){{}} tool_use",
        ),
        (
            "id and name in every fragment",
            &[
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}"#,
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":"}"}}"#,
            ],
            "call(a,f){{}} tool_use",
        ),
        (
            "empty and null id and name in later fragments",
            &[
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}"#,
                r#"{"index":0,"id":"","function":{"name":"","arguments":"}"}}"#,
                r#"{"index":0,"id":null,"function":{"name":null,"arguments":null}}"#,
            ],
            "call(a,f){{}} tool_use",
        ),
        (
            "no index in later fragments",
            &[r#"{"id":"a","function":{"name":"f","arguments":"{"}}"#, r#"{"function":{"arguments":"}"}}"#],
            "call(a,f){{}} tool_use",
        ),
        (
            "the name behind the arguments",
            &[
                r#"{"index":0,"id":"a","function":{"arguments":"{"}}"#,
                r#"{"index":0,"function":{"name":"f"}}"#,
                r#"{"index":0,"function":{"arguments":"}"}}"#,
            ],
            "call(a,f){{}} tool_use",
        ),
        (
            "arguments as an object",
            &[r#"{"index":0,"id":"a","function":{"name":"f","arguments":{"x": "\"é\\n"}}}"#],
            r#"call(a,f){{\"x\": \"\\\"é\\\\n\"}} tool_use"#,
        ),
        (
            "no arguments in any spelling",
            &[
                r#"{"index":0,"id":"a","function":{"name":"f"}}"#,
                r#"{"index":1,"id":"b","function":{"name":"f","arguments":""}}"#,
                r#"{"index":2,"id":"c","function":{"name":"f","arguments":null}}"#,
                r#"{"index":3,"id":"d","function":{"name":"f","arguments":"null"}}"#,
            ],
            "call(a,f){} call(b,f){} call(c,f){} call(d,f){} tool_use",
        ),
        (
            "null within arguments",
            &[
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":"}}"#,
                r#"{"index":0,"function":{"arguments":"null"}}"#,
                r#"{"index":0,"function":{"arguments":"}"}}"#,
            ],
            r#"call(a,f){{\"x\":null}} tool_use"#,
        ),
        (
            "interleaved",
            &[
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":""}}"#,
                r#"{"index":1,"id":"b","function":{"name":"g","arguments":"{\"y\""}}"#,
                r#"{"index":0,"function":{"arguments":"{\"x\""}}"#,
                r#"{"index":1,"function":{"arguments":":2}"}}"#,
                r#"{"index":0,"function":{"arguments":":1}"}}"#,
            ],
            r#"call(a,f){{\"x\":1}} call(b,g){{\"y\":2}} tool_use"#,
        ),
        (
            "a call without a name is none",
            &[r#"{"index":0,"id":"a","function":{"arguments":"{}"}}"#],
            "end_turn",
        ),
    ] {
        assert_eq!(calls(fragments), expected, "{what}");
    }
}

#[test]
fn calls_without_ids_get_some_that_no_other_answer_has() {
    let two = [
        r#"{"index":0,"function":{"name":"f","arguments":"{}"}}"#,
        r#"{"index":0,"id":"","function":{"name":"g","arguments":"{}"}}"#,
    ];
    let line = calls(&two);
    assert_eq!(line, calls(&two), "the same answer gives the same ids");
    let ids: Vec<&str> =
        line.split("call(").skip(1).filter_map(|call| Some(call.split_once(',')?.0)).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1] && ids.iter().all(|id| id.starts_with("call_")), "{line}");
    let [here, there] = ["c1", "c2"].map(|id| {
        let delta = format!(r#"{{"tool_calls":[{}]}}"#, two[0]);
        read(&CHAT, &[&chunk(&delta).replace("c1", id), "[DONE]"]).0
    });
    assert_ne!(here, there);
    // Two of the same tool in one delta are two, even where nothing else tells them apart.
    let twins = calls(&[&[two[0]; 2].join(",")]);
    assert_eq!(twins.matches("call(").count(), 2, "{twins}");
}

#[test]
fn a_call_in_the_legacy_form_or_in_the_finish_chunk_is_a_call() {
    let legacy =
        [r#"{"function_call":{"name":"f","arguments":"{"}}"#, r#"{"function_call":{"arguments":"}"}}"#];
    assert!(deltas(&CHAT, &legacy).ends_with(",f){{}} tool_use"));
    let whole = r#"{"choices":[{"index":0,"delta":{"content":"","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"},"index":0}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":2,"completion_tokens":1}}"#;
    assert_eq!(read(&CHAT, &[whole, "[DONE]"]).0, "call(a,f){{}} usage 2+1 tool_use");
}

#[test]
fn nothing_is_lost_that_comes_between_the_fragments_of_a_call() {
    let line = deltas(
        &DETAILS,
        &[
            r#"{"content":"a"}"#,
            r#"{"tool_calls":[{"index":0,"id":"i","function":{"name":"f","arguments":"{"}}]}"#,
            r#"{"content":"b"}"#,
            r#"{"content":"c","reasoning":"d","reasoning_details":[{"type":"reasoning.text","signature":"s","index":0}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}"#,
        ],
    );
    let state = r#"[{"type":"reasoning.text","signature":"s","index":0}]"#;
    assert_eq!(line, format!("text{{a}} call(i,f){{{{}}}} text{{b}} think{{d|{state}}} text{{c}} tool_use"));
}

#[test]
fn thinking_is_found_wherever_a_provider_puts_it() {
    for (what, traits, given, expected) in [
        (
            "reasoning_content",
            &CHAT,
            &[
                r#"{"content":null,"reasoning_content":"a"}"#,
                r#"{"reasoning_content":"b","content":""}"#,
                r#"{"content":"c"}"#,
            ][..],
            "think{ab|} text{c} end_turn",
        ),
        ("reasoning", &CHAT, &[r#"{"reasoning":"a","channel":"analysis"}"#], "think{a|} end_turn"),
        (
            "both, in one delta with text",
            &CHAT,
            &[r#"{"content":"c","reasoning":"a"}"#],
            "think{a|} text{c} end_turn",
        ),
        (
            "the same text twice",
            &DETAILS,
            &[
                r#"{"reasoning":"a","reasoning_details":[{"type":"reasoning.text","text":"a","index":0}]}"#,
                r#"{"reasoning_details":[{"type":"reasoning.text","signature":"s","index":0}]}"#,
                r#"{"content":"c"}"#,
            ],
            r#"think{a|[{"type":"reasoning.text","text":"a","index":0,"signature":"s"}]} text{c} end_turn"#,
        ),
        (
            "in the details alone, behind text",
            &DETAILS,
            &[
                r#"{"content":"c"}"#,
                r#"{"reasoning":null,"reasoning_details":[{"type":"reasoning.encrypted","data":"x","index":0}]}"#,
            ],
            r#"text{c} think{|[{"type":"reasoning.encrypted","data":"x","index":0}]} end_turn"#,
        ),
        (
            "details that cannot go back",
            &CHAT,
            &[r#"{"reasoning_details":[{"summary":"a"},{"data":"x"}]}"#],
            "think{a|} end_turn",
        ),
        (
            "parts of the content",
            &PART,
            &[
                r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"a"}],"closed":true}]}"#,
                r#"{"content":[{"type":"thinking","thinking":[{"text":"b","type":"text"}],"signature":"s"},{"type":"text","text":"c"}]}"#,
                r#"{"content":"d"}"#,
            ],
            "think{ab|s} text{cd} end_turn",
        ),
        (
            "tags, cut in two",
            &TAGS,
            &[r#"{"content":"<thi"}"#, r#"{"content":"nk>\na</think"}"#, r#"{"content":">\n\nb"}"#],
            "think{a|} text{b} end_turn",
        ),
        ("tags that never came", &TAGS, &[r#"{"content":"<thi"}"#], "text{<thi} end_turn"),
        (
            "tags that mean nothing",
            &CHAT,
            &[r#"{"content":"<think>a</think>"}"#],
            "text{<think>a</think>} end_turn",
        ),
        (
            "a refusal",
            &CHAT,
            &[r#"{"refusal":"no","content":null}"#, r#"{"refusal":"."}"#],
            "refusal{no.} refusal",
        ),
        (
            "citations",
            &CHAT,
            &[r#"{"content":"a"}"#, r#"{"content":"","annotations":[{"type":"url_citation"}]}"#],
            r#"text{a<{"type":"url_citation"}>} end_turn"#,
        ),
    ] {
        assert_eq!(deltas(traits, given), expected, "{what}");
    }
}

#[test]
fn an_answer_ends_as_its_provider_says() {
    let hi = chunk(r#"{"content":"hi"}"#);
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
    let filter = r#"{"id":"","model":"","choices":[],"prompt_filter_results":[]}"#;
    let (stop, length) = (finish("stop"), finish("length"));
    let late = hi.replace("null", "\"stop\"");
    let sequence = finish("stop").replace("}]", r#","stop_reason":"END"}]"#);
    let other = hi.replace("\"index\":0", "\"index\":1");
    for (what, events, line, complete, over) in [
        (
            "usage behind the finish",
            &[filter, &hi, &stop, usage, "[DONE]"][..],
            "text{hi} usage 5+2 end_turn",
            true,
            true,
        ),
        ("no usage", &[&hi, &stop, "[DONE]"], "text{hi} end_turn", true, true),
        (
            "two finish chunks, and content behind the first",
            &[&hi, &length, &late, usage, "[DONE]"],
            "text{hi} usage 5+2 max_tokens",
            true,
            true,
        ),
        ("content in the finish chunk", &[&late, "[DONE]"], "text{hi} end_turn", true, true),
        ("no [DONE]", &[&hi, &stop], "text{hi} end_turn", true, false),
        ("no finish", &[&hi, "[DONE]"], "text{hi} end_turn", true, true),
        ("neither: it was cut", &[&hi], "text{hi", false, false),
        ("[DONE] alone: no answer", &["[DONE]"], "", true, true),
        ("a sequence", &[&hi, &sequence, "[DONE]"], "text{hi} stop_sequence at END", true, true),
        ("another choice", &[&hi, &other, &stop, "[DONE]"], "text{hi} end_turn", true, true),
        ("no content", &[&stop, "[DONE]"], "end_turn", true, true),
        ("calls announced that never came", &[&finish("tool_calls"), "[DONE]"], "end_turn", true, true),
        ("something behind the end", &[&hi, &stop, "[DONE]", &hi, "[DONE]"], "text{hi} end_turn", true, true),
    ] {
        assert_eq!(read(&CHAT, events), (line.to_owned(), complete, over), "{what}");
    }
}

#[test]
fn an_error_inside_the_stream_breaks_the_answer_and_what_it_cost_is_told() {
    let hi = chunk(r#"{"content":"hi"}"#);
    for (error, line) in [
        (r#"{"error":{"message":"m","code":502}}"#.to_owned(), "text{hibroke: m"),
        (r#"{"object":"error","message":"m","code":400}"#.to_owned(), "text{hibroke: m"),
        (
            r#"{"error":{"message":"m"},"choices":[{"delta":{"content":""}}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#.to_owned(),
            "text{hiusage 5+2 broke: m",
        ),
        (finish("error"), "text{hibroke: the provider ended the answer with finish_reason `error`"),
        (r#"{"choices":[{"#.to_owned(), "text{hibroke: the provider's stream has an event that is no JSON"),
    ] {
        assert_eq!(read(&CHAT, &[&hi, &error, "[DONE]"]), (line.to_owned(), true, true), "{error}");
    }
    assert_eq!(read(&CHAT, &[r#"{"error":{"message":"m"}}"#]).0, "broke: m");
    // An error that comes behind the finish is one all the same.
    assert_eq!(read(&CHAT, &[&hi, &finish("length"), r#"{"error":{"message":"m"}}"#]).0, "text{hi} broke: m");
}

#[test]
fn a_message_counts_where_there_is_no_delta_and_never_twice() {
    let both = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"1 2"},"delta":{"content":" 2"},"finish_reason":null}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
    let again = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"1 2"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":3}}"#;
    assert_eq!(read(&CHAT, &[&chunk(r#"{"content":"1"}"#), both, again]).0, "text{1 2} usage 5+3 end_turn");
    assert_eq!(read(&CHAT, &[again]).0, "text{1 2} usage 5+3 end_turn");
}

#[test]
fn usage_follows_the_providers_rule() {
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":4}}}"#;
    let groq = r#"{"choices":[],"x_groq":{"usage":{"prompt_tokens":5,"completion_tokens":2}}}"#;
    for (traits, usage, told) in [(&CHAT, usage, "5+2"), (&APART, usage, "5+6"), (&CHAT, groq, "5+2")] {
        assert_eq!(read(traits, &[&finish("stop"), usage, "[DONE]"]).0, format!("usage {told} end_turn"));
    }
}

#[test]
fn a_whole_answer_is_read_as_its_stream_would_be() {
    let whole = |traits: &'static Traits, body: &str| {
        let mut told = Line::default();
        let read = Decoder::new(traits, "family").whole(body.as_bytes(), &mut |event| told.take(&event));
        (read, told.line)
    };
    for (traits, body, line) in [
        (
            &CHAT,
            r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"g","arguments":"{}"}}],"content":"x","reasoning_content":"t"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#,
            "think{t|} text{x} call(a,f){{}} call(b,g){{}} usage 5+2 tool_use",
        ),
        (
            &DETAILS,
            r#"{"choices":[{"message":{"content":null,"reasoning":"t","reasoning_details":[{"type":"reasoning.summary","summary":"t","index":0},{"type":"reasoning.encrypted","data":"e","index":0}]},"finish_reason":"length"}]}"#,
            r#"think{t|[{"type":"reasoning.summary","summary":"t","index":0},{"type":"reasoning.encrypted","data":"e","index":0}]} max_tokens"#,
        ),
        (&CHAT, r#"{"choices":[{"message":{"content":"x"},"finish_reason":null}]}"#, "text{x} end_turn"),
        (&CHAT, r#"{"error":{"message":"m","code":502},"user_id":"u"}"#, "broke: m"),
    ] {
        assert_eq!(whole(traits, body), (true, line.to_owned()), "{body}");
    }
    for body in ["{}", "[]", r#"{"type":"message"}"#, "<html>"] {
        assert_eq!(whole(&CHAT, body), (false, String::new()), "{body}");
    }
}

#[test]
fn an_event_that_is_too_long_to_be_read_breaks_the_answer() {
    let (mut decoder, mut told) = (Decoder::new(&CHAT, "family"), Line::default());
    let event = sse::Event { name: b"", data: b"", data_at: None, range: (0, 0), unread: true };
    decoder.push(&event, &mut |event| told.take(&event));
    assert!(told.line.contains("too long") && decoder.is_over(), "{}", told.line);
}
