//! From what is stored to a running engine.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, mpsc};
use std::thread;

use super::act::Acts;
use super::census::Counting;
use super::compose::{Composed, compose};
use super::courtesy;
use super::downtime;
use super::facts::{
    Adoption, Arrival, DomainFacts, Facts, Members, PoolFacts, PoolVersion, Rare, Recipe, Served,
    SharedTemplate, Wish, ZoneFacts, renew_at,
};
use super::followed::Followed;
use super::handle::{Engine, EngineConfig, EngineThreads, Shared};
use super::idempotency::RememberedKeys;
use super::life::Judgement;
use super::prepare::Workshop;
use super::references::by_host;
use super::resign::Renewals;
use super::restored;
use super::workers::Workers;
use super::writer::Writer;
use crate::clock::{Clock, Timestamp};
use crate::dnssec::{ClockGuard, Ds, SealingKey, SigningPolicy};
use crate::history::Lapse;
use crate::mail::{PoolSettings, RoutingPublisher};
use crate::metrics::Metrics;
use crate::store::record::{
    self, ChangeRecord, CountRecord, DomainRecord, Fate, HostRecord, IdempotencyRecord,
    OperatorZoneRecord, PolicyAdoption, PoolRecord, Record, TemplateRecord, TokenRecord, ZoneFact,
};
use crate::store::{Batch, Direction, Space, Store, StoreError, meta};
use crate::wire::{Apex, Name};
use crate::zone::{Layouts, Template, TemplateId, ZoneImage, ZonePublisher};

