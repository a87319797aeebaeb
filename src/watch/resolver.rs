//! Names as the world's validating resolvers see them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::wire::{Ask, Asked, Name, Rcode, Rdata, Record, Response, Rtype, Section};

use super::dns;

/// The CNAMEs that are followed.
const MOST_ALIASES: usize = 8;
/// The addresses of a name that are looked at.
const MOST_ADDRESSES: usize = 16;

/// The resolvers that are looked through.
pub(super) struct Resolvers {
    /// Where they listen; at least one.
    servers: Vec<SocketAddr>,
    /// How long one waits for each.
    patience: Duration,
}

/// What the resolvers see at a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    /// Records, behind CNAMEs if need be.
    Records(Vec<Record>),
    /// No such records, or no such name.
    Nothing,
    /// There is an answer, but it does not validate.
    Bogus,
    /// No resolver gave an answer: nobody knows.
    Unknown,
}

impl Resolvers {
    /// Looks through these resolvers.
    pub(super) fn new(servers: Vec<SocketAddr>, patience: Duration) -> Self {
        Self { servers, patience }
    }

    /// Looks a name up, at the first resolver that answers.
    pub(super) async fn look_up(&self, qname: &Name, qtype: Rtype) -> Sighting {
        let ask = |of| Ask {
            qname: qname.clone(),
            qtype,
            of,
        };
        let mut failed = Vec::new();
        for server in &self.servers {
            match dns::ask(*server, &ask(Asked::Resolver), self.patience).await {
                Ok(response) if response.rcode == Rcode::SERVFAIL => failed.push(*server),
                Ok(response) => match sighting(&response, qname, qtype) {
                    Sighting::Unknown => {}
                    seen => return seen,
                },
                Err(silence) => {
                    tracing::debug!(resolver = %server, %silence, "a resolver gives no answer");
                }
            }
        }
        // SERVFAIL may mean that the resolver is broken, that the zone's servers are, or that
        // what they say does not validate. Only the last one changes when validation is left out.
        for server in failed {
            let unchecked = dns::ask(server, &ask(Asked::ResolverUnchecked), self.patience).await;
            if let Ok(response) = unchecked
                && sighting(&response, qname, qtype) != Sighting::Unknown
                && self.validates(server).await
            {
                return Sighting::Bogus;
            }
        }
        Sighting::Unknown
    }

    /// Returns whether a resolver finds anything valid: one with a wrong clock, or without the root's
    /// key, says SERVFAIL to every question, and nothing of the zone that it is asked for.
    async fn validates(&self, server: SocketAddr) -> bool {
        let root = Ask {
            qname: Name::root(),
            qtype: Rtype::NS,
            of: Asked::Resolver,
        };
        let response = dns::ask(server, &root, self.patience).await;
        response.is_ok_and(|response| response.rcode != Rcode::SERVFAIL)
    }

    /// Returns a name's addresses, IPv4 first; `None` when nobody knows.
    pub(super) async fn addresses(&self, name: &Name) -> Option<Vec<IpAddr>> {
        let mut addresses = Vec::new();
        for rtype in [Rtype::A, Rtype::AAAA] {
            match self.look_up(name, rtype).await {
                Sighting::Records(records) => {
                    let found = records.iter().filter_map(|record| address(&record.data));
                    addresses.extend(found);
                }
                Sighting::Nothing => {}
                Sighting::Bogus | Sighting::Unknown => return None,
            }
        }
        addresses.truncate(MOST_ADDRESSES);
        Some(addresses)
    }

    /// Returns whether any resolver answers at all: else it is we who are cut off.
    pub(super) async fn answer_at_all(&self) -> bool {
        self.look_up(&Name::root(), Rtype::NS).await != Sighting::Unknown
    }
}

/// Returns the address in A or AAAA data.
pub(super) fn address(data: &Rdata) -> Option<IpAddr> {
    let octets = data.as_wire();
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(octets).into());
    }
    let octets = <[u8; 16]>::try_from(octets).ok()?;
    Some(Ipv6Addr::from(octets).into())
}

/// Returns what a resolver's response says.
fn sighting(response: &Response, qname: &Name, qtype: Rtype) -> Sighting {
    match response.rcode {
        Rcode::NXDOMAIN => return Sighting::Nothing,
        Rcode::NOERROR => {}
        _ => return Sighting::Unknown,
    }
    let mut owner = qname.clone();
    for _ in 0..=MOST_ALIASES {
        let records: Vec<Record> = response
            .records(Section::Answer, &owner, qtype)
            .cloned()
            .collect();
        if !records.is_empty() {
            return Sighting::Records(records);
        }
        let alias = response
            .records(Section::Answer, &owner, Rtype::CNAME)
            .next();
        match alias.and_then(|alias| alias.data.names(Rtype::CNAME).pop()) {
            Some(target) => owner = target,
            None => return Sighting::Nothing,
        }
    }
    Sighting::Unknown
}
