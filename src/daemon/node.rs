//! A running node: everything that `serve` and `demo` start and stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::api;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::engine::{Engine, EngineConfig, EngineThreads, StartError};
use crate::mail::{RoutingReader, routing_set};
use crate::metrics::Metrics;
use crate::routing::{self, RoutingError, Socketmap};
use crate::server::{self, Running, Server, ServerError};
use crate::store::{Embedded, Store, StoreError};
use crate::watch::{TlsError, Watching};
use crate::zone::{ZoneReader, zone_set};

use super::descriptors::Places;
use super::http::{self, HttpLimits};
use super::observation;
use super::scrape;
use super::sealing::{self, SealingFileError};
use super::token::{self, TokenError};

/// How long requests in flight may take to end after a stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Why a node did not start; nothing of it goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartFailure {
    /// The runtime or a signal handler could not be had.
    #[error("cannot start: {0}")]
    Process(#[source] io::Error),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sealing key is not the store's.
    #[error(transparent)]
    Sealing(#[from] SealingFileError),
    /// The admin token could not be made.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// What is stored could not be loaded.
    #[error(transparent)]
    Engine(#[from] StartError),
    /// The data plane could not listen.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// What mail hosts ask could not listen.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// The outside cannot be watched.
    #[error("cannot watch: {0}")]
    Watch(#[from] TlsError),
    /// The API or the metrics could not listen.
    #[error("cannot listen on {address} ({what}): {}", reason(.source))]
    Listen {
        /// API or metrics.
        what: &'static str,
        /// The address that was wanted.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// What is loaded and published, with no socket open yet.
pub(super) struct Loaded {
    /// The control plane.
    engine: Engine,
    /// Its threads.
    threads: EngineThreads,
    /// The published set.
    zones: ZoneReader,
    /// What mail hosts may accept.
    routes: RoutingReader,
    /// Tells the time.
    clock: Arc<dyn Clock>,
    /// What is counted.
    metrics: Arc<Metrics>,
}

/// A node that serves.
pub(super) struct Node {
    /// The control plane.
    engine: Engine,
    /// Its threads.
    threads: EngineThreads,
    /// The data plane.
    server: Running,
    /// What mail hosts ask, if they do.
    routing: Option<routing::Running>,
    /// The observation of the outside, if it is wanted.
    watching: Option<Watching>,
    /// Where the API listens.
    api: SocketAddr,
    /// The tasks that speak HTTP.
    http: Vec<JoinHandle<()>>,
    /// Tells them to end.
    stop: watch::Sender<bool>,
}

impl Loaded {
    /// Opens store and key, and loads and publishes every zone; blocks until all is published.
    ///
    /// The addresses are tried first and given back: sockets must not be open before there is
    /// something to answer, but with an address in use nothing is made on disk.
    ///
    /// # Errors
    ///
    /// Says what keeps the node from starting. A store that was not there before may be there now,
    /// unless an address was in use; one that was there is as it was.
    pub(super) fn load(config: &Config) -> Result<Self, StartFailure> {
        probe(config)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let store = Embedded::open(&config.store)?;
        let sealing = sealing::open(&config.keys, &store)?;
        token::ensure(&config.store, &store, clock.now())?;
        let store: Arc<dyn Store> = Arc::new(store);
        let metrics = Arc::new(Metrics::new());
        let (publisher, zones) = zone_set();
        let (routing, routes) = routing_set();
        let (engine, threads) = Engine::start(
            EngineConfig {
                watched: config.watch.is_some(),
                ..EngineConfig::default()
            },
            store,
            clock.clone(),
            sealing,
            publisher,
            routing,
            metrics.clone(),
        )?;
        Ok(Self {
            engine,
            threads,
            zones,
            routes,
            clock,
            metrics,
        })
    }

    /// Opens the sockets and serves as many as there are places for; called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// Names the address that could not be had; the engine has ended then.
    pub(super) async fn serve(self, config: &Config, places: Places) -> Result<Node, StartFailure> {
        let engine = self.engine.clone();
        match self.open(config, places).await {
            Ok(node) => Ok(node),
            Err((failure, threads)) => {
                end(&engine, threads).await;
                Err(failure)
            }
        }
    }

    /// Opens the sockets; gives the engine's threads back when one could not be had.
    async fn open(
        self,
        config: &Config,
        places: Places,
    ) -> Result<Node, (StartFailure, EngineThreads)> {
        let sockets = async {
            // The control plane's first: they cannot be shared with another server, so a second
            // one is told before it takes queries.
            let api = listen("API", config.api).await?;
            let metrics = match config.metrics {
                Some(address) => Some(listen("metrics", address).await?),
                None => None,
            };
            let routing = match &config.routing {
                Some(config) => Some(Socketmap::start(
                    places.fit_routing(config),
                    self.routes.clone(),
                    self.metrics.clone(),
                )?),
                None => None,
            };
            let server = Server::start(
                places.fit_server(&config.server),
                self.zones.clone(),
                self.clock.clone(),
                self.metrics.clone(),
            )?;
            // Last: the world must be able to ask us before we ask how it sees us.
            let watching = match &config.watch {
                Some(watch) => {
                    let (engine, clock) = (self.engine.clone(), self.clock.clone());
                    Some(observation::start(watch, engine, clock)?)
                }
                None => None,
            };
            Ok((api, metrics, routing, server, watching))
        };
        let (api, scrape, routing, server, watching) = match sockets.await {
            Ok(sockets) => sockets,
            Err(failure) => return Err((failure, self.threads)),
        };
        let (stop, stopped) = watch::channel(false);
        let address = api.local_addr().unwrap_or(config.api);
        let router = api::router(self.engine.clone(), self.metrics.clone());
        let mut http = vec![tokio::spawn(http::serve(
            "API",
            api,
            router,
            HttpLimits::new(places.api),
            stopped.clone(),
        ))];
        if let Some(listener) = scrape {
            let router = scrape::router(self.metrics.clone());
            let limits = HttpLimits::new(places.metrics);
            http.push(tokio::spawn(http::serve(
                "metrics", listener, router, limits, stopped,
            )));
        }
        Ok(Node {
            engine: self.engine,
            threads: self.threads,
            server,
            routing,
            watching,
            api: address,
            http,
            stop,
        })
    }
}

impl Node {
    /// Returns the control plane.
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns the addresses that answer queries.
    pub(super) fn addresses(&self) -> &[SocketAddr] {
        self.server.addresses()
    }

    /// Returns the addresses that answer queries over TLS.
    pub(super) fn dot_addresses(&self) -> &[SocketAddr] {
        self.server.dot_addresses()
    }

    /// Returns the addresses that answer queries over QUIC.
    pub(super) fn doq_addresses(&self) -> &[SocketAddr] {
        self.server.doq_addresses()
    }

    /// Begins to take over what may change while the node serves, and logs what has become of that.
    pub(super) fn reload(&self, config: &Config) {
        self.server.reload(&config.server);
    }

    /// Puts into `running`, which the node was started with, the files that are really in use.
    pub(super) fn put_files_in_use(&self, running: &mut Config) {
        self.server.put_files_in_use(&mut running.server);
    }

    /// Returns where the API listens.
    pub(super) fn api(&self) -> SocketAddr {
        self.api
    }

    /// Ends everything, in the order that loses nothing: requests in flight get their answers,
    /// changes in flight are durable or refused, and queries are answered until the last.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.http {
            // What takes longer is cut off; its change is whole or absent, as after a crash.
            let abort = task.abort_handle();
            if timeout(DRAIN, task).await.is_err() {
                abort.abort();
            }
        }
        if let Some(watching) = self.watching {
            watching.stop().await;
        }
        end(&self.engine, self.threads).await;
        if let Some(routing) = self.routing {
            let stopped = tokio::task::spawn_blocking(|| routing.stop());
            if let Err(error) = stopped.await {
                tracing::error!(%error, "waiting for what mail hosts ask failed");
            }
        }
        self.server.stop().await;
    }
}

/// Ends the engine and waits for its threads.
async fn end(engine: &Engine, threads: EngineThreads) {
    engine.stop();
    if let Err(error) = tokio::task::spawn_blocking(|| threads.join()).await {
        tracing::error!(%error, "waiting for the engine failed");
    }
}

/// Tries all addresses and gives them back.
fn probe(config: &Config) -> Result<(), StartFailure> {
    let metrics = config.metrics.map(|address| ("metrics", address));
    for (what, address) in [("API", config.api)].into_iter().chain(metrics) {
        std::net::TcpListener::bind(address).map_err(|source| StartFailure::Listen {
            what,
            address,
            source,
        })?;
    }
    if let Some(config) = &config.routing {
        routing::probe(config)?;
    }
    Ok(server::probe(&config.server)?)
}

/// Opens a listener for HTTP.
async fn listen(what: &'static str, address: SocketAddr) -> Result<TcpListener, StartFailure> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartFailure::Listen {
            what,
            address,
            source,
        })
}

/// Says why an address could not be had.
fn reason(source: &io::Error) -> String {
    if source.kind() == io::ErrorKind::AddrInUse {
        return "another program uses this address and port".to_owned();
    }
    source.to_string()
}
