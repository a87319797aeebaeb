//! What a pool says of its mail domains, and the records and policy that follow from it.
//!
//! [`PoolSettings`] is a manifest's `[pool.x]` table. It is made by
//! [`PoolSettings::from_document`], which refuses, with place and reason, whatever would break mail
//! (what is stored already comes by [`PoolSettings::from_stored`]); [`render()`] turns it into the template that all domains of the pool share, and
//! [`mta_sts_file`] into a domain's MTA-STS policy. What concerns several pools or the operator's
//! own zones is judged by [`check_pools`], and what they must serve for a pool comes from
//! [`host_rrsets`]. [`classify_change`] says how each changed setting takes effect.
//!
//! Nothing here reads a file or a clock: certificates come as texts, the time as an argument.
//!
//! Start reading at [`PoolSettings`], then [`render()`].

mod certificate;
mod change;
mod check;
mod extra;
mod form;
mod hosted;
mod mailbox;
mod mta_sts;
mod name;
mod operator_zone;
mod outbound;
mod pools;
mod read;
mod referred;
mod render;
mod report_uris;
mod routing;
#[cfg(test)]
mod sample;
mod settings;
mod signing;
mod stage;
mod target;
mod tlsa;
mod warnings;
mod write;

pub use certificate::{Certificate, CertificateError};
pub use change::{Effect, SettingChange, classify_change};
pub use form::{Form, HostsForm, MailForm, PolicyForm};
pub use hosted::{Holder, Hosted, check_domain, check_own_rrset, clash_with_pool};
pub use mailbox::{Mailbox, MailboxError};
pub use mta_sts::{MtaSts, MtaStsMode, MxPattern, mta_sts_file, policy_id, policy_text};
pub use name::{PoolNameError, check_pool_name};
pub use operator_zone::{
    OperatorZone, check_zone, delegation_rrsets, derive_into, host_rrsets, zone_delegation,
};
pub use pools::{
    PoolFault, changed_hosts, check_exchanges, check_pools, missing_keys, moved_hosts,
};
pub use render::{gives_way, render};
pub use report_uris::{ReportUriError, ReportUris};
pub use routing::{
    Route, RoutingAnswer, RoutingAnswerError, RoutingPublisher, RoutingReader, routing_set,
};
pub use settings::{
    ApexAddress, Drain, LifeSettings, MailHost, Outbound, PoolSettings, ReadinessSettings, Reports,
    Retire, Secured, SigningSettings, TimingSettings,
};
pub use stage::{HostZone, Served, StageFacts, StageWait, Staged, Staging, stage};
pub use target::{Target, TargetError};
pub use tlsa::{TlsaError, TlsaRecord};
