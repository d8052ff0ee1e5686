//! What went wrong, whose fault it is, and what may be done about it.
//!
//! Two kinds of value: an [`Error`] ends a request and becomes a reply; a [`Failure`] ends one attempt and is what the
//! routing and its rests decide by. This module chooses the HTTP status of an [`Error`]; the wording of bodies is
//! `wire/*/fault.rs`'s. It neither logs nor retries.

use std::fmt;
use std::time::Duration;

/// The stage of a request's life in which an error arose, as named in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading the head or the body.
    Edge,
    /// Finding out who is calling.
    Auth,
    /// Whether the caller may do this.
    Govern,
    /// Which provider is asked.
    Route,
    /// Reading or shaping the dialect.
    Wire,
    /// Asking the provider.
    Upstream,
    /// Passing the answer on.
    Relay,
}

impl Stage {
    /// The word for records.
    pub fn word(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Auth => "auth",
            Self::Govern => "govern",
            Self::Route => "route",
            Self::Wire => "wire",
            Self::Upstream => "upstream",
            Self::Relay => "relay",
        }
    }
}

/// What the client is told. Each kind has one status (INTERFACE section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 400: not JSON, a field missing or of the wrong kind, a malformed head.
    BadRequest,
    /// 400: the conversation fits no provider's window.
    TooLong,
    /// 401, final: no key, an unknown or a revoked one.
    Unauthorized,
    /// 401 that a key helper may mend: an expired or rotated key.
    Expired,
    /// 402: the budget is used up.
    Billing,
    /// 403: not allowed for this key, or a foreign `Host` or `Origin`.
    Forbidden,
    /// 404: no such path, or a model, provider or pin that does not exist.
    NotFound,
    /// 405, with the methods that the path takes.
    Method(&'static str),
    /// 408: the head or the body did not come in time.
    Timeout,
    /// 413.
    TooLarge,
    /// 417: an `Expect` other than `100-continue`.
    Expectation,
    /// 429.
    RateLimit,
    /// 431.
    HeadTooLarge,
    /// 500: a defect of the gateway; it ends this request only.
    Internal,
    /// 501: a known endpoint that is not offered.
    NotOffered,
    /// 502: every provider failed and none of them left an answer to pass on.
    BadGateway,
    /// 502: the gateway's own credential or account was refused; a retry is useless.
    OwnCredential,
    /// 503: too many connections, or every provider rests.
    Unavailable,
    /// 505.
    Version,
    /// 508: the request came round to the gateway again.
    Loop,
}

impl Kind {
    /// The HTTP status that a client sees.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest | Self::TooLong => 400,
            Self::Unauthorized | Self::Expired => 401,
            Self::Billing => 402,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Method(_) => 405,
            Self::Timeout => 408,
            Self::TooLarge => 413,
            Self::Expectation => 417,
            Self::RateLimit => 429,
            Self::HeadTooLarge => 431,
            Self::Internal => 500,
            Self::NotOffered => 501,
            Self::BadGateway | Self::OwnCredential => 502,
            Self::Unavailable => 503,
            Self::Version => 505,
            Self::Loop => 508,
        }
    }

    /// Whether the same request can never succeed, so that no client repeats it (`x-should-retry: false`).
    pub fn is_final(self) -> bool {
        match self {
            // Of Anthropic's own 400s the client mends what the wording tells it to mend, marked or not; the gateway's tell
            // of the request's form, which a client that knows nothing of the wording would send six times unchanged.
            Self::BadRequest
            | Self::TooLong
            | Self::Unauthorized
            | Self::Billing
            | Self::Forbidden
            | Self::NotFound
            | Self::Method(_)
            | Self::TooLarge
            | Self::Expectation
            | Self::HeadTooLarge
            | Self::NotOffered
            | Self::OwnCredential
            | Self::Version
            | Self::Loop => true,
            Self::Expired
            | Self::Timeout
            | Self::RateLimit
            | Self::Internal
            | Self::BadGateway
            | Self::Unavailable => false,
        }
    }
}

/// An error that ends a request.
#[derive(Clone, Debug)]
pub struct Error {
    /// Where it arose.
    pub stage: Stage,
    /// What the client is told.
    pub kind: Kind,
    /// For the client: names the field, what came, what was expected, what to do. Never holds a secret.
    pub message: String,
    /// Whole seconds for `retry-after`.
    pub retry_after: Option<u64>,
}

