//! Time for the request path: a monotonic instant for deadlines and a wall clock for records.
//!
//! One place, so that what must not read the clock (see DESIGN's table) is easy to check. It measures; it never waits.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A monotonic instant.
pub fn now() -> Instant {
    Instant::now()
}

/// Microseconds since the Unix epoch, for records. A clock before 1970 counts as 0.
pub fn unix_micros() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}

/// A duration in whole microseconds, at most `u64::MAX`.
pub fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

/// Seconds since the Unix epoch, for dates in headers and configurations.
pub fn unix_seconds() -> i64 {
    i64::try_from(unix_micros() / 1_000_000).unwrap_or(i64::MAX)
}
