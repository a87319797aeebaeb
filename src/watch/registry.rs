//! Parent zones: which one is a name's, and its servers.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::wire::{Ask, Asked, Name, Rtype, Section, Ttl};

use super::budget::Budget;
use super::dns;
use super::parent::denial_ttl;
use super::resolver::{Resolvers, Sighting};

/// How long a parent's servers are remembered: they change rarely, and a change shows in an hour.
const REMEMBERED: Duration = Duration::from_secs(3_600);
/// The parents that are remembered.
const MOST: usize = 1_024;
/// The servers that a parent may have; the root and com have 13.
const MOST_SERVERS: usize = 32;

/// A parent zone as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Registry {
    /// Its apex.
    pub(super) zone: Name,
    /// Its servers; at least one.
    pub(super) servers: Vec<RegistryServer>,
    /// How long its denials are kept.
    pub(super) negative_ttl: Option<Ttl>,
    /// How often its servers look for a new version, in seconds.
    pub(super) refresh: Option<u32>,
}

/// A server of a parent zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RegistryServer {
    /// Its name.
    pub(super) name: Name,
    /// Its addresses; none if nobody knows them, so that it counts as silent.
    pub(super) addresses: Vec<IpAddr>,
}

impl Registry {
    /// Finds the zone that a name lies in and its servers; `None` where resolvers do not know.
    pub(super) async fn find(resolvers: &Resolvers, name: &Name) -> Option<Self> {
        let mut zone = name.clone();
        let names = loop {
            match resolvers.look_up(&zone, Rtype::NS).await {
                Sighting::Records(records) if records[0].owner == zone => {
                    let servers = records.iter().flat_map(|it| it.data.names(Rtype::NS));
                    break servers.collect::<Vec<_>>();
                }
                // No zone begins here.
                Sighting::Records(_) | Sighting::Nothing => zone = zone.parent()?,
                Sighting::Bogus | Sighting::Unknown => return None,
            }
        };
        // More servers than are asked would leave some unasked: then nothing is known.
        if names.len() > MOST_SERVERS {
            tracing::warn!(%zone, servers = names.len(), "a parent zone has too many servers to ask");
            return None;
        }
        let mut servers = Vec::new();
        for name in names {
            let addresses = resolvers.addresses(&name).await.unwrap_or_default();
            servers.push(RegistryServer { name, addresses });
        }
        (!servers.is_empty()).then_some(Self {
            zone,
            servers,
            negative_ttl: None,
            refresh: None,
        })
    }

    /// Asks for the zone's SOA, at the first server that answers (K24).
    pub(super) async fn measure(&mut self, port: u16, patience: Duration, budget: &Budget) {
        let ask = Ask {
            qname: self.zone.clone(),
            qtype: Rtype::SOA,
            of: Asked::Authority,
        };
        for server in &self.servers {
            for address in &server.addresses {
                budget.turn(&self.zone).await;
                let server = SocketAddr::new(*address, port);
                let Ok(response) = dns::ask(server, &ask, patience).await else {
                    continue;
                };
                let soa = response
                    .records(Section::Answer, &self.zone, Rtype::SOA)
                    .next();
                let numbers = soa.and_then(|soa| soa.data.soa_numbers());
                if let (Some(soa), Some(numbers)) = (soa, numbers) {
                    self.negative_ttl = denial_ttl(soa);
                    self.refresh = Some(numbers.refresh);
                    return;
                }
            }
        }
    }
}

/// The parents that are known, by the name that was looked for.
pub(super) struct Registries {
    /// Tells how time goes by.
    clock: Arc<dyn Clock>,
    /// What was found, and when.
    known: Mutex<HashMap<Name, (Duration, Arc<Registry>)>>,
}

impl Registries {
    /// Knows none yet.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            known: Mutex::default(),
        }
    }

    /// Returns the zone that a name lies in, if it was found within the hour.
    pub(super) fn get(&self, name: &Name) -> Option<Arc<Registry>> {
        let now = self.clock.monotonic();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (found, registry) = known.get(name)?;
        (now.saturating_sub(*found) < REMEMBERED).then(|| registry.clone())
    }

    /// Remembers a zone that was found.
    pub(super) fn put(&self, name: Name, registry: Registry) -> Arc<Registry> {
        let now = self.clock.monotonic();
        let registry = Arc::new(registry);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(name, (now, registry.clone()));
        registry
    }
}
