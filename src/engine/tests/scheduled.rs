//! Changes that are made later, and changes that are taken back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::house::*;
use crate::clock::{Clock, Timestamp};
use crate::engine::{
    Actor, Change, ChangeState, DomainFilter, IfMatch, Op, OpError, Outcome, Refusal, Undo,
};
use crate::lifecycle::LifecycleState;
use crate::mail::RoutingAnswer;
use crate::store::Space;
use crate::wire::Rtype;

pub(super) const ONE: &str = "one.test";

/// An hour.
pub(super) const HOUR: Duration = Duration::from_secs(3600);

impl House {
    /// Builds a house with an active domain.
    pub(super) fn with_active() -> Self {
        let house = Self::with_pool();
        house.done(add(ONE));
        house.done(to(LifecycleState::Active));
        house
    }

    /// Schedules a change.
    pub(super) fn schedule(&self, change: Change, at: Timestamp) -> Result<Outcome, Vec<OpError>> {
        let engine = self.engine.clone();
        self.wait(async move { engine.schedule(change, at).await })
    }

    /// Takes a change back.
    pub(super) fn undo(&self, id: u64) -> Result<Outcome, Refusal> {
        let engine = self.engine.clone();
        let undo = Undo {
            id,
            actor: Actor("test".to_owned()),
            reason: None,
            key: None,
            dry_run: false,
            expect_domains: None,
        };
        let undone = self.wait(async move { engine.undo(undo).await });
        undone.map_err(|mut errors| {
            assert_eq!(errors.len(), 1, "{errors:?}");
            errors.remove(0).refusal
        })
    }

    /// Returns what became of a change.
    pub(super) fn fate(&self, id: u64) -> ChangeState {
        self.engine.change_view(id).unwrap().unwrap().state
    }

    /// Returns where the domain stands.
    pub(super) fn stands(&self) -> LifecycleState {
        self.engine.view().domain(&apex(ONE)).unwrap().state
    }

    /// Lets time pass and does what is due.
    pub(super) fn pass_by(&self, span: Duration) {
        self.clock.advance(span);
        self.engine.tick();
    }

    /// Returns the moment after a span.
    pub(super) fn after(&self, span: Duration) -> Timestamp {
        self.clock.now().saturating_add(span)
    }
}

/// Moves the domain to a state.
pub(super) fn to(state: LifecycleState) -> Op {
    Op::Transition {
        name: apex(ONE),
        to: state,
        force: false,
        if_match: None,
    }
}

/// Suspends the domain.
pub(super) fn suspend() -> Op {
    Op::Suspend {
        name: apex(ONE),
        answer: RoutingAnswer::Never,
        until: None,
        if_match: None,
    }
}

#[test]
fn a_scheduled_change_is_made_at_its_moment_and_not_before() {
    let house = House::with_active();
    let mut drain = change(vec![to(LifecycleState::Draining)]);
    drain.reason = Some("the end of the month".to_owned());
    let id = house.schedule(drain, house.after(HOUR)).unwrap().revision;
    let shown = house.engine.change_view(id).unwrap().unwrap();
    assert_eq!(shown.state, ChangeState::Scheduled);
    let step = &shown.steps[0];
    assert_eq!((step.kind, &*step.subject), ("transition", ONE));
    assert_eq!(step.what, "one.test becomes draining");

    house.pass_by(HOUR - Duration::from_secs(1));
    assert_eq!(house.stands(), LifecycleState::Active);
    house.pass_by(Duration::from_secs(1));

    assert_eq!(house.stands(), LifecycleState::Draining);
    let shown = house.engine.change_view(id).unwrap().unwrap();
    assert_eq!(shown.state, ChangeState::Applied);
    let applied = shown.applied.unwrap();
    assert_eq!((&*applied.actor, applied.at), ("test", house.clock.now()));
    assert_eq!(applied.reason.as_deref(), Some("the end of the month"));
    assert_eq!(applied.changes[0].op, "transition");
}

