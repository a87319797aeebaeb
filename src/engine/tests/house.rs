//! An engine in a house of its own: a store that fails on demand, a clock moved by hand.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::ops::Bound;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::{Clock, ManualClock, Timestamp};
use crate::dnssec::{Extent, SealingKey, check};
use crate::engine::{
    Actor, AddDomain, Change, ChangeId, Engine, EngineConfig, EngineThreads, Op, OpError, Outcome,
    Refusal,
};
use crate::mail::{PoolSettings, RoutingReader, routing_set};
use crate::metrics::Metrics;
use crate::store::{
    BackupReport, Batch, Direction, Memory, Sequence, Space, Store, StoreError, Visit, Watch,
    WatchError,
};
use crate::wire::{Apex, Name, NoIncludes, Rcode, Rtype, Transport, Ttl, parse_master};
use crate::zone::{Asker, ReplySettings, Verdict, ZoneData, ZoneReader, answer, zone_set};

/// When every test begins: 2026-11-24T16:30:00Z.
pub(super) const START: Timestamp = Timestamp::from_secs(1_795_537_800);

/// A day.
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// A store in memory that refuses commits when told to.
pub(super) struct Fragile {
    /// What is stored.
    inner: Memory,
    /// Whether the disk is full.
    full: AtomicBool,
    /// Up to how many octets a commit may have.
    room: AtomicUsize,
    /// Whether the next commit panics.
    breaks: AtomicBool,
    /// How many commits are made until the power goes, and whether the one is durable at which it does.
    power: Mutex<Option<(usize, bool)>>,
    /// Whether commits wait.
    held: Mutex<bool>,
    /// Tells that they wait no more.
    released: Condvar,
    /// How often a value was read.
    pub(super) reads: AtomicUsize,
    /// How many commits were made.
    pub(super) commits: AtomicUsize,
    /// How often a commit was tried.
    pub(super) attempts: AtomicUsize,
}

impl Fragile {
    /// Makes an empty store that works.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: Memory::new(),
            full: AtomicBool::new(false),
            room: AtomicUsize::new(usize::MAX),
            breaks: AtomicBool::new(false),
            power: Mutex::new(None),
            held: Mutex::new(false),
            released: Condvar::new(),
            reads: AtomicUsize::new(0),
            commits: AtomicUsize::new(0),
            attempts: AtomicUsize::new(0),
        })
    }

    /// Fills the disk, or makes room.
    pub(super) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// Refuses commits of more octets.
    pub(super) fn set_room(&self, octets: usize) {
        self.room.store(octets, Ordering::SeqCst);
    }

    /// Lets the power go after so many commits: the next one fails, durable or not, and all after it.
    pub(super) fn cut_after(&self, commits: usize, lands: bool) {
        *self.power.lock().unwrap() = Some((commits, lands));
    }

    /// Returns whether the power went.
    pub(super) fn is_dark(&self) -> bool {
        matches!(*self.power.lock().unwrap(), Some((0, false)))
    }

    /// Gives power again.
    pub(super) fn light(&self) {
        *self.power.lock().unwrap() = None;
    }

    /// Takes a commit's power; returns whether it is made, and whether it is answered.
    fn take_power(&self) -> (bool, bool) {
        let mut power = self.power.lock().unwrap();
        let Some((left, lands)) = &mut *power else {
            return (true, true);
        };
        if *left > 0 {
            *left -= 1;
            return (true, true);
        }
        (std::mem::take(lands), false)
    }

    /// Lets commits wait until they are released.
    pub(super) fn hold(&self) {
        *self.held.lock().unwrap() = true;
    }

    /// Lets commits go on.
    pub(super) fn release(&self) {
        *self.held.lock().unwrap() = false;
        self.released.notify_all();
    }

    /// Lets commits panic.
    pub(super) fn break_down(&self) {
        self.breaks.store(true, Ordering::SeqCst);
    }

    /// Returns every key of a space.
    pub(super) fn keys(&self, space: Space) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        let visit: &mut Visit<'_> = &mut |key: &[u8], _: &[u8]| {
            keys.push(key.to_vec());
            std::ops::ControlFlow::Continue(())
        };
        self.scan(space, Bound::Unbounded, Direction::Ascending, visit)
            .unwrap();
        keys
    }
}

