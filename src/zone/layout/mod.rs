//! What zone images of one shape share.
//!
//! Zones of one template whose own RRsets have the same owners, types and lengths differ in their
//! apex and in octets at known places only. Everything else is a [`Layout`]: which names exist and
//! how to come down to them, where the data of each RRset lies, which NSEC record proves what. It
//! is compiled once ([`compile`]) and held by the images that use it; [`Layouts`] finds it again.
//!
//! Inside, nodes are numbers in canonical order, and places are [`Span`]s.

mod compile;
mod denial;
mod names;
mod shape;

use std::ops::Range;

pub(super) use denial::{Denial, NsecChain, NsecLink};
pub(super) use names::NameId;
pub use shape::Layouts;

use crate::wire::{RelativeName, Rtype, SegmentEnd, Ttl};
use crate::zone::{Role, ZoneError};
use names::Names;

/// A name of the zone: its place in canonical order, 0 for the apex.
pub(super) type NodeId = u32;
/// An RRset of the zone.
pub(super) type RrsetId = u32;

/// The octets that a name can have (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 255;

/// A range of octets or entries; half as large as `Range<usize>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The first one.
    start: u32,
    /// The one behind the last.
    end: u32,
}

impl Span {
    /// Returns the span from `start` to `end`.
    fn new(start: usize, end: usize) -> Self {
        Self {
            start: start as u32,
            end: end as u32,
        }
    }

    /// Returns the range that slices are indexed with.
    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Returns how many there are.
    pub(super) fn len(self) -> usize {
        (self.end - self.start) as usize
    }
}

/// What zones of one shape share.
#[derive(Debug)]
pub(super) struct Layout {
    /// Owner names' labels, the template's data and type bitmaps, one behind the other.
    octets: Vec<u8>,
    /// The names that replies write, the zone's first.
    names: Names,
    /// The names in the records' data that are not merely copied.
    rdata_names: Vec<RdataName>,
    /// The names, in canonical order.
    nodes: Vec<Node>,
    /// The names below each name, by one label, in canonical order.
    children: Vec<Child>,
    /// The RRsets, by node, then by type.
    rrsets: Vec<RrsetPlace>,
    /// The records of all RRsets.
    records: Vec<Record>,
    /// What goes along with RRsets that name hosts.
    additional: Vec<Additional>,
    /// How absence is proved.
    denial: Denial,
    /// The TTL of negative answers and of NSEC records.
    negative_ttl: Ttl,
    /// The SOA record's RRset.
    soa: RrsetId,
    /// The octets of the zone's own data in its image.
    own_length: usize,
    /// How many RRsets are signed.
    items: usize,
    /// The name with the most octets in front of the apex.
    longest: NodeId,
}

/// A name below another one by one label.
#[derive(Debug)]
struct Child {
    /// Its first label's first octets.
    begin: LabelBegin,
    /// The name.
    node: NodeId,
}

/// The first octets of a label, with zeros behind a shorter one, as a number: by it most names
/// are told apart without a look at their labels.
///
/// Of two labels the one with the smaller number comes first in canonical order (RFC 4034, section
/// 6.1); with one number the labels decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LabelBegin(u64);

impl LabelBegin {
    /// Returns that of a label without its length octet.
    fn of(label: &[u8]) -> Self {
        let octets = label.first_chunk().copied().unwrap_or_else(|| {
            let mut octets = [0; 8];
            octets[..label.len()].copy_from_slice(label);
            octets
        });
        Self(u64::from_be_bytes(octets))
    }
}

/// A name of the zone.
#[derive(Debug)]
pub(super) struct Node {
    /// The owner's labels in front of the apex, in wire form.
    owner: Span,
    /// How many labels these are.
    pub(super) depth: u8,
    /// What the name is to the zone.
    pub(super) role: Role,
    /// The RRsets that stand here.
    rrsets: Span,
    /// The names below by one label, among `Layout::children`.
    children: Span,
    /// The wildcard below by one label.
    pub(super) wildcard: Option<NodeId>,
    /// Whether the names below are elsewhere: a DNAME stands here.
    pub(super) has_dname: bool,
    /// The RRset with the least octets: what ANY is answered with.
    pub(super) smallest: Option<RrsetId>,
}

/// Where the data of an RRset lies.
#[derive(Debug)]
pub(super) struct RrsetPlace {
    /// The type.
    pub(super) rtype: Rtype,
    /// The TTL.
    pub(super) ttl: Ttl,
    /// The number of labels of the owner in front of the apex, a leading `*` not counted.
    pub(super) labels: u8,
    /// Its place in the signing order, if it is signed.
    pub(super) item: Option<u32>,
    /// The records.
    records: Span,
    /// What goes along with it.
    additional: Span,
}

