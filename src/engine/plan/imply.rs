//! What follows from the steps of a change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::draft::{DomainDraft, Draft, PoolDraft, ZoneDraft};
use super::lives::shows_otherwise;
use super::{Context, derive};
use crate::dnssec::SigningPolicy;
use crate::document::Fault;
use crate::engine::Refusal;
use crate::engine::facts::{Adoption, Facts, Recipe, SharedTemplate, ZoneFacts};
use crate::engine::life::shown_id;
use crate::engine::prepare::{Material, ZoneInputs};
use crate::mail::{self, Form, OperatorZone, PolicyForm, PoolFault, PoolSettings};
use crate::store::record::ShownPolicy;
use crate::wire::{Apex, Name, Rtype, Serial};
use crate::zone::RelativeRrset;

impl Draft<'_> {
    /// Adds what follows from the steps: renderings, domains of changed pools, derived records.
    pub(super) fn imply(&mut self, context: &mut Context<'_>) {
        self.render_pools(context);
        self.follow_pools();
        self.make_domains(context);
        let structural = !self.pools.is_empty() || !self.zones.is_empty();
        if structural {
            self.check_objects();
        }
        self.derive_zones(structural, context);
    }

    /// Renders the pools that change.
    fn render_pools(&mut self, context: &mut Context<'_>) {
        let changed: Vec<_> = self
            .pools
            .iter()
            .filter_map(|(name, draft)| Some((Arc::clone(name), draft.clone()?)))
            .collect();
        for (name, mut draft) in changed {
            let at = draft.op;
            match self.render(&name, &mut draft, context) {
                Ok(recipe) => {
                    context.recipes.insert(
                        (Arc::clone(&name), Form::LIVE, live_id(&draft)),
                        Arc::clone(&recipe),
                    );
                    self.warn_of_pool(&name, &recipe);
                    draft.recipe = Some(recipe);
                    self.pools.insert(name, Some(draft));
                }
                Err(faults) => self.refuse(at, Refusal::Invalid(faults)),
            }
        }
    }

    /// Renders one pool, or finds what an earlier plan of the change rendered.
    fn render(
        &self,
        name: &Arc<str>,
        draft: &mut PoolDraft,
        context: &Context<'_>,
    ) -> Result<Arc<Recipe>, Vec<Fault>> {
        // A policy keeps its id for as long as its text stands (RFC 8461, section 3.1).
        let text = mail::policy_text(&draft.settings, PolicyForm::Live);
        let kept = draft.policy.take();
        draft.policy = text.map(|text| match kept {
            Some(kept) if kept.text == text => kept,
            _ => Adoption {
                revision: self.revision,
                text,
            },
        });
        let key = (Arc::clone(name), Form::LIVE, live_id(draft));
        if let Some(made) = context.recipes.get(&key)
            && *made.settings == *draft.settings
        {
            return Ok(Arc::clone(made));
        }
        let signing = draft.settings.signing();
        let signing = SigningPolicy::new(
            signing.algorithm,
            signing.dnskey_ttl(),
            signing.lifetime,
            signing.refresh,
        );
        let id = draft.policy.as_ref().map(Adoption::id);
        let template = mail::render(&draft.settings, Form::LIVE, id.as_deref());
        match (template, signing) {
            (Ok(template), Ok(signing)) => Ok(Arc::new(Recipe {
                settings: Arc::clone(&draft.settings),
                template: SharedTemplate::new(template),
                signing,
            })),
            (template, signing) => {
                let mut faults = template.err().unwrap_or_default();
                let signing = signing.err().unwrap_or_default().into_iter();
                faults.extend(signing.map(|error| Fault::new("/dnssec", error.to_string())));
                Err(faults)
            }
        }
    }

    /// Warns of what works in a pool but should be thought over.
    fn warn_of_pool(&mut self, name: &str, recipe: &Recipe) {
        for fault in recipe.settings.warnings(self.now) {
            self.warn(format!("the pool {name}: {fault}"));
        }
        let soa = recipe.settings.soa(Serial::new(0));
        let rdata = soa.rdatas.first();
        let rdata = rdata.and_then(|rdata| rdata.under(Rtype::SOA, &Name::root()).ok());
        let numbers = rdata.and_then(|rdata| rdata.soa_numbers());
        for warning in numbers.map_or_else(Vec::new, |it| recipe.signing.warnings(it.expire)) {
            self.warn(format!("the pool {name}: /dnssec: {warning}"));
        }
    }

    /// Takes in the domains of pools whose zones are made from something else now.
    fn follow_pools(&mut self) {
        let facts: &Facts = self.facts;
        // Most changes are about a few domains, and must not cost a look at all of them.
        let changed: BTreeMap<Arc<str>, (usize, Arc<Recipe>, bool)> = self
            .pools
            .iter()
            .filter_map(|(name, draft)| {
                let draft = draft.as_ref()?;
                let recipe = draft.recipe.as_ref()?;
                let old = &facts.pools.get(name)?.recipe;
                let same = old.makes_the_same(recipe);
                Some((Arc::clone(name), (draft.op, Arc::clone(recipe), same)))
            })
            .collect();
        if changed.is_empty() {
            return;
        }
        let announced = self.announced();
        for (name, domain) in &facts.domains {
            let Some((at, recipe, same)) = changed.get(&domain.pool) else {
                continue;
            };
            if let Some(clash) = clash(recipe, domain.extra()) {
                let name = name.to_api_text();
                let why = format!("{name} has {clash}");
                self.refuse(*at, Refusal::Conflict(why));
            } else if !same && !self.domains.contains_key(name) {
                let draft = DomainDraft::of(domain, *at);
                self.domains.insert(name.clone(), Some(draft));
            }
            let announced = announced.get(&domain.pool);
            if let (Some(old), Some(Some(draft))) = (announced, self.domains.get_mut(name)) {
                draft.announce_still(old);
            }
        }
    }

    /// Returns what domains announce of the pools whose policy says something else now.
    fn announced(&self) -> BTreeMap<Arc<str>, ShownPolicy> {
        let drafts = self.pools.iter();
        let drafts = drafts.filter_map(|(name, draft)| Some((name, draft.as_ref()?)));
        let changed = drafts.filter_map(|(name, draft)| {
            let old = draft.old.as_ref()?;
            let (before, after) = (old.policy.as_ref()?, draft.policy.as_ref()?);
            let policy = old.recipe.settings.mta_sts()?;
            let shown = ShownPolicy::Own {
                id: before.id(),
                acts: policy.acts(),
                max_age: policy.max_age,
            };
            (before.text != after.text).then(|| (Arc::clone(name), shown))
        });
        changed.collect()
    }

    /// Says what each domain that changes is made from.
    fn make_domains(&mut self, context: &mut Context<'_>) {
        let mut clashes = Vec::new();
        let made: Vec<Option<ZoneInputs>> = self
            .domains
            .iter()
            .map(|(name, draft)| {
                let draft = draft.as_ref()?;
                let live = self.recipe(&draft.pool)?;
                if draft.is_dropped() || !self.is_made_anew(name, draft, live) {
                    return None;
                }
                let recipe = match self.recipe_in_form(draft, live, context) {
                    Ok(recipe) => recipe,
                    Err(faults) => {
                        clashes.push((draft.op, Refusal::Invalid(faults)));
                        return None;
                    }
                };
                let form = draft.life.as_ref().map_or(Form::LIVE, |life| life.form);
                let extra = draft.extra().iter();
                let extra = extra.filter(|own| !mail::gives_way(form, &own.owner, own.rtype));
                let extra: Vec<RelativeRrset> = extra.cloned().collect();
                if let Some(clash) = clash(&recipe, &extra) {
                    let why = format!("{} has {clash}", name.to_api_text());
                    clashes.push((draft.op, Refusal::Conflict(why)));
                }
                Some(ZoneInputs {
                    base: draft.served.as_ref().map(|served| served.version),
                    material: Material::Domain { recipe, extra },
                })
            })
            .collect();
        for (at, refusal) in clashes {
            self.refuse(at, refusal);
        }
        for (draft, inputs) in self.domains.values_mut().zip(made) {
            if let (Some(draft), Some(inputs)) = (draft, inputs) {
                draft.inputs = Some(inputs);
            }
        }
    }

    /// Returns whether a domain's zone will be made from something else than now.
    fn is_made_anew(&self, name: &Apex, draft: &DomainDraft, recipe: &Recipe) -> bool {
        self.facts.domains.get(name).is_none_or(|domain| {
            let old = self.facts.pools.get(&domain.pool);
            let Some(old) = old else {
                return true;
            };
            let same = old.recipe.makes_the_same(recipe);
            let policy = match self.pools.get(&draft.pool) {
                Some(pool) => pool.as_ref().and_then(|pool| pool.policy.as_ref()),
                None => old.policy.as_ref(),
            };
            let new = (draft, &*recipe.settings, policy);
            !same || domain.extra() != draft.extra() || shows_otherwise((domain, old), new)
        })
    }

    /// Returns what a domain's zone is made from in the form that it has; `live` is its pool's own.
    fn recipe_in_form(
        &self,
        draft: &DomainDraft,
        live: &Arc<Recipe>,
        context: &mut Context<'_>,
    ) -> Result<Arc<Recipe>, Vec<Fault>> {
        let Some(life) = &draft.life else {
            return Ok(Arc::clone(live));
        };
        if life.form == Form::LIVE && life.policy == ShownPolicy::Pool {
            return Ok(Arc::clone(live));
        }
        let policy = match self.pools.get(&draft.pool) {
            Some(pool) => pool.as_ref().and_then(|pool| pool.policy.as_ref()),
            None => {
                let pool = self.facts.pools.get(&draft.pool);
                pool.and_then(|pool| pool.policy.as_ref())
            }
        };
        let (id, _) = shown_id(&life.policy, &live.settings, policy);
        let key = (Arc::clone(&draft.pool), life.form, id);
        if let Some(made) = context.recipes.get(&key)
            && *made.settings == *live.settings
        {
            return Ok(Arc::clone(made));
        }
        let template = mail::render(&live.settings, life.form, key.2.as_deref())?;
        let recipe = Arc::new(Recipe {
            settings: Arc::clone(&live.settings),
            template: SharedTemplate::new(template),
            signing: live.signing.clone(),
        });
        context.recipes.insert(key, Arc::clone(&recipe));
        Ok(recipe)
    }

    /// Refuses what breaks mail between pools, zones and domains.
    fn check_objects(&mut self) {
        let zones: Vec<(&Apex, &[RelativeRrset])> = self.all_records();
        let zones: Vec<OperatorZone<'_>> = zones
            .into_iter()
            .map(|(apex, rrsets)| OperatorZone { apex, rrsets })
            .collect();
        let pools = self.all_settings().into_iter();
        // A zone that changes may have lost the key of any pool.
        let changed =
            pools.filter(|(name, _)| !self.zones.is_empty() || self.pools.contains_key(*name));
        let keyless: Vec<String> = changed
            .flat_map(|(name, settings)| {
                let missing = mail::missing_keys(settings, &zones, self).into_iter();
                missing.map(move |fault| format!("the pool {name}: {fault}"))
            })
            .collect();
        let mut refusals = self.moved_hosts();
        let mut faults = mail::check_pools(&self.all_settings(), &zones, self);
        if faults.is_empty() {
            // What was wished for must go together, too, or it could never come into effect.
            let mut wished = self.all_settings();
            for (pool, settings) in self.wishes() {
                wished.retain(|(name, _)| *name != pool);
                wished.push((pool, settings));
            }
            faults = mail::check_pools(&wished, &zones, self);
        }
        for PoolFault { pool, fault } in faults {
            let draft = self.pools.get(pool.as_str()).and_then(Option::as_ref);
            match draft {
                Some(draft) => refusals.push((draft.op, Refusal::Invalid(vec![fault]))),
                // It does not change itself: what changes beside it is at fault.
                None => {
                    let why = format!("the pool {pool}: {fault}");
                    refusals.push((self.first_step(), Refusal::Conflict(why)));
                }
            }
        }
        for (apex, fault) in mail::check_exchanges(&self.all_settings(), &zones, self) {
            match self.zones.get(apex).and_then(Option::as_ref) {
                Some(draft) => refusals.push((draft.op, Refusal::Invalid(vec![fault]))),
                None => {
                    let why = format!("the zone {}: {fault}", apex.to_api_text());
                    refusals.push((self.first_step(), Refusal::Conflict(why)));
                }
            }
        }
        for zone in &zones {
            let Some(Some(draft)) = self.zones.get(zone.apex) else {
                continue;
            };
            let mut faults = mail::check_zone(*zone);
            faults.extend(long_lived(zone.rrsets, &SigningPolicy::default()));
            if !faults.is_empty() {
                refusals.push((draft.op, Refusal::Invalid(faults)));
            }
        }
        for (at, refusal) in refusals {
            self.refuse(at, refusal);
        }
        for warning in keyless {
            self.warn(warning);
        }
    }

    /// Refuses that a shared host in use moves through a pool without domains: a host is in use when
    /// any pool that names it has domains.
    fn moved_hosts(&self) -> Vec<(usize, Refusal)> {
        let facts = self.facts.pools.iter();
        let before = facts.clone();
        let before = before.map(|(name, pool)| (&**name, &*pool.recipe.settings));
        let before: Vec<(&str, &PoolSettings)> = before.collect();
        let in_use: Vec<(&str, &PoolSettings)> = facts
            .filter(|(_, pool)| pool.counts.iter().any(|count| *count > 0))
            .map(|(name, pool)| (&**name, &*pool.recipe.settings))
            .collect();
        let names = |settings: &PoolSettings, host: &Name| {
            let mut hosts = settings.mail_hosts().iter();
            hosts.any(|other| other.name.as_shared() == Some(host))
        };
        let mut refusals = Vec::new();
        for (host, what) in mail::moved_hosts(&before, &self.all_settings()) {
            // What is a spare alone was never in an MX: it may be taken back.
            let takes_mail = |settings: &PoolSettings| {
                let mut hosts = settings.mail_hosts().iter();
                hosts.any(|other| other.name.as_shared() == Some(host) && !other.spare)
            };
            let Some((user, _)) = in_use.iter().find(|(_, settings)| takes_mail(settings)) else {
                continue;
            };
            let drafts = self.pools.iter().filter(|(name, _)| {
                let old = self.facts.pools.get(*name);
                old.is_some_and(|old| names(&old.recipe.settings, host))
            });
            let drafts: Vec<_> = drafts.collect();
            // A pool with domains that moves the host itself was told already.
            let told = drafts.iter().any(|(name, draft)| {
                let user = in_use.iter().find(|(user, _)| name.as_ref() == *user);
                let (Some(user), Some(draft)) = (user, draft) else {
                    return false;
                };
                let itself = mail::moved_hosts(&[*user], &[(user.0, &*draft.settings)]);
                itself.iter().any(|(moved, _)| *moved == host)
            });
            if told {
                continue;
            }
            let at = drafts
                .iter()
                .find_map(|(_, draft)| Some(draft.as_ref()?.op));
            let why = format!(
                "the mail host {} {what}, and the pool {user}, which names it, has domains; \
                 nothing here walks that wait: give the host another name in a second pool",
                host.to_api_text()
            );
            refusals.push((
                at.unwrap_or_else(|| self.first_step()),
                Refusal::Conflict(why),
            ));
        }
        refusals
    }

    /// Returns the first step that changes a pool, a zone or a domain.
    fn first_step(&self) -> usize {
        let pools = self.pools.values().flatten().map(|draft| draft.op);
        let zones = self.zones.values().flatten().map(|draft| draft.op);
        let domains = self.domains.values().flatten().map(|draft| draft.op);
        pools.chain(zones).chain(domains).min().unwrap_or(0)
    }

    /// Says what each of the operator's zones is made from whose derived records change.
    fn derive_zones(&mut self, structural: bool, context: &Context<'_>) {
        let concerned: BTreeSet<Apex> = if structural {
            self.zone_names().into_iter().collect()
        } else {
            let touched = self.domains.keys();
            touched.filter_map(|name| self.zone_above(name)).collect()
        };
        // A zone comes behind those above it, which are given its keys.
        for apex in concerned.into_iter().rev() {
            let at = self.step_for_zone(&apex);
            match derive::content(self, &apex, context) {
                Ok(derive::Content::Whole(content)) => self.make_zone(&apex, at, content),
                Ok(derive::Content::WaitsForKeys) => self.waits_for_keys = true,
                Err(refusals) => {
                    for refusal in refusals {
                        self.refuse(at, refusal);
                    }
                }
            }
        }
    }

    /// Says what one of the operator's zones is made from, if that changes.
    fn make_zone(&mut self, apex: &Apex, at: usize, content: Vec<RelativeRrset>) {
        let existing = self.facts.zones.get(apex);
        let records = match self.zones.get(apex) {
            Some(Some(draft)) => Arc::clone(&draft.records),
            _ => match existing {
                Some(zone) => Arc::clone(&zone.records),
                None => return,
            },
        };
        let same_soa = existing.is_some_and(|zone| soa(&zone.records) == soa(&records));
        if same_soa && existing.is_some_and(|zone: &ZoneFacts| *zone.content == content) {
            return;
        }
        let Some(soa) = soa(&records).cloned() else {
            let why = "expected a SOA record at the apex, found none".to_owned();
            return self.refuse(at, Refusal::Conflict(why));
        };
        let inputs = ZoneInputs {
            base: existing.map(|zone| zone.served.version),
            material: Material::Operator {
                soa,
                content: Arc::new(content),
            },
        };
        match self.zones.get_mut(apex) {
            Some(Some(draft)) => draft.inputs = Some(inputs),
            _ => {
                if let Some(zone) = existing {
                    let mut draft = ZoneDraft::of(zone, at);
                    draft.inputs = Some(inputs);
                    self.zones.insert(apex.clone(), Some(draft));
                }
            }
        }
    }

    /// Returns the step to which trouble with a zone's derived records is told.
    fn step_for_zone(&self, apex: &Apex) -> usize {
        let itself = self.zones.get(apex).and_then(Option::as_ref);
        itself.map_or_else(|| self.first_step(), |draft| draft.op)
    }
}

