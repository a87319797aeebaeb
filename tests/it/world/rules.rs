//! The product's rules on the simplest ledger: no store, no keys, no threads.
//!
//! What each rule is needed for shows here first, and fast: the same stories, the same checks, and
//! the product's own [`step`], [`due`] and [`route`]. Settings change here only as far as that needs
//! no plan of the engine's.

use std::collections::BTreeMap;

use mxpool::clock::{Span, Timestamp};
use mxpool::history::{PolicyStay, Stay};
use mxpool::lifecycle::{
    Action, Fact, Force, HandedOut, LifecycleState, Observed, PolicyProgress, Reference, Refused,
    Rulebook, Situation, Spread, Step, Suspension, Terms, due, hand_out_waits, route, step,
};
use mxpool::mail::{PoolSettings, RoutingAnswer, policy_id};
use mxpool::wire::Ttl;

use super::dns::{Shown, Spot};
use super::drawn::{Drawing, Sketch, TextForm};
use super::facts::{facts, stage_of, state_of};
use super::product::{DomainNow, Order, Product, Reaction, Reply, Sight};
use super::world::INFRA;

/// The rules at work.
pub(crate) struct Rules {
    /// Those that hold.
    book: Rulebook,
    /// Whether the outside is watched.
    watching: bool,
    /// Now.
    now: u64,
    /// What is remembered.
    ledger: Ledger,
    /// The last backup of it.
    backup: Option<Ledger>,
    /// The revision.
    revision: u64,
    /// When a backup was last restored.
    restored: Option<u64>,
    /// How often that was.
    restores: u32,
    /// The revision that each mail host has applied.
    applied: BTreeMap<String, u64>,
}

/// What the rules are applied to.
#[derive(Clone, Default)]
struct Ledger {
    /// The pool's document.
    pool: Sketch,
    /// The pool's settings.
    settings: Option<PoolSettings>,
    /// What the pool says of lives, with the longer of durations that were shortened.
    terms: Option<Terms>,
    /// The revision at which the pool adopted its policy.
    adopted: u64,
    /// The text of each form of it.
    texts: [Option<String>; 3],
    /// The domains.
    domains: BTreeMap<String, Member>,
}

/// A domain in the ledger.
#[derive(Clone, Debug)]
struct Member {
    /// Where it stands.
    state: LifecycleState,
    /// Since when.
    since: u64,
    /// When it was added.
    added: u64,
    /// Whether it was never delegated before.
    fresh: bool,
    /// Whether it is held.
    held: bool,
    /// Whether it takes no mail.
    suspended: Option<Suspension>,
    /// Its hand-outs.
    handed_out: Option<HandedOut>,
    /// When it came back from retirement.
    restored: Option<u64>,
    /// What its zone said.
    stays: Vec<Stay>,
    /// The revision at which the text that it is to have last became another (S2).
    turned: u64,
    /// The id it announces.
    shown: Option<String>,
    /// Whether that one says `none`.
    shown_is_none: bool,
    /// Whether it has a policy at all.
    has_policy: bool,
    /// What the world showed.
    observed: Observed,
    /// When its hosts last deferred anything by our word.
    deferred: Option<u64>,
    /// Its serial.
    serial: u32,
    /// The serial of the last change of what it says, and when that was.
    changed: (u32, u64),
    /// When every server was first seen to serve that one.
    everywhere: Option<u64>,
    /// When it was signed.
    signed: u64,
    /// The revision at which its routing last changed.
    routed: u64,
    /// Whether its hosts still answer for it.
    answers: bool,
    /// Whether its zone is served no more.
    dropped: bool,
    /// Until when who knows another zone's MX may go to a host in it; `None` within: it is named.
    named: Option<Option<u64>>,
    /// When its registration ends.
    expires: Option<u64>,
}

impl Rules {
    /// Makes a product that keeps to a rulebook.
    pub(crate) fn new(book: Rulebook, watching: bool) -> Self {
        Self {
            book,
            watching,
            now: 0,
            ledger: Ledger::default(),
            backup: None,
            revision: 0,
            restored: None,
            restores: 0,
            applied: BTreeMap::new(),
        }
    }

