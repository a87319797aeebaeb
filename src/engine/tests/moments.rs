//! Scheduled changes and steps back in bad times: what they need is gone, there are many, the server
//! was down, the store was restored.

use std::time::Duration;

use super::house::*;
use super::scheduled::{HOUR, ONE, to};
use crate::clock::Clock;
use crate::engine::{Actor, Change, ChangeState, IfMatch, Op, Outcome, Refusal, Undo};
use crate::lifecycle::LifecycleState;
use crate::store::meta::{self, Restored};
use crate::store::{Batch, Store};

/// Deletes the domain.
fn delete(name: &str) -> Op {
    Op::DeleteDomain {
        name: apex(name),
        force: true,
        if_match: None,
    }
}

impl House {
    /// Takes a change back under a key.
    fn undo_keyed(&self, id: u64, key: &str) -> Result<Outcome, Refusal> {
        let engine = self.engine.clone();
        let undo = Undo {
            id,
            actor: Actor("test".to_owned()),
            reason: Some("a mistake".to_owned()),
            key: keyed(change(Vec::new()), key, 7).id,
            dry_run: false,
            expect_domains: None,
        };
        let undone = self.wait(async move { engine.undo(undo).await });
        undone.map_err(|mut errors| errors.remove(0).refusal)
    }

    /// Returns why a scheduled change failed.
    fn why(&self, id: u64) -> String {
        let ChangeState::Failed { why, .. } = self.fate(id) else {
            panic!("{:?}", self.fate(id));
        };
        why.join("; ")
    }
}

#[test]
fn what_is_gone_at_its_moment_fails_by_name_and_once() {
    let house = House::with_active();
    house.done(add("two.test"));
    let drain = house.schedule(
        change(vec![to(LifecycleState::Draining)]),
        house.after(HOUR),
    );
    let drain = drain.unwrap().revision;
    let rotate = Op::Rotate {
        pool: "main".to_owned(),
        burn: Vec::new(),
        activate: 1,
        if_match: None,
    };
    let rotate = house.schedule(change(vec![rotate]), house.after(HOUR));
    let rotate = rotate.unwrap().revision;
    house.done(delete(ONE));
    house.done(delete("two.test"));
    house.done(Op::DeletePool {
        name: "main".to_owned(),
        if_match: None,
    });
    let before = house.engine.view().revision();

    house.pass_by(HOUR);
    house.pass_by(HOUR);

    assert_eq!(house.why(drain), "there is no domain \"one.test\"");
    assert_eq!(house.why(rotate), "there is no pool \"main\"");
    let said = house.engine.audit(before, 10).unwrap();
    assert_eq!(said.len(), 2, "each is said once: {said:?}");
    let refused = house.undo(drain).unwrap_err();
    assert!(
        refused.to_string().contains("nothing was done"),
        "{refused}"
    );
    let refused = house.undo_keyed(drain, "key").unwrap_err();
    assert!(matches!(refused, Refusal::Conflict(_)), "{refused}");
}

#[test]
fn a_step_is_scheduled_for_when_it_may_be_taken() {
    let house = House::with_active();
    house.done(to(LifecycleState::Draining));
    let retire = || change(vec![to(LifecycleState::Retired)]);
    let early = house.schedule(retire(), house.after(DAY)).unwrap_err();
    let Refusal::TooEarly { not_before, .. } = early[0].refusal else {
        panic!("{early:?}");
    };
    let moment = not_before.unwrap();

    let id = house.schedule(retire(), moment).unwrap().revision;
    house.pass_by(moment.since(house.clock.now()));

    assert_eq!(house.fate(id), ChangeState::Applied);
    assert_eq!(house.stands(), LifecycleState::Retired);
}

#[test]
fn what_is_overdue_is_made_in_the_order_of_its_moments() {
    let house = House::with_active();
    let rotate = |house: &House| {
        let rotate = Op::Rotate {
            pool: "main".to_owned(),
            burn: vec![apex(ONE)],
            activate: 1,
            if_match: None,
        };
        house.schedule(change(vec![rotate]), house.after(2 * HOUR))
    };
    // Accepted in the opposite order; the rotation needs the domain that comes first.
    let second = rotate(&house).unwrap().revision;
    let first = house.schedule(change(vec![add("two.test")]), house.after(HOUR));
    let first = first.unwrap().revision;

    house.clock.advance(3 * HOUR);
    let house = house.restarted();
    house.engine.tick();

    assert_eq!(house.fate(first), ChangeState::Applied);
    assert_eq!(house.fate(second), ChangeState::Applied);
    let two = house.engine.view().domain(&apex("two.test")).unwrap();
    assert_eq!(two.state, LifecycleState::Active);
}

