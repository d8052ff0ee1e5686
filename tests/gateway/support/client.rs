//! A client on a blocking socket, and what it got.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A request as text.
#[derive(Clone)]
pub struct Request {
    method: &'static str,
    path: String,
    lines: String,
    body: String,
}

/// A request for a model's answer.
pub fn messages() -> Request {
    Request {
        method: "POST",
        path: "/anthropic/v1/messages?beta=true".to_owned(),
        lines: String::new(),
        body: r#"{"model":"claude-test","max_tokens":64,"messages":[{"role":"user","content":"hi"}]}"#
            .to_owned(),
    }
}

/// A request for a count.
pub fn count_tokens() -> Request {
    Request {
        path: "/anthropic/v1/messages/count_tokens".to_owned(),
        body: r#"{"model":"claude-test","messages":[{"role":"user","content":"hi"}]}"#.to_owned(),
        ..messages()
    }
}

/// Any other request.
pub fn raw(method: &'static str, path: &str) -> Request {
    Request { method, path: path.to_owned(), lines: String::new(), body: String::new() }
}

impl Request {
    /// The same, answered as a stream.
    pub fn stream(mut self) -> Self {
        self.body = self.body.replacen("\"max_tokens\":64", "\"max_tokens\":64,\"stream\":true", 1);
        self
    }

    pub fn model(mut self, model: &str) -> Self {
        self.body = self.body.replacen("claude-test", model, 1);
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.lines.extend([name, ": ", value, "\r\n"]);
        self
    }

    pub fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    pub fn text(&self) -> String {
        let length = match self.method {
            "GET" | "HEAD" => String::new(),
            _ => format!("content-type: application/json\r\ncontent-length: {}\r\n", self.body.len()),
        };
        format!(
            "{} {} HTTP/1.1\r\nhost: localhost\r\n{}{length}\r\n{}",
            self.method, self.path, self.lines, self.body
        )
    }
}

/// A connection to the gateway.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    head: bool,
}

impl Client {
    pub fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new(), head: false }
    }

    pub fn send(mut self, request: &Request) -> Self {
        self.head = request.method == "HEAD";
        self.write(request.text().as_bytes())
    }

    /// One request after another: all on the gateway's same worker, and so with the same pool.
    pub fn post(&mut self, request: &Request) -> Answer {
        self.head = request.method == "HEAD";
        let _ = self.stream.write_all(request.text().as_bytes());
        self.next_answer()
    }

    pub fn write(mut self, bytes: &[u8]) -> Self {
        // A server that refused already may have closed: what it said counts.
        let _ = self.stream.write_all(bytes);
        self
    }

    /// Sends a FIN and goes on reading nothing.
    pub fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Goes away; returns when.
    pub fn leave(self) -> Instant {
        drop(self.stream);
        Instant::now()
    }

    /// Reads until this text has come.
    pub fn wait_for(&mut self, text: &str) {
        while memchr::memmem::find(&self.buffer, text.as_bytes()).is_none() {
            assert!(self.more(), "closed without `{text}`: {}", String::from_utf8_lossy(&self.buffer));
        }
    }

    pub fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }

    pub fn is_closed(&mut self) -> bool {
        !self.more()
    }

    /// The next answer, whole.
    pub fn answer(mut self) -> Answer {
        self.next_answer()
    }

    pub fn next_answer(&mut self) -> Answer {
        loop {
            let end = loop {
                if let Some(at) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                    break at + 4;
                }
                assert!(self.more(), "closed without an answer: {:?}", String::from_utf8_lossy(&self.buffer));
            };
            let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
            let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
            if status == 100 {
                continue;
            }
            let mut answer = Answer { status, head, body: Vec::new(), whole: true };
            let length = answer.header("content-length").map(|v| v.parse::<usize>().unwrap());
            match length {
                _ if self.head => {}
                Some(length) => answer.whole = self.sized(length, &mut answer.body),
                None if answer.header("transfer-encoding") == Some("chunked") => {
                    answer.whole = self.chunked(&mut answer.body);
                }
                None => {
                    while self.more() {}
                    answer.body = std::mem::take(&mut self.buffer);
                }
            }
            return answer;
        }
    }

    fn sized(&mut self, length: usize, body: &mut Vec<u8>) -> bool {
        while self.buffer.len() < length {
            if !self.more() {
                body.append(&mut self.buffer);
                return false;
            }
        }
        body.extend(self.buffer.drain(..length));
        true
    }

    fn chunked(&mut self, body: &mut Vec<u8>) -> bool {
        loop {
            let end = loop {
                if let Some(at) = memchr::memmem::find(&self.buffer, b"\r\n") {
                    break at;
                }
                if !self.more() {
                    return false;
                }
            };
            let size = usize::from_str_radix(std::str::from_utf8(&self.buffer[..end]).unwrap(), 16).unwrap();
            self.buffer.drain(..end + 2);
            let mut piece = Vec::new();
            if !self.sized(size + 2, &mut piece) {
                body.extend_from_slice(&piece);
                return false;
            }
            piece.truncate(size);
            body.extend_from_slice(&piece);
            if size == 0 {
                return true;
            }
        }
    }

    fn more(&mut self) -> bool {
        let mut room = vec![0; 65536];
        match self.stream.read(&mut room) {
            Ok(n) => {
                self.buffer.extend_from_slice(&room[..n]);
                n > 0
            }
            Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock) => {
                panic!("nothing came for 20 s: {}", self.so_far())
            }
            Err(_) => false,
        }
    }
}

