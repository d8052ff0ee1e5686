//! The hot upstream path: HTTP/1.1 connections to providers, one pool per worker and origin.
//!
//! An [`Origin`] is where requests go (address, proxy, TLS roots); [`Upstreams::send`] takes a pooled connection or
//! dials one, sends a request and returns the [`Answer`]'s head; the body is read piece by piece. A pooled connection
//! that turns out to be closed is replaced once, silently. Knows no caller, no budget, no price and no dialect.

pub mod answer;
pub mod dial;
mod gzip;
pub mod names;
pub mod pool;
pub mod provider;
pub mod trust;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::config::snapshot::{Base, Proxy};
use crate::error::{Class, Failure};
use crate::limits::TICK;
use crate::runtime::line::{OnTick, Pace};
use crate::runtime::{Home, Line, Locals};

pub use answer::{Answer, Read};
pub use pool::Pool;
pub use trust::Trust;

/// Where requests go. Kept across reloads while its parts stay the same, and its pooled connections with it; once no
/// configuration that is in use names it, both go.
#[derive(Debug)]
pub struct Origin {
    /// Names the pool.
    pub id: u64,
    /// Address and path prefix.
    pub base: Base,
    /// `host` as it is sent.
    pub host_field: String,
    proxy: Option<Proxy>,
    trust: Arc<Trust>,
}

/// How an attempt without an answer ended. The detail is for the log: it may name hosts, never a secret.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// What kind it is.
    pub failure: Failure,
    /// What the system or the library said.
    pub detail: String,
}

impl Trouble {
    /// A failure without an answer.
    pub fn new(class: Class, detail: impl Into<String>) -> Self {
        Self { failure: Failure::silent(class), detail: detail.into() }
    }
}

/// A request as it goes out: its head, and its body in pieces that lie where they were received.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// Request line and fields, with `content-length` and the empty line.
    pub head: &'r [u8],
    /// The body.
    pub body: &'r [&'r [u8]],
}

/// Every connection to every origin.
pub struct Upstreams {
    pools: Locals<Pool>,
    known: Mutex<Known>,
}

/// What the configurations in use name. They hold it; here it is only found again.
#[derive(Default)]
struct Known {
    origins: Vec<Weak<Origin>>,
    trusts: Vec<Weak<Trust>>,
    /// No id is ever given twice: an old origin's connections may still be in a pool.
    next: u64,
}

impl Default for Upstreams {
    fn default() -> Self {
        Self { pools: Locals::new(Pool::default), known: Mutex::default() }
    }
}

impl Upstreams {
    /// The origin of these parts: the one that is already known, or a new one. For loading a configuration: it reads the
    /// extra file, so that another content makes another origin, and so does another password of the proxy.
    pub fn origin(&self, base: &Base, proxy: Option<&Proxy>, ca_file: Option<&Path>) -> Arc<Origin> {
        let trust = Trust::new(ca_file);
        let mut known = self.known();
        let same = known.trusts.iter().filter_map(Weak::upgrade).find(|same| **same == trust);
        let trust = same.unwrap_or_else(|| {
            let trust = Arc::new(trust);
            known.trusts.push(Arc::downgrade(&trust));
            trust
        });
        let same = known.origins.iter().filter_map(Weak::upgrade).find(|origin| {
            origin.base == *base && origin.proxy.as_ref() == proxy && Arc::ptr_eq(&origin.trust, &trust)
        });
        if let Some(same) = same {
            return same;
        }
        let made = Arc::new(Origin {
            id: known.next,
            base: base.clone(),
            host_field: host_field(base),
            proxy: proxy.cloned(),
            trust,
        });
        known.next += 1;
        known.origins.retain(|origin| origin.strong_count() > 0);
        known.trusts.retain(|trust| trust.strong_count() > 0);
        known.origins.push(Arc::downgrade(&made));
        made
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// `connect` bounds the dialling, from when it begins; every other deadline is `on_tick`'s, whose error ends the
    /// attempt. `sent` is called when the first byte is about to go out.
    pub fn send(
        &self,
        home: &'static Home,
        origin: &Arc<Origin>,
        request: Request<'_>,
        connect: Duration,
        sent: &mut dyn FnMut(),
        on_tick: OnTick<'_>,
    ) -> Result<Answer, Trouble> {
        if let Some(line) = self.pooled(home, origin) {
            sent();
            match ask(line, origin, request, on_tick) {
                Err(Early { stale: true, .. }) => {}
                done => return done.map_err(|early| early.trouble),
            }
        }
        let line = dial::dial(home, origin, connect, on_tick)?;
        sent();
        ask(line, origin, request, on_tick).map_err(|early| early.trouble)
    }

    fn pooled(&self, home: &'static Home, origin: &Origin) -> Option<Line> {
        let mut gone = Vec::new();
        let line = self.pools.of(home).take(origin.id, &mut gone);
        // Closed here, after the pool is unlocked again.
        drop(gone);
        line
    }

    /// Gives an answer's connection back if it can serve another request.
    pub fn done(&self, answer: Answer) {
        if let Some((line, origin)) = answer.reusable() {
            let home = line.home();
            let spare = self.pools.of(home).put(origin.id, line);
            // Closed here, after the pool is unlocked again.
            drop(spare);
        }
    }

    /// Closes the pooled connections of a home that are too old to be used, or that no configuration in use wants. Must
    /// run at home.
    pub fn sweep(&self, home: &'static Home) {
        let wanted: Vec<u64> =
            self.known().origins.iter().filter_map(Weak::upgrade).map(|origin| origin.id).collect();
        let old = self.pools.of(home).sweep(|id| wanted.contains(&id));
        drop(old);
    }

    /// Idle connections over all workers.
    pub fn idle(&self) -> usize {
        let mut n = 0;
        self.pools.each(|pool| n += pool.len());
        n
    }
}

struct Early {
    /// The connection had been used before and broke before a byte of the answer: the server had closed it.
    stale: bool,
    trouble: Trouble,
}

fn ask(line: Line, origin: &Arc<Origin>, request: Request<'_>, on_tick: OnTick<'_>) -> Result<Answer, Early> {
    let reused = line.socket().uses() > 0;
    let mut answer = Answer::new(line, Arc::clone(origin));
    match answer.ask(request, &mut Pace::new(TICK, on_tick)) {
        Ok(()) => Ok(answer),
        Err(trouble) => {
            let stale = reused && trouble.failure.class == Class::Reset && answer.is_untouched();
            Err(Early { stale, trouble })
        }
    }
}

fn host_field(base: &Base) -> String {
    let name = if base.host.contains(':') { format!("[{}]", base.host) } else { base.host.clone() };
    let usual = if base.tls { 443 } else { 80 };
    if base.port == usual { name } else { format!("{name}:{}", base.port) }
}

/// A system's error in words, without the "os error" number.
fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
