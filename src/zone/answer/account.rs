//! What became of a query: for who sends the reply, counts it, or limits how many there are.

use crate::wire::{CookieCheck, DropReason, Envelope, HEADER_LENGTH, Rcode, Rtype};

/// What became of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The reply is complete and to be sent.
    Reply(Answered),
    /// Nothing is to be sent.
    Drop(DropReason),
}

/// What a reply says, for counters and for rate limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// How it came out.
    pub rcode: Rcode,
    /// The type asked for; `None` when there was no readable question.
    pub qtype: Option<Rtype>,
    /// Whether the TC bit is set.
    pub truncated: bool,
    /// What kind of reply it is.
    pub class: ResponseClass,
    /// What replies of its kind are alike in.
    pub subject: Subject,
    /// What the query's cookie is worth, if it had one.
    pub cookie: Option<CookieCheck>,
}

/// The kinds of replies that a flood of queries can be after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResponseClass {
    /// Data.
    Positive,
    /// The name exists without the type.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// Data, or none, of a name that a wildcard stands for or a DNAME renames.
    Wildcard,
    /// Other servers.
    Referral,
    /// A code and nothing else.
    Error,
}

/// The octets of a query that replies of one kind are alike in: name and type for data, the name
/// where there is none, the zone's name where whoever asks can make up as many names as it likes,
/// nothing for errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The octets in front.
    start: u16,
    /// The octets up to its end.
    end: u16,
}

impl ResponseClass {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Positive,
        Self::NoData,
        Self::NxDomain,
        Self::Wildcard,
        Self::Referral,
        Self::Error,
    ];
}

impl Subject {
    /// Returns what a reply of `class` is about, the zone's name beginning at `apex_at`.
    pub(super) fn new(class: ResponseClass, envelope: &Envelope<'_>, apex_at: usize) -> Self {
        let question = HEADER_LENGTH + envelope.question_length();
        // Behind the name stand the type and the class, in two octets each.
        let (start, behind) = match class {
            ResponseClass::Positive => (HEADER_LENGTH, 2),
            ResponseClass::NoData => (HEADER_LENGTH, 4),
            ResponseClass::NxDomain | ResponseClass::Wildcard | ResponseClass::Referral => {
                (apex_at, 4)
            }
            ResponseClass::Error => return Self::default(),
        };
        Self {
            start: start as u16,
            end: (question - behind) as u16,
        }
    }

    /// Returns the octets in `query`, in the case that they were sent in.
    pub fn of<'q>(&self, query: &'q [u8]) -> &'q [u8] {
        query
            .get(self.start.into()..self.end.into())
            .unwrap_or_default()
    }
}
