//! What a pool costs: creation, single creates beside it, memory, restart.
//!
//! `cargo bench --bench pool` starts the program itself on loopback and prints one table.
//! `MXPOOL_BENCH_DOMAINS` sets the size of the large pool, 100 000 by default.

#![allow(dead_code, clippy::missing_docs_in_private_items, clippy::print_stdout)]

#[path = "shared/measure.rs"]
mod measure;
#[path = "../tests/it/process.rs"]
mod process;
#[path = "shared/size.rs"]
mod size;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mxpool::wire::{Algorithm, KeyPair};
use serde_json::json;

use measure::{asks, resident, settled};
use process::{Mxpool, Program, free_port, http, settings};

fn main() {
    let Some(size) = size::asked() else {
        return;
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let raw = signatures_per_second(cores);
    println!("{cores} cores, {raw:.0} P-256 signatures/s on all of them");

    let folder = tempfile::tempdir().expect("a folder can be made");
    let server = Mxpool::start(folder.path());
    server.put_pool("main");
    server.add_domains("main", &["first.example".to_owned()]);
    let signatures = server
        .signed_zone("first.example")
        .lines()
        .filter(|line| line.split_whitespace().nth(3) == Some("RRSIG"))
        .count();
    let limit = raw / signatures as f64;
    println!("{signatures} signatures a zone: at most {limit:.0} zones/s");

    let names: Vec<String> = (0..10_000).map(|n| format!("batch{n}.example")).collect();
    let start = Instant::now();
    server.add_domains("main", &names);
    let rate = 10_000.0 / start.elapsed().as_secs_f64();
    println!(
        "10 000 domains in one call: {rate:.0}/s, {:.0} % of the limit",
        100.0 * rate / limit
    );

    knot(&server, &names, folder.path());

    singles(&server, "alone", None);
    let names: Vec<String> = (0..10_000).map(|n| format!("beside{n}.example")).collect();
    singles(&server, "beside a batch of 10 000", Some(&names));
    drop(server);

    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut server = Mxpool::start(folder.path());
    let empty = resident(server.program().id(), "VmRSS");
    server.put_pool("main");
    let names: Vec<String> = (0..size).map(|n| format!("d{n}.example")).collect();
    let start = Instant::now();
    server.add_domains("main", &names);
    println!(
        "{size} domains in calls of 10 000: {:.0}/s",
        size as f64 / start.elapsed().as_secs_f64()
    );
    memory(&mut server, "after creating", empty, size);
    let path = format!("/v1/pools/main?expect_domains={size}");
    let mut changed = settings();
    changed["ttl"] = json!("2h");
    let start = Instant::now();
    server.ok("PUT", &path, Some(&changed));
    println!(
        "one setting changed, all signed anew: {:.1} s",
        start.elapsed().as_secs_f64()
    );
    memory(&mut server, "after signing all anew", empty, size);
    let (dns, stopped) = (server.dns, server.program().stop());
    println!("stopped with {stopped:?}, {dns}");
    drop(server);
    for round in 1..=3 {
        let start = Instant::now();
        let (mut server, served) = start_and_ask(folder.path(), size);
        println!(
            "restart {round}: first answer after {:.2} s, all served: {served}",
            start.elapsed().as_secs_f64()
        );
        memory(&mut server, "after a restart", empty, size);
        server.program().stop();
    }
}

/// Has Knot sign the same zones, each with a key of its own, and prints how long that takes.
fn knot(server: &Mxpool, names: &[String], folder: &Path) {
    if Command::new("knotd").arg("--version").output().is_err() {
        println!("SKIPPED beside Knot: knotd is not installed (tests/run installs it)");
        return;
    }
    let port = free_port();
    let mut config = format!(
        "server:\n  listen: 127.0.0.1@{port}\n  rundir: {folder:?}\n\
         database:\n  storage: {folder:?}\n\
         policy:\n  - id: csk\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n    \
         nsec3: off\n\
         template:\n  - id: default\n    storage: {folder:?}\n    dnssec-signing: on\n    \
         dnssec-policy: csk\n    zonefile-sync: -1\n    zonefile-load: whole\n    \
         journal-content: none\nzone:\n"
    );
    for name in names {
        let path = format!("/v1/domains/{name}/zone");
        let (_, text) = server
            .try_call("GET", &path, None)
            .expect("the API answers");
        std::fs::write(folder.join(format!("{name}.zone")), text)
            .expect("the folder can be written");
        let _ = writeln!(config, "  - domain: {name:?}");
    }
    std::fs::write(folder.join("knot.conf"), config).expect("the folder can be written");
    let mut command = Command::new("knotd");
    command.arg("-c").arg(folder.join("knot.conf"));
    let start = Instant::now();
    let mut program = Program::start(&mut command);
    let address = ([127, 0, 0, 1], port).into();
    let mut left = names.iter().rev().peekable();
    let signed = program.wait_until(|| {
        while left.peek().is_some_and(|name| asks(address, name, 48)) {
            left.next();
        }
        left.peek().is_none()
    });
    let rate = names.len() as f64 / start.elapsed().as_secs_f64();
    let memory = resident(program.id(), "VmRSS") as f64 / names.len() as f64;
    match signed {
        Ok(()) => println!("Knot signs the same zones: {rate:.0}/s, {memory:.1} kB a zone"),
        Err(error) => println!("Knot did not sign them all: {error}"),
    }
}

/// Starts the server on a full store; it listens only when everything is loaded.
fn start_and_ask(folder: &Path, size: usize) -> (Mxpool, bool) {
    let start = Instant::now();
    let server = Mxpool::start(folder);
    println!("ready after {:.2} s", start.elapsed().as_secs_f64());
    let served = (0..size)
        .step_by(997)
        .all(|n| answers(server.dns, &format!("d{n}.example")));
    (server, served)
}

/// Returns whether a domain's MX is served.
fn answers(server: SocketAddr, domain: &str) -> bool {
    asks(server, domain, 15)
}

/// Measures how many signatures all cores make in a second.
fn signatures_per_second(cores: usize) -> f64 {
    let span = Duration::from_secs(2);
    let total = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let (key, _) = KeyPair::generate(Algorithm::EcdsaP256Sha256).expect("randomness");
                let message = [7_u8; 120];
                let (start, mut count) = (Instant::now(), 0);
                while start.elapsed() < span {
                    key.sign(&message).expect("a signature is made");
                    count += 1;
                }
                total.fetch_add(count, Ordering::Relaxed);
            });
        }
    });
    total.into_inner() as f64 / span.as_secs_f64()
}

