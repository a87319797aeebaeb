//! Which domain the next new address comes from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::Refusal;
use super::act::Learnt;
use super::facts::{DomainFacts, Facts};
use super::handle::Engine;
use super::recent::Place;
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

/// The active domains of one pool, and which of them addresses may come from.
#[derive(Debug, Default)]
struct Eligible {
    /// Up to where changes of domains were followed; `None` before the first choice.
    place: Option<Place>,
    /// When those that wait were looked at last; a monotonic reading.
    looked_at: Duration,
    /// How often each was handed out.
    counts: HashMap<Apex, u64>,
    /// The domains that addresses may come from, the least handed out first.
    domains: BTreeSet<(u64, Apex)>,
    /// The others, and what keeps each of them back, in words.
    waits: BTreeMap<Apex, String>,
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
        let eligible = self.pools.entry(Arc::clone(name)).or_default();
        eligible.follow(facts, name, now, reading);
        let Some((count, apex)) = eligible.domains.pop_first() else {
            let why = eligible.waits.values().next();
            let why = why.map_or("none is active", String::as_str);
            return Err(Refusal::Conflict(format!(
                "the pool {pool} has no domain to hand out: {why}"
            )));
        };
        eligible.counts.insert(apex.clone(), count + 1);
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

    /// Takes out what was counted.
    pub(super) fn take(&mut self) -> BTreeMap<Apex, (u64, Timestamp)> {
        std::mem::take(&mut self.pending)
    }
}

impl Eligible {
    /// Looks again at what changed, and at what waits for something.
    fn follow(&mut self, facts: &Facts, pool: &str, now: Timestamp, reading: Duration) {
        let place = self.place.replace(facts.recent.place());
        let changed = place.and_then(|place| facts.recent.changed_since(place));
        let Some(changed) = changed else {
            self.looked_at = reading;
            return self.choose(facts, pool, now);
        };
        for apex in changed {
            self.look_at(facts, pool, apex, now);
        }
        let waited = reading.saturating_sub(self.looked_at) >= EVERY;
        let eased = place.is_some_and(|place| facts.recent.eased_since(place));
        if waited || eased {
            self.looked_at = reading;
            for apex in std::mem::take(&mut self.waits).keys() {
                self.look_at(facts, pool, apex, now);
            }
        }
    }

    /// Chooses among all domains of the pool; what was counted and is not stored yet goes on counting.
    fn choose(&mut self, facts: &Facts, pool: &str, now: Timestamp) {
        let counts = std::mem::take(&mut self.counts);
        self.domains.clear();
        self.waits.clear();
        for (apex, _) in facts.members(pool, LifecycleState::Active) {
            let counted = counts.get(apex).map(|count| (apex.clone(), *count));
            self.counts.extend(counted);
            self.look_at(facts, pool, apex, now);
        }
    }

