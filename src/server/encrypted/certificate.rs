//! The certificate that clients are shown, and how it is replaced while the server runs.

use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use x509_parser::parse_x509_certificate;
use zeroize::Zeroizing;

use crate::clock::Seldom;
use crate::metrics::Metrics;
use crate::server::file;
use crate::server::latest::{Latest, Turn};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// The longest file that is read: hundreds of certificates.
const LONGEST: u64 = 1 << 20;

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
struct Loaded {
    /// What rustls shows and signs with.
    key: Arc<CertifiedKey>,
    /// When it ends, in seconds since 1970.
    not_after: i64,
}

/// A certificate and those of the authorities behind it.
struct Chain {
    /// The certificates, the server's own first.
    certificates: Vec<CertificateDer<'static>>,
    /// When the first one ends, in seconds since 1970.
    not_after: i64,
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
    fn load(&self) -> Result<Loaded, CertificateError> {
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
    fn versions(&self) -> Versions {
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
    let Some(first) = certificates.first() else {
        return Err(none("none".to_owned()));
    };
    let not_after = match parse_x509_certificate(first) {
        Ok((_, certificate)) => certificate.validity().not_after.timestamp(),
        Err(error) => return Err(none(format!("none that can be read ({error})"))),
    };
    Ok(Chain {
        certificates,
        not_after,
    })
}

/// Reads a private key, if it is private.
fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
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
        found: shown(&error),
    })
}

/// Says that a file cannot be read.
fn unreadable(path: &Path, source: io::Error) -> CertificateError {
    let path = path.to_owned();
    CertificateError::Unreadable { path, source }
}

/// The version of each file; nothing of one that is not there.
type Versions = [Option<Version>; 2];

/// What tells a file from the one that lay there before.
///
/// Its time, length and mode do not: `cp -p` keeps the time of what it copies, and there are systems
/// where every file has the same. Nobody sets the moment of an inode's last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
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

/// The certificate that is shown now.
pub(in crate::server) struct Certificate {
    /// What is shown.
    current: ArcSwap<CertifiedKey>,
    /// Where it comes from.
    source: Latest<Source>,
    /// Which failures to read the files are told, of those that are met by looking.
    unreadable: Mutex<Seldom>,
    /// Shows when it ends.
    metrics: Arc<Metrics>,
}

/// Where a certificate comes from.
#[derive(Clone)]
struct Source {
    /// The files.
    files: CertificateFiles,
    /// What was last read, whether it could be used or not.
    seen: Versions,
}

impl Certificate {
    /// Reads the files for the first time.
    ///
    /// # Errors
    ///
    /// The file, and what is wrong with it.
    pub(in crate::server) fn load(
        files: CertificateFiles,
        metrics: Arc<Metrics>,
    ) -> Result<Self, CertificateError> {
        let seen = files.versions();
        let loaded = files.load()?;
        metrics.dns_certificate_expires(loaded.not_after);
        Ok(Self {
            current: ArcSwap::new(loaded.key),
            source: Latest::new(Source { files, seen }),
            unreadable: Mutex::new(Seldom::once_a_minute()),
            metrics,
        })
    }

    /// Returns what reads files, whether they have changed or not, or are other ones than before;
    /// what cannot be used changes nothing, not even which files are looked at.
    ///
    /// Of two, the one asked for later counts, in whichever order they run.
    pub(in crate::server) fn rereading(
        self: &Arc<Self>,
        files: CertificateFiles,
    ) -> impl FnOnce() + Send + use<> {
        let (certificate, turn) = (self.clone(), self.source.begin());
        move || match certificate.read(turn, files) {
            Some(Ok(())) => tracing::info!("certificate read again"),
            Some(Err(error)) => refused(&error, 0),
            None => too_late(),
        }
    }

