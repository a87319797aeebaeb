//! From what the world shows to the facts that the product takes.

use mxpool::clock::Span;
use mxpool::lifecycle::{DsSeen, Fact, LifecycleState, NsSeen, ParentTimes, ServersSeen};
use mxpool::wire::{Serial, Ttl};

use super::parent::{Delegation, Secure};
use super::product::{ParentSight, Sight, Stage};

/// Returns what a sight says of a domain.
///
/// `key` is the tag of the domain's key; `policy` the id and the file of the policy it is to have.
pub(crate) fn facts(
    sight: &Sight,
    name: &str,
    key: u16,
    policy: Option<&(String, String)>,
) -> Vec<Fact> {
    match sight {
        Sight::Parent(parent) if parent.domain == name => parent_facts(parent, key),
        Sight::Servers(domain, serials) if domain == name => {
            let answering: Vec<u32> = serials.iter().flatten().copied().collect();
            let fact = match answering.iter().min() {
                None => Fact::Servers(ServersSeen::None),
                Some(_) if answering.len() < serials.len() => Fact::Servers(ServersSeen::Some),
                Some(oldest) => Fact::Published(Serial::new(*oldest)),
            };
            vec![fact]
        }
        Sight::Mail { domain, green } if domain == name => vec![Fact::Mail(*green)],
        Sight::Policy(domain, files) if domain == name => {
            let served = policy.filter(|(_, text)| {
                files
                    .iter()
                    .all(|file| file.as_deref() == Some(text.as_str()))
            });
            served
                .map(|(id, _)| Fact::Policy(id.clone()))
                .into_iter()
                .collect()
        }
        Sight::Deferrals(..) => vec![Fact::Deferral],
        Sight::Counts(domain, queries) if domain == name => vec![Fact::Queries(*queries)],
        _ => Vec::new(),
    }
}

/// Returns what the parent's servers say.
fn parent_facts(parent: &ParentSight, key: u16) -> Vec<Fact> {
    let ttl = |seconds: u64| Ttl::from_secs(seconds as u32);
    let (ns_ttl, ds_ttl, negative) = parent.ttls;
    let mut facts = vec![Fact::Parent(ParentTimes {
        ns_ttl: Some(ttl(ns_ttl)),
        ds_ttl: Some(ttl(ds_ttl)),
        negative_ttl: Some(ttl(negative)),
        refresh: Some(Span::from_secs(0)),
    })];
    let every = |wanted| parent.delegations.iter().all(|it| *it == wanted);
    if every(Delegation::Ours) {
        facts.push(Fact::Ns(NsSeen::Ours, Some(ttl(ns_ttl))));
    } else if every(Delegation::Nowhere) {
        facts.push(Fact::Ns(NsSeen::Gone, None));
    } else if parent.delegations.contains(&Delegation::Foreign) {
        let longest = ns_ttl.max(parent.foreign_ttl);
        facts.push(Fact::Ns(NsSeen::Others, Some(ttl(longest))));
    } else {
        facts.push(Fact::NsDiffer);
    }
    let every = |wanted| parent.secures.iter().all(|it| *it == wanted);
    if every(Secure::Key(key)) {
        facts.push(Fact::Ds(DsSeen::Ours));
    } else if every(Secure::Not) {
        facts.push(Fact::Ds(DsSeen::Absent));
    } else if parent
        .secures
        .iter()
        .any(|it| !matches!(it, Secure::Not) && *it != Secure::Key(key))
    {
        facts.push(Fact::Ds(DsSeen::Foreign));
    } else {
        facts.push(Fact::DsDiffer);
    }
    facts
}

/// Returns a stage as the product calls it.
pub(crate) fn state_of(stage: Stage) -> LifecycleState {
    match stage {
        Stage::Standby => LifecycleState::Standby,
        Stage::Active => LifecycleState::Active,
        Stage::Draining => LifecycleState::Draining,
        Stage::Retired => LifecycleState::Retired,
        Stage::Released => LifecycleState::Released,
    }
}

/// Returns a state as the world calls it.
pub(crate) fn stage_of(state: LifecycleState) -> Stage {
    match state {
        LifecycleState::Standby => Stage::Standby,
        LifecycleState::Active => Stage::Active,
        LifecycleState::Draining => Stage::Draining,
        LifecycleState::Retired => Stage::Retired,
        LifecycleState::Released => Stage::Released,
    }
}
