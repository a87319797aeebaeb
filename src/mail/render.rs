//! From settings to records.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::extra::{self, ExtraRecord};
use super::settings::{MailHost, PoolSettings};
use super::{Form, HostsForm, MailForm, ReportUris, Target, outbound};
use crate::document::Fault;
use crate::wire::{Name, Rdata, RelativeName, Rtype, Serial, SoaNumbers, Ttl};
use crate::zone::{RelativeRrset, Rrset, Template};

/// SOA REFRESH: NOTIFY makes it irrelevant in normal operation; Zonemaster wants at least this.
const REFRESH: u32 = 14_400;
/// SOA RETRY: shorter than REFRESH (RFC 1912, section 2.2).
const RETRY: u32 = 3_600;
/// SOA EXPIRE, two weeks: a secondary that is cut off drops a zone before its signatures expire
/// (RFC 6781, section 4.4.1).
pub(super) const EXPIRE: u32 = 1_209_600;

/// Renders what all domains of a pool share that show the same of it.
///
/// SOA, DNSKEY, CDS, CDNSKEY and NSEC are not in it: they differ by domain or come from signing.
/// `policy_id` is the id of the MTA-STS policy, for a pool that has one; without an id no sender
/// is told of the policy. Every MX of the zone is in one form, at the apex and at `*` (L15).
///
/// # Errors
///
/// What would break mail. Settings that could be read can be rendered.
pub fn render(
    settings: &PoolSettings,
    form: Form,
    policy_id: Option<&str>,
) -> Result<Template, Vec<Fault>> {
    let mut extra = extra::parse(settings)?;
    if form.hosts == HostsForm::Gone {
        // Addresses of hosts may be among the extra records; the hosts are gone.
        let hosts = settings.mail_hosts.iter().map(|host| &host.name);
        // One that is a name server, too, answers for as long as the zone is served.
        let hosts = hosts.filter(|host| !settings.nameservers.contains(host));
        let hosts = hosts.filter_map(|host| host.as_in_domain().cloned());
        let mut gone: Vec<RelativeName> = hosts.collect();
        if policy_id.is_none() && settings.mta_sts.is_some() {
            gone.extend(RelativeName::parse("mta-sts"));
        }
        extra.retain(|record| {
            let owner = record.owner.relative_to(&placeholder());
            owner.is_none_or(|owner| !gone.contains(&owner))
        });
    }
    if asks_for_no_certificate(form, policy_id) {
        // Beside a CA that may issue, one that says that none may is ignored (RFC 8659, section 4.2).
        extra.retain(|record| record.rtype != Rtype::CAA || record.owner != placeholder());
    }
    let rrsets = rrsets(settings, form, policy_id, &extra)?;
    Template::new(rrsets).map_err(|error| vec![Fault::new("", error.to_string())])
}

impl PoolSettings {
    /// Returns the SOA of a domain at `serial`; SOA TTL and MINIMUM are one number, so that NSEC
    /// and SOA agree (RFC 9077, section 4).
    pub fn soa(&self, serial: Serial) -> RelativeRrset {
        let numbers = SoaNumbers {
            serial,
            refresh: REFRESH,
            retry: RETRY,
            expire: EXPIRE,
            minimum: self.negative_ttl(),
        };
        let apex = placeholder();
        let mname = self.nameservers.first();
        let mname = mname.and_then(|target| target.under(&apex).ok());
        // Both were checked when the settings were read: there is a name server, and the mailbox
        // has the form of a name.
        let mname = mname.unwrap_or_else(Name::root);
        let rname = self.hostmaster.to_rname().unwrap_or_else(|_| Name::root());
        let rdata = Rdata::soa(&mname, &rname, numbers);
        relative(apex.clone(), Rtype::SOA, self.negative_ttl(), vec![rdata])
            .expect("one record at the apex that it is made relative to")
    }

    /// Returns the largest TTL of any RRset of the pool's zones, DNSKEY and NSEC included.
    pub fn max_ttl(&self) -> Ttl {
        let rendered = render(self, Form::LIVE, None).ok();
        let rendered = rendered.iter().flat_map(Template::rrsets);
        let fixed = [self.negative_ttl(), self.signing.dnskey_ttl()];
        rendered
            .map(|rrset| rrset.ttl)
            .chain(fixed)
            .max()
            .unwrap_or(self.ttl())
    }
}

