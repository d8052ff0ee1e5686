//! The bundled provider: Anthropic Messages, and Chat Completions in the way of many ([`chat`]), without a model behind it.
//!
//! It is as strict as the real ones ([`strict`]), plays a model that really uses tools ([`brain`]), and breaks on demand
//! ([`fault`]). A request goes in, an [`Answer`] comes out: a status, headers and a list of [`Step`]s that somebody else
//! plays over a socket.
//!
//! ```text
//! Request ──▶ control path? ──▶ recorded ──▶ strict ──▶ brain ──▶ reply ──▶ fault ──▶ Answer
//! ```
//!
//! Opens no socket, starts no thread, reads no clock, never sleeps: pauses are told, not made. It counts no money and
//! keeps no conversation; all it remembers is what [`Mock`] was asked lately, which faults are set, and which beginnings
//! of requests a prompt cache would hold.
//!
//! # Faults
//!
//! By the header `x-mock-fault: status=529; first=2` for one request, by `POST /mock/faults` for those to come; [`fault`]
//! lists the fields. `GET /mock/requests` shows what was asked and how each answer ended: `open`, `played`, or `gone`
//! when the client went away before.

pub mod brain;
mod cache;
pub mod chat;
pub mod fault;
mod marks;
pub mod models;
mod offers;
pub mod reply;
pub mod server;
pub mod strict;
mod task;
mod turns;
mod voice;

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use cache::Cache;
use chat::flavour::{self, Calls};
use fault::{Fault, Rule};
use models::Model;

/// One request as it was read from the wire.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path without its query. A prefix such as `/anthropic` before `/v1/` is ignored.
    pub path: &'a str,
    /// What stands after the `?`; empty if nothing does.
    pub query: &'a str,
    /// All headers in their order; names in any case.
    pub headers: &'a [(&'a str, &'a str)],
    /// The whole body.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// The key of `x-api-key`, else of `Authorization: Bearer`.
    pub fn key(&self) -> Option<&'a str> {
        let bearer = || self.header("authorization").map(|v| v.strip_prefix("Bearer ").unwrap_or(v));
        self.header("x-api-key").or_else(bearer).map(str::trim).filter(|key| !key.is_empty())
    }

    /// Whether a beta of this name, or of any date where `beta` ends in `-`, is asked for in any `anthropic-beta` line.
    pub fn beta(&self, beta: &str) -> bool {
        let lines = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("anthropic-beta"));
        lines
            .flat_map(|(_, value)| value.split(','))
            .map(str::trim)
            .any(|b| b == beta || (beta.ends_with('-') && b.starts_with(beta)))
    }

    /// The value of `name` in the query.
    fn query(&self, name: &str) -> Option<&'a str> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value)
    }
}

/// How the bytes of an [`Answer`] are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `content-length` of this many bytes. The steps may hold fewer when they end in [`Step::Cut`].
    Sized(usize),
    /// Chunked; each [`Step::Bytes`] is worth a write of its own.
    Stream,
    /// No head at all: the steps are what goes over the wire, then the connection is closed.
    Raw,
}

/// One thing to do on the connection, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send these bytes. The head goes out together with the first of them (or at the end of the play if there are
    /// none), so a pause or a cut before it comes before the head too. Empty bytes send the head alone.
    Bytes(Vec<u8>),
    /// Send nothing for this long, while watching whether the client goes away.
    Pause(Duration),
    /// Close the connection at once, without a proper end. Always the last step.
    Cut,
}

/// What is to be sent for one request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The request's number in [`Mock`]'s record, for [`Mock::ended`]; 0 if it is not recorded.
    pub number: u64,
    /// The HTTP status.
    pub status: u16,
    /// Headers with lower-case names, without those of framing and connection.
    pub headers: Vec<(String, String)>,
    /// How the bytes are framed.
    pub framing: Framing,
    /// What to do.
    pub play: Vec<Step>,
}

