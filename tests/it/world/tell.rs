//! Tells many stories on all cores, and what became of them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::check::Violation;
use super::play::{START, Telling, play};
use super::product::Product;
use super::shrink::shrink;
use super::story::{DAY, Story, span};

/// Makes the product for a story.
pub(crate) type Maker<'m> = dyn Fn(&Story) -> Box<dyn Product> + Sync + 'm;

/// How many days a story lasts at least.
pub(crate) const DAYS: u64 = 120;

/// Returns whether the long runs are asked for.
pub(crate) fn is_full() -> bool {
    std::env::var("MXPOOL_TEST_SIZE").is_ok_and(|size| size == "full")
}

/// How many stories may fail before no more are told.
const ENOUGH: usize = 20;

/// Returns the stories to tell: `bounded` of them, or `full` in the long runs; those of
/// `MXPOOL_TEST_STORIES=FROM..TO` where that is set.
///
/// # Panics
///
/// Panics if it is set to anything else.
pub(crate) fn seeds(bounded: u64, full: u64) -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("MXPOOL_TEST_STORIES") else {
        return 0..if is_full() { full } else { bounded };
    };
    let ends = text.split_once("..");
    let range = ends.and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range.unwrap_or_else(|| panic!("MXPOOL_TEST_STORIES: expected FROM..TO, found {text:?}"))
}

/// Tells the stories of these seeds; those that fail are listed, and the first of them is shortened
/// and printed.
pub(crate) fn tell_all(seeds: std::ops::Range<u64>, make: &Maker<'_>) {
    let next = AtomicU64::new(seeds.start);
    let failed: Mutex<Vec<(Story, Violation)>> = Mutex::default();
    let sum: Mutex<Telling> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let over = failed.lock().unwrap().len() >= ENOUGH;
                    if seed >= seeds.end || over {
                        break;
                    }
                    let story = Story::of(seed, DAYS);
                    match play(&mut *make(&story), &story) {
                        Ok(telling) => add(&mut sum.lock().unwrap(), &telling),
                        Err(violation) => {
                            println!("story {seed} fails: {violation}");
                            failed.lock().unwrap().push((story, violation));
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    if let Some((story, violation)) = failed.iter().min_by_key(|(story, _)| story.seed) {
        println!("{} stories fail", failed.len());
        let mut tell = |story: &Story| play(&mut *make(story), story).err();
        let (short, violation) = shrink(story, violation, &mut tell);
        fail(&short, &violation);
    }
    let sum = sum.into_inner().unwrap();
    let years = sum.lasted / DAY / 365;
    println!(
        "{} stories, {years} simulated years",
        seeds.end - seeds.start
    );
    for (kind, [done, early, refused]) in &sum.orders {
        println!("  {kind:>8}: {done} done, {early} too early, {refused} refused");
    }
}

/// Returns the first story that catches a faulty product, how it fails, and how many stories it
/// took.
pub(crate) fn stories_to_catch(
    most: u64,
    tell: &(dyn Fn(u64) -> Story + Sync),
    make: &Maker<'_>,
) -> Option<(Story, Violation, u64)> {
    let next = AtomicU64::new(0);
    let caught: Mutex<Option<(Story, Violation, u64)>> = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let over = caught.lock().unwrap().is_some();
                    if seed >= most || over {
                        break;
                    }
                    let story = tell(seed);
                    if let Err(violation) = play(&mut *make(&story), &story) {
                        let mut caught = caught.lock().unwrap();
                        let known = caught.as_ref().map(|(_, _, count)| *count);
                        if known.is_none_or(|known| known > seed + 1) {
                            *caught = Some((story, violation, seed + 1));
                        }
                    }
                }
            });
        }
    });
    caught.into_inner().unwrap()
}

/// Panics with a story and what went wrong in it.
pub(crate) fn fail(story: &Story, violation: &Violation) -> ! {
    let at = span(violation.at - START);
    let log = violation.log.join("\n");
    panic!("after {at}: {violation}\n{story}{log}\n{at:>24}  {violation}")
}

/// Returns how many stories are told at once.
fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Adds up how stories went.
fn add(sum: &mut Telling, telling: &Telling) {
    sum.lasted += telling.lasted;
    let mut orders: BTreeMap<&'static str, [u64; 3]> = std::mem::take(&mut sum.orders);
    for (kind, counts) in &telling.orders {
        let of_kind = orders.entry(kind).or_default();
        for (count, more) in of_kind.iter_mut().zip(counts) {
            *count += more;
        }
    }
    sum.orders = orders;
}
