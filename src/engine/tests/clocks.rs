//! Clocks that are wrong while lives go on.

use serde_json::json;

use super::house::*;
use super::scheduled::{HOUR, ONE, suspend, to};
use crate::clock::Clock;
use crate::engine::{Observation, Op, Refusal};
use crate::lifecycle::{Fact, LifecycleState, NsSeen};

/// Builds a house with a standby domain that waits for its guard.
fn waiting() -> House {
    let house = House::new();
    let ready = json!({ "delegated": true, "secured": "no", "mail_ready": false });
    let members = [("readiness", ready), ("fresh", json!(true))];
    house.done(put_pool("main", &settings(&members)));
    house.done(add(ONE));
    house
}

/// Tells of the delegation, as a watcher does.
fn see_delegation(house: &House) {
    house.engine.observe(vec![Observation {
        name: apex(ONE),
        fact: Fact::Ns(NsSeen::Ours, None),
        at: house.clock.now(),
    }]);
    house.engine.tick();
}

/// Nothing had to be signed, and so the clock was not asked.
#[test]
fn i4_no_step_is_taken_by_a_clock_that_jumped_ahead() {
    let house = waiting();
    see_delegation(&house);
    let early = house.refused(to(LifecycleState::Active));
    assert!(matches!(early, Refusal::TooEarly { .. }), "{early}");

    house.clock.set_wall(START.saturating_add(400 * DAY));
    let refused = house.refused(to(LifecycleState::Active));

    assert!(matches!(refused, Refusal::Clock(_)), "{refused}");
    assert_eq!(house.stands(), LifecycleState::Standby);
}

/// A1 to A5 count from what was seen: by a clock that was a year behind all of them were over.
#[test]
fn a1_what_is_seen_by_a_clock_that_is_behind_does_not_count() {
    let house = waiting();
    house.clock.set_wall(START.saturating_sub(400 * DAY));
    see_delegation(&house);
    house.clock.set_wall(START);

    let domain = house.engine.view().domain(&apex(ONE)).unwrap();
    assert_eq!(domain.observed.ns, None);
    see_delegation(&house);
    assert!(matches!(
        house.refused(to(LifecycleState::Active)),
        Refusal::TooEarly { .. }
    ));
}

/// One call protects at once, whatever the clock says.
#[test]
fn a_domain_is_suspended_and_held_by_any_clock() {
    for wrong in [
        START.saturating_add(400 * DAY),
        START.saturating_sub(400 * DAY),
    ] {
        let house = House::with_active();
        house.clock.set_wall(wrong);

        house.done(suspend());
        house.done(Op::Hold {
            name: apex(ONE),
            if_match: None,
        });
        let resumed = house.refused(Op::Resume {
            name: apex(ONE),
            if_match: None,
        });

        assert!(matches!(resumed, Refusal::Clock(_)), "{resumed}");
        let domain = house.engine.view().domain(&apex(ONE)).unwrap();
        assert!(domain.suspension.is_some() && domain.hold.is_some());
    }
}

/// An address that was handed out by a clock a year ahead was promised for a year longer.
#[test]
fn r1_addresses_handed_out_by_a_clock_that_is_ahead_are_promised_from_the_likely_moment() {
    let house = House::with_active();
    house.hand_out("main").unwrap();
    house.clock.advance(HOUR);
    house.engine.tick();

    house.clock.set_wall(START.saturating_add(400 * DAY));
    house.hand_out("main").unwrap();
    house.clock.advance(HOUR);
    house.engine.tick();

    let domain = house.engine.view().domain(&apex(ONE)).unwrap();
    let given = domain.handed_out.unwrap();
    assert_eq!(given.count, 2);
    assert!(
        given.last <= START.saturating_add(2 * HOUR),
        "{}",
        given.last
    );
}
