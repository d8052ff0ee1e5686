//! One attempt: a request sent to one provider, its answer judged up to where it is committed.
//!
//! Knows what is read, not what follows from a failure: that is the plan's and the loop's in [`super`].

use std::borrow::Cow;
use std::sync::Arc;

use super::answer::Committed;
use super::asking::Asking;
use super::watch::{Over, Patience, Watch};
use crate::clock;
use crate::error::{Class, Error, Failure};
use crate::gate::Step;
use crate::http::Fields;
use crate::limits::{MAX_ERROR_BODY, MAX_REPLY};
use crate::relay::{Came, Stream, collect};
use crate::route::Candidate;
use crate::upstream::{Answer, Origin, Trouble};
use crate::wire::fault::{self, Verdict};
use crate::wire::repair::Repair;
use crate::wire::transcode::Route;
use crate::wire::{Call as Which, Ending, counted};

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
    /// Without words for the client.
    pub fn silent(failure: Failure, detail: impl Into<String>) -> Self {
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

impl Asking<'_> {
    /// Whether a repair was already made for this attempt: if it is asked for again, it does not help.
    pub fn was_repaired(candidate: &Candidate<'_>, repair: Repair, cut_thinking: bool) -> bool {
        match repair {
            Repair::CutThinking => cut_thinking,
            Repair::Drop(_) => candidate.repairs & repair.bit() != 0,
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
        let patience = Patience::new(candidate.provider.timeouts, self.ask.stream());
        let (answer, route) = match self.ask(watch, candidate, origin, cut_thinking, &patience)? {
            Ok(asked) => asked,
            Err(failed) => return Ok(Outcome::Failed(failed)),
        };
        watch.story.byte();
        let id = ["request-id", "x-request-id"].iter().find_map(|name| answer.fields.get(name));
        watch.story.upstream_id(id);
        let kind = content_type(&answer.fields).as_bytes();
        let streams = kind.get(..EVENT_STREAM.len()).is_some_and(|k| k.eq_ignore_ascii_case(EVENT_STREAM));
        match answer.status {
            200..=299 if self.ask.stream() && streams => stream(watch, answer, &route, patience),
            200..=299 => self.whole(watch, answer, &route, &patience),
            _ => self.refusal(watch, answer, &route, &patience),
        }
    }

    /// Sends the request; gives the head of the answer, and how it gets to the client.
    fn ask(
        &self,
        watch: &mut Watch<'_, '_>,
        candidate: &Candidate<'_>,
        origin: &Arc<Origin>,
        cut_thinking: bool,
        patience: &Patience,
    ) -> Result<Result<(Answer, Route), Failed>, Stop> {
        let betas = self.betas_with(candidate.provider);
        let prepared = match self.prepare(watch, candidate, betas.as_deref(), cut_thinking)? {
            Ok(prepared) => prepared,
            Err(failed) => return Ok(Err(failed)),
        };
        let sent = self.send(watch, candidate, origin, &prepared, patience)?;
        Ok(sent.map(|answer| (answer, self.route(watch, candidate, prepared.names))))
    }

    /// A whole answer, or one that should have been a stream.
    #[inline(never)] // A frame of its own: stacks stay small while others wait.
    fn whole(
        &self,
        watch: &mut Watch<'_, '_>,
        answer: Answer,
        route: &Route,
        patience: &Patience,
    ) -> Result<Outcome, Stop> {
        let mut body = Vec::new();
        let (status, fields) = match self.read(watch, answer, patience, MAX_REPLY, &mut body)? {
            Ok(read) => read,
            Err(failed) => return Ok(Outcome::Failed(failed)),
        };
        let unreadable = || {
            let detail = format!("not an answer in the provider's format: {}", content_type(&fields));
            Outcome::Failed(Failed::silent(Failure { status, ..Failure::silent(Class::Unreadable) }, detail))
        };
        if self.which == Which::CountTokens {
            let Some(tokens) = counted(&body) else { return Ok(unreadable()) };
            watch.story.counted(tokens);
            return Ok(Outcome::Whole(Said { status, fields, body, ours: false }));
        }
        let Some(whole) = route.whole(&body) else { return Ok(unreadable()) };
        if whole.meter.error.is_some() {
            let verdict = fault::verdict_inside(route.target, &body);
            let detail = verdict.told.kind.to_string();
            return Ok(Outcome::Failed(judged(route, &verdict, detail, fields, &body, watch.story.id())));
        }
        if self.ask.stream() {
            return Ok(unreadable());
        }
        watch.story.meter(&whole.meter, true);
        let ours = route.client != route.target;
        Ok(Outcome::Whole(Said { status, fields, body: whole.body.unwrap_or(body), ours }))
    }

    /// A status that is no success: what it means, and what of it may be told.
    #[inline(never)] // A frame of its own: stacks stay small while others wait.
    fn refusal(
        &self,
        watch: &mut Watch<'_, '_>,
        answer: Answer,
        route: &Route,
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
        let mut verdict = fault::verdict(route.target, status, after, &body);
        if self.which == Which::CountTokens {
            verdict = verdict.of_counting();
        }
        let detail = format!("{status} {}", verdict.told.kind);
        Ok(Outcome::Failed(judged(route, &verdict, detail, fields, &body, watch.story.id())))
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
pub fn told<T>(came: Result<T, Trouble>, over: Option<Over>) -> Result<Result<T, Failed>, Stop> {
    match (came, over) {
        (Ok(came), _) => Ok(Ok(came)),
        (Err(_), Some(over)) => Ok(Err(Failed::late(over.late()?))),
        (Err(trouble), None) => Ok(Err(trouble.into())),
    }
}

/// A judged refusal, with its words if they may reach the client.
fn judged(route: &Route, verdict: &Verdict, detail: String, fields: Fields, body: &[u8], id: &str) -> Failed {
    let said = fault::relayed(&verdict.failure).then(|| {
        let body = fault::passed_on(route.client, route.target, verdict, body, id);
        let ours = matches!(body, Cow::Owned(_));
        let status = fault::status_told(route.client, &verdict.failure);
        Said { status, fields, body: body.into_owned(), ours }
    });
    Failed { failure: verdict.failure, detail, repair: verdict.repair, said }
}

/// Reads a stream's beginning until the gate opens.
#[inline(never)] // A frame of its own: stacks stay small while others wait.
fn stream(
    watch: &mut Watch<'_, '_>,
    answer: Answer,
    route: &Route,
    mut patience: Patience,
) -> Result<Outcome, Stop> {
    let mut stream = Stream::new(answer, route.stream(), watch.call.home());
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
                    return Ok(Outcome::Failed(fault_in(gate.held(), stream, route, watch.story.id())));
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
fn fault_in(held: &[u8], stream: Stream, route: &Route, id: &str) -> Failed {
    let told = stream.meter().error.clone().filter(|_| route.client != route.target);
    let body = match told {
        Some(_) => Vec::new(),
        None => fault::body_in(&[held, stream.whole()].concat()),
    };
    let verdict = told.map_or_else(|| fault::verdict_inside(route.target, &body), Verdict::of);
    let detail = format!("{} inside the stream", verdict.told.kind);
    let mut answer = stream.into_answer();
    let mut failed = judged(route, &verdict, detail, std::mem::take(&mut answer.fields), &body, id);
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

fn content_type(fields: &Fields) -> &str {
    fields.get("content-type").unwrap_or("no content-type")
}

const EVENT_STREAM: &[u8] = b"text/event-stream";
