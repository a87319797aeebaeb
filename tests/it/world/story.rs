//! Stories: what happens to a pool over months, chosen by chance and told in words.

use std::fmt;

use serde_json::{Value, json};

use super::product::{Reply, Stage};
use super::random::Random;

/// A minute, in seconds.
pub(crate) const MINUTE: u64 = 60;
/// An hour.
pub(crate) const HOUR: u64 = 60 * MINUTE;
/// A day.
pub(crate) const DAY: u64 = 24 * HOUR;

/// A world and what happens in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Story {
    /// What the small chances of the world (delays) are drawn from.
    pub(crate) seed: u64,
    /// The world.
    pub(crate) setting: Setting,
    /// How long after the event before it each event happens.
    pub(crate) events: Vec<(u64, Event)>,
}

/// What is so from the beginning.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    /// Whether the product watches the world, or takes the operator's word.
    pub(crate) watching: bool,
    /// How many domains there are to add.
    pub(crate) domains: u8,
    /// Which of them had an owner before, one bit each.
    pub(crate) owned: u8,
    /// TTLs of MX, hosts, TLSA and TXT; of NS; of denials.
    pub(crate) ttls: (u64, u64, u64),
    /// TTLs of the parent's NS, DS and denials.
    pub(crate) parent: (u64, u64, u64),
    /// Whether mail to names below the domains is taken.
    pub(crate) subdomains: bool,
    /// Whether the hosts lie in each domain.
    pub(crate) in_domain: bool,
    /// Whether activation waits for the DS.
    pub(crate) secured: bool,
    /// Whether domains are handed to their registrars before every server has them.
    pub(crate) hasty: bool,
    /// How many mail hosts there are.
    pub(crate) hosts: u8,
    /// How late each host applies routing; zero: never late.
    pub(crate) late: u64,
    /// How late policy hosts copy files at most.
    pub(crate) copies: u64,
    /// The MTA-STS mode, and max_age.
    pub(crate) sts: Option<(&'static str, u64)>,
    /// Whether the domains send.
    pub(crate) sends: bool,
    /// Whether the clock retires.
    pub(crate) auto: bool,
    /// Drain and quarantine.
    pub(crate) spans: (u64, u64),
    /// Lifetime and refresh of signatures.
    pub(crate) signing: (u64, u64),
    /// The guards of steps that add and of steps that withdraw.
    pub(crate) guards: (u64, u64),
    /// The longest a server takes to a new version where nobody looks.
    pub(crate) propagation: u64,
    /// How long domains are registered for; `None`: nobody says.
    pub(crate) registration: Option<u64>,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// A domain is added and handed to its registrar.
    Add(u8),
    /// A step is asked for; refused for its time, it is asked for again.
    Step(u8, Stage),
    /// A step is forced.
    Force(u8, Stage),
    /// Addresses are handed out.
    HandOut,
    /// The pool is rotated: this domain is burnt, one is activated.
    Rotate(Option<u8>),
    /// A domain is suspended.
    Suspend(u8, Reply),
    /// It is resumed.
    Resume(u8),
    /// It is held, or let go on.
    Hold(u8, bool),
    /// The MX of another zone names a host in a domain for so long.
    Refer(u8, u64),
    /// A domain's registration is renewed.
    Renew(u8),
    /// A step is asked for that is to be taken so much later.
    StepLater(u8, Stage, u64),
    /// The last change is undone.
    Undo,
    /// The pool's settings change.
    Pool(Turn),
    /// A name server is down for so long.
    ServerDown(u8, u64),
    /// All of them.
    AllServersDown(u64),
    /// A name server gets no new versions for so long.
    ServerLags(u8, u64),
    /// A mail host is down for so long.
    HostDown(u8, u64),
    /// All of them.
    AllHostsDown(u64),
    /// The registrar takes a domain's DS away, and puts it back after so long.
    Forget(u8, u64),
    /// The parent's TTLs change by this factor, in percent.
    ParentTtl(u64),
    /// A domain's delegation is removed.
    Undelegate(u8),
    /// The product stops and starts.
    Restart,
    /// A backup is made.
    Backup,
    /// The latest backup is restored.
    Restore,
    /// Nothing.
    Quiet,
}

