//! How often the servers of a registry may be asked (K29).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use crate::clock::Clock;
use crate::wire::Name;

/// The registries that are remembered before those that are idle are forgotten.
const REMEMBERED: usize = 1_024;

/// Gives out turns to ask: for each registry evenly spaced, so that there is never a burst.
///
/// What waits for a turn is bounded by those who ask: each waits for its own turn before it asks
/// for the next.
pub(super) struct Budget {
    /// Tells how time goes by.
    clock: Arc<dyn Clock>,
    /// The time between two turns.
    spacing: Duration,
    /// When each registry may be asked next, as the clock's monotonic reading.
    next: Mutex<HashMap<Name, Duration>>,
}

impl Budget {
    /// Allows so many turns a second.
    pub(super) fn new(clock: Arc<dyn Clock>, rate: u32) -> Self {
        Self {
            clock,
            spacing: Duration::from_secs(1) / rate.max(1),
            next: Mutex::default(),
        }
    }

    /// Waits for the next turn to ask a server of a parent zone.
    pub(super) async fn turn(&self, parent: &Name) {
        let wait = self.reserve(parent);
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }

    /// Takes the next turn and returns how long it is until then.
    fn reserve(&self, parent: &Name) -> Duration {
        let now = self.clock.monotonic();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.len() >= REMEMBERED && !next.contains_key(parent) {
            next.retain(|_, turn| *turn > now);
        }
        let turn = next.entry(parent.clone()).or_insert(now);
        let mine = (*turn).max(now);
        *turn = mine + self.spacing;
        mine - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn budget(rate: u32) -> (Arc<ManualClock>, Budget) {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
        (clock.clone(), Budget::new(clock, rate))
    }

    /// K29: at most 20 queries a second to a registry, and never a burst.
    #[test]
    fn k29_turns_are_a_twentieth_of_a_second_apart() {
        let (_, budget) = budget(20);

        let waits: Vec<Duration> = (0..41).map(|_| budget.reserve(&name("com"))).collect();

        for (index, wait) in waits.iter().enumerate() {
            assert_eq!(*wait, Duration::from_millis(50) * index as u32);
        }
    }

    #[test]
    fn k29_an_idle_hour_saves_up_no_burst() {
        let (clock, budget) = budget(20);
        budget.reserve(&name("com"));
        clock.advance(Duration::from_secs(3_600));

        assert_eq!(budget.reserve(&name("com")), Duration::ZERO);
        assert_eq!(budget.reserve(&name("com")), Duration::from_millis(50));
    }

    #[test]
    fn k29_registries_do_not_wait_for_each_other() {
        let (_, budget) = budget(20);
        for _ in 0..100 {
            budget.reserve(&name("com"));
        }

        assert_eq!(budget.reserve(&name("net")), Duration::ZERO);
    }

    #[test]
    fn idle_registries_are_forgotten() {
        let (clock, budget) = budget(20);
        for index in 0..3 * REMEMBERED {
            budget.reserve(&name(&format!("tld{index}")));
            clock.advance(Duration::from_secs(1));
        }

        assert!(budget.next.lock().unwrap().len() <= REMEMBERED);
    }
}
