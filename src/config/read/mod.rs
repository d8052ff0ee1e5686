//! Checked values → the snapshot that runs.
//!
//! Here is what fields say of each other: references, duplicates, what excludes what, what listening beyond loopback
//! demands. Ids become indices, weights become shares, credentials become ready to send. Mistakes are collected, never
//! returned early. Does not look at YAML, and at the environment only for the proxy.

mod account;
mod budget;
mod key;
mod provider;
mod server;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::decode::{Item, Record};
use super::env::Env;
use super::mistake::{Pos, Sink, quoted};
use super::near::nearest;
use super::snapshot::{Account, Affinity, Alias, Kind, Log, Retry, Server, Snapshot, Timeouts, VirtualKey};
use super::startup;

pub use account::shares;

/// What reading takes beside the file.
pub struct Reader<'a> {
    /// For the proxy, and for providers where the file has none.
    pub env: &'a dyn Env,
    /// `--listen`, over the file's.
    pub listen: Option<SocketAddr>,
    /// The gateway that reloads.
    pub running: Option<&'a Server>,
    /// Where mistakes and warnings go.
    pub sink: &'a mut Sink,
}

/// What other fields may refer to.
struct Known {
    /// Accounts with the ids of their providers.
    accounts: Vec<(String, Vec<String>)>,
    /// Whether the file itself names the accounts.
    written: bool,
    customers: Vec<String>,
    /// Teams with their customers.
    teams: BTreeMap<String, Option<String>>,
    keys: Vec<String>,
}

