//! Until when somebody may hold what is served no more.

use crate::clock::{Span, Timestamp};
use crate::wire::Ttl;

/// Returns until when a cache that obeys TTLs may hold an RRset that went off at `off`.
///
/// It was served until `dc` later by the last public server, and a cache that asked that one keeps
/// it for its TTL (RFC 1035, section 3.2.1; RFC 7583, section 3.2.1).
pub fn cache_horizon(off: Timestamp, dc: Span, ttl: Ttl) -> Timestamp {
    off.saturating_add(dc.as_duration())
        .saturating_add(seconds(ttl))
}

/// Returns until when a cache may deny a record that came on at `on`.
///
/// Resolvers that use cached NSEC aggressively deny names they never asked for (RFC 8198, section
/// 5.1), so the zone's negative TTL of before counts for every new name and type.
pub fn absence_horizon(on: Timestamp, dc: Span, negative: Ttl) -> Timestamp {
    cache_horizon(on, dc, negative)
}

/// Returns until when an attacker may replay what went off at `off`, validly signed.
///
/// No signature over it was made later than that, so none expires later than `off` plus the
/// signatures' lifetime (RFC 6781, section 4.4.2.1; RFC 7671, section 13).
pub fn replay_horizon(off: Timestamp, lifetime: Span) -> Timestamp {
    off.saturating_add(lifetime.as_duration())
}

/// Returns a TTL as a duration.
fn seconds(ttl: Ttl) -> std::time::Duration {
    std::time::Duration::from_secs(u64::from(ttl.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn horizons_add_what_they_are_made_of() {
        let off = Timestamp::from_secs(1_000);
        let (dc, ttl) = (Span::from_secs(60), Ttl::from_secs(3_600));

        assert_eq!(cache_horizon(off, dc, ttl).as_secs(), 4_660);
        assert_eq!(
            absence_horizon(off, dc, Ttl::from_secs(900)).as_secs(),
            1_960
        );
        assert_eq!(replay_horizon(off, Span::from_secs(500)).as_secs(), 1_500);
    }
}
