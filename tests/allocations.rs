//! Holds the UDP workers to what they promise: in steady state an answer allocates nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mxpool::clock::ManualClock;
use mxpool::metrics::Metrics;
use mxpool::server::{Identity, Server, ServerConfig};
use mxpool::wire::{Name, Rtype};
use mxpool::zone::Nsid;

#[path = "../fuzz/src/zones.rs"]
mod zones;

/// The system's allocator, with a count of what is asked of it.
struct Counting;

/// How often memory was asked for, by all threads.
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// What all memory of this program comes from.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is handed on as it came to the system's allocator, which keeps the contract;
// counting allocates nothing and cannot unwind.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are the system allocator's conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` or `realloc` above, that is from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, length: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: `pointer` came from `alloc` or `realloc` above, that is from `System`.
        unsafe { System.realloc(pointer, layout, length) }
    }
}

/// Returns a query with DO and these EDNS options.
fn query(qname: &str, qtype: Rtype, options: &[u8]) -> Vec<u8> {
    let qname = Name::parse(qname).expect("a name");
    let mut query = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    query.extend_from_slice(qname.as_wire());
    query.extend_from_slice(&qtype.code().to_be_bytes());
    query.extend_from_slice(&[0, 1, 0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0]);
    query.push(options.len() as u8);
    query.extend_from_slice(options);
    query
}

/// Returns queries for every kind of answer, and for none.
fn queries() -> Vec<Vec<u8>> {
    let cookie = b"\x00\x0a\x00\x08a client";
    let nsid = b"\x00\x03\x00\x00";
    let mut queries: Vec<Vec<u8>> = [
        ("mail.example", Rtype::MX),
        ("mail.example", Rtype::DNSKEY),
        ("mail.example", Rtype::ANY),
        ("_25._tcp.mx1.mail.example", Rtype::TLSA),
        ("mx1.mail.example", Rtype::TXT),
        ("anything.mail.example", Rtype::MX),
        ("anything.mail.example", Rtype::A),
        ("not.there.all.test", Rtype::A),
        ("www.all.test", Rtype::A),
        ("loop1.all.test", Rtype::A),
        ("x.dname.all.test", Rtype::A),
        ("host.cut.all.test", Rtype::A),
        ("big.all.test", Rtype::TXT),
        ("z7.pool.test", Rtype::NS),
        ("elsewhere.test", Rtype::A),
        ("mail.example", Rtype::AXFR),
    ]
    .iter()
    .map(|(qname, qtype)| query(qname, *qtype, b""))
    .collect();
    queries.push(query("mail.example", Rtype::MX, cookie));
    queries.push(query("mail.example", Rtype::MX, nsid));
    // Malformed, of another opcode, and without an OPT record.
    queries.push(query("mail.example", Rtype::MX, b"\x00\x0a\x00"));
    queries.push(b"\0\x01\x28\0\0\0\0\0\0\0\0\0".to_vec());
    queries.push(b"\0\x01\0\0\0\x01\0\0\0\0\0\0\x04mail\x07example\0\0\x0f\0\x01".to_vec());
    queries
}

/// Asks each query so often that batches are full, and hears as many answers.
fn ask(client: &UdpSocket, queries: &[Vec<u8>]) {
    let mut answer = [0; 2_000];
    for query in queries {
        for _ in 0..100 {
            client.send(query).expect("the server is there");
        }
        for _ in 0..100 {
            client.recv(&mut answer).expect("every query is answered");
        }
    }
}

#[test]
fn in_steady_state_datagrams_are_answered_without_an_allocation() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let config = ServerConfig {
        listen: vec!["127.0.0.1:0".parse().expect("an address")],
        udp_workers: 1,
        identity: Identity {
            nsid: Nsid::new(b"ns1"),
            id_server: true,
        },
        ..ServerConfig::default()
    };
    let clock = Arc::new(ManualClock::new(zones::NOW));
    let metrics = Arc::new(Metrics::new());
    let start = async { Server::start(config, zones::zones().clone(), clock, metrics) };
    let running = runtime.block_on(start).expect("a server");
    let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    client.connect(running.addresses()[0]).expect("an address");
    let patience = Some(Duration::from_secs(20));
    client.set_read_timeout(patience).expect("a timeout");
    let queries = queries();
    // Buffers grow once, and the first look at some things is a thread's own.
    ask(&client, &queries);
    ask(&client, &queries);

    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..5 {
        ask(&client, &queries);
    }
    let after = ALLOCATIONS.load(Ordering::Relaxed);

    assert_eq!(after - before, 0, "in {} answers", 5 * 100 * queries.len());
    runtime.block_on(running.stop());
}