/// Creates single domains by 16 clients for a while and prints rate and latencies.
fn singles(server: &Mxpool, what: &str, batch: Option<&[String]>) {
    let stop = AtomicBool::new(false);
    let (token, url) = (server.token(), format!("{}/v1/domains", server.api));
    let prefix = what.split(' ').next().unwrap_or_default();
    let start = Instant::now();
    let mut latencies: Vec<Duration> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..16)
            .map(|client| {
                let (stop, token, url) = (&stop, &token, &url);
                scope.spawn(move || {
                    let (agent, mut latencies) = (http(), Vec::new());
                    for n in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let name = format!("{prefix}-{client}-{n}.example");
                        let at = Instant::now();
                        let answer = agent
                            .post(url)
                            .header("authorization", format!("Bearer {token}"))
                            .send_json(json!({"pool": "main", "name": name}))
                            .expect("the API answers");
                        assert_eq!(answer.status().as_u16(), 201);
                        let _ = answer.into_body().read_to_vec();
                        latencies.push(at.elapsed());
                    }
                    latencies
                })
            })
            .collect();
        match batch {
            Some(names) => server.add_domains("main", names),
            None => std::thread::park_timeout(Duration::from_secs(5)),
        }
        stop.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .flat_map(|client| client.join().expect("no client panics"))
            .collect()
    });
    let rate = latencies.len() as f64 / start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let quantile = |q: f64| latencies[((latencies.len() - 1) as f64 * q) as usize];
    println!(
        "single creates by 16 clients, {what}: {rate:.0}/s, p50 {:.1?}, p99 {:.1?}, longest {:.1?}",
        quantile(0.5),
        quantile(0.99),
        quantile(1.0)
    );
}

/// Prints what the server's memory comes to for each domain.
fn memory(server: &mut Mxpool, when: &str, empty: u64, size: usize) {
    let id = server.program().id();
    let (all, own, mapped) = (
        settled(id),
        resident(id, "RssAnon"),
        resident(id, "RssFile"),
    );
    println!(
        "memory {when}: {} MB ({} MB its own, {} MB mapped files), {:.2} kB a domain all in ({empty} kB before any)",
        all / 1024,
        own / 1024,
        mapped / 1024,
        all as f64 / size as f64
    );
}
