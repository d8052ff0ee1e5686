//! Dialling: name, TCP (several addresses), proxy by CONNECT, TLS. All within one deadline.
//!
//! Each step waits in ticks, so that a client that goes away ends the dialling too, and so does the deadline, however few
//! bytes the other end trickles.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;

use super::{Origin, Trouble, describe};
use crate::clock;
use crate::config::snapshot::Proxy;
use crate::error::Class;
use crate::limits::{MAX_RESPONSE_HEAD, TICK};
use crate::runtime::buffer::Window;
use crate::runtime::line::{OnTick, Outgoing, Pace, is_tick};
use crate::runtime::socket::Socket;
use crate::runtime::{Home, Line};

/// A new connection to `origin`, ready for a request, within `time` from now.
#[inline(never)] // A frame of its own: stacks stay small while others wait.
pub fn dial(
    home: &'static Home,
    origin: &Arc<Origin>,
    time: Duration,
    on_tick: OnTick<'_>,
) -> Result<Line, Trouble> {
    let deadline = clock::now() + time;
    let mut late = false;
    let mut watch = || {
        late = clock::now() >= deadline;
        if late { Err(io::ErrorKind::TimedOut.into()) } else { on_tick() }
    };
    let dialled = steps(home, origin, deadline, &mut watch);
    match dialled {
        Err(trouble) if late => {
            let detail = format!("not connected to {} in time: {}", origin.host_field, trouble.detail);
            Err(Trouble::new(trouble.failure.class, detail))
        }
        done => done,
    }
}

fn steps(
    home: &'static Home,
    origin: &Arc<Origin>,
    deadline: Instant,
    on_tick: OnTick<'_>,
) -> Result<Line, Trouble> {
    let base = &origin.base;
    let socket = match &origin.proxy {
        None => connect(home, &base.host, base.port, deadline, on_tick)?,
        Some(proxy) => {
            let socket = connect(home, &proxy.host, proxy.port, deadline, on_tick)?;
            tunnel(socket, proxy, &base.host, base.port, on_tick)?
        }
    };
    if base.tls { secure(home, socket, origin, on_tick) } else { Ok(Line::Plain(socket)) }
}

#[inline(never)] // A frame of its own: stacks stay small while others wait.
fn secure(
    home: &'static Home,
    socket: Socket,
    origin: &Origin,
    on_tick: OnTick<'_>,
) -> Result<Line, Trouble> {
    let base = &origin.base;
    let config = origin.trust.config(home, on_tick).map_err(|detail| Trouble::new(Class::Tls, detail))?;
    let name =
        ServerName::try_from(base.host.clone()).map_err(|e| Trouble::new(Class::Tls, e.to_string()))?;
    let session =
        rustls::ClientConnection::new(config, name).map_err(|e| Trouble::new(Class::Tls, e.to_string()))?;
    Line::secure(socket, session.into(), TICK, on_tick)
        .map_err(|error| Trouble::new(Class::Tls, format!("TLS with {}: {}", base.host, describe(&error))))
}

/// Connects to the first address that answers.
#[inline(never)] // As above.
fn connect(
    home: &'static Home,
    host: &str,
    port: u16,
    deadline: Instant,
    on_tick: OnTick<'_>,
) -> Result<Socket, Trouble> {
    let addresses =
        super::names::resolve(home, host, port, on_tick).map_err(|e| Trouble::new(Class::Connect, e))?;
    let mut last = format!("{host} has no address");
    for (n, address) in addresses.iter().enumerate() {
        // What is left is shared among the addresses that are left, so that one that swallows packets does not eat it all.
        let left = deadline.saturating_duration_since(clock::now());
        let share = left / u32::try_from(addresses.len() - n).unwrap_or(1);
        match connect_one(home, *address, clock::now() + share, on_tick) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = format!("{host} ({address}): {}", describe(&error)),
        }
        if clock::now() >= deadline {
            break;
        }
    }
    Err(Trouble::new(Class::Connect, last))
}

