//! Homes: the worker threads by number, and the only ways to wait that are no socket waits.
//!
//! A coroutine that is woken by may's own means goes on on the waker's thread, away from its sockets. Everything here
//! wakes by spawning a tiny coroutine on the home worker, which then wakes the waiting one there (may-facts H2, H3: no
//! wake-up off home in 40,000, 26 µs late at most after a timed wait).
//!
//! Also the place where plain threads are made, so that they carry names. Does no I/O itself.

use std::collections::BinaryHeap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use may::coroutine::Builder;
use may::sync::Blocker;

use super::buffer::Buffers;
use super::line::OnTick;
use super::socket::Numbers;

/// One worker thread, and what belongs to it.
pub struct Home {
    /// `0 <= id < count()`.
    pub id: usize,
    /// Connections at home here; the acceptor gives a new one to the home with the fewest.
    pub connections: AtomicUsize,
    /// Descriptor numbers that are served here.
    pub(super) numbers: Mutex<Numbers>,
    /// Scratch buffers for reading.
    pub buffers: Buffers,
}

impl Home {
    /// The home with this number, wrapping round.
    ///
    /// Starts the workers with their defaults if nothing has started them (tests).
    pub fn get(id: usize) -> &'static Self {
        let all = all();
        &all[id % all.len()]
    }

    /// The home with the fewest connections.
    pub fn least_loaded() -> &'static Self {
        let all = all();
        all.iter().min_by_key(|home| home.connections.load(Ordering::Relaxed)).unwrap_or(&all[0])
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Home({})", self.id)
    }
}

static HOMES: OnceLock<Box<[Home]>> = OnceLock::new();

/// Makes the homes; called by `start` before the first coroutine.
pub(super) fn init(workers: usize) {
    HOMES.get_or_init(|| {
        (0..workers)
            .map(|id| Home {
                id,
                connections: AtomicUsize::new(0),
                numbers: Mutex::new(Numbers::new(id, workers)),
                buffers: Buffers::default(),
            })
            .collect()
    });
}

/// All homes.
pub fn all() -> &'static [Home] {
    HOMES.get().unwrap_or_else(|| {
        super::start::start(super::start::Options { workers: None, pin: Some(false) });
        HOMES.get_or_init(|| unreachable!("start makes the homes"))
    })
}

/// Number of homes.
pub fn count() -> usize {
    all().len()
}

/// Runs `work` in a coroutine of its own at `home`. A panic in it ends that coroutine only.
pub fn spawn(home: &'static Home, work: impl FnOnce() + Send + 'static) {
    may::go!(Builder::new().id(home.id), work).ok();
}

/// Gives way to the other coroutines at home, I/O included.
pub fn give_way(home: &'static Home) {
    let blocker = Arc::new(Blocker::new(true));
    wake(home, Arc::clone(&blocker));
    blocker.park(None).ok();
}

/// Waits for `time`, without holding the worker.
pub fn wait(home: &'static Home, time: Duration) {
    let alarm = Alarm::new(home);
    timer().set(Instant::now() + time, &alarm);
    while !alarm.rang.load(Ordering::Acquire) {
        alarm.blocker.park(None).ok();
    }
}

/// The work panicked, no helper could take it, or the one who waited gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAnswer;

/// Runs blocking `work` on a helper thread and waits for its answer; see [`Pending::wait`].
pub fn call<T: Clone + Send + 'static>(
    home: &'static Home,
    tick: Duration,
    on_tick: OnTick<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NoAnswer> {
    Pending::start(work)?.wait(home, tick, on_tick)
}

/// The answer of work on a helper thread, for as many as want to wait for it.
#[derive(Debug)]
pub struct Pending<T>(Mutex<Wanted<T>>);

#[derive(Debug)]
struct Wanted<T> {
    answer: Option<Result<T, NoAnswer>>,
    /// Who is to be woken; one that gave up is gone.
    waiting: Vec<Weak<Alarm>>,
}

