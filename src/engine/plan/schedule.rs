//! Accepting a change for a moment: checked as if it were made now, kept until then.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Context, Planned, plan};
use crate::clock::Timestamp;
use crate::engine::facts::Facts;
use crate::engine::scheduled::Notes;
use crate::engine::step_form::step_record;
use crate::engine::{Change, Effect, Op, OpError, Plan, Refusal};
use crate::lifecycle::Rule;
use crate::store::record::{Fate, ScheduledChange};

/// How many changes may be scheduled: each is looked at when its moment comes, and held in memory.
const MOST: usize = 10_000;

/// What all scheduled changes may weigh together (see [`ScheduledChange::weight`]): 20 that add
/// 10 000 domains each, or some of whole zones.
const HEAVIEST: usize = 64 << 20;

/// How far ahead a change may be scheduled: no registration lasts longer, so what lies beyond is a
/// mistyped year.
const FARTHEST: Duration = Duration::from_secs(10 * 366 * 86_400);

/// How many steps the answer to the one who schedules names.
const NAMED: usize = 10;

/// Plans that a change is made at a moment: checks it as if that were now and nothing else had
/// changed, so that a step may be scheduled for the time at which it may be taken.
pub(super) fn schedule(
    facts: &Facts,
    at: Timestamp,
    later: Change,
    context: &mut Context<'_>,
) -> Result<Planned, Vec<OpError>> {
    check_moment(at, context.now)?;
    let steps = later.ops.iter().enumerate().map(|(op, step)| {
        step_record(step).ok_or_else(|| {
            let why = format!("{} is never scheduled: say it when it is so", step.kind());
            let refusal = Refusal::Conflict(why);
            vec![OpError { op, refusal }]
        })
    });
    let steps = steps.collect::<Result<Vec<_>, _>>()?;
    let mut plan = check(facts, at, &later, context)?;
    let scheduled = ScheduledChange {
        at,
        accepted: context.now,
        actor: later.actor.0,
        reason: later.reason,
        expect_domains: later.expect_domains,
        steps,
        fate: Fate::Waits,
    };
    check_room(facts, &scheduled)?;
    let mut notes = Notes::default();
    if !later.dry_run {
        plan.effects = vec![accepted(at, &plan)];
        notes.scheduled = Some(scheduled);
    }
    Ok(Planned {
        plan,
        pools: BTreeMap::new(),
        zones: BTreeMap::new(),
        domains: BTreeMap::new(),
        hosts: BTreeMap::new(),
        notes,
        waits_for_keys: false,
        left_references: None,
        structural: false,
    })
}

/// Plans a change as if its moment were now.
///
/// Where only time is wanting then, what was seen may be too old by that moment: such a change is legal
/// if it is so today. It is looked at again, with what is seen until then.
fn check(
    facts: &Facts,
    at: Timestamp,
    later: &Change,
    context: &mut Context<'_>,
) -> Result<Plan, Vec<OpError>> {
    let mut then = Context {
        now: at,
        revision: context.revision,
        recipes: &mut *context.recipes,
        prepared: context.prepared,
    };
    let refused = match plan(facts, later, &mut then) {
        Ok(planned) => return Ok(planned.plan),
        Err(refused) => refused,
    };
    let holds_today = |error: &OpError| match &error.refusal {
        // That a registration will have ended is known today.
        Refusal::TooEarly { waiting_for, .. } => {
            !waiting_for.iter().any(|it| it.rule == Rule::A9.id())
        }
        _ => false,
    };
    if !refused.iter().all(holds_today) {
        return Err(refused);
    }
    let today = plan(facts, later, context).map_err(|_| refused)?;
    Ok(today.plan)
}

/// Refuses a moment that has passed, or that nobody means.
fn check_moment(at: Timestamp, now: Timestamp) -> Result<(), Vec<OpError>> {
    let last = now.saturating_add(FARTHEST);
    if at <= now {
        let why = format!("expected a moment after {now}, found {at}");
        return Err(OpError::whole(Refusal::Moment(why)));
    }
    if at > last {
        let why = format!("expected a moment within ten years, up to {last}, found {at}");
        return Err(OpError::whole(Refusal::Moment(why)));
    }
    Ok(())
}

/// Refuses what there is no room for until its moment.
fn check_room(facts: &Facts, scheduled: &ScheduledChange) -> Result<(), Vec<OpError>> {
    let waiting = facts.scheduled.len();
    if waiting >= MOST {
        let why = format!("{MOST} changes are scheduled, there is no room for more");
        return Err(OpError::whole(Refusal::NoRoom(why)));
    }
    let weight = scheduled.weight();
    if facts.scheduled_weight.saturating_add(weight) > HEAVIEST {
        let why = format!(
            "{waiting} changes are scheduled, and with this one of {weight} octets they would take \
             more than {HEAVIEST}"
        );
        return Err(OpError::whole(Refusal::NoRoom(why)));
    }
    Ok(())
}

/// Says what was accepted.
fn accepted(at: Timestamp, plan: &Plan) -> Effect {
    let count = plan.effects.len();
    let named = plan.effects.iter().take(NAMED);
    let named = named.map(|effect| format!("{} {}", effect.kind, effect.subject));
    let named = named.collect::<Vec<_>>().join(", ");
    let what = match count.saturating_sub(NAMED) {
        0 if count == 0 => "as things are it would change nothing".to_owned(),
        0 => format!("as things are it would do: {named}"),
        more => format!("as things are it would do: {named} and {more} more"),
    };
    Effect {
        op: 0,
        kind: "schedule",
        subject: at.to_string(),
        what,
        because: Vec::new(),
    }
}

impl super::Draft<'_> {
    /// Returns a scheduled change that waits for its moment.
    pub(super) fn waiting(&self, id: u64) -> Result<&ScheduledChange, Refusal> {
        let found = self.facts.scheduled.get(&id);
        found.map(|found| &**found).ok_or_else(|| {
            Refusal::Conflict(format!(
                "the change {id} does not wait for its moment any more"
            ))
        })
    }

    /// Notes that the steps before this one are those of a scheduled change.
    pub(super) fn make_scheduled(&mut self, at: usize, op: &Op, id: u64) -> Result<(), Refusal> {
        let what = format!("is made as scheduled for {}", self.waiting(id)?.at);
        self.notes.concluded.insert(id, super::Conclusion::Applied);
        self.effect(at, op.kind(), id.to_string(), what);
        Ok(())
    }

    /// Notes that a scheduled change was refused at its moment.
    pub(super) fn fail_scheduled(
        &mut self,
        at: usize,
        op: &Op,
        id: u64,
        why: &[String],
    ) -> Result<(), Refusal> {
        self.waiting(id)?;
        let failed = super::Conclusion::Failed(why.to_vec());
        self.notes.concluded.insert(id, failed);
        self.effect(at, op.kind(), id.to_string(), why.join("; "));
        Ok(())
    }
}
