//! Whole lives of domains, in simulated time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::house::*;
use crate::clock::{Clock, ManualClock, Span, Timestamp};
use crate::engine::life::{Life, PLAIN, forget_turns};
use crate::engine::{EngineConfig, HeldWhat, Observation, Op, Refusal, Word};
use crate::history::Timeline;
use crate::lifecycle::{About, DsSeen, Fact, LifecycleState, NsSeen, Subject, Urgency};
use crate::mail::{Form, HostsForm, RoutingAnswer};
use crate::store::meta::{self, Restored};
use crate::store::record::{PolicyTurn, Turn};
use crate::store::{Batch, Space, Store};
use crate::wire::{Rtype, Serial};

const ONE: &str = "one.test";

/// An hour.
const HOUR: Duration = Duration::from_secs(3600);

/// Returns the settings of a pool with a policy, whose lives are short enough to be walked.
fn life_settings(members: &[(&str, Value)]) -> Value {
    let mut document = settings(&[
        ("drain", json!("2d")),
        ("quarantine", json!("3d")),
        ("query_floor", json!(10)),
        (
            "mta_sts",
            json!({ "mode": "enforce", "max_age": "7d", "addresses": ["192.0.2.80"] }),
        ),
        ("subdomains", json!(true)),
    ]);
    for (key, value) in members {
        document[*key] = value.clone();
    }
    document
}

impl House {
    /// Moves a domain on, or says why not.
    fn step(&self, to: LifecycleState, force: bool) -> Result<(), Refusal> {
        let mut wish = change(vec![Op::Transition {
            name: apex(ONE),
            to,
            force,
            if_match: None,
        }]);
        wish.reason = Some("test".to_owned());
        self.make(wish)
            .map(|_| ())
            .map_err(|mut errors| errors.remove(0).refusal)
    }

    /// Returns the rules that a step waits for.
    fn waits(&self, to: LifecycleState) -> Vec<&'static str> {
        match self.step(to, false) {
            Err(Refusal::TooEarly { waiting_for, .. }) => {
                let mut rules: Vec<_> = waiting_for.iter().map(|wait| wait.rule).collect();
                rules.dedup();
                rules
            }
            other => panic!("expected to wait, found {other:?}"),
        }
    }

    /// Says what the operator saw.
    fn say(&self, word: Word) {
        self.done(Op::Observe {
            name: apex(ONE),
            word,
            if_match: None,
        });
    }

    /// Lets time pass, some hours at a time, and has the engine do what is due.
    fn pass(&self, span: Duration) {
        let mut left = span;
        while left > Duration::ZERO {
            let part = left.min(12 * HOUR);
            self.clock.advance(part);
            self.engine.tick();
            left -= part;
        }
    }

    /// Returns what the mail hosts may accept.
    fn routed(&self) -> Option<RoutingAnswer> {
        self.routing.get(&apex(ONE)).map(|route| route.answer)
    }

    /// Returns the state of the domain.
    fn state(&self) -> LifecycleState {
        self.engine.view().domain(&apex(ONE)).unwrap().state
    }

    /// Returns everything that is known of the domain, as text.
    fn known(&self) -> String {
        let view = self.engine.view();
        let (domain, prospect) = (view.domain(&apex(ONE)), view.prospect(&apex(ONE)));
        format!("{domain:?} {prospect:?} {:?}", view.wakes())
    }

    /// Asserts that a restart changes nothing of what is known, served and waited for.
    fn restart_changes_nothing(self) -> Self {
        let before = (self.known(), self.routed(), self.has(ONE, Rtype::MX));
        let house = self.restarted();
        let after = (house.known(), house.routed(), house.has(ONE, Rtype::MX));
        assert_eq!(before, after);
        house
    }

    /// Returns the text of a TXT or MX RRset, as it is served.
    fn served_texts(&self, owner: &str, rtype: Rtype) -> Vec<String> {
        let (signed, template) = self.engine.signed_zone(&apex(ONE)).unwrap().unwrap();
        let unsigned = signed.to_unsigned(&template).unwrap();
        let rrsets = unsigned.rrsets().unwrap();
        let owner = name(owner);
        let found = rrsets
            .iter()
            .filter(|rrset| *rrset.owner() == owner && rrset.rtype() == rtype);
        found
            .flat_map(|rrset| rrset.rdatas().iter().map(|data| data.to_text(rtype)))
            .collect()
    }
}

/// The facts that a watcher of a domain in good order brings.
fn seen(house: &House, facts: Vec<Fact>) {
    let at = house.clock.now();
    let facts = facts.into_iter().map(|fact| Observation {
        name: apex(ONE),
        fact,
        at,
    });
    house.engine.observe(facts.collect());
    house.engine.tick();
}

/// Returns the serial that is served.
fn serial(house: &House) -> Serial {
    Serial::new(house.serial(ONE))
}

