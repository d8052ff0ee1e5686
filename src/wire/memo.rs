//! Lists of tools that were translated before.
//!
//! A coding agent's list of tools is most of its request and the same on every turn, so that each worker keeps what became of
//! the last ones. A list is found by a hash of a few of its bytes and taken only if all its bytes are equal. Holds
//! [`limits::TOOLS_KEPT`] bytes at most; the oldest go first. Translates by the dialects' own functions.

use std::collections::VecDeque;
use std::sync::Arc;

use super::traits::Traits;
use super::translate::{Target, Toolbox};
use super::{Dialect, Loss, anthropic, chat};
use crate::error::Error;
use crate::limits;

/// What one worker remembers.
#[derive(Debug, Default)]
pub struct Memo {
    kept: VecDeque<Kept>,
    /// Bytes of all lists in it, as they came and as they went.
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    mark: u64,
    raw: Box<[u8]>,
    from: Dialect,
    to: Dialect,
    traits: &'static Traits,
    /// Some columns hold for some models only.
    model: Box<str>,
    toolbox: Arc<Toolbox>,
}

impl Memo {
    /// The list `raw` in the target's dialect. An error is the client's.
    pub fn toolbox(
        &mut self,
        raw: &[u8],
        from: Dialect,
        to: Dialect,
        target: &Target<'_>,
    ) -> Result<Arc<Toolbox>, Error> {
        let mark = mark(raw);
        let known = self.kept.iter().find(|kept| {
            kept.mark == mark
                && (kept.from, kept.to) == (from, to)
                && std::ptr::eq(kept.traits, target.traits)
                && *kept.model == *target.model
                && *kept.raw == *raw
        });
        if let Some(kept) = known {
            return Ok(Arc::clone(&kept.toolbox));
        }
        let toolbox = Arc::new(translate(raw, from, to, target)?);
        self.keep(Kept {
            mark,
            raw: raw.into(),
            from,
            to,
            traits: target.traits,
            model: target.model.into(),
            toolbox: Arc::clone(&toolbox),
        });
        Ok(toolbox)
    }

    fn keep(&mut self, kept: Kept) {
        if kept.size() > limits::TOOLS_KEPT {
            return;
        }
        self.bytes += kept.size();
        self.kept.push_back(kept);
        while self.bytes > limits::TOOLS_KEPT {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.bytes -= oldest.size();
        }
    }
}

impl Kept {
    fn size(&self) -> usize {
        self.raw.len() + self.toolbox.json.len()
    }
}

fn translate(raw: &[u8], from: Dialect, to: Dialect, target: &Target<'_>) -> Result<Toolbox, Error> {
    let mut loss = Loss::default();
    let tools = match from {
        Dialect::Messages => anthropic::request::tools::read(raw, &mut loss),
        Dialect::Chat => chat::request::tools::read(raw, &mut loss),
    }?;
    let mut toolbox = match to {
        Dialect::Messages => anthropic::request::tools::write(&tools, target.traits, target.model),
        Dialect::Chat => chat::request::tools::write(&tools, target.traits, target.model),
    };
    loss.join(&toolbox.loss);
    toolbox.loss = loss;
    Ok(toolbox)
}

/// A mix of the length and of bytes from all over the list: tells lists apart at the cost of a few cache lines.
fn mark(raw: &[u8]) -> u64 {
    let step = (raw.len() / SAMPLES).max(1);
    let samples = raw.chunks(step).filter_map(|chunk| chunk.first_chunk::<8>());
    samples.fold(raw.len() as u64, |mark, chunk| {
        (mark ^ u64::from_le_bytes(*chunk)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    })
}

/// Places that are looked at.
const SAMPLES: usize = 32;
