//! What the servers are asked to do.

use std::io::Write;
use std::time::Duration;

use tempfile::NamedTempFile;

use super::load::{Load, Outcome, Pace, Waiting};
use super::mix::Queries;
use super::pool::Pools;
use super::servers::Running;
use super::{Asked, Measured};

/// The mix, as fast as it is answered.
pub(crate) const MIX: &str = "mix";
/// Names that do not exist.
pub(crate) const NXDOMAIN: &str = "random names: NXDOMAIN";
/// Names that a wildcard answers.
pub(crate) const WILDCARD: &str = "random names below `*`: MX";
/// Names that a wildcard has not this type for.
pub(crate) const WILDCARD_NODATA: &str = "random names below `*`: NODATA";
/// The mix at half of what saturates Knot.
pub(crate) const HALF: &str = "mix at half of Knot's rate";
/// The mix over TCP.
pub(crate) const TCP: &str = "mix over TCP";
/// The mix over TLS.
pub(crate) const DOT: &str = "mix over TLS";

/// Sockets that ask.
const SOCKETS: usize = 4;
/// Queries under way, for each socket: together less than the smallest receive buffer of a server
/// holds, which is the kernel's default of 208 KiB, or some 270 datagrams.
const WINDOW: usize = 60;

/// When a query counts as lost: far beyond any queue on loopback.
const LOST: Duration = Duration::from_millis(300);

const MX: u16 = 15;
const AAAA: u16 = 28;

/// Queries, and a name for the table.
pub(crate) struct Work {
    /// What the table calls it.
    pub(crate) name: &'static str,
    queries: Queries,
}

/// Everything that is asked of every server.
pub(crate) struct Works {
    /// What is asked as fast as it is answered, the mix first.
    pub(crate) saturating: Vec<Work>,
    /// The mix for dnsperf.
    pub(crate) file: NamedTempFile,
}

impl Works {
    /// Makes the queries for the domains.
    pub(crate) fn new(pools: &Pools) -> Self {
        // As many as there are domains, and enough that nobody remembers the last round.
        let count = pools.plain.len().max(1 << 18);
        let work = |name, queries| Work { name, queries };
        let mut saturating = vec![
            work(MIX, Queries::mix(&pools.plain, count, 1)),
            work(NXDOMAIN, Queries::flood(&pools.plain, MX, count, 2)),
        ];
        if !pools.wild.is_empty() {
            saturating.extend([
                work(WILDCARD, Queries::flood(&pools.wild, MX, count, 3)),
                work(WILDCARD_NODATA, Queries::flood(&pools.wild, AAAA, count, 4)),
            ]);
        }
        let mut file = NamedTempFile::new().expect("a file can be made");
        let lines = saturating[0].queries.lines();
        file.write_all(lines.as_bytes()).expect("it can be written");
        Self { saturating, file }
    }
}

impl Work {
    /// Returns whether a server is asked this: the floor is one for all.
    pub(crate) fn is_for(&self, server: &Running) -> bool {
        server.is_dns() || self.name == MIX
    }

    /// Asks a server as fast as it answers.
    pub(crate) fn saturate(&mut self, server: &Running, span: Duration) -> Measured {
        // What a server does only once, and what the core forgot meanwhile, is not counted.
        self.ask(server, Pace::Saturate, span / 8);
        Measured::of(server, || self.ask(server, Pace::Saturate, span).into())
    }

    /// Asks a server so many queries a second.
    pub(crate) fn at_rate(&mut self, server: &Running, rate: f64, span: Duration) -> Measured {
        self.ask(server, Pace::Rate(rate), span / 8);
        Measured::of(server, || self.ask(server, Pace::Rate(rate), span).into())
    }

    fn ask(&mut self, server: &Running, pace: Pace, span: Duration) -> Outcome {
        let load = Load {
            server: server.address,
            sockets: SOCKETS,
            window: WINDOW,
            pace,
            span,
            limit: u64::MAX,
            waiting: Waiting::Awake,
            patience: LOST,
        };
        load.run(&mut self.queries)
            .unwrap_or_else(|error| panic!("asking {}: {error}", server.name))
    }
}

impl From<Outcome> for Asked {
    fn from(outcome: Outcome) -> Self {
        Self {
            answered: outcome.answered,
            lost: outcome.lost,
            elapsed: outcome.elapsed,
            busy: Some(outcome.busy()),
            mean: outcome.latencies.mean(),
            latencies: Some(outcome.latencies),
        }
    }
}
