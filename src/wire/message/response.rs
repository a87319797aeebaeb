//! Responses of other servers, read as somebody who asked must.

use super::ask::Ask;
use super::code::{Opcode, Rcode};
use super::reply::{HEADER_LENGTH, Section};
use super::walk::{is_name_at, walk_name};
use crate::wire::{Name, Rdata, Rtype, Ttl};

/// What another server answered; nothing of it is to be believed because it is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// How it came out, the bits in the OPT record included.
    pub rcode: Rcode,
    /// Whether the server says that the data is its own (AA).
    pub authoritative: bool,
    /// Whether the rest must be asked for by TCP (TC).
    pub truncated: bool,
    /// Whether a resolver says that it has validated all (AD).
    pub authentic: bool,
    /// The records of the three sections, OPT not among them.
    sections: [Vec<Record>; 3],
}

/// A record of class IN in a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The owner.
    pub owner: Name,
    /// The type.
    pub rtype: Rtype,
    /// The TTL.
    pub ttl: Ttl,
    /// The data, its names in full, and in lower case where DNSSEC compares them so (those of NSEC
    /// and RRSIG stay as they came: RFC 6840, section 5.1).
    pub data: Rdata,
}

/// Why octets are not the response to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// They answer another question, or none: over UDP perhaps somebody guesses, so one waits on.
    #[error("expected the response to the question, found another message")]
    NotOurs,
    /// They answer the question and cannot be read.
    #[error("expected a well-formed response, found one that is cut off or garbled")]
    Malformed,
    /// They answer the question with more records than any zone we ask for has.
    #[error("expected at most {MAX_RECORDS} records, found {found}")]
    TooManyRecords {
        /// How many there are.
        found: usize,
    },
}

/// The records that a response may have.
///
/// A root referral has about 30, a TLD's NS with glue and signatures no more; the bound keeps the
/// cost of reading what an enemy sends that of a few hundred names.
const MAX_RECORDS: usize = 512;
/// The bit that tells responses from queries.
const QR: u16 = 0x8000;
/// Authoritative answer.
const AA: u16 = 0x0400;
/// Truncated.
const TC: u16 = 0x0200;
/// Authentic data.
const AD: u16 = 0x0020;
/// Class IN.
const IN: u16 = 1;

impl Response {
    /// Reads the response to `ask`, which was sent with `id`.
    ///
    /// The cost is bounded whatever the octets are.
    ///
    /// # Errors
    ///
    /// Tells octets that answer something else from those that answer badly.
    pub fn read(ask: &Ask, id: u16, message: &[u8]) -> Result<Self, ResponseError> {
        let (header, _) = message
            .split_first_chunk::<HEADER_LENGTH>()
            .ok_or(ResponseError::NotOurs)?;
        let word = |index: usize| u16::from_be_bytes([header[index * 2], header[index * 2 + 1]]);
        let flags = word(1);
        let opcode = Opcode::new((flags >> 11) as u8);
        if word(0) != id || flags & QR == 0 || opcode != Opcode::QUERY {
            return Err(ResponseError::NotOurs);
        }
        let rcode = Rcode::new(flags & 0xf);
        let counts = [word(3), word(4), word(5)].map(usize::from);
        let mut response = Self {
            rcode,
            authoritative: flags & AA != 0,
            truncated: flags & TC != 0,
            authentic: flags & AD != 0,
            sections: Default::default(),
        };
        let at = match word(2) {
            1 => question_end(ask, message)?,
            // Servers that cannot read a query send the bare header back (RFC 8906, section 3.1.4).
            0 if rcode != Rcode::NOERROR => HEADER_LENGTH,
            _ => return Err(ResponseError::NotOurs),
        };
        let found = counts.iter().sum();
        if found > MAX_RECORDS {
            return Err(ResponseError::TooManyRecords { found });
        }
        match response.read_sections(message, at, counts) {
            Some(()) => Ok(response),
            // A truncated message may end anywhere; its records say nothing in any case.
            None if response.truncated => {
                response.sections = Default::default();
                Ok(response)
            }
            None => Err(ResponseError::Malformed),
        }
    }

