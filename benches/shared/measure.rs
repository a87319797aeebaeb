//! What is measured of a server that runs: its memory, its answers.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// Returns a figure of a process's memory in kB.
pub(crate) fn resident(id: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or_default()
}

/// Returns what a process holds in kB when it has come to rest.
pub(crate) fn settled(id: u32) -> u64 {
    // What a burst took is given back when the server has had nothing to do for a second or two.
    let mut last = u64::MAX;
    while resident(id, "VmRSS") < last {
        last = resident(id, "VmRSS");
        std::thread::park_timeout(Duration::from_secs(3));
    }
    resident(id, "VmRSS")
}

/// Returns whether a domain has records of a type.
pub(crate) fn asks(server: SocketAddr, domain: &str, qtype: u8) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .expect("a timeout can be set");
    let query = query(0x0001, domain, qtype);
    socket
        .send_to(&query, server)
        .expect("loopback takes a datagram");
    let mut reply = [0; 1500];
    matches!(socket.recv(&mut reply), Ok(length) if length > 12 && reply[7] > 0)
}

/// Returns a query for records of a type.
pub(crate) fn query(id: u16, domain: &str, qtype: u8) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in domain.split('.') {
        query.push(label.len() as u8);
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, qtype, 0, 1]);
    query
}
