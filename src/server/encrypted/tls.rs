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

use super::certificate::Certificate;
use super::files::provider;

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
    /// How long one may take.
    patience: Duration,
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
            patience: HANDSHAKE,
        }
    }

    /// Does the handshake over `stream`; `None` if it came to nothing.
    pub(in crate::server) async fn pass<S>(&self, stream: S, place: Slot) -> Option<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let shaken = tokio::select! {
            biased;
            shaken = timeout(self.patience, self.acceptor.accept(stream)) => {
                shaken.ok().and_then(Result::ok)
            }
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

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use tokio::io::duplex;

    use crate::clock::SystemClock;
    use crate::metrics::Metrics;
    use crate::server::slots::Taking;
    use crate::server::{CertificateFiles, TcpLimits};
    use crate::wire::Transport;

    use super::*;

    /// Returns a door whose handshakes end after `patience`, and what counts them.
    fn door(patience: Duration) -> (TlsDoor, Arc<Metrics>) {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["ns1.example".to_owned()]).unwrap();
        let files = CertificateFiles {
            certificate: folder.path().join("dns.pem"),
            key: folder.path().join("dns.key"),
        };
        fs::write(&files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        fs::set_permissions(&files.key, Permissions::from_mode(0o600)).unwrap();
        let metrics = Arc::new(Metrics::new());
        let certificate = Certificate::load(files, Arc::new(SystemClock::new()), metrics.clone());
        let certificate = certificate.unwrap();
        let limits = TcpLimits {
            connections: 1,
            per_source: 1,
            ..TcpLimits::default()
        };
        let handshakes = Slots::for_handshakes(&limits, HANDSHAKE);
        let counts = metrics.handshakes(Transport::Dot);
        let door = TlsDoor::new(dot(Arc::new(certificate)), handshakes, counts);
        (TlsDoor { patience, ..door }, metrics)
    }

    /// Takes the only place.
    fn place(door: &TlsDoor) -> Slot {
        let Taking::Free(place) = door.handshakes.take("192.0.2.1".parse().unwrap()) else {
            panic!("it is free");
        };
        place
    }

    #[tokio::test]
    async fn handshakes_that_take_too_long_or_give_way_are_counted() {
        let (door, metrics) = door(Duration::from_millis(10));
        let (stream, _silent) = duplex(1_024);
        assert!(door.pass(stream, place(&door)).await.is_none());
        let door = TlsDoor {
            patience: Duration::from_secs(60),
            ..door
        };
        let (stream, _silent) = duplex(1_024);
        let place = place(&door);
        assert!(door.handshakes.give_way());

        assert!(door.pass(stream, place).await.is_none());

        let text = metrics.render();
        let wanted = "mxpool_dns_handshakes_total{result=\"failed\",transport=\"dot\"} 2";
        assert!(text.contains(wanted), "{text}");
    }
}
