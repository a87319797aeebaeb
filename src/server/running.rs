//! Opening the sockets, and closing them again.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use socket2::{Socket, Type};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::zone::{ReplySettings, Transport, ZoneReader};

use super::cookies::{CookieSecretsError, SecretKeeper};
use super::cores::{NoSuchCore, check_cores};
use super::doorkeeper::Doorkeeper;
use super::encrypted::{self, CertificateError, CertificateFiles, Encrypted, EncryptedSockets};
use super::responder::Responders;
use super::rrl::{self, RateLimiter};
use super::slots::Slots;
use super::socket;
use super::tcp::TcpAcceptor;
use super::threads::StreamThreads;
use super::udp::UdpWorker;
use super::{FilesAgain, ServerConfig};

/// The data plane, not yet running.
pub struct Server;

/// The running data plane; it goes on until [`Running::stop`].
pub struct Running {
    /// The addresses that answer.
    addresses: Vec<SocketAddr>,
    /// Tells listeners and connections to end.
    stop: watch::Sender<bool>,
    /// The threads that answer datagrams.
    workers: Vec<UdpWorker>,
    /// The tasks that accept connections.
    acceptors: Vec<JoinHandle<()>>,
    /// The task that tells who is limited, if anybody may be.
    teller: Option<JoinHandle<()>>,
    /// What they run on; dropped last.
    threads: StreamThreads,
    /// Gives the workers their cookie secrets, if they have any.
    keeper: Option<Arc<SecretKeeper>>,
    /// What is served over TLS and QUIC, if anything is.
    encrypted: Option<Encrypted>,
}

