//! What is wished for of pools in use, and comes step by step.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::house::*;
use crate::clock::{Clock, ManualClock};
use crate::engine::{EngineConfig, Observation, Op, Refusal, Word};
use crate::lifecycle::{Fact, ServersSeen};
use crate::store::meta::{self, Restored};
use crate::store::{Batch, Store};
use crate::wire::{Rtype, Serial};

const ONE: &str = "one.test";

/// Returns the settings of a pool with a second host of each domain.
fn with_second(members: &[(&str, Value)]) -> Value {
    let mut document = settings(members);
    let second = json!({ "name": "mx2", "preference": 20, "addresses": ["192.0.2.26"] });
    document["mail_host"].as_array_mut().unwrap().push(second);
    document
}

/// Returns settings with a policy.
fn policy(mode: &str) -> (&'static str, Value) {
    let policy = json!({ "mode": mode, "max_age": "7d", "addresses": ["192.0.2.80"] });
    ("mta_sts", policy)
}

impl House {
    /// Lets seconds pass, and has the engine do what is due.
    fn passes(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.engine.tick();
        self.engine.tick();
    }

    /// Says that the policy text is served.
    fn policy_served(&self) {
        let word = Word {
            policy_served: Some(true),
            ..Word::default()
        };
        self.done(Op::Observe {
            name: apex(ONE),
            word,
            if_match: None,
        });
        self.engine.tick();
    }

    /// Returns how many MX records are served.
    fn exchanges(&self) -> u16 {
        // The signature comes along.
        self.ask(ONE, Rtype::MX).1 - 1
    }

    /// Returns the rules that the pool's wish waits for.
    fn waits_of_pool(&self) -> Vec<&'static str> {
        let pool = self.engine.view().pool("main").unwrap();
        pool.waits.iter().map(|wait| wait.rule).collect()
    }
}

#[test]
fn m4_a_host_joins_at_once_but_for_its_mx_which_comes_by_itself_even_after_a_restart() {
    let house = House::with_pool();
    house.done(add(ONE));
    let revision = house.engine.view().revision();

    house.done(put_pool("main", &with_second(&[])));
    assert!(house.has("mx2.one.test", Rtype::A));
    assert_eq!((house.exchanges(), house.waits_of_pool()), (1, vec!["M4"]));
    let shown = house.engine.view().pool("main").unwrap();
    assert_eq!(shown.wished.mail_hosts().len(), 2);
    assert!(shown.settings.mail_hosts()[1].spare);

    // Dc, the negative TTL and the guard.
    house.passes(60 + 900 + 3_600 - 10);
    assert_eq!(house.exchanges(), 1);
    let house = house.restarted();
    assert_eq!(house.waits_of_pool(), ["M4"]);
    house.passes(70);

    assert_eq!(house.exchanges(), 2);
    assert!(house.waits_of_pool().is_empty());
    let view = house.engine.view();
    assert_eq!(view.pool("main").unwrap().settings, shown.wished);
    assert_eq!(view.revision(), revision + 2);
    drop(view);
    house.verify(ONE);
}

/// The negative TTL of before counts: a cache that was told for a day that there is no such host denied it
/// when its MX came.
#[test]
fn m4_a_shared_host_waits_for_as_long_as_its_zone_denied_it_before() {
    let house = House::new();
    let day = INFRA
        .replace(" 900\n", " 86400\n")
        .replace("@ 900", "@ 86400");
    house.done(put_zone("infra.test", &day));
    house.done(put_pool("main", &shared_settings(&[])));
    house.done(add(ONE));
    house.done(put_zone("infra.test", INFRA));
    let mut both = shared_settings(&[]);
    let second = json!({
        "name": "mx2.infra.test.",
        "preference": 20,
        "addresses": ["192.0.2.26"],
    });
    both["mail_host"].as_array_mut().unwrap().push(second);
    house.done(put_pool("main", &both));

    house.passes(60 + 86_400 + 3_600 - 10);
    assert_eq!((house.exchanges(), house.waits_of_pool()), (1, vec!["M4"]));
    house.passes(20);

    assert_eq!(house.exchanges(), 2);
}

#[test]
fn m4_a_host_waits_for_the_policy_that_names_it_to_be_announced() {
    let house = House::new();
    house.done(put_pool("main", &settings(&[policy("enforce")])));
    house.done(add(ONE));
    let id = |house: &House| {
        let (_, _, reply) = house.ask("_mta-sts.one.test", Rtype::TXT);
        let text = String::from_utf8_lossy(&reply).into_owned();
        let start = text.find("v=STSv1").unwrap();
        text[start..start + 24].to_owned()
    };
    let announced = id(&house);

    house.done(put_pool("main", &with_second(&[policy("enforce")])));
    // S9: the text is there, its id follows when it is served.
    assert_eq!(id(&house), announced);
    house.passes(30 * 86_400);
    assert_eq!(house.exchanges(), 1);
    house.policy_served();
    assert_ne!(id(&house), announced);
    house.passes(60 + 2 * 3_600 - 60);
    assert_eq!(house.exchanges(), 1);
    house.passes(120);

    assert_eq!(house.exchanges(), 2);
}

