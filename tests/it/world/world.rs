//! The world around the product: servers, the parent, hosts, and what caches and senders may hold.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::check::Violation;
use super::dns::{Seen, Shown, Spot};
use super::hosts::{MailHost, PolicyHost};
use super::parent::{Delegation, Parent, SERVERS, Secure};
use super::play::START;
use super::product::{DomainNow, ParentSight, Product, Reply, Sight, Stage};
use super::random::Random;
use super::story::{DAY, HOUR, MINUTE, PoolWish, Setting, domain_name, span};
use super::sts::Memory;
use super::trail::Trail;

/// The zone of the hosts.
pub(crate) const INFRA: &str = "infra.test";

/// A public name server of ours.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// Whether it answers.
    pub(crate) up: bool,
    /// Until when it gets no new version.
    pub(crate) lags_until: u64,
}

/// What is known of one of our zones.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    /// What the product serves; `None`: nothing.
    pub(crate) latest: Option<Rc<Shown>>,
    /// What each server serves.
    pub(crate) at: [Option<Rc<Shown>>; 2],
    /// What caches may hold of each place.
    pub(crate) trails: BTreeMap<Spot, Trail<Option<Rc<Seen>>>>,
    /// The tags of DNSKEY sets that caches may hold.
    pub(crate) keys: Trail<Vec<u16>>,
    /// When the latest version was on every server; `None`: not yet.
    pub(crate) everywhere: Option<u64>,
}

/// What the world remembers of a domain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    /// Whether somebody else had the name before.
    pub(crate) owned: bool,
    /// The domain when it was last looked.
    pub(crate) now: Option<DomainNow>,
    /// When a step of it was last forced: what follows is the operator's.
    pub(crate) forced: Option<u64>,
    /// Whether it came back from its null MX: addresses of before are burnt (T5).
    pub(crate) revived: bool,
    /// Whether a restored store does not know it, or knows it as it was long ago.
    pub(crate) restored: bool,
    /// When an address was first and last handed out.
    pub(crate) handed_out: Option<(u64, u64)>,
    /// When a message to it may last have been deferred, and why.
    pub(crate) deferred: Option<(u64, String)>,
    /// The same of a message to a name below it, as long as such names were promised.
    pub(crate) users_deferred: Option<(u64, String)>,
    /// Whether a message to it may be deferred as things are.
    pub(crate) deferring: bool,
    /// When the null MX was first served.
    pub(crate) null_since: Option<u64>,
    /// When it last sent a message.
    pub(crate) sent: Option<u64>,
    /// Until when names below it are promised to take mail, since the operator gives them up; `None`:
    /// he does not, or never promised it.
    pub(crate) users_until: Option<u64>,
    /// Whether no cache denied names below it since they take mail.
    pub(crate) users_known: bool,
    /// When all mail hosts were seen to work.
    pub(crate) greens: Vec<u64>,
    /// The policies of its senders.
    pub(crate) memory: Memory,
    /// Until when somebody may go to a host in it because another zone named that; for ever while it
    /// does.
    pub(crate) named_until: Option<u64>,
    /// Whether that host had an address when it was named, in a name that was not given up.
    pub(crate) named_stood: bool,
    /// When its registration ends, if that was said.
    pub(crate) expires: Option<u64>,
    /// Whether it was ever held.
    pub(crate) held: bool,
    /// Whether its registrar was told of us.
    pub(crate) registered: bool,
    /// Whether its registrar was told to delete it.
    pub(crate) given_up: bool,
}

/// Something that will happen.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    /// An event of the story.
    Event(usize),
    /// A server asks for new versions.
    Fetch(usize),
    /// A server is up again.
    ServerUp(usize),
    /// A mail host applies what it fetched.
    Apply(usize),
    /// A mail host is up again; it was down since.
    HostUp(usize, u64),
    /// A policy host copies files.
    Copy(usize),
    /// A parent server publishes.
    Publish(String, usize, Option<Delegation>, Option<Secure>),
    /// A wish of the operator's may be due.
    Wish(String),
    /// Another zone names no host in a domain any more.
    Unrefer(String),
    /// Time passes.
    Beat,
}

