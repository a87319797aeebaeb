//! What a change makes of facts: the records that are stored, and the facts that stand then.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::act::{Learnt, learnt};
use super::commit::Publication;
use super::describe;
use super::facts::{
    Adoption, Arrival, DomainFacts, Facts, PoolFacts, PoolVersion, Served, ZoneFacts, ancestors,
    newest,
};
use super::idempotency::RememberedKeys;
use super::job::Job;
use super::life::{forget_turns, history_after, longest_horizon, note_turn, turn_of};
use super::plan::{DomainDraft, PoolDraft, ZoneDraft};
use super::prepare::{Material, Prepared, written_serial};
use crate::clock::{Span, Timestamp};
use crate::history::Lapse;
use crate::lifecycle::LifecycleState;
use crate::mail::PoolSettings;
use crate::store::record::{
    self, AuditChange, AuditRecord, DomainRecord, DsFact, Event, EventsRecord, OperatorZoneRecord,
    PolicyAdoption, PoolRecord, PoolVersionRecord, TemplateRecord, WishRecord, ZoneFact,
};
use crate::store::{Batch, Space, meta};
use crate::wire::{Apex, Serial};

impl Job {
    /// Returns whether the change makes a revision.
    pub(super) fn changes_intent(&self) -> bool {
        !self.planned.plan.effects.is_empty()
    }

    /// Returns whether the plan is what it would be if other changes had been made of `names`
    /// before, and of nothing else.
    ///
    /// So it is while it only adds domains: what they are made from is their pool's, and what stands
    /// against a name are others above and below it. The name itself is claimed.
    pub(super) fn stands_beside(&self, names: &BTreeSet<Apex>) -> bool {
        let planned = &self.planned;
        let only_adds = planned.plan.existing_domains == 0;
        only_adds && !planned.structural && !planned.waits_for_keys && !self.overlaps(names)
    }

    /// Returns whether the change is about names that are, lie above or lie below one of `names`.
    pub(super) fn overlaps(&self, names: &BTreeSet<Apex>) -> bool {
        // One that lies above another has it below: so the fewer are looked up among the more.
        let ours = &self.planned.domains;
        if names.len() < ours.len() {
            names.iter().any(|name| {
                let next = ours.range::<Apex, _>(behind(name)).next();
                let next = next.map(|(next, _)| next);
                is_related(name, next, |other| ours.contains_key(other))
            })
        } else {
            ours.keys().any(|name| {
                let next = names.range::<Apex, _>(behind(name)).next();
                is_related(name, next, |other| names.contains(other))
            })
        }
    }

    /// Returns the versions that nothing names once the change is a fact, and that do not go with it:
    /// those of a large change would hold up what waits for its commit.
    pub(super) fn outdated(&self) -> Vec<(Apex, u64)> {
        let made = self.made.0.values().filter(|_| self.large);
        let replaced = made.filter_map(|made| Some((made.apex.clone(), made.replaces?)));
        replaced.collect()
    }

    /// Returns the newest serial of the domains that go, but for those whose own is kept.
    pub(super) fn gone_serial(&self, facts: &Facts) -> Option<Serial> {
        let domains = self.planned.domains.iter();
        let gone = domains.filter(|(apex, draft)| draft.is_none() && !facts.keeps_serial(apex));
        let serials = gone.map(|(apex, _)| facts.domains.get(apex).map(|it| it.served.serial));
        serials.fold(None, newest)
    }

