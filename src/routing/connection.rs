//! One client: requests in, replies out, in bounded memory and time.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use socket2::Socket;

use super::config::RoutingLimits;
use super::lookup::Lookup;
use super::netstring::{self, Frame, MAX_FRAME};

/// What is read at a time; any request fits.
const READ: usize = 16 << 10;

/// When replies are written although requests are left: what a client sends makes no more than this
/// of replies.
const WRITE: usize = 32 << 10;

const _: () = assert!(MAX_FRAME <= READ);

/// A client's connection.
pub(super) struct Connection {
    /// The socket; who stops the server shuts it down.
    pub(super) socket: Arc<Socket>,
    /// What answers.
    pub(super) lookup: Lookup,
    /// What the client may take.
    pub(super) limits: RoutingLimits,
    /// Whether the server ends.
    pub(super) stopping: Arc<AtomicBool>,
}

/// What becomes of a connection after the requests read so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It goes on.
    Read,
    /// What follows cannot be understood.
    Close,
}

impl Connection {
    /// Answers until the client or the server has had enough.
    ///
    /// # Errors
    ///
    /// What the system said, a timeout too.
    pub(super) fn serve(&self) -> io::Result<()> {
        self.socket.set_read_timeout(Some(self.limits.idle))?;
        self.socket.set_write_timeout(Some(self.limits.write))?;
        let mut octets = vec![0; READ];
        let mut filled = 0;
        let mut replies = Vec::new();
        let mut since = Instant::now();
        while !self.stopping.load(Ordering::Relaxed) {
            let read = match (&*self.socket).read(&mut octets[filled..]) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            filled += read;
            let (taken, next) = self.answer(&octets[..filled], &mut replies)?;
            self.write(&mut replies)?;
            if next == Next::Close {
                break;
            }
            if taken > 0 {
                octets.copy_within(taken..filled, 0);
                filled -= taken;
                since = Instant::now();
            } else if since.elapsed() > self.limits.idle {
                // Octet by octet, for ever: that is no client of ours.
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }

    /// Answers all whole requests; returns how many octets they took.
    fn answer(&self, octets: &[u8], replies: &mut Vec<u8>) -> io::Result<(usize, Next)> {
        let mut taken = 0;
        loop {
            match netstring::first(&octets[taken..]) {
                Frame::Whole {
                    request,
                    taken: more,
                } => {
                    self.lookup.answer(request, replies);
                    taken += more;
                }
                Frame::Cut => return Ok((taken, Next::Read)),
                Frame::TooLong => {
                    self.lookup.too_long(replies);
                    return Ok((taken, Next::Close));
                }
                Frame::Garbage => return Ok((taken, Next::Close)),
            }
            if replies.len() >= WRITE {
                self.write(replies)?;
            }
        }
    }

    /// Writes all replies and forgets them; a client that does not read them in time is given up.
    fn write(&self, replies: &mut Vec<u8>) -> io::Result<()> {
        let mut rest = replies.as_slice();
        let begun = Instant::now();
        while !rest.is_empty() {
            match (&*self.socket).write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if !rest.is_empty() && begun.elapsed() > self.limits.write {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        replies.clear();
        Ok(())
    }
}

impl Drop for Connection {
    /// The client learns of the end even while somebody else holds the socket.
    fn drop(&mut self) {
        // One that the client has closed already cannot be shut down.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}
