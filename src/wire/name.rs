//! Absolute names, in the one form in which they can be compared.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::RelativeName;

/// An absolute domain name: lower-case, uncompressed wire form with the root label at its end.
///
/// Its order is DNSSEC's canonical one (RFC 4034, section 6.1): label by label from the right.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Box<[u8]>);

/// A text or a sequence of octets that is not a domain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The text is empty.
    #[error("expected a domain name, found an empty text")]
    Empty,
    /// Two dots follow each other, or the name begins with one.
    #[error("{name:?} has an empty label: two dots follow each other, or one stands in front")]
    EmptyLabel {
        /// The name as it was found.
        name: String,
    },
    /// A label is longer than 63 octets (RFC 1035, section 2.3.4).
    #[error("{name:?} has a label of {length} octets, at most 63 are allowed")]
    LabelTooLong {
        /// The name as it was found.
        name: String,
        /// The label's octets.
        length: usize,
    },
    /// The name is longer than 255 octets (RFC 1035, section 2.3.4).
    #[error("{name:?} takes {length} octets on the wire, at most 255 are allowed")]
    TooLong {
        /// The name as it was found.
        name: String,
        /// The octets it would take.
        length: usize,
    },
    /// A backslash is followed by neither three digits up to 255 nor one other character.
    #[error("{name:?} has a bad escape: expected \\DDD up to \\255, or \\ and one character")]
    BadEscape {
        /// The name as it was found.
        name: String,
    },
    /// The name holds characters beyond ASCII: a U-label (RFC 5890, section 2.3.2.1).
    #[error("{name:?} has letters beyond ASCII, expected the A-label form{}", hint(.a_label))]
    NotAscii {
        /// The name as it was found.
        name: String,
        /// The same name with A-labels, where it has such a form.
        a_label: Option<String>,
    },
    /// A name of a host or a zone has an octet other than letters, digits and hyphens.
    #[error("{name:?} is no host name: expected labels of letters, digits and inner hyphens")]
    NotHostName {
        /// The name as it was found.
        name: String,
    },
    /// The octets are cut off, compressed or followed by others.
    #[error("expected an uncompressed name on the wire, found {found}")]
    Malformed {
        /// What was found instead.
        found: &'static str,
    },
}

/// Returns the words that offer the A-label form, if there is one.
fn hint(a_label: &Option<String>) -> String {
    a_label
        .as_ref()
        .map_or_else(String::new, |form| format!(" {form:?}"))
}

/// The longest name, root label included (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 255;
/// The longest label (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

