//! Starting the workers: how many, pinned or not, how many descriptors there may be.
//!
//! Runs once, before the first coroutine; a second call changes nothing (may's settings hold from the first spawn on).

use std::sync::OnceLock;

use rustix::process::{Resource, getrlimit, setrlimit};

use super::home::{self, Home};

/// What the workers are started with.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Worker threads; `None`: one for each core that the process may use.
    pub workers: Option<usize>,
    /// Pin workers to cores; `None`: yes, unless a CPU quota is set (every instance would pin to core 0 upward).
    pub pin: Option<bool>,
}

/// What was started.
#[derive(Debug, Clone, Copy)]
pub struct Started {
    /// Worker threads.
    pub workers: usize,
    /// Whether they are pinned.
    pub pinned: bool,
    /// The limit of open descriptors after raising the soft limit to the hard one.
    pub descriptors: u64,
}

/// Starts the workers, once per process.
pub fn start(options: Options) -> Started {
    static STARTED: OnceLock<Started> = OnceLock::new();
    *STARTED.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers = options.workers.unwrap_or(cores).clamp(1, MAX_WORKERS);
        let pinned = options.pin.unwrap_or_else(|| !under_quota() && workers <= cores);
        let descriptors = raise_descriptors();
        widen_table(descriptors);
        let config = may::config();
        config.set_workers(workers);
        config.set_worker_pin(pinned);
        config.set_stack_size(STACK_WORDS);
        // One stack is mapped before the start, the pool grows afterwards: 2 ms instead of 15.
        config.set_pool_capacity(1);
        // Without signals in the way this only bounds how late a timer is after an interrupted wait.
        config.set_timeout_ns(500_000_000);
        home::init(workers);
        home::spawn(Home::get(0), || {});
        config.set_pool_capacity(STACK_POOL);
        Started { workers, pinned, descriptors }
    })
}

/// Whether a cgroup (v2) grants less than whole cores.
fn under_quota() -> bool {
    std::fs::read_to_string("/sys/fs/cgroup/cpu.max").is_ok_and(|text| !text.starts_with("max"))
}

/// Lifts the soft limit to the hard one and returns what holds now.
fn raise_descriptors() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let wanted = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
        if setrlimit(Resource::Nofile, wanted).is_ok() {
            limit = wanted;
        }
    }
    limit.current.unwrap_or(u64::MAX)
}

/// Makes the kernel's table of descriptors as large as it will have to be, while there is one thread.
///
/// It grows by doubling, and as soon as threads share it each growth waits for an RCU grace period: 10 to 30 ms in which
/// a worker stands still (measured: `fcntl(F_DUPFD, 256)` of the first connection, three quarters of the time from the
/// start to the first answer). It never shrinks, so one high number that is closed again is enough; 8 bytes a number.
fn widen_table(limit: u64) {
    let highest = i32::try_from(limit.min(WIDEST_TABLE)).map_or(0, |n| n - 1);
    drop(rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), highest));
}

/// Descriptors that the table is made for; what lies above costs its growth when it is reached.
const WIDEST_TABLE: u64 = 65_536;
/// may reserves one selector for each worker in an inline array of this size.
const MAX_WORKERS: usize = 128;
/// A client handshake needs 23 KiB in release and 60 in debug; measured in words, and odd values make may print.
const STACK_WORDS: usize = if cfg!(debug_assertions) { 256 * 1024 / 8 } else { 128 * 1024 / 8 };
/// Stacks kept for reuse: a pooled one costs 1.4 µs, a new one 22.
const STACK_POOL: usize = 1024;
