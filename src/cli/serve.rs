//! `pointsman serve`: the gateway, from its start over reloads to its drain.
//!
//! ```text
//!   load ──▶ bind ──▶ Serving ──SIGTERM, SIGINT──▶ Draining ──nothing open, or drain over──▶ exit 0
//!                      │   ▲                          └── a second signal ──▶ exit at once
//!                      └───┘ SIGHUP, or the file changed: reload; one that fails changes nothing
//! ```
//!
//! The main thread only waits for what it is told; requests are served on the workers.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, unbounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{USAGE, failed};
use crate::config::env::System;
use crate::config::snapshot::{Kind, Pin, Snapshot};
use crate::config::watch::{EVERY, Watch};
use crate::config::{Found, Mistakes, describe, discover, from_env, listen_mistakes, load_for, reload};
use crate::edge::acceptor::TlsSlot;
use crate::edge::{Listener, Options as EdgeOptions, Shared, tls};
use crate::gateway::{Gateway, Place};
use crate::log::Queue;
use crate::mock::{self, server::Server};
use crate::runtime::{home, panics, start};

/// What `pointsman serve` takes.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Configuration file; absent: `$POINTSMAN_CONFIG`, ./pointsman.yaml, the user's, the machine's, else the environment
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address and port to listen on, instead of `server.listen`
    #[arg(long, value_name = "A:P")]
    listen: Option<SocketAddr>,
    /// Folder for what must survive a restart
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Worker threads, instead of `server.workers`
    #[arg(long, value_name = "N", value_parser = super::workers())]
    workers: Option<usize>,
    /// What is logged: error, warn, info, debug
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: log::LevelFilter,
}

/// Runs the gateway until a signal ends it.
pub fn run(options: &Options) -> ExitCode {
    if let Err(error) = simple_logger::SimpleLogger::new()
        .with_level(options.log_level)
        .with_module_level("may", log::LevelFilter::Warn)
        .with_utc_timestamps()
        .init()
    {
        return failed(error);
    }
    let (snapshot, passed_over) = match first_load(options) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return ExitCode::from(USAGE);
        }
    };
    if let Err(message) = prepare_state(options.state.as_deref()) {
        return failed(message);
    }
    if let Some(reason) = passed_over {
        eprintln!("{reason}");
    }
    match begin(options, snapshot) {
        Ok(serving) => serving.run(),
        Err(message) => failed(message),
    }
}

fn first_load(options: &Options) -> Result<(Snapshot, Option<String>), Mistakes> {
    let (mut snapshot, passed_over) = match discover(options.config.as_deref(), &System, true) {
        Found::File(path) => (load_for(&path, &System, options.listen)?, None),
        Found::Nothing { passed_over } => (from_env(&System), passed_over),
    };
    if let Some(listen) = options.listen {
        snapshot.server.listen = listen;
        let mistakes = listen_mistakes(&snapshot, &System);
        if !mistakes.is_empty() {
            return Err(Mistakes::whole("--listen", mistakes.join("\n")));
        }
    }
    Ok((snapshot, passed_over))
}

/// What runs.
struct Serving {
    listener: Listener,
    shared: Arc<Shared<Arc<Gateway>>>,
    gateway: Arc<Gateway>,
    tls: Arc<TlsSlot>,
    events: Receiver<Event>,
    log: Queue,
    /// Keeps the bundled mock's port.
    _mock: Option<Listener>,
}

/// What the main thread is told.
enum Event {
    Reload,
    End,
}

fn begin(options: &Options, mut snapshot: Snapshot) -> Result<Serving, String> {
    let server = snapshot.server.clone();
    let pin = match server.pin {
        Pin::Auto => None,
        Pin::On => Some(true),
        Pin::Off => Some(false),
    };
    let workers = options.workers.or(server.workers);
    let started = start::start(start::Options { workers, pin });
    panics::note();
    let tls = Arc::new(TlsSlot::empty());
    if let Some(files) = &server.tls {
        tls.store(Some(tls::load(&files.cert, &files.key)?));
    }
    let listener = Listener::bind(server.listen).map_err(|e| cannot_listen(server.listen, &e))?;
    let mock = start_mock().map_err(|e| format!("the bundled mock cannot listen on loopback: {e}"))?;
    snapshot.server.workers = workers.map(|_| started.workers);
    let text = welcome(&snapshot, listener.address);
    // A reload compares with what the file said.
    snapshot.server.workers = server.workers;
    let source = snapshot.source.clone();
    let log = Queue::start();
    let place = Place { listen: listener.address, mock: Some(mock.address) };
    let gateway = Arc::new(Gateway::new(snapshot, place, log.clone()));
    let shared = Arc::new(Shared::new(Arc::clone(&gateway)));
    let (tell, events) = unbounded();
    listen_to_signals(tell.clone()).map_err(|e| format!("cannot listen to signals: {e}"))?;
    keep_house(source.as_deref(), Arc::clone(&gateway), tell);
    let edge = EdgeOptions { max_connections: server.max_connections, tls: Arc::clone(&tls) };
    listener.run(Arc::clone(&shared), edge).map_err(|e| e.to_string())?;
    print!("{text}");
    Ok(Serving { listener, shared, gateway, tls, events, log, _mock: Some(mock) })
}

impl Serving {
    fn run(self) -> ExitCode {
        loop {
            match next(&self.events, None) {
                Some(Event::Reload) => self.reload(),
                Some(Event::End) | None => return self.drain(),
            }
        }
    }

