//! An answer: its head, then its body piece by piece.
//!
//! ```text
//!   Head ──whole──▶ Body{sized | chunked | until close} ──last byte──▶ End
//!     │ EOF            │ EOF before the end
//!     ▼                ▼
//!   Reset            Reset
//! ```
//!
//! Only `identity` is asked for; gzip that comes all the same is decoded, anything else is unreadable. Interim answers
//! (1xx) are skipped. Does not judge a status.

use std::io::{self, Write};
use std::sync::Arc;

use flate2::write::GzDecoder;

use super::{Origin, Trouble, describe};
use crate::error::Class;
use crate::http::{Chunked, Fields, fields};
use crate::limits::{MAX_HEADERS, MAX_REPLY, MAX_RESPONSE_HEAD, TICK};
use crate::runtime::Line;
use crate::runtime::buffer::Window;
use crate::runtime::line::OnTick;

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
    gzip: Option<Box<GzDecoder<Vec<u8>>>>,
    touched: bool,
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
    /// A tick went by without a byte.
    Tick,
}

impl Answer {
    pub(super) fn new(line: Line, origin: Arc<Origin>, request_whole: bool) -> Self {
        let window = Window::new(line.home());
        Self {
            status: 0,
            fields: Fields::default(),
            line,
            origin,
            window,
            framing: Framing::End,
            keep_alive: request_whole,
            gzip: None,
            touched: false,
        }
    }

    /// Whether not a single byte of the answer came.
    pub(super) fn is_untouched(&self) -> bool {
        !self.touched
    }

    pub(super) fn read_head(&mut self, on_tick: OnTick<'_>) -> Result<(), Trouble> {
        let mut searched: usize = 0;
        loop {
            let from = searched.saturating_sub(3);
            let end = fields::end(&self.window.rest()[from..]).map(|at| from + at);
            if let Some(end) = end {
                searched = 0;
                if self.parse_head(end)? {
                    return Ok(());
                }
                continue;
            }
            searched = self.window.rest().len();
            if searched > MAX_RESPONSE_HEAD {
                return Err(Trouble::new(Class::Unreadable, "the head of the answer is too long"));
            }
            match self.line.fill(&mut self.window, TICK) {
                Ok(0) => return Err(Trouble::new(Class::Reset, "closed without an answer")),
                Ok(_) => self.touched = true,
                Err(error) if is_tick(&error) => {
                    on_tick().map_err(|e| Trouble::new(Class::Total, describe(&e)))?;
                }
                Err(error) => return Err(broken(&error)),
            }
        }
    }

    /// Parses the head that ends at `end`; `false`: it was an interim answer.
    #[inline(never)] // A frame of its own: stacks stay small while others wait.
    fn parse_head(&mut self, end: usize) -> Result<bool, Trouble> {
        let bytes = &self.window.rest()[..end];
        let mut room = [const { std::mem::MaybeUninit::uninit() }; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut response,
            bytes,
            &mut room,
        );
        match parsed {
            Ok(httparse::Status::Complete(n)) if n == end => {}
            Ok(_) => return Err(Trouble::new(Class::Unreadable, "the answer is no HTTP/1.1")),
            Err(error) => {
                return Err(Trouble::new(Class::Unreadable, format!("the answer is no HTTP/1.1: {error}")));
            }
        }
        let status = response.code.unwrap_or(0);
        let old = response.version == Some(0);
        let fields = Fields::new(bytes.to_vec(), bytes, response.headers);
        self.window.consume(end);
        if (100..200).contains(&status) && status != 101 {
            return Ok(false);
        }
        self.status = status;
        self.keep_alive &= if old {
            fields.has_token("connection", "keep-alive")
        } else {
            !fields.has_token("connection", "close")
        };
        self.framing = framing(status, &fields)?;
        self.gzip = encoding(&fields)?;
        self.fields = fields;
        Ok(true)
    }

    /// Appends the next bytes of the body to `out`, waiting one tick at most. `out` needs no room while it waits.
    pub fn read(&mut self, out: &mut Vec<u8>) -> Result<Read, Trouble> {
        let begin = out.len();
        loop {
            let ended = self.take(out)?;
            if ended {
                self.end_of_gzip(out)?;
                return Ok(Read::End);
            }
            if out.len() > begin {
                return Ok(Read::More);
            }
            match self.line.fill(&mut self.window, TICK) {
                Ok(0) if matches!(self.framing, Framing::UntilClose) => {
                    self.framing = Framing::End;
                    self.keep_alive = false;
                }
                Ok(0) => return Err(Trouble::new(Class::Reset, "closed in the middle of the answer")),
                Ok(_) => {}
                Err(error) if is_tick(&error) => return Ok(Read::Tick),
                Err(error) => return Err(broken(&error)),
            }
        }
    }

    /// Moves what the window holds of the body to `out`; whether the body is complete.
    fn take(&mut self, out: &mut Vec<u8>) -> Result<bool, Trouble> {
        if self.gzip.is_none() {
            return take(&mut self.framing, &mut self.window, out);
        }
        let mut packed = Vec::new();
        let ended = take(&mut self.framing, &mut self.window, &mut packed)?;
        if let Some(gzip) = &mut self.gzip {
            gzip.write_all(&packed).map_err(|_| bad_gzip())?;
            out.append(gzip.get_mut());
        }
        if out.len() > MAX_REPLY {
            return Err(Trouble::new(Class::Unreadable, "the answer unpacks to more than is taken"));
        }
        Ok(ended)
    }

    fn end_of_gzip(&mut self, out: &mut Vec<u8>) -> Result<(), Trouble> {
        if let Some(mut gzip) = self.gzip.take() {
            gzip.try_finish().map_err(|_| bad_gzip())?;
            out.append(gzip.get_mut());
        }
        Ok(())
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
    if fields.get("transfer-encoding").is_some() {
        return if fields.has_token("transfer-encoding", "chunked") {
            Ok(Framing::Chunked(Chunked::default()))
        } else {
            Err(Trouble::new(Class::Unreadable, "the answer has an unknown transfer coding"))
        };
    }
    let mut lengths = fields.all("content-length");
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(Framing::UntilClose),
        (Some(text), None) => match std::str::from_utf8(text).ok().and_then(|t| t.trim().parse().ok()) {
            Some(0) => Ok(Framing::End),
            Some(left) => Ok(Framing::Sized { left }),
            None => Err(Trouble::new(Class::Unreadable, "the answer's length is no number")),
        },
        (Some(_), Some(_)) => Err(Trouble::new(Class::Unreadable, "the answer has two lengths")),
    }
}

fn encoding(fields: &Fields) -> Result<Option<Box<GzDecoder<Vec<u8>>>>, Trouble> {
    match fields.get("content-encoding").map(str::trim) {
        None | Some("" | "identity") => Ok(None),
        Some(name) if name.eq_ignore_ascii_case("gzip") => Ok(Some(Box::new(GzDecoder::new(Vec::new())))),
        Some(_) => Err(Trouble::new(
            Class::Unreadable,
            "the answer has an encoding that was not asked for (only identity and gzip are read)",
        )),
    }
}

fn bad_gzip() -> Trouble {
    Trouble::new(Class::Unreadable, "the answer's gzip is broken")
}

fn is_tick(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn broken(error: &io::Error) -> Trouble {
    Trouble::new(Class::Reset, describe(error))
}
