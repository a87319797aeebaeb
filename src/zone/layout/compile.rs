//! From a zone to the layout of all zones of its shape.

use std::collections::HashMap;

use super::names::{Compressed, Names, NamesBuilder, rdata_names};
use super::{
    Additional, Child, Denial, Holder, LabelBegin, Layout, Need, Node, NodeId, NsecChain, NsecLink,
    Record, RrsetId, RrsetPlace, Span,
};
use crate::wire::{RelativeName, RelativeRdata, Rtype, SegmentEnd};
use crate::zone::{RelativeRrset, Role, SignedItem, Source, Structure, UnsignedZone};

/// Whether a zone has signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signing {
    /// It has; and NSEC records.
    Signed,
    /// It has none.
    Unsigned,
}

/// Compiles the layout of a zone and of all others of its shape.
pub(super) fn compile(zone: &UnsignedZone, signing: Signing) -> Layout {
    let structure = zone.structure();
    let mut compiler = Compiler {
        zone,
        items: items(structure, signing),
        names: NamesBuilder::default(),
        layout: Layout {
            octets: Vec::new(),
            names: Names::default(),
            rdata_names: Vec::new(),
            nodes: Vec::with_capacity(structure.nodes().len()),
            children: Vec::with_capacity(structure.nodes().len()),
            rrsets: Vec::new(),
            records: Vec::new(),
            additional: Vec::new(),
            denial: Denial::Unsigned,
            negative_ttl: zone.negative_ttl(),
            soa: 0,
            own_length: own_length(zone.own()),
            items: 0,
            longest: 0,
        },
    };
    compiler.add_nodes();
    compiler.add_children();
    compiler.add_rrsets();
    compiler.add_additional();
    let mut layout = compiler.layout;
    layout.names = compiler.names.finish();
    if signing == Signing::Signed {
        layout.items = structure.signing_order().len();
        let links = links(structure, &compiler.items, &mut layout);
        layout.denial = Denial::Nsec(NsecChain::new(links, structure, &layout));
    }
    // Compiled once, held by thousands: give back what the vectors grew too much.
    layout.octets.shrink_to_fit();
    layout.rdata_names.shrink_to_fit();
    layout.rrsets.shrink_to_fit();
    layout.records.shrink_to_fit();
    layout
}

/// Returns the octets that the own data of a zone take in its image: each record's octets without
/// holes, one behind the other, in the order of owners and types.
fn own_length(own: &[RelativeRrset]) -> usize {
    let rdatas = own.iter().flat_map(|rrset| &rrset.rdatas);
    rdatas.map(|rdata| octets(rdata).count()).sum()
}

/// Returns the octets of a record's data without the holes.
pub(super) fn octets(rdata: &RelativeRdata) -> impl Iterator<Item = u8> {
    let segments = rdata.segments().map(|(_, segment)| segment);
    segments.flatten().copied()
}

/// Returns the place of each signed RRset in the signing order.
fn items(structure: &Structure, signing: Signing) -> HashMap<(usize, ItemAt), u32> {
    if signing == Signing::Unsigned {
        return HashMap::new();
    }
    let order = structure.signing_order().into_iter().enumerate();
    let places = order.map(|(place, item)| {
        let key = match item {
            SignedItem::Data { node, rrset } => (node, ItemAt::Rrset(rrset)),
            SignedItem::Nsec { node } => (node, ItemAt::Nsec),
        };
        (key, place as u32)
    });
    places.collect()
}

/// What of a node is signed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum ItemAt {
    /// The RRset at this index.
    Rrset(usize),
    /// The NSEC record.
    Nsec,
}

/// Lists the NSEC records and puts their type bitmaps into the layout.
fn links(
    structure: &Structure,
    items: &HashMap<(usize, ItemAt), u32>,
    layout: &mut Layout,
) -> Vec<NsecLink> {
    let nodes = structure.nodes().iter().enumerate();
    let owners: Vec<usize> = nodes
        .filter(|(_, node)| node.owns_nsec())
        .map(|(id, _)| id)
        .collect();
    let mut links = Vec::with_capacity(owners.len());
    for (at, &node) in owners.iter().enumerate() {
        let start = layout.octets.len();
        let bitmap = structure.nodes()[node].type_bitmap();
        layout.octets.extend_from_slice(&bitmap);
        links.push(NsecLink {
            node: node as NodeId,
            // The last one leads back to the apex (RFC 4034, section 4.1.1).
            next: owners.get(at + 1).copied().unwrap_or(0) as NodeId,
            bitmap: Span::new(start, layout.octets.len()),
            item: items.get(&(node, ItemAt::Nsec)).copied().unwrap_or(0),
        });
    }
    links
}

