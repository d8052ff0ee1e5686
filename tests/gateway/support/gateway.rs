//! The gateway in this process, on a port of its own.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use pointsman::config::{env::Given, from_text};
use pointsman::edge::{Listener, Options, Shared};
use pointsman::gateway::{Gateway as Service, Place};
use pointsman::log::Queue;

use super::client::{Answer, Client, Request};
use super::upstream::Upstream;

/// A configuration under construction.
#[derive(Default)]
pub struct Building {
    providers: String,
    server: String,
    top: String,
    retry: String,
    affinity: Option<&'static str>,
}

/// A gateway without providers yet. It chooses per request unless told otherwise.
pub fn gateway() -> Building {
    Building::default()
}

impl Building {
    /// A provider with this id and weight.
    pub fn weighted(self, id: &str, upstream: &Upstream, weight: u32) -> Self {
        self.provider(id, upstream, &format!("weight: {weight}"))
    }

    /// A provider with these further fields.
    pub fn provider(mut self, id: &str, upstream: &Upstream, fields: &str) -> Self {
        let key =
            if fields.contains("api_keys") { String::new() } else { format!("api_key: secret-of-{id}, ") };
        writeln!(
            self.providers,
            "      - {{ id: {id}, type: anthropic_compatible, base_url: \"http://{}\", {key}{fields} }}",
            upstream.address
        )
        .unwrap();
        self
    }

    /// A provider of this type, with these further fields.
    pub fn speaks(mut self, id: &str, kind: &str, upstream: &Upstream, fields: &str) -> Self {
        let comma = if fields.is_empty() { "" } else { ", " };
        writeln!(
            self.providers,
            "      - {{ id: {id}, type: {kind}, base_url: \"http://{}\", api_key: secret-of-{id}{comma}{fields} }}",
            upstream.address
        )
        .unwrap();
        self
    }

    /// Fields of `retry`.
    pub fn retry(mut self, fields: &str) -> Self {
        self.retry = format!("retry: {{ {fields} }}\n");
        self
    }

    /// Fields of `server`.
    pub fn server(mut self, fields: &str) -> Self {
        self.server = format!(", {fields}");
        self
    }

    /// Sessions stay with their provider.
    pub fn with_sessions(mut self) -> Self {
        self.affinity = Some("session");
        self
    }

    /// Further top-level YAML.
    pub fn also(mut self, yaml: &str) -> Self {
        self.top.push_str(yaml);
        self.top.push('\n');
        self
    }

    /// The configuration's text.
    pub fn yaml(&self) -> String {
        let affinity = self.affinity.unwrap_or("none");
        format!(
            "server: {{ listen: \"127.0.0.1:0\"{} }}\naccounts:\n  - id: a\n    providers:\n{}routing: {{ affinity: {affinity} }}\n{}{}",
            self.server, self.providers, self.retry, self.top
        )
    }

    /// Runs it.
    pub fn run(self) -> Gateway {
        from_yaml(&self.yaml())
    }
}

/// What a configuration may name: nothing but the tests' own certificate.
fn machine() -> Given {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls/cert.pem");
    Given::new().with_file(path, &std::fs::read_to_string(path).unwrap())
}

/// Runs a configuration as it is written.
pub fn from_yaml(yaml: &str) -> Gateway {
    placed(yaml, None)
}

/// The gateway with the bundled mock as its only provider, as `pointsman serve` starts with nothing configured.
pub fn mocked() -> Gateway {
    let mock = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = mock.address;
    let options = pointsman::mock::Options { keyless: true, ..pointsman::mock::Options::default() };
    let server = pointsman::mock::server::Server::new(options);
    let edge = Options { max_connections: 100, tls: Arc::default() };
    mock.run(Arc::new(Shared::new(server)), edge).unwrap();
    // It listens until the process ends.
    std::mem::forget(mock);
    placed("accounts: [{ id: a, providers: [{ id: mock, type: mock }] }]", Some(address))
}

fn placed(yaml: &str, mock: Option<SocketAddr>) -> Gateway {
    let snapshot = from_text("test.yaml", yaml, &machine()).unwrap_or_else(|m| panic!("{m}"));
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let options = Options { max_connections: snapshot.server.max_connections, tls: Arc::default() };
    let place = Place { listen: listener.address, mock };
    let service = Arc::new(Service::new(snapshot, place, Queue::start()));
    let shared = Arc::new(Shared::new(Arc::clone(&service)));
    listener.run(Arc::clone(&shared), options).unwrap();
    Gateway { address: listener.address, service, shared, listener }
}

/// A gateway that runs.
pub struct Gateway {
    pub address: SocketAddr,
    pub service: Arc<Service>,
    pub shared: Arc<Shared<Arc<Service>>>,
    listener: Listener,
}

impl Gateway {
    /// A connection to it.
    pub fn client(&self) -> Client {
        Client::to(self.address)
    }

    /// One request on a connection of its own.
    #[allow(clippy::needless_pass_by_value)] // Reads better.
    pub fn post(&self, request: Request) -> Answer {
        self.client().send(&request).answer()
    }

    /// Reads a new configuration in place.
    pub fn reload(&self, building: &Building) {
        self.service
            .load(from_text("test.yaml", &building.yaml(), &Given::new()).unwrap_or_else(|m| panic!("{m}")));
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shared.drain();
        self.listener.stop();
    }
}
