//! What of a pool's wish may be in effect now.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Op;
use super::facts::{DomainFacts, Facts, PoolFacts, Wish, ZoneFacts, ancestors};
use super::job::Claim;
use super::life::{Standing, shown_id, wanted_id};
use super::writer::Writer;
use crate::clock::{Span, Timestamp};
use crate::history::Lapse;
use crate::lifecycle::{self, LifecycleState, ServersSeen};
use crate::mail::{self, HostZone, PoolSettings, RoutingAnswer, Served, StageFacts, Staging};
use crate::store::record::{HostRecord, ShownPolicy};
use crate::wire::{Apex, Name};

/// How long a wish rests after it was looked at, by the clock that nobody sets.
const REST: Duration = Duration::from_secs(60);

impl Writer {
    /// Takes the next steps of pools' wishes: one change for all pools, as two that name one host take
    /// the same step.
    ///
    /// Both readings are of one moment: a wish that was looked at by an earlier `now` would rest.
    pub(super) fn stage_due(&mut self, now: Timestamp, reading: Duration) {
        self.acts.staged.retain(|_, until| reading < *until);
        let mut ops = Vec::new();
        let mut looked = Vec::new();
        {
            let facts = Self::facts(&self.shared);
            let wishing = facts.pools.iter().filter(|(name, pool)| {
                pool.wish.is_some()
                    && !self.acts.staged.contains_key(*name)
                    && !self.claims.contains_key(&Claim::Pool(name.to_string()))
            });
            for (name, pool) in wishing {
                let Some(wish) = &pool.wish else {
                    continue;
                };
                let staging = facts.staging(name, pool, &wish.settings, &wish.staged, now);
                let wake = staging.wake_at().map(|at| at.since(now));
                let rest = wake.map_or(REST, |wake| wake.clamp(Duration::from_secs(1), REST));
                let until = reading.saturating_add(rest);
                looked.push((Arc::clone(name), until));
                if pool.takes_a_step(wish, &staging) {
                    ops.push(Op::StagePool {
                        pool: name.to_string(),
                    });
                }
            }
        }
        self.acts.staged.extend(looked);
        if !ops.is_empty() {
            self.act(ops);
        }
    }

    /// Lets wishes be looked at again at once: a step was taken, and another may be due.
    pub(super) fn staged(&mut self, pool: &str) {
        self.acts.staged.remove(pool);
    }
}

impl PoolFacts {
    /// Returns whether something else may be in effect than is.
    pub(super) fn takes_a_step(&self, wish: &Wish, staging: &Staging) -> bool {
        let done = staging.waits.is_empty() && staging.effective == *wish.settings;
        done || staging.effective != *self.recipe.settings
            || staging.names_below != wish.names_below
    }

    /// Returns every version of the settings that somebody may still hold, oldest first.
    fn lapses(&self) -> Vec<Lapse<&PoolSettings>> {
        let earlier = self.earlier.iter().map(|lapse| Lapse {
            what: &*lapse.what.settings,
            on: lapse.on,
            off: lapse.off,
        });
        let current = Lapse {
            what: &*self.recipe.settings,
            on: self.since,
            off: None,
        };
        earlier.chain([current]).collect()
    }

    /// Returns since when the pool's policy is what it is.
    fn policy_since(&self) -> Timestamp {
        let newest_first = self.earlier.iter().rev();
        let same = newest_first.take_while(|lapse| lapse.what.policy == self.policy);
        same.last().map_or(self.since, |lapse| lapse.on)
    }
}

