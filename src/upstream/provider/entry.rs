//! The table of provider types: which dialect each speaks, how its form of it differs, and how it wants its key.
//!
//! Addresses and versions are the configuration's (`config::fields`). Looks inside no message.

use crate::config::snapshot::Kind;
use crate::wire::Dialect;
use crate::wire::traits::{MESSAGES, Traits};

/// One provider type.
#[derive(Debug)]
pub struct Entry {
    /// What it is asked in.
    pub dialect: Dialect,
    /// How its form of the dialect differs.
    pub traits: Traits,
    /// How its key is sent.
    pub auth: Auth,
}

/// How a key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `x-api-key`.
    ApiKey,
    /// `authorization: Bearer`.
    Bearer,
    /// Both: servers that speak the format look in one place or the other.
    Both,
}

/// The entry of a type.
pub fn entry(_kind: Kind) -> &'static Entry {
    &ANTHROPIC
}

static ANTHROPIC: Entry = Entry { dialect: Dialect::Messages, traits: MESSAGES, auth: Auth::ApiKey };
