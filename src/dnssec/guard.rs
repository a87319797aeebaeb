//! Keeps us from signing by a clock that is wrong.

use std::time::Duration;

use crate::clock::{Clock, Timestamp};

/// Refuses to sign while the clock cannot be trusted: DNSSEC made time absolute (RFC 6781,
/// section 4.4).
///
/// Whoever signs asks it first, and tells it the moment of each signing that is begun. The latest of
/// them is persisted with every signature, so that it is never behind one that is stored.
#[derive(Debug)]
pub struct ClockGuard {
    /// Both readings at the start of the run: from then on they must move together.
    start: (Timestamp, Duration),
    /// The latest moment of signing: the persisted one from before the run at first.
    last_signing: Option<Timestamp>,
}

/// A clock that cannot be trusted with signatures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClockError {
    /// It is behind what was signed already.
    #[error(
        "the clock says {now}, but signatures were made at {last_signing}: set the clock before \
         anything is signed"
    )]
    WentBack {
        /// What the clock says.
        now: Timestamp,
        /// When the last signatures were made.
        last_signing: Timestamp,
    },
    /// It was set while we ran.
    #[error(
        "the clock says {now}, but {expected} was expected from the time passed since the start: \
         check the clock, and start again if it is right"
    )]
    Jumped {
        /// What the clock says.
        now: Timestamp,
        /// What it would say if nobody had set it.
        expected: Timestamp,
    },
}

/// How far a clock may be off: what validators bear with the inception offset of an hour many
/// times over.
const TOLERANCE: Duration = Duration::from_secs(300);

impl ClockGuard {
    /// Starts to watch a clock; `last_signing` is the last persisted signing time.
    ///
    /// A gap to an earlier run is normal, unless it is backwards.
    pub fn new(clock: &dyn Clock, last_signing: Option<Timestamp>) -> Self {
        Self {
            start: clock.readings(),
            last_signing,
        }
    }

    /// Notes that signatures of this moment are made, before any of them is persisted.
    pub fn note_signing(&mut self, at: Timestamp) {
        self.last_signing = self.last_signing.max(Some(at));
    }

    /// Returns the moment to sign with.
    ///
    /// # Errors
    ///
    /// When the clock is more than five minutes behind the last signing, or more than five minutes
    /// away from where the time passed since the start puts it.
    pub fn now(&self, clock: &dyn Clock) -> Result<Timestamp, ClockError> {
        Ok(self.readings(clock)?.0)
    }

    /// Returns the moment to sign with, and the monotonic reading at that moment.
    ///
    /// # Errors
    ///
    /// As [`ClockGuard::now`].
    pub fn readings(&self, clock: &dyn Clock) -> Result<(Timestamp, Duration), ClockError> {
        let (now, reading) = clock.readings();
        if let Some(last_signing) = self.last_signing
            && last_signing.since(now) > TOLERANCE
        {
            return Err(ClockError::WentBack { now, last_signing });
        }
        let (wall, monotonic) = self.start;
        let expected = wall.saturating_add(reading.saturating_sub(monotonic));
        if now.since(expected).max(expected.since(now)) > TOLERANCE {
            return Err(ClockError::Jumped { now, expected });
        }
        Ok((now, reading))
    }

    /// Returns what is most likely the moment: what the clock says while it can be trusted, else where
    /// the time passed since the start puts it, or the last signing.
    pub fn likely(&self, clock: &dyn Clock) -> Timestamp {
        match self.now(clock) {
            Ok(now) => now,
            Err(ClockError::Jumped { expected, .. }) => expected,
            Err(ClockError::WentBack { last_signing, .. }) => last_signing,
        }
    }

    /// Returns the latest moment of signing, which is to be persisted with what was signed.
    pub fn last_signing(&self) -> Option<Timestamp> {
        self.last_signing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    /// Returns the moment so many seconds after `NOW`.
    fn later(seconds: i64) -> Timestamp {
        Timestamp::from_secs(NOW.as_secs().saturating_add_signed(seconds))
    }

    #[test]
    fn a_clock_that_only_runs_is_trusted() {
        let clock = ManualClock::new(NOW);
        let guard = ClockGuard::new(&clock, Some(later(-86_400)));

        clock.advance(Duration::from_secs(90 * 86_400));

        assert_eq!(guard.now(&clock), Ok(later(90 * 86_400)));
    }

    #[test]
    fn a_clock_behind_the_last_signing_is_refused_beyond_five_minutes() {
        let clock = ManualClock::new(NOW);
        let mut guard = ClockGuard::new(&clock, Some(later(300)));
        assert_eq!(guard.now(&clock), Ok(NOW));

        guard.note_signing(later(301));

        let last_signing = later(301);
        let expected = ClockError::WentBack {
            now: NOW,
            last_signing,
        };
        assert_eq!(guard.now(&clock), Err(expected));
        guard.note_signing(later(-7));
        assert_eq!(guard.last_signing(), Some(last_signing));
    }

    #[test]
    fn a_clock_that_is_set_in_a_run_is_refused_both_ways_beyond_five_minutes() {
        let clock = ManualClock::new(NOW);
        let guard = ClockGuard::new(&clock, None);
        for (seconds, trusted) in [(300, true), (301, false), (-300, true), (-301, false)] {
            clock.set_wall(later(seconds));

            let expected = ClockError::Jumped {
                now: later(seconds),
                expected: NOW,
            };
            let answer = if trusted {
                Ok(later(seconds))
            } else {
                Err(expected)
            };
            assert_eq!(guard.now(&clock), answer);
            let likely = if trusted { later(seconds) } else { NOW };
            assert_eq!(guard.likely(&clock), likely);
        }
    }

    /// A clock by which ten minutes pass whenever it is looked at.
    struct Hurried(ManualClock);

    impl Clock for Hurried {
        fn now(&self) -> Timestamp {
            self.readings().0
        }

        fn monotonic(&self) -> Duration {
            self.readings().1
        }

        fn readings(&self) -> (Timestamp, Duration) {
            let readings = self.0.readings();
            self.0.advance(Duration::from_secs(600));
            readings
        }
    }

    /// Two readings one after the other seemed a jump when time passed between them.
    #[test]
    fn time_that_passes_while_the_clock_is_read_is_no_jump() {
        let clock = Hurried(ManualClock::new(NOW));
        let guard = ClockGuard::new(&clock, None);

        let readings = guard.readings(&clock);

        assert_eq!(readings, Ok((later(600), Duration::from_secs(600))));
        assert_eq!(guard.now(&clock), Ok(later(1200)));
    }

    #[test]
    fn small_steps_add_up() {
        let clock = ManualClock::new(NOW);
        let guard = ClockGuard::new(&clock, None);
        clock.set_wall(later(200));
        assert!(guard.now(&clock).is_ok());

        clock.set_wall(later(400));

        assert!(guard.now(&clock).is_err());
    }
}
