//! A change in flight.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::facts::{Facts, Served, SharedTemplate};
use super::plan::{self, Context, Planned, Preparations, Touched};
use super::prepare::{Material, Prepared, Work, ZoneInputs, ZoneTask, written_serial};
use super::subject::Subject;
use super::{Change, Op, OpError, Outcome};
use crate::clock::Timestamp;
use crate::wire::{Apex, Serial};

/// Which piece of work; numbers are never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct JobId(pub(super) u64);

impl JobId {
    /// The re-signing of zones that are due.
    pub(super) const RENEWAL: Self = Self(0);
}

/// What a caller waits for.
pub(super) type Answer = oneshot::Sender<Result<Outcome, Vec<OpError>>>;

/// A change and the caller that waits for it.
pub(super) type Call = (Box<Change>, Answer);

/// What a change reserves while it is in flight: whoever wants the same waits for its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Claim {
    /// A domain or one of the operator's zones.
    Name(Apex),
    /// A pool's settings.
    Pool(String),
    /// A mail host.
    Host(String),
    /// A scheduled change.
    Scheduled(u64),
    /// An idempotency key.
    Key(String),
}

/// A change in flight.
#[derive(Debug)]
pub(super) struct Job {
    /// The change.
    pub(super) change: Box<Change>,
    /// Who waits for it.
    pub(super) answer: Answer,
    /// The revision that new policies are adopted at, as it was when the change came.
    pub(super) revision: u64,
    /// What it does, as last planned.
    pub(super) planned: Planned,
    /// On which facts that was.
    pub(super) planned_on: u64,
    /// What was rendered for its pools.
    pub(super) recipes: plan::Recipes,
    /// The zones that were prepared for it.
    pub(super) made: Made,
    /// How many chunks are being prepared.
    pub(super) outstanding: usize,
    /// How often it was overtaken.
    pub(super) rounds: u32,
    /// Whether its zones are stored ahead.
    pub(super) large: bool,
    /// Why it fails.
    pub(super) failures: Vec<OpError>,
    /// What it reserves.
    pub(super) claims: Vec<Claim>,
    /// Who waits for its outcome to be planned on it.
    pub(super) parked: Vec<Call>,
}

/// The zones that were prepared for a change.
#[derive(Debug, Default)]
pub(super) struct Made(pub(super) BTreeMap<Apex, Prepared>);

impl Preparations for Made {
    fn made_from(&self, apex: &Apex, inputs: &ZoneInputs) -> Option<&Served> {
        let prepared = self.0.get(apex)?;
        (prepared.inputs.as_ref() == Some(inputs)).then_some(&prepared.served)
    }
}

impl Job {
    /// Plans the change again, on what is true now.
    ///
    /// # Errors
    ///
    /// When it is refused on what is true now.
    pub(super) fn replan(&mut self, facts: &Facts, now: Timestamp) -> Result<(), Vec<OpError>> {
        let mut context = Context {
            now,
            revision: self.revision,
            recipes: &mut self.recipes,
            prepared: &self.made,
        };
        self.planned = plan::plan(facts, &self.change, &mut context)?;
        self.planned_on = facts.generation;
        Ok(())
    }

    /// Drops the zones that the plan does not want any more; returns the versions of those that are
    /// stored.
    pub(super) fn prune(&mut self) -> Vec<(Apex, u64)> {
        let planned = &self.planned;
        let wanted = |apex: &Apex| {
            let domain = planned.domains.get(apex).and_then(Option::as_ref);
            let zone = planned.zones.get(apex).and_then(Option::as_ref);
            let domain = domain.and_then(|draft| draft.inputs.as_ref());
            domain.or_else(|| zone.and_then(|draft| draft.inputs.as_ref()))
        };
        let mut dropped = Vec::new();
        self.made.0.retain(|apex, made| {
            let keep = made.inputs.as_ref() == wanted(apex);
            if !keep && made.records.is_none() {
                dropped.push((apex.clone(), made.served.version));
            }
            keep
        });
        dropped
    }

