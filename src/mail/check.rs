use std::sync::Arc;

use super::extra::{self, ExtraRecord};
use super::render::{self, placeholder};
use super::settings::{ApexAddress, PoolSettings};
use super::{MtaStsMode, Target, mta_sts, signing};
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
    match render::rrsets(settings, Some("0"), &extra) {
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
