//! Request lines and header fields, for every provider and dialect.
//!
//! To an upstream of the client's own dialect its fields cross by an allow-list (INTERFACE section 5); a translated request
//! has fields of our own. The client's credential, cookies, hop-by-hop fields and `x-pointsman-*` never cross. A field that
//! the configuration adds stands in the place of the client's or of our own, but for lists: betas and `via` are told
//! together. No field is made twice. Looks at no message.

use std::borrow::Cow;

use super::entry::{Auth, Entry};
use crate::config::secret::Secret;
use crate::http::fields::Decimal;
use crate::http::{Fields, Lines};
use crate::wire::{Call, Dialect};

/// What a request's head is made of.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'p> {
    /// What is asked, in the provider's dialect.
    pub call: Call,
    /// The provider's type.
    pub entry: &'static Entry,
    /// `/v1` or what `base_url` says.
    pub base_path: &'p str,
    /// `host`.
    pub host: &'p str,
    /// The provider's key; `None`: it needs none.
    pub key: Option<&'p str>,
    /// The client asks in the provider's dialect: its query and its fields cross.
    pub same: bool,
    /// The answer is to be a stream.
    pub stream: bool,
    /// The client's query, as sent.
    pub query: &'p str,
    /// The client's header fields.
    pub client: &'p Fields,
    /// `anthropic-beta` as it is to be sent, those of the configuration among them ([`with_configured`]); `None`: the
    /// client's own, as they came. Only for Messages.
    pub betas: Option<&'p str>,
    /// The session, for providers that keep their caches together by it.
    pub session: Option<&'p str>,
    /// Fields that the configuration adds; they win over the client's.
    pub extra: &'p [(String, Secret)],
    /// Faults on demand cross too: the provider is the bundled mock.
    pub faults: bool,
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

    fn speaks_messages(&self) -> bool {
        self.entry.dialect == Dialect::Messages
    }
}

/// The client's betas and behind them those that the configuration adds, each once. For the request to be shaped by:
/// a beta and its field in the body are one pair, whoever asks for them.
pub fn with_configured<'b>(client: Option<&'b str>, extra: &'b [(String, Secret)]) -> Option<Cow<'b, str>> {
    let configured = extra.iter().find(|(name, _)| name.eq_ignore_ascii_case(BETAS));
    let Some((_, configured)) = configured else { return client.map(Cow::Borrowed) };
    let values = |list: &'b str| list.split(',').map(str::trim).filter(|value| !value.is_empty());
    let mut list = Cow::Borrowed(client.unwrap_or_default());
    for value in values(configured.expose()) {
        if !list.split(',').any(|known| known.trim() == value) {
            let all = list.to_mut();
            if !all.is_empty() {
                all.push(',');
            }
            all.push_str(value);
        }
    }
    (!list.is_empty()).then_some(list)
}

/// Writes the head of a request.
pub fn head(parts: &Parts<'_>) -> Vec<u8> {
    let mut lines = Lines::behind(request_line(parts));
    lines.push("host", parts.host);
    if parts.same {
        crossing(parts, &mut lines);
    } else {
        our_own(parts, &mut lines);
    }
    if let Some(betas) = parts.betas.filter(|betas| !betas.is_empty() && parts.speaks_messages()) {
        lines.push(BETAS, betas);
    }
    if let Some(key) = parts.key {
        credential(parts, key, &mut lines);
    }
    if let (Some(name), Some(session)) = (parts.entry.session, parts.session)
        && !parts.adds(name.as_bytes())
    {
        lines.push(name, session);
    }
    configured(parts, &mut lines);
    lines.push_parsed(b"accept-encoding", b"identity");
    lines.push_parsed(b"content-length", Decimal::new(parts.length as u64).as_bytes());
    let mut head = lines.into_bytes();
    head.extend_from_slice(b"\r\n");
    head
}

