//! The way to a provider: TLS, a CONNECT proxy, names, encodings, framings, and what a reload changes of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pointsman::config::{env::Given, from_text};

use crate::support::gateway::from_yaml;
use crate::support::upstream::{chunk, reply, reply_with, sse_head, sse_then};
use crate::support::*;

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

type TlsStream = rustls::StreamOwned<rustls::ServerConnection, TcpStream>;

/// Serves one answer per connection over TLS.
fn tls_upstream(answer: String) -> SocketAddr {
    tls_server(move |stream| {
        let mut request = Vec::new();
        let mut room = [0; 4096];
        while !request.ends_with(b"}]}") {
            match stream.read(&mut room) {
                Ok(n) if n > 0 => request.extend_from_slice(&room[..n]),
                _ => break,
            }
        }
        let _ = stream.write_all(answer.as_bytes());
        stream.conn.send_close_notify();
        let _ = stream.flush();
    })
}

/// Does as it is told with each connection over TLS.
fn tls_server(serve: impl Fn(&mut TlsStream) + Send + Sync + 'static) -> SocketAddr {
    use rustls::pki_types::pem::PemObject;
    let chain = vec![rustls::pki_types::CertificateDer::from_pem_file(certificate("cert.pem")).unwrap()];
    let key = rustls::pki_types::PrivateKeyDer::from_pem_file(certificate("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            serve(&mut rustls::StreamOwned::new(session, tcp));
        }
    });
    address
}

fn over_tls(address: SocketAddr, host: &str, fields: &str) -> Gateway {
    from_yaml(&over_tls_yaml(address, host, fields))
}

fn over_tls_yaml(address: SocketAddr, host: &str, fields: &str) -> String {
    let provider = format!(
        "accounts: [{{ id: a, providers: [{{ id: p, type: anthropic_compatible, base_url: \"https://{host}:{}\", api_key: k, {fields} }}] }}]",
        address.port()
    );
    format!("server: {{ listen: \"127.0.0.1:0\" }}\nretry: {{ attempts: 1 }}\n{provider}\n")
}

/// Loads a configuration that may name the file at `path`.
fn load(gw: &Gateway, yaml: &str, path: &Path) {
    let given = Given::new().with_file(path.to_str().unwrap(), "");
    gw.service.load(from_text("test.yaml", yaml, &given).unwrap_or_else(|m| panic!("{m}")));
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn whole_answer() -> String {
    let body = whole("m", "over tls");
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_provider_with_a_certificate_of_ones_own_authority() {
    let address = tls_upstream(whole_answer());
    let ca = format!("ca_file: \"{}\"", certificate("cert.pem").display());
    for host in ["localhost", "127.0.0.1"] {
        over_tls(address, host, &ca).post(messages()).is(200).says("over tls");
    }
}

#[test]
fn a_provider_whose_certificate_nobody_vouches_for_is_not_spoken_to() {
    let address = tls_upstream(whole_answer());
    over_tls(address, "localhost", "weight: 1").post(messages()).is(502).error("api_error", "p:tls");
}

#[test]
fn a_stream_over_tls_arrives_whole() {
    let events = stream("m", &"long ".repeat(20_000));
    let text = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{events}",
        events.len()
    );
    let address = tls_upstream(text);
    let ca = format!("ca_file: \"{}\"", certificate("cert.pem").display());
    over_tls(address, "localhost", &ca).post(messages().stream()).is(200).says(&"long ".repeat(20_000));
}

/// A proxy that connects where it is told, after a while, and says what it was asked.
fn slow_proxy(delay: Duration) -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let head = head_of(&mut client);
            let target = head.split(' ').nth(1).unwrap_or("").to_owned();
            tell.send(head).unwrap();
            let Ok(mut server) = TcpStream::connect(&target) else { continue };
            std::thread::sleep(delay);
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(std::net::Shutdown::Both);
            });
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut server, &mut client);
                let _ = client.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    (address, told)
}

fn proxy() -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
    slow_proxy(Duration::ZERO)
}

