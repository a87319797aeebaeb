//! The steps of domains' lives, rotation, routing, and what the world holds.

use utoipa::ToSchema;

use super::domain::{State, WaitingFor};
use super::zone::Ds;

/// Why something is done.
#[derive(ToSchema)]
pub(super) struct Reason {
    /// Why, for the audit log.
    reason: Option<String>,
}

/// What senders are told.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum Answer {
    /// The mail is taken.
    Accept,
    /// Try again later (450).
    Later,
    /// Give up (556).
    Never,
    /// The domain is not known.
    Gone,
}

/// A suspension.
#[derive(ToSchema)]
pub(super) struct Suspend {
    /// `later` or `never`.
    answer: Answer,
    /// When it ends by itself.
    until: Option<String>,
    /// Why, for the audit log.
    reason: Option<String>,
}

/// What the operator has seen of a domain; at least one thing.
#[derive(ToSchema)]
pub(super) struct Observed {
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
    /// Why, for the audit log.
    reason: Option<String>,
}

/// A rotation of a pool.
#[derive(ToSchema)]
pub(super) struct Rotate {
    /// The active domains that are drained; the oldest ones where none is named.
    burn: Option<Vec<String>>,
    /// How many standby domains become active; as many as are burned, at least one, without it.
    activate: Option<u32>,
    /// Why, for the audit log.
    reason: Option<String>,
    /// Say what would happen and change nothing.
    dry_run: Option<bool>,
}

/// What a rotation did, or would do.
#[derive(ToSchema)]
pub(super) struct Rotation {
    /// The revision at which it holds.
    revision: u64,
    /// Whether it was only planned.
    dry_run: bool,
    /// The domains that become active.
    activated: Vec<String>,
    /// The domains that are drained.
    draining: Vec<String>,
    /// How many domains were wanted and not ready.
    short: u32,
    /// Where too few are ready: what the next ones wait for.
    not_ready: Vec<NotReady>,
    /// What happens to the domains, and when at the earliest.
    timeline: Vec<Milestone>,
    /// What is doubtful, but not refused.
    warnings: Vec<String>,
}

/// A standby domain that is not ready.
#[derive(ToSchema)]
pub(super) struct NotReady {
    /// The domain.
    domain: String,
    /// What it waits for.
    waiting_for: Vec<WaitingFor>,
}

/// Something that happens to a domain.
#[derive(ToSchema)]
pub(super) struct Milestone {
    /// When at the earliest; null where more than the clock decides.
    at: Option<String>,
    /// The domain.
    domain: String,
    /// What, in words.
    event: String,
}

/// The domain that the next new address comes from.
#[derive(ToSchema)]
pub(super) struct HandOut {
    /// The domain.
    domain: String,
}

/// A line of the routing feed.
#[derive(ToSchema)]
pub(super) struct Route {
    /// The domain.
    domain: String,
    /// What senders are told.
    answer: Answer,
    /// The local parts that are accepted all the same.
    except: Vec<String>,
    /// Whether the same holds for addresses below the domain.
    subdomains: bool,
    /// The revision at which it changed last.
    revision: u64,
}

/// What a mail host has applied.
#[derive(ToSchema)]
pub(super) struct Applied {
    /// The revision up to which it has.
    revision: u64,
}

/// When a mail host made senders defer.
#[derive(ToSchema)]
pub(super) struct Deferrals {
    /// When first.
    from: Option<String>,
    /// When last.
    to: String,
}

/// What somebody may still hold of a domain.
#[derive(ToSchema)]
pub(super) struct Caches {
    /// At which moment.
    at: String,
    /// Every version of every RRset and policy.
    items: Vec<Version>,
}

/// A version of an RRset, or of a policy.
#[derive(ToSchema)]
pub(super) struct Version {
    /// The owner, relative to the domain.
    owner: Option<String>,
    /// The type.
    r#type: Option<String>,
    /// The TTL in seconds.
    ttl: Option<u32>,
    /// The data of each record.
    records: Option<Vec<String>>,
    /// Of a policy: what senders keep.
    policy: Option<PolicyVersion>,
    /// Since when it was served.
    on: String,
    /// Until when; null while it is.
    off: Option<String>,
    /// Until when caches, or senders, may hold it.
    cache_until: Option<String>,
    /// Until when it can be replayed with a valid signature.
    replay_until: Option<String>,
}

/// What senders keep of an MTA-STS policy.
#[derive(ToSchema)]
pub(super) struct PolicyVersion {
    /// Whether its mode is other than `none`.
    acts: bool,
    /// How long senders keep it, in seconds.
    max_age: u64,
}

/// MX queries a day of domains that take no mail.
#[derive(ToSchema)]
pub(super) struct Counts {
    /// The domains with a null MX.
    items: Vec<Count>,
    /// Always null: the list is whole.
    next: Option<String>,
}

/// How often a domain is still asked for its MX, here.
#[derive(ToSchema)]
pub(super) struct Count {
    /// The domain.
    name: String,
    /// Queries in the last whole day; null until one is over.
    queries_per_day: Option<u64>,
    /// When that day ended.
    until: Option<String>,
}

/// The registrars' work list.
#[derive(ToSchema)]
pub(super) struct Work {
    /// A task for each domain.
    items: Vec<Task>,
    /// Always null: the list is whole.
    next: Option<String>,
}

/// What a registrar is to be told of a domain.
#[derive(ToSchema)]
pub(super) struct Task {
    /// The domain.
    name: String,
    /// Where it is registered.
    registrar: Option<String>,
    /// What the parent should show.
    want: Wanted,
    /// What it was seen to show.
    seen: Seen,
    /// What is to be done, if anything is.
    action: Option<String>,
    /// What is to be waited for before that.
    waiting_for: Vec<WaitingFor>,
}

/// What a parent should show.
#[derive(ToSchema)]
pub(super) struct Wanted {
    /// The name servers.
    ns: Vec<String>,
    /// The DS records.
    ds: Vec<Ds>,
}

/// What a parent was seen to show; null where nobody looked.
#[derive(ToSchema)]
pub(super) struct Seen {
    /// `ours`, `others` or `gone`.
    ns: Option<String>,
    /// `ours`, `absent` or `foreign`.
    ds: Option<String>,
}

/// A step to another state.
#[derive(ToSchema)]
pub(super) struct Transition {
    /// Where to.
    to: State,
    /// Skip timers and unknowns; needs a reason.
    force: Option<bool>,
    /// Why, for the audit log.
    reason: Option<String>,
}
