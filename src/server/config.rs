//! Addresses and limits.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::zone::Nsid;

use super::encrypted::CertificateFiles;
use super::rrl::RrlConfig;

/// How many descriptors a thread that answers datagrams takes: its socket, and a copy that it is woken
/// by.
const OF_A_WORKER: usize = 2;

/// How many descriptors an address of QUIC takes: its socket, and a copy that the endpoint is opened
/// on.
const OF_AN_ENDPOINT: usize = 2;

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

impl ServerConfig {
    /// Returns how many threads answer datagrams on each address.
    pub(super) fn workers(&self) -> usize {
        match (self.udp_workers, self.cores.len()) {
            (0, 0) => thread::available_parallelism().map_or(1, NonZero::get),
            (0, cores) => cores,
            (wanted, _) => wanted,
        }
    }

    /// Returns how many descriptors the sockets take that clients come to.
    pub fn sockets(&self) -> usize {
        let (dot, doq) = match &self.tls {
            Some(tls) => (tls.dot.len(), tls.doq.len()),
            None => (0, 0),
        };
        self.listen.len() * (1 + OF_A_WORKER * self.workers()) + dot + OF_AN_ENDPOINT * doq
    }

    /// Returns how many descriptors each place for a connection may take, as each transport has
    /// places of its own.
    pub fn descriptors_a_place(&self) -> usize {
        // TLS has as many for handshakes; QUIC has one socket for all.
        let has_dot = self.tls.as_ref().is_some_and(|tls| !tls.dot.is_empty());
        if has_dot { 3 } else { 1 }
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

/// The files that a running server is to read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesAgain {
    /// Those of the certificate; nothing where their section is wrong or missing. What is shown stays
    /// then, and so does a reading that has begun.
    pub certificate: Option<CertificateFiles>,
    /// That of the cookie secrets, or none for a random one; nothing where the setting is wrong, with
    /// which it is the same.
    pub cookie_secrets: Option<Option<PathBuf>>,
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
