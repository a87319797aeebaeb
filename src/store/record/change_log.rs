//! What was changed, by whom and under which request: audit, events, idempotency.

use serde::{Deserialize, Serialize};

use super::Record;
use crate::clock::Timestamp;
use crate::store::Space;

/// One accepted call, for good; its key is a number that only grows (see [`growing_key`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When it was accepted.
    pub at: Timestamp,
    /// The revision it made.
    pub revision: u64,
    /// Whose token asked for it.
    pub actor: String,
    /// The reason that was given, if any.
    pub reason: Option<String>,
    /// What it changed.
    pub changes: Vec<AuditChange>,
}

/// One thing that a call changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditChange {
    /// What was done, as the API names it: `add_domain`, `put_pool`.
    pub op: String,
    /// What it was done to.
    pub subject: String,
    /// What stood there before, as a JSON document, if anything did.
    pub before: Option<String>,
    /// What stands there now, as a JSON document, if anything does.
    pub after: Option<String>,
}

impl Record for AuditRecord {
    const SPACE: Space = Space::Audit;
    const VERSION: u8 = 1;
}

/// What happened at one revision; its key is the revision (see [`growing_key`]). Event `n` is the n-th of its list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsRecord {
    /// When it happened.
    pub at: Timestamp,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What happened, as the API names it.
    pub kind: String,
    /// To what.
    pub subject: String,
}

impl Record for EventsRecord {
    const SPACE: Space = Space::Event;
    const VERSION: u8 = 1;
}

/// A call that was answered under an idempotency key; its key is that one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    /// When the call was accepted.
    pub at: Timestamp,
    /// SHA-256 over method, path and body.
    pub digest: [u8; 32],
    /// The revision it made, or that of then if it changed nothing.
    pub revision: u64,
    /// Whether it changed anything.
    pub changed: bool,
}

impl Record for IdempotencyRecord {
    const SPACE: Space = Space::Idempotency;
    const VERSION: u8 = 1;
}

/// Returns the key of a number, so that keys are ordered as the numbers are.
pub fn growing_key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// Returns the number of a key, if it has the form of one.
pub fn split_growing_key(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}
