//! Reads a pool's table.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use super::settings::{
    ApexAddress, Drain, LifeSettings, MailHost, Outbound, PoolSettings, ReadinessSettings, Reports,
    Retire, Secured, SigningSettings, TimingSettings,
};
use super::{Certificate, MtaSts, MtaStsMode, Target, check, outbound};
use crate::clock::Span;
use crate::document::{Element, Fault, Fields, read};
use crate::wire::{Algorithm, Name, Rdata, Rtype};

/// The keys of a pool's table.
pub(super) const KEYS: [&str; 24] = [
    "nameservers",
    "hostmaster",
    "ttl",
    "ns_ttl",
    "negative_ttl",
    "active",
    "standby",
    "drain",
    "retire",
    "quarantine",
    "query_floor",
    "max_active_age",
    "subdomains",
    "fresh",
    "caa",
    "apex_address",
    "mail_host",
    "mta_sts",
    "reports",
    "outbound",
    "readiness",
    "dnssec",
    "timing",
    "extra",
];

/// The keys of one of its mail hosts.
const MAIL_HOST: [&str; 6] = [
    "name",
    "preference",
    "addresses",
    "certificates",
    "tlsa",
    "spare",
];
/// The keys of its MTA-STS policy.
const MTA_STS: [&str; 4] = ["mode", "max_age", "patterns", "addresses"];
/// The keys of where its reports go.
const REPORTS: [&str; 2] = ["tlsrpt", "dmarc"];
/// The keys of how its domains send.
const OUTBOUND: [&str; 3] = ["spf", "dkim", "dmarc"];
/// The keys of what activation waits for.
const READINESS: [&str; 3] = ["delegated", "secured", "mail_ready"];
/// The keys of how its zones are signed.
const DNSSEC: [&str; 5] = [
    "algorithm",
    "denial",
    "dnskey_ttl",
    "signature_lifetime",
    "signature_refresh",
];
/// The keys of what its waits are made of.
const TIMING: [&str; 4] = ["guard", "destructive_guard", "queue_max", "propagation"];
/// The keys of its extra records.
const EXTRA: [&str; 1] = ["records"];

/// An hour.
const HOUR: Span = Span::from_secs(3_600);
/// A day.
const DAY: Span = Span::from_secs(86_400);

impl PoolSettings {
    /// Reads a pool's table: a manifest's `[pool.x]` as JSON, certificates as PEM texts.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, or else everything in it that would break mail.
    pub fn from_document(document: &Value) -> Result<Self, Vec<Fault>> {
        let settings = Self::from_stored(document)?;
        let faults = check::check(&settings);
        if faults.is_empty() {
            Ok(settings)
        } else {
            Err(faults)
        }
    }

    /// Reads a pool's table that was accepted when it was stored, perhaps by an older release: what
    /// its zones are made of is served already, so today's rules refuse nothing of it.
    ///
    /// # Errors
    ///
    /// Everything in it that cannot be read.
    pub fn from_stored(document: &Value) -> Result<Self, Vec<Fault>> {
        read(document, |element| pool(&element.fields(&KEYS)?))
    }
}

/// Reads the table. Each member is read before any is judged, so that all faults are found.
fn pool(fields: &Fields<'_, '_>) -> Option<PoolSettings> {
    let nameservers = fields.required("nameservers");
    let nameservers = nameservers.and_then(|e| e.each(|e| host_name(&e)));
    let hostmaster = fields.required("hostmaster");
    let hostmaster = hostmaster.and_then(|e| e.parsed());
    let mail_hosts = fields.required("mail_host");
    let mail_hosts = mail_hosts.and_then(|e| e.each(|e| mail_host(&e)));
    let settings = PoolSettings {
        nameservers: nameservers.unwrap_or_default(),
        // The TTL of TLSA bounds an unplanned outage (RFC 7671, section 13); that of NS may be
        // longer (RFC 9199, section 3.5); SOA and NSEC agree (RFC 9077, section 4).
        ttl: fields.or("ttl", HOUR, |e| e.parsed()),
        ns_ttl: fields.or("ns_ttl", DAY, |e| e.parsed()),
        negative_ttl: fields.or("negative_ttl", Span::from_secs(900), |e| e.parsed()),
        life: life(fields),
        subdomains: fields.or("subdomains", false, |e| e.boolean()),
        caa: fields.or("caa", Vec::new(), |e| e.each(|e| caa(&e))),
        apex_address: fields.or("apex_address", ApexAddress::Refuse, |e| {
            e.one_of(&ApexAddress::WORDS)
        }),
        mail_hosts: mail_hosts.unwrap_or_default(),
        mta_sts: fields.optional("mta_sts").and_then(|e| mta_sts(&e)),
        reports: fields.or("reports", Reports::default(), |e| reports(&e)),
        outbound: fields.optional("outbound").and_then(|e| outbound_table(&e)),
        readiness: fields.or("readiness", ReadinessSettings::default(), |e| readiness(&e)),
        signing: fields.or("dnssec", SigningSettings::default(), |e| signing(&e)),
        timing: fields.or("timing", TimingSettings::default(), |e| timing(&e)),
        extra: fields.optional("extra").and_then(|e| extra(&e)),
        // Last, so that a wrong one does not keep the others from being read.
        hostmaster: hostmaster?,
    };
    Some(settings)
}

