//! The members of a body beside `messages` and tools.
//!
//! Each is written where provider and model take it, and noted as lost where they do not and it was asked for. Names of
//! losses are those that the clients of the other dialects use. Adds no default of its own.

use std::io::Write;

use super::{Request, thinking};
use crate::json::{Span, member_of, text};
use crate::wire::chat::capability::Sampling;
use crate::wire::chat::repair::Field;
use crate::wire::ir::{Escaped, Format, Setting, Tier};
use crate::wire::names;
use crate::wire::traits::{CacheForm, FormatForm, OutputLimit, UserField};

/// Writes all of them.
pub(super) fn write(request: &mut Request<'_, '_>, level: thinking::Level) {
    stream(request);
    output_limit(request);
    sampling(request, level.thinks);
    settings(request, level.thinks);
    stop(request);
    thinking::write(request, level);
    format(request);
    user(request);
    cache_key(request);
    tier(request);
}

fn stream(request: &mut Request<'_, '_>) {
    if !request.given.conversation.stream {
        return;
    }
    request.out.extend_from_slice(b",\"stream\":true");
    if request.given.traits.usage_option && !request.given.drops(Field::StreamOptions) {
        request.out.extend_from_slice(b",\"stream_options\":{\"include_usage\":true}");
    }
}

/// What the client asks for, within what model and provider allow; the provider's own limit where it asks for nothing.
fn output_limit(request: &mut Request<'_, '_>) {
    let given = request.given;
    let asked = given.conversation.max_output;
    let most = [given.model.map(|model| model.max_output), given.target.limit].into_iter().flatten().min();
    if given.drops(Field::MaxTokens) && given.drops(Field::MaxCompletionTokens) {
        if asked.is_some() {
            request.loss.add("max_tokens");
        }
        return;
    }
    let Some(limit) = asked.map(|asked| most.map_or(asked, |most| most.min(asked))).or(given.target.limit)
    else {
        return;
    };
    if asked.is_some_and(|asked| limit < asked) {
        request.loss.add("max_tokens");
    }
    // Where one name was refused, the other one is taken.
    let name = match given.traits.output_limit {
        OutputLimit::MaxTokens if given.drops(Field::MaxTokens) => "max_completion_tokens",
        OutputLimit::MaxCompletionTokens if given.drops(Field::MaxCompletionTokens) => "max_tokens",
        OutputLimit::MaxTokens => "max_tokens",
        OutputLimit::MaxCompletionTokens => "max_completion_tokens",
    };
    let _ = write!(request.out, ",\"{name}\":{limit}");
}

fn sampling(request: &mut Request<'_, '_>, thinks: bool) {
    let conversation = request.given.conversation;
    let taken = match request.given.model.map_or(Sampling::Free, |model| model.sampling) {
        Sampling::Free => true,
        Sampling::WithoutThinking => !thinks,
        Sampling::Fixed => false,
    };
    for (name, value) in [("temperature", conversation.temperature), ("top_p", conversation.top_p)] {
        match value {
            Some(value) if taken => request.member(name, value),
            // One changes nothing.
            Some(b"1" | b"1.0") | None => {}
            Some(_) => request.loss.add(name),
        }
    }
    match conversation.top_k {
        Some(value) if taken && request.given.traits.top_k => request.member("top_k", value),
        Some(_) => request.loss.add("top_k"),
        None => {}
    }
}

fn settings(request: &mut Request<'_, '_>, thinks: bool) {
    let free = request.given.model.map_or(Sampling::Free, |model| model.sampling) == Sampling::Free;
    let traits = request.given.traits;
    for (setting, value) in &request.given.conversation.settings {
        let taken = match setting {
            Setting::Seed => true,
            Setting::FrequencyPenalty | Setting::PresencePenalty => free,
            Setting::LogitBias => free && !traits.picky,
            Setting::Logprobs => (free || !thinks) && !traits.picky,
        };
        if !(taken && traits.settings) {
            request.loss.add(setting.name());
        } else if *setting == Setting::Logprobs && text::is_number(value) {
            request.member("top_logprobs", value);
        } else {
            request.member(setting.name(), value);
        }
    }
}

