//! State that each worker has for itself: one slot per home, never contended in practice.
//!
//! The lock inside keeps it sound should a coroutine ever run away from home; it is taken for a moment and never held
//! across a wait. It is not for state that all workers share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam::utils::CachePadded;

use super::home::{self, Home};

/// One `T` per home.
#[derive(Debug)]
pub struct Locals<T>(Box<[CachePadded<Mutex<T>>]>);

impl<T> Locals<T> {
    /// A slot for every home.
    pub fn new(mut make: impl FnMut() -> T) -> Self {
        Self((0..home::count()).map(|_| CachePadded::new(Mutex::new(make()))).collect())
    }

    /// The slot of `home`. The guard must not live across a wait.
    pub fn of(&self, home: &Home) -> MutexGuard<'_, T> {
        self.0[home.id].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every slot in turn, for counting and clearing.
    pub fn each(&self, mut look: impl FnMut(&mut T)) {
        for slot in &self.0 {
            look(&mut slot.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}
