//! The providers of a snapshot as routing sees them: tags, weights in steps, health resolved. Built once per snapshot.
//!
//! Chooses nothing and holds no state of its own: health lives in the [`Registry`] and outlives the table.

use std::sync::Arc;
use std::time::Instant;

use super::health::{KeyHealth, ProviderHealth, Registry, Standing};
use super::select::{Member, hash, mix, whole};
use crate::config::snapshot::{Account, Provider, Snapshot};

/// Everything that [`super::plan()`] needs of a snapshot. Must be used with the snapshot that it was built from.
#[derive(Debug)]
pub struct Table {
    pub(super) registry: Arc<Registry>,
    pub(super) accounts: Vec<Seats>,
}

/// The providers of one account.
#[derive(Debug)]
pub(super) struct Seats {
    /// In the file's order, as [`Account::providers`].
    pub(super) list: Vec<Seat>,
    /// Indices of the same: by weight, the heaviest first and ties in the file's order, `standby` behind all others.
    pub(super) order: Vec<usize>,
    /// Whether an enabled provider's own model ids may hold slashes.
    pub(super) slashes: bool,
}

/// One provider.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) member: Member,
    pub(super) health: Arc<ProviderHealth>,
    /// As [`Provider::credentials`].
    pub(super) keys: Vec<Key>,
}

/// One of a provider's keys.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) member: Member,
    /// Names its limits: unlike the member's tag it changes with the secret, which may belong to another account then.
    pub(super) limits: u64,
    pub(super) health: Arc<KeyHealth>,
}

impl Table {
    /// Resolves a snapshot against the registry, and lets the registry forget what is gone. Takes the registry's lock.
    pub fn new(snapshot: &Snapshot, registry: &Arc<Registry>) -> Self {
        let accounts = snapshot.accounts.iter().map(|a| Seats::new(a, registry)).collect();
        registry.prune();
        Self { registry: Arc::clone(registry), accounts }
    }

    /// Providers of all accounts that requests could go to now: enabled, served, and neither resting themselves nor with
    /// every key refused.
    pub fn usable(&self, snapshot: &Snapshot, now: Instant) -> usize {
        let now = self.millis(now);
        let seats = self.accounts.iter().flat_map(|a| &a.list);
        let providers = snapshot.accounts.iter().flat_map(|a| &a.providers);
        let awake = |seat: &Seat| {
            let has_key =
                seat.keys.is_empty() || seat.keys.iter().any(|key| key.health.resting(now).is_none());
            has_key && !matches!(seat.health.standing(now), Standing::Resting(_))
        };
        providers.zip(seats).filter(|(p, seat)| p.enabled && awake(seat)).count()
    }

    /// The clock of rests and moves.
    pub(super) fn millis(&self, now: Instant) -> u64 {
        self.registry.millis(now)
    }
}

impl Seats {
    fn new(account: &Account, registry: &Registry) -> Self {
        let weights: Vec<f64> = account.providers.iter().map(|p| p.weight).collect();
        let steps = whole(&weights);
        let list: Vec<Seat> =
            account.providers.iter().zip(steps).map(|(p, steps)| Seat::new(p, steps, registry)).collect();
        let mut order: Vec<usize> = (0..account.providers.len()).collect();
        order.sort_by(|&a, &b| {
            let (a, b) = (&account.providers[a], &account.providers[b]);
            a.standby.cmp(&b.standby).then(b.weight.total_cmp(&a.weight))
        });
        let slashes = account.providers.iter().any(|p| p.enabled && p.kind.has_slashes());
        Self { list, order, slashes }
    }
}

impl Seat {
    fn new(provider: &Provider, steps: i64, registry: &Registry) -> Self {
        let tag = hash(&provider.stable);
        let weights: Vec<f64> = provider.credentials.iter().map(|c| c.weight).collect();
        let keys = provider.credentials.iter().zip(whole(&weights)).map(|(credential, steps)| {
            let tag = mix(tag, hash(&credential.id));
            Key {
                member: Member { tag, weight: credential.weight, steps },
                limits: mix(tag, hash(credential.secret.expose())),
                health: registry.key(provider, credential),
            }
        });
        Self {
            member: Member { tag, weight: provider.weight, steps },
            keys: keys.collect(),
            health: registry.provider(provider),
        }
    }
}

impl Key {
    /// The tag of its limits and its health, as [`ProviderHealth::failed`] takes them.
    pub(super) fn noted(&self) -> (u64, &KeyHealth) {
        (self.limits, &self.health)
    }
}
