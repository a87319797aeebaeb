//! Hosts that join the MX, and addresses that join a host.

use super::{Served, Stager, after, after_ttl};
use crate::clock::Span;
use crate::history::Lapse;
use crate::mail::Target;
use crate::mail::settings::{MailHost, PoolSettings};
use crate::wire::Ttl;

/// How long caches may deny what a zone served elsewhere has got: the longest that was found to work
/// well, and more than resolvers take (RFC 2308, section 5).
const ELSEWHERE: Ttl = Ttl::from_secs(3 * 3_600);

/// How many addresses a sender tries at least; Postfix counts those that a policy forbids, too (RFC
/// 5321, section 5.1, asks for two).
const TRIED: usize = 5;

impl Stager<'_> {
    /// Lets hosts join as spares first, and addresses where their key is known.
    pub(super) fn hosts(&mut self, wanted: &PoolSettings, current: &PoolSettings) {
        for (index, host) in wanted.mail_hosts.iter().enumerate() {
            let pointer = format!("/mail_host/{index}");
            match find(current, &host.name) {
                Some(old) if !old.spare => self.addresses(index, &pointer, old, host),
                // A spare is in no MX, so nobody goes by what it was.
                old if !host.spare => {
                    let mut passed = self.resolvable(&pointer, old, host);
                    passed &= self.allowed(&pointer, old, host, current);
                    passed &= self.reached(&pointer, host, wanted, current);
                    self.staging.effective.mail_hosts[index].spare = !passed;
                }
                _ => {}
            }
        }
    }

    /// M4: no cache denies the host's addresses or its TLSA.
    fn resolvable(&mut self, pointer: &str, old: Option<&MailHost>, host: &MailHost) -> bool {
        let name = &host.name;
        let Some(old) = old else {
            let what = format!("addresses and TLSA of {name} are published first");
            return self.wait(pointer, "M4", None, what);
        };
        // What this very wish changes is published by the version to come.
        let published = publishes(old, host);
        let since = self.held_since(|it| {
            let found = find(it, name);
            found.is_some_and(|it| publishes(it, host))
        });
        let served = since.and_then(|since| self.served_of(name).by(since));
        let negative = self.negative_ttl(name);
        let guard = self.longest(|it| it.timing.guard);
        let until = served.map(|served| after(after_ttl(served, negative), guard));
        let until = until.filter(|_| published);
        let what = match since {
            Some(since) if published => format!(
                "addresses and TLSA of {name} are published since {since}; caches may deny them for \
                 {} s",
                negative.as_secs()
            ),
            _ => format!("addresses and TLSA of {name} are published first"),
        };
        self.wait(pointer, "M4", until, what)
    }

    /// M4 behind M2 and M3: no sender goes by a policy that leaves the host out. Void where the
    /// policies' patterns cover it (L16).
    fn allowed(
        &mut self,
        pointer: &str,
        old: Option<&MailHost>,
        host: &MailHost,
        current: &PoolSettings,
    ) -> bool {
        let name = &host.name;
        if self.always_covered(name) {
            return true;
        }
        // One that does not act allows every host, once senders see its id.
        let acts = current.mta_sts.as_ref().is_some_and(|it| it.acts());
        let covered = !acts || old.is_some() && covers(current, name);
        let shown = self.facts.policy_shown.filter(|_| covered);
        let ttl = self.longest_ttl();
        let guard = self.longest(|it| it.timing.guard);
        let until = shown.and_then(|shown| self.facts.served.by(shown));
        let until = until.map(|served| after(after_ttl(served, ttl), guard));
        let what = match shown {
            Some(shown) => format!(
                "every domain announces the policy with {name} since {shown}; senders may go by the \
                 one before for {} s (RFC 8461, section 8.1)",
                ttl.as_secs()
            ),
            None => format!("some domain does not announce the policy with {name} yet (S9)"),
        };
        self.wait(pointer, "M4", until, what)
    }

    /// M5: a sender with an old policy gets to a host that it allows before it has tried enough
    /// addresses.
    fn reached(
        &mut self,
        pointer: &str,
        host: &MailHost,
        wanted: &PoolSettings,
        current: &PoolSettings,
    ) -> bool {
        let in_use = current.mail_hosts.iter().filter(|it| !it.spare);
        let kept = in_use.filter(|it| self.always_covered(&it.name));
        let Some(best) = kept.map(|it| it.preference).min() else {
            return true;
        };
        if host.preference > best {
            return true;
        }
        let wanted = wanted.mail_hosts.iter().filter(|it| !it.spare);
        let ahead = wanted.filter(|it| it.preference <= best && !self.always_covered(&it.name));
        let addresses: usize = ahead
            // How many a host served elsewhere has, nobody says.
            .map(|it| match it.addresses.len() {
                0 => TRIED,
                some => some,
            })
            .sum();
        if addresses < TRIED {
            return true;
        }
        let name = &host.name;
        let others = self.facts.versions.iter();
        let others = others.filter(|lapse| !covers(lapse.what, name));
        let ages = others.filter_map(|lapse| self.policy_held(lapse));
        let Some(longest) = ages.max() else {
            return true;
        };
        let shown = self.facts.policy_shown;
        let until = shown.and_then(|shown| self.facts.served.by(shown));
        let until = until.map(|served| {
            after(
                after_ttl(after(served, longest), self.longest_ttl()),
                self.longest(|it| it.timing.guard),
            )
        });
        let what = format!(
            "hosts with {addresses} or more addresses would stand in front of those that senders' \
             policies of before allow, for up to {longest}, and some senders try only {TRIED}; give \
             {name} a preference above {best} to let it join earlier"
        );
        self.wait(pointer, "M5", until, what)
    }

    /// N1: an address joins when the key of the box behind it stands in TLSA for two TTLs.
    fn addresses(&mut self, index: usize, pointer: &str, old: &MailHost, host: &MailHost) {
        let adds = host.addresses.iter();
        let adds = adds.filter(|address| !old.addresses.contains(address));
        let tlsa = host.tlsa_records();
        if adds.count() == 0 || (tlsa.is_empty() && old.tlsa_records().is_empty()) {
            return;
        }
        let name = &host.name;
        let part = format!("/mail_host/{name}/addresses");
        let (began, _) = self.began(&part, Span::from_secs(0));
        let since = self.held_since(|it| {
            let found = find(it, name);
            found.is_some_and(|it| holds_all(&it.tlsa_records(), &tlsa))
        });
        let since = since.map(|since| since.max(began));
        let ttl = self.longest_ttl();
        let twice = Span::from_secs(ttl.as_secs().saturating_mul(2));
        let guard = self.longest(|it| it.timing.guard);
        let until = since.and_then(|since| self.served_of(name).by(since));
        let until = until.map(|served| after(after(served, twice), guard));
        let what = format!(
            "the key of the box behind the new address of {name} must stand in TLSA for {twice} \
             before anybody is led there (RFC 7671, section 8.1)"
        );
        let pointer = format!("{pointer}/addresses");
        if !self.wait(&pointer, "N1", until, what) {
            self.staging.effective.mail_hosts[index].addresses = old.addresses.clone();
        }
    }

    /// Returns when every server of a host's zone serves what came into effect there.
    fn served_of(&self, name: &Target) -> Served {
        let zone = name.as_shared().and_then(|name| (self.facts.zone_of)(name));
        zone.map_or(self.facts.served, |zone| zone.served)
    }

    /// Returns for how long caches may deny names of a host's zone.
    fn negative_ttl(&self, name: &Target) -> Ttl {
        match name {
            Target::Shared(name) => {
                let zone = (self.facts.zone_of)(name);
                zone.map_or(ELSEWHERE, |zone| zone.negative_ttl)
            }
            Target::InDomain(_) => {
                let ttls = self.facts.versions.iter();
                let ttls = ttls.map(|lapse| lapse.what.negative_ttl());
                ttls.max().unwrap_or(ELSEWHERE)
            }
        }
    }

    /// Returns whether every policy that a sender may hold and acts on covers a host.
    fn always_covered(&self, name: &Target) -> bool {
        let mut versions = self.facts.versions.iter();
        versions.all(|lapse| self.policy_held(lapse).is_none() || covers(lapse.what, name))
    }

    /// Returns for how long senders keep the policy of a version, if one may still hold it and acts on
    /// it.
    fn policy_held(&self, lapse: &Lapse<&PoolSettings>) -> Option<Span> {
        let policy = lapse.what.mta_sts.as_ref().filter(|it| it.acts())?;
        let since = self.facts.policy_shown.filter(|_| lapse.off.is_some());
        let until = since.and_then(|since| self.facts.served.by(since));
        let until = until.map(|served| {
            let last_fetched = after_ttl(served, self.longest_ttl());
            after(
                after(last_fetched, policy.max_age),
                self.longest(|it| it.timing.guard),
            )
        });
        until
            .is_none_or(|until| self.facts.now < until)
            .then_some(policy.max_age)
    }
}

/// Returns a pool's host by its name.
fn find<'s>(settings: &'s PoolSettings, name: &Target) -> Option<&'s MailHost> {
    settings.mail_hosts.iter().find(|host| host.name == *name)
}

/// Returns whether what is published of a host is all that it is to have.
fn publishes(is: &MailHost, wanted: &MailHost) -> bool {
    holds_all(&is.addresses, &wanted.addresses)
        && holds_all(&is.tlsa_records(), &wanted.tlsa_records())
}

/// Returns whether a list holds every item of another.
fn holds_all<T: PartialEq>(all: &[T], some: &[T]) -> bool {
    some.iter().all(|item| all.contains(item))
}

/// Returns whether the policy of a version covers a host.
fn covers(settings: &PoolSettings, name: &Target) -> bool {
    let Some(policy) = &settings.mta_sts else {
        return false;
    };
    if policy.patterns.is_empty() {
        return find(settings, name).is_some();
    }
    crate::mail::mta_sts::uncovered(policy, [name].into_iter()).is_empty()
}
