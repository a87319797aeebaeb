use crate::clock::Timestamp;
use crate::dnssec::{SigningKey, SigningPolicy, SigningPolicyError, message};
use crate::wire::{KeyError, Rtype};
use crate::zone::{
    SIGNATURE_LENGTH, SignedItem, SignedZone, SigningKeyTag, UnsignedZone, Validity, ZoneError,
};

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
    check_keys(zone, keys)?;
    policy.check_zone(zone)?;
    let order = zone.structure().signing_order();
    let reuse =
        previous.and_then(|previous| Reuse::plan(previous, zone, &order, keys, policy, now));

    let mut signer = Signer::new(zone, keys, policy.validity(zone.apex(), now), order.len());
    for (index, item) in order.into_iter().enumerate() {
        match reuse.as_ref().and_then(|reuse| reuse.signatures(index)) {
            Some((validity, signatures)) => signer.keep(validity, signatures),
            None => signer.sign(item)?,
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

/// Returns the data of the DNSKEY records at a zone's apex.
pub(super) fn shown_keys(zone: &UnsignedZone) -> Result<Vec<crate::wire::Rdata>, ZoneError> {
    let apex = &zone.structure().nodes()[0];
    let dnskey = apex
        .rrsets
        .iter()
        .find(|(rtype, _)| *rtype == Rtype::DNSKEY);
    dnskey.map_or(Ok(Vec::new()), |(_, source)| {
        let rrset = zone.relative(*source).under(zone.apex())?;
        Ok(rrset.rdatas().to_vec())
    })
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
    fn sign(&mut self, item: SignedItem) -> Result<(), SignError> {
        let rrset = self.zone.rrset_to_sign(item)?;
        for key in self.keys {
            let apex = self.zone.apex();
            message::compose(&mut self.message, &rrset, key.tag(), self.validity, apex);
            let signature = key.sign(&self.message)?;
            self.signed.signatures.extend_from_slice(&signature);
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
