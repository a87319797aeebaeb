//! What one rule says of a step.

use std::fmt;

use super::{Rule, Rulebook};
use crate::clock::Timestamp;

/// What one rule says of a step at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// It holds, and the fact that satisfies it.
    Passed(String),
    /// It holds from a moment on.
    Until(Timestamp, String),
    /// It is not known whether it holds.
    Unknown(String),
    /// It was seen not to hold: no force skips that; and when that is over, where it is known.
    Unsafe(Option<Timestamp>, String),
}

/// One rule that a step waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingFor {
    /// The rule's name.
    pub rule: &'static str,
    /// What is missing, in words.
    pub what: String,
    /// The earliest moment at which it can hold, where that is known.
    pub not_before: Option<Timestamp>,
    /// Whether force waits for it all the same.
    pub firm: bool,
}

/// The rules of a step, each with what it says.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds(pub(super) Vec<(Rule, Bound)>);

impl Bound {
    /// Makes a bound that holds from a moment on: the fact that satisfies it then, and what is waited
    /// for until then.
    pub(super) fn until(at: Timestamp, now: Timestamp, passed: String, waits: String) -> Self {
        if now >= at {
            Self::Passed(passed)
        } else {
            Self::Until(at, waits)
        }
    }

    /// Makes a bound that holds from a moment on, in the same words before and after.
    pub(super) fn since(at: Timestamp, now: Timestamp, what: String) -> Self {
        Self::until(at, now, what.clone(), what)
    }
}

impl Bounds {
    /// Asks a rule what it says, unless it is left out; nothing is added where it does not bind.
    pub(super) fn ask(
        &mut self,
        book: &Rulebook,
        rule: Rule,
        says: impl FnOnce() -> Option<Bound>,
    ) {
        if book.holds(rule)
            && let Some(bound) = says()
        {
            self.add(rule, bound);
        }
    }

    /// Adds what a rule says.
    pub(super) fn add(&mut self, rule: Rule, bound: Bound) {
        self.0.push((rule, bound));
    }

    /// Adds a rule that holds from a moment on, or holds already.
    pub(super) fn add_until(&mut self, rule: Rule, at: Timestamp, now: Timestamp, what: String) {
        let passed = format!("{what}: since {at}");
        self.add(rule, Bound::until(at, now, passed, what));
    }

    /// Returns what is waited for.
    pub(super) fn waiting(&self) -> Vec<WaitingFor> {
        let rules = self.0.iter();
        let waiting = rules.filter_map(|(rule, bound)| {
            let (what, not_before, firm) = match bound {
                Bound::Passed(_) => return None,
                Bound::Until(at, what) => (what, Some(*at), false),
                Bound::Unknown(what) => (what, None, false),
                Bound::Unsafe(at, what) => (what, *at, true),
            };
            Some(WaitingFor {
                rule: rule.id(),
                what: what.clone(),
                not_before,
                firm,
            })
        });
        waiting.collect()
    }

    /// Returns whether every rule holds.
    pub(super) fn all_passed(&self) -> bool {
        let mut bounds = self.0.iter();
        bounds.all(|(_, bound)| matches!(bound, Bound::Passed(_)))
    }

    /// Returns the latest moment that a rule waits for, whatever else is unknown.
    pub(super) fn latest(&self) -> Option<Timestamp> {
        let moments = self.0.iter().filter_map(|(_, bound)| match bound {
            Bound::Until(at, _) => Some(*at),
            Bound::Unsafe(at, _) => *at,
            Bound::Passed(_) | Bound::Unknown(_) => None,
        });
        moments.max()
    }

    /// Returns from when on every rule holds by the clock alone; `None` if one needs more, or none
    /// is waited for.
    pub(super) fn passes_at(&self) -> Option<Timestamp> {
        let mut at = None;
        for (_, bound) in &self.0 {
            match bound {
                Bound::Passed(_) => {}
                Bound::Until(moment, _) | Bound::Unsafe(Some(moment), _) => {
                    at = at.max(Some(*moment));
                }
                Bound::Unknown(_) | Bound::Unsafe(None, _) => return None,
            }
        }
        at
    }
}

impl fmt::Display for WaitingFor {
    /// Writes `A1: what is missing, not before …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)?;
        match self.not_before {
            Some(moment) => write!(f, ", not before {moment}"),
            None => Ok(()),
        }
    }
}
