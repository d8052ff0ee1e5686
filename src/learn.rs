//! What was learnt of each model's way of counting tokens: a fixed table of atomics that may forget.
//!
//! Providers that count no tokens before a request tell them after it; every answer makes the next estimate better.
//! Keyed by the provider's stable id and the model's name as it is sent, in buckets like those of
//! [`Lossy`](crate::route::lossy::Lossy); the slot that was unused for longest makes room. A reader loads two words and
//! never waits. A writer that meets another one in the same slot goes away: one observation less is no loss. The factor
//! lies in one word, so that it is never half an old one. How an estimate is made is
//! [`tokens`](crate::wire::tokens)'s; nothing is stored on disk.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::limits;
use crate::route::lossy::{bucket, table};
use crate::route::select::{hash, mix};
use crate::wire::tokens::{Factor, Fit, Measure};

/// The table, one for the program: it outlives reloads.
#[derive(Debug)]
pub struct Learned {
    slots: Box<[Slot]>,
    /// Counts observations: the clock of what is old.
    clock: AtomicU64,
}

#[derive(Debug, Default)]
struct Slot {
    /// 0: free.
    tag: AtomicU64,
    /// The factor's two numbers, mixed with the tag, so that what belongs to another one is seen to make no sense.
    factor: AtomicU64,
    /// The fit's variances. Written and read by the holder of `busy` only, as is `cross`.
    spread: AtomicU64,
    cross: AtomicU64,
    /// When it was last written.
    used: AtomicU64,
    /// Answers since it is this model's.
    answers: AtomicU64,
    /// A writer is at work.
    busy: AtomicBool,
}

impl Default for Learned {
    fn default() -> Self {
        Self::new(limits::LEARNED_MODELS)
    }
}

impl Learned {
    /// A table of at least so many models.
    pub fn new(models: usize) -> Self {
        Self { slots: table(models), clock: AtomicU64::new(0) }
    }

    /// What is known of a model; the usual where nothing is.
    pub fn factor(&self, provider: &str, model: &str) -> Factor {
        let tag = tag(provider, model);
        let slot = bucket(&self.slots, tag).iter().find(|slot| slot.tag.load(Ordering::Acquire) == tag);
        slot.map(|slot| slot.factor(tag)).unwrap_or_default()
    }

    /// Whether the next answer of a model is worth learning from: the first `EAGER` are, later one in `SELDOM`.
    pub fn is_due(&self, provider: &str, model: &str) -> bool {
        let tag = tag(provider, model);
        let slot = bucket(&self.slots, tag).iter().find(|slot| slot.tag.load(Ordering::Acquire) == tag);
        let answers = slot.map_or(0, |slot| slot.answers.fetch_add(1, Ordering::Relaxed));
        answers < EAGER || answers % SELDOM == 0
    }

    /// A request turned out to have so many tokens of input: `input`, read from and written to caches together.
    pub fn saw(&self, provider: &str, model: &str, measure: &Measure, actual: u64) {
        let tag = tag(provider, model);
        let bucket = bucket(&self.slots, tag);
        let own = bucket.iter().find(|slot| slot.tag.load(Ordering::Acquire) == tag);
        let slot = own.or_else(|| bucket.iter().min_by_key(|slot| slot.used.load(Ordering::Relaxed)));
        let Some(slot) = slot.filter(|slot| !slot.busy.swap(true, Ordering::Acquire)) else { return };
        let fit = slot.fit(tag).saw(measure, actual);
        if own.is_none() {
            slot.answers.store(0, Ordering::Relaxed);
        }
        slot.write(tag, fit);
        slot.used.store(self.clock.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        slot.busy.store(false, Ordering::Release);
    }
}

impl Slot {
    fn factor(&self, tag: u64) -> Factor {
        let (scale, tools) = halves(self.factor.load(Ordering::Relaxed) ^ tag);
        let sound = (0.1..10.0).contains(&scale) && (0.0..1e5).contains(&tools);
        if sound { Factor { scale, tools } } else { Factor::default() }
    }

    /// What this slot knows of a tag: nothing, if it belongs to another one.
    fn fit(&self, tag: u64) -> Fit {
        if self.tag.load(Ordering::Relaxed) != tag {
            return Fit::default();
        }
        let (cross, _) = halves(self.cross.load(Ordering::Relaxed));
        Fit { factor: self.factor(tag), spread: halves(self.spread.load(Ordering::Relaxed)), cross }
    }

    fn write(&self, tag: u64, fit: Fit) {
        self.factor.store(word(fit.factor.scale, fit.factor.tools) ^ tag, Ordering::Relaxed);
        self.spread.store(word(fit.spread.0, fit.spread.1), Ordering::Relaxed);
        self.cross.store(word(fit.cross, 0.0), Ordering::Relaxed);
        self.tag.store(tag, Ordering::Release);
    }
}

fn tag(provider: &str, model: &str) -> u64 {
    mix(hash(provider), hash(model)).max(1)
}

fn word(front: f32, back: f32) -> u64 {
    u64::from(front.to_bits()) << 32 | u64::from(back.to_bits())
}

#[allow(clippy::cast_possible_truncation)] // Each half has 32 bits.
fn halves(word: u64) -> (f32, f32) {
    (f32::from_bits((word >> 32) as u32), f32::from_bits(word as u32))
}

/// A fit stands after some ten observations.
const EAGER: u64 = 32;
/// A session's requests grow slowly.
const SELDOM: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::lossy::WAYS;

    fn measure(letters: u64) -> Measure {
        Measure { letters, turns: 3, tools: true, ..Measure::default() }
    }

    #[test]
    fn each_model_of_each_provider_is_learnt_for_itself() {
        let learned = Learned::default();
        assert_eq!(learned.factor("acme/openai", "gpt-4o"), Factor::default());
        for _ in 0..20 {
            learned.saw("acme/openai", "gpt-4o", &measure(50_000), 9000);
            learned.saw("acme/groq", "gpt-4o", &measure(50_000), 14_000);
        }
        let guess = |provider| measure(50_000).tokens(learned.factor(provider, "gpt-4o"));
        assert!(guess("acme/openai").abs_diff(9000) < 50, "{}", guess("acme/openai"));
        assert!(guess("acme/groq").abs_diff(14_000) < 50, "{}", guess("acme/groq"));
        assert_eq!(learned.factor("acme/openai", "gpt-5"), Factor::default());
    }

    #[test]
    fn many_names_stay_within_the_table_and_the_latest_are_known() {
        let learned = Learned::new(WAYS);
        for model in 0..10_000 {
            learned.saw("p", &model.to_string(), &measure(50_000), 20_000);
        }
        assert_eq!(learned.slots.len(), WAYS);
        assert_eq!(learned.factor("p", "0"), Factor::default());
        assert!((9996..10_000).all(|model| learned.factor("p", &model.to_string()) != Factor::default()));
    }

    #[test]
    fn a_slot_that_is_being_written_is_left_alone() {
        let learned = Learned::new(WAYS);
        learned.saw("p", "m", &measure(50_000), 20_000);
        let before = learned.factor("p", "m");
        learned.slots.iter().for_each(|slot| slot.busy.store(true, Ordering::Relaxed));
        learned.saw("p", "m", &measure(50_000), 9000);
        assert_eq!(learned.factor("p", "m"), before);
    }
}
