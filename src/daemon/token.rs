//! The admin token of a first start, and of a restored store.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::store::record::{self, TokenRecord};
use crate::store::{Batch, Store, StoreError};

use super::sealing::write_secret;

/// The token's file in the store's folder.
pub(super) const FILE: &str = "admin.token";

/// What every token begins with, so that people and secret scanners know one when they see it.
const PREFIX: &str = "mxpool_";

/// How much of the file is read: more than any token has, so that a longer text is noticed.
const MOST: usize = 256;

/// The admin token's id in the store.
const ID: &[u8] = b"admin";

/// The digits of base64 for URLs and file names (RFC 4648, section 5).
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Why the admin token could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The machine gives no random octets.
    #[error("cannot make the admin token: the system's random generator failed")]
    NoRandom,
    /// Its file cannot be written.
    #[error("cannot write the admin token to {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the admin token of a store that has none, or whose file is gone; the store keeps its hash
/// alone.
///
/// A file that is gone is the way back for an operator who has lost the token, or no longer trusts
/// it: who may take files out of the store's folder may do anything to the store, so nobody gains
/// a right by it. A file that is there is never replaced, whatever it holds: it may be another
/// store's, put there by mistake.
///
/// # Errors
///
/// When it cannot be made durable in both places. The next start tries again then.
pub(super) fn ensure(folder: &Path, store: &dyn Store, now: Timestamp) -> Result<(), TokenError> {
    let known: Option<TokenRecord> = record::get(store, ID)?;
    let Some(known) = known else {
        return replace(folder, store, now);
    };
    let path = folder.join(FILE);
    match found(&path, &known) {
        Ok(Found::Token) => {}
        Ok(Found::Nothing) => {
            replace(folder, store, now)?;
            tracing::warn!(
                file = %path.display(),
                "the admin token's file was missing: a new token is in it, the old one is worth \
                 nothing from now on"
            );
        }
        Ok(Found::Another) => tracing::warn!(
            file = %path.display(),
            "the file holds another token than the store's admin token, the API will refuse it; \
             with the file removed, the next start makes a new token"
        ),
        Err(error) => tracing::warn!(
            file = %path.display(),
            %error,
            "the admin token's file cannot be read; its owner must be the user of this server"
        ),
    }
    Ok(())
}

/// What the token's file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// The store's token.
    Token,
    /// Something else.
    Another,
    /// It is not there.
    Nothing,
}

/// Looks into the token's file.
fn found(path: &Path, known: &TokenRecord) -> io::Result<Found> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    let mut octets = Zeroizing::new(Vec::with_capacity(MOST));
    file.take(MOST as u64).read_to_end(&mut octets)?;
    let hash = digest(&SHA256, octets.trim_ascii());
    Ok(if hash.as_ref() == known.hash {
        Found::Token
    } else {
        Found::Another
    })
}

/// Makes a new admin token; the one before it is worth nothing from the next start on.
///
/// # Errors
///
/// When it cannot be made durable in both places.
pub(super) fn replace(folder: &Path, store: &dyn Store, now: Timestamp) -> Result<(), TokenError> {
    let secret = generate()?;
    let path = folder.join(FILE);
    // The file comes first: a crash before the store knows the token leaves a file that the next
    // start replaces. The other way round, nobody could ever use the API.
    let mut line = Zeroizing::new(secret.as_bytes().to_vec());
    line.push(b'\n');
    write_secret(folder, &path, &line).map_err(|source| TokenError::Io {
        path: path.clone(),
        source,
    })?;
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    let mut batch = Batch::new();
    batch.put_record(
        ID,
        &TokenRecord {
            scope: "admin".to_owned(),
            created: now,
            hash,
        },
    );
    if let Err(error) = store.commit(&batch) {
        // With the file gone, the next start makes another token, and this one counts nowhere.
        let _ = fs::remove_file(&path);
        return Err(error.into());
    }
    Ok(())
}

