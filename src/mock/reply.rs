//! One turn of the model, told in two ways: as a stream of events or as one whole message.
//!
//! Both renderings read the same [`Turn`], so they cannot drift: folding the events gives the whole message (a test does
//! it). Here too are the mock's own counts of tokens. Decides nothing about what the turn says; that is
//! [`super::brain`]'s.

use serde_json::{Value, json};

/// What the model says in one answer.
#[derive(Clone, Debug)]
pub struct Turn {
    /// `msg_…`.
    pub id: String,
    /// The model's id as it was asked for.
    pub model: String,
    /// Content blocks as a whole message holds them.
    pub content: Vec<Value>,
    /// `end_turn`, `tool_use`, `max_tokens`, `stop_sequence`.
    pub stop_reason: &'static str,
    /// The sequence that stopped it.
    pub stop_sequence: Option<String>,
    /// Tokens in and out.
    pub usage: Usage,
    /// Whether the request had `context_management`, which the answer then repeats as applied edits.
    pub context_management: bool,
}

/// Disjoint counts of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input that was neither read from nor written to the cache.
    pub input: u64,
    /// Input read from the cache.
    pub cache_read: u64,
    /// Input written to the cache for five minutes.
    pub cache_write_5m: u64,
    /// Input written to the cache for an hour.
    pub cache_write_1h: u64,
    /// Output, thinking included.
    pub output: u64,
    /// Thinking within the output.
    pub thinking: u64,
    /// Web searches that the server made.
    pub searches: u64,
}

/// The turn as server-sent events, one for each element, in the order of the real ones (`wire.md` section 1.6).
pub fn events(turn: &Turn) -> Vec<Vec<u8>> {
    let mut start = message(turn, &[]);
    start["stop_reason"] = Value::Null;
    start["stop_sequence"] = Value::Null;
    start["usage"] = turn.usage.show(Count::Begun);
    let mut out = vec![event("message_start", json!({"message": start}))];
    for (index, block) in turn.content.iter().enumerate() {
        block_events(index, block, &mut out);
    }
    let mut end = json!({
        "delta": {"stop_reason": turn.stop_reason, "stop_sequence": turn.stop_sequence},
        "usage": turn.usage.show(Count::Final),
    });
    if turn.context_management {
        end["context_management"] = json!({"applied_edits": []});
    }
    out.push(event("message_delta", end));
    out.push(event("message_stop", json!({})));
    out
}

/// The turn as one message.
pub fn whole(turn: &Turn) -> Value {
    let mut message = message(turn, &turn.content);
    if turn.context_management {
        message["context_management"] = json!({"applied_edits": []});
    }
    message
}

/// One server-sent event: `fields` with `type` put in front.
pub fn event(kind: &str, fields: Value) -> Vec<u8> {
    let mut data = json!({"type": kind});
    if let (Some(data), Value::Object(fields)) = (data.as_object_mut(), fields) {
        data.extend(fields);
    }
    format!("event: {kind}\ndata: {data}\n\n").into_bytes()
}

/// An estimate of a request's input: a quarter of the bytes of all text and schemas, a fixed sum for each picture.
pub fn input_tokens(body: &Value) -> u64 {
    let parts = ["tools", "system", "messages"];
    parts.iter().map(|part| tokens_of(&body[*part])).sum::<u64>().max(1)
}

/// An estimate for anything inside a request. Walks without recursion, for bodies are the user's.
pub fn tokens_of(value: &Value) -> u64 {
    let (mut bytes, mut tokens, mut left) = (0, 0, vec![value]);
    while let Some(value) = left.pop() {
        match value {
            Value::String(text) => bytes += text.len() as u64,
            Value::Array(items) => left.extend(items),
            Value::Object(fields) if fields.get("type").is_some_and(|t| t == "base64") => {
                tokens += PICTURE_TOKENS;
            }
            Value::Object(fields) => {
                tokens += 1;
                for (name, value) in fields.iter().filter(|(name, _)| *name != "cache_control") {
                    bytes += name.len() as u64;
                    left.push(value);
                }
            }
            Value::Number(_) | Value::Bool(_) => tokens += 1,
            Value::Null => {}
        }
    }
    tokens + bytes.div_ceil(BYTES_PER_TOKEN)
}

