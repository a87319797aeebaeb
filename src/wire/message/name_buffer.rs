//! Names in memory of a fixed size.

use std::fmt;

/// The octets that a name can have (RFC 1035, section 2.3.4).
const CAPACITY: usize = 255;
/// The octets that a label can have (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

/// A name in memory of a fixed size: lower-case, uncompressed, with the place of every label.
///
/// What the data plane works with where a `Name` would be allocated. Label 0 is the left-most.
#[derive(Clone)]
pub struct NameBuffer {
    /// The wire form, root label included, up to `length`.
    octets: [u8; CAPACITY],
    /// Where each label begins; at most 127 fit into 255 octets.
    starts: [u8; 128],
    /// How many labels there are, the root not counted.
    labels: u8,
    /// How many octets are in use.
    length: u8,
}

impl NameBuffer {
    /// Returns the root.
    pub fn root() -> Self {
        Self {
            octets: [0; CAPACITY],
            starts: [0; 128],
            labels: 0,
            length: 1,
        }
    }

    /// Makes this the root again.
    pub fn clear(&mut self) {
        self.octets[0] = 0;
        self.labels = 0;
        self.length = 1;
    }

    /// Appends labels in wire form, with or without a root label at their end, on the right.
    ///
    /// Returns `None`, and is of no further use, if the name would be longer than 255 octets or
    /// the octets are no labels.
    pub fn push_labels(&mut self, wire: &[u8]) -> Option<()> {
        self.take_labels(wire).map(|_| ())
    }

    /// Appends labels in wire form, up to a root label or the end, on the right; returns how many
    /// octets they have, the root label not counted.
    ///
    /// Returns `None`, and is of no further use, if the name would be longer than 255 octets or
    /// the octets are no labels.
    pub(super) fn take_labels(&mut self, wire: &[u8]) -> Option<usize> {
        let begin = usize::from(self.length) - 1;
        let mut length = 0;
        while let Some(&label) = wire.get(length)
            && label != 0
        {
            let start = begin + length;
            length += 1 + usize::from(label);
            if usize::from(label) > MAX_LABEL || begin + length >= CAPACITY {
                return None;
            }
            self.starts[usize::from(self.labels)] = start as u8;
            self.labels += 1;
        }
        let end = begin + length;
        // All at once: no length octet is an upper-case letter.
        let labels = &mut self.octets[begin..end];
        labels.copy_from_slice(wire.get(..length)?);
        labels.make_ascii_lowercase();
        self.octets[end] = 0;
        self.length = end as u8 + 1;
        Some(length)
    }

    /// Returns the wire form, root label included.
    pub fn as_wire(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }

    /// Returns the number of labels, the root not counted.
    pub fn label_count(&self) -> usize {
        usize::from(self.labels)
    }

    /// Returns a label without its length octet.
    pub fn label(&self, index: usize) -> &[u8] {
        let start = self.start(index);
        let length = usize::from(self.octets[start]);
        &self.octets[start + 1..start + 1 + length]
    }

    /// Returns where a label begins; for the number of labels, where the root label lies.
    pub fn start(&self, index: usize) -> usize {
        if index < self.label_count() {
            usize::from(self.starts[index])
        } else {
            usize::from(self.length) - 1
        }
    }

    /// Returns the name without its first `labels` labels.
    pub fn suffix(&self, labels: usize) -> &[u8] {
        &self.as_wire()[self.start(labels)..]
    }

    /// Returns how many labels stand in front of `apex`, if the name is at or below it.
    pub fn labels_before(&self, apex: &[u8]) -> Option<usize> {
        let cut = self.as_wire().len().checked_sub(apex.len())?;
        // The octets must agree, and the suffix begin at a label.
        let begins = (0..=self.label_count()).find(|index| self.start(*index) >= cut)?;
        (self.start(begins) == cut && self.suffix(begins) == apex).then_some(begins)
    }
}

impl fmt::Debug for NameBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NameBuffer").field(&self.as_wire()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_from_both_ends() {
        let mut name = NameBuffer::root();
        name.push_labels(b"\x03MX1\x06Burner\x07example\x00")
            .unwrap();

        assert_eq!(name.as_wire(), b"\x03mx1\x06burner\x07example\x00");
        assert_eq!(name.label(1), b"burner");
        assert_eq!(name.suffix(2), b"\x07example\x00");
        assert_eq!(name.suffix(3), b"\x00");
        assert_eq!(name.labels_before(b"\x06burner\x07example\x00"), Some(1));
        assert_eq!(name.labels_before(b"\x00"), Some(3));
        assert_eq!(name.labels_before(b"\x06urner\x07example\x00"), None);
    }

    #[test]
    fn labels_end_at_a_root_label_or_with_the_octets() {
        let take = |wire: &[u8]| {
            let mut name = NameBuffer::root();
            let taken = name.take_labels(wire)?;
            Some((taken, name.as_wire().to_vec()))
        };

        let mx = b"\x02mx\x00".to_vec();
        assert_eq!(take(b"\x02MX\x00\x01a"), Some((3, mx.clone())));
        assert_eq!(take(b"\x02mx"), Some((3, mx)));
        assert_eq!(take(b""), Some((0, vec![0])));
        assert_eq!(take(b"\x02m"), None);
        assert_eq!(take(b"\x02"), None);
        // Compressed, and of a kind that there is none of.
        assert_eq!(take(b"\x02mx\xc0\x0c"), None);
        assert_eq!(take(&[&[64], &[b'a'; 64][..]].concat()), None);
        assert!(take(&[&[63], &[b'a'; 63][..]].concat()).is_some());
    }

    #[test]
    fn rfc1035_2_3_4_a_name_has_at_most_255_octets() {
        let mut name = NameBuffer::root();
        for _ in 0..127 {
            name.push_labels(b"\x01a").unwrap();
        }

        assert_eq!(name.as_wire().len(), 255);
        assert_eq!(name.push_labels(b"\x01a"), None);
    }
}
