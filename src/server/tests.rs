//! The sockets as a client sees them; what answers is a stand-in.

mod connections;
mod crowds;
mod datagrams;
mod doq;
mod dot;
mod shown;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::clock::{ManualClock, Timestamp};
use crate::metrics::Metrics;
use crate::wire::Rcode;
use crate::zone::{
    Answered, Asker, DropReason, Foreseen, ResponseClass, Subject, Verdict, ZoneView, zone_set,
};

use super::responder::Responders;
use super::running::start;
use super::{Running, ServerConfig, ServerError, TcpLimits};

/// Longer than anything here may take.
const LONG: Duration = Duration::from_secs(20);

/// An idle limit that nobody comes to, nor to the part of it after which connections of one source
/// give way to each other.
const NEVER: Duration = Duration::from_secs(36_000);

/// A query that the stand-in panics at.
const PANIC: [u8; 12] = *b"\x12\x34\x01\0panic!!!";

/// A query that the stand-in answers with as much as it can.
const LARGE: [u8; 12] = *b"\x12\x34\x01\0large!!!";

/// A query whose answer has the RD bit set if it came early.
const HOW: [u8; 12] = *b"\0\0\0\0how????!";

/// Echoes queries with QR set; drops what must be dropped.
fn stand_in(
    _: &ZoneView,
    query: &[u8],
    _: Option<&Foreseen>,
    asker: &Asker<'_>,
    _: Timestamp,
    reply: &mut Vec<u8>,
) -> Verdict {
    reply.clear();
    assert!(!query.ends_with(&PANIC[2..]), "asked to panic");
    if query.len() < 12 {
        return Verdict::Drop(DropReason::TooShort);
    }
    if query[2] & 0x80 != 0 {
        return Verdict::Drop(DropReason::IsResponse);
    }
    reply.extend_from_slice(query);
    reply[2] |= 0x80;
    if query == LARGE {
        reply.resize(65_535, 0);
    }
    if query == HOW {
        reply[2] |= u8::from(asker.is_early);
    }
    Verdict::Reply(Answered {
        rcode: Rcode::NOERROR,
        qtype: None,
        truncated: false,
        class: ResponseClass::Positive,
        subject: Subject::default(),
        cookie: None,
    })
}

/// Returns responders around the stand-in.
fn responders() -> Responders {
    Responders {
        zones: zone_set().1,
        clock: Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000))),
        metrics: Arc::new(Metrics::new()),
        settings: Arc::default(),
        answer: stand_in,
        limiter: None,
    }
}

/// Returns a configuration that listens on a free port of `address`.
fn config(address: &str) -> ServerConfig {
    let address: IpAddr = address.parse().unwrap();
    ServerConfig {
        listen: vec![SocketAddr::new(address, 0)],
        udp_workers: 2,
        ..ServerConfig::default()
    }
}

/// Starts a server on a free port of `address`.
fn server(address: &str) -> (Running, SocketAddr, Responders) {
    let responders = responders();
    let running = start(&config(address), &responders).unwrap();
    let address = running.addresses()[0];
    (running, address, responders)
}

/// Returns a query of 12 octets and what follows.
fn query(id: u16, rest: &[u8]) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    query.extend_from_slice(rest);
    query
}

/// Returns the stand-in's answer to a query.
fn answer(mut query: Vec<u8>) -> Vec<u8> {
    query[2] |= 0x80;
    query
}

/// Returns a message behind its length.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    framed
}

/// Returns a client that hears only what comes from `server` itself.
fn udp_client(server: SocketAddr) -> UdpSocket {
    let any = if server.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let client = UdpSocket::bind(any).unwrap();
    client.connect(server).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client
}

/// Sends a datagram and returns the answer.
fn ask_udp(client: &UdpSocket, query: &[u8]) -> Vec<u8> {
    client.send(query).unwrap();
    let mut reply = vec![0; 65_535];
    let length = client.recv(&mut reply).unwrap();
    reply.truncate(length);
    reply
}

/// Returns a TCP client that does not wait for ever.
fn tcp_client(server: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(server).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client
}

/// Reads one message behind its length.
fn read_message(client: &mut TcpStream) -> Vec<u8> {
    let mut prefix = [0; 2];
    client.read_exact(&mut prefix).unwrap();
    let mut message = vec![0; usize::from(u16::from_be_bytes(prefix))];
    client.read_exact(&mut message).unwrap();
    message
}

