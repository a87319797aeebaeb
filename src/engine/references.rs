//! Who of our zones and pools names which host (L14).

use std::collections::BTreeMap;

use super::facts::Facts;
use super::life::longest_horizon;
use crate::clock::{Span, Timestamp};
use crate::dnssec::SigningPolicy;
use crate::lifecycle;
use crate::mail::PoolSettings;
use crate::store::meta::LeftReference;
use crate::wire::{Apex, Name, Rtype};
use crate::zone::RelativeRrset;

/// Who refers to a host, and for how long after he ceases somebody may go there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Referrer {
    /// Who.
    who: String,
    /// How long it is kept by caches, or can be replayed.
    held: Span,
}

/// Who refers to a host in a domain, or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// Who, and which host.
    who: String,
    /// Until when he is followed, if he refers to it no more.
    until: Option<Timestamp>,
}

impl Reference {
    /// Returns it as the rules of a life take it.
    pub(super) fn borrowed(&self) -> lifecycle::Reference<'_> {
        lifecycle::Reference {
            who: &self.who,
            until: self.until,
        }
    }
}

/// A day: the operator's own zones have no guard of their own.
const DAY: u32 = 86_400;

impl Facts {
    /// Finds out anew who refers to which host.
    pub(super) fn find_references(&mut self) {
        let pools = self.pools.iter();
        let pools = pools.map(|(name, pool)| (&**name, &*pool.recipe.settings));
        let zones = self.zones.iter();
        let zones = zones.map(|(apex, zone)| (apex, zone.records.as_slice()));
        self.referenced = referenced(pools, zones);
    }
}

/// Returns the names of hosts that pools and the operator's zones refer to, and who does.
///
/// What counts is what mail follows: MX, NS, CNAME, and the names in
/// SPF and reporting texts.
pub(super) fn referenced<'a>(
    pools: impl IntoIterator<Item = (&'a str, &'a PoolSettings)>,
    zones: impl IntoIterator<Item = (&'a Apex, &'a [RelativeRrset])>,
) -> BTreeMap<Name, Referrer> {
    let mut found: BTreeMap<Name, Referrer> = BTreeMap::new();
    let mut add = |name: Name, held: Span, who: &dyn Fn() -> String| {
        let known = found
            .entry(name)
            .or_insert_with(|| Referrer { who: who(), held });
        known.held = known.held.max(held);
    };
    for (pool, settings) in pools {
        let held = longest_horizon(settings);
        let included = settings.spf().map(names_in_text).unwrap_or_default();
        let included = included.iter().filter_map(|name| Name::parse(name).ok());
        for name in settings.referred().into_iter().chain(included) {
            add(name, held, &|| format!("the pool {pool}"));
        }
    }
    let lifetime = SigningPolicy::default().lifetime().as_secs();
    for (apex, rrsets) in zones {
        for rrset in rrsets {
            let held = lifetime.max(rrset.ttl.as_secs()).saturating_add(DAY);
            for name in names_in(apex, rrset) {
                let who = || format!("the zone {}", apex.to_api_text());
                add(name, Span::from_secs(held), &who);
            }
        }
    }
    found
}

/// Who has ceased to refer to hosts and may still be followed: of each host who is for the longest.
pub(super) type Left = BTreeMap<Name, LeftReference>;

/// Puts together who has ceased to refer to hosts.
pub(super) fn by_host(left: impl IntoIterator<Item = LeftReference>) -> Left {
    let mut found = Left::new();
    for left in left {
        let known = found.get(&left.host).map(|known| known.until);
        if known.is_none_or(|known| known < left.until) {
            found.insert(left.host.clone(), left);
        }
    }
    found
}

/// Returns who was followed until now, and who ceases now to refer to a host.
pub(super) fn left(
    known: &Left,
    before: &BTreeMap<Name, Referrer>,
    after: &BTreeMap<Name, Referrer>,
    now: Timestamp,
) -> Left {
    let kept = known.values().filter(|it| it.until > now).cloned();
    let gone = before.iter().filter(|(host, _)| !after.contains_key(*host));
    let gone = gone.map(|(host, referrer)| LeftReference {
        host: host.clone(),
        who: referrer.who.clone(),
        until: now.saturating_add(referrer.held.as_duration()),
    });
    by_host(kept.chain(gone))
}

