//! The way to a provider: TLS, a CONNECT proxy, names, encodings.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::support::gateway::from_yaml;
use crate::support::upstream::{reply_with, sse_then};
use crate::support::*;

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

/// Serves one answer per connection over TLS.
fn tls_upstream(answer: String) -> SocketAddr {
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
            let mut stream = rustls::StreamOwned::new(session, tcp);
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
        }
    });
    address
}

fn over_tls(address: SocketAddr, host: &str, fields: &str) -> Gateway {
    let provider = format!(
        "accounts: [{{ id: a, providers: [{{ id: p, type: anthropic_compatible, base_url: \"https://{host}:{}\", api_key: k, {fields} }}] }}]",
        address.port()
    );
    from_yaml(&format!("server: {{ listen: \"127.0.0.1:0\" }}\nretry: {{ attempts: 1 }}\n{provider}\n"))
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

/// A proxy that connects where it is told and says what it was asked.
fn proxy() -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|n| n == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let target = head.split(' ').nth(1).unwrap_or("").to_owned();
            tell.send(head).unwrap();
            let Ok(mut server) = TcpStream::connect(&target) else { continue };
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            std::thread::spawn(move || std::io::copy(&mut server, &mut client));
        }
    });
    (address, told)
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
