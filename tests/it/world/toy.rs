//! Products of a few lines, to try the checks on: one that waits for everything, and one that
//! waits for nothing.

use std::collections::BTreeMap;

use mxpool::mail::policy_id;

use super::dns::{Shown, Spot};
use super::drawn::{Drawing, Sketch, TextForm};
use super::product::{DomainNow, Order, Product, Reaction, Reply, Sight, Stage};
use super::story::{DAY, HOUR};

/// A product without a store, signatures or rules.
pub(crate) struct Toy {
    /// How long it waits before each step.
    patience: u64,
    /// Now.
    now: u64,
    /// The pool.
    pool: Sketch,
    /// Its domains: the stage, since when, whether suspended and an address was handed out, and
    /// since when the policy is another.
    domains: BTreeMap<String, ToyDomain>,
    /// How many changes it made.
    revision: u64,
}

/// A domain of the toy's.
struct ToyDomain {
    /// Where it stands.
    stage: Stage,
    /// Since when.
    since: u64,
    /// How its hosts answer although it is in use.
    suspended: Option<Reply>,
    /// When a step may be taken: long after anything that happened.
    ready: u64,
    /// Whether an address may be handed out.
    open: u64,
}

impl Toy {
    /// Makes a product that waits so long before each step.
    pub(crate) fn new(patience: u64) -> Self {
        Self {
            patience,
            now: 0,
            pool: Sketch::default(),
            domains: BTreeMap::new(),
            revision: 0,
        }
    }

    /// Returns a zone's serial: another one for each of the few contents it has.
    fn number(&self, apex: &str) -> u32 {
        let Some(domain) = self.domains.get(apex) else {
            return 1;
        };
        let follows = self.now >= domain.since + self.patience.min(DAY);
        let week = (self.now / (7 * DAY)) as u32;
        week * 20 + 2 * domain.stage as u32 + u32::from(follows)
    }
}

impl Product for Toy {
    fn at(&mut self, now: u64) {
        self.now = now;
    }

    fn tick(&mut self) {}

    fn order(&mut self, order: &Order) -> Reaction {
        let now = self.now;
        let patience = self.patience;
        self.revision += 1;
        match order {
            Order::PutPool(document) if self.pool.document.is_null() => {
                self.pool = Sketch::new(document.clone());
            }
            Order::Add { domain: name, .. } => {
                let domain = ToyDomain {
                    stage: Stage::Standby,
                    since: now,
                    suspended: None,
                    ready: now + patience,
                    open: 0,
                };
                self.domains.insert(name.clone(), domain);
            }
            Order::Step {
                domain,
                to,
                force: false,
            } => {
                let Some(domain) = self.domains.get_mut(domain) else {
                    return Reaction::Refused("it is not there".to_owned());
                };
                let next = match (domain.stage, *to) {
                    (Stage::Standby, Stage::Active) => true,
                    (Stage::Active, Stage::Draining) => true,
                    (Stage::Draining, Stage::Retired) => true,
                    (Stage::Retired, Stage::Released) => true,
                    _ => false,
                };
                if !next {
                    return Reaction::Refused("no such step".to_owned());
                }
                if now < domain.ready {
                    return Reaction::TooEarly(Some(domain.ready), "patience".to_owned());
                }
                domain.stage = *to;
                domain.since = now;
                domain.ready = now + patience;
                domain.open = now + patience.min(9 * HOUR);
            }
            Order::Suspend(name, reply) => {
                let Some(domain) = self.domains.get_mut(name) else {
                    return Reaction::Refused("it is not there".to_owned());
                };
                domain.suspended = Some(*reply);
            }
            Order::Resume(name) => {
                if let Some(domain) = self.domains.get_mut(name) {
                    domain.suspended = None;
                    domain.ready = now + patience;
                    domain.open = now + patience.min(9 * HOUR);
                }
            }
            _ => return Reaction::Refused("a toy cannot".to_owned()),
        }
        Reaction::Done(self.revision)
    }

    fn hand_out(&mut self) -> Option<String> {
        let now = self.now;
        let patience = self.patience;
        let (name, domain) = self.domains.iter_mut().find(|(_, domain)| {
            domain.stage == Stage::Active && domain.suspended.is_none() && domain.open <= now
        })?;
        domain.ready = now + patience;
        Some(name.clone())
    }

    fn tell(&mut self, sights: &[Sight]) {
        let broken = sights.iter().any(|sight| match sight {
            Sight::Deferrals(..) => true,
            Sight::Mail { green, .. } => !green,
            Sight::Servers(_, serials) => serials.contains(&None),
            _ => false,
        });
        for domain in self.domains.values_mut().filter(|_| broken) {
            domain.ready = domain.ready.max(self.now + self.patience);
        }
    }

    fn shown(&mut self, apex: &str, spots: &[Spot]) -> Option<Shown> {
        let serial = self.serial(apex)?;
        let domain = self.domains.get(apex);
        let stage = domain.map(|domain| domain.stage);
        let since = domain.map_or(0, |domain| domain.since);
        // The id follows the text when every policy host has it.
        let follows = self.now >= since + self.patience.min(DAY);
        let ended = stage >= Some(Stage::Retired);
        let form = if ended && follows {
            TextForm::None
        } else {
            TextForm::Live
        };
        let announces = follows || stage != Some(Stage::Standby);
        let text = self.pool.pool_text(form).filter(|_| announces);
        let drawing = Drawing {
            live: !ended,
            policy_id: text.map(|text| policy_id(1, &text)),
            serial,
            expires: self.now + 21 * DAY,
        };
        Some(self.pool.zone(apex, spots, &drawing))
    }

    fn serial(&mut self, apex: &str) -> Option<u32> {
        let domain = self.domains.get(apex);
        let stage = domain.map(|domain| domain.stage);
        let gone = stage == Some(Stage::Released) && self.patience == 0;
        let served = !gone && (domain.is_some() || apex == super::world::INFRA);
        served.then(|| self.number(apex))
    }

    fn route(&mut self, domain: &str) -> Option<Reply> {
        let domain = self.domains.get(domain)?;
        match domain.stage {
            Stage::Standby => Some(Reply::Later),
            Stage::Active | Stage::Draining => Some(domain.suspended.unwrap_or(Reply::Accept)),
            Stage::Retired | Stage::Released if self.patience == 0 => None,
            Stage::Retired | Stage::Released => Some(Reply::Never),
        }
    }

    fn revision(&mut self) -> u64 {
        self.revision
    }

    fn policy(&mut self, domain: &str) -> Option<String> {
        let ended = self.domains.get(domain)?.stage >= Stage::Retired;
        let form = if ended {
            TextForm::None
        } else {
            TextForm::Live
        };
        self.pool.file(domain, form)
    }

    fn domain(&mut self, domain: &str) -> Option<DomainNow> {
        let domain = self.domains.get(domain)?;
        Some(DomainNow {
            stage: domain.stage,
            suspended: domain.suspended.is_some(),
            ds: 7,
        })
    }

    fn restart(&mut self) {}

    fn backup(&mut self) {}

    fn restore(&mut self) -> bool {
        false
    }
}
