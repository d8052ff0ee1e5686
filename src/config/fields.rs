//! The field tables of the configuration (INTERFACE section 2), one per structure.
//!
//! Data only. A field of a later version stands here too: known by name, refused when used. Which provider type has which
//! table is `types`' matter.

use super::table::{Field, Shape, Table};
use Shape::{
    Address, Auto, Expiry, Flag, Free, Hash, Id, List, Map, Money, Name, Path, Period, Provider, Record,
    Secret, Size, Span, Text, Timezone, Weight, Whole, Word,
};

/// The whole file.
pub static FILE: Table = Table {
    name: "the file",
    groups: &[&[
        Field::new("server", Record(&SERVER), "Where and how the gateway listens."),
        Field::later("admins", &[], "leave it out (there are no admin endpoints)"),
        Field::new(
            "accounts",
            List(&Record(&ACCOUNT)),
            "Groups of providers; absent: providers from the environment.",
        ),
        Field::new("customers", List(&Record(&CUSTOMER)), "Customers that teams and keys belong to."),
        Field::new("teams", List(&Record(&TEAM)), "Teams that keys belong to."),
        Field::new(
            "virtual_keys",
            List(&Record(&VIRTUAL_KEY)),
            "Keys of the gateway's own; none: open mode, on loopback only.",
        ),
        Field::new("budgets", List(&Record(&BUDGET)), "Loaded and checked; not enforced yet."),
        Field::new("rate_limits", List(&Record(&RATE_LIMIT)), "Loaded and checked; not enforced yet."),
        Field::new("aliases", Map(&Text), "Names that stand for PROVIDER/MODEL or a model."),
        Field::new("routing", Record(&ROUTING), "How providers are chosen."),
        Field::new("retry", Record(&RETRY), "How failures are answered, and how long is waited."),
        Field::new("log", Record(&LOG), "Request records."),
        Field::later("unpriced", &["refuse"], "leave it out (costs are not computed)"),
        Field::later("prices", &[], "leave it out (costs are not computed)"),
        Field::later("telemetry", &[], "leave it out"),
        Field::later("alerts", &[], "leave it out"),
        Field::later("cluster", &[], "leave it out (each gateway counts for itself)"),
    ]],
};

/// `server`.
pub static SERVER: Table = Table {
    name: "server",
    groups: &[&[
        Field::new(
            "listen",
            Address,
            "Address and port, 127.0.0.1:8080 if absent. Beyond loopback virtual keys are required.",
        ),
        Field::later("admin_listen", &[""], "leave it out (health and metrics are on the same port)"),
        Field::new(
            "workers",
            Auto(1, 1024),
            "Worker threads; auto: one for each core that the process may use.",
        ),
        Field::new(
            "pin",
            Word(&["auto", "on", "off", "true", "false"]),
            "Workers to cores; auto: off under a CPU quota.",
        ),
        Field::new("tls", Record(&TLS), "Certificate and key; re-read on reload."),
        Field::new("allowed_hosts", List(&Text), "Host names beside an IP, localhost and a single label."),
        Field::new("allowed_origins", List(&Text), "Origins of web pages that may ask."),
        Field::new("max_body", Size(KIB, 1 << 30), "Largest request body; 32MiB if absent."),
        Field::new("max_connections", Whole(1, 1_000_000), "Connections open at once; 16384 if absent."),
        Field::new("drain", Span(0, DAY), "How long open requests may go on after SIGTERM; 2m if absent."),
    ]],
};

static TLS: Table = Table {
    name: "tls",
    groups: &[&[
        Field::new("cert", Path, "PEM file of the certificate chain.").required(),
        Field::new("key", Path, "PEM file of the private key.").required(),
    ]],
};

/// One of `accounts`.
pub static ACCOUNT: Table = Table {
    name: "account",
    groups: &[&[
        Field::new("id", Name, "Its name.").required(),
        Field::new("providers", List(&Provider), "The providers among which requests are spread.").required(),
    ]],
};