    /// Reads the files again if they have changed.
    ///
    /// A file that is just being written changes again; then it is read again, and what was said
    /// about it has been the truth.
    fn look(&self) {
        let (turn, source) = self.source.look(Source::clone);
        if source.seen != source.files.versions() {
            match self.read(turn, source.files) {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    if let Some(untold_before) = self.admit(&error, Instant::now()) {
                        refused(&error, untold_before);
                    }
                }
                None => too_late(),
            }
        }
    }

    /// Returns whether what was met by looking is told, and if so, how often it was not before.
    fn admit(&self, error: &CertificateError, now: Instant) -> Option<u64> {
        match error {
            // Every look tries that again.
            CertificateError::Unreadable { .. } => {
                let unreadable = self.unreadable.lock();
                unreadable
                    .unwrap_or_else(PoisonError::into_inner)
                    .admit(now)
            }
            // This comes once for each change of the files.
            _ => Some(0),
        }
    }

    /// Reads files and shows what is in them from now on, if it can be used; `None` if a later
    /// reading has ended before.
    fn read(&self, turn: Turn, files: CertificateFiles) -> Option<Result<(), CertificateError>> {
        // Before the files are read: what is written meanwhile is seen next time.
        let seen = files.versions();
        let loaded = files.load();
        self.source.end(turn, |source| match loaded {
            Ok(loaded) => {
                self.show(loaded, &files);
                *source = Source { files, seen };
                Ok(())
            }
            Err(error) => {
                if files == source.files {
                    // The system may have had no descriptor left: the file itself will not change
                    // again.
                    let again = matches!(error, CertificateError::Unreadable { .. });
                    source.seen = if again { Versions::default() } else { seen };
                }
                Err(error)
            }
        })
    }

    /// Shows what was in `files` from now on.
    fn show(&self, loaded: Loaded, files: &CertificateFiles) {
        self.metrics.dns_certificate_expires(loaded.not_after);
        let changed = self.current.load().cert != loaded.key.cert;
        self.current.store(loaded.key);
        if changed {
            let file = files.certificate.display();
            tracing::info!(%file, "a new certificate is shown over TLS and QUIC");
        }
    }

    /// Looks at the files every so often until `stop` turns true.
    pub(in crate::server) async fn watch(self: Arc<Self>, stop: watch::Receiver<bool>) {
        let look = move || self.look();
        look_every(LOOK, stop, look).await;
    }
}

/// Tells what cannot be shown.
fn refused(error: &CertificateError, untold_before: u64) {
    tracing::error!(
        %error,
        untold_before,
        "the certificate is not taken over; the one from before is shown"
    );
}

/// Tells that something else was read before.
fn too_late() {
    tracing::debug!("a certificate was read too late to be taken over");
}

