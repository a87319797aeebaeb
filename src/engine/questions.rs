//! What the outside is asked about our domains.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::facts::{DomainFacts, Facts, PoolFacts, ZoneFacts};
use super::handle::{Engine, ReadError};
use super::life::{Phase, policy_form, route_of, wanted_policy};
use crate::lifecycle::{
    About, LifecycleState, MailHostQuestion, MailQuestion, NsSeen, ParentQuestion, PolicyQuestion,
    PublishedQuestion, Question, ServersSeen, Subject, Urgency,
};
use crate::mail::{self, MailForm, MtaStsMode, RoutingAnswer, Secured};
use crate::store::record::ShownPolicy;
use crate::wire::{Apex, Name, Rdata, Rtype};

/// How many domains one page of questions looks at.
const PAGE: usize = 256;

impl Engine {
    /// Returns the questions about a subject for some of the domains behind `after`, in the order of
    /// their names, and the last of those domains if others follow. Zones that hold mail hosts come
    /// with the first of them.
    ///
    /// Of the questions only those are returned that `asked` says are asked now: where it is the parent
    /// that is asked, the store is read for each.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn questions(
        &self,
        subject: Subject,
        after: Option<&Apex>,
        asked: &dyn Fn(&Question) -> bool,
    ) -> Result<(Vec<Question>, Option<Apex>), ReadError> {
        let mut questions = Vec::new();
        let mut last = None;
        let more = {
            let view = self.view();
            let facts = view.facts();
            if subject == Subject::Published && after.is_none() {
                questions.extend(host_zones(facts));
            }
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let mut domains = facts.domains.range((from, Bound::Unbounded));
            for (name, domain) in domains.by_ref().take(PAGE) {
                last = Some(name.clone());
                let Some(pool) = facts.pools.get(&domain.pool) else {
                    continue;
                };
                let asked = if domain.is_dropped() {
                    None
                } else {
                    ask(subject, name, domain, pool)
                };
                questions.extend(asked.map(|(urgency, about)| Question {
                    name: name.clone(),
                    urgency,
                    about,
                }));
            }
            domains.next().is_some()
        };
        questions.retain(asked);
        // The keys are in the store; the facts are not held meanwhile.
        for question in &mut questions {
            if let About::Parent(parent) = &mut question.about {
                parent.keys = self.dnskeys(&question.name)?;
            }
        }
        Ok((questions, last.filter(|_| more)))
    }

    /// Returns the data of a zone's DNSKEY records.
    fn dnskeys(&self, apex: &Apex) -> Result<Vec<Rdata>, ReadError> {
        let Some((zone, _)) = self.signed_zone(apex)? else {
            return Ok(Vec::new());
        };
        let own = zone.own.iter();
        let keys = own.filter(|rrset| rrset.rtype == Rtype::DNSKEY && rrset.owner.is_apex());
        let datas = keys.flat_map(|rrset| &rrset.rdatas);
        Ok(datas
            .filter_map(|data| data.under(Rtype::DNSKEY, apex).ok())
            .collect())
    }
}

/// Returns the question about a subject for a domain, if there is anything to ask.
fn ask(
    subject: Subject,
    name: &Apex,
    domain: &DomainFacts,
    pool: &PoolFacts,
) -> Option<(Urgency, About)> {
    match subject {
        Subject::Parent => Some(parent(name, domain, pool)),
        Subject::Published => Some(published(name, domain, pool)),
        Subject::Mail => mail_hosts(name, domain, pool),
        Subject::Policy => policy(name, domain, pool),
        Subject::Queries => (domain.state == LifecycleState::Retired).then(|| {
            let about = About::Queries {
                name_servers: name_servers(name, pool),
            };
            (Urgency::Standing, about)
        }),
    }
}

/// Returns how much hangs on an answer.
const fn urgency(waits: bool) -> Urgency {
    if waits {
        Urgency::Waiting
    } else {
        Urgency::Standing
    }
}

/// Returns the full names of a domain's name servers.
fn name_servers(name: &Apex, pool: &PoolFacts) -> Vec<Name> {
    let servers = pool.recipe.settings.nameservers().iter();
    servers
        .filter_map(|server| server.under(name).ok())
        .collect()
}

/// Asks for NS and DS.
fn parent(name: &Apex, domain: &DomainFacts, pool: &PoolFacts) -> (Urgency, About) {
    let observed = domain.life.as_deref().map(|life| &life.observed);
    let known_ns = observed.and_then(|observed| Some(observed.ns.as_ref()?.what));
    let known_ds = observed.and_then(|observed| Some(observed.ds.as_ref()?.what));
    let readiness = pool.recipe.settings.readiness();
    let waits = match domain.state {
        LifecycleState::Standby => readiness.delegated || readiness.secured != Secured::No,
        LifecycleState::Released => known_ns != Some(NsSeen::Gone),
        LifecycleState::Active | LifecycleState::Draining | LifecycleState::Retired => false,
    };
    let about = About::Parent(ParentQuestion {
        name_servers: name_servers(name, pool),
        keys: Vec::new(),
        known_ns,
        known_ds,
    });
    (urgency(waits), about)
}