/// The data plane could not start; no socket of it stays open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Another program has the address.
    #[error("cannot listen on {address} ({listener}): another program uses this address and port")]
    InUse {
        /// The address that was wanted.
        address: SocketAddr,
        /// The setting that wants it, and what for.
        listener: &'static str,
    },
    /// A socket could not be opened.
    #[error("cannot listen on {address} ({listener}): {source}")]
    Listen {
        /// The address that was wanted.
        address: SocketAddr,
        /// The setting that wants it, and what for.
        listener: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Cookies have no secret.
    #[error(transparent)]
    Cookies(#[from] CookieSecretsError),
    /// What clients are to be shown over TLS and QUIC cannot be.
    #[error("cannot serve TLS: {0}")]
    Certificate(#[from] CertificateError),
    /// Answers cannot be limited.
    #[error("cannot limit rates of answers: the system gives no random octets")]
    Random,
    /// A core that threads are to run on is not there.
    #[error("cannot run UDP threads where dns.cores says: {0}")]
    Core(#[from] NoSuchCore),
    /// A thread could not be started.
    #[error("cannot start a thread that answers queries: {0}")]
    Thread(#[source] io::Error),
}

/// UDP, as errors call it.
const UDP: &str = "dns.listen, UDP";

/// TCP, as errors call it.
const TCP: &str = "dns.listen, TCP";

/// How often a free port is sought that both UDP and TCP can have.
const PORT_TRIES: usize = 16;

impl Server {
    /// Opens all sockets and answers from now on; called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// Names the address that could not be had, or what is wrong with the cookie secrets.
    pub fn start(
        config: ServerConfig,
        zones: ZoneReader,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Running, ServerError> {
        let (keeper, cookies) = SecretKeeper::open(config.cookie_secrets.clone())?;
        let settings = Arc::new(ReplySettings {
            nsid: config.identity.nsid.clone(),
            id_server: config.identity.id_server,
            cookies: Some(cookies),
        });
        let mut responders = Responders::new(zones, clock, metrics, settings);
        if let Some(rrl) = config.rrl.clone() {
            let limiter = RateLimiter::new(rrl).ok_or(ServerError::Random)?;
            responders.limiter = Some(Arc::new(limiter));
        }
        let running = start(&config, &responders)?;
        Ok(Running {
            keeper: Some(Arc::new(keeper)),
            ..running
        })
    }
}

/// Takes every address of `config` and gives it back at once, to learn whether it can be had.
///
/// So a start that cannot succeed is told before it has loaded, or made, anything; what is asked
/// while an address is taken is lost, as if nobody were there. The answer may have changed by the
/// time of [`Server::start`], which says the same then.
///
/// # Errors
///
/// Names the address that could not be had, or the core.
pub fn probe(config: &ServerConfig) -> Result<(), ServerError> {
    check_cores(&config.cores)?;
    let mut taken = Vec::new();
    for address in &config.listen {
        // TCP first, as another server of ours shares its UDP addresses but never those.
        for (listener, kind) in [(TCP, Type::STREAM), (UDP, Type::DGRAM)] {
            let socket = socket::take(*address, kind);
            taken.push(socket.map_err(|source| refused(*address, listener, source))?);
        }
    }
    if let Some(tls) = &config.tls {
        encrypted::probe(tls)?;
    }
    Ok(())
}

impl Running {
    /// Returns the addresses that answer, with the ports they really have.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns the addresses that answer over TLS, with the ports they really have.
    pub fn dot_addresses(&self) -> &[SocketAddr] {
        self.encrypted.as_ref().map_or(&[], |it| &it.dot)
    }

    /// Returns the addresses that answer over QUIC, with the ports they really have.
    pub fn doq_addresses(&self) -> &[SocketAddr] {
        self.encrypted.as_ref().map_or(&[], |it| &it.doq)
    }

    /// Begins to take over what may change while the server runs, the certificate and the cookie
    /// secrets, each by itself, and logs what has become of that. What cannot be used is not taken
    /// over, and what was in use before stays; the same goes for whatever is read too late, after
    /// what another call asked for later.
    pub fn reload(&self, files: FilesAgain) {
        if let Some(certificate) = files.certificate {
            self.reload_certificate(certificate);
        }
        if let (Some(keeper), Some(file)) = (&self.keeper, files.cookie_secrets) {
            let rereading = keeper.rereading(file);
            self.threads.handle().spawn_blocking(rereading);
        }
    }

    /// Reads the certificate that is shown over TLS and QUIC again, be it out of other files.
    pub(super) fn reload_certificate(&self, files: CertificateFiles) {
        if let Some(encrypted) = &self.encrypted {
            let rereading = encrypted.certificate.rereading(files);
            // On threads that a stop does not wait for: a disk may take its time.
            self.threads.handle().spawn_blocking(rereading);
        }
    }

    /// Stops answering: open connections get the answers to what has been read, then all is closed.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for worker in &self.workers {
            worker.stop();
        }
        for acceptor in self.acceptors {
            if let Err(error) = acceptor.await {
                tracing::error!(%error, "a listener had ended");
            }
        }
        if let Some(teller) = self.teller
            && let Err(error) = teller.await
        {
            tracing::error!(%error, "what tells who is limited had ended");
        }
        let workers = self.workers;
        let joined = tokio::task::spawn_blocking(|| workers.into_iter().for_each(UdpWorker::join));
        if let Err(error) = joined.await {
            tracing::error!(%error, "waiting for the UDP threads failed");
        }
    }
}

/// The sockets of one address.
struct Sockets {
    /// The address, with the port it really has.
    address: SocketAddr,
    /// The listener.
    tcp: TcpListener,
    /// One a worker.
    udp: Vec<Socket>,
}

/// Opens the sockets of all addresses, then starts what answers on them.
pub(super) fn start(
    config: &ServerConfig,
    responders: &Responders,
) -> Result<Running, ServerError> {
    check_cores(&config.cores)?;
    let workers = config.workers();
    // All or none: nothing answers before every address has been had.
    let sockets = config
        .listen
        .iter()
        .map(|address| open(*address, workers))
        .collect::<Result<Vec<_>, _>>()?;
    let encrypted = match &config.tls {
        Some(tls) => Some(EncryptedSockets::open(tls, responders)?),
        None => None,
    };
    let gauge = responders.metrics.open_connections(Transport::Tcp);
    let slots = Slots::new(&config.tcp, Some(gauge));
    let (stop, stopped) = watch::channel(false);
    let threads = StreamThreads::start().map_err(ServerError::Thread)?;
    // What is spawned from here on runs on those.
    let handle = threads.handle();
    let _inside = handle.enter();
    let mut running = Running {
        addresses: Vec::new(),
        stop,
        workers: Vec::new(),
        acceptors: Vec::new(),
        teller: None,
        threads,
        keeper: None,
        encrypted: None,
    };
    if let Some(limiter) = &responders.limiter {
        let telling = rrl::tell(Arc::clone(limiter), stopped.clone());
        running.teller = Some(tokio::spawn(telling));
    }
    for Sockets { address, tcp, udp } in sockets {
        running.addresses.push(address);
        if let Some(socket) = udp.first() {
            socket::warn_of_small_buffer(socket);
        }
        for (number, socket) in udp.into_iter().enumerate() {
            let responder = responders.responder(Transport::Udp);
            let core = config.cores.iter().cycle().nth(number).copied();
            let worker = UdpWorker::start(socket, responder, core);
            running.workers.push(worker.map_err(ServerError::Thread)?);
        }
        let acceptor = TcpAcceptor {
            listener: tokio::net::TcpListener::from_std(tcp)
                .map_err(|source| refused(address, TCP, source))?,
            keeper: Doorkeeper {
                responder: responders.responder(Transport::Tcp),
                limits: config.tcp,
                slots: slots.clone(),
            },
            door: None,
        };
        let stopped = stopped.clone();
        running.acceptors.push(tokio::spawn(acceptor.run(stopped)));
    }
    if let Some(sockets) = encrypted {
        let (encrypted, tasks) = sockets.serve(config.tcp, responders, &stopped)?;
        running.encrypted = Some(encrypted);
        running.acceptors.extend(tasks);
    }
    Ok(running)
}

/// Opens the sockets of one address; port 0 becomes a port that is free for UDP and TCP.
fn open(wanted: SocketAddr, workers: usize) -> Result<Sockets, ServerError> {
    let mut tries = if wanted.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        // TCP first: unlike UDP workers' sockets it can be had only once, so that a second server
        // on the same address is told, not given half of the queries.
        let tcp = socket::tcp(wanted).map_err(|source| refused(wanted, TCP, source))?;
        let address = tcp
            .local_addr()
            .map_err(|source| refused(wanted, TCP, source))?;
        let udp: io::Result<Vec<_>> = (0..workers).map(|_| socket::udp(address)).collect();
        match udp {
            Ok(udp) => return Ok(Sockets { address, tcp, udp }),
            Err(_) if tries > 0 => {}
            Err(source) => return Err(refused(address, UDP, source)),
        }
    }
}

/// Says that an address could not be had.
pub(super) fn refused(
    address: SocketAddr,
    listener: &'static str,
    source: io::Error,
) -> ServerError {
    if source.kind() == io::ErrorKind::AddrInUse {
        return ServerError::InUse { address, listener };
    }
    ServerError::Listen {
        address,
        listener,
        source,
    }
}
