//! The store of a single server: LMDB in a folder.
//!
//! LMDB never overwrites a page that the last commit refers to and switches to a new commit by
//! writing one page, synced before and after, so there is nothing to recover after a crash: what
//! was committed is there. The folder holds `data.mdb`, LMDB's `lock.mdb`, and `lock`, which one
//! process at a time holds.
//!
//! Start reading at [`Embedded`].

mod environment;
mod lock;
mod map;

use std::io::Write;
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use heed::{MdbError, RwTxn};

use self::environment::Environment;
use self::lock::FolderLock;
use super::backup::BackupWriter;
use super::{
    BackupReport, Batch, CommitLog, Direction, Operation, Sequence, Space, Store, StoreError,
    Visit, Watch, WatchError, meta,
};

/// LMDB in a folder that no other process has open.
///
/// A commit is on disk when it returns. When the disk is full, commits fail with
/// [`StoreError::Full`] and change nothing, reads go on, and commits work again once there is
/// room. A store never shrinks, but room that was given up is used again.
#[derive(Debug)]
pub struct Embedded {
    /// The open environment; written only when it has to be opened anew. Dropped before `lock`.
    environment: RwLock<Option<Environment>>,
    /// Held from the first look at the requirements until the commit is noted, so that notices
    /// come in the order of the commits.
    writer: Mutex<()>,
    /// What the latest commits changed.
    log: CommitLog,
    /// How many operations the largest commit had since the environment was opened.
    largest_commit: AtomicUsize,
    /// How large the store may become.
    map_size: usize,
    /// The proof that the store is ours.
    lock: FolderLock,
}

impl Embedded {
    /// How large a store may become unless said otherwise: 64 GiB, over ten million domains.
    ///
    /// Only addresses are reserved; disk and memory are taken as they are needed.
    pub const SIZE_LIMIT: u64 = 64 << 30;

    /// From how many operations on a commit's buffers are worth to be given back: each takes one
    /// page of 4 KiB or two, so two megabytes.
    const LARGE_COMMIT: usize = 256;

    /// Opens the store in a folder; an empty or missing folder becomes an empty store.
    ///
    /// # Errors
    ///
    /// When another process has it open, another release wrote it, it is damaged or the system
    /// refuses.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with_limit(folder, Self::SIZE_LIMIT)
    }

    /// Opens the store in a folder and lets it become `limit` octets large, rounded up to 64 KiB.
    ///
    /// # Errors
    ///
    /// As [`Embedded::open`].
    pub fn open_with_limit(folder: impl AsRef<Path>, limit: u64) -> Result<Self, StoreError> {
        // A multiple of every page size there is.
        let map_size = usize::try_from(limit.next_multiple_of(64 << 10)).unwrap_or(usize::MAX / 4);
        let lock = FolderLock::take(folder.as_ref())?;
        let environment = Environment::open(&lock, map_size)?;
        let sequence = environment.last_sequence()?;
        let store = Self {
            environment: RwLock::new(Some(environment)),
            writer: Mutex::default(),
            log: CommitLog::new(sequence),
            largest_commit: AtomicUsize::new(0),
            map_size,
            lock,
        };
        if meta::RESTORING.get(&store)?.is_some() {
            return Err(StoreError::Damaged {
                place: format!("the store {}", store.lock.folder().display()),
                reason: "a restore did not come to its end: empty the folder and restore again"
                    .to_owned(),
            });
        }
        Ok(store)
    }

    /// Calls `act` with the environment; opens it first, should it be closed.
    fn with<T>(
        &self,
        act: impl FnOnce(&Environment) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let environment = self.environment();
        if let Some(environment) = environment.as_ref() {
            return act(environment);
        }
        drop(environment);
        let mut environment = self
            .environment
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        match environment.as_ref() {
            Some(environment) => act(environment),
            None => act(environment.insert(self.open_environment()?)),
        }
    }

    /// Returns the environment; none while it is closed.
    ///
    /// Nothing under this lock is ever half done, so a poisoned one means nothing.
    fn environment(&self) -> RwLockReadGuard<'_, Option<Environment>> {
        self.environment
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the environment.
    fn open_environment(&self) -> Result<Environment, StoreError> {
        Environment::open(&self.lock, self.map_size)
    }

    /// Closes and opens an environment that refuses all further work.
    ///
    /// LMDB's does so when not even the page that switches to a new commit can be written. The
    /// last commit is untouched; a new environment sees it.
    fn reopen(&self) {
        let environment = self.environment.write();
        self.replace(&mut environment.unwrap_or_else(PoisonError::into_inner));
    }

    /// Puts a new environment in the place of one.
    ///
    /// Should it not open now, for want of a file descriptor maybe, the next call tries again.
    fn replace(&self, environment: &mut Option<Environment>) {
        // Closed first: one environment per folder and process.
        *environment = None;
        self.largest_commit.store(0, Ordering::Relaxed);
        *environment = self.open_environment().ok();
    }

    /// Returns whether the environment has to be opened anew before it works again.
    fn is_stuck(&self) -> bool {
        match self.environment().as_ref() {
            Some(environment) => matches!(
                environment.env.write_txn(),
                Err(heed::Error::Mdb(MdbError::Panic))
            ),
            None => false,
        }
    }
}

