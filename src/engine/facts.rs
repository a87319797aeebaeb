//! What the engine knows, in working form.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::counts::Counters;
use super::deferring::Deferring;
use super::delegated::Delegated;
use super::followed::Followed;
use super::life::{Judgement, Life};
use super::prepare::PrepareError;
use super::recent::Recent;
use super::references::{Left, Referrer};
use crate::clock::Timestamp;
use crate::dnssec::{Ds, SigningPolicy};
use crate::history::Lapse;
use crate::lifecycle::{LifecycleState, Rulebook};
use crate::mail::{self, PoolSettings};
use crate::store::meta::Restored;
use crate::store::record::{HostRecord, ScheduledChange};
use crate::wire::{Apex, Name, Rtype, Serial, Ttl};
use crate::zone::{RelativeRrset, Template, TemplateId};

/// Everything the engine knows, as of the last commit.
///
/// About 350 octets a domain: names of pools, templates and settings are shared, and what few
/// domains have is boxed.
#[derive(Debug)]
pub(super) struct Facts {
    /// How many changes of intent were accepted.
    pub(super) revision: u64,
    /// Grows with every commit that alters a fact, re-signing included.
    pub(super) generation: u64,
    /// The pools by name.
    pub(super) pools: BTreeMap<Arc<str>, PoolFacts>,
    /// The operator's own zones.
    pub(super) zones: BTreeMap<Apex, ZoneFacts>,
    /// The domains of all pools, in canonical order of their names.
    pub(super) domains: BTreeMap<Apex, DomainFacts>,
    /// Every zone by the moment at which it is to be signed again.
    pub(super) due: BTreeSet<(Timestamp, Apex)>,
    /// The newest serial of all domains that are gone: who comes back begins above it.
    pub(super) gone_serial: Option<Serial>,
    /// The last serial of each of the operator's zones that is gone. Each is kept on its own: what
    /// a file says may be anything, and must not become the measure of all that come later.
    pub(super) gone_zones: BTreeMap<Apex, Serial>,
    /// The domains of each pool in each state, those that are in it for the longest first.
    pub(super) members: Members<BTreeSet<(Timestamp, Apex)>>,
    /// The domains that changed lately: others may be handed out than before.
    pub(super) recent: Recent,
    /// What mail hosts are told that follow the routing from revision to revision.
    pub(super) followed: Followed,
    /// What is known of mail hosts, by their names in the API.
    pub(super) hosts: BTreeMap<String, HostRecord>,
    /// The domains whose mail the hosts may defer until they have applied the routing.
    pub(super) deferring: Deferring,
    /// The standby domains that are delegated to us.
    pub(super) delegated: Delegated,
    /// The domains for which something may be due by itself, by the moment.
    pub(super) wake: BTreeSet<(Timestamp, Apex)>,
    /// When each of them is to be looked at.
    pub(super) wakes: BTreeMap<Apex, Timestamp>,
    /// The names of hosts that pools and zones refer to, and who does (L14).
    pub(super) referenced: BTreeMap<Name, Referrer>,
    /// Who did so and may still be followed.
    pub(super) left_references: Left,
    /// Until when this server was down at last: whoever asked it meanwhile was made to defer (R2).
    pub(super) down_until: Option<Timestamp>,
    /// How it is judged what is safe.
    pub(super) judgement: Judgement,
    /// The changes that wait for their moment, by id.
    pub(super) scheduled: BTreeMap<u64, Arc<ScheduledChange>>,
    /// The same, by moment.
    pub(super) scheduled_at: BTreeSet<(Timestamp, u64)>,
    /// What they weigh together (see [`ScheduledChange::weight`]).
    pub(super) scheduled_weight: usize,
    /// Since when the store is recovering from a restore.
    pub(super) recovering: Option<Restored>,
    /// The counters of the domains with a null MX.
    pub(super) counters: Counters,
}

