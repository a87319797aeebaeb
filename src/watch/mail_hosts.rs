//! Whether the world's mail for a domain would be taken: MX as resolvers see them, and the hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::lifecycle::{Fact, MailHostQuestion, MailQuestion};
use crate::wire::{Apex, Name, Rtype};

use super::WatchConfig;
use super::resolver::{Resolvers, Sighting};
use super::smtp::{self, Rebuff, Reception, Reply, Visit};
use super::tls::Tls;

/// The recipients that are asked for in a visit; 100 must be allowed (RFC 5321, section
/// 4.5.3.1.8).
const MOST_RECIPIENTS: usize = 50;
/// The addresses that are visited at a time.
const AT_A_TIME: usize = 8;

/// Visits mail hosts.
#[derive(Clone)]
pub(super) struct MailHosts {
    /// Asked for MX, and for the addresses of hosts that are not ours.
    resolvers: Arc<Resolvers>,
    /// Judges certificates.
    tls: Arc<Tls>,
    /// The port of mail hosts.
    port: u16,
    /// How long a visit may take.
    patience: Duration,
}

/// What was seen of a domain's mail at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Finding {
    /// All is well.
    Ready,
    /// Nobody knows.
    Unknown,
    /// A sender gives up, or goes elsewhere.
    NotReady,
    /// A sender tries again later.
    Defers,
}

/// Domains with what is wanted of their mail.
pub(super) type MailQuestions = [(Apex, MailQuestion)];

impl MailHosts {
    /// Visits as the configuration says.
    pub(super) fn new(config: &WatchConfig, resolvers: Arc<Resolvers>, tls: Arc<Tls>) -> Self {
        Self {
            resolvers,
            tls,
            port: config.ports.smtp,
            patience: config.limits.smtp_timeout,
        }
    }

    /// Looks at the mail of several domains: each address of a host is visited once for all that
    /// share it, or once for each fifty.
    pub(super) async fn look(&self, questions: &MailQuestions) -> Vec<(Apex, Vec<Fact>)> {
        let mut findings: BTreeMap<&Apex, Finding> = BTreeMap::new();
        let mut note = |apex, finding: Finding| {
            let known = findings.entry(apex).or_insert(Finding::Ready);
            *known = finding.max(*known);
        };
        let mut hosts: BTreeMap<&MailHostQuestion, Vec<&Apex>> = BTreeMap::new();
        for (apex, wanted) in questions {
            note(apex, self.exchanges(apex, wanted).await);
            for host in &wanted.hosts {
                hosts.entry(host).or_default().push(apex);
            }
        }
        for (host, guests) in hosts {
            let received = self.host(host, &guests).await;
            for (apex, finding) in guests.into_iter().zip(received) {
                note(apex, finding);
            }
        }
        let facts = questions.iter().map(|(apex, wanted)| {
            let finding = findings.get(apex).copied().unwrap_or(Finding::Unknown);
            (apex.clone(), facts(finding, wanted))
        });
        facts.collect()
    }

    /// Returns whether the world's resolvers see the MX that are wanted.
    async fn exchanges(&self, apex: &Apex, wanted: &MailQuestion) -> Finding {
        let seen = match self.resolvers.look_up(apex, Rtype::MX).await {
            Sighting::Records(records) => records,
            Sighting::Nothing => {
                tracing::debug!(%apex, "resolvers see no MX");
                return Finding::NotReady;
            }
            Sighting::Bogus => {
                tracing::debug!(%apex, "the MX does not validate");
                return Finding::Defers;
            }
            Sighting::Unknown => return Finding::Unknown,
        };
        let seen = seen.iter().flat_map(|it| it.data.names(Rtype::MX));
        let seen: BTreeSet<Name> = seen.collect();
        let wanted: BTreeSet<Name> = wanted.hosts.iter().map(|host| host.name.clone()).collect();
        if seen == wanted {
            return Finding::Ready;
        }
        tracing::debug!(%apex, ?seen, ?wanted, "resolvers see another MX");
        Finding::NotReady
    }

