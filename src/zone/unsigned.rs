//! A zone before it is signed, held to what DNS asks of one.

use std::sync::Arc;

use crate::wire::{Apex, Rdata, RelativeName, Rtype, Ttl};
use crate::zone::{
    RelativeRrset, Role, Rrset, SignedItem, SignedZoneError, Source, Structure, Template,
    TemplateId,
};

/// A zone's data without signatures: a shared template and the RRsets of this zone alone.
///
/// Made only with a SOA record and NS records at the apex, and with nothing that DNS forbids.
#[derive(Clone, Debug)]
pub struct UnsignedZone {
    /// The zone's name.
    apex: Apex,
    /// What it shares with others.
    template: Arc<Template>,
    /// What it has alone, sorted by owner and type.
    own: Vec<RelativeRrset>,
    /// What follows from both.
    structure: Structure,
    /// The TTL of negative answers, and of NSEC records (RFC 9077, section 3).
    negative_ttl: Ttl,
}

/// Data that cannot be a zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZoneError {
    /// One owner and type is there twice.
    #[error("{owner} {rtype} is there twice")]
    SameRrsetTwice {
        /// The owner, relative to the apex.
        owner: RelativeName,
        /// The type.
        rtype: Rtype,
    },
    /// Two records of an RRset become the same under an apex.
    #[error("two records of {owner} {rtype} are the same")]
    SameRecordTwice {
        /// The owner, relative to the apex.
        owner: RelativeName,
        /// The type.
        rtype: Rtype,
    },
    /// An RRset has no place under an apex.
    #[error("{owner} {rtype} does not fit: {reason}")]
    DoesNotFit {
        /// The owner, relative to the apex.
        owner: RelativeName,
        /// The type.
        rtype: Rtype,
        /// Why not.
        reason: String,
    },
    /// The apex has not exactly one SOA record.
    #[error("expected one SOA record at the apex, found {found}")]
    NotOneSoa {
        /// How many there are.
        found: usize,
    },
    /// The apex has no NS records.
    #[error("expected NS records at the apex, found none")]
    NoNameServers,
    /// A type stands where it may not.
    #[error("{owner} {rtype}: {reason}")]
    Forbidden {
        /// The owner, relative to the apex.
        owner: RelativeName,
        /// The type.
        rtype: Rtype,
        /// The rule, with its RFC and section.
        reason: &'static str,
    },
    /// Signatures do not belong to the zone.
    #[error(transparent)]
    Signatures(#[from] SignedZoneError),
    /// A zone came with another template than the one it was signed with.
    #[error("expected the template {expected}, found {found}")]
    OtherTemplate {
        /// The template that the zone names.
        expected: TemplateId,
        /// The one that came.
        found: TemplateId,
    },
}

impl UnsignedZone {
    /// Joins a template and a zone's own RRsets.
    ///
    /// # Errors
    ///
    /// When the whole is no zone: see [`ZoneError`].
    pub fn new(
        apex: Apex,
        template: Arc<Template>,
        mut own: Vec<RelativeRrset>,
    ) -> Result<Self, ZoneError> {
        own.sort_by(|a, b| (&a.owner, a.rtype).cmp(&(&b.owner, b.rtype)));
        let twin = own
            .windows(2)
            .find(|pair| (&pair[0].owner, pair[0].rtype) == (&pair[1].owner, pair[1].rtype));
        let twin = twin.map(|pair| &pair[0]).or_else(|| {
            own.iter().find(|rrset| {
                let key = (&rrset.owner, rrset.rtype);
                template
                    .rrsets()
                    .binary_search_by(|t| (&t.owner, t.rtype).cmp(&key))
                    .is_ok()
            })
        });
        if let Some(twin) = twin {
            return Err(ZoneError::SameRrsetTwice {
                owner: twin.owner.clone(),
                rtype: twin.rtype,
            });
        }
        let structure = Structure::new(
            template
                .rrsets()
                .iter()
                .map(|rrset| (&rrset.owner, rrset.rtype)),
            own.iter().map(|rrset| (&rrset.owner, rrset.rtype)),
        );
        let mut zone = Self {
            apex,
            template,
            own,
            structure,
            negative_ttl: Ttl::from_secs(0),
        };
        zone.negative_ttl = zone.check()?;
        Ok(zone)
    }

