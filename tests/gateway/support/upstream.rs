//! A scripted provider: blocking sockets, one thread per connection, every byte under control.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::events;

/// One thing that a provider does with a connection.
#[derive(Clone, Debug)]
pub enum Act {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Waits.
    Wait(Duration),
    /// Waits until the peer closes.
    Hold,
    /// Closes.
    Close,
    /// Closes by a reset.
    Reset,
}

/// A request as the provider saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Request line and fields.
    pub head: String,
    pub body: Vec<u8>,
    /// When a [`Act::Hold`] ended because the peer closed.
    pub left_at: Option<Instant>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Shared {
    scripts: Mutex<VecDeque<Vec<Act>>>,
    last: Mutex<Vec<Act>>,
    seen: Mutex<Vec<Seen>>,
    connections: Mutex<usize>,
}

/// A provider that listens.
pub struct Upstream {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

/// A provider that answers `hello` to everything until it is told otherwise.
pub fn upstream() -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let shared = Arc::new(Shared::default());
    let theirs = Arc::clone(&shared);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            *theirs.connections.lock().unwrap() += 1;
            let shared = Arc::clone(&theirs);
            std::thread::spawn(move || serve(stream, &shared));
        }
    });
    Upstream { address, shared }.always(reply(200, "application/json", &events::whole("real-model", "hello")))
}

/// A provider that nobody serves: connections are refused.
pub fn dead() -> Upstream {
    Upstream::at(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

impl Upstream {
    /// A provider that somebody else serves.
    pub fn at(address: SocketAddr) -> Self {
        Self { address, shared: Arc::default() }
    }

    /// The next request, and each further call the one after it, is played like this.
    pub fn then(self, acts: Vec<Act>) -> Self {
        self.shared.scripts.lock().unwrap().push_back(acts);
        self
    }

    /// Requests that have no script of their own are played like this.
    pub fn always(self, acts: Vec<Act>) -> Self {
        *self.shared.last.lock().unwrap() = acts;
        self
    }

    /// Always streams these events.
    pub fn streams(self, events: &str) -> Self {
        self.always(sse(events))
    }

    /// Always answers with this status and body.
    pub fn answers(self, status: u16, body: &str) -> Self {
        self.always(reply(status, "application/json", body))
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.shared.seen.lock().unwrap().len()
    }

    pub fn connections(&self) -> usize {
        *self.shared.connections.lock().unwrap()
    }
}

/// A whole answer.
pub fn reply(status: u16, kind: &str, body: &str) -> Vec<Act> {
    reply_with(status, &format!("content-type: {kind}\r\n"), body)
}

/// A whole answer with further header lines.
pub fn reply_with(status: u16, lines: &str, body: &str) -> Vec<Act> {
    vec![Act::Send(
        format!(
            "HTTP/1.1 {status} X\r\n{lines}request-id: req_up\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
    )]
}

/// A whole event stream in one write, chunked.
pub fn sse(events: &str) -> Vec<Act> {
    vec![Act::Send([sse_head(), chunk(events), b"0\r\n\r\n".to_vec()].concat())]
}

pub fn sse_head() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nrequest-id: req_up\r\ntransfer-encoding: chunked\r\n\r\n"
        .to_vec()
}

pub fn chunk(text: &str) -> Vec<u8> {
    if text.is_empty() { Vec::new() } else { format!("{:x}\r\n{text}\r\n", text.len()).into_bytes() }
}

/// The beginning of an event stream, and then what follows.
pub fn sse_then(events: &str, then: Vec<Act>) -> Vec<Act> {
    let mut acts = vec![Act::Send([sse_head(), chunk(events)].concat())];
    acts.extend(then);
    acts
}

/// Sends `piece` again and again, `every` so long, `times` times.
pub fn trickle(piece: &[u8], every: Duration, times: usize) -> Vec<Act> {
    (0..times).flat_map(|_| [Act::Send(piece.to_vec()), Act::Wait(every)]).collect()
}

fn serve(mut stream: TcpStream, shared: &Shared) {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut buffer = Vec::new();
    while let Some((head, body)) = request(&mut stream, &mut buffer) {
        let at = {
            let mut seen = shared.seen.lock().unwrap();
            seen.push(Seen { head, body, left_at: None });
            seen.len() - 1
        };
        let script = shared.scripts.lock().unwrap().pop_front();
        let acts = script.unwrap_or_else(|| shared.last.lock().unwrap().clone());
        for act in acts {
            match act {
                Act::Send(bytes) => {
                    if stream.write_all(&bytes).is_err() {
                        shared.seen.lock().unwrap()[at].left_at.get_or_insert_with(Instant::now);
                        return;
                    }
                }
                Act::Wait(time) => std::thread::sleep(time),
                Act::Hold => {
                    let mut byte = [0];
                    let _ = stream.read(&mut byte);
                    shared.seen.lock().unwrap()[at].left_at = Some(Instant::now());
                    return;
                }
                Act::Close => return,
                Act::Reset => {
                    let fd = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
                    fd.unwrap();
                    return;
                }
            }
        }
    }
}

fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, buffer)?;
    };
    let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
    let length = head
        .lines()
        .find_map(|l| {
            l.to_ascii_lowercase().strip_prefix("content-length:").map(|v| v.trim().parse::<usize>().unwrap())
        })
        .unwrap_or(0);
    while buffer.len() < end + length {
        more(stream, buffer)?;
    }
    let body = buffer[end..end + length].to_vec();
    buffer.drain(..end + length);
    Some((head, body))
}

fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut room = vec![0; 65536];
    loop {
        match stream.read(&mut room) {
            Ok(0) => return None,
            Ok(n) => {
                buffer.extend_from_slice(&room[..n]);
                return Some(());
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}
