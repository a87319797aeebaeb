//! What is counted of the domains of each pool: who is ready, who could be retired, whom the outside
//! shows to be in trouble.
//!
//! Some of it takes a look at every domain by the rules, which is done a slice at a time: a small
//! store is counted after every commit, of a large one a slice every second.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError};

use super::facts::{DomainFacts, Facts};
use super::handle::Engine;
use super::writer::Writer;
use crate::clock::Timestamp;
use crate::lifecycle::{self, DsSeen, Force, LifecycleState, NsSeen, Step};
use crate::mail::Secured;
use crate::wire::Apex;

/// How many domains are counted at a time: some ten milliseconds.
const SLICE: usize = 2_000;
/// How many domains are counted after each commit: well below the time of the commit itself.
const FEW: usize = 64;

/// What is counted of the domains of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Standby domains that could be activated now.
    pub ready: u64,
    /// Draining domains that could be retired now.
    pub retire_due: u64,
    /// Domains that take no mail for a while.
    pub suspended: u64,
    /// Domains whose routing a mail host has not applied.
    pub routing_pending: u64,
    /// Domains with a DS that matches none of their keys.
    pub ds_mismatch: u64,
    /// Domains in use that are not delegated to us.
    pub delegation_broken: u64,
    /// When the first registration ends.
    pub registration_expiry: Option<Timestamp>,
}

/// What was counted of each pool.
pub(super) type Censuses = BTreeMap<Arc<str>, Census>;

/// A count that is under way.
#[derive(Debug, Default)]
pub(super) struct Counting {
    /// What was counted so far.
    counted: Censuses,
    /// The last domain that was.
    last: Option<Apex>,
}

impl Engine {
    /// Returns what is counted of a pool's domains: as of now in a small store, of the last seconds to
    /// minutes in a large one.
    pub fn census(&self, pool: &str) -> Census {
        let censuses = self.shared.censuses.lock();
        let censuses = censuses.unwrap_or_else(PoisonError::into_inner);
        censuses.get(pool).copied().unwrap_or_default()
    }
}

impl Writer {
    /// Counts all domains again where they are few.
    pub(super) fn count_few(&mut self) {
        if Self::facts(&self.shared).domains.len() <= FEW {
            self.counting = Counting::default();
            self.count_slice();
        }
    }

    /// Counts the next domains; what was counted is shown when all were.
    pub(super) fn count_slice(&mut self) {
        let now = self.shared.clock.now();
        let facts = Self::facts(&self.shared);
        if !self.counting.go_on(&facts, now) {
            return;
        }
        let counted = std::mem::take(&mut self.counting).counted;
        let censuses = self.shared.censuses.lock();
        *censuses.unwrap_or_else(PoisonError::into_inner) = counted;
    }
}

impl Counting {
    /// Counts the next slice of domains; returns whether it was the last.
    fn go_on(&mut self, facts: &Facts, now: Timestamp) -> bool {
        let from = self.last.take().map_or(Bound::Unbounded, Bound::Excluded);
        let routed = facts.hosts.values().any(|host| host.applied.is_some());
        let mut left = SLICE;
        for (name, domain) in facts.domains.range((from, Bound::Unbounded)) {
            if left == 0 {
                return false;
            }
            left -= 1;
            let census = match self.counted.get_mut(&domain.pool) {
                Some(census) => census,
                None => self.counted.entry(Arc::clone(&domain.pool)).or_default(),
            };
            census.add(facts, name, domain, routed, now);
            self.last = Some(name.clone());
        }
        true
    }
}

impl Census {
    /// Counts a domain.
    fn add(
        &mut self,
        facts: &Facts,
        name: &Apex,
        domain: &DomainFacts,
        routed: bool,
        now: Timestamp,
    ) {
        use LifecycleState::{Active, Draining, Released, Retired, Standby};
        if domain.is_dropped() {
            return;
        }
        let expires_at = domain.rare.as_ref().and_then(|rare| rare.expires_at);
        let earlier = self.registration_expiry.into_iter().chain(expires_at).min();
        self.registration_expiry = earlier;
        let life = domain.life.as_deref();
        let is_suspended = life.is_some_and(|life| life.suspension.is_some());
        self.suspended += u64::from(is_suspended);
        let seen = life.map(|life| &life.observed);
        let ds = seen.and_then(|seen| seen.ds.as_ref());
        self.ds_mismatch += u64::from(ds.is_some_and(|ds| ds.what == DsSeen::Foreign));
        let ns = seen.and_then(|seen| seen.ns.as_ref());
        let is_used = matches!(domain.state, Active | Draining | Retired);
        let broken = is_used && ns.is_some_and(|ns| ns.what != NsSeen::Ours);
        self.delegation_broken += u64::from(broken);
        let next = match domain.state {
            Standby if is_suspended || facts.lacks_a_life(domain) => None,
            Standby => Some(Active),
            Draining => Some(Retired),
            Active | Retired | Released => None,
        };
        if next.is_none() && !routed {
            return;
        }
        let Some(circumstances) = facts.circumstances(name, domain) else {
            return;
        };
        let situation = circumstances.situation();
        self.routing_pending += u64::from(situation.routing_lags.is_some());
        let book = &facts.judgement.book;
        let may = |to| {
            let step = lifecycle::step(&situation, to, Force::No, now, book);
            u64::from(matches!(step, Ok(Step::Now { .. })))
        };
        match next {
            Some(Active) => self.ready += may(Active),
            Some(to) => self.retire_due += may(to),
            None => {}
        }
    }
}

impl Facts {
    /// Returns whether nothing was ever observed of a domain whose pool asks for that: it is not
    /// ready, whatever else holds.
    fn lacks_a_life(&self, domain: &DomainFacts) -> bool {
        let pool = self.pools.get(&domain.pool);
        let wanted = pool.map(|pool| pool.recipe.settings.readiness());
        let asks =
            wanted.is_some_and(|it| it.delegated || it.mail_ready || it.secured == Secured::Yes);
        asks && domain.life.is_none()
    }
}
