//! DNS over QUIC: one endpoint, its connections, their streams.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, IdleTimeout, Incoming, Runtime, ServerConfig,
    TransportConfig, VarInt,
};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::clock::Seldom;
use crate::metrics::Handshakes;
use crate::server::doorkeeper::Doorkeeper;
use crate::server::responder::Client;
use crate::server::slots::{Slot, Slots};

use super::certificate::Certificate;
use super::query::{QueryStream, StreamEnd};
use super::quic_socket::QuicRuntime;
use super::tls::{self, HANDSHAKE};

/// "No error. This is used when the connection or stream needs to be closed, but there is no error
/// to signal" (RFC 9250, section 4.3).
const NO_ERROR: VarInt = VarInt::from_u32(0);
/// The client broke the protocol.
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
/// Its place was needed.
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);

/// How many queries a client may ask at a time on one connection.
const STREAMS: u32 = 100;

/// How many octets of queries are read at a time on one connection: two of the longest, or some
/// thousands as they are.
const ROOM: usize = 2 * u16::MAX as usize;

/// How many octets a client may send before they are read: as many as that, for all streams.
const UNREAD: u32 = ROOM as u32;

/// How many octets of answers wait on one connection until the client has got them; what is above
/// that is not written yet.
const UNSENT: u64 = 256 << 10;

/// Handshakes that wait for us to look at them; each is one datagram.
const INCOMING: usize = 1_024;

/// How many octets are held that came early for one of those, and for all of them.
const EARLY: u64 = 16 << 10;

/// How many octets are held that came early for all of those.
const EARLY_TOTAL: u64 = 1 << 20;

/// How long an endpoint that failed is left alone.
const BACK_OFF: Duration = Duration::from_secs(1);

/// How long streams may take to end when their connection has to, and clients to hear of an end.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// How long connections may take to end after a stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Listens on one address.
pub(in crate::server) struct DoqListener {
    /// The bound socket; each endpoint gets a copy.
    socket: UdpSocket,
    /// What is agreed on with clients.
    config: ServerConfig,
    /// What connections share.
    shared: Arc<Shared>,
    /// What endpoints run on.
    pub(in crate::server) runtime: Arc<dyn Runtime>,
}

/// What the connections of a listener share.
struct Shared {
    /// Who gets a place, and what answers.
    keeper: Doorkeeper,
    /// Places of handshakes under way.
    handshakes: Slots,
    /// Counts how they end.
    counts: Handshakes,
}

/// Why an endpoint ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// It was to.
    Stopped,
    /// It failed.
    Failed,
}

impl DoqListener {
    /// Takes a bound socket.
    pub(in crate::server) fn new(
        socket: UdpSocket,
        certificate: Arc<Certificate>,
        keeper: Doorkeeper,
        handshakes: Slots,
        counts: Handshakes,
    ) -> Self {
        Self {
            socket,
            config: config(certificate, keeper.limits.idle),
            shared: Arc::new(Shared {
                keeper,
                handshakes,
                counts,
            }),
            runtime: Arc::new(QuicRuntime),
        }
    }

    /// Serves until `stop` turns true.
    ///
    /// An endpoint ends when its socket fails or its own task panics. Then another one takes over:
    /// connections are lost, the address is not.
    pub(in crate::server) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut failing = Seldom::once_a_minute();
        while !*stop.borrow() {
            let ended = match self.endpoint() {
                Ok(endpoint) => {
                    let served = serve(endpoint, self.shared.clone(), stop.clone());
                    // In a task of its own, as whatever panics in it must not end the loop.
                    tokio::spawn(served).await.unwrap_or_else(|error| {
                        self.shared.keeper.ended(Err(error));
                        Ended::Failed
                    })
                }
                Err(error) => {
                    if let Some(untold_before) = failing.admit(Instant::now().into_std()) {
                        tracing::warn!(
                            %error,
                            untold_before,
                            "DNS over QUIC cannot be served; trying again"
                        );
                    }
                    Ended::Failed
                }
            };
            if ended == Ended::Failed {
                tokio::select! {
                    () = sleep(BACK_OFF) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            }
        }
    }

