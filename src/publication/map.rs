//! A published set of many values, swapped one by one.

use std::array;
use std::fmt;
use std::sync::Arc;

use super::{Loaded, Publisher, Reader, published};

/// A value in a published set, by the key that it has itself.
///
/// Clones are taken whenever a neighbour is swapped, so they have to be cheap: references.
pub trait Keyed: Clone {
    /// Returns its key.
    fn key(&self) -> &[u8];

    /// Returns of how many parts its key is, below 128: a reader learns which numbers there are
    /// ([`View::depths`]), and looks for no key of another one.
    fn depth(&self) -> usize {
        0
    }
}

/// Returns the two ends of an empty published set.
///
/// Values are spread by a hash of their key that the caller computes, always the same way: seeded,
/// so that who chooses keys cannot choose where they come to lie. To swap a value copies its
/// neighbours' references; readers never wait.
pub fn published_map<V: Keyed>() -> (MapPublisher<V>, MapReader<V>) {
    let shard: Shard<V> = Arc::new([]);
    let branch: Branch<V> = Arc::new(array::from_fn(|_| shard.clone()));
    let (publisher, reader) = published(Arc::new(Root {
        branches: array::from_fn(|_| branch.clone()),
        depths: Depths {
            present: 0,
            counts: [0; 128],
        },
    }));
    (MapPublisher { root: publisher }, MapReader { root: reader })
}

/// How many branches the root has, and how many shards a branch: what is copied to swap one value.
///
/// With a million values a shard has 61, so a swap copies the references of about 320.
const FAN_OUT: usize = 128;

/// The upper bits of a hash that choose a branch, and those below that choose its shard.
const BITS: u32 = FAN_OUT.ilog2();

/// How many values are swapped at a time: whoever was the last to look at what they replace frees
/// that, and a reader has no more time than this takes.
const AT_ONCE: usize = 256;

/// The writer's end of a published set.
pub struct MapPublisher<V> {
    /// What is swapped.
    root: Publisher<Root<V>>,
}

/// A reader's end of a published set; clones see the same values.
pub struct MapReader<V> {
    /// What is read.
    root: Reader<Root<V>>,
}

/// All values as they were at one moment.
pub struct View<V> {
    /// The values.
    root: Loaded<Root<V>>,
}

/// All values.
struct Root<V> {
    /// The values by the first bits of their hash.
    branches: [Branch<V>; FAN_OUT],
    /// How deep their keys are.
    depths: Depths,
}

/// The values by the next bits of their hash.
type Branch<V> = Arc<[Shard<V>; FAN_OUT]>;

/// Some of the values: each in the slot that its hash points at, or in the next ones behind that are
/// free. At least one slot is empty, or there is none.
type Shard<V> = Arc<[Slot<V>]>;

/// A value, if there is one, with its hash: no larger than a line of the cache, and in one.
#[derive(Clone)]
#[repr(align(64))]
struct Slot<V>(Option<Entry<V>>);

/// A value with the hash of its key.
type Entry<V> = (u64, V);

/// How many values there are of each depth.
#[derive(Clone)]
struct Depths {
    /// The depths that there are values of, as bits.
    present: u128,
    /// The number of values of each depth.
    counts: [usize; 128],
}

impl<V: Keyed> MapPublisher<V> {
    /// Publishes `values`, each with the hash of its key and in place of the one with that key; of two
    /// with one key the later one counts.
    pub fn publish(&mut self, values: impl IntoIterator<Item = Entry<V>>) {
        let mut entries: Vec<Entry<V>> = values.into_iter().collect();
        // Stable: of two values with one key the later one counts.
        entries.sort_by_key(|(hash, _)| *hash);
        for some in entries.chunks(AT_ONCE) {
            let groups = some.chunk_by(|(a, _), (b, _)| shard_of(*a) == shard_of(*b));
            self.change(groups.map(|group| (group[0].0, Change::Put(group))));
        }
    }

    /// Publishes the value with this key no longer.
    pub fn withdraw(&mut self, hash: u64, key: &[u8]) {
        self.change([(hash, Change::Remove { hash, key })].into_iter());
    }

    /// Publishes changed copies of the shards of some hashes.
    fn change<'e>(&mut self, changes: impl Iterator<Item = (u64, Change<'e, V>)>)
    where
        V: 'e,
    {
        let current = self.root.current();
        let mut root = Root {
            branches: current.branches.clone(),
            depths: current.depths.clone(),
        };
        for (hash, change) in changes {
            let (branch, shard) = shard_of(hash);
            // Copied once: from then on nobody else has it.
            let shards = Arc::make_mut(&mut root.branches[branch]);
            let entries = change.apply(&shards[shard], &mut root.depths);
            shards[shard] = shard_with(entries);
        }
        self.root.publish(Arc::new(root));
    }
}

