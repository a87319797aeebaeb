//! The serial that every listed server serves (Dc ends when all serve the newest content).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::lifecycle::{Fact, PublishedQuestion, ServersSeen};
use crate::wire::{Apex, Ask, Asked, Name, Rcode, Response, Rtype, Section, Serial};

use super::WatchConfig;
use super::dns::{self, Silence};
use super::resolver::Resolvers;

/// Asks listed servers.
pub(super) struct Listed {
    /// Asked for the addresses of name servers.
    resolvers: Arc<Resolvers>,
    /// The addresses of servers, where the operator gave them.
    probes: Vec<(Name, Vec<SocketAddr>)>,
    /// The port of name servers.
    port: u16,
    /// How long one waits for a server.
    patience: Duration,
}

/// What the listed servers serve, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    /// All serve a version; this is the oldest.
    Oldest(Serial),
    /// One serves a version that we have not made, or had not when the question was put.
    Another,
    /// Some give no answer.
    Some,
    /// None gives an answer.
    Silence,
    /// There is none to be asked.
    Nobody,
}

impl Listed {
    /// Asks as the configuration says.
    pub(super) fn new(config: &WatchConfig, resolvers: Arc<Resolvers>) -> Self {
        let probes = config.servers.iter();
        let probes = probes.filter(|server| !server.probe.is_empty());
        Self {
            resolvers,
            probes: probes
                .map(|server| (server.name.clone(), server.probe.clone()))
                .collect(),
            port: config.ports.dns,
            patience: config.limits.dns_timeout,
        }
    }

    /// Returns the oldest serial that a listed server serves; nothing where one gives no answer.
    ///
    /// When none gives an answer though the world is there, resolvers answer SERVFAIL and senders
    /// defer (R2).
    pub(super) async fn look(&self, apex: &Apex, wanted: &PublishedQuestion) -> Vec<Fact> {
        let mut serials = Vec::new();
        for name in &wanted.name_servers {
            let mut tried = false;
            for address in self.addresses(name).await {
                let response = self.ask(address, apex).await;
                if response.as_ref().is_err_and(Silence::is_ours) {
                    continue;
                }
                tried = true;
                let serial = response.ok().and_then(|it| own_serial(&it, apex));
                if serial.is_none() {
                    tracing::debug!(%apex, server = %name, %address, "a listed server does not serve the domain");
                }
                serials.push(serial);
            }
            if !tried {
                serials.push(None);
            }
        }
        match oldest(&serials, wanted.serial) {
            Served::Oldest(serial) => vec![Fact::Published(serial)],
            Served::Some => vec![Fact::Servers(ServersSeen::Some)],
            Served::Silence if self.resolvers.answer_at_all().await => {
                vec![Fact::Servers(ServersSeen::None)]
            }
            Served::Another | Served::Silence | Served::Nobody => Vec::new(),
        }
    }

    /// Returns where a listed server is asked.
    async fn addresses(&self, name: &Name) -> Vec<SocketAddr> {
        if let Some((_, probes)) = self.probes.iter().find(|(known, _)| known == name) {
            return probes.clone();
        }
        let addresses = self.resolvers.addresses(name).await.unwrap_or_default();
        addresses
            .into_iter()
            .map(|address| SocketAddr::new(address, self.port))
            .collect()
    }

    /// Asks a server for the SOA of a domain.
    async fn ask(&self, server: SocketAddr, apex: &Apex) -> Result<Response, Silence> {
        let ask = Ask {
            qname: apex.as_name().clone(),
            qtype: Rtype::SOA,
            of: Asked::Authority,
        };
        dns::ask(server, &ask, self.patience).await
    }
}

/// Returns the serial that a server serves, if it answers as one of the domain's own.
fn own_serial(response: &Response, apex: &Apex) -> Option<Serial> {
    if !response.authoritative || response.rcode != Rcode::NOERROR {
        return None;
    }
    let soa = response.records(Section::Answer, apex, Rtype::SOA).next()?;
    Some(soa.data.soa_numbers()?.serial)
}

/// Returns the oldest serial, counted back from the one that is wanted.
fn oldest(serials: &[Option<Serial>], wanted: Serial) -> Served {
    if serials.iter().all(Option::is_none) {
        // Nobody was asked: that is no silence.
        return match serials {
            [] => Served::Nobody,
            _ => Served::Silence,
        };
    }
    // A secondary that had the zone from somebody else, with a higher serial, never takes ours over
    // and serves the old one for ever. If ours has just moved on, the next look says so.
    let mut known = serials.iter().flatten();
    if known.any(|serial| serial.is_newer_than(wanted)) {
        return Served::Another;
    }
    let mut oldest: Option<Serial> = None;
    for serial in serials {
        let Some(serial) = serial else {
            return Served::Some;
        };
        // Serials go round (RFC 1982).
        let behind = |it: Serial| wanted.number().wrapping_sub(it.number());
        if oldest.is_none_or(|known| behind(*serial) > behind(known)) {
            oldest = Some(*serial);
        }
    }
    oldest.map_or(Served::Nobody, Served::Oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(serials: &[Option<u32>], wanted: u32) -> Served {
        let serials: Vec<_> = serials.iter().map(|it| it.map(Serial::new)).collect();
        oldest(&serials, Serial::new(wanted))
    }

    #[test]
    fn the_server_that_lags_most_counts() {
        let served = |number| Served::Oldest(Serial::new(number));

        assert_eq!(of(&[Some(9), Some(7), Some(8)], 9), served(7));
        assert_eq!(of(&[Some(9), Some(9)], 9), served(9));
        // RFC 1982: 2^32 - 1 is older than 3.
        assert_eq!(of(&[Some(3), Some(u32::MAX)], 3), served(u32::MAX));
    }

    /// One that was ahead counted as one that serves what is wanted.
    #[test]
    fn a_server_that_is_ahead_of_us_serves_another_zone() {
        assert_eq!(of(&[Some(12), Some(9)], 9), Served::Another);
        assert_eq!(of(&[Some(12), None], 9), Served::Another);
        assert_eq!(of(&[Some(2), Some(2)], u32::MAX), Served::Another);
    }

    #[test]
    fn one_silent_server_leaves_it_unknown_and_only_all_are_silence() {
        assert_eq!(of(&[Some(9), None], 9), Served::Some);
        assert_eq!(of(&[None, None], 9), Served::Silence);
        assert_eq!(of(&[], 9), Served::Nobody);
    }
}
