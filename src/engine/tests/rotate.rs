//! Rotations: asked for, twice at once, by age.

use std::time::Duration;

use serde_json::json;

use super::house::*;
use crate::engine::{IfMatch, Op, Refusal, Rotation, Word};
use crate::lifecycle::LifecycleState;
use crate::mail::RoutingAnswer;

/// An hour.
const HOUR: Duration = Duration::from_secs(3600);

/// Returns a rotation of the pool `main`.
fn rotate(burn: &[&str], activate: u32) -> Op {
    Op::Rotate {
        pool: "main".to_owned(),
        burn: burn.iter().map(|name| apex(name)).collect(),
        activate,
        if_match: None,
    }
}

impl House {
    /// Adds `count` domains to the pool, an hour after each other, the first `active` of them active.
    fn filled(count: usize, active: u32) -> Self {
        let house = Self::with_pool();
        house.done(put_pool("main", &settings(&[("drain", json!("2d"))])));
        for n in 0..count {
            house.done(add(&format!("d{n}.test")));
            house.clock.advance(HOUR);
        }
        house.done(rotate(&[], active));
        house
    }

    /// Returns the names of the domains in a state.
    fn in_state(&self, state: LifecycleState) -> Vec<String> {
        let filter = crate::engine::DomainFilter {
            pool: None,
            state: Some(state),
        };
        let page = self.engine.view().domains(&filter, None, 1_000);
        let names = page.items.iter().map(|domain| domain.name.to_api_text());
        names.collect()
    }
}

/// Returns what is told of each domain, in order.
fn told(rotation: &Rotation) -> Vec<(String, Option<u64>, &str)> {
    let timeline = rotation.timeline.iter();
    timeline
        .map(|it| {
            let since = it.at.map(|at| at.since(START).as_secs() / 3600);
            (it.domain.to_api_text(), since, it.event.as_str())
        })
        .collect()
}

#[test]
fn a_dry_run_tells_what_happens_to_each_domain_and_when() {
    let house = House::filled(2, 1);
    house.clock.advance(HOUR);
    let mut dry = change(vec![rotate(&["d0.test"], 1)]);
    dry.dry_run = true;

    let rotation = house.make(dry).unwrap().plan.rotation.unwrap();

    let told = told(&rotation);
    let moments: Vec<_> = told.iter().map(|(name, at, _)| (&**name, *at)).collect();
    // Three hours after the start, and two days later: `drain`; then the quarantine of 90 days.
    let expected = [
        ("d1.test", Some(3)),
        ("d0.test", Some(3)),
        ("d0.test", Some(3 + 48)),
        ("d0.test", Some(3 + 48 + 90 * 24)),
    ];
    assert_eq!(moments, expected, "{told:?}");
    assert!(told[2].2.contains("retired") && told[3].2.contains("released"));
    // X5 also asks for a count that nobody has yet, and says so.
    assert!(told[3].2.contains("X5"), "{}", told[3].2);
    assert_eq!(house.in_state(LifecycleState::Active), ["d0.test"]);
}

#[test]
fn what_a_dry_run_says_is_what_happens() {
    let house = House::filled(2, 1);
    let mut dry = change(vec![rotate(&[], 1)]);
    dry.dry_run = true;

    let said = house.make(dry).unwrap().plan.rotation.unwrap();
    let done = house.done(rotate(&[], 1)).plan.rotation.unwrap();

    assert_eq!(said, done);
    let next = house.engine.view().prospect(&apex("d0.test")).unwrap().next;
    let retired = done.timeline.iter().find(|it| it.event.contains("retired"));
    assert_eq!(next.unwrap().not_before, retired.unwrap().at);
}

#[test]
fn names_that_are_not_active_or_come_twice_are_refused_and_nothing_moves() {
    let house = House::filled(2, 1);

    let refused = house.refused(rotate(&["d1.test", "none.test", "d0.test", "d0.test"], 1));

    let Refusal::Invalid(faults) = refused else {
        panic!("{refused:?}");
    };
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(faults[0].contains("d1.test is standby"), "{faults:?}");
    assert!(faults[1].contains("none.test"), "{faults:?}");
    assert!(faults[2].contains("twice"), "{faults:?}");
    assert_eq!(house.in_state(LifecycleState::Active), ["d0.test"]);
}

