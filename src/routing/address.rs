//! Addresses and domains as Postfix asks for them.

use crate::wire::{Apex, Name};

/// The local parts that a domain answers for whatever becomes of its mail (L6; RFC 2142, section 5;
/// RFC 5321, section 4.5.1).
const OFFICES: [&str; 2] = ["postmaster", "abuse"];

/// A full address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address<'k> {
    /// What stands in front of the last `@`, as it was written.
    local: &'k str,
    /// What stands behind it.
    pub(super) domain: Name,
}

impl<'k> Address<'k> {
    /// Reads a key; a domain, a local part alone, or what has no domain name in it is no address.
    ///
    /// Postfix writes the local part with and without quotes; an `@` in it is in front of the one
    /// that counts in either case.
    pub(super) fn read(key: &'k str) -> Option<Self> {
        let (local, domain) = key.rsplit_once('@')?;
        if local.is_empty() {
            return None;
        }
        let domain = read_domain(domain)?;
        Some(Self { local, domain })
    }

    /// Returns whether this is postmaster or abuse, in any case, in quotes or not.
    pub(super) fn is_office(&self) -> bool {
        OFFICES
            .into_iter()
            .any(|office| is_same(self.local, office))
    }
}

/// Reads a domain's name; U-labels stand for their A-labels, as in an SMTPUTF8 session.
///
/// Nothing that begins with a dot, as Postfix writes parent domains, and no address literal.
pub(super) fn read_domain(text: &str) -> Option<Name> {
    // A name in text form may be four times as long as in wire form, but no mail address is that.
    if text.len() > 255 || text.contains('\\') {
        return None;
    }
    if text.is_ascii() {
        let name = Name::parse(text).ok()?;
        return (!name.is_root()).then_some(name);
    }
    let apex = Apex::parse_unicode(text).ok()?;
    Some(apex.as_name().clone())
}

/// Returns whether a local part says `word`: quotes and backslashes do not change what is said (RFC
/// 5321, section 4.1.2).
fn is_same(local: &str, word: &str) -> bool {
    let quoted = local
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let Some(quoted) = quoted else {
        return local.eq_ignore_ascii_case(word);
    };
    let mut word = word.bytes();
    let mut octets = quoted.bytes();
    while let Some(octet) = octets.next() {
        let octet = match octet {
            b'\\' => octets.next(),
            other => Some(other),
        };
        let is_next = octet
            .zip(word.next())
            .is_some_and(|(found, wanted)| found.eq_ignore_ascii_case(&wanted));
        if !is_next {
            return false;
        }
    }
    word.next().is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_full_address_is_one() {
        for (key, domain) in [
            ("bob@burner.example", "burner.example"),
            ("Bob@BURNER.example.", "burner.example"),
            ("a@b@burner.example", "burner.example"),
            ("\"a@b\"@burner.example", "burner.example"),
            ("\"a b\"@burner.example", "burner.example"),
            ("a b@burner.example", "burner.example"),
            ("\"@burner.example", "burner.example"),
            ("bob@bürner.example", "xn--brner-kva.example"),
        ] {
            let address = Address::read(key);
            let found = address.map(|address| address.domain);
            assert_eq!(found, Name::parse(domain).ok(), "{key}");
        }
        let long = format!("bob@{}.example", "a.".repeat(4_000));
        for key in [
            "",
            "@",
            "bob",
            "bob@",
            "@burner.example",
            "burner.example",
            ".burner.example",
            "bob@.burner.example",
            "bob@burner..example",
            "bob@.",
            "bob@burner\\.example",
            "\"bob@burner.example\"@",
            &long,
        ] {
            assert_eq!(Address::read(key), None, "{key}");
        }
        // Literals may read as names, but no pool has such a domain.
        for key in ["bob@[192.0.2.1]", "bob@[IPv6:2001:db8::1]"] {
            let address = Address::read(key);
            assert!(address.is_none_or(|address| Apex::new(address.domain).is_err()));
        }
    }

    #[test]
    fn l6_postmaster_and_abuse_are_known_in_every_spelling() {
        for (local, expected) in [
            ("postmaster", true),
            ("PostMaster", true),
            ("ABUSE", true),
            ("\"postmaster\"", true),
            ("\"post\\master\"", true),
            ("postmaster+x", false),
            ("\"postmaster", false),
            ("\"postmaster\\\"", false),
            ("\"postmaste\"", false),
            ("\"postmasters\"", false),
            ("\"", false),
            ("\"\"", false),
            ("postmaster@a", false),
            ("bob", false),
        ] {
            let key = format!("{local}@burner.example");
            let found = Address::read(&key).map(|address| address.is_office());
            assert_eq!(found, Some(expected), "{local}");
        }
    }

    proptest! {
        #[test]
        fn no_key_makes_it_panic(key in "[\"@\\\\.a-zé\\[\\]: ]{0,40}") {
            if let Some(address) = Address::read(&key) {
                let _ = address.is_office();
            }
        }
    }
}
