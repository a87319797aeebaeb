//! TLSA records that senders can use at port 25.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, SHA512, digest};
use x509_parser::parse_x509_certificate;

use crate::wire::Rdata;

/// What a TLSA record of a mail host says of its key (RFC 6698, section 2.1).
///
/// Only what senders use at port 25: DANE-EE and DANE-TA, by a digest (RFC 7672, section 3.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlsaRecord {
    /// Whose key it is: 3 the host's, 2 that of its issuer.
    usage: u8,
    /// Of what: 0 the certificate, 1 its public key.
    selector: u8,
    /// How: 1 SHA-256, 2 SHA-512.
    matching_type: u8,
    /// The digest.
    association: Vec<u8>,
}

/// A text that is no TLSA record for a mail host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsaError {
    /// The fields are not there, or no numbers and hexadecimal digits.
    #[error("expected TLSA data like \"3 1 1 8cb0…\" with hexadecimal digits, found {found:?}")]
    Malformed {
        /// The text that was found.
        found: String,
    },
    /// The usage is that of a public authority, or unknown.
    #[error(
        "expected TLSA usage 3 (the host's key) or 2 (its issuer's), found {found}: senders treat \
         0 and 1 as unusable at port 25 (RFC 7672, section 3.1.3)"
    )]
    Usage {
        /// The usage that was found.
        found: u8,
    },
    /// The selector is unknown.
    #[error(
        "expected TLSA selector 1 (public key) or 0 (certificate), found {found} (RFC 7671, section 2.1)"
    )]
    Selector {
        /// The selector that was found.
        found: u8,
    },
    /// The matching type is the whole data, or unknown.
    #[error(
        "expected TLSA matching type 1 (SHA-256) or 2 (SHA-512), found {found} (0 is not \
         recommended: RFC 7671, section 10.1.2)"
    )]
    MatchingType {
        /// The matching type that was found.
        found: u8,
    },
    /// The digest has another length than its kind makes.
    #[error(
        "expected a digest of {expected} octets for matching type {matching_type}, found {found} \
         (RFC 6698, section 2.1.3)"
    )]
    DigestLength {
        /// The matching type.
        matching_type: u8,
        /// Its octets.
        expected: usize,
        /// The octets that were found.
        found: usize,
    },
}

impl TlsaRecord {
    /// Checks the fields of a record.
    ///
    /// # Errors
    ///
    /// When senders could not use it at port 25.
    pub fn new(
        usage: u8,
        selector: u8,
        matching_type: u8,
        association: Vec<u8>,
    ) -> Result<Self, TlsaError> {
        if !matches!(usage, 2 | 3) {
            return Err(TlsaError::Usage { found: usage });
        }
        if selector > 1 {
            return Err(TlsaError::Selector { found: selector });
        }
        let Some(expected) = digest_length(matching_type) else {
            return Err(TlsaError::MatchingType {
                found: matching_type,
            });
        };
        if association.len() != expected {
            return Err(TlsaError::DigestLength {
                matching_type,
                expected,
                found: association.len(),
            });
        }
        Ok(Self {
            usage,
            selector,
            matching_type,
            association,
        })
    }

    /// Makes the record `3 1 1` of a public key's SHA-256 (RFC 7672, section 3.1.1).
    pub fn of_key_digest(sha256: [u8; 32]) -> Self {
        Self {
            usage: 3,
            selector: 1,
            matching_type: 1,
            association: sha256.to_vec(),
        }
    }

    /// Reads the fields out of TLSA data.
    ///
    /// # Errors
    ///
    /// When senders could not use it at port 25.
    pub fn from_rdata(rdata: &Rdata) -> Result<Self, TlsaError> {
        match rdata.as_wire() {
            [usage, selector, matching_type, association @ ..] => {
                Self::new(*usage, *selector, *matching_type, association.to_vec())
            }
            other => Err(TlsaError::Malformed {
                found: format!("{} octets", other.len()),
            }),
        }
    }

    /// Says what is wrong with the length of a digest in TLSA data of any service.
    pub(super) fn wrong_digest(rdata: &Rdata) -> Option<TlsaError> {
        let [_, _, matching_type, association @ ..] = rdata.as_wire() else {
            return None;
        };
        let expected = digest_length(*matching_type)?;
        (association.len() != expected).then_some(TlsaError::DigestLength {
            matching_type: *matching_type,
            expected,
            found: association.len(),
        })
    }

    /// Returns the record's data.
    pub fn to_rdata(&self) -> Rdata {
        Rdata::tlsa(
            self.usage,
            self.selector,
            self.matching_type,
            &self.association,
        )
    }

