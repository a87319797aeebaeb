//! How long caches may keep what we say.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How long a cache may keep an RRset, in seconds.
///
/// At most 2^31 - 1: larger values on the wire mean zero (RFC 2181, section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ttl(u32);

impl Ttl {
    /// The largest TTL there is.
    pub const MAX: Self = Self(i32::MAX as u32);

    /// Returns a TTL of `seconds`, at most [`Ttl::MAX`].
    pub const fn from_secs(seconds: u32) -> Self {
        if seconds > Self::MAX.0 {
            Self::MAX
        } else {
            Self(seconds)
        }
    }

    /// Returns the seconds.
    pub const fn as_secs(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
