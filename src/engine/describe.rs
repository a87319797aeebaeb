//! What the audit log says stood and stands: JSON documents of what a step is about.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::facts::{Facts, Rare};
use super::plan::Planned;
use super::{Effect, Op};
use crate::lifecycle::LifecycleState;
use crate::mail::PoolSettings;
use crate::store::record::HostRecord;
use crate::wire::Apex;
use crate::zone::{RelativeRrset, ZoneData};

/// Returns what a step is about, as it stood before.
pub(super) fn before(facts: &Facts, op: &Op, effect: &Effect) -> Option<String> {
    let document = match subject(op, effect) {
        Subject::Pool(name) => {
            let pool = facts.pools.get(name)?;
            pool_document(&pool.recipe.settings)
        }
        Subject::Zone(apex) => zone_document(apex, &facts.zones.get(apex)?.records),
        Subject::Domain(name) => {
            let domain = facts.domains.get(&name)?;
            return domain_document(
                &name,
                &domain.pool,
                domain.state,
                domain.rare.as_deref(),
                &[],
            );
        }
        Subject::Host(host) => host_document(facts.hosts.get(host)?),
    };
    Some(document.to_string())
}

/// Returns what a step is about, as it stands after the change.
pub(super) fn after(planned: &Planned, op: &Op, effect: &Effect) -> Option<String> {
    let document = match subject(op, effect) {
        Subject::Pool(name) => {
            let draft = planned.pools.get(name)?.as_ref()?;
            pool_document(&draft.settings)
        }
        Subject::Zone(apex) => {
            let draft = planned.zones.get(apex)?.as_ref()?;
            zone_document(apex, &draft.records)
        }
        Subject::Domain(name) => {
            let draft = planned.domains.get(&name)?.as_ref()?;
            let rare = draft.rare.as_deref();
            return domain_document(&name, &draft.pool, draft.state, rare, &effect.because);
        }
        Subject::Host(host) => host_document(planned.hosts.get(host)?),
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
    Domain(Cow<'o, Apex>),
    /// A mail host.
    Host(&'o str),
}

/// Returns what a step is about.
fn subject<'o>(op: &'o Op, effect: &Effect) -> Subject<'o> {
    match op {
        Op::PutPool { name, .. } | Op::DeletePool { name, .. } | Op::AdoptAnew { pool: name } => {
            Subject::Pool(name)
        }
        Op::PutZone { apex, .. } | Op::DeleteZone { apex, .. } => Subject::Zone(apex),
        Op::AddDomain(add) => Subject::Domain(Cow::Borrowed(&add.name)),
        Op::PatchDomain { name, .. }
        | Op::DeleteDomain { name, .. }
        | Op::PutRrset { domain: name, .. }
        | Op::DeleteRrset { domain: name, .. }
        | Op::Transition { name, .. }
        | Op::Suspend { name, .. }
        | Op::Resume { name, .. }
        | Op::Hold { name, .. }
        | Op::Unhold { name, .. }
        | Op::Observe { name, .. }
        | Op::Act { name, .. } => Subject::Domain(Cow::Borrowed(name)),
        // A rotation picks its domains itself.
        Op::Rotate { pool, .. } | Op::RotateAged { pool } => match Apex::parse(&effect.subject) {
            Ok(name) => Subject::Domain(Cow::Owned(name)),
            Err(_) => Subject::Pool(pool),
        },
        Op::HostApplied { host, .. } | Op::HostDeferrals { host, .. } => Subject::Host(host),
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

/// Returns what is known of a mail host.
fn host_document(host: &HostRecord) -> Value {
    json!({
        "applied": host.applied.map(|(revision, _)| revision),
        "deferred": host.deferred.map(|at| at.to_string()),
    })
}

/// What is said about a domain; what is absent is not shown.
///
/// Written as it is, without a tree in between: a change may tell of ten thousand.
#[derive(Serialize)]
struct DomainDocument<'d> {
    /// The rules that held for the step, with the facts that satisfied them.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    because: &'d [String],
    /// When its registration ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// The operator's own labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'d BTreeMap<String, String>>,
    /// The pool it belongs to.
    pool: &'d str,
    /// Where it is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    registrar: Option<&'d str>,
    /// The RRsets that it has alone, a line for each record.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rrsets: Vec<String>,
    /// Where it stands in its life.
    state: &'d str,
}

/// Returns what is said about a domain.
fn domain_document(
    name: &Apex,
    pool: &str,
    state: LifecycleState,
    rare: Option<&Rare>,
    because: &[String],
) -> Option<String> {
    let extra = rare.map_or(&[][..], |rare| &rare.extra);
    let rrsets = extra.iter().flat_map(|rrset| {
        rrset.rdatas.iter().filter_map(move |rdata| {
            let rdata = rdata.under(rrset.rtype, name).ok()?;
            let data = rdata.to_text(rrset.rtype);
            let RelativeRrset {
                owner, ttl, rtype, ..
            } = rrset;
            Some(format!("{owner} {ttl} {rtype} {data}"))
        })
    });
    let labels = rare.map(|rare| &rare.labels);
    let document = DomainDocument {
        because,
        expires_at: rare.and_then(|rare| Some(rare.expires_at?.to_string())),
        labels: labels.filter(|labels| !labels.is_empty()),
        pool,
        registrar: rare.and_then(|rare| rare.registrar.as_deref()),
        rrsets: rrsets.collect(),
        state: state.as_str(),
    };
    serde_json::to_string(&document).ok()
}
