//! Facts as they will be.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::Planned;
use crate::clock::Timestamp;
use crate::engine::facts::{
    Adoption, DomainFacts, Facts, PoolFacts, Rare, Recipe, Served, Wish, ZoneFacts, ancestors,
};
use crate::engine::life::Life;
use crate::engine::prepare::ZoneInputs;
use crate::engine::references::{Left, Referrer};
use crate::engine::scheduled::Notes;
use crate::engine::{Change, Effect, IfMatch, OpError, Plan, Refusal, Rotation};
use crate::lifecycle::LifecycleState;
use crate::mail::{self, Holder, Hosted, PoolSettings};
use crate::store::record::HostRecord;
use crate::wire::{Apex, Name};
use crate::zone::RelativeRrset;

/// Facts as they will be: what a change touches, laid over what is true now.
#[derive(Debug)]
pub(in crate::engine) struct Draft<'f> {
    /// What is true now.
    pub(super) facts: &'f Facts,
    /// The moment.
    pub(super) now: Timestamp,
    /// The revision that is being planned for.
    pub(super) revision: u64,
    /// The pools that change.
    pub(super) pools: BTreeMap<Arc<str>, Option<PoolDraft>>,
    /// The operator's zones that change.
    pub(super) zones: BTreeMap<Apex, Option<ZoneDraft>>,
    /// The domains that change.
    pub(super) domains: BTreeMap<Apex, Option<DomainDraft>>,
    /// The mail hosts of which something is said.
    pub(super) hosts: BTreeMap<String, HostRecord>,
    /// What it says of changes.
    pub(super) notes: Notes,
    /// Who will refer to hosts, and who has ceased to; found once for all steps behind the last one that
    /// changes a pool or a zone.
    pub(super) references: OnceCell<(BTreeMap<Name, Referrer>, Left)>,
    /// What is told of the change.
    plan: Plan,
    /// What else than the number of domains asks for a word of the caller.
    pub(super) because: Vec<String>,
    /// How many domains existed already and are touched.
    pub(super) touched: u64,
    /// Every refusal so far.
    refusals: Vec<OpError>,
    /// Whether derived records wait for keys that are not made yet.
    pub(super) waits_for_keys: bool,
}

/// A pool as it will be.
#[derive(Clone, Debug)]
pub(in crate::engine) struct PoolDraft {
    /// The step that changed it.
    pub(in crate::engine) op: usize,
    /// Its settings.
    pub(in crate::engine) settings: Arc<PoolSettings>,
    /// What was rendered out of them; made when all steps are taken.
    pub(in crate::engine) recipe: Option<Arc<Recipe>>,
    /// When its MTA-STS policy was adopted, if it has one.
    pub(in crate::engine) policy: Option<Adoption>,
    /// What it is to be, if not all of that is in effect.
    pub(in crate::engine) wish: Option<Arc<Wish>>,
    /// The pool as it is.
    pub(in crate::engine) old: Option<PoolFacts>,
}

/// One of the operator's zones as it will be.
#[derive(Clone, Debug)]
pub(in crate::engine) struct ZoneDraft {
    /// The step that changed it.
    pub(in crate::engine) op: usize,
    /// The revision of its records; `None` for that of this change.
    pub(in crate::engine) revision: Option<u64>,
    /// The operator's RRsets, the SOA as written.
    pub(in crate::engine) records: Arc<Vec<RelativeRrset>>,
    /// The zone as served now, if it is.
    pub(in crate::engine) served: Option<Served>,
    /// What the zone is made from, if it must be made anew.
    pub(in crate::engine) inputs: Option<ZoneInputs>,
}

