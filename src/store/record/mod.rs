//! What is stored, as versioned serde types.
//!
//! Each record is one version octet and the postcard form of a type in this folder. A later release
//! that changes a type keeps the old one to read with, and `tests/golden/` holds a file of every
//! form that was ever written. Working types of other rooms never reach the disk by themselves
//! unless they are as immutable as what they stand for (names, RDATA, templates).

mod change;
mod change_log;
mod count;
mod domain;
#[cfg(test)]
mod golden;
mod host;
mod operator_zone;
mod pool;
mod secret;
mod signed_zone;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use change::{ChangeRecord, Fate, MatchForm, ScheduledChange, StepForm, StepRecord};
pub use change_log::{
    AuditChange, AuditRecord, Event, EventsRecord, IdempotencyRecord, growing_key,
    split_growing_key,
};
pub use count::CountRecord;
pub use domain::{DomainRecord, DsFact, Hold, LifeRecord, PolicyTurn, ShownPolicy, Turn, ZoneFact};
pub use host::HostRecord;
pub use operator_zone::OperatorZoneRecord;
pub use pool::{PolicyAdoption, PoolRecord, PoolVersionRecord, WishRecord};
pub use secret::{KeysRecord, TokenRecord};
pub use signed_zone::{SignedZoneRecord, TemplateRecord, signed_zone_key, split_signed_zone_key};

use super::{Space, Store, StoreError};

/// A type that is stored, its key space and the version of its form.
pub trait Record: Serialize + DeserializeOwned {
    /// The key space it lies in.
    const SPACE: Space;
    /// The version octet in front of its form.
    const VERSION: u8;

    /// Says what is wrong with a record whose parts are readable but do not go together.
    ///
    /// # Errors
    ///
    /// Names the parts.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Reads a form that an earlier release wrote, if `version` is one of them; `octets` begin with
    /// it.
    fn decode_older(version: u8, octets: &[u8]) -> Option<Result<Self, RecordError>> {
        let _ = (version, octets);
        None
    }
}

/// A stored value that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Another release wrote it.
    #[error("expected form {wanted} of a {space} record, found form {found}")]
    OtherVersion {
        /// The key space.
        space: Space,
        /// The version this release reads.
        wanted: u8,
        /// The version that was found.
        found: u8,
    },
    /// The octets are not what the version promises.
    #[error("a {space} record is damaged: {reason}")]
    Damaged {
        /// The key space.
        space: Space,
        /// What the decoder says.
        reason: String,
    },
}

impl RecordError {
    /// Returns the error of a store that holds the value under `key`.
    pub fn at(self, key: &[u8]) -> StoreError {
        let place = |space| format!("the {space} record {}", key.escape_ascii());
        match self {
            Self::OtherVersion {
                space,
                wanted,
                found,
            } => StoreError::OtherVersion {
                what: place(space),
                found: found.into(),
                wanted: wanted.into(),
            },
            Self::Damaged { space, reason } => StoreError::Damaged {
                place: place(space),
                reason,
            },
        }
    }
}

/// Returns the record under a key, if there is one.
///
/// # Errors
///
/// When the store or the record cannot be read.
pub fn get<R: Record>(store: &dyn Store, key: &[u8]) -> Result<Option<R>, StoreError> {
    let octets = store.get(R::SPACE, key)?;
    let record = octets.map(|octets| decode(&octets).map_err(|error| error.at(key)));
    record.transpose()
}

/// Returns the stored form of a record.
pub fn encode<R: Record>(record: &R) -> Vec<u8> {
    encode_form(R::VERSION, record)
}

/// Reads the stored form of a record.
///
/// # Errors
///
/// When another release wrote it, or it is damaged.
pub fn decode<R: Record>(octets: &[u8]) -> Result<R, RecordError> {
    let older = octets.first().filter(|version| **version != R::VERSION);
    let older = older.and_then(|version| R::decode_older(*version, octets));
    let record: R = older.unwrap_or_else(|| decode_form(R::SPACE, R::VERSION, octets))?;
    record.check().map_err(|reason| RecordError::Damaged {
        space: R::SPACE,
        reason,
    })?;
    Ok(record)
}

/// Returns a version octet and the postcard form of a value.
pub(super) fn encode_form<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![version])
        .expect("records hold no map or sequence of unknown length, and a vector only grows")
}

/// Reads a version octet and the postcard form of a value, which fill `octets`.
pub(super) fn decode_form<T: DeserializeOwned>(
    space: Space,
    wanted: u8,
    octets: &[u8],
) -> Result<T, RecordError> {
    let damaged = |reason: String| RecordError::Damaged { space, reason };
    let (&found, form) = octets
        .split_first()
        .ok_or_else(|| damaged("it is empty".to_owned()))?;
    if found != wanted {
        return Err(RecordError::OtherVersion {
            space,
            wanted,
            found,
        });
    }
    let (value, rest) = postcard::take_from_bytes(form).map_err(|e| damaged(e.to_string()))?;
    if !rest.is_empty() {
        return Err(damaged(format!("{} octets are left over", rest.len())));
    }
    Ok(value)
}
