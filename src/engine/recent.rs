//! Which domains changed lately.

use std::collections::VecDeque;

use crate::wire::Apex;

/// How many of the latest changes are kept: who is further behind looks at all domains.
const KEPT: usize = 1024;

/// The domains that changed last, so that who has chosen among them looks at those again alone.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// How many changes came before those that are kept.
    before: u64,
    /// The domains of the latest changes, oldest first.
    domains: VecDeque<Apex>,
    /// How often something happened that ends waits, and begins none.
    eased: u64,
}

/// Up to where somebody has followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// How many changes of domains that were.
    changes: u64,
    /// How many times waits may have ended.
    eased: u64,
}

impl Recent {
    /// Notes that a domain changed, came or went.
    pub(super) fn note(&mut self, apex: Apex) {
        self.domains.push_back(apex);
        if self.domains.len() > KEPT {
            self.domains.pop_front();
            self.before += 1;
        }
    }

    /// Notes that any of the domains may stand otherwise.
    pub(super) fn note_all(&mut self) {
        self.before += self.domains.len() as u64 + 1;
        self.domains.clear();
    }

    /// Notes that domains which wait may wait no longer; for all others nothing changed.
    pub(super) fn note_eased(&mut self) {
        self.eased += 1;
    }

    /// Returns where one stands who has followed everything.
    pub(super) fn place(&self) -> Place {
        Place {
            changes: self.before + self.domains.len() as u64,
            eased: self.eased,
        }
    }

    /// Returns the domains that changed since, some of them again and again; `None` where that can be
    /// any.
    pub(super) fn changed_since(&self, place: Place) -> Option<impl Iterator<Item = &Apex>> {
        let behind = place.changes.checked_sub(self.before)?;
        let behind = usize::try_from(behind).ok()?;
        Some(self.domains.iter().skip(behind))
    }

    /// Returns whether waits may have ended since.
    pub(super) fn eased_since(&self, place: Place) -> bool {
        place.eased != self.eased
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_too_far_behind_looks_at_all() {
        let name = |number: usize| Apex::parse(&format!("d{number}.example")).unwrap();
        let mut recent = Recent::default();
        let first = recent.place();
        (0..KEPT).for_each(|number| recent.note(name(number)));
        let count = |recent: &Recent, at| recent.changed_since(at).map(Iterator::count);
        assert_eq!(count(&recent, first), Some(KEPT));

        recent.note(name(KEPT));
        let second = recent.place();

        assert_eq!(count(&recent, first), None);
        assert_eq!(count(&recent, second), Some(0));
        recent.note(name(7));
        let changed = recent.changed_since(second).map(|it| it.cloned().collect());
        assert_eq!(changed, Some(vec![name(7)]));
        recent.note_all();
        assert_eq!(count(&recent, second), None);
        assert_eq!(count(&recent, recent.place()), Some(0));
    }
}
