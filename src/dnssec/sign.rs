//! From an unsigned zone and its keys to a signed one.

use crate::clock::Timestamp;
use crate::dnssec::{SigningKey, SigningPolicy, SigningPolicyError, message};
use crate::wire::KeyError;
use crate::zone::{
    SIGNATURE_LENGTH, SignedItem, SignedZone, SigningKeyTag, UnsignedZone, Validity, ZoneError,
};

use super::key::shown_keys;
use super::reuse::Reuse;

/// The last version of a zone, whose signatures may be kept where nothing has changed.
#[derive(Clone, Copy)]
pub struct Previous<'z> {
    /// Its signatures.
    pub signed: &'z SignedZone,
    /// What they were made over.
    pub unsigned: &'z UnsignedZone,
}

/// A zone that cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// There is nothing to sign with.
    #[error("expected at least one key to sign with, found none")]
    NoKeys,
    /// Validators give up on zones with many keys.
    #[error("expected at most {MAX_KEYS} DNSKEY records, found {found}")]
    TooManyKeys {
        /// How many there are.
        found: usize,
    },
    /// A key signs that the zone does not show.
    #[error("key {key_tag} signs, but is not among the DNSKEY records at the apex")]
    KeyNotShown {
        /// The key's tag.
        key_tag: u16,
    },
    /// A TTL does not go together with the signatures' times.
    #[error(transparent)]
    Policy(#[from] SigningPolicyError),
    /// The data has no place under the apex.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// A key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The most keys a zone shows: validators limit how many they try since collisions of tags were
/// used against them (CVE-2023-50387).
const MAX_KEYS: usize = 3;

/// Signs every authoritative RRset of a zone and its NSEC chain with each of `keys`.
///
/// The zone must show the keys (see [`key_rrsets`]). Of `previous`, an RRset with the same owner,
/// type, TTL and data keeps its signatures while more than the policy's refresh is left of them
/// and the keys are the same; the SOA's are always made when any other is. Without `previous` all
/// signatures have one validity.
///
/// # Errors
///
/// When the zone and the keys do not belong together, or a record could outlive its signature.
///
/// [`key_rrsets`]: crate::dnssec::key_rrsets
pub fn sign(
    zone: &UnsignedZone,
    keys: &[&SigningKey],
    policy: &SigningPolicy,
    now: Timestamp,
    previous: Option<Previous<'_>>,
) -> Result<SignedZone, SignError> {
    sign_and_tell(zone, keys, policy, now, previous, &mut || ())
}

/// Does what [`sign`] does, and calls `made` after each signature that is made: a zone takes half a
/// millisecond, and somebody else may need the core earlier.
///
/// # Errors
///
/// Those of [`sign`].
pub fn sign_and_tell(
    zone: &UnsignedZone,
    keys: &[&SigningKey],
    policy: &SigningPolicy,
    now: Timestamp,
    previous: Option<Previous<'_>>,
    made: &mut dyn FnMut(),
) -> Result<SignedZone, SignError> {
    check_keys(zone, keys)?;
    policy.check_zone(zone)?;
    let order = zone.structure().signing_order();
    let reuse =
        previous.and_then(|previous| Reuse::plan(previous, zone, &order, keys, policy, now));

    let mut signer = Signer::new(zone, keys, policy.validity(zone.apex(), now), order.len());
    for (index, item) in order.into_iter().enumerate() {
        match reuse.as_ref().and_then(|reuse| reuse.signatures(index)) {
            Some((validity, signatures)) => signer.keep(validity, signatures),
            None => signer.sign(item, made)?,
        }
    }
    Ok(signer.finish())
}

/// Checks that every key is shown at the apex, and not too many.
fn check_keys(zone: &UnsignedZone, keys: &[&SigningKey]) -> Result<(), SignError> {
    if keys.is_empty() {
        return Err(SignError::NoKeys);
    }
    let shown = shown_keys(zone)?;
    let found = shown.len().max(keys.len());
    if found > MAX_KEYS {
        return Err(SignError::TooManyKeys { found });
    }
    match keys.iter().find(|key| !shown.contains(key.dnskey())) {
        Some(key) => Err(SignError::KeyNotShown {
            key_tag: key.key_tag(),
        }),
        None => Ok(()),
    }
}

/// A signed zone in the making: signatures are appended in signing order.
struct Signer<'z> {
    /// The zone.
    zone: &'z UnsignedZone,
    /// The keys.
    keys: &'z [&'z SigningKey],
    /// The validity of new signatures.
    validity: Validity,
    /// What comes out.
    signed: SignedZone,
    /// What is signed next, kept for its memory.
    message: Vec<u8>,
}

