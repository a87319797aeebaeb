//! The versions of one thing.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// One version of a thing: what it was, since when, until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lapse<T> {
    /// What it was.
    pub what: T,
    /// Since when; the earliest moment where many share it.
    pub on: Timestamp,
    /// Until when, the latest moment where many share it; `None` for the current one.
    pub off: Option<Timestamp>,
}

/// The versions of one thing, oldest first; at most the last one is current.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline<T>(Vec<Lapse<T>>);

impl<T> Default for Timeline<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Timeline<T> {
    /// Returns the history of a thing that is `what` since `on`.
    pub fn since(on: Timestamp, what: T) -> Self {
        let first = Lapse {
            what,
            on,
            off: None,
        };
        Self(vec![first])
    }

    /// Says that the thing is `what` from `now` on; a clock that went back moves no version before
    /// the one it follows.
    pub fn put(&mut self, now: Timestamp, what: T) {
        let now = self.0.last().map_or(now, |last| now.max(last.on));
        self.close(now);
        self.0.push(Lapse {
            what,
            on: now,
            off: None,
        });
    }

    /// Says that the thing is gone from `now` on.
    pub fn close(&mut self, now: Timestamp) {
        if let Some(last) = self.0.last_mut()
            && last.off.is_none()
        {
            last.off = Some(now.max(last.on));
        }
    }

    /// Drops the versions that `over` says nobody can hold any more; never the current one.
    pub fn prune(&mut self, mut over: impl FnMut(&Lapse<T>) -> bool) {
        self.0.retain(|lapse| lapse.off.is_none() || !over(lapse));
    }

    /// Returns the current version.
    pub fn current(&self) -> Option<&Lapse<T>> {
        self.0.last().filter(|last| last.off.is_none())
    }

    /// Returns every version, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Lapse<T>> {
        self.0.iter()
    }

    /// Returns how many versions are kept.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Lapse<T> {
    /// Returns the part of this version between two moments, if there is one.
    pub fn within(&self, from: Timestamp, to: Option<Timestamp>) -> Option<Lapse<&T>> {
        let on = self.on.max(from);
        let off = match (self.off, to) {
            (Some(off), Some(to)) => Some(off.min(to)),
            (off, to) => off.or(to),
        };
        // What came and went within one second was served, too, and a cache may have asked then.
        let is_short = self.off == Some(self.on) || to == Some(from);
        let some = off.is_none_or(|off| on < off || on == off && is_short);
        some.then_some(Lapse {
            what: &self.what,
            on,
            off,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[test]
    fn a_new_version_ends_the_one_before() {
        let mut timeline = Timeline::since(at(10), 'a');
        timeline.put(at(20), 'b');

        let versions: Vec<_> = timeline.iter().map(|it| (it.what, it.on, it.off)).collect();

        assert_eq!(versions, [('a', at(10), Some(at(20))), ('b', at(20), None)]);
        assert_eq!(timeline.current().map(|it| it.what), Some('b'));
    }

    #[test]
    fn a_clock_that_went_back_turns_no_version_around() {
        let mut timeline = Timeline::since(at(10), 'a');
        timeline.put(at(5), 'b');

        assert!(
            timeline
                .iter()
                .all(|it| it.off.is_none_or(|off| it.on <= off))
        );
    }

    #[test]
    fn what_is_current_is_never_pruned() {
        let mut timeline = Timeline::since(at(10), 'a');
        timeline.put(at(20), 'b');

        timeline.prune(|_| true);

        assert_eq!(timeline.len(), 1);
        assert_eq!(timeline.current().map(|it| it.what), Some('b'));
    }

    #[test]
    fn a_part_of_a_version_lies_in_both() {
        let lapse = Lapse {
            what: 'a',
            on: at(10),
            off: Some(at(20)),
        };

        assert_eq!(lapse.within(at(15), None).map(|it| it.on), Some(at(15)));
        assert_eq!(
            lapse.within(at(0), Some(at(12))).map(|it| it.off),
            Some(Some(at(12)))
        );
        assert_eq!(lapse.within(at(20), None), None);
    }

    #[test]
    fn what_lived_for_less_than_a_second_was_served_all_the_same() {
        let mut timeline = Timeline::since(at(10), 'a');
        timeline.put(at(10), 'b');

        let parts = timeline.iter().filter_map(|it| it.within(at(5), None));

        assert_eq!(parts.map(|it| *it.what).collect::<Vec<_>>(), ['a', 'b']);
        let ended = Lapse {
            what: 'a',
            on: at(10),
            off: Some(at(20)),
        };
        assert_eq!(ended.within(at(20), Some(at(30))), None, "no part of it");
    }
}
