//! Each rule, by name: what it bounds, when it lets go, and that leaving it out shows.

use proptest::prelude::*;

use super::*;
use crate::clock::{Span, Timestamp};
use crate::history::{PolicyStay, Stay};
use crate::mail::{Drain, Retire, Secured};
use crate::wire::{Serial, Ttl};

/// A moment some days after the domain of a case was added.
const NOW: u64 = 10_000_000;
/// A day.
const DAY: u64 = 86_400;

const fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn terms() -> Terms {
    Terms {
        guard: Span::from_secs(3_600),
        destructive_guard: Span::from_secs(86_400),
        queue_max: Span::from_secs(5 * 86_400),
        propagation: Span::from_secs(60),
        drain: Drain::For(Span::from_secs(30 * 86_400)),
        retire: Retire::Manual,
        quarantine: Span::from_secs(90 * 86_400),
        query_floor: 1,
        delegated: true,
        secured: Secured::Yes,
        mail_ready: true,
        has_policy: true,
        sends: false,
        ttl: Ttl::from_secs(3_600),
        negative_ttl: Ttl::from_secs(900),
        ns_ttl: Ttl::from_secs(86_400),
    }
}

fn live(on: u64, off: Option<u64>) -> Stay {
    Stay {
        on: at(on),
        off: off.map(at),
        null_mx: false,
        wildcard: false,
        own_hosts: false,
        ttl: Ttl::from_secs(3_600),
        negative_ttl: Ttl::from_secs(900),
        ns_ttl: Ttl::from_secs(86_400),
        lifetime: Span::from_secs(21 * 86_400),
        policy: Some(PolicyStay {
            acts: true,
            max_age: Span::from_secs(7 * 86_400),
        }),
    }
}

fn null(on: u64, off: Option<u64>) -> Stay {
    Stay {
        null_mx: true,
        policy: None,
        ..live(on, off)
    }
}

/// A case: what a [`Situation`] borrows.
#[derive(Clone, Debug)]
struct Case {
    state: LifecycleState,
    since: u64,
    fresh: bool,
    held: bool,
    suspended: Option<Suspension>,
    handed_out: Option<HandedOut>,
    restored: Option<u64>,
    terms: Terms,
    stays: Vec<Stay>,
    wanted: Option<&'static str>,
    shown: Option<&'static str>,
    shown_is_none: bool,
    spread: Option<Spread>,
    observed: Observed,
    watched: bool,
    deferred: Option<u64>,
    lags: Option<&'static str>,
    reference: Option<Reference<'static>>,
    expires_at: Option<u64>,
    added: u64,
    forgotten: Option<u64>,
    recovering_until: Option<u64>,
}

impl Case {
    /// A domain in a state for a hundred days, of which everything good is known and over.
    fn good(state: LifecycleState) -> Self {
        let mut observed = Observed::default();
        for moment in [1_000, NOW] {
            observed.learn(&Fact::Ds(DsSeen::Ours), at(moment));
            observed.learn(&Fact::Ns(NsSeen::Ours, None), at(moment));
            observed.learn(&Fact::Mail(true), at(moment));
            observed.learn(&Fact::Policy("live".to_owned()), at(moment));
        }
        observed.learn(&Fact::Queries(0), at(NOW));
        observed.learn(&Fact::Published(Serial::new(1)), at(1_000));
        let retired = state >= Retired;
        let since = NOW - 100 * DAY;
        Self {
            state,
            since,
            fresh: true,
            held: false,
            suspended: None,
            handed_out: None,
            restored: None,
            terms: terms(),
            stays: if retired {
                vec![live(1_000, Some(since)), null(since, None)]
            } else {
                vec![live(1_000, None)]
            },
            wanted: (!retired).then_some("live"),
            shown: (!retired).then_some("live"),
            shown_is_none: false,
            spread: None,
            observed,
            watched: false,
            deferred: None,
            lags: None,
            reference: None,
            expires_at: None,
            added: 1_000,
            forgotten: None,
            recovering_until: None,
        }
    }

