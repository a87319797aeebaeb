//! Changes, what became of them, and why not.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::domain::{State, WaitingFor};
use super::life::Answer;
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
    /// `alive`, `ready`, or `recovering` after a restore.
    status: String,
    /// The revision that is served.
    revision: Option<u64>,
    /// While it recovers: until when nothing is withdrawn.
    until: Option<String>,
    /// While it recovers: the domains whose DS was seen to match no key.
    ds_matches_no_key: Option<Vec<String>>,
}

/// Steps, all or none.
#[derive(ToSchema)]
pub(super) struct Changes {
    /// The steps; at least one.
    #[schema(min_items = 1)]
    changes: Vec<Change>,
    /// When they are made, at most ten years ahead; they are checked at once and again then.
    at: Option<String>,
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
    /// Deletes a domain with its keys.
    DeleteDomain {
        /// The domain.
        domain: Option<String>,
        /// The same; one of both is needed.
        name: Option<String>,
        /// Delete it although it may have been delegated.
        force: Option<bool>,
    },
    /// Moves a domain to another state.
    Transition {
        /// The domain.
        domain: Option<String>,
        /// The same; one of both is needed.
        name: Option<String>,
        /// Where to.
        #[schema(value_type = State)]
        to: String,
        /// Skip timers and unknowns; the change needs a reason then.
        force: Option<bool>,
    },
    /// Lets a domain take no mail for a while.
    Suspend {
        /// The domain.
        domain: Option<String>,
        /// The same; one of both is needed.
        name: Option<String>,
        /// `later` or `never`.
        #[schema(value_type = Answer)]
        answer: String,
        /// When it ends by itself.
        until: Option<String>,
    },
    /// Ends a suspension.
    Resume {
        /// The domain.
        domain: Option<String>,
        /// The same; one of both is needed.
        name: Option<String>,
    },
    /// Lets no step withdraw anything of a domain.
    Hold {
        /// The domain.
        domain: Option<String>,
        /// The same; one of both is needed.
        name: Option<String>,
    },
    /// Ends a hold.
    Unhold {
        /// The domain.
        domain: Option<String>,
        /// The same; one of both is needed.
        name: Option<String>,
    },
    /// Takes the operator's word; at least one thing that was seen.
    Observed {
        /// The domain.
        domain: Option<String>,
        /// The same; one of both is needed.
        name: Option<String>,
        /// Every parent server delegates to us.
        ns: Option<bool>,
        /// Every parent server has the DS of our key and no other.
        ds: Option<bool>,
        /// No parent server delegates the name.
        ns_gone: Option<bool>,
        /// Every listed server serves the zone as it is; false is not waited for, `timing.propagation` is.
        published: Option<bool>,
        /// Every mail host is ready for the domain.
        mail_ready: Option<bool>,
        /// Every policy host serves the policy as it is.
        policy_served: Option<bool>,
        /// How many MX queries a day all listed servers count.
        queries: Option<u64>,
        /// Since when that is so; what is of ours counts from when it was there.
        at: Option<String>,
    },
    /// Drains domains of a pool and activates others in their place.
    Rotate {
        /// The pool.
        pool: String,
        /// The active domains that are drained; the oldest ones where none is named.
        burn: Option<Vec<String>>,
        /// How many standby domains become active.
        activate: Option<u32>,
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
    /// The id of a change that was accepted for a moment.
    id: Option<u64>,
    /// When it is made.
    at: Option<String>,
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