    /// Returns the text that a domain's policy hosts are to serve.
    fn form(member: &Member) -> TextForm {
        match member.state {
            LifecycleState::Standby | LifecycleState::Active => TextForm::Live,
            LifecycleState::Draining => TextForm::Short,
            LifecycleState::Retired | LifecycleState::Released => TextForm::None,
        }
    }

    /// Returns the id of the text that a domain is to have.
    fn wanted(&self, member: &Member) -> Option<String> {
        let text = self.ledger.texts[Self::form(member) as usize].as_deref();
        let turn = self.ledger.adopted.max(member.turned);
        let id = text.map(|text| policy_id(turn, text));
        id.filter(|_| member.has_policy)
    }

    /// Returns the host that has not applied a domain's routing.
    fn lagging(&self, member: &Member) -> Option<&str> {
        let mut hosts = self.applied.iter();
        let (host, _) = hosts.find(|(_, applied)| **applied < member.routed)?;
        Some(host)
    }

    /// Shows the rules a domain and returns what they say.
    fn judge<T>(&self, name: &str, says: impl FnOnce(&Situation<'_>, Timestamp) -> T) -> Option<T> {
        let member = self.ledger.domains.get(name)?;
        let wanted = self.wanted(member);
        let terms = self.ledger.terms.as_ref()?;
        let spread = match member.everywhere {
            _ if !self.watching => {
                let at = Timestamp::from_secs(member.changed.1);
                Spread::By(at.saturating_add(terms.propagation.as_duration()))
            }
            Some(at) => Spread::By(Timestamp::from_secs(at)),
            None => Spread::Unknown,
        };
        let situation = Situation {
            state: member.state,
            since: Timestamp::from_secs(member.since),
            added: Timestamp::from_secs(member.added),
            fresh: member.fresh,
            held: member.held,
            suspended: member.suspended.as_ref(),
            handed_out: member.handed_out,
            restored: member.restored.map(Timestamp::from_secs),
            terms,
            stays: &member.stays,
            policy: PolicyProgress {
                wanted: wanted.as_deref(),
                shown: member.shown.as_deref(),
                shown_is_none: member.shown_is_none,
            },
            spread,
            observed: &member.observed,
            watched: self.watching,
            deferred: member.deferred.map(Timestamp::from_secs),
            routing_lags: self.lagging(member),
            answers: member.answers,
            hosts_kept: false,
            dropped: member.dropped,
            reference: member.named.map(|until| Reference {
                who: "another zone",
                until: until.map(Timestamp::from_secs),
            }),
            expires_at: member.expires.map(Timestamp::from_secs),
            forgotten: self.restored.map(Timestamp::from_secs),
            recovering_until: self.recovering_until().map(Timestamp::from_secs),
        };
        Some(says(&situation, Timestamp::from_secs(self.now)))
    }

    /// Returns for how long signatures are valid.
    fn lifetime(&self) -> u64 {
        let settings = self.ledger.settings.as_ref();
        settings.map_or(0, |it| u64::from(it.signing().lifetime.as_secs()))
    }

    /// Returns until when nothing is withdrawn after a restore: a day more than the longest that anybody
    /// may hold anything.
    fn recovering_until(&self) -> Option<u64> {
        const DAY: u64 = 86_400;
        let settings = self.ledger.settings.as_ref()?;
        let lifetime = settings.signing().lifetime.as_secs();
        let policy = settings.mta_sts().map_or(0, |it| it.max_age.as_secs());
        let longest = u64::from(lifetime.max(policy)) + DAY;
        Some(self.restored? + longest.max(5 * DAY) + DAY)
    }

    /// Notes what a domain's zone says from now on, under a new serial.
    fn publish(&mut self, name: &str) {
        let now = Timestamp::from_secs(self.now);
        let Some(settings) = &self.ledger.settings else {
            return;
        };
        let Some(member) = self.ledger.domains.get_mut(name) else {
            return;
        };
        let signing = settings.signing();
        let ttl = |key: &str| Ttl::from_secs(self.ledger.pool.span(key) as u32);
        let form = Self::form(member);
        let text = self
            .ledger
            .pool
            .file(name, form)
            .filter(|_| member.has_policy);
        // What is served as a file counts as well as what is announced: the longer of both.
        let mut policy = text.map(|text| {
            let policy = super::sts::Policy::read(&text);
            PolicyStay {
                acts: policy.mode != "none" || !member.shown_is_none && member.shown.is_some(),
                max_age: Span::from_secs(policy.max_age as u32),
            }
        });
        if let (Some(policy), Some(live)) =
            (&mut policy, self.ledger.pool.file(name, TextForm::Live))
        {
            if policy.acts {
                policy.max_age = Span::from_secs(super::sts::Policy::read(&live).max_age as u32);
            }
        }
        let stay = Stay {
            on: now,
            off: None,
            null_mx: form == TextForm::None,
            wildcard: self.ledger.pool.document["subdomains"] == true,
            own_hosts: false,
            ttl: ttl("ttl"),
            negative_ttl: ttl("negative_ttl"),
            ns_ttl: ttl("ns_ttl"),
            lifetime: signing.lifetime,
            policy,
        };
        if let Some(last) = member.stays.last_mut() {
            last.off.get_or_insert(now);
        }
        member.stays.push(stay);
        member.serial += 1;
        member.changed = (member.serial, self.now);
        member.everywhere = None;
        member.signed = self.now;
    }

    /// Moves a domain.
    fn enter(&mut self, name: &str, state: LifecycleState) {
        self.revision += 1;
        let (now, revision) = (self.now, self.revision);
        let Some(member) = self.ledger.domains.get_mut(name) else {
            return;
        };
        let back = member.state == LifecycleState::Retired && state == LifecycleState::Active;
        if back {
            member.restored = Some(now);
        }
        let before = Self::form(member);
        let old = member.state;
        member.state = state;
        member.since = now;
        member.answers = true;
        let staying = [LifecycleState::Active, LifecycleState::Draining];
        if !(staying.contains(&old) && staying.contains(&state)) {
            member.routed = revision;
        }
        let turns = before != Self::form(member);
        if turns {
            member.turned = revision;
        }
        if back || turns {
            self.publish(name);
        }
    }

    /// Does what is due for a domain; returns whether there was anything.
    fn act(&mut self, name: &str) -> bool {
        let book = self.book.clone();
        let due = self
            .judge(name, |it, now| due(it, now, &book))
            .unwrap_or_default();
        let Some(first) = due.first() else {
            return false;
        };
        let (now, wanted) = (self.now, self.wanted(&self.ledger.domains[name]));
        let member = self.ledger.domains.get_mut(name).expect("it was judged");
        match first.action {
            Action::Resume => {
                member.suspended = None;
                member.deferred = Some(now);
            }
            Action::ShowPolicy => {
                member.shown = wanted;
                member.shown_is_none = Self::form(member) == TextForm::None;
                self.publish(name);
            }
            Action::DropPolicy => {
                member.shown = None;
                member.has_policy = false;
                self.publish(name);
            }
            Action::DropHosts => {}
            Action::StopAnswering => {
                self.revision += 1;
                member.answers = false;
                member.routed = self.revision;
            }
            Action::Retire => self.enter(name, LifecycleState::Retired),
            Action::DropZone => member.dropped = true,
        }
        true
    }

    /// Takes a step, or says why not.
    fn take(&mut self, name: &str, to: LifecycleState, force: Force) -> Reaction {
        let book = self.book.clone();
        match self.judge(name, |it, now| step(it, to, force, now, &book)) {
            None => Reaction::Refused("there is no such domain".to_owned()),
            Some(Ok(Step::None)) => Reaction::Refused("it stands there".to_owned()),
            Some(Ok(Step::Now { .. })) => {
                self.enter(name, to);
                Reaction::Done(self.revision)
            }
            Some(Err(Refused::Impossible(why))) => Reaction::Refused(why),
            Some(Err(Refused::TooEarly(waits))) => {
                let known = waits.iter().all(|wait| wait.not_before.is_some());
                let latest = waits.iter().filter_map(|wait| wait.not_before).max();
                let words: Vec<String> = waits.iter().map(ToString::to_string).collect();
                let at = latest.filter(|_| known).map(Timestamp::as_secs);
                Reaction::TooEarly(at, words.join("; "))
            }
        }
    }

    /// Drains these and activates so many that are ready.
    fn rotate(&mut self, burn: &[String], activate: u32) -> Reaction {
        let burnt = burn.iter().all(|name| {
            let member = self.ledger.domains.get(name);
            member.is_some_and(|member| member.state == LifecycleState::Active)
        });
        if !burnt {
            return Reaction::Refused("a domain to burn is not active".to_owned());
        }
        for name in burn {
            self.take(name, LifecycleState::Draining, Force::No);
        }
        let standby = self.ledger.domains.iter().filter(|(_, member)| {
            member.state == LifecycleState::Standby && member.suspended.is_none()
        });
        let names: Vec<String> = standby.map(|(name, _)| name.clone()).collect();
        let mut left = activate;
        for name in names {
            let done = left > 0
                && matches!(
                    self.take(&name, LifecycleState::Active, Force::No),
                    Reaction::Done(_)
                );
            left -= u32::from(done);
        }
        Reaction::Done(self.revision)
    }

    /// Replaces the settings, where that needs no plan.
    fn put_pool(&mut self, document: &serde_json::Value) -> Reaction {
        let Ok(settings) = PoolSettings::from_document(document) else {
            return Reaction::Refused("the document is wrong".to_owned());
        };
        if !self.ledger.pool.document.is_null() {
            let mut plain = document.clone();
            for key in ["ttl", "drain"] {
                plain[key] = self.ledger.pool.document[key].clone();
            }
            if plain != self.ledger.pool.document {
                return Reaction::Refused("that needs a plan".to_owned());
            }
        }
        let terms = Terms::of(&settings);
        self.ledger.terms = Some(match &self.ledger.terms {
            Some(older) => terms.or_longer(older),
            None => terms,
        });
        self.ledger.settings = Some(settings);
        self.ledger.pool = Sketch::new(document.clone());
        self.revision += 1;
        if self.ledger.adopted == 0 {
            self.ledger.adopted = self.revision;
        }
        for form in [TextForm::Live, TextForm::Short, TextForm::None] {
            let text = self.ledger.pool.pool_text(form);
            self.ledger.texts[form as usize] = text;
        }
        let names: Vec<String> = self.ledger.domains.keys().cloned().collect();
        for name in names {
            self.publish(&name);
        }
        Reaction::Done(self.revision)
    }
}

impl Product for Rules {
    fn at(&mut self, now: u64) {
        self.now = now;
    }

