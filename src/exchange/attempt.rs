//! One attempt: the request shaped for one provider and sent, its answer judged up to where it is committed.
//!
//! Knows what is sent and read, not what follows from a failure: that is the plan's and the loop's in [`super`].

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use super::answer::Committed;
use super::watch::{Over, Patience, Watch};
use crate::clock;
use crate::config::snapshot::{Kind as Type, Provider};
use crate::edge::Head;
use crate::error::{Class, Error, Failure, Kind, Stage};
use crate::gate::Step;
use crate::gateway::Gateway;
use crate::http::Fields;
use crate::limits::{MAX_ERROR_BODY, MAX_REPLY};
use crate::relay::{Came, Stream, collect};
use crate::route::Candidate;
use crate::upstream::provider::entry::entry;
use crate::upstream::provider::head::{self as provider, Parts};
use crate::upstream::{Answer, Origin, Request, Trouble, Upstreams};
use crate::wire::anthropic::fault::{self, Verdict};
use crate::wire::anthropic::repair::Repair;
use crate::wire::anthropic::{Ask, Call as Which, Reply, Target, reply, shape};
use crate::wire::{Call, Ending};

/// What every attempt of one request is made of.
pub struct Asking<'a> {
    /// Connections.
    pub upstreams: &'a Upstreams,
    /// The client's head.
    pub head: &'a Head,
    /// Which endpoint.
    pub which: Which,
    /// The body as it was read.
    pub ask: &'a Ask<'a>,
    /// `anthropic-beta` as the client sent it, its lines joined; `None`: it sent none.
    pub betas: Option<Cow<'a, str>>,
    /// The name that the answer carries.
    pub asked: &'a str,
    /// Our mark for requests that come round again.
    pub via: &'a str,
    /// A loss is refused rather than told.
    pub strict: bool,
}

/// How an attempt ended, as far as the client is not yet told.
pub enum Outcome {
    /// A stream showed content, or its end: it is committed.
    Stream(Box<Committed>),
    /// A whole answer.
    Whole(Said),
    /// It may be replaced.
    Failed(Failed),
}

/// A failed attempt.
pub struct Failed {
    /// How.
    pub failure: Failure,
    /// For the log.
    pub detail: String,
    /// What might mend it.
    pub repair: Option<Repair>,
    /// The provider's own words, where they may reach the client.
    pub said: Option<Said>,
}

/// What an upstream said whole, as it goes to the client.
pub struct Said {
    /// The status that the client is told.
    pub status: u16,
    /// The upstream's fields.
    pub fields: Fields,
    /// Byte for byte, but for the model's name of an answer.
    pub body: Vec<u8>,
    /// The body was written here, in the client's format: the upstream's `content-type` does not fit it.
    pub ours: bool,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// What ends the whole request and not only the attempt.
pub enum Stop {
    /// The client went away.
    Gone,
    /// The client is refused.
    Refused(Error),
}

impl Failed {
    fn silent(failure: Failure, detail: impl Into<String>) -> Self {
        Self { failure, detail: detail.into(), repair: None, said: None }
    }

    fn late(class: Class) -> Self {
        Self::silent(Failure::silent(class), class.word())
    }
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        Self::silent(trouble.failure, trouble.detail)
    }
}

impl<'a> Asking<'a> {
    /// The same for every attempt.
    pub fn new(gateway: &'a Gateway, head: &'a Head, which: Which, ask: &'a Ask<'a>, asked: &'a str) -> Self {
        let strict = head.get("x-pointsman-strict").is_some_and(|v| v.trim() == "1");
        let betas = joined(head, "anthropic-beta");
        Self { upstreams: &gateway.upstreams, head, which, ask, betas, asked, via: &gateway.via, strict }
    }

    /// Whether a repair was already made for this attempt: if it is asked for again, it does not help.
    pub fn was_repaired(candidate: &Candidate<'_>, repair: Repair, cut_thinking: bool) -> bool {
        match repair {
            Repair::CutThinking => cut_thinking,
            Repair::DropField(_) => candidate.repairs & repair.bit() != 0,
        }
    }

    /// Asks one provider, until its answer is committed or has failed.
    pub fn attempt(
        &self,
        watch: &mut Watch<'_, '_>,
        candidate: &Candidate<'_>,
        origin: &Arc<Origin>,
        cut_thinking: bool,
    ) -> Result<Outcome, Stop> {
        let patience = Patience::new(candidate.provider.timeouts, self.ask.stream);
        let answer = match self.send(watch, candidate, origin, cut_thinking, &patience)? {
            Ok(answer) => answer,
            Err(failed) => return Ok(Outcome::Failed(failed)),
        };
        watch.story.byte();
        watch.story.upstream_id(answer.fields.get("request-id"));
        let kind = content_type(&answer.fields).as_bytes();
        let streams = kind.get(..EVENT_STREAM.len()).is_some_and(|k| k.eq_ignore_ascii_case(EVENT_STREAM));
        match answer.status {
            200..=299 if self.ask.stream && streams => stream(watch, answer, patience),
            200..=299 => self.whole(watch, answer, &patience),
            _ => self.refusal(watch, answer, &patience),
        }
    }

