//! What pools and the operator's own zones need of each other.

use std::collections::BTreeMap;

use super::render::{host_records, render, report_permissions};
use super::{Form, PoolSettings, TlsaRecord};
use crate::document::Fault;
use crate::wire::{Apex, Name, Rdata, RelativeName, Rtype, Ttl};
use crate::zone::{RelativeRrset, Rrset};

/// What the operator wrote into one of its own zones.
#[derive(Clone, Copy, Debug)]
pub struct OperatorZone<'z> {
    /// The zone's name.
    pub apex: &'z Apex,
    /// Its RRsets, without what is derived.
    pub rrsets: &'z [RelativeRrset],
}

/// What a zone of the operator's says of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostInZone {
    /// It has an address.
    Addressed,
    /// It, or a name above it, is an alias.
    Alias,
    /// It lies below a delegation: another server speaks for it.
    Delegated,
    /// It has no address.
    Unaddressed,
}

impl OperatorZone<'_> {
    /// Says what the zone, at or above `host`, has for it.
    pub(super) fn host(&self, host: &Name) -> HostInZone {
        let Some(mut owner) = host.relative_to(self.apex) else {
            return HostInZone::Delegated;
        };
        let has = |owner: &RelativeName, types: &[Rtype]| {
            let mut rrsets = self.rrsets.iter();
            rrsets.any(|rrset| rrset.owner == *owner && types.contains(&rrset.rtype))
        };
        let mut found = HostInZone::Unaddressed;
        if has(&owner, &[Rtype::A, Rtype::AAAA]) {
            found = HostInZone::Addressed;
        } else if has(&owner, &[Rtype::CNAME]) {
            found = HostInZone::Alias;
        }
        loop {
            if !owner.is_apex() && has(&owner, &[Rtype::NS]) {
                return HostInZone::Delegated;
            }
            let Some(parent) = owner.parent() else {
                return found;
            };
            if has(&parent, &[Rtype::DNAME]) {
                found = HostInZone::Alias;
            }
            owner = parent;
        }
    }
}

impl OperatorZone<'_> {
    /// Returns owner and target of every MX that stands in the zone, but for those that say that
    /// there is no mail (RFC 7505).
    pub(super) fn exchanges(&self) -> Vec<(&RelativeName, Name)> {
        let rrsets = self.rrsets.iter().filter(|rrset| rrset.rtype == Rtype::MX);
        let records = rrsets.flat_map(|rrset| {
            let rdatas = rrset.rdatas.iter();
            let rdatas = rdatas.filter_map(|rdata| rdata.under(Rtype::MX, self.apex).ok());
            let names = rdatas.flat_map(|rdata| rdata.names(Rtype::MX));
            names.map(|name| (&rrset.owner, name))
        });
        records.filter(|(_, name)| !name.is_root()).collect()
    }

    /// Returns whether the zone, at or above `name`, may lead to a key there (RFC 6376, section 3.6.2):
    /// it has TXT or an alias for it, at the name or by a wildcard above, or leaves it to another.
    pub(super) fn may_have_key(&self, name: &Name) -> bool {
        if matches!(self.host(name), HostInZone::Alias | HostInZone::Delegated) {
            return true;
        }
        self.rrsets.iter().any(|rrset| {
            let of_key = matches!(rrset.rtype, Rtype::TXT | Rtype::CNAME);
            let owner = rrset.owner.under(self.apex).ok();
            let covers = |owner: &Name| {
                let above = owner.parent().filter(|_| rrset.owner.is_wildcard());
                name == owner || above.is_some_and(|above| name.is_below(&above))
            };
            of_key && owner.as_ref().is_some_and(covers)
        })
    }

    /// Returns whether a wildcard with an address stands above `name`, so that it may have one.
    pub(super) fn has_wildcard_above(&self, name: &Name) -> bool {
        self.rrsets.iter().any(|rrset| {
            let is_address = matches!(rrset.rtype, Rtype::A | Rtype::AAAA);
            let above = rrset.owner.parent().filter(|_| rrset.owner.is_wildcard());
            let above = above.and_then(|above| above.under(self.apex).ok());
            is_address && above.is_some_and(|above| name.is_below(&above))
        })
    }
}

