//! What a step is about: what it reserves, what the audit log shows before and after it.

use std::borrow::Cow;

use super::Op;
use crate::clock::Timestamp;
use crate::wire::Apex;

/// What a step is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject<'o> {
    /// A pool.
    Pool(&'o str),
    /// One of the operator's zones.
    Zone(Cow<'o, Apex>),
    /// A domain.
    Domain(Cow<'o, Apex>),
    /// A mail host.
    Host(&'o str),
    /// A change, by its id.
    Change(u64),
    /// A moment: what is made then has subjects of its own.
    Moment(Timestamp),
}

impl Op {
    /// Returns what the step is about.
    pub(super) fn about(&self) -> Subject<'_> {
        match self {
            Self::PutPool { name: pool, .. }
            | Self::DeletePool { name: pool, .. }
            // It picks its domains itself.
            | Self::Rotate { pool, .. }
            | Self::RotateAged { pool }
            | Self::StagePool { pool }
            | Self::AdoptAnew { pool } => Subject::Pool(pool),
            Self::PutZone { apex, .. } | Self::DeleteZone { apex, .. } => {
                Subject::Zone(Cow::Borrowed(apex))
            }
            Self::AddDomain(add) => Subject::Domain(Cow::Borrowed(&add.name)),
            Self::PatchDomain { name, .. }
            | Self::DeleteDomain { name, .. }
            | Self::PutRrset { domain: name, .. }
            | Self::DeleteRrset { domain: name, .. }
            | Self::Transition { name, .. }
            | Self::Suspend { name, .. }
            | Self::Resume { name, .. }
            | Self::Hold { name, .. }
            | Self::Unhold { name, .. }
            | Self::Observe { name, .. }
            | Self::Act { name, .. } => Subject::Domain(Cow::Borrowed(name)),
            Self::HostApplied { host, .. } | Self::HostDeferrals { host, .. } => {
                Subject::Host(host)
            }
            Self::Scheduled { id } | Self::FailScheduled { id, .. } | Self::Undo { id, .. } => {
                Subject::Change(*id)
            }
            Self::Schedule { at, .. } => Subject::Moment(*at),
        }
    }

    /// Returns what the step is done to, in words: a domain's own RRset is `a.example www TXT`.
    pub fn subject(&self) -> String {
        let text = match self.about() {
            Subject::Pool(name) | Subject::Host(name) => name.to_owned(),
            Subject::Zone(apex) | Subject::Domain(apex) => apex.to_api_text(),
            Subject::Change(id) => id.to_string(),
            Subject::Moment(at) => at.to_string(),
        };
        match self {
            Self::PutRrset { rrset, .. } => format!("{text} {} {}", rrset.owner, rrset.rtype),
            Self::DeleteRrset { owner, rtype, .. } => format!("{text} {owner} {rtype}"),
            _ => text,
        }
    }
}