    fn tick(&mut self) {
        let names: Vec<String> = self.ledger.domains.keys().cloned().collect();
        for name in names {
            for _ in 0..4 {
                if !self.act(&name) {
                    break;
                }
            }
            let now = self.now;
            let lags = self.lagging(&self.ledger.domains[&name]).is_some();
            let member = self.ledger.domains.get_mut(&name).expect("it has a name");
            // While a host has not applied that it may accept, it defers.
            if lags && member.handed_out.is_some() {
                member.deferred = Some(now);
            }
            let old = now >= member.signed + 7 * 86_400;
            if old && !member.dropped {
                member.signed = now;
                member.serial += 1;
            }
        }
    }

    fn order(&mut self, order: &Order) -> Reaction {
        let now = self.now;
        match order {
            Order::PutPool(document) => return self.put_pool(document),
            Order::Add {
                domain: name,
                fresh,
                expires,
            } => {
                self.revision += 1;
                let member = Member {
                    state: LifecycleState::Standby,
                    since: now,
                    added: now,
                    fresh: *fresh,
                    held: false,
                    suspended: None,
                    handed_out: None,
                    restored: None,
                    stays: Vec::new(),
                    turned: 0,
                    shown: None,
                    shown_is_none: false,
                    has_policy: self.ledger.pool.document.get("mta_sts").is_some(),
                    observed: Observed::default(),
                    deferred: None,
                    serial: 1,
                    changed: (1, now),
                    everywhere: None,
                    signed: now,
                    routed: self.revision,
                    answers: true,
                    dropped: false,
                    named: None,
                    expires: *expires,
                };
                self.ledger.domains.insert(name.clone(), member);
                self.publish(name);
            }
            Order::Step { domain, to, force } => {
                let force = if *force { Force::Yes } else { Force::No };
                return self.take(domain, state_of(*to), force);
            }
            Order::Rotate(burn, activate) => return self.rotate(burn, *activate),
            Order::Suspend(name, reply) => {
                self.revision += 1;
                let revision = self.revision;
                let Some(member) = self.ledger.domains.get_mut(name) else {
                    return Reaction::Refused("there is no such domain".to_owned());
                };
                let answer = match reply {
                    Reply::Never => RoutingAnswer::Never,
                    Reply::Accept | Reply::Later => RoutingAnswer::Later,
                };
                member.routed = revision;
                member.suspended = Some(Suspension {
                    answer,
                    since: Timestamp::from_secs(now),
                    until: None,
                    reason: "a story".to_owned(),
                });
            }
            Order::Resume(name) => {
                self.revision += 1;
                let revision = self.revision;
                match self.ledger.domains.get_mut(name) {
                    Some(member) if member.suspended.is_some() => {
                        member.suspended = None;
                        member.deferred = Some(now);
                        member.routed = revision;
                    }
                    _ => return Reaction::Refused("it is not suspended".to_owned()),
                }
            }
            Order::Hold(name) | Order::Unhold(name) => {
                let held = matches!(order, Order::Hold(_));
                match self.ledger.domains.get_mut(name) {
                    Some(member) => member.held = held,
                    None => return Reaction::Refused("there is no such domain".to_owned()),
                }
            }
            Order::Renew(name, until) => match self.ledger.domains.get_mut(name) {
                Some(member) => member.expires = Some(*until),
                None => return Reaction::Refused("there is no such domain".to_owned()),
            },
            Order::Refer(name, names) => {
                if !self.ledger.pool.has_shared_hosts() {
                    return Reaction::Refused("only the engine keeps hosts in domains".to_owned());
                }
                let until = now + self.lifetime();
                match self.ledger.domains.get_mut(name) {
                    Some(member) => member.named = Some((!names).then_some(until)),
                    None => return Reaction::Refused("there is no such domain".to_owned()),
                }
            }
            Order::Undo(_) | Order::At(..) => {
                return Reaction::Refused("only the engine does that".to_owned());
            }
        }
        Reaction::Done(self.revision)
    }