/// Asks for the serial on every listed server.
fn published(name: &Apex, domain: &DomainFacts, pool: &PoolFacts) -> (Urgency, About) {
    let content = domain.life.as_deref().and_then(|life| life.content);
    let is_seen = content.is_some_and(|(_, seen)| seen.is_some());
    // An outage is looked at until it ends: until then nothing is withdrawn (I5).
    let servers = domain
        .life
        .as_deref()
        .and_then(|life| life.observed.servers);
    let answers = servers.is_none_or(|(seen, _)| seen == ServersSeen::All);
    let about = About::Published(PublishedQuestion {
        name_servers: name_servers(name, pool),
        serial: domain.served.serial,
    });
    (urgency(!is_seen || !answers), about)
}

/// Asks for the serials of the operator's zones that hold mail hosts, until all servers have what
/// these say now: what pools wish for may wait for that (M4, N1).
fn host_zones(facts: &Facts) -> Vec<Question> {
    let pools = facts.pools.values();
    let hosts = pools.flat_map(|pool| pool.wished().mail_hosts());
    let names = hosts.filter_map(|host| host.name.as_shared());
    let zones: BTreeMap<&Apex, &ZoneFacts> = names
        .filter_map(|name| facts.operator_zone_of(name))
        .collect();
    let unseen = zones.into_iter();
    let unseen = unseen.filter(|(_, zone)| zone.arrival.seen.is_none());
    let questions = unseen.map(|(apex, zone)| {
        let mut records = zone.records.iter();
        let servers = records.find(|rrset| rrset.rtype == Rtype::NS && rrset.owner.is_apex());
        let datas = servers.iter().flat_map(|rrset| &rrset.rdatas);
        let datas = datas.filter_map(|data| data.under(Rtype::NS, apex).ok());
        let names = datas.flat_map(|data| data.names(Rtype::NS));
        Question {
            name: apex.clone(),
            urgency: Urgency::Waiting,
            about: About::Published(PublishedQuestion {
                name_servers: names.collect(),
                serial: zone.served.serial,
            }),
        }
    });
    questions.collect()
}

/// Asks whether the mail hosts are ready.
fn mail_hosts(name: &Apex, domain: &DomainFacts, pool: &PoolFacts) -> Option<(Urgency, About)> {
    let life = domain.life.as_deref();
    if life.is_some_and(|life| life.form.mail == MailForm::Null) {
        return None;
    }
    let settings = &pool.recipe.settings;
    // Under a policy in testing senders deliver to whatever certificate (RFC 8461, section 5).
    let policy = settings.mta_sts();
    let in_policy = policy.is_some_and(|policy| policy.mode == MtaStsMode::Enforce);
    let hosts = settings.mail_hosts().iter().filter(|host| !host.spare);
    let hosts = hosts.filter_map(|host| {
        Some(MailHostQuestion {
            name: host.name.under(name).ok()?,
            addresses: host.addresses.clone(),
            tlsa: host.tlsa_records(),
            in_policy,
        })
    });
    let route = route_of(domain.state, life, settings.subdomains());
    let about = About::Mail(MailQuestion {
        hosts: hosts.collect(),
        accepts: route.answer == RoutingAnswer::Accept,
    });
    let waits = domain.state == LifecycleState::Standby && settings.readiness().mail_ready;
    Some((urgency(waits), about))
}

/// Asks for the policy as the policy hosts serve it.
fn policy(name: &Apex, domain: &DomainFacts, pool: &PoolFacts) -> Option<(Urgency, About)> {
    let life = domain.life.as_deref();
    if life.is_some_and(|life| life.policy == ShownPolicy::Gone) {
        return None;
    }
    let settings = &pool.recipe.settings;
    let phase = Phase::new(domain.state, domain.since, life);
    let (id, policy) = wanted_policy(phase, settings, pool.policy.as_ref())?;
    let text = mail::mta_sts_file(settings, name, policy_form(domain.state))?;
    let seen = life.and_then(|life| life.observed.policy.as_ref());
    let waits = seen.is_none_or(|seen| seen.what != id);
    let about = About::Policy(PolicyQuestion {
        id,
        text,
        addresses: policy.addresses,
    });
    Some((urgency(waits), about))
}
