//! The names elsewhere that the records of a pool's domains lead to.

use super::{PoolSettings, Target, extra};
use crate::wire::Name;

impl PoolSettings {
    /// Returns the names elsewhere that the records of its domains lead to: hosts, name servers, keys,
    /// mailboxes of reports, and what the extra records name. What SPF includes is not among them.
    pub fn referred(&self) -> Vec<Name> {
        let hosts = self.mail_hosts.iter().map(|host| &host.name);
        let keys = self.outbound.iter().flat_map(|it| it.dkim.values());
        let targets = hosts.chain(&self.nameservers).chain(keys);
        let targets = targets.filter_map(Target::as_shared).cloned();
        let reports = self.reports.tlsrpt.iter().chain(&self.reports.dmarc);
        let mailboxes = reports.flat_map(|uris| uris.mail_domains()).cloned();
        // What cannot be read is in no pool that is rendered.
        let extra = extra::parse(self).unwrap_or_default();
        let extra = extra.iter().flat_map(|it| it.rdata.names(it.rtype));
        targets.chain(mailboxes).chain(extra).collect()
    }

    /// Returns the SPF record of domains that send.
    pub fn spf(&self) -> Option<&str> {
        self.outbound.as_ref().map(|outbound| &*outbound.spf)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sample;

    /// X4: a name that only reports, keys or an alias led to was released under them.
    #[test]
    fn x4_l14_all_that_a_pool_names_elsewhere_is_referred_to() {
        let mut document = sample::in_domain();
        document["mail_host"][0]["name"] = json!("mx.a.example.");
        document["reports"] =
            json!({ "tlsrpt": "mailto:x@b.example", "dmarc": "mailto:y@c.example" });
        document["extra"]["records"] = json!("www CNAME web.d.example.\n");
        let settings = sample::settings(&document);

        let names = settings.referred();

        for name in [
            "mx.a.example",
            "b.example",
            "c.example",
            "web.d.example",
            "s1.dkim.infra.example",
            "ns1.infra.example",
        ] {
            assert!(
                names.iter().any(|it| it.to_api_text() == name),
                "{name}: {names:?}"
            );
        }
        assert_eq!(settings.spf(), Some("v=spf1 mx -all"));
    }
}
