//! Names and data of a zone whose apex is filled in later.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::name::{FinalDot, Labels, canonical_cmp, parse_labels, write_labels};
use super::{Name, NameError, Rdata, Rtype, Serial};

/// The labels of a name in front of an apex; none at the apex itself.
///
/// Ordered canonically: below one apex this is the order of the full names.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct RelativeName(Box<[u8]>);

impl RelativeName {
    /// Returns the apex: no label.
    pub fn apex() -> Self {
        Self::default()
    }

    /// Parses labels as written relative to an apex; `@` is the apex.
    ///
    /// # Errors
    ///
    /// As [`Name::parse`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text == "@" {
            return Ok(Self::apex());
        }
        Ok(Self(parse_labels(text)?.into_boxed_slice()))
    }

    /// Takes labels in wire form, without a root label.
    ///
    /// # Errors
    ///
    /// When the octets are no sequence of labels.
    pub fn from_wire(octets: &[u8]) -> Result<Self, NameError> {
        let name = Name::from_wire(&[octets, &[0]].concat())?;
        let wire = name.as_wire();
        Ok(Self(wire[..wire.len() - 1].into()))
    }

    /// Wraps labels known to be well formed.
    pub(super) fn from_checked(labels: Box<[u8]>) -> Self {
        Self(labels)
    }

    /// Returns the labels in wire form, without a root label.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Returns whether this is the apex itself.
    pub fn is_apex(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether the left-most label is `*`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// Returns the labels from the left.
    pub fn labels(&self) -> Labels<'_> {
        Labels::over(&self.0)
    }

    /// Returns the number of labels.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// Returns the name without its left-most label; the apex has none.
    pub fn parent(&self) -> Option<Self> {
        let first = usize::from(*self.0.first()?);
        Some(Self(self.0[1 + first..].into()))
    }

    /// Returns whether this name lies below `other`.
    pub fn is_below(&self, other: &Self) -> bool {
        let mut name = self.parent();
        while let Some(ancestor) = name {
            if ancestor == *other {
                return true;
            }
            name = ancestor.parent();
        }
        false
    }

    /// Returns the full name under `apex`.
    ///
    /// # Errors
    ///
    /// When it would be longer than 255 octets.
    pub fn under(&self, apex: &Name) -> Result<Name, NameError> {
        Name::join(&self.0, apex)
    }
}

impl Ord for RelativeName {
    fn cmp(&self, other: &Self) -> Ordering {
        canonical_cmp(self.labels(), other.labels())
    }
}

impl PartialOrd for RelativeName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for RelativeName {
    /// Writes the labels without a final dot; the apex is `@`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_apex() {
            return f.write_str("@");
        }
        write_labels(self.labels(), f, FinalDot::Without)
    }
}

impl fmt::Debug for RelativeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for RelativeName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for RelativeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            Self::parse(&text).map_err(serde::de::Error::custom)
        } else {
            let octets = serde_bytes::ByteBuf::deserialize(deserializer)?;
            Self::from_wire(&octets).map_err(serde::de::Error::custom)
        }
    }
}

/// RDATA with holes where the apex goes: what many zones of one shape share.
///
/// `10 mx1.<apex>` is the octets `000a 03 'mx1'` and one hole at their end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RelativeRdata {
    /// The octets between the holes.
    #[serde(with = "serde_bytes")]
    octets: Vec<u8>,
    /// Where in `octets` the apex is put in, ascending.
    holes: Vec<u16>,
}

impl RelativeRdata {
    /// Takes RDATA that does not depend on the apex.
    pub fn fixed(rdata: &Rdata) -> Self {
        Self {
            octets: rdata.as_wire().to_vec(),
            holes: Vec::new(),
        }
    }

    /// Cuts `apex` out of every name inside `rdata` that is at or below it.
    ///
    /// Types without names known to us are taken as they are.
    pub fn relative_to(rtype: Rtype, rdata: &Rdata, apex: &Name) -> Self {
        let wire = rdata.as_wire();
        let mut relative = Self {
            octets: Vec::with_capacity(wire.len()),
            holes: Vec::new(),
        };
        let mut copied = 0;
        for range in rdata.name_ranges(rtype) {
            let Ok(name) = Name::from_wire(&wire[range.clone()]) else {
                continue;
            };
            let Some(labels) = name.relative_to(apex) else {
                continue;
            };
            relative
                .octets
                .extend_from_slice(&wire[copied..range.start]);
            relative.octets.extend_from_slice(labels.as_wire());
            relative.holes.push(relative.octets.len() as u16);
            copied = range.end;
        }
        relative.octets.extend_from_slice(&wire[copied..]);
        relative
    }

    /// Returns the RDATA of the zone `apex`.
    ///
    /// # Errors
    ///
    /// When a name in it would be longer than 255 octets.
    pub fn under(&self, rtype: Rtype, apex: &Name) -> Result<Rdata, super::RdataError> {
        let mut wire =
            Vec::with_capacity(self.octets.len() + self.holes.len() * apex.as_wire().len());
        for (at, segment) in self.segments() {
            wire.extend_from_slice(segment);
            if at == SegmentEnd::Apex {
                wire.extend_from_slice(apex.as_wire());
            }
        }
        Rdata::from_wire(rtype, &wire)
    }

    /// Returns the octets cut at the holes, each with what follows it.
    pub fn segments(&self) -> impl Iterator<Item = (SegmentEnd, &[u8])> {
        let mut start = 0;
        let holes = self
            .holes
            .iter()
            .map(|hole| (SegmentEnd::Apex, usize::from(*hole)));
        holes
            .chain([(SegmentEnd::Rdata, self.octets.len())])
            .map(move |(end, at)| {
                let segment = &self.octets[start..at];
                start = at;
                (end, segment)
            })
    }

    /// Returns SOA data with another serial; data that is too short for a SOA as it is.
    #[must_use]
    pub fn with_soa_serial(&self, serial: Serial) -> Self {
        let mut soa = self.clone();
        // The serial is the first of five numbers behind the names (RFC 1035, section 3.3.13), and
        // holes end names.
        if let Some(at) = soa.octets.len().checked_sub(20) {
            soa.octets[at..at + 4].copy_from_slice(&serial.number().to_be_bytes());
        }
        soa
    }

    /// Returns whether the RDATA depends on the apex.
    pub fn has_holes(&self) -> bool {
        !self.holes.is_empty()
    }
}

/// What follows a segment of [`RelativeRdata`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentEnd {
    /// The zone's apex, as an uncompressed name.
    Apex,
    /// Nothing: the RDATA is complete.
    Rdata,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mx_below_the_apex_is_kept_relative_and_comes_back() {
        let apex = Name::parse("burner.example").unwrap();
        let other = Name::parse("b.example").unwrap();
        let host = Name::parse("mx1.burner.example").unwrap();
        let mx = Rdata::mx(10, &host);

        let relative = RelativeRdata::relative_to(Rtype::MX, &mx, &apex);

        assert!(relative.has_holes());
        assert_eq!(relative.under(Rtype::MX, &apex), Ok(mx));
        let moved = Rdata::mx(10, &Name::parse("mx1.b.example").unwrap());
        assert_eq!(relative.under(Rtype::MX, &other), Ok(moved));
    }

    #[test]
    fn a_name_elsewhere_leaves_no_hole() {
        let apex = Name::parse("burner.example").unwrap();
        let mx = Rdata::mx(10, &Name::parse("mx1.infra.example").unwrap());

        let relative = RelativeRdata::relative_to(Rtype::MX, &mx, &apex);

        assert_eq!(relative, RelativeRdata::fixed(&mx));
    }
}
