//! From prepared changes to durable, served facts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::act::{Learnt, learnt};
use super::facts::{SharedTemplate, newest};
use super::job::{Job, JobId};
use super::prepare::Prepared;
use super::records::{put_learnt, put_renewed_fact};
use super::writer::Writer;
use super::{Op, OpError, Outcome, Refusal};
use crate::clock::Timestamp;
use crate::mail::Route;
use crate::metrics::RotationCause;
use crate::store::record::{self, TemplateRecord};
use crate::store::{Batch, Space, StoreError, meta};
use crate::wire::Apex;
use crate::zone::ZoneImage;

/// How many zones are stored ahead in one commit: a third of a megabyte.
const AHEAD: usize = 128;

/// How many outdated versions are deleted in one commit: more would hold up what waits for it. Beside
/// zones that are stored ahead twice as many as those go, or a slow disk would gather them.
const GARBAGE: usize = 256;

/// What is committed together, piece by piece as it can fail.
#[derive(Debug, Default)]
struct Round {
    /// Changes, in the order of their revisions.
    jobs: Vec<JobId>,
    /// The domains and zones that it alters, if it alters nothing else that plans depend on.
    names: Option<BTreeSet<Apex>>,
    /// Zones that are stored ahead of their changes.
    ahead: Vec<(JobId, Apex)>,
    /// Zones that were signed again.
    renewed: Vec<Prepared>,
    /// What was learnt of the outside.
    learnt: BTreeMap<Apex, Vec<(Learnt, Timestamp)>>,
    /// How many outdated versions go.
    garbage: usize,
    /// Keys that no zone has.
    stray_keys: Vec<Apex>,
    /// How many idempotency keys are forgotten.
    forgotten: usize,
}

/// How long what nobody waits for rests after it could not be stored, and how often failures are
/// complained about.
const REST: Duration = Duration::from_secs(60);

/// What a commit did to the published set.
#[derive(Debug, Default)]
pub(super) struct Publication {
    /// What is served from now on.
    pub(super) images: Vec<ZoneImage>,
    /// What is served no more.
    pub(super) withdrawn: Vec<Apex>,
    /// What mail hosts may accept from now on.
    pub(super) routes: Vec<(Apex, Option<Route>)>,
}

impl Writer {
    /// Commits what is ready, in one transaction, publishes it and answers.
    pub(super) fn commit_round(&mut self) {
        let now = self.guard.likely(&*self.shared.clock);
        let (jobs, mut names) = self.choose_jobs(now);
        // A commit of their own is for many of them; with another one they go along.
        let ahead = if jobs.is_empty() && self.ahead.len() < AHEAD {
            Vec::new()
        } else {
            std::mem::take(&mut self.ahead)
        };
        let renewed = self.current_renewals(&jobs);
        if let Some(names) = &mut names {
            names.extend(renewed.iter().map(|renewed| renewed.apex.clone()));
        }
        let learnt = self.learnt_beside(&jobs, &renewed);
        if let Some(names) = &mut names {
            names.extend(learnt.keys().cloned());
        }
        let reading = self.shared.clock.monotonic();
        let mut round = Round {
            learnt,
            renewed,
            jobs,
            names,
            garbage: self.garbage.len().min(GARBAGE.max(2 * ahead.len())),
            ahead,
            stray_keys: std::mem::take(&mut self.stray_keys),
            forgotten: 0,
        };
        let ready = round.jobs.iter().copied().collect::<BTreeSet<_>>();
        // What is stored with its change needs not be stored ahead.
        round.ahead.retain(|(id, _)| !ready.contains(id));
        if round.is_housework() && self.housework_rests(reading) {
            self.stray_keys = round.stray_keys;
            return;
        }
        // First of all: a change of this round may use a key again that is forgotten now.
        let mut batch = Batch::new();
        round.forgotten = self.keys.sweep(&*self.shared.store, &mut batch, now);
        self.put_round(&mut batch, &round, now);
        for key in std::mem::take(&mut self.old_events) {
            batch.delete(Space::Event, &key);
        }
        if batch.is_empty() {
            return;
        }
        match self.store(batch) {
            Ok(()) => self.done(round, now),
            Err(error) if round.is_one_piece() => self.undone(round, &error),
            Err(_) => {
                // One large change may have found the disk full: the small ones may still fit.
                for piece in round.pieces() {
                    let mut batch = Batch::new();
                    self.put_round(&mut batch, &piece, now);
                    if batch.is_empty() && piece.is_housework() {
                        continue;
                    }
                    match self.store(batch) {
                        Ok(()) => self.done(piece, now),
                        Err(error) => self.undone(piece, &error),
                    }
                }
            }
        }
    }

