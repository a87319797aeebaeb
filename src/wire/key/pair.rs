//! Key pairs, and raw signatures made and verified.

use ring::rand::SystemRandom;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use zeroize::Zeroizing;

use super::Algorithm;

/// A private key, able to sign, and its public key.
///
/// Neither shown nor cloned: whoever holds one can sign, and its memory lives as short as it can.
pub struct KeyPair {
    /// The private half and what computes with it.
    secret: Secret,
    /// The public half as a DNSKEY record carries it.
    public_key: Box<[u8]>,
    /// Where random octets come from.
    random: SystemRandom,
}

/// The private half, as the library holds it.
enum Secret {
    /// A P-256 scalar, with the key that hedges its nonces.
    Ecdsa(Box<EcdsaKeyPair>),
    /// An Ed25519 seed.
    Ed25519(Box<Ed25519KeyPair>),
}

/// A private key that cannot be made, read or used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The machine gives no random octets.
    #[error("the system's random generator failed")]
    NoRandom,
    /// The octets are no private key of the algorithm.
    #[error("expected a PKCS#8 private key for {algorithm}, found {length} octets: {reason}")]
    Rejected {
        /// The wanted algorithm.
        algorithm: Algorithm,
        /// How many octets were found.
        length: usize,
        /// Why they were refused.
        reason: String,
    },
    /// The library could not sign; its one cause is a random generator that fails.
    #[error("the key could not sign")]
    CannotSign,
}

impl KeyPair {
    /// Makes a new key pair and returns it with its private key in PKCS#8 form, to be kept.
    ///
    /// # Errors
    ///
    /// When the machine gives no random octets.
    pub fn generate(algorithm: Algorithm) -> Result<(Self, Zeroizing<Vec<u8>>), KeyError> {
        let random = SystemRandom::new();
        let document = match algorithm {
            Algorithm::EcdsaP256Sha256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            }
            Algorithm::Ed25519 => Ed25519KeyPair::generate_pkcs8(&random),
        };
        let document = document.map_err(|_| KeyError::NoRandom)?;
        let pkcs8 = Zeroizing::new(document.as_ref().to_vec());
        Ok((Self::from_pkcs8(algorithm, &pkcs8)?, pkcs8))
    }

    /// Reads a private key in PKCS#8 form, its public key with it.
    ///
    /// # Errors
    ///
    /// When the octets are something else, or public and private key do not match.
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let rejected = |error: ring::error::KeyRejected| KeyError::Rejected {
            algorithm,
            length: pkcs8.len(),
            reason: error.to_string(),
        };
        let (secret, public_key) = match algorithm {
            Algorithm::EcdsaP256Sha256 => {
                let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let pair = EcdsaKeyPair::from_pkcs8(signing, pkcs8, &random).map_err(rejected)?;
                // DNSKEY leaves out the octet that says "uncompressed" (RFC 6605, section 4).
                let public_key = pair.public_key().as_ref()[1..].into();
                (Secret::Ecdsa(Box::new(pair)), public_key)
            }
            Algorithm::Ed25519 => {
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(rejected)?;
                let public_key = pair.public_key().as_ref().into();
                (Secret::Ed25519(Box::new(pair)), public_key)
            }
        };
        Ok(Self {
            secret,
            public_key,
            random,
        })
    }

    /// Returns a signature over `message`.
    ///
    /// Of ECDSA no two are the same: nonces are random and hedged with the key and the message.
    ///
    /// # Errors
    ///
    /// When the machine gives no random octets.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeyError> {
        let signature = match &self.secret {
            Secret::Ecdsa(pair) => pair
                .sign(&self.random, message)
                .map_err(|_| KeyError::CannotSign)?,
            Secret::Ed25519(pair) => pair.sign(message),
        };
        <[u8; 64]>::try_from(signature.as_ref()).map_err(|_| KeyError::CannotSign)
    }

    /// Returns the public key as a DNSKEY record carries it.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> Algorithm {
        match self.secret {
            Secret::Ecdsa(_) => Algorithm::EcdsaP256Sha256,
            Secret::Ed25519(_) => Algorithm::Ed25519,
        }
    }
}

