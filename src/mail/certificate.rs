//! Public keys of mail hosts, out of PEM texts.

use std::fmt;

use ring::digest::{SHA256, digest};
use rustls_pki_types::pem::{SectionKind, SliceIter};
use x509_parser::certificate::X509Certificate;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::TlsaRecord;
use crate::clock::Timestamp;

/// What names the public key of a mail host: a certificate, a request for one, or the key itself.
///
/// Never a private key: a text that holds one is refused, and no part of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The PEM section, lines ended by `\n`.
    pem: String,
    /// SHA-256 over the DER form of its SubjectPublicKeyInfo.
    key_digest: [u8; 32],
    /// What else a certificate says; nothing is known of a bare key.
    validity: Option<Validity>,
}

/// What a certificate says beside its key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Validity {
    /// When it ends.
    not_after: Timestamp,
    /// The DNS names it is for (RFC 5280, section 4.2.1.6).
    dns_names: Vec<String>,
}

/// A text that names no public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The text holds a private key. It is not repeated here.
    #[error(
        "the text holds a private key, which must not leave its mail host: give the certificate, \
         its request or the public key alone; nothing was stored"
    )]
    PrivateKey,
    /// The text holds no PEM section of a kind we know.
    #[error(
        "expected PEM text of a CERTIFICATE, a CERTIFICATE REQUEST or a PUBLIC KEY (RFC 7468), \
         found {found}"
    )]
    NoSection {
        /// What was found.
        found: String,
    },
    /// A section's content is not what its label says.
    #[error("the {label} in section {section} cannot be read: {reason}")]
    Malformed {
        /// Which section of the text, counted from one.
        section: usize,
        /// What it says it is.
        label: String,
        /// Why it cannot be read.
        reason: String,
    },
}

impl Certificate {
    /// Reads every key that a PEM text names.
    ///
    /// Behind the first section, certificates of authorities are skipped: a chain as ACME clients
    /// write it names one host key. (The first counts even if it calls itself an authority, as
    /// self-signed ones do.)
    ///
    /// # Errors
    ///
    /// When a private key stands among them, when there is none, or when one cannot be read.
    pub fn parse_pem(text: &str) -> Result<Vec<Self>, CertificateError> {
        let sections = sections(text);
        if sections
            .iter()
            .any(|section| section.label.contains("PRIVATE KEY"))
        {
            return Err(CertificateError::PrivateKey);
        }
        let mut certificates = Vec::new();
        for (index, section) in sections.iter().enumerate() {
            let read = section
                .read()
                .map_err(|reason| CertificateError::Malformed {
                    section: index + 1,
                    label: section.label.clone(),
                    reason,
                })?;
            if let Some((certificate, is_authority)) = read
                && (certificates.is_empty() || !is_authority)
            {
                certificates.push(certificate);
            }
        }
        if certificates.is_empty() {
            let labels: Vec<&str> = sections.iter().map(|s| s.label.as_str()).collect();
            let found = match labels.as_slice() {
                [] if text.is_empty() => "an empty text".to_owned(),
                [] => "no line -----BEGIN …-----".to_owned(),
                labels => labels.join(", "),
            };
            return Err(CertificateError::NoSection { found });
        }
        Ok(certificates)
    }

    /// Returns the PEM text.
    pub fn as_pem(&self) -> &str {
        &self.pem
    }

    /// Returns the TLSA record of its key: `3 1 1`, which outlives every renewal that keeps the key
    /// (RFC 7672, section 3.1.1).
    pub fn tlsa(&self) -> TlsaRecord {
        TlsaRecord::of_key_digest(self.key_digest)
    }

    /// Returns when it ends; nothing of a request or a bare key.
    pub fn not_after(&self) -> Option<Timestamp> {
        self.validity.as_ref().map(|validity| validity.not_after)
    }

    /// Returns whether it is for `host`, written without a final dot (RFC 9525, section 6.3).
    ///
    /// `None` for a request or a bare key, which say nothing of that.
    pub fn is_for(&self, host: &str) -> Option<bool> {
        let names = &self.validity.as_ref()?.dns_names;
        Some(names.iter().any(|name| {
            let wildcard = name.strip_prefix("*.");
            let parent = host.split_once('.').map(|(_, parent)| parent);
            name.eq_ignore_ascii_case(host)
                || wildcard
                    .zip(parent)
                    .is_some_and(|(suffix, parent)| suffix.eq_ignore_ascii_case(parent))
        }))
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pem)
    }
}

/// A section of a PEM text (RFC 7468, section 2).
struct Section {
    /// What stands behind `BEGIN`.
    label: String,
    /// The section's lines, from its first boundary to its last.
    text: String,
}

