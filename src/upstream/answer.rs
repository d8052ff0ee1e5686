//! A request going out and its answer coming in: the head, then the body piece by piece.
//!
//! ```text
//!   Head ──whole──▶ Body{sized | chunked | until close} ──last byte──▶ End
//!     │ EOF            │ EOF before the end
//!     ▼                ▼
//!   Reset            Reset
//! ```
//!
//! An answer may come before the request is out (a 413 from a server that reads no further): then the rest stays unsent,
//! and the connection serves nobody else. Only `identity` is asked for; gzip that comes all the same is decoded, anything
//! else is unreadable. Interim answers (1xx) are skipped. Does not judge a status otherwise.

use std::io::{self, IoSlice};
use std::sync::Arc;

use super::gzip::{Broken, Gzip};
use super::{Origin, Request, Trouble, describe};
use crate::clock;
use crate::error::Class;
use crate::http::{Chunked, Fields, fields};
use crate::limits::{MAX_HEADERS, MAX_INTERIM, MAX_RESPONSE_HEAD, TICK};
use crate::runtime::Line;
use crate::runtime::buffer::Window;
use crate::runtime::line::{Outgoing, Pace, Sent, is_tick};

/// An upstream's answer.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The header fields.
    pub fields: Fields,
    line: Line,
    origin: Arc<Origin>,
    window: Window,
    framing: Framing,
    keep_alive: bool,
    gzip: Option<Box<Gzip>>,
    touched: bool,
    /// Interim answers so far.
    interim: usize,
}

/// How much of the body is still to come.
#[derive(Debug)]
enum Framing {
    Sized { left: u64 },
    Chunked(Chunked),
    UntilClose,
    End,
}

/// What [`Answer::read`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Bytes were appended.
    More,
    /// The body is complete. Bytes may have been appended.
    End,
    /// A tick went by without a byte of the body.
    Tick,
}

impl Answer {
    pub(super) fn new(line: Line, origin: Arc<Origin>) -> Self {
        let window = Window::new(line.home());
        Self {
            status: 0,
            fields: Fields::default(),
            line,
            origin,
            window,
            framing: Framing::End,
            keep_alive: true,
            gzip: None,
            touched: false,
            interim: 0,
        }
    }

    /// Whether not a single byte of the answer came.
    pub(super) fn is_untouched(&self) -> bool {
        !self.touched
    }

    /// Sends the request and reads the head of the answer.
    pub(super) fn ask(&mut self, request: Request<'_>, pace: &mut Pace<'_>) -> Result<(), Trouble> {
        let mut slices = Vec::with_capacity(request.body.len() + 1);
        slices.push(IoSlice::new(request.head));
        slices.extend(request.body.iter().map(|piece| IoSlice::new(piece)));
        let mut rest = Outgoing::new(&mut slices);
        let mut answered = false;
        let written = loop {
            match self.line.send(&mut rest, pace, !answered) {
                Ok(Sent::Whole) => break Ok(()),
                // After an interim answer the server reads on, and after a good one too.
                Ok(Sent::Answered) => {
                    answered = self.next_head(pace)?;
                    while !answered && !self.window.is_empty() {
                        answered = self.next_head(pace)?;
                    }
                    if answered && self.status >= 300 {
                        self.keep_alive = false;
                        return Ok(());
                    }
                }
                Err(_) if pace.stopped() => return Err(Trouble::new(Class::Total, "stopped while sending")),
                Err(error) => break Err(error),
            }
        };
        // A server may answer and close before it has read everything (413, 401): what it said counts, not the broken pipe.
        self.keep_alive &= written.is_ok();
        if answered {
            return Ok(());
        }
        match (self.final_head(pace), written) {
            (Err(trouble), Err(error)) if trouble.failure.class == Class::Reset => {
                Err(Trouble::new(Class::Reset, describe(&error)))
            }
            (read, _) => read,
        }
    }

    fn final_head(&mut self, pace: &mut Pace<'_>) -> Result<(), Trouble> {
        while !self.next_head(pace)? {
            pace.wet().map_err(|error| stopped(&error))?;
        }
        Ok(())
    }

