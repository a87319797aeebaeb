//! What mail hosts are told of the routing that no domain's own record says.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::wire::Apex;

/// How many deleted domains are remembered: some ten megabytes.
const DELETED: usize = 100_000;

/// What changed in the routing beside domains, as far as this run knows: who has read it up to a
/// revision before that reads all of it again.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// From which revision on everything is known.
    since: u64,
    /// The domains that were deleted, and at which revision.
    deleted: BTreeMap<Apex, u64>,
    /// The pools of whose domains names below them are known otherwise, and since which revision.
    pools: BTreeMap<Arc<str>, u64>,
}

impl Followed {
    /// Begins at a revision.
    pub(super) fn from(revision: u64) -> Self {
        Self {
            since: revision,
            ..Self::default()
        }
    }

    /// Returns whether all is known that changed behind a revision.
    pub(super) fn knows_behind(&self, revision: u64) -> bool {
        revision >= self.since
    }

    /// Notes that a domain was deleted.
    pub(super) fn gone(&mut self, name: Apex, revision: u64) {
        if self.deleted.len() >= DELETED {
            self.deleted.clear();
            self.since = revision;
        }
        self.deleted.insert(name, revision);
    }

    /// Notes that there is a domain.
    pub(super) fn there(&mut self, name: &Apex) {
        self.deleted.remove(name);
    }

    /// Notes that names below a pool's domains are known otherwise.
    pub(super) fn rerouted(&mut self, pool: Arc<str>, revision: u64) {
        self.pools.insert(pool, revision);
    }

    /// Returns the revision at which names below a pool's domains came to be known as they are.
    pub(super) fn pool(&self, pool: &str) -> u64 {
        self.pools.get(pool).copied().unwrap_or(0)
    }

    /// Returns the domains that were deleted behind a revision, and when.
    pub(super) fn deleted(&self, behind: u64) -> impl Iterator<Item = (&Apex, u64)> {
        let deleted = self.deleted.iter();
        deleted
            .filter(move |(_, revision)| **revision > behind)
            .map(|(name, revision)| (name, *revision))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_read_less_than_is_known_reads_all_again() {
        let mut followed = Followed::from(7);
        assert!(!followed.knows_behind(6));
        assert!(followed.knows_behind(7));

        for number in 0..=DELETED as u64 {
            let name = Apex::parse(&format!("d{number}.example")).unwrap();
            followed.gone(name, 8 + number);
        }

        assert!(!followed.knows_behind(7), "more went than is remembered");
        assert_eq!(followed.deleted(0).count(), 1);
    }
}
