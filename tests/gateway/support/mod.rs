//! The vocabulary of these tests.
//!
//! `upstream()` is a scripted provider on plain blocking sockets, `gateway()` the gateway in this process, `messages()` a
//! request, and an [`Answer`] says what came. Nothing here shares code with what it tests.

pub mod chat;
pub mod client;
pub mod events;
pub mod gateway;
pub mod upstream;

pub use chat::*;
pub use client::{Client, count_tokens, messages, raw};
pub use events::*;
pub use gateway::{Gateway, gateway, mocked};
pub use upstream::{Act, Upstream, upstream};

use std::time::{Duration, Instant};

/// Waits until something holds; fails with its name after five seconds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(Instant::now() < end, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
