//! The gateway as a service on the edge: what runs now, what outlives a reload, and which endpoint a request means.
//!
//! ```text
//!   Gateway ── running: ArcSwap ──▶ Running { snapshot, keys, table, origins }      one per loaded configuration
//!      └── upstreams, health, choosers, log                                         kept across reloads
//! ```
//!
//! A request keeps the [`Running`] that it began with. What happens to a request for a model is [`crate::exchange`]'s.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};

use crate::auth::{self, Caller, Carriers, Context, Keys};
use crate::clock;
use crate::config::Snapshot;
use crate::config::snapshot::{Base, Kind as Type, Provider};
use crate::edge::routes::{Endpoint, Route, Surface, route};
use crate::edge::{Call, Head, Service, host};
use crate::error::{Error, Kind, Stage};
use crate::exchange::{Failed, exchange};
use crate::learn::Learned;
use crate::log::{Queue, Text};
use crate::models;
use crate::reply::{self, Way};
use crate::route::select::mix;
use crate::route::{Chooser, Registry, Table};
use crate::runtime::{Locals, home, panics};
use crate::upstream::{Origin, Upstreams};
use crate::wire::Call as Which;
use crate::wire::memo::Memo;

/// One loaded configuration, ready for requests.
pub struct Running {
    /// What was loaded.
    pub snapshot: Snapshot,
    /// The providers as routing sees them.
    pub table: Table,
    keys: Keys,
    /// As the snapshot's accounts and their providers.
    origins: Vec<Vec<Arc<Origin>>>,
    /// Whether the listener can be reached from this machine only.
    loopback: bool,
}

/// The service. One per process.
pub struct Gateway {
    running: ArcSwap<Running>,
    /// Connections to providers.
    pub upstreams: Upstreams,
    /// Each worker's weight counters.
    pub choosers: Locals<Chooser>,
    /// Each worker's translated lists of tools.
    pub memos: Locals<Memo>,
    /// How models count tokens.
    pub learned: Learned,
    /// Where records and notices go.
    pub log: Queue,
    /// `via` of what is sent to servers that could be gateways themselves.
    pub via: String,
    registry: Arc<Registry>,
    place: Place,
    /// The last reload's mistakes; empty: it succeeded.
    reload: ArcSwap<String>,
    draining: AtomicBool,
    /// What is still open is to end now.
    pub ending: AtomicBool,
    seed: u64,
    requests: AtomicU64,
}

/// Where things are that no configuration says.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The address that the gateway listens on.
    pub listen: SocketAddr,
    /// Where the bundled mock of this process listens.
    pub mock: Option<SocketAddr>,
}

impl Running {
    fn new(snapshot: Snapshot, upstreams: &Upstreams, registry: &Arc<Registry>, place: Place) -> Self {
        let origin = |p: &Provider| {
            let base = match (p.kind, place.mock) {
                (Type::Mock, Some(mock)) => mock_base(mock),
                _ => p.base.clone(),
            };
            upstreams.origin(&base, p.proxy.as_ref(), p.ca_file.as_deref())
        };
        let origins = snapshot.accounts.iter().map(|a| a.providers.iter().map(origin).collect()).collect();
        let table = Table::new(&snapshot, registry);
        let keys = Keys::new(&snapshot);
        Self { table, keys, origins, loopback: place.listen.ip().is_loopback(), snapshot }
    }

    /// Where a provider of the snapshot is asked.
    pub fn origin(&self, provider: &Provider) -> Result<&Arc<Origin>, Error> {
        let accounts = self.snapshot.accounts.iter().zip(&self.origins);
        accounts
            .flat_map(|(account, origins)| account.providers.iter().zip(origins))
            .find_map(|(p, origin)| std::ptr::eq(p, provider).then_some(origin))
            .ok_or_else(|| {
                Error::new(Stage::Route, Kind::Internal, "the provider is of another configuration")
            })
    }
}

