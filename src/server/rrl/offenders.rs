//! Who was limited, for the log.

use std::sync::atomic::{AtomicU64, Ordering};

use super::network::ClientPrefix;

/// How many prefixes are counted at a time.
const PLACES: usize = 64;

/// The prefixes that one worker has limited most.
///
/// In memory of a fixed size: each has one place, and where two want the same, the one that comes
/// less often gives way (the counting of Misra and Gries). Written by one worker, which waits for
/// nobody, and emptied by who tells of it: what comes in between the two may be lost.
#[derive(Debug)]
pub(super) struct Offenders([Place; PLACES]);

/// A prefix and how often it was limited.
#[derive(Debug, Default)]
struct Place {
    /// The prefix's bits.
    prefix: AtomicU64,
    /// How often; 0: nobody has the place.
    count: AtomicU64,
}

impl Default for Offenders {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Place::default()))
    }
}

impl Offenders {
    /// Counts a prefix.
    pub(super) fn note(&self, prefix: ClientPrefix) {
        let bits = prefix.to_bits();
        // Neighbours are spread (Fibonacci hashing); who chooses prefixes can only make the log
        // tell of fewer.
        let spread = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58;
        let place = &self.0[spread as usize % PLACES];
        let count = place.count.load(Ordering::Relaxed);
        let count = if place.prefix.load(Ordering::Relaxed) == bits {
            count + 1
        } else if count == 0 {
            place.prefix.store(bits, Ordering::Relaxed);
            1
        } else {
            count - 1
        };
        place.count.store(count, Ordering::Relaxed);
    }

    /// Empties it, and returns what there was.
    pub(super) fn take(&self) -> Vec<(ClientPrefix, u64)> {
        let taken = self.0.iter().map(|place| {
            let count = place.count.swap(0, Ordering::Relaxed);
            let bits = place.prefix.load(Ordering::Relaxed);
            (ClientPrefix::from_bits(bits), count)
        });
        taken.filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_most_often_stays_whoever_else_comes() {
        let offenders = Offenders::default();
        let heavy = ClientPrefix::of("192.0.2.1".parse().unwrap());
        for number in 0..100_000_u32 {
            offenders.note(heavy);
            let other = std::net::Ipv4Addr::from_bits(number << 8);
            offenders.note(ClientPrefix::of(other.into()));
        }

        let taken = offenders.take();

        assert!(taken.len() <= PLACES);
        let found = taken.iter().find(|(prefix, _)| *prefix == heavy);
        assert!(found.is_some_and(|(_, count)| *count > 90_000), "{taken:?}");
        assert_eq!(offenders.take(), []);
    }
}