/// An estimate for a block of an answer: what the model itself says, not the frame around it.
pub fn output_tokens(block: &Value) -> u64 {
    let said =
        ["text", "thinking", "name"].iter().map(|field| text_of(block, field).len() as u64).sum::<u64>();
    let input = if block["input"].is_null() { 0 } else { block["input"].to_string().len() as u64 };
    (said + input).div_ceil(BYTES_PER_TOKEN)
}

/// The signature of a block of thinking: any mock can tell whether the text is still the one that was signed.
pub fn signature(thinking: &str, salt: u64) -> String {
    let salt = format!("{salt:016x}");
    format!("{SIGNATURE}{salt}-{:016x}", hash(&[salt.as_bytes(), thinking.as_bytes()]))
}

/// Whether [`signature`] made this signature for this text.
pub fn is_signed(thinking: &str, signed: &str) -> bool {
    let salt = signed.strip_prefix(SIGNATURE).and_then(|rest| rest.split_once('-')).map(|(salt, _)| salt);
    let salt = salt.and_then(|salt| u64::from_str_radix(salt, 16).ok());
    salt.is_some_and(|salt| signature(thinking, salt) == signed)
}

/// FNV-1a: the same in every process, which the standard hasher does not promise.
pub fn hash(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn message(turn: &Turn, content: &[Value]) -> Value {
    json!({
        "id": turn.id,
        "type": "message",
        "role": "assistant",
        "model": turn.model,
        "content": content,
        "stop_reason": turn.stop_reason,
        "stop_sequence": turn.stop_sequence,
        "usage": turn.usage.show(Count::Final),
    })
}

fn block_events(index: usize, block: &Value, out: &mut Vec<Vec<u8>>) {
    let delta = |delta: Value| event("content_block_delta", json!({"index": index, "delta": delta}));
    let mut opened = block.clone();
    let mut deltas = Vec::new();
    match block["type"].as_str() {
        Some("text") => {
            opened["text"] = json!("");
            deltas.extend(
                pieces(text_of(block, "text")).map(|p| delta(json!({"type": "text_delta", "text": p}))),
            );
        }
        Some("thinking") => {
            opened["thinking"] = json!("");
            opened["signature"] = json!("");
            let thought = pieces(text_of(block, "thinking"));
            deltas.extend(thought.map(|p| delta(json!({"type": "thinking_delta", "thinking": p}))));
            deltas.push(delta(json!({"type": "signature_delta", "signature": block["signature"]})));
        }
        Some("tool_use" | "server_tool_use") => {
            opened["input"] = json!({});
            let input = block["input"].to_string();
            let parts = std::iter::once("").chain(pieces(&input));
            deltas.extend(parts.map(|p| delta(json!({"type": "input_json_delta", "partial_json": p}))));
        }
        _ => {}
    }
    out.push(event("content_block_start", json!({"index": index, "content_block": opened})));
    if index == 0 {
        out.push(event("ping", json!({})));
    }
    out.append(&mut deltas);
    out.push(event("content_block_stop", json!({"index": index})));
}

fn text_of<'a>(block: &'a Value, field: &str) -> &'a str {
    block[field].as_str().unwrap_or_default()
}

/// A text in pieces of about [`PIECE`] bytes, or larger ones so that there are no more than [`MAX_PIECES`]; never within
/// a character.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let size = PIECE.max(text.len().div_ceil(MAX_PIECES));
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, left) = rest.split_at(boundary(rest, size));
        rest = left;
        Some(piece)
    })
}

/// The first end of a character at or after `at`.
fn boundary(text: &str, at: usize) -> usize {
    (at..text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(text.len())
}

/// How far an answer is when its usage is told.
#[derive(Clone, Copy)]
enum Count {
    Begun,
    Final,
}

impl Usage {
    fn show(&self, at: Count) -> Value {
        let mut shown = json!({
            "input_tokens": self.input,
            "cache_creation_input_tokens": self.cache_write_5m + self.cache_write_1h,
            "cache_read_input_tokens": self.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.cache_write_5m,
                "ephemeral_1h_input_tokens": self.cache_write_1h,
            },
            "output_tokens": 1,
            "service_tier": "standard",
        });
        if let Count::Final = at {
            shown["output_tokens"] = json!(self.output);
            shown["output_tokens_details"] = json!({"thinking_tokens": self.thinking});
            if self.searches > 0 {
                shown["server_tool_use"] =
                    json!({"web_search_requests": self.searches, "web_fetch_requests": 0});
            }
        }
        shown
    }
}

