//! The documents of the API, as the OpenAPI document describes them.
//!
//! They are described here and made elsewhere: what is sent is read and written as JSON values, so
//! that everything wrong with a document is found at once.
#![expect(dead_code, reason = "types that are described, never made")]

use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::schema::{ComponentsBuilder, Schema};
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
    /// Domains that were added.
    Added,
    /// What is said about a domain.
    PatchDomain,
    /// A step in a domain's life.
    Transition,
    /// An RRset.
    Rrset,
    /// Several changes.
    Changes,
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
            Self::Added => "Added",
            Self::PatchDomain => "PatchDomain",
            Self::Transition => "Transition",
            Self::Rrset => "Rrset",
            Self::Changes => "Changes",
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
        .schema_from::<Problem>()
        .schema_from::<Fault>()
        .schema_from::<Health>()
        .schema_from::<Zone>()
        .schema_from::<ZonePage>()
        .schema_from::<Ds>()
        .schema_from::<KeyRecord>()
        .schema_from::<Delegation>()
        .schema_from::<Key>()
        .schema_from::<KeyPage>()
        .schema_from::<Pool>()
        .schema_from::<MailHost>()
        .schema_from::<MtaSts>()
        .schema_from::<Reports>()
        .schema_from::<Outbound>()
        .schema_from::<Readiness>()
        .schema_from::<Dnssec>()
        .schema_from::<Timing>()
        .schema_from::<Extra>()
        .schema_from::<PoolPage>()
        .schema_from::<State>()
        .schema_from::<Domain>()
        .schema_from::<Condition>()
        .schema_from::<Next>()
        .schema_from::<WaitingFor>()
        .schema_from::<DomainPage>()
        .schema_from::<AddDomains>()
        .schema_from::<Added>()
        .schema_from::<AddedDomain>()
        .schema_from::<PatchDomain>()
        .schema_from::<Transition>()
        .schema_from::<Rrset>()
        .schema_from::<Changes>()
        .schema_from::<Plan>()
        .schema_from::<Effect>()
        .schema_from::<Done>()
        .schema_from::<AuditPage>()
        .schema_from::<AuditEntry>()
        .schema_from::<AuditChange>()
}

