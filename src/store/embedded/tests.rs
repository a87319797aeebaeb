//! What holds for a store on a disk only.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use heed::types::Bytes;

use super::*;

/// Commits one put of many octets.
fn put(store: &Embedded, key: &[u8], length: usize) -> Result<Sequence, StoreError> {
    let mut batch = Batch::new();
    batch.put(Space::Domain, key, vec![key[0]; length]);
    store.commit(&batch)
}

/// Returns how many keys a store holds in the space of [`put`].
fn count(store: &Embedded) -> usize {
    let mut count = 0;
    let scanned = store.scan(
        Space::Domain,
        Bound::Unbounded,
        Direction::Ascending,
        &mut |_, _| {
            count += 1;
            std::ops::ControlFlow::Continue(())
        },
    );
    scanned.unwrap();
    count
}

/// Changes what the store says of itself.
fn write_own(folder: &Path, change: impl FnOnce(&mut RwTxn<'_>, heed::Database<'_, Bytes, Bytes>)) {
    let lock = FolderLock::take(folder).unwrap();
    let env = map::open(&lock, 1 << 20).unwrap();
    let transaction = env.write_txn().unwrap();
    let done = env.create_databases_and_commit(transaction, |opener, transaction| {
        let own = opener.create_database::<Bytes, Bytes>(transaction, Some("_store"))?;
        change(transaction, own);
        Ok::<_, heed::Error>(heed::CommitOrAbort::<_, ()>::Commit(()))
    });
    done.unwrap();
}

#[test]
fn what_was_committed_is_there_when_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    let last = put(&store, b"a", 5000).unwrap();
    drop(store);

    let store = Embedded::open(folder.path()).unwrap();

    assert_eq!(store.sequence().unwrap(), last);
    assert_eq!(
        store.get(Space::Domain, b"a").unwrap(),
        Some(vec![b'a'; 5000])
    );
    // What changed before is not known to a new process, and it says so.
    assert!(matches!(
        store.watch(Sequence::new(0)),
        Err(WatchError::Compacted { .. })
    ));
    assert!(put(&store, b"b", 1).unwrap() > last);
}

#[test]
fn a_transaction_that_was_not_committed_was_never_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    put(&store, b"a", 1).unwrap();
    let aborted = store.with(|environment| {
        let mut transaction = environment.env.write_txn().unwrap();
        let database = environment.space(Space::Domain);
        for key in 0..200_u8 {
            database.put(&mut transaction, &[key], &[7; 4000]).unwrap();
        }
        Ok(())
    });
    aborted.unwrap();
    assert_eq!(count(&store), 1);
    drop(store);

    let store = Embedded::open(folder.path()).unwrap();

    assert_eq!(count(&store), 1);
    put(&store, b"b", 1).unwrap();
    assert_eq!(count(&store), 2);
}

#[test]
fn opening_writes_nothing_so_that_it_works_on_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    put(&store, b"a", 1).unwrap();
    drop(store);
    let before = fs::read(folder.path().join("data.mdb")).unwrap();

    drop(Embedded::open(folder.path()).unwrap());

    assert_eq!(fs::read(folder.path().join("data.mdb")).unwrap(), before);
    // What is written through a map has its room before: a hole filled on a full disk would kill.
    let table = fs::metadata(folder.path().join("lock.mdb")).unwrap();
    assert!(table.blocks() * 512 >= table.len());
}

#[test]
fn a_second_opening_is_refused_and_names_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();

    let refused = Embedded::open(folder.path()).unwrap_err();

    let StoreError::Locked { pid, .. } = refused else {
        panic!("expected it to be locked, found {refused}");
    };
    assert_eq!(pid, Some(std::process::id()));
    drop(store);
    Embedded::open(folder.path()).unwrap();
}

#[test]
fn nobody_else_may_read_the_folder() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("deep").join("store");
    let _store = Embedded::open(&folder).unwrap();

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;

    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("data.mdb")), 0o600);
    assert_eq!(mode(&folder.join("lock")), 0o600);
}

#[test]
fn a_store_of_another_form_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    drop(Embedded::open(folder.path()).unwrap());
    write_own(folder.path(), |transaction, own| {
        own.put(transaction, b"form", &2_u32.to_be_bytes()).unwrap();
    });
    let before = fs::read(folder.path().join("data.mdb")).unwrap();

    let refused = Embedded::open(folder.path()).unwrap_err();

    let StoreError::OtherVersion { found, wanted, .. } = refused else {
        panic!("expected another version, found {refused}");
    };
    assert_eq!((found, wanted), (2, 1));
    assert_eq!(fs::read(folder.path().join("data.mdb")).unwrap(), before);
}

#[test]
fn an_environment_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_own(folder.path(), |transaction, own| {
        own.put(transaction, b"else", b"").unwrap();
    });

    let refused = Embedded::open(folder.path()).unwrap_err();

    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
}

#[test]
fn a_file_that_was_cut_off_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    put(&store, b"a", 100_000).unwrap();
    drop(store);
    let path = folder.path().join("data.mdb");
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() - 50_000)
        .unwrap();

    let refused = Embedded::open(folder.path()).unwrap_err();

    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
    assert!(refused.to_string().contains("cut off"), "{refused}");
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data.mdb"), [b'x'; 8192]).unwrap();

    let refused = Embedded::open(folder.path()).unwrap_err();

    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
}

