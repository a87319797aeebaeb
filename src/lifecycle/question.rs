//! What the outside is asked about a domain.

use std::net::IpAddr;

use crate::mail::TlsaRecord;
use crate::wire::{Apex, Name, Rdata, Serial};

use super::{DsSeen, NsSeen};

/// Something that the outside is asked about a domain; what it shows are [`Fact`](super::Fact)s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The domain.
    pub name: Apex,
    /// How much hangs on the answer.
    pub urgency: Urgency,
    /// What is asked, with all that the asker needs.
    pub about: About,
}

/// How much hangs on an answer, and so how often one may ask (K29).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Nothing waits: once a day, at one place.
    Standing,
    /// The domain's next step waits: every interval, everywhere.
    Waiting,
}

/// What the outside is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Whose NS and which DS do the parent's servers show, with which TTLs?
    Parent(ParentQuestion),
    /// Which serial do all listed servers serve?
    Published(PublishedQuestion),
    /// Do the world's resolvers see the MX, and are the mail hosts ready?
    Mail(MailQuestion),
    /// Do all policy hosts serve the policy?
    Policy(PolicyQuestion),
    /// How many queries for the MX do the listed servers count in a day?
    Queries {
        /// The name servers that are listed: all must count.
        name_servers: Vec<Name>,
    },
}

/// What is wanted of the parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentQuestion {
    /// Our name servers.
    pub name_servers: Vec<Name>,
    /// Our keys, as the data of their DNSKEY records.
    pub keys: Vec<Rdata>,
    /// Whose NS were seen last.
    pub known_ns: Option<NsSeen>,
    /// Which DS were seen last.
    pub known_ds: Option<DsSeen>,
}

/// What is wanted of the listed servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedQuestion {
    /// The name servers that are listed.
    pub name_servers: Vec<Name>,
    /// The serial that we serve.
    pub serial: Serial,
}

/// What is wanted of the mail hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailQuestion {
    /// The hosts that the MX names.
    pub hosts: Vec<MailHostQuestion>,
    /// Whether the world's mail is accepted: a deferral then holds somebody's message back (R2).
    pub accepts: bool,
}

/// What is wanted of a mail host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailHostQuestion {
    /// Its name.
    pub name: Name,
    /// Its addresses, where we know them; else the world's resolvers say.
    pub addresses: Vec<IpAddr>,
    /// One of these is its key.
    pub tlsa: Vec<TlsaRecord>,
    /// Whether a policy asks for a certificate of a public authority (RFC 8461, section 4.2).
    pub in_policy: bool,
}

/// What stands for the id of a policy that is none of ours, or of none at all, in a
/// [`Fact::Policy`](super::Fact::Policy): no id is empty (RFC 8461, section 3.1).
pub const OTHER_POLICY: &str = "";

/// What is wanted of the policy hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyQuestion {
    /// The id of the text.
    pub id: String,
    /// The text.
    pub text: String,
    /// The policy hosts' addresses.
    pub addresses: Vec<IpAddr>,
}

/// What questions are about, without what they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The parent's servers.
    Parent,
    /// The listed servers' serials.
    Published,
    /// The mail hosts.
    Mail,
    /// The policy hosts.
    Policy,
    /// The listed servers' counts.
    Queries,
}

impl About {
    /// Returns what the question is about.
    pub const fn subject(&self) -> Subject {
        match self {
            Self::Parent(_) => Subject::Parent,
            Self::Published(_) => Subject::Published,
            Self::Mail(_) => Subject::Mail,
            Self::Policy(_) => Subject::Policy,
            Self::Queries { .. } => Subject::Queries,
        }
    }
}

impl Subject {
    /// Every subject.
    pub const ALL: [Self; 5] = [
        Self::Parent,
        Self::Published,
        Self::Mail,
        Self::Policy,
        Self::Queries,
    ];
}
