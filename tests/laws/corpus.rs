//! The recorded exchanges under `tests/fixtures`, as bytes.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// One recorded call.
pub struct Exchange {
    /// Folder, case and number, for a failure's message.
    pub name: String,
    pub status: u16,
    pub request: Vec<u8>,
    pub answer: Answer,
}

/// What came back.
pub enum Answer {
    Whole(Vec<u8>),
    Stream(Vec<u8>),
}

/// Every call of these folders.
pub fn exchanges(folders: &[&str]) -> Vec<Exchange> {
    let mut found = Vec::new();
    for folder in folders {
        for case in children(&fixtures().join(folder)) {
            let meta: Value = serde_json::from_slice(&read(&case.join("meta.json"))).unwrap();
            for call in meta["interactions"].as_array().unwrap() {
                let file =
                    |name: &str| call[name].as_str().map(|name| read(&case.join(name))).unwrap_or_default();
                let response = call["response"].as_str().unwrap();
                found.push(Exchange {
                    name: format!("{folder}/{}/{response}", case.file_name().unwrap().to_str().unwrap()),
                    status: u16::try_from(call["status"].as_u64().unwrap()).unwrap(),
                    request: file("request"),
                    answer: answer(response, file("response")),
                });
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// The folders of those who speak Chat Completions.
pub const CHAT: &[&str] = &[
    "azure-openai",
    "bedrock-openai",
    "cerebras",
    "deepseek",
    "gpustack",
    "groq",
    "huggingface-router",
    "llamacpp",
    "mistral",
    "ollama",
    "openai-chat",
    "openrouter",
    "perplexity",
    "together",
    "vllm",
    "xai",
    "zai",
];

/// A fixture that is no exchange, as text.
pub fn text(path: &str) -> String {
    String::from_utf8(read(&fixtures().join(path))).unwrap()
}

/// The Messages exchanges of all providers that speak the dialect.
pub fn dialect() -> Vec<Exchange> {
    exchanges(&["anthropic", "bedrock-invoke", "vertex-anthropic"])
}

/// Bodies that Claude Code sends, and the recorded ones that carry their own model.
pub fn requests() -> Vec<(String, Vec<u8>)> {
    let client = children(&fixtures().join("client-requests")).into_iter().map(|path| {
        let call: Value = serde_json::from_slice(&read(&path)).unwrap();
        (path.display().to_string(), serde_json::to_vec(&call["body"]).unwrap())
    });
    let recorded = exchanges(&["anthropic"]).into_iter().map(|exchange| (exchange.name, exchange.request));
    client.chain(recorded).collect()
}

/// Streams of the dialect as text/event-stream, with names; Bedrock's frames are unwrapped.
pub fn streams() -> Vec<(String, Vec<u8>)> {
    let recorded = dialect().into_iter().filter_map(|exchange| match exchange.answer {
        Answer::Stream(bytes) => Some((exchange.name, bytes)),
        Answer::Whole(_) => None,
    });
    let synthetic = children(&fixtures().join("synthetic-errors")).into_iter().filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("anthropic") && path.extension().is_some_and(|kind| kind == "sse")
    });
    recorded.chain(synthetic.map(|path| (path.display().to_string(), read(&path)))).collect()
}

/// Whole answers of the dialect that are no refusals.
pub fn replies() -> Vec<(String, Vec<u8>)> {
    let whole = dialect().into_iter().filter(|exchange| exchange.status == 200);
    let whole = whole.filter_map(|exchange| match exchange.answer {
        Answer::Whole(bytes) => Some((exchange.name, bytes)),
        Answer::Stream(_) => None,
    });
    // Counts of tokens and answers of the old completion API are no messages.
    whole.filter(|(_, body)| serde_json::from_slice::<Value>(body).unwrap()["type"] == "message").collect()
}

/// Streams of Chat Completions, with names.
pub fn chat_streams() -> Vec<(String, Vec<u8>)> {
    let recorded = exchanges(CHAT).into_iter().filter(|exchange| exchange.status == 200);
    let recorded = recorded.filter_map(|exchange| match exchange.answer {
        Answer::Stream(bytes) => Some((exchange.name, bytes)),
        Answer::Whole(_) => None,
    });
    let synthetic = children(&fixtures().join("synthetic-errors")).into_iter().filter_map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let is_chat =
            !name.starts_with("anthropic") && !name.contains("responses") && !name.contains("gemini");
        (is_chat && path.extension().is_some_and(|kind| kind == "sse"))
            .then(|| (format!("synthetic-errors/{name}"), read(&path)))
    });
    recorded.chain(synthetic).collect()
}

