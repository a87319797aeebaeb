//! What follows from a zone's names and types alone: cuts, what they hide, the NSEC chain.

use std::collections::BTreeMap;

use crate::wire::{RelativeName, Rtype};

/// Which names a zone has and what stands at each, in canonical order.
///
/// It depends on owner names and types alone, so that zones of one shape share it, and the NSEC
/// chain with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// Every name that exists, empty non-terminals included, and what is hidden below cuts.
    nodes: Vec<Node>,
}

/// A name of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The name's labels in front of the apex.
    pub owner: RelativeName,
    /// What the name is to the zone.
    pub role: Role,
    /// The types at the name, ascending, and where their data lies.
    pub rrsets: Vec<(Rtype, Source)>,
}

/// What a name is to its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The zone speaks for the data here.
    Authoritative,
    /// NS records here hand the name and all below it to another zone.
    Delegation,
    /// Below a delegation or a DNAME: glue, or data that is never served (RFC 5936, section 3.5).
    Hidden,
    /// Nothing stands here, but below: the name exists (RFC 4592, section 2.2.2).
    EmptyNonTerminal,
}

/// Where an RRset's data lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the template, at this index.
    Template(usize),
    /// Among the zone's own RRsets, at this index.
    Own(usize),
}

/// One RRset that a zone signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedItem {
    /// An RRset of the zone's data.
    Data {
        /// Index of the node.
        node: usize,
        /// Index into the node's `rrsets`.
        rrset: usize,
    },
    /// The NSEC record of a node.
    Nsec {
        /// Index of the node.
        node: usize,
    },
}

impl Structure {
    /// Orders owners and types of a template and of a zone's own RRsets.
    ///
    /// Own RRsets must not repeat an owner and type of the template: the last one given would win.
    pub fn new<'z>(
        template: impl Iterator<Item = (&'z RelativeName, Rtype)>,
        own: impl Iterator<Item = (&'z RelativeName, Rtype)>,
    ) -> Self {
        let mut names: BTreeMap<RelativeName, BTreeMap<Rtype, Source>> = BTreeMap::new();
        names.insert(RelativeName::apex(), BTreeMap::new());
        let template = template
            .enumerate()
            .map(|(at, key)| (key, Source::Template(at)));
        let own = own.enumerate().map(|(at, key)| (key, Source::Own(at)));
        for ((owner, rtype), source) in template.chain(own) {
            names
                .entry(owner.clone())
                .or_default()
                .insert(rtype, source);
            let mut ancestor = owner.parent();
            while let Some(name) = ancestor {
                ancestor = name.parent();
                names.entry(name).or_default();
            }
        }

        // Canonical order puts a name right before all that lies below it, so the last cut seen
        // is the only one that can hide a name.
        let mut cut: Option<RelativeName> = None;
        let nodes = names.into_iter().map(|(owner, rrsets)| {
            let hidden = cut.as_ref().is_some_and(|cut| owner.is_below(cut));
            let delegates = rrsets.contains_key(&Rtype::NS) && !owner.is_apex();
            let role = if hidden {
                Role::Hidden
            } else if delegates {
                Role::Delegation
            } else if rrsets.is_empty() {
                Role::EmptyNonTerminal
            } else {
                Role::Authoritative
            };
            if !hidden && (delegates || rrsets.contains_key(&Rtype::DNAME)) {
                cut = Some(owner.clone());
            }
            Node {
                owner,
                role,
                rrsets: rrsets.into_iter().collect(),
            }
        });
        Self {
            nodes: nodes.collect(),
        }
    }

    /// Returns the names in canonical order; the apex is the first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns the node after `index` in the NSEC chain; the last one leads back to the apex
    /// (RFC 4034, section 4.1.1).
    pub fn next_in_chain(&self, index: usize) -> &Node {
        let following = self.nodes[index + 1..].iter().find(|node| node.owns_nsec());
        following.unwrap_or(&self.nodes[0])
    }

    /// Returns every RRset that is signed, in the order in which signatures are kept: by owner
    /// in canonical order, then by type, the NSEC record last.
    pub fn signing_order(&self) -> Vec<SignedItem> {
        let mut items = Vec::new();
        for (node, content) in self.nodes.iter().enumerate() {
            for (rrset, (rtype, _)) in content.rrsets.iter().enumerate() {
                if content.signs(*rtype) {
                    items.push(SignedItem::Data { node, rrset });
                }
            }
            if content.owns_nsec() {
                items.push(SignedItem::Nsec { node });
            }
        }
        items
    }
}

impl Node {
    /// Returns whether an NSEC record stands here (RFC 4035, section 2.3).
    pub fn owns_nsec(&self) -> bool {
        matches!(self.role, Role::Authoritative | Role::Delegation)
    }

