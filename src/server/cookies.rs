//! The secrets that cookies are made with: out of a file that all servers of an address share, or
//! random.

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::publication::{Publisher, Reader, published};
use crate::wire::{CookieSecret, CookieSecrets};

use super::file;
use super::latest::{Latest, Turn};

/// Gives all workers the secrets, and new ones while they run.
#[derive(Debug)]
pub(super) struct SecretKeeper {
    /// What is in use.
    kept: Latest<Kept>,
}

/// The secrets in use.
#[derive(Debug)]
struct Kept {
    /// Where the workers find them.
    publisher: Publisher<CookieSecrets>,
    /// Where they come from; without a file they are random.
    file: Option<PathBuf>,
}

impl SecretKeeper {
    /// Reads the secrets out of a file, or makes one.
    ///
    /// # Errors
    ///
    /// When there are none to be had.
    pub(super) fn open(
        file: Option<PathBuf>,
    ) -> Result<(Self, Reader<CookieSecrets>), CookieSecretsError> {
        let secrets = match &file {
            Some(path) => read_cookie_secrets(path)?,
            None => random()?,
        };
        let (publisher, reader) = published(Arc::new(secrets));
        let kept = Latest::new(Kept { publisher, file });
        Ok((Self { kept }, reader))
    }

    /// Returns what reads the file again, which may be another one now; a random secret stays. What
    /// cannot be used is logged, and the secrets before stay in use.
    ///
    /// Of two, the one asked for later counts, in whichever order they run.
    pub(super) fn rereading(
        self: &Arc<Self>,
        file: Option<PathBuf>,
    ) -> impl FnOnce() + Send + use<> {
        let (keeper, turn) = (self.clone(), self.kept.begin());
        move || match keeper.read(turn, file) {
            Some(Ok(Taken::Read)) => tracing::info!("cookie secrets read again"),
            Some(Ok(Taken::Kept)) => tracing::warn!(
                "dns.cookies.secrets is not set any more: those that were read stay in use until the \
                 next start"
            ),
            // Whoever asked for the other files to be read has no part in that.
            Some(Ok(Taken::Nothing)) => {}
            Some(Err(error)) => tracing::error!(%error, "the cookie secrets stay as they were"),
            None => tracing::debug!("cookie secrets were read too late to be taken over"),
        }
    }

    /// Reads the file again and puts its secrets in use; `None` if a later reading has ended before.
    fn read(&self, turn: Turn, file: Option<PathBuf>) -> Option<Result<Taken, CookieSecretsError>> {
        let read = file.as_deref().map(read_cookie_secrets).transpose();
        self.kept.end(turn, |kept| {
            let (secrets, taken) = match read? {
                Some(secrets) => (secrets, Taken::Read),
                None if kept.file.is_none() => return Ok(Taken::Nothing),
                // A file that is not there for a moment, or empty, is not meant to part this node
                // from the others, whose cookies it takes.
                None => return Ok(Taken::Kept),
            };
            kept.publisher.publish(Arc::new(secrets));
            kept.file = file;
            Ok(taken)
        })
    }
}

/// Where the secrets come from that were taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// A file.
    Read,
    /// Nowhere, as none is named any more: those of before stay.
    Kept,
    /// Nowhere: none was named before, either, and the random secret stays.
    Nothing,
}

/// Permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;

/// The digits of a secret.
const DIGITS: usize = CookieSecret::LENGTH * 2;

/// The most secrets that are accepted: a wrong cookie is checked with each.
const MOST: usize = 8;

/// The longest file that is read: the secrets with a line of comment each.
const LONGEST: u64 = 4 << 10;

/// Why there are no secrets; what is wrong with one is told, the secret never.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CookieSecretsError {
    /// The system refuses to read the file.
    #[error("the cookie secrets {} cannot be read: {source}", .path.display())]
    Io {
        /// Where it is.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others can read it.
    #[error(
        "the cookie secrets {} have mode {mode:04o}; expected a file that only its owner can read: \
         chmod 600 it, and roll the secrets if someone may have read them",
        .path.display()
    )]
    Readable {
        /// Where it is.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A line is no secret.
    #[error(
        "{}:{line}: expected a cookie secret of {DIGITS} hexadecimal digits, found {found}",
        .path.display()
    )]
    Line {
        /// Where it is.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What stands there instead, without showing it.
        found: String,
    },
    /// The file has none, or too many.
    #[error(
        "the cookie secrets {}: expected 1 to {MOST} secrets, one a line, found {found}",
        .path.display()
    )]
    Count {
        /// Where it is.
        path: PathBuf,
        /// How many there are.
        found: &'static str,
    },
    /// The system has no randomness to give.
    #[error("no random cookie secret can be made: the system gives no random octets")]
    Random,
}

