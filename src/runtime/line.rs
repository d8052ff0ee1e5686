//! A byte stream over a home socket, plain or TLS.
//!
//! Reading appends to a [`Window`]; no buffer is held while waiting. Writing takes slices and returns when all is with
//! the kernel, or, where an answer is awaited, as soon as the other end says something while there is no room. Every wait
//! is one tick long; what happens at a tick (is the client still there? is a deadline over?) is the caller's [`OnTick`],
//! and a [`Pace`] sees to it that bytes which trickle do not put it off. Knows nothing of HTTP.

use std::io::{self, BufRead, IoSlice, Write};
use std::time::{Duration, Instant};

use super::buffer::{LARGE, SMALL, Window};
use super::home::Home;
use super::socket::Socket;

/// What a caller does when a wait's tick is over: `Err` ends the operation with that error.
pub type OnTick<'t> = &'t mut dyn FnMut() -> io::Result<()>;

/// Whether an error only says that a tick is over.
pub fn is_tick(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Calls an [`OnTick`] once for every tick of elapsed time, whether the waits in it ran dry or bytes trickled in.
pub struct Pace<'t> {
    tick: Duration,
    on_tick: OnTick<'t>,
    /// Bytes that go out begin the tick anew.
    anew: bool,
    /// When the last tick began. The clock is read only where a wait did not end the work.
    last: Option<Instant>,
    stopped: bool,
}

impl<'t> Pace<'t> {
    /// By the clock alone: for deadlines.
    pub fn new(tick: Duration, on_tick: OnTick<'t>) -> Self {
        Self { tick, on_tick, anew: false, last: None, stopped: false }
    }

    /// Ticks without a byte going out: for ends that do not read.
    fn of_stalls(tick: Duration, on_tick: OnTick<'t>) -> Self {
        Self { anew: true, ..Self::new(tick, on_tick) }
    }

    /// The length of a wait.
    pub fn tick(&self) -> Duration {
        self.tick
    }

    /// Whether the [`OnTick`] ended the work.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// A wait ran dry: a tick is over.
    pub fn dry(&mut self) -> io::Result<()> {
        self.last = Some(Instant::now());
        (self.on_tick)().inspect_err(|_| self.stopped = true)
    }

    /// Something happened, and the work is not done: the tick may be over all the same.
    pub fn wet(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let last = *self.last.get_or_insert(now);
        if now.saturating_duration_since(last) >= self.tick { self.dry() } else { Ok(()) }
    }

    fn written(&mut self) {
        if self.anew {
            self.last = None;
        }
    }
}

/// Slices on their way out, cut to what is left. The first is never empty.
pub struct Outgoing<'s, 'b>(&'s mut [IoSlice<'b>]);

impl<'s, 'b> Outgoing<'s, 'b> {
    /// Nothing is out yet.
    pub fn new(slices: &'s mut [IoSlice<'b>]) -> Self {
        let mut whole = Self(slices);
        whole.cut(0);
        whole
    }

    fn cut(&mut self, written: usize) {
        IoSlice::advance_slices(&mut self.0, written);
    }
}

/// What became of bytes that an answer is awaited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// All are with the kernel.
    Whole,
    /// There was no room for the rest, and the other end has something to say, if only that it is done.
    Answered,
}

/// A connection's byte stream.
pub enum Line {
    /// TCP as it is.
    Plain(Socket),
    /// TLS, of either side.
    Tls(Box<Tls>),
}

/// A TLS session over a socket.
pub struct Tls {
    socket: Socket,
    session: rustls::Connection,
    /// What came with the handshake, or was decrypted after a wait: belongs to the next read.
    early: Vec<u8>,
}

impl Line {
    /// Puts TLS over a socket and shakes hands.
    #[inline(never)] // A frame of its own: stacks stay small while others wait.
    pub fn secure(
        socket: Socket,
        session: rustls::Connection,
        tick: Duration,
        on_tick: OnTick<'_>,
    ) -> io::Result<Self> {
        let mut pace = Pace::new(tick, on_tick);
        let mut tls = Box::new(Tls { socket, session, early: Vec::new() });
        tls.session.set_buffer_limit(Some(LARGE));
        while tls.session.is_handshaking() {
            tls.flush(&mut pace, false)?;
            if tls.session.is_handshaking() && tls.session.wants_read() {
                tls.receive_waiting(&mut pace)?;
            }
        }
        tls.flush(&mut pace, false)?;
        Ok(Self::Tls(tls))
    }

