//! What becomes of messages, for every mix of what caches and senders may hold.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::check::{QUEUE, Violation, is_live};
use super::dns::Spot;
use super::parent::Delegation;
use super::product::{DomainNow, Product, Stage};
use super::sender::{Outcome, Road, Why};
use super::story::span;
use super::world::World;

impl World {
    /// Weighs what may become of messages to every domain, and remembers what senders hold.
    ///
    /// To be called when something has changed; while time alone passes, [`World::pass`] does.
    pub(crate) fn weigh(&mut self, product: &mut dyn Product) -> Result<(), Violation> {
        let names: Vec<String> = self.books.keys().cloned().collect();
        for name in names {
            self.remember_policies(&name);
            let Some(domain) = product.domain(&name) else {
                continue;
            };
            self.judge(&name, &domain, &Spot::Mx)?;
            // A promise that names below take mail begins when no cache denies them, and no server
            // that comes back does.
            let zone = self.zones.get(&name);
            let everywhere = zone.is_some_and(|zone| zone.everywhere.is_some());
            let known = everywhere
                && self.trail(&name, &Spot::UserMx).is_some_and(|trail| {
                    trail.cached(self.now).all(|version| version.what.is_some())
                });
            let wanted = self.accepted.setting.subdomains;
            let book = self.book(&name);
            book.users_known =
                (wanted || book.users_until.is_some()) && (book.users_known || known);
            let promised = book.users_known;
            let zone = self.zones.get(&name);
            if promised && zone.is_some_and(|zone| zone.latest.is_some()) {
                self.judge(&name, &domain, &Spot::UserMx)?;
            }
            self.check_sending(&name, &domain)?;
        }
        Ok(())
    }

    /// Lets time pass: notes what senders fetched and which messages are deferred up to now.
    ///
    /// Caches only lose versions by time alone, so nothing else can become of a message.
    pub(crate) fn pass(&mut self, product: &mut dyn Product) -> Result<(), Violation> {
        let names: Vec<String> = self.books.keys().cloned().collect();
        for name in names {
            self.remember_policies(&name);
            let Some(domain) = product.domain(&name) else {
                continue;
            };
            if self.books[&name].deferring {
                self.judge(&name, &domain, &Spot::Mx)?;
            }
            self.check_sending(&name, &domain)?;
        }
        Ok(())
    }

    /// Returns what may become of a message to a domain, for every mix of cached data.
    pub(crate) fn outcomes(&self, name: &str, spot: &Spot) -> BTreeSet<Outcome> {
        let now = self.now;
        let mut outcomes = BTreeSet::new();
        let Some(entry) = self.parent.get(name) else {
            return outcomes;
        };
        for version in entry.delegation.ever() {
            let until = match version.what {
                // What the others' servers said is kept as long as their delegation, or longer.
                Delegation::Foreign if !version.is_said() => {
                    version.until(now).max(version.off + entry.foreign_ttl)
                }
                _ => version.until(now),
            };
            match version.what {
                _ if until <= now => {}
                Delegation::Ours => {}
                Delegation::Nowhere => {
                    let text = "the parent, or a cache, says that the name does not exist";
                    outcomes.insert(Outcome::Bounced(text.to_owned()));
                }
                Delegation::Foreign => {
                    let text = "a cache leads to the servers of before";
                    outcomes.insert(Outcome::Astray(text.to_owned()));
                }
            }
        }
        if self.servers.iter().all(|server| !server.up) {
            outcomes.insert(Outcome::Deferred(Why::NoServer));
        }
        let Some(trail) = self.trail(name, spot) else {
            return outcomes;
        };
        let find = |spot: &Spot| self.trail(name, spot);
        let host = |target: &str| self.machine(target);
        let road = Road {
            domain: name,
            trail: &find,
            host: &host,
            now,
        };
        let policies: Vec<_> = match spot {
            // A policy is looked for at the domain of the address itself (RFC 8461, section 3.4).
            Spot::UserMx => Vec::new(),
            _ => {
                let held = self.books[name].memory.held(now);
                let mut texts: Vec<_> = held
                    .filter(|held| held.policy.mode == "enforce")
                    .map(|held| Rc::clone(&held.policy))
                    .collect();
                texts.sort_by(|a, b| a.text.cmp(&b.text));
                texts.dedup();
                texts
            }
        };
        for version in trail.cached(now) {
            let mx = version.what.as_deref();
            outcomes.extend(road.over(mx, None));
            for policy in &policies {
                outcomes.extend(road.over(mx, Some(policy)));
            }
        }
        // A resolver without an age limit may answer any version first; the next query is fresh.
        // So that first try may fail, but not for good.
        let old = trail
            .ever()
            .filter(|it| it.until(now) <= now && is_live(it.what.as_ref()));
        for version in old {
            let first = road.over(version.what.as_deref(), None).into_iter();
            outcomes.extend(first.filter(|it| matches!(it, Outcome::Bounced(_))));
        }
        outcomes
    }