    /// Returns the zones that the plan wants and that are not prepared, as tasks; `version` gives
    /// each a version of its own. Serials follow those that `facts` know.
    pub(super) fn missing(
        &self,
        now: Timestamp,
        facts: &Facts,
        version: &mut impl FnMut() -> u64,
    ) -> Vec<ZoneTask> {
        let domains = self.planned.domains.iter().filter_map(|(apex, draft)| {
            let draft = draft.as_ref()?;
            Some((apex, draft.inputs.as_ref()?, draft.served.as_ref()))
        });
        let zones = self.planned.zones.iter().filter_map(|(apex, draft)| {
            let draft = draft.as_ref()?;
            Some((apex, draft.inputs.as_ref()?, draft.served.as_ref()))
        });
        let wanted = domains.chain(zones);
        let missing =
            wanted.filter(|(apex, inputs, _)| self.made.made_from(apex, inputs).is_none());
        missing
            .map(|(apex, inputs, served)| ZoneTask {
                apex: apex.clone(),
                version: version(),
                serial: serial(
                    apex,
                    inputs,
                    served
                        .map(|served| served.serial)
                        .or_else(|| facts.last_serial(apex)),
                    now,
                ),
                base: served.cloned(),
                work: Work::Make(inputs.clone()),
            })
            .collect()
    }

    /// Returns the step that a zone of the change belongs to.
    pub(super) fn step_of(&self, apex: &Apex) -> usize {
        let domain = self.planned.domains.get(apex).and_then(Option::as_ref);
        let zone = self.planned.zones.get(apex).and_then(Option::as_ref);
        let domain = domain.map(|draft| draft.op);
        domain.or(zone.map(|draft| draft.op)).unwrap_or(0)
    }

    /// Returns the template of a prepared zone.
    pub(super) fn templates(&self) -> impl Iterator<Item = &Arc<SharedTemplate>> {
        self.made.0.values().map(|made| &made.served.template)
    }
}

/// Returns the serial of a zone's next version: it only grows, even if the zone was gone.
fn serial(apex: &Apex, inputs: &ZoneInputs, above: Option<Serial>, now: Timestamp) -> Serial {
    let date = now.date_number();
    let next = above.map_or_else(|| Serial::first(date), |above| above.next(date));
    let Material::Operator { soa, .. } = &inputs.material else {
        return next;
    };
    let written = written_serial(soa, apex);
    match written {
        // Whoever brings a zone here from elsewhere has secondaries that know its serial.
        Some(written) if written.is_newer_than(next) => written,
        _ => next,
    }
}

/// Returns what a change reserves.
pub(super) fn claims(change: &Change) -> Vec<Claim> {
    let ops = change.ops.iter();
    let ops = ops.flat_map(reserved);
    let key = change.id.iter().map(|id| Claim::Key(id.key.clone()));
    ops.chain(key).collect()
}

/// Returns what a step reserves.
fn reserved(op: &Op) -> Vec<Claim> {
    if let Op::Undo { id, done, .. } = op {
        let touched = done.iter().flat_map(|done| plan::touched(done));
        let touched = touched.map(|touched| match touched {
            Touched::Pool(pool) => Claim::Pool(pool),
            Touched::Name(name) => Claim::Name(name),
        });
        return touched.chain([Claim::Scheduled(*id)]).collect();
    }
    vec![match op.about() {
        Subject::Pool(pool) => Claim::Pool(pool.to_owned()),
        Subject::Zone(name) | Subject::Domain(name) => Claim::Name(name.into_owned()),
        Subject::Host(host) => Claim::Host(host.to_owned()),
        Subject::Change(id) => Claim::Scheduled(id),
        // What is made later reserves its subjects then.
        Subject::Moment(_) => return Vec::new(),
    }]
}
