//! How each changed setting of a pool takes effect.

use std::fmt::Display;

use super::settings::{Drain, MailHost, Outbound, PoolSettings, Retire, Secured};
use crate::clock::Span;

/// How one changed setting of a pool takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingChange {
    /// The setting, as a manifest names it: `ttl`, `timing.guard`, `mail_host mx1.infra.example.`.
    pub setting: String,
    /// What it becomes, in words.
    pub what: String,
    /// When that takes effect.
    pub effect: SettingEffect,
    /// Whether a duration gets shorter, which asks for the caller's word; it binds only steps that
    /// begin later.
    pub shortened: bool,
}

/// When a changed setting takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingEffect {
    /// At once.
    AtOnce,
    /// After waits that this release cannot walk: refused while the pool has domains. Says what
    /// there is to wait for, and what can be done instead.
    Refused(String),
}

/// Says how each setting that differs takes effect; nothing for equal settings.
pub fn classify_change(old: &PoolSettings, new: &PoolSettings) -> Vec<SettingChange> {
    let mut changes = Changes(Vec::new());
    changes.names(old, new);
    changes.spans(old, new);
    changes.life(old, new);
    changes.zone(old, new);
    changes.hosts(old, new);
    changes.policy(old, new);
    changes.outbound(old.outbound.as_ref(), new.outbound.as_ref());
    changes.0
}

/// The changes found so far.
struct Changes(Vec<SettingChange>);

impl Changes {
    /// Notes a change.
    fn note(&mut self, setting: impl Into<String>, what: impl Into<String>, effect: SettingEffect) {
        self.0.push(SettingChange {
            setting: setting.into(),
            what: what.into(),
            effect,
            shortened: false,
        });
    }

    /// Notes a change that takes effect at once.
    fn at_once(&mut self, setting: impl Into<String>, what: impl Into<String>) {
        self.note(setting, what, SettingEffect::AtOnce);
    }

    /// Notes a change that waits for what is not built.
    fn refused(&mut self, setting: impl Into<String>, what: impl Into<String>, reason: &str) {
        let reason = SettingEffect::Refused(reason.to_owned());
        self.note(setting, what, reason);
    }

    /// Notes a value that takes effect at once, if it differs.
    fn value<T: PartialEq + Display>(&mut self, setting: &str, old: T, new: T) {
        if old != new {
            self.at_once(setting, format!("{old} becomes {new}"));
        }
    }

    /// Notes a span that takes effect at once, if it differs.
    fn span(&mut self, setting: &str, old: Span, new: Span) {
        self.value(setting, old, new);
        if new < old
            && let Some(change) = self.0.last_mut()
        {
            change.shortened = true;
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
            self.refused(
                "nameservers",
                format!("{} become {}", list(&old.nameservers), list(&new.nameservers)),
                "name servers are replaced by plan S: the new ones serve every zone first, then the \
                 parents follow; this release cannot walk it yet",
            );
        } else if old.nameservers != new.nameservers {
            self.at_once(
                "nameservers order",
                format!("the first is {}", new.nameservers[0]),
            );
        }
        self.value("hostmaster", &old.hostmaster, &new.hostmaster);
    }

    /// Compares durations.
    fn spans(&mut self, old: &PoolSettings, new: &PoolSettings) {
        self.span("ttl", old.ttl, new.ttl);
        self.span("ns_ttl", old.ns_ttl, new.ns_ttl);
        self.span("negative_ttl", old.negative_ttl, new.negative_ttl);
        self.span("quarantine", old.life.quarantine, new.life.quarantine);
        let (signing, other) = (&old.signing, &new.signing);
        self.span("dnssec.dnskey_ttl", signing.dnskey_ttl, other.dnskey_ttl);
        self.span(
            "dnssec.signature_lifetime",
            signing.lifetime,
            other.lifetime,
        );
        self.span("dnssec.signature_refresh", signing.refresh, other.refresh);
        let (timing, other) = (&old.timing, &new.timing);
        self.span("timing.guard", timing.guard, other.guard);
        self.span(
            "timing.destructive_guard",
            timing.destructive_guard,
            other.destructive_guard,
        );
        self.span("timing.queue_max", timing.queue_max, other.queue_max);
        self.span("timing.propagation", timing.propagation, other.propagation);
        if signing.algorithm != new.signing.algorithm {
            self.refused(
                "dnssec.algorithm",
                format!("{} becomes {}", signing.algorithm, new.signing.algorithm),
                "domains change their algorithm by a roll, both signing side by side (RFC 6781, \
                 section 4.1.4); this release cannot walk it yet; a new pool may have the other one",
            );
        }
    }

