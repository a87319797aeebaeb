//! What a single domain must respect of all else that is hosted.

use super::check::APEX_ADDRESS;
use super::settings::PoolSettings;
use super::{TlsaRecord, extra};
use crate::document::Fault;
use crate::wire::{Apex, Name, Rtype};
use crate::zone::RelativeRrset;

/// Who holds a name already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A domain of a pool.
    Domain {
        /// The pool's name.
        pool: String,
    },
    /// An operator's zone.
    Zone,
}

/// Answers what else is hosted.
pub trait Hosted {
    /// Returns who holds exactly `name`.
    fn holder(&self, name: &Name) -> Option<Holder>;
}

/// Says why a domain cannot join a pool, if a host that several domains use lies inside it; the
/// pointer is that of its name.
///
/// Whether others lie above or below it is for the caller to find, who knows them all. Costs a
/// comparison for each shared host of `pools`.
pub fn check_domain(apex: &Apex, pools: &[(&str, &PoolSettings)]) -> Vec<Fault> {
    let inside = pools.iter().filter_map(|(pool, settings)| {
        let (what, host) = shared_host_below(settings, apex)?;
        let (host, name) = (host.to_api_text(), apex.to_api_text());
        Some(Fault::new(
            "/name",
            format!(
                "the {what} {host} of the pool {pool} lies inside {name}: a {what} that several \
                 domains use needs a name in a zone that stays"
            ),
        ))
    });
    inside.collect()
}

/// Returns a shared host or name server of a pool that lies at or below `apex`.
fn shared_host_below<'s>(
    settings: &'s PoolSettings,
    apex: &Apex,
) -> Option<(&'static str, &'s Name)> {
    let hosts = settings
        .mail_hosts
        .iter()
        .map(|host| ("mail host", &host.name));
    let servers = settings
        .nameservers
        .iter()
        .map(|server| ("name server", server));
    let mut shared = hosts
        .chain(servers)
        .filter_map(|(what, target)| Some((what, target.as_shared()?)));
    shared.find(|(_, name)| name.is_at_or_below(apex))
}

/// Says why an RRset cannot be one of a domain's own: the pool or the signer makes records of its
/// type, or it would break mail.
///
/// Whether the pool makes just this RRset is not asked here: its template tells.
pub fn check_own_rrset(settings: &PoolSettings, rrset: &RelativeRrset) -> Vec<String> {
    let mut reasons = Vec::new();
    let owner = &rrset.owner;
    match rrset.rtype {
        Rtype::TLSA => reasons.extend(check_tlsa(rrset)),
        // A delegation below the domain breaks no mail; its own NS are the pool's.
        Rtype::NS | Rtype::DS if !owner.is_apex() => {}
        Rtype::A | Rtype::AAAA if owner.is_apex() && !settings.allows_apex_address() => {
            reasons.push(APEX_ADDRESS.to_owned());
        }
        rtype => reasons.extend(extra::refused(rtype)),
    }
    reasons
}

/// Says why TLSA cannot be a domain's own.
fn check_tlsa(rrset: &RelativeRrset) -> Option<String> {
    let mut labels = rrset.owner.labels();
    if rrset.owner.is_wildcard() {
        return Some(
            "a wildcard TLSA would speak for any host and port (RFC 7672, section 2.2.3)"
                .to_owned(),
        );
    }
    if (labels.next(), labels.next()) == (Some(b"_25"), Some(b"_tcp")) {
        return extra::refused(Rtype::TLSA);
    }
    // Other services may use what port 25 cannot; only lengths must be right.
    let rdata = rrset.rdatas.iter().find_map(|rdata| {
        let rdata = rdata.under(Rtype::TLSA, &Name::root()).ok()?;
        TlsaRecord::wrong_digest(&rdata)
    });
    rdata.map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::sample;
    use crate::wire::{Rdata, RelativeName, RelativeRdata, Ttl};

    #[test]
    fn a_domain_that_holds_a_shared_host_is_refused() {
        let settings = sample::settings(&sample::document());
        let faults = |domain: &str| {
            let apex = Apex::parse(domain).unwrap();
            check_domain(&apex, &[("main", &settings)])
        };

        assert_eq!(faults("c.example"), []);
        let [fault] = &faults("infra-a.example")[..] else {
            panic!("expected one fault");
        };
        assert!(
            fault
                .detail
                .contains("mx1.infra-a.example of the pool main lies inside"),
            "{fault}"
        );
    }

    #[test]
    fn an_rrset_that_breaks_mail_is_none_of_a_domains_own() {
        let reasons = |owner: &str, rtype: Rtype, data: &str| {
            let rdata = Rdata::parse_text(rtype, data, &Name::root()).unwrap();
            let rrset = RelativeRrset {
                owner: RelativeName::parse(owner).unwrap(),
                rtype,
                ttl: Ttl::from_secs(60),
                rdatas: vec![RelativeRdata::fixed(&rdata)],
            };
            check_own_rrset(&sample::settings(&sample::document()), &rrset)
        };
        let digest = format!("3 1 1 {}", "8c".repeat(32));

        assert_eq!(reasons("www", Rtype::A, "192.0.2.1"), [""; 0]);
        assert_eq!(reasons("_443._tcp.www", Rtype::TLSA, &digest), [""; 0]);
        assert_eq!(reasons("sub", Rtype::NS, "ns1.test."), [""; 0]);
        for (owner, rtype, data) in [
            ("@", Rtype::A, "192.0.2.1"),
            ("sub", Rtype::MX, "10 mx.test."),
            ("@", Rtype::NS, "ns1.test."),
            ("_25._tcp.mx1", Rtype::TLSA, &digest),
            ("*.www", Rtype::TLSA, &digest),
            ("_443._tcp.www", Rtype::TLSA, "3 1 1 8c8c"),
            ("www", Rtype::CDS, "0 0 0 00"),
        ] {
            assert_eq!(reasons(owner, rtype, data).len(), 1, "{owner} {rtype}");
        }
    }
}
