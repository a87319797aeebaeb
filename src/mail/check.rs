//! What in a pool would break mail.

use std::sync::Arc;

use super::extra::{self, ExtraRecord};
use super::render::{self, placeholder};
use super::settings::{ApexAddress, PoolSettings};
use super::{Form, MtaStsMode, Target, mta_sts, signing};
use crate::clock::Span;
use crate::document::Fault;
use crate::wire::{Apex, Name, Rtype, Serial};
use crate::zone::{RelativeRrset, Template, UnsignedZone, ZoneError};

/// The longest `max_age` of a policy, a year of 365.25 days (RFC 8461, section 3.2).
const MAX_AGE: Span = Span::from_secs(31_557_600);

/// Finds what in a pool's settings would break mail.
pub(super) fn check(settings: &PoolSettings) -> Vec<Fault> {
    let mut faults = Vec::new();
    check_servers(settings, &mut faults);
    check_hosts(settings, &mut faults);
    check_reports(settings, &mut faults);
    let extra = extra::parse(settings).unwrap_or_else(|wrong| {
        faults.extend(wrong);
        Vec::new()
    });
    check_addresses(settings, &extra, &mut faults);
    check_policy(settings, &extra, &mut faults);
    // A dummy id has the place of the real one, which depends on when the policy is adopted.
    match render::rrsets(settings, Form::LIVE, Some("0"), &extra) {
        Ok(rrsets) => {
            signing::check(settings, &rrsets, &mut faults);
            check_dname(&rrsets, &extra, &mut faults);
            check_zone(settings, rrsets, &extra, &mut faults);
        }
        Err(wrong) => faults.extend(wrong),
    }
    faults
}

/// Checks that there are name servers, each once.
fn check_servers(settings: &PoolSettings, faults: &mut Vec<Fault>) {
    if settings.nameservers.is_empty() {
        faults.push(Fault::new(
            "/nameservers",
            "expected at least one name server, better two or more (RFC 1034, section 4.1), found \
             none",
        ));
    }
    for (index, server) in settings.nameservers.iter().enumerate() {
        if settings.nameservers[..index].contains(server) {
            let pointer = format!("/nameservers/{index}");
            faults.push(Fault::new(pointer, format!("{server} is named twice")));
        }
    }
}

/// Checks that there is a host in the MX, and each host once.
fn check_hosts(settings: &PoolSettings, faults: &mut Vec<Fault>) {
    let hosts = &settings.mail_hosts;
    if hosts.is_empty() {
        faults.push(Fault::new(
            "/mail_host",
            "expected at least one mail host, found none: without MX and address mail bounces \
             (RFC 5321, section 5.1)",
        ));
    } else if hosts.iter().all(|host| host.spare) {
        faults.push(Fault::new(
            "/mail_host",
            "expected at least one host that is no spare: the domains would have no MX (RFC 5321, \
             section 5.1)",
        ));
    }
    for (index, host) in hosts.iter().enumerate() {
        if hosts[..index].iter().any(|other| other.name == host.name) {
            let pointer = format!("/mail_host/{index}/name");
            faults.push(Fault::new(pointer, format!("{} is named twice", host.name)));
        }
    }
}

/// Checks where reports go.
fn check_reports(settings: &PoolSettings, faults: &mut Vec<Fault>) {
    let https = settings
        .reports
        .dmarc
        .as_ref()
        .is_some_and(|uris| uris.has_https());
    if https {
        faults.push(Fault::new(
            "/reports/dmarc",
            "expected mailto: addresses alone: DMARC reports go by mail (RFC 9990)",
        ));
    }
}

