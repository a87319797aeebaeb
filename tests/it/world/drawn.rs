//! Zones as pools describe them, drawn without signatures: for products that are not the engine.

use std::rc::Rc;

use serde_json::Value;

use super::dns::{Seen, Shown, Spot};
use super::story::DAY;

/// What of its pool's records a domain shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drawing {
    /// Whether its MX are the pool's, not the null MX.
    pub(crate) live: bool,
    /// The MTA-STS id that it announces.
    pub(crate) policy_id: Option<String>,
    /// The zone's serial.
    pub(crate) serial: u32,
    /// When its signatures expire.
    pub(crate) expires: u64,
}

/// Which text of its pool's policy a domain has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextForm {
    /// As the pool says.
    Live,
    /// For a day at most.
    Short,
    /// Mode `none`.
    None,
}

/// A pool's document, as it is drawn from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sketch {
    /// The document.
    pub(crate) document: Value,
    /// Its hosts.
    hosts: Vec<Host>,
}

/// A mail host of the document.
#[derive(Clone, Debug)]
struct Host {
    /// The preference of its MX.
    preference: u16,
    /// Its name as written: with a final dot, or below each domain.
    name: String,
    /// Its addresses as the wire shows them.
    addresses: Vec<String>,
    /// Its TLSA data as the wire shows it.
    keys: Vec<String>,
}

impl Host {
    /// Returns its full name for a domain.
    fn name_for(&self, domain: &str) -> String {
        match self.name.strip_suffix('.') {
            Some(full) => full.to_owned(),
            None => format!("{}.{domain}", self.name),
        }
    }
}

impl Sketch {
    /// Returns a span of the pool's, in seconds.
    pub(crate) fn span(&self, key: &str) -> u64 {
        seconds(&self.document[key])
    }

    /// Returns whether its hosts lie outside its domains.
    pub(crate) fn has_shared_hosts(&self) -> bool {
        self.hosts.iter().all(|host| host.name.ends_with('.'))
    }

    /// Reads a document.
    pub(crate) fn new(document: Value) -> Self {
        let texts = |value: &Value| -> Vec<String> {
            let items = value.as_array().cloned().unwrap_or_default();
            items
                .iter()
                .filter_map(|it| it.as_str().map(str::to_owned))
                .collect()
        };
        let hex = |address: &String| -> String {
            let octets = address.split('.').filter_map(|it| it.parse::<u8>().ok());
            octets.map(|it| format!("{it:02x}")).collect()
        };
        let hosts = document["mail_host"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let hosts = hosts.iter().map(|host| {
            let tlsa = |text: &String| format!("030101{}", text.trim_start_matches("3 1 1 "));
            Host {
                preference: host["preference"].as_u64().unwrap_or(0) as u16,
                name: host["name"].as_str().unwrap_or_default().to_owned(),
                addresses: texts(&host["addresses"]).iter().map(hex).collect(),
                keys: texts(&host["tlsa"]).iter().map(tlsa).collect(),
            }
        });
        Self {
            hosts: hosts.collect(),
            document,
        }
    }

    /// Returns the policy file of a domain.
    pub(crate) fn file(&self, domain: &str, form: TextForm) -> Option<String> {
        self.text(domain, form, "\r\n", false)
    }

    /// Returns the policy as the pool writes it, which ids are made over.
    pub(crate) fn pool_text(&self, form: TextForm) -> Option<String> {
        self.text("", form, "\n", true)
    }

    /// Returns a policy's text.
    fn text(&self, domain: &str, form: TextForm, end: &str, dots: bool) -> Option<String> {
        let sts = self.document.get("mta_sts")?;
        let mode = match form {
            TextForm::None => "none",
            TextForm::Live | TextForm::Short => sts["mode"].as_str().unwrap_or("none"),
        };
        let mut max_age = seconds(&sts["max_age"]);
        if form != TextForm::Live {
            max_age = max_age.min(DAY);
        }
        let mut text = format!("version: STSv1{end}mode: {mode}{end}max_age: {max_age}{end}");
        if form == TextForm::None {
            return Some(text);
        }
        for host in &self.hosts {
            let name = match dots {
                true => host.name.clone(),
                false => host.name_for(domain),
            };
            text.push_str(&format!("mx: {name}{end}"));
        }
        Some(text)
    }

    /// Draws a zone.
    pub(crate) fn zone(&self, apex: &str, spots: &[Spot], drawing: &Drawing) -> Shown {
        let ttl = self.span("ttl");
        let rrset = |records: Vec<String>, mx: Vec<(u16, String)>| {
            Some(Rc::new(Seen {
                ttl,
                records,
                mx,
                expires: drawing.expires,
                signer: 7,
            }))
        };
        let mx = || {
            if !drawing.live {
                return rrset(vec!["0 .".to_owned()], vec![(0, String::new())]);
            }
            let hosts = self.hosts.iter();
            let mut mx: Vec<_> = hosts.map(|it| (it.preference, it.name_for(apex))).collect();
            mx.sort_unstable();
            let records = mx.iter().map(|it| format!("{} {}.", it.0, it.1)).collect();
            rrset(records, mx)
        };
        let named = |name: &str| {
            let mut hosts = self.hosts.iter();
            hosts.find(|host| host.name_for(apex) == name).cloned()
        };
        let rrsets = spots.iter().map(|spot| {
            let seen = match spot {
                Spot::Mx => mx(),
                Spot::UserMx if self.document["subdomains"] == true => mx(),
                Spot::Host(name) => named(name).and_then(|it| rrset(it.addresses, Vec::new())),
                Spot::Tlsa(name) => named(name).and_then(|it| rrset(it.keys, Vec::new())),
                Spot::Dkim if self.document.get("outbound").is_some() => {
                    rrset(vec!["s1".to_owned()], Vec::new())
                }
                Spot::StsTxt => drawing
                    .policy_id
                    .as_ref()
                    .and_then(|id| rrset(vec![format!("v=STSv1; id={id};")], Vec::new())),
                _ => None,
            };
            (spot.clone(), seen)
        });
        Shown {
            serial: drawing.serial,
            negative_ttl: self.span("negative_ttl"),
            expires: drawing.expires,
            keys: vec![7],
            rrsets: rrsets.collect(),
        }
    }
}

/// Reads a span in whole seconds.
fn seconds(value: &Value) -> u64 {
    let text = value.as_str().unwrap_or("0s");
    text.trim_end_matches('s').parse().unwrap_or(0)
}
