//! What each request leaves behind, and what workers have to say: through one bounded queue to one plain thread.
//!
//! A worker only ever tries to put something in; what does not fit is dropped and counted. The thread writes access
//! lines to standard output and notices by the `log` macros. It never fails a request, and nothing secret and no
//! content reaches it (the [`Record`] has no field for them).

pub mod record;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, TryRecvError, bounded};

use crate::limits::{RECORD_QUEUE, SPENT_RECORDS};
use crate::runtime::home;

pub use record::{Record, Text};

/// The workers' end of the queue.
#[derive(Clone)]
pub struct Queue {
    sender: Sender<Item>,
    /// Records that were written, to be used again.
    spent: Receiver<Box<Record>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    dropped: AtomicU64,
    access: AtomicBool,
}

enum Item {
    Record(Box<Record>),
    Notice(log::Level, String),
    Flush(Sender<()>),
}

impl Queue {
    /// Starts the thread.
    pub fn start() -> Self {
        let (sender, receiver) = bounded(RECORD_QUEUE);
        let (give_back, spent) = bounded(SPENT_RECORDS);
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        home::thread("log", move || drain(&receiver, &give_back, &theirs));
        Self { sender, spent, shared }
    }

    /// Whether access lines are written (`log.access`).
    pub fn set_access(&self, on: bool) {
        self.shared.access.store(on, Ordering::Relaxed);
    }

    /// An empty record.
    pub fn blank(&self) -> Box<Record> {
        self.spent.try_recv().unwrap_or_default()
    }

    /// Leaves a record.
    pub fn record(&self, record: Box<Record>) {
        self.put(Item::Record(record));
    }

    /// Says something in the log. For what happens seldom: it allocates.
    pub fn notice(&self, level: log::Level, text: impl Into<String>) {
        self.put(Item::Notice(level, text.into()));
    }

    /// Records and notices that did not fit, since the start.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Waits until everything that was put in before is written, or `time` is over. For plain threads.
    pub fn flush(&self, time: Duration) {
        let (done, is_done) = bounded(1);
        if self.sender.send_timeout(Item::Flush(done), time).is_ok() {
            is_done.recv_timeout(time).ok();
        }
    }

    fn put(&self, item: Item) {
        if self.sender.try_send(item).is_err() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A receiver that blocks for each message costs the sender a wake-up of 16 µs, so this one looks in every 20 ms while
/// there is something to do, and blocks only after a second without.
#[allow(clippy::disallowed_methods)] // A plain thread, not a coroutine.
fn drain(items: &Receiver<Item>, spent: &Sender<Box<Record>>, shared: &Shared) {
    let mut lines = Vec::new();
    let mut told = 0;
    let mut busy = Instant::now();
    loop {
        let first = if busy.elapsed() < IDLE_AFTER {
            items.try_recv().map_err(|error| error == TryRecvError::Disconnected)
        } else {
            items.recv().map_err(|_| true)
        };
        match first {
            Ok(item) => {
                busy = Instant::now();
                write(item, spent, shared, &mut lines);
                while let Ok(item) = items.try_recv() {
                    write(item, spent, shared, &mut lines);
                }
                put_out(&mut lines);
            }
            Err(true) => return,
            Err(false) => pause(),
        }
        let dropped = shared.dropped.load(Ordering::Relaxed);
        if dropped > told {
            log::warn!("{} records or notices were dropped: the log could not keep up", dropped - told);
            told = dropped;
        }
    }
}

fn write(item: Item, spent: &Sender<Box<Record>>, shared: &Shared, lines: &mut Vec<u8>) {
    match item {
        Item::Record(record) => {
            if shared.access.load(Ordering::Relaxed) {
                line(&record, lines);
            }
            spent.try_send(record.emptied()).ok();
        }
        Item::Notice(level, text) => log::log!(level, "{text}"),
        Item::Flush(done) => {
            put_out(lines);
            done.try_send(()).ok();
        }
    }
}

fn line(record: &Record, lines: &mut Vec<u8>) {
    if serde_json::to_writer(&mut *lines, record).is_ok() {
        lines.push(b'\n');
    }
    if lines.len() > BATCH_BYTES {
        put_out(lines);
    }
}

fn put_out(lines: &mut Vec<u8>) {
    if !lines.is_empty() {
        let mut out = std::io::stdout().lock();
        out.write_all(lines).and_then(|()| out.flush()).ok();
        lines.clear();
    }
}

#[allow(clippy::disallowed_methods)] // A plain thread, not a coroutine.
fn pause() {
    std::thread::sleep(LOOK_IN);
}

const LOOK_IN: Duration = Duration::from_millis(20);
const IDLE_AFTER: Duration = Duration::from_secs(1);
/// Access lines are written at least this often.
const BATCH_BYTES: usize = 256 * 1024;
