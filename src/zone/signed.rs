//! A zone's signatures in flat memory, so that many thousands load at once.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::wire::{Apex, Rdata};
use crate::zone::{
    RelativeRrset, Rrset, SignedItem, Template, TemplateId, UnsignedZone, ZoneError,
};

/// A zone's signatures and all that its template does not say: what is stored of it.
///
/// No name of the template and no NSEC record is repeated here; both follow from the template.
/// Signatures lie flat, one behind the other, so that a hundred thousand zones load as copies.
/// A zone without keys has no signatures and is served unsigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedZone {
    /// The zone's name.
    pub apex: Apex,
    /// The template that the signatures were made over.
    pub template: TemplateId,
    /// The RRsets of this zone alone, sorted by owner and type: SOA, DNSKEY, CDS, CDNSKEY, and
    /// what the operator added.
    pub own: Vec<RelativeRrset>,
    /// The keys that signed; each of them signed every RRset.
    pub keys: Vec<SigningKeyTag>,
    /// The validities that occur, each once.
    pub validities: Vec<Validity>,
    /// The validity of each RRset's signatures, as an index into `validities`, in the order of
    /// `Structure::signing_order`.
    pub validity_of: Vec<u8>,
    /// The signatures, [`SIGNATURE_LENGTH`] octets each: those of the first RRset by each key in
    /// the order of `keys`, then those of the second, and so on.
    pub signatures: Vec<u8>,
}

/// The octets of a signature: both algorithms in use make 64 (RFC 6605, section 4; RFC 8080,
/// section 4).
pub const SIGNATURE_LENGTH: usize = 64;

/// What a signature says of the key that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeyTag {
    /// The algorithm's number.
    pub algorithm: u8,
    /// The key's tag (RFC 4034, appendix B).
    pub key_tag: u16,
}

/// When signatures are valid, as RRSIG writes it: seconds modulo 2^32 (RFC 4034, section 3.1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Validity {
    /// When they begin to be valid.
    pub inception: u32,
    /// When they cease to be valid.
    pub expiration: u32,
}

/// Signatures that do not belong to their zone: what was stored is damaged or was mixed up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignedZoneError {
    /// There are more or fewer validities than signed RRsets.
    #[error("expected the validity of {expected} signed RRsets, found {found}")]
    ValidityCount {
        /// How many RRsets the zone signs.
        expected: usize,
        /// How many have a validity.
        found: usize,
    },
    /// An RRset names a validity that is not there.
    #[error("signed RRset {item} has validity {index} of {count}")]
    NoSuchValidity {
        /// The RRset's place in the signing order.
        item: usize,
        /// The index that was found.
        index: u8,
        /// How many validities there are.
        count: usize,
    },
    /// There are more or fewer octets of signatures than RRsets and keys ask for.
    #[error("expected {expected} octets of signatures, found {found}")]
    SignatureOctets {
        /// How many octets all signatures take.
        expected: usize,
        /// How many there are.
        found: usize,
    },
}

/// An RRset with its signatures, in full, as it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRrset {
    /// The RRset.
    pub rrset: Rrset,
    /// The data of its RRSIG records; none for glue and delegations.
    pub rrsigs: Vec<Rdata>,
}

