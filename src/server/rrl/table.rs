//! When each stream of answers may go on: in memory of a fixed size.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many sets of streams there are: 64 octets each, half a megabyte in all.
///
/// Enough, as a stream need not be known any more once it may have everything again: of a flood
/// from a million prefixes a second at 200 answers a second, five thousand are worth knowing at a
/// time.
const SETS: usize = 1 << 13;

/// How many streams are in a set: those of one cache line.
const WAYS: usize = 8;

/// The bits of a time, in quarters of a microsecond: they go round in three days, and a stream is
/// only ever as far ahead as a second or two.
const TIME_BITS: u32 = 40;
/// The bits that are a time.
const TIME: u64 = (1 << TIME_BITS) - 1;
/// Units of time in a second.
const SECOND: u64 = 4_000_000;

/// How often a stream is looked up when another worker changes it at the same time.
const TRIES: usize = 4;

/// When each stream of answers may have its next answer.
///
/// A stream is one number: a part of its key, and the moment up to which its answers are used up,
/// which each answer moves on by a rate's share of a second (the virtual scheduling of ITU-T I.371,
/// a leaky bucket). One without an entry has used up nothing. In a full set the stream that has
/// used up least makes room: a flood of new streams forgets each other, never one that is over its
/// rate.
#[derive(Debug)]
pub(super) struct Table {
    /// The sets.
    sets: Box<[Set]>,
    /// How far one answer moves a stream on.
    step: u64,
    /// How far ahead a stream may be and get an answer: a second's worth of answers at once.
    burst: u64,
    /// Further ahead is no stream, but for workers that have looked at the clock at other moments.
    most: u64,
}

/// The streams that share a cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Set([AtomicU64; WAYS]);

impl Table {
    /// Makes a table for so many answers a second to each stream.
    pub(super) fn new(rate: u32) -> Self {
        // Rounded up: never more answers than said.
        let rate = u64::from(rate.max(1));
        let step = SECOND.div_ceil(rate);
        Self {
            sets: (0..SETS).map(|_| Set::default()).collect(),
            step,
            burst: step * (rate - 1),
            most: step * rate + SECOND,
        }
    }

    /// Takes an answer of the stream `key` at `now`; false if it has had as many as it may.
    pub(super) fn take(&self, key: u64, now: Duration) -> bool {
        // Zero would be an entry that is free.
        let now = now.as_secs() * SECOND + u64::from(now.subsec_nanos()) / 250 + 1;
        let Set(set) = &self.sets[key as usize % SETS];
        let tag = key >> TIME_BITS;
        for _ in 0..TRIES {
            let (slot, found) = self.find(set, tag, now);
            let ahead = if is_of(found, tag) {
                self.distance(found, now)
            } else {
                0
            };
            if ahead > self.burst {
                return false;
            }
            let next = tag << TIME_BITS | (now + ahead + self.step) & TIME;
            let swapped = slot.compare_exchange(found, next, Ordering::Relaxed, Ordering::Relaxed);
            if swapped.is_ok() {
                return true;
            }
        }
        // Only answers that others were given can come in between so often.
        true
    }

    /// Returns the entry of a stream and what it has, or the one that makes room.
    fn find<'t>(&self, set: &'t [AtomicU64; WAYS], tag: u64, now: u64) -> (&'t AtomicU64, u64) {
        let mut room = (&set[0], 0, u64::MAX);
        for slot in set {
            let entry = slot.load(Ordering::Relaxed);
            if is_of(entry, tag) {
                return (slot, entry);
            }
            let ahead = self.distance(entry, now);
            if ahead < room.2 {
                room = (slot, entry, ahead);
            }
        }
        (room.0, room.1)
    }

    /// Returns how far an entry's time lies ahead of `now`; 0 if it is past.
    ///
    /// What seems further ahead than any stream is from before the bits went round.
    fn distance(&self, entry: u64, now: u64) -> u64 {
        let ahead = entry.wrapping_sub(now) & TIME;
        if ahead <= self.most { ahead } else { 0 }
    }
}

