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
        ("", "", 403),
        (":8080", "", 403),
        ("localhost", "https://app.example.com", 200),
        ("localhost:8080", "http://localhost:8080", 200),
        ("localhost", "https://evil.example.com", 403),
        ("localhost", "null", 403),
    ] {
        assert_eq!(ask(host, origin), status, "{host} {origin}");
    }
}

#[test]
fn an_absolute_target_names_the_host_whatever_the_field_says() {
    let (first, gw) = ready();
    for (name, line, host, status) in [
        ("a foreign authority", "GET http://evil.example/healthz HTTP/1.1", "host: localhost\r\n", 403),
        ("one with a port", "GET http://evil.example:8080/healthz HTTP/1.1", "host: localhost\r\n", 403),
        ("one over TLS", "GET HTTPS://evil.example/healthz HTTP/1.1", "host: localhost\r\n", 403),
        ("an own authority", "GET http://localhost:8080/healthz HTTP/1.1", "host: evil.example\r\n", 200),
        ("user info", "GET http://localhost@evil.example/healthz HTTP/1.1", "host: localhost\r\n", 400),
        ("no authority", "GET http:///healthz HTTP/1.1", "host: localhost\r\n", 400),
        ("1.0 without a host", "GET /healthz HTTP/1.0", "", 200),
        ("1.0 with an empty host", "GET /healthz HTTP/1.0", "host:\r\n", 403),
        ("1.0 with a foreign authority", "GET http://evil.example/healthz HTTP/1.0", "", 403),
    ] {
        let answer = gw.client().write(format!("{line}\r\n{host}\r\n").as_bytes()).answer();
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
    }
    let ask = messages().text().replacen("/anthropic", "http://evil.example/anthropic", 1);
    gw.client().write(ask.as_bytes()).answer().is(403).error("permission_error", "evil.example");
    assert_eq!(first.count(), 0);
}

#[test]
fn an_unknown_path_tells_of_its_own_surfaces_base_url() {
    let (_first, gw) = ready();
    for (path, base) in [
        ("/anthropic/v1/nothing", "Claude Code wants a base URL that ends in /anthropic"),
        ("/openai/v1/nothing", "a base URL that ends in /openai/v1"),
        ("/v1/responses/x/nothing", "a base URL that ends in /openai/v1"),
        ("/genai/nothing", "a base URL that ends in /genai"),
        ("/bedrock/nothing", "a base URL that ends in /bedrock"),
        ("/vertex/v1/nothing", "a base URL that ends in /vertex/v1"),
        ("/admin/nothing", "there is no `/admin/nothing` here"),
    ] {
        let answer = gw.post(raw("GET", path));
        answer.is(404).has(base);
        assert!(path.starts_with("/anthropic") || !answer.text().contains("Claude Code"), "{path}");
    }
}

#[test]
fn a_known_path_is_a_501_and_its_wrong_method_a_405_with_the_right_ones() {
    let (_first, gw) = ready();
    for (method, path, status, allow) in [
        ("POST", "/openai/responses/input_tokens", 501, None),
        ("POST", "/model/x/invoke", 501, None),
        ("POST", "/openai/responses", 501, None),
        ("GET", "/inference-profiles", 501, None),
        ("POST", "/v1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict", 501, None),
        ("PUT", "/v1beta/models/x:generateContent", 405, Some("POST")),
        ("GET", "/v1beta/models/x:generateContent", 405, Some("POST")),
        ("GET", "/bedrock/model/x/invoke", 405, Some("POST")),
        ("DELETE", "/genai/v1beta/models", 405, Some("GET, HEAD")),
        (
            "GET",
            "/vertex/v1/projects/p/locations/l/publishers/google/models/m:countTokens",
            405,
            Some("POST"),
        ),
    ] {
        let answer = gw.post(raw(method, path));
        assert_eq!((answer.status, answer.header("allow")), (status, allow), "{method} {path}");
    }
}

/// Claude Code repeats a 400 with a wording that it does not know six times.
#[test]
fn a_400_of_the_gateways_own_says_that_a_retry_is_useless() {
    let (first, gw) = ready();
    for (name, body) in [
        ("no JSON", "hello"),
        ("a key twice", r#"{"model":"m","model":"n","max_tokens":1,"messages":[]}"#),
        ("a field missing", r#"{"model":"m","max_tokens":1}"#),
    ] {
        let answer = gw.post(messages().body(body));
        assert_eq!((answer.status, answer.header("x-should-retry")), (400, Some("false")), "{name}");
    }
    let malformed = gw.client().write(b"GET /healthz HTTP/1.1\r\n\r\n").answer();
    assert_eq!((malformed.status, malformed.header("x-should-retry")), (400, Some("false")));
    let chunk = "POST /v1/messages HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    let malformed = gw.client().write(chunk.as_bytes()).answer();
    assert_eq!((malformed.status, malformed.header("x-should-retry")), (400, Some("false")));
    assert_eq!(first.count(), 0);
}

#[test]
fn empty_lines_before_a_request_are_ignored_but_not_without_end() {
    let (_first, gw) = ready();
    let ask = raw("GET", "/healthz").text();
    for lines in [1, 2, 16] {
        let mut client = gw.client();
        for piece in "\r\n".repeat(lines).as_bytes().chunks(1) {
            client = client.write(piece);
        }
        client.write(ask.as_bytes()).answer().is(200);
        gw.client().write(format!("{}{ask}", "\r\n".repeat(lines)).as_bytes()).answer().is(200);
    }
    let mut client = gw.client().write("\r\n".repeat(17).as_bytes());
    client.next_answer().is(400).error("invalid_request_error", "empty lines");
    assert!(client.is_closed());
}

#[test]
fn a_refusal_waits_for_a_slow_upload() {
    let first = upstream();
    let keys = "virtual_keys: [{ id: dev, key: sk-dev-0123456789abcdef }]";
    let gw = gateway().weighted("first", &first, 1).also(keys).run();
    let mut stream = TcpStream::connect(gw.address).unwrap();
    let (pieces, piece) = (12, vec![b'x'; 64 * 1024]);
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: sk-unknown\r\ncontent-length: {}\r\n\r\n",
        pieces * piece.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    for at in 0..pieces {
        // As an uplink of 2 Mbit/s does.
        std::thread::sleep(std::time::Duration::from_millis(200));
        stream.write_all(&piece).unwrap_or_else(|e| panic!("cut at piece {at}: {e}"));
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(first.count(), 0);
}

#[test]
fn unknown_paths_and_wrong_methods_are_told_in_the_surfaces_format() {
    let (_first, gw) = ready();
    gw.post(raw("GET", "/anthropic/v1/nothing")).is(404).error("not_found_error", "/anthropic/v1/nothing");
    let wrong = gw.post(raw("GET", "/anthropic/v1/messages"));
    wrong.is(405).error("invalid_request_error", "POST");
    assert_eq!(wrong.header("allow"), Some("POST"));
    gw.post(raw("POST", "/openai/v1/responses").body("{}")).is(501).has(r#""param":null"#);
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
