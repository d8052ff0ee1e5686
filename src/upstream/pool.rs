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

impl Idle {
    fn is_fit(&self) -> bool {
        self.since.elapsed() < POOL_AGE && self.line.is_silent()
    }
}

impl Pool {
    /// The connection that was used last, if one is fit for use. Those that are not go to `gone`.
    pub fn take(&mut self, origin: u64, gone: &mut Vec<Line>) -> Option<Line> {
        let (_, lines) = self.idle.iter_mut().find(|(id, _)| *id == origin)?;
        while let Some(idle) = lines.pop() {
            if idle.is_fit() {
                return Some(idle.line);
            }
            gone.push(idle.line);
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

    /// Takes out everything that is too old, was closed by the other end, or belongs to an origin that is not `wanted`
    /// any more.
    #[must_use]
    pub fn sweep(&mut self, wanted: impl Fn(u64) -> bool) -> Vec<Line> {
        let mut gone = Vec::new();
        self.idle.retain_mut(|(origin, lines)| {
            let wanted = wanted(*origin);
            for idle in std::mem::take(lines) {
                if wanted && idle.is_fit() {
                    lines.push(idle);
                } else {
                    gone.push(idle.line);
                }
            }
            wanted
        });
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
