//! DNS over QUIC as a client sees it.

use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    AsyncTimer, AsyncUdpSocket, ClientConfig, Connection, ConnectionError, Endpoint,
    ReadToEndError, Runtime, TokioRuntime, VarInt,
};
use rustls::version::TLS13;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::server::doorkeeper::Doorkeeper;
use crate::server::encrypted::certificate::Certificate;
use crate::server::encrypted::doq::DoqListener;
use crate::server::slots::Slots;
use crate::server::socket;
use crate::wire::Transport;

use super::shown::{NAME, Shown};
use super::*;

/// "A protocol error" (RFC 9250, section 4.3).
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);

/// How often a client comes early until it is met: should the server look only once the handshake is
/// complete, what came early is early no more.
const TRIES: usize = 100;

/// A server with QUIC, and a client of it.
struct Quic {
    running: Running,
    server: SocketAddr,
    responders: Responders,
    client: Endpoint,
    /// What it shows.
    shown: Shown,
}

impl Quic {
    /// Starts both, with the server's configuration as the test wants it.
    fn start(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let shown = Shown::new();
        let mut config = shown.config();
        change(&mut config);
        let responders = responders();
        let running = start(&config, &responders).unwrap();
        Self {
            server: running.doq_addresses()[0],
            running,
            responders,
            client: client(&shown),
            shown,
        }
    }

    /// Completes a handshake.
    async fn connect(&self) -> Connection {
        let connecting = self.client.connect(self.server, NAME).unwrap();
        timeout(LONG, connecting).await.unwrap().unwrap()
    }

    /// Goes on with the session of a connection before, and does not wait for the handshake.
    fn connect_early(&self) -> Connection {
        let connecting = self.client.connect(self.server, NAME).unwrap();
        let early = connecting.into_0rtt().ok();
        early.expect("a session to go on with").0
    }

    /// Stops both.
    async fn stop(self) {
        timeout(LONG, self.running.stop()).await.unwrap();
    }
}

/// A listener alone, with its places in hand, and a client of it.
struct Alone {
    server: SocketAddr,
    client: Endpoint,
    /// The places of connections.
    slots: Slots,
    /// Ends it.
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
    /// Keeps the certificate.
    _shown: Shown,
}

impl Alone {
    /// Starts it.
    fn start() -> Self {
        Self::start_on(Arc::new(TokioRuntime))
    }

    /// Starts it on a runtime.
    fn start_on(runtime: Arc<dyn Runtime>) -> Self {
        let (shown, responders) = (Shown::new(), responders());
        let (clock, metrics) = (responders.clock.clone(), responders.metrics.clone());
        let certificate = Certificate::load(shown.files(), clock, metrics).unwrap();
        let socket = socket::quic("127.0.0.1:0".parse().unwrap()).unwrap();
        let server = socket.local_addr().unwrap();
        let limits = TcpLimits::default();
        let slots = Slots::new(&limits, None);
        let mut listener = DoqListener::new(
            socket,
            Arc::new(certificate),
            Doorkeeper {
                responder: responders.responder(Transport::Doq),
                limits,
                slots: slots.clone(),
            },
            Slots::new(&limits, None),
            responders.metrics.handshakes(Transport::Doq),
        );
        listener.runtime = runtime;
        let (stop, stopped) = watch::channel(false);
        Self {
            server,
            client: client(&shown),
            slots,
            stop,
            running: tokio::spawn(listener.run(stopped)),
            _shown: shown,
        }
    }

    /// Completes a handshake.
    async fn connect(&self) -> Connection {
        let connecting = self.client.connect(self.server, NAME).unwrap();
        timeout(LONG, connecting).await.unwrap().unwrap()
    }

    /// Stops the listener.
    async fn stop(self) {
        self.stop.send_replace(true);
        timeout(LONG, self.running).await.unwrap().unwrap();
    }
}

