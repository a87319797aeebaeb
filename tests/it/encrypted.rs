//! A client of DNS over TLS and over QUIC that trusts one certificate.

use std::fs::Permissions;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mxpool::clock::SystemClock;
use mxpool::server::{CertificateFiles, ServerConfig, TcpLimits, TlsConfig};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig as QuicConfig, Endpoint};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

use crate::dns::{Query, Reply};
use crate::lab::Lab;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// The name in the certificate.
pub(crate) const NAME: &str = "ns1.conf.test";

/// A client's end of DNS over TLS.
pub(crate) type TlsClient = StreamOwned<ClientConnection, TcpStream>;

/// A data plane with every transport, and clients for all of them.
pub(crate) struct EncryptedLab {
    /// The data plane.
    pub(crate) lab: Lab,
    /// What clients trust.
    trusted: RootCertStore,
    /// Asks over QUIC.
    quic: Endpoint,
    /// Runs that.
    runtime: tokio::runtime::Runtime,
    /// Keeps the certificate.
    folder: TempDir,
}

impl EncryptedLab {
    /// Signs the zones and serves them.
    pub(crate) fn start(zones: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        let files = CertificateFiles {
            certificate: folder.path().join("dns.pem"),
            key: folder.path().join("dns.key"),
        };
        std::fs::write(&files.certificate, made.cert.pem()).expect("the folder is ours");
        write_private(&files.key, &made.signing_key.serialize_pem());
        let any = vec![([127, 0, 0, 1], 0).into()];
        let config = ServerConfig {
            tcp: TcpLimits {
                per_source: 100,
                ..TcpLimits::default()
            },
            tls: Some(TlsConfig {
                dot: any.clone(),
                doq: any,
                files,
            }),
            ..ServerConfig::default()
        };
        let lab = Lab::start_configured(zones, config, Arc::new(SystemClock::new()));
        let mut trusted = RootCertStore::empty();
        trusted
            .add(made.cert.der().clone())
            .expect("it is well formed");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let quic = {
            let _inside = runtime.enter();
            Endpoint::client(([127, 0, 0, 1], 0).into()).expect("loopback has free ports")
        };
        let mut all = Self {
            lab,
            trusted,
            quic,
            runtime,
            folder,
        };
        let mut tls = client(&all.trusted, b"doq");
        tls.enable_early_data = true;
        let config = QuicClientConfig::try_from(tls).expect("it has TLS 1.3");
        all.quic
            .set_default_client_config(QuicConfig::new(Arc::new(config)));
        all
    }

    /// Returns the path of the certificate.
    pub(crate) fn certificate(&self) -> String {
        self.folder.path().join("dns.pem").display().to_string()
    }

    /// Connects over TLS.
    pub(crate) fn connect(&self) -> TlsClient {
        connect(self.lab.dot(), &self.trusted)
    }

    /// Asks over TLS, on a connection of its own.
    pub(crate) fn dot(&self, query: &Query) -> Reply {
        let mut client = self.connect();
        crate::dns::send_framed(&mut client, &query.octets());
        let reply = crate::dns::receive_framed(&mut client);
        Reply::parse(&reply).unwrap_or_else(|error| panic!("{error} in {reply:02x?}"))
    }

    /// Asks over QUIC, on a connection of its own, with the id that there must be.
    pub(crate) fn doq(&self, query: &Query) -> Reply {
        let reply = self
            .doq_octets(query)
            .unwrap_or_else(|error| panic!("{error}"));
        Reply::parse(&reply).unwrap_or_else(|error| panic!("{error} in {reply:02x?}"))
    }

    /// Asks on a connection that goes on with the session of one before, if there is one, and does
    /// not wait for its handshake; the server may look once that is complete all the same.
    pub(crate) fn doq_early(&self, query: &Query) -> Reply {
        let mut octets = query.octets();
        octets[..2].fill(0);
        let framed = [&(octets.len() as u16).to_be_bytes(), &octets[..]].concat();
        let exchange = async {
            let connecting = self.quic.connect(self.lab.doq(), NAME);
            let connecting = connecting.expect("the settings are good");
            let connection = match connecting.into_0rtt() {
                Ok((connection, _)) => connection,
                Err(connecting) => connecting.await.expect("the server accepts"),
            };
            let (mut send, mut receive) = connection.open_bi().await.expect("there is room");
            send.write_all(&framed).await.expect("it is open");
            send.finish().expect("it is open");
            receive.read_to_end(1 << 17).await.expect("an answer")
        };
        let exchange = async { tokio::time::timeout(PATIENCE, exchange).await };
        let reply = self.runtime.block_on(exchange).expect("an answer in time");
        Reply::parse(&reply[2..]).unwrap_or_else(|error| panic!("{error} in {reply:02x?}"))
    }

    /// The same as [`EncryptedLab::doq`], for those who may get no answer: then the connection ends, and why is told.
    pub(crate) fn doq_octets(&self, query: &Query) -> Result<Vec<u8>, String> {
        let mut octets = query.octets();
        octets[..2].fill(0);
        let framed = [&(octets.len() as u16).to_be_bytes(), &octets[..]].concat();
        let exchange = async {
            let connecting = self.quic.connect(self.lab.doq(), NAME);
            let connection = connecting.expect("the settings are good").await;
            let connection = connection.map_err(|error| error.to_string())?;
            let (mut send, mut receive) =
                connection.open_bi().await.map_err(|it| it.to_string())?;
            send.write_all(&framed).await.map_err(|it| it.to_string())?;
            send.finish().map_err(|it| it.to_string())?;
            match receive.read_to_end(1 << 17).await {
                Ok(reply) => Ok(reply),
                // The stream may be seen to end before the connection does.
                Err(_) => Err(format!("{:?}", connection.closed().await)),
            }
        };
        let exchange = async { tokio::time::timeout(PATIENCE, exchange).await };
        let reply = self
            .runtime
            .block_on(exchange)
            .expect("an answer or an end")?;
        let (length, message) = reply.split_at(2);
        assert_eq!(
            usize::from(u16::from_be_bytes([length[0], length[1]])),
            message.len()
        );
        Ok(message.to_vec())
    }
}

/// Writes a file that its owner alone can read.
pub(crate) fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the folder is ours");
    let private = Permissions::from_mode(0o600);
    std::fs::set_permissions(path, private).expect("the file is ours");
}

/// Returns what a client that trusts these alone wants of a handshake.
fn client(trusted: &RootCertStore, protocol: &[u8]) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(trusted.clone())
        .with_no_client_auth();
    client.alpn_protocols = vec![protocol.to_vec()];
    client
}

/// Connects over TLS, as a client that trusts these alone.
pub(crate) fn connect(server: SocketAddr, trusted: &RootCertStore) -> TlsClient {
    let name = NAME.try_into().expect("it is a name");
    let config = Arc::new(client(trusted, b"dot"));
    let tls = ClientConnection::new(config, name).expect("the settings are good");
    let stream = TcpStream::connect(server).expect("the server accepts");
    let patience = Some(PATIENCE);
    stream.set_read_timeout(patience).expect("it can be set");
    StreamOwned::new(tls, stream)
}

impl Lab {
    /// Returns where it answers over TLS.
    pub(crate) fn dot(&self) -> SocketAddr {
        self.running().dot_addresses()[0]
    }

    /// Returns where it answers over QUIC.
    pub(crate) fn doq(&self) -> SocketAddr {
        self.running().doq_addresses()[0]
    }
}
