//! What caches, validators and senders may still hold of a domain.

use std::collections::BTreeMap;

use super::facts::{PoolFacts, SharedTemplate};
use super::life::{PLAIN, shown_id};
use super::view::View;
use crate::clock::{Span, Timestamp};
use crate::history::{Lapse, Timeline, absence_horizon, cache_horizon, replay_horizon};
use crate::mail::{self, PoolSettings};
use crate::store::record::{PolicyTurn, ShownPolicy, Turn};
use crate::wire::{Apex, Rtype, Ttl};

/// One version of an RRset or policy that somebody may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What it is.
    pub what: HeldWhat,
    /// Since when it was served.
    pub on: Timestamp,
    /// Until when; `None` while it is.
    pub off: Option<Timestamp>,
    /// Until when a cache that obeys TTLs, or a sender that obeys max_age, may hold it; `None` while it
    /// is served, by us or by a listed server that has not followed.
    pub cache_until: Option<Timestamp>,
    /// Until when it can be replayed, validly signed; `None` while it is served, and for policies.
    pub replay_until: Option<Timestamp>,
}

/// What somebody may hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeldWhat {
    /// An RRset.
    Rrset {
        /// The owner, relative to the domain.
        owner: String,
        /// The type.
        rtype: Rtype,
        /// The TTL.
        ttl: Ttl,
        /// The data of its records.
        records: Vec<String>,
    },
    /// An MTA-STS policy.
    Policy {
        /// Whether senders act on it: its mode is not `none`.
        acts: bool,
        /// How long senders keep it.
        max_age: Span,
    },
}

impl View<'_> {
    /// Returns every version of every RRset and policy of a domain that some cache, validator or sender
    /// may hold at a moment; `None` for a name that is no domain.
    ///
    /// SOA, NSEC and what speaks of keys is left out: no wait is made of them.
    pub fn caches(&self, name: &Apex, at: Timestamp) -> Option<Vec<Held>> {
        let facts = self.facts();
        let domain = facts.domains.get(name)?;
        let pool = facts.pools.get(&domain.pool)?;
        let plain = Timeline::since(domain.added, PLAIN);
        let turns = domain.life.as_deref().map(|life| &life.turns);
        let turns = turns.filter(|turns| !turns.is_empty()).unwrap_or(&plain);
        let mut versions: BTreeMap<HeldWhat, Vec<(Lapse<()>, Kept)>> = BTreeMap::new();
        for turn in turns.iter() {
            for (settings, template, adoption, lapse) in templates(pool) {
                let from = turn.on.max(domain.added);
                let Some(part) = lapse.within(from, turn.off) else {
                    continue;
                };
                let (on, off) = (part.on, part.off);
                let shown = if off.is_none() {
                    let policy = domain.life.as_deref().map(|life| &life.policy);
                    let policy = policy.unwrap_or(&ShownPolicy::Pool);
                    shown_id(policy, settings, adoption).0
                } else {
                    None
                };
                let kept = Kept {
                    ttl: settings.ttl(),
                    lifetime: settings.signing().lifetime,
                };
                for what in said(name, settings, template, &turn.what, shown.as_deref()) {
                    let spans = versions.entry(what).or_default();
                    match spans.last_mut() {
                        // The same before and after is one version, kept for as long as either.
                        Some((last, longest)) if last.off == Some(on) => {
                            last.off = off;
                            longest.ttl = kept.ttl.max(longest.ttl);
                            longest.lifetime = kept.lifetime.max(longest.lifetime);
                        }
                        _ => spans.push((Lapse { what: (), on, off }, kept)),
                    }
                }
            }
        }
        let circumstances = facts.circumstances(name, domain)?;
        let situation = circumstances.situation();
        let left = |off| situation.left_servers(off);
        let held = versions.into_iter().flat_map(|(what, spans)| {
            let spans = spans.into_iter();
            spans.map(move |(lapse, kept)| held(what.clone(), &lapse, kept, left))
        });
        let held = held.filter(|held| {
            let until = held.cache_until.max(held.replay_until);
            let is_served = held.cache_until.is_none();
            held.on <= at && (is_served || until.is_some_and(|until| until > at))
        });
        Some(held.collect())
    }

    /// Returns until when a cache may deny what a change at a moment has brought, `None` within for a
    /// listed server that has not followed; `None` for a name that is no domain.
    pub fn denied_until(&self, name: &Apex, changed: Timestamp) -> Option<Option<Timestamp>> {
        let facts = self.facts();
        let domain = facts.domains.get(name)?;
        let circumstances = facts.circumstances(name, domain)?;
        let situation = circumstances.situation();
        // The negative TTL of before counts for every new name and type (RFC 8198, section 5.1).
        let negative = situation.stays.iter().map(|stay| stay.negative_ttl).max();
        let left = situation.left_servers(changed);
        let negative = negative.unwrap_or(situation.terms.negative_ttl);
        Some(left.map(|left| absence_horizon(left, Span::from_secs(0), negative)))
    }
}

