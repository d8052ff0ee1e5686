//! `accounts`: providers of one account together, and their shares.
//!
//! A share counts only who can answer; what one provider says is `provider`'s.

use super::Reader;
use crate::config::decode::Record;
use crate::config::snapshot::{Account, Provider, Retry, Server};

impl Reader<'_> {
    pub(super) fn accounts(&mut self, file: &Record, retry: &Retry, server: &Server) -> Vec<Account> {
        self.unique(file.records("accounts"), "accounts");
        if let Some(item) = file.item("accounts")
            && file.list("accounts").is_empty()
            && file.sound(&["accounts"])
        {
            self.sink.mistake(item.at, "accounts", "is empty; expected at least one account with a provider");
        }
        file.records("accounts").map(|record| self.account(record, retry, server)).collect()
    }

    fn account(&mut self, record: &Record, retry: &Retry, server: &Server) -> Account {
        let id = record.string("id").unwrap_or_default();
        self.unique(record.records("providers"), "this account");
        let mut providers: Vec<Provider> =
            record.records("providers").map(|p| self.provider(p, &id, retry, server)).collect();
        shares(&mut providers);
        let clear = |p: &Record| p.kind.is_some() && p.sound(&["weight", "enabled", "standby"]);
        if record.sound(&["providers"]) && record.records("providers").all(clear) {
            self.weights(record, &providers);
        }
        Account { id, providers }
    }

    fn weights(&mut self, record: &Record, providers: &[Provider]) {
        let Some(item) = record.item("providers") else { return };
        if providers.is_empty() {
            self.sink.mistake(item.at, &item.path, "is empty; expected at least one provider");
        } else if !providers.iter().any(|p| p.enabled && !p.standby && p.weight > 0.0) {
            let text =
                "no provider has a share; expected one that is enabled, not standby, with a weight above 0";
            self.sink.mistake(item.at, &item.path, text);
        }
    }
}

/// Weights normalised over the enabled, not standby providers; 0 for all others.
pub fn shares(providers: &mut [Provider]) {
    let counts = |p: &Provider| p.enabled && !p.standby;
    let largest = providers.iter().filter(|p| counts(p)).map(|p| p.weight).fold(0.0, f64::max);
    // Divided by the largest first: the sum of huge weights is no infinity then.
    let part = |p: &Provider| if counts(p) && largest > 0.0 { p.weight / largest } else { 0.0 };
    let sum: f64 = providers.iter().map(part).sum();
    for provider in providers {
        provider.share = if sum > 0.0 { part(provider) / sum } else { 0.0 };
    }
}