fn request_line(parts: &Parts<'_>) -> Vec<u8> {
    let mut line = Vec::with_capacity(ROOM);
    line.extend_from_slice(b"POST ");
    line.extend_from_slice(parts.base_path.as_bytes());
    line.extend_from_slice(match parts.call {
        Call::Messages => b"/messages",
        Call::CountTokens => b"/messages/count_tokens",
        Call::Chat => b"/chat/completions",
        Call::Embeddings => b"/embeddings",
    });
    if parts.same && !parts.query.is_empty() {
        line.push(b'?');
        line.extend_from_slice(parts.query.as_bytes());
    }
    line.extend_from_slice(b" HTTP/1.1\r\n");
    line
}

fn credential(parts: &Parts<'_>, key: &str, lines: &mut Lines) {
    let auth = parts.entry.auth;
    if auth != Auth::Bearer && !parts.adds(b"x-api-key") {
        lines.push("x-api-key", key);
    }
    if auth != Auth::ApiKey && !parts.adds(b"authorization") {
        lines.push("authorization", [b"Bearer ", key.as_bytes()].concat());
    }
}

/// What the configuration adds, and our mark behind a `via` of its own.
fn configured(parts: &Parts<'_>, lines: &mut Lines) {
    let mut via = parts.via;
    for (name, value) in parts.extra {
        match via {
            _ if name.eq_ignore_ascii_case(BETAS) && parts.speaks_messages() => {}
            Some(ours) if name.eq_ignore_ascii_case("via") => {
                lines.push("via", [value.expose(), ", ", ours].concat());
                via = None;
            }
            _ => lines.push(name, value.expose()),
        }
    }
    if let Some(via) = via {
        lines.push("via", via);
    }
}

/// The fields of a request that was translated: the client's are about another dialect.
fn our_own(parts: &Parts<'_>, lines: &mut Lines) {
    let accept: &[u8] = if parts.stream { b"text/event-stream" } else { b"application/json" };
    let fields: [(&[u8], &[u8]); 4] =
        [(KIND, b"application/json"), (b"accept", accept), (b"user-agent", AGENT), (VERSION, THIS_VERSION)];
    let wanted = if parts.speaks_messages() { fields.len() } else { fields.len() - 1 };
    for (name, value) in fields.into_iter().take(wanted).filter(|(name, _)| !parts.adds(name)) {
        lines.push_parsed(name, value);
    }
}

