//! The operator's own zones, as they were uploaded.

use serde::{Deserialize, Serialize};

use super::{Record, domain::ZoneFact};
use crate::store::Space;
use crate::wire::Serial;
use crate::zone::RelativeRrset;

/// What the operator wrote into one of its own zones; its key is the apex in wire form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorZoneRecord {
    /// The revision of the last change of intent that touched it.
    pub revision: u64,
    /// The operator's RRsets, the SOA with the serial as written; nothing that is derived.
    pub records: Vec<RelativeRrset>,
    /// The serial as the operator wrote it.
    pub written_serial: Serial,
    /// The zone as signed.
    pub zone: ZoneFact,
}

impl Record for OperatorZoneRecord {
    const SPACE: Space = Space::Zone;
    const VERSION: u8 = 1;
}