#[test]
fn a_whole_life_by_the_operators_word_and_restarts() {
    use LifecycleState::{Active, Draining, Released, Retired, Standby};
    let house = House::new();
    house.done(put_pool("main", &life_settings(&[])));
    house.done(add(ONE));
    assert_eq!(house.routed(), Some(RoutingAnswer::Later));
    let house = house.restart_changes_nothing();

    house.step(Active, false).unwrap();
    assert_eq!(house.routed(), Some(RoutingAnswer::Accept));
    let live = house.served_texts("_mta-sts.one.test", Rtype::TXT);
    let house = house.restart_changes_nothing();

    // T2: nothing is withdrawn, and the id follows the text (S9).
    house.step(Draining, false).unwrap();
    assert_eq!(house.routed(), Some(RoutingAnswer::Accept));
    assert_eq!(house.served_texts("_mta-sts.one.test", Rtype::TXT), live);
    house.pass(DAY);
    assert_eq!(house.served_texts("_mta-sts.one.test", Rtype::TXT), live);
    house.say(Word {
        policy_served: Some(true),
        ..Word::default()
    });
    house.engine.tick();
    let draining = house.served_texts("_mta-sts.one.test", Rtype::TXT);
    assert_ne!(draining, live, "S2, S9: another text has another id");
    let house = house.restart_changes_nothing();

    // T3: not before R1.
    assert_eq!(house.waits(Retired), ["R1"]);
    house.pass(2 * DAY);
    house.step(Retired, false).unwrap();
    assert_eq!(house.served_texts(ONE, Rtype::MX), ["0 ."], "I1");
    assert_eq!(house.served_texts("*.one.test", Rtype::MX), ["0 ."], "L15");
    assert!(house.has("mx1.one.test", Rtype::A), "hosts stay (X1, X3)");
    assert_eq!(house.routed(), Some(RoutingAnswer::Never), "L8");
    let house = house.restart_changes_nothing();
    house.verify(ONE);

    // L8: after the old MX has left the caches the hosts may forget it.
    house.pass(3 * DAY);
    assert_eq!(house.routed(), Some(RoutingAnswer::Gone));
    assert!(house.has("mx1.one.test", Rtype::A), "X3: replay");
    assert_eq!(
        house.served_texts("_mta-sts.one.test", Rtype::TXT),
        draining,
        "S9: none waits for its text"
    );
    house.say(Word {
        policy_served: Some(true),
        ..Word::default()
    });
    house.engine.tick();
    let none = house.served_texts("_mta-sts.one.test", Rtype::TXT);
    assert_ne!(none, draining);
    let house = house.restart_changes_nothing();

    // S10: TXT and host go when no sender can hold a policy that it acts on, of seven days the one,
    // of a day the other.
    house.pass(DAY);
    assert!(house.has("_mta-sts.one.test", Rtype::TXT), "S10, X2");
    house.pass(2 * DAY);
    assert!(!house.has("_mta-sts.one.test", Rtype::TXT));
    assert!(!house.has("mta-sts.one.test", Rtype::A));

    // X3: the hosts go when no signature of before is valid.
    house.pass(16 * DAY);
    assert!(!house.has("mx1.one.test", Rtype::A));
    let house = house.restart_changes_nothing();

    // X5: unknown counts wait.
    assert_eq!(house.waits(Released), ["X5"]);
    house.say(Word {
        queries: Some(3),
        ..Word::default()
    });
    house.step(Released, false).unwrap();
    assert!(house.has(ONE, Rtype::MX), "I8: the zone goes last");
    let house = house.restart_changes_nothing();

    // I8: the delegation is gone, and out of caches: 48 h where nobody measured, and a day.
    house.pass(5 * DAY);
    assert!(house.has(ONE, Rtype::MX));
    house.say(Word {
        ns_gone: Some(true),
        ..Word::default()
    });
    house.pass(2 * DAY);
    assert!(house.has(ONE, Rtype::MX));
    house.pass(2 * DAY);
    assert!(house.reader.get(&name(ONE)).is_none());
    assert_eq!(house.state(), Released, "a tombstone stays");
    assert!(house.store.keys(Space::Key).is_empty(), "its key is gone");
    let house = house.restarted();
    house.pass(30 * DAY);
    assert!(house.reader.get(&name(ONE)).is_none());

    house.done(Op::DeleteDomain {
        name: apex(ONE),
        force: false,
        if_match: None,
    });
    house.done(add(ONE));
    assert_eq!(house.state(), Standby);
    house.verify(ONE);
}