/// For how long what a version said is held.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// The TTL of the TXT that announces a policy.
    ttl: Ttl,
    /// How long a signature was valid at most.
    lifetime: Span,
}

/// Returns a version with its horizons; `left` says when every listed server had left behind what went
/// off.
fn held(
    what: HeldWhat,
    lapse: &Lapse<()>,
    kept: Kept,
    left: impl Fn(Timestamp) -> Option<Timestamp>,
) -> Held {
    let gone = lapse.off.and_then(left);
    let zero = Span::from_secs(0);
    let (cache_until, replay_until) = match &what {
        HeldWhat::Rrset { ttl, .. } => (
            gone.map(|gone| cache_horizon(gone, zero, *ttl)),
            lapse.off.map(|off| replay_horizon(off, kept.lifetime)),
        ),
        // Who has the TXT cached may fetch until it expires, and prolongs what it holds (X2, S18).
        HeldWhat::Policy { max_age, .. } => {
            let fetched = gone.map(|gone| cache_horizon(gone, zero, kept.ttl));
            let until = fetched.map(|last| last.saturating_add(max_age.as_duration()));
            (until, None)
        }
    };
    Held {
        what,
        on: lapse.on,
        off: lapse.off,
        cache_until,
        replay_until,
    }
}

/// One version of a pool: settings, template, policy, when.
type Version<'p> = (
    &'p PoolSettings,
    &'p SharedTemplate,
    Option<&'p super::facts::Adoption>,
    Lapse<()>,
);

/// Returns every version of a pool that somebody may hold.
fn templates(pool: &PoolFacts) -> impl Iterator<Item = Version<'_>> {
    let earlier = pool.earlier.iter().map(|lapse| {
        let version = &*lapse.what;
        let when = Lapse {
            what: (),
            on: lapse.on,
            off: lapse.off,
        };
        (
            &*version.settings,
            &*version.template,
            version.policy.as_ref(),
            when,
        )
    });
    let current = Lapse {
        what: (),
        on: pool.since,
        off: None,
    };
    earlier.chain([(
        &*pool.recipe.settings,
        &*pool.recipe.template,
        pool.policy.as_ref(),
        current,
    )])
}

/// Returns what a domain said in a turn under a version of its pool.
fn said(
    apex: &Apex,
    settings: &PoolSettings,
    template: &SharedTemplate,
    turn: &Turn,
    shown: Option<&str>,
) -> Vec<HeldWhat> {
    let is_plain = *turn == PLAIN;
    // What an id looked like once is of no concern: nothing waits for it but its TTL.
    let rendered = (!is_plain).then(|| mail::render(settings, turn.form, shown).ok());
    let rendered = rendered.flatten();
    let rrsets = rendered
        .as_ref()
        .map_or(template.template.rrsets(), |other| other.rrsets());
    let rrsets = rrsets.iter().map(|rrset| {
        let data = rrset.rdatas.iter();
        let data = data.filter_map(|rdata| rdata.under(rrset.rtype, apex).ok());
        HeldWhat::Rrset {
            owner: rrset.owner.to_string(),
            rtype: rrset.rtype,
            ttl: rrset.ttl,
            records: data.map(|rdata| rdata.to_text(rrset.rtype)).collect(),
        }
    });
    let policy = match turn.policy {
        PolicyTurn::Pool => settings.mta_sts().map(|policy| HeldWhat::Policy {
            acts: policy.acts(),
            max_age: policy.max_age,
        }),
        PolicyTurn::Own { acts, max_age } => Some(HeldWhat::Policy { acts, max_age }),
        PolicyTurn::Gone => None,
    };
    rrsets.chain(policy).collect()
}
