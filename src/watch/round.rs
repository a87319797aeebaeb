//! Which domains are looked at in a round, and when.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::lifecycle::{Question, Urgency};
use crate::wire::Apex;

/// How often a domain is looked at where nothing waits (K29).
const STANDING: u64 = 86_400;
/// The longest time between two pages, so that a small pool is looked at soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The shortest time between two pages, so that a large one is no burst.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// One round over all domains.
///
/// Rounds part time without a gap, so each domain's moment of the day falls into exactly one of
/// them, though nobody remembers when it was looked at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Round {
    /// When the round before began.
    before: Timestamp,
    /// When this one began.
    began: Timestamp,
    /// The time between two pages.
    pub(super) pause: Duration,
}

impl Round {
    /// Begins the first round: only what is waited for is looked at.
    pub(super) fn first(now: Timestamp) -> Self {
        Self {
            before: now,
            began: now,
            pause: LONGEST_PAUSE / 10,
        }
    }

    /// Begins the next round, which is to take about `interval`, as the last one had so many pages.
    #[must_use]
    pub(super) fn next(self, now: Timestamp, interval: Duration, pages: usize) -> Self {
        let pages = u32::try_from(pages.max(1)).unwrap_or(u32::MAX);
        // Half of the interval: a round has to be over before the next one, and asking takes time.
        let pause = interval / 2 / pages;
        Self {
            // A clock that was set back begins anew.
            before: self.began.min(now),
            began: now,
            pause: pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE),
        }
    }

    /// Returns whether a question is asked in this round.
    pub(super) fn asks(&self, question: &Question) -> bool {
        match question.urgency {
            Urgency::Waiting => true,
            Urgency::Standing => self.has_moment_of(&question.name),
        }
    }

    /// Returns whether a domain's moment of the day lies in this round.
    fn has_moment_of(&self, apex: &Apex) -> bool {
        let moment = hash(apex) % STANDING;
        let (from, to) = (self.before.as_secs(), self.began.as_secs());
        // The last such moment up to the round's beginning.
        let last = to.saturating_sub((to + STANDING - moment) % STANDING);
        last > from && last <= to
    }
}

/// Returns a number for a domain that is the same in every process (FNV-1a).
pub(super) fn hash(apex: &Apex) -> u64 {
    apex.as_wire()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
            (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::lifecycle::About;

    fn question(name: &str, urgency: Urgency) -> Question {
        Question {
            name: Apex::parse(name).unwrap(),
            urgency,
            about: About::Queries {
                name_servers: Vec::new(),
            },
        }
    }

    /// K29: one look a domain and day, spread over the day.
    #[test]
    fn k29_each_domain_has_one_moment_of_the_day() {
        let clock = ManualClock::new(Timestamp::from_secs(1_795_537_800));
        let names: Vec<Question> = (0..500)
            .map(|index| question(&format!("burner-{index}.example"), Urgency::Standing))
            .collect();
        let mut round = Round::first(clock.now());
        let mut asked = vec![0; names.len()];
        let mut busiest = 0;

        for index in 0..3 * 288 {
            // Rounds are not all of one length.
            clock.advance(Duration::from_secs(if index % 2 == 0 { 290 } else { 310 }));
            round = round.next(clock.now(), Duration::from_secs(300), 4);
            let mut now = 0;
            for (asked, _) in asked
                .iter_mut()
                .zip(&names)
                .filter(|(_, it)| round.asks(it))
            {
                *asked += 1;
                now += 1;
            }
            busiest = busiest.max(now);
        }

        assert!(asked.iter().all(|times| *times == 3), "{asked:?}");
        // 500 domains over 288 rounds: 1.7 on average.
        assert!(busiest < 12, "{busiest}");
    }

    #[test]
    fn what_is_waited_for_is_asked_in_every_round() {
        let round = Round::first(Timestamp::from_secs(5));

        assert!(round.asks(&question("a.example", Urgency::Waiting)));
        assert!(!round.asks(&question("a.example", Urgency::Standing)));
    }

    #[test]
    fn a_clock_that_jumps_makes_no_burst() {
        let start = Timestamp::from_secs(1_795_537_800);
        let names: Vec<Question> = (0..100)
            .map(|index| question(&format!("burner-{index}.example"), Urgency::Standing))
            .collect();
        let asked = |round: &Round| names.iter().filter(|it| round.asks(it)).count();
        let interval = Duration::from_secs(300);
        let round = Round::first(start);

        let back = round.next(
            start.saturating_sub(Duration::from_secs(9_000)),
            interval,
            1,
        );
        let ahead = round.next(
            start.saturating_add(Duration::from_secs(864_000)),
            interval,
            1,
        );

        assert_eq!(asked(&back), 0);
        // Ten days at once are one look at each, not ten.
        assert_eq!(asked(&ahead), 100);
    }

    #[test]
    fn pages_are_spread_over_the_interval() {
        let start = Timestamp::from_secs(1_795_537_800);
        let interval = Duration::from_secs(300);
        let pause = |pages| Round::first(start).next(start, interval, pages).pause;

        assert_eq!(pause(1), LONGEST_PAUSE);
        assert_eq!(pause(782), interval / 2 / 782);
        assert_eq!(pause(1_000_000), SHORTEST_PAUSE);
    }
}
