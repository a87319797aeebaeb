//! Private keys at rest: encrypted, and bound to their zone.

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::wire::Apex;

/// The key under which private keys lie in the store.
///
/// Neither shown nor cloned. What it seals is bound to one apex, so that a sealed key cannot be
/// moved to another zone. Random 96-bit nonces are safe for 2^32 seals; a pool of a million zones
/// makes one each.
pub struct SealingKey {
    /// The 32 octets themselves, to be written into the key file.
    octets: Zeroizing<[u8; 32]>,
    /// What seals: derived, so that the id below tells nothing of it.
    aead: LessSafeKey,
    /// What the key is called.
    id: SealingKeyId,
}

/// The printable name of a sealing key: derived from it, telling nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SealingKeyId([u8; 8]);

/// A sealing key that cannot be made or used, or a sealed key that it does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The machine gives no random octets.
    #[error("the system's random generator failed")]
    NoRandom,
    /// A sealing key has another length.
    #[error("expected a sealing key of 32 octets, found {found}")]
    WrongLength {
        /// How many octets were found.
        found: usize,
    },
    /// What is sealed was written by another release or is something else.
    #[error("expected a sealed key of version {SEALED_VERSION}, found {found}")]
    OtherVersion {
        /// What the version octet says, or that there is none.
        found: String,
    },
    /// Another sealing key sealed it.
    #[error("expected what the sealing key {wanted} sealed, found {found}'s")]
    OtherKey {
        /// The key that was asked to open it.
        wanted: SealingKeyId,
        /// The key that sealed it.
        found: SealingKeyId,
    },
    /// It was altered, or belongs to another zone.
    #[error("the sealed key of {apex} is damaged or belongs to another zone")]
    Damaged {
        /// The zone that was given.
        apex: Apex,
    },
}

/// The first octet of what is sealed: tells later formats apart.
const SEALED_VERSION: u8 = 1;
/// The octets in front of what is encrypted: version, sealing key's id, nonce.
const HEAD: usize = 1 + 8 + NONCE_LEN;
/// The salt of all derivations; it separates them from other uses of the same octets.
const SALT: &[u8] = b"mxpool sealing key 1";
/// Stands in front of the apex in what is authenticated: what kind of secret it is.
const CONTEXT: &[u8] = b"mxpool signing key\0";

impl SealingKey {
    /// Makes a new key.
    ///
    /// # Errors
    ///
    /// When the machine gives no random octets.
    pub fn generate() -> Result<Self, SealError> {
        let mut octets = Zeroizing::new([0; 32]);
        SystemRandom::new()
            .fill(octets.as_mut())
            .map_err(|_| SealError::NoRandom)?;
        Self::derive(octets)
    }

    /// Takes the 32 octets of a key file.
    ///
    /// # Errors
    ///
    /// When there are more or fewer.
    pub fn from_bytes(octets: &[u8]) -> Result<Self, SealError> {
        let octets = <[u8; 32]>::try_from(octets).map_err(|_| SealError::WrongLength {
            found: octets.len(),
        })?;
        Self::derive(Zeroizing::new(octets))
    }

    /// Derives what seals and what the key is called (RFC 5869).
    fn derive(octets: Zeroizing<[u8; 32]>) -> Result<Self, SealError> {
        let secret = Salt::new(HKDF_SHA256, SALT).extract(octets.as_ref());
        let aead = Zeroizing::new(expand::<32>(&secret, b"seal"));
        let unbound = UnboundKey::new(&CHACHA20_POLY1305, aead.as_ref());
        let unbound = unbound.expect("ChaCha20-Poly1305 takes the 32 octets derived above");
        Ok(Self {
            id: SealingKeyId(expand(&secret, b"id")),
            aead: LessSafeKey::new(unbound),
            octets,
        })
    }

