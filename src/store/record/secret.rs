//! What must never be stored in the clear: sealed keys and hashed tokens.

use serde::{Deserialize, Serialize};

use super::Record;
use crate::clock::Timestamp;
use crate::store::Space;

/// The signing keys of one zone, each sealed; its key is the apex in wire form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysRecord {
    /// The sealed keys.
    pub sealed: Vec<serde_bytes::ByteBuf>,
}

impl Record for KeysRecord {
    const SPACE: Space = Space::Key;
    const VERSION: u8 = 1;
}

/// A credential of the API; its key is its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// What it may do: `admin` is all.
    pub scope: String,
    /// When it was made.
    pub created: Timestamp,
    /// SHA-256 of the secret; the secret itself is never stored.
    pub hash: [u8; 32],
}

impl Record for TokenRecord {
    const SPACE: Space = Space::Token;
    const VERSION: u8 = 1;
}
