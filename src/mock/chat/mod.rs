//! The mock as a provider that speaks `OpenAI` Chat Completions, in the way of each of them by its path.
//!
//! ```text
//! Request ──▶ flavour (by path) ──▶ strict ──▶ read (Anthropic's form) ──▶ brain ──▶ said ──▶ reply | stream ──▶ Answer
//! ```
//!
//! [`flavour`] is the table of who does what; base URLs are in it too, so that one process plays them all:
//! `http://127.0.0.1:8081/openrouter/api/v1`. Thinks up nothing itself, and shares no code with the gateway's translation:
//! it is what that is tested against.

pub mod flavour;
mod models;
mod offers;
mod read;
mod refusal;
mod reply;
mod said;
mod stream;
mod strict;
mod turns;
mod words;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use flavour::{Calls, Flavour};
pub(super) use refusal::{OVERLOADED, Refusal};
use said::Said;
use words::Wrong;

use super::cache::{Cache, Piece};
use super::{Answer, Options, Request, brain, request_id};

/// The header that chooses how the calls of a stream come; the names are those of [`Calls::NAMED`].
pub const PATTERN: &str = "x-mock-pattern";

/// What a request is answered with, beside itself.
pub struct Context<'a> {
    /// The mock's options.
    pub options: &'a Options,
    /// The request's number.
    pub number: u64,
    /// The pattern that a fault asks for.
    pub pattern: Option<Calls>,
    /// The prompt cache.
    pub cache: &'a std::sync::Mutex<Cache>,
}

/// The flavour that a request is for, and the endpoint; `None` for paths of Anthropic's API.
pub fn route<'a>(request: &Request<'a>) -> Option<(&'static Flavour, &'a str)> {
    if let Some(found) = flavour::of_path(request.path) {
        let anthropic = request.path == "/v1/models" || request.path.starts_with("/v1/models/");
        let theirs = request.header("anthropic-version").is_some() || request.header("x-api-key").is_some();
        // Only this path is both providers'; the version header tells them apart.
        return (!(anthropic && (theirs || request.header("authorization").is_none()))).then_some(found);
    }
    None
}

/// The answer of a flavour's endpoint.
pub fn answer(request: &Request<'_>, flavour: &'static Flavour, what: &str, context: &Context<'_>) -> Answer {
    let wanted = if what.starts_with("models") { "GET" } else { "POST" };
    if request.method != wanted {
        let refusal = Refusal {
            status: 405,
            ..Refusal::invalid("", None, format!("Not allowed to {} on {}.", request.method, request.path))
        };
        return refusal.answer(flavour, context.number).with("allow", wanted);
    }
    let answered = match what {
        "chat/completions" => completion(request, flavour, context),
        "embeddings" => embeddings(request, flavour, context.options),
        "models" => list_models(request, flavour, context.options),
        _ => one_model(request, flavour, context.options, what.trim_start_matches("models/")),
    };
    answered.map_or_else(
        |refusal| refusal.answer(flavour, context.number),
        |answer| identified(answer, flavour, context.number),
    )
}

fn completion(
    request: &Request<'_>,
    flavour: &'static Flavour,
    context: &Context<'_>,
) -> Result<Answer, Refusal> {
    let checked = strict::chat(request, flavour, context.options)?;
    let pattern = pattern(request, context)?;
    let asked = read::asked(&checked);
    let mut turn = brain::answer(&asked, context.number);
    strict::window(&checked, flavour, turn.usage.input)?;
    bill(request, flavour, &asked.body, &mut turn.usage, context);
    let body = &checked.body;
    let said = Said {
        flavour,
        turn: &turn,
        number: context.number,
        calls: pattern.unwrap_or(flavour.calls).settled(context.number),
        include_usage: body["stream_options"]["include_usage"] == true,
        choices: body["n"].as_u64().unwrap_or(1).clamp(1, MAX_CHOICES),
    };
    Ok(if body["stream"] == true {
        Answer::stream(stream::events(&said))
    } else {
        Answer::json(200, &reply::whole(&said))
    })
}

/// The pattern that is asked for: by the fault, else by the header.
fn pattern(request: &Request<'_>, context: &Context<'_>) -> Result<Option<Calls>, Refusal> {
    let Some(name) = request.header(PATTERN) else { return Ok(context.pattern) };
    let named = Calls::named(name).ok_or_else(|| {
        Refusal::invalid(PATTERN, None, format!("{PATTERN}: `{name}` is no pattern; there are {}", names()))
    })?;
    Ok(context.pattern.or(Some(named)))
}