    /// Returns whether the RRset of a type here is signed: all that is authoritative, and of a
    /// delegation the DS alone (RFC 4035, section 2.2).
    pub fn signs(&self, rtype: Rtype) -> bool {
        match self.role {
            Role::Authoritative => true,
            Role::Delegation => rtype == Rtype::DS,
            Role::Hidden | Role::EmptyNonTerminal => false,
        }
    }

    /// Returns the type bitmap of the NSEC record here (RFC 4034, section 4.1.2).
    pub fn type_bitmap(&self) -> Vec<u8> {
        let own = self.rrsets.iter().map(|(rtype, _)| *rtype).filter(|rtype| {
            // Of a delegation, NS and DS only (RFC 4035, section 2.3).
            self.role == Role::Authoritative || matches!(*rtype, Rtype::NS | Rtype::DS)
        });
        let mut types: Vec<Rtype> = own.chain([Rtype::RRSIG, Rtype::NSEC]).collect();
        types.sort_unstable();
        let mut bitmap = Vec::new();
        for window in types.chunk_by(|a, b| a.code() >> 8 == b.code() >> 8) {
            let mut bits = [0_u8; 32];
            let mut length = 0;
            for rtype in window {
                let low = usize::from(rtype.code() & 0xff);
                bits[low / 8] |= 0x80 >> (low % 8);
                length = low / 8 + 1;
            }
            bitmap.extend([(window[0].code() >> 8) as u8, length as u8]);
            bitmap.extend_from_slice(&bits[..length]);
        }
        bitmap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds a structure out of `owner TYPE` pairs.
    fn structure(records: &[(&str, Rtype)]) -> Structure {
        let names: Vec<(RelativeName, Rtype)> = records
            .iter()
            .map(|(owner, rtype)| (RelativeName::parse(owner).unwrap(), *rtype))
            .collect();
        let template = names.iter().map(|(owner, rtype)| (owner, *rtype));
        Structure::new(template, std::iter::empty())
    }

    /// Returns owners and roles.
    fn roles(structure: &Structure) -> Vec<(String, Role)> {
        structure
            .nodes()
            .iter()
            .map(|node| (node.owner.to_string(), node.role))
            .collect()
    }

    #[test]
    fn rfc4592_2_2_2_ancestors_of_data_are_empty_non_terminals() {
        let zone = structure(&[("@", Rtype::SOA), ("_25._tcp.mx1", Rtype::TLSA)]);

        let expected = [
            ("@", Role::Authoritative),
            ("mx1", Role::EmptyNonTerminal),
            ("_tcp.mx1", Role::EmptyNonTerminal),
            ("_25._tcp.mx1", Role::Authoritative),
        ];
        assert_eq!(
            roles(&zone),
            expected.map(|(owner, role)| (owner.to_owned(), role))
        );
        assert!(zone.next_in_chain(0).owner.to_string() == "_25._tcp.mx1");
    }

    #[test]
    fn data_below_a_delegation_is_hidden_and_unsigned() {
        let zone = structure(&[
            ("@", Rtype::SOA),
            ("sub", Rtype::NS),
            ("sub", Rtype::DS),
            ("ns.sub", Rtype::A),
            ("sub0", Rtype::A),
        ]);

        assert_eq!(zone.nodes()[1].role, Role::Delegation);
        assert_eq!(zone.nodes()[2].role, Role::Hidden);
        assert_eq!(zone.nodes()[3].role, Role::Authoritative);
        let order = zone.signing_order();
        assert_eq!(
            order,
            [
                SignedItem::Data { node: 0, rrset: 0 },
                SignedItem::Nsec { node: 0 },
                SignedItem::Data { node: 1, rrset: 1 },
                SignedItem::Nsec { node: 1 },
                SignedItem::Data { node: 3, rrset: 0 },
                SignedItem::Nsec { node: 3 },
            ]
        );
    }

    #[test]
    fn rfc4034_4_1_2_the_bitmap_has_no_empty_window_and_no_trailing_zeros() {
        let zone = structure(&[("@", Rtype::A), ("@", Rtype::MX), ("@", Rtype::new(1234))]);

        // The example of RFC 4034, section 4.3: A MX RRSIG NSEC TYPE1234.
        let expected = [
            &[0x00, 0x06, 0x40, 0x01, 0x00, 0x00, 0x00, 0x03, 0x04, 0x1b][..],
            &[0; 26],
            &[0x20],
        ];
        assert_eq!(zone.nodes()[0].type_bitmap(), expected.concat());
    }
}