    /// Returns whether what nobody waits for rests, as it could not be stored.
    pub(super) fn housework_rests(&self, reading: Duration) -> bool {
        self.housework_rests_until
            .is_some_and(|until| reading < until)
    }

    /// Chooses the ready changes that can be committed together; the others wait for the next
    /// round, are prepared further, or are refused on what is true now.
    ///
    /// Returns the domains that they alter, too; `None` if they alter pools or zones.
    fn choose_jobs(&mut self, now: Timestamp) -> (Vec<JobId>, Option<BTreeSet<Apex>>) {
        let mut chosen: Vec<JobId> = Vec::new();
        let mut names: BTreeSet<Apex> = BTreeSet::new();
        let mut later = Vec::new();
        let mut structural = false;
        while let Some(id) = self.ready.pop_front() {
            if structural {
                later.push(id);
                continue;
            }
            match self.check_plan(id, now) {
                Check::Holds => {}
                Check::Lacks => {
                    // Back to the workers, unless all it lacks is here by now.
                    self.advance(id);
                    if self.ready.back() == Some(&id) {
                        self.ready.pop_back();
                        later.push(id);
                    }
                    continue;
                }
                Check::Refused(refusals) => {
                    self.fail(id, refusals);
                    continue;
                }
            }
            let Some(job) = self.jobs.get(&id) else {
                continue;
            };
            if job.planned.structural && !chosen.is_empty() || job.overlaps(&names) {
                later.push(id);
                continue;
            }
            structural = job.planned.structural;
            names.extend(job.planned.domains.keys().cloned());
            chosen.push(id);
        }
        self.ready.extend(later);
        (chosen, (!structural).then_some(names))
    }

    /// Looks whether a change is still what it was when it was planned.
    fn check_plan(&mut self, id: JobId, now: Timestamp) -> Check {
        let clock = self.jobs.get(&id).map(|job| self.check_clock(&job.change));
        if let Some(Err(refusal)) = clock {
            return Check::Refused(OpError::whole(refusal));
        }
        let Some(job) = self.jobs.get_mut(&id) else {
            return Check::Lacks;
        };
        let facts = Self::facts(&self.shared);
        if job.planned_on != facts.generation || job.planned.waits_for_keys {
            if let Err(refusals) = job.replan(&facts, now) {
                return Check::Refused(refusals);
            }
            self.garbage.extend(job.prune());
            if !job.missing(now, &facts, &mut || 0).is_empty() || job.planned.waits_for_keys {
                return Check::Lacks;
            }
        }
        Check::Holds
    }

    /// Returns the zones that were signed again and that nobody changed meanwhile, nor changes
    /// with `jobs`.
    fn current_renewals(&mut self, jobs: &[JobId]) -> Vec<Prepared> {
        let ready = self.renewals.take_ready();
        let facts = Self::facts(&self.shared);
        let jobs: Vec<&Job> = jobs.iter().filter_map(|id| self.jobs.get(id)).collect();
        let (current, old): (Vec<_>, Vec<_>) = ready.into_iter().partition(|prepared| {
            let apex = &prepared.apex;
            let served = facts.served(apex);
            let changes = jobs.iter().any(|job| {
                job.planned.domains.contains_key(apex) || job.planned.zones.contains_key(apex)
            });
            !changes && served.map(|served| served.version) == prepared.replaces
        });
        drop(facts);
        self.renewals.done(old.into_iter().map(|old| old.apex));
        current
    }

