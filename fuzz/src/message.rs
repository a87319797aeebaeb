//! Messages of others: what asks us, and what answers us.

use mxpool::wire::{
    Ask, Asked, Name, NameBuffer, Rdata, Received, Response, Rtype, Section, Transport, receive,
};

/// What a response may have at most.
const MOST_RECORDS: usize = 512;

/// Reads octets as a query, and as the response to the questions that we ask.
pub(crate) fn run(octets: &[u8]) {
    for transport in Transport::ALL {
        if let Received::Query(query) = receive(octets, transport) {
            assert!(octets.len() > 12, "a question has octets");
            assert_eq!(query.envelope.qtype(), Some(query.qtype));
            buffer_is_a_name(&query.qname);
        }
    }
    let id = octets.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
    for (qname, qtype) in [
        ("burner.example", Rtype::DS),
        ("mx1.infra.example", Rtype::TLSA),
    ] {
        let ask = Ask {
            qname: Name::parse(qname).expect("a name"),
            qtype,
            of: Asked::Resolver,
        };
        if let Ok(response) = Response::read(&ask, id, octets) {
            let sections = [Section::Answer, Section::Authority, Section::Additional];
            let records = sections.map(|section| response.section(section).len());
            assert!(records.iter().sum::<usize>() <= MOST_RECORDS);
            for record in sections
                .iter()
                .flat_map(|section| response.section(*section))
            {
                reads_again(record.rtype, &record.data);
            }
        }
    }
}

/// What was read can be written, and read again.
fn reads_again(rtype: Rtype, data: &Rdata) {
    let text = data.to_text(rtype);
    let again = Rdata::parse_text(rtype, &text, &Name::root());
    let again = again.unwrap_or_else(|error| panic!("{error} in {rtype} {text}"));
    match rtype {
        // Their names keep the case that they come with (RFC 6840, section 5.1); in text they are
        // ours to write.
        Rtype::NSEC | Rtype::RRSIG => {
            assert!(
                again.as_wire().eq_ignore_ascii_case(data.as_wire()),
                "{rtype} {text}"
            );
        }
        _ => assert_eq!(again, *data, "{rtype} {text}"),
    }
}

/// The name of a question is one.
fn buffer_is_a_name(name: &NameBuffer) {
    let name = Name::from_wire(name.as_wire()).expect("the name of a question is a name");
    assert_eq!(Name::parse(&name.to_string()), Ok(name));
}