/// How a pool's settings change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Turn {
    /// `subdomains` is turned.
    Subdomains(bool),
    /// `outbound` is removed or comes back.
    Sends(bool),
    /// A host is added.
    HostAdded,
    /// A host gets one more address, with a key of its own.
    AddressAdded,
    /// The MTA-STS policy becomes this.
    Sts(Option<(&'static str, u64)>),
    /// The TTL of mail records becomes this.
    Ttl(u64),
    /// The drain span becomes this.
    Drain(u64),
}

impl Story {
    /// Makes the story of a seed, at least `days` long.
    pub(crate) fn of(seed: u64, days: u64) -> Self {
        let mut random = Random::new(seed);
        let setting = Setting::random(&mut random);
        let mut events = Vec::new();
        for domain in 0..setting.domains {
            if events.is_empty() || random.chance(60) {
                events.push((random.below(2 * HOUR), Event::Add(domain)));
            }
        }
        for domain in 0..setting.domains {
            if random.chance(80) {
                let wait = random.below(4 * HOUR);
                events.push((wait, Event::Step(domain, Stage::Active)));
            }
        }
        events.push((random.below(3 * DAY), Event::HandOut));
        let mut told: u64 = events.iter().map(|(wait, _)| wait).sum();
        while told < days * DAY {
            let wait = match random.below(10) {
                0 => random.below(2 * MINUTE),
                1 | 2 => random.below(3 * HOUR),
                3 | 4 => random.below(DAY),
                5..8 => random.below(5 * DAY),
                _ => random.below(18 * DAY),
            };
            told += wait;
            events.push((wait, Event::random(&mut random, &setting)));
        }
        Self {
            seed,
            setting,
            events,
        }
    }
}

impl Setting {
    /// Makes a world.
    fn random(random: &mut Random) -> Self {
        let ttl = random.pick(&[5 * MINUTE, HOUR, 4 * HOUR]);
        Self {
            watching: random.chance(60),
            domains: random.between(2, 4) as u8,
            owned: if random.chance(40) {
                random.below(16) as u8
            } else {
                0
            },
            ttls: (
                ttl,
                random.pick(&[HOUR, DAY]),
                random.pick(&[5 * MINUTE, 15 * MINUTE, 2 * HOUR]),
            ),
            parent: (
                random.pick(&[HOUR, DAY, 2 * DAY]),
                random.pick(&[HOUR, DAY]),
                random.pick(&[15 * MINUTE, 3 * HOUR, DAY]),
            ),
            subdomains: random.chance(40),
            in_domain: random.chance(25),
            secured: random.chance(70),
            hasty: random.chance(30),
            hosts: random.between(1, 2) as u8,
            late: random.pick(&[0, 0, 10 * MINUTE, 8 * HOUR]),
            copies: random.pick(&[0, 10 * MINUTE, 6 * HOUR, 2 * DAY]),
            sts: match random.below(4) {
                0 | 1 => None,
                2 => Some(("enforce", random.pick(&[2 * DAY, 7 * DAY, 14 * DAY]))),
                _ => Some(("testing", random.pick(&[DAY, 7 * DAY]))),
            },
            sends: random.chance(30),
            auto: random.chance(50),
            spans: (
                random.pick(&[HOUR, 2 * DAY, 10 * DAY]),
                random.pick(&[DAY, 10 * DAY, 30 * DAY]),
            ),
            signing: random.pick(&[(21 * DAY, 14 * DAY), (40 * DAY, 20 * DAY)]),
            guards: (random.pick(&[0, HOUR]), random.pick(&[0, DAY])),
            propagation: random.pick(&[MINUTE, 10 * MINUTE]),
            registration: random
                .chance(30)
                .then(|| random.between(40 * DAY, 400 * DAY)),
        }
    }
}

impl Event {
    /// Makes an event.
    fn random(random: &mut Random, setting: &Setting) -> Self {
        let domain = random.below(u64::from(setting.domains)) as u8;
        let host = random.below(u64::from(setting.hosts)) as u8;
        let server = random.below(2) as u8;
        let outage = |random: &mut Random| match random.below(3) {
            0 => random.between(MINUTE, HOUR),
            1 => random.between(HOUR, 11 * HOUR),
            _ => random.between(HOUR, 3 * DAY),
        };
        match random.below(100) {
            0..8 => Self::Add(domain),
            8..18 => Self::Step(domain, Stage::Active),
            18..30 => Self::HandOut,
            30..38 => Self::Step(domain, Stage::Draining),
            38..46 => Self::Step(domain, Stage::Retired),
            46..53 => Self::Step(domain, Stage::Released),
            53 => Self::Step(domain, Stage::Standby),
            54..60 => Self::Rotate(random.chance(60).then_some(domain)),
            60..64 => Self::Suspend(
                domain,
                random.pick(&[Reply::Later, Reply::Later, Reply::Never]),
            ),
            64..68 => Self::Resume(domain),
            68 => Self::Hold(domain, random.chance(50)),
            69 => Self::Undo,
            70 => Self::Refer(domain, random.between(HOUR, 90 * DAY)),
            71..79 => Self::Pool(Turn::random(random)),
            79..81 => Self::ServerDown(server, outage(random)),
            81 => Self::AllServersDown(random.between(MINUTE, 9 * HOUR)),
            82..84 => Self::ServerLags(server, outage(random)),
            84..87 => Self::HostDown(host, outage(random)),
            87..89 => Self::AllHostsDown(random.between(MINUTE, 11 * HOUR)),
            89 => Self::Forget(domain, outage(random)),
            90 => Self::ParentTtl(random.pick(&[5, 50, 200])),
            91 => Self::Undelegate(domain),
            92..94 => Self::Restart,
            94..96 => Self::Backup,
            96 => Self::Restore,
            97 => Self::Force(domain, random.pick(&[Stage::Active, Stage::Retired])),
            98 => Self::Renew(domain),
            99 => {
                let stage = [Stage::Active, Stage::Draining, Stage::Retired];
                let later = random.between(MINUTE, 20 * DAY);
                Self::StepLater(domain, random.pick(&stage), later)
            }
            _ => Self::Quiet,
        }
    }
}

impl Turn {
    /// Makes a change of settings.
    fn random(random: &mut Random) -> Self {
        match random.below(9) {
            0 | 1 => Self::Subdomains(random.chance(30)),
            2 => Self::Sends(random.chance(30)),
            3 => Self::HostAdded,
            4 => Self::AddressAdded,
            5 => Self::Sts(Some(("enforce", random.pick(&[2 * DAY, 7 * DAY])))),
            6 => Self::Sts(random.pick(&[None, Some(("testing", DAY))])),
            7 => Self::Ttl(random.pick(&[5 * MINUTE, 30 * MINUTE, HOUR])),
            _ => Self::Drain(random.pick(&[HOUR, 10 * DAY, 40 * DAY])),
        }
    }
}

/// What a pool's document is made of: it follows the story.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PoolWish {
    /// The world it began in.
    pub(crate) setting: Setting,
    /// How many hosts it has.
    pub(crate) hosts: u8,
    /// How many addresses the first of them has.
    pub(crate) addresses: u8,
}

