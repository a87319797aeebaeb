//! Steps about one domain.

use std::sync::Arc;

use super::draft::{DomainDraft, Draft, check_match};
use crate::document::Fault;
use crate::engine::{AddDomain, Op, Refusal};
use crate::lifecycle::LifecycleState;
use crate::mail;
use crate::wire::Apex;

/// The longest name there is (RFC 1035, section 2.3.4).
const NAME_LIMIT: usize = 255;

impl Draft<'_> {
    /// Adds a domain to a pool.
    pub(super) fn add_domain(&mut self, at: usize, add: &AddDomain) -> Result<(), Refusal> {
        let name = &add.name;
        let text = name.to_api_text();
        let Some(settings) = self.settings(&add.pool) else {
            return Err(Refusal::NotFound {
                kind: "pool",
                name: add.pool.clone(),
            });
        };
        let fresh = add.fresh.unwrap_or(settings.life().fresh);
        if let Some(pool) = self.pool_of(name) {
            let same_pool = **pool == *add.pool;
            if same_pool && add.if_absent {
                return Ok(());
            }
            return Err(Refusal::Conflict(if !same_pool {
                format!("the domain {text} belongs to the pool {pool} already")
            } else if self.domains.contains_key(name) && !self.facts.domains.contains_key(name) {
                format!("the domain {text} is there twice")
            } else {
                format!("the domain {text} is in the pool {pool} already")
            }));
        }
        if self.facts.domains.contains_key(name) {
            return Err(Refusal::Conflict(format!(
                "one change cannot delete the domain {text} and add it again"
            )));
        }
        self.check_place(name)?;
        self.check_length(&add.pool, name)?;
        let faults = mail::check_domain(name, &self.all_settings());
        if !faults.is_empty() {
            return Err(Refusal::Invalid(faults));
        }

        let pool = match self.pools.get_key_value(add.pool.as_str()) {
            Some((pool, _)) => Arc::clone(pool),
            None => self
                .facts
                .pools
                .get_key_value(add.pool.as_str())
                .map_or_else(
                    || Arc::from(add.pool.as_str()),
                    |(pool, _)| Arc::clone(pool),
                ),
        };
        let rare = crate::engine::facts::Rare {
            registrar: add.registrar.clone(),
            expires_at: add.expires_at,
            labels: add.labels.clone(),
            extra: Vec::new(),
        };
        let draft = DomainDraft {
            op: at,
            pool,
            state: LifecycleState::Standby,
            fresh,
            since: self.now,
            revision: None,
            rare: rare.boxed(),
            served: None,
            inputs: None,
            added: self.now,
            routed: None,
            life: None,
        };
        self.domains.insert(name.clone(), Some(draft));
        let what = format!("joins the pool {} as standby", add.pool);
        self.effect(at, "add_domain", text, what);
        Ok(())
    }

    /// Refuses a name that overlaps with a zone of ours where no delegation can be derived.
    fn check_place(&self, name: &Apex) -> Result<(), Refusal> {
        let conflict = |what: String| {
            let name = name.to_api_text();
            Err(Refusal::Conflict(format!("{name} {what}")))
        };
        if self.has_zone(name) {
            return conflict("is one of the operator's own zones".to_owned());
        }
        if let Some(above) = self.domain_above(name) {
            let above = above.to_api_text();
            return conflict(format!("lies below the domain {above}"));
        }
        if let Some(below) = self.domains_below(name).next() {
            let below = below.to_api_text();
            return conflict(format!("lies above the domain {below}"));
        }
        if let Some(below) = self.zone_below(name) {
            let below = below.to_api_text();
            return conflict(format!("lies above the operator's own zone {below}"));
        }
        Ok(())
    }

    /// Refuses a name under which the pool's longest owner has no room.
    fn check_length(&self, pool: &str, name: &Apex) -> Result<(), Refusal> {
        // The template of a pool that changes with this call is not rendered yet; the preparation
        // finds what does not fit there.
        let Some(recipe) = self.recipe(pool) else {
            return Ok(());
        };
        let room = NAME_LIMIT - recipe.template.longest_owner;
        let length = name.as_wire().len();
        if length > room {
            return Err(Refusal::Invalid(vec![Fault::new(
                "/name",
                format!(
                    "expected a name of at most {room} octets, so that the records of the pool \
                     {pool} fit under it, found {length}"
                ),
            )]));
        }
        Ok(())
    }

    /// Changes what is said about a domain.
    pub(super) fn patch_domain(&mut self, at: usize, op: &Op) -> Result<(), Refusal> {
        let Op::PatchDomain {
            name,
            registrar,
            expires_at,
            labels,
            if_match,
        } = op
        else {
            return Ok(());
        };
        self.check_domain_match(name, *if_match)?;
        let mut draft = self.edit_domain(name, at)?;
        let old = draft.rare.as_deref().cloned().unwrap_or_default();
        let mut rare = old.clone();
        let mut changed = Vec::new();
        if let Some(registrar) = registrar {
            rare.registrar.clone_from(registrar);
        }
        if let Some(expires_at) = expires_at {
            rare.expires_at = *expires_at;
        }
        if let Some(labels) = labels {
            rare.labels.clone_from(labels);
        }
        for (differs, what) in [
            (rare.registrar != old.registrar, "registrar"),
            (rare.expires_at != old.expires_at, "expires_at"),
            (rare.labels != old.labels, "labels"),
        ] {
            if differs {
                changed.push(what);
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        draft.rare = rare.boxed();
        draft.revision = None;
        self.domains.insert(name.clone(), Some(draft));
        if let Some(Some(ended)) = expires_at.filter(|it| it.is_some_and(|at| at <= self.now)) {
            let name = name.to_api_text();
            self.warn(format!(
                "the registration of {name} ended at {ended}: from standby or draining it is not used \
                 again before it is renewed (A9)"
            ));
        }
        let what = format!("{} changed", changed.join(", "));
        self.effect(at, "patch_domain", name.to_api_text(), what);
        Ok(())
    }

    /// Checks an `If-Match` against a domain.
    pub(super) fn check_domain_match(
        &self,
        name: &Apex,
        if_match: Option<crate::engine::IfMatch>,
    ) -> Result<(), Refusal> {
        let revision = self.facts.domains.get(name).map(|domain| domain.revision);
        check_match(
            if_match,
            || format!("the domain {}", name.to_api_text()),
            revision,
        )
    }
}
