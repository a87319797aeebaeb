//! What a time in which the server did not run means for lives.

use std::time::Duration;

use serde_json::json;

use super::house::*;
use super::scheduled::{HOUR, ONE, to};
use crate::clock::Clock;
use crate::engine::Refusal;
use crate::lifecycle::LifecycleState;

/// Builds a house with a domain that may be retired.
fn drained() -> House {
    let house = House::new();
    house.done(put_pool("main", &settings(&[("drain", json!("2d"))])));
    house.done(add(ONE));
    house.done(to(LifecycleState::Active));
    house.done(to(LifecycleState::Draining));
    house.pass_by(3 * DAY);
    house
}

/// Returns the rule that a retirement waits for, if it waits.
fn waits(house: &House) -> Option<&'static str> {
    match house.make(change(vec![to(LifecycleState::Retired)])) {
        Ok(_) => None,
        Err(mut errors) => match errors.remove(0).refusal {
            Refusal::TooEarly { waiting_for, .. } => Some(waiting_for[0].rule),
            other => panic!("{other}"),
        },
    }
}

/// What mail hosts answered "later" meanwhile, and what found no name server, met the null MX at once.
#[test]
fn r2_what_was_deferred_while_the_server_was_down_is_waited_for() {
    let house = drained().killed();
    assert_eq!(waits(&house), Some("R2"));
    // Known for good, and not begun anew by a stop in good order.
    house.pass_by(4 * DAY);
    let house = house.restarted();
    assert_eq!(waits(&house), Some("R2"));

    house.pass_by(DAY);

    assert_eq!(waits(&house), None);
}

#[test]
fn r2_a_short_stop_in_good_order_makes_nobody_wait() {
    let house = drained().restarted();

    assert_eq!(waits(&house), None);
}

#[test]
fn r2_a_long_stop_in_good_order_is_an_outage() {
    let mut house = drained();
    house.stop();
    house.clock.advance(HOUR);

    let house = house.restarted();

    assert_eq!(waits(&house), Some("R2"));
}

#[test]
fn r2_a_start_by_a_clock_that_is_ahead_holds_nothing_back_for_as_long() {
    let mut house = drained();
    let right = house.clock.now();
    house.stop();
    house.clock.set_wall(right.saturating_add(400 * DAY));
    let mut house = house.restarted();
    house.stop();
    house.clock.set_wall(right);

    let house = house.restarted();
    house.pass_by(5 * DAY);

    assert_eq!(waits(&house), None);
}

/// A machine without a battery comes up with any time, and everything was done at once that is due in
/// a year.
#[test]
fn what_is_due_rests_at_a_start_after_a_long_gap() {
    let mut house = House::new();
    let members = [("retire", json!("auto")), ("drain", json!("2d"))];
    house.done(put_pool("main", &settings(&members)));
    house.done(add(ONE));
    house.done(to(LifecycleState::Active));
    house.done(to(LifecycleState::Draining));
    let right = house.clock.now();
    house.stop();
    house.clock.set_wall(right.saturating_add(400 * DAY));
    let house = house.restarted();
    // R2 alone would hold it: that is not what is tried here.
    house.clock.advance(Duration::from_secs(1));
    house.engine.tick();
    house.clock.set_wall(right);
    house.clock.advance(HOUR);
    house.engine.tick();

    assert_eq!(house.stands(), LifecycleState::Draining);
}
