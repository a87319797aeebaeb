//! What the servers of the parent zone show of a domain (K24, K29).
//!
//! Every server is asked itself: a resolver would show what it remembers. What is seen counts as
//! a fact only when every server agrees; one that is silent leaves it unknown, and those that
//! contradict each other end what was known. Name servers of others and a DS that is not ours count
//! as soon as one server shows them: they do harm then.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Span, Timestamp};
use crate::lifecycle::{DsSeen, Fact, NsSeen, ParentQuestion, ParentTimes, Question, Urgency};
use crate::wire::{Apex, Ask, Asked, Name, Rcode, Record, Response, Rtype, Section, Ttl, ds_is_of};

use super::WatchConfig;
use super::budget::Budget;
use super::dns;
use super::registry::{Registries, Registry, RegistryServer};
use super::resolver::Resolvers;
use super::round::hash;

/// The foreign name servers whose TTLs are looked at: with the parent's own they bound A5.
const MOST_FOREIGN: usize = 4;

/// Asks the servers of parent zones.
pub(super) struct Parents {
    /// Asked for the names of parents' servers and their addresses.
    resolvers: Arc<Resolvers>,
    /// The parents that are known.
    registries: Registries,
    /// How often a registry may be asked.
    budget: Budget,
    /// Tells the time.
    clock: Arc<dyn Clock>,
    /// The port of name servers.
    port: u16,
    /// How long one waits for a server.
    patience: Duration,
}

/// What one server of the parent shows of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
struct View {
    /// The delegation, if the server says anything of it.
    delegation: Option<Delegation>,
    /// The DS, if the server says anything of it.
    ds: Option<Vec<Record>>,
    /// The TTL of its denials.
    negative_ttl: Option<Ttl>,
}

/// The delegation that a server shows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Delegation {
    /// There is none.
    Gone,
    /// To these name servers.
    To(Vec<Name>, Ttl),
}