fn connect_one(
    home: &'static Home,
    address: std::net::SocketAddr,
    by: Instant,
    on_tick: OnTick<'_>,
) -> io::Result<Socket> {
    let mut socket = Socket::connect(home, address)?;
    loop {
        match socket.wait_connected(TICK) {
            Ok(()) => return Ok(socket),
            Err(error) if is_tick(&error) => {
                on_tick()?;
                if clock::now() >= by {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Asks a proxy for a tunnel (RFC 9110 section 9.3.6).
#[inline(never)] // A frame of its own: stacks stay small while others wait.
fn tunnel(
    socket: Socket,
    proxy: &Proxy,
    host: &str,
    port: u16,
    on_tick: OnTick<'_>,
) -> Result<Socket, Trouble> {
    let refused = |detail: String| {
        Trouble::new(Class::Connect, format!("proxy {}:{}: {detail}", proxy.host, proxy.port))
    };
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n");
    if let Some(authorization) = &proxy.authorization {
        request.push_str("proxy-authorization: ");
        request.push_str(authorization.expose());
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    let mut window = Window::new(socket.home());
    let mut line = Line::Plain(socket);
    let mut pace = Pace::new(TICK, on_tick);
    let mut slices = [IoSlice::new(request.as_bytes())];
    line.send(&mut Outgoing::new(&mut slices), &mut pace, true).map_err(|e| refused(describe(&e)))?;
    loop {
        if let Some(end) = memchr::memmem::find(window.rest(), b"\r\n\r\n") {
            // Any 2xx stands for a tunnel.
            let status = window.rest().get(9..12).unwrap_or_default();
            if !status.starts_with(b"2") {
                let why = if status == b"407" { " (its user or password is wrong or missing)" } else { "" };
                return Err(refused(format!("answered {} to CONNECT{why}", String::from_utf8_lossy(status))));
            }
            window.consume(end + 4);
            if !window.is_empty() {
                return Err(refused("sent bytes before the tunnel stood".to_owned()));
            }
            break;
        }
        if window.rest().len() > MAX_RESPONSE_HEAD {
            return Err(refused("its answer to CONNECT is too long".to_owned()));
        }
        let waited = match line.fill(&mut window, TICK) {
            Ok(0) => return Err(refused("closed the connection".to_owned())),
            Ok(_) => pace.wet(),
            Err(error) if is_tick(&error) => pace.dry(),
            Err(error) => Err(error),
        };
        waited.map_err(|e| refused(describe(&e)))?;
    }
    match line {
        Line::Plain(socket) => Ok(socket),
        Line::Tls(_) => Err(refused("unexpected TLS".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::dial;
    use crate::config::snapshot::{Base, Proxy};
    use crate::runtime::home::{Home, spawn};
    use crate::upstream::Upstreams;

    /// A proxy that says this to whatever it is asked.
    fn proxy(says: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut stream = listener.incoming().flatten().next().unwrap();
            let _ = stream.read(&mut [0; 1024]);
            stream.write_all(says.as_bytes()).unwrap();
        });
        address
    }

    /// What goes wrong when a provider is dialled through that proxy.
    fn trouble(address: SocketAddr) -> Option<String> {
        let base = Base { tls: false, host: "provider".to_owned(), port: 80, path: String::new() };
        let proxy = Proxy { host: address.ip().to_string(), port: address.port(), authorization: None };
        let origin = Upstreams::default().origin(&base, Some(&proxy), None);
        let (tell, told) = mpsc::channel();
        let home = Home::get(0);
        spawn(home, move || {
            let dialled = dial(home, &origin, Duration::from_secs(5), &mut || Ok(()));
            tell.send(dialled.err().map(|trouble| trouble.detail)).unwrap();
        });
        told.recv_timeout(Duration::from_secs(20)).expect("the coroutine did not end")
    }

    #[test]
    fn a_proxy_that_refuses_is_named_with_its_answer() {
        for (says, expected) in [
            ("HTTP/1.1 403 Forbidden\r\n\r\n", "answered 403 to CONNECT"),
            ("HTTP/1.1 407 X\r\n\r\n", "answered 407 to CONNECT (its user or password is wrong or missing)"),
            ("HTTP/1.1 200 OK\r\n\r\nhello", "sent bytes before the tunnel stood"),
            ("", "closed the connection"),
        ] {
            let address = proxy(says);
            assert_eq!(trouble(address), Some(format!("proxy {address}: {expected}")));
        }
    }

    #[test]
    fn every_2xx_of_a_proxy_stands_for_a_tunnel() {
        assert_eq!(trouble(proxy("HTTP/1.1 200 Connection established\r\n\r\n")), None);
        assert_eq!(trouble(proxy("HTTP/1.0 204 No Content\r\nx: y\r\n\r\n")), None);
    }
}