/// The names of all patterns.
pub fn names() -> String {
    Calls::NAMED.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Splits the input into what the prompt cache held and the rest. Marks count where the vendor caches by marks; else the
/// cache is automatic, and every byte of a tool or a message counts.
fn bill(
    request: &Request<'_>,
    flavour: &Flavour,
    asked: &Value,
    usage: &mut super::reply::Usage,
    context: &Context<'_>,
) {
    let key = request.header("authorization").unwrap_or_default();
    let mut cache = context.cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let model = asked["model"].as_str().unwrap_or_default();
    if flavour.name == "openrouter" && models::vendor(model) == "anthropic" {
        return cache.bill(asked, key, usage);
    }
    let Ok(raw) = serde_json::from_slice::<Raw<'_>>(request.body) else { return };
    let pieces: Vec<Piece<'_>> = raw.pieces().collect();
    let affinity = raw.prompt_cache_key.as_deref().unwrap_or_default();
    cache.bill_automatic(&pieces, &[flavour.name, key, model, affinity], usage);
}

/// The parts of a body that a prompt cache goes by, as they were written.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow, default)]
    tools: Vec<&'a RawValue>,
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
    prompt_cache_key: Option<String>,
}

impl Raw<'_> {
    fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        self.tools.iter().chain(&self.messages).map(|part| {
            let value: Value = serde_json::from_str(part.get()).unwrap_or_default();
            Piece { bytes: part.get().as_bytes(), tokens: super::reply::tokens_of(&value) }
        })
    }
}

/// Numbers that depend on the text, as many as are asked for.
fn embeddings(request: &Request<'_>, flavour: &Flavour, options: &Options) -> Result<Answer, Refusal> {
    strict::key(request, flavour, options)?;
    let body = strict::read(request, flavour)?;
    strict::known_model(&body, flavour)?;
    let inputs = match &body["input"] {
        Value::String(text) => vec![json!(text)],
        Value::Array(list) if list.iter().all(Value::is_number) && !list.is_empty() => vec![json!(list)],
        Value::Array(list) if !list.is_empty() => list.clone(),
        _ => {
            let message = "'$.input' is invalid. Please check the API reference.";
            return Err(Refusal::invalid("input", None, message));
        }
    };
    let size = body["dimensions"].as_u64().unwrap_or(DIMENSIONS).clamp(1, MAX_DIMENSIONS);
    let coded = body["encoding_format"] == "base64";
    let data = inputs.iter().enumerate().map(|(index, input)| {
        let numbers = vector(&input.to_string(), size);
        let embedding = if coded {
            let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
            json!(BASE64.encode(bytes))
        } else {
            json!(numbers)
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    });
    let data: Vec<Value> = data.collect();
    let tokens: u64 = inputs.iter().map(super::reply::tokens_of).sum();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(Answer::json(200, &json!({"object": "list", "data": data, "model": body["model"], "usage": usage})))
}

fn vector(text: &str, size: u64) -> Vec<f32> {
    let number = |at: u64| {
        let hash = super::reply::hash(&[text.as_bytes(), &at.to_be_bytes()]);
        // Sixteen bits are exact in a float.
        f32::from(u16::try_from(hash >> 48).unwrap_or(0)) / 65_536.0 - 0.5
    };
    (0..size).map(number).collect()
}

fn list_models(request: &Request<'_>, flavour: &Flavour, options: &Options) -> Result<Answer, Refusal> {
    strict::key(request, flavour, options)?;
    let data: Vec<Value> = models::LISTED.iter().map(|id| show_model(id, flavour)).collect();
    Ok(Answer::json(200, &json!({"object": "list", "data": data})))
}

fn one_model(
    request: &Request<'_>,
    flavour: &Flavour,
    options: &Options,
    id: &str,
) -> Result<Answer, Refusal> {
    strict::key(request, flavour, options)?;
    if models::find(id).is_none() {
        return Err(Refusal::says(flavour, Wrong::Model, "model", &[("model", &id)]));
    }
    Ok(Answer::json(200, &show_model(id, flavour)))
}

fn show_model(id: &str, flavour: &Flavour) -> Value {
    let context = models::find(id).map(|model| model.context);
    let mut model = json!({"id": id, "object": "model", "created": 1_790_000_000, "owned_by": flavour.name});
    match flavour.name {
        "openrouter" => model["context_length"] = json!(context),
        "groq" => model["context_window"] = json!(context),
        "vllm" => model["max_model_len"] = json!(context),
        "mistral" => model["max_context_length"] = json!(context),
        _ => {}
    }
    model
}

/// Adds the headers that good answers bear.
fn identified(answer: Answer, flavour: &Flavour, number: u64) -> Answer {
    let answer = answer.with("x-request-id", request_id(number));
    match flavour.name {
        "openai" | "groq" => answer
            .with("x-ratelimit-limit-requests", "5000")
            .with("x-ratelimit-remaining-requests", "4999")
            .with("x-ratelimit-reset-requests", "12ms"),
        "openrouter" => answer.with("x-generation-id", format!("gen-mock{number}")),
        _ => answer,
    }
}

/// Choices of one answer.
const MAX_CHOICES: u64 = 8;
/// Numbers of an embedding, unless others are asked for: enough to tell texts apart.
const DIMENSIONS: u64 = 16;
/// Numbers of an embedding, whatever is asked for.
const MAX_DIMENSIONS: u64 = 4_096;

#[cfg(test)]
mod tests;
