//! Addresses and limits.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::zone::Nsid;

use super::encrypted::CertificateFiles;
use super::rrl::RrlConfig;

/// Where the data plane listens and what it allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerConfig {
    /// The addresses, UDP and TCP on each; port 0 takes a free port, the same for both.
    pub listen: Vec<SocketAddr>,
    /// How many threads answer datagrams on each address; 0: one per core, of `cores` if any are
    /// named.
    pub udp_workers: usize,
    /// The cores that these threads stay on, in turn; none: where the system puts them.
    pub cores: Vec<usize>,
    /// What clients may take over connections, over each transport for itself.
    pub tcp: TcpLimits,
    /// Where DNS over TLS and over QUIC is served, if it is.
    pub tls: Option<TlsConfig>,
    /// What the node says of itself.
    pub identity: Identity,
    /// The file of the secrets that cookies are made with; without one there is a random secret,
    /// which no other node has.
    pub cookie_secrets: Option<PathBuf>,
    /// How answers over UDP are limited, if they are.
    pub rrl: Option<RrlConfig>,
}

/// Descriptors that are kept for what is no DNS connection: 256 connections of the API, as many of
/// scrapes, UDP sockets, the store, logs.
const KEPT: usize = 640;

impl ServerConfig {
    /// Lowers the number of connections to what `descriptors` are enough for, beside all else that
    /// a node holds open; returns it if it had to be.
    pub fn fit(&mut self, descriptors: usize) -> Option<usize> {
        let kept = KEPT.min(descriptors / 2);
        // Each kind of connection has places of its own; those of TLS have as many for handshakes.
        let has_dot = self.tls.as_ref().is_some_and(|tls| !tls.dot.is_empty());
        let kinds = if has_dot { 3 } else { 1 };
        let most = ((descriptors - kept) / kinds).max(1);
        if self.tcp.connections <= most {
            return None;
        }
        self.tcp.connections = most;
        Some(most)
    }
}

/// What a node says of itself to those who ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its name (RFC 5001).
    pub nsid: Option<Nsid>,
    /// Whether `id.server` is answered with it (RFC 4892).
    pub id_server: bool,
}

/// Where encrypted transports are served, and with which certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// The addresses for DNS over TLS.
    pub dot: Vec<SocketAddr>,
    /// The addresses for DNS over QUIC.
    pub doq: Vec<SocketAddr>,
    /// What clients are shown.
    pub files: CertificateFiles,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_all_else() {
        let mut config = ServerConfig::default();
        assert_eq!(config.fit(1_024), None, "the default always fits");
        config.tcp.connections = 5_000;
        assert_eq!(config.fit(20_000), None);
        assert_eq!(config.fit(4_096), Some(4_096 - 640));
        config.tls = Some(TlsConfig {
            dot: vec![([127, 0, 0, 1], 853).into()],
            doq: Vec::new(),
            files: CertificateFiles {
                certificate: "dns.pem".into(),
                key: "dns.key".into(),
            },
        });

        assert_eq!(config.fit(4_096), Some((4_096 - 640) / 3));
        assert_eq!(config.tcp.connections, 1_152);
        assert_eq!(
            config.fit(64),
            Some(10),
            "no less than half is for connections"
        );
    }
}
