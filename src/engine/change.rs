//! What callers wish for and what becomes of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::document::Fault;
use crate::lifecycle::{Action, LifecycleState, WaitingFor};
use crate::mail::{PoolSettings, RoutingAnswer};
use crate::store::record::{AuditRecord, ChangeRecord};
use crate::wire::{Apex, RelativeName, Rtype};
use crate::zone::{RelativeRrset, ZoneData};

/// A wish: any number of steps, all of them or none.
#[derive(Clone, Debug)]
pub struct Change {
    /// The steps, in the order in which they take effect.
    pub ops: Vec<Op>,
    /// Whose wish it is.
    pub actor: Actor,
    /// Why, for the audit log.
    pub reason: Option<String>,
    /// Under which key the wish may come again, and what it says.
    pub id: Option<ChangeId>,
    /// Whether the plan alone is wanted.
    pub dry_run: bool,
    /// How many existing domains the caller expects the change to touch.
    pub expect_domains: Option<u64>,
}

/// Who asks for a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(pub String);

/// The idempotency key of a request and a digest of what it says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChangeId {
    /// The key that the client chose.
    pub key: String,
    /// SHA-256 over method, path and body.
    pub digest: [u8; 32],
}

/// One step of a change.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Op {
    /// Creates or replaces an operator zone.
    PutZone {
        /// The zone's name.
        apex: Apex,
        /// Its records, as parsed.
        data: ZoneData,
        /// The revision it must have, if the caller said one.
        if_match: Option<IfMatch>,
    },
    /// Removes an operator zone.
    DeleteZone {
        /// The zone's name.
        apex: Apex,
        /// The revision it must have, if the caller said one.
        if_match: Option<IfMatch>,
    },
    /// Creates a pool or changes its settings.
    PutPool {
        /// The pool's name.
        name: String,
        /// Its settings, valid in themselves.
        settings: Box<PoolSettings>,
        /// The revision it must have, if the caller said one.
        if_match: Option<IfMatch>,
    },
    /// Removes a pool without domains.
    DeletePool {
        /// The pool's name.
        name: String,
        /// The revision it must have, if the caller said one.
        if_match: Option<IfMatch>,
    },
    /// Adds a domain to a pool.
    AddDomain(AddDomain),
    /// Changes what is said about a domain, but not what is served.
    PatchDomain {
        /// The domain.
        name: Apex,
        /// Where it is registered; `Some(None)` forgets it.
        registrar: Option<Option<String>>,
        /// When its registration ends; `Some(None)` forgets it.
        expires_at: Option<Option<Timestamp>>,
        /// The operator's labels, all of them.
        labels: Option<BTreeMap<String, String>>,
        /// The revision it must have, if the caller said one.
        if_match: Option<IfMatch>,
    },
    /// Removes a domain, its zone and its keys.
    DeleteDomain {
        /// The domain.
        name: Apex,
        /// Whether it goes although it may have been delegated.
        force: bool,
        /// The revision it must have, if the caller said one.
        if_match: Option<IfMatch>,
    },
    /// Gives a domain an RRset of its own, or replaces it.
    PutRrset {
        /// The domain.
        domain: Apex,
        /// The RRset, relative to the domain.
        rrset: RelativeRrset,
        /// The revision the domain must have, if the caller said one.
        if_match: Option<IfMatch>,
    },
    /// Takes an RRset of its own from a domain.
    DeleteRrset {
        /// The domain.
        domain: Apex,
        /// The owner, relative to the domain.
        owner: RelativeName,
        /// The type.
        rtype: Rtype,
        /// The revision the domain must have, if the caller said one.
        if_match: Option<IfMatch>,
    },
    /// Moves a domain to another state of its life.
    Transition {
        /// The domain.
        name: Apex,
        /// Where to.
        to: LifecycleState,
        /// Whether timers and unknowns are skipped.
        force: bool,
        /// The revision the domain must have, if the caller said one.
        if_match: Option<IfMatch>,
    },
    /// Lets a domain take no mail for a while; DNS stays as it is.
    Suspend {
        /// The domain.
        name: Apex,
        /// What its mail is answered: `later` or `never`.
        answer: RoutingAnswer,
        /// When it ends by itself.
        until: Option<Timestamp>,
        /// The revision the domain must have, if the caller said one.
        if_match: Option<IfMatch>,
    },
    /// Ends a suspension.
    Resume {
        /// The domain.
        name: Apex,
        /// The revision the domain must have, if the caller said one.
        if_match: Option<IfMatch>,
    },
    /// Lets no step withdraw anything of a domain, whatever the clock says.
    Hold {
        /// The domain.
        name: Apex,
        /// The revision the domain must have, if the caller said one.
        if_match: Option<IfMatch>,
    },
    /// Ends a hold.
    Unhold {
        /// The domain.
        name: Apex,
        /// The revision the domain must have, if the caller said one.
        if_match: Option<IfMatch>,
    },
    /// The operator's word on what nobody watches.
    Observe {
        /// The domain.
        name: Apex,
        /// What is said.
        word: Word,
        /// The revision the domain must have, if the caller said one.
        if_match: Option<IfMatch>,
    },
    /// Drains domains of a pool and activates others in their place.
    Rotate {
        /// The pool.
        pool: String,
        /// The domains that are drained; the oldest active ones where none is named.
        burn: Vec<Apex>,
        /// How many domains are activated.
        activate: u32,
        /// The revision the pool must have, if the caller said one.
        if_match: Option<IfMatch>,
    },
    /// Replaces the active domains of a pool that are older than it wants, as far as others are ready.
    RotateAged {
        /// The pool.
        pool: String,
    },
    /// A mail host's word that it has applied the routing.
    HostApplied {
        /// The host's name in the API.
        host: String,
        /// The revision up to which it applied it.
        revision: u64,
    },
    /// The operator's word that a mail host made senders defer, unseen.
    HostDeferrals {
        /// The host's name in the API.
        host: String,
        /// When last.
        to: Timestamp,
    },
    /// Lets the next part of a pool's wish take effect; the engine's own.
    StagePool {
        /// The pool.
        pool: String,
    },
    /// Gives a pool's MTA-STS policy a new id.
    AdoptAnew {
        /// The pool.
        pool: String,
    },
    /// Steps that are made at a moment.
    Schedule {
        /// When.
        at: Timestamp,
        /// The steps.
        ops: Vec<Op>,
        /// How many existing domains the caller expects them to touch.
        expect_domains: Option<u64>,
    },
    /// Notes that the steps before it are those of a scheduled change.
    Scheduled {
        /// The change.
        id: u64,
    },
    /// Notes that a scheduled change was refused at its moment.
    FailScheduled {
        /// The change.
        id: u64,
        /// Why.
        why: Vec<String>,
    },
    /// Takes a change back.
    Undo {
        /// The change.
        id: u64,
        /// What it did, if it was made.
        done: Option<Arc<AuditRecord>>,
        /// What else is known of it.
        note: Arc<ChangeRecord>,
    },
    /// Something that came due by itself.
    Act {
        /// The domain.
        name: Apex,
        /// What.
        action: Action,
    },
}

