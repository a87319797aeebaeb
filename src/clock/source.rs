//! Who tells the time: the machine, or a test.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Returns the wall clock's moment.
    fn now(&self) -> Timestamp;

    /// Returns a reading that only ever grows, unaffected by a wall clock that is set.
    fn monotonic(&self) -> Duration;
}

/// The machine's clock: the only place that reads it.
#[derive(Debug)]
pub struct SystemClock {
    /// When this clock was made; monotonic readings count from here.
    start: Instant,
}

impl SystemClock {
    /// Creates a clock whose monotonic reading starts now.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
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
        self.start.elapsed()
    }
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
}
