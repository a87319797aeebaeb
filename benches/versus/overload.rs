//! Work beside queries: what a change does to those who ask, and what a flood does to those who work.
//!
//! A server has one core alone, and then both. What asks it works on one of the two then, too, and
//! gets it when it wants: from elsewhere, queries would come just as well while the server is busy. A
//! flood has no such right, it would take that core alone; how it and the server share it is the
//! system's choice.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::flood::{Flood, Sent};
use super::histogram::Histogram;
use super::load::{Load, Outcome, Pace, Waiting};
use super::measure::{resident, settled};
use super::mix::Queries;
use super::pool::Pools;
use super::process::{Mxpool, free_port, http, settings};
use super::report::spaced;
use super::targets::Target;
use super::usage::{self, Core, Tree};
use super::{GENERATOR_CORE, SERVER_CORE};

/// Queries a second beside which a setting is changed.
const RATE: f64 = 50_000.0;
/// Queries a second of a flood: twice what a core answers.
const FLOOD: f64 = 600_000.0;
/// How long queries are sent at most, should a call never come back.
const LIMIT: Duration = Duration::from_secs(150);
/// How often a setting is changed beside queries.
const ROUNDS: usize = 3;
/// How long queries are asked before each change.
const QUIET: Duration = Duration::from_secs(5);
/// How long a flood has the server to itself, to see what it does to its memory.
const ALONE: Duration = Duration::from_secs(3);
/// How long the server has to count what the kernel dropped.
const COUNTED: Duration = Duration::from_secs(5);
/// Calls of a kind.
const CALLS: usize = 200;
/// Sockets of each: the kernel deals them out among a server's sockets by their addresses.
const SOCKETS: usize = 32;
/// How long what asks sleeps where the server has its core meanwhile.
const PAUSE: Duration = Duration::from_micros(50);
/// When a query counts as lost; a change may hold an answer back longer than anything else.
const LOST: Duration = Duration::from_secs(2);

/// What the server may run on.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Cores {
    /// One core, with nobody else on it.
    One,
    /// Both, one of them together with what asks, which goes before it there.
    Both,
}

/// What was found.
pub(crate) struct Overload {
    /// What the server could run on.
    cores: Cores,
    /// How many domains it served.
    size: usize,
    /// Queries at [`RATE`], and nothing else.
    quiet: Asked,
    /// The same while a setting of all domains is changed.
    changing: Asked,
    /// What else is done, while nobody asks.
    calm: Work,
    /// The same under a flood.
    flooded: Work,
    /// How long a setting of all domains took to change beside queries at [`RATE`].
    changed: Duration,
    /// What the flood was.
    sent: Sent,
    /// Queries of the flood that were answered.
    answered: u64,
    /// Queries of it that the kernel dropped, as the server counts them.
    dropped: u64,
    /// Memory in kB before the flood, and in it before anything else was done.
    memory: (u64, u64),
    /// Cores that other programs had meanwhile.
    pub(crate) others: f64,
}

/// What became of queries.
#[derive(Default)]
struct Asked {
    latencies: Histogram,
    lost: u64,
}

/// How long work took that is not answering queries.
struct Work {
    /// To read a domain by the API.
    read: Histogram,
    /// To create one: durable, signed and served.
    create: Histogram,
    /// To change a setting of all: signed anew, and served.
    change: Duration,
}

/// A server and those who call it.
struct Subject<'p> {
    server: Mxpool,
    cores: Cores,
    pools: &'p Pools,
    queries: Queries,
    /// Settings and domains made so far, of which each is another one.
    made: usize,
    /// Goes when the server has gone.
    _folder: tempfile::TempDir,
}

