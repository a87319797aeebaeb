//! What a mail host's look-up costs: one connection, both ends on one core.
//!
//! `cargo bench --bench routing`. Client and server share a core, as `smtpd` and the server do on a
//! small machine, so half of the time is the client's. One request at a time is how Postfix asks;
//! the other figure is what the server alone is good for.

use std::hint::black_box;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mxpool::mail::{Route, RoutingAnswer, RoutingPublisher, RoutingReader, routing_set};
use mxpool::metrics::Metrics;
use mxpool::routing::{RoutingListen, Socketmap};
use mxpool::wire::Apex;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// How many domains there are.
const DOMAINS: u32 = 100_000;
/// How many requests are sent at a time where it is more than one.
const BATCH: u32 = 500;

/// Returns the name of a domain.
fn name(number: u32) -> String {
    format!("d{number:06}.example")
}

/// Returns a set of domains with all answers.
fn routes() -> (RoutingPublisher, RoutingReader) {
    let (mut publisher, reader) = routing_set();
    publisher.publish((0..DOMAINS).map(|number| {
        let route = Route {
            answer: RoutingAnswer::ALL[number as usize % RoutingAnswer::ALL.len()],
            postmaster: true,
            subdomains: false,
        };
        let apex = Apex::parse(&name(number)).expect("digits make a label");
        (apex, Some(route))
    }));
    (publisher, reader)
}

/// Returns a request for what becomes of mail to a domain.
fn request(number: u32) -> Vec<u8> {
    let text = format!("recipients somebody@{}", name(number % DOMAINS));
    format!("{}:{text},", text.len()).into_bytes()
}

/// Reads replies until `count` of them have come; none has a comma inside.
fn replies(mut client: &UnixStream, buffer: &mut [u8], mut count: usize) {
    while count > 0 {
        let read = client.read(buffer).expect("the server answers");
        assert_ne!(read, 0, "the server goes on");
        let ends = buffer[..read].iter().filter(|octet| **octet == b',');
        count -= black_box(ends.count());
    }
}

/// Keeps this thread, and those that it starts, on one core.
fn stay_on_one_core() {
    let mut cores = CpuSet::new();
    cores.set(0).expect("there is a first core");
    // A container may not have it; then the figures are of two.
    if let Err(error) = sched_setaffinity(Pid::from_raw(0), &cores) {
        eprintln!("routing: not on one core: {error}");
    }
}

/// Measures look-ups over one connection.
fn look_up(criterion: &mut Criterion) {
    stay_on_one_core();
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let path = folder.path().join("routing.sock");
    let (_publisher, reader) = routes();
    let listen = RoutingListen::Unix(path.clone());
    let running = Socketmap::start(listen.into(), reader, Arc::new(Metrics::new()))
        .expect("nobody else has the path");
    let mut client = UnixStream::connect(path).expect("the server listens");
    let mut buffer = vec![0; 64 << 10];
    let mut number = 0;

    let mut group = criterion.benchmark_group("look-ups over one connection on one core");
    group.throughput(Throughput::Elements(1));
    group.bench_function("one at a time", |bencher| {
        bencher.iter(|| {
            number += 7_919;
            let sent = client.write_all(&request(number));
            sent.expect("the server reads");
            replies(&client, &mut buffer, 1);
        });
    });
    group.throughput(Throughput::Elements(BATCH.into()));
    group.bench_function("500 at a time", |bencher| {
        let requests: Vec<u8> = (0..BATCH).flat_map(|at| request(at * 7_919)).collect();
        bencher.iter(|| {
            client.write_all(&requests).expect("the server reads");
            replies(&client, &mut buffer, BATCH as usize);
        });
    });
    group.finish();
    drop(client);
    running.stop();
}

criterion_group!(benches, look_up);
criterion_main!(benches);
