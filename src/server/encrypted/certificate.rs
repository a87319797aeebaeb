//! The certificate that clients are shown, and how it is replaced while the server runs.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::files::{CertificateError, CertificateFiles, Loaded, Versions};
use crate::clock::{Clock, Seldom, Timestamp};
use crate::metrics::Metrics;
use crate::server::latest::{Latest, Turn};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// How often it is told that a certificate has ended.
const DAY: Duration = Duration::from_secs(86_400);

/// The certificate that is shown now.
pub(in crate::server) struct Certificate {
    /// What is shown.
    current: ArcSwap<CertifiedKey>,
    /// Where it comes from.
    source: Latest<Source>,
    /// Which failures to read the files are told, of those that are met by looking.
    unreadable: Mutex<Seldom>,
    /// When it ends.
    end: Mutex<End>,
    /// Says what time it is.
    clock: Arc<dyn Clock>,
    /// Shows when it ends.
    metrics: Arc<Metrics>,
}

/// When a certificate ends.
struct End {
    /// The last moment at which it is good.
    at: Timestamp,
    /// Where it lies.
    file: PathBuf,
    /// When it is told that it has ended.
    told: Seldom,
}

impl End {
    /// Begins with nothing told.
    fn of(loaded: &Loaded, files: &CertificateFiles) -> Self {
        Self {
            at: loaded.not_after,
            file: files.certificate.clone(),
            told: Seldom::new(DAY),
        }
    }
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
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, CertificateError> {
        let seen = files.versions();
        let loaded = files.load()?;
        metrics.dns_certificate_expires(loaded.not_after);
        let certificate = Self {
            end: Mutex::new(End::of(&loaded, &files)),
            current: ArcSwap::new(loaded.key),
            source: Latest::new(Source { files, seen }),
            unreadable: Mutex::new(Seldom::once_a_minute()),
            clock,
            metrics,
        };
        certificate.warn_of_end();
        Ok(certificate)
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
        self.warn_of_end();
    }

    /// Warns once a day that the certificate has ended: it is shown all the same, and whoever checks
    /// it refuses it.
    fn warn_of_end(&self) {
        let end = self.end.lock();
        let mut end = end.unwrap_or_else(PoisonError::into_inner);
        // It is good at that moment, too (RFC 5280, section 4.1.2.5).
        if self.clock.now() > end.at && end.told.admit(Instant::now()).is_some() {
            tracing::warn!(
                file = %end.file.display(),
                ended = %end.at,
                "the certificate of DNS over TLS and QUIC has ended: renew it"
            );
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
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = End::of(&loaded, files);
        self.warn_of_end();
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
    use std::fs::{self, File};
    use std::io::Write;
    use std::path::Path;
    use std::sync::mpsc;
    use std::time::SystemTime;

    use rcgen::CertifiedKey as Made;
    use tempfile::TempDir;
    use tokio::runtime::Builder;
    use tokio::time::timeout;

    use super::super::files::read_key;
    use super::super::files::tests::{made, set_mode, write};
    use super::*;
    use crate::clock::SystemClock;

    /// A span that is over at once.
    const SHORT: Duration = Duration::from_millis(1);

    /// Longer than anything here may take.
    const LONG: Duration = Duration::from_secs(20);

    /// Loads what lies in the files.
    fn load(files: &CertificateFiles) -> Arc<Certificate> {
        let loaded = Certificate::load(
            files.clone(),
            Arc::new(SystemClock::new()),
            Arc::new(Metrics::new()),
        );
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
