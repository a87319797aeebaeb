//! The order of commits, and following them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Batch, Space};

/// The number of a commit: each one's is larger than that of the one before.
///
/// It is the store's own and says nothing of what the operator calls a revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(u64);

impl Sequence {
    /// Takes the number of a commit.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Returns the sequence of the next commit.
    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What changed with one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitNotice {
    /// The commit.
    pub sequence: Sequence,
    /// The keys that were put or deleted, in the order of the batch.
    pub keys: Arc<[ChangedKey]>,
}

/// A key that was put or deleted; what it holds now is for the reader to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedKey {
    /// The key's space.
    pub space: Space,
    /// The key.
    pub key: Box<[u8]>,
}

/// Why a watch cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// What changed since then is no longer known.
    #[error("changes are known from commit {oldest} on, wanted those after {wanted}")]
    Compacted {
        /// The commit after which changes were wanted.
        wanted: Sequence,
        /// The first commit whose changes are known.
        oldest: Sequence,
    },
    /// There was no such commit yet.
    #[error("the last commit is {last}, wanted the changes after {wanted}")]
    InTheFuture {
        /// The commit after which changes were wanted.
        wanted: Sequence,
        /// The last commit.
        last: Sequence,
    },
}

/// The keys of the latest commits, for those who watch.
///
/// Bounded by [`CommitLog::KEYS`]: what is older is forgotten, and whoever watches from there has
/// to read everything anew. It is kept in memory only, so a watch never reaches back behind the
/// start of the process; the one who writes has everything at hand and does not watch.
#[derive(Clone, Debug)]
pub struct CommitLog(Arc<Shared>);

/// What a log and its watches share.
#[derive(Debug)]
struct Shared {
    /// What is known; the lock keeps notices and their count together.
    known: Mutex<Known>,
    /// Wakes the watches when a commit was made.
    grown: Condvar,
}

/// The commits that are known.
#[derive(Debug)]
struct Known {
    /// Their notices, oldest first, without gaps.
    notices: VecDeque<CommitNotice>,
    /// How many keys they name.
    keys: usize,
    /// How many they may name.
    limit: usize,
    /// The last commit that was made.
    last: Sequence,
}

impl CommitLog {
    /// How many changed keys are remembered: half a megabyte of names, more or less, and several
    /// seconds of single changes at the greatest speed.
    pub const KEYS: usize = 16_384;

    /// Returns a log that knows nothing yet but which commit was the last.
    pub fn new(last: Sequence) -> Self {
        Self::with_limit(last, Self::KEYS)
    }

    /// Returns a log that remembers `limit` keys.
    pub fn with_limit(last: Sequence, limit: usize) -> Self {
        let known = Known {
            notices: VecDeque::new(),
            keys: 0,
            limit,
            last,
        };
        Self(Arc::new(Shared {
            known: Mutex::new(known),
            grown: Condvar::new(),
        }))
    }

    /// Notes a commit, which follows the last one noted.
    pub fn note(&self, sequence: Sequence, batch: &Batch) {
        let mut known = self.0.lock();
        let count = batch.operations().len();
        known.last = sequence;
        if count > known.limit {
            // One that would push out everything, itself included, is not copied first.
            known.notices.clear();
            known.keys = 0;
        } else {
            let keys = batch.operations().iter().map(|operation| {
                let (space, key) = operation.target();
                ChangedKey {
                    space,
                    key: key.into(),
                }
            });
            let keys = keys.collect();
            known.notices.push_back(CommitNotice { sequence, keys });
            known.keys += count;
        }
        while known.keys > known.limit {
            let Some(oldest) = known.notices.pop_front() else {
                break;
            };
            known.keys -= oldest.keys.len();
        }
        drop(known);
        self.0.grown.notify_all();
    }

    /// Returns a watch of the commits after one.
    ///
    /// # Errors
    ///
    /// When what changed since is no longer known, or the commit is still to come.
    pub fn watch(&self, after: Sequence) -> Result<Watch, WatchError> {
        let known = self.0.lock();
        if after > known.last {
            return Err(WatchError::InTheFuture {
                wanted: after,
                last: known.last,
            });
        }
        known.check(after)?;
        drop(known);
        Ok(Watch {
            log: Arc::clone(&self.0),
            after,
        })
    }
}

impl Shared {
    /// Returns what is known.
    ///
    /// A thread that panicked while it held the lock left nothing half done: every step under it
    /// is a step of its own.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Refuses a commit after which something has been forgotten.
    fn check(&self, after: Sequence) -> Result<(), WatchError> {
        let oldest = match self.notices.front() {
            Some(notice) => notice.sequence,
            None => self.last.next(),
        };
        if after.next() < oldest {
            return Err(WatchError::Compacted {
                wanted: after,
                oldest,
            });
        }
        Ok(())
    }

    /// Returns the first notice after a commit.
    fn after(&self, after: Sequence) -> Option<CommitNotice> {
        let at = self
            .notices
            .partition_point(|notice| notice.sequence <= after);
        self.notices.get(at).cloned()
    }
}

/// The commits after one, in order, none left out.
#[derive(Debug)]
pub struct Watch {
    /// Where they are noted.
    log: Arc<Shared>,
    /// The last one that was seen.
    after: Sequence,
}

impl Watch {
    /// Returns the next commit, waiting at most `patience` for it; `None` if none was made.
    ///
    /// # Errors
    ///
    /// When the watch was so slow that something has been forgotten; nothing is ever skipped.
    pub fn next(&mut self, patience: Duration) -> Result<Option<CommitNotice>, WatchError> {
        let known = self.log.lock();
        let after = self.after;
        let (known, _) = self
            .log
            .grown
            .wait_timeout_while(known, patience, |known| known.last <= after)
            .unwrap_or_else(PoisonError::into_inner);
        known.check(after)?;
        let notice = known.after(after);
        drop(known);
        if let Some(notice) = &notice {
            self.after = notice.sequence;
        }
        Ok(notice)
    }
}
