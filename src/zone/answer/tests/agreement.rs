//! Random zones and questions: the answer is what a naive lookup says.

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use proptest::prelude::*;

use super::fixture::{Ask, Part, Served, TestZone};
use super::reference::{Claim, Nsec, Reference, records};
use crate::wire::decoded::{Decoded, DecodedRecord, compressed_by_library};
use crate::wire::{Apex, MasterRecord, Name, Place, Rdata, Rtype, Section, Ttl};
use crate::zone::{Layouts, SignedRrset, Transport};

/// The labels that names are made of: few, so that they meet.
fn label() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "*", "ns", "x", "_c"])
}

/// Some labels in front of the apex.
fn labels(most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(label(), 0..=most).prop_map(|labels| {
        let mut name = labels.join(".");
        if !name.is_empty() {
            name.push('.');
        }
        name
    })
}

/// A name in the zone `z.example`, or one elsewhere.
fn target() -> impl Strategy<Value = Name> {
    prop_oneof![
        8 => labels(3).prop_map(|labels| Name::parse(&format!("{labels}z.example.")).unwrap()),
        1 => Just(Name::parse("mail.infra.example.").unwrap()),
    ]
}

/// A record of a type that decides how names are looked up, or of one that only stands there.
fn record() -> impl Strategy<Value = (String, Rtype, Rdata)> {
    let data = prop_oneof![
        3 => any::<u32>().prop_map(|octets| (Rtype::A, Rdata::a(octets.into()))),
        1 => any::<u128>().prop_map(|octets| (Rtype::AAAA, Rdata::aaaa(octets.into()))),
        2 => ("[a-z]{0,20}").prop_map(|text| (Rtype::TXT, Rdata::txt(text.as_bytes()))),
        2 => target().prop_map(|host| (Rtype::MX, Rdata::mx(10, &host))),
        2 => target().prop_map(|host| (Rtype::CNAME, Rdata::name(&host))),
        1 => target().prop_map(|host| (Rtype::DNAME, Rdata::name(&host))),
        2 => target().prop_map(|host| (Rtype::NS, Rdata::name(&host))),
        1 => any::<u16>().prop_map(|tag| (Rtype::DS, Rdata::ds(tag, 13, 2, &[7; 32]))),
    ];
    (labels(3), data).prop_map(|(owner, (rtype, data))| (owner, rtype, data))
}

/// A zone, its RRsets divided at random between template and own.
fn zone() -> impl Strategy<Value = TestZone> {
    let records = prop::collection::vec(record(), 0..14);
    (records, any::<u64>(), 0_u16..3).prop_map(|(records, parts, keys)| {
        let part = |index: usize| match parts >> (index % 64) & 1 {
            0 => Part::Template,
            _ => Part::Own,
        };
        let apex = Apex::parse("z.example").unwrap();
        let records = legal(&apex, full_names(records));
        TestZone::new(apex, records, part, keys)
    })
}

/// Puts owners under `z.example`.
fn full_names(records: Vec<(String, Rtype, Rdata)>) -> Vec<(Name, Rtype, Rdata)> {
    let records = records.into_iter().map(|(owner, rtype, rdata)| {
        let owner = Name::parse(&format!("{owner}z.example.")).unwrap();
        (owner, rtype, rdata)
    });
    records.collect()
}

