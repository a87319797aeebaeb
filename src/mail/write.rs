//! Writes a pool's table in its normal form.

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::mail::sample;

    #[test]
    fn what_is_written_reads_back_and_is_written_the_same() {
        for document in [sample::document(), sample::in_domain()] {
            let settings = sample::settings(&document);

            let written = settings.to_document();

            assert_eq!(PoolSettings::from_document(&written), Ok(settings.clone()));
            assert_eq!(sample::settings(&written).to_document(), written);
        }
    }

    #[test]
    fn every_key_of_a_pool_is_written() {
        let mut written = sample::settings(&sample::in_domain()).to_document();
        let reports = json!({ "tlsrpt": "mailto:a@b.example" });
        written = sample::with(written, "/reports", reports);

        let written = sample::settings(&written).to_document();

        let keys: Vec<&str> = written
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut known = crate::mail::read::KEYS.to_vec();
        known.sort_unstable();
        assert_eq!(keys, known);
    }

    prop_compose! {
        /// A pool's document with values of many kinds.
        fn documents()(
            ttl in 60_u32..100_000,
            active in 0_u32..10,
            drain in prop_oneof![Just("forever".to_owned()), (0_u32..9_999).prop_map(|d| format!("{d}h"))],
            secured in prop_oneof![Just("yes"), Just("no"), Just("6h30m")],
            hosts in prop::collection::btree_map("[a-z]{1,9}", (any::<u16>(), any::<[u8; 4]>(), any::<bool>(), prop::option::of(any::<[u8; 32]>())), 1..5),
            shared in any::<bool>(),
            subdomains in any::<bool>(),
            max_age in prop::option::of(1_u32..31_557_600),
            proof in prop::option::of("[a-z =]{1,20}"),
        ) -> Value {
            let hosts = hosts.iter().enumerate().map(|(index, (label, (preference, ip, spare, key)))| {
                let dot = if shared { ".infra.example." } else { "" };
                let hex = |key: &[u8; 32]| key.iter().map(|o| format!("{o:02X}")).collect::<String>();
                json!({
                    "name": format!("{label}{dot}"),
                    "preference": preference,
                    "addresses": [format!("192.0.{}.{}", ip[2], ip[3])],
                    "tlsa": key.iter().map(|key| format!("3 1 1 {}", hex(key))).collect::<Vec<_>>(),
                    "spare": *spare && index > 0,
                })
            });
            let mut document = json!({
                "nameservers": ["ns1.infra.example."],
                "hostmaster": "hostmaster@infra.example",
                "ttl": format!("{ttl}s"),
                "active": active,
                "drain": drain,
                "subdomains": subdomains,
                "readiness": { "secured": secured },
                "mail_host": hosts.collect::<Vec<_>>(),
            });
            if let Some(max_age) = max_age {
                document["mta_sts"] = json!({
                    "mode": "testing", "max_age": format!("{max_age}s"), "addresses": ["2001:DB8::1"],
                });
            }
            if let Some(proof) = proof {
                document["extra"] = json!({ "records": format!("@ TXT \"{proof}\"") });
            }
            document
        }
    }

    proptest! {
        #[test]
        fn the_normal_form_says_the_same(document in documents()) {
            let settings = PoolSettings::from_document(&document);
            let settings = settings.map_err(|faults| TestCaseError::fail(format!("{faults:?}")))?;

            let written = settings.to_document();

            prop_assert_eq!(PoolSettings::from_document(&written), Ok(settings));
        }
    }
}
