//! What of its pool's records a domain shows.

use serde::{Deserialize, Serialize};

/// What of its pool's records a domain shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Form {
    /// Whether it takes mail.
    pub mail: MailForm,
    /// Whether its own hosts, their TLSA and its DKIM names are there.
    pub hosts: HostsForm,
}

/// Whether a domain takes mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MailForm {
    /// Its MX are the pool's.
    Live,
    /// Its only MX is the null MX (RFC 7505), at the apex and at `*`.
    Null,
}

/// Whether a domain's own hosts, their TLSA and its DKIM names are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HostsForm {
    /// They are.
    Kept,
    /// They are gone.
    Gone,
}

/// Which MTA-STS policy a domain has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PolicyForm {
    /// The pool's own.
    Live,
    /// The pool's own, kept by senders for a day at most, so that it dies before the domain (S9).
    Draining,
    /// Mode `none`: senders act as if there were no policy (RFC 8461, section 8.3).
    None,
}

impl Form {
    /// Standby, active and draining domains.
    pub const LIVE: Self = Self {
        mail: MailForm::Live,
        hosts: HostsForm::Kept,
    };
    /// Retired domains whose hosts caches may lead to.
    pub const NULL: Self = Self {
        mail: MailForm::Null,
        hosts: HostsForm::Kept,
    };
    /// Retired domains that nothing leads to any more.
    pub const BARE: Self = Self {
        mail: MailForm::Null,
        hosts: HostsForm::Gone,
    };
}

impl Default for Form {
    /// The live one.
    fn default() -> Self {
        Self::LIVE
    }
}