/// Returns whether `signature` over `message` was made by the private key of `public_key`, which
/// is in the form that a DNSKEY record carries.
pub fn verify_signature(
    algorithm: Algorithm,
    public_key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    match algorithm {
        Algorithm::EcdsaP256Sha256 => {
            let uncompressed = [&[4], public_key].concat();
            let key = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, uncompressed);
            key.verify(message, signature).is_ok()
        }
        Algorithm::Ed25519 => UnparsedPublicKey::new(&signature::ED25519, public_key)
            .verify(message, signature)
            .is_ok(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::wire::Name;

    /// An RFC's example: a key and what it signed.
    pub(in crate::wire::key) struct Vector {
        /// The algorithm.
        pub(in crate::wire::key) algorithm: Algorithm,
        /// The zone's name.
        pub(in crate::wire::key) zone: &'static str,
        /// The public key in hexadecimal.
        pub(in crate::wire::key) public_key: &'static str,
        /// The RRSIG record's labels, expiration, inception and key tag.
        signed: (u8, u32, u32, u16),
        /// The one record that was signed: owner, type and data in hexadecimal.
        record: (&'static str, u16, &'static str),
        /// The signature in hexadecimal.
        signature: &'static str,
    }

    /// RFC 6605, section 6.1: `www.example.net. 3600 IN A 192.0.2.1`.
    pub(in crate::wire::key) const RFC6605_6_1: Vector = Vector {
        algorithm: Algorithm::EcdsaP256Sha256,
        zone: "example.net.",
        public_key: "1a88c88615d437fbb8bf9e1942a1929f28562706ae6c2bd399e7b1bfb6d1e9e7\
        5b92b4aa42917ae1c61b701ef035c3fe7be3009cbafe5a2f71316c902dcf0d00",
        signed: (3, 1_284_026_679, 1_281_607_479, 55_648),
        record: ("www.example.net.", 1, "c0000201"),
        signature: "ab1eb02d8aa687e97da0229337aa8873e6f0eb26be289f28333d183f5d3b7a95\
        c0c869adfb748daee3c5286eed6682c12e5533186baced9c26c167a9ebae950b",
    };

    /// RFC 8080, section 6.1, the first example as erratum 4935 mends it:
    /// `example.com. 3600 IN MX 10 mail.example.com.`.
    pub(in crate::wire::key) const RFC8080_6_1: Vector = Vector {
        algorithm: Algorithm::Ed25519,
        zone: "example.com.",
        public_key: "974d96a22d224bc01adb915091477d44ccd91c9a41a11430010117d52c59240e",
        signed: (2, 1_440_021_600, 1_438_207_200, 3_613),
        record: (
            "example.com.",
            15,
            "000a046d61696c076578616d706c6503636f6d00",
        ),
        signature: "a0bf64ac9ba7ef17c138859c1878bb99a839fe1759aca5b0d798cf1ab1e98d07\
        9102f4ddb3368f0fe40bb377f1f00e0cddedb799167d56b6e932783072ba8d02",
    };

    impl Vector {
        /// Returns the key's DNSKEY data.
        pub(in crate::wire::key) fn dnskey(&self) -> Vec<u8> {
            let head = [1, 1, 3, self.algorithm.number()];
            [&head[..], &hex(self.public_key)].concat()
        }

        /// Returns what was signed (RFC 4034, section 3.1.8.1).
        fn message(&self) -> Vec<u8> {
            let wire = |name: &str| Name::parse(name).unwrap().as_wire().to_vec();
            let (labels, expiration, inception, tag) = self.signed;
            let (owner, rtype, rdata) = self.record;
            let rdata = hex(rdata);
            [
                &rtype.to_be_bytes()[..],
                &[self.algorithm.number(), labels],
                &3600_u32.to_be_bytes(),
                &expiration.to_be_bytes(),
                &inception.to_be_bytes(),
                &tag.to_be_bytes(),
                &wire(self.zone),
                &wire(owner),
                &rtype.to_be_bytes(),
                &[0, 1],
                &3600_u32.to_be_bytes(),
                &(rdata.len() as u16).to_be_bytes(),
                &rdata,
            ]
            .concat()
        }
    }

    /// Reads hexadecimal digits.
    pub(in crate::wire::key) fn hex(text: &str) -> Vec<u8> {
        let pairs = text.as_bytes().chunks(2);
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn rfc6605_6_1_and_rfc8080_6_1_signatures_verify_and_altered_ones_do_not() {
        for vector in [RFC6605_6_1, RFC8080_6_1] {
            let (key, message) = (hex(vector.public_key), vector.message());
            let signature = hex(vector.signature);
            let verify = |message: &[u8], signature: &[u8]| {
                verify_signature(vector.algorithm, &key, message, signature)
            };

            assert!(verify(&message, &signature), "{}", vector.zone);

            for at in [0, 20, message.len() - 1] {
                let mut altered = message.clone();
                altered[at] ^= 1;
                assert!(!verify(&altered, &signature), "octet {at}");
            }
            assert!(!verify(&message, &signature[1..]));
        }
    }

    #[test]
    fn a_kept_key_signs_what_its_public_key_verifies() {
        for algorithm in Algorithm::ALL {
            let (made, pkcs8) = KeyPair::generate(algorithm).unwrap();
            let kept = KeyPair::from_pkcs8(algorithm, &pkcs8).unwrap();

            assert_eq!(kept.public_key(), made.public_key());
            assert_eq!(kept.algorithm(), algorithm);
            assert_eq!(kept.public_key().len(), algorithm.public_key_length());
            let signature = kept.sign(b"message").unwrap();
            let key = made.public_key();
            assert!(verify_signature(algorithm, key, b"message", &signature));
            assert!(!verify_signature(algorithm, key, b"massage", &signature));
        }
    }

    #[test]
    fn a_key_of_another_algorithm_or_damaged_is_refused() {
        let (_, pkcs8) = KeyPair::generate(Algorithm::Ed25519).unwrap();

        let other = KeyPair::from_pkcs8(Algorithm::EcdsaP256Sha256, &pkcs8);
        let cut = KeyPair::from_pkcs8(Algorithm::Ed25519, &pkcs8[..20]);

        assert!(matches!(other, Err(KeyError::Rejected { length, .. }) if length == pkcs8.len()));
        assert!(matches!(cut, Err(KeyError::Rejected { length: 20, .. })));
    }
}
