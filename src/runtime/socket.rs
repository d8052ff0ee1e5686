//! TCP sockets that stay at home.
//!
//! may serves a descriptor on worker `fd % workers`, so a socket is given a number of its home's residue *before* it is
//! registered. The order of drop matters: deregister, close, give the number back. `CoIo` alone would close first, and
//! a number that is used again by another connection would then lose that connection's registration (473 of 31,779
//! wake-ups in a trial; `tests/turnover.rs` is the watch).
//!
//! Reads and writes try first and wait only when the kernel has nothing; each wait is bounded by a tick. Makes no
//! decisions about deadlines: its callers count ticks.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use may::io::AsIoData;
use may::io::CoIo;
use rustix::buffer::spare_capacity;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::home::Home;

/// A connected (or connecting) TCP socket at home. The fields' order is the order of drop.
pub struct Socket {
    /// Registered with the home's selector; its drop deregisters.
    io: CoIo<Shared>,
    /// The last reference: its drop closes.
    tcp: Arc<TcpStream>,
    /// Gives the number back, after the close.
    _number: Number,
    /// The last read left nothing behind; see [`Socket::wait_read`].
    drained: bool,
    /// Exchanges that were completed over it; for telling a stale pooled connection from a fresh one that broke.
    uses: Cell<u32>,
    home: &'static Home,
}

impl Socket {
    /// Takes a connected socket home. Must run at home.
    pub fn adopt(home: &'static Home, tcp: TcpStream) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        Self::align(home, &OwnedFd::from(tcp))
    }

    /// Begins a connection; [`Socket::wait_connected`] tells how it went.
    pub fn connect(home: &'static Home, address: SocketAddr) -> io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        rustix::net::sockopt::set_tcp_nodelay(&fd, true)?;
        let socket = Self::align(home, &fd)?;
        match rustix::net::connect(&*socket.tcp, &address) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket),
            Err(error) => Err(error.into()),
        }
    }

    fn align(home: &'static Home, fd: &OwnedFd) -> io::Result<Self> {
        let (number, fd) = Number::duplicate(home, fd)?;
        let tcp = Arc::new(TcpStream::from(fd));
        let io = CoIo::new(Shared(Arc::clone(&tcp))).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self { io, tcp, _number: number, drained: false, uses: Cell::new(0), home })
    }

    /// Where this socket is served.
    pub fn home(&self) -> &'static Home {
        self.home
    }

    /// The other end.
    pub fn peer(&self) -> io::Result<SocketAddr> {
        self.tcp.peer_addr()
    }

    /// Exchanges that were completed over this connection.
    pub fn uses(&self) -> u32 {
        self.uses.get()
    }

    /// Counts a completed exchange.
    pub fn used(&self) {
        self.uses.set(self.uses.get().saturating_add(1));
    }

    /// Waits one tick for the connection to stand. `TimedOut`: not yet; other errors: it failed.
    pub fn wait_connected(&mut self, tick: Duration) -> io::Result<()> {
        // A write of nothing waits like any other write; the kernel's word decides what the wake-up meant.
        self.wait_write(&[], tick)?;
        match (self.tcp.take_error()?, self.tcp.peer_addr()) {
            (Some(error), _) => Err(error),
            (None, Ok(_)) => Ok(()),
            (None, Err(_)) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Reads what is there into the spare room of `out` (which must have some). `WouldBlock`: nothing; `Ok(0)`: the
    /// other end is done.
    pub fn try_read(&mut self, out: &mut Vec<u8>) -> io::Result<usize> {
        let room = out.capacity() - out.len();
        let n = rustix::net::recv(&*self.tcp, spare_capacity(out), RecvFlags::DONTWAIT)?.0;
        self.drained = n < room;
        Ok(n)
    }

    /// Whether the last read took everything that the kernel had and nothing has been announced since, so that a read
    /// now would only say "nothing".
    ///
    /// A close that was announced together with that data is not seen by this; it is seen at the next tick, when
    /// [`Socket::wait_read`] has come back without bytes.
    pub fn is_drained(&self) -> bool {
        use std::sync::atomic::Ordering;
        self.drained && self.io.as_io_data().io_flag.load(Ordering::Relaxed) == 0
    }

    /// Whether nothing has come that was not read, no end and no error either. Asks the kernel only where what was
    /// announced leaves a doubt.
    pub fn is_silent(&self) -> bool {
        use std::sync::atomic::Ordering;
        let announced = self.io.as_io_data().io_flag.load(Ordering::Relaxed) & ANNOUNCED != 0;
        if self.drained && !announced {
            return true;
        }
        let mut one = [0_u8; 1];
        let peeked = rustix::net::recv(&*self.tcp, &mut one, RecvFlags::PEEK | RecvFlags::DONTWAIT);
        peeked.is_err_and(|error| error == rustix::io::Errno::AGAIN)
    }

    /// Waits until bytes come, one tick at most (`TimedOut`). Only after [`Socket::try_read`] said `WouldBlock` or
    /// [`Socket::is_drained`] holds.
    pub fn wait_read(&mut self, buf: &mut [u8], tick: Duration) -> io::Result<usize> {
        self.io.set_read_timeout(Some(tick))?;
        // Whatever a wait that ends without bytes missed (a close announced together with the last ones), the next read
        // asks the kernel.
        self.drained = false;
        let n = self.io.read(buf)?;
        self.drained = n < buf.len();
        Ok(n)
    }

    /// Writes what the kernel takes. `WouldBlock`: nothing.
    pub fn try_write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [one] => Ok(rustix::net::send(&*self.tcp, one, SendFlags::NOSIGNAL)?),
            many => (&*self.tcp).write_vectored(many),
        }
    }

    /// Waits until something of `buf` is written, one tick at most (`TimedOut`). Only after `WouldBlock`.
    pub fn wait_write(&mut self, buf: &[u8], tick: Duration) -> io::Result<usize> {
        self.io.set_write_timeout(Some(tick))?;
        // The wait swallows the word of bytes that come meanwhile.
        self.drained = false;
        self.io.write(buf)
    }

    /// Whether the other end has closed (a FIN counts) or reset. One system call.
    pub fn is_gone(&self) -> bool {
        let mut one = [0_u8; 1];
        match rustix::net::recv(&*self.tcp, &mut one, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, n)) => n == 0,
            Err(error) => error != rustix::io::Errno::AGAIN && error != rustix::io::Errno::INTR,
        }
    }

    /// Says that nothing more will be written.
    pub fn shutdown_write(&self) {
        self.tcp.shutdown(std::net::Shutdown::Write).ok();
    }

    /// Makes the close a reset, so that the other end cannot take a cut for a clean end.
    pub fn reset_on_close(&self) {
        rustix::net::sockopt::set_socket_linger(&*self.tcp, Some(Duration::ZERO)).ok();
    }
}

