//! What runs: the configuration after every name is resolved, every default is set and every credential is ready.
//!
//! A request keeps the snapshot that it began with; a reload builds a new one beside it. Plain data: it is built by
//! `read`, and nothing here reads files, opens sockets or holds counters (health lives in `route`, keyed by
//! [`Provider::stable`]).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::pattern::Pattern;
use super::secret::Secret;
pub use super::types::Kind;

/// One loaded configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// The file it came from; `None` when it was made from the environment.
    pub source: Option<PathBuf>,
    /// Where and how the gateway listens.
    pub server: Server,
    /// Never empty.
    pub accounts: Vec<Account>,
    /// Virtual keys of the file, expired and disabled ones included: they count for "a key exists".
    pub keys: Vec<VirtualKey>,
    /// Names that stand for `PROVIDER/MODEL` or a model, in the order of the file.
    pub aliases: Vec<Alias>,
    /// How requests of one session are spread.
    pub affinity: Affinity,
    /// How failures are answered.
    pub retry: Retry,
    /// Parsed and shown; not enforced yet.
    pub budgets: Vec<Budget>,
    /// Parsed and shown; not enforced yet.
    pub rate_limits: Vec<RateLimit>,
    /// Request records.
    pub log: Log,
    /// What `serve` and `check` tell at the start: budgets not enforced yet, a listener beyond loopback without
    /// TLS, and the like.
    pub warnings: Vec<String>,
}

/// `server`.
#[derive(Debug, Clone)]
pub struct Server {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Worker threads; `None`: one for each core that the process may use.
    pub workers: Option<usize>,
    /// Whether workers are pinned to cores.
    pub pin: Pin,
    /// Certificate and key, both PEM files.
    pub tls: Option<Tls>,
    /// Host names that `Host` may carry beside an IP, `localhost` and a single label. Lower case.
    pub allowed_hosts: Vec<String>,
    /// Origins that a browser may come from, as `scheme://host[:port]`. Lower case.
    pub allowed_origins: Vec<String>,
    /// Largest request body in bytes.
    pub max_body: usize,
    /// Connections open at once.
    pub max_connections: usize,
    /// How long open requests may go on after SIGTERM.
    pub drain: Duration,
}

/// `server.pin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// On, except under a CPU quota.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// `server.tls`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM file of the certificate chain.
    pub cert: PathBuf,
    /// PEM file of the private key.
    pub key: PathBuf,
}

/// One of `accounts`.
#[derive(Debug)]
pub struct Account {
    /// As written.
    pub id: String,
    /// Every provider of the account, disabled ones included, in the file's order.
    pub providers: Vec<Provider>,
}

/// One of an account's `providers`.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // Fields of the configuration, none of which rules out another.
pub struct Provider {
    /// `account/provider`: names counters and rests across reloads.
    pub stable: String,
    /// As written.
    pub id: String,
    /// The `type`.
    pub kind: Kind,
    /// `enabled`.
    pub enabled: bool,
    /// As written, `>= 0`.
    pub weight: f64,
    /// The share of new sessions, `0.0..=1.0`: weights normalised over the account's enabled, not standby
    /// providers. 0 for all others.
    pub share: f64,
    /// No share; last in failover.
    pub standby: bool,
    /// Which model is asked for.
    pub models: Models,
    /// Credentials with their weights; empty only where the type needs none.
    pub credentials: Vec<Credential>,
    /// Where requests go.
    pub base: Base,
    /// Whether `base_url` was written and is not the provider's own host (told at the start).
    pub foreign_base: bool,
    /// Headers added to each request, names in lower case.
    pub headers: Vec<(String, Secret)>,
    /// `http://[user:password@]host:port`, a CONNECT proxy. From `proxy`, else `HTTPS_PROXY` less `NO_PROXY`.
    pub proxy: Option<Proxy>,
    /// PEM file with further certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// Waits for this provider: its own `timeouts` over `retry`.
    pub timeouts: Timeouts,
    /// Upper bound for `max_tokens` sent to this provider.
    pub max_output_tokens: Option<u64>,
    /// A loss is a 400.
    pub strict: bool,
}

/// `model` or `models` of a provider.
#[derive(Debug, Clone)]
pub enum Models {
    /// The client's model as it is.
    AsAsked,
    /// Always this one.
    One(String),
    /// The first pattern that matches; a model that none matches is not offered by this provider. The model `*` is the
    /// client's own.
    Map(Vec<(Pattern, String)>),
}

