//! What a change would do: facts and *now* in, a plan or refusals out; pure.
//!
//! The steps are taken one after the other on a [`Draft`] laid over the facts; then follows what
//! they imply: domains whose pool is rendered differently now, operator zones whose derived records
//! change. A plan names for each zone what it is made from ([`ZoneInputs`]), so that a second plan,
//! made on newer facts, shows which preparations still hold. Start reading at [`plan`].

mod delete;
mod derive;
mod domains;
mod draft;
mod imply;
mod lives;
mod observe;
mod pools;
mod rotate;
mod rrsets;
mod schedule;
mod undo;
mod zones;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) use draft::{DomainDraft, Draft, PoolDraft, ZoneDraft};
pub(super) use lives::boxed;
pub(super) use undo::{Touched, touched};

use super::facts::{Facts, Recipe, Served};
use super::prepare::ZoneInputs;
use super::references::Left;
use super::scheduled::{Conclusion, Notes};
use super::{Change, Op, OpError, Plan, Refusal};
use crate::clock::Timestamp;
use crate::document::Fault;
use crate::lifecycle::Suspension;
use crate::mail::Form;
use crate::store::record::{Hold, HostRecord};
use crate::wire::Apex;

/// What a plan depends on beside facts and change.
#[derive(Debug)]
pub(super) struct Context<'c> {
    /// The moment.
    pub(super) now: Timestamp,
    /// The revision that new MTA-STS policies are adopted at; fixed when the change is first
    /// planned, so that a plan made again renders the same.
    pub(super) revision: u64,
    /// What was rendered for pools in earlier plans of the change.
    pub(super) recipes: &'c mut Recipes,
    /// The zones that were prepared for the change already.
    pub(super) prepared: &'c dyn Preparations,
}

/// What was rendered for a change: by pool, form and id of the MTA-STS policy.
pub(super) type Recipes = BTreeMap<(Arc<str>, Form, Option<String>), Arc<Recipe>>;

/// Knows which zones were prepared for a change.
pub(super) trait Preparations: std::fmt::Debug {
    /// Returns what was made from exactly these inputs.
    fn made_from(&self, apex: &Apex, inputs: &ZoneInputs) -> Option<&Served>;
}

/// What a change does to the facts.
#[derive(Debug)]
pub(super) struct Planned {
    /// What is told of it.
    pub(super) plan: Plan,
    /// The pools that change; `None` for one that goes.
    pub(super) pools: BTreeMap<Arc<str>, Option<PoolDraft>>,
    /// The operator's zones that change; `None` for one that goes.
    pub(super) zones: BTreeMap<Apex, Option<ZoneDraft>>,
    /// The domains that change; `None` for one that goes.
    pub(super) domains: BTreeMap<Apex, Option<DomainDraft>>,
    /// The mail hosts of which something is said.
    pub(super) hosts: BTreeMap<String, HostRecord>,
    /// What it says of changes.
    pub(super) notes: Notes,
    /// Whether derived records could not be made yet, because keys of new domains are missing.
    pub(super) waits_for_keys: bool,
    /// Who has ceased to refer to hosts and may still be followed; `None`: as before.
    pub(super) left_references: Option<Left>,
    /// Whether pools or zones are concerned, so that no other change may be committed with it.
    pub(super) structural: bool,
}

/// Plans a change.
///
/// Some microseconds a step; some tens of milliseconds where all domains of a large pool follow.
///
/// # Errors
///
/// Every step that is refused, with the reason.
pub(super) fn plan(
    facts: &Facts,
    change: &Change,
    context: &mut Context<'_>,
) -> Result<Planned, Vec<OpError>> {
    if let [
        Op::Schedule {
            at,
            ops,
            expect_domains,
        },
    ] = change.ops.as_slice()
    {
        let later = Change {
            ops: ops.clone(),
            expect_domains: *expect_domains,
            ..change.clone()
        };
        return schedule::schedule(facts, *at, later, context);
    }
    let mut draft = Draft::new(facts, context.now, context.revision);
    let mut not_added = BTreeSet::new();
    for (at, op) in change.ops.iter().enumerate() {
        if matches!(op, Op::PutRrset { domain, .. } if not_added.contains(domain)) {
            // That its domain is missing was said where the domain was refused.
            continue;
        }
        if op.changes_references() {
            draft.references.take();
        }
        if let Err(refusal) = draft.step(at, op, change) {
            draft.refuse(at, refusal);
            if let Op::AddDomain(add) = op {
                not_added.insert(&add.name);
            }
        }
    }
    draft.imply(context);
    draft.expect(change);
    draft.finish()
}

