//! Stretches of time in which a domain's zone said the same.

use crate::clock::{Span, Timestamp};
use crate::wire::Ttl;

/// A stretch of time in which a domain's zone said the same, as far as waits go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    /// Since when; never later than it really was.
    pub on: Timestamp,
    /// Until when, never earlier than it really was; `None` while it is served.
    pub off: Option<Timestamp>,
    /// Whether the MX was null (RFC 7505).
    pub null_mx: bool,
    /// Whether `*` had the MX, too.
    pub wildcard: bool,
    /// Whether the domain named mail hosts of its own below its apex.
    pub own_hosts: bool,
    /// The TTL of MX, hosts, TLSA and texts.
    pub ttl: Ttl,
    /// The TTL of answers that deny something.
    pub negative_ttl: Ttl,
    /// The TTL of the zone's own NS.
    pub ns_ttl: Ttl,
    /// How long a signature was valid at most.
    pub lifetime: Span,
    /// The MTA-STS policy that senders could fetch or find announced, if there was one.
    pub policy: Option<PolicyStay>,
}

/// An MTA-STS policy while it was announced or served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyStay {
    /// Whether its mode was `testing` or `enforce`: senders act on it.
    pub acts: bool,
    /// How long senders keep it.
    pub max_age: Span,
}