/// One of `api_keys`, or the only `api_key`.
#[derive(Debug)]
pub struct Credential {
    /// As written, or `default` for `api_key`.
    pub id: String,
    /// The key itself.
    pub secret: Secret,
    /// Share among the provider's keys, `>= 0`.
    pub weight: f64,
    /// Models (as sent) for which this key may be used; empty: all.
    pub models: Vec<Pattern>,
}

/// Where a provider's requests go, from `base_url`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Base {
    /// `https`.
    pub tls: bool,
    /// Host name or IP, without brackets. Empty for type `mock`: the bundled one of this process.
    pub host: String,
    /// The port, with the scheme's default.
    pub port: u16,
    /// Path in front of `/messages` or `/chat/completions`, with its version segment where the type has one and without a
    /// trailing slash: `/v1`, `/proxy/v1`, `/v1beta/openai`.
    pub path: String,
}

impl Base {
    /// Whether requests to it reach another server than those to `own`, or in clear text.
    pub fn is_elsewhere(&self, own: &Self) -> bool {
        (self.tls, &self.host, self.port) != (own.tls, &own.host, own.port)
    }
}

/// A CONNECT proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Host name or IP.
    pub host: String,
    /// The port.
    pub port: u16,
    /// `Basic …` for `proxy-authorization`, where the URL held a user.
    pub authorization: Option<Secret>,
}

/// Waits for one provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP, proxy and TLS together.
    pub connect: Duration,
    /// Streams: from the request's last byte to the answer's first.
    pub first_byte: Duration,
    /// Silence in the middle of an answer.
    pub idle: Duration,
    /// The whole attempt.
    pub total: Duration,
}

/// `retry`, less the waits that a provider may override.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, `>= 1`.
    pub attempts: u32,
    /// Longest wait before a lone provider is asked again.
    pub max_wait: Duration,
    /// A session with a warm cache waits this long for its own provider (kept for a later version).
    pub keep_cache: Duration,
    /// Silence after which the head and a ping go out.
    pub ping_after: Duration,
    /// The defaults for providers without `timeouts`.
    pub timeouts: Timeouts,
}

/// `routing.affinity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affinity {
    /// Provider and key are chosen once per session.
    Session,
    /// Chosen anew for each request.
    None,
}

/// One of `aliases`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// What the client asks for.
    pub name: String,
    /// `PROVIDER/MODEL` or a model.
    pub target: String,
}

/// One of `virtual_keys`.
#[derive(Debug)]
pub struct VirtualKey {
    /// As written.
    pub id: String,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// Index into [`Snapshot::accounts`].
    pub account: usize,
    /// The team, if any.
    pub team: Option<String>,
    /// The customer: its own, or its team's.
    pub customer: Option<String>,
    /// Free text.
    pub owner: Option<String>,
    /// What the key may use.
    pub allow: Allow,
    /// Unix time in seconds from which on the key is refused (the end of the written day, UTC).
    pub expires: Option<i64>,
    /// Refused as if it were revoked.
    pub disabled: bool,
}

/// `allow`; `None` = all.
#[derive(Debug, Default, Clone)]
pub struct Allow {
    /// Patterns over the model as the client names it (after `[1m]` is taken off).
    pub models: Option<Vec<Pattern>>,
    /// Provider ids.
    pub providers: Option<Vec<String>>,
    /// Surfaces: `anthropic`, `openai`, `gemini`, `bedrock`, `vertex`.
    pub surfaces: Option<Vec<String>>,
}

/// What a budget or a rate limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A customer with all its teams and keys.
    Customer,
    /// A team with all its keys.
    Team,
    /// One key.
    VirtualKey,
    /// One provider of an account.
    ProviderConfig,
}

/// One of `budgets`.
#[derive(Debug, Clone)]
pub struct Budget {
    /// What it counts.
    pub level: Level,
    /// Whose.
    pub id: String,
    /// Nano-dollars, exact.
    pub limit_nano: i128,
    /// As written: `monthly`, `24h`, …
    pub period: String,
    /// IANA name.
    pub timezone: String,
    /// `soft`: tells only.
    pub soft: bool,
    /// Smallest output limit that is still worth a request.
    pub min_output: Option<u64>,
    /// 402 or 429.
    pub status: u16,
}

/// One of `rate_limits`.
#[derive(Debug, Clone)]
pub struct RateLimit {
    /// What it counts.
    pub level: Level,
    /// Whose.
    pub id: String,
    /// Requests per period.
    pub requests: Option<u64>,
    /// Tokens per period.
    pub tokens: Option<u64>,
    /// Length of the period.
    pub period: Duration,
    /// Requests at once.
    pub concurrent: Option<u64>,
}

/// `log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// Keep a record of each request.
    pub requests: bool,
    /// Write one line per request.
    pub access: bool,
}