    /// Opens an endpoint on the socket.
    fn endpoint(&self) -> io::Result<Endpoint> {
        Endpoint::new(
            EndpointConfig::default(),
            Some(self.config.clone()),
            self.socket.try_clone()?,
            self.runtime.clone(),
        )
    }
}

/// Returns what is agreed on with clients.
fn config(certificate: Arc<Certificate>, idle: Duration) -> ServerConfig {
    let tls = QuicServerConfig::try_from(tls::doq(certificate))
        .expect("TLS 1.3 with early data of any size is what QUIC asks for: a test does both");
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(STREAMS.into())
        // There are none in DNS (RFC 9250, section 4.2).
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(UNREAD.into())
        .receive_window(UNREAD.into())
        .send_window(UNSENT)
        .datagram_receive_buffer_size(None)
        // Almost every answer fits into the least there may be: nothing is won by asking what the
        // path takes, and each client would cost some datagrams more.
        .mtu_discovery_config(None)
        // A client that has gone away; one that only keeps its connection open is given up by
        // whoever serves it.
        .max_idle_timeout(IdleTimeout::try_from(idle).ok());
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config
        .transport_config(Arc::new(transport))
        // The limits are those of the address that a connection began with.
        .migration(false)
        .max_incoming(INCOMING)
        .incoming_buffer_size(EARLY)
        .incoming_buffer_size_total(EARLY_TOTAL);
    config
}

/// Accepts connections of one endpoint until it ends.
async fn serve(endpoint: Endpoint, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) -> Ended {
    let mut connections = JoinSet::new();
    let ended = loop {
        tokio::select! {
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => {
                    if let Some(serving) = shared.clone().admit(incoming) {
                        connections.spawn(serving);
                    }
                }
                None => break Ended::Failed,
            },
            Some(ended) = connections.join_next() => shared.keeper.ended(ended),
            _ = stop.wait_for(|stop| *stop) => break Ended::Stopped,
        }
    };
    shared.handshakes.dismiss();
    shared.keeper.slots.dismiss();
    let drained = async {
        while let Some(ended) = connections.join_next().await {
            shared.keeper.ended(ended);
        }
    };
    let _ = timeout(DRAIN, drained).await;
    endpoint.close(NO_ERROR, b"");
    // Until clients have been told; whom that does not reach finds out.
    let _ = timeout(LAST_ANSWERS, endpoint.wait_idle()).await;
    ended
}

impl Shared {
    /// Lets a client in as far as there is room; returns what serves it.
    ///
    /// With some handshakes under way, a client must first show that its address is its own
    /// (RFC 9000, section 8.1.2): a flood with false ones then costs us one small datagram each,
    /// and takes no place. So many, no more than half of what one source gets, that nobody can
    /// take all places of another one in its name.
    fn admit(self: Arc<Self>, incoming: Incoming) -> Option<impl Future<Output = ()> + use<>> {
        let under_way = self.handshakes.count();
        if !incoming.remote_address_validated() && under_way >= self.keeper.limits.per_source / 2 {
            // It can: only who has shown it already cannot be asked to.
            let _ = incoming.retry();
            return None;
        }
        let peer = incoming.remote_address();
        let Some(place) = self.keeper.place(&self.handshakes, peer.ip()) else {
            incoming.refuse();
            return None;
        };
        Some(self.meet(incoming, peer, place))
    }

    /// Serves a client from its first datagram on.
    async fn meet(self: Arc<Self>, incoming: Incoming, peer: SocketAddr, place: Slot) {
        let Some(connecting) = incoming.accept().ok() else {
            return self.counts.failed();
        };
        // A server can always send before the handshake is complete.
        let Ok((connection, complete)) = connecting.into_0rtt() else {
            return self.counts.failed();
        };
        let mut served = Served::new(self.clone(), connection, peer);
        if !served.early(complete, &place).await {
            served.connection.close(NO_ERROR, b"");
            return self.counts.failed();
        }
        self.counts.completed();
        drop(place);
        match self.keeper.place(&self.keeper.slots, peer.ip()) {
            Some(slot) => served.serve(&slot).await,
            None => served.connection.close(EXCESSIVE_LOAD, b""),
        }
    }
}