/// The world.
pub(crate) struct World {
    /// Now, in seconds since 1970.
    pub(crate) now: u64,
    /// What is so from the beginning.
    pub(crate) setting: Setting,
    /// What the operator wants of the pool.
    pub(crate) pool: PoolWish,
    /// The settings that were accepted.
    pub(crate) accepted: PoolWish,
    /// Small chances.
    pub(crate) random: Random,
    /// Our public name servers.
    pub(crate) servers: [Server; 2],
    /// Our zones.
    pub(crate) zones: BTreeMap<String, Zone>,
    /// The parent.
    pub(crate) parent: Parent,
    /// The mail hosts.
    pub(crate) hosts: Vec<MailHost>,
    /// The policy hosts.
    pub(crate) policy_hosts: Vec<PolicyHost>,
    /// The domains.
    pub(crate) books: BTreeMap<String, Book>,
    /// When the pool's policy was first announced in mode testing by all its domains in use (S8).
    pub(crate) testing_since: Option<u64>,
    /// Whether its policy is not enforced, and so is to be tried before it is.
    pub(crate) ladder: bool,
    /// Whether a restore took the pool's settings back: since when they hold is not known then.
    pub(crate) rewound: bool,
    /// When a backup was last restored.
    pub(crate) restored: Option<u64>,
    /// Until when the operator had the domains send; `None`: they still do or never did.
    pub(crate) sent_until: Option<u64>,
    /// What happened, in words.
    pub(crate) log: Vec<String>,
    /// Whether anything changed since messages were last weighed, other than the time.
    pub(crate) touched: bool,
    /// What will happen, in order.
    tasks: BTreeMap<(u64, u64), Task>,
    /// How many tasks there ever were.
    count: u64,
    /// What was told last, by subject.
    told: BTreeMap<(u8, String), Sight>,
    /// The routing revision at which the hosts last looked.
    routed: BTreeMap<String, Option<Reply>>,
}

impl World {
    /// Makes a world in which nothing has happened.
    pub(crate) fn new(seed: u64, setting: &Setting, now: u64) -> Self {
        let (ns_ttl, ds_ttl, negative) = setting.parent;
        // Where nobody measures the parent, resolvers keep its denials for as long as they ought to at
        // most (RFC 2308, section 5).
        let negative = match setting.watching {
            true => negative,
            false => negative.min(3 * HOUR),
        };
        let pool = PoolWish::new(setting);
        let mut world = Self {
            now,
            setting: setting.clone(),
            accepted: pool.clone(),
            random: Random::new(seed ^ 0x5eed),
            servers: [(); 2].map(|()| Server {
                up: true,
                lags_until: 0,
            }),
            zones: BTreeMap::new(),
            parent: Parent::new(ns_ttl, ds_ttl, negative),
            hosts: Vec::new(),
            policy_hosts: Vec::new(),
            books: BTreeMap::new(),
            testing_since: None,
            ladder: setting.sts.is_none_or(|(mode, _)| mode != "enforce"),
            rewound: false,
            restored: None,
            sent_until: None,
            log: Vec::new(),
            touched: true,
            tasks: BTreeMap::new(),
            count: 0,
            told: BTreeMap::new(),
            routed: BTreeMap::new(),
            pool,
        };
        world.equip();
        for _ in 0..2 {
            let late = world.random.below(setting.copies + 1);
            world.policy_hosts.push(PolicyHost {
                late,
                files: BTreeMap::new(),
            });
        }
        world
    }

    /// Sets up the machines that the pool's settings name, before they are told to the product
    /// (M0, N0).
    pub(crate) fn equip(&mut self) {
        for host in 0..self.pool.hosts {
            let hex = |ip: [u8; 4]| ip.iter().map(|it| format!("{it:02x}")).collect::<String>();
            let boxes = self.pool.boxes(host).into_iter();
            let boxes: Vec<(String, String)> = boxes
                .map(|(ip, key)| (hex(ip), format!("030101{key}")))
                .collect();
            match self.hosts.get_mut(usize::from(host)) {
                Some(machine) => machine.boxes = boxes,
                None => {
                    let label = format!("mx{}", host + 1);
                    let mut machine = MailHost::new(&label, boxes, self.setting.late);
                    machine.table = self.current_table();
                    self.hosts.push(machine);
                    self.deny_new_spots();
                }
            }
        }
    }

