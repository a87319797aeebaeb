//! LMDB itself: opened, read, written and synced here alone.

use std::fs;
use std::path::Path;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, MdbError, RoTxn, RwTxn, WithoutTls};
use nix::errno::Errno;
use nix::sys::statvfs::statvfs;

use super::lock::FolderLock;
use super::map;
use crate::store::{Sequence, Space, StoreError};

/// LMDB as it is open in a folder: its databases, one for each space and one for the store itself.
#[derive(Debug)]
pub(super) struct Environment {
    /// The environment.
    pub(super) env: Env<WithoutTls>,
    /// Where it lies, for messages.
    place: String,
    /// The databases of the spaces, by [`Space::index`].
    spaces: [Octets; Space::ALL.len()],
    /// Form and sequence.
    own: Octets,
}

/// A database of octets by octets.
type Octets = Database<'static, Bytes, Bytes>;

/// A transaction that reads.
pub(super) type Reading<'e> = RoTxn<'e, WithoutTls>;

/// The name of the database that holds what is said of the store itself.
const OWN: &str = "_store";
/// The key of the store's form there.
const FORM_KEY: &[u8] = b"form";
/// The key of the sequence there.
const SEQUENCE_KEY: &[u8] = b"sequence";
/// The form of the store: which databases there are and what their keys look like. The values
/// have forms of their own.
const FORM: u32 = 1;

impl Environment {
    /// Opens what is in the folder; makes an empty store of an empty folder.
    pub(super) fn open(lock: &FolderLock, map_size: usize) -> Result<Self, StoreError> {
        let place = lock.folder().display().to_string();
        let failed = |error| translate(&place, "open the store in", error);
        lock.reserve_reader_table()
            .map_err(|source| StoreError::from_io(&place, "open the store in", source))?;
        check_begun(lock, &place)?;
        let env = map::open(lock, map_size).map_err(failed)?;
        check_length(&env, &place)?;
        check_form(&env, &place)?;

        let transaction = env.write_txn().map_err(failed)?;
        let databases = env.create_databases_and_commit(transaction, |opener, transaction| {
            let own: Database<'_, Bytes, Bytes> = opener.create_database(transaction, Some(OWN))?;
            // A store that is complete is opened without a write: it must open on a full disk.
            if own.get(transaction, FORM_KEY)?.is_none() {
                own.put(transaction, FORM_KEY, &FORM.to_be_bytes())?;
            }
            let mut spaces = [own; Space::ALL.len()];
            for space in Space::ALL {
                spaces[space.index()] = opener.create_database(transaction, Some(space.name()))?;
            }
            Ok(CommitOrAbort::<_, ()>::Commit((own, spaces)))
        });
        let databases: CommitOrAbort<_, ()> = databases.map_err(failed)?;
        let (own, spaces) = databases
            .commit()
            .expect("the closure above ends in a commit or an error");
        lock.sync_names()
            .map_err(|source| StoreError::from_io(&place, "open the store in", source))?;
        Ok(Self {
            env,
            place,
            spaces,
            own,
        })
    }

    /// Returns the database of a space.
    pub(super) fn space(&self, space: Space) -> Octets {
        self.spaces[space.index()]
    }

    /// Begins to read.
    pub(super) fn read(&self) -> Result<Reading<'_>, StoreError> {
        self.env.read_txn().map_err(|error| self.error(error))
    }

    /// Returns the sequence of the last commit.
    pub(super) fn last_sequence(&self) -> Result<Sequence, StoreError> {
        let transaction = self.read()?;
        self.sequence(&transaction)
    }

    /// Returns the sequence that a transaction sees.
    pub(super) fn sequence(&self, transaction: &RoTxn<'_>) -> Result<Sequence, StoreError> {
        let octets = self.own.get(transaction, SEQUENCE_KEY);
        let Some(octets) = octets.map_err(|error| self.error(error))? else {
            return Ok(Sequence::default());
        };
        let octets = octets.try_into().map_err(|_| StoreError::Damaged {
            place: format!("the sequence of the store {}", self.place),
            reason: format!("expected 8 octets, found {}", octets.len()),
        })?;
        Ok(Sequence::new(u64::from_be_bytes(octets)))
    }

    /// Lets a commit have a sequence.
    pub(super) fn set_sequence(
        &self,
        transaction: &mut RwTxn<'_>,
        sequence: Sequence,
    ) -> Result<(), StoreError> {
        let octets = sequence.number().to_be_bytes();
        self.own
            .put(transaction, SEQUENCE_KEY, &octets)
            .map_err(|error| self.error(error))
    }

    /// Tells a full disk from a broken one when a write of `octets` failed.
    ///
    /// The system cuts the last write short that still finds some room, and LMDB takes any short
    /// write for a broken disk: only the room that is left tells them apart.
    pub(super) fn or_full(&self, error: StoreError, octets: u64) -> StoreError {
        /// What a commit may write besides its batch: the pages on the way to what changes.
        const BESIDES: u64 = 1 << 20;
        let StoreError::Io { source, .. } = &error else {
            return error;
        };
        if source.raw_os_error() != Some(Errno::EIO as i32) {
            return error;
        }
        let Ok(disk) = statvfs(self.env.path()) else {
            return error;
        };
        let room = disk.blocks_available().saturating_mul(disk.fragment_size());
        if room >= octets.saturating_add(BESIDES) {
            return error;
        }
        StoreError::Full {
            place: self.place.clone(),
            reason: format!("the disk has {room} octets left"),
        }
    }

    /// Says what an error of LMDB means.
    pub(super) fn error(&self, error: heed::Error) -> StoreError {
        translate(&self.place, "use the store in", error)
    }
}