impl Store for Embedded {
    fn commit(&self, batch: &Batch) -> Result<Sequence, StoreError> {
        batch.check_keys()?;
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let operations = batch.operations().len();
        self.largest_commit.fetch_max(operations, Ordering::Relaxed);
        let attempt = |environment: &Environment| {
            commit(environment, batch)
                .map_err(|error| environment.or_full(error, batch.octets() as u64))
        };
        let committed = self.with(|environment| match attempt(environment) {
            // Room that the last commit gave up can be used after one more only.
            Err(full @ StoreError::Full { .. }) => match turn(environment) {
                Ok(()) => attempt(environment),
                Err(_) => Err(full),
            },
            committed => committed,
        });
        match &committed {
            Ok(sequence) if !batch.is_empty() => self.log.note(*sequence, batch),
            Ok(_) => {}
            Err(StoreError::Io { .. } | StoreError::Full { .. }) if self.is_stuck() => {
                self.reopen();
            }
            Err(_) => {}
        }
        committed
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        StoreError::check_key(space, key)?;
        self.with(|environment| {
            let transaction = environment.read()?;
            let value = environment.space(space).get(&transaction, key);
            let value = value.map_err(|error| environment.error(error))?;
            Ok(value.map(<[u8]>::to_vec))
        })
    }

    fn scan(
        &self,
        space: Space,
        from: Bound<&[u8]>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let from = match (from, direction) {
            // No key is empty, so all of them lie above; LMDB takes no empty key to begin with.
            (Bound::Included([]) | Bound::Excluded([]), Direction::Ascending) => Bound::Unbounded,
            (Bound::Included([]) | Bound::Excluded([]), Direction::Descending) => return Ok(()),
            (from, _) => from,
        };
        self.with(|environment| {
            let transaction = environment.read()?;
            let database = environment.space(space);
            let failed = |error| environment.error(error);
            match direction {
                Direction::Ascending => {
                    let entries = database.range(&transaction, &(from, Bound::Unbounded));
                    visit_all(entries.map_err(failed)?, visit).map_err(failed)
                }
                Direction::Descending => {
                    let entries = database.rev_range(&transaction, &(Bound::Unbounded, from));
                    visit_all(entries.map_err(failed)?, visit).map_err(failed)
                }
            }
        })
    }

    fn sequence(&self) -> Result<Sequence, StoreError> {
        self.with(Environment::last_sequence)
    }

    fn watch(&self, after: Sequence) -> Result<Watch, WatchError> {
        self.log.watch(after)
    }

    fn backup(&self, to: &mut dyn Write) -> Result<BackupReport, StoreError> {
        self.with(|environment| {
            // One transaction sees one moment, whatever is committed meanwhile.
            let transaction = environment.read()?;
            let failed = |error| environment.error(error);
            let meta = environment.space(Space::Meta);
            let mut writer = BackupWriter::begin(to, |key| {
                let value = meta.get(&transaction, key).map_err(failed)?;
                Ok(value.map(<[u8]>::to_vec))
            })?;
            for space in Space::ALL {
                for entry in environment
                    .space(space)
                    .iter(&transaction)
                    .map_err(failed)?
                {
                    let (key, value) = entry.map_err(failed)?;
                    writer.entry(space, key, value)?;
                }
            }
            writer.finish()
        })
    }

    fn release_pages(&self) {
        // LMDB keeps the buffers of its largest commit for the next one until it is closed. Who
        // reads meanwhile, a backup above all, is not made to wait for that: there is a next time.
        if self.largest_commit.load(Ordering::Relaxed) >= Self::LARGE_COMMIT
            && let Ok(mut environment) = self.environment.try_write()
        {
            self.replace(&mut environment);
        }
        let _ = self.with(|environment| {
            // Memory that is not given back now is given back when the system needs it.
            let _ = map::drop_pages(&environment.env);
            Ok(())
        });
        map::trim_heap();
    }
}

/// Makes a batch in one transaction; dropping it on an error undoes all of it.
fn commit(environment: &Environment, batch: &Batch) -> Result<Sequence, StoreError> {
    let failed = |error| environment.error(error);
    let mut transaction: RwTxn<'_> = environment.env.write_txn().map_err(failed)?;
    for requirement in batch.requirements() {
        let database = environment.space(requirement.space);
        let found = database.get(&transaction, &requirement.key);
        requirement.check(found.map_err(failed)?)?;
    }
    let last = environment.sequence(&transaction)?;
    if batch.is_empty() {
        return Ok(last);
    }
    for operation in batch.operations() {
        match operation {
            Operation::Put { space, key, value } => {
                let database = environment.space(*space);
                database.put(&mut transaction, key, value).map_err(failed)?;
            }
            Operation::Delete { space, key } => {
                let database = environment.space(*space);
                database.delete(&mut transaction, key).map_err(failed)?;
            }
        }
    }
    let sequence = last.next();
    environment.set_sequence(&mut transaction, sequence)?;
    transaction.commit().map_err(failed)?;
    Ok(sequence)
}

/// Makes a commit that changes nothing, so that LMDB's next one has the pages that the one before
/// gave up.
fn turn(environment: &Environment) -> Result<(), StoreError> {
    let failed = |error| environment.error(error);
    let mut transaction = environment.env.write_txn().map_err(failed)?;
    let last = environment.sequence(&transaction)?;
    environment.set_sequence(&mut transaction, last)?;
    transaction.commit().map_err(failed)
}

/// A key and its value, in the map.
type Entry<'t> = (&'t [u8], &'t [u8]);

/// Shows entries until there are no more or `visit` breaks off.
fn visit_all<'t>(
    entries: impl Iterator<Item = heed::Result<Entry<'t>>>,
    visit: &mut Visit<'_>,
) -> heed::Result<()> {
    for entry in entries {
        let (key, value) = entry?;
        if visit(key, value).is_break() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
