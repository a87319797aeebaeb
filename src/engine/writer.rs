//! The one writer: its loop, and the way of a change through it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError, RwLockReadGuard};
use std::time::Duration;

use super::act::{Acts, Observation};
use super::census::Counting;
use super::facts::Facts;
use super::handle::Shared;
use super::handout::FirstAnswer;
use super::idempotency::RememberedKeys;
use super::job::{self, Answer, Call, Claim, Job, JobId, Made};
use super::plan::{self, Context};
use super::prepare::Prepared;
use super::records::put_learnt;
use super::resign::Renewals;
use super::workers::{Chunk, ChunkDone, Urgency, Workers};
use super::{Change, Op, OpError, Outcome, Refusal};
use crate::clock::Timestamp;
use crate::dnssec::ClockGuard;
use crate::mail::RoutingPublisher;
use crate::store::Batch;
use crate::wire::Apex;
use crate::zone::{TemplateId, ZonePublisher};

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Message {
    /// A change is wanted.
    Change(Box<Change>, Answer),
    /// Zones are prepared.
    Prepared(ChunkDone),
    /// A domain is handed out for the first time.
    HandedOut(Apex, Timestamp, FirstAnswer),
    /// Something was seen of domains.
    Observed(Vec<Observation>),
    /// What is due is wanted now; answered when nothing is.
    Tick(Sender<()>),
    /// The end.
    Stop,
}

/// Up to how many zones a change is a small one: somebody waits for it, and it is stored at once.
pub(super) const SMALL: usize = 64;

/// How many zones are prepared in one piece of work, about nine milliseconds of a core: so long
/// may a small change wait for a worker.
pub(super) const CHUNK: usize = 16;

/// How many messages are looked at before what is ready is committed.
const MESSAGES: usize = 1024;

/// How often a change may be overtaken before new ones wait for it. Each round prepares only what
/// differs, so this is reached by a change of a large pool alone, under a stream of small ones.
const ROUNDS: u32 = 4;

/// How often the writer looks at the clock.
const TICK: Duration = Duration::from_secs(1);

/// The one writer: owns what is in flight, and alone alters facts, store and published set.
pub(super) struct Writer {
    /// What it shares with the handles.
    pub(super) shared: Arc<Shared>,
    /// What it is told.
    pub(super) messages: Receiver<Message>,
    /// What it does by itself.
    pub(super) acts: Acts,
    /// Where mail hosts learn what they may accept.
    pub(super) routes: RoutingPublisher,
    /// Who prepares zones.
    pub(super) workers: Workers,
    /// Where zones are served.
    pub(super) publisher: ZonePublisher,
    /// Watches the clock.
    pub(super) guard: ClockGuard,
    /// The changes in flight.
    pub(super) jobs: BTreeMap<JobId, Job>,
    /// The last number given to a job.
    pub(super) last_job: u64,
    /// The last version given to a zone.
    pub(super) last_version: u64,
    /// What changes in flight reserve.
    pub(super) claims: HashMap<Claim, JobId>,
    /// The jobs with nothing outstanding, oldest first.
    pub(super) ready: VecDeque<JobId>,
    /// The jobs of which prepared zones are to be stored ahead, and which.
    pub(super) ahead: Vec<(JobId, Apex)>,
    /// Versions of zones that no fact names any more.
    pub(super) garbage: VecDeque<(Apex, u64)>,
    /// Zones whose keys were stored ahead for a change that failed.
    pub(super) stray_keys: Vec<Apex>,
    /// The templates that are stored.
    pub(super) templates: HashSet<TemplateId>,
    /// The idempotency keys of the last day.
    pub(super) keys: RememberedKeys,
    /// The zones that are being signed again.
    pub(super) renewals: Renewals,
    /// The count of the pools' domains that is under way.
    pub(super) counting: Counting,
    /// The changes that were overtaken so often that new ones wait for them.
    pub(super) starving: HashSet<JobId>,
    /// The new changes that wait.
    pub(super) held: VecDeque<Call>,
    /// The keys of events that are too old to be kept.
    pub(super) old_events: Vec<Vec<u8>>,
    /// Whether the last commit failed.
    pub(super) commits_fail: bool,
    /// Until when what nobody waits for rests, because it could not be stored; a monotonic reading.
    pub(super) housework_rests_until: Option<Duration>,
    /// When a failed commit was complained about; a monotonic reading.
    pub(super) complained: Option<Duration>,
    /// Whether something was stored since the store was last told to give back memory.
    pub(super) holds_pages: bool,
    /// Who waits for nothing to be due.
    pub(super) tickers: Vec<Sender<()>>,
}

