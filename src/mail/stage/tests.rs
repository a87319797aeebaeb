use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::mail::settings::MailHost;
use crate::mail::{MtaStsMode, policy_text, sample};

const DAY: u64 = 86_400;
const HOUR: u64 = 3_600;

const fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

/// A pool on its way to a wish, by a clock that jumps.
struct Walk {
    /// What was in effect, oldest first.
    versions: Vec<Lapse<PoolSettings>>,
    /// What is wished for.
    wanted: PoolSettings,
    /// Since when its parts are on their way.
    staged: Vec<Staged>,
    /// The moment.
    now: Timestamp,
    /// Since when all domains show the id of the policy in effect.
    shown: Option<Timestamp>,
    /// How long domains take to show it.
    lag: u64,
    /// Whether every listed server keeps up.
    keeps_up: bool,
    /// When we last made senders defer.
    deferred: Option<Timestamp>,
}

impl Walk {
    /// Begins with settings that were in effect for a year.
    fn new(document: &Value) -> Self {
        let settings = sample::settings(document);
        Self {
            versions: vec![Lapse {
                what: settings.clone(),
                on: at(0),
                off: None,
            }],
            wanted: settings,
            staged: Vec::new(),
            now: at(365 * DAY),
            shown: Some(at(0)),
            lag: 600,
            keeps_up: true,
            deferred: None,
        }
    }

    /// Wishes for something and takes the first steps.
    fn wish(&mut self, document: &Value) -> Staging {
        self.wanted = sample::settings(document);
        self.step()
    }

    /// Takes the steps that are due now.
    fn step(&mut self) -> Staging {
        let staging = self.ask();
        self.staged.clone_from(&staging.staged);
        let current = self.effective();
        if staging.effective == *current {
            return staging;
        }
        let text = |it: &PoolSettings| policy_text(it, crate::mail::PolicyForm::Live);
        if text(&staging.effective) != text(current) {
            let shown = self.now.saturating_add(Duration::from_secs(self.lag));
            self.shown = Some(shown);
        }
        if let Some(last) = self.versions.last_mut() {
            last.off = Some(self.now);
        }
        self.versions.push(Lapse {
            what: staging.effective.clone(),
            on: self.now,
            off: None,
        });
        staging
    }

    /// Asks what may be in effect.
    fn ask(&self) -> Staging {
        let versions: Vec<Lapse<&PoolSettings>> = self
            .versions
            .iter()
            .map(|lapse| Lapse {
                what: &lapse.what,
                on: lapse.on,
                off: lapse.off,
            })
            .collect();
        let served = if self.keeps_up {
            Served::Assumed(Span::from_secs(60))
        } else {
            Served::Seen(None)
        };
        let facts = StageFacts {
            now: self.now,
            versions: &versions,
            served,
            policy_shown: self.shown.filter(|shown| *shown <= self.now),
            deferred: self.deferred,
            zone_of: &|_| {
                Some(HostZone {
                    negative_ttl: Ttl::from_secs(900),
                    served,
                })
            },
        };
        stage(&self.wanted, &self.staged, &facts)
    }

    /// Lets time pass and takes the steps that are due then.
    fn pass(&mut self, seconds: u64) -> Staging {
        self.now = self.now.saturating_add(Duration::from_secs(seconds));
        self.step()
    }

    /// Returns what is in effect.
    fn effective(&self) -> &PoolSettings {
        &self.versions.last().expect("there is a first version").what
    }

    /// Walks on from wake to wake until all is in effect, at most `steps` times.
    fn finish(&mut self, steps: usize) -> Staging {
        let mut staging = self.step();
        for _ in 0..steps {
            if staging.waits.is_empty() && *self.effective() == self.wanted {
                break;
            }
            let wake = staging.wake_at().filter(|wake| *wake > self.now);
            let ahead = wake.map_or(self.lag.max(1), |wake| wake.since(self.now).as_secs());
            staging = self.pass(ahead);
        }
        staging
    }

    /// Returns a host as it is in effect.
    fn host(&self, name: &str) -> &MailHost {
        let mut hosts = self.effective().mail_hosts.iter();
        let host = hosts.find(|host| host.name.to_string() == name);
        host.expect("the pool has the host")
    }
}

/// Returns the rules that something waits for.
fn rules(staging: &Staging) -> Vec<&'static str> {
    staging.waits.iter().map(|wait| wait.rule).collect()
}