/// Fields that every provider type has.
pub static COMMON: &[Field] = &[
    Field::new("id", Name, "Its name, also in pins: PROVIDER/MODEL.").required(),
    Field::new("type", Text, "What it is.").required(),
    Field::new("weight", Weight, "Shares are normalised to 1; 0: only by pin. 1 if absent."),
    Field::new("standby", Flag, "No share, last in failover."),
    Field::new("model", Text, "The model it is asked for, whatever the client named."),
    Field::new(
        "models",
        Map(&Text),
        "Pattern of the client's model: model that is asked for; the first match.",
    ),
    Field::new("api_key", Secret, "The credential."),
    Field::new(
        "api_keys",
        List(&Record(&API_KEY)),
        "Several credentials, spread by weight; instead of api_key.",
    ),
    Field::new("base_url", Text, "Where it is; a version segment at its end is not doubled."),
    Field::new("headers", Map(&Secret), "Headers added to each request."),
    Field::new(
        "proxy",
        Secret,
        "CONNECT proxy, http://[user:password@]host:port; absent: HTTPS_PROXY less NO_PROXY.",
    ),
    Field::new("ca_file", Path, "PEM file with further certificate authorities."),
    Field::new("timeouts", Record(&TIMEOUTS), "Waits of this provider, over those of retry."),
    Field::new(
        "max_output_tokens",
        Whole(1, 100_000_000),
        "Upper bound of max_tokens sent to this provider.",
    ),
    Field::new("enabled", Flag, "true if absent."),
    Field::new("strict", Flag, "A loss in translation is a 400."),
];

static API_KEY: Table = Table {
    name: "api_key",
    groups: &[&[
        Field::new("id", Id, "Its name in records.").required(),
        Field::new("key", Secret, "The credential.").required(),
        Field::new("weight", Weight, "Share among the provider's keys; 1 if absent."),
        Field::new("models", List(&Text), "Models, as sent, for which it may be used; absent: all."),
    ]],
};

static TIMEOUTS: Table = Table {
    name: "timeouts",
    groups: &[&[
        Field::new("connect", Span(1, DAY), "TCP, proxy and TLS together.").also("connect_timeout"),
        Field::new("first_byte", Span(1, DAY), "Streams: until the answer's first byte.")
            .also("first_byte_timeout"),
        Field::new("idle", Span(1, DAY), "Silence in the middle of an answer.").also("idle_timeout"),
        Field::new("total", Span(1, DAY), "The whole attempt.").also("total_timeout"),
    ]],
};

static CUSTOMER: Table =
    Table { name: "customer", groups: &[&[Field::new("id", Id, "Its name.").required()]] };

static TEAM: Table = Table {
    name: "team",
    groups: &[&[
        Field::new("id", Id, "Its name.").required(),
        Field::new("customer", Text, "The customer it belongs to."),
    ]],
};

static VIRTUAL_KEY: Table = Table {
    name: "virtual_key",
    groups: &[&[
        Field::new("id", Id, "Its name.").required(),
        Field::new("key", Secret, "The key itself; at least 16 characters beyond loopback. Or key_sha256."),
        Field::new("key_sha256", Hash, "SHA-256 of the key, 64 hex digits."),
        Field::new("account", Text, "The account it uses; absent: the only one."),
        Field::new("team", Text, "The team it belongs to."),
        Field::new("customer", Text, "The customer it belongs to, where there is no team."),
        Field::new("owner", Free, "Free text for attribution."),
        Field::new("allow", Record(&ALLOW), "What it may use; absent: all."),
        Field::new("expires", Expiry, "Its last day (UTC), or a moment."),
        Field::new("disabled", Flag, "Refused as if it were revoked."),
    ]],
};

static ALLOW: Table = Table {
    name: "allow",
    groups: &[&[
        Field::new("models", List(&Text), "Patterns over the model that the client names."),
        Field::new("providers", List(&Text), "Ids of providers of its account."),
        Field::new("surfaces", List(&Word(SURFACES)), "Endpoints that it may call."),
    ]],
};

/// The surfaces of `allow`.
pub static SURFACES: &[&str] = &["anthropic", "openai", "gemini", "bedrock", "vertex"];

/// The levels of budgets and rate limits.
pub static LEVELS: &[&str] = &["customer", "team", "virtual_key", "provider_config"];

