//! What goes wrong on demand.
//!
//! A fault comes with one request in the header `x-mock-fault`, or is set for requests to come by `POST /mock/faults`
//! (one object or a list of them; `GET` shows them with their counts, `DELETE` takes them away). It is a JSON object, or
//! in short `name=value; name=value`, where a name alone means `true`:
//!
//! ```text
//! x-mock-fault: status=429; retry_after=7; first=2
//! x-mock-fault: {"cut": 5}
//! ```
//!
//! | field | does |
//! |---|---|
//! | `status: 529` | this status with the provider's error body; `type` and `message` are its own by default |
//! | `body: "…"` or any JSON | with `status` (200 by default): this body |
//! | `overloaded` | a 200 whose stream, or whole body, is an `overloaded_error` |
//! | `error: N` | after N events an error event of the provider (`type`, `message`), then the end; without streaming a 200 with that body |
//! | `inside` | a 200 whose body is an error, whether or not a stream was asked for, as `OpenRouter` does |
//! | `finish_cut` | the stream ends behind the event with the finish or stop reason, before usage and `[DONE]`; a whole answer stays |
//! | `cut: N` | after N events the connection is reset; a whole answer is one event, and is cut in its middle |
//! | `cut_bytes: N` | the same after N bytes of the body; 0 before the head |
//! | `end: N` | after N events the stream ends as if it were whole |
//! | `hang: N` | after N events nothing more comes; 0 before the head |
//! | `broken: N` | after N events one that is not JSON, then the rest |
//! | `empty` | a 200 without a byte of body |
//! | `garbage` | bytes that are no HTTP |
//! | `delay: MS` | that long before the first byte; together with any of the above |
//! | `slow: MS` | that long between events; a whole answer comes in eight pieces |
//! | `gzip` | the body is compressed, whatever the request accepts |
//! | `content_type: "…"`, `retry_after: S`, `headers: {…}` | headers that replace those of the answer |
//! | `pattern: "…"` | how the calls of a Chat stream come: `fragments`, `finish`, `repeated`, `no_index`, `together`, `nulls`, `blank`, `whole` |
//! | `model`, `path`, `key` | patterns (`*`): only requests that match all of them |
//! | `skip: N`, `first: N` | lets the first N matching requests go; then holds for N requests only |
//!
//! The counts of a header belong to its exact text. Of several rules the first that is due holds. Sleeps nowhere and
//! sends nothing: it rewrites the steps of an [`Answer`]. Comments of a stream count as events.

use std::io::Write as _;
use std::time::Duration;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Map, Value, json};

use super::chat::flavour::Calls;
use super::voice::Voice;
use super::{Answer, Framing, Request, Step, chat};
use crate::config::pattern::Pattern;

/// The fields for people who ask the command line (the module's header has them with more words).
pub const HELP: &str = "\
Example:
  pointsman mock --listen 127.0.0.1:9000 --latency 20

What the model does:
  A user text `TASK: write F containing T`, `TASK: read F`, `TASK: edit F replacing A with B`, `TASK: bash C` becomes the
  calls of the tools that the request offers; several at once on lines of their own or joined by ` and `. Also
  `TASK: call NAME {json}`, `TASK: count to N`, `TASK: recall`. Anything else gets a short greeting.

As whom it answers, by the path:
  Anthropic Messages at /v1/messages; Chat Completions as OpenAI at /v1, and at
    /openrouter/api/v1  /groq/openai/v1  /mistral/v1  /deepseek  /xai/v1  /together/v1  /fireworks/inference/v1
    /cerebras/v1  /perplexity  /zai/api/paas/v4  /moonshot/v1  /gemini/v1beta/openai  /ollama/v1  /vllm/v1  /llamacpp/v1
  export OPENAI_BASE_URL=http://127.0.0.1:9000/openai/v1 OPENAI_API_KEY=any

