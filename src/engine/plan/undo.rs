//! Taking a change back: the inverse of each of its steps, as far as that is safe today.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::draft::Draft;
use crate::clock::Timestamp;
use crate::document::Fault;
use crate::engine::scheduled::Conclusion;
use crate::engine::step_form::read_settings;
use crate::engine::{Op, Refusal};
use crate::lifecycle::{LifecycleState, Suspension};
use crate::mail::RoutingAnswer;
use crate::store::record::{AuditChange, AuditRecord, ChangeRecord, Fate, Hold};
use crate::wire::{Apex, Name, NoIncludes, Rdata, RelativeName, Rtype, Ttl, parse_master};
use crate::zone::{RelativeRrset, Rrset, ZoneData};

/// What the audit log says stood, or stands, at one step's subject.
type Document = serde_json::Map<String, Value>;

impl Draft<'_> {
    /// Takes a change back: calls it off if it waits for its moment, else takes the inverse steps, the
    /// last one first.
    pub(super) fn undo(
        &mut self,
        at: usize,
        id: u64,
        done: Option<&AuditRecord>,
        note: &Arc<ChangeRecord>,
    ) -> Result<(), Refusal> {
        if let Some(scheduled) = self.facts.scheduled.get(&id) {
            let what = format!("is not made at {}", scheduled.at);
            self.notes.concluded.insert(id, Conclusion::Undone);
            self.effect(at, "undo", id.to_string(), what);
            return Ok(());
        }
        let done = done.ok_or_else(|| nothing_done(id, note))?;
        if let Some(by) = note.undone {
            return Err(Refusal::Conflict(format!(
                "the change {id} was undone already, at revision {by}; to have it again, undo the \
                 change {by}"
            )));
        }
        for change in &done.changes {
            self.check_untouched(change, done.revision)?;
        }
        for change in done.changes.iter().rev() {
            if matches!(kind_of(&change.op), Kind::Pool | Kind::Zone) {
                self.references.take();
            }
            self.invert(at, change)?;
        }
        self.notes.undone = Some((id, Arc::clone(note)));
        Ok(())
    }

    /// Refuses to take a step back at whose subject something has changed since.
    fn check_untouched(&self, change: &AuditChange, revision: u64) -> Result<(), Refusal> {
        let subject = &change.subject;
        let found = match kind_of(&change.op) {
            Kind::Pool => self.facts.pools.get(&**subject).map(|pool| pool.revision),
            Kind::Zone => {
                let zone = self.facts.zones.get(&apex_of(subject)?);
                zone.map(|zone| zone.revision)
            }
            Kind::Domain => {
                let domain = self.facts.domains.get(&apex_of(subject)?);
                domain.map(|domain| domain.revision)
            }
            // That it was made at its moment is no step of its own.
            Kind::Note => return Ok(()),
            Kind::Other => {
                return Err(Refusal::Conflict(format!(
                    "{} of {subject} cannot be undone: it says what was seen, or what happened by \
                     itself",
                    change.op
                )));
            }
        };
        let expected = change.after.as_ref().map(|_| revision);
        if found == expected {
            return Ok(());
        }
        let found = found.map_or_else(
            || "does not exist any more".to_owned(),
            |found| format!("was changed since, at revision {found}"),
        );
        Err(Refusal::Conflict(format!(
            "the change cannot be undone: {subject} {found}"
        )))
    }

    /// Takes the inverse of one step.
    fn invert(&mut self, at: usize, change: &AuditChange) -> Result<(), Refusal> {
        if matches!(kind_of(&change.op), Kind::Note) {
            return Ok(());
        }
        let subject = &change.subject;
        let before = document(change.before.as_deref())?;
        let text = |key: &str| Some(before.as_ref()?.get(key)?.as_str()?.to_owned());
        let unsafe_now = |why: &str| {
            let op = &change.op;
            Err(Refusal::Conflict(format!(
                "{op} of {subject} cannot be undone: {why}"
            )))
        };
        match (&*change.op, &before) {
            ("put_pool", None) => self.delete_pool(at, subject, None),
            ("put_pool" | "delete_pool", Some(_)) => {
                let settings = change.before.as_deref().unwrap_or_default();
                let settings = read_settings(settings).map_err(Refusal::Internal)?;
                self.put_pool(at, subject, &settings, None)
            }
            ("put_zone", None) => self.delete_zone(at, &apex_of(subject)?, None),
            ("put_zone", Some(_)) => {
                let apex = apex_of(subject)?;
                let records = text("records").unwrap_or_default();
                let data = read_zone(&apex, &records)?;
                self.put_zone(at, &apex, &data, None)
            }
            ("delete_zone" | "delete_domain", _) => {
                unsafe_now("its keys are destroyed; add it as a new one, with a new DS")
            }
            ("add_domain", _) => self.delete_domain(at, &apex_of(subject)?, false, None),
            ("patch_domain", Some(before)) => {
                let op = patch(apex_of(subject)?, before);
                self.patch_domain(at, &op)
            }
            ("put_rrset" | "delete_rrset", before) => {
                self.restore_rrset(at, subject, before.as_ref())
            }
            ("transition", _) => {
                let state = text("state").and_then(|state| state.parse::<LifecycleState>().ok());
                match state {
                    Some(state) => self.transition(at, &apex_of(subject)?, state, false, None),
                    None => unsafe_now("it is not known where it stood"),
                }
            }
            ("suspend" | "resume", before) => {
                let name = apex_of(subject)?;
                let old = before.as_ref().and_then(|before| before.get("suspended"));
                match old.and_then(|old| suspension(old, self.now)) {
                    None => self.resume(at, &name),
                    Some(old) if old.until.is_some_and(|until| until <= self.now) => {
                        unsafe_now("it would have ended by now")
                    }
                    Some(old) => self.suspend(at, &name, old),
                }
            }
            ("hold" | "unhold", _) => {
                let since = self.now;
                let hold = text("held").map(|reason| Hold { since, reason });
                self.hold(at, &apex_of(subject)?, hold)
            }
            (_, _) => unsafe_now("no step leads back"),
        }
    }

    /// Gives a domain back the RRset that it had, or takes away the one that it got.
    fn restore_rrset(
        &mut self,
        at: usize,
        subject: &str,
        before: Option<&Document>,
    ) -> Result<(), Refusal> {
        let damaged = || Refusal::Internal(format!("expected an RRset, found {subject:?}"));
        let mut parts = subject.split(' ');
        let domain = apex_of(parts.next().ok_or_else(damaged)?)?;
        let owner = parts.next().ok_or_else(damaged)?;
        let owner = RelativeName::parse(owner).map_err(|_| damaged())?;
        let rtype = parts.next().ok_or_else(damaged)?;
        let rtype = rtype.parse::<Rtype>().map_err(|_| damaged())?;
        let lines = before.and_then(|before| before.get("rrsets")?.as_array());
        let lines = lines.into_iter().flatten().filter_map(Value::as_str);
        let text: Vec<&str> = lines.collect();
        let old = read_rrsets(&domain, &text.join("\n"))?;
        let old = old
            .iter()
            .find(|rrset| rrset.owner == owner && rrset.rtype == rtype);
        match old {
            Some(rrset) => self.put_rrset(at, &domain, rrset, None),
            None => self.delete_rrset(at, &domain, &owner, rtype, None),
        }
    }
}

