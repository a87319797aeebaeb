//! How each changed setting of a pool takes effect.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::render::placeholder;
use super::settings::{Drain, MailHost, Outbound, PoolSettings, Retire, Secured};
use super::{MtaSts, MtaStsMode, Target, extra};
use crate::clock::Span;
use crate::wire::{RelativeName, Rtype};

/// How one changed setting of a pool takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingChange {
    /// Where in the pool's settings, as a JSON pointer.
    pub pointer: String,
    /// What changes, in words.
    pub what: String,
    /// When it takes effect.
    pub effect: Effect,
    /// Whether it asks for the caller's word on how many domains it touches: name servers are
    /// replaced, or a duration gets shorter (which binds only steps that begin later).
    pub asks: bool,
}

/// When a changed setting takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// At once.
    AtOnce,
    /// Step by step, each at its earliest safe time, while the pool has domains: see
    /// [`stage`](super::stage()).
    Staged {
        /// The rule's name.
        rule: &'static str,
        /// What there is to wait for.
        reason: &'static str,
    },
    /// After waits that this release cannot walk: refused while the pool has domains.
    Waits {
        /// The rule's name.
        rule: &'static str,
        /// What there is to wait for, and what can be done instead.
        reason: String,
    },
}

/// Says how each setting that differs takes effect; nothing for equal settings.
///
/// `old` is what is in effect; `earlier` what was, as far as anybody may still hold it.
pub fn classify_change(
    old: &PoolSettings,
    new: &PoolSettings,
    earlier: &[&PoolSettings],
) -> Vec<SettingChange> {
    let mut changes = Changes {
        found: Vec::new(),
        earlier,
    };
    changes.names(old, new);
    changes.spans(old, new);
    changes.life(old, new);
    changes.zone(old, new);
    changes.hosts(old, new);
    changes.policy(old, new);
    changes.outbound(old.outbound.as_ref(), new.outbound.as_ref());
    changes.found
}

/// The changes found so far.
struct Changes<'s> {
    /// What changes.
    found: Vec<SettingChange>,
    /// What was in effect before.
    earlier: &'s [&'s PoolSettings],
}

