//! The product with one thing wrong at its border: what leaves it, or what it is told.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::dns::{Seen, Shown, Spot};
use super::product::{DomainNow, Order, Product, Reaction, Reply, Sight, Stage};
use super::story::DAY;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The MX at `*` is left behind when the apex gets the null MX.
    WildcardLeft,
    /// The null MX comes beside the others.
    NullBesideOthers,
    /// The MX is withdrawn while the domain drains.
    MxWithdrawn,
    /// The null MX is published while the domain drains.
    NullEarly,
    /// The addresses of hosts are withdrawn while MX name them.
    AddressWithdrawn,
    /// TLSA records name a key that no host has.
    TlsaAhead,
    /// Hosts are told to refuse before DNS says so.
    RefusedWhileDraining,
    /// Hosts are told to accept later than the domain is in use.
    AcceptLate,
    /// Standby domains are refused for good.
    StandbyRefused,
    /// Hosts forget a domain when its null MX comes.
    ForgottenAtOnce,
    /// The zone is dropped when the domain is released.
    DroppedAtOnce,
    /// Signatures are not renewed.
    NeverRenewed,
    /// The zone is signed by another key than the DS names.
    OtherKey,
    /// The serial goes back.
    SerialBack,
    /// The policy names no host that takes mail.
    PolicyWithoutHosts,
    /// The policy file is withdrawn with the null MX.
    PolicyWithdrawn,
    /// Addresses are handed out in draining domains.
    HandedOutDraining,
    /// Addresses are handed out in suspended domains.
    HandedOutSuspended,
    /// An undo is said to be done, and nothing is.
    UndoneInWords,
    /// The key of what was sent is withdrawn when the domain drains.
    DkimWithdrawn,
    /// What hosts fetched counts as applied.
    AppliedEarly,
    /// Outages are not told.
    OutagesUntold,
    /// A DS that is not there is told.
    DsInvented,
    /// A delegation that is not there is told.
    DelegationInvented,
    /// Mail hosts that do not work are told to.
    HostsInvented,
    /// Policy files that are not served are told to be.
    FilesInvented,
    /// A delegation counts as gone when the domain is released.
    GoneEarly,
    /// Servers that lag are told to keep up.
    LagUntold,
    /// Queues of senders count as empty at once.
    QueuesForgotten,
    /// The parent's TTLs are told as a minute.
    ParentTtlsShort,
    /// Policy files say that they may be kept for much longer.
    PoliciesKeptLonger,
    /// What is to be tried is enforced.
    LadderSkipped,
}

/// How far serials are spread, so that others fit between them. Those of a date, as the engine has
/// them, wrap around; their order stays (RFC 1982).
const SPREAD: u32 = 16;

/// A product and what is wrong with it.
pub(crate) struct Tampered {
    /// The product.
    inner: Box<dyn Product>,
    /// What is wrong.
    fault: Fault,
    /// Now.
    now: u64,
    /// Since when each domain is where it is, and how often it moved.
    since: BTreeMap<String, (Stage, u64, u32)>,
    /// When signatures of each zone first expired.
    expires: BTreeMap<String, u64>,
}

impl Tampered {
    /// Tampers with a product.
    pub(crate) fn new(inner: Box<dyn Product>, fault: Fault) -> Self {
        Self {
            inner,
            fault,
            now: 0,
            since: BTreeMap::new(),
            expires: BTreeMap::new(),
        }
    }

    /// Returns where a domain stands.
    fn stage(&mut self, name: &str) -> Option<Stage> {
        let stage = self.inner.domain(name)?.stage;
        let now = self.now;
        let known = self.since.get(name).copied();
        if known.is_none_or(|(known, ..)| known != stage) {
            let moved = known.map_or(0, |(_, _, moved)| moved + 1);
            self.since.insert(name.to_owned(), (stage, now, moved));
        }
        Some(stage)
    }

    /// Makes of servers that lag some that keep up.
    fn kept_up(&mut self, sight: Sight) -> Sight {
        match sight {
            Sight::Servers(zone, serials) if self.fault == Fault::LagUntold => {
                let newest = self.inner.serial(&zone);
                Sight::Servers(zone, vec![newest; serials.len()])
            }
            sight => sight,
        }
    }

    /// Changes the RRset at a place.
    fn change(shown: &mut Shown, spot: &Spot, change: impl FnOnce(&mut Option<Rc<Seen>>)) {
        if let Some((_, seen)) = shown.rrsets.iter_mut().find(|(at, _)| at == spot) {
            change(seen);
        }
    }

