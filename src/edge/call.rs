//! One request on a connection: its head, its body on demand, and its answer.
//!
//! A [`Call`] reads the body only when asked (so that a refusal costs nothing), answers once, whole or in pieces, and
//! remembers whether the connection can serve another request. It knows no endpoint and chooses no status.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::connection::Connection;
use super::head::{Framing, Head, Method};
use crate::clock;
use crate::error::{Error, Kind, Stage};
use crate::http::{Chunked, Lines, fields::Decimal, status};
use crate::limits::{BODY_DEADLINE, BODY_IDLE, TICK};
use crate::runtime::Home;
use crate::runtime::buffer::SMALL;
use crate::runtime::line::is_tick;

/// The client is gone, or does not read any more: there is nobody to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// A request being served.
pub struct Call<'c> {
    /// Its head; shared, so that it can be read while the answer is written.
    pub head: Arc<Head>,
    conn: &'c mut Connection,
    body: Body,
    answer: Answer,
    keep: bool,
}

/// How much of the request's body was read.
#[derive(Debug, PartialEq, Eq)]
enum Body {
    Unread,
    Whole,
}

/// How far the answer is. `pending` is a head that waits for the first bytes of its body, to go out with them.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    None,
    Streaming {
        pending: Vec<u8>,
        chunked: bool,
    },
    Done,
    /// It ended before its end.
    Cut,
}

impl<'c> Call<'c> {
    pub(super) fn new(head: Head, conn: &'c mut Connection) -> Self {
        let body = if head.framing == Framing::None { Body::Whole } else { Body::Unread };
        let keep = head.keep_alive;
        Self { head: Arc::new(head), conn, body, answer: Answer::None, keep }
    }