/// Reads the name of a host.
fn host_name(element: &Element<'_, '_>) -> Option<Target> {
    match Target::parse_host(element.text()?) {
        Ok(target) => Some(target),
        Err(error) => {
            element.refuse(error.to_string());
            None
        }
    }
}

/// Reads the keys of a pool's life, which stand in its own table.
fn life(fields: &Fields<'_, '_>) -> LifeSettings {
    let count = |e: Element<'_, '_>| e.number(0, u64::from(u32::MAX)).map(|n| n as u32);
    LifeSettings {
        active: fields.or("active", 1, count),
        standby: fields.or("standby", 1, count),
        drain: fields.or("drain", Drain::For(Span::from_secs(30 * 86_400)), |e| {
            drain(&e)
        }),
        retire: fields.or("retire", Retire::Manual, |e| e.one_of(&Retire::WORDS)),
        quarantine: fields.or("quarantine", Span::from_secs(90 * 86_400), |e| e.parsed()),
        query_floor: fields.or("query_floor", 1, |e| e.number(0, u64::from(u32::MAX))),
        max_active_age: fields.optional("max_active_age").and_then(|e| e.parsed()),
        fresh: fields.or("fresh", false, |e| e.boolean()),
    }
}

/// Reads a span, or `forever`.
fn drain(element: &Element<'_, '_>) -> Option<Drain> {
    if element.text()? == "forever" {
        return Some(Drain::Forever);
    }
    let span = element.text()?.parse();
    if span.is_err() {
        element.refuse(format!(
            "expected a time span like \"30d\", or \"forever\", found {:?}",
            element.text()?
        ));
    }
    span.ok().map(Drain::For)
}

/// Reads CAA data (RFC 8659, section 4.1).
fn caa(element: &Element<'_, '_>) -> Option<Rdata> {
    let text = element.text()?;
    // No field of a CAA record is a name, so any origin will do.
    match Rdata::parse_text(Rtype::CAA, text, &Name::root()) {
        Ok(rdata) => Some(rdata),
        Err(error) => {
            element.refuse(format!(
                "{error}; CAA data looks like: 0 issue \"letsencrypt.org\""
            ));
            None
        }
    }
}

/// Reads one of the `mail_host` tables.
fn mail_host(element: &Element<'_, '_>) -> Option<MailHost> {
    let fields = element.fields(&MAIL_HOST)?;
    let name = fields.required("name").and_then(|e| host_name(&e));
    let preference = fields.or("preference", 10, |e| {
        e.number(0, u64::from(u16::MAX)).map(|n| n as u16)
    });
    let addresses = fields.or("addresses", Vec::new(), |e| addresses(&e));
    let certificates = fields.or("certificates", Vec::new(), |e| e.each(|e| certificates(&e)));
    let tlsa = fields.or("tlsa", Vec::new(), |e| e.each(|e| e.parsed()));
    let spare = fields.or("spare", false, |e| e.boolean());
    Some(MailHost {
        name: name?,
        preference,
        addresses,
        certificates: certificates.into_iter().flatten().collect(),
        tlsa,
        spare,
    })
}

/// Reads addresses and sorts them; duplicates are dropped.
fn addresses(element: &Element<'_, '_>) -> Option<Vec<IpAddr>> {
    let mut addresses = element.each(|element| {
        let text = element.text()?;
        let parsed = text.parse::<IpAddr>().ok();
        let usable = parsed.filter(|address| !address.is_unspecified() && !address.is_multicast());
        if usable.is_none() {
            element.refuse(format!(
                "expected the address of one host, like \"192.0.2.25\" or \"2001:db8::25\", found \
                 {text:?}"
            ));
        }
        usable
    })?;
    addresses.sort_unstable();
    addresses.dedup();
    Some(addresses)
}