    /// Takes out what was learnt of domains that neither `jobs` nor `renewed` are about; the rest
    /// follows those, whose records would hide it.
    fn learnt_beside(
        &mut self,
        jobs: &[JobId],
        renewed: &[Prepared],
    ) -> BTreeMap<Apex, Vec<(Learnt, Timestamp)>> {
        let mut learnt = std::mem::take(&mut self.acts.learnt);
        let facts = Self::facts(&self.shared);
        let gone = learnt.extract_if(.., |apex, _| !facts.domains.contains_key(apex));
        let gone: BTreeSet<Apex> = gone.map(|(apex, _)| apex).collect();
        drop(facts);
        if !gone.is_empty() {
            let why = "the domain was deleted: ask again".to_owned();
            self.answer_first(&|apex| gone.contains(apex), &Err(Refusal::Conflict(why)));
        }
        let jobs: Vec<&Job> = jobs.iter().filter_map(|id| self.jobs.get(id)).collect();
        let renewed: BTreeSet<&Apex> = renewed.iter().map(|renewed| &renewed.apex).collect();
        let changes = |apex: &Apex| {
            let mut jobs = jobs.iter();
            renewed.contains(apex) || jobs.any(|job| job.planned.domains.contains_key(apex))
        };
        let (later, now): (BTreeMap<_, _>, BTreeMap<_, _>) =
            learnt.into_iter().partition(|(apex, _)| changes(apex));
        self.acts.learnt = later;
        now
    }

    /// Commits a batch.
    fn store(&self, batch: Batch) -> Result<(), StoreError> {
        let started = Instant::now();
        self.shared.store.commit(&batch)?;
        self.shared.metrics.committed(started.elapsed());
        Ok(())
    }

    /// Adds what a round stores to a batch.
    fn put_round(&self, batch: &mut Batch, round: &Round, now: Timestamp) {
        let facts = Self::facts(&self.shared);
        let mut revision = facts.revision;
        for id in &round.jobs {
            if let Some(job) = self.jobs.get(id) {
                revision += u64::from(job.changes_intent());
                self.put_templates(batch, job.templates());
                job.put(batch, &facts, revision, now);
            }
        }
        for (id, apex) in &round.ahead {
            let prepared = self.jobs.get(id).and_then(|job| job.made.0.get(apex));
            if let Some(prepared) = prepared {
                self.put_templates(batch, [&prepared.served.template]);
                prepared.put(batch);
            }
        }
        for prepared in &round.renewed {
            prepared.put(batch);
            if let Some(old) = prepared.replaces {
                let key = record::signed_zone_key(&prepared.apex, old);
                batch.delete(Space::SignedZone, &key);
            }
            put_renewed_fact(batch, &facts, prepared);
        }
        for (apex, learns) in &round.learnt {
            put_learnt(batch, &facts, apex, learns);
        }
        for (apex, version) in self.garbage.iter().take(round.garbage) {
            let key = record::signed_zone_key(apex, *version);
            batch.delete(Space::SignedZone, &key);
        }
        for apex in &round.stray_keys {
            if facts.zone(apex).is_none() && !self.claims_name(apex) {
                batch.delete(Space::Key, apex.as_wire());
            }
        }
        let signs = !(round.jobs.is_empty() && round.renewed.is_empty() && round.ahead.is_empty());
        if let (true, Some(at)) = (signs, self.guard.last_signing()) {
            meta::LAST_SIGNING.put(batch, &at);
        }
        let jobs = round.jobs.iter().filter_map(|id| self.jobs.get(id));
        let gone = jobs.fold(facts.gone_serial, |gone, job| {
            newest(gone, job.gone_serial(&facts))
        });
        if let (true, Some(gone)) = (gone != facts.gone_serial, gone) {
            meta::GONE_SERIAL.put(batch, &gone);
        }
        if revision != facts.revision {
            meta::REVISION.put(batch, &revision);
        }
    }

    /// Returns whether a change in flight is about a name.
    fn claims_name(&self, apex: &Apex) -> bool {
        let claim = super::job::Claim::Name(apex.clone());
        self.claims.contains_key(&claim)
    }

