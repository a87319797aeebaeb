//! The files of a certificate and its key, read and checked.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::parse_x509_certificate;
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::server::file;

/// The longest file that is read: hundreds of certificates.
const LONGEST: u64 = 1 << 20;

/// The most octets of certificates that are shown. A message may have 16 MB (RFC 8446, section 4.4.2),
/// but clients take less: those with rustls 64 kB, those with OpenSSL 100 kB.
const LONGEST_CHAIN: usize = 60_000;

/// Permission bits that a private key must not have: that everybody may read it, and that anybody but
/// its owner may change it.
///
/// Unlike the node's other secrets, it comes from a program of another user, as a rule, who lets the
/// node read it by a group. Who can write to it can keep clients out with a key that does not fit.
/// That it can be run as a program means nothing: there are file systems where all files can.
const STRANGERS: u32 = EVERYBODY_READS | 0o022;

/// The permission bit with which everybody may read a file.
const EVERYBODY_READS: u32 = 0o004;

/// Where certificate and key lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate and those of the authorities between it and the root, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFile {
    /// That of the certificate.
    Certificate,
    /// That of its private key.
    Key,
}

/// What clients are to be shown cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("expected a readable PEM file, found {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no certificate in the file.
    #[error("expected a certificate in PEM, found {found} in {}", .path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
        /// What was found in it.
        found: String,
    },
    /// There is no private key in the file.
    #[error("expected a private key in PEM, found {found} in {}", .path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What was found in it.
        found: String,
    },
    /// Others can read the private key, or change it.
    #[error(
        "expected a private key that nobody but its owner can write and nobody but its owner and a \
         group can read (mode 0600 or 0640), found {} with mode {mode:04o}: chmod {} it{}",
        .path.display(), if mode & 0o040 == 0 { "600" } else { "640" },
        if mode & EVERYBODY_READS == 0 { "" } else { ", and replace it if someone may have read it" }
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Certificate or key are of a kind that TLS cannot use.
    #[error(
        "expected a certificate and a key that TLS can use (RSA, ECDSA P-256 or P-384, Ed25519), \
         found {} with {}: {source}", .certificate.display(), .key.display()
    )]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What was wrong.
        source: rustls::Error,
    },
    /// The key is another certificate's.
    #[error(
        "expected the private key of the certificate in {}, found another one in {}",
        .certificate.display(), .key.display()
    )]
    OtherKey {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
}

/// A certificate with its key, and until when it is good.
pub(super) struct Loaded {
    /// What rustls shows and signs with.
    pub(super) key: Arc<CertifiedKey>,
    /// The last moment at which it is good.
    pub(super) not_after: Timestamp,
}

/// A certificate and those of the authorities behind it.
struct Chain {
    /// The certificates, the server's own first.
    certificates: Vec<CertificateDer<'static>>,
    /// The last moment at which the first one is good.
    not_after: Timestamp,
}

impl CertificateFiles {
    /// Returns everything that is wrong with the files that are named, each by itself and both
    /// together, with the file to look into first; nothing if they can be used.
    pub fn faults(
        certificate: Option<&Path>,
        key: Option<&Path>,
    ) -> Vec<(CertificateFile, CertificateError)> {
        let chain = certificate.map(|path| Ok((path, read_chain(path)?)));
        let private = key.map(|path| Ok((path, read_key(path)?)));
        match (chain.transpose(), private.transpose()) {
            (Ok(Some((certificate, chain))), Ok(Some((key, private)))) => {
                let [certificate, key] = [certificate, key].map(Path::to_owned);
                let Err(error) = (Self { certificate, key }).pair(chain, private) else {
                    return Vec::new();
                };
                let file = match error {
                    CertificateError::OtherKey { .. } => CertificateFile::Key,
                    _ => CertificateFile::Certificate,
                };
                vec![(file, error)]
            }
            (chain, private) => {
                let certificate = chain
                    .err()
                    .map(|error| (CertificateFile::Certificate, error));
                let key = private.err().map(|error| (CertificateFile::Key, error));
                certificate.into_iter().chain(key).collect()
            }
        }
    }

    /// Says whether certificate and key can be used.
    ///
    /// # Errors
    ///
    /// The file, and what is wrong with it.
    pub fn check(&self) -> Result<(), CertificateError> {
        self.load().map(|_| ())
    }

    /// Reads certificate and key.
    pub(super) fn load(&self) -> Result<Loaded, CertificateError> {
        self.pair(read_chain(&self.certificate)?, read_key(&self.key)?)
    }