    /// The socket underneath.
    pub fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &tls.socket,
        }
    }

    /// Where this connection is served.
    pub fn home(&self) -> &'static Home {
        self.socket().home()
    }

    /// Whether the other end has closed or reset. One system call.
    pub fn is_gone(&self) -> bool {
        self.socket().is_gone()
    }

    /// Appends what is there to the window, without waiting. `WouldBlock`: nothing; `Ok(0)`: the other end is done.
    pub fn try_fill(&mut self, window: &mut Window) -> io::Result<usize> {
        self.try_read(window.room())
    }

    /// Appends what comes, waiting one tick at most for the first byte (`TimedOut`). `Ok(0)`: the other end is done.
    ///
    /// A large empty window is given back before the wait.
    pub fn fill(&mut self, window: &mut Window, tick: Duration) -> io::Result<usize> {
        self.fill_by::<FIRST>(window, tick)
    }

    /// The same from a shallow stack, which has room for a usual request: it comes in one read.
    pub fn fill_much(&mut self, window: &mut Window, tick: Duration) -> io::Result<usize> {
        self.fill_by::<SMALL>(window, tick)
    }

    #[inline(never)] // A frame of its own: stacks stay small while others wait.
    fn fill_by<const ROOM: usize>(&mut self, window: &mut Window, tick: Duration) -> io::Result<usize> {
        if !self.knows_nothing_is_there() {
            match self.try_fill(window) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
        window.rest_lightly();
        match self {
            Self::Plain(socket) => {
                let mut first = [0_u8; ROOM];
                let n = socket.wait_read(&mut first, tick)?;
                window.push(&first[..n]);
                Ok(n)
            }
            Self::Tls(tls) => {
                tls.receive(tick)?;
                self.try_fill(window)
            }
        }
    }

    /// Reads what is there into the spare room of `out`, without waiting.
    pub fn try_read(&mut self, out: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_read(out),
            Self::Tls(tls) => tls.try_read(out),
        }
    }

    /// Writes all of `slices`, whatever the other end says meanwhile. A tick is one without a byte going out.
    pub fn write_all(
        &mut self,
        slices: &mut [IoSlice<'_>],
        tick: Duration,
        on_tick: OnTick<'_>,
    ) -> io::Result<()> {
        self.send(&mut Outgoing::new(slices), &mut Pace::of_stalls(tick, on_tick), false).map(|_| ())
    }

    /// Writes `slices`, which are cut to what is left. With `listen`, bytes or an end that come while there is no room
    /// end it: a server that has made up its mind may read no further.
    pub fn send(
        &mut self,
        slices: &mut Outgoing<'_, '_>,
        pace: &mut Pace<'_>,
        listen: bool,
    ) -> io::Result<Sent> {
        match self {
            Self::Plain(socket) => write_plain(socket, slices, pace, listen),
            Self::Tls(tls) => tls.write(slices, pace, listen),
        }
    }

    /// Says that nothing more will be written. Best effort: it does not wait.
    pub fn finish(&mut self) {
        if let Self::Tls(tls) = self {
            tls.session.send_close_notify();
            tls.session.write_tls(&mut Now(&mut tls.socket)).ok();
        }
        self.socket().shutdown_write();
    }

    /// Whether an idle connection can serve another request: nothing has come since the last one.
    pub fn is_silent(&self) -> bool {
        let unread = match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => !tls.early.is_empty(),
        };
        !unread && self.socket().is_silent()
    }

    fn knows_nothing_is_there(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_drained(),
            Self::Tls(_) => false,
        }
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Line::Plain",
            Self::Tls(_) => "Line::Tls",
        })
    }
}

fn write_plain(
    socket: &mut Socket,
    slices: &mut Outgoing<'_, '_>,
    pace: &mut Pace<'_>,
    listen: bool,
) -> io::Result<Sent> {
    if slices.0.len() > 1 && slices.0.iter().map(|slice| slice.len()).sum::<usize>() <= COALESCED {
        slices.cut(send_as_one(socket, slices.0)?);
    }
    while !slices.0.is_empty() {
        match socket.try_write(slices.0) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                slices.cut(written);
                pace.written();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if listen && !socket.is_silent() {
                    return Ok(Sent::Answered);
                }
                wait_for_room(socket, pace)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Sent::Whole)
}

/// Waits until there may be room, or something to read.
fn wait_for_room(socket: &mut Socket, pace: &mut Pace<'_>) -> io::Result<()> {
    // A write of nothing wakes at every event of the socket; one of something would wait on after bytes that came.
    match socket.wait_write(&[], pace.tick()) {
        Ok(_) => pace.wet(),
        Err(error) if is_tick(&error) => pace.dry(),
        Err(error) => Err(error),
    }
}

/// Sends small slices as one: copying them costs less than the kernel's look at a list.
fn send_as_one(socket: &mut Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let home = socket.home();
    let mut whole = home.buffers.take();
    for slice in slices {
        whole.extend_from_slice(slice);
    }
    let sent = socket.try_write(&[IoSlice::new(&whole)]);
    home.buffers.give(whole);
    match sent {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        sent => sent,
    }
}