    fn hand_out(&mut self) -> Option<String> {
        let book = self.book.clone();
        let active = self.ledger.domains.iter().filter(|(_, member)| {
            member.state == LifecycleState::Active && member.suspended.is_none()
        });
        let open = active.filter(|(name, _)| {
            self.judge(name, |it, now| hand_out_waits(it, now, &book))
                .is_some_and(|waits| waits.is_empty())
        });
        let least = open.min_by_key(|(_, member)| member.handed_out.map_or(0, |it| it.count));
        let name = least.map(|(name, _)| name.clone())?;
        let now = Timestamp::from_secs(self.now);
        let member = self.ledger.domains.get_mut(&name)?;
        let given = member.handed_out.unwrap_or(HandedOut {
            first: now,
            last: now,
            count: 0,
        });
        member.handed_out = Some(HandedOut {
            last: now,
            count: given.count + 1,
            ..given
        });
        Some(name)
    }

    fn tell(&mut self, sights: &[Sight]) {
        let at = Timestamp::from_secs(self.now);
        let names: Vec<String> = self.ledger.domains.keys().cloned().collect();
        for sight in sights {
            if let Sight::Applied(host, revision) = sight {
                // Until it had, it deferred what it may accept now.
                let late = names.iter().filter(|name| {
                    let member = &self.ledger.domains[*name];
                    member.handed_out.is_some() && self.lagging(member).is_some()
                });
                for name in late.cloned().collect::<Vec<_>>() {
                    let now = self.now;
                    let member = self.ledger.domains.get_mut(&name);
                    member.expect("it has a name").deferred = Some(now);
                }
                self.applied.insert(host.clone(), *revision);
            }
            let spoken = names.iter().filter(|name| {
                let of = sight.domain();
                of.is_none_or(|of| of == name.as_str())
            });
            for name in spoken {
                let Some(member) = self.ledger.domains.get(name) else {
                    continue;
                };
                let policy = match sight {
                    Sight::Policy(..) => {
                        let file = self.ledger.pool.file(name, Self::form(member));
                        self.wanted(member).zip(file)
                    }
                    _ => None,
                };
                let found: Vec<Fact> = facts(sight, name, 7, policy.as_ref());
                let member = self.ledger.domains.get_mut(name).expect("it has a name");
                for fact in found {
                    if let Fact::Published(serial) = fact
                        && serial.number() >= member.changed.0
                    {
                        member.everywhere.get_or_insert(at.as_secs());
                    }
                    member.observed.learn(&fact, at);
                }
            }
        }
    }

