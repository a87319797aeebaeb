//! The load generators of `benches/versus`: that each counts what happened. Speed is not asserted.

#![allow(dead_code)]

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

#[path = "../../benches/versus/echo.rs"]
mod echo;
#[path = "../../benches/versus/flood.rs"]
mod flood;
#[path = "../../benches/versus/histogram.rs"]
mod histogram;
#[path = "../../benches/versus/load.rs"]
mod load;
#[path = "../../benches/versus/mix.rs"]
mod mix;

use flood::Flood;
use histogram::{Histogram, STEPS, begin, bucket};
use load::{Load, Outcome, Pace, Waiting};
use mix::Queries;

/// An echo in a thread, which ends with it.
struct Echo {
    address: SocketAddr,
    thread: JoinHandle<io::Result<()>>,
}

impl Echo {
    /// Starts one that leaves out what `wanted` says no to.
    fn start(mut wanted: impl FnMut() -> bool + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            echo::echo_on(&socket, |octets| match octets {
                b"end" => ControlFlow::Break(()),
                _ => ControlFlow::Continue(wanted()),
            })
        });
        Self { address, thread }
    }

    /// Ends it.
    fn end(self) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"end", self.address).unwrap();
        self.thread.join().unwrap().unwrap();
    }
}

fn domains() -> Vec<String> {
    (0..100)
        .map(|number| format!("d{number}.example"))
        .collect()
}

/// Sends `limit` queries to a server and waits for all answers.
fn ask(server: SocketAddr, pace: Pace, limit: u64) -> io::Result<Outcome> {
    ask_with_patience(server, pace, limit, Duration::from_secs(60))
}

/// The same, for a server that does not answer all.
fn ask_with_patience(
    server: SocketAddr,
    pace: Pace,
    limit: u64,
    patience: Duration,
) -> io::Result<Outcome> {
    let load = Load {
        server,
        sockets: 3,
        window: 40,
        pace,
        span: Duration::from_secs(60),
        limit,
        waiting: Waiting::Awake,
        patience,
    };
    load.run(&mut Queries::mix(&domains(), 1_000, 1))
}

#[test]
fn every_query_to_an_echo_is_answered_once() {
    let echo = Echo::start(|| true);

    for pace in [Pace::Saturate, Pace::Rate(20_000.0)] {
        let outcome = ask(echo.address, pace, 5_000).unwrap();

        let counts = [outcome.sent, outcome.answered, outcome.latencies.total()];
        assert_eq!(counts, [5_000; 3], "{pace:?}");
        assert_eq!((outcome.lost, outcome.strays), (0, 0), "{pace:?}");
        assert_eq!(outcome.rcodes[0], 5_000, "{pace:?}");
    }
    echo.end();
}

#[test]
fn a_rate_is_not_exceeded() {
    let echo = Echo::start(|| true);

    let outcome = ask(echo.address, Pace::Rate(10_000.0), 1_000).unwrap();

    assert_eq!(outcome.answered, 1_000);
    // The last is due after 100 ms; a slow machine takes longer.
    assert!(outcome.elapsed >= Duration::from_millis(99));
    echo.end();
}

#[test]
fn what_a_server_drops_is_lost() {
    let mut number = 0;
    let echo = Echo::start(move || {
        number += 1;
        number % 50 != 0
    });

    // Long enough that what is not dropped is answered on any machine.
    let patience = Duration::from_secs(4);
    let outcome = ask_with_patience(echo.address, Pace::Saturate, 1_000, patience).unwrap();

    assert_eq!((outcome.sent, outcome.lost), (1_000, 20));
    assert_eq!((outcome.answered, outcome.strays), (980, 0));
    echo.end();
}

#[test]
fn a_second_answer_and_one_to_nothing_do_not_count() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = socket.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let mut room = [0; 512];
        for _ in 0..64 {
            let (length, peer) = socket.recv_from(&mut room).unwrap();
            // Another generation of the same place, then the answer, then it again.
            room[0] ^= 0x80;
            socket.send_to(&room[..length], peer).unwrap();
            room[0] ^= 0x80;
            socket.send_to(&room[..length], peer).unwrap();
            socket.send_to(&room[..length], peer).unwrap();
        }
    });

    let outcome = ask(server, Pace::Saturate, 64).unwrap();

    assert_eq!((outcome.answered, outcome.lost), (64, 0));
    assert!((64..=128).contains(&outcome.strays), "{}", outcome.strays);
    thread.join().unwrap();
}