/// Says why there is nothing to take back.
fn nothing_done(id: u64, note: &ChangeRecord) -> Refusal {
    let why = match note.scheduled.as_ref().map(|scheduled| &scheduled.fate) {
        None => {
            return Refusal::NotFound {
                kind: "change",
                name: id.to_string(),
            };
        }
        Some(Fate::Failed { at, .. }) => {
            format!("the change {id} failed at {at}: nothing was done that could be undone")
        }
        Some(Fate::Undone { revision }) => {
            format!("the change {id} was called off already, at revision {revision}")
        }
        // It ended between the look at it and its turn.
        Some(Fate::Waits | Fate::Applied { .. }) => {
            format!("the change {id} came to its moment just now: look at it again")
        }
    };
    Refusal::Conflict(why)
}

/// What a step is about.
enum Kind {
    /// A pool.
    Pool,
    /// One of the operator's zones.
    Zone,
    /// A domain.
    Domain,
    /// That a change was scheduled.
    Note,
    /// Something that is said or happens, not wished for.
    Other,
}

/// Returns what a step is about, by its name in the API.
fn kind_of(op: &str) -> Kind {
    match op {
        "put_pool" | "delete_pool" => Kind::Pool,
        "put_zone" | "delete_zone" => Kind::Zone,
        "add_domain" | "patch_domain" | "delete_domain" | "put_rrset" | "delete_rrset"
        | "transition" | "suspend" | "resume" | "hold" | "unhold" => Kind::Domain,
        "make_scheduled" => Kind::Note,
        _ => Kind::Other,
    }
}

