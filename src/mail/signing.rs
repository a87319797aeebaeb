//! TTLs beside signature timing.

use super::settings::PoolSettings;
use crate::clock::Span;
use crate::document::Fault;
use crate::wire::Ttl;
use crate::zone::RelativeRrset;

/// The shortest life of a signature: below it, clock skew at validators breaks the zone.
const SHORTEST: Span = Span::from_secs(3_600);
/// The longest one: ten years, far from 2^31 seconds (68 years), where RRSIG's times turn round
/// (RFC 4034, section 3.1.5).
const LONGEST: Span = Span::from_secs(3_650 * 86_400);

/// Checks that TTLs and signature timing go together.
///
/// A cached RRset must not outlive its signature, and a validator must not have to ask for most of
/// a signature's life (RFC 6781, section 4.4.1 and 4.4.2.2).
pub(super) fn check(settings: &PoolSettings, rrsets: &[RelativeRrset], faults: &mut Vec<Fault>) {
    let (lifetime, refresh) = (settings.signing.lifetime, settings.signing.refresh);
    if lifetime < SHORTEST || lifetime > LONGEST {
        faults.push(Fault::new(
            "/dnssec/signature_lifetime",
            format!("expected between {SHORTEST} and {LONGEST}, found {lifetime} (RFC 6781, section 4.4.2)"),
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
        if u64::from(ttl.as_secs()) * 3 >= u64::from(lifetime.as_secs()) {
            faults.push(Fault::new(
                pointer,
                format!(
                    "expected a TTL below a third of signature_lifetime = {lifetime}, found {ttl} \
                     seconds (RFC 6781, section 4.4.1)"
                ),
            ));
        } else if ttl.as_secs() > refresh.as_secs() {
            faults.push(Fault::new(
                pointer,
                format!(
                    "expected a TTL of at most signature_refresh = {refresh}, found {ttl} seconds: \
                     caches would hold records beyond their signatures (RFC 4035, section 5.3.3)"
                ),
            ));
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