    /// Finds out whether addresses may come from a domain.
    fn look_at(&mut self, facts: &Facts, pool: &str, apex: &Apex, now: Timestamp) {
        let counted = self.counts.remove(apex);
        if let Some(counted) = counted {
            self.domains.remove(&(counted, apex.clone()));
        }
        self.waits.remove(apex);
        let domain = facts.domains.get(apex);
        let is_active = |it: &&DomainFacts| *it.pool == *pool && it.state == LifecycleState::Active;
        let Some(domain) = domain.filter(is_active) else {
            return;
        };
        let stored = domain.life.as_ref().and_then(|life| life.handed_out);
        let stored = stored.map_or(0, |given| given.count);
        let count = stored.max(counted.unwrap_or(0));
        self.counts.insert(apex.clone(), count);
        match facts.keeps_back(apex, domain, now) {
            Some(why) => drop(self.waits.insert(apex.clone(), why)),
            None => drop(self.domains.insert((count, apex.clone()))),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dnssec::SigningPolicy;
    use crate::engine::facts::{PoolFacts, Recipe, Served, SharedTemplate};
    use crate::engine::life::Life;
    use crate::lifecycle::Suspension;
    use crate::mail::{PoolSettings, RoutingAnswer};
    use crate::wire::Serial;
    use crate::zone::Template;

    const NOW: Timestamp = Timestamp::from_secs(1_795_537_800);

    fn name(number: usize) -> Apex {
        Apex::parse(&format!("d{number}.example")).unwrap()
    }

    /// Returns what is known of a pool without domains.
    fn with_pool() -> Facts {
        let document = serde_json::json!({
            "nameservers": ["ns1.infra.example.", "ns2.infra.example."],
            "hostmaster": "hostmaster@infra.example",
            "mail_host": [{ "name": "mx1.infra.example." }],
        });
        let recipe = Recipe {
            settings: Arc::new(PoolSettings::from_document(&document).unwrap()),
            template: SharedTemplate::new(Template::new(Vec::new()).unwrap()),
            signing: SigningPolicy::default(),
        };
        let pool = PoolFacts {
            revision: 1,
            recipe: Arc::new(recipe),
            policy: None,
            counts: [0; LifecycleState::ALL.len()],
            since: NOW,
            earlier: Vec::new(),
            wish: None,
        };
        let mut facts = Facts::default();
        facts.put_pool(&"main".into(), pool);
        facts
    }

    /// Puts a domain into a state, suspended if told so.
    fn put(facts: &mut Facts, number: usize, state: LifecycleState, suspended: bool) {
        let suspension = suspended.then(|| Suspension {
            answer: RoutingAnswer::Later,
            since: NOW,
            until: None,
            reason: String::new(),
        });
        let domain = DomainFacts {
            pool: "main".into(),
            state,
            fresh: true,
            since: NOW,
            revision: 1,
            rare: None,
            served: Served {
                version: 1,
                serial: Serial::new(1),
                earliest_expiration: NOW,
                ds: Box::default(),
                template: SharedTemplate::new(Template::new(Vec::new()).unwrap()),
            },
            added: NOW,
            routed: 1,
            life: Some(Box::new(Life {
                suspension,
                ..Life::default()
            })),
        };
        facts.put_domain(name(number), domain);
    }

    /// Who follows changes stands where they would stand who chose anew.
    #[test]
    fn changes_are_followed_one_by_one() {
        const STATES: [LifecycleState; 3] = [
            LifecycleState::Standby,
            LifecycleState::Active,
            LifecycleState::Draining,
        ];
        let mut facts = with_pool();
        let mut followed = Eligible::default();
        let (mut most_eligible, mut most_waiting) = (0, 0);
        let mut random = 7_usize;
        for _ in 0..3_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695);
            let (number, what) = ((random >> 33) % 9, (random >> 40) % 8);
            match what {
                0 => facts.remove_domain(&name(number)),
                1 => facts.recent.note_all(),
                _ => put(&mut facts, number, STATES[what % 3], what > 5),
            }
            facts.recent.note(name(number));
            if what == 2 {
                // Nobody asks for a while.
                continue;
            }

            followed.follow(&facts, "main", NOW, Duration::ZERO);

            let mut anew = Eligible::default();
            anew.follow(&facts, "main", NOW, Duration::ZERO);
            assert_eq!(followed.domains, anew.domains);
            assert_eq!(followed.waits, anew.waits);
            assert_eq!(followed.counts, anew.counts);
            most_eligible = most_eligible.max(anew.domains.len());
            most_waiting = most_waiting.max(anew.waits.len());
        }
        assert!(most_eligible > 2 && most_waiting > 2);
    }

    /// Any change of any domain had all active ones looked at again: with 5 000 of them 36 hand-outs a
    /// second were left beside rotations.
    #[test]
    fn only_what_changed_is_looked_at_again() {
        let mut facts = with_pool();
        (0..2).for_each(|number| put(&mut facts, number, LifecycleState::Active, false));
        let mut eligible = Eligible::default();
        eligible.follow(&facts, "main", NOW, Duration::ZERO);

        // Both are suspended, and it is told of one.
        (0..2).for_each(|number| put(&mut facts, number, LifecycleState::Active, true));
        facts.recent.note(name(1));
        eligible.follow(&facts, "main", NOW, Duration::ZERO);

        assert_eq!(Vec::from_iter(eligible.waits.keys()), [&name(1)]);
        assert_eq!(Vec::from_iter(eligible.domains), [(0, name(0))]);
    }
}