#[test]
fn a_watched_domain_becomes_active_and_goes_by_what_is_seen() {
    use LifecycleState::{Active, Draining, Released, Retired};
    let config = EngineConfig {
        watched: true,
        ..EngineConfig::default()
    };
    let clock = Arc::new(ManualClock::new(START));
    let house = House::configured(Fragile::new(), clock, config);
    let ready = json!({ "delegated": true, "secured": "yes", "mail_ready": true });
    let members = [
        ("readiness", ready),
        ("retire", json!("auto")),
        ("fresh", json!(true)),
    ];
    let mut document = life_settings(&members);
    document["mta_sts"] = Value::Null;
    house.done(put_pool("main", &document));
    house.done(add(ONE));

    assert_eq!(house.waits(Active), ["A1", "A2", "A3", "A4"]);
    let all = |serial| {
        vec![
            Fact::Published(serial),
            Fact::Ns(NsSeen::Ours, None),
            Fact::Ds(DsSeen::Ours),
            Fact::Mail(true),
        ]
    };
    seen(&house, all(serial(&house)));
    // A3: seen is not yet in force everywhere.
    assert!(house.waits(Active).contains(&"A3"));
    house.pass(6 * HOUR);
    seen(&house, all(serial(&house)));
    house.step(Active, false).unwrap();

    house.step(Draining, false).unwrap();
    house.pass(DAY);
    assert_eq!(house.state(), Draining);
    // A hold stops the clock.
    house.done(Op::Hold {
        name: apex(ONE),
        if_match: None,
    });
    house.pass(3 * DAY);
    assert_eq!(house.state(), Draining);
    let house = house.restart_changes_nothing();
    house.done(Op::Unhold {
        name: apex(ONE),
        if_match: None,
    });
    house.engine.tick();
    assert_eq!(house.state(), Retired, "retire = auto");
    let audit = house.engine.audit(0, 100).unwrap();
    let (_, last) = audit.last().unwrap();
    assert_eq!(last.actor, "mxpool");
    let after = last.changes[0].after.as_deref().unwrap();
    assert!(after.contains("R1: addresses handed out until"), "{after}");

    // I5: nothing goes while a listed server was not seen to serve the null MX.
    house.pass(30 * DAY);
    assert_eq!(house.routed(), Some(RoutingAnswer::Never));
    seen(&house, vec![Fact::Published(serial(&house))]);
    house.pass(2 * DAY);
    assert_eq!(house.routed(), Some(RoutingAnswer::Gone));
    seen(
        &house,
        vec![Fact::Published(serial(&house)), Fact::Queries(2)],
    );
    house.pass(22 * DAY);
    seen(
        &house,
        vec![Fact::Published(serial(&house)), Fact::Queries(2)],
    );
    house.step(Released, false).unwrap();
    // I8: seen to be delegated is never skipped.
    let delete = |force| Op::DeleteDomain {
        name: apex(ONE),
        force,
        if_match: None,
    };
    let refused = house.refused(delete(true));
    assert!(matches!(refused, Refusal::TooEarly { .. }), "{refused:?}");
    seen(&house, vec![Fact::Ns(NsSeen::Gone, None)]);
    house.pass(4 * DAY);
    assert!(house.reader.get(&name(ONE)).is_none());
}

/// A6: a foreign DS is never skipped, not even by force.
#[test]
fn a6_force_does_not_skip_a_foreign_ds() {
    let house = House::with_pool();
    house.done(add(ONE));
    seen(&house, vec![Fact::Ds(DsSeen::Foreign)]);

    let refused = house.step(LifecycleState::Active, true).unwrap_err();
    assert!(matches!(refused, Refusal::TooEarly { .. }), "{refused:?}");

    seen(&house, vec![Fact::Ds(DsSeen::Ours)]);
    house.pass(2 * DAY);
    house.step(LifecycleState::Active, true).unwrap();
}

/// R2: what a suspension made senders defer must not meet the null MX.
#[test]
fn r2_a_suspension_ends_by_itself_and_counts() {
    let house = House::new();
    house.done(put_pool(
        "main",
        &life_settings(&[("mta_sts", Value::Null)]),
    ));
    house.done(add(ONE));
    house.step(LifecycleState::Active, false).unwrap();
    let serial = house.serial(ONE);
    let until = house.clock.now().saturating_add(3 * DAY);
    house.done(Op::Suspend {
        name: apex(ONE),
        answer: RoutingAnswer::Later,
        until: Some(until),
        if_match: None,
    });
    assert_eq!(house.routed(), Some(RoutingAnswer::Later));
    let house = house.restart_changes_nothing();
    house.pass(2 * DAY);
    assert_eq!(house.routed(), Some(RoutingAnswer::Later));
    house.pass(DAY);
    assert_eq!(house.routed(), Some(RoutingAnswer::Accept));
    assert_eq!(house.serial(ONE), serial, "DNS is untouched");

    house.step(LifecycleState::Draining, false).unwrap();
    house.pass(3 * DAY);
    assert_eq!(house.waits(LifecycleState::Retired), ["R2"]);
    house.pass(3 * DAY);
    house.step(LifecycleState::Retired, false).unwrap();
}

/// R2: a host that applies the end of a suspension late made senders defer until then.
#[test]
fn r2_a_host_defers_until_it_has_applied_the_end_of_a_suspension() {
    defers_until_applied(Op::Resume {
        name: apex(ONE),
        if_match: None,
    });
}