impl Name {
    /// Returns the root.
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// Parses a name as written in a master file or an API document, with or without a final dot.
    ///
    /// `\DDD` and `\X` are read as RFC 1035, section 5.1 defines them.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the text; one with letters beyond ASCII is offered its A-label form.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text == "." {
            return Ok(Self::root());
        }
        let mut wire = parse_labels(text)?;
        wire.push(0);
        Ok(Self(wire.into_boxed_slice()))
    }

    /// Takes the uncompressed name at the start of `octets` and returns it with what follows it.
    ///
    /// # Errors
    ///
    /// A compressed, cut off or overlong name is refused.
    pub fn split_from(octets: &[u8]) -> Result<(Self, &[u8]), NameError> {
        let mut at = 0;
        loop {
            let length = *octets.get(at).ok_or(NameError::Malformed {
                found: "a cut off name",
            })?;
            if usize::from(length) > MAX_LABEL {
                return Err(NameError::Malformed {
                    found: "a compressed or unknown label",
                });
            }
            at += 1 + usize::from(length);
            if at > MAX_NAME {
                return Err(NameError::Malformed {
                    found: "a name of more than 255 octets",
                });
            }
            if length == 0 {
                break;
            }
        }
        let (name, rest) = octets.split_at(at);
        Ok((Self(name.to_ascii_lowercase().into_boxed_slice()), rest))
    }

    /// Reads a name that fills `octets` exactly.
    ///
    /// # Errors
    ///
    /// As [`Name::split_from`], and when octets are left over.
    pub fn from_wire(octets: &[u8]) -> Result<Self, NameError> {
        match Self::split_from(octets)? {
            (name, []) => Ok(name),
            _ => Err(NameError::Malformed {
                found: "octets after the name",
            }),
        }
    }

    /// Returns the wire form, root label included.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Returns the labels from the left, without the root.
    pub fn labels(&self) -> Labels<'_> {
        Labels {
            rest: &self.0[..self.0.len() - 1],
        }
    }

    /// Returns the number of labels, the root not counted.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// Returns whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Returns whether the left-most label is `*` (RFC 4592, section 2.1.1).
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// Returns the name without its left-most label; the root has none.
    pub fn parent(&self) -> Option<Self> {
        let first = usize::from(self.0[0]);
        (first > 0).then(|| Self(self.0[1 + first..].into()))
    }

    /// Returns whether this name is `other` or lies below it.
    pub fn is_at_or_below(&self, other: &Self) -> bool {
        self.labels_in_front_of(other).is_some()
    }

    /// Returns whether this name lies below `other`.
    pub fn is_below(&self, other: &Self) -> bool {
        self != other && self.is_at_or_below(other)
    }

    /// Returns the labels in front of `apex`, if this name is at or below it.
    pub fn relative_to(&self, apex: &Self) -> Option<RelativeName> {
        let labels = self.labels_in_front_of(apex)?;
        Some(RelativeName::from_checked(labels.into()))
    }

    /// Returns the octets of the labels in front of `apex`, if this name is at or below it.
    fn labels_in_front_of(&self, apex: &Self) -> Option<&[u8]> {
        let cut = self.0.len().checked_sub(apex.0.len())?;
        if self.0[cut..] != apex.0[..] {
            return None;
        }
        // The octets agree; they must also begin at a label.
        let mut at = 0;
        while at < cut {
            at += 1 + usize::from(self.0[at]);
        }
        (at == cut).then(|| &self.0[..cut])
    }

    /// Returns the name with `label` put in front.
    ///
    /// # Errors
    ///
    /// When the label or the name would be too long.
    pub fn child(&self, label: &str) -> Result<Self, NameError> {
        RelativeName::parse(label)?.under(self)
    }

    /// Joins checked labels and a name, if the whole is short enough.
    pub(super) fn join(labels: &[u8], suffix: &Self) -> Result<Self, NameError> {
        let wire = [labels, &suffix.0].concat();
        if wire.len() > MAX_NAME {
            let name = Self(wire.clone().into_boxed_slice()).to_string();
            return Err(NameError::TooLong {
                name,
                length: wire.len(),
            });
        }
        Ok(Self(wire.into_boxed_slice()))
    }

    /// Returns whether every label is made of letters, digits and inner hyphens (RFC 1123,
    /// section 2.1).
    pub fn is_host_name(&self) -> bool {
        self.labels().all(|label| {
            label
                .iter()
                .all(|octet| octet.is_ascii_alphanumeric() || *octet == b'-')
                && label.first() != Some(&b'-')
                && label.last() != Some(&b'-')
        })
    }

    /// Returns the text without its final dot, as the API writes names.
    pub fn to_api_text(&self) -> String {
        let mut text = self.to_string();
        if text.len() > 1 {
            text.pop();
        }
        text
    }
}

/// Reads labels in presentation form up to the end or a final dot.
pub(super) fn parse_labels(text: &str) -> Result<Vec<u8>, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if !text.is_ascii() {
        let a_label = hickory_proto::rr::Name::from_utf8(text)
            .ok()
            .map(|name| name.to_ascii());
        return Err(NameError::NotAscii {
            name: text.to_owned(),
            a_label,
        });
    }
    let mut wire = Vec::with_capacity(text.len() + 1);
    let mut label: Vec<u8> = Vec::with_capacity(MAX_LABEL);
    let mut octets = text.bytes();
    let bad_escape = || NameError::BadEscape {
        name: text.to_owned(),
    };
    let mut ended = false;
    while let Some(octet) = octets.next() {
        ended = false;
        match octet {
            b'.' => {
                push_label(&mut wire, &mut label, text)?;
                ended = true;
            }
            b'\\' => {
                let first = octets.next().ok_or_else(bad_escape)?;
                if !first.is_ascii_digit() {
                    label.push(first.to_ascii_lowercase());
                    continue;
                }
                let mut value = u32::from(first - b'0');
                for _ in 0..2 {
                    let digit = octets
                        .next()
                        .filter(u8::is_ascii_digit)
                        .ok_or_else(bad_escape)?;
                    value = value * 10 + u32::from(digit - b'0');
                }
                label.push(
                    u8::try_from(value)
                        .map_err(|_| bad_escape())?
                        .to_ascii_lowercase(),
                );
            }
            other => label.push(other.to_ascii_lowercase()),
        }
    }
    if !ended {
        push_label(&mut wire, &mut label, text)?;
    }
    // One octet more for the root label, which a relative name needs in the end, too.
    if wire.len() + 1 > MAX_NAME {
        return Err(NameError::TooLong {
            name: text.to_owned(),
            length: wire.len() + 1,
        });
    }
    Ok(wire)
}