#[test]
fn a_scheduled_change_survives_a_restart_and_is_made_once() {
    let house = House::with_active();
    let later = change(vec![to(LifecycleState::Draining), add("two.test")]);
    let id = house.schedule(later, house.after(HOUR)).unwrap().revision;

    let house = house.restarted();
    assert_eq!(house.fate(id), ChangeState::Scheduled);
    // It was down at the moment itself.
    house.clock.advance(2 * HOUR);
    let house = house.restarted();
    house.engine.tick();
    assert_eq!(house.fate(id), ChangeState::Applied);
    let revision = house.engine.view().revision();

    let house = house.restarted();
    house.pass_by(HOUR);
    assert_eq!(house.engine.view().revision(), revision);
    assert_eq!(house.stands(), LifecycleState::Draining);
    assert!(house.has("two.test", Rtype::MX));
}

#[test]
fn what_is_illegal_today_is_not_scheduled() {
    let house = House::with_active();

    let retire = change(vec![add("two.test"), to(LifecycleState::Retired)]);
    let errors = house.schedule(retire, house.after(HOUR)).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].op, 1, "the step is named as it came");
    let now = house.clock.now();
    let past = house.schedule(change(vec![add("two.test")]), now);
    let past = past.unwrap_err().remove(0).refusal;
    assert!(matches!(past, Refusal::Moment(_)), "{past:?}");
    let mistyped = house.after(11 * 366 * DAY);
    let far = house.schedule(change(vec![add("two.test")]), mistyped);
    let far = far.unwrap_err().remove(0).refusal;
    assert!(matches!(far, Refusal::Moment(_)), "{far:?}");
    let seen = Op::Observe {
        name: apex(ONE),
        word: crate::engine::Word::default(),
        if_match: None,
    };
    let seen = house.schedule(change(vec![seen]), house.after(HOUR));
    assert!(matches!(seen.unwrap_err()[0].refusal, Refusal::Conflict(_)));
    assert!(house.store.keys(Space::Change).is_empty());
}

#[test]
fn what_is_illegal_at_its_moment_fails_whole_and_says_so() {
    let house = House::with_active();
    let later = change(vec![add("two.test"), to(LifecycleState::Standby)]);
    let id = house.schedule(later, house.after(HOUR)).unwrap().revision;
    // An address is given out: standing by is no step any more.
    house.hand_out("main").unwrap();
    let before = house.engine.view().revision();

    house.pass_by(HOUR);

    let ChangeState::Failed { at, why } = house.fate(id) else {
        panic!("{:?}", house.fate(id));
    };
    assert_eq!(at, house.clock.now());
    assert!(why[0].contains("handed out"), "{why:?}");
    assert_eq!(house.stands(), LifecycleState::Active);
    assert!(!house.has("two.test", Rtype::MX));
    let (_, record) = house.engine.audit(before, 10).unwrap().remove(0);
    assert_eq!(record.changes[0].op, "fail_scheduled");
    let house = house.restarted();
    house.pass_by(HOUR);
    assert_eq!(house.engine.view().revision(), before + 1);
}

#[test]
fn a_full_disk_fails_no_scheduled_change() {
    let house = House::with_active();
    let drain = change(vec![to(LifecycleState::Draining)]);
    let id = house.schedule(drain, house.after(HOUR)).unwrap().revision;

    house.store.set_full(true);
    house.pass_by(HOUR);
    assert_eq!(house.fate(id), ChangeState::Scheduled);
    house.store.set_full(false);
    house.pass_by(HOUR);

    assert_eq!(house.fate(id), ChangeState::Applied);
}