    /// Notes that names which are looked at from now on were denied before: whoever asked for
    /// anything in their zone may have learnt so (RFC 8198, section 5.1).
    fn deny_new_spots(&mut self) {
        let names: Vec<String> = self.zones.keys().cloned().collect();
        let up = self.servers.each_ref().map(|server| server.up);
        for name in names {
            let spots = self.spots(&name);
            let now = self.now;
            let Some(zone) = self.zones.get_mut(&name) else {
                continue;
            };
            let ttl = zone.latest.as_ref().map_or(0, |shown| shown.negative_ttl);
            for spot in spots {
                zone.trails.entry(spot).or_insert_with(|| {
                    let mut trail = Trail::default();
                    for (server, up) in up.iter().enumerate() {
                        trail.say(server, now, &None, ttl, 0);
                        if !up {
                            trail.hush(server, now);
                        }
                    }
                    trail
                });
            }
        }
    }

    /// Returns the routing as it was last seen.
    fn current_table(&self) -> BTreeMap<String, Reply> {
        let routed = self.routed.iter();
        routed
            .filter_map(|(name, reply)| Some((name.clone(), (*reply)?)))
            .collect()
    }

    /// Returns what the mail hosts are to answer for a domain, as it was last seen.
    pub(crate) fn routing_of(&self, name: &str) -> Option<Reply> {
        self.routed.get(name).copied().flatten()
    }

    /// Notes what happens.
    pub(crate) fn note(&mut self, what: String) {
        let at = span(self.now - START);
        // Who asks again and again hears the same.
        if !self
            .log
            .iter()
            .rev()
            .take(6)
            .any(|line| line.ends_with(&what))
        {
            self.log.push(format!("{at:>24}  {what}"));
        }
    }

    /// Plans something.
    pub(crate) fn plan(&mut self, wait: u64, task: Task) {
        self.count += 1;
        self.tasks.insert((self.now + wait, self.count), task);
    }

    /// Takes what happens next out of the plan, and when.
    pub(crate) fn take(&mut self) -> Option<(u64, Task)> {
        let ((at, _), task) = self.tasks.pop_first()?;
        Some((at, task))
    }

    /// Returns the places that are looked at in a zone.
    pub(crate) fn spots(&self, apex: &str) -> Vec<Spot> {
        let hosts = |below: &str| -> Vec<Spot> {
            let names = self
                .hosts
                .iter()
                .map(|host| format!("{}.{below}", host.label));
            names
                .flat_map(|name| [Spot::Host(name.clone()), Spot::Tlsa(name)])
                .collect()
        };
        if apex == INFRA {
            return if self.setting.in_domain {
                Vec::new()
            } else {
                hosts(INFRA)
            };
        }
        let mut spots = vec![
            Spot::Mx,
            Spot::UserMx,
            Spot::StsTxt,
            Spot::StsHost,
            Spot::Spf,
            Spot::Dkim,
            Spot::Ns,
            Spot::Rp,
        ];
        if self.setting.in_domain {
            spots.extend(hosts(apex));
        }
        spots
    }

    /// Returns what caches may hold of a place that mail to a domain passes.
    pub(crate) fn trail(&self, domain: &str, spot: &Spot) -> Option<&Trail<Option<Rc<Seen>>>> {
        let zone = match spot {
            Spot::Host(name) | Spot::Tlsa(name) if name.ends_with(INFRA) => INFRA,
            _ => domain,
        };
        self.zones.get(zone)?.trails.get(spot)
    }

    /// Returns the machine behind a host's name.
    pub(crate) fn machine(&self, name: &str) -> Option<&MailHost> {
        let label = name.split('.').next()?;
        self.hosts.iter().find(|host| host.label == label)
    }

    /// Lets servers, mail hosts and policy hosts learn of what the product shows now.
    pub(crate) fn look(&mut self, product: &mut dyn Product) -> Result<(), Violation> {
        let mut zones: Vec<String> = self.books.keys().cloned().collect();
        zones.push(INFRA.to_owned());
        let mut changed = false;
        for apex in &zones {
            changed |= self.look_at_zone(product, apex)?;
        }
        if changed {
            for server in 0..2 {
                let most = if self.setting.watching {
                    30 * MINUTE
                } else {
                    self.setting.propagation
                };
                let wait = self.random.below(most);
                self.plan(wait, Task::Fetch(server));
            }
        }
        self.look_at_routing(product);
        self.look_at_policies(product);
        Ok(())
    }

