//! Laws of the verbatim path, held against recorded, generated and wounded input.
//!
//! - What goes out differs from what came in only in the declared edits.
//! - Splitting a stream anywhere gives the same events and the same meter.
//! - Folding a stream gives the meter of the whole answer.
//! - Fast scanners equal their slow twins.
//! - Unknown fields, blocks, events and betas pass.
//!
//! That nothing is allocated per delta is held in `tests/allocations.rs`: counting takes an allocator of its own, and so
//! a process of its own.

#[path = "laws/chance.rs"]
mod chance;
#[path = "laws/corpus.rs"]
#[allow(dead_code)] // Shared with the laws of the hub.
mod corpus;
#[path = "laws/twin.rs"]
mod twin;

use chance::Chance;
use pointsman::error::Class;
use pointsman::json::{self, Edits, Span, text};
use pointsman::wire::anthropic::{Ask, Call, Reply, StreamReader, Target, capability, shape};
use pointsman::wire::frame::Sse;
use pointsman::wire::{Dialect, Ending, Heard, Meter, fault};
use serde_json::Value;

// ---- Verbatim but for the declared edits ----

#[test]
fn a_request_for_the_model_that_is_sent_goes_out_byte_for_byte() {
    for (name, body) in corpus::requests() {
        let ask = Ask::read(&body, call(&body)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let shaped = shape(&ask, Some(BETAS), &target(&ask.model)).unwrap();
        assert!(shaped.body.is_verbatim() && shaped.loss.is_empty(), "{name}: {}", shaped.loss.header());
        assert_eq!((shaped.body.to_vec(), shaped.betas.as_deref()), (body.clone(), Some(BETAS)), "{name}");
    }
}

#[test]
fn a_request_differs_only_in_the_declared_edits() {
    let mut changed = std::collections::BTreeMap::<&str, usize>::new();
    for (name, body) in corpus::requests() {
        let ask = Ask::read(&body, call(&body)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let targets = capability::known().chain(["claude-3-5-haiku", "claude-opus-4-1", "nobody-knows"]);
        for model in targets.filter(|model| *model != ask.model) {
            let name = format!("{name} to {model}");
            let shaped =
                shape(&ask, Some(BETAS), &target(model)).unwrap_or_else(|error| panic!("{name}: {error}"));
            let out = shaped.body.to_vec();
            assert_eq!(out.len(), shaped.body.len(), "{name}");
            let (came, sent) = (members(&body), members(&out));
            // What is there was there, and in this order: nothing is added.
            let mut front = came.iter();
            assert!(sent.iter().all(|(key, _)| front.any(|(known, _)| known == key)), "{name}");
            let losses: Vec<_> = shaped.loss.names().collect();
            for (key, value) in &came {
                let found = sent.iter().find(|(known, _)| known == key).map(|(_, value)| *value);
                if key == "model" {
                    assert_eq!(found.map(str::to_owned), Some(format!("\"{model}\"")), "{name}");
                } else if found != Some(*value) {
                    let (key, only) = declared(key).unwrap_or_else(|| panic!("{name}: {key}"));
                    assert!(model != "nobody-knows", "{name}: {key}");
                    let of = |loss: &&str| loss.split('.').next() == Some(key);
                    assert!(losses.iter().any(of), "{name}: {key} is told as lost by none of {losses:?}");
                    let parse = |text: &str| serde_json::from_str(text).unwrap();
                    only(&parse(value), &found.map_or(Value::Null, parse))
                        .unwrap_or_else(|wrong| panic!("{name}: {key}: {wrong}"));
                    *changed.entry(key).or_default() += 1;
                }
            }
            // Outside the cuts every byte is that of the body, in its order.
            let (mut from, mut rest) = (0, out.as_slice());
            for (span, with) in shaped.body.cuts() {
                let kept = &body[from..span.start];
                rest = rest
                    .strip_prefix(kept)
                    .and_then(|rest| rest.strip_prefix(with))
                    .unwrap_or_else(|| panic!("{name}"));
                from = span.end;
            }
            assert_eq!(rest, &body[from..], "{name}");
        }
    }
    // A law over edits that are never made would be none.
    for key in [
        "max_tokens",
        "thinking",
        "output_config",
        "context_management",
        "messages",
        "temperature",
        "tool_choice",
    ] {
        assert!(changed.contains_key(key), "`{key}` is never changed: {changed:?}");
    }
}

/// What may become of one top-level field: nothing else of it may differ.
type Only = fn(&Value, &Value) -> Result<(), String>;

/// The fields that may differ where another model is sent (DESIGN section 4, rule 1).
fn declared(key: &str) -> Option<(&'static str, Only)> {
    let all: [(&str, Only); 12] = [
        ("max_tokens", |came, sent| holds(sent.as_u64() < came.as_u64(), sent)),
        ("thinking", |_, sent| holds(sent.is_null() || sent["type"].is_string(), sent)),
        ("output_config", |came, sent| members_only(came, sent, &["effort", "format", "task_budget"])),
        ("output_format", |_, sent| holds(sent.is_null(), sent)),
        ("context_management", |came, sent| {
            let edits = |value: &Value| value["edits"].as_array().cloned().unwrap_or_default();
            holds(sent.is_null() || edits(sent).iter().all(|edit| edits(came).contains(edit)), sent)
        }),
        ("temperature", |_, sent| holds(sent.is_null(), sent)),
        ("top_p", |_, sent| holds(sent.is_null(), sent)),
        ("top_k", |_, sent| holds(sent.is_null(), sent)),
        ("speed", |_, sent| holds(sent.is_null(), sent)),
        ("tool_choice", |came, sent| members_only(came, sent, &["type", "name"])),
        ("tools", tools_only),
        ("messages", messages_only),
    ];
    all.into_iter().find(|(known, _)| *known == key)
}

fn holds(right: bool, sent: &Value) -> Result<(), String> {
    if right { Ok(()) } else { Err(format!("became {sent}")) }
}

/// Members of these names differ or are gone, no other does.
fn members_only(came: &Value, sent: &Value, names: &[&str]) -> Result<(), String> {
    let others = |value: &Value| {
        let mut value = value.clone();
        for name in names {
            value.as_object_mut().and_then(|all| all.remove(*name));
        }
        value
    };
    holds(sent.is_null() || others(came) == others(sent), sent)
}

/// Tools lose what defers them, and the one that only stands for deferred ones.
fn tools_only(came: &Value, sent: &Value) -> Result<(), String> {
    let mut expected = came.clone();
    let tools = expected.as_array_mut().unwrap();
    tools.retain(|tool| tool["name"] != "DeferredToolPlaceholder");
    for tool in tools {
        tool.as_object_mut().unwrap().remove("defer_loading");
    }
    holds(*sent == expected, sent)
}

/// Thinking goes as whole blocks, system messages become reminders of the user in the same place, references become
/// words; all other blocks of all other messages are the same, in their order.
fn messages_only(came: &Value, sent: &Value) -> Result<(), String> {
    let is_reminder = |text: &Value| text.as_str().is_some_and(|text| text.starts_with("<system-reminder>"));
    let of_system = |message: &Value| {
        let first = &message["content"][0];
        message["role"] == "system" || (message["role"] == "user" && is_reminder(&first["text"]))
    };
    let others = |messages: &Value| -> Vec<Value> {
        let kept = messages.as_array().unwrap().iter().filter(|message| !of_system(message));
        let plain = kept.cloned().map(|mut message| {
            for name in ["output_config", "clear_at"] {
                message.as_object_mut().unwrap().remove(name);
            }
            for block in message["content"].as_array_mut().into_iter().flatten() {
                let references = block["content"].as_array_mut().into_iter().flatten();
                for inner in references.filter(|inner| inner["type"] == "tool_reference") {
                    let words = format!("Tool loaded: {}", inner["tool_name"].as_str().unwrap());
                    *inner = serde_json::json!({"type": "text", "text": words});
                }
            }
            if let Some(blocks) = message["content"].as_array_mut() {
                blocks.retain(|block| !block["type"].as_str().unwrap_or_default().ends_with("thinking"));
            }
            message
        });
        plain.filter(|message| message["content"] != serde_json::json!([])).collect()
    };
    holds(others(came) == others(sent), sent)
}

#[test]
fn a_reply_differs_only_in_the_models_name() {
    for (name, body) in corpus::replies() {
        let reply = Reply::read(&body).unwrap_or_else(|| panic!("{name}"));
        let model = reply.meter.model.clone().unwrap();
        let out = reply.named("asked-model").to_vec();
        let at = reply.model_at.unwrap();
        assert_eq!(out, [&body[..at.start], b"\"asked-model\"", &body[at.end..]].concat(), "{name}");
        assert!(reply.named(&model).is_verbatim(), "{name}");
    }
}

#[test]
fn unknown_fields_pass_and_change_nothing() {
    for (name, body) in corpus::requests() {
        let mut edits = Edits::new();
        edits.insert_member(
            Span::root(&body),
            "brand_new",
            br#"{"model":"decoy","stream":[1,{"messages":[]}]}"#,
        );
        let grown = edits.on(&body).to_vec();
        let call = Call::CountTokens;
        let (plain, grown) = (Ask::read(&body, call).unwrap(), Ask::read(&grown, call).unwrap());
        assert_eq!(
            (&plain.model, plain.stream, plain.max_tokens),
            (&grown.model, grown.stream, grown.max_tokens),
            "{name}"
        );
        assert_eq!(plain.session(), grown.session(), "{name}");
        assert_eq!(plain.new_turn(), grown.new_turn(), "{name}");
        let shown =
            |ask: &Ask<'_>| ask.messages.iter().map(|span| span.of(ask.body).to_vec()).collect::<Vec<_>>();
        assert_eq!(shown(&plain), shown(&grown), "{name}");
    }
}

// ---- Streams ----

#[test]
fn a_stream_split_anywhere_is_the_same_stream() {
    let mut chance = Chance::new(1);
    for (name, stream) in corpus::streams() {
        let whole = read([stream.as_slice()]);
        for at in (0..stream.len().min(EVERY_BYTE)).chain((0..50).map(|_| chance.below(stream.len()))) {
            let (front, back) = stream.split_at(at);
            assert!(read([front, back]) == whole, "{name} split at {at}");
        }
        for size in [1, 2, 3, 7, 100, 1460] {
            assert!(read(stream.chunks(size)) == whole, "{name} in pieces of {size}");
        }
        assert!(read(random_pieces(&mut chance, &stream)) == whole, "{name} in random pieces");
    }
}

#[test]
fn a_wounded_stream_is_the_same_however_it_is_split() {
    let mut chance = Chance::new(2);
    for (name, stream) in corpus::streams() {
        for round in 0..20 {
            let wounded = chance.wound(&stream);
            let whole = read([wounded.as_slice()]);
            assert!(read(random_pieces(&mut chance, &wounded)) == whole, "{name} round {round}");
            let events: Vec<_> = whole.events.iter().map(|(name, data)| (lossy(name), lossy(data))).collect();
            let twin: Vec<_> =
                twin::events(&wounded).iter().map(|(name, data)| (lossy(name), lossy(data))).collect();
            assert_eq!(events, twin, "{name} round {round}");
        }
    }
}

#[test]
fn a_streams_meter_equals_that_of_full_parses() {
    for (name, stream) in corpus::streams() {
        for (ending, stream) in [
            ("LF", stream.clone()),
            ("CRLF", replaced(&stream, "\n", "\r\n")),
            ("CR", replaced(&stream, "\n", "\r")),
        ] {
            let read = read([stream.as_slice()]);
            let expected = twin::told(&stream);
            let found = twin::Told {
                model: read.meter.model.map(Into::into),
                stop: read.meter.stop.as_ref().map(|stop| stop.word().to_owned()),
                usage: read.meter.usage,
                error: read.meter.error.map(|told| told.kind.into()),
                ended: read.ending == Ending::Whole,
                content: read.content,
            };
            assert_eq!(found, expected, "{name} {ending}");
            assert_eq!(read.events, twin::events(&stream), "{name} {ending}");
        }
    }
}

#[test]
fn events_and_members_of_a_new_kind_pass() {
    let strange = "event: brand_new\ndata: {\"type\":\"brand_new\",\"usage\":{\"input_tokens\":999},\"model\":\"decoy\"}\n\n";
    for (name, stream) in corpus::streams() {
        let plain = read([stream.as_slice()]);
        let mut grown = replaced(&stream, "\n\nevent: ", &format!("\n\n{strange}event: "));
        grown = replaced(&grown, "data: {", "data: {\"brand_new\":[{\"type\":\"message_stop\"}],");
        let grown = read([grown.as_slice()]);
        assert_eq!(plain.meter, grown.meter, "{name}");
        assert_eq!((plain.content, plain.ending), (grown.content, grown.ending), "{name}");
    }
}

#[test]
fn a_folded_stream_has_the_meter_of_the_whole_answer() {
    let mut folds = 0;
    for (name, stream) in corpus::streams() {
        let Some(whole) = twin::folded(&stream) else { continue };
        folds += 1;
        let body = serde_json::to_vec(&whole).unwrap();
        assert_eq!(Reply::read(&body).unwrap().meter, read([stream.as_slice()]).meter, "{name}");
    }
    assert!(folds > 20, "only {folds} streams were folded");
    let mut chance = Chance::new(3);
    let recorded = corpus::replies().into_iter().map(|(name, body)| (name, value(&body)));
    let generated = (0..50).map(|round| (format!("generated {round}"), chance.reply()));
    for (name, whole) in recorded.chain(generated) {
        let stream = twin::unfolded(&whole);
        let body = serde_json::to_vec(&whole).unwrap();
        assert_eq!(read([stream.as_slice()]).meter, Reply::read(&body).unwrap().meter, "{name}");
    }
}

// ---- Scanners ----

#[test]
fn the_peek_equals_a_full_parse() {
    let mut chance = Chance::new(4);
    let mut inputs: Vec<_> =
        corpus::requests().into_iter().chain(corpus::replies()).map(|(_, body)| body).collect();
    inputs.extend((0..2000).map(|_| chance.object(4).into_bytes()));
    let (mut accepted, mut refused) = (0, 0);
    for input in &inputs {
        assert!(agrees(input), "{}", lossy(input));
        for _ in 0..5 {
            let wounded = chance.wound(input);
            if agrees(&wounded) { accepted += 1 } else { refused += 1 }
        }
    }
    assert!(accepted > 500 && refused > 500, "wounds teach nothing: {accepted} accepted, {refused} refused");
}

#[test]
fn an_ask_equals_a_full_parse() {
    let mut chance = Chance::new(5);
    let inputs: Vec<_> = corpus::requests().into_iter().map(|(_, body)| body).collect();
    let mut read = 0;
    for input in &inputs {
        for round in 0..50 {
            let body = if round == 0 { input.clone() } else { chance.wound(input) };
            let Ok(twin) = serde_json::from_slice::<Value>(&body) else { continue };
            let Ok(ask) = Ask::read(&body, Call::CountTokens) else { continue };
            read += 1;
            assert_eq!(*ask.model, *twin["model"].as_str().unwrap());
            assert_eq!(ask.stream, twin["stream"].as_bool().unwrap_or(false));
            // `1e3` is a count too, but not to the twin.
            let limit = twin.get("max_tokens").and_then(Value::as_u64).or(ask.max_tokens);
            assert_eq!(ask.max_tokens, limit);
            let messages: Vec<_> = ask.messages.iter().map(|span| value(span.of(&body))).collect();
            assert_eq!(messages, *twin["messages"].as_array().unwrap());
            let found = |member: Option<json::Member>| member.map(|member| value(member.value.of(&body)));
            assert_eq!(found(ask.system), twin.get("system").cloned());
            assert_eq!(found(ask.tools), twin.get("tools").cloned());
            assert_eq!(found(ask.thinking), twin.get("thinking").cloned());
            assert_eq!(ask.new_turn(), new_turn(&twin), "{}", lossy(&body));
        }
    }
    assert!(read > inputs.len() * 5, "only {read} bodies were read");
}

// ---- Refusals ----

#[test]
fn recorded_refusals_are_understood() {
    let mut wrong = Vec::new();
    for (name, status, body) in corpus::refusals() {
        let verdict = fault::verdict(Dialect::Messages, status, None, &body);
        let expected = REFUSALS.iter().find(|(part, _)| name.contains(part)).map(|(_, class)| *class);
        if expected != Some(verdict.failure.class) {
            wrong.push(format!(
                "{name} {status}: {:?}, expected {expected:?}: {}",
                verdict.failure.class,
                lossy(&body)
            ));
        }
        assert!(!verdict.told.message.is_empty(), "{name}");
        let passed = fault::passed_on(Dialect::Messages, Dialect::Messages, &verdict, &body, "req_1");
        assert_eq!(value(&passed)["type"], "error", "{name}");
        if name.starts_with("anthropic") || name.contains("synthetic-errors/anthropic") {
            assert_eq!(passed, body, "{name}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whatever a provider says, the client gets an error of the dialect with a message in it.
#[test]
fn no_wound_upsets_the_reading_of_errors() {
    let mut chance = Chance::new(6);
    let (mut relayed, mut wrapped) = (0, 0);
    for (name, status, body) in corpus::refusals() {
        for _ in 0..50 {
            let wounded = chance.wound(&body);
            let verdict = fault::verdict(Dialect::Messages, status, None, &wounded);
            let passed = fault::passed_on(Dialect::Messages, Dialect::Messages, &verdict, &wounded, "req_1");
            let shown = || format!("{name}: {} became {}", lossy(&wounded), lossy(&passed));
            assert_eq!(verdict.failure.status, status, "{}", shown());
            let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
            let of_the_dialect = |error: &Value| {
                error["type"] == "error" && text(&error["error"]["type"]) && text(&error["error"]["message"])
            };
            // An error of the dialect passes byte for byte, any other becomes one. What is broken behind the words
            // that were read is not looked at.
            match serde_json::from_slice::<Value>(&wounded) {
                Ok(error) => assert_eq!(of_the_dialect(&error), passed == wounded, "{}", shown()),
                Err(_) => assert!(passed != wounded || !verdict.told.message.is_empty(), "{}", shown()),
            }
            if passed == wounded {
                relayed += 1;
            } else {
                assert!(of_the_dialect(&value(&passed)), "{}", shown());
                assert_eq!(value(&passed)["request_id"], "req_1", "{}", shown());
                wrapped += 1;
            }
            // The same words are found in an answer that came with a 200.
            assert_eq!(fault::told(&wounded).message, verdict.told.message, "{}", shown());
        }
    }
    assert!(relayed > 100 && wrapped > 1000, "wounds teach nothing: {relayed} relayed, {wrapped} wrapped");
}

/// What is known of a stream at its end.
#[derive(PartialEq)]
struct Read {
    events: Vec<(Vec<u8>, Vec<u8>)>,
    meter: Meter,
    content: bool,
    ending: Ending,
    model_at: Option<(u64, u64)>,
    between: bool,
}

fn read<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Read {
    let mut reader = StreamReader::new();
    let mut sse = Sse::new();
    let (mut events, mut last) = (Vec::new(), Heard::default());
    for piece in pieces {
        last = reader.push(piece);
        sse.push(piece, |event| events.push((event.name.to_vec(), event.data.to_vec())));
    }
    let Heard { content, model_at, .. } = last;
    let (ending, between) = (reader.ending(), sse.at_boundary());
    Read { events, meter: reader.meter().clone(), content, ending, model_at, between }
}

fn random_pieces<'s>(chance: &mut Chance, mut stream: &'s [u8]) -> Vec<&'s [u8]> {
    let mut pieces = Vec::new();
    while !stream.is_empty() {
        let (piece, rest) = stream.split_at(chance.below(stream.len().min(400) + 1));
        pieces.push(piece);
        stream = rest;
    }
    pieces
}

/// Whether the peek and a full parse both take it, and take it for the same; the peek may take more, since it does not
/// judge what lies deeper.
fn agrees(body: &[u8]) -> bool {
    let peek: Result<Vec<_>, _> = json::members(body, Span::all(body)).collect();
    let Ok(twin::Members(twin)) = serde_json::from_slice(body) else { return false };
    let peek = peek.unwrap_or_else(|fault| panic!("{fault:?} in {}", lossy(body)));
    let shown =
        peek.iter().map(|m| (text::string(m.key.of(body)).unwrap().into_owned(), lossy(m.value.of(body))));
    assert!(shown.eq(twin.into_iter().map(|(key, value)| (key, value.get().to_owned()))), "{}", lossy(body));
    true
}

fn new_turn(body: &Value) -> bool {
    let messages = body["messages"].as_array().unwrap();
    let Some(last) = messages.iter().rev().find(|message| message["role"] != "system") else { return false };
    let results =
        last["content"].as_array().is_some_and(|all| all.iter().any(|block| block["type"] == "tool_result"));
    last["role"] == "user" && !results
}

fn replaced(stream: &[u8], from: &str, to: &str) -> Vec<u8> {
    std::str::from_utf8(stream).unwrap().replace(from, to).into_bytes()
}

/// The endpoint that a recorded body was sent to.
fn call(body: &[u8]) -> Call {
    if value(body).get("max_tokens").is_some() { Call::Messages } else { Call::CountTokens }
}

fn target(model: &str) -> Target<'_> {
    Target { model, limit: None, repairs: 0, cut_thinking: false, context_1m: false }
}

/// The top-level members by a full parse, values as their text.
fn members(body: &[u8]) -> Vec<(String, &str)> {
    let twin::Members(all) = serde_json::from_slice(body).unwrap();
    all.into_iter().map(|(key, value)| (key, value.get())).collect()
}

fn value(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const BETAS: &str = "claude-code-20250219,context-management-2025-06-27,something-new-2027-01-01";

/// A stream is split at each of its first bytes; behind them come random splits.
const EVERY_BYTE: usize = 800;

/// What each recorded refusal means, by a part of its name; the first that fits.
const REFUSALS: &[(&str, Class)] = &[
    // Meant to overflow, but the rate limit came first.
    ("azure-grok-4-1-fast-non-reasoning-handles", Class::RateLimit),
    ("gemini-gemini-2-5-flash-handles", Class::RateLimit),
    ("context-length", Class::Overflow),
    ("anthropic-bedrock-count-tokens", Class::Client),
    ("auth", Class::Credential),
    ("v1-messages-post", Class::Credential),
    ("converse-error", Class::Credential),
    ("meta-invoke-error", Class::Credential),
    ("exception-event", Class::Credential),
    ("v1-response-error", Class::Credential),
    ("handshake-rejection", Class::Credential),
    ("missing-api-key", Class::Credential),
    ("model-name-suggestion", Class::Model),
    ("nonexistent-model", Class::Model),
    ("unknown-model", Class::Model),
    ("missing-model", Class::Model),
    ("retired-model", Class::Model),
    ("test-bedrock-error", Class::Model),
    ("test-bedrock-streaming-error", Class::Model),
    ("count-tokens-error", Class::Model),
    ("azure-test-chat-reasoning", Class::Model),
    ("cohere-errors", Class::Model),
    ("tool-regular-error", Class::Model),
    ("carries-the-correlation-id", Class::Model),
    ("error-records-model-name", Class::Model),
    ("completion-404", Class::Model),
    ("create-api-error", Class::Model),
    ("extractor-failure", Class::Model),
    ("routed-failure", Class::Model),
    ("provider-error-classifies", Class::Model),
    ("errors-raised", Class::RateLimit),
    ("429-rate-limit", Class::RateLimit),
    ("429-throttling", Class::RateLimit),
    ("insufficient-quota", Class::Money),
    ("503", Class::Overloaded),
    ("529", Class::Overloaded),
    ("system-role", Class::Field),
    ("extra-inputs", Class::Field),
    ("completion-error", Class::Client),
    ("boolean-root-schema", Class::Client),
    ("tool-use-failed", Class::Client),
    ("test-vision", Class::Client),
    ("rejects-interleaved", Class::Client),
    ("wire-shape-matrix", Class::Client),
    ("multimodal-tool-return", Class::Client),
    ("content-filter", Class::Client),
    // Not a signature that was refused but one that was never there: cutting more would not help.
    ("missing-thought-signature", Class::Client),
    ("mistral-422", Class::Client),
    ("sglang-400", Class::Client),
];