    /// Returns how a host receives mail for each domain, at every address.
    async fn host(&self, host: &MailHostQuestion, guests: &[&Apex]) -> Vec<Finding> {
        let all = |finding| vec![finding; guests.len()];
        let addresses = match host.addresses.as_slice() {
            [] => match self.resolvers.addresses(&host.name).await {
                None => return all(Finding::Unknown),
                Some(addresses) => addresses,
            },
            known => known.to_vec(),
        };
        let Ok(name) = ServerName::try_from(host.name.to_api_text()) else {
            return all(Finding::NotReady);
        };
        let recipients: Vec<String> = guests
            .iter()
            .map(|apex| format!("postmaster@{}", apex.to_api_text()))
            .collect();
        let places = Arc::new(Semaphore::new(AT_A_TIME));
        let mut visits = JoinSet::new();
        for address in addresses {
            let address = Address {
                hosts: self.clone(),
                host: host.clone(),
                name: name.clone(),
                address,
                recipients: recipients.clone(),
            };
            let places = places.clone();
            visits.spawn(async move {
                let _place = places.acquire_owned().await;
                address.visit().await
            });
        }
        let mut findings = all(Finding::Ready);
        let mut reached = false;
        while let Some(visited) = visits.join_next().await {
            let Ok(Some(found)) = visited else {
                continue;
            };
            reached = true;
            for (known, finding) in findings.iter_mut().zip(found) {
                *known = finding.max(*known);
            }
        }
        // A machine without IPv6 sees what it can; one that reaches no address sees nothing.
        if reached {
            findings
        } else {
            all(Finding::Unknown)
        }
    }
}

/// An address of a mail host that is visited.
struct Address {
    /// How it is visited.
    hosts: MailHosts,
    /// The host.
    host: MailHostQuestion,
    /// Its name for TLS.
    name: ServerName<'static>,
    /// The address.
    address: IpAddr,
    /// Whom mail would be for.
    recipients: Vec<String>,
}

impl Address {
    /// Visits until every recipient has an answer, one connection after the other; `None` where
    /// there is no way to the address.
    async fn visit(&self) -> Option<Vec<Finding>> {
        let mut findings = Vec::new();
        while findings.len() < self.recipients.len() {
            let rest = &self.recipients[findings.len()..];
            let rest = &rest[..rest.len().min(MOST_RECIPIENTS)];
            let found = match self.once(rest).await {
                Ok(reception) => self.judge(&reception, rest.len()),
                Err(Rebuff::NoRoute(error)) => {
                    tracing::debug!(host = %self.host.name, address = %self.address, %error, "no route");
                    return None;
                }
                Err(rebuff) => {
                    self.tell(&rebuff);
                    vec![Finding::Defers; rest.len()]
                }
            };
            if found.is_empty() {
                // It hung up before the first answer: it will again.
                let missing = self.recipients.len() - findings.len();
                findings.extend(std::iter::repeat_n(Finding::Unknown, missing));
            }
            findings.extend(found);
        }
        Some(findings)
    }

    /// Visits once.
    async fn once(&self, recipients: &[String]) -> Result<Reception, Rebuff> {
        let visit = Visit {
            address: SocketAddr::new(self.address, self.hosts.port),
            host: &self.name,
            needs_tls: !self.host.tlsa.is_empty() || self.host.in_policy,
            recipients,
        };
        smtp::visit(&visit, self.hosts.tls.any(), self.hosts.patience).await
    }

    /// Returns what was seen for each recipient that was answered.
    fn judge(&self, reception: &Reception, recipients: usize) -> Vec<Finding> {
        if let Some(certificates) = &reception.certificates
            && let Err(problem) = self.hosts.tls.judge(
                &self.name,
                certificates,
                &self.host.tlsa,
                self.host.in_policy,
            )
        {
            self.tell(&problem);
            return vec![Finding::Defers; recipients];
        }
        let replies = reception.replies.iter();
        replies.map(|reply| self.judge_reply(reply)).collect()
    }

    /// Returns what a reply to a recipient means.
    fn judge_reply(&self, reply: &Reply) -> Finding {
        if reply.is_yes() {
            return Finding::Ready;
        }
        self.tell(&format!("RCPT: {} {}", reply.code, reply.text));
        match (reply.is_greylisting(), reply.is_later()) {
            (true, _) => Finding::Unknown,
            (false, true) => Finding::Defers,
            (false, false) => Finding::NotReady,
        }
    }

    /// Tells what is wrong.
    fn tell(&self, problem: &dyn std::fmt::Display) {
        let (host, address) = (&self.host.name, self.address);
        tracing::debug!(%host, %address, %problem, "a mail host is not ready");
    }
}

/// Makes facts out of what was seen at the worst place.
fn facts(finding: Finding, wanted: &MailQuestion) -> Vec<Fact> {
    match finding {
        Finding::Ready => vec![Fact::Mail(true)],
        Finding::Unknown => Vec::new(),
        Finding::NotReady => vec![Fact::Mail(false)],
        // R2 counts what holds somebody's message back; before a domain takes mail, nobody's is.
        Finding::Defers if wanted.accepts => vec![Fact::Mail(false), Fact::Deferral],
        Finding::Defers => vec![Fact::Mail(false)],
    }
}