fn head_of(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn a_proxy_is_asked_to_connect() {
    let address = tls_upstream(whole_answer());
    let (proxy, told) = proxy();
    let fields =
        format!("ca_file: \"{}\", proxy: \"http://user:pass@{proxy}\"", certificate("cert.pem").display());
    over_tls(address, "localhost", &fields).post(messages()).is(200).says("over tls");
    let head = told.recv().unwrap();
    assert!(head.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", address.port())), "{head}");
    assert!(head.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpwyxnz"), "{head}");
}

#[test]
fn a_name_that_does_not_exist_is_no_connection() {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    over_tls(address, "does-not-exist.invalid", "weight: 1")
        .post(messages())
        .is(502)
        .error("api_error", "p:connect");
}

#[test]
fn gzip_that_nobody_asked_for_is_decoded() {
    let gzip = |text: &str| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(text.as_bytes()).unwrap();
        out.finish().unwrap()
    };
    let answer = |kind: &str, body: Vec<u8>| {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        vec![Act::Send([head.into_bytes(), body].concat())]
    };
    let first = upstream()
        .then(answer("application/json", gzip(&whole("m", "unpacked"))))
        .then(answer("text/event-stream", gzip(&stream("m", "unpacked"))));
    let gw = gateway().weighted("first", &first, 1).run();
    for ask in [messages(), messages().stream()] {
        let answer = gw.post(ask);
        answer.is(200).says("unpacked");
        assert_eq!(answer.header("content-encoding"), None);
    }
}

#[test]
fn an_upstreams_own_headers_stay_behind() {
    let lines = "content-type: application/json\r\nanthropic-ratelimit-requests-limit: 50\r\nanthropic-organization-id: o\r\nset-cookie: a=b\r\nvia: 1.1 cloud\r\nserver: x\r\n";
    let first = upstream().always(reply_with(200, lines, &whole("m", "hello")));
    let answer = gateway().weighted("first", &first, 1).run().post(messages());
    for name in
        ["anthropic-ratelimit-requests-limit", "anthropic-organization-id", "set-cookie", "via", "server"]
    {
        assert_eq!(answer.header(name), None, "{name}");
    }
    assert!(answer.header("request-id").unwrap().starts_with("req_pm"));
}

#[test]
fn an_answer_without_a_length_ends_with_its_connection() {
    let body = whole("m", "until close");
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    let first = upstream().always(vec![Act::Send(format!("{head}{body}").into_bytes()), Act::Close]);
    gateway().weighted("first", &first, 1).run().post(messages()).is(200).says("until close");
}

#[test]
fn a_body_of_a_megabyte_arrives_as_it_was_sent() {
    let first = upstream().streams(&stream("m", "read it all"));
    let gw = gateway().weighted("first", &first, 1).run();
    let text = "x\\n".repeat(400_000);
    let body = format!(
        r#"{{"model":"claude-test","max_tokens":9,"stream":true,"messages":[{{"role":"user","content":"{text}"}}]}}"#
    );
    gw.post(messages().body(&body)).is(200).says("read it all");
    assert_eq!(first.seen()[0].body, body.as_bytes());
}

#[test]
fn a_client_that_reads_slowly_gets_everything() {
    let text = "slow ".repeat(400_000);
    let first = upstream().streams(&stream("m", &text));
    let gw = gateway().weighted("first", &first, 1).run();
    let client = gw.client().send(&messages().stream());
    std::thread::sleep(std::time::Duration::from_millis(400));
    client.answer().is(200).says(&text);
}

#[test]
fn a_dead_provider_in_the_middle_of_many_streams_disturbs_no_other() {
    let begun = message_start("m") + &block_start() + &delta("x");
    let broken = upstream()
        .always(sse_then(&begun, vec![Act::Wait(std::time::Duration::from_millis(50)), Act::Reset]));
    let fine = upstream().streams(&stream("m", "fine"));
    let gw = gateway().weighted("broken", &broken, 1).weighted("fine", &fine, 1).run();
    std::thread::scope(|scope| {
        for i in 0..20 {
            let gw = &gw;
            scope.spawn(move || {
                let who = if i % 2 == 0 { "fine" } else { "broken" };
                let answer = gw.post(messages().stream().model(&format!("{who}/m")));
                match who {
                    "fine" => drop(answer.is(200).says("fine")),
                    _ => assert_eq!(answer.events().last().unwrap().0, "error"),
                }
            });
        }
    });
}

// ---- Reloads ----

#[test]
fn a_changed_proxy_password_is_used_after_a_reload() {
    let first = upstream();
    let (proxy, told) = proxy();
    let yaml = |password: &str| {
        gateway().provider("p", &first, &format!("proxy: \"http://u:{password}@{proxy}\"")).yaml()
    };
    let gw = from_yaml(&yaml("old"));
    let mut client = gw.client();
    client.post(&messages()).is(200);
    load(&gw, &yaml("old"), Path::new("/"));
    client.post(&messages()).is(200);
    load(&gw, &yaml("new"), Path::new("/"));
    client.post(&messages()).is(200);
    let asked: Vec<String> = told.try_iter().collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[0].contains("Basic dTpvbGQ="), "{asked:?}");
    assert!(asked[1].contains("Basic dTpuZXc="), "{asked:?}");
}

#[test]
fn a_changed_ca_file_is_believed_after_a_reload() {
    let address = tls_upstream(whole_answer());
    let file = std::env::temp_dir().join(format!("pointsman-ca-{}.pem", std::process::id()));
    let yaml = over_tls_yaml(address, "localhost", &format!("ca_file: \"{}\"", file.display()));
    std::fs::copy(certificate("other.pem"), &file).unwrap();
    let gw = gateway().weighted("before", &upstream(), 1).run();
    load(&gw, &yaml, &file);
    gw.post(messages()).is(502).error("api_error", "p:tls");
    std::fs::copy(certificate("cert.pem"), &file).unwrap();
    gw.post(messages()).is(502).error("api_error", "p:tls");
    load(&gw, &yaml, &file);
    gw.post(messages()).is(200).says("over tls");
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn a_ca_file_that_could_not_be_read_is_read_again() {
    let address = tls_upstream(whole_answer());
    let file = std::env::temp_dir().join(format!("pointsman-late-ca-{}.pem", std::process::id()));
    let yaml = over_tls_yaml(address, "localhost", &format!("ca_file: \"{}\"", file.display()));
    let gw = gateway().weighted("before", &upstream(), 1).run();
    load(&gw, &yaml, &file);
    gw.post(messages()).is(502).error("api_error", "p:tls");
    std::fs::copy(certificate("cert.pem"), &file).unwrap();
    gw.post(messages()).is(200).says("over tls");
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn connections_that_no_configuration_wants_are_closed() {
    let (first, second) = (upstream(), upstream());
    let gw = gateway().weighted("first", &first, 1).run();
    let mut client = gw.client();
    client.post(&messages()).is(200);
    let idle = || {
        gw.service.sweep();
        gw.service.upstreams.idle()
    };
    gw.reload(&gateway().weighted("first", &first, 1));
    assert_eq!(idle(), 1);
    client.post(&messages()).is(200);
    assert_eq!(first.connections(), 1);
    gw.reload(&gateway().weighted("second", &second, 1));
    until("nothing is idle", || idle() == 0);
    client.post(&messages()).is(200);
    gw.reload(&gateway().weighted("first", &first, 1));
    client.post(&messages()).is(200);
    assert_eq!((first.connections(), second.connections()), (2, 1));
}

// ---- Proxies and deadlines ----

#[test]
fn a_stale_connection_leaves_the_new_one_its_whole_time_to_connect() {
    let first = upstream()
        .then(reply(200, "application/json", &whole("m", "one")))
        .then(vec![Act::Wait(ms(1500)), Act::Close]);
    let (proxy, told) = slow_proxy(ms(400));
    let gw = gateway()
        .provider("p", &first, &format!("proxy: \"http://{proxy}\""))
        .retry("connect_timeout: 1s, attempts: 1")
        .run();
    let mut client = gw.client();
    client.post(&messages()).is(200).says("one");
    client.post(&messages()).is(200).says("hello").attempts("p:ok");
    assert_eq!(told.try_iter().count(), 2);
}

/// Serves connections by hand, one thread each.
fn by_hand(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Little goes into the kernel's hands unread.
    rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 64 * 1024).unwrap();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    Upstream::at(address)
}

/// Sends a byte every 50 ms for as long as somebody listens.
fn trickle(stream: &mut TcpStream, bytes: &[u8]) {
    for byte in bytes.iter().cycle().take(400) {
        if stream.write_all(&[*byte]).is_err() {
            return;
        }
        std::thread::sleep(ms(50));
    }
}

#[test]
fn bytes_that_trickle_put_off_no_deadline() {
    type Serve = fn(TcpStream);
    let cases: [(&str, Serve, &str, &str); 4] = [
        (
            "interim answers",
            |mut s| {
                head_of(&mut s);
                while s.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n").is_ok() {
                    std::thread::sleep(ms(100));
                }
            },
            "first_byte_timeout: 400ms",
            "first_byte_timeout",
        ),
        (
            "a head",
            |mut s| {
                head_of(&mut s);
                s.write_all(b"HTTP/1.1 200 OK\r\nx: ").unwrap();
                trickle(&mut s, b"x");
            },
            "total_timeout: 400ms",
            "total_timeout",
        ),
        (
            "the size of a chunk",
            |mut s| {
                head_of(&mut s);
                s.write_all(&[sse_head(), chunk(&message_start("m")), b"5;".to_vec()].concat()).unwrap();
                trickle(&mut s, b"x");
            },
            "idle_timeout: 5s, total_timeout: 400ms",
            "total_timeout",
        ),
        (
            "a body that is read slowly",
            |mut s| {
                let mut room = [0; 1024];
                while s.read(&mut room).is_ok_and(|n| n > 0) {
                    std::thread::sleep(ms(50));
                }
            },
            "total_timeout: 400ms",
            "total_timeout",
        ),
    ];
    for (name, serve, limits, told) in cases {
        let first = by_hand(serve);
        let gw = gateway()
            .weighted("first", &first, 1)
            .retry(&format!("attempts: 1, {limits}, max_wait: 0s"))
            .run();
        let begun = Instant::now();
        let answer = gw.post(long_message());
        assert_eq!(answer.status, 502, "{name}: {}", answer.text());
        answer.error("api_error", &format!("first:{told}"));
        assert!(begun.elapsed() < ms(3000), "{name}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_handshake_that_trickles_puts_off_no_deadline() {
    // A record's head that promises much, and then little.
    let slow = by_hand(|mut s| {
        s.write_all(&[22, 3, 3, 0x40, 0]).unwrap();
        trickle(&mut s, &[2]);
    });
    let silent = by_hand(|mut s| trickle(&mut s, b"HTTP/1.1 "));
    for (fields, told) in
        [(String::new(), "p:tls"), (format!("proxy: \"http://{}\"", silent.address), "p:connect")]
    {
        let yaml = over_tls_yaml(slow.address, "127.0.0.1", &fields)
            .replace("attempts: 1", "attempts: 1, connect_timeout: 400ms");
        let begun = Instant::now();
        from_yaml(&yaml).post(messages()).is(502).error("api_error", told);
        assert!(begun.elapsed() < ms(3000), "{told}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_proxy_that_refuses_is_no_connection() {
    for status in [403, 407, 502] {
        let proxy = by_hand(move |mut s| {
            head_of(&mut s);
            let _ = write!(s, "HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n");
        });
        let first = upstream();
        let gw = gateway()
            .provider("p", &first, &format!("proxy: \"http://u:secret@{}\"", proxy.address))
            .retry("attempts: 1")
            .run();
        let answer = gw.post(messages());
        answer.is(502).error("api_error", "p:connect");
        assert!(!answer.text().contains("secret"), "{}", answer.text());
        assert_eq!(first.count(), 0);
    }
}

// ---- Answers that come early ----

fn long_message() -> crate::support::client::Request {
    let text = "x".repeat(9_000_000);
    messages().body(&format!(
        r#"{{"model":"claude-test","max_tokens":9,"stream":true,"messages":[{{"role":"user","content":"{text}"}}]}}"#
    ))
}

const TOO_LARGE: &str = r#"{"type":"error","error":{"type":"request_too_large","message":"too large"}}"#;

fn early_refusal() -> String {
    format!(
        "HTTP/1.1 413 X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{TOO_LARGE}",
        TOO_LARGE.len()
    )
}

#[test]
fn an_answer_before_the_body_was_read_is_heard() {
    let connections = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&connections);
    let first = by_hand(move |mut s| {
        *counted.lock().unwrap() += 1;
        head_of(&mut s);
        let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(*counted.lock().unwrap() - 1);
        s.write_all((interim + &early_refusal()).as_bytes()).unwrap();
        std::thread::sleep(ms(6000));
    });
    let gw = gateway().weighted("first", &first, 1).retry("first_byte_timeout: 4s, attempts: 1").run();
    for n in 1..3 {
        let begun = Instant::now();
        let answer = gw.post(long_message());
        answer.is(413).attempts("first:413");
        assert_eq!(answer.text(), TOO_LARGE);
        assert!(begun.elapsed() < ms(3000), "{:?}", begun.elapsed());
        // Half a request is on that connection: it serves nobody else.
        assert_eq!(*connections.lock().unwrap(), n);
    }
}

#[test]
fn an_answer_over_tls_before_the_body_was_read_is_heard() {
    let address = tls_server(|stream| {
        head_of(stream);
        stream.write_all(early_refusal().as_bytes()).unwrap();
        stream.flush().unwrap();
        std::thread::sleep(ms(6000));
    });
    let ca = format!("ca_file: \"{}\"", certificate("cert.pem").display());
    let yaml = over_tls_yaml(address, "localhost", &ca)
        .replace("attempts: 1", "attempts: 1, first_byte_timeout: 4s");
    let begun = Instant::now();
    from_yaml(&yaml).post(long_message()).is(413).attempts("p:413");
    assert!(begun.elapsed() < ms(3000), "{:?}", begun.elapsed());
}

#[test]
fn an_early_interim_answer_does_not_end_the_sending() {
    let first = by_hand(|mut s| {
        let head = head_of(&mut s);
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        s.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        std::thread::sleep(ms(300));
        s.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").unwrap();
        std::thread::sleep(ms(300));
        let mut body = Vec::new();
        (&mut s).take(length).read_to_end(&mut body).unwrap();
        assert!(body.ends_with(b"}]}"));
        s.write_all(&[sse_head(), chunk(&stream("m", "all read")), b"0\r\n\r\n".to_vec()].concat()).unwrap();
    });
    gateway().weighted("first", &first, 1).run().post(long_message()).is(200).says("all read");
}

// ---- Framings and encodings ----

#[test]
fn interim_answers_are_skipped() {
    let early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    let mut acts = vec![Act::Send(early.as_bytes().to_vec()), Act::Wait(ms(20))];
    acts.extend(reply(200, "application/json", &whole("m", "after them")));
    let first = upstream().always(acts);
    let gw = gateway().weighted("first", &first, 1).run();
    let mut client = gw.client();
    client.post(&messages()).is(200).says("after them");
    client.post(&messages()).is(200).says("after them");
    assert_eq!(first.connections(), 1);
}

#[test]
fn interim_answers_without_end_are_no_answer() {
    for early in ["HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100), "HTTP/1.1 101 Upgrade\r\n\r\n".to_owned()] {
        let first = upstream().always(vec![Act::Send(early.into_bytes()), Act::Hold]);
        let second = upstream();
        let gw = gateway().weighted("first", &first, 70).weighted("second", &second, 30).run();
        gw.post(messages()).is(200).attempts("first:unreadable, second:ok");
    }
}

#[test]
fn an_answer_without_a_body_ends_at_its_head() {
    for (head, told) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", "unreadable"),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n", "304"),
        ("HTTP/1.1 500 X\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n\r\n", "500"),
    ] {
        let first = upstream().then(vec![Act::Send(head.as_bytes().to_vec())]);
        let gw = gateway().weighted("first", &first, 1).run();
        let mut client = gw.client();
        let begun = Instant::now();
        let answer = client.post(&messages());
        assert!(begun.elapsed() < ms(5000), "{head}: {:?}", begun.elapsed());
        let attempts = answer.header("x-pointsman-attempts").unwrap();
        assert!(attempts.starts_with(&format!("first:{told}")), "{head}: {attempts}");
        client.post(&messages()).is(200).says("hello");
        assert_eq!(first.connections(), 1, "{head}");
    }
}

#[test]
fn a_length_told_twice_is_one_length() {
    let body = whole("m", "counted twice");
    let n = body.len();
    for (lines, fine) in [
        (format!("content-length: {n}\r\ncontent-length: {n}\r\n"), true),
        (format!("content-length: {n}, {n}\r\n"), true),
        (format!("content-length: {n}\r\ncontent-length: {}\r\n", n - 1), false),
        (format!("content-length: +{n}\r\n"), false),
        ("transfer-encoding: gzip, chunked\r\n".to_owned(), false),
    ] {
        let text = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{lines}\r\n{body}");
        let first = upstream().always(vec![Act::Send(text.into_bytes())]);
        let second = upstream().answers(200, &whole("m", "rescued"));
        let gw = gateway().weighted("first", &first, 70).weighted("second", &second, 30).run();
        let expected = if fine { "counted twice" } else { "rescued" };
        let attempts = if fine { "first:ok" } else { "first:unreadable, second:ok" };
        gw.post(messages()).is(200).says(expected).attempts(attempts);
    }
}

/// An answer that fills one small read to the last byte.
fn answer_of_4096_bytes() -> Vec<u8> {
    let answer = |pad: usize| {
        let lines = format!("content-type: application/json\r\nx-pad: {}\r\n", "p".repeat(pad));
        let Some(Act::Send(bytes)) = reply_with(200, &lines, &whole("m", "one")).pop() else {
            unreachable!()
        };
        bytes
    };
    answer(4096 - answer(0).len())
}

#[test]
fn bytes_that_nobody_asked_for_do_not_become_the_next_answer() {
    let Some(Act::Send(poison)) = reply(200, "application/json", &whole("m", "poison")).pop() else {
        unreachable!()
    };
    let Some(Act::Send(one)) = reply(200, "application/json", &whole("m", "one")).pop() else {
        unreachable!()
    };
    let full = answer_of_4096_bytes();
    assert_eq!(full.len(), 4096);
    for (name, acts) in [
        ("at once", vec![Act::Send([&one[..], &poison].concat())]),
        ("behind a full read", vec![Act::Send([&full[..], &poison].concat())]),
        ("later", vec![Act::Send(one.clone()), Act::Wait(ms(30)), Act::Send(poison.clone())]),
    ] {
        let first = upstream().then(acts);
        let gw = gateway().weighted("first", &first, 1).run();
        let mut client = gw.client();
        client.post(&messages()).is(200).says("one");
        std::thread::sleep(ms(100));
        let answer = client.post(&messages());
        assert!(answer.text().contains("hello"), "{name}: {}", answer.text());
        assert_eq!(first.connections(), 2, "{name}");
    }
}

#[test]
fn bytes_over_tls_that_nobody_asked_for_do_not_become_the_next_answer() {
    let address = tls_server(|stream| {
        for text in ["one", "two"] {
            let mut request = vec![0; 4096];
            if !stream.read(&mut request).is_ok_and(|n| n > 0) {
                return;
            }
            let body = whole("m", text);
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
            // Records of their own that nobody asked for.
            if text == "one" {
                stream.write_all(answer.replace("one", "bad").as_bytes()).unwrap();
            }
        }
    });
    let ca = format!("ca_file: \"{}\"", certificate("cert.pem").display());
    let gw = over_tls(address, "localhost", &ca);
    let mut client = gw.client();
    for _ in 0..2 {
        client.post(&messages()).is(200).says("one");
        std::thread::sleep(ms(50));
    }
}

/// Packs as a server that streams does: each piece comes out whole.
struct Packer(flate2::write::GzEncoder<Vec<u8>>);

impl Packer {
    fn new() -> Self {
        Self(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default()))
    }

    fn piece(&mut self, text: &str) -> Vec<u8> {
        self.0.write_all(text.as_bytes()).unwrap();
        self.0.flush().unwrap();
        let packed = std::mem::take(self.0.get_mut());
        [format!("{:x}\r\n", packed.len()).into_bytes(), packed, b"\r\n".to_vec()].concat()
    }
}

#[test]
fn the_pieces_of_a_packed_stream_arrive_when_they_were_sent() {
    let head =
        String::from_utf8(sse_head()).unwrap().replace("\r\n\r\n", "\r\ncontent-encoding: gzip\r\n\r\n");
    let mut packer = Packer::new();
    let one = packer.piece(&(message_start("m") + &block_start() + &delta("one")));
    let first = upstream().always(vec![
        Act::Send([head.into_bytes(), one].concat()),
        Act::Wait(ms(50)),
        Act::Send(packer.piece(&delta("two"))),
        Act::Wait(ms(50)),
        Act::Send(packer.piece(&delta("three"))),
        Act::Hold,
    ]);
    let gw = gateway().weighted("first", &first, 1).retry("idle_timeout: 3s").run();
    // The provider says no more: what does not come now never comes.
    gw.client().send(&messages().stream()).wait_for("three");
}

#[test]
fn a_broken_gzip_is_unreadable_and_several_members_are_not() {
    let pack = |text: &str| {
        let mut packer = Packer::new();
        packer.0.write_all(text.as_bytes()).unwrap();
        packer.0.finish().unwrap()
    };
    let body = whole("m", "packed");
    let packed = pack(&body);
    let mut bad_sum = packed.clone();
    let at = bad_sum.len() - 6;
    bad_sum[at] ^= 1;
    let two = [pack(&body[..30]), pack(&body[30..])].concat();
    for (name, encoding, body, fine) in [
        ("whole", "x-gzip", packed.clone(), true),
        ("two members", "gzip", two, true),
        ("cut in its trailer", "gzip", packed[..packed.len() - 4].to_vec(), false),
        ("cut in half", "gzip", packed[..packed.len() / 2].to_vec(), false),
        ("a wrong sum", "gzip", bad_sum, false),
        ("no gzip", "gzip", body.clone().into_bytes(), false),
    ] {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let first = upstream().always(vec![Act::Send([head.into_bytes(), body].concat())]);
        let second = upstream().answers(200, &whole("m", "rescued"));
        let gw = gateway().weighted("first", &first, 70).weighted("second", &second, 30).run();
        let answer = gw.post(messages());
        let expected = if fine { "first:ok" } else { "first:unreadable, second:ok" };
        assert_eq!(answer.header("x-pointsman-attempts"), Some(expected), "{name}");
        answer.is(200).says(if fine { "packed" } else { "rescued" });
    }
}

#[test]
fn a_little_gzip_that_unpacks_to_very_much_is_not_taken() {
    let mut packer = Packer::new();
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..80 {
        packer.0.write_all(&zeros).unwrap();
    }
    let body = packer.0.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let first = upstream().always(vec![Act::Send([head.into_bytes(), body].concat())]);
    let second = upstream();
    let gw = gateway().weighted("first", &first, 70).weighted("second", &second, 30).run();
    gw.post(messages()).is(200).attempts("first:unreadable, second:ok");
}