impl Default for Facts {
    /// Knows nothing, by every rule.
    fn default() -> Self {
        Self {
            revision: 0,
            generation: 0,
            pools: BTreeMap::new(),
            zones: BTreeMap::new(),
            domains: BTreeMap::new(),
            due: BTreeSet::new(),
            gone_serial: None,
            gone_zones: BTreeMap::new(),
            members: BTreeMap::new(),
            recent: Recent::default(),
            followed: Followed::default(),
            hosts: BTreeMap::new(),
            deferring: Deferring::default(),
            delegated: Delegated::default(),
            wake: BTreeSet::new(),
            counters: Counters::default(),
            wakes: BTreeMap::new(),
            referenced: BTreeMap::new(),
            left_references: Left::new(),
            down_until: None,
            judgement: Judgement {
                book: Rulebook::standard(),
                watched: false,
            },
            scheduled: BTreeMap::new(),
            scheduled_at: BTreeSet::new(),
            scheduled_weight: 0,
            recovering: None,
        }
    }
}

/// Something for each pool and state.
pub(super) type Members<T> = BTreeMap<(Arc<str>, LifecycleState), T>;

/// What is known of a pool.
#[derive(Clone, Debug)]
pub(super) struct PoolFacts {
    /// The revision of the last change of intent that touched it.
    pub(super) revision: u64,
    /// What its domains' zones are made from.
    pub(super) recipe: Arc<Recipe>,
    /// When its MTA-STS policy was adopted, if it has one.
    pub(super) policy: Option<Adoption>,
    /// How many domains it has in each state.
    pub(super) counts: [u64; LifecycleState::ALL.len()],
    /// Since when it is so.
    pub(super) since: Timestamp,
    /// What it was before, as far as anybody may hold it or a step began under it, oldest first.
    pub(super) earlier: Vec<Lapse<Arc<PoolVersion>>>,
    /// What it is to be, if not all of that is in effect.
    pub(super) wish: Option<Arc<Wish>>,
}

/// What a pool is to be, while some of it waits for its time (see [`crate::mail::stage()`]).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// The settings that are wished for.
    pub(super) settings: Arc<PoolSettings>,
    /// Since when each part is on its way.
    pub(super) staged: Vec<mail::Staged>,
    /// Whether mail hosts go on knowing names below the domains that have no MX any more (L8).
    pub(super) names_below: bool,
}

/// What a pool said of its domains once.
#[derive(Debug)]
pub(super) struct PoolVersion {
    /// Its settings.
    pub(super) settings: Arc<PoolSettings>,
    /// What its domains shared.
    pub(super) template: Arc<SharedTemplate>,
    /// When its MTA-STS policy was adopted, if it had one.
    pub(super) policy: Option<Adoption>,
}

/// What makes the id of an MTA-STS policy: it never stands for two texts (RFC 8461, section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Adoption {
    /// The revision that was about to be made when the pool adopted the policy.
    pub(super) revision: u64,
    /// The policy as the pool writes it, hosts relative.
    pub(super) text: String,
}

/// What all zones of one pool version are made from.
#[derive(Debug)]
pub(super) struct Recipe {
    /// The pool's settings.
    pub(super) settings: Arc<PoolSettings>,
    /// What was rendered out of them.
    pub(super) template: Arc<SharedTemplate>,
    /// How the zones are signed.
    pub(super) signing: SigningPolicy,
}

/// A template under its name, with what is asked of it often.
#[derive(Debug)]
pub(super) struct SharedTemplate {
    /// The template's name.
    pub(super) id: TemplateId,
    /// The template.
    pub(super) template: Arc<Template>,
    /// The octets of the longest owner in front of an apex.
    pub(super) longest_owner: usize,
}

/// What is known of a domain.
#[derive(Clone, Debug)]
pub(super) struct DomainFacts {
    /// The pool it belongs to.
    pub(super) pool: Arc<str>,
    /// Where it stands in its life.
    pub(super) state: LifecycleState,
    /// Whether it was never delegated before it was added.
    pub(super) fresh: bool,
    /// Since when it stands there.
    pub(super) since: Timestamp,
    /// The revision of the last change of intent that touched it.
    pub(super) revision: u64,
    /// What few domains have.
    pub(super) rare: Option<Box<Rare>>,
    /// The zone as served; as it was last, if it is served no more.
    pub(super) served: Served,
    /// When it was added.
    pub(super) added: Timestamp,
    /// The revision at which what its mail hosts may accept changed last.
    pub(super) routed: u64,
    /// What a plain domain does not have.
    pub(super) life: Option<Box<Life>>,
}

