//! Domains and their records.

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::zone::{Ds, Key};

/// Where a domain stands in its life.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum State {
    /// Ready behind the active ones.
    Standby,
    /// Handed out.
    Active,
    /// Not handed out any more.
    Draining,
    /// Null MX.
    Retired,
    /// Served until the delegation is gone.
    Released,
}

/// A domain; lists leave away what takes long to find out.
#[derive(ToSchema)]
pub(super) struct Domain {
    /// Its name.
    name: String,
    /// The pool it belongs to.
    pool: String,
    /// Where it stands in its life.
    state: State,
    /// Since when.
    since: String,
    /// The serial that is served.
    serial: u32,
    /// Whether it was never delegated before it was added.
    fresh: bool,
    /// Where it is registered.
    registrar: Option<String>,
    /// When its registration ends.
    expires_at: Option<String>,
    /// The operator's own labels.
    labels: BTreeMap<String, String>,
    /// When the first of its signatures expires.
    signatures_expire_at: String,
    /// What the parent must be told.
    ds: Vec<Ds>,
    /// Its keys.
    keys: Vec<Key>,
    /// When its keys were last in a backup, if that is known.
    key_backed_up_at: Option<String>,
    /// RRsets of its own.
    rrsets: Option<Vec<Rrset>>,
    /// What holds of it.
    conditions: Option<Vec<Condition>>,
    /// The step it is on the way to.
    next: Option<Next>,
    /// When it was added.
    added: Option<String>,
    /// What its mail hosts may accept: `accept`, `later`, `never` or `gone`.
    routing: Option<String>,
    /// The suspension, while it takes no mail.
    suspended: Option<Suspended>,
    /// The hold, while no step may withdraw anything.
    hold: Option<Hold>,
    /// Its hand-outs, if an address was ever given out.
    handed_out: Option<HandedOut>,
    /// What the next hand-out waits for.
    hand_out_waits: Option<Vec<WaitingFor>>,
    /// Since when its zone is served no more.
    dropped: Option<String>,
    /// The revision of its last change.
    revision: u64,
    /// In the answer to a change of it: whether that did anything.
    changed: Option<bool>,
    /// In the answer to a change of it: what should be thought over, if anything.
    warnings: Option<Vec<String>>,
}

/// A domain that takes no mail for a while.
#[derive(ToSchema)]
pub(super) struct Suspended {
    /// What its mail is answered: `later` or `never`.
    answer: String,
    /// Since when.
    since: String,
    /// When it ends by itself.
    until: Option<String>,
    /// Why.
    reason: String,
}

/// A domain of which no step may withdraw anything.
#[derive(ToSchema)]
pub(super) struct Hold {
    /// Since when.
    since: String,
    /// Why.
    reason: String,
}

/// The hand-outs of a domain.
#[derive(ToSchema)]
pub(super) struct HandedOut {
    /// When first.
    first: String,
    /// When last.
    last: String,
    /// How often.
    count: u64,
}

/// Something that holds of a domain, or not.
#[derive(ToSchema)]
pub(super) struct Condition {
    /// What.
    r#type: String,
    /// `true`, `false` or `unknown`.
    status: String,
    /// Since when.
    since: Option<String>,
    /// In words.
    message: String,
}

/// A step that a domain is on the way to.
#[derive(ToSchema)]
pub(super) struct Next {
    /// Where to.
    state: State,
    /// Whether it is taken by itself; else it is asked for.
    by_itself: bool,
    /// When at the earliest, if that is known.
    not_before: Option<String>,
    /// What it waits for.
    waiting_for: Vec<WaitingFor>,
}

/// A rule that a step waits for.
#[derive(ToSchema)]
pub(super) struct WaitingFor {
    /// The rule's name.
    rule: String,
    /// In words.
    what: String,
    /// When it holds at the earliest, if that is known.
    not_before: Option<String>,
}

/// A page of domains.
#[derive(ToSchema)]
pub(super) struct DomainPage {
    /// The domains, in canonical order of their names.
    items: Vec<Domain>,
    /// What to ask for with `after`; null at the end.
    next: Option<String>,
}

/// Domains to be added: `name` or `names`.
#[derive(ToSchema)]
pub(super) struct AddDomains {
    /// The pool.
    pool: String,
    /// One domain.
    name: Option<String>,
    /// Up to 10 000, all or none.
    names: Option<Vec<String>>,
    /// Never delegated before.
    fresh: Option<bool>,
    /// Where they are registered.
    registrar: Option<String>,
    /// When their registration ends.
    expires_at: Option<String>,
    /// Labels of the operator's own.
    labels: Option<BTreeMap<String, String>>,
}

/// Domains that were added; a single one is answered with its own document.
#[derive(ToSchema)]
pub(super) struct Added {
    /// The revision.
    revision: u64,
    /// How many.
    created: u64,
    /// Each with its DS records.
    items: Vec<AddedDomain>,
}

/// A domain that was added.
#[derive(ToSchema)]
pub(super) struct AddedDomain {
    /// Its name.
    name: String,
    /// What the parent must be told.
    ds: Vec<Ds>,
}

/// What is said about a domain; null forgets.
#[derive(ToSchema)]
pub(super) struct PatchDomain {
    /// Where it is registered.
    registrar: Option<String>,
    /// When its registration ends.
    expires_at: Option<String>,
    /// All labels.
    labels: Option<BTreeMap<String, String>>,
}

/// An RRset.
#[derive(ToSchema)]
pub(super) struct Rrset {
    /// The domain; ignored in a `PUT`.
    #[schema(read_only)]
    name: Option<String>,
    /// Whether it is the domain's own, or the pool's; ignored in a `PUT`.
    #[schema(read_only)]
    own: Option<bool>,
    /// The owner, relative to the domain; ignored in a `PUT`.
    #[schema(read_only)]
    owner: Option<String>,
    /// The type; ignored in a `PUT`.
    #[schema(read_only)]
    r#type: Option<String>,
    /// The TTL in seconds.
    ttl: u32,
    /// The data of each record, as in a master file.
    records: Vec<String>,
}
