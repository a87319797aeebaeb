//! The same pool beside Knot, NSD, PowerDNS and the floor that the kernel sets.
//!
//! `benches/versus/run` calls it, and says how. Every server runs on core 0, what asks it on core 1,
//! one after the other in several rounds; the table has the median of the rounds. Then mxpool alone has
//! more to do than it can. All is printed as Markdown, with each target and whether it is met.
//!
//! Start reading at [`main`]; what is asked is in [`mix`], and how, in [`load`].

#![allow(dead_code, clippy::missing_docs_in_private_items, clippy::print_stdout)]

#[path = "../shared/measure.rs"]
mod measure;
#[path = "../../tests/it/process.rs"]
mod process;

mod agreement;
mod dnsperf;
mod echo;
mod flood;
mod histogram;
mod load;
mod mix;
mod overload;
mod peers;
mod pool;
mod report;
mod servers;
mod targets;
mod usage;
mod works;

use std::time::{Duration, Instant};

use clap::Parser;

use pool::Pools;
use report::Report;
use servers::{Running, Scene};
use works::Works;

/// The core that servers run on.
const SERVER_CORE: usize = 0;
/// The core that the generator runs on.
const GENERATOR_CORE: usize = 1;

/// Compares mxpool with Knot, NSD, PowerDNS and a UDP echo.
#[derive(Parser)]
struct Arguments {
    /// Numbers of domains: the first beside the other servers, more of them for mxpool alone.
    #[arg(default_values_t = [10_000, 100_000, 1_000_000])]
    domains: Vec<usize>,
    /// Leaves out all other servers: any of echo, mxpool, Knot, NSD, PowerDNS.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Rounds of which the median counts; without any, servers are not compared.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let given: Vec<String> = std::env::args().collect();
    if let [_, command, address] = given.as_slice()
        && command == servers::ECHO
    {
        let address = address.parse().expect("an address and a port");
        echo::echo(address).expect("the echo works until it is killed");
        return;
    }
    // `cargo test --all-targets` and `cargo bench -- --list` ask for nothing to be measured.
    if given
        .iter()
        .any(|word| word == "--list" || word == "--test")
    {
        return;
    }
    let arguments = Arguments::parse();
    let wanted = |name: &str| {
        let mut only = arguments.only.iter();
        arguments.only.is_empty() || only.any(|only| only.eq_ignore_ascii_case(name))
    };
    let mut sizes = arguments.domains.iter().copied();
    let size = sizes.next().expect("there is a default");

    let mut report = Report::begin(size);
    if arguments.rounds > 0 {
        compare(size, &arguments, wanted, &mut report);
    }
    if wanted(servers::OURS) {
        let pools = Pools::of(size, 0);
        let first = usage::come_first().map(drop);
        for cores in [overload::Cores::One, overload::Cores::Both] {
            if let (overload::Cores::Both, Err(error)) = (cores, &first) {
                eprintln!("both cores are left out, as what asks cannot go before all: {error}");
                continue;
            }
            eprintln!("mxpool has more to do than it can");
            report.overloads.push(overload::measure(&pools, cores));
        }
    }
    for size in sizes {
        if wanted(servers::OURS) {
            alone(size, &arguments, &mut report);
        }
    }
    report.print();
}

/// Measures all servers with the same pools.
fn compare(size: usize, arguments: &Arguments, wanted: impl Fn(&str) -> bool, report: &mut Report) {
    let span = Duration::from_secs_f64(arguments.seconds);
    // As many domains with a `*`: a flood of random names needs no fewer zones than the mix.
    let pools = Pools::of(size, size);
    let scene = Scene::set(&pools, wanted);
    report.loaded(&scene, &pools);
    agreement::check(&scene, &pools);
    let mut works = Works::new(&pools);
    for round in 0..arguments.rounds {
        eprintln!("round {} of {}", round + 1, arguments.rounds);
        for work in &mut works.saturating {
            for server in &scene.servers {
                if work.is_for(server) {
                    report.add(size, work.name, server, work.saturate(server, span));
                }
            }
        }
        let half = report
            .median_rate("Knot", works::MIX)
            .map(|rate| rate / 2.0);
        for server in &scene.servers {
            if let Some(rate) = half {
                let measured = works.saturating[0].at_rate(server, rate, span);
                report.add(size, works::HALF, server, measured);
            }
        }
        for server in scene.servers.iter().filter(|server| server.is_dns()) {
            let measured = dnsperf::saturate_tcp(server, &works.file, span);
            report.add(size, works::TCP, server, measured);
            if let Some(measured) = dnsperf::saturate_dot(server, &works.file, span) {
                report.add(size, works::DOT, server, measured);
            }
        }
    }
    for server in scene.servers.iter().filter(|server| server.is_dns()) {
        for (work, measured) in dnsperf::check(server, &mut works, span) {
            report.add(size, work, server, measured);
        }
    }
}

/// Measures mxpool with another number of domains.
fn alone(size: usize, arguments: &Arguments, report: &mut Report) {
    let span = Duration::from_secs_f64(arguments.seconds);
    let pools = Pools::of(size, 0);
    let scene = Scene::set(&pools, |name| {
        name == servers::OURS || name == servers::ECHO
    });
    report.loaded(&scene, &pools);
    let mut works = Works::new(&pools);
    for _ in 0..arguments.rounds {
        for work in &mut works.saturating {
            for server in &scene.servers {
                if work.is_for(server) {
                    report.add(size, work.name, server, work.saturate(server, span));
                }
            }
        }
    }
}

/// What one measurement found.
#[derive(Clone, Debug)]
struct Measured {
    /// Answers a second.
    rate: f64,
    /// Processor time of the server for each answer.
    cpu: Duration,
    /// Which part of the time the server's core was busy.
    server_core: f64,
    /// Which part of the time other programs had that core.
    others: f64,
    /// Which part of the time the generator worked.
    generator: f64,
    /// Which part of the queries got no answer.
    lost: f64,
    /// The mean latency.
    mean: Duration,
    /// How long answers took, where every one was looked at.
    latencies: Option<histogram::Histogram>,
}

impl Measured {
    /// Measures a server while `work` asks it; that returns answers, queries lost, and the rest.
    fn of(server: &Running, work: impl FnOnce() -> Asked) -> Self {
        let core = || usage::Core::now(SERVER_CORE).expect("the kernel counts");
        let generator = || usage::Core::now(GENERATOR_CORE).expect("the kernel counts");
        let (time, before, own) = (server.tree.time(), core(), generator());
        let begin = Instant::now();
        let asked = work();
        let used = (server.tree.time() - time).as_secs_f64();
        let (after, own_after) = (core(), generator());
        let server_core = after.busy_since(before);
        let share = used / begin.elapsed().as_secs_f64();
        let answered = asked.answered.max(1);
        Self {
            rate: asked.answered as f64 / asked.elapsed.as_secs_f64(),
            cpu: Duration::from_secs_f64(used / answered as f64),
            server_core,
            others: (server_core - share).max(0.0),
            generator: asked.busy.unwrap_or_else(|| own_after.busy_since(own)),
            lost: asked.lost as f64 / (asked.lost + answered) as f64,
            mean: asked.mean,
            latencies: asked.latencies,
        }
    }
}

/// What somebody who asked a server says.
struct Asked {
    answered: u64,
    lost: u64,
    elapsed: Duration,
    /// How busy it was, where it knows.
    busy: Option<f64>,
    mean: Duration,
    latencies: Option<histogram::Histogram>,
}
