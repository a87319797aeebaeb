//! What a pool is to be, and the policy its domains show.

use serde::{Deserialize, Serialize};

use super::{Record, RecordError, decode_form};
use crate::clock::Timestamp;
use crate::history::Lapse;
use crate::mail::Staged;
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
    /// Since when it is so.
    pub since: Timestamp,
    /// What it was before, as far as anybody may hold it, oldest first.
    pub earlier: Vec<Lapse<PoolVersionRecord>>,
    /// What it is to be, if not all of that is in effect.
    pub wish: Option<WishRecord>,
}

/// What a pool is to be, while some of it waits for its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WishRecord {
    /// The settings that are wished for, as a JSON document.
    pub settings: String,
    /// Since when each part is on its way.
    pub staged: Vec<Staged>,
    /// Whether mail hosts go on knowing names below the domains that have no MX any more (L8).
    pub names_below: bool,
}

/// What a pool said of its domains once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolVersionRecord {
    /// The settings as a JSON document.
    pub settings: String,
    /// What its domains shared.
    pub template: TemplateId,
    /// When its MTA-STS policy was adopted, if it had one.
    pub policy: Option<PolicyAdoption>,
}

/// The form of the first release.
#[derive(Deserialize)]
struct PoolRecord1 {
    /// The revision of the last change of intent that touched it.
    revision: u64,
    /// The settings as a JSON document.
    settings: String,
    /// What its domains share.
    template: TemplateId,
    /// When its MTA-STS policy was adopted, if it has one.
    policy: Option<PolicyAdoption>,
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
    const VERSION: u8 = 2;

    fn decode_older(version: u8, octets: &[u8]) -> Option<Result<Self, RecordError>> {
        let old = decode_form::<PoolRecord1>(Self::SPACE, 1, octets);
        (version == 1).then(|| {
            old.map(|old| Self {
                revision: old.revision,
                settings: old.settings,
                template: old.template,
                policy: old.policy,
                // Nobody noted it; every domain joined later.
                since: Timestamp::from_secs(0),
                earlier: Vec::new(),
                wish: None,
            })
        })
    }
}
