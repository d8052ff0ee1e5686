//! What is looked at while an upstream is awaited: whether the client is still there, whether a deadline is over, whether
//! a keep-alive is due.
//!
//! One place for all waits of a request, called at every tick and while bytes come. Reads and writes no upstream.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::attempt::Stop;
use super::story::Story;
use crate::clock;
use crate::config::snapshot::Timeouts;
use crate::edge::Call;
use crate::error::{Class, Error, Kind, Stage};
use crate::gate::{Gate, Step};
use crate::limits::TICK;
use crate::reply;
use crate::wire::{Dialect, fault};

/// Why a wait ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The client went away.
    Gone,
    /// A deadline of the attempt.
    Late(Class),
    /// The gateway ends, and the time for what was open is over.
    Ending,
}

impl Over {
    /// Which deadline it was; anything else ends the whole request.
    pub fn late(self) -> Result<Class, Stop> {
        match self {
            Self::Late(class) => Ok(class),
            Self::Gone => Err(Stop::Gone),
            Self::Ending => {
                let message = "the gateway was stopped before this request was done; send it again";
                Err(Stop::Refused(Error::new(Stage::Relay, Kind::Unavailable, message)))
            }
        }
    }
}

/// The deadlines of one attempt.
#[derive(Debug, Clone)]
pub struct Patience {
    limits: Timeouts,
    streams: bool,
    begun: Instant,
    /// When the request was sent, or a byte last came; `None`: still connecting, which has a deadline of its own.
    last: Cell<Option<Instant>>,
    /// Whether any byte of the body came.
    heard: bool,
    /// Whether the answer was committed.
    committed: bool,
}

impl Patience {
    /// An attempt begins. A whole answer is bounded by its total time only; a stream by the time to its first byte, by
    /// silences, and until its first content by the total time as well.
    pub fn new(limits: Timeouts, streams: bool) -> Self {
        let now = clock::now();
        Self { limits, streams, begun: now, last: Cell::new(None), heard: false, committed: false }
    }

    /// Longest time that dialling may take.
    pub fn connect(&self) -> Duration {
        self.limits.connect
    }

    /// The request is about to be sent.
    pub fn sent(&self) {
        if self.streams {
            self.last.set(Some(clock::now()));
        }
    }

    /// Bytes of the answer's body came.
    pub fn heard(&mut self, now: Instant) {
        self.heard = true;
        self.last.set(Some(now));
    }

    /// The answer is committed: a stream may now take its time.
    pub fn committed(&mut self) {
        self.committed = true;
    }

    /// The deadline that is over, if one is.
    fn over(&self, now: Instant) -> Option<Class> {
        let since = |then: Instant| now.saturating_duration_since(then);
        if since(self.begun) >= self.limits.total && !(self.streams && self.committed) {
            return Some(Class::Total);
        }
        let silent = self.last.get().map_or(Duration::ZERO, since);
        match (self.streams, self.heard) {
            (true, false) if silent >= self.limits.first_byte => Some(Class::FirstByte),
            (true, true) if silent >= self.limits.idle => Some(Class::Idle),
            _ => None,
        }
    }
}

/// The client's side of a wait.
pub struct Watch<'w, 'c> {
    /// What the client speaks.
    pub client: Dialect,
    /// The client.
    pub call: &'w mut Call<'c>,
    /// The story so far.
    pub story: &'w mut Story,
    /// When the answer is committed. `None`: the client wants a whole answer, and no keep-alive can be sent.
    pub gate: Option<Gate>,
    /// The gateway ends now.
    ending: &'w AtomicBool,
    looked: Instant,
}

impl<'w, 'c> Watch<'w, 'c> {
    /// Over a client that wants its answer streamed if there is a gate.
    pub fn new(
        client: Dialect,
        call: &'w mut Call<'c>,
        story: &'w mut Story,
        gate: Option<Gate>,
        ending: &'w AtomicBool,
        now: Instant,
    ) -> Self {
        Self { client, call, story, gate, ending, looked: now }
    }

    /// A tick went by without a byte. `between`: a keep-alive may stand here.
    pub fn tick(&mut self, patience: &Patience, between: bool) -> Result<(), Over> {
        self.look_round(clock::now(), patience, between)
    }

    /// Bytes came. Looks round seldom enough to cost nothing, and often enough that bytes which trickle in without end
    /// outlast no deadline and no client.
    pub fn busy(&mut self, now: Instant, patience: &Patience, between: bool) -> Result<(), Over> {
        if now.saturating_duration_since(self.looked) < TICK / 2 {
            return Ok(());
        }
        self.look_round(now, patience, between)
    }

    fn look_round(&mut self, now: Instant, patience: &Patience, between: bool) -> Result<(), Over> {
        self.look(now)?;
        if let Some(class) = patience.over(now) {
            return Err(Over::Late(class));
        }
        self.silence(between)
    }

    /// Waits, for the sake of a provider that is to be left alone for `time`.
    pub fn rest(&mut self, time: Duration) -> Result<(), Stop> {
        let until = clock::now() + time;
        loop {
            let looked = self.look(clock::now()).and_then(|()| self.silence(true));
            if let Err(over) = looked {
                // No attempt is under way, so it is no attempt's deadline.
                return over.late().map(drop);
            }
            let left = until.saturating_duration_since(clock::now());
            if left.is_zero() {
                return Ok(());
            }
            crate::runtime::home::wait(self.call.home(), left.min(TICK));
        }
    }

    /// Bytes of a committed stream went to the client at `now`.
    pub fn passed(&mut self, now: Instant) {
        let elapsed = self.story.at(now);
        if let Some(gate) = &mut self.gate {
            gate.passed(elapsed);
        }
    }

    fn look(&mut self, now: Instant) -> Result<(), Over> {
        self.looked = now;
        if self.ending.load(Ordering::Relaxed) {
            return Err(Over::Ending);
        }
        if self.call.is_gone() { Err(Over::Gone) } else { Ok(()) }
    }

    fn silence(&mut self, between: bool) -> Result<(), Over> {
        let elapsed = self.story.elapsed();
        let Some(gate) = &mut self.gate else { return Ok(()) };
        match gate.silence(elapsed, between) {
            Step::HeadAndPing => {
                self.call.begin(200, &reply::early_lines(&self.story.way()));
                self.story.answered(200, 0);
                self.ping()
            }
            Step::Ping => self.ping(),
            Step::Hold | Step::Commit { .. } => Ok(()),
        }
    }

    fn ping(&mut self) -> Result<(), Over> {
        self.call.piece(fault::keep_alive(self.client)).map_err(|_| Over::Gone)
    }
}
