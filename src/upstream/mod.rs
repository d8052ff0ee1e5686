//! The hot upstream path: HTTP/1.1 connections to providers, one pool per worker and origin.
//!
//! An [`Origin`] is where requests go (address, proxy, TLS roots); [`Upstreams::send`] takes a pooled connection or
//! dials one, sends a request and returns the [`Answer`]'s head; the body is read piece by piece. A pooled connection
//! that turns out to be closed is replaced once, silently. Knows no caller, no budget, no price and no dialect.

pub mod answer;
pub mod dial;
pub mod names;
pub mod pool;
pub mod provider;
pub mod trust;

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::config::snapshot::{Base, Proxy};
use crate::error::{Class, Failure};
use crate::limits::TICK;
use crate::runtime::line::OnTick;
use crate::runtime::{Home, Line, Locals};

pub use answer::{Answer, Read};
pub use pool::Pool;

/// Where requests go. Kept across reloads while its parts stay the same, and its pooled connections with it.
#[derive(Debug)]
pub struct Origin {
    /// Names the pool.
    pub id: u64,
    /// Address and path prefix.
    pub base: Base,
    /// `host` as it is sent.
    pub host_field: String,
    proxy: Option<Proxy>,
    trust: Arc<trust::Trust>,
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
    origins: Mutex<HashMap<String, Arc<Origin>>>,
}

impl Default for Upstreams {
    fn default() -> Self {
        Self { pools: Locals::new(Pool::default), origins: Mutex::default() }
    }
}

impl Upstreams {
    /// The origin of these parts: the one that is already known, or a new one. For loading a configuration.
    pub fn origin(
        &self,
        base: &Base,
        proxy: Option<&Proxy>,
        ca_file: Option<&std::path::Path>,
    ) -> Arc<Origin> {
        let key = format!("{base:?} {:?} {ca_file:?}", proxy.map(|p| (&p.host, p.port)));
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        let next = origins.len() as u64;
        let made = origins.entry(key).or_insert_with(|| {
            Arc::new(Origin {
                id: next,
                base: base.clone(),
                host_field: host_field(base),
                proxy: proxy.cloned(),
                trust: trust::of(ca_file),
            })
        });
        Arc::clone(made)
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// `connect_by` bounds the dialling; every other deadline is `on_tick`'s, whose error ends the attempt. `sent` is
    /// called when the first byte is about to go out.
    pub fn send(
        &self,
        home: &'static Home,
        origin: &Arc<Origin>,
        request: Request<'_>,
        connect_by: Instant,
        sent: &mut dyn FnMut(),
        on_tick: OnTick<'_>,
    ) -> Result<Answer, Trouble> {
        if let Some(line) = self.pooled(home, origin) {
            sent();
            match exchange_heads(line, origin, request, on_tick) {
                Err(Early { stale: true, .. }) => {}
                done => return done.map_err(|early| early.trouble),
            }
        }
        let line = dial::dial(home, origin, connect_by, on_tick)?;
        sent();
        exchange_heads(line, origin, request, on_tick).map_err(|early| early.trouble)
    }

    fn pooled(&self, home: &'static Home, origin: &Origin) -> Option<Line> {
        self.pools.of(home).take(origin.id)
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

    /// Closes the pooled connections of a home that are too old to be used. Must run at home.
    pub fn sweep(&self, home: &'static Home) {
        let old = self.pools.of(home).sweep();
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

fn exchange_heads(
    mut line: Line,
    origin: &Arc<Origin>,
    request: Request<'_>,
    on_tick: OnTick<'_>,
) -> Result<Answer, Early> {
    let reused = line_is_reused(&line);
    let mut slices = Vec::with_capacity(request.body.len() + 1);
    slices.push(IoSlice::new(request.head));
    slices.extend(request.body.iter().map(|piece| IoSlice::new(piece)));
    let mut stopped = false;
    let mut watch = || on_tick().inspect_err(|_| stopped = true);
    let written = line.write_all(&mut slices, TICK, &mut watch);
    if stopped {
        return Err(Early { stale: false, trouble: Trouble::new(Class::Total, "stopped while sending") });
    }
    // A server may answer and close before it has read everything (413, 401): what it said counts, not the broken pipe.
    let mut answer = Answer::new(line, Arc::clone(origin), written.is_ok());
    answer.read_head(on_tick).map_err(|trouble| {
        let trouble = match written {
            Err(error) if trouble.failure.class == Class::Reset => {
                Trouble::new(Class::Reset, describe(&error))
            }
            _ => trouble,
        };
        Early { stale: reused && trouble.failure.class == Class::Reset && answer.is_untouched(), trouble }
    })?;
    Ok(answer)
}

fn line_is_reused(line: &Line) -> bool {
    line.socket().uses() > 0
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