#[test]
fn a_closed_port_is_an_error() {
    // Nobody listens on this address of loopback.
    let address = ([127, 0, 0, 77], 5300).into();

    let error = ask(address, Pace::Saturate, 1_000).unwrap_err();

    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_load_that_was_told_to_stop_asks_nothing_more() {
    let echo = Echo::start(|| true);
    let load = Load {
        server: echo.address,
        sockets: 3,
        window: 40,
        pace: Pace::Saturate,
        span: Duration::from_secs(60),
        limit: u64::MAX,
        waiting: Waiting::Asleep(Duration::from_micros(50)),
        patience: Duration::from_secs(60),
    };
    let (stop, mut queries) = (AtomicBool::new(false), Queries::mix(&domains(), 1_000, 1));

    let outcome = std::thread::scope(|scope| {
        let asking = scope.spawn(|| load.run_until(&mut queries, &stop));
        stop.store(true, Ordering::Relaxed);
        asking.join().unwrap().unwrap()
    });

    assert!(outcome.elapsed < Duration::from_secs(60));
    assert_eq!((outcome.answered, outcome.lost), (outcome.sent, 0));
    echo.end();
}

#[test]
fn a_flood_needs_no_answers_and_ends_when_it_is_told_to() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let flood = Flood {
        server: socket.local_addr().unwrap(),
        sockets: 3,
        rate: 100_000.0,
        limit: Duration::from_secs(60),
    };
    let (stop, mut queries) = (AtomicBool::new(false), Queries::mix(&domains(), 1_000, 1));

    let sent = std::thread::scope(|scope| {
        let flooding = scope.spawn(|| flood.run(&mut queries, &stop));
        let mut peers = BTreeSet::new();
        while peers.len() < 3 {
            peers.insert(socket.recv_from(&mut [0; 512]).unwrap().1);
        }
        stop.store(true, Ordering::Relaxed);
        flooding.join().unwrap().unwrap()
    });

    assert!(sent.queries >= 3 * 64, "{}", sent.queries);
    assert!(sent.elapsed < Duration::from_secs(60));
}

#[test]
fn the_mix_has_its_parts() {
    let mix = Queries::mix(&domains(), 100_000, 1);
    let lines = mix.lines();

    for (type_and_labels, percent) in [
        (("TYPE15", ""), 30.0),
        (("TYPE1", "mx"), 12.0),
        (("TYPE28", "mx"), 12.0),
        (("TYPE52", "_25._tcp.mx"), 16.0),
        (("TYPE16", ""), 14.0),
        (("TYPE1", "mta-sts"), 4.0),
        (("TYPE48", ""), 2.0),
        (("TYPE6", ""), 2.0),
        (("TYPE2", ""), 2.0),
    ] {
        let (rtype, labels) = type_and_labels;
        let is = |line: &&str| line.starts_with(labels) && line.ends_with(&format!(" {rtype}"));
        let found = lines.lines().filter(is).count() as f64 / 1_000.0;
        assert!(
            (found - percent).abs() < 0.5,
            "{type_and_labels:?}: {found} %"
        );
    }
}

#[test]
fn a_flood_asks_no_name_twice_and_leaves_the_rest_as_it_was() {
    let mut flood = Queries::flood(&domains(), 15, 100, 1);
    let mut names = BTreeSet::new();

    for number in 0..1_000_u16 {
        let range = flood.prepare(number);
        let query = &flood.octets()[range];
        assert_eq!(query[..2], number.to_be_bytes());
        assert_eq!(query[2..12], [0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(query[query.len() - 15..][..4], [0, 15, 0, 1]);
        names.insert(query[12..25].to_vec());
    }

    assert_eq!(names.len(), 1_000);
}

#[test]
fn every_bucket_begins_where_it_is_found_and_is_narrow() {
    for number in 0..3_000 {
        assert_eq!(bucket(begin(number)), number);
        let width = begin(number + 1) - begin(number);
        assert!(width == 1 || width * STEPS <= begin(number));
    }
}

#[test]
fn quantiles_are_those_of_what_was_counted() {
    let mut histogram = Histogram::default();
    for micros in 1..=1_000 {
        histogram.record(Duration::from_micros(micros));
    }
    let mut twice = histogram.clone();
    twice.add(&histogram);

    assert_eq!((histogram.total(), twice.total()), (1_000, 2_000));
    assert_eq!(histogram.mean(), Duration::from_nanos(500_500));
    for (share, micros) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1_000.0)] {
        let found = twice.quantile(share).as_nanos() as f64 / 1_000.0;
        assert!(
            (micros * 0.98..=micros).contains(&found),
            "{share}: {found}"
        );
    }
}