Faults:
  with one request     x-mock-fault: status=529; first=2        or as JSON
  for those to come    curl -d '{\"cut\": 5, \"first\": 1}' http://127.0.0.1:9000/mock/faults      (GET shows, DELETE clears)

  status=N [type=T] [message=M] [body=B]  [retry_after=S]     an error, or any answer
  overloaded                    an overloaded_error inside a 200
  error=N  cut=N  end=N  hang=N  broken=N    after N events: an error event, a reset, an end that looks clean, silence,
                                an event that is no JSON
  inside                        a 200 whose body is an error
  finish_cut                    the end behind the finish, before usage and [DONE]
  cut_bytes=N                   a reset after N bytes; 0 before the head
  empty  garbage                a 200 without a body; bytes that are no HTTP
  delay=MS  slow=MS  gzip       before the first byte; between events; compressed
  content_type=T  headers={..}  other headers
  pattern=P                     how the calls of a Chat stream come: fragments, finish, repeated, no_index, together, nulls,
                                blank, whole (also by the header x-mock-pattern)
  model=P  path=P  key=P        only for requests that match (* for anything)
  skip=N  first=N               lets N matching requests go; then holds for N only

What it was asked:
  GET /mock/requests[?last=N][&bodies=0]    and how each answer ended (open, played, gone); DELETE forgets";

/// The header that carries a fault for its own request.
pub const HEADER: &str = "x-mock-fault";

/// One fault: when it holds, and what it does.
#[derive(Clone, Debug)]
pub struct Fault {
    text: Value,
    when: When,
    what: What,
    delay: Duration,
    slow: Duration,
    gzip: bool,
    pattern: Option<Calls>,
    headers: Vec<(String, String)>,
}

/// Which requests it holds for.
#[derive(Clone, Debug, Default)]
struct When {
    model: Option<Pattern>,
    path: Option<Pattern>,
    key: Option<Pattern>,
    skip: u64,
    first: Option<u64>,
}

/// What happens to the answer. Events count from 0; "after N" leaves the first N whole.
#[derive(Clone, Debug)]
enum What {
    /// It stays; only its pace, coding or headers change.
    Nothing,
    Status {
        status: u16,
        kind: Option<String>,
        message: Option<String>,
        body: Option<Value>,
    },
    Error {
        after: usize,
        kind: Option<String>,
        message: Option<String>,
    },
    Inside {
        kind: Option<String>,
        message: Option<String>,
    },
    FinishCut,
    Cut {
        after: usize,
    },
    CutBytes {
        after: usize,
    },
    End {
        after: usize,
    },
    Hang {
        after: usize,
    },
    Broken {
        after: usize,
    },
    Empty,
    Garbage,
}

impl Fault {
    /// One fault from JSON or from the short form. The message of a mistake names the field.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        Self::read(object(text)?)
    }

    /// The pattern of calls that it asks for.
    pub fn pattern(&self) -> Option<Calls> {
        self.pattern
    }

    /// One fault, or a JSON list of them.
    pub fn parse_all(text: &[u8]) -> Result<Vec<Self>, String> {
        match serde_json::from_slice(text) {
            Ok(Value::Array(list)) => list.into_iter().map(Self::read).collect(),
            _ => Ok(vec![Self::parse(text)?]),
        }
    }

    /// Counts a request that matches in `met`, and tells whether the fault holds for it.
    pub fn is_due(&self, request: &Request<'_>, met: &mut u64) -> bool {
        if !self.when.matches(request) {
            return false;
        }
        let before = *met;
        *met += 1;
        before >= self.when.skip && self.when.first.is_none_or(|first| before - self.when.skip < first)
    }

    /// The answer with the fault in it. `good` makes the answer as it would have been, if that is needed.
    pub fn apply(&self, request: &Request<'_>, number: u64, good: impl FnOnce() -> Answer) -> Answer {
        let mut answer = self.what.answer(request, number, good);
        for (name, value) in &self.headers {
            answer.headers.retain(|(have, _)| have != name);
            answer.headers.push((name.clone(), value.clone()));
        }
        if self.gzip && answer.framing != Framing::Raw {
            gzip(&mut answer);
        }
        if !self.slow.is_zero() {
            slow(&mut answer, self.slow);
        }
        if !self.delay.is_zero() {
            answer.play.insert(0, Step::Pause(self.delay));
        }
        answer
    }

    fn read(text: Value) -> Result<Self, String> {
        let Value::Object(fields) = &text else {
            return Err("a fault is an object, such as {\"status\": 529}".to_owned());
        };
        let fields = Fields(fields);
        fields.are_known()?;
        let mut headers = fields.headers()?;
        if let Some(kind) = fields.text("content_type")? {
            headers.push(("content-type".to_owned(), kind));
        }
        if let Some(value) = fields.0.get("retry_after") {
            headers.push(("retry-after".to_owned(), plain(value)));
        }
        let when = When {
            model: fields.text("model")?.map(Pattern::new),
            path: fields.text("path")?.map(Pattern::new),
            key: fields.text("key")?.map(Pattern::new),
            skip: fields.number("skip")?.unwrap_or(0),
            first: fields.number("first")?,
        };
        Ok(Self {
            when,
            what: What::read(&fields)?,
            delay: fields.pause("delay")?,
            slow: fields.pause("slow")?,
            gzip: fields.flag("gzip")?,
            pattern: fields.pattern()?,
            headers,
            text,
        })
    }
}

