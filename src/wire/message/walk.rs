//! Names inside a message, compressed or not.

/// The octets of a header: no name lies in front of it.
const HEADER: usize = 12;
/// How many pointers a name may go through.
///
/// One is what writers make, some make two or three; a chain of more is an attempt to make reading
/// expensive.
const MAX_POINTERS: usize = 16;
/// The octets that a name can have (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 255;

/// Follows the name that begins at `start`, shows each label to `visit` and returns where the
/// octets behind the name begin.
///
/// Returns `None` for a name that is cut off, too long, or compressed in another way than by
/// pointers to earlier octets (RFC 1035, section 4.1.4): loops cannot be followed for ever. The
/// cost is bounded whatever the octets are.
pub(super) fn walk_name(
    message: &[u8],
    start: usize,
    mut visit: impl FnMut(&[u8]),
) -> Option<usize> {
    let mut at = start;
    let mut after = None;
    let mut earliest = start;
    let mut pointers = 0;
    let mut length = 1;
    loop {
        let first = *message.get(at)?;
        match first >> 6 {
            0 if first == 0 => return Some(after.unwrap_or(at + 1)),
            0 => {
                let end = at + 1 + usize::from(first);
                length += end - at;
                if length > MAX_NAME {
                    return None;
                }
                visit(message.get(at + 1..end)?);
                at = end;
            }
            3 => {
                let second = *message.get(at + 1)?;
                let target = usize::from(u16::from_be_bytes([first & 0x3f, second]));
                after.get_or_insert(at + 2);
                pointers += 1;
                // Each pointer leads in front of all that was read before: so they end.
                if target < HEADER || target >= earliest || pointers > MAX_POINTERS {
                    return None;
                }
                earliest = target;
                at = target;
            }
            // Extended labels were never deployed (RFC 6891, section 5).
            _ => return None,
        }
    }
}

/// Returns whether the name that begins at `start` is `name`, given in lower case without
/// compression.
pub(super) fn is_name_at(message: &[u8], start: usize, name: &[u8]) -> bool {
    let mut rest = Some(name);
    let end = walk_name(message, start, |label| {
        rest = rest.and_then(|rest| {
            let (length, after) = rest.split_first()?;
            let (own, after) = after.split_at_checked(usize::from(*length))?;
            own.eq_ignore_ascii_case(label).then_some(after)
        });
    });
    end.is_some() && rest == Some(&[0])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns `octets` behind a header.
    fn message(octets: &[u8]) -> Vec<u8> {
        [&[0; HEADER], octets].concat()
    }

    #[test]
    fn rfc1035_4_1_4_a_pointer_leads_to_an_earlier_name() {
        let octets = message(b"\x07example\x00\x03mx1\xc0\x0c!");
        let mut labels = Vec::new();

        let after = walk_name(&octets, 21, |label| labels.push(label.to_vec()));

        assert_eq!(after, Some(27));
        assert_eq!(labels, [b"mx1".to_vec(), b"example".to_vec()]);
        assert!(is_name_at(&octets, 21, b"\x03mx1\x07example\x00"));
        assert!(!is_name_at(&octets, 21, b"\x03mx1\x00"));
        assert!(!is_name_at(&octets, 21, b"\x03mx1\x07example\x01a\x00"));
    }

    #[test]
    fn loops_and_pointers_ahead_or_into_the_header_are_no_names() {
        for octets in [
            &b"\xc0\x0c"[..],
            b"\xc0\x0e\x00",
            b"\x01a\xc0\x0c",
            b"\xc0\x0b",
            b"\x40a",
            b"\x80a",
            b"\x05ab",
            b"\xc0",
            b"",
        ] {
            assert_eq!(walk_name(&message(octets), HEADER, |_| {}), None);
        }
        // Two names that point at each other.
        let circle = message(b"\xc0\x0e\xc0\x0c");
        assert_eq!(walk_name(&circle, HEADER + 2, |_| {}), None);
    }

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(
            octets in prop::collection::vec(any::<u8>(), 0..100),
            start in 0_usize..120,
        ) {
            let _ = walk_name(&octets, start, |_| {});
        }
    }
}