/// What few domains have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rare {
    /// Where it is registered, in the operator's words.
    pub(super) registrar: Option<String>,
    /// When its registration ends.
    pub(super) expires_at: Option<Timestamp>,
    /// The operator's own labels.
    pub(super) labels: BTreeMap<String, String>,
    /// The RRsets that the operator gave this domain alone, sorted by owner and type.
    pub(super) extra: Vec<RelativeRrset>,
}

/// What is known of one of the operator's own zones.
#[derive(Clone, Debug)]
pub(super) struct ZoneFacts {
    /// The revision of the last change of intent that touched it.
    pub(super) revision: u64,
    /// The operator's RRsets, the SOA as written; nothing that is derived.
    pub(super) records: Arc<Vec<RelativeRrset>>,
    /// The operator's and the derived RRsets, as they were signed; no SOA, nothing about keys.
    pub(super) content: Arc<Vec<RelativeRrset>>,
    /// The zone as served.
    pub(super) served: Served,
    /// Where its listed servers have got to; not stored, as it can be looked at again.
    pub(super) arrival: Arrival,
}

/// When every listed server of a zone was seen to serve what the zone says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// The first serial under which it says so, as far as this run knows.
    pub(super) serial: Serial,
    /// When; `None` while one was not seen to.
    pub(super) seen: Option<Timestamp>,
    /// The longest negative TTL that it had before, as far as this run knows: what was denied then is
    /// denied for as long (RFC 2308, section 5).
    pub(super) denied: Option<Ttl>,
}

/// Which signed zone serves a name, and what of it is asked often.
#[derive(Clone, Debug)]
pub(super) struct Served {
    /// The version under which the signed zone is stored.
    pub(super) version: u64,
    /// The SOA serial.
    pub(super) serial: Serial,
    /// When the first of its signatures expires.
    pub(super) earliest_expiration: Timestamp,
    /// What the parent must be told.
    pub(super) ds: Box<[Ds]>,
    /// The template that the signatures were made over.
    pub(super) template: Arc<SharedTemplate>,
}

