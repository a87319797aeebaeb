//! The signing algorithms that we use, by number and by mnemonic.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A DNSSEC algorithm that we sign with.
///
/// Both are elliptic curves with signatures of 64 octets, which keeps answers in one datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256: every validator knows it (RFC 8624, section 3.1).
    #[default]
    EcdsaP256Sha256,
    /// Ed25519: recommended, but to validators that do not know it a zone is insecure.
    Ed25519,
}

/// A text or a number that names no algorithm of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("expected the algorithm \"ecdsap256sha256\" (13) or \"ed25519\" (15), found {found}")]
pub struct AlgorithmError {
    /// What was found, a text in quotes.
    pub found: String,
}

impl Algorithm {
    /// Every algorithm that we sign with.
    pub const ALL: [Self; 2] = [Self::EcdsaP256Sha256, Self::Ed25519];

    /// Returns the algorithm of a number as records carry it.
    ///
    /// # Errors
    ///
    /// When we do not sign with it.
    pub fn from_number(number: u8) -> Result<Self, AlgorithmError> {
        let mut all = Self::ALL.into_iter();
        all.find(|algorithm| algorithm.number() == number)
            .ok_or_else(|| AlgorithmError {
                found: number.to_string(),
            })
    }

    /// Returns the number in IANA's registry (RFC 6605, section 7; RFC 8080, section 7).
    pub const fn number(self) -> u8 {
        match self {
            Self::EcdsaP256Sha256 => 13,
            Self::Ed25519 => 15,
        }
    }

    /// Returns the octets of a public key in a DNSKEY record (RFC 6605, section 4; RFC 8080,
    /// section 3).
    pub const fn public_key_length(self) -> usize {
        match self {
            Self::EcdsaP256Sha256 => 64,
            Self::Ed25519 => 32,
        }
    }

    /// Returns the mnemonic as manifests write it.
    const fn mnemonic(self) -> &'static str {
        match self {
            Self::EcdsaP256Sha256 => "ecdsap256sha256",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.mnemonic())
    }
}

impl FromStr for Algorithm {
    type Err = AlgorithmError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|algorithm| algorithm.mnemonic().eq_ignore_ascii_case(text))
            .ok_or_else(|| AlgorithmError {
                found: format!("{text:?}"),
            })
    }
}

impl Serialize for Algorithm {
    /// Writes the mnemonic for people and the number for machines.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.number().serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            let number = u8::deserialize(deserializer)?;
            Self::from_number(number).map_err(serde::de::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_read_back_by_text_and_by_number() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
            assert_eq!(Algorithm::from_number(algorithm.number()), Ok(algorithm));
        }
        assert_eq!("ED25519".parse(), Ok(Algorithm::Ed25519));
    }

    #[test]
    fn what_we_do_not_sign_with_is_refused_with_the_way_out() {
        let error = "rsasha256".parse::<Algorithm>().unwrap_err();

        assert!(error.to_string().contains("ecdsap256sha256"), "{error}");
        assert!(error.to_string().contains("\"rsasha256\""), "{error}");
        assert!(Algorithm::from_number(8).is_err());
    }
}
