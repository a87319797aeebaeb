//! The MTA-STS policy: its text, its id and its patterns.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ring::digest::{SHA256, digest};

use super::{PolicyForm, PoolSettings, Target};
use crate::clock::Span;
use crate::wire::{Apex, Name, NameError};

/// The MTA-STS policy of a pool's domains (RFC 8461, section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MtaSts {
    /// What senders do when a host does not match.
    pub mode: MtaStsMode,
    /// How long senders keep the policy.
    pub max_age: Span,
    /// The policy's lines, where they are not the hosts' own names.
    pub patterns: Vec<MxPattern>,
    /// Where `mta-sts.<domain>` points, sorted.
    pub addresses: Vec<IpAddr>,
}

/// What senders do when a mail host does not match the policy (RFC 8461, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtaStsMode {
    /// They do not deliver to it.
    Enforce,
    /// They report it and deliver.
    Testing,
    /// They act as if there were no policy.
    None,
}

/// One `mx` line of a policy: a host, or `*.` and the name below which one label stands for any
/// (RFC 8461, section 4.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MxPattern(Name);

impl MxPattern {
    /// Returns whether the pattern covers a host.
    pub fn covers(&self, host: &Name) -> bool {
        if self.0.is_wildcard() {
            host.parent() == self.0.parent() && !host.is_root()
        } else {
            self.0 == *host
        }
    }
}

impl FromStr for MxPattern {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = Name::parse(text)?;
        let host = if name.is_wildcard() {
            name.parent().unwrap_or_else(Name::root)
        } else {
            name.clone()
        };
        if host.is_root() || !host.is_host_name() {
            return Err(NameError::NotHostName {
                name: text.to_owned(),
            });
        }
        Ok(Self(name))
    }
}

impl fmt::Display for MxPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_api_text())
    }
}

/// The longest time that senders keep the policy of a domain that is on its way out (S9).
const DRAINING_MAX_AGE: Span = Span::from_secs(86_400);

impl MtaSts {
    /// Returns the policy in one of its forms.
    #[must_use]
    pub fn in_form(&self, form: PolicyForm) -> Self {
        let mut policy = self.clone();
        match form {
            PolicyForm::Live => {}
            PolicyForm::Draining => policy.max_age = policy.max_age.min(DRAINING_MAX_AGE),
            PolicyForm::None => {
                policy.max_age = policy.max_age.min(DRAINING_MAX_AGE);
                // No `mx` line is asked for, and none is left to be wrong (RFC 8461, section 3.2).
                policy.patterns = Vec::new();
                policy.mode = MtaStsMode::None;
            }
        }
        policy
    }

    /// Returns whether senders act on the policy.
    pub fn acts(&self) -> bool {
        self.mode != MtaStsMode::None
    }
}

impl MtaStsMode {
    /// Every mode with its word.
    pub const WORDS: [(&'static str, Self); 3] = [
        ("enforce", Self::Enforce),
        ("testing", Self::Testing),
        ("none", Self::None),
    ];

    /// Returns the mode's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

/// Returns the policy as the pool writes it, or `None` without one: hosts of each domain relative,
/// others with their final dot, lines ended by `\n`.
///
/// What [`policy_id`] is made over: the same for every domain.
pub fn policy_text(settings: &PoolSettings, form: PolicyForm) -> Option<String> {
    let policy = settings.mta_sts.as_ref()?.in_form(form);
    let hosts = settings.mail_hosts.iter().map(|host| host.name.to_string());
    let hosts = hosts.filter(|_| form != PolicyForm::None);
    Some(write_policy(&policy, hosts, "\n"))
}

/// Returns the id of a policy adopted at `revision`: it never stands for two texts (RFC 8461,
/// section 3.1).
///
/// A bare hash would come back when a policy does, and a sender that fetched the text while the
/// other id was still cached would keep the wrong one; so the revision stands in front. Both fit
/// into the 32 characters that an id may have while the revision is below 10^15.
pub fn policy_id(revision: u64, text: &str) -> String {
    let sha256 = digest(&SHA256, text.as_bytes());
    let revision = revision % 1_000_000_000_000_000;
    // As one number: a rotation asks for the ids of all the domains that it looks at.
    let (first, _) = sha256
        .as_ref()
        .split_first_chunk()
        .expect("it has 32 octets");
    format!("{revision}x{:016x}", u64::from_be_bytes(*first))
}

/// Returns the policy file of a domain, lines ended by CRLF (RFC 8461, section 3.2), or `None` for a
/// pool without a policy.
pub fn mta_sts_file(settings: &PoolSettings, apex: &Apex, form: PolicyForm) -> Option<String> {
    let policy = settings.mta_sts.as_ref()?.in_form(form);
    let hosts = settings.mail_hosts.iter();
    // A name that does not fit under the apex kept the domain out of the pool.
    let hosts = hosts.filter(|_| form != PolicyForm::None);
    let hosts = hosts.filter_map(|host| Some(host.name.under(apex).ok()?.to_api_text()));
    Some(write_policy(&policy, hosts, "\r\n"))
}

/// Writes a policy: its patterns, or a line for each host, spares too.
fn write_policy(
    policy: &MtaSts,
    hosts: impl Iterator<Item = String>,
    line_end: &'static str,
) -> String {
    let mut lines = vec![
        "version: STSv1".to_owned(),
        format!("mode: {}", policy.mode.as_str()),
        format!("max_age: {}", policy.max_age.as_secs()),
    ];
    if policy.patterns.is_empty() {
        lines.extend(hosts.map(|host| format!("mx: {host}")));
    } else {
        lines.extend(
            policy
                .patterns
                .iter()
                .map(|pattern| format!("mx: {pattern}")),
        );
    }
    lines
        .iter()
        .flat_map(|line| [line.as_str(), line_end])
        .collect()
}

/// Returns the hosts of a pool that its policy's patterns leave out; none without patterns, when
/// the policy has a line for each.
pub(super) fn uncovered<'s>(
    policy: &'s MtaSts,
    hosts: impl Iterator<Item = &'s Target>,
) -> Vec<&'s Target> {
    if policy.patterns.is_empty() {
        return Vec::new();
    }
    let uncovered = hosts.filter(|host| match host {
        Target::Shared(name) => !policy.patterns.iter().any(|pattern| pattern.covers(name)),
        // A pattern is one text for all domains and so cannot be below each of them.
        Target::InDomain(_) => true,
    });
    uncovered.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::sample;