impl Answer {
    /// A whole answer with a JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::whole(status, "application/json", body.to_string().into_bytes())
    }

    /// An error in Anthropic's format. Whether it is worth a retry follows from the status, as at the real one.
    pub fn error(status: u16, kind: &str, message: &str, number: u64) -> Self {
        let id = request_id(number);
        let body = json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": id});
        let retry = matches!(status, 408 | 409 | 429 | 500..);
        Self::json(status, &body).with("request-id", id).with("x-should-retry", retry.to_string())
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// All bytes of the play, one after the other.
    pub fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for step in &self.play {
            if let Step::Bytes(bytes) = step {
                all.extend_from_slice(bytes);
            }
        }
        all
    }

    fn whole(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self {
            number: 0,
            status,
            headers,
            framing: Framing::Sized(body.len()),
            play: vec![Step::Bytes(body)],
        }
    }

    fn stream(events: Vec<Vec<u8>>) -> Self {
        let headers = vec![
            ("content-type".to_owned(), "text/event-stream; charset=utf-8".to_owned()),
            ("cache-control".to_owned(), "no-cache".to_owned()),
        ];
        let play = events.into_iter().map(Step::Bytes).collect();
        Self { number: 0, status: 200, headers, framing: Framing::Stream, play }
    }
}

/// How the play of an answer came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was played to the end.
    Played,
    /// The client went away before that.
    Gone,
}

/// What can be chosen about a mock.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Pause before the first byte of every answer of the API.
    pub latency: Duration,
    /// Serve requests that bear no key: the provider type `mock` inside the gateway has none.
    pub keyless: bool,
    /// How many requests `GET /mock/requests` remembers; 0 keeps only their count.
    pub keep: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { latency: Duration::ZERO, keyless: false, keep: 64 }
    }
}

/// A mock with its faults and its memory of requests. Shared by all connections; its lock is never held for longer than
/// it takes to copy a request.
///
/// ```
/// use pointsman::mock::{Mock, Options, Request};
///
/// let mock = Mock::new(Options::default());
/// let body = br#"{"model":"claude-opus-5-5","max_tokens":50,"messages":[{"role":"user","content":"hello"}]}"#;
/// let headers = [("x-api-key", "k"), ("anthropic-version", "2023-06-01")];
/// let request = Request { method: "POST", path: "/v1/messages", query: "", headers: &headers, body };
/// assert_eq!(mock.answer(&request).status, 200);
/// ```
pub struct Mock {
    options: Options,
    state: Mutex<State>,
    cache: Mutex<Cache>,
}

impl Mock {
    /// A mock without faults.
    pub fn new(options: Options) -> Self {
        Self { options, state: Mutex::default(), cache: Mutex::default() }
    }

    /// Answers one request. Paths under `/mock/` control the mock itself and are not recorded.
    pub fn answer(&self, request: &Request<'_>) -> Answer {
        if let Some(what) = request.path.strip_prefix("/mock/") {
            return self.control(request, what);
        }
        let fault = self.state().meet(request, self.options.keep);
        let answer = match fault {
            Ok((number, None)) => self.good(request, number, None).numbered(number),
            Ok((number, Some(fault))) => {
                let good = || self.good(request, number, fault.pattern());
                fault.apply(request, number, good).numbered(number)
            }
            Err((number, message)) => {
                Answer::error(400, "invalid_request_error", &message, number).numbered(number)
            }
        };
        self.state().note(answer.number, |seen| seen.status = answer.status);
        answer
    }

    /// The answer without any fault.
    fn good(&self, request: &Request<'_>, number: u64, pattern: Option<Calls>) -> Answer {
        let mut answer = match chat::route(request) {
            Some((flavour, what)) => {
                let context = chat::Context { options: &self.options, number, pattern, cache: &self.cache };
                chat::answer(request, flavour, what, &context)
            }
            None => self.endpoint(request, number),
        };
        if !self.options.latency.is_zero() {
            answer.play.insert(0, Step::Pause(self.options.latency));
        }
        answer
    }

    fn endpoint(&self, request: &Request<'_>, number: u64) -> Answer {
        if request.method == "HEAD" {
            return Answer::whole(200, "application/json", Vec::new());
        }
        let options = &self.options;
        let Some(at) = request.path.find("/v1/") else { return not_found(request, number) };
        let path = request.path[at + 4..].trim_end_matches('/');
        let wanted = if path == "models" || path.starts_with("models/") { "GET" } else { "POST" };
        match path {
            "messages" | "messages/count_tokens" | "models" if request.method != wanted => {
                Answer::error(405, "invalid_request_error", "Method Not Allowed", number)
                    .with("allow", wanted)
            }
            "messages" => self.messages(request, number),
            "messages/count_tokens" => count_tokens(request, options, number),
            "models" => list_models(request, options, number),
            _ => match path.strip_prefix("models/") {
                Some(id) if request.method == "GET" => one_model(request, options, id, number),
                _ => not_found(request, number),
            },
        }
    }

