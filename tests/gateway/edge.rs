//! HTTP/1.1 at the edge: what is served, and what is refused.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use pointsman::edge::acceptor::TlsSlot;
use pointsman::edge::{Call, Listener, Options, Service, Shared, tls};
use pointsman::error::Error;
use pointsman::http::Lines;

use crate::support::upstream::sse_then;
use crate::support::*;

fn ready() -> (Upstream, Gateway) {
    let first = upstream();
    let gw = gateway().weighted("first", &first, 1).run();
    (first, gw)
}

const BODY: &str = r#"{"model":"claude-test","max_tokens":64,"messages":[{"role":"user","content":"hi"}]}"#;

#[test]
fn requests_follow_each_other_on_one_connection() {
    let (_first, gw) = ready();
    let mut client = gw.client();
    for _ in 0..3 {
        client = client.send(&messages());
        client.next_answer().is(200).says("hello");
        client = client.send(&messages().stream().body(BODY));
        client.next_answer().is(200);
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (_first, gw) = ready();
    let three =
        [messages().text(), raw("GET", "/healthz").text(), messages().model("claude-two").text()].concat();
    let mut client = gw.client().write(three.as_bytes());
    client.next_answer().is(200).has("claude-test");
    client.next_answer().is(200).has("ok");
    client.next_answer().is(200).has("claude-two");
}

#[test]
fn a_body_may_wait_for_100_continue() {
    let (_first, gw) = ready();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        BODY.len()
    );
    let mut client = gw.client().write(head.as_bytes());
    client.wait_for("100 Continue\r\n\r\n");
    client.write(BODY.as_bytes()).answer().is(200).says("hello");
}

#[test]
fn a_chunked_body_arrives_whole() {
    let (first, gw) = ready();
    let chunk = |c: &[u8]| format!("{:x};ext=1\r\n{}\r\n", c.len(), std::str::from_utf8(c).unwrap());
    let chunked = BODY.as_bytes().chunks(7).map(chunk).collect::<Vec<_>>().concat();
    let text = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n{chunked}0\r\ntrailer: x\r\n\r\n"
    );
    let mut client = gw.client();
    for byte in text.as_bytes().chunks(11) {
        client = client.write(byte);
    }
    client.answer().is(200).says("hello");
    assert_eq!(first.seen()[0].text(), BODY);
    assert_eq!(first.seen()[0].header("content-length"), Some(BODY.len().to_string().as_str()));
}

#[test]
fn a_hundred_headers_and_sixty_four_kilobytes_of_head_are_served() {
    let (first, gw) = ready();
    let mut ask = messages();
    for i in 0..96 {
        ask = ask.header(&format!("x-stainless-{i}"), "v");
    }
    gw.post(ask).is(200);
    gw.post(messages().header("x-stainless-long", &"v".repeat(60 * 1024))).is(200);
    assert_eq!(first.seen()[1].header("x-stainless-long").unwrap().len(), 60 * 1024);
    let mut ask = messages();
    for i in 0..110 {
        ask = ask.header(&format!("x-a-{i}"), "v");
    }
    assert_eq!(gw.post(ask).status, 431);
    assert_eq!(gw.post(messages().header("x-a", &"v".repeat(70 * 1024))).status, 431);
}

#[test]
fn head_requests_are_answered_without_a_body() {
    let (first, gw) = ready();
    for path in ["/", "/anthropic", "/anthropic/api/hello"] {
        let mut client = gw.client().send(&raw("HEAD", path));
        client.next_answer().is(200);
        client.send(&raw("HEAD", "/healthz")).answer().is(200);
    }
    assert_eq!(first.count(), 0);
}