impl Changes<'_> {
    /// Notes a change.
    fn note(&mut self, pointer: &str, what: String, effect: Effect) {
        self.found.push(SettingChange {
            pointer: pointer.to_owned(),
            what,
            effect,
            asks: false,
        });
    }

    /// Notes a change that takes effect at once.
    fn at_once(&mut self, pointer: &str, what: impl Into<String>) {
        self.note(pointer, what.into(), Effect::AtOnce);
    }

    /// Notes a change that takes effect step by step.
    fn staged(
        &mut self,
        pointer: &str,
        what: impl Into<String>,
        rule: &'static str,
        reason: &'static str,
    ) {
        self.note(pointer, what.into(), Effect::Staged { rule, reason });
    }

    /// Notes a change that waits for what is not built.
    fn waits(&mut self, pointer: &str, what: impl Into<String>, rule: &'static str, reason: &str) {
        let reason = format!(
            "{reason}; nothing here walks that wait: a second pool with what is new is the way round"
        );
        self.note(pointer, what.into(), Effect::Waits { rule, reason });
    }

    /// Notes that the change found last asks for the caller's word.
    fn ask(&mut self) {
        if let Some(change) = self.found.last_mut() {
            change.asks = true;
        }
    }

    /// Notes a value that takes effect at once, if it differs.
    fn value<T: PartialEq + Display>(&mut self, pointer: &str, old: T, new: T) {
        if old != new {
            let setting = pointer.trim_start_matches('/').replace('/', ".");
            self.at_once(pointer, format!("{setting} {old} becomes {new}"));
        }
    }

    /// Notes a span that takes effect at once, if it differs.
    fn span(&mut self, pointer: &str, old: Span, new: Span) {
        self.value(pointer, old, new);
        if new < old {
            self.ask();
        }
    }

    /// Compares name servers and hostmaster.
    fn names(&mut self, old: &PoolSettings, new: &PoolSettings) {
        let sorted = |settings: &PoolSettings| {
            let mut servers = settings.nameservers.clone();
            servers.sort_unstable();
            servers
        };
        if sorted(old) != sorted(new) {
            self.waits(
                "/nameservers",
                format!(
                    "the name servers {} become {}",
                    list(&old.nameservers),
                    list(&new.nameservers)
                ),
                "plan S",
                "the new ones must serve every zone first, then the parents follow",
            );
            self.ask();
        } else if old.nameservers != new.nameservers {
            let first = &new.nameservers[0];
            self.at_once("/nameservers", format!("the first name server is {first}"));
        }
        self.value("/hostmaster", &old.hostmaster, &new.hostmaster);
    }

    /// Compares durations.
    fn spans(&mut self, old: &PoolSettings, new: &PoolSettings) {
        self.span("/ttl", old.ttl, new.ttl);
        self.span("/ns_ttl", old.ns_ttl, new.ns_ttl);
        self.span("/negative_ttl", old.negative_ttl, new.negative_ttl);
        self.span("/quarantine", old.life.quarantine, new.life.quarantine);
        let (signing, other) = (&old.signing, &new.signing);
        self.span("/dnssec/dnskey_ttl", signing.dnskey_ttl, other.dnskey_ttl);
        self.span(
            "/dnssec/signature_lifetime",
            signing.lifetime,
            other.lifetime,
        );
        self.span("/dnssec/signature_refresh", signing.refresh, other.refresh);
        let (timing, other) = (&old.timing, &new.timing);
        self.span("/timing/guard", timing.guard, other.guard);
        self.span(
            "/timing/destructive_guard",
            timing.destructive_guard,
            other.destructive_guard,
        );
        self.span("/timing/queue_max", timing.queue_max, other.queue_max);
        self.span("/timing/propagation", timing.propagation, other.propagation);
        if signing.algorithm != new.signing.algorithm {
            self.waits(
                "/dnssec/algorithm",
                format!(
                    "the algorithm {} becomes {}",
                    signing.algorithm, new.signing.algorithm
                ),
                "algorithm roll",
                "domains change their algorithm with both signing side by side (RFC 6781, section \
                 4.1.4); a new pool may have the other one at once",
            );
        }
    }

    /// Compares how domains come into use and go out of it.
    fn life(&mut self, old: &PoolSettings, new: &PoolSettings) {
        let (life, other) = (&old.life, &new.life);
        self.value("/active", life.active, other.active);
        self.value("/standby", life.standby, other.standby);
        self.value("/drain", life.drain, other.drain);
        let drains_sooner = match (life.drain, other.drain) {
            (Drain::For(old), Drain::For(new)) => new < old,
            (Drain::Forever, Drain::For(_)) => true,
            (_, Drain::Forever) => false,
        };
        if drains_sooner {
            self.ask();
        }
        let word = |retire: Retire| retire.as_str();
        self.value("/retire", word(life.retire), word(other.retire));
        self.value("/query_floor", life.query_floor, other.query_floor);
        let age = |age: Option<Span>| age.map_or_else(|| "none".to_owned(), |age| age.to_string());
        self.value(
            "/max_active_age",
            age(life.max_active_age),
            age(other.max_active_age),
        );
        // Rotation by age that begins, or comes sooner, is a duration that gets shorter.
        let ages = (life.max_active_age, other.max_active_age);
        let rotates_sooner = match ages {
            (Some(old), Some(new)) => new < old,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if rotates_sooner {
            self.ask();
        }
        self.value("/fresh", life.fresh, other.fresh);
        let (ready, other) = (&old.readiness, &new.readiness);
        self.value("/readiness/delegated", ready.delegated, other.delegated);
        self.value::<Secured>("/readiness/secured", ready.secured, other.secured);
        let waits_less = match (ready.secured, other.secured) {
            (Secured::Within(old), Secured::Within(new)) => new < old,
            (old, new) => old != new && new != Secured::Yes && old != Secured::No,
        };
        if waits_less {
            self.ask();
        }
        self.value("/readiness/mail_ready", ready.mail_ready, other.mail_ready);
    }

    /// Compares what else stands in the zones.
    fn zone(&mut self, old: &PoolSettings, new: &PoolSettings) {
        if old.caa != new.caa {
            self.at_once("/caa", "other CAA records");
        }
        let allows = |settings: &PoolSettings| settings.apex_address.as_str();
        self.value("/apex_address", allows(old), allows(new));
        if old.reports != new.reports {
            self.at_once("/reports", "reports go to other addresses");
        }
        if old.extra != new.extra {
            self.extra(old, new);
        }
        match (old.subdomains, new.subdomains) {
            (false, true) => self.at_once("/subdomains", "\"*\" gets the MX"),
            (true, false) => self.staged(
                "/subdomains",
                "\"*\" loses its MX",
                "T3",
                "mail to names below the domains ends like that of a retired domain: when addresses \
                 there are promised no more, and senders hold nothing that we deferred",
            ),
            _ => {}
        }
    }

    /// Compares the extra records: those at a host that stays are its addresses.
    fn extra(&mut self, old: &PoolSettings, new: &PoolSettings) {
        let host = |settings: &PoolSettings, owner: &RelativeName| {
            settings.host_at(|host| host == owner).is_some()
        };
        let addresses = |settings: &PoolSettings| {
            let records = extra::parse(settings).unwrap_or_default().into_iter();
            let at_hosts = records.filter_map(|record| {
                let owner = record.owner.relative_to(&placeholder())?;
                let is_address = matches!(record.rtype, Rtype::A | Rtype::AAAA | Rtype::CNAME);
                // A host that joins or is withdrawn is compared as one.
                let stays = host(old, &owner) && host(new, &owner);
                (is_address && stays).then_some((owner, record.rtype, record.rdata))
            });
            at_hosts.collect::<BTreeSet<_>>()
        };
        let (before, after) = (addresses(old), addresses(new));
        match before.symmetric_difference(&after).next() {
            None => self.at_once("/extra/records", "other extra records"),
            Some((owner, rtype, _)) => self.waits(
                "/extra/records",
                format!("the host {owner} has another {rtype} among the extra records"),
                "plan N",
                "caches lead to the old address and to the old key, so the new one stands beside \
                 it first",
            ),
        }
    }

    /// Compares the mail hosts.
    fn hosts(&mut self, old: &PoolSettings, new: &PoolSettings) {
        let find = |settings: &PoolSettings, host: &MailHost| {
            let mut hosts = settings.mail_hosts.iter();
            hosts.find(|other| other.name == host.name).cloned()
        };
        for (index, host) in new.mail_hosts.iter().enumerate() {
            let pointer = format!("/mail_host/{index}");
            match find(old, host) {
                Some(before) => self.host(&pointer, &before, host),
                None if host.spare => {
                    self.at_once(&pointer, format!("the host {} joins as a spare", host.name));
                }
                None => self.staged(
                    &pointer,
                    format!("the host {} joins", host.name),
                    "M4",
                    JOINS,
                ),
            }
        }
        for host in &old.mail_hosts {
            if find(new, host).is_some() {
                continue;
            }
            let what = format!("the host {} is withdrawn", host.name);
            if host.spare && !self.was_exchange(&host.name) {
                self.at_once("/mail_host", what);
            } else {
                self.waits(
                    "/mail_host",
                    what,
                    "plan M",
                    "caches and policies of senders still name it, so it goes by M5 to M9",
                );
            }
        }
    }

    /// Returns whether an MX that somebody may still hold leads to a host.
    fn was_exchange(&self, name: &Target) -> bool {
        let mut hosts = self.earlier.iter().flat_map(|it| &it.mail_hosts);
        hosts.any(|host| host.name == *name && !host.spare)
    }

    /// Compares one host.
    fn host(&mut self, pointer: &str, old: &MailHost, new: &MailHost) {
        let name = &new.name;
        match (old.spare, new.spare) {
            (false, true) => self.waits(
                pointer,
                format!("the host {name} leaves the MX"),
                "plan M",
                "caches and policies of senders still lead to it, so it leaves by M5 and M6",
            ),
            (true, false) => self.staged(
                pointer,
                format!("the host {name} joins the MX"),
                "M4",
                JOINS,
            ),
            _ => {}
        }
        if old.preference != new.preference {
            let what = format!(
                "the preference of {name} {} becomes {}",
                old.preference, new.preference
            );
            if old.spare {
                self.at_once(pointer, what);
            } else {
                let reason = "hosts change their order one step at a time: some senders try no more \
                    than five addresses";
                self.waits(pointer, what, "M5", reason);
            }
        }
        if old.addresses != new.addresses {
            self.addresses(&format!("{pointer}/addresses"), old, new);
        }
        self.tlsa(pointer, old, new);
    }

    /// Compares the addresses of a host: one may join, but goes only when nothing leads there.
    fn addresses(&mut self, pointer: &str, old: &MailHost, new: &MailHost) {
        let name = &new.name;
        let kept = old.addresses.iter().all(|it| new.addresses.contains(it));
        let has_tlsa = !(old.tlsa_records().is_empty() && new.tlsa_records().is_empty());
        match kept {
            true if old.spare || !has_tlsa => {
                self.at_once(pointer, format!("{name} gets more addresses"));
            }
            true => self.staged(
                pointer,
                format!("{name} gets more addresses"),
                "N1",
                "the key of the box behind a new address stands in TLSA for two TTLs first",
            ),
            false if old.spare && !self.was_exchange(name) => {
                self.at_once(pointer, format!("{name} has other addresses"));
            }
            false => self.waits(
                pointer,
                format!("{name} has other addresses"),
                "plan N",
                "the new box's key stands in TLSA for two TTLs first, then both addresses, then the \
                 new one; addresses may join",
            ),
        }
    }

    /// Compares the TLSA of a host: a record may come at once, but goes only when no cache needs
    /// it (RFC 7671, section 8.4).
    fn tlsa(&mut self, pointer: &str, old: &MailHost, new: &MailHost) {
        let name = &new.name;
        let (before, after) = (old.tlsa_records(), new.tlsa_records());
        let added = after.iter().filter(|record| !before.contains(record));
        for record in added {
            self.at_once(pointer, format!("{name} gets the TLSA {record}"));
        }
        let gone = before.iter().filter(|record| !after.contains(record));
        for record in gone {
            self.waits(
                pointer,
                format!("{name} loses the TLSA {record}"),
                "D12",
                "a key's record goes after every listener has switched to another key and no probe \
                 saw the old one (RFC 7671, section 8.1); keep it beside the new one",
            );
        }
        let rewritten = old.certificates != new.certificates || old.tlsa != new.tlsa;
        if before == after && rewritten {
            self.at_once(
                pointer,
                format!("{name} has other certificates of the same keys"),
            );
        }
    }

    /// Compares the MTA-STS policy; lines of hosts come and go with the hosts.
    fn policy(&mut self, old: &PoolSettings, new: &PoolSettings) {
        const FOLLOWS: &str = "each domain's id follows where the text is served (S9)";
        let enforces = |policy: &MtaSts| policy.mode == MtaStsMode::Enforce;
        let (what, rule, reason) = match (&old.mta_sts, &new.mta_sts) {
            (before, Some(after)) if enforces(after) && !before.as_ref().is_some_and(enforces) => (
                "MTA-STS is enforced",
                "S8",
                "a policy is tried as testing for a week of reports (RFC 8461, section 5)",
            ),
            (None, Some(_)) => {
                return self.at_once("/mta_sts", format!("MTA-STS begins; {FOLLOWS}"));
            }
            (Some(before), None) if before.acts() => (
                "MTA-STS ends",
                "S10",
                "senders hold a policy for its max_age, so it goes by mode none first (RFC 8461, \
                 section 8.3)",
            ),
            (Some(_), None) => (
                "MTA-STS ends",
                "S10",
                "senders may hold a policy from before (RFC 8461, section 8.3)",
            ),
            (Some(before), Some(after)) if before != after => {
                return self.at_once("/mta_sts", format!("the MTA-STS policy changes; {FOLLOWS}"));
            }
            _ => return,
        };
        self.staged("/mta_sts", what, rule, reason);
    }

    /// Compares how the domains send.
    fn outbound(&mut self, old: Option<&Outbound>, new: Option<&Outbound>) {
        let back =
            "messages that were sent can come back for days, and their signatures are checked";
        match (old, new) {
            (None, Some(_)) => self.at_once("/outbound", "the domains send"),
            (Some(_), None) => self.staged("/outbound", "the domains send no more", "R4", back),
            (Some(old), Some(new)) if old != new => {
                let lost = old.dkim.keys().find(|key| !new.dkim.contains_key(*key));
                match lost {
                    Some(selector) => {
                        let what = format!("the DKIM selector {selector} is withdrawn");
                        self.staged("/outbound/dkim", what, "R4", back);
                    }
                    None => self.at_once("/outbound", "other records of sending"),
                }
            }
            _ => {}
        }
    }
}