impl SignedZone {
    /// Returns whether anything is signed here.
    pub fn is_signed(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Checks that the lists fit each other and a zone that signs `items` RRsets.
    ///
    /// # Errors
    ///
    /// Says what was expected and what was found.
    pub fn validate(&self, items: usize) -> Result<(), SignedZoneError> {
        let items = if self.is_signed() { items } else { 0 };
        if self.validity_of.len() != items {
            return Err(SignedZoneError::ValidityCount {
                expected: items,
                found: self.validity_of.len(),
            });
        }
        let count = self.validities.len();
        let mut indices = self.validity_of.iter().enumerate();
        if let Some((item, index)) = indices.find(|(_, index)| usize::from(**index) >= count) {
            return Err(SignedZoneError::NoSuchValidity {
                item,
                index: *index,
                count,
            });
        }
        let expected = items * self.keys.len() * SIGNATURE_LENGTH;
        if self.signatures.len() != expected {
            return Err(SignedZoneError::SignatureOctets {
                expected,
                found: self.signatures.len(),
            });
        }
        Ok(())
    }

    /// Returns the signatures of one RRset by its place in `Structure::signing_order`, one by each
    /// key; none for a place that does not exist.
    pub fn signatures_of(
        &self,
        item: usize,
    ) -> impl Iterator<Item = (SigningKeyTag, Validity, &[u8])> {
        let validity = self.validity(item);
        let start = item * self.keys.len() * SIGNATURE_LENGTH;
        let octets = self.signatures.get(start..).unwrap_or_default();
        let signatures = self.keys.iter().zip(octets.chunks_exact(SIGNATURE_LENGTH));
        signatures.filter_map(move |(key, octets)| Some((*key, validity?, octets)))
    }

    /// Returns when the signatures of one RRset are valid.
    pub fn validity(&self, item: usize) -> Option<Validity> {
        let index = self.validity_of.get(item)?;
        self.validities.get(usize::from(*index)).copied()
    }

    /// Returns the first expiration of all signatures, as RRSIG writes it; `None` if unsigned.
    pub fn earliest_expiration(&self) -> Option<u32> {
        let expirations = self.validities.iter().map(|validity| validity.expiration);
        // Serial arithmetic (RFC 4034, section 3.1.5): only differences can be compared.
        expirations.reduce(|first, other| match other.wrapping_sub(first) as i32 {
            ..0 => other,
            0.. => first,
        })
    }

    /// Returns the zone without its signatures.
    ///
    /// # Errors
    ///
    /// When `template` does not make a zone of it; a stored zone never was written so.
    pub fn to_unsigned(&self, template: &Arc<Template>) -> Result<UnsignedZone, ZoneError> {
        UnsignedZone::new(self.apex.clone(), Arc::clone(template), self.own.clone())
    }

    /// Returns every RRset in full with its signatures, in the canonical order of owners: glue
    /// included, NSEC after the data of its owner; no NSEC if the zone is unsigned.
    ///
    /// # Errors
    ///
    /// When template and signatures do not belong together.
    pub fn expand(&self, template: &Arc<Template>) -> Result<Vec<SignedRrset>, ZoneError> {
        let zone = self.to_unsigned(template)?;
        let order = zone.structure().signing_order();
        self.validate(order.len())?;
        // Items come in the order of nodes, so one walk over both finds what belongs together.
        let mut items = order.iter().copied().enumerate().peekable();
        let mut full: Vec<SignedRrset> = Vec::new();
        for (node, content) in zone.structure().nodes().iter().enumerate() {
            for (rrset, (_, source)) in content.rrsets.iter().enumerate() {
                let here = SignedItem::Data { node, rrset };
                let item = items.next_if(|(_, item)| *item == here);
                let rrset = zone.relative(*source).under(&self.apex)?;
                full.push(self.signed(rrset, item.map(|(index, _)| index)));
            }
            let here = SignedItem::Nsec { node };
            let nsec = items.next_if(|(_, item)| *item == here);
            if let Some((index, item)) = nsec.filter(|_| self.is_signed()) {
                full.push(self.signed(zone.rrset_to_sign(item)?, Some(index)));
            }
        }
        Ok(full)
    }

    /// Puts an RRset together with the signatures of its place in the signing order.
    fn signed(&self, rrset: Rrset, item: Option<usize>) -> SignedRrset {
        let signatures = item.into_iter().flat_map(|item| self.signatures_of(item));
        let rrsigs = signatures.map(|(key, validity, octets)| {
            let mut rdata = Vec::with_capacity(18 + self.apex.as_wire().len() + SIGNATURE_LENGTH);
            rrsig_head(&mut rdata, &rrset, key, validity, &self.apex);
            rdata.extend_from_slice(octets);
            Rdata::rrsig(rdata)
        });
        let rrsigs = rrsigs.collect();
        SignedRrset { rrset, rrsigs }
    }
}

/// Appends RRSIG data up to the signature: what is signed in front of the records (RFC 4034,
/// section 3.1.8.1).
pub fn rrsig_head(
    head: &mut Vec<u8>,
    rrset: &Rrset,
    key: SigningKeyTag,
    validity: Validity,
    signer: &Apex,
) {
    head.extend_from_slice(&rrset.rtype().code().to_be_bytes());
    head.push(key.algorithm);
    // The labels field does not count a leading "*" (RFC 4034, section 3.1.3).
    let labels = rrset.owner().label_count() - usize::from(rrset.owner().is_wildcard());
    head.push(labels as u8);
    head.extend_from_slice(&rrset.ttl().as_secs().to_be_bytes());
    head.extend_from_slice(&validity.expiration.to_be_bytes());
    head.extend_from_slice(&validity.inception.to_be_bytes());
    head.extend_from_slice(&key.key_tag.to_be_bytes());
    head.extend_from_slice(signer.as_wire());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Name, RelativeName, RelativeRdata, Rtype, Serial, SoaNumbers, Ttl};

