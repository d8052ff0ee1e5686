//! How the providers and keys of a plan stand: what rests, what was tried, and which key is next.
//!
//! Only looks: what follows from it is [`super`]'s.

use super::Plan;
use crate::config::snapshot::Provider;
use crate::route::health::{Cause, Resting, Standing};
use crate::route::lineup::serves;
use crate::route::select::{hash, rendezvous};
use crate::route::table::{Key, Seat};

impl<'a> Plan<'a> {
    pub(super) fn provider(&self, slot: usize) -> Option<&'a Provider> {
        self.account.providers.get(self.slots.get(slot)?.at)
    }

    pub(super) fn seat(&self, slot: usize) -> Option<&'a Seat> {
        self.seats.list.get(self.slots.get(slot)?.at)
    }

    /// Why a slot cannot be asked at once: its provider rests, its model there, or every key that was not yet tried.
    pub(super) fn obstacle(&self, slot: usize, ms: u64) -> Option<Resting> {
        let seat = self.seat(slot)?;
        match seat.health.standing(ms) {
            Standing::Resting(rest) => return Some(rest),
            Standing::Busy => return Some(Resting { until: ms, said: false, cause: Cause::Broken }),
            Standing::Free | Standing::Suspect => {}
        }
        if !seat.health.no_model_rests() {
            let model = hash(self.slots.get(slot)?.model);
            if let Some(rest) = seat.health.model_rest(model, ms) {
                return Some(rest);
            }
            if seat.keys.is_empty() {
                return seat.health.limit_rest(0, model, ms);
            }
        }
        let mut least: Option<Resting> = None;
        for (_, key) in self.untried(slot) {
            let rest = self.key_rest(slot, seat, key, ms)?;
            if least.is_none_or(|l| rest.reluctance() < l.reluctance()) {
                least = Some(rest);
            }
        }
        least
    }

    /// The rest of one key for the slot's model.
    pub(super) fn key_rest(&self, slot: usize, seat: &Seat, key: &Key, ms: u64) -> Option<Resting> {
        let limit = || {
            if seat.health.no_model_rests() {
                return None;
            }
            seat.health.limit_rest(key.limits, hash(self.slots.get(slot)?.model), ms)
        };
        key.health.resting(ms).or_else(limit)
    }

    /// The keys that may be used for a slot's model.
    pub(super) fn keys(&self, slot: usize) -> impl Iterator<Item = (usize, &'a Key)> + use<'a> {
        let model = self.slots.get(slot).map_or("", |s| s.model);
        let keys = self.seat(slot).map_or(&[][..], |s| &s.keys);
        let credentials = self.provider(slot).map_or(&[][..], |p| &p.credentials);
        let pairs = keys.iter().zip(credentials).enumerate();
        pairs.filter(move |(_, (_, c))| serves(&c.models, model)).map(|(i, (key, _))| (i, key))
    }

    /// Of these, the ones that were not asked in this request.
    pub(super) fn untried(&self, slot: usize) -> impl Iterator<Item = (usize, &'a Key)> {
        let tried = move |key: usize| self.attempts.iter().any(|a| a.slot == slot && a.key == Some(key));
        self.keys(slot).filter(move |&(i, _)| !tried(i))
    }

    /// A key that does not rest; `None` where no key is left.
    pub(super) fn pick_key(&self, slot: usize, ms: u64) -> Option<With> {
        let seat = self.seat(slot)?;
        if seat.keys.is_empty() {
            return self.attempts.iter().all(|a| a.slot != slot).then_some(With(None));
        }
        let free = || self.untried(slot).filter(|&(_, key)| self.key_rest(slot, seat, key, ms).is_none());
        if let Some((_, first)) =
            self.first_key.filter(|&(at, _)| Some(at) == self.slots.get(slot).map(|s| s.at))
            && free().any(|(i, _)| i == first)
        {
            return Some(With(Some(first)));
        }
        rendezvous(self.point, free().map(|(i, key)| (i, key.member))).map(|key| With(Some(key)))
    }

    /// The key whose rest ends first, for when everything rests.
    pub(super) fn pick_resting_key(&self, slot: usize, ms: u64) -> Option<With> {
        if let Some(free) = self.pick_key(slot, ms) {
            return Some(free);
        }
        let seat = self.seat(slot)?;
        let end = |key: &Key| self.key_rest(slot, seat, key, ms).map(|r| r.reluctance());
        self.untried(slot).min_by_key(|&(_, key)| end(key)).map(|(i, _)| With(Some(i)))
    }
}

/// The key to ask with; `None` for a provider that has none.
pub(super) struct With(pub Option<usize>);