#[test]
fn a_clock_that_jumps_makes_nothing_before_its_moment() {
    let house = House::with_active();
    let drain = change(vec![to(LifecycleState::Draining)]);
    let id = house.schedule(drain, house.after(DAY)).unwrap().revision;

    // Ten years ahead, as a broken battery makes it: no such clock is believed.
    house.clock.set_wall(house.after(3650 * DAY));
    house.engine.tick();
    assert_eq!(house.fate(id), ChangeState::Scheduled);
    house.clock.set_wall(START);
    house.engine.tick();
    assert_eq!(house.fate(id), ChangeState::Scheduled);
    house.pass_by(DAY);

    assert_eq!(house.fate(id), ChangeState::Applied);
}

#[test]
fn a_scheduled_change_is_called_off_by_undo() {
    let house = House::with_active();
    let drain = change(vec![to(LifecycleState::Draining)]);
    let id = house.schedule(drain, house.after(HOUR)).unwrap().revision;

    let by = house.undo(id).unwrap().revision;
    house.pass_by(2 * HOUR);

    assert_eq!(house.stands(), LifecycleState::Active);
    assert_eq!(house.fate(id), ChangeState::Undone { by });
    let again = house.undo(id).unwrap_err().to_string();
    assert!(again.contains("called off already"), "{again}");
    assert_eq!(house.restarted().fate(id), ChangeState::Undone { by });
}

#[test]
fn a_scheduled_change_that_was_made_is_taken_back() {
    let house = House::with_active();
    let drain = change(vec![to(LifecycleState::Draining)]);
    let id = house.schedule(drain, house.after(HOUR)).unwrap().revision;
    house.pass_by(HOUR);

    // Named by the revision that it made, it is the same change.
    let made = house.engine.view().revision();
    let by = house.undo(made).unwrap().revision;

    assert_eq!(house.stands(), LifecycleState::Active);
    assert_eq!(house.fate(id), ChangeState::Undone { by });
    assert_eq!(house.fate(made), ChangeState::Undone { by });
}

#[test]
fn a_scheduled_change_comes_once_under_its_key() {
    let house = House::with_active();
    let later = || keyed(change(vec![to(LifecycleState::Draining)]), "key", 1);
    let at = house.after(HOUR);

    let first = house.schedule(later(), at).unwrap();
    let again = house.schedule(later(), at).unwrap();

    assert_eq!((again.revision, again.replayed), (first.revision, true));
    assert_eq!(house.store.keys(Space::Change).len(), 1);
    let dry = Change {
        dry_run: true,
        ..change(vec![to(LifecycleState::Draining)])
    };
    let dry = house.schedule(dry, at).unwrap();
    assert_eq!(dry.plan.effects[0].what, "active becomes draining");
    assert_eq!(house.store.keys(Space::Change).len(), 1);
}

#[test]
fn if_match_is_looked_at_again_at_the_moment() {
    let house = House::with_active();
    let revision = house.engine.view().domain(&apex(ONE)).unwrap().revision;
    let drain = Op::Transition {
        name: apex(ONE),
        to: LifecycleState::Draining,
        force: false,
        if_match: Some(IfMatch::Revision(revision)),
    };
    let at = house.after(HOUR);
    let id = house.schedule(change(vec![drain]), at).unwrap().revision;
    house.done(suspend());

    house.pass_by(HOUR);

    assert!(matches!(house.fate(id), ChangeState::Failed { .. }));
}

#[test]
fn a_rotation_is_taken_back_whole() {
    let house = House::with_active();
    house.done(add("two.test"));
    let rotation = house.done(Op::Rotate {
        pool: "main".to_owned(),
        burn: Vec::new(),
        activate: 1,
        if_match: None,
    });

    let by = house.undo(rotation.revision).unwrap().revision;

    assert_eq!(house.fate(rotation.revision), ChangeState::Undone { by });
    let active = DomainFilter {
        pool: None,
        state: Some(LifecycleState::Active),
    };
    let active = house.engine.view().domains(&active, None, 10).items;
    assert_eq!(active.len(), 1);
    assert_eq!(active[0].name, apex(ONE));
    // And that is taken back, too.
    house.undo(by).unwrap();
    assert_eq!(house.stands(), LifecycleState::Draining);
}

