//! Answers of the gateway: refusals in each surface's format, and the header lines that every answer carries.
//!
//! The status is the error's own and the wording of bodies is `wire/*/fault.rs`'s; here both meet the connection.

use crate::edge::call::Gone;
use crate::edge::routes::Surface;
use crate::edge::{Call, Method};
use crate::error::{Error, Kind};
use crate::http::{Fields, Lines, status};
use crate::wire::Dialect;
use crate::wire::fault::{self, others};

/// Refuses a request, if nothing of an answer was sent yet.
/// In a stream whose head is out the refusal is the event that ends it.
/// Returns the length of its body.
pub fn refuse(call: &mut Call<'_>, error: &Error, way: &Way<'_>) -> Result<usize, Gone> {
    if call.is_streaming() {
        let event = match way.surface {
            Surface::OpenAi => fault::event(Dialect::Chat, error, way.id),
            _ => fault::event(Dialect::Messages, error, way.id),
        };
        return call.finish(&event).map(|()| event.len());
    }
    if call.is_answered() {
        return Ok(0);
    }
    let mut lines = refusal_lines(way.surface, error, way.id);
    if !way.attempts.is_empty() {
        way.write(&mut lines);
    }
    let body = body(way.surface, error, way.id);
    call.reply(error.kind.status(), &lines, &body).map(|()| body.len())
}

/// A whole answer to what could not be read as a request; nobody knows its surface, so it is in Anthropic's format.
pub fn refusal(error: &Error, id: &str) -> Vec<u8> {
    let status = error.kind.status();
    let body = body(Surface::Anthropic, error, id);
    let mut out = format!("HTTP/1.1 {status} {}\r\n", status::phrase(status)).into_bytes();
    out.extend_from_slice(refusal_lines(Surface::Anthropic, error, id).as_bytes());
    out.extend_from_slice(format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len()).as_bytes());
    out.extend_from_slice(&body);
    out
}

/// Answers with a JSON text of the gateway's own.
pub fn json(call: &mut Call<'_>, surface: Surface, status: u16, id: &str, body: &str) -> Result<(), Gone> {
    let mut lines = Lines::new();
    lines.push("content-type", JSON);
    lines.push(id_name(surface), id);
    call.reply(status, &lines, body.as_bytes())
}

/// Answers `HEAD /` and the like: somebody is there.
pub fn hello(call: &mut Call<'_>) -> Result<(), Gone> {
    let mut lines = Lines::new();
    lines.push("content-type", "text/plain; charset=utf-8");
    let body: &[u8] = if call.head.method == Method::Head { b"" } else { b"pointsman\n" };
    call.reply(200, &lines, body)
}

fn refusal_lines(surface: Surface, error: &Error, id: &str) -> Lines {
    let mut lines = Lines::new();
    lines.push("content-type", JSON);
    lines.push(id_name(surface), id);
    if let Kind::Method(methods) = error.kind {
        lines.push("allow", methods);
    }
    if let Some(seconds) = error.retry_after {
        lines.push_number("retry-after", seconds);
    }
    if error.kind.is_final() {
        lines.push("x-should-retry", "false");
    }
    lines
}

fn body(surface: Surface, error: &Error, id: &str) -> Vec<u8> {
    let status = error.kind.status();
    match surface {
        Surface::Anthropic => fault::body(Dialect::Messages, error, id),
        Surface::OpenAi => fault::body(Dialect::Chat, error, id),
        Surface::Gemini | Surface::Vertex => others::google(status, &error.message),
        Surface::Bedrock => others::bedrock(&error.message),
        Surface::Own => others::own(&error.message),
    }
}

/// What an answer's head says of its way.
pub struct Way<'w> {
    /// Whose format the client speaks.
    pub surface: Surface,
    /// Our id.
    pub id: &'w str,
    /// Who answered.
    pub provider: &'w str,
    /// As which model.
    pub model: &'w str,
    /// Every attempt.
    pub attempts: &'w str,
    /// What was lost on the way there; empty: nothing.
    pub loss: &'w str,
    /// Own time up to the upstream's request, in microseconds.
    pub overhead_us: u64,
    /// When to come back, in whole seconds, if a provider named a time.
    pub retry_after: Option<u64>,
}

impl<'w> Way<'w> {
    /// Of an answer that nobody was asked for.
    pub fn none(surface: Surface, id: &'w str) -> Self {
        Self {
            surface,
            id,
            provider: "",
            model: "",
            attempts: "",
            loss: "",
            overhead_us: 0,
            retry_after: None,
        }
    }

    fn write(&self, lines: &mut Lines) {
        lines.push("x-pointsman-provider", self.provider);
        lines.push("x-pointsman-model", self.model);
        lines.push("x-pointsman-attempts", self.attempts);
        if !self.loss.is_empty() {
            lines.push("x-pointsman-loss", self.loss);
        }
        lines.push_number("x-pointsman-overhead-us", self.overhead_us);
    }
}

/// The lines of an answer that comes from an upstream. Of the upstream's own only those cross that are about this answer:
/// its limits, ids, connection and when to come back are the gateway's matter. `json`: the body was written here.
pub fn lines(way: &Way<'_>, upstream: &Fields, json: bool) -> Lines {
    let mut lines = Lines::new();
    let crossing: &[&str] = if json { &CROSSING[1..] } else { &CROSSING };
    if json {
        lines.push("content-type", JSON);
    }
    for &name in crossing {
        if let Some(value) = upstream.get(name) {
            lines.push(name, value);
        }
    }
    if let Some(seconds) = way.retry_after {
        lines.push_number("retry-after", seconds);
    }
    lines.push(id_name(way.surface), way.id);
    way.write(&mut lines);
    lines
}

/// The lines of a stream's head that goes out before anybody has answered.
pub fn early_lines(way: &Way<'_>) -> Lines {
    let mut lines = Lines::new();
    lines.push("content-type", "text/event-stream; charset=utf-8");
    lines.push("cache-control", "no-cache");
    lines.push(id_name(way.surface), way.id);
    lines
}

fn id_name(surface: Surface) -> &'static str {
    if surface == Surface::Anthropic { "request-id" } else { "x-request-id" }
}

const JSON: &str = "application/json";
/// An upstream's lines that reach the client; the first is about the body's form.
const CROSSING: [&str; 3] = ["content-type", "cache-control", "x-should-retry"];
