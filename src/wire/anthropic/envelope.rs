//! What stands around the content of an answer: its id, its model, its usage (wire.md 1.5).
//!
//! Written the same in a stream and in a whole answer. Holds no content.

use std::io::Write;

use super::request::strip_context_mark;
use crate::json::text;
use crate::wire::Usage;
use crate::wire::ir::Event;
use crate::wire::transcode::Frame;

/// The members in front of `content`. Claude Code drops the signed thinking of a message whose model is not the one that
/// it asked for, and it asks without its own mark for a large context.
pub(super) fn head(frame: &Frame, out: &mut Vec<u8>) {
    let id = frame.id.split_once('_').map_or(&*frame.id, |(_, id)| id);
    out.extend_from_slice(b"\"id\":");
    text::quote_into(out, &format!("msg_{id}"));
    out.extend_from_slice(b",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
    text::quote_into(out, strip_context_mark(&frame.model).0);
}

/// `"stop_reason":…,"stop_sequence":…` of [`Event::Stop`]; `null` of any other.
pub(super) fn stop(event: &Event<'_>, out: &mut Vec<u8>) {
    let (reason, sequence) = match event {
        Event::Stop { reason, sequence } => (Some(reason.word()), *sequence),
        _ => (None, None),
    };
    out.extend_from_slice(b"\"stop_reason\":");
    match reason {
        Some(reason) => text::quote_into(out, reason),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"stop_sequence\":");
    match sequence {
        Some(sequence) => string(sequence, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// A string of what is escaped already.
pub(super) fn string(inside: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(inside);
    out.push(b'"');
}

/// The object of `usage`: the counts that clients need always, the others where they are not 0.
pub(super) fn usage(usage: &Usage, out: &mut Vec<u8>) {
    let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
    number(out, "{\"input_tokens\":", usage.input);
    number(out, ",\"cache_creation_input_tokens\":", written);
    number(out, ",\"cache_read_input_tokens\":", usage.cache_read);
    if usage.cache_write_1h > 0 {
        number(out, ",\"cache_creation\":{\"ephemeral_5m_input_tokens\":", usage.cache_write_5m);
        number(out, ",\"ephemeral_1h_input_tokens\":", usage.cache_write_1h);
        out.push(b'}');
    }
    number(out, ",\"output_tokens\":", usage.output);
    if usage.reasoning > 0 {
        number(out, ",\"output_tokens_details\":{\"thinking_tokens\":", usage.reasoning);
        out.push(b'}');
    }
    if usage.web_searches > 0 || usage.web_fetches > 0 {
        number(out, ",\"server_tool_use\":{\"web_search_requests\":", usage.web_searches);
        number(out, ",\"web_fetch_requests\":", usage.web_fetches);
        out.push(b'}');
    }
    out.push(b'}');
}

/// A text and a number behind it.
pub(super) fn number(out: &mut Vec<u8>, front: &str, number: u64) {
    out.extend_from_slice(front.as_bytes());
    // A vector takes everything.
    let _ = write!(out, "{number}");
}
