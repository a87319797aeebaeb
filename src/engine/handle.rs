//! The callers' end of the engine.

use std::fmt;
use std::io;
use std::ops::{Bound, ControlFlow};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, mpsc};
use std::thread::JoinHandle;

use ring::digest::{SHA256, digest};
use tokio::sync::{Semaphore, oneshot};

use super::census::Censuses;
use super::facts::Facts;
use super::handout::HandOuts;
use super::load::{self, StartError};
use super::writer::Message;
use super::{Change, Observation, OpError, Outcome, Refusal, View};
use crate::clock::{Clock, Timestamp};
use crate::dnssec::SealingKey;
use crate::lifecycle::Rulebook;
use crate::mail::RoutingPublisher;
use crate::metrics::Metrics;
use crate::store::record::{self, AuditRecord, Record, SignedZoneRecord, TokenRecord};
use crate::store::{BackupReport, Direction, Space, Store, StoreError, meta};
use crate::wire::Apex;
use crate::zone::{SignedZone, Template, ZonePublisher};

/// How the engine works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// How many threads prepare zones; 0: one per core.
    pub workers: usize,
    /// How many changes are worked on or wait to be; more callers wait for their turn.
    pub queue: usize,
    /// The rules of domains' lives that hold.
    pub rulebook: Rulebook,
    /// Whether the outside is watched: unknown waits then, else the operator's word counts.
    pub watched: bool,
}

/// The door to the control plane; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    /// What all clones share.
    pub(super) shared: Arc<Shared>,
}

/// The engine's threads; end with [`Engine::stop`] and are awaited by [`EngineThreads::join`].
#[derive(Debug)]
pub struct EngineThreads {
    /// The writer, then the workers.
    pub(super) handles: Vec<JoinHandle<()>>,
}

/// What is stored could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record is not what it should be.
    #[error("{what}: {reason}")]
    Damaged {
        /// Which record.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What the writer and all handles share.
pub(super) struct Shared {
    /// The facts as of the last commit. Written by the writer alone, right after a commit; the lock
    /// keeps facts of one commit together.
    pub(super) facts: RwLock<Facts>,
    /// Where facts are durable.
    pub(super) store: Arc<dyn Store>,
    /// Tells the time.
    pub(super) clock: Arc<dyn Clock>,
    /// What is counted.
    pub(super) metrics: Arc<Metrics>,
    /// The credentials of the API.
    tokens: Vec<(String, TokenRecord)>,
    /// What was counted of each pool; written by the writer alone, never held long.
    pub(super) censuses: Mutex<Censuses>,
    /// What was handed out. Never locked before `facts` by one who waits for them.
    pub(super) hand_outs: Mutex<HandOuts>,
    /// The way to the writer. Unbounded itself: `permits` bounds what callers put in, and workers
    /// only answer what the writer asked for.
    pub(super) messages: mpsc::Sender<Message>,
    /// One permit per change that may be worked on or wait.
    permits: Semaphore,
    /// Whether the writer takes changes.
    ready: AtomicBool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            workers: 0,
            queue: 1024,
            rulebook: Rulebook::standard(),
            watched: false,
        }
    }
}

impl Engine {
    /// Loads what is stored, publishes every zone and starts the engine's threads.
    ///
    /// Blocks until all is served: about a second for 100 000 domains. `publisher` is the one that
    /// the data plane's reader belongs to.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, is damaged, or belongs to another sealing key.
    pub fn start(
        config: EngineConfig,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        sealing: SealingKey,
        publisher: ZonePublisher,
        routes: RoutingPublisher,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, EngineThreads), StartError> {
        load::start(config, store, clock, sealing, publisher, routes, metrics)
    }

    /// Makes a handle around what the threads share.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Makes a change, all of it or nothing, and returns when it is durable and served.
    ///
    /// Waits for its turn while [`EngineConfig::queue`] others are worked on.
    ///
    /// # Errors
    ///
    /// Every reason why it is not made, each with the step it concerns.
    pub async fn change(&self, change: Change) -> Result<Outcome, Vec<OpError>> {
        let _permit = self.shared.permits.acquire().await;
        let (answer, answered) = oneshot::channel();
        let message = Message::Change(Box::new(change), answer);
        if self.shared.messages.send(message).is_err() {
            return Err(OpError::whole(Refusal::Stopping));
        }
        answered
            .await
            .unwrap_or_else(|_| Err(OpError::whole(Refusal::Stopping)))
    }

    /// Takes in what was seen of the outside: stored with the next commit, and acted on; makes no
    /// revision.
    pub fn observe(&self, observations: Vec<Observation>) {
        // Who comes when the writer is gone is heard after the next start.
        let _ = self.shared.messages.send(Message::Observed(observations));
    }

    /// Signs again, and does, what is due now and returns when it is served.
    ///
    /// The engine does so by itself every second; this is for those who move the clock by hand.
    pub fn tick(&self) {
        let (done, wait) = mpsc::channel();
        if self.shared.messages.send(Message::Tick(done)).is_ok() {
            // Closed without a word means that the writer is gone: nothing is left to wait for.
            let _ = wait.recv();
        }
    }

