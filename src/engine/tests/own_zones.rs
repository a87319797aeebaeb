//! The operator's own zones and what the pools derive into them.

use serde_json::json;

use super::house::{House, INFRA, add, apex, change, put_pool, put_zone, shared_settings};
use crate::engine::commit::Publication;
use crate::engine::{Op, Refusal};
use crate::wire::{Rcode, Rtype};
use crate::zone::{Layouts, ZoneImage};

/// Builds a house with the zone `infra.test` and a pool whose host lies in it.
fn house_with_zone() -> House {
    let house = House::new();
    house.done(change(vec![
        put_zone("infra.test", INFRA),
        put_pool("main", &shared_settings(&[])),
    ]));
    house
}

#[test]
fn hosts_of_a_pool_are_derived_into_the_operators_zone() {
    let house = house_with_zone();

    assert!(house.has("mx1.infra.test", Rtype::A));
    assert!(house.has("_25._tcp.mx1.infra.test", Rtype::TLSA));
    house.verify("infra.test");
    let zone = house.engine.view().zone(&apex("infra.test")).unwrap();
    let data = zone.data().to_master();
    assert!(
        !data.contains("TLSA"),
        "derived records are not the operator's: {data}"
    );
}

#[test]
fn a_new_key_of_a_host_is_added_to_the_zone_that_serves_it() {
    let house = house_with_zone();
    let serial = house.serial("infra.test");
    let host = json!([{
        "name": "mx1.infra.test.",
        "addresses": ["192.0.2.25"],
        "tlsa": [format!("3 1 1 {}", "ab".repeat(32)), format!("3 1 1 {}", "cd".repeat(32))],
    }]);

    house.done(put_pool("main", &shared_settings(&[("mail_host", host)])));

    let (_, answers, _) = house.ask("_25._tcp.mx1.infra.test", Rtype::TLSA);
    // Two records and their signature.
    assert_eq!(answers, 3);
    assert_eq!(house.serial("infra.test"), serial + 1);
    house.verify("infra.test");
}

#[test]
fn an_operators_record_equal_to_a_derived_one_is_absorbed() {
    let house = house_with_zone();

    house.done(put_zone(
        "infra.test",
        &format!("{INFRA}mx1 A 192.0.2.25\n"),
    ));

    let (_, answers, _) = house.ask("mx1.infra.test", Rtype::A);
    assert_eq!(answers, 2);
}

#[test]
fn an_operators_record_that_differs_from_a_derived_one_is_refused() {
    let house = house_with_zone();
    let serial = house.serial("infra.test");

    let refusal = house.refused(put_zone(
        "infra.test",
        &format!("{INFRA}mx1 A 192.0.2.99\n"),
    ));

    assert!(matches!(refusal, Refusal::Conflict(_)), "{refusal:?}");
    assert_eq!(house.serial("infra.test"), serial);
}

#[test]
fn the_serial_follows_the_file_only_upwards() {
    let house = House::new();
    house.done(put_zone("infra.test", INFRA));
    // Written as 1, so it is the date's.
    assert_eq!(house.serial("infra.test"), 2_026_112_400);

    let higher = INFRA.replace(" 1 14400", " 2030010100 14400");
    house.done(put_zone("infra.test", &higher));
    assert_eq!(house.serial("infra.test"), 2_030_010_100);

    house.done(put_zone(
        "infra.test",
        &format!("{INFRA}www A 192.0.2.80\n"),
    ));
    assert_eq!(house.serial("infra.test"), 2_030_010_101);
}

#[test]
fn a_domain_below_an_operators_zone_is_delegated_with_its_ds() {
    let house = house_with_zone();

    house.done(add("burner.infra.test"));

    let (rcode, answers, _) = house.ask("burner.infra.test", Rtype::DS);
    assert_eq!((rcode, answers), (Rcode::NOERROR, 2));
    assert!(house.has("burner.infra.test", Rtype::MX));
    house.verify("infra.test");
    let domain = house
        .engine
        .view()
        .domain(&apex("burner.infra.test"))
        .unwrap();
    let (_, _, reply) = house.ask("burner.infra.test", Rtype::DS);
    let digest = &domain.ds[0].digest;
    assert!(reply.windows(32).any(|window| window == digest));

    house.done(Op::DeleteDomain {
        name: apex("burner.infra.test"),
        force: true,
        if_match: None,
    });
    assert_eq!(house.ask("burner.infra.test", Rtype::DS).0, Rcode::NXDOMAIN);
    house.verify("infra.test");
}

