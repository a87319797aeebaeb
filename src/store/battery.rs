//! What every store must do, whatever it is made of: one battery for all.

use std::ops::{Bound, ControlFlow};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use super::backup::{read_header, restore_into};
use super::{
    Batch, ChangedKey, CommitLog, Direction, Embedded, Expected, Memory, RestoreError, Sequence,
    Space, Store, StoreError, WatchError, meta,
};
use crate::clock::Timestamp;

/// Makes every behaviour a test of every store.
macro_rules! battery {
    ($($behaviour:ident)*) => {
        mod memory {
            use super::*;
            $(#[test] fn $behaviour() { super::$behaviour(&Memory::new()); })*
        }
        mod embedded {
            use super::*;
            $(#[test] fn $behaviour() {
                let folder = tempfile::tempdir().unwrap();
                super::$behaviour(&Embedded::open(folder.path()).unwrap());
            })*
        }
    };
}

battery! {
    a_new_store_is_empty
    what_is_put_is_there_until_it_is_deleted
    spaces_do_not_meet
    of_two_operations_on_a_key_the_later_wins
    requirements_are_checked_against_what_was_there_before
    a_batch_whose_requirement_fails_changes_nothing
    a_batch_with_an_impossible_key_changes_nothing
    an_empty_batch_does_not_move_the_sequence
    scans_begin_where_they_are_told_and_go_both_ways
    scans_end_where_the_visitor_breaks_off
    a_watch_sees_every_commit_once_and_in_order
    a_watch_wakes_up_when_something_is_committed
    a_batch_of_a_hundred_thousand_is_one_step
    readers_never_see_half_a_batch
    a_backup_fills_an_empty_store
    a_damaged_backup_leaves_an_empty_store
    a_store_that_holds_something_is_not_restored_into
}

/// Commits one put.
fn put(store: &dyn Store, space: Space, key: &str, value: &str) -> Sequence {
    let mut batch = Batch::new();
    batch.put(space, key.as_bytes(), value.into());
    store.commit(&batch).unwrap()
}

/// Returns a value as text.
fn get(store: &dyn Store, space: Space, key: &str) -> Option<String> {
    let value = store.get(space, key.as_bytes()).unwrap();
    value.map(|value| String::from_utf8(value).unwrap())
}

