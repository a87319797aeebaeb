//! What pools and the operator's own zones need of each other.

use std::collections::BTreeMap;

use super::render::{host_records, report_permissions};
use super::{PoolSettings, TlsaRecord};
use crate::document::Fault;
use crate::wire::{Apex, Name, Rdata, RelativeName, Rtype};
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

/// Finds what in an operator's zone would break mail: TLSA at a wildcard, and TLSA for port 25 that
/// no sender can use. Pointers are those of a zone's document.
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
        if (labels.next(), labels.next()) != (Some(b"_25"), Some(b"_tcp")) {
            continue;
        }
        for rdata in &rrset.rdatas {
            let checked = rdata.under(Rtype::TLSA, zone.apex).ok();
            if let Some(Err(error)) = checked.map(|rdata| TlsaRecord::from_rdata(&rdata)) {
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
        let ttl = crate::wire::Ttl::from_secs(3_600);
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
        let found = refused(&format!("*.mx TLSA 3 1 1 {digest}\n"));
        assert!(found[0].contains("wildcard"), "{found:?}");
    }
}
