//! Who tells the time: the machine, or a test.

use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use super::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Returns the wall clock's moment.
    fn now(&self) -> Timestamp;

    /// Returns a reading that only ever grows, unaffected by a wall clock that is set.
    fn monotonic(&self) -> Duration;

    /// Returns both of one moment: what is compared with one and noted by the other must not have
    /// time pass between them.
    fn readings(&self) -> (Timestamp, Duration) {
        (self.now(), self.monotonic())
    }
}

/// The machine's clock: the only place that reads it.
#[derive(Debug)]
pub struct SystemClock {
    /// The reading when this clock was made; monotonic readings count from there.
    start: Duration,
}

impl SystemClock {
    /// Creates a clock whose monotonic reading starts now.
    pub fn new() -> Self {
        Self {
            start: since_boot(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 is a broken machine; the epoch makes every signature look wrong,
        // which is what the operator must see.
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_secs(since.as_secs())
    }

    fn monotonic(&self) -> Duration {
        since_boot().saturating_sub(self.start)
    }
}

/// Returns the time since the machine was booted.
///
/// What it slept counts: the monotonic clock of the standard library stands still meanwhile, and the
/// wall clock would seem to have been set.
fn since_boot() -> Duration {
    let since = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(since.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(since.tv_nsec).unwrap_or(0))
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct ManualClock {
    /// The wall clock and the monotonic reading, kept in one lock so that they move together.
    reading: Mutex<(Timestamp, Duration)>,
}

impl ManualClock {
    /// Creates a clock that stands at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self {
            reading: Mutex::new((now, Duration::ZERO)),
        }
    }

    /// Moves both readings ahead by `span`.
    pub fn advance(&self, span: Duration) {
        let mut reading = self.lock();
        reading.0 = reading.0.saturating_add(span);
        reading.1 += span;
    }

    /// Sets the wall clock alone, as an operator or a broken time server would.
    pub fn set_wall(&self, now: Timestamp) {
        self.lock().0 = now;
    }

    /// Returns the readings; a panic while they were held left them whole.
    fn lock(&self) -> std::sync::MutexGuard<'_, (Timestamp, Duration)> {
        self.reading
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().0
    }

    fn monotonic(&self) -> Duration {
        self.lock().1
    }

    fn readings(&self) -> (Timestamp, Duration) {
        *self.lock()
    }
}
