//! Hand-outs beside changes of the same domain.

use super::house::*;
use super::scheduled::{ONE, suspend, to};
use crate::engine::{Op, Refusal};
use crate::lifecycle::LifecycleState;
use crate::mail::RoutingAnswer;

/// Asks for a change and for an address at once, in this order; returns what becomes of both.
fn beside(house: &House, op: Op) -> (bool, Result<String, Refusal>) {
    enum Outcome {
        Changed(bool),
        HandedOut(Result<String, Refusal>),
    }
    let mut outcomes = house.together(|house| {
        let engine = house.engine.clone();
        let wish = change(vec![op]);
        let changed: Pending<Outcome> =
            Box::pin(async move { Outcome::Changed(engine.change(wish).await.is_ok()) });
        let engine = house.engine.clone();
        let handed_out: Pending<Outcome> = Box::pin(async move {
            let name = engine.hand_out("main").await;
            Outcome::HandedOut(name.map(|name| name.to_api_text()))
        });
        vec![changed, handed_out]
    });
    let handed_out = outcomes.pop();
    match (outcomes.pop(), handed_out) {
        (Some(Outcome::Changed(changed)), Some(Outcome::HandedOut(handed_out))) => {
            (changed, handed_out)
        }
        _ => panic!("expected two outcomes"),
    }
}

/// The hand-out was stored behind the step, and an address given out whose mail is answered "later"
/// until senders give up.
#[test]
fn t2_no_address_comes_from_a_domain_that_stands_by_again() {
    let house = House::with_active();

    let (changed, handed_out) = beside(&house, to(LifecycleState::Standby));

    assert!(changed);
    assert!(
        matches!(handed_out, Err(Refusal::Conflict(_))),
        "{handed_out:?}"
    );
    let domain = house.engine.view().domain(&apex(ONE)).unwrap();
    assert_eq!(domain.state, LifecycleState::Standby);
    assert_eq!(domain.handed_out, None);
    assert_eq!(
        house.routing.get(&apex(ONE)).unwrap().answer,
        RoutingAnswer::Later
    );
}

#[test]
fn no_address_comes_from_a_domain_that_is_drained_suspended_or_deleted_meanwhile() {
    let delete = Op::DeleteDomain {
        name: apex(ONE),
        force: true,
        if_match: None,
    };
    for op in [to(LifecycleState::Draining), suspend(), delete] {
        let house = House::with_active();

        let (changed, handed_out) = beside(&house, op);

        assert!(changed);
        assert!(
            matches!(handed_out, Err(Refusal::Conflict(_))),
            "{handed_out:?}"
        );
        let domain = house.engine.view().domain(&apex(ONE));
        assert_eq!(domain.and_then(|domain| domain.handed_out), None);
        house.engine.tick();
    }
}

#[test]
fn a_change_of_something_else_keeps_nobody_from_an_address() {
    let house = House::with_active();

    let (changed, handed_out) = beside(&house, add("other.test"));

    assert!(changed);
    assert_eq!(handed_out.unwrap(), ONE);
    let domain = house.engine.view().domain(&apex(ONE)).unwrap();
    assert_eq!(domain.handed_out.unwrap().count, 1);
}

/// A8: a host that says for the first time what it has applied may be behind with a domain that was
/// handed out already; from then on it is waited for.
#[test]
fn a8_the_first_word_of_a_host_lets_domains_wait_for_it() {
    let house = House::with_pool();
    house.done(add(ONE));
    house.done(Op::Transition {
        name: apex(ONE),
        to: LifecycleState::Active,
        force: false,
        if_match: None,
    });
    let active = house.engine.view().revision();
    assert_eq!(house.hand_out("main").unwrap(), apex(ONE));
    let applied = |revision| Op::HostApplied {
        host: "mx1@main".to_owned(),
        revision,
    };

    house.done(applied(active - 1));

    let refused = house.hand_out("main").unwrap_err();
    assert!(refused.to_string().contains("A8"), "{refused}");
    house.done(applied(active));
    assert_eq!(house.hand_out("main").unwrap(), apex(ONE));
}