/// Leaves out what no zone can have.
pub(super) fn legal(apex: &Name, records: Vec<(Name, Rtype, Rdata)>) -> Vec<MasterRecord> {
    let mut kept: Vec<MasterRecord> = Vec::new();
    let mut later: Vec<MasterRecord> = Vec::new();
    for (owner, rtype, rdata) in records {
        let is_apex = owner == *apex;
        let here = |wanted: &dyn Fn(Rtype) -> bool| {
            let mut kept = kept.iter();
            kept.any(|record| record.owner == owner && wanted(record.rtype))
        };
        let illegal = match rtype {
            Rtype::CNAME => is_apex || here(&|_| true),
            Rtype::DNAME => here(&|other| matches!(other, Rtype::DNAME | Rtype::CNAME)),
            Rtype::NS => owner.is_wildcard() || here(&|other| other == Rtype::CNAME),
            _ => here(&|other| other == Rtype::CNAME),
        };
        if illegal {
            continue;
        }
        let record = MasterRecord {
            place: Place {
                file: None,
                line: 1,
            },
            owner,
            rtype,
            ttl: Ttl::from_secs(300),
            rdata,
        };
        if record.rtype == Rtype::DS {
            later.push(record);
        } else {
            kept.push(record);
        }
    }
    // A DS needs a delegation, at which no DNAME would make sense.
    for record in later {
        let mut here = kept.iter();
        let delegated = here.any(|other| {
            other.owner == record.owner && other.rtype == Rtype::NS && other.owner != *apex
        });
        if delegated {
            kept.push(record);
        }
    }
    kept
}

/// A question about the zone.
fn ask() -> impl Strategy<Value = Ask> {
    let types = vec![
        Rtype::A,
        Rtype::AAAA,
        Rtype::TXT,
        Rtype::MX,
        Rtype::CNAME,
        Rtype::DNAME,
        Rtype::NS,
        Rtype::DS,
        Rtype::SOA,
        Rtype::NSEC,
        Rtype::new(65400),
    ];
    let question = (
        labels(4),
        prop::sample::select(types),
        any::<bool>(),
        any::<u64>(),
    );
    question.prop_map(|(labels, qtype, dnssec_ok, case)| {
        let mut ask = Ask::plain(&format!("{labels}z.example."), qtype);
        for (at, octet) in ask.qname.iter_mut().enumerate() {
            if case >> (at % 64) & 1 == 1 {
                octet.make_ascii_uppercase();
            }
        }
        ask.udp_size = Some(1232);
        ask.dnssec_ok = dnssec_ok;
        ask
    })
}

/// Holds an answer to what the naive lookup says.
pub(super) fn check(zone: &TestZone, ask: &Ask, seen: &Decoded) -> Result<(), TestCaseError> {
    let full = zone.expand();
    let apex = zone.signed.apex.as_name();
    let qname = Name::from_wire(&ask.qname).unwrap();
    let expected = Reference::new(apex, &full, ask.dnssec_ok).lookup(&qname, ask.qtype);

    prop_assert_eq!(seen.rcode, expected.rcode);
    prop_assert_eq!(seen.flags.contains("AA"), expected.authoritative);
    prop_assert_eq!(set(seen.section(Section::Answer)), expected.answers);
    // Each once: the sections have no duplicates.
    for section in [Section::Answer, Section::Authority, Section::Additional] {
        prop_assert_eq!(
            set(seen.section(section)).len(),
            seen.section(section).len()
        );
    }

    let (denial, others): (Vec<_>, Vec<_>) = seen
        .section(Section::Authority)
        .iter()
        .cloned()
        .partition(is_denial);
    prop_assert_eq!(set(&others), expected.authorities);
    check_denial(zone, ask, &full, &expected.claims, &denial)?;

    let additionals = set(seen.section(Section::Additional));
    prop_assert!(additionals.is_superset(&expected.glue), "glue is missing");
    // Nothing is made up: every other address is the zone's, too.
    let all = full.iter();
    let all = all.flat_map(|signed| records(signed, signed.rrset.owner(), ask.dnssec_ok));
    let all: BTreeSet<DecodedRecord> = all.collect();
    prop_assert!(additionals.is_subset(&all));
    Ok(())
}