/// Reads the keys that a PEM text names.
fn certificates(element: &Element<'_, '_>) -> Option<Vec<Certificate>> {
    match Certificate::parse_pem(element.text()?) {
        Ok(certificates) => Some(certificates),
        Err(error) => {
            element.refuse(error.to_string());
            None
        }
    }
}

/// Reads the `mta_sts` table.
fn mta_sts(element: &Element<'_, '_>) -> Option<MtaSts> {
    let fields = element.fields(&MTA_STS)?;
    let mode = fields.required("mode");
    let mode = mode.and_then(|e| e.one_of(&MtaStsMode::WORDS));
    let policy = MtaSts {
        mode: mode.unwrap_or(MtaStsMode::None),
        max_age: fields.or("max_age", Span::from_secs(604_800), |e| e.parsed()),
        patterns: fields.or("patterns", Vec::new(), |e| e.each(|e| e.parsed())),
        addresses: fields.or("addresses", Vec::new(), |e| addresses(&e)),
    };
    Some(policy)
}

/// Reads the `reports` table.
fn reports(element: &Element<'_, '_>) -> Option<Reports> {
    let fields = element.fields(&REPORTS)?;
    Some(Reports {
        tlsrpt: fields.optional("tlsrpt").and_then(|e| e.parsed()),
        dmarc: fields.optional("dmarc").and_then(|e| e.parsed()),
    })
}

/// Reads the `outbound` table.
fn outbound_table(element: &Element<'_, '_>) -> Option<Outbound> {
    let fields = element.fields(&OUTBOUND)?;
    let checked = |e: Element<'_, '_>, check: fn(&str) -> Result<(), String>| {
        let text = e.text()?;
        match check(text) {
            Ok(()) => Some(text.to_owned()),
            Err(reason) => {
                e.refuse(reason);
                None
            }
        }
    };
    let spf = fields.required("spf");
    let spf = spf.and_then(|e| checked(e, outbound::check_spf));
    let dkim = fields.or("dkim", BTreeMap::new(), |e| dkim(&e));
    let dmarc = fields.or("dmarc", outbound::DMARC.to_owned(), |e| {
        checked(e, outbound::check_dmarc)
    });
    Some(Outbound {
        spf: spf?,
        dkim,
        // The report address follows behind it.
        dmarc: dmarc.trim_end_matches([';', ' ']).to_owned(),
    })
}

/// Reads the DKIM selectors and where their keys lie.
fn dkim(element: &Element<'_, '_>) -> Option<BTreeMap<String, Target>> {
    let mut selectors = BTreeMap::new();
    for (selector, target) in element.entries()? {
        if let Err(reason) = outbound::check_selector(selector) {
            target.refuse(reason);
        }
        if let Some(name) = target.parsed::<Target>() {
            selectors.insert(selector.to_ascii_lowercase(), name);
        }
    }
    Some(selectors)
}

/// Reads the `readiness` table.
fn readiness(element: &Element<'_, '_>) -> Option<ReadinessSettings> {
    let fields = element.fields(&READINESS)?;
    let default = ReadinessSettings::default();
    Some(ReadinessSettings {
        delegated: fields.or("delegated", default.delegated, |e| e.boolean()),
        secured: fields.or("secured", default.secured, |e| secured(&e)),
        mail_ready: fields.or("mail_ready", default.mail_ready, |e| e.boolean()),
    })
}

/// Reads `yes`, `no`, or after how long activation goes on without the DS.
fn secured(element: &Element<'_, '_>) -> Option<Secured> {
    let text = element.text()?;
    let secured = match text {
        "yes" => Some(Secured::Yes),
        "no" => Some(Secured::No),
        span => span.parse().ok().map(Secured::Within),
    };
    if secured.is_none() {
        element.refuse(format!(
            "expected \"yes\", \"no\" or a time span like \"6h\", found {text:?}"
        ));
    }
    secured
}

/// Reads the `dnssec` table.
fn signing(element: &Element<'_, '_>) -> Option<SigningSettings> {
    let fields = element.fields(&DNSSEC)?;
    if let Some(denial) = fields.optional("denial") {
        match denial.text() {
            Some("nsec") | None => {}
            Some("nsec3") => denial.refuse(
                "expected \"nsec\", found \"nsec3\", which this release cannot make yet; names that \
                 follow from a template need no hiding (RFC 9276, section 3.1)",
            ),
            Some(other) => denial.refuse(format!("expected \"nsec\", found {other:?}")),
        }
    }
    let default = SigningSettings::default();
    Some(SigningSettings {
        algorithm: fields.or("algorithm", default.algorithm, |e| e.parsed::<Algorithm>()),
        dnskey_ttl: fields.or("dnskey_ttl", default.dnskey_ttl, |e| e.parsed()),
        lifetime: fields.or("signature_lifetime", default.lifetime, |e| e.parsed()),
        refresh: fields.or("signature_refresh", default.refresh, |e| e.parsed()),
    })
}