    /// Reads one head; `false`: it was an interim answer.
    fn next_head(&mut self, pace: &mut Pace<'_>) -> Result<bool, Trouble> {
        let mut searched: usize = 0;
        loop {
            let from = searched.saturating_sub(3);
            if let Some(end) = fields::end(&self.window.rest()[from..]) {
                return self.parse_head(from + end);
            }
            searched = self.window.rest().len();
            if searched > MAX_RESPONSE_HEAD {
                return Err(Trouble::new(Class::Unreadable, "the head of the answer is too long"));
            }
            if searched > 0 {
                pace.wet().map_err(|error| stopped(&error))?;
            }
            match self.line.fill(&mut self.window, TICK) {
                Ok(0) => return Err(Trouble::new(Class::Reset, "closed without an answer")),
                Ok(_) => self.touched = true,
                Err(error) if is_tick(&error) => pace.dry().map_err(|error| stopped(&error))?,
                Err(error) => return Err(broken(&error)),
            }
        }
    }

    /// Parses the head that ends at `end`; `false`: it was an interim answer.
    fn parse_head(&mut self, end: usize) -> Result<bool, Trouble> {
        let bytes = &self.window.rest()[..end];
        let parsed = match parse::<USUAL_HEADERS>(bytes) {
            Err(httparse::Error::TooManyHeaders) => parse::<MAX_HEADERS>(bytes),
            parsed => parsed,
        };
        let (status, old, fields) = parsed.map_err(|error| {
            Trouble::new(Class::Unreadable, format!("the answer is no HTTP/1.1: {error}"))
        })?;
        self.window.consume(end);
        if status < 200 {
            self.interim += 1;
            return if status == 101 || self.interim > MAX_INTERIM {
                Err(Trouble::new(Class::Unreadable, format!("the answer does not get beyond {status}")))
            } else {
                Ok(false)
            };
        }
        self.status = status;
        self.keep_alive &= if old {
            fields.has_token("connection", "keep-alive")
        } else {
            !fields.has_token("connection", "close")
        };
        // Two framings at once are what smuggling looks like (RFC 9112 section 6.3).
        self.keep_alive &=
            fields.get("transfer-encoding").is_none() || fields.get("content-length").is_none();
        self.framing = framing(status, &fields)?;
        self.gzip = match encoding(&fields) {
            // The status and the fields of a refusal say most of it, and its body is nobody's answer.
            Err(_) if status >= 300 => None,
            packed => packed?,
        };
        self.fields = fields;
        Ok(true)
    }

    /// Appends the next bytes of the body to `out`, waiting some two ticks at most. `out` needs no room while it waits.
    pub fn read(&mut self, out: &mut Vec<u8>) -> Result<Read, Trouble> {
        let begin = out.len();
        let (mut filled, mut since) = (false, None);
        loop {
            if self.take(out)? {
                return Ok(Read::End);
            }
            if out.len() > begin {
                return Ok(Read::More);
            }
            if filled {
                // A part of a chunk's size or of a packed block: such bytes may trickle for ever.
                let now = clock::now();
                if now.saturating_duration_since(*since.get_or_insert(now)) >= TICK {
                    return Ok(Read::Tick);
                }
            }
            match self.line.fill(&mut self.window, TICK) {
                Ok(0) if matches!(self.framing, Framing::UntilClose) => {
                    self.framing = Framing::End;
                    self.keep_alive = false;
                }
                Ok(0) => return Err(Trouble::new(Class::Reset, "closed in the middle of the answer")),
                Ok(_) => filled = true,
                Err(error) if is_tick(&error) => return Ok(Read::Tick),
                Err(error) => return Err(broken(&error)),
            }
        }
    }

    /// Moves what the window holds of the body to `out`; whether the body is complete.
    fn take(&mut self, out: &mut Vec<u8>) -> Result<bool, Trouble> {
        let Some(gzip) = &mut self.gzip else {
            return take(&mut self.framing, &mut self.window, out);
        };
        let ended = take(&mut self.framing, &mut self.window, gzip.packed())?;
        let all = gzip.unpack(out).map_err(bad_gzip)?;
        if ended && all {
            gzip.end(out).map_err(bad_gzip)?;
        }
        Ok(ended && all)
    }

