//! Queries, read as a server must.

use super::code::{Opcode, Rcode};
use super::name_buffer::NameBuffer;
use super::reply::HEADER_LENGTH;
use super::tsig::Tsig;
use super::walk::walk_name;
use crate::wire::edns::{Edns, MIN_UDP_SIZE, OPT_LENGTH, ROOM};
use crate::wire::{Rtype, Transport};

/// What a received message is to a server.
///
/// It is large and lives on the stack for one query.
#[derive(Debug)]
pub enum Received<'m> {
    /// A question of class IN that is to be answered.
    Query(Query<'m>),
    /// A question of class CH: about the server (RFC 4892).
    Chaos(Query<'m>),
    /// No question, only a cookie that is to be renewed or checked (RFC 7873, section 5.4).
    Cookie(Envelope<'m>),
    /// A message that is answered with a code and nothing else.
    Refused(Envelope<'m>, Rcode),
    /// A message that gets no reply.
    Dropped(DropReason),
}

/// One question.
#[derive(Debug)]
pub struct Query<'m> {
    /// What the reply repeats.
    pub envelope: Envelope<'m>,
    /// The name asked for, in lower case.
    pub qname: NameBuffer,
    /// The type asked for.
    pub qtype: Rtype,
}

/// What a reply repeats of its query, and what limits it.
#[derive(Debug)]
pub struct Envelope<'m> {
    /// The message's id.
    pub(super) id: u16,
    /// What kind of message it is.
    pub(super) opcode: Opcode,
    /// The flags that come back: RD and CD of a QUERY.
    pub(super) flags: u16,
    /// The question's octets; empty when there is no readable single one.
    pub(super) question: &'m [u8],
    /// What the OPT record says, if there is one.
    pub edns: Option<Edns<'m>>,
    /// The signature with a key that we do not know.
    pub(super) tsig: Option<Tsig<'m>>,
}

/// Why a message gets no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// It has fewer octets than a header.
    TooShort,
    /// It is a response itself: to answer could go on for ever.
    IsResponse,
    /// It breaks the rules of its transport: an option about TCP connections came over QUIC, which
    /// ends the connection (RFC 9250, section 5.5.2).
    ProtocolError,
}

/// The bit that tells responses from queries.
const QR: u16 = 0x8000;
/// Recursion desired, and checking disabled.
///
/// RFC 4035, section 3.1.6, would have an authoritative server clear CD; RFC 8906, section
/// 8.1.3.1, and the kits that test for it expect it back. No resolver minds either.
const RD_CD: u16 = 0x0110;
/// The records a query may have: OPT, TSIG and what we pass over.
///
/// No sender puts more than three there; the bound keeps the cost of reading one that of a
/// query.
const MAX_RECORDS: usize = 16;
/// Class IN.
const IN: u16 = 1;
/// Class CH.
const CH: u16 = 3;

/// Reads a message that came over `transport` as a server must: in full, so that nothing malformed
/// is answered as if it were not.
pub fn receive(message: &[u8], transport: Transport) -> Received<'_> {
    let Some((header, _)) = message.split_first_chunk::<HEADER_LENGTH>() else {
        return Received::Dropped(DropReason::TooShort);
    };
    let word = |index: usize| u16::from_be_bytes([header[index * 2], header[index * 2 + 1]]);
    let flags = word(1);
    if flags & QR != 0 {
        return Received::Dropped(DropReason::IsResponse);
    }
    let opcode = Opcode::new((flags >> 11) as u8);
    let mut envelope = Envelope {
        id: word(0),
        opcode,
        flags: 0,
        question: &[],
        edns: None,
        tsig: None,
    };
    // Of other kinds of message nothing is known, not even that a body follows as in a QUERY:
    // the bare header goes back (RFC 8906, section 3.1.4).
    if opcode != Opcode::QUERY {
        return Received::Refused(envelope, Rcode::NOTIMP);
    }
    envelope.flags = flags & RD_CD;
    let mut body = Body::new(message, transport);
    let counts = [word(2), word(3), word(4), word(5)];
    let well_formed = body.read(counts, &mut envelope).is_some();
    // What `Body::read` has read is in `envelope`; it is not read again.
    let edns = envelope.edns.as_ref();
    if well_formed && edns.is_some_and(|edns| edns.version > 0) {
        return Received::Refused(envelope, Rcode::BADVERS);
    }
    if edns.is_some_and(|edns| edns.options.keepalive) && transport == Transport::Doq {
        return Received::Dropped(DropReason::ProtocolError);
    }
    let is_right = well_formed && edns.is_none_or(|edns| edns.is_well_formed);
    let has_cookie = edns.is_some_and(|edns| edns.options.cookie.is_some());
    if !is_right || (body.question.is_none() && !has_cookie) {
        envelope.tsig = None;
        return Received::Refused(envelope, Rcode::FORMERR);
    }
    if envelope.tsig.is_some() {
        return Received::Refused(envelope, Rcode::NOTAUTH);
    }
    let Some((qtype, qclass)) = body.question else {
        return Received::Cookie(envelope);
    };
    // Written out twice: so the name is copied once, to where it is returned.
    match qclass {
        IN => Received::Query(Query {
            envelope,
            qname: body.qname,
            qtype,
        }),
        CH => Received::Chaos(Query {
            envelope,
            qname: body.qname,
            qtype,
        }),
        // Nobody has data of other classes.
        _ => Received::Refused(envelope, Rcode::REFUSED),
    }
}

