//! Signing again what is due, and what else the clock asks for.

use std::collections::{BTreeMap, HashSet};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::time::Duration;

use super::facts::Facts;
use super::job::{Claim, JobId};
use super::prepare::{PrepareError, Prepared, Work, ZoneTask};
use super::workers::{Chunk, Urgency};
use super::writer::{CHUNK, Writer};
use crate::clock::Timestamp;
use crate::store::record::{self, EventsRecord};
use crate::store::{Direction, Space};
use crate::wire::Apex;

/// How many zones are signed again at a time: bounds the memory of a burst.
const IN_FLIGHT: usize = 256;

/// How long events are kept.
const EVENTS_KEPT: Duration = Duration::from_secs(90 * 86_400);

/// How many old events go at a time.
const EVENTS_SWEPT: usize = 256;

/// How long re-signing rests after it failed.
const REST: Duration = Duration::from_secs(60);

/// How often zones that are late are complained about.
const COMPLAINT: Duration = Duration::from_secs(3600);

/// How much of a signature's life is left when somebody must act at once (K11).
const PAGE: Duration = Duration::from_secs(3 * 86_400);

/// The zones that are being signed again.
#[derive(Debug, Default)]
pub(super) struct Renewals {
    /// Those that are with the workers or wait for the commit.
    zones: HashSet<Apex>,
    /// Those that wait for the commit.
    pub(super) ready: Vec<Prepared>,
    /// Until when re-signing rests, because it failed.
    rests_until: Option<Timestamp>,
    /// When late zones were complained about.
    complained: Option<Timestamp>,
    /// When pools' figures were counted.
    counted: Option<Timestamp>,
    /// When the first signature of each pool expires, as last counted.
    pub(super) earliest: BTreeMap<Arc<str>, Timestamp>,
}

impl Renewals {
    /// Returns whether no zone is being signed again.
    pub(super) fn is_idle(&self) -> bool {
        self.zones.is_empty() && self.ready.is_empty()
    }

    /// Lets re-signing rest for a while.
    fn rest(&mut self, now: Timestamp) {
        self.rests_until = Some(now.saturating_add(REST));
    }

    /// Takes what is ready out, for a commit.
    pub(super) fn take_ready(&mut self) -> Vec<Prepared> {
        std::mem::take(&mut self.ready)
    }

    /// Notes that zones are served anew, or that it failed and must be tried again.
    pub(super) fn done(&mut self, zones: impl IntoIterator<Item = Apex>) {
        for apex in zones {
            self.zones.remove(&apex);
        }
    }

    /// Notes that zones could not be stored.
    pub(super) fn failed(&mut self, zones: impl IntoIterator<Item = Apex>, now: Timestamp) {
        self.done(zones);
        self.rest(now);
    }
}

impl Writer {
    /// Has zones that are due signed again, whole, some at a time.
    pub(super) fn renew_due(&mut self) {
        let wall = self.shared.clock.now();
        self.look_after_pools(wall);
        if self.renewals.zones.len() > IN_FLIGHT - CHUNK
            || self.renewals.rests_until.is_some_and(|until| wall < until)
        {
            return;
        }
        let facts = Self::facts(&self.shared);
        let first = facts.due.first();
        if first.is_none_or(|(at, _)| *at > wall) {
            return;
        }
        let now = match self.guard.now(&*self.shared.clock) {
            Ok(now) => now,
            Err(error) => {
                tracing::error!(%error, "zones are due to be signed again, but the clock is wrong");
                self.renewals.rest(wall);
                return;
            }
        };
        let due = facts.due.iter().take_while(|(at, _)| *at <= now);
        let idle = due.filter(|(_, apex)| {
            !self.renewals.zones.contains(apex)
                && !self.claims.contains_key(&Claim::Name(apex.clone()))
        });
        let room = IN_FLIGHT - self.renewals.zones.len();
        let served = idle.filter_map(|(_, apex)| Some((apex, facts.served(apex)?)));
        let mut tasks = Vec::new();
        for (apex, served) in served.take(room) {
            self.last_version += 1;
            tasks.push(ZoneTask {
                apex: apex.clone(),
                version: self.last_version,
                serial: served.serial.next(now.date_number()),
                base: Some(served.clone()),
                work: Work::Renew(facts.signing(apex)),
            });
        }
        drop(facts);
        if tasks.is_empty() {
            return;
        }
        self.guard.note_signing(now);
        self.renewals
            .zones
            .extend(tasks.iter().map(|task| task.apex.clone()));
        let mut tasks = tasks.into_iter().peekable();
        while tasks.peek().is_some() {
            let chunk = Chunk {
                job: JobId::RENEWAL,
                now,
                tasks: tasks.by_ref().take(CHUNK).collect(),
            };
            self.workers.submit(chunk, Urgency::Large);
        }
    }

