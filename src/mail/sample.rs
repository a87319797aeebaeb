//! Documents of pools for tests.

use serde_json::{Value, json};

use super::PoolSettings;
use super::certificate::tests::CERTIFICATE;
use crate::document::Fault;

/// Two TLSA records as texts.
pub(crate) const TLSA: [&str; 2] = [
    "3 1 1 1111111111111111111111111111111111111111111111111111111111111111",
    "3 1 1 2222222222222222222222222222222222222222222222222222222222222222",
];

/// The document of a pool that says all that a golden zone has.
pub(crate) fn document() -> Value {
    json!({
        "nameservers": ["ns1.infra-a.example.", "ns2.infra-b.example."],
        "hostmaster": "hostmaster@infra-a.example",
        "caa": [
            "0 issue \"ca.example; validationmethods=dns-01\"",
            "0 issuewild \";\"",
        ],
        "mail_host": [
            {
                "name": "mx1.infra-a.example.",
                "addresses": ["192.0.2.25", "2001:db8::25"],
                "tlsa": TLSA,
            },
            { "name": "mx2.infra-b.example." },
        ],
        "mta_sts": { "mode": "enforce", "addresses": ["192.0.2.80", "2001:db8::80"] },
        "reports": {
            "tlsrpt": "mailto:tlsrpt@infra-a.example",
            "dmarc": "mailto:dmarc@infra-a.example",
        },
        "extra": { "records": "*._domainkey TXT \"v=DKIM1; p=\"\n" },
    })
}

/// The document of a pool whose hosts and name server lie in each domain, and that sends.
pub(crate) fn in_domain() -> Value {
    json!({
        "nameservers": ["ns1.infra.example.", "ns2.infra.example."],
        "hostmaster": "host.master@infra.example",
        "ttl": "30m",
        "active": 3,
        "drain": "forever",
        "retire": "auto",
        "max_active_age": "14d",
        "subdomains": true,
        "fresh": true,
        "apex_address": "allow",
        "mail_host": [
            { "name": "mx1", "addresses": ["192.0.2.25"], "certificates": [CERTIFICATE] },
            { "name": "mx2", "preference": 20, "addresses": ["192.0.2.26"], "tlsa": TLSA, "spare": true },
        ],
        "mta_sts": { "mode": "testing", "max_age": "1d", "addresses": ["192.0.2.80"] },
        "outbound": {
            "spf": "v=spf1 mx -all",
            "dkim": { "s1": "s1.dkim.infra.example." },
            "dmarc": "p=reject; adkim=s; aspf=s",
        },
        "readiness": { "delegated": false, "secured": "6h", "mail_ready": false },
        "dnssec": { "algorithm": "ed25519", "denial": "nsec" },
        "timing": { "guard": "1s", "propagation": "0s" },
        "extra": { "records": "@ A 192.0.2.90\n@ TXT \"site-proof=1\"\nwww CNAME @\n" },
    })
}

/// Reads settings that are known to be good.
pub(crate) fn settings(document: &Value) -> PoolSettings {
    PoolSettings::from_document(document).expect("the sample is good")
}

/// Returns the sample with the value at `pointer` replaced.
pub(crate) fn with(mut document: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
    match document.pointer_mut(parent).expect("the parent is there") {
        Value::Object(members) => {
            members.insert(key.to_owned(), value);
        }
        Value::Array(items) => match key.parse::<usize>() {
            Ok(index) if index < items.len() => items[index] = value,
            _ => items.push(value),
        },
        other => panic!("{other} has no members"),
    }
    document
}

/// Returns the sample without the member at `pointer`.
pub(crate) fn without(mut document: Value, pointer: &str) -> Value {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
    let parent = document.pointer_mut(parent).and_then(Value::as_object_mut);
    parent.expect("the parent is an object").remove(key);
    document
}

/// Returns what is wrong with a document.
pub(crate) fn faults(document: &Value) -> Vec<Fault> {
    PoolSettings::from_document(document)
        .err()
        .unwrap_or_default()
}

/// Asserts that a document is refused at `pointer` with words that hold each of `words`.
#[track_caller]
pub(crate) fn assert_refused(document: &Value, pointer: &str, words: &[&str]) {
    let faults = faults(document);
    let hit = faults.iter().any(|fault| {
        fault.pointer == pointer && words.iter().all(|word| fault.detail.contains(word))
    });
    assert!(hit, "expected {pointer} {words:?}, found {faults:#?}");
}