/// A domain as it will be.
#[derive(Clone, Debug)]
pub(in crate::engine) struct DomainDraft {
    /// The step that changed it.
    pub(in crate::engine) op: usize,
    /// The pool it belongs to.
    pub(in crate::engine) pool: Arc<str>,
    /// Where it stands in its life.
    pub(in crate::engine) state: LifecycleState,
    /// Whether it was never delegated before it was added.
    pub(in crate::engine) fresh: bool,
    /// Since when it stands there.
    pub(in crate::engine) since: Timestamp,
    /// The revision of what is said about it; `None` for that of this change.
    pub(in crate::engine) revision: Option<u64>,
    /// What few domains have.
    pub(in crate::engine) rare: Option<Box<Rare>>,
    /// The zone as served now, if it is.
    pub(in crate::engine) served: Option<Served>,
    /// What the zone is made from, if it must be made anew.
    pub(in crate::engine) inputs: Option<ZoneInputs>,
    /// When it was added.
    pub(in crate::engine) added: Timestamp,
    /// The revision at which its routing changed last; `None` for that of this change.
    pub(in crate::engine) routed: Option<u64>,
    /// What a plain domain does not have.
    pub(in crate::engine) life: Option<Box<Life>>,
}

impl<'f> Draft<'f> {
    /// Starts a draft that changes nothing.
    pub(super) fn new(facts: &'f Facts, now: Timestamp, revision: u64) -> Self {
        Self {
            facts,
            now,
            revision,
            pools: BTreeMap::new(),
            zones: BTreeMap::new(),
            domains: BTreeMap::new(),
            hosts: BTreeMap::new(),
            notes: Notes::default(),
            references: OnceCell::new(),
            plan: Plan::default(),
            because: Vec::new(),
            touched: 0,
            refusals: Vec::new(),
            waits_for_keys: false,
        }
    }

    /// Notes that a step is refused.
    pub(super) fn refuse(&mut self, op: usize, refusal: Refusal) {
        self.refusals.push(OpError { op, refusal });
    }

    /// Notes what a step does.
    pub(super) fn effect(&mut self, op: usize, kind: &'static str, subject: String, what: String) {
        self.effect_because(op, kind, subject, what, Vec::new());
    }

    /// Notes what a step does, and which rules and facts allow it.
    pub(super) fn effect_because(
        &mut self,
        op: usize,
        kind: &'static str,
        subject: String,
        what: String,
        because: Vec<String>,
    ) {
        self.plan.effects.push(Effect {
            op,
            kind,
            subject,
            what,
            because,
        });
    }

    /// Notes what a rotation does.
    pub(super) fn set_rotation(&mut self, rotation: Rotation) {
        self.plan.rotation = Some(rotation);
    }

    /// Notes a word of warning.
    pub(super) fn warn(&mut self, warning: String) {
        if !self.plan.warnings.contains(&warning) {
            self.plan.warnings.push(warning);
        }
    }

    /// Refuses what touches more than is done without a word (`expect_domains`).
    pub(super) fn expect(&mut self, change: &Change) {
        let existing = self.facts.domains.len() as u64;
        let (mut touched, mut created) = (0, 0);
        for (name, draft) in &self.domains {
            if self.facts.domains.contains_key(name) {
                touched += 1;
            } else {
                created += u64::from(draft.is_some());
            }
        }
        self.touched = touched;
        self.plan.created_domains = created;
        let bound = self.touched.max(self.bound_by_settings());
        let bound = bound.max(self.served_by_changed_hosts());
        self.plan.existing_domains = bound;

        // max(100, 5 %) is what one call may touch by mistake without much harm.
        let large = bound > 100.max(existing / 20);
        let because = (!self.because.is_empty()).then(|| self.because.join("; "));
        let needed = large || because.is_some() && bound > 0;
        if change.is_act() {
            return;
        }
        if change.dry_run {
            if needed {
                self.warn(format!("needs expect_domains={bound}"));
            }
            return;
        }
        // Made again after its answer was lost, or by hand before its moment, it changes nothing.
        let nothing = self.domains.is_empty() && self.pools.is_empty() && self.zones.is_empty();
        let said = change.expect_domains.filter(|_| !nothing);
        if said.is_some_and(|said| said != bound) || needed && said.is_none() {
            let refusal = Refusal::ExpectDomains {
                touched: bound,
                because,
            };
            self.refuse(0, refusal);
        }
    }