fn mock_base(mock: SocketAddr) -> Base {
    Base { tls: false, host: mock.ip().to_string(), port: mock.port(), path: "/v1".to_owned() }
}

impl Gateway {
    /// A gateway over a first configuration.
    pub fn new(snapshot: Snapshot, place: Place, log: Queue) -> Self {
        let seed = mix(clock::unix_micros(), u64::from(std::process::id()));
        let upstreams = Upstreams::default();
        let registry = Arc::new(Registry::new(clock::now()));
        let running = Running::new(snapshot, &upstreams, &registry, place);
        log.set_access(running.snapshot.log.access);
        let mut worker = 0;
        Self {
            running: ArcSwap::from_pointee(running),
            upstreams,
            choosers: Locals::new(|| {
                worker += 1;
                Chooser::new(mix(seed, worker))
            }),
            memos: Locals::new(Memo::default),
            learned: Learned::default(),
            log,
            via: format!("1.1 pm-{seed:016x}"),
            registry,
            place,
            reload: ArcSwap::from_pointee(String::new()),
            draining: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            seed,
            requests: AtomicU64::new(0),
        }
    }

    /// What runs now; a request keeps it to its end.
    pub fn running(&self) -> Arc<Running> {
        self.running.load_full()
    }

    /// What runs now, for a moment.
    pub fn now(&self) -> Guard<Arc<Running>> {
        self.running.load()
    }

    /// Swaps the configuration; requests under way end with the old one.
    pub fn load(&self, snapshot: Snapshot) {
        let running = Running::new(snapshot, &self.upstreams, &self.registry, self.place);
        self.log.set_access(running.snapshot.log.access);
        self.running.store(Arc::new(running));
        self.reload.store(Arc::new(String::new()));
    }

    /// A reload failed: what runs goes on, and `/readyz` tells.
    pub fn keep(&self, mistakes: String) {
        self.reload.store(Arc::new(mistakes));
    }

    /// No new work is wanted: `/readyz` says so.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// The time for what is open is over: requests end at their next look, streams with an event that says so.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Closes pooled connections that are too old to be used. Each must be closed at its home.
    pub fn sweep(self: &Arc<Self>) {
        if self.upstreams.idle() == 0 {
            return;
        }
        for home in home::all() {
            let gateway = Arc::clone(self);
            home::spawn(home, move || gateway.upstreams.sweep(home));
        }
    }

    /// A new id for a request, unique over processes.
    pub fn request_id(&self) -> String {
        let mut id = String::with_capacity(32);
        self.write_request_id(&mut id);
        id
    }

    /// The same, appended to a text.
    pub fn write_request_id(&self, out: &mut String) {
        let n = self.requests.fetch_add(1, Ordering::Relaxed);
        out.push_str("req_pm");
        push_hex(out, mix(self.seed, n), 16);
        push_hex(out, n, 6);
    }

    /// Who is calling.
    pub fn caller(
        &self,
        running: &Running,
        call: &Call<'_>,
        surface: Surface,
        now_unix: i64,
    ) -> Result<Caller, Error> {
        let head = &call.head;
        let header = |name: &str| head.get(name);
        let carriers = Carriers { header: &header, query_key: None };
        let context = Context {
            surface,
            loopback_listener: running.loopback,
            peer_loopback: call.peer().ip().to_canonical().is_loopback(),
            forwarded: head.get("forwarded").is_some() || head.get("x-forwarded-for").is_some(),
        };
        auth::caller(&running.keys, &carriers, context, now_unix)
    }

    /// Refuses a request that this very gateway has sent.
    fn refuse_loops(&self, head: &Head) -> Result<(), Error> {
        let came_round = head.fields.has_token("via", &self.via);
        if !came_round {
            return Ok(());
        }
        let message =
            "the request came round to this gateway again: a provider's `base_url` leads back to it";
        Err(Error::new(Stage::Route, Kind::Loop, message))
    }