    fn reload(&self) {
        let running = self.gateway.running();
        let Some(path) = running.snapshot.source.as_deref() else {
            log::info!("nothing to reload: the configuration comes from the environment");
            return;
        };
        match self.try_reload(path, &running.snapshot) {
            Ok(()) => log::info!("reloaded {}", path.display()),
            Err(mistakes) => {
                log::error!("{} was not reloaded, what ran goes on:\n{mistakes}", path.display());
                self.gateway.keep(mistakes);
            }
        }
    }

    fn try_reload(&self, path: &Path, old: &Snapshot) -> Result<(), String> {
        let new = reload(path, &System, old).map_err(|mistakes| mistakes.to_string())?;
        if let (Some(files), true) = (&new.server.tls, self.tls.load().is_some()) {
            self.tls.store(Some(tls::load(&files.cert, &files.key)?));
        }
        new.warnings.iter().for_each(|w| log::warn!("{w}"));
        self.shared.set_max_connections(new.server.max_connections);
        self.gateway.load(new);
        Ok(())
    }

    fn drain(self) -> ExitCode {
        let time = self.gateway.now().snapshot.server.drain;
        let open = || self.shared.open_requests.load(Ordering::Relaxed);
        log::info!("draining: {} requests are open", open());
        self.listener.stop();
        self.gateway.drain();
        self.shared.drain();
        let until = Instant::now() + time;
        while open() > 0 && Instant::now() < until {
            if matches!(next(&self.events, Some(LOOK)), Some(Event::End)) {
                log::warn!("ended at once: {} requests were open", open());
                break;
            }
        }
        // What is open is told so and leaves its record.
        self.gateway.end();
        let until = Instant::now() + LAST_WORDS;
        while open() > 0 && Instant::now() < until {
            next(&self.events, Some(LOOK));
        }
        self.log.flush(FLUSH);
        ExitCode::SUCCESS
    }
}

/// The next event; `None` when the time is over.
fn next(events: &Receiver<Event>, time: Option<Duration>) -> Option<Event> {
    match time {
        Some(time) => events.recv_timeout(time).ok(),
        // The main thread is no coroutine, and has nothing else to do.
        #[allow(clippy::disallowed_methods)]
        None => events.recv().ok(),
    }
}

fn listen_to_signals(tell: Sender<Event>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    home::thread("signals", move || {
        for signal in signals.forever() {
            let event = if signal == SIGHUP { Event::Reload } else { Event::End };
            if tell.try_send(event).is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// Looks whether the file changed, and closes pooled connections that are too old, on a thread of its own.
fn keep_house(source: Option<&Path>, gateway: Arc<Gateway>, tell: Sender<Event>) {
    let mut watch = source.map(Watch::new);
    home::thread("house", move || {
        loop {
            #[allow(clippy::disallowed_methods)] // A plain thread, not a coroutine.
            std::thread::sleep(EVERY);
            gateway.sweep();
            if watch.as_mut().is_some_and(Watch::changed) && tell.try_send(Event::Reload).is_err() {
                return;
            }
        }
    });
}

/// The bundled provider, on a port of this process that only this machine reaches.
fn start_mock() -> std::io::Result<Listener> {
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let options = mock::Options { keyless: true, ..mock::Options::default() };
    let edge = EdgeOptions { max_connections: usize::MAX, tls: Arc::default() };
    listener.run(Arc::new(Shared::new(Server::new(options))), edge)?;
    Ok(listener)
}

/// Makes the state folder, for its owner alone, and sees that it can be written.
fn prepare_state(named: Option<&Path>) -> Result<(), String> {
    use std::os::unix::fs::DirBuilderExt;
    let Some(dir) = named else { return Ok(()) };
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    let probe = dir.join(".probe");
    made.and_then(|()| std::fs::write(&probe, b""))
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(|e| format!("--state {}: cannot be written: {e}", dir.display()))
}

fn welcome(snapshot: &Snapshot, address: SocketAddr) -> String {
    let scheme = if snapshot.server.tls.is_some() { "https" } else { "http" };
    let host = match address.ip() {
        ip if ip.is_unspecified() => format!("localhost:{}", address.port()),
        _ => address.to_string(),
    };
    let key = match snapshot.keys.first() {
        Some(key) => quoted(&format!("<the key of {}>", key.id)),
        None => "local".to_owned(),
    };
    let mut text = format!("pointsman {} listens on {scheme}://{address}\n", env!("CARGO_PKG_VERSION"));
    text.push_str(&describe(snapshot));
    let mocked =
        snapshot.accounts.iter().flat_map(|a| &a.providers).any(|p| p.kind == Kind::Mock && p.enabled);
    if mocked {
        text.push_str("note: the bundled mock is a provider here: it plays a model, and nothing it says comes from one\n");
    }
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\nfor Claude Code:\n  export ANTHROPIC_BASE_URL={scheme}://{host}/anthropic\n  export ANTHROPIC_API_KEY={key}\n"
    );
    text
}

/// One word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!(
                "cannot listen on {address}: another program does; use --listen or server.listen for another port"
            )
        }
        _ => format!("cannot listen on {address}: {error}"),
    }
}

/// How often a drain looks whether everything is done.
const LOOK: Duration = Duration::from_millis(10);
/// For requests that are still open at the end: each looks round every tick.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Longest wait for the log at the end.
const FLUSH: Duration = Duration::from_secs(2);
