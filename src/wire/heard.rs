//! What was heard of a streamed answer so far, whatever dialect it comes in.
//!
//! Values for the gate and for the loop that passes bytes on; what counts as content or as an end is each dialect's to tell.

use crate::error::Failure;

/// What the bytes of one push showed, and what is known since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Content, or the end of a whole answer, has come and no error before it: the answer may be committed.
    pub content: bool,
    /// The first error event of the stream, if it has come.
    pub fault: Option<Failure>,
    /// Where in the whole stream the value of the first `message.model` stands, quotes included.
    pub model_at: Option<(u64, u64)>,
    /// Offset in these bytes just behind the last event that ended in them.
    pub boundary: Option<usize>,
}

/// How a stream stands when its connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// `message_stop` came: a whole answer.
    Whole,
    /// An error event came; it is itself the end that the client gets.
    Told(Failure),
    /// Events came, but neither `message_stop` nor an error: the answer was cut.
    Cut,
    /// No event at all: not an answer.
    Empty,
}
