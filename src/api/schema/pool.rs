//! Pools and their settings.

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::domain::WaitingFor;

/// A pool: the keys of a manifest's `[pool.<name>]`, and what a `GET` alone shows.
#[derive(ToSchema)]
pub(super) struct Pool {
    /// Its name; ignored in a `PUT`.
    #[schema(read_only)]
    name: Option<String>,
    /// How many domains are in each state; ignored in a `PUT`.
    #[schema(read_only)]
    counts: Option<BTreeMap<String, u64>>,
    /// How many standby domains could be activated now; ignored in a `PUT`.
    #[schema(read_only)]
    ready: Option<u64>,
    /// How many draining domains could be retired now; ignored in a `PUT`.
    #[schema(read_only)]
    retire_due: Option<u64>,
    /// How many domains take no mail for a while; ignored in a `PUT`.
    #[schema(read_only)]
    suspended: Option<u64>,
    /// The id of the MTA-STS policy; ignored in a `PUT`.
    #[schema(read_only)]
    mta_sts_id: Option<String>,
    /// The settings that wait for their time; null when all are in effect; ignored in a `PUT`.
    #[schema(read_only)]
    plan: Option<PoolPlan>,
    /// What is doubtful about it; ignored in a `PUT`.
    #[schema(read_only)]
    warnings: Option<Vec<String>>,
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

/// What a pool's domains are on the way to.
#[derive(ToSchema)]
pub(super) struct PoolPlan {
    /// `settings`.
    kind: String,
    /// What is still to come.
    steps: Vec<PoolStep>,
}

/// A setting that waits for its time.
#[derive(ToSchema)]
pub(super) struct PoolStep {
    /// The first rule that it waits for.
    step: String,
    /// Where in the settings, as a JSON pointer.
    setting: String,
    /// What is to come.
    what: String,
    /// What is so until then.
    meanwhile: String,
    /// When at the earliest, if that is known.
    not_before: Option<String>,
    /// What it waits for.
    waiting_for: Vec<WaitingFor>,
}

/// A mail host.
#[derive(ToSchema)]
pub(super) struct MailHost {
    /// With a final dot a shared host, else one in each domain.
    name: String,
    /// The MX preference; 10 without one.
    preference: Option<u16>,
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
pub(super) struct MtaSts {
    /// `enforce`, `testing` or `none`.
    mode: String,
    /// How long senders keep it.
    max_age: Option<String>,
    /// These lines instead of one per host.
    patterns: Option<Vec<String>>,
    /// Where `mta-sts.<domain>` points.
    addresses: Option<Vec<String>>,
}

/// Where reports go.
#[derive(ToSchema)]
pub(super) struct Reports {
    /// SMTP TLS reports (RFC 8460).
    tlsrpt: Option<String>,
    /// DMARC reports.
    dmarc: Option<String>,
}

/// What the domains send with.
#[derive(ToSchema)]
pub(super) struct Outbound {
    /// The SPF record.
    spf: String,
    /// Selectors and what their CNAME points to.
    dkim: Option<BTreeMap<String, String>>,
    /// The DMARC record behind `v=DMARC1;`.
    dmarc: Option<String>,
}

/// What activation waits for.
#[derive(ToSchema)]
pub(super) struct Readiness {
    /// NS at every parent server.
    delegated: Option<bool>,
    /// `yes`, `no`, or a time after which it goes on without the DS.
    secured: Option<String>,
    /// The mail hosts answer.
    mail_ready: Option<bool>,
}

/// How zones are signed.
#[derive(ToSchema)]
pub(super) struct Dnssec {
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
pub(super) struct Timing {
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
pub(super) struct Extra {
    /// Lines of a master file.
    records: String,
}

/// The pools.
#[derive(ToSchema)]
pub(super) struct PoolPage {
    /// The pools.
    items: Vec<Pool>,
    /// Always null: the list is whole.
    next: Option<String>,
}
