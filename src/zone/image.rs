use std::sync::Arc;

use crate::clock::Timestamp;
use crate::wire::{Name, Serial};
use crate::zone::{Layouts, SignedZone, Template, ZoneError};

/// A zone as it is served: what it shares with others of its shape, and one block of octets.
#[derive(Debug)]
pub struct ZoneImage {}

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
        let _ = (zone, template, layouts);
        Ok(Self {})
    }

    /// Returns the zone's name.
    pub fn apex(&self) -> Name {
        Name::root()
    }

    /// Returns the serial of its SOA record.
    pub fn serial(&self) -> Serial {
        Serial::new(0)
    }

    /// Returns when the first of its signatures expires; `None` when nothing is signed.
    ///
    /// RRSIG's 32 bits are read as the moment nearest to `now` (RFC 4034, section 3.1.5).
    pub fn earliest_expiration(&self, now: Timestamp) -> Option<Timestamp> {
        let _ = now;
        None
    }
}
