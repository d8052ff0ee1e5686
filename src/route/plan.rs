//! In which order a request's providers are asked: the first choice, and who follows when it fails.
//!
//! ```text
//!                        ┌───────────── failed: another key of the same one, or the next one ──────────┐
//!                        ▼                                                                             │
//!   plan ──▶ Choosing ──next──▶ Try(candidate) ──▶ succeeded                                           │
//!                │                 └────────────────────────────────────────── failed ─────────────────┤
//!                │ only one is left that may be asked again                                            │
//!                ├──────────────▶ Wait ──next──▶ Try                                                   │
//!                │ nobody is left, or attempts are used up, or the fault is the client's               │
//!                └──────────────▶ Exhausted ◀──────────────────────────────────────────────────────────┘
//! ```
//!
//! The first is the session's home (or where it was moved to), else whose turn it is by weight; the others follow by
//! weight, `standby` last. Those that rest are skipped. When all rest and said themselves until when, that is the answer;
//! else the one whose rest ends first is asked.
//!
//! Keeps no state beyond its request: rests and moves are told to the registry. Does not wait and does not send.

mod first;
mod standing;

use std::time::{Duration, Instant};

use super::Want;
use super::attempt::{Attempt, Candidate, Exhausted, Next, Outcome, Why, attempts_text, write_attempts};
use super::health::{Cause, Probe, Standing, rested};
use super::lineup::{LeftOut, Lineup, Reason, Slot, State, lineup};
use super::pins::{Asked, resolve};
use super::select::{Chooser, hash};
use super::table::{Key, Seats, Table};
use crate::config::snapshot::{Account, Affinity, Provider, Retry, Snapshot};
use crate::error::{Class, Error, Failure, Kind, Length, Stage};
use crate::govern::Entry;
use standing::With;

/// The order of one request's attempts. Made by [`plan()`] only.
#[derive(Debug)]
#[must_use]
pub struct Plan<'a> {
    table: &'a Table,
    account: &'a Account,
    seats: &'a Seats,
    retry: Retry,
    want: Want<'a>,
    asked: Asked<'a>,
    /// The first choice, then the others by tier and weight. Never empty.
    slots: Vec<Slot<'a>>,
    left_out: Vec<LeftOut<'a>>,
    attempts: Vec<Attempt<'a>>,
    choice: Choice,
    /// The session's hash, else a number of this request's own: chooses keys.
    point: u64,
    /// Provider and key for the first attempt, where something else than `point` chose them.
    first_key: Option<(usize, usize)>,
    /// Where the session belongs. `None` without a session.
    home: Option<Home>,
    /// Who failed last, while it may be asked again if it is alone: slot and key.
    again: Option<(usize, Option<usize>)>,
    /// When the wait for it is over.
    resume: Option<Instant>,
    /// Set once the client's own fault ended it.
    ended: bool,
}

#[derive(Clone, Copy, Debug)]
struct Home {
    session: u64,
    /// Tag of its provider and key.
    tag: u64,
}

/// How the first provider was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The client named it.
    Pinned,
    /// Nobody else may be asked.
    Only,
    /// The session's home by weighted hashing.
    Home,
    /// Failover moved the session here, and its prompt cache lives on.
    Moved,
    /// Its turn by weight.
    Turn,
}