    /// Adds all that the change stores to a batch.
    pub(super) fn put(&self, batch: &mut Batch, facts: &Facts, revision: u64, now: Timestamp) {
        for (name, draft) in &self.planned.pools {
            match draft {
                Some(draft) => {
                    let record = draft.record(revision, now);
                    batch.put_record(name.as_bytes(), &record);
                    if let Some(recipe) = &draft.recipe {
                        let template = TemplateRecord((*recipe.template.template).clone());
                        batch.put_record(&recipe.template.id.0, &template);
                    }
                }
                None => batch.delete(Space::Pool, name.as_bytes()),
            }
        }
        for (apex, draft) in &self.planned.zones {
            match draft {
                Some(draft) => {
                    if let Some(served) = self.served(apex, draft.served.as_ref()) {
                        let record = draft.record(apex, revision, &served);
                        batch.put_record(apex.as_wire(), &record);
                    }
                }
                None => remove(batch, Space::Zone, apex, facts),
            }
        }
        for (apex, draft) in &self.planned.domains {
            match draft {
                Some(draft) => {
                    if let Some(served) = self.served(apex, draft.served.as_ref()) {
                        let context = self.pool_of(facts, &draft.pool);
                        let domain = draft.facts(revision, served, now, context);
                        if domain.is_dropped() {
                            drop_zone(batch, apex, facts);
                        }
                        batch.put_record(apex.as_wire(), &domain_record(&domain));
                    }
                }
                None => {
                    batch.delete(Space::Count, apex.as_wire());
                    remove(batch, Space::Domain, apex, facts);
                }
            }
        }
        for prepared in self.made.0.values() {
            prepared.put(batch);
            if let (false, Some(old)) = (self.large, prepared.replaces) {
                let key = record::signed_zone_key(&prepared.apex, old);
                batch.delete(Space::SignedZone, &key);
            }
        }
        for (host, record) in &self.planned.hosts {
            batch.put_record(host.as_bytes(), record);
        }
        let notes = &self.planned.notes;
        notes.put(batch, &facts.scheduled, revision, now);
        if let Some(left) = &self.planned.left_references {
            meta::LEFT_REFERENCES.put(batch, &left.values().cloned().collect());
        }
        let changes_intent = self.changes_intent();
        if let Some(id) = &self.change.id {
            RememberedKeys::store(batch, id, now, (revision, changes_intent));
        }
        if changes_intent {
            let key = record::growing_key(revision);
            batch.put_record(&key, &self.audit(facts, revision, now));
            batch.put_record(&key, &self.events(now));
        }
    }

    /// Returns the zone as it will be served.
    fn served(&self, apex: &Apex, now: Option<&Served>) -> Option<Served> {
        let made = self.made.0.get(apex).map(|made| &made.served);
        made.or(now).cloned()
    }

    /// Returns what a pool will say of its domains.
    fn pool_of<'f>(&'f self, facts: &'f Facts, pool: &str) -> Option<PoolSays<'f>> {
        match self.planned.pools.get(pool) {
            Some(draft) => draft.as_ref().map(|draft| PoolSays {
                settings: &draft.settings,
                policy: draft.policy.as_ref(),
                known: facts.pools.get(pool),
                watched: facts.judgement.watched,
            }),
            None => PoolSays::now(facts, pool),
        }
    }

    /// Returns what the audit log says of the change.
    fn audit(&self, facts: &Facts, revision: u64, at: Timestamp) -> AuditRecord {
        let effects = self.planned.plan.effects.iter();
        let changes = effects.map(|effect| AuditChange {
            op: effect.kind.to_owned(),
            subject: effect.subject.clone(),
            before: describe::before(facts, &self.change.ops[effect.op], effect),
            after: describe::after(&self.planned, &self.change.ops[effect.op], effect),
        });
        AuditRecord {
            at,
            revision,
            actor: self.change.actor.0.clone(),
            reason: self.change.reason.clone(),
            changes: changes.collect(),
        }
    }

    /// Returns what happened.
    fn events(&self, at: Timestamp) -> EventsRecord {
        let effects = self.planned.plan.effects.iter();
        let events = effects.map(|effect| Event {
            kind: effect.kind.to_owned(),
            subject: effect.subject.clone(),
        });
        EventsRecord {
            at,
            events: events.collect(),
        }
    }

