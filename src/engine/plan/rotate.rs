//! Rotation: which domains a pool hands out next, and which it stops handing out.

use std::collections::{BTreeSet, HashSet};

use super::draft::Draft;
use super::lives::sentences;
use crate::clock::Timestamp;
use crate::document::Fault;
use crate::engine::facts::{DomainFacts, Facts};
use crate::engine::life::{Circumstances, note_turn, turn_of};
use crate::engine::{Milestone, NotReady, Refusal, Rotation};
use crate::lifecycle::{self, Force, LifecycleState, Next, Refused, Rule, Step, WaitingFor};
use crate::mail::{Form, Secured};
use crate::wire::Apex;

/// Of how many domains a plan says why they are not ready: an operator looks at the first ones.
const REASONS: usize = 8;

/// The standby domains of a pool, as far as a rotation looked at them.
#[derive(Debug, Default)]
struct Standby {
    /// Those that may become active now, and the rules that held.
    ready: Vec<(Apex, Vec<String>)>,
    /// What keeps the first of the others back.
    not_ready: Vec<NotReady>,
}

impl Draft<'_> {
    /// Drains domains of a pool and activates the readiest others in their place.
    ///
    /// Named ones are drained whether or not others are ready: who burns a domain wants it out of
    /// hand. Where none is named no more are drained than are activated.
    pub(super) fn rotate(
        &mut self,
        at: usize,
        pool: &str,
        burn: &[Apex],
        activate: u32,
    ) -> Result<(), Refusal> {
        self.check_pool(pool)?;
        self.check_burned(pool, burn)?;
        let standby = self.standby(pool, activate);
        let drained = if burn.is_empty() {
            self.oldest_active(pool, standby.ready.len())
        } else {
            burn.to_vec()
        };
        self.swap(at, pool, (standby, activate), drained)
    }

    /// Replaces the active domains of a pool that are older than it wants, as far as others are
    /// ready; the others stay until there are.
    pub(super) fn rotate_aged(&mut self, at: usize, pool: &str) -> Result<(), Refusal> {
        self.check_pool(pool)?;
        let aged = self.facts.aged(pool, self.now);
        let mut aged: Vec<Apex> = aged
            .filter(|name| !self.domains.contains_key(*name))
            .cloned()
            .collect();
        let wanted = u32::try_from(aged.len()).unwrap_or(u32::MAX);
        let standby = self.standby(pool, wanted);
        aged.truncate(standby.ready.len());
        if aged.is_empty() {
            return Ok(());
        }
        self.swap(at, pool, (standby, wanted), aged)
    }

    /// Refuses a pool that is not there.
    fn check_pool(&self, pool: &str) -> Result<(), Refusal> {
        if self.settings(pool).is_some() {
            return Ok(());
        }
        Err(Refusal::NotFound {
            kind: "pool",
            name: pool.to_owned(),
        })
    }

    /// Refuses names that are not active domains of the pool, or are named twice.
    fn check_burned(&self, pool: &str, burn: &[Apex]) -> Result<(), Refusal> {
        let mut faults = Vec::new();
        let mut named = BTreeSet::new();
        for (index, name) in burn.iter().enumerate() {
            let text = name.to_api_text();
            let found = self.edit_domain(name, 0).ok();
            let found = found.filter(|domain| *domain.pool == *pool);
            let why = match found {
                None => format!("expected a domain of the pool {pool}, found {text}"),
                Some(domain) if domain.state != LifecycleState::Active => {
                    format!("expected an active domain, {text} is {}", domain.state)
                }
                Some(_) if !named.insert(name) => {
                    format!("expected each domain once, found {text} twice")
                }
                Some(_) => continue,
            };
            faults.push(Fault::new(format!("/burn/{index}"), why));
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Invalid(faults))
        }
    }

    /// Activates what is ready, drains others, and says what comes of it.
    fn swap(
        &mut self,
        at: usize,
        pool: &str,
        standby: (Standby, u32),
        drained: Vec<Apex>,
    ) -> Result<(), Refusal> {
        let (Standby { ready, not_ready }, wanted) = standby;
        let count = u32::try_from(ready.len()).unwrap_or(u32::MAX);
        let mut rotation = Rotation {
            short: wanted.saturating_sub(count),
            not_ready,
            ..Rotation::default()
        };
        let now = self.now;
        for (name, because) in ready {
            let draft = self.edit_domain(&name, at)?;
            self.move_domain(at, &name, draft, LifecycleState::Active, because);
            let event = "becomes active: mail is accepted, and addresses are handed out once every \
                         mail host has applied that (A8)";
            rotation
                .timeline
                .push(milestone(&name, Some(now), event.to_owned()));
            rotation.activated.push(name);
        }
        let mut later = Vec::new();
        for name in drained {
            let draft = self.edit_domain(&name, at)?;
            self.move_domain(at, &name, draft, LifecycleState::Draining, Vec::new());
            let event = "becomes draining: mail is accepted, no new address is handed out";
            rotation
                .timeline
                .push(milestone(&name, Some(now), event.to_owned()));
            later.extend(self.prospects(&name)?);
            rotation.draining.push(name);
        }
        // What has no moment comes last.
        later.sort_by_key(|milestone| (milestone.at.is_none(), milestone.at));
        rotation.timeline.extend(later);
        self.warn_of_few(pool, wanted, &rotation);
        self.set_rotation(rotation);
        Ok(())
    }

    /// Warns where fewer are ready than are wanted, and where the pool has fewer active domains than
    /// its settings want.
    fn warn_of_few(&mut self, pool: &str, wanted: u32, rotation: &Rotation) {
        if rotation.short > 0 {
            let found = rotation.activated.len();
            let reasons = rotation.not_ready.iter().map(reason);
            let reasons: Vec<String> = reasons.collect();
            let why = if reasons.is_empty() {
                "no other is standby".to_owned()
            } else {
                reasons.join("; ")
            };
            let domains = if wanted == 1 { "domain" } else { "domains" };
            self.warn(format!(
                "expected {wanted} ready {domains} in the pool {pool}, found {found}: {why}"
            ));
        }
        let counts = self.facts.pools.get(pool).map(|pool| pool.counts);
        let active = counts.map_or(0, |counts| counts[LifecycleState::Active.index()]);
        let (more, fewer) = (rotation.activated.len(), rotation.draining.len());
        let then = (active + more as u64).saturating_sub(fewer as u64);
        let settings = self.settings(pool);
        let target = settings.map_or(0, |settings| u64::from(settings.life().active));
        if then < active && then < target {
            let domains = if target == 1 { "domain" } else { "domains" };
            self.warn(format!(
                "the pool {pool} wants {target} active {domains} and has {then} after this"
            ));
        }
    }

    /// Returns when a domain that is drained now may be retired and released, at the earliest.
    fn prospects(&self, name: &Apex) -> Result<Vec<Milestone>, Refusal> {
        let mut draft = self.edit_domain(name, 0)?;
        let mut found = Vec::new();
        let Some(pool) = self.facts.pools.get(&draft.pool) else {
            return Ok(found);
        };
        let mut now = self.now;
        for (state, steps) in [
            (LifecycleState::Draining, "may be retired"),
            (
                LifecycleState::Retired,
                "may be released if it was retired then",
            ),
        ] {
            if state == LifecycleState::Retired {
                let mut life = draft.life.take().unwrap_or_default();
                life.form = Form::NULL;
                draft.life = Some(life);
            }
            if let Some(life) = &mut draft.life {
                let settings = &pool.recipe.settings;
                let turn = turn_of(state, life, settings, pool.policy.as_ref());
                note_turn(life, draft.added, turn, now);
            }
            (draft.state, draft.since) = (state, now);
            let reference = self.reference_to(name);
            let standing = draft.standing();
            let circumstances = Circumstances::gather(self.facts, pool, standing, reference);
            let situation = circumstances.situation();
            let book = &self.facts.judgement.book;
            let Some(next) = lifecycle::next(&situation, now, book) else {
                break;
            };
            // What is not known yet may well be known by then: the moments that are, are told.
            let moments = next.waiting_for.iter().filter_map(|rule| rule.not_before);
            let known = moments.max();
            let unknown = next.waiting_for.iter().filter(|it| it.not_before.is_none());
            let unknown: Vec<&str> = unknown.map(|it| it.rule).collect();
            let more = if unknown.is_empty() {
                String::new()
            } else {
                let (last, rest) = unknown.split_last().unwrap_or((&"", &[]));
                let (names, verb) = match rest {
                    [] => ((*last).to_owned(), "is"),
                    rest => (format!("{} and {last}", rest.join(", ")), "are"),
                };
                format!(", once {names} {verb} known to hold")
            };
            let at = known.or_else(|| next.waiting_for.is_empty().then_some(now));
            let steps = if next.by_itself {
                "is retired by itself"
            } else {
                steps
            };
            found.push(milestone(name, at, format!("{steps}{more}")));
            let Some(at) = at else {
                break;
            };
            now = at;
        }
        Ok(found)
    }

    /// Returns the standby domains of a pool that may become active now, the longest waiting first, up
    /// to `wanted`.
    fn standby(&self, pool: &str, wanted: u32) -> Standby {
        let candidates = self.candidates(pool);
        let candidates = candidates.filter(|(name, _)| !self.domains.contains_key(*name));
        let ready = candidates.filter_map(|(name, domain)| {
            let because = self.readiness(name, domain).ok()?;
            Some((name.clone(), because))
        });
        let ready: Vec<(Apex, Vec<String>)> = ready.take(wanted as usize).collect();
        if ready.len() == wanted as usize {
            return Standby {
                ready,
                not_ready: Vec::new(),
            };
        }
        let names: HashSet<&Apex> = ready.iter().map(|(name, _)| name).collect();
        let others = self.facts.members(pool, LifecycleState::Standby);
        let others =
            others.filter(|(name, _)| !self.domains.contains_key(*name) && !names.contains(*name));
        let not_ready = others.filter_map(|(name, domain)| {
            let waiting_for = self.readiness(name, domain).err()?;
            let name = name.clone();
            Some(NotReady { name, waiting_for })
        });
        Standby {
            not_ready: not_ready.take(REASONS).collect(),
            ready,
        }
    }

    /// Returns the standby domains of a pool that may be ready, the longest waiting first: of a large
    /// pool most are not delegated yet, or nothing was observed of them, and need not be judged.
    fn candidates<'d>(
        &'d self,
        pool: &'d str,
    ) -> Box<dyn Iterator<Item = (&'d Apex, &'d DomainFacts)> + 'd> {
        let standby = self.facts.members(pool, LifecycleState::Standby);
        let Some(known) = self.facts.pools.get(pool) else {
            return Box::new(standby);
        };
        let readiness = known.recipe.settings.readiness();
        let book = &self.facts.judgement.book;
        if readiness.delegated && book.holds(Rule::A1) {
            return Box::new(self.facts.delegated_standby(pool));
        }
        let asks = readiness.mail_ready && book.holds(Rule::A4)
            || readiness.secured == Secured::Yes && book.holds(Rule::A3);
        Box::new(standby.filter(move |(_, domain)| !asks || domain.life.is_some()))
    }

    /// Returns the rules that let a standby domain become active, or what it waits for.
    fn readiness(&self, name: &Apex, domain: &DomainFacts) -> Result<Vec<String>, Vec<WaitingFor>> {
        let suspension = domain.life.as_ref();
        let suspension = suspension.and_then(|life| life.suspension.as_ref());
        if let Some(suspension) = suspension {
            return Err(vec![WaitingFor {
                rule: Rule::L6.id(),
                what: "it is suspended".to_owned(),
                not_before: suspension.until,
                firm: true,
            }]);
        }
        let Some(circumstances) = self.facts.circumstances(name, domain) else {
            return Err(Vec::new());
        };
        let situation = circumstances.situation();
        let book = &self.facts.judgement.book;
        let active = LifecycleState::Active;
        match lifecycle::step(&situation, active, Force::No, self.now, book) {
            Ok(Step::Now { satisfied, .. }) => Ok(sentences(&satisfied)),
            Ok(Step::None) | Err(Refused::Impossible(_)) => Err(Vec::new()),
            Err(Refused::TooEarly(waiting_for)) => Err(waiting_for),
        }
    }

    /// Returns the active domains of a pool that are it for the longest time.
    fn oldest_active(&self, pool: &str, wanted: usize) -> Vec<Apex> {
        let active = self.facts.members(pool, LifecycleState::Active);
        let others = active.filter(|(name, _)| !self.domains.contains_key(*name));
        others.take(wanted).map(|(name, _)| name.clone()).collect()
    }
}

