//! Streams a consistent view of a store into one file.

use std::io::Write;

use ring::digest::{Context, SHA256};

use super::{END, FORM, MAGIC};
use crate::store::{Space, StoreError, meta};

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// The id of the sealing key that opens its keys, if the store has one.
    pub sealing_key_id: Option<String>,
    /// The revision of the store.
    pub revision: u64,
    /// How many keys and values it holds.
    pub entries: u64,
    /// How long it is.
    pub octets: u64,
}

/// Writes a backup: begin, every entry by space and key, finish.
pub(in crate::store) struct BackupWriter<'w> {
    /// Where it goes.
    to: &'w mut dyn Write,
    /// What is not written yet.
    buffer: Vec<u8>,
    /// The digest over what was written.
    digest: Context,
    /// What was written so far.
    report: BackupReport,
}

impl<'w> BackupWriter<'w> {
    /// How much is written at once.
    const CHUNK: usize = 64 << 10;

    /// Writes the header; `get` returns values of [`Space::Meta`].
    pub(in crate::store) fn begin(
        to: &'w mut dyn Write,
        get: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
    ) -> Result<Self, StoreError> {
        let sealing_key_id = get(meta::SEALING_KEY_ID.as_bytes())?;
        let sealing_key_id = sealing_key_id.map(|octets| meta::SEALING_KEY_ID.decode(&octets));
        let sealing_key_id = sealing_key_id.transpose()?;
        let revision = get(meta::REVISION.as_bytes())?;
        let revision = revision.map(|octets| meta::REVISION.decode(&octets));
        let revision = revision.transpose()?.unwrap_or_default();
        let id = sealing_key_id.as_deref().unwrap_or_default();
        let id_length = u16::try_from(id.len()).map_err(|_| StoreError::Damaged {
            place: "the id of the sealing key".to_owned(),
            reason: format!("expected at most 65535 octets, found {}", id.len()),
        })?;

        let mut buffer = Vec::with_capacity(Self::CHUNK + 4096);
        buffer.extend_from_slice(MAGIC);
        buffer.extend_from_slice(&FORM.to_be_bytes());
        buffer.extend_from_slice(&id_length.to_be_bytes());
        buffer.extend_from_slice(id.as_bytes());
        buffer.extend_from_slice(&revision.to_be_bytes());
        Ok(Self {
            to,
            buffer,
            digest: Context::new(&SHA256),
            report: BackupReport {
                sealing_key_id,
                revision,
                entries: 0,
                octets: 0,
            },
        })
    }

    /// Writes one key and its value.
    pub(in crate::store) fn entry(
        &mut self,
        space: Space,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), StoreError> {
        let value_length = u32::try_from(value.len()).map_err(|_| StoreError::Damaged {
            place: format!("the {space} record {}", key.escape_ascii()),
            reason: format!("its {} octets are too many for a backup", value.len()),
        })?;
        self.buffer.push(space.index() as u8);
        // A store takes keys of at most `StoreError::KEY_LIMIT` octets.
        self.buffer
            .extend_from_slice(&(key.len() as u32).to_be_bytes());
        self.buffer.extend_from_slice(&value_length.to_be_bytes());
        self.buffer.extend_from_slice(key);
        self.buffer.extend_from_slice(value);
        self.report.entries += 1;
        if self.buffer.len() >= Self::CHUNK {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes the end.
    pub(in crate::store) fn finish(mut self) -> Result<BackupReport, StoreError> {
        self.buffer.push(END);
        self.buffer
            .extend_from_slice(&self.report.entries.to_be_bytes());
        self.flush()?;
        let digest = self.digest.clone().finish();
        self.buffer.extend_from_slice(digest.as_ref());
        self.flush()?;
        self.to.flush().map_err(write_failed)?;
        Ok(self.report)
    }

    /// Writes what is in the buffer.
    fn flush(&mut self) -> Result<(), StoreError> {
        self.digest.update(&self.buffer);
        self.to.write_all(&self.buffer).map_err(write_failed)?;
        self.report.octets += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// Says that the backup could not be written.
///
/// Room that is missing for it is not missing in the store, so it is not reported as such.
fn write_failed(source: std::io::Error) -> StoreError {
    StoreError::Io {
        doing: "write the backup".to_owned(),
        source,
    }
}
