//! What the client gets: a committed stream to its end, a whole answer, or the words of the provider that failed last.
//!
//! Chooses no provider. A stream that breaks after its first content ends with an error event, never with an ending that
//! looks clean.

use super::attempt::{Said, Stop};
use super::watch::{Patience, Watch};
use crate::clock;
use crate::edge::Gone;
use crate::error::{Class, Error, Failure, Kind, Stage, whole_seconds};
use crate::limits::FAIR_BYTES;
use crate::relay::{Came, Stream};
use crate::reply::{self, Way};
use crate::route::{Exhausted, Plan};
use crate::runtime::home;
use crate::upstream::{Trouble, Upstreams};
use crate::wire::{Ending, fault, renamed};

/// The words of failed attempts, for when nobody is left; as [`Plan::attempts`].
#[derive(Default)]
pub struct Kept(Vec<Option<Said>>);

impl Kept {
    /// Keeps what attempt number `at` said.
    pub fn keep(&mut self, at: usize, said: Option<Said>) {
        self.0.resize_with(at, || None);
        self.0.push(said);
    }

    fn take(&mut self, at: usize) -> Option<Said> {
        self.0.get_mut(at).and_then(Option::take)
    }
}

/// Answers whole.
#[inline(never)] // A frame of its own: stacks stay small while others wait.
pub fn whole(watch: &mut Watch<'_, '_>, whole: &Said) -> Result<(), Stop> {
    let lines = reply::lines(&watch.story.way(), &whole.fields, whole.ours);
    watch.story.answered(whole.status, whole.body.len());
    watch.call.reply(whole.status, &lines, &whole.body).map_err(gone)
}

/// Passes a committed stream on, to its end.
#[inline(never)] // A frame of its own: stacks stay small while others wait.
pub fn stream(
    watch: &mut Watch<'_, '_>,
    plan: &Plan<'_>,
    upstreams: &Upstreams,
    asked: &str,
    mut committed: Box<Committed>,
) -> Result<(), Stop> {
    if committed.head {
        let lines = reply::lines(&watch.story.way(), committed.stream.fields(), false);
        watch.call.begin(200, &lines);
        watch.story.answered(200, 0);
    }
    let held = watch.gate.as_mut().map(crate::gate::Gate::take_held).unwrap_or_default();
    let first = renamed(held, committed.stream.model_at(), asked);
    let end = pass(watch, &mut committed, first);
    let meter = committed.stream.meter();
    watch.story.meter(meter, matches!(end, Ok(End::Whole)));
    match end {
        Ok(ended @ (End::Whole | End::Told(_))) => {
            if let End::Told(failure) = ended {
                watch.story.failed(failure);
                watch.story.cut_by("upstream");
            }
            committed.stream.drain();
            upstreams.done(committed.stream.into_answer());
            Ok(())
        }
        Ok(End::Broken(trouble)) => {
            watch.story.failed(trouble.failure);
            watch.story.cut_by("upstream");
            let provider = plan.attempts().last().map_or("", |a| &a.provider.id);
            broken(watch, &committed.stream, provider, trouble.failure.class)
        }
        Err(stop) => Err(stop),
    }
}

/// A stream whose gate is open.
pub struct Committed {
    /// What is read.
    pub stream: Stream,
    /// Its deadlines.
    pub patience: Patience,
    /// The head was not sent before.
    pub head: bool,
}

/// How a committed stream ended.
enum End {
    Whole,
    /// The upstream's own error event was passed on.
    Told(Failure),
    Broken(Trouble),
}

