//! Sessions that failover moved: where they stay, and until when.
//!
//! ```text
//!            another one answered                     cache over AND a new user turn
//!   At home ──────────────────────▶ Moved(to, until) ────────────────────────────────▶ At home
//!                                     │        ▲
//!                                     └────────┘ each answer there: until = now + lifetime of the prompt cache
//! ```
//!
//! A session's home is what [`super::select::rendezvous`] says, so only the moved ones need memory: one fixed table of
//! [`limits::MOVED_SESSIONS`] that may forget, shared by all workers and kept across reloads. A forgotten session goes
//! home early and pays one cold prompt cache; nothing else is lost.
//!
//! Reads no clock: milliseconds are passed in.

use super::lossy::Lossy;
use crate::limits;

/// The moved sessions of the process.
#[derive(Debug)]
pub struct Moves(Lossy);

impl Default for Moves {
    fn default() -> Self {
        Self(Lossy::new(limits::MOVED_SESSIONS))
    }
}

impl Moves {
    /// Whether no session was ever moved.
    pub fn is_empty(&self) -> bool {
        self.0.is_untouched()
    }

    /// The tag of the provider and key where a session stays, if it was moved and is not to return yet. One that is due
    /// to return is forgotten here.
    pub fn stays(&self, session: u64, new_turn: bool, now: u64) -> Option<u64> {
        if self.0.is_untouched() {
            return None;
        }
        let found = self.0.get(session)?;
        if new_turn && found.until <= now {
            self.0.remove(session);
            return None;
        }
        Some(found.value)
    }

    /// The session was answered away from home, by the provider and key with this tag: it stays there until `until`.
    pub fn moved(&self, session: u64, target: u64, until: u64) {
        self.0.put(session, target, until);
    }

    /// The session was answered at home.
    pub fn at_home(&self, session: u64) {
        if !self.0.is_untouched() {
            self.0.remove(session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Moves;

    #[test]
    fn a_moved_session_returns_at_a_new_turn_once_its_cache_is_over() {
        let moves = Moves::default();
        assert_eq!(moves.stays(5, true, 0), None);
        moves.moved(5, 77, 300_000);
        for (new_turn, now, expected) in [
            (true, 299_999, Some(77)),
            (false, 300_000, Some(77)),
            (true, 300_000, None),
            (false, 300_001, None),
        ] {
            assert_eq!(moves.stays(5, new_turn, now), expected, "new turn {new_turn} at {now}");
        }
    }

    #[test]
    fn an_answer_at_home_forgets_the_move() {
        let moves = Moves::default();
        moves.moved(5, 77, 300_000);
        moves.at_home(5);
        assert_eq!(moves.stays(5, false, 1), None);
    }
}