/// Returns the zone that a name lies in: the longest one at or above it.
pub(super) fn closest<'a, 'z>(
    zones: &'a [OperatorZone<'z>],
    name: &Name,
) -> Option<&'a OperatorZone<'z>> {
    let above = zones.iter().filter(|zone| name.is_at_or_below(zone.apex));
    above.max_by_key(|zone| zone.apex.label_count())
}

/// Returns what a pool's shared hosts and report addresses need in the operator's zones, whoever
/// serves the names: A, AAAA and TLSA of each host, and the permission to send DMARC reports of
/// any domain to each mailbox (RFC 9990, section 4).
pub fn host_rrsets(settings: &PoolSettings) -> Vec<Rrset> {
    let mut rrsets: BTreeMap<(Name, Rtype), Vec<Rdata>> = BTreeMap::new();
    for host in &settings.mail_hosts {
        let Some(name) = host.name.as_shared() else {
            continue;
        };
        // A name too long for `_25._tcp` in front was refused when the settings were read.
        for (owner, rtype, rdata) in host_records(name, host, "").unwrap_or_default() {
            rrsets.entry((owner, rtype)).or_default().push(rdata);
        }
    }
    for uris in settings.reports.dmarc.iter() {
        for owner in report_permissions(uris) {
            let permission = Rdata::txt(b"v=DMARC1");
            rrsets.insert((owner, Rtype::TXT), vec![permission]);
        }
    }
    let rrsets = rrsets.into_iter();
    rrsets
        .filter_map(|((owner, rtype), rdatas)| Rrset::new(owner, rtype, settings.ttl(), rdatas))
        .collect()
}

/// Returns what a pool's domain needs in the operator's zone above it: its NS, the addresses of name
/// servers inside it, and its DS if any are given.
pub fn delegation_rrsets(settings: &PoolSettings, apex: &Apex, ds: Vec<Rdata>) -> Vec<Rrset> {
    let servers = settings.nameservers.iter();
    let servers = servers.filter_map(|server| server.under(apex).ok());
    let servers = servers.map(|server| Rdata::name(&server)).collect();
    let owner = apex.as_name();
    let mut rrsets: Vec<Rrset> = Vec::new();
    rrsets.extend(Rrset::new(
        owner.clone(),
        Rtype::NS,
        settings.ns_ttl(),
        servers,
    ));
    // The DS goes with the keys: as long as theirs, and short enough to be withdrawn soon.
    let ds_ttl = settings.signing.dnskey_ttl();
    rrsets.extend(Rrset::new(owner.clone(), Rtype::DS, ds_ttl, ds));
    rrsets.extend(glue(settings, apex));
    rrsets
}

/// Returns what one of the operator's zones needs in the one above it: its NS, its DS, and the
/// addresses of name servers inside it that it says itself.
pub fn zone_delegation(zone: OperatorZone<'_>, ds: Vec<Rdata>, ds_ttl: Ttl) -> Vec<Rrset> {
    let full = zone
        .rrsets
        .iter()
        .filter_map(|rrset| rrset.under(zone.apex).ok());
    let full: Vec<Rrset> = full.collect();
    let apex = zone.apex.as_name();
    let is_server = |rrset: &&Rrset| rrset.owner() == apex && rrset.rtype() == Rtype::NS;
    let servers = full.iter().find(is_server);
    let rdatas = servers.map_or(&[][..], Rrset::rdatas).iter();
    let names: Vec<Name> = rdatas.flat_map(|rdata| rdata.names(Rtype::NS)).collect();
    let glue = full.iter().filter(|rrset| {
        matches!(rrset.rtype(), Rtype::A | Rtype::AAAA) && names.contains(rrset.owner())
    });
    let ds = Rrset::new(apex.clone(), Rtype::DS, ds_ttl, ds);
    servers.into_iter().chain(glue).cloned().chain(ds).collect()
}