/// Reads the file of secrets: one a line in hexadecimal digits, the one in use first; lines that
/// are empty or begin with `#` are passed over.
///
/// # Errors
///
/// When the file cannot be read, or by others, too, or is not such a file.
pub fn read_cookie_secrets(path: &Path) -> Result<CookieSecrets, CookieSecretsError> {
    let failed = |source| CookieSecretsError::Io {
        path: path.to_owned(),
        source,
    };
    let file = file::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if mode & OTHERS != 0 {
        let path = path.to_owned();
        return Err(CookieSecretsError::Readable { path, mode });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(LONGEST as usize + 1));
    file.take(LONGEST + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    let counted = |found| CookieSecretsError::Count {
        path: path.to_owned(),
        found,
    };
    if text.len() as u64 > LONGEST {
        return Err(counted("a file of more than 4096 octets"));
    }
    let mut secrets = Vec::with_capacity(MOST);
    for (index, line) in text.split(|octet| *octet == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let secret = secret(line).map_err(|found| CookieSecretsError::Line {
            path: path.to_owned(),
            line: index + 1,
            found,
        })?;
        secrets.push(secret);
    }
    let mut secrets = secrets.into_iter();
    let Some(first) = secrets.next() else {
        return Err(counted("none"));
    };
    if secrets.len() >= MOST {
        return Err(counted("more"));
    }
    Ok(CookieSecrets::new(first, secrets.collect()))
}

/// Makes a secret that no other server has.
///
/// # Errors
///
/// When the system gives no random octets.
fn random() -> Result<CookieSecrets, CookieSecretsError> {
    let mut octets = Zeroizing::new([0; CookieSecret::LENGTH]);
    SystemRandom::new()
        .fill(&mut *octets)
        .map_err(|_| CookieSecretsError::Random)?;
    Ok(CookieSecrets::new(CookieSecret::new(*octets), Vec::new()))
}

/// Reads a secret in hexadecimal digits, or says what was found.
fn secret(line: &[u8]) -> Result<CookieSecret, String> {
    if line.len() != DIGITS {
        return Err(format!("{} characters", line.len()));
    }
    let mut octets = Zeroizing::new([0; CookieSecret::LENGTH]);
    for (index, digits) in line.chunks_exact(2).enumerate() {
        let digit = |at: usize| {
            let found = char::from(digits[at]).to_digit(16);
            found.ok_or_else(|| format!("something else at character {}", index * 2 + at + 1))
        };
        octets[index] = (digit(0)? << 4 | digit(1)?) as u8;
    }
    Ok(CookieSecret::new(*octets))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use crate::wire::CookieCheck;

    use super::*;

    /// Secrets, in the two cases of digits.
    const SECRETS: [&str; 2] = [
        "e5e973e5a6b2a43f48e7dc849e37bfcf",
        "445536BCD2513298075A5D379663C962",
    ];

    /// Writes a file that only its owner can read, and reads it.
    fn read(text: &str) -> Result<CookieSecrets, String> {
        read_with_mode(text, 0o600)
    }

    /// Writes a file with a mode, and reads it; the file is called `F`.
    fn read_with_mode(text: &str, mode: u32) -> Result<CookieSecrets, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cookie.secrets");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let path = path.as_path();
        read_cookie_secrets(path)
            .map_err(|error| error.to_string().replace(&path.display().to_string(), "F"))
    }

    /// Opens a keeper.
    fn open(file: Option<PathBuf>) -> (Arc<SecretKeeper>, Reader<CookieSecrets>) {
        let (keeper, reader) = SecretKeeper::open(file).unwrap();
        (Arc::new(keeper), reader)
    }

    /// Returns where the secrets in use come from; nothing if they are random.
    fn file_of(keeper: &SecretKeeper) -> Option<PathBuf> {
        keeper.kept.look(|kept| kept.file.clone()).1
    }

    /// Returns what a cookie of `SECRETS[which]` is worth.
    fn worth(secrets: &CookieSecrets, which: usize) -> CookieCheck {
        let client = "192.0.2.1".parse().unwrap();
        let maker = read(SECRETS[which]).unwrap();
        let (_, cookie) = maker.check(&[1; 8], client, 1_800_000_000).unwrap();
        let (check, _) = secrets.check(&cookie, client, 1_800_000_000).unwrap();
        check
    }

    #[test]
    fn rfc9018_5_the_first_secret_is_used_and_all_are_accepted() {
        let text = format!("# in use\n{}\n\n  {}  \r\n", SECRETS[0], SECRETS[1]);

        let secrets = read(&text).unwrap();

        assert_eq!(worth(&secrets, 0), CookieCheck::Valid);
        assert_eq!(worth(&secrets, 1), CookieCheck::Renewed);
        let alone = read(SECRETS[0]).unwrap();
        assert_eq!(worth(&alone, 1), CookieCheck::Bad);
    }

    #[test]
    fn what_is_no_secret_is_told_with_its_line_and_never_shown() {
        let [one, other] = SECRETS;
        let wrong = one.replace('f', "x");
        let many = format!("{one}\n").repeat(9);
        for (text, wanted) in [
            (
                format!("{one}\n{other}0\n"),
                "F:2: expected a cookie secret of 32 hexadecimal digits, found 33 characters",
            ),
            (
                wrong,
                "F:1: expected a cookie secret of 32 hexadecimal digits, found something else at \
                 character 16",
            ),
            (
                "# none\n\n".to_owned(),
                "the cookie secrets F: expected 1 to 8 secrets, one a line, found none",
            ),
            (
                many,
                "the cookie secrets F: expected 1 to 8 secrets, one a line, found more",
            ),
            (
                "#".repeat(5_000),
                "the cookie secrets F: expected 1 to 8 secrets, one a line, found a file of more \
                 than 4096 octets",
            ),
        ] {
            let error = read(&text).unwrap_err();

            assert_eq!(error, wanted);
        }
    }

    #[test]
    fn secrets_that_others_can_read_are_refused() {
        for mode in [0o640, 0o604] {
            let error = read_with_mode(SECRETS[0], mode).unwrap_err();

            assert!(
                error.contains(&format!("have mode {mode:04o}; ")),
                "{error}"
            );
        }
        assert!(read_with_mode(SECRETS[0], 0o400).is_ok());
        let error = read_cookie_secrets(Path::new("/no/such/file")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the cookie secrets /no/such/file cannot be read: "),
            "{error}"
        );
    }

    #[test]
    fn a_reload_takes_the_file_and_leaves_a_random_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cookie.secrets");
        let write = |text: &str| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        };
        write(SECRETS[0]);
        let (keeper, reader) = open(Some(path.clone()));
        assert_eq!(worth(&reader.load(), 0), CookieCheck::Valid);

        write(SECRETS[1]);
        keeper.rereading(Some(path.clone()))();
        assert_eq!(worth(&reader.load(), 1), CookieCheck::Valid);

        write("no secret");
        let other = folder.path().join("other.secrets");
        for file in [&path, &other] {
            keeper.rereading(Some(file.clone()))();
            assert_eq!(worth(&reader.load(), 1), CookieCheck::Valid, "as before");
            assert_eq!(file_of(&keeper).as_ref(), Some(&path));
        }
        let turn = keeper.kept.begin();
        let taken = keeper.read(turn, None).unwrap().unwrap();
        assert_eq!(taken, Taken::Kept);
        assert_eq!(worth(&reader.load(), 1), CookieCheck::Valid, "as before");
        assert_eq!(file_of(&keeper).as_ref(), Some(&path));

        let (keeper, reader) = open(None);
        let before = Arc::as_ptr(&reader.load());
        let turn = keeper.kept.begin();
        let taken = keeper.read(turn, None).unwrap().unwrap();
        assert_eq!(taken, Taken::Nothing, "of which nothing is told");
        assert_eq!(Arc::as_ptr(&reader.load()), before);
    }

    #[test]
    fn of_two_readings_that_overlap_the_one_asked_for_later_counts() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [0, 1].map(|which| {
            let path = folder.path().join(format!("{which}.secrets"));
            fs::write(&path, SECRETS[which]).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            path
        });
        let (keeper, reader) = open(None);

        let [slow, quick] = paths.clone().map(|path| keeper.rereading(Some(path)));
        quick();
        slow();

        assert_eq!(worth(&reader.load(), 1), CookieCheck::Valid);
        assert_eq!(file_of(&keeper).as_ref(), Some(&paths[1]));
    }

    #[test]
    fn a_random_secret_is_another_each_time() {
        let client = "192.0.2.1".parse().unwrap();
        let (_, cookie) = random().unwrap().check(&[1; 8], client, 7).unwrap();

        let (check, _) = random().unwrap().check(&cookie, client, 7).unwrap();

        assert_eq!(check, CookieCheck::Bad);
    }
}
