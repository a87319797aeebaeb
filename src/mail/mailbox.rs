//! Mailboxes, as SOA and reports name them.

use std::fmt;
use std::str::FromStr;

use crate::wire::{Name, NameError};

/// A mailbox, as `user@domain`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mailbox {
    /// What stands before the `@`: a dot-atom (RFC 5321, section 4.1.2).
    local: String,
    /// What stands behind it.
    domain: Name,
}

/// A text that is no mailbox.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MailboxError {
    /// There is no `@`, or nothing on one of its sides.
    #[error("expected a mailbox like \"hostmaster@infra.example\", found {found:?}")]
    Malformed {
        /// The text that was found.
        found: String,
    },
    /// The part before the `@` is too long to be a label (RFC 1035, section 8).
    #[error("expected at most 63 characters before the @, found {length} in {found:?}")]
    TooLong {
        /// The text that was found.
        found: String,
        /// Its characters before the `@`.
        length: usize,
    },
    /// The part behind the `@` is no domain name.
    #[error(transparent)]
    Domain(#[from] NameError),
}

impl Mailbox {
    /// Returns the domain behind the `@`.
    pub fn domain(&self) -> &Name {
        &self.domain
    }

    /// Returns the mailbox as SOA and RP write it: the local part is the first label, its dots
    /// escaped (RFC 1035, section 8).
    ///
    /// # Errors
    ///
    /// When the whole would be longer than 255 octets.
    pub fn to_rname(&self) -> Result<Name, NameError> {
        self.domain.child(&self.local.replace('.', "\\."))
    }
}

/// Whether an octet may stand in a dot-atom (RFC 5322, section 3.2.3).
fn is_atom(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&octet)
}

impl FromStr for Mailbox {
    type Err = MailboxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || MailboxError::Malformed {
            found: text.to_owned(),
        };
        let (local, domain) = text.rsplit_once('@').ok_or_else(malformed)?;
        let dots = local.split('.').any(str::is_empty);
        if dots || domain.is_empty() || !local.bytes().all(is_atom) {
            return Err(malformed());
        }
        if local.len() > 63 {
            return Err(MailboxError::TooLong {
                found: text.to_owned(),
                length: local.len(),
            });
        }
        let domain = Name::parse(domain)?;
        if domain.is_root() || !domain.is_host_name() {
            return Err(NameError::NotHostName {
                name: domain.to_string(),
            }
            .into());
        }
        let mailbox = Self {
            // A name keeps no case, and hosts of today ignore it in mailboxes, too.
            local: local.to_ascii_lowercase(),
            domain,
        };
        mailbox.to_rname()?;
        Ok(mailbox)
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain.to_api_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc1035_8_dots_before_the_at_sign_are_escaped_in_a_soa() {
        let mailbox: Mailbox = "host.master@infra.example".parse().unwrap();

        let rname = mailbox.to_rname().unwrap();

        assert_eq!(rname.to_string(), "host\\.master.infra.example.");
        assert_eq!(mailbox.to_string(), "host.master@infra.example");
    }

    #[test]
    fn what_is_no_mailbox_is_refused() {
        for wrong in [
            "",
            "hostmaster",
            "@infra.example",
            "a@",
            "a b@infra.example",
            "a..b@c.example",
        ] {
            assert!(
                matches!(
                    wrong.parse::<Mailbox>(),
                    Err(MailboxError::Malformed { .. })
                ),
                "{wrong}"
            );
        }
        assert!("a@bücher.example".parse::<Mailbox>().is_err());
    }
}
