//! Changes that are made later: kept as records, made at their moment, or called off.
//!
//! A change is checked when it is accepted and again at its moment. Refused then, nothing of it is
//! done, and that it failed is an event of its own. The id of a change is the revision at which it was
//! accepted; so a scheduled one has an id before it is made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::handle::{Engine, ReadError, decode};
use super::job::Claim;
use super::writer::Writer;
use super::{Actor, AddDomain, Change, ChangeId, IfMatch, Op, OpError, Outcome, Refusal};
use crate::clock::Timestamp;
use crate::mail::PoolSettings;
use crate::store::record::{
    AuditRecord, ChangeRecord, Fate, MatchForm, ScheduledChange, StepForm, StepRecord, growing_key,
};
use crate::store::{Batch, Space};
use crate::zone::ZoneData;

/// How many scheduled changes are begun at a time.
const AT_ONCE: usize = 64;

/// How long one rests that could not be made through no fault of its own.
const REST: Duration = Duration::from_secs(60);

/// What a change was, is, or will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeView {
    /// Its id: the revision at which it was accepted.
    pub id: u64,
    /// What became of it.
    pub state: ChangeState,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// When it is or was to be made, if it was scheduled.
    pub at: Option<Timestamp>,
    /// Whose wish it is.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// What a scheduled one is to do: kind and subject of each step.
    pub steps: Vec<(&'static str, String)>,
    /// What it did, if it was made.
    pub applied: Option<AuditRecord>,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeState {
    /// It waits for its moment.
    Scheduled,
    /// It was made.
    Applied,
    /// It was refused at its moment; nothing was done.
    Failed {
        /// When.
        at: Timestamp,
        /// Why, each reason in words.
        why: Vec<String>,
    },
    /// It was called off, or taken back.
    Undone {
        /// The revision at which that was.
        by: u64,
    },
}

/// How a scheduled change ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Conclusion {
    /// It is made by the change that says so.
    Applied,
    /// It is refused.
    Failed(Vec<String>),
    /// It is called off.
    Undone,
}

/// What a change says of changes.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// What it is to do later, instead of now.
    pub(super) scheduled: Option<ScheduledChange>,
    /// The scheduled changes that end by it.
    pub(super) concluded: BTreeMap<u64, Conclusion>,
    /// The change that it takes back.
    pub(super) undone: Option<(u64, Arc<ChangeRecord>)>,
}

/// The scheduled changes that are being made.
#[derive(Debug, Default)]
pub(super) struct Running {
    /// Each with the answer that is waited for.
    answers: Vec<(u64, oneshot::Receiver<Result<Outcome, Vec<OpError>>>)>,
    /// Those that could not be made through no fault of their own, and until when they rest.
    resting: BTreeMap<u64, Duration>,
}

impl Engine {
    /// Accepts a change that is made at a moment: checks it now, as it would be made now. The outcome's
    /// revision is its id. A dry run shows what it would do.
    ///
    /// # Errors
    ///
    /// As for [`Engine::change`]; and when the moment has passed.
    pub async fn schedule(&self, change: Change, at: Timestamp) -> Result<Outcome, Vec<OpError>> {
        let Change {
            ops,
            expect_domains,
            ..
        } = change;
        let op = Op::Schedule {
            at,
            ops,
            expect_domains,
        };
        self.change(Change {
            ops: vec![op],
            actor: change.actor,
            reason: change.reason,
            id: change.id,
            dry_run: change.dry_run,
            expect_domains: None,
        })
        .await
    }

    /// Takes a change back: calls off a scheduled one, or plans the inverse of one that was made from
    /// what is true now.
    ///
    /// # Errors
    ///
    /// When there is no such change, anything it touched has changed since, or a step back is not safe.
    pub async fn undo(&self, undo: Undo) -> Result<Outcome, Vec<OpError>> {
        let failed = |error: ReadError| OpError::whole(Refusal::Internal(error.to_string()));
        let id = self.scheduled_id(undo.id).map_err(failed)?;
        let note = self.change_note(id).map_err(failed)?;
        let fate = note.scheduled.as_ref().map(|it| &it.fate);
        let made = match fate {
            Some(Fate::Applied { revision }) => Some(*revision),
            Some(Fate::Waits | Fate::Failed { .. } | Fate::Undone { .. }) => None,
            None => Some(id),
        };
        let done = made.map(|revision| self.audit_record(revision)).transpose();
        let done = done.map_err(failed)?.flatten();
        let op = Op::Undo {
            id,
            done: done.map(Arc::new),
            note: Arc::new(note),
        };
        self.change(Change {
            ops: vec![op],
            actor: undo.actor,
            reason: undo.reason,
            id: undo.key,
            dry_run: undo.dry_run,
            expect_domains: undo.expect_domains,
        })
        .await
    }

