//! Who asks, and what a server says of itself.

use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::publication::Reader;
use crate::wire::{CookieCheck, CookieSecrets, Edns, Envelope, Options, ReplyOptions, Transport};

/// Who asks, and how.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'s> {
    /// What carried the query.
    pub transport: Transport,
    /// Where it came from.
    pub address: IpAddr,
    /// Whether it came before the handshake was complete, and so may be a replay (RFC 9250,
    /// section 4.5).
    pub is_early: bool,
    /// How long the connection may be idle from now on; zero asks the client to close it (RFC
    /// 7828, section 3.3.2). Nothing over datagrams.
    pub idle: Duration,
    /// What the server says of itself.
    pub settings: &'s ReplySettings,
}

/// What a server says of itself, and how it knows its clients again.
#[derive(Debug, Default)]
pub struct ReplySettings {
    /// The name of this node, for those who ask which one answers (RFC 5001).
    pub nsid: Option<Nsid>,
    /// Whether `id.server` is answered with that name, too (RFC 4892).
    pub id_server: bool,
    /// What cookies are made with; without any, cookies are passed over.
    pub cookies: Option<Reader<CookieSecrets>>,
}

/// The name of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nsid(Box<[u8]>);

impl Nsid {
    /// The most octets that a name has: with all else that a reply must have it fits into every
    /// datagram, and does not amplify much.
    pub const MOST: usize = 64;

    /// Takes a name; `None` if it is empty or longer than [`Nsid::MOST`].
    pub fn new(name: &[u8]) -> Option<Self> {
        (1..=Self::MOST)
            .contains(&name.len())
            .then(|| Self(name.into()))
    }

    /// Returns the octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<'s> Asker<'s> {
    /// Returns who asks from `address` with a handshake completed, if there is one, over a
    /// connection that is not kept.
    pub fn new(transport: Transport, address: IpAddr, settings: &'s ReplySettings) -> Self {
        Self {
            transport,
            address,
            is_early: false,
            idle: Duration::ZERO,
            settings,
        }
    }

    /// Returns what the reply's OPT record says, and what the query's cookie is worth.
    pub(super) fn greet(
        &self,
        envelope: &Envelope<'_>,
        now: Timestamp,
    ) -> (ReplyOptions<'s>, Option<CookieCheck>) {
        match &envelope.edns {
            // What almost every query is.
            None => (ReplyOptions::default(), None),
            Some(edns) if edns.options == Options::NONE && self.transport != Transport::Doq => {
                (ReplyOptions::default(), None)
            }
            Some(edns) => self.greet_back(edns, now),
        }
    }

    /// Returns the same for a query whose options ask for something.
    fn greet_back(
        &self,
        edns: &Edns<'_>,
        now: Timestamp,
    ) -> (ReplyOptions<'s>, Option<CookieCheck>) {
        let asked = &edns.options;
        let secrets = self.settings.cookies.as_ref();
        let cookie = asked.cookie.zip(secrets).and_then(|(cookie, secrets)| {
            let time = now.as_secs() as u32;
            secrets.load().check(cookie, self.address, time)
        });
        let name = self.settings.nsid.as_ref().filter(|_| asked.nsid);
        // A unit is 100 ms (RFC 7828, section 3.1).
        let idle = self.idle.as_millis() / 100;
        let options = ReplyOptions {
            cookie: cookie.map(|(_, cookie)| cookie),
            nsid: name.map(Nsid::as_bytes),
            keepalive: (asked.keepalive && self.transport.has_connections())
                .then(|| u16::try_from(idle).unwrap_or(u16::MAX)),
            error: None,
            // Over QUIC the length is always hidden (RFC 9250, section 5.4).
            is_padded: asked.padding || self.transport == Transport::Doq,
        };
        (options, cookie.map(|(check, _)| check))
    }
}
