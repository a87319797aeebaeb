//! Zones as master files, for people and for other servers.

use crate::wire::{Rtype, write_master};
use crate::zone::{Rrset, SignedRrset};

/// Writes a signed zone as a master file: SOA first, then in canonical order, each RRset followed
/// by its signatures.
///
/// `rrsets` are in canonical order of owners, as `SignedZone::expand` returns them.
pub fn export(rrsets: &[SignedRrset]) -> String {
    let (soa, others): (Vec<_>, Vec<_>) = rrsets
        .iter()
        .partition(|signed| signed.rrset.rtype() == Rtype::SOA);
    let records = soa.into_iter().chain(others).flat_map(|signed| {
        let rrset = &signed.rrset;
        let data = rrset.rdatas().iter().map(|rdata| (rrset.rtype(), rdata));
        let signatures = signed.rrsigs.iter().map(|rdata| (Rtype::RRSIG, rdata));
        data.chain(signatures)
            .map(|(rtype, rdata)| (rrset.owner(), rtype, rrset.ttl(), rdata))
    });
    write_master(records)
}

/// Writes a zone without its signatures as a master file: SOA first, then in the order given.
pub fn export_unsigned(rrsets: &[Rrset]) -> String {
    let (soa, others): (Vec<_>, Vec<_>) =
        rrsets.iter().partition(|rrset| rrset.rtype() == Rtype::SOA);
    let records = soa.into_iter().chain(others).flat_map(|rrset| {
        let data = rrset.rdatas().iter();
        data.map(|rdata| (rrset.owner(), rrset.rtype(), rrset.ttl(), rdata))
    });
    write_master(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Name, Rdata, Ttl};

    /// Makes an RRset of one record.
    fn rrset(owner: &str, rtype: Rtype, data: &str) -> Rrset {
        let owner = Name::parse(owner).unwrap();
        let rdata = Rdata::parse_text(rtype, data, &owner).unwrap();
        Rrset::new(owner, rtype, Ttl::from_secs(60), vec![rdata]).unwrap()
    }

    #[test]
    fn the_soa_comes_first_and_signatures_follow_their_rrset() {
        let signed = |rrset: Rrset| {
            let text = format!("{} 13 2 60 2 1 7 b.example. AAAA", rrset.rtype());
            let rrsig = Rdata::parse_text(Rtype::RRSIG, &text, rrset.owner()).unwrap();
            SignedRrset {
                rrset,
                rrsigs: vec![rrsig],
            }
        };
        let rrsets = [
            rrset("b.example", Rtype::NS, "ns"),
            rrset("b.example", Rtype::SOA, "ns h 1 2 3 4 5"),
            rrset("ns.b.example", Rtype::A, "192.0.2.1"),
        ];
        let lines = [
            "b.example.\t60\tIN\tSOA\tns.b.example. h.b.example. 1 2 3 4 5",
            "b.example.\t60\tIN\tNS\tns.b.example.",
            "ns.b.example.\t60\tIN\tA\t192.0.2.1",
        ];

        let unsigned = export_unsigned(&rrsets);
        let with_signatures = export(&rrsets.map(signed));

        assert_eq!(unsigned.lines().collect::<Vec<_>>(), lines);
        let followed: Vec<(&str, bool)> = with_signatures
            .lines()
            .map(|line| (line, line.contains("\tRRSIG\t")))
            .collect();
        assert_eq!(
            followed
                .iter()
                .step_by(2)
                .map(|(line, _)| *line)
                .collect::<Vec<_>>(),
            lines
        );
        assert!(
            followed[1].1
                && followed[1]
                    .0
                    .contains("\tRRSIG\tSOA 13 2 60 19700101000002 ")
        );
        assert!(followed[3].1 && followed[5].1);
    }
}