impl Store for Fragile {
    fn commit(&self, batch: &Batch) -> Result<Sequence, StoreError> {
        assert!(!self.breaks.load(Ordering::SeqCst), "the store was told to");
        self.attempts.fetch_add(1, Ordering::SeqCst);
        let held = self.held.lock().unwrap();
        drop(self.released.wait_while(held, |held| *held).unwrap());
        let too_large = batch.octets() > self.room.load(Ordering::SeqCst);
        if self.full.load(Ordering::SeqCst) || too_large {
            return Err(StoreError::Full {
                place: "the test's store".to_owned(),
                reason: "it was told to be".to_owned(),
            });
        }
        let (is_made, is_answered) = self.take_power();
        let made = is_made.then(|| self.inner.commit(batch));
        if let Some(made) = made.filter(|_| is_answered) {
            self.commits.fetch_add(1, Ordering::SeqCst);
            return made;
        }
        Err(StoreError::Full {
            place: "the test's store".to_owned(),
            reason: "the power went".to_owned(),
        })
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.inner.get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        from: Bound<&[u8]>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.inner.scan(space, from, direction, visit)
    }

    fn sequence(&self) -> Result<Sequence, StoreError> {
        self.inner.sequence()
    }

    fn watch(&self, after: Sequence) -> Result<Watch, WatchError> {
        self.inner.watch(after)
    }

    fn backup(&self, to: &mut dyn Write) -> Result<BackupReport, StoreError> {
        self.inner.backup(to)
    }

    fn release_pages(&self) {}
}

/// An engine with all it needs.
pub(super) struct House {
    /// The engine.
    pub(super) engine: Engine,
    /// Its threads.
    threads: Option<EngineThreads>,
    /// What is served.
    pub(super) reader: ZoneReader,
    /// What mail hosts may accept.
    pub(super) routing: RoutingReader,
    /// How the engine works.
    config: EngineConfig,
    /// The time.
    pub(super) clock: Arc<ManualClock>,
    /// What is stored.
    pub(super) store: Arc<Fragile>,
    /// What runs the callers.
    runtime: tokio::runtime::Runtime,
}

impl House {
    /// Builds a house with an empty store.
    pub(super) fn new() -> Self {
        Self::over(Fragile::new(), Arc::new(ManualClock::new(START)))
    }

    /// Builds a house with an empty store and the pool `main`.
    pub(super) fn with_pool() -> Self {
        let house = Self::new();
        house.done(put_pool("main", &settings(&[])));
        house
    }

    /// Builds a house on what a store holds.
    pub(super) fn over(store: Arc<Fragile>, clock: Arc<ManualClock>) -> Self {
        Self::configured(store, clock, EngineConfig::default())
    }

    /// Builds a house on what a store holds, whose engine works as `config` says.
    pub(super) fn configured(
        store: Arc<Fragile>,
        clock: Arc<ManualClock>,
        config: EngineConfig,
    ) -> Self {
        let (publisher, reader) = zone_set();
        let (routes, routing) = routing_set();
        let (engine, threads) = Engine::start(
            config.clone(),
            Arc::clone(&store) as Arc<dyn Store>,
            Arc::clone(&clock) as Arc<dyn Clock>,
            SealingKey::from_bytes(&[7; 32]).unwrap(),
            publisher,
            routes,
            Arc::new(Metrics::new()),
        )
        .unwrap();
        Self {
            engine,
            threads: Some(threads),
            reader,
            routing,
            config,
            clock,
            store,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .build()
                .unwrap(),
        }
    }

    /// Stops the engine and starts another one on what is stored.
    pub(super) fn restarted(mut self) -> Self {
        self.stop();
        let config = self.config.clone();
        Self::configured(Arc::clone(&self.store), Arc::clone(&self.clock), config)
    }

    /// Ends the engine as `kill -9` does, of which it notes nothing, and starts another one.
    pub(super) fn killed(mut self) -> Self {
        self.store.set_full(true);
        self.stop();
        self.store.set_full(false);
        let config = self.config.clone();
        Self::configured(Arc::clone(&self.store), Arc::clone(&self.clock), config)
    }

    /// Starts another engine after the power went, with power again.
    pub(super) fn restarted_in_light(mut self) -> Self {
        self.stop();
        self.store.light();
        let config = self.config.clone();
        Self::configured(Arc::clone(&self.store), Arc::clone(&self.clock), config)
    }