impl<T: Clone + Send + 'static> Pending<T> {
    /// Gives blocking work to a helper thread. It never waits: with too much work queued already there is no answer.
    pub fn start(work: impl FnOnce() -> T + Send + 'static) -> Result<Arc<Self>, NoAnswer> {
        let pending = Arc::new(Self(Mutex::new(Wanted { answer: None, waiting: Vec::new() })));
        let theirs = Arc::clone(&pending);
        let job = move || theirs.give(catch_unwind(AssertUnwindSafe(work)).map_err(|_| NoAnswer));
        helpers().try_send(Box::new(job)).map_err(|_| NoAnswer)?;
        Ok(pending)
    }

    /// The answer, if it has come.
    pub fn answer(&self) -> Option<Result<T, NoAnswer>> {
        self.wanted().answer.clone()
    }

    /// Waits for the answer. `on_tick` is called once per tick, and its error ends the waiting; the work itself goes on.
    pub fn wait(&self, home: &'static Home, tick: Duration, on_tick: OnTick<'_>) -> Result<T, NoAnswer> {
        let alarm = Alarm::new(home);
        let mut wanted = self.wanted();
        if let Some(answer) = &wanted.answer {
            return answer.clone();
        }
        wanted.waiting.retain(|other| other.strong_count() > 0);
        wanted.waiting.push(Arc::downgrade(&alarm));
        drop(wanted);
        timer().set(Instant::now() + tick, &alarm);
        loop {
            alarm.blocker.park(None).ok();
            if let Some(answer) = self.answer() {
                return answer;
            }
            if alarm.rang.swap(false, Ordering::AcqRel) {
                on_tick().map_err(|_| NoAnswer)?;
                timer().set(Instant::now() + tick, &alarm);
            }
        }
    }

    fn give(&self, answer: Result<T, NoAnswer>) {
        let mut wanted = self.wanted();
        wanted.answer = Some(answer);
        let waiting = std::mem::take(&mut wanted.waiting);
        drop(wanted);
        for alarm in waiting.iter().filter_map(Weak::upgrade) {
            alarm.ring();
        }
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a plain thread with a name.
pub fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    let named = std::thread::Builder::new().name(name.to_owned()).stack_size(THREAD_STACK);
    named.spawn(work).unwrap_or_else(|error| {
        // Without its threads the gateway cannot run; this happens at the start or never.
        eprintln!("pointsman: cannot start the thread {name}: {error}");
        std::process::exit(1)
    })
}

/// Wakes whoever is parked on `blocker`, at home.
fn wake(home: &'static Home, blocker: Arc<Blocker>) {
    spawn(home, move || blocker.unpark());
}

/// Something that rings at a home.
#[derive(Debug)]
struct Alarm {
    home: &'static Home,
    blocker: Arc<Blocker>,
    rang: AtomicBool,
}

impl Alarm {
    fn new(home: &'static Home) -> Arc<Self> {
        Arc::new(Self { home, blocker: Arc::new(Blocker::new(true)), rang: AtomicBool::new(false) })
    }

    fn ring(&self) {
        self.rang.store(true, Ordering::Release);
        wake(self.home, Arc::clone(&self.blocker));
    }
}

/// The timer thread: one heap, woken by a channel.
struct Timer {
    queue: Sender<Due>,
}

impl Timer {
    fn set(&self, at: Instant, alarm: &Arc<Alarm>) {
        // Only a weak reference waits: a call that was answered leaves nothing behind but a heap entry.
        self.queue.send(Due { at, alarm: Arc::downgrade(alarm) }).ok();
    }
}

struct Due {
    at: Instant,
    alarm: Weak<Alarm>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    /// The soonest is the greatest, so that it stands on top of the heap.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.at.cmp(&self.at)
    }
}

fn timer() -> &'static Timer {
    static TIMER: OnceLock<Timer> = OnceLock::new();
    TIMER.get_or_init(|| {
        let (queue, due) = unbounded();
        thread("timer", move || run_timer(&due));
        Timer { queue }
    })
}