    /// Stores the templates that are not stored yet.
    fn put_templates<'t>(
        &self,
        batch: &mut Batch,
        templates: impl IntoIterator<Item = &'t Arc<SharedTemplate>>,
    ) {
        let mut seen = BTreeSet::new();
        for shared in templates {
            if self.templates.contains(&shared.id) || !seen.insert(shared.id) {
                continue;
            }
            let record = TemplateRecord((*shared.template).clone());
            batch.put_record(&shared.id.0, &record);
        }
    }

    /// Makes facts of what is durable, serves it and answers.
    fn done(&mut self, round: Round, now: Timestamp) {
        self.commits_fail = false;
        if round.garbage + round.forgotten > 0 {
            self.housework_rests_until = None;
        }
        self.holds_pages = true;
        let mut publication = Publication::default();
        let mut answers = Vec::new();
        let shared = Arc::clone(&self.shared);
        let mut facts = shared.facts.write().unwrap_or_else(PoisonError::into_inner);
        let planned_on = facts.generation;
        let nothing = round.jobs.is_empty() && round.renewed.is_empty() && round.learnt.is_empty();
        facts.generation += u64::from(!nothing);
        for id in round.jobs {
            let Some(mut job) = self.jobs.remove(&id) else {
                continue;
            };
            self.templates
                .extend(job.templates().map(|template| template.id));
            self.garbage.extend(job.outdated());
            if let Some(key) = &job.change.id {
                self.keys.note(key, now);
            }
            facts.revision += u64::from(job.changes_intent());
            let outcome = Outcome {
                revision: facts.revision,
                plan: std::mem::take(&mut job.planned.plan),
                replayed: false,
            };
            job.apply(&mut facts, &mut publication, now);
            answers.push((id, job, outcome));
        }
        for (id, apex) in round.ahead {
            let job = self.jobs.get_mut(&id);
            if let Some(prepared) = job.and_then(|job| job.made.0.get_mut(&apex)) {
                prepared.records = None;
                self.templates.insert(prepared.served.template.id);
            }
        }
        for prepared in round.renewed {
            let Prepared {
                apex,
                served,
                image,
                ..
            } = prepared;
            facts.put_served(&apex, served);
            publication.images.push(image);
            self.renewals.done([apex]);
        }
        let learnt_of: BTreeSet<Apex> = round.learnt.keys().cloned().collect();
        for (apex, learns) in round.learnt {
            if let Some(domain) = facts.domains.get(&apex) {
                let domain = learnt(domain, &learns);
                facts.put_domain(apex.clone(), domain);
                facts.look_again(&apex, now);
            }
        }
        let images = std::mem::take(&mut publication.images).into_iter();
        publication.images = images.map(|image| facts.counters.counted(image)).collect();
        let (revision, generation) = (facts.revision, facts.generation);
        drop(facts);
        // To plan a large change again costs as much as to commit it, and small ones come by the
        // hundred meanwhile.
        if let Some(names) = &round.names {
            let jobs = self.jobs.values_mut();
            jobs.filter(|job| job.planned_on == planned_on && job.stands_beside(names))
                .for_each(|job| job.planned_on = generation);
        }
        self.shared.metrics.stored(revision);
        self.garbage.drain(..round.garbage);
        self.keys.forget(round.forgotten);

        // Served before it is answered: a query sent after the answer sees it.
        self.routes.publish(std::mem::take(&mut publication.routes));
        let (published, withdrawn) = publication.in_order();
        for images in published {
            self.publisher.publish(images);
        }
        for apex in &withdrawn {
            self.publisher.withdraw(apex);
        }
        self.shared.metrics.published(revision);
        self.answer_first(&|apex| learnt_of.contains(apex), &Ok(()));
        if !answers.is_empty() {
            self.turn_away();
            self.show_figures();
        }
        for (id, job, outcome) in answers {
            for effect in &outcome.plan.effects {
                let (op, subject, what) = (effect.kind, &effect.subject, &effect.what);
                tracing::debug!(revision = outcome.revision, op, %subject, %what, "changed");
            }
            tracing::info!(
                revision = outcome.revision,
                actor = %job.change.actor.0,
                steps = outcome.plan.effects.len(),
                "a change is served"
            );
            self.count_rotations(&job);
            let moved = outcome
                .plan
                .effects
                .iter()
                .map(|effect| effect.subject.as_str());
            if job.change.is_act() {
                let moved: Vec<Apex> = moved.filter_map(|name| Apex::parse(name).ok()).collect();
                self.acted(&moved);
            }
            self.finish(id, job, Ok(outcome));
        }
    }

    /// Counts the rotations of a change that is served; one by age may go on at once.
    fn count_rotations(&mut self, job: &Job) {
        for op in &job.change.ops {
            let (pool, cause) = match op {
                Op::PutPool { name: pool, .. } | Op::StagePool { pool } => {
                    self.staged(pool);
                    continue;
                }
                Op::Rotate { pool, burn, .. } if burn.is_empty() => (pool, RotationCause::Request),
                Op::Rotate { pool, .. } => (pool, RotationCause::Burn),
                Op::RotateAged { pool } => (pool, RotationCause::Age),
                _ => continue,
            };
            self.rotated(pool);
            self.shared.metrics.rotated(pool, cause);
        }
    }

    /// Answers what could not be stored; nothing of it is a fact or served.
    fn undone(&mut self, round: Round, error: &StoreError) {
        self.commits_fail = true;
        let reading = self.shared.clock.monotonic();
        if round.is_housework() {
            self.housework_rests_until = Some(reading.saturating_add(REST));
        }
        let complained = self.complained;
        if complained.is_none_or(|at| reading.saturating_sub(at) >= REST) {
            self.complained = Some(reading);
            tracing::error!(%error, "a commit failed; what was served is served on");
        }
        let refusal = || match error {
            StoreError::Full { .. } => Refusal::StoreFull(error.to_string()),
            _ => Refusal::Internal(error.to_string()),
        };
        let ahead = round.ahead.into_iter().map(|(id, _)| id);
        let jobs: BTreeSet<JobId> = round.jobs.into_iter().chain(ahead).collect();
        for id in jobs {
            self.fail(id, OpError::whole(refusal()));
        }
        self.answer_first(&|apex| round.learnt.contains_key(apex), &Err(refusal()));
        // What was learnt is stored with a later commit.
        for (apex, learns) in round.learnt {
            let later = self.acts.learnt.entry(apex).or_default();
            later.splice(0..0, learns);
        }
        let renewed = round.renewed.into_iter().map(|prepared| prepared.apex);
        let renewed: Vec<Apex> = renewed.collect();
        if !renewed.is_empty() {
            self.renewals.failed(renewed, reading);
        }
        // Keys that could not be removed now are found at the next start.
    }
}

