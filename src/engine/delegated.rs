//! Which standby domains are delegated to us.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::facts::{DomainFacts, Facts};
use crate::clock::Timestamp;
use crate::lifecycle::{LifecycleState, NsSeen};
use crate::wire::Apex;

/// The standby domains of each pool that every parent server was seen to delegate to us, those that are
/// standby for the longest first: in a pool that asks for a delegation no other is ready (A1).
#[derive(Debug, Default)]
pub(super) struct Delegated(BTreeMap<Arc<str>, BTreeSet<(Timestamp, Apex)>>);

impl Delegated {
    /// Takes a domain in, if it is one of them.
    pub(super) fn follow(&mut self, apex: &Apex, domain: &DomainFacts) {
        let life = domain.life.as_ref();
        let ns = life.and_then(|life| life.observed.ns.as_ref());
        let is_ours = ns.is_some_and(|ns| ns.what == NsSeen::Ours);
        if is_ours && domain.state == LifecycleState::Standby {
            let names = self.0.entry(Arc::clone(&domain.pool)).or_default();
            names.insert((domain.since, apex.clone()));
        }
    }

    /// Drops a domain as it was.
    pub(super) fn forget(&mut self, apex: &Apex, domain: &DomainFacts) {
        let Some(names) = self.0.get_mut(&domain.pool) else {
            return;
        };
        names.remove(&(domain.since, apex.clone()));
        if names.is_empty() {
            self.0.remove(&domain.pool);
        }
    }
}

impl Facts {
    /// Returns the standby domains of a pool that are delegated to us, those that are standby for the
    /// longest first.
    pub(super) fn delegated_standby(
        &self,
        pool: &str,
    ) -> impl Iterator<Item = (&Apex, &DomainFacts)> {
        let names = self.delegated.0.get(pool).into_iter().flatten();
        names.filter_map(|(_, apex)| Some((apex, self.domains.get(apex)?)))
    }
}
