//! From a backup to a store that holds it, or to one that is empty as before.

use std::io::Read;
use std::ops::{Bound, ControlFlow};

use super::RestoreError;
use super::read::BackupReader;
use crate::clock::Timestamp;
use crate::store::meta::{self, Restored};
use crate::store::{Batch, Direction, Space, Store, StoreError};

/// What a store was filled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreReport {
    /// The id of the sealing key that opens its keys, if there is one.
    pub sealing_key_id: Option<String>,
    /// The revision of the backup.
    pub backup_revision: u64,
    /// The revision of the store.
    pub revision: u64,
    /// How many keys and values were read.
    pub entries: u64,
}

/// How much is written with one commit.
const CHUNK: usize = 4 << 20;

/// Fills an empty store from a backup.
///
/// What the lost server accepted after the backup is unknown to the store but not to the world:
/// so the revision goes up to [`Restored::revision`] at least, and [`meta::RESTORED`] tells the next
/// start to raise every serial. Until all is written and the digest was right,
/// [`meta::RESTORING`] says that the store is not whole; a store that says so does not open.
///
/// # Errors
///
/// When the backup cannot be read, is damaged or of another form, or the store is not empty or
/// refuses. What had been written is removed again.
pub fn restore_into(
    store: &dyn Store,
    from: &mut dyn Read,
    now: Timestamp,
) -> Result<RestoreReport, RestoreError> {
    let (header, mut reader) = BackupReader::begin(from)?;
    refuse_content(store)?;

    let restored = Restored {
        at: now,
        backup_revision: header.revision,
    };
    let revision = restored.revision().ok_or_else(|| RestoreError::Damaged {
        at: 0,
        reason: format!("the revision {} is impossible", header.revision),
    })?;
    let filled = fill(store, &mut reader, &restored, revision);
    if let Err(error) = filled {
        // The first error is the one to report; what cannot be removed stays marked.
        let _ = clear(store);
        return Err(error);
    }
    Ok(RestoreReport {
        sealing_key_id: header.sealing_key_id,
        backup_revision: header.revision,
        revision,
        entries: reader.entries,
    })
}

/// Refuses a store that holds something.
fn refuse_content(store: &dyn Store) -> Result<(), RestoreError> {
    for space in Space::ALL {
        let mut holds_something = false;
        store.scan(
            space,
            Bound::Unbounded,
            Direction::Ascending,
            &mut |_, _| {
                holds_something = true;
                ControlFlow::Break(())
            },
        )?;
        if holds_something {
            return Err(RestoreError::NotEmpty { space });
        }
    }
    Ok(())
}

/// Writes every entry and what is said of the whole.
fn fill(
    store: &dyn Store,
    reader: &mut BackupReader<'_>,
    restored: &Restored,
    revision: u64,
) -> Result<(), RestoreError> {
    let mut batch = Batch::new();
    meta::RESTORING.put(&mut batch, restored);
    while let Some(entry) = reader.entry()? {
        batch.put(entry.space, &entry.key, entry.value);
        if batch.octets() >= CHUNK {
            store.commit(&batch)?;
            batch = Batch::new();
        }
    }
    meta::REVISION.put(&mut batch, &revision);
    meta::RESTORED.put(&mut batch, restored);
    meta::RESTORING.delete(&mut batch);
    store.commit(&batch)?;
    Ok(())
}

/// Removes everything; the mark that the store is not whole goes last.
fn clear(store: &dyn Store) -> Result<(), StoreError> {
    for space in Space::ALL.into_iter().rev() {
        loop {
            let mut batch = Batch::new();
            store.scan(
                space,
                Bound::Unbounded,
                Direction::Ascending,
                &mut |key, _| {
                    if key != meta::RESTORING.as_bytes() {
                        batch.delete(space, key);
                    }
                    if batch.octets() < CHUNK {
                        ControlFlow::Continue(())
                    } else {
                        ControlFlow::Break(())
                    }
                },
            )?;
            if batch.is_empty() {
                break;
            }
            store.commit(&batch)?;
        }
    }
    let mut batch = Batch::new();
    meta::RESTORING.delete(&mut batch);
    store.commit(&batch)?;
    Ok(())
}
