//! Facts for readers.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, RwLockReadGuard};

use super::counts::QueriesPerDay;
use super::facts::{DomainFacts, Facts, PoolFacts, Served, ZoneFacts};
use super::life::policy_form;
use crate::clock::Timestamp;
use crate::dnssec::Ds;
use crate::lifecycle::{
    self, Condition, DsSeen, Force, HandedOut, LifecycleState, Next, Observed, Step, Suspension,
    WaitingFor,
};
use crate::mail::{PolicyForm, PoolSettings, Route, StageWait};
use crate::store::record::{Hold, ShownPolicy};
use crate::wire::{Apex, Serial};
use crate::zone::{RelativeRrset, ZoneData};

/// The facts as of the last commit, held still for as long as the view lives.
///
/// A view holds a read lock that the writer waits for: take it, read, drop it. It cannot be held
/// across an `.await`.
#[derive(Debug)]
pub struct View<'e> {
    /// The facts.
    facts: RwLockReadGuard<'e, Facts>,
    /// The moment at which they are looked at.
    now: Timestamp,
}

/// A pool, as the API shows it.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Its name.
    pub name: Arc<str>,
    /// The revision of the last change of intent that touched it.
    pub revision: u64,
    /// The settings that are in effect.
    pub settings: Arc<PoolSettings>,
    /// The settings that were wished for last.
    pub wished: Arc<PoolSettings>,
    /// What the rest of the wish waits for; nothing when all of it is in effect.
    pub waits: Vec<StageWait>,
    /// The id of the MTA-STS policy that its domains announce, if it has one.
    pub policy_id: Option<String>,
    /// How many domains it has in each state, in the order of [`LifecycleState::ALL`].
    pub counts: [u64; LifecycleState::ALL.len()],
}

/// A domain, as the API shows it.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Its name.
    pub name: Apex,
    /// The pool it belongs to.
    pub pool: Arc<str>,
    /// Where it stands in its life.
    pub state: LifecycleState,
    /// Since when it stands there.
    pub since: Timestamp,
    /// The revision of the last change of intent that touched it.
    pub revision: u64,
    /// Whether it was never delegated before it was added.
    pub fresh: bool,
    /// Where it is registered.
    pub registrar: Option<String>,
    /// When its registration ends.
    pub expires_at: Option<Timestamp>,
    /// The operator's own labels.
    pub labels: BTreeMap<String, String>,
    /// The RRsets that the operator gave this domain alone.
    pub extra: Vec<RelativeRrset>,
    /// The serial that is served.
    pub serial: Serial,
    /// When the first of its signatures expires.
    pub earliest_expiration: Timestamp,
    /// What the parent must be told.
    pub ds: Vec<Ds>,
    /// When it was added.
    pub added: Timestamp,
    /// What its mail hosts may accept.
    pub route: Route,
    /// The revision at which that changed last.
    pub routed: u64,
    /// Which MTA-STS policy its policy hosts are to serve; `None` for none any more.
    pub policy_form: Option<PolicyForm>,
    /// Whether it takes no mail for a while.
    pub suspension: Option<Suspension>,
    /// Whether no step may withdraw anything.
    pub hold: Option<Hold>,
    /// Its hand-outs, if an address was ever given out.
    pub handed_out: Option<HandedOut>,
    /// What the world showed of it.
    pub observed: Observed,
    /// Since when its zone is served no more.
    pub dropped: Option<Timestamp>,
}

/// What comes next in a domain's life, and what is known of it.
#[derive(Clone, Debug)]
pub struct Prospect {
    /// The step that comes next, and what it waits for.
    pub next: Option<Next>,
    /// What is known of the domain.
    pub conditions: Vec<Condition>,
    /// What the next hand-out waits for, for an active domain.
    pub hand_out_waits: Vec<WaitingFor>,
    /// The id of the MTA-STS policy whose text is to be served.
    pub policy_wanted: Option<String>,
    /// The id of the MTA-STS policy that the TXT shows.
    pub policy_shown: Option<String>,
}

/// What mail hosts may accept for one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingEntry {
    /// The domain.
    pub name: Apex,
    /// What is accepted.
    pub route: Route,
    /// The revision at which that changed last.
    pub revision: u64,
}