/// Checks that hosts and name servers in the domain have addresses and are no aliases, and that the
/// apex has an address only if that is allowed.
fn check_addresses(settings: &PoolSettings, extra: &[ExtraRecord], faults: &mut Vec<Fault>) {
    let has = |owner: &Name, types: &[Rtype]| {
        let mut extra = extra.iter();
        extra.any(|record| record.owner == *owner && types.contains(&record.rtype))
    };
    let hosts = settings.mail_hosts.iter().enumerate();
    let hosts = hosts.map(|(index, host)| {
        let pointer = format!("/mail_host/{index}");
        (pointer, "mail host", &host.name, !host.addresses.is_empty())
    });
    let servers = settings.nameservers.iter().enumerate();
    let servers =
        servers.map(|(index, name)| (format!("/nameservers/{index}"), "name server", name, false));
    for (pointer, what, target, has_address) in hosts.chain(servers) {
        let Some(labels) = target.as_in_domain() else {
            continue;
        };
        let Ok(name) = labels.under(&placeholder()) else {
            continue;
        };
        if has(&name, &[Rtype::CNAME]) {
            faults.push(Fault::new(
                pointer,
                format!(
                    "{labels} is an alias among the extra records: a {what} cannot be one (RFC \
                     2181, section 10.3)"
                ),
            ));
            continue;
        }
        if !has_address && !has(&name, &[Rtype::A, Rtype::AAAA]) {
            let (key, hint) = if what == "mail host" {
                ("/addresses", String::new())
            } else {
                ("", " among the extra records".to_owned())
            };
            faults.push(Fault::new(
                format!("{pointer}{key}"),
                format!(
                    "expected an address of {labels}{hint}: it lies in each domain, so nobody else \
                     says it (a name elsewhere ends with a dot; RFC 5321, section 5.1)"
                ),
            ));
        }
        if labels.is_apex() && has_address && settings.apex_address == ApexAddress::Refuse {
            faults.push(Fault::new(format!("{pointer}/name"), APEX_ADDRESS));
        }
    }
    if settings.apex_address == ApexAddress::Refuse {
        let at_apex = extra.iter().filter(|record| {
            record.owner == placeholder() && matches!(record.rtype, Rtype::A | Rtype::AAAA)
        });
        faults.extend(at_apex.map(|record| record.fault(APEX_ADDRESS)));
    }
}

/// Why an address at the apex is refused.
pub(super) const APEX_ADDRESS: &str = "an address stands at the apex beside the MX: if the MX is \
    ever lost, mail goes there (RFC 5321, section 5.1); say apex_address = \"allow\" if the domains \
    have a web site";

/// Checks that the MTA-STS policy covers every host and can be fetched.
fn check_policy(settings: &PoolSettings, extra: &[ExtraRecord], faults: &mut Vec<Fault>) {
    let Some(policy) = &settings.mta_sts else {
        return;
    };
    if policy.max_age > MAX_AGE {
        faults.push(Fault::new(
            "/mta_sts/max_age",
            format!(
                "expected at most 31557600 seconds (about a year), found {} (RFC 8461, section 3.2)",
                policy.max_age
            ),
        ));
    }
    let hosts = settings.mail_hosts.iter().map(|host| &host.name);
    for host in mta_sts::uncovered(policy, hosts) {
        let reason = match host {
            Target::Shared(name) => format!(
                "the policy covers no host {}: senders would not deliver to it (RFC 8461, section \
                 4.1); spares count, too",
                name.to_api_text()
            ),
            Target::InDomain(labels) => format!(
                "patterns are the same for all domains and cannot cover {labels} in each of them: \
                 leave patterns away, so that each host has its own line (RFC 8461, section 4.1)"
            ),
        };
        faults.push(Fault::new("/mta_sts/patterns", reason));
    }
    let elsewhere = extra.iter().any(|record| {
        record
            .owner
            .relative_to(&placeholder())
            .is_some_and(|owner| owner.to_string() == "mta-sts")
    });
    if policy.mode != MtaStsMode::None && policy.addresses.is_empty() && !elsewhere {
        faults.push(Fault::new(
            "/mta_sts/addresses",
            "expected the addresses of the policy host: senders fetch the policy from \
             mta-sts.<domain> (RFC 8461, section 3.3)",
        ));
    }
}

/// Checks that nothing of the pool lies below a DNAME, where it would not exist.
fn check_dname(rrsets: &[RelativeRrset], extra: &[ExtraRecord], faults: &mut Vec<Fault>) {
    for record in extra.iter().filter(|record| record.rtype == Rtype::DNAME) {
        let Some(owner) = record.owner.relative_to(&placeholder()) else {
            continue;
        };
        if let Some(hidden) = rrsets.iter().find(|rrset| rrset.owner.is_below(&owner)) {
            faults.push(record.fault(format!(
                "it would hide {} {} (RFC 6672, section 2.4)",
                hidden.owner, hidden.rtype
            )));
        }
    }
}

