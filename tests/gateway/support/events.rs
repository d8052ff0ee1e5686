//! Anthropic's events and bodies, as text.

pub const OVERLOADED: &str =
    r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_up"}"#;

pub fn event(name: &str, data: &str) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

pub fn message_start(model: &str) -> String {
    event(
        "message_start",
        &format!(
            r#"{{"type":"message_start","message":{{"id":"msg_1","type":"message","role":"assistant","model":"{model}","content":[],"stop_reason":null,"usage":{{"input_tokens":10,"cache_read_input_tokens":3,"output_tokens":1}}}}}}"#
        ),
    )
}

pub fn block_start() -> String {
    event(
        "content_block_start",
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    )
}

pub fn delta(text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    event(
        "content_block_delta",
        &format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":{text}}}}}"#
        ),
    )
}

pub fn block_stop() -> String {
    event("content_block_stop", r#"{"type":"content_block_stop","index":0}"#)
}

pub fn message_end() -> String {
    let delta = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":7}}"#;
    event("message_delta", delta) + &event("message_stop", r#"{"type":"message_stop"}"#)
}

pub fn error_event(kind: &str) -> String {
    event("error", &format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"It broke"}}}}"#))
}

pub fn ping() -> String {
    event("ping", r#"{"type":"ping"}"#)
}

/// A whole stream that says `text`.
pub fn stream(model: &str, text: &str) -> String {
    message_start(model) + &block_start() + &delta(text) + &block_stop() + &message_end()
}

/// A whole answer that says `text`.
pub fn whole(model: &str, text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    format!(
        r#"{{"id":"msg_1","type":"message","role":"assistant","model":"{model}","content":[{{"type":"text","text":{text}}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":10,"cache_read_input_tokens":3,"output_tokens":7}}}}"#
    )
}