/// R2: so did one that applies late that mail is refused for good (a story: suspended twice within the
/// minutes that a host takes, and retired five days after the second word).
#[test]
fn r2_a_host_defers_until_it_has_applied_another_suspension() {
    defers_until_applied(Op::Suspend {
        name: apex(ONE),
        answer: RoutingAnswer::Never,
        until: None,
        if_match: None,
    });
}

/// Suspends with "later", says `end`, which the host applies three days later.
fn defers_until_applied(end: Op) {
    let house = House::new();
    house.done(put_pool(
        "main",
        &life_settings(&[("mta_sts", Value::Null)]),
    ));
    house.done(add(ONE));
    let applied = |house: &House| {
        let revision = house.engine.view().revision();
        house.done(Op::HostApplied {
            host: "mx1@main".to_owned(),
            revision,
        });
    };
    house.step(LifecycleState::Active, false).unwrap();
    house.done(Op::Suspend {
        name: apex(ONE),
        answer: RoutingAnswer::Later,
        until: None,
        if_match: None,
    });
    applied(&house);
    house.done(end);
    let house = house.restarted();
    house.pass(3 * DAY);
    applied(&house);
    house.step(LifecycleState::Draining, false).unwrap();

    house.pass(4 * DAY);

    assert_eq!(house.waits(LifecycleState::Retired), ["R2"]);
    house.pass(DAY);
    house.step(LifecycleState::Retired, false).unwrap();
}

/// S2: a domain that drains a second time announces another id than the first time. In between senders
/// may have fetched the pool's own text under the first one, and would prolong that.
#[test]
fn s2_each_turn_of_a_domain_has_an_id_of_its_own() {
    let house = House::new();
    house.done(put_pool("main", &life_settings(&[])));
    house.done(add(ONE));
    let wanted = |house: &House| {
        let view = house.engine.view();
        view.prospect(&apex(ONE)).unwrap().policy_wanted.unwrap()
    };
    house.step(LifecycleState::Active, false).unwrap();
    let live = wanted(&house);
    house.step(LifecycleState::Draining, false).unwrap();
    let first = wanted(&house);
    house.pass(HOUR);
    house.step(LifecycleState::Active, false).unwrap();
    assert_eq!(wanted(&house), live);
    house.pass(HOUR);
    house.step(LifecycleState::Draining, false).unwrap();

    assert_ne!(wanted(&house), first);
}

/// S10, X2: what may have been fetched under an id counts until another is announced, though the domain
/// that wanted it moved on within the hour: policy hosts copy late.
#[test]
fn s10_a_text_that_was_wanted_for_an_hour_is_kept_for_its_max_age() {
    use LifecycleState::{Active, Draining, Retired};
    let served = || Word {
        policy_served: Some(true),
        ..Word::default()
    };
    let house = House::new();
    house.done(put_pool("main", &life_settings(&[])));
    house.done(add(ONE));
    house.step(Active, false).unwrap();
    house.step(Draining, false).unwrap();
    house.say(served());
    house.engine.tick();
    house.step(Active, false).unwrap();
    house.pass(HOUR);
    house.step(Draining, false).unwrap();
    house.pass(3 * DAY);
    house.step(Retired, false).unwrap();
    house.say(served());
    house.engine.tick();
    let house = house.restart_changes_nothing();

    // The pool's own text, of seven days, may have been fetched until now.
    house.pass(6 * DAY);
    assert!(house.has("_mta-sts.one.test", Rtype::TXT), "S10, X2");
    house.pass(4 * DAY);
    assert!(!house.has("_mta-sts.one.test", Rtype::TXT));
}

/// R3: a lowered TTL counts when the longer one has left the caches; a shortened drain does not bind
/// what drains already.
#[test]
fn r3_changes_of_the_pool_bind_by_its_history() {
    let house = House::new();
    let members = [("mta_sts", Value::Null), ("ttl", json!("2d"))];
    house.done(put_pool("main", &life_settings(&members)));
    house.done(add(ONE));
    house.step(LifecycleState::Active, false).unwrap();
    house.step(LifecycleState::Draining, false).unwrap();
    house.pass(DAY);
    let members = [
        ("mta_sts", Value::Null),
        ("ttl", json!("1h")),
        ("drain", json!("1h")),
    ];
    let mut wish = change(vec![put_pool("main", &life_settings(&members))]);
    wish.expect_domains = Some(1);
    house.done(wish);
    let house = house.restart_changes_nothing();

    assert_eq!(house.waits(LifecycleState::Retired), ["R1", "R3"]);
    house.pass(DAY);
    assert_eq!(house.waits(LifecycleState::Retired), ["R3"]);
    house.pass(2 * DAY);
    house.step(LifecycleState::Retired, false).unwrap();
}

