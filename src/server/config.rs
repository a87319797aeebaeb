//! Addresses and limits.

use std::net::SocketAddr;
use std::time::Duration;

/// Where the data plane listens and what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The addresses, UDP and TCP on each; port 0 takes a free port, the same for both.
    pub listen: Vec<SocketAddr>,
    /// How many threads answer datagrams on each address; 0: one per core.
    pub udp_workers: usize,
    /// What TCP clients may take.
    pub tcp: TcpLimits,
}

/// What TCP clients may take from us (RFC 7766, section 6.2; RFC 9210, section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpLimits {
    /// Connections in total.
    pub connections: usize,
    /// Connections from one source: an IPv4 address, or a /64 of IPv6.
    pub per_source: usize,
    /// How long a connection may stay without a complete message.
    pub idle: Duration,
    /// How long a client may take to read one batch of answers.
    pub write: Duration,
}

impl Default for TcpLimits {
    /// The start values of RFC 9210, section 4.5.
    fn default() -> Self {
        Self {
            connections: 150,
            per_source: 25,
            idle: Duration::from_secs(10),
            write: Duration::from_secs(10),
        }
    }
}
