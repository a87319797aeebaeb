//! RRsets, signatures and proofs, put into a reply.

use super::places::Places;
use crate::wire::{DoesNotFit, HEADER_LENGTH, MAX_POINTER, NameBuffer, Reply, Rtype, Section, Ttl};
use crate::zone::layout::{Layout, NameId, NodeId, NsecLink, Record, RrsetId};
use crate::zone::{SIGNATURE_LENGTH, ZoneImage};

/// Puts a zone's RRsets into a reply.
pub(super) struct Writer<'b, 'm, 'z> {
    /// The reply.
    reply: Reply<'b, 'm>,
    /// The zone.
    zone: &'z ZoneImage,
    /// Where in the reply the apex stands: it is the end of the question's name.
    apex_at: usize,
    /// Where other names stand in the reply.
    places: Places,
    /// How many labels the apex has.
    apex_labels: u8,
    /// Whether signatures and proofs go along: they are asked for, and there are some.
    with_dnssec: bool,
}

/// Whose name stands in front of a record.
#[derive(Clone, Copy)]
pub(super) enum Owner<'n> {
    /// The name that is being looked for, which stands in the reply already.
    Current(Current<'n>),
    /// A name of the zone.
    Node(NodeId),
}

/// The name that is being looked for: the question's, or the target of an alias.
#[derive(Clone, Copy)]
pub(super) struct Current<'n> {
    /// The name.
    pub(super) name: &'n NameBuffer,
    /// How many of its labels are in front of the apex.
    pub(super) relative: usize,
    /// Where it stands in the reply.
    pub(super) at: usize,
}

/// What signatures say of the RRset that they cover.
struct Covered {
    /// Its type.
    rtype: Rtype,
    /// The labels of its owner in front of the apex, a leading `*` not counted.
    labels: u8,
    /// The TTL that was signed.
    original_ttl: Ttl,
    /// Its place in the signing order.
    item: u32,
}

/// The octets of RRSIG data in front of the signer's name (RFC 4034, section 3.1).
const RRSIG_HEAD: usize = 18;

impl<'b, 'm, 'z> Writer<'b, 'm, 'z> {
    /// Begins behind the question, which asks for `qname`; `None` if that is not in the zone.
    pub(super) fn new(
        reply: Reply<'b, 'm>,
        zone: &'z ZoneImage,
        qname: &NameBuffer,
        dnssec_ok: bool,
    ) -> Option<Self> {
        let relative = qname.labels_before(zone.apex_wire())?;
        let apex_at = HEADER_LENGTH + qname.start(relative);
        let mut places = Places::new();
        places.note(0, apex_at);
        if let Some((name, start)) = zone.meets() {
            let (mut next, mut at) = (Some(name), apex_at + usize::from(start));
            while let Some(name) = next {
                places.note(name, at);
                at += zone.layout().label(name).len();
                next = zone.layout().above(name);
            }
        }
        Some(Self {
            reply,
            zone,
            apex_at,
            places,
            apex_labels: (qname.label_count() - relative) as u8,
            with_dnssec: dnssec_ok && zone.key_count() > 0,
        })
    }

    /// Notes where in the question names of the zone stand: `node`, in which the question's name
    /// ends, and those above it.
    pub(super) fn note_question(&mut self, qname: &NameBuffer, relative: usize, node: NodeId) {
        let layout = self.layout();
        let mut next = Some(node);
        let mut index = relative - usize::from(layout.node(node).depth);
        while let Some(name) = next
            && name != 0
        {
            self.places.note(name, HEADER_LENGTH + qname.start(index));
            next = layout.above(name);
            index += 1;
        }
    }

    /// Returns the reply as far as it was written.
    pub(super) fn into_reply(self) -> Reply<'b, 'm> {
        self.reply
    }