/// Checks that the whole is a zone.
fn check_zone(
    settings: &PoolSettings,
    rrsets: Vec<RelativeRrset>,
    extra: &[ExtraRecord],
    faults: &mut Vec<Fault>,
) {
    let sample = Apex::parse("domain").expect("one label of letters is a zone's name");
    let soa = settings.soa(Serial::new(1));
    let zone = Template::new(rrsets)
        .and_then(|template| UnsignedZone::new(sample, Arc::new(template), vec![soa]));
    let Err(error) = zone else { return };
    // What was noted above says it better.
    if !faults.is_empty() {
        return;
    }
    let at = match &error {
        ZoneError::SameRrsetTwice { owner, rtype }
        | ZoneError::SameRecordTwice { owner, rtype }
        | ZoneError::DoesNotFit { owner, rtype, .. }
        | ZoneError::Forbidden { owner, rtype, .. } => {
            let mut extra = extra.iter();
            extra.find(|record| {
                record.rtype == *rtype
                    && record.owner.relative_to(&placeholder()).as_ref() == Some(owner)
            })
        }
        _ => None,
    };
    let fault = at.map_or_else(
        || Fault::new("", error.to_string()),
        |record| record.fault(error.to_string()),
    );
    faults.push(fault);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::mail::sample::{assert_refused, document, faults, in_domain, with, without};

    /// Asserts that the sample with `value` at `pointer` is refused at `place` with `words`.
    #[track_caller]
    fn refused(pointer: &str, value: Value, place: &str, words: &[&str]) {
        assert_refused(&with(document(), pointer, value), place, words);
    }

    /// Asserts that the sample with these extra records is refused with `words`.
    #[track_caller]
    fn refused_records(records: &str, words: &[&str]) {
        refused(
            "/extra",
            json!({ "records": records }),
            "/extra/records",
            words,
        );
    }

    #[test]
    fn every_missing_setting_is_named() {
        for key in ["nameservers", "hostmaster", "mail_host"] {
            let place = format!("/{key}");
            assert_refused(&without(document(), &place), &place, &["expected a value"]);
        }
        let pointers = faults(&json!({})).into_iter().map(|fault| fault.pointer);
        let pointers: Vec<String> = pointers.collect();
        assert_eq!(pointers, ["/nameservers", "/hostmaster", "/mail_host"]);
    }

    #[test]
    fn every_wrong_value_is_named_at_once() {
        let document = json!({
            "nameserver": [], "nameservers": ["192.0.2.1"], "hostmaster": "root", "ttl": 3600,
            "drain": "never", "retire": "later", "caa": ["issue"], "subdomains": "yes",
            "mail_host": [{ "name": "mx1", "addresses": ["192.0.2"], "tlsa": ["1 1 1 00"], "port": 25 }],
            "mta_sts": { "mode": "strict", "patterns": ["*"], "max_age": 7 },
            "reports": { "dmarc": "dmarc@infra.example" },
            "outbound": { "dkim": { "s_1": "s1" } },
            "readiness": { "secured": "maybe" },
            "dnssec": { "algorithm": "rsasha1", "denial": "nsec3" },
            "extra": {},
        });

        let mut places: Vec<String> = faults(&document).into_iter().map(|f| f.pointer).collect();

        places.sort_unstable();
        let expected = [
            "/caa/0",
            "/dnssec/algorithm",
            "/dnssec/denial",
            "/drain",
            "/extra/records",
            "/hostmaster",
            "/mail_host/0/addresses/0",
            "/mail_host/0/port",
            "/mail_host/0/tlsa/0",
            "/mta_sts/max_age",
            "/mta_sts/mode",
            "/mta_sts/patterns/0",
            "/nameserver",
            "/nameservers/0",
            "/outbound/dkim/s_1",
            "/outbound/spf",
            "/readiness/secured",
            "/reports/dmarc",
            "/retire",
            "/subdomains",
            "/ttl",
        ];
        assert_eq!(places, expected);
    }

    #[test]
    fn names_beyond_ascii_are_refused_and_the_a_label_is_offered() {
        let words = ["xn--bcher-kva"];
        refused(
            "/nameservers/0",
            json!("ns.bücher.example."),
            "/nameservers/0",
            &words,
        );
        refused(
            "/mail_host/0/name",
            json!("bücher"),
            "/mail_host/0/name",
            &words,
        );
        refused(
            "/hostmaster",
            json!("a@bücher.example"),
            "/hostmaster",
            &words,
        );
    }

    #[test]
    fn rfc5321_5_1_an_mx_at_an_address_is_refused() {
        for address in ["192.0.2.25", "2001:db8::25", "[192.0.2.25]"] {
            refused(
                "/mail_host/0/name",
                json!(address),
                "/mail_host/0/name",
                &["RFC 1035", address],
            );
        }
    }

    #[test]
    fn i2_rfc2181_10_3_an_mx_at_an_alias_is_refused() {
        let records = json!({ "records": "mx1 CNAME elsewhere.test.\n" });
        let document = with(in_domain(), "/extra", records);

        assert_refused(
            &document,
            "/mail_host/0",
            &["alias", "RFC 2181, section 10.3"],
        );
    }

    #[test]
    fn records_that_the_pool_or_signing_makes_are_refused_with_their_line() {
        refused_records(
            "www A 192.0.2.1\n@ MX 10 mx.test.\n",
            &["line 2", "@ MX", "RFC 5321"],
        );
        let digest = "8c".repeat(32);
        refused_records(
            &format!("_25._tcp.mx1 TLSA 3 1 1 {digest}"),
            &["TLSA", "RFC 7671"],
        );
        refused_records("@ NS ns1.test.", &["NS", "nameservers"]);
        refused_records("sub NS ns1.test.", &["delegates nothing"]);
        refused_records("@ SOA a. b. 1 2 3 4 5", &["SOA"]);
        refused_records("sub DS 1 13 2 8c8c", &["RFC 4035"]);
        refused_records("@ DNSKEY 257 3 13 AAAA", &["RFC 7344"]);
        refused_records("@ CDS 0 0 0 00", &["RFC 7344"]);
        refused_records("@ NSEC a. A", &["RFC 4034"]);
    }

    #[test]
    fn extra_records_that_clash_with_the_pool_are_refused() {
        refused_records(
            "_dmarc TXT \"v=DMARC1; p=none\"",
            &["the pool makes this RRset"],
        );
        refused_records("mta-sts A 192.0.2.1", &["the pool makes this RRset"]);
        refused_records("@ TXT \"v=spf1 mx -all\"", &["SPF", "RFC 7208"]);
        refused_records("@ CNAME elsewhere.test.", &["CNAME", "RFC 2181"]);
        refused_records("_dmarc CNAME elsewhere.test.", &["CNAME", "RFC 2181"]);
        refused_records("_tls DNAME elsewhere.test.", &["hide", "RFC 6672"]);
        refused_records(
            "a 60 A 192.0.2.1\na 61 A 192.0.2.2",
            &["line 2", "RFC 2181, section 5.2"],
        );
        refused_records(
            "www.elsewhere.test. A 192.0.2.1",
            &["line 1", "without a final dot"],
        );
        refused_records("a A 192.0.2.1\nb A 192.0.2", &["line 2"]);
        refused_records("$INCLUDE other.zone", &["line 1"]);
    }

    #[test]
    fn l4_rfc5321_5_1_an_address_at_the_apex_is_refused_unless_allowed() {
        refused_records("@ A 192.0.2.1", &["apex_address", "RFC 5321"]);
        refused_records("@ AAAA 2001:db8::1", &["apex_address"]);
        let host = json!([{ "name": "@", "addresses": ["192.0.2.1"] }]);
        refused("/mail_host", host, "/mail_host/0/name", &["apex_address"]);

        let records = json!({ "records": "@ A 192.0.2.1" });
        let allowed = with(
            with(document(), "/extra", records),
            "/apex_address",
            json!("allow"),
        );
        assert_eq!(faults(&allowed), []);
    }

    #[test]
    fn i3_rfc8461_4_1_a_policy_that_leaves_a_host_out_is_refused() {
        let one = json!(["*.infra-a.example"]);
        refused(
            "/mta_sts/patterns",
            one,
            "/mta_sts/patterns",
            &["mx2.infra-b.example", "RFC 8461"],
        );
        let deep = json!(["*.example"]);
        refused(
            "/mta_sts/patterns",
            deep,
            "/mta_sts/patterns",
            &["mx1.infra-a.example"],
        );
        let both = json!(["*.infra-a.example", "mx2.infra-b.example"]);
        let covered = with(document(), "/mta_sts/patterns", both);
        assert_eq!(faults(&covered), []);
        // A spare is in the policy, too: it may be the MX a moment later.
        let spare = json!({ "name": "mx3.test.", "spare": true });
        let spare = with(covered, "/mail_host/2", spare);
        assert_refused(&spare, "/mta_sts/patterns", &["mx3.test"]);
        let inside = with(in_domain(), "/mta_sts/patterns", json!(["*.test"]));
        assert_refused(&inside, "/mta_sts/patterns", &["mx1"]);
    }

    #[test]
    fn rfc8461_3_a_policy_that_cannot_be_fetched_or_kept_is_refused() {
        let long = json!("31557601s");
        refused(
            "/mta_sts/max_age",
            long,
            "/mta_sts/max_age",
            &["31557600", "RFC 8461"],
        );
        let nowhere = without(document(), "/mta_sts/addresses");
        assert_refused(&nowhere, "/mta_sts/addresses", &["RFC 8461, section 3.3"]);
        let elsewhere = json!({ "records": "mta-sts CNAME policy.test.\n" });
        assert_eq!(faults(&with(nowhere, "/extra", elsewhere)), []);
    }

    #[test]
    fn rfc7672_tlsa_that_senders_cannot_use_is_refused() {
        let digest = "8c".repeat(32);
        for (data, words) in [
            (format!("0 1 1 {digest}"), "RFC 7672, section 3.1.3"),
            (format!("1 1 1 {digest}"), "RFC 7672, section 3.1.3"),
            (format!("3 1 0 {digest}"), "RFC 7671, section 10.1.2"),
            (format!("3 1 2 {digest}"), "RFC 6698, section 2.1.3"),
        ] {
            refused(
                "/mail_host/0/tlsa/0",
                json!(data),
                "/mail_host/0/tlsa/0",
                &[words],
            );
        }
        let wildcard = json!("*.infra-a.example.");
        refused(
            "/mail_host/0/name",
            wildcard,
            "/mail_host/0/name",
            &["wildcard", "RFC 7672"],
        );
    }

    #[test]
    fn a_private_key_is_refused() {
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        let place = "/mail_host/0/certificates/0";
        refused(
            "/mail_host/0/certificates",
            json!([key]),
            place,
            &["private key"],
        );
    }

    #[test]
    fn a_pool_without_an_mx_is_refused() {
        refused("/mail_host", json!([]), "/mail_host", &["RFC 5321"]);
        let spare = json!([{ "name": "mx1.test.", "spare": true }]);
        refused("/mail_host", spare, "/mail_host", &["no spare"]);
        refused("/nameservers", json!([]), "/nameservers", &["RFC 1034"]);
        let twice = json!("ns1.infra-a.example.");
        refused("/nameservers/1", twice, "/nameservers/1", &["twice"]);
        let twice = json!({ "name": "MX1.infra-a.example." });
        refused("/mail_host/2", twice, "/mail_host/2/name", &["twice"]);
    }

    #[test]
    fn a_host_in_each_domain_needs_an_address() {
        let bare = with(in_domain(), "/mail_host/0/addresses", json!([]));
        assert_refused(
            &bare,
            "/mail_host/0/addresses",
            &["expected an address of mx1"],
        );
        refused(
            "/nameservers/0",
            json!("ns1"),
            "/nameservers/0",
            &["expected an address of ns1"],
        );
        let glue = json!({ "records": "ns1 A 192.0.2.53\n" });
        let document = with(
            with(document(), "/extra", glue),
            "/nameservers/0",
            json!("ns1"),
        );
        assert_eq!(faults(&document), []);
    }

    #[test]
    fn rfc6781_4_4_ttls_and_times_that_break_signatures_are_refused() {
        refused(
            "/ns_ttl",
            json!("7d"),
            "/ns_ttl",
            &["third of signature_lifetime = 21d", "604800"],
        );
        let short = json!({ "signature_lifetime": "59m", "signature_refresh": "30m" });
        refused(
            "/dnssec",
            short,
            "/dnssec/signature_lifetime",
            &["1h", "59m"],
        );
        let late = json!({ "signature_lifetime": "7d", "signature_refresh": "7d" });
        refused(
            "/dnssec",
            late,
            "/dnssec/signature_refresh",
            &["less than", "7d"],
        );
        let close = json!({ "signature_lifetime": "10d", "signature_refresh": "12h" });
        refused("/dnssec", close, "/ns_ttl", &["signature_refresh = 12h"]);
        refused_records("www 7d A 192.0.2.1", &["third of signature_lifetime"]);
        let key = json!({ "dnskey_ttl": "8d" });
        refused(
            "/dnssec",
            key,
            "/dnssec/dnskey_ttl",
            &["third of signature_lifetime"],
        );
    }

    #[test]
    fn nsec3_is_refused_until_it_is_built() {
        refused(
            "/dnssec",
            json!({ "denial": "nsec3" }),
            "/dnssec/denial",
            &["cannot make yet"],
        );
    }

    #[test]
    fn reports_that_nobody_could_send_are_refused() {
        let https = json!({ "dmarc": "https://reports.test/" });
        refused("/reports", https, "/reports/dmarc", &["mailto"]);
    }
}