    /// Checks what DNS asks of a zone and returns the TTL of its negative answers.
    fn check(&self) -> Result<Ttl, ZoneError> {
        for node in self.structure.nodes() {
            for (rtype, source) in &node.rrsets {
                let forbidden = |reason| {
                    Err(ZoneError::Forbidden {
                        owner: node.owner.clone(),
                        rtype: *rtype,
                        reason,
                    })
                };
                let is_alias = *rtype == Rtype::CNAME;
                if is_alias && node.rrsets.len() > 1 {
                    return forbidden("a CNAME stands beside other data (RFC 2181, section 10.1)");
                }
                let single = is_alias || *rtype == Rtype::DNAME;
                if single && self.relative(*source).rdatas.len() > 1 {
                    return forbidden(
                        "there can be only one (RFC 2181, section 10.1; RFC 6672, section 2.4)",
                    );
                }
                if *rtype == Rtype::NS && node.owner.is_wildcard() {
                    return forbidden("NS at a wildcard has no meaning (RFC 4592, section 4.2)");
                }
                if *rtype == Rtype::DS && node.owner.is_apex() {
                    return forbidden("the DS belongs into the parent (RFC 4035, section 2.4)");
                }
                if *rtype == Rtype::DS && !node.rrsets.iter().any(|(other, _)| *other == Rtype::NS)
                {
                    return forbidden("a DS needs a delegation (RFC 4035, section 2.4)");
                }
                if *rtype == Rtype::SOA && !node.owner.is_apex() {
                    return forbidden("a SOA stands at the apex only (RFC 1035, section 5.2)");
                }
                if rtype.is_meta() {
                    return forbidden("a question type is no data (RFC 6895, section 3.1)");
                }
                if rtype.is_made_by_signing() {
                    return forbidden("signing makes records of this type");
                }
                // Signing finds out what has no place under the apex; here it does not look.
                if matches!(node.role, Role::Delegation | Role::Hidden) {
                    self.relative(*source).under(&self.apex)?;
                }
            }
        }
        let apex = &self.structure.nodes()[0];
        let source = |wanted| apex.rrsets.iter().find(|(rtype, _)| *rtype == wanted);
        let Some((_, soa)) = source(Rtype::SOA) else {
            return Err(ZoneError::NotOneSoa { found: 0 });
        };
        let soa = self.relative(*soa).under(&self.apex)?;
        let [rdata] = soa.rdatas() else {
            return Err(ZoneError::NotOneSoa {
                found: soa.rdatas().len(),
            });
        };
        source(Rtype::NS).ok_or(ZoneError::NoNameServers)?;
        let numbers = rdata
            .soa_numbers()
            .ok_or(ZoneError::NotOneSoa { found: 0 })?;
        Ok(soa.ttl().min(numbers.minimum))
    }

    /// Returns the zone's name.
    pub fn apex(&self) -> &Apex {
        &self.apex
    }

    /// Returns the shared part.
    pub fn template(&self) -> &Arc<Template> {
        &self.template
    }

    /// Returns the RRsets of this zone alone, sorted by owner and type.
    pub fn own(&self) -> &[RelativeRrset] {
        &self.own
    }

    /// Returns what names and types say of the zone.
    pub fn structure(&self) -> &Structure {
        &self.structure
    }

    /// Returns the TTL of negative answers and of NSEC records: the smaller of the SOA's TTL and
    /// its MINIMUM (RFC 2308, section 5; RFC 9077, section 3).
    pub fn negative_ttl(&self) -> Ttl {
        self.negative_ttl
    }

    /// Returns the shared or own RRset behind `source`.
    pub fn relative(&self, source: Source) -> &RelativeRrset {
        match source {
            Source::Template(at) => &self.template.rrsets()[at],
            Source::Own(at) => &self.own[at],
        }
    }

    /// Returns the type of an RRset that is signed.
    pub fn rtype_of(&self, item: SignedItem) -> Rtype {
        match item {
            SignedItem::Data { node, rrset } => self.structure.nodes()[node].rrsets[rrset].0,
            SignedItem::Nsec { .. } => Rtype::NSEC,
        }
    }