impl PoolWish {
    /// Begins with a setting.
    pub(crate) fn new(setting: &Setting) -> Self {
        Self {
            setting: setting.clone(),
            hosts: setting.hosts,
            addresses: 1,
        }
    }

    /// Turns a setting; returns whether that makes a difference.
    pub(crate) fn turn(&mut self, turn: Turn) -> bool {
        let before = self.clone();
        match turn {
            Turn::Subdomains(on) => self.setting.subdomains = on,
            Turn::Sends(on) => self.setting.sends = on,
            Turn::HostAdded => self.hosts = (self.hosts + 1).min(3),
            Turn::AddressAdded => self.addresses = (self.addresses + 1).min(3),
            Turn::Sts(sts) => self.setting.sts = sts,
            Turn::Ttl(ttl) => self.setting.ttls.0 = ttl,
            Turn::Drain(drain) => self.setting.spans.0 = drain,
        }
        *self != before
    }

    /// Returns the boxes of a host: IPv4 address and key.
    pub(crate) fn boxes(&self, host: u8) -> Vec<([u8; 4], String)> {
        let count = if host == 0 { self.addresses } else { 1 };
        (0..count)
            .map(|at| {
                let key = format!("{:02x}", 0x10 * (host + 1) + at).repeat(32);
                ([192, 0, 2, 10 * (host + 1) + at], key)
            })
            .collect()
    }

    /// Returns the pool's document.
    pub(crate) fn document(&self) -> Value {
        let setting = &self.setting;
        let seconds = |span: u64| format!("{span}s");
        let hosts: Vec<Value> = (0..self.hosts)
            .map(|host| {
                let boxes = self.boxes(host);
                let label = format!("mx{}", host + 1);
                let name = if setting.in_domain {
                    label
                } else {
                    format!("{label}.infra.test.")
                };
                let addresses = boxes.iter().map(|(ip, _)| {
                    let [a, b, c, d] = ip;
                    format!("{a}.{b}.{c}.{d}")
                });
                json!({
                    "name": name,
                    "preference": 10 * (u16::from(host) + 1),
                    "addresses": addresses.collect::<Vec<_>>(),
                    "tlsa": boxes.iter().map(|(_, key)| format!("3 1 1 {key}")).collect::<Vec<_>>(),
                })
            })
            .collect();
        let mut document = json!({
            "nameservers": ["ns1.infra.test.", "ns2.infra.test."],
            "hostmaster": "hostmaster@infra.test",
            "ttl": seconds(setting.ttls.0),
            "ns_ttl": seconds(setting.ttls.1),
            "negative_ttl": seconds(setting.ttls.2),
            "active": 2,
            "standby": 1,
            "drain": seconds(setting.spans.0),
            "retire": if setting.auto { "auto" } else { "manual" },
            "quarantine": seconds(setting.spans.1),
            "query_floor": 5,
            "subdomains": setting.subdomains,
            "mail_host": hosts,
            "readiness": {
                "delegated": true,
                "secured": if setting.secured { "yes" } else { "no" },
                "mail_ready": true,
            },
            "dnssec": {
                "signature_lifetime": seconds(setting.signing.0),
                "signature_refresh": seconds(setting.signing.1),
            },
            "timing": {
                "guard": seconds(setting.guards.0),
                "destructive_guard": seconds(setting.guards.1),
                "queue_max": "5d",
                "propagation": seconds(setting.propagation),
            },
        });
        if let Some((mode, max_age)) = setting.sts {
            document["mta_sts"] = json!({
                "mode": mode, "max_age": seconds(max_age), "addresses": ["192.0.2.80"],
            });
        }
        if setting.sends {
            document["outbound"] = json!({
                "spf": "v=spf1 mx -all",
                "dkim": { "s1": "s1.dkim.infra.test." },
                "dmarc": "p=reject; adkim=s; aspf=s",
            });
        }
        document
    }
}

