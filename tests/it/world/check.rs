//! What must hold at every moment, judged by what the world saw alone.
//!
//! Nothing here knows a formula of the product: horizons come out of what servers said and until
//! when, and what becomes of a message out of what hosts answer. The ids of the rules say which
//! part of the design a violation breaks.

use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

use super::dns::{Seen, Shown, Spot};
use super::parent::{Delegation, Secure};
use super::product::{Product, Reply, Stage};
use super::story::DAY;
use super::world::{INFRA, World};

/// How long senders keep a deferred message (RFC 5321, section 4.5.4.1).
pub(crate) const QUEUE: u64 = 5 * DAY;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The rule that is broken.
    pub(crate) rule: &'static str,
    /// What was found, in words.
    pub(crate) what: String,
    /// When, in seconds since 1970.
    pub(crate) at: u64,
    /// What had happened, in words.
    pub(crate) log: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

impl World {
    /// Makes a violation.
    pub(super) fn broken(&self, rule: &'static str, what: String) -> Violation {
        let at = self.now;
        Violation {
            rule,
            what,
            at,
            log: Vec::new(),
        }
    }

    /// Fails unless something holds.
    pub(super) fn must(
        &self,
        holds: bool,
        rule: &'static str,
        what: impl FnOnce() -> String,
    ) -> Result<(), Violation> {
        if holds {
            Ok(())
        } else {
            Err(self.broken(rule, what()))
        }
    }

    /// Checks a zone version that the product begins to serve.
    pub(crate) fn check_shown(&self, apex: &str, shown: &Shown) -> Result<(), Violation> {
        if let Some(latest) = self.zones.get(apex).and_then(|zone| zone.latest.as_ref()) {
            let ahead = shown.serial.wrapping_sub(latest.serial);
            self.must(ahead < 1 << 31, "K28", || {
                let (old, new) = (latest.serial, shown.serial);
                format!("the serial of {apex} goes back from {old} to {new}")
            })?;
        }
        let mx = shown.at(&Spot::Mx);
        let user = shown.at(&Spot::UserMx);
        for seen in [mx, user].into_iter().flatten() {
            let null = seen.mx.iter().any(|(_, target)| target.is_empty());
            self.must(!null || seen.mx.len() == 1, "I1", || {
                format!("{apex} has the null MX beside others: {:?}", seen.records)
            })?;
            for (_, target) in seen.mx.iter().filter(|(_, target)| !target.is_empty()) {
                self.check_target(apex, shown, target)?;
            }
        }
        if let (Some(mx), Some(user)) = (mx, user) {
            self.must(mx.is_null_mx() == user.is_null_mx(), "L15", || {
                let (mx, user) = (&mx.records, &user.records);
                format!("the MX of {apex} is {mx:?}, that of names below it {user:?}")
            })?;
        }
        Ok(())
    }

    /// Checks that a target of an MX can be found: by everybody, whatever they cached (M4).
    pub(super) fn check_target(
        &self,
        apex: &str,
        shown: &Shown,
        target: &str,
    ) -> Result<(), Violation> {
        let host = Spot::Host(target.to_owned());
        let zone = if target.ends_with(INFRA) { INFRA } else { apex };
        let here = if zone == apex {
            shown.at(&host).is_some()
        } else {
            let infra = self.zones.get(zone).and_then(|zone| zone.latest.as_ref());
            infra.is_none_or(|infra| infra.at(&host).is_some())
        };
        self.must(here, "I2", || {
            format!("the MX of {apex} names {target}, which has no address")
        })?;
        let known = self.zones.get(apex).and_then(|zone| zone.latest.as_ref());
        let is_new = known.is_some_and(|latest| {
            latest.at(&Spot::Mx).is_some_and(|seen| {
                !seen.is_null_mx() && seen.mx.iter().all(|(_, old)| old != target)
            })
        });
        if !is_new {
            return Ok(());
        }
        for spot in [host, Spot::Tlsa(target.to_owned())] {
            let denied = self
                .trail(apex, &spot)
                .is_some_and(|trail| trail.cached(self.now).any(|version| version.what.is_none()));
            self.must(!denied, "M4", || {
                format!("{target} is in the MX of {apex} while caches may deny its {spot:?}")
            })?;
        }
        Ok(())
    }