/// Returns whether an entry is of the stream with this part of its key.
fn is_of(entry: u64, tag: u64) -> bool {
    entry >> TIME_BITS == tag && entry != 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Some moment that is not the first.
    const START: Duration = Duration::from_secs(1_000_000);

    /// Returns a key that lies in a set, told apart by `tag`.
    fn key(set: u64, tag: u64) -> u64 {
        tag << TIME_BITS | set
    }

    #[test]
    fn a_second_of_answers_may_come_at_once_and_then_the_rate() {
        for rate in [1, 2, 3, 200, 7_777, 100_000] {
            let table = Table::new(rate);
            let taken = |at: Duration| {
                let asked = 0..rate + 50;
                asked.filter(|_| table.take(7, START + at)).count()
            };

            assert_eq!(taken(Duration::ZERO), rate as usize, "{rate} at once");
            assert_eq!(taken(Duration::ZERO), 0);
            // A second later there is as much again, but for rounding.
            let later = taken(Duration::from_secs(1));
            let rate = rate as usize;
            assert!((rate - 1 - rate / 40..=rate).contains(&later), "{later}");
        }
    }

    #[test]
    fn a_stream_that_rests_has_everything_again() {
        let table = Table::new(10);
        for wait in [
            2,
            3_600,
            86_400,
            2 * 86_400,
            3 * 86_400 + 16_000,
            30 * 86_400,
        ] {
            let at = START + Duration::from_secs(wait);
            let taken = (0..50).filter(|_| table.take(9, at)).count();

            assert_eq!(taken, 10, "after {wait} s");
        }
    }

    #[test]
    fn a_worker_that_looked_at_the_clock_before_forgets_nothing() {
        for rate in [1, 200, 100_000] {
            let table = Table::new(rate);
            while table.take(9, START) {}

            for before in [1, 1_000, 1_000_000, 900_000_000] {
                let before = Duration::from_nanos(before);
                assert!(!table.take(9, START - before), "{before:?} before");
            }
        }
    }

    #[test]
    fn a_flood_of_new_streams_never_forgets_one_that_is_over_its_rate() {
        let table = Table::new(200);
        let heavy = key(5, 1);
        while table.take(heavy, START) {}

        // All fall into the same set.
        for other in 2..100_000 {
            assert!(table.take(key(5, other), START), "a new stream is answered");
        }

        assert!(!table.take(heavy, START));
    }

    #[test]
    fn streams_in_other_sets_are_left_alone() {
        let table = Table::new(5);
        while table.take(key(5, 1), START) {}

        let taken = (0..10).filter(|_| table.take(key(6, 1), START)).count();

        assert_eq!(taken, 5);
        assert_eq!((0..10).filter(|_| table.take(key(5, 2), START)).count(), 5);
    }

    #[test]
    fn workers_together_give_what_one_would() {
        let table = Table::new(1_000);
        let taken = std::sync::atomic::AtomicUsize::new(0);

        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let count = (0..2_000).filter(|_| table.take(3, START)).count();
                    taken.fetch_add(count, Ordering::Relaxed);
                });
            }
        });

        // One that others overtake four times passes; that does not happen often.
        let taken = taken.into_inner();
        assert!((1_000..1_100).contains(&taken), "{taken}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn never_more_than_the_rate_and_a_second_of_it(
            rate in 1_u32..2_000,
            gaps in prop::collection::vec(0_u64..5_000, 1..1_500),
        ) {
            let table = Table::new(rate);
            let (mut at, mut times) = (START, Vec::new());
            for gap in gaps {
                at += Duration::from_micros(gap);
                if table.take(11, at) {
                    times.push(at);
                }
            }

            // From any answer on, up to any other.
            for (index, begin) in times.iter().enumerate().step_by(7) {
                for (count, end) in (1..).zip(&times[index..]) {
                    let most = f64::from(rate) * (1.0 + (*end - *begin).as_secs_f64());
                    prop_assert!(f64::from(count) <= most + 1.0, "{count} from {begin:?} to {end:?}");
                }
            }
        }

        #[test]
        fn who_keeps_to_the_rate_is_never_limited(
            rate in 1_u32..2_000,
            others in prop::collection::vec(1_u64..1 << 23, 0..64),
        ) {
            let table = Table::new(rate);
            // But for rounding, which is at most a quarter of a microsecond.
            let gap = Duration::from_secs(1) / rate + Duration::from_nanos(250);
            for index in 0..200 {
                let at = START + gap * index;
                // All in the same set, some of them far beyond the rate.
                for other in others.iter().chain(others.iter().take(3)) {
                    table.take(key(9, *other), at);
                }
                prop_assert!(table.take(key(9, 1 << 23), at));
            }
        }
    }
}
