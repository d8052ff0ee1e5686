//! One of an account's `providers`: where it is, what it is asked for, with which credentials.
//!
//! Opens no connection: whether it is there, `check --online` asks.

use super::Reader;
use crate::config::decode::{Item, Record, join};
use crate::config::pattern::Pattern;
use crate::config::secret::Secret;
use crate::config::snapshot::{Base, Credential, Kind, Models, Provider, Proxy, Retry, Server, Timeouts};
use crate::config::{startup, url};

impl Reader<'_> {
    pub(super) fn provider(
        &mut self,
        record: &Record,
        account: &str,
        retry: &Retry,
        server: &Server,
    ) -> Provider {
        let id = record.string("id").unwrap_or_default();
        let kind = record.kind.unwrap_or(Kind::Mock);
        let base = self.base(record, kind, server);
        self.interface(record);
        Provider {
            stable: format!("{account}/{id}"),
            kind,
            enabled: record.flag("enabled").unwrap_or(true),
            weight: record.weight("weight").unwrap_or(1.0),
            share: 0.0,
            standby: record.flag("standby").unwrap_or(false),
            models: self.models(record),
            credentials: self.credentials(record, kind),
            foreign_base: record.has("base_url") && base.is_elsewhere(&startup::home(kind)),
            headers: self.headers(record),
            proxy: self.proxy(record, &base),
            ca_file: record.path_of("ca_file"),
            timeouts: timeouts(record.record("timeouts"), retry.timeouts),
            max_output_tokens: record.whole("max_output_tokens"),
            strict: record.flag("strict").unwrap_or(false),
            base,
            id,
        }
    }

    /// Which of its interfaces a provider is asked by.
    fn interface(&mut self, record: &Record) {
        let Some(item) = record.item("api").filter(|item| item.text() != Some("chat")) else { return };
        let text = "is not built yet in this version; leave it out (Chat Completions is asked)";
        self.sink.mistake(item.at, &item.path, format!("{} {text}", item.raw));
    }

    fn base(&mut self, record: &Record, kind: Kind, server: &Server) -> Base {
        let Some(item) = record.item("base_url") else {
            return record.kind.map_or(startup::NOWHERE, |kind| self.home(record, kind, server));
        };
        if record.kind == Some(Kind::Mock) {
            let text =
                "type `mock` is the one inside this process; for another, use type `anthropic_compatible`";
            self.sink.mistake(item.at, &item.path, text);
            return startup::NOWHERE;
        }
        match url::base(item.text().unwrap_or_default(), kind.of().version) {
            Ok(base) => {
                if url::is_own(&base, server.listen, self.env) {
                    let text = format!(
                        "is the gateway's own address (`server.listen` is {}); expected the provider's",
                        server.listen
                    );
                    self.sink.mistake(item.at, &item.path, text);
                }
                base
            }
            Err(e) => {
                self.sink.mistake(item.at, &item.path, format!("{} {e}", item.raw));
                startup::NOWHERE
            }
        }
    }

    /// The type's own address, for a provider without a `base_url`, unless it has none or the gateway is there itself.
    fn home(&mut self, record: &Record, kind: Kind, server: &Server) -> Base {
        let home = startup::home(kind);
        let text = if kind == Kind::Mock || record.has("base_url") {
            return home;
        } else if home == startup::NOWHERE {
            format!("is missing; type `{}` has no address of its own", kind.word())
        } else if url::is_own(&home, server.listen, self.env) {
            format!("is missing; {} is the gateway's own address", url::show(&home))
        } else {
            return home;
        };
        self.sink.mistake(record.at, &join(&record.path, "base_url"), text);
        home
    }

    fn models(&mut self, record: &Record) -> Models {
        if record.has("model") && record.has("models") {
            let at = record.item("models").map_or(record.at, |i| i.at);
            let text = "stands beside `model`; expected one of them (`\"*\"` in `models` is for all others)";
            self.sink.mistake(at, &join(&record.path, "models"), text);
        }
        if let Some(model) = record.string("model") {
            return Models::One(model);
        }
        let Some(item) = record.item("models") else { return Models::AsAsked };
        let map = record.map("models");
        if map.is_empty() {
            self.sink.mistake(
                item.at,
                &item.path,
                "is empty: the provider would offer no model; leave it out for all",
            );
        }
        let pair = |(name, to): &(Item, Item)| Some((Pattern::new(name.text()?), to.text()?.to_owned()));
        Models::Map(map.iter().filter_map(pair).collect())
    }

    fn credentials(&mut self, record: &Record, kind: Kind) -> Vec<Credential> {
        if record.has("api_key") && record.has("api_keys") {
            let at = record.item("api_keys").map_or(record.at, |i| i.at);
            self.sink.mistake(
                at,
                &join(&record.path, "api_keys"),
                "stands beside `api_key`; expected one of them",
            );
        }
        if let Some(key) = record.text("api_key") {
            let secret = Secret::new(key);
            return vec![Credential { id: "default".to_owned(), secret, weight: 1.0, models: Vec::new() }];
        }
        if record.has("api_keys") {
            return self.pool(record);
        }
        let variable = kind.of().variable;
        let needed = record.kind.is_some() && !variable.is_empty();
        if needed && !record.has("api_key") && !record.has("auth") {
            let text = format!("is missing; expected `api_key: \"${{{variable}}}\"` or `api_keys`");
            self.sink.mistake(record.at, &join(&record.path, "api_key"), text);
        }
        Vec::new()
    }

    fn pool(&mut self, record: &Record) -> Vec<Credential> {
        self.unique(record.records("api_keys"), "api_keys");
        let pool: Vec<Credential> = record.records("api_keys").filter_map(credential).collect();
        let Some(item) = record.item("api_keys") else { return pool };
        let clear = record.sound(&["api_keys"]) && record.records("api_keys").all(|k| k.sound(&["weight"]));
        if clear && record.list("api_keys").is_empty() {
            self.sink.mistake(item.at, &item.path, "is empty; expected at least one key");
        } else if clear && !record.records("api_keys").any(|k| k.weight("weight") != Some(0.0)) {
            self.sink.mistake(item.at, &item.path, "no key has a weight above 0");
        }
        pool
    }

    fn headers(&mut self, record: &Record) -> Vec<(String, Secret)> {
        let mut out: Vec<(String, Secret)> = Vec::new();
        for (name, value) in record.map("headers") {
            let (Some(text), Some(secret)) = (name.text(), value.text()) else { continue };
            let lower = text.to_ascii_lowercase();
            if let Some(e) = header_mistake(&lower) {
                self.sink.mistake(name.at, &name.path, format!("{} {e}", name.raw));
            } else if out.iter().any(|(n, _)| *n == lower) {
                self.sink.mistake(
                    name.at,
                    &name.path,
                    format!("{} stands twice (case does not matter)", name.raw),
                );
            } else {
                out.push((lower, Secret::new(secret)));
            }
        }
        for (field, name) in [("organization", "openai-organization"), ("project", "openai-project")] {
            let value = record.text(field).filter(|_| out.iter().all(|(n, _)| n != name));
            out.extend(value.map(|value| (name.to_owned(), Secret::new(value))));
        }
        out
    }

    fn proxy(&mut self, record: &Record, base: &Base) -> Option<Proxy> {
        let Some(item) = record.item("proxy") else {
            return match startup::env_proxy(self.env, base) {
                Ok(proxy) => proxy,
                Err(warning) => {
                    self.sink.warn(format!("{}: {warning}", record.path));
                    None
                }
            };
        };
        match url::proxy(item.text()?) {
            Ok(proxy) => Some(proxy),
            Err(e) => {
                self.sink.mistake(item.at, &item.path, format!("the URL {e}"));
                None
            }
        }
    }
}