#[test]
fn a_zone_put_above_domains_gets_their_delegations() {
    let house = House::with_pool();
    house.done(add("burner.infra.test"));

    house.done(put_zone("infra.test", INFRA));

    let (rcode, answers, _) = house.ask("burner.infra.test", Rtype::DS);
    assert_eq!((rcode, answers), (Rcode::NOERROR, 2));
}

#[test]
fn a_zone_goes_only_when_nothing_needs_it() {
    let house = house_with_zone();
    let delete = || Op::DeleteZone {
        apex: apex("infra.test"),
        if_match: None,
    };

    let in_use = house.refused(delete());
    house.done(Op::DeletePool {
        name: "main".to_owned(),
        if_match: None,
    });
    house.done(delete());

    assert!(matches!(in_use, Refusal::Conflict(_)), "{in_use:?}");
    assert_eq!(house.ask("infra.test", Rtype::SOA).0, Rcode::REFUSED);
}

#[test]
fn the_same_records_again_change_nothing() {
    let house = house_with_zone();
    let before = house.serial("infra.test");

    let outcome = house.done(put_zone("infra.test", INFRA));

    assert!(outcome.plan.effects.is_empty());
    assert_eq!(house.serial("infra.test"), before);
}

#[test]
fn a_domain_with_the_name_of_a_zone_is_refused() {
    let house = house_with_zone();

    let refusal = house.refused(add("infra.test"));

    assert!(matches!(refusal, Refusal::Conflict(_)), "{refusal:?}");
}

#[test]
fn a_zone_that_comes_back_begins_above_its_last_serial_and_alone_does_so() {
    let house = House::with_pool();
    let higher = INFRA.replace(" 1 14400", " 2030010100 14400");
    house.done(put_zone("own.test", &higher));
    house.done(Op::DeleteZone {
        apex: apex("own.test"),
        if_match: None,
    });
    let house = house.restarted();

    house.done(put_zone("own.test", INFRA));
    house.done(put_zone("other.test", INFRA));
    house.done(add("a.example"));

    assert_eq!(house.serial("own.test"), 2_030_010_101);
    assert_eq!(house.serial("other.test"), 2_026_112_400);
    assert_eq!(house.serial("a.example"), 2_026_112_400);
}

#[test]
fn a_domain_in_place_of_a_zone_goes_on_above_its_serial_and_keeps_it_to_itself() {
    let house = House::with_pool();
    let higher = INFRA.replace(" 1 14400", " 2030010100 14400");
    house.done(put_zone("own.test", &higher));
    house.done(change(vec![
        Op::DeleteZone {
            apex: apex("own.test"),
            if_match: None,
        },
        add("own.test"),
    ]));
    assert_eq!(house.serial("own.test"), 2_030_010_101);
    house.verify("own.test");

    house.done(Op::DeleteDomain {
        name: apex("own.test"),
        force: true,
        if_match: None,
    });
    house.done(add("a.example"));
    house.done(add("own.test"));

    assert_eq!(house.serial("a.example"), 2_026_112_400);
    assert_eq!(house.serial("own.test"), 2_030_010_102);
}

#[test]
fn children_are_served_before_their_parents_and_go_after_them() {
    let house = house_with_zone();
    let names = ["infra.test", "a.infra.test", "b.a.infra.test"];
    house.done(put_zone(names[1], INFRA));
    house.done(put_zone(names[2], INFRA));
    let layouts = Layouts::default();
    let image = |zone: &str| {
        let (signed, template) = house.engine.signed_zone(&apex(zone)).unwrap().unwrap();
        ZoneImage::compose(&signed, &template, &layouts).unwrap()
    };
    let publication = Publication {
        images: vec![image(names[0]), image(names[2]), image(names[1])],
        withdrawn: vec![apex("c.d.test"), apex(names[1]), apex("d.test")],
        ..Publication::default()
    };

    let (published, withdrawn) = publication.in_order();

    let published = published.iter().flatten();
    let published: Vec<&[u8]> = published.map(ZoneImage::apex_wire).collect();
    let wanted = [apex(names[2]), apex(names[1]), apex(names[0])];
    assert_eq!(published, wanted.each_ref().map(|apex| apex.as_wire()));
    assert_eq!(withdrawn, [apex("d.test"), apex("c.d.test")]);
}

