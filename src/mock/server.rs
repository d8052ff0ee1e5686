//! The mock as a server on the gateway's own edge: plays an [`Answer`]'s steps over a connection.
//!
//! A pause watches whether the client goes away, so that a test can see that a cut reached the provider. Thinks up
//! nothing itself.

use std::sync::Arc;
use std::time::Duration;

use super::{Answer, Ended, Framing, Mock, Options, Request, Step};
use crate::edge::{Call, Gone, Method, Service};
use crate::error::Error;
use crate::http::{Lines, status};
use crate::runtime::home;

/// A mock that is served.
pub struct Server {
    mock: Arc<Mock>,
}

impl Server {
    /// Serves a mock of these options.
    pub fn new(options: Options) -> Self {
        Self { mock: Arc::new(Mock::new(options)) }
    }

    fn play(call: &mut Call<'_>, answer: &Answer) -> Result<(), Gone> {
        let mut lines = Lines::new();
        for (name, value) in &answer.headers {
            lines.push(name, value);
        }
        if let (Framing::Sized(length), [Step::Bytes(body)]) = (answer.framing, answer.play.as_slice())
            && body.len() == length
        {
            return call.reply(answer.status, &lines, body);
        }
        let mut begun = false;
        for step in &answer.play {
            match step {
                Step::Bytes(bytes) => {
                    Self::begin(call, answer, &lines, &mut begun);
                    call.piece(bytes)?;
                }
                Step::Pause(time) => pause(call, *time)?,
                Step::Cut => {
                    call.cut();
                    return Ok(());
                }
            }
        }
        Self::begin(call, answer, &lines, &mut begun);
        if answer.framing == Framing::Raw {
            call.cut();
            return Ok(());
        }
        call.finish(&[])
    }

    fn begin(call: &mut Call<'_>, answer: &Answer, lines: &Lines, begun: &mut bool) {
        if std::mem::replace(begun, true) {
            return;
        }
        match answer.framing {
            Framing::Sized(length) => call.begin_sized(answer.status, lines, length),
            Framing::Stream => call.begin(answer.status, lines),
            Framing::Raw => call.begin_raw(),
        }
    }
}

/// Waits in small steps, and looks whether anybody is still there.
fn pause(call: &Call<'_>, time: Duration) -> Result<(), Gone> {
    let mut left = time;
    loop {
        if call.is_gone() {
            return Err(Gone);
        }
        if left.is_zero() {
            return Ok(());
        }
        let step = left.min(LOOK);
        home::wait(call.home(), step);
        left -= step;
    }
}

impl Service for Server {
    fn serve(&self, call: &mut Call<'_>) {
        let body = match call.body(MAX_BODY) {
            Ok(body) => body,
            Err(error) => {
                let kind =
                    if error.kind.status() == 413 { "request_too_large" } else { "invalid_request_error" };
                Self::play(call, &Answer::error(error.kind.status(), kind, &error.message, 0)).ok();
                return;
            }
        };
        let answer = {
            let head = &call.head;
            let headers: Vec<(&str, &str)> = head
                .fields
                .iter()
                .filter_map(|(name, value)| {
                    Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?))
                })
                .collect();
            self.mock.answer(&Request {
                method: method_name(head.method),
                path: head.path(),
                query: head.query(),
                headers: &headers,
                body: &body,
            })
        };
        drop(body);
        let ended = match Self::play(call, &answer) {
            Ok(()) => Ended::Played,
            Err(Gone) => Ended::Gone,
        };
        self.mock.ended(answer.number, ended);
    }

    fn panicked(&self, call: &mut Call<'_>) {
        if !call.is_answered() {
            call.reply(500, &Lines::new(), b"the mock broke").ok();
        }
    }

    fn refusal(&self, error: &Error) -> Vec<u8> {
        let (status, message) = (error.kind.status(), &error.message);
        let phrase = status::phrase(status);
        format!(
            "HTTP/1.1 {status} {phrase}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{message}",
            message.len()
        )
        .into_bytes()
    }
}

fn method_name(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Delete => "DELETE",
        Method::Options => "OPTIONS",
        Method::Other => "OTHER",
    }
}

/// How often a pause looks whether the client is still there.
const LOOK: Duration = Duration::from_millis(20);
/// As at the real one.
const MAX_BODY: usize = 32 * 1024 * 1024;
