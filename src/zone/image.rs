use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::layout::{Holder, Layout, Record};
use crate::clock::Timestamp;
use crate::wire::{Name, Rtype, Serial};
use crate::zone::{
    Layouts, RelativeRrset, SIGNATURE_LENGTH, SignedZone, SigningKeyTag, Template, Validity,
    ZoneError,
};

/// A zone as it is served: what it shares with others of its shape, and one block of octets.
///
/// Immutable and complete: an answer needs nothing else. The block holds, one behind the other,
/// the data of the zone's own RRsets, its keys' tags, which validity each signature has, the
/// signatures, the validities, and the apex.
pub struct ZoneImage {
    /// What zones of this shape share.
    layout: Arc<Layout>,
    /// What this zone alone has.
    block: Box<[u8]>,
    /// The first expiration of all signatures, as RRSIG writes it.
    expiration: Option<u32>,
    /// How many keys signed.
    keys: u8,
    /// The octets of the apex.
    apex_length: u8,
}

/// The octets of a key's algorithm and tag.
const KEY_LENGTH: usize = 3;
/// The octets of a validity.
const VALIDITY_LENGTH: usize = 8;

impl ZoneImage {
    /// Composes the image of a signed zone; copies octets, computes no signature.
    ///
    /// `template` is the one that `zone` names.
    ///
    /// # Errors
    ///
    /// When the template and the zone's own RRsets make no zone, or the signatures are not those
    /// of its RRsets.
    pub fn compose(
        zone: &SignedZone,
        template: &Arc<Template>,
        layouts: &Layouts,
    ) -> Result<Self, ZoneError> {
        let mut own: Vec<&RelativeRrset> = zone.own.iter().collect();
        // Mostly sorted as it is: then this only looks.
        own.sort_by(|a, b| (&a.owner, a.rtype).cmp(&(&b.owner, b.rtype)));
        let layout = layouts.of(zone, &own, template)?;
        zone.validate(layout.items())?;
        let apex = zone.apex.as_wire();
        layout.check_apex(apex.len())?;

        let length = layout.own_length()
            + zone.keys.len() * KEY_LENGTH
            + zone.validity_of.len()
            + zone.signatures.len()
            + zone.validities.len() * VALIDITY_LENGTH
            + apex.len();
        let mut block = Vec::with_capacity(length);
        for rdata in own.iter().flat_map(|rrset| &rrset.rdatas) {
            for (_, segment) in rdata.segments() {
                block.extend_from_slice(segment);
            }
        }
        for key in &zone.keys {
            block.push(key.algorithm);
            block.extend_from_slice(&key.key_tag.to_be_bytes());
        }
        block.extend_from_slice(&zone.validity_of);
        block.extend_from_slice(&zone.signatures);
        for validity in &zone.validities {
            block.extend_from_slice(&validity.inception.to_be_bytes());
            block.extend_from_slice(&validity.expiration.to_be_bytes());
        }
        block.extend_from_slice(apex);
        Ok(Self {
            layout,
            expiration: zone.earliest_expiration(),
            keys: zone.keys.len() as u8,
            apex_length: apex.len() as u8,
            block: block.into_boxed_slice(),
        })
    }

    /// Returns the zone's name.
    ///
    /// # Panics
    ///
    /// Never: [`ZoneImage::compose`] copied it from a name.
    pub fn apex(&self) -> Name {
        Name::from_wire(self.apex_wire()).expect("compose copied the apex from a name")
    }

    /// Returns the zone's name in wire form.
    pub fn apex_wire(&self) -> &[u8] {
        let start = self.block.len() - usize::from(self.apex_length);
        &self.block[start..]
    }

    /// Returns the serial of its SOA record.
    pub fn serial(&self) -> Serial {
        let soa = self.layout.rrset(self.layout.soa());
        debug_assert_eq!(soa.rtype, Rtype::SOA);
        let records = self.layout.records(soa).first();
        let octets = records.map_or(&[][..], |record| self.octets(record));
        // Behind it follow refresh, retry, expire and minimum.
        let numbers = octets
            .last_chunk::<20>()
            .and_then(|last| last.first_chunk());
        Serial::new(u32::from_be_bytes(*numbers.unwrap_or(&[0; 4])))
    }

    /// Returns when the first of its signatures expires; `None` when nothing is signed.
    ///
    /// RRSIG's 32 bits are read as the moment nearest to `now` (RFC 4034, section 3.1.5).
    pub fn earliest_expiration(&self, now: Timestamp) -> Option<Timestamp> {
        Some(now.nearest_rrsig_time(self.expiration?))
    }

    /// Returns whether a signature has expired, so that the zone must not be served.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.earliest_expiration(now)
            .is_some_and(|expiration| expiration < now)
    }

    /// Returns what zones of this shape share.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the octets of a record's data, without what fills its holes.
    pub(super) fn octets(&self, record: &Record) -> &[u8] {
        match record.holder {
            Holder::Layout => self.layout.octets(record.octets),
            Holder::Image => &self.block[record.octets.range()],
        }
    }

    /// Returns how many keys signed.
    pub(super) fn key_count(&self) -> usize {
        usize::from(self.keys)
    }

    /// Returns a key's tag.
    pub(super) fn key(&self, key: usize) -> SigningKeyTag {
        let start = self.layout.own_length() + key * KEY_LENGTH;
        let octets = &self.block[start..start + KEY_LENGTH];
        SigningKeyTag {
            algorithm: octets[0],
            key_tag: u16::from_be_bytes([octets[1], octets[2]]),
        }
    }

    /// Returns when the signatures of an item of the signing order are valid.
    pub(super) fn validity(&self, item: u32) -> Validity {
        let index = self.validity_of().start + item as usize;
        let validities = self.signatures().end;
        let start = validities + usize::from(self.block[index]) * VALIDITY_LENGTH;
        let word = |at: usize| {
            let octets = &self.block[at..at + 4];
            u32::from_be_bytes([octets[0], octets[1], octets[2], octets[3]])
        };
        Validity {
            inception: word(start),
            expiration: word(start + 4),
        }
    }

    /// Returns the signature of an item of the signing order by one of the keys.
    pub(super) fn signature(&self, item: u32, key: usize) -> &[u8] {
        let index = item as usize * self.key_count() + key;
        let start = self.signatures().start + index * SIGNATURE_LENGTH;
        &self.block[start..start + SIGNATURE_LENGTH]
    }

    /// Returns where in the block the indices of validities lie.
    fn validity_of(&self) -> Range<usize> {
        let start = self.layout.own_length() + self.key_count() * KEY_LENGTH;
        start..start + self.layout.items()
    }

    /// Returns where in the block the signatures lie.
    fn signatures(&self) -> Range<usize> {
        let start = self.validity_of().end;
        start..start + self.layout.items() * self.key_count() * SIGNATURE_LENGTH
    }
}

impl fmt::Debug for ZoneImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZoneImage")
            .field("apex", &self.apex())
            .field("serial", &self.serial())
            .finish_non_exhaustive()
    }
}
