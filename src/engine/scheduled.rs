//! Changes that are made later: kept as records, made at their moment, or called off.
//!
//! A change is checked when it is accepted and again at its moment. Refused then, nothing of it is
//! done, and that it failed is an event of its own. The id of a change is the revision at which it was
//! accepted; so a scheduled one has an id before it is made.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::handle::{Engine, ReadError, decode};
use super::job::Claim;
use super::step_form::ops_of;
use super::writer::Writer;
use super::{Actor, Change, ChangeId, Op, OpError, Outcome, Refusal};
use crate::clock::Timestamp;
use crate::store::record::{AuditRecord, ChangeRecord, Fate, ScheduledChange, growing_key};
use crate::store::{Batch, Space};

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
    /// What a scheduled one is to do.
    pub steps: Vec<StepView>,
    /// What it did, if it was made.
    pub applied: Option<AuditRecord>,
}

/// A step that was scheduled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepView {
    /// What is done, as the API names it.
    pub kind: &'static str,
    /// To what.
    pub subject: String,
    /// In words.
    pub what: String,
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

/// The answer to a change.
type Awaited = oneshot::Receiver<Result<Outcome, Vec<OpError>>>;

/// The scheduled change that is being made: one at a time, in the order of their moments, because a
/// later one may build on an earlier one even where both are overdue.
#[derive(Debug, Default)]
pub(super) struct Running {
    /// The one that is being made, with the answer that is waited for.
    current: Option<(u64, Awaited)>,
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
        let note = self.change_note(id).map_err(failed)?.unwrap_or_default();
        let fate = note.scheduled.as_ref().map(|it| &it.fate);
        let made = match fate {
            Some(Fate::Applied { revision }) => Some(*revision),
            Some(Fate::Waits | Fate::Failed { .. } | Fate::Undone { .. }) => None,
            None => Some(id),
        };
        let done = made.map(|revision| self.audit_record(revision)).transpose();
        let done = done.map_err(failed)?.flatten();
        // What became of one that was scheduled is forgotten.
        let done = done.filter(|done| note.scheduled.is_some() || !is_schedule(done));
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
        let note = self.change_note(id)?.unwrap_or_default();
        let undone = note.undone.map(|by| ChangeState::Undone { by });
        let Some(scheduled) = note.scheduled else {
            let audit = self.audit_record(id)?;
            // What became of one that was scheduled is forgotten.
            let audit = audit.filter(|audit| !is_schedule(audit));
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
            steps: steps.iter().map(StepView::of).collect(),
            applied,
        }))
    }

    /// Returns the changes that wait for their moment, the next one first. Reads their steps: blocks for
    /// milliseconds where there are many.
    pub fn waiting_changes(&self) -> Vec<ChangeView> {
        let waiting: Vec<(u64, Arc<ScheduledChange>)> = {
            let facts = self.shared.facts.read();
            let facts = facts.unwrap_or_else(PoisonError::into_inner);
            let ids = facts.scheduled_at.iter().map(|(_, id)| *id);
            let found = ids.filter_map(|id| Some((id, Arc::clone(facts.scheduled.get(&id)?))));
            found.collect()
        };
        let views = waiting.into_iter().map(|(id, change)| {
            let steps = ops_of(&change.steps).unwrap_or_default();
            ChangeView {
                id,
                state: ChangeState::Scheduled,
                accepted: change.accepted,
                at: Some(change.at),
                actor: change.actor.clone(),
                reason: change.reason.clone(),
                steps: steps.iter().map(StepView::of).collect(),
                applied: None,
            }
        });
        views.collect()
    }

    /// Returns the id of the scheduled change that made a revision, else the revision itself: a change is
    /// one, by whichever of its revisions it is named. One that is forgotten is known by what it did.
    fn scheduled_id(&self, revision: u64) -> Result<u64, ReadError> {
        let made = self.audit_record(revision)?;
        let made = made.and_then(|audit| {
            let mut changes = audit.changes.into_iter();
            changes.find(|change| change.op == "make_scheduled")
        });
        let id = made.and_then(|change| change.subject.parse().ok());
        Ok(match id {
            Some(id) if self.change_note(id)?.is_some() => id,
            _ => revision,
        })
    }

    /// Returns what is noted of a change.
    fn change_note(&self, id: u64) -> Result<Option<ChangeRecord>, ReadError> {
        let found = self.shared.store.get(Space::Change, &growing_key(id))?;
        let note = found.map(|octets| decode(&octets, || format!("the change {id}")));
        note.transpose()
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

/// Returns whether an audit record says that a change was scheduled, and no more.
fn is_schedule(audit: &AuditRecord) -> bool {
    matches!(audit.changes.as_slice(), [change] if change.op == "schedule")
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
    /// Makes the scheduled change whose moment came first, and says of one that was refused that it
    /// failed.
    pub(super) fn run_scheduled(&mut self, now: Timestamp, reading: Duration) {
        if let Some((id, errors)) = self.acts.running.refused() {
            self.acts.running.rest(id, reading);
            if !errors.iter().any(|error| error.refusal.is_failure()) {
                let why = errors.iter().map(|error| error.refusal.to_string());
                self.give_up(id, why.collect());
            }
        }
        let running = &mut self.acts.running;
        running.resting.retain(|_, until| reading < *until);
        if !running.is_idle() {
            return;
        }
        let Some((id, scheduled, is_doubtful)) = self.due(now) else {
            return;
        };
        if is_doubtful {
            let why = "its moment lies between the backup and its restore: whether it was made, or \
                       called off, is not known; ask for it again if it is still meant";
            self.acts.running.rest(id, reading);
            return self.give_up(id, vec![why.to_owned()]);
        }
        let mut ops = match ops_of(&scheduled.steps) {
            Ok(ops) => ops,
            Err(why) => {
                self.acts.running.rest(id, reading);
                return self.give_up(id, vec![why]);
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
        self.acts.running.current = Some((id, answered));
        self.accept(Box::new(change), answer);
    }

    /// Returns the scheduled change whose moment came first, and whether a restored store cannot know
    /// what became of it.
    fn due(&self, now: Timestamp) -> Option<(u64, Arc<ScheduledChange>, bool)> {
        let facts = Self::facts(&self.shared);
        let mut due = facts.scheduled_at.iter().take_while(|(at, _)| *at <= now);
        let (_, id) = due.find(|(_, id)| {
            let is_claimed = self.claims.contains_key(&Claim::Scheduled(*id));
            !is_claimed && !self.acts.running.resting.contains_key(id)
        })?;
        let scheduled = facts.scheduled.get(id)?;
        let restored = facts.recovering.as_ref().map(|restored| restored.at);
        let is_doubtful = restored.is_some_and(|at| scheduled.at.max(scheduled.accepted) <= at);
        Some((*id, Arc::clone(scheduled), is_doubtful))
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
    /// Returns whether none is being made.
    pub(super) fn is_idle(&self) -> bool {
        self.current.is_none()
    }

    /// Lets one rest: what became of it may not be storable now.
    fn rest(&mut self, id: u64, reading: Duration) {
        self.resting.insert(id, reading.saturating_add(REST));
    }

    /// Takes the current one out if it was answered; returns it if it was refused.
    fn refused(&mut self) -> Option<(u64, Vec<OpError>)> {
        let (id, answer) = self.current.as_mut()?;
        let id = *id;
        let answer = match answer.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => return None,
            Err(oneshot::error::TryRecvError::Closed) => None,
            Ok(answer) => answer.err(),
        };
        self.current = None;
        answer.map(|errors| (id, errors))
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