    /// Seals the private key of a zone.
    ///
    /// # Errors
    ///
    /// When the machine gives no random octets.
    pub fn seal(&self, apex: &Apex, secret: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| SealError::NoRandom)?;
        let mut sealed = Vec::with_capacity(HEAD + secret.len() + CHACHA20_POLY1305.tag_len());
        sealed.push(SEALED_VERSION);
        sealed.extend_from_slice(&self.id.0);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(secret);
        let associated = self.associated(apex);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .aead
            .seal_in_place_separate_tag(nonce, associated, &mut sealed[HEAD..])
            .expect("a private key is far below the 256 GiB that the cipher takes");
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens the sealed private key of a zone.
    ///
    /// # Errors
    ///
    /// When another key sealed it, for another zone, or a bit of it was altered: never garbage.
    pub fn unseal(&self, apex: &Apex, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if sealed.first() != Some(&SEALED_VERSION) {
            return Err(SealError::OtherVersion {
                found: sealed
                    .first()
                    .map_or_else(|| "nothing".to_owned(), u8::to_string),
            });
        }
        let damaged = || SealError::Damaged { apex: apex.clone() };
        let (head, encrypted) = sealed.split_first_chunk::<HEAD>().ok_or_else(damaged)?;
        let (id, nonce) = head[1..].split_at(8);
        if id != self.id.0 {
            let mut found = SealingKeyId([0; 8]);
            found.0.copy_from_slice(id);
            return Err(SealError::OtherKey {
                wanted: self.id,
                found,
            });
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut secret = Zeroizing::new(encrypted.to_vec());
        let length = self
            .aead
            .open_in_place(nonce, self.associated(apex), secret.as_mut_slice())
            .map_err(|_| damaged())?
            .len();
        secret.truncate(length);
        Ok(secret)
    }

    /// Returns what the key is called.
    pub fn id(&self) -> SealingKeyId {
        self.id
    }

    /// Returns the octets, to be written into the key file and nowhere else.
    pub fn expose(&self) -> &[u8; 32] {
        &self.octets
    }

    /// Returns what is authenticated but not encrypted: kind, version and zone.
    fn associated(&self, apex: &Apex) -> Aad<Vec<u8>> {
        Aad::from([CONTEXT, &[SEALED_VERSION], apex.as_wire()].concat())
    }
}

/// The length of derived octets, as the library wants to be told.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Derives octets for one purpose.
fn expand<const N: usize>(secret: &Prk, purpose: &[u8]) -> [u8; N] {
    let mut octets = [0; N];
    let purpose = [purpose];
    let derived = secret.expand(&purpose, Length(N));
    derived
        .and_then(|derived| derived.fill(&mut octets))
        .expect("HKDF gives up to 8160 octets, and as many as were asked for");
    octets
}

impl fmt::Display for SealingKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn apex(text: &str) -> Apex {
        Apex::parse(text).unwrap()
    }

    /// Returns a key of a repeated octet.
    fn key(octet: u8) -> SealingKey {
        SealingKey::from_bytes(&[octet; 32]).unwrap()
    }

    /// `secret` for `b.example`, as the first release sealed it.
    const GOLDEN: &str = "012a52f9ea4ea170e91d1cda0af54bf534f89ce96b\
        52871e83a88361c36ee16abdcc645a40335f920f802e";

    /// Reads hexadecimal digits.
    fn hex(text: &str) -> Vec<u8> {
        let digit = |octet: u8| (octet as char).to_digit(16).unwrap() as u8;
        let pairs = text.as_bytes().chunks(2);
        pairs
            .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
            .collect()
    }

    #[test]
    fn a_key_read_from_its_file_opens_what_it_sealed() {
        let made = SealingKey::generate().unwrap();
        let sealed = made.seal(&apex("b.example"), b"secret").unwrap();

        let read = SealingKey::from_bytes(made.expose()).unwrap();

        assert_eq!(read.id(), made.id());
        let opened = read.unseal(&apex("b.example"), &sealed).unwrap();
        assert_eq!(*opened, b"secret");
    }

    #[test]
    fn the_format_of_stored_secrets_does_not_change_between_releases() {
        let sealed = hex(GOLDEN);

        let opened = key(7).unseal(&apex("b.example"), &sealed).unwrap();

        assert_eq!(*opened, b"secret");
        assert_eq!(key(7).id().to_string(), "2a52f9ea4ea170e9");
    }

    #[test]
    fn another_key_and_another_zone_do_not_open_it() {
        let sealed = key(1).seal(&apex("b.example"), b"secret").unwrap();

        assert_eq!(
            key(2).unseal(&apex("b.example"), &sealed),
            Err(SealError::OtherKey {
                wanted: key(2).id(),
                found: key(1).id(),
            })
        );
        assert_eq!(
            key(1).unseal(&apex("c.example"), &sealed),
            Err(SealError::Damaged {
                apex: apex("c.example")
            })
        );
    }

    #[test]
    fn one_secret_sealed_twice_gives_two_texts() {
        let seal = || key(1).seal(&apex("b.example"), b"secret").unwrap();

        assert_ne!(seal(), seal());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_an_error() {
        let sealed = key(1).seal(&apex("b.example"), b"secret").unwrap();

        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let opened = key(1).unseal(&apex("b.example"), &altered);
            assert!(opened.is_err(), "bit {bit}");
        }
        for end in 0..sealed.len() {
            let opened = key(1).unseal(&apex("b.example"), &sealed[..end]);
            assert!(opened.is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_key_file_of_another_length_is_refused() {
        assert!(matches!(
            SealingKey::from_bytes(&[0; 31]),
            Err(SealError::WrongLength { found: 31 })
        ));
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_to_the_same(secret in prop::collection::vec(any::<u8>(), 0..200)) {
            let sealed = key(3).seal(&apex("b.example"), &secret).unwrap();

            prop_assert_eq!(&*key(3).unseal(&apex("b.example"), &sealed).unwrap(), &secret);
        }
    }
}