/// Why the engine does not start; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored does not go together.
    #[error("{what} is damaged: {reason}")]
    Damaged {
        /// Which record.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store's keys are sealed under another key.
    #[error(
        "expected the sealing key {wanted}, which this store's keys are sealed under, found {found}"
    )]
    WrongSealingKey {
        /// The key that the store names.
        wanted: String,
        /// The key that was given.
        found: String,
    },
    /// A restore into this store was never finished.
    #[error("a restore into this store was interrupted: restore again, into an empty store")]
    HalfRestored,
    /// The clock cannot be trusted to sign what was restored.
    #[error("a restored store must be signed again: {0}")]
    Clock(#[from] crate::dnssec::ClockError),
    /// A restored zone could not be signed again.
    #[error("the restored zone {apex} cannot be signed again: {reason}")]
    Resign {
        /// The zone.
        apex: Apex,
        /// Why not.
        reason: String,
    },
    /// The system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// How many records are deleted in one commit at start.
const DELETIONS: usize = 4096;

/// What was read, before it goes to work.
#[derive(Default)]
pub(super) struct Loaded {
    /// The facts.
    pub(super) facts: Facts,
    /// What is served.
    pub(super) images: Vec<ZoneImage>,
    /// What nothing names any more.
    pub(super) orphans: Vec<(Space, Vec<u8>)>,
    /// The templates that are stored and needed.
    pub(super) templates: HashMap<TemplateId, Arc<SharedTemplate>>,
    /// The highest version of a zone.
    pub(super) last_version: u64,
    /// The idempotency keys.
    keys: Vec<(Timestamp, Box<str>)>,
    /// The credentials of the API.
    tokens: Vec<(String, TokenRecord)>,
}

/// Loads what is stored, publishes every zone and starts the threads.
pub(super) fn start(
    config: EngineConfig,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    sealing: SealingKey,
    mut publisher: ZonePublisher,
    mut routes: RoutingPublisher,
    metrics: Arc<Metrics>,
) -> Result<(Engine, EngineThreads), StartError> {
    check_sealing_key(&*store, &sealing)?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let layouts = Layouts::default();
    let judgement = Judgement {
        book: config.rulebook.clone(),
        watched: config.watched,
    };
    let mut loaded = load(&*store, &layouts, cores, clock.now(), judgement)?;
    let empty = loaded.empty_template();
    let mut guard = ClockGuard::new(&*clock, meta::LAST_SIGNING.get(&*store)?);
    let workshop = Arc::new(Workshop {
        store: Arc::clone(&store),
        sealing,
        layouts,
        empty,
    });
    if let Some(restored) = meta::RESTORED.get(&*store)? {
        let now = guard.now(&*clock)?;
        restored::sign_again(&mut loaded, &workshop, &restored, now, cores)?;
        guard.note_signing(now);
    }
    match sweep(&*store, &loaded.orphans) {
        // What nothing names harms nobody; with a full disk, being served is what counts.
        Err(error @ StoreError::Full { .. }) => {
            tracing::warn!(%error, "what a crash left behind stays until the next start");
        }
        swept => swept?,
    }
    loaded.facts.followed = Followed::from(loaded.facts.revision);
    let rests_until = downtime::note_start(&*store, &mut loaded.facts, &*clock)?;
    let facts = &mut loaded.facts;
    for (apex, domain) in &facts.domains {
        facts.counters.follow(apex, domain);
        facts.deferring.follow(apex, domain);
        facts.delegated.follow(apex, domain);
    }
    each::<CountRecord>(&*store, |key, record| {
        loaded.facts.counters.remember(&apex(key)?, record);
        Ok(())
    })?;
    let images = std::mem::take(&mut loaded.images).into_iter();
    publisher.publish(images.map(|image| loaded.facts.counters.counted(image)));
    let domains = loaded.facts.domains.iter();
    routes.publish(domains.map(|(apex, domain)| (apex.clone(), Some(loaded.facts.route(domain)))));
    metrics.stored(loaded.facts.revision);
    metrics.published(loaded.facts.revision);
    store.release_pages();

    let (sender, messages) = mpsc::channel();
    let count = if config.workers == 0 {
        cores
    } else {
        config.workers
    };
    let (workers, mut handles) = Workers::start(count, &workshop, &metrics, &sender)?;
    let shared = Arc::new(Shared::new(
        &config,
        loaded.facts,
        store,
        clock,
        metrics,
        loaded.tokens,
        sender,
    ));
    let writer = Writer {
        shared: Arc::clone(&shared),
        messages,
        acts: Acts::resting(rests_until),
        routes,
        workers,
        publisher,
        guard,
        jobs: BTreeMap::new(),
        last_job: 0,
        last_version: loaded.last_version,
        claims: HashMap::new(),
        ready: VecDeque::new(),
        ahead: Vec::new(),
        garbage: VecDeque::new(),
        stray_keys: Vec::new(),
        templates: loaded.templates.into_keys().collect::<HashSet<_>>(),
        keys: RememberedKeys::new(loaded.keys),
        renewals: Renewals::default(),
        counting: Counting::default(),
        starving: HashSet::new(),
        held: VecDeque::new(),
        old_events: Vec::new(),
        commits_fail: false,
        housework_rests_until: None,
        complained: None,
        holds_pages: false,
        tickers: Vec::new(),
    };
    let thread = thread::Builder::new().name("writer".to_owned());
    let end = End(Arc::clone(&shared));
    let run = move || {
        let _end = end;
        courtesy::of_writing();
        writer.run();
    };
    handles.insert(0, thread.spawn(run)?);
    Ok((Engine::new(shared), EngineThreads { handles }))
}

/// Says that changes are taken no more when the writer is gone, for whatever reason.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Checks that the store's keys can be opened; a new store takes the key on.
fn check_sealing_key(store: &dyn Store, sealing: &SealingKey) -> Result<(), StartError> {
    if meta::RESTORING.get(store)?.is_some() {
        return Err(StartError::HalfRestored);
    }
    let found = sealing.id().to_string();
    match meta::SEALING_KEY_ID.get(store)? {
        Some(wanted) if wanted != found => Err(StartError::WrongSealingKey { wanted, found }),
        Some(_) => Ok(()),
        None => {
            let mut batch = Batch::new();
            meta::SEALING_KEY_ID.put(&mut batch, &found);
            store.commit(&batch)?;
            Ok(())
        }
    }
}

/// Reads and composes everything, on all cores.
fn load(
    store: &dyn Store,
    layouts: &Layouts,
    cores: usize,
    now: Timestamp,
    judgement: Judgement,
) -> Result<Loaded, StartError> {
    let mut loaded = Loaded::default();
    loaded.facts.judgement = judgement;
    loaded.facts.recovering = meta::RECOVERING.get(store)?;
    loaded.facts.revision = meta::REVISION.get(store)?.unwrap_or(0);
    loaded.facts.gone_serial = meta::GONE_SERIAL.get(store)?;
    loaded.facts.left_references = by_host(meta::LEFT_REFERENCES.get(store)?.unwrap_or_default());
    loaded.facts.gone_zones = meta::gone_zones(store)?;
    each::<TemplateRecord>(store, |key, record| {
        let shared = SharedTemplate::new(record.0);
        if shared.id.0[..] != *key {
            return Err("its content is not what its name says".to_owned());
        }
        loaded.templates.insert(shared.id, shared);
        Ok(())
    })?;
    each::<PoolRecord>(store, |key, record| {
        let name = std::str::from_utf8(key).map_err(|error| error.to_string())?;
        let pool = pool_facts(record, &loaded.templates)?;
        loaded.facts.pools.insert(Arc::from(name), pool);
        Ok(())
    })?;
    each::<HostRecord>(store, |key, record| {
        let name = String::from_utf8(key.to_vec()).map_err(|error| error.to_string())?;
        loaded.facts.hosts.insert(name, record);
        Ok(())
    })?;
    each::<ChangeRecord>(store, |key, record| {
        let id = record::split_growing_key(key).ok_or("expected a number for a key")?;
        if let Some(scheduled) = record.scheduled.filter(|it| it.fate == Fate::Waits) {
            loaded.facts.put_scheduled(id, scheduled);
        }
        Ok(())
    })?;
    each::<TokenRecord>(store, |key, record| {
        let id = String::from_utf8(key.to_vec()).map_err(|error| error.to_string())?;
        loaded.tokens.push((id, record));
        Ok(())
    })?;
    each::<IdempotencyRecord>(store, |key, record| {
        let key = String::from_utf8(key.to_vec()).map_err(|error| error.to_string())?;
        loaded.keys.push((record.at, key.into()));
        Ok(())
    })?;

    let mut zones: Vec<(Apex, OperatorZoneRecord)> = Vec::new();
    each::<OperatorZoneRecord>(store, |key, record| {
        zones.push((apex(key)?, record));
        Ok(())
    })?;
    let mut domains: Vec<(Apex, DomainRecord)> = Vec::new();
    each::<DomainRecord>(store, |key, record| {
        if !loaded.facts.pools.contains_key(record.pool.as_str()) {
            return Err(format!("there is no pool {:?}", record.pool));
        }
        domains.push((apex(key)?, record));
        Ok(())
    })?;
    let wanted: HashMap<Apex, u64> = zones
        .iter()
        .map(|(apex, record)| (apex.clone(), record.zone.version))
        .chain(
            domains
                .iter()
                .filter(|(_, record)| !is_dropped(record))
                .map(|(apex, record)| (apex.clone(), record.zone.version)),
        )
        .collect();
    let mut composed = compose(store, layouts, cores, &wanted, &mut loaded)?;
    assemble(&mut loaded, zones, domains, &mut composed, now)?;
    loaded.facts.find_references();
    loaded.facts.look_again_at_all(now);
    loaded.find_stray_keys(store)?;
    loaded.drop_templates();
    Ok(loaded)
}

/// Visits every record of a type; what `visit` refuses is damage.
fn each<R: Record>(
    store: &dyn Store,
    mut visit: impl FnMut(&[u8], R) -> Result<(), String>,
) -> Result<(), StartError> {
    let mut outcome = Ok(());
    store.scan(
        R::SPACE,
        Bound::Unbounded,
        Direction::Ascending,
        &mut |key, value| {
            let visited = record::decode(value)
                .map_err(|error| StartError::from(error.at(key)))
                .and_then(|record| {
                    visit(key, record).map_err(|reason| StartError::Damaged {
                        what: format!("the {} record {}", R::SPACE, key.escape_ascii()),
                        reason,
                    })
                });
            match visited {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    outcome = Err(error);
                    ControlFlow::Break(())
                }
            }
        },
    )?;
    outcome
}

