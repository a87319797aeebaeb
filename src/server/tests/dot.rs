//! DNS over TLS as a client sees it.

use std::io;
use std::net::Ipv4Addr;
use std::time::Instant;

use rustls::client::Resumption;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, StreamOwned, SupportedProtocolVersion,
};

use super::crowds::connect_from;
use super::shown::{NAME, Shown};
use super::*;

/// A client's end of a TLS connection.
type Client = StreamOwned<ClientConnection, TcpStream>;

/// Completes a handshake.
fn connect(config: ClientConfig, stream: TcpStream) -> io::Result<Client> {
    let name = NAME.try_into().unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = stream;
    while tls.is_handshaking() {
        tls.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(tls, stream))
}

/// Asks something and asserts that it is answered.
#[track_caller]
fn assert_answers(client: &mut Client) {
    let query = query(3, b"in secret");
    client.write_all(&framed(&query)).unwrap();
    assert_eq!(read(client), answer(query));
}

/// Reads one message behind its length.
#[track_caller]
fn read(client: &mut Client) -> Vec<u8> {
    let mut prefix = [0; 2];
    client.read_exact(&mut prefix).unwrap();
    let mut message = vec![0; usize::from(u16::from_be_bytes(prefix))];
    client.read_exact(&mut message).unwrap();
    message
}

/// Runs a blocking test against a server with TLS.
async fn served(
    shown: Shown,
    config: ServerConfig,
    test: impl FnOnce(SocketAddr, Shown, &Running, Responders) + Send + 'static,
) {
    let responders = responders();
    let running = start(&config, &responders).unwrap();
    let server = running.dot_addresses()[0];
    let runtime = tokio::runtime::Handle::current();
    let running = tokio::task::spawn_blocking(move || {
        let _inside = runtime.enter();
        test(server, shown, &running, responders);
        running
    });
    timeout(LONG, running.await.unwrap().stop()).await.unwrap();
}

#[tokio::test]
async fn rfc7858_queries_are_answered_over_tls_of_both_versions() {
    let shown = Shown::new();
    let config = shown.config();
    served(shown, config, |server, shown, _, responders| {
        let versions: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        for version in versions {
            for protocols in [&[&b"dot"[..]][..], &[]] {
                let config = shown.client(version, protocols);
                let mut client = connect(config, tcp_client(server)).unwrap();

                assert_eq!(client.conn.alpn_protocol(), protocols.first().copied());
                assert_answers(&mut client);
                assert_answers(&mut client);
            }
        }
        let text = responders.metrics.render();
        assert!(
            text.contains("{result=\"completed\",transport=\"dot\"} 4"),
            "{text}"
        );
    })
    .await;
}

#[tokio::test]
async fn rfc7766_6_2_1_1_queries_are_pipelined_over_tls_too() {
    let shown = Shown::new();
    let config = shown.config();
    served(shown, config, |server, shown, _, _| {
        let mut client = connect(shown.client(&TLS13, &[b"dot"]), tcp_client(server)).unwrap();
        // More answers than TLS or we hold at a time.
        let last = query(9, b"the last");
        let octets = [framed(&LARGE).repeat(12), framed(&last)].concat();
        client.conn.set_buffer_limit(None);
        client.write_all(&octets).unwrap();

        for _ in 0..12 {
            assert_eq!(read(&mut client).len(), 65_535);
        }
        assert_eq!(read(&mut client), answer(last));
    })
    .await;
}

