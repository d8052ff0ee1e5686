//! A fixed table of atomics that may forget: what routing remembers about sessions and models that clients name.
//!
//! Clients choose the names, so the memory must be bounded, and a lock would make one slow request everyone's business.
//! Therefore four slots per bucket, chosen by the tag; a new tag takes a free slot, else the one whose time ends first.
//! Readers and writers never wait. Two writers of one slot at the same instant may leave one entry unreadable: a value
//! is kept mixed with its tag, so a torn pair shows as a value that the caller cannot mistake for one of its own
//! targets; it is then overwritten by the next use.
//!
//! Knows nothing of what it keeps, and never frees an entry by itself: the caller compares `until` with its own clock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One entry as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// What was stored.
    pub value: u64,
    /// Until when it counts, in the caller's milliseconds.
    pub until: u64,
}

/// The table.
#[derive(Debug)]
pub struct Lossy {
    slots: Box<[Slot]>,
    /// Whether anything was ever stored: an untouched table costs its readers one load and not even a hash.
    touched: AtomicBool,
}

#[derive(Debug, Default)]
struct Slot {
    /// 0: free.
    tag: AtomicU64,
    /// The value, mixed with the tag.
    mixed: AtomicU64,
    until: AtomicU64,
}

impl Lossy {
    /// A table of at least `slots` entries.
    pub fn new(slots: usize) -> Self {
        Self { slots: table(slots), touched: AtomicBool::new(false) }
    }

    /// Whether nothing was ever stored.
    pub fn is_untouched(&self) -> bool {
        !self.touched.load(Ordering::Relaxed)
    }

    /// The entry of a tag, also one whose time is over.
    pub fn get(&self, tag: u64) -> Option<Found> {
        let tag = tag.max(1);
        let slot = bucket(&self.slots, tag).iter().find(|s| s.tag.load(Ordering::Acquire) == tag)?;
        let value = slot.mixed.load(Ordering::Relaxed) ^ tag;
        Some(Found { value, until: slot.until.load(Ordering::Relaxed) })
    }

    /// Stores an entry over the one of the same tag, a free one, or the one whose time ends first.
    pub fn put(&self, tag: u64, value: u64, until: u64) {
        let tag = tag.max(1);
        self.touched.store(true, Ordering::Relaxed);
        let bucket = bucket(&self.slots, tag);
        let own = bucket.iter().find(|s| s.tag.load(Ordering::Relaxed) == tag);
        let slot = own.or_else(|| bucket.iter().min_by_key(|s| s.end()));
        if let Some(slot) = slot {
            slot.mixed.store(value ^ tag, Ordering::Relaxed);
            slot.until.store(until, Ordering::Relaxed);
            slot.tag.store(tag, Ordering::Release);
        }
    }

    /// Forgets the entry of a tag.
    pub fn remove(&self, tag: u64) {
        let tag = tag.max(1);
        if let Some(slot) = bucket(&self.slots, tag).iter().find(|s| s.tag.load(Ordering::Relaxed) == tag) {
            slot.tag.store(0, Ordering::Release);
        }
    }
}

/// The slots of a table of at least so many; their number is a power of two times [`WAYS`].
pub fn table<T: Default>(slots: usize) -> Box<[T]> {
    let length = slots.div_ceil(WAYS).next_power_of_two() * WAYS;
    (0..length).map(|_| T::default()).collect()
}

/// The [`WAYS`] slots of a [`table`] that a tag may lie in.
pub fn bucket<T>(slots: &[T], tag: u64) -> &[T] {
    let buckets = slots.len() / WAYS;
    // The low half, as far as the platform's word goes: tags are well-mixed hashes.
    let low = usize::try_from(tag & u64::from(u32::MAX)).unwrap_or_default();
    let from = (low & (buckets - 1)) * WAYS;
    &slots[from..from + WAYS]
}

impl Slot {
    /// For the choice of which one to overwrite: a free one first.
    fn end(&self) -> u64 {
        if self.tag.load(Ordering::Relaxed) == 0 { 0 } else { self.until.load(Ordering::Relaxed).max(1) }
    }
}

/// Slots of one bucket.
pub const WAYS: usize = 4;

#[cfg(test)]
mod tests {
    use super::{Found, Lossy, WAYS};

    #[test]
    fn what_was_stored_is_found_until_it_is_removed() {
        let table = Lossy::new(64);
        assert!(table.is_untouched());
        table.put(7, 42, 1000);
        table.put(0, 43, 1000);
        assert!(!table.is_untouched());
        assert_eq!(table.get(7), Some(Found { value: 42, until: 1000 }));
        assert_eq!(table.get(0), Some(Found { value: 43, until: 1000 }));
        table.put(7, 44, 2000);
        assert_eq!(table.get(7), Some(Found { value: 44, until: 2000 }));
        table.remove(7);
        assert_eq!(table.get(7), None);
    }

    #[test]
    fn a_full_bucket_forgets_what_ends_first() {
        let table = Lossy::new(WAYS);
        for tag in 1..=4 {
            table.put(tag, tag, 100 + tag);
        }
        table.put(5, 5, 200);
        assert_eq!(table.get(1), None);
        assert!((2..=5).all(|tag| table.get(tag).is_some_and(|f| f.value == tag)));
    }

    #[test]
    fn many_tags_stay_within_the_table() {
        let table = Lossy::new(16);
        for tag in 0..100_000u64 {
            table.put(tag.wrapping_mul(0x9E37_79B9_7F4A_7C15), tag, tag);
        }
        assert_eq!(table.slots.len(), 16);
    }
}