    /// Returns how many domains the settings bind whose change needs a word.
    fn bound_by_settings(&self) -> u64 {
        if self.because.is_empty() {
            return 0;
        }
        let changed = self.pools.keys();
        let counts = changed.filter_map(|name| self.facts.pools.get(name));
        counts.flat_map(|pool| pool.counts).sum()
    }

    /// Returns how many domains the shared hosts take mail for that change: their zones may stay as
    /// they are, their mail follows.
    fn served_by_changed_hosts(&self) -> u64 {
        if self.pools.is_empty() {
            return 0;
        }
        let before = self.facts.pools.iter();
        let before = before.map(|(name, pool)| (&**name, &*pool.recipe.settings));
        let before: Vec<(&str, &PoolSettings)> = before.collect();
        let changed = mail::changed_hosts(&before, &self.all_settings());
        if changed.is_empty() {
            return 0;
        }
        let names = |settings: &PoolSettings| {
            let mut hosts = settings.mail_hosts().iter();
            hosts.any(|host| host.name.as_shared().is_some_and(|it| changed.contains(it)))
        };
        let pools = self.facts.pools.values();
        let served = pools.filter(|pool| names(&pool.recipe.settings));
        served.flat_map(|pool| pool.counts).sum()
    }

    /// Returns the plan, or every refusal.
    pub(super) fn finish(self) -> Result<Planned, Vec<OpError>> {
        if !self.refusals.is_empty() {
            let mut refusals = self.refusals;
            refusals.sort_by_key(|refusal| refusal.op);
            return Err(refusals);
        }
        let structural = !self.pools.is_empty() || !self.zones.is_empty();
        let left = structural.then(|| self.left_references(&self.referenced()));
        Ok(Planned {
            structural,
            left_references: left.filter(|left| *left != self.facts.left_references),
            plan: self.plan,
            pools: self.pools,
            zones: self.zones,
            domains: self.domains,
            hosts: self.hosts,
            notes: self.notes,
            waits_for_keys: self.waits_for_keys,
        })
    }

    /// Returns the settings of a pool as it will be.
    pub(super) fn settings(&self, pool: &str) -> Option<&Arc<PoolSettings>> {
        match self.pools.get(pool) {
            Some(draft) => draft.as_ref().map(|draft| &draft.settings),
            None => {
                let pool = self.facts.pools.get(pool);
                pool.map(|pool| &pool.recipe.settings)
            }
        }
    }

    /// Returns the settings that were wished for, of the pools of which something else is in effect.
    pub(super) fn wishes(&self) -> Vec<(&str, &PoolSettings)> {
        let drafted = self.pools.iter();
        let drafted =
            drafted.filter_map(|(name, draft)| Some((&**name, draft.as_ref()?.wish.as_ref()?)));
        let kept = self.facts.pools.iter();
        let kept = kept.filter(|(name, _)| !self.pools.contains_key(*name));
        let kept = kept.filter_map(|(name, pool)| Some((&**name, pool.wish.as_ref()?)));
        let wishes = drafted.chain(kept);
        wishes.map(|(name, wish)| (name, &*wish.settings)).collect()
    }

    /// Returns what zones of a pool will be made from; known when all steps are taken.
    pub(super) fn recipe(&self, pool: &str) -> Option<&Arc<Recipe>> {
        match self.pools.get(pool) {
            Some(draft) => draft.as_ref()?.recipe.as_ref(),
            None => self.facts.pools.get(pool).map(|pool| &pool.recipe),
        }
    }

    /// Returns the settings of all pools as they will be, by name.
    pub(super) fn all_settings(&self) -> Vec<(&str, &PoolSettings)> {
        let kept = self.facts.pools.iter();
        let kept = kept.filter(|(name, _)| !self.pools.contains_key(*name));
        let kept = kept.map(|(name, pool)| (&**name, &*pool.recipe.settings));
        let drafted = self.pools.iter();
        let drafted =
            drafted.filter_map(|(name, draft)| Some((&**name, &*draft.as_ref()?.settings)));
        kept.chain(drafted).collect()
    }