/// Holds the NSEC records of an answer to what must be proved.
fn check_denial(
    zone: &TestZone,
    ask: &Ask,
    full: &[SignedRrset],
    claims: &[Claim],
    denial: &[DecodedRecord],
) -> Result<(), TestCaseError> {
    if !ask.dnssec_ok || !zone.signed.is_signed() {
        prop_assert!(denial.is_empty(), "a proof that nobody asked for");
        return Ok(());
    }
    // Only the zone's own records, each with its signatures.
    let mut known = BTreeSet::new();
    let nsecs: Vec<Nsec> = denial
        .iter()
        .filter(|record| record.rtype == Rtype::NSEC)
        .map(Nsec::read)
        .collect();
    for signed in full
        .iter()
        .filter(|signed| signed.rrset.rtype() == Rtype::NSEC)
    {
        if nsecs.iter().any(|nsec| nsec.owner == *signed.rrset.owner()) {
            known.extend(records(signed, signed.rrset.owner(), true));
        }
    }
    prop_assert_eq!(set(denial), known);
    let apex = zone.signed.apex.as_name();
    for claim in claims {
        prop_assert!(
            nsecs.iter().any(|nsec| nsec.proves(claim, apex)),
            "{:?} is not proved by {:?}",
            claim,
            nsecs
        );
    }
    for nsec in &nsecs {
        prop_assert!(
            claims.iter().any(|claim| nsec.proves(claim, apex)),
            "{:?} proves nothing that is needed",
            nsec
        );
    }
    Ok(())
}

/// Returns whether every name of a reply is of those that are compressed as well as can be: then
/// the library, which points wherever it can, makes it no shorter.
///
/// Targets of aliases are not: elsewhere they are copied, below a DNAME hardly compressed. And
/// that the question asks for a host which is named but not there is not noticed. Nor is anything
/// pointed at the next name in an NSEC record, which the record behind may begin with.
fn has_common_names_only(zone: &TestZone, ask: &Ask, seen: &Decoded) -> bool {
    let has = |sections: &[Section], types: [Rtype; 2]| {
        let records = sections.iter().flat_map(|section| seen.section(*section));
        records
            .into_iter()
            .any(|record| types.contains(&record.rtype))
    };
    let qname = Name::from_wire(&ask.qname).unwrap();
    let full = zone.expand();
    let exists = full.iter().any(|signed| *signed.rrset.owner() == qname);
    let names_hosts = has(
        &[Section::Answer, Section::Authority],
        [Rtype::NS, Rtype::MX],
    );
    let nsec = [Rtype::NSEC; 2];
    let has_neighbours = has(&[Section::Answer], nsec) && has(&[Section::Authority], nsec);
    !has(&[Section::Answer], [Rtype::CNAME, Rtype::DNAME])
        && (exists || !names_hosts)
        && !has_neighbours
}

/// Returns whether a record is NSEC or covers one.
fn is_denial(record: &DecodedRecord) -> bool {
    let covers = |record: &DecodedRecord| record.data[..2] == Rtype::NSEC.code().to_be_bytes();
    record.rtype == Rtype::NSEC || record.rtype == Rtype::RRSIG && covers(record)
}

/// Returns the records in no order.
fn set(records: &[DecodedRecord]) -> BTreeSet<DecodedRecord> {
    records.iter().cloned().collect()
}

impl std::fmt::Debug for TestZone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for signed in self.expand() {
            let rrset = &signed.rrset;
            for rdata in rrset.rdatas() {
                let text = rdata.to_text(rrset.rtype());
                writeln!(f, "{} {} {text}", rrset.owner(), rrset.rtype())?;
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn answers_agree_with_a_naive_lookup(
        zone in zone(),
        asks in prop::collection::vec(ask(), 1..12),
    ) {
        static SERVED: LazyLock<Mutex<Served>> = LazyLock::new(|| Mutex::new(Served::new(&[])));
        let mut served = SERVED.lock().unwrap_or_else(PoisonError::into_inner);
        served.publisher.publish([zone.image(&Layouts::new())]);

        for ask in &asks {
            let seen = served.ask_over(ask, Transport::Tcp);

            check(&zone, ask, &seen)?;
            if has_common_names_only(&zone, ask, &seen) {
                let (_, octets) = served.octets(&ask.to_wire(), Transport::Tcp);
                let library = compressed_by_library(&octets);
                prop_assert!(octets.len() <= library, "{} > {}", octets.len(), library);
            }
            // Over UDP it is the same answer, or none.
            let short = served.ask(ask);
            if short.flags.contains("TC") {
                prop_assert!(short.has_no_records());
            } else {
                check(&zone, ask, &short)?;
            }
        }
    }
}