    /// Asks the engine's threads to end; changes in flight are refused.
    pub fn stop(&self) {
        self.shared.ready.store(false, Ordering::Release);
        let _ = self.shared.messages.send(Message::Stop);
    }

    /// Returns whether everything is loaded and changes are taken.
    pub fn is_ready(&self) -> bool {
        self.shared.ready.load(Ordering::Acquire)
    }

    /// Returns the moment by the engine's clock.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Returns the facts as of the last commit, held still.
    pub fn view(&self) -> View<'_> {
        let facts = self.shared.facts.read();
        let now = self.shared.clock.now();
        View::new(facts.unwrap_or_else(PoisonError::into_inner), now)
    }

    /// Returns a zone as signed, with its template; `None` for a name that is no zone of ours.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn signed_zone(
        &self,
        apex: &Apex,
    ) -> Result<Option<(SignedZone, Arc<Template>)>, ReadError> {
        // A version may be replaced between the look at the facts and at the store; the next look
        // sees the newer one. Three in a row have not been replaced within microseconds.
        for _ in 0..3 {
            let view = self.view();
            let Some(served) = view.served(apex) else {
                return Ok(None);
            };
            let template = Arc::clone(&served.template.template);
            let key = record::signed_zone_key(apex, served.version);
            drop(view);
            if let Some(octets) = self.shared.store.get(Space::SignedZone, &key)? {
                let stored: SignedZoneRecord = decode(&octets, || format!("the zone {apex}"))?;
                return Ok(Some((stored.into_zone(apex.clone()), template)));
            }
        }
        Err(ReadError::Damaged {
            what: format!("the zone {apex}"),
            reason: "its signatures are not stored".to_owned(),
        })
    }

    /// Returns up to `limit` audit records with a number above `after`, oldest first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn audit(&self, after: u64, limit: usize) -> Result<Vec<(u64, AuditRecord)>, ReadError> {
        let after = after.to_be_bytes();
        self.read_audit(Bound::Excluded(&after), Direction::Ascending, limit)
    }

    /// Returns the newest audit records, up to `limit`, oldest first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn newest_audit(&self, limit: usize) -> Result<Vec<(u64, AuditRecord)>, ReadError> {
        let mut records = self.read_audit(Bound::Unbounded, Direction::Descending, limit)?;
        records.reverse();
        Ok(records)
    }

    /// Reads audit records, up to `limit`.
    fn read_audit(
        &self,
        from: Bound<&[u8]>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(u64, AuditRecord)>, ReadError> {
        let mut found = Vec::new();
        let mut visit = |key: &[u8], value: &[u8]| {
            if found.len() == limit {
                return ControlFlow::Break(());
            }
            found.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        };
        let store = &self.shared.store;
        store.scan(Space::Audit, from, direction, &mut visit)?;
        let records = found.into_iter().map(|(key, value)| {
            let number = key.try_into().map_or(0, u64::from_be_bytes);
            let record = decode(&value, || format!("audit record {number}"))?;
            Ok((number, record))
        });
        records.collect()
    }

    /// Returns the id and the record of the credential with this secret, if there is one.
    pub fn token(&self, secret: &str) -> Option<(&str, &TokenRecord)> {
        let hash = digest(&SHA256, secret.as_bytes());
        // What is compared is a hash: how far it agrees says nothing of the secret.
        let mut tokens = self.shared.tokens.iter();
        let (id, token) = tokens.find(|(_, token)| token.hash[..] == *hash.as_ref())?;
        Some((id, token))
    }

    /// Returns the id of the key that the stored keys are sealed under, once there are any.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn sealing_key_id(&self) -> Result<Option<String>, ReadError> {
        Ok(meta::SEALING_KEY_ID.get(&*self.shared.store)?)
    }

    /// Writes a consistent copy of the store.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or `to` cannot be written.
    pub fn backup(&self, to: &mut dyn io::Write) -> Result<BackupReport, StoreError> {
        self.shared.store.backup(to)
    }
}

/// Decodes a record, or says which one is damaged.
pub(super) fn decode<R: Record>(octets: &[u8], what: impl Fn() -> String) -> Result<R, ReadError> {
    record::decode(octets).map_err(|error| ReadError::Damaged {
        what: what(),
        reason: error.to_string(),
    })
}

impl EngineThreads {
    /// Waits until every thread has ended.
    pub fn join(self) {
        for handle in self.handles {
            // A thread that panicked has said so; the others are still waited for.
            let _ = handle.join();
        }
    }
}

impl Shared {
    /// Notes that changes are taken no more.
    pub(super) fn end(&self) {
        self.ready.store(false, Ordering::Release);
    }

    /// Puts together what the threads and handles share; not ready yet.
    pub(super) fn new(
        config: &EngineConfig,
        facts: Facts,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        tokens: Vec<(String, TokenRecord)>,
        messages: mpsc::Sender<Message>,
    ) -> Self {
        Self {
            facts: RwLock::new(facts),
            store,
            clock,
            metrics,
            tokens,
            censuses: Mutex::default(),
            hand_outs: Mutex::default(),
            messages,
            permits: Semaphore::new(config.queue.max(1)),
            ready: AtomicBool::new(true),
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("ready", &self.is_ready())
            .finish_non_exhaustive()
    }
}
