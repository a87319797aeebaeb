//! All zones that are served.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

use crate::publication::{Keyed, MapPublisher, MapReader, View, published_map};
use crate::wire::{Name, NameBuffer};
use crate::zone::ZoneImage;

/// Returns the two ends of an empty published set.
///
/// Zones are found by a hash of their apex that is seeded anew in every process: who chooses names
/// cannot choose where they come to lie. Readers never wait, and see one state of it for as long as
/// they hold it: so a query sees one image from its start to its end.
pub fn zone_set() -> (ZonePublisher, ZoneReader) {
    let (publisher, zones) = published_map();
    let reader = ZoneReader {
        seed: RandomState::new(),
        zones,
    };
    let publisher = ZonePublisher {
        zones: publisher,
        reader: reader.clone(),
    };
    (publisher, reader)
}

/// The writer's end of the published set.
pub struct ZonePublisher {
    /// The zones' own writer's end.
    zones: MapPublisher<ZoneImage>,
    /// What readers see.
    reader: ZoneReader,
}

/// A reader's end of the published set; clones see the same zones.
#[derive(Clone)]
pub struct ZoneReader {
    /// The seed of the hash.
    seed: RandomState,
    /// The zones.
    zones: MapReader<ZoneImage>,
}

/// All zones as they were at one moment.
///
/// What has been replaced since lives on as long as this: to be held for a batch of queries, not for
/// a connection.
pub struct ZoneView {
    /// The seed of the hash.
    seed: RandomState,
    /// The zones.
    zones: View<ZoneImage>,
}

impl Keyed for ZoneImage {
    fn key(&self) -> &[u8] {
        self.apex_wire()
    }

    fn depth(&self) -> usize {
        self.apex_labels()
    }
}

impl ZonePublisher {
    /// Serves `images` from now on, each in place of the one with its apex.
    pub fn publish(&mut self, images: impl IntoIterator<Item = ZoneImage>) {
        let reader = &self.reader;
        let hashed = images.into_iter();
        let hashed = hashed.map(|image| (reader.hash(image.apex_wire()), image));
        self.zones.publish(hashed);
    }

    /// Serves the zone `apex` no longer.
    pub fn withdraw(&mut self, apex: &Name) {
        let hash = self.reader.hash(apex.as_wire());
        self.zones.withdraw(hash, apex.as_wire());
    }
}

impl ZoneReader {
    /// Returns all zones as they are now; neither locks nor waits.
    ///
    /// To be taken when a query has come, never before: what was acknowledged before it was sent has
    /// to be seen by it.
    pub fn view(&self) -> ZoneView {
        ZoneView {
            seed: self.seed.clone(),
            zones: self.zones.view(),
        }
    }

    /// Returns the image of the zone `apex`.
    pub fn get(&self, apex: &Name) -> Option<ZoneImage> {
        let view = self.zones.view();
        view.find(self.hash(apex.as_wire()), apex.as_wire())
            .cloned()
    }

    /// Returns the number of zones.
    pub fn len(&self) -> usize {
        self.zones.len()
    }

    /// Returns whether there is no zone.
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty()
    }

    /// Returns the hash of a name in lower-case wire form.
    fn hash(&self, name: &[u8]) -> u64 {
        hash(&self.seed, name)
    }
}

impl ZoneView {
    /// Returns the number of zones.
    pub(super) fn len(&self) -> usize {
        self.zones.len()
    }

    /// Returns how many labels the deepest end of `name` has that may be an apex, and its hash; `None`
    /// if none may.
    pub(super) fn hash_of_deepest(&self, name: &NameBuffer) -> Option<(usize, u64)> {
        let (labels, hash, _) = self.ends(name, name.label_count()).next()?;
        Some((labels, hash))
    }

    /// Returns the image of the zone `apex`, which has this hash.
    pub(super) fn find(&self, hash: u64, apex: &[u8]) -> Option<&ZoneImage> {
        self.zones.find(hash, apex)
    }

    /// Returns the image of a zone whose apex has this hash: most probably the right one.
    pub(super) fn image_with(&self, hash: u64) -> Option<&ZoneImage> {
        self.zones.guess(hash)
    }

    /// Returns the zones at or above `name`, the closest first.
    ///
    /// Names of as many labels as no apex has are not even hashed: in a pool that leaves one.
    pub(super) fn enclosing<'v, 'n>(
        &'v self,
        name: &'n NameBuffer,
    ) -> impl Iterator<Item = &'v ZoneImage> + use<'v, 'n> {
        self.enclosing_with_hash(name, name.label_count())
            .map(|(_, _, zone)| zone)
    }

    /// Returns the zones at or above the end of `name` that has `most` labels, the closest first, each
    /// behind the number of its apex's labels and its hash.
    pub(super) fn enclosing_with_hash<'v, 'n>(
        &'v self,
        name: &'n NameBuffer,
        most: usize,
    ) -> impl Iterator<Item = (usize, u64, &'v ZoneImage)> + use<'v, 'n> {
        self.ends(name, most).filter_map(|(labels, hash, end)| {
            let zone = self.zones.find(hash, end)?;
            Some((labels, hash, zone))
        })
    }

    /// Returns the ends of `name` of at most `most` labels, no more than it has, that may be an apex:
    /// the deepest first, each behind the number of its labels and its hash.
    fn ends<'v, 'n>(
        &'v self,
        name: &'n NameBuffer,
        most: usize,
    ) -> impl Iterator<Item = (usize, u64, &'n [u8])> + use<'v, 'n> {
        let labels = name.label_count();
        let mut depths = self.zones.depths() & (u128::MAX >> (127 - most));
        std::iter::from_fn(move || {
            let depth = 127_usize.checked_sub(depths.leading_zeros() as usize)?;
            depths &= !(1 << depth);
            let end = name.suffix(labels - depth);
            Some((depth, hash(&self.seed, end), end))
        })
    }
}

/// Returns the hash of a name in lower-case wire form.
///
/// Of the whole name at once: label by label, so that one pass over a name gave the hashes of all its
/// ends, took four times as long, and there are few depths at which there are apexes: only the operator
/// can make them, and each costs a name that is in none of their zones a hash.
fn hash(seed: &RandomState, name: &[u8]) -> u64 {
    let mut hasher = seed.build_hasher();
    hasher.write(name);
    hasher.finish()
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
            let (name, view) = (buffer(name), reader.view());
            let found = view.enclosing(&name);
            let apexes = found.map(|zone| zone.apex().to_api_text());
            apexes.collect::<Vec<_>>()
        };

        assert_eq!(closest("x.a.z.example"), ["a.z.example", "z.example"]);
        assert_eq!(closest("a.z.example"), ["a.z.example", "z.example"]);
        assert_eq!(closest("xa.z.example"), ["z.example"]);
        assert_eq!(closest("xz.example"), Vec::<String>::new());
        assert_eq!(closest("."), Vec::<String>::new());
        // However many labels apexes have.
        let deep = "a.".repeat(100) + "z.example";
        publisher.publish([image(&deep, 1)]);
        let below = format!("b.{deep}");
        assert_eq!(closest(&below), [&deep, "a.z.example", "z.example"]);
        let most = "a.".repeat(117) + "z.example";
        assert_eq!(closest(&most), [&deep, "a.z.example", "z.example"]);
        publisher.withdraw(&Name::parse("z.example").unwrap());
        assert_eq!(closest(&below), [&deep, "a.z.example"]);
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
        let view = reader.view();
        let found = view.enclosing(&name).next().unwrap();

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
                    let view = reader.view();
                    let zone = view.enclosing(&name).next().expect("it is never away");
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
