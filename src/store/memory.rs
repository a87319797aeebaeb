//! A store in memory, for tests: it forgets, and is as strict as one that does not.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::backup::BackupWriter;
use super::{
    BackupReport, Batch, CommitLog, Direction, Operation, Sequence, Space, Store, StoreError,
    Visit, Watch, WatchError,
};

/// A store that forgets everything when it is dropped: for tests.
#[derive(Debug)]
pub struct Memory {
    /// What is stored; the lock makes a batch one step.
    content: RwLock<Content>,
    /// What the latest commits changed.
    log: CommitLog,
}

/// Keys and values, and the commit that made them so.
#[derive(Debug, Default)]
struct Content {
    /// Keys and values of each space, by [`Space::index`].
    spaces: [BTreeMap<Box<[u8]>, Vec<u8>>; Space::ALL.len()],
    /// The last commit.
    sequence: Sequence,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            content: RwLock::default(),
            log: CommitLog::new(Sequence::default()),
        }
    }
}

impl Memory {
    /// Returns an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns what is stored.
    ///
    /// A writer that panicked did so before it changed anything, so a poisoned lock means nothing.
    fn read(&self) -> RwLockReadGuard<'_, Content> {
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    /// Returns the value of a key.
    fn get(&self, space: Space, key: &[u8]) -> Option<&[u8]> {
        self.spaces[space.index()].get(key).map(Vec::as_slice)
    }
}

impl Store for Memory {
    fn commit(&self, batch: &Batch) -> Result<Sequence, StoreError> {
        batch.check_keys()?;
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        for requirement in batch.requirements() {
            requirement.check(content.get(requirement.space, &requirement.key))?;
        }
        if batch.is_empty() {
            return Ok(content.sequence);
        }
        for operation in batch.operations() {
            match operation {
                Operation::Put { space, key, value } => {
                    content.spaces[space.index()].insert(key.clone(), value.clone());
                }
                Operation::Delete { space, key } => {
                    content.spaces[space.index()].remove(key);
                }
            }
        }
        content.sequence = content.sequence.next();
        // Noted under the lock, so that notices come in the order of the commits.
        self.log.note(content.sequence, batch);
        Ok(content.sequence)
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        StoreError::check_key(space, key)?;
        Ok(self.read().get(space, key).map(<[u8]>::to_vec))
    }

    fn scan(
        &self,
        space: Space,
        from: Bound<&[u8]>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let content = self.read();
        let keys = &content.spaces[space.index()];
        let bounds = match direction {
            Direction::Ascending => (from, Bound::Unbounded),
            Direction::Descending => (Bound::Unbounded, from),
        };
        let mut entries = keys.range::<[u8], _>(bounds);
        let mut next = || match direction {
            Direction::Ascending => entries.next(),
            Direction::Descending => entries.next_back(),
        };
        while let Some((key, value)) = next() {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn sequence(&self) -> Result<Sequence, StoreError> {
        Ok(self.read().sequence)
    }

    fn watch(&self, after: Sequence) -> Result<Watch, WatchError> {
        self.log.watch(after)
    }

    fn backup(&self, to: &mut dyn Write) -> Result<BackupReport, StoreError> {
        let content = self.read();
        let mut writer = BackupWriter::begin(to, |key| {
            Ok(content.get(Space::Meta, key).map(<[u8]>::to_vec))
        })?;
        for space in Space::ALL {
            for (key, value) in &content.spaces[space.index()] {
                writer.entry(space, key, value)?;
            }
        }
        writer.finish()
    }

    fn release_pages(&self) {}
}
