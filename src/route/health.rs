//! What rests after a failure, and until when; shared by all workers and kept across reloads.
//!
//! ```text
//!                 failure                        time is over
//!   Free ────────────────────────▶ Resting ────────────────────────▶ Suspect ──▶ the next request is the probe;
//!    ▲                               ▲    ▲                             │         meanwhile it is Busy for the others
//!    │                               │    └─────────────────────────────┘
//!    └───────────── success ─────────┴───────  the probe fails: rests twice as long
//! ```
//!
//! A provider walks these states; a key, a model and a key's share of a model only rest and are free again. The first
//! failure of a rest decides: those of requests that were already under way lengthen it but do not make it grow.
//!
//! | failure | rests | for |
//! |---|---|---|
//! | connection, 5xx, 529, no or unreadable answer | the provider | 1 s doubling to 60 s, or what it says |
//! | 429 | the key, for that model | what it says, else 1 s doubling to 60 s |
//! | credential, money | the key | 5 s doubling to 5 min |
//! | unknown model | that model at that provider | 10 s doubling to 5 min |
//! | client faults, 408, 409, 508, context, `total_timeout` | nothing | |
//!
//! A refusal that does not rest the provider ends its rest: it answers again.
//! "What it says" never counts for more than [`limits::MAX_REST`]. The request path only loads and stores atomics: the
//! [`Registry`]'s lock is taken when a snapshot is loaded. Reads no clock: milliseconds since the registry's epoch are
//! passed in. What is asked next is `plan`'s.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::lossy::Lossy;
use super::select::{hash, mix};
use super::session::Moves;
use crate::config::snapshot::{Credential, Provider};
use crate::error::{Class, Failure};
use crate::limits;

/// Health of every provider and key, by stable name.
#[derive(Debug)]
pub struct Registry {
    epoch: Instant,
    known: Mutex<Known>,
    moves: Moves,
}

#[derive(Debug, Default)]
struct Known {
    /// By [`Provider::stable`] and where it is asked: another base URL starts anew.
    providers: HashMap<(String, u64), Arc<ProviderHealth>>,
    /// By provider and key id and a hash of the secret: a mended key does not wait for the rest of the bad one.
    keys: HashMap<(String, u64), Arc<KeyHealth>>,
}

impl Registry {
    /// An empty registry; `now` becomes the zero of its milliseconds.
    pub fn new(now: Instant) -> Self {
        Self { epoch: now, known: Mutex::default(), moves: Moves::default() }
    }

    /// Milliseconds since the epoch. The first is 1, so that 0 can stand for "never".
    pub fn millis(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.epoch)).saturating_add(1)
    }

    /// The sessions that failover moved.
    pub fn moves(&self) -> &Moves {
        &self.moves
    }

    /// The health of a provider, found or made. Takes the lock: for the building of tables only.
    pub fn provider(&self, provider: &Provider) -> Arc<ProviderHealth> {
        let base = &provider.base;
        let place = mix(mix(hash(&base.host), u64::from(base.port)), hash(&base.path));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.providers.entry((provider.stable.clone(), place)).or_default())
    }

    /// The health of one of a provider's keys, found or made. Takes the lock.
    pub fn key(&self, provider: &Provider, credential: &Credential) -> Arc<KeyHealth> {
        let name = format!("{}\n{}", provider.stable, credential.id);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.keys.entry((name, hash(credential.secret.expose()))).or_default())
    }

    /// Forgets what no table holds any more. Called after a table was built.
    pub fn prune(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.providers.retain(|_, health| Arc::strong_count(health) > 1);
        known.keys.retain(|_, health| Arc::strong_count(health) > 1);
    }
}

/// Why something rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The provider does not work.
    Broken,
    /// The key is at its limit for the model.
    Limit,
    /// The key is refused, or its account has no money.
    Refused,
    /// The provider does not know the model.
    Model,
}

impl Cause {
    /// For people: `rests (…)`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Broken => "it failed",
            Self::Limit => "rate limit",
            Self::Refused => "its key is refused or has no money",
            Self::Model => "it does not know the model",
        }
    }
}

/// A rest that is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    /// Milliseconds.
    pub until: u64,
    /// The provider itself said when to come back.
    pub said: bool,
    /// Why.
    pub cause: Cause,
}

