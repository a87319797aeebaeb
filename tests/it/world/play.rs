//! Tells a story: moves from event to event, and checks the world around each of them.

use std::collections::BTreeMap;

use super::check::Violation;
use super::dns::Spot;
use super::parent::{Delegation, SERVERS, Secure};
use super::product::{DomainNow, Order, Product, Reaction, Sight, Stage};
use super::story::{
    DAY, Event, HOUR, PoolWish, Setting, Story, Turn, domain_name, guest_zone, span,
};
use super::trail::STALE;
use super::world::{Task, World};

/// When every story begins: 2026-11-24T16:30:00Z.
pub(crate) const START: u64 = 1_795_537_800;

/// How a story was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Telling {
    /// How often each kind of order was carried out, refused for its time, or refused.
    pub(crate) orders: BTreeMap<&'static str, [u64; 3]>,
    /// How many seconds it lasted.
    pub(crate) lasted: u64,
}

/// How domains stand, by name.
type Standing = BTreeMap<String, DomainNow>;

/// What a change did that may be taken back.
#[derive(Clone, Debug)]
enum Changed {
    /// It moved domains, which stood so before.
    Moved(Standing),
    /// It changed the pool, which was to be so before.
    Pool(Box<PoolWish>),
}

/// A story while it is told.
pub(crate) struct Play<'p> {
    /// The product.
    product: &'p mut dyn Product,
    /// The story.
    story: &'p Story,
    /// The world.
    world: World,
    /// What the operator still wants, by domain: the stage, and since when.
    wishes: BTreeMap<String, (Stage, u64, String)>,
    /// The revision of the last change, to undo, and what it did.
    last_change: Option<(u64, Changed)>,
    /// What the pool was to be when the last backup was made.
    kept: Option<PoolWish>,
    /// Whether the story's events are over, and nothing new happens.
    calm: bool,
    /// How it went.
    telling: Telling,
}

/// Tells a story to its end, and until what was asked for has happened.
///
/// # Errors
///
/// The first violation.
pub(crate) fn play(product: &mut dyn Product, story: &Story) -> Result<Telling, Violation> {
    let world = World::new(story.seed, &story.setting, START);
    let mut play = Play {
        product,
        story,
        world,
        wishes: BTreeMap::new(),
        last_change: None,
        kept: None,
        calm: false,
        telling: Telling::default(),
    };
    let told = play.begin().and_then(|()| play.run());
    match told {
        Ok(()) => Ok(play.telling),
        Err(violation) => Err(Violation {
            log: std::mem::take(&mut play.world.log),
            ..violation
        }),
    }
}

