//! What was measured, as Markdown.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use super::histogram::Histogram;
use super::overload::Overload;
use super::pool::Pools;
use super::servers::{ECHO, Running, Scene};
use super::works::MIX;
use super::{Measured, overload, targets};

/// What other programs may take of the server's core before that is said: the kernel's own threads
/// take some.
const QUIET: f64 = 0.04;

/// All rows, in the order in which they came first.
pub(crate) struct Report {
    /// The domains of the pool that all servers had.
    pub(crate) size: usize,
    rows: Vec<Row>,
    loads: Vec<Loaded>,
    /// What was found where there was more to do than can be done at once.
    pub(crate) overloads: Vec<Overload>,
}

/// One server at one work.
struct Row {
    size: usize,
    work: &'static str,
    server: &'static str,
    rounds: Vec<Measured>,
}

/// What a server took to load, and to hold, its zones.
pub(crate) struct Loaded {
    /// How many zones there were.
    pub(crate) zones: usize,
    pub(crate) server: &'static str,
    version: String,
    pub(crate) time: Duration,
    memory: u64,
}

impl Loaded {
    /// Returns what a zone takes, all in, in kB.
    pub(crate) fn memory_per_zone(&self) -> f64 {
        self.memory as f64 / self.zones as f64
    }
}

impl Report {
    /// Begins a report on a pool of `size` domains.
    pub(crate) fn begin(size: usize) -> Self {
        Self {
            size,
            rows: Vec::new(),
            loads: Vec::new(),
            overloads: Vec::new(),
        }
    }

    /// Notes what loading took.
    pub(crate) fn loaded(&mut self, scene: &Scene, pools: &Pools) {
        let servers = scene.servers.iter().filter(|server| server.is_dns());
        self.loads.extend(servers.map(|server| Loaded {
            zones: pools.zones().len(),
            server: server.name,
            version: server.version.clone(),
            time: server.loading,
            memory: server.memory,
        }));
    }

    /// Adds a round.
    pub(crate) fn add(
        &mut self,
        size: usize,
        work: &'static str,
        server: &Running,
        measured: Measured,
    ) {
        let key = (size, work, server.name);
        let mut rows = self.rows.iter_mut();
        match rows.find(|row| (row.size, row.work, row.server) == key) {
            Some(row) => row.rounds.push(measured),
            None => self.rows.push(Row {
                size,
                work,
                server: server.name,
                rounds: vec![measured],
            }),
        }
    }

    /// Returns the medians of a row.
    pub(crate) fn median(&self, size: usize, work: &str, server: &str) -> Option<Measured> {
        let mut rows = self.rows.iter();
        let found = rows.find(|row| (row.size, row.work, row.server) == (size, work, server));
        found.map(Row::median)
    }

    /// Returns the median rate of a server beside the others.
    pub(crate) fn median_rate(&self, server: &str, work: &str) -> Option<f64> {
        Some(self.median(self.size, work, server)?.rate)
    }

    /// Returns what the servers took to load.
    pub(crate) fn loads(&self) -> &[Loaded] {
        &self.loads
    }

    /// Prints everything.
    pub(crate) fn print(&self) {
        println!("{}", machine());
        if !self.rows.is_empty() {
            self.print_comparison();
        }
        if !self.overloads.is_empty() {
            println!();
            print!("{}", overload::tables(&self.overloads));
        }
        let others = self.rows.iter().map(|row| row.median().others);
        let others = others.chain(self.overloads.iter().map(|found| found.others));
        let others = others.max_by(f64::total_cmp).unwrap_or_default();
        if others > QUIET {
            println!();
            println!(
                "The machine was not quiet: other programs took up to {:.0} % of a core. Rates are too \
                 low, and latencies too high; CPU a query is nearer the truth.",
                100.0 * others
            );
        }
        println!();
        println!("{}", targets::table(self));
    }