#[test]
fn an_undo_that_is_not_safe_any_more_is_refused_whole() {
    let house = House::with_active();
    house.done(add("two.test"));
    let rotation = house.done(Op::Rotate {
        pool: "main".to_owned(),
        burn: vec![apex(ONE)],
        activate: 1,
        if_match: None,
    });
    // The new one was given out: it cannot stand by again.
    house.hand_out("main").unwrap();

    let refused = house.undo(rotation.revision).unwrap_err();

    assert!(refused.to_string().contains("handed out"), "{refused}");
    assert_eq!(house.stands(), LifecycleState::Draining);
    assert_eq!(house.fate(rotation.revision), ChangeState::Applied);
}

#[test]
fn what_has_changed_since_is_not_undone() {
    let house = House::with_active();
    let drained = house.done(to(LifecycleState::Draining)).revision;
    house.done(suspend());

    let refused = house.undo(drained).unwrap_err();

    assert!(
        refused.to_string().contains("was changed since"),
        "{refused}"
    );
    assert!(matches!(refused, Refusal::Conflict(_)));
}

#[test]
fn suspensions_and_holds_are_taken_back_to_what_was() {
    let house = House::with_active();
    let hold = |reason: &str| {
        let mut hold = change(vec![Op::Hold {
            name: apex(ONE),
            if_match: None,
        }]);
        hold.reason = Some(reason.to_owned());
        house.done(hold).revision
    };
    hold("first");
    let second = hold("second");
    house.undo(second).unwrap();
    let held = || house.engine.view().domain(&apex(ONE)).unwrap().hold;
    assert_eq!(held().unwrap().reason, "first");
    let suspended = house.done(suspend()).revision;
    house.undo(suspended).unwrap();
    let domain = house.engine.view().domain(&apex(ONE)).unwrap();
    assert_eq!(domain.suspension, None);
    house.done(suspend());
    let resumed = house.done(Op::Resume {
        name: apex(ONE),
        if_match: None,
    });

    house.undo(resumed.revision).unwrap();

    let domain = house.engine.view().domain(&apex(ONE)).unwrap();
    assert_eq!(domain.suspension.unwrap().answer, RoutingAnswer::Never);
    assert!(domain.hold.is_some());
}

#[test]
fn records_and_what_is_said_about_a_domain_are_taken_back() {
    let house = House::with_active();
    let put = |text: &str| {
        let records =
            format!("@ 900 SOA ns hostmaster 1 1 1 1 1\n@ NS ns.elsewhere.test.\n{text}\n");
        let Op::PutZone { data, .. } = put_zone(ONE, &records) else {
            panic!("a zone was put");
        };
        let rrset = data.rrsets.into_iter().find(|it| it.rtype == Rtype::A);
        house.done(Op::PutRrset {
            domain: apex(ONE),
            rrset: rrset.unwrap(),
            if_match: None,
        })
    };
    let first = put("www 300 A 192.0.2.1").revision;
    let second = put("www 600 A 192.0.2.2\nwww 600 A 192.0.2.3").revision;

    let before = house.ask("www.one.test", Rtype::A);
    assert_eq!(before.1, 3, "two addresses and their signature");
    house.undo(second).unwrap();
    assert_eq!(house.ask("www.one.test", Rtype::A).1, 2);
    // What was put first has been changed since, so it stays.
    assert!(matches!(house.undo(first), Err(Refusal::Conflict(_))));
    let patch = |registrar: &str| Op::PatchDomain {
        name: apex(ONE),
        registrar: Some(Some(registrar.to_owned())),
        expires_at: None,
        labels: None,
        if_match: None,
    };
    house.done(patch("a"));
    let patched = house.done(patch("b")).revision;
    house.undo(patched).unwrap();
    let domain = house.engine.view().domain(&apex(ONE)).unwrap();
    assert_eq!(domain.registrar.as_deref(), Some("a"));
}

