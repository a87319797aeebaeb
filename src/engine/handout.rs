//! Which domain the next new address comes from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::Refusal;
use super::act::Learnt;
use super::facts::{DomainFacts, Facts};
use super::handle::Engine;
use super::writer::{Message, Writer};
use crate::clock::Timestamp;
use crate::lifecycle::{self, LifecycleState};
use crate::wire::Apex;

/// How often counts are stored, and domains that had to wait are looked at again.
const EVERY: Duration = Duration::from_secs(1);

/// What a caller waits for: that the first hand-out of a domain is durable.
pub(super) type FirstAnswer = oneshot::Sender<Result<(), Refusal>>;

/// The active domains of all pools that addresses may come from, and what was given out of them since
/// counts were stored last.
#[derive(Debug, Default)]
pub(super) struct HandOuts {
    /// The domains of each pool.
    pools: HashMap<Arc<str>, Eligible>,
    /// How often domains were handed out since, and when last.
    pending: BTreeMap<Apex, (u64, Timestamp)>,
}

/// The domains of one pool that addresses may come from.
#[derive(Debug)]
struct Eligible {
    /// On which facts they were chosen.
    chosen_on: u64,
    /// When; a monotonic reading.
    chosen_at: Duration,
    /// The domains, the least handed out first.
    domains: BTreeSet<(u64, Apex)>,
    /// What keeps one of the others back, in words.
    waits: Option<String>,
}

impl Engine {
    /// Returns the domain of a pool that the next new address comes from: the least handed out of those
    /// that are active, routed everywhere and not suspended.
    ///
    /// A domain's first hand-out is durable before it is answered; later ones are counted and stored
    /// every second. Makes no revision.
    ///
    /// # Errors
    ///
    /// When the pool does not exist or has no such domain, or the store fails.
    pub async fn hand_out(&self, pool: &str) -> Result<Apex, Refusal> {
        let shared = &self.shared;
        let now = shared.clock.now();
        let (apex, is_first) = {
            let facts = shared.facts.read().unwrap_or_else(PoisonError::into_inner);
            let hand_outs = shared.hand_outs.lock();
            let mut hand_outs = hand_outs.unwrap_or_else(PoisonError::into_inner);
            hand_outs.pick(&facts, pool, now, shared.clock.monotonic())?
        };
        if is_first {
            let (answer, durable) = oneshot::channel();
            let message = Message::HandedOut(apex.clone(), now, answer);
            if shared.messages.send(message).is_err() {
                return Err(Refusal::Stopping);
            }
            durable.await.unwrap_or(Err(Refusal::Stopping))?;
        }
        Ok(apex)
    }
}

impl HandOuts {
    /// Picks a domain; says whether it is its first time.
    fn pick(
        &mut self,
        facts: &Facts,
        pool: &str,
        now: Timestamp,
        reading: Duration,
    ) -> Result<(Apex, bool), Refusal> {
        let Some((name, _)) = facts.pools.get_key_value(pool) else {
            return Err(Refusal::NotFound {
                kind: "pool",
                name: pool.to_owned(),
            });
        };
        let known = self.pools.get(name);
        let is_current = known.is_some_and(|known| {
            let waited = known.waits.is_some() && reading.saturating_sub(known.chosen_at) >= EVERY;
            known.chosen_on == facts.handed_on && !waited
        });
        if !is_current {
            let eligible = self.choose(facts, name, now, reading);
            self.pools.insert(Arc::clone(name), eligible);
        }
        let Some(eligible) = self.pools.get_mut(name) else {
            return Err(Refusal::Internal(
                "the pool has just been chosen from".to_owned(),
            ));
        };
        let Some((count, apex)) = eligible.domains.pop_first() else {
            let waits = eligible.waits.clone();
            let why = waits.unwrap_or_else(|| "none is active".to_owned());
            return Err(Refusal::Conflict(format!(
                "the pool {pool} has no domain to hand out: {why}"
            )));
        };
        eligible.domains.insert((count + 1, apex.clone()));
        // Until its first hand-out is durable every caller waits for that.
        let life = facts.domains.get(&apex).and_then(|it| it.life.as_ref());
        if life.is_none_or(|life| life.handed_out.is_none()) {
            return Ok((apex, true));
        }
        let pending = self.pending.entry(apex.clone()).or_insert((0, now));
        pending.0 += 1;
        pending.1 = pending.1.max(now);
        Ok((apex, false))
    }

    /// Chooses the domains of a pool that addresses may come from.
    fn choose(
        &self,
        facts: &Facts,
        pool: &Arc<str>,
        now: Timestamp,
        reading: Duration,
    ) -> Eligible {
        let mut domains = BTreeSet::new();
        let mut waits = None;
        // What was counted by this choice's predecessor and is not stored yet goes on counting.
        let before = self.pools.get(pool);
        let before: HashMap<&Apex, u64> = before
            .iter()
            .flat_map(|eligible| &eligible.domains)
            .map(|(count, apex)| (apex, *count))
            .collect();
        for (apex, domain) in facts.members(pool, LifecycleState::Active) {
            if let Some(why) = facts.keeps_back(apex, domain, now) {
                waits = waits.or(Some(why));
                continue;
            }
            let stored = domain.life.as_ref().and_then(|life| life.handed_out);
            let stored = stored.map_or(0, |given| given.count);
            let counted = before.get(apex).copied().unwrap_or(0);
            domains.insert((stored.max(counted), apex.clone()));
        }
        Eligible {
            chosen_on: facts.handed_on,
            chosen_at: reading,
            domains,
            waits,
        }
    }

