//! Who is calling: any credential header becomes a [`Caller`], by one function for every carrier and every route.
//!
//! Virtual keys are known by their SHA-256 only. Each credential that came is hashed, looked up by the first eight bytes
//! of its digest, and compared as a whole in constant time; an unknown one is compared with a digest that nothing
//! matches, so that it costs the same. Where no key has ever existed, and on loopback only, everyone is served
//! (*open mode*).
//!
//! ```text
//!                        a key exists                          no key ever existed
//!   carriers in order ──▶ first known ──▶ enabled, in time ──▶ Caller
//!                        │ none known      │ disabled  │ expired        loopback, no proxy ──▶ Caller `local`
//!                        ▼                 ▼           ▼                anything else ──▶ 401
//!                        401               401         401 (may retry)
//! ```
//!
//! It does not see the body, does not read the clock (the time is passed in), and never puts a credential into a message.
//! What a caller may do is `govern`'s.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use ring::digest::{SHA256, digest};

use crate::config::snapshot::{Allow, Level, Snapshot, VirtualKey};
pub use crate::edge::routes::Surface;
use crate::error::{Error, Kind, Stage};

/// Where a request may carry its credential.
pub struct Carriers<'a> {
    /// The value of a header, by its name in lower case.
    pub header: &'a dyn Fn(&str) -> Option<&'a str>,
    /// `?key=`, percent-decoded. Looked at on Gemini's surface only.
    pub query_key: Option<&'a str>,
}

/// How the request came, as far as open mode asks.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The surface of its path.
    pub surface: Surface,
    /// The listener is bound to a loopback address.
    pub loopback_listener: bool,
    /// The peer's address is a loopback address.
    pub peer_loopback: bool,
    /// `Forwarded` or `X-Forwarded-For` came: another proxy stands in front, so the peer's address says nothing.
    pub forwarded: bool,
}

/// Proof of who is calling. Made by [`caller`] only; a clone costs one reference count.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Identity>);

#[derive(Debug)]
struct Identity {
    key: String,
    account: usize,
    team: Option<String>,
    customer: Option<String>,
    owner: Option<String>,
    allow: Allow,
    open: bool,
}

impl Caller {
    /// The virtual key's id; `local` in open mode.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// Index into [`Snapshot::accounts`] of the snapshot that the [`Keys`] were built from.
    pub fn account(&self) -> usize {
        self.0.account
    }

    /// The key's team.
    pub fn team(&self) -> Option<&str> {
        self.0.team.as_deref()
    }

    /// The key's customer: its own, or its team's.
    pub fn customer(&self) -> Option<&str> {
        self.0.customer.as_deref()
    }

    /// Free text for attribution.
    pub fn owner(&self) -> Option<&str> {
        self.0.owner.as_deref()
    }

    /// What the key may use.
    pub fn allow(&self) -> &Allow {
        &self.0.allow
    }

    /// Whether nobody had to prove anything (open mode).
    pub fn is_open(&self) -> bool {
        self.0.open
    }
}

/// Every virtual key by its digest, built once per snapshot.
#[derive(Debug)]
pub struct Keys {
    /// From the first eight bytes of a digest to an index into `known`.
    index: HashMap<u64, usize>,
    known: Vec<Known>,
    open: Open,
}

#[derive(Debug)]
struct Known {
    hash: Digest,
    expires: Option<i64>,
    disabled: bool,
    caller: Caller,
}

/// Who is served in open mode.
#[derive(Debug)]
struct Open {
    /// Everyone else: `local`, or the only virtual key that budgets and rate limits name.
    everyone: Caller,
    /// Ids that budgets and rate limits name, as a credential in clear.
    named: Vec<(String, Caller)>,
}

type Digest = [u8; 32];

impl Keys {
    /// The table of one snapshot's keys.
    pub fn new(snapshot: &Snapshot) -> Self {
        let known: Vec<Known> = snapshot.keys.iter().map(Known::new).collect();
        let index = known.iter().enumerate().map(|(i, k)| (prefix(&k.hash), i)).collect();
        Self { index, known, open: Open::new(snapshot) }
    }

    /// Whether no key has ever existed, so that loopback is served without one.
    pub fn is_open(&self) -> bool {
        self.known.is_empty()
    }

    /// The caller that a key's id stands for, with neither a credential nor a look at its date: for `explain` only.
    pub fn by_id(&self, id: &str) -> Option<Caller> {
        self.known.iter().map(|k| &k.caller).find(|c| c.key() == id).cloned()
    }

    /// The caller of open mode, with neither a credential nor a look at the connection: for `explain` only.
    pub fn everyone(&self) -> Caller {
        self.open.everyone.clone()
    }

    fn find(&self, credential: &str) -> Option<&Known> {
        let hash = sha256(credential);
        let known = self.index.get(&prefix(&hash)).and_then(|&i| self.known.get(i));
        // An unknown one is compared as well, so that it takes as long.
        let same = same(&hash, known.map_or(&NOBODY, |k| &k.hash));
        known.filter(|_| same)
    }
}

impl Known {
    fn new(key: &VirtualKey) -> Self {
        let caller = Caller(Arc::new(Identity {
            key: key.id.clone(),
            account: key.account,
            team: key.team.clone(),
            customer: key.customer.clone(),
            owner: key.owner.clone(),
            allow: key.allow.clone(),
            open: false,
        }));
        Self { hash: key.hash, expires: key.expires, disabled: key.disabled, caller }
    }