/// The client's fields that may cross, and what a request cannot do without.
fn crossing(parts: &Parts<'_>, lines: &mut Lines) {
    let mut version = !parts.speaks_messages() || parts.adds(VERSION);
    let mut kind = parts.adds(KIND);
    for (name, value) in parts.client.iter() {
        let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
        if !(crosses(name) || parts.faults && is(FAULT)) {
            continue;
        }
        let replaced = if is(BETAS.as_bytes()) {
            parts.betas.is_some()
        } else {
            !parts.extra.is_empty() && parts.adds(name)
        };
        if replaced {
            continue;
        }
        version |= is(VERSION);
        kind |= is(KIND);
        lines.push_parsed(name, value);
    }
    if !version {
        lines.push_parsed(VERSION, THIS_VERSION);
    }
    if !kind {
        lines.push_parsed(KIND, b"application/json");
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
const THIS_VERSION: &[u8] = b"2023-06-01";
const AGENT: &[u8] = concat!("pointsman/", env!("CARGO_PKG_VERSION")).as_bytes();
const KIND: &[u8] = b"content-type";
const BETAS: &str = "anthropic-beta";
/// Tells the bundled mock what shall go wrong ([`crate::mock::fault`]).
const FAULT: &[u8] = b"x-mock-fault";
/// Claude Code's fields come to a kilobyte; this saves growing.
const ROOM: usize = 1536;

#[cfg(test)]
mod tests {
    use super::{Call, Parts, Secret, head, with_configured};
    use crate::config::snapshot::Kind;
    use crate::edge::head::parse;
    use crate::http::Fields;
    use crate::upstream::provider::entry::entry;

    /// The fields of a head that is sent for a client with these, and for a provider with these.
    fn sent(client: &str, extra: &[(&str, &str)], change: impl FnOnce(&mut Parts<'_>)) -> String {
        let client = format!("POST /v1/messages?beta=true HTTP/1.1\r\n{client}\r\n");
        let fields: Fields = parse(client.as_bytes()).unwrap().fields;
        let extra: Vec<_> =
            extra.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect();
        let mut parts = Parts {
            call: Call::Messages,
            entry: entry(Kind::Anthropic),
            base_path: "/v1",
            host: "api.anthropic.com",
            key: Some("provider-key"),
            same: true,
            stream: false,
            query: "beta=true",
            client: &fields,
            betas: None,
            session: None,
            extra: &extra,
            faults: false,
            via: None,
            length: 12,
        };
        change(&mut parts);
        let head = String::from_utf8(head(&parts)).unwrap();
        let mut names: Vec<_> =
            head.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "a field twice: {head}");
        head
    }

    #[test]
    fn only_allowed_fields_cross() {
        let client = "Host: gw\r\nx-api-key: client-key\r\nAuthorization: Bearer t\r\n\
              Cookie: c=1\r\nanthropic-version: 2026-10-21\r\nAnthropic-Beta: a,b\r\nX-Stainless-Lang: js\r\n\
              x-claude-code-session-id: s\r\nx-pointsman-tags: a=b\r\nAccept-Encoding: gzip, br\r\nConnection: close\r\n\
              x-app: cli\r\nUser-Agent: claude-cli/2\r\nx-forwarded-for: 1.2.3.4\r\nx-mock-fault: status=529\r\n\
              content-type: application/json\r\n";
        assert_eq!(
            sent(client, &[("x-team", "red")], |_| {}),
            "POST /v1/messages?beta=true HTTP/1.1\r\nhost: api.anthropic.com\r\nanthropic-version: 2026-10-21\r\n\
             Anthropic-Beta: a,b\r\nX-Stainless-Lang: js\r\nx-claude-code-session-id: s\r\nx-app: cli\r\n\
             User-Agent: claude-cli/2\r\ncontent-type: application/json\r\nx-api-key: provider-key\r\nx-team: red\r\n\
             accept-encoding: identity\r\ncontent-length: 12\r\n\r\n"
        );
    }

    #[test]
    fn faults_cross_to_the_mock_and_to_nobody_else() {
        let client = "Host: gw\r\nX-Mock-Fault: status=529\r\n";
        assert!(!sent(client, &[], |_| {}).contains("status=529"));
        assert!(sent(client, &[], |parts| parts.faults = true).contains("status=529"));
    }

    #[test]
    fn a_configured_field_is_sent_once() {
        let client = "Host: gw\r\ncontent-type: application/json\r\nanthropic-version: 2026-10-21\r\n\
                      anthropic-beta: a\r\nuser-agent: x\r\n";
        let all = [
            ("content-type", "application/json; charset=utf-8"),
            ("anthropic-version", "2023-06-01"),
            ("anthropic-beta", "b"),
            ("user-agent", "y"),
            ("x-api-key", "k"),
            ("authorization", "Bearer k"),
            ("via", "1.1 them"),
        ];
        for count in 0..=all.len() {
            for front in ["Host: gw\r\n", client] {
                let head = sent(front, &all[..count], |parts| {
                    parts.entry = entry(Kind::AnthropicCompatible);
                    parts.via = Some("1.1 us");
                    parts.betas = Some("a,b");
                });
                assert!(head.contains("anthropic-beta: a,b\r\n") && head.contains("1.1 us\r\n"), "{head}");
            }
        }
        // The configured ones were all among the client's.
        let head = sent(client, &[("anthropic-beta", "a")], |_| {});
        assert!(head.contains("anthropic-beta: a\r\n"), "{head}");
    }

    const CODE: &str = "Host: gw\r\nx-api-key: client-key\r\nanthropic-version: 2023-06-01\r\nanthropic-beta: a,b\r\n\
        user-agent: claude-cli/2\r\nx-stainless-lang: js\r\ncontent-type: application/json\r\nx-mock-fault: status=529\r\n";

    #[test]
    fn a_translated_request_has_nothing_of_the_clients() {
        let version = env!("CARGO_PKG_VERSION");
        let asked = sent(CODE, &[("x-team", "red")], |parts| {
            (parts.call, parts.entry, parts.same) = (Call::Chat, entry(Kind::OpenAi), false);
            (parts.stream, parts.session, parts.betas) = (true, Some("s"), Some("a"));
        });
        assert_eq!(
            asked,
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: api.anthropic.com\r\ncontent-type: application/json\r\n\
                 accept: text/event-stream\r\nuser-agent: pointsman/{version}\r\nauthorization: Bearer provider-key\r\n\
                 x-team: red\r\naccept-encoding: identity\r\ncontent-length: 12\r\n\r\n"
            )
        );
        let asked = sent("Host: gw\r\nopenai-organization: o\r\n", &[("user-agent", "ours")], |parts| {
            (parts.same, parts.betas) = (false, Some("b-1"));
        });
        assert_eq!(
            asked,
            "POST /v1/messages HTTP/1.1\r\nhost: api.anthropic.com\r\ncontent-type: application/json\r\n\
             accept: application/json\r\nanthropic-version: 2023-06-01\r\nanthropic-beta: b-1\r\n\
             x-api-key: provider-key\r\nuser-agent: ours\r\naccept-encoding: identity\r\ncontent-length: 12\r\n\r\n"
        );
    }

    #[test]
    fn a_client_of_chat_is_known_to_a_provider_of_chat() {
        let client =
            "Host: gw\r\nauthorization: Bearer client-key\r\nuser-agent: openai/2\r\nopenai-beta: x\r\n";
        let asked = sent(client, &[("openai-project", "p")], |parts| {
            (parts.call, parts.entry, parts.query) = (Call::Embeddings, entry(Kind::OpenAi), "a=b");
        });
        assert_eq!(
            asked,
            "POST /v1/embeddings?a=b HTTP/1.1\r\nhost: api.anthropic.com\r\nuser-agent: openai/2\r\nopenai-beta: x\r\n\
             content-type: application/json\r\nauthorization: Bearer provider-key\r\nopenai-project: p\r\n\
             accept-encoding: identity\r\ncontent-length: 12\r\n\r\n"
        );
    }

    #[test]
    fn a_session_is_named_to_those_who_keep_caches_by_it() {
        for (kind, field) in [
            (Kind::Xai, "x-grok-conv-id: s-1\r\n"),
            (Kind::Fireworks, "x-session-affinity: s-1\r\n"),
            (Kind::Groq, ""),
        ] {
            let with = |session| {
                sent("Host: gw\r\n", &[], |parts| {
                    (parts.call, parts.entry, parts.same) = (Call::Chat, entry(kind), false);
                    parts.session = session;
                })
            };
            let (named, unnamed) = (with(Some("s-1")), with(None));
            assert_eq!(named.replacen(field, "", 1), unnamed, "{kind:?}");
            assert_eq!(named.len() - unnamed.len(), field.len(), "{kind:?}");
        }
    }

    #[test]
    fn configured_betas_join_the_clients() {
        let of = |client: Option<&str>, configured: &str| {
            let extra = [("anthropic-beta".to_owned(), Secret::new(configured))];
            with_configured(client, &extra).map(std::borrow::Cow::into_owned)
        };
        for (client, configured, expected) in [
            (Some("a-1,b-2"), "c-3", Some("a-1,b-2,c-3")),
            (Some("b-2, a-1"), "a-1 , c-3,c-3", Some("b-2, a-1,c-3")),
            (Some("a-1"), "a-1", Some("a-1")),
            (None, "a-1, b-2", Some("a-1,b-2")),
            (None, " , ", None),
        ] {
            assert_eq!(of(client, configured).as_deref(), expected, "{client:?} {configured}");
        }
        assert!(matches!(with_configured(Some("a"), &[]), Some(std::borrow::Cow::Borrowed("a"))));
        assert_eq!(with_configured(None, &[]), None);
    }
}