/// Bytes of English text or code for one token, roughly.
pub const BYTES_PER_TOKEN: u64 = 4;
/// A picture or a page of about a megapixel.
const PICTURE_TOKENS: u64 = 1_500;
const SIGNATURE: &str = "mock-sig-";
/// Bytes of a usual delta.
const PIECE: usize = 16;
/// Deltas of one block at most; a longer text gets longer deltas.
const MAX_PIECES: usize = 256;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Folds a stream into the whole message, as a client does.
    pub fn fold(stream: &[u8]) -> Value {
        let text = std::str::from_utf8(stream).unwrap();
        let mut message = Value::Null;
        let mut json_text = String::new();
        for data in text.split("\n\n").filter_map(|e| e.split_once("\ndata: ")).map(|(_, data)| data) {
            let e: Value = serde_json::from_str(data).unwrap();
            let at = e["index"].as_u64().map(|i| usize::try_from(i).unwrap());
            match e["type"].as_str().unwrap() {
                "message_start" => message = e["message"].clone(),
                "content_block_start" => {
                    assert_eq!(at.unwrap(), message["content"].as_array().unwrap().len());
                    message["content"].as_array_mut().unwrap().push(e["content_block"].clone());
                    json_text.clear();
                }
                "content_block_delta" => {
                    let block = &mut message["content"][at.unwrap()];
                    let d = &e["delta"];
                    for field in ["text", "thinking", "signature"] {
                        if let Some(more) = d[field].as_str() {
                            block[field] = json!(format!("{}{more}", block[field].as_str().unwrap()));
                        }
                    }
                    json_text += d["partial_json"].as_str().unwrap_or_default();
                }
                "content_block_stop" if !json_text.is_empty() => {
                    message["content"][at.unwrap()]["input"] = serde_json::from_str(&json_text).unwrap();
                    json_text.clear();
                }
                "message_delta" => {
                    for (field, value) in e["delta"].as_object().unwrap() {
                        message[field] = value.clone();
                    }
                    for (field, value) in e["usage"].as_object().unwrap() {
                        message["usage"][field] = value.clone();
                    }
                    if let Some(managed) = e.get("context_management") {
                        message["context_management"] = managed.clone();
                    }
                }
                _ => {}
            }
        }
        message
    }

    fn turn() -> Turn {
        Turn {
            id: "msg_1".into(),
            model: "mock-1".into(),
            content: vec![
                json!({"type": "thinking", "thinking": "hmm, größer als ein Stück 🚆🚆🚆", "signature": signature("x", 1)}),
                json!({"type": "text", "text": "Größenänderung 🚆🚆🚆🚆🚆🚆 と 日本語のテキスト"}),
                json!({"type": "tool_use", "id": "toolu_1", "name": "Write", "input": {"file_path": "/tmp/ä", "content": "\"quoted\"\n"}}),
                json!({"type": "tool_use", "id": "toolu_2", "name": "Now", "input": {}}),
            ],
            stop_reason: "tool_use",
            stop_sequence: None,
            usage: Usage { input: 7, cache_read: 3, output: 30, thinking: 9, ..Usage::default() },
            context_management: true,
        }
    }

    #[test]
    fn folding_the_stream_gives_the_whole_message() {
        assert_eq!(fold(&events(&turn()).concat()), whole(&turn()));
    }

    #[test]
    fn a_text_comes_in_several_deltas_that_split_no_character() {
        let deltas = events(&turn()).iter().filter(|e| e.starts_with(b"event: content_block_delta")).count();
        assert!(deltas > 8, "{deltas}");
        assert_eq!(pieces(&"🚆".repeat(4000)).count(), 250);
    }

    #[test]
    fn a_signature_holds_for_its_text_only() {
        let signed = signature("thought", 7);
        assert!(is_signed("thought", &signed));
        for (text, signed) in [
            ("thoughts", signed.as_str()),
            ("thought", "mock-sig-7-0"),
            ("thought", "EqQBCkYIBhgC"),
            ("thought", ""),
        ] {
            assert!(!is_signed(text, signed), "{text} {signed}");
        }
    }
}
