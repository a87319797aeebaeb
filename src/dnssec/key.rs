//! The key of a zone, and the records that show it to resolvers and to the parent.

use std::fmt;

use zeroize::Zeroizing;

use crate::wire::{
    Algorithm, Apex, KeyError, KeyPair, Rdata, RelativeName, RelativeRdata, Rtype, Ttl, ds_digest,
    key_tag,
};
use crate::zone::{RelativeRrset, SigningKeyTag, UnsignedZone, ZoneError};

/// A key that signs a zone: everything in it, its own DNSKEY record included (a CSK).
///
/// Able to sign, so neither shown nor cloned.
pub struct SigningKey {
    /// The private and the public key.
    pair: KeyPair,
    /// The data of its DNSKEY record.
    dnskey: Rdata,
    /// What its signatures say of it.
    tag: SigningKeyTag,
}

/// What the parent must say of a key: a DS record with digest type 2 (RFC 4509).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ds {
    /// The key's tag.
    pub key_tag: u16,
    /// The algorithm's number.
    pub algorithm: u8,
    /// The SHA-256 digest over owner and DNSKEY data.
    pub digest: [u8; 32],
}

/// Zone key and secure entry point (RFC 4034, section 2.1.1; RFC 6781, section 3.2.3).
const CSK_FLAGS: u16 = 257;
/// SHA-256 in DS and CDS records; SHA-1 is forbidden and SHA-384 gains nothing here (RFC 8624,
/// section 3.3).
const DIGEST_SHA256: u8 = 2;

impl SigningKey {
    /// Makes a new key and returns it with its private key, to be sealed.
    ///
    /// No tag in `avoid` (those of all keys the zone has or had) is made again: validators limit
    /// their trials where tags collide.
    ///
    /// # Errors
    ///
    /// When the machine gives no random octets.
    pub fn generate(
        algorithm: Algorithm,
        avoid: &[u16],
    ) -> Result<(Self, Zeroizing<Vec<u8>>), KeyError> {
        loop {
            let (pair, secret) = KeyPair::generate(algorithm)?;
            let key = Self::new(pair);
            if !avoid.contains(&key.tag.key_tag) {
                return Ok((key, secret));
            }
        }
    }

    /// Takes a private key as [`SigningKey::generate`] returned it.
    ///
    /// # Errors
    ///
    /// When the octets are something else.
    pub fn from_secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        KeyPair::from_pkcs8(algorithm, secret).map(Self::new)
    }

    /// Makes the record of a key pair.
    fn new(pair: KeyPair) -> Self {
        let algorithm = pair.algorithm().number();
        let dnskey = Rdata::dnskey(CSK_FLAGS, algorithm, pair.public_key());
        let key_tag = key_tag(dnskey.as_wire());
        Self {
            pair,
            dnskey,
            tag: SigningKeyTag { algorithm, key_tag },
        }
    }

    /// Returns a signature over `message`.
    ///
    /// # Errors
    ///
    /// When the machine gives no random octets.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeyError> {
        self.pair.sign(message)
    }

    /// Returns the data of the key's DNSKEY record.
    pub fn dnskey(&self) -> &Rdata {
        &self.dnskey
    }

    /// Returns what the key's signatures say of it.
    pub fn tag(&self) -> SigningKeyTag {
        self.tag
    }

    /// Returns the key's tag.
    pub fn key_tag(&self) -> u16 {
        self.tag.key_tag
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.pair.algorithm()
    }

    /// Returns what the parent of `apex` must say of the key.
    pub fn ds(&self, apex: &Apex) -> Ds {
        Ds::of(apex, &self.dnskey)
    }
}

impl Ds {
    /// Digests DNSKEY data at its zone's name; no private key is needed.
    pub fn of(apex: &Apex, dnskey: &Rdata) -> Self {
        let octets = dnskey.as_wire();
        Self {
            key_tag: key_tag(octets),
            // The fourth octet (RFC 4034, section 2.1).
            algorithm: octets.get(3).copied().unwrap_or_default(),
            digest: ds_digest(apex, octets),
        }
    }

    /// Returns the data of the DS record, and of the CDS record that asks for it.
    pub fn rdata(&self) -> Rdata {
        Rdata::ds(self.key_tag, self.algorithm, DIGEST_SHA256, &self.digest)
    }
}

