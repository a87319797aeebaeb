//! What pools, zones and domains forbid each other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::TlsaRecord;
use super::hosted::{Holder, Hosted};
use super::operator_zone::{HostInZone, OperatorZone, closest};
use super::settings::{MailHost, PoolSettings};
use crate::document::{Fault, Pointer};
use crate::wire::{Apex, Name};

/// What is wrong with a pool beside others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolFault {
    /// The pool.
    pub pool: String,
    /// Where in its settings, and why.
    pub fault: Fault,
}

/// Finds what in pools goes together neither with each other nor with the operator's zones nor with
/// the domains there are.
pub fn check_pools(
    pools: &[(&str, &PoolSettings)],
    zones: &[OperatorZone<'_>],
    hosted: &dyn Hosted,
) -> Vec<PoolFault> {
    let owned = owned_hosts(pools);
    let mut faults = differing(&owned);
    for (pool, settings) in pools {
        for named in named_hosts(settings) {
            let zone = closest(zones, named.name);
            let addressed = owned.get(named.name).is_some_and(|owners| {
                let mut owners = owners.iter();
                owners.any(|owner| !owner.host.addresses.is_empty())
            });
            let inside = named.inside_domain(hosted);
            let in_zone = zone.and_then(|zone| named.in_zone(zone, addressed));
            faults.extend(inside.into_iter().chain(in_zone).map(|fault| PoolFault {
                pool: (*pool).to_owned(),
                fault,
            }));
        }
    }
    faults
}

/// Finds MX in the operator's zones that lead to a host in a zone served here which has no address
/// there, neither written nor derived from pools, or is an alias (I2); with the zone of each.
pub fn check_exchanges<'z>(
    pools: &[(&str, &PoolSettings)],
    zones: &[OperatorZone<'z>],
    hosted: &dyn Hosted,
) -> Vec<(&'z Apex, Fault)> {
    let owned = owned_hosts(pools);
    let mut faults = Vec::new();
    for zone in zones {
        for (owner, target) in zone.exchanges() {
            // A pool's domain says itself where its names lead.
            let Some(closest) =
                closest(zones, &target).filter(|_| !lies_in_domain(&target, hosted))
            else {
                continue;
            };
            let is_owned = owned.get(&target).is_some_and(|owners| {
                let mut owners = owners.iter();
                owners.any(|owner| !owner.host.addresses.is_empty())
            });
            let reason = match closest.host(&target) {
                HostInZone::Addressed | HostInZone::Delegated => continue,
                HostInZone::Alias => "is an alias (RFC 2181, section 10.3)",
                HostInZone::Unaddressed if is_owned || closest.has_wildcard_above(&target) => {
                    continue;
                }
                HostInZone::Unaddressed => "has no address (RFC 5321, section 5.1)",
            };
            let (target, apex) = (target.to_api_text(), closest.apex.to_api_text());
            let detail = format!("{owner} MX leads to {target}, which {reason} in the zone {apex}");
            faults.push((zone.apex, Fault::new("/records", detail)));
        }
    }
    faults
}

/// Finds DKIM keys of a pool that are to be in one of the operator's zones and are not: receivers
/// find none, and fail what the domains sign.
pub fn missing_keys(
    settings: &PoolSettings,
    zones: &[OperatorZone<'_>],
    hosted: &dyn Hosted,
) -> Vec<Fault> {
    let keys = settings.outbound.iter().flat_map(|it| &it.dkim);
    let missing = keys.filter_map(|(selector, target)| {
        // A pool's domain says itself what is in it.
        let name = target
            .as_shared()
            .filter(|it| !lies_in_domain(it, hosted))?;
        let zone = closest(zones, name).filter(|zone| !zone.may_have_key(name))?;
        let (key, apex) = (name.to_api_text(), zone.apex.to_api_text());
        Some(Fault::new(
            format!("/outbound/dkim/{selector}"),
            format!(
                "{key} has no TXT record in the zone {apex}, which is served here: receivers find \
                 no key (RFC 6376, section 3.6.2)"
            ),
        ))
    });
    missing.collect()
}

/// Returns whether a name lies in a domain of a pool.
fn lies_in_domain(name: &Name, hosted: &dyn Hosted) -> bool {
    let mut ancestor = Some(name.clone());
    while let Some(name) = ancestor {
        if let Some(Holder::Domain { .. }) = hosted.holder(&name) {
            return true;
        }
        ancestor = name.parent();
    }
    false
}

/// Finds shared hosts that lose an address or a TLSA record in what all pools together
/// say of them, with what that is in words.
///
/// A pool that only names a host relies on what another says of it; so does each domain of either.
pub fn moved_hosts<'s>(
    before: &[(&'s str, &'s PoolSettings)],
    after: &[(&'s str, &'s PoolSettings)],
) -> Vec<(&'s Name, &'static str)> {
    let (before, after) = (owned_hosts(before), owned_hosts(after));
    let moved = before.into_iter().filter_map(|(name, old)| {
        let new = after.get(name).map_or(&[][..], Vec::as_slice);
        if !addresses_of(&old).is_subset(&addresses_of(new)) {
            return Some((name, "loses an address (plan N)"));
        }
        let kept = tlsa_of(&old).is_subset(&tlsa_of(new));
        (!kept).then_some((name, "loses a TLSA record (D12)"))
    });
    moved.collect()
}

/// Finds shared hosts of which all pools together say something else: whom they serve is touched,
/// whichever pool says it.
pub fn changed_hosts<'s>(
    before: &[(&'s str, &'s PoolSettings)],
    after: &[(&'s str, &'s PoolSettings)],
) -> BTreeSet<&'s Name> {
    let (before, after) = (owned_hosts(before), owned_hosts(after));
    let names: BTreeSet<&Name> = before.keys().chain(after.keys()).copied().collect();
    let changed = names.into_iter().filter(|name| {
        let old = before.get(name).map_or(&[][..], Vec::as_slice);
        let new = after.get(name).map_or(&[][..], Vec::as_slice);
        addresses_of(old) != addresses_of(new) || tlsa_of(old) != tlsa_of(new)
    });
    changed.collect()
}