#[tokio::test]
async fn rfc7858_3_4_a_session_is_taken_up_again_without_a_full_handshake() {
    let shown = Shown::new();
    let config = shown.config();
    served(shown, config, |server, shown, _, _| {
        let versions: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        for version in versions {
            let config = shown.client(version, &[b"dot"]);
            for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
                let mut client = connect(config.clone(), tcp_client(server)).unwrap();

                // The ticket comes with the first answer.
                assert_answers(&mut client);
                assert_eq!(client.conn.handshake_kind(), Some(kind));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn who_speaks_another_protocol_is_turned_away_and_others_go_on() {
    let shown = Shown::new();
    let config = shown.config();
    served(shown, config, |server, shown, _, responders| {
        assert!(connect(shown.client(&TLS13, &[b"h2"]), tcp_client(server)).is_err());
        let mut plain = tcp_client(server);
        plain
            .write_all(&framed(&query(1, b"in the clear")))
            .unwrap();
        // An alert, then the end: no answer.
        let mut octets = Vec::new();
        let _ = plain.read_to_end(&mut octets);
        assert!(octets.len() < 10, "{octets:02x?}");

        assert_answers(&mut connect(shown.client(&TLS13, &[b"dot"]), tcp_client(server)).unwrap());
        // Clients may hear of it before it is counted.
        let failed = "{result=\"failed\",transport=\"dot\"} 2";
        let begun = Instant::now();
        while !responders.metrics.render().contains(failed) {
            assert!(begun.elapsed() < LONG, "{}", responders.metrics.render());
            std::thread::yield_now();
        }
    })
    .await;
}

#[tokio::test]
async fn handshakes_that_nobody_finishes_keep_nobody_waiting() {
    let shown = Shown::new();
    let mut config = shown.config();
    config.tcp.connections = 20;
    served(shown, config, |server, shown, _, _| {
        let mut at_work = connect(shown.client(&TLS13, &[b"dot"]), tcp_client(server)).unwrap();
        let mut silent = Vec::new();
        for number in 0..100 {
            let mut stream = connect_from(Ipv4Addr::new(127, 9, number, 1), server);
            // Half of them begin: a record of which little comes.
            if number % 2 == 0 {
                stream.write_all(b"\x16\x03\x01\x02\x00\x01").unwrap();
            }
            silent.push(stream);
            if number % 10 == 0 {
                assert_answers(&mut at_work);
                let stream = connect_from(Ipv4Addr::new(127, 10, number, 1), server);
                let config = shown.client(&TLS13, &[b"dot"]);
                assert_answers(&mut connect(config, stream).unwrap());
            }
        }
    })
    .await;
}

#[tokio::test]
async fn connections_over_tls_and_over_tcp_have_places_of_their_own() {
    let shown = Shown::new();
    let mut config = shown.config();
    config.tcp.per_source = 1;
    config.tcp.idle = NEVER;
    served(shown, config, |server, shown, running, _| {
        let tls = || connect(shown.client(&TLS13, &[b"dot"]), tcp_client(server));
        let mut over_tls = tls().unwrap();
        let mut over_tcp = tcp_client(running.addresses()[0]);
        let query = query(1, b"");

        over_tcp.write_all(&framed(&query)).unwrap();
        assert_eq!(read_message(&mut over_tcp), answer(query));
        assert_answers(&mut over_tls);
        // The handshake is had, a place is not.
        let mut second = tls().unwrap();
        assert!(!matches!(second.read(&mut [0]), Ok(1..)));
        assert_answers(&mut over_tls);
    })
    .await;
}

#[tokio::test]
async fn a_certificate_is_replaced_while_clients_ask() {
    let shown = Shown::new();
    let config = shown.config();
    served(shown, config, |server, mut shown, running, responders| {
        let peer = |client: &Client| client.conn.peer_certificates().unwrap()[0].clone();
        let mut before = connect(shown.client(&TLS13, &[b"dot"]), tcp_client(server)).unwrap();
        let renewed = shown.renew();
        let mut config = shown.client(&TLS13, &[b"dot"]);
        // A session that is taken up again goes on with the certificate that it began with.
        config.resumption = Resumption::disabled();

        running.reload_certificate(shown.files());

        // Every client on the way there is served, by one certificate or the other.
        let mut shakes = 0;
        loop {
            let mut client = connect(config.clone(), tcp_client(server)).unwrap();
            assert_answers(&mut client);
            assert_answers(&mut before);
            if peer(&client) == renewed {
                break;
            }
            shakes += 1;
            assert!(shakes < 10_000, "it is taken over");
        }
        let broken = shown.files().key;
        std::fs::write(broken, "no key").unwrap();
        running.reload_certificate(shown.files());
        let mut client = connect(config, tcp_client(server)).unwrap();
        assert_answers(&mut client);
        let text = responders.metrics.render();
        assert!(
            text.contains("mxpool_dns_certificate_expiry_timestamp_seconds"),
            "{text}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_panic_over_tls_costs_one_answer() {
    let shown = Shown::new();
    let config = shown.config();
    served(shown, config, |server, shown, _, responders| {
        let mut client = connect(shown.client(&TLS13, &[b"dot"]), tcp_client(server)).unwrap();

        client.write_all(&framed(&PANIC)).unwrap();

        assert_eq!(read(&mut client)[3], 2);
        assert_answers(&mut client);
        let text = responders.metrics.render();
        assert!(text.contains("mxpool_dns_handler_panics_total 1"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_shown_keeps_the_server_from_starting() {
    let shown = Shown::new();
    std::fs::write(shown.files().key, "no key").unwrap();

    let error = start(&shown.config(), &responders()).err().unwrap();

    let wanted = "cannot serve TLS: expected a private key in PEM, found none in ";
    assert!(error.to_string().starts_with(wanted), "{error}");
}
