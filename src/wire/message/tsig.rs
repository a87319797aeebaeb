//! Signed queries, none of whose keys we know.

use super::walk::walk_name;

/// The TSIG record of a query, as far as the answer repeats it.
///
/// We hold no TSIG keys yet, so every key is one that we do not know: the query is answered with
/// NOTAUTH and a TSIG record that says BADKEY and carries no MAC (RFC 8945, section 5.2.1). To
/// answer as if there were no TSIG would make the client believe that the answer was tampered
/// with.
#[derive(Clone, Debug)]
pub(super) struct Tsig<'m> {
    /// The query, in which the name of the key stands.
    message: &'m [u8],
    /// Where it begins; a copy of it would be carried along with every query that has none.
    key: usize,
    /// Its octets in full.
    key_length: usize,
    /// The algorithm's name and the time and fudge behind it, as they were sent.
    head: &'m [u8],
    /// The id of the message before it was forwarded.
    original_id: [u8; 2],
}

/// The error of an unknown key (RFC 8945, section 3).
const BADKEY: u16 = 17;

impl<'m> Tsig<'m> {
    /// Reads the data of a record whose owner begins at `key` in `message` (RFC 8945, section 4.2);
    /// `None` if it is malformed.
    pub(super) fn read(message: &'m [u8], key: usize, data: &'m [u8]) -> Option<Self> {
        let mut key_length = 1;
        walk_name(message, key, |label| key_length += 1 + label.len())?;
        let mut at = 0;
        while let length @ 1.. = usize::from(*data.get(at)?) {
            // The algorithm's name is not compressed.
            if length > 63 {
                return None;
            }
            at += 1 + length;
        }
        // Time (6 octets) and fudge (2) follow the name, then the MAC behind its length.
        let (head, rest) = data.split_at_checked(at + 1 + 8)?;
        let rest = after_counted(rest)?;
        let (original_id, rest) = rest.split_first_chunk::<2>()?;
        let rest = after_counted(rest.get(2..)?)?;
        (rest.is_empty() && at < 255).then_some(Self {
            message,
            key,
            key_length,
            head,
            original_id: *original_id,
        })
    }

    /// Returns the octets that [`Tsig::write`] takes.
    pub(super) fn length(&self) -> usize {
        self.key_length + 10 + self.head.len() + 8
    }

    /// Appends the record that says that the key is not known.
    pub(super) fn write(&self, octets: &mut Vec<u8>) {
        walk_name(self.message, self.key, |label| {
            octets.push(label.len() as u8);
            octets.extend(label.iter().map(u8::to_ascii_lowercase));
        });
        octets.push(0);
        // TSIG, class ANY, TTL 0 (RFC 8945, section 4.2).
        octets.extend_from_slice(&[0, 250, 0, 255, 0, 0, 0, 0]);
        octets.extend_from_slice(&(self.head.len() as u16 + 8).to_be_bytes());
        octets.extend_from_slice(self.head);
        octets.extend_from_slice(&[0, 0]);
        octets.extend_from_slice(&self.original_id);
        octets.extend_from_slice(&BADKEY.to_be_bytes());
        octets.extend_from_slice(&[0, 0]);
    }
}

/// Returns what follows a field that begins with its length in two octets.
fn after_counted(octets: &[u8]) -> Option<&[u8]> {
    let (length, rest) = octets.split_first_chunk::<2>()?;
    rest.get(usize::from(u16::from_be_bytes(*length))..)
}