#[inline(never)] // A frame of its own: stacks stay small while others wait.
fn pass(watch: &mut Watch<'_, '_>, committed: &mut Committed, first: Vec<u8>) -> Result<End, Stop> {
    let Committed { stream, patience, .. } = committed;
    if let Some(ending) = stream.over() {
        return finish(watch, &first, ending);
    }
    let mut since_way_given = first.len();
    watch.story.passed(first.len());
    watch.call.piece(&first).map_err(gone)?;
    drop(first); // The rest of the stream may take an hour.
    loop {
        let looked = match stream.read() {
            Ok(Came::Bytes(_)) => {
                let now = clock::now();
                patience.heard(now);
                if let Some(ending) = stream.over() {
                    return finish(watch, stream.whole(), ending);
                }
                let whole = stream.whole();
                if !whole.is_empty() {
                    watch.story.passed(whole.len());
                    watch.call.piece(whole).map_err(gone)?;
                    watch.passed(now);
                }
                since_way_given += whole.len();
                watch.busy(now, patience, stream.between())
            }
            Ok(Came::Silence) => watch.tick(patience, stream.between()),
            Ok(Came::End(ending)) => return finish(watch, &[], ending),
            Err(trouble) => return Ok(End::Broken(trouble)),
        };
        if let Err(over) = looked {
            let class = over.late()?;
            // The model has said all, and only the provider's counts are still awaited: the answer ends without them.
            if stream.conclude() {
                return finish(watch, stream.whole(), Ending::Whole);
            }
            return Ok(End::Broken(Trouble::new(class, class.word())));
        }
        if since_way_given >= FAIR_BYTES {
            since_way_given = 0;
            home::give_way(watch.call.home());
        }
    }
}

/// The upstream's last bytes.
fn finish(watch: &mut Watch<'_, '_>, last: &[u8], ending: Ending) -> Result<End, Stop> {
    watch.story.passed(last.len());
    let end = match ending {
        Ending::Whole => End::Whole,
        Ending::Told(failure) => End::Told(failure),
        Ending::Cut | Ending::Empty => {
            watch.call.piece(last).map_err(gone)?;
            let detail = "the stream ended before the answer did";
            return Ok(End::Broken(Trouble::new(Class::Reset, detail)));
        }
    };
    watch.call.finish(last).map_err(gone)?;
    Ok(end)
}

/// Ends a stream that broke in the middle, with an event that says so.
fn broken(watch: &mut Watch<'_, '_>, stream: &Stream, provider: &str, class: Class) -> Result<(), Stop> {
    let message =
        format!("the provider `{provider}` broke off its answer ({}); send the request again", class.word());
    let error = Error::new(Stage::Relay, Kind::BadGateway, message);
    let event = fault::event(watch.client, &error, watch.story.id());
    if !stream.between() {
        // The rest of an event that will never be whole is closed first, so that the next one is read by itself.
        watch.call.piece(b"\n\n").map_err(gone)?;
    }
    watch.call.finish(&event).map_err(gone)
}

/// Nobody is left: tells the client what the provider said, or what happened.
#[inline(never)] // A frame of its own: stacks stay small while others wait.
pub fn give_up(
    watch: &mut Watch<'_, '_>,
    plan: &Plan<'_>,
    told: Exhausted,
    mut kept: Kept,
) -> Result<(), Stop> {
    watch.story.plan(plan);
    if let Some(attempt) = told.tell.and_then(|at| plan.attempts().get(at)) {
        watch.story.asked_of(attempt);
        if let Some(failure) = attempt.failure() {
            watch.story.failed(failure);
        }
    }
    let said = told.tell.and_then(|at| kept.take(at));
    if watch.gate.as_ref().is_some_and(crate::gate::Gate::head_is_out) {
        let event = match said {
            Some(said) => fault::event_of(watch.client, &said.body),
            None => fault::event(watch.client, &told.error(plan.attempts()), watch.story.id()),
        };
        watch.story.cut_by("upstream");
        return watch.call.finish(&event).map_err(gone);
    }
    let Some(said) = said else { return Err(Stop::Refused(told.error(plan.attempts()))) };
    // The soonest that anyone named, whoever's words these are.
    let way = Way { retry_after: told.retry_after.map(whole_seconds), ..watch.story.way() };
    let lines = reply::lines(&way, &said.fields, said.ours);
    watch.story.answered(said.status, said.body.len());
    watch.call.reply(said.status, &lines, &said.body).map_err(gone)
}

fn gone(_: Gone) -> Stop {
    Stop::Gone
}
