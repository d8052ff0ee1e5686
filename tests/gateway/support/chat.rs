//! Chat Completions' chunks and bodies, as text.

use super::client::{Request, raw};

/// A request of an `OpenAI` client.
pub fn chat() -> Request {
    raw("POST", "/openai/v1/chat/completions")
        .body(r#"{"model":"claude-test","max_tokens":64,"messages":[{"role":"user","content":"hi"}]}"#)
}

/// One chunk with this delta (JSON) and finish reason.
pub fn chunk(delta: &str, finish: Option<&str>) -> String {
    let finish = finish.map_or("null".to_owned(), |word| format!("\"{word}\""));
    format!(
        "data: {{\"id\":\"chatcmpl-up\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"real-chat\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

pub fn chat_role() -> String {
    chunk(r#"{"role":"assistant","content":""}"#, None)
}

pub fn chat_text(text: &str) -> String {
    chunk(&format!("{{\"content\":{}}}", serde_json::to_string(text).unwrap()), None)
}

pub fn chat_finish(reason: &str) -> String {
    chunk("{}", Some(reason))
}

pub fn chat_usage() -> String {
    "data: {\"id\":\"chatcmpl-up\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"real-chat\",\"choices\":[],\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":7,\"total_tokens\":37,\"prompt_tokens_details\":{\"cached_tokens\":10}}}\n\n".to_owned()
}

pub fn chat_error(status: u16, message: &str) -> String {
    format!("data: {{\"error\":{{\"code\":{status},\"message\":\"{message}\"}},\"choices\":[]}}\n\n")
}

pub const DONE: &str = "data: [DONE]\n\n";

/// A whole stream that says `text`.
pub fn chat_stream(text: &str) -> String {
    chat_role() + &chat_text(text) + &chat_finish("stop") + &chat_usage() + DONE
}

/// A whole answer that says `text`.
pub fn chat_whole(text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    format!(
        r#"{{"id":"chatcmpl-up","object":"chat.completion","created":1,"model":"real-chat","choices":[{{"index":0,"message":{{"role":"assistant","content":{text}}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":30,"completion_tokens":7,"total_tokens":37,"prompt_tokens_details":{{"cached_tokens":10}}}}}}"#
    )
}