    /// Reads a zone if it has changed; returns whether.
    fn look_at_zone(&mut self, product: &mut dyn Product, apex: &str) -> Result<bool, Violation> {
        let serial = product.serial(apex);
        let known = self.zones.get(apex);
        if known
            .and_then(|zone| zone.latest.as_ref())
            .map(|it| it.serial)
            == serial
            && (serial.is_some() || known.is_some())
        {
            return Ok(false);
        }
        let spots = self.spots(apex);
        let shown = product.shown(apex, &spots).map(Rc::new);
        if !self.zones.contains_key(apex) {
            if shown.is_none() {
                return Ok(false);
            }
            let zone = Zone::before();
            self.zones.insert(apex.to_owned(), zone);
        }
        if let Some(shown) = &shown {
            self.check_shown(apex, shown)?;
        }
        let zone = self.zones.get_mut(apex).expect("put there above");
        zone.latest = shown;
        zone.everywhere = None;
        self.touched = true;
        Ok(true)
    }

    /// Tells the mail hosts of what has changed.
    fn look_at_routing(&mut self, product: &mut dyn Product) {
        let names: Vec<String> = self.books.keys().cloned().collect();
        let mut changed = false;
        for name in names {
            let route = product.route(&name);
            changed |= self.routed.insert(name, route) != Some(route);
        }
        let revision = product.revision();
        if !changed {
            return;
        }
        self.touched = true;
        for host in 0..self.hosts.len() {
            self.fetch_routing(host, revision);
        }
    }

    /// Lets mail hosts ask for the routing, as they do now and then.
    pub(crate) fn poll(&mut self, revision: u64) {
        for host in 0..self.hosts.len() {
            if self.hosts[host].applied < revision {
                self.fetch_routing(host, revision);
            }
        }
    }

    /// Lets a mail host fetch the routing, and apply it when its time has come.
    fn fetch_routing(&mut self, host: usize, revision: u64) {
        let table = self.current_table();
        let late = self.hosts[host].late;
        if late == 0 {
            self.hosts[host].table = table;
            self.hosts[host].applied = revision;
        } else if self.hosts[host].fetched.is_none() {
            let wait = self.random.below(late);
            self.hosts[host].fetched = Some((table, revision));
            self.plan(wait, Task::Apply(host));
        }
    }

    /// Lets a mail host apply what it fetched, and fetch what is new since.
    pub(crate) fn apply(&mut self, host: usize, revision: u64) {
        let Some((table, fetched)) = self.hosts[host].fetched.take() else {
            return;
        };
        let stale = table != self.current_table();
        self.hosts[host].table = table;
        self.hosts[host].applied = fetched;
        if stale {
            self.fetch_routing(host, revision);
        }
    }

    /// Tells the policy hosts of what has changed.
    fn look_at_policies(&mut self, product: &mut dyn Product) {
        let names: Vec<String> = self.books.keys().cloned().collect();
        for name in names {
            let text = product.policy(&name);
            let book = self.books.get_mut(&name).expect("a name of its own");
            book.memory.wanted(text.as_deref());
            for host in 0..self.policy_hosts.len() {
                let served = self.policy_hosts[host].files.get(&name).cloned().flatten();
                if served == text {
                    continue;
                }
                let late = self.policy_hosts[host].late;
                let wait = if late == 0 {
                    0
                } else {
                    self.random.below(late)
                };
                self.plan(wait, Task::Copy(host));
            }
        }
    }

    /// Lets a policy host copy every file.
    pub(crate) fn copy_policies(&mut self, product: &mut dyn Product, host: usize) {
        let names: Vec<String> = self.books.keys().cloned().collect();
        for name in names {
            // The product may have moved on since it was looked at.
            let text = product.policy(&name);
            self.book(&name).memory.wanted(text.as_deref());
            self.policy_hosts[host].files.insert(name, text);
        }
    }

    /// Lets a server serve the newest versions, if it is up and does not lag.
    pub(crate) fn fetch(&mut self, server: usize) {
        let now = self.now;
        let it = &self.servers[server];
        if !it.up || it.lags_until > now {
            return;
        }
        let serve = self.servers.clone();
        for zone in self.zones.values_mut() {
            zone.take(server, now);
            let whole = (0..2).all(|it| !serve[it].up || zone.at[it] == zone.latest);
            if whole && serve.iter().all(|it| it.up) && zone.everywhere.is_none() {
                zone.everywhere = Some(now);
            }
        }
    }

    /// Takes a server down.
    pub(crate) fn server_down(&mut self, server: usize) {
        self.servers[server].up = false;
        for zone in self.zones.values_mut() {
            for trail in zone.trails.values_mut() {
                trail.hush(server, self.now);
            }
            zone.keys.hush(server, self.now);
        }
    }