/// Reads the `timing` table.
fn timing(element: &Element<'_, '_>) -> Option<TimingSettings> {
    let fields = element.fields(&TIMING)?;
    let default = TimingSettings::default();
    Some(TimingSettings {
        guard: fields.or("guard", default.guard, |e| e.parsed()),
        destructive_guard: fields.or("destructive_guard", default.destructive_guard, |e| {
            e.parsed()
        }),
        queue_max: fields.or("queue_max", default.queue_max, |e| e.parsed()),
        propagation: fields.or("propagation", default.propagation, |e| e.parsed()),
    })
}

/// Reads the `extra` table; records of nothing but blanks are none.
fn extra(element: &Element<'_, '_>) -> Option<String> {
    let fields = element.fields(&EXTRA)?;
    let records = fields.required("records")?.text()?;
    (!records.trim().is_empty()).then(|| format!("{}\n", records.trim_matches('\n').trim_end()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    /// The section of the README that lists the settings.
    const SECTION: &str = "\n## What a pool says\n";

    /// The tables within a pool's, and their keys.
    const TABLES: [(&str, &[&str]); 8] = [
        ("mail_host", &MAIL_HOST),
        ("mta_sts", &MTA_STS),
        ("reports", &REPORTS),
        ("outbound", &OUTBOUND),
        ("readiness", &READINESS),
        ("dnssec", &DNSSEC),
        ("timing", &TIMING),
        ("extra", &EXTRA),
    ];

    /// Returns each setting that the README lists, and what it says of its default.
    fn listed() -> BTreeMap<&'static str, &'static str> {
        let readme = include_str!("../../README.md");
        let (_, section) = readme.split_once(SECTION).expect("there is the section");
        let section = section.split("\n## ").next().unwrap_or_default();
        let rows = section.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.splitn(3, " | ");
            let key = cells.next()?.strip_suffix('`')?;
            // A row in brackets is about a table.
            (!key.starts_with('[')).then_some((key, cells.next()?))
        });
        rows.collect()
    }

    /// Returns where in the document below a setting stands.
    fn pointer(key: &str) -> String {
        format!("/{}", key.replace('.', "/")).replace("/mail_host/", "/mail_host/0/")
    }

    /// Returns the settings with all that must be there, and no more.
    fn least() -> Value {
        json!({
            "nameservers": ["ns1.infra.example."],
            "hostmaster": "hostmaster@infra.example",
            "mail_host": [{"name": "mx1.infra.example."}],
            "mta_sts": {"mode": "testing"},
            "outbound": {"spf": "v=spf1 mx -all"},
        })
    }

    #[test]
    fn the_readme_lists_every_setting() {
        let own = KEYS.iter().map(|key| (*key).to_owned());
        let own = own.filter(|key| TABLES.iter().all(|(table, _)| table != key));
        let within = TABLES.iter().flat_map(|(table, keys)| {
            let keys = keys.iter();
            keys.map(move |key| format!("{table}.{key}"))
        });
        let known: BTreeSet<String> = own.chain(within).collect();

        let listed: BTreeSet<String> = listed().into_keys().map(str::to_owned).collect();

        assert_eq!(listed, known);
    }

    #[test]
    fn the_readme_knows_the_default_of_every_setting() {
        let written = PoolSettings::from_stored(&least()).unwrap().to_document();

        for (key, default) in listed() {
            let found = match written.pointer(&pointer(key)) {
                _ if least().pointer(&pointer(key)).is_some() => "required".to_owned(),
                None => "absent".to_owned(),
                Some(value) => format!("`{value}`"),
            };
            assert_eq!(default, found, "{key}");
        }
    }

    #[test]
    fn the_readme_says_which_settings_are_required() {
        for (key, _) in listed().into_iter().filter(|(_, it)| *it == "required") {
            let mut document = least();
            *document.pointer_mut(&pointer(key)).unwrap() = Value::Null;

            let faults = PoolSettings::from_stored(&document).unwrap_err();

            let places: Vec<String> = faults.into_iter().map(|fault| fault.pointer).collect();
            assert_eq!(places, [pointer(key)], "{key}");
        }
    }
}
