//! Steps about a pool.

use std::sync::Arc;

use super::draft::{Draft, PoolDraft, check_match};
use crate::document::Fault;
use crate::engine::{IfMatch, Refusal};
use crate::mail::{self, Effect, PoolSettings};

impl Draft<'_> {
    /// Refuses a change of another version of a pool than it has.
    pub(super) fn check_pool_match(
        &self,
        name: &str,
        if_match: Option<IfMatch>,
    ) -> Result<(), Refusal> {
        let revision = self.facts.pools.get(name).map(|pool| pool.revision);
        check_match(if_match, || format!("the pool {name}"), revision)
    }

    /// Creates a pool or changes its settings.
    pub(super) fn put_pool(
        &mut self,
        at: usize,
        name: &str,
        settings: &PoolSettings,
        if_match: Option<IfMatch>,
    ) -> Result<(), Refusal> {
        self.check_pool_match(name, if_match)?;
        mail::check_pool_name(name)
            .map_err(|error| Refusal::Invalid(vec![Fault::new("/pool", error.to_string())]))?;
        let old = self.settings(name).cloned();
        if old.as_deref() == Some(settings) {
            return Ok(());
        }

        let what = match &old {
            None => "is created".to_owned(),
            Some(old) => self.weigh(name, old, settings)?,
        };
        let facts = self.facts.pools.get_key_value(name);
        let key = facts.map_or_else(|| Arc::from(name), |(name, _)| Arc::clone(name));
        let settings = Arc::new(settings.clone());
        let draft = PoolDraft::new(at, settings, facts.map(|(_, pool)| pool));
        self.pools.insert(key, Some(draft));
        self.effect(at, "put_pool", name.to_owned(), what);
        Ok(())
    }

    /// Gives a pool's policy a new id: what was served under the old one is not known.
    pub(super) fn adopt_anew(&mut self, at: usize, name: &str) -> Result<(), Refusal> {
        let found = self.facts.pools.get_key_value(name);
        let Some((key, pool)) = found.filter(|(_, pool)| pool.policy.is_some()) else {
            return Ok(());
        };
        let settings = Arc::clone(&pool.recipe.settings);
        let mut draft = PoolDraft::new(at, settings, Some(pool));
        draft.policy = None;
        self.pools.insert(Arc::clone(key), Some(draft));
        let what = "its MTA-STS policy gets a new id (K28)".to_owned();
        self.effect(at, "adopt_policy", name.to_owned(), what);
        Ok(())
    }

    /// Refuses what must not happen to domains in use, and says in words what changes.
    fn weigh(
        &mut self,
        name: &str,
        old: &PoolSettings,
        new: &PoolSettings,
    ) -> Result<String, Refusal> {
        let in_use = self.pool_in_use(name);
        let changes = mail::classify_change(old, new);
        let mut refused = Vec::new();
        for change in &changes {
            match &change.effect {
                Effect::Waits { rule, reason } if in_use => {
                    let why = format!("{} ({rule}: {reason})", change.what);
                    refused.push(Fault::new(change.pointer.clone(), why));
                }
                Effect::Waits { .. } | Effect::AtOnce => {}
            }
            if change.asks {
                self.because.push(change.what.clone());
            }
        }
        if !refused.is_empty() {
            return Err(Refusal::InUse {
                pool: name.to_owned(),
                settings: refused,
            });
        }
        let changed: Vec<&str> = changes.iter().map(|change| &*change.what).collect();
        Ok(match changed.as_slice() {
            [] => "changes in form".to_owned(),
            changed => changed.join("; "),
        })
    }

    /// Returns whether a pool has domains now.
    fn pool_in_use(&self, name: &str) -> bool {
        let pool = self.facts.pools.get(name);
        pool.is_some_and(|pool| pool.counts.iter().any(|count| *count > 0))
    }
}