/// What becomes of a shard.
enum Change<'e, V> {
    /// Values take the places of those with their keys.
    Put(&'e [Entry<V>]),
    /// A value goes.
    Remove {
        /// The hash of its key.
        hash: u64,
        /// Its key.
        key: &'e [u8],
    },
}

impl<V: Keyed> Change<'_, V> {
    /// Returns what is in the shard then.
    fn apply(self, shard: &Shard<V>, depths: &mut Depths) -> Vec<Entry<V>> {
        let old = shard.iter().filter_map(|slot| slot.0.as_ref());
        let is = |entry: &Entry<V>, hash, key: &[u8]| entry.0 == hash && entry.1.key() == key;
        match self {
            Self::Put(new) => {
                let mut kept: Vec<Entry<V>> = Vec::with_capacity(shard.len() + new.len());
                let old = old.filter(|old| {
                    let is_replaced = new.iter().any(|new| is(old, new.0, new.1.key()));
                    depths.count_if(is_replaced, &old.1, -1);
                    !is_replaced
                });
                kept.extend(old.cloned());
                for (at, entry) in new.iter().enumerate() {
                    let mut later = new[at + 1..].iter();
                    if !later.any(|later| is(entry, later.0, later.1.key())) {
                        depths.count_if(true, &entry.1, 1);
                        kept.push(entry.clone());
                    }
                }
                kept
            }
            Self::Remove { hash, key } => {
                let kept = old.filter(|old| {
                    let is_gone = is(old, hash, key);
                    depths.count_if(is_gone, &old.1, -1);
                    !is_gone
                });
                kept.cloned().collect()
            }
        }
    }
}

impl Depths {
    /// Adds to the number of values as deep as `value`, if so.
    fn count_if<V: Keyed>(&mut self, is_so: bool, value: &V, change: isize) {
        if !is_so {
            return;
        }
        let depth = value.depth() % self.counts.len();
        let count = &mut self.counts[depth];
        *count = count.saturating_add_signed(change);
        let bit = 1 << depth;
        self.present = if *count > 0 {
            self.present | bit
        } else {
            self.present & !bit
        };
    }
}

/// Returns a shard of values with different keys.
fn shard_with<V: Clone>(entries: Vec<Entry<V>>) -> Shard<V> {
    if entries.is_empty() {
        return Arc::new([]);
    }
    // Two thirds are taken: then most values are in the first slot that is looked into.
    let mut slots = vec![Slot(None); entries.len() + entries.len() / 2 + 1];
    for entry in entries {
        let mut at = slot_of(entry.0, slots.len());
        while slots[at].0.is_some() {
            at = next(at, slots.len());
        }
        slots[at] = Slot(Some(entry));
    }
    slots.into()
}

impl<V> MapReader<V> {
    /// Returns all values as they are now; neither locks nor waits.
    ///
    /// What a view has seen replaced lives on as long as it: take one for a batch of queries, not for
    /// a connection.
    pub fn view(&self) -> View<V> {
        View {
            root: self.root.load(),
        }
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.root.load().depths.counts.iter().sum()
    }

    /// Returns whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<V: Keyed> View<V> {
    /// Returns the value with this key.
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<&V> {
        let (branch, shard) = shard_of(hash);
        let slots = &self.root.branches[branch][shard];
        let mut at = slot_of(hash, slots.len());
        // Ends at an empty slot at the latest.
        while let Slot(Some((found, value))) = slots.get(at)? {
            if *found == hash && value.key() == key {
                return Some(value);
            }
            at = next(at, slots.len());
        }
        None
    }

    /// Returns the first value with this hash, whatever its key: most probably the right one, found
    /// without a look at the value itself.
    pub fn guess(&self, hash: u64) -> Option<&V> {
        let (branch, shard) = shard_of(hash);
        let slots = &self.root.branches[branch][shard];
        let mut at = slot_of(hash, slots.len());
        while let Slot(Some((found, value))) = slots.get(at)? {
            if *found == hash {
                return Some(value);
            }
            at = next(at, slots.len());
        }
        None
    }

    /// Returns the depths that there are keys of, as bits.
    pub fn depths(&self) -> u128 {
        self.root.depths.present
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.root.depths.counts.iter().sum()
    }

    /// Returns whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.root.depths.present == 0
    }
}

/// Returns the branch of a hash and the shard in it.
///
/// The upper bits: so entries that are sorted by hash are sorted by shard, too.
fn shard_of(hash: u64) -> (usize, usize) {
    let upper = (hash >> (u64::BITS - 2 * BITS)) as usize;
    (upper / FAN_OUT, upper % FAN_OUT)
}

/// Returns the slot of a hash among so many, by its lower half.
fn slot_of(hash: u64, slots: usize) -> usize {
    (((hash & 0xffff_ffff) * slots as u64) >> 32) as usize
}