impl Play<'_> {
    /// Creates the pool and plans the events.
    fn begin(&mut self) -> Result<(), Violation> {
        self.product.at(START);
        let document = self.world.pool.document();
        let reaction = self.product.order(&Order::PutPool(document));
        if !matches!(reaction, Reaction::Done(_)) {
            return Err(self.fault("the pool is not created", &reaction));
        }
        let mut at = HOUR;
        for (index, (wait, _)) in self.story.events.iter().enumerate() {
            at += wait;
            self.world.plan(at, Task::Event(index));
        }
        self.world.plan(0, Task::Beat);
        self.telling.lasted = at;
        Ok(())
    }

    /// Lets things happen until the story is over and nothing is wished for any more.
    fn run(&mut self) -> Result<(), Violation> {
        let end = START + self.telling.lasted;
        let limit = end + self.patience();
        while let Some((at, task)) = self.world.take() {
            if self.calm && self.wishes.is_empty() || at > limit {
                break;
            }
            self.world.now = at;
            self.product.at(at);
            self.world.pass(self.product)?;
            if at > end && !self.calm {
                self.calm = true;
                self.calm_down();
                self.settle()?;
            }
            if !matches!(task, Task::Beat | Task::Wish(_)) {
                self.world.touched = true;
            }
            self.perform(task)?;
            self.settle()?;
            if std::mem::take(&mut self.world.touched) {
                self.world.weigh(self.product)?;
            }
        }
        let Some((name, (stage, since, why))) = self.wishes.first_key_value() else {
            return Ok(());
        };
        let waited = span(self.world.now - since);
        let what = format!("{name} is to become {stage:?} for {waited}: {why}");
        Err(Violation {
            rule: "I4",
            what: format!("a step never comes although all is known: {what}"),
            at: self.world.now,
            log: Vec::new(),
        })
    }

    /// Returns for how long a step that was asked for may wait when nothing new happens: the sum
    /// of all that it can wait for.
    fn patience(&self) -> u64 {
        let setting = &self.story.setting;
        let drain = setting.spans.0.max(40 * DAY);
        drain + setting.spans.1 + 2 * setting.signing.0 + 60 * DAY
    }

    /// Ends what stands in the way of wishes: suspensions, holds, and registrations that lapse.
    fn calm_down(&mut self) {
        let names: Vec<String> = self.world.books.keys().cloned().collect();
        for name in names {
            self.product.order(&Order::Resume(name.clone()));
            self.product.order(&Order::Unhold(name.clone()));
            self.renew(&name, 2 * self.patience());
        }
    }

    /// Renews a domain's registration, if anybody says until when it lasts.
    fn renew(&mut self, name: &str, longer: u64) {
        let until = self.world.now + longer;
        let known = self.world.books.get(name).and_then(|book| book.expires);
        if known.is_some_and(|known| known < until)
            && self.order("renew", &Order::Renew(name.to_owned(), until))
        {
            self.world.book(name).expires = Some(until);
        }
    }

    /// Lets the MX of another zone name a host in a domain, or no more.
    fn refer(&mut self, name: &str, names: bool) {
        let kind = if names { "refer" } else { "unrefer" };
        let book = self.world.books.get(name);
        let named = book.is_some_and(|book| book.named_until == Some(u64::MAX));
        let said = self.product.shown(&guest_zone(name), &[Spot::Mx]);
        if book.is_none()
            || named == names
            || !self.order(kind, &Order::Refer(name.to_owned(), names))
        {
            return;
        }
        // Who has the old MX of the other zone can be led there until its signature expires.
        let lifetime = self.story.setting.signing.0;
        let until = said.map_or(self.world.now + lifetime, |shown| shown.expires);
        let host = self.world.own_host(name);
        let shown = self.product.shown(name, std::slice::from_ref(&host));
        let stands = shown.is_some_and(|shown| shown.at(&host).is_some());
        let book = self.world.book(name);
        // Nobody finds a host in a name that is given up.
        let stage = book.now.as_ref().map(|domain| domain.stage);
        let stands = stands && stage < Some(Stage::Released);
        book.named_stood = if names { stands } else { book.named_stood };
        book.named_until = Some(if names { u64::MAX } else { until });
    }

    /// Lets the product and the world see each other until nothing changes.
    fn settle(&mut self) -> Result<(), Violation> {
        for _ in 0..3 {
            self.product.tick();
            self.world.check(self.product)?;
            self.world.look(self.product)?;
            self.world.register();
            let sights = self.world.sights(false);
            if sights.is_empty() {
                break;
            }
            self.product.tell(&sights);
        }
        self.world.check(self.product)
    }

    /// Lets one thing happen.
    fn perform(&mut self, task: Task) -> Result<(), Violation> {
        let world = &mut self.world;
        match task {
            Task::Event(index) => return self.event(&self.story.events[index].1),
            Task::Fetch(server) => world.fetch(server),
            Task::ServerUp(server) => {
                // Who saw nobody answer knows now until when senders deferred.
                let dark = world.servers.iter().all(|server| !server.up);
                world.server_up(server);
                if dark {
                    self.light();
                }
            }
            Task::Apply(host) => {
                let revision = self.product.revision();
                world.apply(host, revision);
            }
            Task::HostUp(host, since) => {
                world.hosts[host].up = true;
                let label = world.hosts[host].label.clone();
                self.deferred(label, since);
            }
            Task::Copy(host) => world.copy_policies(self.product, host),
            Task::Publish(name, server, delegation, secure) => {
                self.publish(&name, server, delegation, secure);
            }
            Task::Unrefer(name) => self.refer(&name, false),
            Task::Wish(name) => {
                if let Some((stage, ..)) = self.wishes.get(&name).cloned() {
                    self.step(&name, stage, false);
                }
            }
            Task::Beat => self.beat(),
        }
        Ok(())
    }

    /// Tells that name servers answer again: until now, senders deferred.
    fn light(&mut self) {
        let now = self.world.now;
        let labels: Vec<String> = self.world.hosts.iter().map(|it| it.label.clone()).collect();
        for label in labels {
            self.deferred(label, now);
        }
    }

    /// Says as the operator that a host made senders defer since a moment; who watches sees it.
    fn deferred(&mut self, label: String, since: u64) {
        if !self.story.setting.watching {
            let now = self.world.now;
            self.product.tell(&[Sight::Deferrals(label, since, now)]);
        }
    }

    /// Publishes at a parent server what its registry has.
    fn publish(
        &mut self,
        name: &str,
        server: usize,
        delegation: Option<Delegation>,
        secure: Option<Secure>,
    ) {
        let now = self.world.now;
        let entry = self.world.parent.entry(name, now);
        let delegations: Vec<Delegation> = entry.delegations().collect();
        let secures: Vec<Secure> = entry.secures().collect();
        let delegation = delegation.unwrap_or(delegations[server]);
        let secure = secure.unwrap_or(secures[server]);
        self.world
            .parent
            .show(name, server, delegation, secure, now);
    }

    /// Lets time pass: everything is looked at, and what is down is reported.
    fn beat(&mut self) {
        let now = self.world.now;
        let revision = self.product.revision();
        self.world.poll(revision);
        let sights = self.world.sights(true);
        self.product.tell(&sights);
        let down = self.world.hosts.iter().filter(|host| !host.up);
        let labels: Vec<String> = down.map(|host| host.label.clone()).collect();
        for label in labels {
            self.deferred(label, now);
        }
        let wait = if self.calm { DAY } else { 12 * HOUR };
        self.world.plan(wait, Task::Beat);
    }

    /// Lets an event of the story happen.
    fn event(&mut self, event: &Event) -> Result<(), Violation> {
        self.world.note(event.to_string());
        match event {
            Event::Add(domain) => self.add(*domain),
            Event::Step(domain, stage) => self.step(&domain_name(*domain), *stage, false),
            Event::Force(domain, stage) => self.step(&domain_name(*domain), *stage, true),
            Event::HandOut => return self.hand_out(),
            Event::Rotate(burn) => {
                let burn = burn.map(domain_name).into_iter().collect();
                self.order("rotate", &Order::Rotate(burn, 1));
            }
            Event::Suspend(domain, reply) => {
                let order = Order::Suspend(domain_name(*domain), *reply);
                self.order("suspend", &order);
            }
            Event::Resume(domain) => {
                self.order("resume", &Order::Resume(domain_name(*domain)));
            }
            Event::Hold(domain, true) => {
                let name = domain_name(*domain);
                if self.order("hold", &Order::Hold(name.clone())) {
                    self.world.book(&name).held = true;
                }
            }
            Event::Hold(domain, false) => {
                self.order("unhold", &Order::Unhold(domain_name(*domain)));
            }
            Event::Refer(domain, time) => {
                let name = domain_name(*domain);
                self.refer(&name, true);
                self.world.plan(*time, Task::Unrefer(name));
            }
            Event::Renew(domain) => self.renew(&domain_name(*domain), 400 * DAY),
            Event::StepLater(domain, to, later) => {
                let order = Order::Step {
                    domain: domain_name(*domain),
                    to: *to,
                    force: false,
                };
                let at = self.world.now + later;
                self.order("later", &Order::At(at, Box::new(order)));
                self.world.plan(*later, Task::Wish(domain_name(*domain)));
            }
            Event::Undo => {
                if let Some((revision, changed)) = self.last_change.take()
                    && self.order("undo", &Order::Undo(revision))
                {
                    match changed {
                        Changed::Moved(before) => return self.check_undone(&before),
                        Changed::Pool(before) => {
                            let new = std::mem::replace(&mut self.world.pool, *before);
                            self.adopt(&new.setting);
                        }
                    }
                }
            }
            Event::Pool(turn) => self.turn(*turn),
            Event::Restart => self.product.restart(),
            Event::Backup => {
                self.product.backup();
                self.kept = Some(self.world.pool.clone());
            }
            Event::Restore => self.restore(),
            Event::Quiet => {}
            _ => self.accident(event),
        }
        Ok(())
    }

    /// Lets something outside the product go wrong.
    fn accident(&mut self, event: &Event) {
        let world = &mut self.world;
        let now = world.now;
        match event {
            Event::ServerDown(server, time) => self.server_down(usize::from(*server % 2), *time),
            Event::AllServersDown(time) => {
                self.server_down(0, *time);
                self.server_down(1, *time);
            }
            Event::ServerLags(server, time) if self.story.setting.watching => {
                let server = usize::from(*server % 2);
                let until = world.servers[server].lags_until.max(now + time);
                world.servers[server].lags_until = until;
                world.plan(until - now, Task::Fetch(server));
            }
            Event::HostDown(host, time) => {
                self.host_down(usize::from(*host) % self.world.hosts.len(), *time);
            }
            Event::AllHostsDown(time) => {
                for host in 0..self.world.hosts.len() {
                    self.host_down(host, *time);
                }
            }
            Event::Forget(domain, time) => self.forget(&domain_name(*domain), *time),
            Event::ParentTtl(percent) => {
                world.parent.ns_ttl = (world.parent.ns_ttl * percent / 100).clamp(60, 2 * DAY);
                world.parent.ds_ttl = (world.parent.ds_ttl * percent / 100).clamp(60, 2 * DAY);
                world.parent.show_all(now);
            }
            Event::Undelegate(domain) => {
                let name = domain_name(*domain);
                let released = world.books.get(&name).is_some_and(|book| {
                    let stage = book.now.as_ref().map(|domain| domain.stage);
                    stage == Some(Stage::Released) && book.registered && !book.given_up
                });
                if released {
                    world.undelegate(&name, 0);
                }
            }
            _ => {}
        }
    }

    /// Takes a name server down for a time; at most three days, as resolvers may serve what has
    /// expired that long.
    fn server_down(&mut self, server: usize, time: u64) {
        if self.world.servers[server].up {
            self.world.server_down(server);
            self.world
                .plan(time.clamp(1, STALE), Task::ServerUp(server));
        }
    }

    /// Takes a mail host down for a time.
    fn host_down(&mut self, host: usize, time: u64) {
        let now = self.world.now;
        if self.world.hosts[host].up {
            self.world.hosts[host].up = false;
            self.world.plan(time.max(1), Task::HostUp(host, now));
            let label = self.world.hosts[host].label.clone();
            self.deferred(label, now);
        }
    }

    /// Lets the registrar take a DS away, and put it back.
    fn forget(&mut self, name: &str, time: u64) {
        let Some(book) = self.world.books.get(name) else {
            return;
        };
        let Some(domain) = book.now.clone() else {
            return;
        };
        if !book.registered || book.given_up || domain.stage == Stage::Released {
            return;
        }
        for server in 0..SERVERS {
            let gone = Task::Publish(name.to_owned(), server, None, Some(Secure::Not));
            self.world.plan(0, gone);
            let back = Some(Secure::Key(domain.ds));
            self.world
                .plan(time, Task::Publish(name.to_owned(), server, None, back));
        }
    }

    /// Adds a domain that is not there.
    fn add(&mut self, domain: u8) {
        let name = domain_name(domain);
        if self.world.books.contains_key(&name) {
            return;
        }
        let fresh = self.world.setting.owned & (1 << domain) == 0;
        let now = self.world.now;
        let expires = self.world.setting.registration.map(|span| now + span);
        let order = Order::Add {
            domain: name.clone(),
            fresh,
            expires,
        };
        if self.order("add", &order) {
            self.world.added(domain);
            self.world.book(&name).expires = expires;
        }
    }

    /// Asks for a step; if its time has not come, wishes for it.
    fn step(&mut self, name: &str, to: Stage, force: bool) {
        let now = self.world.now;
        let order = Order::Step {
            domain: name.to_owned(),
            to,
            force,
        };
        let since = self.wishes.remove(name).map_or(now, |(_, since, _)| since);
        let before = self.standing();
        let reaction = self.product.order(&order);
        self.count(if force { "force" } else { "step" }, &reaction);
        match reaction {
            Reaction::Done(revision) => {
                let moved = self.moved(before);
                self.last_change = (!moved.is_empty()).then_some((revision, Changed::Moved(moved)));
                if force {
                    self.world.book(name).forced = Some(now);
                }
            }
            // Who retired is brought back by force alone: no waiting helps.
            Reaction::TooEarly(_, why) if why.starts_with("T5") => {}
            // What a restored store has forgotten it never learns.
            Reaction::TooEarly(_, why) if why.contains("drain it (T2)") => {}
            // A name that was given up at the registrar comes back to nothing.
            Reaction::TooEarly(..) if self.world.book(name).given_up && to < Stage::Draining => {}
            Reaction::TooEarly(not_before, why) if !force => {
                let wait = not_before.map_or(DAY, |at| at.saturating_sub(now).max(1));
                self.wishes.insert(name.to_owned(), (to, since, why));
                self.world.plan(wait.min(DAY), Task::Wish(name.to_owned()));
            }
            Reaction::TooEarly(..) | Reaction::Refused(_) => {}
        }
    }

    /// Hands out an address.
    fn hand_out(&mut self) -> Result<(), Violation> {
        match self.product.hand_out() {
            Some(name) => self.world.check_hand_out(self.product, &name),
            None => Ok(()),
        }
    }

    /// Changes the pool's settings.
    fn turn(&mut self, turn: Turn) {
        let before = self.world.pool.clone();
        if !self.world.pool.turn(turn) {
            return;
        }
        let hosts = self.world.hosts.clone();
        self.world.equip();
        let order = Order::PutPool(self.world.pool.document());
        if !self.order("pool", &order) {
            self.world.pool = before;
            self.world.hosts = hosts;
            return;
        }
        self.adopt(&before.setting);
        if let Some((_, changed)) = &mut self.last_change {
            *changed = Changed::Pool(Box::new(before));
        }
    }

    /// Notes that the pool is to be otherwise from now on.
    fn adopt(&mut self, old: &Setting) {
        let now = self.world.now;
        let new = self.world.pool.setting.clone();
        if old.subdomains != new.subdomains {
            for book in self.world.books.values_mut() {
                // Addresses that were given out until then are promised for the pool's drain.
                book.users_until = (!new.subdomains).then_some(now + new.spans.0);
                // What is promised anew holds when no cache denies it any more.
                book.users_known &= !new.subdomains;
            }
        }
        if old.sends != new.sends {
            self.world.sent_until = (!new.sends).then_some(now);
        }
        let enforces = new.sts.is_some_and(|(mode, _)| mode == "enforce");
        // Nobody sends to a pool without domains: there is nothing to try.
        let mut names = self.world.books.keys();
        let in_use = names.any(|name| self.product.domain(name).is_some());
        self.world.ladder &= in_use || !enforces;
        self.world.accepted = self.world.pool.clone();
    }

    /// Restores the last backup.
    fn restore(&mut self) {
        if !self.product.restore() {
            return;
        }
        self.world.forget_told();
        self.wishes.clear();
        self.last_change = None;
        self.world.restored = Some(self.world.now);
        let rewound = self.kept.clone().filter(|kept| *kept != self.world.pool);
        if let Some(kept) = &rewound {
            self.world.rewind(kept);
        }
        let names: Vec<String> = self.world.books.keys().cloned().collect();
        for name in names {
            let now = self.product.domain(&name);
            let book = self.world.book(&name);
            if book.now != now || rewound.is_some() || book.named_until.is_some() {
                book.restored = true;
            }
            // The operator's own zones are as he wants them again.
            if let Some(until) = book.named_until {
                let order = Order::Refer(name.clone(), until == u64::MAX);
                self.product.order(&order);
            }
        }
    }

    /// Gives an order; returns whether it is done.
    fn order(&mut self, kind: &'static str, order: &Order) -> bool {
        let before = self.standing();
        let reaction = self.product.order(order);
        self.count(kind, &reaction);
        if let Reaction::Done(revision) = reaction {
            // The registrar has followed an addition already: the operator who takes that back has to
            // undo its work, too, and this one does not.
            let kept = ["undo", "add", "renew", "refer", "unrefer", "later"];
            let moved = self.moved(before);
            // What moved nothing may be no change: its revision is that of another.
            let is_change = !moved.is_empty() || kind == "pool";
            self.last_change =
                (is_change && !kept.contains(&kind)).then_some((revision, Changed::Moved(moved)));
            return true;
        }
        false
    }

    /// Returns how every domain stands.
    fn standing(&mut self) -> Standing {
        let names: Vec<String> = self.world.books.keys().cloned().collect();
        let standing = names.into_iter().filter_map(|name| {
            let now = self.product.domain(&name)?;
            Some((name, now))
        });
        standing.collect()
    }

    /// Keeps those domains that stand otherwise now.
    fn moved(&mut self, mut before: Standing) -> Standing {
        let now = self.standing();
        before.retain(|name, old| now.get(name) != Some(old));
        before
    }

    /// Checks that an undo left the domains as they were before what it took back.
    fn check_undone(&mut self, before: &Standing) -> Result<(), Violation> {
        let now = self.standing();
        match before
            .iter()
            .find(|(name, old)| now.get(*name) != Some(old))
        {
            None => Ok(()),
            Some((name, old)) => Err(Violation {
                rule: "undo",
                what: format!(
                    "{name} was {old:?} and is {:?} after the undo",
                    now.get(name)
                ),
                at: self.world.now,
                log: Vec::new(),
            }),
        }
    }

    /// Counts what came of an order.
    fn count(&mut self, kind: &'static str, reaction: &Reaction) {
        match reaction {
            Reaction::Done(_) => self.world.note(format!("  {kind}: done")),
            Reaction::TooEarly(_, why) => {
                let rules = why.split("; ").filter_map(|wait| wait.split_once(": "));
                let rules: Vec<&str> = rules.map(|(rule, _)| rule).collect();
                let rules = rules.into_iter().filter(|rule| rule.len() < 4);
                let rules = rules.collect::<Vec<_>>().join(", ");
                self.world.note(format!("  {kind}: too early: {rules}"));
            }
            Reaction::Refused(why) => self.world.note(format!("  {kind}: refused: {why}")),
        }
        let counts = self.telling.orders.entry(kind).or_default();
        match reaction {
            Reaction::Done(_) => counts[0] += 1,
            Reaction::TooEarly(..) => counts[1] += 1,
            Reaction::Refused(_) => counts[2] += 1,
        }
    }

    /// Makes a violation of an order that had to be carried out.
    fn fault(&self, what: &str, reaction: &Reaction) -> Violation {
        Violation {
            rule: "world",
            what: format!("{what}: {reaction:?}"),
            at: self.world.now,
            log: Vec::new(),
        }
    }
}