/// Returns whether an RRset of a domain's own gives way to one that the pool makes in a form: who is
/// responsible for a domain without mail, and that nobody needs a certificate for it.
pub fn gives_way(form: Form, owner: &RelativeName, rtype: Rtype) -> bool {
    let made = match rtype {
        Rtype::RP => form.mail == MailForm::Null,
        Rtype::CAA => form.hosts == HostsForm::Gone,
        _ => false,
    };
    made && owner.is_apex()
}

/// Returns whether nobody needs a certificate below the domain: its hosts and its policy are gone.
fn asks_for_no_certificate(form: Form, policy_id: Option<&str>) -> bool {
    form.hosts == HostsForm::Gone && policy_id.is_none()
}

/// Returns the name that stands for a domain while its records are rendered.
///
/// A label of one zero octet is in no name that a user writes, so that it can be cut out again
/// everywhere; and it is the shortest there is, so that it makes no name too long.
pub(super) fn placeholder() -> Name {
    Name::parse("\\000").expect("an escape and nothing else is a label")
}

/// Makes an RRset under the placeholder relative; `None` without data.
fn relative(owner: Name, rtype: Rtype, ttl: Ttl, rdatas: Vec<Rdata>) -> Option<RelativeRrset> {
    let rrset = Rrset::new(owner, rtype, ttl, rdatas)?;
    RelativeRrset::relative_to(&rrset, &placeholder())
}

/// Renders the RRsets of a domain: the pool's own, then the extra records.
pub(super) fn rrsets(
    settings: &PoolSettings,
    form: Form,
    policy_id: Option<&str>,
    extra: &[ExtraRecord],
) -> Result<Vec<RelativeRrset>, Vec<Fault>> {
    let mut records = pool_records(settings, form, policy_id)?;
    let mut faults = Vec::new();
    for record in extra {
        if let Err(reason) = records.add_extra(record) {
            faults.push(record.fault(reason));
        }
    }
    if faults.is_empty() {
        Ok(records.finish())
    } else {
        Err(faults)
    }
}

/// Renders what the pool itself says of a domain.
pub(super) fn pool_records(
    settings: &PoolSettings,
    form: Form,
    policy_id: Option<&str>,
) -> Result<Records, Vec<Fault>> {
    let mut records = Records::default();
    records.base(settings, form, policy_id)?;
    records.mail(settings, form)?;
    records.texts(settings, form, policy_id)?;
    Ok(records)
}

/// The records of a domain while they are put together, under the placeholder.
#[derive(Default)]
pub(super) struct Records {
    /// The data of each RRset, and its TTL.
    rrsets: BTreeMap<(Name, Rtype), (Ttl, Vec<Rdata>)>,
    /// The RRsets that extra records alone have made so far.
    extra: Vec<(Name, Rtype)>,
}

impl Records {
    /// Adds NS and CAA, and RP to a null MX: whom to ask about a domain that takes no mail.
    fn base(
        &mut self,
        settings: &PoolSettings,
        form: Form,
        policy_id: Option<&str>,
    ) -> Result<(), Vec<Fault>> {
        let apex = placeholder();
        for (index, server) in settings.nameservers.iter().enumerate() {
            let name = full(server, &format!("/nameservers/{index}"))?;
            self.add(&apex, Rtype::NS, settings.ns_ttl(), Rdata::name(&name));
        }
        if asks_for_no_certificate(form, policy_id) {
            self.add(&apex, Rtype::CAA, settings.ttl(), Rdata::caa_none());
        } else {
            for rdata in &settings.caa {
                self.add(&apex, Rtype::CAA, settings.ttl(), rdata.clone());
            }
        }
        if form.mail == MailForm::Null
            && let Ok(mailbox) = settings.hostmaster.to_rname()
        {
            let rdata = Rdata::rp(&mailbox, &Name::root());
            self.add(&apex, Rtype::RP, settings.ttl(), rdata);
        }
        Ok(())
    }

