//! What a configuration would run, in words: for `check`, and for `serve`'s start.
//!
//! Shows ids, shares, models and addresses; never a key, a header's value or a proxy's password.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::pattern::Pattern;
use super::retired::{Retired, retired};
use super::snapshot::{
    Account, Affinity, Base, Budget, Kind, Level, Models, Provider, RateLimit, Snapshot, VirtualKey,
};
use super::{url, value};

/// The whole description, ending in a line feed. Retirements are judged by today's date.
pub fn describe(snapshot: &Snapshot) -> String {
    describe_on(snapshot, Timestamp::now().to_zoned_datetime(TimeZone::UTC).date())
}

/// The same, as of a day.
pub fn describe_on(snapshot: &Snapshot, today: Date) -> String {
    let mut out = Out(String::new());
    match &snapshot.source {
        Some(path) => out.line(0, format!("configuration: {}", path.display())),
        None => out.line(0, "configuration: none, from the environment"),
    }
    listener(&mut out, snapshot);
    snapshot.accounts.iter().for_each(|account| providers(&mut out, account));
    keys(&mut out, snapshot, today);
    snapshot.budgets.iter().for_each(|b| out.line(0, budget(b)));
    snapshot.rate_limits.iter().for_each(|l| out.line(0, rate_limit(l)));
    snapshot.aliases.iter().for_each(|a| out.line(0, format!("alias {} -> {}", a.name, a.target)));
    sessions(&mut out, snapshot);
    out.line(0, "costs: not computed yet by this version");
    snapshot.warnings.iter().for_each(|w| out.line(0, format!("warning: {w}")));
    retirements(&mut out, snapshot, today);
    out.0
}

/// A base URL as users write it; the bundled mock has none.
pub fn show_base(base: &Base) -> String {
    if base.host.is_empty() { "inside this process".to_owned() } else { url::show(base) }
}

struct Out(String);

impl Out {
    fn line(&mut self, depth: usize, text: impl std::fmt::Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{:1$}{text}", "", depth * 2);
    }
}

fn listener(out: &mut Out, snapshot: &Snapshot) {
    let server = &snapshot.server;
    let tls = if server.tls.is_some() { ", TLS" } else { "" };
    let workers = match server.workers {
        None => "one worker per core".to_owned(),
        Some(1) => "1 worker".to_owned(),
        Some(n) => format!("{n} workers"),
    };
    out.line(0, format!("listen {}{tls}, {workers}", server.listen));
}

fn providers(out: &mut Out, account: &Account) {
    out.line(0, format!("account {}", account.id));
    let rows: Vec<(String, String)> = account.providers.iter().map(|p| (role(p), provider(p))).collect();
    let width = rows.iter().map(|(role, _)| role.len()).max().unwrap_or(0);
    for (role, text) in rows {
        out.line(1, format_args!("{role:>width$}  {text}"));
    }
}

fn provider(p: &Provider) -> String {
    let mut parts = vec![format!("{} ({})", p.id, p.kind.word())];
    parts.push(match &p.models {
        Models::AsAsked => "model as asked".to_owned(),
        Models::One(model) => format!("model {model}"),
        Models::Map(map) => {
            let pair = |(from, to): &(Pattern, String)| match to.as_str() {
                "*" => format!("{} as asked", from.as_str()),
                to => format!("{} -> {to}", from.as_str()),
            };
            let pairs: Vec<String> = map.iter().map(pair).collect();
            format!("models {}", pairs.join(", "))
        }
    });
    if p.credentials.len() > 1 {
        let ids: Vec<&str> = p.credentials.iter().map(|c| c.id.as_str()).collect();
        parts.push(format!("{} keys ({})", ids.len(), ids.join(", ")));
    }
    if p.credentials.is_empty() && p.kind != Kind::Mock {
        parts.push("no key".to_owned());
    }
    if p.foreign_base {
        parts.push(format!("at {}", show_base(&p.base)));
    }
    parts.extend(p.proxy.as_ref().map(|proxy| format!("by proxy {}:{}", proxy.host, proxy.port)));
    parts.join(", ")
}

/// The share, or why there is none.
fn role(p: &Provider) -> String {
    if !p.enabled {
        "off".to_owned()
    } else if p.standby {
        "standby".to_owned()
    } else if p.share == 0.0 {
        "pinned".to_owned()
    } else {
        percent(p.share)
    }
}

