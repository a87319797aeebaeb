//! The OPT record, in and out.

use super::message::Rcode;

/// The UDP payload that we send at most and say we take.
///
/// The value of DNS flag day 2020: small enough to pass an IPv6 path of 1280 octets unfragmented
/// (RFC 9715, section 3).
pub(super) const OUR_UDP_SIZE: u16 = 1232;
/// What every requestor takes, whatever its OPT record says (RFC 6891, section 6.2.3).
pub(super) const MIN_UDP_SIZE: u16 = 512;
/// The octets of our OPT record: it has no options.
pub(super) const OPT_LENGTH: usize = 11;
/// The DO bit among the flags (RFC 3225, section 3).
const DNSSEC_OK: u16 = 0x8000;

/// What the OPT record of a query says (RFC 6891, section 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The UDP payload that the requestor takes, as it says.
    pub udp_size: u16,
    /// The EDNS version; we know 0.
    pub version: u8,
    /// Whether the requestor asks for DNSSEC records.
    pub dnssec_ok: bool,
    /// Whether the options fill the record exactly.
    pub(super) options_are_whole: bool,
}

impl Edns {
    /// Reads an OPT record's class, TTL and data.
    ///
    /// Options and flags other than DO are passed over: we know none of them (RFC 6891, sections
    /// 6.1.1 and 6.1.4).
    pub(super) fn read(class: u16, ttl: u32, data: &[u8]) -> Self {
        let [_, version, high, low] = ttl.to_be_bytes();
        Self {
            udp_size: class,
            version,
            dnssec_ok: u16::from_be_bytes([high, low]) & DNSSEC_OK != 0,
            options_are_whole: options_are_whole(data),
        }
    }

    /// Returns how long a datagram to the requestor may be.
    pub(super) fn udp_limit(self) -> u16 {
        self.udp_size.clamp(MIN_UDP_SIZE, OUR_UDP_SIZE)
    }

    /// Returns our OPT record: version 0, DO copied (RFC 6840, section 5.6), all other flags
    /// zero, no options.
    pub(super) fn reply(self, rcode: Rcode) -> [u8; OPT_LENGTH] {
        let [size_high, size_low] = OUR_UDP_SIZE.to_be_bytes();
        let flags = if self.dnssec_ok { DNSSEC_OK } else { 0 };
        let [flags_high, flags_low] = flags.to_be_bytes();
        // The upper eight bits of the code; the lower four stand in the header.
        let extended = (rcode.code() >> 4) as u8;
        [
            0, 0, 41, size_high, size_low, extended, 0, flags_high, flags_low, 0, 0,
        ]
    }
}

/// Returns the OPT record of our own questions: version 0, DO set, no options.
pub(super) fn ask() -> [u8; OPT_LENGTH] {
    let [size_high, size_low] = OUR_UDP_SIZE.to_be_bytes();
    let [flags_high, flags_low] = DNSSEC_OK.to_be_bytes();
    [
        0, 0, 41, size_high, size_low, 0, 0, flags_high, flags_low, 0, 0,
    ]
}

/// Returns whether `data` is a sequence of whole options (RFC 6891, section 6.1.2).
fn options_are_whole(data: &[u8]) -> bool {
    let mut rest = data;
    while let Some((head, after)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let Some(after) = after.get(length..) else {
            return false;
        };
        rest = after;
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6891_6_2_3_sizes_below_512_count_as_512() {
        for (said, limit) in [(0, 512), (511, 512), (513, 513), (1232, 1232), (4096, 1232)] {
            assert_eq!(Edns::read(said, 0, &[]).udp_limit(), limit);
        }
    }

    #[test]
    fn rfc6891_6_1_4_only_do_is_copied() {
        let edns = Edns::read(1232, 0x00_00_ff_ff, &[]);

        assert_eq!(
            edns.reply(Rcode::BADVERS),
            [0, 0, 41, 4, 208, 1, 0, 0x80, 0, 0, 0]
        );
    }

    #[test]
    fn cut_off_options_are_noticed() {
        assert!(options_are_whole(b""));
        assert!(options_are_whole(b"\x00\x03\x00\x00\x00\x0a\x00\x01x"));
        assert!(!options_are_whole(b"\x00\x03\x00\x01"));
        assert!(!options_are_whole(b"\x00\x03\x00"));
    }
}