    /// Brings a server back with the versions it had; where nobody watches, it asks for new ones
    /// before it answers, as the operator says of his servers.
    pub(crate) fn server_up(&mut self, server: usize) {
        self.servers[server].up = true;
        let now = self.now;
        if self.setting.watching {
            let wait = self.random.below(30 * MINUTE);
            self.plan(wait, Task::Fetch(server));
        } else {
            self.fetch(server);
        }
        for zone in self.zones.values_mut() {
            zone.say(server, now);
        }
    }

    /// Hands domains that are served everywhere to their registrars, and back those that are
    /// released.
    pub(crate) fn register(&mut self) {
        let names: Vec<String> = self.books.keys().cloned().collect();
        for name in names {
            let Some(zone) = self.zones.get(&name) else {
                continue;
            };
            let everywhere = zone.everywhere.is_some() || self.setting.hasty;
            let served = zone.latest.is_some() && everywhere;
            let book = &self.books[&name];
            let Some(domain) = book.now.clone() else {
                continue;
            };
            let registered = book.registered;
            let given_up = book.given_up;
            if served && !registered && domain.stage == Stage::Standby {
                self.delegate(&name, domain.ds);
            }
            if domain.stage == Stage::Released && registered && !given_up {
                let wait = self.random.below(10 * DAY);
                self.undelegate(&name, wait);
            }
        }
    }

    /// Hands a domain to its registrar: NS first, DS with it or later.
    fn delegate(&mut self, name: &str, ds: u16) {
        self.book(name).registered = true;
        let queue = self.random.below(12 * HOUR);
        let later = if self.random.chance(50) {
            0
        } else {
            self.random.below(DAY)
        };
        for server in 0..SERVERS {
            let wait = queue + self.random.below(2 * HOUR);
            let ours = Some(Delegation::Ours);
            self.plan(wait, Task::Publish(name.to_owned(), server, ours, None));
            let key = Some(Secure::Key(ds));
            let task = Task::Publish(name.to_owned(), server, None, key);
            self.plan(wait + later, task);
        }
    }

    /// Has a domain deleted at its registrar.
    pub(crate) fn undelegate(&mut self, name: &str, wait: u64) {
        self.book(name).given_up = true;
        for server in 0..SERVERS {
            let wait = wait + self.random.below(2 * HOUR);
            let nowhere = Some(Delegation::Nowhere);
            let not = Some(Secure::Not);
            self.plan(wait, Task::Publish(name.to_owned(), server, nowhere, not));
        }
    }

    /// Returns what is remembered of a domain.
    pub(crate) fn book(&mut self, name: &str) -> &mut Book {
        self.books.entry(name.to_owned()).or_default()
    }

    /// Begins to remember a domain that is added.
    pub(crate) fn added(&mut self, domain: u8) {
        let name = domain_name(domain);
        let owned = self.setting.owned & (1 << domain) != 0;
        let now = self.now;
        let known = self.parent.get(&name).is_some();
        self.parent.entry(&name, now);
        if owned && !known {
            let secure = if self.random.chance(50) {
                Secure::Foreign
            } else {
                Secure::Not
            };
            for server in 0..SERVERS {
                self.parent
                    .show(&name, server, Delegation::Foreign, secure, now);
            }
        }
        // What parking servers say of mail is short-lived: the guard of activation covers it, as
        // it does what was fetched from them at the very end of their delegation.
        let foreign_ttl = self.setting.guards.0;
        self.parent.entry(&name, now).foreign_ttl = foreign_ttl;
        let memory = self.book(&name).memory.clone();
        *self.book(&name) = Book {
            owned: owned || known,
            memory,
            ..Book::default()
        };
    }

    /// Returns what there is to be seen that differs from what was told; all of it for a beat.
    pub(crate) fn sights(&mut self, all: bool) -> Vec<Sight> {
        let mut sights = Vec::new();
        let names: Vec<String> = self.books.keys().cloned().collect();
        for name in &names {
            if self.books[name].now.is_none() {
                continue;
            }
            let mut of = vec![(0, self.parent_sight(name)), (1, self.server_sight(name))];
            of.push((2, self.mail_sight(name)));
            let files = self.policy_hosts.iter().map(|host| host.file(name));
            of.push((3, Sight::Policy(name.clone(), files.collect())));
            if all {
                of.push((4, Sight::Counts(name.clone(), 0)));
            }
            for (kind, sight) in of {
                let known = self.told.insert((kind, name.clone()), sight.clone());
                if all || known.as_ref() != Some(&sight) {
                    if sight
                        == (Sight::Mail {
                            domain: name.clone(),
                            green: true,
                        })
                    {
                        let now = self.now;
                        self.book(name).greens.push(now);
                    }
                    sights.push(sight);
                }
            }
        }
        if !self.setting.in_domain {
            let sight = self.server_sight(INFRA);
            let known = self.told.insert((6, INFRA.to_owned()), sight.clone());
            if all || known.as_ref() != Some(&sight) {
                sights.push(sight);
            }
        }
        for host in &self.hosts {
            let applied = Sight::Applied(host.label.clone(), host.applied);
            let known = self.told.insert((5, host.label.clone()), applied.clone());
            if host.applied > 0 && known.as_ref() != Some(&applied) {
                sights.push(applied);
            }
        }
        sights
    }

