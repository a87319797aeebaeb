//! The octets that a signature covers.

use crate::wire::Apex;
use crate::zone::{Rrset, SigningKeyTag, Validity, rrsig_head};

/// Puts into `message` what is signed of an RRset: RRSIG's data up to the signature, then each
/// record in canonical form and order (RFC 4034, section 3.1.8.1).
///
/// RRsets keep their data lower-case, uncompressed and sorted, so that nothing is converted or
/// compared here. The buffer is emptied first and grows to the largest RRset it sees.
pub(super) fn compose(
    message: &mut Vec<u8>,
    rrset: &Rrset,
    key: SigningKeyTag,
    validity: Validity,
    signer: &Apex,
) {
    message.clear();
    rrsig_head(message, rrset, key, validity, signer);
    for rdata in rrset.rdatas() {
        message.extend_from_slice(rrset.owner().as_wire());
        message.extend_from_slice(&rrset.rtype().code().to_be_bytes());
        message.extend_from_slice(&CLASS_IN.to_be_bytes());
        message.extend_from_slice(&rrset.ttl().as_secs().to_be_bytes());
        let octets = rdata.as_wire();
        // Data is at most 65 535 octets long: `Rdata` checked it.
        message.extend_from_slice(&(octets.len() as u16).to_be_bytes());
        message.extend_from_slice(octets);
    }
}

/// The class of everything that we serve.
const CLASS_IN: u16 = 1;
