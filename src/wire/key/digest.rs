//! What others call a key by: its tag and its DS digest.

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384};

use crate::wire::Name;

/// Returns the tag of a key (RFC 4034, appendix B).
///
/// `dnskey_rdata` is the whole data of its DNSKEY record. Tags collide: they are a hint for
/// validators, never an identity.
pub fn key_tag(dnskey_rdata: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for (at, octet) in dnskey_rdata.iter().enumerate() {
        // At most 65 535 octets of 8 bits in the upper half: no overflow before 2^32.
        sum += u32::from(*octet) << if at % 2 == 0 { 8 } else { 0 };
    }
    (sum + (sum >> 16)) as u16
}

/// Returns the SHA-256 digest that a DS record of the key carries: digest type 2 (RFC 4034,
/// section 5.1.4; RFC 4509, section 2.1).
pub fn ds_digest(owner: &Name, dnskey_rdata: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(owner.as_wire());
    context.update(dnskey_rdata);
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// Returns whether DS data is that of a key, given as the data of its DNSKEY record.
///
/// A digest of a kind that we do not know is taken for the key's when tag and algorithm are: no
/// validator that does not know the kind either minds it (RFC 4509, section 3).
pub fn ds_is_of(owner: &Name, dnskey_rdata: &[u8], ds_rdata: &[u8]) -> bool {
    let ([_, _, _, key_algorithm, ..], [high, low, algorithm, kind, digest @ ..]) =
        (dnskey_rdata, ds_rdata)
    else {
        return false;
    };
    if u16::from_be_bytes([*high, *low]) != key_tag(dnskey_rdata) || algorithm != key_algorithm {
        return false;
    }
    // The IANA registry "Digest Algorithms" of DS records.
    let kind = match kind {
        1 => &SHA1_FOR_LEGACY_USE_ONLY,
        2 => &SHA256,
        4 => &SHA384,
        _ => return true,
    };
    let mut context = Context::new(kind);
    context.update(owner.as_wire());
    context.update(dnskey_rdata);
    context.finish().as_ref() == digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::key::pair::tests::{RFC6605_6_1, RFC8080_6_1, hex};

    #[test]
    fn rfc4034_b_tags_of_the_rfcs_examples() {
        assert_eq!(key_tag(&RFC6605_6_1.dnskey()), 55_648);
        assert_eq!(key_tag(&RFC8080_6_1.dnskey()), 3_613);
    }

    #[test]
    fn rfc4509_2_1_digests_of_the_rfcs_examples() {
        for (vector, digest) in [
            (
                &RFC6605_6_1,
                "b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17",
            ),
            (
                &RFC8080_6_1,
                "3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b",
            ),
        ] {
            let owner = Name::parse(vector.zone).unwrap();

            assert_eq!(ds_digest(&owner, &vector.dnskey()).to_vec(), hex(digest));
        }
    }

    #[test]
    fn a_ds_of_another_key_owner_or_digest_is_told_apart() {
        let key = RFC6605_6_1.dnskey();
        let owner = Name::parse(RFC6605_6_1.zone).unwrap();
        let tag = key_tag(&key).to_be_bytes();
        let ds = |kind, digest: &[u8]| [&[tag[0], tag[1], key[3], kind], digest].concat();
        let sha256 = ds(2, &ds_digest(&owner, &key));

        assert!(ds_is_of(&owner, &key, &sha256));
        assert!(ds_is_of(&owner, &key, &ds(200, b"unknown kind")));
        assert!(!ds_is_of(&owner, &RFC8080_6_1.dnskey(), &sha256));
        assert!(!ds_is_of(&Name::root(), &key, &sha256));
        assert!(!ds_is_of(&owner, &key, &ds(2, &[0; 32])));
        assert!(!ds_is_of(&owner, &key, b"\x00"));
        assert!(!ds_is_of(&owner, b"", &sha256));
    }

    /// RFC 6605, section 6.2 has the same key's tag under SHA-384.
    #[test]
    fn a_ds_by_sha_384_is_known() {
        let key = RFC6605_6_1.dnskey();
        let owner = Name::parse(RFC6605_6_1.zone).unwrap();
        let tag = key_tag(&key).to_be_bytes();
        let digest = ring::digest::digest(&SHA384, &[owner.as_wire(), &key].concat());
        let ds = [&[tag[0], tag[1], key[3], 4], digest.as_ref()].concat();

        assert!(ds_is_of(&owner, &key, &ds));
    }

    proptest::proptest! {
        #[test]
        fn tags_are_those_of_the_fields_library(
            key in proptest::collection::vec(proptest::num::u8::ANY, 0..400),
        ) {
            use hickory_proto::dnssec::rdata::DNSKEY;

            let rdata = [&[1, 1, 3, 13], key.as_slice()].concat();
            let theirs = DNSKEY::calculate_key_tag_internal(&rdata);

            proptest::prop_assert_eq!(key_tag(&rdata), theirs);
        }
    }
}
