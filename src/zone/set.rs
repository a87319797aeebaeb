use std::sync::Arc;

use crate::wire::Name;
use crate::zone::ZoneImage;

/// Returns the two ends of an empty published set.
pub fn zone_set() -> (ZonePublisher, ZoneReader) {
    (ZonePublisher {}, ZoneReader {})
}

/// The writer's end of the published set.
#[derive(Debug)]
pub struct ZonePublisher {}

/// A reader's end of the published set; clones see the same zones.
#[derive(Clone, Debug)]
pub struct ZoneReader {}

impl ZonePublisher {
    /// Serves `images` from now on, each in place of the one with its apex.
    pub fn publish(&mut self, images: impl IntoIterator<Item = ZoneImage>) {
        drop(images.into_iter().collect::<Vec<_>>());
    }

    /// Serves the zone `apex` no longer.
    pub fn withdraw(&mut self, apex: &Name) {
        let _ = apex;
    }
}

impl ZoneReader {
    /// Returns the image of the zone `apex`.
    pub fn get(&self, apex: &Name) -> Option<Arc<ZoneImage>> {
        let _ = apex;
        None
    }

    /// Returns the number of zones.
    pub fn len(&self) -> usize {
        0
    }

    /// Returns whether there is no zone.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
