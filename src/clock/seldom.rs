//! Telling seldom what may come often.

use std::time::{Duration, Instant};

/// Decides which of many events of a kind are told: one, and the next one after a pause, with the
/// number of those between.
///
/// For what comes as often as a stranger likes, or as something fails that is tried again and again;
/// the log must not drown in it, be it the same each time, now and then something else, or gone and
/// back again.
#[derive(Debug)]
pub struct Seldom {
    /// How long nothing is told after one was.
    pause: Duration,
    /// When one was told.
    last: Option<Instant>,
    /// How many were not told since then.
    untold: u64,
}

impl Seldom {
    /// Begins with nothing told; after each one nothing is for `pause`.
    pub const fn new(pause: Duration) -> Self {
        Self {
            pause,
            last: None,
            untold: 0,
        }
    }

    /// Begins with nothing told; each is told once a minute, as what is tried again and again is.
    pub const fn once_a_minute() -> Self {
        Self::new(Duration::from_secs(60))
    }

    /// Takes an event in; returns how many before it were not told, or nothing if neither is it.
    pub fn admit(&mut self, now: Instant) -> Option<u64> {
        let told = |last| now.saturating_duration_since(last) < self.pause;
        if self.last.is_some_and(told) {
            self.untold += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_once_a_pause_with_its_number() {
        let pause = Duration::from_secs(1);
        let mut seldom = Seldom::new(pause);
        let start = Instant::now();

        assert_eq!(seldom.admit(start), Some(0));
        for milliseconds in 0..999 {
            let now = start + Duration::from_millis(milliseconds);
            assert_eq!(seldom.admit(now), None);
        }
        assert_eq!(seldom.admit(start + pause), Some(999));
        assert_eq!(seldom.admit(start + 2 * pause), Some(0));
    }
}
