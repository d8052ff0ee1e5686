//! A byte stream over a home socket, plain or TLS.
//!
//! Reading appends to a [`Window`]; no buffer is held while waiting. Writing takes slices and returns when all is with
//! the kernel. Every wait is one tick long; what happens at a tick (is the client still there? is a deadline over?) is
//! the caller's [`OnTick`]. Knows nothing of HTTP.

use std::io::{self, BufRead, IoSlice, Write};
use std::time::Duration;

use super::buffer::{LARGE, SMALL, Window};
use super::home::Home;
use super::socket::Socket;

/// What a caller does when a wait's tick is over: `Err` ends the operation with that error.
pub type OnTick<'t> = &'t mut dyn FnMut() -> io::Result<()>;

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
        let mut tls = Box::new(Tls { socket, session, early: Vec::new() });
        tls.session.set_buffer_limit(Some(LARGE));
        while tls.session.is_handshaking() {
            tls.flush(tick, on_tick)?;
            if tls.session.is_handshaking() && tls.session.wants_read() {
                tls.receive_waiting(tick, on_tick)?;
            }
        }
        tls.flush(tick, on_tick)?;
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
        if !self.knows_nothing_is_there() {
            match self.try_fill(window) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
        window.rest_lightly();
        match self {
            Self::Plain(socket) => {
                let mut small = [0_u8; SMALL];
                let n = socket.wait_read(&mut small, tick)?;
                window.push(&small[..n]);
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

    /// Writes all of `slices`.
    pub fn write_all(
        &mut self,
        slices: &mut [IoSlice<'_>],
        tick: Duration,
        on_tick: OnTick<'_>,
    ) -> io::Result<()> {
        match self {
            Self::Plain(socket) => write_plain(socket, slices, tick, on_tick),
            Self::Tls(tls) => {
                for slice in slices.iter() {
                    let mut rest: &[u8] = slice;
                    while !rest.is_empty() {
                        let n = tls.session.writer().write(rest)?;
                        rest = &rest[n..];
                        if n == 0 || !rest.is_empty() {
                            tls.flush(tick, on_tick)?;
                        }
                    }
                }
                tls.flush(tick, on_tick)
            }
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
    mut slices: &mut [IoSlice<'_>],
    tick: Duration,
    on_tick: OnTick<'_>,
) -> io::Result<()> {
    IoSlice::advance_slices(&mut slices, 0);
    if slices.len() > 1 && slices.iter().map(|slice| slice.len()).sum::<usize>() <= COALESCED {
        let sent = send_as_one(socket, slices)?;
        IoSlice::advance_slices(&mut slices, sent);
    }
    while let Some(first) = slices.first() {
        let written = match socket.try_write(slices) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => match socket.wait_write(first, tick) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    on_tick()?;
                    continue;
                }
                waited => waited?,
            },
            tried => tried?,
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut slices, written);
    }
    Ok(())
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
        let mut small = [0_u8; SMALL];
        match self.socket.wait_read(&mut small, tick)? {
            0 => self.feed_end(),
            n => self.feed_early(&small[..n]),
        }
    }

    fn receive_waiting(&mut self, tick: Duration, on_tick: OnTick<'_>) -> io::Result<()> {
        let home = self.socket.home();
        let mut scratch = home.buffers.take();
        let tried = self.socket.try_read(&mut scratch);
        let fed = match tried {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => self.feed_early(&scratch),
            Err(error) => Err(error),
        };
        home.buffers.give(scratch);
        match fed {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
        let mut small = [0_u8; SMALL];
        match self.socket.wait_read(&mut small, tick) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => self.feed_early(&small[..n]),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => on_tick(),
            Err(error) => Err(error),
        }
    }

    /// Sends what the session wants to send.
    fn flush(&mut self, tick: Duration, on_tick: OnTick<'_>) -> io::Result<()> {
        while self.session.wants_write() {
            let mut out = Now(&mut self.socket);
            match self.session.write_tls(&mut out) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // A write of nothing waits for room in the same way as a write of something.
                    match self.socket.wait_write(&[], tick) {
                        Err(error) if error.kind() == io::ErrorKind::TimedOut => on_tick()?,
                        waited => {
                            waited?;
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

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