impl Facts {
    /// Returns what of `wanted` may be in effect in a pool now.
    pub(super) fn staging(
        &self,
        name: &str,
        pool: &PoolFacts,
        wanted: &PoolSettings,
        staged: &[mail::Staged],
        now: Timestamp,
    ) -> Staging {
        let members = || self.members_of(name);
        let versions = pool.lapses();
        let propagation = versions.iter().map(|it| it.what.timing().propagation).max();
        let propagation = propagation.unwrap_or(Span::from_secs(0));
        let served = if self.judgement.watched {
            Served::Seen(self.seen_everywhere(members()))
        } else {
            Served::Assumed(propagation)
        };
        let zone_of = |host: &Name| self.zone_of_host(host, propagation);
        let facts = StageFacts {
            now,
            versions: &versions,
            served,
            policy_shown: policy_shown(pool, members()),
            deferred: self.last_deferral(pool, name, members(), now),
            zone_of: &zone_of,
        };
        let Some((rule, what, until)) = self.keeps_all(name, now) else {
            return mail::stage(wanted, staged, &facts);
        };
        // What only adds goes on.
        let (kept, mut pointers) = wanted.keeping(&pool.recipe.settings);
        if pool.knows_below() && !kept.subdomains() {
            pointers.push("/subdomains".to_owned());
        }
        let mut staging = mail::stage(&kept, staged, &facts);
        staging.names_below |= pool.knows_below();
        let waits = pointers.into_iter().map(|pointer| mail::StageWait {
            pointer,
            rule,
            what: what.clone(),
            not_before: until,
        });
        staging.waits.extend(waits);
        staging
    }

    /// Returns why nothing may be withdrawn from a pool's domains now, if so: one of them is held (I4),
    /// its servers fail (I5), or the store was restored (K28); and until when, if that is known.
    fn keeps_all(
        &self,
        pool: &str,
        now: Timestamp,
    ) -> Option<(&'static str, String, Option<Timestamp>)> {
        let states = LifecycleState::ALL.into_iter();
        let mut members = states.flat_map(|state| self.members(pool, state));
        let held = members.find(|(_, domain)| {
            let life = domain.life.as_ref();
            life.is_some_and(|life| life.hold.is_some())
        });
        if let Some((name, _)) = held {
            let name = name.to_api_text();
            let what = format!("{name} is held: nothing is withdrawn from the pool's domains");
            return Some((lifecycle::Rule::I4.id(), what, None));
        }
        if let Some(kept) = self.fails(pool, now) {
            return Some(kept);
        }
        let until = self.recovering_until().filter(|until| now < *until)?;
        let what = "the store was restored from a backup; what it has forgotten may still be \
                    promised"
            .to_owned();
        Some((lifecycle::Rule::K28.id(), what, Some(until)))
    }

    /// Returns whose listed servers do not answer, and until when caches may serve what expired because
    /// none did (I5).
    fn fails(
        &self,
        pool: &str,
        now: Timestamp,
    ) -> Option<(&'static str, String, Option<Timestamp>)> {
        let rule = lifecycle::Rule::I5;
        if !self.judgement.book.holds(rule) {
            return None;
        }
        let mut stale = None;
        for state in LifecycleState::ALL {
            for (name, domain) in self.members(pool, state) {
                let observed = domain.life.as_ref().map(|life| &life.observed);
                let Some(observed) = observed.filter(|_| !domain.is_dropped()) else {
                    continue;
                };
                let answers = observed
                    .servers
                    .is_none_or(|(seen, _)| seen == ServersSeen::All);
                if self.judgement.watched && !answers {
                    let name = name.to_api_text();
                    let what = format!("a listed name server of {name} does not answer");
                    return Some((rule.id(), what, None));
                }
                stale = stale.max(observed.stale_until());
            }
        }
        let until = stale.filter(|until| now < *until)?;
        let what = "no listed name server answered, and caches may serve what expired for three \
                    days";
        Some((rule.id(), what.to_owned(), Some(until)))
    }

    /// Returns the domains of a pool that are served.
    fn members_of<'f>(&'f self, pool: &'f str) -> impl Iterator<Item = &'f DomainFacts> {
        let states = LifecycleState::ALL.into_iter();
        let members = states.flat_map(move |state| self.members(pool, state));
        members
            .map(|(_, domain)| domain)
            .filter(|domain| !domain.is_dropped())
    }

