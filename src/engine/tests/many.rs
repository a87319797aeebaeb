//! Many domains: pools that change, batches, and small changes beside large ones.

use std::time::Instant;

use std::sync::atomic::Ordering;

use serde_json::json;

use super::house::{House, INFRA, add, apex, change, put_pool, put_zone, settings};
use crate::engine::{Op, Refusal};
use crate::store::Space;
use crate::wire::Rtype;

/// Returns the name of the n-th domain.
fn nth(number: usize) -> String {
    format!("d{number}.example")
}

/// Adds so many domains.
fn batch(count: usize) -> crate::engine::Change {
    change((0..count).map(|number| add(&nth(number))).collect())
}

#[test]
fn a_changed_pool_is_signed_anew_for_all_its_domains_and_reuses_what_stands() {
    let house = House::with_pool();
    house.done(batch(3));
    let serial = house.serial(&nth(0));
    let outcome = house.done(put_pool(
        "main",
        &settings(&[("caa", json!(["0 issue \"ca.example\""]))]),
    ));

    assert_eq!(outcome.plan.existing_domains, 3);
    for number in 0..3 {
        assert!(house.has(&nth(number), Rtype::CAA));
        assert_eq!(house.serial(&nth(number)), serial + 1);
        house.verify(&nth(number));
    }
    // Versions that are served no more are deleted with it.
    assert_eq!(house.store.keys(Space::SignedZone).len(), 3);
}

#[test]
fn a_setting_that_is_in_no_record_signs_nothing() {
    let house = House::with_pool();
    house.done(batch(3));
    let serial = house.serial(&nth(0));

    let outcome = house.done(put_pool("main", &settings(&[("standby", json!(9))])));

    assert_eq!(outcome.plan.existing_domains, 0);
    assert_eq!(house.serial(&nth(0)), serial);
}

#[test]
fn a_large_batch_is_stored_ahead_and_served_whole() {
    let house = House::with_pool();

    let outcome = house.done(batch(200));

    assert_eq!(outcome.plan.created_domains, 200);
    assert_eq!(house.reader.len(), 200);
    assert_eq!(house.store.keys(Space::SignedZone).len(), 200);
    assert_eq!(house.store.keys(Space::Key).len(), 200);
    house.verify(&nth(199));
}

#[test]
fn a_small_change_overtakes_a_batch() {
    let house = House::with_pool();
    let wait = house.begin(batch(600));

    // The batch takes about a hundred times as long as this one.
    house.done(add("small.example"));

    assert_eq!(house.engine.view().domain_count(), 1);
    assert!(house.has("small.example", Rtype::MX));
    wait().unwrap();
    assert_eq!(house.engine.view().domain_count(), 601);
}

#[test]
fn a_batch_is_refused_for_a_name_that_came_above_or_below_one_of_its_own() {
    for (ours, theirs) in [("x.d.example", "d.example"), ("d.example", "x.d.example")] {
        let house = House::with_pool();
        let mut batch = batch(600);
        batch.ops.push(add(ours));
        let wait = house.begin(batch);

        // Others that stand beside it do not hide the one that does not.
        house.done(add("beside.example"));
        house.done(add(theirs));

        let refused = wait().unwrap_err();
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(refused[0].op, 600);
        assert!(matches!(refused[0].refusal, Refusal::Conflict(_)));
        assert_eq!(house.engine.view().domain_count(), 2);
    }
}

#[test]
fn a_batch_whose_pool_changes_meanwhile_is_made_from_the_new_one() {
    let house = House::with_pool();
    let wait = house.begin(batch(300));
    let caa = settings(&[("caa", json!(["0 issue \"ca.example\""]))]);
    house.done(put_pool("main", &caa));

    wait().unwrap();

    for number in [0, 150, 299] {
        assert!(house.has(&nth(number), Rtype::CAA));
        house.verify(&nth(number));
    }
    house.done(add("last.example"));
    house.done(add("very-last.example"));
    assert_eq!(house.engine.view().domain_count(), 302);
}