impl fmt::Display for Ds {
    /// Writes the record's data as a master file does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tag, algorithm) = (self.key_tag, self.algorithm);
        write!(f, "{tag} {algorithm} {DIGEST_SHA256} ")?;
        let mut digest = self.digest.iter();
        digest.try_for_each(|octet| write!(f, "{octet:02X}"))
    }
}

/// Returns the RRsets that show keys at their zone's apex: DNSKEY for validators, CDS and CDNSKEY
/// for the parent, who takes them as the whole wanted DS set (RFC 7344, sections 3 and 4).
///
/// None without keys: an empty set would be no record, and deletion is a record of its own
/// (RFC 8078, section 4).
pub fn key_rrsets(keys: &[&SigningKey], apex: &Apex, ttl: Ttl) -> Vec<RelativeRrset> {
    if keys.is_empty() {
        return Vec::new();
    }
    let rrset = |rtype, rdata: &dyn Fn(&SigningKey) -> Rdata| {
        let mut rdatas: Vec<Rdata> = keys.iter().map(|key| rdata(key)).collect();
        rdatas.sort_unstable();
        rdatas.dedup();
        RelativeRrset {
            owner: RelativeName::apex(),
            rtype,
            ttl,
            rdatas: rdatas.iter().map(RelativeRdata::fixed).collect(),
        }
    };
    vec![
        rrset(Rtype::DNSKEY, &|key| key.dnskey.clone()),
        rrset(Rtype::CDS, &|key| key.ds(apex).rdata()),
        rrset(Rtype::CDNSKEY, &|key| key.dnskey.clone()),
    ]
}

/// Returns the data of the DNSKEY records at a zone's apex.
pub(super) fn shown_keys(zone: &UnsignedZone) -> Result<Vec<Rdata>, ZoneError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_secret() {
        for algorithm in Algorithm::ALL {
            let (made, secret) = SigningKey::generate(algorithm, &[]).unwrap();

            let kept = SigningKey::from_secret(algorithm, &secret).unwrap();

            assert_eq!(kept.dnskey(), made.dnskey());
            assert_eq!(kept.tag(), made.tag());
            assert_eq!(kept.dnskey().as_wire()[..4], [1, 1, 3, algorithm.number()]);
        }
    }

    #[test]
    fn tags_in_use_are_not_made_again() {
        // With all tags but those of one high octet taken, 1 in 256 keys will do.
        let avoid: Vec<u16> = (0..=u16::MAX).filter(|tag| tag >> 8 != 0x5a).collect();

        let (key, _) = SigningKey::generate(Algorithm::Ed25519, &avoid).unwrap();

        assert_eq!(key.key_tag() >> 8, 0x5a);
    }

    #[test]
    fn rfc7344_4_cds_and_cdnskey_agree_with_dnskey_and_ds() {
        let apex = Apex::parse("b.example").unwrap();
        let (first, _) = SigningKey::generate(Algorithm::EcdsaP256Sha256, &[]).unwrap();
        let (second, _) = SigningKey::generate(Algorithm::Ed25519, &[first.key_tag()]).unwrap();

        let rrsets = key_rrsets(&[&first, &second], &apex, Ttl::from_secs(3600));

        let rdatas = |rtype| {
            let rrset = rrsets.iter().find(|rrset| rrset.rtype == rtype).unwrap();
            rrset.under(&apex).unwrap().rdatas().to_vec()
        };
        assert_eq!(rdatas(Rtype::DNSKEY), rdatas(Rtype::CDNSKEY));
        let mut wanted: Vec<Rdata> = rdatas(Rtype::DNSKEY)
            .iter()
            .map(|dnskey| Ds::of(&apex, dnskey).rdata())
            .collect();
        wanted.sort();
        assert_eq!(rdatas(Rtype::CDS), wanted);
        assert_eq!(wanted.len(), 2);
    }

    #[test]
    fn rfc6605_6_1_the_ds_is_shown_as_a_master_file_writes_it() {
        let ds = Ds {
            key_tag: 55_648,
            algorithm: 13,
            digest: [0xb4; 32],
        };

        let digest = "B4".repeat(32);
        assert_eq!(ds.to_string(), format!("55648 13 2 {digest}"));
    }
}
