//! What others call a key by: its tag and its DS digest.

use ring::digest::{Context, SHA256};

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