/// What a host that joins the MX waits for.
const JOINS: &str = "address, TLSA and policy line come at once, its MX when no cache denies them and \
                     no sender goes by a policy without it";

/// Joins names with commas.
fn list(names: &[impl ToString]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::mail::sample;

    /// Classifies the change of the sample's value at `pointer`.
    fn change(document: Value, pointer: &str, value: Value) -> Vec<SettingChange> {
        let old = sample::settings(&document);
        let new = sample::settings(&sample::with(document, pointer, value));
        classify_change(&old, &new, &[])
    }

    /// Asserts that exactly one setting changes, at once, and returns whether it asks for a word.
    #[track_caller]
    fn at_once(document: Value, pointer: &str, value: Value) -> bool {
        let changes = change(document, pointer, value);
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!(changes[0].effect, Effect::AtOnce);
        changes[0].asks
    }

    /// Asserts that the change is refused with words.
    #[track_caller]
    fn refused(document: Value, pointer: &str, value: Value, words: &str) {
        let changes = change(document, pointer, value);
        let hit = changes.iter().any(|change| {
            matches!(&change.effect, Effect::Waits { rule, reason } if format!("{rule}: {reason}").contains(words))
        });
        assert!(hit, "{changes:?}");
    }

    /// Asserts that the change comes step by step under a rule.
    #[track_caller]
    fn staged(document: Value, pointer: &str, value: Value, by: &str) {
        let changes = change(document, pointer, value);
        let hit = changes
            .iter()
            .any(|change| matches!(&change.effect, Effect::Staged { rule, .. } if *rule == by));
        let refused = changes
            .iter()
            .any(|change| matches!(change.effect, Effect::Waits { .. }));
        assert!(hit && !refused, "{changes:?}");
    }

    #[test]
    fn equal_settings_change_nothing() {
        let settings = sample::settings(&sample::document());

        assert_eq!(classify_change(&settings, &settings, &[]), []);
    }

    #[test]
    fn what_only_adds_takes_effect_at_once() {
        let spare = json!({ "name": "mx3.infra-b.example.", "spare": true });
        for (pointer, value) in [
            ("/hostmaster", json!("dns@infra-a.example")),
            ("/ttl", json!("2h")),
            ("/reports", json!({})),
            ("/caa", json!([])),
            ("/extra", json!({ "records": "www A 192.0.2.1" })),
            ("/subdomains", json!(true)),
            ("/mail_host/2", spare),
            ("/mail_host/1/tlsa", json!([sample::TLSA[0]])),
            ("/outbound", json!({ "spf": "v=spf1 mx -all" })),
            ("/active", json!(7)),
            // Texts come at once; what senders rely on follows.
            ("/mta_sts/mode", json!("testing")),
            ("/mta_sts/max_age", json!("1d")),
        ] {
            let asks = at_once(sample::document(), pointer, value);
            assert!(!asks, "{pointer}");
        }
    }

    #[test]
    fn a_duration_that_gets_shorter_asks_for_a_word() {
        for (pointer, value) in [
            ("/ttl", json!("30m")),
            ("/drain", json!("1d")),
            ("/quarantine", json!("1d")),
            ("/timing", json!({ "guard": "1m" })),
            ("/max_active_age", json!("14d")),
            ("/readiness", json!({ "secured": "6h" })),
        ] {
            let asks = at_once(sample::document(), pointer, value);
            assert!(asks, "{pointer}");
        }
        let secured = |wait: &str| json!({ "secured": wait });
        let six_hours = || sample::with(sample::document(), "/readiness", secured("6h"));
        assert!(at_once(six_hours(), "/readiness", secured("1h")));
        assert!(!at_once(six_hours(), "/readiness", secured("7h")));
        assert!(!at_once(sample::document(), "/drain", json!("forever")));
    }

    #[test]
    fn what_withdraws_or_replaces_is_refused_until_its_waits_are_built() {
        let document = sample::document;
        let one = json!([document()["mail_host"][0]]);
        let moved = json!(["192.0.2.26", "2001:db8::25"]);
        refused(document(), "/mail_host", one, "plan M");
        refused(document(), "/mail_host/0/addresses", moved, "plan N");
        refused(document(), "/mail_host/0/preference", json!(20), "M5");
        refused(document(), "/mail_host/1/spare", json!(true), "plan M");
        refused(
            document(),
            "/mail_host/0/tlsa",
            json!([sample::TLSA[0]]),
            "RFC 7671",
        );
        refused(document(), "/nameservers", json!(["ns3.test."]), "plan S");
        refused(
            document(),
            "/dnssec",
            json!({ "algorithm": "ed25519" }),
            "RFC 6781",
        );
    }

    #[test]
    fn what_can_wait_for_its_time_comes_step_by_step() {
        let document = sample::document;
        let more = json!(["192.0.2.25", "192.0.2.26", "2001:db8::25"]);
        staged(document(), "/mail_host/0/addresses", more, "N1");
        staged(
            document(),
            "/mail_host/2",
            json!({ "name": "mx3.test." }),
            "M4",
        );
        staged(document(), "/mta_sts", Value::Null, "S10");
        let sends = sample::in_domain;
        staged(sends(), "/mta_sts/mode", json!("enforce"), "S8");
        staged(sends(), "/subdomains", json!(false), "T3");
        staged(sends(), "/mail_host/1/spare", json!(false), "M4");
        staged(sends(), "/outbound", Value::Null, "R4");
        staged(sends(), "/outbound/dkim", json!({}), "R4");
    }

    #[test]
    fn a_host_that_no_mx_ever_led_to_may_be_taken_back() {
        let with = sample::settings(&sample::in_domain());
        let one = json!([sample::in_domain()["mail_host"][0]]);
        let without = sample::settings(&sample::with(sample::in_domain(), "/mail_host", one));
        let used = sample::with(sample::in_domain(), "/mail_host/1/spare", json!(false));
        let used = sample::settings(&used);
        let refused = |earlier: &[&PoolSettings]| {
            let changes = classify_change(&with, &without, earlier);
            changes
                .iter()
                .any(|change| matches!(change.effect, Effect::Waits { .. }))
        };

        assert!(!refused(&[]));
        assert!(!refused(&[&with]));
        assert!(refused(&[&used, &with]));
    }

    #[test]
    fn addresses_of_hosts_among_the_extra_records_are_those_of_hosts() {
        let extra = |lines: &str| json!({ "records": lines });
        let server = sample::with(sample::document(), "/nameservers/0", json!("ns1"));
        let server = sample::with(
            server,
            "/extra",
            extra("ns1 A 192.0.2.53\nwww A 192.0.2.80\n"),
        );
        let other = |lines: &str| (server.clone(), "/extra", extra(lines));

        for lines in [
            "ns1 A 192.0.2.54\nwww A 192.0.2.80\n",
            "ns1 A 192.0.2.53\nns1 A 192.0.2.54\n",
            "ns1 A 192.0.2.53\nns1 AAAA 2001:db8::53\n",
        ] {
            let (document, pointer, value) = other(lines);
            refused(document, pointer, value, "plan N");
        }
        let (document, pointer, value) = other("ns1 A 192.0.2.53\nwww A 192.0.2.81\n");
        at_once(document, pointer, value);
        // The sample's policy host has an IPv4 address among its settings, and gets another here.
        let document = sample::without(sample::in_domain(), "/extra");
        refused(
            document,
            "/extra",
            extra("mta-sts AAAA 2001:db8::80\n"),
            "plan N",
        );
    }

    #[test]
    fn a_certificate_of_the_same_key_takes_effect_at_once() {
        let request = json!([crate::mail::certificate::tests::REQUEST]);

        at_once(sample::in_domain(), "/mail_host/0/certificates", request);
    }
}
