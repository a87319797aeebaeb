//! Which step a domain may take.

use super::activation::{activation, reactivation};
use super::bound::Bounds;
use super::due::candidates;
use super::release::release;
use super::retirement::{hold, retirement};
use super::{
    Action, Bound, LifecycleState, NsSeen, Rule, Rulebook, Satisfied, Situation, WaitingFor,
};
use crate::clock::Timestamp;
use crate::mail::Retire;

/// Whether a step is taken although it is not known to be safe yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// Rules and unknowns hold the step back.
    No,
    /// The operator takes the step knowingly and says why.
    Yes,
}

/// What a permitted step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The domain stands there already.
    None,
    /// The domain moves at once; these rules held, and these were skipped by force.
    Now {
        /// The rules that held.
        satisfied: Vec<Satisfied>,
        /// The rules that force skipped.
        skipped: Vec<WaitingFor>,
    },
}

/// Why a step is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No such step leads from one state to the other, forced or not.
    Impossible(String),
    /// Rules hold it back.
    TooEarly(Vec<WaitingFor>),
}

/// The step that comes next in a domain's life, and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// The state it leads to.
    pub state: LifecycleState,
    /// Whether it is taken by itself, when nothing holds it any more; else it is asked for.
    pub by_itself: bool,
    /// The earliest moment, where the clock alone decides.
    pub not_before: Option<Timestamp>,
    /// What is waited for; nothing if the step can be taken now.
    pub waiting_for: Vec<WaitingFor>,
}

/// Says whether a domain may move to a state.
///
/// # Errors
///
/// Says what the step waits for, or that there is none.
pub fn step(
    it: &Situation<'_>,
    to: LifecycleState,
    force: Force,
    now: Timestamp,
    book: &Rulebook,
) -> Result<Step, Refused> {
    use LifecycleState::{Active, Draining, Released, Retired, Standby};
    let bounds = match (it.state, to) {
        (from, to) if from == to => return Ok(Step::None),
        (Standby, Active) => activation(it, now, book),
        (Active, Standby) if it.handed_out.is_none() => {
            let mut bounds = Bounds::default();
            bounds.ask(book, Rule::K28, || forgotten_use(it));
            bounds
        }
        (Active, Standby) => {
            return Err(Refused::Impossible(
                "addresses in the domain were handed out, so it cannot stand by again: its mail \
                 would wait; drain it (T2)"
                    .to_owned(),
            ));
        }
        // Nothing is withdrawn by T2, and nothing that protects a name may wait for a name server.
        (Active, Draining) => Bounds::default(),
        (Draining, Active) => reactivation(it, now, book),
        (Draining, Retired) => retirement(it, now, book),
        (Retired, Active) if force == Force::Yes => activation(it, now, book),
        (Retired, Active) => {
            return Err(Refused::TooEarly(vec![WaitingFor {
                rule: "T5",
                what: "the domain was retired: senders have learned that it takes no mail; force \
                       brings it back, with a reason"
                    .to_owned(),
                not_before: None,
                firm: false,
            }]));
        }
        (Standby, Released) if it.handed_out.is_none() => {
            let mut bounds = release(it, false, now, book);
            bounds.ask(book, Rule::K28, || forgotten_use(it));
            bounds
        }
        (Retired, Released) => release(it, true, now, book),
        (from, to) => {
            return Err(Refused::Impossible(format!(
                "no step leads from {from} to {to}: {}",
                way(from)
            )));
        }
    };
    let waiting = bounds.waiting();
    let holds = match force {
        Force::No => waiting.is_empty(),
        Force::Yes => !waiting.iter().any(|rule| rule.firm),
    };
    if !holds {
        // Who forces a step is told what force does not skip, and no more.
        let mut waiting = waiting;
        waiting.retain(|rule| rule.firm || force == Force::No);
        return Err(Refused::TooEarly(waiting));
    }
    Ok(Step::Now {
        satisfied: bounds.satisfied(),
        skipped: waiting,
    })
}