fn stop(request: &mut Request<'_, '_>) {
    let given = request.given;
    let most = if given.model.is_none_or(|model| model.stop) { given.traits.stops } else { 0 };
    let mut texts = given.conversation.stop.iter().filter(|text| !text.is_empty());
    if texts.clone().count() > most {
        request.loss.add("stop_sequences");
    }
    let Some(first) = texts.next().filter(|_| most > 0) else { return };
    if !request.opens("stop") {
        return;
    }
    request.out.push(b'[');
    for (index, text) in std::iter::once(first).chain(texts).take(most).enumerate() {
        request.out.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
        request.out.extend_from_slice(text.as_bytes());
        request.out.push(b'"');
    }
    request.out.push(b']');
}

fn format(request: &mut Request<'_, '_>) {
    let form = request.given.traits.format;
    match (&request.given.conversation.format, form) {
        (Format::Text, _) => {}
        (Format::Json, FormatForm::Schema | FormatForm::Json) => {
            request.member("response_format", JSON_OBJECT);
        }
        (Format::Schema { .. }, FormatForm::Json) => {
            request.loss.add("output_config.format");
            request.member("response_format", JSON_OBJECT);
        }
        (Format::Json | Format::Schema { .. }, FormatForm::Never) => request.loss.add("output_config.format"),
        (Format::Schema { name, schema, strict }, FormatForm::Schema) => {
            if request.opens("response_format") {
                json_schema(&mut request.out, name.as_ref(), schema, *strict);
            }
        }
    }
}

fn json_schema(out: &mut Vec<u8>, name: Option<&Escaped<'_>>, schema: &[u8], strict: Option<bool>) {
    let title = member_of(schema, Span::all(schema), "title");
    let title = title.and_then(|title| Escaped::of_value(title.value.of(schema)));
    let name = name.cloned().or(title).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| Escaped::of("response"));
    out.extend_from_slice(b"{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"");
    out.extend_from_slice(&names::fit_name(&name, FORMAT_NAME));
    out.extend_from_slice(b"\",\"schema\":");
    out.extend_from_slice(schema);
    match strict {
        Some(true) => out.extend_from_slice(b",\"strict\":true"),
        Some(false) => out.extend_from_slice(b",\"strict\":false"),
        None => {}
    }
    out.extend_from_slice(b"}}");
}

/// Ids of users are as long as clients like them, and nobody's business: a hash tells them apart as well.
fn user(request: &mut Request<'_, '_>) {
    let Some(user) = &request.given.conversation.user else { return };
    let hash = names::digest_of(user.as_bytes(), LONGEST_ID);
    match request.given.traits.user {
        UserField::Never => {}
        UserField::User => request.word("user", hash.as_bytes()),
        UserField::SafetyIdentifier => request.word("safety_identifier", hash.as_bytes()),
    }
}

fn cache_key(request: &mut Request<'_, '_>) {
    let session = request.given.conversation.session.as_deref().filter(|session| !session.is_empty());
    let Some(session) = session.filter(|_| request.given.traits.cache == CacheForm::Key) else { return };
    if request.opens("prompt_cache_key") {
        if session.len() <= LONGEST_ID {
            text::quote_into(&mut request.out, session);
        } else {
            text::quote_into(&mut request.out, &names::digest_of(session.as_bytes(), LONGEST_ID));
        }
    }
}

fn tier(request: &mut Request<'_, '_>) {
    let Some(tier) = request.given.conversation.tier else { return };
    let word: &[u8] = match tier {
        Tier::Auto => b"auto",
        Tier::Standard => b"default",
        Tier::Flex => b"flex",
        Tier::Priority => b"priority",
    };
    match tier {
        _ if request.given.traits.tier => request.word("service_tier", word),
        // What such providers do anyway.
        Tier::Auto | Tier::Standard => {}
        Tier::Flex | Tier::Priority => request.loss.add("service_tier"),
    }
}

const JSON_OBJECT: &[u8] = b"{\"type\":\"json_object\"}";

/// Longest name of a schema (wire.md section 14).
const FORMAT_NAME: usize = 64;

/// Longest id of a user and longest `prompt_cache_key` (wire.md sections 15 and 17).
const LONGEST_ID: usize = 64;
