//! What the audit log says stood and stands: JSON documents of what a step is about.

use serde_json::{Value, json};

use super::Op;
use super::facts::{Facts, Rare};
use super::plan::Planned;
use crate::lifecycle::LifecycleState;
use crate::mail::PoolSettings;
use crate::wire::Apex;
use crate::zone::{RelativeRrset, ZoneData};

/// Returns what a step is about, as it stood before.
pub(super) fn before(facts: &Facts, op: &Op) -> Option<String> {
    let document = match subject(op) {
        Subject::Pool(name) => {
            let pool = facts.pools.get(name)?;
            pool_document(&pool.recipe.settings)
        }
        Subject::Zone(apex) => zone_document(apex, &facts.zones.get(apex)?.records),
        Subject::Domain(name) => {
            let domain = facts.domains.get(name)?;
            domain_document(name, &domain.pool, domain.state, domain.rare.as_deref())
        }
    };
    Some(document.to_string())
}

/// Returns what a step is about, as it stands after the change.
pub(super) fn after(planned: &Planned, op: &Op) -> Option<String> {
    let document = match subject(op) {
        Subject::Pool(name) => {
            let draft = planned.pools.get(name)?.as_ref()?;
            pool_document(&draft.settings)
        }
        Subject::Zone(apex) => {
            let draft = planned.zones.get(apex)?.as_ref()?;
            zone_document(apex, &draft.records)
        }
        Subject::Domain(name) => {
            let draft = planned.domains.get(name)?.as_ref()?;
            domain_document(name, &draft.pool, draft.state, draft.rare.as_deref())
        }
    };
    Some(document.to_string())
}

/// What a step is about.
enum Subject<'o> {
    /// A pool.
    Pool(&'o str),
    /// One of the operator's zones.
    Zone(&'o Apex),
    /// A domain.
    Domain(&'o Apex),
}

/// Returns what a step is about.
fn subject(op: &Op) -> Subject<'_> {
    match op {
        Op::PutPool { name, .. } | Op::DeletePool { name, .. } => Subject::Pool(name),
        Op::PutZone { apex, .. } | Op::DeleteZone { apex, .. } => Subject::Zone(apex),
        Op::AddDomain(add) => Subject::Domain(&add.name),
        Op::PatchDomain { name, .. }
        | Op::DeleteDomain { name, .. }
        | Op::PutRrset { domain: name, .. }
        | Op::DeleteRrset { domain: name, .. }
        | Op::Transition { name, .. } => Subject::Domain(name),
    }
}

/// Returns a pool's settings.
fn pool_document(settings: &PoolSettings) -> Value {
    settings.to_document()
}

/// Returns the operator's records of a zone.
fn zone_document(apex: &Apex, records: &[RelativeRrset]) -> Value {
    let data = ZoneData {
        apex: apex.clone(),
        rrsets: records.to_vec(),
        warnings: Vec::new(),
    };
    json!({ "records": data.to_master() })
}

/// Returns what is said about a domain.
fn domain_document(name: &Apex, pool: &str, state: LifecycleState, rare: Option<&Rare>) -> Value {
    let mut document = json!({ "pool": pool, "state": state.as_str() });
    let Some(rare) = rare else {
        return document;
    };
    if let Some(registrar) = &rare.registrar {
        document["registrar"] = json!(registrar);
    }
    if let Some(expires_at) = rare.expires_at {
        document["expires_at"] = json!(expires_at.to_string());
    }
    if !rare.labels.is_empty() {
        document["labels"] = json!(rare.labels);
    }
    if !rare.extra.is_empty() {
        let extra = rare.extra.iter();
        let extra = extra.flat_map(|rrset| {
            let data = rrset.rdatas.iter().filter_map(|rdata| {
                let rdata = rdata.under(rrset.rtype, name).ok()?;
                let data = rdata.to_text(rrset.rtype);
                Some(format!(
                    "{} {} {} {data}",
                    rrset.owner, rrset.ttl, rrset.rtype
                ))
            });
            data.collect::<Vec<_>>()
        });
        document["rrsets"] = json!(extra.collect::<Vec<_>>());
    }
    document
}