    /// Takes out what was counted.
    pub(super) fn take(&mut self) -> BTreeMap<Apex, (u64, Timestamp)> {
        std::mem::take(&mut self.pending)
    }
}

impl Facts {
    /// Returns what keeps an active domain from being handed out, in words, if anything does.
    fn keeps_back(&self, apex: &Apex, domain: &DomainFacts, now: Timestamp) -> Option<String> {
        let name = apex.to_api_text();
        let life = domain.life.as_deref();
        if life.is_some_and(|life| life.suspension.is_some()) {
            return Some(format!("{name} is suspended"));
        }
        let circumstances = self.circumstances(apex, domain)?;
        let situation = circumstances.situation();
        let waits = lifecycle::hand_out_waits(&situation, now, &self.judgement.book);
        let wait = waits.into_iter().next()?;
        Some(format!("{name} waits: {wait}"))
    }
}

impl Writer {
    /// Takes in the first hand-out of a domain; answered when it is durable.
    pub(super) fn hand_out_first(&mut self, apex: Apex, at: Timestamp, answer: FirstAnswer) {
        let at = at.min(self.guard.likely(&*self.shared.clock));
        let learnt = self.acts.learnt.entry(apex.clone()).or_default();
        learnt.push((Learnt::HandedOut(1), at));
        self.acts.first.push((apex, answer));
        self.turn_away();
    }

    /// Turns away those who wait for the first hand-out of a domain that addresses may come from no
    /// more: since it was picked it was moved on, or suspended.
    ///
    /// To be called after every change: a hand-out that is stored behind it would give an address out
    /// of a domain that stands by again, whose mail is answered "later" until senders give up.
    pub(super) fn turn_away(&mut self) {
        if self.acts.first.is_empty() {
            return;
        }
        let now = self.shared.clock.now();
        let waiting = std::mem::take(&mut self.acts.first);
        let shared = Arc::clone(&self.shared);
        let facts = Self::facts(&shared);
        for (apex, answer) in waiting {
            let domain = facts.domains.get(&apex);
            let active = domain.filter(|domain| domain.state == LifecycleState::Active);
            let why = match active {
                // One that is gone is answered where what was learnt of it is dropped.
                None if domain.is_none() => None,
                None => Some(format!("{} is active no more", apex.to_api_text())),
                Some(domain) => facts.keeps_back(&apex, domain, now),
            };
            let Some(why) = why else {
                self.acts.first.push((apex, answer));
                continue;
            };
            if let Some(learnt) = self.acts.learnt.get_mut(&apex) {
                let mut given = learnt.iter();
                let given = given.position(|(what, _)| *what == Learnt::HandedOut(1));
                given.map(|at| learnt.remove(at));
                if learnt.is_empty() {
                    self.acts.learnt.remove(&apex);
                }
            }
            let _ = answer.send(Err(Refusal::Conflict(format!("{why}: ask again"))));
        }
    }

    /// Takes in what was counted, once a second.
    pub(super) fn take_counts(&mut self) {
        let reading = self.shared.clock.monotonic();
        let taken = self.acts.counted;
        if taken.is_some_and(|at| reading.saturating_sub(at) < EVERY) {
            return;
        }
        self.acts.counted = Some(reading);
        let counts = self.shared.hand_outs.lock();
        let counts = counts.unwrap_or_else(PoisonError::into_inner).take();
        // Addresses go on being handed out by a clock that is ahead: they are not promised for as long.
        let now = self.guard.likely(&*self.shared.clock);
        for (apex, (count, at)) in counts {
            let at = at.min(now);
            let learnt = self.acts.learnt.entry(apex).or_default();
            // While nothing can be stored one number grows, not a list of them.
            match learnt.last_mut() {
                Some((Learnt::HandedOut(known), last)) if *known > 1 => {
                    *known += count;
                    *last = at.max(*last);
                }
                _ => learnt.push((Learnt::HandedOut(count), at)),
            }
        }
    }

    /// Answers those whose first hand-out was stored, or was not.
    pub(super) fn answer_first(
        &mut self,
        stored: &dyn Fn(&Apex) -> bool,
        outcome: &Result<(), Refusal>,
    ) {
        let waiting = std::mem::take(&mut self.acts.first);
        for (apex, answer) in waiting {
            if stored(&apex) {
                // Who has gone away has not used the domain.
                let _ = answer.send(outcome.clone());
            } else {
                self.acts.first.push((apex, answer));
            }
        }
    }
}
