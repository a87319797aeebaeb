//! Questions to other servers.

use super::reply::HEADER_LENGTH;
use crate::wire::edns::{self, OPT_LENGTH};
use crate::wire::{Name, Rtype};

/// A question of class IN to another server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ask {
    /// The name asked for.
    pub qname: Name,
    /// The type asked for.
    pub qtype: Rtype,
    /// Who is asked.
    pub of: Asked,
}

/// Who is asked a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// A server, for what it serves itself.
    Authority,
    /// A resolver, for what it has validated: it answers SERVFAIL where that fails.
    Resolver,
    /// A resolver, for what it finds, validated or not.
    ResolverUnchecked,
}

/// Recursion desired.
const RD: u16 = 0x0100;
/// Authentic data: the asker understands it (RFC 6840, section 5.7).
const AD: u16 = 0x0020;
/// Checking disabled.
const CD: u16 = 0x0010;

impl Ask {
    /// Composes the message, with an OPT record that asks for DNSSEC records.
    pub fn compose(&self, id: u16) -> Vec<u8> {
        let flags = match self.of {
            Asked::Authority => 0,
            Asked::Resolver => RD | AD,
            Asked::ResolverUnchecked => RD | CD,
        };
        let name = self.qname.as_wire();
        let mut octets = Vec::with_capacity(HEADER_LENGTH + name.len() + 4 + OPT_LENGTH);
        // One question, and one record behind it.
        for word in [id, flags, 1, 0, 0, 1] {
            octets.extend_from_slice(&word.to_be_bytes());
        }
        octets.extend_from_slice(name);
        octets.extend_from_slice(&self.qtype.code().to_be_bytes());
        octets.extend_from_slice(&[0, 1]);
        octets.extend_from_slice(&edns::ask());
        octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::decoded::Decoded;
    use crate::wire::{Received, Transport, receive};

    fn ask(of: Asked) -> Ask {
        Ask {
            qname: Name::parse("burner.example").unwrap(),
            qtype: Rtype::DS,
            of,
        }
    }

    #[test]
    fn the_fields_library_reads_what_is_asked() {
        for (of, flags) in [
            (Asked::Authority, ""),
            (Asked::Resolver, "RD AD"),
            (Asked::ResolverUnchecked, "RD CD"),
        ] {
            let decoded = Decoded::read(&ask(of).compose(0x1234));

            assert_eq!((decoded.id, decoded.flags.as_str()), (0x1234, flags));
            let name = Name::parse("burner.example").unwrap();
            assert_eq!(decoded.questions, [(name, Rtype::DS)]);
            assert_eq!(decoded.edns, Some((0, 1232, true)));
        }
    }

    #[test]
    fn our_own_server_answers_what_we_ask() {
        let octets = ask(Asked::Authority).compose(7);

        let received = receive(&octets, Transport::Udp);
        assert!(matches!(received, Received::Query(query) if query.qtype == Rtype::DS));
    }
}
