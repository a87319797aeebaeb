//! What each step must have waited for, judged at the moment at which it is taken.

use super::check::{QUEUE, Violation, is_live};
use super::dns::Spot;
use super::parent::Secure;
use super::product::{DomainNow, Product, Reply, Stage};
use super::story::{DAY, span};
use super::world::World;

impl World {
    /// Checks a step from one state to another, at the moment it is taken.
    pub(super) fn check_step(
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
        if self.books[name].forced != Some(now) {
            self.check_null_is_gone(name, before, after)?;
            self.check_forgotten(name, before, after)?;
            if after.stage == Stage::Released {
                self.check_can_go(name)?;
            }
        }
        if self.books[name].forced.is_some() || self.books[name].restored {
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

    /// Checks that no cache holds the null MX of a domain that becomes active (A2').
    fn check_null_is_gone(
        &self,
        name: &str,
        before: Option<&DomainNow>,
        after: &DomainNow,
    ) -> Result<(), Violation> {
        let begins = before.is_some_and(|before| before.stage == Stage::Standby);
        if after.stage != Stage::Active || !begins || self.books[name].restored {
            return Ok(());
        }
        let held = self.trail(name, &Spot::Mx).is_some_and(|trail| {
            let mut cached = trail.cached(self.now);
            cached.any(|version| version.what.as_ref().is_some_and(|seen| seen.is_null_mx()))
        });
        self.must(!held, "A2'", || {
            format!("{name} is active while caches may hold its null MX")
        })
    }

    /// Checks that a step withdraws nothing which the days that a restore has lost may have promised
    /// (K28).
    fn check_forgotten(
        &self,
        name: &str,
        before: Option<&DomainNow>,
        after: &DomainNow,
    ) -> Result<(), Violation> {
        // What the restore itself took back is not a step.
        let Some(before) = before.filter(|_| self.restored != Some(self.now)) else {
            return Ok(());
        };
        if after.stage == Stage::Standby && self.books[name].handed_out.is_some() {
            let what = format!("{name} stands by, and addresses in it were handed out");
            return Err(self.broken("K28", what));
        }
        let withdraws = after.stage >= Stage::Retired && after.stage > before.stage;
        let Some(restored) = self.restored.filter(|_| withdraws) else {
            return Ok(());
        };
        let drain = match after.stage {
            Stage::Retired => self.accepted.setting.spans.0,
            _ => 0,
        };
        self.must(self.now >= restored + drain.max(DAY), "K28", || {
            let ago = span(self.now - restored);
            format!("{name} is {:?} {ago} after a restore", after.stage)
        })
    }

    /// Checks that nobody needs a domain's name that is given up (X4), and that it was registered until
    /// then (X6).
    fn check_can_go(&self, name: &str) -> Result<(), Violation> {
        let now = self.now;
        let book = &self.books[name];
        let named = book.named_until.filter(|_| !book.restored);
        self.must(named.is_none_or(|until| until <= now), "X4", || {
            format!("{name} is released, and who knows another zone's MX may go to a host in it")
        })?;
        self.must(
            book.expires.is_none_or(|expires| now < expires),
            "X6",
            || format!("{name} is released after its registration has lapsed"),
        )
    }

    /// Checks what activation must have waited for (A1-A7, A9; the rest shows in deliveries).
    pub(super) fn check_activation(&self, name: &str) -> Result<(), Violation> {
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
        let registered = book.expires.is_none_or(|expires| now < expires);
        self.must(registered, "A9", || {
            format!("{name} is active after its registration has lapsed")
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
    pub(super) fn check_retirement(&self, name: &str) -> Result<(), Violation> {
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
            let shown = latest.and_then(|shown| shown.at(&Spot::Mx));
            let ttl = shown.map_or(0, |seen| seen.ttl);
            for version in live.filter(|it| !it.is_said() && it.ttl > ttl) {
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
    pub(super) fn check_release(
        &self,
        name: &str,
        before: Option<&DomainNow>,
    ) -> Result<(), Violation> {
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
        if book.forced.is_none() && !book.restored {
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