/// Returns the addresses of a domain's name servers that lie inside it; without them in the parent,
/// nobody would find them (RFC 1034, section 4.2.1).
fn glue(settings: &PoolSettings, apex: &Apex) -> Vec<Rrset> {
    let inside = settings
        .nameservers
        .iter()
        .filter_map(|server| server.as_in_domain());
    let inside: Vec<&RelativeName> = inside.collect();
    if inside.is_empty() {
        return Vec::new();
    }
    // Their addresses are among the extra records, or those of a mail host of the same name.
    let rendered = render(settings, Form::LIVE, None).ok();
    let rrsets = rendered.iter().flat_map(|template| template.rrsets());
    rrsets
        .filter(|rrset| matches!(rrset.rtype, Rtype::A | Rtype::AAAA))
        .filter(|rrset| inside.contains(&&rrset.owner))
        .filter_map(|rrset| rrset.under(apex).ok())
        .collect()
}

/// Picks of `derived` what an operator's zone must be given: what lies in it (and in no zone of
/// `zones` below it), and is not there already.
///
/// `delegations` are those of the operator's zones right below it, relative to it: they stand in
/// both zones. Pools that share a host say the same of it; of their TTLs the lowest holds. What the operator
/// wrote with the same data stays as written, with its TTL.
///
/// # Errors
///
/// One fault for each RRset that the operator wrote differently, or that would stand beside an
/// alias or be hidden by one.
pub fn derive_into(
    zone: OperatorZone<'_>,
    zones: &[&Apex],
    derived: &[Rrset],
    delegations: &[RelativeRrset],
) -> Result<Vec<RelativeRrset>, Vec<Fault>> {
    let mut wanted: BTreeMap<(RelativeName, Rtype), RelativeRrset> = BTreeMap::new();
    let inside = derived.iter().filter(|rrset| lies_in(zone, zones, rrset));
    let inside = inside.filter_map(|rrset| RelativeRrset::relative_to(rrset, zone.apex));
    for relative in inside.chain(delegations.iter().cloned()) {
        let same = wanted.entry((relative.owner.clone(), relative.rtype));
        let known = same.or_insert_with(|| relative.clone());
        known.ttl = known.ttl.min(relative.ttl);
        for rdata in relative.rdatas {
            if !known.rdatas.contains(&rdata) {
                known.rdatas.push(rdata);
            }
        }
        known.rdatas.sort_unstable();
    }
    let mut faults = Vec::new();
    for written in zone.rrsets {
        let key = (written.owner.clone(), written.rtype);
        let mut sorted = written.rdatas.clone();
        sorted.sort_unstable();
        let before = faults.len();
        if let Some(rrset) = wanted.get(&key) {
            if rrset.rdatas == sorted {
                wanted.remove(&key);
            } else {
                faults.push(Fault::new("/records", differs(zone, written, rrset)));
            }
        } else if written.rtype == Rtype::CNAME
            && let Some(((owner, rtype), _)) = wanted.iter().find(|((o, _), _)| *o == written.owner)
        {
            faults.push(Fault::new(
                "/records",
                format!(
                    "{owner} is an alias, but pools derive its {rtype}: a CNAME stands alone (RFC \
                     2181, section 10.1)"
                ),
            ));
        }
        if faults.len() == before {
            faults.extend(hidden(zone, written, wanted.keys()));
        }
    }
    if faults.is_empty() {
        Ok(wanted.into_values().collect())
    } else {
        Err(faults)
    }
}

/// Says which derived RRset would never be served because of a DNAME or a delegation that the
/// operator wrote.
fn hidden<'k>(
    zone: OperatorZone<'_>,
    written: &RelativeRrset,
    mut derived: impl Iterator<Item = &'k (RelativeName, Rtype)>,
) -> Option<Fault> {
    let at = &written.owner;
    let (what, rule, (owner, rtype)) = match written.rtype {
        // At a delegation, the DNAME belongs to the zone below (RFC 6672, section 2.3).
        Rtype::DNAME => {
            let hidden = derived.find(|(owner, rtype)| {
                owner.is_below(at) || owner == at && *rtype == Rtype::NS && !at.is_apex()
            })?;
            ("DNAME", "RFC 6672, sections 2.3 and 2.4", hidden)
        }
        Rtype::NS if !at.is_apex() => {
            let rdatas = written.rdatas.iter();
            let servers = rdatas.filter_map(|rdata| rdata.under(Rtype::NS, zone.apex).ok());
            let servers: Vec<Name> = servers.flat_map(|rdata| rdata.names(Rtype::NS)).collect();
            // The addresses of the delegation's own servers are served with it.
            let is_glue = |owner: &RelativeName| {
                let full = owner.under(zone.apex);
                full.is_ok_and(|name| servers.contains(&name))
            };
            let hidden = derived.find(|(owner, rtype)| match *rtype {
                Rtype::A | Rtype::AAAA => !is_glue(owner) && (owner == at || owner.is_below(at)),
                Rtype::NS | Rtype::DS => owner.is_below(at),
                _ => owner == at || owner.is_below(at),
            })?;
            ("delegation", "RFC 1034, section 4.2.1", hidden)
        }
        _ => return None,
    };
    Some(Fault::new(
        "/records",
        format!(
            "{at} is a {what}, which would hide the {owner} {rtype} that pools derive ({rule})"
        ),
    ))
}

