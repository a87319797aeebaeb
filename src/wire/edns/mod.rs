//! The OPT record, in and out.
//!
//! What a query's says is [`Edns`], what its options say [`Options`]; what a reply's says beyond
//! that is [`ReplyOptions`], put together by who answers.

mod options;
mod reply;

use super::Transport;

pub(super) use options::OPTION_HEAD;
pub use options::Options;
pub(super) use reply::ROOM;
pub use reply::{COOKIE_LENGTH, ExtendedError, ReplyOptions};

/// The UDP payload that we send at most and say we take.
///
/// The value of DNS flag day 2020: small enough to pass an IPv6 path of 1280 octets unfragmented
/// (RFC 9715, section 3).
pub(super) const OUR_UDP_SIZE: u16 = 1232;
/// What every requestor takes, whatever its OPT record says (RFC 6891, section 6.2.3).
pub(super) const MIN_UDP_SIZE: u16 = 512;
/// The octets of an OPT record without options.
pub(super) const OPT_LENGTH: usize = 11;
/// The DO bit among the flags (RFC 3225, section 3).
const DNSSEC_OK: u16 = 0x8000;

/// What the OPT record of a query says (RFC 6891, section 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns<'m> {
    /// The UDP payload that the requestor takes, as it says.
    pub udp_size: u16,
    /// The EDNS version; we know 0.
    pub version: u8,
    /// Whether the requestor asks for DNSSEC records.
    pub dnssec_ok: bool,
    /// What the options say that we know; none of them where one is malformed.
    pub options: Options<'m>,
    /// Whether all options are what they should be.
    pub(super) is_well_formed: bool,
}

impl<'m> Edns<'m> {
    /// Reads the class, TTL and data of an OPT record that came over `transport`.
    ///
    /// Flags other than DO are passed over (RFC 6891, section 6.1.4).
    pub(super) fn read(class: u16, ttl: u32, data: &'m [u8], transport: Transport) -> Self {
        let [_, version, high, low] = ttl.to_be_bytes();
        // Of a later version we do not know what options are.
        let options = match (data, version) {
            ([], _) | (_, 1..) => Some(Options::NONE),
            _ => Options::read(data, transport),
        };
        Self {
            udp_size: class,
            version,
            dnssec_ok: u16::from_be_bytes([high, low]) & DNSSEC_OK != 0,
            options: options.unwrap_or(Options::NONE),
            is_well_formed: options.is_some(),
        }
    }

    /// Returns how long a datagram to the requestor may be.
    pub(super) fn udp_limit(&self) -> u16 {
        self.udp_size.clamp(MIN_UDP_SIZE, OUR_UDP_SIZE)
    }
}

/// Returns the head of an OPT record of ours: version 0, all flags but DO zero, room for so many
/// octets of options; `extended` are the upper eight bits of the response code.
fn head(extended: u8, dnssec_ok: bool, options: u16) -> [u8; OPT_LENGTH] {
    let [size_high, size_low] = OUR_UDP_SIZE.to_be_bytes();
    let flags = if dnssec_ok { DNSSEC_OK } else { 0 };
    let [flags_high, flags_low] = flags.to_be_bytes();
    let [high, low] = options.to_be_bytes();
    [
        0, 0, 41, size_high, size_low, extended, 0, flags_high, flags_low, high, low,
    ]
}

/// Returns the OPT record of our own questions: version 0, DO set, no options.
pub(super) fn ask() -> [u8; OPT_LENGTH] {
    head(0, true, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6891_6_2_3_sizes_below_512_count_as_512() {
        for (said, limit) in [(0, 512), (511, 512), (513, 513), (1232, 1232), (4096, 1232)] {
            let edns = Edns::read(said, 0, &[], Transport::Udp);
            assert_eq!(edns.udp_limit(), limit);
        }
    }

    #[test]
    fn rfc6891_6_1_3_options_of_a_later_version_are_not_read() {
        let edns = Edns::read(1232, 0x00_01_00_00, &[1, 2, 3], Transport::Udp);

        assert!(edns.is_well_formed);
        assert_eq!(edns.options, Options::NONE);
    }
}