/// Returns the keys that a scan shows.
fn keys(store: &dyn Store, from: Bound<&[u8]>, direction: Direction) -> Vec<String> {
    let mut keys = Vec::new();
    let scanned = store.scan(Space::Domain, from, direction, &mut |key, _| {
        keys.push(String::from_utf8(key.to_vec()).unwrap());
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    keys
}

/// What a store holds, by space and key.
type Content = Vec<(Space, Vec<u8>, Vec<u8>)>;

/// Returns all that a store holds.
fn content(store: &dyn Store) -> Content {
    let mut content = Vec::new();
    for space in Space::ALL {
        let scanned = store.scan(
            space,
            Bound::Unbounded,
            Direction::Ascending,
            &mut |key, value| {
                content.push((space, key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            },
        );
        scanned.unwrap();
    }
    content
}

fn a_new_store_is_empty(store: &dyn Store) {
    assert_eq!(content(store), []);
    assert_eq!(store.sequence().unwrap(), Sequence::new(0));
}

fn what_is_put_is_there_until_it_is_deleted(store: &dyn Store) {
    let first = put(store, Space::Pool, "burners", "");
    assert_eq!(get(store, Space::Pool, "burners").as_deref(), Some(""));

    let second = put(store, Space::Pool, "burners", "settings");
    assert_eq!(
        get(store, Space::Pool, "burners").as_deref(),
        Some("settings")
    );

    let mut batch = Batch::new();
    batch.delete(Space::Pool, b"burners");
    batch.delete(Space::Pool, b"never there");
    let third = store.commit(&batch).unwrap();
    assert_eq!(get(store, Space::Pool, "burners"), None);
    assert!(first < second && second < third);
    assert_eq!(store.sequence().unwrap(), third);
}

fn spaces_do_not_meet(store: &dyn Store) {
    for space in Space::ALL {
        put(store, space, "key", space.name());
    }

    for space in Space::ALL {
        assert_eq!(get(store, space, "key").as_deref(), Some(space.name()));
    }
}

fn of_two_operations_on_a_key_the_later_wins(store: &dyn Store) {
    let mut batch = Batch::new();
    batch.put(Space::Pool, b"kept", b"1".to_vec());
    batch.put(Space::Pool, b"kept", b"2".to_vec());
    batch.put(Space::Pool, b"gone", b"1".to_vec());
    batch.delete(Space::Pool, b"gone");
    store.commit(&batch).unwrap();

    assert_eq!(get(store, Space::Pool, "kept").as_deref(), Some("2"));
    assert_eq!(get(store, Space::Pool, "gone"), None);
}

fn requirements_are_checked_against_what_was_there_before(store: &dyn Store) {
    put(store, Space::Domain, "a", "1");
    let mut batch = Batch::new();
    batch.require(Space::Domain, b"a", Expected::Present);
    batch.require(Space::Domain, b"a", Expected::Value(b"1".to_vec()));
    batch.require(Space::Domain, b"b", Expected::Absent);
    batch.put(Space::Domain, b"a", b"2".to_vec());
    batch.put(Space::Domain, b"b", b"2".to_vec());

    store.commit(&batch).unwrap();
    let again = store.commit(&batch);

    let Err(StoreError::Precondition { space, key }) = again else {
        panic!("expected a precondition to fail, found {again:?}");
    };
    assert_eq!((space, &*key), (Space::Domain, b"a".as_slice()));
}

fn a_batch_whose_requirement_fails_changes_nothing(store: &dyn Store) {
    let last = put(store, Space::Domain, "a", "1");
    let failing = [
        (b"a", Expected::Absent),
        (b"a", Expected::Value(b"2".to_vec())),
        (b"a", Expected::Value(Vec::new())),
        (b"b", Expected::Present),
        (b"b", Expected::Value(Vec::new())),
    ];
    for (key, expected) in failing {
        let mut batch = Batch::new();
        batch.put(Space::Domain, b"a", b"9".to_vec());
        batch.put(Space::Domain, b"c", b"9".to_vec());
        batch.require(Space::Domain, key, expected);

        let refused = store.commit(&batch);

        assert!(matches!(refused, Err(StoreError::Precondition { .. })));
        assert_eq!(get(store, Space::Domain, "a").as_deref(), Some("1"));
        assert_eq!(get(store, Space::Domain, "c"), None);
        assert_eq!(store.sequence().unwrap(), last);
    }
}

fn a_batch_with_an_impossible_key_changes_nothing(store: &dyn Store) {
    let longest = [b'k'; StoreError::KEY_LIMIT];
    for key in [&[][..], &[b'k'; StoreError::KEY_LIMIT + 1]] {
        let mut batch = Batch::new();
        batch.put(Space::Domain, b"a", Vec::new());
        batch.put(Space::Domain, key, Vec::new());

        let refused = store.commit(&batch);

        assert!(matches!(refused, Err(StoreError::KeyLength { .. })));
        let refused = store.get(Space::Domain, key);
        assert!(matches!(refused, Err(StoreError::KeyLength { .. })));
    }
    assert_eq!(content(store), []);
    let mut batch = Batch::new();
    batch.put(Space::Domain, &longest, b"value".to_vec());
    store.commit(&batch).unwrap();
    let found = store.get(Space::Domain, &longest).unwrap();
    assert_eq!(found.as_deref(), Some(b"value".as_slice()));
}

fn an_empty_batch_does_not_move_the_sequence(store: &dyn Store) {
    let last = put(store, Space::Domain, "a", "1");

    let mut batch = Batch::new();
    assert_eq!(store.commit(&batch).unwrap(), last);
    batch.require(Space::Domain, b"a", Expected::Absent);
    assert!(store.commit(&batch).is_err());
    assert_eq!(store.sequence().unwrap(), last);
}

/// Where a scan begins, which way it goes, and the keys it shows.
type Case<'c> = (Bound<&'c [u8]>, Direction, &'c [&'c str]);

fn scans_begin_where_they_are_told_and_go_both_ways(store: &dyn Store) {
    use Bound::{Excluded, Included, Unbounded};
    use Direction::{Ascending, Descending};
    for key in ["b", "d", "bb", "f"] {
        put(store, Space::Domain, key, "");
    }
    put(store, Space::Zone, "c", "");

    let long = [b'c'; 600];
    let cases: [Case<'_>; 16] = [
        (Unbounded, Ascending, &["b", "bb", "d", "f"]),
        (Unbounded, Descending, &["f", "d", "bb", "b"]),
        (Included(b"bb"), Ascending, &["bb", "d", "f"]),
        (Excluded(b"bb"), Ascending, &["d", "f"]),
        (Included(b"c"), Ascending, &["d", "f"]),
        (Excluded(b"c"), Ascending, &["d", "f"]),
        (Included(b"d"), Descending, &["d", "bb", "b"]),
        (Excluded(b"d"), Descending, &["bb", "b"]),
        (Included(b"c"), Descending, &["bb", "b"]),
        (Excluded(b"c"), Descending, &["bb", "b"]),
        (Included(b"z"), Ascending, &[]),
        (Included(b"z"), Descending, &["f", "d", "bb", "b"]),
        (Included(b""), Ascending, &["b", "bb", "d", "f"]),
        (Included(b""), Descending, &[]),
        (Excluded(b"b"), Descending, &[]),
        (Included(&long), Ascending, &["d", "f"]),
    ];
    for (from, direction, expected) in cases {
        let found = keys(store, from, direction);

        assert_eq!(found, expected, "{from:?} {direction:?}");
    }
}

fn scans_end_where_the_visitor_breaks_off(store: &dyn Store) {
    for key in ["a", "b", "c"] {
        put(store, Space::Domain, key, key);
    }
    let mut seen = Vec::new();

    let scanned = store.scan(
        Space::Domain,
        Bound::Unbounded,
        Direction::Ascending,
        &mut |key, value| {
            assert_eq!(key, value);
            seen.push(key[0]);
            match key {
                b"b" => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        },
    );

    scanned.unwrap();
    assert_eq!(seen, b"ab");
}

fn a_watch_sees_every_commit_once_and_in_order(store: &dyn Store) {
    let before = store.sequence().unwrap();
    let first = put(store, Space::Pool, "p", "");
    let mut batch = Batch::new();
    batch.put(Space::Domain, b"a", Vec::new());
    batch.delete(Space::Key, b"b");
    let second = store.commit(&batch).unwrap();

    let mut watch = store.watch(before).unwrap();
    let mut late = store.watch(first).unwrap();

    let key = |space, key: &[u8]| ChangedKey {
        space,
        key: key.into(),
    };
    let seen = watch.next(Duration::ZERO).unwrap().unwrap();
    assert_eq!(seen.sequence, first);
    assert_eq!(*seen.keys, [key(Space::Pool, b"p")]);
    let seen = watch.next(Duration::ZERO).unwrap().unwrap();
    assert_eq!(seen.sequence, second);
    let expected = [key(Space::Domain, b"a"), key(Space::Key, b"b")];
    assert_eq!(*seen.keys, expected);
    assert_eq!(watch.next(Duration::ZERO), Ok(None));
    assert_eq!(late.next(Duration::ZERO), Ok(Some(seen)));
    assert_eq!(late.next(Duration::ZERO), Ok(None));
    let future = store.watch(second.next()).unwrap_err();
    assert!(matches!(future, WatchError::InTheFuture { .. }));
}

fn a_watch_wakes_up_when_something_is_committed(store: &dyn Store) {
    let mut watch = store.watch(store.sequence().unwrap()).unwrap();

    let seen = thread::scope(|scope| {
        let waiting = scope.spawn(|| watch.next(Duration::from_secs(60)));
        put(store, Space::Pool, "p", "");
        waiting.join().unwrap()
    });

    assert_eq!(seen.unwrap().unwrap().sequence, store.sequence().unwrap());
}

fn a_batch_of_a_hundred_thousand_is_one_step(store: &dyn Store) {
    let before = store.sequence().unwrap();
    let mut batch = Batch::new();
    for number in 0..100_000_u32 {
        // Scattered, as names are.
        let key = number.reverse_bits().to_be_bytes();
        batch.require(Space::Domain, &key, Expected::Absent);
        batch.put(Space::Domain, &key, vec![number as u8; 100]);
    }

    let after = store.commit(&batch).unwrap();

    assert_eq!(after, before.next());
    assert_eq!(content(store).len(), 100_000);
    // Nobody can be told so many keys one by one.
    let compacted = store.watch(before).unwrap_err();
    assert!(matches!(compacted, WatchError::Compacted { .. }));
    assert!(store.watch(after).is_ok());
}

fn readers_never_see_half_a_batch(store: &dyn Store) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..50_u8 {
                let mut batch = Batch::new();
                for key in 0..20_u8 {
                    batch.put(Space::Domain, &[key], vec![round]);
                }
                store.commit(&batch).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            let values: Vec<_> = content(store).into_iter().map(|entry| entry.2).collect();
            assert!(values.is_empty() || values.len() == 20);
            assert!(values.windows(2).all(|pair| pair[0] == pair[1]));
        }
    });
}

