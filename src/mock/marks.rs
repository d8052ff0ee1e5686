//! Where `cache_control` may stand, and what it may say.
//!
//! Wordings are the real API's. Which beginnings are cached is [`super::cache`]'s.

use serde_json::Value;

use super::Request;
use super::strict::{Refusal, guard, no_extras};

/// At most four marks, each of a known form, those of an hour before those of five minutes. What stands inside a result
/// is not looked at.
pub(super) fn check(body: &Value, request: &Request<'_>) -> Result<(), Refusal> {
    let marks = marks(body);
    let count = marks.len();
    guard(count <= 4, || {
        format!("A maximum of 4 blocks with cache_control may be provided. Found {count}.")
    })?;
    let mut short = false;
    for (place, mark) in marks {
        form(&place, mark, request)?;
        let hour = mark["ttl"] == "1h";
        guard(!(hour && short), || {
            format!(
                "{place}.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note \
                 that blocks are processed in the following order: `tools`, `system`, `messages`."
            )
        })?;
        short |= !hour;
    }
    Ok(())
}

/// All marks with their places, in the order in which they are processed.
fn marks(body: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for part in ["tools", "system"] {
        for (i, block) in body[part].as_array().into_iter().flatten().enumerate() {
            found.extend(mark_of(block).map(|mark| (format!("{part}.{i}.cache_control"), mark)));
        }
    }
    for (i, message) in body["messages"].as_array().into_iter().flatten().enumerate() {
        for (at, block) in message["content"].as_array().into_iter().flatten().enumerate() {
            let place = || format!("messages.{i}.content.{at}.cache_control");
            found.extend(mark_of(block).map(|mark| (place(), mark)));
        }
    }
    found.extend(mark_of(body).map(|mark| ("cache_control".to_owned(), mark)));
    found
}

fn mark_of(block: &Value) -> Option<&Value> {
    Some(&block["cache_control"]).filter(|mark| !mark.is_null())
}

fn form(place: &str, mark: &Value, request: &Request<'_>) -> Result<(), Refusal> {
    let Some(fields) = mark.as_object() else {
        return Err(Refusal::invalid(format!("{place}: Input should be a valid dictionary")));
    };
    guard(mark["type"] == "ephemeral", || format!("{place}.type: Input should be 'ephemeral'"))?;
    let ttl = &mark["ttl"];
    let fits = ttl.is_null() || ttl == "5m" || ttl == "1h";
    guard(fits, || format!("{place}.ttl: Input should be '5m' or '1h'"))?;
    let scoped: &[&str] = &["type", "ttl", "scope"];
    let known = if request.beta("prompt-caching-scope-") { scoped } else { &scoped[..2] };
    no_extras(fields, known, &format!("{place}.ephemeral."))
}
