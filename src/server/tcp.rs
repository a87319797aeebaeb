//! The listeners that accept TCP connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use nix::libc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use crate::metrics::Dropped;

use super::config::TcpLimits;
use super::connection::Connection;
use super::responder::Responder;
use super::slots::{Slot, Slots, Taking};

/// How long the listener waits when the process or the system has nothing left to accept with.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// How long open connections may take to end after a stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Accepts connections on one address.
pub(super) struct TcpAcceptor {
    /// The open listener.
    pub(super) listener: TcpListener,
    /// What answers.
    pub(super) responder: Responder,
    /// What clients may take.
    pub(super) limits: TcpLimits,
    /// Places of connections, shared by all listeners.
    pub(super) slots: Slots,
}

impl TcpAcceptor {
    /// Accepts until `stop` turns true, then waits for the open connections, bounded.
    ///
    /// No error of accepting ends it: a reset in the accept queue is that client's affair, and a
    /// full table of descriptors empties again.
    pub(super) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let mut exhausted = false;
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(ended) = connections.join_next() => {
                    self.ended(ended);
                    continue;
                }
                _ = stop.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    exhausted = false;
                    let slot = match self.slots.take(peer.ip()) {
                        Taking::Free(slot) => slot,
                        Taking::GivenWay(slot) => {
                            self.responder.dropped(Dropped::Evicted, 1);
                            slot
                        }
                        Taking::Refused => {
                            self.responder.dropped(Dropped::Overload, 1);
                            continue;
                        }
                    };
                    let connection = self.connection(stream, peer, slot);
                    connections.spawn(async move {
                        // Its end is the client's affair; the counters have seen its queries.
                        let _ = connection.serve().await;
                    });
                }
                Err(error) if is_exhausted(&error) => {
                    if !exhausted {
                        tracing::warn!(%error, "TCP connections cannot be accepted; trying again");
                    }
                    exhausted = true;
                    // Whoever waits in the kernel's queue is as good as a newcomer over the limit.
                    if self.slots.give_way() {
                        self.responder.dropped(Dropped::Evicted, 1);
                    }
                    sleep(EXHAUSTED).await;
                }
                Err(error) => tracing::debug!(%error, "a TCP connection ended before it began"),
            }
        }
        self.slots.dismiss();
        let drained = async {
            while let Some(ended) = connections.join_next().await {
                self.ended(ended);
            }
        };
        // What is left after that is aborted when the set is dropped.
        let _ = timeout(DRAIN, drained).await;
    }

    /// Returns the connection of an accepted stream.
    fn connection(&self, stream: TcpStream, peer: SocketAddr, slot: Slot) -> Connection<TcpStream> {
        Connection {
            stream,
            peer: peer.ip(),
            responder: self.responder.clone(),
            limits: self.limits,
            slot,
        }
    }

    /// Takes note of a connection's end: a panic costs that connection and is counted.
    fn ended(&self, ended: Result<(), JoinError>) {
        if ended.is_err_and(|error| error.is_panic()) {
            self.responder.panicked();
        }
    }
}

/// Returns whether an error of accepting will come again at once, because what it lacks is ours.
fn is_exhausted(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lack_of_our_own_makes_the_listener_wait() {
        for lack in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
            assert!(is_exhausted(&io::Error::from_raw_os_error(lack)));
        }
        for theirs in [libc::ECONNABORTED, libc::EPROTO, libc::EHOSTUNREACH] {
            assert!(!is_exhausted(&io::Error::from_raw_os_error(theirs)));
        }
    }
}