fn run_timer(due: &Receiver<Due>) {
    let mut heap: BinaryHeap<Due> = BinaryHeap::new();
    loop {
        let next = match heap.peek() {
            Some(first) => due.recv_deadline(first.at),
            None => due.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(new) => heap.push(new),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let now = Instant::now();
                while heap.peek().is_some_and(|first| first.at <= now) {
                    if let Some(alarm) = heap.pop().and_then(|first| first.alarm.upgrade()) {
                        alarm.ring();
                    }
                }
            }
        }
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Helper threads for name lookups, files and the like; few, since each job blocks in the kernel.
fn helpers() -> &'static Sender<Job> {
    static HELPERS: OnceLock<Sender<Job>> = OnceLock::new();
    HELPERS.get_or_init(|| {
        let (queue, jobs) = bounded::<Job>(HELPER_QUEUE);
        for n in 0..HELPER_THREADS {
            let jobs = jobs.clone();
            thread(&format!("helper-{n}"), move || {
                while let Ok(job) = jobs.recv() {
                    job();
                }
            });
        }
        queue
    })
}

/// A slow name server holds one of them for seconds.
const HELPER_THREADS: usize = 4;
/// Jobs that wait for a helper.
const HELPER_QUEUE: usize = 1024;
/// getaddrinfo and ureq with TLS fit; the default of 2 MiB is only address space, but so is every core file.
const THREAD_STACK: usize = 512 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, mpsc};
    use std::time::{Duration, Instant};

    use super::{Home, NoAnswer, Pending, call, give_way, spawn, wait};

    const TICK: Duration = Duration::from_millis(10);

    fn at_home<T: Send + 'static>(work: impl FnOnce(&'static Home) -> T + Send + 'static) -> T {
        let (tell, told) = mpsc::channel();
        let home = Home::get(0);
        spawn(home, move || tell.send(work(home)).unwrap());
        told.recv_timeout(Duration::from_secs(20)).expect("the coroutine did not end")
    }

    #[test]
    fn a_helper_answers_and_the_coroutine_goes_on() {
        assert_eq!(at_home(|home| call(home, TICK, &mut || Ok(()), || 7)), Ok(7));
    }

    #[test]
    fn a_helper_that_hangs_is_left_at_a_tick() {
        let began = Instant::now();
        let (answer, ticks) = at_home(|home| {
            let mut ticks = 0;
            let answer = call(
                home,
                TICK,
                &mut || {
                    ticks += 1;
                    if ticks == 5 { Err(std::io::ErrorKind::TimedOut.into()) } else { Ok(()) }
                },
                || std::thread::sleep(Duration::from_secs(2)),
            );
            (answer, ticks)
        });
        assert_eq!((answer, ticks), (Err(NoAnswer), 5));
        assert!(began.elapsed() >= TICK * 5 && began.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn a_helper_that_panics_is_an_answer() {
        let answer: Result<(), _> = at_home(|home| call(home, TICK, &mut || Ok(()), || panic!("helper")));
        assert_eq!(answer, Err(NoAnswer));
    }

    #[test]
    fn many_wait_for_one_answer() {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let (go, gone) = mpsc::channel();
        let pending = Pending::start(move || {
            gone.recv().unwrap();
            RUNS.fetch_add(1, Ordering::Relaxed)
        });
        let pending = pending.unwrap();
        let (tell, told) = mpsc::channel();
        for n in 0..8 {
            let (pending, tell, home) = (Arc::clone(&pending), tell.clone(), Home::get(n));
            spawn(home, move || tell.send(pending.wait(home, TICK, &mut || Ok(()))).unwrap());
        }
        std::thread::sleep(TICK * 3);
        assert_eq!(pending.answer(), None);
        go.send(()).unwrap();
        for _ in 0..8 {
            assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok(Ok(0)));
        }
    }

    #[test]
    fn waits_end_and_giving_way_comes_back() {
        let waited = at_home(|home| {
            let began = Instant::now();
            wait(home, Duration::from_millis(30));
            (0..100).for_each(|_| give_way(home));
            began.elapsed()
        });
        assert!(waited >= Duration::from_millis(30));
    }
}