#[test]
fn a_pool_that_changes_under_a_stream_of_small_changes_takes_them_along() {
    let house = House::with_pool();
    house.done(batch(150));
    let caa = settings(&[("caa", json!(["0 issue \"ca.example\""]))]);
    let mut wish = change(vec![put_pool("main", &caa)]);
    wish.expect_domains = Some(150);
    let wait = house.begin(wish);

    let mut added = Vec::new();
    for number in 1000..1020 {
        house.done(add(&nth(number)));
        added.push(nth(number));
    }

    // One that was added before the pool changed makes more domains than were expected; the
    // caller must look again.
    match wait() {
        Ok(_) => assert!(added.iter().all(|name| house.has(name, Rtype::CAA))),
        Err(errors) => assert!(
            matches!(errors[0].refusal, Refusal::ExpectDomains { .. }),
            "{errors:?}"
        ),
    }
}

#[test]
fn a_change_that_is_made_again_needs_no_other_word() {
    let house = House::with_pool();
    house.done(batch(150));
    let caa = settings(&[("caa", json!(["0 issue \"ca.example\""]))]);
    let again = |domains| {
        let mut wish = change(vec![put_pool("main", &caa)]);
        wish.expect_domains = Some(domains);
        wish
    };

    let refused = house.refused(again(149));
    let made = house.done(again(150));
    let repeated = house.done(again(150));

    assert!(
        matches!(refused, Refusal::ExpectDomains { .. }),
        "{refused:?}"
    );
    assert_eq!(repeated.revision, made.revision);
}

#[test]
fn concurrent_changes_share_commits_and_all_are_served() {
    let house = House::with_pool();
    let before = house.store.commits.load(Ordering::SeqCst);

    let changes = (0..64).map(|number| change(vec![add(&nth(number))]));
    let outcomes = house.make_all(changes.collect());

    let mut revisions: Vec<u64> = outcomes
        .iter()
        .map(|it| it.as_ref().unwrap().revision)
        .collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (2..66).collect::<Vec<u64>>());
    assert_eq!(house.reader.len(), 64);
    let commits = house.store.commits.load(Ordering::SeqCst) - before;
    assert!(commits <= 64, "{commits}");
}