/// Cuts a PEM text into its sections; what stands outside of them is dropped (RFC 7468, section 2).
fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut open: Option<Section> = None;
    for line in text.lines().map(str::trim) {
        if let Some(label) = boundary(line, "-----BEGIN ") {
            sections.extend(open.take());
            open = Some(Section {
                label: label.to_owned(),
                text: String::new(),
            });
        }
        let Some(section) = &mut open else { continue };
        section.text.push_str(line);
        section.text.push('\n');
        if boundary(line, "-----END ").is_some() {
            sections.extend(open.take());
        }
    }
    // A section without an end is kept, so that a private key is seen and the rest is refused.
    sections.extend(open);
    sections
}

/// Returns the label of a boundary line.
fn boundary<'l>(line: &'l str, start: &str) -> Option<&'l str> {
    line.strip_prefix(start)?.strip_suffix("-----")
}

impl Section {
    /// Reads what the section names, and whether that is a certificate of an authority; `None` for
    /// sections of no concern.
    fn read(&self) -> Result<Option<(Certificate, bool)>, String> {
        let mut read = SliceIter::<(SectionKind, Vec<u8>)>::new(self.text.as_bytes());
        let section = read.next().transpose();
        let section = section
            .map_err(|_| "expected base64 up to an END line of the same label".to_owned())?;
        let Some((kind, der)) = section else {
            return Ok(None);
        };
        let not_der = |what: &str| format!("its content is no DER of {what}");
        let (key_digest, validity, is_authority) = match kind {
            SectionKind::Certificate => {
                let (rest, certificate) = X509Certificate::from_der(&der)
                    .map_err(|_| not_der("a certificate (RFC 5280, section 4.1)"))?;
                if !rest.is_empty() {
                    return Err(not_der("one certificate"));
                }
                let validity = validity(&certificate);
                (
                    spki(certificate.public_key()),
                    Some(validity),
                    certificate.is_ca(),
                )
            }
            SectionKind::Csr => {
                let (_, request) = X509CertificationRequest::from_der(&der)
                    .map_err(|_| not_der("a certificate request (RFC 2986, section 4)"))?;
                let key = spki(&request.certification_request_info.subject_pki);
                (key, None, false)
            }
            SectionKind::PublicKey => {
                let (rest, key) = SubjectPublicKeyInfo::from_der(&der)
                    .map_err(|_| not_der("a public key (RFC 5280, section 4.1.2.7)"))?;
                if !rest.is_empty() {
                    return Err(not_der("one public key"));
                }
                (spki(&key), None, false)
            }
            _ => return Ok(None),
        };
        let certificate = Certificate {
            pem: self.text.clone(),
            key_digest,
            validity,
        };
        Ok(Some((certificate, is_authority)))
    }
}

/// Returns SHA-256 over the DER form of a key (RFC 6698, section 2.1.2 and 2.1.3).
fn spki(key: &SubjectPublicKeyInfo<'_>) -> [u8; 32] {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest(&SHA256, key.raw).as_ref());
    sha256
}

