//! Who is where in the test's network: addresses for documentation (RFC 5737), on loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The parent zone's server.
pub(super) const PARENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The sender.
pub(super) const SENDER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// The first mail host.
pub(super) const MX1: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 25);
/// The second mail host.
pub(super) const MX2: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 26);
/// The server under test.
pub(super) const MXPOOL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
/// The validating resolver.
pub(super) const RESOLVER: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// What is added to loopback.
pub(super) const ALL: [Ipv4Addr; 5] = [PARENT, SENDER, MX1, MX2, MXPOOL];

/// Returns the DNS port there.
pub(super) fn dns(address: Ipv4Addr) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(address), 53)
}

/// Returns the SMTP port there.
pub(super) fn smtp(address: Ipv4Addr) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(address), 25)
}