/// The octets of an empty LMDB file: two pages, of which each says what the rest is.
const EMPTY: u64 = 2 * 4_096;

/// Refuses a file that was begun and is less than an empty store, as on a disk that is full. Whether
/// anything was in it the file cannot tell, so nobody but the operator may remove it.
fn check_begun(lock: &FolderLock, place: &str) -> Result<(), StoreError> {
    let length = fs::metadata(lock.folder().join("data.mdb")).map_or(0, |it| it.len());
    if length == 0 || length >= EMPTY {
        return Ok(());
    }
    Err(StoreError::Damaged {
        place: format!("data.mdb in {place}"),
        reason: format!(
            "it has {length} octets, less than an empty store has ({EMPTY}); if nothing was ever \
             stored there, as the disk was full when it was made, remove it"
        ),
    })
}

/// Refuses a file that is shorter than it says: reading what is missing would kill the process.
fn check_length(env: &Env<WithoutTls>, place: &str) -> Result<(), StoreError> {
    let page_size = u64::from(env.unnamed_database_stat().page_size);
    let pages = env.info().last_page_number as u64 + 1;
    let found = env
        .real_disk_size()
        .map_err(|error| translate(place, "read the size of the store in", error))?;
    let wanted = page_size.saturating_mul(pages);
    // Of a new store the file may not have been written yet.
    if found < wanted && env.info().last_txn_id > 0 {
        return Err(StoreError::Damaged {
            place: format!("data.mdb in {place}"),
            reason: format!("expected at least {wanted} octets, found {found}: it was cut off"),
        });
    }
    Ok(())
}

/// Refuses a store of another form before anything is written, and what is no store of ours.
fn check_form(env: &Env<WithoutTls>, place: &str) -> Result<(), StoreError> {
    if env.info().last_txn_id == 0 {
        return Ok(());
    }
    let failed = |error| translate(place, "read the store in", error);
    let transaction = env.read_txn().map_err(failed)?;
    let found = env.open_databases_and_commit(transaction, |opener, transaction| {
        let own = opener.open_database::<Bytes, Bytes>(transaction, Some(OWN))?;
        let form = match own {
            Some(own) => own.get(transaction, FORM_KEY)?.map(<[u8]>::to_vec),
            None => None,
        };
        // Nothing is kept open: the databases are opened for good once the form is known.
        Ok(CommitOrAbort::<(), _>::Abort(form))
    });
    let found: CommitOrAbort<(), _> = found.map_err(failed)?;
    let form = found.abort().flatten().ok_or_else(|| StoreError::Damaged {
        place: format!("data.mdb in {place}"),
        reason: "it holds something else than a store of mxpool".to_owned(),
    })?;
    let form = form.try_into().map(u32::from_be_bytes);
    let form = form.map_err(|_| StoreError::Damaged {
        place: format!("the form of the store {place}"),
        reason: "expected 4 octets".to_owned(),
    })?;
    if form != FORM {
        return Err(StoreError::OtherVersion {
            what: format!("the store {place}"),
            found: form,
            wanted: FORM,
        });
    }
    Ok(())
}

/// Says what an error of LMDB means.
fn translate(place: &str, doing: &str, error: heed::Error) -> StoreError {
    let damaged = |reason: &str| StoreError::Damaged {
        place: format!("data.mdb in {place}"),
        reason: reason.to_owned(),
    };
    match error {
        heed::Error::Io(source) => StoreError::from_io(place, doing, source),
        heed::Error::Mdb(MdbError::MapFull) => StoreError::Full {
            place: place.to_owned(),
            reason: "it has reached the greatest size it may have".to_owned(),
        },
        heed::Error::Mdb(MdbError::Invalid) => damaged("it is no LMDB file"),
        heed::Error::Mdb(MdbError::VersionMismatch) => damaged("it is of another LMDB version"),
        heed::Error::Mdb(MdbError::Corrupted | MdbError::PageNotFound) => {
            damaged("its pages do not fit together")
        }
        heed::Error::EnvAlreadyOpened => StoreError::Locked {
            folder: Path::new(place).to_owned(),
            pid: Some(std::process::id()),
        },
        other => StoreError::Io {
            doing: format!("{doing} {place}"),
            source: std::io::Error::other(other.to_string()),
        },
    }
}