/// Ends a label: appends it to `wire` with its length and empties it.
fn push_label(wire: &mut Vec<u8>, label: &mut Vec<u8>, text: &str) -> Result<(), NameError> {
    if label.is_empty() {
        return Err(NameError::EmptyLabel {
            name: text.to_owned(),
        });
    }
    if label.len() > MAX_LABEL {
        return Err(NameError::LabelTooLong {
            name: text.to_owned(),
            length: label.len(),
        });
    }
    wire.push(label.len() as u8);
    wire.append(label);
    Ok(())
}

/// Whether a name is written as absolute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FinalDot {
    /// A dot ends the name.
    With,
    /// The last label ends the name.
    Without,
}

/// Writes labels in presentation form.
pub(super) fn write_labels(
    labels: Labels<'_>,
    f: &mut fmt::Formatter<'_>,
    final_dot: FinalDot,
) -> fmt::Result {
    for (index, label) in labels.enumerate() {
        if index > 0 {
            f.write_str(".")?;
        }
        for &octet in label {
            match octet {
                // The characters that mean something in a master file (RFC 1035, section 5.1).
                b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                    write!(f, "\\{}", octet as char)?;
                }
                0x21..=0x7e => write!(f, "{}", octet as char)?,
                other => write!(f, "\\{other:03}")?,
            }
        }
    }
    if final_dot == FinalDot::With {
        f.write_str(".")?;
    }
    Ok(())
}

/// Compares two sequences of labels in canonical order (RFC 4034, section 6.1).
///
/// Labels are compared from the right; a name sorts before everything below it.
pub(super) fn canonical_cmp(left: Labels<'_>, right: Labels<'_>) -> Ordering {
    // Hardly a name has more than 16 labels, and sorted maps of names ask often: to clear as many
    // octets as the longest name needs would take longer than to compare. At most 127 labels fit
    // into 255 octets.
    canonical_cmp_within::<16>(left, right)
        .or_else(|| canonical_cmp_within::<128>(left, right))
        .expect("a name has at most 127 labels")
}

/// Compares two sequences of at most `N` labels; `None` when one has more.
fn canonical_cmp_within<const N: usize>(left: Labels<'_>, right: Labels<'_>) -> Option<Ordering> {
    let (mut left_starts, mut right_starts) = ([0_u8; N], [0_u8; N]);
    let left_count = label_starts(left.rest, &mut left_starts)?;
    let right_count = label_starts(right.rest, &mut right_starts)?;
    for back in 1..=left_count.min(right_count) {
        let left_label = label_at(left.rest, left_starts[left_count - back]);
        let right_label = label_at(right.rest, right_starts[right_count - back]);
        match left_label.cmp(right_label) {
            Ordering::Equal => {}
            unequal => return Some(unequal),
        }
    }
    Some(left_count.cmp(&right_count))
}

/// Notes where each label begins and returns how many there are; `None` when there is no room.
fn label_starts(labels: &[u8], starts: &mut [u8]) -> Option<usize> {
    let (mut at, mut count) = (0, 0);
    while at < labels.len() {
        *starts.get_mut(count)? = at as u8;
        count += 1;
        at += 1 + usize::from(labels[at]);
    }
    Some(count)
}

/// Returns the label whose length octet stands at `start`.
fn label_at(labels: &[u8], start: u8) -> &[u8] {
    let start = usize::from(start);
    &labels[start + 1..start + 1 + usize::from(labels[start])]
}

/// The labels of a name, from the left, without their length octets.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'n> {
    /// The labels not yet returned, in wire form, without the root.
    rest: &'n [u8],
}

impl<'n> Labels<'n> {
    /// Iterates over labels known to be well formed.
    pub(super) fn over(rest: &'n [u8]) -> Self {
        Self { rest }
    }
}

impl<'n> Iterator for Labels<'n> {
    type Item = &'n [u8];