    /// Puts together what was read out of the files.
    fn pair(&self, chain: Chain, key: PrivateKeyDer<'static>) -> Result<Loaded, CertificateError> {
        let key = CertifiedKey::from_der(chain.certificates, key, &provider());
        let key = key.map_err(|source| {
            let [certificate, key] = [&self.certificate, &self.key].map(Clone::clone);
            match source {
                rustls::Error::InconsistentKeys(_) => {
                    CertificateError::OtherKey { certificate, key }
                }
                source => CertificateError::Unusable {
                    certificate,
                    key,
                    source,
                },
            }
        })?;
        Ok(Loaded {
            key: Arc::new(key),
            not_after: chain.not_after,
        })
    }

    /// Returns what changes when somebody replaces a file, be it written over or put in its place,
    /// or lets others read it.
    pub(super) fn versions(&self) -> Versions {
        [&self.certificate, &self.key]
            .map(|path| fs::metadata(path).ok().map(|it| Version::of(&it)))
    }
}

/// Reads certificates.
fn read_chain(path: &Path) -> Result<Chain, CertificateError> {
    let none = |found: String| CertificateError::NoCertificate {
        path: path.to_owned(),
        found,
    };
    let text = file::read(path, LONGEST).map_err(|source| unreadable(path, source))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates.map_err(|error| none(shown(&error)))?;
    let (count, mut octets, mut first) = (certificates.len(), 0, None);
    for (number, certificate) in (1..).zip(&certificates) {
        octets += certificate.len();
        let end = last_moment(certificate).map_err(|error| {
            none(format!(
                "one that cannot be read, number {number} of {count} ({error}),"
            ))
        })?;
        first = first.or(Some(end));
    }
    if octets > LONGEST_CHAIN {
        let found =
            format!("{count} with {octets} octets, more than clients take ({LONGEST_CHAIN}),");
        return Err(none(found));
    }
    let not_after = first.ok_or_else(|| none("none".to_owned()))?;
    Ok(Chain {
        certificates,
        not_after,
    })
}

/// Returns the last moment at which a certificate is good; the octets are one and nothing else, or
/// clients refuse all that comes with it.
fn last_moment(octets: &[u8]) -> Result<Timestamp, String> {
    match parse_x509_certificate(octets) {
        Ok(([], certificate)) => {
            let end = certificate.validity().not_after.timestamp();
            // Before 1970 is long ago, too.
            Ok(Timestamp::from_secs(end.try_into().unwrap_or(0)))
        }
        Ok((rest, _)) => Err(format!("{} octets behind it", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads a private key, if it is private.
pub(super) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let failed = |source| unreadable(path, source);
    let file = file::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if mode & STRANGERS != 0 {
        let path = path.to_owned();
        return Err(CertificateError::Exposed { path, mode });
    }
    let text = file::read_open(file, LONGEST).map(Zeroizing::new);
    let text = text.map_err(failed)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| CertificateError::NoKey {
        path: path.to_owned(),
        found: if is_encrypted(&text) {
            "one under a passphrase (`openssl pkey` takes it off)".to_owned()
        } else {
            shown(&error)
        },
    })
}

/// Returns whether a text in PEM has a key under a passphrase (RFC 7468, section 11; RFC 1421,
/// section 4.6.1.1).
fn is_encrypted(text: &[u8]) -> bool {
    let marks = [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----",
        "Proc-Type: 4,ENCRYPTED",
    ];
    let mut lines = text.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii);
    lines.any(|line| marks.iter().any(|mark| line == mark.as_bytes()))
}

/// Says that a file cannot be read.
fn unreadable(path: &Path, source: io::Error) -> CertificateError {
    let path = path.to_owned();
    CertificateError::Unreadable { path, source }
}

/// The version of each file; nothing of one that is not there.
pub(super) type Versions = [Option<Version>; 2];

/// What tells a file from the one that lay there before.
///
/// Its time, length and mode do not: `cp -p` keeps the time of what it copies, and there are systems
/// where every file has the same. Nobody sets the moment of an inode's last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// The file system.
    device: u64,
    /// The number of the inode there, which the next file may get when this one is gone.
    inode: u64,
    /// When the inode was last changed: seconds, nanoseconds.
    changed: (i64, i64),
    /// When the content was, as far as a file system keeps the other time coarsely or not at all.
    modified: (i64, i64),
    /// How long it is, in octets.
    length: u64,
    /// Who may read it.
    mode: u32,
}

impl Version {
    /// Takes what the system says of a file.
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            length: metadata.len(),
            mode: metadata.mode(),
        }
    }
}

/// Says what was found in the place of something in PEM.
fn shown(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "none".to_owned(),
        other => format!("none that can be read ({other:?})"),
    }
}

