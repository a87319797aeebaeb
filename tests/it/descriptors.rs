//! A node that may have few descriptors: no kind of client takes the last one from another.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::dns::{Query, SOA, tcp};
use crate::process::{Mxpool, free_port};

/// A zone to ask for.
const ZONE: &str = "$TTL 1d\n@ SOA ns1 hostmaster 1 4h 1h 14d 15m\n@ NS ns1\nns1 A 192.0.2.53\n";

/// Connects, and bounds every wait by less than what an unfinished request may take.
fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    let patience = Some(Duration::from_secs(10));
    stream.set_read_timeout(patience).unwrap();
    stream
}

/// Begins requests, more than there is room for, and waits until they have been seen.
fn begin_requests(address: SocketAddr) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for _ in 0..300 {
        let mut stream = connect(address);
        // Who is turned away may be gone before it has written anything.
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nx: ");
        held.push(stream);
    }
    // Those before it have been accepted before it.
    let mut status = [0; 12];
    connect(address).read_exact(&mut status).unwrap();
    assert_eq!(status, *b"HTTP/1.1 503");
    held
}

#[test]
fn unfinished_requests_and_silent_clients_leave_descriptors_for_a_query_over_tcp() {
    let folder = tempfile::tempdir().unwrap();
    let dns: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let metrics: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    // Sixteen workers have 32 of the 200 descriptors.
    let more = format!(
        "udp_workers = 16\n[metrics]\nlisten = \"{metrics}\"\n[dns.tcp]\nconnections = 1000\nper_source = 1000\n"
    );
    let server = Mxpool::start_limited(folder.path(), dns, &more, 200);
    server.put_zone("infra.example", ZONE);
    let query = Query::new("infra.example", SOA);

    let api = server.api.strip_prefix("http://").unwrap().parse().unwrap();
    let requests = [api, metrics].map(begin_requests);
    assert_eq!(tcp(dns, &query).answers(SOA).len(), 1);
    let silent: Vec<_> = (0..200).map(|_| connect(dns)).collect();
    assert_eq!(tcp(dns, &query).answers(SOA).len(), 1);

    drop((requests, silent));
    let log = server.log();
    assert!(log.contains("leaves room for fewer connections"), "{log}");
    assert!(!log.contains("cannot be accepted"), "{log}");
}