/// What the operator says of a domain where nobody watches; what is absent is not spoken of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// Whether every parent server delegates to us.
    pub ns: Option<bool>,
    /// Whether every parent server has the DS of our key and no other.
    pub ds: Option<bool>,
    /// Whether no parent server delegates the name.
    pub ns_gone: Option<bool>,
    /// Whether every listed server serves the zone as it is.
    pub published: Option<bool>,
    /// Whether every mail host is ready for the domain.
    pub mail_ready: Option<bool>,
    /// Whether every policy host serves the policy as it is now.
    pub policy_served: Option<bool>,
    /// How many MX queries a day all listed servers count.
    pub queries: Option<u64>,
    /// Since when that is so; now where absent.
    pub at: Option<Timestamp>,
}

/// What an `If-Match` header asks for (RFC 9110, section 13.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// The resource exists, whatever its revision.
    Any,
    /// The resource has this revision.
    Revision(u64),
    /// The tag is none that we ever gave.
    Never,
}

/// A domain that is to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddDomain {
    /// The pool it joins.
    pub pool: String,
    /// Its name.
    pub name: Apex,
    /// Whether a domain that is in the pool already is no error.
    pub if_absent: bool,
    /// Whether it was never delegated before; the pool's word where absent.
    pub fresh: Option<bool>,
    /// Where it is registered.
    pub registrar: Option<String>,
    /// When its registration ends.
    pub expires_at: Option<Timestamp>,
    /// The operator's own labels.
    pub labels: BTreeMap<String, String>,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The revision at which it holds; that of today for a dry run or a change of nothing.
    pub revision: u64,
    /// What it did, or would do.
    pub plan: Plan,
    /// Whether this call, or an earlier one under the same key, did it.
    pub replayed: bool,
}