/// Decides who is asked for a request. `table` must be the one of `snapshot`, `chooser` the worker's own.
pub fn plan<'a>(
    table: &'a Table,
    snapshot: &'a Snapshot,
    entry: &Entry,
    want: &Want<'a>,
    chooser: &mut Chooser,
    now: Instant,
) -> Result<Plan<'a>, Error> {
    let caller = entry.caller();
    let at = caller.account();
    let (Some(account), Some(seats)) = (snapshot.accounts.get(at), table.accounts.get(at)) else {
        return Err(Error::new(
            Stage::Route,
            Kind::Internal,
            "the key's account is gone; send the request again",
        ));
    };
    let asked = resolve(snapshot, account, seats.slashes, want)?;
    let Lineup { slots, left_out } = lineup(account, seats, caller, &asked, want)?;
    let session = want.session.filter(|_| snapshot.affinity == Affinity::Session);
    let mut plan = Plan {
        table,
        account,
        seats,
        retry: snapshot.retry,
        want: *want,
        asked,
        slots,
        left_out,
        attempts: Vec::with_capacity(2),
        choice: Choice::Only,
        point: session.unwrap_or(0),
        first_key: None,
        home: None,
        again: None,
        resume: None,
        ended: false,
    };
    let ms = table.millis(now);
    plan.refuse_if_all_rest(ms)?;
    match session {
        Some(session) => plan.choose_home(session, ms),
        None => plan.choose_turn(chooser, ms),
    }
    Ok(plan)
}

