//! A second opinion for tests: replies read by the field's library.

use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use hickory_proto::serialize::binary::{
    BinDecodable, BinDecoder, BinEncodable, BinEncoder, NameEncoding,
};

use super::{Opcode, Rcode, Section};
use crate::wire::{Name, Rtype, Ttl};

/// A message as the library reads it.
#[derive(Clone, Debug)]
pub(crate) struct Decoded {
    /// The message's id.
    pub(crate) id: u16,
    /// What kind of message it is.
    pub(crate) opcode: Opcode,
    /// How it came out, the bits in the OPT record included.
    pub(crate) rcode: Rcode,
    /// The flags, as letters: of QR AA TC RD RA AD CD those that are set.
    pub(crate) flags: String,
    /// The names, in lower case, and types asked for.
    pub(crate) questions: Vec<(Name, Rtype)>,
    /// The records of the three sections, OPT and TSIG not among them.
    sections: [Vec<DecodedRecord>; 3],
    /// Version, UDP size and DO of the OPT record.
    pub(crate) edns: Option<(u8, u16, bool)>,
    /// Codes and values of the OPT record's options, in their order.
    pub(crate) options: Option<Vec<(u16, Vec<u8>)>>,
    /// Whether a TSIG record ends the message.
    pub(crate) has_tsig: bool,
}

/// A record, its names uncompressed and in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DecodedRecord {
    /// The owner.
    pub(crate) owner: Name,
    /// The type.
    pub(crate) rtype: Rtype,
    /// The TTL.
    pub(crate) ttl: Ttl,
    /// The data.
    pub(crate) data: Vec<u8>,
}

impl Decoded {
    /// Reads a whole message; panics if there is anything wrong with it.
    pub(crate) fn read(octets: &[u8]) -> Self {
        let mut decoder = BinDecoder::new(octets);
        let message = Message::read(&mut decoder).expect("the library reads the message");
        assert!(decoder.is_empty(), "octets behind the message");
        let metadata = &message.metadata;
        let flags = [
            ("QR", octets[2] & 0x80 != 0),
            ("AA", metadata.authoritative),
            ("TC", metadata.truncation),
            ("RD", metadata.recursion_desired),
            ("RA", metadata.recursion_available),
            ("Z", octets[3] & 0x40 != 0),
            ("AD", metadata.authentic_data),
            ("CD", metadata.checking_disabled),
        ];
        let set = flags.iter().filter(|(_, set)| *set);
        let questions = message.queries.iter().map(|query| {
            let code = u16::from(query.query_type());
            (name(query.name()), Rtype::new(code))
        });
        let records = |records: &[Record]| records.iter().map(DecodedRecord::new).collect();
        let edns = message.edns.as_ref();
        Self {
            id: metadata.id,
            opcode: Opcode::new(metadata.op_code.into()),
            rcode: Rcode::new(metadata.response_code.into()),
            flags: set.map(|(name, _)| *name).collect::<Vec<_>>().join(" "),
            questions: questions.collect(),
            sections: [
                records(&message.answers),
                records(&message.authorities),
                records(&message.additionals),
            ],
            edns: edns.map(|edns| (edns.version(), edns.max_payload(), edns.flags().dnssec_ok)),
            options: edns.map(|edns| {
                let options = edns.options().as_ref().iter();
                let options = options.map(|(code, value)| (u16::from(*code), encode(value)));
                options.collect()
            }),
            has_tsig: message.signature.is_some(),
        }
    }

    /// Returns the records of a section.
    pub(crate) fn section(&self, section: Section) -> &[DecodedRecord] {
        &self.sections[section as usize]
    }

    /// Returns whether there is no record in any section.
    pub(crate) fn has_no_records(&self) -> bool {
        self.sections.iter().all(Vec::is_empty)
    }
}

impl DecodedRecord {
    /// Takes a record of the library's.
    fn new(record: &Record) -> Self {
        let wire = encode(record);
        let (owner, rest) = Name::split_from(&wire).unwrap();
        Self {
            owner,
            rtype: Rtype::new(u16::from_be_bytes([rest[0], rest[1]])),
            ttl: Ttl::from_secs(record.ttl),
            data: rest[10..].to_vec(),
        }
    }
}

/// Returns how many octets a message takes when the library composes it, names compressed.
pub(crate) fn compressed_by_library(octets: &[u8]) -> usize {
    let message = Message::from_vec(octets).expect("the library reads the message");
    let composed = message.to_vec().expect("the library composes what it read");
    composed.len()
}

/// Returns a name of the library's as ours.
fn name(name: &hickory_proto::rr::Name) -> Name {
    Name::from_wire(&encode(name)).unwrap()
}

/// Encodes without compression, in lower case.
fn encode(value: &impl BinEncodable) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut encoder = BinEncoder::new(&mut octets);
    encoder.set_canonical_form(true);
    encoder.set_name_encoding(NameEncoding::UncompressedLowercase);
    value.emit(&mut encoder).unwrap();
    octets
}
