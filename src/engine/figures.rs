//! What monitoring is shown of the facts.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use super::census::{Census, Censuses};
use super::facts::{Facts, PoolFacts};
use super::life::host_key;
use super::writer::Writer;
use crate::clock::Timestamp;
use crate::lifecycle::LifecycleState;
use crate::metrics::PoolGauges;

impl Writer {
    /// Shows how many domains each pool has, and what expires when; returns what was counted.
    ///
    /// Called after each commit and once a minute; walks the domains of a pool only when it has its
    /// first ones, so that no pool is without its expiry until all domains are counted.
    pub(super) fn show_figures(&mut self) -> Censuses {
        self.count_few();
        let facts = Self::facts(&self.shared);
        let has_domains = |pool: &PoolFacts| pool.counts.iter().any(|count| *count > 0);
        let censuses = {
            let censuses = self.shared.censuses.lock();
            let mut censuses = censuses.unwrap_or_else(PoisonError::into_inner);
            for (name, _) in facts.pools.iter().filter(|(_, pool)| has_domains(pool)) {
                if !censuses.contains_key(name) {
                    let census = Census {
                        earliest_expiry: facts.earliest_expiration(name),
                        ..Census::default()
                    };
                    censuses.insert(Arc::clone(name), census);
                }
            }
            censuses.clone()
        };
        let gauges: Vec<(&str, PoolGauges)> = facts
            .pools
            .iter()
            .map(|(name, pool)| {
                let states = LifecycleState::ALL.into_iter();
                let domains = states.map(|state| (state.as_str(), pool.counts[state.index()]));
                let life = pool.recipe.settings.life();
                let census = censuses.get(name).copied().unwrap_or_default();
                let gauges = PoolGauges {
                    domains: domains.collect(),
                    ready: census.ready,
                    standby_wanted: life.standby.into(),
                    suspended: census.suspended,
                    retire_due: census.retire_due,
                    routing_pending: census.routing_pending,
                    ds_mismatch: census.ds_mismatch,
                    delegation_broken: census.delegation_broken,
                    registration_expiry: census.registration_expiry,
                    earliest_expiry: census.earliest_expiry.filter(|_| has_domains(pool)),
                };
                (&**name, gauges)
            })
            .collect();
        let metrics = &self.shared.metrics;
        metrics.set_pools(gauges.iter().map(|(name, gauges)| (*name, gauges)));
        let zones = facts.zones.values();
        metrics.set_own_zones(zones.map(|zone| zone.served.earliest_expiration).min());
        metrics.set_certificates(certificates(&facts));
        censuses
    }
}

/// Returns when the first certificate of each mail host expires, by the names that the routing feed
/// has for hosts: `mx1@main` is the host `mx1` of each domain of the pool `main`.
fn certificates(facts: &Facts) -> BTreeMap<String, Timestamp> {
    let pools = facts.pools.iter();
    let hosts = pools.flat_map(|(pool, it)| {
        let hosts = it.recipe.settings.mail_hosts().iter();
        hosts.map(move |host| (pool, host))
    });
    let mut expiries: BTreeMap<String, Timestamp> = BTreeMap::new();
    for (pool, host) in hosts {
        let expiry = host
            .certificates
            .iter()
            .filter_map(|it| it.not_after())
            .min();
        if let Some(expiry) = expiry {
            let first = expiries.entry(host_key(&host.name, pool)).or_insert(expiry);
            *first = expiry.min(*first);
        }
    }
    expiries
}