/// One of the operator's own zones, as the API shows it.
#[derive(Clone, Debug)]
pub struct OperatorZone {
    /// Its name.
    pub apex: Apex,
    /// The revision of the last change of intent that touched it.
    pub revision: u64,
    /// The operator's records; nothing that is derived.
    pub records: Arc<Vec<RelativeRrset>>,
    /// The serial that is served.
    pub serial: Serial,
    /// When the first of its signatures expires.
    pub earliest_expiration: Timestamp,
    /// What the parent must be told.
    pub ds: Vec<Ds>,
}

/// Which domains a page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainFilter {
    /// Those of one pool.
    pub pool: Option<String>,
    /// Those in one state.
    pub state: Option<LifecycleState>,
}

/// How many domains are judged by their rules while the facts are held still, which the writer waits
/// for.
const JUDGED: usize = 1_024;

/// A part of a list, in the order of names.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Behind which name the list goes on, if it does.
    pub next: Option<Apex>,
}

impl<'e> View<'e> {
    /// Holds the facts still.
    pub(super) fn new(facts: RwLockReadGuard<'e, Facts>, now: Timestamp) -> Self {
        Self { facts, now }
    }

    /// Returns how many changes of intent were accepted.
    pub fn revision(&self) -> u64 {
        self.facts.revision
    }

    /// Returns a pool.
    pub fn pool(&self, name: &str) -> Option<Pool> {
        let (name, pool) = self.facts.pools.get_key_value(name)?;
        Some(show_pool(&self.facts, name, pool, self.now))
    }

    /// Returns how often every domain with a null MX is asked for here (X5).
    pub fn counts(&self) -> Vec<QueriesPerDay> {
        self.facts.counts(self.now)
    }

    /// Returns every pool, by name.
    pub fn pools(&self) -> Vec<Pool> {
        let pools = self.facts.pools.iter();
        pools
            .map(|(name, pool)| show_pool(&self.facts, name, pool, self.now))
            .collect()
    }

    /// Returns what comes next in a domain's life, and what is known of it.
    pub fn prospect(&self, name: &Apex) -> Option<Prospect> {
        let domain = self.facts.domains.get(name)?;
        let circumstances = self.facts.circumstances(name, domain)?;
        let situation = circumstances.situation();
        let book = &self.facts.judgement.book;
        let is_active = domain.state == LifecycleState::Active;
        Some(Prospect {
            next: lifecycle::next(&situation, self.now, book)
                .or_else(|| self.facts.ages_out(domain, self.now)),
            conditions: lifecycle::conditions(&situation, self.now, book),
            hand_out_waits: if is_active {
                lifecycle::hand_out_waits(&situation, self.now, book)
            } else {
                Vec::new()
            },
            policy_wanted: situation.policy.wanted.map(str::to_owned),
            policy_shown: situation.policy.shown.map(str::to_owned),
        })
    }

    /// Returns what the registrar of a domain is not told before, if it is to be delegated to us (T0).
    pub fn delegation_waits(&self, name: &Apex) -> Vec<WaitingFor> {
        let domain = self.facts.domains.get(name);
        let circumstances = domain.and_then(|domain| self.facts.circumstances(name, domain));
        circumstances.map_or_else(Vec::new, |circumstances| {
            let book = &self.facts.judgement.book;
            lifecycle::delegation_waits(&circumstances.situation(), self.now, book)
        })
    }

    /// Returns whether all is known that changed in the routing behind a revision: not what changed
    /// before a restart, nor after the backup that a store was restored from (K28).
    pub fn knows_routing_behind(&self, revision: u64) -> bool {
        let followed = &self.facts.followed;
        followed.knows_behind(revision) && revision <= self.facts.revision
    }