/// A zone of ours, whichever kind it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum ZoneKind<'f> {
    /// One of the operator's own.
    Operator(&'f ZoneFacts),
    /// A pool's domain.
    Domain(&'f DomainFacts),
}

impl Facts {
    /// Returns the zone of a name, if there is one.
    pub(super) fn zone(&self, apex: &Apex) -> Option<ZoneKind<'_>> {
        let domain = self.domains.get(apex).map(ZoneKind::Domain);
        domain.or_else(|| self.zones.get(apex).map(ZoneKind::Operator))
    }

    /// Returns the zone as served, if there is one.
    pub(super) fn served(&self, apex: &Apex) -> Option<&Served> {
        self.zone(apex).map(|zone| match zone {
            ZoneKind::Operator(zone) => &zone.served,
            ZoneKind::Domain(domain) => &domain.served,
        })
    }

    /// Returns whether a preparation failed only because the zone was replaced meanwhile.
    pub(super) fn overtook(&self, apex: &Apex, error: &PrepareError) -> bool {
        let PrepareError::Overtaken { version } = error else {
            return false;
        };
        // What is served and yet not stored is lost.
        self.served(apex).map(|served| served.version) != Some(*version)
    }

    /// Returns how the zone of a name is signed.
    pub(super) fn signing(&self, apex: &Apex) -> SigningPolicy {
        match self.domains.get(apex) {
            Some(domain) => self
                .pools
                .get(&domain.pool)
                .map_or_else(SigningPolicy::default, |pool| pool.recipe.signing.clone()),
            None => SigningPolicy::default(),
        }
    }

    /// Takes a domain in, or what is new of it.
    pub(super) fn put_domain(&mut self, apex: Apex, domain: DomainFacts) {
        self.remove_domain(&apex);
        if let Some(pool) = self.pools.get_mut(&domain.pool) {
            pool.counts[domain.state.index()] += 1;
        }
        let members = (Arc::clone(&domain.pool), domain.state);
        let members = self.members.entry(members).or_default();
        members.insert((domain.since, apex.clone()));
        let earliest = domain.served.earliest_expiration;
        let dropped = domain.is_dropped();
        self.counters.follow(&apex, &domain);
        self.deferring.follow(&apex, &domain);
        self.delegated.follow(&apex, &domain);
        self.domains.insert(apex.clone(), domain);
        if !dropped {
            self.schedule(apex, earliest);
        }
    }

    /// Says when a domain is to be looked at again; `None` for never.
    pub(super) fn set_wake(&mut self, apex: &Apex, at: Option<Timestamp>) {
        let old = match at {
            Some(at) => self.wakes.insert(apex.clone(), at),
            None => self.wakes.remove(apex),
        };
        if let Some(old) = old {
            self.wake.remove(&(old, apex.clone()));
        }
        if let Some(at) = at {
            self.wake.insert((at, apex.clone()));
        }
    }

    /// Finds out when a domain is to be looked at again.
    pub(super) fn look_again(&mut self, apex: &Apex, now: Timestamp) {
        let domain = self.domains.get(apex);
        let at = domain.and_then(|domain| self.wake_of(apex, domain, now));
        self.set_wake(apex, at);
    }

    /// Finds out for every domain that waits for something when it is to be looked at again: what
    /// they wait for may have changed.
    pub(super) fn look_again_at_all(&mut self, now: Timestamp) {
        let domains = self.domains.iter();
        let waiting = domains.filter(|(_, domain)| domain.waits());
        let wakes = waiting.map(|(apex, domain)| (apex.clone(), self.wake_of(apex, domain, now)));
        let wakes: Vec<(Apex, Option<Timestamp>)> = wakes.collect();
        self.wake.clear();
        self.wakes.clear();
        for (apex, at) in wakes {
            if at.is_some() {
                self.set_wake(&apex, at);
            }
        }
    }

    /// Notes the serial of a zone that is about to go.
    pub(super) fn note_gone(&mut self, apex: &Apex) {
        let Some(serial) = self.served(apex).map(|served| served.serial) else {
            return;
        };
        if self.keeps_serial(apex) {
            self.gone_zones.insert(apex.clone(), serial);
        } else {
            self.gone_serial = newest(self.gone_serial, Some(serial));
        }
    }

    /// Returns whether a name's last serial is kept on its own when it goes: it is or was one of
    /// the operator's zones.
    pub(super) fn keeps_serial(&self, apex: &Apex) -> bool {
        self.zones.contains_key(apex) || self.gone_zones.contains_key(apex)
    }

    /// Returns the serial above which a name's next zone begins, if anything was served under it or
    /// may have been.
    pub(super) fn last_serial(&self, apex: &Apex) -> Option<Serial> {
        let served = self.served(apex).map(|served| served.serial);
        let gone = || self.gone_zones.get(apex).copied();
        served.or_else(gone).or(self.gone_serial)
    }

    /// Drops a domain.
    pub(super) fn remove_domain(&mut self, apex: &Apex) {
        self.unschedule(apex);
        self.set_wake(apex, None);
        let Some(domain) = self.domains.remove(apex) else {
            return;
        };
        if let Some(pool) = self.pools.get_mut(&domain.pool) {
            pool.counts[domain.state.index()] -= 1;
        }
        let members = (Arc::clone(&domain.pool), domain.state);
        if let Some(members) = self.members.get_mut(&members) {
            members.remove(&(domain.since, apex.clone()));
        }
        self.deferring.forget(apex, &domain);
        self.delegated.forget(apex, &domain);
    }

    /// Returns the pools whose policies were adopted before the store was restored: what was served
    /// under those ids meanwhile is not known (S2, K28).
    pub(super) fn policies_to_adopt(&self) -> impl Iterator<Item = Arc<str>> {
        let bound = self.recovering.as_ref();
        let bound = bound.and_then(Restored::revision);
        let pools = self.pools.iter();
        let old = pools.filter(move |(_, pool)| {
            let adopted = pool.policy.as_ref().map(|policy| policy.revision);
            adopted
                .zip(bound)
                .is_some_and(|(adopted, bound)| adopted <= bound)
        });
        old.map(|(name, _)| Arc::clone(name))
    }

    /// Returns the domains of a pool in a state, those that are in it for the longest first.
    pub(super) fn members(
        &self,
        pool: &str,
        state: LifecycleState,
    ) -> impl Iterator<Item = (&Apex, &DomainFacts)> {
        let key = self.pools.get_key_value(pool);
        let key = key.map(|(name, _)| (Arc::clone(name), state));
        let members = key.and_then(|key| self.members.get(&key));
        let members = members.into_iter().flatten();
        members.filter_map(|(_, apex)| Some((apex, self.domains.get(apex)?)))
    }

    /// Takes in a change that waits for its moment.
    pub(super) fn put_scheduled(&mut self, id: u64, change: ScheduledChange) {
        self.scheduled_at.insert((change.at, id));
        self.scheduled_weight += change.weight();
        self.scheduled.insert(id, Arc::new(change));
    }

    /// Drops a scheduled change that has ended.
    pub(super) fn remove_scheduled(&mut self, id: u64) {
        if let Some(change) = self.scheduled.remove(&id) {
            self.scheduled_at.remove(&(change.at, id));
            self.scheduled_weight -= change.weight();
        }
    }

    /// Takes one of the operator's own zones in, or what is new of it.
    pub(super) fn put_zone(&mut self, apex: Apex, mut zone: ZoneFacts) {
        let old = self.zones.get(&apex);
        if let Some(old) = old.filter(|old| old.content == zone.content) {
            zone.arrival = old.arrival;
        }
        zone.arrival.denied = old.and_then(|old| old.negative_ttl(&apex));
        self.remove_zone(&apex);
        let earliest = zone.served.earliest_expiration;
        self.zones.insert(apex.clone(), zone);
        self.schedule(apex, earliest);
    }

    /// Notes the oldest serial of one of the operator's own zones that a listed server serves;
    /// returns whether there is such a zone.
    pub(super) fn zone_published(&mut self, apex: &Apex, oldest: Serial, at: Timestamp) -> bool {
        let Some(zone) = self.zones.get_mut(apex) else {
            return false;
        };
        let Arrival { serial, seen, .. } = &mut zone.arrival;
        if !serial.is_newer_than(oldest) {
            seen.get_or_insert(at);
        }
        true
    }

    /// Drops one of the operator's own zones.
    pub(super) fn remove_zone(&mut self, apex: &Apex) {
        self.unschedule(apex);
        self.zones.remove(apex);
    }

    /// Replaces the signed zone behind a name.
    pub(super) fn put_served(&mut self, apex: &Apex, served: Served) {
        self.unschedule(apex);
        let earliest = served.earliest_expiration;
        if let Some(domain) = self.domains.get_mut(apex) {
            domain.served = served;
        } else if let Some(zone) = self.zones.get_mut(apex) {
            zone.served = served;
        } else {
            return;
        }
        self.schedule(apex.clone(), earliest);
    }

    /// Takes a pool in, or what is new of it; its counts stay.
    pub(super) fn put_pool(&mut self, name: &Arc<str>, mut pool: PoolFacts) {
        let old = self.pools.get(name);
        pool.counts = old.map_or([0; LifecycleState::ALL.len()], |old| old.counts);
        // When its zones are due follows from how they are signed.
        let moved: Vec<(Apex, Timestamp)> = match old {
            Some(old) if old.recipe.signing != pool.recipe.signing => self
                .domains
                .iter()
                .filter(|(_, domain)| domain.pool == *name)
                .map(|(apex, domain)| (apex.clone(), domain.served.earliest_expiration))
                .collect(),
            _ => Vec::new(),
        };
        moved.iter().for_each(|(apex, _)| self.unschedule(apex));
        self.pools.insert(Arc::clone(name), pool);
        for (apex, earliest) in moved {
            self.schedule(apex, earliest);
        }
    }

    /// Notes when a zone is due.
    fn schedule(&mut self, apex: Apex, earliest_expiration: Timestamp) {
        let at = renew_at(earliest_expiration, &self.signing(&apex));
        self.due.insert((at, apex));
    }

    /// Forgets when a zone is due.
    fn unschedule(&mut self, apex: &Apex) {
        let Some(served) = self.served(apex) else {
            return;
        };
        let at = renew_at(served.earliest_expiration, &self.signing(apex));
        self.due.remove(&(at, apex.clone()));
    }

    /// Returns when the first signature of a pool's zones expires that are served; looks at all of
    /// them.
    pub(super) fn earliest_expiration(&self, pool: &str) -> Option<Timestamp> {
        let states = LifecycleState::ALL.into_iter();
        let members = states.flat_map(|state| self.members(pool, state));
        let served = members.filter(|(_, domain)| !domain.is_dropped());
        let expirations = served.map(|(_, domain)| domain.served.earliest_expiration);
        expirations.min()
    }
}

