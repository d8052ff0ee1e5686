//! The life of one request for a model: an answer in any dialect, a count of tokens, embeddings.
//!
//! ```text
//! caller ──▶ body ──▶ ask ──▶ entry ──▶ plan ──▶ attempt ──▶ committed ──▶ answered ──▶ record
//!                                        ▲          │ failed
//!                                        └──────────┘
//! ```
//!
//! Knows the sequence and the loop over attempts. Contains no format and no arithmetic: what a body says is `wire`'s, who
//! is asked next is `route`'s, when an answer is committed is the gate's.

mod answer;
mod asking;
mod attempt;
mod counting;
pub mod story;
mod watch;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock;
use crate::edge::routes::Surface;
use crate::edge::{Call, Head};
use crate::error::Error;
use crate::gate::Gate;
use crate::gateway::{Gateway, Running};
use crate::govern::{self, Entry};
use crate::reply;
use crate::route::{self, Candidate, Next, Plan, Want};
use crate::runtime::Home;
use crate::upstream::provider;
use crate::wire::repair::Repair;
use crate::wire::{self, Ask, Call as Which};

use answer::Kept;
use asking::Asking;
pub use attempt::Failed;
use attempt::{Outcome, Stop};
use story::Story;
use watch::Watch;

/// Serves one request and leaves its record.
pub fn exchange(gateway: &Gateway, call: &mut Call<'_>, surface: Surface, which: Which) {
    let mut story =
        Story::begin(gateway.log.blank(), call, |out| gateway.write_request_id(out), surface, which.word());
    let running = gateway.running();
    if let Err(stop) = serve(gateway, &running, call, surface, which, &mut story) {
        match stop {
            Stop::Gone => story.cut_by("client"),
            Stop::Refused(error) => {
                story.refused(&error);
                match reply::refuse(call, &error, &story.way()) {
                    Ok(bytes) => story.passed(bytes),
                    Err(_) => story.cut_by("client"),
                }
            }
        }
    }
    if running.snapshot.log.requests {
        gateway.log.record(story.end());
    }
}

fn serve(
    gateway: &Gateway,
    running: &Running,
    call: &mut Call<'_>,
    surface: Surface,
    which: Which,
    story: &mut Story,
) -> Result<(), Stop> {
    let caller = gateway.caller(running, call, surface, story.unix_seconds())?;
    story.caller(&caller);
    let body = call.body(running.snapshot.server.max_body)?;
    let mut now = story.body_is_whole();
    let ask = Ask::read(&body, which)?;
    let head = Arc::clone(&call.head);
    let session = session(&head, &ask);
    story.asked(ask.model(), ask.stream(), session.as_deref(), body.len());
    let entry = govern::enter(&running.snapshot, &caller, surface, Some(ask.model()))?;
    let cache_ttl = || if ask.caches_for_an_hour() { AN_HOUR } else { FIVE_MINUTES };
    let images = || ask.shows_images();
    let want = want(&head, &ask, surface, which, session.as_deref(), &cache_ttl, &images);
    let mut plan = plan(gateway, running, call.home(), &entry, &want, now)?;
    let asking = Asking::new(gateway, &head, which, &ask, plan.asked().named, session.as_deref());
    let gate = ask.stream().then(|| Gate::new(running.snapshot.retry.ping_after));
    let mut watch = Watch::new(which.dialect(), call, story, gate, &gateway.ending, now);
    let mut kept = Kept::default();
    loop {
        match plan.next(now) {
            Next::Try(candidate) => {
                if ask_one(gateway, running, &asking, &mut watch, &mut plan, candidate, &mut kept)? {
                    return Ok(());
                }
                now = clock::now();
            }
            Next::Wait(time) => {
                watch.rest(time)?;
                now = clock::now();
            }
            Next::Exhausted(told) => {
                // Servers of the format that count no tokens.
                if let Some((provider, model)) = plan.never_counted() {
                    watch.story.plan(&plan);
                    let said = counting::estimate(gateway, &asking, watch.story, provider, model)?;
                    return answer::whole(&mut watch, &said);
                }
                return answer::give_up(&mut watch, &plan, told, kept);
            }
        }
    }
}