impl Resting {
    /// Which of two rests a request would rather break: one that may be over before its time, then one whose end the
    /// provider named, then one that another try cannot mend; the sooner among equals.
    pub fn reluctance(&self) -> (u8, u64) {
        let rank = match (self.cause, self.said) {
            (Cause::Refused | Cause::Model, _) => 2,
            (_, true) => 1,
            (_, false) => 0,
        };
        (rank, self.until)
    }

    /// Whether another try soon cannot help.
    pub fn is_hopeless(&self) -> bool {
        matches!(self.cause, Cause::Refused | Cause::Model)
    }
}

/// How a provider stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is known against it.
    Free,
    /// Its rest is over and the next request is the probe.
    Suspect,
    /// Its rest is over and a probe is under way.
    Busy,
    /// It rests.
    Resting(Resting),
}

/// Health of one provider.
#[derive(Debug)]
pub struct ProviderHealth {
    rest: Rest,
    /// The serial number of the probe that is under way; 0: none.
    probe: AtomicU64,
    serial: AtomicU64,
    /// Rests of models that it does not know, and of keys for models at their limit.
    models: Lossy,
    /// Repairs per model, see [`ProviderHealth::repairs`].
    repairs: Lossy,
}

impl Default for ProviderHealth {
    fn default() -> Self {
        Self {
            rest: Rest::default(),
            probe: AtomicU64::new(0),
            serial: AtomicU64::new(0),
            models: Lossy::new(MODELS),
            repairs: Lossy::new(REPAIRS),
        }
    }
}

impl ProviderHealth {
    /// How it stands now.
    pub fn standing(&self, now: u64) -> Standing {
        match self.rest.state(now) {
            State::Free => Standing::Free,
            State::Over if self.probe.load(Ordering::Relaxed) == 0 => Standing::Suspect,
            State::Over => Standing::Busy,
            State::Resting { until, said } => {
                Standing::Resting(Resting { until, said, cause: Cause::Broken })
            }
        }
    }

    /// Takes the right to probe; `None` where another request has it.
    pub fn probe(&self) -> Option<Probe<'_>> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
        self.probe.compare_exchange(0, serial, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        Some(Probe { slot: &self.probe, serial })
    }

    /// The rest of a model that it does not know. `model` is a [`hash`] of the name as sent.
    pub fn model_rest(&self, model: u64, now: u64) -> Option<Resting> {
        self.lossy_rest(model, now, Cause::Model)
    }

    /// The rest of a key for a model. `key` is the key's tag.
    pub fn limit_rest(&self, key: u64, model: u64, now: u64) -> Option<Resting> {
        self.lossy_rest(mix(key, model), now, Cause::Limit)
    }

    /// Whether [`Self::model_rest`] and [`Self::limit_rest`] can find anything at all.
    pub fn no_model_rests(&self) -> bool {
        self.models.is_untouched()
    }

    fn lossy_rest(&self, tag: u64, now: u64, cause: Cause) -> Option<Resting> {
        if self.models.is_untouched() {
            return None;
        }
        let found = self.models.get(tag)?;
        (found.until > now).then_some(Resting {
            until: found.until,
            said: Noted::of(found.value).said,
            cause,
        })
    }

    /// Whether [`Self::repairs`] can find anything at all.
    pub fn no_repairs(&self) -> bool {
        self.repairs.is_untouched()
    }

    /// What was repaired for a model, as bits whose meaning is the caller's; 0 for nothing. Forgotten after an hour, so
    /// that a provider that learns a field is asked with it again.
    pub fn repairs(&self, model: u64, now: u64) -> u64 {
        if self.repairs.is_untouched() {
            return 0;
        }
        self.repairs.get(model).filter(|f| f.until > now).map_or(0, |f| f.value)
    }

    /// Remembers repairs beside those already known.
    pub fn repaired(&self, model: u64, bits: u64, now: u64) {
        let all = self.repairs(model, now) | bits;
        if all != 0 {
            self.repairs.put(model, all, now.saturating_add(millis(REPAIR_TTL)));
        }
    }

