//! Signed zones as they are read at a start, composed into what is served: copying, no signing.

use std::collections::HashMap;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, mpsc};
use std::thread;

use super::facts::SharedTemplate;
use super::load::{Loaded, StartError};
use crate::store::record::{self, SignedZoneRecord};
use crate::store::{Direction, Space, Store};
use crate::wire::{Apex, Rtype};
use crate::zone::{Layouts, RelativeRrset, TemplateId, ZoneImage};

/// How many signed zones are decoded and composed in one piece of work.
const CHUNK: usize = 256;

/// A signed zone that was read and composed.
pub(super) struct Composed {
    /// The template it is made over.
    pub(super) template: Arc<SharedTemplate>,
    /// The RRsets of an operator's zone, but for SOA and keys; nothing for a domain.
    pub(super) content: Vec<RelativeRrset>,
}

/// One chunk of signed zones, as stored.
type Raw = Vec<(Apex, Vec<u8>)>;

/// What became of a chunk.
type Done = Result<Vec<(Apex, Composed, ZoneImage)>, StartError>;

/// Reads every signed zone that is wanted, and composes its image; the rest are orphans.
///
/// # Errors
///
/// When the store fails, or a zone in it is damaged.
pub(super) fn compose(
    store: &dyn Store,
    layouts: &Layouts,
    cores: usize,
    wanted: &HashMap<Apex, u64>,
    loaded: &mut Loaded,
) -> Result<HashMap<Apex, Composed>, StartError> {
    let templates = &loaded.templates;
    let mut orphans = Vec::new();
    let mut last_version = 0;
    let mut composed = HashMap::with_capacity(wanted.len());
    let mut images = Vec::with_capacity(wanted.len());
    thread::scope(|scope| {
        // Bounded, so that no more than a few chunks of octets are in flight.
        let (chunks, work) = mpsc::sync_channel::<Raw>(2 * cores);
        let work = Arc::new(std::sync::Mutex::new(work));
        let (results, done) = mpsc::channel::<Done>();
        for _ in 0..cores {
            let work = Arc::clone(&work);
            let results = results.clone();
            scope.spawn(move || {
                loop {
                    let chunk = work
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .recv();
                    let Ok(chunk) = chunk else {
                        return;
                    };
                    let zones = chunk.into_iter();
                    let zones =
                        zones.map(|(apex, octets)| compose_one(apex, &octets, templates, layouts));
                    if results.send(zones.collect()).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);

        let mut chunk: Raw = Vec::with_capacity(CHUNK);
        let scanned = store.scan(
            Space::SignedZone,
            Bound::Unbounded,
            Direction::Ascending,
            &mut |key, value| {
                match record::split_signed_zone_key(key) {
                    Some((apex, version)) if wanted.get(&apex) == Some(&version) => {
                        last_version = last_version.max(version);
                        chunk.push((apex, value.to_vec()));
                    }
                    other => {
                        let version = other.map_or(0, |(_, version)| version);
                        last_version = last_version.max(version);
                        orphans.push((Space::SignedZone, key.to_vec()));
                    }
                }
                if chunk.len() == CHUNK {
                    let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK));
                    if chunks.send(full).is_err() {
                        return ControlFlow::Break(());
                    }
                }
                ControlFlow::Continue(())
            },
        );
        // The workers end when they see the end of the channel.
        let _ = chunks.send(chunk);
        drop(chunks);
        for zones in done {
            for (apex, zone, image) in zones? {
                images.push(image);
                composed.insert(apex, zone);
            }
        }
        scanned.map_err(StartError::from)
    })?;
    loaded.orphans = orphans;
    loaded.last_version = last_version;
    loaded.images = images;
    Ok(composed)
}

/// Composes one signed zone.
fn compose_one(
    apex: Apex,
    octets: &[u8],
    templates: &HashMap<TemplateId, Arc<SharedTemplate>>,
    layouts: &Layouts,
) -> Result<(Apex, Composed, ZoneImage), StartError> {
    let damaged = |reason: String| StartError::Damaged {
        what: format!("the signed zone {}", apex.to_api_text()),
        reason,
    };
    let stored: SignedZoneRecord = record::decode(octets).map_err(|e| damaged(e.to_string()))?;
    let zone = stored.into_zone(apex.clone());
    let template = templates.get(&zone.template);
    let template =
        template.ok_or_else(|| damaged(format!("there is no template {}", zone.template)))?;
    let image = ZoneImage::compose(&zone, &template.template, layouts);
    let image = image.map_err(|error| damaged(error.to_string()))?;
    let shares_nothing = template.template.rrsets().is_empty();
    let content = if shares_nothing {
        let own = zone.own.into_iter();
        own.filter(|rrset| !is_made_here(rrset)).collect()
    } else {
        Vec::new()
    };
    let composed = Composed {
        template: Arc::clone(template),
        content,
    };
    Ok((apex, composed, image))
}

/// Returns whether an RRset of a signed zone is the SOA or speaks of keys.
fn is_made_here(rrset: &RelativeRrset) -> bool {
    rrset.owner.is_apex()
        && matches!(
            rrset.rtype,
            Rtype::SOA | Rtype::DNSKEY | Rtype::CDS | Rtype::CDNSKEY
        )
}