/// Commits what a store of a server holds, in little.
fn fill(store: &dyn Store) {
    let mut batch = Batch::new();
    meta::SEALING_KEY_ID.put(&mut batch, &"k-17".to_owned());
    meta::REVISION.put(&mut batch, &41);
    for number in 0..300_u16 {
        let key = number.to_be_bytes();
        batch.put(Space::Domain, &key, vec![1; 200]);
        batch.put(Space::SignedZone, &key, vec![2; 3000]);
    }
    batch.put(Space::Token, b"admin", Vec::new());
    store.commit(&batch).unwrap();
}

/// The moment of every restore here.
const NOW: Timestamp = Timestamp::from_secs(1_795_537_800);

fn a_backup_fills_an_empty_store(store: &dyn Store) {
    fill(store);
    let mut file = Vec::new();

    let report = store.backup(&mut file).unwrap();
    let header = read_header(&mut file.as_slice()).unwrap();
    let restored = Memory::new();
    let restore = restore_into(&restored, &mut file.as_slice(), NOW).unwrap();

    assert_eq!(report.octets, file.len() as u64);
    assert_eq!(report.entries, content(store).len() as u64);
    assert_eq!(header.sealing_key_id.as_deref(), Some("k-17"));
    assert_eq!(header.revision, 41);
    assert_eq!(restore.revision, 41 + (1 << 32) + (28_312_200 << 20));
    assert_eq!(restore.sealing_key_id, report.sealing_key_id);
    assert_eq!(restore.entries, report.entries);
    assert_eq!(
        meta::REVISION.get(&restored).unwrap(),
        Some(restore.revision)
    );
    let mark = meta::RESTORED.get(&restored).unwrap().unwrap();
    assert_eq!((mark.at, mark.backup_revision), (NOW, 41));
    assert_eq!(meta::RESTORING.get(&restored).unwrap(), None);
    let others = |store| {
        let mut content = content(store);
        content.retain(|(space, ..)| *space != Space::Meta);
        content
    };
    assert_eq!(others(&restored), others(store));
}

