use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::wire::{Apex, Rdata, Rtype};
use crate::zone::{RelativeRrset, Rrset, Template, TemplateId, UnsignedZone, ZoneError};

/// A zone's signatures and all that its template does not say: what is stored of it.
///
/// No name of the template and no NSEC record is repeated here; both follow from the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedZone {
    /// The zone's name.
    pub apex: Apex,
    /// The template that the signatures were made over.
    pub template: TemplateId,
    /// The RRsets of this zone alone, sorted by owner and type: SOA, DNSKEY, CDS, CDNSKEY, and
    /// what the operator added.
    pub own: Vec<RelativeRrset>,
    /// The keys that signed.
    pub keys: Vec<SigningKeyTag>,
    /// The signatures of each RRset, in the order of `Structure::signing_order`.
    pub signatures: Vec<Vec<Signature>>,
}

/// What a signature says of the key that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeyTag {
    /// The algorithm's number.
    pub algorithm: u8,
    /// The key's tag (RFC 4034, appendix B).
    pub key_tag: u16,
}

/// One signature over an RRset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Index of the key in [`SignedZone::keys`].
    pub key: u8,
    /// When it begins to be valid, as RRSIG writes it.
    pub inception: u32,
    /// When it ceases to be valid, as RRSIG writes it.
    pub expiration: u32,
    /// The signature itself.
    #[serde(with = "serde_bytes")]
    pub octets: Vec<u8>,
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
    /// Returns the zone without its signatures.
    ///
    /// # Errors
    ///
    /// When `template` does not make a zone of it; a stored zone never was written so.
    pub fn to_unsigned(&self, template: &Arc<Template>) -> Result<UnsignedZone, ZoneError> {
        UnsignedZone::new(self.apex.clone(), Arc::clone(template), self.own.clone())
    }

    /// Returns every RRset in full with its signatures, in the canonical order of owners: glue
    /// included, NSEC after the data of its owner.
    ///
    /// # Errors
    ///
    /// When template and signatures do not belong together.
    pub fn expand(&self, template: &Arc<Template>) -> Result<Vec<SignedRrset>, ZoneError> {
        let zone = self.to_unsigned(template)?;
        let mut full: Vec<SignedRrset> = Vec::new();
        let signed = zone.rrsets_to_sign()?;
        for (rrset, signatures) in signed.into_iter().zip(&self.signatures) {
            let rrsigs = signatures
                .iter()
                .filter_map(|signature| self.rrsig(&rrset, signature));
            let rrsigs = rrsigs.collect();
            full.push(SignedRrset { rrset, rrsigs });
        }
        for rrset in zone.rrsets()? {
            if !full.iter().any(|seen| seen.rrset.key() == rrset.key()) {
                full.push(SignedRrset {
                    rrset,
                    rrsigs: Vec::new(),
                });
            }
        }
        full.sort_by(|a, b| a.rrset.owner().cmp(b.rrset.owner()));
        Ok(full)
    }

    /// Returns the data of an RRSIG record (RFC 4034, section 3.1).
    fn rrsig(&self, rrset: &Rrset, signature: &Signature) -> Option<Rdata> {
        let key = self.keys.get(usize::from(signature.key))?;
        let head = rrsig_head(
            rrset,
            *key,
            signature.inception,
            signature.expiration,
            &self.apex,
        );
        Rdata::from_wire(Rtype::RRSIG, &[head.as_slice(), &signature.octets].concat()).ok()
    }
}

/// Returns RRSIG data up to the signature: what is signed in front of the records (RFC 4034,
/// section 3.1.8.1).
pub fn rrsig_head(
    rrset: &Rrset,
    key: SigningKeyTag,
    inception: u32,
    expiration: u32,
    signer: &Apex,
) -> Vec<u8> {
    let mut head = Vec::with_capacity(18 + signer.as_wire().len());
    head.extend_from_slice(&rrset.rtype().code().to_be_bytes());
    head.push(key.algorithm);
    // The labels field does not count a leading "*" (RFC 4034, section 3.1.3).
    let labels = rrset.owner().label_count() - usize::from(rrset.owner().is_wildcard());
    head.push(labels as u8);
    head.extend_from_slice(&rrset.ttl().as_secs().to_be_bytes());
    head.extend_from_slice(&expiration.to_be_bytes());
    head.extend_from_slice(&inception.to_be_bytes());
    head.extend_from_slice(&key.key_tag.to_be_bytes());
    head.extend_from_slice(signer.as_wire());
    head
}
