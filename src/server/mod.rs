//! The data plane's sockets: datagrams and connections in, answers out.
//!
//! What a query means is the business of [`answer`](crate::zone::answer); here is how octets reach
//! it and leave again: from the address that was asked, without fragments, in bounded memory and
//! time, whatever a stranger sends. Nothing here knows a store, a key that signs, or a lock that a writer
//! holds.
//!
//! UDP has threads of its own, one socket each and address, so that the kernel spreads the load
//! (`SO_REUSEPORT`) and nothing else delays an answer. TCP, TLS and QUIC are tokio's, on threads
//! that the API has no part in.
//!
//! Start reading at [`Server::start`].

mod config;
mod connection;
mod cookies;
mod cores;
mod doorkeeper;
mod encrypted;
mod file;
mod latest;
mod mmsg;
mod responder;
mod rrl;
mod running;
mod slots;
mod socket;
mod tcp;
mod threads;
mod udp;

pub use config::{FilesAgain, Identity, ServerConfig, TcpLimits, TlsConfig};
pub use cookies::{CookieSecretsError, read_cookie_secrets};
pub use cores::{NoSuchCore, check_cores};
pub use encrypted::{CertificateError, CertificateFile, CertificateFiles};
pub use rrl::{Decision, Network, NetworkError, RateLimiter, RrlConfig};
pub use running::{Running, Server, ServerError, probe};

#[cfg(test)]
mod tests;
