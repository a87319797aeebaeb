//! The engine itself as the product: on a store in memory, under a clock moved by hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mxpool::clock::{Clock, ManualClock, Timestamp};
use mxpool::dnssec::SealingKey;
use mxpool::engine::{
    Actor, AddDomain, Change, DomainFilter, Engine, EngineConfig, EngineThreads, Observation, Op,
    OpError, Outcome, Refusal, Undo, Word,
};
use mxpool::lifecycle::{Fact, Rulebook};
use mxpool::mail::{PoolSettings, RoutingAnswer, RoutingReader, mta_sts_file, routing_set};
use mxpool::metrics::Metrics;
use mxpool::store::{Memory, Store, restore_into};
use mxpool::wire::{Apex, Name, NoIncludes, Ttl, parse_master};
use mxpool::zone::{ZoneData, ZoneReader, zone_set};

use super::dns::{Shown, Spot};
use super::facts::{facts, stage_of, state_of};
use super::parent::{Delegation, Secure};
use super::play::START;
use super::product::{DomainNow, Order, Product, Reaction, Reply, Sight};
use super::story::guest_zone;

/// The pool.
const POOL: &str = "main";

/// The operator's own zone.
const INFRA_ZONE: &str = "\
@ 900 SOA ns1 hostmaster 1 14400 3600 1209600 900
@ NS ns1
@ NS ns2
ns1 A 192.0.2.53
ns2 A 192.0.2.54
";

/// A zone of the operator's whose MX may lead to a host in a domain.
const OTHER_ZONE: &str = "\
@ 900 SOA ns1.infra.test. hostmaster.infra.test. 1 14400 3600 1209600 900
@ NS ns1.infra.test.
@ NS ns2.infra.test.
";

/// An engine that runs, with all it needs.
pub(crate) struct Running {
    /// The engine.
    engine: Engine,
    /// Its threads.
    threads: Option<EngineThreads>,
    /// What is served.
    zones: ZoneReader,
    /// What mail hosts may accept.
    routing: RoutingReader,
    /// What is stored.
    store: Arc<Memory>,
}

/// The engine in the world.
pub(crate) struct Real {
    /// The engine, as it runs now.
    running: Running,
    /// How it works.
    config: EngineConfig,
    /// The time.
    clock: Arc<ManualClock>,
    /// Runs what it answers later.
    runtime: tokio::runtime::Runtime,
    /// The last backup.
    backup: Option<Vec<u8>>,
    /// What the operator said last, by subject.
    said: BTreeMap<(String, &'static str), Word>,
    /// The id of the policy that was last said to be served, by domain.
    served: BTreeMap<String, String>,
    /// Whether the hosts lie in each domain.
    in_domain: bool,
}

impl Running {
    /// Starts an engine on what is stored.
    fn start(config: &EngineConfig, store: Arc<Memory>, clock: &Arc<ManualClock>) -> Self {
        let (publisher, zones) = zone_set();
        let (routes, routing) = routing_set();
        let (engine, threads) = Engine::start(
            config.clone(),
            Arc::clone(&store) as Arc<dyn Store>,
            Arc::clone(clock) as Arc<dyn Clock>,
            SealingKey::from_bytes(&[7; 32]).expect("32 octets are a key"),
            publisher,
            routes,
            Arc::new(Metrics::new()),
        )
        .unwrap_or_else(|error| panic!("the engine does not start: {error}"));
        Self {
            engine,
            threads: Some(threads),
            zones,
            routing,
            store,
        }
    }