    /// Stops the engine.
    pub(super) fn stop(&mut self) {
        self.engine.stop();
        if let Some(threads) = self.threads.take() {
            threads.join();
        }
    }

    /// Makes a change.
    pub(super) fn make(&self, change: Change) -> Result<Outcome, Vec<OpError>> {
        self.runtime.block_on(self.engine.change(change))
    }

    /// Waits for what a caller waits for.
    pub(super) fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// Hands out a domain of a pool.
    pub(super) fn hand_out(&self, pool: &str) -> Result<Apex, Refusal> {
        self.runtime.block_on(self.engine.hand_out(pool))
    }

    /// Makes changes at the same time.
    pub(super) fn make_all(&self, changes: Vec<Change>) -> Vec<Result<Outcome, Vec<OpError>>> {
        let tasks: Vec<_> = changes
            .into_iter()
            .map(|change| {
                let engine = self.engine.clone();
                self.runtime
                    .spawn(async move { engine.change(change).await })
            })
            .collect();
        let tasks = tasks.into_iter();
        tasks
            .map(|task| self.runtime.block_on(task).unwrap())
            .collect()
    }

    /// Begins to make a change; the answer is waited for by calling what comes back.
    pub(super) fn begin(
        &self,
        change: Change,
    ) -> impl FnOnce() -> Result<Outcome, Vec<OpError>> + '_ {
        let engine = self.engine.clone();
        let task = self
            .runtime
            .spawn(async move { engine.change(change).await });
        move || self.runtime.block_on(task).unwrap()
    }

    /// Has the writer find several callers' wishes together: it is kept busy with another one until all
    /// of them are on their way, in this order.
    pub(super) fn together<T>(&self, wishes: impl FnOnce(&Self) -> Vec<Pending<T>>) -> Vec<T> {
        let attempts = self.store.attempts.load(Ordering::SeqCst);
        self.store.hold();
        let busy = self.begin(change(vec![add("busy.test")]));
        while self.store.attempts.load(Ordering::SeqCst) == attempts {
            std::thread::yield_now();
        }
        let mut wishes = wishes(self);
        for wish in &mut wishes {
            // The first look sends it on its way.
            let mut context = Context::from_waker(Waker::noop());
            assert!(wish.as_mut().poll(&mut context).is_pending());
        }
        self.store.release();
        busy().unwrap();
        let wishes = wishes.into_iter();
        wishes.map(|wish| self.runtime.block_on(wish)).collect()
    }

    /// Makes a change that is expected to be accepted.
    pub(super) fn done(&self, change: impl Into<Wish>) -> Outcome {
        let change = change.into().0;
        self.make(change).unwrap_or_else(|errors| {
            let errors: Vec<String> = errors
                .iter()
                .map(|error| format!("step {}: {:?}", error.op, error.refusal))
                .collect();
            panic!("refused: {}", errors.join("; "))
        })
    }

    /// Makes a change that is expected to be refused for one reason.
    pub(super) fn refused(&self, change: impl Into<Wish>) -> Refusal {
        let mut errors = self.make(change.into().0).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors.remove(0).refusal
    }

    /// Asks a question and returns what comes back: code, number of answers, the whole reply.
    pub(super) fn ask(&self, qname: &str, rtype: Rtype) -> (Rcode, u16, Vec<u8>) {
        let mut query = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        query.extend_from_slice(name(qname).as_wire());
        query.extend_from_slice(&rtype.code().to_be_bytes());
        query.extend_from_slice(&[0, 1]);
        // OPT with DO and a size that nothing here exceeds.
        query.extend_from_slice(&[0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0]);
        let mut reply = Vec::new();
        let settings = ReplySettings::default();
        let asker = Asker::new(Transport::Tcp, Ipv4Addr::LOCALHOST.into(), &settings);
        let verdict = answer(
            &self.reader.view(),
            &query,
            &asker,
            self.clock.now(),
            &mut reply,
        );
        let Verdict::Reply(answered) = verdict else {
            panic!("no reply to {qname} {rtype}");
        };
        let answers = u16::from_be_bytes([reply[6], reply[7]]);
        (answered.rcode, answers, reply)
    }

    /// Returns whether a question has answers.
    pub(super) fn has(&self, qname: &str, rtype: Rtype) -> bool {
        let (rcode, answers, _) = self.ask(qname, rtype);
        rcode == Rcode::NOERROR && answers > 0
    }

    /// Returns the serial that is served.
    pub(super) fn serial(&self, zone: &str) -> u32 {
        self.reader.get(&name(zone)).unwrap().serial().number()
    }

    /// Checks every signature of a zone as stored, and that its facts and image agree with it.
    pub(super) fn verify(&self, zone: &str) {
        let apex = apex(zone);
        let (signed, template) = self.engine.signed_zone(&apex).unwrap().unwrap();
        let unsigned = signed.to_unsigned(&template).unwrap();
        check(&signed, &unsigned, Extent::All, self.clock.now()).unwrap();
        let view = self.engine.view();
        let served = view.served(&apex).unwrap().serial;
        assert_eq!(self.serial(zone), served.number());
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a caller waits for.
pub(super) type Pending<T> = Pin<Box<dyn Future<Output = T>>>;

/// A change, or one step that makes one.
pub(super) struct Wish(pub(super) Change);

impl From<Op> for Wish {
    fn from(op: Op) -> Self {
        Self(change(vec![op]))
    }
}

impl From<Change> for Wish {
    fn from(change: Change) -> Self {
        Self(change)
    }
}

/// Returns a name.
pub(super) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// Returns a zone's name.
pub(super) fn apex(text: &str) -> Apex {
    Apex::parse(text).unwrap()
}

/// Returns a change of these steps.
pub(super) fn change(ops: Vec<Op>) -> Change {
    Change {
        ops,
        actor: Actor("test".to_owned()),
        reason: None,
        id: None,
        dry_run: false,
        expect_domains: None,
    }
}

/// Gives a change an idempotency key.
pub(super) fn keyed(mut change: Change, key: &str, says: u8) -> Change {
    change.id = Some(ChangeId {
        key: key.to_owned(),
        digest: [says; 32],
    });
    change
}

/// Returns the settings of a pool with one host in each domain, with members put in or replaced.
pub(super) fn settings(members: &[(&str, Value)]) -> Value {
    let mut document = json!({
        "nameservers": ["ns1.infra.test.", "ns2.infra.test."],
        "hostmaster": "hostmaster@infra.test",
        "mail_host": [{ "name": "mx1", "addresses": ["192.0.2.25", "2001:db8::25"] }],
        "readiness": { "delegated": false, "secured": "no", "mail_ready": false },
    });
    for (key, value) in members {
        document[*key] = value.clone();
    }
    document
}

/// Returns the settings of a pool whose host is shared by all domains.
pub(super) fn shared_settings(members: &[(&str, Value)]) -> Value {
    let host = json!([{
        "name": "mx1.infra.test.",
        "addresses": ["192.0.2.25"],
        "tlsa": [format!("3 1 1 {}", "ab".repeat(32))],
    }]);
    let mut document = settings(&[("mail_host", host)]);
    for (key, value) in members {
        document[*key] = value.clone();
    }
    document
}

/// Creates a pool or changes its settings.
pub(super) fn put_pool(name: &str, document: &Value) -> Op {
    Op::PutPool {
        name: name.to_owned(),
        settings: Box::new(PoolSettings::from_document(document).unwrap()),
        if_match: None,
    }
}

/// Adds a domain to the pool `main`.
pub(super) fn add(name: &str) -> Op {
    Op::AddDomain(AddDomain {
        pool: "main".to_owned(),
        name: apex(name),
        if_absent: false,
        fresh: None,
        registrar: None,
        expires_at: None,
        labels: BTreeMap::new(),
    })
}

/// Creates one of the operator's zones or replaces its records.
pub(super) fn put_zone(zone: &str, text: &str) -> Op {
    let apex = apex(zone);
    let records = parse_master(text, None, &apex, Ttl::from_secs(3600), &NoIncludes).unwrap();
    Op::PutZone {
        data: ZoneData::from_master(&apex, records).unwrap(),
        apex,
        if_match: None,
    }
}

/// The records of the zone `infra.test`.
pub(super) const INFRA: &str = "\
@ 900 SOA ns1 hostmaster 1 14400 3600 1209600 900
@ NS ns1
@ NS ns2
ns1 A 192.0.2.53
ns2 A 192.0.2.54
";