impl Tls {
    fn try_read(&mut self, out: &mut Vec<u8>) -> io::Result<usize> {
        let begin = out.len();
        out.append(&mut self.early);
        if self.early.capacity() > SMALL {
            self.early = Vec::new();
        }
        loop {
            let done = self.take_plaintext(out);
            if out.len() > begin {
                return Ok(out.len() - begin);
            }
            match done {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done.map(|()| 0),
            }
            // The cipher text goes through a buffer of the home for a moment; nothing waits meanwhile.
            let home = self.socket.home();
            let mut scratch = home.buffers.take();
            let read = self.socket.try_read(&mut scratch);
            let fed = read.and_then(|n| if n == 0 { self.feed_end() } else { self.feed(&scratch, out) });
            home.buffers.give(scratch);
            fed?;
        }
    }

    /// Appends everything that is decrypted. `Ok`: the other end is done; `WouldBlock`: more may come.
    fn take_plaintext(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let mut reader = self.session.reader();
        loop {
            let chunk = reader.fill_buf()?;
            let n = chunk.len();
            if n == 0 {
                return Ok(());
            }
            out.extend_from_slice(chunk);
            reader.consume(n);
        }
    }

    /// Decrypts, and appends what that gives: the session itself refuses to keep more than a record or two.
    fn feed(&mut self, mut cipher: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        while !cipher.is_empty() {
            self.session.read_tls(&mut cipher)?;
            self.process()?;
            match self.take_plaintext(out) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Decrypts for the next read.
    fn feed_early(&mut self, cipher: &[u8]) -> io::Result<()> {
        let mut early = std::mem::take(&mut self.early);
        let fed = self.feed(cipher, &mut early);
        self.early = early;
        fed
    }

    fn feed_end(&mut self) -> io::Result<()> {
        self.session.read_tls(&mut io::empty())?;
        self.process()
    }

    fn process(&mut self) -> io::Result<()> {
        match self.session.process_new_packets() {
            Ok(_) => Ok(()),
            Err(error) => {
                // The alert that says why goes out if it can.
                self.session.write_tls(&mut Now(&mut self.socket)).ok();
                Err(io::Error::new(io::ErrorKind::InvalidData, error))
            }
        }
    }

    /// Waits one tick for cipher text and feeds it in.
    fn receive(&mut self, tick: Duration) -> io::Result<()> {
        let mut first = [0_u8; FIRST];
        match self.socket.wait_read(&mut first, tick)? {
            0 => self.feed_end(),
            n => self.feed_early(&first[..n]),
        }
    }

    fn receive_waiting(&mut self, pace: &mut Pace<'_>) -> io::Result<()> {
        match self.receive_now() {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => return pace.wet(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        let mut first = [0_u8; FIRST];
        match self.socket.wait_read(&mut first, pace.tick()) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => self.feed_early(&first[..n]).and_then(|()| pace.wet()),
            Err(error) if is_tick(&error) => pace.dry(),
            Err(error) => Err(error),
        }
    }

    /// Decrypts what is there for the next read, without waiting; `Ok(0)`: the other end is done.
    fn receive_now(&mut self) -> io::Result<usize> {
        let home = self.socket.home();
        let mut scratch = home.buffers.take();
        let read = self.socket.try_read(&mut scratch);
        let fed = read.and_then(|n| self.feed_early(&scratch).map(|()| n));
        home.buffers.give(scratch);
        fed
    }

    /// Whether the other end has something to say; tickets and the like are no word.
    fn hears(&mut self) -> io::Result<bool> {
        while self.early.is_empty() {
            match self.receive_now() {
                Ok(0) => return self.feed_end().map(|()| true),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn write(
        &mut self,
        slices: &mut Outgoing<'_, '_>,
        pace: &mut Pace<'_>,
        listen: bool,
    ) -> io::Result<Sent> {
        loop {
            while let Some(first) = slices.0.first() {
                let taken = self.session.writer().write(first)?;
                if taken == 0 {
                    break;
                }
                slices.cut(taken);
            }
            match self.flush(pace, listen)? {
                Sent::Whole if !slices.0.is_empty() => {}
                sent => return Ok(sent),
            }
        }
    }

    /// Sends what the session wants to send.
    fn flush(&mut self, pace: &mut Pace<'_>, listen: bool) -> io::Result<Sent> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Now(&mut self.socket)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => pace.written(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if listen && self.hears()? {
                        return Ok(Sent::Answered);
                    }
                    wait_for_room(&mut self.socket, pace)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Sent::Whole)
    }
}

/// What a wait reads by itself; the rest is there to be read after it. It stands on every waiting stack.
const FIRST: usize = 1024;
/// Slices of this many bytes in all are copied into one.
const COALESCED: usize = 16 * 1024;

/// Writes to the socket without waiting.
struct Now<'s>(&'s mut Socket);

impl Write for Now<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.try_write(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
