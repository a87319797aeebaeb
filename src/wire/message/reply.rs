//! Replies in the making.

use super::code::Rcode;
use super::name_buffer::NameBuffer;
use super::query::Envelope;
use super::walk::is_name_at;
use crate::wire::edns::{OPT_LENGTH, OPTION_HEAD};
use crate::wire::{ReplyOptions, Rtype, Transport, Ttl};

/// The octets of a header (RFC 1035, section 4.1.1).
pub const HEADER_LENGTH: usize = 12;
/// The largest place that a compression pointer can name (RFC 1035, section 4.1.4).
pub const MAX_POINTER: usize = 0x3fff;

/// A reply that is being written into a buffer which outlives it.
///
/// Sections are written in their order; a record is begun by its owner name (`push`,
/// `push_pointer`) and goes on with [`Reply::record`]. Nothing is checked against the limit before
/// [`Reply::fits`] is asked, so that the caller decides what is taken back.
#[derive(Debug)]
pub struct Reply<'b, 'm> {
    /// The buffer.
    octets: &'b mut Vec<u8>,
    /// What is repeated of the query.
    envelope: &'b Envelope<'m>,
    /// What the OPT record says.
    options: ReplyOptions<'b>,
    /// The octets there may be in front of the OPT and TSIG records.
    limit: usize,
    /// The octets that these records take, padding not counted.
    reserved: usize,
    /// The records of each section.
    counts: [u16; 3],
}

/// A section of a message behind the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What was asked for.
    Answer,
    /// The zone's word on it: SOA, NSEC, or a referral's NS.
    Authority,
    /// What saves the requestor a question.
    Additional,
}

/// A place in a reply to which it can be taken back.
#[derive(Clone, Copy, Debug)]
pub struct Checkpoint {
    /// How many octets there were.
    length: usize,
    /// How many records there were.
    counts: [u16; 3],
}

/// A record that has to be in the reply does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoesNotFit;

/// How a reply ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// With what was written.
    Complete,
    /// With nothing behind the question, and the TC bit.
    Truncated,
}

impl<'b, 'm> Reply<'b, 'm> {
    /// Begins the reply to a query: header and question.
    ///
    /// The room that the OPT record takes, with its options, and a TSIG record is kept free.
    pub fn begin(
        octets: &'b mut Vec<u8>,
        envelope: &'b Envelope<'m>,
        transport: Transport,
        mut options: ReplyOptions<'b>,
    ) -> Self {
        octets.clear();
        octets.extend_from_slice(&[0; HEADER_LENGTH]);
        octets.extend_from_slice(envelope.question);
        let limit = envelope.limit(transport);
        let mut reserved = match envelope.edns {
            Some(_) => OPT_LENGTH + options.length(),
            None => 0,
        };
        if let Some(tsig) = &envelope.tsig {
            reserved += tsig.length();
            // All else has its room in every datagram; a name that can be had otherwise goes first.
            if octets.len() + reserved > limit
                && let Some(nsid) = options.nsid.take()
            {
                reserved -= OPTION_HEAD + nsid.len();
            }
        }
        Self {
            octets,
            envelope,
            options,
            limit: limit.saturating_sub(reserved),
            reserved,
            counts: [0; 3],
        }
    }

    /// Returns where the next octet will lie.
    pub fn position(&self) -> usize {
        self.octets.len()
    }

    /// Appends octets of an owner name or of data.
    pub fn push(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// Appends a pointer to the name at `position`; returns whether a pointer reaches it.
    #[must_use]
    pub fn push_pointer(&mut self, position: usize) -> bool {
        let reaches = position <= MAX_POINTER;
        if reaches {
            self.push(&pointer(position));
        }
        reaches
    }

    /// Continues a record behind its owner, up to its data, of which there will be `length`
    /// octets, unless [`Reply::end_record`] says something else.
    pub fn record(&mut self, section: Section, rtype: Rtype, ttl: Ttl, length: usize) {
        self.push(&fixed_fields(rtype, ttl, length));
        self.count_record(section);
    }

    /// Writes a record up to its data, of which there will be `length` octets; its owner stands at
    /// `owner`, where a pointer can reach it (at most [`MAX_POINTER`]).
    pub fn record_of(
        &mut self,
        owner: usize,
        section: Section,
        rtype: Rtype,
        ttl: Ttl,
        length: usize,
    ) {
        let mut head = [0; 12];
        head[..2].copy_from_slice(&pointer(owner));
        head[2..].copy_from_slice(&fixed_fields(rtype, ttl, length));
        self.push(&head);
        self.count_record(section);
    }

    /// Counts a record.
    fn count_record(&mut self, section: Section) {
        let count = &mut self.counts[section as usize];
        *count = count.saturating_add(1);
    }

    /// Fills in the length of a record whose data begin at `start` and end here.
    ///
    /// For data with compressed names, whose length is known when they are written.
    pub fn end_record(&mut self, start: usize) {
        let length = (self.octets.len() - start) as u16;
        if let Some(field) = start
            .checked_sub(2)
            .and_then(|at| self.octets.get_mut(at..start))
        {
            field.copy_from_slice(&length.to_be_bytes());
        }
    }

    /// Writes a TXT record of class CH under the name of the question (RFC 4892, section 2): one
    /// string of at most 255 octets, never to be cached.
    pub fn chaos_text(&mut self, text: &[u8]) {
        let text = &text[..text.len().min(255)];
        let length = text.len() as u8;
        let [type_high, type_low] = Rtype::TXT.code().to_be_bytes();
        // A pointer to the question, type, class CH, TTL 0, and the length of all data.
        self.push(&[0xc0, HEADER_LENGTH as u8, type_high, type_low, 0, 3]);
        self.push(&[0; 4]);
        self.push(&(u16::from(length) + 1).to_be_bytes());
        self.push(&[length]);
        self.push(text);
        self.counts[Section::Answer as usize] += 1;
    }

    /// Returns whether what was written is within the limit.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn fits(&self) -> Result<(), DoesNotFit> {
        if self.octets.len() > self.limit {
            return Err(DoesNotFit);
        }
        Ok(())
    }