    /// Changes what a zone shows.
    fn tamper(&mut self, apex: &str, shown: &mut Shown) {
        let stage = self.stage(apex);
        let draining = stage == Some(Stage::Draining);
        let null = || {
            Some(Rc::new(Seen {
                ttl: 300,
                records: vec!["0 .".to_owned()],
                mx: vec![(0, String::new())],
                expires: u64::from(u32::MAX),
                signer: shown.keys.first().copied().unwrap_or(0),
            }))
        };
        match self.fault {
            Fault::WildcardLeft if stage >= Some(Stage::Retired) => {
                let live = Seen {
                    mx: vec![(10, "mx1.infra.test".to_owned())],
                    records: vec!["10 mx1.infra.test.".to_owned()],
                    ..null().map(|seen| Seen::clone(&seen)).expect("made above")
                };
                Self::change(shown, &Spot::UserMx, |seen| *seen = Some(Rc::new(live)));
            }
            Fault::NullBesideOthers if stage >= Some(Stage::Retired) => {
                let mut both = null().map(|seen| Seen::clone(&seen)).expect("made above");
                both.mx.push((10, "mx1.infra.test".to_owned()));
                Self::change(shown, &Spot::Mx, |seen| *seen = Some(Rc::new(both)));
            }
            Fault::MxWithdrawn if draining => Self::change(shown, &Spot::Mx, |seen| *seen = None),
            Fault::NullEarly if draining => {
                let null = null();
                Self::change(shown, &Spot::Mx, |seen| *seen = null);
            }
            Fault::AddressWithdrawn => {
                for (spot, seen) in &mut shown.rrsets {
                    if matches!(spot, Spot::Host(_)) {
                        *seen = None;
                    }
                }
            }
            Fault::TlsaAhead => {
                for (spot, seen) in &mut shown.rrsets {
                    if let (Spot::Tlsa(_), Some(seen)) = (spot, seen) {
                        let records = vec![format!("030101{}", "ff".repeat(32))];
                        *seen = Rc::new(Seen {
                            records,
                            ..Seen::clone(seen)
                        });
                    }
                }
            }
            Fault::NeverRenewed => {
                let first = *self.expires.entry(apex.to_owned()).or_insert(shown.expires);
                shown.expires = shown.expires.min(first);
            }
            Fault::OtherKey => {
                shown.keys = shown.keys.iter().map(|key| key ^ 1).collect();
                for (_, seen) in &mut shown.rrsets {
                    if let Some(seen) = seen {
                        *seen = Rc::new(Seen {
                            signer: seen.signer ^ 1,
                            ..Seen::clone(seen)
                        });
                    }
                }
            }
            Fault::DkimWithdrawn if draining => {
                Self::change(shown, &Spot::Dkim, |seen| *seen = None);
            }
            _ => {}
        }
    }

    /// Returns the policy file that is served for one that the product writes.
    fn served(&self, text: &str) -> String {
        match self.fault {
            Fault::PolicyWithoutHosts => text.replace("mx: mx", "mx: old"),
            Fault::PoliciesKeptLonger => text.replace("max_age: ", "max_age: 9"),
            Fault::LadderSkipped => text.replace("mode: testing", "mode: enforce"),
            _ => text.to_owned(),
        }
    }

    /// Returns the policy file that the product wrote for one that is served.
    fn written(&self, text: &str) -> String {
        match self.fault {
            Fault::PolicyWithoutHosts => text.replace("mx: old", "mx: mx"),
            Fault::PoliciesKeptLonger => text.replace("max_age: 9", "max_age: "),
            Fault::LadderSkipped => text.replace("mode: enforce", "mode: testing"),
            _ => text.to_owned(),
        }
    }

    /// Changes what is told; nothing where it is kept back.
    fn heard(&mut self, sight: &Sight) -> Option<Sight> {
        use super::parent::{Delegation, Secure};
        let mut sight = sight.clone();
        if let Sight::Servers(name, serials) = &mut sight {
            // In the product's own numbers.
            let now = self.inner.serial(name);
            let shown = self.serial(name);
            for serial in serials.iter_mut().flatten() {
                let behind = match self.fault {
                    // No server takes what seems to be older.
                    Fault::SerialBack => 0,
                    _ => shown.map_or(0, |shown| shown.wrapping_sub(*serial)) / SPREAD,
                };
                *serial = now.map_or(*serial, |now| now.wrapping_sub(behind));
            }
        }
        match (self.fault, &mut sight) {
            (Fault::OutagesUntold, Sight::Deferrals(..) | Sight::Mail { green: false, .. }) => {
                return None;
            }
            (Fault::OutagesUntold, Sight::Servers(_, serials)) if serials.contains(&None) => {
                return None;
            }
            (Fault::DsInvented, Sight::Parent(parent)) => {
                let key = self.inner.domain(&parent.domain)?.ds;
                let ours = parent.delegations.contains(&Delegation::Ours);
                for secure in parent.secures.iter_mut().filter(|_| ours) {
                    *secure = Secure::Key(key);
                }
            }
            (Fault::DelegationInvented, Sight::Parent(parent)) => {
                let key = self.inner.domain(&parent.domain)?.ds;
                parent.delegations.fill(Delegation::Ours);
                parent.secures.fill(Secure::Key(key));
            }
            (Fault::ParentTtlsShort, Sight::Parent(parent)) => parent.ttls = (60, 60, 60),
            (Fault::HostsInvented, Sight::Mail { green, .. }) => *green = true,
            (Fault::FilesInvented, Sight::Policy(name, files)) => {
                let wanted = self.inner.policy(name);
                files.fill(wanted);
            }
            (Fault::GoneEarly, Sight::Parent(parent)) => {
                let stage = self.inner.domain(&parent.domain).map(|it| it.stage);
                if stage == Some(Stage::Released) {
                    parent.delegations.fill(Delegation::Nowhere);
                }
            }
            (_, Sight::Policy(_, files)) => {
                for file in files.iter_mut().flatten() {
                    *file = self.written(file);
                }
            }
            (Fault::AppliedEarly, Sight::Applied(_, revision)) => {
                *revision = self.inner.revision();
            }
            _ => {}
        }
        Some(sight)
    }
}