/// Returns the id of the policy that a pool's live domains announce.
fn live_id(draft: &PoolDraft) -> Option<String> {
    draft.policy.as_ref().map(Adoption::id)
}

/// Returns the SOA RRset among an operator's records.
fn soa(records: &[RelativeRrset]) -> Option<&RelativeRrset> {
    let mut records = records.iter();
    records.find(|rrset| rrset.rtype == Rtype::SOA && rrset.owner.is_apex())
}

/// Names the RRsets that would outlive their signatures in caches (K9).
pub(super) fn long_lived(rrsets: &[RelativeRrset], signing: &SigningPolicy) -> Vec<Fault> {
    let faults = rrsets.iter().filter_map(|rrset| {
        let error = signing.check_ttl(rrset.ttl).err()?;
        let detail = format!("{} {}: {error}", rrset.owner, rrset.rtype);
        Some(Fault::new("/records", detail))
    });
    faults.collect()
}

/// Says which RRset of a domain's own cannot stand beside those of its pool, and why.
fn clash(recipe: &Recipe, extra: &[RelativeRrset]) -> Option<String> {
    let rendered = recipe.template.template.rrsets();
    extra.iter().find_map(|own| {
        let RelativeRrset { owner, rtype, .. } = own;
        let why = mail::clash_with_pool(&recipe.settings, rendered, owner, *rtype);
        let why = why.or_else(|| Some(recipe.signing.check_ttl(own.ttl).err()?.to_string()));
        Some(format!("{owner} {rtype} of its own: {}", why?))
    })
}