/// Returns the names above `name` that can be a zone of ours, the closest first.
pub(super) fn ancestors(name: &Name) -> impl Iterator<Item = Apex> + use<> {
    let above = std::iter::successors(name.parent(), Name::parent);
    above.filter_map(|name| Apex::new(name).ok())
}

impl ZoneFacts {
    /// Returns for how long caches may deny names of the zone: the lesser of the SOA's two numbers (RFC
    /// 2308, section 5), now or before.
    pub(super) fn negative_ttl(&self, apex: &Apex) -> Option<Ttl> {
        let mut records = self.records.iter();
        let soa = records.find(|rrset| rrset.rtype == Rtype::SOA)?;
        let rdata = soa.rdatas.first()?.under(soa.rtype, apex).ok()?;
        let now = rdata.soa_numbers()?.minimum.min(soa.ttl);
        Some(self.arrival.denied.map_or(now, |before| before.max(now)))
    }
}

impl Arrival {
    /// Begins with a version that nobody was seen to serve.
    pub(super) const fn of(served: &Served) -> Self {
        Self {
            serial: served.serial,
            seen: None,
            denied: None,
        }
    }
}

impl SharedTemplate {
    /// Wraps a template.
    pub(super) fn new(template: Template) -> Arc<Self> {
        let owners = template.rrsets().iter();
        let lengths = owners.map(|rrset| rrset.owner.as_wire().len());
        Arc::new(Self {
            id: template.id(),
            longest_owner: lengths.max().unwrap_or(0),
            template: Arc::new(template),
        })
    }
}