/// A fault that was set for requests to come, and how many matched it.
#[derive(Debug)]
pub struct Rule {
    fault: Fault,
    met: u64,
}

impl Rule {
    /// A rule that no request has met yet.
    pub fn new(fault: Fault) -> Self {
        Self { fault, met: 0 }
    }

    /// The fault, if it is due for this request. Counts it.
    pub fn due(&mut self, request: &Request<'_>) -> Option<Fault> {
        self.fault.is_due(request, &mut self.met).then(|| self.fault.clone())
    }

    /// The rule as it was set, with `met`.
    pub fn show(&self) -> Value {
        let mut shown = self.fault.text.clone();
        shown["met"] = json!(self.met);
        shown
    }
}

impl When {
    fn matches(&self, request: &Request<'_>) -> bool {
        let fits = |pattern: &Option<Pattern>, value: &str| pattern.as_ref().is_none_or(|p| p.matches(value));
        fits(&self.path, request.path)
            && fits(&self.key, request.key().unwrap_or_default())
            // A body is parsed for this only where a model is named.
            && (self.model.is_none() || fits(&self.model, &model(request.body)))
    }
}

impl What {
    fn read(fields: &Fields<'_>) -> Result<Self, String> {
        let mut found = Vec::new();
        let kind = fields.text("type")?;
        let message = fields.text("message")?;
        let body = fields.0.get("body").cloned();
        if let Some(status) = fields.number("status")? {
            let status = u16::try_from(status).ok().filter(|s| (200..600).contains(s));
            let status = status.ok_or("status: it is a number from 200 to 599")?;
            found.push(Self::Status { status, kind: kind.clone(), message: message.clone(), body });
        } else if body.is_some() {
            found.push(Self::Status { status: 200, kind: None, message: None, body });
        }
        if fields.flag("overloaded")? {
            found.push(Self::Error { after: 0, kind: None, message: message.clone() });
        }
        if fields.flag("inside")? {
            found.push(Self::Inside { kind: kind.clone(), message: message.clone() });
        }
        if let Some(after) = fields.count("error")? {
            found.push(Self::Error { after, kind, message });
        }
        if fields.flag("finish_cut")? {
            found.push(Self::FinishCut);
        }
        let counted: [(&str, Make); 5] = [
            ("cut", |after| Self::Cut { after }),
            ("cut_bytes", |after| Self::CutBytes { after }),
            ("end", |after| Self::End { after }),
            ("hang", |after| Self::Hang { after }),
            ("broken", |after| Self::Broken { after }),
        ];
        for (name, make) in counted {
            found.extend(fields.count(name)?.map(make));
        }
        if fields.flag("empty")? {
            found.push(Self::Empty);
        }
        if fields.flag("garbage")? {
            found.push(Self::Garbage);
        }
        match (found.pop(), found.is_empty()) {
            (None, _) => Ok(Self::Nothing),
            (Some(what), true) => Ok(what),
            (Some(_), false) => Err("one fault does one thing; set several, each with `first`".to_owned()),
        }
    }

