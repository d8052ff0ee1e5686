//! The mock as any provider of Chat Completions: one path prefix for each, with that provider's strictness and form.
//!
//! ```text
//! path ──▶ flavour ──▶ strict ──▶ read (as a Messages body) ──▶ brain ──▶ tell (whole) or stream
//! ```
//!
//! Written from the providers' own formats and on purpose not from the gateway's translation: a mistake there must show
//! here. Says nothing of its own: that is [`super::brain`]'s.

mod flavour;
mod models;
mod read;
mod refusal;
mod stream;
mod strict;
mod tell;
mod words;

use std::sync::PoisonError;

use serde_json::{Value, json};

use super::{Answer, Mock, Request, brain, request_id};
pub use flavour::{Calls, Flavour};
use refusal::Refusal;
use words::Wrong;

/// Answers a request whose path is one of Chat's; `None` if it is not.
pub(super) fn answer(mock: &Mock, request: &Request<'_>, number: u64) -> Option<Answer> {
    let (flavour, what) = flavour::of_path(request.path)?;
    let answer = match what {
        "chat/completions" if request.method == "POST" => completion(mock, request, flavour, number),
        "embeddings" if request.method == "POST" => embeddings(mock, request, flavour),
        "chat/completions" | "embeddings" => {
            Err(Box::new(Refusal::of_status(405, None, Some("Method Not Allowed"))))
        }
        _ => strict::key(request, flavour, mock.options.keyless).map(|()| list(what)),
    };
    let answer = answer.unwrap_or_else(|refusal| refusal.answer(flavour, number));
    Some(answer.with("x-request-id", request_id(number)))
}

/// The error of a status in the words of the provider whose path this is, for a fault; `None` for other paths.
pub(super) fn error(
    path: &str,
    status: u16,
    kind: Option<&str>,
    message: Option<&str>,
    number: u64,
) -> Option<Answer> {
    let (flavour, _) = flavour::of_path(path)?;
    Some(Refusal::of_status(status, kind, message).answer(flavour, number))
}

/// The same inside a stream, as its last events; and as the body of a 200.
pub(super) fn error_inside(path: &str, message: &str) -> Option<(Vec<Vec<u8>>, Value)> {
    let (flavour, _) = flavour::of_path(path)?;
    let refusal = Refusal::of_status(502, None, Some(message));
    Some((refusal.events(flavour), refusal.body(flavour)))
}

fn completion(
    mock: &Mock,
    request: &Request<'_>,
    flavour: &Flavour,
    number: u64,
) -> Result<Answer, Box<Refusal>> {
    strict::key(request, flavour, mock.options.keyless)?;
    let body = parsed(request, flavour)?;
    let model = strict::check(&body, flavour)?;
    let asked = read::asked(&body, flavour, model);
    let mut turn = brain::answer(&asked, number);
    let key = request.key().unwrap_or_default();
    mock.cache.lock().unwrap_or_else(PoisonError::into_inner).bill(&asked.body, key, &mut turn.usage);
    let told = tell::Told::new(&turn, &body, flavour, number);
    Ok(if body["stream"] == true {
        let pattern = request.header(PATTERN).and_then(Calls::named).unwrap_or(flavour.calls);
        Answer::stream(stream::events(&told, pattern.settled(number)))
    } else {
        Answer::json(200, &told.whole())
    })
}

fn parsed(request: &Request<'_>, flavour: &Flavour) -> Result<Value, Box<Refusal>> {
    let body: Option<Value> = serde_json::from_slice(request.body).ok().filter(Value::is_object);
    body.ok_or_else(|| Box::new(Refusal::says(flavour, Wrong::Body, "", &[])))
}

/// A vector of eight small numbers that follow from the text.
fn embeddings(mock: &Mock, request: &Request<'_>, flavour: &Flavour) -> Result<Answer, Box<Refusal>> {
    strict::key(request, flavour, mock.options.keyless)?;
    let body = parsed(request, flavour)?;
    let inputs = match &body["input"] {
        Value::Array(texts) => texts.clone(),
        Value::String(text) => vec![json!(text)],
        _ => {
            let message = "Missing required parameter: 'input'.";
            return Err(Box::new(Refusal::invalid("input", None, message)));
        }
    };
    let vector = |text: &Value| {
        let hash = super::reply::hash(&[text.to_string().as_bytes()]);
        (0..8).map(|place: usize| f64::from(hash.to_le_bytes()[place]) / 255.0).collect::<Vec<_>>()
    };
    let data = inputs
        .iter()
        .enumerate()
        .map(|(index, text)| json!({"object": "embedding", "index": index, "embedding": vector(text)}));
    let tokens: u64 = inputs.iter().map(super::reply::tokens_of).sum();
    Ok(Answer::json(
        200,
        &json!({
            "object": "list", "data": data.collect::<Vec<_>>(), "model": body["model"],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }),
    ))
}

/// `models`, or `models/{id}`.
fn list(what: &str) -> Answer {
    let entry = |id: &str| json!({"id": id, "object": "model", "created": 1_764_000_000, "owned_by": "mock"});
    if let Some(id) = what.strip_prefix("models/") {
        Answer::json(200, &entry(id))
    } else {
        let data: Vec<Value> = models::LISTED.iter().map(|id| entry(id)).collect();
        Answer::json(200, &json!({"object": "list", "data": data}))
    }
}

/// Tells how the calls of a stream shall come: one of [`Calls::NAMED`].
pub const PATTERN: &str = "x-mock-pattern";