    fn shown(&mut self, apex: &str, spots: &[Spot]) -> Option<Shown> {
        let serial = self.serial(apex)?;
        self.ledger.settings.as_ref()?;
        let (live, policy_id, signed) = match self.ledger.domains.get(apex) {
            Some(member) => {
                let live = Self::form(member) != TextForm::None;
                (live, member.shown.clone(), member.signed)
            }
            None => (true, None, self.now),
        };
        let drawing = Drawing {
            live,
            policy_id,
            serial,
            expires: signed + self.lifetime(),
        };
        Some(self.ledger.pool.zone(apex, spots, &drawing))
    }

    fn serial(&mut self, apex: &str) -> Option<u32> {
        match self.ledger.domains.get(apex) {
            Some(member) => (!member.dropped).then_some(member.serial),
            None if apex == INFRA => Some((self.now / (5 * 86_400)) as u32),
            None => None,
        }
    }

    fn route(&mut self, domain: &str) -> Option<Reply> {
        let member = self.ledger.domains.get(domain)?;
        let suspended = member.suspended.as_ref();
        let route = route(member.state, suspended, member.answers, false);
        match route.answer {
            RoutingAnswer::Accept => Some(Reply::Accept),
            RoutingAnswer::Later => Some(Reply::Later),
            RoutingAnswer::Never => Some(Reply::Never),
            RoutingAnswer::Gone => None,
        }
    }

