//! The documents of what there is.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::refusal::waiting;
use crate::dnssec::Ds;
use crate::engine::{Census, Domain, OperatorZone, Outcome, Pool, Prospect, View};
use crate::lifecycle::{LifecycleState, Next};
use crate::mail::StageWait;
use crate::wire::{Apex, Rdata};
use crate::zone::RelativeRrset;

/// SHA-256 in DS records (RFC 4509).
const DIGEST_TYPE: u8 = 2;
/// Zone key and secure entry point: every key of ours signs the whole zone.
const KEY_FLAGS: u16 = 257;

/// A DS record, as text for the registrar and as fields.
#[derive(Serialize)]
pub(super) struct DsDocument {
    /// The key's algorithm.
    algorithm: u8,
    /// The digest in hexadecimal digits.
    digest: String,
    /// What made the digest.
    digest_type: u8,
    /// The key's tag.
    key_tag: u16,
    /// The record as a line of a master file.
    text: String,
}

/// Returns a zone's DS records.
pub(super) fn ds_documents(apex: &Apex, records: &[Ds]) -> Vec<DsDocument> {
    let records = records.iter().map(|ds| {
        let digest = hex(&ds.digest);
        let (key_tag, algorithm) = (ds.key_tag, ds.algorithm);
        DsDocument {
            text: format!("{apex} IN DS {key_tag} {algorithm} {DIGEST_TYPE} {digest}"),
            key_tag,
            algorithm,
            digest_type: DIGEST_TYPE,
            digest,
        }
    });
    records.collect()
}

/// Returns a zone's DS records as part of a document.
pub(super) fn ds(apex: &Apex, records: &[Ds]) -> Value {
    json!(ds_documents(apex, records))
}

/// Returns what is known of a zone's keys.
pub(super) fn keys(records: &[Ds]) -> Value {
    let keys = records
        .iter()
        .map(|ds| json!({"key_tag": ds.key_tag, "algorithm": ds.algorithm, "flags": KEY_FLAGS}));
    keys.collect()
}

/// Returns a domain as a list shows it.
pub(super) fn listed_domain(domain: &Domain) -> Value {
    json!({
        "name": domain.name.to_api_text(),
        "pool": &*domain.pool,
        "state": domain.state.as_str(),
        "since": domain.since.to_string(),
        "serial": domain.serial.number(),
        "fresh": domain.fresh,
        "registrar": domain.registrar,
        "expires_at": domain.expires_at.map(|moment| moment.to_string()),
        "labels": domain.labels,
        "signatures_expire_at": domain.earliest_expiration.to_string(),
        "ds": ds(&domain.name, &domain.ds),
        "keys": keys(&domain.ds),
        "revision": domain.revision,
    })
}

/// Returns a domain with all that is known of it.
pub(super) fn domain(domain: &Domain, prospect: Option<&Prospect>) -> Value {
    let mut document = listed_domain(domain);
    let rrsets = domain.extra.iter().map(|own| rrset(&domain.name, own));
    document["rrsets"] = rrsets.collect();
    document["added"] = json!(domain.added.to_string());
    document["routing"] = json!(domain.route.answer);
    document["next"] = next(prospect.and_then(|prospect| prospect.next.as_ref()));
    document["key_backed_up_at"] = Value::Null;
    document["suspended"] = domain.suspension.as_ref().map_or(Value::Null, |it| {
        json!({
            "answer": it.answer,
            "since": it.since.to_string(),
            "until": it.until.map(|until| until.to_string()),
            "reason": it.reason,
        })
    });
    document["hold"] = domain.hold.as_ref().map_or(
        Value::Null,
        |it| json!({"since": it.since.to_string(), "reason": it.reason}),
    );
    document["handed_out"] = domain.handed_out.map_or(Value::Null, |it| {
        json!({
            "first": it.first.to_string(),
            "last": it.last.to_string(),
            "count": it.count,
        })
    });
    document["dropped"] = json!(domain.dropped.map(|at| at.to_string()));
    let conditions = prospect.map_or(&[][..], |prospect| &prospect.conditions);
    let conditions = conditions.iter().map(|condition| {
        json!({
            "type": condition.kind.as_str(),
            "status": condition.status.as_str(),
            "since": condition.since.map(|at| at.to_string()),
            "message": condition.message,
        })
    });
    document["conditions"] = conditions.collect();
    let waits = prospect.map_or(&[][..], |prospect| &prospect.hand_out_waits);
    document["hand_out_waits"] = waiting(waits);
    document
}