    /// Stops the engine.
    fn stop(&mut self) {
        self.engine.stop();
        if let Some(threads) = self.threads.take() {
            threads.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Real {
    /// Starts an engine that keeps to a rulebook.
    pub(crate) fn new(rulebook: Rulebook, watched: bool) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
        let config = EngineConfig {
            workers: 1,
            queue: 16,
            rulebook,
            watched,
        };
        let running = Running::start(&config, Arc::new(Memory::new()), &clock);
        Self {
            running,
            config,
            clock,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .expect("a runtime can be made"),
            backup: None,
            said: BTreeMap::new(),
            served: BTreeMap::new(),
            in_domain: false,
        }
    }

    /// Makes a change.
    fn change(&self, ops: Vec<Op>, expect: Option<u64>) -> Result<Outcome, Vec<OpError>> {
        let change = wish(ops, expect);
        self.runtime.block_on(self.running.engine.change(change))
    }

    /// Makes a change of one step, saying as many domains as it is asked to expect.
    fn react(&self, op: Op) -> Reaction {
        self.react_all(vec![op])
    }

    /// The same with several steps.
    fn react_all(&self, ops: Vec<Op>) -> Reaction {
        let mut made = self.change(ops.clone(), None);
        if let Err(errors) = &made
            && let Some(Refusal::ExpectDomains { touched, .. }) =
                errors.first().map(|error| &error.refusal)
        {
            made = self.change(ops, Some(*touched));
        }
        match made {
            Ok(outcome) => Reaction::Done(outcome.revision),
            Err(errors) => reaction(&errors),
        }
    }

    /// Takes a change back.
    fn undo(&self, id: u64) -> Reaction {
        let undo = Undo {
            id,
            actor: Actor("story".to_owned()),
            reason: Some("it is told so".to_owned()),
            key: None,
            dry_run: false,
            expect_domains: None,
        };
        let undone = self.runtime.block_on(self.running.engine.undo(undo));
        match undone {
            Ok(outcome) => Reaction::Done(outcome.revision),
            Err(errors) => reaction(&errors),
        }
    }

    /// Has steps made at a moment.
    fn schedule(&self, ops: Vec<Op>, at: u64) -> Reaction {
        let engine = &self.running.engine;
        let scheduled = engine.schedule(wish(ops, None), Timestamp::from_secs(at));
        match self.runtime.block_on(scheduled) {
            Ok(outcome) => Reaction::Done(outcome.revision),
            Err(errors) => reaction(&errors),
        }
    }

    /// Returns the steps of an order.
    fn ops(order: &Order) -> Option<Vec<Op>> {
        let op = match order {
            Order::PutPool(document) => {
                let settings = PoolSettings::from_document(document).ok()?;
                Op::PutPool {
                    name: POOL.to_owned(),
                    settings: Box::new(settings),
                    if_match: None,
                }
            }
            Order::Add {
                domain,
                fresh,
                expires,
            } => Op::AddDomain(AddDomain {
                pool: POOL.to_owned(),
                name: apex(domain),
                if_absent: false,
                fresh: Some(*fresh),
                registrar: None,
                expires_at: expires.map(Timestamp::from_secs),
                labels: BTreeMap::new(),
            }),
            Order::Renew(name, until) => Op::PatchDomain {
                name: apex(name),
                registrar: None,
                expires_at: Some(Some(Timestamp::from_secs(*until))),
                labels: None,
                if_match: None,
            },
            Order::Refer(name, names) => {
                let mut records = OTHER_ZONE.to_owned();
                if *names {
                    records += &format!("@ MX 10 mx1.{name}.\n");
                }
                put_zone(&guest_zone(name), &records)
            }
            Order::Step { domain, to, force } => Op::Transition {
                name: apex(domain),
                to: state_of(*to),
                force: *force,
                if_match: None,
            },
            Order::Rotate(burn, activate) => Op::Rotate {
                pool: POOL.to_owned(),
                burn: burn.iter().map(|name| apex(name)).collect(),
                activate: *activate,
                if_match: None,
            },
            Order::Suspend(name, reply) => Op::Suspend {
                name: apex(name),
                answer: match reply {
                    Reply::Never => RoutingAnswer::Never,
                    Reply::Accept | Reply::Later => RoutingAnswer::Later,
                },
                until: None,
                if_match: None,
            },
            Order::Resume(name) => Op::Resume {
                name: apex(name),
                if_match: None,
            },
            Order::Hold(name) => Op::Hold {
                name: apex(name),
                if_match: None,
            },
            Order::Unhold(name) => Op::Unhold {
                name: apex(name),
                if_match: None,
            },
            Order::Undo(_) | Order::At(..) => return None,
        };
        Some(vec![op])
    }

    /// Returns a host's name in the API.
    fn host(&self, label: &str) -> String {
        if self.in_domain {
            format!("{label}@{POOL}")
        } else {
            format!("{label}.infra.test")
        }
    }

    /// Says the operator's word, if it is another than before.
    fn say(&mut self, name: &str, subject: &'static str, word: Word) {
        let key = (name.to_owned(), subject);
        if self.said.get(&key) == Some(&word) {
            return;
        }
        let said = self.change(
            vec![Op::Observe {
                name: apex(name),
                word: word.clone(),
                if_match: None,
            }],
            None,
        );
        if said.is_ok() {
            self.said.insert(key, word);
        }
    }

    /// Says as the operator what is to be seen.
    fn word(&mut self, sight: &Sight) {
        match sight {
            Sight::Parent(parent) => {
                let all = |wanted| parent.delegations.iter().all(|it| *it == wanted);
                let key = self.domain(&parent.domain).map_or(0, |domain| domain.ds);
                let secured = parent.secures.iter().all(|it| *it == Secure::Key(key));
                let absent = parent.secures.iter().all(|it| *it == Secure::Not);
                let word = Word {
                    ns: (!all(Delegation::Nowhere)).then_some(all(Delegation::Ours)),
                    ns_gone: all(Delegation::Nowhere).then_some(true),
                    ds: (!absent).then_some(secured),
                    ..Word::default()
                };
                self.say(&parent.domain, "parent", word);
            }
            Sight::Mail { domain, green } => {
                let word = Word {
                    mail_ready: Some(*green),
                    ..Word::default()
                };
                self.say(domain, "mail", word);
            }
            Sight::Policy(domain, files) => {
                let wanted = self.policy(domain);
                let served = wanted.is_some() && files.iter().all(|file| *file == wanted);
                let shown = self.prospect_ids(domain);
                // Another id asks for another word.
                let said = self.served.get(domain);
                if let Some(id) = shown.0.filter(|id| served && said != Some(id)) {
                    self.served.insert(domain.clone(), id);
                    self.said.remove(&(domain.clone(), "policy"));
                    let word = Word {
                        policy_served: Some(true),
                        ..Word::default()
                    };
                    self.say(domain, "policy", word);
                }
            }
            Sight::Counts(domain, queries) => {
                self.said.remove(&(domain.clone(), "counts"));
                let word = Word {
                    queries: Some(*queries),
                    ..Word::default()
                };
                self.say(domain, "counts", word);
            }
            Sight::Deferrals(label, _, to) => {
                let host = self.host(label);
                self.react(Op::HostDeferrals {
                    host,
                    to: Timestamp::from_secs(*to),
                });
            }
            Sight::Servers(..) | Sight::Applied(..) => {}
        }
    }

    /// Returns the ids of the policy that is to be announced and of the one that is.
    fn prospect_ids(&self, name: &str) -> (Option<String>, Option<String>) {
        let view = self.running.engine.view();
        let prospect = view.prospect(&apex(name));
        prospect.map_or((None, None), |it| (it.policy_wanted, it.policy_shown))
    }

    /// Returns what is seen of the domains that a sight speaks of.
    fn seen(&mut self, sight: &Sight) -> Vec<Observation> {
        let at = self.clock.now();
        let names: Vec<String> = match sight.domain() {
            Some(name) => vec![name.to_owned()],
            None => self.names(),
        };
        let mut observations = Vec::new();
        for name in names {
            let domain = self.domain(&name);
            let is_zone = name == super::world::INFRA;
            let Some(ds) = domain.map(|it| it.ds).or(is_zone.then_some(0)) else {
                continue;
            };
            let policy = match sight {
                Sight::Policy(..) => self.prospect_ids(&name).0.zip(self.policy(&name)),
                _ => None,
            };
            let found: Vec<Fact> = facts(sight, &name, ds, policy.as_ref());
            observations.extend(found.into_iter().map(|fact| Observation {
                name: apex(&name),
                fact,
                at,
            }));
        }
        observations
    }

    /// Returns the names of all domains.
    fn names(&self) -> Vec<String> {
        let view = self.running.engine.view();
        let page = view.domains(&DomainFilter::default(), None, 100);
        let domains = page.items.iter();
        domains.map(|domain| domain.name.to_api_text()).collect()
    }
}

/// Returns a change as the operator of a story asks for it.
fn wish(ops: Vec<Op>, expect: Option<u64>) -> Change {
    Change {
        ops,
        actor: Actor("story".to_owned()),
        reason: Some("it is told so".to_owned()),
        id: None,
        dry_run: false,
        expect_domains: expect,
    }
}

/// Returns why a change was not made.
fn reaction(errors: &[OpError]) -> Reaction {
    let Some(error) = errors.first() else {
        return Reaction::Refused("without a reason".to_owned());
    };
    match &error.refusal {
        Refusal::TooEarly {
            waiting_for,
            not_before,
        } => {
            let words: Vec<String> = waiting_for.iter().map(ToString::to_string).collect();
            let known = waiting_for.iter().all(|wait| wait.not_before.is_some());
            let at = not_before.filter(|_| known).map(Timestamp::as_secs);
            Reaction::TooEarly(at, words.join("; "))
        }
        other => Reaction::Refused(other.to_string()),
    }
}

/// Returns the step that has a zone of the operator's served.
fn put_zone(name: &str, records: &str) -> Op {
    let zone = apex(name);
    let ttl = Ttl::from_secs(3600);
    let records =
        parse_master(records, None, &zone, ttl, &NoIncludes).expect("the zone is well formed");
    Op::PutZone {
        data: ZoneData::from_master(&zone, records).expect("a zone"),
        apex: zone,
        if_match: None,
    }
}

/// Returns a domain's name.
fn apex(name: &str) -> Apex {
    Apex::parse(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

impl Product for Real {
    fn at(&mut self, now: u64) {
        let ahead = now.saturating_sub(self.clock.now().as_secs());
        self.clock.advance(Duration::from_secs(ahead));
    }

    fn tick(&mut self) {
        self.running.engine.tick();
    }

    fn order(&mut self, order: &Order) -> Reaction {
        if let Order::Undo(revision) = order {
            return self.undo(*revision);
        }
        if let Order::At(at, order) = order {
            return match Self::ops(order) {
                Some(ops) => self.schedule(ops, *at),
                None => Reaction::Refused("there is no such order".to_owned()),
            };
        }
        let Some(mut ops) = Self::ops(order) else {
            return Reaction::Refused("there is no such order".to_owned());
        };
        if let Order::PutPool(document) = order {
            let name = document["mail_host"][0]["name"].as_str();
            self.in_domain = name.is_some_and(|name| !name.ends_with('.'));
            if self.running.engine.view().zones().is_empty() {
                ops.insert(0, put_zone(super::world::INFRA, INFRA_ZONE));
            }
        }
        self.react_all(ops)
    }

    fn hand_out(&mut self) -> Option<String> {
        let handed = self.runtime.block_on(self.running.engine.hand_out(POOL));
        handed.ok().map(|name| name.to_api_text())
    }

    fn tell(&mut self, sights: &[Sight]) {
        let mut observations = Vec::new();
        for sight in sights {
            if let Sight::Applied(label, revision) = sight {
                let host = self.host(label);
                self.react(Op::HostApplied {
                    host,
                    revision: *revision,
                });
            } else if self.config.watched {
                observations.extend(self.seen(sight));
            } else {
                self.word(sight);
            }
        }
        if !observations.is_empty() {
            self.running.engine.observe(observations);
        }
    }

    fn shown(&mut self, apex: &str, spots: &[Spot]) -> Option<Shown> {
        let now = self.clock.now().as_secs();
        Shown::read(&self.running.zones, apex, spots, "s1", now)
    }

    fn serial(&mut self, apex: &str) -> Option<u32> {
        let name = Name::parse(apex).expect("a name of the story");
        let image = self.running.zones.get(&name)?;
        Some(image.serial().number())
    }

    fn route(&mut self, domain: &str) -> Option<Reply> {
        let name = Name::parse(domain).expect("a name of the story");
        match self.running.routing.get(&name)?.answer {
            RoutingAnswer::Accept => Some(Reply::Accept),
            RoutingAnswer::Later => Some(Reply::Later),
            RoutingAnswer::Never => Some(Reply::Never),
            RoutingAnswer::Gone => None,
        }
    }

    fn revision(&mut self) -> u64 {
        let view = self.running.engine.view();
        let page = view.routing(0, None, 100);
        let entries = page.items.iter();
        entries.map(|entry| entry.revision).max().unwrap_or(0)
    }

    fn policy(&mut self, domain: &str) -> Option<String> {
        let view = self.running.engine.view();
        let domain = view.domain(&apex(domain))?;
        let pool = view.pool(&domain.pool)?;
        mta_sts_file(&pool.settings, &domain.name, domain.policy_form?)
    }

    fn domain(&mut self, domain: &str) -> Option<DomainNow> {
        let view = self.running.engine.view();
        let domain = view.domain(&apex(domain))?;
        Some(DomainNow {
            stage: stage_of(domain.state),
            suspended: domain.suspension.is_some(),
            ds: domain.ds.first().map_or(0, |ds| ds.key_tag),
        })
    }

    fn restart(&mut self) {
        self.running.stop();
        let store = Arc::clone(&self.running.store);
        self.running = Running::start(&self.config, store, &self.clock);
    }

    fn backup(&mut self) {
        let mut backup = Vec::new();
        let written = self.running.engine.backup(&mut backup);
        written.unwrap_or_else(|error| panic!("no backup: {error}"));
        self.backup = Some(backup);
    }

    fn restore(&mut self) -> bool {
        let Some(backup) = self.backup.clone() else {
            return false;
        };
        self.running.stop();
        let store = Arc::new(Memory::new());
        restore_into(&*store, &mut &backup[..], self.clock.now())
            .unwrap_or_else(|error| panic!("no restore: {error}"));
        self.said.clear();
        self.served.clear();
        self.running = Running::start(&self.config, store, &self.clock);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::Story;
    use super::super::tell::{seeds, tell_all};
    use super::*;

    /// Makes the engine for a story.
    fn make(book: Rulebook) -> impl Fn(&Story) -> Box<dyn Product> + Sync {
        move |story| Box::new(Real::new(book.clone(), story.setting.watching))
    }

    #[test]
    fn the_engine_loses_no_message() {
        tell_all(seeds(40, 10_000), &make(Rulebook::standard()));
    }
}