/// Every field of a provider that holds a credential for it.
pub(super) fn key_items(record: &Record) -> impl Iterator<Item = &Item> {
    record.item("api_key").into_iter().chain(record.records("api_keys").filter_map(|r| r.item("key")))
}

fn credential(record: &Record) -> Option<Credential> {
    let models = record.list("models").iter().filter_map(|i| i.text().map(Pattern::new)).collect();
    let weight = record.weight("weight").unwrap_or(1.0);
    Some(Credential { id: record.string("id")?, secret: Secret::new(record.text("key")?), weight, models })
}

fn timeouts(record: Option<&Record>, or: Timeouts) -> Timeouts {
    let span = |name: &str| record.and_then(|r| r.span(name));
    Timeouts {
        connect: span("connect").unwrap_or(or.connect),
        first_byte: span("first_byte").unwrap_or(or.first_byte),
        idle: span("idle").unwrap_or(or.idle),
        total: span("total").unwrap_or(or.total),
    }
}

/// Headers that the gateway itself must set, and names that are none.
fn header_mistake(name: &str) -> Option<&'static str> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !name.bytes().all(token) {
        return Some("is not the name of a header");
    }
    OWN_HEADERS.contains(&name).then_some("is set by the gateway itself")
}

const OWN_HEADERS: &[&str] = &[
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "keep-alive",
    "accept-encoding",
    "content-encoding",
    "proxy-authorization",
    "proxy-connection",
];