    /// Adds MX, and of hosts in the domain the addresses and TLSA.
    fn mail(&mut self, settings: &PoolSettings, form: Form) -> Result<(), Vec<Fault>> {
        let apex = placeholder();
        let mut owners = vec![apex.clone()];
        if settings.subdomains {
            owners.push(child(&apex, "*", "/subdomains")?);
        }
        if form.mail == MailForm::Null {
            // Alone: beside another MX it would be no null MX (RFC 7505, section 3; I1).
            for owner in &owners {
                let rdata = Rdata::mx(0, &Name::root());
                self.add(owner, Rtype::MX, settings.ttl(), rdata);
            }
        }
        for (index, host) in settings.mail_hosts.iter().enumerate() {
            let pointer = format!("/mail_host/{index}/name");
            let name = full(&host.name, &pointer)?;
            let live = form.mail == MailForm::Live && !host.spare;
            for owner in owners.iter().filter(|_| live) {
                let rdata = Rdata::mx(host.preference, &name);
                self.add(owner, Rtype::MX, settings.ttl(), rdata);
            }
            if host.name.as_in_domain().is_some() && form.hosts == HostsForm::Kept {
                for (owner, rtype, rdata) in host_records(&name, host, &pointer)? {
                    self.add(&owner, rtype, settings.ttl(), rdata);
                }
            }
        }
        Ok(())
    }

    /// Adds SPF, DMARC, DKIM, TLS reporting and MTA-STS.
    fn texts(
        &mut self,
        settings: &PoolSettings,
        form: Form,
        policy_id: Option<&str>,
    ) -> Result<(), Vec<Fault>> {
        let apex = placeholder();
        let ttl = settings.ttl();
        // A domain with a null MX sends nothing (RFC 7505, section 4.2; L3).
        let sends = form.mail == MailForm::Live;
        let outbound = settings.outbound.as_ref().filter(|_| sends);
        // A domain that never sends says so in every state (RFC 7208, section 10.1.2).
        let spf = outbound.map_or("v=spf1 -all", |outbound| &outbound.spf);
        self.add(&apex, Rtype::TXT, ttl, Rdata::txt(spf.as_bytes()));

        let tags = outbound.map_or(outbound::DMARC, |outbound| &outbound.dmarc);
        let mut dmarc = format!("v=DMARC1; {tags}");
        if let Some(uris) = &settings.reports.dmarc {
            dmarc.push_str(&format!("; rua={uris}"));
        }
        let owner = child(&apex, "_dmarc", "/reports")?;
        self.add(&owner, Rtype::TXT, ttl, Rdata::txt(dmarc.as_bytes()));

        // Its signatures are still checked for a while: the keys go with the hosts.
        let keys = settings.outbound.iter();
        let keys = keys.filter(|_| form.hosts == HostsForm::Kept);
        for (selector, target) in keys.flat_map(|outbound| &outbound.dkim) {
            let pointer = format!("/outbound/dkim/{selector}");
            let owner = child(&apex, &format!("{selector}._domainkey"), &pointer)?;
            let target = full(target, &pointer)?;
            self.add(&owner, Rtype::CNAME, ttl, Rdata::name(&target));
        }
        if let Some(uris) = &settings.reports.tlsrpt {
            let owner = child(&apex, "_smtp._tls", "/reports/tlsrpt")?;
            let text = format!("v=TLSRPTv1; rua={uris}");
            self.add(&owner, Rtype::TXT, ttl, Rdata::txt(text.as_bytes()));
        }
        // The policy host goes with the last policy (RFC 8461, section 8.3).
        let policy = settings.mta_sts.as_ref();
        if let Some(policy) = policy.filter(|_| sends || policy_id.is_some()) {
            if let Some(id) = policy_id {
                let owner = child(&apex, "_mta-sts", "/mta_sts")?;
                let text = format!("v=STSv1; id={id};");
                self.add(&owner, Rtype::TXT, ttl, Rdata::txt(text.as_bytes()));
            }
            let owner = child(&apex, "mta-sts", "/mta_sts/addresses")?;
            for address in &policy.addresses {
                let (rtype, rdata) = address_record(*address);
                self.add(&owner, rtype, ttl, rdata);
            }
        }
        Ok(())
    }

