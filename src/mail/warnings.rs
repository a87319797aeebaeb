//! What works but should be thought over.

use super::settings::{MailHost, PoolSettings, Secured};
use super::{Certificate, MtaStsMode, Target, render};
use crate::clock::Timestamp;
use crate::document::Fault;

impl PoolSettings {
    /// Returns what is taken but should be thought over, with its place.
    ///
    /// `now` tells which certificates have expired.
    pub fn warnings(&self, now: Timestamp) -> Vec<Fault> {
        let mut warnings = Vec::new();
        self.warn_of_names(&mut warnings);
        self.warn_of_hosts(now, &mut warnings);
        self.warn_of_times(&mut warnings);
        self.warn_of_readiness(&mut warnings);
        self.warn_of_what_rests(&mut warnings);
        self.warn_of_texts(&mut warnings);
        warnings
    }

    /// Warns of names that probably lack their final dot, and of too few name servers.
    fn warn_of_names(&self, warnings: &mut Vec<Fault>) {
        if self.nameservers.len() == 1 {
            warnings.push(Fault::new(
                "/nameservers",
                "one name server alone: when it fails, mail waits (RFC 2182, section 5)",
            ));
        }
        let servers = self.nameservers.iter().enumerate();
        let servers = servers.map(|(index, name)| (format!("/nameservers/{index}"), name));
        let hosts = self.mail_hosts.iter().enumerate();
        let hosts = hosts.map(|(index, host)| (format!("/mail_host/{index}/name"), &host.name));
        for (pointer, name) in servers.chain(hosts) {
            if let Target::InDomain(labels) = name
                && labels.label_count() >= 2
            {
                let detail = format!(
                    "{labels} means {labels}.<domain>: write {labels}. if it is the whole name"
                );
                warnings.push(Fault::new(pointer, detail));
            }
        }
    }

    /// Warns of keys and certificates, and of a pool that one dead host stops.
    fn warn_of_hosts(&self, now: Timestamp, warnings: &mut Vec<Fault>) {
        if self.mail_hosts.len() == 1 {
            warnings.push(Fault::new(
                "/mail_host",
                "one mail host and no spare: when it dies, mail waits until its address moves",
            ));
        }
        for (index, host) in self.mail_hosts.iter().enumerate() {
            let pointer = format!("/mail_host/{index}");
            let tlsa = host.tlsa_records();
            if !tlsa.is_empty() && !tlsa.iter().any(|record| record.is_sha256()) {
                warnings.push(Fault::new(
                    format!("{pointer}/tlsa"),
                    "SHA-512 alone: senders need to know SHA-256 only (RFC 7671, section 10.1.2)",
                ));
            }
            for (at, certificate) in host.certificates.iter().enumerate() {
                let details = self.certificate_warnings(host, certificate, now);
                let pointer = format!("{pointer}/certificates/{at}");
                warnings.extend(
                    details
                        .into_iter()
                        .map(|detail| Fault::new(&pointer, detail)),
                );
            }
        }
    }

    /// Says what is doubtful of a host's certificate.
    fn certificate_warnings(
        &self,
        host: &MailHost,
        certificate: &Certificate,
        now: Timestamp,
    ) -> Vec<String> {
        let mut details = Vec::new();
        if let Some(end) = certificate.not_after().filter(|end| *end < now) {
            details.push(format!(
                "the certificate has expired at {end}: DANE does not mind, but MTA-STS does (RFC \
                 8461, section 4.2)"
            ));
        }
        let policy = self.mta_sts.as_ref();
        let checked = policy.is_some_and(|policy| policy.mode != MtaStsMode::None);
        let name = host.name.as_shared().map(|name| name.to_api_text());
        if let Some(name) = name.filter(|_| checked)
            && certificate.is_for(&name) == Some(false)
        {
            details.push(format!(
                "the certificate is not for {name}, as MTA-STS asks (RFC 8461, section 4.2)"
            ));
        }
        details
    }

    /// Warns of times that work but that test kits or secondaries stumble over.
    fn warn_of_times(&self, warnings: &mut Vec<Fault>) {
        let mut warn = |pointer: &str, detail: String| warnings.push(Fault::new(pointer, detail));
        let negative = self.negative_ttl.as_secs();
        if !(300..=86_400).contains(&negative) {
            warn(
                "/negative_ttl",
                format!(
                    "{} is outside of 5m to 1d (RFC 2308, section 5)",
                    self.negative_ttl
                ),
            );
        }
        if self.ttl.as_secs() < 300 {
            warn(
                "/ttl",
                format!("{} is below 5m (RFC 6781, section 4.4.1)", self.ttl),
            );
        }
        if self.signing.refresh.as_secs() < render::EXPIRE {
            warn(
                "/dnssec/signature_refresh",
                format!(
                    "{} is below the SOA's expire of 14d: a secondary that is cut off would serve \
                     signatures that have expired (RFC 6781, section 4.4.1)",
                    self.signing.refresh
                ),
            );
        }
        if self.signing.lifetime.as_secs() > 180 * 86_400 {
            warn(
                "/dnssec/signature_lifetime",
                format!(
                    "{} is above 180d: test kits complain",
                    self.signing.lifetime
                ),
            );
        }
        if let Some(policy) = &self.mta_sts
            && policy.max_age.as_secs() < 3_600
        {
            warn(
                "/mta_sts/max_age",
                format!(
                    "{} is below 1h: some senders take a day instead",
                    policy.max_age
                ),
            );
        }
    }

