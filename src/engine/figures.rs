//! What monitoring is shown of the facts.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::facts::{Facts, PoolFacts};
use super::writer::Writer;
use crate::clock::Timestamp;
use crate::lifecycle::LifecycleState;
use crate::metrics::PoolGauges;

impl Writer {
    /// Shows how many domains each pool has, and what expires when.
    ///
    /// Called after each commit and once a minute; walks the domains only when a pool has its
    /// first ones, so that no pool is without its expiry until the next minute.
    pub(super) fn show_figures(&mut self) {
        self.count_few();
        let censuses = self.shared.censuses.lock();
        let censuses = censuses.unwrap_or_else(PoisonError::into_inner).clone();
        let facts = Self::facts(&self.shared);
        let has_domains = |pool: &PoolFacts| pool.counts.iter().any(|count| *count > 0);
        let earliest = &mut self.renewals.earliest;
        let mut pools = facts.pools.iter();
        if pools.any(|(name, pool)| has_domains(pool) && !earliest.contains_key(name)) {
            *earliest = facts.earliest_expirations();
        }
        let gauges: Vec<(&str, PoolGauges)> = facts
            .pools
            .iter()
            .map(|(name, pool)| {
                let states = LifecycleState::ALL.into_iter();
                let domains = states.map(|state| (state.as_str(), pool.counts[state.index()]));
                let life = pool.recipe.settings.life();
                let expiry = earliest.get(name).copied();
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
                    earliest_expiry: expiry.filter(|_| has_domains(pool)),
                };
                (&**name, gauges)
            })
            .collect();
        let metrics = &self.shared.metrics;
        metrics.set_pools(gauges.iter().map(|(name, gauges)| (*name, gauges)));
        let zones = facts.zones.values();
        metrics.set_own_zones(zones.map(|zone| zone.served.earliest_expiration).min());
        metrics.set_certificates(certificates(&facts));
    }
}

/// Returns when the first certificate of each host of the operator's own expires.
fn certificates(facts: &Facts) -> BTreeMap<String, Timestamp> {
    let pools = facts.pools.values();
    let hosts = pools.flat_map(|pool| pool.recipe.settings.mail_hosts());
    let mut expiries: BTreeMap<String, Timestamp> = BTreeMap::new();
    for host in hosts {
        let expiry = host
            .certificates
            .iter()
            .filter_map(|it| it.not_after())
            .min();
        if let (Some(name), Some(expiry)) = (host.name.as_shared(), expiry) {
            let first = expiries.entry(name.to_api_text()).or_insert(expiry);
            *first = expiry.min(*first);
        }
    }
    expiries
}
