//! `virtual_keys`: whose they are, what they may use. Only their hashes are kept.

use std::collections::BTreeMap;

use super::{Known, Reader};
use crate::config::decode::{Item, Record, join};
use crate::config::pattern::Pattern;
use crate::config::snapshot::{Allow, Server, VirtualKey};

impl Reader<'_> {
    pub(super) fn keys(&mut self, file: &Record, server: &Server, known: &Known) -> Vec<VirtualKey> {
        self.unique(file.records("virtual_keys"), "virtual_keys");
        let keys: Vec<_> = file.records("virtual_keys").map(|r| (r, self.key(r, server, known))).collect();
        let mut seen: BTreeMap<[u8; 32], &str> = BTreeMap::new();
        for (record, key) in &keys {
            let (Some(key), Some(item)) = (key, record.item("key").or_else(|| record.item("key_sha256")))
            else {
                continue;
            };
            if let Some(first) = seen.insert(key.hash, &key.id) {
                let text = format!("is the same key as that of `{first}`; two ids cannot share one");
                self.sink.mistake(item.at, &item.path, text);
            }
        }
        keys.into_iter().filter_map(|(_, key)| key).collect()
    }

    fn key(&mut self, record: &Record, server: &Server, known: &Known) -> Option<VirtualKey> {
        self.one_key(record);
        self.long_enough(record, server);
        let account = self.key_account(record, known);
        let (team, customer) = self.belongs(record, known);
        let allow = self.allow(record.record("allow"), account.and_then(|i| known.accounts.get(i)));
        Some(VirtualKey {
            id: record.string("id")?,
            hash: record.text("key").map(sha256).or_else(|| record.hash("key_sha256"))?,
            account: account?,
            team,
            customer,
            owner: record.string("owner"),
            allow,
            expires: record.moment("expires"),
            disabled: record.flag("disabled").unwrap_or(false),
        })
    }

    /// `key` or `key_sha256`, not both and not neither.
    fn one_key(&mut self, record: &Record) {
        match (record.has("key"), record.has("key_sha256")) {
            (false, false) => {
                self.sink.mistake(record.at, &record.path, "has no key; expected `key` or `key_sha256`");
            }
            (true, true) => {
                self.sink.mistake(record.at, &record.path, "has both `key` and `key_sha256`; leave one out");
            }
            (true, false) | (false, true) => {}
        }
    }

    fn long_enough(&mut self, record: &Record, server: &Server) {
        let Some((item, key)) = record.item("key").and_then(|i| i.text().map(|t| (i, t))) else { return };
        let length = key.chars().count();
        if !key.bytes().all(|b| b.is_ascii_graphic()) {
            self.sink.mistake(
                item.at,
                &item.path,
                "has characters that no header can carry; expected visible ASCII without spaces",
            );
        } else if !server.listen.ip().is_loopback() && length < SHORTEST_KEY {
            let text = format!(
                "has {length} characters; expected at least {SHORTEST_KEY} when listening beyond loopback ({})",
                server.listen
            );
            self.sink.mistake(item.at, &item.path, text);
        }
    }

    fn key_account(&mut self, record: &Record, known: &Known) -> Option<usize> {
        let names = known.accounts.iter().map(|(id, _)| id.as_str());
        let Some(item) = record.item("account") else {
            if known.accounts.len() > 1 && !record.has("account") {
                let all = crate::config::decode::listed(names);
                let text = format!("is missing; there are several accounts: {all}");
                self.sink.mistake(record.at, &join(&record.path, "account"), text);
            }
            return (known.accounts.len() == 1 && !record.has("account")).then_some(0);
        };
        if !known.accounts.is_empty() {
            self.refers(Some(item), "account", names);
        }
        known.accounts.iter().position(|(id, _)| Some(id.as_str()) == item.text())
    }

    fn belongs(&mut self, record: &Record, known: &Known) -> (Option<String>, Option<String>) {
        let (team, customer) = (record.string("team"), record.string("customer"));
        self.refers(record.item("team"), "team", known.teams.keys().map(String::as_str));
        self.refers(record.item("customer"), "customer", known.customers.iter().map(String::as_str));
        let of_team = team.as_ref().and_then(|t| known.teams.get(t)).cloned().flatten();
        if let (Some(item), Some(_)) = (record.item("customer"), &team)
            && customer != of_team
        {
            let text = format!(
                "{} stands beside `team`, whose customer is {}; leave it out",
                item.raw,
                of_team.as_deref().unwrap_or("none")
            );
            self.sink.mistake(item.at, &item.path, text);
        }
        (team, customer.or(of_team))
    }

    fn allow(&mut self, record: Option<&Record>, account: Option<&(String, Vec<String>)>) -> Allow {
        let Some(record) = record else { return Allow::default() };
        for name in ["models", "providers", "surfaces"] {
            if let Some(item) = record.item(name)
                && record.list(name).is_empty()
                && record.sound(&[name])
            {
                self.sink.mistake(
                    item.at,
                    &item.path,
                    "allows nothing; leave it out for all, or use `disabled: true`",
                );
            }
        }
        if let Some((id, providers)) = account {
            for item in record.list("providers") {
                self.refers(
                    Some(item),
                    &format!("provider of account `{id}`"),
                    providers.iter().map(String::as_str),
                );
            }
        }
        Allow {
            models: texts(record, "models").map(|list| list.into_iter().map(Pattern::new).collect()),
            providers: texts(record, "providers"),
            surfaces: texts(record, "surfaces"),
        }
    }
}

fn texts(record: &Record, name: &str) -> Option<Vec<String>> {
    record.item(name)?;
    Some(record.list(name).iter().filter_map(Item::text).map(str::to_owned).collect())
}

/// How keys are kept.
pub fn sha256(key: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, key.as_bytes()).as_ref());
    hash
}

/// Fewer characters can be guessed over a network.
const SHORTEST_KEY: usize = 16;
