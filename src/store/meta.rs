//! The few facts about the store as a whole, each under a fixed key of [`Space::Meta`], and the
//! serials of zones that are gone.
//!
//! Each fixed key is a [`MetaKey`] that knows the type of its value, which is stored like a record: one
//! version octet and the postcard form.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::{Bound, ControlFlow};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::record::{self, RecordError};
use super::{Batch, Direction, Space, Store, StoreError};
use crate::clock::Timestamp;
use crate::wire::{Apex, Name, Serial};

/// Which sealing key opens the stored keys: its printable id, never the key.
pub const SEALING_KEY_ID: MetaKey<String> = MetaKey::new("sealing_key_id");

/// The revision: how many changes of intent were accepted.
pub const REVISION: MetaKey<u64> = MetaKey::new("revision");

/// When something was last signed; the clock cannot be right before that.
pub const LAST_SIGNING: MetaKey<Timestamp> = MetaKey::new("last_signing");

/// The newest serial of all domains that are gone. One that comes back begins above it, so that a
/// serial never stands for two contents (RFC 1035, section 3.3.13).
pub const GONE_SERIAL: MetaKey<Serial> = MetaKey::new("gone_serial");

/// Who referred to hosts in domains and may still be followed by caches, or be replayed (L14).
pub const LEFT_REFERENCES: MetaKey<Vec<LeftReference>> = MetaKey::new("left_references");

/// When the server was ended in good order; removed at its next start.
pub const STOPPED: MetaKey<Timestamp> = MetaKey::new("stopped");

/// Until when the server was down at last, so that senders may have been made to defer (R2).
pub const DOWN_UNTIL: MetaKey<Timestamp> = MetaKey::new("down_until");

/// Says that a backup filled the store and that serials have not been raised since.
///
/// Whoever raises them removes it in the same batch.
pub const RESTORED: MetaKey<Restored> = MetaKey::new("restored");

/// Says that a store is recovering that a backup filled, since when serials were raised: what it has forgotten may still be
/// promised to the world, so that nothing is withdrawn for a while (K28).
pub const RECOVERING: MetaKey<Restored> = MetaKey::new("recovering");

/// Says that a backup is being read in: the store is not whole.
pub const RESTORING: MetaKey<Restored> = MetaKey::new("restoring");

/// What stands in front of the apex of one of the operator's zones that is gone; the last serial is
/// stored there.
const GONE_ZONE: &[u8] = b"gone_zone/";

/// Lets a batch say which serial one of the operator's zones had at last.
pub fn put_gone_zone(batch: &mut Batch, apex: &Apex, serial: Serial) {
    let key = [GONE_ZONE, apex.as_wire()].concat();
    let version = MetaKey::<Serial>::VERSION;
    batch.put(Space::Meta, &key, record::encode_form(version, &serial));
}

/// Returns which serials the operator's zones that are gone had at last.
///
/// # Errors
///
/// When the store cannot be read or a value is not readable.
pub fn gone_zones(store: &dyn Store) -> Result<BTreeMap<Apex, Serial>, StoreError> {
    let mut zones = BTreeMap::new();
    let mut failure = None;
    store.scan(
        Space::Meta,
        Bound::Included(GONE_ZONE),
        Direction::Ascending,
        &mut |key, value| {
            let Some(wire) = key.strip_prefix(GONE_ZONE) else {
                return ControlFlow::Break(());
            };
            match gone_zone(wire, value) {
                Ok((apex, serial)) => {
                    zones.insert(apex, serial);
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failure = Some(error.at(key));
                    ControlFlow::Break(())
                }
            }
        },
    )?;
    failure.map_or(Ok(zones), Err)
}

/// Reads the name and the last serial of a zone that is gone.
fn gone_zone(wire: &[u8], value: &[u8]) -> Result<(Apex, Serial), RecordError> {
    let damaged = |reason: String| RecordError::Damaged {
        space: Space::Meta,
        reason,
    };
    let name = Name::from_wire(wire).map_err(|error| damaged(error.to_string()))?;
    let apex = Apex::new(name).map_err(|error| damaged(error.to_string()))?;
    let serial = record::decode_form(Space::Meta, MetaKey::<Serial>::VERSION, value)?;
    Ok((apex, serial))
}

/// A name of a host that one of our zones or pools holds no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftReference {
    /// The host.
    pub host: Name,
    /// Who named it, in words.
    pub who: String,
    /// Until when somebody may go there.
    pub until: Timestamp,
}

/// Where a store came from that a backup filled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// When that was.
    pub at: Timestamp,
    /// The revision of the backup. What the lost store accepted after it is unknown, so that of the
    /// restored one is [`Restored::revision`].
    pub backup_revision: u64,
}

impl Restored {
    /// How far a restored store's revision lies above that of the backup at least: more than any
    /// server counts before it is lost.
    const STEP: u64 = 1 << 32;

    /// How many revisions a second are left room for: no server makes as many.
    const A_SECOND: u64 = 1 << 20;

    /// 2026-01-01T00:00:00Z: seconds are counted from here.
    const SECONDS_FROM: Timestamp = Timestamp::from_secs(1_767_225_600);

    /// Returns the revision at which the restored store begins; `None` where the backup's is
    /// impossible.
    ///
    /// One backup may be restored twice, and what was given out after the first time had revisions
    /// above its own: so what is added grows with the clock, faster than revisions do. It stays below
    /// 2^53, beyond which JSON readers may round (RFC 8259, section 6), for 250 years.
    pub fn revision(&self) -> Option<u64> {
        let seconds = self.at.since(Self::SECONDS_FROM).as_secs();
        let step = seconds
            .checked_mul(Self::A_SECOND)?
            .checked_add(Self::STEP)?;
        self.backup_revision.checked_add(step)
    }
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