#[test]
fn a_change_is_undone_once_and_says_so() {
    let house = House::with_active();
    let drained = house.done(to(LifecycleState::Draining)).revision;

    let by = house.undo_keyed(drained, "key").unwrap().revision;
    let again = house.undo(drained).unwrap_err().to_string();
    let house = house.restarted();
    let replayed = house.undo_keyed(drained, "key").unwrap();

    assert!(
        again.contains(&format!("undone already, at revision {by}")),
        "{again}"
    );
    assert_eq!((replayed.revision, replayed.replayed), (by, true));
    assert_eq!(replayed.plan.effects[0].subject, ONE);
    assert_eq!(house.stands(), LifecycleState::Active);
    let (_, said) = house.engine.audit(by - 1, 1).unwrap().remove(0);
    assert_eq!(said.reason.as_deref(), Some("a mistake"));
}

#[test]
fn there_is_room_for_so_many_and_no_more() {
    let house = House::with_active();
    let at = house.after(HOUR);
    let step = || change(vec![to(LifecycleState::Draining)]);
    let changes: Vec<Change> = (0..10_000)
        .map(|_| Change {
            ops: vec![Op::Schedule {
                at,
                ops: step().ops,
                expect_domains: None,
            }],
            ..step()
        })
        .collect();
    let outcomes = house.make_all(changes);
    assert!(outcomes.iter().all(Result::is_ok));

    let full = house.schedule(step(), at).unwrap_err().remove(0).refusal;
    assert!(matches!(full, Refusal::NoRoom(_)), "{full}");
    let first = outcomes[0].as_ref().unwrap().revision;
    house.undo(first).unwrap();
    house.schedule(step(), at).unwrap();

    // The first of them drains it; the others come too late, each is told so, and none stays.
    let house = house.restarted();
    house.pass_by(HOUR);
    assert_eq!(house.stands(), LifecycleState::Draining);
    house
        .schedule(change(vec![add("two.test")]), house.after(HOUR))
        .unwrap();
}

#[test]
fn there_is_room_for_so_much_and_no_more() {
    let house = House::with_active();
    let names: Vec<Op> = (0..10_000).map(|n| add(&format!("d{n}.test"))).collect();
    let mut accepted = 0;

    let full = loop {
        match house.schedule(change(names.clone()), house.after(HOUR)) {
            Ok(_) => accepted += 1,
            Err(mut errors) => break errors.remove(0).refusal,
        }
    };

    assert!(matches!(full, Refusal::NoRoom(_)), "{full}");
    assert!((15..50).contains(&accepted), "{accepted}");
}

#[test]
fn what_a_restored_store_cannot_know_of_is_not_made() {
    let mut house = House::with_active();
    let drain = house.schedule(
        change(vec![to(LifecycleState::Draining)]),
        house.after(HOUR),
    );
    let drain = drain.unwrap().revision;
    let later = house.schedule(change(vec![add("two.test")]), house.after(4 * HOUR));
    let later = later.unwrap().revision;
    house.stop();
    let restored = Restored {
        at: house.clock.now(),
        backup_revision: house.engine.view().revision(),
    };
    let mut batch = Batch::new();
    meta::RESTORED.put(&mut batch, &restored);
    house.store.commit(&batch).unwrap();
    house.clock.advance(2 * HOUR);

    let house = house.restarted();
    house.engine.tick();

    assert!(house.why(drain).contains("restore"), "{}", house.why(drain));
    assert_eq!(house.stands(), LifecycleState::Active);
    assert_eq!(house.fate(later), ChangeState::Scheduled);
    house.pass_by(2 * HOUR);
    assert_eq!(house.fate(later), ChangeState::Applied);
}

#[test]
fn a_step_that_guards_itself_is_taken_back_by_number_alone() {
    let house = House::with_active();
    let revision = house.engine.view().domain(&apex(ONE)).unwrap().revision;
    let drain = Op::Transition {
        name: apex(ONE),
        to: LifecycleState::Draining,
        force: false,
        if_match: Some(IfMatch::Revision(revision)),
    };
    let id = house.done(drain).revision;

    house.clock.advance(Duration::from_secs(1));
    house.undo(id).unwrap();

    assert_eq!(house.stands(), LifecycleState::Active);
}