    /// Makes facts of the change.
    pub(super) fn apply(
        &mut self,
        facts: &mut Facts,
        publication: &mut Publication,
        now: Timestamp,
    ) {
        let revision = facts.revision;
        let mut made = std::mem::take(&mut self.made.0);
        let mut gone = Vec::new();
        let mut rerouted = Vec::new();
        for (name, draft) in std::mem::take(&mut self.planned.pools) {
            let Some(draft) = draft else {
                gone.push(name);
                continue;
            };
            if let Some(pool) = draft.into_facts(revision, now) {
                let knows = |pool: Option<&PoolFacts>| pool.is_some_and(PoolFacts::knows_below);
                let knew = knows(facts.pools.get(&name));
                facts.put_pool(&name, pool);
                if knew != knows(facts.pools.get(&name)) {
                    rerouted.push(name);
                }
            }
        }
        for (apex, draft) in std::mem::take(&mut self.planned.zones) {
            let Some(draft) = draft else {
                facts.note_gone(&apex);
                facts.remove_zone(&apex);
                publication.withdrawn.push(apex);
                continue;
            };
            let old = facts.zones.get(&apex).map(|zone| Arc::clone(&zone.content));
            let prepared = made.remove(&apex);
            if let Some(zone) = draft.into_facts(revision, old, prepared, publication) {
                facts.put_zone(apex, zone);
            }
        }
        for (apex, draft) in std::mem::take(&mut self.planned.domains) {
            facts.recent.note(apex.clone());
            let Some(draft) = draft else {
                facts.note_gone(&apex);
                facts.remove_domain(&apex);
                publication.routes.push((apex.clone(), None));
                facts.counters.forget(&apex);
                facts.followed.gone(apex.clone(), revision);
                publication.withdrawn.push(apex);
                continue;
            };
            let served = match made.remove(&apex) {
                Some(prepared) => {
                    publication.images.push(prepared.image);
                    Some(prepared.served)
                }
                None => draft.served.clone(),
            };
            if let Some(served) = served {
                let context = PoolSays::now(facts, &draft.pool);
                let domain = draft.facts(revision, served, now, context);
                if domain.is_dropped() {
                    publication.withdrawn.push(apex.clone());
                }
                let route = facts.route(&domain);
                publication.routes.push((apex.clone(), Some(route)));
                facts.followed.there(&apex);
                facts.put_domain(apex.clone(), domain);
                facts.look_again(&apex, now);
            }
        }
        for pool in rerouted {
            let states = LifecycleState::ALL.into_iter();
            let members = states.flat_map(|state| facts.members(&pool, state));
            let routes = members.map(|(apex, domain)| (apex.clone(), Some(facts.route(domain))));
            publication.routes.extend(routes);
            facts.followed.rerouted(pool, revision);
        }
        // After their domains: when those were due follows from how their pool is signed.
        for name in gone {
            facts.pools.remove(&name);
            for state in LifecycleState::ALL {
                facts.members.remove(&(Arc::clone(&name), state));
            }
        }
        let notes = std::mem::take(&mut self.planned.notes);
        if let Some(scheduled) = notes.scheduled {
            facts.put_scheduled(revision, scheduled);
        }
        for id in notes.concluded.keys() {
            facts.remove_scheduled(*id);
        }
        for (host, record) in std::mem::take(&mut self.planned.hosts) {
            let known = facts.hosts.insert(host, record);
            match known.and_then(|known| known.applied) {
                // The first word of a host lets domains wait for it; a later one ends their wait.
                None if record.applied.is_some() => facts.recent.note_all(),
                _ => facts.recent.note_eased(),
            }
        }
        if let Some(left) = self.planned.left_references.take() {
            facts.left_references = left;
        }
        if self.planned.structural {
            facts.recent.note_all();
            facts.find_references();
            facts.look_again_at_all(now);
        }
    }
}

/// Returns the bounds of what lies behind a name in canonical order.
fn behind(name: &Apex) -> (Bound<&Apex>, Bound<&Apex>) {
    (Bound::Excluded(name), Bound::Unbounded)
}

/// Returns whether a sorted set has a name, one above or one below it; `next` is the first one
/// behind the name.
fn is_related(name: &Apex, next: Option<&Apex>, has: impl Fn(&Apex) -> bool) -> bool {
    has(name)
        || next.is_some_and(|next| next.is_below(name))
        || ancestors(name).any(|above| has(&above))
}

impl Prepared {
    /// Adds the signed zone, and keys that are new, to a batch; nothing if it is stored already.
    pub(super) fn put(&self, batch: &mut Batch) {
        let Some(records) = &self.records else {
            return;
        };
        let key = record::signed_zone_key(&self.apex, self.served.version);
        batch.put(Space::SignedZone, &key, records.zone.clone());
        if let Some(keys) = &records.keys {
            batch.put(Space::Key, self.apex.as_wire(), keys.clone());
        }
    }
}

impl PoolDraft {
    /// Returns since when the pool is as it will be, and what it was before.
    fn history(&self, now: Timestamp) -> (Timestamp, Vec<Lapse<Arc<PoolVersion>>>) {
        match &self.old {
            // A wish alone changes nothing that anybody could hold.
            Some(old) if self.is_in_effect(old) => (old.since, old.earlier.clone()),
            Some(old) => {
                let keep = self.wish.is_some() || old.wish.is_some();
                (now.max(old.since), history_after(old, now, keep))
            }
            None => (now, Vec::new()),
        }
    }