    #[test]
    fn s4_rfc8461_3_2_a_policy_file_ends_its_lines_with_crlf_and_names_every_host() {
        let apex = Apex::parse("d.example").unwrap();
        let settings = sample::settings(&sample::in_domain());

        let file = mta_sts_file(&settings, &apex, PolicyForm::Live).unwrap();

        let expected = "version: STSv1\r\nmode: testing\r\nmax_age: 86400\r\n\
            mx: mx1.d.example\r\nmx: mx2.d.example\r\n";
        assert_eq!(file, expected);
    }

    #[test]
    fn patterns_stand_instead_of_hosts() {
        let patterns = serde_json::json!(["*.infra-a.example", "MX2.infra-b.example"]);
        let document = sample::with(sample::document(), "/mta_sts/patterns", patterns);
        let settings = sample::settings(&document);

        let text = policy_text(&settings, PolicyForm::Live).unwrap();

        let expected = "version: STSv1\nmode: enforce\nmax_age: 604800\n\
            mx: *.infra-a.example\nmx: mx2.infra-b.example\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_text_of_a_pool_is_the_same_for_all_its_domains() {
        let settings = sample::settings(&sample::in_domain());

        let text = policy_text(&settings, PolicyForm::Live).unwrap();

        assert!(text.ends_with("mx: mx1\nmx: mx2\n"), "{text}");
        let without = sample::without(sample::in_domain(), "/mta_sts");
        assert_eq!(
            policy_text(&sample::settings(&without), PolicyForm::Live),
            None
        );
    }

    #[test]
    fn s2_rfc8461_3_1_an_id_never_stands_for_two_texts() {
        let ids = [
            policy_id(7, "a"),
            policy_id(8, "b"),
            policy_id(9, "a"),
            policy_id(9, "b"),
        ];

        // SHA-256 of "a" begins with ca978112ca1bbdca.
        assert_eq!(ids[0], "7xca978112ca1bbdca");
        let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        for id in ids.into_iter().chain([policy_id(u64::MAX, "a")]) {
            assert!(
                id.len() <= 32 && id.bytes().all(|c| c.is_ascii_alphanumeric()),
                "{id}"
            );
        }
    }

    #[test]
    fn rfc8461_4_1_a_star_stands_for_exactly_one_label() {
        let covers = |pattern: &str, host: &str| {
            let pattern: MxPattern = pattern.parse().unwrap();
            pattern.covers(&Name::parse(host).unwrap())
        };

        assert!(covers("*.infra.example", "mx1.infra.example"));
        assert!(!covers("*.infra.example", "a.mx1.infra.example"));
        assert!(!covers("*.infra.example", "infra.example"));
        assert!(covers("mx1.infra.example", "MX1.infra.example"));
        assert!(!covers("mx1.infra.example", "mx2.infra.example"));
        for wrong in ["*", "a.*.example", "mx_1.example", "*.*.example"] {
            assert!(wrong.parse::<MxPattern>().is_err(), "{wrong}");
        }
    }

    /// S9, S10: on its way out a policy is kept for a day at most, and ends with `none`.
    #[test]
    fn s9_s10_a_policy_ends_by_a_short_one_and_by_none() {
        let settings = sample::settings(&sample::document());

        let draining = policy_text(&settings, PolicyForm::Draining).unwrap();
        let none = policy_text(&settings, PolicyForm::None).unwrap();

        assert!(
            draining.contains("mode: enforce\nmax_age: 86400\nmx: "),
            "{draining}"
        );
        assert_eq!(none, "version: STSv1\nmode: none\nmax_age: 86400\n");
    }
}