    /// Warns of what activation does not wait for.
    fn warn_of_readiness(&self, warnings: &mut Vec<Fault>) {
        let readiness = &self.readiness;
        let mut warn = |key: &str, detail: &str| {
            warnings.push(Fault::new(format!("/readiness/{key}"), detail));
        };
        if !readiness.delegated {
            warn(
                "delegated",
                "domains are activated before parents delegate them (A1, A5)",
            );
        }
        if readiness.secured == Secured::No {
            warn(
                "secured",
                "domains are activated before parents have their DS: no DANE yet (A3)",
            );
        }
        if !readiness.mail_ready {
            warn(
                "mail_ready",
                "domains are activated before hosts take their mail (A4, A8)",
            );
        }
    }

    /// Warns of settings that nothing follows yet.
    fn warn_of_what_rests(&self, warnings: &mut Vec<Fault>) {
        let mut warn = |pointer: &str, detail: &str| {
            let detail = format!("is stored and shown; {detail}");
            warnings.push(Fault::new(pointer, detail));
        };
        if let Secured::Within(_) = self.readiness.secured {
            warn(
                "/readiness/secured",
                "a domain waits for its DS as with \"yes\", however long, as nothing counts the \
                 time yet",
            );
        }
    }

    /// Warns of texts that protect less than they could.
    fn warn_of_texts(&self, warnings: &mut Vec<Fault>) {
        let Some(outbound) = &self.outbound else {
            return;
        };
        let spf = outbound.spf.to_ascii_lowercase();
        let ends = ["-all", "~all"].iter().any(|end| spf.ends_with(end));
        if !ends && !spf.contains("redirect=") {
            warnings.push(Fault::new(
                "/outbound/spf",
                "ends with neither -all nor ~all: anybody may send in the domains' name (RFC 7208, \
                 section 5.1)",
            ));
        }
        let mut tags = outbound.dmarc.split(';').map(|tag| tag.replace(' ', ""));
        if tags.any(|tag| tag == "p=none") {
            warnings.push(Fault::new(
                "/outbound/dmarc",
                "p=none asks for reports alone: forged mail is delivered (RFC 9989)",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::mail::certificate::tests::CERTIFICATE;
    use crate::mail::sample;

    /// Returns the pointers of a document's warnings in the year 2026.
    fn warned(document: &serde_json::Value) -> Vec<String> {
        let now = "2026-11-24T00:00:00Z".parse().unwrap();
        let warnings = sample::settings(document).warnings(now);
        warnings
            .into_iter()
            .map(|warning| warning.pointer)
            .collect()
    }

    #[test]
    fn the_golden_pool_is_not_warned_of() {
        assert_eq!(warned(&sample::document()), [""; 0]);
    }

    #[test]
    fn an_expired_certificate_is_warned_of_once_it_is() {
        let pem = json!([CERTIFICATE]);
        let document = sample::with(sample::document(), "/mail_host/1/certificates", pem);
        let settings = sample::settings(&document);
        // It is good at its last moment, too (RFC 5280, section 4.1.2.5).
        let before = "2126-11-01T02:49:37Z".parse().unwrap();
        let after = "2126-11-01T02:49:38Z".parse().unwrap();
        let expired = |now| {
            let warnings = settings.warnings(now);
            warnings
                .iter()
                .any(|warning| warning.detail.contains("has expired"))
        };

        assert!(!expired(before));
        assert!(expired(after));
        // It is for another host, too.
        assert_eq!(warned(&document), ["/mail_host/1/certificates/0"]);
    }

    #[test]
    fn what_should_be_thought_over_is_warned_of_with_its_place() {
        let sha512 = json!([format!("3 1 2 {}", "8c".repeat(64))]);
        for (pointer, value, place) in [
            ("/nameservers", json!(["ns1.test."]), "/nameservers"),
            ("/mail_host/0/tlsa", sha512, "/mail_host/0/tlsa"),
            ("/mail_host", json!([{ "name": "mx1.test." }]), "/mail_host"),
            ("/negative_ttl", json!("1m"), "/negative_ttl"),
            ("/ttl", json!("1m"), "/ttl"),
            (
                "/readiness",
                json!({ "secured": "no" }),
                "/readiness/secured",
            ),
            (
                "/readiness",
                json!({ "secured": "6h" }),
                "/readiness/secured",
            ),
            (
                "/outbound",
                json!({ "spf": "v=spf1 ?all" }),
                "/outbound/spf",
            ),
            ("/mta_sts/max_age", json!("1m"), "/mta_sts/max_age"),
            (
                "/dnssec",
                json!({ "signature_lifetime": "181d" }),
                "/dnssec/signature_lifetime",
            ),
            (
                "/dnssec",
                json!({ "signature_refresh": "13d" }),
                "/dnssec/signature_refresh",
            ),
        ] {
            let document = sample::with(sample::document(), pointer, value);
            assert_eq!(warned(&document), [place], "{pointer}");
        }
        let dotless = json!([
            { "name": "mx1.infra.example", "addresses": ["192.0.2.1"] }, { "name": "mx2.test." },
        ]);
        let document = sample::with(sample::document(), "/mail_host", dotless);
        assert_eq!(warned(&document), ["/mail_host/0/name"]);
    }
}
