//! Listening, accepting, handing out.
//!
//! One plain thread accepts for all homes: with `SO_REUSEPORT` two of four keep-alive connections often land on the
//! same worker, and few connections are the normal case here. Each goes to the home with the fewest. The coroutine
//! takes its socket home itself, since only there the registration is safe.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::connection::Connection;
use super::{Service, Shared};
use crate::error::{Error, Kind, Stage};
use crate::limits::{HEAD_DEADLINE, TICK};
use crate::runtime::socket::Socket;
use crate::runtime::{Home, Line, home};

/// A configuration of TLS that may be exchanged while it listens.
pub type TlsSlot = arc_swap::ArcSwapOption<rustls::ServerConfig>;

/// How a listener behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections open at once, until [`Shared::set_max_connections`] says otherwise; one more gets a 503.
    pub max_connections: usize,
    /// TLS, if any.
    pub tls: Arc<TlsSlot>,
}

/// A bound listener with its accepting thread.
pub struct Listener {
    /// Where it listens (the port is the real one, also when 0 was asked for).
    pub address: SocketAddr,
    socket: TcpListener,
}

impl Listener {
    /// Binds. Connections queue in the kernel until [`Listener::run`].
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let fd = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_reuseaddr(&fd, true)?;
        rustix::net::bind(&fd, &address)?;
        // The standard library's 128 overflows when a thousand agents connect at once.
        rustix::net::listen(&fd, BACKLOG)?;
        let socket = TcpListener::from(fd);
        Ok(Self { address: socket.local_addr()?, socket })
    }

    /// Starts accepting, on a thread of its own.
    pub fn run<S: Service>(&self, shared: Arc<Shared<S>>, options: Options) -> io::Result<()> {
        let socket = self.socket.try_clone()?;
        shared.set_max_connections(options.max_connections);
        home::thread("acceptor", move || accept(&socket, &shared, &options));
        Ok(())
    }

    /// Stops accepting: what is connected goes on.
    pub fn stop(&self) {
        rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both).ok();
    }
}

fn accept<S: Service>(socket: &TcpListener, shared: &Arc<Shared<S>>, options: &Options) {
    loop {
        match socket.accept() {
            Ok((tcp, peer)) => hand_out(tcp, peer, shared, options),
            // EINVAL: the listener was shut down.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
            // Out of descriptors: those who wait in the kernel's queue are served when some are free again.
            Err(_) => pause(),
        }
        if shared.is_draining() {
            return;
        }
    }
}

#[allow(clippy::disallowed_methods)] // A plain thread, not a coroutine.
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

fn hand_out<S: Service>(tcp: TcpStream, peer: SocketAddr, shared: &Arc<Shared<S>>, options: &Options) {
    let Some(place) = Place::take(shared) else { return turn_away(tcp, shared) };
    let home = Home::least_loaded();
    home.connections.fetch_add(1, Ordering::Relaxed);
    let stay = Stay { home };
    let tls = options.tls.load_full();
    home::spawn(home, move || {
        let (stay, place) = (stay, place);
        if let Ok(line) = open(stay.home, tcp, tls) {
            Connection::new(line, peer).serve(&place.shared);
        }
    });
}

#[inline(never)] // A frame of its own: stacks stay small while others wait.
fn open(home: &'static Home, tcp: TcpStream, tls: Option<Arc<rustls::ServerConfig>>) -> io::Result<Line> {
    let socket = Socket::adopt(home, tcp)?;
    let Some(config) = tls else { return Ok(Line::Plain(socket)) };
    let session = rustls::ServerConnection::new(config).map_err(io::Error::other)?;
    let mut ticks = 0;
    Line::secure(socket, session.into(), TICK, &mut || {
        ticks += 1;
        if TICK * ticks > HEAD_DEADLINE { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    })
}

/// One connection too many: a short answer, written by the acceptor if the kernel takes it at once.
fn turn_away<S: Service>(mut tcp: TcpStream, shared: &Arc<Shared<S>>) {
    let error = Error::new(
        Stage::Edge,
        Kind::Unavailable,
        "too many connections are open (server.max_connections); try again soon",
    );
    let answer = shared.service.refusal(&error.after(Duration::from_secs(1)));
    if tcp.set_nonblocking(true).is_ok() {
        io::Write::write(&mut tcp, &answer).ok();
        tcp.shutdown(std::net::Shutdown::Write).ok();
    }
}

/// A place among the open connections, given back on drop.
struct Place<S> {
    shared: Arc<Shared<S>>,
}

impl<S> Place<S> {
    fn take(shared: &Arc<Shared<S>>) -> Option<Self> {
        let open = &shared.open_connections;
        if open.fetch_add(1, Ordering::Relaxed) >= shared.max_connections.load(Ordering::Relaxed) {
            open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self { shared: Arc::clone(shared) })
    }
}

impl<S> Drop for Place<S> {
    fn drop(&mut self) {
        self.shared.open_connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection's stay at a home, ended on drop.
struct Stay {
    home: &'static Home,
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.home.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Connections that wait for the acceptor; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