/// Returns the document of the pool with a third host.
fn with_third(preference: u16) -> Value {
    let host = json!({
        "name": "mx3.infra-a.example.",
        "preference": preference,
        "addresses": ["192.0.2.27"],
        "tlsa": [sample::TLSA[0]],
    });
    sample::with(sample::document(), "/mail_host/2", host)
}

const THIRD: &str = "mx3.infra-a.example.";

#[test]
fn what_only_adds_is_in_effect_at_once() {
    let mut walk = Walk::new(&sample::document());

    let staging = walk.wish(&sample::with(sample::document(), "/ttl", json!("2h")));

    assert_eq!(staging.effective, walk.wanted);
    assert!(staging.waits.is_empty() && staging.staged.is_empty());
}

#[test]
fn m4_a_host_joins_as_a_spare_first_and_the_mx_when_nobody_can_miss_it() {
    let mut walk = Walk::new(&sample::document());

    let began = walk.wish(&with_third(20));

    assert_eq!(rules(&began), ["M4", "M4"]);
    assert!(walk.host(THIRD).spare);
    assert!(!walk.host("mx1.infra-a.example.").spare);
    // The address: Dc, the negative TTL and the guard; the policy: when every domain announces it
    // (600 s), Dc, the TTL and the guard.
    let address = 60 + 900 + HOUR;
    let policy = 600 + 60 + HOUR + HOUR;
    let staging = walk.pass(address);
    assert_eq!(rules(&staging), ["M4"]);
    assert!(staging.waits[0].what.contains("announces"), "{staging:?}");
    let almost = walk.pass(policy - address - 1);
    assert!(almost.effective.mail_hosts[2].spare);
    let done = walk.pass(1);
    assert!(done.waits.is_empty() && !walk.host(THIRD).spare);
    assert_eq!(*walk.effective(), walk.wanted);
}

#[test]
fn m4_without_a_policy_the_negative_ttl_alone_counts() {
    let plain = sample::without(sample::document(), "/mta_sts");
    let wanted = sample::without(with_third(20), "/mta_sts");
    let mut walk = Walk::new(&plain);
    walk.wish(&wanted);

    assert!(walk.pass(60 + 900 + HOUR - 1).effective.mail_hosts[2].spare);
    assert!(!walk.pass(1).effective.mail_hosts[2].spare);
}

#[test]
fn m4_a_server_that_lags_or_a_domain_that_shows_the_old_id_keeps_a_host_out() {
    let mut walk = Walk::new(&sample::document());
    walk.keeps_up = false;
    walk.wish(&with_third(20));
    let lagging = walk.pass(30 * DAY);
    assert!(lagging.effective.mail_hosts[2].spare, "{lagging:?}");
    assert!(lagging.waits.iter().all(|wait| wait.not_before.is_none()));

    walk.keeps_up = true;
    walk.shown = None;
    let unannounced = walk.pass(30 * DAY);
    assert!(unannounced.effective.mail_hosts[2].spare);
    assert_eq!(unannounced.wake_at(), None);
}

#[test]
fn l16_patterns_that_cover_a_new_host_leave_the_policy_as_it_is() {
    let patterns = json!(["*.infra-a.example", "*.infra-b.example"]);
    let with = |document| sample::with(document, "/mta_sts/patterns", patterns.clone());
    let mut walk = Walk::new(&with(sample::document()));
    walk.wish(&with(with_third(20)));

    let done = walk.pass(60 + 900 + HOUR);

    assert!(done.waits.is_empty(), "{done:?}");
}

#[test]
fn m5_hosts_with_many_addresses_do_not_join_in_front_while_old_policies_forbid_them() {
    let addresses: Vec<String> = (1..=5).map(|n| format!("192.0.2.{n}")).collect();
    let many = sample::with(with_third(10), "/mail_host/2/addresses", json!(addresses));
    let mut walk = Walk::new(&sample::document());
    walk.wish(&many);

    let waiting = walk.pass(2 * HOUR + 660);
    assert_eq!(rules(&waiting), ["M5"]);
    assert!(walk.pass(6 * DAY).effective.mail_hosts[2].spare);
    let done = walk.finish(3);

    assert!(done.waits.is_empty() && !walk.host(THIRD).spare);
    // The policy of before lived for seven days from its last announcement on.
    assert!(walk.now >= at((365 + 7) * DAY + 600));
}

