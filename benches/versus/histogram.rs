//! How long answers took, counted in buckets of less than two per cent.

use std::time::Duration;

/// Buckets in each doubling of time: one is 1/64 of where it begins, that is at most 1.6 %.
pub(crate) const STEPS: u64 = 64;

/// Latencies from nanoseconds to hours, in constant room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum: u128,
}

impl Histogram {
    /// Counts one latency.
    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let bucket = bucket(nanos);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
        self.sum += u128::from(nanos);
    }

    /// Adds what another one has counted.
    pub(crate) fn add(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.sum += other.sum;
    }

    /// Returns how many were counted.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Returns the mean; nothing when nothing was counted.
    pub(crate) fn mean(&self) -> Duration {
        let nanos = self.sum / u128::from(self.total.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Returns the latency that `share` of all did not exceed, rounded down to its bucket.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(begin(bucket));
            }
        }
        Duration::ZERO
    }
}

/// Returns the bucket of a number of nanoseconds.
pub(crate) fn bucket(nanos: u64) -> usize {
    let doublings = (nanos / STEPS).checked_ilog2().map_or(0, |log| log + 1);
    let within = if doublings == 0 {
        nanos
    } else {
        (nanos >> (doublings - 1)) - STEPS
    };
    (u64::from(doublings) * STEPS + within) as usize
}

/// Returns where a bucket begins.
pub(crate) fn begin(bucket: usize) -> u64 {
    let (doublings, within) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    match doublings.checked_sub(1) {
        None => within,
        Some(shift) => (STEPS + within) << shift,
    }
}
