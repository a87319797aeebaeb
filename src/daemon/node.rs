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
use crate::routing::{self, RoutingError, RoutingListen, Socketmap};
use crate::server::{self, FilesAgain, Running, Server, ServerError};
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
    /// The data plane could not start.
    #[error(transparent)]
    Server(ServerError),
    /// What mail hosts ask could not start.
    #[error(transparent)]
    Routing(RoutingError),
    /// The outside cannot be watched.
    #[error("cannot watch: {0}")]
    Watch(#[from] TlsError),
    /// An address could not be had.
    #[error("cannot listen on {address} ({listener}): {reason}")]
    Listen {
        /// The setting that wants it.
        listener: &'static str,
        /// The address that was wanted, as the configuration writes it.
        address: String,
        /// What is in the way, and what to do.
        reason: String,
    },
}

impl From<ServerError> for StartFailure {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::Listen {
                address,
                listener,
                source,
            } => refused(listener, address, &source),
            other => Self::Server(other),
        }
    }
}

impl From<RoutingError> for StartFailure {
    fn from(error: RoutingError) -> Self {
        match error {
            RoutingError::Listen { listen, source } => match listen {
                RoutingListen::Tcp(address) => refused("routing.listen", address, &source),
                RoutingListen::Unix(_) => Self::Listen {
                    listener: "routing.listen",
                    address: listen.to_string(),
                    reason: source.to_string(),
                },
            },
            other => Self::Routing(other),
        }
    }
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
    /// Where metrics are shown beside the API, if they are.
    metrics: Option<SocketAddr>,
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
        if sealing::lies_in(&config.keys, &config.store) {
            tracing::warn!(
                keys = %config.keys.display(),
                store = %config.store.display(),
                "the sealing key lies in the store's folder: whoever has a copy of that can open its \
                 keys; give keys.path a folder of its own"
            );
        }
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
            let api = listen(API, config.api).await?;
            let metrics = match config.metrics {
                Some(address) => Some(listen(METRICS, address).await?),
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
        let mut metrics = None;
        if let Some(listener) = scrape {
            metrics = listener.local_addr().ok();
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
            metrics,
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
    pub(super) fn reload(&self, files: FilesAgain) {
        self.server.reload(files);
    }

    /// Returns where the API listens.
    pub(super) fn api(&self) -> SocketAddr {
        self.api
    }

    /// Returns where metrics are shown beside the API, if they are.
    pub(super) fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Returns where mail hosts ask, if they do.
    pub(super) fn routing(&self) -> Option<&RoutingListen> {
        self.routing.as_ref().map(routing::Running::listen)
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
    let metrics = config.metrics.map(|address| (METRICS, address));
    for (listener, address) in [(API, config.api)].into_iter().chain(metrics) {
        std::net::TcpListener::bind(address)
            .map_err(|source| refused(listener, address, &source))?;
    }
    if let Some(config) = &config.routing {
        routing::probe(config)?;
    }
    Ok(server::probe(&config.server)?)
}

/// Opens a listener for HTTP.
async fn listen(listener: &'static str, address: SocketAddr) -> Result<TcpListener, StartFailure> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| refused(listener, address, &source))
}

/// The API's listener, as errors call it.
const API: &str = "api.listen";
/// The metrics' listener, as errors call it.
const METRICS: &str = "metrics.listen";

/// The ports that are not everybody's: below this (`ip_unprivileged_port_start`, unless changed).
const FIRST_FREE_PORT: u16 = 1_024;

/// Says that an address could not be had, why, and what to do.
fn refused(listener: &'static str, address: SocketAddr, source: &io::Error) -> StartFailure {
    let reason = match source.kind() {
        io::ErrorKind::AddrInUse => "another program uses this address and port".to_owned(),
        io::ErrorKind::AddrNotAvailable => format!(
            "this machine does not have the address {}: correct it, or start when an interface has \
             it",
            address.ip()
        ),
        io::ErrorKind::PermissionDenied if address.port() < FIRST_FREE_PORT => format!(
            "this user may not use ports below {FIRST_FREE_PORT}: start as root or with the \
             capability CAP_NET_BIND_SERVICE"
        ),
        _ => source.to_string(),
    };
    StartFailure::Listen {
        listener,
        address: address.to_string(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use nix::libc;

    use super::*;

    /// Says what is told of an address of a listener, where the system says such a thing.
    fn told(error: impl Into<StartFailure>) -> String {
        error.into().to_string()
    }

    #[test]
    fn an_address_that_cannot_be_had_is_told_with_its_setting_and_what_to_do() {
        let address: SocketAddr = ([192, 0, 2, 53], 53).into();
        let of = |number| io::Error::from_raw_os_error(number);
        let nowhere = "this machine does not have the address 192.0.2.53: correct it, or start when \
                       an interface has it";
        let forbidden = "this user may not use ports below 1024: start as root or with the \
                         capability CAP_NET_BIND_SERVICE";

        let dns = |number| ServerError::Listen {
            address,
            listener: "dns.listen, UDP",
            source: of(number),
        };
        let begin = "cannot listen on 192.0.2.53:53 (dns.listen, UDP): ";
        assert_eq!(told(dns(libc::EADDRNOTAVAIL)), format!("{begin}{nowhere}"));
        assert_eq!(told(dns(libc::EACCES)), format!("{begin}{forbidden}"));
        assert!(told(dns(libc::EMFILE)).starts_with(&format!("{begin}Too many open files")));

        let routing = |listen: RoutingListen, number| RoutingError::Listen {
            listen,
            source: of(number),
        };
        let begin = "cannot listen on 192.0.2.53:53 (routing.listen): ";
        let tcp = routing(RoutingListen::Tcp(address), libc::EACCES);
        assert_eq!(told(tcp), format!("{begin}{forbidden}"));
        let unix = routing(RoutingListen::Unix("a".into()), libc::EACCES);
        let wanted = "cannot listen on unix:a (routing.listen): Permission denied";
        assert!(told(unix).starts_with(wanted));

        // Of a port that anybody may use it is something else.
        let high = ([192, 0, 2, 53], 8_053).into();
        let wanted = "cannot listen on 192.0.2.53:8053 (api.listen): Permission denied (os";
        assert!(told(refused(API, high, &of(libc::EACCES))).starts_with(wanted));
    }

    #[test]
    fn the_http_listeners_are_called_by_their_settings() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let free = Config::default();
        let api = Config {
            api: address,
            ..free.clone()
        };
        let metrics = Config {
            api: ([127, 0, 0, 1], 0).into(),
            metrics: Some(address),
            ..free
        };

        for (config, listener) in [(api, "api.listen"), (metrics, "metrics.listen")] {
            let wanted = format!(
                "cannot listen on {address} ({listener}): another program uses this address and \
                 port"
            );
            assert_eq!(told(probe(&config).unwrap_err()), wanted);
        }
    }
}