    /// Returns what mail hosts may accept, of the next `limit` domains behind `after`, for those whose
    /// routing changed after revision `since`, 0: for all; behind the last one that was looked at it
    /// goes on.
    pub fn routing(&self, since: u64, after: Option<&Apex>, limit: usize) -> Page<RoutingEntry> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut behind = self.facts.domains.range((from, Bound::Unbounded));
        let mut last = None;
        let looked_at = behind.by_ref().take(limit);
        let looked_at = looked_at.inspect(|(name, _)| last = Some(*name));
        let entries = looked_at.map(|(name, domain)| {
            let pool = self.facts.followed.pool(&domain.pool);
            (name, domain, domain.routed.max(pool))
        });
        let changed = entries.filter(|(_, _, routed)| *routed > since || since == 0);
        let items = changed.map(|(name, domain, routed)| RoutingEntry {
            name: name.clone(),
            route: self.facts.route(domain),
            revision: routed,
        });
        let items = items.collect();
        let more = behind.next().is_some();
        Page {
            next: last.filter(|_| more).cloned(),
            items,
        }
    }

    /// Returns the domains that were deleted behind revision `since`, and at which revision.
    pub fn routing_gone(&self, since: u64) -> Vec<(Apex, u64)> {
        let gone = self.facts.followed.deleted(since);
        gone.map(|(name, revision)| (name.clone(), revision))
            .collect()
    }

    /// Returns until when nothing is withdrawn because the store was restored (K28), and the domains
    /// whose DS at the parent was seen to match none of their keys.
    pub fn recovering(&self) -> Option<(Timestamp, Vec<Apex>)> {
        let until = self.facts.recovering_until()?;
        if until <= self.now {
            return None;
        }
        let domains = self.facts.domains.iter();
        let bogus = domains.filter(|(_, domain)| {
            let ds = domain
                .life
                .as_ref()
                .and_then(|life| life.observed.ds.as_ref());
            ds.is_some_and(|ds| ds.what == DsSeen::Foreign)
        });
        Some((until, bogus.map(|(name, _)| name.clone()).collect()))
    }

    /// Returns a domain.
    pub fn domain(&self, name: &Apex) -> Option<Domain> {
        let domain = self.facts.domains.get(name)?;
        Some(show_domain(&self.facts, name, domain))
    }

    /// Returns up to `limit` domains behind `after` that pass the filter, in canonical order of
    /// their names.
    pub fn domains(
        &self,
        filter: &DomainFilter,
        after: Option<&Apex>,
        limit: usize,
    ) -> Page<Domain> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.facts.domains.range((from, Bound::Unbounded));
        let mut wanted = behind.filter(|(_, domain)| filter.passes(domain));
        let items: Vec<Domain> = wanted
            .by_ref()
            .take(limit)
            .map(|(name, domain)| show_domain(&self.facts, name, domain))
            .collect();
        let more = wanted.next().is_some();
        let next = items.last().filter(|_| more).map(|last| last.name.clone());
        Page { items, next }
    }

    /// Returns domains behind `after` that can be retired now, up to `limit`.
    ///
    /// Looks at a bounded number of draining ones: a page may be short, and the list go on behind it.
    pub fn retirable(
        &self,
        pool: Option<&str>,
        after: Option<&Apex>,
        limit: usize,
    ) -> Page<Domain> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut items, mut looked_at) = (Vec::new(), 0);
        let mut last: Option<&Apex> = None;
        for (name, domain) in self.facts.domains.range((from, Bound::Unbounded)) {
            if items.len() == limit || looked_at == JUDGED {
                let next = last.cloned();
                return Page { items, next };
            }
            last = Some(name);
            let is_wanted = pool.is_none_or(|pool| *domain.pool == *pool);
            if domain.state == LifecycleState::Draining && is_wanted {
                looked_at += 1;
                if self.is_retirable(name, domain) {
                    items.push(show_domain(&self.facts, name, domain));
                }
            }
        }
        Page { items, next: None }
    }

    /// Returns whether a draining domain can be retired now.
    fn is_retirable(&self, name: &Apex, domain: &DomainFacts) -> bool {
        let circumstances = self.facts.circumstances(name, domain);
        circumstances.is_some_and(|circumstances| {
            let situation = circumstances.situation();
            let book = &self.facts.judgement.book;
            let to = LifecycleState::Retired;
            let step = lifecycle::step(&situation, to, Force::No, self.now, book);
            matches!(step, Ok(Step::Now { .. }))
        })
    }

    /// Returns how many domains there are.
    pub fn domain_count(&self) -> usize {
        self.facts.domains.len()
    }

    /// Returns one of the operator's own zones.
    pub fn zone(&self, apex: &Apex) -> Option<OperatorZone> {
        let zone = self.facts.zones.get(apex)?;
        Some(show_zone(apex, zone))
    }

    /// Returns all of the operator's own zones, in canonical order of their names.
    pub fn zones(&self) -> Vec<OperatorZone> {
        let zones = self.facts.zones.iter();
        zones.map(|(apex, zone)| show_zone(apex, zone)).collect()
    }

    /// Returns the facts.
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Returns when which domain is looked at again.
    #[cfg(test)]
    pub(super) fn wakes(&self) -> Vec<(Timestamp, Apex)> {
        self.facts.wake.iter().cloned().collect()
    }

    /// Returns which signed zone serves a name.
    pub(super) fn served(&self, apex: &Apex) -> Option<&Served> {
        self.facts.served(apex)
    }
}