/// What a client got.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// The framing said that this was all.
    pub whole: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.text());
        assert!(self.whole, "cut short: {}", self.text());
        self
    }

    /// The text of the answer, from a whole one or a stream.
    #[track_caller]
    pub fn says(&self, expected: &str) -> &Self {
        let said = if self.head.contains("text/event-stream") { self.streamed() } else { self.collected() };
        assert_eq!(said, expected, "{}", self.text());
        self
    }

    #[track_caller]
    pub fn attempts(&self, expected: &str) -> &Self {
        assert_eq!(self.header("x-pointsman-attempts"), Some(expected), "{}", self.head);
        self
    }

    #[track_caller]
    pub fn has(&self, text: &str) -> &Self {
        assert!(self.text().contains(text), "no `{text}` in: {}", self.text());
        self
    }

    #[track_caller]
    pub fn error(&self, kind: &str, message: &str) -> &Self {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(body["error"]["type"], kind, "{}", self.text());
        let said = body["error"]["message"].as_str().unwrap();
        assert!(said.contains(message), "no `{message}` in: {said}");
        assert_eq!(body["request_id"].as_str(), self.header("request-id"), "{}", self.text());
        self
    }

    /// The data of every event, by name.
    pub fn events(&self) -> Vec<(String, serde_json::Value)> {
        self.text()
            .split("\n\n")
            .filter(|e| !e.trim().is_empty() && !e.starts_with(':'))
            .map(|e| {
                let field =
                    |name: &str| e.lines().find_map(|l| l.strip_prefix(name)).unwrap_or("").trim().to_owned();
                let data = field("data:");
                let data = if data == "[DONE]" { "\"[DONE]\"".to_owned() } else { data };
                (
                    field("event:"),
                    serde_json::from_str(&data).unwrap_or_else(|_| panic!("no JSON in an event: {e}")),
                )
            })
            .collect()
    }

    fn streamed(&self) -> String {
        self.events()
            .iter()
            .filter_map(|(_, data)| {
                let text = data["delta"]["text"].as_str();
                text.or_else(|| data["choices"][0]["delta"]["content"].as_str()).map(str::to_owned)
            })
            .collect()
    }

    fn collected(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        if let Some(text) = body["choices"][0]["message"]["content"].as_str() {
            return text.to_owned();
        }
        body["content"].as_array().unwrap().iter().filter_map(|b| b["text"].as_str()).collect()
    }
}