    /// Tells the log of a failed attempt.
    pub fn tell_failure(&self, id: &str, provider: &Provider, failed: &Failed) {
        let Failed { failure, detail, .. } = failed;
        // Part of it may be the provider's own words.
        let detail: String = detail.chars().filter(|c| !c.is_control()).take(LONGEST_DETAIL).collect();
        self.log.notice(
            log::Level::Info,
            format!("{id} {}: {} ({detail})", provider.stable, failure.class.word()),
        );
    }

    /// Leaves the record of a request that was not for a model's answer.
    fn leave(&self, id: &str, surface: &'static str, key: &str, outcome: Result<usize, (&Error, usize)>) {
        if !self.now().snapshot.log.requests {
            return;
        }
        let mut record = self.log.blank();
        record.t_recv = clock::unix_micros();
        record.surface = surface;
        record.usage_src = "none";
        record.set(Text::Rid, id);
        record.set(Text::Key, key);
        let bytes = match outcome {
            Ok(bytes) => {
                record.status = 200;
                bytes
            }
            Err((error, bytes)) => {
                record.status = error.kind.status();
                record.set(Text::Err, error.stage.word());
                bytes
            }
        };
        record.bytes_out = bytes as u64;
        self.log.record(record);
    }

    fn serve_own(&self, call: &mut Call<'_>, surface: Surface, endpoint: Endpoint<'_>) -> Result<(), Error> {
        match endpoint {
            Endpoint::Messages => exchange(self, call, surface, Which::Messages),
            Endpoint::CountTokens => exchange(self, call, surface, Which::CountTokens),
            Endpoint::Chat => exchange(self, call, surface, Which::Chat),
            Endpoint::Embeddings => exchange(self, call, surface, Which::Embeddings),
            Endpoint::Hello => drop(reply::hello(call)),
            Endpoint::Healthz => {
                reply::json(call, surface, 200, &self.request_id(), r#"{"status":"ok"}"#).ok();
            }
            Endpoint::Readyz => self.readyz(call),
            Endpoint::Models | Endpoint::Model(_) => self.models(call, surface, endpoint)?,
            Endpoint::Later => return Err(not_offered(call.head.path())),
        }
        Ok(())
    }

    fn models(&self, call: &mut Call<'_>, surface: Surface, endpoint: Endpoint<'_>) -> Result<(), Error> {
        let running = self.now();
        let caller = self.caller(&running, call, surface, clock::unix_seconds())?;
        let list = models::offered(&running.snapshot, &caller);
        let head = &call.head;
        let anthropic = head.get("anthropic-version").is_some() || head.get("x-api-key").is_some();
        let anthropic =
            surface == Surface::Anthropic && (anthropic || head.path().starts_with("/anthropic/"));
        let body = match endpoint {
            Endpoint::Model(id) => models::one(&list, id, anthropic)?,
            _ => models::page(&list, head.query(), anthropic)?,
        };
        let id = self.request_id();
        reply::json(call, surface, 200, &id, &body).ok();
        self.leave(&id, MODELS, caller.key(), Ok(body.len()));
        Ok(())
    }

    fn readyz(&self, call: &mut Call<'_>) {
        let running = self.now();
        let usable = running.table.usable(&running.snapshot, clock::now());
        let draining = self.draining.load(Ordering::Relaxed);
        let status = if usable == 0 || draining { 503 } else { 200 };
        let body = serde_json::json!({
            "status": match (draining, usable) {
                (true, _) => "draining",
                (false, 0) => "no usable provider",
                (false, _) => "ready",
            },
            "usable_providers": usable,
            "configuration": running.snapshot.source.as_ref().map(|path| path.display().to_string()),
            "last_reload": match self.reload.load().as_str() { "" => "ok", mistakes => mistakes },
        });
        reply::json(call, Surface::Own, status, &self.request_id(), &body.to_string()).ok();
    }
}

impl Service for Gateway {
    fn serve(&self, call: &mut Call<'_>) {
        let head = Arc::clone(&call.head);
        let (surface, endpoint) = match route(head.method, head.path()) {
            Route::To(surface, endpoint) => (surface, Ok(endpoint)),
            Route::WrongMethod(surface, methods) => (surface, Err(wrong_method(methods))),
            Route::Unknown(surface) => (surface, Err(unknown(surface, head.path()))),
        };
        // A request of this gateway's own is told so whatever else is wrong with it: it carries a provider's key.
        let allowed = self.refuse_loops(&head).and_then(|()| {
            let running = self.now();
            let server = &running.snapshot.server;
            host::check(&head, &server.allowed_hosts, &server.allowed_origins)
        });
        let lists = matches!(endpoint, Ok(Endpoint::Models | Endpoint::Model(_)));
        let served = allowed.and(endpoint).and_then(|endpoint| self.serve_own(call, surface, endpoint));
        if let Err(error) = served {
            let id = self.request_id();
            let bytes = reply::refuse(call, &error, &Way::none(surface, &id)).unwrap_or(0);
            self.leave(&id, if lists { MODELS } else { surface.word() }, "", Err((&error, bytes)));
        }
    }