    /// Judges what may become of a message to a domain, or to a name below it.
    fn judge(&mut self, name: &str, domain: &DomainNow, spot: &Spot) -> Result<(), Violation> {
        let outcomes = self.outcomes(name, spot);
        let users = *spot == Spot::UserMx;
        let until = self.books[name].users_until;
        let users_promised = until.is_none_or(|until| self.now < until);
        let promised = !users || users_promised;
        let in_use = matches!(domain.stage, Stage::Active | Stage::Draining);
        let book = &self.books[name];
        let excused =
            book.forced.is_some() || book.restored || (book.revived && book.handed_out.is_none());
        if excused {
            return Ok(());
        }
        let handed_out = book.handed_out.is_some();
        for outcome in &outcomes {
            match outcome {
                Outcome::Delivered => {}
                Outcome::Deferred(why) => {
                    if in_use && promised && !domain.suspended {
                        self.check_deferral(name, why)?;
                    }
                }
                Outcome::Bounced(why) | Outcome::Astray(why) => {
                    let by_host = why.starts_with("a host");
                    if in_use && promised && !domain.suspended && (handed_out || !by_host) {
                        let late = by_host && self.is_stale(name);
                        self.must(late, loss_rule(why), || {
                            format!("a message to {name} ({:?}) is lost: {why}", domain.stage)
                        })?;
                    }
                    let asked = domain.suspended || self.is_stale(name) && in_use;
                    if !asked {
                        self.check_queue(name, why, users)?;
                    }
                }
            }
        }
        if in_use && handed_out && !users {
            let now = self.now;
            let deferred = outcomes.iter().find_map(|outcome| match outcome {
                Outcome::Deferred(why) => Some(format!("{why:?}")),
                _ => None,
            });
            self.book(name).deferring = deferred.is_some();
            if let Some(why) = deferred {
                let book = self.book(name);
                if users_promised && book.users_known {
                    book.users_deferred = Some((now, why.clone()));
                }
                book.deferred = Some((now, why));
            }
        }
        Ok(())
    }

    /// Checks that a message is deferred only by what is not the product's doing.
    pub(super) fn check_deferral(&self, name: &str, why: &Why) -> Result<(), Violation> {
        let broken_world =
            self.hosts.iter().any(|host| !host.up) || self.servers.iter().all(|server| !server.up);
        let (rule, text) = match why {
            Why::HostDown | Why::NoServer => return Ok(()),
            // Hosts that are late say what they were told before.
            Why::Later => {
                let handed_out = self.books[name].handed_out.is_some();
                if self.is_stale(name) || !handed_out {
                    return Ok(());
                }
                ("A8", "its hosts say 450".to_owned())
            }
            // The hosts that the policy allows are those that are late.
            Why::Policy(_) if self.is_stale(name) => return Ok(()),
            Why::Policy(text) => ("I3", text.clone()),
            Why::Dane(text) => ("N1", text.clone()),
            Why::NoAddress => ("M4", "its hosts have no address".to_owned()),
        };
        self.must(broken_world, rule, || {
            format!("a message to {name} is deferred: {text}")
        })
    }

    /// Returns whether a host has not applied what it may accept of a domain.
    pub(super) fn is_stale(&self, name: &str) -> bool {
        let now = self.routing_of(name);
        self.hosts.iter().any(|host| host.answer(name) != now)
    }

    /// Checks that no message that was deferred before meets a failure for good (R2).
    fn check_queue(&self, name: &str, why: &str, users: bool) -> Result<(), Violation> {
        let book = &self.books[name];
        let deferred = match users {
            true => &book.users_deferred,
            false => &book.deferred,
        };
        let Some((last, reason)) = deferred else {
            return Ok(());
        };
        let in_queue = self.now < last + QUEUE;
        self.must(!in_queue, "R2", || {
            let ago = span(self.now - last);
            format!("a message to {name}, deferred {ago} ago ({reason}), is lost: {why}")
        })
    }

    /// Checks that what a domain sent can be verified while it lies in queues (R4).
    pub(super) fn check_sending(
        &mut self,
        name: &str,
        domain: &DomainNow,
    ) -> Result<(), Violation> {
        let now = self.now;
        let sends = self.accepted.setting.sends && self.sent_until.is_none();
        // It begins when no cache denies its key, and no server that comes back does.
        let zone = self.zones.get(name);
        let everywhere = zone.is_some_and(|zone| zone.everywhere.is_some());
        let known = everywhere
            && self.trail(name, &Spot::Dkim).is_some_and(|trail| {
                let mut cached = trail.cached(now);
                cached.all(|version| version.what.is_some())
            });
        let in_use = domain.stage == Stage::Active && self.books[name].handed_out.is_some();
        if sends && known && in_use {
            self.book(name).sent = Some(now);
        }
        let book = &self.books[name];
        let Some(sent) = book
            .sent
            .filter(|_| book.forced.is_none() && !book.restored)
        else {
            return Ok(());
        };
        if now >= sent + QUEUE {
            return Ok(());
        }
        let lacks = self
            .trail(name, &Spot::Dkim)
            .is_some_and(|trail| trail.said().any(|version| version.what.is_none()));
        self.must(!lacks, "R4", || {
            let ago = span(now - sent);
            format!("{name} sent a message {ago} ago, and its DKIM key is gone")
        })
    }
}

/// Returns the rule that a message's loss breaks, by how it is lost.
fn loss_rule(why: &str) -> &'static str {
    if why.contains("parent") {
        "A1"
    } else if why.contains("servers of before") {
        "A5"
    } else if why.contains("no MX is found") {
        "A2"
    } else if why.contains("null MX") {
        "A2'"
    } else if why.contains("no MX has an address") {
        "M4"
    } else {
        "A8"
    }
}
