//! Steps of domains' lives: asked for, or due by themselves.

use std::collections::BTreeMap;

use super::draft::{DomainDraft, Draft};
use crate::document::Fault;
use crate::engine::Refusal;
use crate::engine::facts::{Adoption, DomainFacts, PoolFacts};
use crate::engine::life::{Circumstances, Life, Standing};
use crate::engine::life::{Phase, comeback_policy, route_of, shown_id, wanted_policy};
use crate::engine::references::{Left, Reference, Referrer, find_reference, left, referenced};
use crate::lifecycle::{self, Action, Force, LifecycleState, Refused, Satisfied, Step, Suspension};
use crate::mail::{Drain, Form, HostsForm, PoolSettings, RoutingAnswer};
use crate::store::record::{Hold, HostRecord, ShownPolicy};
use crate::wire::{Apex, Name};

/// Returns whether a reason says nothing.
pub(super) fn is_blank(reason: &str) -> bool {
    reason.trim().is_empty()
}

/// Says that a reason is missing.
pub(super) fn no_reason(wanted: &str) -> Refusal {
    let detail = format!("expected {wanted}, found none");
    Refusal::Invalid(vec![Fault::new("/reason", detail)])
}

impl Draft<'_> {
    /// Moves a domain to another state of its life.
    pub(super) fn transition(
        &mut self,
        at: usize,
        name: &Apex,
        to: LifecycleState,
        force: bool,
        reason: Option<&str>,
    ) -> Result<(), Refusal> {
        let draft = self.edit_domain(name, at)?;
        if force && reason.is_none_or(is_blank) {
            return Err(no_reason("a reason beside force"));
        }
        let circumstances = self.circumstances(name, &draft)?;
        let situation = circumstances.situation();
        let force = if force { Force::Yes } else { Force::No };
        let book = &self.facts.judgement.book;
        let step = lifecycle::step(&situation, to, force, self.now, book);
        match step {
            Ok(Step::None) => Ok(()),
            Ok(Step::Now { satisfied, skipped }) => {
                let mut because = sentences(&satisfied);
                because.extend(skipped.iter().map(|rule| format!("forced: {rule}")));
                self.move_domain(at, name, draft, to, because);
                Ok(())
            }
            Err(Refused::Impossible(why)) => Err(Refusal::Conflict(why)),
            Err(Refused::TooEarly(waiting_for)) => {
                let moments = waiting_for.iter().map(|rule| rule.not_before);
                // One unknown moment makes the whole unknown.
                let not_before = moments.collect::<Option<Vec<_>>>();
                Err(Refusal::TooEarly {
                    not_before: not_before.and_then(|moments| moments.into_iter().max()),
                    waiting_for,
                })
            }
        }
    }

    /// Gathers what is known of a domain as it will be.
    pub(super) fn circumstances<'d>(
        &self,
        name: &Apex,
        draft: &'d DomainDraft,
    ) -> Result<Circumstances<'d>, Refusal> {
        // A pool that comes with this change has no history yet: its domains are new, too.
        let pool = self.facts.pools.get(&draft.pool);
        let pool = pool.ok_or_else(|| {
            Refusal::Conflict(format!(
                "the pool {} is created by the same change: its domains become active by the next",
                draft.pool
            ))
        })?;
        let reference = self.reference_to(name);
        Ok(Circumstances::gather(
            self.facts,
            pool,
            draft.standing(),
            reference,
        ))
    }

    /// Returns who of our zones and pools will name a host in a domain.
    pub(super) fn reference_to(&self, name: &Apex) -> Option<Reference> {
        if self.pools.is_empty() && self.zones.is_empty() {
            return self.facts.reference_to(name);
        }
        let (found, left) = self.references.get_or_init(|| {
            let found = self.referenced();
            let left = self.left_references(&found);
            (found, left)
        });
        find_reference(found, left, name)
    }

    /// Returns who will refer to which host.
    pub(super) fn referenced(&self) -> BTreeMap<Name, Referrer> {
        referenced(self.all_settings(), self.all_records())
    }

    /// Returns who will have ceased to, and may still be followed.
    pub(super) fn left_references(&self, found: &BTreeMap<Name, Referrer>) -> Left {
        let facts = self.facts;
        left(&facts.left_references, &facts.referenced, found, self.now)
    }

    /// Puts a domain into a state.
    pub(super) fn move_domain(
        &mut self,
        at: usize,
        name: &Apex,
        mut draft: DomainDraft,
        to: LifecycleState,
        because: Vec<String>,
    ) {
        let from = draft.state;
        let (settings, adoption) = self.pool_and_policy(&draft);
        let now = self.now;
        if let (LifecycleState::Active, Some(settings)) = (to, &settings) {
            self.warn_of_registration(name, &draft, settings);
        }
        let mut life = draft.life.take().unwrap_or_default();
        let route = route_of(from, Some(&life), false);
        let before = Phase::new(from, draft.since, Some(&life));
        let after = Phase::new(to, now, Some(&life));
        if let Some(settings) = &settings {
            // What the TXT shows stays until the new text was seen served (S9).
            if life.policy == ShownPolicy::Pool
                && let Some((id, policy)) = wanted_policy(before, settings, adoption.as_ref())
                && wanted_policy(after, settings, adoption.as_ref())
                    .is_none_or(|(new, _)| new != id)
            {
                life.policy = ShownPolicy::Own {
                    id,
                    acts: policy.acts(),
                    max_age: policy.max_age,
                };
            }
        }
        match to {
            LifecycleState::Retired => {
                life.form = Form::NULL;
                // A suspension of a domain that takes no mail says nothing.
                if let Some(suspension) = life.suspension.take() {
                    note_deferral(&mut life, &suspension, now);
                }
            }
            LifecycleState::Active if from == LifecycleState::Retired => {
                life.form = Form::LIVE;
                life.unanswered = false;
                life.restored = Some(now);
            }
            LifecycleState::Released if from == LifecycleState::Standby => {}
            _ => {}
        }
        // A policy that is shown already needs no turn of its own.
        if let (Some(settings), ShownPolicy::Own { id, .. }) = (&settings, &life.policy)
            && matches!(to, LifecycleState::Standby | LifecycleState::Active)
        {
            let (pool, _) = shown_id(&ShownPolicy::Pool, settings, adoption.as_ref());
            if pool.as_ref() == Some(id) {
                life.policy = ShownPolicy::Pool;
            }
        }
        if life.policy == ShownPolicy::Gone && to == LifecycleState::Active {
            let settings = settings.as_ref();
            let none = settings.and_then(|it| comeback_policy(it, adoption.as_ref(), now));
            life.policy = none.unwrap_or_default();
        }
        // A host that need not do anything otherwise need not say that it did.
        if route_of(to, Some(&life), false) != route {
            draft.routed = None;
        }
        draft.life = boxed(*life);
        draft.state = to;
        draft.since = now;
        draft.revision = None;
        self.domains.insert(name.clone(), Some(draft));
        let what = format!("{from} becomes {to}");
        self.effect_because(at, "transition", name.to_api_text(), what, because);
    }

    /// Does something that came due by itself, if it still is.
    pub(super) fn act(&mut self, at: usize, name: &Apex, action: Action) -> Result<(), Refusal> {
        let mut draft = self.edit_domain(name, at)?;
        let circumstances = self.circumstances(name, &draft)?;
        let situation = circumstances.situation();
        let due = lifecycle::due(&situation, self.now, &self.facts.judgement.book);
        let Some(due) = due.into_iter().find(|due| due.action == action) else {
            return Ok(());
        };
        let because = sentences(&due.satisfied);
        let (settings, adoption) = self.pool_and_policy(&draft);
        let mut life = draft.life.take().unwrap_or_default();
        let mut routes = false;
        let what = match action {
            Action::Retire => {
                draft.life = boxed(*life);
                self.move_domain(at, name, draft, LifecycleState::Retired, because);
                return Ok(());
            }
            Action::Resume => {
                if let Some(suspension) = life.suspension.take() {
                    note_deferral(&mut life, &suspension, self.now);
                }
                routes = true;
                "takes mail again: the suspension ends"
            }
            Action::ShowPolicy => {
                let phase = Phase::new(draft.state, draft.since, Some(&life));
                let wanted = settings
                    .as_ref()
                    .and_then(|settings| wanted_policy(phase, settings, adoption.as_ref()));
                life.policy = match (draft.state, wanted) {
                    (LifecycleState::Standby | LifecycleState::Active, _) | (_, None) => {
                        ShownPolicy::Pool
                    }
                    (_, Some((id, policy))) => ShownPolicy::Own {
                        id,
                        acts: policy.acts(),
                        max_age: policy.max_age,
                    },
                };
                "announces the MTA-STS policy that is served"
            }
            Action::DropPolicy => {
                life.policy = ShownPolicy::Gone;
                "announces no MTA-STS policy any more"
            }
            Action::DropHosts => {
                life.form.hosts = HostsForm::Gone;
                "has no hosts of its own any more"
            }
            Action::StopAnswering => {
                life.unanswered = true;
                routes = true;
                "may be forgotten by the mail hosts"
            }
            Action::DropZone => {
                life.dropped = Some(self.now);
                routes = !life.unanswered;
                life.unanswered = true;
                "is served no more; its key is destroyed"
            }
        };
        draft.life = boxed(*life);
        draft.revision = None;
        if routes {
            draft.routed = None;
        }
        self.domains.insert(name.clone(), Some(draft));
        let kind = crate::engine::Op::Act {
            name: name.clone(),
            action,
        }
        .kind();
        self.effect_because(at, kind, name.to_api_text(), what.to_owned(), because);
        Ok(())
    }

    /// Returns settings and policy of a domain's pool as they will be.
    fn pool_and_policy(
        &self,
        draft: &DomainDraft,
    ) -> (Option<std::sync::Arc<PoolSettings>>, Option<Adoption>) {
        let policy = match self.pools.get(&draft.pool) {
            Some(pool) => pool.as_ref().and_then(|pool| pool.policy.clone()),
            None => {
                let pool = self.facts.pools.get(&draft.pool);
                pool.and_then(|pool| pool.policy.clone())
            }
        };
        (self.settings(&draft.pool).cloned(), policy)
    }

    /// Lets a domain take no mail for a while.
    pub(super) fn suspend(
        &mut self,
        at: usize,
        name: &Apex,
        suspension: Suspension,
    ) -> Result<(), Refusal> {
        let mut draft = self.edit_domain(name, at)?;
        if !matches!(
            suspension.answer,
            RoutingAnswer::Later | RoutingAnswer::Never
        ) {
            return Err(Refusal::Invalid(vec![Fault::new(
                "/answer",
                format!("expected later or never, found {}", suspension.answer),
            )]));
        }
        if suspension.until.is_some_and(|until| until <= self.now) {
            return Err(Refusal::Invalid(vec![Fault::new(
                "/until",
                format!("expected a moment after {}, found an earlier one", self.now),
            )]));
        }
        if draft.state >= LifecycleState::Retired {
            return Err(Refusal::Conflict(format!(
                "{} is {}: it takes no mail that could be suspended",
                name.to_api_text(),
                draft.state
            )));
        }
        let settings = self.settings(&draft.pool);
        let gives_up = settings.map(|it| it.timing().queue_max);
        if let (RoutingAnswer::Later, Some(until), Some(gives_up)) =
            (suspension.answer, suspension.until, gives_up)
            && until > self.now.saturating_add(gives_up.as_duration())
        {
            let name = name.to_api_text();
            self.warn(format!(
                "{name} is suspended until {until}, and senders give up after {gives_up} (queue_max): \
                 what waits for longer is returned to them"
            ));
        }
        let mut life = draft.life.take().unwrap_or_default();
        let same = life.suspension.as_ref().is_some_and(|old| {
            old.answer == suspension.answer
                && old.until == suspension.until
                && old.reason == suspension.reason
        });
        if same {
            return Ok(());
        }
        if let Some(old) = life.suspension.take() {
            note_deferral(&mut life, &old, self.now);
        }
        let until = suspension.until;
        let until = until.map_or_else(String::new, |until| format!(" until {until}"));
        let what = format!("its mail is answered {}{until}", suspension.answer);
        life.suspension = Some(suspension);
        draft.life = boxed(*life);
        draft.revision = None;
        draft.routed = None;
        self.domains.insert(name.clone(), Some(draft));
        self.effect(at, "suspend", name.to_api_text(), what);
        Ok(())
    }

    /// Ends a suspension.
    pub(super) fn resume(&mut self, at: usize, name: &Apex) -> Result<(), Refusal> {
        let mut draft = self.edit_domain(name, at)?;
        let mut life = draft.life.take().unwrap_or_default();
        let Some(suspension) = life.suspension.take() else {
            return Ok(());
        };
        note_deferral(&mut life, &suspension, self.now);
        draft.life = boxed(*life);
        draft.revision = None;
        draft.routed = None;
        self.domains.insert(name.clone(), Some(draft));
        let what = "its mail is answered as its state says".to_owned();
        self.effect(at, "resume", name.to_api_text(), what);
        Ok(())
    }

    /// Holds a domain, or lets it go on.
    pub(super) fn hold(
        &mut self,
        at: usize,
        name: &Apex,
        hold: Option<Hold>,
    ) -> Result<(), Refusal> {
        let mut draft = self.edit_domain(name, at)?;
        let mut life = draft.life.take().unwrap_or_default();
        let (kind, what) = match (&life.hold, &hold) {
            (None, None) => return Ok(()),
            (Some(old), Some(new)) if old.reason == new.reason => return Ok(()),
            (_, Some(_)) => ("hold", "no step withdraws anything of it"),
            (Some(_), None) => ("unhold", "its steps are taken again"),
        };
        life.hold = hold;
        draft.life = boxed(*life);
        draft.revision = None;
        self.domains.insert(name.clone(), Some(draft));
        self.effect(at, kind, name.to_api_text(), what.to_owned());
        Ok(())
    }

    /// Warns of a domain that becomes active and is not registered for as long as its pool promises
    /// addresses.
    fn warn_of_registration(&mut self, name: &Apex, draft: &DomainDraft, settings: &PoolSettings) {
        let expires_at = draft.rare.as_ref().and_then(|rare| rare.expires_at);
        let (Some(expires_at), Drain::For(drain)) = (expires_at, settings.life().drain) else {
            return;
        };
        if expires_at < self.now.saturating_add(drain.as_duration()) {
            let name = name.to_api_text();
            self.warn(if expires_at <= self.now {
                format!("the registration of {name} ended at {expires_at}: renew it")
            } else {
                format!(
                    "the registration of {name} ends at {expires_at}, before addresses that are \
                     handed out now have lived for the {drain} that the pool promises (drain): \
                     renew it"
                )
            });
        }
    }

    /// Notes that a mail host has applied the routing up to a revision.
    ///
    /// Until now it answered "later" for domains that had been resumed, or suspended otherwise: what it
    /// deferred is tried again from now on (R2).
    pub(super) fn host_applied(
        &mut self,
        at: usize,
        host: &str,
        revision: u64,
    ) -> Result<(), Refusal> {
        if revision > self.facts.revision {
            return Err(Refusal::Invalid(vec![Fault::new(
                "/revision",
                format!(
                    "expected at most revision {}, found {revision}",
                    self.facts.revision
                ),
            )]));
        }
        let now = self.now;
        let known = self.facts.hosts.get(host).and_then(|host| host.applied);
        let before = known.map_or(0, |(before, _)| before);
        let what = format!("has applied the routing up to revision {revision}");
        let applied = |record: &mut HostRecord| {
            let newer = record.applied.is_none_or(|(known, _)| known < revision);
            if newer {
                record.applied = Some((revision, now));
            }
        };
        self.put_host(at, host, applied, ("host_applied", what))?;
        let facts = self.facts;
        for name in facts.deferring.routed_between(before, revision) {
            let mut draft = self.edit_domain(name, at)?;
            let mut life = draft.life.take().unwrap_or_default();
            life.deferred = life.deferred.max(Some(now));
            draft.life = boxed(*life);
            draft.revision = None;
            self.domains.insert(name.clone(), Some(draft));
        }
        Ok(())
    }

    /// Notes what a mail host, or the operator, says of it.
    pub(super) fn put_host(
        &mut self,
        at: usize,
        host: &str,
        change: impl FnOnce(&mut HostRecord),
        what: (&'static str, String),
    ) -> Result<(), Refusal> {
        let known = self.all_settings().into_iter().any(|(pool, settings)| {
            let mut hosts = settings.mail_hosts().iter();
            hosts.any(|it| crate::engine::life::host_key(&it.name, pool) == host)
        });
        if !known {
            return Err(Refusal::NotFound {
                kind: "host",
                name: host.to_owned(),
            });
        }
        let drafted = self.hosts.get(host).copied();
        let old = drafted.or_else(|| self.facts.hosts.get(host).copied());
        let old = old.unwrap_or_default();
        let mut record = old;
        change(&mut record);
        if record == old {
            return Ok(());
        }
        self.hosts.insert(host.to_owned(), record);
        self.effect(at, what.0, host.to_owned(), what.1);
        Ok(())
    }
}