    fn panicked(&self, call: &mut Call<'_>) {
        let id = self.request_id();
        let place = panics::last_place();
        self.log.notice(
            log::Level::Error,
            format!("{id} panicked {place}: this request ended, the others go on"),
        );
        let surface = match route(call.head.method, call.head.path()) {
            Route::To(surface, _) | Route::WrongMethod(surface, _) | Route::Unknown(surface) => surface,
        };
        let message = "the gateway has a defect, which ended this request; its log says where";
        let error = Error::new(Stage::Edge, Kind::Internal, message);
        let bytes = reply::refuse(call, &error, &Way::none(surface, &id)).unwrap_or(0);
        self.leave(&id, surface.word(), "", Err((&error, bytes)));
    }

    fn refusal(&self, error: &Error) -> Vec<u8> {
        let id = self.request_id();
        let answer = reply::refusal(error, &id);
        self.leave(&id, "edge", "", Err((error, answer.len())));
        answer
    }
}

/// Appends a number in hexadecimal, `width` digits at least; every request has one, and `format!` costs ten times as
/// much.
fn push_hex(out: &mut String, value: u64, width: u32) {
    let digits = width.max((64 - value.leading_zeros()).div_ceil(4));
    for place in (0..digits).rev() {
        let digit = (value >> (place * 4)) & 15;
        out.push(char::from(b"0123456789abcdef"[usize::try_from(digit).unwrap_or(0)]));
    }
}

fn wrong_method(methods: &'static str) -> Error {
    Error::new(Stage::Edge, Kind::Method(methods), format!("this path takes {methods}"))
}

fn unknown(surface: Surface, path: &str) -> Error {
    let shown: String = path.chars().filter(|c| !c.is_control()).take(LONGEST_PATH).collect();
    let advice = match surface {
        Surface::Anthropic => "; Claude Code wants a base URL that ends in /anthropic",
        Surface::OpenAi => "; clients of OpenAI want a base URL that ends in /openai/v1",
        Surface::Gemini => "; clients of Gemini want a base URL that ends in /genai",
        Surface::Bedrock => "; clients of Bedrock want a base URL that ends in /bedrock",
        Surface::Vertex => "; clients of Vertex want a base URL that ends in /vertex/v1",
        Surface::Own => "",
    };
    Error::new(Stage::Edge, Kind::NotFound, format!("there is no `{shown}` here{advice}"))
}

fn not_offered(path: &str) -> Error {
    let shown: String = path.chars().filter(|c| !c.is_control()).take(LONGEST_PATH).collect();
    Error::new(Stage::Edge, Kind::NotOffered, format!("`{shown}` is not offered by this version"))
}

/// `surface` of a record for a list of models.
const MODELS: &str = "models";
/// Of a failed attempt's description in the log.
const LONGEST_DETAIL: usize = 300;
/// Of a path in a message.
const LONGEST_PATH: usize = 120;
