//! All zones that are served.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::publication::{Loaded, Publisher, Reader, published};
use crate::wire::{Name, NameBuffer};
use crate::zone::ZoneImage;

/// Returns the two ends of an empty published set.
///
/// Zones are spread over shards by a hash of their apex that is seeded anew in every process: who
/// chooses names cannot choose where they come to lie. To swap a zone copies the references of its
/// shard; readers never wait, and see one image from the start of a query to its end.
pub fn zone_set() -> (ZonePublisher, ZoneReader) {
    let (publishers, readers) = (0..SHARDS).map(|_| published(Arc::default())).unzip();
    let reader = ZoneReader {
        set: Arc::new(Set {
            seed: RandomState::new(),
            shards: readers,
            zones: AtomicUsize::new(0),
        }),
    };
    let publisher = ZonePublisher {
        shards: publishers,
        reader: reader.clone(),
    };
    (publisher, reader)
}

/// How many shards there are: with a million zones one has 250, which is copied in a microsecond.
const SHARDS: usize = 4096;

/// The writer's end of the published set.
pub struct ZonePublisher {
    /// The shards' own writers' ends.
    shards: Vec<Publisher<Shard>>,
    /// What readers see.
    reader: ZoneReader,
}

/// A reader's end of the published set; clones see the same zones.
#[derive(Clone)]
pub struct ZoneReader {
    /// What all readers share.
    set: Arc<Set>,
}

/// What all readers share.
struct Set {
    /// The seed of the hash.
    seed: RandomState,
    /// The shards.
    shards: Vec<Reader<Shard>>,
    /// How many zones there are.
    zones: AtomicUsize,
}

/// Some of the zones, sorted by hash.
type Shard = Vec<Entry>;

/// A zone in its shard.
#[derive(Clone)]
struct Entry {
    /// The hash of the apex.
    hash: u64,
    /// The zone.
    image: Arc<ZoneImage>,
}

/// A zone that was found, held as it was when it was found.
pub(super) struct Found {
    /// The shard that holds it.
    shard: Loaded<Shard>,
    /// Where in the shard it lies.
    at: usize,
}

impl ZonePublisher {
    /// Serves `images` from now on, each in place of the one with its apex.
    ///
    /// Each shard that is touched is copied once, however many of its zones are swapped.
    pub fn publish(&mut self, images: impl IntoIterator<Item = ZoneImage>) {
        let hashed = images.into_iter().map(|image| Entry {
            hash: self.reader.set.hash(image.apex_wire()),
            image: Arc::new(image),
        });
        let mut entries: Vec<Entry> = hashed.collect();
        // Stable: of two images of one zone the later one counts.
        entries.sort_by_key(|entry| entry.hash);
        for group in entries.chunk_by(|a, b| shard_of(a.hash) == shard_of(b.hash)) {
            self.change(shard_of(group[0].hash), |shard| {
                for entry in group {
                    match find(shard, entry.hash, entry.image.apex_wire()) {
                        Ok(at) => shard[at] = entry.clone(),
                        Err(at) => shard.insert(at, entry.clone()),
                    }
                }
            });
        }
    }

    /// Serves the zone `apex` no longer.
    pub fn withdraw(&mut self, apex: &Name) {
        let hash = self.reader.set.hash(apex.as_wire());
        self.change(shard_of(hash), |shard| {
            if let Ok(at) = find(shard, hash, apex.as_wire()) {
                shard.remove(at);
            }
        });
    }

    /// Publishes a changed copy of a shard.
    fn change(&mut self, index: usize, change: impl FnOnce(&mut Shard)) {
        let publisher = &mut self.shards[index];
        let current = publisher.current();
        let mut shard = Shard::with_capacity(current.len() + 1);
        shard.extend_from_slice(&current);
        change(&mut shard);
        shard.shrink_to_fit();
        let zones = &self.reader.set.zones;
        // Only this end, of which there is one, changes the number.
        let others = zones.load(Ordering::Relaxed) - current.len();
        zones.store(others + shard.len(), Ordering::Relaxed);
        publisher.publish(Arc::new(shard));
    }
}

impl ZoneReader {
    /// Returns the image of the zone `apex`.
    pub fn get(&self, apex: &Name) -> Option<Arc<ZoneImage>> {
        let found = self
            .set
            .find(self.set.hash(apex.as_wire()), apex.as_wire())?;
        Some(Arc::clone(&found.shard[found.at].image))
    }

    /// Returns the number of zones.
    pub fn len(&self) -> usize {
        self.set.zones.load(Ordering::Relaxed)
    }

    /// Returns whether there is no zone.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the zones at or above `name`, the closest first.
    pub(super) fn enclosing(&self, name: &NameBuffer) -> impl Iterator<Item = Found> {
        // One pass over the name: at each label the hash is that of the name from there on.
        let mut hashes = [0; 128];
        let mut hasher = self.set.seed.build_hasher();
        let labels = name.label_count();
        hashes[labels] = hasher.finish();
        for index in (0..labels).rev() {
            write_label(&mut hasher, name.label(index));
            hashes[index] = hasher.finish();
        }
        (0..=labels).filter_map(move |skipped| self.set.find(hashes[skipped], name.suffix(skipped)))
    }
}