/// Returns the addresses that pools together give a host.
fn addresses_of(owned: &[Owned<'_>]) -> BTreeSet<IpAddr> {
    let hosts = owned.iter().flat_map(|owned| &owned.host.addresses);
    hosts.copied().collect()
}

/// Returns the TLSA records that pools together give a host.
fn tlsa_of(owned: &[Owned<'_>]) -> BTreeSet<TlsaRecord> {
    let hosts = owned.iter().flat_map(|owned| owned.host.tlsa_records());
    hosts.collect()
}

/// A shared host or name server that a pool names.
struct Named<'s> {
    /// Where it is named.
    pointer: Pointer,
    /// What it is, in words.
    what: &'static str,
    /// Its name.
    name: &'s Name,
}

/// Returns every shared host and name server of a pool.
fn named_hosts(settings: &PoolSettings) -> Vec<Named<'_>> {
    let hosts = settings.mail_hosts.iter().enumerate();
    let hosts = hosts.map(|(index, host)| ("mail_host", index, "mail host", &host.name));
    let servers = settings.nameservers.iter().enumerate();
    let servers = servers.map(|(index, server)| ("nameservers", index, "name server", server));
    let named = hosts
        .chain(servers)
        .filter_map(|(key, index, what, target)| {
            Some(Named {
                pointer: Pointer::root().member(key).item(index),
                what,
                name: target.as_shared()?,
            })
        });
    named.collect()
}

impl Named<'_> {
    /// Refuses a host inside a domain that will be retired one day: whoever registers it then gets
    /// the mail of every domain that still names the host.
    fn inside_domain(&self, hosted: &dyn Hosted) -> Option<Fault> {
        let mut ancestor = Some(self.name.clone());
        while let Some(name) = ancestor {
            if let Some(Holder::Domain { .. }) = hosted.holder(&name) {
                let (what, host, apex) = (self.what, self.name.to_api_text(), name.to_api_text());
                return Some(self.fault(format!(
                    "the {what} {host} lies inside the pool domain {apex}, which rotates: a {what} \
                     that several domains use needs a name in a zone that stays; write it without a \
                     final dot if it is meant in each domain"
                )));
            }
            ancestor = name.parent();
        }
        None
    }

    /// Refuses a host that its zone, served here, makes an alias or leaves without an address.
    fn in_zone(&self, zone: &OperatorZone<'_>, addressed: bool) -> Option<Fault> {
        let (what, host, apex) = (self.what, self.name.to_api_text(), zone.apex.to_api_text());
        match zone.host(self.name) {
            HostInZone::Addressed | HostInZone::Delegated => None,
            HostInZone::Alias => Some(self.fault(format!(
                "the {what} {host} is an alias in the zone {apex}: MX and NS must not lead to one \
                 (RFC 2181, section 10.3)"
            ))),
            HostInZone::Unaddressed if addressed => None,
            HostInZone::Unaddressed => Some(self.fault(format!(
                "expected an address of the {what} {host}, here or in the zone {apex}, which is \
                 served here, found none (RFC 5321, section 5.1; RFC 1034, section 4.2.2)"
            ))),
        }
    }

    /// Returns a fault of this host.
    fn fault(&self, detail: String) -> Fault {
        Fault::new(self.pointer.as_str(), detail)
    }
}