/// Returns a runtime's worth of server for tests that speak blocking sockets.
macro_rules! served {
    ($address:literal, |$server:ident, $responders:ident| $body:block) => {
        let (running, $server, $responders) = server($address);
        tokio::task::spawn_blocking(move || {
            let _ = &$responders;
            $body
        })
        .await
        .unwrap();
        timeout(LONG, running.stop()).await.unwrap();
    };
}

#[tokio::test]
async fn datagrams_are_answered_from_the_address_asked() {
    served!("0.0.0.0", |server, _responders| {
        for asked in ["127.0.0.1", "127.0.0.53", "127.1.2.3"] {
            let client = udp_client(SocketAddr::new(asked.parse().unwrap(), server.port()));
            let query = query(7, b"which address");

            assert_eq!(ask_udp(&client, &query), answer(query), "{asked}");
        }
    });
}

#[tokio::test]
async fn a_wildcard_of_ipv6_leaves_ipv4_alone() {
    if UdpSocket::bind("[::1]:0").is_err() {
        println!("skipped: this machine has no IPv6");
        return;
    }
    served!("::", |server, _responders| {
        let client = udp_client(SocketAddr::new("::1".parse().unwrap(), server.port()));
        let query = query(7, b"");

        assert_eq!(ask_udp(&client, &query), answer(query));
        assert!(TcpStream::connect(("127.0.0.1", server.port())).is_err());
    });
}

#[tokio::test]
async fn a_panic_costs_one_answer_not_a_worker() {
    served!("127.0.0.1", |server, responders| {
        let client = udp_client(server);
        for _ in 0..10 {
            let reply = ask_udp(&client, &PANIC);
            assert_eq!(reply, b"\x12\x34\x81\x02\0\0\0\0\0\0\0\0");
        }
        let mut stream = tcp_client(server);
        stream.write_all(&framed(&PANIC)).unwrap();
        assert_eq!(read_message(&mut stream)[3], 2);

        let query = query(8, b"still there?");
        assert_eq!(ask_udp(&client, &query), answer(query));
        let text = responders.metrics.render();
        assert!(
            text.contains("mxpool_dns_handler_panics_total 11"),
            "{text}"
        );
    });
}

#[tokio::test]
async fn a_datagram_longer_than_any_query_is_refused_by_its_header() {
    served!("127.0.0.1", |server, responders| {
        let client = udp_client(server);

        let reply = ask_udp(&client, &query(0x1234, &[7; 60_000]));

        assert_eq!(reply, b"\x12\x34\x81\x01\0\0\0\0\0\0\0\0");
        // Somebody's answer is never answered, however long it is.
        client.send(&answer(query(1, &[7; 60_000]))).unwrap();
        let query = query(8, b"the next one");
        assert_eq!(ask_udp(&client, &query), answer(query));
        let text = responders.metrics.render();
        assert!(text.contains("{reason=\"response_bit\"} 1"), "{text}");
    });
}

#[tokio::test]
async fn garbage_is_dropped_and_counted() {
    served!("127.0.0.1", |server, responders| {
        let client = udp_client(server);
        for length in 0..12 {
            client.send(&vec![0; length]).unwrap();
        }
        client.send(&answer(query(1, b""))).unwrap();
        let query = query(8, b"the only one that is answered");

        assert_eq!(ask_udp(&client, &query), answer(query));
        // The kernel spreads datagrams by address and port: this client has one worker, which has
        // counted in order.
        let text = responders.metrics.render();
        assert!(text.contains("{reason=\"malformed\"} 12"), "{text}");
        assert!(text.contains("{reason=\"response_bit\"} 1"), "{text}");
    });
}

#[tokio::test]
async fn rfc7766_6_2_1_1_pipelined_queries_are_all_answered_in_order() {
    served!("127.0.0.1", |server, _responders| {
        let mut client = tcp_client(server);
        let queries: Vec<_> = (0..500).map(|id| query(id, &[7; 40])).collect();
        let octets: Vec<_> = queries.iter().flat_map(|query| framed(query)).collect();

        client.write_all(&octets).unwrap();

        for query in queries {
            assert_eq!(read_message(&mut client), answer(query));
        }
    });
}

#[tokio::test]
async fn rfc7766_8_a_query_may_come_octet_by_octet() {
    served!("127.0.0.1", |server, _responders| {
        let mut client = tcp_client(server);
        client.set_nodelay(true).unwrap();
        let query = query(9, b"slowly");

        for octet in framed(&query) {
            client.write_all(&[octet]).unwrap();
        }

        assert_eq!(read_message(&mut client), answer(query));
    });
}

