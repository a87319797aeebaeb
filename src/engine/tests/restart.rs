//! What a restart brings back, and what it refuses to.

use std::sync::Arc;

use serde_json::json;

use super::house::{
    Fragile, House, INFRA, START, add, apex, change, put_pool, put_zone, shared_settings,
};
use crate::clock::{Clock, ManualClock};
use crate::dnssec::SealingKey;
use crate::engine::{Engine, EngineConfig, Op, StartError};
use crate::lifecycle::LifecycleState;
use crate::mail::PoolSettings;
use crate::metrics::Metrics;
use crate::store::meta::{self, Restored};
use crate::store::record::{self, PoolRecord};
use crate::store::{Batch, Space, Store};
use crate::wire::Rtype;
use crate::zone::zone_set;

/// Builds a house with a zone, a pool and two domains.
fn furnished() -> House {
    let house = House::new();
    house.done(change(vec![
        put_zone("infra.test", INFRA),
        put_pool("main", &shared_settings(&[])),
        add("a.example"),
        add("b.infra.test"),
    ]));
    house
}

/// Starts an engine on a store, with a key.
fn start(store: &Arc<Fragile>, key: u8) -> Result<(), StartError> {
    let (publisher, _reader) = zone_set();
    let clock = Arc::new(ManualClock::new(START)) as Arc<dyn Clock>;
    let (engine, threads) = Engine::start(
        EngineConfig::default(),
        Arc::clone(store) as Arc<dyn Store>,
        clock,
        SealingKey::from_bytes(&[key; 32]).unwrap(),
        publisher,
        crate::mail::routing_set().0,
        Arc::new(Metrics::new()),
    )?;
    engine.stop();
    threads.join();
    Ok(())
}

#[test]
fn a_restart_serves_the_same_octets() {
    let house = furnished();
    let questions = [
        ("a.example", Rtype::MX),
        ("a.example", Rtype::SOA),
        ("a.example", Rtype::DNSKEY),
        ("mx1.infra.test", Rtype::A),
        ("b.infra.test", Rtype::DS),
        ("nothing.a.example", Rtype::A),
    ];
    let before: Vec<_> = questions.map(|(name, rtype)| house.ask(name, rtype)).into();
    let ds = house.engine.view().domain(&apex("a.example")).unwrap().ds;
    let revision = house.engine.view().revision();

    let house = house.restarted();

    let after: Vec<_> = questions.map(|(name, rtype)| house.ask(name, rtype)).into();
    assert_eq!(before, after);
    let view = house.engine.view();
    assert_eq!(view.domain(&apex("a.example")).unwrap().ds, ds);
    assert_eq!(view.revision(), revision);
    drop(view);
    house.verify("infra.test");
}

#[test]
fn a_restarted_engine_goes_on_where_it_was() {
    let house = furnished().restarted();
    let serial = house.serial("infra.test");

    house.done(add("c.infra.test"));

    assert_eq!(house.serial("infra.test"), serial + 1);
    assert!(house.has("b.infra.test", Rtype::DS));
    assert!(house.has("c.infra.test", Rtype::DS));
    house.verify("infra.test");
    house.verify("c.infra.test");
}

#[test]
fn another_sealing_key_is_refused() {
    let mut house = furnished();
    house.stop();

    let error = start(&house.store, 8).unwrap_err();

    assert!(
        matches!(error, StartError::WrongSealingKey { .. }),
        "{error}"
    );
}

#[test]
fn a_damaged_record_is_named() {
    let mut house = furnished();
    house.stop();
    let mut batch = Batch::new();
    batch.put(Space::Domain, apex("a.example").as_wire(), vec![1, 0xff]);
    house.store.commit(&batch).unwrap();

    let error = start(&house.store, 7).unwrap_err().to_string();

    assert!(
        error.contains("domain") && error.contains("example"),
        "{error}"
    );
}

#[test]
fn a_missing_signed_zone_is_named() {
    let mut house = furnished();
    house.stop();
    let mut batch = Batch::new();
    for key in house.store.keys(Space::SignedZone) {
        batch.delete(Space::SignedZone, &key);
    }
    house.store.commit(&batch).unwrap();

    let error = start(&house.store, 7).unwrap_err().to_string();

    assert!(error.contains("is not stored"), "{error}");
}

#[test]
fn a_restored_store_comes_up_with_raised_serials_and_revision() {
    let mut house = furnished();
    let serial = house.serial("a.example");
    house.stop();
    let mut batch = Batch::new();
    let restored = Restored {
        at: START,
        backup_revision: 1,
    };
    meta::RESTORED.put(&mut batch, &restored);
    house.store.commit(&batch).unwrap();

    let house = house.restarted();

    let raised = house.serial("a.example");
    assert!(raised >= serial + 1_000_000, "{serial} {raised}");
    let revision = house.engine.view().revision();
    assert_eq!(Some(revision), restored.revision());
    house.verify("a.example");
    house.verify("infra.test");
    // Once only.
    let house = house.restarted();
    assert_eq!(house.serial("a.example"), raised);
}

#[test]
fn settings_that_would_be_refused_today_are_served_on() {
    // Each start checked them anew, and called a store damaged that an older release had filled.
    let house = furnished();
    let octets = house.store.get(Space::Pool, b"main").unwrap().unwrap();
    let mut pool: PoolRecord = record::decode(&octets).unwrap();
    let refused = shared_settings(&[("nameservers", json!(["ns1.a.test.", "ns1.a.test."]))]);
    assert!(PoolSettings::from_document(&refused).is_err());
    pool.settings = refused.to_string();
    let mut batch = Batch::new();
    batch.put_record(b"main", &pool);
    house.store.commit(&batch).unwrap();

    let house = house.restarted();

    assert!(house.has("a.example", Rtype::MX));
}

/// A domain that was deleted before the restart was told to nobody who reads the changes alone.
#[test]
fn who_follows_the_routing_reads_all_of_it_after_a_restart() {
    let house = furnished();
    let before = house.engine.view().revision();
    house.done(Op::DeleteDomain {
        name: apex("a.example"),
        force: true,
        if_match: None,
    });
    assert!(house.engine.view().knows_routing_behind(before));
    assert_eq!(house.engine.view().routing_gone(before).len(), 1);

    let house = house.restarted();

    let view = house.engine.view();
    assert!(!view.knows_routing_behind(before));
    assert!(view.knows_routing_behind(view.revision()));
}

/// K28, A8: a host had applied in the lost days that the domain is retired, and goes on to refuse what
/// the restored store accepts.
#[test]
fn a8_mail_hosts_apply_the_routing_of_a_restored_store_anew() {
    let house = furnished();
    let host = "mx1.infra.test".to_owned();
    let apply = |house: &House| {
        let revision = house.engine.view().revision();
        let host = host.clone();
        house.done(Op::HostApplied { host, revision });
    };
    apply(&house);
    house.done(Op::Transition {
        name: apex("a.example"),
        to: LifecycleState::Active,
        force: false,
        if_match: None,
    });
    apply(&house);
    house.hand_out("main").unwrap();
    let mut batch = Batch::new();
    let restored = Restored {
        at: START,
        backup_revision: house.engine.view().revision(),
    };
    meta::RESTORED.put(&mut batch, &restored);
    house.store.commit(&batch).unwrap();

    let house = house.restarted();

    let refused = house.hand_out("main").unwrap_err().to_string();
    assert!(refused.contains("A8"), "{refused}");
    apply(&house);
    house.hand_out("main").unwrap();
}