/// Returns the slot behind another one.
fn next(slot: usize, slots: usize) -> usize {
    if slot + 1 == slots { 0 } else { slot + 1 }
}

impl<V> Clone for MapReader<V> {
    fn clone(&self) -> Self {
        Self {
            root: self.root.clone(),
        }
    }
}

impl<V> fmt::Debug for MapReader<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapReader")
            .field("values", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    impl Keyed for (&'static str, u32) {
        fn key(&self) -> &[u8] {
            self.0.as_bytes()
        }

        fn depth(&self) -> usize {
            self.0.len()
        }
    }

    /// Returns the number of a key.
    fn value(reader: &MapReader<(&'static str, u32)>, hash: u64, key: &str) -> Option<u32> {
        let view = reader.view();
        view.find(hash, key.as_bytes()).map(|found| found.1)
    }

    #[test]
    fn keys_with_one_hash_are_kept_apart() {
        let (mut publisher, reader) = published_map();
        publisher.publish([(7, ("a", 1)), (7, ("b", 2)), (7, ("a", 3))]);

        assert_eq!(value(&reader, 7, "a"), Some(3));
        assert_eq!(value(&reader, 7, "b"), Some(2));
        assert_eq!(value(&reader, 7, "c"), None);
        assert_eq!(reader.len(), 2);
        publisher.withdraw(7, b"a");
        publisher.withdraw(7, b"never");
        assert_eq!(value(&reader, 7, "a"), None);
        assert_eq!(value(&reader, 7, "b"), Some(2));
        assert_eq!(reader.len(), 1);
    }

    #[test]
    fn a_view_stays_as_it_was() {
        let (mut publisher, reader) = published_map();
        publisher.publish([(u64::MAX, ("a", 1))]);
        let view = reader.view();

        publisher.publish([(u64::MAX, ("a", 2)), (0, ("b", 3))]);

        assert_eq!(view.find(u64::MAX, b"a"), Some(&("a", 1)));
        assert_eq!(view.find(0, b"b"), None);
        assert_eq!(value(&reader, u64::MAX, "a"), Some(2));
    }

    #[test]
    fn the_depths_are_those_of_the_values_that_are_there() {
        let (mut publisher, reader) = published_map();
        let depths = || reader.view().depths();
        assert_eq!(depths(), 0);
        publisher.publish([(1, ("a", 1)), (2, ("bb", 1)), (3, ("cc", 1))]);
        publisher.publish([(2, ("bb", 2)), (2, ("bb", 3))]);
        assert_eq!(depths(), 0b110);

        publisher.withdraw(2, b"bb");
        assert_eq!(depths(), 0b110);
        publisher.withdraw(3, b"cc");
        assert_eq!(depths(), 0b010);
    }

    #[test]
    fn a_slot_is_a_line_of_the_cache() {
        assert_eq!(size_of::<Slot<[usize; 6]>>(), 64);
        let slots: Shard<[usize; 6]> = shard_with(vec![(1, [1; 6])]);
        assert!(slots.as_ptr().addr().is_multiple_of(64));
    }

    /// Keys to choose from.
    const KEYS: [&str; 6] = ["", "a", "b", "aa", "bb", "ccc"];

    /// A change: hash, key, and the number that is put, if it is not removed.
    fn changes() -> impl Strategy<Value = Vec<(u64, &'static str, Option<u32>)>> {
        // Few shards, few slots, and hashes that differ only where slots do not.
        let hash = (0_u64..3, 0_u64..4).prop_map(|(upper, lower)| upper << 62 | lower << 30);
        let key = prop::sample::select(KEYS.to_vec());
        prop::collection::vec((hash, key, prop::option::of(any::<u32>())), 0..60)
    }

    proptest! {
        #[test]
        fn it_is_a_map(changes in changes(), at_once in 1_usize..10) {
            let (mut publisher, reader) = published_map();
            let mut expected = HashMap::new();
            for some in changes.chunks(at_once) {
                // First what is put, as one call, then what is removed.
                let put = some.iter().filter_map(|(hash, key, put)| Some((*hash, (*key, (*put)?))));
                publisher.publish(put.clone());
                expected.extend(put.map(|(hash, (key, number))| ((hash, key), number)));
                for (hash, key, put) in some {
                    if put.is_none() {
                        publisher.withdraw(*hash, key.as_bytes());
                        expected.remove(&(*hash, *key));
                    }
                }
                prop_assert_eq!(reader.len(), expected.len());
                for (hash, _, _) in &changes {
                    for key in KEYS {
                        let wanted = expected.get(&(*hash, key)).copied();
                        prop_assert_eq!(value(&reader, *hash, key), wanted);
                    }
                }
            }
        }
    }
}
