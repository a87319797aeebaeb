//! Who is counted as one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whoever shares a limit of connections: an IPv4 address, or a /64 of IPv6.
///
/// Whoever has one address of a /64 has them all, and by taking another for each connection could
/// take every place there is (RFC 9210, section 4.5, "IP address or subnet").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Source(IpAddr);

/// The network that a source is one of many in: an IPv4 /24, or a /48 of IPv6, which is what a
/// customer is given (RFC 6177, section 2) and has 65 536 sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Network(IpAddr);

impl Source {
    /// Returns whom an address belongs to.
    pub(super) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (!0 << 64)).into(),
        })
    }

    /// Returns the network that it is in.
    pub(super) fn network(self) -> Network {
        Network(match self.0 {
            IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & (!0 << 8)).into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (!0 << 80)).into(),
        })
    }
}
