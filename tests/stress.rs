//! No wake-up is lost and nothing leaks while connections come and go (the short form; `scripts/turnover` is the long one).
//!
//! A process of its own, so that what is counted belongs to this test alone.

#![allow(clippy::disallowed_methods)] // Tests are plain threads.

#[path = "gateway/support/mod.rs"]
#[allow(dead_code, unused_imports)] // The vocabulary of another test; only a few words of it are used here.
mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::LazyLock;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pointsman::limits::TICK;
use pointsman::runtime::{Home, home, socket};
use support::upstream::{chunk, sse_head};
use support::*;

const STREAMS: usize = 48;
const EVENTS: u32 = 12;
const TURNOVERS: usize = 3000;
/// Longer than a tick: the wait that an event ends has begun anew, and would go on for nearly a whole tick without it.
const GAP: Duration = TICK.saturating_add(Duration::from_millis(10));
/// Beyond what a busy machine takes to pass an event on, and well within the tick that a lost wake-up costs.
const LATE: Duration = Duration::from_millis(70);
/// A load that comes and goes makes events late that were not lost; those that are lost are so in every round.
const ROUNDS: usize = 4;

/// Events of which each tells when it was sent pass through the gateway, and beside it, while connections come and go.
/// A wake-up that is lost delays its event to the end of the tick; were a tenth of them lost, a tenth of the events
/// would be late, where one in twenty is let pass.
#[test]
fn connections_come_and_go_while_others_stream() {
    let (slow, quick) = (ticking(), upstream());
    let yaml = gateway().weighted("quick", &quick, 0).yaml();
    let slow_line = format!(
        "      - {{ id: slow, type: anthropic_compatible, base_url: \"http://{slow}\", weight: 1 }}\n"
    );
    let gw = support::gateway::from_yaml(&yaml.replacen(
        "    providers:\n",
        &format!("    providers:\n{slow_line}"),
        1,
    ));
    let mut told = Vec::new();
    let passed = (0..ROUNDS).any(|_| {
        let (through, beside) = round(&gw, slow);
        told.push((through, beside));
        through <= 0.05 + beside
    });
    assert!(passed, "late events, through the gateway and beside it, in each round: {told:?}");
    until("every connection is closed", || gw.shared.open_connections.load(Ordering::Relaxed) == 0);
    until("every request is over", || gw.shared.open_requests.load(Ordering::Relaxed) == 0);
    until("every descriptor but those of the pools is free", || {
        let used: usize = (0..home::count()).map(|id| socket::in_use(Home::get(id))).sum();
        used == gw.service.upstreams.idle()
    });
}

/// The shares of late events: of streams through the gateway, and of streams that go to the provider without it.
fn round(gw: &Gateway, slow: SocketAddr) -> (f64, f64) {
    let share = |late: Vec<u32>| {
        let events = EVENTS * u32::try_from(late.len()).unwrap();
        f64::from(late.into_iter().sum::<u32>()) / f64::from(events)
    };
    std::thread::scope(|scope| {
        let streams = |count: usize, to: SocketAddr| -> Vec<_> {
            (0..count).map(|_| scope.spawn(move || late_events(to))).collect()
        };
        let (through, beside) = (streams(STREAMS, gw.address), streams(STREAMS / 4, slow));
        for part in 0..4 {
            scope.spawn(move || (0..TURNOVERS / 4).for_each(|i| turn_over(gw, part + i * 4)));
        }
        let joined = |all: Vec<std::thread::ScopedJoinHandle<'_, u32>>| {
            share(all.into_iter().map(|stream| stream.join().unwrap()).collect())
        };
        (joined(through), joined(beside))
    })
}

/// Asks for a stream and reads it to its end; how many of its events came late.
fn late_events(to: SocketAddr) -> u32 {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(messages().model("slow/claude-test").stream().text().as_bytes()).unwrap();
    let (mut bytes, mut room) = (Vec::new(), [0; 4096]);
    let (mut seen, mut late) = (0, 0);
    while memchr::memmem::find(&bytes, b"\r\n0\r\n\r\n").is_none() {
        let n = stream.read(&mut room).unwrap();
        assert!(n > 0, "cut short: {}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&room[..n]);
        let now = clock();
        let sent: Vec<u128> = stamps(&bytes);
        late += u32::try_from(sent[seen..].iter().filter(|at| now - *at > LATE.as_micros()).count()).unwrap();
        seen = sent.len();
    }
    assert!(bytes.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&bytes));
    assert_eq!(seen, EVENTS as usize, "{}", String::from_utf8_lossy(&bytes));
    late
}

/// When each event was sent, by its text.
fn stamps(bytes: &[u8]) -> Vec<u128> {
    let text = std::str::from_utf8(bytes).unwrap();
    let told = text.split("\"at ").skip(1).filter_map(|rest| rest.split_once('"'));
    told.map(|(stamp, _)| stamp.parse().unwrap()).collect()
}

/// A provider whose streams send an event at every gap. Each stream begins at its own time, so that no two send at once.
fn ticking() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || while serve(&mut stream).is_ok() {});
        }
    });
    address
}

fn serve(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut asked = Vec::new();
    let mut room = [0; 4096];
    while !asked.ends_with(b"}]}") {
        let n = stream.read(&mut room)?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        asked.extend_from_slice(&room[..n]);
    }
    stream.write_all(&[sse_head(), chunk(&(message_start("m") + &block_start()))].concat())?;
    for _ in 0..EVENTS {
        std::thread::sleep(GAP);
        stream.write_all(&chunk(&delta(&format!("at {}", clock()))))?;
    }
    stream.write_all(&[chunk(&(block_stop() + &message_end())), b"0\r\n\r\n".to_vec()].concat())
}

/// Microseconds since the first question.
fn clock() -> u128 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGIN.elapsed().as_micros()
}

/// One connection that ends in one of many ways.
fn turn_over(gw: &Gateway, n: usize) {
    let ask = messages().model("quick/claude-test").text();
    match n % 6 {
        0 => drop(gw.client()),
        1 => drop(gw.client().write(&ask.as_bytes()[..ask.len() / 3])),
        2 => drop(gw.client().write(&ask.as_bytes()[..ask.len() - 5])),
        3 => drop(gw.client().write(ask.as_bytes())),
        4 => {
            let mut stream = TcpStream::connect(gw.address).unwrap();
            stream.write_all(ask.as_bytes()).unwrap();
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
        }
        _ => {
            gw.client().write(ask.as_bytes()).answer().is(200).says("hello");
        }
    }
}