/// Returns the step that a domain is on the way to, and what it waits for.
fn next(next: Option<&Next>) -> Value {
    next.map_or(Value::Null, |next| {
        json!({
            "state": next.state.as_str(),
            "by_itself": next.by_itself,
            "not_before": next.not_before.map(|at| at.to_string()),
            "waiting_for": waiting(&next.waiting_for),
        })
    })
}

/// Returns an RRset of a domain's own.
pub(super) fn rrset(apex: &Apex, rrset: &RelativeRrset) -> Value {
    let data = rrset.rdatas.iter();
    let data = data.filter_map(|rdata| rdata.under(rrset.rtype, apex).ok());
    let records: Vec<String> = data
        .map(|rdata: Rdata| rdata.to_text(rrset.rtype))
        .collect();
    json!({
        "owner": rrset.owner.to_string(),
        "type": rrset.rtype.to_string(),
        "ttl": rrset.ttl.as_secs(),
        "records": records,
    })
}

/// Returns a pool: its settings under the manifest's keys, and what a `GET` alone shows.
pub(super) fn pool(pool: &Pool, census: Census) -> Value {
    let mut document = pool.wished.to_document();
    let counts: Map<String, Value> = LifecycleState::ALL
        .into_iter()
        .map(|state| (state.as_str().to_owned(), json!(pool.count(state))))
        .collect();
    document["name"] = json!(&*pool.name);
    document["counts"] = Value::Object(counts);
    document["ready"] = json!(census.ready);
    document["retire_due"] = json!(census.retire_due);
    document["suspended"] = json!(census.suspended);
    document["mta_sts_id"] = json!(pool.policy_id);
    document["plan"] = staged(&pool.waits);
    document["revision"] = json!(pool.revision);
    document
}

/// Returns what a change of settings on its way waits for; null when all is in effect.
fn staged(waits: &[StageWait]) -> Value {
    if waits.is_empty() {
        return Value::Null;
    }
    // What stands together is waited for together.
    let parts =
        waits.chunk_by(|one, other| (&one.pointer, one.comes()) == (&other.pointer, other.comes()));
    let steps = parts.filter_map(|part| {
        let first = part.first()?;
        let known = part.iter().all(|wait| wait.not_before.is_some());
        let last = part.iter().filter_map(|wait| wait.not_before).max();
        let waiting_for = part.iter().map(|wait| {
            json!({
                "rule": wait.rule,
                "what": wait.what,
                "not_before": wait.not_before.map(|at| at.to_string()),
            })
        });
        Some(json!({
            "step": first.rule,
            "setting": first.pointer,
            "what": first.comes(),
            "meanwhile": first.meanwhile(),
            "not_before": last.filter(|_| known).map(|at| at.to_string()),
            "waiting_for": waiting_for.collect::<Vec<_>>(),
        }))
    });
    json!({ "kind": "settings", "steps": steps.collect::<Vec<_>>() })
}

/// What a `GET` of a pool shows beside its settings; ignored in a `PUT`.
pub(super) const POOL_READ_ONLY: [&str; 9] = [
    "name",
    "counts",
    "ready",
    "retire_due",
    "suspended",
    "mta_sts_id",
    "plan",
    "revision",
    "warnings",
];

/// Returns one of the operator's own zones as a list shows it.
pub(super) fn zone(zone: &OperatorZone) -> Value {
    json!({
        "name": zone.apex.to_api_text(),
        "serial": zone.serial.number(),
        "signatures_expire_at": zone.earliest_expiration.to_string(),
        "ds": ds(&zone.apex, &zone.ds),
        "revision": zone.revision,
    })
}

/// Returns what a change did, or would do; `documents` says which document each step came from.
pub(super) fn plan(outcome: &Outcome, dry_run: bool, documents: &[usize]) -> Value {
    let effects = outcome.plan.effects.iter().map(|effect| {
        json!({
            "step": documents.get(effect.op).copied().unwrap_or(effect.op),
            "op": effect.kind,
            "subject": effect.subject,
            "what": effect.what,
        })
    });
    json!({
        "revision": outcome.revision,
        "dry_run": dry_run,
        "plan": effects.collect::<Vec<_>>(),
        "domains": outcome.plan.existing_domains,
        "created": outcome.plan.created_domains,
        "warnings": outcome.plan.warnings,
    })
}

/// Returns a domain's document as of now, if it is still there.
pub(super) fn current_domain(view: &View<'_>, name: &Apex) -> Option<(u64, Value)> {
    let found = view.domain(name)?;
    let prospect = view.prospect(name);
    let document = domain(&found, prospect.as_ref());
    Some((found.revision, document))
}

/// Writes octets in hexadecimal digits, lower-case as RDATA's text has them.
fn hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}