    /// Returns what a change was, is or will be.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn change_view(&self, id: u64) -> Result<Option<ChangeView>, ReadError> {
        let id = self.scheduled_id(id)?;
        let note = self.change_note(id)?;
        let undone = note.undone.map(|by| ChangeState::Undone { by });
        let Some(scheduled) = note.scheduled else {
            let audit = self.audit_record(id)?;
            return Ok(audit.map(|audit| ChangeView {
                id,
                state: undone.unwrap_or(ChangeState::Applied),
                accepted: audit.at,
                at: None,
                actor: audit.actor.clone(),
                reason: audit.reason.clone(),
                steps: Vec::new(),
                applied: Some(audit),
            }));
        };
        let mut applied = None;
        let state = match scheduled.fate.clone() {
            Fate::Waits => ChangeState::Scheduled,
            Fate::Applied { revision } => {
                applied = self.audit_record(revision)?;
                undone.unwrap_or(ChangeState::Applied)
            }
            Fate::Failed { at, why } => ChangeState::Failed { at, why },
            Fate::Undone { revision } => ChangeState::Undone { by: revision },
        };
        let steps = ops_of(&scheduled.steps).unwrap_or_default();
        Ok(Some(ChangeView {
            id,
            state,
            accepted: scheduled.accepted,
            at: Some(scheduled.at),
            actor: scheduled.actor,
            reason: scheduled.reason,
            steps: steps.iter().map(|op| (op.kind(), op.subject())).collect(),
            applied,
        }))
    }

    /// Returns the id of the scheduled change that made a revision, else the revision itself: a change is
    /// one, by whichever of its revisions it is named.
    fn scheduled_id(&self, revision: u64) -> Result<u64, ReadError> {
        let made = self.audit_record(revision)?;
        let made = made.and_then(|audit| {
            let mut changes = audit.changes.into_iter();
            changes.find(|change| change.op == "make_scheduled")
        });
        Ok(made
            .and_then(|change| change.subject.parse().ok())
            .unwrap_or(revision))
    }

    /// Returns what is noted of a change.
    fn change_note(&self, id: u64) -> Result<ChangeRecord, ReadError> {
        let found = self.shared.store.get(Space::Change, &growing_key(id))?;
        let note = found.map(|octets| decode(&octets, || format!("the change {id}")));
        Ok(note.transpose()?.unwrap_or_default())
    }

    /// Returns the audit record of a revision.
    fn audit_record(&self, revision: u64) -> Result<Option<AuditRecord>, ReadError> {
        let found = self
            .shared
            .store
            .get(Space::Audit, &growing_key(revision))?;
        let record = found.map(|octets| decode(&octets, || format!("audit record {revision}")));
        record.transpose()
    }
}

/// A wish to take a change back.
#[derive(Clone, Debug)]
pub struct Undo {
    /// The change's id.
    pub id: u64,
    /// Whose wish it is.
    pub actor: Actor,
    /// Why, for the audit log.
    pub reason: Option<String>,
    /// Under which key the wish may come again, and what it says.
    pub key: Option<ChangeId>,
    /// Whether the plan alone is wanted.
    pub dry_run: bool,
    /// How many existing domains the caller expects it to touch.
    pub expect_domains: Option<u64>,
}

impl Writer {
    /// Makes the scheduled changes whose moment has come, and says of those that were refused that they
    /// failed.
    pub(super) fn run_scheduled(&mut self, now: Timestamp, reading: Duration) {
        for (id, errors) in self.acts.running.refused() {
            if errors.iter().any(|error| error.refusal.is_failure()) {
                let until = reading.saturating_add(REST);
                self.acts.running.resting.insert(id, until);
                continue;
            }
            let why = errors.iter().map(|error| error.refusal.to_string());
            self.give_up(id, why.collect());
        }
        self.acts
            .running
            .resting
            .retain(|_, until| reading < *until);
        let due: Vec<(u64, Arc<ScheduledChange>)> = {
            let facts = Self::facts(&self.shared);
            let due = facts.scheduled_at.iter().take_while(|(at, _)| *at <= now);
            let due = due.filter_map(|(_, id)| Some((*id, facts.scheduled.get(id)?)));
            let idle = due.filter(|(id, _)| {
                !self.claims.contains_key(&Claim::Scheduled(*id)) && !self.acts.running.has(*id)
            });
            let due = idle.take(AT_ONCE);
            due.map(|(id, change)| (id, Arc::clone(change))).collect()
        };
        for (id, scheduled) in due {
            let mut ops = match ops_of(&scheduled.steps) {
                Ok(ops) => ops,
                Err(why) => {
                    self.give_up(id, vec![why]);
                    continue;
                }
            };
            ops.push(Op::Scheduled { id });
            let change = Change {
                ops,
                actor: Actor(scheduled.actor.clone()),
                reason: scheduled.reason.clone(),
                id: None,
                dry_run: false,
                expect_domains: scheduled.expect_domains,
            };
            let (answer, answered) = oneshot::channel();
            self.acts.running.answers.push((id, answered));
            self.accept(Box::new(change), answer);
        }
    }