/// Returns the zone that a key names.
fn apex(key: &[u8]) -> Result<Apex, String> {
    let name = Name::from_wire(key).map_err(|error| error.to_string())?;
    Apex::new(name).map_err(|error| error.to_string())
}

/// Returns what is known of a pool.
fn pool_facts(
    record: PoolRecord,
    templates: &HashMap<TemplateId, Arc<SharedTemplate>>,
) -> Result<PoolFacts, String> {
    let settings = stored_settings(&record.settings)?;
    let signing = settings.signing();
    let signing = SigningPolicy::new(
        signing.algorithm,
        signing.dnskey_ttl(),
        signing.lifetime,
        signing.refresh,
    );
    let signing = signing.map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        errors.join("; ")
    })?;
    let template = stored_template(&record.template, templates)?;
    let earlier = record.earlier.into_iter();
    let earlier = earlier.map(|lapse| {
        Ok(Lapse {
            what: Arc::new(PoolVersion {
                settings: Arc::new(stored_settings(&lapse.what.settings)?),
                template: stored_template(&lapse.what.template, templates)?,
                policy: lapse.what.policy.map(adoption),
            }),
            on: lapse.on,
            off: lapse.off,
        })
    });
    let wish = record.wish.map(|wish| {
        Ok::<_, String>(Arc::new(Wish {
            settings: Arc::new(stored_settings(&wish.settings)?),
            staged: wish.staged,
            names_below: wish.names_below,
        }))
    });
    Ok(PoolFacts {
        wish: wish.transpose()?,
        since: record.since,
        earlier: earlier.collect::<Result<_, String>>()?,
        revision: record.revision,
        recipe: Arc::new(Recipe {
            settings: Arc::new(settings),
            template,
            signing,
        }),
        policy: record.policy.map(adoption),
        counts: Default::default(),
    })
}

