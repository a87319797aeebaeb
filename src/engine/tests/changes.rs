//! What one change does, refuses and repeats.

use serde_json::json;

use super::house::{House, add, apex, change, keyed, put_pool, settings};
use crate::engine::{DomainFilter, IfMatch, Op, Refusal};
use crate::lifecycle::LifecycleState;
use crate::wire::{Rcode, Rdata, RelativeName, RelativeRdata, Rtype, Ttl};
use crate::zone::RelativeRrset;

/// Returns a TXT RRset of a domain's own.
fn txt(owner: &str, text: &str) -> RelativeRrset {
    RelativeRrset {
        owner: RelativeName::parse(owner).unwrap(),
        rtype: Rtype::TXT,
        ttl: Ttl::from_secs(300),
        rdatas: vec![RelativeRdata::fixed(&Rdata::txt(text.as_bytes()))],
    }
}

/// Gives a domain an RRset.
fn put_rrset(domain: &str, rrset: RelativeRrset) -> Op {
    Op::PutRrset {
        domain: apex(domain),
        rrset,
        if_match: None,
    }
}

/// Moves a domain to another state.
fn transition(name: &str, to: LifecycleState, force: bool) -> Op {
    Op::Transition {
        name: apex(name),
        to,
        force,
        if_match: None,
    }
}

#[test]
fn a_transition_asks_for_the_revision_that_was_seen() {
    let house = House::with_pool();
    house.done(add("a.example"));
    let wish = |revision| Op::Transition {
        name: apex("a.example"),
        to: LifecycleState::Active,
        force: false,
        if_match: Some(IfMatch::Revision(revision)),
    };

    let refusal = house.refused(wish(1));

    assert!(
        matches!(refusal, Refusal::PreconditionFailed { .. }),
        "{refusal:?}"
    );
    house.done(wish(2));
}

#[test]
fn an_added_domain_is_signed_and_served_when_the_answer_comes() {
    let house = House::with_pool();

    let outcome = house.done(add("burner.example"));

    assert_eq!((outcome.revision, outcome.replayed), (2, false));
    assert_eq!(outcome.plan.created_domains, 1);
    assert!(house.has("burner.example", Rtype::MX));
    assert!(house.has("mx1.burner.example", Rtype::AAAA));
    assert!(house.has("burner.example", Rtype::DNSKEY));
    assert_eq!(
        house.ask("nothing.burner.example", Rtype::A).0,
        Rcode::NXDOMAIN
    );
    house.verify("burner.example");
    let view = house.engine.view();
    let domain = view.domain(&apex("burner.example")).unwrap();
    assert_eq!(domain.state, LifecycleState::Standby);
    assert_eq!(domain.ds.len(), 1);
    assert_eq!(view.pool("main").unwrap().count(LifecycleState::Standby), 1);
}

#[test]
fn all_refusals_of_a_change_come_at_once_with_their_steps_and_nothing_is_done() {
    let house = House::with_pool();
    house.done(add("old.example"));
    let mut stranger = add("fine.example");
    if let Op::AddDomain(add) = &mut stranger {
        add.pool = "none".to_owned();
    }

    let errors = house
        .make(change(vec![
            add("new.example"),
            add("old.example"),
            add("below.old.example"),
            stranger,
            add("new.example"),
        ]))
        .unwrap_err();

    let steps: Vec<usize> = errors.iter().map(|error| error.op).collect();
    assert_eq!(steps, [1, 2, 3, 4]);
    assert!(matches!(errors[0].refusal, Refusal::Conflict(_)));
    assert!(matches!(
        errors[2].refusal,
        Refusal::NotFound { kind: "pool", .. }
    ));
    assert_eq!(house.ask("new.example", Rtype::MX).0, Rcode::REFUSED);
    assert_eq!(house.engine.view().revision(), 2);
}

#[test]
fn a_domain_above_another_is_refused() {
    let house = House::with_pool();
    house.done(add("a.b.example"));

    let refusal = house.refused(add("b.example"));

    assert!(matches!(refusal, Refusal::Conflict(_)), "{refusal:?}");
}