static BUDGET: Table = Table {
    name: "budget",
    groups: &[&[
        Field::new("level", Word(LEVELS), "What it counts.").required(),
        Field::new("id", Text, "Whose.").required(),
        Field::new("limit", Money, "US dollars, exact.").required(),
        Field::new("period", Period, "hourly, daily, weekly, monthly, yearly, total, or a duration.")
            .required(),
        Field::new("timezone", Timezone, "IANA name; UTC if absent."),
        Field::new("enforcement", Word(&["strict", "soft"]), "strict if absent; soft tells only."),
        Field::new(
            "min_output",
            Whole(1, 100_000_000),
            "Smallest output limit that is still worth a request.",
        ),
        Field::new("status", Word(&["402", "429"]), "What a refusal answers; 402 if absent."),
    ]],
};

static RATE_LIMIT: Table = Table {
    name: "rate_limit",
    groups: &[&[
        Field::new("level", Word(LEVELS), "What it counts.").required(),
        Field::new("id", Text, "Whose.").required(),
        Field::new("requests", Whole(1, TRILLION), "Requests per period."),
        Field::new("tokens", Whole(1, TRILLION), "Tokens per period."),
        Field::new("period", Span(1_000, 31 * DAY), "Length of the period; 1m if absent."),
        Field::new("concurrent", Whole(1, 1_000_000), "Requests at once."),
    ]],
};

static ROUTING: Table = Table {
    name: "routing",
    groups: &[&[
        Field::new(
            "affinity",
            Word(&["session", "none"]),
            "session: provider and key are chosen once per session.",
        ),
        Field::later("rules", &[], "leave it out (pins, aliases and weights choose)"),
    ]],
};

static RETRY: Table = Table {
    name: "retry",
    groups: &[&[
        Field::new("attempts", Whole(1, 100), "Attempts in all; 4 if absent."),
        Field::new("connect_timeout", Span(1, DAY), "TCP, proxy and TLS together; 5s if absent."),
        Field::new(
            "first_byte_timeout",
            Span(1, DAY),
            "Streams: until the answer's first byte; 120s if absent.",
        ),
        Field::new("idle_timeout", Span(1, DAY), "Silence in the middle of an answer; 300s if absent."),
        Field::new("total_timeout", Span(1, DAY), "The whole attempt; 10m if absent."),
        Field::new(
            "max_wait",
            Span(0, DAY),
            "Longest wait before a lone provider is asked again; 10s if absent.",
        ),
        Field::new(
            "ping_after",
            Span(1, DAY),
            "Silence after which a stream's head and a ping go out; 30s if absent.",
        ),
        Field::later("keep_cache", &[], "leave it out (a session moves at once)"),
    ]],
};

static LOG: Table = Table {
    name: "log",
    groups: &[&[
        Field::new("requests", Flag, "Keep a record of each request; true if absent."),
        Field::new("access", Flag, "Write one line per request; false if absent."),
        Field::later("content", &["off", "false"], "leave it out (contents are never kept)"),
        Field::later("retention", &[], "leave it out (nothing is stored)"),
    ]],
};

/// A provider without fields of its own.
pub static PROVIDER: Table = Table { name: "provider", groups: &[COMMON] };

/// Type `anthropic`.
pub static ANTHROPIC: Table = Table {
    name: "provider_anthropic",
    groups: &[COMMON, &[Field::later("auth", &["key", "api_key"], "use `api_key`")]],
};

/// Type `openai`.
pub static OPENAI: Table = Table {
    name: "provider_openai",
    groups: &[
        COMMON,
        &[
            Field::new("organization", Text, "Sent as openai-organization."),
            Field::new("project", Text, "Sent as openai-project."),
            Field::new(
                "api",
                Word(&["chat", "responses"]),
                "Which interface is asked; in this version chat.",
            ),
        ],
    ],
};

/// Types that can be asked in Messages as well.
pub static MESSAGES_TOO: Table = Table {
    name: "provider_messages_too",
    groups: &[
        COMMON,
        &[Field::new("api", Word(&["chat", "messages"]), "Which interface is asked; in this version chat.")],
    ],
};

/// More requests or tokens than anyone has in a month.
const TRILLION: u64 = 1_000_000_000_000;
const KIB: u64 = 1024;
/// Longest wait that may be configured; may's timers end at 24 days, and no request is worth a day.
const DAY: u64 = 86_400_000;