#[tokio::test]
async fn a_half_closed_client_gets_its_answers() {
    served!("127.0.0.1", |server, _responders| {
        let mut client = tcp_client(server);
        let query = query(9, b"and no more");

        client.write_all(&framed(&query)).unwrap();
        client.write_all(&framed(&query)).unwrap();
        client.write_all(b"\0").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();

        assert_eq!(read_message(&mut client), answer(query.clone()));
        assert_eq!(read_message(&mut client), answer(query));
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    });
}

#[tokio::test]
async fn stopping_closes_connections_and_frees_the_port() {
    let (running, server, responders) = server("127.0.0.1");
    let asked = tokio::task::spawn_blocking(move || {
        let mut client = tcp_client(server);
        client.write_all(&framed(&query(1, b""))).unwrap();
        read_message(&mut client);
        client
    });
    let mut client = asked.await.unwrap();

    timeout(LONG, running.stop()).await.unwrap();

    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    let mut config = config("127.0.0.1");
    config.listen = vec![server];
    let again = start(&config, &responders).unwrap();
    assert_eq!(again.addresses(), [server]);
    timeout(LONG, again.stop()).await.unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    // Where no other test listens, so that it is free again.
    let taken = UdpSocket::bind("127.77.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (running, server, responders) = server("127.0.0.1");
    let mut config = config("127.0.0.1");

    config.listen = vec![taken, server];
    let error = start(&config, &responders).err().unwrap();

    assert!(matches!(error, ServerError::InUse { address, .. } if address == server));
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen on {server} (dns.listen, TCP): another program uses this address and port"
        )
    );
    let free_again = UdpSocket::bind(taken);
    assert!(
        free_again.is_ok(),
        "the first address was let go: {free_again:?}"
    );
    timeout(LONG, running.stop()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_dropped_lets_go_of_its_sockets() {
    let (running, server, _) = server("127.0.0.1");
    assert!(UdpSocket::bind(server).is_err(), "it is in use");

    drop(running);

    let freed = async {
        while UdpSocket::bind(server).is_err() || TcpListener::bind(server).is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, freed).await.unwrap();
}

#[tokio::test]
async fn answers_that_nobody_waits_for_do_not_stop_a_worker() {
    served!("127.0.0.1", |server, _responders| {
        // The kernel tells the server that the port is gone, by ICMP.
        for id in 0..200 {
            let client = udp_client(server);
            client.send(&query(id, b"and away")).unwrap();
        }
        // From where none of those answers go, should a port be given out again.
        let client = UdpSocket::bind("127.77.0.2:0").unwrap();
        client.connect(server).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        for _ in 0..20 {
            let query = query(7, b"still there?");
            assert_eq!(ask_udp(&client, &query), answer(query));
        }
    });
}

#[tokio::test]
async fn clients_that_reset_before_they_are_accepted_are_passed_over() {
    served!("127.0.0.1", |server, _responders| {
        for _ in 0..100 {
            let client = socket2::Socket::from(tcp_client(server));
            client.set_linger(Some(Duration::ZERO)).unwrap();
        }

        // Their places come back, too: one source has 25 of them.
        let asked = (0..100).find_map(|_| {
            let mut client = tcp_client(server);
            client.write_all(&framed(&query(3, b""))).ok()?;
            client.read_exact(&mut [0; 14]).ok()
        });
        assert!(asked.is_some());
    });
}

#[test]
fn a_full_table_of_descriptors_does_not_end_the_listener() {
    // The limit is the process's, so in one of its own.
    let child = Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "server::tests::in_a_full_table"])
        .output()
        .unwrap();

    let text = String::from_utf8_lossy(&child.stdout);
    assert!(text.contains("1 passed"), "{text}");
}

#[tokio::test]
#[ignore = "fills its process's table of descriptors; another test runs it"]
async fn in_a_full_table() {
    served!("127.0.0.1", |server, _responders| {
        let datagrams = udp_client(server);
        let fill = || std::iter::from_fn(|| File::open("/dev/null").ok());
        let mut files: Vec<File> = fill().take(1_000).collect();
        assert!(files.len() < 100, "the limit holds");
        // The client gets the last descriptor; none is left to accept it with.
        files.pop();
        let mut client = tcp_client(server);
        client.write_all(&framed(&query(1, b"in vain"))).unwrap();
        client
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        assert!(client.read(&mut [0]).is_err(), "not accepted");
        let query = query(2, b"by datagram");
        assert_eq!(ask_udp(&datagrams, &query), answer(query));

        drop(files);

        client.set_read_timeout(Some(LONG)).unwrap();
        assert_eq!(read_message(&mut client)[..2], [0, 1]);
    });
}