    /// Returns the records of a section.
    pub fn section(&self, section: Section) -> &[Record] {
        &self.sections[section as usize]
    }

    /// Returns the records of a type at an owner in a section.
    pub fn records<'r>(
        &'r self,
        section: Section,
        owner: &'r Name,
        rtype: Rtype,
    ) -> impl Iterator<Item = &'r Record> {
        self.section(section)
            .iter()
            .filter(move |record| record.rtype == rtype && record.owner == *owner)
    }

    /// Reads all records; `None` when they are cut off or garbled.
    fn read_sections(&mut self, message: &[u8], at: usize, counts: [usize; 3]) -> Option<()> {
        let mut at = at;
        for (section, count) in counts.into_iter().enumerate() {
            for _ in 0..count {
                let (record, after) = RawRecord::read(message, at)?;
                at = after;
                if record.rtype == Rtype::OPT {
                    // The upper eight bits of the code (RFC 6891, section 6.1.3).
                    let upper = (record.ttl >> 24) as u16;
                    self.rcode = Rcode::new((upper << 4) | (self.rcode.code() & 0xf));
                } else if record.class == IN {
                    self.sections[section].push(record.parse(message)?);
                }
            }
        }
        (at == message.len()).then_some(())
    }
}

/// Checks that a message repeats the question and returns where that ends.
fn question_end(ask: &Ask, message: &[u8]) -> Result<usize, ResponseError> {
    let after = walk_name(message, HEADER_LENGTH, |_| {}).ok_or(ResponseError::NotOurs)?;
    let rest = message
        .get(after..after + 4)
        .ok_or(ResponseError::NotOurs)?;
    let [type_high, type_low] = ask.qtype.code().to_be_bytes();
    let same = rest == [type_high, type_low, 0, 1]
        && is_name_at(message, HEADER_LENGTH, ask.qname.as_wire());
    same.then_some(after + 4).ok_or(ResponseError::NotOurs)
}

/// A record as it lies in a message.
struct RawRecord {
    /// Where the owner begins.
    owner: usize,
    /// The type.
    rtype: Rtype,
    /// The class.
    class: u16,
    /// The TTL, as it stands there.
    ttl: u32,
    /// Where the data begins.
    start: usize,
    /// Where the data ends.
    end: usize,
}

impl RawRecord {
    /// Reads the fixed fields of the record at `at`; returns it with what follows it.
    fn read(message: &[u8], at: usize) -> Option<(Self, usize)> {
        let after = walk_name(message, at, |_| {})?;
        let fixed = message.get(after..)?.first_chunk::<10>()?;
        let [t0, t1, c0, c1, l0, l1, l2, l3, n0, n1] = *fixed;
        let start = after + 10;
        let end = start + usize::from(u16::from_be_bytes([n0, n1]));
        if end > message.len() {
            return None;
        }
        let record = Self {
            owner: at,
            rtype: Rtype::new(u16::from_be_bytes([t0, t1])),
            class: u16::from_be_bytes([c0, c1]),
            ttl: u32::from_be_bytes([l0, l1, l2, l3]),
            start,
            end,
        };
        Some((record, end))
    }

    /// Takes owner and data out of the message.
    fn parse(&self, message: &[u8]) -> Option<Record> {
        let mut owner = Vec::new();
        push_name(message, self.owner, &mut owner)?;
        // With the highest bit set it means zero (RFC 2181, section 8).
        let ttl = i32::try_from(self.ttl).map_or(0, |_| self.ttl);
        Some(Record {
            owner: Name::from_wire(&owner).ok()?,
            rtype: self.rtype,
            ttl: Ttl::from_secs(ttl),
            data: Rdata::from_wire(self.rtype, &self.plain_data(message)?).ok()?,
        })
    }

