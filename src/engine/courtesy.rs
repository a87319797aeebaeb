//! Gives the core away between signatures, to whoever answers queries on it.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::nice;
use rustix::time::{ClockId, clock_gettime};

/// How much nicer than the threads that answer queries those are that prepare zones (nice(2): 19
/// is the most).
const PREPARING: i32 = 10;

/// The same of the writer, which small changes wait for under a flood, too.
const WRITING: i32 = 5;

/// After how many signatures the core is given away: after less than a tenth of a millisecond.
const SIGNATURES: u32 = 4;

/// Over how long at least a thread looks which part of the time it had the core.
const WINDOW: Duration = Duration::from_millis(100);

/// In one of how many parts of the time a thread must have had the core to be courteous. By its
/// niceness alone it has a tenth beside one thread that never rests, and two of it a twelfth each.
const PART: u32 = 8;

/// Whether a thread that prepares zones gives way between signatures.
///
/// Niceness says how much of a core threads get, not when. A query's arrival does not interrupt a
/// nice thread in the middle of its slice on each kernel, and waits for the next tick then, up to
/// four milliseconds. So these threads end their slices themselves, all the time. Under a flood that
/// would be the end of them, as whoever answers it never rests: who hardly gets the core keeps it
/// while it lasts.
pub(super) struct Courtesy {
    /// Whether it does.
    gives_way: bool,
    /// Signatures until the core is given away.
    left: u32,
    /// When the part of the time was looked at, and the processor time then.
    looked: (Instant, Duration),
}

impl Courtesy {
    /// Makes the calling thread, which prepares zones, a nice one.
    pub(super) fn of_preparing() -> Self {
        be_nice(PREPARING);
        Self {
            gives_way: true,
            left: SIGNATURES,
            looked: (Instant::now(), used()),
        }
    }

    /// Begins to work: time that was spent waiting for work says nothing.
    pub(super) fn begin(&mut self) {
        self.looked = (Instant::now(), used());
    }

    /// Gives way after some signatures; called after each.
    pub(super) fn signed(&mut self) {
        self.left -= 1;
        if self.left > 0 {
            return;
        }
        self.left = SIGNATURES;
        if self.gives_way {
            thread::yield_now();
        }
        self.look(Instant::now(), used);
    }

    /// Looks, once in a while, whether the thread gets the core.
    fn look(&mut self, now: Instant, used: impl FnOnce() -> Duration) {
        let (then, used_then) = self.looked;
        let elapsed = now - then;
        if elapsed < WINDOW {
            return;
        }
        let used = used();
        self.gives_way = used.saturating_sub(used_then) >= elapsed / PART;
        self.looked = (now, used);
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
    // What has run is no negative time, and its rest no second.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_hardly_gets_the_core_keeps_it_until_it_does() {
        let mut courtesy = Courtesy {
            gives_way: true,
            left: SIGNATURES,
            looked: (Instant::now(), Duration::ZERO),
        };
        let mut gives_way_after = |elapsed, had| {
            let (then, used) = courtesy.looked;
            let [elapsed, had] = [elapsed, had].map(Duration::from_millis);
            courtesy.look(then + elapsed, || used + had);
            courtesy.gives_way
        };

        assert!(gives_way_after(160, 160), "it has the core for itself");
        assert!(gives_way_after(160, 20));
        assert!(!gives_way_after(160, 19));
        assert!(!gives_way_after(99, 99), "too early to say");
        assert!(
            !gives_way_after(160, 14),
            "a flood leaves what niceness grants"
        );
        assert!(
            gives_way_after(160, 48),
            "two share what 50 000 queries a second leave"
        );
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
        let before = used();
        let other = thread::spawn(|| {
            let before = used();
            while used() < before + WINDOW {}
            used()
        });

        assert!(other.join().unwrap() >= WINDOW);
        assert!(
            used() < before + WINDOW,
            "waiting for another thread is no work"
        );
    }
}