/// Returns a client that trusts what is shown.
fn client(shown: &Shown) -> Endpoint {
    let mut tls = shown.client(&TLS13, &[b"doq"]);
    tls.enable_early_data = true;
    let config = QuicClientConfig::try_from(tls).unwrap();
    let mut client = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    client.set_default_client_config(ClientConfig::new(Arc::new(config)));
    client
}

/// Sends octets over a stream of their own and returns what comes back until its end.
async fn ask(connection: &Connection, octets: &[u8]) -> Result<Vec<u8>, ReadToEndError> {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(octets).await.unwrap();
    send.finish().unwrap();
    timeout(LONG, receive.read_to_end(70_000)).await.unwrap()
}

/// Asks something and asserts that it is answered, and how.
async fn assert_answers(connection: &Connection) {
    let query = query(0, b"in secret");
    let reply = ask(connection, &framed(&query)).await.unwrap();
    assert_eq!(reply, framed(&answer(query)));
}

/// Waits until something is so that a server's threads are about to do.
async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, waiting).await.unwrap();
}

/// Returns whether an answer to [`HOW`], behind its length, says that it came early.
fn is_early(reply: &[u8]) -> bool {
    reply[2 + 2] & 1 == 1
}

/// Asserts that a connection is closed as by someone who broke the protocol.
async fn assert_violation(connection: Connection) {
    let closed = timeout(LONG, connection.closed()).await.unwrap();
    let ConnectionError::ApplicationClosed(closed) = closed else {
        panic!("{closed}");
    };
    assert_eq!(closed.error_code, PROTOCOL_ERROR);
}

#[tokio::test]
async fn rfc9250_4_2_each_query_has_a_stream_and_its_answer_ends_it() {
    let quic = Quic::start(|_| {});
    let connection = quic.connect().await;

    assert_answers(&connection).await;
    let reply = ask(&connection, &framed(&[0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])).await;
    assert_eq!(
        reply.unwrap(),
        framed(&[0, 0, 0x81, 0, 0, 1, 0, 0, 0, 0, 0, 0])
    );
    let longest = query(0, &vec![7; 65_535 - 12]);
    let reply = ask(&connection, &framed(&longest)).await.unwrap();

    assert_eq!(reply, framed(&answer(longest)));
    let text = quic.responders.metrics.render();
    assert!(
        text.contains("{result=\"completed\",transport=\"doq\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("mxpool_dns_connections{transport=\"doq\"} 1"),
        "{text}"
    );
    quic.stop().await;
}

#[tokio::test]
async fn rfc9250_4_1_1_who_speaks_another_protocol_is_turned_away() {
    let quic = Quic::start(|_| {});
    let tls = quic.shown.client(&TLS13, &[b"h3"]);
    let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));

    let connecting = quic.client.connect_with(config, quic.server, NAME).unwrap();
    let refused = timeout(LONG, connecting).await.unwrap().unwrap_err();

    // The alert no_application_protocol.
    assert!(refused.to_string().contains("error 120"), "{refused}");
    assert_answers(&quic.connect().await).await;
    // The client may hear of it before it is counted.
    let failed = "{result=\"failed\",transport=\"doq\"} 1";
    until(|| quic.responders.metrics.render().contains(failed)).await;
    quic.stop().await;
}

#[tokio::test]
async fn rfc9250_5_6_queries_do_not_wait_for_each_other() {
    let quic = Quic::start(|_| {});
    let connection = quic.connect().await;
    let whole = framed(&query(0, b"of which the rest comes late"));
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(&whole[..9]).await.unwrap();

    for _ in 0..200 {
        assert_answers(&connection).await;
    }
    send.write_all(&whole[9..]).await.unwrap();
    send.finish().unwrap();

    let reply = timeout(LONG, receive.read_to_end(100)).await.unwrap();
    assert_eq!(reply.unwrap()[2..], answer(whole[2..].to_vec()));
    quic.stop().await;
}