fn a_damaged_backup_leaves_an_empty_store(store: &dyn Store) {
    let source = Memory::new();
    fill(&source);
    let mut good = Vec::new();
    source.backup(&mut good).unwrap();

    let cuts = (0..good.len()).step_by(good.len() / 40);
    let cut = cuts.map(|length| good[..length].to_vec());
    let flips = (0..good.len()).step_by(good.len() / 40 + 1);
    let flipped = flips.map(|at| {
        let mut bad = good.clone();
        bad[at] ^= 0x20;
        bad
    });
    let longer = [[good.as_slice(), b"!"].concat()];
    for bad in cut.chain(flipped).chain(longer) {
        let refused = restore_into(store, &mut bad.as_slice(), NOW);

        let refused = refused.unwrap_err();
        let known = matches!(
            refused,
            RestoreError::Damaged { .. }
                | RestoreError::NotABackup
                | RestoreError::OtherVersion { .. }
        );
        assert!(known, "{refused}");
        assert_eq!(content(store), []);
    }
    restore_into(store, &mut good.as_slice(), NOW).unwrap();
}

fn a_store_that_holds_something_is_not_restored_into(store: &dyn Store) {
    fill(store);
    let before = content(store);
    let mut file = Vec::new();
    store.backup(&mut file).unwrap();

    let refused = restore_into(store, &mut file.as_slice(), NOW);

    assert!(matches!(refused, Err(RestoreError::NotEmpty { .. })));
    assert_eq!(content(store), before);
}

