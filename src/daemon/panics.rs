//! Panics told as events: each where it happened, never so many that they hide the rest.

use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::clock::Seldom;

/// How often a panic is told at most: a query that makes the answering code panic can come as
/// often as its sender likes. The metrics count every one.
const PAUSE: Duration = Duration::from_secs(1);

/// Which panics are told.
static TOLD: Mutex<Seldom> = Mutex::new(Seldom::new(PAUSE));

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
