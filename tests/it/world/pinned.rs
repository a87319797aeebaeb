//! Stories that once failed, and short ones of what broke easily: told to the engine every time.

use mxpool::lifecycle::Rulebook;

use super::engine::Real;
use super::play::play;
use super::product::{Reply, Stage};
use super::story::{DAY, Event, HOUR, MINUTE, Setting, Story, Turn};
use super::tell::fail;

/// A small world in which nothing is late.
fn world() -> Setting {
    Setting {
        watching: true,
        domains: 2,
        owned: 0,
        ttls: (HOUR, HOUR, 5 * MINUTE),
        parent: (HOUR, HOUR, 15 * MINUTE),
        subdomains: false,
        in_domain: false,
        secured: false,
        hasty: false,
        hosts: 1,
        late: 0,
        copies: 0,
        sts: None,
        sends: false,
        auto: false,
        spans: (HOUR, DAY),
        signing: (21 * DAY, 14 * DAY),
        guards: (0, 0),
        propagation: MINUTE,
        registration: None,
    }
}

/// Tells the engine what happens, with what follows it, to the end; all of these orders are done.
fn tell(setting: Setting, events: Vec<(u64, Event)>, done: &[&'static str]) {
    let story = Story {
        seed: 1,
        setting,
        events,
    };
    let mut product = Real::new(Rulebook::standard(), story.setting.watching);
    match play(&mut product, &story) {
        Err(violation) => fail(&story, &violation),
        Ok(telling) => {
            for kind in done {
                let counts = telling.orders.get(kind).copied().unwrap_or_default();
                assert!(
                    counts[0] > 0 && counts[2] == 0,
                    "{kind}: {:#?}",
                    telling.orders
                );
            }
        }
    }
}

/// A domain is added, becomes active and hands out addresses; then this.
fn in_use(then: Vec<(u64, Event)>) -> Vec<(u64, Event)> {
    let begin = vec![
        (0, Event::Add(0)),
        (MINUTE, Event::Step(0, Stage::Active)),
        (8 * DAY, Event::HandOut),
    ];
    begin.into_iter().chain(then).collect()
}

/// A domain ends its life; then everything is over.
fn ends() -> Vec<(u64, Event)> {
    vec![
        (DAY, Event::Step(0, Stage::Draining)),
        (6 * DAY, Event::Step(0, Stage::Retired)),
        (30 * DAY, Event::Step(0, Stage::Released)),
    ]
}

#[test]
fn s2_draining_active_and_draining_again_announces_no_id_twice() {
    let setting = Setting {
        sts: Some(("enforce", 7 * DAY)),
        ..world()
    };
    let then = vec![
        (DAY, Event::Step(0, Stage::Draining)),
        (HOUR, Event::Step(0, Stage::Active)),
        (HOUR, Event::Step(0, Stage::Draining)),
        (HOUR, Event::Step(0, Stage::Active)),
        (HOUR, Event::HandOut),
    ];
    tell(
        setting,
        in_use(then.into_iter().chain(ends()).collect()),
        &["step"],
    );
}

#[test]
fn r2_hosts_that_apply_a_resume_late_make_senders_defer() {
    let setting = Setting {
        late: 8 * HOUR,
        ..world()
    };
    let then = vec![
        (DAY, Event::Suspend(0, Reply::Later)),
        (DAY, Event::Step(0, Stage::Draining)),
        (HOUR, Event::Resume(0)),
        (5 * DAY, Event::Step(0, Stage::Retired)),
    ];
    tell(setting, in_use(then), &["suspend", "resume"]);
}

#[test]
fn r2_later_that_becomes_never_leaves_queues_behind() {
    let then = vec![
        (DAY, Event::Suspend(0, Reply::Later)),
        (HOUR, Event::Suspend(0, Reply::Never)),
        (HOUR, Event::Step(0, Stage::Draining)),
        (2 * HOUR, Event::Step(0, Stage::Retired)),
    ];
    tell(world(), in_use(then), &["suspend"]);
}

#[test]
fn a5_a6_what_a_former_owner_left_counts_until_it_was_seen_to_be_gone() {
    for seed in 1..5 {
        let setting = Setting {
            owned: 3,
            secured: true,
            parent: (2 * DAY, DAY, HOUR),
            ..world()
        };
        let mut events = in_use(ends());
        events.insert(1, (seed * HOUR, Event::Add(1)));
        events.insert(2, (MINUTE, Event::Step(1, Stage::Active)));
        tell(setting, events, &["step"]);
    }
}

#[test]
fn k28_a_backup_that_is_restored_twice_raises_serials_and_policy_ids_twice() {
    let setting = Setting {
        sts: Some(("enforce", 7 * DAY)),
        ..world()
    };
    let then = vec![
        (DAY, Event::Backup),
        (DAY, Event::HandOut),
        (DAY, Event::Restore),
        (DAY, Event::Pool(Turn::HostAdded)),
        (DAY, Event::HandOut),
        (2, Event::Restore),
        (DAY, Event::Step(0, Stage::Draining)),
        (DAY, Event::Step(0, Stage::Retired)),
    ];
    tell(setting, in_use(then), &[]);
}

#[test]
fn s10_a_text_that_was_wanted_for_an_hour_is_kept_for_its_max_age() {
    let setting = Setting {
        sts: Some(("enforce", 14 * DAY)),
        copies: 2 * DAY,
        ttls: (4 * HOUR, HOUR, 5 * MINUTE),
        ..world()
    };
    for hours in [2, 13] {
        let then = vec![
            (7 * DAY, Event::Step(0, Stage::Draining)),
            (hours * HOUR, Event::Step(0, Stage::Active)),
            (2 * HOUR, Event::Step(0, Stage::Draining)),
            (3 * DAY, Event::Step(0, Stage::Retired)),
            (30 * DAY, Event::Quiet),
        ];
        tell(setting.clone(), in_use(then), &["step"]);
    }
}

#[test]
fn x4_l14_who_knows_a_name_that_another_pool_had_finds_its_host() {
    let setting = Setting {
        in_domain: true,
        ..world()
    };
    let then = vec![
        (DAY, Event::Refer(0, 50 * DAY)),
        (DAY, Event::Step(0, Stage::Draining)),
        (6 * DAY, Event::Step(0, Stage::Retired)),
        (30 * DAY, Event::Step(0, Stage::Released)),
    ];
    tell(setting, in_use(then), &["refer", "unrefer"]);
}

#[test]
fn m4_n1_a_shared_host_joins_when_the_servers_of_its_zone_have_it() {
    for turn in [Turn::HostAdded, Turn::AddressAdded] {
        let then = vec![
            (DAY, Event::ServerLags(1, 2 * DAY)),
            (MINUTE, Event::Pool(turn)),
            (5 * DAY, Event::HandOut),
        ];
        tell(world(), in_use(then), &["pool"]);
    }
}

#[test]
fn s10_a_policy_ends_when_no_sender_prolongs_it() {
    let setting = Setting {
        sts: Some(("enforce", 7 * DAY)),
        copies: 2 * DAY,
        ..world()
    };
    let then = vec![
        (2 * DAY, Event::Pool(Turn::Sts(None))),
        (40 * DAY, Event::Pool(Turn::Sts(Some(("enforce", 2 * DAY))))),
        (20 * DAY, Event::Quiet),
    ];
    tell(setting, in_use(then), &["pool"]);
}

#[test]
fn pool_changes_are_taken_back_while_they_are_on_their_way() {
    let setting = Setting {
        subdomains: true,
        sends: true,
        ..world()
    };
    for turn in [
        Turn::Subdomains(false),
        Turn::Sends(false),
        Turn::HostAdded,
        Turn::Sts(Some(("enforce", 2 * DAY))),
    ] {
        let then = vec![
            (DAY, Event::Pool(turn)),
            (HOUR, Event::Undo),
            (10 * DAY, Event::Pool(turn)),
        ];
        tell(
            setting.clone(),
            in_use(then.into_iter().chain(ends()).collect()),
            &["pool", "undo"],
        );
    }
}

#[test]
fn a7_a_name_that_had_an_owner_comes_back_from_its_null_mx() {
    let setting = Setting {
        owned: 1,
        sts: Some(("testing", DAY)),
        ..world()
    };
    let events = vec![
        (0, Event::Add(0)),
        (HOUR, Event::Step(0, Stage::Active)),
        (9 * DAY, Event::Force(0, Stage::Draining)),
        (HOUR, Event::Force(0, Stage::Retired)),
        (2 * DAY, Event::Force(0, Stage::Active)),
        (HOUR, Event::Step(0, Stage::Standby)),
        (MINUTE, Event::Step(0, Stage::Active)),
    ];
    tell(setting, events, &["step", "force"]);
}

#[test]
fn s9_a_policy_that_had_ended_comes_back_after_its_text() {
    let setting = Setting {
        watching: false,
        sts: Some(("enforce", DAY)),
        copies: 2 * DAY,
        ..world()
    };
    for hours in [0, 3, 20] {
        let then = vec![
            (DAY, Event::Step(0, Stage::Draining)),
            (6 * DAY, Event::Step(0, Stage::Retired)),
            (3 * DAY + hours * HOUR, Event::Force(0, Stage::Active)),
            (9 * DAY, Event::Quiet),
        ];
        tell(setting.clone(), in_use(then), &["step", "force"]);
    }
}
