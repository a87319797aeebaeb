//! The sockets of encrypted transports, and what serves them.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use socket2::Type;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::server::config::{TcpLimits, TlsConfig};
use crate::server::doorkeeper::Doorkeeper;
use crate::server::responder::Responders;
use crate::server::running::{ServerError, refused};
use crate::server::slots::Slots;
use crate::server::socket;
use crate::server::tcp::TcpAcceptor;
use crate::zone::Transport;

use super::certificate::Certificate;
use super::doq::DoqListener;
use super::tls::{self, HANDSHAKE, TlsDoor};

/// Bound sockets that nothing serves yet, and the certificate for them.
pub(in crate::server) struct EncryptedSockets {
    /// What clients are shown.
    certificate: Arc<Certificate>,
    /// Listeners of DNS over TLS, with the addresses they really have.
    dot: Vec<(SocketAddr, TcpListener)>,
    /// Sockets of DNS over QUIC, with the addresses they really have.
    doq: Vec<(SocketAddr, UdpSocket)>,
}

/// What is served over TLS and QUIC.
pub(in crate::server) struct Encrypted {
    /// What clients are shown.
    pub(in crate::server) certificate: Arc<Certificate>,
    /// The addresses of DNS over TLS.
    pub(in crate::server) dot: Vec<SocketAddr>,
    /// The addresses of DNS over QUIC.
    pub(in crate::server) doq: Vec<SocketAddr>,
}

/// Takes every address and gives it back at once, and reads the certificate.
///
/// # Errors
///
/// Names what could not be had.
pub(in crate::server) fn probe(config: &TlsConfig) -> Result<(), ServerError> {
    config.files.check()?;
    let mut taken = Vec::new();
    let dot = config.dot.iter().map(|it| (it, DOT, Type::STREAM));
    let doq = config.doq.iter().map(|it| (it, DOQ, Type::DGRAM));
    for (address, listener, kind) in dot.chain(doq) {
        let socket = socket::take(*address, kind);
        taken.push(socket.map_err(|source| refused(*address, listener, source))?);
    }
    Ok(())
}

/// DNS over TLS, as errors call it.
const DOT: &str = "dns.tls.dot";
/// DNS over QUIC, as errors call it.
const DOQ: &str = "dns.tls.doq";

impl EncryptedSockets {
    /// Opens all sockets and reads the certificate.
    ///
    /// # Errors
    ///
    /// Names what could not be had.
    pub(in crate::server) fn open(
        config: &TlsConfig,
        responders: &Responders,
    ) -> Result<Self, ServerError> {
        let (clock, metrics) = (responders.clock.clone(), responders.metrics.clone());
        let certificate = Certificate::load(config.files.clone(), clock, metrics)?;
        let dot = config.dot.iter().map(|address| {
            let bound = socket::tcp(*address).and_then(|it| Ok((it.local_addr()?, it)));
            bound.map_err(|source| refused(*address, DOT, source))
        });
        let doq = config.doq.iter().map(|address| {
            let bound = socket::quic(*address).and_then(|it| Ok((it.local_addr()?, it)));
            bound.map_err(|source| refused(*address, DOQ, source))
        });
        Ok(Self {
            certificate: Arc::new(certificate),
            dot: dot.collect::<Result<_, _>>()?,
            doq: doq.collect::<Result<_, _>>()?,
        })
    }

    /// Serves all sockets until `stopped` turns true; returns the tasks that do.
    ///
    /// # Errors
    ///
    /// Names the socket that the runtime could not take.
    pub(in crate::server) fn serve(
        self,
        limits: TcpLimits,
        responders: &Responders,
        stopped: &watch::Receiver<bool>,
    ) -> Result<(Encrypted, Vec<JoinHandle<()>>), ServerError> {
        let mut encrypted = Encrypted {
            certificate: self.certificate.clone(),
            dot: Vec::new(),
            doq: Vec::new(),
        };
        let watching = self.certificate.clone().watch(stopped.clone());
        let mut tasks = vec![tokio::spawn(watching)];
        let dot = keeper(Transport::Dot, limits, responders);
        let door = Arc::new(TlsDoor::new(
            tls::dot(self.certificate.clone()),
            Slots::for_handshakes(&limits, HANDSHAKE),
            responders.metrics.handshakes(Transport::Dot),
        ));
        for (address, listener) in self.dot {
            let acceptor = TcpAcceptor {
                listener: tokio::net::TcpListener::from_std(listener)
                    .map_err(|source| refused(address, DOT, source))?,
                keeper: dot.clone(),
                door: Some(door.clone()),
            };
            tasks.push(tokio::spawn(acceptor.run(stopped.clone())));
            encrypted.dot.push(address);
        }
        let doq = keeper(Transport::Doq, limits, responders);
        let handshakes = Slots::for_handshakes(&limits, HANDSHAKE);
        for (address, socket) in self.doq {
            let listener = DoqListener::new(
                socket,
                self.certificate.clone(),
                doq.clone(),
                handshakes.clone(),
                responders.metrics.handshakes(Transport::Doq),
            );
            tasks.push(tokio::spawn(listener.run(stopped.clone())));
            encrypted.doq.push(address);
        }
        Ok((encrypted, tasks))
    }
}

/// Returns who keeps the door of one transport: with places of its own.
fn keeper(transport: Transport, limits: TcpLimits, responders: &Responders) -> Doorkeeper {
    let gauge = responders.metrics.open_connections(transport);
    Doorkeeper {
        responder: responders.responder(transport),
        limits,
        slots: Slots::new(&limits, Some(gauge)),
    }
}