    /// Where the connection is served.
    pub fn home(&self) -> &'static Home {
        self.conn.home()
    }

    /// The client's address.
    pub fn peer(&self) -> SocketAddr {
        self.conn.peer
    }

    /// When the head was whole.
    pub fn received(&self) -> Instant {
        self.conn.received
    }

    /// Whether the client has gone away (a FIN counts). One system call.
    pub fn is_gone(&self) -> bool {
        self.conn.line.is_gone()
    }

    /// Whether anything of an answer was given.
    pub fn is_answered(&self) -> bool {
        self.answer != Answer::None
    }

    /// Whether the answer is given in pieces, and its end was not.
    pub fn is_streaming(&self) -> bool {
        matches!(self.answer, Answer::Streaming { .. })
    }

    /// Reads the whole body, `max` bytes at most.
    pub fn body(&mut self, max: usize) -> Result<Vec<u8>, Error> {
        let framing = self.head.framing;
        if let Framing::Sized(length) = framing
            && length > max as u64
        {
            return Err(too_large(max));
        }
        if self.body == Body::Whole {
            return Ok(Vec::new());
        }
        if self.head.expects_continue && self.conn.window.is_empty() {
            self.conn.write(&mut [IoSlice::new(b"HTTP/1.1 100 Continue\r\n\r\n")]).map_err(|_| cut())?;
        }
        let body = match framing {
            Framing::None => Vec::new(),
            Framing::Sized(length) => self.sized(usize::try_from(length).map_err(|_| too_large(max))?)?,
            Framing::Chunked => self.chunked(max)?,
        };
        self.body = Body::Whole;
        // The answer may take an hour, and what came next, if anything, is small.
        self.conn.window.rest_lightly();
        Ok(body)
    }

    fn sized(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        // Reserved at once, touched only as bytes come.
        let mut body = Vec::with_capacity(length);
        let here = self.conn.window.rest();
        body.extend_from_slice(&here[..here.len().min(length)]);
        self.conn.window.consume(body.len());
        let mut watch = Watch::new();
        while body.len() < length {
            let missing = length - body.len();
            // Straight into the body while it comes fast; through the window only to wait.
            let read = if missing > SMALL { self.conn.line.try_read(&mut body) } else { would_block() };
            match read {
                Ok(0) => return Err(cut()),
                Ok(_) => watch.progress()?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.more(&mut watch)?;
                    let here = self.conn.window.rest();
                    let n = here.len().min(length - body.len());
                    body.extend_from_slice(&here[..n]);
                    self.conn.window.consume(n);
                }
                Err(_) => return Err(cut()),
            }
        }
        Ok(body)
    }

    fn chunked(&mut self, max: usize) -> Result<Vec<u8>, Error> {
        let (mut decoder, mut body, mut watch) = (Chunked::default(), Vec::new(), Watch::new());
        loop {
            let used = decoder.decode(self.conn.window.rest(), &mut body).map_err(|bad| {
                Error::new(Stage::Edge, Kind::BadRequest, format!("the body is malformed: {}", bad.0))
            })?;
            self.conn.window.consume(used);
            if body.len() > max {
                return Err(too_large(max));
            }
            if decoder.is_done() {
                return Ok(body);
            }
            self.more(&mut watch)?;
        }
    }

    /// Waits until the window has more.
    fn more(&mut self, watch: &mut Watch) -> Result<(), Error> {
        loop {
            match self.conn.line.fill(&mut self.conn.window, TICK) {
                Ok(0) => return Err(cut()),
                Ok(_) => return watch.progress(),
                Err(error) if is_tick(&error) => watch.tick()?,
                Err(_) => return Err(cut()),
            }
        }
    }

    /// Answers whole: one write. A `HEAD` gets the head with the length of the body that it would have had.
    pub fn reply(&mut self, status: u16, lines: &Lines, body: &[u8]) -> Result<(), Gone> {
        let mut head = self.open(status, lines);
        head.extend_from_slice(b"content-length: ");
        head.extend_from_slice(Decimal::new(body.len() as u64).as_bytes());
        head.extend_from_slice(b"\r\n\r\n");
        self.answer = Answer::Done;
        let body = if self.head.method == Method::Head { &[][..] } else { body };
        let sent = self.conn.write(&mut [IoSlice::new(&head), IoSlice::new(body)]);
        self.sent(sent)
    }

    /// Begins an answer in pieces. The head goes out with the first piece, or with [`Call::flush`].
    pub fn begin(&mut self, status: u16, lines: &Lines) {
        let chunked = !self.head.old;
        self.keep &= chunked;
        let mut pending = self.open(status, lines);
        pending.extend_from_slice(if chunked { b"transfer-encoding: chunked\r\n\r\n" } else { b"\r\n" });
        self.answer = Answer::Streaming { pending, chunked };
    }

    /// Begins an answer of a known length in pieces. Whoever calls it sends exactly that many bytes, or cuts.
    pub fn begin_sized(&mut self, status: u16, lines: &Lines, length: usize) {
        let mut pending = self.open(status, lines);
        pending.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
        self.answer = Answer::Streaming { pending, chunked: false };
    }

    /// Begins an answer that is no HTTP (the mock's garbage). The connection is closed after it.
    pub fn begin_raw(&mut self) {
        self.keep = false;
        self.answer = Answer::Streaming { pending: Vec::new(), chunked: false };
    }

    /// Sends a piece: one write.
    pub fn piece(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.pieces(bytes, false)
    }

    /// Sends the head of an answer in pieces if it still waits.
    pub fn flush(&mut self) -> Result<(), Gone> {
        self.pieces(&[], false)
    }

    /// Sends a last piece (which may be empty) and the end: one write.
    pub fn finish(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let sent = self.pieces(bytes, true);
        self.answer = Answer::Done;
        sent
    }

    /// Ends the connection so that the client cannot take what it got for the whole answer.
    pub fn cut(&mut self) {
        self.keep = false;
        self.answer = Answer::Cut;
        self.conn.line.socket().reset_on_close();
    }

    fn pieces(&mut self, bytes: &[u8], last: bool) -> Result<(), Gone> {
        let Answer::Streaming { pending, chunked } = &mut self.answer else { return Err(Gone) };
        let head = std::mem::take(pending);
        let chunked = *chunked;
        let mut size = [0_u8; 18];
        let (mut opening, mut closing): (&[u8], &[u8]) = (&[], &[]);
        if chunked && !bytes.is_empty() {
            opening = chunk_line(&mut size, bytes.len());
            closing = b"\r\n";
        }
        let end: &[u8] = if chunked && last { b"0\r\n\r\n" } else { b"" };
        let mut slices = [head.as_slice(), opening, bytes, closing, end].map(IoSlice::new);
        let sent = self.conn.write(&mut slices);
        self.sent(sent)
    }

    fn open(&mut self, status: u16, lines: &Lines) -> Vec<u8> {
        // A body that was not read would be taken for the next request: such a connection ends here.
        self.keep &= self.body == Body::Whole;
        let mut head = Vec::with_capacity(lines.as_bytes().len() + 128);
        head.extend_from_slice(b"HTTP/1.1 ");
        head.extend_from_slice(Decimal::new(u64::from(status)).as_bytes());
        head.push(b' ');
        head.extend_from_slice(status::phrase(status).as_bytes());
        head.extend_from_slice(b"\r\n");
        head.extend_from_slice(lines.as_bytes());
        if !self.keep || self.head.old {
            let word: &[u8] = if self.keep { b"keep-alive" } else { b"close" };
            head.extend_from_slice(b"connection: ");
            head.extend_from_slice(word);
            head.extend_from_slice(b"\r\n");
        }
        head
    }

    fn sent(&mut self, sent: io::Result<()>) -> Result<(), Gone> {
        sent.map_err(|_| {
            self.keep = false;
            Gone
        })
    }

    /// Asks the client to close after this answer (a drain).
    pub fn close_after(&mut self) {
        self.keep = false;
    }

    /// Whether the connection can serve another request, and whether bytes of this one may still be on their way.
    pub(super) fn end(self) -> End {
        match (self.answer, self.body) {
            (Answer::Done, _) if self.keep => End::Next,
            // There is no answer that a reset could take away.
            (Answer::Cut, _) | (_, Body::Whole) => End::Close,
            (_, Body::Unread) => End::Linger,
        }
    }
}

