//! The OPT record of a reply.

use super::options::{COOKIE, KEEPALIVE, NSID, OPTION_HEAD, PADDING};
use super::{Edns, OPT_LENGTH, head};
use crate::wire::message::Rcode;

/// The octets of a cookie of ours: the client's 8 and 16 of the server's (RFC 9018, section 4).
pub const COOKIE_LENGTH: usize = 24;

/// The octets of the options that every reply must have room for: the cookie, as clients may
/// disregard a reply without theirs (RFC 7873, section 5.3).
pub(in crate::wire) const ROOM: usize = OPTION_HEAD + COOKIE_LENGTH;

/// Padded replies have a multiple of so many octets (RFC 8467, section 4.1).
const BLOCK: usize = 468;

/// The code of an extended error (RFC 8914, section 2).
const EXTENDED_ERROR: u16 = 15;

/// The options of a reply's OPT record.
///
/// An OPT record is written where the query had one (RFC 6891, section 7); without, these say
/// nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplyOptions<'s> {
    /// The client's cookie and the server's.
    pub cookie: Option<[u8; COOKIE_LENGTH]>,
    /// Which server this is.
    pub nsid: Option<&'s [u8]>,
    /// How long a connection may be idle, in units of 100 ms (RFC 7828, section 3.1).
    pub keepalive: Option<u16>,
    /// Why, more closely than the response code says.
    pub error: Option<ExtendedError>,
    /// Whether the length of the reply is hidden.
    pub is_padded: bool,
}

/// Why a query got no other answer (RFC 8914, section 4); never with a text, which only amplifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtendedError {
    /// There are reasons not to do this for this client.
    Prohibited = 18,
    /// The name is in no zone of this server.
    NotAuthoritative = 20,
    /// This server does not do such things.
    NotSupported = 21,
    /// The zone is too old to answer from.
    InvalidData = 24,
    /// It came before the handshake was complete, and might be a replay (RFC 9250, section 4.5).
    TooEarly = 26,
    /// Data of this type are never to be asked for.
    InvalidQueryType = 30,
}

impl ReplyOptions<'_> {
    /// Returns how many octets the options take at least, of padding only the head.
    pub(in crate::wire) fn length(&self) -> usize {
        self.unpadded() + if self.is_padded { OPTION_HEAD } else { 0 }
    }

    /// Returns how many octets the options but the padding take.
    fn unpadded(&self) -> usize {
        let option = |length: Option<usize>| length.map_or(0, |length| OPTION_HEAD + length);
        option(self.cookie.map(|cookie| cookie.len()))
            + option(self.nsid.map(<[u8]>::len))
            + option(self.keepalive.map(|_| 2))
            + option(self.error.map(|_| 2))
    }

    /// Appends the OPT record of a reply to `edns`, which ends `behind` octets after it and may
    /// have `limit` octets.
    pub(in crate::wire) fn write(
        &self,
        octets: &mut Vec<u8>,
        edns: &Edns<'_>,
        rcode: Rcode,
        behind: usize,
        limit: usize,
    ) {
        // The upper eight bits of the code; the lower four stand in the header.
        let extended = (rcode.code() >> 4) as u8;
        let unpadded = self.unpadded();
        let padding = self.is_padded.then(|| {
            let whole = octets.len() + OPT_LENGTH + unpadded + OPTION_HEAD + behind;
            whole.next_multiple_of(BLOCK).min(limit.max(whole)) - whole
        });
        let length = unpadded + padding.map_or(0, |padding| OPTION_HEAD + padding);
        octets.extend_from_slice(&head(extended, edns.dnssec_ok, length as u16));
        if length == 0 {
            return;
        }
        if let Some(cookie) = &self.cookie {
            push(octets, COOKIE, cookie);
        }
        if let Some(nsid) = self.nsid {
            push(octets, NSID, nsid);
        }
        if let Some(keepalive) = self.keepalive {
            push(octets, KEEPALIVE, &keepalive.to_be_bytes());
        }
        if let Some(error) = self.error {
            push(octets, EXTENDED_ERROR, &(error as u16).to_be_bytes());
        }
        // Last, as what comes behind could not be known (RFC 8467, section 3).
        if let Some(padding) = padding {
            push(octets, PADDING, &[]);
            let end = octets.len();
            let said = (padding as u16).to_be_bytes();
            octets[end - said.len()..].copy_from_slice(&said);
            octets.resize(end + padding, 0);
        }
    }
}

/// Appends an option.
fn push(octets: &mut Vec<u8>, code: u16, value: &[u8]) {
    octets.extend_from_slice(&code.to_be_bytes());
    octets.extend_from_slice(&(value.len() as u16).to_be_bytes());
    octets.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Transport;

    /// Returns the OPT record behind `before` octets.
    fn write(options: &ReplyOptions<'_>, before: usize, limit: usize) -> Vec<u8> {
        let edns = Edns::read(1232, 0x00_00_ff_ff, &[], Transport::Dot);
        let mut octets = vec![9; before];
        options.write(&mut octets, &edns, Rcode::BADVERS, 0, limit);
        octets.split_off(before)
    }

    #[test]
    fn rfc6891_6_1_4_only_do_is_copied() {
        assert_eq!(
            write(&ReplyOptions::default(), 12, 512),
            [0, 0, 41, 4, 208, 1, 0, 0x80, 0, 0, 0]
        );
    }

    #[test]
    fn rfc8467_3_padding_comes_last_and_fills_blocks_of_468() {
        let options = ReplyOptions {
            cookie: Some([1; 24]),
            nsid: Some(b"ns1"),
            keepalive: Some(100),
            error: Some(ExtendedError::NotAuthoritative),
            is_padded: true,
        };
        for before in 12..2_000 {
            let opt = write(&options, before, 65_535);

            assert_eq!((before + opt.len()) % 468, 0, "{before}");
            let head = OPT_LENGTH + options.length();
            assert_eq!(opt[head - 4..head - 2], [0, 12]);
            assert!(opt[head..].iter().all(|octet| *octet == 0));
            assert!(opt.len() - head < 468);
            let length = usize::from(u16::from_be_bytes([opt[9], opt[10]]));
            assert_eq!(length, opt.len() - OPT_LENGTH);
        }
    }

    #[test]
    fn rfc8467_4_1_padding_ends_at_the_limit() {
        let options = ReplyOptions {
            is_padded: true,
            ..ReplyOptions::default()
        };

        assert_eq!(write(&options, 65_530 - 15, 65_535).len(), 20);
        assert_eq!(write(&options, 65_535 - 15, 65_535).len(), 15);
    }

    #[test]
    fn the_room_that_options_take_is_known_before() {
        let full = ReplyOptions {
            cookie: Some([1; 24]),
            nsid: Some(b"ns1"),
            keepalive: Some(100),
            error: Some(ExtendedError::TooEarly),
            is_padded: false,
        };
        for options in [full, ReplyOptions::default()] {
            assert_eq!(
                write(&options, 12, 512).len(),
                OPT_LENGTH + options.length()
            );
        }
    }
}