/// What could be read in two ways is refused, and the connection is closed.
#[test]
fn whatever_could_smuggle_a_request_is_refused() {
    let (first, gw) = ready();
    for (name, lines) in [
        ("both lengths", "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("two lengths", "content-length: 5\r\ncontent-length: 6\r\n\r\nhello"),
        ("a list of lengths", "content-length: 5, 5\r\n\r\nhello"),
        ("a signed length", "content-length: +5\r\n\r\nhello"),
        ("a negative length", "content-length: -1\r\n\r\n"),
        ("a length that overflows", "content-length: 99999999999999999999999\r\n\r\n"),
        ("a hexadecimal length", "content-length: 0x5\r\n\r\nhello"),
        ("an unknown coding", "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ("a coding in disguise", "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ("a blank before the colon", "content-length : 5\r\n\r\nhello"),
        ("a folded line", "x-a: b\r\n c\r\ncontent-length: 0\r\n\r\n"),
        ("a bare CR", "x-a: b\rc\r\ncontent-length: 0\r\n\r\n"),
        ("a NUL", "x-a: b\0c\r\ncontent-length: 0\r\n\r\n"),
        ("a chunk size that is none", "transfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n"),
        ("a chunk size with a sign", "transfer-encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n"),
        (
            "a chunk size that overflows",
            "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        ),
        ("a chunk longer than its size", "transfer-encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n"),
        ("a chunk line that ends in a bare LF", "transfer-encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n"),
    ] {
        let text =
            format!("POST /v1/messages HTTP/1.1\r\nhost: localhost\r\n{lines}GET /smuggled HTTP/1.1\r\n\r\n");
        let mut client = gw.client().write(text.as_bytes());
        let answer = client.next_answer();
        assert_eq!(answer.status, 400, "{name}: {}", answer.text());
        assert!(client.is_closed(), "{name}: the connection goes on");
    }
    assert_eq!(first.count(), 0);
}

#[test]
fn malformed_heads_are_refused() {
    let (_first, gw) = ready();
    for (name, text, status) in [
        ("no HTTP", "hello there\r\n\r\n", 400),
        ("no host", "GET /healthz HTTP/1.1\r\n\r\n", 400),
        ("two hosts", "GET /healthz HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        ("another version", "GET /healthz HTTP/2.0\r\nhost: a\r\n\r\n", 505),
        (
            "another expectation",
            "POST /v1/messages HTTP/1.1\r\nhost: a\r\nexpect: coffee\r\ncontent-length: 0\r\n\r\n",
            417,
        ),
    ] {
        let answer = gw.client().write(text.as_bytes()).answer();
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
    }
}

#[test]
fn a_foreign_host_or_origin_is_refused() {
    let first = upstream();
    let gw = gateway()
        .weighted("first", &first, 1)
        .server("allowed_hosts: [gw.example.com], allowed_origins: [\"https://app.example.com\"]")
        .run();
    let ask = |host: &str, origin: &str| {
        let origin = if origin.is_empty() { String::new() } else { format!("origin: {origin}\r\n") };
        gw.client()
            .write(format!("GET /healthz HTTP/1.1\r\nhost: {host}\r\n{origin}\r\n").as_bytes())
            .answer()
            .status
    };
    for (host, origin, status) in [
        ("localhost:8080", "", 200),
        ("127.0.0.1:8080", "", 200),
        ("[::1]:8080", "", 200),
        ("build-agent:8080", "", 200),
        ("gw.example.com", "", 200),
        ("evil.example.com", "", 403),
        ("localhost.evil.com", "", 403),
        ("localhost", "https://app.example.com", 200),
        ("localhost:8080", "http://localhost:8080", 200),
        ("localhost", "https://evil.example.com", 403),
        ("localhost", "null", 403),
    ] {
        assert_eq!(ask(host, origin), status, "{host} {origin}");
    }
}

#[test]
fn unknown_paths_and_wrong_methods_are_told_in_the_surfaces_format() {
    let (_first, gw) = ready();
    gw.post(raw("GET", "/anthropic/v1/nothing")).is(404).error("not_found_error", "/anthropic/v1/nothing");
    let wrong = gw.post(raw("GET", "/anthropic/v1/messages"));
    wrong.is(405).error("invalid_request_error", "POST");
    assert_eq!(wrong.header("allow"), Some("POST"));
    gw.post(raw("POST", "/openai/v1/chat/completions").body("{}")).is(501).has(r#""param":null"#);
    gw.post(raw("POST", "/v1beta/models/x:generateContent").body("{}")).is(501).has("UNIMPLEMENTED");
    assert_eq!(gw.post(raw("POST", "/v1/metrics").body("{}")).status, 501);
}

#[test]
fn wrong_bodies_name_what_is_wrong() {
    let first = upstream();
    let gw = gateway().weighted("first", &first, 1).server("max_body: 4KiB").run();
    for (name, body, status, message) in [
        ("empty", "", 400, "body"),
        ("no JSON", "hello", 400, "body: not a JSON object"),
        ("a list", "[]", 400, "body: not a JSON object"),
        ("cut", r#"{"model":"m","max_tokens":1,"messages":["#, 400, "body: not a JSON object"),
        ("no model", r#"{"max_tokens":1,"messages":[]}"#, 400, "model: field required"),
        (
            "a model that is no text",
            r#"{"model":7,"max_tokens":1,"messages":[]}"#,
            400,
            "model: expected a string, got 7",
        ),
        ("no messages", r#"{"model":"m","max_tokens":1}"#, 400, "messages: field required"),
        ("no limit", r#"{"model":"m","messages":[]}"#, 400, "max_tokens: field required"),
        (
            "two models",
            r#"{"model":"m","model":"n","max_tokens":1,"messages":[]}"#,
            400,
            "model: the key stands there twice",
        ),
        (
            "two streams",
            r#"{"model":"m","stream":true,"stream":false,"max_tokens":1,"messages":[]}"#,
            400,
            "stream: the key stands there twice",
        ),
        (
            "two limits",
            r#"{"model":"m","max_tokens":1,"max_tokens":2,"messages":[]}"#,
            400,
            "max_tokens: the key stands there twice",
        ),
    ] {
        let answer = gw.post(messages().body(body));
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        answer.error("invalid_request_error", message);
    }
    let large = format!(r#"{{"model":"m","max_tokens":1,"messages":[],"x":"{}"}}"#, "y".repeat(5000));
    gw.post(messages().body(&large)).is(413).error("request_too_large", "4096");
    assert_eq!(first.count(), 0);
}

#[test]
fn one_connection_too_many_is_told_so() {
    let first =
        upstream().always(sse_then(&(message_start("m") + &block_start() + &delta("x")), vec![Act::Hold]));
    let gw = gateway().weighted("first", &first, 1).server("max_connections: 2").run();
    let mut held: Vec<Client> = (0..2).map(|_| gw.client().send(&messages().stream())).collect();
    for client in &mut held {
        client.wait_for("text_delta");
    }
    let answer = gw.post(messages());
    answer.is(503).error("overloaded_error", "max_connections");
    assert_eq!(answer.header("retry-after"), Some("1"));
    drop(held);
    until("a place is free", || gw.shared.open_connections.load(std::sync::atomic::Ordering::Relaxed) == 0);
    assert_eq!(gw.client().send(&raw("GET", "/healthz")).answer().status, 200);
}

/// A service that panics when it is told to.
struct Fragile;

impl Service for Fragile {
    fn serve(&self, call: &mut Call<'_>) {
        assert!(call.head.path() != "/panic", "as asked");
        call.reply(200, &Lines::new(), b"fine").ok();
    }

    fn panicked(&self, call: &mut Call<'_>) {
        call.reply(500, &Lines::new(), b"broken").ok();
    }

    fn refusal(&self, _: &Error) -> Vec<u8> {
        Vec::new()
    }
}

fn serve_fragile(tls: Option<Arc<rustls::ServerConfig>>) -> SocketAddr {
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let slot = Arc::new(TlsSlot::empty());
    slot.store(tls);
    listener.run(Arc::new(Shared::new(Fragile)), Options { max_connections: 10, tls: slot }).unwrap();
    listener.address
}

#[test]
fn a_panic_ends_one_request() {
    let address = serve_fragile(None);
    let other = Client::to(address).send(&raw("GET", "/before"));
    let mut broken = Client::to(address).send(&raw("GET", "/panic"));
    assert_eq!(broken.next_answer().status, 500);
    assert!(broken.is_closed());
    assert_eq!(other.answer().status, 200);
    assert_eq!(Client::to(address).send(&raw("GET", "/after")).answer().text(), "fine");
}

#[test]
fn tls_is_served() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
    let address = serve_fragile(Some(tls::load(&folder.join("cert.pem"), &folder.join("key.pem")).unwrap()));
    let mut roots = rustls::RootCertStore::empty();
    let pem = std::fs::read(folder.join("cert.pem")).unwrap();
    roots.add(rustls::pki_types::pem::PemObject::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = rustls::StreamOwned::new(session, TcpStream::connect(address).unwrap());
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("fine"), "{answer}");
}
