//! What signatures' lives allow: limits that everybody who judges them shares (K9).

use crate::clock::Span;
use crate::wire::Ttl;

/// The shortest life of a signature: with less, clocks of validators that part by minutes break the
/// zone.
pub const SHORTEST_LIFETIME: Span = Span::from_secs(3_600);
/// The longest one: ten years, far from 2^31 seconds (68 years), where RRSIG's times turn round (RFC
/// 4034, section 3.1.5).
pub const LONGEST_LIFETIME: Span = Span::from_secs(3_650 * 86_400);

/// A bound that a TTL is beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtlBound {
    /// A third of the signatures' lifetime: caches could hold a record for most of its signature's
    /// life, and no room is left between renewals (RFC 6781, section 4.4.1).
    Lifetime,
    /// What is left of a signature when it is made anew: a record that was taken just before would
    /// outlive its signature in a cache (RFC 4035, section 5.3.3).
    Refresh,
}

/// Returns the bound that a TTL is beyond, if it is beyond one.
pub fn ttl_beyond(ttl: Ttl, lifetime: Span, refresh: Span) -> Option<TtlBound> {
    if u64::from(ttl.as_secs()) * 3 >= u64::from(lifetime.as_secs()) {
        return Some(TtlBound::Lifetime);
    }
    // A signature with exactly the refresh left is still served.
    (ttl.as_secs() > refresh.as_secs()).then_some(TtlBound::Refresh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k9_a_ttl_stays_below_a_third_of_a_signatures_life_and_within_what_is_left_of_it() {
        let beyond = |ttl, lifetime, refresh| {
            let (lifetime, refresh) = (Span::from_secs(lifetime), Span::from_secs(refresh));
            ttl_beyond(Ttl::from_secs(ttl), lifetime, refresh)
        };

        assert_eq!(beyond(99, 300, 200), None);
        assert_eq!(beyond(100, 300, 200), Some(TtlBound::Lifetime));
        assert_eq!(beyond(99, 300, 99), None);
        assert_eq!(beyond(99, 300, 98), Some(TtlBound::Refresh));
    }
}