/// T5: a retired domain comes back by force alone, and hands out nothing for a while.
#[test]
fn t5_a_retired_domain_comes_back_by_force() {
    use LifecycleState::{Active, Draining, Retired};
    let house = House::new();
    house.done(put_pool("main", &life_settings(&[])));
    house.done(add(ONE));
    for to in [Active, Draining, Retired] {
        house.step(to, true).unwrap();
    }
    assert_eq!(house.waits(Active), ["T5"]);

    house.step(Active, true).unwrap();

    assert!(house.served_texts(ONE, Rtype::MX)[0].starts_with("10 mx1"));
    assert_eq!(house.routed(), Some(RoutingAnswer::Accept));
    let view = house.engine.view();
    let waits = view.prospect(&apex(ONE)).unwrap().hand_out_waits;
    assert_eq!(waits.first().map(|wait| wait.rule), Some("T5"));
}

/// L14: a domain whose host another zone names keeps its hosts, and is not deleted.
#[test]
fn l14_a_referenced_host_stays() {
    use LifecycleState::{Active, Draining, Retired};
    let house = House::new();
    house.done(put_pool(
        "main",
        &life_settings(&[("mta_sts", Value::Null)]),
    ));
    house.done(add(ONE));
    house.done(put_zone(
        "infra.test",
        &format!("{INFRA}shop MX 10 mx1.one.test.\n"),
    ));
    for to in [Active, Draining, Retired] {
        house.step(to, true).unwrap();
    }
    house.pass(60 * DAY);
    assert!(house.has("mx1.one.test", Rtype::A));
    let delete = || Op::DeleteDomain {
        name: apex(ONE),
        force: true,
        if_match: None,
    };
    assert!(matches!(house.refused(delete()), Refusal::TooEarly { .. }));

    // Caches follow what the zone said, and it can be replayed: three weeks and a day, over a restart.
    house.done(put_zone("infra.test", INFRA));
    house.pass(22 * DAY - HOUR);
    assert!(house.has("mx1.one.test", Rtype::A));
    let house = house.restarted();
    house.pass(2 * HOUR);
    assert!(!house.has("mx1.one.test", Rtype::A));
    house.done(delete());
}

#[test]
fn a_rotation_moves_as_many_as_are_ready_and_says_what_is_short() {
    use LifecycleState::{Active, Draining};
    let house = House::with_pool();
    for n in 0..3 {
        house.done(add(&format!("d{n}.test")));
        house.pass(HOUR);
    }
    let rotate = |burn: &[&str], activate| Op::Rotate {
        pool: "main".to_owned(),
        burn: burn.iter().map(|name| apex(name)).collect(),
        activate,
        if_match: None,
    };
    let first = house.done(rotate(&[], 2)).plan.rotation.unwrap();
    assert_eq!(first.activated, [apex("d0.test"), apex("d1.test")]);
    assert_eq!((first.draining.len(), first.short), (0, 0));

    let second = house.done(rotate(&["d0.test"], 2)).plan.rotation.unwrap();

    assert_eq!(second.activated, [apex("d2.test")]);
    assert_eq!(second.draining, [apex("d0.test")]);
    assert_eq!(second.short, 1);
    let view = house.engine.view();
    assert_eq!(view.domain(&apex("d0.test")).unwrap().state, Draining);
    assert_eq!(view.domain(&apex("d2.test")).unwrap().state, Active);
    drop(view);
    let refused = house.refused(rotate(&["d0.test"], 1));
    assert!(matches!(refused, Refusal::Invalid(_)), "{refused:?}");
}

/// A8: a host that uses the routing feed is waited for; others are not.
#[test]
fn a8_nothing_is_handed_out_before_the_hosts_have_applied_the_routing() {
    let house = House::with_pool();
    house.done(add(ONE));
    let refused = house.hand_out("main").unwrap_err();
    assert!(refused.to_string().contains("none is active"), "{refused}");
    let applied = |revision| Op::HostApplied {
        host: "mx1@main".to_owned(),
        revision,
    };
    let before = house.done(applied(1)).revision;
    house.step(LifecycleState::Active, false).unwrap();

    let refused = house.hand_out("main").unwrap_err();
    assert!(refused.to_string().contains("A8"), "{refused}");
    house.done(applied(before + 1));
    assert_eq!(house.hand_out("main").unwrap(), apex(ONE));
    let refused = house.refused(applied(1_000_000));
    assert!(matches!(refused, Refusal::Invalid(_)), "{refused:?}");
}

