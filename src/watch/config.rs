//! What an operator says of watching.

use std::net::SocketAddr;
use std::time::Duration;

use rustls_pki_types::CertificateDer;

use crate::clock::Span;
use crate::wire::Name;

/// How the outside is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchConfig {
    /// The validating resolvers to look through; at least one.
    pub resolvers: Vec<SocketAddr>,
    /// How often a domain is looked at whose next step waits for what is seen.
    pub interval: Span,
    /// Whether mail hosts are connected to.
    pub smtp_probe: bool,
    /// Whom a certificate must come from.
    pub trust: Trust,
    /// How listed name servers are seen; those that are not here, at their names' addresses.
    pub servers: Vec<ListedServer>,
    /// Where the world's services are.
    pub ports: Ports,
    /// How much is asked at most.
    pub limits: WatchLimits,
}

/// Whom the certificates of policy hosts and mail hosts must come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// The public authorities that senders know.
    #[default]
    Public,
    /// These alone.
    Only(Vec<CertificateDer<'static>>),
}

/// How a listed name server is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedServer {
    /// The name under which it stands in NS records.
    pub name: Name,
    /// An address of each of its sites; empty: the name's addresses.
    pub probe: Vec<SocketAddr>,
    /// Where its query counts come from.
    pub counts: Option<CountsSource>,
}

/// Where the query counts of a listed server come from (X5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountsSource {
    /// Where to connect to.
    pub address: SocketAddr,
    /// The host that the URL names: what its certificate must be for.
    pub host: String,
    /// The path, with its first slash.
    pub path: String,
    /// Whether by TLS; only this machine is asked without.
    pub tls: bool,
    /// What it lets in.
    pub token: Option<CountsToken>,
}

/// A token of the admin API of another server.
#[derive(Clone, PartialEq, Eq)]
pub struct CountsToken(String);

/// Where the world's services are; tests move them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Name servers.
    pub dns: u16,
    /// Mail hosts.
    pub smtp: u16,
    /// Policy hosts.
    pub https: u16,
}

/// How much is asked at most, and how long one waits (K29).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchLimits {
    /// Queries a second to the servers of one parent zone.
    pub registry_rate: u32,
    /// Domains that are looked at at a time, of each subject.
    pub concurrency: usize,
    /// How long a name server may take to answer; it is asked twice.
    pub dns_timeout: Duration,
    /// How long a mail host may take for a whole visit.
    pub smtp_timeout: Duration,
    /// How long a policy host may take for a whole answer ("under a minute": RFC 8461, section
    /// 3.3).
    pub https_timeout: Duration,
}

impl WatchConfig {
    /// Returns the defaults, looking through `resolvers`.
    pub fn new(resolvers: Vec<SocketAddr>) -> Self {
        Self {
            resolvers,
            interval: Span::from_secs(300),
            smtp_probe: true,
            trust: Trust::Public,
            servers: Vec::new(),
            ports: Ports::default(),
            limits: WatchLimits::default(),
        }
    }
}

impl CountsToken {
    /// Takes the token's text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the token's text; it must not be told.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for CountsToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CountsToken(…)")
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            dns: 53,
            smtp: 25,
            https: 443,
        }
    }
}

impl Default for WatchLimits {
    fn default() -> Self {
        Self {
            // K29.
            registry_rate: 20,
            concurrency: 32,
            // Resolvers themselves give up after some 10 s; a healthy server takes less than one.
            dns_timeout: Duration::from_secs(3),
            // Postfix sends its banner late on purpose when its postscreen listens: 6 s and more.
            smtp_timeout: Duration::from_secs(60),
            https_timeout: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_told() {
        let token = CountsToken::new("secret".to_owned());

        assert!(!format!("{token:?}").contains("secret"));
    }
}
