//! Steps that remove a domain, a zone or a pool.

use std::sync::Arc;

use super::draft::{Draft, check_match};
use crate::engine::{IfMatch, Refusal};
use crate::lifecycle::{self, Force};
use crate::mail::Target;
use crate::wire::{Apex, Name};

impl Draft<'_> {
    /// Removes a domain, its zone and its keys.
    pub(super) fn delete_domain(
        &mut self,
        at: usize,
        name: &Apex,
        force: bool,
        if_match: Option<IfMatch>,
    ) -> Result<(), Refusal> {
        self.check_domain_match(name, if_match)?;
        let draft = self.edit_domain(name, at)?;
        let text = name.to_api_text();
        let force = if force { Force::Yes } else { Force::No };
        let circumstances = self.circumstances(name, &draft)?;
        let book = &self.facts.judgement.book;
        let situation = circumstances.situation();
        if let Err(wait) = lifecycle::deletion(&situation, force, self.now, book) {
            return Err(Refusal::TooEarly {
                not_before: wait.not_before,
                waiting_for: vec![wait],
            });
        }
        if let Some(user) = self.pool_with_host_in(name) {
            return Err(Refusal::Conflict(format!(
                "the pool {user} has a mail host or name server in {text} (L14)"
            )));
        }
        self.domains.insert(name.clone(), None);
        if !self.facts.domains.contains_key(name) {
            self.domains.remove(name);
        }
        let what = "its zone and keys go".to_owned();
        self.effect(at, "delete_domain", text, what);
        Ok(())
    }

    /// Removes one of the operator's zones.
    pub(super) fn delete_zone(
        &mut self,
        at: usize,
        apex: &Apex,
        if_match: Option<IfMatch>,
    ) -> Result<(), Refusal> {
        let text = apex.to_api_text();
        let revision = self.facts.zones.get(apex).map(|zone| zone.revision);
        check_match(if_match, || format!("the zone {text}"), revision)?;
        if !self.has_zone(apex) {
            return Err(Refusal::NotFound {
                kind: "zone",
                name: text,
            });
        }
        let child = self.domains_below(apex).next();
        if let Some(child) = child.or_else(|| self.zone_below(apex)) {
            let child = child.to_api_text();
            return Err(Refusal::Conflict(format!(
                "the zone {text} delegates to {child}, which is served here"
            )));
        }
        if let Some(user) = self.pool_with_host_in(apex) {
            return Err(Refusal::Conflict(format!(
                "the pool {user} has a mail host or name server in the zone {text} (L14)"
            )));
        }
        self.zones.insert(apex.clone(), None);
        if !self.facts.zones.contains_key(apex) {
            self.zones.remove(apex);
        }
        self.effect(
            at,
            "delete_zone",
            text,
            "its records and keys go".to_owned(),
        );
        Ok(())
    }

    /// Removes a pool without domains.
    pub(super) fn delete_pool(
        &mut self,
        at: usize,
        name: &str,
        if_match: Option<IfMatch>,
    ) -> Result<(), Refusal> {
        let revision = self.facts.pools.get(name).map(|pool| pool.revision);
        check_match(if_match, || format!("the pool {name}"), revision)?;
        if self.settings(name).is_none() {
            return Err(Refusal::NotFound {
                kind: "pool",
                name: name.to_owned(),
            });
        }
        let members = self.member_count(name);
        if members > 0 {
            let domains = if members == 1 { "domain" } else { "domains" };
            return Err(Refusal::Conflict(format!(
                "the pool {name} has {members} {domains}; delete them first"
            )));
        }
        match self.facts.pools.get_key_value(name) {
            Some((name, _)) => self.pools.insert(Arc::clone(name), None),
            None => self.pools.remove(name),
        };
        self.effect(at, "delete_pool", name.to_owned(), "goes".to_owned());
        Ok(())
    }

    /// Returns how many domains a pool will have.
    fn member_count(&self, pool: &str) -> u64 {
        let kept = self.facts.pools.get(pool);
        let kept: u64 = kept.map_or(0, |pool| pool.counts.iter().sum());
        let mut count = kept;
        for (name, draft) in &self.domains {
            let was = self.facts.domains.get(name);
            let was = was.is_some_and(|domain| *domain.pool == *pool);
            let is = draft.as_ref().is_some_and(|draft| *draft.pool == *pool);
            count = count + u64::from(is) - u64::from(was);
        }
        count
    }

    /// Returns a pool that names a host whose closest zone of ours is `apex`.
    fn pool_with_host_in(&self, apex: &Apex) -> Option<Arc<str>> {
        self.pool_names().into_iter().find(|pool| {
            self.settings(pool).is_some_and(|settings| {
                let hosts = settings.mail_hosts().iter().map(|host| &host.name);
                let names = hosts.chain(settings.nameservers());
                names
                    .filter_map(Target::as_shared)
                    .any(|host| host.is_at_or_below(apex) && self.is_closest(apex, host))
            })
        })
    }

    /// Returns whether nothing of ours lies between a name and `apex`, a zone or domain above it.
    fn is_closest(&self, apex: &Apex, name: &Name) -> bool {
        self.closest_zone(name)
            .is_none_or(|zone| !zone.is_below(apex))
    }
}