/// Asks one provider, again after a repair, and passes its answer on; `false`: it failed and the next may be asked.
fn ask_one<'a>(
    gateway: &Gateway,
    running: &'a Running,
    asking: &Asking<'_>,
    watch: &mut Watch<'_, '_>,
    plan: &mut Plan<'a>,
    mut candidate: Candidate<'a>,
    kept: &mut Kept,
) -> Result<bool, Stop> {
    let mut cut_thinking = false;
    let (provider, model) = (candidate.provider, candidate.model);
    if counting::is_ours(asking.which, provider) {
        plan.succeeded(&candidate, clock::now());
        watch.story.plan(plan);
        let said = counting::estimate(gateway, asking, watch.story, provider, model)?;
        answer::whole(watch, &said)?;
        return Ok(true);
    }
    loop {
        let origin = running.origin(provider)?;
        let failed = match asking.attempt(watch, &candidate, origin, cut_thinking) {
            Ok(Outcome::Failed(failed)) => failed,
            Ok(Outcome::Whole(whole)) => {
                plan.succeeded(&candidate, clock::now());
                watch.story.plan(plan);
                answer::whole(watch, &whole)?;
                counting::learn(gateway, asking, watch.story, provider, model);
                return Ok(true);
            }
            Ok(Outcome::Stream(committed)) => {
                plan.succeeded(&candidate, clock::now());
                watch.story.plan(plan);
                // A probe is over once there is content: nobody waits for the end of this answer.
                drop(candidate);
                answer::stream(watch, plan, &gateway.upstreams, asking.asked, committed)?;
                counting::learn(gateway, asking, watch.story, provider, model);
                return Ok(true);
            }
            Err(stop) => {
                watch.story.plan(plan);
                return Err(stop);
            }
        };
        gateway.tell_failure(watch.story.id(), candidate.provider, &failed);
        if let Some(gate) = &mut watch.gate {
            gate.restart();
        }
        let Failed { failure, repair, said, .. } = failed;
        kept.keep(plan.attempts().len().saturating_sub(1), said);
        let now = clock::now();
        let repair = repair.filter(|r| !Asking::was_repaired(&candidate, *r, cut_thinking));
        let Some(repair) = repair else {
            plan.failed(&candidate, &failure, now);
            return Ok(false);
        };
        cut_thinking |= repair == Repair::CutThinking;
        match plan.repaired(candidate, &failure, repair.bit(), now) {
            Some(again) => candidate = again,
            None => return Ok(false),
        }
    }
}

/// On the heap, since it would stand on the stack of every waiting request.
#[inline(never)] // A frame of its own, as in `attempt`.
fn plan<'a>(
    gateway: &Gateway,
    running: &'a Running,
    home: &'static Home,
    entry: &Entry,
    want: &Want<'a>,
    now: Instant,
) -> Result<Box<Plan<'a>>, Error> {
    let mut chooser = gateway.choosers.of(home);
    route::plan(&running.table, &running.snapshot, entry, want, &mut chooser, now).map(Box::new)
}

/// The session that a request belongs to (INTERFACE section 4.3): Claude Code's header, then what the body's `metadata`
/// says, then what other clients name it by (`session_id` as a header or a field, `prompt_cache_key`), then our own header.
fn session<'a>(head: &'a Head, ask: &Ask<'a>) -> Option<Cow<'a, str>> {
    let header = |name| head.get(name).map(str::trim).filter(|id| !id.is_empty()).map(Cow::Borrowed);
    header("x-claude-code-session-id")
        .or_else(|| ask.session())
        .or_else(|| header("session_id"))
        .or_else(|| ask.session_of_others())
        .or_else(|| header("x-pointsman-session"))
}

fn want<'a>(
    head: &Head,
    ask: &'a Ask<'_>,
    surface: Surface,
    which: Which,
    session: Option<&str>,
    cache_ttl: &'a dyn Fn() -> Duration,
    images: &'a dyn Fn() -> bool,
) -> Want<'a> {
    Want {
        model: ask.model(),
        surface,
        session: session.map(route::session_hash),
        new_turn: session.is_some() && ask.new_turn(),
        cache_ttl,
        large_context: wire::asks_for_large_window(head.fields.all("anthropic-beta")),
        // What is too long to be answered may still be counted.
        context_needed: if which == Which::CountTokens { None } else { ask.fewest_tokens() },
        window: wire::window,
        embeddings: which == Which::Embeddings,
        images,
        traits: provider::entry::traits,
    }
}

/// How long an upstream's prompt cache lives without use, by default and with `"ttl": "1h"`.
const FIVE_MINUTES: Duration = Duration::from_mins(5);
const AN_HOUR: Duration = Duration::from_hours(1);
