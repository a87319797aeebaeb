//! The file of the sealing key, and whether it is the store's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::dnssec::{SealError, SealingKey};
use crate::store::{Batch, Expected, Space, Store, StoreError, meta};

/// The key's file in the keys' folder: its 32 octets and nothing else.
pub(super) const FILE: &str = "sealing.key";

/// Permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;

/// Why the server does not start with this key.
///
/// A store whose key is lost holds signing keys that nobody can use any more: so a key is never
/// made, replaced or mended beside a store that has one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealingFileError {
    /// The store has a key and its file is not there.
    #[error(
        "the sealing key {} is missing; the store was sealed with key {wanted}: put that key there, \
         readable by its owner alone (a new one could not open the store)",
        .path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// The id of the store's key.
        wanted: String,
    },
    /// It is another store's key.
    #[error(
        "the sealing key {} is key {found}; the store was sealed with key {wanted}: put that key \
         there",
        .path.display()
    )]
    OtherKey {
        /// Where it is.
        path: PathBuf,
        /// The id of the key that is there.
        found: String,
        /// The id of the store's key.
        wanted: String,
    },
    /// Others can read it.
    #[error(
        "the sealing key {} has mode {mode:04o}; expected one that only its owner can read: \
         chmod 600 it, and think about who may have read it",
        .path.display()
    )]
    Readable {
        /// Where it is.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is no sealing key.
    #[error("the sealing key {} cannot be used: {source}", .path.display())]
    Unusable {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        source: SealError,
    },
    /// The system refuses to read or write it.
    #[error("the sealing key {} cannot be {done}: {source}", .path.display())]
    Io {
        /// Where it is.
        path: PathBuf,
        /// What was being done.
        done: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The store cannot say which key it has.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Returns the key of `store` out of the folder `keys`; makes one if neither has any.
///
/// # Errors
///
/// Whenever the key that is there is not the store's, or might not be a secret any more. Nothing
/// has been written then.
pub(super) fn open(keys: &Path, store: &dyn Store) -> Result<SealingKey, SealingFileError> {
    let path = keys.join(FILE);
    let wanted = meta::SEALING_KEY_ID.get(store)?;
    let key = match (read(&path)?, &wanted) {
        (Some(key), _) => key,
        (None, Some(wanted)) => {
            let wanted = wanted.clone();
            return Err(SealingFileError::Missing { path, wanted });
        }
        // The file comes first: a crash before the store knows it leaves a key that fits.
        (None, None) => create(keys, &path)?,
    };
    let found = key.id().to_string();
    match wanted {
        Some(wanted) if wanted == found => {}
        Some(wanted) => {
            return Err(SealingFileError::OtherKey {
                path,
                found,
                wanted,
            });
        }
        None => {
            let mut batch = Batch::new();
            let id = meta::SEALING_KEY_ID.as_bytes();
            batch.require(Space::Meta, id, Expected::Absent);
            meta::SEALING_KEY_ID.put(&mut batch, &found);
            store.commit(&batch)?;
        }
    }
    Ok(key)
}

/// Returns the id of the key in the folder `keys`, if there is one.
///
/// # Errors
///
/// As [`open`].
pub(super) fn id(keys: &Path) -> Result<Option<String>, SealingFileError> {
    Ok(read(&keys.join(FILE))?.map(|key| key.id().to_string()))
}

/// Returns whether the key's folder is the store's, or lies in it; both are there.
pub(super) fn lies_in(keys: &Path, store: &Path) -> bool {
    match (keys.canonicalize(), store.canonicalize()) {
        (Ok(keys), Ok(store)) => keys.starts_with(store),
        // Which has been told where it matters.
        _ => false,
    }
}

/// Reads a key, if there is one; refuses one that others can read.
fn read(path: &Path) -> Result<Option<SealingKey>, SealingFileError> {
    let failed = |source| SealingFileError::Io {
        path: path.to_owned(),
        done: "read",
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if mode & OTHERS != 0 {
        let path = path.to_owned();
        return Err(SealingFileError::Readable { path, mode });
    }
    // One octet more than a key has, so that a longer file is noticed.
    let mut octets = Zeroizing::new(Vec::with_capacity(64));
    file.take(33).read_to_end(&mut octets).map_err(failed)?;
    SealingKey::from_bytes(&octets)
        .map(Some)
        .map_err(|source| SealingFileError::Unusable {
            path: path.to_owned(),
            source,
        })
}

/// Makes a key and its file, durable and readable by the owner alone.
fn create(keys: &Path, path: &Path) -> Result<SealingKey, SealingFileError> {
    let key = SealingKey::generate().map_err(|source| SealingFileError::Unusable {
        path: path.to_owned(),
        source,
    })?;
    write_secret(keys, path, key.expose()).map_err(|source| SealingFileError::Io {
        path: path.to_owned(),
        done: "created",
        source,
    })?;
    Ok(key)
}

/// Writes a secret into a new file of `folder`, whole or not at all, and waits for the disk.
///
/// An older file of that name is replaced.
pub(super) fn write_secret(folder: &Path, path: &Path, octets: &[u8]) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let unfinished = path.with_extension("unfinished");
    // Left by a crash; nothing has ever relied on it.
    let _ = fs::remove_file(&unfinished);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(octets)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    // The name is durable when the folder is.
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::store::Memory;

    /// Returns the permission bits of a file.
    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_first_start_makes_a_key_that_later_ones_find() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        let store = Memory::new();

        let made = open(&keys, &store).unwrap().id().to_string();

        assert_eq!(mode(&keys.join(FILE)), 0o600);
        assert_eq!(open(&keys, &store).unwrap().id().to_string(), made);
        assert_eq!(meta::SEALING_KEY_ID.get(&store).unwrap(), Some(made));
    }

    #[test]
    fn a_missing_key_beside_a_store_is_never_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = Memory::new();
        let made = open(folder.path(), &store).unwrap().id().to_string();
        fs::remove_file(folder.path().join(FILE)).unwrap();

        let error = open(folder.path(), &store).err().unwrap();

        assert!(matches!(&error, SealingFileError::Missing { wanted, .. } if *wanted == made));
        assert!(!folder.path().join(FILE).exists());
    }

    #[test]
    fn another_stores_key_is_refused() {
        let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [store, other_store] = [Memory::new(), Memory::new()];
        open(one.path(), &store).unwrap();
        open(other.path(), &other_store).unwrap();

        let error = open(other.path(), &store).err().unwrap();

        assert!(
            matches!(error, SealingFileError::OtherKey { .. }),
            "{error}"
        );
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Memory::new();
        open(folder.path(), &store).unwrap();
        for loose in [0o640, 0o604, 0o660, 0o666] {
            let permissions = fs::Permissions::from_mode(loose);
            fs::set_permissions(folder.path().join(FILE), permissions).unwrap();

            let error = open(folder.path(), &store).err().unwrap();

            assert!(matches!(error, SealingFileError::Readable { mode, .. } if mode == loose));
        }
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for length in [0, 31, 33] {
            write_secret(folder.path(), &folder.path().join(FILE), &vec![7; length]).unwrap();

            let error = open(folder.path(), &Memory::new()).err().unwrap();

            assert!(
                matches!(error, SealingFileError::Unusable { .. }),
                "{length}: {error}"
            );
        }
    }

    #[test]
    fn a_key_in_the_folder_of_the_store_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let [store, inside, beside] = ["data", "data/keys", "data-keys"].map(|name| {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        });

        assert!(lies_in(&store, &store));
        assert!(lies_in(&inside, &store));
        assert!(lies_in(&inside.join("../"), &store));
        assert!(!lies_in(&beside, &store));
        assert!(!lies_in(&inside.join("../.."), &store));
    }
}