    /// The connection and its origin, if both can serve another request.
    pub(super) fn reusable(self) -> Option<(Line, Arc<Origin>)> {
        let clean = self.keep_alive && matches!(self.framing, Framing::End) && self.window.is_empty();
        if !clean {
            return None;
        }
        self.line.socket().used();
        Some((self.line, self.origin))
    }
}

/// Status, whether it is HTTP/1.0, and fields of a whole head with `ROOM` fields at most.
#[inline(never)] // A frame of its own, and a small one for usual heads: stacks stay small while others wait.
fn parse<const ROOM: usize>(bytes: &[u8]) -> Result<(u16, bool, Fields), httparse::Error> {
    let mut room = [const { std::mem::MaybeUninit::uninit() }; ROOM];
    let mut response = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    match parser.parse_response_with_uninit_headers(&mut response, bytes, &mut room)? {
        httparse::Status::Complete(n) if n == bytes.len() => {}
        _ => return Err(httparse::Error::NewLine),
    }
    let fields = Fields::new(bytes.to_vec(), bytes, response.headers);
    Ok((response.code.unwrap_or(0), response.version == Some(0), fields))
}

/// Room for the fields of nearly every answer.
const USUAL_HEADERS: usize = 24;

/// Moves body bytes; whether the body is complete.
fn take(framing: &mut Framing, window: &mut Window, out: &mut Vec<u8>) -> Result<bool, Trouble> {
    match framing {
        Framing::End => return Ok(true),
        Framing::Sized { left } => {
            let n = usize::try_from(*left).unwrap_or(usize::MAX).min(window.rest().len());
            out.extend_from_slice(&window.rest()[..n]);
            window.consume(n);
            *left -= n as u64;
            if *left > 0 {
                return Ok(false);
            }
        }
        Framing::Chunked(decoder) => {
            let used = decoder.decode(window.rest(), out).map_err(|bad| {
                Trouble::new(Class::Unreadable, format!("the answer is malformed: {}", bad.0))
            })?;
            window.consume(used);
            if !decoder.is_done() {
                return Ok(false);
            }
        }
        Framing::UntilClose => {
            out.extend_from_slice(window.rest());
            window.consume(window.rest().len());
            return Ok(false);
        }
    }
    *framing = Framing::End;
    Ok(true)
}

fn framing(status: u16, fields: &Fields) -> Result<Framing, Trouble> {
    if status == 204 || status == 304 {
        return Ok(Framing::End);
    }
    let mut codings = fields.all("transfer-encoding");
    match (codings.next(), codings.next()) {
        (None, _) => {}
        (Some(coding), None) if coding.trim_ascii().eq_ignore_ascii_case(b"chunked") => {
            return Ok(Framing::Chunked(Chunked::default()));
        }
        (Some(_), _) => {
            return Err(Trouble::new(Class::Unreadable, "the answer has an unknown transfer coding"));
        }
    }
    let mut length = None;
    for text in fields.all("content-length").flat_map(|line| line.split(|&b| b == b',')) {
        let text = text.trim_ascii();
        let number = std::str::from_utf8(text).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
        let Some(number) = number.and_then(|t| t.parse::<u64>().ok()) else {
            return Err(Trouble::new(Class::Unreadable, "the answer's length is no number"));
        };
        // The same length told twice is one length (RFC 9110 section 8.6).
        if *length.get_or_insert(number) != number {
            return Err(Trouble::new(Class::Unreadable, "the answer has two lengths"));
        }
    }
    Ok(match length {
        None => Framing::UntilClose,
        Some(0) => Framing::End,
        Some(left) => Framing::Sized { left },
    })
}

fn encoding(fields: &Fields) -> Result<Option<Box<Gzip>>, Trouble> {
    match fields.get("content-encoding").map(str::trim) {
        None | Some("" | "identity") => Ok(None),
        Some(name) if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
            Ok(Some(Box::default()))
        }
        Some(_) => Err(Trouble::new(
            Class::Unreadable,
            "the answer has an encoding that was not asked for (only identity and gzip are read)",
        )),
    }
}

fn bad_gzip(_: Broken) -> Trouble {
    Trouble::new(Class::Unreadable, "the answer's gzip is broken")
}

fn stopped(error: &io::Error) -> Trouble {
    Trouble::new(Class::Total, describe(error))
}

fn broken(error: &io::Error) -> Trouble {
    Trouble::new(Class::Reset, describe(error))
}
