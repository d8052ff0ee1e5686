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
        let only = match (keys.next(), keys.next()) {
            (Some(&(_, id)), None) => id,
            _ => LOCAL,
        };
        let everyone = stranger(&[], LOCAL, only);
        Self {
            everyone,
            named: names.iter().map(|&(_, id)| (id.to_owned(), stranger(&names, id, only))).collect(),
        }
    }

    fn caller(&self, carriers: &Carriers<'_>, surface: Surface) -> Caller {
        let named = credentials(carriers, surface).find_map(|c| self.named.iter().find(|(id, _)| id == c));
        named.map_or(&self.everyone, |(_, caller)| caller).clone()
    }
}

/// A caller of open mode who counts under an id on every level that names it, and under the key `only` where it names
/// no key. Uses the first account.
fn stranger(names: &[(Level, &str)], id: &str, only: &str) -> Caller {
    let at = |level: Level| names.contains(&(level, id)).then(|| id.to_owned());
    Caller(Arc::new(Identity {
        key: at(Level::VirtualKey).unwrap_or_else(|| only.to_owned()),
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
    match value.split_at_checked(BEARER.len()) {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case(BEARER) && (rest.is_empty() || rest.starts_with(' ')) =>
        {
            rest.trim_start()
        }
        _ => value,
    }
}

fn sha256(text: &str) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    out
}

fn prefix(hash: &Digest) -> u64 {
    hash.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

/// Whether two digests are equal, looking at every byte whatever it finds. Own code because ring withdrew its promise for
/// the one it offers; nor would a leak tell anything but bytes of a digest.
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

const BEARER: &str = "bearer";
const NOBODY: Digest = [0; 32];

const MISSING: &str = "no virtual key came with this request: send one as `x-api-key` or as `Authorization: Bearer` \
                       (for Claude Code set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN)";
const UNKNOWN: &str = "this virtual key is not known here: check it against `virtual_keys` in the gateway's configuration, \
                       or ask whoever runs this gateway for one (a provider's own key is not accepted)";
const FORWARDED: &str = "this gateway has no virtual keys, so it serves only clients on its own machine, and this request came \
                         through another proxy (Forwarded or X-Forwarded-For): add `virtual_keys` to the configuration and send one";
const BEYOND: &str = "this gateway has no virtual keys, so it serves only clients on its own machine over loopback: add \
                      `virtual_keys` to the configuration and send one";

#[cfg(test)]
mod tests {
    use super::{CARRIERS, Carriers, Context, Keys, Surface, caller, same, sha256};
    use crate::error::{Error, Kind};
    use crate::route::testing::read;

    const PROVIDER: &str = "accounts: [{ id: acc, providers: [{ id: a, type: mock }] }]\n";
    const HOME: Context = Context {
        surface: Surface::Anthropic,
        loopback_listener: true,
        peer_loopback: true,
        forwarded: false,
    };
    /// `printf '%s' hashed-secret | sha256sum`.
    const HASHED: &str = "4e598f5daafc2fda61641ddbb5956deb23fde6616366dc9dd5a7c9f47da4d787";

    fn keys(more: &str) -> Keys {
        Keys::new(&read(&format!("{PROVIDER}{more}")))
    }

    /// Who is calling with these headers (a `?key=` under the name `key`); the key's id, or the refusal.
    fn who(keys: &Keys, headers: &[(&str, &str)], context: Context, now: i64) -> String {
        let find = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        let carriers = Carriers { header: &find, query_key: find("key") };
        match caller(keys, &carriers, context, now) {
            Ok(caller) => caller.key().to_owned(),
            Err(e) => told(&e),
        }
    }

    fn told(error: &Error) -> String {
        let words = [
            ("no virtual key came", "missing"),
            ("not known here", "unknown"),
            ("is disabled", "disabled"),
            ("has expired", "expired"),
            ("another proxy", "forwarded"),
            ("over loopback", "beyond"),
        ];
        let mut hits = words.iter().filter(|(text, _)| error.message.contains(text)).map(|(_, word)| *word);
        let word = hits.next_back().unwrap_or("?");
        let again = if error.kind == Kind::Expired { ", may be mended" } else { "" };
        format!("{} {word}{again}", error.kind.status())
    }

    #[test]
    fn every_carrier_on_every_surface_with_and_without_bearer() {
        let keys = keys("virtual_keys: [{ id: dev, key: secret-one }]");
        for surface in [
            Surface::Anthropic,
            Surface::OpenAi,
            Surface::Gemini,
            Surface::Bedrock,
            Surface::Vertex,
            Surface::Own,
        ] {
            for header in CARRIERS {
                for value in [
                    "secret-one",
                    "Bearer secret-one",
                    "bearer secret-one",
                    "BEARER  secret-one",
                    " secret-one ",
                ] {
                    let context = Context { surface, ..HOME };
                    assert_eq!(
                        who(&keys, &[(header, value)], context, 0),
                        "dev",
                        "{surface:?} {header}: {value}"
                    );
                }
                assert_eq!(who(&keys, &[(header, "Basic secret-one")], HOME, 0), "401 unknown", "{header}");
            }
        }
    }

    #[test]
    fn a_key_in_the_query_is_for_gemini_only() {
        let keys = keys("virtual_keys: [{ id: dev, key: secret-one }]");
        let query = [("key", "secret-one")];
        for (surface, expected) in [
            (Surface::Gemini, "dev"),
            (Surface::Anthropic, "401 missing"),
            (Surface::OpenAi, "401 missing"),
            (Surface::Vertex, "401 missing"),
        ] {
            assert_eq!(who(&keys, &query, Context { surface, ..HOME }, 0), expected, "{surface:?}");
        }
    }

    #[test]
    fn the_first_known_credential_counts() {
        let keys = keys(
            "virtual_keys: [{ id: one, key: secret-one }, { id: two, key: secret-two }, \
             { id: off, key: secret-off, disabled: true }, { id: old, key: secret-old, expires: \"2020-01-31\" }]",
        );
        let now = 1_700_000_000;
        for (what, headers, expected) in [
            ("nothing", &[][..], "401 missing"),
            ("an empty one", &[("x-api-key", "")], "401 missing"),
            ("a bare scheme", &[("authorization", "Bearer ")], "401 missing"),
            ("an unknown one", &[("x-api-key", "sk-ant-api03-x")], "401 unknown"),
            (
                "an unknown one before a known one",
                &[("x-api-key", "sk-ant"), ("authorization", "Bearer secret-one")],
                "one",
            ),
            (
                "the gateway's own header first",
                &[("authorization", "Bearer secret-one"), ("x-pointsman-key", "secret-two")],
                "two",
            ),
            (
                "x-api-key before Authorization",
                &[("authorization", "Bearer secret-one"), ("x-api-key", "secret-two")],
                "two",
            ),
            (
                "Authorization before x-goog-api-key",
                &[("x-goog-api-key", "secret-one"), ("authorization", "Bearer secret-two")],
                "two",
            ),
            (
                "x-bf-vk before x-litellm-api-key",
                &[("x-litellm-api-key", "secret-one"), ("x-bf-vk", "secret-two")],
                "two",
            ),
            ("api-key last", &[("api-key", "secret-one"), ("x-goog-api-key", "secret-two")], "two"),
            (
                "a disabled one is known",
                &[("x-api-key", "secret-off"), ("authorization", "Bearer secret-one")],
                "401 disabled",
            ),
            (
                "an expired one is known",
                &[("x-api-key", "secret-old"), ("authorization", "Bearer secret-one")],
                "401 expired, may be mended",
            ),
            ("an id is no key", &[("x-api-key", "one")], "401 unknown"),
            ("a part is no key", &[("x-api-key", "secret-on")], "401 unknown"),
        ] {
            assert_eq!(who(&keys, headers, HOME, now), expected, "{what}");
        }
    }

    #[test]
    fn a_key_is_good_until_the_end_of_its_last_day() {
        let keys = keys("virtual_keys: [{ id: dev, key: secret-one, expires: \"2027-01-31\" }]");
        let midnight = 1_801_440_000; // 2027-02-01T00:00:00Z
        let ask = |now| who(&keys, &[("x-api-key", "secret-one")], HOME, now);
        assert_eq!(ask(midnight - 1), "dev");
        assert_eq!(ask(midnight), "401 expired, may be mended");
    }

    #[test]
    fn a_key_may_be_given_as_its_hash() {
        let keys = keys(&format!("virtual_keys: [{{ id: dev, key_sha256: \"{HASHED}\" }}]"));
        assert_eq!(who(&keys, &[("x-api-key", "hashed-secret")], HOME, 0), "dev");
        assert_eq!(who(&keys, &[("x-api-key", HASHED)], HOME, 0), "401 unknown");
    }

    #[test]
    fn a_caller_knows_whose_it_is() {
        let keys = keys(
            "customers: [{ id: acme }]\nteams: [{ id: platform, customer: acme }]\n\
             virtual_keys: [{ id: dev, key: secret-one, team: platform, owner: ci }]",
        );
        let dev = keys.by_id("dev").unwrap();
        assert_eq!(
            (dev.team(), dev.customer(), dev.owner(), dev.is_open()),
            (Some("platform"), Some("acme"), Some("ci"), false)
        );
        assert!(keys.by_id("nobody").is_none());
    }

    #[test]
    fn a_message_never_holds_the_credential() {
        let keys = keys(
            "virtual_keys: [{ id: old, key: secret-old, expires: \"2020-01-31\" }, { id: off, key: secret-off, disabled: true }]",
        );
        for value in ["secret-old", "secret-off", "secret-wrong"] {
            let find = |name: &str| (name == "x-api-key").then_some(value);
            let error =
                caller(&keys, &Carriers { header: &find, query_key: None }, HOME, 1_700_000_000).unwrap_err();
            assert!(!error.message.contains("secret"), "{}", error.message);
        }
    }

    #[test]
    fn where_no_key_ever_existed_everyone_on_this_machine_is_served() {
        let keys = keys("");
        assert!(keys.is_open());
        for (what, context, expected) in [
            ("loopback", HOME, "local"),
            ("a listener beyond", Context { loopback_listener: false, ..HOME }, "401 beyond"),
            ("a peer beyond", Context { peer_loopback: false, ..HOME }, "401 beyond"),
            ("through another proxy", Context { forwarded: true, ..HOME }, "401 forwarded"),
        ] {
            for headers in [&[][..], &[("x-api-key", "sk-ant-anything")], &[("authorization", "Bearer x")]] {
                assert_eq!(who(&keys, headers, context, 0), expected, "{what} {headers:?}");
            }
        }
    }

    #[test]
    fn a_disabled_or_expired_key_ends_open_mode() {
        for key in ["disabled: true", "expires: \"2020-01-31\""] {
            let keys = keys(&format!("virtual_keys: [{{ id: dev, key: secret-one, {key} }}]"));
            assert_eq!(who(&keys, &[], HOME, 1_700_000_000), "401 missing", "{key}");
            assert_eq!(who(&keys, &[("x-api-key", "dev")], HOME, 1_700_000_000), "401 unknown", "{key}");
        }
    }

    #[test]
    fn in_open_mode_ids_of_budgets_and_rate_limits_count() {
        let budget =
            |level: &str, id: &str| format!("{{ level: {level}, id: {id}, limit: 5, period: daily }}");
        let both = "rate_limits: [{ level: virtual_key, id: dev, requests: 5, period: 1m }]\n";
        let cases = [
            ("nothing is named", String::new(), "anything", ("local", None)),
            ("one key is named: everything is it", budget("virtual_key", "dev"), "anything", ("dev", None)),
            (
                "one key is named twice",
                format!("{}, {}", budget("virtual_key", "dev"), budget("virtual_key", "dev")),
                "anything",
                ("dev", None),
            ),
            (
                "two are named: nothing",
                format!("{}, {}", budget("virtual_key", "dev"), budget("virtual_key", "ops")),
                "anything",
                ("local", None),
            ),
            (
                "two are named: the one that comes",
                format!("{}, {}", budget("virtual_key", "dev"), budget("virtual_key", "ops")),
                "ops",
                ("ops", None),
            ),
            ("a team is named", budget("team", "platform"), "platform", ("local", Some("platform"))),
            (
                "a team and one key",
                format!("{}, {}", budget("team", "platform"), budget("virtual_key", "dev")),
                "platform",
                ("dev", Some("platform")),
            ),
            (
                "a team and a key of one name",
                format!("{}, {}", budget("team", "x"), budget("virtual_key", "x")),
                "x",
                ("x", Some("x")),
            ),
            ("a provider is none of them", budget("provider_config", "a"), "a", ("local", None)),
        ];
        for (what, budgets, credential, expected) in cases {
            let keys = keys(&format!("budgets: [{budgets}]\n"));
            let find = |name: &str| (name == "authorization").then_some(credential);
            let caller = caller(&keys, &Carriers { header: &find, query_key: None }, HOME, 0).unwrap();
            assert_eq!((caller.key(), caller.team()), expected, "{what}");
            assert!(caller.is_open());
        }
        let keys = keys(&format!("{both}budgets: [{}]", budget("virtual_key", "dev")));
        assert_eq!(who(&keys, &[], HOME, 0), "dev");
    }

    #[test]
    fn digests_are_compared_as_a_whole() {
        let digest = sha256("x");
        assert!(same(&digest, &digest));
        for at in 0..32 {
            for bit in 0..8 {
                let mut other = digest;
                other[at] ^= 1 << bit;
                assert!(!same(&digest, &other), "byte {at}, bit {bit}");
            }
        }
    }
}