    /// Returns the names of all pools as they will be.
    pub(super) fn pool_names(&self) -> Vec<Arc<str>> {
        let kept = self.facts.pools.keys();
        let kept = kept.filter(|name| !self.pools.contains_key(*name));
        let drafted = self.pools.iter();
        let drafted = drafted.filter_map(|(name, draft)| draft.as_ref().map(|_| name));
        let mut names: Vec<_> = kept.chain(drafted).cloned().collect();
        names.sort_unstable();
        names
    }

    /// Returns the names of the operator's zones as they will be.
    pub(super) fn zone_names(&self) -> Vec<Apex> {
        let kept = self.facts.zones.keys();
        let kept = kept.filter(|apex| !self.zones.contains_key(*apex));
        let drafted = self.zones.iter();
        let drafted = drafted.filter_map(|(apex, draft)| draft.as_ref().map(|_| apex));
        kept.chain(drafted).cloned().collect()
    }

    /// Returns the operator's records of all zones as they will be.
    pub(super) fn all_records(&self) -> Vec<(&Apex, &[RelativeRrset])> {
        let kept = self.facts.zones.iter();
        let kept = kept.filter(|(apex, _)| !self.zones.contains_key(*apex));
        let kept = kept.map(|(apex, zone)| (apex, zone.records.as_slice()));
        let drafted = self.zones.iter();
        let drafted =
            drafted.filter_map(|(apex, draft)| Some((apex, draft.as_ref()?.records.as_slice())));
        kept.chain(drafted).collect()
    }

    /// Returns whether one of the operator's zones will have this name.
    pub(super) fn has_zone(&self, apex: &Apex) -> bool {
        match self.zones.get(apex) {
            Some(draft) => draft.is_some(),
            None => self.facts.zones.contains_key(apex),
        }
    }

    /// Returns the pool of the domain that will have this name.
    pub(super) fn pool_of(&self, name: &Apex) -> Option<&Arc<str>> {
        match self.domains.get(name) {
            Some(draft) => draft.as_ref().map(|draft| &draft.pool),
            None => self.facts.domains.get(name).map(|domain| &domain.pool),
        }
    }

    /// Returns the closest of the operator's zones above a name.
    pub(super) fn zone_above(&self, name: &Name) -> Option<Apex> {
        ancestors(name).find(|above| self.has_zone(above))
    }

    /// Returns the closest domain above a name.
    pub(super) fn domain_above(&self, name: &Name) -> Option<Apex> {
        ancestors(name).find(|above| self.pool_of(above).is_some())
    }

    /// Returns the domains that will lie below a name, in canonical order.
    pub(super) fn domains_below<'d>(&'d self, name: &'d Apex) -> impl Iterator<Item = &'d Apex> {
        let kept = below(&self.facts.domains, name);
        let kept = kept.filter(|(name, _)| !self.domains.contains_key(*name));
        let drafted = below(&self.domains, name).filter(|(_, draft)| draft.is_some());
        kept.map(|(name, _)| name)
            .chain(drafted.map(|(name, _)| name))
    }

    /// Returns one of the operator's zones that will lie below a name.
    pub(super) fn zone_below<'d>(&'d self, name: &'d Apex) -> Option<&'d Apex> {
        let kept = below(&self.facts.zones, name);
        let mut kept = kept.filter(|(apex, _)| !self.zones.contains_key(*apex));
        let mut drafted = below(&self.zones, name).filter(|(_, draft)| draft.is_some());
        let kept = kept.next().map(|(apex, _)| apex);
        kept.or_else(|| drafted.next().map(|(apex, _)| apex))
    }