/// Whole answers of Chat Completions that are no refusals.
pub fn chat_replies() -> Vec<(String, Vec<u8>)> {
    let whole = exchanges(CHAT).into_iter().filter(|exchange| exchange.status == 200);
    let whole = whole.filter_map(|exchange| match exchange.answer {
        Answer::Whole(bytes) => Some((exchange.name, bytes)),
        Answer::Stream(_) => None,
    });
    // A 200 may hold an error.
    whole
        .filter(|(_, body)| {
            serde_json::from_slice::<Value>(body).is_ok_and(|body| body["choices"].is_array())
        })
        .collect()
}

/// Requests of Chat Completions, recorded and hand-written.
pub fn chat_requests() -> Vec<(String, Vec<u8>)> {
    let recorded = exchanges(CHAT).into_iter().map(|exchange| (exchange.name, exchange.request));
    recorded.chain(bodies("agentgateway-requests/completions")).collect()
}

/// Requests of Messages, recorded and hand-written.
pub fn messages_requests() -> Vec<(String, Vec<u8>)> {
    requests().into_iter().chain(bodies("agentgateway-requests/messages")).collect()
}

fn bodies(folder: &str) -> Vec<(String, Vec<u8>)> {
    let all = children(&fixtures().join(folder)).into_iter();
    all.map(|path| (path.display().to_string(), read(&path))).collect()
}

/// Refusals of every provider: name, status, body.
pub fn refusals() -> Vec<(String, u16, Vec<u8>)> {
    let all = exchanges(&["anthropic", "bedrock-invoke", "vertex-anthropic", "errors"]).into_iter();
    let recorded = all.filter(|exchange| exchange.status != 200).map(|exchange| {
        let (Answer::Whole(body) | Answer::Stream(body)) = exchange.answer;
        (exchange.name, exchange.status, body)
    });
    let synthetic = children(&fixtures().join("synthetic-errors")).into_iter().filter_map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().strip_suffix(".resp.json")?.to_owned();
        let meta: Value =
            serde_json::from_slice(&read(&path.with_file_name(format!("{name}.meta.json")))).unwrap();
        let status = u16::try_from(meta["status"].as_u64().unwrap()).unwrap();
        (status != 200).then(|| (format!("synthetic-errors/{name}"), status, read(&path)))
    });
    recorded.chain(synthetic).collect()
}

fn answer(name: &str, bytes: Vec<u8>) -> Answer {
    match Path::new(name).extension().unwrap().to_str().unwrap() {
        "sse" => Answer::Stream(bytes),
        "eventstream" => Answer::Stream(unwrapped(&bytes)),
        _ => Answer::Whole(bytes),
    }
}

/// The events in Bedrock's frames (wire.md 7.2): each payload is `{"bytes": "<base64 of one event>"}`.
fn unwrapped(mut frames: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap()) as usize;
    while !frames.is_empty() {
        let (total, headers) = (number(&frames[..4]), number(&frames[4..8]));
        let payload: Value = serde_json::from_slice(&frames[12 + headers..total - 4]).unwrap();
        out.extend_from_slice(b"data: ");
        out.extend(base64(payload["bytes"].as_str().unwrap()));
        out.extend_from_slice(b"\n\n");
        frames = &frames[total..];
    }
    out
}

fn base64(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xff) as u8);
        }
    }
    out
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
