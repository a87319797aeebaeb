//! Data as octets that were checked once.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::shape;
use crate::wire::{Name, Rtype};

/// The data of a record: uncompressed wire form, names inside it in lower case.
///
/// Its order is that of the octets, which is the canonical order of the records of an RRset
/// (RFC 4034, section 6.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rdata(#[serde(with = "serde_bytes")] Box<[u8]>);

/// Octets or a text that are no data of their type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RdataError {
    /// The octets do not have the fields of their type.
    #[error("expected the fields of a {rtype} record, found {found}")]
    Malformed {
        /// The record's type.
        rtype: Rtype,
        /// What was found instead.
        found: String,
    },
    /// The text is no data of its type.
    #[error("{wanted}, found {found} ({rtype} data: {layout})")]
    BadText {
        /// The record's type.
        rtype: Rtype,
        /// What was expected.
        wanted: String,
        /// What was found instead.
        found: String,
        /// The fields of the type.
        layout: &'static str,
    },
    /// The data is longer than a record can carry (RFC 1035, section 3.2.1).
    #[error("{rtype} data takes {length} octets, at most 65535 are allowed")]
    TooLong {
        /// The record's type.
        rtype: Rtype,
        /// The octets it takes.
        length: usize,
    },
}

impl Rdata {
    /// Takes uncompressed octets, checks their fields and lower-cases the names inside.
    ///
    /// Types that we do not know are opaque (RFC 3597, section 3) and taken as they are.
    ///
    /// # Errors
    ///
    /// Says which type was expected and what was found.
    pub fn from_wire(rtype: Rtype, octets: &[u8]) -> Result<Self, RdataError> {
        if octets.len() > usize::from(u16::MAX) {
            return Err(RdataError::TooLong {
                rtype,
                length: octets.len(),
            });
        }
        let mut wire: Box<[u8]> = octets.into();
        for range in shape::check(rtype, octets)? {
            // Length octets are below 64 and so no letters: the labels may be taken whole.
            wire[range].make_ascii_lowercase();
        }
        Ok(Self(wire))
    }

    /// Wraps octets that were made field by field.
    pub(super) fn from_checked(octets: Vec<u8>) -> Self {
        Self(octets.into_boxed_slice())
    }

    /// Returns the uncompressed wire form.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Returns where the names inside lie, in order, for the types that have any.
    pub fn name_ranges(&self, rtype: Rtype) -> Vec<Range<usize>> {
        shape::check(rtype, &self.0).unwrap_or_default()
    }

    /// Returns the names inside, in order.
    pub fn names(&self, rtype: Rtype) -> Vec<Name> {
        let ranges = self.name_ranges(rtype);
        ranges
            .into_iter()
            .filter_map(|range| Name::from_wire(&self.0[range]).ok())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_inside_data_are_lowered_and_found() {
        let mx = Rdata::from_wire(Rtype::MX, b"\x00\x0a\x03MX1\x05Infra\x00").unwrap();

        assert_eq!(mx.as_wire(), b"\x00\x0a\x03mx1\x05infra\x00");
        assert_eq!(mx.names(Rtype::MX), [Name::parse("mx1.infra").unwrap()]);
    }

    #[test]
    fn data_with_wrong_fields_is_refused() {
        for (rtype, octets) in [
            (Rtype::A, &b"\x01\x02\x03"[..]),
            (Rtype::AAAA, b"\x01"),
            (Rtype::MX, b"\x00\x0a"),
            (Rtype::MX, b"\x00\x0a\x03mx1\x00x"),
            (Rtype::TXT, b""),
            (Rtype::TXT, b"\x05abc"),
            (Rtype::SOA, b"\x00\x00\x00"),
            (Rtype::CNAME, b"\xc0\x0c"),
        ] {
            assert!(
                Rdata::from_wire(rtype, octets).is_err(),
                "{rtype} {octets:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(code in any::<u16>(), octets in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Rdata::from_wire(Rtype::new(code), &octets);
        }
    }
}
