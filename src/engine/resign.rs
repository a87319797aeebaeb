//! Signing again what is due, and what else the clock asks for.

use std::collections::{HashMap, HashSet};
use std::ops::{Bound, ControlFlow};
use std::time::Duration;

use super::census::Censuses;
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

/// How many old events go at a time: every second while more are left, so that they go faster than
/// they come.
const EVENTS_SWEPT: usize = 1024;

/// How long re-signing rests after it failed, by the clock that nobody sets.
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
    /// Until when all re-signing rests, because nothing could be signed or stored. This and what
    /// follows are monotonic readings: a wall clock that was wrong for a while leaves no trace.
    rests_until: Option<Duration>,
    /// Until when single zones rest, because they could not be signed.
    resting: HashMap<Apex, Duration>,
    /// When late zones were complained about.
    complained: Option<Duration>,
    /// When pools' figures were shown.
    shown: Option<Duration>,
    /// When old events were looked for.
    swept: Option<Duration>,
    /// Whether more old events are left than were found.
    more_events: bool,
}

impl Renewals {
    /// Returns whether no zone is being signed again.
    pub(super) fn is_idle(&self) -> bool {
        self.zones.is_empty() && self.ready.is_empty()
    }

    /// Lets all re-signing rest for a while; `now` is a monotonic reading.
    fn rest(&mut self, now: Duration) {
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

    /// Notes that zones could not be stored; `now` is a monotonic reading.
    pub(super) fn failed(&mut self, zones: impl IntoIterator<Item = Apex>, now: Duration) {
        self.done(zones);
        self.rest(now);
    }

    /// Notes that a zone could not be signed, and lets it alone rest: others have their turn.
    fn rest_zone(&mut self, apex: Apex, now: Duration) {
        self.zones.remove(&apex);
        self.resting.insert(apex, now.saturating_add(REST));
    }
}

impl Writer {
    /// Has zones that are due signed again, whole, some at a time.
    pub(super) fn renew_due(&mut self) {
        let wall = self.shared.clock.now();
        let reading = self.shared.clock.monotonic();
        self.look_after_pools(wall, reading);
        self.look_for_old_events(reading);
        let rests_until = self.renewals.rests_until;
        if self.renewals.zones.len() > IN_FLIGHT - CHUNK
            || rests_until.is_some_and(|until| reading < until)
        {
            return;
        }
        self.renewals.resting.retain(|_, until| reading < *until);
        let facts = Self::facts(&self.shared);
        let first = facts.due.first();
        if first.is_none_or(|(at, _)| *at > wall) {
            return;
        }
        let now = match self.guard.now(&*self.shared.clock) {
            Ok(now) => now,
            Err(error) => {
                tracing::error!(%error, "zones are due to be signed again, but the clock is wrong");
                self.renewals.rest(reading);
                return;
            }
        };
        let due = facts.due.iter().take_while(|(at, _)| *at <= now);
        let idle = due.filter(|(_, apex)| {
            !self.renewals.zones.contains(apex)
                && !self.renewals.resting.contains_key(apex)
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
        let reading = self.shared.clock.monotonic();
        for zone in zones {
            match zone {
                Ok(prepared) => self.renewals.ready.push(prepared),
                Err((apex, error)) if Self::facts(&self.shared).overtook(&apex, &error) => {
                    self.renewals.done([apex]);
                }
                Err((apex, error)) => {
                    tracing::error!(%apex, %error, "a zone could not be signed again");
                    self.renewals.rest_zone(apex, reading);
                }
            }
        }
    }

    /// Counts what is shown of pools, shows it once a minute, and complains about signatures that
    /// should have been renewed long ago (K11).
    fn look_after_pools(&mut self, now: Timestamp, reading: Duration) {
        self.count_on(reading);
        let shown = self.renewals.shown;
        if shown.is_some_and(|at| reading.saturating_sub(at) < Duration::from_secs(60)) {
            return;
        }
        self.renewals.shown = Some(reading);
        let censuses = self.show_figures();
        let facts = Self::facts(&self.shared);
        self.renewals.complain(&facts, &censuses, now, reading);
    }
}

impl Writer {
    /// Looks for events that are too old to be kept: once a minute, every second while more are
    /// left.
    fn look_for_old_events(&mut self, reading: Duration) {
        let renewals = &mut self.renewals;
        let patience = Duration::from_secs(if renewals.more_events { 1 } else { 60 });
        let swept = renewals.swept;
        if swept.is_some_and(|at| reading.saturating_sub(at) < patience)
            || !self.old_events.is_empty()
        {
            return;
        }
        renewals.swept = Some(reading);
        // By a clock that is a year ahead, every event would be too old.
        let Ok(now) = self.guard.now(&*self.shared.clock) else {
            return;
        };
        self.old_events = self.events_before(now.saturating_sub(EVENTS_KEPT));
        self.renewals.more_events = self.old_events.len() >= EVENTS_SWEPT;
    }

    /// Returns the keys of some events that are older than `moment`.
    fn events_before(&self, moment: Timestamp) -> Vec<Vec<u8>> {
        let mut old = Vec::new();
        // Those that cannot be read since the last one that could.
        let mut unreadable = Vec::new();
        let scanned = self.shared.store.scan(
            Space::Event,
            Bound::Unbounded,
            Direction::Ascending,
            &mut |key, value| {
                match record::decode::<EventsRecord>(value) {
                    Ok(events) if events.at < moment => {
                        // What was stored before an old one is older still.
                        old.append(&mut unreadable);
                        old.push(key.to_vec());
                    }
                    Ok(_) => return ControlFlow::Break(()),
                    Err(error) => {
                        tracing::debug!(%error, "an event cannot be read");
                        if unreadable.len() < EVENTS_SWEPT {
                            unreadable.push(key.to_vec());
                        }
                    }
                }
                if old.len() < EVENTS_SWEPT {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
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
    fn complain(&mut self, facts: &Facts, censuses: &Censuses, now: Timestamp, reading: Duration) {
        let complained = self.complained;
        if complained.is_some_and(|at| reading.saturating_sub(at) < COMPLAINT) {
            return;
        }
        let pools = censuses.iter().filter_map(|(name, census)| {
            let signing = &facts.pools.get(name)?.recipe.signing;
            let expiration = census.earliest_expiry?;
            Some((format!("pool {name}"), expiration, signing.refresh()))
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
            self.complained = Some(reading);
            // With lifetimes of hours, as in tests, three days are never left.
            if left < PAGE.min(refresh / 4) {
                tracing::error!(%whose, %expiration, "signatures expire, the zones fail then");
            } else {
                tracing::warn!(%whose, %expiration, "signatures are late to be renewed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::facts::{Arrival, Served, SharedTemplate, ZoneFacts};
    use crate::wire::Serial;
    use crate::zone::Template;

    const NOW: Timestamp = Timestamp::from_secs(1_795_537_800);

    #[test]
    fn a_clock_that_was_ahead_does_not_silence_complaints_for_as_long() {
        let mut facts = Facts::default();
        let zone = ZoneFacts {
            revision: 1,
            records: Arc::default(),
            content: Arc::default(),
            arrival: Arrival {
                serial: Serial::new(1),
                seen: None,
                denied: None,
            },
            served: Served {
                version: 1,
                serial: Serial::new(1),
                earliest_expiration: NOW.saturating_add(COMPLAINT),
                ds: Box::default(),
                template: SharedTemplate::new(Template::new(Vec::new()).unwrap()),
            },
        };
        facts.put_zone(Apex::parse("infra.test").unwrap(), zone);
        let mut renewals = Renewals::default();
        let none = Censuses::default();
        let ahead = NOW.saturating_add(400 * Duration::from_secs(86_400));
        renewals.complain(&facts, &none, ahead, Duration::ZERO);
        assert_eq!(renewals.complained, Some(Duration::ZERO));

        let almost = COMPLAINT.saturating_sub(Duration::from_secs(1));
        renewals.complain(&facts, &none, NOW, almost);
        assert_eq!(renewals.complained, Some(Duration::ZERO));
        renewals.complain(&facts, &none, NOW, COMPLAINT);
        assert_eq!(renewals.complained, Some(COMPLAINT));
    }
}