    /// Takes note of a failed attempt, begun at `since`, with a key (its tag and health) for a model.
    pub fn failed(
        &self,
        key: Option<(u64, &KeyHealth)>,
        model: u64,
        failure: &Failure,
        since: u64,
        now: u64,
    ) {
        let cause = rested(failure.class);
        let rests = cause == Some(Cause::Broken) || (cause == Some(Cause::Refused) && key.is_none());
        if failure.status != 0 && !rests {
            // It answered, if only with a refusal: whatever kept it from answering is over.
            self.works(since);
        }
        match cause {
            Some(Cause::Broken) => self.rest.note(now, &BROKEN, failure.retry_after),
            Some(Cause::Refused) => match key {
                Some((_, key)) => key.rest.note(now, &REFUSED, None),
                None => self.rest.note(now, &REFUSED, None),
            },
            Some(Cause::Limit) => {
                let tag = mix(key.map_or(0, |(tag, _)| tag), model);
                self.note_model(tag, &LIMIT, failure.retry_after, now);
            }
            Some(Cause::Model) => self.note_model(model, &MODEL, None, now),
            None => {}
        }
    }

    fn note_model(&self, tag: u64, pace: &Pace, asked: Option<Duration>, now: u64) {
        let (old, until) =
            self.models.get(tag).map_or((Noted::default(), 0), |f| (Noted::of(f.value), f.until));
        let resting = until > now;
        let earlier = if resting { old.count.saturating_sub(1) } else { old.count };
        let (wait, said) = pace.wait(earlier, asked);
        let end = now.saturating_add(wait);
        let count = if resting { old.count } else { old.count + 1 };
        let said = if end > until { said } else { old.said };
        self.models.put(tag, Noted { at: now, count, said }.packed(), end.max(until));
    }

    /// Takes note of an answer to an attempt that began at `since`.
    pub fn succeeded(&self, key: Option<(u64, &KeyHealth)>, model: u64, since: u64) {
        self.works(since);
        if let Some((_, key)) = key {
            key.rest.clear(since);
        }
        if !self.models.is_untouched() {
            self.forget(model, since);
            self.forget(mix(key.map_or(0, |(tag, _)| tag), model), since);
        }
    }

    fn works(&self, since: u64) {
        if self.rest.clear(since) {
            self.probe.store(0, Ordering::Release);
        }
    }

    /// Ends a rest in the lossy table, unless it began after `since`.
    fn forget(&self, tag: u64, since: u64) {
        if self.models.get(tag).is_some_and(|f| Noted::of(f.value).at <= since) {
            self.models.remove(tag);
        }
    }
}

/// What the lossy table keeps of a rest beside its end, in one word: bit 0 whether the provider named the end, 16 bits for
/// the rests in a row, and above them when the last failure came (milliseconds; the bits last for 4,000 years).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Noted {
    at: u64,
    count: u64,
    said: bool,
}

impl Noted {
    fn of(word: u64) -> Self {
        Self { at: word >> 17, count: (word >> 1) & MOST_COUNTED, said: word & 1 == 1 }
    }

    fn packed(self) -> u64 {
        self.at << 17 | self.count.min(MOST_COUNTED) << 1 | u64::from(self.said)
    }
}

/// Health of one key.
#[derive(Debug, Default)]
pub struct KeyHealth {
    rest: Rest,
}

impl KeyHealth {
    /// Its rest, if it has one.
    pub fn resting(&self, now: u64) -> Option<Resting> {
        match self.rest.state(now) {
            State::Free | State::Over => None,
            State::Resting { until, said } => Some(Resting { until, said, cause: Cause::Refused }),
        }
    }
}

/// The right to be the only request that asks a provider whose rest is over; given back on drop.
#[derive(Debug)]
#[must_use]
pub struct Probe<'a> {
    slot: &'a AtomicU64,
    serial: u64,
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        // A success may have freed the slot already, and another probe may have taken it since: only our own is freed.
        let _ = self.slot.compare_exchange(self.serial, 0, Ordering::Release, Ordering::Relaxed);
    }
}

/// What a failure of a class rests; `None`: nothing.
pub fn rested(class: Class) -> Option<Cause> {
    match class {
        Class::Connect
        | Class::Tls
        | Class::Reset
        | Class::FirstByte
        | Class::Idle
        | Class::Unreadable
        | Class::Overloaded
        | Class::Server => Some(Cause::Broken),
        Class::RateLimit => Some(Cause::Limit),
        Class::Credential | Class::Money => Some(Cause::Refused),
        Class::Model => Some(Cause::Model),
        // A long answer says nothing about the next one; 408, 409 and the context are about this request; who does not
        // count tokens may well answer messages; a loop is the configuration's fault; what one
        // format cannot carry is about this request.
        Class::Total
        | Class::NotOffered
        | Class::Conflict
        | Class::Overflow
        | Class::Loop
        | Class::Field
        | Class::Signature
        | Class::Unable
        | Class::Client => None,
    }
}