/// What a change does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// One entry for each step that changes something.
    pub effects: Vec<Effect>,
    /// How many domains exist today and are touched.
    pub existing_domains: u64,
    /// How many domains are created.
    pub created_domains: u64,
    /// Words of warning: nothing is refused for them.
    pub warnings: Vec<String>,
    /// What a rotation does, if the change is one.
    pub rotation: Option<Rotation>,
}

/// What a rotation does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// The domains that become active.
    pub activated: Vec<Apex>,
    /// The domains that are drained.
    pub draining: Vec<Apex>,
    /// How many domains were wanted and not ready.
    pub short: u32,
    /// What keeps back those that would come next, where there are too few.
    pub not_ready: Vec<NotReady>,
    /// What happens to the domains then, in the order of time.
    pub timeline: Vec<Milestone>,
}

/// A standby domain that is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReady {
    /// The domain.
    pub name: Apex,
    /// What it waits for.
    pub waiting_for: Vec<WaitingFor>,
}

/// Something that happens, or may happen, to a domain after a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Milestone {
    /// When, at the earliest; `None` where more than the clock decides.
    pub at: Option<Timestamp>,
    /// The domain.
    pub domain: Apex,
    /// What, in words.
    pub event: String,
}

/// What one step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Index of the step in [`Change::ops`].
    pub op: usize,
    /// What is done, as the API names it.
    pub kind: &'static str,
    /// To what.
    pub subject: String,
    /// In words.
    pub what: String,
    /// The rules that held and the facts that satisfied them; and those that force skipped.
    pub because: Vec<String>,
}

/// Why a step is not taken.
#[derive(Clone, Debug, PartialEq)]
pub struct OpError {
    /// Index of the step in [`Change::ops`].
    pub op: usize,
    /// Why.
    pub refusal: Refusal,
}