/// Returns the name of the zone whose MX may name a host in a domain.
pub(crate) fn guest_zone(domain: &str) -> String {
    format!("of-{domain}")
}

/// Returns a domain's name.
pub(crate) fn domain_name(domain: u8) -> String {
    format!("{}.test", char::from(b'a' + domain))
}

/// Writes a span as people say it.
pub(crate) fn span(seconds: u64) -> String {
    let parts = [(DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s")];
    let mut rest = seconds;
    let mut words = Vec::new();
    for (unit, word) in parts {
        if rest >= unit {
            words.push(format!("{} {word}", rest / unit));
            rest %= unit;
        }
    }
    if words.is_empty() {
        "at once".to_owned()
    } else {
        words.join(" ")
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Story {}: {:?}", self.seed, self.setting)?;
        let mut at = 0;
        for (wait, event) in &self.events {
            at += wait;
            writeln!(f, "  {:>24}  {event}", span(at))?;
        }
        Ok(())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |domain: &u8| domain_name(*domain);
        match self {
            Self::Add(domain) => write!(f, "{} is added", name(domain)),
            Self::Step(domain, to) => write!(f, "{} is to become {to:?}", name(domain)),
            Self::Force(domain, to) => write!(f, "{} is forced to become {to:?}", name(domain)),
            Self::HandOut => write!(f, "addresses are handed out"),
            Self::Rotate(None) => write!(f, "the pool is rotated"),
            Self::Rotate(Some(domain)) => write!(f, "{} is burnt in a rotation", name(domain)),
            Self::Suspend(domain, reply) => write!(f, "{} is suspended ({reply:?})", name(domain)),
            Self::Resume(domain) => write!(f, "{} is resumed", name(domain)),
            Self::Hold(domain, true) => write!(f, "{} is held", name(domain)),
            Self::Hold(domain, false) => write!(f, "{} is held no more", name(domain)),
            Self::Refer(domain, time) => {
                let (domain, time) = (name(domain), span(*time));
                write!(f, "another zone names a host in {domain} for {time}")
            }
            Self::Renew(domain) => write!(f, "{} is renewed", name(domain)),
            Self::StepLater(domain, to, later) => {
                let (domain, later) = (name(domain), span(*later));
                write!(f, "{domain} is to become {to:?} in {later}")
            }
            Self::Undo => write!(f, "the last change is undone"),
            Self::Pool(turn) => write!(f, "the pool changes: {turn:?}"),
            Self::ServerDown(server, time) => {
                write!(f, "name server {server} is down for {}", span(*time))
            }
            Self::AllServersDown(time) => {
                write!(f, "all name servers are down for {}", span(*time))
            }
            Self::ServerLags(server, time) => {
                write!(f, "name server {server} lags for {}", span(*time))
            }
            Self::HostDown(host, time) => write!(f, "mail host {host} is down for {}", span(*time)),
            Self::AllHostsDown(time) => write!(f, "all mail hosts are down for {}", span(*time)),
            Self::Forget(domain, time) => {
                let domain = name(domain);
                write!(
                    f,
                    "the registrar forgets the DS of {domain} for {}",
                    span(*time)
                )
            }
            Self::ParentTtl(percent) => write!(f, "the parent's TTLs become {percent} %"),
            Self::Undelegate(domain) => write!(f, "{} is undelegated", name(domain)),
            Self::Restart => write!(f, "the product restarts"),
            Self::Backup => write!(f, "a backup is made"),
            Self::Restore => write!(f, "the last backup is restored"),
            Self::Quiet => write!(f, "nothing happens"),
        }
    }
}