impl Parents {
    /// Asks as the configuration says.
    pub(super) fn new(
        config: &WatchConfig,
        resolvers: Arc<Resolvers>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            registries: Registries::new(clock.clone()),
            budget: Budget::new(clock.clone(), config.limits.registry_rate),
            resolvers,
            clock,
            port: config.ports.dns,
            patience: config.limits.dns_timeout,
        }
    }

    /// Returns what the parent shows of a domain; nothing where that is unknown.
    ///
    /// Where nothing waits for the answer, one server is asked, another one each day; all of them
    /// only when it shows something new.
    pub(super) async fn look(&self, question: &Question, wanted: &ParentQuestion) -> Vec<Fact> {
        let apex = &question.name;
        let Some(registry) = self.registry(apex).await else {
            tracing::debug!(%apex, "the parent's servers cannot be found");
            return Vec::new();
        };
        let known = (wanted.known_ns, wanted.known_ds);
        let mut views = Vec::new();
        if question.urgency == Urgency::Standing {
            let server = turn_of(&registry, apex, self.clock.now());
            let view = self.view(&registry, server, apex).await;
            let sample = judge(apex, wanted, std::slice::from_ref(&view));
            let nothing_new = sample.is_as_known(known);
            views.push(view);
            if nothing_new {
                return self.facts(&registry, wanted, &views, sample).await;
            }
            // The one that was asked need not be asked again.
            for other in registry.servers.iter().filter(|other| *other != server) {
                views.push(self.view(&registry, other, apex).await);
            }
        } else {
            for server in &registry.servers {
                views.push(self.view(&registry, server, apex).await);
            }
        }
        let verdict = judge(apex, wanted, &views);
        self.facts(&registry, wanted, &views, verdict).await
    }

    /// Returns the parent of a domain with its servers; `None` where they cannot be found.
    async fn registry(&self, apex: &Apex) -> Option<Arc<Registry>> {
        let above = apex.parent()?;
        if let Some(known) = self.registries.get(&above) {
            return Some(known);
        }
        let mut registry = Registry::find(&self.resolvers, &above).await?;
        registry
            .measure(self.port, self.patience, &self.budget)
            .await;
        Some(self.registries.put(above, registry))
    }

    /// Asks one server of the parent, at one of its addresses after the other.
    async fn view(&self, registry: &Registry, server: &RegistryServer, apex: &Apex) -> View {
        let mut view = View {
            delegation: None,
            ds: None,
            negative_ttl: None,
        };
        for address in &server.addresses {
            let Some(ns) = self.ask(registry, *address, apex, Rtype::NS).await else {
                continue;
            };
            let ds = self.ask(registry, *address, apex, Rtype::DS).await;
            let name = apex.as_name();
            let denies = |response: &Response| is_denied(response, name, &registry.zone);
            view.ds = ds.as_ref().and_then(|ds| shown_ds(ds, name, denies));
            let is_gone = ds
                .as_ref()
                .is_some_and(|ds| ds.rcode == Rcode::NXDOMAIN && denies(ds));
            view.delegation = match shown_delegation(&ns, name) {
                // A server that has both zones answers out of the child; whether the parent
                // still delegates it shows by the DS, which is the parent's.
                Some(_) if ns.authoritative && is_gone => Some(Delegation::Gone),
                Some(shown) => Some(shown),
                None => denies(&ns).then_some(Delegation::Gone),
            };
            let denials = [Some(&ns), ds.as_ref()];
            let denials = denials.into_iter().flatten();
            view.negative_ttl = denials.filter_map(|it| negative_ttl(it, registry)).max();
            if view.delegation.is_some() || view.ds.is_some() {
                break;
            }
        }
        view
    }

    /// Asks one question when it is its turn.
    async fn ask(
        &self,
        registry: &Registry,
        address: IpAddr,
        qname: &Name,
        qtype: Rtype,
    ) -> Option<Response> {
        self.budget.turn(&registry.zone).await;
        self.ask_directly(address, qname, qtype).await
    }

    /// Asks a server that is not the registry's.
    async fn ask_directly(&self, address: IpAddr, qname: &Name, qtype: Rtype) -> Option<Response> {
        let ask = Ask {
            qname: qname.clone(),
            qtype,
            of: Asked::Authority,
        };
        let server = SocketAddr::new(address, self.port);
        match dns::ask(server, &ask, self.patience).await {
            Ok(response) => Some(response),
            Err(silence) => {
                tracing::debug!(%server, %qname, %silence, "a name server gives no answer");
                None
            }
        }
    }

    /// Makes facts out of what all servers show together.
    async fn facts(
        &self,
        registry: &Registry,
        wanted: &ParentQuestion,
        views: &[View],
        verdict: Verdict,
    ) -> Vec<Fact> {
        let mut facts = Vec::new();
        let times = times(registry, views);
        if times != ParentTimes::default() {
            facts.push(Fact::Parent(times));
        }
        match verdict.ns {
            Agreed::On(NsSeen::Others) => {
                let ttl = self.foreign_ttl(wanted, &verdict.apex, views).await;
                facts.push(Fact::Ns(NsSeen::Others, ttl));
            }
            Agreed::On(ns) => facts.push(Fact::Ns(ns, None)),
            Agreed::Differ => facts.push(Fact::NsDiffer),
            Agreed::Unknown => {}
        }
        match verdict.ds {
            Agreed::On(ds) => facts.push(Fact::Ds(ds)),
            Agreed::Differ => facts.push(Fact::DsDiffer),
            Agreed::Unknown => {}
        }
        facts
    }

    /// Returns the longest TTL of what leads to others' servers: the parent's NS, and the NS, MX
    /// and address that those servers give (A5).
    async fn foreign_ttl(
        &self,
        wanted: &ParentQuestion,
        apex: &Name,
        views: &[View],
    ) -> Option<Ttl> {
        let mut longest = None;
        let mut foreign = Vec::new();
        for view in views {
            let Some(Delegation::To(servers, ttl)) = &view.delegation else {
                continue;
            };
            let others = servers
                .iter()
                .filter(|it| !wanted.name_servers.contains(it));
            for other in others {
                longest = longest.max(Some(*ttl));
                if !foreign.contains(other) {
                    foreign.push(other.clone());
                }
            }
        }
        for server in foreign.iter().take(MOST_FOREIGN) {
            let addresses = self.resolvers.addresses(server).await.unwrap_or_default();
            let Some(address) = addresses.first() else {
                continue;
            };
            for rtype in [Rtype::NS, Rtype::MX, Rtype::A] {
                if let Some(response) = self.ask_directly(*address, apex, rtype).await {
                    let records = response.records(Section::Answer, apex, rtype);
                    longest = longest.max(records.map(|record| record.ttl).max());
                }
            }
        }
        longest
    }
}

/// What all views together show.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    /// The domain.
    apex: Name,
    /// Whose NS.
    ns: Agreed<NsSeen>,
    /// Which DS.
    ds: Agreed<DsSeen>,
}

/// What servers say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreed<T> {
    /// Every one says this, or one says what does harm.
    On(T),
    /// They contradict each other.
    Differ,
    /// One is silent, and the others agree.
    Unknown,
}

impl Verdict {
    /// Returns whether both are known and are what they were.
    fn is_as_known(&self, known: (Option<NsSeen>, Option<DsSeen>)) -> bool {
        match (self.ns, self.ds) {
            (Agreed::On(ns), Agreed::On(ds)) => (Some(ns), Some(ds)) == known,
            _ => false,
        }
    }
}

