//! Every bound of the program with its reason, in one table.
//!
//! Only constants live here; what a user may change is `config`'s, with these as defaults or hard ends.

use std::time::Duration;

// ---- Edge ----

/// Claude Code sends 21 to 28 headers; 100 leaves room for proxies and still fits one stack array.
pub const MAX_HEADERS: usize = 100;
/// Largest request head, request line included: four times what nginx takes for one header line.
pub const MAX_HEAD: usize = 64 * 1024;
/// A head must be whole this long after its first byte (slow-loris).
pub const HEAD_DEADLINE: Duration = Duration::from_secs(30);
/// Empty lines before a request line. RFC 9112 section 2.2 asks for one, which old clients send behind a body.
pub const MAX_EMPTY_LINES: usize = 16;
/// Longest silence while a body is expected; each byte that comes starts it anew.
pub const BODY_IDLE: Duration = Duration::from_secs(30);
/// Longest time for a whole body: 32 MiB at a slow 1 Mbit/s uplink.
pub const BODY_DEADLINE: Duration = Duration::from_mins(5);
/// An idle keep-alive connection is closed after this long; longer than the 60 s of usual client pools.
pub const KEEP_ALIVE: Duration = Duration::from_mins(2);
/// Longest time a client may leave our bytes unread before it counts as gone.
pub const CLIENT_STALL: Duration = Duration::from_mins(2);
/// An answer that was given before the whole request came reaches only a client whose upload is read on: so long, and
/// so long after its last byte (nginx's `lingering_time` and `lingering_timeout`), then it is cut.
pub const LINGER: Duration = Duration::from_secs(30);
/// See [`LINGER`].
pub const LINGER_IDLE: Duration = Duration::from_secs(5);
/// Bytes read and dropped of such an upload: twice the default `server.max_body`.
pub const LINGER_BYTES: usize = 64 * 1024 * 1024;
/// Largest line of a chunk's size, extensions included.
pub const MAX_CHUNK_LINE: usize = 4096;

// ---- Ticks: the only durations that a coroutine ever waits with (may keeps one timer list for each) ----

/// While an upstream is awaited: how soon a client that went away is noticed (the promise is 250 ms).
pub const TICK: Duration = Duration::from_millis(150);
/// While nothing is under way on a connection: how soon a drain is noticed.
pub const IDLE_TICK: Duration = Duration::from_secs(1);

// ---- Streams ----

/// Largest beginning of a stream that is held back: one SSE event of a long thinking block, with room.
pub const GATE_BYTES: usize = 64 * 1024;
/// A further ping follows this long after the first while the upstream stays silent.
pub const PING_EVERY: Duration = Duration::from_secs(10);
/// Bytes relayed before a stream gives way to its neighbours on the same core.
pub const FAIR_BYTES: usize = 256 * 1024;
/// Largest SSE event that the meter keeps for reading (usage, errors); a longer one passes unread.
pub const MAX_METERED_EVENT: usize = 256 * 1024;
/// Largest whole reply that is collected before its head goes out.
pub const MAX_REPLY: usize = 64 * 1024 * 1024;
/// Largest error body that is kept for the client when every provider failed.
pub const MAX_ERROR_BODY: usize = 256 * 1024;

/// Largest event of a stream that is translated: the arguments of one call at once, which no output limit of today passes.
pub const MAX_TRANSLATED_EVENT: usize = 16 * 1024 * 1024;
/// Bytes of translated lists of tools that each worker keeps: twenty agents with 100 KB each, there and back.
pub const TOOLS_KEPT: usize = 4 * 1024 * 1024;

// ---- Upstream ----

/// Largest response head.
pub const MAX_RESPONSE_HEAD: usize = 64 * 1024;
/// Interim answers (1xx) before the real one: servers send one or two; more are no answer.
pub const MAX_INTERIM: usize = 16;
/// Idle connections kept per worker and origin.
pub const POOL_IDLE: usize = 64;
/// An idle pooled connection older than this is not used again: servers close theirs after 60 s or more.
pub const POOL_AGE: Duration = Duration::from_secs(55);
/// Addresses tried for one name.
pub const MAX_ADDRESSES: usize = 4;
/// A resolved name is used this long; the system's resolver gives no lifetime.
pub const DNS_TTL: Duration = Duration::from_secs(30);
/// An address older than [`DNS_TTL`] by at most this is used at once, while a new lookup runs: addresses of a name that
/// moves stay good for minutes.
pub const DNS_STALE: Duration = Duration::from_mins(5);
/// For an even older one the lookup is awaited this long first (RFC 8767 section 5 has this figure).
pub const DNS_PATIENCE: Duration = Duration::from_millis(1800);

// ---- Routing ----

/// Longest rest that a provider may ask for.
pub const MAX_REST: Duration = Duration::from_mins(10);
/// Sessions remembered as moved; an older one is overwritten.
pub const MOVED_SESSIONS: usize = 4096;

/// Models whose way of counting tokens is remembered, for all providers together: 48 bytes each, more than any catalogue
/// has that is really used; the one that was unused for longest is overwritten.
pub const LEARNED_MODELS: usize = 1024;

// ---- Queues ----

/// Records waiting for the log thread: one second of 16,000 requests.
pub const RECORD_QUEUE: usize = 16 * 1024;
/// Written records kept for reuse: what 50,000 requests a second leave between two looks of the log thread.
pub const SPENT_RECORDS: usize = 1024;
