//! What clients of encrypted transports are shown, and what they trust.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;

use crate::server::{CertificateFiles, TlsConfig};

use super::*;

/// The name that clients expect to meet.
pub(super) const NAME: &str = "ns1.infra.example";

/// A certificate in files, and clients that trust it alone.
pub(super) struct Shown {
    /// Where the files lie, for as long as the test runs.
    folder: TempDir,
    /// The certificates written so far, each of an authority of its own.
    trusted: RootCertStore,
}

impl Shown {
    /// Writes a first certificate.
    pub(super) fn new() -> Self {
        let mut shown = Self {
            folder: tempfile::tempdir().unwrap(),
            trusted: RootCertStore::empty(),
        };
        shown.renew();
        shown
    }

    /// Writes another certificate over the one before; clients made from now on trust it, too.
    pub(super) fn renew(&mut self) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        let files = self.files();
        fs::write(files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        fs::set_permissions(files.key, Permissions::from_mode(0o600)).unwrap();
        self.trusted.add(made.cert.der().clone()).unwrap();
        made.cert.der().clone()
    }

    /// Returns where it lies.
    pub(super) fn files(&self) -> CertificateFiles {
        CertificateFiles {
            certificate: self.folder.path().join("dns.pem"),
            key: self.folder.path().join("dns.key"),
        }
    }

    /// Returns a server's configuration with both encrypted transports on free ports.
    pub(super) fn config(&self) -> ServerConfig {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        ServerConfig {
            tls: Some(TlsConfig {
                dot: vec![any],
                doq: vec![any],
                files: self.files(),
            }),
            ..config("127.0.0.1")
        }
    }

    /// Returns what a client wants of a handshake.
    pub(super) fn client(
        &self,
        version: &'static SupportedProtocolVersion,
        protocols: &[&[u8]],
    ) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(self.trusted.clone())
            .with_no_client_auth();
        client.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        client
    }
}
