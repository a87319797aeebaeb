//! The documents of the API, as the OpenAPI document describes them.
//!
//! They are described here and made elsewhere: what is sent is read and written as JSON values, so
//! that everything wrong with a document is found at once.
#![expect(dead_code, reason = "types that are described, never made")]

mod change;
mod domain;
mod life;
mod pool;
mod stored_change;
mod zone;

use utoipa::openapi::schema::{ComponentsBuilder, OneOfBuilder, Schema};
use utoipa::openapi::{Content, Ref, RefOr};

/// A body that a route reads or answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A JSON document without a description of its own.
    Object,
    /// Plain text.
    Text,
    /// Octets.
    Octets,
    /// A master file.
    MasterFile,
    /// Whether the server is well.
    Health,
    /// A list of zones.
    ZonePage,
    /// What a registrar is told.
    Delegation,
    /// A list of keys.
    KeyPage,
    /// A pool.
    Pool,
    /// A list of pools.
    PoolPage,
    /// A domain.
    Domain,
    /// A page of domains.
    DomainPage,
    /// Domains to be added.
    AddDomains,
    /// A domain that was added, or a batch of them.
    Added,
    /// What is said about a domain.
    PatchDomain,
    /// A step in a domain's life.
    Transition,
    /// A suspension.
    Suspend,
    /// Why something is done.
    Reason,
    /// What the operator has seen.
    Observed,
    /// A rotation that is asked for.
    Rotate,
    /// What a rotation does.
    Rotation,
    /// The domain that the next new address comes from.
    HandOut,
    /// What mail hosts may accept, a line each.
    Routing,
    /// What a mail host has applied.
    Applied,
    /// When a mail host made senders defer.
    Deferrals,
    /// What somebody may still hold.
    Caches,
    /// MX queries a day of domains that take no mail.
    Counts,
    /// The registrars' work list.
    Work,
    /// An RRset.
    Rrset,
    /// Several changes.
    Changes,
    /// A change that was made or scheduled.
    StoredChange,
    /// The changes that wait for their moment.
    WaitingChanges,
    /// Why a change is taken back.
    Undo,
    /// What a change does.
    Plan,
    /// The revision of a change.
    Done,
    /// A part of the audit log.
    AuditPage,
}

impl Shape {
    /// Returns the media type of the body.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain",
            Self::Octets => "application/octet-stream",
            Self::MasterFile => "text/dns",
            Self::Routing => "application/x-ndjson",
            _ => "application/json",
        }
    }

    /// Returns the description of the body.
    pub(super) fn content(self) -> Content {
        let name = match self {
            Self::Object | Self::Text | Self::Octets | Self::MasterFile => {
                return Content::new(None::<RefOr<Schema>>);
            }
            Self::Health => "Health",
            Self::ZonePage => "ZonePage",
            Self::Delegation => "Delegation",
            Self::KeyPage => "KeyPage",
            Self::Pool => "Pool",
            Self::PoolPage => "PoolPage",
            Self::Domain => "Domain",
            Self::DomainPage => "DomainPage",
            Self::AddDomains => "AddDomains",
            Self::Added => {
                let one = Ref::from_schema_name("Domain");
                let batch = Ref::from_schema_name("Added");
                return Content::new(Some(OneOfBuilder::new().item(one).item(batch)));
            }
            Self::PatchDomain => "PatchDomain",
            Self::Transition => "Transition",
            Self::Suspend => "Suspend",
            Self::Reason => "Reason",
            Self::Observed => "Observed",
            Self::Rotate => "Rotate",
            Self::Rotation => "Rotation",
            Self::HandOut => "HandOut",
            Self::Routing => "Route",
            Self::Applied => "Applied",
            Self::Deferrals => "Deferrals",
            Self::Caches => "Caches",
            Self::Counts => "Counts",
            Self::Work => "Work",
            Self::Rrset => "Rrset",
            Self::Changes => "Changes",
            Self::StoredChange => "StoredChange",
            Self::WaitingChanges => "WaitingChanges",
            Self::Undo => "Undo",
            Self::Plan => "Plan",
            Self::Done => "Done",
            Self::AuditPage => "AuditPage",
        };
        Content::new(Some(Ref::from_schema_name(name)))
    }
}

/// Adds every description.
pub(super) fn components() -> ComponentsBuilder {
    ComponentsBuilder::new()
        .schema_from::<change::Problem>()
        .schema_from::<pool::PoolPlan>()
        .schema_from::<pool::PoolStep>()
        .schema_from::<change::Fault>()
        .schema_from::<change::Health>()
        .schema_from::<zone::Zone>()
        .schema_from::<zone::ZonePage>()
        .schema_from::<zone::Ds>()
        .schema_from::<zone::KeyRecord>()
        .schema_from::<zone::Delegation>()
        .schema_from::<zone::Key>()
        .schema_from::<zone::KeyPage>()
        .schema_from::<pool::Pool>()
        .schema_from::<pool::MailHost>()
        .schema_from::<pool::MtaSts>()
        .schema_from::<pool::Reports>()
        .schema_from::<pool::Outbound>()
        .schema_from::<pool::Readiness>()
        .schema_from::<pool::Dnssec>()
        .schema_from::<pool::Timing>()
        .schema_from::<pool::Extra>()
        .schema_from::<pool::PoolPage>()
        .schema_from::<domain::State>()
        .schema_from::<domain::Domain>()
        .schema_from::<domain::Condition>()
        .schema_from::<domain::Next>()
        .schema_from::<domain::Suspended>()
        .schema_from::<domain::Hold>()
        .schema_from::<domain::HandedOut>()
        .schema_from::<domain::WaitingFor>()
        .schema_from::<domain::DomainPage>()
        .schema_from::<domain::AddDomains>()
        .schema_from::<domain::Added>()
        .schema_from::<domain::AddedDomain>()
        .schema_from::<domain::PatchDomain>()
        .schema_from::<life::Reason>()
        .schema_from::<life::Answer>()
        .schema_from::<life::Suspend>()
        .schema_from::<life::Observed>()
        .schema_from::<life::Rotate>()
        .schema_from::<life::Rotation>()
        .schema_from::<life::NotReady>()
        .schema_from::<life::Milestone>()
        .schema_from::<life::HandOut>()
        .schema_from::<life::Route>()
        .schema_from::<life::Applied>()
        .schema_from::<life::Deferrals>()
        .schema_from::<life::Caches>()
        .schema_from::<life::Version>()
        .schema_from::<life::PolicyVersion>()
        .schema_from::<life::Counts>()
        .schema_from::<life::Count>()
        .schema_from::<life::Work>()
        .schema_from::<life::Task>()
        .schema_from::<life::Wanted>()
        .schema_from::<life::Seen>()
        .schema_from::<life::Transition>()
        .schema_from::<domain::Rrset>()
        .schema_from::<change::Changes>()
        .schema_from::<change::Change>()
        .schema_from::<stored_change::StoredChange>()
        .schema_from::<stored_change::ChangeState>()
        .schema_from::<stored_change::AppliedChange>()
        .schema_from::<stored_change::FailedChange>()
        .schema_from::<stored_change::WayBack>()
        .schema_from::<stored_change::ChangeStep>()
        .schema_from::<stored_change::WaitingChanges>()
        .schema_from::<stored_change::WaitingChange>()
        .schema_from::<stored_change::Undo>()
        .schema_from::<change::Plan>()
        .schema_from::<change::Effect>()
        .schema_from::<change::Done>()
        .schema_from::<change::AuditPage>()
        .schema_from::<change::AuditEntry>()
        .schema_from::<change::AuditChange>()
}