    /// Returns a domain as it will be, to change it; refuses one that will not be there.
    pub(super) fn edit_domain(&self, name: &Apex, op: usize) -> Result<DomainDraft, Refusal> {
        let draft = match self.domains.get(name) {
            Some(draft) => draft.clone(),
            None => {
                let domain = self.facts.domains.get(name);
                domain.map(|domain| DomainDraft::of(domain, op))
            }
        };
        draft.ok_or_else(|| Refusal::NotFound {
            kind: "domain",
            name: name.to_api_text(),
        })
    }
}

impl Hosted for Draft<'_> {
    fn holder(&self, name: &Name) -> Option<Holder> {
        let apex = Apex::new(name.clone()).ok()?;
        if self.has_zone(&apex) {
            return Some(Holder::Zone);
        }
        let pool = self.pool_of(&apex)?.to_string();
        Some(Holder::Domain { pool })
    }
}

impl DomainDraft {
    /// Returns a domain as it is.
    pub(super) fn of(domain: &DomainFacts, op: usize) -> Self {
        Self {
            op,
            pool: Arc::clone(&domain.pool),
            state: domain.state,
            fresh: domain.fresh,
            since: domain.since,
            revision: Some(domain.revision),
            rare: domain.rare.clone(),
            served: Some(domain.served.clone()),
            inputs: None,
            added: domain.added,
            routed: Some(domain.routed),
            life: domain.life.clone(),
        }
    }

    /// Returns whether its zone will be served no more.
    pub(in crate::engine) fn is_dropped(&self) -> bool {
        self.life
            .as_ref()
            .is_some_and(|life| life.dropped.is_some())
    }

    /// Returns the RRsets that the operator gave this domain alone.
    pub(super) fn extra(&self) -> &[RelativeRrset] {
        self.rare.as_ref().map_or(&[], |rare| &rare.extra)
    }
}

impl ZoneDraft {
    /// Returns one of the operator's zones as it is.
    pub(in crate::engine) fn of(zone: &ZoneFacts, op: usize) -> Self {
        Self {
            op,
            revision: Some(zone.revision),
            records: Arc::clone(&zone.records),
            served: Some(zone.served.clone()),
            inputs: None,
        }
    }
}

impl PoolDraft {
    /// Returns the settings that were wished for last.
    pub(in crate::engine) fn wished(&self) -> &Arc<PoolSettings> {
        let wish = self.wish.as_ref().map(|wish| &wish.settings);
        wish.unwrap_or(&self.settings)
    }

    /// Returns a pool with new settings; its policy stays until it is seen whether it changes.
    pub(super) fn new(op: usize, settings: Arc<PoolSettings>, old: Option<&PoolFacts>) -> Self {
        Self {
            op,
            settings,
            recipe: None,
            policy: old.and_then(|old| old.policy.clone()),
            wish: old.and_then(|old| old.wish.clone()),
            old: old.cloned(),
        }
    }
}

/// Returns what lies below a name, in canonical order: right behind it.
pub(super) fn below<'m, V>(
    map: &'m BTreeMap<Apex, V>,
    name: &'m Apex,
) -> impl Iterator<Item = (&'m Apex, &'m V)> {
    map.range((Bound::Excluded(name), Bound::Unbounded))
        .take_while(|(other, _)| other.is_below(name))
}

/// Checks an `If-Match` against the revision that a resource has now.
pub(super) fn check_match(
    if_match: Option<IfMatch>,
    name: impl FnOnce() -> String,
    revision: Option<u64>,
) -> Result<(), Refusal> {
    let holds = match if_match {
        None => true,
        Some(IfMatch::Any) => revision.is_some(),
        Some(IfMatch::Revision(wanted)) => revision == Some(wanted),
        Some(IfMatch::Never) => false,
    };
    if holds {
        return Ok(());
    }
    let found = revision.map_or_else(
        || "that it does not exist".to_owned(),
        |revision| format!("revision {revision}"),
    );
    Err(Refusal::PreconditionFailed {
        name: name(),
        found,
    })
}
