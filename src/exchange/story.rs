//! What is told of one request: the record as it grows, and the clock that all its times are measured by.
//!
//! Holds ids, names, counts and times; no secret and no content. Judges nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::auth::Caller;
use crate::clock;
use crate::edge::Call;
use crate::error::{Error, Failure};
use crate::log::Record;
use crate::route::Plan;
use crate::wire::Meter;

/// The story of one request.
pub struct Story {
    record: Box<Record>,
    received: Instant,
    /// When the request was read to its last byte.
    whole: Instant,
}

impl Story {
    /// Begins with a request's head.
    pub fn begin(call: &Call<'_>, id: String, surface: &'static str) -> Self {
        let received = call.received();
        let head = &call.head;
        let own = |name: &str| head.get(name).map(str::to_owned);
        let record = Record {
            rid: id,
            t_recv: clock::unix_micros().saturating_sub(clock::micros(received.elapsed())),
            agent: own("x-claude-code-agent-id"),
            tags: own("x-pointsman-tags"),
            surface,
            usage_src: "none",
            ..Record::default()
        };
        Self { record: Box::new(record), received, whole: received }
    }

    /// Our id for the request.
    pub fn id(&self) -> &str {
        &self.record.rid
    }

    /// Time since the request was received.
    pub fn elapsed(&self) -> Duration {
        clock::now().saturating_duration_since(self.received)
    }

    /// Who asks.
    pub fn caller(&mut self, caller: &Caller) {
        let text = |s: &str| Arc::from(s);
        self.record.key = text(caller.key());
        self.record.team = caller.team().map(text);
        self.record.customer = caller.customer().map(text);
        self.record.owner = caller.owner().map(text);
    }

    /// What is asked: the body is whole.
    pub fn asked(&mut self, model: &str, stream: bool, session: Option<&str>, bytes: usize) {
        model.clone_into(&mut self.record.asked);
        self.record.stream = stream;
        self.record.session = session.map(str::to_owned);
        self.record.bytes_in = bytes as u64;
    }

    /// The request's last byte was read: from here on the gateway's own time counts.
    pub fn body_is_whole(&mut self) {
        self.whole = clock::now();
    }

    /// An attempt is about to be sent.
    pub fn sending(&mut self) {
        let now = clock::now();
        self.record.d_up = clock::micros(now.saturating_duration_since(self.received)).max(1);
        if self.record.overhead_us == 0 {
            self.record.overhead_us = clock::micros(now.saturating_duration_since(self.whole)).max(1);
        }
        self.record.d_byte = 0;
    }

    /// Own time up to the first upstream request, in microseconds.
    pub fn overhead_us(&self) -> u64 {
        self.record.overhead_us
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
        self.record.upstream_rid = id.map(str::to_owned);
    }

    /// What was lost on the way to the upstream that is asked now.
    pub fn loss(&mut self, loss: String) {
        self.record.loss = (!loss.is_empty()).then_some(loss);
    }

    /// The names of what was lost; empty: nothing.
    pub fn lost(&self) -> &str {
        self.record.loss.as_deref().unwrap_or("")
    }

    /// How the request was routed so far.
    pub fn plan(&mut self, plan: &Plan<'_>) {
        self.record.attempts = plan.attempts_text();
        self.record.left_out = plan.left_out().iter().map(|l| format!("{}: {}", l.provider, l.reason)).collect();
        if let Some(last) = plan.attempts().last() {
            last.provider.id.clone_into(&mut self.record.provider);
            self.record.credential = last.credential.map(|c| c.id.clone()).unwrap_or_default();
            last.model.clone_into(&mut self.record.model);
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
        self.record.stop = meter.stop.as_ref().map(|stop| stop.word().to_owned());
        self.record.answered = meter.model.as_deref().map(str::to_owned);
    }

    /// A count_tokens answer.
    pub fn counted(&mut self, tokens: u64) {
        self.record.usage.input = tokens;
        self.record.usage_src = "final";
    }

    /// The request was refused.
    pub fn refused(&mut self, error: &Error) {
        self.record.status = error.kind.status();
        self.record.err = Some(format!("{:?}", error.stage).to_ascii_lowercase());
    }

    /// The client was told of a provider's failure.
    pub fn failed(&mut self, failure: Failure) {
        self.record.err = Some(failure.class.word().to_owned());
    }

    /// Who cut the answer.
    pub fn cut_by(&mut self, who: &'static str) {
        self.record.cut_by = Some(who);
    }

    /// The record, now that everything is over.
    pub fn end(mut self) -> Box<Record> {
        self.record.d_end = clock::micros(self.elapsed());
        self.record
    }
}
