//! A published set of many values, swapped one by one.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Loaded, Publisher, Reader, published};

/// A value in a published set, by the key that it has itself.
pub trait Keyed {
    /// Returns its key.
    fn key(&self) -> &[u8];
}

/// Returns the two ends of an empty published set.
///
/// Values are spread over shards by a hash of their key that the caller computes, always the same
/// way: seeded, so that who chooses keys cannot choose where they come to lie. To swap a value copies
/// the references of its shard; readers never wait.
pub fn published_map<V: Keyed>() -> (MapPublisher<V>, MapReader<V>) {
    let (publishers, readers) = (0..SHARDS).map(|_| published(Arc::default())).unzip();
    let reader = MapReader {
        set: Arc::new(Set {
            shards: readers,
            values: AtomicUsize::new(0),
        }),
    };
    let publisher = MapPublisher {
        shards: publishers,
        reader: reader.clone(),
    };
    (publisher, reader)
}

/// How many shards there are: with a million values one has 250, which is copied in a microsecond.
const SHARDS: usize = 4096;

/// The writer's end of a published set.
pub struct MapPublisher<V> {
    /// The shards' own writers' ends.
    shards: Vec<Publisher<Shard<V>>>,
    /// What readers see.
    reader: MapReader<V>,
}

/// A reader's end of a published set; clones see the same values.
pub struct MapReader<V> {
    /// What all readers share.
    set: Arc<Set<V>>,
}

/// What all readers share.
struct Set<V> {
    /// The shards.
    shards: Vec<Reader<Shard<V>>>,
    /// How many values there are.
    values: AtomicUsize,
}

/// Some of the values, sorted by hash.
type Shard<V> = Vec<Entry<V>>;

/// A value in its shard.
struct Entry<V> {
    /// The hash of its key.
    hash: u64,
    /// The value.
    value: Arc<V>,
}

/// A value that was found, held as it was when it was found.
pub struct Found<V> {
    /// The shard that holds it.
    shard: Loaded<Shard<V>>,
    /// Where in the shard it lies.
    at: usize,
}

impl<V: Keyed> MapPublisher<V> {
    /// Publishes `values`, each with the hash of its key and in place of the one with that key; of two
    /// with one key the later one counts.
    ///
    /// Each shard that is touched is copied once, however many of its values are swapped.
    pub fn publish(&mut self, values: impl IntoIterator<Item = (u64, V)>) {
        let entries = values.into_iter().map(|(hash, value)| Entry {
            hash,
            value: Arc::new(value),
        });
        let mut entries: Vec<Entry<V>> = entries.collect();
        // Stable: of two values with one key the later one counts.
        entries.sort_by_key(|entry| entry.hash);
        for group in entries.chunk_by(|a, b| shard_of(a.hash) == shard_of(b.hash)) {
            self.change(shard_of(group[0].hash), |shard| {
                for entry in group {
                    match find(shard, entry.hash, entry.value.key()) {
                        Ok(at) => shard[at] = entry.clone(),
                        Err(at) => shard.insert(at, entry.clone()),
                    }
                }
            });
        }
    }

    /// Publishes the value with this key no longer.
    pub fn withdraw(&mut self, hash: u64, key: &[u8]) {
        self.change(shard_of(hash), |shard| {
            if let Ok(at) = find(shard, hash, key) {
                shard.remove(at);
            }
        });
    }

    /// Publishes a changed copy of a shard.
    fn change(&mut self, index: usize, change: impl FnOnce(&mut Shard<V>)) {
        let publisher = &mut self.shards[index];
        let current = publisher.current();
        let mut shard = Shard::with_capacity(current.len() + 1);
        shard.extend_from_slice(&current);
        change(&mut shard);
        shard.shrink_to_fit();
        let values = &self.reader.set.values;
        // Only this end, of which there is one, changes the number.
        let others = values.load(Ordering::Relaxed) - current.len();
        values.store(others + shard.len(), Ordering::Relaxed);
        publisher.publish(Arc::new(shard));
    }
}

impl<V: Keyed> MapReader<V> {
    /// Returns the value with this key; neither locks nor waits.
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<Found<V>> {
        let shard = self.set.shards[shard_of(hash)].load();
        let at = find(&shard, hash, key).ok()?;
        Some(Found { shard, at })
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.set.values.load(Ordering::Relaxed)
    }

    /// Returns whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<V> Found<V> {
    /// Returns the value, to be kept.
    pub fn share(&self) -> Arc<V> {
        Arc::clone(&self.shard[self.at].value)
    }
}

/// Returns the shard of a hash.
///
/// The upper bits: so entries that are sorted by hash are sorted by shard, too.
fn shard_of(hash: u64) -> usize {
    (hash >> (u64::BITS - SHARDS.ilog2())) as usize
}

/// Returns where in a shard the value with this key lies, or would.
fn find<V: Keyed>(shard: &Shard<V>, hash: u64, key: &[u8]) -> Result<usize, usize> {
    let start = shard.partition_point(|entry| entry.hash < hash);
    // Hashes can be equal; keys decide.
    let same = shard[start..].iter().take_while(|entry| entry.hash == hash);
    for (offset, entry) in same.enumerate() {
        if entry.value.key() == key {
            return Ok(start + offset);
        }
    }
    Err(start)
}

impl<V> Clone for Entry<V> {
    fn clone(&self) -> Self {
        Self {
            hash: self.hash,
            value: Arc::clone(&self.value),
        }
    }
}

impl<V> Clone for MapReader<V> {
    fn clone(&self) -> Self {
        Self {
            set: Arc::clone(&self.set),
        }
    }
}

impl<V> Deref for Found<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.shard[self.at].value
    }
}

impl<V: Keyed> fmt::Debug for MapReader<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapReader")
            .field("values", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Keyed for (&'static str, u32) {
        fn key(&self) -> &[u8] {
            self.0.as_bytes()
        }
    }

    #[test]
    fn keys_with_one_hash_are_kept_apart() {
        let (mut publisher, reader) = published_map();
        publisher.publish([(7, ("a", 1)), (7, ("b", 2)), (7, ("a", 3))]);

        let value = |key: &str| reader.find(7, key.as_bytes()).map(|found| found.1);

        assert_eq!(
            (value("a"), value("b"), value("c")),
            (Some(3), Some(2), None)
        );
        assert_eq!(reader.len(), 2);
        publisher.withdraw(7, b"a");
        publisher.withdraw(7, b"never");
        assert_eq!((value("a"), value("b"), reader.len()), (None, Some(2), 1));
    }

    #[test]
    fn what_was_found_stays_as_it_was() {
        let (mut publisher, reader) = published_map();
        publisher.publish([(u64::MAX, ("a", 1))]);
        let found = reader.find(u64::MAX, b"a").unwrap();

        publisher.publish([(u64::MAX, ("a", 2))]);

        assert_eq!(found.1, 1);
        assert_eq!(found.share().1, 1);
    }
}