    /// Returns whether what is in effect stays as it is.
    fn is_in_effect(&self, old: &PoolFacts) -> bool {
        *self.settings == *old.recipe.settings && self.policy == old.policy
    }

    /// Returns what is stored of the pool.
    fn record(&self, revision: u64, now: Timestamp) -> PoolRecord {
        let (since, earlier) = self.history(now);
        let template = self.recipe.as_ref().map(|recipe| recipe.template.id);
        PoolRecord {
            revision,
            settings: self.settings.to_document().to_string(),
            template: template.expect("a plan that renders no template is refused"),
            policy: self.policy.as_ref().map(adoption),
            since,
            earlier: earlier
                .into_iter()
                .map(|lapse| Lapse {
                    what: PoolVersionRecord {
                        settings: lapse.what.settings.to_document().to_string(),
                        template: lapse.what.template.id,
                        policy: lapse.what.policy.as_ref().map(adoption),
                    },
                    on: lapse.on,
                    off: lapse.off,
                })
                .collect(),
            wish: self.wish.as_ref().map(|wish| WishRecord {
                settings: wish.settings.to_document().to_string(),
                staged: wish.staged.clone(),
                names_below: wish.names_below,
            }),
        }
    }

    /// Returns what is known of the pool from now on.
    fn into_facts(self, revision: u64, now: Timestamp) -> Option<PoolFacts> {
        let (since, earlier) = self.history(now);
        Some(PoolFacts {
            since,
            earlier,
            revision,
            recipe: self.recipe?,
            policy: self.policy,
            wish: self.wish,
            counts: [0; LifecycleState::ALL.len()],
        })
    }
}

impl ZoneDraft {
    /// Returns what is stored of the zone.
    fn record(&self, apex: &Apex, revision: u64, served: &Served) -> OperatorZoneRecord {
        let soa = self
            .records
            .iter()
            .find(|rrset| rrset.rtype == crate::wire::Rtype::SOA && rrset.owner.is_apex());
        let written = soa.and_then(|soa| written_serial(soa, apex));
        OperatorZoneRecord {
            revision: self.revision.unwrap_or(revision),
            records: self.records.to_vec(),
            written_serial: written.unwrap_or(Serial::new(0)),
            zone: zone_fact(served),
        }
    }

    /// Returns what is known of the zone from now on.
    fn into_facts(
        self,
        revision: u64,
        old: Option<Arc<Vec<crate::zone::RelativeRrset>>>,
        prepared: Option<Prepared>,
        publication: &mut Publication,
    ) -> Option<ZoneFacts> {
        let content = match self.inputs.map(|inputs| inputs.material) {
            Some(Material::Operator { content, .. }) => content,
            Some(Material::Domain { .. }) | None => old?,
        };
        let served = match prepared {
            Some(prepared) => {
                publication.images.push(prepared.image);
                prepared.served
            }
            None => self.served?,
        };
        Some(ZoneFacts {
            revision: self.revision.unwrap_or(revision),
            records: self.records,
            content,
            arrival: Arrival::of(&served),
            served,
        })
    }
}

/// From how many on it is looked whether turns of a domain can be forgotten: a plain life has fewer.
const MANY_TURNS: usize = 8;

/// What a pool says of its domains, or will say.
struct PoolSays<'f> {
    /// Its settings.
    settings: &'f PoolSettings,
    /// When its MTA-STS policy was adopted, if it has one.
    policy: Option<&'f Adoption>,
    /// The pool as it is, with its history.
    known: Option<&'f PoolFacts>,
    /// Whether the outside is watched.
    watched: bool,
}

impl DomainDraft {
    /// Returns what is known of the domain from now on.
    fn facts(
        &self,
        revision: u64,
        served: Served,
        now: Timestamp,
        pool: Option<PoolSays<'_>>,
    ) -> DomainFacts {
        let mut life = self.life.clone();
        if let (Some(life), Some(pool)) = (&mut life, pool) {
            let turn = turn_of(self.state, life, pool.settings, pool.policy);
            note_turn(life, self.added, turn, now);
            if life.turns.len() > MANY_TURNS {
                let departures = life.observed.departures;
                let left = |off| match pool.watched {
                    true => departures.left(off),
                    false => Some(off),
                };
                forget_turns(life, pool.longest_horizon(), left, now);
            }
            if self.inputs.is_some() {
                life.content = Some((served.serial, None));
                life.observed.departures.changed(now);
            }
        }
        DomainFacts {
            added: self.added,
            routed: self.routed.unwrap_or(revision),
            life,
            pool: Arc::clone(&self.pool),
            state: self.state,
            fresh: self.fresh,
            since: self.since,
            revision: self.revision.unwrap_or(revision),
            rare: self.rare.clone(),
            served,
        }
    }
}