/// Measures a server that may run on `cores`.
pub(crate) fn measure(pools: &Pools, cores: Cores) -> Overload {
    let mut subject = Subject::start(pools, cores);
    // The server, and what asks it.
    let tree = Tree::of(std::process::id());
    let busy = || [SERVER_CORE, GENERATOR_CORE].map(|core| Core::now(core).expect("it counts"));
    let (start, before, used) = (Instant::now(), busy(), tree.time());
    let (mut quiet, mut changing) = (Asked::default(), Asked::default());
    // In turn, so that what else happens on the machine meets both.
    let mut changes = [(); ROUNDS].map(|()| {
        quiet.add(subject.ask(QUIET, &AtomicBool::new(false)));
        let (asked, took) = subject.change_beside_queries();
        changing.add(asked);
        took
    });
    changes.sort_unstable();
    let calm = subject.work();
    let resident = settled(subject.server.program().id());
    let counted = subject.counted();
    let (sent, after, flooded) = subject.work_under_flood();
    // The workers ask what the kernel has dropped once a second.
    let (mut answered, mut dropped) = (0, 0);
    let begin = Instant::now();
    while answered + dropped < sent.queries && begin.elapsed() < COUNTED {
        thread::park_timeout(Duration::from_millis(100));
        let now = subject.counted();
        (answered, dropped) = (now.0 - counted.0, now.1 - counted.1);
    }
    let shares = busy().into_iter().zip(before);
    let shares: f64 = shares.map(|(now, before)| now.busy_since(before)).sum();
    let used = (tree.time() - used).as_secs_f64() / start.elapsed().as_secs_f64();
    Overload {
        cores,
        size: pools.plain.len(),
        quiet,
        changing,
        calm,
        flooded,
        changed: changes[ROUNDS / 2],
        sent,
        answered,
        dropped,
        memory: (resident, after),
        others: (shares - used).max(0.0),
    }
}

impl<'p> Subject<'p> {
    /// Starts a server and creates the pool.
    fn start(pools: &'p Pools, cores: Cores) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let available = thread::available_parallelism().map_or(1, usize::from);
        usage::unpin_self(available.max(GENERATOR_CORE + 1)).expect("there are two cores");
        let workers = match cores {
            Cores::One => 1,
            Cores::Both => 2,
        };
        let dns = ([127, 0, 0, 1], free_port()).into();
        let config = format!("udp_workers = {workers}\n");
        let mut server = Mxpool::try_start_at(folder.path(), dns, &config)
            .unwrap_or_else(|error| panic!("mxpool {error}"));
        pools.create(&server);
        server.put_pool("single");
        if cores == Cores::One {
            let tree = Tree::of(server.program().id());
            tree.pin(SERVER_CORE).expect("there are two cores");
        }
        usage::pin_self(GENERATOR_CORE).expect("there are two cores");
        Self {
            server,
            cores,
            pools,
            queries: Queries::mix(&pools.plain, 1 << 18, 5),
            made: 0,
            _folder: folder,
        }
    }

    /// Asks the mix at [`RATE`].
    fn ask(&mut self, span: Duration, stop: &AtomicBool) -> Outcome {
        let (waiting, _first) = match self.cores {
            Cores::One => (Waiting::Awake, None),
            Cores::Both => {
                let first = usage::come_first();
                let first = first.unwrap_or_else(|error| panic!("what asks comes first: {error}"));
                (Waiting::Asleep(PAUSE), Some(first))
            }
        };
        let load = Load {
            server: self.server.dns,
            sockets: SOCKETS,
            window: 256,
            pace: Pace::Rate(RATE),
            waiting,
            span,
            limit: u64::MAX,
            patience: LOST,
        };
        load.run_until(&mut self.queries, stop)
            .unwrap_or_else(|error| panic!("asking mxpool: {error}"))
    }

    /// Changes a setting while queries are asked; returns how those did, and how long it took.
    fn change_beside_queries(&mut self) -> (Outcome, Duration) {
        let stop = AtomicBool::new(false);
        let (url, token, body) = (self.url(), self.server.token(), self.setting());
        thread::scope(|scope| {
            let change = scope.spawn(|| {
                let took = put(&url, &token, &body);
                stop.store(true, Ordering::Relaxed);
                took
            });
            let outcome = self.ask(LIMIT, &stop);
            (outcome, change.join().expect("the change does not panic"))
        })
    }

    /// Returns the next setting.
    fn setting(&mut self) -> String {
        self.made += 1;
        let mut changed = settings();
        changed["ttl"] = json!(format!("{}m", 60 + self.made % 600));
        changed.to_string()
    }

    /// Returns where settings are put.
    fn url(&self) -> String {
        let size = self.pools.plain.len();
        format!("{}/v1/pools/plain?expect_domains={size}", self.server.api)
    }

