//! TLS as senders speak it, and what they make of a certificate.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use crate::clock::Clock;
use crate::mail::TlsaRecord;

use super::Trust;

/// TLS for everything that is watched.
pub(super) struct Tls {
    /// Takes certificates for the name alone; for HTTPS.
    strict: Arc<ClientConfig>,
    /// Takes every certificate, so that it can be judged afterwards; for STARTTLS.
    any: Arc<ClientConfig>,
    /// Judges certificates by the authorities that are trusted.
    authorities: Arc<WebPkiServerVerifier>,
    /// Tells the time.
    clock: Arc<dyn Clock>,
}

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A certificate of the trusted authorities is none.
    #[error("a certificate that is to be trusted cannot be used: {0}")]
    Trust(String),
    /// The library refuses its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] Error),
}

impl Tls {
    /// Sets up trust in these authorities.
    ///
    /// # Errors
    ///
    /// When one of them is no certificate.
    pub(super) fn new(trust: &Trust, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::new(roots(trust)?);
        let authorities = authorities(roots.clone(), &provider)?;
        let time = Arc::new(Time(clock.clone()));
        let builder = || {
            ClientConfig::builder_with_details(provider.clone(), time.clone())
                .with_safe_default_protocol_versions()
        };
        let strict = builder()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let any = builder()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider.clone())))
            .with_no_client_auth();
        Ok(Self {
            strict: Arc::new(strict),
            any: Arc::new(any),
            authorities,
            clock,
        })
    }

    /// Returns what connects only to a host that proves its name.
    pub(super) fn strict(&self) -> TlsConnector {
        TlsConnector::from(self.strict.clone())
    }

    /// Returns what connects to any host that proves to have its certificate's key.
    pub(super) fn any(&self) -> TlsConnector {
        TlsConnector::from(self.any.clone())
    }

    /// Says what is wrong with a mail host's certificates, as a sender that honours DANE, or
    /// without TLSA an MTA-STS policy, would (RFC 7672, section 3.2; RFC 8461, section 4.2).
    pub(super) fn judge(
        &self,
        host: &ServerName<'_>,
        certificates: &[CertificateDer<'_>],
        tlsa: &[TlsaRecord],
        in_policy: bool,
    ) -> Result<(), String> {
        let Some((own, chain)) = certificates.split_first() else {
            return Err("it shows no certificate".to_owned());
        };
        if !tlsa.is_empty() {
            // Neither names nor dates count with the host's own key (RFC 7671, section 5.1).
            let is_own = |it: &TlsaRecord| !it.is_of_issuer() && it.matches(own);
            if tlsa.iter().any(is_own) || self.leads_to_issuer(host, own, chain, tlsa) {
                return Ok(());
            }
            return Err("no TLSA record of ours matches its certificate".to_owned());
        }
        if in_policy {
            let verified = self.authorities.verify_server_cert(
                own,
                chain,
                host,
                &[],
                Time::now(self.clock.as_ref()),
            );
            return verified
                .map(drop)
                .map_err(|error| format!("senders under the policy refuse it: {error}"));
        }
        Ok(())
    }

    /// Returns whether the certificate is for the host and issued by one that a TLSA record names.
    fn leads_to_issuer(
        &self,
        host: &ServerName<'_>,
        own: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        tlsa: &[TlsaRecord],
    ) -> bool {
        let named = |issuer: &&CertificateDer<'_>| {
            tlsa.iter()
                .any(|it| it.is_of_issuer() && it.matches(issuer))
        };
        chain.iter().filter(named).any(|issuer| {
            let mut roots = RootCertStore::empty();
            let provider = Arc::new(ring::default_provider());
            roots.add(issuer.clone().into_owned()).is_ok()
                && authorities(Arc::new(roots), &provider).is_ok_and(|authorities| {
                    let now = Time::now(self.clock.as_ref());
                    let verified = authorities.verify_server_cert(own, chain, host, &[], now);
                    verified.is_ok()
                })
        })
    }
}

/// Returns the certificates of the authorities that are trusted.
fn roots(trust: &Trust) -> Result<RootCertStore, TlsError> {
    match trust {
        Trust::Public => Ok(RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        }),
        Trust::Only(certificates) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates {
                roots
                    .add(certificate.clone())
                    .map_err(|error| TlsError::Trust(error.to_string()))?;
            }
            Ok(roots)
        }
    }
}

/// Returns what judges certificates by such authorities.
fn authorities(
    roots: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
        .build()
        .map_err(|error| TlsError::Trust(error.to_string()))
}

/// Our clock as the library asks it.
struct Time(Arc<dyn Clock>);

impl Time {
    /// Returns the present moment.
    fn now(clock: &dyn Clock) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(clock.now().as_secs()))
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(Self::now(self.0.as_ref()))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

/// Takes every certificate whose key the host has; what it is worth is judged afterwards.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
