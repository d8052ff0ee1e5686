//! A house for routing's tests: a configuration in a few words, providers that behave as told, and a clock that moves only
//! when told.
//!
//! ```text
//! house("a 70; b 30; c standby").is("a", "429/5").ask("claude", "a:429, b:ok").after(5).ask("claude", "a:429, b:ok");
//! ```
//!
//! Providers are written as `id`, then any of a weight, `standby`, `off`, `field=value`, `keys=one,two:3`, separated by `;`.
//! Answers are `ok`, a status (`429`, with `429/5` for its `retry-after`), or the word of a [`Class`] (`overflow 9>5`: 9 tokens
//! do not fit 5).
//! Not compiled outside of tests. Uses the configuration's own reader, so that a field is spelled as users spell it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Candidate, Chooser, Next, Plan, Registry, Table, Want, plan, session_hash};
use crate::auth::{self, Caller, Carriers, Context, Keys, Surface};
use crate::config::env::Given;
use crate::config::snapshot::Kind;
use crate::config::{self, Snapshot};
use crate::error::{Class, Error, Failure, Length};
use crate::govern::{self, Entry};
use crate::wire::traits::{CHAT, MESSAGES, Traits};

/// A gateway's routing with everything around it simulated.
pub struct House {
    pub snapshot: Snapshot,
    pub table: Table,
    pub registry: Arc<Registry>,
    pub keys: Keys,
    pub now: Instant,
    chooser: RefCell<Chooser>,
    /// By `provider`, `provider#key` or `provider=model`; the more precise name counts.
    behaviour: BTreeMap<String, Failure>,
}

/// What a request asks, with the defaults of a main turn of Claude Code that has no session.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    pub model: &'a str,
    pub surface: Surface,
    pub session: Option<&'a str>,
    pub key: Option<&'a str>,
    pub new_turn: bool,
    pub tokens: Option<u64>,
    pub embeddings: bool,
    pub images: bool,
}

/// A request for a model.
pub fn ask(model: &str) -> Ask<'_> {
    Ask {
        model,
        surface: Surface::Anthropic,
        session: None,
        key: None,
        new_turn: true,
        tokens: None,
        embeddings: false,
        images: false,
    }
}

impl<'a> From<&'a str> for Ask<'a> {
    fn from(model: &'a str) -> Self {
        ask(model)
    }
}

impl<'a> Ask<'a> {
    pub fn session(self, id: &'a str) -> Self {
        Self { session: Some(id), ..self }
    }

    /// In the middle of a tool loop.
    pub fn in_a_loop(self) -> Self {
        Self { new_turn: false, ..self }
    }

    /// With a virtual key's secret.
    pub fn key(self, secret: &'a str) -> Self {
        Self { key: Some(secret), ..self }
    }

    pub fn tokens(self, tokens: u64) -> Self {
        Self { tokens: Some(tokens), ..self }
    }

    pub fn embeddings(self) -> Self {
        Self { embeddings: true, ..self }
    }

    pub fn images(self) -> Self {
        Self { images: true, ..self }
    }

    pub fn surface(self, surface: Surface) -> Self {
        Self { surface, ..self }
    }
}

/// A house with these providers.
pub fn house(providers: &str) -> House {
    furnished(providers, "")
}

/// A house with these providers and further parts of a configuration.
pub fn furnished(providers: &str, more: &str) -> House {
    let text = format!("accounts:\n  - id: acc\n    providers:\n{}{more}\n", written(providers));
    configured(&text)
}

/// A house from a whole configuration.
pub fn configured(text: &str) -> House {
    let snapshot = read(text);
    let now = Instant::now();
    let registry = Arc::new(Registry::new(now));
    House {
        table: Table::new(&snapshot, &registry),
        keys: Keys::new(&snapshot),
        chooser: RefCell::new(Chooser::new(0)),
        behaviour: BTreeMap::new(),
        snapshot,
        registry,
        now,
    }
}