/// Returns what is stored of a domain.
pub(super) fn domain_record(domain: &DomainFacts) -> DomainRecord {
    let rare = domain.rare.as_deref().cloned().unwrap_or_default();
    DomainRecord {
        pool: domain.pool.to_string(),
        state: domain.state,
        since: domain.since,
        revision: domain.revision,
        fresh: domain.fresh,
        registrar: rare.registrar,
        expires_at: rare.expires_at,
        labels: rare.labels,
        extra: rare.extra,
        zone: zone_fact(&domain.served),
        added: domain.added,
        routed: domain.routed,
        life: domain.life.clone(),
    }
}

/// Returns what is stored of the adoption of a policy.
fn adoption(policy: &Adoption) -> PolicyAdoption {
    PolicyAdoption {
        revision: policy.revision,
        text: policy.text.clone(),
    }
}

impl<'f> PoolSays<'f> {
    /// Returns what a pool says as it is.
    fn now(facts: &'f Facts, pool: &str) -> Option<Self> {
        let pool = facts.pools.get(pool)?;
        Some(Self {
            settings: &pool.recipe.settings,
            policy: pool.policy.as_ref(),
            known: Some(pool),
            watched: facts.judgement.watched,
        })
    }

    /// Returns how long after it went off somebody may hold anything of any version, at most.
    fn longest_horizon(&self) -> Span {
        let known = self.known.map(PoolFacts::longest_horizon);
        longest_horizon(self.settings).max(known.unwrap_or(Span::from_secs(0)))
    }
}

/// Stores what a domain has learnt of the outside.
pub(super) fn put_learnt(
    batch: &mut Batch,
    facts: &Facts,
    apex: &Apex,
    learns: &[(Learnt, Timestamp)],
) {
    if let Some(domain) = facts.domains.get(apex) {
        let domain = learnt(domain, learns);
        batch.put_record(apex.as_wire(), &domain_record(&domain));
    }
}

/// Returns what is stored of which signed zone serves a name.
pub(super) fn zone_fact(served: &Served) -> ZoneFact {
    let ds = served.ds.iter().map(|ds| DsFact {
        key_tag: ds.key_tag,
        algorithm: ds.algorithm,
        digest: ds.digest,
    });
    ZoneFact {
        version: served.version,
        serial: served.serial,
        earliest_expiration: served.earliest_expiration,
        ds: ds.collect(),
    }
}

/// Stores that a name is served by a zone that was signed again.
pub(super) fn put_renewed_fact(batch: &mut Batch, facts: &Facts, prepared: &Prepared) {
    let apex = &prepared.apex;
    if let Some(domain) = facts.domains.get(apex) {
        let mut domain = domain.clone();
        domain.served = prepared.served.clone();
        batch.put_record(apex.as_wire(), &domain_record(&domain));
    } else if let Some(zone) = facts.zones.get(apex) {
        let draft = ZoneDraft::of(zone, 0);
        let record = draft.record(apex, zone.revision, &prepared.served);
        batch.put_record(apex.as_wire(), &record);
    }
}

/// Deletes the signatures and the keys of a zone that is served no more.
fn drop_zone(batch: &mut Batch, apex: &Apex, facts: &Facts) {
    batch.delete(Space::Key, apex.as_wire());
    if let Some(served) = facts.served(apex) {
        let key = record::signed_zone_key(apex, served.version);
        batch.delete(Space::SignedZone, &key);
    }
}

/// Deletes all that is stored of a name.
fn remove(batch: &mut Batch, space: Space, apex: &Apex, facts: &Facts) {
    if let (true, Some(served)) = (facts.keeps_serial(apex), facts.served(apex)) {
        meta::put_gone_zone(batch, apex, served.serial);
    }
    batch.delete(space, apex.as_wire());
    batch.delete(Space::Key, apex.as_wire());
    if let Some(served) = facts.served(apex) {
        let key = record::signed_zone_key(apex, served.version);
        batch.delete(Space::SignedZone, &key);
    }
}