    fn revision(&mut self) -> u64 {
        self.revision
    }

    fn policy(&mut self, domain: &str) -> Option<String> {
        let member = self
            .ledger
            .domains
            .get(domain)
            .filter(|member| member.has_policy)?;
        self.ledger.pool.file(domain, Self::form(member))
    }

    fn domain(&mut self, domain: &str) -> Option<DomainNow> {
        let member = self.ledger.domains.get(domain)?;
        Some(DomainNow {
            stage: stage_of(member.state),
            suspended: member.suspended.is_some(),
            ds: 7,
        })
    }

    fn restart(&mut self) {}

    fn backup(&mut self) {
        self.backup = Some(self.ledger.clone());
    }

    fn restore(&mut self) -> bool {
        let Some(backup) = self.backup.clone() else {
            return false;
        };
        self.ledger = backup;
        self.restored = Some(self.now);
        self.restores += 1;
        self.revision += 1;
        let names: Vec<String> = self.ledger.domains.keys().cloned().collect();
        for name in names {
            self.publish(&name);
            let member = self.ledger.domains.get_mut(&name).expect("it has a name");
            // Above all that the servers may have seen since.
            member.serial += self.restores << 20;
            member.changed.0 = member.serial;
            member.turned = self.revision;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::tell::{seeds, tell_all};
    use super::*;

    fn make(book: Rulebook) -> impl Fn(&super::super::story::Story) -> Box<dyn Product> + Sync {
        move |story| Box::new(Rules::new(book.clone(), story.setting.watching))
    }

    #[test]
    fn the_rules_lose_no_message() {
        tell_all(seeds(150, 10_000), &make(Rulebook::standard()));
    }
}