#[test]
fn m5_is_void_for_a_host_behind_the_others_or_with_few_addresses() {
    for preference in [10, 20] {
        let mut walk = Walk::new(&sample::document());
        walk.wish(&with_third(preference));

        let done = walk.pass(2 * HOUR + 660);

        assert!(done.waits.is_empty(), "{preference}: {done:?}");
    }
}

#[test]
fn n1_an_address_joins_when_tlsa_has_stood_for_two_ttls() {
    let more = json!(["192.0.2.25", "192.0.2.26", "2001:db8::25"]);
    let wanted = sample::with(sample::document(), "/mail_host/0/addresses", more);
    let mut walk = Walk::new(&sample::document());

    assert_eq!(rules(&walk.wish(&wanted)), ["N1"]);
    let almost = walk.pass(60 + 2 * HOUR + HOUR - 1);
    assert_eq!(almost.effective.mail_hosts[0].addresses.len(), 2);
    walk.pass(1);
    assert_eq!(*walk.effective(), walk.wanted);
}

#[test]
fn n1_a_host_without_tlsa_gets_its_address_at_once() {
    let bare = sample::with(sample::document(), "/mail_host/0/tlsa", json!([]));
    let more = json!(["192.0.2.25", "192.0.2.26", "2001:db8::25"]);
    let mut walk = Walk::new(&bare);

    let staging = walk.wish(&sample::with(bare, "/mail_host/0/addresses", more));

    assert!(staging.waits.is_empty());
}

#[test]
fn s8_a_policy_is_tried_for_a_week_from_when_every_domain_announces_it() {
    let plain = sample::without(sample::document(), "/mta_sts");
    let mut walk = Walk::new(&plain);

    let began = walk.wish(&sample::document());
    assert_eq!(rules(&began), ["S8"]);
    let mode = |walk: &Walk| walk.effective().mta_sts.as_ref().map(|it| it.mode);
    assert_eq!(mode(&walk), Some(MtaStsMode::Testing));
    walk.pass(7 * DAY + 600 - 1);
    assert_eq!(mode(&walk), Some(MtaStsMode::Testing));
    walk.pass(1);

    assert_eq!(mode(&walk), Some(MtaStsMode::Enforce));
    assert_eq!(*walk.effective(), walk.wanted);
}

#[test]
fn s8_a_policy_that_was_tried_long_enough_is_enforced_at_once() {
    let testing = sample::with(sample::document(), "/mta_sts/mode", json!("testing"));
    let mut walk = Walk::new(&testing);

    assert!(walk.wish(&sample::document()).waits.is_empty());

    // Down is always allowed, and is a new beginning.
    assert!(walk.wish(&testing).waits.is_empty());
    assert_eq!(rules(&walk.wish(&sample::document())), ["S8"]);
}

#[test]
fn s10_a_policy_ends_by_none_which_stays_until_no_sender_holds_an_older_one() {
    let mut walk = Walk::new(&sample::document());
    let wanted = sample::without(sample::document(), "/mta_sts");

    let began = walk.wish(&wanted);
    assert_eq!(rules(&began), ["S10"]);
    let policy = walk.effective().mta_sts.clone();
    let policy = policy.expect("the policy stays for a while");
    assert_eq!(
        (policy.mode, policy.max_age.as_secs()),
        (MtaStsMode::None, 86_400)
    );
    assert!(!policy.addresses.is_empty());
    // A week of max_age, a day of guard, from when no cache holds the id of before (S2).
    let prolonged = 600 + 60 + 3_600;
    walk.pass(8 * DAY + prolonged - 1);
    assert!(walk.effective().mta_sts.is_some());
    walk.pass(1);

    assert_eq!(*walk.effective(), walk.wanted);
}

#[test]
fn s10_does_not_end_a_policy_that_some_domain_still_announces() {
    let mut walk = Walk::new(&sample::document());
    walk.lag = 100 * DAY;
    walk.wish(&sample::without(sample::document(), "/mta_sts"));

    let waiting = walk.pass(99 * DAY);

    assert_eq!(rules(&waiting), ["S10"]);
    assert_eq!(waiting.wake_at(), None);
    assert!(walk.finish(5).waits.is_empty());
}

#[test]
fn r4_sending_ends_when_what_was_sent_has_come_back() {
    let mut walk = Walk::new(&sample::in_domain());

    let wanted = sample::without(sample::in_domain(), "/outbound");
    assert_eq!(rules(&walk.wish(&wanted)), ["R4"]);
    walk.pass(5 * DAY - 1);
    assert!(walk.effective().outbound.is_some());
    walk.pass(1);

    assert_eq!(walk.effective().outbound, None);
}