    /// Adds a record of the pool's own.
    fn add(&mut self, owner: &Name, rtype: Rtype, ttl: Ttl, rdata: Rdata) {
        let rrset = self.rrsets.entry((owner.clone(), rtype));
        rrset.or_insert((ttl, Vec::new())).1.push(rdata);
    }

    /// Adds a record that the operator wrote, if it may stand beside what the pool makes.
    pub(super) fn add_extra(&mut self, record: &ExtraRecord) -> Result<(), String> {
        let key = (record.owner.clone(), record.rtype);
        let joins = record.owner == placeholder()
            && matches!(record.rtype, Rtype::CAA | Rtype::RP | Rtype::TXT);
        match self.rrsets.get_mut(&key) {
            None => {
                self.extra.push(key.clone());
                self.rrsets
                    .insert(key, (record.ttl, vec![record.rdata.clone()]));
            }
            // Texts of others (proofs of ownership), CAA and further contacts stand beside the pool's, with its TTL.
            Some((_, rdatas)) if joins => rdatas.push(record.rdata.clone()),
            Some((ttl, rdatas)) if self.extra.contains(&key) => {
                if *ttl != record.ttl {
                    return Err(format!(
                        "expected the TTL {ttl} of the other {} records here, found {} (RFC 2181, \
                         section 5.2)",
                        record.rtype, record.ttl
                    ));
                }
                rdatas.push(record.rdata.clone());
            }
            Some(_) => {
                return Err("the pool makes this RRset out of its other settings".to_owned());
            }
        }
        Ok(())
    }

    /// Returns the RRsets, relative to the domain.
    fn finish(self) -> Vec<RelativeRrset> {
        let rrsets = self.rrsets.into_iter();
        rrsets
            .filter_map(|((owner, rtype), (ttl, rdatas))| relative(owner, rtype, ttl, rdatas))
            .collect()
    }
}

/// Returns addresses and TLSA of a host whose full name is `name`.
pub(super) fn host_records(
    name: &Name,
    host: &MailHost,
    pointer: &str,
) -> Result<Vec<(Name, Rtype, Rdata)>, Vec<Fault>> {
    let mut records = Vec::new();
    for address in &host.addresses {
        let (rtype, rdata) = address_record(*address);
        records.push((name.clone(), rtype, rdata));
    }
    let tlsa = host.tlsa_records();
    if !tlsa.is_empty() {
        // At the host, not at the mail domain (RFC 7672, section 2.2.3).
        let owner = child(name, "_25._tcp", pointer)?;
        let rdatas = tlsa.iter().map(|record| record.to_rdata());
        records.extend(rdatas.map(|rdata| (owner.clone(), Rtype::TLSA, rdata)));
    }
    Ok(records)
}

/// Returns the record of an address.
fn address_record(address: IpAddr) -> (Rtype, Rdata) {
    match address {
        IpAddr::V4(address) => (Rtype::A, Rdata::a(address)),
        IpAddr::V6(address) => (Rtype::AAAA, Rdata::aaaa(address)),
    }
}

/// Returns a target's name under the placeholder.
fn full(target: &Target, pointer: &str) -> Result<Name, Vec<Fault>> {
    let name = target.under(&placeholder());
    name.map_err(|error| vec![Fault::new(pointer, error.to_string())])
}

/// Returns `name` with labels put in front.
fn child(name: &Name, labels: &str, pointer: &str) -> Result<Name, Vec<Fault>> {
    let name = name.child(labels);
    name.map_err(|error| vec![Fault::new(pointer, error.to_string())])
}

