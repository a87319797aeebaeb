use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::settings::{MailHost, PoolSettings};
use super::{Certificate, MtaSts};
use crate::wire::Rtype;

impl PoolSettings {
    /// Writes the settings as the document that reads back as them: every value that has a default
    /// is written out, tables and keys without a value are left away.
    pub fn to_document(&self) -> Value {
        let names = self.nameservers.iter().map(ToString::to_string);
        let caa = self.caa.iter().map(|rdata| rdata.to_text(Rtype::CAA));
        let hosts = self.mail_hosts.iter().map(mail_host);
        let mut document = json!({
            "nameservers": names.collect::<Vec<_>>(),
            "hostmaster": self.hostmaster.to_string(),
            "ttl": self.ttl,
            "ns_ttl": self.ns_ttl,
            "negative_ttl": self.negative_ttl,
            "active": self.life.active,
            "standby": self.life.standby,
            "drain": self.life.drain.to_string(),
            "retire": self.life.retire.as_str(),
            "quarantine": self.life.quarantine,
            "query_floor": self.life.query_floor,
            "subdomains": self.subdomains,
            "fresh": self.life.fresh,
            "caa": caa.collect::<Vec<_>>(),
            "apex_address": self.apex_address.as_str(),
            "mail_host": hosts.collect::<Vec<_>>(),
            "readiness": {
                "delegated": self.readiness.delegated,
                "secured": self.readiness.secured.to_string(),
                "mail_ready": self.readiness.mail_ready,
            },
            "dnssec": {
                "algorithm": self.signing.algorithm.to_string(),
                "denial": "nsec",
                "dnskey_ttl": self.signing.dnskey_ttl,
                "signature_lifetime": self.signing.lifetime,
                "signature_refresh": self.signing.refresh,
            },
            "timing": {
                "guard": self.timing.guard,
                "destructive_guard": self.timing.destructive_guard,
                "queue_max": self.timing.queue_max,
                "propagation": self.timing.propagation,
            },
        });
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                document[key] = value;
            }
        };
        set(
            "max_active_age",
            self.life.max_active_age.map(|age| json!(age)),
        );
        set("mta_sts", self.mta_sts.as_ref().map(mta_sts));
        set("reports", self.write_reports());
        set("outbound", self.write_outbound());
        let extra = self.extra.as_ref();
        set("extra", extra.map(|records| json!({ "records": records })));
        document
    }

    /// Writes the `reports` table, if anything is reported.
    fn write_reports(&self) -> Option<Value> {
        let uris = [
            ("tlsrpt", &self.reports.tlsrpt),
            ("dmarc", &self.reports.dmarc),
        ];
        let written: Map<String, Value> = uris
            .into_iter()
            .filter_map(|(key, uris)| Some((key.to_owned(), json!(uris.as_ref()?.to_string()))))
            .collect();
        (!written.is_empty()).then_some(Value::Object(written))
    }

    /// Writes the `outbound` table, if the domains send.
    fn write_outbound(&self) -> Option<Value> {
        let outbound = self.outbound.as_ref()?;
        let selectors = outbound.dkim.iter();
        let dkim: Map<String, Value> = selectors
            .map(|(selector, target)| (selector.clone(), json!(target.to_string())))
            .collect();
        Some(json!({ "spf": outbound.spf, "dkim": dkim, "dmarc": outbound.dmarc }))
    }
}

/// Writes a `mail_host` table.
fn mail_host(host: &MailHost) -> Value {
    let certificates = host.certificates.iter().map(Certificate::as_pem);
    let tlsa = host.tlsa.iter().map(ToString::to_string);
    json!({
        "name": host.name.to_string(),
        "preference": host.preference,
        "addresses": texts(&host.addresses),
        "certificates": certificates.collect::<Vec<_>>(),
        "tlsa": tlsa.collect::<Vec<_>>(),
        "spare": host.spare,
    })
}

/// Writes the `mta_sts` table.
fn mta_sts(policy: &MtaSts) -> Value {
    let patterns = policy.patterns.iter().map(ToString::to_string);
    json!({
        "mode": policy.mode.as_str(),
        "max_age": policy.max_age,
        "patterns": patterns.collect::<Vec<_>>(),
        "addresses": texts(&policy.addresses),
    })
}

/// Writes addresses.
fn texts(addresses: &[IpAddr]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}