    /// Takes in zones that were signed again.
    pub(super) fn take_renewed(&mut self, zones: Vec<Result<Prepared, (Apex, PrepareError)>>) {
        let now = self.shared.clock.now();
        for zone in zones {
            match zone {
                Ok(prepared) => self.renewals.ready.push(prepared),
                Err((apex, PrepareError::Overtaken)) => self.renewals.done([apex]),
                Err((apex, error)) => {
                    tracing::error!(%apex, %error, "a zone could not be signed again");
                    self.renewals.failed([apex], now);
                }
            }
        }
    }

    /// Counts what is shown of pools once a minute, and complains about signatures that should
    /// have been renewed long ago (K11).
    fn look_after_pools(&mut self, now: Timestamp) {
        let counted = self.renewals.counted;
        if counted.is_some_and(|at| now.since(at) < Duration::from_secs(60) && at <= now) {
            return;
        }
        self.renewals.counted = Some(now);
        let facts = Self::facts(&self.shared);
        self.old_events = self.events_before(now.saturating_sub(EVENTS_KEPT));
        self.renewals.earliest = facts.earliest_expirations();
        self.renewals.complain(&facts, now);
        drop(facts);
        self.show_figures();
    }
}

impl Writer {
    /// Returns the keys of some events that are older than `moment`.
    fn events_before(&self, moment: Timestamp) -> Vec<Vec<u8>> {
        let mut old = Vec::new();
        let scanned = self.shared.store.scan(
            Space::Event,
            Bound::Unbounded,
            Direction::Ascending,
            &mut |key, value| {
                // One that cannot be read is left for whoever asks for it.
                let is_old = record::decode::<EventsRecord>(value).is_ok_and(|it| it.at < moment);
                if !is_old || old.len() == EVENTS_SWEPT {
                    return ControlFlow::Break(());
                }
                old.push(key.to_vec());
                ControlFlow::Continue(())
            },
        );
        if let Err(error) = scanned {
            tracing::error!(%error, "old events cannot be looked for");
        }
        old
    }
}

impl Renewals {
    /// Says which pools' signatures are about to expire.
    fn complain(&mut self, facts: &Facts, now: Timestamp) {
        if self.complained.is_some_and(|at| now.since(at) < COMPLAINT) {
            return;
        }
        let pools = self.earliest.iter().filter_map(|(name, expiration)| {
            let signing = &facts.pools.get(name)?.recipe.signing;
            Some((format!("pool {name}"), *expiration, signing.refresh()))
        });
        let zones = facts.zones.iter().map(|(apex, zone)| {
            let expiration = zone.served.earliest_expiration;
            let refresh = facts.signing(apex).refresh();
            (format!("zone {}", apex.to_api_text()), expiration, refresh)
        });
        for (whose, expiration, refresh) in pools.chain(zones) {
            let refresh = refresh.as_duration();
            let left = expiration.since(now);
            if left >= refresh / 2 {
                continue;
            }
            self.complained = Some(now);
            // With lifetimes of hours, as in tests, three days are never left.
            if left < PAGE.min(refresh / 4) {
                tracing::error!(%whose, %expiration, "signatures expire, the zones fail then");
            } else {
                tracing::warn!(%whose, %expiration, "signatures are late to be renewed");
            }
        }
    }
}
