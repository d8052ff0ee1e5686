//! When an answer is committed.
//!
//! A stream's beginning is held back until it shows real content, so that an upstream that dies before that can still be
//! replaced by the next one. When the client has heard nothing for `ping_after`, the head goes out early, with a
//! keep-alive.
//!
//! ```text
//!               content, end, or too much held              the same
//!   Waiting ──────────────────────────────▶ Committed ◀──────────────── HeadSent
//!      │  silence                                                          ▲
//!      └───────────────────────────────────────────────────────────────────┘
//!      a fault in Waiting or HeadSent: the attempt may be replaced (`restart`); in Committed: it may not
//! ```
//!
//! Does no I/O and reads no clock: bytes and elapsed time go in, [`Step`]s come out. Knows no dialect (what counts as
//! content is told by `wire`), and decides nothing about failover (that is `exchange`'s).
//!
//! ```
//! use std::time::Duration;
//! use pointsman::gate::{Gate, Step};
//! let second = Duration::from_secs(1);
//! let mut gate = Gate::new(30 * second);
//! assert_eq!(gate.hear(b"event: message_start\n\n", false, second), Step::Hold);
//! assert_eq!(gate.silence(29 * second, true), Step::Hold);
//! assert_eq!(gate.silence(30 * second, true), Step::HeadAndPing);
//! gate.restart(); // the upstream died; another one is asked
//! assert_eq!(gate.silence(40 * second, true), Step::Ping);
//! assert_eq!(gate.hear(b"event: content_block_delta\n\n", true, 42 * second), Step::Commit { head: false });
//! assert_eq!(gate.take_held(), b"event: content_block_delta\n\n");
//! ```

use std::mem;
use std::time::Duration;

use crate::limits::{GATE_BYTES, PING_EVERY};

/// What is to be done with what was heard, or with silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: bytes are kept, silence is not yet long.
    Hold,
    /// The head is to be sent, without an upstream's name in it, and a keep-alive.
    HeadAndPing,
    /// A keep-alive is to be sent.
    Ping,
    /// The answer is committed: what was held ([`Gate::take_held`]) is to be sent, with the head in front if `head`.
    Commit {
        /// The head did not go out before.
        head: bool,
    },
}

/// The gate of one streamed request, over all its attempts.
#[derive(Debug)]
pub struct Gate {
    state: State,
    /// The beginning of the present attempt's answer, `held.len() <= GATE_BYTES` while not committed.
    held: Vec<u8>,
    ping_after: Duration,
    /// When the client last heard anything, in the caller's time.
    last: Duration,
    /// The last that it heard was a keep-alive: the next one follows sooner.
    pinged: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing has reached the client.
    Waiting,
    /// The head and at least one keep-alive are out; status and headers can no longer change.
    HeadSent,
    /// Content is out: from here on bytes pass straight through.
    Committed,
}

impl Gate {
    /// Before the first attempt. `ping_after` of zero is taken as the shortest time, not as never.
    pub fn new(ping_after: Duration) -> Self {
        Self { state: State::Waiting, held: Vec::new(), ping_after, last: Duration::ZERO, pinged: false }
    }

    /// Whole events came from the upstream at `now`; `content` says whether any so far shows content or ends the answer.
    /// Until the commit.
    pub fn hear(&mut self, bytes: &[u8], content: bool, now: Duration) -> Step {
        self.held.extend_from_slice(bytes);
        if !content && self.held.len() <= GATE_BYTES {
            return Step::Hold;
        }
        let head = self.state == State::Waiting;
        self.state = State::Committed;
        self.passed(now);
        Step::Commit { head }
    }

    /// Bytes went to the client at `now`.
    pub fn passed(&mut self, now: Duration) {
        self.last = now;
        self.pinged = false;
    }

    /// It is `now`, and the client may have heard nothing for long; `between` says that no event is under way, so that a
    /// keep-alive may stand here.
    pub fn silence(&mut self, now: Duration, between: bool) -> Step {
        let patience = if self.pinged { PING_EVERY } else { self.ping_after };
        // What is held goes out behind the keep-alive: only in a committed answer can one stand in the middle of an event.
        let fits = between || self.state != State::Committed;
        if !fits || now.saturating_sub(self.last) < patience {
            return Step::Hold;
        }
        self.last = now;
        self.pinged = true;
        if self.state == State::Waiting {
            self.state = State::HeadSent;
            return Step::HeadAndPing;
        }
        Step::Ping
    }

    /// What was held, for the commit.
    pub fn take_held(&mut self) -> Vec<u8> {
        mem::take(&mut self.held)
    }

    /// What is held.
    pub fn held(&self) -> &[u8] {
        &self.held
    }

    /// The attempt is replaced by another one: what it said is forgotten. Not after the commit.
    pub fn restart(&mut self) {
        debug_assert!(self.state != State::Committed, "a committed answer cannot be replaced");
        self.held.clear();
    }

    /// Whether the head is out, so that a failure can only be an event.
    pub fn head_is_out(&self) -> bool {
        self.state != State::Waiting
    }
}

#[cfg(test)]
mod tests {
    use super::{Gate, Step};
    use crate::limits::GATE_BYTES;
    use std::time::Duration;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_stream_that_shows_nothing_is_held_only_up_to_the_bound() {
        let mut gate = Gate::new(s(30));
        assert_eq!(gate.hear(&vec![b'x'; GATE_BYTES], false, s(1)), Step::Hold);
        assert_eq!(gate.hear(b"x", false, s(2)), Step::Commit { head: true });
        assert_eq!(gate.take_held().len(), GATE_BYTES + 1);
    }

    #[test]
    fn pings_follow_each_other_while_the_upstream_is_silent() {
        let mut gate = Gate::new(s(30));
        let steps: Vec<(u64, Step)> = (0..=60)
            .map(|at| (at, gate.silence(s(at), true)))
            .filter(|(_, step)| *step != Step::Hold)
            .collect();
        assert_eq!(steps, [(30, Step::HeadAndPing), (40, Step::Ping), (50, Step::Ping), (60, Step::Ping)]);
    }

    #[test]
    fn what_is_held_back_does_not_break_the_clients_silence() {
        let mut gate = Gate::new(s(30));
        assert_eq!(gate.hear(b"event: ping\n\n", false, s(29)), Step::Hold);
        assert_eq!(gate.silence(s(30), true), Step::HeadAndPing);
        gate.hear(b"event: ping\n\n", false, s(39));
        assert_eq!(gate.silence(s(40), true), Step::Ping);
        gate.hear(b"content", true, s(41));
        gate.passed(s(50));
        assert_eq!(gate.silence(s(79), true), Step::Hold);
        assert_eq!(gate.silence(s(80), true), Step::Ping);
    }

    #[test]
    fn a_committed_stream_is_pinged_between_events_only() {
        let mut gate = Gate::new(s(30));
        gate.hear(b"content", true, s(1));
        assert_eq!(gate.silence(s(40), false), Step::Hold);
        assert_eq!(gate.silence(s(40), true), Step::Ping);
        assert_eq!(gate.silence(s(41), true), Step::Hold);
    }

    #[test]
    fn what_a_replaced_attempt_said_is_never_sent() {
        let mut gate = Gate::new(s(30));
        gate.hear(b"first", false, s(1));
        gate.restart();
        assert_eq!(gate.hear(b"second", true, s(2)), Step::Commit { head: true });
        assert_eq!(gate.take_held(), b"second");
    }
}
