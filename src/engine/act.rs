//! What comes due by itself in domains' lives, and what is learnt of the outside.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::facts::{DomainFacts, Facts};
use super::handout::FirstAnswer;
use super::job::Claim;
use super::life::note_published;
use super::old_changes::OldChanges;
use super::plan::boxed;
use super::scheduled::Running;
use super::writer::Writer;
use super::{Actor, Change, Op};
use crate::clock::Timestamp;
use crate::lifecycle::{self, Fact, HandedOut};
use crate::wire::{Apex, Serial};

/// How many domains are moved on by one change.
const AT_ONCE: usize = 256;

/// How long a domain rests whose step could not be taken, by the clock that nobody sets.
const REST: Duration = Duration::from_secs(60);

/// Something that was seen of a domain, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The domain.
    pub name: Apex,
    /// What was seen.
    pub fact: Fact,
    /// When.
    pub at: Timestamp,
}

/// Something that a domain's facts take in without a change of intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Learnt {
    /// It was seen.
    Seen(Fact),
    /// Addresses were handed out, so many.
    HandedOut(u64),
}

/// What the writer does by itself.
#[derive(Debug, Default)]
pub(super) struct Acts {
    /// Until when all of that rests after a start; a monotonic reading.
    rests_until: Option<Duration>,
    /// The domains whose steps were taken or tried, and until when they rest.
    tried: HashMap<Apex, Duration>,
    /// The scheduled change that is being made.
    pub(super) running: Running,
    /// What was learnt and is not stored yet.
    pub(super) learnt: BTreeMap<Apex, Vec<(Learnt, Timestamp)>>,
    /// The pools that were looked at for domains that are too old, and until when they rest.
    rotated: HashMap<Arc<str>, Duration>,
    /// The pools whose wishes were looked at, and until when they rest.
    pub(super) staged: HashMap<Arc<str>, Duration>,
    /// The pools whose policies were adopted anew in this run.
    adopted: HashSet<Arc<str>>,
    /// Who waits for the first hand-out of a domain to be durable.
    pub(super) first: Vec<(Apex, FirstAnswer)>,
    /// When days were looked at whose counts are over; a monotonic reading.
    pub(super) days_ended: Option<Duration>,
    /// The look for scheduled changes that are to be forgotten.
    pub(super) old_changes: OldChanges,
    /// When counts of hand-outs were taken in last; a monotonic reading.
    pub(super) counted: Option<Duration>,
}

impl Acts {
    /// Begins, and rests for a while if so told.
    pub(super) fn resting(until: Option<Duration>) -> Self {
        Self {
            rests_until: until,
            ..Self::default()
        }
    }
}

impl Writer {
    /// Takes the steps that are due, some at a time; the rest has its turn when those are done.
    pub(super) fn act_on_due(&mut self) {
        // By a clock that is a year ahead, everything would be due.
        let Ok((now, reading)) = self.guard.readings(&*self.shared.clock) else {
            return;
        };
        if self.acts.rests_until.is_some_and(|until| reading < until) {
            return;
        }
        self.acts.tried.retain(|_, until| reading < *until);
        self.acts.rotated.retain(|_, until| reading < *until);
        let mut ops = Vec::new();
        let mut idle = Vec::new();
        let mut aged_pools = Vec::new();
        {
            let facts = Self::facts(&self.shared);
            // What a restored store has forgotten may have stood under a policy's id (S2, K28).
            let adopt = facts.policies_to_adopt().filter(|pool| {
                !self.claims.contains_key(&Claim::Pool(pool.to_string()))
                    && !self.acts.adopted.contains(pool)
            });
            let adopt: Vec<Arc<str>> = adopt.collect();
            ops.extend(adopt.iter().map(|pool| Op::AdoptAnew {
                pool: pool.to_string(),
            }));
            self.acts.adopted.extend(adopt);
            // One change for each: two pools' rotations need not wait for each other, and one that
            // is asked for meanwhile goes first.
            let aged = facts.pools.keys().filter(|pool| {
                !self.claims.contains_key(&Claim::Pool(pool.to_string()))
                    && !self.acts.rotated.contains_key(*pool)
                    && facts.is_aged(pool, now)
            });
            aged_pools.extend(aged.cloned());
            let due = facts.wake.iter().take_while(|(at, _)| *at <= now);
            let due = due.filter(|(_, apex)| {
                !self.acts.tried.contains_key(apex)
                    && !self.claims.contains_key(&Claim::Name(apex.clone()))
            });
            for (_, apex) in due.take(AT_ONCE) {
                let actions = actions(&facts, apex, now);
                if actions.is_empty() {
                    idle.push(apex.clone());
                }
                ops.extend(actions);
            }
        }
        if !idle.is_empty() {
            let mut facts = self.shared.facts.write();
            let facts = facts
                .as_mut()
                .map_or_else(|poisoned| &mut **poisoned.get_mut(), |facts| &mut **facts);
            for apex in idle {
                facts.look_again(&apex, now);
            }
        }
        for pool in aged_pools {
            let until = reading.saturating_add(REST);
            self.acts.rotated.insert(Arc::clone(&pool), until);
            self.act(vec![Op::RotateAged {
                pool: pool.to_string(),
            }]);
        }
        self.run_scheduled(now, reading);
        self.stage_due(now, reading);
        if ops.is_empty() {
            return;
        }
        let names: HashSet<Apex> = ops
            .iter()
            .filter_map(|op| match op {
                Op::Act { name, .. } => Some(name.clone()),
                _ => None,
            })
            .collect();
        let until = reading.saturating_add(REST);
        let tried = names.iter().map(|name| (name.clone(), until));
        self.acts.tried.extend(tried);
        self.act(ops);
    }