impl Error {
    /// An error without `retry-after`.
    pub fn new(stage: Stage, kind: Kind, message: impl Into<String>) -> Self {
        Self { stage, kind, message: message.into(), retry_after: None }
    }

    /// The same error with `retry-after`, in whole seconds, rounded up and at least 1.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(whole_seconds(wait));
        self
    }
}

/// A wait for `retry-after`: in whole seconds, rounded up and at least 1.
pub fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// What kind of failure one attempt met; decides whether another provider is asked and what rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// No connection: refused, unreachable, no such name, the proxy said no, or not in time.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The connection was reset or closed before the answer was whole.
    Reset,
    /// No first byte within `first_byte_timeout`.
    FirstByte,
    /// Silence for `idle_timeout` in the middle of an answer.
    Idle,
    /// `total_timeout` is over.
    Total,
    /// An answer that is no HTTP, has no event, is no JSON, or has an encoding that was not asked for.
    Unreadable,
    /// 401, 403, or a 400 that says the key is bad.
    Credential,
    /// 402, or an answer that says that the account has no money.
    Money,
    /// The model is unknown there (404, or a 400 that says so).
    Model,
    /// `count_tokens` is not offered there (404 without a word of the model, 405, 501).
    NotOffered,
    /// 408 and 409.
    Conflict,
    /// 429.
    RateLimit,
    /// 529, 503, and `overloaded_error` inside a 200.
    Overloaded,
    /// Every other 5xx, and an error event inside a 200 before any content.
    Server,
    /// The conversation does not fit this model's context window.
    Overflow,
    /// 508: the provider leads back to a gateway that has seen the request before.
    Loop,
    /// A 400 that names one field or value which this model does not take.
    Field,
    /// A 400 that refuses the signature of a thinking block.
    Signature,
    /// The format of this provider cannot carry what the request holds; another one's may.
    Unable,
    /// Any other 4xx: the client's own mistake, passed on.
    Client,
}

impl Class {
    /// Whether the next provider may be asked after this failure. (`Field` and `Signature` are repaired first; if they
    /// come again they are the client's.)
    pub fn may_move(self) -> bool {
        !matches!(self, Self::Client | Self::Field | Self::Signature)
    }

    /// The word for records and for `x-pointsman-attempts` where there was no status.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Reset => "reset",
            Self::FirstByte => "first_byte_timeout",
            Self::Idle => "idle_timeout",
            Self::Total => "total_timeout",
            Self::Unreadable => "unreadable",
            Self::Credential => "credential",
            Self::Money => "money",
            Self::Model => "model",
            Self::NotOffered => "not_offered",
            Self::Conflict => "conflict",
            Self::RateLimit => "rate_limit",
            Self::Overloaded => "overloaded",
            Self::Server => "server",
            Self::Overflow => "context",
            Self::Loop => "loop",
            Self::Field => "field",
            Self::Signature => "signature",
            Self::Unable => "unable",
            Self::Client => "client",
        }
    }
}

/// How one attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure it was.
    pub class: Class,
    /// The status, or what an error inside a 200 stands for (529 for `overloaded_error`); 0 where there was no answer.
    pub status: u16,
    /// When the provider said to come back (`retry-after-ms`, `retry-after` in seconds or as a date), as sent: not capped.
    pub retry_after: Option<Duration>,
    /// What the provider told of lengths; only with [`Class::Overflow`].
    pub length: Length,
}

/// How long a conversation is that does not fit, and how long it may be, as far as the provider told. In tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Length {
    /// What the window would have to hold.
    pub needed: Option<u64>,
    /// What it holds.
    pub limit: Option<u64>,
}

impl Failure {
    /// A failure without an answer.
    pub const fn silent(class: Class) -> Self {
        Self { class, status: 0, retry_after: None, length: Length { needed: None, limit: None } }
    }

    /// Whether there was an answer that says so itself: one with a status of success says nothing of the failure.
    pub fn was_told(&self) -> bool {
        self.status != 0 && !(200..300).contains(&self.status)
    }
}
