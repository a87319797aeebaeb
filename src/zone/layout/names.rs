//! The names that replies write, label by label, so that each is written once.

use std::collections::HashMap;

use super::{NodeId, RdataName, Span};
use crate::wire::{RelativeRdata, Rtype, SegmentEnd};

/// A name that replies write: as a number below that of the zone's names the [`NodeId`], then
/// those that data names and that do not exist in the zone, or are elsewhere.
pub(in crate::zone) type NameId = u32;

/// The names that replies write, each as its first label and the name above it.
///
/// Of two names that end alike the common end is one entry: what a writer compresses by.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The names: first the zone's in canonical order, then all others.
    entries: Vec<Entry>,
}

/// A name.
#[derive(Debug)]
struct Entry {
    /// Its first label with the length octet, among the layout's octets; none for the apex.
    label: Span,
    /// The name that follows.
    above: Option<NameId>,
}

impl Names {
    /// Returns the first label of a name, with its length octet.
    pub(super) fn label(&self, id: NameId) -> Span {
        self.entries[id as usize].label
    }

    /// Returns the name without its first label; `None` for the apex and for names above which
    /// is nothing but the root.
    pub(super) fn above(&self, id: NameId) -> Option<NameId> {
        self.entries[id as usize].above
    }

    /// Returns the most specific name, outside of what hangs below the apex, that `apex` ends
    /// in, and where in `apex` it begins.
    ///
    /// Looks through all names once for each label that agrees; for composing, not for answering.
    pub(super) fn meets(&self, octets: &[u8], apex: &[u8]) -> Option<(NameId, u8)> {
        let mut starts = Vec::new();
        let mut at = 0;
        while let Some(&length) = apex.get(at)
            && length > 0
        {
            starts.push(at);
            at += 1 + usize::from(length);
        }
        let mut met = None;
        for start in starts.into_iter().rev() {
            let label = &apex[start..=start + usize::from(apex[start])];
            let above = met.map(|(id, _)| id);
            let below = self.entries.iter().position(|entry| {
                // The apex has no label, and what hangs below it is no end of it.
                entry.above == above && octets[entry.label.range()] == *label
            });
            match below {
                Some(id) => met = Some((id as NameId, start as u8)),
                None => break,
            }
        }
        met
    }
}

/// Where names begin and with what they go on: the names of a layout in the making.
#[derive(Debug, Default)]
pub(super) struct NamesBuilder {
    /// The names so far.
    names: Names,
    /// The names by label and the name above them.
    known: HashMap<(Box<[u8]>, Option<NameId>), NameId>,
}

impl NamesBuilder {
    /// Adds the next name of the zone: its first label, which lies at `span`, and the name above.
    ///
    /// All of the zone's names come before the first other one.
    pub(super) fn add_node(&mut self, label: &[u8], span: Span, above: Option<NodeId>) {
        let id = self.names.entries.len() as NameId;
        self.names.entries.push(Entry { label: span, above });
        self.known.insert((label.into(), above), id);
    }

    /// Returns the name of `labels` in front of the apex, if `end` is that, or else in full; adds
    /// what is new of it, and its labels to the layout's octets. `None` for the root.
    pub(super) fn add(
        &mut self,
        labels: &[u8],
        end: SegmentEnd,
        octets: &mut Vec<u8>,
    ) -> Option<NameId> {
        let mut starts = Vec::new();
        let mut at = 0;
        while let Some(&length) = labels.get(at)
            && length > 0
        {
            starts.push(at);
            at += 1 + usize::from(length);
        }
        let mut above = match end {
            SegmentEnd::Apex => Some(0),
            SegmentEnd::Rdata => None,
        };
        for start in starts.into_iter().rev() {
            let label = &labels[start..=start + usize::from(labels[start])];
            let next = self.names.entries.len() as NameId;
            let id = *self.known.entry((label.into(), above)).or_insert(next);
            if id == next {
                let begin = octets.len();
                octets.extend_from_slice(label);
                let label = Span::new(begin, octets.len());
                self.names.entries.push(Entry { label, above });
            }
            above = Some(id);
        }
        above
    }

    /// Returns the names.
    pub(super) fn finish(mut self) -> Names {
        self.names.entries.shrink_to_fit();
        self.names
    }
}

/// Which names in the data of a record are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compressed {
    /// Those in the zone and those elsewhere.
    All,
    /// Those in the zone: those elsewhere differ among zones of one shape.
    InZone,
}

impl Compressed {
    /// Returns which names of a zone's own RRsets are compressed.
    ///
    /// All of a type whose records name several hosts: these are few and the same for many zones,
    /// so they may be part of the shape. An alias may lead elsewhere for every zone.
    pub(super) const fn of_own(rtype: Rtype) -> Self {
        match rtype {
            Rtype::SOA | Rtype::NS | Rtype::MX => Self::All,
            _ => Self::InZone,
        }
    }
}

/// Returns the names in the data of a record that replies do not merely copy: those that are
/// compressed, and where else the apex is put in.
pub(super) fn rdata_names(
    rtype: Rtype,
    rdata: &RelativeRdata,
    compressed: Compressed,
    mut number: impl FnMut(&[u8], SegmentEnd) -> Option<NameId>,
) -> Vec<RdataName> {
    let mut holes = Vec::new();
    let mut octets = Vec::new();
    for (end, segment) in rdata.segments() {
        octets.extend_from_slice(segment);
        if end == SegmentEnd::Apex {
            holes.push(octets.len());
        }
    }
    let mut holes = holes.into_iter().peekable();
    let mut names = Vec::new();
    let (head, count) = layout_of(rtype);
    let mut at = head;
    for _ in 0..count {
        let start = at;
        let end = loop {
            // A name in the zone has no root label, it ends where the apex is put in.
            if holes.next_if_eq(&at).is_some() {
                break SegmentEnd::Apex;
            }
            match octets.get(at) {
                Some(0) => {
                    at += 1;
                    break SegmentEnd::Rdata;
                }
                Some(length) => at += 1 + usize::from(*length),
                // Cannot be: such data is refused when it is parsed. Then it is copied.
                None => return names,
            }
        };
        if end == SegmentEnd::Apex || compressed == Compressed::All {
            let id = octets.get(start..at).and_then(|labels| number(labels, end));
            // The root is shorter than a pointer to it: copied.
            if let Some(id) = id {
                names.push(RdataName {
                    start: start as u16,
                    end: at as u16,
                    ends: end,
                    compressed: Some(id),
                });
            }
        }
    }
    names.extend(holes.map(|hole| RdataName {
        start: hole as u16,
        end: hole as u16,
        ends: SegmentEnd::Apex,
        compressed: None,
    }));
    names
}

/// Returns how many octets stand in front of the names in the data of a type whose names are
/// compressed, and how many names there are (RFC 1035, section 3.3).
const fn layout_of(rtype: Rtype) -> (usize, usize) {
    match rtype {
        Rtype::SOA | Rtype::MINFO => (0, 2),
        Rtype::MX => (2, 1),
        rtype if rtype.compresses_names() => (0, 1),
        _ => (0, 0),
    }
}