    /// Returns the zone.
    pub(super) fn zone(&self) -> &'z ZoneImage {
        self.zone
    }

    /// Returns what the zone shares with others of its shape.
    pub(super) fn layout(&self) -> &'z Layout {
        self.zone.layout()
    }

    /// Returns whether signatures and proofs go along.
    pub(super) fn with_dnssec(&self) -> bool {
        self.with_dnssec
    }

    /// Returns where in the question, and so in the query, the apex begins.
    pub(super) fn apex_at(&self) -> usize {
        self.apex_at
    }

    /// Returns how many records a section has.
    pub(super) fn count(&self, section: Section) -> u16 {
        self.reply.count(section)
    }

    /// Returns whether the name at `position` in the reply is `name`.
    pub(super) fn is_name_at(&self, position: usize, name: &NameBuffer) -> bool {
        self.reply.is_name_at(position, name)
    }

    /// Writes an RRset, with its signatures if they are asked for; returns where the name stands
    /// that the data of its first record begin with, if they do.
    ///
    /// # Errors
    ///
    /// When it does not fit.
    pub(super) fn rrset(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        id: RrsetId,
    ) -> Result<usize, DoesNotFit> {
        self.rrset_with_ttl(section, owner, id, self.layout().rrset(id).ttl)
    }

    /// Writes the SOA record for a negative answer, with the TTL that such answers have (RFC 2308,
    /// section 3).
    ///
    /// # Errors
    ///
    /// When it does not fit.
    pub(super) fn negative_soa(&mut self) -> Result<(), DoesNotFit> {
        let (soa, ttl) = (self.layout().soa(), self.layout().negative_ttl());
        self.rrset_with_ttl(Section::Authority, Owner::Node(0), soa, ttl)?;
        Ok(())
    }

    /// Writes an RRset if it fits, or nothing.
    ///
    /// # Errors
    ///
    /// When it did not fit.
    pub(super) fn optional_rrset(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        id: RrsetId,
    ) -> Result<(), DoesNotFit> {
        let (checkpoint, known) = (self.reply.checkpoint(), self.places.count());
        let written = self.rrset(section, owner, id);
        if written.is_err() {
            self.reply.take_back(checkpoint);
            self.places.forget(known);
        }
        written.map(|_| ())
    }

    /// Writes the signatures over an RRset, asked for by their type.
    ///
    /// # Errors
    ///
    /// When they do not fit.
    pub(super) fn signatures_over(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        id: RrsetId,
    ) -> Result<(), DoesNotFit> {
        let ttl = self.layout().rrset(id).ttl;
        if let Some(covered) = self.covered(id) {
            self.signatures(section, owner, &mut owner.place(), ttl, &covered);
        }
        self.reply.fits()
    }

    /// Writes an NSEC record, with its signatures if they are asked for.
    ///
    /// # Errors
    ///
    /// When it does not fit.
    pub(super) fn nsec(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        link: &NsecLink,
    ) -> Result<(), DoesNotFit> {
        let layout = self.layout();
        let ttl = layout.negative_ttl();
        let next = layout.owner(link.next);
        let bitmap = layout.octets(link.bitmap);
        let apex = self.zone.apex_wire();
        let mut place = owner.place();
        let length = next.len() + apex.len() + bitmap.len();
        self.begin(owner, &mut place, section, Rtype::NSEC, ttl, length);
        // Never compressed (RFC 4034, section 4.1.1).
        self.reply.push(next);
        self.reply.push(apex);
        self.reply.push(bitmap);
        if self.with_dnssec {
            let node = layout.node(link.node);
            let is_wildcard = layout.owner(link.node).starts_with(b"\x01*");
            let covered = Covered {
                rtype: Rtype::NSEC,
                labels: node.depth - u8::from(is_wildcard),
                original_ttl: ttl,
                item: link.item,
            };
            self.signatures(section, owner, &mut place, ttl, &covered);
        }
        self.reply.fits()
    }

    /// Writes the CNAME record that a DNAME makes (RFC 6672, section 3.1); returns where its
    /// target stands.
    ///
    /// # Errors
    ///
    /// When it does not fit.
    pub(super) fn synthesised_cname(
        &mut self,
        owner: Current<'_>,
        ttl: Ttl,
        target: &NameBuffer,
    ) -> Result<usize, DoesNotFit> {
        let owner = Owner::Current(owner);
        self.owner(owner, &mut owner.place());
        let in_zone = target.labels_before(self.zone.apex_wire());
        let wire = target.as_wire();
        let labels = in_zone.map_or(wire, |relative| &wire[..target.start(relative)]);
        let length = labels.len() + in_zone.map_or(0, |_| 2);
        self.reply
            .record(Section::Answer, Rtype::CNAME, ttl, length);
        let at = self.reply.position();
        self.reply.push(labels);
        if in_zone.is_some() {
            self.apex_pointer();
        }
        self.reply.fits()?;
        Ok(at)
    }

    /// Writes an RRset with a TTL that is not its own.
    fn rrset_with_ttl(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        id: RrsetId,
        ttl: Ttl,
    ) -> Result<usize, DoesNotFit> {
        let layout = self.layout();
        let rrset = layout.rrset(id);
        let mut place = owner.place();
        let mut first = None;
        for record in layout.records(rrset) {
            let length = record.octets.len();
            self.begin(owner, &mut place, section, rrset.rtype, ttl, length);
            let at = self.record(record);
            first.get_or_insert(at);
            // Not only at the end: an RRset of thousands of records need not be written.
            self.reply.fits()?;
        }
        if self.with_dnssec
            && let Some(covered) = self.covered(id)
        {
            self.signatures(section, owner, &mut place, ttl, &covered);
            self.reply.fits()?;
        }
        Ok(first.unwrap_or_else(|| self.reply.position()))
    }

    /// Writes the data of a record that has begun; returns where they begin or, if they begin with
    /// a name, where that stands.
    fn record(&mut self, record: &Record) -> usize {
        let octets = self.zone.octets(record);
        let names = self.layout().rdata_names(record);
        let start = self.reply.position();
        let mut first = start;
        let mut copied = 0;
        for name in names {
            let range = name.range();
            match name.compressed {
                Some(id) => {
                    self.reply.push(&octets[copied..range.start]);
                    let at = self.name(id);
                    if range.start == 0 {
                        first = at;
                    }
                }
                None => {
                    self.reply.push(&octets[copied..range.end]);
                    self.reply.push(self.zone.apex_wire());
                }
            }
            copied = range.end;
        }
        self.reply.push(&octets[copied..]);
        if !names.is_empty() {
            self.reply.end_record(start);
        }
        first
    }

    /// Returns what signatures say of an RRset; `None` if it is not signed.
    fn covered(&self, id: RrsetId) -> Option<Covered> {
        let rrset = self.layout().rrset(id);
        Some(Covered {
            rtype: rrset.rtype,
            labels: rrset.labels,
            original_ttl: rrset.ttl,
            item: rrset.item?,
        })
    }

    /// Writes the RRSIG records of an RRset (RFC 4034, section 3.1).
    fn signatures(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        place: &mut Option<usize>,
        ttl: Ttl,
        covered: &Covered,
    ) {
        let validity = self.zone.validity(covered.item);
        let apex = self.zone.apex_wire();
        let length = RRSIG_HEAD + apex.len() + SIGNATURE_LENGTH;
        let [type_high, type_low] = covered.rtype.code().to_be_bytes();
        let original_ttl = covered.original_ttl.as_secs().to_be_bytes();
        let labels = covered.labels + self.apex_labels;
        for index in 0..self.zone.key_count() {
            self.begin(owner, place, section, Rtype::RRSIG, ttl, length);
            let (algorithm, tag) = self.zone.key(index);
            let mut head = [0; RRSIG_HEAD];
            head[..4].copy_from_slice(&[type_high, type_low, algorithm, labels]);
            head[4..8].copy_from_slice(&original_ttl);
            head[8..16].copy_from_slice(&validity);
            head[16..].copy_from_slice(&tag);
            self.reply.push(&head);
            // Never compressed (RFC 4034, section 3.1.7).
            self.reply.push(apex);
            self.reply.push(self.zone.signature(covered.item, index));
        }
    }

    /// Begins a record: writes its owner and all that is in front of its data, of which there will
    /// be `length` octets.
    fn begin(
        &mut self,
        owner: Owner<'_>,
        place: &mut Option<usize>,
        section: Section,
        rtype: Rtype,
        ttl: Ttl,
        length: usize,
    ) {
        if let Some(at) = *place
            && at <= MAX_POINTER
        {
            self.reply.record_of(at, section, rtype, ttl, length);
        } else {
            self.owner(owner, place);
            self.reply.record(section, rtype, ttl, length);
        }
    }

    /// Writes an owner name: as a pointer to `place` if it stands there already, else in full;
    /// then `place` is where.
    fn owner(&mut self, owner: Owner<'_>, place: &mut Option<usize>) {
        if let Some(at) = *place
            && self.reply.push_pointer(at)
        {
            return;
        }
        *place = Some(match owner {
            Owner::Current(Current { name, relative, .. }) => {
                let at = self.reply.position();
                self.reply.push(&name.as_wire()[..name.start(relative)]);
                self.apex_pointer();
                at
            }
            Owner::Node(node) => self.name(node),
        });
    }

    /// Writes a name, with a pointer to the longest end of it that stands in the reply; returns
    /// where the name stands.
    fn name(&mut self, name: NameId) -> usize {
        let layout = self.layout();
        let begin = self.reply.position();
        let known = self.places.count();
        let mut next = Some(name);
        while let Some(id) = next {
            if let Some(place) = self.places.find(id)
                && self.reply.push_pointer(place.at())
            {
                self.places.settle(known, place.hops + 1);
                return if id == name { place.at() } else { begin };
            }
            self.places.note(id, self.reply.position());
            self.reply.push(layout.label(id));
            next = layout.above(id);
        }
        self.reply.push(&[0]);
        begin
    }

    /// Writes a pointer to the apex in the question.
    fn apex_pointer(&mut self) {
        let reaches = self.reply.push_pointer(self.apex_at);
        debug_assert!(reaches, "the question ends within 300 octets");
    }
}

impl Owner<'_> {
    /// Returns where the name stands in the reply before anything is written.
    fn place(self) -> Option<usize> {
        match self {
            Self::Current(current) => Some(current.at),
            Self::Node(_) => None,
        }
    }
}
