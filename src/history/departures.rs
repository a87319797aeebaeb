//! When every public server had left behind what it served before.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{Span, Timestamp};

/// After how long a new pace is kept beside the one before, so that one slow change does not count
/// for ever. Waits stay right whatever it is: it is no bound of any.
const PACE_KEPT: Duration = Duration::from_secs(45 * 86_400);

/// How slow a change is at most that says how slow others are: nobody looked for so long, or servers
/// were out.
const SLOWEST: Duration = Duration::from_secs(3 * 86_400);

/// When every public server of a zone had left behind what went off, as far as that was seen.
///
/// A zone changes again and again, and what went off at a change has left the servers once all of
/// them serve what came then, or anything later. Kept is not the moment of each change but how slow
/// they were at most: the same few octets after a year of daily changes, and waits that are longer
/// by a slow change now and then, never shorter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departures {
    /// When the earliest change was made that was not seen on every server.
    pending: Option<Timestamp>,
    /// How slow changes were of late.
    recent: Option<Pace>,
    /// How slow they were before that.
    before: Option<Pace>,
}

/// How slow changes were at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pace {
    /// The earliest change that counts.
    from: Timestamp,
    /// When the last one was seen on every server.
    to: Timestamp,
    /// How long a change took at most.
    lag: Span,
}

impl Departures {
    /// Notes that what is served changed.
    pub fn changed(&mut self, at: Timestamp) {
        self.pending.get_or_insert(at);
    }

    /// Notes that every public server was seen to serve the newest content.
    pub fn arrived(&mut self, at: Timestamp) {
        let (first, lag) = match (self.pending.take(), self.recent) {
            (Some(first), _) if at.since(first) <= SLOWEST => (first, at.since(first)),
            (None, Some(_)) => return,
            // Whatever was served before had gone by now: how fast, nobody knows.
            (Some(_), _) | (None, None) => {
                (self.recent, self.before) = (None, None);
                (at, Duration::ZERO)
            }
        };
        let lag = u32::try_from(lag.as_secs()).unwrap_or(u32::MAX);
        let pace = Pace {
            from: first,
            to: at.max(first),
            lag: Span::from_secs(lag),
        };
        self.recent = Some(match self.recent {
            Some(recent) if first.since(recent.from) < PACE_KEPT => Pace {
                from: recent.from.min(first),
                to: recent.to.max(pace.to),
                lag: recent.lag.max(pace.lag),
            },
            recent => {
                self.before = recent;
                pace
            }
        });
    }

    /// Returns whether anything was noted.
    pub const fn is_known(&self) -> bool {
        self.pending.is_some() || self.recent.is_some()
    }

    /// Returns by when every public server had left behind what went off at a moment; `None` while
    /// that was not seen.
    pub fn left(&self, off: Timestamp) -> Option<Timestamp> {
        if self.pending.is_some_and(|first| off >= first) {
            return None;
        }
        let recent = self.recent?;
        let pace = match self.before {
            Some(before) if off < recent.from => before,
            _ => recent,
        };
        // After the last change nothing that a server serves went off.
        if off > pace.to {
            return Some(off);
        }
        let left = off.max(pace.from).saturating_add(pace.lag.as_duration());
        Some(left.min(pace.to))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[test]
    fn what_is_not_seen_everywhere_has_not_left() {
        let mut departures = Departures::default();
        assert_eq!(departures.left(at(5)), None);
        departures.arrived(at(10));
        departures.changed(at(20));
        departures.changed(at(30));

        assert_eq!(departures.left(at(20)), None);
        assert_eq!(departures.left(at(30)), None);
        // What had left before stays gone.
        assert!(departures.left(at(9)).is_some_and(|left| left <= at(12)));
    }

    #[test]
    fn a_later_change_does_not_begin_an_earlier_wait_anew() {
        let mut departures = Departures::default();
        let day = 86_400;
        for change in 1..400 {
            departures.changed(at(change * day));
            departures.arrived(at(change * day + 300));
        }
        assert_eq!(departures.left(at(390 * day)), Some(at(390 * day + 300)));
        // Of what is long gone it is enough to know that.
        assert!(departures.left(at(9 * day)).unwrap() < at(380 * day));
    }

    #[test]
    fn a_slow_change_is_forgotten_in_the_end() {
        let mut departures = Departures::default();
        let day = 86_400;
        departures.changed(at(day));
        departures.arrived(at(3 * day));
        for change in (20..300).step_by(10) {
            departures.changed(at(change * day));
            departures.arrived(at(change * day + 60));
        }
        assert_eq!(departures.left(at(280 * day)), Some(at(280 * day + 60)));
    }

    proptest! {
        /// Whatever is changed and seen when, nothing counts as gone before it was.
        #[test]
        fn nothing_leaves_before_it_was_seen_to(
            steps in proptest::collection::vec((1_u64..4_000_000, any::<bool>()), 1..40),
        ) {
            let mut departures = Departures::default();
            // The changes, and when each was seen on every server, or something later was.
            let mut changes: Vec<(u64, Option<u64>)> = Vec::new();
            let mut now = 1_000_000;
            for (passed, is_change) in steps {
                now += passed;
                if is_change {
                    departures.changed(at(now));
                    changes.push((now, None));
                } else {
                    departures.arrived(at(now));
                    for (_, seen) in &mut changes {
                        seen.get_or_insert(now);
                    }
                }
                for (off, seen) in &changes {
                    match (departures.left(at(*off)), seen) {
                        (Some(left), Some(seen)) => prop_assert!(left >= at(*seen)),
                        (Some(left), None) => prop_assert!(false, "{off} left at {left}"),
                        (None, seen) => prop_assert!(seen.is_none()),
                    }
                }
            }
        }
    }
}
