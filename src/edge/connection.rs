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
use std::time::{Duration, Instant};

use super::call::{Call, End};
use super::head::{self, Head};
use super::{Service, Shared};
use crate::clock;
use crate::error::{Error, Kind, Stage};
use crate::limits::{CLIENT_STALL, HEAD_DEADLINE, IDLE_TICK, KEEP_ALIVE, TICK};
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
        let (mut first_byte, mut idle_since): (Option<Instant>, Option<Instant>) = (None, None);
        loop {
            if searched == 0 {
                self.skip_empty_lines();
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
            if searched > 0 && first_byte.is_none() {
                first_byte = Some(clock::now());
            }
            match self.line.fill(&mut self.window, IDLE_TICK) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if is_tick(&error) => match first_byte {
                    Some(began) if began.elapsed() > HEAD_DEADLINE => {
                        let late = "the request's head did not come in time";
                        return Some(Err(Error::new(Stage::Edge, Kind::Timeout, late)));
                    }
                    None if shared.is_draining()
                        || idle_since.get_or_insert_with(clock::now).elapsed() > KEEP_ALIVE =>
                    {
                        return None;
                    }
                    Some(_) | None => {}
                },
                Err(_) => return None,
            }
            if first_byte.is_some_and(|began| began.elapsed() > HEAD_DEADLINE) {
                let late = "the request's head did not come in time";
                return Some(Err(Error::new(Stage::Edge, Kind::Timeout, late)));
            }
        }
    }

    /// Empty lines before a request are ignored (RFC 9112 section 2.2).
    fn skip_empty_lines(&mut self) {
        while self.window.rest().starts_with(b"\r\n") {
            self.window.consume(2);
        }
    }

    /// Answers what could not be read as a request, and closes.
    fn refuse<S: Service>(mut self, shared: &Shared<S>, error: &Error) {
        let answer = shared.service.refusal(error);
        if self.write(&mut [IoSlice::new(&answer)]).is_ok() {
            self.linger();
        }
    }

    /// Reads and drops what is still on its way, for a moment.
    fn linger(mut self) {
        self.line.finish();
        let deadline = clock::now() + LINGER;
        let mut dropped = 0;
        while clock::now() < deadline && dropped < LINGER_BYTES {
            match self.line.fill(&mut self.window, TICK) {
                Ok(0) => return,
                Ok(n) => {
                    dropped += n;
                    self.window.consume(n);
                }
                Err(error) if is_tick(&error) => {}
                Err(_) => return,
            }
        }
    }
}

/// Long enough for what is in flight; a client that goes on sending is cut.
const LINGER: Duration = Duration::from_secs(1);
/// As above, in bytes.
const LINGER_BYTES: usize = 64 * 1024 * 1024;