/// Returns what computes for TLS.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[cfg(test)]
pub(in crate::server::encrypted) mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use rcgen::{CertifiedKey as Made, generate_simple_self_signed};
    use tempfile::TempDir;

    use super::*;

    /// Returns a certificate of its own.
    pub(in crate::server::encrypted) fn made() -> Made<rcgen::KeyPair> {
        generate_simple_self_signed(["ns1.infra.example".to_owned()]).unwrap()
    }

    /// Writes certificate and key into a folder.
    pub(in crate::server::encrypted) fn write(
        folder: &TempDir,
        made: &Made<rcgen::KeyPair>,
    ) -> CertificateFiles {
        let files = CertificateFiles {
            certificate: folder.path().join("dns.pem"),
            key: folder.path().join("dns.key"),
        };
        fs::write(&files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        set_mode(&files, 0o600);
        files
    }

    /// Lets others read the key, or not.
    pub(in crate::server::encrypted) fn set_mode(files: &CertificateFiles, mode: u32) {
        fs::set_permissions(&files.key, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_cannot_be_shown_is_named_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(&folder, &made());
        assert!(files.check().is_ok());
        let here = folder.path().display();
        let key = fs::read(&files.key).unwrap();
        let certificate = fs::read(&files.certificate).unwrap();
        let error = || files.check().unwrap_err().to_string();

        fs::write(&files.key, made().signing_key.serialize_pem()).unwrap();
        let wanted = format!(
            "expected the private key of the certificate in {here}/dns.pem, found another one in \
             {here}/dns.key"
        );
        assert_eq!(error(), wanted);
        fs::write(&files.key, &certificate).unwrap();
        let wanted = format!("expected a private key in PEM, found none in {here}/dns.key");
        assert_eq!(error(), wanted);
        fs::write(&files.certificate, &key).unwrap();
        let wanted = format!("expected a certificate in PEM, found none in {here}/dns.pem");
        assert_eq!(error(), wanted);
        let under_passphrase = String::from_utf8(key.clone()).unwrap();
        let under_passphrase = under_passphrase.replace("PRIVATE", "ENCRYPTED PRIVATE");
        fs::write(&files.key, under_passphrase).unwrap();
        let faults = CertificateFiles::faults(None, Some(&files.key));
        let wanted = "expected a private key in PEM, found one under a passphrase (`openssl pkey` takes it off) in ";
        let found = faults[0].1.to_string();
        assert!(found.starts_with(wanted), "{found}");
        let rubbish = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let good = String::from_utf8(certificate).unwrap();
        for (text, which) in [
            (rubbish.to_owned(), "1 of 1"),
            (good.clone() + rubbish, "2 of 2"),
        ] {
            fs::write(&files.certificate, text).unwrap();
            let wanted = format!(
                "expected a certificate in PEM, found one that cannot be read, number {which} ("
            );
            assert!(error().starts_with(&wanted), "{}", error());
        }
        let count = LONGEST_CHAIN / made().cert.der().len() + 2;
        fs::write(&files.certificate, good.repeat(count)).unwrap();
        let wanted = format!("expected a certificate in PEM, found {count} with ");
        assert!(error().starts_with(&wanted), "{}", error());
        fs::remove_file(&files.certificate).unwrap();
        let wanted = format!("expected a readable PEM file, found {here}/dns.pem: ");
        assert!(error().starts_with(&wanted), "{}", error());
    }

    #[test]
    fn what_is_no_file_or_has_no_end_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = write(&folder, &made());
        let long = folder.path().join("long.pem");
        fs::write(&long, vec![b'\n'; LONGEST as usize + 1]).unwrap();
        for (path, wanted) in [
            (Path::new("/dev/null"), "/dev/null: it is no file"),
            (&long, "long.pem: it has more than 1048576 octets"),
        ] {
            files.certificate = path.to_owned();

            let error = files.check().unwrap_err().to_string();

            assert!(error.ends_with(wanted), "{error}");
        }
    }

    #[test]
    fn a_private_key_that_others_can_read_or_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(&folder, &made());
        let read = ", and replace it if someone may have read it";
        for (mode, way_out) in [
            (0o644, format!("chmod 640 it{read}")),
            (0o604, format!("chmod 600 it{read}")),
            (0o660, "chmod 640 it".to_owned()),
            (0o620, "chmod 600 it".to_owned()),
            (0o602, "chmod 600 it".to_owned()),
        ] {
            set_mode(&files, mode);

            let error = files.check().unwrap_err().to_string();

            let wanted = format!("dns.key with mode {mode:04o}: {way_out}");
            assert!(error.ends_with(&wanted), "{error}");
        }
        for mode in [0o600, 0o640, 0o400, 0o750, 0o711] {
            set_mode(&files, mode);
            assert!(files.check().is_ok(), "{mode:o}");
        }
    }
}