    /// Prints what all servers did, and what they took to load.
    fn print_comparison(&self) {
        println!();
        let versions: HashSet<String> = self.loads.iter().map(version).collect();
        let mut versions: Vec<String> = versions.into_iter().collect();
        versions.sort();
        println!("{}.", versions.join(", "));
        println!();
        println!(
            "| domains | work | server | queries/s | CPU µs/query | × echo | server's core | generator's | p50 µs | p99 µs | lost |"
        );
        println!("|---:|---|---|---:|---:|---:|---:|---:|---:|---:|---:|");
        for row in self.ordered() {
            println!("{}", self.line(row));
        }
        println!();
        println!("| zones | server | loaded after | memory a zone, all in |");
        println!("|---:|---|---:|---:|");
        for load in &self.loads {
            println!(
                "| {} | {} | {:.2} s | {:.1} kB |",
                spaced(load.zones as f64),
                load.server,
                load.time.as_secs_f64(),
                load.memory_per_zone()
            );
        }
    }

    /// Returns the rows by size and work, each work where it came first.
    fn ordered(&self) -> Vec<&Row> {
        let mut groups: Vec<(usize, &str)> = Vec::new();
        for row in &self.rows {
            if !groups.contains(&(row.size, row.work)) {
                groups.push((row.size, row.work));
            }
        }
        let groups = groups.into_iter();
        groups
            .flat_map(|(size, work)| {
                self.rows
                    .iter()
                    .filter(move |row| row.size == size && row.work == work)
            })
            .collect()
    }

    fn line(&self, row: &Row) -> String {
        let found = row.median();
        let echo = self.median(row.size, MIX, ECHO);
        let times = echo.map(|echo| found.cpu.as_secs_f64() / echo.cpu.as_secs_f64());
        let micros = |latency: Duration| format!("{:.0}", latency.as_secs_f64() * 1e6);
        let (p50, p99) = match &found.latencies {
            Some(all) => (micros(all.quantile(0.5)), micros(all.quantile(0.99))),
            None => (format!("mean {}", micros(found.mean)), String::new()),
        };
        let mut line = String::new();
        let _ = write!(
            line,
            "| {} | {} | {} | {} | {:.2} | {} | {:.0} % | {:.0} % | {p50} | {p99} | {} |",
            spaced(row.size as f64),
            row.work,
            row.server,
            spaced(found.rate),
            found.cpu.as_secs_f64() * 1e6,
            times.map(|times| format!("{times:.2}")).unwrap_or_default(),
            100.0 * found.server_core,
            100.0 * found.generator,
            if found.lost > 0.0 {
                format!("{:.3} %", 100.0 * found.lost)
            } else {
                "0".to_owned()
            },
        );
        line
    }
}

impl Row {
    /// Returns the median of each column; latencies are those of all rounds.
    fn median(&self) -> Measured {
        let of = |column: fn(&Measured) -> f64| {
            let mut values: Vec<f64> = self.rounds.iter().map(column).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let latencies = self.rounds.iter().map(|round| round.latencies.as_ref());
        let latencies = latencies.collect::<Option<Vec<_>>>().map(|rounds| {
            let mut all = Histogram::default();
            rounds.into_iter().for_each(|round| all.add(round));
            all
        });
        Measured {
            rate: of(|round| round.rate),
            cpu: Duration::from_secs_f64(of(|round| round.cpu.as_secs_f64())),
            server_core: of(|round| round.server_core),
            others: of(|round| round.others),
            generator: of(|round| round.generator),
            lost: of(|round| round.lost),
            mean: Duration::from_secs_f64(of(|round| round.mean.as_secs_f64())),
            latencies,
        }
    }
}

fn version(load: &Loaded) -> String {
    format!("{} {}", load.server, load.version)
}

/// Returns a whole number with spaces between thousands.
pub(crate) fn spaced(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Says on what machine this is, and when.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split(": ").nth(1));
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let debian = read("/etc/debian_version");
    let now = mxpool::clock::Clock::now(&mxpool::clock::SystemClock::new());
    format!(
        "{now}, {} cores of {}, Debian {}, Linux {}, load after {}.",
        cpu.matches("processor\t").count(),
        model.unwrap_or("an unnamed processor"),
        debian.trim(),
        kernel.trim(),
        load.split(' ').next().unwrap_or_default(),
    )
}
