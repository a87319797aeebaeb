//! DNS over TLS (RFC 7858) and over QUIC (RFC 9250).
//!
//! Both answer out of the same set as datagrams do, under the limits of plain TCP, each transport
//! with places of its own, so that none starves another. What is shown to clients is one
//! [`Certificate`], replaced while the server runs.
//!
//! # Why not `hickory-server`
//!
//! Its listeners (0.26.3) have TLS and QUIC ready, but a stranger can stop them:
//!
//! * a connection that is reset before it is accepted ends its TCP and TLS listeners for good
//!   (`ECONNABORTED`), and a lack of descriptors makes them spin;
//! * its QUIC listener waits for one handshake at a time, five seconds each, so that one datagram
//!   every five seconds keeps everybody else out; on a connection it waits for one query at a time;
//! * it has no limit on connections, in total or from a source, and none on open handshakes; QUIC
//!   clients need not show that an address is theirs however many there are (Retry);
//! * a query of a QUIC client whose id is not 0 is answered, and panics in a debug build;
//! * answers are taken apart and put together anew: other octets than over UDP, no padding, and no
//!   way to tell what came early (0-RTT).
//!
//! So TLS is `tokio-rustls` under the same accept loop and [`Connection`] as plain TCP, and QUIC is
//! `quinn`, which is what that library uses, too. The protocols are not ours; how many strangers
//! may hold what for how long is.
//!
//! [`Certificate`]: certificate::Certificate
//! [`Connection`]: super::connection::Connection

pub(super) mod certificate;
pub(super) mod doq;
mod files;
mod query;
mod quic_socket;
mod sockets;
mod tls;

pub use files::{CertificateError, CertificateFile, CertificateFiles};
pub(super) use sockets::{Encrypted, EncryptedSockets, probe};
pub(super) use tls::TlsDoor;