/// Returns what a change that was recorded reserves when it is taken back.
pub(in crate::engine) fn touched(done: &AuditRecord) -> impl Iterator<Item = Touched> {
    done.changes
        .iter()
        .filter_map(|change| match kind_of(&change.op) {
            Kind::Pool => Some(Touched::Pool(change.subject.clone())),
            Kind::Zone | Kind::Domain => apex_of(&change.subject).ok().map(Touched::Name),
            Kind::Note | Kind::Other => None,
        })
}

/// What a recorded change touched.
pub(in crate::engine) enum Touched {
    /// A pool.
    Pool(String),
    /// A domain or one of the operator's zones.
    Name(Apex),
}

/// Returns the name that a step's subject begins with.
fn apex_of(subject: &str) -> Result<Apex, Refusal> {
    let name = subject.split(' ').next().unwrap_or_default();
    Apex::parse(name).map_err(|error| Refusal::Internal(format!("{subject:?}: {error}")))
}

/// Reads what the audit log says of a step's subject.
fn document(text: Option<&str>) -> Result<Option<Document>, Refusal> {
    let read = text.map(serde_json::from_str).transpose();
    read.map_err(|error| Refusal::Internal(format!("the audit log is damaged: {error}")))
}

/// Returns what makes of a domain what was said about it.
fn patch(name: Apex, before: &Document) -> Op {
    let text = |key: &str| before.get(key).and_then(Value::as_str);
    let labels = before.get("labels").cloned().unwrap_or_default();
    Op::PatchDomain {
        name,
        registrar: Some(text("registrar").map(str::to_owned)),
        expires_at: Some(text("expires_at").and_then(|at| at.parse().ok())),
        labels: Some(serde_json::from_value(labels).unwrap_or_default()),
        if_match: None,
    }
}

/// Reads a suspension, which begins anew.
fn suspension(document: &Value, now: Timestamp) -> Option<Suspension> {
    let text = |key: &str| document.get(key).and_then(Value::as_str);
    Some(Suspension {
        answer: text("answer")?.parse::<RoutingAnswer>().ok()?,
        since: now,
        until: text("until").and_then(|until| until.parse().ok()),
        reason: text("reason").unwrap_or_default().to_owned(),
    })
}

/// Reads the records of a zone, as the audit log has them.
fn read_zone(apex: &Apex, text: &str) -> Result<ZoneData, Refusal> {
    let records = parse_master(text, None, apex, Ttl::from_secs(3600), &NoIncludes);
    let records =
        records.map_err(|error| Refusal::Invalid(vec![Fault::new("", format!("{error:?}"))]))?;
    ZoneData::from_master(apex, records)
        .map_err(|error| Refusal::Invalid(vec![Fault::new("", format!("{error:?}"))]))
}

/// Reads RRsets of a domain, as the audit log has them: a line for each record.
fn read_rrsets(apex: &Apex, text: &str) -> Result<Vec<RelativeRrset>, Refusal> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let records = parse_master(text, None, apex, Ttl::from_secs(3600), &NoIncludes);
    let records = records.map_err(|error| Refusal::Internal(format!("{error:?}")))?;
    let mut rrsets: BTreeMap<(Name, Rtype), (Ttl, Vec<Rdata>)> = BTreeMap::new();
    for record in records {
        let key = (record.owner, record.rtype);
        let (_, rdatas) = rrsets.entry(key).or_insert((record.ttl, Vec::new()));
        rdatas.push(record.rdata);
    }
    let rrsets = rrsets
        .into_iter()
        .filter_map(|((owner, rtype), (ttl, rdatas))| {
            let rrset = Rrset::new(owner, rtype, ttl, rdatas)?;
            RelativeRrset::relative_to(&rrset, apex)
        });
    Ok(rrsets.collect())
}
