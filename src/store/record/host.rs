//! What is known of a mail host.

use serde::{Deserialize, Serialize};

use super::Record;
use crate::clock::Timestamp;
use crate::store::Space;

/// What is known of a mail host; its key is its name in the API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRecord {
    /// The revision up to which it said that it applied the routing, and when it said so.
    pub applied: Option<(u64, Timestamp)>,
    /// When it last made senders defer, as the operator said.
    pub deferred: Option<Timestamp>,
}

impl Record for HostRecord {
    const SPACE: Space = Space::Host;
    const VERSION: u8 = 1;
}