#[test]
fn r4_a_dkim_selector_goes_alone_and_the_rest_changes_at_once() {
    let mut wanted = sample::in_domain();
    wanted["outbound"]["dkim"] = json!({ "s2": "s2.dkim.infra.example." });
    wanted["outbound"]["spf"] = json!("v=spf1 -all");
    let mut walk = Walk::new(&sample::in_domain());

    assert_eq!(rules(&walk.wish(&wanted)), ["R4"]);
    let outbound = walk.effective().outbound.clone().expect("it sends");
    assert_eq!(outbound.spf, "v=spf1 -all");
    let selectors: Vec<_> = outbound.dkim.keys().cloned().collect();
    assert_eq!(selectors, ["s1", "s2"]);
    walk.pass(5 * DAY);

    assert_eq!(*walk.effective(), walk.wanted);
}

#[test]
fn t3_names_below_go_when_they_are_promised_no_more_and_hosts_know_them_longer() {
    let document = sample::with(sample::in_domain(), "/drain", json!("30d"));
    let mut walk = Walk::new(&document);
    walk.deferred = Some(at(365 * DAY));

    let began = walk.wish(&sample::with(document, "/subdomains", json!(false)));
    assert_eq!(rules(&began), ["R1", "R2"]);
    walk.deferred = Some(at((365 + 29) * DAY));
    assert_eq!(rules(&walk.pass(30 * DAY)), ["R2"]);
    assert!(walk.effective().subdomains);
    let gone = walk.pass(4 * DAY);
    assert!(!walk.effective().subdomains && gone.names_below);

    // L8: Dc, the TTL, a day of guard.
    let known = walk.pass(60 + 1_800 + DAY - 1);
    assert_eq!((rules(&known), known.names_below), (vec!["L8"], true));
    let over = walk.pass(1);
    assert!(over.waits.is_empty() && !over.names_below);
}

#[test]
fn t3_a_promise_for_ever_holds_until_a_drain_is_wished_for_before() {
    let mut walk = Walk::new(&sample::in_domain());
    let without = sample::with(sample::in_domain(), "/subdomains", json!(false));

    assert_eq!(rules(&walk.wish(&without)), ["R1"]);
    assert_eq!(walk.pass(1_000 * DAY).wake_at(), None);

    // Shortened while it is on its way, the drain does not bind; wished for anew, it does.
    let short = |document| sample::with(document, "/drain", json!("1d"));
    walk.wish(&short(without.clone()));
    assert_eq!(walk.pass(1_000 * DAY).wake_at(), None);
    walk.wish(&short(sample::in_domain()));
    walk.wish(&short(without));
    assert!(!walk.pass(DAY).effective.subdomains);
}

#[test]
fn r3_a_longer_ttl_of_before_is_waited_for() {
    let long = sample::with(sample::in_domain(), "/ttl", json!("2d"));
    let long = sample::with(long, "/drain", json!("1d"));
    let mut walk = Walk::new(&long);
    let short = sample::with(long, "/ttl", json!("5m"));
    walk.wish(&short);
    walk.wish(&sample::with(short, "/subdomains", json!(false)));

    assert_eq!(rules(&walk.pass(DAY)), ["R3"]);
    assert!(!walk.pass(DAY + 60).effective.subdomains);
}

#[test]
fn a_part_keeps_its_beginning_while_other_parts_of_the_wish_change() {
    let mut walk = Walk::new(&sample::in_domain());
    let mut wanted = sample::without(sample::in_domain(), "/outbound");
    walk.wish(&wanted);
    walk.pass(4 * DAY);

    wanted["reports"] = json!({ "dmarc": "mailto:dmarc@infra.example" });
    walk.wish(&wanted);
    walk.pass(DAY);

    assert_eq!(*walk.effective(), walk.wanted);
}

#[test]
fn a_host_that_was_wished_for_can_be_taken_back() {
    let mut walk = Walk::new(&sample::document());
    walk.wish(&with_third(20));

    let back = walk.wish(&sample::document());

    assert!(back.waits.is_empty());
    assert_eq!(back.effective, walk.wanted);
}

