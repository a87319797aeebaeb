//! Changes, what became of them, and why not.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::domain::WaitingFor;
use super::pool::Pool;
use super::zone::Ds;

/// Why a request is refused (RFC 9457); nothing of it took effect.
#[derive(ToSchema)]
pub(super) struct Problem {
    /// What kind of problem it is.
    r#type: String,
    /// The kind in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong with this request.
    detail: String,
    /// Each field that is wrong.
    errors: Vec<Fault>,
    /// When the step can be taken at the earliest, if that is known and time is what it needs.
    not_before: Option<String>,
    /// What the step waits for.
    waiting_for: Option<Vec<WaitingFor>>,
    /// How many existing domains the change touches: what `expect_domains` must say.
    domains: Option<u64>,
    /// The line of a body that is no JSON.
    line: Option<u64>,
    /// The column of it.
    column: Option<u64>,
}

/// A field that is wrong.
#[derive(ToSchema)]
pub(super) struct Fault {
    /// Where it stands in the request's document (RFC 6901).
    pointer: String,
    /// What was expected and what was found.
    detail: String,
}

/// Whether the server is well.
#[derive(ToSchema)]
pub(super) struct Health {
    /// `alive` or `ready`.
    status: String,
    /// The revision that is served.
    revision: Option<u64>,
}

/// Steps, all or none.
#[derive(ToSchema)]
pub(super) struct Changes {
    /// The steps; at least one.
    #[schema(min_items = 1)]
    changes: Vec<Change>,
    /// Show the plan and change nothing.
    dry_run: Option<bool>,
    /// Why, for the audit log.
    reason: Option<String>,
}

/// One step of several; `op` says which.
#[derive(ToSchema, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum Change {
    /// Creates or replaces one of the operator's own zones.
    PutZone {
        /// The zone.
        zone: String,
        /// Its master file.
        records: String,
    },
    /// Creates a pool or changes its settings.
    PutPool {
        /// The pool.
        pool: String,
        /// Its settings.
        #[schema(value_type = Pool)]
        settings: Value,
    },
    /// Adds domains: `name` or `names`.
    AddDomain {
        /// The pool.
        pool: String,
        /// One domain.
        name: Option<String>,
        /// Up to 10 000.
        names: Option<Vec<String>>,
        /// Those that are in the pool already stay as they are.
        if_absent: Option<bool>,
        /// Never delegated before.
        fresh: Option<bool>,
        /// Where they are registered.
        registrar: Option<String>,
        /// When their registration ends.
        expires_at: Option<String>,
        /// Labels of the operator's own.
        labels: Option<BTreeMap<String, String>>,
    },
    /// Gives a domain an RRset of its own, or replaces it.
    PutRrset {
        /// The domain.
        domain: Option<String>,
        /// The same; one of both is needed.
        name: Option<String>,
        /// The owner, relative to the domain, or a full name with a final dot.
        owner: String,
        /// The type.
        r#type: String,
        /// The TTL in seconds.
        ttl: u32,
        /// The data of each record, as in a master file.
        records: Vec<String>,
    },
}

/// What a change did, or would do.
#[derive(ToSchema)]
pub(super) struct Plan {
    /// The revision at which it holds.
    revision: u64,
    /// Whether it was only planned.
    dry_run: bool,
    /// What each step does.
    plan: Vec<Effect>,
    /// How many existing domains are touched: what `expect_domains` must say.
    domains: u64,
    /// How many domains are created.
    created: u64,
    /// What is doubtful, but not refused.
    warnings: Vec<String>,
    /// The zone or pool that was put; absent for several changes.
    name: Option<String>,
    /// The serial that the zone is served with.
    serial: Option<u32>,
    /// What the zone's parent must be told.
    ds: Option<Vec<Ds>>,
}

/// What a step does.
#[derive(ToSchema)]
pub(super) struct Effect {
    /// Index of the step.
    step: u64,
    /// What is done.
    op: String,
    /// To what.
    subject: String,
    /// In words.
    what: String,
}

/// A change that was made.
#[derive(ToSchema)]
pub(super) struct Done {
    /// The revision at which it holds.
    revision: u64,
    /// The domain whose RRset was changed.
    name: Option<String>,
}

/// A part of the audit log.
#[derive(ToSchema)]
pub(super) struct AuditPage {
    /// The entries, oldest first.
    items: Vec<AuditEntry>,
    /// What to ask for with `after`; null at the end.
    next: Option<u64>,
}

/// An accepted call.
#[derive(ToSchema)]
pub(super) struct AuditEntry {
    /// Its number.
    n: u64,
    /// When.
    at: String,
    /// The revision it made.
    revision: u64,
    /// Whose token asked for it.
    actor: String,
    /// Why.
    reason: Option<String>,
    /// What it changed.
    changes: Vec<AuditChange>,
}

/// One thing that a call changed.
#[derive(ToSchema)]
pub(super) struct AuditChange {
    /// What was done.
    op: String,
    /// To what.
    subject: String,
    /// What stood there before: any JSON.
    before: Value,
    /// What stands there now: any JSON.
    after: Value,
}