#[test]
fn a_name_without_room_for_the_pools_records_is_refused_at_its_step() {
    let house = House::with_pool();
    let long = vec!["a".repeat(62); 4].join(".");

    let refusal = house.refused(add(&long));

    assert!(matches!(refusal, Refusal::Invalid(_)), "{refusal:?}");
}

#[test]
fn the_same_call_under_one_key_is_done_once_and_answered_the_same() {
    let house = House::with_pool();
    let call = || keyed(change(vec![add("burner.example")]), "k", 1);

    let first = house.make(call()).unwrap();
    let serial = house.serial("burner.example");
    let second = house.make(call()).unwrap();

    assert!(!first.replayed && second.replayed);
    assert_eq!(second.revision, first.revision);
    assert_eq!(
        second.plan.effects[0].subject,
        first.plan.effects[0].subject
    );
    assert_eq!(second.plan.created_domains, 1);
    assert_eq!(house.serial("burner.example"), serial);
}

#[test]
fn another_call_under_a_used_key_is_refused() {
    let house = House::with_pool();
    house.done(keyed(change(vec![add("a.example")]), "k", 1));

    let refusal = house.refused(keyed(change(vec![add("b.example")]), "k", 2));

    assert_eq!(
        refusal,
        Refusal::KeyReused {
            key: "k".to_owned()
        }
    );
}

#[test]
fn calls_at_the_same_time_under_one_key_are_done_once() {
    let house = House::with_pool();
    let call = || keyed(change(vec![add("burner.example")]), "k", 1);

    let outcomes = house.make_all(vec![call(), call(), call(), call()]);

    let replayed: Vec<bool> = outcomes
        .iter()
        .map(|it| it.as_ref().unwrap().replayed)
        .collect();
    assert_eq!(replayed.iter().filter(|replayed| !**replayed).count(), 1);
    assert_eq!(house.engine.view().revision(), 2);
}

#[test]
fn a_key_is_forgotten_after_a_day_and_survives_a_restart_before() {
    let house = House::with_pool();
    let call = |name: &str| keyed(change(vec![add(name)]), "k", 1);
    house.done(call("a.example"));
    let house = house.restarted();
    assert!(house.done(call("a.example")).replayed);

    house.clock.advance(super::house::DAY);

    assert!(!house.done(call("b.example")).replayed);
}

#[test]
fn a_call_of_nothing_moves_no_revision_and_repeats_as_nothing() {
    let house = House::with_pool();
    house.done(add("burner.example"));
    let mut again = add("burner.example");
    if let Op::AddDomain(add) = &mut again {
        add.if_absent = true;
    }
    let call = keyed(change(vec![again]), "k", 1);

    let first = house.make(call.clone()).unwrap();
    let second = house.make(call).unwrap();

    assert_eq!((first.revision, second.revision), (2, 2));
    assert!(first.plan.effects.is_empty() && second.plan.effects.is_empty());
    assert!(second.replayed);
}

#[test]
fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let house = House::with_pool();
    let mut dry = change(vec![add("burner.example")]);
    dry.dry_run = true;

    let outcome = house.make(dry).unwrap();

    assert_eq!(outcome.plan.created_domains, 1);
    assert_eq!(house.engine.view().revision(), 1);
    assert!(house.reader.is_empty());
}

#[test]
fn if_match_holds_a_change_to_the_revision_its_caller_saw() {
    let house = House::with_pool();
    let put = |if_match| Op::PutPool {
        name: "main".to_owned(),
        settings: Box::new(
            crate::mail::PoolSettings::from_document(&settings(&[("active", json!(9))])).unwrap(),
        ),
        if_match: Some(if_match),
    };

    let refusal = house.refused(put(IfMatch::Revision(7)));
    house.done(put(IfMatch::Revision(1)));

    assert!(matches!(refusal, Refusal::PreconditionFailed { .. }));
    assert_eq!(house.engine.view().pool("main").unwrap().revision, 2);
}