#[test]
fn a_wish_can_be_taken_back_and_another_one_changes_the_rest() {
    let house = House::with_pool();
    house.done(add(ONE));
    house.done(put_pool("main", &with_second(&[])));

    house.done(put_pool("main", &settings(&[("ttl", json!("2h"))])));

    assert!(house.waits_of_pool().is_empty());
    assert!(!house.has("mx2.one.test", Rtype::A));
    house.passes(30 * 86_400);
    assert_eq!(house.exchanges(), 1);
}

#[test]
fn what_withdraws_is_refused_with_its_rule_also_while_a_wish_is_on_its_way() {
    let house = House::with_pool();
    house.done(add(ONE));
    house.done(put_pool("main", &with_second(&[])));
    house.passes(2 * 86_400);

    let refusal = house.refused(put_pool("main", &settings(&[])));

    let Refusal::InUse { settings, .. } = refusal else {
        panic!("{refusal:?}");
    };
    assert!(settings[0].detail.contains("plan M"), "{settings:?}");
}

#[test]
fn t3_l8_mail_hosts_know_names_below_longer_than_their_mx_is_served() {
    let house = House::new();
    let with = |below| settings(&[("subdomains", json!(below)), ("drain", json!("1d"))]);
    house.done(put_pool("main", &with(true)));
    house.done(add(ONE));
    let below = |house: &House| house.routing.get(&apex(ONE)).unwrap().subdomains;

    house.done(put_pool("main", &with(false)));
    assert!(house.has("x.one.test", Rtype::MX));
    assert_eq!(house.waits_of_pool(), ["R1"]);
    house.passes(86_400 + 60);
    assert!(!house.has("x.one.test", Rtype::MX));
    assert!(below(&house));
    assert_eq!(house.waits_of_pool(), ["L8"]);
    let house = house.restarted();
    assert!(below(&house));
    house.passes(60 + 3_600 + 86_400 + 60);

    assert!(!below(&house));
    assert!(house.waits_of_pool().is_empty());
}

#[test]
fn s10_a_policy_ends_by_none_in_every_domain() {
    let house = House::new();
    house.done(put_pool("main", &settings(&[policy("enforce")])));
    house.done(add(ONE));

    house.done(put_pool("main", &settings(&[])));
    assert!(house.has("_mta-sts.one.test", Rtype::TXT));
    house.passes(100 * 86_400);
    // Nobody has seen `none` served.
    assert!(house.has("_mta-sts.one.test", Rtype::TXT));
    house.policy_served();
    // Dc and the TTL of the id before (S2), the max_age, and the guard.
    house.passes(60 + 3_600 + 8 * 86_400 - 60);
    assert!(house.has("mta-sts.one.test", Rtype::A));
    house.passes(120);

    assert!(!house.has("_mta-sts.one.test", Rtype::TXT));
    assert!(!house.has("mta-sts.one.test", Rtype::A));
}

#[test]
fn x5_queries_of_a_domain_without_mail_are_counted_by_the_day_and_remembered() {
    let house = House::with_pool();
    house.done(add(ONE));
    let mut retire = change(vec![Op::Transition {
        name: apex(ONE),
        to: crate::lifecycle::LifecycleState::Active,
        force: true,
        if_match: None,
    }]);
    retire.reason = Some("test".to_owned());
    house.done(retire);
    for to in [
        crate::lifecycle::LifecycleState::Draining,
        crate::lifecycle::LifecycleState::Retired,
    ] {
        let mut step = change(vec![Op::Transition {
            name: apex(ONE),
            to,
            force: true,
            if_match: None,
        }]);
        step.reason = Some("test".to_owned());
        house.done(step);
    }
    house.passes(1);
    let counted = |house: &House| house.engine.view().counts()[0].queries;
    assert_eq!(counted(&house), None);

    for _ in 0..3 {
        house.ask(ONE, Rtype::MX);
    }
    house.ask("a.one.test", Rtype::MX);
    house.ask(ONE, Rtype::TXT);
    house.passes(86_400);

    assert_eq!(counted(&house), Some(4));
    let house = house.restarted();
    assert_eq!(counted(&house), Some(4));
}