#[test]
fn with_no_standby_ready_no_more_are_drained_than_are_named() {
    let house = House::filled(2, 1);
    house.done(Op::Suspend {
        name: apex("d1.test"),
        answer: RoutingAnswer::Later,
        until: None,
        if_match: None,
    });

    let outcome = house.done(rotate(&[], 1));
    let rotation = outcome.plan.rotation.unwrap();
    assert_eq!((rotation.short, rotation.draining.len()), (1, 0));
    assert_eq!(rotation.not_ready[0].name, apex("d1.test"));
    let warnings = outcome.plan.warnings.join("\n");
    assert!(warnings.contains("d1.test waits: L6"), "{warnings}");

    let burned = house.done(rotate(&["d0.test"], 1));
    let warnings = burned.plan.warnings.join("\n");
    let wanted = "wants 1 active domain and has 0 after this";
    assert!(warnings.contains(wanted), "{warnings}");
    assert_eq!(house.in_state(LifecycleState::Draining), ["d0.test"]);
}

#[test]
fn of_two_rotations_at_once_each_takes_domains_of_its_own() {
    let house = House::filled(4, 1);

    let both = house.make_all(vec![
        change(vec![rotate(&[], 1)]),
        change(vec![rotate(&[], 1)]),
    ]);

    let both: Vec<Rotation> = both
        .into_iter()
        .map(|outcome| outcome.unwrap().plan.rotation.unwrap())
        .collect();
    assert_ne!(both[0].activated, both[1].activated);
    assert_ne!(both[0].draining, both[1].draining);
    assert_eq!(house.in_state(LifecycleState::Active).len(), 1);
    assert_eq!(house.in_state(LifecycleState::Draining).len(), 2);
}

#[test]
fn a_rotation_that_comes_again_under_its_key_is_not_made_again() {
    let house = House::filled(4, 1);
    let once = || keyed(change(vec![rotate(&["d0.test"], 1)]), "key", 1);

    let first = house.done(once());
    let again = house.make_all(vec![once(), once()]);

    for outcome in again {
        let outcome = outcome.unwrap();
        assert!(outcome.replayed);
        assert_eq!(outcome.revision, first.revision);
        let (was, is) = (first.plan.rotation.clone(), outcome.plan.rotation);
        let (was, is) = (was.unwrap(), is.unwrap());
        assert_eq!((was.activated, was.draining), (is.activated, is.draining));
    }
    assert_eq!(house.in_state(LifecycleState::Draining), ["d0.test"]);
}

#[test]
fn domains_that_are_too_old_are_replaced_as_far_as_others_are_ready() {
    let house = House::filled(3, 2);
    let by_age = settings(&[("max_active_age", json!("7d"))]);
    let mut wish = change(vec![put_pool("main", &by_age)]);
    wish.expect_domains = Some(3);
    house.done(wish);
    house.clock.advance(6 * DAY);
    house.engine.tick();
    assert_eq!(house.in_state(LifecycleState::Active).len(), 2);

    house.clock.advance(DAY);
    house.engine.tick();

    // One was ready: the other one stays until the next is.
    assert_eq!(
        house.in_state(LifecycleState::Active),
        ["d1.test", "d2.test"]
    );
    assert_eq!(house.in_state(LifecycleState::Draining), ["d0.test"]);
    let audit = house.engine.audit(0, 1_000).unwrap();
    assert_eq!(audit.last().unwrap().1.actor, "mxpool");
    house.done(add("d3.test"));
    let house = house.restarted();
    house.clock.advance(Duration::from_secs(60));
    house.engine.tick();
    assert_eq!(
        house.in_state(LifecycleState::Draining),
        ["d0.test", "d1.test"]
    );
    house.clock.advance(HOUR);
    house.engine.tick();
    assert_eq!(house.in_state(LifecycleState::Draining).len(), 2);
}

#[test]
fn a_warning_names_the_rules_and_the_plan_tells_what_they_wait_for() {
    let house = House::new();
    let asks = json!({"delegated": true, "secured": "yes", "mail_ready": true});
    house.done(put_pool("main", &settings(&[("readiness", asks)])));
    house.done(add("d0.test"));

    let plan = house.done(rotate(&[], 1)).plan;

    assert_eq!(
        plan.warnings,
        ["expected 1 ready domain in the pool main, found 0: d0.test waits for A1, A2, A3, A4"]
    );
    let rotation = plan.rotation.unwrap();
    assert!(rotation.not_ready[0].waiting_for[1].not_before.is_some());
}