/// Why a request is refused (RFC 9457); nothing of it took effect.
#[derive(ToSchema)]
struct Problem {
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
struct Fault {
    /// Where it stands in the request's document (RFC 6901).
    pointer: String,
    /// What was expected and what was found.
    detail: String,
}

/// Whether the server is well.
#[derive(ToSchema)]
struct Health {
    /// `alive` or `ready`.
    status: String,
    /// The revision that is served.
    revision: Option<u64>,
}

/// One of the operator's own zones.
#[derive(ToSchema)]
struct Zone {
    /// Its name.
    name: String,
    /// The serial that is served.
    serial: u32,
    /// When the first of its signatures expires.
    signatures_expire_at: String,
    /// What the parent must be told.
    ds: Vec<Ds>,
    /// The revision of its last change.
    revision: u64,
}

/// The operator's own zones.
#[derive(ToSchema)]
struct ZonePage {
    /// The zones.
    items: Vec<Zone>,
    /// Always null: the list is whole.
    next: Option<String>,
}

/// A DS record.
#[derive(ToSchema)]
struct Ds {
    /// The record as a master file has it.
    text: String,
    /// The key's tag.
    key_tag: u16,
    /// The algorithm's number.
    algorithm: u8,
    /// 2: SHA-256.
    digest_type: u8,
    /// The digest in hexadecimal digits.
    digest: String,
}

/// A DNSKEY, CDNSKEY or CDS record, as text and fields.
#[derive(ToSchema)]
struct KeyRecord {
    /// The record as a master file has it.
    text: String,
    /// The algorithm's number.
    algorithm: u8,
    /// Of DNSKEY and CDNSKEY.
    flags: Option<u16>,
    /// Of DNSKEY and CDNSKEY: 3.
    protocol: Option<u8>,
    /// Of DNSKEY and CDNSKEY, in base64.
    public_key: Option<String>,
    /// Of CDS.
    key_tag: Option<u16>,
    /// Of CDS.
    digest_type: Option<u8>,
    /// Of CDS, in hexadecimal digits.
    digest: Option<String>,
}

/// What a registrar is told.
#[derive(ToSchema)]
struct Delegation {
    /// The zone.
    name: String,
    /// DS records.
    ds: Vec<Ds>,
    /// DNSKEY records.
    dnskey: Vec<KeyRecord>,
    /// CDS records.
    cds: Vec<KeyRecord>,
    /// CDNSKEY records.
    cdnskey: Vec<KeyRecord>,
}

/// A key.
#[derive(ToSchema)]
struct Key {
    /// Its tag.
    key_tag: u16,
    /// The algorithm's number.
    algorithm: u8,
    /// 257: it signs the whole zone.
    flags: u16,
}

/// The keys of a zone.
#[derive(ToSchema)]
struct KeyPage {
    /// The keys.
    items: Vec<Key>,
    /// Always null: the list is whole.
    next: Option<String>,
}

/// A pool: the keys of a manifest's `[pool.<name>]`, and what a `GET` alone shows.
#[derive(ToSchema)]
pub(super) struct Pool {
    /// Its name; ignored in a `PUT`.
    #[schema(read_only)]
    name: Option<String>,
    /// How many domains are in each state; ignored in a `PUT`.
    #[schema(read_only)]
    counts: Option<BTreeMap<String, u64>>,
    /// The id of the MTA-STS policy; ignored in a `PUT`.
    #[schema(read_only)]
    mta_sts_id: Option<String>,
    /// The revision of its last change; ignored in a `PUT`.
    #[schema(read_only)]
    revision: Option<u64>,
    /// The name servers that the domains are delegated to.
    nameservers: Vec<String>,
    /// Who answers for the zones.
    hostmaster: String,
    /// TTL of MX, hosts, TLSA and TXT.
    ttl: Option<String>,
    /// TTL of NS.
    ns_ttl: Option<String>,
    /// TTL of SOA, NSEC and negative answers.
    negative_ttl: Option<String>,
    /// How many domains are handed out at a time.
    active: Option<u32>,
    /// How many ready ones are kept behind them.
    standby: Option<u32>,
    /// Earliest retirement after the last hand-out, or `forever`.
    drain: Option<String>,
    /// `manual` or `auto`.
    retire: Option<String>,
    /// How long a null MX is served before release, at least.
    quarantine: Option<String>,
    /// MX queries a day below which a retired domain may go.
    query_floor: Option<u64>,
    /// Rotate by age.
    max_active_age: Option<String>,
    /// Whether `*` has the pool's MX, too.
    subdomains: Option<bool>,
    /// Whether added names were never delegated before.
    fresh: Option<bool>,
    /// CAA records.
    caa: Option<Vec<String>>,
    /// `refuse` or `allow` addresses at the apex.
    apex_address: Option<String>,
    /// The mail hosts.
    mail_host: Vec<MailHost>,
    /// The MTA-STS policy; absent: none.
    mta_sts: Option<MtaSts>,
    /// Where reports go.
    reports: Option<Reports>,
    /// What the domains send with; absent: they never send.
    outbound: Option<Outbound>,
    /// What activation waits for.
    readiness: Option<Readiness>,
    /// How the zones are signed.
    dnssec: Option<Dnssec>,
    /// Waits.
    timing: Option<Timing>,
    /// Records every domain of the pool also gets.
    extra: Option<Extra>,
}

/// A mail host.
#[derive(ToSchema)]
struct MailHost {
    /// With a final dot a shared host, else one in each domain.
    name: String,
    /// The MX preference.
    preference: u16,
    /// Its addresses.
    addresses: Option<Vec<String>>,
    /// Certificates as PEM texts; TLSA 3 1 1 of each.
    certificates: Option<Vec<String>>,
    /// TLSA records instead.
    tlsa: Option<Vec<String>>,
    /// Published, but not in MX.
    spare: Option<bool>,
}

/// An MTA-STS policy (RFC 8461).
#[derive(ToSchema)]
struct MtaSts {
    /// `enforce`, `testing` or `none`.
    mode: String,
    /// How long senders keep it.
    max_age: String,
    /// These lines instead of one per host.
    patterns: Option<Vec<String>>,
    /// Where `mta-sts.<domain>` points.
    addresses: Vec<String>,
}

/// Where reports go.
#[derive(ToSchema)]
struct Reports {
    /// SMTP TLS reports (RFC 8460).
    tlsrpt: Option<String>,
    /// DMARC reports.
    dmarc: Option<String>,
}

/// What the domains send with.
#[derive(ToSchema)]
struct Outbound {
    /// The SPF record.
    spf: String,
    /// Selectors and what their CNAME points to.
    dkim: Option<BTreeMap<String, String>>,
    /// The DMARC record behind `v=DMARC1;`.
    dmarc: Option<String>,
}

/// What activation waits for.
#[derive(ToSchema)]
struct Readiness {
    /// NS at every parent server.
    delegated: Option<bool>,
    /// `yes`, `no`, or a time after which it goes on without the DS.
    secured: Option<String>,
    /// The mail hosts answer.
    mail_ready: Option<bool>,
}

/// How zones are signed.
#[derive(ToSchema)]
struct Dnssec {
    /// `ecdsap256sha256` or `ed25519`.
    algorithm: Option<String>,
    /// `nsec`.
    denial: Option<String>,
    /// TTL of DNSKEY.
    dnskey_ttl: Option<String>,
    /// How long a signature is valid.
    signature_lifetime: Option<String>,
    /// How long before its end it is made anew.
    signature_refresh: Option<String>,
}

/// Waits.
#[derive(ToSchema)]
struct Timing {
    /// Of additive steps.
    guard: Option<String>,
    /// Of destructive ones.
    destructive_guard: Option<String>,
    /// How long senders keep mail in their queues.
    queue_max: Option<String>,
    /// How long a change takes to all servers.
    propagation: Option<String>,
}

/// Records every domain of a pool also gets.
#[derive(ToSchema)]
struct Extra {
    /// Lines of a master file.
    records: String,
}

/// The pools.
#[derive(ToSchema)]
struct PoolPage {
    /// The pools.
    items: Vec<Pool>,
    /// Always null: the list is whole.
    next: Option<String>,
}

/// Where a domain stands in its life.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum State {
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

/// A domain; lists leave `rrsets`, `conditions` and `next` away.
#[derive(ToSchema)]
struct Domain {
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
    /// RRsets of its own.
    rrsets: Option<Vec<Rrset>>,
    /// What holds of it.
    conditions: Option<Vec<Condition>>,
    /// The step it is on the way to.
    next: Option<Next>,
    /// The revision of its last change.
    revision: u64,
}

/// Something that holds of a domain, or not.
#[derive(ToSchema)]
struct Condition {
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
struct Next {
    /// Where to.
    state: State,
    /// When at the earliest, if that is known.
    not_before: Option<String>,
    /// What it waits for.
    waiting_for: Vec<WaitingFor>,
}

/// A rule that a step waits for.
#[derive(ToSchema)]
struct WaitingFor {
    /// The rule's name.
    rule: String,
    /// In words.
    what: String,
    /// When it holds at the earliest, if that is known.
    not_before: Option<String>,
}

/// A page of domains.
#[derive(ToSchema)]
struct DomainPage {
    /// The domains, in canonical order of their names.
    items: Vec<Domain>,
    /// What to ask for with `after`; null at the end.
    next: Option<String>,
}

/// Domains to be added: `name` or `names`.
#[derive(ToSchema)]
struct AddDomains {
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
struct Added {
    /// The revision.
    revision: u64,
    /// How many.
    created: u64,
    /// Each with its DS records.
    items: Vec<AddedDomain>,
}

/// A domain that was added.
#[derive(ToSchema)]
struct AddedDomain {
    /// Its name.
    name: String,
    /// What the parent must be told.
    ds: Vec<Ds>,
}

/// What is said about a domain; null forgets.
#[derive(ToSchema)]
struct PatchDomain {
    /// Where it is registered.
    registrar: Option<String>,
    /// When its registration ends.
    expires_at: Option<String>,
    /// All labels.
    labels: Option<BTreeMap<String, String>>,
}

/// A step in a domain's life.
#[derive(ToSchema)]
struct Transition {
    /// Where to.
    to: State,
    /// Skip timers and unknowns; needs a reason.
    force: Option<bool>,
    /// Why, for the audit log.
    reason: Option<String>,
}

/// An RRset.
#[derive(ToSchema)]
struct Rrset {
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

/// Steps, all or none: `put_zone` {zone, records}, `put_pool` {pool, settings}, `add_domain` {pool,
/// name or names, if_absent, …}, `put_rrset` {domain, owner, type, ttl, records}.
#[derive(ToSchema)]
struct Changes {
    /// The steps, each an object with `op`.
    changes: Vec<BTreeMap<String, String>>,
    /// Show the plan and change nothing.
    dry_run: Option<bool>,
    /// Why, for the audit log.
    reason: Option<String>,
}

/// What a change did, or would do.
#[derive(ToSchema)]
struct Plan {
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
struct Effect {
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
struct Done {
    /// The revision at which it holds.
    revision: u64,
}

/// A part of the audit log.
#[derive(ToSchema)]
struct AuditPage {
    /// The entries, oldest first.
    items: Vec<AuditEntry>,
    /// What to ask for with `after`; null at the end.
    next: Option<u64>,
}

/// An accepted call.
#[derive(ToSchema)]
struct AuditEntry {
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
struct AuditChange {
    /// What was done.
    op: String,
    /// To what.
    subject: String,
    /// What stood there before.
    before: Option<BTreeMap<String, String>>,
    /// What stands there now.
    after: Option<BTreeMap<String, String>>,
}
