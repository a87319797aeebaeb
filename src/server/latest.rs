//! What is read out of files while the server runs, by readings that may overlap.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Something that was read out of files.
///
/// A disk may take its time, even for ever: no reading waits for another one, and one that ends after
/// a later one is too late to count.
#[derive(Debug)]
pub(super) struct Latest<T> {
    /// How many readings have begun.
    begun: AtomicU64,
    /// What counts; the lock keeps it and its turn together, and is never held while files are read.
    current: Mutex<Current<T>>,
}

/// What counts now.
#[derive(Debug)]
struct Current<T> {
    /// Whose it is.
    turn: Turn,
    /// What was read.
    value: T,
}

/// A reading's place in the order in which they began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn(u64);

impl<T> Latest<T> {
    /// Takes what the first reading has found.
    pub(super) fn new(value: T) -> Self {
        let turn = Turn(0);
        Self {
            begun: AtomicU64::new(0),
            current: Mutex::new(Current { turn, value }),
        }
    }

    /// Begins a reading.
    pub(super) fn begin(&self) -> Turn {
        Turn(self.begun.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Returns what `look` sees in what counts now, and the turn of that: a reading in the same turn
    /// counts as long as no other one has ended since.
    pub(super) fn look<R>(&self, look: impl FnOnce(&T) -> R) -> (Turn, R) {
        let current = self.lock();
        (current.turn, look(&current.value))
    }

    /// Ends a reading, whatever it has found: `decide` makes of it what counts from now on. If a
    /// later one has ended before, nothing is decided.
    pub(super) fn end<R>(&self, turn: Turn, decide: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut current = self.lock();
        if turn < current.turn {
            return None;
        }
        current.turn = turn;
        Some(decide(&mut current.value))
    }

    /// Returns what counts; a panic while that was held left it as whole as `decide` does.
    fn lock(&self) -> MutexGuard<'_, Current<T>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_counts_unless_a_later_one_has_ended() {
        let latest = Latest::new("first");
        let [slow, quick, next] = [(); 3].map(|()| latest.begin());
        let end = |turn, value| latest.end(turn, |current| *current = value).is_some();

        assert!(end(quick, "quick"));
        assert!(!end(slow, "slow"));
        assert_eq!(latest.look(|value| *value).1, "quick");
        assert!(end(next, "next"));
        assert_eq!(latest.look(|value| *value).1, "next");
    }

    #[test]
    fn who_reads_again_what_counts_is_too_late_once_that_is_something_else() {
        let latest = Latest::new(1);
        let (turn, _) = latest.look(|_| ());

        assert!(latest.end(turn, |value| *value += 1).is_some());
        let other = latest.begin();
        assert!(latest.end(turn, |value| *value += 1).is_some());
        assert!(latest.end(other, |_| ()).is_some());

        assert!(latest.end(turn, |value| *value += 1).is_none());
        assert_eq!(latest.look(|value| *value).1, 3);
    }
}
