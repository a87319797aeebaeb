//! The threads that answer datagrams.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::clock::Seldom;
use crate::metrics::Dropped;
use crate::zone::ReadAhead;

use super::cores;
use super::mmsg::{Batch, Datagram, Exchange, overflows};
use super::responder::{Client, Responder};

/// How often a worker looks up from an idle socket, should the wake-up of a stop get lost, and how
/// often it asks what the kernel dropped.
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
    /// Starts a thread that answers what comes to `socket`, on `core` alone if there is one.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub(super) fn start(
        socket: Socket,
        responder: Responder,
        core: Option<usize>,
    ) -> io::Result<Self> {
        socket.set_read_timeout(Some(LOOK_UP))?;
        let end = End {
            socket: socket.try_clone()?,
            stopping: Arc::new(AtomicBool::new(false)),
        };
        let stopping = end.stopping.clone();
        let thread = thread::Builder::new()
            .name("dns-udp".to_owned())
            .spawn(move || {
                if let Some(core) = core
                    && let Err(error) = cores::pin_to(core)
                {
                    tracing::warn!(core, %error, "a UDP thread stays where the system puts it");
                }
                // Only now: the memory should be near the core.
                let work = Work {
                    socket,
                    batch: Batch::new(),
                    ahead: ReadAhead::default(),
                    responder,
                    looked_up: None,
                    overflows: 0,
                    failing: Seldom::once_a_minute(),
                };
                work.run(&stopping);
            })?;
        Ok(Self { end, thread })
    }

    /// Tells the thread to end after the batch it has in hand.
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
    /// Tells the thread to end after the batch it has in hand.
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
    socket: Socket,
    /// Its memory for queries and answers.
    batch: Batch,
    /// What is known of the queries before they are answered.
    ahead: ReadAhead,
    /// What answers.
    responder: Responder,
    /// When it last asked what the kernel dropped.
    looked_up: Option<Duration>,
    /// What the kernel said then.
    overflows: u32,
    /// Which errors of its receiving are told.
    failing: Seldom,
}

impl Work {
    /// Receives, answers, sends, until told to stop.
    fn run(mut self, stopping: &AtomicBool) {
        while !stopping.load(Ordering::Relaxed) {
            match self.batch.receive(&self.socket) {
                Ok(_) => self.answer(),
                Err(error) if is_harmless(&error) => self.look_up(),
                Err(error) => {
                    if let Some(untold_before) = self.failing.admit(Instant::now()) {
                        tracing::warn!(
                            %error,
                            untold_before,
                            "a UDP socket reports an error; trying again"
                        );
                    }
                    thread::sleep(BACK_OFF);
                }
            }
        }
    }

    /// Answers what came.
    fn answer(&mut self) {
        // Only now, behind the last datagram's arrival: what was acknowledged before a query was
        // sent has to be seen by it.
        let mut round = self.responder.begin();
        round.read_ahead(&mut self.ahead, self.batch.queries());
        for Exchange {
            index,
            peer,
            query,
            answer,
        } in self.batch.exchanges()
        {
            let client = Client::of_datagram(peer.ip());
            let answered = match query {
                Datagram::Whole(query) => {
                    let foreseen = self.ahead.foreseen(index);
                    round.respond(query, foreseen, &client, answer)
                }
                Datagram::Cut(query) => round.refuse(query, &client, answer),
            };
            if !answered {
                answer.clear();
            }
        }
        let now = round.end();
        let failed = self.batch.send(&self.socket);
        if failed > 0 {
            self.responder.dropped(Dropped::SendFailed, failed as u64);
        }
        let ago = self.looked_up.map(|last| now.saturating_sub(last));
        if ago.is_none_or(|ago| ago >= LOOK_UP) {
            self.looked_up = Some(now);
            self.look_up();
        }
    }

    /// Asks what the kernel dropped because there was no room for it, and counts that.
    fn look_up(&mut self) {
        if let Some(overflows) = overflows(&self.socket) {
            let more = overflows.wrapping_sub(self.overflows);
            self.responder.dropped(Dropped::ReceiveBuffer, more.into());
            self.overflows = overflows;
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