/// Finds who refers to a host at or below a domain; else who did and is followed for the longest.
pub(super) fn find_reference(
    referenced: &BTreeMap<Name, Referrer>,
    left: &Left,
    name: &Apex,
) -> Option<Reference> {
    let told = |who: &str, host: &Name| format!("{who} ({})", host.to_api_text());
    let first = referenced.range::<Name, _>(&**name..).next();
    if let Some((host, referrer)) = first.filter(|(host, _)| host.is_at_or_below(name)) {
        return Some(Reference {
            who: told(&referrer.who, host),
            until: None,
        });
    }
    // What lies below a name follows it in canonical order.
    let left = left.range::<Name, _>(&**name..);
    let left = left.take_while(|(host, _)| host.is_at_or_below(name));
    let (_, last) = left.max_by_key(|(_, it)| it.until)?;
    Some(Reference {
        who: told(&last.who, &last.host),
        until: Some(last.until),
    })
}

/// Returns the names that an RRset refers to.
fn names_in(apex: &Apex, rrset: &RelativeRrset) -> Vec<Name> {
    let rdatas = rrset.rdatas.iter();
    let rdatas = rdatas.filter_map(|rdata| rdata.under(rrset.rtype, apex).ok());
    let texts = rdatas.map(|rdata| rdata.to_text(rrset.rtype));
    let names = texts.flat_map(|text| match rrset.rtype {
        Rtype::MX | Rtype::NS | Rtype::CNAME => {
            let last = text.rsplit(' ').next().map(str::to_owned);
            last.into_iter().collect::<Vec<String>>()
        }
        Rtype::TXT => names_in_text(&text),
        _ => Vec::new(),
    });
    names.filter_map(|name| Name::parse(&name).ok()).collect()
}

/// Returns the names that SPF and reporting texts refer to.
fn names_in_text(text: &str) -> Vec<String> {
    let words = text.split([' ', '"', ';', ',']);
    let names = words.filter_map(|word| {
        let word = word.trim_start_matches(['+', '-', '~', '?']);
        let of_spf = ["include:", "mx:", "a:", "redirect=", "exists:"];
        let of_spf = of_spf.iter().find_map(|start| word.strip_prefix(start));
        let mailbox = word
            .split_once("mailto:")
            .and_then(|(_, rest)| rest.split_once('@'));
        let name = of_spf.or(mailbox.map(|(_, domain)| domain))?;
        let name = name.split(['/', '!']).next()?;
        (!name.is_empty() && !name.contains('%')).then(|| name.to_owned())
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host that was named and left again and again took room each time, and each look at a domain
    /// went through all of them.
    #[test]
    fn l14_a_host_that_is_left_again_and_again_is_kept_once() {
        let day = |days: u64| Timestamp::from_secs(days * 86_400);
        let host = Name::parse("mx.a.test").unwrap();
        let referrer = Referrer {
            who: "the zone b.test".to_owned(),
            held: Span::from_secs(3 * DAY),
        };
        let named = BTreeMap::from([(host.clone(), referrer)]);
        let mut known = Left::new();
        for days in 1..100 {
            known = left(&known, &named, &BTreeMap::new(), day(days));
        }
        assert_eq!(known.len(), 1);

        let found = |name: &str| {
            let name = Apex::parse(name).unwrap();
            find_reference(&BTreeMap::new(), &known, &name).and_then(|it| it.until)
        };
        assert_eq!(found("a.test"), Some(day(102)));
        assert_eq!(found("mx.a.test"), Some(day(102)));
        assert_eq!(found("x.test"), None);
        assert_eq!(found("b.test"), None);
    }

    /// L14: whatever mail follows is a reference.
    #[test]
    fn l14_names_in_texts_are_found() {
        let spf = "\"v=spf1 mx:mail.a.test/24 -include:spf.b.test ~all\"";
        assert_eq!(names_in_text(spf), ["mail.a.test", "spf.b.test"]);
        let report = "\"v=DMARC1; p=reject; rua=mailto:dmarc@c.test!10m,mailto:x@d.test\"";
        assert_eq!(names_in_text(report), ["c.test", "d.test"]);
        assert_eq!(names_in_text("\"v=spf1 -all\""), Vec::<String>::new());
    }
}
