//! The byte loop of one response.
//!
//! [`Stream`] reads an upstream's event stream, brings it into the client's form ([`Passage`]) and lends out whole events
//! only, so that whatever happens in the middle of one, the client's stream still ends between two. It owns no large buffer
//! while it waits. Decides nothing: what counts
//! as content is `wire`'s, when bytes may pass is the gate's, what a failure means is `exchange`'s.

use std::mem;

use crate::error::Class;
use crate::http::Fields;
use crate::limits::{GATE_BYTES, MAX_REPLY};
use crate::runtime::Home;
use crate::runtime::buffer::SMALL;
use crate::upstream::{Answer, Read, Trouble};
use crate::wire::transcode::Passage;
use crate::wire::{Ending, Heard, Meter};

/// An upstream's event stream while it is read.
pub struct Stream {
    answer: Answer,
    passage: Passage,
    home: &'static Home,
    /// What was read and is not yet used, in the client's form: `whole <= bytes.len()`, and no event ends behind `whole`.
    bytes: Vec<u8>,
    whole: usize,
    /// What was read and is not yet in the client's form; empty between reads.
    raw: Vec<u8>,
    /// Part of an event that is larger than all that is ever held back was lent, and its end was not.
    inside: bool,
    model_at: Option<(u64, u64)>,
    ended: bool,
}

/// What a read found.
#[derive(Debug, Clone, Copy)]
pub enum Came {
    /// Bytes; [`Stream::whole`] lends what may be passed on, which may be nothing yet.
    Bytes(Heard),
    /// A tick without a byte.
    Silence,
    /// The connection's last byte was read before.
    End(Ending),
}

impl Stream {
    /// The stream of an answer whose head was read.
    pub fn new(answer: Answer, passage: Passage, home: &'static Home) -> Self {
        Self {
            answer,
            passage,
            home,
            bytes: Vec::new(),
            whole: 0,
            raw: Vec::new(),
            inside: false,
            model_at: None,
            ended: false,
        }
    }

    /// Reads on, waiting one tick at most. What was lent before is used up.
    pub fn read(&mut self) -> Result<Came, Trouble> {
        self.used();
        match &mut self.passage {
            Passage::Messages(_) => self.read_along(),
            Passage::Chat(_) | Passage::Hub(_) => self.read_and_write(),
        }
    }

    /// The bytes pass as they come.
    fn read_along(&mut self) -> Result<Came, Trouble> {
        let begin = self.bytes.len();
        let read = self.answer.read(&mut self.bytes)?;
        if self.bytes.len() == begin {
            return Ok(match read {
                Read::End => Came::End(self.passage.ending()),
                Read::More | Read::Tick => Came::Silence,
            });
        }
        self.ended = read == Read::End;
        let heard = self.passage.push(&self.bytes[begin..], &mut Vec::new());
        self.model_at = heard.model_at;
        if let Some(boundary) = heard.boundary {
            self.whole = begin + boundary;
            self.inside = false;
        } else if self.inside || self.bytes.len() > GATE_BYTES {
            // One event larger than all that is ever held back: it passes in parts.
            self.whole = self.bytes.len();
            self.inside = true;
        }
        Ok(Came::Bytes(heard))
    }

    /// What the client gets is written anew, whole events at a time.
    fn read_and_write(&mut self) -> Result<Came, Trouble> {
        let read = match self.answer.read(&mut self.raw) {
            // The model has said all: that the connection breaks now takes nothing from the client.
            Err(_) if self.passage.is_complete() => Read::End,
            read => read?,
        };
        if self.raw.is_empty() && read != Read::End {
            return Ok(Came::Silence);
        }
        let mut heard = self.passage.push(&self.raw, &mut self.bytes);
        let silent = self.raw.is_empty();
        emptied(&mut self.raw, self.home);
        if read == Read::End {
            self.conclude();
            if silent && self.bytes.is_empty() {
                return Ok(Came::End(self.passage.ending()));
            }
            heard = self.passage.push(&[], &mut self.bytes);
        }
        self.whole = self.bytes.len();
        Ok(Came::Bytes(heard))
    }

    /// The connection ends here, or is waited for no longer: whether the answer was told to be complete, so that
    /// its end stands behind what is lent.
    pub fn conclude(&mut self) -> bool {
        self.ended = true;
        let complete = self.passage.is_complete();
        self.passage.end(&mut self.bytes);
        self.whole = self.bytes.len();
        complete
    }

    /// Whole events that were not passed on yet.
    pub fn whole(&self) -> &[u8] {
        &self.bytes[..self.whole]
    }

    /// Whether the client stands between two events, if all that was lent was passed on.
    pub fn between(&self) -> bool {
        !self.inside
    }

    /// Usage, stop reason, model and error so far.
    pub fn meter(&self) -> &Meter {
        self.passage.meter()
    }

    /// How it ended, once nothing can follow that is part of the answer: its last event was heard, or the connection's
    /// last byte.
    pub fn over(&self) -> Option<Ending> {
        (self.ended || self.passage.is_over()).then(|| self.passage.ending())
    }

    /// Reads what may stand behind the last event, one tick at most, so that the connection can serve again.
    pub fn drain(&mut self) {
        self.whole = self.bytes.len();
        if !self.ended {
            self.read().ok();
        }
    }

    /// Where the value of the model's name stands in the whole stream, if it was heard.
    pub fn model_at(&self) -> Option<(u64, u64)> {
        self.model_at
    }

    /// The header fields of the answer.
    pub fn fields(&self) -> &Fields {
        &self.answer.fields
    }

    /// The answer's connection, for its pool.
    pub fn into_answer(self) -> Answer {
        self.answer
    }

    /// Forgets what was lent; keeps the beginning of an event in as little room as it takes.
    fn used(&mut self) {
        let rest = self.bytes.len() - self.whole;
        if rest == 0 && self.bytes.capacity() <= SMALL {
            self.bytes.clear();
        } else if self.bytes.capacity() > SMALL && rest <= SMALL {
            let tail = self.bytes[self.whole..].to_vec();
            self.home.buffers.give(mem::replace(&mut self.bytes, tail));
        } else {
            self.bytes.drain(..self.whole);
        }
        self.whole = 0;
    }
}

/// Empties a buffer, which keeps a small room only.
fn emptied(buffer: &mut Vec<u8>, home: &'static Home) {
    if buffer.capacity() > SMALL {
        home.buffers.give(mem::take(buffer));
    } else {
        buffer.clear();
    }
}

/// Collects a whole body into `body`, `max` bytes at most ([`Class::Unreadable`] beyond; what came until then stays).
/// `look` is called after every read that was not the last, with whether it was a tick without a byte, and may end it.
pub fn collect(
    answer: &mut Answer,
    body: &mut Vec<u8>,
    max: usize,
    look: &mut dyn FnMut(bool) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    loop {
        let read = answer.read(body)?;
        if body.len() > max.min(MAX_REPLY) {
            return Err(Trouble::new(Class::Unreadable, format!("the answer is longer than {max} bytes")));
        }
        match read {
            Read::End => return Ok(()),
            Read::More => look(false)?,
            Read::Tick => look(true)?,
        }
    }
}
