//! Backups: a whole store in one file, and an empty store filled from one.
//!
//! A backup is written from one moment of a running store and never holds the sealing key: it
//! names the key that opens it. Numbers are big-endian.
//!
//! | octets | what |
//! |---:|---|
//! | 16 | `MXPOOL-BACKUP`, CR, LF, 0x1a |
//! | 4 | the form of the backup: 1 |
//! | 2, n | length and text of the sealing key's id, empty if the store has none |
//! | 8 | the revision |
//! | … | entries: 1 octet space (its place among [`Space::ALL`](super::Space::ALL)), 4 octets length of the key, 4 octets length of the value, key, value; by space, then by key |
//! | 1 | 0xff: the end of the entries |
//! | 8 | how many entries there were |
//! | 32 | SHA-256 over all before |
//!
//! The CR, LF and 0x1a at the beginning break when the file was carried as text; the digest at
//! the end breaks when anything is missing or was changed. Values are what the store held, each
//! with a version of its own.
//!
//! Start reading at [`Store::backup`](super::Store::backup) and [`restore_into`].

mod read;
mod restore;
mod write;

pub use read::{BackupHeader, RestoreError, read_header};
pub use restore::{RestoreReport, restore_into};
pub use write::BackupReport;
pub(super) use write::BackupWriter;

/// What every backup begins with.
const MAGIC: &[u8; 16] = b"MXPOOL-BACKUP\r\n\x1a";
/// The form of what is written.
const FORM: u32 = 1;
/// What stands in the place of a space after the last entry.
const END: u8 = 0xff;
