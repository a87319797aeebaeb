//! Gives the core away between signatures, to whoever answers queries on it.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::nice;
use rustix::time::{ClockId, clock_gettime};

use super::workers::Urgency;

/// How much nicer than the threads that answer queries those are that prepare zones (nice(2): 19
/// is the most).
const PREPARING: i32 = 10;

/// The same of the writer, which small changes wait for under a flood, too.
const WRITING: i32 = 5;

/// After how many signatures the core is given away: after less than a tenth of a millisecond.
const SIGNATURES: u32 = 4;

/// Over how long a thread works before it looks which part of that time it had the core.
const WINDOW: Duration = Duration::from_millis(100);

/// In one of how many parts of the time it works a thread must have had the core to be courteous.
///
/// More than niceness alone leaves it where the others never rest. A nice thread weighs 110, one
/// that answers queries 1024: it has a tenth of the core, and an eleventh if there are two of it.
const PART: u32 = 8;

/// Whether a thread that prepares zones gives way between signatures.
///
/// Niceness says how much of a core threads get, not when. On some kernels (Linux 6.18) a query's
/// arrival does not interrupt a nice thread that is still owed a share, and waits for the next tick,
/// up to four milliseconds. So these threads end their turns themselves, all the time. Under a flood
/// that would be the end of them, as whoever answers it never rests: who hardly gets the core keeps
/// it while it lasts, and so does who prepares a few zones that somebody waits for. Where a disk was
/// what a thread waited for, it is less courteous for a moment.
pub(super) struct Courtesy {
    /// Whether it does.
    gives_way: bool,
    /// Whether somebody waits for the piece of work at hand: that is done at once.
    is_urgent: bool,
    /// Signatures until the core is given away.
    left: u32,
    /// Until when the thread is known to have worked.
    seen: Instant,
    /// How long it has worked since it looked.
    worked: Duration,
    /// The processor time that it had used then.
    used: Duration,
}

impl Courtesy {
    /// Makes the calling thread, which prepares zones, a nice one.
    pub(super) fn of_preparing() -> Self {
        be_nice(PREPARING);
        Self::new(Instant::now(), used())
    }

    /// Returns what a thread begins with that has used so much processor time.
    fn new(now: Instant, used: Duration) -> Self {
        Self {
            gives_way: true,
            is_urgent: false,
            left: SIGNATURES,
            seen: now,
            worked: Duration::ZERO,
            used,
        }
    }

    /// Begins a piece of work: that there was none before says nothing.
    pub(super) fn begin(&mut self, urgency: Urgency, now: Instant) {
        self.is_urgent = urgency == Urgency::Small;
        self.seen = now;
    }

    /// Gives way after some signatures; called after each.
    pub(super) fn signed(&mut self) {
        self.left -= 1;
        if self.left > 0 {
            return;
        }
        self.left = SIGNATURES;
        if self.gives_way && !self.is_urgent {
            thread::yield_now();
        }
        self.look(Instant::now(), used);
    }

    /// Looks, once in a while, whether the thread gets the core.
    fn look(&mut self, now: Instant, used: impl FnOnce() -> Duration) {
        self.worked += now - self.seen;
        self.seen = now;
        // Pieces of work are shorter than that: it goes on over many.
        if self.worked < WINDOW {
            return;
        }
        let used = used();
        self.gives_way = used.saturating_sub(self.used) >= self.worked / PART;
        self.worked = Duration::ZERO;
        self.used = used;
    }
}

/// Makes the calling thread, the writer, a nice one.
pub(super) fn of_writing() {
    be_nice(WRITING);
}

/// Lowers the calling thread's priority: queries come first.
fn be_nice(niceness: i32) {
    // On Linux, niceness belongs to the thread. Without it everything works, just less politely.
    if let Err(error) = nice(niceness) {
        tracing::debug!(%error, niceness, "a thread of the engine runs at normal priority");
    }
}

/// Returns the processor time that the calling thread has used.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // What has run is no negative time, and its nanoseconds are less than a second.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread, the clock it lives by, and the processor time that it has used.
    struct Worker {
        courtesy: Courtesy,
        now: Instant,
        used: Duration,
    }

    impl Worker {
        /// Works on pieces, milliseconds long each, of which it has the core for so many, with long
        /// waits in between; returns whether it gives way then.
        fn works(&mut self, pieces: u32, elapsed: u64, had: u64) -> bool {
            for _ in 0..pieces {
                self.now += Duration::from_secs(5);
                self.courtesy.begin(Urgency::Large, self.now);
                self.now += Duration::from_millis(elapsed);
                self.used += Duration::from_millis(had);
                self.courtesy.look(self.now, || self.used);
            }
            self.courtesy.gives_way
        }
    }

    #[test]
    fn who_hardly_gets_the_core_keeps_it_until_it_does() {
        let (now, used) = (Instant::now(), Duration::from_secs(7));
        let mut worker = Worker {
            courtesy: Courtesy::new(now, used),
            now,
            used,
        };

        assert!(worker.works(1, 160, 160), "it has the core for itself");
        assert!(worker.works(1, 160, 20));
        assert!(!worker.works(1, 160, 19));
        assert!(!worker.works(1, 99, 99), "too early to say");
        assert!(
            !worker.works(10, 160, 14),
            "a flood leaves what niceness grants"
        );
        assert!(!worker.works(11, 9, 9));
        assert!(
            worker.works(1, 9, 9),
            "the flood is over, for pieces of work together"
        );
        assert!(worker.works(10, 160, 48), "two share what queries leave");
    }

    #[test]
    fn threads_are_nice_each_for_itself() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();

        let preparing = thread::spawn(move || {
            let _courtesy = Courtesy::of_preparing();
            niceness()
        });
        let writing = thread::spawn(move || {
            of_writing();
            niceness()
        });

        assert_eq!(preparing.join().unwrap(), (before + PREPARING).min(19));
        assert_eq!(writing.join().unwrap(), (before + WRITING).min(19));
        assert_eq!(niceness(), before);
    }

    #[test]
    fn processor_time_is_what_the_thread_itself_has_used() {
        const MOMENT: Duration = Duration::from_millis(10);
        let before = used();
        let other = thread::spawn(|| {
            let before = used();
            while used() < before + MOMENT {}
            used()
        });

        assert!(other.join().unwrap() >= MOMENT);
        let waited = used() - before;
        assert!(waited < MOMENT, "waiting for another thread is no work");
    }
}
