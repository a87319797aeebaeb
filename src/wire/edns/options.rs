//! What the options of a query say.

use crate::wire::Transport;

/// The options of an OPT record that we know (RFC 6891, section 6.1.2).
///
/// All others are passed over (RFC 6891, section 6.1.1), among them the client's subnet (RFC 7871)
/// and EXPIRE, which is between secondaries (RFC 7314).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options<'m> {
    /// The first cookie: that of the client, and behind it the server's if it has one.
    pub cookie: Option<&'m [u8]>,
    /// Whether the requestor asks which server this is (RFC 5001).
    pub nsid: bool,
    /// Whether it asks how long a connection may be idle (RFC 7828).
    pub keepalive: bool,
    /// Whether its query is padded, so that the reply should be (RFC 7830).
    pub padding: bool,
}

/// The code of NSID (RFC 5001, section 4).
pub(super) const NSID: u16 = 3;
/// The code of COOKIE (RFC 7873, section 4).
pub(super) const COOKIE: u16 = 10;
/// The code of edns-tcp-keepalive (RFC 7828, section 3.1).
pub(super) const KEEPALIVE: u16 = 11;
/// The code of PADDING (RFC 7830, section 3).
pub(super) const PADDING: u16 = 12;
/// The octets of an option's code and length.
pub(in crate::wire) const OPTION_HEAD: usize = 4;

impl<'m> Options<'m> {
    /// No options, or none that we know.
    pub const NONE: Self = Self {
        cookie: None,
        nsid: false,
        keepalive: false,
        padding: false,
    };

    /// Reads options that came over `transport`; `None` if they are malformed.
    pub(super) fn read(data: &'m [u8], transport: Transport) -> Option<Self> {
        let mut options = Self::NONE;
        let mut rest = data;
        while let Some((head, after)) = rest.split_first_chunk::<OPTION_HEAD>() {
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let (value, after) = after.split_at_checked(length)?;
            rest = after;
            match u16::from_be_bytes([head[0], head[1]]) {
                // What a query's has in it is ignored (RFC 5001, section 2.1).
                NSID => options.nsid = true,
                // The first one counts (RFC 7873, section 5.2).
                COOKIE if options.cookie.is_none() => {
                    is_cookie(value).then_some(())?;
                    options.cookie = Some(value);
                }
                // Over UDP it means nothing; the time is for the server to say (RFC 7828, sections
                // 3.2.1 and 3.2.2).
                KEEPALIVE if transport.has_connections() => {
                    value.is_empty().then_some(())?;
                    options.keepalive = true;
                }
                // Over QUIC it must not come at all (RFC 9250, section 5.5.2).
                KEEPALIVE => options.keepalive = transport == Transport::Doq,
                // In the clear there is nothing to hide (RFC 7830, section 6).
                PADDING => options.padding = transport.is_encrypted(),
                _ => {}
            }
        }
        rest.is_empty().then_some(options)
    }
}

/// Returns whether a cookie has a length that it may have: the client's 8 octets alone, or with 8
/// to 32 of the server's (RFC 7873, section 5.2.2).
fn is_cookie(value: &[u8]) -> bool {
    matches!(value.len(), 8 | 16..=40)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads options that came over UDP.
    fn read(data: &[u8]) -> Option<Options<'_>> {
        Options::read(data, Transport::Udp)
    }

    /// Returns an option.
    fn option(code: u16, value: &[u8]) -> Vec<u8> {
        let mut option = code.to_be_bytes().to_vec();
        option.extend_from_slice(&(value.len() as u16).to_be_bytes());
        option.extend_from_slice(value);
        option
    }

    #[test]
    fn cut_off_options_are_malformed() {
        assert_eq!(read(b""), Some(Options::NONE));
        assert!(read(b"\x00\x03\x00\x00\xff\x0a\x00\x01x").is_some());
        assert_eq!(read(b"\x00\x03\x00\x01"), None);
        assert_eq!(read(b"\x00\x03\x00"), None);
    }

    #[test]
    fn rfc7873_5_2_2_a_cookie_has_8_or_16_to_40_octets() {
        for length in 0..64 {
            let cookie = option(COOKIE, &vec![7; length]);

            let is_right = length == 8 || (16..=40).contains(&length);
            assert_eq!(read(&cookie).is_some(), is_right, "{length}");
        }
    }

    #[test]
    fn rfc7873_5_2_of_several_cookies_the_first_counts() {
        let two = [option(COOKIE, &[1; 8]), option(COOKIE, &[2; 3])].concat();

        assert_eq!(read(&two).unwrap().cookie, Some(&[1; 8][..]));
    }

    #[test]
    fn rfc7828_3_2_1_who_asks_for_a_timeout_over_a_connection_says_none() {
        let (empty, filled) = (option(KEEPALIVE, &[]), option(KEEPALIVE, &[0, 100]));

        for transport in [Transport::Tcp, Transport::Dot] {
            assert!(Options::read(&empty, transport).unwrap().keepalive);
            assert_eq!(Options::read(&filled, transport), None);
        }
        for transport in [Transport::Udp, Transport::Doh] {
            assert_eq!(Options::read(&empty, transport), Some(Options::NONE));
            assert_eq!(Options::read(&filled, transport), Some(Options::NONE));
        }
    }

    #[test]
    fn rfc7830_6_padding_is_for_what_is_encrypted() {
        let padding = option(PADDING, &[0; 9]);

        for transport in Transport::ALL {
            let options = Options::read(&padding, transport).unwrap();
            assert_eq!(options.padding, transport.is_encrypted());
        }
    }
}