#[tokio::test]
async fn rfc9250_4_3_3_who_breaks_the_protocol_loses_the_connection() {
    let quic = Quic::start(|_| {});
    let whole = framed(&query(0, b""));
    for broken in [
        framed(&query(1, b"an id")),
        whole[..whole.len() - 1].to_vec(),
        whole[..1].to_vec(),
        Vec::new(),
        whole.repeat(2),
        framed(&answer(query(0, b"an answer"))),
        framed(&[0; 11]),
    ] {
        let bystander = quic.connect().await;
        let connection = quic.connect().await;

        let reply = ask(&connection, &broken).await;

        assert!(reply.is_err(), "{broken:02x?} was answered");
        assert_violation(connection).await;
        assert_answers(&bystander).await;
    }
    // All but the response, which has a reason of its own.
    let text = quic.responders.metrics.render();
    assert!(text.contains("{reason=\"malformed\"} 6"), "{text}");
    assert!(text.contains("{reason=\"response_bit\"} 1"), "{text}");
    quic.stop().await;
}

#[tokio::test]
async fn rfc9250_4_2_there_are_no_streams_of_one_direction() {
    let quic = Quic::start(|_| {});
    let connection = quic.connect().await;

    let opened = timeout(Duration::from_millis(200), connection.open_uni()).await;

    assert!(opened.is_err(), "a client must not open one");
    assert_answers(&connection).await;
    quic.stop().await;
}

#[tokio::test]
async fn rfc9250_4_5_what_comes_early_is_answered_and_known_as_such() {
    let quic = Quic::start(|_| {});
    let connection = quic.connect().await;
    assert!(!is_early(&ask(&connection, &framed(&HOW)).await.unwrap()));
    connection.close(VarInt::from_u32(0), b"");

    for _ in 0..TRIES {
        let connection = quic.connect_early();
        let reply = ask(&connection, &framed(&HOW)).await.unwrap();
        assert!(!is_early(&ask(&connection, &framed(&HOW)).await.unwrap()));
        if is_early(&reply) {
            return quic.stop().await;
        }
    }
    panic!("nothing was taken as early");
}

#[tokio::test]
async fn a_client_that_asked_early_counts_as_one_that_has_asked() {
    let alone = Alone::start();
    let first = alone.connect().await;
    assert_answers(&first).await;
    first.close(VarInt::from_u32(0), b"");

    for _ in 0..TRIES {
        until(|| alone.slots.count() == 0).await;
        let connecting = alone.client.connect(alone.server, NAME).unwrap();
        let early = connecting.into_0rtt().ok();
        let (connection, _) = early.expect("a session to go on with");
        let reply = ask(&connection, &framed(&HOW)).await.unwrap();
        if is_early(&reply) {
            until(|| alone.slots.at_work() == 1).await;
            return alone.stop().await;
        }
        connection.close(VarInt::from_u32(0), b"");
    }
    panic!("nothing was taken as early");
}

#[tokio::test]
async fn handshakes_that_nobody_finishes_keep_nobody_waiting() {
    let quic = Quic::start(|config| config.tcp.connections = 40);
    let at_work = quic.connect().await;
    // First datagrams of many handshakes, caught on their way.
    let catcher = UdpSocket::bind("127.0.0.1:0").unwrap();
    catcher.set_read_timeout(Some(LONG)).unwrap();
    let mut never = Vec::new();
    let mut firsts = Vec::new();
    for _ in 0..60 {
        let connecting = quic.client.connect(catcher.local_addr().unwrap(), NAME);
        never.push(connecting.unwrap());
    }
    let caught = tokio::task::spawn_blocking(move || {
        let mut datagram = [0; 2_000];
        while firsts.len() < 60 {
            let length = catcher.recv(&mut datagram).unwrap();
            firsts.push(datagram[..length].to_vec());
        }
        firsts
    });
    let firsts = caught.await.unwrap();

    // Each from a network of its own, as a flood with false addresses is.
    for (number, first) in firsts.iter().enumerate() {
        let source = Ipv4Addr::new(127, 7, u8::try_from(number).unwrap(), 1);
        let flood = UdpSocket::bind((source, 0)).unwrap();
        flood.send_to(first, quic.server).unwrap();
        if number % 10 == 9 {
            assert_answers(&at_work).await;
            assert_answers(&quic.connect().await).await;
        }
    }

    quic.stop().await;
}

