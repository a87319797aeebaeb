//! The listeners that accept TCP connections, with and without TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::libc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

use crate::clock::Seldom;
use crate::metrics::Dropped;

use super::connection::Connection;
use super::doorkeeper::Doorkeeper;
use super::encrypted::TlsDoor;
use super::slots::{Slot, Slots};

/// How long the listener waits when the process or the system has nothing left to accept with.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// How long open connections may take to end after a stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Accepts connections on one address.
pub(super) struct TcpAcceptor {
    /// The open listener.
    pub(super) listener: TcpListener,
    /// Who gets a place, and what answers.
    pub(super) keeper: Doorkeeper,
    /// What a connection must pass before that, if it speaks TLS.
    pub(super) door: Option<Arc<TlsDoor>>,
}

impl TcpAcceptor {
    /// Accepts until `stop` turns true, then waits for the open connections, bounded.
    ///
    /// No error of accepting ends it: a reset in the accept queue is that client's affair, and a
    /// full table of descriptors empties again.
    pub(super) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let mut failing = Seldom::once_a_minute();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(ended) = connections.join_next() => {
                    self.keeper.ended(ended);
                    continue;
                }
                _ = stop.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    self.admit(stream, peer, &mut connections);
                    if self.keeper.slots.are_taken() {
                        // The next newcomer takes somebody's place: whoever's query is here already
                        // gets its answer before that. In one go, a flood of newcomers would push
                        // out clients that have not been looked at once.
                        yield_now().await;
                    }
                }
                Err(error) if is_exhausted(&error) => {
                    if let Some(untold_before) = failing.admit(Instant::now()) {
                        tracing::warn!(
                            %error,
                            untold_before,
                            "TCP connections cannot be accepted; trying again"
                        );
                    }
                    // Whoever waits in the kernel's queue is as good as a newcomer over the limit.
                    let handshakes = self.door.as_ref().map(|door| &door.handshakes);
                    if handshakes.is_some_and(Slots::give_way) || self.keeper.slots.give_way() {
                        self.keeper.responder.dropped(Dropped::Evicted, 1);
                    }
                    sleep(EXHAUSTED).await;
                }
                Err(error) => tracing::debug!(%error, "a TCP connection ended before it began"),
            }
        }
        self.keeper.slots.dismiss();
        if let Some(door) = &self.door {
            door.handshakes.dismiss();
        }
        let drained = async {
            while let Some(ended) = connections.join_next().await {
                self.keeper.ended(ended);
            }
        };
        // What is left after that is aborted when the set is dropped.
        let _ = timeout(DRAIN, drained).await;
    }

    /// Lets a client in, if there is a place for it.
    fn admit(&self, stream: TcpStream, peer: SocketAddr, connections: &mut JoinSet<()>) {
        let keeper = self.keeper.clone();
        match self.door.clone() {
            None => {
                if let Some(slot) = keeper.place(&keeper.slots, peer.ip()) {
                    connections.spawn(serve(keeper, stream, peer, slot));
                }
            }
            Some(door) => {
                if let Some(place) = keeper.place(&door.handshakes, peer.ip()) {
                    connections.spawn(async move {
                        let Some(stream) = door.pass(stream, place).await else {
                            return;
                        };
                        if let Some(slot) = keeper.place(&keeper.slots, peer.ip()) {
                            serve(keeper, stream, peer, slot).await;
                        }
                    });
                }
            }
        }
    }
}

/// Serves one client.
async fn serve<S>(keeper: Doorkeeper, stream: S, peer: SocketAddr, slot: Slot)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connection = Connection {
        stream,
        peer: peer.ip(),
        responder: keeper.responder,
        limits: keeper.limits,
        slot,
    };
    // Its end is the client's affair; the counters have seen its queries.
    let _ = connection.serve().await;
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