    /// Takes in a change of the engine's own.
    pub(super) fn act(&mut self, ops: Vec<Op>) {
        let change = Change {
            ops,
            actor: Actor::engine(),
            reason: None,
            id: None,
            dry_run: false,
            // The clock asks nobody.
            expect_domains: None,
        };
        // Nobody waits for the answer; what fails is logged, and tried again later.
        let (answer, _) = oneshot::channel();
        self.accept(Box::new(change), answer);
    }

    /// Lets domains whose steps were taken go on at once.
    pub(super) fn acted<'a>(&mut self, names: impl IntoIterator<Item = &'a Apex>) {
        for name in names {
            self.acts.tried.remove(name);
        }
    }

    /// Lets a pool that was rotated be rotated again at once, as soon as its domains are too old.
    pub(super) fn rotated(&mut self, pool: &str) {
        self.acts.rotated.remove(pool);
    }

    /// Returns whether a change that the engine makes by itself is in flight.
    pub(super) fn is_acting(&self) -> bool {
        let mut jobs = self.jobs.values();
        !self.acts.running.is_idle() || jobs.any(|job| job.change.is_act())
    }

    /// Takes in which serial the listed servers of one of the operator's zones serve; returns whether
    /// there is such a zone.
    fn note_zone(&self, apex: &Apex, oldest: Serial, at: Timestamp) -> bool {
        if !Self::facts(&self.shared).zones.contains_key(apex) {
            return false;
        }
        let mut facts = self.shared.facts.write();
        let facts = facts
            .as_mut()
            .map_or_else(|poisoned| &mut **poisoned.get_mut(), |facts| &mut **facts);
        facts.zone_published(apex, oldest, at)
    }

    /// Takes in what was seen; stored with the next commit.
    pub(super) fn learn(&mut self, observations: Vec<Observation>) {
        // What was seen by a wrong clock would count for too long, or for too short a time; it is seen
        // again when the clock is right.
        if self.guard.now(&*self.shared.clock).is_err() {
            return;
        }
        for Observation { name, fact, at } in observations {
            if let Fact::Published(oldest) = &fact
                && self.note_zone(&name, *oldest, at)
            {
                continue;
            }
            let learnt = self.acts.learnt.entry(name).or_default();
            add(learnt, fact, at);
        }
    }
}

