//! Prefixes of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The addresses that begin alike, as `192.0.2.0/24` or `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The first address; that of IPv4 where the others are.
    first: IpAddr,
    /// How many bits are alike.
    length: u8,
}

/// A text that is no prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// It is no address with a length.
    #[error("expected an address or a prefix like 192.0.2.0/24 or 2001:db8::/32, found {found:?}")]
    NoPrefix {
        /// What was found.
        found: String,
    },
    /// The address goes on behind the prefix.
    #[error("expected {wanted}, found {found}: its other bits are not zero")]
    OtherBits {
        /// The prefix that it is in.
        wanted: Network,
        /// What was found.
        found: String,
    },
    /// It is of IPv4, written as if it were of IPv6, where no client ever is.
    #[error("expected {wanted}, found {found}: clients of IPv4 are known by their IPv4 addresses")]
    Mapped {
        /// The prefix that is meant.
        wanted: Network,
        /// What was found.
        found: String,
    },
}

/// The prefix that is a client's own, for all that a server can tell: an IPv4 /24 or an IPv6 /56.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientPrefix(u64);

/// The length of a client's own prefix in IPv4.
const IPV4_LENGTH: u8 = 24;
/// The length of a client's own prefix in IPv6.
const IPV6_LENGTH: u8 = 56;
/// Marks an IPv4 prefix in the bits that no IPv6 one has.
const IPV4: u64 = 1 << 63;
/// Marks an IPv6 prefix.
const IPV6: u64 = 1 << 62;

impl Network {
    /// Returns the prefix of `length` bits that `address` is in.
    fn around(address: IpAddr, length: u8) -> Self {
        let first = match address {
            IpAddr::V4(address) => {
                let bits = address.to_bits() & mask(u128::from(u32::MAX), 32, length) as u32;
                Ipv4Addr::from_bits(bits).into()
            }
            IpAddr::V6(address) => {
                Ipv6Addr::from_bits(address.to_bits() & mask(u128::MAX, 128, length)).into()
            }
        };
        Self { first, length }
    }

    /// Returns whether an address is in it.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && Self::around(address, self.length) == *self
    }
}

/// Returns the upper `length` of the `total` bits that `all` has.
fn mask(all: u128, total: u8, length: u8) -> u128 {
    let below = u32::from(total.saturating_sub(length));
    all & all.checked_shl(below).unwrap_or(0)
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let none = || NetworkError::NoPrefix {
            found: text.to_owned(),
        };
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| none())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            // No sign, as `parse` would take one.
            Some(length) if length.bytes().all(|octet| octet.is_ascii_digit()) => {
                length.parse().map_err(|_| none())?
            }
            Some(_) => return Err(none()),
            None => most,
        };
        if length > most {
            return Err(none());
        }
        let wanted = Self::around(address, length);
        if wanted.first != address {
            let found = text.to_owned();
            return Err(NetworkError::OtherBits { wanted, found });
        }
        // The prefix that holds all of IPv4 has 96 bits (RFC 4291, section 2.5.5.2).
        if let IpAddr::V6(mapped) = address
            && let (Some(meant), Some(length)) = (mapped.to_ipv4_mapped(), length.checked_sub(96))
        {
            let wanted = Self::around(meant.into(), length);
            let found = text.to_owned();
            return Err(NetworkError::Mapped { wanted, found });
        }
        Ok(wanted)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

impl ClientPrefix {
    /// Returns the prefix of a client.
    pub(super) fn of(client: IpAddr) -> Self {
        Self(match client.to_canonical() {
            IpAddr::V4(address) => IPV4 | u64::from(address.to_bits() >> (32 - IPV4_LENGTH)),
            IpAddr::V6(address) => IPV6 | (address.to_bits() >> (128 - IPV6_LENGTH)) as u64,
        })
    }

    /// Returns it as a number that is never zero.
    pub(super) fn to_bits(self) -> u64 {
        self.0
    }

    /// Takes such a number.
    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns it as people write it.
    pub(super) fn network(self) -> Network {
        let bits = self.0 & !(IPV4 | IPV6);
        if self.0 & IPV4 != 0 {
            let first = Ipv4Addr::from_bits((bits as u32) << (32 - IPV4_LENGTH)).into();
            let length = IPV4_LENGTH;
            return Network { first, length };
        }
        Network {
            first: Ipv6Addr::from_bits(u128::from(bits) << (128 - IPV6_LENGTH)).into(),
            length: IPV6_LENGTH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_is_read_and_written_alike() {
        for text in [
            "192.0.2.0/24",
            "0.0.0.0/0",
            "192.0.2.7/32",
            "2001:db8::/32",
            "::/0",
            "::1/128",
        ] {
            assert_eq!(network(text).to_string(), text);
        }
        assert_eq!(network("192.0.2.7"), network("192.0.2.7/32"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::1/128"));
    }

    #[test]
    fn what_is_no_prefix_is_told() {
        for text in [
            "",
            "here",
            "192.0.2.0/33",
            "::/129",
            "192.0.2/24",
            "192.0.2.0/",
            "192.0.2.0/+8",
            "1.2.3.4/8/8",
        ] {
            let error = text.parse::<Network>().unwrap_err().to_string();
            assert!(
                error.starts_with("expected an address or a prefix"),
                "{error}"
            );
        }
        let error = "192.0.2.7/24".parse::<Network>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected 192.0.2.0/24, found 192.0.2.7/24: its other bits are not zero"
        );
        let error = "::ffff:192.0.2.0/120".parse::<Network>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected 192.0.2.0/24, found ::ffff:192.0.2.0/120: clients of IPv4 are known by their \
             IPv4 addresses"
        );
    }

    #[test]
    fn a_prefix_contains_what_begins_alike() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for (prefix, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.0/24", "::ffff:192.0.2.1", "2001:db8::1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"),
            ("0.0.0.0/0", "255.255.255.255", "::"),
            ("::/0", "ffff::", "0.0.0.0"),
        ] {
            assert!(network(prefix).contains(address(inside)), "{inside}");
            assert!(!network(prefix).contains(address(outside)), "{outside}");
        }
    }

    #[test]
    fn a_client_is_a_24_or_a_56() {
        for (client, prefix) in [
            ("192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("0.0.0.1", "0.0.0.0/24"),
            ("2001:db8:1:2ff::1", "2001:db8:1:200::/56"),
            ("::1", "::/56"),
        ] {
            let own = ClientPrefix::of(client.parse().unwrap());
            assert_eq!(own.network().to_string(), prefix);
            assert_ne!(own.to_bits(), 0);
        }
    }
}