    /// Returns the place to which [`Reply::take_back`] leads.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            length: self.octets.len(),
            counts: self.counts,
        }
    }

    /// Drops what was written since `checkpoint`.
    pub fn take_back(&mut self, checkpoint: Checkpoint) {
        self.octets.truncate(checkpoint.length);
        self.counts = checkpoint.counts;
    }

    /// Returns whether the name at `position` is `name`.
    pub fn is_name_at(&self, position: usize, name: &NameBuffer) -> bool {
        is_name_at(self.octets, position, name.as_wire())
    }

    /// Returns how many records a section has.
    pub fn count(&self, section: Section) -> u16 {
        self.counts[section as usize]
    }

    /// Completes the reply with what was written.
    pub fn finish(self, rcode: Rcode, authoritative: Authoritative) {
        self.end(rcode, authoritative, Ending::Complete);
    }

    /// Completes the reply with question, OPT record and TC bit: the requestor comes back over
    /// TCP, and part of an RRset would be worth nothing to it (RFC 2181, section 9).
    pub fn finish_truncated(mut self, rcode: Rcode, authoritative: Authoritative) {
        self.octets
            .truncate(HEADER_LENGTH + self.envelope.question.len());
        self.counts = [0; 3];
        self.end(rcode, authoritative, Ending::Truncated);
    }

    /// Appends OPT and TSIG and fills in the header.
    fn end(mut self, rcode: Rcode, authoritative: Authoritative, ending: Ending) {
        let tsig = self.envelope.tsig.as_ref();
        if let Some(edns) = &self.envelope.edns {
            let behind = tsig.map_or(0, |tsig| tsig.length());
            let limit = self.limit + self.reserved;
            self.options.write(self.octets, edns, rcode, behind, limit);
            self.counts[Section::Additional as usize] += 1;
        }
        if let Some(tsig) = tsig {
            tsig.write(self.octets);
            self.counts[Section::Additional as usize] += 1;
        }
        let aa = match authoritative {
            Authoritative::Yes => 0x0400,
            Authoritative::No => 0,
        };
        let tc = match ending {
            Ending::Truncated => 0x0200,
            Ending::Complete => 0,
        };
        let opcode = u16::from(self.envelope.opcode.number()) << 11;
        let flags = 0x8000 | opcode | aa | tc | self.envelope.flags | (rcode.code() & 0xf);
        let questions = u16::from(!self.envelope.question.is_empty());
        let [answers, authorities, additionals] = self.counts;
        let words = [
            self.envelope.id,
            flags,
            questions,
            answers,
            authorities,
            additionals,
        ];
        for (octets, word) in self.octets.chunks_exact_mut(2).zip(words) {
            octets.copy_from_slice(&word.to_be_bytes());
        }
    }
}

/// Returns a pointer to the name at a place up to [`MAX_POINTER`].
fn pointer(position: usize) -> [u8; 2] {
    (0xc000 | position as u16).to_be_bytes()
}

/// Returns what stands between owner and data of a record of class IN.
fn fixed_fields(rtype: Rtype, ttl: Ttl, length: usize) -> [u8; 10] {
    let [type_high, type_low] = rtype.code().to_be_bytes();
    let [a, b, c, d] = ttl.as_secs().to_be_bytes();
    // Data of more octets than this cannot be written down: `Rdata` refuses it. A message with it
    // would be over any limit and so would be taken back.
    let [length_high, length_low] = (length as u16).to_be_bytes();
    let [class_high, class_low] = [0, 1];
    [
        type_high,
        type_low,
        class_high,
        class_low,
        a,
        b,
        c,
        d,
        length_high,
        length_low,
    ]
}

/// Whether a reply has the AA bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authoritative {
    /// It speaks of a zone of ours: data, or that there is none.
    Yes,
    /// A referral or an error.
    No,
}
