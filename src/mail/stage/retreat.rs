//! Giving up names below the domains, and sending.

use std::collections::BTreeMap;

use super::{Stager, after, after_ttl};
use crate::clock::Span;
use crate::mail::settings::{Drain, PoolSettings};

impl Stager<'_> {
    /// `*` loses its MX as a domain does that retires (T3, L15).
    pub(super) fn subdomains(&mut self, wanted: &PoolSettings, current: &PoolSettings) {
        const POINTER: &str = "/subdomains";
        if wanted.subdomains {
            return;
        }
        if current.subdomains {
            let mut passed = self.promised(POINTER, wanted.life.drain);
            if let Some(last) = self.facts.deferred {
                let queue = self.longest(|it| it.timing.queue_max);
                let what = format!(
                    "we last made senders defer at {last}; what they hold is tried for up to {queue}"
                );
                passed &= self.wait(POINTER, "R2", Some(after(last, queue)), what);
            }
            passed &= self.longer_ttls(POINTER, current);
            let on = self.facts.versions.last().map(|lapse| lapse.on);
            let served = on.and_then(|on| self.facts.served.by(on));
            if served.is_none() {
                let what = "a listed name server was not seen to serve the zones as they are now";
                passed &= self.wait(POINTER, "I5", None, what.to_owned());
            }
            // Whoever asks finds the MX until the next version of the zones.
            self.staging.effective.subdomains = !passed;
            if passed {
                let what = "\"*\" loses its MX now, and caches hold it for a while";
                self.wait(POINTER, "L8", None, what.to_owned());
            }
        }
        self.names_below(POINTER, current);
    }

    /// R1: addresses that were given out are promised for the pool's drain.
    fn promised(&mut self, pointer: &str, drain: Drain) -> bool {
        let span = match drain {
            Drain::For(span) => span,
            Drain::Forever => Span::MAX,
        };
        let (began, bound) = self.began(pointer, span);
        if bound == Span::MAX {
            let what = "addresses below the domains are promised for ever (drain); wish for a \
                        drain first, then for this";
            return self.wait(pointer, "R1", None, what.to_owned());
        }
        let what = format!(
            "addresses below the domains, given out until {began}, are promised for {bound} (the \
             pool's drain)"
        );
        self.wait(pointer, "R1", Some(after(began, bound)), what)
    }

    /// R3: versions whose MX had a longer TTL than now have left the caches.
    fn longer_ttls(&mut self, pointer: &str, current: &PoolSettings) -> bool {
        let ended = self.facts.versions.iter();
        let longer = ended.filter(|lapse| lapse.what.subdomains && lapse.what.ttl > current.ttl);
        let gone = longer.filter_map(|lapse| Some((lapse.off?, lapse.what.ttl())));
        let mut passed = true;
        for (off, ttl) in gone.collect::<Vec<_>>() {
            let until = self.facts.served.by(off);
            let until = until.map(|served| after_ttl(served, ttl));
            let what = format!(
                "the MX at \"*\" had a TTL of {} s until {off}",
                ttl.as_secs()
            );
            passed &= self.wait(pointer, "R3", until, what);
        }
        passed
    }

    /// L8: mail hosts know the names below for as long as a cache may lead there.
    fn names_below(&mut self, pointer: &str, current: &PoolSettings) {
        if current.subdomains {
            self.staging.names_below = true;
            return;
        }
        let with = self.facts.versions.iter();
        let with: Vec<_> = with.filter(|lapse| lapse.what.subdomains).collect();
        let ttl = with.iter().map(|lapse| lapse.what.ttl()).max();
        let (Some(off), Some(ttl)) = (with.last().and_then(|lapse| lapse.off), ttl) else {
            return;
        };
        let guard = self.longest(|it| it.timing.destructive_guard);
        let until = self.facts.served.by(off);
        let until = until.map(|served| after(after_ttl(served, ttl), guard));
        let what = format!(
            "\"*\" has no MX since {off}; caches may hold it, so mail hosts go on knowing the names \
             below the domains"
        );
        self.staging.names_below = !self.wait(pointer, "L8", until, what);
    }

    /// Domains that send no more, or not with a key, go on saying that they do while what they sent
    /// can come back (R4).
    pub(super) fn outbound(&mut self, wanted: &PoolSettings, current: &PoolSettings) {
        let Some(old) = &current.outbound else {
            return;
        };
        let Some(new) = &wanted.outbound else {
            const POINTER: &str = "/outbound";
            if !self.returned(POINTER, wanted, "the domains send") {
                self.staging.effective.outbound = Some(old.clone());
            }
            return;
        };
        let lost = old.dkim.iter();
        let lost = lost.filter(|(selector, _)| !new.dkim.contains_key(*selector));
        let mut kept = BTreeMap::new();
        for (selector, target) in lost {
            let pointer = format!("/outbound/dkim/{selector}");
            let who = format!("the domains sign with the DKIM selector {selector}");
            if !self.returned(&pointer, wanted, &who) {
                kept.insert(selector.clone(), target.clone());
            }
        }
        if let Some(outbound) = &mut self.staging.effective.outbound {
            outbound.dkim.extend(kept);
        }
    }

    /// R4: what was sent until the wish has come back, if it ever does.
    fn returned(&mut self, pointer: &str, wanted: &PoolSettings, who: &str) -> bool {
        let (began, queue) = self.began(pointer, wanted.timing.queue_max);
        let what = format!(
            "{who} no more since {began}; bounces and answers come, and signatures are checked, for \
             up to {queue}"
        );
        self.wait(pointer, "R4", Some(after(began, queue)), what)
    }
}
