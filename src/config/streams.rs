//! `[dns.tcp]`: what those who ask over connections may take.

use std::time::Duration;

use crate::clock::Span;
use crate::server::TcpLimits;

use super::entries::{Entry, Value};
use super::settings::{Reader, parsed, show};

/// More connections than this no process has descriptors for.
const MOST_CONNECTIONS: i64 = 1_000_000;

/// Shorter, and a query on its way would find its connection closed.
const SHORTEST_IDLE: Span = Span::from_secs(1);

/// The longest time that a connection can be told it may idle (RFC 7828, section 3.1: 65 535 tenths
/// of a second), in whole minutes.
const LONGEST_IDLE: Span = Span::from_secs(109 * 60);

impl Reader {
    /// Reads the limits of connections.
    pub(super) fn tcp(&mut self) -> TcpLimits {
        let mut limits = TcpLimits::default();
        if let Some(total) = self.get("dns.tcp", "connections", connections) {
            limits.connections = total;
            limits.per_source = limits.per_source.min(total);
        }
        if let Some(per_source) = self.get("dns.tcp", "per_source", connections) {
            limits.per_source = per_source;
        }
        if let Some(idle) = self.get("dns.tcp", "idle", idle) {
            limits.idle = idle;
        }
        limits
    }
}

/// Reads a number of connections.
fn connections(entry: &Entry) -> Result<usize, String> {
    let number = match &entry.value {
        Value::Number(number) => Some(*number),
        Value::Variable(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .filter(|number| (1..=MOST_CONNECTIONS).contains(number))
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| {
            format!(
                "expected a number from 1 to {MOST_CONNECTIONS}, found {}",
                show(&entry.value)
            )
        })
}

/// Reads how long a connection may idle.
fn idle(entry: &Entry) -> Result<Duration, String> {
    let idle: Span = parsed(entry)?;
    if (SHORTEST_IDLE..=LONGEST_IDLE).contains(&idle) {
        return Ok(idle.as_duration());
    }
    Err(format!(
        "expected a span from {SHORTEST_IDLE} to {LONGEST_IDLE}, found {idle}"
    ))
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::config::settings::tests::assert_begin;
    use crate::server::TcpLimits;

    use super::*;

    /// Reads a text; problems come as lines.
    fn read(text: &str) -> Result<Config, Vec<String>> {
        Config::read_text("f", text)
            .map_err(|problems| problems.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn limits_of_connections_are_read() {
        let text = "[dns.tcp]\nconnections = 5000\nper_source = 30\nidle = \"1m\"\n";

        let limits = read(text).unwrap().server.tcp;

        let wanted = TcpLimits {
            connections: 5_000,
            per_source: 30,
            idle: Duration::from_secs(60),
            ..TcpLimits::default()
        };
        assert_eq!(limits, wanted);
        assert_eq!(
            read("[dns]\ntcp = { idle = \"1m\" }\n")
                .unwrap()
                .server
                .tcp
                .idle,
            wanted.idle
        );
    }

    #[test]
    fn one_source_gets_no_more_than_there_are() {
        let limits = read("[dns.tcp]\nconnections = 7\n").unwrap().server.tcp;

        assert_eq!(limits.per_source, 7);
    }

    #[test]
    fn impossible_limits_are_refused() {
        let text = "[dns.tcp]\nconnections = 0\nper_source = \"many\"\nidle = \"2h\"\nidel = 1\n";

        assert_begin(
            &read(text).unwrap_err(),
            &[
                "f:2:15: dns.tcp.connections: expected a number from 1 to 1000000, found 0",
                "f:3:14: dns.tcp.per_source: expected a number from 1 to 1000000, found \"many\"",
                "f:4:8: dns.tcp.idle: expected a span from 1s to 1h49m, found 2h",
                "f:5:1: unknown key \"idel\" in section [dns.tcp]; expected one of connections,",
            ],
        );
        assert_begin(
            &read("[dns]\ntcp = 5\n").unwrap_err(),
            &["f:2:1: expected a section [dns.tcp], found a integer"],
        );
    }
}