    fn messages(&self, request: &Request<'_>, number: u64) -> Answer {
        let asked = match strict::messages(request, &self.options) {
            Ok(asked) => asked,
            Err(refusal) => return refusal.answer(number),
        };
        let mut turn = brain::answer(&asked, number);
        let key = request.key().unwrap_or_default();
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).bill(&asked.body, key, &mut turn.usage);
        let answer = if asked.stream() {
            Answer::stream(reply::events(&turn))
        } else {
            Answer::json(200, &reply::whole(&turn))
        };
        identified(answer, number)
    }

    /// Tells how the play of an answer ended, so that `GET /mock/requests` can show who was cut off.
    pub fn ended(&self, number: u64, how: Ended) {
        self.state().note(number, |seen| seen.ended = Some(how));
    }

    /// The control path: `POST`, `GET` and `DELETE /mock/faults`, `GET` and `DELETE /mock/requests`.
    fn control(&self, request: &Request<'_>, what: &str) -> Answer {
        let mut state = self.state();
        match (request.method, what) {
            ("POST", "faults") => match Fault::parse_all(request.body) {
                Ok(faults) => state.rules.extend(faults.into_iter().map(Rule::new)),
                Err(message) => return Answer::error(400, "invalid_request_error", &message, 0),
            },
            ("DELETE", "faults") => state.rules.clear(),
            ("DELETE", "requests") => state.forget(),
            ("GET", "faults") => {}
            ("GET", "requests") => return Answer::json(200, &state.show(request)),
            _ => return Answer::error(404, "not_found_error", "Not found: /mock/faults, /mock/requests", 0),
        }
        Answer::json(200, &json!({"faults": state.rules.iter().map(Rule::show).collect::<Vec<_>>()}))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count_tokens(request: &Request<'_>, options: &Options, number: u64) -> Answer {
    let answer = match strict::count_tokens(request, options) {
        Ok(asked) => Answer::json(200, &json!({"input_tokens": reply::input_tokens(&asked.body)})),
        Err(refusal) => return refusal.answer(number),
    };
    identified(answer, number)
}

fn list_models(request: &Request<'_>, options: &Options, number: u64) -> Answer {
    if let Err(refusal) = strict::headers(request, options) {
        return refusal.answer(number);
    }
    let after =
        request.query("after_id").and_then(|id| models::LISTED.iter().position(|listed| *listed == id));
    let rest = &models::LISTED[after.map_or(0, |at| at + 1)..];
    let limit = request.query("limit").and_then(|n| n.parse().ok()).unwrap_or(20).clamp(1, 1000);
    let page = &rest[..rest.len().min(limit)];
    let data: Vec<Value> =
        page.iter().filter_map(|id| models::find(id)).map(|model| show_model(&model)).collect();
    let body = json!({
        "data": data, "has_more": page.len() < rest.len(), "first_id": page.first(), "last_id": page.last(),
    });
    identified(Answer::json(200, &body), number)
}

fn one_model(request: &Request<'_>, options: &Options, id: &str, number: u64) -> Answer {
    if let Err(refusal) = strict::headers(request, options) {
        return refusal.answer(number);
    }
    match models::find(id) {
        Some(model) => identified(Answer::json(200, &show_model(&model)), number),
        None => Answer::error(404, "not_found_error", &format!("model: {id}"), number),
    }
}

fn show_model(model: &Model<'_>) -> Value {
    json!({
        "type": "model", "id": model.id, "display_name": model.name, "created_at": model.family.created,
        "max_input_tokens": model.family.context, "max_tokens": model.family.max_output,
    })
}

fn not_found(request: &Request<'_>, number: u64) -> Answer {
    Answer::error(404, "not_found_error", &format!("Not found: {} {}", request.method, request.path), number)
}

/// Adds the headers that every good answer of the real one bears.
fn identified(answer: Answer, number: u64) -> Answer {
    answer
        .with("request-id", request_id(number))
        .with("anthropic-organization-id", "00000000-0000-4000-8000-000000000000")
        .with("anthropic-ratelimit-requests-limit", "4000")
        .with("anthropic-ratelimit-requests-remaining", "3999")
}

fn request_id(number: u64) -> String {
    format!("req_mock{number:020}")
}

impl Answer {
    fn numbered(mut self, number: u64) -> Self {
        self.number = number;
        self
    }
}

/// What a [`Mock`] remembers. `seen.len() <= Options::keep`; numbers in `seen` grow.
#[derive(Default)]
struct State {
    count: u64,
    seen: VecDeque<Seen>,
    rules: Vec<Rule>,
    /// How often each text of `x-mock-fault` was met, for its `first` and `skip`.
    met: HashMap<String, u64>,
}

/// One recorded request.
struct Seen {
    number: u64,
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    status: u16,
    ended: Option<Ended>,
}

impl State {
    /// Counts and records a request, and finds the fault that is due for it: the header's, else the first rule's.
    fn meet(&mut self, request: &Request<'_>, keep: usize) -> Result<(u64, Option<Fault>), (u64, String)> {
        self.count += 1;
        let number = self.count;
        self.record(request, keep);
        if let Some(text) = request.header(fault::HEADER) {
            let fault = Fault::parse(text.as_bytes()).map_err(|message| (number, message))?;
            if self.met.len() >= MAX_HEADER_FAULTS {
                self.met.clear();
            }
            let met = self.met.entry(text.to_owned()).or_default();
            return Ok((number, fault.is_due(request, met).then_some(fault)));
        }
        let due = self.rules.iter_mut().find_map(|rule| rule.due(request));
        Ok((number, due))
    }

    fn record(&mut self, request: &Request<'_>, keep: usize) {
        if keep == 0 {
            return;
        }
        while self.seen.len() >= keep {
            self.seen.pop_front();
        }
        self.seen.push_back(Seen {
            number: self.count,
            method: request.method.to_owned(),
            path: request.path.to_owned(),
            query: request.query.to_owned(),
            headers: request.headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body: request.body[..request.body.len().min(MAX_RECORDED_BODY)].to_vec(),
            status: 0,
            ended: None,
        });
    }

    fn note(&mut self, number: u64, note: impl FnOnce(&mut Seen)) {
        if let Some(seen) = self.seen.iter_mut().rev().find(|seen| seen.number == number) {
            note(seen);
        }
    }

    fn forget(&mut self) {
        self.count = 0;
        self.seen.clear();
        self.met.clear();
    }

    /// `{count, requests: […]}`, oldest first. `?last=N` shows fewer, `?bodies=0` leaves the bodies out.
    fn show(&self, request: &Request<'_>) -> Value {
        let last = request.query("last").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
        let bodies = request.query("bodies") != Some("0");
        let skip = self.seen.len().saturating_sub(last);
        let requests: Vec<Value> = self.seen.iter().skip(skip).map(|seen| seen.show(bodies)).collect();
        json!({"count": self.count, "requests": requests})
    }
}

impl Seen {
    fn show(&self, bodies: bool) -> Value {
        let mut shown = json!({
            "number": self.number,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "flavour": flavour::of_path(&self.path).map_or("anthropic", |(flavour, _)| flavour.name),
            "headers": self.headers.iter().map(|(n, v)| json!([n, v])).collect::<Vec<_>>(),
            "status": self.status,
            "ended": match self.ended {
                None => "open",
                Some(Ended::Played) => "played",
                Some(Ended::Gone) => "gone",
            },
        });
        if bodies {
            let text = || Value::String(String::from_utf8_lossy(&self.body).into_owned());
            shown["body"] = serde_json::from_slice(&self.body).unwrap_or_else(|_| text());
        }
        shown
    }
}

/// Largest part of a body that is recorded: a long session of a client fits.
const MAX_RECORDED_BODY: usize = 4 * 1024 * 1024;
/// Different texts of `x-mock-fault` that are counted before the counts start anew.
const MAX_HEADER_FAULTS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: &[(&str, &str)] = &[("x-api-key", "k"), ("anthropic-version", "2023-06-01")];
    const HELLO: &str =
        r#"{"model":"claude-haiku-4-5","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}"#;

    fn request<'a>(method: &'a str, path: &'a str, body: &'a str) -> Request<'a> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Request { method, path, query, headers: HEADERS, body: body.as_bytes() }
    }

    fn body(answer: &Answer) -> Value {
        serde_json::from_slice(&answer.bytes()).unwrap_or_default()
    }

    #[test]
    fn endpoints() {
        let mock = Mock::new(Options::default());
        let count = r#"{"model":"claude-haiku-4-5","messages":[{"role":"user","content":"hi"}]}"#;
        for (method, path, sent, status, part) in [
            ("POST", "/v1/messages", HELLO, 200, "end_turn"),
            ("POST", "/anthropic/v1/messages?beta=true", HELLO, 200, "end_turn"),
            ("POST", "/v1/messages", "{", 400, "not valid JSON"),
            ("GET", "/v1/messages", "", 405, "Method Not Allowed"),
            ("POST", "/v1/messages/count_tokens", count, 200, "input_tokens"),
            ("POST", "/v1/messages/count_tokens", HELLO, 400, "max_tokens: Extra inputs"),
            ("GET", "/v1/models?limit=1000", "", 200, "claude-opus-5-5"),
            ("GET", "/v1/models/claude-opus-5-5", "", 200, "Claude Opus 5.5"),
            ("GET", "/v1/models/claude-nothing", "", 404, "model: claude-nothing"),
            ("HEAD", "/anthropic/api/hello", "", 200, ""),
            ("POST", "/v1/complete", "{}", 404, "not_found_error"),
            ("GET", "/mock/nothing", "", 404, "/mock/faults"),
        ] {
            let answer = mock.answer(&request(method, path, sent));
            let text = String::from_utf8(answer.bytes()).unwrap();
            assert!(
                answer.status == status && text.contains(part),
                "{method} {path}: {} {text}",
                answer.status
            );
        }
    }

    #[test]
    fn the_list_of_models_has_pages() {
        let mock = Mock::new(Options::default());
        let (mut ids, mut path) = (Vec::new(), "/v1/models?limit=7".to_owned());
        loop {
            let page = body(&mock.answer(&request("GET", &path, "")));
            ids.extend(page["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap().to_owned()));
            if page["has_more"] == false {
                break;
            }
            path = format!("/v1/models?limit=7&after_id={}", page["last_id"].as_str().unwrap());
        }
        assert_eq!(ids, models::LISTED);
    }

    #[test]
    fn requests_are_remembered_with_their_end() {
        let mock = Mock::new(Options { keep: 2, ..Options::default() });
        for _ in 0..3 {
            mock.answer(&request("POST", "/v1/messages", HELLO));
        }
        mock.ended(2, Ended::Gone);
        let shown = body(&mock.answer(&request("GET", "/mock/requests", "")));
        assert_eq!(shown["count"], 3);
        let ends: Vec<&Value> = shown["requests"].as_array().unwrap().iter().map(|r| &r["ended"]).collect();
        assert_eq!(ends, ["gone", "open"]);
        assert_eq!(shown["requests"][0]["body"]["model"], "claude-haiku-4-5");
        mock.answer(&request("DELETE", "/mock/requests", ""));
        assert_eq!(body(&mock.answer(&request("GET", "/mock/requests", "")))["count"], 0);
    }

    #[test]
    fn faults_are_set_counted_and_cleared() {
        let mock = Mock::new(Options::default());
        let status = |expected: u16, when: &str| {
            assert_eq!(mock.answer(&request("POST", "/v1/messages", HELLO)).status, expected, "{when}");
        };
        mock.answer(&request(
            "POST",
            "/mock/faults",
            r#"[{"status":529,"first":1},{"status":500,"skip":1,"first":1}]"#,
        ));
        status(529, "the first rule is due");
        status(200, "the second lets one go");
        status(500, "the second is due");
        status(200, "both are used up");
        let bad = mock.answer(&request("POST", "/mock/faults", r#"{"staus":529}"#));
        assert_eq!(bad.status, 400);
        mock.answer(&request("POST", "/mock/faults", r#"{"status":429}"#));
        mock.answer(&request("DELETE", "/mock/faults", ""));
        status(200, "none is left");
    }

    #[test]
    fn a_header_carries_a_fault_for_its_own_request() {
        let mock = Mock::new(Options::default());
        let headers = [HEADERS, &[("x-mock-fault", "status=503; first=2")]].concat();
        let faulty = Request { headers: &headers, ..request("POST", "/v1/messages", HELLO) };
        let found: Vec<u16> = (0..3).map(|_| mock.answer(&faulty).status).collect();
        assert_eq!(found, [503, 503, 200]);
        assert_eq!(mock.answer(&request("POST", "/v1/messages", HELLO)).status, 200);
    }

    #[test]
    fn latency_comes_before_everything() {
        let mock = Mock::new(Options { latency: Duration::from_millis(9), ..Options::default() });
        let answer = mock.answer(&request("POST", "/v1/messages", HELLO));
        assert_eq!(answer.play[0], Step::Pause(Duration::from_millis(9)));
    }
}