    /// Checks all that must hold now; `product` is only asked, never told.
    pub(crate) fn check(&mut self, product: &mut dyn Product) -> Result<(), Violation> {
        self.check_addresses()?;
        let names: Vec<String> = self.books.keys().cloned().collect();
        for name in &names {
            let now = product.domain(name);
            let before = self.books[name].now.clone();
            if before.as_ref().map(|it| it.stage) != now.as_ref().map(|it| it.stage) {
                self.touched = true;
                if let Some(now) = &now {
                    self.note(format!("  {name} is now {:?}", now.stage));
                }
                self.check_step(name, before.as_ref(), now.as_ref())?;
            }
            self.book(name).now = now;
            self.check_routing(product, name)?;
            self.check_served(name)?;
            self.check_hosts_stay(name)?;
            self.check_validation(name)?;
            self.check_policies(product, name)?;
        }
        self.note_trial(product);
        Ok(())
    }

    /// Checks that the box behind every address shows a key that every cached TLSA names (N1).
    ///
    /// While no domain takes mail, nobody goes there; and what a restore took back is the operator's.
    pub(super) fn check_addresses(&self) -> Result<(), Violation> {
        if self.rewound {
            return Ok(());
        }
        let mut stages = self.books.values().filter_map(|book| book.now.as_ref());
        if !stages.any(|it| matches!(it.stage, Stage::Active | Stage::Draining)) {
            return Ok(());
        }
        for (apex, zone) in &self.zones {
            for (spot, trail) in &zone.trails {
                let Spot::Host(name) = spot else {
                    continue;
                };
                let Some(host) = self.machine(name) else {
                    continue;
                };
                let said = trail.said().filter_map(|version| version.what.as_ref());
                for address in said.flat_map(|seen| &seen.records) {
                    let key = host.key_at(address);
                    let Some(keys) = self.trail(apex, &Spot::Tlsa(name.clone())) else {
                        continue;
                    };
                    let sets = keys.cached(self.now).filter_map(|it| it.what.as_ref());
                    for set in sets {
                        let named = key.is_some_and(|key| set.records.iter().any(|it| it == key));
                        self.must(named, "N1", || {
                            format!("{name} has {address}, and a cached TLSA lacks its key")
                        })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Checks what the mail hosts are told of a domain (L6, L8).
    pub(super) fn check_routing(
        &self,
        product: &mut dyn Product,
        name: &str,
    ) -> Result<(), Violation> {
        let book = &self.books[name];
        let Some(domain) = &book.now else {
            return Ok(());
        };
        let route = product.route(name);
        match domain.stage {
            Stage::Standby if !domain.suspended => {
                self.must(route == Some(Reply::Later), "L6", || {
                    format!("{name} is in standby and its hosts are to say {route:?}")
                })?;
            }
            Stage::Active | Stage::Draining if !domain.suspended => {
                self.must(route == Some(Reply::Accept), "A8", || {
                    format!("{name} is in use and its hosts are to say {route:?}")
                })?;
            }
            Stage::Standby | Stage::Active | Stage::Draining => {
                self.must(route.is_some(), "L6", || {
                    format!("{name} is suspended and its hosts are to know nothing of it")
                })?;
            }
            Stage::Retired | Stage::Released => {
                if route.is_none()
                    && book.forced.is_none()
                    && !book.restored
                    && book.null_since.is_some()
                {
                    let cached = self.trail(name, &Spot::Mx).is_some_and(|trail| {
                        trail.fresh(self.now).any(|it| is_live(it.what.as_ref()))
                    });
                    self.must(!cached, "L8", || {
                        format!("caches hold the MX of {name}, and its hosts are to forget it")
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Checks that what a delegation leads to is there and signed (I6, I8).
    pub(super) fn check_served(&self, name: &str) -> Result<(), Violation> {
        let Some(entry) = self.parent.get(name) else {
            return Ok(());
        };
        let Some(zone) = self.zones.get(name) else {
            return Ok(());
        };
        let delegated = entry.delegation.cached(self.now);
        let ours = delegated.filter(|it| it.what == Delegation::Ours).count() > 0;
        if ours && zone.latest.is_none() && !self.books[name].restored {
            let what = format!("{name} is served no more, and delegations to it are about");
            return Err(self.broken("I8", what));
        }
        for (server, shown) in zone.at.iter().enumerate() {
            if let Some(shown) = shown.as_ref().filter(|_| self.servers[server].up && ours) {
                self.must(shown.expires > self.now, "I6", || {
                    format!("name server {server} has expired signatures of {name}")
                })?;
            }
        }
        Ok(())
    }

    /// Checks that a host which another zone names stays where it is (L14).
    pub(super) fn check_hosts_stay(&self, name: &str) -> Result<(), Violation> {
        let book = &self.books[name];
        let named = book.named_until.is_some_and(|until| self.now < until);
        if !named || !book.named_stood || book.restored {
            return Ok(());
        }
        let latest = self.zones.get(name).and_then(|zone| zone.latest.as_ref());
        let stands = latest.is_some_and(|shown| shown.at(&self.own_host(name)).is_some());
        self.must(stands, "L14", || {
            format!("another zone named a host in {name}, and its addresses are gone")
        })
    }

    /// Returns where the addresses of a domain's first own host are.
    pub(crate) fn own_host(&self, name: &str) -> Spot {
        Spot::Host(format!("{}.{name}", self.hosts[0].label))
    }

    /// Checks that every mix of cached DS, DNSKEY and RRSIG validates (I7, K28).
    pub(super) fn check_validation(&self, name: &str) -> Result<(), Violation> {
        let (Some(entry), Some(zone)) = (self.parent.get(name), self.zones.get(name)) else {
            return Ok(());
        };
        let book = &self.books[name];
        let in_use = book.now.as_ref().is_some_and(|domain| {
            matches!(
                domain.stage,
                Stage::Active | Stage::Draining | Stage::Retired
            )
        });
        if !in_use || book.forced.is_some() || book.restored {
            return Ok(());
        }
        let signers: BTreeSet<u16> = zone
            .at
            .iter()
            .flatten()
            .flat_map(|shown| shown.rrsets.iter())
            .filter_map(|(_, seen)| Some(seen.as_ref()?.signer))
            .collect();
        for keys in zone.keys.cached(self.now) {
            let missing = signers.iter().find(|signer| !keys.what.contains(signer));
            self.must(missing.is_none(), "I7", || {
                format!(
                    "{name} is signed by {missing:?}, and caches hold {:?}",
                    keys.what
                )
            })?;
            for secure in entry.secure.cached(self.now) {
                let fits = match secure.what {
                    Secure::Not => true,
                    Secure::Key(tag) => keys.what.contains(&tag),
                    Secure::Foreign => false,
                };
                let rule = if secure.what == Secure::Foreign {
                    "A6"
                } else {
                    "I7"
                };
                self.must(fits, rule, || {
                    let keys = &keys.what;
                    format!(
                        "{name} has keys {keys:?}, and a cached DS is {:?}",
                        secure.what
                    )
                })?;
            }
        }
        Ok(())
    }
}

/// Returns whether an MX RRset leads to mail hosts.
pub(super) fn is_live(seen: Option<&Rc<Seen>>) -> bool {
    seen.is_some_and(|seen| !seen.is_null_mx())
}