    /// Returns since when every listed server serves the newest content of all domains; `None` while
    /// one does not, or was not looked at.
    fn seen_everywhere<'f>(
        &self,
        members: impl Iterator<Item = &'f DomainFacts>,
    ) -> Option<Timestamp> {
        let mut newest = Timestamp::from_secs(0);
        for domain in members {
            let (_, seen) = domain.life.as_ref()?.content?;
            newest = newest.max(seen?);
        }
        Some(newest)
    }

    /// Returns what is known of the zone of a shared host, if that is one of the operator's.
    fn zone_of_host(&self, host: &Name, propagation: Span) -> Option<HostZone> {
        let (apex, zone) = self.operator_zone_of(host)?;
        Some(HostZone {
            negative_ttl: zone.negative_ttl(apex)?,
            served: if self.judgement.watched {
                Served::Seen(zone.arrival.seen)
            } else {
                Served::Assumed(propagation)
            },
        })
    }

    /// Returns the operator's zone that a host lies in.
    pub(super) fn operator_zone_of(&self, host: &Name) -> Option<(&Apex, &ZoneFacts)> {
        let own = Apex::new(host.clone()).ok();
        let mut above = own.into_iter().chain(ancestors(host));
        above.find_map(|apex| self.zones.get_key_value(&apex))
    }

    /// Returns whether a pool with domains names a host that this pool says the addresses of, too.
    pub(super) fn serves_others(&self, name: &str, pool: &PoolFacts) -> bool {
        let hosts = pool.recipe.settings.mail_hosts().iter();
        let owned = hosts.filter(|host| !host.addresses.is_empty());
        let owned: BTreeSet<&Name> = owned.filter_map(|host| host.name.as_shared()).collect();
        let mut others = self.pools.iter().filter(|(other, _)| ***other != *name);
        others.any(|(_, other)| {
            let mut named = other.recipe.settings.mail_hosts().iter();
            other.counts.iter().any(|count| *count > 0)
                && named.any(|host| host.name.as_shared().is_some_and(|it| owned.contains(it)))
        })
    }

    /// Returns when a pool's hosts last made senders defer (R2).
    fn last_deferral<'f>(
        &self,
        pool: &PoolFacts,
        name: &str,
        members: impl Iterator<Item = &'f DomainFacts>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let hosts = pool.recipe.settings.mail_hosts().iter();
        let hosts = hosts.filter_map(|host| {
            let key = super::life::host_key(&host.name, name);
            self.hosts.get(&key)
        });
        let hosts: Vec<&HostRecord> = hosts.collect();
        let applied = hosts.iter().filter_map(|host| Some(host.applied?.0)).min();
        let domains = members.filter_map(|domain| {
            let life = domain.life.as_ref()?;
            let later = life.suspension.as_ref();
            let later = later.filter(|it| it.answer == RoutingAnswer::Later);
            let suspended = later.map(|it| it.until.map_or(now, |until| until.max(now)));
            // What may defer still does so now: a host that was seen down, or lags behind the routing.
            let in_use = [LifecycleState::Active, LifecycleState::Draining].contains(&domain.state);
            let red = life
                .observed
                .mail
                .is_some_and(|it| it.green_since.is_none());
            let lags = applied.is_some_and(|applied| applied < domain.routed);
            let still = (in_use && (red || lags)).then_some(now);
            let known = life.deferred.max(life.observed.deferred);
            known.max(suspended).max(still)
        });
        let hosts = hosts.iter().filter_map(|host| host.deferred);
        hosts.chain(domains).chain(self.down_until).max()
    }
}

/// Returns since when every domain announces the policy that it is to; `None` while one does not (S9).
fn policy_shown<'f>(
    pool: &PoolFacts,
    members: impl Iterator<Item = &'f DomainFacts>,
) -> Option<Timestamp> {
    let mut since = pool.policy_since();
    let (settings, adoption) = (&*pool.recipe.settings, pool.policy.as_ref());
    for domain in members {
        let Some(life) = &domain.life else {
            continue;
        };
        if life.policy == ShownPolicy::Gone {
            continue;
        }
        let shown = shown_id(&life.policy, settings, adoption).0;
        let phase = Standing::of(domain).phase(life);
        let wanted = wanted_id(phase, &life.policy, settings, adoption);
        if wanted.is_some() && shown != wanted {
            return None;
        }
        let turned = life.turns.current().map(|turn| turn.on);
        since = since.max(turned.unwrap_or(since));
    }
    Some(since)
}