#[test]
fn hand_outs_are_fair_counted_and_durable_from_the_first_on() {
    let house = House::with_pool();
    for name in ["a.test", "b.test"] {
        house.done(add(name));
        house.done(Op::Transition {
            name: apex(name),
            to: LifecycleState::Active,
            force: false,
            if_match: None,
        });
    }
    let revision = house.engine.view().revision();
    let mut given: Vec<_> = (0..2).map(|_| house.hand_out("main").unwrap()).collect();
    given.sort_unstable();
    assert_eq!(given, [apex("a.test"), apex("b.test")]);
    let count = |house: &House, name: &str| {
        let domain = house.engine.view().domain(&apex(name)).unwrap();
        domain.handed_out.map(|given| given.count)
    };
    // The first is stored before it is answered.
    assert_eq!(count(&house, "a.test"), Some(1));
    for _ in 0..98 {
        house.hand_out("main").unwrap();
    }
    assert_eq!(house.engine.view().revision(), revision);

    // A clean end stores what was counted.
    let house = house.restarted();
    assert_eq!(count(&house, "a.test"), Some(50));
    assert_eq!(count(&house, "b.test"), Some(50));
    house.done(Op::Suspend {
        name: apex("a.test"),
        answer: RoutingAnswer::Later,
        until: None,
        if_match: None,
    });
    for _ in 0..5 {
        assert_eq!(house.hand_out("main").unwrap(), apex("b.test"));
    }
    // T2: who was handed out does not stand by again.
    let refused = house.refused(Op::Transition {
        name: apex("b.test"),
        to: LifecycleState::Standby,
        force: false,
        if_match: None,
    });
    assert!(matches!(refused, Refusal::Conflict(_)), "{refused:?}");
}

#[test]
fn caches_show_every_version_that_somebody_may_hold() {
    let house = House::new();
    house.done(put_pool("main", &life_settings(&[])));
    house.done(add(ONE));
    for to in [LifecycleState::Active, LifecycleState::Draining] {
        house.step(to, true).unwrap();
    }
    house.pass(DAY);
    house.step(LifecycleState::Retired, true).unwrap();
    let off = house.clock.now();
    let held = |span: Duration| {
        let view = house.engine.view();
        let held = view.caches(&apex(ONE), off.saturating_add(span)).unwrap();
        held.into_iter()
            .filter(|held| {
                matches!(&held.what, HeldWhat::Rrset { owner, rtype, .. }
                    if owner == "@" && *rtype == Rtype::MX)
            })
            .collect::<Vec<_>>()
    };

    let both = held(Duration::ZERO);
    let old = both.iter().find(|held| held.off.is_some()).unwrap();
    assert_eq!(both.len(), 2, "{both:?}");
    assert_eq!(old.off, Some(off));
    // An hour, and the minute that a change takes to every server.
    assert_eq!(
        old.cache_until,
        Some(off.saturating_add(Duration::from_secs(3660)))
    );
    assert_eq!(old.replay_until, Some(off.saturating_add(21 * DAY)));
    assert_eq!(held(22 * DAY).len(), 1);
}

/// Every text of a pool's policy left two turns with each of its domains for good: 35 kB of each after a
/// year of daily changes.
#[test]
fn x2_a_year_of_policies_leaves_no_more_with_a_domain_than_somebody_may_hold() {
    let house = House::new();
    let with = |age: u64| {
        let policy =
            json!({ "mode": "testing", "max_age": format!("{age}s"), "addresses": ["192.0.2.80"] });
        let policy = [("mta_sts", policy)];
        put_pool("main", &life_settings(&policy))
    };
    house.done(with(86_400));
    house.done(add(ONE));
    let turns = |house: &House| {
        let view = house.engine.view();
        let life = view.facts().domains[&apex(ONE)].life.clone();
        life.map_or(0, |life| life.turns.len())
    };
    let served = || {
        house.say(Word {
            policy_served: Some(true),
            ..Word::default()
        });
        house.engine.tick();
    };
    let mut most = 0;
    for day in 1..120 {
        house.done(with(86_400 + day));
        served();
        house.pass(DAY);
        most = most.max(turns(&house));
    }

    // What is signed for three weeks, and a day of guard and of max_age.
    assert!((2 * 22..2 * 26).contains(&most), "{most}");
    let held = house.engine.view().caches(&apex(ONE), house.clock.now());
    let policies = held.unwrap().into_iter();
    let policies = policies.filter(|held| matches!(held.what, HeldWhat::Policy { .. }));
    assert!(policies.count() >= 2, "those of today and yesterday");
}

/// X5: since when the MX is null is told by the first turn with it, however long ago that ended.
#[test]
fn x5_turns_that_tell_since_when_the_mx_is_null_are_kept() {
    let at = Timestamp::from_secs;
    let null = |hosts| Turn {
        form: Form {
            hosts,
            ..Form::NULL
        },
        policy: PolicyTurn::Gone,
    };
    let mut life = Life {
        turns: Timeline::since(at(1), PLAIN),
        form: null(HostsForm::Gone).form,
        ..Life::default()
    };
    life.turns.put(at(10), null(HostsForm::Kept));
    life.turns.put(at(20), null(HostsForm::Gone));
    let held = Span::from_secs(5);

    forget_turns(&mut life, held, |_| None, at(100));
    assert_eq!(life.turns.len(), 3, "a listed server may serve all of them");
    forget_turns(&mut life, held, Some, at(100));

    let on: Vec<_> = life.turns.iter().map(|turn| turn.on).collect();
    assert_eq!(on, [at(10), at(20)]);
}

