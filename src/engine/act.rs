//! What comes due by itself in domains' lives, and what is learnt of the outside.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tokio::sync::oneshot;

use super::facts::{DomainFacts, Facts};
use super::job::Claim;
use super::life::note_published;
use super::plan::boxed;
use super::writer::Writer;
use super::{Actor, Change, Op};
use crate::clock::Timestamp;
use crate::lifecycle::{self, Fact};
use crate::wire::Apex;

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

/// What the writer does by itself.
#[derive(Debug, Default)]
pub(super) struct Acts {
    /// The domains whose steps were taken or tried, and until when they rest.
    tried: HashMap<Apex, Duration>,
    /// What was learnt and is not stored yet.
    pub(super) learnt: BTreeMap<Apex, Vec<(Fact, Timestamp)>>,
}

impl Writer {
    /// Takes the steps that are due, some at a time; the rest has its turn when those are done.
    pub(super) fn act_on_due(&mut self) {
        let now = self.shared.clock.now();
        let reading = self.shared.clock.monotonic();
        self.acts.tried.retain(|_, until| reading < *until);
        let mut ops = Vec::new();
        let mut idle = Vec::new();
        {
            let facts = Self::facts(&self.shared);
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

    /// Returns whether a change that the engine makes by itself is in flight.
    pub(super) fn is_acting(&self) -> bool {
        let mut jobs = self.jobs.values();
        jobs.any(|job| job.change.actor.is_engine())
    }

    /// Takes in what was seen; stored with the next commit.
    pub(super) fn learn(&mut self, observations: Vec<Observation>) {
        for Observation { name, fact, at } in observations {
            self.acts.learnt.entry(name).or_default().push((fact, at));
        }
    }
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
pub(super) fn learnt(domain: &DomainFacts, facts: &[(Fact, Timestamp)]) -> DomainFacts {
    let mut domain = domain.clone();
    let mut life = domain.life.take().unwrap_or_default();
    for (fact, at) in facts {
        life.observed.learn(fact, *at);
        if let Fact::Published(oldest) = fact {
            note_published(&mut life, domain.served.serial, *oldest, *at);
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

    /// Returns whether it is the engine itself.
    pub(super) fn is_engine(&self) -> bool {
        self.0 == "mxpool"
    }
}