    /// Returns the data with its names in full.
    ///
    /// Only the types of RFC 1035 may have compressed names (RFC 3597, section 4).
    fn plain_data(&self, message: &[u8]) -> Option<Vec<u8>> {
        let data = &message[self.start..self.end];
        if !self.rtype.compresses_names() {
            return Some(data.to_vec());
        }
        let (front, names) = match self.rtype {
            Rtype::MX => (2, 1),
            Rtype::SOA | Rtype::MINFO => (0, 2),
            _ => (0, 1),
        };
        let mut plain = data.get(..front)?.to_vec();
        let mut at = self.start + front;
        for _ in 0..names {
            at = push_name(message, at, &mut plain)?;
        }
        plain.extend_from_slice(message.get(at..self.end)?);
        Some(plain)
    }
}

/// Appends the name at `at` in full; returns where the octets behind it begin.
fn push_name(message: &[u8], at: usize, octets: &mut Vec<u8>) -> Option<usize> {
    let after = walk_name(message, at, |label| {
        octets.push(label.len() as u8);
        octets.extend_from_slice(label);
    })?;
    octets.push(0);
    Some(after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::ask::Asked;
    use super::*;
    use crate::wire::Serial;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn ask(qtype: Rtype) -> Ask {
        Ask {
            qname: name("burner.example"),
            qtype,
            of: Asked::Authority,
        }
    }

    /// Composes a response of octets: header words behind the id, question, and the rest.
    fn message(id: u16, flags: u16, qtype: Rtype, counts: [u16; 3], rest: &[u8]) -> Vec<u8> {
        let mut octets = Vec::new();
        for word in [id, flags, 1, counts[0], counts[1], counts[2]] {
            octets.extend_from_slice(&word.to_be_bytes());
        }
        octets.extend_from_slice(b"\x06BurNer\x07example\x00");
        octets.extend_from_slice(&qtype.code().to_be_bytes());
        octets.extend_from_slice(&[0, 1]);
        octets.extend_from_slice(rest);
        octets
    }

    /// An answer with an MX whose names are pointers into the question.
    const MX: &[u8] = b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x0e\x10\x00\x08\x00\x0a\x03mx1\xc0\x13";

    #[test]
    fn compressed_names_come_in_full_and_in_lower_case() {
        let octets = message(7, 0x8420, Rtype::MX, [1, 0, 0], MX);

        let response = Response::read(&ask(Rtype::MX), 7, &octets).unwrap();

        let record = &response.section(Section::Answer)[0];
        assert!(response.authoritative && response.authentic && !response.truncated);
        assert_eq!(record.owner, name("burner.example"));
        assert_eq!(record.ttl, Ttl::from_secs(3600));
        assert_eq!(record.data, Rdata::mx(10, &name("mx1.example")));
    }

    #[test]
    fn soa_numbers_and_extended_codes_are_read() {
        let soa = b"\xc0\x0c\x00\x06\x00\x01\x80\x00\x00\x00\x00\x1a\x02ns\xc0\x0c\xc0\x0c\
                    \x00\x00\x00\x09\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03";
        let mut rest = soa.to_vec();
        // The SOA's last number, then an OPT with extended code 1.
        rest.extend_from_slice(b"\x00\x00\x00\x3c");
        rest[11] = (rest.len() - 12) as u8;
        rest.extend_from_slice(b"\x00\x00\x29\x04\xd0\x01\x00\x00\x00\x00\x00");
        let octets = message(7, 0x8000, Rtype::SOA, [0, 1, 1], &rest);

        let response = Response::read(&ask(Rtype::SOA), 7, &octets).unwrap();

        let record = &response.section(Section::Authority)[0];
        let numbers = record.data.soa_numbers().unwrap();
        assert_eq!(numbers.serial, Serial::new(9));
        assert_eq!(numbers.minimum, Ttl::from_secs(60));
        // A TTL with the highest bit set means zero (RFC 2181, section 8).
        assert_eq!(record.ttl, Ttl::from_secs(0));
        assert_eq!(response.rcode, Rcode::BADVERS);
        assert_eq!(response.section(Section::Additional), []);
    }

    #[test]
    fn what_answers_something_else_is_not_ours() {
        let good = message(7, 0x8000, Rtype::MX, [1, 0, 0], MX);
        let read = |octets: &[u8]| Response::read(&ask(Rtype::MX), 7, octets);

        assert!(read(&good).is_ok());
        for (octets, what) in [
            (message(8, 0x8000, Rtype::MX, [1, 0, 0], MX), "another id"),
            (message(7, 0, Rtype::MX, [1, 0, 0], MX), "a query"),
            (message(7, 0xa000, Rtype::MX, [1, 0, 0], MX), "a notify"),
            (message(7, 0x8000, Rtype::A, [1, 0, 0], MX), "another type"),
            (good[..11].to_vec(), "less than a header"),
            (good[..20].to_vec(), "a cut off question"),
        ] {
            assert_eq!(read(&octets), Err(ResponseError::NotOurs), "{what}");
        }
        let other = Ask {
            qname: name("other.example"),
            ..ask(Rtype::MX)
        };
        assert_eq!(
            Response::read(&other, 7, &good),
            Err(ResponseError::NotOurs)
        );
    }

    #[test]
    fn what_is_cut_off_is_malformed_unless_it_says_so() {
        let cut = &MX[..MX.len() - 1];
        let read = |flags| {
            let octets = message(7, flags, Rtype::MX, [1, 0, 0], cut);
            Response::read(&ask(Rtype::MX), 7, &octets)
        };

        assert_eq!(read(0x8000), Err(ResponseError::Malformed));
        let truncated = read(0x8200).unwrap();
        assert!(truncated.truncated);
        assert_eq!(truncated.section(Section::Answer), []);
    }

    #[test]
    fn a_flood_of_records_is_refused_unread() {
        let octets = message(7, 0x8000, Rtype::MX, [u16::MAX, 1, 0], MX);

        assert_eq!(
            Response::read(&ask(Rtype::MX), 7, &octets),
            Err(ResponseError::TooManyRecords { found: 65_536 })
        );
    }

    #[test]
    fn a_name_that_ends_behind_its_data_is_malformed() {
        // The data is one octet shorter than its name.
        let rest = b"\xc0\x0c\x00\x02\x00\x01\x00\x00\x00\x01\x00\x01\x02ab";

        let octets = message(7, 0x8000, Rtype::NS, [1, 0, 0], rest);

        assert_eq!(
            Response::read(&ask(Rtype::NS), 7, &octets),
            Err(ResponseError::Malformed)
        );
    }

    #[test]
    fn a_bare_header_tells_its_code() {
        let octets = [0, 7, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0];

        let response = Response::read(&ask(Rtype::MX), 7, &octets).unwrap();

        assert_eq!(response.rcode, Rcode::FORMERR);
    }

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Response::read(&ask(Rtype::MX), 7, &octets);
        }

        #[test]
        fn arbitrary_records_never_panic(
            counts in any::<[u16; 3]>(),
            qtype in any::<u16>(),
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let qtype = Rtype::new(qtype);
            let octets = message(7, 0x8000, qtype, counts.map(|count| count % 8), &rest);
            let _ = Response::read(&ask(qtype), 7, &octets);
        }

        #[test]
        fn every_changed_octet_is_read_or_refused(at in 0_usize..60, octet in any::<u8>()) {
            let mut octets = message(7, 0x8000, Rtype::MX, [1, 0, 0], MX);
            let at = at % octets.len();
            octets[at] = octet;
            let _ = Response::read(&ask(Rtype::MX), 7, &octets);
        }
    }
}
