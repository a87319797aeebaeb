//! Filling an empty store from a backup, with the server stopped.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::store::backup::read_header;
use crate::store::{Embedded, RestoreError, RestoreReport, Space, StoreError, restore_into};

use super::sealing::{self, SealingFileError};
use super::token::{self, TokenError};

/// Why a backup was not restored; unless it says otherwise, the store is as empty as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreFailure {
    /// The backup cannot be opened.
    #[error("cannot open the backup {}: {source}", .path.display())]
    Open {
        /// The backup.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The backup cannot be read or the store not be filled.
    #[error("cannot restore {}: {source}", .path.display())]
    Restore {
        /// The backup.
        path: PathBuf,
        /// Why.
        source: RestoreError,
    },
    /// The store holds something already.
    #[error(
        "cannot restore {} into {}: a backup goes into an empty store only, and this one is not \
         ({space}); move that folder away, or name another one as store.path",
        .path.display(),
        .store.display()
    )]
    Full {
        /// The backup.
        path: PathBuf,
        /// The folder of the store.
        store: PathBuf,
        /// The first space that holds something.
        space: Space,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sealing key that is there cannot be used.
    #[error(transparent)]
    Sealing(#[from] SealingFileError),
    /// The store is filled, but its admin token is still that of the backup.
    #[error(
        "the store in {} is restored, but its admin token is still that of the backup: {source}; mend \
         that and remove {} if it is there, and the next start makes a new one",
        .store.display(), .store.join(token::FILE).display()
    )]
    Token {
        /// The folder of the store.
        store: PathBuf,
        /// Why it got no new one.
        source: TokenError,
    },
    /// The sealing key that is there is another one.
    #[error(
        "the backup {} opens with sealing key {wanted}; found key {found} in {}: put the backup's \
         key there first",
        .path.display(),
        .keys.display()
    )]
    OtherKey {
        /// The backup.
        path: PathBuf,
        /// The folder of the sealing key.
        keys: PathBuf,
        /// The id of the backup's key.
        wanted: String,
        /// The id of the key that is there.
        found: String,
    },
}

/// Fills the store of `config` from the backup at `path`.
///
/// The sealing key may be put in place later, but a wrong one is told at once, before hours pass
/// and the right one is lost as well. The store gets an admin token of its own.
///
/// # Errors
///
/// Says what is wrong with which of backup, store and key.
pub(super) fn run(config: &Config, path: &Path) -> Result<RestoreReport, RestoreFailure> {
    let open = || {
        File::open(path)
            .map(BufReader::new)
            .map_err(|source| RestoreFailure::Open {
                path: path.to_owned(),
                source,
            })
    };
    let failed = |source| match source {
        RestoreError::NotEmpty { space } => RestoreFailure::Full {
            path: path.to_owned(),
            store: config.store.clone(),
            space,
        },
        source => RestoreFailure::Restore {
            path: path.to_owned(),
            source,
        },
    };
    let header = read_header(&mut open()?).map_err(failed)?;
    if let (Some(wanted), Some(found)) = (header.sealing_key_id, sealing::id(&config.keys)?)
        && wanted != found
    {
        return Err(RestoreFailure::OtherKey {
            path: path.to_owned(),
            keys: config.keys.clone(),
            wanted,
            found,
        });
    }
    let store = Embedded::open(&config.store)?;
    let now = SystemClock::new().now();
    let report = restore_into(&store, &mut open()?, now).map_err(failed)?;
    // The old token's file was lost with its machine, or lies where nobody should find it.
    let replaced = token::replace(&config.store, &store, now);
    replaced.map_err(|source| RestoreFailure::Token {
        store: config.store.clone(),
        source,
    })?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::{Store, meta};

    /// Returns a configuration whose folders lie in `folder`.
    fn config(folder: &Path) -> Config {
        Config {
            store: folder.join("data"),
            keys: folder.join("keys"),
            ..Config::default()
        }
    }

    /// Makes a sealed store in `folder` and returns its backup.
    fn backup(folder: &Path) -> PathBuf {
        let config = config(folder);
        let store = Embedded::open(&config.store).unwrap();
        sealing::open(&config.keys, &store).unwrap();
        let path = folder.join("backup");
        store.backup(&mut File::create(&path).unwrap()).unwrap();
        path
    }

    #[test]
    fn an_empty_store_is_filled_and_opens_with_the_backups_key() {
        let [lost, new] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let backup = backup(lost.path());
        let config = config(new.path());

        let report = run(&config, &backup).unwrap();
        fs::create_dir(&config.keys).unwrap();
        let key = Path::new("keys").join(sealing::FILE);
        fs::copy(lost.path().join(&key), new.path().join(&key)).unwrap();

        let store = Embedded::open(&config.store).unwrap();
        let id = sealing::open(&config.keys, &store).unwrap().id();
        assert_eq!(report.sealing_key_id, Some(id.to_string()));
        assert_eq!(meta::REVISION.get(&store).unwrap(), Some(report.revision));
        assert!(config.store.join(token::FILE).exists());
    }

    #[test]
    fn another_key_in_place_is_told_before_anything_is_written() {
        let [lost, new] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let backup = backup(lost.path());
        let config = config(new.path());
        sealing::open(&config.keys, &crate::store::Memory::new()).unwrap();

        let failure = run(&config, &backup).unwrap_err();

        assert!(
            matches!(failure, RestoreFailure::OtherKey { .. }),
            "{failure}"
        );
        assert!(!config.store.exists());
    }

    #[test]
    fn a_store_that_holds_something_is_left_alone() {
        let lost = tempfile::tempdir().unwrap();
        let backup = backup(lost.path());

        let failure = run(&config(lost.path()), &backup).unwrap_err();

        assert!(failure.to_string().contains("empty store"), "{failure}");
    }
}