    #[inline(never)] // A frame of its own: stacks stay small while others wait.
    fn send(
        &self,
        watch: &mut Watch<'_, '_>,
        candidate: &Candidate<'_>,
        origin: &Arc<Origin>,
        cut_thinking: bool,
        patience: &Patience,
    ) -> Result<Result<Answer, Failed>, Stop> {
        let provider = candidate.provider;
        let target = Target {
            model: candidate.model,
            limit: provider.max_output_tokens,
            repairs: candidate.repairs,
            cut_thinking,
            context_1m: candidate.context_1m,
        };
        let betas = provider::with_configured(self.betas.as_deref(), &provider.headers);
        let shaped = shape::shape(self.ask, betas.as_deref(), &target)?;
        if (self.strict || provider.strict) && !shaped.loss.is_empty() {
            return Err(Stop::Refused(too_strict(provider, &shaped.loss.header())));
        }
        if !shaped.loss.is_empty() || !watch.story.lost().is_empty() {
            watch.story.loss(&shaped.loss.header());
        }
        let as_sent = shaped.betas.as_deref() == self.betas.as_deref();
        let head = provider::head(&Parts {
            call: match self.which {
                Which::Messages => Call::Messages,
                Which::CountTokens => Call::CountTokens,
            },
            entry: entry(provider.kind),
            base_path: &origin.base.path,
            host: &origin.host_field,
            key: candidate.credential.map(|c| c.secret.expose()),
            same: true,
            stream: self.ask.stream,
            query: self.head.query(),
            client: &self.head.fields,
            betas: if as_sent { None } else { Some(shaped.betas.as_deref().unwrap_or("")) },
            session: None,
            extra: &provider.headers,
            faults: provider.kind == Type::Mock,
            via: provider.foreign_base.then_some(self.via),
            length: shaped.body.len(),
        });
        let pieces: Vec<&[u8]> = shaped.body.pieces().collect();
        let request = Request { head: &head, body: &pieces };
        watch.story.sending();
        let home = watch.call.home();
        let mut over = None;
        let mut on_tick = || {
            watch.tick(patience, true).map_err(|why| {
                over = Some(why);
                io::Error::from(io::ErrorKind::TimedOut)
            })
        };
        let sent = self.upstreams.send(
            home,
            origin,
            request,
            patience.connect(),
            &mut || patience.sent(),
            &mut on_tick,
        );
        told(sent, over)
    }

    /// A whole answer, or one that should have been a stream.
    #[inline(never)] // A frame of its own: stacks stay small while others wait.
    fn whole(&self, watch: &mut Watch<'_, '_>, answer: Answer, patience: &Patience) -> Result<Outcome, Stop> {
        let mut body = Vec::new();
        let (status, fields) = match self.read(watch, answer, patience, MAX_REPLY, &mut body)? {
            Ok(read) => read,
            Err(failed) => return Ok(Outcome::Failed(failed)),
        };
        let unreadable = || {
            let detail = format!("not an answer of the Messages API: {}", content_type(&fields));
            Outcome::Failed(Failed::silent(Failure { status, ..Failure::silent(Class::Unreadable) }, detail))
        };
        if self.which == Which::CountTokens {
            let Some(tokens) = reply::counted(&body) else { return Ok(unreadable()) };
            watch.story.counted(tokens);
            return Ok(Outcome::Whole(Said { status, fields, body, ours: false }));
        }
        let Some(reply) = Reply::read(&body) else { return Ok(unreadable()) };
        if reply.meter.error.is_some() {
            let verdict = fault::verdict_inside(&body);
            let detail = verdict.told.kind.to_string();
            return Ok(Outcome::Failed(judged(&verdict, detail, fields, &body, watch.story.id())));
        }
        if self.ask.stream {
            return Ok(unreadable());
        }
        watch.story.meter(&reply.meter, true);
        let named = reply.named(self.asked);
        let named = if named.is_verbatim() { None } else { Some(named.to_vec()) };
        Ok(Outcome::Whole(Said { status, fields, body: named.unwrap_or(body), ours: false }))
    }

    /// A status that is no success: what it means, and what of it may be told.
    #[inline(never)] // A frame of its own: stacks stay small while others wait.
    fn refusal(
        &self,
        watch: &mut Watch<'_, '_>,
        answer: Answer,
        patience: &Patience,
    ) -> Result<Outcome, Stop> {
        let status = answer.status;
        let after = fault::retry_after(|name| answer.fields.get(name), clock::unix_seconds());
        let mut body = Vec::new();
        // The status says most of it: a body that breaks off or never ends changes nothing about whose fault it is.
        let fields = match self.read(watch, answer, patience, MAX_ERROR_BODY, &mut body)? {
            Ok((_, fields)) => fields,
            Err(_) => Fields::default(),
        };
        let mut verdict = fault::verdict(status, after, &body);
        if self.which == Which::CountTokens {
            verdict = verdict.of_counting();
        }
        let detail = format!("{status} {}", verdict.told.kind);
        Ok(Outcome::Failed(judged(&verdict, detail, fields, &body, watch.story.id())))
    }

