//! dnsperf, for what our generator does not speak, and to check what it says.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use super::servers::Running;
use super::works::Works;
use super::{Asked, Measured};

/// Connections or sockets that ask.
const CLIENTS: &str = "4";
/// Queries under way in all.
const WINDOW: &str = "400";
/// A rate at which no generator is near its limit.
const LOW: f64 = 20_000.0;
/// The rows of the check.
const OURS_LOW: &str = "mix at 20 000/s, our generator";
const DNSPERF_LOW: &str = "mix at 20 000/s, dnsperf";

/// What carries queries.
#[derive(Clone, Copy)]
enum Carrier {
    Udp,
    Tcp,
    Dot,
}

/// Has a server answer the mix as fast as it can over TCP.
pub(crate) fn saturate_tcp(server: &Running, file: &NamedTempFile, span: Duration) -> Measured {
    let asked = || run(server.address, file, Carrier::Tcp, span, None);
    Measured::of(server, asked)
}

/// The same over TLS, if it can.
pub(crate) fn saturate_dot(
    server: &Running,
    file: &NamedTempFile,
    span: Duration,
) -> Option<Measured> {
    let address = server.dot?;
    let asked = || run(address, file, Carrier::Dot, span, None);
    Some(Measured::of(server, asked))
}

/// Asks a server at a low rate with both generators.
pub(crate) fn check(
    server: &Running,
    works: &mut Works,
    span: Duration,
) -> [(&'static str, Measured); 2] {
    let ours = works.saturating[0].at_rate(server, LOW, span);
    let theirs = Measured::of(server, || {
        run(server.address, &works.file, Carrier::Udp, span, Some(LOW))
    });
    [(OURS_LOW, ours), (DNSPERF_LOW, theirs)]
}

/// Runs dnsperf once.
fn run(
    server: SocketAddr,
    file: &NamedTempFile,
    carrier: Carrier,
    span: Duration,
    rate: Option<f64>,
) -> Asked {
    let carrier = match carrier {
        Carrier::Udp => "udp",
        Carrier::Tcp => "tcp",
        Carrier::Dot => "dot",
    };
    let mut command = Command::new("dnsperf");
    command
        .args(["-s", &server.ip().to_string()])
        .args(["-p", &server.port().to_string()])
        .args(["-m", carrier, "-c", CLIENTS, "-T", "1", "-q", WINDOW])
        // DO, as in our own queries.
        .args(["-D", "-l", &span.as_secs_f64().ceil().to_string(), "-d"])
        .arg(file.path());
    if let Some(rate) = rate {
        command.args(["-Q", &rate.to_string()]);
    }
    let begin = Instant::now();
    let output = command.output().unwrap_or_else(|error| {
        panic!("dnsperf: {error} (benches/versus/run installs what is missing)")
    });
    let elapsed = begin.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);
    let number = |what: &str| -> Option<f64> {
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix(what))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let read = || {
        Some(Asked {
            answered: number("Queries completed:")? as u64,
            lost: number("Queries lost:")? as u64,
            elapsed: Duration::from_secs_f64(number("Run time (s):")?),
            busy: None,
            mean: Duration::from_secs_f64(number("Average Latency (s):")?),
            latencies: None,
        })
    };
    read().unwrap_or_else(|| {
        panic!(
            "dnsperf after {elapsed:?} with {}: {text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
    })
}