/// Reads settings as they are stored.
fn stored_settings(text: &str) -> Result<PoolSettings, String> {
    let document = serde_json::from_str(text).map_err(|error| error.to_string())?;
    PoolSettings::from_stored(&document).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        faults.join("; ")
    })
}

/// Finds a template that is stored.
fn stored_template(
    id: &TemplateId,
    templates: &HashMap<TemplateId, Arc<SharedTemplate>>,
) -> Result<Arc<SharedTemplate>, String> {
    let template = templates.get(id);
    let template = template.ok_or_else(|| format!("there is no template {id}"))?;
    Ok(Arc::clone(template))
}

/// Returns the adoption of a policy that is stored.
fn adoption(policy: PolicyAdoption) -> Adoption {
    Adoption {
        revision: policy.revision,
        text: policy.text,
    }
}

/// Returns whether a domain's zone is served no more.
fn is_dropped(record: &DomainRecord) -> bool {
    record
        .life
        .as_ref()
        .is_some_and(|life| life.dropped.is_some())
}

/// Puts facts together with the signed zones that they name.
fn assemble(
    loaded: &mut Loaded,
    zones: Vec<(Apex, OperatorZoneRecord)>,
    domains: Vec<(Apex, DomainRecord)>,
    composed: &mut HashMap<Apex, Composed>,
    now: Timestamp,
) -> Result<(), StartError> {
    let missing = |apex: &Apex, version: u64| StartError::Damaged {
        what: format!("the zone {}", apex.to_api_text()),
        reason: format!("version {version} of its signatures is not stored"),
    };
    let empty = loaded.empty_template();
    let facts = &mut loaded.facts;
    for (apex, record) in zones {
        let Some(found) = composed.remove(&apex) else {
            return Err(missing(&apex, record.zone.version));
        };
        let served = served(record.zone, found.template);
        let zone = ZoneFacts {
            revision: record.revision,
            records: Arc::new(record.records),
            content: Arc::new(found.content),
            arrival: Arrival::of(&served),
            served,
        };
        facts.put_zone(apex, zone);
    }
    let mut members: Vec<(Apex, DomainFacts)> = Vec::with_capacity(domains.len());
    for (apex, record) in domains {
        let template = if is_dropped(&record) {
            Arc::clone(&empty)
        } else if let Some(found) = composed.remove(&apex) {
            found.template
        } else {
            return Err(missing(&apex, record.zone.version));
        };
        let Some((name, _)) = facts.pools.get_key_value(record.pool.as_str()) else {
            continue;
        };
        let pool = Arc::clone(name);
        if let Some(pool) = facts.pools.get_mut(&pool) {
            pool.counts[record.state.index()] += 1;
        }
        let rare = Rare {
            registrar: record.registrar,
            expires_at: record.expires_at,
            labels: record.labels,
            extra: record.extra,
        };
        let domain = DomainFacts {
            pool,
            state: record.state,
            fresh: record.fresh,
            since: record.since,
            revision: record.revision,
            rare: rare.boxed(),
            served: served(record.zone, template),
            added: record.added,
            routed: record.routed,
            life: record.life,
        };
        members.push((apex, domain));
    }
    let mut index: Members<Vec<(Timestamp, Apex)>> = BTreeMap::new();
    for (apex, domain) in &members {
        let key = (Arc::clone(&domain.pool), domain.state);
        let list = index.entry(key).or_default();
        list.push((domain.since, apex.clone()));
    }
    let index = index.into_iter();
    facts.members = index
        .map(|(key, list)| (key, list.into_iter().collect()))
        .collect();
    let mut due: Vec<(Timestamp, Apex)> = members
        .iter()
        .filter(|(_, domain)| !domain.is_dropped())
        .map(|(apex, domain)| {
            let pool = facts.pools.get(&domain.pool);
            let at = pool.map_or(now, |pool| {
                renew_at(domain.served.earliest_expiration, &pool.recipe.signing)
            });
            (at, apex.clone())
        })
        .collect();
    // Built at once out of sorted lists: a third of the time that single insertions take.
    due.extend(std::mem::take(&mut facts.due));
    facts.due = due.into_iter().collect::<BTreeSet<_>>();
    facts.domains = members.into_iter().collect();
    Ok(())
}