pub fn read(text: &str) -> Snapshot {
    config::from_text("house", text, &Given::new()).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// The lines of `providers`.
fn written(providers: &str) -> String {
    let lines: Vec<String> =
        providers.split(';').map(|p| format!("      - {{ {} }}\n", one(p.trim()))).collect();
    lines.concat()
}

fn one(provider: &str) -> String {
    // Values may hold blanks inside of braces only.
    let mut words = words(provider).into_iter();
    let id = words.next().unwrap_or_default();
    let (mut out, mut typed, mut keyed) = (format!("id: {id}"), false, false);
    for word in words {
        let part = match word.split_once('=') {
            Some(("keys", keys)) => {
                keyed = true;
                let key = |k: &str| {
                    let (id, weight) = k.split_once(':').unwrap_or((k, "1"));
                    format!("{{ id: {id}, key: sk-{id}, weight: {weight} }}")
                };
                format!("api_keys: [{}]", keys.split(',').map(key).collect::<Vec<_>>().join(", "))
            }
            Some((field, value)) => {
                typed |= field == "type";
                keyed |= field.starts_with("api_key") || value == "mock";
                format!("{field}: {value}")
            }
            None if word == "standby" => "standby: true".to_owned(),
            None if word == "off" => "enabled: false".to_owned(),
            None => format!("weight: {word}"),
        };
        out = format!("{out}, {part}");
    }
    if !typed {
        out.push_str(", type: anthropic");
    }
    if !keyed {
        let _ = write!(out, ", api_key: sk-of-{id}");
    }
    out
}

fn words(text: &str) -> Vec<String> {
    let (mut words, mut depth) = (vec![String::new()], 0);
    for c in text.chars() {
        depth += i32::from(matches!(c, '{' | '[')) - i32::from(matches!(c, '}' | ']'));
        match words.last_mut() {
            Some(last) if c != ' ' || depth > 0 => last.push(c),
            _ => words.push(String::new()),
        }
    }
    words.retain(|w| !w.is_empty());
    words
}

impl House {
    /// From now on `who` (`provider`, `provider#key`, `provider=model`) answers like this.
    pub fn is(&mut self, who: &str, answer: &str) -> &mut Self {
        match failure(answer) {
            Some(failure) => self.behaviour.insert(who.to_owned(), failure),
            None => self.behaviour.remove(who),
        };
        self
    }

    /// Lets seconds pass.
    pub fn after(&mut self, seconds: f64) -> &mut Self {
        self.now += Duration::from_secs_f64(seconds);
        self
    }

    /// Sends a request to its end and compares what became of it: the attempts with the waits between them
    /// (`a:500, wait 0.5, a:ok`), then what was told if nobody answered (`| asked after 5`), or the refusal
    /// (`429 after 5`).
    #[track_caller]
    pub fn ask<'q>(&mut self, ask: impl Into<Ask<'q>>, expected: &str) -> &mut Self {
        let told = self.send(ask.into());
        assert_eq!(told, expected);
        self
    }

    /// Sends a request to its end.
    pub fn send(&mut self, ask: Ask<'_>) -> String {
        let mut clock = self.now;
        let told = self.course(ask, &mut clock);
        self.now = clock;
        told
    }

    fn course(&self, ask: Ask<'_>, clock: &mut Instant) -> String {
        let mut plan = match self.plan(ask) {
            Ok(plan) => plan,
            Err(e) => return refusal(&e),
        };
        let mut told = String::new();
        loop {
            if !told.is_empty() {
                told.push_str(", ");
            }
            match plan.next(*clock) {
                Next::Try(candidate) => {
                    told.push_str(&name(&candidate));
                    let Some(failure) = self.answer(&candidate) else {
                        plan.succeeded(&candidate, *clock);
                        return told + ":ok";
                    };
                    let _ = if failure.was_told() {
                        write!(told, ":{}", failure.status)
                    } else {
                        write!(told, ":{}", failure.class.word())
                    };
                    plan.failed(&candidate, &failure, *clock);
                }
                Next::Wait(wait) => {
                    *clock += wait;
                    let _ = write!(told, "wait {}", wait.as_secs_f64());
                }
                Next::Exhausted(end) => {
                    let told = told.trim_end_matches(", ");
                    let after =
                        end.retry_after.map_or(String::new(), |r| format!(" after {}", r.as_secs_f64()));
                    return format!("{told} | {:?}{after}", end.why).trim_start().to_lowercase();
                }
            }
        }
    }

    fn answer(&self, candidate: &Candidate<'_>) -> Option<Failure> {
        let id = &candidate.provider.id;
        let key = candidate.credential.map_or("", |c| c.id.as_str());
        let names = [
            format!("{id}#{key}={}", candidate.model),
            format!("{id}#{key}"),
            format!("{id}={}", candidate.model),
            id.clone(),
        ];
        names.iter().find_map(|n| self.behaviour.get(n)).copied()
    }

    /// The plan of a request.
    pub fn plan<'a>(&'a self, ask: Ask<'a>) -> Result<Plan<'a>, Error> {
        self.plan_at(ask, self.now)
    }

    pub fn plan_at<'a>(&'a self, ask: Ask<'a>, now: Instant) -> Result<Plan<'a>, Error> {
        let caller = self.caller(ask)?;
        let entry = govern::enter(&self.snapshot, &caller, ask.surface, Some(ask.model))?;
        self.plan_for(&entry, ask, now)
    }

    fn plan_for<'a>(&'a self, entry: &Entry, ask: Ask<'a>, now: Instant) -> Result<Plan<'a>, Error> {
        let want = Want {
            model: ask.model,
            surface: ask.surface,
            session: ask.session.map(session_hash),
            new_turn: ask.new_turn,
            cache_ttl: &|| Duration::from_mins(5),
            large_context: false,
            context_needed: ask.tokens,
            window,
            embeddings: ask.embeddings,
            images: if ask.images { &|| true } else { &|| false },
            traits,
        };
        plan(&self.table, &self.snapshot, entry, &want, &mut self.chooser.borrow_mut(), now)
    }

    fn caller(&self, ask: Ask<'_>) -> Result<Caller, Error> {
        let header = |name: &str| ask.key.filter(|_| name == "x-api-key");
        let context =
            Context { surface: ask.surface, loopback_listener: true, peer_loopback: true, forwarded: false };
        auth::caller(&self.keys, &Carriers { header: &header, query_key: None }, context, 0)
    }

    /// Whom a request would ask first, as which model: `a as gpt-4o`; or the refusal.
    pub fn first<'q>(&self, ask: impl Into<Ask<'q>>) -> String {
        match self.plan(ask.into()) {
            Ok(plan) => {
                plan.order().next().map_or(String::new(), |(p, model)| format!("{} as {model}", p.id))
            }
            Err(e) => refusal(&e),
        }
    }

    /// Everyone who may be asked, in order: `a, b`; or the refusal.
    pub fn order<'q>(&self, ask: impl Into<Ask<'q>>) -> String {
        match self.plan(ask.into()) {
            Ok(plan) => plan.order().map(|(p, _)| p.id.as_str()).collect::<Vec<_>>().join(", "),
            Err(e) => refusal(&e),
        }
    }

    /// Why others are not asked: `b: disabled; c: …`.
    pub fn left_out<'q>(&self, ask: impl Into<Ask<'q>>) -> String {
        match self.plan(ask.into()) {
            Ok(plan) => {
                let all: Vec<String> =
                    plan.left_out().iter().map(|l| format!("{}: {}", l.provider, l.reason)).collect();
                all.join("; ")
            }
            Err(e) => refusal(&e),
        }
    }

    /// A session whose home is this provider (or `provider#key`).
    pub fn session_at(&self, home: &str) -> String {
        let at_home = |id: &String| {
            let mut plan = self.plan(ask("claude-x").session(id)).ok()?;
            match plan.next(self.now) {
                Next::Try(c) => (c.provider.id == home || name(&c) == home).then_some(()),
                Next::Wait(_) | Next::Exhausted(_) => None,
            }
        };
        (0..10_000).map(|i| format!("session-{i}")).find(|id| at_home(id).is_some()).unwrap_or_default()
    }

    /// Another configuration, with the registry kept as in a reload.
    pub fn reload(&mut self, providers: &str) -> &mut Self {
        self.snapshot = read(&format!("accounts:\n  - id: acc\n    providers:\n{}", written(providers)));
        self.table = Table::new(&self.snapshot, &self.registry);
        self.registry.prune();
        self
    }
}

