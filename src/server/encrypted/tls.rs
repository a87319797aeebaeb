//! What is agreed on in a TLS handshake, and how many may be under way.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::ServerSessionMemoryCache;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::metrics::Handshakes;
use crate::server::slots::{Slot, Slots};

use super::certificate::{Certificate, provider};

/// How long a handshake may take: two round trips, each lost once.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);

/// How many sessions can be taken up again without a full handshake, about 300 octets each; with
/// more, the oldest cannot.
const SESSIONS: usize = 8_192;

/// The protocol's name in a handshake (RFC 7858 has none; RFC 9103, section 7.1).
const DOT: &[u8] = b"dot";

/// The protocol's name in a handshake (RFC 9250, section 4.1.1).
const DOQ: &[u8] = b"doq";

/// What a TLS connection must pass before it gets a place.
pub(in crate::server) struct TlsDoor {
    /// Does the handshakes.
    acceptor: TlsAcceptor,
    /// Places of handshakes under way: other ones than those of connections, so that handshakes
    /// that nobody ends take nothing from clients that are served.
    pub(in crate::server) handshakes: Slots,
    /// Counts how they end.
    counts: Handshakes,
}

impl TlsDoor {
    /// Creates a door in front of DNS over TLS.
    pub(in crate::server) fn new(
        acceptor: TlsAcceptor,
        handshakes: Slots,
        counts: Handshakes,
    ) -> Self {
        Self {
            acceptor,
            handshakes,
            counts,
        }
    }

    /// Does the handshake over `stream`; `None` if it came to nothing.
    pub(in crate::server) async fn pass<S>(&self, stream: S, place: Slot) -> Option<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let shaken = tokio::select! {
            biased;
            shaken = timeout(HANDSHAKE, self.acceptor.accept(stream)) => shaken.ok()?.ok(),
            () = place.leave() => None,
        };
        match &shaken {
            Some(_) => self.counts.completed(),
            None => self.counts.failed(),
        }
        shaken
    }
}

/// Returns what does the handshakes of DNS over TLS.
///
/// TLS 1.2 serves as well: resolvers that try encryption without asking for it (RFC 9539) are no
/// better off in the clear. Who names a protocol must name this one; who names none may go on.
pub(in crate::server) fn dot(certificate: Arc<Certificate>) -> TlsAcceptor {
    TlsAcceptor::from(Arc::new(config(certificate, &[&TLS13, &TLS12], DOT)))
}

/// Returns what does the handshakes of DNS over QUIC: TLS 1.3, with early data.
///
/// Sessions are kept here, not in tickets that the client keeps, so each can be used once: a copy
/// of its early data is read as early data no second time (RFC 8446, section 8.1).
pub(super) fn doq(certificate: Arc<Certificate>) -> ServerConfig {
    let mut config = config(certificate, &[&TLS13], DOQ);
    // QUIC knows this value and 0 (RFC 9001, section 4.6.1); streams have limits of their own.
    config.max_early_data_size = u32::MAX;
    config
}

/// Returns settings for one protocol.
fn config(
    certificate: Arc<Certificate>,
    versions: &[&'static rustls::SupportedProtocolVersion],
    protocol: &[u8],
) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("the provider has the suites of both versions: a test asks with each")
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![protocol.to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    config
}