impl Reader<'_> {
    /// The snapshot of a file. It is worth nothing where mistakes were noted.
    pub fn snapshot(&mut self, file: &Record) -> Snapshot {
        let server = self.server(file.record("server"));
        let retry = retry(file.record("retry"));
        let accounts = self.accounts_or_env(file, &retry, &server);
        let mut known = self.known(file, &accounts);
        let keys = self.keys(file, &server, &known);
        known.keys = ids(file, "virtual_keys");
        self.own_keys(file, &keys);
        if !known.written {
            self.own_keys_of_env(file, &accounts, &keys);
        }
        self.listening(file, &server, &keys);
        let budgets = self.budgets(file, &known);
        let rate_limits = self.rate_limits(file, &known);
        let aliases = self.aliases(file, &accounts);
        Snapshot {
            source: None,
            server,
            accounts,
            keys,
            aliases,
            affinity: affinity(file.record("routing")),
            retry,
            budgets,
            rate_limits,
            log: log(file.record("log")),
            warnings: Vec::new(),
        }
    }

    fn accounts_or_env(&mut self, file: &Record, retry: &Retry, server: &Server) -> Vec<Account> {
        if file.has("accounts") {
            return self.accounts(file, retry, server);
        }
        self.sink.warn("the file names no `accounts`: providers come from the environment");
        let (account, warnings) = startup::account(self.env, &retry.timeouts);
        for warning in warnings {
            self.sink.warn(warning);
        }
        vec![account]
    }

    fn known(&mut self, file: &Record, accounts: &[Account]) -> Known {
        let provider_ids = |a: &Account| a.providers.iter().map(|p| p.id.clone()).collect();
        let mut known = Known {
            accounts: accounts.iter().map(|a| (a.id.clone(), provider_ids(a))).collect(),
            written: file.has("accounts"),
            customers: ids(file, "customers"),
            teams: BTreeMap::new(),
            keys: Vec::new(),
        };
        self.unique(file.records("customers"), "customers");
        self.unique(file.records("teams"), "teams");
        for team in file.records("teams") {
            self.refers(team.item("customer"), "customer", known.customers.iter().map(String::as_str));
            if let Some(id) = team.string("id") {
                known.teams.insert(id, team.string("customer"));
            }
        }
        known
    }

    /// Ids are unique among the structures of one list.
    fn unique<'r>(&mut self, records: impl Iterator<Item = &'r Record>, list: &str) {
        let mut seen: BTreeMap<&str, Pos> = BTreeMap::new();
        for item in records.filter_map(|r| r.item("id")) {
            let Some(id) = item.text() else { continue };
            if let Some(first) = seen.get(id) {
                let text = format!("{} stands twice in {list}; first on line {}", item.raw, first.line);
                self.sink.mistake(item.at, &item.path, text);
            } else {
                seen.insert(id, item.at);
            }
        }
    }

    /// A reference to something that exists.
    fn refers<'n>(&mut self, item: Option<&Item>, what: &str, names: impl Iterator<Item = &'n str> + Clone) {
        let Some((item, name)) = item.and_then(|i| i.text().map(|t| (i, t))) else { return };
        if !names.clone().any(|n| n == name) {
            self.dangling(item, &item.raw, name, what, names);
        }
    }

    fn dangling<'n>(
        &mut self,
        item: &Item,
        raw: &str,
        name: &str,
        what: &str,
        names: impl Iterator<Item = &'n str> + Clone,
    ) {
        let text = match nearest(name, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.clone().next().is_none() => "none is declared".to_owned(),
            None => format!("there is {}", super::decode::listed(names)),
        };
        let article = if what.starts_with('a') { "an" } else { "a" };
        let text = format!("{raw} is not {article} {what}; {text}");
        self.sink.mistake(item.at, &item.path, text);
    }

    /// An alias leads to a provider that exists, where it names one, and to no other alias: names are resolved once.
    fn aliases(&mut self, file: &Record, accounts: &[Account]) -> Vec<Alias> {
        let mut out = Vec::new();
        for (name, target) in file.map("aliases") {
            let (Some(name), Some(to)) = (name.text(), target.text()) else { continue };
            let next =
                file.map("aliases").iter().find(|(other, _)| other.text().is_some_and(|o| leads_to(to, o)));
            if let Some((_, end)) = next.filter(|(other, _)| other.text() != Some(name)) {
                let text = format!(
                    "{} is itself an alias, which is not followed; expected what it stands for, {}",
                    target.raw, end.raw
                );
                self.sink.mistake(target.at, &target.path, text);
            } else if let Some((provider, model)) = to.split_once('/') {
                self.alias_target(target, provider, model, accounts);
            }
            out.push(Alias { name: name.to_owned(), target: to.to_owned() });
        }
        out
    }

    fn alias_target(&mut self, target: &Item, provider: &str, model: &str, accounts: &[Account]) {
        let all = || accounts.iter().flat_map(|a| &a.providers);
        if all().any(|p| p.id == provider || p.kind.word() == provider) {
            if model.is_empty() {
                self.sink.mistake(
                    target.at,
                    &target.path,
                    format!("{} names no model behind the `/`", target.raw),
                );
            }
            return;
        }
        let ids = all().map(|p| p.id.as_str());
        // Models of compatible servers may hold slashes of their own (`meta-llama/…`).
        let slashes = all().any(|p| p.kind.has_slashes());
        let named = Kind::words().any(|word| word == provider) || nearest(provider, ids.clone()).is_some();
        if named || !slashes {
            let raw = if target.raw.contains("${") { target.raw.clone() } else { quoted(provider) };
            self.dangling(target, &raw, provider, "provider", ids);
        }
    }

    /// A provider that is given one of the gateway's own keys would ask the gateway itself.
    fn own_keys(&mut self, file: &Record, keys: &[VirtualKey]) {
        let own = |secret: &str| {
            let hash = key::sha256(secret);
            keys.iter().find(|k| k.hash == hash).map(|k| k.id.clone())
        };
        let records = file.records("accounts").flat_map(|a| a.records("providers"));
        for item in records.flat_map(provider::key_items) {
            if let Some(id) = item.text().and_then(own) {
                let text = format!("is the gateway's own virtual key `{id}`; expected a key of the provider");
                self.sink.mistake(item.at, &item.path, text);
            }
        }
    }

    /// The same for a shell that has the gateway's key where a client looks for it.
    fn own_keys_of_env(&mut self, file: &Record, accounts: &[Account], keys: &[VirtualKey]) {
        for provider in accounts.iter().flat_map(|a| &a.providers) {
            let hashes: Vec<_> =
                provider.credentials.iter().map(|c| key::sha256(c.secret.expose())).collect();
            let Some(own) = keys.iter().find(|k| hashes.contains(&k.hash)) else { continue };
            let record = file.records("virtual_keys").find(|r| r.text("id") == Some(own.id.as_str()));
            let Some(item) = record.and_then(|r| r.item("key").or_else(|| r.item("key_sha256"))) else {
                continue;
            };
            let variable = provider.kind.of().variable;
            let text = format!(
                "is also in `{variable}`, so the gateway would ask itself with it; unset that variable here, or name the `accounts`"
            );
            self.sink.mistake(item.at, &item.path, text);
        }
    }
}

