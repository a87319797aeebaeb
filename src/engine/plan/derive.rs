//! Records in the operator's zones that follow from pools and domains.

use super::Context;
use super::draft::{Draft, below};
use crate::dnssec::SigningPolicy;
use crate::engine::Refusal;
use crate::lifecycle::LifecycleState;
use crate::mail::{self, OperatorZone};
use crate::wire::{Apex, Rtype};
use crate::zone::{RelativeRrset, Rrset};

/// What one of the operator's zones consists of, beside SOA and keys.
pub(super) enum Content {
    /// All of it, sorted by owner and type.
    Whole(Vec<RelativeRrset>),
    /// Keys of new domains below are not made yet, so their DS are unknown.
    WaitsForKeys,
}

/// Joins an operator's records with what is derived for its zone: addresses and TLSA of the pools'
/// hosts, report authorisations, and delegations of pool domains below.
///
/// # Errors
///
/// Every operator's RRset that says something else than the derived one.
pub(super) fn content(
    draft: &Draft<'_>,
    apex: &Apex,
    context: &Context<'_>,
) -> Result<Content, Vec<Refusal>> {
    let records = match draft.zones.get(apex) {
        Some(zone) => zone.as_ref().map(|zone| &zone.records),
        None => draft.facts.zones.get(apex).map(|zone| &zone.records),
    };
    let Some(records) = records else {
        return Ok(Content::Whole(Vec::new()));
    };
    let settings = draft.all_settings();
    let hosts = settings.iter();
    let mut derived: Vec<Rrset> = hosts
        .flat_map(|(_, settings)| mail::host_rrsets(settings))
        .collect();
    let Some(delegations) = delegations(draft, apex, context) else {
        return Ok(Content::WaitsForKeys);
    };
    derived.extend(delegations);
    let Some(zones_below) = zone_delegations(draft, apex, context) else {
        return Ok(Content::WaitsForKeys);
    };

    let zones = draft.zone_names();
    let zones: Vec<&Apex> = zones.iter().collect();
    let rrsets = records.as_slice();
    let derived = mail::derive_into(
        OperatorZone { apex, rrsets },
        &zones,
        &derived,
        &zones_below,
    );
    let derived = derived.map_err(|faults| {
        let faults = faults.into_iter();
        let conflicts = faults
            .map(|fault| Refusal::Conflict(format!("the zone {}: {fault}", apex.to_api_text())));
        conflicts.collect::<Vec<_>>()
    })?;
    let written = records.iter();
    let written = written.filter(|rrset| rrset.rtype != Rtype::SOA || !rrset.owner.is_apex());
    let mut content: Vec<RelativeRrset> = written.cloned().chain(derived).collect();
    content.sort_by(|a, b| (&a.owner, a.rtype).cmp(&(&b.owner, b.rtype)));
    Ok(Content::Whole(content))
}

/// Derives the delegations of pool domains whose closest zone is `apex`; `None` if keys of new ones
/// are not made yet.
///
/// The DS goes with the first NS: a domain is signed from its first version on, so nothing was
/// ever served unsigned that a cache could hold (T0.3).
fn delegations(draft: &Draft<'_>, apex: &Apex, context: &Context<'_>) -> Option<Vec<Rrset>> {
    let kept = below(&draft.facts.domains, apex)
        .filter(|(name, domain)| {
            !draft.domains.contains_key(*name) && domain.state != LifecycleState::Released
        })
        .map(|(name, domain)| (name, &domain.pool, Some(&domain.served)));
    let drafted = below(&draft.domains, apex).filter_map(|(name, domain)| {
        let domain = domain.as_ref()?;
        // Given up: the delegation goes first, the zone last (RFC 6781, section 4.3.3).
        if domain.state == LifecycleState::Released {
            return None;
        }
        let served = domain.served.as_ref().or_else(|| {
            let inputs = domain.inputs.as_ref()?;
            context.prepared.made_from(name, inputs)
        });
        Some((name, &domain.pool, served))
    });
    let mut rrsets = Vec::new();
    for (name, pool, served) in kept.chain(drafted) {
        if draft.zone_above(name).as_ref() != Some(apex) {
            continue;
        }
        let settings = draft.settings(pool);
        let ds = served?.ds.iter().map(|ds| ds.rdata()).collect();
        rrsets.extend(settings.map_or_else(Vec::new, |settings| {
            mail::delegation_rrsets(settings, name, ds)
        }));
    }
    Some(rrsets)
}

/// Derives the delegations of the operator's own zones whose closest zone above is `apex`; `None` if
/// keys of new ones are not made yet.
///
/// Without them a zone put between another and its domains would take their delegations out of the
/// chain of trust.
fn zone_delegations(
    draft: &Draft<'_>,
    apex: &Apex,
    context: &Context<'_>,
) -> Option<Vec<RelativeRrset>> {
    let mut rrsets = Vec::new();
    for below in draft.zone_names() {
        if draft.zone_above(&below).as_ref() != Some(apex) {
            continue;
        }
        let facts = draft.facts.zones.get(&below);
        let (records, served) = match draft.zones.get(&below) {
            Some(zone) => {
                let zone = zone.as_ref()?;
                let made = || context.prepared.made_from(&below, zone.inputs.as_ref()?);
                (&zone.records, zone.served.as_ref().or_else(made))
            }
            None => (&facts?.records, facts.map(|zone| &zone.served)),
        };
        let ds = served?.ds.iter().map(|ds| ds.rdata()).collect();
        let zone = OperatorZone {
            apex: &below,
            rrsets: records,
        };
        let ttl = SigningPolicy::default().dnskey_ttl();
        let delegation = mail::zone_delegation(zone, ds, ttl);
        let delegation = delegation.iter();
        rrsets.extend(delegation.filter_map(|rrset| RelativeRrset::relative_to(rrset, apex)));
    }
    Some(rrsets)
}