/// Why a change is not made; nothing of it takes effect.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Fields of the request are wrong; pointers are relative to the step's document.
    #[error("{} fields are wrong", .0.len())]
    Invalid(Vec<Fault>),
    /// What it speaks of does not exist.
    #[error("there is no {kind} {name:?}")]
    NotFound {
        /// `pool`, `zone`, `domain` or `rrset`.
        kind: &'static str,
        /// The name that was given.
        name: String,
    },
    /// It does not go together with what is.
    #[error("{0}")]
    Conflict(String),
    /// Settings of a pool with domains cannot change so; pointers are relative to the settings.
    #[error("the pool {pool} has domains, so {} of its settings cannot change like this", .settings.len())]
    InUse {
        /// The pool.
        pool: String,
        /// The settings, and what each would have to wait for.
        settings: Vec<Fault>,
    },
    /// A rule says: not yet, or not without force.
    #[error("the step waits: {}", .waiting_for.iter().map(|w| w.to_string()).collect::<Vec<_>>().join("; "))]
    TooEarly {
        /// When it may be taken, if that is known.
        not_before: Option<Timestamp>,
        /// The rules it waits for.
        waiting_for: Vec<WaitingFor>,
    },
    /// It touches more than is done without a word.
    #[error(
        "the change touches {touched} existing domains{}: say expect_domains={touched} if that is meant",
        .because.as_ref().map_or_else(String::new, |b| format!(" ({b})"))
    )]
    ExpectDomains {
        /// How many it touches.
        touched: u64,
        /// What else asks for the word.
        because: Option<String>,
    },
    /// `If-Match` names another revision than the resource has.
    #[error("{name} has changed: expected the revision of If-Match, found {found}")]
    PreconditionFailed {
        /// The resource.
        name: String,
        /// Its revision, or that it does not exist.
        found: String,
    },
    /// The idempotency key was used for another request.
    #[error("the idempotency key {key:?} was used for another request")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// More keys are remembered than there is room for.
    #[error(
        "{limit} idempotency keys of the last 24 hours are remembered, there is no room for more"
    )]
    TooManyKeys {
        /// The room.
        limit: usize,
    },
    /// Nothing can be scheduled for this moment.
    #[error("{0}")]
    Moment(String),
    /// More is scheduled than there is room for.
    #[error("{0}")]
    NoRoom(String),
    /// The clock cannot be trusted to sign.
    #[error("nothing is signed: {0}")]
    Clock(String),
    /// The store has no room left.
    #[error("the store is full: {0}; nothing was changed")]
    StoreFull(String),
    /// Something of ours failed.
    #[error("{0}; nothing was changed")]
    Internal(String),
    /// The server is about to stop.
    #[error("the server is stopping; nothing was changed")]
    Stopping,
}

impl Refusal {
    /// Returns whether the change is not to blame: it may succeed as it is, once the server can.
    pub(super) fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::Clock(_) | Self::StoreFull(_) | Self::Internal(_)
        )
    }
}

impl OpError {
    /// Returns a reason that concerns the change as a whole: it is told to its first step.
    pub fn whole(refusal: Refusal) -> Vec<Self> {
        vec![Self { op: 0, refusal }]
    }
}

impl Op {
    /// Returns whether the step skips rules by force.
    pub fn is_forced(&self) -> bool {
        matches!(
            self,
            Self::Transition { force: true, .. } | Self::DeleteDomain { force: true, .. }
        )
    }

    /// Returns what the step is called in the API.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::PutZone { .. } => "put_zone",
            Self::DeleteZone { .. } => "delete_zone",
            Self::PutPool { .. } => "put_pool",
            Self::DeletePool { .. } => "delete_pool",
            Self::AddDomain(_) => "add_domain",
            Self::PatchDomain { .. } => "patch_domain",
            Self::DeleteDomain { .. } => "delete_domain",
            Self::PutRrset { .. } => "put_rrset",
            Self::DeleteRrset { .. } => "delete_rrset",
            Self::Transition { .. } => "transition",
            Self::Suspend { .. } => "suspend",
            Self::Resume { .. } => "resume",
            Self::Hold { .. } => "hold",
            Self::Unhold { .. } => "unhold",
            Self::Observe { .. } => "observe",
            Self::Rotate { .. } | Self::RotateAged { .. } => "rotate",
            Self::HostApplied { .. } => "host_applied",
            Self::HostDeferrals { .. } => "host_deferrals",
            Self::AdoptAnew { .. } => "adopt_policy",
            Self::Schedule { .. } => "schedule",
            Self::Scheduled { .. } => "make_scheduled",
            Self::FailScheduled { .. } => "fail_scheduled",
            Self::Undo { .. } => "undo",
            Self::StagePool { .. } => "stage_pool",
            Self::Act { action, .. } => match action {
                Action::Resume => "resume",
                Action::ShowPolicy => "show_policy",
                Action::DropPolicy => "drop_policy",
                Action::DropHosts => "drop_hosts",
                Action::StopAnswering => "stop_answering",
                Action::Retire => "transition",
                Action::DropZone => "drop_zone",
            },
        }
    }
}