/// One rest in atomics. `until > now`: resting; else with `failures > 0`: over, but not proven; else free.
#[derive(Debug, Default)]
struct Rest {
    /// Milliseconds, and in the lowest bit whether the provider named them.
    until: AtomicU64,
    /// Rests in a row without a success.
    failures: AtomicU32,
    /// When the last failure came: an answer to an earlier request proves nothing.
    failed: AtomicU64,
    /// Saves the loads of the others as long as nothing ever failed.
    stained: AtomicBool,
}

enum State {
    Free,
    Over,
    Resting { until: u64, said: bool },
}

impl Rest {
    fn state(&self, now: u64) -> State {
        if !self.stained.load(Ordering::Relaxed) {
            return State::Free;
        }
        let packed = self.until.load(Ordering::Acquire);
        if packed >> 1 > now {
            State::Resting { until: packed >> 1, said: packed & 1 == 1 }
        } else if self.failures.load(Ordering::Relaxed) > 0 {
            State::Over
        } else {
            State::Free
        }
    }

    fn note(&self, now: u64, pace: &Pace, asked: Option<Duration>) {
        let old = self.until.load(Ordering::Acquire);
        let failures = self.failures.load(Ordering::Relaxed);
        let resting = old >> 1 > now;
        let (wait, said) =
            pace.wait(u64::from(if resting { failures.saturating_sub(1) } else { failures }), asked);
        let packed = (now.saturating_add(wait) << 1) | u64::from(said);
        self.failed.fetch_max(now, Ordering::Relaxed);
        self.stained.store(true, Ordering::Relaxed);
        if !resting && self.until.compare_exchange(old, packed, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.failures.store(failures.saturating_add(1), Ordering::Relaxed);
        } else {
            // Another request began this rest: it may become longer, but it does not count twice.
            self.until.fetch_max(packed, Ordering::AcqRel);
        }
    }

    /// Ends the rest if the answer's request began after the last failure; says whether there was anything to end.
    fn clear(&self, since: u64) -> bool {
        if !self.stained.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed) > since {
            return false;
        }
        self.until.store(0, Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
        self.stained.store(false, Ordering::Release);
        true
    }
}

/// How long rests become.
struct Pace {
    first: Duration,
    longest: Duration,
}

impl Pace {
    /// The rest after `failures` earlier ones in milliseconds, and whether the provider named it.
    fn wait(&self, failures: u64, asked: Option<Duration>) -> (u64, bool) {
        match asked.map(|a| millis(a.min(limits::MAX_REST))) {
            Some(asked) if asked > 0 => (asked, true),
            _ => {
                let doubled = millis(self.first).saturating_mul(1 << failures.min(MOST_DOUBLED));
                (doubled.min(millis(self.longest)), false)
            }
        }
    }
}

/// Whole milliseconds, at most `u64::MAX`.
pub(super) fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

const BROKEN: Pace = Pace { first: Duration::from_secs(1), longest: Duration::from_mins(1) };
const LIMIT: Pace = Pace { first: Duration::from_secs(1), longest: Duration::from_mins(1) };
/// A key is not mended within seconds, but a 403 may be a passing one.
const REFUSED: Pace = Pace { first: Duration::from_secs(5), longest: Duration::from_mins(5) };
/// As with keys: a model appears at a release, not within seconds.
const MODEL: Pace = Pace { first: Duration::from_secs(10), longest: Duration::from_mins(5) };

/// Doubling further passes every `longest`.
const MOST_DOUBLED: u64 = 16;
/// As many as fit 16 bits.
const MOST_COUNTED: u64 = 0xFFFF;
/// Rests of models per provider that are remembered at once: a pool of a dozen keys with a handful of models fills a
/// quarter of them, so that no bucket of four overflows.
const MODELS: usize = 256;
/// Models per provider whose repairs are remembered.
const REPAIRS: usize = 16;
const REPAIR_TTL: Duration = Duration::from_hours(1);