/// `provider`, with the key where there are several.
pub fn name(candidate: &Candidate<'_>) -> String {
    match candidate.credential {
        Some(key) if candidate.provider.credentials.len() > 1 => {
            format!("{}#{}", candidate.provider.id, key.id)
        }
        _ => candidate.provider.id.clone(),
    }
}

/// `429 after 5`, or `404`.
fn refusal(error: &Error) -> String {
    let after = error.retry_after.map_or(String::new(), |s| format!(" after {s}"));
    format!("{}{after}", error.kind.status())
}

/// How a word or a status is taken; `ok` is no failure.
pub fn failure(answer: &str) -> Option<Failure> {
    let (answer, length) =
        answer.split_once(' ').map_or((answer, Length::default()), |(a, l)| (a, lengths(l)));
    let (what, after) = answer.split_once('/').map_or((answer, None), |(w, a)| (w, a.parse().ok()));
    let (class, status) = match what {
        "ok" => return None,
        "connect" => (Class::Connect, 0),
        "tls" => (Class::Tls, 0),
        "reset" => (Class::Reset, 0),
        "first_byte" => (Class::FirstByte, 0),
        "total" => (Class::Total, 0),
        "unreadable" => (Class::Unreadable, 0),
        "overflow" => (Class::Overflow, 400),
        "field" => (Class::Field, 400),
        "signature" => (Class::Signature, 400),
        "400" | "413" | "422" => (Class::Client, what.parse().unwrap_or(400)),
        "401" | "403" => (Class::Credential, what.parse().unwrap_or(401)),
        "402" => (Class::Money, 402),
        "404" => (Class::Model, 404),
        "408" | "409" => (Class::Conflict, what.parse().unwrap_or(409)),
        "429" => (Class::RateLimit, 429),
        "508" => (Class::Loop, 508),
        "unable" => (Class::Unable, 0),
        "empty" => (Class::Unreadable, 200),
        "503" | "529" => (Class::Overloaded, what.parse().unwrap_or(529)),
        "500" | "502" | "504" => (Class::Server, what.parse().unwrap_or(500)),
        other => panic!("`{other}` is no answer"),
    };
    Some(Failure { class, status, retry_after: after.map(Duration::from_secs_f64), length })
}

/// `2000>1000`, either of which may be missing: needed, and the limit.
fn lengths(told: &str) -> Length {
    let (needed, limit) = told.split_once('>').unwrap_or((told, ""));
    Length { needed: needed.parse().ok(), limit: limit.parse().ok() }
}

/// Anthropic offers no embeddings, and `DeepSeek` takes no images.
pub fn traits(kind: Kind) -> &'static Traits {
    match kind {
        Kind::Anthropic => &MESSAGES,
        Kind::DeepSeek => &Traits { images: false, ..CHAT },
        _ => &CHAT,
    }
}

/// `small` holds 1,000 tokens, `medium` 200,000, `large` 1,000,000; of others nothing is known. `[1m]` is 1,000,000 for all
/// but `small`.
fn window(model: &str) -> Option<u64> {
    match model {
        "small" | "small[1m]" => Some(1_000),
        "medium" => Some(200_000),
        "large" => Some(1_000_000),
        other => other.ends_with("[1m]").then_some(1_000_000),
    }
}