    /// Reads a whole body into `body`; gives the status and the fields.
    fn read(
        &self,
        watch: &mut Watch<'_, '_>,
        mut answer: Answer,
        patience: &Patience,
        max: usize,
        body: &mut Vec<u8>,
    ) -> Result<Result<(u16, Fields), Failed>, Stop> {
        let mut over = None;
        let read = collect(&mut answer, body, max, &mut |silent| {
            let looked =
                if silent { watch.tick(patience, true) } else { watch.busy(clock::now(), patience, true) };
            looked.map_err(|why| {
                over = Some(why);
                Trouble::new(Class::Total, "stopped")
            })
        });
        let whole = read.map(|()| {
            let told = (answer.status, std::mem::take(&mut answer.fields));
            self.upstreams.done(answer);
            told
        });
        told(whole, over)
    }
}

/// What a wait for the upstream came to, if the watch ended it as `over`.
fn told<T>(came: Result<T, Trouble>, over: Option<Over>) -> Result<Result<T, Failed>, Stop> {
    match (came, over) {
        (Ok(came), _) => Ok(Ok(came)),
        (Err(_), Some(over)) => Ok(Err(Failed::late(over.late()?))),
        (Err(trouble), None) => Ok(Err(trouble.into())),
    }
}

/// A judged refusal, with its words if they may reach the client.
fn judged(verdict: &Verdict, detail: String, fields: Fields, body: &[u8], id: &str) -> Failed {
    let said = fault::relayed(&verdict.failure).then(|| {
        let body = fault::passed_on(verdict, body, id);
        let ours = matches!(body, Cow::Owned(_));
        Said { status: fault::status_told(verdict.failure.status), fields, body: body.into_owned(), ours }
    });
    Failed { failure: verdict.failure, detail, repair: verdict.repair, said }
}

/// Reads a stream's beginning until the gate opens.
#[inline(never)] // A frame of its own: stacks stay small while others wait.
fn stream(watch: &mut Watch<'_, '_>, answer: Answer, mut patience: Patience) -> Result<Outcome, Stop> {
    let mut stream = Stream::new(answer, watch.call.home());
    loop {
        let came = match stream.read() {
            Ok(came) => came,
            Err(trouble) => return Ok(Outcome::Failed(trouble.into())),
        };
        let looked = match came {
            Came::Silence => watch.tick(&patience, true),
            Came::Bytes(heard) => {
                let now = clock::now();
                patience.heard(now);
                let elapsed = watch.story.at(now);
                let Some(gate) = &mut watch.gate else { return Err(Stop::Gone) };
                if let (Some(_), false) = (heard.fault, heard.content) {
                    return Ok(Outcome::Failed(fault_in(gate.held(), stream, watch.story.id())));
                }
                if let Step::Commit { head } = gate.hear(stream.whole(), heard.content, elapsed) {
                    watch.story.content();
                    patience.committed();
                    return Ok(Outcome::Stream(Box::new(Committed { stream, patience, head })));
                }
                watch.busy(now, &patience, true)
            }
            Came::End(ending) => return Ok(Outcome::Failed(early_end(ending))),
        };
        if let Err(over) = looked {
            return Ok(Outcome::Failed(Failed::late(over.late()?)));
        }
    }
}

/// An error event before any content: it stands for an error answer. `held` is what came before the last read.
fn fault_in(held: &[u8], stream: Stream, id: &str) -> Failed {
    let body = fault::body_in(&[held, stream.whole()].concat());
    let verdict = fault::verdict_inside(&body);
    let detail = format!("{} inside the stream", verdict.told.kind);
    let mut answer = stream.into_answer();
    let mut failed = judged(&verdict, detail, std::mem::take(&mut answer.fields), &body, id);
    if let Some(said) = &mut failed.said {
        // An event's data, whatever it is, is no event stream.
        said.ours = true;
    }
    failed
}

/// The connection ended before any content.
fn early_end(ending: Ending) -> Failed {
    match ending {
        Ending::Empty => Failed::silent(Failure::silent(Class::Unreadable), "a stream without an event"),
        Ending::Whole | Ending::Cut | Ending::Told(_) => {
            Failed::silent(Failure::silent(Class::Reset), "the stream ended before any content")
        }
    }
}

const EVENT_STREAM: &[u8] = b"text/event-stream";

/// The values of a field that may stand in several lines, as one list.
fn joined<'h>(head: &'h Head, name: &'h str) -> Option<Cow<'h, str>> {
    let mut lines = head.fields.all(name).filter_map(|value| std::str::from_utf8(value).ok());
    let first = lines.next()?;
    Some(lines.fold(Cow::Borrowed(first), |list, line| Cow::Owned(format!("{list},{line}"))))
}

fn content_type(fields: &Fields) -> &str {
    fields.get("content-type").unwrap_or("no content-type")
}

fn too_strict(provider: &Provider, loss: &str) -> Error {
    let message = format!(
        "the provider `{}` cannot take this request without a loss ({loss}), and `strict` is set: send it without, or to another model",
        provider.id
    );
    Error::new(Stage::Wire, Kind::BadRequest, message)
}
