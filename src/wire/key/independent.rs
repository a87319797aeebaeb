//! A second opinion for tests: signatures verified by the field's library, with its own reading of
//! the records and its own canonical form.

use hickory_proto::dnssec::Verifier;
use hickory_proto::dnssec::rdata::DNSSECRData;
use hickory_proto::rr::{DNSClass, RData, Record};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use crate::wire::{Name, Rdata, Rtype, Ttl};

/// Returns whether `rrsig` is a good signature of the key in `dnskey` over an RRset.
pub(crate) fn verifies(
    rrset: (&Name, Rtype, Ttl, &[Rdata]),
    rrsig: &Rdata,
    zone: &Name,
    dnskey: &Rdata,
) -> bool {
    let (owner, rtype, ttl, rdatas) = rrset;
    let records: Vec<Record> = rdatas
        .iter()
        .map(|rdata| record(owner, rtype, ttl, rdata))
        .collect();
    let rrsig = record(owner, Rtype::RRSIG, ttl, rrsig);
    let dnskey = record(zone, Rtype::DNSKEY, ttl, dnskey);
    let (RData::DNSSEC(DNSSECRData::RRSIG(rrsig)), RData::DNSSEC(DNSSECRData::DNSKEY(dnskey))) =
        (&rrsig.data, &dnskey.data)
    else {
        return false;
    };
    rrsig.input().type_covered == rtype.code().into()
        && rrsig.input().key_tag == dnskey.calculate_key_tag().unwrap()
        && dnskey
            .verify_rrsig(&records[0].name, DNSClass::IN, rrsig, records.iter())
            .is_ok()
}

/// Has a record read from its wire form.
fn record(owner: &Name, rtype: Rtype, ttl: Ttl, rdata: &Rdata) -> Record {
    let octets = rdata.as_wire();
    let wire = [
        owner.as_wire(),
        &rtype.code().to_be_bytes(),
        &[0, 1],
        &ttl.as_secs().to_be_bytes(),
        &(octets.len() as u16).to_be_bytes(),
        octets,
    ]
    .concat();
    Record::read(&mut BinDecoder::new(&wire)).unwrap()
}
