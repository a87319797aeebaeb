//! Changes, what became of them, and why not.

use std::collections::BTreeMap;

use utoipa::ToSchema;

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

/// Steps, all or none: `put_zone` {zone, records}, `put_pool` {pool, settings}, `add_domain` {pool,
/// name or names, if_absent, …}, `put_rrset` {domain, owner, type, ttl, records}.
#[derive(ToSchema)]
pub(super) struct Changes {
    /// The steps, each an object with `op`.
    changes: Vec<BTreeMap<String, String>>,
    /// Show the plan and change nothing.
    dry_run: Option<bool>,
    /// Why, for the audit log.
    reason: Option<String>,
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
    /// What stood there before.
    before: Option<BTreeMap<String, String>>,
    /// What stands there now.
    after: Option<BTreeMap<String, String>>,
}
