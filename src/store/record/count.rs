//! How often a domain is asked for.

use serde::{Deserialize, Serialize};

use super::Record;
use crate::clock::Timestamp;
use crate::store::Space;

/// How often a domain's MX is asked for here; its key is its apex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountRecord {
    /// How often in the last whole day.
    pub queries: u64,
    /// When that day ended.
    pub until: Timestamp,
}

impl Record for CountRecord {
    const SPACE: Space = Space::Count;
    const VERSION: u8 = 1;
}