#[test]
fn a_domain_gets_records_of_its_own_and_loses_them_again() {
    let house = House::with_pool();
    house.done(add("burner.example"));
    let serial = house.serial("burner.example");

    house.done(put_rrset("burner.example", txt("_acme-challenge", "token")));

    assert!(house.has("_acme-challenge.burner.example", Rtype::TXT));
    assert_eq!(house.serial("burner.example"), serial + 1);
    house.verify("burner.example");
    house.done(Op::DeleteRrset {
        domain: apex("burner.example"),
        owner: RelativeName::parse("_acme-challenge").unwrap(),
        rtype: Rtype::TXT,
        if_match: None,
    });
    assert!(!house.has("_acme-challenge.burner.example", Rtype::TXT));
    house.verify("burner.example");
}

#[test]
fn records_that_the_pool_owns_are_refused() {
    let house = House::with_pool();
    house.done(add("burner.example"));

    let spf = house.refused(put_rrset("burner.example", txt("@", "v=spf1 +all")));
    let mut soa = txt("@", "x");
    soa.rtype = Rtype::SOA;
    let soa = house.refused(put_rrset("burner.example", soa));

    assert!(matches!(spf, Refusal::Conflict(_)), "{spf:?}");
    assert!(matches!(soa, Refusal::Conflict(_)), "{soa:?}");
}

#[test]
fn a_ttl_beyond_the_life_of_signatures_is_refused_by_name() {
    let house = House::with_pool();
    house.done(add("burner.example"));
    let mut long = txt("www", "x");
    long.ttl = Ttl::from_secs(864_000);

    let refusal = house.refused(put_rrset("burner.example", long));

    let Refusal::Invalid(faults) = &refusal else {
        panic!("{refusal:?}");
    };
    assert!(faults[0].detail.starts_with("www TXT: "), "{faults:?}");
}

#[test]
fn a_record_that_makes_no_zone_is_refused_and_the_domain_served_on() {
    let house = House::with_pool();
    house.done(add("burner.example"));
    let mut alias = txt("mx1", "x");
    alias.rtype = Rtype::CNAME;
    let target = crate::wire::Name::parse("www.infra.test").unwrap();
    alias.rdatas = vec![RelativeRdata::fixed(&Rdata::name(&target))];

    let refusal = house.refused(put_rrset("burner.example", alias));

    assert!(matches!(refusal, Refusal::Conflict(_)), "{refusal:?}");
    assert!(house.has("mx1.burner.example", Rtype::A));
}

#[test]
fn a_domain_moves_between_standby_and_active_without_a_new_zone() {
    let house = House::with_pool();
    house.done(add("burner.example"));
    let serial = house.serial("burner.example");

    house.done(transition("burner.example", LifecycleState::Active, false));

    let domain = house.engine.view().domain(&apex("burner.example")).unwrap();
    assert_eq!(domain.state, LifecycleState::Active);
    assert_eq!(house.serial("burner.example"), serial);
    let retired = house.refused(transition("burner.example", LifecycleState::Retired, false));
    assert!(matches!(retired, Refusal::Conflict(_)));
}

#[test]
fn a_pool_that_asks_for_readiness_waits_and_force_needs_a_reason() {
    let house = House::new();
    house.done(put_pool("main", &settings(&[("readiness", json!({}))])));
    house.done(add("burner.example"));

    let early = house.refused(transition("burner.example", LifecycleState::Active, false));
    let bare = house.refused(transition("burner.example", LifecycleState::Active, true));
    let mut forced = change(vec![transition(
        "burner.example",
        LifecycleState::Active,
        true,
    )]);
    forced.reason = Some("trying it out".to_owned());
    house.done(forced);

    assert!(matches!(early, Refusal::TooEarly { .. }), "{early:?}");
    assert!(matches!(bare, Refusal::Invalid(_)), "{bare:?}");
    let audit = house.engine.audit(2, 10).unwrap();
    assert_eq!(audit[0].1.reason.as_deref(), Some("trying it out"));
    assert!(
        audit[0].1.changes[0]
            .before
            .as_ref()
            .unwrap()
            .contains("standby")
    );
    assert!(
        audit[0].1.changes[0]
            .after
            .as_ref()
            .unwrap()
            .contains("active")
    );
}