/// A layout in the making.
struct Compiler<'z> {
    /// The zone that gives the shape.
    zone: &'z UnsignedZone,
    /// The place of each signed RRset in the signing order.
    items: HashMap<(usize, ItemAt), u32>,
    /// The names that replies write.
    names: NamesBuilder,
    /// What there is so far.
    layout: Layout,
}

impl Compiler<'_> {
    /// Adds every name of the zone.
    fn add_nodes(&mut self) {
        for (id, node) in self.zone.structure().nodes().iter().enumerate() {
            let owner = self.add_octets(node.owner.as_wire().iter().copied());
            let longest = self.layout.nodes.get(self.layout.longest as usize);
            if longest.is_some_and(|longest| longest.owner.len() < owner.len()) {
                self.layout.longest = id as NodeId;
            }
            self.layout.nodes.push(Node {
                owner,
                depth: node.owner.label_count() as u8,
                role: node.role,
                rrsets: Span::new(0, 0),
                children: Span::new(0, 0),
                wildcard: None,
                has_dname: node.rrsets.iter().any(|(rtype, _)| *rtype == Rtype::DNAME),
                smallest: None,
            });
        }
    }

    /// Adds the RRsets of every name; the names are all there.
    fn add_rrsets(&mut self) {
        let own_starts = own_starts(self.zone.own());
        for (id, node) in self.zone.structure().nodes().iter().enumerate() {
            let labels = self.layout.nodes[id].depth - u8::from(node.owner.is_wildcard());
            let first = self.layout.rrsets.len();
            for (index, (rtype, source)) in node.rrsets.iter().enumerate() {
                if id == 0 && *rtype == Rtype::SOA {
                    self.layout.soa = self.layout.rrsets.len() as RrsetId;
                }
                let rrset = self.zone.relative(*source);
                let own_start = match source {
                    Source::Template(_) => None,
                    Source::Own(at) => Some(own_starts[*at]),
                };
                let records = self.add_records(rrset, own_start);
                self.layout.rrsets.push(RrsetPlace {
                    rtype: *rtype,
                    ttl: rrset.ttl,
                    labels,
                    item: self.items.get(&(id, ItemAt::Rrset(index))).copied(),
                    records,
                    additional: Span::new(0, 0),
                });
            }
            let rrsets = Span::new(first, self.layout.rrsets.len());
            self.layout.nodes[id].rrsets = rrsets;
            self.layout.nodes[id].smallest = self.smallest(rrsets);
        }
    }

    /// Adds the records of an RRset; those of an own one lie from `own_start` in the image.
    fn add_records(&mut self, rrset: &RelativeRrset, own_start: Option<usize>) -> Span {
        let first = self.layout.records.len();
        let compressed = match own_start {
            None => Compressed::All,
            Some(_) => Compressed::of_own(rrset.rtype),
        };
        let mut at = own_start;
        for rdata in &rrset.rdatas {
            let first_name = self.layout.rdata_names.len();
            let names = rdata_names(rrset.rtype, rdata, compressed, |labels, end| {
                self.names.add(labels, end, &mut self.layout.octets)
            });
            self.layout.rdata_names.extend(names);
            let (holder, octets) = match &mut at {
                None => (Holder::Layout, self.add_octets(octets(rdata))),
                Some(start) => {
                    let span = Span::new(*start, *start + octets(rdata).count());
                    *start += span.len();
                    (Holder::Image, span)
                }
            };
            self.layout.records.push(Record {
                holder,
                octets,
                names: Span::new(first_name, self.layout.rdata_names.len()),
            });
        }
        Span::new(first, self.layout.records.len())
    }

    /// Appends octets to the layout's.
    fn add_octets(&mut self, octets: impl Iterator<Item = u8>) -> Span {
        let start = self.layout.octets.len();
        self.layout.octets.extend(octets);
        Span::new(start, self.layout.octets.len())
    }

    /// Returns the RRset with the least octets of data: the answer to ANY (RFC 8482, section
    /// 4.1).
    fn smallest(&self, rrsets: Span) -> Option<RrsetId> {
        let size = |id: &usize| {
            let records = self.layout.records(&self.layout.rrsets[*id]);
            let sizes = records.iter().map(|record| record.octets.len() + 12);
            sizes.sum::<usize>()
        };
        rrsets.range().min_by_key(size).map(|id| id as RrsetId)
    }

    /// Groups the zone's names by the name above them.
    fn add_children(&mut self) {
        let nodes = self.zone.structure().nodes();
        let mut below: Vec<Vec<NodeId>> = vec![Vec::new(); nodes.len()];
        // The names on the way from the apex to the last one seen.
        let mut way: Vec<usize> = Vec::new();
        for (id, node) in nodes.iter().enumerate() {
            // Canonical order: a name above comes first, and all between are below it.
            way.truncate(node.owner.label_count());
            let parent = way.last().copied();
            if let Some(parent) = parent {
                below[parent].push(id as NodeId);
            }
            way.push(id);
            let wire = node.owner.as_wire();
            let label = wire.first().map_or(0, |length| 1 + usize::from(*length));
            let start = self.layout.nodes[id].owner.range().start;
            let span = Span::new(start, start + label);
            let above = parent.map(|parent| parent as NodeId);
            self.names.add_node(&wire[..label], span, above);
        }
        for (parent, children) in below.into_iter().enumerate() {
            let start = self.layout.children.len();
            let wildcard = children
                .iter()
                .copied()
                .find(|child| nodes[*child as usize].owner.is_wildcard());
            let children = children.into_iter().map(|node| {
                let wire = nodes[node as usize].owner.as_wire();
                let (length, labels) = wire.split_first().unwrap_or((&0, &[]));
                let begin = LabelBegin::of(&labels[..usize::from(*length)]);
                Child { begin, node }
            });
            self.layout.children.extend(children);
            let node = &mut self.layout.nodes[parent];
            node.children = Span::new(start, self.layout.children.len());
            node.wildcard = wildcard;
        }
    }

    /// Finds the addresses of the hosts that RRsets name.
    fn add_additional(&mut self) {
        for (id, node) in self.zone.structure().nodes().iter().enumerate() {
            if matches!(node.role, Role::Hidden | Role::EmptyNonTerminal) {
                continue;
            }
            let first = self.layout.nodes[id].rrsets.range().start;
            for (index, (rtype, source)) in node.rrsets.iter().enumerate() {
                let start = self.layout.additional.len();
                let rrset = self.zone.relative(*source);
                let targets = rrset.rdatas.iter();
                for target in targets.filter_map(|rdata| target(*rtype, rdata)) {
                    self.add_host(id, &target, start);
                }
                let end = self.layout.additional.len();
                self.layout.rrsets[first + index].additional = Span::new(start, end);
            }
        }
    }

    /// Adds the addresses of `host` for an RRset at the node `owner`, whose hosts begin at `start`.
    fn add_host(&mut self, owner: usize, host: &RelativeName, start: usize) {
        let nodes = self.zone.structure().nodes();
        let Ok(at) = nodes.binary_search_by(|node| node.owner.cmp(host)) else {
            return;
        };
        let delegates = nodes[owner].role == Role::Delegation;
        let below = nodes[owner].owner == *host || host.is_below(&nodes[owner].owner);
        let need = match nodes[at].role {
            // Glue goes into referrals only; elsewhere it is data that is not served.
            Role::Hidden | Role::Delegation if !delegates => return,
            _ if delegates && below => Need::Required,
            _ => Need::Optional,
        };
        for rtype in [Rtype::A, Rtype::AAAA] {
            // Two MX records may name one host.
            let added = &self.layout.additional[start..];
            if let Some(rrset) = self.layout.find(at as NodeId, rtype)
                && !added.iter().any(|other| other.rrset == rrset)
            {
                self.layout.additional.push(Additional {
                    host: at as NodeId,
                    rrset,
                    need,
                });
            }
        }
    }
}

/// Returns where in the image the data of each own RRset begin.
fn own_starts(own: &[RelativeRrset]) -> Vec<usize> {
    let mut at = 0;
    let starts = own.iter().map(|rrset| {
        let start = at;
        at += own_length(std::slice::from_ref(rrset));
        start
    });
    starts.collect()
}

/// Returns where the host that data of a type names begins; `None` for types that name none.
fn host_offset(rtype: Rtype) -> Option<usize> {
    match rtype {
        Rtype::NS => Some(0),
        Rtype::MX => Some(2),
        // RFC 2782, "Target": the addresses go along.
        Rtype::SRV => Some(6),
        _ => None,
    }
}

/// Returns the host that `rdata` names, if it is in the zone.
fn target(rtype: Rtype, rdata: &RelativeRdata) -> Option<RelativeName> {
    let offset = host_offset(rtype)?;
    let (end, segment) = rdata.segments().next()?;
    if end != SegmentEnd::Apex {
        return None;
    }
    RelativeName::from_wire(segment.get(offset..)?).ok()
}