impl Set {
    /// Returns the hash of a name in lower-case wire form: label by label from the right.
    fn hash(&self, name: &[u8]) -> u64 {
        let mut buffer = NameBuffer::root();
        let whole = buffer.push_labels(name);
        debug_assert!(whole.is_some(), "an apex is a name");
        let mut hasher = self.seed.build_hasher();
        for index in (0..buffer.label_count()).rev() {
            write_label(&mut hasher, buffer.label(index));
        }
        hasher.finish()
    }

    /// Returns the zone with this apex.
    fn find(&self, hash: u64, apex: &[u8]) -> Option<Found> {
        let shard = self.shards[shard_of(hash)].load();
        let at = find(&shard, hash, apex).ok()?;
        Some(Found { shard, at })
    }
}

/// Adds a label to the hash of the name on its right.
fn write_label(hasher: &mut impl Hasher, label: &[u8]) {
    hasher.write(label);
    hasher.write_u8(label.len() as u8);
}

/// Returns the shard of a hash.
///
/// The upper bits: so entries that are sorted by hash are sorted by shard, too.
fn shard_of(hash: u64) -> usize {
    (hash >> (u64::BITS - SHARDS.ilog2())) as usize
}

/// Returns where in a shard the zone with this apex lies, or would.
fn find(shard: &Shard, hash: u64, apex: &[u8]) -> Result<usize, usize> {
    let start = shard.partition_point(|entry| entry.hash < hash);
    // Hashes can be equal; names decide.
    let same = shard[start..].iter().take_while(|entry| entry.hash == hash);
    for (offset, entry) in same.enumerate() {
        if entry.image.apex_wire() == apex {
            return Ok(start + offset);
        }
    }
    Err(start)
}

impl Deref for Found {
    type Target = ZoneImage;

    fn deref(&self) -> &ZoneImage {
        &self.shard[self.at].image
    }
}

impl fmt::Debug for ZonePublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reader.fmt(f)
    }
}

impl fmt::Debug for ZoneReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZoneSet")
            .field("zones", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::zone::image::tests::image;

    /// Returns a name in the data plane's form.
    fn buffer(text: &str) -> NameBuffer {
        let mut buffer = NameBuffer::root();
        buffer
            .push_labels(Name::parse(text).unwrap().as_wire())
            .unwrap();
        buffer
    }

    #[test]
    fn the_closest_zone_comes_first() {
        let (mut publisher, reader) = zone_set();
        publisher.publish([image("z.example", 1), image("a.z.example", 1)]);

        let closest = |name| {
            let name = buffer(name);
            let found = reader.enclosing(&name);
            let apexes = found.map(|zone| zone.apex().to_api_text());
            apexes.collect::<Vec<_>>()
        };

        assert_eq!(closest("x.a.z.example"), ["a.z.example", "z.example"]);
        assert_eq!(closest("a.z.example"), ["a.z.example", "z.example"]);
        assert_eq!(closest("xa.z.example"), ["z.example"]);
        assert_eq!(closest("xz.example"), Vec::<String>::new());
        assert_eq!(closest("."), Vec::<String>::new());
    }

    #[test]
    fn a_zone_is_swapped_alone_and_withdrawn() {
        let (mut publisher, reader) = zone_set();
        let serial = |apex: &str| {
            let image = reader.get(&Name::parse(apex).unwrap());
            image.map(|image| image.serial().number())
        };
        let many = (0..10_000).map(|n| image(&format!("z{n}.example"), 1));
        publisher.publish(many);

        // Of two images in one call the later one counts.
        publisher.publish([image("z7.example", 2), image("z7.example", 3)]);
        publisher.withdraw(&Name::parse("z8.example").unwrap());
        publisher.withdraw(&Name::parse("never.example").unwrap());

        assert_eq!(reader.len(), 9999);
        assert_eq!(serial("z7.example"), Some(3));
        assert_eq!(serial("z8.example"), None);
        let others = (0..10_000).filter(|n| !(7..9).contains(n));
        assert!(
            others
                .into_iter()
                .all(|n| serial(&format!("z{n}.example")) == Some(1))
        );
    }

    #[test]
    fn a_query_keeps_the_image_that_it_found() {
        let (mut publisher, reader) = zone_set();
        publisher.publish([image("z.example", 1)]);
        let name = buffer("z.example");
        let found = reader.enclosing(&name).next().unwrap();

        publisher.publish([image("z.example", 2)]);

        assert_eq!(found.serial().number(), 1);
    }

    #[test]
    fn readers_on_other_threads_see_only_whole_images_that_never_go_back() {
        let (mut publisher, reader) = zone_set();
        publisher.publish([image("z.example", 1)]);
        let name = buffer("z.example");

        thread::scope(|scope| {
            let watching = scope.spawn(|| {
                let mut last = 0;
                while last < 500 {
                    let zone = reader.enclosing(&name).next().expect("it is never away");
                    assert!(zone.serial().number() >= last);
                    last = zone.serial().number();
                }
            });
            for serial in 2..=500 {
                publisher.publish([image("z.example", serial)]);
            }
            watching.join().unwrap();
        });
    }
}