    /// Does what is timed while a flood comes in; returns that, what was sent, and the memory held
    /// before anything was done.
    fn work_under_flood(&mut self) -> (Sent, u64, Work) {
        let id = self.server.program().id();
        let stop = AtomicBool::new(false);
        let flood = Flood {
            server: self.server.dns,
            sockets: SOCKETS,
            rate: FLOOD,
            limit: LIMIT,
        };
        let mut queries = self.queries.clone();
        thread::scope(|scope| {
            let flood = scope.spawn(|| flood.run(&mut queries, &stop));
            thread::park_timeout(ALONE);
            let memory = resident(id, "VmRSS");
            let work = self.work();
            stop.store(true, Ordering::Relaxed);
            let sent = flood.join().expect("the flood does not panic");
            (sent.expect("loopback takes it"), memory, work)
        })
    }

    /// Reads and creates domains over one connection, one after the other, then changes all.
    fn work(&mut self) -> Work {
        let (agent, token) = (http(), format!("Bearer {}", self.server.token()));
        let url = format!("{}/v1/domains", self.server.api);
        let (mut read, mut create) = (Histogram::default(), Histogram::default());
        for number in 0..CALLS {
            let one = format!("{url}/{}", self.pools.plain[number]);
            let begin = Instant::now();
            let answer = agent.get(one).header("authorization", &token).call();
            let mut answer = answer.expect("the API answers");
            let text = answer.body_mut().read_to_string();
            read.record(begin.elapsed());
            assert!(text.is_ok() && answer.status().is_success(), "{text:?}");
        }
        for _ in 0..CALLS {
            self.made += 1;
            let name = format!("one{}.example", self.made);
            let body = json!({"pool": "single", "names": [name]}).to_string();
            let begin = Instant::now();
            let request = agent.post(&url).header("authorization", &token);
            let request = request.header("content-type", "application/json");
            let mut answer = request.send(body).expect("the API answers");
            let text = answer.body_mut().read_to_string();
            create.record(begin.elapsed());
            assert!(text.is_ok() && answer.status().is_success(), "{text:?}");
        }
        let change = put(&self.url(), &self.server.token(), &self.setting());
        Work {
            read,
            create,
            change,
        }
    }

    /// Returns what was answered, and what the kernel dropped, so far.
    fn counted(&self) -> (u64, u64) {
        let text = self.server.try_call("GET", "/metrics", None);
        let (_, text) = text.expect("the API answers");
        let sum = |prefix: &str| {
            let lines = text.lines().filter(|line| line.starts_with(prefix));
            let numbers = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            numbers.sum::<f64>() as u64
        };
        (
            sum("mxpool_dns_responses_total{"),
            sum("mxpool_dns_dropped_total{reason=\"receive_buffer\""),
        )
    }
}

/// Sends a pool's settings; returns how long that took until all was served.
fn put(url: &str, token: &str, body: &str) -> Duration {
    let begin = Instant::now();
    let request = http()
        .put(url)
        .header("authorization", format!("Bearer {token}"));
    let request = request.header("content-type", "application/json");
    let mut answer = request.send(body).expect("the API answers");
    let took = begin.elapsed();
    let text = answer.body_mut().read_to_string();
    assert!(answer.status().is_success(), "{url}: {text:?}");
    took
}

impl Asked {
    /// Adds what came of more of them.
    fn add(&mut self, outcome: Outcome) {
        self.latencies.add(&outcome.latencies);
        self.lost += outcome.lost;
    }
}

impl Cores {
    /// Says where the server runs; what asks is on the second core.
    fn text(self) -> &'static str {
        match self {
            Self::One => "first core",
            Self::Both => "both cores",
        }
    }
}

impl Overload {
    /// Returns how much longer the slowest answers took while a setting was changed.
    fn ratio(&self) -> f64 {
        let p99 = |asked: &Asked| asked.latencies.quantile(0.99).as_secs_f64();
        p99(&self.changing) / p99(&self.quiet)
    }

