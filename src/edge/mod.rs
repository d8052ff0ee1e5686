//! The edge: HTTP/1.1 for clients, on coroutines that stay on the core of their connection.
//!
//! One acceptor hands connections to the least loaded home ([`acceptor`]); one coroutine serves each ([`connection`]).
//! What is served is a [`Service`]'s matter: the edge parses no JSON, knows no provider and chooses no status.

pub mod acceptor;
pub mod call;
pub mod connection;
pub mod head;
pub mod host;
pub mod routes;
pub mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::error::Error;

pub use acceptor::{Listener, Options};
pub use call::{Call, Gone};
pub use head::{Head, Method};

/// What a server does with requests.
pub trait Service: Send + Sync + 'static {
    /// Serves one request: reads its body if it wants to, and answers.
    fn serve(&self, call: &mut Call<'_>);

    /// The request panicked: answers it if nothing was sent yet.
    fn panicked(&self, call: &mut Call<'_>);

    /// A whole HTTP answer (head and body, `connection: close`) to what could not be read as a request, or to a
    /// connection above the cap.
    fn refusal(&self, error: &Error) -> Vec<u8>;
}

impl<S: Service> Service for Arc<S> {
    fn serve(&self, call: &mut Call<'_>) {
        S::serve(self, call);
    }

    fn panicked(&self, call: &mut Call<'_>) {
        S::panicked(self, call);
    }

    fn refusal(&self, error: &Error) -> Vec<u8> {
        S::refusal(self, error)
    }
}

/// What all connections of one listener share.
pub struct Shared<S> {
    /// What is served.
    pub service: S,
    /// Requests being served.
    pub open_requests: AtomicUsize,
    /// Connections open.
    pub open_connections: AtomicUsize,
    max_connections: AtomicUsize,
    draining: AtomicBool,
}

impl<S> Shared<S> {
    /// Nothing open yet.
    pub fn new(service: S) -> Self {
        Self {
            service,
            open_requests: AtomicUsize::new(0),
            open_connections: AtomicUsize::new(0),
            max_connections: AtomicUsize::new(usize::MAX),
            draining: AtomicBool::new(false),
        }
    }

    /// Connections open at once from now on; what is above stays open.
    pub fn set_max_connections(&self, max: usize) {
        self.max_connections.store(max, Ordering::Relaxed);
    }

    /// Whether connections end after their current request.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Lets connections end after their current request.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}