/// Whether a change is still what it was when it was planned.
enum Check {
    /// All it needs is prepared.
    Holds,
    /// Something more must be prepared.
    Lacks,
    /// It is refused on what is true now.
    Refused(Vec<OpError>),
}

impl Publication {
    /// Returns what to publish, group by group, and then what to withdraw, so that a parent's
    /// delegation never leads to a zone that is not served: children come before their parents and
    /// go after them.
    pub(super) fn in_order(self) -> (Vec<Vec<ZoneImage>>, Vec<Apex>) {
        let Self {
            images,
            mut withdrawn,
            ..
        } = self;
        if !withdrawn.is_empty() {
            // A name that goes as one kind of zone and comes as the other is served throughout.
            let served: HashSet<&[u8]> = images.iter().map(ZoneImage::apex_wire).collect();
            withdrawn.retain(|apex| !served.contains(apex.as_wire()));
        }
        withdrawn.sort_by_key(|apex| depth(apex.as_wire()));
        let mut groups: BTreeMap<Reverse<usize>, Vec<ZoneImage>> = BTreeMap::new();
        for image in images {
            let group = groups.entry(Reverse(depth(image.apex_wire())));
            group.or_default().push(image);
        }
        (groups.into_values().collect(), withdrawn)
    }
}

/// Returns the number of labels of a name in wire form.
fn depth(wire: &[u8]) -> usize {
    let lengths = std::iter::successors(wire.first().map(|_| 0_usize), |&at| {
        let length = usize::from(*wire.get(at)?);
        (length > 0).then_some(at + 1 + length)
    });
    lengths.count().saturating_sub(1)
}

impl Round {
    /// Returns whether nobody waits for any of it.
    fn is_housework(&self) -> bool {
        self.jobs.is_empty()
            && self.ahead.is_empty()
            && self.renewed.is_empty()
            && self.learnt.is_empty()
    }

    /// Returns whether nothing of it can be stored without the rest.
    fn is_one_piece(&self) -> bool {
        let pieces = self.jobs.len()
            + usize::from(!self.ahead.is_empty())
            + usize::from(!self.renewed.is_empty())
            + usize::from(!self.learnt.is_empty())
            + usize::from(self.garbage > 0 || !self.stray_keys.is_empty());
        pieces <= 1
    }

    /// Takes it apart; what frees room comes first, then what is smallest.
    fn pieces(self) -> Vec<Self> {
        let mut pieces = vec![Self {
            garbage: self.garbage,
            stray_keys: self.stray_keys,
            ..Self::default()
        }];
        let jobs = self.jobs.into_iter();
        pieces.extend(jobs.map(|id| Self {
            jobs: vec![id],
            ..Self::default()
        }));
        pieces.push(Self {
            renewed: self.renewed,
            ..Self::default()
        });
        pieces.push(Self {
            learnt: self.learnt,
            ..Self::default()
        });
        pieces.push(Self {
            ahead: self.ahead,
            ..Self::default()
        });
        pieces
    }
}