/// `70 %`, `33.3 %`.
fn percent(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

fn keys(out: &mut Out, snapshot: &Snapshot, today: Date) {
    if snapshot.keys.is_empty() {
        out.line(0, "keys: none (open mode: every credential is served, on loopback only)");
    }
    snapshot.keys.iter().for_each(|k| out.line(0, key(k, snapshot, today)));
}

fn key(k: &VirtualKey, snapshot: &Snapshot, today: Date) -> String {
    let account = snapshot.accounts.get(k.account).map_or("?", |a| a.id.as_str());
    let mut parts = vec![format!("key {}: account {account}", k.id)];
    for (name, whose) in [("team", &k.team), ("customer", &k.customer), ("owner", &k.owner)] {
        parts.extend(whose.as_ref().map(|whose| format!("{name} {whose}")));
    }
    let models = k.allow.models.as_ref().map(|m| m.iter().map(|p| p.as_str().to_owned()).collect());
    for (name, list) in [("models", models), ("surfaces", k.allow.surfaces.clone())] {
        parts.extend(list.map(|list: Vec<String>| format!("{name} {}", list.join(" "))));
    }
    parts.push(reach(k, snapshot));
    parts.extend(k.expires.and_then(|s| Timestamp::from_second(s).ok()).map(|end| until(end, today)));
    parts.extend(k.disabled.then(|| "disabled".to_owned()));
    parts.join(", ")
}

/// A moment at midnight was written as the day before.
fn until(end: Timestamp, today: Date) -> String {
    let end = end.to_zoned_datetime(TimeZone::UTC);
    let day = end.date();
    let word = if day <= today { "EXPIRED at" } else { "until" };
    match (end.time() == Time::midnight(), day.yesterday()) {
        (true, Ok(last)) => format!("{word} the end of {last} (UTC)"),
        _ => format!("{word} {}", end.timestamp()),
    }
}

/// Which providers answer it.
fn reach(k: &VirtualKey, snapshot: &Snapshot) -> String {
    let allowed = |p: &&Provider| k.allow.providers.as_ref().is_none_or(|ids| ids.contains(&p.id));
    let answers = |p: &&Provider| p.enabled;
    let providers = snapshot.accounts.get(k.account).map_or(&[][..], |a| &a.providers);
    let ids: Vec<&str> = providers.iter().filter(allowed).filter(answers).map(|p| p.id.as_str()).collect();
    if ids.is_empty() { "reaches NO provider".to_owned() } else { format!("reaches {}", ids.join(" ")) }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Customer => "customer",
        Level::Team => "team",
        Level::VirtualKey => "virtual_key",
        Level::ProviderConfig => "provider_config",
    }
}

fn budget(b: &Budget) -> String {
    let money = value::show_money(b.limit_nano);
    let soft = if b.soft { ", soft" } else { "" };
    format!(
        "budget {} {}: ${money} {} ({}){soft}, not enforced yet",
        level(b.level),
        b.id,
        b.period,
        b.timezone
    )
}

fn rate_limit(l: &RateLimit) -> String {
    let period = value::show_duration(l.period);
    let mut parts = Vec::new();
    parts.extend(l.requests.map(|n| format!("{n} requests per {period}")));
    parts.extend(l.tokens.map(|n| format!("{n} tokens per {period}")));
    parts.extend(l.concurrent.map(|n| format!("{n} at once")));
    format!("rate limit {} {}: {}, not enforced yet", level(l.level), l.id, parts.join(", "))
}

fn sessions(out: &mut Out, snapshot: &Snapshot) {
    let several = |a: &Account| a.providers.iter().filter(|p| p.share > 0.0).count() > 1;
    match snapshot.affinity {
        Affinity::Session if snapshot.accounts.iter().any(several) => out.line(
            0,
            "one session stays with one provider, shares hold over sessions (`routing: { affinity: none }`: chosen for each request)",
        ),
        Affinity::Session => {}
        Affinity::None => out.line(0, "the provider is chosen for each request, without regard to sessions"),
    }
}

fn retirements(out: &mut Out, snapshot: &Snapshot, today: Date) {
    for p in snapshot.accounts.iter().flat_map(|a| &a.providers).filter(|p| p.kind == Kind::Anthropic) {
        let models: Vec<&str> = match &p.models {
            Models::AsAsked => Vec::new(),
            Models::One(model) => vec![model],
            Models::Map(map) => map.iter().map(|(_, to)| to.as_str()).collect(),
        };
        for Retired { model, on } in models.into_iter().filter_map(retired) {
            let when = if on <= today { "is retired since" } else { "retires on" };
            out.line(0, format!("warning: {}: model {model} {when} {on}", p.stable));
        }
    }
}
