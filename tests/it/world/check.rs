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
use super::product::{DomainNow, Product, Reply, Stage};
use super::sender::{Outcome, Road, Why};
use super::story::{DAY, span};
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
    fn broken(&self, rule: &'static str, what: String) -> Violation {
        let at = self.now;
        Violation {
            rule,
            what,
            at,
            log: Vec::new(),
        }
    }

    /// Fails unless something holds.
    fn must(
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
    fn check_target(&self, apex: &str, shown: &Shown, target: &str) -> Result<(), Violation> {
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
            self.check_validation(name)?;
            self.check_policies(product, name)?;
        }
        self.note_trial(product);
        Ok(())
    }

    /// Checks that the box behind every address shows a key that every cached TLSA names (N1).
    ///
    /// While no domain takes mail, nobody goes there; and what a restore took back is the operator's.
    fn check_addresses(&self) -> Result<(), Violation> {
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

    /// Checks a step from one state to another, at the moment it is taken.
    fn check_step(
        &mut self,
        name: &str,
        before: Option<&DomainNow>,
        after: Option<&DomainNow>,
    ) -> Result<(), Violation> {
        let Some(after) = after else {
            return Ok(());
        };
        let now = self.now;
        if after.stage == Stage::Active
            && before.is_some_and(|before| before.stage == Stage::Retired)
        {
            self.book(name).revived = true;
            self.book(name).null_since = None;
        }
        if self.books[name].forced || self.books[name].restored {
            if after.stage == Stage::Retired {
                self.book(name).null_since.get_or_insert(now);
            }
            return Ok(());
        }
        match after.stage {
            Stage::Active if before.is_some_and(|it| it.stage == Stage::Standby) => {
                self.check_activation(name)?;
            }
            Stage::Retired => {
                self.check_retirement(name)?;
                self.book(name).null_since.get_or_insert(now);
            }
            Stage::Released => self.check_release(name, before)?,
            Stage::Active | Stage::Standby | Stage::Draining => {}
        }
        Ok(())
    }

    /// Checks what activation must have waited for (A1-A7; the rest shows in deliveries).
    fn check_activation(&self, name: &str) -> Result<(), Violation> {
        let book = &self.books[name];
        let now = self.now;
        let entry = self.parent.get(name);
        let zone = self.zones.get(name);
        let everywhere = zone.is_some_and(|zone| zone.at.iter().all(Option::is_some));
        self.must(everywhere || !self.setting.watching, "A2", || {
            format!("{name} is active, and a name server does not serve it yet")
        })?;
        let secure = entry.is_some_and(|entry| {
            entry
                .secure
                .cached(now)
                .all(|version| version.what != Secure::Not)
        });
        self.must(secure || !self.setting.secured, "A3", || {
            format!("{name} is active while caches may hold that it has no DS")
        })?;
        let settled = book.greens.iter().any(|first| {
            let last = match self.setting.watching {
                true => book.greens.last().copied().unwrap_or(0),
                // The operator says it once.
                false => now,
            };
            last >= first + self.accepted.setting.ttls.0
        });
        self.must(settled, "A4", || {
            let greens = book.greens.len();
            format!("{name} is active, and its mail hosts worked at {greens} sights only")
        })?;
        if book.owned && self.accepted.setting.sts.is_some() {
            let announced = self
                .trail(name, &Spot::StsTxt)
                .is_some_and(|trail| trail.cached(now).all(|version| version.what.is_some()));
            let files = self.policy_hosts.iter().map(|host| host.file(name));
            let served = files.flatten().count() == self.policy_hosts.len();
            self.must(announced && served, "A7", || {
                format!("{name} had an owner before and is active without its own policy")
            })?;
        }
        Ok(())
    }

    /// Checks what the null MX must have waited for.
    fn check_retirement(&self, name: &str) -> Result<(), Violation> {
        let book = &self.books[name];
        let now = self.now;
        if let Some((_, last)) = book.handed_out {
            let drain = self.accepted.setting.spans.0;
            self.must(now >= last + drain, "R1", || {
                let ago = span(now - last);
                format!("{name} is retired {ago} after an address was handed out")
            })?;
        }
        // What is there was said by every server that answers, before it is taken away.
        let zone = &self.zones[name];
        let says = |server: usize| {
            let shown = zone.at[server].as_ref()?;
            Some(
                shown
                    .rrsets
                    .iter()
                    .map(|(_, seen)| seen.as_ref().map(|it| &it.records)),
            )
        };
        let latest = zone.latest.as_ref();
        for server in (0..2).filter(|server| self.servers[*server].up && self.setting.watching) {
            let same = latest.zip(says(server)).is_some_and(|(latest, says)| {
                let wants = latest.rrsets.iter();
                wants
                    .map(|(_, seen)| seen.as_ref().map(|it| &it.records))
                    .eq(says)
            });
            self.must(same, "I5", || {
                format!("{name} is retired while name server {server} lags")
            })?;
        }
        // What was replaced before, and for longer than the last version, is to be forgotten first.
        if let Some(trail) = self.trail(name, &Spot::Mx) {
            let live = trail.ever().filter(|it| is_live(it.what.as_ref()));
            for version in live.filter(|it| !it.is_said()) {
                self.must(version.until(now) <= now, "R3", || {
                    let ttl = span(version.ttl);
                    format!("{name} is retired while caches hold its MX of a TTL of {ttl}")
                })?;
            }
        }
        if let Some(sent) = book.sent {
            self.must(now >= sent + QUEUE, "R4", || {
                let ago = span(now - sent);
                format!("{name} is retired {ago} after it sent a message")
            })?;
        }
        Ok(())
    }

    /// Checks what a release must have waited for.
    fn check_release(&self, name: &str, before: Option<&DomainNow>) -> Result<(), Violation> {
        let now = self.now;
        let book = &self.books[name];
        let retired = before.is_some_and(|before| before.stage == Stage::Retired);
        let mx = self.trail(name, &Spot::Mx);
        if retired {
            let cached = mx.is_some_and(|trail| {
                trail
                    .fresh(now)
                    .any(|version| is_live(version.what.as_ref()))
            });
            self.must(!cached, "X1", || {
                format!("{name} is released while caches may hold its MX")
            })?;
            if let Some(held) = book.memory.held(now).find(|held| held.is_policy()) {
                let mode = &held.policy.mode;
                let left = span(held.until() - now);
                let what = format!("{name} is released while a sender holds {mode} for {left}");
                return Err(self.broken("X2", what));
            }
            let since = book.null_since.unwrap_or(now);
            let quarantine = self.accepted.setting.spans.1;
            self.must(now >= since + quarantine, "X5", || {
                let ago = span(now - since);
                format!("{name} is released {ago} after its null MX")
            })?;
        }
        if book.handed_out.is_some() || retired {
            let live = mx.into_iter().flat_map(|trail| trail.ever());
            let live = live.filter(|version| is_live(version.what.as_ref()));
            for version in live {
                self.must(version.expires <= now, "X3", || {
                    let left = span(version.expires - now);
                    format!("{name} is released while its old MX can be replayed for {left}")
                })?;
            }
        }
        Ok(())
    }

    /// Checks what the mail hosts are told of a domain (L6, L8).
    fn check_routing(&self, product: &mut dyn Product, name: &str) -> Result<(), Violation> {
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
                if route.is_none() && !book.forced && !book.restored && book.null_since.is_some() {
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
    fn check_served(&self, name: &str) -> Result<(), Violation> {
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

    /// Checks that every mix of cached DS, DNSKEY and RRSIG validates (I7, K28).
    fn check_validation(&self, name: &str) -> Result<(), Violation> {
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
        if !in_use || book.forced || book.restored {
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

    /// Checks ids and texts of a domain's policies (S2, S8, S9, S10).
    fn check_policies(&mut self, product: &mut dyn Product, name: &str) -> Result<(), Violation> {
        let now = self.now;
        let Some(trail) = self.trail(name, &Spot::StsTxt) else {
            return Ok(());
        };
        let id = |seen: &Rc<Seen>| {
            let text = seen.records.first()?;
            let id = text.split_once("id=")?.1;
            Some(id.trim_end_matches(';').to_owned())
        };
        let ids = |version: &Option<Rc<Seen>>| version.as_ref().and_then(id);
        let said: Vec<String> = trail.said().filter_map(|it| ids(&it.what)).collect();
        let texts: Vec<Option<String>> = self
            .policy_hosts
            .iter()
            .map(|host| host.file(name))
            .collect();
        let wanted = product.policy(name);
        // What the product announces; a server that was down may say an older one for a moment.
        let latest = self.zones.get(name).and_then(|zone| zone.latest.as_ref());
        let announced = latest.and_then(|shown| shown.at(&Spot::StsTxt).and_then(id));
        let book = self.book(name);
        if let Some(id) =
            announced.and_then(|id| book.memory.announce(&[id], wanted.as_deref(), name))
        {
            let what = format!("{name} announces the policy id {id} again after another");
            return Err(self.broken("S2", what));
        }
        let book = &self.books[name];
        let outrun = book.memory.outrun(&said, &texts, name);
        self.must(!outrun || book.restored, "S9", || {
            format!("{name} announces {said:?} while a policy host serves a text of before")
        })?;
        // Nobody ever wrote to what goes from standby; its senders hold nothing that matters.
        let unused = book.null_since.is_none()
            && book
                .now
                .as_ref()
                .is_some_and(|it| it.stage == Stage::Released);
        let forced = book.forced || book.restored || unused;
        if wanted.is_none()
            && !forced
            && book.now.is_some()
            && let Some(held) = book.memory.held(now).find(|held| held.is_policy())
        {
            let left = span(held.until() - now);
            let mode = &held.policy.mode;
            let what = format!("the policy of {name} is gone; {mode} is held for {left}");
            return Err(self.broken("S10", what));
        }
        let enforces = wanted.is_some_and(|text| text.contains("mode: enforce"));
        if enforces && self.ladder && !self.rewound {
            let long = self
                .testing_since
                .is_some_and(|since| now >= since + 7 * DAY);
            self.must(long, "S8", || {
                format!("{name} enforces its policy before a week of testing")
            })?;
            self.ladder = false;
        }
        Ok(())
    }

    /// Notes when all domains in use were first seen to announce a policy that is tried (S8).
    fn note_trial(&mut self, product: &mut dyn Product) {
        let wanted = self.accepted.setting.sts.is_some();
        if !self.ladder || !wanted || self.testing_since.is_some() {
            return;
        }
        for (name, book) in &self.books {
            let stage = book.now.as_ref().map(|domain| domain.stage);
            if stage.is_none_or(|stage| stage >= Stage::Draining) {
                continue;
            }
            let tried = product
                .policy(name)
                .is_some_and(|text| text.contains("mode: testing"));
            let latest = self.zones.get(name).and_then(|zone| zone.latest.as_ref());
            let shown = latest.is_some_and(|shown| shown.at(&Spot::StsTxt).is_some());
            if !(tried && shown) {
                return;
            }
        }
        self.testing_since = Some(self.now);
    }

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
            let outcomes = self.outcomes(&name, &Spot::Mx);
            self.judge(&name, &domain, &outcomes, true)?;
            let users = self.books[&name].users_until;
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
            book.users_known = (wanted || users.is_some()) && (book.users_known || known);
            let promised = book.users_known;
            let zone = self.zones.get(&name);
            if promised && zone.is_some_and(|zone| zone.latest.is_some()) {
                let outcomes = self.outcomes(&name, &Spot::UserMx);
                self.judge(&name, &domain, &outcomes, users.is_none())?;
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
                let outcomes = self.outcomes(&name, &Spot::Mx);
                self.judge(&name, &domain, &outcomes, true)?;
            }
            self.check_sending(&name, &domain)?;
        }
        Ok(())
    }

    /// Notes which policies senders may have fetched up to now.
    fn remember_policies(&mut self, name: &str) {
        let now = self.now;
        let Some(trail) = self.trail(name, &Spot::StsTxt) else {
            return;
        };
        let mut ids = Vec::new();
        for version in trail.ever() {
            let seen_until = version.seen_until(now);
            let Some(seen) = &version.what else {
                continue;
            };
            let text = seen.records.first().map_or("", String::as_str);
            let Some((_, id)) = text.split_once("id=") else {
                continue;
            };
            // What left the caches before this stretch of time was noted at its end.
            if seen_until + 2 * DAY > now {
                ids.push((id.trim_end_matches(';').to_owned(), seen_until));
            }
        }
        let texts: Vec<Option<String>> = self
            .policy_hosts
            .iter()
            .map(|host| host.file(name))
            .collect();
        self.book(name).memory.fetch(&ids, &texts, now);
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

    /// Judges what may become of a message to a domain.
    fn judge(
        &mut self,
        name: &str,
        domain: &DomainNow,
        outcomes: &BTreeSet<Outcome>,
        promised: bool,
    ) -> Result<(), Violation> {
        let in_use = matches!(domain.stage, Stage::Active | Stage::Draining);
        let book = &self.books[name];
        let excused = book.forced || book.restored || (book.revived && book.handed_out.is_none());
        if excused {
            return Ok(());
        }
        let handed_out = book.handed_out.is_some();
        for outcome in outcomes {
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
                        self.check_queue(name, why)?;
                    }
                }
            }
        }
        if in_use && handed_out {
            let now = self.now;
            let deferred = outcomes.iter().find_map(|outcome| match outcome {
                Outcome::Deferred(why) => Some(format!("{why:?}")),
                _ => None,
            });
            self.book(name).deferring = deferred.is_some();
            if let Some(why) = deferred {
                self.book(name).deferred = Some((now, why));
            }
        }
        Ok(())
    }

    /// Checks that a message is deferred only by what is not the product's doing.
    fn check_deferral(&self, name: &str, why: &Why) -> Result<(), Violation> {
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
            Why::Policy(text) => ("I3", text.clone()),
            Why::Dane(text) => ("N1", text.clone()),
            Why::NoAddress => ("M4", "its hosts have no address".to_owned()),
        };
        self.must(broken_world, rule, || {
            format!("a message to {name} is deferred: {text}")
        })
    }

    /// Returns whether a host has not applied what it may accept of a domain.
    fn is_stale(&self, name: &str) -> bool {
        let now = self.routing_of(name);
        self.hosts.iter().any(|host| host.answer(name) != now)
    }

    /// Checks that no message that was deferred before meets a failure for good (R2).
    fn check_queue(&self, name: &str, why: &str) -> Result<(), Violation> {
        let book = &self.books[name];
        let Some((last, reason)) = &book.deferred else {
            return Ok(());
        };
        let promise = book.users_until.unwrap_or(u64::MAX);
        let in_queue = self.now < last + QUEUE && self.now < promise.saturating_add(QUEUE);
        self.must(!in_queue, "R2", || {
            let ago = span(self.now - last);
            format!("a message to {name}, deferred {ago} ago ({reason}), is lost: {why}")
        })
    }

    /// Checks that what a domain sent can be verified while it lies in queues (R4).
    fn check_sending(&mut self, name: &str, domain: &DomainNow) -> Result<(), Violation> {
        let now = self.now;
        let sends = self.accepted.setting.sends && self.sent_until.is_none();
        // It begins when no cache denies its key.
        let known = self.trail(name, &Spot::Dkim).is_some_and(|trail| {
            let mut cached = trail.cached(now);
            cached.all(|version| version.what.is_some())
        });
        let in_use = domain.stage == Stage::Active && self.books[name].handed_out.is_some();
        if sends && known && in_use {
            self.book(name).sent = Some(now);
        }
        let book = &self.books[name];
        let Some(sent) = book.sent.filter(|_| !book.forced && !book.restored) else {
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

    /// Checks the domain that an address was handed out in (A8, T2, T5).
    pub(crate) fn check_hand_out(
        &mut self,
        product: &mut dyn Product,
        name: &str,
    ) -> Result<(), Violation> {
        let Some(domain) = product.domain(name) else {
            let what = format!("an address is handed out in {name}, which is not there");
            return Err(self.broken("T2", what));
        };
        self.must(
            domain.stage == Stage::Active && !domain.suspended,
            "T2",
            || {
                let (stage, suspended) = (domain.stage, domain.suspended);
                format!("an address is handed out in {name} ({stage:?}, suspended: {suspended})")
            },
        )?;
        let book = &self.books[name];
        let now = self.now;
        if !book.forced && !book.restored {
            let deaf = self
                .hosts
                .iter()
                .find(|it| it.answer(name) != Some(Reply::Accept));
            self.must(deaf.is_none(), "A8", || {
                let host = deaf.map_or("", |host| &host.label);
                format!("an address is handed out in {name}, which {host} does not accept yet")
            })?;
        }
        if book.revived && !book.restored {
            let cached = self.trail(name, &Spot::Mx).is_some_and(|trail| {
                trail
                    .cached(now.saturating_sub(DAY))
                    .any(|version| version.what.as_ref().is_some_and(|seen| seen.is_null_mx()))
            });
            self.must(!cached, "T5", || {
                format!("an address is handed out in {name} within a day of its null MX")
            })?;
        }
        let first = book.handed_out.map_or(now, |(first, _)| first);
        self.book(name).handed_out = Some((first, now));
        Ok(())
    }
}

/// Returns whether an MX RRset leads to mail hosts.
fn is_live(seen: Option<&Rc<Seen>>) -> bool {
    seen.is_some_and(|seen| !seen.is_null_mx())
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
