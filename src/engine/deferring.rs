//! Which domains' mail hosts may defer what they are to take, until they have applied the routing.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::DomainFacts;
use crate::lifecycle::LifecycleState;
use crate::wire::Apex;

/// The domains in use of which mail was deferred, by the revision at which their routing changed last:
/// a host that applies that defers it no longer (R2).
#[derive(Debug, Default)]
pub(super) struct Deferring(BTreeMap<u64, BTreeSet<Apex>>);

impl Deferring {
    /// Takes a domain in, if it is one of them.
    pub(super) fn follow(&mut self, apex: &Apex, domain: &DomainFacts) {
        let life = domain.life.as_ref();
        let deferred = life.is_some_and(|life| life.deferred.is_some());
        let in_use = [LifecycleState::Active, LifecycleState::Draining].contains(&domain.state);
        if deferred && in_use {
            self.0
                .entry(domain.routed)
                .or_default()
                .insert(apex.clone());
        }
    }

    /// Drops a domain as it was.
    pub(super) fn forget(&mut self, apex: &Apex, domain: &DomainFacts) {
        let Some(names) = self.0.get_mut(&domain.routed) else {
            return;
        };
        names.remove(apex);
        if names.is_empty() {
            self.0.remove(&domain.routed);
        }
    }

    /// Returns the domains whose routing changed last behind revision `after` and at or before `until`.
    pub(super) fn routed_between(&self, after: u64, until: u64) -> impl Iterator<Item = &Apex> {
        let behind = self.0.range(after.saturating_add(1)..);
        let between = behind.take_while(move |(revision, _)| **revision <= until);
        between.flat_map(|(_, names)| names)
    }
}