    fn admit(&self, now_unix: i64) -> Result<Caller, Error> {
        if self.disabled {
            return Err(refused(format!(
                "the virtual key `{}` is disabled: ask whoever runs this gateway for another one",
                self.caller.key()
            )));
        }
        if self.expires.is_some_and(|end| now_unix >= end) {
            let message = format!(
                "the virtual key `{}` has expired: fetch a new one, or extend its `expires` in the configuration",
                self.caller.key()
            );
            return Err(Error::new(Stage::Auth, Kind::Expired, message));
        }
        Ok(self.caller.clone())
    }
}

impl Open {
    fn new(snapshot: &Snapshot) -> Self {
        let budgets = snapshot.budgets.iter().map(|b| (b.level, b.id.as_str()));
        let limits = snapshot.rate_limits.iter().map(|r| (r.level, r.id.as_str()));
        let mut names: Vec<(Level, &str)> = Vec::new();
        for name in budgets.chain(limits) {
            if name.0 != Level::ProviderConfig && !names.contains(&name) {
                names.push(name);
            }
        }
        let mut keys = names.iter().filter(|(level, _)| *level == Level::VirtualKey);
        let everyone = match (keys.next(), keys.next()) {
            (Some(&(level, id)), None) => stranger(level, id),
            _ => stranger(Level::VirtualKey, LOCAL),
        };
        let named = names.iter().map(|&(level, id)| (id.to_owned(), stranger(level, id))).collect();
        Self { everyone, named }
    }

    fn caller(&self, carriers: &Carriers<'_>, surface: Surface) -> Caller {
        let named = credentials(carriers, surface).find_map(|c| self.named.iter().find(|(id, _)| id == c));
        named.map_or(&self.everyone, |(_, caller)| caller).clone()
    }
}

/// A caller of open mode who is counted under an id of a budget or a rate limit. Uses the first account.
fn stranger(level: Level, id: &str) -> Caller {
    let at = |wanted: Level| (level == wanted).then(|| id.to_owned());
    Caller(Arc::new(Identity {
        key: at(Level::VirtualKey).unwrap_or_else(|| LOCAL.to_owned()),
        account: 0,
        team: at(Level::Team),
        customer: at(Level::Customer),
        owner: None,
        allow: Allow::default(),
        open: true,
    }))
}

/// Who is calling, by the first known credential; in open mode everyone from loopback.
pub fn caller(
    keys: &Keys,
    carriers: &Carriers<'_>,
    context: Context,
    now_unix: i64,
) -> Result<Caller, Error> {
    if keys.is_open() {
        return open(keys, carriers, context);
    }
    let mut came = false;
    for credential in credentials(carriers, context.surface) {
        came = true;
        if let Some(known) = keys.find(credential) {
            return known.admit(now_unix);
        }
    }
    Err(refused(if came { UNKNOWN } else { MISSING }))
}

fn open(keys: &Keys, carriers: &Carriers<'_>, context: Context) -> Result<Caller, Error> {
    if context.forwarded {
        return Err(refused(FORWARDED));
    }
    if !(context.loopback_listener && context.peer_loopback) {
        return Err(refused(BEYOND));
    }
    Ok(keys.open.caller(carriers, context.surface))
}

/// Every credential that came, in the order of [`CARRIERS`], without `Bearer ` in front.
fn credentials<'a>(carriers: &Carriers<'a>, surface: Surface) -> impl Iterator<Item = &'a str> {
    let header = carriers.header;
    let query = carriers.query_key.filter(|_| surface == Surface::Gemini);
    CARRIERS.iter().filter_map(move |name| header(name)).chain(query).map(bare).filter(|c| !c.is_empty())
}

/// The credential itself: surrounding blanks and a `Bearer ` of any case are taken off.
fn bare(value: &str) -> &str {
    let value = value.trim();
    match (value.get(..BEARER.len()), value.get(BEARER.len()..)) {
        (Some(scheme), Some(rest)) if scheme.eq_ignore_ascii_case(BEARER) => rest.trim_start(),
        _ => value,
    }
}

fn sha256(text: &str) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    out
}

fn prefix(hash: &Digest) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *hash;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Whether two digests are equal, looking at every byte whatever it finds.
fn same(a: &Digest, b: &Digest) -> bool {
    let differing = a.iter().zip(b).fold(0u8, |seen, (x, y)| black_box(seen | (x ^ y)));
    black_box(differing) == 0
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(Stage::Auth, Kind::Unauthorized, message)
}

/// Headers that may carry a credential, in the order in which they are looked at.
pub const CARRIERS: [&str; 7] = [
    "x-pointsman-key",
    "x-bf-vk",
    "x-litellm-api-key",
    "x-api-key",
    "authorization",
    "x-goog-api-key",
    "api-key",
];

/// The key id of open mode.
pub const LOCAL: &str = "local";

const BEARER: &str = "bearer ";
const NOBODY: Digest = [0; 32];

const MISSING: &str = "no virtual key came with this request: send one as `x-api-key` or as `Authorization: Bearer` \
                       (for Claude Code set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN)";
const UNKNOWN: &str = "this virtual key is not known here: check it against `virtual_keys` in the gateway's configuration, \
                       or ask whoever runs this gateway for one (a provider's own key is not accepted)";
const FORWARDED: &str = "this gateway has no virtual keys, so it serves only clients on its own machine, and this request came \
                         through another proxy (Forwarded or X-Forwarded-For): add `virtual_keys` to the configuration and send one";
const BEYOND: &str = "this gateway has no virtual keys, so it serves only clients on its own machine over loopback: add \
                      `virtual_keys` to the configuration and send one";
