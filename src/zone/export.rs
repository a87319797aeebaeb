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
