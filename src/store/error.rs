//! Why a store did not do what it was asked.

use std::io;
use std::path::PathBuf;

use super::Space;

/// Why a store does not do what it was asked.
///
/// Nothing of a commit that failed has been made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another release wrote it, in a form that this one does not read.
    #[error("{what}: expected form {wanted}, found form {found}; another release wrote it")]
    OtherVersion {
        /// What has that form.
        what: String,
        /// The form that was found.
        found: u32,
        /// The form that this release reads.
        wanted: u32,
    },
    /// The octets are not what they should be.
    #[error("{place} is damaged: {reason}")]
    Damaged {
        /// Where.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no room: the disk is full, or the store has reached the size it may have.
    #[error("no room left in {place}: {reason}")]
    Full {
        /// The store.
        place: String,
        /// What ran out.
        reason: String,
    },
    /// Another process has the store open.
    #[error(
        "the store {} is in use by {}; one store belongs to one server",
        .folder.display(),
        .pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Locked {
        /// The store's folder.
        folder: PathBuf,
        /// The process, if it said who it is.
        pid: Option<u32>,
    },
    /// A requirement of the batch does not hold.
    #[error("{space} {} is not as required", .key.escape_ascii())]
    Precondition {
        /// The key's space.
        space: Space,
        /// The key.
        key: Box<[u8]>,
    },
    /// A key is of a length that no store takes.
    #[error("expected a key of 1 to {limit} octets in {space}, found {length}")]
    KeyLength {
        /// The key's space.
        space: Space,
        /// How long it is.
        length: usize,
        /// How long it may be.
        limit: usize,
    },
    /// The system refuses to read or write.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system says.
        source: io::Error,
    },
}

impl StoreError {
    /// The longest key that every store takes; LMDB's limit, as it is built.
    pub const KEY_LIMIT: usize = 511;

    /// Refuses a key that a store does not take.
    pub(super) fn check_key(space: Space, key: &[u8]) -> Result<(), Self> {
        if (1..=Self::KEY_LIMIT).contains(&key.len()) {
            return Ok(());
        }
        Err(Self::KeyLength {
            space,
            length: key.len(),
            limit: Self::KEY_LIMIT,
        })
    }

    /// Takes the system's error, told apart by whether room is what is missing.
    pub(super) fn from_io(place: &str, doing: &str, source: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        if matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge) {
            return Self::Full {
                place: place.to_owned(),
                reason: source.to_string(),
            };
        }
        Self::Io {
            doing: format!("{doing} {place}"),
            source,
        }
    }
}
