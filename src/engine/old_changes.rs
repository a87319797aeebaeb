//! Scheduled changes are forgotten some time after they have ended.

use std::ops::{Bound, ControlFlow};
use std::time::Duration;

use super::writer::Writer;
use crate::clock::Timestamp;
use crate::store::record::{self, AuditRecord, ChangeRecord, Fate, growing_key};
use crate::store::{Batch, Direction, Space, Store};

/// How long what became of a scheduled change is known, and how, as for events. The audit log knows for
/// good what it did; with its steps, each may be megabytes.
const KEPT: Duration = Duration::from_secs(90 * 86_400);

/// How many changes are looked at once a minute: 90 000 a day.
const AT_ONCE: usize = 64;

/// How often.
const EVERY: Duration = Duration::from_secs(60);

/// Where the look at changes stands.
#[derive(Debug, Default)]
pub(super) struct OldChanges {
    /// Behind which change it goes on; `None`: at the first one.
    behind: Option<Vec<u8>>,
    /// When it was looked last; a monotonic reading.
    looked: Option<Duration>,
}

impl Writer {
    /// Forgets scheduled changes that ended long ago, some at a time.
    pub(super) fn forget_old_changes(&mut self) {
        let reading = self.shared.clock.monotonic();
        let looked = self.acts.old_changes.looked;
        if looked.is_some_and(|at| reading.saturating_sub(at) < EVERY) {
            return;
        }
        self.acts.old_changes.looked = Some(reading);
        // By a clock that is a year ahead, every change would be too old.
        let Ok(now) = self.guard.now(&*self.shared.clock) else {
            return;
        };
        let store = &*self.shared.store;
        let behind = self.acts.old_changes.behind.take();
        let found = some_changes(store, behind.as_deref());
        if found.len() == AT_ONCE {
            self.acts.old_changes.behind = found.last().map(|(key, _)| key.clone());
        }
        let mut batch = Batch::new();
        let before = now.saturating_sub(KEPT);
        for (key, change) in &found {
            if has_ended(store, change, before) {
                batch.delete(Space::Change, key);
            }
        }
        if batch.is_empty() || self.commits_fail {
            return;
        }
        if let Err(error) = store.commit(&batch) {
            tracing::warn!(%error, "old scheduled changes are not forgotten yet");
        }
    }
}

/// Returns some changes that are noted behind one; those that cannot be read are passed over.
fn some_changes(store: &dyn Store, behind: Option<&[u8]>) -> Vec<(Vec<u8>, ChangeRecord)> {
    let mut found = Vec::new();
    let from = behind.map_or(Bound::Unbounded, Bound::Excluded);
    let scanned = store.scan(
        Space::Change,
        from,
        Direction::Ascending,
        &mut |key, value| {
            let change = record::decode::<ChangeRecord>(value);
            found.push((key.to_vec(), change.unwrap_or_default()));
            if found.len() < AT_ONCE {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        },
    );
    if let Err(error) = scanned {
        tracing::error!(%error, "old scheduled changes cannot be looked for");
    }
    found
}

/// Returns whether a scheduled change had ended before a moment.
fn has_ended(store: &dyn Store, change: &ChangeRecord, before: Timestamp) -> bool {
    let Some(scheduled) = &change.scheduled else {
        // That a plain one was undone is a few octets, and not told by anything else.
        return false;
    };
    let ended = match &scheduled.fate {
        Fate::Waits => return false,
        Fate::Failed { at, .. } => Some(*at),
        Fate::Applied { revision } | Fate::Undone { revision } => {
            let revision = change.undone.unwrap_or(*revision).max(*revision);
            let audit = record::get::<AuditRecord>(store, &growing_key(revision));
            audit.ok().flatten().map(|audit| audit.at)
        }
    };
    ended.is_some_and(|at| at < before) && scheduled.accepted < before
}
