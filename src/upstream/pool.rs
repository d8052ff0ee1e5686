//! Idle connections of one worker, by origin; the last one put in is the first one out.
//!
//! Bounded in number and age. Drops no connection while it is locked: what is to be closed is handed back.

use std::time::Instant;

use crate::limits::{POOL_AGE, POOL_IDLE};
use crate::runtime::Line;

/// The pool of one worker.
#[derive(Debug, Default)]
pub struct Pool {
    /// Few origins: a linear search is the fastest map.
    idle: Vec<(u64, Vec<Idle>)>,
}

#[derive(Debug)]
struct Idle {
    line: Line,
    since: Instant,
}

impl Pool {
    /// The connection that was used last, if one is fit for use.
    pub fn take(&mut self, origin: u64) -> Option<Line> {
        let (_, lines) = self.idle.iter_mut().find(|(id, _)| *id == origin)?;
        while let Some(idle) = lines.pop() {
            if idle.line.socket().looks_idle() && idle.since.elapsed() < POOL_AGE {
                return Some(idle.line);
            }
        }
        None
    }

    /// Keeps a connection; returns the one that has to go for it, if any.
    #[must_use]
    pub fn put(&mut self, origin: u64, line: Line) -> Option<Line> {
        let at = self.idle.iter().position(|(id, _)| *id == origin).unwrap_or_else(|| {
            self.idle.push((origin, Vec::new()));
            self.idle.len() - 1
        });
        let lines = &mut self.idle[at].1;
        let oldest = if lines.len() >= POOL_IDLE { Some(lines.remove(0).line) } else { None };
        lines.push(Idle { line, since: Instant::now() });
        oldest
    }

    /// Takes out everything that is too old or was closed by the other end.
    #[must_use]
    pub fn sweep(&mut self) -> Vec<Line> {
        let mut gone = Vec::new();
        for (_, lines) in &mut self.idle {
            for idle in std::mem::take(lines) {
                if idle.line.socket().looks_idle() && idle.since.elapsed() < POOL_AGE {
                    lines.push(idle);
                } else {
                    gone.push(idle.line);
                }
            }
        }
        gone
    }

    /// Idle connections.
    pub fn len(&self) -> usize {
        self.idle.iter().map(|(_, lines)| lines.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
