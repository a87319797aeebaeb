//! What proves that something is not there.

use super::{Layout, NodeId, Span};
use crate::zone::Structure;

/// How a zone proves that something is not there.
///
/// NSEC3 will be a variant of its own: what is asked of it are the same three questions.
#[derive(Debug)]
pub(in crate::zone) enum Denial {
    /// Not at all: the zone is not signed.
    Unsigned,
    /// By its NSEC records (RFC 4034, section 4).
    Nsec(NsecChain),
}

/// A zone's NSEC records and which of them proves what, found out beforehand.
///
/// A record proves that nothing stands between its owner and the next; so for any name that is
/// missing it is the last record in front of the place where the name would stand.
#[derive(Debug)]
pub(in crate::zone) struct NsecChain {
    /// The records, in canonical order.
    links: Vec<NsecLink>,
    /// For each name, the last record at or in front of it.
    here: Vec<u32>,
    /// For each name, the last record at or in front of the last name below it.
    below: Vec<u32>,
    /// For each name, the record that proves that there is no wildcard below it; meaningless
    /// where there is one.
    no_wildcard: Vec<u32>,
}

/// An NSEC record.
#[derive(Debug)]
pub(in crate::zone) struct NsecLink {
    /// The owner.
    pub(in crate::zone) node: NodeId,
    /// The owner of the next record.
    pub(in crate::zone) next: NodeId,
    /// The types at the owner, among the layout's octets.
    pub(in crate::zone) bitmap: Span,
    /// Its place in the signing order.
    pub(in crate::zone) item: u32,
}

impl NsecChain {
    /// Takes the records, one for each name that owns one, and finds out what they prove.
    pub(super) fn new(links: Vec<NsecLink>, structure: &Structure, layout: &Layout) -> Self {
        let count = structure.nodes().len();
        let mut here = Vec::with_capacity(count);
        for node in 0..count as NodeId {
            let last = here.last().copied().unwrap_or(0);
            let following = links.get(last as usize + 1);
            let begins_here = following.is_some_and(|link| link.node == node);
            here.push(last + u32::from(begins_here));
        }
        let mut chain = Self {
            links,
            below: here.clone(),
            no_wildcard: here.clone(),
            here,
        };
        // From the end: the names below a name are behind it.
        for node in (0..count).rev() {
            if let Some(last) = layout.children(node as NodeId).last() {
                chain.below[node] = chain.below[last.node as usize];
            }
        }
        for node in 0..count as NodeId {
            let children = layout.children(node);
            let at = children.partition_point(|child| layout.first_label(child.node) < &b"*"[..]);
            let previous = at.checked_sub(1).map(|at| children[at].node);
            chain.no_wildcard[node as usize] = chain.gap(node, previous);
        }
        chain
    }

    /// Returns a record.
    pub(in crate::zone) fn link(&self, link: u32) -> &NsecLink {
        &self.links[link as usize]
    }

    /// Returns the record that proves which types a name has: its own, or for an empty
    /// non-terminal the one in front of it, whose next name lies below it.
    pub(in crate::zone) fn at(&self, node: NodeId) -> u32 {
        self.here[node as usize]
    }

    /// Returns the record that proves that there is no name below `encloser` behind `previous`
    /// and in front of what follows that.
    pub(in crate::zone) fn gap(&self, encloser: NodeId, previous: Option<NodeId>) -> u32 {
        match previous {
            Some(previous) => self.below[previous as usize],
            None => self.here[encloser as usize],
        }
    }

    /// Returns the record that proves that there is no wildcard below `encloser`.
    pub(in crate::zone) fn no_wildcard(&self, encloser: NodeId) -> u32 {
        self.no_wildcard[encloser as usize]
    }

    /// Returns the record that a name owns.
    pub(in crate::zone) fn owned_by(&self, node: NodeId) -> Option<&NsecLink> {
        Some(self.link(self.at(node))).filter(|link| link.node == node)
    }
}