#[tokio::test]
async fn one_source_has_its_share_of_connections_and_others_go_on() {
    let quic = Quic::start(|config| {
        config.tcp.per_source = 2;
        config.tcp.idle = NEVER;
    });
    let [one, two] = [quic.connect().await, quic.connect().await];
    assert_answers(&one).await;
    assert_answers(&two).await;

    let connecting = quic.client.connect(quic.server, NAME).unwrap();
    let refused = match timeout(LONG, connecting).await.unwrap() {
        Ok(connection) => timeout(LONG, connection.closed()).await.unwrap(),
        Err(error) => error,
    };

    assert!(
        matches!(
            refused,
            ConnectionError::ApplicationClosed(_) | ConnectionError::ConnectionClosed(_)
        ),
        "{refused}"
    );
    assert_answers(&one).await;
    let text = quic.responders.metrics.render();
    assert!(text.contains("{reason=\"overload\"} 1"), "{text}");
    quic.stop().await;
}

#[tokio::test]
async fn rfc9250_5_5_2_a_silent_connection_is_closed_whatever_keeps_it_alive() {
    let quic = Quic::start(|config| config.tcp.idle = Duration::from_millis(300));
    let connection = quic.connect().await;
    let (mut send, _receive) = connection.open_bi().await.unwrap();

    // Octets of a query that does not end.
    let trickle = async {
        let _ = send.write_all(&[0xff, 0xff]).await;
        while send.write_all(&[0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, trickle).await.unwrap();

    match connection.closed().await {
        ConnectionError::ApplicationClosed(closed) => {
            assert_eq!(closed.error_code, VarInt::from_u32(0));
        }
        // Should the machine have stood still for as long, nothing kept it alive.
        closed => assert_eq!(closed, ConnectionError::TimedOut),
    }
    quic.stop().await;
}

#[tokio::test]
async fn a_panic_over_quic_costs_one_answer() {
    let quic = Quic::start(|_| {});
    let connection = quic.connect().await;
    let mut panic = PANIC;
    panic[..2].fill(0);

    let reply = ask(&connection, &framed(&panic)).await.unwrap();

    assert_eq!(reply[2 + 3], 2);
    assert_answers(&connection).await;
    let text = quic.responders.metrics.render();
    assert!(text.contains("mxpool_dns_handler_panics_total 1"), "{text}");
    quic.stop().await;
}

/// A runtime that cannot have a first socket, and loses the task of the first endpoint after that, as
/// when it panics.
#[derive(Debug, Default)]
struct Failing {
    /// How many sockets it was to have.
    sockets: AtomicUsize,
    /// How many tasks it was to run.
    tasks: AtomicUsize,
}

impl Runtime for Failing {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        if self.tasks.fetch_add(1, Ordering::Relaxed) > 0 {
            TokioRuntime.spawn(task);
        }
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        if self.sockets.fetch_add(1, Ordering::Relaxed) == 0 {
            return Err(io::Error::other("there is no first socket"));
        }
        TokioRuntime.wrap_udp_socket(socket)
    }
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_opened_or_fails_is_opened_again_on_its_address() {
    let failing = Arc::new(Failing::default());
    let alone = Alone::start_on(failing.clone());

    assert_answers(&alone.connect().await).await;

    assert_eq!(failing.sockets.load(Ordering::Relaxed), 3);
    alone.stop().await;
}

#[tokio::test]
async fn stopping_closes_connections_without_an_error() {
    let quic = Quic::start(|_| {});
    let connection = quic.connect().await;
    assert_answers(&connection).await;

    quic.stop().await;

    let closed = timeout(LONG, connection.closed()).await.unwrap();
    assert!(
        matches!(closed, ConnectionError::ApplicationClosed(_)),
        "{closed}"
    );
}