impl<'a> Plan<'a> {
    /// The provider and the model that were asked last, if all said that they count no tokens.
    pub fn never_counted(&self) -> Option<(&'a Provider, &'a str)> {
        let never = |attempt: &Attempt<'_>| {
            attempt.failure().is_some_and(|failure| failure.class == Class::NotOffered)
        };
        let last = self.attempts.last()?;
        self.attempts.iter().all(never).then_some((last.provider, last.model))
    }

    /// Who is asked now.
    pub fn next(&mut self, now: Instant) -> Next<'a> {
        let ms = self.table.millis(now);
        if self.ended {
            return self.exhausted(Why::Client, ms);
        }
        if self.attempts.len() >= usize::try_from(self.retry.attempts.max(1)).unwrap_or(usize::MAX) {
            return self.exhausted(Why::Attempts, ms);
        }
        if let Some(candidate) = self.free(ms) {
            return Next::Try(candidate);
        }
        if let Some((slot, key)) = self.again.filter(|&(slot, key)| self.is_alone(slot, key, ms)) {
            return self.once_more(slot, key, now);
        }
        match self.least_reluctant(ms) {
            Some((slot, key)) => {
                let probe = self.seat(slot).and_then(|s| s.health.probe());
                self.give(slot, key, probe, ms)
            }
            None if self.attempts.iter().any(|a| a.class() == Some(Class::Overflow)) => {
                self.exhausted(Why::Overflow, ms)
            }
            None => self.exhausted(Why::Asked, ms),
        }
    }

    /// The attempt failed: notes what rests, and whether the same may be asked again.
    pub fn failed(&mut self, candidate: &Candidate<'a>, failure: &Failure, now: Instant) {
        let ms = self.table.millis(now);
        self.settle(candidate, Outcome::Failed(*failure));
        self.resume = None;
        self.again = None;
        self.note(candidate, failure, ms);
        if !failure.class.may_move() {
            self.ended = true;
            return;
        }
        let slot = candidate.slot;
        match (rested(failure.class), failure.class) {
            (Some(Cause::Broken), _) | (None, Class::Conflict) => {
                self.set(slot, State::Failed);
                self.again = Some((slot, candidate.key));
            }
            (Some(Cause::Limit), _) => {
                self.set_if_spent(slot, State::Failed);
                self.again = Some((slot, candidate.key));
            }
            (Some(Cause::Refused), _) => self.set_if_spent(slot, State::Hopeless),
            (_, Class::Overflow) => self.only_larger_than(slot, failure.length),
            (Some(Cause::Model), _) | (_, Class::NotOffered | Class::Loop | Class::Unable) => {
                self.set(slot, State::Hopeless);
            }
            (None, _) => self.set(slot, State::Failed),
        }
    }

    /// The attempt's answer is good. To be called as soon as that is sure (its first content), not at its end: the probe of
    /// a provider is over then, and the others may come back.
    pub fn succeeded(&mut self, candidate: &Candidate<'a>, now: Instant) {
        self.settle(candidate, Outcome::Ok);
        let (Some(seat), Some(slot)) = (self.seat(candidate.slot), self.slots.get(candidate.slot)) else {
            return;
        };
        let key = candidate.key.and_then(|k| seat.keys.get(k));
        let model = if seat.health.no_model_rests() { 0 } else { hash(slot.model) };
        seat.health.succeeded(key.map(Key::noted), model, candidate.since);
        if let Some(home) = self.home {
            self.remember(home, key.map_or(seat.member.tag, |k| k.member.tag), self.table.millis(now));
        }
    }

    /// The attempt failed over one field or signature, and the caller has mended the request: the same candidate for one
    /// more attempt, or `None` where attempts are used up. `remember` are repairs for this provider and model from now on
    /// (0: this request only).
    pub fn repaired(
        &mut self,
        candidate: Candidate<'a>,
        failure: &Failure,
        remember: u64,
        now: Instant,
    ) -> Option<Candidate<'a>> {
        let ms = self.table.millis(now);
        self.settle(&candidate, Outcome::Failed(*failure));
        if let Some(seat) = self.seat(candidate.slot) {
            seat.health.repaired(hash(candidate.model), remember, ms);
        }
        if self.attempts.len() >= usize::try_from(self.retry.attempts).unwrap_or(usize::MAX) {
            self.ended = true;
            return None;
        }
        let repairs = candidate.repairs | remember;
        let attempt = self.open(candidate.slot, candidate.key)?;
        Some(Candidate { attempt, repairs, since: ms, ..candidate })
    }

    /// Every attempt so far, in order.
    pub fn attempts(&self) -> &[Attempt<'a>] {
        &self.attempts
    }

    /// The text of `x-pointsman-attempts`.
    pub fn attempts_text(&self) -> String {
        attempts_text(&self.attempts)
    }

    /// The same, appended to a text.
    pub fn write_attempts(&self, out: &mut String) {
        write_attempts(&self.attempts, out);
    }

    /// Who is not asked or was skipped, with the reason.
    pub fn left_out(&self) -> &[LeftOut<'a>] {
        &self.left_out
    }

    /// The model's name, resolved.
    pub fn asked(&self) -> &Asked<'a> {
        &self.asked
    }

    /// How the first provider was chosen.
    pub fn choice(&self) -> Choice {
        self.choice
    }

    /// Everyone who may be asked, the first choice in front, each with the model that it is asked for.
    pub fn order(&self) -> impl Iterator<Item = (&'a Provider, &'a str)> {
        self.slots.iter().filter_map(|s| Some((self.account.providers.get(s.at)?, s.model)))
    }

    /// How many of [`Self::order`] share the first choice by weight; the others only follow in failover.
    pub fn sharing(&self) -> usize {
        let first = self.slots.first().map(|s| s.tier);
        self.slots.iter().take_while(|s| Some(s.tier) == first).count()
    }

    // ---- The next one ----

    /// The next one that does not rest: another key of the last one before the others.
    fn free(&mut self, ms: u64) -> Option<Candidate<'a>> {
        let last = self.attempts.last().map(|a| a.slot);
        let others = (0..self.slots.len()).filter(|&i| Some(i) != last);
        for slot in last.into_iter().chain(others) {
            if self.slots.get(slot).is_none_or(|s| s.state != State::Open)
                || self.obstacle(slot, ms).is_some()
            {
                continue;
            }
            let (Some(With(key)), Some(seat)) = (self.pick_key(slot, ms), self.seat(slot)) else { continue };
            let probe = match seat.health.standing(ms) {
                Standing::Free => None,
                // Another request may have been quicker.
                Standing::Suspect | Standing::Busy | Standing::Resting(_) => match seat.health.probe() {
                    Some(probe) => Some(probe),
                    None => continue,
                },
            };
            return self.candidate(slot, key, probe, ms);
        }
        None
    }

    /// Waits for the only one that is left, then asks it again.
    fn once_more(&mut self, slot: usize, key: Option<usize>, now: Instant) -> Next<'a> {
        let asked = self.attempts.last().and_then(|a| a.failure()?.retry_after).filter(|a| !a.is_zero());
        if asked.is_some_and(|a| a > self.retry.max_wait) {
            return self.exhausted(Why::TooLong, self.table.millis(now));
        }
        let resume = self.resume.or_else(|| now.checked_add(asked.unwrap_or_else(|| self.backoff(slot))));
        let left = resume.map_or(Duration::ZERO, |r| r.saturating_duration_since(now));
        if !left.is_zero() {
            self.resume = resume;
            return Next::Wait(left);
        }
        self.resume = None;
        let ms = self.table.millis(now);
        let probe = self.seat(slot).and_then(|s| s.health.probe());
        // No key twice, as long as there is another one.
        let With(key) = self.pick_key(slot, ms).unwrap_or(With(key));
        self.give(slot, key, probe, ms)
    }

    /// 0.5 s, 1 s, 2 s and so on, at most `retry.max_wait`.
    fn backoff(&self, slot: usize) -> Duration {
        let failures = self.attempts.iter().filter(|a| a.slot == slot).count();
        let doubled = u32::try_from(failures.saturating_sub(1)).map_or(MOST_DOUBLED, |n| n.min(MOST_DOUBLED));
        FIRST_BACKOFF.saturating_mul(1 << doubled).min(self.retry.max_wait)
    }

    /// Whether nobody else may be asked: neither another provider nor another key of this one. Those that rest until a
    /// time that they named do not count, nor those that another try cannot help; those that failed in this request do,
    /// so that two that are down are not asked in turns.
    fn is_alone(&self, slot: usize, key: Option<usize>, ms: u64) -> bool {
        let is_out = |i: usize| match self.slots.get(i).map(|s| s.state) {
            None | Some(State::Hopeless) => true,
            Some(State::Failed) => false,
            Some(State::Open) => self.obstacle(i, ms).is_some_and(|r| r.said || r.is_hopeless()),
        };
        let alone = (0..self.slots.len()).all(|i| i == slot || is_out(i));
        alone && (self.is_broken(slot) || self.usable_keys(slot, ms).all(|k| Some(k) == key))
    }

    /// Whether it was no matter of the key.
    fn is_broken(&self, slot: usize) -> bool {
        self.attempts.last().is_some_and(|a| a.slot == slot && a.class() != Some(Class::RateLimit))
    }

    /// Keys that were asked in this request and not refused, or were not asked and do not rest.
    fn usable_keys(&self, slot: usize, ms: u64) -> impl Iterator<Item = usize> {
        let usable = move |&(at, key): &(usize, &Key)| {
            let mut own = self.attempts.iter().filter(|a| a.slot == slot && a.key == Some(at)).peekable();
            match own.peek() {
                Some(_) => !own.any(|a| matches!(a.class(), Some(Class::Credential | Class::Money))),
                None => self.seat(slot).is_some_and(|s| self.key_rest(slot, s, key, ms).is_none()),
            }
        };
        self.keys(slot).filter(usable).map(|(at, _)| at)
    }

    /// When all rest: the one whose rest a request would rather break. After the first attempt only one that did not
    /// name the end of its rest and is not hopeless.
    fn least_reluctant(&self, ms: u64) -> Option<(usize, Option<usize>)> {
        let fresh = self.attempts.is_empty();
        let resting = (0..self.slots.len()).filter_map(|slot| {
            let open = self.slots.get(slot).is_some_and(|s| s.state == State::Open);
            let rest = self.obstacle(slot, ms).filter(|r| open && (fresh || !(r.said || r.is_hopeless())))?;
            Some((slot, self.pick_resting_key(slot, ms)?.0, rest))
        });
        resting.min_by_key(|(_, _, rest)| rest.reluctance()).map(|(slot, key, _)| (slot, key))
    }

    fn give(&mut self, slot: usize, key: Option<usize>, probe: Option<Probe<'a>>, ms: u64) -> Next<'a> {
        match self.candidate(slot, key, probe, ms) {
            Some(candidate) => Next::Try(candidate),
            None => self.exhausted(Why::Asked, ms),
        }
    }

    fn candidate(
        &mut self,
        slot: usize,
        key: Option<usize>,
        probe: Option<Probe<'a>>,
        ms: u64,
    ) -> Option<Candidate<'a>> {
        let attempt = self.open(slot, key)?;
        let Attempt { provider, credential, model, .. } = *self.attempts.get(attempt)?;
        Some(Candidate {
            provider,
            credential,
            model,
            renamed: model != self.asked.named,
            context_1m: self.slots.get(slot).is_some_and(|s| s.context_1m),
            repairs: self.repairs(slot, model, ms),
            attempt,
            slot,
            key,
            since: ms,
            probe,
        })
    }

    fn repairs(&self, slot: usize, model: &str, ms: u64) -> u64 {
        let health = self.seat(slot).map(|s| &s.health).filter(|h| !h.no_repairs());
        health.map_or(0, |h| h.repairs(hash(model), ms))
    }

    fn open(&mut self, slot: usize, key: Option<usize>) -> Option<usize> {
        let provider = self.provider(slot)?;
        let credential = key.and_then(|k| provider.credentials.get(k));
        let model = self.slots.get(slot)?.model;
        self.attempts.push(Attempt { provider, credential, model, outcome: Outcome::Open, slot, key });
        Some(self.attempts.len() - 1)
    }

    fn exhausted(&self, why: Why, ms: u64) -> Next<'a> {
        let open = |&at: &usize| self.slots.get(at).is_some_and(|s| s.state == State::Open);
        let said =
            |at| self.obstacle(at, ms).filter(|rest| rest.said).map(|rest| rest.until.saturating_sub(ms));
        let resting = (0..self.slots.len()).filter(open).filter_map(said).min();
        Next::Exhausted(Exhausted::new(why, &self.attempts, resting.map(Duration::from_millis)))
    }

    // ---- After an attempt ----

    fn settle(&mut self, candidate: &Candidate<'a>, outcome: Outcome) {
        if let Some(attempt) = self.attempts.get_mut(candidate.attempt) {
            attempt.outcome = outcome;
        }
    }

    fn note(&self, candidate: &Candidate<'a>, failure: &Failure, ms: u64) {
        if let Some(seat) = self.seat(candidate.slot) {
            let key = candidate.key.and_then(|k| seat.keys.get(k));
            seat.health.failed(key.map(Key::noted), hash(candidate.model), failure, candidate.since, ms);
        }
    }

    fn set(&mut self, slot: usize, state: State) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.state = state;
        }
    }

    fn set_if_spent(&mut self, slot: usize, state: State) {
        if self.untried(slot).next().is_none() {
            self.set(slot, state);
        }
    }

    /// The conversation did not fit: only models whose window is known to be larger stay in the choice. What the provider
    /// told counts for more than what is known of its model: a server may offer less than the model could.
    fn only_larger_than(&mut self, small: usize, told: Length) {
        let known = self.want.window;
        let full = told.limit.or_else(|| self.slots.get(small)?.window(known));
        self.set(small, State::Hopeless);
        for at in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(at).filter(|s| s.state != State::Hopeless) else { continue };
            let reason = match slot.window(known) {
                None => Reason::WindowUnknown,
                Some(window) if told.needed.is_some_and(|needed| window < needed) => Reason::Window(window),
                Some(window) if full.is_some_and(|full| window <= full) => Reason::NoLarger(window),
                Some(_) => continue,
            };
            slot.state = State::Hopeless;
            if let Some(provider) = self.provider(at) {
                self.left_out.push(LeftOut { provider: &provider.id, reason });
            }
        }
    }
}

const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// Doubling further passes every sensible `retry.max_wait`.
const MOST_DOUBLED: u32 = 16;