/// Returns the names that reports of DMARC must be allowed at: `*._report._dmarc` of each mailbox's
/// domain, once for all domains of the pool (RFC 9990, section 4).
pub(super) fn report_permissions(uris: &ReportUris) -> Vec<Name> {
    let domains = uris.mail_domains().into_iter();
    domains
        .filter_map(|domain| domain.child("*._report._dmarc").ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::mail::sample;
    use crate::wire::{Apex, write_master};
    use crate::zone::UnsignedZone;

    /// Returns the lines of a domain's zone, sorted as text, with one blank between fields.
    fn zone(settings: &PoolSettings, apex: &str) -> Vec<String> {
        let template = render(settings, Form::LIVE, Some("4711x0123456789abcdef")).unwrap();
        let soa = settings.soa(Serial::new(2_026_112_300));
        let apex = Apex::parse(apex).unwrap();
        let zone = UnsignedZone::new(apex, Arc::new(template), vec![soa]).unwrap();
        let rrsets = zone.rrsets().unwrap();
        let records = rrsets.iter().flat_map(|rrset| {
            let rdatas = rrset.rdatas().iter();
            rdatas.map(|rdata| (rrset.owner(), rrset.rtype(), rrset.ttl(), rdata))
        });
        let mut lines: Vec<String> = write_master(records)
            .lines()
            .map(|line| line.replace('\t', " "))
            .collect();
        lines.sort_unstable();
        lines
    }

    #[test]
    fn s1_the_golden_zone_is_what_its_pool_says() {
        let settings = sample::settings(&sample::document());

        let lines = zone(&settings, "d.example");

        let mut golden = [
            "d.example. 900 IN SOA ns1.infra-a.example. hostmaster.infra-a.example. 2026112300 14400 3600 1209600 900",
            "d.example. 86400 IN NS ns1.infra-a.example.",
            "d.example. 86400 IN NS ns2.infra-b.example.",
            "d.example. 3600 IN MX 10 mx1.infra-a.example.",
            "d.example. 3600 IN MX 10 mx2.infra-b.example.",
            "d.example. 3600 IN TXT \"v=spf1 -all\"",
            "d.example. 3600 IN CAA 0 issue \"ca.example; validationmethods=dns-01\"",
            "d.example. 3600 IN CAA 0 issuewild \";\"",
            "_dmarc.d.example. 3600 IN TXT \"v=DMARC1; p=reject; sp=reject; np=reject; adkim=s; aspf=s; rua=mailto:dmarc@infra-a.example\"",
            "_smtp._tls.d.example. 3600 IN TXT \"v=TLSRPTv1; rua=mailto:tlsrpt@infra-a.example\"",
            "_mta-sts.d.example. 3600 IN TXT \"v=STSv1; id=4711x0123456789abcdef;\"",
            "mta-sts.d.example. 3600 IN A 192.0.2.80",
            "mta-sts.d.example. 3600 IN AAAA 2001:db8::80",
            "*._domainkey.d.example. 3600 IN TXT \"v=DKIM1; p=\"",
        ];
        golden.sort_unstable();
        assert_eq!(lines, golden);
    }

    #[test]
    fn a_pool_with_hosts_in_its_domains_that_sends_is_rendered_for_each_domain() {
        let settings = sample::settings(&sample::in_domain());

        let lines = zone(&settings, "d.example");

        let tlsa = crate::mail::certificate::tests::KEY_TLSA;
        let mut expected = vec![
            "d.example. 900 IN SOA ns1.infra.example. host\\.master.infra.example. 2026112300 14400 3600 1209600 900".to_owned(),
            "d.example. 86400 IN NS ns1.infra.example.".to_owned(),
            "d.example. 86400 IN NS ns2.infra.example.".to_owned(),
            "d.example. 1800 IN A 192.0.2.90".to_owned(),
            "d.example. 1800 IN MX 10 mx1.d.example.".to_owned(),
            "*.d.example. 1800 IN MX 10 mx1.d.example.".to_owned(),
            "d.example. 1800 IN TXT \"v=spf1 mx -all\"".to_owned(),
            "d.example. 1800 IN TXT \"site-proof=1\"".to_owned(),
            "_dmarc.d.example. 1800 IN TXT \"v=DMARC1; p=reject; adkim=s; aspf=s\"".to_owned(),
            "s1._domainkey.d.example. 1800 IN CNAME s1.dkim.infra.example.".to_owned(),
            "_mta-sts.d.example. 1800 IN TXT \"v=STSv1; id=4711x0123456789abcdef;\"".to_owned(),
            "mta-sts.d.example. 1800 IN A 192.0.2.80".to_owned(),
            "mx1.d.example. 1800 IN A 192.0.2.25".to_owned(),
            format!("_25._tcp.mx1.d.example. 1800 IN TLSA {tlsa}"),
            "mx2.d.example. 1800 IN A 192.0.2.26".to_owned(),
            format!("_25._tcp.mx2.d.example. 1800 IN TLSA {}", sample::TLSA[0]),
            format!("_25._tcp.mx2.d.example. 1800 IN TLSA {}", sample::TLSA[1]),
            "www.d.example. 1800 IN CNAME d.example.".to_owned(),
        ];
        expected.sort_unstable();
        assert_eq!(lines, expected);
    }

    #[test]
    fn the_largest_ttl_counts_every_record() {
        let document = sample::document();
        let settings = |records: &str| {
            let extra = serde_json::json!({ "records": records });
            sample::settings(&sample::with(document.clone(), "/extra", extra))
        };

        assert_eq!(
            settings("www 2d A 192.0.2.1\n").max_ttl().as_secs(),
            172_800
        );
        assert_eq!(settings("www A 192.0.2.1\n").max_ttl().as_secs(), 86_400);
    }

    /// I1, L3, L15: the null MX stands alone at the apex and at `*`, and the domain sends nothing.
    #[test]
    fn i1_l15_a_null_form_has_the_null_mx_alone_everywhere_and_keeps_its_hosts() {
        let settings = sample::settings(&sample::in_domain());
        let lines = |form, id| {
            let template = render(&settings, form, id).unwrap();
            let rrsets = template.rrsets().iter();
            let apex = Apex::parse("burner.example").unwrap();
            let lines = rrsets.flat_map(|rrset| {
                let rdatas = rrset.rdatas.iter();
                rdatas
                    .map(|rdata| {
                        let rdata = rdata.under(rrset.rtype, &apex).unwrap();
                        let data = rdata.to_text(rrset.rtype);
                        format!("{} {} {data}", rrset.owner, rrset.rtype)
                    })
                    .collect::<Vec<_>>()
            });
            lines.collect::<Vec<_>>()
        };

        let null = lines(Form::NULL, Some("1"));
        let bare = lines(Form::BARE, None);

        for lines in [&null, &bare] {
            let mx: Vec<_> = lines.iter().filter(|line| line.contains(" MX ")).collect();
            assert_eq!(mx, ["@ MX 0 .", "* MX 0 ."], "{lines:?}");
            assert!(
                lines
                    .iter()
                    .any(|line| line.contains("TXT \"v=spf1 -all\""))
            );
            assert!(lines.iter().any(|line| line.starts_with("@ RP ")));
        }
        let has = |lines: &[String], start: &str| lines.iter().any(|line| line.starts_with(start));
        for start in [
            "mx1 A",
            "_25._tcp.mx1 TLSA",
            "s1._domainkey CNAME",
            "mta-sts A",
        ] {
            assert!(has(&null, start) && !has(&bare, start), "{start}: {bare:?}");
        }
        assert!(has(&bare, "@ CAA 0 issue \";\""), "{bare:?}");
    }

    /// Returns the lines of a form's template, owner, type and data.
    fn shared(settings: &PoolSettings, form: Form, id: Option<&str>) -> Vec<String> {
        let template = render(settings, form, id).unwrap();
        let apex = Apex::parse("burner.example").unwrap();
        let rrsets = template.rrsets().iter();
        let lines = rrsets.flat_map(|rrset| {
            let rdatas = rrset.rdatas.iter();
            let rdatas = rdatas.map(|rdata| rdata.under(rrset.rtype, &apex).unwrap());
            rdatas
                .map(|rdata| {
                    let data = rdata.to_text(rrset.rtype);
                    format!("{} {} {data}", rrset.owner, rrset.rtype)
                })
                .collect::<Vec<_>>()
        });
        lines.collect()
    }

    /// The golden zone of a retired domain, and of one that nothing leads to any more.
    #[test]
    fn i1_l3_the_golden_zone_of_a_retired_domain() {
        let settings = sample::settings(&sample::document());
        let dmarc = "_dmarc TXT \"v=DMARC1; p=reject; sp=reject; np=reject; adkim=s; aspf=s; rua=mailto:dmarc@infra-a.example\"";
        let common = [
            "@ NS ns1.infra-a.example.",
            "@ NS ns2.infra-b.example.",
            "@ MX 0 .",
            "@ TXT \"v=spf1 -all\"",
            "@ RP hostmaster.infra-a.example. .",
            dmarc,
            "_smtp._tls TXT \"v=TLSRPTv1; rua=mailto:tlsrpt@infra-a.example\"",
            "*._domainkey TXT \"v=DKIM1; p=\"",
        ];
        let null = [
            "@ CAA 0 issue \"ca.example; validationmethods=dns-01\"",
            "@ CAA 0 issuewild \";\"",
            "_mta-sts TXT \"v=STSv1; id=7x00;\"",
            "mta-sts A 192.0.2.80",
            "mta-sts AAAA 2001:db8::80",
        ];
        let sorted = |lines: &[&str]| {
            let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            lines.sort_unstable();
            lines
        };
        let look = |form, id| {
            let mut lines = shared(&settings, form, id);
            lines.sort_unstable();
            lines
        };

        assert_eq!(
            look(Form::NULL, Some("7x00")),
            sorted(&[&common[..], &null].concat())
        );
        assert_eq!(
            look(Form::BARE, None),
            sorted(&[&common[..], &["@ CAA 0 issue \";\""]].concat())
        );
    }

    /// What a pool adds never keeps its domains from retiring.
    #[test]
    fn i1_extra_records_stand_beside_a_null_mx_and_give_way_where_they_make_no_sense() {
        let extra = "@ RP other.infra.example. .\n@ CAA 0 issue \"ca.example\"\nmx3 A 192.0.2.7\n\
            mx1 A 192.0.2.25\nwww A 192.0.2.1\n* TXT \"any\"\n";
        let mut document = sample::in_domain();
        document["extra"]["records"] = serde_json::json!(extra);
        document["mail_host"][0] = serde_json::json!({ "name": "mx1", "tlsa": sample::TLSA });
        document["mail_host"][1] = serde_json::json!({ "name": "mx3", "preference": 20 });
        document["nameservers"][0] = serde_json::json!("mx1");
        let settings = sample::settings(&document);

        let null = shared(&settings, Form::NULL, None);
        let bare = shared(&settings, Form::BARE, None);

        for lines in [&null, &bare] {
            assert!(lines.contains(&"@ RP other.infra.example. .".to_owned()));
            assert!(lines.contains(&"@ RP host\\.master.infra.example. .".to_owned()));
            assert!(lines.contains(&"www A 192.0.2.1".to_owned()));
            // A name server in the domain answers for as long as the zone is served.
            assert!(lines.contains(&"mx1 A 192.0.2.25".to_owned()), "{lines:?}");
        }
        assert!(null.contains(&"mx3 A 192.0.2.7".to_owned()));
        assert!(!bare.iter().any(|line| line.starts_with("mx3 ")));
        assert!(!bare.iter().any(|line| line.contains("TLSA")));
        let caa: Vec<_> = bare.iter().filter(|line| line.contains(" CAA ")).collect();
        assert_eq!(caa, ["@ CAA 0 issue \";\""]);
    }

    #[test]
    fn rrsets_of_a_domains_own_give_way_at_the_apex_alone() {
        let name = |text| RelativeName::parse(text).unwrap();

        assert!(gives_way(Form::NULL, &name("@"), Rtype::RP));
        assert!(!gives_way(Form::LIVE, &name("@"), Rtype::RP));
        assert!(!gives_way(Form::NULL, &name("@"), Rtype::CAA));
        assert!(gives_way(Form::BARE, &name("@"), Rtype::CAA));
        assert!(!gives_way(Form::BARE, &name("www"), Rtype::CAA));
    }
}
