//! What is told of one request: the record as it grows, and the clock that all its times are measured by.
//!
//! Holds ids, names, counts and times; no secret and no content. Judges nothing.

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::auth::Caller;
use crate::clock;
use crate::edge::Call;
use crate::edge::routes::Surface;
use crate::error::{Error, Failure};
use crate::log::{Record, Text};
use crate::reply::Way;
use crate::route::{Attempt, Plan};
use crate::wire::Meter;

/// The story of one request.
pub struct Story {
    surface: Surface,
    record: Box<Record>,
    received: Instant,
    /// When the request was read to its last byte.
    whole: Instant,
}

impl Story {
    /// Begins with a request's head, on an empty record.
    pub fn begin(
        mut record: Box<Record>,
        call: &Call<'_>,
        id: impl FnOnce(&mut String),
        surface: Surface,
        which: &'static str,
    ) -> Self {
        let received = call.received();
        record.t_recv = clock::unix_micros();
        record.surface = which;
        record.usage_src = "none";
        record.write(Text::Rid, id);
        for (which, name) in [(Text::Agent, "x-claude-code-agent-id"), (Text::Tags, "x-pointsman-tags")] {
            if let Some(value) = call.head.get(name) {
                record.set(which, value);
            }
        }
        Self { surface, record, received, whole: received }
    }

    /// Our id for the request.
    pub fn id(&self) -> &str {
        self.record.get(Text::Rid)
    }

    /// Time since the request was received.
    pub fn elapsed(&self) -> Duration {
        self.at(clock::now())
    }

    /// The same at a moment.
    pub fn at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.received)
    }

    /// Who asks.
    pub fn caller(&mut self, caller: &Caller) {
        self.record.set(Text::Key, caller.key());
        let whose =
            [(Text::Team, caller.team()), (Text::Customer, caller.customer()), (Text::Owner, caller.owner())];
        for (which, id) in whose {
            if let Some(id) = id {
                self.record.set(which, id);
            }
        }
    }

    /// What is asked: the body is whole.
    pub fn asked(&mut self, model: &str, stream: bool, session: Option<&str>, bytes: usize) {
        self.record.set(Text::Asked, model);
        self.record.set(Text::Session, session.unwrap_or_default());
        self.record.stream = stream;
        self.record.bytes_in = bytes as u64;
    }

    /// The request's last byte was read: from here on the gateway's own time counts. Tells when that was.
    pub fn body_is_whole(&mut self) -> Instant {
        self.whole = clock::now();
        self.whole
    }

    /// When the request was received, in seconds of Unix time.
    pub fn unix_seconds(&self) -> i64 {
        i64::try_from(self.record.t_recv / 1_000_000).unwrap_or(i64::MAX)
    }

    /// An attempt is about to be sent.
    pub fn sending(&mut self) {
        let now = clock::now();
        self.record.d_up = clock::micros(self.at(now)).max(1);
        if self.record.overhead_us == 0 {
            self.record.overhead_us = clock::micros(now.saturating_duration_since(self.whole)).max(1);
        }
        self.record.d_byte = 0;
    }

    /// A byte of the attempt's answer came.
    pub fn byte(&mut self) {
        if self.record.d_byte == 0 {
            self.record.d_byte = clock::micros(self.elapsed()).max(1);
        }
    }

    /// The first content came.
    pub fn content(&mut self) {
        self.record.d_token = clock::micros(self.elapsed()).max(1);
    }

    /// The id that the upstream gave its answer.
    pub fn upstream_id(&mut self, id: Option<&str>) {
        self.record.set(Text::UpstreamRid, id.unwrap_or_default());
    }

    /// What was lost on the way to the upstream that is asked now; empty: nothing.
    pub fn loss(&mut self, loss: &str) {
        self.record.set(Text::Loss, loss);
    }

    /// The names of what was lost.
    pub fn lost(&self) -> &str {
        self.record.get(Text::Loss)
    }

    /// How the request was routed so far.
    pub fn plan(&mut self, plan: &Plan<'_>) {
        self.record.write(Text::Attempts, |out| plan.write_attempts(out));
        if !plan.left_out().is_empty() {
            self.record.write(Text::LeftOut, |out| {
                for (place, left) in plan.left_out().iter().enumerate() {
                    let line = if place > 0 { "\n" } else { "" };
                    // Writing to a String cannot fail.
                    let _ = write!(out, "{line}{}: {}", left.provider, left.reason);
                }
            });
        }
        if let Some(last) = plan.attempts().last() {
            self.asked_of(last);
        }
    }

    /// Whose answer the client gets.
    pub fn asked_of(&mut self, attempt: &Attempt<'_>) {
        self.record.set(Text::Provider, &attempt.provider.id);
        self.record.set(Text::Credential, attempt.credential.map_or("", |c| &c.id));
        self.record.set(Text::Model, attempt.model);
    }

    /// What the head of an answer says of its way.
    pub fn way(&self) -> Way<'_> {
        Way {
            surface: self.surface,
            id: self.id(),
            provider: self.record.get(Text::Provider),
            model: self.record.get(Text::Model),
            attempts: self.record.get(Text::Attempts),
            loss: self.record.get(Text::Loss),
            overhead_us: self.record.overhead_us,
            retry_after: None,
        }
    }

    /// What the client got: its status and the bytes so far.
    pub fn answered(&mut self, status: u16, bytes: usize) {
        self.record.status = status;
        self.record.bytes_out = bytes as u64;
    }

    /// More bytes for the client.
    pub fn passed(&mut self, bytes: usize) {
        self.record.bytes_out += bytes as u64;
    }

    /// What the answer says of itself; `whole` if it came to its end.
    pub fn meter(&mut self, meter: &Meter, whole: bool) {
        self.record.usage = meter.usage;
        self.record.usage_src = match (meter.counted, whole) {
            (false, _) => "none",
            (true, false) => "partial",
            (true, true) => "final",
        };
        self.record.set(Text::Stop, meter.stop.as_ref().map_or("", |stop| stop.word()));
        self.record.set(Text::Answered, meter.model.as_deref().unwrap_or_default());
    }

    /// A `count_tokens` answer.
    pub fn counted(&mut self, tokens: u64) {
        self.record.usage.input = tokens;
        self.record.usage_src = "final";
    }

    /// A `count_tokens` answer that is an estimate.
    pub fn estimated(&mut self, tokens: u64) {
        self.record.usage.input = tokens;
        self.record.usage_src = "estimated";
    }

    /// Tokens of input as the answer told them at its end, cached or not; `None` if it told none.
    pub fn input_told(&self) -> Option<u64> {
        let usage = &self.record.usage;
        let all = [usage.input, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h];
        let sum = all.into_iter().fold(0, u64::saturating_add);
        (self.record.usage_src == "final" && sum > 0).then_some(sum)
    }

    /// The request was refused; in the middle of an answer that breaks it off.
    pub fn refused(&mut self, error: &Error) {
        if self.record.status == 0 {
            self.record.status = error.kind.status();
        } else {
            self.record.cut_by = "gateway";
        }
        self.record.set(Text::Err, error.stage.word());
    }

    /// The client was told of a provider's failure.
    pub fn failed(&mut self, failure: Failure) {
        self.record.set(Text::Err, failure.class.word());
    }

    /// Who cut the answer.
    pub fn cut_by(&mut self, who: &'static str) {
        self.record.cut_by = who;
    }

    /// The record, now that everything is over.
    pub fn end(mut self) -> Box<Record> {
        self.record.d_end = clock::micros(self.elapsed());
        self.record
    }
}