    fn answer(&self, request: &Request<'_>, number: u64, good: impl FnOnce() -> Answer) -> Answer {
        let voice = Voice::of(request);
        match self {
            Self::Nothing => good(),
            Self::Status { status, body: Some(body), .. } => written(*status, body, number),
            Self::Status { status, kind, message, body: None } => {
                voice.error(*status, kind.as_deref(), message.as_deref(), number)
            }
            Self::Error { after, kind, message } => {
                failed(voice, good(), *after, kind.as_deref(), message.as_deref(), number)
            }
            Self::Inside { kind, message } => voice.inside(kind.as_deref(), message.as_deref(), number),
            Self::FinishCut => finish_cut(voice, good()),
            Self::Cut { after } => cut(good(), *after),
            Self::CutBytes { after } => cut_bytes(good(), *after),
            Self::End { after } => {
                let mut answer = good();
                let rest = answer.play.split_off(place(&answer.play, *after));
                answer.framing = match answer.framing {
                    Framing::Sized(length) => Framing::Sized(length - size(&rest)),
                    other => other,
                };
                answer
            }
            Self::Hang { after } => {
                let mut answer = good();
                answer.play.truncate(place(&answer.play, *after));
                answer.play.extend([Step::Pause(HANG), Step::Cut]);
                answer
            }
            Self::Broken { after } => {
                let mut answer = good();
                if let Framing::Sized(_) = answer.framing {
                    return Answer::whole(answer.status, "application/json", BROKEN.to_vec());
                }
                answer.play.insert(place(&answer.play, *after), Step::Bytes(voice.broken()));
                answer
            }
            Self::Empty => {
                let kind = if is_stream(request.body) {
                    "text/event-stream; charset=utf-8"
                } else {
                    "application/json"
                };
                Answer::whole(200, kind, Vec::new())
            }
            Self::Garbage => Answer { framing: Framing::Raw, ..Answer::whole(200, "", GARBAGE.to_vec()) },
        }
    }
}

type Make = fn(usize) -> What;

/// The fields of a fault, with mistakes that name them.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn are_known(&self) -> Result<(), String> {
        match self.0.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            Some(key) => Err(format!("{key}: no such field of a fault; there are {}", FIELDS.join(", "))),
            None => Ok(()),
        }
    }

    fn number(&self, name: &str) -> Result<Option<u64>, String> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => {
                value.as_u64().map(Some).ok_or_else(|| format!("{name}: it is a whole number, not {value}"))
            }
        }
    }

    /// A number of events or bytes; `true` is 0.
    fn count(&self, name: &str) -> Result<Option<usize>, String> {
        match self.0.get(name) {
            Some(Value::Bool(true)) => Ok(Some(0)),
            _ => Ok(self.number(name)?.map(|n| usize::try_from(n).unwrap_or(usize::MAX))),
        }
    }

    fn pause(&self, name: &str) -> Result<Duration, String> {
        Ok(Duration::from_millis(self.number(name)?.unwrap_or(0)).min(HANG))
    }

    fn flag(&self, name: &str) -> Result<bool, String> {
        match self.0.get(name) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| format!("{name}: it is true or false, not {value}")),
        }
    }

    fn text(&self, name: &str) -> Result<Option<String>, String> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value @ (Value::String(_) | Value::Number(_))) => Ok(Some(plain(value))),
            Some(value) => Err(format!("{name}: it is a text, not {value}")),
        }
    }

    fn pattern(&self) -> Result<Option<Calls>, String> {
        let named = self.text("pattern")?.map(|name| {
            Calls::named(&name)
                .ok_or_else(|| format!("pattern: `{name}` is none; there are {}", chat::names()))
        });
        named.transpose()
    }

    fn headers(&self) -> Result<Vec<(String, String)>, String> {
        match self.0.get("headers") {
            None => Ok(Vec::new()),
            Some(Value::Object(headers)) => {
                Ok(headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), plain(value))).collect())
            }
            Some(value) => Err(format!("headers: it is an object of texts, not {value}")),
        }
    }
}

