//! How often domains that take no mail are still asked for (X5).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::facts::{DomainFacts, Facts};
use super::writer::Writer;
use crate::clock::Timestamp;
use crate::mail::MailForm;
use crate::store::record::{self, CountRecord};
use crate::store::{Batch, Space};
use crate::wire::Apex;
use crate::zone::{QueryCounter, ZoneImage};

/// What is counted: a day.
const DAY: Duration = Duration::from_secs(86_400);

/// How many days are written down in one commit, of which there is one a second: changes come in
/// between. With 100 000 domains of one moment all are within a quarter of an hour, and their days
/// part for good.
const AT_ONCE: usize = 128;

/// The counters of the domains with a null MX.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// The count of each.
    counts: BTreeMap<Apex, Counting>,
    /// Those whose first day has not begun.
    new: Vec<Apex>,
    /// Those whose day has begun, the longest ago first; all days are of one length.
    running: VecDeque<(Duration, Apex)>,
}

/// The count of one domain.
#[derive(Debug, Default)]
struct Counting {
    /// What the data plane counts with, in this run.
    counter: Arc<QueryCounter>,
    /// When the day began, as a reading of the clock that nobody sets, and what the counter said; a
    /// run begins a day anew, as nothing was counted while nobody ran.
    day: Option<(Duration, u64)>,
    /// The last whole day.
    last: Option<CountRecord>,
}

/// How often a domain's MX is asked for here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueriesPerDay {
    /// The domain.
    pub name: Apex,
    /// Questions in the last whole day; `None` until one is over, and when the last is long over.
    pub queries: Option<u64>,
    /// When that day ended.
    pub until: Option<Timestamp>,
}

impl Counters {
    /// Counts a domain from now on, or no more.
    pub(super) fn follow(&mut self, apex: &Apex, domain: &DomainFacts) {
        let form = domain.life.as_ref().map(|life| life.form.mail);
        if form == Some(MailForm::Null) && !domain.is_dropped() {
            self.begin(apex);
        } else {
            self.forget(apex);
        }
    }

    /// Counts a domain from now on, if it was not.
    fn begin(&mut self, apex: &Apex) {
        if let Entry::Vacant(vacant) = self.counts.entry(apex.clone()) {
            vacant.insert(Counting::default());
            self.new.push(apex.clone());
        }
    }

    /// Counts a domain no more.
    pub(super) fn forget(&mut self, apex: &Apex) {
        self.counts.remove(apex);
    }

    /// Takes in what was stored of a domain's last day.
    pub(super) fn remember(&mut self, apex: &Apex, record: CountRecord) {
        if let Some(counting) = self.counts.get_mut(apex) {
            counting.last = Some(record);
        }
    }

    /// Returns an image with its counter, if its domain has one.
    pub(super) fn counted(&self, image: ZoneImage) -> ZoneImage {
        if self.counts.is_empty() {
            return image;
        }
        let apex = Apex::new(image.apex()).ok();
        match apex.and_then(|apex| self.counts.get(&apex)) {
            Some(counting) => image.counted_by(Arc::clone(&counting.counter)),
            None => image,
        }
    }

    /// Returns what is counted of every domain.
    pub(super) fn list(&self, now: Timestamp) -> Vec<QueriesPerDay> {
        let counts = self.counts.iter().map(|(name, counting)| {
            // A day that is over for longer than another says nothing of today.
            let last = counting.last.filter(|last| now.since(last.until) < 2 * DAY);
            QueriesPerDay {
                name: name.clone(),
                queries: last.map(|last| last.queries),
                until: last.map(|last| last.until),
            }
        });
        counts.collect()
    }

    /// Ends the days that are over, some at a time, and says what they counted.
    fn end_days(&mut self, reading: Duration, now: Timestamp) -> Vec<(Apex, CountRecord)> {
        for apex in std::mem::take(&mut self.new) {
            self.begin_day(apex, reading);
        }
        let mut ended = Vec::new();
        while let Some((began, _)) = self.running.front()
            && reading.saturating_sub(*began) >= DAY
            && ended.len() < AT_ONCE
        {
            let Some((began, apex)) = self.running.pop_front() else {
                break;
            };
            // One that went, and maybe came back, has no such day any more.
            let counting = self.counts.get_mut(&apex);
            let Some(counting) = counting.filter(|it| it.day.is_some_and(|(at, _)| at == began))
            else {
                continue;
            };
            let record = counting.end_day(reading, now);
            self.begin_day(apex.clone(), reading);
            ended.push((apex, record));
        }
        ended
    }

    /// Begins a day of a domain.
    fn begin_day(&mut self, apex: Apex, reading: Duration) {
        let Some(counting) = self.counts.get_mut(&apex) else {
            return;
        };
        counting.day = Some((reading, counting.counter.total()));
        self.running.push_back((reading, apex));
    }
}