/// Returns which signed zone serves a name.
fn served(fact: ZoneFact, template: Arc<SharedTemplate>) -> Served {
    let ds = fact.ds.into_iter().map(|ds| Ds {
        key_tag: ds.key_tag,
        algorithm: ds.algorithm,
        digest: ds.digest,
    });
    Served {
        version: fact.version,
        serial: fact.serial,
        earliest_expiration: fact.earliest_expiration,
        ds: ds.collect(),
        template,
    }
}

/// Deletes what nothing names, some at a time.
fn sweep(store: &dyn Store, orphans: &[(Space, Vec<u8>)]) -> Result<(), StoreError> {
    for orphans in orphans.chunks(DELETIONS) {
        let mut batch = Batch::new();
        for (space, key) in orphans {
            batch.delete(*space, key);
        }
        store.commit(&batch)?;
    }
    Ok(())
}

impl Loaded {
    /// Returns the template of zones that share nothing.
    fn empty_template(&self) -> Arc<SharedTemplate> {
        let template = Template::new(Vec::new()).expect("no RRset is there twice among none");
        let empty = SharedTemplate::new(template);
        let known = self.templates.get(&empty.id);
        known.map_or(empty, Arc::clone)
    }

    /// Notes the keys of zones that are not there: stored ahead of a change that never was.
    fn find_stray_keys(&mut self, store: &dyn Store) -> Result<(), StartError> {
        store.scan(
            Space::Key,
            Bound::Unbounded,
            Direction::Ascending,
            &mut |key, _| {
                let known = apex(key).is_ok_and(|apex| self.facts.zone(&apex).is_some());
                if !known {
                    self.orphans.push((Space::Key, key.to_vec()));
                }
                ControlFlow::Continue(())
            },
        )?;
        Ok(())
    }

    /// Notes the templates that neither a pool nor a zone refers to.
    fn drop_templates(&mut self) {
        let orphans = &mut self.orphans;
        self.templates.retain(|id, template| {
            // One reference is this map's own.
            let used = Arc::strong_count(template) > 1;
            if !used {
                orphans.push((Space::Template, id.0.to_vec()));
            }
            used
        });
    }
}
