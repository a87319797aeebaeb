//! What is counted of the domains of each pool: who is ready, who could be retired, whom the outside
//! shows to be in trouble.
//!
//! Some of it takes a look at every domain by the rules. A small store is counted after every commit.
//! Of a large one some domains are counted every second, a slice at a time, so that nobody who comes
//! meanwhile waits for long.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::facts::{DomainFacts, Facts};
use super::handle::Engine;
use super::writer::Writer;
use crate::clock::Timestamp;
use crate::lifecycle::{self, DsSeen, Force, LifecycleState, NsSeen, Step};
use crate::mail::Secured;
use crate::wire::Apex;

/// How many domains are counted in a second: some ten milliseconds.
const A_SECOND: usize = 2_000;
/// How many domains are counted at a time: so long may a change wait for them, some hundred
/// microseconds.
const SLICE: usize = 64;
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
    /// When the first signature of those that are served expires.
    pub earliest_expiry: Option<Timestamp>,
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
    /// How many may still be counted in this second.
    left: usize,
    /// When this second began; a monotonic reading.
    began: Option<Duration>,
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
            self.counting.begin();
            self.count_slice();
        }
    }

    /// Counts the next domains, if it is time to.
    pub(super) fn count_on(&mut self, reading: Duration) {
        self.counting.allow(reading);
        if self.counting.is_on() {
            self.count_slice();
        }
    }

    /// Counts the next domains; what was counted is shown when all were.
    fn count_slice(&mut self) {
        let now = self.shared.clock.now();
        let facts = Self::facts(&self.shared);
        if !self.counting.go_on(&facts, now) {
            return;
        }
        let counted = self.counting.begin();
        let censuses = self.shared.censuses.lock();
        *censuses.unwrap_or_else(PoisonError::into_inner) = counted;
    }
}

impl Counting {
    /// Returns whether more may be counted at once.
    pub(super) const fn is_on(&self) -> bool {
        self.left > 0
    }

    /// Begins at the first domain, not before the next second; returns what was counted.
    fn begin(&mut self) -> Censuses {
        self.left = 0;
        self.last = None;
        std::mem::take(&mut self.counted)
    }

    /// Lets some more domains be counted when a second is over.
    fn allow(&mut self, reading: Duration) {
        let began = self.began;
        if began.is_none_or(|at| reading.saturating_sub(at) >= Duration::from_secs(1)) {
            self.began = Some(reading);
            self.left = A_SECOND;
        }
    }

    /// Counts the next slice of domains; returns whether it was the last.
    fn go_on(&mut self, facts: &Facts, now: Timestamp) -> bool {
        self.left = self.left.saturating_sub(SLICE);
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
        let expiration = domain.served.earliest_expiration;
        let earliest = self.earliest_expiry.into_iter().chain([expiration]).min();
        self.earliest_expiry = earliest;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::facts::{Served, SharedTemplate};
    use crate::engine::life::Life;
    use crate::wire::Serial;
    use crate::zone::Template;

    const NOW: Timestamp = Timestamp::from_secs(1_795_537_800);

    /// Returns so many domains of a pool, active; each one's signatures expire a second after those of
    /// the one before.
    fn domains(count: u64) -> Facts {
        let mut facts = Facts::default();
        let template = SharedTemplate::new(Template::new(Vec::new()).unwrap());
        for number in 0..count {
            let domain = DomainFacts {
                pool: "main".into(),
                state: LifecycleState::Active,
                fresh: true,
                since: NOW,
                revision: 1,
                rare: None,
                served: Served {
                    version: 1,
                    serial: Serial::new(1),
                    earliest_expiration: NOW.saturating_add(Duration::from_secs(number)),
                    ds: Box::default(),
                    template: Arc::clone(&template),
                },
                added: NOW,
                routed: 1,
                life: None,
            };
            let apex = Apex::parse(&format!("d{number:05}.example")).unwrap();
            facts.put_domain(apex, domain);
        }
        facts
    }

    /// A slice of two thousand was counted with every change: five milliseconds that its caller waited.
    #[test]
    fn a_change_waits_for_few_domains_that_are_counted() {
        let facts = domains(3_000);
        let mut counting = Counting::default();
        let second = Duration::from_secs(1);
        let mut slices = Vec::new();

        for reading in [Duration::ZERO, second / 2, second, 3 * second / 2] {
            counting.allow(reading);
            let mut counted = 0;
            while counting.is_on() {
                counted += 1;
                if counting.go_on(&facts, NOW) {
                    assert_eq!(counting.begin()["main"].earliest_expiry, Some(NOW));
                }
            }
            slices.push(counted);
        }

        // 32 slices of 64 are two thousand; the other 952 are 15.
        assert_eq!(slices, [32, 0, 15, 0]);
    }

    #[test]
    fn the_signatures_of_a_zone_that_is_served_no_more_may_expire() {
        let mut facts = domains(2);
        let first = Apex::parse("d00000.example").unwrap();
        let mut dropped = facts.domains[&first].clone();
        dropped.life = Some(Box::new(Life {
            dropped: Some(NOW),
            ..Life::default()
        }));
        facts.put_domain(first, dropped);
        let mut counting = Counting::default();

        assert!(counting.go_on(&facts, NOW));

        let second = NOW.saturating_add(Duration::from_secs(1));
        assert_eq!(counting.begin()["main"].earliest_expiry, Some(second));
    }
}
