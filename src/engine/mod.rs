//! The control plane: the one writer.
//!
//! Everything that changes what is served goes through here, as a [`Change`]: *plan* (the writer,
//! microseconds: what would it do?), *prepare* (worker threads at background priority: keys,
//! signatures, images), *commit* (the writer: one transaction, grouped with others, durable),
//! *publish* (zone by zone, cannot fail), *answer*. A change that was overtaken while it was
//! prepared is planned again on what is true now, and only what differs is prepared again.
//!
//! The writer never signs and never waits for a preparation, so a small change overtakes a large
//! one. The workers give way to the threads that answer queries, and the writer is nicer than
//! those (`courtesy`). The signed zones of a large change are stored ahead in small commits under
//! versions that no fact names yet; the commit of its facts makes all of them count at once, and
//! what a crash leaves without a fact is removed at the next start.
//!
//! Readers of facts ([`View`]) see the state after the last commit, never one in between. Nothing
//! here opens a socket, reads a file or decides what a mail domain looks like. Start reading at
//! [`Engine`], then `writer`, then `plan`.

mod act;
mod caches;
mod census;
mod change;
mod commit;
mod compose;
mod counts;
mod courtesy;
mod deferring;
mod delegated;
mod describe;
mod downtime;
mod facts;
mod figures;
mod followed;
mod handle;
mod handout;
mod idempotency;
mod job;
mod life;
mod load;
mod old_changes;
mod plan;
mod prepare;
mod questions;
mod recent;
mod records;
mod references;
mod resign;
mod restored;
mod scheduled;
mod staging;
mod step_form;
mod subject;
#[cfg(test)]
mod tests;
mod view;
mod wish;
mod workers;
mod writer;

pub use act::Observation;
pub use caches::{Held, HeldWhat};
pub use census::Census;
pub use change::{
    Actor, AddDomain, Change, ChangeId, Effect, IfMatch, Milestone, NotReady, Op, OpError, Outcome,
    Plan, Refusal, Rotation, Word,
};
pub use counts::QueriesPerDay;
pub use handle::{Engine, EngineConfig, EngineThreads, ReadError};
pub use load::StartError;
pub use scheduled::{ChangeState, ChangeView, StepView, Undo};
pub use view::{Domain, DomainFilter, OperatorZone, Page, Pool, Prospect, RoutingEntry, View};

pub use crate::store::record::{AuditChange, AuditRecord, Hold, TokenRecord};
