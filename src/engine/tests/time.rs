//! Signatures over months, and clocks that are wrong.

use std::time::Duration;

use serde_json::json;

use super::house::{DAY, House, INFRA, START, add, apex, change, put_pool, put_zone, settings};
use crate::engine::{AddDomain, Op, Refusal};
use crate::store::record::{EventsRecord, growing_key};
use crate::store::{Batch, Space, Store};
use crate::wire::{Rcode, Rtype};

#[test]
fn zones_are_signed_again_long_before_they_expire_for_months() {
    let house = House::with_pool();
    house.done(change(vec![
        put_zone("infra.test", INFRA),
        add("a.example"),
        add("b.example"),
    ]));
    let serial = house.serial("a.example");

    for _ in 0..60 {
        house.clock.advance(DAY);
        house.engine.tick();
        for zone in ["a.example", "b.example", "infra.test"] {
            house.verify(zone);
            assert!(house.has(zone, Rtype::SOA));
        }
    }

    assert!(house.serial("a.example") > serial);
    let view = house.engine.view();
    // Re-signing is nobody's wish.
    assert_eq!(view.revision(), 2);
    let domain = view.domain(&apex("a.example")).unwrap();
    let left = domain.earliest_expiration.as_secs() - (START.as_secs() + 60 * DAY.as_secs());
    assert!(left > 13 * DAY.as_secs(), "{left}");
}

#[test]
fn nothing_is_signed_again_before_it_is_due() {
    let house = House::with_pool();
    house.done(add("a.example"));
    let serial = house.serial("a.example");

    house.clock.advance(5 * DAY);
    house.engine.tick();

    assert_eq!(house.serial("a.example"), serial);
}

#[test]
fn many_zones_are_signed_again_on_different_moments() {
    let house = House::with_pool();
    let names: Vec<String> = (0..40).map(|number| format!("d{number}.example")).collect();
    house.done(change(names.iter().map(|name| add(name)).collect()));
    let serials: Vec<u32> = names.iter().map(|name| house.serial(name)).collect();

    house.clock.advance(6 * DAY + DAY / 2);
    house.engine.tick();

    let renewed = names.iter().zip(&serials);
    let renewed = renewed.filter(|(name, serial)| house.serial(name) != **serial);
    let renewed = renewed.count();
    assert!((1..40).contains(&renewed), "{renewed} of 40");
}

#[test]
fn a_full_store_keeps_zones_from_being_renewed_and_expired_ones_are_not_served() {
    let house = House::with_pool();
    house.done(add("a.example"));
    house.store.set_full(true);

    for _ in 0..22 {
        house.clock.advance(DAY);
        house.engine.tick();
    }
    assert_eq!(house.ask("a.example", Rtype::MX).0, Rcode::SERVFAIL);

    house.store.set_full(false);
    house.clock.advance(Duration::from_secs(120));
    house.engine.tick();
    assert!(house.has("a.example", Rtype::MX));
    house.verify("a.example");
}

#[test]
fn a_clock_that_went_back_signs_nothing() {
    let house = House::with_pool();
    house.done(add("a.example"));
    house.clock.set_wall(START.saturating_sub(DAY));

    let refusal = house.refused(add("b.example"));

    assert!(matches!(refusal, Refusal::Clock(_)), "{refusal:?}");
    let house = house.restarted();
    let refusal = house.refused(add("b.example"));
    assert!(matches!(refusal, Refusal::Clock(_)), "{refusal:?}");
    house.clock.set_wall(START);
    // The guard compares with the monotonic clock of its run, too: a new run sees them agree.
    let house = house.restarted();
    house.done(add("b.example"));
}

#[test]
fn domains_that_go_with_their_pool_keep_no_place_among_those_that_are_due() {
    // They stayed in the queue for ever, and so many of them that no other zone had its turn.
    let house = House::with_pool();
    let dnssec = json!({ "signature_lifetime": "20d", "signature_refresh": "15d" });
    house.done(put_pool("short", &settings(&[("dnssec", dnssec)])));
    let names: Vec<String> = (0..260)
        .map(|number| format!("d{number}.example"))
        .collect();
    let join = |name: &String| match add(name) {
        Op::AddDomain(add) => Op::AddDomain(AddDomain {
            pool: "short".to_owned(),
            ..add
        }),
        other => other,
    };
    house.done(change(names.iter().map(join).collect()));
    house.done(add("stays.example"));
    let go = names.iter().map(|name| Op::DeleteDomain {
        name: apex(name),
        force: true,
        if_match: None,
    });
    let pool = Op::DeletePool {
        name: "short".to_owned(),
        if_match: None,
    };
    let mut all_go = change(go.chain([pool]).collect());
    all_go.expect_domains = Some(260);
    house.done(all_go);

    for _ in 0..23 {
        house.clock.advance(DAY);
        house.engine.tick();
    }

    assert!(house.has("stays.example", Rtype::MX));
    house.verify("stays.example");
}

#[test]
fn a_clock_that_was_ahead_for_a_while_does_not_stop_renewals() {
    // They rested until a minute after the wrong moment: for a year.
    let house = House::with_pool();
    house.done(add("a.example"));
    let serial = house.serial("a.example");
    house.clock.set_wall(START.saturating_add(400 * DAY));
    house.engine.tick();
    house.clock.set_wall(START);

    house.clock.advance(12 * DAY);
    house.engine.tick();

    assert!(house.serial("a.example") > serial);
    house.verify("a.example");
}

#[test]
fn zones_that_cannot_be_signed_do_not_keep_others_from_being_renewed() {
    // One stopped all for a minute, and as many as are signed at a time stopped them for good.
    let house = House::with_pool();
    let dnssec = json!({ "signature_lifetime": "20d", "signature_refresh": "15d" });
    house.done(put_pool("short", &settings(&[("dnssec", dnssec)])));
    let names: Vec<String> = (0..260)
        .map(|number| format!("d{number}.example"))
        .collect();
    let join = |name: &String| match add(name) {
        Op::AddDomain(add) => Op::AddDomain(AddDomain {
            pool: "short".to_owned(),
            ..add
        }),
        other => other,
    };
    house.done(change(names.iter().map(join).collect()));
    house.done(add("stays.example"));
    let serial = house.serial("stays.example");
    let mut damage = Batch::new();
    for name in &names {
        damage.put(Space::Key, apex(name).as_wire(), vec![0]);
    }
    house.store.commit(&damage).unwrap();

    house.clock.advance(16 * DAY);
    house.engine.tick();

    assert!(house.serial("stays.example") > serial);
}

#[test]
fn old_events_go_however_many_there_are_and_whether_they_can_be_read() {
    let house = House::with_pool();
    let mut many = Batch::new();
    many.put(Space::Event, &growing_key(0), vec![0]);
    for number in 100..3000 {
        let record = EventsRecord {
            at: START,
            events: Vec::new(),
        };
        many.put_record(&growing_key(number), &record);
    }
    many.put(Space::Event, &growing_key(2000), vec![0]);
    let young = EventsRecord {
        at: START.saturating_add(90 * DAY),
        events: Vec::new(),
    };
    many.put_record(&growing_key(3000), &young);
    house.store.commit(&many).unwrap();

    house.clock.advance(91 * DAY);
    for _ in 0..4 {
        house.engine.tick();
        house.clock.advance(Duration::from_secs(1));
    }
    house.engine.tick();

    let left = house.store.keys(Space::Event);
    assert_eq!(left, [growing_key(3000).to_vec()]);
}
