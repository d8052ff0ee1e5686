//! The life of one client connection.
//!
//! ```text
//!   Idle ──bytes──▶ Reading the head ──whole──▶ Serving ──answered, keep-alive──▶ Idle
//!     │ keep-alive over, drain     │ malformed, too slow      │ answered, to be closed
//!     ▼                            ▼                          ▼
//!   Closed ◀───────────────────── refused ◀──────────────── Lingering (reads what is still on its way)
//! ```
//!
//! One coroutine does all of it. A panic while serving ends that request: the client gets a 500 if nothing was sent
//! yet, and the connection is closed.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::call::{Call, End};
use super::head::{self, Head};
use super::{Service, Shared};
use crate::clock;
use crate::error::{Error, Kind, Stage};
use crate::limits::{
    CLIENT_STALL, HEAD_DEADLINE, IDLE_TICK, KEEP_ALIVE, LINGER, LINGER_BYTES, LINGER_IDLE, MAX_EMPTY_LINES,
    TICK,
};
use crate::runtime::buffer::Window;
use crate::runtime::line::is_tick;
use crate::runtime::{Home, Line};

/// A client connection at home.
pub struct Connection {
    pub(super) line: Line,
    /// Bytes that came and belong to no request yet.
    pub(super) window: Window,
    pub(super) peer: SocketAddr,
    /// When the current request's head was whole.
    pub(super) received: Instant,
}

impl Connection {
    pub(super) fn new(line: Line, peer: SocketAddr) -> Self {
        let window = Window::new(line.home());
        Self { line, window, peer, received: clock::now() }
    }

    pub(super) fn home(&self) -> &'static Home {
        self.line.home()
    }

    /// Writes all; a client that reads nothing for [`CLIENT_STALL`] counts as gone.
    pub(super) fn write(&mut self, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut ticks = 0;
        self.line.write_all(slices, TICK, &mut || {
            ticks += 1;
            if TICK * ticks > CLIENT_STALL { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
        })
    }

    /// Serves requests until the connection ends.
    pub(super) fn serve<S: Service>(mut self, shared: &Shared<S>) {
        while let Some(head) = self.next_head(shared) {
            let head = match head {
                Ok(head) => head,
                Err(error) => return self.refuse(shared, &error),
            };
            match self.serve_one(shared, head) {
                End::Next if !shared.is_draining() => {}
                End::Next | End::Close => return self.line.finish(),
                End::Linger => return self.linger(),
            }
        }
    }

    fn serve_one<S: Service>(&mut self, shared: &Shared<S>, head: Head) -> End {
        shared.open_requests.fetch_add(1, Ordering::Relaxed);
        let mut call = Call::new(head, self);
        if shared.is_draining() {
            call.close_after();
        }
        let served = catch_unwind(AssertUnwindSafe(|| shared.service.serve(&mut call)));
        if served.is_err() {
            shared.service.panicked(&mut call);
            call.close_after();
        }
        if !call.is_answered() {
            call.cut();
        }
        let end = call.end();
        shared.open_requests.fetch_sub(1, Ordering::Relaxed);
        end
    }

    /// Waits for the next head. `None`: the connection is over.
    fn next_head<S: Service>(&mut self, shared: &Shared<S>) -> Option<Result<Head, Error>> {
        let mut searched = 0;
        let mut patience = Patience::default();
        loop {
            if self.skip_empty_lines(&mut patience) {
                searched = 0;
            }
            if patience.empty_lines > MAX_EMPTY_LINES {
                let many = format!("more than {MAX_EMPTY_LINES} empty lines stand before the request");
                return Some(Err(Error::new(Stage::Edge, Kind::BadRequest, many)));
            }
            match head::end(self.window.rest(), searched) {
                Err(error) => return Some(Err(error)),
                Ok(Some(end)) => {
                    let parsed = head::parse(&self.window.rest()[..end]);
                    self.window.consume(end);
                    self.received = clock::now();
                    return Some(parsed);
                }
                Ok(None) => searched = self.window.rest().len(),
            }
            if searched > 0 || patience.empty_lines > 0 {
                patience.begun.get_or_insert_with(clock::now);
            }
            let waited = match self.line.fill_much(&mut self.window, IDLE_TICK) {
                Ok(0) => return None,
                Ok(_) => false,
                Err(error) if is_tick(&error) => true,
                Err(_) => return None,
            };
            // A head that comes at once asks no clock.
            let asks = waited || patience.begun.is_some();
            if asks && patience.is_over(clock::now(), shared.is_draining()) {
                let late = "the request's head did not come in time";
                return (searched > 0).then(|| Err(Error::new(Stage::Edge, Kind::Timeout, late)));
            }
        }
    }

    /// Empty lines before a request are ignored (RFC 9112 section 2.2), and counted. Whether there was one.
    fn skip_empty_lines(&mut self, patience: &mut Patience) -> bool {
        let before = patience.empty_lines;
        while self.window.rest().starts_with(b"\r\n") {
            self.window.consume(2);
            patience.empty_lines += 1;
        }
        patience.empty_lines > before
    }

    /// Answers what could not be read as a request, and closes.
    fn refuse<S: Service>(mut self, shared: &Shared<S>, error: &Error) {
        let answer = shared.service.refusal(error);
        if self.write(&mut [IoSlice::new(&answer)]).is_ok() {
            self.linger();
        }
    }

    /// Reads and drops what is still on its way: a client that uploads slowly reads the answer only when it is done.
    fn linger(mut self) {
        self.line.finish();
        let begun = clock::now();
        let (mut last, mut dropped) = (begun, 0);
        while dropped < LINGER_BYTES {
            let filled = self.line.fill(&mut self.window, TICK);
            let now = clock::now();
            match filled {
                Ok(0) => return,
                Ok(n) => {
                    dropped += n;
                    self.window.consume(n);
                    last = now;
                }
                Err(error) if is_tick(&error) => {}
                Err(_) => return,
            }
            if now - begun > LINGER || now - last > LINGER_IDLE {
                return;
            }
        }
    }
}

/// How long a head is waited for.
#[derive(Debug, Default)]
struct Patience {
    /// Before the request line.
    empty_lines: usize,
    /// When the first byte came, be it an empty line's: who sends nothing but those holds a connection no longer than who
    /// sends a head byte by byte.
    begun: Option<Instant>,
    /// When nothing had come yet.
    idle: Option<Instant>,
}

impl Patience {
    fn is_over(&mut self, now: Instant, draining: bool) -> bool {
        match self.begun {
            Some(begun) => now - begun > HEAD_DEADLINE,
            None => draining || now - *self.idle.get_or_insert(now) > KEEP_ALIVE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Patience;
    use crate::clock;
    use crate::limits::{HEAD_DEADLINE, KEEP_ALIVE, TICK};

    #[test]
    fn a_head_has_its_time_from_the_first_byte_on_and_an_idle_connection_has_more() {
        let start = clock::now();
        let mut idle = Patience::default();
        assert!(!idle.is_over(start, false));
        assert!(!idle.is_over(start + KEEP_ALIVE, false));
        assert!(idle.is_over(start + KEEP_ALIVE + TICK, false));
        assert!(idle.is_over(start, true));
        let mut begun = Patience { begun: Some(start), empty_lines: 1, idle: None };
        assert!(!begun.is_over(start + HEAD_DEADLINE, true));
        assert!(begun.is_over(start + HEAD_DEADLINE + TICK, false));
    }
}
