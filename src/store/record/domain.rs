//! What is known of a domain.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Record;
use crate::clock::Timestamp;
use crate::lifecycle::LifecycleState;
use crate::store::Space;
use crate::wire::Serial;
use crate::zone::RelativeRrset;

/// What is known of one domain of a pool; its key is the apex in wire form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainRecord {
    /// The pool it belongs to.
    pub pool: String,
    /// Where it stands in its life.
    pub state: LifecycleState,
    /// Since when it stands there.
    pub since: Timestamp,
    /// The revision of the last change of intent that touched it.
    pub revision: u64,
    /// Whether it is known never to have been delegated before.
    pub fresh: bool,
    /// Where it is registered, in the operator's words.
    pub registrar: Option<String>,
    /// When its registration ends.
    pub expires_at: Option<Timestamp>,
    /// The operator's own labels.
    pub labels: BTreeMap<String, String>,
    /// The RRsets that the operator gave this domain alone.
    pub extra: Vec<RelativeRrset>,
    /// The zone as signed.
    pub zone: ZoneFact,
}

/// Which signed zone serves a name, and what of it is asked often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneFact {
    /// The version under which the signed zone is stored.
    pub version: u64,
    /// The SOA serial.
    pub serial: Serial,
    /// When the first of its signatures expires.
    pub earliest_expiration: Timestamp,
    /// What the parent must be told.
    pub ds: Vec<DsFact>,
}

/// The DS of one key, digest type 2 (RFC 4509).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DsFact {
    /// The key's tag.
    pub key_tag: u16,
    /// The key's algorithm.
    pub algorithm: u8,
    /// SHA-256 over owner and DNSKEY.
    pub digest: [u8; 32],
}

impl Record for DomainRecord {
    const SPACE: Space = Space::Domain;
    const VERSION: u8 = 1;
}