/// Where the data of a record lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Whose octets they are.
    pub(super) holder: Holder,
    /// The octets, without the apex.
    pub(super) octets: Span,
    /// The names that are not merely copied, among `Layout::rdata_names`.
    names: Span,
}

/// A name in the data of a record: a part of the octets, perhaps with the apex behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RdataName {
    /// Where its labels begin, counted from the first octet of the record.
    start: u16,
    /// Where they end.
    end: u16,
    /// Whether the apex follows, or the root label was the last.
    ends: SegmentEnd,
    /// Which name it is, if it is compressed; else the labels are copied like other octets, and
    /// the apex follows in full.
    pub(super) compressed: Option<NameId>,
}

impl RdataName {
    /// Returns where its labels lie, counted from the first octet of the record.
    pub(super) fn range(&self) -> Range<usize> {
        self.start.into()..self.end.into()
    }

    /// Returns whether it is at or below the apex.
    pub(super) fn is_in_zone(&self) -> bool {
        self.ends == SegmentEnd::Apex
    }
}

/// Who keeps the octets of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// The layout: they are the template's.
    Layout,
    /// The image: they are the zone's own.
    Image,
}

/// An RRset of addresses that goes along with one that names their host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Additional {
    /// The host.
    pub(super) host: NodeId,
    /// The addresses.
    pub(super) rrset: RrsetId,
    /// Whether a reply can do without.
    pub(super) need: Need,
}

/// Whether a reply can do without an additional RRset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Glue of a name server below its own delegation: without it nobody gets there (RFC 9471,
    /// section 3.1).
    Required,
    /// It saves a question.
    Optional,
}

/// Where the way from the apex down to a name ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Descent {
    /// At the name itself.
    Exact(NodeId),
    /// At a delegation at or above it.
    Delegation(NodeId),
    /// At a DNAME above it.
    Dname(NodeId),
    /// At the last name that exists.
    Missing {
        /// The closest encloser (RFC 4592, section 3.3.1).
        encloser: NodeId,
        /// The last name below the encloser, by one label, in front of the missing one.
        previous: Option<NodeId>,
    },
}

impl Descent {
    /// Returns the last name of the zone on the way: the one that is looked for, or one above it.
    pub(super) fn last(self) -> NodeId {
        match self {
            Self::Exact(node) | Self::Delegation(node) | Self::Dname(node) => node,
            Self::Missing { encloser, .. } => encloser,
        }
    }
}

