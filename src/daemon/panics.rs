//! Panics told as events: each where it happened, never so many that they hide the rest.

use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often a panic is told at most: a query that makes the answering code panic can come as
/// often as its sender likes. The metrics count every one.
const PAUSE: Duration = Duration::from_secs(1);

/// What has been told.
static TOLD: Mutex<Told> = Mutex::new(Told::nothing());

/// What has been told of panics.
struct Told {
    /// When one was told.
    last: Option<Instant>,
    /// How many were not told since then.
    untold: u64,
}

impl Told {
    /// Nothing has.
    const fn nothing() -> Self {
        Self {
            last: None,
            untold: 0,
        }
    }

    /// Takes a panic in; returns how many before it were not told, or nothing if neither is it.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if self
            .last
            .is_some_and(|last| now.duration_since(last) < PAUSE)
        {
            self.untold += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

/// Tells panics as events from now on, in the place of the lines that the standard library writes.
pub(super) fn tell() {
    panic::set_hook(Box::new(|info| {
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        let untold = told.admit(Instant::now());
        drop(told);
        if let Some(untold) = untold {
            report(info, untold);
        }
    }));
}

/// Tells one panic.
fn report(info: &PanicHookInfo<'_>, untold: u64) {
    let what = info.payload_as_str().unwrap_or("no text");
    let place = info
        .location()
        .map_or_else(String::new, ToString::to_string);
    let thread = thread::current();
    tracing::error!(
        thread = thread.name().unwrap_or("unnamed"),
        place,
        untold_before = untold,
        "panic: {what}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_once_a_second_with_its_number() {
        let mut told = Told::nothing();
        let start = Instant::now();

        assert_eq!(told.admit(start), Some(0));
        for milliseconds in 0..999 {
            assert_eq!(
                told.admit(start + Duration::from_millis(milliseconds)),
                None
            );
        }
        assert_eq!(told.admit(start + PAUSE), Some(999));
        assert_eq!(told.admit(start + 2 * PAUSE), Some(0));
    }
}