impl DomainDraft {
    /// Lets the domain go on announcing the policy of before until the new text is served (S9).
    pub(super) fn announce_still(&mut self, old: &ShownPolicy) {
        let mut life = self.life.take().unwrap_or_default();
        if life.policy == ShownPolicy::Pool {
            life.policy = old.clone();
        }
        self.life = boxed(*life);
    }

    /// Returns where the domain will stand.
    pub(super) fn standing(&self) -> Standing<'_> {
        Standing {
            pool: &self.pool,
            state: self.state,
            since: self.since,
            added: self.added,
            fresh: self.fresh,
            routed: self.routed.unwrap_or(u64::MAX),
            life: self.life.as_deref(),
            expires_at: self.rare.as_ref().and_then(|rare| rare.expires_at),
        }
    }
}

/// Notes until when a suspension that ends made senders defer: those that were told "never" gave up.
fn note_deferral(life: &mut Life, suspension: &Suspension, now: crate::clock::Timestamp) {
    if suspension.answer == RoutingAnswer::Later {
        life.deferred = life.deferred.max(Some(now));
    }
}

/// Returns the box that is kept: none for a plain life.
pub(in crate::engine) fn boxed(life: Life) -> Option<Box<Life>> {
    (life != Life::default()).then(|| Box::new(life))
}

/// Writes the rules that held, and the facts.
pub(super) fn sentences(satisfied: &[Satisfied]) -> Vec<String> {
    let rules = satisfied.iter();
    rules
        .map(|it| format!("{}: {}", it.rule, it.fact))
        .collect()
}

/// Returns whether a domain shows something else of its pool's records than it did.
pub(super) fn shows_otherwise(
    old: (&DomainFacts, &PoolFacts),
    new: (&DomainDraft, &PoolSettings, Option<&Adoption>),
) -> bool {
    let look = |life: Option<&Life>, settings: &PoolSettings, adoption: Option<&Adoption>| {
        let form = life.map_or(Form::LIVE, |life| life.form);
        let policy = life.map_or(&ShownPolicy::Pool, |life| &life.policy);
        (form, shown_id(policy, settings, adoption).0)
    };
    let (domain, pool) = old;
    let (draft, settings, adoption) = new;
    look(
        domain.life.as_deref(),
        &pool.recipe.settings,
        pool.policy.as_ref(),
    ) != look(draft.life.as_deref(), settings, adoption)
}