impl<'z> Signer<'z> {
    /// Starts without a signature.
    fn new(
        zone: &'z UnsignedZone,
        keys: &'z [&'z SigningKey],
        validity: Validity,
        items: usize,
    ) -> Self {
        let tags: Vec<SigningKeyTag> = keys.iter().map(|key| key.tag()).collect();
        let signed = SignedZone {
            apex: zone.apex().clone(),
            template: zone.template().id(),
            own: zone.own().to_vec(),
            validities: Vec::with_capacity(1),
            validity_of: Vec::with_capacity(items),
            signatures: Vec::with_capacity(items * tags.len() * SIGNATURE_LENGTH),
            keys: tags,
        };
        Self {
            zone,
            keys,
            validity,
            signed,
            message: Vec::with_capacity(1024),
        }
    }

    /// Signs the next RRset with each key.
    fn sign(&mut self, item: SignedItem, made: &mut dyn FnMut()) -> Result<(), SignError> {
        let rrset = self.zone.rrset_to_sign(item)?;
        for key in self.keys {
            let apex = self.zone.apex();
            message::compose(&mut self.message, &rrset, key.tag(), self.validity, apex);
            let signature = key.sign(&self.message)?;
            self.signed.signatures.extend_from_slice(&signature);
            made();
        }
        self.note(self.validity);
        Ok(())
    }

    /// Takes over the signatures of the next RRset.
    fn keep(&mut self, validity: Validity, signatures: &[u8]) {
        self.signed.signatures.extend_from_slice(signatures);
        self.note(validity);
    }

    /// Notes the validity of the next RRset's signatures.
    fn note(&mut self, validity: Validity) {
        let validities = &mut self.signed.validities;
        let known = validities.iter().position(|other| *other == validity);
        let index = known.unwrap_or_else(|| {
            validities.push(validity);
            validities.len() - 1
        });
        // `Reuse::plan` keeps no more validities than an octet counts.
        self.signed.validity_of.push(index as u8);
    }

    /// Returns the signed zone.
    fn finish(self) -> SignedZone {
        self.signed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dnssec::fixture::{NOW, address, apex, key, rrset, zone};
    use crate::wire::{Algorithm, Rdata, Rtype, Ttl, independent};

    #[test]
    fn every_signature_verifies_by_the_fields_library() {
        let (first, second) = (key(Algorithm::EcdsaP256Sha256), key(Algorithm::Ed25519));
        for keys in [&[&first][..], &[&second], &[&first, &second]] {
            let unsigned = zone(keys, 1, vec![address("extra", 9)]);

            let signed = sign(&unsigned, keys, &SigningPolicy::default(), NOW, None).unwrap();

            let mut verified = 0;
            for full in signed.expand(unsigned.template()).unwrap() {
                let rrset = &full.rrset;
                for (rrsig, key) in full.rrsigs.iter().zip(keys) {
                    let parts = (rrset.owner(), rrset.rtype(), rrset.ttl(), rrset.rdatas());
                    assert!(
                        independent::verifies(parts, rrsig, &apex(), key.dnskey()),
                        "{} {}",
                        rrset.owner(),
                        rrset.rtype()
                    );
                    verified += 1;
                }
            }
            let items = unsigned.structure().signing_order().len();
            assert_eq!(verified, items * keys.len());
            assert_eq!(signed.validities.len(), 1);
        }
    }

    #[test]
    fn rfc4035_2_2_delegations_and_glue_are_not_signed_but_ds_is() {
        let key = key(Algorithm::Ed25519);
        let unsigned = zone(&[&key], 1, Vec::new());

        let signed = sign(&unsigned, &[&key], &SigningPolicy::default(), NOW, None).unwrap();

        let signed_at = |owner: &str| {
            let full = signed.expand(unsigned.template()).unwrap();
            let here = full
                .into_iter()
                .filter(|full| full.rrset.owner().to_string() == owner);
            here.map(|full| (full.rrset.rtype(), full.rrsigs.len()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            signed_at("below.b.example."),
            [(Rtype::NS, 0), (Rtype::DS, 1), (Rtype::NSEC, 1)]
        );
        assert_eq!(signed_at("ns.below.b.example."), [(Rtype::A, 0)]);
        assert_eq!(signed_at("_tcp.mx1.b.example."), []);
    }

    #[test]
    fn rfc4034_4_1_1_the_nsec_chain_is_one_ring_over_all_owners() {
        let key = key(Algorithm::Ed25519);
        let unsigned = zone(&[&key], 1, Vec::new());
        let signed = sign(&unsigned, &[&key], &SigningPolicy::default(), NOW, None).unwrap();

        let full = signed.expand(unsigned.template()).unwrap();
        let nsecs: Vec<_> = full
            .iter()
            .filter(|full| full.rrset.rtype() == Rtype::NSEC)
            .map(|full| &full.rrset)
            .collect();

        for (nsec, next) in nsecs.iter().zip(nsecs.iter().cycle().skip(1)) {
            let rdata = nsec.rdatas()[0].as_wire();
            assert!(
                rdata.starts_with(next.owner().as_wire()),
                "{}",
                nsec.owner()
            );
            assert_eq!(nsec.ttl().as_secs(), 900);
        }
        assert_eq!(nsecs.len(), 7);
    }

    #[test]
    fn signatures_last_a_lifetime_less_the_zones_jitter() {
        let key = key(Algorithm::Ed25519);
        let unsigned = zone(&[&key], 1, Vec::new());
        let policy = SigningPolicy::default();

        let signed = sign(&unsigned, &[&key], &policy, NOW, None).unwrap();

        assert_eq!(signed.validities, [policy.validity(&apex(), NOW)]);
    }

    #[test]
    fn each_signature_that_is_made_is_told_and_none_that_is_kept() {
        let key = key(Algorithm::Ed25519);
        let policy = SigningPolicy::default();
        let unsigned = zone(&[&key], 1, Vec::new());
        let mut told = 0;

        let keys = [&key];
        let signed =
            sign_and_tell(&unsigned, &keys, &policy, NOW, None, &mut || told += 1).unwrap();
        assert_eq!(told, signed.signatures.len() / SIGNATURE_LENGTH);

        let next = zone(&[&key], 2, Vec::new());
        let previous = Some(Previous {
            signed: &signed,
            unsigned: &unsigned,
        });
        told = 0;
        sign_and_tell(&next, &keys, &policy, NOW, previous, &mut || told += 1).unwrap();
        assert_eq!(told, 1, "the SOA's");
    }

    #[test]
    fn keys_that_the_zone_does_not_show_do_not_sign() {
        let keys: Vec<SigningKey> = (0..4).map(|_| key(Algorithm::Ed25519)).collect();
        let all: Vec<&SigningKey> = keys.iter().collect();
        let policy = SigningPolicy::default();
        let sign = |shown: &[&SigningKey], signing: &[&SigningKey]| {
            sign(&zone(shown, 1, Vec::new()), signing, &policy, NOW, None).map(|_| ())
        };

        assert_eq!(sign(&all[..1], &[]), Err(SignError::NoKeys));
        assert_eq!(
            sign(&all[..1], &all[1..2]),
            Err(SignError::KeyNotShown {
                key_tag: all[1].key_tag()
            })
        );
        assert_eq!(
            sign(&all, &all[..1]),
            Err(SignError::TooManyKeys { found: 4 })
        );
    }

    #[test]
    fn a_ttl_that_outlives_signatures_is_refused() {
        let key = key(Algorithm::Ed25519);
        let mut long = address("extra", 1);
        long.ttl = Ttl::from_secs(14 * 86_400 + 1);
        let unsigned = zone(&[&key], 1, vec![long]);

        let error = sign(&unsigned, &[&key], &SigningPolicy::default(), NOW, None).unwrap_err();

        assert!(matches!(error, SignError::Policy(_)), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_the_data_its_signature_verifies(
            code in 1_u16..1000,
            texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 1..6),
        ) {
            let rtype = Rtype::new(code);
            let rdatas: Vec<Rdata> = texts
                .iter()
                .filter_map(|octets| Rdata::from_wire(rtype, octets).ok())
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .collect();
            prop_assume!(!rdatas.is_empty() && !rtype.is_meta() && !rtype.is_made_by_signing());
            // Types whose data the other library reads and writes again in its own way.
            prop_assume!(code > 258);
            let key = key(Algorithm::Ed25519);
            let unsigned = zone(&[&key], 1, vec![rrset("some", rtype, &rdatas)]);

            let signed = sign(&unsigned, &[&key], &SigningPolicy::default(), NOW, None).unwrap();

            let full = signed.expand(unsigned.template()).unwrap();
            let some = full.iter().find(|full| full.rrset.rtype() == rtype).unwrap();
            let rrset = &some.rrset;
            let parts = (rrset.owner(), rrset.rtype(), rrset.ttl(), rrset.rdatas());
            prop_assert!(independent::verifies(parts, &some.rrsigs[0], &apex(), key.dnskey()));
        }
    }
}
