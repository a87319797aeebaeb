//! Changes that were made or scheduled, and the way back.

use utoipa::ToSchema;

/// A change that was made or scheduled.
#[derive(ToSchema)]
pub(super) struct StoredChange {
    /// Its id: the revision at which it was accepted.
    id: u64,
    /// What became of it.
    #[schema(inline = false)]
    state: ChangeState,
    /// When it was accepted.
    accepted: String,
    /// When it is or was to be made, if it was scheduled.
    at: Option<String>,
    /// Whose token asked for it.
    actor: String,
    /// Why.
    reason: Option<String>,
    /// What a scheduled one is to do.
    steps: Vec<ChangeStep>,
    /// What it did, if it was made.
    applied: Option<AppliedChange>,
    /// Why it was refused at its moment, if it was.
    failed: Option<FailedChange>,
    /// The change that took it back or called it off.
    undone_by: Option<u64>,
    /// What undoing it would do now.
    undo: WayBack,
}

/// What became of a change.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(super) enum ChangeState {
    /// It waits for its moment.
    Scheduled,
    /// It was made.
    Applied,
    /// It was refused at its moment; nothing was done.
    Failed,
    /// It was called off, or taken back.
    Undone,
}

/// What a change did.
#[derive(ToSchema)]
pub(super) struct AppliedChange {
    /// When.
    at: String,
    /// The revision that it made.
    revision: u64,
    /// What it did.
    steps: Vec<ChangeStep>,
}

/// Why a scheduled change was refused.
#[derive(ToSchema)]
pub(super) struct FailedChange {
    /// When.
    at: String,
    /// Each reason.
    why: Vec<String>,
}

/// What undoing a change would do now.
#[derive(ToSchema)]
pub(super) struct WayBack {
    /// Whether it can be undone.
    possible: bool,
    /// What that would do.
    steps: Vec<ChangeStep>,
    /// Each reason why it cannot be undone.
    why_not: Vec<String>,
}

/// A step of a change.
#[derive(ToSchema)]
pub(super) struct ChangeStep {
    /// What is done.
    op: String,
    /// To what.
    subject: String,
    /// In words.
    what: String,
}

/// Why a change is taken back.
#[derive(ToSchema)]
pub(super) struct Undo {
    /// Show the plan and change nothing.
    dry_run: Option<bool>,
    /// Why, for the audit log.
    reason: Option<String>,
}

/// The changes that wait for their moment.
#[derive(ToSchema)]
pub(super) struct WaitingChanges {
    /// The changes, the next one first.
    items: Vec<WaitingChange>,
    /// Always null: the list is whole.
    next: Option<String>,
}

/// A change that waits for its moment.
#[derive(ToSchema)]
pub(super) struct WaitingChange {
    /// Its id: the revision at which it was accepted.
    id: u64,
    /// When it is to be made.
    at: String,
    /// When it was accepted.
    accepted: String,
    /// Whose token asked for it.
    actor: String,
    /// Why.
    reason: Option<String>,
    /// What it is to do.
    steps: Vec<ChangeStep>,
}
