//! TTLs beside signature timing.

use super::settings::PoolSettings;
use crate::document::Fault;
use crate::wire::Ttl;
use crate::zone::{LONGEST_LIFETIME, RelativeRrset, SHORTEST_LIFETIME, TtlBound, ttl_beyond};

/// Checks that TTLs and signature timing go together.
///
/// A cached RRset must not outlive its signature, and a validator must not have to ask for most of
/// a signature's life (RFC 6781, section 4.4.1 and 4.4.2.2).
pub(super) fn check(settings: &PoolSettings, rrsets: &[RelativeRrset], faults: &mut Vec<Fault>) {
    let (lifetime, refresh) = (settings.signing.lifetime, settings.signing.refresh);
    if lifetime < SHORTEST_LIFETIME || lifetime > LONGEST_LIFETIME {
        faults.push(Fault::new(
            "/dnssec/signature_lifetime",
            format!("expected between {SHORTEST_LIFETIME} and {LONGEST_LIFETIME}, found {lifetime} (RFC 6781, section 4.4.2)"),
        ));
        return;
    }
    if refresh >= lifetime {
        faults.push(Fault::new(
            "/dnssec/signature_refresh",
            format!(
                "expected less than signature_lifetime = {lifetime}, found {refresh}: zones would be \
                 signed without end (RFC 6781, section 4.4.2.2)"
            ),
        ));
        return;
    }
    for (pointer, ttl) in ttls(settings, rrsets) {
        match ttl_beyond(ttl, lifetime, refresh) {
            None => {}
            Some(TtlBound::Lifetime) => faults.push(Fault::new(
                pointer,
                format!(
                    "expected a TTL below a third of signature_lifetime = {lifetime}, found {ttl} \
                     seconds (RFC 6781, section 4.4.1)"
                ),
            )),
            Some(TtlBound::Refresh) => faults.push(Fault::new(
                pointer,
                format!(
                    "expected a TTL of at most signature_refresh = {refresh}, found {ttl} seconds: \
                     caches would hold records beyond their signatures (RFC 4035, section 5.3.3)"
                ),
            )),
        }
    }
}

/// Returns every TTL of the pool's zones and the setting it comes from, each setting once.
fn ttls(settings: &PoolSettings, rrsets: &[RelativeRrset]) -> Vec<(&'static str, Ttl)> {
    let named = [
        ("/ttl", settings.ttl()),
        ("/ns_ttl", settings.ns_ttl()),
        ("/negative_ttl", settings.negative_ttl()),
        ("/dnssec/dnskey_ttl", settings.signing.dnskey_ttl()),
    ];
    let mut ttls = named.to_vec();
    let others = rrsets.iter().map(|rrset| rrset.ttl);
    let others = others.filter(|ttl| named.iter().all(|(_, known)| known != ttl));
    if let Some(longest) = others.max() {
        ttls.push(("/extra/records", longest));
    }
    ttls
}