/// A message that is read from its header to its end.
struct Body<'m> {
    /// The whole message.
    message: &'m [u8],
    /// Where the next octet to read lies.
    at: usize,
    /// What carried it.
    transport: Transport,
    /// How many records were read.
    records: usize,
    /// The name that was asked for last.
    qname: NameBuffer,
    /// The type and class of the only question, if it could be read.
    question: Option<(Rtype, u16)>,
}

/// A record as it was read.
struct Record<'m> {
    /// Where its owner lies.
    owner: usize,
    /// Its type.
    rtype: Rtype,
    /// Its class.
    class: u16,
    /// Its TTL.
    ttl: u32,
    /// Its data.
    data: &'m [u8],
}

impl<'m> Body<'m> {
    /// Begins behind the header.
    fn new(message: &'m [u8], transport: Transport) -> Self {
        Self {
            message,
            at: HEADER_LENGTH,
            transport,
            records: 0,
            qname: NameBuffer::root(),
            question: None,
        }
    }

    /// Reads everything; `None` if something is malformed.
    ///
    /// What was found before that is left in `envelope`: errors, too, carry an OPT record where
    /// the query had one (RFC 6891, section 7).
    fn read(&mut self, counts: [u16; 4], envelope: &mut Envelope<'m>) -> Option<()> {
        let [questions, answers, authorities, additionals] = counts;
        // None at all may be right for a cookie; the caller knows.
        let mut well_formed = questions <= 1;
        for index in 0..usize::from(questions) {
            // Several questions are malformed (RFC 9619, section 4); read on for the OPT record.
            if index >= MAX_RECORDS {
                return None;
            }
            let start = self.at;
            let question = self.read_question()?;
            if questions == 1 {
                envelope.question = &self.message[start..self.at];
                self.question = Some(question);
            }
        }
        for _ in 0..answers {
            self.read_record()?;
            well_formed = false;
        }
        for _ in 0..authorities {
            // A secondary says in its IXFR query which version it has (RFC 1995, section 3).
            let record = self.read_record()?;
            let qtype = self.question.map(|(qtype, _)| qtype);
            let is_version = qtype == Some(Rtype::IXFR) && record.rtype == Rtype::SOA;
            well_formed &= is_version && authorities == 1;
        }
        for index in 0..additionals {
            let record = self.read_record()?;
            well_formed &= match record.rtype {
                Rtype::OPT => self.take_opt(&record, envelope),
                // It is the last record, and its class is ANY (RFC 8945, section 4.2).
                Rtype::TSIG => {
                    envelope.tsig = self.tsig(&record);
                    let fits = envelope.tsig.as_ref().is_some_and(|tsig| {
                        // A key with so long a name that the answer to it does not fit into
                        // every datagram is nobody's key.
                        let question = envelope.question.len();
                        HEADER_LENGTH + question + OPT_LENGTH + ROOM + tsig.length()
                            <= MIN_UDP_SIZE.into()
                    });
                    index + 1 == additionals && record.class == 255 && fits
                }
                _ => true,
            };
        }
        (well_formed && self.at == self.message.len()).then_some(())
    }

