//! Netstrings: a length in decimal digits, a colon, that many octets, a comma.

/// The longest request: Postfix reads no line of more than 2 048 octets from a client, so no
/// address of its is longer.
pub(super) const MAX_REQUEST: usize = 4_096;

/// The digits of [`MAX_REQUEST`].
const MAX_DIGITS: usize = 4;

/// The most octets that one request takes, digits, colon and comma included.
pub(super) const MAX_FRAME: usize = MAX_DIGITS + 1 + MAX_REQUEST + 1;

/// What the octets received so far begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'o> {
    /// A whole request, and how many octets it took.
    Whole {
        /// What was between colon and comma.
        request: &'o [u8],
        /// The octets up to and with the comma.
        taken: usize,
    },
    /// The beginning of one.
    Cut,
    /// A request that is longer than any address.
    TooLong,
    /// Nothing of this protocol.
    Garbage,
}

/// Reads the first netstring of `octets`.
pub(super) fn first(octets: &[u8]) -> Frame<'_> {
    let digits = octets
        .iter()
        .take(MAX_DIGITS + 1)
        .take_while(|octet| octet.is_ascii_digit())
        .count();
    // A length has one way to be written, so a leading zero stands alone.
    if digits > 1 && octets[0] == b'0' {
        return Frame::Garbage;
    }
    if digits > MAX_DIGITS {
        return Frame::TooLong;
    }
    match octets.get(digits) {
        None => return Frame::Cut,
        Some(b':') if digits > 0 => {}
        Some(_) => return Frame::Garbage,
    }
    let length = octets[..digits]
        .iter()
        .fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    if length > MAX_REQUEST {
        return Frame::TooLong;
    }
    let end = digits + 1 + length;
    match octets.get(end) {
        None => Frame::Cut,
        Some(b',') => Frame::Whole {
            request: &octets[digits + 1..end],
            taken: end + 1,
        },
        Some(_) => Frame::Garbage,
    }
}

/// Appends a netstring of the octets in `parts`.
pub(super) fn append(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b':');
    for part in parts {
        out.extend_from_slice(part);
    }
    out.push(b',');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_is_whole_cut_too_long_or_garbage() {
        for (octets, request, taken) in [("3:a b,4:", "a b", 6), ("0:,", "", 3)] {
            let request = request.as_bytes();
            let expected = Frame::Whole { request, taken };
            assert_eq!(first(octets.as_bytes()), expected, "{octets}");
        }
        for cut in ["", "4", "4096", "4:", "4:abcd", "4096:abc"] {
            assert_eq!(first(cut.as_bytes()), Frame::Cut, "{cut}");
        }
        for long in ["4097:", "10000", "99999999999999999999999999:a"] {
            assert_eq!(first(long.as_bytes()), Frame::TooLong, "{long}");
        }
        for garbage in [
            ":",
            ",",
            "GET / HTTP/1.1",
            "-1:",
            "00:,",
            "01:a,",
            "1:ab",
            " 1:a,",
            "1a:",
            "\u{0}",
        ] {
            assert_eq!(first(garbage.as_bytes()), Frame::Garbage, "{garbage:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_and_any_part_of_it_is_cut(
            request in proptest::collection::vec(any::<u8>(), 0..MAX_REQUEST + 1),
            behind in proptest::collection::vec(any::<u8>(), 0..9),
        ) {
            let mut octets = Vec::new();
            let (left, right) = request.split_at(request.len() / 2);
            append(&mut octets, &[left, right]);
            let taken = octets.len();
            prop_assert!(taken <= MAX_FRAME);
            for cut in [0, 1, taken / 2, taken - 1] {
                prop_assert_eq!(first(&octets[..cut]), Frame::Cut);
            }
            octets.extend(behind);
            prop_assert_eq!(first(&octets), Frame::Whole { request: &request, taken });
        }

        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = first(&octets);
        }
    }
}
