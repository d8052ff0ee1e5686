//! The first choice of a plan: the session's home or where it was moved to, else whose turn it is by weight; or the refusal,
//! where all rest and said until when.
//!
//! Notes where a session was answered. Who follows the first one is [`super`]'s.

use std::time::Duration;

use super::{Choice, Home, Plan};
use crate::error::{Error, Kind, Stage};
use crate::route::health::{Cause, Resting, millis};
use crate::route::lineup::{LeftOut, Reason};
use crate::route::pins::Pin;
use crate::route::select::{Chooser, Member, hash, mix, rendezvous};

impl Plan<'_> {
    /// Ends the request where everyone rests and said until when. Also notes who rests.
    pub(super) fn refuse_if_all_rest(&mut self, ms: u64) -> Result<(), Error> {
        let (mut free, mut soonest, mut limits_only) = (false, None::<u64>, true);
        for at in 0..self.slots.len() {
            let Some(rest) = self.obstacle(at, ms) else {
                free = true;
                continue;
            };
            self.note_rest(at, rest, ms);
            if rest.is_hopeless() {
                continue;
            }
            // One that did not say may be back before its time: it is asked.
            free |= !rest.said;
            limits_only &= rest.cause == Cause::Limit;
            soonest = Some(soonest.map_or(rest.until, |s| s.min(rest.until)));
        }
        match soonest {
            Some(until) if !free => Err(self.all_rest(limits_only, until.saturating_sub(ms))),
            _ => Ok(()),
        }
    }

    fn note_rest(&mut self, at: usize, rest: Resting, ms: u64) {
        let Some(provider) = self.provider(at) else { return };
        let left = rest.until.saturating_sub(ms);
        let reason = if left == 0 { Reason::Probed } else { Reason::Rests(rest.cause, left) };
        self.left_out.push(LeftOut { provider: &provider.id, reason });
    }

    fn all_rest(&self, limits_only: bool, ms: u64) -> Error {
        let kind = if limits_only { Kind::RateLimit } else { Kind::Unavailable };
        let what = if limits_only { "is at its rate limit" } else { "asked to be left alone for a while" };
        let who: Vec<&str> = self.order().map(|(p, _)| p.id.as_str()).collect();
        let message = format!(
            "every provider that serves `{}` {what} ({}): try again in {} s",
            self.asked.named,
            who.join(", "),
            ms.div_ceil(1000)
        );
        Error::new(Stage::Route, kind, message).after(Duration::from_millis(ms))
    }

    pub(super) fn choose_home(&mut self, session: u64, ms: u64) {
        let sharing = self.sharing();
        let members = (0..sharing).filter_map(|i| Some((i, self.seat(i)?.member)));
        let home = rendezvous(session, members).unwrap_or(0);
        let Some(tag) = self.home_tag(home, session) else { return };
        self.choice = if self.is_pinned() { Choice::Pinned } else { Choice::Home };
        let mut first = home;
        // A pin and a bare name may lead to the same model of the same provider, and each moves by itself.
        let session = if self.is_pinned() { mix(session, PINNED) } else { session };
        let home = Home { session, tag };
        self.home = Some(home);
        if let Some((slot, key)) = self.stays(home, ms) {
            first = slot;
            self.first_key = self.slots.get(slot).map(|s| s.at).zip(key);
            self.choice = Choice::Moved;
        }
        self.put_first(first);
        if self.slots.len() == 1 && self.choice == Choice::Home {
            self.choice = Choice::Only;
        }
    }

    /// The tag of a slot's provider and the key that the session has there when none rests.
    fn home_tag(&self, slot: usize, session: u64) -> Option<u64> {
        let seat = self.seat(slot)?;
        let keys = self.keys(slot).map(|(_, key)| (key.member.tag, key.member));
        Some(rendezvous(session, keys).unwrap_or(seat.member.tag))
    }

    /// Slot and key where failover left the session, if it still may be asked.
    fn stays(&self, home: Home, ms: u64) -> Option<(usize, Option<usize>)> {
        let moves = self.table.registry.moves();
        if moves.is_empty() {
            return None;
        }
        let target = moves.stays(self.move_tag(home), self.want.new_turn, ms)?;
        let tags = (0..self.slots.len()).flat_map(|slot| {
            let keys = self.keys(slot).map(move |(i, key)| (slot, Some(i), key.member.tag));
            let bare = self.seat(slot).filter(|s| s.keys.is_empty()).map(|s| (slot, None, s.member.tag));
            keys.chain(bare)
        });
        tags.into_iter().find(|&(_, _, tag)| tag == target).map(|(slot, key, _)| (slot, key))
    }

    /// Caches belong to a model, and one session may use several: each moves by itself.
    fn move_tag(&self, home: Home) -> u64 {
        mix(mix(home.session, home.tag), hash(self.asked.model))
    }

    pub(super) fn remember(&self, home: Home, answered: u64, ms: u64) {
        let moves = self.table.registry.moves();
        if answered != home.tag {
            let until = ms.saturating_add(millis((self.want.cache_ttl)()));
            moves.moved(self.move_tag(home), answered, until);
        } else if !moves.is_empty() {
            moves.at_home(self.move_tag(home));
        }
    }

    pub(super) fn choose_turn(&mut self, chooser: &mut Chooser, ms: u64) {
        self.point = chooser.ticket();
        let free: Vec<(usize, Member)> = self.free_of_first_tier(ms);
        let slot = chooser.turn(&free).unwrap_or(0);
        self.first_key = self.key_by_turn(slot, chooser, ms);
        self.put_first(slot);
        self.choice = match (self.is_pinned(), self.slots.len()) {
            (true, _) => Choice::Pinned,
            (false, 1) => Choice::Only,
            (false, _) => Choice::Turn,
        };
    }

    /// The members of the first tier of which one may be asked at once.
    fn free_of_first_tier(&self, ms: u64) -> Vec<(usize, Member)> {
        let mut free: Vec<(usize, Member)> = Vec::with_capacity(self.slots.len());
        let mut tier = None;
        for (i, slot) in self.slots.iter().enumerate() {
            if tier.is_some_and(|t| t != slot.tier) {
                break;
            }
            if let Some(seat) = self.seat(i).filter(|_| self.obstacle(i, ms).is_none()) {
                tier = Some(slot.tier);
                free.push((i, seat.member));
            }
        }
        free
    }

    fn key_by_turn(&self, slot: usize, chooser: &mut Chooser, ms: u64) -> Option<(usize, usize)> {
        let seat = self.seat(slot)?;
        if seat.keys.len() < 2 {
            return None;
        }
        let free = self.keys(slot).filter(|&(_, key)| self.key_rest(slot, seat, key, ms).is_none());
        let free: Vec<(usize, Member)> = free.map(|(i, key)| (i, key.member)).collect();
        Some((self.slots.get(slot)?.at, chooser.turn(&free)?))
    }

    fn put_first(&mut self, slot: usize) {
        if let Some(front) = self.slots.get_mut(..=slot) {
            front.rotate_right(1);
        }
    }

    fn is_pinned(&self) -> bool {
        matches!(self.asked.pin, Pin::Provider(_) | Pin::Kind(_))
    }
}

/// Tells the moves of pinned requests apart.
const PINNED: u64 = 1;