/// Returns whether a derived RRset belongs into `zone`, not into one of `zones` below it. The DS of
/// a zone stands in the one above.
fn lies_in(zone: OperatorZone<'_>, zones: &[&Apex], rrset: &Rrset) -> bool {
    let owner = rrset.owner();
    let deeper = |other: &&&Apex| {
        other.is_below(zone.apex)
            && owner.is_at_or_below(other)
            && !(rrset.rtype() == Rtype::DS && owner == other.as_name())
    };
    owner.is_at_or_below(zone.apex) && !zones.iter().any(|other| deeper(&other))
}

/// Says how an operator's RRset differs from what pools derive.
fn differs(zone: OperatorZone<'_>, written: &RelativeRrset, derived: &RelativeRrset) -> String {
    let texts = |rrset: &RelativeRrset| {
        let rdatas = rrset.rdatas.iter();
        let texts = rdatas.filter_map(|rdata| {
            let rdata = rdata.under(rrset.rtype, zone.apex).ok()?;
            Some(rdata.to_text(rrset.rtype))
        });
        texts.collect::<Vec<_>>().join(", ")
    };
    format!(
        "{} {}: the zone says {}, the pools derive {}: leave it out of the zone, or make both the same",
        written.owner,
        written.rtype,
        texts(written),
        texts(derived)
    )
}