#[test]
fn a_zone_between_another_and_its_domains_is_delegated_with_its_ds() {
    // The domain's delegation moved into the new zone, which the outer one did not delegate.
    let house = house_with_zone();
    house.done(add("burner.sub.infra.test"));

    house.done(put_zone("sub.infra.test", INFRA));

    for name in ["sub.infra.test", "burner.sub.infra.test"] {
        let (rcode, answers, _) = house.ask(name, Rtype::DS);
        assert_eq!((rcode, answers), (Rcode::NOERROR, 2), "{name}");
    }
    house.verify("infra.test");
    house.verify("sub.infra.test");

    let other = house.refused(put_zone(
        "infra.test",
        &format!("{INFRA}sub NS ns9.elsewhere.test.\n"),
    ));
    assert!(matches!(other, Refusal::Conflict(_)), "{other:?}");
}

#[test]
fn zones_below_each_other_and_a_domain_come_in_one_change() {
    let house = House::new();

    house.done(change(vec![
        put_zone("infra.test", INFRA),
        put_zone("sub.infra.test", INFRA),
        put_pool("main", &shared_settings(&[])),
        add("burner.sub.infra.test"),
    ]));

    for name in ["sub.infra.test", "burner.sub.infra.test"] {
        let (rcode, answers, _) = house.ask(name, Rtype::DS);
        assert_eq!((rcode, answers), (Rcode::NOERROR, 2), "{name}");
    }
}

#[test]
fn a_host_in_use_does_not_move_through_a_pool_without_domains() {
    // Only the changed pool's own domains counted, and it has none.
    let house = house_with_zone();
    let names = json!([{ "name": "mx1.infra.test." }]);
    house.done(put_pool("users", &shared_settings(&[("mail_host", names)])));
    let moved = json!([{ "name": "mx1.infra.test.", "addresses": ["192.0.2.26"] }]);
    let moved = || put_pool("main", &shared_settings(&[("mail_host", moved.clone())]));
    let mut member = add("burner.example");
    if let Op::AddDomain(add) = &mut member {
        add.pool = "users".to_owned();
    }
    house.done(member);

    let put = house.refused(moved());
    let other = shared_settings(&[
        ("mail_host", json!([{ "name": "mx1.infra.test." }])),
        ("hostmaster", json!("other@infra.test")),
    ]);
    let both = house.refused(change(vec![put_pool("users", &other), moved()]));
    // The zone keeps the address, but the TLSA would go.
    let address = format!("{INFRA}mx1 A 192.0.2.25\n");
    house.done(put_zone("infra.test", &address));
    let delete = house.refused(Op::DeletePool {
        name: "main".to_owned(),
        if_match: None,
    });

    for refusal in [put, both, delete] {
        let Refusal::Conflict(why) = &refusal else {
            panic!("{refusal:?}");
        };
        assert!(why.contains("mx1.infra.test"), "{why}");
    }
    house.done(Op::DeleteDomain {
        name: apex("burner.example"),
        force: true,
        if_match: None,
    });
    house.done(put_zone("infra.test", INFRA));
    house.done(moved());
}

#[test]
fn an_exchange_without_an_address_and_a_ttl_beyond_signatures_are_refused_by_name() {
    let house = house_with_zone();
    for (line, words) in [
        ("@ MX 10 mx9\n", "@ MX leads to mx9.infra.test"),
        ("w 864000 A 192.0.2.1\n", "w A: expected TTLs"),
    ] {
        let refusal = house.refused(put_zone("infra.test", &format!("{INFRA}{line}")));

        let Refusal::Invalid(faults) = &refusal else {
            panic!("{refusal:?}");
        };
        assert!(faults[0].detail.contains(words), "{faults:?}");
    }
    house.done(put_zone("infra.test", &format!("{INFRA}@ MX 10 mx1\n")));
}