/// Judges what servers show: harm as soon as one shows it, all else when every one agrees.
fn judge(apex: &Apex, wanted: &ParentQuestion, views: &[View]) -> Verdict {
    let ns = views.iter().map(|view| {
        view.delegation.as_ref().map(|delegation| match delegation {
            Delegation::Gone => NsSeen::Gone,
            Delegation::To(servers, _) => {
                let ours = servers.iter().all(|it| wanted.name_servers.contains(it));
                if ours { NsSeen::Ours } else { NsSeen::Others }
            }
        })
    });
    let ds = views.iter().map(|view| {
        view.ds.as_ref().map(|records| {
            let ours = |record: &Record| {
                let mut keys = wanted.keys.iter();
                keys.any(|key| ds_is_of(apex, key.as_wire(), record.data.as_wire()))
            };
            match records.as_slice() {
                [] => DsSeen::Absent,
                records if records.iter().all(ours) => DsSeen::Ours,
                _ => DsSeen::Foreign,
            }
        })
    });
    Verdict {
        apex: apex.as_name().clone(),
        ns: agreed(ns, NsSeen::Others),
        ds: agreed(ds, DsSeen::Foreign),
    }
}

/// Returns what all say, or `harm` if one says that.
fn agreed<T: Copy + PartialEq>(said: impl Iterator<Item = Option<T>>, harm: T) -> Agreed<T> {
    let said: Vec<Option<T>> = said.collect();
    if said.contains(&Some(harm)) {
        return Agreed::On(harm);
    }
    let answers: Vec<T> = said.iter().copied().flatten().collect();
    match answers.split_first() {
        Some((first, others)) if others.iter().any(|it| it != first) => Agreed::Differ,
        Some((first, _)) if answers.len() == said.len() => Agreed::On(*first),
        Some(_) | None => Agreed::Unknown,
    }
}

/// Returns the server whose turn it is: another one each day, not the same one for all domains.
fn turn_of<'r>(registry: &'r Registry, apex: &Apex, now: Timestamp) -> &'r RegistryServer {
    let day = now.as_secs() / 86_400;
    let servers = &registry.servers;
    let index = hash(apex).wrapping_add(day) % servers.len() as u64;
    &servers[index as usize]
}

/// Returns the delegation that a response shows; `None` if it says nothing of one.
fn shown_delegation(response: &Response, name: &Name) -> Option<Delegation> {
    if response.rcode != Rcode::NOERROR {
        return None;
    }
    // A referral has it in the authority section; a server that also has the child, as its answer.
    let section = match response.authoritative {
        true => Section::Answer,
        false => Section::Authority,
    };
    let records: Vec<&Record> = response.records(section, name, Rtype::NS).collect();
    let ttl = records.iter().map(|record| record.ttl).max()?;
    let servers = records.iter().flat_map(|it| it.data.names(Rtype::NS));
    Some(Delegation::To(servers.collect(), ttl))
}

/// Returns the DS that a response shows; `None` if it says nothing of them.
fn shown_ds(
    response: &Response,
    name: &Name,
    denies: impl Fn(&Response) -> bool,
) -> Option<Vec<Record>> {
    if !response.authoritative {
        return None;
    }
    let records: Vec<Record> = response
        .records(Section::Answer, name, Rtype::DS)
        .cloned()
        .collect();
    (!records.is_empty() || denies(response)).then_some(records)
}

/// Returns whether a response is the parent's own denial: its SOA says whose word it is.
fn is_denied(response: &Response, name: &Name, parent: &Name) -> bool {
    let code = matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
    let authority = response.section(Section::Authority);
    let by_parent = authority
        .iter()
        .any(|record| record.rtype == Rtype::SOA && record.owner == *parent);
    code && response.authoritative
        && response.section(Section::Answer).is_empty()
        && by_parent
        && name.is_below(parent)
}

/// Returns how long resolvers keep a denial: the lesser of the SOA's TTL and its last number (RFC
/// 2308, section 5).
pub(super) fn denial_ttl(soa: &Record) -> Option<Ttl> {
    Some(soa.ttl.min(soa.data.soa_numbers()?.minimum))
}

/// Returns how long the denial in a response is kept, if it is the parent's.
fn negative_ttl(response: &Response, registry: &Registry) -> Option<Ttl> {
    response
        .records(Section::Authority, &registry.zone, Rtype::SOA)
        .find_map(denial_ttl)
}

/// Returns what was measured; the largest seen counts (K24).
fn times(registry: &Registry, views: &[View]) -> ParentTimes {
    let ns = views.iter().filter_map(|view| match &view.delegation {
        Some(Delegation::To(_, ttl)) => Some(*ttl),
        Some(Delegation::Gone) | None => None,
    });
    let ds = views.iter().filter_map(|view| view.ds.as_ref()).flatten();
    let negative = views.iter().filter_map(|view| view.negative_ttl);
    ParentTimes {
        ns_ttl: ns.max(),
        ds_ttl: ds.map(|record| record.ttl).max(),
        negative_ttl: negative.max().max(registry.negative_ttl),
        refresh: registry.refresh.map(Span::from_secs),
    }
}