impl Writer {
    /// Works until it is told to stop.
    pub(super) fn run(mut self) {
        loop {
            // Old versions are removed a piece at a time, so that changes come in between; while
            // nothing can be stored, not over and over again.
            let rests = self.housework_rests(self.shared.clock.monotonic());
            let sweeps = !self.garbage.is_empty() && !self.commits_fail && !rests;
            let is_idle = self.ready.is_empty() && !sweeps && !self.counting.is_on();
            let patience = if is_idle { TICK } else { Duration::ZERO };
            let first = match self.messages.recv_timeout(patience) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => {
                    if is_idle {
                        self.release_pages();
                    }
                    None
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            // What came while the last commit was written is worked on together: one commit for
            // all of it.
            let others = self.messages.try_iter().take(MESSAGES);
            let messages: Vec<Message> = first.into_iter().chain(others).collect();
            let mut stop = false;
            for message in messages {
                match message {
                    Message::Change(change, answer) => self.accept(change, answer),
                    Message::Prepared(done) => self.take(done),
                    Message::HandedOut(apex, at, answer) => {
                        self.hand_out_first(apex, at, answer);
                    }
                    Message::Observed(observations) => self.learn(observations),
                    Message::Tick(done) => self.tickers.push(done),
                    Message::Stop => stop = true,
                }
            }
            if stop {
                break;
            }
            self.take_counts();
            self.count_days();
            self.forget_old_changes();
            self.renew_due();
            self.act_on_due();
            self.commit_round();
            self.act_on_due();
            self.release_tickers();
        }
        self.end();
    }

    /// Has the store give back the memory that commits took, once nothing is left to do.
    fn release_pages(&mut self) {
        let is_idle = self.jobs.is_empty() && self.garbage.is_empty();
        if is_idle && std::mem::take(&mut self.holds_pages) {
            self.shared.store.release_pages();
        }
    }

    /// Returns the facts, which nobody else writes.
    pub(super) fn facts(shared: &Shared) -> RwLockReadGuard<'_, Facts> {
        let facts = shared.facts.read();
        facts.unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a change: answers it at once, has it prepared, or lets it wait for another.
    pub(super) fn accept(&mut self, change: Box<Change>, answer: Answer) {
        if !self.starving.is_empty() {
            return self.held.push_back((change, answer));
        }
        let claims = job::claims(&change);
        let holder = claims.iter().find_map(|claim| self.claims.get(claim));
        if let Some(holder) = holder.and_then(|holder| self.jobs.get_mut(holder)) {
            return holder.parked.push((change, answer));
        }
        match self.plan(&change) {
            Ok(Decision::Answered(outcome)) => respond(answer, Ok(outcome)),
            Ok(Decision::Work(work)) => self.begin(change, answer, claims, *work),
            Err(refusals) => respond(answer, Err(refusals)),
        }
    }

    /// Plans a change for the first time.
    fn plan(&self, change: &Change) -> Result<Decision, Vec<OpError>> {
        let now = self.guard.likely(&*self.shared.clock);
        if let (Some(id), false) = (&change.id, change.dry_run) {
            let known = self.keys.recall(&*self.shared.store, change, id, now);
            if let Some(outcome) = known.map_err(OpError::whole)? {
                return Ok(Decision::Answered(outcome));
            }
        }
        self.check_clock(change).map_err(OpError::whole)?;
        let facts = Self::facts(&self.shared);
        let revision = facts.revision + 1;
        let mut recipes = BTreeMap::new();
        let made = Made::default();
        let mut context = Context {
            now,
            revision,
            recipes: &mut recipes,
            prepared: &made,
        };
        let planned = plan::plan(&facts, change, &mut context)?;
        let nothing = planned.plan.effects.is_empty() && change.id.is_none();
        if change.dry_run || nothing {
            return Ok(Decision::Answered(Outcome {
                revision: facts.revision,
                plan: planned.plan,
                replayed: false,
            }));
        }
        Ok(Decision::Work(Box::new(Work {
            revision,
            planned,
            planned_on: facts.generation,
            recipes,
        })))
    }

    /// Refuses a change while the clock cannot be trusted: by one that is ahead every wait is over, and
    /// what is noted by one that is behind is long past when that is set right.
    ///
    /// What protects a domain, and is undone by one call, does not wait for a clock.
    pub(super) fn check_clock(&self, change: &Change) -> Result<(), Refusal> {
        let mut ops = change.ops.iter();
        let protects = ops.all(|op| matches!(op, Op::Suspend { .. } | Op::Hold { .. }));
        match self.guard.now(&*self.shared.clock) {
            Err(error) if !protects && !change.dry_run => Err(Refusal::Clock(error.to_string())),
            _ => Ok(()),
        }
    }

    /// Begins to work on a change.
    fn begin(&mut self, change: Box<Change>, answer: Answer, claims: Vec<Claim>, work: Work) {
        self.last_job += 1;
        let id = JobId(self.last_job);
        for claim in &claims {
            self.claims.insert(claim.clone(), id);
        }
        let job = Job {
            change,
            answer,
            revision: work.revision,
            planned: work.planned,
            planned_on: work.planned_on,
            recipes: work.recipes,
            made: Made::default(),
            outstanding: 0,
            rounds: 0,
            large: false,
            failures: Vec::new(),
            claims,
            parked: Vec::new(),
        };
        self.jobs.insert(id, job);
        self.advance(id);
    }

    /// Has prepared what a job's plan wants and lacks; a job that lacks nothing is ready.
    pub(super) fn advance(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let now = match self.guard.now(&*self.shared.clock) {
            Ok(now) => now,
            Err(error) => {
                // Without signatures to make, the clock does not matter.
                let facts = Self::facts(&self.shared);
                let missing = job.missing(Timestamp::from_secs(0), &facts, &mut || 0);
                drop(facts);
                if missing.is_empty() {
                    return self.ready.push_back(id);
                }
                return self.fail(id, OpError::whole(Refusal::Clock(error.to_string())));
            }
        };
        let last_version = &mut self.last_version;
        let mut version = || {
            *last_version += 1;
            *last_version
        };
        let tasks = job.missing(now, &Self::facts(&self.shared), &mut version);
        if tasks.is_empty() {
            return self.ready.push_back(id);
        }
        job.large |= tasks.len() > SMALL;
        job.rounds += 1;
        if job.rounds > ROUNDS {
            self.starving.insert(id);
        }
        // A few zones are spread over the cores one by one; many go in pieces that are worth it.
        let (size, urgency) = if tasks.len() > SMALL {
            (CHUNK, Urgency::Large)
        } else {
            (1, Urgency::Small)
        };
        let mut tasks = tasks.into_iter().peekable();
        while tasks.peek().is_some() {
            job.outstanding += 1;
            let chunk = Chunk {
                job: id,
                now,
                tasks: tasks.by_ref().take(size).collect(),
            };
            self.workers.submit(chunk, urgency);
        }
        self.guard.note_signing(now);
    }

    /// Takes in what was prepared.
    fn take(&mut self, done: ChunkDone) {
        let ChunkDone { job: id, zones } = done;
        if id == JobId::RENEWAL {
            return self.take_renewed(zones);
        }
        let Some(job) = self.jobs.get_mut(&id) else {
            // Its change has failed meanwhile; nothing of this was stored.
            return;
        };
        job.outstanding -= 1;
        let facts = Self::facts(&self.shared);
        for zone in zones {
            match zone {
                Ok(prepared) => {
                    let apex = prepared.apex.clone();
                    if job.large {
                        self.ahead.push((id, apex.clone()));
                    }
                    let old = job.made.0.insert(apex.clone(), prepared);
                    // One that was overtaken may be stored ahead already.
                    if let Some(Prepared {
                        served,
                        records: None,
                        ..
                    }) = old
                    {
                        self.garbage.push_back((apex, served.version));
                    }
                }
                Err((apex, error)) if facts.overtook(&apex, &error) => {}
                Err((apex, error)) => {
                    let refusal = if error.is_refusal() {
                        Refusal::Conflict(format!("{}: {error}", apex.to_api_text()))
                    } else {
                        tracing::error!(%apex, %error, "a zone could not be prepared");
                        Refusal::Internal(format!("{}: {error}", apex.to_api_text()))
                    };
                    let op = job.step_of(&apex);
                    job.failures.push(OpError { op, refusal });
                }
            }
        }
        drop(facts);
        if job.outstanding > 0 {
            return;
        }
        if job.failures.is_empty() {
            self.ready.push_back(id);
        } else {
            let failures = std::mem::take(&mut job.failures);
            self.fail(id, failures);
        }
    }

    /// Answers a change that is not made, and drops what was prepared for it.
    pub(super) fn fail(&mut self, id: JobId, mut refusals: Vec<OpError>) {
        let Some(job) = self.jobs.remove(&id) else {
            return;
        };
        self.workers.cancel(id);
        self.ahead.retain(|(of, _)| *of != id);
        for (apex, prepared) in &job.made.0 {
            if prepared.records.is_none() {
                self.garbage
                    .push_back((apex.clone(), prepared.served.version));
                if prepared.replaces.is_none() {
                    self.stray_keys.push(apex.clone());
                }
            }
        }
        refusals.sort_by_key(|refusal| refusal.op);
        // One reason that holds for a thousand zones is said once for each step.
        refusals.dedup_by(|a, b| a.op == b.op && a.refusal == b.refusal);
        if refusals.iter().any(|refusal| refusal.refusal.is_failure()) {
            self.shared.metrics.change_failed();
        }
        self.finish(id, job, Err(refusals));
    }

    /// Answers a change that is done, and takes in those that waited for it.
    pub(super) fn finish(&mut self, id: JobId, job: Job, outcome: Result<Outcome, Vec<OpError>>) {
        // Whoever is answered and asks again is heard when all this is done.
        respond(job.answer, outcome);
        for claim in &job.claims {
            self.claims.remove(claim);
        }
        self.starving.remove(&id);
        for (change, answer) in job.parked {
            self.accept(change, answer);
        }
        if self.starving.is_empty() {
            for (change, answer) in std::mem::take(&mut self.held) {
                self.accept(change, answer);
            }
        }
    }

    /// Tells those who wait for it that nothing is due.
    fn release_tickers(&mut self) {
        let idle = self.ready.is_empty() && self.acts.learnt.is_empty() && !self.is_acting();
        if idle && self.renewals.is_idle() {
            for ticker in self.tickers.drain(..) {
                // Who has gone away does not need to know.
                let _ = ticker.send(());
            }
        }
    }

    /// Stores what was learnt and counted last.
    fn store_counts(&mut self) {
        self.acts.counted = None;
        self.take_counts();
        let learnt = std::mem::take(&mut self.acts.learnt);
        let mut batch = Batch::new();
        self.note_stop(&mut batch);
        {
            let facts = Self::facts(&self.shared);
            for (apex, learns) in &learnt {
                put_learnt(&mut batch, &facts, apex, learns);
            }
        }
        if self.commits_fail {
            return;
        }
        if let Err(error) = self.shared.store.commit(&batch) {
            tracing::warn!(%error, "the last hand-outs are not counted");
        }
    }

    /// Refuses what is in flight and ends the workers.
    fn end(mut self) {
        self.workers.end();
        self.store_counts();
        let stopping = || Err(OpError::whole(Refusal::Stopping));
        let held = std::mem::take(&mut self.held);
        let jobs = std::mem::take(&mut self.jobs).into_values();
        let in_flight = jobs.flat_map(|job| {
            let parked = job.parked.into_iter().map(|(_, answer)| answer);
            parked.chain([job.answer]).collect::<Vec<_>>()
        });
        for answer in held.into_iter().map(|(_, answer)| answer).chain(in_flight) {
            respond(answer, stopping());
        }
    }
}

/// What is to be done about a change.
enum Decision {
    /// Nothing: this is the answer.
    Answered(Outcome),
    /// This.
    Work(Box<Work>),
}

/// A change as planned for the first time.
struct Work {
    /// The revision that new policies are adopted at.
    revision: u64,
    /// What it does.
    planned: plan::Planned,
    /// On which facts that was planned.
    planned_on: u64,
    /// What was rendered for its pools.
    recipes: plan::Recipes,
}

/// Answers a caller, who may have gone away: what is done is done.
fn respond(answer: Answer, outcome: Result<Outcome, Vec<OpError>>) {
    let _ = answer.send(outcome);
}