#[test]
fn two_calls_for_one_name_make_one_domain() {
    let house = House::with_pool();

    let outcomes = house.make_all(vec![
        change(vec![add("burner.example")]),
        change(vec![add("burner.example")]),
    ]);

    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

#[test]
fn two_calls_for_names_above_and_below_each_other_make_one_domain() {
    let house = House::with_pool();

    let outcomes = house.make_all(vec![
        change(vec![add("burner.example")]),
        change(vec![add("a.burner.example")]),
    ]);

    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(house.engine.view().domain_count(), 1);
}

#[test]
fn touching_many_domains_needs_a_word() {
    let house = House::with_pool();
    house.done(batch(120));
    let caa = settings(&[("caa", json!(["0 issue \"ca.example\""]))]);
    let put = |expect| {
        let mut wish = change(vec![put_pool("main", &caa)]);
        wish.expect_domains = expect;
        wish
    };

    let silent = house.refused(put(None));
    let wrong = house.refused(put(Some(119)));
    house.done(put(Some(120)));

    assert!(matches!(
        silent,
        Refusal::ExpectDomains { touched: 120, .. }
    ));
    assert!(matches!(wrong, Refusal::ExpectDomains { touched: 120, .. }));
    assert!(house.has(&nth(7), Rtype::CAA));
}

#[test]
fn a_shortened_duration_needs_a_word() {
    let house = House::with_pool();
    house.done(add("burner.example"));
    let shorter = settings(&[("quarantine", json!("10d"))]);

    let refusal = house.refused(put_pool("main", &shorter));

    assert!(
        matches!(
            &refusal,
            Refusal::ExpectDomains {
                touched: 1,
                because: Some(_)
            }
        ),
        "{refusal:?}"
    );
}

#[test]
fn hosts_of_domains_in_use_are_not_exchanged() {
    let house = House::with_pool();
    house.done(add("burner.example"));
    let other = settings(&[(
        "mail_host",
        json!([{ "name": "mx2", "addresses": ["192.0.2.26"] }]),
    )]);

    let refusal = house.refused(put_pool("main", &other));

    assert!(matches!(refusal, Refusal::InUse { .. }), "{refusal:?}");
    assert!(house.has("mx1.burner.example", Rtype::A));
}

#[test]
fn a_pools_policy_keeps_its_id_until_its_text_changes() {
    let house = House::new();
    let with = |ttl: &str| {
        settings(&[
            ("ttl", json!(ttl)),
            (
                "mta_sts",
                json!({ "mode": "testing", "max_age": "1d", "addresses": ["192.0.2.80"] }),
            ),
        ])
    };
    house.done(put_pool("main", &with("1h")));
    let first = house.engine.view().pool("main").unwrap().policy_id.unwrap();

    house.done(put_pool("main", &with("30m")));

    let second = house.engine.view().pool("main").unwrap().policy_id.unwrap();
    assert_eq!(first, second);
    assert!(first.starts_with("1x"), "{first}");
}

#[test]
fn a_pool_and_its_domains_come_in_one_change() {
    let house = House::new();

    let outcome = house.done(change(vec![
        put_pool("main", &settings(&[])),
        add("a.example"),
        add("b.example"),
    ]));

    assert_eq!((outcome.revision, outcome.plan.created_domains), (1, 2));
    assert!(house.has("a.example", Rtype::MX));
    let op = Op::DeleteDomain {
        name: apex("a.example"),
        force: true,
        if_match: None,
    };
    let refusal = house.refused(change(vec![op, add("a.example")]));
    assert!(matches!(refusal, Refusal::Conflict(_)));
}

#[test]
fn what_works_but_should_be_thought_over_is_said() {
    let house = House::new();

    let outcome = house.done(put_pool("main", &settings(&[])));

    let warnings = &outcome.plan.warnings;
    assert!(
        warnings.iter().any(|warning| warning.contains("readiness")),
        "{warnings:?}"
    );
}

/// A mail host that asked what changed had all domains looked at in one go, which the writer waited for.
#[test]
fn a_page_of_the_routing_looks_at_so_many_domains_and_no_more() {
    let house = House::with_pool();
    let revision = house
        .done(change(["a.test", "b.test", "c.test"].map(add).into()))
        .revision;
    let view = house.engine.view();

    let first = view.routing(revision, None, 2);
    let second = view.routing(revision, first.next.as_ref(), 2);
    let all = view.routing(revision - 1, None, 3);

    assert!(first.items.is_empty(), "{first:?}");
    assert_eq!(first.next, Some(apex("b.test")));
    assert_eq!((second.items.len(), second.next), (0, None));
    assert_eq!((all.items.len(), all.next), (3, None));
}

/// Each step of a life looked through all records of all zones again where a zone changed beside it:
/// ten thousand of them and a large zone kept the writer for hours.
#[test]
fn many_steps_beside_a_large_zone_cost_what_they_cost_alone() {
    let house = House::with_pool();
    house.done(batch(400));
    let delete = |number: usize| Op::DeleteDomain {
        name: apex(&nth(number)),
        force: true,
        if_match: None,
    };
    let mut text = INFRA.to_owned();
    for number in 0..4_000 {
        text.push_str(&format!("h{number} CNAME ns1\n"));
    }
    let took = |ops: Vec<Op>| {
        let mut wish = change(ops);
        wish.dry_run = true;
        let began = Instant::now();
        house.done(wish);
        began.elapsed()
    };

    let zone = took(vec![put_zone("infra.test", &text)]);
    let zone_and_steps = std::iter::once(put_zone("infra.test", &text)).chain((0..400).map(delete));
    let both = took(zone_and_steps.collect());

    // It was a hundred times as much.
    assert!(both < 20 * zone, "{zone:?} {both:?}");
}

/// What a change of a few zones replaced was deleted by a commit of its own, which whoever came next
/// waited for.
#[test]
fn a_small_change_takes_one_commit() {
    let house = House::with_pool();
    house.done(batch(3));
    let commits = || house.store.commits.load(Ordering::SeqCst);
    let before = commits();

    house.done(put_pool("main", &settings(&[("ttl", json!("2h"))])));
    house.engine.tick();

    assert_eq!(commits(), before + 1);
    assert_eq!(house.store.keys(Space::SignedZone).len(), 3);
    house.verify(&nth(0));
}