/// L6: where the MX is real postmaster is answered; of a name that was given up unused it was not.
#[test]
fn l6_a_name_that_is_released_unused_takes_postmaster_until_its_zone_goes() {
    let house = House::new();
    house.done(put_pool("main", &life_settings(&[])));
    house.done(add(ONE));
    house.step(LifecycleState::Released, false).unwrap();
    let route = |house: &House| house.routing.get(&apex(ONE));

    let released = route(&house).unwrap();
    assert_eq!(released.answer, RoutingAnswer::Never);
    assert!(released.postmaster);
    house.say(Word {
        ns_gone: Some(true),
        ..Word::default()
    });
    house.pass(10 * DAY);
    let gone = route(&house);
    assert!(gone.is_none_or(|gone| !gone.postmaster), "{gone:?}");
}

/// X4: reports, too, go to a name; it was released under them.
#[test]
fn x4_a_name_that_reports_go_to_is_not_released() {
    let house = House::new();
    let reports = json!({ "tlsrpt": "mailto:tlsrpt@one.test" });
    house.done(put_pool("main", &life_settings(&[("reports", reports)])));
    house.done(add(ONE));

    assert!(house.waits(LifecycleState::Released).contains(&"X4"));
    house.done(put_pool("main", &life_settings(&[])));
    house.pass(60 * DAY);
    house.step(LifecycleState::Released, false).unwrap();
}

/// I6: a null MX that nobody can validate bounces nothing, it defers.
#[test]
fn i6_a_retired_zone_is_signed_again_for_months() {
    let house = House::new();
    house.done(put_pool("main", &life_settings(&[])));
    house.done(add(ONE));
    for to in [
        LifecycleState::Active,
        LifecycleState::Draining,
        LifecycleState::Retired,
    ] {
        house.step(to, true).unwrap();
    }

    for _ in 0..60 {
        house.pass(DAY);
        house.verify(ONE);
        assert!(house.has(ONE, Rtype::MX));
    }
}

/// X2: senders that have the TXT cached fetch the policy as long, and keep it from then on; what was
/// shown ended an hour too early.
#[test]
fn x2_caches_show_a_policy_for_as_long_as_a_sender_may_hold_it() {
    let house = House::new();
    house.done(put_pool("main", &life_settings(&[])));
    house.done(add(ONE));
    for to in [LifecycleState::Active, LifecycleState::Draining] {
        house.step(to, true).unwrap();
    }
    house.done(Op::Observe {
        name: apex(ONE),
        word: Word {
            policy_served: Some(true),
            ..Word::default()
        },
        if_match: None,
    });
    house.pass(DAY);

    let held = house.engine.view().caches(&apex(ONE), house.clock.now());
    let ended = held.unwrap().into_iter().filter_map(|held| {
        let HeldWhat::Policy { max_age, .. } = held.what else {
            return None;
        };
        Some((max_age.as_duration(), held.off?, held.cache_until?))
    });
    let ended: Vec<_> = ended.collect();

    assert!(!ended.is_empty());
    for (max_age, off, until) in ended {
        let announced = Duration::from_secs(60 + 3_600);
        assert_eq!(until, off.saturating_add(announced + max_age));
    }
}

/// A listed server that has not followed gives out what was before: caches were said to be clear of it
/// a minute and a TTL later.
#[test]
fn caches_hold_what_a_listed_server_still_serves() {
    let config = EngineConfig {
        watched: true,
        ..EngineConfig::default()
    };
    let clock = Arc::new(ManualClock::new(START));
    let house = House::configured(Fragile::new(), clock, config);
    house.done(put_pool(
        "main",
        &life_settings(&[("mta_sts", Value::Null)]),
    ));
    house.done(add(ONE));
    seen(&house, vec![Fact::Published(serial(&house))]);
    house.step(LifecycleState::Active, true).unwrap();
    house.step(LifecycleState::Draining, true).unwrap();
    house.pass(DAY);
    house.step(LifecycleState::Retired, true).unwrap();
    let old_mx = |house: &House| {
        let held = house.engine.view().caches(&apex(ONE), house.clock.now());
        let mut held = held.unwrap().into_iter().filter(|held| {
            matches!(&held.what, HeldWhat::Rrset { owner, rtype, .. }
                if owner == "@" && *rtype == Rtype::MX)
        });
        held.find(|held| held.off.is_some()).unwrap().cache_until
    };

    house.pass(2 * DAY);
    assert_eq!(old_mx(&house), None);
    seen(&house, vec![Fact::Published(serial(&house))]);
    let followed = house.clock.now();

    assert_eq!(old_mx(&house), Some(followed.saturating_add(HOUR)));
}