/// Returns a wish: some of what can be asked for at once.
fn wishes() -> impl Strategy<Value = Value> {
    let parts = (
        any::<[bool; 7]>(),
        5..30_u16,
        prop::sample::select(vec!["testing", "enforce", "none"]),
        1..4_usize,
    );
    parts.prop_map(|(flags, preference, mode, addresses)| {
        let [third, sends, below, policy, more, key, long] = flags;
        let mut document = sample::in_domain();
        document["drain"] = json!("2d");
        document["subdomains"] = json!(below);
        document["ttl"] = json!(if long { "4h" } else { "30m" });
        document["mta_sts"]["mode"] = json!(mode);
        if third {
            let addresses: Vec<_> = (0..addresses).map(|n| format!("192.0.2.4{n}")).collect();
            let host = json!({
                "name": "mx3",
                "preference": preference,
                "addresses": addresses,
                "tlsa": sample::TLSA[..1],
            });
            document = sample::with(document, "/mail_host/2", host);
        }
        if more {
            document["mail_host"][0]["addresses"] = json!(["192.0.2.25", "192.0.2.35"]);
        }
        if key {
            document["mail_host"][0]["tlsa"] = json!(sample::TLSA);
        }
        if !sends {
            document = sample::without(document, "/outbound");
        }
        if !policy {
            document = sample::without(document, "/mta_sts");
        }
        document
    })
}

/// Asserts, from the versions alone, that hosts and addresses that newly take mail are known to all
/// caches that obey TTLs.
fn assert_reachable(walk: &Walk) {
    for (index, pair) in walk.versions.windows(2).enumerate() {
        let (before, after) = (&pair[0].what, &pair[1]);
        let moment = after.on;
        for host in after.what.mail_hosts.iter().filter(|host| !host.spare) {
            let find = |it: &PoolSettings| {
                let mut hosts = it.mail_hosts.iter();
                hosts.find(|old| old.name == host.name).cloned()
            };
            if find(before).is_some_and(|old| !old.spare) {
                continue;
            }
            for old in &walk.versions[..=index] {
                let off = old.off.expect("it was replaced");
                let known = find(&old.what).is_some_and(|old| {
                    old.addresses == host.addresses && old.tlsa_records() == host.tlsa_records()
                });
                let negative = u64::from(old.what.negative_ttl().as_secs());
                assert!(
                    known || off.as_secs() + negative <= moment.as_secs(),
                    "{} joins at {moment}, unknown until {off}",
                    host.name
                );
                let policy = old.what.mta_sts.as_ref();
                let allows =
                    policy.is_none_or(|policy| !policy.acts()) || find(&old.what).is_some();
                let ttl = u64::from(old.what.ttl().as_secs());
                assert!(
                    allows || off.as_secs() + ttl <= moment.as_secs(),
                    "{} joins at {moment}, not in the policy until {off}",
                    host.name
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// T3, M4, N1, S8, S10, R4: whatever is wished for, in whatever order, is in effect in the end;
    /// nothing that is in effect is taken back on the way, and no host takes mail too early.
    #[test]
    fn wishes_come_true_in_steps_that_never_go_back(
        first in wishes(),
        then in wishes(),
        pause in 0..20 * DAY,
        lag in 0..2 * DAY,
    ) {
        let mut walk = Walk::new(&first);
        walk.lag = lag;
        let original = walk.wanted.clone();
        let wanted = sample::settings(&then);
        // What would be refused is not wished for.
        let refused = crate::mail::classify_change(&original, &wanted, &[]);
        prop_assume!(!refused.iter().any(|it| matches!(it.effect, crate::mail::Effect::Waits { .. })));
        walk.wish(&then);
        walk.pass(pause);

        let done = walk.finish(60);

        prop_assert!(done.waits.is_empty(), "{:?}", done.waits);
        prop_assert_eq!(walk.effective(), &walk.wanted);
        // Asked again, it says the same.
        let again = walk.ask();
        prop_assert_eq!(&again.effective, &walk.wanted);
        prop_assert!(again.staged.is_empty());
        assert_reachable(&walk);
        for pair in walk.versions[1..].windows(2) {
            let (before, after) = (&pair[0].what, &pair[1].what);
            for host in before.mail_hosts.iter().filter(|host| !host.spare) {
                let same = after.mail_hosts.iter().find(|it| it.name == host.name);
                prop_assert!(same.is_some_and(|it| !it.spare), "{} left the MX", host.name);
                let kept = same.is_some_and(|it| {
                    host.addresses.iter().all(|address| it.addresses.contains(address))
                });
                prop_assert!(kept, "{} lost an address", host.name);
            }
            prop_assert!(before.subdomains || !after.subdomains);
            prop_assert!(before.outbound.is_some() || after.outbound.is_none());
        }
    }
}
