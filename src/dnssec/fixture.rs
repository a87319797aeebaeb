//! A zone with something of every kind, for the room's tests.

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::dnssec::{SigningKey, key_rrsets};
use crate::wire::{
    Algorithm, Apex, Name, Rdata, RelativeName, RelativeRdata, Rtype, Serial, SoaNumbers, Ttl,
};
use crate::zone::{RelativeRrset, Template, UnsignedZone};

/// When everything is signed.
pub(super) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// The zone's name.
pub(super) fn apex() -> Apex {
    Apex::parse("b.example").unwrap()
}

/// Makes a key of an algorithm.
pub(super) fn key(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm, &[]).unwrap().0
}

/// Makes an RRset below the apex.
pub(super) fn rrset(owner: &str, rtype: Rtype, rdatas: &[Rdata]) -> RelativeRrset {
    let rdatas = rdatas.iter();
    RelativeRrset {
        owner: RelativeName::parse(owner).unwrap(),
        rtype,
        ttl: Ttl::from_secs(3_600),
        rdatas: rdatas
            .map(|rdata| RelativeRdata::relative_to(rtype, rdata, &apex()))
            .collect(),
    }
}

/// Makes an A RRset.
pub(super) fn address(owner: &str, last: u8) -> RelativeRrset {
    rrset(owner, Rtype::A, &[Rdata::a(Ipv4Addr::new(192, 0, 2, last))])
}

/// Makes the SOA RRset.
fn soa(serial: u32) -> RelativeRrset {
    let name = Name::parse("ns1.infra.example").unwrap();
    let numbers = SoaNumbers {
        serial: Serial::new(serial),
        refresh: 14_400,
        retry: 3_600,
        expire: 1_209_600,
        minimum: Ttl::from_secs(900),
    };
    rrset("@", Rtype::SOA, &[Rdata::soa(&name, &name, numbers)])
}

/// Returns data of each kind: several records to be sorted, a wildcard, an empty non-terminal, a
/// delegation with DS and glue, names inside data, long texts.
pub(super) fn template() -> Arc<Template> {
    let name = |text: &str| Name::parse(text).unwrap();
    let template = Template::new(vec![
        rrset(
            "@",
            Rtype::NS,
            &[
                Rdata::name(&name("ns2.infra.example")),
                Rdata::name(&name("ns1.infra.example")),
            ],
        ),
        rrset(
            "@",
            Rtype::MX,
            &[
                Rdata::mx(20, &name("mx.infra.example")),
                Rdata::mx(10, &name("mx1.b.example")),
            ],
        ),
        rrset(
            "@",
            Rtype::TXT,
            &[Rdata::txt(&[b'x'; 600]), Rdata::txt(b"v=spf1 -all")],
        ),
        rrset("*", Rtype::MX, &[Rdata::mx(10, &name("mx1.b.example"))]),
        address("mx1", 1),
        rrset(
            "_25._tcp.mx1",
            Rtype::TLSA,
            &[Rdata::tlsa(3, 1, 1, &[7; 32])],
        ),
        rrset(
            "below",
            Rtype::NS,
            &[Rdata::name(&name("ns.below.b.example"))],
        ),
        rrset("below", Rtype::DS, &[Rdata::ds(1, 13, 2, &[8; 32])]),
        address("ns.below", 2),
        rrset(
            "moved",
            Rtype::DNAME,
            &[Rdata::name(&name("infra.example"))],
        ),
        rrset(
            "www",
            Rtype::CNAME,
            &[Rdata::name(&name("www.infra.example"))],
        ),
    ]);
    Arc::new(template.unwrap())
}

/// Returns the zone with some keys, a serial and RRsets of its own.
pub(super) fn zone(keys: &[&SigningKey], serial: u32, own: Vec<RelativeRrset>) -> UnsignedZone {
    let mut own = own;
    own.push(soa(serial));
    own.extend(key_rrsets(keys, &apex(), Ttl::from_secs(3_600)));
    UnsignedZone::new(apex(), template(), own).unwrap()
}
