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

/// Tells the stories of these seeds; the first that fails is shortened and printed.
pub(crate) fn tell_all(seeds: std::ops::Range<u64>, make: &Maker<'_>) {
    let next = AtomicU64::new(seeds.start);
    let failed: Mutex<Option<(Story, Violation)>> = Mutex::new(None);
    let sum: Mutex<Telling> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let over = failed.lock().unwrap().is_some();
                    if seed >= seeds.end || over {
                        break;
                    }
                    let story = Story::of(seed, DAYS);
                    match play(&mut *make(&story), &story) {
                        Ok(telling) => add(&mut sum.lock().unwrap(), &telling),
                        Err(violation) => {
                            failed.lock().unwrap().get_or_insert((story, violation));
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    if let Some((story, violation)) = failed {
        let mut tell = |story: &Story| play(&mut *make(story), story).err();
        let (short, violation) = shrink(&story, &violation, &mut tell);
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
