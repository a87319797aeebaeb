//! Names that are absolute or lie in each domain.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::wire::{Name, NameError, RelativeName};

/// A name as a pool writes it: absolute with a final dot, else relative to each of its domains.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The same name for every domain of the pool.
    Shared(Name),
    /// A name below each domain; `@` is the domain itself.
    InDomain(RelativeName),
}

/// A text that is no name for a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The text is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The text is an address.
    #[error(
        "expected the name of a host, found the address {found:?}: MX and NS records hold names \
         (RFC 1035, sections 3.3.9 and 3.3.11)"
    )]
    Address {
        /// The text that was found.
        found: String,
    },
    /// The name is a wildcard.
    #[error(
        "expected the name of one host, found the wildcard {found:?}: its TLSA would speak for any \
         host and port (RFC 7672, section 2.2.3), and mail servers cannot be wildcards"
    )]
    Wildcard {
        /// The text that was found.
        found: String,
    },
    /// The name is the root.
    #[error("expected the name of a host, found {found:?}: a null MX is published on retirement")]
    Root {
        /// The text that was found.
        found: String,
    },
}

impl Target {
    /// Parses the name of a host.
    ///
    /// # Errors
    ///
    /// When it is no host name: an address, a wildcard, the root, or labels of other characters
    /// than letters, digits and hyphens (RFC 1123, section 2.1).
    pub fn parse_host(text: &str) -> Result<Self, TargetError> {
        let found = || text.to_owned();
        let bare = text.trim_end_matches('.');
        let inner = bare.trim_start_matches('[').trim_end_matches(']');
        let inner = inner.strip_prefix("IPv6:").unwrap_or(inner);
        if inner.parse::<IpAddr>().is_ok() {
            return Err(TargetError::Address { found: found() });
        }
        let target: Self = text.parse()?;
        if target.is_wildcard() {
            return Err(TargetError::Wildcard { found: found() });
        }
        if matches!(&target, Self::Shared(name) if name.is_root()) {
            return Err(TargetError::Root { found: found() });
        }
        // Any apex shows whether the labels in front of it are those of a host name.
        let sample = target.under(&Name::root())?;
        if !sample.is_host_name() {
            return Err(NameError::NotHostName { name: found() }.into());
        }
        Ok(target)
    }

    /// Returns the full name for the domain `apex`.
    ///
    /// # Errors
    ///
    /// When it would be longer than 255 octets.
    pub fn under(&self, apex: &Name) -> Result<Name, NameError> {
        match self {
            Self::Shared(name) => Ok(name.clone()),
            Self::InDomain(labels) => labels.under(apex),
        }
    }

    /// Returns the name, if it is the same for every domain.
    pub fn as_shared(&self) -> Option<&Name> {
        match self {
            Self::Shared(name) => Some(name),
            Self::InDomain(_) => None,
        }
    }

    /// Returns the labels in front of the domain, if the name lies in each.
    pub fn as_in_domain(&self) -> Option<&RelativeName> {
        match self {
            Self::Shared(_) => None,
            Self::InDomain(labels) => Some(labels),
        }
    }

    /// Returns whether the left-most label is `*`.
    fn is_wildcard(&self) -> bool {
        match self {
            Self::Shared(name) => name.is_wildcard(),
            Self::InDomain(labels) => labels.is_wildcard(),
        }
    }
}

impl FromStr for Target {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // An escaped final dot belongs to the last label (RFC 1035, section 5.1).
        let escapes = text.trim_end_matches('.').len();
        let escapes = text[..escapes].len() - text[..escapes].trim_end_matches('\\').len();
        if text.ends_with('.') && escapes.is_multiple_of(2) {
            Name::parse(text).map(Self::Shared)
        } else {
            RelativeName::parse(text).map(Self::InDomain)
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared(name) => name.fmt(f),
            Self::InDomain(labels) => labels.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_final_dot_makes_a_name_the_same_for_every_domain() {
        let apex = Name::parse("burner.example").unwrap();
        let under = |text: &str| Target::parse_host(text).unwrap().under(&apex).unwrap();

        assert_eq!(
            under("mx1.infra.example.").to_string(),
            "mx1.infra.example."
        );
        assert_eq!(under("mx1").to_string(), "mx1.burner.example.");
        assert_eq!(under("@").to_string(), "burner.example.");
    }

    #[test]
    fn rfc5321_5_1_an_address_is_no_mail_host() {
        for address in [
            "192.0.2.25",
            "192.0.2.25.",
            "[192.0.2.25]",
            "2001:db8::25",
            "[IPv6:::1]",
        ] {
            assert!(
                matches!(
                    Target::parse_host(address),
                    Err(TargetError::Address { .. })
                ),
                "{address}"
            );
        }
    }

    #[test]
    fn what_is_no_host_name_is_refused() {
        assert!(matches!(
            Target::parse_host("*.infra.example."),
            Err(TargetError::Wildcard { .. })
        ));
        assert!(matches!(
            Target::parse_host("."),
            Err(TargetError::Root { .. })
        ));
        assert!(Target::parse_host("mx_1").is_err());
        let error = Target::parse_host("bücher.example.").unwrap_err();
        assert!(
            error.to_string().contains("xn--bcher-kva.example"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics_and_what_is_written_reads_back(text in "[a-zA-Z.\\\\*@0-9é-]{0,20}") {
            if let Ok(target) = text.parse::<Target>() {
                prop_assert_eq!(target.to_string().parse::<Target>(), Ok(target));
            }
        }
    }
}
