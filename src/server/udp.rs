//! The threads that answer datagrams.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::Socket;

use crate::metrics::Dropped;

use super::datagram::DatagramSocket;
use super::responder::{Client, Responder};

/// The largest datagram there is, so that none is ever cut.
const LARGEST_DATAGRAM: usize = 65_535;

/// How often a worker looks up from an idle socket, should the wake-up of a stop get lost.
const LOOK_UP: Duration = Duration::from_secs(1);

/// How long a worker waits after an error that is nobody's datagram, not to spin on it.
const BACK_OFF: Duration = Duration::from_millis(50);

/// A running thread, and the way to end it.
pub(super) struct UdpWorker {
    /// Ends the thread.
    end: End,
    /// The thread.
    thread: JoinHandle<()>,
}

/// Ends a thread, at the latest when it is dropped: a server that could not start as a whole must
/// not go on answering in part.
struct End {
    /// Ends the thread's reading.
    socket: Socket,
    /// Tells the thread why its reading ended.
    stopping: Arc<AtomicBool>,
}

impl UdpWorker {
    /// Starts a thread that answers what comes to `socket`.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub(super) fn start(socket: Socket, responder: Responder) -> io::Result<Self> {
        socket.set_read_timeout(Some(LOOK_UP))?;
        let datagrams = DatagramSocket::new(socket);
        let socket = datagrams.handle()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let work = Work {
            datagrams,
            responder,
            stopping: stopping.clone(),
        };
        let thread = thread::Builder::new()
            .name("dns-udp".to_owned())
            .spawn(move || work.run())?;
        Ok(Self {
            end: End { socket, stopping },
            thread,
        })
    }

    /// Tells the thread to end after the datagram it has in hand.
    pub(super) fn stop(&self) {
        self.end.tell();
    }

    /// Waits until the thread has ended.
    pub(super) fn join(self) {
        drop(self.end);
        if self.thread.join().is_err() {
            tracing::error!("a thread that answers datagrams had ended with a panic");
        }
    }
}

impl End {
    /// Tells the thread to end after the datagram it has in hand.
    fn tell(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        // An unconnected socket cannot be shut down, says the error, but its reader wakes up.
        let _ = self.socket.shutdown(Shutdown::Read);
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.tell();
    }
}

/// What a thread works with.
struct Work {
    /// Its socket.
    datagrams: DatagramSocket,
    /// What answers.
    responder: Responder,
    /// Set when it is to end.
    stopping: Arc<AtomicBool>,
}

impl Work {
    /// Receives, answers, sends, until told to stop.
    fn run(mut self) {
        let mut query = vec![0; LARGEST_DATAGRAM];
        let mut reply = Vec::with_capacity(LARGEST_DATAGRAM);
        while !self.stopping.load(Ordering::Relaxed) {
            match self.datagrams.receive(&mut query) {
                Ok(Some((length, route))) => {
                    let client = Client::of_datagram(route.address());
                    if self
                        .responder
                        .respond(&query[..length], &client, &mut reply)
                        && let Err(error) = self.datagrams.send(&reply, &route)
                    {
                        // The client's network or address, mostly: its loss, not ours.
                        tracing::trace!(%error, "an answer could not be sent");
                        self.responder.dropped(Dropped::SendFailed);
                    }
                }
                Ok(None) => {}
                Err(error) if is_harmless(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "a UDP socket reports an error; trying again");
                    thread::sleep(BACK_OFF);
                }
            }
        }
    }
}

/// Returns whether an error while receiving means only that there was nothing to receive.
fn is_harmless(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
        // What an ICMP message about an earlier answer may leave behind.
        | io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
    )
}