/// What becomes of a connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It serves the next one.
    Next,
    /// It is closed.
    Close,
    /// It is closed, after what the client still sends was read: a close with unread bytes is a reset, which would
    /// take the answer away from the client.
    Linger,
}

/// Deadlines of a body.
struct Watch {
    begun: Instant,
    last: Instant,
}

impl Watch {
    fn new() -> Self {
        let now = clock::now();
        Self { begun: now, last: now }
    }

    /// Bytes came; those that trickle in without end outlast no deadline.
    fn progress(&mut self) -> Result<(), Error> {
        self.last = clock::now();
        self.check(self.last)
    }

    fn tick(&self) -> Result<(), Error> {
        self.check(clock::now())
    }

    fn check(&self, now: Instant) -> Result<(), Error> {
        if now - self.last > BODY_IDLE || now - self.begun > BODY_DEADLINE {
            return Err(Error::new(Stage::Edge, Kind::Timeout, "the request's body did not come in time"));
        }
        Ok(())
    }
}

fn would_block() -> io::Result<usize> {
    Err(io::ErrorKind::WouldBlock.into())
}

fn chunk_line(room: &mut [u8; 18], length: usize) -> &[u8] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    room[16] = b'\r';
    room[17] = b'\n';
    let (mut at, mut rest) = (16, length);
    loop {
        at -= 1;
        room[at] = HEX[rest % 16];
        rest /= 16;
        if rest == 0 {
            return &room[at..];
        }
    }
}

fn too_large(max: usize) -> Error {
    let message = format!("the request's body is larger than {max} bytes (server.max_body)");
    Error::new(Stage::Edge, Kind::TooLarge, message)
}

/// The client went away in the middle of its request: there is nobody to tell.
fn cut() -> Error {
    Error::new(Stage::Edge, Kind::Timeout, "the request ended early")
}

#[cfg(test)]
mod tests {
    use super::chunk_line;

    #[test]
    fn chunk_lines_are_hexadecimal() {
        for n in [1, 15, 16, 255, 65_536, usize::MAX] {
            assert_eq!(chunk_line(&mut [0; 18], n), format!("{n:x}\r\n").as_bytes());
        }
    }
}
