//! What life in a large pool costs: rotation and hand-outs.
//!
//! `cargo bench --bench life` starts the program itself on loopback and prints one table.
//! `MXPOOL_BENCH_DOMAINS` sets the size of the large pool, 100 000 by default.

#![allow(dead_code, clippy::missing_docs_in_private_items, clippy::print_stdout)]

#[path = "../tests/it/process.rs"]
mod process;
#[path = "shared/size.rs"]
mod size;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use process::{Mxpool, settings};

fn main() {
    let Some(size) = size::asked() else {
        return;
    };

    let folder = tempfile::tempdir().expect("a folder can be made");
    let server = Mxpool::start(folder.path());
    let mut pool = settings();
    pool["timing"] = json!({"guard": "0s", "destructive_guard": "0s"});
    server.ok("PUT", "/v1/pools/main", Some(&pool));
    let names: Vec<String> = (0..size).map(|n| format!("d{n}.example")).collect();
    server.add_domains("main", &names);
    rotations(&server, size);
    hand_outs(&server);
}

/// Rotates single domains of a large pool, one call after the other.
fn rotations(server: &Mxpool, size: usize) {
    let activate = json!({"activate": 100});
    server.ok("POST", "/v1/pools/main/rotate", Some(&activate));
    let body = json!({"activate": 1, "reason": "bench"});
    let mut took: Vec<Duration> = (0..200)
        .map(|_| {
            let start = Instant::now();
            server.ok("POST", "/v1/pools/main/rotate", Some(&body));
            start.elapsed()
        })
        .collect();
    took.sort_unstable();
    println!(
        "rotate in a pool of {size}, durable and served: p50 {:.1?}, p99 {:.1?}, longest {:.1?}",
        took[100], took[198], took[199]
    );
}

/// Asks for hand-outs over four connections that stay open, eight requests in flight on each.
fn hand_outs(server: &Mxpool) {
    const CONNECTIONS: usize = 4;
    const WINDOW: usize = 8;
    let host = server.api.trim_start_matches("http://").to_owned();
    let request = format!(
        "POST /v1/pools/main/handout HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\n\
         content-length: 0\r\n\r\n",
        server.token()
    );
    let (stop, total) = (AtomicBool::new(false), AtomicU64::new(0));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let stream = TcpStream::connect(&host).expect("the API listens");
                let mut reader = BufReader::new(stream.try_clone().expect("a socket is cloned"));
                let mut writer = stream;
                let window = request.repeat(WINDOW);
                while !stop.load(Ordering::Relaxed) {
                    writer.write_all(window.as_bytes()).expect("it is read");
                    for _ in 0..WINDOW {
                        answer(&mut reader);
                    }
                    total.fetch_add(WINDOW as u64, Ordering::Relaxed);
                }
            });
        }
        std::thread::park_timeout(Duration::from_secs(5));
        stop.store(true, Ordering::Relaxed);
    });
    let rate = total.into_inner() as f64 / start.elapsed().as_secs_f64();
    println!("hand-outs over HTTP, server and client on the same cores: {rate:.0}/s");
}

/// Reads one answer of HTTP/1.1 and checks that it is a good one.
fn answer(reader: &mut impl BufRead) {
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).expect("an answer comes");
    assert!(line.contains(" 200 "), "{line}");
    loop {
        line.clear();
        reader.read_line(&mut line).expect("a header comes");
        let text = line.trim_end().to_ascii_lowercase();
        if text.is_empty() {
            break;
        }
        if let Some(value) = text.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length is a number");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body comes");
}
