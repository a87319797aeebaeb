//! Where reports are sent to.

use std::fmt;
use std::str::FromStr;

use super::mailbox::{Mailbox, MailboxError};
use crate::wire::Name;

/// The addresses that reports are sent to: `mailto:` and `https:` URIs, separated by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportUris(Vec<ReportUri>);

/// One address that reports are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ReportUri {
    /// By mail.
    Mail(Mailbox),
    /// By a POST (RFC 8460, section 3): the whole URI.
    Https(String),
}

/// A text that is no address for reports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportUriError {
    /// The scheme is another one, or none.
    #[error(
        "expected mailto:user@domain or https://… (several with commas between), found {found:?}"
    )]
    Scheme {
        /// The URI that was found.
        found: String,
    },
    /// A character must be percent-encoded (RFC 8460, section 3).
    #[error(
        "{found:?} holds {character:?}, which must be percent-encoded in a report URI (RFC 8460, \
         section 3)"
    )]
    Character {
        /// The URI that was found.
        found: String,
        /// The character.
        character: char,
    },
    /// The mailbox is none.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
}

impl ReportUris {
    /// Returns the domains of the mailboxes, each once.
    pub fn mail_domains(&self) -> Vec<&Name> {
        let mut domains: Vec<&Name> = Vec::new();
        for uri in &self.0 {
            if let ReportUri::Mail(mailbox) = uri
                && !domains.contains(&mailbox.domain())
            {
                domains.push(mailbox.domain());
            }
        }
        domains
    }

    /// Returns whether a report goes anywhere by HTTPS, which DMARC does not know.
    pub fn has_https(&self) -> bool {
        self.0.iter().any(|uri| matches!(uri, ReportUri::Https(_)))
    }
}

impl FromStr for ReportUri {
    type Err = ReportUriError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = || text.to_owned();
        if let Some(mailbox) = text.strip_prefix("mailto:") {
            // The characters that end a URI or a tag in the records must not reach them bare.
            if let Some(character) = mailbox.chars().find(|c| "!;".contains(*c)) {
                return Err(ReportUriError::Character {
                    found: found(),
                    character,
                });
            }
            return Ok(Self::Mail(mailbox.parse()?));
        }
        let rest = text
            .strip_prefix("https://")
            .filter(|rest| !rest.is_empty());
        if rest.is_none() {
            return Err(ReportUriError::Scheme { found: found() });
        }
        let bad = |c: &char| "!;\"\\".contains(*c) || !c.is_ascii_graphic();
        if let Some(character) = text.chars().find(bad) {
            return Err(ReportUriError::Character {
                found: found(),
                character,
            });
        }
        Ok(Self::Https(found()))
    }
}

impl FromStr for ReportUris {
    type Err = ReportUriError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uris = text.split(',').map(|uri| uri.trim().parse());
        uris.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for ReportUris {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, uri) in self.0.iter().enumerate() {
            let separator = if index > 0 { "," } else { "" };
            match uri {
                ReportUri::Mail(mailbox) => write!(f, "{separator}mailto:{mailbox}")?,
                ReportUri::Https(uri) => write!(f, "{separator}{uri}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8460_3_several_addresses_are_separated_by_commas() {
        let text = "mailto:tlsrpt@infra.example, https://reports.example/v1";

        let uris: ReportUris = text.parse().unwrap();

        assert_eq!(uris.to_string(), text.replace(", ", ","));
        assert_eq!(
            uris.mail_domains(),
            [&Name::parse("infra.example").unwrap()]
        );
    }

    #[test]
    fn what_is_no_report_address_is_refused() {
        for wrong in [
            "",
            "tlsrpt@infra.example",
            "http://reports.example",
            "https://",
            "mailto:a@",
            "mailto:a@b.example!10m",
            "https://a.example/;x",
            "mailto:a@b.example,",
        ] {
            assert!(wrong.parse::<ReportUris>().is_err(), "{wrong}");
        }
    }
}
