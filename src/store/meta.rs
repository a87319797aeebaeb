//! The few facts about the store as a whole, each under a fixed key of [`Space::Meta`].
//!
//! Each is a [`MetaKey`] that knows the type of its value, which is stored like a record: one
//! version octet and the postcard form.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::record::{self, RecordError};
use super::{Batch, Space, Store, StoreError};
use crate::clock::Timestamp;
use crate::wire::Serial;

/// Which sealing key opens the stored keys: its printable id, never the key.
pub const SEALING_KEY_ID: MetaKey<String> = MetaKey::new("sealing_key_id");

/// The revision: how many changes of intent were accepted.
pub const REVISION: MetaKey<u64> = MetaKey::new("revision");

/// When something was last signed; the clock cannot be right before that.
pub const LAST_SIGNING: MetaKey<Timestamp> = MetaKey::new("last_signing");

/// The newest serial of all domains that are gone. One that comes back begins above it, so that a
/// serial never stands for two contents (RFC 1035, section 3.3.13).
pub const GONE_SERIAL: MetaKey<Serial> = MetaKey::new("gone_serial");

/// Says that a backup filled the store and that serials have not been raised since.
///
/// Whoever raises them removes it in the same batch.
pub const RESTORED: MetaKey<Restored> = MetaKey::new("restored");

/// Says that a backup is being read in: the store is not whole.
pub const RESTORING: MetaKey<Restored> = MetaKey::new("restoring");

/// Where a store came from that a backup filled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// When that was.
    pub at: Timestamp,
    /// The revision of the backup. What the lost store accepted after it is unknown, so the
    /// revision of the restored one is larger by [`Restored::REVISION_STEP`].
    pub backup_revision: u64,
}

impl Restored {
    /// How far a restored store's revision lies above that of the backup: more than any server
    /// counts before it is lost.
    pub const REVISION_STEP: u64 = 1 << 32;
}

/// The key of one fact about the store.
#[derive(Clone, Copy, Debug)]
pub struct MetaKey<T> {
    /// The key's octets, printable.
    name: &'static str,
    /// What is stored under it.
    value: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> MetaKey<T> {
    /// The version octet in front of every value.
    const VERSION: u8 = 1;

    /// Returns a key.
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            value: PhantomData,
        }
    }

    /// Returns the key's octets.
    pub const fn as_bytes(&self) -> &'static [u8] {
        self.name.as_bytes()
    }

    /// Returns what a store says, if it says something.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or the value is not readable.
    pub fn get(&self, store: &dyn Store) -> Result<Option<T>, StoreError> {
        let octets = store.get(Space::Meta, self.as_bytes())?;
        octets.map(|octets| self.decode(&octets)).transpose()
    }

    /// Lets a batch say something.
    pub fn put(&self, batch: &mut Batch, value: &T) {
        batch.put(Space::Meta, self.as_bytes(), self.encode(value));
    }

    /// Lets a batch remove what is said.
    pub fn delete(&self, batch: &mut Batch) {
        batch.delete(Space::Meta, self.as_bytes());
    }

    /// Returns the stored form of a value, for a requirement.
    pub fn encode(&self, value: &T) -> Vec<u8> {
        record::encode_form(Self::VERSION, value)
    }

    /// Reads the stored form of a value.
    pub(super) fn decode(&self, octets: &[u8]) -> Result<T, StoreError> {
        record::decode_form(Space::Meta, Self::VERSION, octets)
            .map_err(|error: RecordError| error.at(self.as_bytes()))
    }
}