/// Returns until when and for which names a certificate is.
fn validity(certificate: &X509Certificate<'_>) -> Validity {
    let not_after = certificate.validity().not_after.timestamp();
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let names = alternative.map_or(&[][..], |extension| &extension.value.general_names);
    let dns_names = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    Validity {
        not_after: Timestamp::from_secs(u64::try_from(not_after).unwrap_or_default()),
        dns_names: dns_names.collect(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A self-signed certificate for `mx1.infra.example` and `*.mail.example`, until 2126.
    pub(crate) const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBvTCCAWSgAwIBAgIUMQi8pHx6WlTCe0v2ViPYdxUYHM0wCgYIKoZIzj0EAwIw\n\
HDEaMBgGA1UEAwwRbXgxLmluZnJhLmV4YW1wbGUwIBcNMjYxMTI1MDI0OTM3WhgP\n\
MjEyNjExMDEwMjQ5MzdaMBwxGjAYBgNVBAMMEW14MS5pbmZyYS5leGFtcGxlMFkw\n\
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAElQvawHHXuYxUExfjXpNRty/GCRnvz9Rf\n\
Bs4JOE3vWQP6b73zSHd0qNSAD8Ezbg23dElt0rrriZ8sRk0r52myE6OBgTB/MB0G\n\
A1UdDgQWBBSKcpyDBhAb+yFOyhBW7tmT8rX/lDAfBgNVHSMEGDAWgBSKcpyDBhAb\n\
+yFOyhBW7tmT8rX/lDAPBgNVHRMBAf8EBTADAQH/MCwGA1UdEQQlMCOCEW14MS5p\n\
bmZyYS5leGFtcGxlgg4qLm1haWwuZXhhbXBsZTAKBggqhkjOPQQDAgNHADBEAiBY\n\
TnUcpQ4U2sbAS5dleqWwNTtN/96NFZTKMdzY82R53gIgJInxq6561LF5AaKe70X+\n\
t50gevDDsiXdGeEeVzAvdm8=\n\
-----END CERTIFICATE-----\n\
";
    /// A request for a certificate over the same key.
    pub(crate) const REQUEST: &str = "\
-----BEGIN CERTIFICATE REQUEST-----\n\
MIHWMH4CAQAwHDEaMBgGA1UEAwwRbXgxLmluZnJhLmV4YW1wbGUwWTATBgcqhkjO\n\
PQIBBggqhkjOPQMBBwNCAASVC9rAcde5jFQTF+Nek1G3L8YJGe/P1F8Gzgk4Te9Z\n\
A/pvvfNId3So1IAPwTNuDbd0SW3SuuuJnyxGTSvnabIToAAwCgYIKoZIzj0EAwID\n\
SAAwRQIgKgZnk1WQkLRPypNnXKGS5ULfaqmf3pCoLD2t0hqxcbwCIQCHzJr5JXCi\n\
4or1ghiOfdNoIjVnyuB7PR2hDhv6h741QQ==\n\
-----END CERTIFICATE REQUEST-----\n\
";
    /// The same key alone.
    pub(crate) const PUBLIC_KEY: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAElQvawHHXuYxUExfjXpNRty/GCRnv\n\
z9RfBs4JOE3vWQP6b73zSHd0qNSAD8Ezbg23dElt0rrriZ8sRk0r52myEw==\n\
-----END PUBLIC KEY-----\n\
";
    /// SHA-256 over the key's DER form, as `openssl pkey -pubout -outform DER | sha256sum` says.
    pub(crate) const KEY_TLSA: &str =
        "3 1 1 957a7f6b0476bd1e20d1f7dffc88ade01ece7c88cdc0573f0883d19631b97d2c";

    #[test]
    fn rfc7672_3_1_1_certificate_request_and_key_make_the_same_tlsa() {
        for text in [CERTIFICATE, REQUEST, PUBLIC_KEY] {
            let certificates = Certificate::parse_pem(text).unwrap();

            assert_eq!(certificates.len(), 1);
            assert_eq!(certificates[0].tlsa().to_string(), KEY_TLSA);
        }
    }

    #[test]
    fn a_chain_names_the_host_key_alone() {
        // The certificate calls itself an authority: behind another section it is the issuer's.
        let chain = format!("some words\n{PUBLIC_KEY}{CERTIFICATE}");

        let certificates = Certificate::parse_pem(&chain).unwrap();

        assert_eq!(certificates.len(), 1);
        assert_eq!(certificates[0].as_pem(), PUBLIC_KEY);
    }

    #[test]
    fn a_text_with_a_private_key_is_refused_and_not_repeated() {
        for kind in ["PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
            let text = format!("{CERTIFICATE}-----BEGIN {kind}-----\nc2VjcmV0\n");

            let error = Certificate::parse_pem(&text).unwrap_err();

            assert_eq!(error, CertificateError::PrivateKey);
            assert!(!error.to_string().contains("c2VjcmV0"));
        }
    }

    #[test]
    fn what_is_no_certificate_is_refused_with_its_reason() {
        let broken = CERTIFICATE.replacen("MIIB", "MIIC", 1);
        let cut = &CERTIFICATE[..100];
        for text in ["", "certs/mx1.pem", &broken, cut] {
            assert!(Certificate::parse_pem(text).is_err(), "{text}");
        }
        let found = Certificate::parse_pem("certs/mx1.pem")
            .unwrap_err()
            .to_string();
        assert!(found.contains("no line -----BEGIN"), "{found}");
    }

    #[test]
    fn rfc9525_6_3_a_wildcard_stands_for_one_label() {
        let certificate = &Certificate::parse_pem(CERTIFICATE).unwrap()[0];

        assert_eq!(certificate.is_for("mx1.infra.example"), Some(true));
        assert_eq!(certificate.is_for("a.mail.example"), Some(true));
        assert_eq!(certificate.is_for("a.b.mail.example"), Some(false));
        assert_eq!(certificate.is_for("mail.example"), Some(false));
        assert_eq!(
            Certificate::parse_pem(REQUEST).unwrap()[0].is_for("mx1.infra.example"),
            None
        );
    }
}