#[test]
fn pools_zones_and_additions_are_taken_back_as_far_as_that_is_safe() {
    let house = House::new();
    let pool = house.done(put_pool("main", &settings(&[]))).revision;
    let infra = house.done(put_zone("infra.test", INFRA)).revision;
    // The pool names its name servers.
    let refused = house.undo(infra).unwrap_err();
    assert!(refused.to_string().contains("L14"), "{refused}");
    let zone = house.done(put_zone("other.test", INFRA)).revision;
    house.undo(zone).unwrap();
    assert!(house.engine.view().zone(&apex("other.test")).is_none());
    let ttl = house.done(put_pool("main", &settings(&[("ttl", json!("2h"))])));
    house.undo(ttl.revision).unwrap();
    let fresh = settings(&[("fresh", json!(true))]);
    house.done(put_pool("main", &fresh));
    let added = house.done(add(ONE)).revision;
    house.undo(added).unwrap();
    assert!(!house.has(ONE, Rtype::MX));
    let refused = house.undo(pool).unwrap_err();
    assert!(refused.to_string().contains("changed since"), "{refused}");
    house.done(add(ONE));
    let deleted = house.done(Op::DeleteDomain {
        name: apex(ONE),
        force: true,
        if_match: None,
    });

    let refused = house.undo(deleted.revision).unwrap_err();

    assert!(refused.to_string().contains("keys"), "{refused}");
    assert!(matches!(house.undo(4711), Err(Refusal::NotFound { .. })));
}

#[test]
fn an_undo_and_another_change_of_its_subject_come_one_after_the_other() {
    let house = House::with_active();
    let drained = house.done(to(LifecycleState::Draining)).revision;
    let engine = house.engine.clone();
    let done = engine.audit(drained - 1, 1).unwrap().remove(0).1;
    let undo = change(vec![Op::Undo {
        id: drained,
        done: Some(Arc::new(done)),
        note: Arc::default(),
    }]);

    let outcomes = house.make_all(vec![undo, change(vec![suspend()])]);

    // Either the suspension comes second, or the undo finds that it came first.
    assert!(outcomes[1].is_ok());
    let undone = outcomes[0].is_ok();
    assert_eq!(house.stands() == LifecycleState::Active, undone);
}

/// They stayed in the store for ever, with all their steps.
#[test]
fn a_scheduled_change_is_forgotten_ninety_days_after_it_ended() {
    let house = House::with_active();
    let drain = change(vec![to(LifecycleState::Draining)]);
    let made = house.schedule(drain, house.after(HOUR)).unwrap().revision;
    let called_off = change(vec![suspend()]);
    let called_off = house.schedule(called_off, house.after(300 * DAY)).unwrap();
    house.undo(called_off.revision).unwrap();
    let waits = change(vec![suspend()]);
    let waits = house.schedule(waits, house.after(300 * DAY)).unwrap();
    house.pass_by(HOUR);
    let ChangeState::Applied = house.fate(made) else {
        panic!("it was made");
    };
    let applied = house.engine.change_view(made).unwrap().unwrap().applied;
    let applied = applied.unwrap().revision;

    house.pass_by(89 * DAY);
    assert_eq!(house.store.keys(Space::Change).len(), 3);
    house.pass_by(2 * DAY);

    assert_eq!(house.store.keys(Space::Change).len(), 1);
    assert_eq!(house.fate(waits.revision), ChangeState::Scheduled);
    for id in [made, called_off.revision] {
        assert_eq!(house.engine.change_view(id).unwrap(), None);
        let refused = house.undo(id).unwrap_err();
        assert!(matches!(refused, Refusal::NotFound { .. }), "{refused}");
    }
    // What one did is known for good, and can be taken back.
    assert_eq!(house.fate(applied), ChangeState::Applied);
    house.undo(applied).unwrap();
    assert_eq!(house.stands(), LifecycleState::Active);
}
