//! The threads that prepare zones, and what waits for them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::courtesy::Courtesy;
use super::job::JobId;
use super::prepare::{PrepareError, Prepared, Workshop, ZoneTask};
use super::writer::Message;
use crate::clock::Timestamp;
use crate::metrics::Metrics;
use crate::wire::Apex;

/// The zones that one job wants prepared next, in one piece of work.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Whose zones they are.
    pub(super) job: JobId,
    /// The moment at which they are signed.
    pub(super) now: Timestamp,
    /// The zones.
    pub(super) tasks: Vec<ZoneTask>,
}

/// What became of a chunk.
#[derive(Debug)]
pub(super) struct ChunkDone {
    /// Whose zones they were.
    pub(super) job: JobId,
    /// Each zone, or why there is none.
    pub(super) zones: Vec<Result<Prepared, (Apex, PrepareError)>>,
}

/// Which queue a chunk waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Somebody waits for a few zones: before everything else.
    Small,
    /// Large changes and re-signing: when nothing small waits.
    Large,
}

/// The threads that prepare zones.
pub(super) struct Workers {
    /// What they wait for.
    queues: Arc<Queues>,
}

/// Two queues and a bell.
struct Queues {
    /// What waits; the lock keeps both queues and the end together.
    waiting: Mutex<Waiting>,
    /// Rung when something was put in.
    bell: Condvar,
}

/// What waits to be prepared. Bounded by what the writer asks for: the changes it works on, and
/// one round of re-signing.
#[derive(Default)]
struct Waiting {
    /// Chunks of small changes.
    small: VecDeque<Chunk>,
    /// Chunks of large ones.
    large: VecDeque<Chunk>,
    /// Whether the threads are to end.
    ended: bool,
}

impl Workers {
    /// Starts `count` threads, which answer to `messages`.
    pub(super) fn start(
        count: usize,
        workshop: &Arc<Workshop>,
        metrics: &Arc<Metrics>,
        messages: &mpsc::Sender<Message>,
    ) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let queues = Arc::new(Queues {
            waiting: Mutex::new(Waiting::default()),
            bell: Condvar::new(),
        });
        let mut handles = Vec::with_capacity(count);
        for number in 0..count {
            let queues = Arc::clone(&queues);
            let workshop = Arc::clone(workshop);
            let metrics = Arc::clone(metrics);
            let messages = messages.clone();
            let thread = thread::Builder::new().name(format!("prepare-{number}"));
            handles.push(thread.spawn(move || {
                let mut courtesy = Courtesy::of_preparing();
                while let Some((chunk, urgency)) = queues.next() {
                    courtesy.begin(urgency, Instant::now());
                    let done = work(&workshop, &metrics, &mut courtesy, chunk);
                    if messages.send(Message::Prepared(done)).is_err() {
                        return;
                    }
                }
            })?);
        }
        Ok((Self { queues }, handles))
    }

    /// Puts a chunk into a queue.
    pub(super) fn submit(&self, chunk: Chunk, urgency: Urgency) {
        let mut waiting = self.queues.lock();
        match urgency {
            Urgency::Small => waiting.small.push_back(chunk),
            Urgency::Large => waiting.large.push_back(chunk),
        }
        drop(waiting);
        self.queues.bell.notify_one();
    }

    /// Drops what waits of a job that is not wanted any more; returns how many chunks that were.
    pub(super) fn cancel(&self, job: JobId) -> usize {
        let mut waiting = self.queues.lock();
        let before = waiting.small.len() + waiting.large.len();
        waiting.small.retain(|chunk| chunk.job != job);
        waiting.large.retain(|chunk| chunk.job != job);
        before - waiting.small.len() - waiting.large.len()
    }

    /// Tells the threads to end when they have done what they are at.
    pub(super) fn end(&self) {
        let mut waiting = self.queues.lock();
        waiting.ended = true;
        waiting.small.clear();
        waiting.large.clear();
        drop(waiting);
        self.queues.bell.notify_all();
    }
}

impl Drop for Workers {
    /// Lets no thread wait for a writer that is gone, even if it panicked.
    fn drop(&mut self) {
        self.end();
    }
}

impl Queues {
    /// Waits for the next chunk, small ones first; `None` at the end.
    fn next(&self) -> Option<(Chunk, Urgency)> {
        let mut waiting = self.lock();
        loop {
            if waiting.ended {
                return None;
            }
            if let Some(chunk) = waiting.small.pop_front() {
                return Some((chunk, Urgency::Small));
            }
            if let Some(chunk) = waiting.large.pop_front() {
                return Some((chunk, Urgency::Large));
            }
            waiting = self
                .bell
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Returns what waits; nothing under this lock can panic half way.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prepares the zones of a chunk, one after the other.
fn work(
    workshop: &Workshop,
    metrics: &Metrics,
    courtesy: &mut Courtesy,
    chunk: Chunk,
) -> ChunkDone {
    let Chunk { job, now, tasks } = chunk;
    let zones = tasks.into_iter().map(|task| {
        let apex = task.apex.clone();
        // A caller waits for each of these, so a fault of ours must come back as one. Nothing that
        // is shared is left half done: a preparation only reads, and layouts are built aside.
        let prepare = || workshop.prepare(task, now, &mut || courtesy.signed());
        let outcome = catch_unwind(AssertUnwindSafe(prepare));
        let outcome = outcome.unwrap_or(Err(PrepareError::Panicked));
        let (prepared, took): (Prepared, Duration) = outcome.map_err(|error| (apex, error))?;
        metrics.signed(prepared.signatures, took);
        Ok(prepared)
    });
    ChunkDone {
        job,
        zones: zones.collect(),
    }
}
