//! The address and the limits.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where the socketmap server listens and what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingConfig {
    /// The address.
    pub listen: RoutingListen,
    /// What clients may take.
    pub limits: RoutingLimits,
}

/// An address that only this machine reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoutingListen {
    /// The path of a socket.
    Unix(PathBuf),
    /// A loopback address; port 0 takes a free port.
    Tcp(SocketAddr),
}

/// What clients may take from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoutingLimits {
    /// Connections at a time.
    pub connections: usize,
    /// How long a connection may stay without a complete request.
    pub idle: Duration,
    /// How long a client may take to read one batch of replies.
    pub write: Duration,
}

impl From<RoutingListen> for RoutingConfig {
    fn from(listen: RoutingListen) -> Self {
        Self {
            listen,
            limits: RoutingLimits::default(),
        }
    }
}

impl Default for RoutingLimits {
    /// Room for Postfix' hundred `smtpd` and for what else looks up, several times over; it closes
    /// what it has not used for ten seconds by itself.
    fn default() -> Self {
        Self {
            connections: 512,
            idle: Duration::from_secs(60),
            write: Duration::from_secs(10),
        }
    }
}

impl fmt::Display for RoutingListen {
    /// Writes the address as the configuration does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}
