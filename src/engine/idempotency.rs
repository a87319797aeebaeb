//! Calls that come again under the same key.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Change, ChangeId, Effect, Op, Outcome, Plan, Refusal, Rotation};
use crate::clock::Timestamp;
use crate::document::Fault;
use crate::store::record::{self, AuditRecord, IdempotencyRecord};
use crate::store::{Batch, Space, Store, StoreError};
use crate::wire::Apex;

/// How long a key is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// How many keys are remembered: about 100 octets each, here and in the store.
const KEY_LIMIT: usize = 1_000_000;

/// The longest key.
const LENGTH_LIMIT: usize = 255;

/// How many keys are forgotten in one commit.
const SWEEP: usize = 256;

/// The idempotency keys of the last day, oldest first; what they stand for is in the store.
#[derive(Debug, Default)]
pub(super) struct RememberedKeys {
    /// When each was used first.
    keys: VecDeque<(Timestamp, Box<str>)>,
}

impl RememberedKeys {
    /// Takes in what the store remembers, in any order.
    pub(super) fn new(mut keys: Vec<(Timestamp, Box<str>)>) -> Self {
        keys.sort_unstable();
        Self { keys: keys.into() }
    }

    /// Returns the outcome of the change that used the key before, if one did.
    ///
    /// # Errors
    ///
    /// When the key was used for something else, there is no room for it, or the store cannot be
    /// read.
    pub(super) fn recall(
        &self,
        store: &dyn Store,
        change: &Change,
        id: &ChangeId,
        now: Timestamp,
    ) -> Result<Option<Outcome>, Refusal> {
        if !(1..=LENGTH_LIMIT).contains(&id.key.len()) {
            return Err(Refusal::Invalid(vec![Fault::new(
                "/idempotency_key",
                format!(
                    "expected an idempotency key of 1 to {LENGTH_LIMIT} octets, found {}",
                    id.key.len()
                ),
            )]));
        }
        let failed = |error: StoreError| Refusal::Internal(error.to_string());
        let known: Option<IdempotencyRecord> =
            record::get(store, id.key.as_bytes()).map_err(failed)?;
        let Some(known) = known.filter(|known| now.since(known.at) < REMEMBERED) else {
            if self.keys.len() >= KEY_LIMIT {
                return Err(Refusal::TooManyKeys { limit: KEY_LIMIT });
            }
            return Ok(None);
        };
        if known.digest != id.digest {
            return Err(Refusal::KeyReused {
                key: id.key.clone(),
            });
        }
        // A change of nothing made no revision, and so no audit record of its own.
        let plan = if known.changed {
            let key = record::growing_key(known.revision);
            let audit: Option<AuditRecord> = record::get(store, &key).map_err(failed)?;
            audit.map_or_else(Plan::default, |audit| replay(&audit, change))
        } else {
            Plan::default()
        };
        Ok(Some(Outcome {
            revision: known.revision,
            plan,
            replayed: true,
        }))
    }

    /// Adds to a batch that a key is remembered.
    pub(super) fn store(batch: &mut Batch, id: &ChangeId, at: Timestamp, made: (u64, bool)) {
        let (revision, changed) = made;
        let record = IdempotencyRecord {
            at,
            digest: id.digest,
            revision,
            changed,
        };
        batch.put_record(id.key.as_bytes(), &record);
    }

    /// Notes that a key is remembered in the store.
    pub(super) fn note(&mut self, id: &ChangeId, at: Timestamp) {
        self.keys.push_back((at, id.key.as_str().into()));
    }

    /// Adds to a batch that keys older than a day are forgotten, a part of them at a time; returns
    /// how many.
    pub(super) fn sweep(&self, store: &dyn Store, batch: &mut Batch, now: Timestamp) -> usize {
        let keys = self.keys.iter().take(SWEEP);
        let old = keys.take_while(|(at, _)| now.since(*at) >= REMEMBERED);
        let mut count = 0;
        for (at, key) in old {
            count += 1;
            // A key used again after a day has a newer record, which stays.
            let known = record::get::<IdempotencyRecord>(store, key.as_bytes());
            if known.is_ok_and(|known| known.is_some_and(|known| known.at == *at)) {
                batch.delete(Space::Idempotency, key.as_bytes());
            }
        }
        count
    }

    /// Drops the first `count` keys, which are forgotten in the store.
    pub(super) fn forget(&mut self, count: usize) {
        self.keys.drain(..count.min(self.keys.len()));
    }
}

/// Returns what a change did, out of what the audit log says of it.
fn replay(audit: &AuditRecord, change: &Change) -> Plan {
    let mut plan = Plan::default();
    // A rotation has effects of its own choice: its domains are those that moved.
    if let [Op::Rotate { activate, .. }] = change.ops.as_slice() {
        let moved = |to: &str| {
            let done = audit.changes.iter().filter(|done| {
                let after = done.after.as_deref().unwrap_or_default();
                done.op == "transition" && after.contains(&format!("\"state\":\"{to}\""))
            });
            let names = done.filter_map(|done| Apex::parse(&done.subject).ok());
            names.collect::<Vec<_>>()
        };
        let activated = moved("active");
        let ready = u32::try_from(activated.len()).unwrap_or(u32::MAX);
        plan.rotation = Some(Rotation {
            draining: moved("draining"),
            short: activate.saturating_sub(ready),
            activated,
            ..Rotation::default()
        });
    }
    // So has a step back: the inverse of each of the steps that it takes back.
    let is_undo = matches!(change.ops.as_slice(), [Op::Undo { .. }]);
    let mut op = 0;
    for done in &audit.changes {
        // Effects come in the order of the steps; a step without one is passed over.
        let step = change.ops.iter().enumerate().skip(op);
        let mut step = step
            .filter(|(_, op)| is_undo || (op.kind() == done.op && op.subject() == done.subject));
        let Some((at, step)) = step.next() else {
            continue;
        };
        op = if is_undo { 0 } else { at + 1 };
        if matches!(step, Op::AddDomain(_)) {
            plan.created_domains += 1;
        }
        plan.effects.push(Effect {
            op: at,
            kind: step.kind(),
            subject: done.subject.clone(),
            what: "was done under this key before".to_owned(),
            because: Vec::new(),
        });
    }
    plan
}
