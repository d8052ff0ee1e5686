//! Anthropic's own API and everything that speaks it: request lines and header fields.
//!
//! The client's fields cross by an allow-list (INTERFACE section 5); its credential, cookies, hop-by-hop fields and
//! `x-pointsman-*` never do. Looks at no message.

use crate::http::fields::Decimal;
use crate::http::{Fields, Lines};

/// An endpoint below the provider's base path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `POST /messages`
    Messages,
    /// `POST /messages/count_tokens`
    CountTokens,
}

/// What a request's head is made of.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'p> {
    /// Which endpoint.
    pub call: Call,
    /// `/v1` or what `base_url` says.
    pub base_path: &'p str,
    /// The client's query, as sent.
    pub query: &'p str,
    /// `host`.
    pub host: &'p str,
    /// The provider's key; `None`: it needs none.
    pub key: Option<&'p str>,
    /// Send the key as `authorization: Bearer` too: servers that speak the format look in one place or the other.
    pub bearer: bool,
    /// The client's header fields.
    pub client: &'p Fields,
    /// `anthropic-beta` as it is to be sent, if it is not the client's own.
    pub betas: Option<&'p str>,
    /// Fields that the configuration adds; they win over the client's.
    pub extra: &'p [(String, crate::config::secret::Secret)],
    /// Our mark for requests that come round again.
    pub via: Option<&'p str>,
    /// Length of the body.
    pub length: usize,
}

impl Parts<'_> {
    /// Whether the configuration adds a field of this name.
    fn adds(&self, name: &[u8]) -> bool {
        self.extra.iter().any(|(extra, _)| extra.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// Writes the head of a request.
pub fn head(parts: &Parts<'_>) -> Vec<u8> {
    let mut first = Vec::with_capacity(ROOM);
    first.extend_from_slice(b"POST ");
    first.extend_from_slice(parts.base_path.as_bytes());
    first.extend_from_slice(match parts.call {
        Call::Messages => b"/messages",
        Call::CountTokens => b"/messages/count_tokens",
    });
    if !parts.query.is_empty() {
        first.push(b'?');
        first.extend_from_slice(parts.query.as_bytes());
    }
    first.extend_from_slice(b" HTTP/1.1\r\n");
    let mut lines = Lines::behind(first);
    lines.push("host", parts.host);
    crossing(parts, &mut lines);
    if let Some(betas) = parts.betas.filter(|b| !b.is_empty()) {
        lines.push("anthropic-beta", betas);
    }
    if let Some(key) = parts.key {
        credential(parts, key, &mut lines);
    }
    for (name, value) in parts.extra {
        lines.push(name, value.expose());
    }
    if let Some(via) = parts.via {
        lines.push("via", via);
    }
    lines.push_parsed(b"accept-encoding", b"identity");
    lines.push_parsed(b"content-length", Decimal::new(parts.length as u64).as_bytes());
    let mut head = lines.into_bytes();
    head.extend_from_slice(b"\r\n");
    head
}

fn credential(parts: &Parts<'_>, key: &str, lines: &mut Lines) {
    if !parts.adds(b"x-api-key") {
        lines.push("x-api-key", key);
    }
    if parts.bearer && !parts.adds(b"authorization") {
        lines.push("authorization", [b"Bearer ", key.as_bytes()].concat());
    }
}

fn crossing(parts: &Parts<'_>, lines: &mut Lines) {
    let mut version = parts.adds(VERSION);
    let mut kind = false;
    for (name, value) in parts.client.iter() {
        if !crosses(name) || (!parts.extra.is_empty() && parts.adds(name)) {
            continue;
        }
        let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
        if parts.betas.is_some() && is(b"anthropic-beta") {
            continue;
        }
        version |= is(VERSION);
        kind |= is(b"content-type");
        lines.push_parsed(name, value);
    }
    if !version {
        lines.push_parsed(VERSION, b"2023-06-01");
    }
    if !kind {
        lines.push_parsed(b"content-type", b"application/json");
    }
}

/// Whether a client's field reaches an upstream of its dialect.
fn crosses(name: &[u8]) -> bool {
    let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
    let begins =
        |family: &[u8]| name.len() > family.len() && name[..family.len()].eq_ignore_ascii_case(family);
    match name.first().map(u8::to_ascii_lowercase) {
        Some(b'a') => is(b"accept") || begins(b"anthropic-"),
        Some(b'c') => is(b"content-type"),
        Some(b'o') => begins(b"openai-"),
        Some(b'u') => is(b"user-agent"),
        Some(b'x') => is(b"x-app") || begins(b"x-stainless-") || begins(b"x-claude-code-"),
        _ => false,
    }
}

const VERSION: &[u8] = b"anthropic-version";
/// Claude Code's fields come to a kilobyte; this saves growing.
const ROOM: usize = 1536;

#[cfg(test)]
mod tests {
    use super::{Call, Parts, head};
    use crate::config::secret::Secret;
    use crate::edge::head::parse;

    #[test]
    fn only_allowed_fields_cross() {
        let client = parse(
            b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: gw\r\nx-api-key: client-key\r\nAuthorization: Bearer t\r\n\
              Cookie: c=1\r\nanthropic-version: 2026-10-21\r\nAnthropic-Beta: a,b\r\nX-Stainless-Lang: js\r\n\
              x-claude-code-session-id: s\r\nx-pointsman-tags: a=b\r\nAccept-Encoding: gzip, br\r\nConnection: close\r\n\
              x-app: cli\r\nUser-Agent: claude-cli/2\r\nx-forwarded-for: 1.2.3.4\r\ncontent-type: application/json\r\n\r\n",
        )
        .unwrap();
        let extra = [("x-team".to_owned(), Secret::new("red"))];
        let head = head(&Parts {
            call: Call::Messages,
            base_path: "/v1",
            query: "beta=true",
            host: "api.anthropic.com",
            key: Some("provider-key"),
            bearer: false,
            client: &client.fields,
            betas: None,
            extra: &extra,
            via: None,
            length: 12,
        });
        assert_eq!(
            String::from_utf8(head).unwrap(),
            "POST /v1/messages?beta=true HTTP/1.1\r\nhost: api.anthropic.com\r\nanthropic-version: 2026-10-21\r\n\
             Anthropic-Beta: a,b\r\nX-Stainless-Lang: js\r\nx-claude-code-session-id: s\r\nx-app: cli\r\n\
             User-Agent: claude-cli/2\r\ncontent-type: application/json\r\nx-api-key: provider-key\r\nx-team: red\r\n\
             accept-encoding: identity\r\ncontent-length: 12\r\n\r\n"
        );
    }
}
