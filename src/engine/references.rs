//! Who of our zones and pools names which host (L14).

use std::collections::BTreeMap;

use super::facts::Facts;
use crate::mail::{PoolSettings, Target};
use crate::wire::{Apex, Name, Rtype};
use crate::zone::RelativeRrset;

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
) -> BTreeMap<Name, String> {
    let mut found = BTreeMap::new();
    for (pool, settings) in pools {
        let hosts = settings.mail_hosts().iter().map(|host| &host.name);
        let names = hosts.chain(settings.nameservers());
        for name in names.filter_map(Target::as_shared) {
            found
                .entry(name.clone())
                .or_insert_with(|| format!("the pool {pool}"));
        }
    }
    for (apex, rrsets) in zones {
        for rrset in rrsets {
            for name in names_in(apex, rrset) {
                found
                    .entry(name)
                    .or_insert_with(|| format!("the zone {}", apex.to_api_text()));
            }
        }
    }
    found
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