    /// Says that a scheduled change failed.
    fn give_up(&mut self, id: u64, why: Vec<String>) {
        tracing::warn!(
            change = id,
            why = why.join("; "),
            "a scheduled change failed"
        );
        self.shared.metrics.change_failed();
        self.act(vec![Op::FailScheduled { id, why }]);
    }
}

impl Running {
    /// Returns whether a change is being made, or rests.
    fn has(&self, id: u64) -> bool {
        self.resting.contains_key(&id) || self.answers.iter().any(|(running, _)| *running == id)
    }

    /// Returns whether none is being made.
    pub(super) fn is_idle(&self) -> bool {
        self.answers.is_empty()
    }

    /// Takes out those that were answered; returns the refused ones.
    fn refused(&mut self) -> Vec<(u64, Vec<OpError>)> {
        let mut refused = Vec::new();
        self.answers
            .retain_mut(|(id, answer)| match answer.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => true,
                Ok(Ok(_)) | Err(oneshot::error::TryRecvError::Closed) => false,
                Ok(Err(errors)) => {
                    refused.push((*id, errors));
                    false
                }
            });
        refused
    }
}

impl Notes {
    /// Adds what is noted to a batch; `revision` is that of the change which says it.
    pub(super) fn put(
        &self,
        batch: &mut Batch,
        known: &BTreeMap<u64, Arc<ScheduledChange>>,
        revision: u64,
        now: Timestamp,
    ) {
        if let Some(scheduled) = &self.scheduled {
            let record = ChangeRecord {
                scheduled: Some(scheduled.clone()),
                undone: None,
            };
            batch.put_record(&growing_key(revision), &record);
        }
        for (id, conclusion) in &self.concluded {
            let Some(scheduled) = known.get(id) else {
                continue;
            };
            let mut scheduled = (**scheduled).clone();
            scheduled.fate = match conclusion {
                Conclusion::Applied => Fate::Applied { revision },
                Conclusion::Failed(why) => Fate::Failed {
                    at: now,
                    why: why.clone(),
                },
                Conclusion::Undone => Fate::Undone { revision },
            };
            let record = ChangeRecord {
                scheduled: Some(scheduled),
                undone: None,
            };
            batch.put_record(&growing_key(*id), &record);
        }
        if let Some((id, note)) = &self.undone {
            let record = ChangeRecord {
                undone: Some(revision),
                ..(**note).clone()
            };
            batch.put_record(&growing_key(*id), &record);
        }
    }
}

/// Returns a step as it is stored; `None` for one that is never made later.
pub(super) fn step_record(op: &Op) -> Option<StepRecord> {
    let (what, if_match) = match op {
        Op::PutZone {
            apex,
            data,
            if_match,
        } => {
            let (apex, records) = (apex.clone(), data.rrsets.clone());
            (StepForm::PutZone { apex, records }, *if_match)
        }
        Op::DeleteZone { apex, if_match } => {
            (StepForm::DeleteZone { apex: apex.clone() }, *if_match)
        }
        Op::PutPool {
            name,
            settings,
            if_match,
        } => {
            let settings = settings.to_document().to_string();
            let name = name.clone();
            (StepForm::PutPool { name, settings }, *if_match)
        }
        Op::DeletePool { name, if_match } => {
            (StepForm::DeletePool { name: name.clone() }, *if_match)
        }
        Op::AddDomain(add) => {
            let add = add.clone();
            let what = StepForm::AddDomain {
                pool: add.pool,
                name: add.name,
                if_absent: add.if_absent,
                fresh: add.fresh,
                registrar: add.registrar,
                expires_at: add.expires_at,
                labels: add.labels,
            };
            (what, None)
        }
        Op::PatchDomain {
            name,
            registrar,
            expires_at,
            labels,
            if_match,
        } => {
            let what = StepForm::PatchDomain {
                name: name.clone(),
                registrar: registrar.clone(),
                expires_at: *expires_at,
                labels: labels.clone(),
            };
            (what, *if_match)
        }
        Op::DeleteDomain {
            name,
            force,
            if_match,
        } => {
            let (name, force) = (name.clone(), *force);
            (StepForm::DeleteDomain { name, force }, *if_match)
        }
        Op::PutRrset {
            domain,
            rrset,
            if_match,
        } => {
            let (domain, rrset) = (domain.clone(), rrset.clone());
            (StepForm::PutRrset { domain, rrset }, *if_match)
        }
        Op::DeleteRrset {
            domain,
            owner,
            rtype,
            if_match,
        } => {
            let what = StepForm::DeleteRrset {
                domain: domain.clone(),
                owner: owner.clone(),
                rtype: *rtype,
            };
            (what, *if_match)
        }
        Op::Transition {
            name,
            to,
            force,
            if_match,
        } => {
            let what = StepForm::Transition {
                name: name.clone(),
                to: *to,
                force: *force,
            };
            (what, *if_match)
        }
        Op::Suspend {
            name,
            answer,
            until,
            if_match,
        } => {
            let what = StepForm::Suspend {
                name: name.clone(),
                answer: *answer,
                until: *until,
            };
            (what, *if_match)
        }
        Op::Resume { name, if_match } => (StepForm::Resume { name: name.clone() }, *if_match),
        Op::Hold { name, if_match } => (StepForm::Hold { name: name.clone() }, *if_match),
        Op::Unhold { name, if_match } => (StepForm::Unhold { name: name.clone() }, *if_match),
        Op::Rotate {
            pool,
            burn,
            activate,
            if_match,
        } => {
            let what = StepForm::Rotate {
                pool: pool.clone(),
                burn: burn.clone(),
                activate: *activate,
            };
            (what, *if_match)
        }
        // What was seen is said when it was, and the engine's own steps come when they are due.
        Op::Observe { .. }
        | Op::HostApplied { .. }
        | Op::HostDeferrals { .. }
        | Op::RotateAged { .. }
        | Op::AdoptAnew { .. }
        | Op::Act { .. }
        | Op::Schedule { .. }
        | Op::Scheduled { .. }
        | Op::FailScheduled { .. }
        | Op::Undo { .. } => return None,
    };
    let if_match = if_match.map(|wanted| match wanted {
        IfMatch::Any => MatchForm::Any,
        IfMatch::Revision(revision) => MatchForm::Revision(revision),
        IfMatch::Never => MatchForm::Never,
    });
    Some(StepRecord { what, if_match })
}