    /// Returns what the parent's servers say of a domain.
    fn parent_sight(&mut self, name: &str) -> Sight {
        let ttls = (
            self.parent.ns_ttl,
            self.parent.ds_ttl,
            self.parent.negative_ttl,
        );
        let now = self.now;
        let entry = self.parent.entry(name, now);
        Sight::Parent(ParentSight {
            domain: name.to_owned(),
            delegations: entry.delegations().collect(),
            secures: entry.secures().collect(),
            ttls,
            foreign_ttl: entry.foreign_ttl,
        })
    }

    /// Returns which serial of a domain each server shows.
    fn server_sight(&self, name: &str) -> Sight {
        let zone = self.zones.get(name);
        let serials = (0..2).map(|server| {
            let shown = zone?.at[server].as_ref()?;
            self.servers[server].up.then_some(shown.serial)
        });
        Sight::Servers(name.to_owned(), serials.collect())
    }

    /// Returns whether the hosts of a domain take its postmaster.
    fn mail_sight(&self, name: &str) -> Sight {
        let reachable = self.servers.iter().any(|it| it.up);
        let green = self
            .hosts
            .iter()
            .all(|host| host.up && host.table.contains_key(name));
        Sight::Mail {
            domain: name.to_owned(),
            green: green && reachable,
        }
    }

    /// Takes the pool back to what it was to be when a backup was made.
    pub(crate) fn rewind(&mut self, kept: &PoolWish) {
        self.pool = kept.clone();
        self.accepted = kept.clone();
        self.rewound = true;
        let now = self.now;
        self.sent_until = (!kept.setting.sends).then_some(now);
        for book in self.books.values_mut() {
            book.users_until = (!kept.setting.subdomains).then_some(now + kept.setting.spans.0);
            book.users_known &= !kept.setting.subdomains;
        }
    }

    /// Forgets what was told: a restored product does not know it.
    pub(crate) fn forget_told(&mut self) {
        self.told.clear();
    }
}

impl Zone {
    /// Makes a zone that is served by no server yet: they refuse, and nobody keeps that.
    fn before() -> Self {
        Self {
            latest: None,
            at: [None, None],
            trails: BTreeMap::new(),
            keys: Trail::default(),
            everywhere: None,
        }
    }

    /// Lets a server take the latest version, if its serial is newer than what it has (RFC 1982).
    fn take(&mut self, server: usize, now: u64) {
        let newer = match (&self.at[server], &self.latest) {
            (_, None) => true,
            (None, Some(_)) => true,
            (Some(old), Some(new)) => {
                let ahead = new.serial.wrapping_sub(old.serial);
                ahead != 0 && ahead < 1 << 31
            }
        };
        if newer {
            self.at[server] = self.latest.clone();
            self.say(server, now);
        }
    }

    /// Lets a server say what it has.
    fn say(&mut self, server: usize, now: u64) {
        let Some(shown) = self.at[server].clone() else {
            // REFUSED is kept by no cache.
            for trail in self.trails.values_mut().filter(|_| self.latest.is_none()) {
                trail.hush(server, now);
            }
            return;
        };
        for (spot, seen) in &shown.rrsets {
            let ttl = seen.as_ref().map_or(shown.negative_ttl, |seen| seen.ttl);
            let expires = seen.as_ref().map_or(0, |seen| seen.expires);
            // The signature is no part of what is said.
            let plain = seen.as_ref().map(|seen| {
                Rc::new(Seen {
                    expires: 0,
                    ..Seen::clone(seen)
                })
            });
            let trail = self.trails.entry(spot.clone()).or_default();
            trail.say(server, now, &plain, ttl, expires);
        }
        self.keys.say(server, now, &shown.keys, 3600, shown.expires);
    }
}
