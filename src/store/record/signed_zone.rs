//! Signatures at rest; with its template a record is a zone that can be served.

use serde::{Deserialize, Serialize};

use super::{Record, RecordError};
use crate::store::Space;
use crate::wire::{Apex, Name};
use crate::zone::{
    RelativeRrset, SIGNATURE_LENGTH, SignedZone, SigningKeyTag, Template, TemplateId, Validity,
};

/// The signatures of one version of a zone; see [`signed_zone_key`] for its key.
///
/// The same parts as [`SignedZone`] has, but for the name, which is in the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedZoneRecord {
    /// The template that the signatures were made over.
    template: TemplateId,
    /// The RRsets of this zone alone.
    own: Vec<RelativeRrset>,
    /// The keys that signed.
    keys: Vec<SigningKeyTag>,
    /// The validities that occur.
    validities: Vec<Validity>,
    /// The validity of each RRset's signatures.
    #[serde(with = "serde_bytes")]
    validity_of: Vec<u8>,
    /// The signatures, one behind the other.
    #[serde(with = "serde_bytes")]
    signatures: Vec<u8>,
}

impl Record for SignedZoneRecord {
    const SPACE: Space = Space::SignedZone;
    const VERSION: u8 = 1;

    /// Refuses lists that do not belong together, so that whoever walks them needs not check.
    fn check(&self) -> Result<(), String> {
        let wanted = self.validity_of.len() * self.keys.len() * SIGNATURE_LENGTH;
        if self.signatures.len() != wanted {
            let found = self.signatures.len();
            return Err(format!(
                "expected {wanted} octets of signatures, found {found}"
            ));
        }
        let validities = self.validities.len();
        match self.validity_of.iter().max() {
            Some(highest) if usize::from(*highest) >= validities => Err(format!(
                "expected a validity below {validities}, found {highest}"
            )),
            _ => Ok(()),
        }
    }
}

impl From<SignedZone> for SignedZoneRecord {
    fn from(zone: SignedZone) -> Self {
        let SignedZone {
            apex: _,
            template,
            own,
            keys,
            validities,
            validity_of,
            signatures,
        } = zone;
        Self {
            template,
            own,
            keys,
            validities,
            validity_of,
            signatures,
        }
    }
}

impl SignedZoneRecord {
    /// Returns the zone, whose name is in the record's key.
    pub fn into_zone(self, apex: Apex) -> SignedZone {
        let Self {
            template,
            own,
            keys,
            validities,
            validity_of,
            signatures,
        } = self;
        SignedZone {
            apex,
            template,
            own,
            keys,
            validities,
            validity_of,
            signatures,
        }
    }
}

/// Returns the key of one version of a zone: the apex in wire form and the version, so that the
/// versions of a zone lie beside each other.
pub fn signed_zone_key(apex: &Apex, version: u64) -> Box<[u8]> {
    [apex.as_wire(), &version.to_be_bytes()]
        .concat()
        .into_boxed_slice()
}

/// Returns the zone and version of a key, if it has the form of one.
pub fn split_signed_zone_key(key: &[u8]) -> Option<(Apex, u64)> {
    let (apex, version) = key.split_last_chunk::<8>()?;
    let apex = Apex::new(Name::from_wire(apex).ok()?).ok()?;
    Some((apex, u64::from_be_bytes(*version)))
}

/// A template; its key is its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TemplateRecord(pub Template);

impl Record for TemplateRecord {
    const SPACE: Space = Space::Template;
    const VERSION: u8 = 1;
}

impl TemplateRecord {
    /// Returns the template that was stored under a key.
    ///
    /// # Errors
    ///
    /// When the key is no id, or that of other content: signatures made over the template that
    /// the id names would not fit this one.
    pub fn into_template(self, key: &[u8]) -> Result<(TemplateId, Template), RecordError> {
        let id = self.0.id();
        if id.0 != key {
            return Err(RecordError::Damaged {
                space: Space::Template,
                reason: format!(
                    "its content has the id {id}, it is stored as {}",
                    key.escape_ascii()
                ),
            });
        }
        Ok((id, self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{decode, encode};
    use super::*;

    /// Returns a zone without RRsets of its own, signed by one key.
    fn record() -> SignedZoneRecord {
        SignedZoneRecord {
            template: TemplateId([7; 32]),
            own: Vec::new(),
            keys: vec![SigningKeyTag {
                algorithm: 13,
                key_tag: 1,
            }],
            validities: vec![Validity {
                inception: 1,
                expiration: 2,
            }],
            validity_of: vec![0, 0],
            signatures: vec![9; 2 * SIGNATURE_LENGTH],
        }
    }

    #[test]
    fn a_key_gives_back_zone_and_version() {
        let apex = Apex::parse("burner.example").unwrap();

        let key = signed_zone_key(&apex, 1 << 40);

        assert_eq!(split_signed_zone_key(&key), Some((apex, 1 << 40)));
        assert_eq!(split_signed_zone_key(&key[..7]), None);
    }

    #[test]
    fn signatures_of_another_count_are_damage() {
        let mut record = record();
        record.signatures.pop();

        let error = decode::<SignedZoneRecord>(&encode(&record)).unwrap_err();

        let text = error.to_string();
        assert!(
            text.contains("expected 128 octets of signatures, found 127"),
            "{text}"
        );
    }

    #[test]
    fn a_validity_that_is_not_there_is_damage() {
        let mut record = record();
        record.validity_of[1] = 1;

        let error = decode::<SignedZoneRecord>(&encode(&record)).unwrap_err();

        let text = error.to_string();
        assert!(
            text.contains("expected a validity below 1, found 1"),
            "{text}"
        );
    }

    #[test]
    fn a_template_under_another_id_is_damage() {
        let template = Template::new(Vec::new()).unwrap();
        let id = template.id();

        let stored = TemplateRecord(template.clone());

        assert_eq!(
            stored.clone().into_template(&id.0),
            Ok((id, template.clone()))
        );
        assert!(stored.into_template(&[0; 32]).is_err());
    }
}
