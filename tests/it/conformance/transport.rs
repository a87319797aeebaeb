//! TCP beside UDP (RFC 7766, RFC 9210), and where replies come from.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use mxpool::clock::SystemClock;
use mxpool::server::{ServerConfig, TcpLimits};

use super::{server, zones};
use crate::dns::{A, MX, Query, Reply, SOA, TXT, receive_framed, send_framed, tcp, udp};
use crate::lab::Lab;

/// Connects to the one server.
fn connect() -> TcpStream {
    connect_to(server())
}

/// Connects and bounds every wait.
fn connect_to(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server accepts");
    let patience = Some(Duration::from_secs(5));
    stream
        .set_read_timeout(patience)
        .expect("a timeout can be set");
    stream
}

#[test]
fn rfc7766_5_tcp_answers_what_udp_answers() {
    for (qname, qtype) in [
        ("conf.test", MX),
        ("nothere.conf.test", A),
        ("x.wild.conf.test", TXT),
        ("host.secure.conf.test", A),
        ("elsewhere.test", A),
    ] {
        for query in [Query::new(qname, qtype), Query::new(qname, qtype).dnssec()] {
            let (by_udp, by_tcp) = (udp(server(), &query), tcp(server(), &query));
            assert!(!by_udp.tc());

            assert_eq!(by_udp.octets, by_tcp.octets, "{qname}");
        }
    }
}

#[test]
fn rfc7766_6_2_1_1_pipelined_queries_are_all_answered() {
    let mut stream = connect();
    let mut pipeline = Vec::new();
    for id in 0..200_u16 {
        let mut query = Query::new(
            if id % 2 == 0 {
                "conf.test"
            } else {
                "nothere.conf.test"
            },
            MX,
        );
        query.id = id;
        let octets = query.octets();
        pipeline.extend((octets.len() as u16).to_be_bytes());
        pipeline.extend(octets);
    }
    stream.write_all(&pipeline).expect("the server reads");

    let mut ids: Vec<u16> = (0..200)
        .map(|_| {
            Reply::parse(&receive_framed(&mut stream))
                .expect("a whole reply")
                .id
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..200).collect::<Vec<u16>>());
}

#[test]
fn rfc7766_8_a_message_may_come_octet_by_octet() {
    let mut stream = connect();
    stream.set_nodelay(true).expect("an option can be set");
    let octets = Query::new("conf.test", SOA).octets();
    for octet in (octets.len() as u16).to_be_bytes().iter().chain(&octets) {
        stream.write_all(&[*octet]).expect("the server reads");
    }

    let reply = Reply::parse(&receive_framed(&mut stream)).expect("a whole reply");
    assert_eq!(reply.answers(SOA).len(), 1);
}

#[test]
fn rfc7766_6_2_3_a_client_that_stops_sending_still_gets_its_answers() {
    let mut stream = connect();
    send_framed(&mut stream, &Query::new("conf.test", SOA).octets());
    send_framed(&mut stream, &Query::new("conf.test", MX).octets());
    stream
        .shutdown(Shutdown::Write)
        .expect("half a connection can be closed");

    receive_framed(&mut stream);
    receive_framed(&mut stream);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the server closes");
    assert!(rest.is_empty());
}

#[test]
fn rfc7766_8_messages_too_short_for_a_header_end_no_other_connection() {
    let mut bad = connect();
    bad.write_all(&[0, 3, 1, 2, 3]).expect("the server reads");
    bad.write_all(&[0, 0]).expect("the server reads");
    let mut cut_off = connect();
    cut_off.write_all(&[255, 255, 1]).expect("the server reads");
    drop(cut_off);

    let reply = tcp(server(), &Query::new("conf.test", SOA));
    assert_eq!(reply.answers(SOA).len(), 1);
}

#[test]
fn rfc9210_4_5_connections_of_one_source_are_limited_and_others_go_on() {
    // A server of its own: the limit is one for all tests that come from this address.
    let tcp = TcpLimits {
        connections: 30,
        per_source: 5,
        // So that none of them gives way to the next while the test runs.
        idle: Duration::from_secs(3_600),
        ..TcpLimits::default()
    };
    let config = ServerConfig {
        tcp,
        ..ServerConfig::default()
    };
    let lab = Lab::start_configured(&zones(), config, Arc::new(SystemClock::new()));
    let octets = Query::new("conf.test", SOA).octets();
    let ask = |mut stream: &TcpStream| {
        let framed = [&(octets.len() as u16).to_be_bytes(), &octets[..]].concat();
        stream.write_all(&framed).is_ok() && stream.read_exact(&mut [0; 2]).is_ok()
    };
    let open: Vec<TcpStream> = (0..40).map(|_| connect_to(lab.address())).collect();
    let served = open.iter().filter(|stream| ask(stream)).count();

    assert_eq!(served, 5, "of one source");
    drop(open);
    // What was closed makes room again, as soon as the server has seen it.
    let again = (0..100).any(|_| ask(&connect_to(lab.address())));
    assert!(again, "the listener lives on");
    assert_eq!(
        udp(lab.address(), &Query::new("conf.test", SOA))
            .answers(SOA)
            .len(),
        1
    );
}

#[test]
fn rfc2181_4_1_replies_come_from_the_address_that_was_asked() {
    // A connected socket takes datagrams from the address it asked only.
    let reply = udp(server(), &Query::new("conf.test", SOA));

    assert_eq!(reply.answers(SOA).len(), 1);
}