    /// Returns whether it names an issuer's key (DANE-TA), so that the host's certificate must lead
    /// there (RFC 7672, section 3.1.2).
    pub fn is_of_issuer(&self) -> bool {
        self.usage == 2
    }

    /// Returns whether a certificate, given in DER, has what the record says (RFC 6698, section
    /// 2.1).
    pub fn matches(&self, certificate: &[u8]) -> bool {
        let Ok((_, parsed)) = parse_x509_certificate(certificate) else {
            return false;
        };
        let selected = match self.selector {
            0 => certificate,
            _ => parsed.tbs_certificate.subject_pki.raw,
        };
        let kind = match self.matching_type {
            1 => &SHA256,
            _ => &SHA512,
        };
        digest(kind, selected).as_ref() == self.association
    }

    /// Returns whether a sender that knows SHA-256 alone, as all must, can use it (RFC 7671,
    /// section 10.1.2).
    pub fn is_sha256(&self) -> bool {
        self.matching_type == 1
    }
}

impl FromStr for TlsaRecord {
    type Err = TlsaError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || TlsaError::Malformed {
            found: text.to_owned(),
        };
        let mut words = text.split_ascii_whitespace();
        let mut number = || words.next()?.parse::<u8>().ok();
        let usage = number().ok_or_else(malformed)?;
        let selector = number().ok_or_else(malformed)?;
        let matching_type = number().ok_or_else(malformed)?;
        // Hexadecimal digits may be cut in groups (RFC 6698, section 2.2).
        let digits: String = words.collect();
        let association = from_hex(&digits).ok_or_else(malformed)?;
        Self::new(usage, selector, matching_type, association)
    }
}

/// Returns the octets of a digest, for the matching types that are one (RFC 6698, section 2.1.3).
fn digest_length(matching_type: u8) -> Option<usize> {
    match matching_type {
        1 => Some(32),
        2 => Some(64),
        _ => None,
    }
}

/// Reads an even number of hexadecimal digits, at least two.
fn from_hex(digits: &str) -> Option<Vec<u8>> {
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    let pairs = digits.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| {
            let digit = |octet: u8| char::from(octet).to_digit(16);
            Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)
        })
        .collect()
}

impl fmt::Display for TlsaRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} ",
            self.usage, self.selector, self.matching_type
        )?;
        self.association
            .iter()
            .try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses a record whose digest has so many octets.
    fn parse(head: &str, octets: usize) -> Result<TlsaRecord, TlsaError> {
        format!("{head} {}", "8c".repeat(octets)).parse()
    }

    #[test]
    fn rfc7672_3_1_digests_of_host_and_issuer_keys_are_taken() {
        for head in ["3 1 1", "2 1 1", "2 0 1", "3 0 1"] {
            let record = parse(head, 32).unwrap();
            assert_eq!(record.to_string().parse(), Ok(record));
        }
        assert!(!parse("3 1 2", 64).unwrap().is_sha256());
        let grouped = format!("3 1 1 {} {}", "8C".repeat(16), "8c".repeat(16));
        assert_eq!(grouped.parse(), parse("3 1 1", 32));
    }

    #[test]
    fn rfc7672_3_1_3_usages_0_and_1_are_refused() {
        assert_eq!(parse("0 1 1", 32), Err(TlsaError::Usage { found: 0 }));
        assert_eq!(parse("1 1 1", 32), Err(TlsaError::Usage { found: 1 }));
        assert_eq!(parse("4 1 1", 32), Err(TlsaError::Usage { found: 4 }));
    }

    #[test]
    fn rfc7671_10_1_2_whole_certificates_are_refused() {
        assert_eq!(
            parse("3 1 0", 91),
            Err(TlsaError::MatchingType { found: 0 })
        );
        assert_eq!(parse("3 2 1", 32), Err(TlsaError::Selector { found: 2 }));
    }

    #[test]
    fn rfc6698_2_1_3_a_digest_of_another_length_is_refused() {
        for (head, octets) in [("3 1 1", 31), ("3 1 1", 64), ("3 1 2", 32)] {
            assert!(
                matches!(parse(head, octets), Err(TlsaError::DigestLength { .. })),
                "{head} {octets}"
            );
        }
    }

    #[test]
    fn what_is_no_tlsa_data_is_refused() {
        for wrong in [
            "",
            "3 1 1",
            "3 1 1 8c0",
            "3 1 1 xy",
            "3 1 x 8c",
            "300 1 1 8c",
        ] {
            assert!(
                matches!(
                    wrong.parse::<TlsaRecord>(),
                    Err(TlsaError::Malformed { .. })
                ),
                "{wrong}"
            );
        }
    }
}
