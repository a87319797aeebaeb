//! What the clock and the facts do by themselves.

use super::bound::Bounds;
use super::release::{hosts_end, policy_end, zone_end};
use super::retirement::{retirement, unreachable, withdrawal};
use super::{Bound, LifecycleState, Rule, Rulebook, Situation};
use crate::clock::Timestamp;
use crate::mail::Retire;

/// Something that is done without being asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// A suspension ends.
    Resume,
    /// The TXT shows the id of the policy text that is served (S9).
    ShowPolicy,
    /// TXT and host of the policy go (S10).
    DropPolicy,
    /// The domain's own hosts, their TLSA and its DKIM names go.
    DropHosts,
    /// The mail hosts need not know the domain any more (L8).
    StopAnswering,
    /// The null MX comes: the pool lets the clock retire (R1 to R4).
    Retire,
    /// The zone is served no more (I8).
    DropZone,
}

/// Something that is due, and what allows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// What is to be done.
    pub action: Action,
    /// The rules that held and the facts that satisfied them.
    pub satisfied: Vec<Satisfied>,
}

/// A rule and the fact that satisfied it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Satisfied {
    /// The rule's name.
    pub rule: &'static str,
    /// The fact.
    pub fact: String,
}

/// Returns what is due, in the order in which it is to be done.
pub fn due(it: &Situation<'_>, now: Timestamp, book: &Rulebook) -> Vec<Due> {
    let actions = candidates(it, now, book).into_iter();
    let due = actions.filter(|(_, bounds)| bounds.all_passed());
    due.map(|(action, bounds)| Due {
        action,
        satisfied: bounds.satisfied(),
    })
    .collect()
}

/// Returns the earliest moment at which something is due by the clock alone: now for what is due
/// already.
pub fn wake_at(it: &Situation<'_>, now: Timestamp, book: &Rulebook) -> Option<Timestamp> {
    let actions = candidates(it, now, book).into_iter();
    let moments = actions.filter_map(|(_, bounds)| {
        let is_due = bounds.all_passed();
        bounds.passes_at().or(is_due.then_some(now))
    });
    moments.min()
}

/// Returns what may come next without being asked for, each with what it waits for.
pub(super) fn candidates(
    it: &Situation<'_>,
    now: Timestamp,
    book: &Rulebook,
) -> Vec<(Action, Bounds)> {
    let mut actions = Vec::new();
    if it.dropped {
        return actions;
    }
    if let Some(until) = it.suspended.and_then(|suspended| suspended.until) {
        let mut bounds = Bounds::default();
        let what = "the suspension ends".to_owned();
        bounds.add_until(Rule::T2, until, now, what);
        actions.push((Action::Resume, bounds));
    }
    if it.policy.wanted.is_some() && it.policy.wanted != it.policy.shown {
        actions.push((Action::ShowPolicy, policy_shown(it, book)));
    }
    match it.state {
        LifecycleState::Standby | LifecycleState::Active => {}
        LifecycleState::Draining => {
            if it.terms.retire == Retire::Auto {
                actions.push((Action::Retire, retirement(it, now, book)));
            }
        }
        LifecycleState::Retired => after_retirement(it, now, book, &mut actions),
        LifecycleState::Released => {
            if it.null_since().is_some() {
                after_retirement(it, now, book, &mut actions);
            }
            actions.push((Action::DropZone, zone_end(it, now, book)));
        }
    }
    actions
}

/// Adds what follows the null MX.
fn after_retirement(
    it: &Situation<'_>,
    now: Timestamp,
    book: &Rulebook,
    actions: &mut Vec<(Action, Bounds)>,
) {
    if it.answers {
        let mut bounds = Bounds::default();
        bounds.ask(book, Rule::L8, || unreachable(it, now));
        withdrawal(it, now, book, &mut bounds);
        actions.push((Action::StopAnswering, bounds));
    }
    if it.policy.shown.is_some() && (it.policy.shown_is_none || !book.holds(Rule::S10)) {
        actions.push((Action::DropPolicy, policy_end(it, now, book)));
    }
    if it.hosts_kept {
        actions.push((Action::DropHosts, hosts_end(it, now, book)));
    }
}

/// S9: the id follows the text.
fn policy_shown(it: &Situation<'_>, book: &Rulebook) -> Bounds {
    let mut bounds = Bounds::default();
    if book.holds(Rule::S9) {
        let served = it.observed.policy.as_ref();
        let served = served.filter(|policy| Some(&*policy.what) == it.policy.wanted);
        bounds.add(
            Rule::S9,
            match served {
                Some(policy) => Bound::Passed(format!(
                    "the policy hosts serve the text since {}",
                    policy.since
                )),
                None => Bound::Unknown(
                    "the policy host was not seen to serve the new text; serve `mta-sts.txt` as \
                     the API gives it, and where nothing watches say so with `mxpool domain \
                     observed NAME --policy-served yes`"
                        .to_owned(),
                ),
            },
        );
    }
    bounds
}

impl Bounds {
    /// Returns the rules that hold and the facts that satisfied them.
    pub(super) fn satisfied(&self) -> Vec<Satisfied> {
        let rules = self.0.iter();
        let passed = rules.filter_map(|(rule, bound)| match bound {
            Bound::Passed(fact) => Some(Satisfied {
                rule: rule.id(),
                fact: fact.clone(),
            }),
            Bound::Until(..) | Bound::Unknown(_) | Bound::Unsafe(..) => None,
        });
        passed.collect()
    }
}