/// Nothing of a domain on hold is withdrawn, whatever the clock says: the pool's wish took the MX at
/// "*" from it, and its policy.
#[test]
fn i4_nothing_is_withdrawn_from_a_pool_while_one_of_its_domains_is_held() {
    let house = House::new();
    let wide = [
        ("subdomains", json!(true)),
        ("drain", json!("1s")),
        policy("testing"),
    ];
    house.done(put_pool("main", &settings(&wide)));
    house.done(add(ONE));
    house.done(add("two.test"));
    let hold = |held: bool| {
        let name = apex(ONE);
        let if_match = None;
        if held {
            Op::Hold { name, if_match }
        } else {
            Op::Unhold { name, if_match }
        }
    };
    house.done(hold(true));

    house.done(put_pool("main", &with_second(&[("drain", json!("1s"))])));
    assert!(house.has("mx2.one.test", Rtype::A), "what adds goes on");
    assert!(house.waits_of_pool().ends_with(&["I4", "I4"]));
    house.passes(40 * 86_400);
    for domain in [ONE, "two.test"] {
        assert!(house.has(&format!("sub.{domain}"), Rtype::MX));
        assert!(house.has(&format!("_mta-sts.{domain}"), Rtype::TXT));
    }
    let house = house.restarted();
    assert!(house.waits_of_pool().ends_with(&["I4", "I4"]));

    house.done(hold(false));
    house.passes(120);
    house.passes(2);
    house.passes(61);
    assert!(!house.has("sub.one.test", Rtype::MX));
}

/// Returns a pool with names below its domains, or without them.
fn below(is: bool) -> Value {
    settings(&[("subdomains", json!(is)), ("drain", json!("1d"))])
}

/// A host that was down still made senders defer, and `*` lost its MX five days after it was seen.
#[test]
fn r2_names_below_wait_for_a_host_that_is_down() {
    let house = House::new();
    house.done(put_pool("main", &below(true)));
    house.done(add(ONE));
    let mut activate = change(vec![Op::Transition {
        name: apex(ONE),
        to: crate::lifecycle::LifecycleState::Active,
        force: true,
        if_match: None,
    }]);
    activate.reason = Some("test".to_owned());
    house.done(activate);
    let ready = |is| Op::Observe {
        name: apex(ONE),
        word: Word {
            mail_ready: Some(is),
            ..Word::default()
        },
        if_match: None,
    };
    house.done(ready(false));

    house.done(put_pool("main", &below(false)));
    house.passes(30 * 86_400);
    assert_eq!(house.waits_of_pool(), ["R2"]);
    assert!(house.has("x.one.test", Rtype::MX));
    house.done(ready(true));
    house.passes(5 * 86_400 - 60);
    assert!(house.has("x.one.test", Rtype::MX));
    house.passes(120);

    assert!(!house.has("x.one.test", Rtype::MX));
}

/// After a restore a pool's wish of before went on, whatever the lost days had made of it.
#[test]
fn k28_a_restored_pool_withdraws_nothing_for_a_while() {
    let mut house = House::new();
    house.done(put_pool("main", &below(true)));
    house.done(add(ONE));
    house.done(put_pool("main", &below(false)));
    house.stop();
    let mut batch = Batch::new();
    let restored = Restored {
        at: house.clock.now(),
        backup_revision: house.engine.view().revision(),
    };
    meta::RESTORED.put(&mut batch, &restored);
    house.store.commit(&batch).unwrap();
    let house = house.restarted();

    // What was deferred meanwhile is tried again for five days (R2).
    house.passes(6 * 86_400);
    assert_eq!(house.waits_of_pool(), ["K28"]);
    assert!(house.has("x.one.test", Rtype::MX));
    house.passes(30 * 86_400);

    assert!(!house.has("x.one.test", Rtype::MX));
}

/// I5: a listed server that fails kept a domain's own MX, not the one at `*`.
#[test]
fn i5_a_pool_withdraws_nothing_while_a_server_of_its_domains_fails_nor_from_stale_caches() {
    let config = EngineConfig {
        watched: true,
        ..EngineConfig::default()
    };
    let clock = Arc::new(ManualClock::new(START));
    let house = House::configured(Fragile::new(), clock, config);
    house.done(put_pool("main", &below(true)));
    house.done(add(ONE));
    let seen = |fact| {
        house.engine.observe(vec![Observation {
            name: apex(ONE),
            fact,
            at: house.clock.now(),
        }]);
        house.engine.tick();
    };
    let served = || Fact::Published(Serial::new(house.serial(ONE)));
    seen(served());
    house.done(put_pool("main", &below(false)));

    seen(Fact::Servers(ServersSeen::Some));
    house.passes(30 * 86_400);
    assert_eq!(house.waits_of_pool(), ["I5"]);
    assert!(house.has("x.one.test", Rtype::MX));
    seen(Fact::Servers(ServersSeen::None));
    seen(served());
    house.passes(2 * 86_400);
    assert!(house.waits_of_pool().contains(&"I5"));
    // What none of them could answer is tried again, too (R2).
    house.passes(4 * 86_400);

    assert!(!house.has("x.one.test", Rtype::MX));
}