/// Returns steps as they are made; says why one cannot be read.
fn ops_of(steps: &[StepRecord]) -> Result<Vec<Op>, String> {
    steps.iter().map(op_of).collect()
}

/// Returns a step as it is made; says why it cannot be read.
fn op_of(step: &StepRecord) -> Result<Op, String> {
    let if_match = step.if_match.map(|wanted| match wanted {
        MatchForm::Any => IfMatch::Any,
        MatchForm::Revision(revision) => IfMatch::Revision(revision),
        MatchForm::Never => IfMatch::Never,
    });
    Ok(match step.what.clone() {
        StepForm::PutZone { apex, records } => Op::PutZone {
            data: ZoneData {
                apex: apex.clone(),
                rrsets: records,
                warnings: Vec::new(),
            },
            apex,
            if_match,
        },
        StepForm::DeleteZone { apex } => Op::DeleteZone { apex, if_match },
        StepForm::PutPool { name, settings } => Op::PutPool {
            settings: Box::new(read_settings(&settings)?),
            name,
            if_match,
        },
        StepForm::DeletePool { name } => Op::DeletePool { name, if_match },
        StepForm::AddDomain {
            pool,
            name,
            if_absent,
            fresh,
            registrar,
            expires_at,
            labels,
        } => Op::AddDomain(AddDomain {
            pool,
            name,
            if_absent,
            fresh,
            registrar,
            expires_at,
            labels,
        }),
        StepForm::PatchDomain {
            name,
            registrar,
            expires_at,
            labels,
        } => Op::PatchDomain {
            name,
            registrar,
            expires_at,
            labels,
            if_match,
        },
        StepForm::DeleteDomain { name, force } => Op::DeleteDomain {
            name,
            force,
            if_match,
        },
        StepForm::PutRrset { domain, rrset } => Op::PutRrset {
            domain,
            rrset,
            if_match,
        },
        StepForm::DeleteRrset {
            domain,
            owner,
            rtype,
        } => Op::DeleteRrset {
            domain,
            owner,
            rtype,
            if_match,
        },
        StepForm::Transition { name, to, force } => Op::Transition {
            name,
            to,
            force,
            if_match,
        },
        StepForm::Suspend {
            name,
            answer,
            until,
        } => Op::Suspend {
            name,
            answer,
            until,
            if_match,
        },
        StepForm::Resume { name } => Op::Resume { name, if_match },
        StepForm::Hold { name } => Op::Hold { name, if_match },
        StepForm::Unhold { name } => Op::Unhold { name, if_match },
        StepForm::Rotate {
            pool,
            burn,
            activate,
        } => Op::Rotate {
            pool,
            burn,
            activate,
            if_match,
        },
    })
}

/// Reads settings as they are stored.
pub(super) fn read_settings(text: &str) -> Result<PoolSettings, String> {
    let document = serde_json::from_str(text).map_err(|error| error.to_string())?;
    PoolSettings::from_stored(&document).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        faults.join("; ")
    })
}