/// Adds something that was seen to what is not stored yet.
///
/// What is seen again and again, while nothing can be stored, is kept twice: since when, and when last.
fn add(learnt: &mut Vec<(Learnt, Timestamp)>, fact: Fact, at: Timestamp) {
    let of_kind = learnt.iter_mut().rev();
    let mut of_kind = of_kind.filter_map(|(learnt, at)| match learnt {
        Learnt::Seen(known) if is_about_the_same(known, &fact) => Some((&*known, at)),
        Learnt::Seen(_) | Learnt::HandedOut(_) => None,
    });
    if let (Some((last, seen)), Some((before, _))) = (of_kind.next(), of_kind.next())
        && *last == fact
        && *before == fact
    {
        *seen = at.max(*seen);
        return;
    }
    learnt.push((Learnt::Seen(fact), at));
}

/// Returns whether one of two facts may say something else of what the other is about.
fn is_about_the_same(one: &Fact, other: &Fact) -> bool {
    let about = |fact: &Fact| match fact {
        Fact::Ns(..) | Fact::NsDiffer => 0,
        Fact::Ds(_) | Fact::DsDiffer => 1,
        Fact::Parent(_) => 2,
        Fact::Published(_) | Fact::Servers(_) => 3,
        Fact::Mail(_) | Fact::Deferral => 4,
        Fact::Policy(_) => 5,
        Fact::Queries(_) => 6,
    };
    about(one) == about(other)
}

/// Returns the steps that are due for a domain.
fn actions(facts: &Facts, apex: &Apex, now: Timestamp) -> Vec<Op> {
    let Some(domain) = facts.domains.get(apex) else {
        return Vec::new();
    };
    let Some(circumstances) = facts.circumstances(apex, domain) else {
        return Vec::new();
    };
    let due = lifecycle::due(&circumstances.situation(), now, &facts.judgement.book);
    due.into_iter()
        .map(|due| Op::Act {
            name: apex.clone(),
            action: due.action,
        })
        .collect()
}

/// Returns a domain that has learnt something.
pub(super) fn learnt(domain: &DomainFacts, facts: &[(Learnt, Timestamp)]) -> DomainFacts {
    let mut domain = domain.clone();
    let mut life = domain.life.take().unwrap_or_default();
    for (what, at) in facts {
        match what {
            Learnt::Seen(fact) => {
                life.observed.learn(fact, *at);
                if let Fact::Published(oldest) = fact {
                    note_published(&mut life, domain.served.serial, *oldest, *at);
                }
            }
            Learnt::HandedOut(count) => {
                let given = life.handed_out.get_or_insert(HandedOut {
                    first: *at,
                    last: *at,
                    count: 0,
                });
                given.last = given.last.max(*at);
                given.count += count;
            }
        }
    }
    domain.life = boxed(*life);
    domain
}

impl Actor {
    /// The engine itself: the clock, or a fact.
    pub(super) fn engine() -> Self {
        Self("mxpool".to_owned())
    }
}

impl Change {
    /// Returns whether it is one that the engine makes by itself.
    pub(super) fn is_act(&self) -> bool {
        let mut ops = self.ops.iter();
        ops.any(|op| {
            matches!(
                op,
                Op::Act { .. }
                    | Op::AdoptAnew { .. }
                    | Op::RotateAged { .. }
                    | Op::FailScheduled { .. }
                    | Op::StagePool { .. }
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{Observed, ServersSeen};

    /// With a full disk, what was seen every five minutes was kept for as long.
    #[test]
    fn what_is_seen_again_while_nothing_can_be_stored_takes_no_more_room() {
        let at = Timestamp::from_secs;
        let seven = || Fact::Published(Serial::new(7));
        let seen = [
            (Fact::Mail(true), 10),
            (seven(), 11),
            (Fact::Mail(true), 20),
            (Fact::Servers(ServersSeen::None), 21),
            (seven(), 31),
            (Fact::Mail(true), 40),
            (seven(), 41),
            (Fact::Mail(true), 50),
            (seven(), 51),
            (seven(), 61),
            (Fact::Mail(false), 70),
            (Fact::Mail(true), 80),
        ];
        let (mut all, mut kept) = (Observed::default(), Vec::new());
        for (fact, moment) in seen {
            all.learn(&fact, at(moment));
            add(&mut kept, fact, at(moment));
        }

        let mut learnt = Observed::default();
        for (what, moment) in &kept {
            if let Learnt::Seen(fact) = what {
                learnt.learn(fact, *moment);
            }
        }
        assert_eq!(learnt, all);
        assert_eq!(kept.len(), 8);
    }
}
