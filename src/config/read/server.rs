//! `server`, and what listening beyond loopback demands.
//!
//! Binds nothing: whether the address is free is seen at the start.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::Reader;
use crate::config::decode::{Item, Record};
use crate::config::snapshot::{Pin, Server, Tls, VirtualKey};
use crate::config::{mistake::Pos, url};

impl Reader<'_> {
    pub(super) fn server(&mut self, record: Option<&Record>) -> Server {
        let mut server = default();
        if let Some(record) = record {
            self.fill(&mut server, record);
        }
        if let Some(running) = self.running {
            self.only_at_start(&server, running);
        }
        server.listen = self.listen.unwrap_or(server.listen);
        server
    }

    fn only_at_start(&mut self, written: &Server, running: &Server) {
        if written.listen != running.listen {
            let (new, old) = (written.listen, running.listen);
            self.sink.warn(format!(
                "`server.listen` is {new}; this gateway goes on listening on {old} until it ends"
            ));
        }
        if (written.workers, written.pin) != (running.workers, running.pin) {
            self.sink.warn("`server.workers` and `server.pin` take effect at the next start");
        }
        if written.tls.is_some() != running.tls.is_some() {
            self.sink.warn("turning `server.tls` on or off takes effect at the next start");
        }
    }

    fn fill(&mut self, server: &mut Server, record: &Record) {
        let size = |name: &str| record.whole(name).and_then(|n| usize::try_from(n).ok());
        server.listen = record.address("listen").unwrap_or(server.listen);
        server.workers = size("workers");
        server.pin = match record.text("pin") {
            Some("on" | "true") => Pin::On,
            Some("off" | "false") => Pin::Off,
            _ => Pin::Auto,
        };
        server.tls = record.record("tls").and_then(tls);
        server.allowed_hosts = record.list("allowed_hosts").iter().filter_map(|i| self.host(i)).collect();
        server.allowed_origins =
            record.list("allowed_origins").iter().filter_map(|i| self.origin(i)).collect();
        server.max_body = size("max_body").unwrap_or(server.max_body);
        server.max_connections = size("max_connections").unwrap_or(server.max_connections);
        server.drain = record.span("drain").unwrap_or(server.drain);
    }

    fn host(&mut self, item: &Item) -> Option<String> {
        let host = item.text()?.to_ascii_lowercase();
        let fits = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if !fits {
            let text = format!(
                "{} is not a host name; expected a name such as `gateway.corp` (no scheme, no port)",
                item.raw
            );
            self.sink.mistake(item.at, &item.path, text);
        }
        fits.then_some(host)
    }

    fn origin(&mut self, item: &Item) -> Option<String> {
        match url::origin(item.text()?) {
            Ok(origin) => Some(origin),
            Err(e) => {
                self.sink.mistake(item.at, &item.path, format!("{} {e}", item.raw));
                None
            }
        }
    }

    /// Beyond loopback: keys are demanded, and without TLS a warning.
    pub(super) fn listening(&mut self, file: &Record, server: &Server, keys: &[VirtualKey]) {
        if server.listen.ip().is_loopback() {
            return;
        }
        let item = file.record("server").and_then(|s| s.item("listen"));
        let at = item.map_or(Pos { line: 1, column: 1 }, |i| i.at);
        if keys.is_empty() && !file.has("virtual_keys") {
            let listen = server.listen;
            let text = format!(
                "`{listen}` is beyond loopback, which takes `virtual_keys`; add one, or listen on 127.0.0.1"
            );
            self.sink.mistake(at, "server.listen", text);
        } else if keys.is_empty()
            && file.list("virtual_keys").is_empty()
            && file.item("virtual_keys").is_some()
        {
            self.sink.mistake(
                at,
                "server.listen",
                "is beyond loopback, but `virtual_keys` is empty; add a key",
            );
        }
        if server.tls.is_none() {
            let listen = server.listen;
            self.sink.warn(format!(
                "listening on {listen} without `server.tls`: keys and contents cross the network readable"
            ));
        }
    }
}

fn tls(record: &Record) -> Option<Tls> {
    Some(Tls { cert: record.path_of("cert")?, key: record.path_of("key")? })
}

/// `server` where nothing is written (INTERFACE section 2).
pub fn default() -> Server {
    Server {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
        workers: None,
        pin: Pin::Auto,
        tls: None,
        allowed_hosts: Vec::new(),
        allowed_origins: Vec::new(),
        max_body: 32 << 20,
        max_connections: 16_384,
        drain: Duration::from_mins(2),
    }
}
