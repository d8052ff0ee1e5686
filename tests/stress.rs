//! No wake-up is lost and nothing leaks while connections come and go (the short form; `scripts/turnover` is the long one).
//!
//! A process of its own, so that what is counted belongs to this test alone.

#![allow(clippy::disallowed_methods)] // Tests are plain threads.

#[path = "gateway/support/mod.rs"]
#[allow(dead_code, unused_imports)] // The vocabulary of another test; only a few words of it are used here.
mod support;

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pointsman::runtime::{Home, home, socket};
use support::upstream::{chunk, sse_head};
use support::*;

const STREAMS: usize = 48;
const EVENTS: usize = 40;
const TURNOVERS: usize = 3000;

#[test]
fn connections_come_and_go_while_others_stream() {
    let mut script = vec![Act::Send([sse_head(), chunk(&(message_start("m") + &block_start()))].concat())];
    for i in 0..EVENTS {
        script.push(Act::Send(chunk(&delta(&format!("{i} ")))));
        script.push(Act::Wait(Duration::from_millis(40)));
    }
    script.push(Act::Send([chunk(&(block_stop() + &message_end())), b"0\r\n\r\n".to_vec()].concat()));
    let slow = upstream().always(script);
    let quick = upstream();
    let gw = gateway().weighted("slow", &slow, 1).weighted("quick", &quick, 0).run();
    let expected = (0..EVENTS).map(|i| format!("{i} ")).collect::<Vec<_>>().concat();
    let done = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..STREAMS {
            scope.spawn(|| {
                gw.post(messages().stream()).is(200).says(&expected);
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        for part in 0..4 {
            let gw = &gw;
            scope.spawn(move || (0..TURNOVERS / 4).for_each(|i| turn_over(gw, part + i * 4)));
        }
    });
    assert_eq!(done.load(Ordering::Relaxed), STREAMS);
    // The provider alone needs 1.6 s; a stream that waited for a tick or a lost wake-up would take far longer.
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
    until("every connection is closed", || gw.shared.open_connections.load(Ordering::Relaxed) == 0);
    until("every request is over", || gw.shared.open_requests.load(Ordering::Relaxed) == 0);
    until("every descriptor but those of the pools is free", || {
        let used: usize = (0..home::count()).map(|id| socket::in_use(Home::get(id))).sum();
        used == gw.service.upstreams.idle()
    });
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