/// A shared host and the pool that says something of it.
struct Owned<'s> {
    /// The pool's name.
    pool: &'s str,
    /// Index of the host in the pool.
    index: usize,
    /// What the pool says.
    host: &'s MailHost,
}

/// Returns the shared hosts that pools say anything of, by name.
fn owned_hosts<'s>(pools: &[(&'s str, &'s PoolSettings)]) -> BTreeMap<&'s Name, Vec<Owned<'s>>> {
    let mut owned: BTreeMap<&Name, Vec<Owned<'_>>> = BTreeMap::new();
    for (pool, settings) in pools {
        let hosts = settings.mail_hosts.iter().enumerate();
        for (index, host) in hosts.filter(|(_, host)| host.has_settings()) {
            if let Some(name) = host.name.as_shared() {
                owned
                    .entry(name)
                    .or_default()
                    .push(Owned { pool, index, host });
            }
        }
    }
    owned
}

/// Refuses hosts of which two pools say different things.
fn differing(owned: &BTreeMap<&Name, Vec<Owned<'_>>>) -> Vec<PoolFault> {
    let mut faults = Vec::new();
    for (name, owners) in owned {
        let Some((first, others)) = owners.split_first() else {
            continue;
        };
        for other in others {
            let differs = if other.host.addresses != first.host.addresses {
                "addresses"
            } else if other.host.tlsa_records() != first.host.tlsa_records() {
                "TLSA"
            } else {
                continue;
            };
            let pointer = Pointer::root().member("mail_host").item(other.index);
            let fault = Fault::new(
                pointer.as_str(),
                format!(
                    "expected the {differs} of {} that the pool {} says, found others: a mail host is \
                     one thing; name it here without addresses and certificates",
                    name.to_api_text(),
                    first.pool
                ),
            );
            faults.push(PoolFault {
                pool: other.pool.to_owned(),
                fault,
            });
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::mail::operator_zone::tests::zone;
    use crate::mail::sample;
    use crate::zone::ZoneData;

    /// Holds domains of some pool.
    struct Domains<'d>(&'d [&'d str]);

    impl Hosted for Domains<'_> {
        fn holder(&self, name: &Name) -> Option<Holder> {
            let pool = "main".to_owned();
            let here = self.0.contains(&name.to_api_text().as_str());
            here.then_some(Holder::Domain { pool })
        }
    }

    /// Checks pools `a`, `b`, … beside zones and domains.
    fn check(pools: &[&Value], zones: &[ZoneData], domains: &[&str]) -> Vec<Fault> {
        let settings: Vec<PoolSettings> = pools.iter().map(|pool| sample::settings(pool)).collect();
        let named: Vec<(&str, &PoolSettings)> = ["a", "b"].into_iter().zip(&settings).collect();
        let zones: Vec<OperatorZone<'_>> = zones
            .iter()
            .map(|data| OperatorZone {
                apex: &data.apex,
                rrsets: &data.rrsets,
            })
            .collect();
        let faults = check_pools(&named, &zones, &Domains(domains)).into_iter();
        let faults = faults.map(|PoolFault { pool, fault }| {
            fault.below(&Pointer::root().member("pool").member(&pool))
        });
        faults.collect()
    }

    /// Returns pointers and asserts that the first fault holds `words`.
    #[track_caller]
    fn pointers(faults: &[Fault], words: &str) -> Vec<String> {
        assert!(faults[0].detail.contains(words), "{faults:?}");
        faults.iter().map(|fault| fault.pointer.clone()).collect()
    }

    #[test]
    fn pools_that_go_together_are_not_refused() {
        let names = json!([{ "name": "mx1.infra-a.example." }]);
        let second = sample::with(sample::document(), "/mail_host", names);
        let zones = [zone("infra-a.example", "ns1 A 192.0.2.53\n")];

        let faults = check(&[&sample::document(), &second], &zones, &["burner.example"]);

        assert_eq!(faults, []);
    }

    #[test]
    fn rfc6376_3_6_2_a_dkim_key_in_a_zone_served_here_has_a_record() {
        let keys = json!({ "s1": "s1.dkim.infra-a.example.", "s2": "elsewhere.example." });
        let outbound = json!({ "spf": "v=spf1 mx -all", "dkim": keys });
        let pool = sample::with(sample::document(), "/outbound", outbound);
        let settings = sample::settings(&pool);
        let missing = |lines: &str, domains: &[&str]| {
            let data = zone("infra-a.example", lines);
            let zone = OperatorZone {
                apex: &data.apex,
                rrsets: &data.rrsets,
            };
            missing_keys(&settings, &[zone], &Domains(domains)).len()
        };

        assert_eq!(missing("s1.dkim A 192.0.2.1\n", &[]), 1);
        assert_eq!(missing("", &["dkim.infra-a.example"]), 0);
        for lines in [
            "s1.dkim TXT \"v=DKIM1; p=\"\n",
            "s1.dkim CNAME key.example.\n",
            "*.dkim TXT \"v=DKIM1; p=\"\n",
            "dkim DNAME dkim.example.\n",
            "dkim NS ns.example.\n",
        ] {
            assert_eq!(missing(lines, &[]), 0, "{lines}");
        }
        assert_eq!(missing_keys(&settings, &[], &Domains(&[])), []);
    }

    #[test]
    fn rfc5321_5_1_a_host_in_a_zone_served_here_needs_an_address() {
        let bare = json!([{ "name": "mx1.infra-a.example." }]);
        let pool = sample::with(sample::document(), "/mail_host", bare);
        let empty = [zone("infra-a.example", "")];
        let own = [zone(
            "infra-a.example",
            "ns1 A 192.0.2.53\nmx1 AAAA 2001:db8::1\n",
        )];
        let delegated = [zone(
            "example",
            "infra-a NS ns1.elsewhere.test.\ninfra-b NS ns1.elsewhere.test.\n",
        )];

        let faults = check(&[&pool], &empty, &[]);

        assert_eq!(
            pointers(&faults, "expected an address"),
            ["/pool/a/mail_host/0", "/pool/a/nameservers/0"]
        );
        assert_eq!(check(&[&pool], &own, &[]), []);
        assert_eq!(check(&[&pool], &[], &[]), []);
        assert_eq!(check(&[&pool], &delegated, &[]), []);
    }

    #[test]
    fn rfc2181_10_3_a_host_that_is_an_alias_in_a_zone_served_here_is_refused() {
        let zones = [zone(
            "infra-a.example",
            "mx1 CNAME elsewhere.test.\nns1 A 192.0.2.53\n",
        )];
        let below_dname = [zone("infra-b.example", "@ DNAME elsewhere.test.\n")];

        let faults = check(&[&sample::document()], &zones, &[]);

        assert_eq!(pointers(&faults, "is an alias"), ["/pool/a/mail_host/0"]);
        let faults = check(&[&sample::document()], &below_dname, &[]);
        let below = ["/pool/a/mail_host/1", "/pool/a/nameservers/1"];
        assert_eq!(pointers(&faults, "is an alias"), below);
    }

    #[test]
    fn a_host_of_which_two_pools_say_different_things_is_refused() {
        let other_address = json!(["192.0.2.99"]);
        let second = sample::with(sample::document(), "/mail_host/0/addresses", other_address);
        let third = sample::with(
            sample::document(),
            "/mail_host/0/tlsa",
            json!([sample::TLSA[0]]),
        );

        let faults = check(&[&sample::document(), &second], &[], &[]);
        assert_eq!(
            pointers(&faults, "expected the addresses"),
            ["/pool/b/mail_host/0"]
        );
        let faults = check(&[&sample::document(), &third], &[], &[]);
        assert_eq!(
            pointers(&faults, "expected the TLSA"),
            ["/pool/b/mail_host/0"]
        );
    }

    #[test]
    fn rfc5321_5_1_an_exchange_in_a_zone_served_here_needs_an_address() {
        let pool = sample::settings(&sample::document());
        let check = |lines: &str| {
            let data = [
                zone("infra-a.example", lines),
                zone("mail.test", "in A 192.0.2.1\n"),
            ];
            let zones = data.each_ref().map(|data| OperatorZone {
                apex: &data.apex,
                rrsets: &data.rrsets,
            });
            let faults = check_exchanges(&[("a", &pool)], &zones, &Domains(&["burner.mail.test"]));
            let details = faults.into_iter().map(|(_, fault)| fault.detail);
            details.collect::<Vec<_>>()
        };

        for (lines, words) in [
            (
                "@ MX 10 mx9\n",
                "@ MX leads to mx9.infra-a.example, which has no address",
            ),
            (
                "w MX 10 mx9\nmx9 CNAME mx1\n",
                "w MX leads to mx9.infra-a.example, which is an alias",
            ),
            ("@ MX 10 out.mail.test.\n", "in the zone mail.test"),
        ] {
            let found = check(lines);
            assert_eq!(found.len(), 1, "{lines}: {found:?}");
            assert!(found[0].contains(words), "{found:?}");
        }
        for lines in [
            // The pool derives its address.
            "@ MX 10 mx1\n",
            "@ MX 10 mx9\nmx9 AAAA 2001:db8::1\n",
            "@ MX 10 in.mail.test.\n",
            "@ MX 10 mx.elsewhere.test.\n",
            "@ MX 0 .\n",
            "@ MX 10 a.mx\n*.mx A 192.0.2.1\n",
            "@ MX 10 mx.sub\nsub NS ns.elsewhere.test.\n",
            "@ MX 10 mx1.burner.mail.test.\n",
        ] {
            assert_eq!(check(lines), [""; 0], "{lines}");
        }
    }

    #[test]
    fn a_host_moves_when_all_pools_together_say_something_else_of_it() {
        let full = sample::settings(&sample::document());
        let names = json!([{ "name": "mx1.infra-a.example." }]);
        let names = sample::settings(&sample::with(sample::document(), "/mail_host", names));
        let one = json!([sample::TLSA[0]]);
        let one = sample::settings(&sample::with(sample::document(), "/mail_host/0/tlsa", one));
        let moved = |before: &[(&str, &PoolSettings)], after: &[(&str, &PoolSettings)]| {
            let moved = moved_hosts(before, after);
            moved
                .iter()
                .map(|(_, what)| *what)
                .collect::<Vec<_>>()
                .join(",")
        };

        assert!(moved(&[("a", &full), ("b", &names)], &[("b", &names)]).contains("address"));
        assert!(moved(&[("a", &full)], &[("a", &names)]).contains("address"));
        assert!(moved(&[("a", &full)], &[("a", &one)]).contains("TLSA"));
        assert_eq!(moved(&[("a", &full), ("b", &full)], &[("b", &full)]), "");
        assert_eq!(moved(&[("a", &names)], &[("a", &full)]), "");
        assert_eq!(moved(&[("a", &one)], &[("a", &full)]), "");
        let more = json!(["192.0.2.25", "192.0.2.26", "2001:db8::25"]);
        let more = sample::with(sample::document(), "/mail_host/0/addresses", more);
        let more = sample::settings(&more);
        assert_eq!(moved(&[("a", &full)], &[("a", &more)]), "");
        // Who is served by it is touched, though.
        let host = Name::parse("mx1.infra-a.example.").unwrap();
        let changed = changed_hosts(&[("a", &full), ("b", &names)], &[("a", &more)]);
        assert_eq!(changed.into_iter().collect::<Vec<_>>(), [&host]);
        assert!(changed_hosts(&[("a", &full)], &[("a", &full), ("b", &names)]).is_empty());
    }

    #[test]
    fn a_host_inside_a_domain_that_rotates_is_refused() {
        let faults = check(&[&sample::document()], &[], &["infra-a.example"]);

        assert_eq!(
            pointers(&faults, "which rotates"),
            ["/pool/a/mail_host/0", "/pool/a/nameservers/0"]
        );
    }
}
