//! Buffers of a worker, taken while there is data and given back before the next wait.
//!
//! A waiting connection should own no large buffer: nine thousand slow streams with 64 KiB each would be 600 MB. So a
//! buffer that grew beyond [`SMALL`] goes back to its home as soon as it is empty.

use std::sync::{Mutex, PoisonError};

use super::home::Home;

/// Spare large buffers of one home.
#[derive(Debug, Default)]
pub struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// An empty buffer of [`LARGE`] bytes.
    pub fn take(&self) -> Vec<u8> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| Vec::with_capacity(LARGE))
    }

    /// Gives a buffer back; one of another size, or one too many, is freed.
    pub fn give(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() != LARGE {
            return;
        }
        buffer.clear();
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < KEPT {
            spare.push(buffer);
        }
    }
}

/// Bytes read and not yet used. `0 <= parsed <= bytes.len()`, kept by every method.
#[derive(Debug)]
pub struct Window {
    home: &'static Home,
    bytes: Vec<u8>,
    parsed: usize,
}

impl Window {
    /// An empty window; owns no memory yet.
    pub fn new(home: &'static Home) -> Self {
        Self { home, bytes: Vec::new(), parsed: 0 }
    }

    /// The bytes that are not yet used.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.parsed..]
    }

    /// Whether everything was used.
    pub fn is_empty(&self) -> bool {
        self.parsed == self.bytes.len()
    }

    /// Marks the first `n` bytes of the rest as used (at most all of them).
    pub fn consume(&mut self, n: usize) {
        self.parsed = (self.parsed + n).min(self.bytes.len());
        if self.is_empty() {
            self.bytes.clear();
            self.parsed = 0;
        }
    }

    /// Appends bytes that were read elsewhere.
    pub fn push(&mut self, bytes: &[u8]) {
        self.compact();
        if self.bytes.capacity() == 0 {
            self.bytes = self.home.buffers.take();
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Room to read into: at least a large buffer's worth when the window is empty, else a doubling.
    pub fn room(&mut self) -> &mut Vec<u8> {
        self.compact();
        if self.bytes.capacity() < LARGE && self.bytes.is_empty() {
            self.bytes = self.home.buffers.take();
        } else if self.bytes.len() == self.bytes.capacity() {
            self.bytes.reserve(self.bytes.len().max(SMALL));
        }
        &mut self.bytes
    }

    /// Before a wait: gives a large empty buffer back to the home.
    pub fn rest_lightly(&mut self) {
        if self.is_empty() && self.bytes.capacity() > SMALL {
            self.home.buffers.give(std::mem::take(&mut self.bytes));
            self.parsed = 0;
        }
    }

    fn compact(&mut self) {
        if self.parsed > 0 {
            self.bytes.drain(..self.parsed);
            self.parsed = 0;
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.home.buffers.give(std::mem::take(&mut self.bytes));
    }
}

/// What an idle connection may keep: one packet's worth.
pub const SMALL: usize = 4 * 1024;
/// One read of a fast sender.
pub const LARGE: usize = 64 * 1024;
/// Spare buffers per home: more coroutines than these rarely hold data at the same moment.
const KEPT: usize = 16;

#[cfg(test)]
mod tests {
    use super::{Home, LARGE, Window};

    #[test]
    fn a_window_keeps_what_is_not_used_and_owns_nothing_when_empty() {
        let mut window = Window::new(Home::get(0));
        window.push(b"head body");
        window.consume(5);
        window.push(b"!");
        assert_eq!(window.rest(), b"body!");
        window.consume(99);
        assert!(window.is_empty());
        assert_eq!(window.room().capacity(), LARGE);
        window.rest_lightly();
        assert_eq!(window.bytes.capacity(), 0);
    }
}