    fn with<R>(&self, look: impl FnOnce(&Situation<'_>) -> R) -> R {
        let changed = self.stays.last().map_or(at(0), |stay| stay.on);
        look(&Situation {
            state: self.state,
            since: at(self.since),
            added: at(self.added),
            fresh: self.fresh,
            held: self.held,
            suspended: self.suspended.as_ref(),
            handed_out: self.handed_out,
            restored: self.restored.map(at),
            terms: &self.terms,
            stays: &self.stays,
            policy: PolicyProgress {
                wanted: self.wanted,
                shown: self.shown,
                shown_is_none: self.shown_is_none,
            },
            spread: self.spread.unwrap_or(Spread::By(changed)),
            observed: &self.observed,
            watched: self.watched,
            deferred: self.deferred.map(at),
            routing_lags: self.lags,
            answers: true,
            hosts_kept: true,
            dropped: false,
            reference: self.reference,
            expires_at: self.expires_at.map(at),
            forgotten: self.forgotten.map(at),
            recovering_until: self.recovering_until.map(at),
        })
    }

    /// Takes a step at a moment, without force.
    fn steps(&self, to: LifecycleState, now: u64, book: &Rulebook) -> Result<Step, Refused> {
        self.with(|it| step(it, to, Force::No, at(now), book))
    }

    /// Returns the rules that a step waits for.
    fn waits(&self, to: LifecycleState, now: u64) -> Vec<WaitingFor> {
        match self.steps(to, now, &Rulebook::standard()) {
            Ok(_) => Vec::new(),
            Err(Refused::TooEarly(waits)) => waits,
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Asserts that a step waits for one rule alone, until exactly a moment, and for nothing without
    /// the rule.
    #[track_caller]
    fn waits_until(&self, to: LifecycleState, rule: Rule, moment: u64) {
        let before = self.waits(to, moment - 1);
        let rules: Vec<_> = before.iter().map(|wait| wait.rule).collect();
        assert_eq!(rules, [rule.id()], "one second before: {before:?}");
        assert_eq!(before[0].not_before, Some(at(moment)));
        assert_eq!(self.waits(to, moment), [], "at the moment");
        self.needs(to, rule, moment - 1);
    }

    /// Asserts that a step waits for one rule that is not known to hold.
    #[track_caller]
    fn waits_for(&self, to: LifecycleState, rule: Rule) {
        let waits = self.waits(to, NOW);
        let rules: Vec<_> = waits.iter().map(|wait| wait.rule).collect();
        assert_eq!(rules, [rule.id()], "{waits:?}");
        assert_eq!(waits[0].not_before, None);
        self.needs(to, rule, NOW);
    }

    /// Asserts that a step can be taken when a rule is left out.
    #[track_caller]
    fn needs(&self, to: LifecycleState, rule: Rule, now: u64) {
        let book = Rulebook::standard().without(rule);
        assert!(self.steps(to, now, &book).is_ok(), "without {rule}");
    }
}

use LifecycleState::{Active, Draining, Released, Retired, Standby};

#[test]
fn with_all_known_and_over_every_step_of_a_life_is_open() {
    for (from, to) in [
        (Standby, Active),
        (Active, Draining),
        (Active, Standby),
        (Draining, Active),
        (Draining, Retired),
        (Retired, Released),
    ] {
        assert_eq!(Case::good(from).waits(to, NOW), [], "{from} to {to}");
    }
}

#[test]
fn t1_t4_states_are_not_jumped_over() {
    for (from, to) in [
        (Standby, Draining),
        (Standby, Retired),
        (Active, Retired),
        (Active, Released),
        (Draining, Released),
        (Draining, Standby),
        (Released, Active),
    ] {
        let case = Case::good(from);
        for force in [Force::No, Force::Yes] {
            let book = Rulebook::standard();
            let step = case.with(|it| step(it, to, force, at(NOW), &book));
            assert!(matches!(step, Err(Refused::Impossible(_))), "{from} {to}");
        }
    }
}

#[test]
fn a1_l5_the_delegation_was_seen_and_denials_from_before_are_over() {
    let mut case = Case::good(Standby);
    case.terms.secured = Secured::No;
    case.observed.ns = None;
    case.waits_for(Active, Rule::A1);

    case.observed.learn(&Fact::Ns(NsSeen::Ours, None), at(NOW));
    case.observed.learn(
        &Fact::Parent(ParentTimes {
            negative_ttl: Some(Ttl::from_secs(1_800)),
            refresh: Some(Span::from_secs(600)),
            ..ParentTimes::default()
        }),
        at(NOW),
    );
    case.waits_until(Active, Rule::A1, NOW + 600 + 1_800 + 3_600);
}

#[test]
fn a2_records_that_came_on_later_were_denied_before() {
    let mut case = Case::good(Standby);
    case.stays = vec![
        live(1_000, Some(NOW)),
        Stay {
            wildcard: true,
            ..live(NOW, None)
        },
    ];
    case.waits_until(Active, Rule::A2, NOW + 60 + 900 + 3_600);
}

#[test]
fn a2_a_longer_negative_ttl_of_before_counts() {
    let mut case = Case::good(Standby);
    let with = |on, off, negative, wildcard| Stay {
        negative_ttl: Ttl::from_secs(negative),
        wildcard,
        ..live(on, off)
    };
    // Lowered a minute before the wildcard came: a denial from before lives on.
    case.stays = vec![
        with(1_000, Some(NOW - 60), 80_000, false),
        with(NOW - 60, Some(NOW), 60, false),
        with(NOW, None, 60, true),
    ];
    case.waits_until(Active, Rule::A2, NOW - 60 + 60 + 80_000 + 3_600);
}

#[test]
fn a2_prime_l7_a_null_mx_of_before_has_left_the_caches() {
    let mut case = Case::good(Standby);
    // Long ago for A2, but with a TTL that outlives its denials.
    case.stays = vec![
        Stay {
            ttl: Ttl::from_secs(86_400),
            ..null(1_000, Some(NOW))
        },
        live(NOW, None),
    ];
    let waits = case.waits(Active, NOW + 60 + 86_400 + 3_600 - 1);
    assert_eq!(waits.len(), 1);
    case.waits_until(Active, Rule::A2Prime, NOW + 60 + 86_400 + 3_600);
}

#[test]
fn a3_the_ds_was_seen_and_denials_of_it_are_over() {
    let mut case = Case::good(Standby);
    case.observed.ds = None;
    case.waits_for(Active, Rule::A3);

    case.observed.learn(&Fact::Ds(DsSeen::Ours), at(NOW));
    // Nothing was measured: three hours, the most that resolvers keep a denial.
    case.waits_until(Active, Rule::A3, NOW + 60 + 10_800 + 3_600);
}

#[test]
fn a3_a_pool_goes_on_without_a_ds_after_its_patience() {
    let mut case = Case::good(Standby);
    case.observed.ds = None;
    case.observed.ns = None;
    case.observed.learn(&Fact::Ns(NsSeen::Ours, None), at(NOW));
    case.terms.secured = Secured::Within(Span::from_secs(10 * 86_400));
    case.waits_until(Active, Rule::A3, NOW + 10 * DAY);
}

#[test]
fn a4_the_hosts_were_seen_ready_twice_the_ttl_of_the_mx_apart() {
    let mut case = Case::good(Standby);
    case.observed.mail = None;
    case.waits_for(Active, Rule::A4);
    case.observed.learn(&Fact::Mail(true), at(NOW));
    case.waits_until(Active, Rule::A4, NOW + 3_600 + 3_600);

    // Whoever watches has to look a second time.
    case.watched = true;
    assert_eq!(case.waits(Active, NOW + 9_000)[0].rule, "A4");
    case.observed.learn(&Fact::Mail(true), at(NOW + 3_600));
    assert_eq!(case.waits(Active, NOW + 9_000), []);
    case.watched = false;
    case.observed.learn(&Fact::Mail(false), at(NOW + 1));
    case.waits_for(Active, Rule::A4);
}

#[test]
fn a5_a_delegation_of_before_has_left_the_caches() {
    let mut case = Case::good(Standby);
    case.fresh = false;
    case.terms.has_policy = false;
    case.observed.ns = None;
    case.observed.learn(&Fact::Ns(NsSeen::Ours, None), at(NOW));
    // Nobody measured it: com's two days.
    case.waits_until(Active, Rule::A5, NOW + 60 + 172_800 + 3_600);

    let mut seen = Case::good(Standby);
    let ttl = Ttl::from_secs(50_000);
    seen.observed.ns = None;
    seen.observed
        .learn(&Fact::Ns(NsSeen::Others, Some(ttl)), at(NOW - 9));
    seen.observed.learn(&Fact::Ns(NsSeen::Ours, None), at(NOW));
    seen.waits_until(Active, Rule::A5, NOW + 60 + 50_000 + 3_600);
}

#[test]
fn a6_i7_a_foreign_ds_that_was_seen_is_skipped_by_no_force() {
    let mut case = Case::good(Standby);
    case.terms.secured = Secured::No;
    case.observed.learn(&Fact::Ds(DsSeen::Foreign), at(NOW));
    case.waits_for(Active, Rule::A6);
    let book = Rulebook::standard();
    let forced = case.with(|it| step(it, Active, Force::Yes, at(NOW), &book));
    assert!(matches!(forced, Err(Refused::TooEarly(_))), "{forced:?}");

    // Gone at the parent, but caches hold it for its TTL; nothing measured it: a day.
    case.observed.learn(&Fact::Ds(DsSeen::Absent), at(NOW + 1));
    let until = NOW + 1 + 60 + 86_400 + 3_600;
    case.waits_until(Active, Rule::A6, until);
    let forced = case.with(|it| step(it, Active, Force::Yes, at(until - 1), &book));
    assert!(matches!(forced, Err(Refused::TooEarly(_))), "{forced:?}");
}

#[test]
fn a7_a_former_owners_policy_is_ended_by_ours() {
    let mut case = Case::good(Standby);
    case.fresh = false;
    case.observed.policy = None;
    case.waits_for(Active, Rule::A7);
    let ours = Fact::Policy("live".to_owned());
    case.observed.learn(&ours, at(NOW));
    case.waits_until(Active, Rule::A7, NOW + 3_600);
    case.observed.policy = None;

    case.terms.has_policy = false;
    assert_eq!(case.waits(Active, NOW), []);
}

#[test]
fn a9_a_name_whose_registration_has_lapsed_is_not_used() {
    let mut case = Case::good(Standby);
    case.expires_at = Some(NOW + 1);
    assert_eq!(case.waits(Active, NOW), []);
    case.expires_at = Some(NOW);
    case.waits_for(Active, Rule::A9);
    let mut case = Case::good(Draining);
    assert_eq!(case.waits(Active, NOW), []);
    case.expires_at = Some(NOW);
    case.waits_for(Active, Rule::A9);
}

#[test]
fn a8_hands_out_when_the_mail_hosts_have_applied_the_routing() {
    let mut case = Case::good(Active);
    let book = Rulebook::standard();
    assert_eq!(case.with(|it| hand_out_waits(it, at(NOW), &book)), []);
    case.lags = Some("mx1.infra.example");

    let waits = case.with(|it| hand_out_waits(it, at(NOW), &book));

    assert_eq!(waits[0].rule, "A8");
    let without = Rulebook::standard().without(Rule::A8);
    assert_eq!(case.with(|it| hand_out_waits(it, at(NOW), &without)), []);
}

#[test]
fn t5_a_domain_that_comes_back_hands_out_when_no_cache_holds_its_null_mx() {
    let mut case = Case::good(Active);
    case.restored = Some(NOW);
    case.stays = vec![null(1_000, Some(NOW)), live(NOW, None)];
    let book = Rulebook::standard();
    let until = NOW + 60 + 3_600 + DAY;

    let before = case.with(|it| hand_out_waits(it, at(until - 1), &book));
    let after = case.with(|it| hand_out_waits(it, at(until), &book));

    assert_eq!(before[0].rule, "T5");
    assert_eq!(before[0].not_before, Some(at(until)));
    assert_eq!(after, []);
}

#[test]
fn t5_only_force_brings_a_retired_domain_back() {
    let case = Case::good(Retired);
    assert_eq!(case.waits(Active, NOW)[0].rule, "T5");
    let book = Rulebook::standard();
    let forced = case.with(|it| step(it, Active, Force::Yes, at(NOW), &book));
    assert!(forced.is_ok());
}

#[test]
fn t2_draining_waits_for_nothing_and_can_be_undone() {
    let mut case = Case::good(Active);
    case.watched = true;
    case.spread = Some(Spread::Unknown);
    assert_eq!(case.waits(Draining, NOW), []);
    let case = Case {
        state: Draining,
        ..case
    };
    assert_eq!(case.waits(Active, NOW), []);
}

#[test]
fn t2_what_was_handed_out_never_stands_by_again() {
    let mut case = Case::good(Active);
    case.handed_out = Some(HandedOut {
        first: at(NOW),
        last: at(NOW),
        count: 1,
    });
    let book = Rulebook::standard();
    let forced = case.with(|it| step(it, Standby, Force::Yes, at(NOW), &book));
    assert!(matches!(forced, Err(Refused::Impossible(_))));
}

#[test]
fn r1_t3_addresses_live_as_long_as_was_promised() {
    let mut case = Case::good(Draining);
    case.since = NOW;
    case.waits_until(Retired, Rule::R1, NOW + 30 * DAY);

    // An address given out later lives longer, whatever the state says.
    case.since = NOW - 100 * DAY;
    case.handed_out = Some(HandedOut {
        first: at(1_000),
        last: at(NOW),
        count: 2,
    });
    case.waits_until(Retired, Rule::R1, NOW + 30 * DAY);

    case.terms.drain = Drain::Forever;
    case.waits_for(Retired, Rule::R1);
}

#[test]
fn r2_what_we_deferred_does_not_meet_the_null_mx() {
    let mut case = Case::good(Draining);
    case.deferred = Some(NOW);
    case.waits_until(Retired, Rule::R2, NOW + 5 * DAY);

    let mut seen = Case::good(Draining);
    seen.observed.learn(&Fact::Deferral, at(NOW - 3));
    seen.waits_until(Retired, Rule::R2, NOW - 3 + 5 * DAY);
}

#[test]
fn r2_an_outage_of_the_hosts_counts_from_its_end() {
    let mut case = Case::good(Draining);
    case.observed.learn(&Fact::Mail(false), at(NOW));
    case.observed.learn(&Fact::Mail(true), at(NOW + DAY));
    case.observed.learn(&Fact::Mail(true), at(NOW + 2 * DAY));
    case.waits_until(Retired, Rule::R2, NOW + DAY + 5 * DAY);
}

#[test]
fn r2_a_suspension_defers_for_as_long_as_it_lasts() {
    let mut case = Case::good(Draining);
    case.suspended = Some(Suspension {
        answer: crate::mail::RoutingAnswer::Later,
        since: at(NOW - 50 * DAY),
        until: None,
        reason: "spam".to_owned(),
    });
    let waits = case.waits(Retired, NOW);
    assert_eq!(waits[0].rule, "R2");
    assert_eq!(waits[0].not_before, Some(at(NOW + 5 * DAY)));

    // One with an end defers until then.
    let suspended = case.suspended.as_mut().unwrap();
    suspended.until = Some(at(NOW + DAY));
    let waits = case.waits(Retired, NOW);
    assert_eq!(waits[0].not_before, Some(at(NOW + 6 * DAY)));

    // What is refused for good is tried no more.
    let suspended = case.suspended.as_mut().unwrap();
    suspended.answer = crate::mail::RoutingAnswer::Never;
    assert_eq!(case.waits(Retired, NOW), []);
}

#[test]
fn r2_a_mail_host_that_lags_or_is_down_may_defer_still() {
    let mut lags = Case::good(Draining);
    lags.lags = Some("mx1.infra.example");
    lags.waits_for(Retired, Rule::R2);

    let mut down = Case::good(Draining);
    down.watched = true;
    down.observed.learn(&Fact::Mail(false), at(NOW - 50 * DAY));
    down.waits_for(Retired, Rule::R2);
    // The operator's word counts where nothing watches: five days later a host that was down still
    // was taken for one that is up.
    down.watched = false;
    down.waits_for(Retired, Rule::R2);
    down.observed.learn(&Fact::Mail(true), at(NOW));
    down.waits_until(Retired, Rule::R2, NOW + 5 * DAY);
}

#[test]
fn r3_a_lowered_ttl_counts_when_the_longer_one_is_out_of_caches() {
    let mut case = Case::good(Draining);
    case.stays = vec![
        Stay {
            ttl: Ttl::from_secs(200_000),
            ..live(1_000, Some(NOW))
        },
        live(NOW, None),
    ];
    case.waits_until(Retired, Rule::R3, NOW + 60 + 200_000);
}

#[test]
fn r4_l3_answers_to_what_a_domain_sent_find_back() {
    let mut case = Case::good(Draining);
    case.terms.drain = Drain::For(Span::from_secs(0));
    case.terms.sends = true;
    case.since = NOW;
    case.waits_until(Retired, Rule::R4, NOW + 5 * DAY);
}

#[test]
fn i5_nothing_is_withdrawn_while_a_server_lags() {
    let mut case = Case::good(Draining);
    case.watched = true;
    case.spread = Some(Spread::Unknown);
    case.waits_for(Retired, Rule::I5);
}

#[test]
fn i5_nothing_is_withdrawn_while_a_server_fails_nor_while_caches_may_be_stale() {
    let mut case = Case::good(Draining);
    case.watched = true;
    case.terms.queue_max = Span::from_secs(86_400);
    let some = Fact::Servers(ServersSeen::Some);
    case.observed.learn(&some, at(NOW - 50));
    case.waits_for(Retired, Rule::I5);
    let all = Fact::Published(Serial::new(1));
    case.observed.learn(&all, at(NOW - 40));
    assert_eq!(case.waits(Retired, NOW), []);

    // RFC 8767, section 5: three days from the end of an outage.
    let none = Fact::Servers(ServersSeen::None);
    case.observed.learn(&none, at(NOW - 30));
    case.observed.learn(&all, at(NOW));
    case.waits_until(Retired, Rule::I5, NOW + 3 * DAY);
}

#[test]
fn r2_an_outage_of_the_servers_counts_from_its_end() {
    let mut case = Case::good(Draining);
    let none = Fact::Servers(ServersSeen::None);
    case.observed.learn(&none, at(NOW));
    case.observed
        .learn(&Fact::Published(Serial::new(1)), at(NOW + DAY));
    case.waits_until(Retired, Rule::R2, NOW + DAY + 5 * DAY);
}

#[test]
fn x1_changes_every_day_do_not_begin_a_wait_anew() {
    let mut case = Case::good(Retired);
    case.watched = true;
    case.terms.quarantine = Span::from_secs(0);
    let begun = NOW - 20 * DAY;
    let first = Stay {
        lifetime: Span::from_secs(60),
        policy: None,
        ..live(1_000, Some(begun))
    };
    case.stays = vec![first];
    for day in 0..20 {
        let on = begun + day * DAY;
        case.stays.push(null(on, (day < 19).then_some(on + DAY)));
        case.observed.departures.changed(at(on));
        case.observed.departures.arrived(at(on + 300));
    }
    let until = begun + 300 + 3_600 + DAY;
    case.observed.learn(&Fact::Queries(0), at(until - 1));
    // Not by the newest change, which is a day old.
    case.waits_until(Released, Rule::X1, until);
}

#[test]
fn k28_nothing_is_withdrawn_while_the_store_recovers() {
    let mut case = Case::good(Draining);
    case.recovering_until = Some(NOW);
    case.waits_until(Retired, Rule::K28, NOW);
}

/// K28: what was handed out after the backup was taken is forgotten, so the promise of addresses is
/// counted from the restore, and a domain in use is taken for one that was handed out.
#[test]
fn k28_what_a_restored_store_has_forgotten_counts_as_handed_out() {
    let mut case = Case::good(Draining);
    case.forgotten = Some(NOW - DAY);
    let Drain::For(drain) = case.terms.drain else {
        panic!("the case's drain has an end");
    };
    case.waits_until(Retired, Rule::R1, NOW - DAY + u64::from(drain.as_secs()));

    let mut case = Case::good(Active);
    let book = Rulebook::standard();
    assert!(case.steps(Standby, NOW, &book).is_ok());
    case.forgotten = Some(NOW);
    assert_eq!(case.waits(Standby, NOW)[0].rule, "K28");
    // In the lost days one that stood by may have been active before.
    case.since = NOW + 1;
    assert_eq!(case.waits(Standby, NOW + 1)[0].rule, "K28");
    case.added = NOW + 1;
    assert!(case.steps(Standby, NOW + 1, &book).is_ok());

    let mut case = Case::good(Standby);
    assert!(case.steps(Released, NOW, &book).is_ok());
    case.forgotten = Some(NOW);
    assert_eq!(case.waits(Released, NOW)[0].rule, "K28");
}

#[test]
fn i4_a_hold_stops_what_withdraws_and_force_does_not_end_it() {
    let mut case = Case::good(Draining);
    case.held = true;
    assert_eq!(case.waits(Retired, NOW)[0].rule, "I4");
    let book = Rulebook::standard();

    let forced = case.with(|it| step(it, Retired, Force::Yes, at(NOW), &book));

    let Err(Refused::TooEarly(waiting)) = forced else {
        panic!("{forced:?}");
    };
    assert!(waiting[0].firm && waiting[0].what.contains("unhold"));
}

#[test]
fn i4_who_forces_is_told_what_force_does_not_skip_alone() {
    let mut case = Case::good(Draining);
    case.held = true;
    case.recovering_until = Some(NOW + 10);
    let book = Rulebook::standard();
    let rules = |force| {
        let refused = case.with(|it| step(it, Retired, force, at(NOW), &book));
        let Err(Refused::TooEarly(waiting)) = refused else {
            panic!("{refused:?}");
        };
        waiting.iter().map(|it| it.rule).collect::<Vec<_>>()
    };

    assert_eq!(rules(Force::No), ["I4", "K28"]);
    assert_eq!(rules(Force::Yes), ["I4"]);
}

#[test]
fn t4_a_domain_in_use_is_not_deleted_for_want_of_a_look_at_its_parent_alone() {
    let book = Rulebook::standard();
    for (state, what) in [
        (Active, "addresses in it may be in use"),
        (Draining, "addresses in it may be in use"),
        (Retired, "its null MX"),
    ] {
        let mut case = Case::good(state);
        case.observed.ns = None;

        let plain = case.with(|it| deletion(it, Force::No, at(NOW), &book));
        let forced = case.with(|it| deletion(it, Force::Yes, at(NOW), &book));

        let wait = plain.unwrap_err();
        assert!(wait.rule == "T4" && wait.what.contains(what), "{wait}");
        assert_eq!(forced, Ok(()));
    }
}

#[test]
fn i4_a_held_domain_is_deleted_by_no_force() {
    let mut case = Case::good(Standby);
    case.held = true;
    let book = Rulebook::standard();

    let deleted = case.with(|it| deletion(it, Force::Yes, at(NOW), &book));

    let wait = deleted.unwrap_err();
    assert!(wait.rule == "I4" && wait.firm, "{wait}");
}

#[test]
fn i4_force_is_logged_with_what_it_skipped() {
    let mut case = Case::good(Draining);
    case.recovering_until = Some(NOW + 10);
    let book = Rulebook::standard();

    let forced = case.with(|it| step(it, Retired, Force::Yes, at(NOW), &book));

    let Ok(Step::Now { skipped, .. }) = forced else {
        panic!("{forced:?}");
    };
    assert_eq!(skipped[0].rule, "K28");
}

#[test]
fn x1_l8_t4_the_old_mx_has_left_every_cache() {
    let mut case = Case::good(Retired);
    // The longest TTL that any cache may hold counts, not that of the last version.
    let long = Stay {
        ttl: Ttl::from_secs(700_000),
        policy: None,
        lifetime: Span::from_secs(3_600),
        ..live(1_000, Some(NOW - 10))
    };
    let short = Stay {
        policy: None,
        lifetime: Span::from_secs(3_600),
        ..live(NOW - 10, Some(NOW))
    };
    case.terms.quarantine = Span::from_secs(0);
    case.stays = vec![long, short, null(NOW, None)];
    let until = NOW + 60 + 700_000 + DAY;
    case.observed.learn(&Fact::Queries(0), at(until - 1));
    case.waits_until(Released, Rule::X1, until);

    let stops = |now| {
        let book = Rulebook::standard();
        let due = case.with(|it| due(it, at(now), &book));
        due.iter().any(|due| due.action == Action::StopAnswering)
    };
    assert!(!stops(until - 1));
    assert!(stops(until));
}

#[test]
fn x2_s18_senders_hold_a_policy_for_all_of_its_max_age() {
    let mut case = Case::good(Retired);
    case.terms.quarantine = Span::from_secs(0);
    let max_age = Span::from_secs(40 * 86_400);
    case.stays = vec![
        Stay {
            policy: Some(PolicyStay {
                acts: true,
                max_age,
            }),
            ..live(1_000, Some(NOW))
        },
        null(NOW, None),
    ];
    let until = NOW + 60 + 3_600 + 40 * DAY;
    case.observed.learn(&Fact::Queries(0), at(until - 1));
    case.waits_until(Released, Rule::X2, until);
}

#[test]
fn x2_an_announcement_with_a_longer_ttl_counts() {
    let mut case = Case::good(Retired);
    case.terms.quarantine = Span::from_secs(0);
    let max_age = Span::from_secs(40 * 86_400);
    let acts = |ttl, on, off| Stay {
        ttl: Ttl::from_secs(ttl),
        lifetime: Span::from_secs(60),
        policy: Some(PolicyStay {
            acts: true,
            max_age,
        }),
        ..live(on, off)
    };
    // Who holds the TXT of before for a week prolongs the policy that it announces.
    case.stays = vec![
        acts(600_000, 1_000, Some(NOW - 60)),
        acts(60, NOW - 60, Some(NOW)),
        null(NOW, None),
    ];
    let until = NOW - 60 + 60 + 600_000 + 40 * DAY;
    case.observed.learn(&Fact::Queries(0), at(until - 1));
    case.waits_until(Released, Rule::X2, until);
}

#[test]
fn x2_a_policy_that_is_still_announced_has_no_horizon() {
    let mut case = Case::good(Retired);
    case.stays[1].policy = Some(PolicyStay {
        acts: true,
        max_age: Span::from_secs(60),
    });
    case.waits_for(Released, Rule::X2);
}

#[test]
fn x3_no_signed_old_answer_can_be_replayed() {
    let mut case = Case::good(Retired);
    case.terms.quarantine = Span::from_secs(0);
    case.stays = vec![live(1_000, Some(NOW)), null(NOW, None)];
    let until = NOW + 21 * DAY;
    case.observed.learn(&Fact::Queries(0), at(until - 1));
    case.waits_until(Released, Rule::X3, until);
}

#[test]
fn x4_l14_a_host_that_is_named_keeps_its_domain_by_force_too() {
    let mut case = Case::good(Retired);
    let mut reference = Reference {
        who: "the pool other",
        until: None,
    };
    case.reference = Some(reference);
    case.waits_for(Released, Rule::X4);
    let book = Rulebook::standard();
    let forced = case.with(|it| step(it, Released, Force::Yes, at(NOW), &book));
    assert!(matches!(forced, Err(Refused::TooEarly(_))));
    let deleted = case.with(|it| deletion(it, Force::Yes, at(NOW), &book));
    assert_eq!(deleted.unwrap_err().rule, "L14");

    // Who named it once is still followed for a while; that is known, so force goes on.
    reference.until = Some(at(NOW));
    case.reference = Some(reference);
    case.waits_until(Released, Rule::X4, NOW);
    case.observed.ns = None;
    let deleted = |force| case.with(|it| deletion(it, force, at(NOW - 1), &book));
    assert_eq!(deleted(Force::No).unwrap_err().rule, "L14");
    assert_eq!(deleted(Force::Yes), Ok(()));
}

#[test]
fn x5_the_quarantine_is_served_and_hardly_anybody_asks() {
    let mut case = Case::good(Retired);
    case.terms.quarantine = Span::from_secs(101 * 86_400);
    case.observed.learn(&Fact::Queries(0), at(NOW + DAY - 1));
    case.waits_until(Released, Rule::X5, NOW + DAY);

    let mut asked = Case::good(Retired);
    asked.observed.learn(&Fact::Queries(1), at(NOW));
    asked.waits_for(Released, Rule::X5);
    asked.observed.queries = None;
    asked.waits_for(Released, Rule::X5);
}

#[test]
fn x6_the_registration_outlives_the_rest() {
    let mut case = Case::good(Retired);
    case.expires_at = Some(NOW - 1);
    case.waits_for(Released, Rule::X6);
    case.expires_at = Some(NOW + 1);
    assert_eq!(case.waits(Released, NOW), []);

    // Said ahead of time, though nobody knows yet how many ask.
    case.terms.quarantine = Span::from_secs(101 * 86_400);
    case.observed.queries = None;
    let waits = case.waits(Released, NOW);
    assert!(waits.iter().any(|wait| wait.rule == "X6"), "{waits:?}");
}

#[test]
fn t4_a_standby_domain_that_was_never_handed_out_needs_no_quarantine() {
    let mut case = Case::good(Standby);
    case.terms.quarantine = Span::from_secs(300 * 86_400);
    case.observed.queries = None;
    assert_eq!(case.waits(Released, NOW), []);
}

#[test]
fn i8_t0_the_zone_is_served_until_the_delegation_is_out_of_caches() {
    let mut case = Case::good(Released);
    let drops = |case: &Case, now, book: &Rulebook| {
        let due = case.with(|it| due(it, at(now), book));
        due.iter().any(|due| due.action == Action::DropZone)
    };
    let book = Rulebook::standard();
    assert!(!drops(&case, NOW + 1_000 * DAY, &book), "still delegated");

    case.observed.learn(&Fact::Ns(NsSeen::Gone, None), at(NOW));
    let until = NOW + 60 + 172_800 + DAY;

    assert!(!drops(&case, until - 1, &book));
    assert!(drops(&case, until, &book));
    assert!(drops(&case, NOW, &Rulebook::standard().without(Rule::I8)));
}

#[test]
fn i8_a_delegated_domain_is_deleted_by_no_force() {
    let case = Case::good(Standby);
    let book = Rulebook::standard();
    let refused = case
        .with(|it| deletion(it, Force::Yes, at(NOW), &book))
        .unwrap_err();
    assert_eq!(refused.rule, "I8");
    assert!(refused.firm);
}

#[test]
fn s9_the_id_follows_the_text() {
    let mut case = Case::good(Draining);
    case.wanted = Some("next");
    let shows = |case: &Case, book: &Rulebook| {
        let due = case.with(|it| due(it, at(NOW), book));
        due.iter().any(|due| due.action == Action::ShowPolicy)
    };
    let book = Rulebook::standard();
    assert!(!shows(&case, &book), "the old text is served");
    assert!(shows(&case, &Rulebook::standard().without(Rule::S9)));

    case.observed
        .learn(&Fact::Policy("next".to_owned()), at(NOW));

    assert!(shows(&case, &book));
}

#[test]
fn s10_none_is_announced_until_no_sender_holds_a_policy() {
    let mut case = Case::good(Retired);
    case.shown = Some("none");
    case.wanted = Some("none");
    case.shown_is_none = true;
    case.stays = vec![live(1_000, Some(NOW)), null(NOW, None)];
    let until = NOW + 60 + 3_600 + 7 * DAY;
    let drops = |now, book: &Rulebook| {
        let due = case.with(|it| due(it, at(now), book));
        due.iter().any(|due| due.action == Action::DropPolicy)
    };
    let book = Rulebook::standard();

    assert!(!drops(until - 1, &book));
    assert!(drops(until, &book));
    assert!(drops(NOW, &Rulebook::standard().without(Rule::S10)));
}

#[test]
fn where_something_watches_the_last_server_ends_every_wait() {
    let mut case = Case::good(Retired);
    case.watched = true;
    case.terms.quarantine = Span::from_secs(0);
    case.stays = vec![
        Stay {
            lifetime: Span::from_secs(60),
            policy: None,
            ..live(1_000, Some(NOW))
        },
        null(NOW, None),
    ];
    // Seen everywhere half a day after the commit.
    case.spread = Some(Spread::By(at(NOW + DAY / 2)));
    let until = NOW + DAY / 2 + 3_600 + DAY;
    case.observed.learn(&Fact::Queries(0), at(until - 1));
    case.waits_until(Released, Rule::X1, until);
}

proptest! {
    /// What `next` promises for a moment holds at that moment, and not a second earlier.
    #[test]
    fn next_keeps_its_word(
        since in 0_u64..100,
        deferred in proptest::option::of(0_u64..100),
        ttl in 60_u32..1_000_000,
        sends: bool,
        draining: bool,
    ) {
        let mut case = Case::good(if draining { Draining } else { Retired });
        case.since = NOW - since * DAY;
        case.deferred = deferred.map(|days| NOW - days * DAY);
        case.terms.sends = sends;
        let first = Stay { ttl: Ttl::from_secs(ttl), ..live(1_000, Some(case.since)) };
        case.stays = vec![
            first,
            if draining { live(case.since, None) } else { null(case.since, None) },
        ];
        let book = Rulebook::standard();
        let next = case.with(|it| next(it, at(NOW), &book)).unwrap();
        let Some(moment) = next.not_before else {
            prop_assert!(next.waiting_for.is_empty(), "{next:?}");
            return Ok(());
        };
        // Counts are a fact of the day.
        case.observed.learn(&Fact::Queries(0), moment);
        let takes = |now| case.with(|it| step(it, next.state, Force::No, now, &book));
        prop_assert!(takes(moment).is_ok(), "{:?}", takes(moment));
        let before = moment.saturating_sub(std::time::Duration::from_secs(1));
        prop_assert!(takes(before).is_err());
    }

    /// Nothing becomes due by the clock before the moment at which it is looked for.
    #[test]
    fn nothing_is_due_before_it_is_looked_for(
        since in 0_u64..60,
        lifetime in 1_u32..60,
        max_age in 1_u32..60,
        later in 0_u64..100,
    ) {
        let mut case = Case::good(Retired);
        case.since = NOW - since * DAY;
        (case.shown, case.wanted, case.shown_is_none) = (Some("none"), Some("none"), true);
        case.stays = vec![
            Stay {
                lifetime: Span::from_secs(lifetime * 86_400),
                policy: Some(PolicyStay { acts: true, max_age: Span::from_secs(max_age * 86_400) }),
                ..live(1_000, Some(case.since))
            },
            null(case.since, None),
        ];
        let book = Rulebook::standard();
        let now_due = case.with(|it| due(it, at(NOW), &book)).len();
        let wake = case.with(|it| wake_at(it, at(NOW), &book));
        let then = at(NOW + later * DAY);
        let then_due = case.with(|it| due(it, then, &book)).len();
        if then_due > now_due {
            prop_assert!(wake.is_some_and(|wake| wake <= then), "{wake:?} {then}");
        }
    }
}
