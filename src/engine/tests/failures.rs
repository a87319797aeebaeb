//! What fails leaves everything as it was.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use super::house::{DAY, House, add, change, keyed, put_pool, settings};
use crate::engine::{OpError, Refusal};
use crate::store::Space;
use crate::wire::{Rcode, Rtype};

/// Returns the one refusal of a change.
fn only(outcome: Result<crate::engine::Outcome, Vec<OpError>>) -> Refusal {
    outcome.unwrap_err().remove(0).refusal
}

#[test]
fn a_full_store_refuses_changes_and_what_is_served_is_served_on() {
    let house = House::with_pool();
    house.done(add("old.example"));
    house.store.set_full(true);

    let refusal = house.refused(add("new.example"));

    assert!(matches!(refusal, Refusal::StoreFull(_)), "{refusal:?}");
    assert!(house.has("old.example", Rtype::MX));
    assert_eq!(house.ask("new.example", Rtype::MX).0, Rcode::REFUSED);
    assert_eq!(house.engine.view().revision(), 2);

    house.store.set_full(false);
    let outcome = house.done(add("new.example"));
    assert_eq!(outcome.revision, 3);
    house.verify("new.example");
}

#[test]
fn a_failed_change_leaves_its_key_unused() {
    let house = House::with_pool();
    let call = || keyed(change(vec![add("burner.example")]), "k", 1);
    house.store.set_full(true);
    house.refused(call());
    house.store.set_full(false);

    let outcome = house.done(call());

    assert!(!outcome.replayed);
}

#[test]
fn a_batch_that_finds_no_room_is_cleaned_up_and_small_changes_go_on() {
    let house = House::with_pool();
    // Room for pieces that are stored ahead, and for small changes, but not for the facts.
    house.store.set_room(420_000);
    let many = (0..2400).map(|number| add(&format!("d{number}.example")));

    let refusal = only(house.make(change(many.collect())));
    house.done(add("small.example"));

    assert!(matches!(refusal, Refusal::StoreFull(_)), "{refusal:?}");
    assert_eq!(house.engine.view().domain_count(), 1);
    assert_eq!(house.reader.len(), 1);
    // What was stored ahead goes, some with every commit.
    for number in 0..8 {
        house.done(add(&format!("more{number}.example")));
    }
    assert_eq!(house.store.keys(Space::SignedZone).len(), 9);
    assert_eq!(house.store.keys(Space::Key).len(), 9);
}

#[test]
fn what_a_crash_left_of_a_batch_is_removed_at_the_next_start() {
    let house = House::with_pool();
    house.done(add("burner.example"));
    let mut batch = crate::store::Batch::new();
    let key = crate::store::record::signed_zone_key(&super::house::apex("ghost.example"), 99);
    batch.put(Space::SignedZone, &key, vec![1, 2, 3]);
    batch.put(
        Space::Key,
        super::house::apex("ghost.example").as_wire(),
        vec![1],
    );
    crate::store::Store::commit(&*house.store, &batch).unwrap();

    let house = house.restarted();

    assert_eq!(house.store.keys(Space::SignedZone).len(), 1);
    assert_eq!(house.store.keys(Space::Key).len(), 1);
    // A version is never used twice, not even that of a ghost.
    house.done(add("ghost.example"));
    house.verify("ghost.example");
}

#[test]
fn a_stopped_engine_refuses_changes() {
    let mut house = House::with_pool();
    house.stop();

    let refusal = house.refused(add("burner.example"));

    assert_eq!(refusal, Refusal::Stopping);
    assert!(!house.engine.is_ready());
}

#[test]
fn a_writer_that_panicked_is_not_ready_and_does_not_hold_up_the_end() {
    // The workers waited for it forever, and the process with them.
    let mut house = House::with_pool();
    house.store.break_down();

    let refusal = house.refused(add("a.example"));
    house.stop();

    assert!(matches!(refusal, Refusal::Stopping), "{refusal:?}");
    assert!(!house.engine.is_ready());
}

#[test]
fn a_disk_that_is_full_at_the_start_keeps_nothing_from_being_served() {
    let house = House::with_pool();
    house.done(add("a.example"));
    let mut batch = crate::store::Batch::new();
    let orphan = crate::store::record::signed_zone_key(&super::house::apex("b.example"), 7);
    batch.put(Space::SignedZone, &orphan, vec![1]);
    crate::store::Store::commit(&*house.store, &batch).unwrap();
    house.store.set_full(true);

    let house = house.restarted();

    assert!(house.has("a.example", Rtype::MX));
    house.store.set_full(false);
    house.done(add("b.example"));
    house.verify("b.example");
}

#[test]
fn a_zone_whose_signatures_are_lost_is_not_changed() {
    // The change was committed with the old zone under new facts.
    let house = House::with_pool();
    house.done(add("a.example"));
    let mut loss = crate::store::Batch::new();
    for key in house.store.keys(Space::SignedZone) {
        loss.delete(Space::SignedZone, &key);
    }
    crate::store::Store::commit(&*house.store, &loss).unwrap();
    let longer = settings(&[("ttl", json!("2h"))]);

    let refusal = house.refused(put_pool("main", &longer));

    assert!(matches!(refusal, Refusal::Internal(_)), "{refusal:?}");
    assert_eq!(house.engine.view().revision(), 2);
}

#[test]
fn what_nobody_waits_for_rests_a_minute_when_it_cannot_be_stored() {
    // It was tried, and complained about, every second.
    let house = House::with_pool();
    house.done(keyed(change(vec![add("a.example")]), "k", 1));
    house.clock.advance(2 * DAY);
    house.store.set_full(true);
    let before = house.store.attempts.load(Ordering::SeqCst);

    for _ in 0..5 {
        house.engine.tick();
    }

    let attempts = house.store.attempts.load(Ordering::SeqCst) - before;
    assert_eq!(attempts, 1);
    house.store.set_full(false);
    house.clock.advance(Duration::from_secs(60));
    house.engine.tick();
    assert_eq!(house.store.keys(Space::Idempotency), Vec::<Vec<u8>>::new());
}
