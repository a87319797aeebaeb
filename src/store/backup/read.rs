//! Reads a backup and trusts none of its octets.

use std::io::{self, Read};

use ring::digest::{Context, SHA256};

use super::{END, FORM, MAGIC};
use crate::store::{Space, StoreError};

/// What a backup says of itself before its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupHeader {
    /// The id of the sealing key that opens its keys, if the store had one.
    pub sealing_key_id: Option<String>,
    /// The revision of the store.
    pub revision: u64,
}

/// Why a store is not filled from a backup.
///
/// What had been written until then is removed again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The file begins with something else.
    #[error("this is no backup of mxpool: expected it to begin with MXPOOL-BACKUP")]
    NotABackup,
    /// Another release wrote it.
    #[error("expected a backup of form {wanted}, found form {found}; another release wrote it")]
    OtherVersion {
        /// The form that was found.
        found: u32,
        /// The form that this release reads.
        wanted: u32,
    },
    /// It was cut off or changed.
    #[error("the backup is damaged at octet {at}: {reason}")]
    Damaged {
        /// How much of it was read before.
        at: u64,
        /// What is wrong.
        reason: String,
    },
    /// It cannot be read.
    #[error("cannot read the backup: {0}")]
    Io(io::Error),
    /// The store holds something already.
    #[error("a backup goes into an empty store only; this one holds {space} records")]
    NotEmpty {
        /// The first space that holds something.
        space: Space,
    },
    /// The store refuses what it is given.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Returns what a backup says of itself; the rest of it is not looked at.
///
/// # Errors
///
/// When it cannot be read, is no backup or is of another form.
pub fn read_header(from: &mut dyn Read) -> Result<BackupHeader, RestoreError> {
    BackupReader::begin(from).map(|(header, _)| header)
}

/// One key and its value.
pub(super) struct BackupEntry {
    /// The key's space.
    pub(super) space: Space,
    /// The key.
    pub(super) key: Vec<u8>,
    /// The value.
    pub(super) value: Vec<u8>,
}

/// Reads a backup: begin, entries until there are no more.
pub(super) struct BackupReader<'r> {
    /// Where it comes from.
    from: io::BufReader<&'r mut dyn Read>,
    /// The digest over what was read.
    digest: Context,
    /// How much was read.
    at: u64,
    /// How many entries were read.
    pub(super) entries: u64,
}

impl<'r> BackupReader<'r> {
    /// Reads the header.
    pub(super) fn begin(from: &'r mut dyn Read) -> Result<(BackupHeader, Self), RestoreError> {
        let mut reader = Self {
            from: io::BufReader::with_capacity(64 << 10, from),
            digest: Context::new(&SHA256),
            at: 0,
            entries: 0,
        };
        let magic: [u8; 16] = match reader.array("the header") {
            Err(RestoreError::Damaged { .. }) => return Err(RestoreError::NotABackup),
            magic => magic?,
        };
        if magic != *MAGIC {
            return Err(RestoreError::NotABackup);
        }
        let found = u32::from_be_bytes(reader.array("its form")?);
        if found != FORM {
            return Err(RestoreError::OtherVersion {
                found,
                wanted: FORM,
            });
        }
        let id_length = u16::from_be_bytes(reader.array("the id of the sealing key")?);
        let id = reader.take("the id of the sealing key", id_length.into())?;
        let id = String::from_utf8(id).map_err(|_| reader.damaged("the key id is no text"))?;
        let header = BackupHeader {
            sealing_key_id: (!id.is_empty()).then_some(id),
            revision: u64::from_be_bytes(reader.array("the revision")?),
        };
        Ok((header, reader))
    }

    /// Returns the next entry; none after the last one, when count and digest are right.
    pub(super) fn entry(&mut self) -> Result<Option<BackupEntry>, RestoreError> {
        let [space] = self.array("an entry")?;
        if space == END {
            return self.end().map(|()| None);
        }
        let space = Space::ALL.get(usize::from(space)).copied();
        let space = space.ok_or_else(|| self.damaged("an entry is of no known space"))?;
        let key_length = u32::from_be_bytes(self.array("a key's length")?);
        let value_length = u32::from_be_bytes(self.array("a value's length")?);
        if !(1..=StoreError::KEY_LIMIT as u32).contains(&key_length) {
            return Err(self.damaged("a key has an impossible length"));
        }
        let key = self.take("a key", key_length.into())?;
        let value = self.take("a value", value_length.into())?;
        self.entries += 1;
        Ok(Some(BackupEntry { space, key, value }))
    }

    /// Checks what stands behind the entries.
    fn end(&mut self) -> Result<(), RestoreError> {
        let entries = u64::from_be_bytes(self.array("the number of entries")?);
        if entries != self.entries {
            return Err(self.damaged(&format!(
                "expected {entries} entries, found {}",
                self.entries
            )));
        }
        let wanted = self.digest.clone().finish();
        let found: [u8; 32] = self.array("the digest")?;
        if found != wanted.as_ref() {
            return Err(self.damaged("the digest does not fit what was read: it was changed"));
        }
        let mut more = [0];
        if self.from.read(&mut more).map_err(RestoreError::Io)? > 0 {
            return Err(self.damaged("something follows after its end"));
        }
        Ok(())
    }

    /// Reads a fixed number of octets.
    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], RestoreError> {
        let octets = self.take(what, N as u64)?;
        Ok(octets
            .try_into()
            .expect("`take` returns as many octets as it was asked for"))
    }

    /// Reads `length` octets.
    ///
    /// Memory grows with what is there, not with what a damaged length promises.
    fn take(&mut self, what: &str, length: u64) -> Result<Vec<u8>, RestoreError> {
        let mut octets = Vec::new();
        let mut part = (&mut self.from).take(length);
        part.read_to_end(&mut octets).map_err(RestoreError::Io)?;
        if (octets.len() as u64) < length {
            return Err(self.damaged(&format!("it ends within {what}")));
        }
        self.digest.update(&octets);
        self.at += length;
        Ok(octets)
    }

    /// Says what is wrong here.
    fn damaged(&self, reason: &str) -> RestoreError {
        RestoreError::Damaged {
            at: self.at,
            reason: reason.to_owned(),
        }
    }
}
