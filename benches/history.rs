//! What a year of changes leaves behind: memory and start of a server whose pool changed every day.
//!
//! `cargo bench --bench history`. An engine lives through the year under a clock moved by hand, on
//! the store that the program then starts on: each day another TTL for all, and a rotation. The
//! program is measured, and measured again on a store that has as many domains and no past.
//!
//! `MXPOOL_BENCH_DOMAINS` sets how many domains there are in the end, 100 000 by default, and
//! `MXPOOL_BENCH_OLD` how many of them live through the year, 2 000 by default: each of its days
//! signs them all. What the others are spared is shared by all domains of the pool.

#![allow(dead_code, clippy::missing_docs_in_private_items, clippy::print_stdout)]

#[path = "shared/measure.rs"]
mod measure;
#[path = "../tests/it/process.rs"]
mod process;
#[path = "shared/size.rs"]
mod size;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mxpool::clock::{Clock, ManualClock, Timestamp};
use mxpool::dnssec::SealingKey;
use mxpool::engine::{Actor, AddDomain, Change, Engine, EngineConfig, Op};
use mxpool::mail::{PoolSettings, routing_set};
use mxpool::metrics::Metrics;
use mxpool::store::{Embedded, Store};
use mxpool::wire::Apex;
use mxpool::zone::zone_set;
use serde_json::json;

use measure::{asks, resident, settled};
use process::{Mxpool, settings};

/// How many days the past has.
const DAYS: u64 = 365;
/// How many domains each day rotates out, and in.
const ROTATED: u32 = 5;

fn main() {
    let Some(size) = size::asked() else {
        return;
    };
    let old = std::env::var("MXPOOL_BENCH_OLD").ok();
    let old = old.and_then(|old| old.parse().ok()).unwrap_or(2_000);
    let old = size.min(old);
    measure("no past", size, |_| 0);
    let past = format!("{DAYS} days of changes behind {old} of them");
    measure(&past, size, |folder| {
        live(folder, old);
        old
    });
}

/// Fills a store and measures the program that starts on it; `past` returns how many domains it made.
fn measure(what: &str, size: usize, past: impl FnOnce(&Path) -> usize) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut server = Mxpool::start(folder.path());
    let empty = resident(server.program().id(), "VmRSS");
    server.program().stop();
    drop(server);
    let known = past(folder.path());

    let mut server = Mxpool::start(folder.path());
    if known == 0 {
        server.put_pool("main");
    }
    let names: Vec<String> = (known..size).map(name).collect();
    server.add_domains("main", &names);
    server.program().stop();
    drop(server);

    let start = Instant::now();
    let mut server = Mxpool::start(folder.path());
    let ready = start.elapsed();
    let served = (0..size)
        .step_by(997)
        .filter(|n| asks(server.dns, &name(*n), 6));
    let (served, wanted) = (served.count(), size.div_ceil(997));
    let memory = settled(server.program().id());
    let stored: u64 = std::fs::read_dir(folder.path().join("data"))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .map(|file| file.len())
        .sum();
    println!(
        "{size} domains, {what}: ready after {:.2} s ({served} of {wanted} asked answer), {} MB, \
         {:.2} kB a domain, {} MB on disk ({empty} kB before any)",
        ready.as_secs_f64(),
        memory / 1024,
        memory as f64 / size as f64,
        stored >> 20,
    );
    server.program().stop();
}

/// Lives through a year that ends now, on the store in `folder`.
fn live(folder: &Path, domains: usize) {
    let since_1970 = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("it is later than 1970");
    let day = Duration::from_secs(86_400);
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(
        since_1970.as_secs() - (DAYS + 1) * day.as_secs(),
    )));
    let key = std::fs::read(folder.join("keys/sealing.key")).expect("the program made a key");
    let store = Embedded::open(folder.join("data")).expect("the program has stopped");
    let (publisher, _zones) = zone_set();
    let (routes, _routing) = routing_set();
    let (engine, threads) = Engine::start(
        EngineConfig::default(),
        Arc::new(store) as Arc<dyn Store>,
        Arc::clone(&clock) as Arc<dyn Clock>,
        SealingKey::from_bytes(&key).expect("it is a key"),
        publisher,
        routes,
        Arc::new(Metrics::new()),
    )
    .expect("the store is good");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime can be made");
    let change = |ops: Vec<Op>, touched: Option<usize>| {
        let change = Change {
            ops,
            actor: Actor("bench".to_owned()),
            reason: None,
            id: None,
            dry_run: false,
            expect_domains: touched.map(|touched| touched as u64),
        };
        let made = runtime.block_on(engine.change(change));
        made.unwrap_or_else(|errors| panic!("{errors:?}"))
    };
    let pool = |ttl: u64| {
        let mut document = settings();
        document["ttl"] = json!(format!("{ttl}s"));
        document["timing"] = json!({"guard": "0s", "destructive_guard": "0s"});
        Op::PutPool {
            name: "main".to_owned(),
            settings: Box::new(PoolSettings::from_document(&document).expect("it is good")),
            if_match: None,
        }
    };
    let apex = |n: usize| Apex::parse(&name(n)).expect("it is a name");
    change(vec![pool(3_600)], None);
    let add = |n| {
        Op::AddDomain(AddDomain {
            pool: "main".to_owned(),
            name: apex(n),
            if_absent: false,
            fresh: Some(true),
            registrar: None,
            expires_at: None,
            labels: BTreeMap::new(),
        })
    };
    change((0..domains).map(add).collect(), None);
    let (mut took, mut active) = (Duration::ZERO, Vec::new());
    for day_of in 0..DAYS {
        clock.advance(day);
        engine.tick();
        let start = Instant::now();
        change(vec![pool(3_601 + day_of)], Some(domains));
        took += start.elapsed();
        let rotate = Op::Rotate {
            pool: "main".to_owned(),
            burn: active,
            activate: ROTATED,
            if_match: None,
        };
        let made = change(vec![rotate], None);
        active = made.plan.rotation.map_or_else(Vec::new, |it| it.activated);
    }
    println!(
        "the year: {DAYS} changes of {domains} domains in {:.1} s",
        took.as_secs_f64()
    );
    engine.stop();
    threads.join();
}

/// Returns the name of a domain.
fn name(n: usize) -> String {
    format!("d{n:06}.example")
}
