//! The MTA-STS policy: its text, its id and its patterns.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ring::digest::{SHA256, digest};

use super::{PoolSettings, Target};
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
pub fn policy_text(settings: &PoolSettings) -> Option<String> {
    let policy = settings.mta_sts.as_ref()?;
    let hosts = settings.mail_hosts.iter().map(|host| host.name.to_string());
    Some(write_policy(policy, hosts, "\n"))
}

/// Returns the id of a policy adopted at `revision`: it never stands for two texts (RFC 8461,
/// section 3.1).
///
/// A bare hash would come back when a policy does, and a sender that fetched the text while the
/// other id was still cached would keep the wrong one; so the revision stands in front. Both fit
/// into the 32 characters that an id may have while the revision is below 10^15.
pub fn policy_id(revision: u64, text: &str) -> String {
    let sha256 = digest(&SHA256, text.as_bytes());
    let mut id = format!("{}x", revision % 1_000_000_000_000_000);
    for octet in &sha256.as_ref()[..8] {
        id.push_str(&format!("{octet:02x}"));
    }
    id
}

/// Returns the policy file of a domain, lines ended by CRLF (RFC 8461, section 3.2), or `None` for a
/// pool without a policy.
pub fn mta_sts_file(settings: &PoolSettings, apex: &Apex) -> Option<String> {
    let policy = settings.mta_sts.as_ref()?;
    let hosts = settings.mail_hosts.iter();
    // A name that does not fit under the apex kept the domain out of the pool.
    let hosts = hosts.filter_map(|host| Some(host.name.under(apex).ok()?.to_api_text()));
    Some(write_policy(policy, hosts, "\r\n"))
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
