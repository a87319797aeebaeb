//! What the audit log says stood and stands: JSON documents of what a step is about.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::facts::{Facts, Rare};
use super::life::Life;
use super::plan::Planned;
use super::subject::Subject;
use super::{Effect, Op};
use crate::lifecycle::LifecycleState;
use crate::mail::{PoolSettings, RoutingAnswer};
use crate::store::record::HostRecord;
use crate::wire::Apex;
use crate::zone::{RelativeRrset, ZoneData};

/// Returns what a step is about, as it stood before.
pub(super) fn before(facts: &Facts, op: &Op, effect: &Effect) -> Option<String> {
    let document = match subject(op, effect)? {
        Subject::Pool(name) => {
            let pool = facts.pools.get(name)?;
            pool_document(pool.wished())
        }
        Subject::Zone(apex) => zone_document(&apex, &facts.zones.get(&*apex)?.records),
        Subject::Domain(name) => {
            let domain = facts.domains.get(&name)?;
            let document = DomainDocument::new(&domain.pool, domain.state);
            let document = document.with_rare(&name, domain.rare.as_deref());
            return document.with_life(domain.life.as_deref()).to_text();
        }
        Subject::Host(host) => host_document(facts.hosts.get(host)?),
        Subject::Change(_) | Subject::Moment(_) => return None,
    };
    Some(document.to_string())
}

/// Returns what a step is about, as it stands after the change.
pub(super) fn after(planned: &Planned, op: &Op, effect: &Effect) -> Option<String> {
    let document = match subject(op, effect)? {
        Subject::Pool(name) => {
            let draft = planned.pools.get(name)?.as_ref()?;
            pool_document(draft.wished())
        }
        Subject::Zone(apex) => {
            let draft = planned.zones.get(&*apex)?.as_ref()?;
            zone_document(&apex, &draft.records)
        }
        Subject::Domain(name) => {
            let draft = planned.domains.get(&name)?.as_ref()?;
            let document = DomainDocument::new(&draft.pool, draft.state);
            let document = document.with_rare(&name, draft.rare.as_deref());
            let mut document = document.with_life(draft.life.as_deref());
            document.because = &effect.because;
            return document.to_text();
        }
        Subject::Host(host) => host_document(planned.hosts.get(host)?),
        Subject::Change(_) | Subject::Moment(_) => return None,
    };
    Some(document.to_string())
}

/// Returns what one effect of a step is about; nothing where that is no more than a note.
fn subject<'o>(op: &'o Op, effect: &'o Effect) -> Option<Subject<'o>> {
    match op {
        // A rotation picks its domains itself.
        Op::Rotate { .. } | Op::RotateAged { .. } => {
            let domain = Apex::parse(&effect.subject).map(|name| Subject::Domain(Cow::Owned(name)));
            Some(domain.unwrap_or_else(|_| op.about()))
        }
        Op::Undo { .. } => undone(effect),
        op => Some(op.about()),
    }
}

/// Returns what a step back is about.
fn undone(effect: &Effect) -> Option<Subject<'_>> {
    let subject = &effect.subject;
    let name = || Apex::parse(subject.split(' ').next()?).ok();
    match effect.kind {
        "undo" => None,
        "put_pool" | "delete_pool" => Some(Subject::Pool(subject)),
        "put_zone" | "delete_zone" => Some(Subject::Zone(Cow::Owned(name()?))),
        _ => Some(Subject::Domain(Cow::Owned(name()?))),
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
/// Written as it is, without a tree in between: a change may tell of ten thousand. The members are in
/// the order of the alphabet.
#[derive(Serialize)]
struct DomainDocument<'d> {
    /// The rules that held for the step, with the facts that satisfied them.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    because: &'d [String],
    /// When its registration ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// Why no step may withdraw anything, if none may.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<&'d str>,
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
    /// What its mail is answered for a while, if it is suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended: Option<SuspensionDocument<'d>>,
}

/// What is said about a suspension.
#[derive(Serialize)]
struct SuspensionDocument<'d> {
    /// What mail is answered.
    answer: RoutingAnswer,
    /// Why.
    reason: &'d str,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

impl<'d> DomainDocument<'d> {
    /// Says what every domain has.
    fn new(pool: &'d str, state: LifecycleState) -> Self {
        Self {
            because: &[],
            expires_at: None,
            held: None,
            labels: None,
            pool,
            registrar: None,
            rrsets: Vec::new(),
            state: state.as_str(),
            suspended: None,
        }
    }

    /// Says what few domains have.
    fn with_rare(mut self, name: &Apex, rare: Option<&'d Rare>) -> Self {
        let Some(rare) = rare else {
            return self;
        };
        let rrsets = rare.extra.iter().flat_map(|rrset| {
            rrset.rdatas.iter().filter_map(move |rdata| {
                let rdata = rdata.under(rrset.rtype, name).ok()?;
                let data = rdata.to_text(rrset.rtype);
                let RelativeRrset {
                    owner, ttl, rtype, ..
                } = rrset;
                Some(format!("{owner} {ttl} {rtype} {data}"))
            })
        });
        self.rrsets = rrsets.collect();
        self.expires_at = rare.expires_at.map(|at| at.to_string());
        self.labels = Some(&rare.labels).filter(|labels| !labels.is_empty());
        self.registrar = rare.registrar.as_deref();
        self
    }

    /// Says what of its life was wished for.
    fn with_life(mut self, life: Option<&'d Life>) -> Self {
        let Some(life) = life else {
            return self;
        };
        self.held = life.hold.as_ref().map(|hold| &*hold.reason);
        self.suspended = life.suspension.as_ref().map(|it| SuspensionDocument {
            answer: it.answer,
            reason: &it.reason,
            until: it.until.map(|until| until.to_string()),
        });
        self
    }

    /// Returns the document.
    fn to_text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }
}