#[test]
fn a_domain_that_may_be_delegated_goes_by_force_only() {
    let house = House::with_pool();
    house.done(add("burner.example"));
    let delete = |force| Op::DeleteDomain {
        name: apex("burner.example"),
        force,
        if_match: None,
    };

    let refusal = house.refused(delete(false));
    house.done(delete(true));

    assert!(matches!(refusal, Refusal::TooEarly { .. }), "{refusal:?}");
    assert_eq!(house.ask("burner.example", Rtype::MX).0, Rcode::REFUSED);
    assert!(house.store.keys(crate::store::Space::Key).is_empty());
    assert!(house.store.keys(crate::store::Space::SignedZone).is_empty());
}

#[test]
fn a_pool_goes_only_without_domains() {
    let house = House::with_pool();
    house.done(add("burner.example"));
    let delete = || Op::DeletePool {
        name: "main".to_owned(),
        if_match: None,
    };

    let refusal = house.refused(delete());
    house.done(Op::DeleteDomain {
        name: apex("burner.example"),
        force: true,
        if_match: None,
    });
    house.done(delete());

    assert!(matches!(refusal, Refusal::Conflict(_)));
    assert!(house.engine.view().pool("main").is_none());
}

#[test]
fn what_is_said_about_a_domain_changes_without_a_new_zone() {
    let house = House::with_pool();
    house.done(add("burner.example"));
    let serial = house.serial("burner.example");

    house.done(Op::PatchDomain {
        name: apex("burner.example"),
        registrar: Some(Some("acme".to_owned())),
        expires_at: None,
        labels: None,
        if_match: None,
    });

    let domain = house.engine.view().domain(&apex("burner.example")).unwrap();
    assert_eq!(domain.registrar.as_deref(), Some("acme"));
    assert_eq!(domain.revision, 3);
    assert_eq!(house.serial("burner.example"), serial);
}

#[test]
fn domains_are_listed_page_by_page_in_the_order_of_names() {
    let house = House::with_pool();
    let names = ["c.example", "a.example", "b.example"];
    house.done(change(names.iter().map(|name| add(name)).collect()));

    let view = house.engine.view();
    let filter = DomainFilter::default();
    let first = view.domains(&filter, None, 2);
    let second = view.domains(&filter, first.next.as_ref(), 2);

    let listed = first.items.iter().chain(&second.items);
    let listed: Vec<String> = listed.map(|domain| domain.name.to_api_text()).collect();
    assert_eq!(listed, ["a.example", "b.example", "c.example"]);
    assert_eq!(second.next, None);
    let active = DomainFilter {
        state: Some(LifecycleState::Active),
        ..filter
    };
    assert!(view.domains(&active, None, 2).items.is_empty());
}

#[test]
fn a_key_that_is_used_again_after_a_day_is_remembered_for_another() {
    // The old use was forgotten in the very commit that noted the new one, and took it along.
    let house = House::with_pool();
    house.done(add("a.example"));
    let patch = |registrar: &str| Op::PatchDomain {
        name: apex("a.example"),
        registrar: Some(Some(registrar.to_owned())),
        expires_at: None,
        labels: None,
        if_match: None,
    };
    house.done(keyed(change(vec![patch("first")]), "k", 1));
    house.clock.advance(super::house::DAY);
    let call = || keyed(change(vec![patch("second")]), "k", 2);

    // Nothing has to be signed, so it is committed in the round that it came in.
    let first = house.done(call());
    let again = house.done(call());

    assert!(!first.replayed);
    assert!(again.replayed);
}

#[test]
fn a_domain_that_comes_back_on_the_same_day_begins_above_its_old_serial() {
    // It began with the date's first again, and secondaries kept the old zone.
    let house = House::with_pool();
    house.done(add("a.example"));
    let hostmaster = settings(&[("hostmaster", json!("other@infra.test"))]);
    house.done(put_pool("main", &hostmaster));
    let old = house.serial("a.example");
    house.done(Op::DeleteDomain {
        name: apex("a.example"),
        force: true,
        if_match: None,
    });

    let house = house.restarted();
    house.done(add("a.example"));

    assert_eq!(house.serial("a.example"), old + 1);
    // Tomorrow nobody remembers.
    house.clock.advance(super::house::DAY);
    house.done(add("b.example"));
    assert_eq!(house.serial("b.example"), 2_026_112_500);
}