#[test]
fn a_rotation_tells_who_retires_what_it_drains() {
    let house = House::filled(1, 1);
    let auto = settings(&[("drain", json!("2d")), ("retire", json!("auto"))]);
    house.done(put_pool("main", &auto));

    let rotation = house.done(rotate(&["d0.test"], 0)).plan.rotation.unwrap();

    assert_eq!(rotation.timeline[1].event, "is retired by itself");
    let next = {
        let view = house.engine.view();
        view.prospect(&apex("d0.test")).unwrap().next.unwrap()
    };
    assert!(next.by_itself);
    house.done(put_pool("main", &settings(&[("drain", json!("2d"))])));
    let view = house.engine.view();
    let next = view.prospect(&apex("d0.test")).unwrap().next.unwrap();
    assert!(!next.by_itself, "the operator decides");
}

#[test]
fn t2_k25_an_active_domain_says_when_its_age_takes_it_out_of_use() {
    let house = House::filled(1, 1);
    let by_age = settings(&[("max_active_age", json!("7d"))]);
    let next = || {
        let view = house.engine.view();
        view.prospect(&apex("d0.test")).unwrap().next
    };
    assert_eq!(next(), None);
    let mut wish = change(vec![put_pool("main", &by_age)]);
    wish.expect_domains = Some(1);
    house.done(wish);

    let young = next().unwrap();
    house.clock.advance(Duration::from_secs(8 * 86_400));
    let old = next().unwrap();

    let since = START.saturating_add(HOUR);
    let at = since.saturating_add(Duration::from_secs(7 * 86_400));
    assert_eq!(young.state, LifecycleState::Draining);
    assert_eq!(young.not_before, Some(at));
    assert!(young.waiting_for[0].what.contains("7d"), "{young:?}");
    assert_eq!(old.waiting_for[0].rule, "K25", "nobody takes its place");
    assert_eq!(old.not_before, None);
}

#[test]
fn a_change_after_a_rotation_sees_its_revision() {
    let house = House::filled(2, 1);
    let before = house.engine.view().domain(&apex("d0.test")).unwrap();
    house.done(rotate(&["d0.test"], 1));

    let refused = house.refused(Op::Transition {
        name: apex("d0.test"),
        to: LifecycleState::Active,
        force: false,
        if_match: Some(IfMatch::Revision(before.revision)),
    });

    assert!(matches!(refused, Refusal::PreconditionFailed { .. }));
}

/// A1: of a pool that asks for a delegation only domains that have one are judged, whatever came
/// between; of the others the first are told.
#[test]
fn a1_domains_that_are_delegated_are_found_among_many_that_are_not() {
    let house = House::new();
    let asks = json!({"delegated": true, "secured": "no", "mail_ready": false});
    let timing = json!({"guard": "0s"});
    let members = [("readiness", asks), ("timing", timing)];
    house.done(put_pool("main", &settings(&members)));
    for n in 0..12 {
        house.done(add(&format!("d{n:02}.test")));
    }
    let say = |house: &House, name: &str, ns| {
        house.done(Op::Observe {
            name: apex(name),
            word: Word {
                ns: Some(ns),
                ..Word::default()
            },
            if_match: None,
        });
    };
    for name in ["d09.test", "d10.test", "d11.test"] {
        say(&house, name, true);
    }
    say(&house, "d10.test", false);
    let house = house.restarted();
    house.clock.advance(30 * DAY);

    let rotation = house.done(rotate(&[], 3)).plan.rotation.unwrap();

    assert_eq!(rotation.activated, ["d09.test", "d11.test"].map(apex));
    assert_eq!(rotation.short, 1);
    let first: Vec<_> = rotation
        .not_ready
        .iter()
        .map(|it| it.name.clone())
        .collect();
    assert_eq!(
        first,
        Vec::from_iter((0..8).map(|n| apex(&format!("d{n:02}.test"))))
    );
    say(&house, "d10.test", true);
    house.clock.advance(30 * DAY);
    let rotation = house.done(rotate(&[], 1)).plan.rotation.unwrap();
    assert_eq!(rotation.activated, [apex("d10.test")]);
    assert!(rotation.not_ready.is_empty());
}