    fn next(&mut self) -> Option<&'n [u8]> {
        let (&length, rest) = self.rest.split_first()?;
        let (label, rest) = rest.split_at(usize::from(length));
        self.rest = rest;
        Some(label)
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        canonical_cmp(self.labels(), other.labels())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Name {
    /// Writes the name with its final dot, escaped as a master file needs it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        write_labels(self.labels(), f, FinalDot::With)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Name {
    /// Text for people, wire octets for compact formats.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Name {
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

/// The name of a zone: the key under which a pool's domain and its zone data are found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Apex(Name);

impl Apex {
    /// Takes a name that can be a zone of ours: a host name, and not the root.
    ///
    /// # Errors
    ///
    /// When a label has other characters than letters, digits and inner hyphens.
    pub fn new(name: Name) -> Result<Self, NameError> {
        if name.is_root() || !name.is_host_name() {
            return Err(NameError::NotHostName {
                name: name.to_string(),
            });
        }
        Ok(Self(name))
    }

    /// Parses a zone's name, with or without a final dot.
    ///
    /// # Errors
    ///
    /// As [`Name::parse`] and [`Apex::new`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Self::new(Name::parse(text)?)
    }

    /// Parses a zone's name as users write it: U-labels stand for their A-labels (RFC 5890, section
    /// 2.3.2.1).
    ///
    /// # Errors
    ///
    /// As [`Apex::parse`], for what has no A-label form.
    pub fn parse_unicode(text: &str) -> Result<Self, NameError> {
        match Self::parse(text) {
            Err(NameError::NotAscii {
                a_label: Some(a_label),
                ..
            }) => Self::parse(&a_label),
            parsed => parsed,
        }
    }

    /// Returns the name.
    pub fn as_name(&self) -> &Name {
        &self.0
    }
}

impl Deref for Apex {
    type Target = Name;

    fn deref(&self) -> &Name {
        &self.0
    }
}

impl fmt::Display for Apex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Apex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn names_are_read_with_or_without_a_final_dot_in_lower_case() {
        assert_eq!(name("MX1.Burner.example"), name("mx1.burner.example."));
        assert_eq!(name("a\\.b.example").labels().next(), Some(&b"a.b"[..]));
        assert_eq!(name("\\065bc.example").to_string(), "abc.example.");
    }

    #[test]
    fn what_is_wrong_with_a_name_is_said() {
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name = ["a".repeat(63).as_str(); 4].join(".");

        assert_eq!(Name::parse(""), Err(NameError::Empty));
        assert!(matches!(
            Name::parse("a..b"),
            Err(NameError::EmptyLabel { .. })
        ));
        assert!(matches!(
            Name::parse(".a"),
            Err(NameError::EmptyLabel { .. })
        ));
        assert!(matches!(
            Name::parse(&long_label),
            Err(NameError::LabelTooLong { length: 64, .. })
        ));
        assert!(matches!(
            Name::parse(&long_name),
            Err(NameError::TooLong { length: 257, .. })
        ));
        assert!(matches!(
            Name::parse("a\\25"),
            Err(NameError::BadEscape { .. })
        ));
        assert!(matches!(
            Name::parse("a\\256"),
            Err(NameError::BadEscape { .. })
        ));
        let Err(NameError::NotAscii { a_label, .. }) = Name::parse("bücher.example") else {
            panic!("a U-label was taken");
        };
        assert_eq!(a_label.as_deref(), Some("xn--bcher-kva.example"));
    }

    #[test]
    fn rfc4034_6_1_order_is_that_of_the_example() {
        let sorted = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "Z.a.example.",
            "zABC.a.EXAMPLE.",
            "z.example.",
            "\\001.z.example.",
            "*.z.example.",
            "\\200.z.example.",
        ];
        let mut names: Vec<Name> = sorted.iter().rev().map(|text| name(text)).collect();

        names.sort();

        assert_eq!(names, sorted.map(name));
    }

    #[test]
    fn a_suffix_must_begin_at_a_label() {
        assert!(name("a.burner.example").is_below(&name("burner.example")));
        assert!(!name("xburner.example").is_at_or_below(&name("burner.example")));
        // The octets of "\003com" stand inside a label here.
        assert!(!name("x\\003com.").is_at_or_below(&name("com.")));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..8)) {
            let mut wire = Vec::new();
            for label in &labels {
                wire.push(label.len() as u8);
                wire.extend(label.to_ascii_lowercase());
            }
            wire.push(0);
            let name = Name::from_wire(&wire).unwrap();

            prop_assert_eq!(Name::parse(&name.to_string()), Ok(name.clone()));
        }

        #[test]
        fn arbitrary_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Name::from_wire(&octets);
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".{0,80}") {
            let _ = Name::parse(&text);
        }
    }
}