    /// Reads a question; its name must not be compressed: there is nothing to point at.
    fn read_question(&mut self) -> Option<(Rtype, u16)> {
        self.qname.clear();
        let octets = self.message.get(self.at..)?;
        let labels = self.qname.take_labels(octets)?;
        // At the message's end there may be no root label.
        let root = octets.get(labels)?;
        debug_assert_eq!(*root, 0);
        self.at += labels + 1;
        let [a, b, c, d] = *self.message.get(self.at..)?.first_chunk::<4>()?;
        self.at += 4;
        let qtype = Rtype::new(u16::from_be_bytes([a, b]));
        Some((qtype, u16::from_be_bytes([c, d])))
    }

    /// Reads a record.
    fn read_record(&mut self) -> Option<Record<'m>> {
        self.records += 1;
        if self.records > MAX_RECORDS {
            return None;
        }
        let owner = self.at;
        let after = walk_name(self.message, owner, |_| {})?;
        let fixed = self.message.get(after..)?.first_chunk::<10>()?;
        let word = |index: usize| u16::from_be_bytes([fixed[index], fixed[index + 1]]);
        let start = after + fixed.len();
        self.at = start + usize::from(word(8));
        Some(Record {
            owner,
            rtype: Rtype::new(word(0)),
            class: word(2),
            ttl: u32::from(word(4)) << 16 | u32::from(word(6)),
            data: self.message.get(start..self.at)?,
        })
    }

    /// Takes an OPT record; returns whether it is the only one, at the root.
    fn take_opt(&self, record: &Record<'m>, envelope: &mut Envelope<'m>) -> bool {
        let is_first = envelope.edns.is_none();
        if is_first {
            let (class, ttl) = (record.class, record.ttl);
            envelope.edns = Some(Edns::read(class, ttl, record.data, self.transport));
        }
        is_first && self.message.get(record.owner) == Some(&0)
    }

    /// Reads a TSIG record; `None` if it is malformed.
    fn tsig(&self, record: &Record<'m>) -> Option<Tsig<'m>> {
        Tsig::read(self.message, record.owner, record.data)
    }
}

impl<'m> Envelope<'m> {
    /// Returns the octets that a reply may have over `transport`.
    pub(super) fn limit(&self, transport: Transport) -> usize {
        if transport.is_stream() {
            return u16::MAX.into();
        }
        let edns = self.edns.as_ref();
        edns.map_or(MIN_UDP_SIZE, Edns::udp_limit).into()
    }

    /// Returns whether the requestor asks for DNSSEC records.
    pub fn dnssec_ok(&self) -> bool {
        self.edns.as_ref().is_some_and(|edns| edns.dnssec_ok)
    }

    /// Returns what kind of message it is.
    pub fn opcode(&self) -> Opcode {
        self.opcode
    }

    /// Looks for an OPT record in `message`, which is of a kind whose body is not read otherwise.
    ///
    /// For what is said to no such message but over QUIC, where the sender is known to speak EDNS
    /// if it has an OPT record where a query would.
    pub fn look_for_opt(&mut self, message: &'m [u8], transport: Transport) {
        let Some((header, _)) = message.split_first_chunk::<HEADER_LENGTH>() else {
            return;
        };
        let word = |index: usize| u16::from_be_bytes([header[index * 2], header[index * 2 + 1]]);
        let counts = [word(2), word(3), word(4), word(5)];
        let mut body = Body::new(message, transport);
        // Of the rest nothing is repeated, whether it could be read or not.
        let _ = body.read(counts, self);
        self.question = &[];
        self.tsig = None;
    }

    /// Returns how many octets the question has; none if there is no readable single one.
    pub fn question_length(&self) -> usize {
        self.question.len()
    }

    /// Returns the type asked for, if there is a readable question.
    pub fn qtype(&self) -> Option<Rtype> {
        let at = self.question.len().checked_sub(4)?;
        let code = [self.question[at], self.question[at + 1]];
        Some(Rtype::new(u16::from_be_bytes(code)))
    }
}
