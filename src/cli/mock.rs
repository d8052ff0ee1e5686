//! `pointsman mock`: the bundled provider on a port of its own.
//!
//! Answers until a signal ends it. What it answers is [`crate::mock`]'s matter, and `--bare` has one reply to everything.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use may_minihttp::{HttpServer, HttpService, HttpServiceFactory, Request, Response};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::failed;
use crate::edge::{Listener, Options as EdgeOptions, Shared};
use crate::mock::{Options as MockOptions, server::Server};
use crate::runtime::start;

/// What `pointsman mock` takes.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Address and port to listen on
    #[arg(long, value_name = "A:P", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Milliseconds before the first byte of every answer
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,
    /// Worker threads; default: one per core
    #[arg(long, value_name = "N", value_parser = super::workers())]
    workers: Option<usize>,
    /// A fixed reply to every request: the ceiling that a gateway is measured against
    #[arg(long, conflicts_with = "latency")]
    bare: bool,
}

/// Runs until it is ended.
pub fn run(options: &Options) -> ExitCode {
    start::start(start::Options { workers: options.workers, pin: None });
    if options.bare {
        return bare(options.listen);
    }
    let mock = MockOptions { latency: Duration::from_millis(options.latency), ..MockOptions::default() };
    let listener = match Listener::bind(options.listen) {
        Ok(listener) => listener,
        Err(error) => return failed(format_args!("cannot listen on {}: {error}", options.listen)),
    };
    let edge = EdgeOptions { max_connections: usize::MAX, tls: Arc::default() };
    if let Err(error) = listener.run(Arc::new(Shared::new(Server::new(mock))), edge) {
        return failed(error);
    }
    println!("mock: listening on http://{}", listener.address);
    until_ended()
}

fn bare(listen: SocketAddr) -> ExitCode {
    match HttpServer(Bare).start(listen) {
        Ok(_server) => {
            println!("mock: the same reply to every request, on http://{listen}");
            until_ended()
        }
        Err(error) => failed(format_args!("cannot listen on {listen}: {error}")),
    }
}

/// Requests that are open then are cut off: nobody drains a mock.
fn until_ended() -> ExitCode {
    match Signals::new([SIGTERM, SIGINT]) {
        Ok(mut signals) => {
            signals.forever().next();
            ExitCode::SUCCESS
        }
        Err(error) => failed(format_args!("cannot listen to signals: {error}")),
    }
}

#[derive(Clone)]
struct Bare;

impl HttpServiceFactory for Bare {
    type Service = Self;

    fn new_service(&self, _: usize) -> Self {
        Self
    }
}

impl HttpService for Bare {
    fn call(&mut self, request: Request<'_, '_, '_>, response: &mut Response<'_>) -> std::io::Result<()> {
        // Its drop reads the body, which would else be taken for the next request.
        drop(request.body());
        response.header("content-type: application/json");
        response.body(REPLY);
        Ok(())
    }
}

/// A whole Messages answer.
const REPLY: &str = r#"{"id":"msg_bare","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"Hello! This is the bare reply of the bundled mock."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":12,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":14}}"#;