/// The store in memory keeps writers waiting meanwhile, so this holds for the other one.
#[test]
fn a_backup_of_a_store_that_is_written_to_shows_one_moment() {
    /// Writes to the store once, in the middle of the backup, and keeps what comes.
    struct Meanwhile<'s>(&'s dyn Store, Vec<u8>, bool);
    impl std::io::Write for Meanwhile<'_> {
        fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
            if !std::mem::replace(&mut self.2, true) {
                let store = self.0;
                let mut batch = Batch::new();
                batch.delete(Space::SignedZone, &299_u16.to_be_bytes());
                batch.put(Space::Token, b"later", Vec::new());
                thread::scope(|scope| {
                    scope.spawn(|| store.commit(&batch).unwrap());
                });
            }
            self.1.extend_from_slice(octets);
            Ok(octets.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    fill(&store);
    let wanted = content(&store).len() as u64;
    let mut to = Meanwhile(&store, Vec::new(), false);

    let report = store.backup(&mut to).unwrap();

    assert_eq!(report.entries, wanted);
    let restored = Memory::new();
    restore_into(&restored, &mut to.1.as_slice(), NOW).unwrap();
    let kept = restored.get(Space::SignedZone, &299_u16.to_be_bytes());
    assert_eq!(kept.unwrap().map(|value| value.len()), Some(3000));
    assert_eq!(get(&restored, Space::Token, "later"), None);
    assert!(get(&store, Space::Token, "later").is_some());
}

#[test]
fn a_watch_that_is_too_slow_is_told_so_and_skips_nothing() {
    let log = CommitLog::with_limit(Sequence::new(10), 3);
    let mut slow = log.watch(Sequence::new(10)).unwrap();
    let mut batch = Batch::new();
    batch.put(Space::Pool, b"p", Vec::new());
    batch.put(Space::Pool, b"q", Vec::new());

    log.note(Sequence::new(11), &batch);
    log.note(Sequence::new(12), &batch);

    let error = slow.next(Duration::ZERO).unwrap_err();
    let expected = WatchError::Compacted {
        wanted: Sequence::new(10),
        oldest: Sequence::new(12),
    };
    assert_eq!(error, expected);
    assert_eq!(
        log.watch(Sequence::new(9))
            .unwrap_err()
            .to_string()
            .as_str(),
        { "changes are known from commit 12 on, wanted those after 9" }
    );
    let mut fast = log.watch(Sequence::new(11)).unwrap();
    let seen = fast.next(Duration::ZERO).unwrap().unwrap();
    assert_eq!(seen.sequence, Sequence::new(12));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn both_stores_hold_the_same_after_any_batches(
        batches in prop::collection::vec(
            prop::collection::vec((0..3_u8, 0..8_u8, 0..5000_usize), 0..12), 1..6,
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let stores: [&dyn Store; 2] = [&Memory::new(), &Embedded::open(folder.path()).unwrap()];
        for steps in &batches {
            let mut batch = Batch::new();
            for (kind, key, length) in steps {
                match kind {
                    0 => batch.put(Space::Domain, &[*key], vec![*key; *length]),
                    1 => batch.delete(Space::Domain, &[*key]),
                    _ => batch.require(Space::Domain, &[*key], Expected::Present),
                }
            }
            let outcomes = stores.map(|store| store.commit(&batch).is_ok());
            prop_assert_eq!(outcomes[0], outcomes[1]);
        }

        prop_assert_eq!(content(stores[0]), content(stores[1]));
        prop_assert_eq!(stores[0].sequence().unwrap(), stores[1].sequence().unwrap());
    }

    #[test]
    fn no_file_makes_a_restore_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let good_head = b"MXPOOL-BACKUP\r\n\x1a\0\0\0\x01\0\0\0\0\0\0\0\0\0\0".as_slice();
        for head in [b"".as_slice(), good_head] {
            let file = [head, &octets].concat();
            let store = Memory::new();

            let refused = restore_into(&store, &mut file.as_slice(), NOW);

            prop_assert!(refused.is_err());
            prop_assert_eq!(content(&store), []);
        }
    }
}