/// K28: a restored store withdraws nothing for a while, and announces its policies anew.
#[test]
fn k28_a_restored_store_withholds_withdrawals_and_adopts_policies_anew() {
    let mut house = House::new();
    house.done(put_pool("main", &life_settings(&[("drain", json!("1h"))])));
    house.done(add(ONE));
    for to in [LifecycleState::Active, LifecycleState::Draining] {
        house.step(to, true).unwrap();
    }
    house.done(add("two.test"));
    let policy = |house: &House| house.engine.view().pool("main").unwrap().policy_id;
    let before = policy(&house);
    house.stop();
    let mut batch = Batch::new();
    let restored = Restored {
        at: house.clock.now(),
        backup_revision: house.engine.view().revision(),
    };
    meta::RESTORED.put(&mut batch, &restored);
    house.store.commit(&batch).unwrap();

    let house = house.restarted();
    house.engine.tick();

    let adopted = policy(&house);
    assert_ne!(adopted, before);
    house.verify("two.test");
    assert!(house.engine.view().recovering().is_some());
    house.pass(2 * DAY);
    assert_eq!(house.waits(LifecycleState::Retired), ["K28"]);
    let house = house.restarted();
    house.engine.tick();
    assert_eq!(policy(&house), adopted, "once only");
    house.pass(30 * DAY);
    house.step(LifecycleState::Retired, false).unwrap();
    assert!(house.engine.view().recovering().is_none());
}

/// A clock that jumps ahead retires nobody.
#[test]
fn a_clock_that_jumps_takes_no_step() {
    let house = House::new();
    let members = [("retire", json!("auto")), ("mta_sts", Value::Null)];
    house.done(put_pool("main", &life_settings(&members)));
    house.done(add(ONE));
    for to in [LifecycleState::Active, LifecycleState::Draining] {
        house.step(to, true).unwrap();
    }
    house.clock.set_wall(START.saturating_add(400 * DAY));
    house.engine.tick();
    assert_eq!(house.state(), LifecycleState::Draining);

    house.clock.set_wall(START);
    house.pass(3 * DAY);
    assert_eq!(house.state(), LifecycleState::Retired);
}

#[test]
fn the_outside_is_asked_for_what_a_domain_waits_for() {
    let house = House::new();
    let ready = json!({ "delegated": true, "secured": "yes", "mail_ready": true });
    house.done(put_pool("main", &life_settings(&[("readiness", ready)])));
    house.done(add(ONE));
    let ask = |subject| house.engine.questions(subject, None, &|_| true).unwrap();

    for subject in [
        Subject::Parent,
        Subject::Published,
        Subject::Mail,
        Subject::Policy,
    ] {
        let (questions, last) = ask(subject);
        assert_eq!(questions.len(), 1, "{subject:?}");
        assert_eq!(questions[0].urgency, Urgency::Waiting);
        assert_eq!(last, None);
    }
    let About::Parent(parent) = &ask(Subject::Parent).0[0].about else {
        panic!("expected a question about the parent");
    };
    assert_eq!((parent.keys.len(), parent.name_servers.len()), (1, 2));
    assert!(ask(Subject::Queries).0.is_empty());
    let (_, last) = house
        .engine
        .questions(Subject::Mail, Some(&apex(ONE)), &|_| true)
        .unwrap();
    assert_eq!(last, None);
}

/// The keys of every domain were read in every round, though of most of them nothing is asked but once
/// a day.
#[test]
fn the_store_is_not_read_for_what_is_not_asked_now() {
    let house = House::with_pool();
    house.done(add(ONE));
    let ask = |asked| house.engine.questions(Subject::Parent, None, &|_| asked);
    let reads = || house.store.reads.load(Ordering::SeqCst);
    let before = reads();

    let (questions, _) = ask(false).unwrap();

    assert!(questions.is_empty(), "{questions:?}");
    assert_eq!(reads(), before);
    assert_eq!(ask(true).unwrap().0.len(), 1);
    assert_eq!(reads(), before + 1);
}

/// What stood through a change of the signatures' lifetime was told to be replayed no longer than before
/// it.
#[test]
fn x3_what_stands_through_a_longer_lifetime_can_be_replayed_for_that_long() {
    let house = House::new();
    let one = ("caa", json!(["0 issue \"one.example\""]));
    house.done(put_pool("main", &settings(std::slice::from_ref(&one))));
    house.done(add(ONE));
    let longer = json!({ "signature_lifetime": "40d", "signature_refresh": "14d" });
    let longer = ("dnssec", longer);
    house.pass(DAY);
    house.done(put_pool("main", &settings(&[longer.clone(), one])));
    house.pass(DAY);
    let other = ("caa", json!(["0 issue \"other.example\""]));
    house.done(put_pool("main", &settings(&[longer, other])));

    let now = house.clock.now();
    let held = house.engine.view().caches(&apex(ONE), now).unwrap();
    let caa = held
        .iter()
        .filter(|held| matches!(&held.what, HeldWhat::Rrset { rtype, .. } if *rtype == Rtype::CAA));
    let until: Vec<_> = caa.filter_map(|held| held.replay_until).collect();
    assert!(
        until
            .iter()
            .all(|until| *until >= now.saturating_add(40 * DAY)),
        "{until:?}"
    );
    assert_eq!(until.len(), 1);
}
