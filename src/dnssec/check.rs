//! The last look at a signed zone before it is served.

use crate::clock::Timestamp;
use crate::dnssec::message;
use crate::wire::{Algorithm, AlgorithmError, Rdata, Rtype, key_tag, verify_signature};
use crate::zone::{
    SignedItem, SignedZone, SignedZoneError, SigningKeyTag, UnsignedZone, Validity, ZoneError,
};

use super::key::shown_keys;

/// How many signatures are verified. Each costs about three times its making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// None: for keys of which one was verified when they were new.
    Structure,
    /// One of each key, that over the DNSKEY RRset: a wrong key shows.
    OneOfEachKey,
    /// All of them.
    All,
}

/// A signed zone that must not be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The signatures are of another zone, template or version.
    #[error("expected signatures over this version of the zone, found another {what}")]
    OtherVersion {
        /// In what they differ.
        what: &'static str,
    },
    /// There is no signature at all.
    #[error("expected signatures, found none")]
    Unsigned,
    /// The lists of signatures are damaged.
    #[error(transparent)]
    Lists(#[from] SignedZoneError),
    /// The data has no place under the apex.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// A key signs with what we do not know.
    #[error(transparent)]
    Algorithm(#[from] AlgorithmError),
    /// A key signed that the zone does not show.
    #[error("key {key_tag} signed, but is not among the DNSKEY records at the apex")]
    KeyNotShown {
        /// The key's tag.
        key_tag: u16,
    },
    /// Signatures are not valid at this moment.
    #[error("expected signatures that are valid at {now}, found {inception} to {expiration}")]
    NotValidNow {
        /// The moment.
        now: Timestamp,
        /// When they begin to be valid.
        inception: Timestamp,
        /// When they cease to be.
        expiration: Timestamp,
    },
    /// A signature was not made over the data.
    #[error("the signature of key {key_tag} over {rrset} does not verify")]
    BadSignature {
        /// Owner and type of the RRset.
        rrset: String,
        /// The key's tag.
        key_tag: u16,
    },
}

/// Checks a signed zone before it is served: that it belongs to its data, that every signature is
/// valid now, and that as many of them verify as `extent` says.
///
/// # Errors
///
/// The first reason not to serve it.
pub fn check(
    signed: &SignedZone,
    zone: &UnsignedZone,
    extent: Extent,
    now: Timestamp,
) -> Result<(), CheckError> {
    check_version(signed, zone)?;
    let order = zone.structure().signing_order();
    signed.validate(order.len())?;
    signed
        .validities
        .iter()
        .try_for_each(|validity| check_validity(*validity, now))?;
    let keys = public_keys(signed, zone)?;
    let mut message = Vec::new();
    for (index, item) in order.into_iter().enumerate() {
        let chosen = match extent {
            Extent::Structure => false,
            Extent::OneOfEachKey => zone.rtype_of(item) == Rtype::DNSKEY,
            Extent::All => true,
        };
        if chosen {
            verify(signed, zone, index, item, &keys, &mut message)?;
        }
    }
    Ok(())
}

/// Checks that signatures and data are of one version of one zone.
fn check_version(signed: &SignedZone, zone: &UnsignedZone) -> Result<(), CheckError> {
    let other = |what| Err(CheckError::OtherVersion { what });
    if signed.apex != *zone.apex() {
        return other("zone's name");
    }
    if signed.template != zone.template().id() {
        return other("template");
    }
    if signed.own != zone.own() {
        return other("content");
    }
    if !signed.is_signed() {
        return Err(CheckError::Unsigned);
    }
    Ok(())
}

/// Checks that signatures are valid now.
fn check_validity(validity: Validity, now: Timestamp) -> Result<(), CheckError> {
    let inception = now.nearest_rrsig_time(validity.inception);
    let expiration = now.nearest_rrsig_time(validity.expiration);
    if inception <= now && now < expiration {
        return Ok(());
    }
    Err(CheckError::NotValidNow {
        now,
        inception,
        expiration,
    })
}

/// Returns algorithm and DNSKEY data of each key that signed.
fn public_keys(
    signed: &SignedZone,
    zone: &UnsignedZone,
) -> Result<Vec<(Algorithm, Rdata)>, CheckError> {
    let shown = shown_keys(zone)?;
    let keys = signed.keys.iter().map(|key| {
        let found = shown.iter().find(|dnskey| tag(dnskey) == Some(*key));
        let dnskey = found.ok_or(CheckError::KeyNotShown {
            key_tag: key.key_tag,
        })?;
        Ok((Algorithm::from_number(key.algorithm)?, dnskey.clone()))
    });
    keys.collect()
}

/// Returns what signatures say of a key, out of its DNSKEY data.
fn tag(dnskey: &Rdata) -> Option<SigningKeyTag> {
    Some(SigningKeyTag {
        // The fourth octet (RFC 4034, section 2.1).
        algorithm: *dnskey.as_wire().get(3)?,
        key_tag: key_tag(dnskey.as_wire()),
    })
}

/// Verifies the signatures over one RRset.
fn verify(
    signed: &SignedZone,
    zone: &UnsignedZone,
    index: usize,
    item: SignedItem,
    keys: &[(Algorithm, Rdata)],
    message: &mut Vec<u8>,
) -> Result<(), CheckError> {
    let rrset = zone.rrset_to_sign(item)?;
    let signatures = signed.signatures_of(index).zip(keys);
    for ((key, validity, signature), (algorithm, dnskey)) in signatures {
        message::compose(message, &rrset, key, validity, zone.apex());
        // The public key follows flags, protocol and algorithm (RFC 4034, section 2.1).
        let public_key = dnskey.as_wire().get(4..).unwrap_or_default();
        if !verify_signature(*algorithm, public_key, message, signature) {
            return Err(CheckError::BadSignature {
                rrset: format!("{} {}", rrset.owner(), rrset.rtype()),
                key_tag: key.key_tag,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::dnssec::fixture::{NOW, address, key, zone};
    use crate::dnssec::{SigningPolicy, earliest_expiration, sign};
    use crate::zone::SIGNATURE_LENGTH;

    /// Returns a zone and its signatures by two keys.
    fn signed() -> (UnsignedZone, SignedZone) {
        let keys = [key(Algorithm::EcdsaP256Sha256), key(Algorithm::Ed25519)];
        let keys = [&keys[0], &keys[1]];
        let unsigned = zone(&keys, 1, vec![address("extra", 1)]);
        let signed = sign(&unsigned, &keys, &SigningPolicy::default(), NOW, None).unwrap();
        (unsigned, signed)
    }

    #[test]
    fn what_was_just_signed_passes_in_every_extent() {
        let (unsigned, signed) = signed();

        for extent in [Extent::Structure, Extent::OneOfEachKey, Extent::All] {
            assert_eq!(check(&signed, &unsigned, extent, NOW), Ok(()));
        }
    }

    #[test]
    fn any_altered_signature_fails_where_all_are_verified() {
        let (unsigned, signed) = signed();

        for at in (0..signed.signatures.len()).step_by(SIGNATURE_LENGTH) {
            let mut altered = signed.clone();
            altered.signatures[at + 5] ^= 1;

            let error = check(&altered, &unsigned, Extent::All, NOW).unwrap_err();
            assert!(matches!(error, CheckError::BadSignature { .. }), "{error}");
        }
    }

    #[test]
    fn a_wrong_key_fails_where_one_signature_is_verified() {
        let (unsigned, mut signed) = signed();
        let order = unsigned.structure().signing_order();
        let dnskey = order
            .iter()
            .position(|item| unsigned.rtype_of(*item) == Rtype::DNSKEY)
            .unwrap();
        // The signature of the second key.
        signed.signatures[(dnskey * 2 + 1) * SIGNATURE_LENGTH] ^= 1;

        let error = check(&signed, &unsigned, Extent::OneOfEachKey, NOW).unwrap_err();

        let key_tag = signed.keys[1].key_tag;
        let rrset = "b.example. DNSKEY".to_owned();
        assert_eq!(error, CheckError::BadSignature { rrset, key_tag });
    }

    #[test]
    fn signatures_of_another_version_fail() {
        let (_, signed) = signed();
        let (other, _) = self::signed();

        assert_eq!(
            check(&signed, &other, Extent::OneOfEachKey, NOW),
            Err(CheckError::OtherVersion { what: "content" })
        );
    }

    #[test]
    fn damaged_lists_and_missing_signatures_fail() {
        let (unsigned, whole) = signed();
        let mut damaged = whole.clone();
        damaged.signatures.truncate(1000);
        let mut bare = whole;
        bare.keys.clear();

        assert!(matches!(
            check(&damaged, &unsigned, Extent::All, NOW),
            Err(CheckError::Lists(_))
        ));
        assert_eq!(
            check(&bare, &unsigned, Extent::All, NOW),
            Err(CheckError::Unsigned)
        );
    }

    #[test]
    fn signatures_that_expired_or_are_yet_to_begin_fail() {
        let (unsigned, signed) = signed();
        let expiration = earliest_expiration(&signed, NOW).unwrap();
        let inception = NOW.saturating_sub(Duration::from_secs(3_600));
        let second = Duration::from_secs(1);
        let check = |now| check(&signed, &unsigned, Extent::OneOfEachKey, now).is_ok();

        assert!(check(expiration.saturating_sub(second)));
        assert!(!check(expiration));
        assert!(check(inception));
        assert!(!check(inception.saturating_sub(second)));
    }
}