#[test]
fn a_file_that_was_begun_on_a_full_disk_is_told_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.mdb");
    fs::write(&path, [0; 4_096]).unwrap();

    let refused = Embedded::open(folder.path()).unwrap_err().to_string();

    assert!(
        refused.contains("it has 4096 octets, less than"),
        "{refused}"
    );
    assert!(refused.ends_with("remove it"), "{refused}");
    fs::remove_file(&path).unwrap();
    Embedded::open(folder.path()).unwrap();
}

#[test]
fn a_full_store_refuses_changes_whole_and_works_again_with_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open_with_limit(folder.path(), 1 << 20).unwrap();
    let mut key = 0;
    let refused = loop {
        match put(&store, &[key], 20_000) {
            Ok(_) => key += 1,
            Err(refused) => break refused,
        }
    };
    let last = store.sequence().unwrap();
    assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
    assert!(key > 20, "only {key} values fitted in");

    // Something small that would fit is refused as well when it comes with what does not.
    let mut batch = Batch::new();
    batch.put(Space::Pool, b"small", Vec::new());
    batch.put(Space::Domain, b"large", vec![0; 500_000]);
    let refused = store.commit(&batch).unwrap_err();

    assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
    assert_eq!(count(&store), usize::from(key));
    assert_eq!(store.get(Space::Pool, b"small").unwrap(), None);
    assert_eq!(store.sequence().unwrap(), last);

    let mut batch = Batch::new();
    (0..10).for_each(|key| batch.delete(Space::Domain, &[key]));
    store.commit(&batch).unwrap();
    put(&store, b"again", 20_000).unwrap();
}

#[test]
fn what_is_stored_outlives_an_environment_that_had_to_be_closed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    put(&store, b"a", 1).unwrap();
    assert!(!store.is_stuck());

    store.reopen();

    assert_eq!(count(&store), 1);
    put(&store, b"b", 1).unwrap();
    assert_eq!(count(&store), 2);

    // One that could not be opened at once is opened by the next call.
    *store.environment.write().unwrap() = None;
    put(&store, b"c", 1).unwrap();
    assert_eq!(count(&store), 3);
}

#[test]
fn the_buffers_of_a_large_commit_are_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    let mut batch = Batch::new();
    for key in 0..1000_u32 {
        batch.put(Space::Domain, &key.to_be_bytes(), vec![1; 100]);
    }
    store.commit(&batch).unwrap();
    assert_eq!(store.largest_commit.load(Ordering::Relaxed), 1000);

    // While somebody reads, the environment stays.
    let scanned = store.scan(
        Space::Domain,
        Bound::Unbounded,
        Direction::Ascending,
        &mut |_, _| {
            store.release_pages();
            std::ops::ControlFlow::Break(())
        },
    );
    scanned.unwrap();
    assert_eq!(store.largest_commit.load(Ordering::Relaxed), 1000);
    store.release_pages();

    assert_eq!(store.largest_commit.load(Ordering::Relaxed), 0);
    assert_eq!(count(&store), 1000);
    put(&store, b"b", 1).unwrap();
    assert_eq!(count(&store), 1001);
}

#[test]
fn an_interrupted_restore_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    let mut batch = Batch::new();
    let restored = meta::Restored {
        at: crate::clock::Timestamp::from_secs(1),
        backup_revision: 1,
    };
    meta::RESTORING.put(&mut batch, &restored);
    store.commit(&batch).unwrap();
    drop(store);

    let refused = Embedded::open(folder.path()).unwrap_err();

    let text = refused.to_string();
    assert!(
        text.contains("empty the folder and restore again"),
        "{text}"
    );
}

#[test]
fn pages_that_were_read_are_given_back() {
    /// Returns how much of the data file counts as memory of this process, in KiB.
    fn resident(folder: &Path) -> u64 {
        let folder = folder.canonicalize().unwrap();
        let path = folder.join("data.mdb");
        let text = fs::read_to_string("/proc/self/smaps").unwrap();
        let ours = text
            .lines()
            .skip_while(|line| !line.ends_with(path.to_str().unwrap()));
        let rss = ours.skip(1).find_map(|line| line.strip_prefix("Rss:"));
        let digits = rss.unwrap().trim().trim_end_matches(" kB");
        digits.parse().unwrap()
    }
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    for key in 0..100 {
        put(&store, &[key], 100_000).unwrap();
    }
    let mut sum = 0_u64;
    let read = store.scan(
        Space::Domain,
        Bound::Unbounded,
        Direction::Ascending,
        &mut |_, value| {
            sum += value.iter().map(|octet| u64::from(*octet)).sum::<u64>();
            std::ops::ControlFlow::Continue(())
        },
    );
    read.unwrap();
    assert!(resident(folder.path()) > 9_000, "{sum}");

    store.release_pages();

    assert!(resident(folder.path()) < 1_000);
    assert_eq!(count(&store), 100);
}