impl Counting {
    /// Returns what was counted in the day that is over.
    fn end_day(&mut self, reading: Duration, now: Timestamp) -> CountRecord {
        let total = self.counter.total();
        let (began, before) = self.day.unwrap_or((reading, total));
        // The day may have been a little longer than one.
        let length = reading.saturating_sub(began).as_millis().max(1);
        let queries = (u128::from(total - before) * DAY.as_millis()).div_ceil(length);
        let record = CountRecord {
            queries: u64::try_from(queries).unwrap_or(u64::MAX),
            until: now,
        };
        self.last = Some(record);
        record
    }
}

impl Facts {
    /// Returns how often every domain with a null MX is asked for here.
    pub(super) fn counts(&self, now: Timestamp) -> Vec<QueriesPerDay> {
        self.counters.list(now)
    }
}

impl Writer {
    /// Writes down the counts of days that are over.
    pub(super) fn count_days(&mut self) {
        let reading = self.shared.clock.monotonic();
        let looked = self.acts.days_ended;
        if looked.is_some_and(|at| reading.saturating_sub(at) < Duration::from_secs(1)) {
            return;
        }
        self.acts.days_ended = Some(reading);
        let now = self.guard.likely(&*self.shared.clock);
        let shared = Arc::clone(&self.shared);
        let ended = {
            let facts = shared.facts.write();
            let mut facts = facts.unwrap_or_else(PoisonError::into_inner);
            facts.counters.end_days(reading, now)
        };
        if ended.is_empty() {
            return;
        }
        let mut batch = Batch::new();
        for (apex, count) in &ended {
            batch.put(Space::Count, apex.as_wire(), record::encode(count));
        }
        // A day that is not stored is lost with a crash alone, and the next one follows.
        if let Err(error) = shared.store.commit(&batch) {
            tracing::warn!(%error, "the query counts of a day could not be stored");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn hours(hours: u64) -> Duration {
        Duration::from_secs(hours * 3_600)
    }

    /// Returns counters that follow one domain.
    fn following() -> (Counters, Apex) {
        let apex = Apex::parse("gone.example").unwrap();
        let mut counters = Counters::default();
        counters.begin(&apex);
        (counters, apex)
    }

    #[test]
    fn x5_a_count_is_unknown_until_a_whole_day_was_counted_and_when_it_is_long_over() {
        let (mut counters, apex) = following();
        let now = |hours: u64| Timestamp::from_secs(1_000_000 + hours * 3_600);

        assert!(counters.end_days(hours(0), now(0)).is_empty());
        assert_eq!(counters.list(now(23))[0].queries, None);
        let ended = counters.end_days(hours(24), now(24));

        assert_eq!(ended.len(), 1);
        assert_eq!(ended[0].0, apex);
        assert_eq!(counters.list(now(25))[0].queries, Some(0));
        assert_eq!(counters.list(now(24 + 48))[0].queries, None);
    }

    #[test]
    fn x5_a_run_begins_a_day_anew() {
        let (mut counters, apex) = following();
        let last = CountRecord {
            queries: 7,
            until: Timestamp::from_secs(1_000_000),
        };
        counters.remember(&apex, last);

        let at = Timestamp::from_secs(1_000_000 + 3_600);
        assert!(counters.end_days(hours(100), at).is_empty());
        assert!(counters.end_days(hours(123), at).is_empty());
        assert_eq!(counters.list(at)[0].queries, Some(7));
        assert_eq!(counters.end_days(hours(124), at).len(), 1);
    }
    /// All were looked at every second, while nobody could read a fact.
    #[test]
    fn x5_only_days_that_are_over_are_looked_at() {
        let mut counters = Counters::default();
        let name = |number: usize| Apex::parse(&format!("d{number}.example")).unwrap();
        let at = |hours: u64| Timestamp::from_secs(1_000_000 + hours * 3_600);
        (0..AT_ONCE + 2).for_each(|number| counters.begin(&name(number)));
        counters.end_days(hours(0), at(0));
        // One goes for good, and one comes back: it begins anew.
        counters.forget(&name(0));
        counters.forget(&name(1));
        counters.begin(&name(1));
        counters.begin(&name(1));

        assert!(counters.end_days(hours(12), at(12)).is_empty());
        let first = counters.end_days(hours(24), at(24));
        let second = counters.end_days(hours(25), at(25));
        let third = counters.end_days(hours(36), at(36));

        assert_eq!((first.len(), second.len()), (AT_ONCE, 0));
        assert_eq!(third.len(), 1);
        assert_eq!(third[0].0, name(1));
    }
}