fn object(text: &[u8]) -> Result<Value, String> {
    let text = text.trim_ascii();
    if text.starts_with(b"{") || text.starts_with(b"[") {
        return serde_json::from_slice(text).map_err(|e| format!("the fault is not valid JSON: {e}"));
    }
    let text = std::str::from_utf8(text).map_err(|_| "a fault is text".to_owned())?;
    let mut fields = Map::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, "true"));
        let value = value.trim();
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        fields.insert(name.trim().replace('-', "_"), value);
    }
    Ok(Value::Object(fields))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn model(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["model"].as_str().unwrap_or_default().to_owned()
}

fn is_stream(body: &[u8]) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["stream"] == true
}

fn written(status: u16, body: &Value, number: u64) -> Answer {
    let answer = match body {
        Value::String(text) => Answer::whole(status, "text/plain; charset=utf-8", text.clone().into_bytes()),
        other => Answer::json(status, other),
    };
    answer.with("request-id", super::request_id(number))
}

fn failed(
    voice: Voice,
    mut answer: Answer,
    after: usize,
    kind: Option<&str>,
    message: Option<&str>,
    number: u64,
) -> Answer {
    if let Framing::Sized(_) = answer.framing {
        return voice.inside(kind, message, number);
    }
    answer.play.truncate(place(&answer.play, after));
    answer.play.extend(voice.events(kind, message, number).into_iter().map(Step::Bytes));
    answer
}

/// Ends a stream behind its finish. The finish itself stays, and so does a usage in the same event.
fn finish_cut(voice: Voice, mut answer: Answer) -> Answer {
    let is_finish = |step: &Step| matches!(step, Step::Bytes(bytes) if voice.finishes(bytes));
    if answer.framing == Framing::Stream
        && let Some(at) = answer.play.iter().position(is_finish)
    {
        answer.play.truncate(at + 1);
    }
    answer
}

fn cut(mut answer: Answer, after: usize) -> Answer {
    if let Framing::Sized(length) = answer.framing {
        return cut_bytes(answer, if after == 0 { 0 } else { length / 2 });
    }
    answer.play.truncate(place(&answer.play, after));
    answer.play.push(Step::Cut);
    answer
}

fn cut_bytes(mut answer: Answer, after: usize) -> Answer {
    let (mut play, mut left) = (Vec::new(), after);
    for step in std::mem::take(&mut answer.play) {
        match step {
            Step::Bytes(_) if left == 0 => break,
            Step::Bytes(mut bytes) => {
                bytes.truncate(left);
                left -= bytes.len();
                play.push(Step::Bytes(bytes));
            }
            other => play.push(other),
        }
    }
    play.push(Step::Cut);
    answer.play = play;
    answer
}

/// Where in the play `after` pieces are over.
fn place(play: &[Step], after: usize) -> usize {
    let pieces = play.iter().enumerate().filter(|(_, step)| matches!(step, Step::Bytes(_)));
    pieces.map(|(at, _)| at).nth(after).unwrap_or(play.len())
}

fn size(play: &[Step]) -> usize {
    play.iter().map(|step| if let Step::Bytes(bytes) = step { bytes.len() } else { 0 }).sum()
}

/// Compresses piece by piece, each flushed, so that a reader that decodes on the fly gets every event in time. What was
/// promised and not sent (a cut) stays missing.
fn gzip(answer: &mut Answer) {
    let missing = match answer.framing {
        Framing::Sized(length) => length.saturating_sub(size(&answer.play)),
        Framing::Stream | Framing::Raw => 0,
    };
    let mut coder = GzEncoder::new(Vec::new(), Compression::fast());
    let last = answer.play.iter().rposition(|step| matches!(step, Step::Bytes(_)));
    for (at, step) in answer.play.iter_mut().enumerate() {
        let Step::Bytes(bytes) = step else { continue };
        // Writing to a vector cannot fail.
        let _ = coder.write_all(bytes).and_then(|()| coder.flush());
        if Some(at) == last {
            let _ = coder.try_finish();
        }
        *bytes = std::mem::take(coder.get_mut());
    }
    if let Framing::Sized(length) = &mut answer.framing {
        *length = size(&answer.play) + missing;
    }
    answer.headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
}