    /// Returns a template of NS records, a delegation with glue and a wildcard.
    fn template() -> Arc<Template> {
        let host = Name::parse("ns1.infra.example").unwrap();
        let glue = Name::parse("ns.below.b.example").unwrap();
        let apex = Name::parse("b.example").unwrap();
        let rrset = |owner: &str, rtype, rdata: &Rdata| RelativeRrset {
            owner: RelativeName::parse(owner).unwrap(),
            rtype,
            ttl: Ttl::from_secs(3600),
            rdatas: vec![RelativeRdata::relative_to(rtype, rdata, &apex)],
        };
        let address = Rdata::a([192, 0, 2, 1].into());
        let template = Template::new(vec![
            rrset("@", Rtype::NS, &Rdata::name(&host)),
            rrset("below", Rtype::NS, &Rdata::name(&glue)),
            rrset("ns.below", Rtype::A, &address),
            rrset("*.wild", Rtype::A, &address),
        ]);
        Arc::new(template.unwrap())
    }

    /// Returns a zone with two keys whose signatures are numbered octets.
    fn zone(template: &Template) -> SignedZone {
        let name = Name::parse("ns1.infra.example").unwrap();
        let numbers = SoaNumbers {
            serial: Serial::new(1),
            refresh: 1,
            retry: 1,
            expire: 1,
            minimum: Ttl::from_secs(900),
        };
        let soa = RelativeRrset {
            owner: RelativeName::apex(),
            rtype: Rtype::SOA,
            ttl: Ttl::from_secs(900),
            rdatas: vec![RelativeRdata::fixed(&Rdata::soa(&name, &name, numbers))],
        };
        let key = |key_tag| SigningKeyTag {
            algorithm: 13,
            key_tag,
        };
        // Signed: NS, SOA, NSEC at the apex; NSEC at the cut; A and NSEC at the wildcard.
        SignedZone {
            apex: Apex::parse("b.example").unwrap(),
            template: template.id(),
            own: vec![soa],
            keys: vec![key(1), key(2)],
            validities: vec![
                Validity {
                    inception: u32::MAX - 50,
                    expiration: 50,
                },
                Validity {
                    inception: u32::MAX - 99,
                    expiration: u32::MAX - 1,
                },
            ],
            validity_of: vec![0, 0, 0, 1, 0, 0],
            signatures: (0..12).flat_map(|n| [n; SIGNATURE_LENGTH]).collect(),
        }
    }

    #[test]
    fn expansion_gives_each_rrset_the_signature_of_each_key_and_glue_none() {
        let template = template();

        let full = zone(&template).expand(&template).unwrap();

        let seen: Vec<(String, Vec<u8>)> = full
            .iter()
            .map(|signed| {
                let last = |rdata: &Rdata| rdata.as_wire().last().copied().unwrap();
                let rrset = &signed.rrset;
                let key = format!("{} {}", rrset.owner(), rrset.rtype());
                (key, signed.rrsigs.iter().map(last).collect())
            })
            .collect();
        let expected = [
            ("b.example. NS", vec![0, 1]),
            ("b.example. SOA", vec![2, 3]),
            ("b.example. NSEC", vec![4, 5]),
            ("below.b.example. NS", vec![]),
            ("below.b.example. NSEC", vec![6, 7]),
            ("ns.below.b.example. A", vec![]),
            ("*.wild.b.example. A", vec![8, 9]),
            ("*.wild.b.example. NSEC", vec![10, 11]),
        ];
        assert_eq!(seen, expected.map(|(key, sigs)| (key.to_owned(), sigs)));
    }

    #[test]
    fn damaged_lists_are_errors() {
        let template = template();
        let whole = zone(&template);
        assert_eq!(whole.validate(6), Ok(()));

        let mut short = whole.clone();
        short.signatures.pop();
        let mut astray = whole.clone();
        astray.validity_of[3] = 2;
        let mut missing = whole;
        missing.validity_of.pop();

        for damaged in [short, astray, missing] {
            assert!(damaged.validate(6).is_err(), "{damaged:?}");
            assert!(damaged.expand(&template).is_err(), "{damaged:?}");
            assert!(damaged.signatures_of(usize::from(u8::MAX)).next().is_none());
        }
    }

    #[test]
    fn the_earliest_expiration_is_found_across_the_wrap_of_2106() {
        let template = template();

        assert_eq!(zone(&template).earliest_expiration(), Some(u32::MAX - 1));
    }

    #[test]
    fn an_unsigned_zone_expands_without_denial() {
        let template = template();
        let mut zone = zone(&template);
        zone.keys.clear();
        zone.validities.clear();
        zone.validity_of.clear();
        zone.signatures.clear();

        let full = zone.expand(&template).unwrap();

        assert_eq!(full.len(), 5);
        assert!(full.iter().all(|signed| signed.rrsigs.is_empty()));
        assert_eq!(zone.earliest_expiration(), None);
    }
}