    /// Returns what must be reached, and whether it was.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let (on, size) = (self.cores.text(), spaced(self.size as f64));
        let beside = format!("{on}, {} queries/s", spaced(RATE));
        let seconds = self.changed.as_secs_f64();
        let grown = self.memory.1 as f64 / self.memory.0 as f64 - 1.0;
        let missing = self
            .sent
            .queries
            .saturating_sub(self.answered + self.dropped);
        let slow = self.flooded.change.as_secs_f64();
        let p99 = |calls: &Histogram| calls.quantile(0.99).as_secs_f64() * 1e3;
        let (read, create) = (p99(&self.flooded.read), p99(&self.flooded.create));
        vec![
            Target {
                what: format!("{beside}: one setting of {size} domains changed, all served"),
                wanted: "≤ 6 s".to_owned(),
                found: format!("{seconds:.1} s"),
                verdict: (seconds <= 6.0).into(),
            },
            Target {
                what: format!("{beside}: p99 meanwhile, beside the p99 without the change"),
                wanted: "≤ 2".to_owned(),
                found: format!("{:.1}", self.ratio()),
                verdict: (self.ratio() <= 2.0).into(),
            },
            Target {
                what: format!("{beside}: queries lost meanwhile"),
                wanted: "0".to_owned(),
                found: spaced(self.changing.lost as f64),
                verdict: (self.changing.lost == 0).into(),
            },
            Target {
                what: format!("{on}, flooded: memory beside that before"),
                wanted: "≤ + 1 %".to_owned(),
                found: format!("{:+.1} %", 100.0 * grown),
                verdict: (grown <= 0.01).into(),
            },
            Target {
                what: format!("{on}, flooded: queries neither answered nor counted as dropped"),
                wanted: "0".to_owned(),
                found: spaced(missing as f64),
                verdict: (missing == 0).into(),
            },
            Target {
                what: format!("{on}, flooded: p99 of calls that read, that create"),
                wanted: "≤ 100 ms".to_owned(),
                found: format!("{read:.1} ms, {create:.1} ms"),
                verdict: (read.max(create) <= 100.0).into(),
            },
            Target {
                what: format!("{on}, flooded: one setting of {size} domains changed, all served"),
                wanted: "≤ 60 s".to_owned(),
                found: format!("{slow:.1} s"),
                verdict: (slow <= 60.0).into(),
            },
        ]
    }
}

/// Returns the tables of what was found.
pub(crate) fn tables(all: &[Overload]) -> String {
    let mut text = String::from(
        "The server runs on the first core alone with one UDP worker, or on both with two; what asks \
         it, and calls its API, is on the second. What asks at a rate goes before the server there \
         and sleeps in between; a flood does not.\n\n",
    );
    let _ = writeln!(
        text,
        "| server | {} queries/s of the mix | answered | lost | p50 µs | p99 µs | longest µs |\n\
         |---|---|---:|---:|---:|---:|---:|",
        spaced(RATE)
    );
    for found in all {
        let (on, size) = (found.cores.text(), spaced(found.size as f64));
        let changed = found.changed.as_secs_f64();
        let changing =
            format!("one setting of {size} domains is changed: {changed:.1} s each time");
        for (what, asked) in [("nothing else", &found.quiet), (&changing, &found.changing)] {
            let micros = |share| spaced(asked.latencies.quantile(share).as_secs_f64() * 1e6);
            let _ = writeln!(
                text,
                "| {on} | {what} | {} | {} | {} | {} | {} |",
                spaced(asked.latencies.total() as f64),
                spaced(asked.lost as f64),
                micros(0.5),
                micros(0.99),
                micros(1.0),
            );
        }
    }
    text.push_str(
        "\n| server | a flood: sent/s | answered/s | dropped by the kernel | memory before | in it |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    for found in all {
        let rate = |count: u64| spaced(count as f64 / found.sent.elapsed.as_secs_f64());
        let (before, after) = found.memory;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} kB | {} kB |",
            found.cores.text(),
            rate(found.sent.queries),
            rate(found.answered),
            spaced(found.dropped as f64),
            spaced(before as f64),
            spaced(after as f64),
        );
    }
    text.push_str(
        "\n| server | meanwhile | read a domain: p50, p99 ms | create one | one setting of all changed |\n\
         |---|---|---:|---:|---:|\n",
    );
    for found in all {
        for (when, work) in [("nobody asks", &found.calm), ("the flood", &found.flooded)] {
            let calls = |calls: &Histogram| {
                let millis = |share| calls.quantile(share).as_secs_f64() * 1e3;
                format!("{:.2}, {:.2}", millis(0.5), millis(0.99))
            };
            let _ = writeln!(
                text,
                "| {} | {when} | {} | {} | {:.1} s |",
                found.cores.text(),
                calls(&work.read),
                calls(&work.create),
                work.change.as_secs_f64(),
            );
        }
    }
    text
}