impl DomainFilter {
    /// Returns whether a page shows the domain.
    fn passes(&self, domain: &DomainFacts) -> bool {
        self.pool
            .as_deref()
            .is_none_or(|pool| *domain.pool == *pool)
            && self.state.is_none_or(|state| domain.state == state)
    }
}

impl Pool {
    /// Returns how many domains are in a state.
    pub fn count(&self, state: LifecycleState) -> u64 {
        self.counts[state.index()]
    }
}

impl OperatorZone {
    /// Returns the operator's records as they were put.
    pub fn data(&self) -> ZoneData {
        ZoneData {
            apex: self.apex.clone(),
            rrsets: self.records.to_vec(),
            warnings: Vec::new(),
        }
    }
}

/// Returns what the API shows of a pool.
fn show_pool(facts: &Facts, name: &Arc<str>, pool: &PoolFacts, now: Timestamp) -> Pool {
    let waits = pool.wish.as_ref().map(|wish| {
        let staging = facts.staging(name, pool, &wish.settings, &wish.staged, now);
        staging.waits
    });
    Pool {
        wished: Arc::clone(pool.wished()),
        waits: waits.unwrap_or_default(),
        name: Arc::clone(name),
        revision: pool.revision,
        settings: Arc::clone(&pool.recipe.settings),
        policy_id: pool.policy.as_ref().map(|policy| policy.id()),
        counts: pool.counts,
    }
}

/// Returns what the API shows of a domain.
fn show_domain(facts: &Facts, name: &Apex, domain: &DomainFacts) -> Domain {
    let rare = domain.rare.as_deref().cloned().unwrap_or_default();
    let life = domain.life.as_deref();
    let gone = life.is_some_and(|life| life.policy == ShownPolicy::Gone);
    let dropped = life.and_then(|life| life.dropped);
    Domain {
        name: name.clone(),
        pool: Arc::clone(&domain.pool),
        state: domain.state,
        since: domain.since,
        revision: domain.revision,
        fresh: domain.fresh,
        registrar: rare.registrar,
        expires_at: rare.expires_at,
        labels: rare.labels,
        extra: rare.extra,
        serial: domain.served.serial,
        earliest_expiration: domain.served.earliest_expiration,
        ds: domain.served.ds.to_vec(),
        added: domain.added,
        route: facts.route(domain),
        routed: domain.routed,
        policy_form: (!gone && dropped.is_none()).then(|| policy_form(domain.state)),
        suspension: life.and_then(|life| life.suspension.clone()),
        hold: life.and_then(|life| life.hold.clone()),
        handed_out: life.and_then(|life| life.handed_out),
        observed: life.map(|life| life.observed.clone()).unwrap_or_default(),
        dropped,
    }
}

/// Returns what the API shows of one of the operator's own zones.
fn show_zone(apex: &Apex, zone: &ZoneFacts) -> OperatorZone {
    OperatorZone {
        apex: apex.clone(),
        revision: zone.revision,
        records: Arc::clone(&zone.records),
        serial: zone.served.serial,
        earliest_expiration: zone.served.earliest_expiration,
        ds: zone.served.ds.to_vec(),
    }
}
