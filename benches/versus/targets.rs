//! What must be reached, and whether it was.

use std::fmt::Write as _;

use super::Measured;
use super::histogram::Histogram;
use super::overload::Overload;
use super::report::{Report, spaced};
use super::servers::{ECHO, OURS};
use super::works;

/// A generator that is busier than this hides how fast a server is.
const GENERATOR_LIMIT: f64 = 0.95;

/// One thing that must be reached.
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) wanted: String,
    pub(crate) found: String,
    pub(crate) verdict: Verdict,
}

/// Whether it was.
pub(crate) enum Verdict {
    Met,
    Missed,
    /// The generator was the limit: the server could have done more.
    Undecided,
}

impl From<bool> for Verdict {
    fn from(met: bool) -> Self {
        if met { Self::Met } else { Self::Missed }
    }
}

/// Returns the table of targets, of those for which there are figures.
pub(crate) fn table(report: &Report) -> String {
    let mut targets = Vec::new();
    targets.extend(floor(report));
    for (work, nsd, knot) in [
        (works::MIX, 2.0, 2.4),
        (works::NXDOMAIN, 2.0, 2.5),
        (works::WILDCARD, 2.0, 2.5),
        (works::WILDCARD_NODATA, 2.0, 2.5),
    ] {
        targets.extend(times(report, work, "NSD", nsd));
        targets.extend(times(report, work, "Knot", knot));
    }
    for work in [works::NXDOMAIN, works::WILDCARD, works::WILDCARD_NODATA] {
        targets.extend(flood(report, work));
    }
    targets.extend(times(report, works::TCP, "Knot", 1.5));
    targets.extend(latency(report));
    targets.extend(large(report));
    targets.extend(loaded(report));
    targets.extend(report.overloads.iter().flat_map(Overload::targets));
    let mut text = String::from("| target | wanted | found | |\n|---|---:|---:|---|\n");
    for target in targets {
        let verdict = match target.verdict {
            Verdict::Met => "met",
            Verdict::Missed => "missed",
            Verdict::Undecided => "the generator was the limit",
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {verdict} |",
            target.what, target.wanted, target.found
        );
    }
    text.push_str("\nCreating and rotating domains is measured by `benches/run`.");
    text
}

/// Our cost beside what the kernel takes, and how much of the core we use.
fn floor(report: &Report) -> Vec<Target> {
    let row = |server| report.median(report.size, works::MIX, server);
    let Some(ours) = row(OURS) else {
        return Vec::new();
    };
    let core = Target {
        what: format!("{}: the server's core is busy", works::MIX),
        wanted: "≥ 97 %".to_owned(),
        found: format!("{:.0} %", 100.0 * ours.server_core),
        verdict: decide(&ours, ours.server_core >= 0.965),
    };
    let beside = row(ECHO).map(|echo| {
        let times = ours.cpu.as_secs_f64() / echo.cpu.as_secs_f64();
        Target {
            what: format!("{}: CPU a query, beside the echo's", works::MIX),
            wanted: "≤ 1.4".to_owned(),
            found: format!("{times:.2}"),
            verdict: (times <= 1.4).into(),
        }
    });
    beside.into_iter().chain([core]).collect()
}

/// Our rate beside a peer's.
fn times(report: &Report, work: &str, peer: &str, wanted: f64) -> Option<Target> {
    let ours = report.median(report.size, work, OURS)?;
    let theirs = report.median(report.size, work, peer)?;
    let found = ours.rate / theirs.rate;
    let cpu = theirs.cpu.as_secs_f64() / ours.cpu.as_secs_f64();
    Some(Target {
        what: format!("{work}: queries/s, beside {peer}'s"),
        wanted: format!("≥ {wanted:.1}"),
        found: format!("{found:.2} (by CPU a query {cpu:.2})"),
        verdict: decide(&ours, found >= wanted),
    })
}

/// The rate of a flood beside that of the mix.
fn flood(report: &Report, work: &str) -> Option<Target> {
    let flood = report.median(report.size, work, OURS)?;
    let mix = report.median(report.size, works::MIX, OURS)?;
    let found = flood.rate / mix.rate;
    Some(Target {
        what: format!("{work}: queries/s, beside the mix"),
        wanted: "≥ 0.8".to_owned(),
        found: format!("{found:.2}"),
        verdict: decide(&flood, found >= 0.8),
    })
}

/// The slowest answers under a load that everybody bears.
fn latency(report: &Report) -> Option<Target> {
    let p99 = |server| {
        let row = report.median(report.size, works::HALF, server)?;
        Some(
            row.latencies
                .as_ref()
                .map(|all: &Histogram| all.quantile(0.99))?
                .as_secs_f64()
                * 1e6,
        )
    };
    let (ours, theirs) = (p99(OURS)?, p99("Knot")?);
    Some(Target {
        what: format!("{}: p99", works::HALF),
        wanted: format!("≤ {theirs:.0} µs"),
        found: format!("{ours:.0} µs"),
        verdict: (ours <= theirs).into(),
    })
}

/// The cost of many more domains.
fn large(report: &Report) -> Option<Target> {
    let size = 1_000_000;
    let large = report.median(size, works::MIX, OURS)?;
    let small = report.median(report.size, works::MIX, OURS)?;
    let found = large.cpu.as_secs_f64() / small.cpu.as_secs_f64();
    Some(Target {
        what: format!(
            "{} domains: CPU a query, beside {}",
            spaced(1e6),
            spaced(report.size as f64)
        ),
        wanted: "≤ 1.35".to_owned(),
        found: format!("{found:.2}"),
        verdict: (found <= 1.35).into(),
    })
}

/// Restart and memory with 100 000 domains.
fn loaded(report: &Report) -> Vec<Target> {
    let mut loads = report.loads().iter();
    let Some(load) = loads.find(|load| load.server == OURS && load.zones == 100_000) else {
        return Vec::new();
    };
    let (memory, time) = (load.memory_per_zone(), load.time.as_secs_f64());
    vec![
        Target {
            what: "100 000 domains: memory of each, all in, after a restart".to_owned(),
            wanted: "≤ 4.5 kB".to_owned(),
            found: format!("{memory:.1} kB"),
            verdict: (memory <= 4.5).into(),
        },
        Target {
            what: "100 000 domains: from the start to all served".to_owned(),
            wanted: "≤ 1 s".to_owned(),
            found: format!("{time:.2} s"),
            verdict: (time <= 1.0).into(),
        },
    ]
}

/// Returns the verdict on something that a generator at its limit would hide.
fn decide(ours: &Measured, met: bool) -> Verdict {
    match met {
        true => Verdict::Met,
        false if ours.generator >= GENERATOR_LIMIT => Verdict::Undecided,
        false => Verdict::Missed,
    }
}