fn slow(answer: &mut Answer, pause: Duration) {
    let mut play = Vec::new();
    for step in std::mem::take(&mut answer.play) {
        match step {
            Step::Bytes(bytes) if answer.framing != Framing::Stream => {
                let piece = bytes.len().div_ceil(SLOW_PIECES).max(1);
                play.extend(
                    bytes.chunks(piece).flat_map(|part| [Step::Pause(pause), Step::Bytes(part.to_vec())]),
                );
            }
            Step::Bytes(bytes) => play.extend([Step::Pause(pause), Step::Bytes(bytes)]),
            other => play.push(other),
        }
    }
    // The first piece is what `delay` is for.
    if let Some(at) = play.iter().position(|step| *step == Step::Pause(pause)) {
        play.remove(at);
    }
    answer.play = play;
}

const FIELDS: &[&str] = &[
    "status",
    "type",
    "message",
    "body",
    "overloaded",
    "error",
    "inside",
    "finish_cut",
    "cut",
    "cut_bytes",
    "end",
    "hang",
    "broken",
    "empty",
    "garbage",
    "delay",
    "slow",
    "gzip",
    "pattern",
    "content_type",
    "retry_after",
    "headers",
    "model",
    "path",
    "key",
    "skip",
    "first",
];

/// Longer than any client waits.
const HANG: Duration = Duration::from_hours(1);
/// Pieces of a whole answer that comes slowly.
const SLOW_PIECES: usize = 8;
/// The beginning of an event.
pub(super) const BROKEN: &[u8] = br#"{"type":"content_block_delta","index":0,"delta":{"type":"text_del"#;
const GARBAGE: &[u8] = b"\x16\x03\x01 this is not HTTP \0\r\n\r\n<<<>>>\r\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::reply::event;

    fn request(body: &[u8]) -> Request<'_> {
        Request { method: "POST", path: "/v1/messages", query: "", headers: &[("x-api-key", "k-1")], body }
    }

    fn stream() -> Answer {
        Answer::stream((0..6).map(|n| event("ping", json!({"n": n}))).collect())
    }

    fn whole() -> Answer {
        Answer::json(200, &json!({"type": "message", "text": "0123456789"}))
    }

    fn apply(fault: &str, good: fn() -> Answer) -> Answer {
        Fault::parse(fault.as_bytes()).unwrap().apply(&request(br#"{"stream":true}"#), 9, good)
    }

    /// The play in one line: `b` bytes, `p` a pause, `x` a cut.
    fn shape(answer: &Answer) -> String {
        let steps = answer.play.iter().map(|step| match step {
            Step::Bytes(_) => 'b',
            Step::Pause(_) => 'p',
            Step::Cut => 'x',
        });
        steps.collect()
    }

    #[test]
    fn a_fault_shapes_the_play() {
        for (fault, streamed, at_once) in [
            ("", "bbbbbb", "b"),
            ("delay=5", "pbbbbbb", "pb"),
            ("slow=5", "bpbpbpbpbpb", "bpbpbpbpbpbpbpb"),
            ("cut", "x", "x"),
            ("cut=2", "bbx", "bx"),
            ("cut=99", "bbbbbbx", "bx"),
            ("cut_bytes=0", "x", "x"),
            ("cut_bytes=45", "bbx", "bx"),
            ("end=2", "bb", "b"),
            ("hang", "px", "px"),
            ("hang=3", "bbbpx", "bpx"),
            ("error=2", "bbb", "b"),
            ("overloaded", "b", "b"),
            ("inside", "b", "b"),
            ("finish_cut", "bbbbbb", "b"),
            ("broken=2", "bbbbbbb", "b"),
            ("empty", "b", "b"),
            ("garbage", "b", "b"),
            ("status=529", "b", "b"),
            ("delay=3; cut=1; slow=1", "pbx", "pbpbpbpbpbpbpbx"),
        ] {
            assert_eq!(shape(&apply(fault, stream)), streamed, "{fault} of a stream");
            assert_eq!(shape(&apply(fault, whole)), at_once, "{fault} of a whole answer");
        }
    }

    #[test]
    fn a_status_has_anthropics_body_unless_another_is_given() {
        for (fault, status, part) in [
            ("status=529", 529, r#""type":"overloaded_error"#),
            ("status=429; retry_after=7", 429, "rate_limit_error"),
            ("status=400; message=prompt is too long: 9 tokens > 8 maximum", 400, "prompt is too long"),
            (r#"{"status": 502, "body": "<html>bad gateway</html>"}"#, 502, "<html>"),
            (r#"{"body": {"object": "error"}}"#, 200, r#"{"object":"error"}"#),
        ] {
            let answer = apply(fault, whole);
            assert_eq!(answer.status, status, "{fault}");
            let body = String::from_utf8(answer.bytes()).unwrap();
            assert!(body.contains(part), "{fault}: {body}");
        }
    }

    #[test]
    fn a_cut_answer_promises_more_than_it_sends() {
        for fault in ["cut=1", "cut=1; gzip", "cut_bytes=9"] {
            let answer = apply(fault, whole);
            let Framing::Sized(length) = answer.framing else { panic!("{fault}: {:?}", answer.framing) };
            assert!(length > size(&answer.play), "{fault}: {length}");
        }
    }

    #[test]
    fn compressed_bytes_are_the_same_after_decompression() {
        for good in [whole, stream] {
            let mut text = String::new();
            let packed = apply("gzip", good);
            std::io::Read::read_to_string(
                &mut flate2::read::GzDecoder::new(packed.bytes().as_slice()),
                &mut text,
            )
            .unwrap();
            assert_eq!(text.as_bytes(), good().bytes());
            assert!(packed.headers.contains(&("content-encoding".into(), "gzip".into())));
            if let Framing::Sized(length) = packed.framing {
                assert_eq!(length, size(&packed.play));
            }
        }
    }

    #[test]
    fn headers_replace_those_of_the_answer() {
        let answer = apply(
            r#"{"content_type": "text/html", "retry_after": 3, "headers": {"X-A": "b", "x-n": 1}}"#,
            stream,
        );
        let find = |name: &str| {
            answer.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(find("content-type"), ["text/html"]);
        assert_eq!((find("retry-after"), find("x-a"), find("x-n")), (vec!["3"], vec!["b"], vec!["1"]));
    }

    #[test]
    fn only_the_requests_that_match_are_counted() {
        let ours = request(br#"{"model":"claude-opus-5-5"}"#);
        let other = request(br#"{"model":"claude-haiku-5-5"}"#);
        for (fault, expected) in [
            ("cut", "xx xx"),
            ("cut; first=1", "x. .."),
            ("cut; skip=1; first=2", ".x x."),
            ("cut; model=claude-opus-*; first=1", "x. .."),
            ("cut; model=claude-opus-*; skip=1", ".. x."),
            ("cut; path=*/messages; key=k-*", "xx xx"),
            ("cut; path=*/models", ".. .."),
            ("cut; key=other", ".. .."),
        ] {
            let mut rule = Rule::new(Fault::parse(fault.as_bytes()).unwrap());
            let mut due = |request| if rule.due(request).is_some() { 'x' } else { '.' };
            let found: String = [due(&ours), due(&other), ' ', due(&ours), due(&other)].iter().collect();
            assert_eq!(found, expected, "{fault}");
        }
    }

    #[test]
    fn the_help_tells_every_field() {
        for field in FIELDS {
            assert!(
                HELP.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == *field),
                "{field}"
            );
        }
    }

    #[test]
    fn a_mistake_names_its_field() {
        for (fault, part) in [
            ("statsu=500", "statsu: no such field"),
            ("status=20", "status: it is a number from 200"),
            ("delay=soon", "delay: it is a whole number"),
            ("pattern=odd", "pattern: `odd` is none; there are fragments"),
            ("gzip=1", "gzip: it is true or false"),
            ("cut=1; hang=2", "one fault does one thing"),
            ("{", "not valid JSON"),
            ("[]", "a fault is an object"),
        ] {
            let mistake = Fault::parse(fault.as_bytes()).unwrap_err();
            assert!(mistake.contains(part), "{fault}: {mistake}");
        }
        assert_eq!(Fault::parse_all(br#"[{"cut":1},{"status":500}]"#).unwrap().len(), 2);
    }
}
