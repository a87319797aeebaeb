//! Steps about a pool.

use std::sync::Arc;

use super::draft::{Draft, PoolDraft, check_match};
use crate::document::Fault;
use crate::engine::facts::{PoolFacts, Wish};
use crate::engine::{IfMatch, Refusal};
use crate::mail::{self, Effect, PoolSettings, Staging};

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
        if self.wished(name).map(|old| &**old) == Some(settings) {
            return Ok(());
        }

        let facts = self.facts.pools.get_key_value(name);
        let key = facts.map_or_else(|| Arc::from(name), |(name, _)| Arc::clone(name));
        let settings = Arc::new(settings.clone());
        let (draft, what) = match facts {
            None => (PoolDraft::new(at, settings, None), "is created".to_owned()),
            Some((_, pool)) => {
                let what = self.weigh(name, pool, &settings)?;
                (self.wish(at, name, pool, settings), what)
            }
        };
        self.pools.insert(key, Some(draft));
        self.effect(at, "put_pool", name.to_owned(), what);
        Ok(())
    }

    /// Returns a pool of which that is in effect of a new wish which may be now.
    fn wish(
        &mut self,
        at: usize,
        name: &str,
        pool: &PoolFacts,
        wanted: Arc<PoolSettings>,
    ) -> PoolDraft {
        if !self.pool_in_use(name) && !self.facts.serves_others(name, pool) {
            return PoolDraft {
                wish: None,
                ..PoolDraft::new(at, wanted, Some(pool))
            };
        }
        let staged = pool.wish.as_ref().map_or(&[][..], |wish| &wish.staged);
        let staging = self.facts.staging(name, pool, &wanted, staged, self.now);
        for wait in &staging.waits {
            let until = wait.not_before;
            let until = until.map_or_else(String::new, |at| format!(", not before {at}"));
            self.warn(format!(
                "the pool {name}: {} waits for {}: {}{until}",
                wait.pointer, wait.rule, wait.what
            ));
        }
        staged_draft(at, pool, wanted, staging)
    }

    /// Lets the next part of a pool's wish take effect, if it may.
    pub(super) fn stage_pool(&mut self, at: usize, name: &str) -> Result<(), Refusal> {
        let found = self.facts.pools.get_key_value(name);
        let Some((key, pool)) = found else {
            return Ok(());
        };
        let Some(wish) = &pool.wish else {
            return Ok(());
        };
        let facts = self.facts;
        let staging = facts.staging(name, pool, &wish.settings, &wish.staged, self.now);
        if !pool.takes_a_step(wish, &staging) {
            return Ok(());
        }
        let changes = mail::classify_change(&pool.recipe.settings, &staging.effective, &[]);
        let mut what: Vec<String> = changes.into_iter().map(|change| change.what).collect();
        let rules: Vec<&str> = staging.waits.iter().map(|wait| wait.rule).collect();
        what.push(match rules.as_slice() {
            [] => "all that was wished for is in effect".to_owned(),
            rules => format!("the rest waits for {}", rules.join(", ")),
        });
        let draft = staged_draft(at, pool, Arc::clone(&wish.settings), staging);
        self.pools.insert(Arc::clone(key), Some(draft));
        self.effect(at, "stage_pool", name.to_owned(), what.join("; "));
        Ok(())
    }

    /// Returns the settings that are wished for in a pool as it will be.
    fn wished(&self, name: &str) -> Option<&Arc<PoolSettings>> {
        match self.pools.get(name) {
            Some(draft) => draft.as_ref().map(PoolDraft::wished),
            None => self.facts.pools.get(name).map(PoolFacts::wished),
        }
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
        pool: &PoolFacts,
        new: &PoolSettings,
    ) -> Result<String, Refusal> {
        let in_use = self.pool_in_use(name);
        let earlier = pool.earlier.iter().map(|lapse| &*lapse.what.settings);
        let earlier: Vec<&PoolSettings> = earlier.collect();
        let changes = mail::classify_change(&pool.recipe.settings, new, &earlier);
        let mut refused = Vec::new();
        for change in &changes {
            match &change.effect {
                Effect::Waits { rule, reason } if in_use => {
                    let why = format!("{} ({rule}: {reason})", change.what);
                    refused.push(Fault::new(change.pointer.clone(), why));
                }
                Effect::Waits { .. } | Effect::Staged { .. } | Effect::AtOnce => {}
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
        let changed = changes.iter().map(|change| match &change.effect {
            Effect::Staged { rule, reason } if in_use => {
                format!("{} step by step ({rule}: {reason})", change.what)
            }
            _ => change.what.clone(),
        });
        let changed: Vec<String> = changed.collect();
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

/// Returns a pool of which that is in effect which may be; the rest is its wish.
fn staged_draft(
    at: usize,
    pool: &PoolFacts,
    wanted: Arc<PoolSettings>,
    staging: Staging,
) -> PoolDraft {
    let done = staging.waits.is_empty() && staging.effective == *wanted;
    // The same settings are held once.
    let effective = if staging.effective == *pool.recipe.settings {
        Arc::clone(&pool.recipe.settings)
    } else if staging.effective == *wanted {
        Arc::clone(&wanted)
    } else {
        Arc::new(staging.effective)
    };
    let wish = Wish {
        settings: wanted,
        staged: staging.staged,
        names_below: staging.names_below,
    };
    PoolDraft {
        wish: (!done).then(|| Arc::new(wish)),
        ..PoolDraft::new(at, effective, Some(pool))
    }
}