impl Product for Tampered {
    fn at(&mut self, now: u64) {
        self.now = now;
        self.inner.at(now);
    }

    fn tick(&mut self) {
        self.inner.tick();
    }

    fn order(&mut self, order: &Order) -> Reaction {
        if let (Fault::QueuesForgotten, Order::PutPool(document)) = (self.fault, order) {
            let mut document = document.clone();
            document["timing"]["queue_max"] = "1h".into();
            return self.inner.order(&Order::PutPool(document));
        }
        match order {
            Order::Undo(revision) if self.fault == Fault::UndoneInWords => {
                Reaction::Done(revision + 1)
            }
            _ => self.inner.order(order),
        }
    }

    fn hand_out(&mut self) -> Option<String> {
        let wanted = |domain: &DomainNow| match self.fault {
            Fault::HandedOutDraining => domain.stage == Stage::Draining,
            Fault::HandedOutSuspended => domain.suspended && domain.stage == Stage::Active,
            _ => false,
        };
        for at in 0..8 {
            let name = super::story::domain_name(at);
            if self.inner.domain(&name).is_some_and(|it| wanted(&it)) {
                return Some(name);
            }
        }
        self.inner.hand_out()
    }

    fn tell(&mut self, sights: &[Sight]) {
        let heard: Vec<Sight> = sights
            .iter()
            .filter_map(|sight| {
                let heard = self.heard(sight)?;
                Some(self.kept_up(heard))
            })
            .collect();
        self.inner.tell(&heard);
        if self.fault == Fault::AppliedEarly {
            let revision = self.inner.revision();
            let all = ["mx1", "mx2"].map(|host| Sight::Applied(host.to_owned(), revision));
            self.inner.tell(&all);
        }
    }

    fn shown(&mut self, apex: &str, spots: &[Spot]) -> Option<Shown> {
        let mut shown = self.inner.shown(apex, spots)?;
        shown.serial = self.serial(apex)?;
        self.tamper(apex, &mut shown);
        Some(shown)
    }

    fn serial(&mut self, apex: &str) -> Option<u32> {
        let stage = self.stage(apex);
        if self.fault == Fault::DroppedAtOnce && stage == Some(Stage::Released) {
            return None;
        }
        // What is shown otherwise by the stage is another version.
        let moved = self.since.get(apex).map_or(0, |(_, _, moved)| *moved);
        let serial = self.inner.serial(apex)?;
        let serial = serial.wrapping_mul(SPREAD).wrapping_add(moved);
        Some(match self.fault {
            Fault::SerialBack => u32::MAX - serial,
            _ => serial,
        })
    }

    fn route(&mut self, domain: &str) -> Option<Reply> {
        let stage = self.stage(domain);
        let since = self.since.get(domain).map_or(0, |(_, since, _)| *since);
        match self.fault {
            Fault::RefusedWhileDraining if stage == Some(Stage::Draining) => Some(Reply::Never),
            Fault::AcceptLate if stage == Some(Stage::Active) && self.now < since + DAY => {
                Some(Reply::Later)
            }
            Fault::StandbyRefused if stage == Some(Stage::Standby) => Some(Reply::Never),
            Fault::ForgottenAtOnce if stage >= Some(Stage::Retired) => None,
            _ => self.inner.route(domain),
        }
    }

    fn revision(&mut self) -> u64 {
        self.inner.revision()
    }

    fn policy(&mut self, domain: &str) -> Option<String> {
        let stage = self.stage(domain);
        match self.fault {
            Fault::PolicyWithdrawn if stage >= Some(Stage::Retired) => None,
            _ => {
                let text = self.inner.policy(domain)?;
                Some(self.served(&text))
            }
        }
    }

    fn domain(&mut self, domain: &str) -> Option<DomainNow> {
        self.inner.domain(domain)
    }

    fn restart(&mut self) {
        self.inner.restart();
    }

    fn backup(&mut self) {
        self.inner.backup();
    }

    fn restore(&mut self) -> bool {
        self.inner.restore()
    }
}