/// Makes a token of 256 random bits.
fn generate() -> Result<Zeroizing<String>, TokenError> {
    let mut octets = Zeroizing::new([0; 32]);
    SystemRandom::new()
        .fill(octets.as_mut())
        .map_err(|_| TokenError::NoRandom)?;
    let mut token = Zeroizing::new(String::with_capacity(PREFIX.len() + 43));
    token.push_str(PREFIX);
    push_base64url(octets.as_ref(), &mut token);
    Ok(token)
}

/// Appends octets in base64 for URLs, without padding (RFC 4648, sections 3.2 and 5).
fn push_base64url(octets: &[u8], text: &mut String) {
    for group in octets.chunks(3) {
        let digits = (group.len() * 8).div_ceil(6);
        let bits = group
            .iter()
            .fold(0, |bits, octet| bits << 8 | u32::from(*octet));
        // The last digit of a short group is filled up with zeros.
        let bits = bits << (digits * 6 - group.len() * 8);
        for digit in (0..digits).rev() {
            text.push(char::from(DIGITS[(bits >> (digit * 6) & 63) as usize]));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::store::Memory;

    #[test]
    fn a_first_start_writes_the_token_and_stores_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let store = Memory::new();
        let now = Timestamp::from_secs(1_800_000_000);

        ensure(folder.path(), &store, now).unwrap();

        let path = folder.path().join(FILE);
        let text = fs::read_to_string(&path).unwrap();
        let secret = text.strip_suffix('\n').unwrap();
        assert!(secret.starts_with(PREFIX));
        assert_eq!(secret.len(), PREFIX.len() + 43);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        let record: TokenRecord = record::get(&store, ID).unwrap().unwrap();
        assert_eq!(record.hash, digest(&SHA256, secret.as_bytes()).as_ref());
        assert_eq!((record.scope.as_str(), record.created), ("admin", now));
    }

    #[test]
    fn rfc4648_10_test_vectors_come_out() {
        for (octets, wanted) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (b"foobar", "Zm9vYmFy"),
            (b"\xfb\xff", "-_8"),
        ] {
            let mut text = String::new();
            push_base64url(octets, &mut text);

            assert_eq!(text, wanted);
        }
    }

    /// Returns the hash that the store has.
    fn hash(store: &Memory) -> [u8; 32] {
        record::get::<TokenRecord>(store, ID).unwrap().unwrap().hash
    }

    #[test]
    fn a_later_start_makes_no_other_token() {
        let folder = tempfile::tempdir().unwrap();
        let store = Memory::new();
        ensure(folder.path(), &store, Timestamp::from_secs(1)).unwrap();
        let first = hash(&store);
        let text = fs::read(folder.path().join(FILE)).unwrap();

        ensure(folder.path(), &store, Timestamp::from_secs(2)).unwrap();

        assert_eq!(hash(&store), first);
        assert_eq!(fs::read(folder.path().join(FILE)).unwrap(), text);
    }

    #[test]
    fn a_missing_file_means_a_new_token() {
        let folder = tempfile::tempdir().unwrap();
        let store = Memory::new();
        ensure(folder.path(), &store, Timestamp::from_secs(1)).unwrap();
        let first = hash(&store);
        fs::remove_file(folder.path().join(FILE)).unwrap();

        ensure(folder.path(), &store, Timestamp::from_secs(2)).unwrap();

        assert_ne!(hash(&store), first);
        let known = record::get(&store, ID).unwrap().unwrap();
        assert_eq!(
            found(&folder.path().join(FILE), &known).unwrap(),
            Found::Token
        );
    }

    #[test]
    fn a_file_with_another_token_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Memory::new();
        ensure(folder.path(), &store, Timestamp::from_secs(1)).unwrap();
        let first = hash(&store);
        let path = folder.path().join(FILE);
        for text in ["", "mxpool_other\n", "x".repeat(9_999).as_str()] {
            fs::write(&path, text).unwrap();

            ensure(folder.path(), &store, Timestamp::from_secs(2)).unwrap();

            assert_eq!(hash(&store), first);
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
