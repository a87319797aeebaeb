//! How often a zone is asked for its MX.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the questions for MX at or below the apex of a zone, over every transport.
///
/// Who still sends to a domain that has a null MX asks for it first, so this is what tells whether the
/// name may be given up (X5). Zones that nobody counts have none and cost nothing; images that follow
/// each other share one, so that nothing is lost when a zone is signed again.
#[derive(Debug, Default)]
pub struct QueryCounter(AtomicU64);

impl QueryCounter {
    /// Returns how many questions there were.
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one more.
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
