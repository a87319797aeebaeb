//! When a zone has to be signed again.

use crate::clock::Timestamp;
use crate::dnssec::SigningPolicy;
use crate::zone::SignedZone;

/// Returns when the first signature of a zone expires, read as near `now`; `None` if unsigned.
///
/// From then on the zone must not be served.
pub fn earliest_expiration(zone: &SignedZone, now: Timestamp) -> Option<Timestamp> {
    let expiration = zone.earliest_expiration()?;
    Some(now.nearest_rrsig_time(expiration))
}

/// Returns when a zone is due to be signed anew, perhaps long ago; `None` if it is unsigned.
///
/// That is when less than the refresh is left of its first signature. Expirations are spread over
/// the pool by their jitter, and so are these moments. The zone is then signed whole, without a
/// previous one, so that all its signatures are of one age again.
pub fn resign_at(zone: &SignedZone, policy: &SigningPolicy, now: Timestamp) -> Option<Timestamp> {
    let expiration = earliest_expiration(zone, now)?;
    Some(expiration.saturating_sub(policy.refresh().as_duration()))
}