/// The socket as `CoIo` sees it. It never reads or writes at once: its callers have tried already, or know that there
/// is nothing, and `CoIo` would only ask the kernel a second time.
struct Shared(Arc<TcpStream>);

impl AsRawFd for Shared {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Read for Shared {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(rustix::io::Errno::AGAIN.into())
    }
}

impl Write for Shared {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(rustix::io::Errno::AGAIN.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The descriptor numbers of one home: `BASE + k * workers + id`.
///
/// Every number below `next` is in use or in `free`.
#[derive(Debug)]
pub struct Numbers {
    /// Taken from the back; what something else was seen to hold waits at the front.
    free: VecDeque<i32>,
    next: i32,
    step: i32,
}

impl Numbers {
    pub(super) fn new(id: usize, workers: usize) -> Self {
        let step = i32::try_from(workers).unwrap_or(1);
        let base = BASE - BASE % step;
        Self { free: VecDeque::new(), next: base + i32::try_from(id).unwrap_or(0), step }
    }

    fn take(&mut self) -> i32 {
        self.free.pop_back().unwrap_or_else(|| {
            let number = self.next;
            self.next += self.step;
            number
        })
    }

    fn give(&mut self, number: i32) {
        self.free.push_back(number);
    }

    /// Something else holds `number` and all that follow it below `free`: they are asked for again last of all.
    fn pass_over(&mut self, number: i32, free: i32, passed: &mut Vec<i32>) {
        passed.push(number);
        while self.next < free {
            passed.push(self.next);
            self.next += self.step;
        }
    }

    /// Numbers in use, for the leak test.
    pub(super) fn in_use(&self, id: usize, workers: usize) -> usize {
        let first = Self::new(id, workers).next;
        usize::try_from((self.next - first) / self.step).unwrap_or(0) - self.free.len()
    }
}

/// How many descriptor numbers of `home` are in use.
pub fn in_use(home: &Home) -> usize {
    let numbers = home.numbers.lock().unwrap_or_else(PoisonError::into_inner);
    numbers.in_use(home.id, super::home::count())
}

/// A number in use; given back on drop.
struct Number {
    home: &'static Home,
    number: i32,
}

impl Number {
    /// Duplicates `fd` to a free number of the home.
    ///
    /// A burst of accepted connections holds low numbers until each is taken home, so numbers that are not free now are
    /// only put aside for this time.
    fn duplicate(home: &'static Home, fd: &OwnedFd) -> io::Result<(Self, OwnedFd)> {
        let numbers = || home.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut passed = Vec::new();
        let mut found = Err(io::Error::other("no free descriptor number of this worker"));
        for _ in 0..TRIES {
            let number = numbers().take();
            match rustix::io::fcntl_dupfd_cloexec(fd.as_fd(), number) {
                Ok(copy) if copy.as_raw_fd() == number => {
                    found = Ok((Self { home, number }, copy));
                    break;
                }
                Ok(copy) => numbers().pass_over(number, copy.as_raw_fd(), &mut passed),
                Err(error) => {
                    numbers().give(number);
                    found = Err(error.into());
                    break;
                }
            }
        }
        for number in passed {
            numbers().free.push_front(number);
        }
        found
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        self.home.numbers.lock().unwrap_or_else(PoisonError::into_inner).give(self.number);
    }
}

/// EPOLLIN, EPOLLERR, EPOLLHUP, EPOLLRDHUP: data or an end on a connection that should be silent.
const ANNOUNCED: usize = 0x1 | 0x8 | 0x10 | 0x2000;
/// Below it lie the descriptors that libraries and the standard library open.
const BASE: i32 = 256;
/// Each try passes over a whole run of numbers that something else holds.
const TRIES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::Numbers;

    #[test]
    fn numbers_that_something_else_holds_come_up_again() {
        let mut numbers = Numbers::new(1, 2);
        let first = numbers.take();
        assert_eq!(first % 2, 1);
        let mut passed = Vec::new();
        numbers.pass_over(first, first + 5, &mut passed);
        assert_eq!(passed, [first, first + 2, first + 4]);
        let fresh = numbers.take();
        assert_eq!(fresh, first + 6);
        for number in passed {
            numbers.free.push_front(number);
        }
        assert_eq!(numbers.in_use(1, 2), 1);
        numbers.give(fresh);
        assert_eq!((numbers.take(), numbers.in_use(1, 2)), (fresh, 1));
        let rest: Vec<i32> = (0..3).map(|_| numbers.take()).collect();
        assert_eq!(rest, [first, first + 2, first + 4]);
    }
}