impl Facts {
    /// Returns the active domains of a pool that are older than it wants, the oldest first.
    fn aged(&self, pool: &str, now: Timestamp) -> impl Iterator<Item = &Apex> {
        let settings = self.pools.get(pool).map(|pool| &pool.recipe.settings);
        let limit = settings.and_then(|settings| settings.life().max_active_age);
        let active = self.members(pool, LifecycleState::Active);
        active
            .take_while(move |(_, domain)| {
                limit.is_some_and(|limit| domain.since.saturating_add(limit.as_duration()) <= now)
            })
            .map(|(name, _)| name)
    }

    /// Returns how the age that its pool wants takes an active domain out of use, if it does.
    pub(in crate::engine) fn ages_out(&self, domain: &DomainFacts, now: Timestamp) -> Option<Next> {
        let settings = &self.pools.get(&domain.pool)?.recipe.settings;
        let is_active = domain.state == LifecycleState::Active;
        let limit = settings.life().max_active_age.filter(|_| is_active)?;
        let at = domain.since.saturating_add(limit.as_duration());
        let (rule, what, not_before) = if now < at {
            let what = format!("the pool uses a domain for {limit} (max_active_age)");
            (Rule::T2, what, Some(at))
        } else {
            let what = "the pool's max_active_age is over, and no standby domain is ready to take \
                        its place";
            (Rule::K25, what.to_owned(), None)
        };
        Some(Next {
            state: LifecycleState::Draining,
            by_itself: true,
            not_before,
            waiting_for: vec![WaitingFor {
                rule: rule.id(),
                what,
                not_before,
                firm: false,
            }],
        })
    }

    /// Returns whether a pool has an active domain that is older than it wants.
    pub(in crate::engine) fn is_aged(&self, pool: &str, now: Timestamp) -> bool {
        self.aged(pool, now).next().is_some()
    }
}

/// Says in short why a domain is not ready; a plan tells all of it beside.
fn reason(not_ready: &NotReady) -> String {
    let name = not_ready.name.to_api_text();
    if let [only] = not_ready.waiting_for.as_slice() {
        return format!("{name} waits: {only}");
    }
    let mut rules: Vec<&str> = not_ready.waiting_for.iter().map(|it| it.rule).collect();
    rules.dedup();
    format!("{name} waits for {}", rules.join(", "))
}

/// Returns something that happens to a domain.
fn milestone(domain: &Apex, at: Option<Timestamp>, event: String) -> Milestone {
    Milestone {
        at,
        domain: domain.clone(),
        event,
    }
}
