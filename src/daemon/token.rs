//! The admin token of a first start, and of a restored store.

use std::io;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::store::record::TokenRecord;
use crate::store::{Batch, Direction, Space, Store, StoreError};

use super::sealing::write_secret;

/// The token's file in the store's folder.
pub(super) const FILE: &str = "admin.token";

/// What every token begins with, so that people and secret scanners know one when they see it.
const PREFIX: &str = "mxpool_";

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

/// Makes the admin token of a store that has no token; the store keeps its hash alone.
///
/// # Errors
///
/// When it cannot be made durable in both places. The next start tries again then.
pub(super) fn ensure(folder: &Path, store: &dyn Store, now: Timestamp) -> Result<(), TokenError> {
    if has_token(store)? {
        return Ok(());
    }
    replace(folder, store, now)
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
    write_secret(folder, &path, &line).map_err(|source| TokenError::Io { path, source })?;
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
    store.commit(&batch)?;
    Ok(())
}

/// Returns whether the store has any token.
fn has_token(store: &dyn Store) -> Result<bool, StoreError> {
    let mut found = false;
    store.scan(
        Space::Token,
        Bound::Unbounded,
        Direction::Ascending,
        &mut |_, _| {
            found = true;
            ControlFlow::Break(())
        },
    )?;
    Ok(found)
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
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::store::{Memory, record};

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

    #[test]
    fn a_later_start_makes_no_other_token() {
        let folder = tempfile::tempdir().unwrap();
        let store = Memory::new();
        ensure(folder.path(), &store, Timestamp::from_secs(1)).unwrap();
        fs::remove_file(folder.path().join(FILE)).unwrap();

        ensure(folder.path(), &store, Timestamp::from_secs(2)).unwrap();

        assert!(!folder.path().join(FILE).exists());
    }
}