/// K28: a domain that a restored store knows from before may have been in use in the days that it has
/// forgotten, so it neither stands by nor goes as one of which no address was handed out.
fn forgotten_use(it: &Situation<'_>) -> Option<Bound> {
    let restored = it.forgotten.filter(|restored| it.added <= *restored)?;
    Some(Bound::Unknown(format!(
        "the store was restored from a backup at {restored}: addresses in the domain may have been \
         handed out since that was taken; let it be active and drain it (T2)"
    )))
}

/// Says which steps lead out of a state.
const fn way(from: LifecycleState) -> &'static str {
    match from {
        LifecycleState::Standby => "a standby domain becomes active or released",
        LifecycleState::Active => {
            "an active domain becomes draining, or standby while no address \
                                   was handed out"
        }
        LifecycleState::Draining => "a draining domain becomes retired, or active again",
        LifecycleState::Retired => "a retired domain becomes released, or active by force",
        LifecycleState::Released => "a released domain is only deleted",
    }
}

/// Returns the step that comes next and what it waits for; `None` where nothing comes.
pub fn next(it: &Situation<'_>, now: Timestamp, book: &Rulebook) -> Option<Next> {
    let (state, bounds) = match it.state {
        LifecycleState::Standby => (LifecycleState::Active, activation(it, now, book)),
        LifecycleState::Active => return None,
        LifecycleState::Draining => (LifecycleState::Retired, retirement(it, now, book)),
        LifecycleState::Retired => (LifecycleState::Released, release(it, true, now, book)),
        LifecycleState::Released => {
            let actions = candidates(it, now, book).into_iter();
            let mut last = actions.filter(|(action, _)| *action == Action::DropZone);
            (LifecycleState::Released, last.next()?.1)
        }
    };
    let by_itself = match it.state {
        LifecycleState::Draining => it.terms.retire == Retire::Auto,
        LifecycleState::Released => true,
        LifecycleState::Standby | LifecycleState::Active | LifecycleState::Retired => false,
    };
    Some(Next {
        state,
        by_itself,
        not_before: bounds.passes_at(),
        waiting_for: bounds.waiting(),
    })
}

/// Says what stands against deleting a domain with its zone and keys.
///
/// # Errors
///
/// The rule that forbids it; force deletes what is only unknown.
pub fn deletion(
    it: &Situation<'_>,
    force: Force,
    now: Timestamp,
    book: &Rulebook,
) -> Result<(), WaitingFor> {
    let wait = |rule: Rule, what: String, firm| WaitingFor {
        rule: rule.id(),
        what,
        not_before: None,
        firm,
    };
    let mut bounds = Bounds::default();
    hold(it, &mut bounds);
    bounds.ask(book, Rule::L14, || Some(it.reference?.bound(now)));
    let mut waiting = bounds.waiting().into_iter();
    if let Some(first) = waiting.find(|it| it.firm || force == Force::No) {
        return Err(first);
    }
    if it.dropped || !book.holds(Rule::I8) {
        return Ok(());
    }
    if it.is_delegated() {
        let what = "a parent server still delegates the name to us; delete it at the registrar \
                    first, and where nothing watches say so with `mxpool domain observed NAME \
                    --ns-gone yes`"
            .to_owned();
        return Err(wait(Rule::I8, what, true));
    }
    let gone = it.observed.ns.as_ref();
    let gone = gone.is_some_and(|ns| ns.what == NsSeen::Gone);
    let never = it.state == LifecycleState::Standby && (it.fresh || gone);
    if never || force == Force::Yes {
        return Ok(());
    }
    let used = match it.state {
        LifecycleState::Active | LifecycleState::Draining => {
            "addresses in it may be in use, and mail to them would be lost; retire it first, then \
             release it"
        }
        LifecycleState::Retired => {
            "its null MX answers those who still write to it; release it first"
        }
        LifecycleState::Standby | LifecycleState::Released => "",
    };
    if !used.is_empty() {
        let what = format!(
            "the domain is {}: {used}; force deletes it all the same",
            it.state
        );
        return Err(wait(Rule::T4, what, false));
    }
    let what = if gone {
        "no parent server delegates the name to us any more, but caches may: the zone is dropped \
         when none can, and the domain can be deleted then; force deletes it all the same"
    } else {
        "it is not known that no parent server delegates the name to us; force deletes it all the \
         same"
    };
    let what = what.to_owned();
    Err(wait(Rule::I8, what, false))
}