/// Whether a name asks for an alias, by itself or without `[1m]`.
fn leads_to(name: &str, alias: &str) -> bool {
    let marked = name.strip_prefix(alias).is_some_and(|mark| mark.eq_ignore_ascii_case("[1m]"));
    name == alias || marked
}

fn ids(file: &Record, list: &str) -> Vec<String> {
    file.records(list).filter_map(|r| r.string("id")).collect()
}

fn retry(record: Option<&Record>) -> Retry {
    let span = |name: &str| record.and_then(|r| r.span(name));
    let d = RETRY;
    Retry {
        attempts: record
            .and_then(|r| r.whole("attempts"))
            .and_then(|n| n.try_into().ok())
            .unwrap_or(d.attempts),
        max_wait: span("max_wait").unwrap_or(d.max_wait),
        keep_cache: d.keep_cache,
        ping_after: span("ping_after").unwrap_or(d.ping_after),
        timeouts: Timeouts {
            connect: span("connect_timeout").unwrap_or(d.timeouts.connect),
            first_byte: span("first_byte_timeout").unwrap_or(d.timeouts.first_byte),
            idle: span("idle_timeout").unwrap_or(d.timeouts.idle),
            total: span("total_timeout").unwrap_or(d.timeouts.total),
        },
    }
}

fn affinity(record: Option<&Record>) -> Affinity {
    match record.and_then(|r| r.text("affinity")) {
        Some("none") => Affinity::None,
        _ => Affinity::Session,
    }
}

fn log(record: Option<&Record>) -> Log {
    let flag = |name: &str, default: bool| record.and_then(|r| r.flag(name)).unwrap_or(default);
    Log { requests: flag("requests", true), access: flag("access", false) }
}

/// `retry` where nothing is written (INTERFACE section 2).
pub const RETRY: Retry = {
    use std::time::Duration;
    Retry {
        attempts: 4,
        max_wait: Duration::from_secs(10),
        keep_cache: Duration::from_secs(10),
        ping_after: Duration::from_secs(30),
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_mins(2),
            idle: Duration::from_mins(5),
            total: Duration::from_mins(10),
        },
    }
};
/// `log` where nothing is written.
pub const LOG: Log = Log { requests: true, access: false };

pub use server::default as default_server;

/// What is wrong with listening where a snapshot listens, for an address that was set after loading. Empty: nothing.
pub fn listen_mistakes(snapshot: &Snapshot, env: &dyn Env) -> Vec<String> {
    let listen = snapshot.server.listen;
    let mut out = Vec::new();
    if !listen.ip().is_loopback() && snapshot.keys.is_empty() {
        out.push(format!(
            "`{listen}` is beyond loopback, which takes `virtual_keys`; add one, or listen on 127.0.0.1"
        ));
    }
    for provider in snapshot.accounts.iter().flat_map(|a| &a.providers) {
        if super::url::is_own(&provider.base, listen, env) {
            out.push(format!("{}: `base_url` is the gateway's own address {listen}", provider.stable));
        }
    }
    out
}