/// Looks each time that `span` has passed, until `stop` turns true.
///
/// A disk may take its time, even for ever: whoever looks is left behind at a stop, on threads
/// that end without being waited for.
async fn look_every(
    span: Duration,
    mut stop: watch::Receiver<bool>,
    look: impl Fn() + Clone + Send + 'static,
) {
    loop {
        tokio::select! {
            () = sleep(span) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let looked = tokio::select! {
            looked = spawn_blocking(look.clone()) => looked,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        if let Err(error) = looked {
            tracing::error!(%error, "looking at the certificate failed");
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl fmt::Debug for Certificate {
    /// Tells that it is one, not what is in it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Certificate")
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, Permissions};
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::mpsc;
    use std::time::SystemTime;

    use rcgen::{CertifiedKey as Made, generate_simple_self_signed};
    use tempfile::TempDir;
    use tokio::runtime::Builder;
    use tokio::time::timeout;

    use super::*;

    /// A span that is over at once.
    const SHORT: Duration = Duration::from_millis(1);

    /// Longer than anything here may take.
    const LONG: Duration = Duration::from_secs(20);

    /// Returns a certificate of its own.
    fn made() -> Made<rcgen::KeyPair> {
        generate_simple_self_signed(["ns1.infra.example".to_owned()]).unwrap()
    }

    /// Writes certificate and key into a folder.
    fn write(folder: &TempDir, made: &Made<rcgen::KeyPair>) -> CertificateFiles {
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
    fn set_mode(files: &CertificateFiles, mode: u32) {
        fs::set_permissions(&files.key, Permissions::from_mode(mode)).unwrap();
    }

    /// Loads what lies in the files.
    fn load(files: &CertificateFiles) -> Arc<Certificate> {
        let loaded = Certificate::load(files.clone(), Arc::new(Metrics::new()));
        Arc::new(loaded.unwrap())
    }

    /// Returns the files of what is shown.
    fn files_of(certificate: &Certificate) -> CertificateFiles {
        certificate.source.look(|source| source.files.clone()).1
    }

    /// Returns the certificate that is shown.
    fn shown_by(certificate: &Certificate) -> Vec<u8> {
        certificate.current.load().cert[0].to_vec()
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
        let rubbish = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        fs::write(&files.certificate, rubbish).unwrap();
        let wanted = "expected a certificate in PEM, found none that can be read (";
        assert!(error().starts_with(wanted), "{}", error());
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

    #[test]
    fn a_new_private_key_is_taken_over_once_not_everybody_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = made();
        let certificate = load(&write(&folder, &first));
        let second = made();
        let files = write(&folder, &second);
        set_mode(&files, 0o644);
        certificate.look();
        assert_eq!(shown_by(&certificate), first.cert.der().to_vec());

        set_mode(&files, 0o600);
        certificate.look();

        assert_eq!(shown_by(&certificate), second.cert.der().to_vec());
    }

    #[test]
    fn a_changed_certificate_is_taken_over_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = [made(), made()];
        let files = write(&folder, &first);
        let certificate = load(&files);
        assert_eq!(shown_by(&certificate), first.cert.der().to_vec());

        // The key of the first is still there.
        fs::write(&files.certificate, second.cert.pem() + "\n").unwrap();
        certificate.look();
        assert_eq!(shown_by(&certificate), first.cert.der().to_vec());
        fs::write(&files.key, second.signing_key.serialize_pem() + "\n").unwrap();
        certificate.look();
        assert_eq!(shown_by(&certificate), second.cert.der().to_vec());
        fs::remove_file(&files.key).unwrap();
        certificate.look();

        assert_eq!(shown_by(&certificate), second.cert.der().to_vec());
        let metrics = certificate.metrics.render();
        assert!(
            metrics.contains("mxpool_dns_certificate_expiry_timestamp_seconds 6"),
            "{metrics}"
        );
    }

    #[test]
    fn a_certificate_is_replaced_by_one_of_the_same_time_length_and_mode() {
        let [folder, beside] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [first, second] = [made(), made()];
        // Files of one length: what follows a certificate or a key in PEM means nothing.
        let put = |folder: &TempDir, made: &Made<rcgen::KeyPair>| {
            let files = write(folder, made);
            for path in [&files.certificate, &files.key] {
                let file = File::options().append(true).open(path).unwrap();
                let rest = 4_096 - file.metadata().unwrap().len() as usize;
                (&file).write_all(&vec![b'\n'; rest]).unwrap();
                file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
            }
            files
        };
        let files = put(&folder, &first);
        let certificate = load(&files);
        let others = put(&beside, &second);

        fs::rename(&others.certificate, &files.certificate).unwrap();
        fs::rename(&others.key, &files.key).unwrap();
        certificate.look();

        assert_eq!(shown_by(&certificate), second.cert.der().to_vec());
    }

    #[test]
    fn what_could_not_be_read_is_tried_again_until_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(&folder, &made());
        let certificate = load(&files);
        let is_seen = || certificate.source.look(|it| it.seen).1 == files.versions();
        assert!(is_seen());

        // Opened by nobody as a file, not even by root.
        fs::remove_file(&files.key).unwrap();
        fs::create_dir(&files.key).unwrap();
        certificate.look();

        assert!(!is_seen());
        fs::remove_dir(&files.key).unwrap();
        let second = made();
        write(&folder, &second);
        certificate.look();
        assert!(is_seen());
        assert_eq!(shown_by(&certificate), second.cert.der().to_vec());
    }

    #[test]
    fn what_every_look_meets_is_told_once_a_minute_and_all_else_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(&folder, &made());
        let certificate = load(&files);
        let now = Instant::now();
        let unreadable = read_key(Path::new("/no/such/file")).unwrap_err();
        fs::write(&files.key, "no key").unwrap();
        let no_key = read_key(&files.key).unwrap_err();

        assert_eq!(certificate.admit(&unreadable, now), Some(0));
        assert_eq!(certificate.admit(&unreadable, now + LOOK), None);
        assert_eq!(certificate.admit(&no_key, now + LOOK), Some(0));

        assert_eq!(certificate.admit(&unreadable, now + 6 * LOOK), Some(1));
    }

    #[test]
    fn other_files_are_taken_over_once_they_are_right() {
        let [folder, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [first, second, third] = [(); 3].map(|()| made());
        let files = write(&folder, &first);
        let certificate = load(&files);
        let others = write(&other, &second);

        fs::write(&others.key, first.signing_key.serialize_pem()).unwrap();
        certificate.rereading(others.clone())();
        assert_eq!(shown_by(&certificate), first.cert.der().to_vec());
        write(&folder, &third);
        certificate.look();
        let still = "the files of what is shown are looked at";
        assert_eq!(shown_by(&certificate), third.cert.der().to_vec(), "{still}");
        write(&other, &second);
        certificate.rereading(others.clone())();
        assert_eq!(shown_by(&certificate), second.cert.der().to_vec());

        let fourth = made();
        write(&other, &fourth);
        certificate.look();
        assert_eq!(shown_by(&certificate), fourth.cert.der().to_vec());
        write(&folder, &first);
        certificate.look();
        assert_eq!(shown_by(&certificate), fourth.cert.der().to_vec());
    }

    #[test]
    fn of_two_readings_that_overlap_the_one_asked_for_later_counts() {
        let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let [first, second, third] = folders.each_ref().map(|folder| write(folder, &made()));
        let certificate = load(&first);

        let [slow, quick] = [second, third.clone()].map(|files| certificate.rereading(files));
        quick();
        let shown = shown_by(&certificate);
        slow();

        assert_eq!(files_of(&certificate), third);
        assert_eq!(shown_by(&certificate), shown);
        // A look at files that are not shown any more is too late as well.
        let (turn, _) = certificate.source.look(|_| ());
        certificate.rereading(first.clone())();
        assert!(certificate.read(turn, third).is_none());
        assert_eq!(files_of(&certificate), first);
    }

    #[test]
    fn what_is_refused_leaves_the_files_of_what_is_shown() {
        let [folder, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let files = write(&folder, &made());
        let certificate = load(&files);
        let others = write(&other, &made());
        fs::write(&others.key, "no key").unwrap();

        let [late, refused] = [files.clone(), others].map(|files| certificate.rereading(files));
        let shown = Arc::as_ptr(&certificate.current.load());
        refused();
        late();

        assert_eq!(files_of(&certificate), files);
        let still = Arc::as_ptr(&certificate.current.load());
        assert_eq!(still, shown, "what was asked for before was read");
    }

    #[test]
    fn a_disk_that_hangs_does_not_hold_up_a_stop() {
        let (stop, stopped) = watch::channel(false);
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (began, beginning) = mpsc::channel();
        let (release, hanging) = mpsc::channel::<()>();
        let hanging = Arc::new(Mutex::new(hanging));

        let watching = runtime.spawn(look_every(SHORT, stopped, move || {
            began.send(()).unwrap();
            // As a disk does, until the test has seen enough.
            let _ = hanging.lock().unwrap().recv();
        }));
        beginning.recv_timeout(LONG).unwrap();
        stop.send_replace(true);
        let ended = runtime.block_on(async { timeout(LONG, watching).await });

        drop(release);
        ended.unwrap().unwrap();
    }

    #[test]
    fn what_has_not_changed_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(&folder, &made());
        let certificate = load(&files);
        let before = Arc::as_ptr(&certificate.current.load());

        certificate.look();
        assert_eq!(Arc::as_ptr(&certificate.current.load()), before);
        certificate.rereading(files)();

        assert_ne!(Arc::as_ptr(&certificate.current.load()), before);
    }
}