/// Finds what in an operator's zone would break mail: TLSA at a wildcard or with a digest of a wrong
/// length, and TLSA for port 25 that no sender can use. Pointers are those of a zone's document.
pub fn check_zone(zone: OperatorZone<'_>) -> Vec<Fault> {
    let tlsa = zone
        .rrsets
        .iter()
        .filter(|rrset| rrset.rtype == Rtype::TLSA);
    let mut faults = Vec::new();
    for rrset in tlsa {
        let mut note = |reason: String| {
            let detail = format!("{} TLSA: {reason}", rrset.owner);
            faults.push(Fault::new("/records", detail));
        };
        if rrset.owner.is_wildcard() {
            note(
                "a wildcard would speak for any host and port (RFC 7672, section 2.2.3)".to_owned(),
            );
        }
        let mut labels = rrset.owner.labels();
        let is_mail = (labels.next(), labels.next()) == (Some(b"_25"), Some(b"_tcp"));
        for rdata in &rrset.rdatas {
            let Ok(rdata) = rdata.under(Rtype::TLSA, zone.apex) else {
                continue;
            };
            // Other services may use what port 25 cannot; only lengths must be right.
            let error = if is_mail {
                TlsaRecord::from_rdata(&rdata).err()
            } else {
                TlsaRecord::wrong_digest(&rdata)
            };
            if let Some(error) = error {
                note(error.to_string());
            }
        }
    }
    faults
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::mail::sample;
    use crate::wire::write_master;
    use crate::zone::ZoneData;

    /// Makes an operator's zone of lines behind SOA and NS.
    pub(crate) fn zone(apex: &str, lines: &str) -> ZoneData {
        let apex = Apex::parse(apex).unwrap();
        let head =
            "@ SOA ns1.example. hostmaster.example. 1 14400 3600 1209600 900\n@ NS ns1.example.\n";
        let text = format!("{head}{lines}");
        let ttl = Ttl::from_secs(3_600);
        let records = crate::wire::parse_master(&text, None, &apex, ttl, &crate::wire::NoIncludes);
        ZoneData::from_master(&apex, records.unwrap()).unwrap()
    }

    /// Returns what an operator's zone is refused for.
    fn refused(lines: &str) -> Vec<String> {
        let data = zone("infra.example", lines);
        let zone = OperatorZone {
            apex: &data.apex,
            rrsets: &data.rrsets,
        };
        check_zone(zone)
            .into_iter()
            .map(|fault| fault.detail)
            .collect()
    }

    #[test]
    fn shared_hosts_and_report_addresses_derive_records() {
        let settings = sample::settings(&sample::document());

        let rrsets = host_rrsets(&settings);

        let records = rrsets.iter().flat_map(|rrset| {
            let rdatas = rrset.rdatas().iter();
            rdatas.map(|rdata| (rrset.owner(), rrset.rtype(), rrset.ttl(), rdata))
        });
        let text = write_master(records).replace('\t', " ");
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        let [first, second] = sample::TLSA;
        let mut expected = [
            "mx1.infra-a.example. 3600 IN A 192.0.2.25".to_owned(),
            "mx1.infra-a.example. 3600 IN AAAA 2001:db8::25".to_owned(),
            format!("_25._tcp.mx1.infra-a.example. 3600 IN TLSA {first}"),
            format!("_25._tcp.mx1.infra-a.example. 3600 IN TLSA {second}"),
            "*._report._dmarc.infra-a.example. 3600 IN TXT \"v=DMARC1\"".to_owned(),
        ];
        expected.sort_unstable();
        assert_eq!(lines, expected);
    }

    #[test]
    fn hosts_inside_the_domains_derive_nothing() {
        let document = sample::without(sample::in_domain(), "/extra");

        let rrsets = host_rrsets(&sample::settings(&document));

        assert_eq!(rrsets, []);
        let other = json!({ "dmarc": "mailto:a@b.example,mailto:c@b.example" });
        let settings = sample::settings(&sample::with(document, "/reports", other));
        assert_eq!(host_rrsets(&settings).len(), 1);
    }

    #[test]
    fn rfc7672_tlsa_that_no_sender_can_use_is_refused_in_operator_zones() {
        let digest = "8c".repeat(32);

        assert_eq!(
            refused(&format!("_25._tcp.mx1 TLSA 3 1 1 {digest}\n")),
            [""; 0]
        );
        // Other ports may have the usages of public authorities.
        assert_eq!(
            refused(&format!("_443._tcp.www TLSA 1 1 1 {digest}\n")),
            [""; 0]
        );
        for wrong in ["1 1 1", "3 1 2", "3 1 0"] {
            let found = refused(&format!("_25._tcp.mx1 TLSA {wrong} {digest}\n"));
            assert_eq!(found.len(), 1, "{wrong}: {found:?}");
        }
        let found = refused("_465._tcp.mx1 TLSA 3 1 1 8c8c\n");
        assert!(found[0].contains("32 octets"), "{found:?}");
        let found = refused(&format!("*.mx TLSA 3 1 1 {digest}\n"));
        assert!(found[0].contains("wildcard"), "{found:?}");
    }

    /// Derives RRsets into a zone of these lines, beside a zone `mail.infra-a.example`.
    fn derive(lines: &str, derived: &[Rrset]) -> Result<Vec<String>, Vec<Fault>> {
        let data = zone("infra-a.example", lines);
        let zone = OperatorZone {
            apex: &data.apex,
            rrsets: &data.rrsets,
        };
        let other = Apex::parse("mail.infra-a.example").unwrap();
        let given = derive_into(zone, &[&data.apex, &other], derived, &[])?;
        let named = given
            .iter()
            .map(|r| format!("{} {} {}", r.owner, r.ttl, r.rtype));
        Ok(named.collect())
    }

    #[test]
    fn a_zone_is_given_what_pools_derive_unless_it_says_the_same() {
        let derived = host_rrsets(&sample::settings(&sample::document()));

        let given = derive("mx1 60 A 192.0.2.25\n", &derived).unwrap();

        let expected = [
            "*._report._dmarc 3600 TXT",
            "mx1 3600 AAAA",
            "_25._tcp.mx1 3600 TLSA",
        ];
        assert_eq!(given, expected);
    }

    #[test]
    fn a_dname_that_hides_what_pools_derive_is_refused() {
        // It was accepted, and the DS of a pool's domain came back as an alias: bogus.
        let apex = Apex::parse("burner.sub.infra-a.example").unwrap();
        let settings = sample::settings(&sample::document());
        let derived = delegation_rrsets(&settings, &apex, Vec::new());

        for owner in ["@", "sub", "burner.sub"] {
            let faults = derive(&format!("{owner} DNAME elsewhere.test.\n"), &derived).unwrap_err();

            assert_eq!(faults.len(), 1, "{owner}");
            assert!(faults[0].detail.contains("burner.sub NS"), "{faults:?}");
        }
        for owner in ["x.burner.sub", "other"] {
            derive(&format!("{owner} DNAME elsewhere.test.\n"), &derived).unwrap();
        }
    }

    #[test]
    fn rfc1034_4_2_1_a_delegation_that_hides_what_pools_derive_is_refused() {
        // It was accepted, and address and TLSA of the host were served nowhere.
        let derived = host_rrsets(&sample::settings(&sample::document()));
        let faults = derive("mx1 NS ns1.elsewhere.test.\n", &derived).unwrap_err();
        assert!(faults[0].detail.contains("mx1 A"), "{faults:?}");

        let apex = Apex::parse("burner.sub.infra-a.example").unwrap();
        let settings = sample::settings(&sample::document());
        let derived = delegation_rrsets(&settings, &apex, Vec::new());
        let faults = derive("sub NS ns1.elsewhere.test.\n", &derived).unwrap_err();
        assert!(faults[0].detail.contains("burner.sub NS"), "{faults:?}");
        derive("other NS ns1.elsewhere.test.\n", &derived).unwrap();
    }

    #[test]
    fn an_rrset_that_a_zone_says_differently_is_refused() {
        let derived = host_rrsets(&sample::settings(&sample::document()));
        let refused = |lines: &str| derive(lines, &derived).unwrap_err()[0].detail.clone();

        let other = refused("mx1 A 192.0.2.99\n");
        assert!(
            other.contains("192.0.2.99") && other.contains("192.0.2.25"),
            "{other}"
        );
        let more = refused("mx1 A 192.0.2.25\nmx1 A 192.0.2.26\n");
        assert!(more.contains("192.0.2.26"), "{more}");
        assert!(refused("mx1 CNAME elsewhere.test.\n").contains("RFC 2181"));
    }

    #[test]
    fn pools_that_share_a_host_derive_it_once_at_the_lowest_ttl() {
        let short = sample::with(sample::document(), "/ttl", json!("30m"));
        let mut derived = host_rrsets(&sample::settings(&sample::document()));
        derived.extend(host_rrsets(&sample::settings(&short)));

        let given = derive("", &derived).unwrap();

        assert_eq!(given.len(), 4);
        assert!(given.contains(&"mx1 1800 A".to_owned()), "{given:?}");
    }

    #[test]
    fn a_domain_below_a_zone_is_delegated_with_its_ds() {
        let settings = sample::settings(&sample::document());
        let ds = || vec![Rdata::ds(1, 13, 2, &[7; 32])];
        let apex = |text: &str| Apex::parse(text).unwrap();
        let near = delegation_rrsets(&settings, &apex("b.infra-a.example"), ds());
        let far = delegation_rrsets(&settings, &apex("b.mail.infra-a.example"), ds());

        assert_eq!(derive("", &near).unwrap(), ["b 86400 NS", "b 3600 DS"]);
        // It lies in the other zone.
        assert_eq!(derive("", &far).unwrap(), [""; 0]);
    }

    #[test]
    fn rfc1034_4_2_1_a_name_server_inside_the_domain_brings_its_glue() {
        let extra = json!({ "records": "ns1 A 192.0.2.53\nwww A 192.0.2.80\n" });
        let document = sample::with(sample::document(), "/extra", extra);
        let settings = sample::settings(&sample::with(document, "/nameservers/0", json!("ns1")));

        let apex = Apex::parse("b.infra-a.example").unwrap();
        let derived = delegation_rrsets(&settings, &apex, Vec::new());

        assert_eq!(
            derive("", &derived).unwrap(),
            ["b 86400 NS", "ns1.b 3600 A"]
        );
    }
}
