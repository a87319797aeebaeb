//! What a pool is to be, and the policy its domains show.

use serde::{Deserialize, Serialize};

use super::Record;
use crate::store::Space;
use crate::zone::TemplateId;

/// What a pool says of its domains; its key is the pool's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolRecord {
    /// The revision of the last change of intent that touched it.
    pub revision: u64,
    /// The settings as a JSON document: the manifest's table.
    pub settings: String,
    /// What its domains share.
    pub template: TemplateId,
    /// When its MTA-STS policy was adopted, if it has one.
    pub policy: Option<PolicyAdoption>,
}

/// What makes the id of an MTA-STS policy: it never stands for two texts (RFC 8461, section 3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyAdoption {
    /// The revision at which the pool adopted the policy.
    pub revision: u64,
    /// The policy as the pool writes it, hosts relative.
    pub text: String,
}

impl Record for PoolRecord {
    const SPACE: Space = Space::Pool;
    const VERSION: u8 = 1;
}
