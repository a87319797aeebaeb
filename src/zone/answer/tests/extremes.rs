//! Names as long, as deep and as odd as names can be: the answer is what a naive lookup says.

use proptest::prelude::*;

use super::agreement::{check, legal};
use super::fixture::{Ask, Part, Served, TestZone};
use crate::wire::{Apex, Name, Rdata, Rtype};
use crate::zone::Transport;

/// A label, given by its octets.
type Label = Vec<u8>;

/// Labels around the wildcard's, and such as text forms and comparisons stumble over.
const ODD: &[&[u8]] = &[b"*", b"**", b"*\0", b")", b"\0", b".", b"\xff"];

/// The few labels that the names of one case are made of, so that they meet.
fn labels() -> impl Strategy<Value = Vec<Label>> {
    let label = prop_oneof![
        2 => prop::collection::vec(any::<u8>(), 1..4),
        2 => prop::sample::select(ODD).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 60..64),
    ];
    let asterisk = Just(b"*".to_vec());
    (asterisk, prop::collection::vec(label, 2..5)).prop_map(|(asterisk, mut labels)| {
        labels.push(asterisk);
        labels
    })
}

/// An apex: short, of the longest labels, or of the most.
fn apex() -> impl Strategy<Value = Name> {
    prop_oneof![
        Just(vec![vec![b'z']]),
        (1_usize..50).prop_map(|last| vec![vec![b'h'; last], vec![b'i'; 63], vec![b'k'; 63]]),
        (90_usize..122).prop_map(|labels| vec![vec![b'm']; labels]),
    ]
    .prop_map(|labels| under(&labels, &Name::root()))
}

/// Puts as many labels in front of a name as there is room for, the last ones first.
fn under(labels: &[Label], name: &Name) -> Name {
    let mut wire = name.as_wire().to_vec();
    for label in labels.iter().rev() {
        if wire.len() + 1 + label.len() <= 255 {
            wire.splice(0..0, label.iter().copied());
            wire.insert(0, label.len() as u8);
        }
    }
    Name::from_wire(&wire).unwrap()
}

/// A name of the zone: its labels by number, taken from those of the case; many of them make the
/// longest names.
fn name() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        4 => prop::collection::vec(any::<usize>(), 0..4),
        1 => (any::<usize>(), 0..128_usize).prop_map(|(label, times)| vec![label; times]),
    ]
}

/// What a record is, up to its names.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Something that only stands there.
    Text,
    /// A type whose data is a name.
    Name(Rtype),
    /// A mail host.
    Mx,
}

/// A record: owner, kind and target.
fn record() -> impl Strategy<Value = (Vec<usize>, Kind, Vec<usize>)> {
    let kind = prop_oneof![
        2 => Just(Kind::Text),
        4 => Just(Kind::Name(Rtype::CNAME)),
        3 => Just(Kind::Name(Rtype::DNAME)),
        1 => Just(Kind::Name(Rtype::NS)),
        1 => Just(Kind::Mx),
    ];
    (name(), kind, name())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn answers_agree_for_all_names_that_there_can_be(
        apex in apex(),
        labels in labels(),
        records in prop::collection::vec(record(), 0..10),
        asks in prop::collection::vec((name(), 0_usize..5, any::<u64>()), 1..12),
    ) {
        let full = |numbers: &[usize]| {
            let labels: Vec<Label> =
                numbers.iter().map(|number| labels[number % labels.len()].clone()).collect();
            under(&labels, &apex)
        };
        let records = records.iter().map(|(owner, kind, target)| {
            let target = full(target);
            let (rtype, rdata) = match kind {
                Kind::Text => (Rtype::TXT, Rdata::txt(b"here")),
                Kind::Name(rtype) => (*rtype, Rdata::name(&target)),
                Kind::Mx => (Rtype::MX, Rdata::mx(10, &target)),
            };
            (full(owner), rtype, rdata)
        });
        let records = legal(&apex, records.collect());
        let zone = TestZone::new(Apex::new(apex.clone()).unwrap(), records, |_| Part::Own, 1);
        let served = Served::new(std::slice::from_ref(&zone));

        for (qname, qtype, case) in &asks {
            let qname = full(qname);
            let types = [Rtype::TXT, Rtype::CNAME, Rtype::DNAME, Rtype::MX, Rtype::NS];
            let mut ask = Ask {
                qname: qname.as_wire().to_vec(),
                qtype: types[*qtype],
                udp_size: Some(1232),
                dnssec_ok: case % 2 == 0,
            };
            let seen = served.ask_over(&ask, Transport::Tcp);
            check(&zone, &ask, &seen)?;
            // In another case it is the same question.
            mix_case(&mut ask.qname, *case);
            let mixed = served.ask_over(&ask, Transport::Tcp);
            prop_assert_eq!(format!("{mixed:?}"), format!("{seen:?}"));
            let (_, octets) = served.octets(&ask.to_wire(), Transport::Tcp);
            prop_assert_eq!(&octets[12..12 + ask.qname.len()], &ask.qname[..]);
        }
    }
}

/// Makes some letters of a name upper-case.
fn mix_case(wire: &mut [u8], case: u64) {
    let mut at = 0;
    while wire[at] > 0 {
        let end = at + 1 + usize::from(wire[at]);
        for (index, octet) in wire[at + 1..end].iter_mut().enumerate() {
            if case >> (index % 64) & 1 == 1 {
                octet.make_ascii_uppercase();
            }
        }
        at = end;
    }
}
