//! What a single domain must respect of all else that is hosted.

use super::check::APEX_ADDRESS;
use super::settings::PoolSettings;
use super::{TlsaRecord, extra};
use crate::document::Fault;
use crate::wire::{Apex, Name, RelativeName, Rtype};
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

/// Says why an RRset cannot be one of a domain's own beside those that its pool renders: it is one
/// of them, would hide one of them, or adds to a host that the pool answers for.
pub fn clash_with_pool(
    settings: &PoolSettings,
    rendered: &[RelativeRrset],
    owner: &RelativeName,
    rtype: Rtype,
) -> Option<String> {
    let find = |hit: &dyn Fn(&RelativeRrset) -> bool| rendered.iter().find(|rrset| hit(rrset));
    if find(&|rrset| rrset.owner == *owner && rrset.rtype == rtype).is_some() {
        return Some("the pool has the same RRset".to_owned());
    }
    let (hidden, rule) = match rtype {
        // Another server speaks for the name and all below it.
        Rtype::NS | Rtype::DS => (
            find(&|rrset| rrset.owner == *owner || rrset.owner.is_below(owner)),
            "RFC 1034, section 4.2.1",
        ),
        Rtype::DNAME => (
            find(&|rrset| rrset.owner.is_below(owner)),
            "RFC 6672, section 2.4",
        ),
        Rtype::CNAME => (
            find(&|rrset| rrset.owner == *owner),
            "RFC 2181, section 10.1",
        ),
        _ => (None, ""),
    };
    if let Some(RelativeRrset { owner, rtype, .. }) = hidden {
        return Some(format!("it would hide the pool's {owner} {rtype} ({rule})"));
    }
    let is_address = |rtype| matches!(rtype, Rtype::A | Rtype::AAAA);
    let host = match rtype {
        _ if is_address(rtype) => settings.host_at(|host| host == owner),
        Rtype::TLSA => settings.host_at(|host| host == owner || owner.is_below(host)),
        _ => None,
    }?;
    let answers = |rrset: &RelativeRrset| rrset.owner == host && is_address(rrset.rtype);
    find(&answers).map(|_| {
        format!(
            "the pool answers for the host {host}: an address or key moves there by its pool alone, \
             step by step (plan N)"
        )
    })
}

impl PoolSettings {
    /// Returns the mail host, name server or policy host in each domain of which `is` holds.
    pub(super) fn host_at(&self, is: impl Fn(&RelativeName) -> bool) -> Option<RelativeName> {
        let policy_host = RelativeName::parse("mta-sts").ok();
        let policy_host = policy_host.filter(|_| self.mta_sts.is_some());
        let hosts = self.mail_hosts.iter().map(|host| &host.name);
        let named = hosts.chain(&self.nameservers);
        let mut inside = named.filter_map(|name| name.as_in_domain().cloned());
        inside
            .find(|host| is(host))
            .or_else(|| policy_host.filter(is))
    }
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
    use crate::mail::{Form, render};
    use crate::wire::{Rdata, RelativeRdata, Ttl};

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
    fn an_rrset_that_hides_or_adds_to_what_the_pool_says_is_none_of_a_domains_own() {
        let settings = sample::settings(&sample::in_domain());
        let template = render(&settings, Form::LIVE, Some("1")).unwrap();
        let clash = |owner: &str, rtype: Rtype| {
            let owner = RelativeName::parse(owner).unwrap();
            clash_with_pool(&settings, template.rrsets(), &owner, rtype)
        };

        for (owner, rtype) in [
            ("mx1", Rtype::A),
            ("mx1", Rtype::AAAA),
            ("mx1", Rtype::NS),
            ("mx1", Rtype::DS),
            ("mx1", Rtype::CNAME),
            ("mx1", Rtype::DNAME),
            ("@", Rtype::DNAME),
            ("_domainkey", Rtype::NS),
            ("_tcp.mx1", Rtype::DNAME),
            ("_465._tcp.mx1", Rtype::TLSA),
            ("mta-sts", Rtype::AAAA),
        ] {
            assert!(clash(owner, rtype).is_some(), "{owner} {rtype}");
        }
        for (owner, rtype) in [
            ("sub", Rtype::NS),
            ("sub", Rtype::DNAME),
            ("www", Rtype::AAAA),
            ("_443._tcp.www", Rtype::TLSA),
            ("x.mx1", Rtype::A),
            ("@", Rtype::AAAA),
        ] {
            assert_eq!(clash(owner, rtype), None, "{owner} {rtype}");
        }
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
