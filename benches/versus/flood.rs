//! A flood: queries at a rate that no answer slows down.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};

use super::load::connected;
use super::mix::Queries;

/// Datagrams in one call.
const BATCH: usize = 64;
/// How long the sender sleeps when no batch is due: what else runs on its core gets its turn then.
const PAUSE: Duration = Duration::from_micros(50);

/// Somebody who asks and never reads an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flood {
    /// Where the queries go.
    pub(crate) server: SocketAddr,
    /// How many sockets send: enough that the kernel gives each of a server's sockets its part.
    pub(crate) sockets: usize,
    /// Queries a second.
    pub(crate) rate: f64,
    /// How long they are sent, should nobody end it.
    pub(crate) limit: Duration,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    /// Queries that the kernel took.
    pub(crate) queries: u64,
    /// How long it took to send them.
    pub(crate) elapsed: Duration,
}

impl Flood {
    /// Sends until `stop` says so, or the limit is reached.
    ///
    /// # Errors
    ///
    /// When no socket can be had, or the server's port is closed.
    pub(crate) fn run(self, queries: &mut Queries, stop: &AtomicBool) -> io::Result<Sent> {
        assert!(queries.len() >= BATCH, "a batch has no query twice");
        let sockets = (0..self.sockets).map(|_| connected(self.server));
        let sockets = sockets.collect::<io::Result<Vec<_>>>()?;
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
        let (mut sent, mut id) = (0, 0_u16);
        let begin = Instant::now();
        for socket in sockets.iter().cycle() {
            let elapsed = begin.elapsed();
            if stop.load(Ordering::Relaxed) || elapsed >= self.limit {
                break;
            }
            let due = (elapsed.as_secs_f64() * self.rate) as u64;
            if due < sent + BATCH as u64 {
                std::thread::sleep(PAUSE);
                continue;
            }
            let ranges = [(); BATCH].map(|()| {
                id = id.wrapping_add(1);
                queries.prepare(id)
            });
            let octets = queries.octets();
            let slices = ranges.map(|range| [IoSlice::new(&octets[range])]);
            let connected = [None::<SockaddrIn>; BATCH];
            let fd = socket.as_raw_fd();
            let flags = MsgFlags::MSG_DONTWAIT;
            match sendmmsg(fd, &mut headers, &slices, connected, [], flags) {
                Ok(results) => sent += results.count() as u64,
                Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Sent {
            queries: sent,
            elapsed: begin.elapsed(),
        })
    }
}