    /// Returns every RRset of the zone's data in full, glue included, NSEC not, in canonical order.
    ///
    /// # Errors
    ///
    /// When a name does not fit under the apex.
    pub fn rrsets(&self) -> Result<Vec<Rrset>, ZoneError> {
        let nodes = self.structure.nodes().iter();
        let sources = nodes.flat_map(|node| node.rrsets.iter().map(|(_, source)| *source));
        sources
            .map(|source| self.relative(source).under(&self.apex))
            .collect()
    }

    /// Returns every RRset that is signed, NSEC included, in the order of
    /// [`Structure::signing_order`].
    ///
    /// # Errors
    ///
    /// When a name does not fit under the apex.
    pub fn rrsets_to_sign(&self) -> Result<Vec<Rrset>, ZoneError> {
        let items = self.structure.signing_order().into_iter();
        items.map(|item| self.rrset_to_sign(item)).collect()
    }

    /// Returns one RRset that is signed, in full.
    ///
    /// # Errors
    ///
    /// When a name does not fit under the apex.
    pub fn rrset_to_sign(&self, item: SignedItem) -> Result<Rrset, ZoneError> {
        let nodes = self.structure.nodes();
        match item {
            SignedItem::Data { node, rrset } => {
                self.relative(nodes[node].rrsets[rrset].1).under(&self.apex)
            }
            SignedItem::Nsec { node } => {
                let owner = &nodes[node].owner;
                let does_not_fit = |error: crate::wire::NameError| ZoneError::DoesNotFit {
                    owner: owner.clone(),
                    rtype: Rtype::NSEC,
                    reason: error.to_string(),
                };
                let next = self.structure.next_in_chain(node).owner.under(&self.apex);
                let next = next.map_err(does_not_fit)?;
                let full_owner = owner.under(&self.apex).map_err(does_not_fit)?;
                let rdata = Rdata::nsec(&next, &nodes[node].type_bitmap());
                Rrset::new(full_owner, Rtype::NSEC, self.negative_ttl, vec![rdata]).ok_or_else(
                    || ZoneError::SameRecordTwice {
                        owner: owner.clone(),
                        rtype: Rtype::NSEC,
                    },
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Name, RelativeRdata, Serial, SoaNumbers};

    #[test]
    fn a_name_server_of_a_delegation_has_to_fit_under_the_apex() {
        let host = Name::parse("ns.infra.example").unwrap();
        let rrset = |owner: &str, rtype, rdata| RelativeRrset {
            owner: RelativeName::parse(owner).unwrap(),
            rtype,
            ttl: Ttl::from_secs(300),
            rdatas: vec![rdata],
        };
        let numbers = SoaNumbers {
            serial: Serial::new(1),
            refresh: 1,
            retry: 1,
            expire: 1,
            minimum: Ttl::from_secs(1),
        };
        let label = "n".repeat(60);
        let long = Name::parse(&format!("{label}.{label}.{label}.short.example")).unwrap();
        let short = Apex::parse("short.example").unwrap();
        let soa = RelativeRdata::fixed(&Rdata::soa(&host, &host, numbers));
        let servers = RelativeRdata::fixed(&Rdata::name(&host));
        let inside = RelativeRdata::relative_to(Rtype::NS, &Rdata::name(&long), &short);
        let template = Template::new(vec![
            rrset("@", Rtype::SOA, soa),
            rrset("@", Rtype::NS, servers),
            rrset("sub", Rtype::NS, inside),
        ]);
        let template = Arc::new(template.unwrap());
        let other = Apex::parse(&format!("{label}.longer.example")).unwrap();

        let fits = UnsignedZone::new(short, template.clone(), Vec::new());
        let error = UnsignedZone::new(other, template, Vec::new()).unwrap_err();

        assert!(fits.is_ok(), "{fits:?}");
        let rtype = Rtype::NS;
        assert!(
            matches!(&error, ZoneError::DoesNotFit { rtype: found, .. } if *found == rtype),
            "{error}"
        );
    }
}
