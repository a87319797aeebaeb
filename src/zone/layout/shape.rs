//! Layouts, found again by what they depend on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Layout;
use super::compile::{Signing, compile, octets};
use super::names::Compressed;
use crate::wire::{Rtype, SegmentEnd};
use crate::zone::{RelativeRrset, SignedZone, Template, ZoneError};

/// The octets of a SOA record behind its names (RFC 1035, section 3.3.13).
const SOA_NUMBERS: usize = 20;

/// The layouts that zone images share, each kept for as long as an image uses it.
///
/// Images are composed on many threads at once; the lock is held for a look into the map only.
#[derive(Debug, Default)]
pub struct Layouts {
    /// The layouts by what they depend on.
    known: Mutex<Known>,
}

/// What [`Layouts`] keeps under its lock: one map and when to clean it.
#[derive(Debug, Default)]
struct Known {
    /// The layouts that are, or were, in use.
    by_shape: HashMap<Box<[u8]>, Weak<Layout>>,
    /// At how many entries those that no image uses are dropped.
    clean_at: usize,
}

impl Layouts {
    /// Returns an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the layout of `zone`, compiled now if no image has it.
    ///
    /// `own` are the zone's own RRsets, sorted.
    ///
    /// # Errors
    ///
    /// When it is another template, or makes no zone with the own RRsets.
    pub(in crate::zone) fn of(
        &self,
        zone: &SignedZone,
        own: &[&RelativeRrset],
        template: &Arc<Template>,
    ) -> Result<Arc<Layout>, ZoneError> {
        let shape = shape(zone, own);
        if let Some(layout) = self.known(&shape) {
            return Ok(layout);
        }
        // Whoever mixes templates up must not mislead all later zones of the shape.
        let found = template.id();
        if found != zone.template {
            return Err(ZoneError::OtherTemplate {
                expected: zone.template,
                found,
            });
        }
        let signing = if zone.is_signed() {
            Signing::Signed
        } else {
            Signing::Unsigned
        };
        // Not under the lock: two threads may compile one shape at once, and the first one wins.
        let layout = Arc::new(compile(&zone.to_unsigned(template)?, signing));
        Ok(self.add(shape, layout))
    }

    /// Returns a layout that is in use.
    fn known(&self, shape: &[u8]) -> Option<Arc<Layout>> {
        // Nothing panics under the lock; and were it so, a map of weak references stays right.
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.by_shape.get(shape)?.upgrade()
    }

    /// Adds a layout, unless another thread was faster, and returns the one that is used.
    fn add(&self, shape: Box<[u8]>, layout: Arc<Layout>) -> Arc<Layout> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(faster) = known.by_shape.get(&shape).and_then(Weak::upgrade) {
            return faster;
        }
        if known.by_shape.len() >= known.clean_at {
            known.by_shape.retain(|_, layout| layout.strong_count() > 0);
            known.clean_at = known.by_shape.len() * 2 + 16;
        }
        known.by_shape.insert(shape, Arc::downgrade(&layout));
        layout
    }
}

/// Returns all that a zone's layout depends on: two zones with equal shapes have equal layouts.
fn shape(zone: &SignedZone, own: &[&RelativeRrset]) -> Box<[u8]> {
    let mut shape = Vec::with_capacity(256);
    let number = |shape: &mut Vec<u8>, number: usize| {
        shape.extend_from_slice(&(number as u32).to_be_bytes());
    };
    shape.extend_from_slice(&zone.template.0);
    shape.push(u8::from(zone.is_signed()));
    for rrset in own {
        number(&mut shape, rrset.owner.as_wire().len());
        shape.extend_from_slice(rrset.owner.as_wire());
        shape.extend_from_slice(&rrset.rtype.code().to_be_bytes());
        number(&mut shape, rrset.ttl.as_secs() as usize);
        number(&mut shape, rrset.rdatas.len());
        for rdata in &rrset.rdatas {
            for (end, segment) in rdata.segments() {
                number(&mut shape, segment.len());
                shape.push(u8::from(end == SegmentEnd::Apex));
                // Which hosts of the zone an RRset names decides what goes along with it.
                if end == SegmentEnd::Apex {
                    shape.extend_from_slice(segment);
                }
            }
            let length = octets(rdata).count();
            let names = match (rrset.rtype, Compressed::of_own(rrset.rtype)) {
                // The numbers behind the names are each zone's.
                (Rtype::SOA, _) => length.saturating_sub(SOA_NUMBERS),
                (_, Compressed::All) => length,
                (_, Compressed::InZone) => 0,
            };
            // How names elsewhere are compressed depends on what they are.
            shape.extend(octets(rdata).take(names));
            if rrset.rtype == Rtype::SOA {
                // MINIMUM, at the end: it makes the TTL of negative answers.
                shape.extend(octets(rdata).skip(length.saturating_sub(4)));
            }
        }
    }
    shape.into_boxed_slice()
}