impl Recipe {
    /// Returns whether zones made from either are the same.
    pub(super) fn makes_the_same(&self, other: &Self) -> bool {
        if std::ptr::eq(self, other) {
            return true;
        }
        let zero = Serial::new(0);
        self.template.id == other.template.id
            && self.signing == other.signing
            && self.settings.soa(zero) == other.settings.soa(zero)
    }
}

impl PartialEq for Recipe {
    fn eq(&self, other: &Self) -> bool {
        self.makes_the_same(other)
    }
}

impl DomainFacts {
    /// Returns whether its zone is served no more.
    pub(super) fn is_dropped(&self) -> bool {
        self.life
            .as_ref()
            .is_some_and(|life| life.dropped.is_some())
    }

    /// Returns whether something may come by itself: a plain domain that is in use waits for nothing.
    pub(super) fn waits(&self) -> bool {
        self.life.is_some() || self.state > LifecycleState::Active
    }

    /// Returns the RRsets that the operator gave this domain alone.
    pub(super) fn extra(&self) -> &[RelativeRrset] {
        self.rare.as_ref().map_or(&[], |rare| &rare.extra)
    }
}

impl Rare {
    /// Returns the box that is kept: none for nothing.
    pub(super) fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

impl PoolFacts {
    /// Returns the settings that the operator wished for last.
    pub(super) fn wished(&self) -> &Arc<PoolSettings> {
        let wish = self.wish.as_ref().map(|wish| &wish.settings);
        wish.unwrap_or(&self.recipe.settings)
    }
}

/// Returns the newer of two serials, as far as there are any.
pub(super) fn newest(one: Option<Serial>, other: Option<Serial>) -> Option<Serial> {
    match (one, other) {
        (Some(one), Some(other)) if other.is_newer_than(one) => Some(other),
        (one, other) => one.or(other),
    }
}

/// Returns when a zone is signed again: long before its first signature expires (K8). Jitter is in
/// the expiration already.
pub(super) fn renew_at(earliest_expiration: Timestamp, signing: &SigningPolicy) -> Timestamp {
    earliest_expiration.saturating_sub(signing.refresh().as_duration())
}

impl Adoption {
    /// Returns the policy's id (S2).
    pub(super) fn id(&self) -> String {
        mail::policy_id(self.revision, &self.text)
    }
}