/// One connection.
struct Served {
    /// What it shares with others.
    shared: Arc<Shared>,
    /// The connection.
    connection: Connection,
    /// Where the client is.
    peer: SocketAddr,
    /// Queries that are being read or answered.
    streams: JoinSet<Result<(), StreamEnd>>,
    /// How many octets of queries may still be read.
    room: Arc<Semaphore>,
}

impl Served {
    /// Begins to serve a connection.
    fn new(shared: Arc<Shared>, connection: Connection, peer: SocketAddr) -> Self {
        Self {
            shared,
            connection,
            peer,
            streams: JoinSet::new(),
            room: Arc::new(Semaphore::new(ROOM)),
        }
    }

    /// Answers what came early until the handshake is complete; returns whether it came to that.
    async fn early(&mut self, complete: impl Future<Output = bool>, place: &Slot) -> bool {
        let mut complete = pin!(timeout(HANDSHAKE, complete));
        let idle = self.shared.keeper.limits.idle;
        loop {
            tokio::select! {
                biased;
                // What it says is whether anything came early.
                complete = &mut complete => {
                    return complete.is_ok() && self.connection.close_reason().is_none();
                }
                stream = self.connection.accept_bi() => match stream {
                    Ok((send, receive)) => {
                        self.ask(QueryStream { send, receive }, Early::Yes, idle);
                    }
                    Err(_) => return false,
                },
                // None ends well here, nor counts as a query of who has asked: a client cannot
                // acknowledge an answer before its handshake is complete.
                Some(ended) = self.streams.join_next() => {
                    if self.took(ended) == Err(StreamEnd::Violation) {
                        self.connection.close(PROTOCOL_ERROR, b"");
                        return false;
                    }
                }
                () = place.leave() => return false,
            }
        }
    }

    /// Answers until the client closes, falls silent, breaks the protocol, or has to leave.
    ///
    /// Only an answered query counts against silence: what else a QUIC client may send keeps the
    /// connection alive, not in its place.
    async fn serve(mut self, slot: &Slot) {
        let idle = self.shared.keeper.limits.idle;
        let mut deadline = Instant::now() + idle;
        let mut alarm = pin!(sleep_until(deadline));
        let code = loop {
            tokio::select! {
                stream = self.connection.accept_bi() => match stream {
                    Ok((send, receive)) => {
                        let idle = slot.patience(idle);
                        self.ask(QueryStream { send, receive }, Early::No, idle);
                    }
                    Err(_) => return,
                },
                Some(ended) = self.streams.join_next() => match self.took(ended) {
                    Ok(()) => {
                        let now = Instant::now();
                        slot.asked(now.into_std());
                        deadline = now + slot.least_patience(idle);
                        alarm.as_mut().reset(deadline);
                    }
                    Err(StreamEnd::Cancelled) => {}
                    Err(StreamEnd::Violation) => break PROTOCOL_ERROR,
                },
                () = slot.leave() => break EXCESSIVE_LOAD,
                () = &mut alarm => break NO_ERROR,
            }
        };
        if code != PROTOCOL_ERROR {
            let last = async { while self.streams.join_next().await.is_some() {} };
            let _ = timeout(LAST_ANSWERS, last).await;
        }
        self.connection.close(code, b"");
    }

    /// Begins to answer what comes over a stream.
    fn ask(&mut self, stream: QueryStream, early: Early, idle: Duration) {
        let client = Client {
            address: self.peer.ip(),
            is_early: early == Early::Yes,
            idle,
        };
        let (shared, room) = (self.shared.clone(), self.room.clone());
        self.streams.spawn(async move {
            let Doorkeeper {
                responder, limits, ..
            } = &shared.keeper;
            stream.serve(responder, client, &room, limits.write).await
        });
    }

    /// Takes note of a stream's end; a panic costs that stream and is counted.
    fn took(&self, ended: Result<Result<(), StreamEnd>, JoinError>) -> Result<(), StreamEnd> {
        ended.unwrap_or_else(|error| {
            self.shared.keeper.ended(Err(error));
            Err(StreamEnd::Cancelled)
        })
    }
}

/// Whether a query came before the handshake was complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Early {
    /// It may be a replay.
    Yes,
    /// It cannot be.
    No,
}
