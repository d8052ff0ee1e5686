//! A request on its way from its client's dialect to its target's.
//!
//! Same dialect: the body goes out as it came, less the declared edits. Another one: it is read into the IR and written
//! in the target's. Holds the choice between dialects, which each new one joins by a line in every match; formats are
//! `wire/<dialect>`'s.

use std::sync::Arc;

use super::Loss;
use super::names::Names;
use super::traits::Traits;

/// What a request is written for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The model's name as the provider wants it.
    pub model: &'a str,
    /// How the provider's form of the dialect differs.
    pub traits: &'static Traits,
    /// Largest output that the provider is configured to be asked for, in tokens.
    pub limit: Option<u64>,
    /// Bits of repairs that this provider is known to need for this model; their meaning is the target dialect's.
    pub repairs: u64,
    /// Whether all thinking is cut out of the history.
    pub cut_thinking: bool,
    /// Whether a window of a million tokens is wanted (`[1m]` behind the name or its alias).
    pub context_1m: bool,
}

/// A request in the target's dialect: `front`, then `tools`, then `back` are its bytes.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Up to the list of tools; all of it where there is none.
    pub front: Vec<u8>,
    /// The list as it was translated before, shared with the memo.
    pub tools: Option<Arc<Toolbox>>,
    /// What follows.
    pub back: Vec<u8>,
    /// `anthropic-beta`, where the target has such a header.
    pub betas: Option<String>,
    /// What could not be carried.
    pub loss: Loss,
}

impl Written {
    /// The bytes of the body, in order.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let tools = self.tools.as_ref().map_or(&[][..], |tools| &tools.json);
        [&self.front[..], tools, &self.back].into_iter().filter(|piece| !piece.is_empty())
    }
}

/// A list of tools in the target's dialect.
#[derive(Clone, Debug, Default)]
pub struct Toolbox {
    /// The array; empty where no tool is offered.
    pub json: Box<[u8]>,
    /// Names that were changed.
    pub names: Names,
    /// The client's names of the tools that are offered, escaped.
    pub offered: Vec<Box<[u8]>>,
    /// The client's names of tools that only its own dialect's providers could run: left out.
    pub left_out: Vec<Box<[u8]>>,
    /// What could not be carried.
    pub loss: Loss,
}

impl Toolbox {
    /// Whether a tool of this name (the client's, escaped) is offered.
    pub fn offers(&self, name: &[u8]) -> bool {
        self.offered.iter().any(|known| **known == *name)
    }
}
