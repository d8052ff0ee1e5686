//! What stands around the content of an answer: id, time, model, usage (wire.md 2.2, 2.3).
//!
//! Written the same in a stream and in a whole answer. Holds no content.

use crate::json::text;
use crate::wire::Usage;
use crate::wire::transcode::Frame;

/// `"id":…,"object":…,"created":…,"model":…`.
pub(super) fn head(frame: &Frame, object: &str, out: &mut Vec<u8>) {
    let id = frame.id.split_once('_').map_or(&*frame.id, |(_, id)| id);
    out.extend_from_slice(b"\"id\":");
    text::quote_into(out, &format!("chatcmpl-{id}"));
    out.extend_from_slice(b",\"object\":");
    text::quote_into(out, object);
    out.extend_from_slice(format!(",\"created\":{},\"model\":", frame.created).as_bytes());
    text::quote_into(out, &frame.model);
}

/// The object of `usage`: the prompt with its cached part in it, the completion with its reasoning in it.
pub(super) fn usage(usage: &Usage, out: &mut Vec<u8>) {
    let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
    let prompt = usage.input.saturating_add(usage.cache_read).saturating_add(written);
    let total = prompt.saturating_add(usage.output);
    let told = format!(
        r#"{{"prompt_tokens":{prompt},"completion_tokens":{},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":{}"#,
        usage.output, usage.cache_read
    );
    out.extend_from_slice(told.as_bytes());
    if written > 0 {
        out.extend_from_slice(format!(",\"cache_write_tokens\":{written}").as_bytes());
    }
    out.push(b'}');
    if usage.reasoning > 0 {
        let told = format!(",\"completion_tokens_details\":{{\"reasoning_tokens\":{}}}", usage.reasoning);
        out.extend_from_slice(told.as_bytes());
    }
    out.push(b'}');
}

/// One element of `reasoning_details` that carries opaque state through the client (the form that routers have for it).
pub(super) fn sealed(index: usize, family: &str, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"reasoning.text\",\"signature\":\"");
    crate::wire::seal::write(out, family, payload);
    out.extend_from_slice(format!("\",\"format\":\"pointsman\",\"index\":{index}}}").as_bytes());
}