    /// Compares how domains come into use and go out of it.
    fn life(&mut self, old: &PoolSettings, new: &PoolSettings) {
        let (life, other) = (&old.life, &new.life);
        self.value("active", life.active, other.active);
        self.value("standby", life.standby, other.standby);
        self.value("drain", life.drain, other.drain);
        let drains_sooner = match (life.drain, other.drain) {
            (Drain::For(old), Drain::For(new)) => new < old,
            (Drain::Forever, Drain::For(_)) => true,
            (_, Drain::Forever) => false,
        };
        if drains_sooner && let Some(change) = self.0.last_mut() {
            change.shortened = true;
        }
        let word = |retire: Retire| retire.as_str();
        self.value("retire", word(life.retire), word(other.retire));
        self.value("query_floor", life.query_floor, other.query_floor);
        let age = |age: Option<Span>| age.map_or_else(|| "none".to_owned(), |age| age.to_string());
        self.value(
            "max_active_age",
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
        if rotates_sooner && let Some(change) = self.0.last_mut() {
            change.shortened = true;
        }
        self.value("fresh", life.fresh, other.fresh);
        let (ready, other) = (&old.readiness, &new.readiness);
        self.value("readiness.delegated", ready.delegated, other.delegated);
        self.value::<Secured>("readiness.secured", ready.secured, other.secured);
        self.value("readiness.mail_ready", ready.mail_ready, other.mail_ready);
    }

    /// Compares what else stands in the zones.
    fn zone(&mut self, old: &PoolSettings, new: &PoolSettings) {
        if old.caa != new.caa {
            self.at_once("caa", "other records");
        }
        let allows = |settings: &PoolSettings| settings.apex_address.as_str();
        self.value("apex_address", allows(old), allows(new));
        if old.reports != new.reports {
            self.at_once("reports", "other addresses");
        }
        if old.extra != new.extra {
            self.at_once("extra", "other records");
        }
        match (old.subdomains, new.subdomains) {
            (false, true) => self.at_once("subdomains", "\"*\" gets the MX"),
            (true, false) => self.refused(
                "subdomains",
                "\"*\" loses its MX",
                "mail to names below the domains ends like that of a retired domain, after the waits \
                 of T3; this release cannot walk them yet",
            ),
            _ => {}
        }
    }

    /// Compares the mail hosts.
    fn hosts(&mut self, old: &PoolSettings, new: &PoolSettings) {
        let find = |settings: &PoolSettings, host: &MailHost| {
            let mut hosts = settings.mail_hosts.iter();
            hosts.find(|other| other.name == host.name).cloned()
        };
        for host in &new.mail_hosts {
            let setting = format!("mail_host {}", host.name);
            match find(old, host) {
                Some(before) => self.host(&setting, &before, host),
                None if host.spare => self.at_once(setting, "is added as a spare"),
                None => self.refused(
                    setting,
                    "is added",
                    "its MX waits until no cache denies its address and no sender holds a policy \
                     without it (M4), which this release cannot walk yet; add it with spare = true: \
                     address, TLSA and policy line are published at once",
                ),
            }
        }
        for host in &old.mail_hosts {
            if find(new, host).is_none() {
                self.refused(
                    format!("mail_host {}", host.name),
                    "is withdrawn",
                    "caches and policies of senders still name it: a host goes by plan M, steps M5 \
                     to M9, which this release cannot walk yet",
                );
            }
        }
    }

    /// Compares one host.
    fn host(&mut self, setting: &str, old: &MailHost, new: &MailHost) {
        match (old.spare, new.spare) {
            (false, true) => self.refused(
                setting,
                "leaves the MX",
                "caches and policies of senders still lead to it: a host leaves the MX by plan M, \
                 steps M5 and M6, which this release cannot walk yet",
            ),
            (true, false) => self.refused(
                setting,
                "joins the MX",
                "its MX waits until no cache denies its address and no sender holds a policy without \
                 it (M4), which this release cannot walk yet",
            ),
            _ => {}
        }
        if old.preference != new.preference {
            let what = format!("preference {} becomes {}", old.preference, new.preference);
            let reason = "the order of hosts changes by plan M, step M5 (some senders try no more \
                than five addresses); this release cannot walk it yet";
            if new.spare && old.spare {
                self.at_once(setting, what);
            } else {
                self.refused(setting, what, reason);
            }
        }
        if old.addresses != new.addresses {
            let reason = "a host's address moves by plan N: the new box's key stands in TLSA for two \
                TTLs first, then both addresses, then the new one; this release cannot walk it yet";
            self.refused(setting, "other addresses", reason);
        }
        self.tlsa(setting, old, new);
    }

    /// Compares the TLSA of a host: a record may come at once, but goes only when no cache needs
    /// it (RFC 7671, section 8.4).
    fn tlsa(&mut self, setting: &str, old: &MailHost, new: &MailHost) {
        let (before, after) = (old.tlsa_records(), new.tlsa_records());
        let added = after
            .iter()
            .filter(|record| !before.contains(record))
            .count();
        if added > 0 {
            self.at_once(setting, format!("{added} TLSA records are added"));
        }
        if let Some(gone) = before.iter().find(|record| !after.contains(record)) {
            self.refused(
                setting,
                format!("TLSA {gone} is withdrawn"),
                "a TLSA record goes only after every listener has switched to another key and no \
                 probe saw the old one (RFC 7671, section 8.1), which this release cannot walk yet; \
                 keep it beside the new one",
            );
        }
        let same = before == after;
        let rewritten = old.certificates != new.certificates || old.tlsa != new.tlsa;
        if same && rewritten {
            self.at_once(setting, "other certificates of the same keys");
        }
    }

    /// Compares the MTA-STS policy; lines of hosts come and go with the hosts.
    fn policy(&mut self, old: &PoolSettings, new: &PoolSettings) {
        let reason = match (&old.mta_sts, &new.mta_sts) {
            (None, Some(_)) => {
                "a policy begins as testing and is relied on after a week of reports (S8); this \
                 release cannot walk it yet"
            }
            (Some(_), None) => {
                "senders hold a policy for its max_age: it goes by mode none, then after that time \
                 altogether (S10; RFC 8461, section 8.3); this release cannot walk it yet"
            }
            (Some(before), Some(after)) if before != after => {
                "a policy changes on every policy host first, then its id, and is relied on after the \
                 TTL of that (S9, M2, M3; RFC 8461, section 8.1); this release cannot walk it yet"
            }
            _ => return,
        };
        self.refused("mta_sts", "another policy", reason);
    }

    /// Compares how the domains send.
    fn outbound(&mut self, old: Option<&Outbound>, new: Option<&Outbound>) {
        let waits = "messages that were sent can come back for days (R4); this release cannot walk \
            that wait yet";
        match (old, new) {
            (None, Some(_)) => self.at_once("outbound", "the domains send"),
            (Some(_), None) => self.refused("outbound", "the domains send no more", waits),
            (Some(old), Some(new)) if old != new => {
                let lost = old.dkim.keys().find(|key| !new.dkim.contains_key(*key));
                match lost {
                    Some(selector) => {
                        let what = format!("the DKIM selector {selector} is withdrawn");
                        self.refused("outbound.dkim", what, waits);
                    }
                    None => self.at_once("outbound", "other records"),
                }
            }
            _ => {}
        }
    }
}

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
        classify_change(&old, &new)
    }

    /// Asserts that exactly one setting changes, at once, and returns whether it gets shorter.
    #[track_caller]
    fn at_once(document: Value, pointer: &str, value: Value) -> bool {
        let changes = change(document, pointer, value);
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!(changes[0].effect, SettingEffect::AtOnce);
        changes[0].shortened
    }

    /// Asserts that the change is refused with words.
    #[track_caller]
    fn refused(document: Value, pointer: &str, value: Value, words: &str) {
        let changes = change(document, pointer, value);
        let hit = changes.iter().any(|change| {
            matches!(&change.effect, SettingEffect::Refused(reason) if reason.contains(words))
        });
        assert!(hit, "{changes:?}");
    }

    #[test]
    fn equal_settings_change_nothing() {
        let settings = sample::settings(&sample::document());

        assert_eq!(classify_change(&settings, &settings), []);
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
        ] {
            let shortened = at_once(sample::document(), pointer, value);
            assert!(!shortened, "{pointer}");
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
        ] {
            let shortened = at_once(sample::document(), pointer, value);
            assert!(shortened, "{pointer}");
        }
        assert!(!at_once(sample::document(), "/drain", json!("forever")));
    }

    #[test]
    fn what_withdraws_or_replaces_is_refused_until_its_waits_are_built() {
        let document = sample::document;
        let one = json!([document()["mail_host"][0]]);
        let moved = json!(["192.0.2.26", "2001:db8::25"]);
        let more = json!(["192.0.2.25", "192.0.2.26", "2001:db8::25"]);
        refused(document(), "/mail_host", one, "plan M");
        refused(document(), "/mail_host/0/addresses", moved, "plan N");
        refused(document(), "/mail_host/0/addresses", more, "plan N");
        refused(document(), "/mail_host/0/preference", json!(20), "M5");
        refused(document(), "/mail_host/1/spare", json!(true), "M6");
        refused(
            document(),
            "/mail_host/0/tlsa",
            json!([sample::TLSA[0]]),
            "RFC 7671",
        );
        refused(
            document(),
            "/mail_host/2",
            json!({ "name": "mx3.test." }),
            "spare = true",
        );
        refused(document(), "/nameservers", json!(["ns3.test."]), "plan S");
        refused(document(), "/mta_sts", Value::Null, "S10");
        refused(document(), "/mta_sts/mode", json!("testing"), "M3");
        refused(
            document(),
            "/dnssec",
            json!({ "algorithm": "ed25519" }),
            "RFC 6781",
        );
        let sends = sample::in_domain;
        refused(sends(), "/subdomains", json!(false), "T3");
        refused(sends(), "/mail_host/1/spare", json!(false), "M4");
        refused(sends(), "/outbound", Value::Null, "R4");
        refused(sends(), "/outbound/dkim", json!({}), "R4");
    }

    #[test]
    fn a_certificate_of_the_same_key_takes_effect_at_once() {
        let request = json!([crate::mail::certificate::tests::REQUEST]);

        at_once(sample::in_domain(), "/mail_host/0/certificates", request);
    }
}