impl Op {
    /// Returns whether a step may change who refers to a host: one about a pool or a zone.
    const fn changes_references(&self) -> bool {
        matches!(
            self,
            Self::PutZone { .. }
                | Self::DeleteZone { .. }
                | Self::PutPool { .. }
                | Self::DeletePool { .. }
                | Self::StagePool { .. }
                | Self::AdoptAnew { .. }
                | Self::Undo { .. }
        )
    }
}

impl Draft<'_> {
    /// Takes one step.
    fn step(&mut self, at: usize, op: &Op, change: &Change) -> Result<(), Refusal> {
        match op {
            Op::PutZone {
                apex,
                data,
                if_match,
            } => self.put_zone(at, apex, data, *if_match),
            Op::DeleteZone { apex, if_match } => self.delete_zone(at, apex, *if_match),
            Op::PutPool {
                name,
                settings,
                if_match,
            } => self.put_pool(at, name, settings, *if_match),
            Op::DeletePool { name, if_match } => self.delete_pool(at, name, *if_match),
            Op::AddDomain(add) => self.add_domain(at, add),
            Op::PatchDomain { .. } => self.patch_domain(at, op),
            Op::DeleteDomain {
                name,
                force,
                if_match,
            } => self.delete_domain(at, name, *force, *if_match),
            Op::PutRrset {
                domain,
                rrset,
                if_match,
            } => self.put_rrset(at, domain, rrset, *if_match),
            Op::DeleteRrset {
                domain,
                owner,
                rtype,
                if_match,
            } => self.delete_rrset(at, domain, owner, *rtype, *if_match),
            Op::Transition {
                name,
                to,
                force,
                if_match,
            } => {
                self.check_domain_match(name, *if_match)?;
                self.transition(at, name, *to, *force, change.reason.as_deref())
            }
            Op::Suspend {
                name,
                answer,
                until,
                if_match,
            } => {
                self.check_domain_match(name, *if_match)?;
                let reason = change.reason.as_deref();
                if reason.is_some_and(lives::is_blank) {
                    return Err(lives::no_reason("a reason"));
                }
                let suspension = Suspension {
                    answer: *answer,
                    since: self.now,
                    until: *until,
                    reason: reason.unwrap_or_default().to_owned(),
                };
                self.suspend(at, name, suspension)
            }
            Op::Resume { name, if_match } => {
                self.check_domain_match(name, *if_match)?;
                self.resume(at, name)
            }
            Op::Hold { name, if_match } => {
                self.check_domain_match(name, *if_match)?;
                let hold = Hold {
                    since: self.now,
                    reason: change.reason.clone().unwrap_or_default(),
                };
                self.hold(at, name, Some(hold))
            }
            Op::Unhold { name, if_match } => {
                self.check_domain_match(name, *if_match)?;
                self.hold(at, name, None)
            }
            Op::Observe {
                name,
                word,
                if_match,
            } => {
                self.check_domain_match(name, *if_match)?;
                self.observe(at, name, word)
            }
            Op::Rotate {
                pool,
                burn,
                activate,
                if_match,
            } => {
                self.check_pool_match(pool, *if_match)?;
                self.rotate(at, pool, burn, *activate)
            }
            Op::RotateAged { pool } => self.rotate_aged(at, pool),
            Op::HostApplied { host, revision } => self.host_applied(at, host, *revision),
            Op::HostDeferrals { host, to } => {
                let to = *to;
                // It cannot be taken back, and retirements would wait for it (R2).
                if to > self.now {
                    let detail = format!("expected no moment after {}, found {to}", self.now);
                    return Err(Refusal::Invalid(vec![Fault::new("/to", detail)]));
                }
                let what = format!("made senders defer until {to}");
                let deferred = |record: &mut HostRecord| {
                    record.deferred = record.deferred.max(Some(to));
                };
                self.put_host(at, host, deferred, ("host_deferrals", what))
            }
            Op::AdoptAnew { pool } => self.adopt_anew(at, pool),
            Op::Schedule { .. } => Err(Refusal::Conflict(
                "what is made later is scheduled by itself".to_owned(),
            )),
            Op::Scheduled { id } => self.make_scheduled(at, op, *id),
            Op::FailScheduled { id, why } => self.fail_scheduled(at, op, *id, why),
            Op::Undo { id, done, note } => self.undo(at, *id, done.as_deref(), note),
            Op::StagePool { pool } => self.stage_pool(at, pool),
            Op::Act { name, action } => self.act(at, name, *action),
        }
    }
}