impl Layout {
    /// Follows labels from the apex downwards.
    pub(super) fn descend<'n>(&self, labels: impl Iterator<Item = &'n [u8]>) -> Descent {
        let mut id = 0;
        for label in labels {
            let node = self.node(id);
            if node.role == Role::Delegation {
                return Descent::Delegation(id);
            }
            if node.has_dname {
                return Descent::Dname(id);
            }
            let children = self.children(id);
            match self.child(id, label) {
                Ok(child) => id = child,
                Err(at) => {
                    let previous = at.checked_sub(1).map(|at| children[at].node);
                    return Descent::Missing {
                        encloser: id,
                        previous,
                    };
                }
            }
        }
        match self.node(id).role {
            Role::Delegation => Descent::Delegation(id),
            Role::Authoritative | Role::EmptyNonTerminal | Role::Hidden => Descent::Exact(id),
        }
    }

    /// Follows labels from a name downwards as far as there are names, whatever they are to the
    /// zone: glue, too.
    pub(super) fn follow<'n>(
        &self,
        from: NodeId,
        mut labels: impl Iterator<Item = &'n [u8]>,
    ) -> NodeId {
        let mut id = from;
        while let Some(label) = labels.next()
            && let Ok(child) = self.child(id, label)
        {
            id = child;
        }
        id
    }

    /// Returns the name below `id` by `label`.
    ///
    /// # Errors
    ///
    /// When there is none: how many names below `id`, by one label, are in front of it.
    fn child(&self, id: NodeId, label: &[u8]) -> Result<NodeId, usize> {
        let children = self.children(id);
        let begin = LabelBegin::of(label);
        let at = children.binary_search_by(|child| {
            let by_begin = child.begin.cmp(&begin);
            by_begin.then_with(|| self.first_label(child.node).cmp(label))
        })?;
        Ok(children[at].node)
    }

    /// Returns the names below `id` by one label, in canonical order.
    fn children(&self, id: NodeId) -> &[Child] {
        &self.children[self.node(id).children.range()]
    }

    /// Returns a name.
    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// Returns the labels of a name in front of the apex, in wire form.
    pub(super) fn owner(&self, id: NodeId) -> &[u8] {
        &self.octets[self.node(id).owner.range()]
    }

    /// Returns the left-most label of a name below the apex.
    fn first_label(&self, id: NodeId) -> &[u8] {
        self.label(id).get(1..).unwrap_or_default()
    }

    /// Returns the RRset of a type at a name.
    pub(super) fn find(&self, id: NodeId, rtype: Rtype) -> Option<RrsetId> {
        let span = self.node(id).rrsets;
        let rrsets = &self.rrsets[span.range()];
        // A name has a handful of types: looking through them beats a search.
        let at = rrsets.iter().position(|rrset| rrset.rtype == rtype)?;
        Some(span.start + at as u32)
    }

    /// Returns an RRset.
    pub(super) fn rrset(&self, id: RrsetId) -> &RrsetPlace {
        &self.rrsets[id as usize]
    }

    /// Returns the records of an RRset.
    pub(super) fn records(&self, rrset: &RrsetPlace) -> &[Record] {
        &self.records[rrset.records.range()]
    }

    /// Returns what goes along with an RRset.
    pub(super) fn additional(&self, rrset: &RrsetPlace) -> &[Additional] {
        &self.additional[rrset.additional.range()]
    }

    /// Returns octets that the layout holds.
    pub(super) fn octets(&self, span: Span) -> &[u8] {
        &self.octets[span.range()]
    }

    /// Returns the names in the data of a record that are not merely copied, in their order.
    pub(super) fn rdata_names(&self, record: &Record) -> &[RdataName] {
        &self.rdata_names[record.names.range()]
    }

    /// Returns the first label of a name, with its length octet; nothing for the apex.
    pub(super) fn label(&self, id: NameId) -> &[u8] {
        self.octets(self.names.label(id))
    }

    /// Returns the name without its first label; `None` for the apex, and where only the root
    /// follows.
    pub(super) fn above(&self, id: NameId) -> Option<NameId> {
        self.names.above(id)
    }

    /// Returns the name elsewhere that `apex` ends in, the longest, and where in `apex` it begins.
    pub(super) fn meets(&self, apex: &[u8]) -> Option<(NameId, u8)> {
        self.names.meets(&self.octets, apex)
    }

    /// Returns how absence is proved.
    pub(super) fn denial(&self) -> &Denial {
        &self.denial
    }

    /// Returns the TTL of negative answers and of NSEC records.
    pub(super) fn negative_ttl(&self) -> Ttl {
        self.negative_ttl
    }

    /// Returns the SOA record's RRset.
    pub(super) fn soa(&self) -> RrsetId {
        self.soa
    }

    /// Returns the octets of the zone's own data in its image.
    pub(super) fn own_length(&self) -> usize {
        self.own_length
    }

    /// Returns how many RRsets are signed.
    pub(super) fn items(&self) -> usize {
        self.items
    }

    /// Checks that every owner has room in front of an apex of so many octets.
    ///
    /// # Errors
    ///
    /// When the longest owner would be longer than a name can be.
    pub(super) fn check_apex(&self, octets: usize) -> Result<(), ZoneError> {
        let owner = self.owner(self.longest);
        let length = owner.len() + octets;
        if length <= MAX_NAME {
            return Ok(());
        }
        Err(ZoneError::DoesNotFit {
            owner: RelativeName::from_wire(owner).unwrap_or_default(),
            rtype: self.first_type(self.longest),
            reason: format!("its owner takes {length} octets, at most {MAX_NAME} are allowed"),
        })
    }

    /// Returns the first type at a name; the one of denial if only names below exist.
    fn first_type(&self, id: NodeId) -> Rtype {
        let rrsets = &self.rrsets[self.node(id).rrsets.range()];
        rrsets.first().map_or(Rtype::NSEC, |rrset| rrset.rtype)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn labels_that_begin_alike_are_left_to_their_octets() {
        let begin = LabelBegin::of;

        assert!(begin(b"mx1") < begin(b"mx2"));
        assert!(begin(b"mx") < begin(b"mx1"));
        assert_eq!(begin(b"mx"), begin(b"mx\x00"));
        assert_eq!(begin(b"_domainkey"), begin(b"_domainkex"));
    }

    proptest! {
        #[test]
        fn rfc4034_6_1_the_order_is_that_of_the_labels(
            a in prop::collection::vec(0_u8..3, 1..12),
            b in prop::collection::vec(0_u8..3, 1..12),
        ) {
            let by_begin = LabelBegin::of(&a).cmp(&LabelBegin::of(&b));

            prop_assert_eq!(by_begin.then_with(|| a.cmp(&b)), a.cmp(&b));
        }
    }
}
