//! What a pool says, as types.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use super::{Certificate, Mailbox, MtaSts, ReportUris, Target, TlsaRecord};
use crate::clock::Span;
use crate::wire::{Algorithm, Rdata, Ttl};

/// What a pool says of its domains: every key of a manifest's `[pool.x]` table.
///
/// Made by [`PoolSettings::from_document`], which refuses what would break mail, so that settings can
/// be rendered; or by [`PoolSettings::from_stored`], out of what an earlier release let pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// The name servers, in the order written; the first one is the SOA's MNAME.
    pub(super) nameservers: Vec<Target>,
    /// Who answers for the zones: the SOA's RNAME.
    pub(super) hostmaster: Mailbox,
    /// The TTL of MX, hosts, TLSA and TXT.
    pub(super) ttl: Span,
    /// The TTL of NS.
    pub(super) ns_ttl: Span,
    /// SOA TTL, SOA MINIMUM and NSEC TTL.
    pub(super) negative_ttl: Span,
    /// How domains come into use and go out of it.
    pub(super) life: LifeSettings,
    /// Whether `*` has the pool's MX, too.
    pub(super) subdomains: bool,
    /// CAA data for the apex.
    pub(super) caa: Vec<Rdata>,
    /// Whether an address may stand at the apex, beside the MX.
    pub(super) apex_address: ApexAddress,
    /// The mail hosts, in the order written.
    pub(super) mail_hosts: Vec<MailHost>,
    /// The MTA-STS policy, if there is one.
    pub(super) mta_sts: Option<MtaSts>,
    /// Where reports go.
    pub(super) reports: Reports,
    /// How the domains send, if they do.
    pub(super) outbound: Option<Outbound>,
    /// What activation waits for.
    pub(super) readiness: ReadinessSettings,
    /// How zones are signed.
    pub(super) signing: SigningSettings,
    /// What waits are made of.
    pub(super) timing: TimingSettings,
    /// A master file of records that every domain gets; relative names are its own.
    pub(super) extra: Option<String>,
}

/// How domains of a pool come into use and go out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifeSettings {
    /// How many domains are handed out at a time.
    pub active: u32,
    /// How many ready ones are wanted behind them.
    pub standby: u32,
    /// The earliest retirement after the last hand-out.
    pub drain: Drain,
    /// Who retires a drained domain.
    pub retire: Retire,
    /// How long a null MX is served at least before release.
    pub quarantine: Span,
    /// The MX queries a day below which a retired domain may go.
    pub query_floor: u64,
    /// The age at which a domain is rotated; only on request where absent.
    pub max_active_age: Option<Span>,
    /// Whether names added to this pool were never delegated before.
    pub fresh: bool,
}

/// The earliest retirement after the last hand-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// So long after it.
    For(Span),
    /// Never: people go on using old addresses.
    Forever,
}

/// Who retires a drained domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retire {
    /// The operator; the domain says that it could go.
    Manual,
    /// The clock.
    Auto,
}

/// Whether an address may stand at the apex: without the MX, mail would go there (RFC 5321,
/// section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApexAddress {
    /// It may not.
    Refuse,
    /// It may: a domain with a web site.
    Allow,
}

/// A host that takes mail for the pool's domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailHost {
    /// Its name.
    pub name: Target,
    /// The preference of its MX.
    pub preference: u16,
    /// Its addresses, sorted; none where somebody else serves its name.
    pub addresses: Vec<IpAddr>,
    /// What its TLSA comes from.
    pub certificates: Vec<Certificate>,
    /// TLSA data written as such.
    pub tlsa: Vec<TlsaRecord>,
    /// Whether it is in no MX: address, TLSA and policy line stand ready.
    pub spare: bool,
}

/// Where reports about a pool's domains go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reports {
    /// Reports of TLS failures (RFC 8460).
    pub tlsrpt: Option<ReportUris>,
    /// Aggregate DMARC reports (RFC 9990).
    pub dmarc: Option<ReportUris>,
}

/// How the domains of a pool send mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// The SPF record.
    pub spf: String,
    /// Where each DKIM selector's key lies.
    pub dkim: BTreeMap<String, Target>,
    /// The DMARC record behind its version, without `rua`.
    pub dmarc: String,
}

/// What activation of a domain waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadinessSettings {
    /// The delegation at every parent server (A1, A5).
    pub delegated: bool,
    /// The DS at every parent server (A3).
    pub secured: Secured,
    /// Hosts that answer and have applied the routing (A4, A8).
    pub mail_ready: bool,
}

/// Whether activation waits for the DS at the parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secured {
    /// It does.
    Yes,
    /// For so long, then it goes on without.
    Within(Span),
    /// It does not.
    No,
}

/// How the zones of a pool are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningSettings {
    /// The algorithm of new domains' keys.
    pub algorithm: Algorithm,
    /// The TTL of DNSKEY, CDS and CDNSKEY.
    pub dnskey_ttl: Span,
    /// How long a signature is valid.
    pub lifetime: Span,
    /// How much of that is left when the zone is signed again.
    pub refresh: Span,
}

/// What the waits of a pool are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimingSettings {
    /// The guard of steps that add.
    pub guard: Span,
    /// The guard of steps that withdraw.
    pub destructive_guard: Span,
    /// The longest time a sender holds a deferred message.
    pub queue_max: Span,
    /// How long a change takes to every public server, where that cannot be observed.
    pub propagation: Span,
}

impl PoolSettings {
    /// Returns the name servers, in the order written; the first one is the SOA's MNAME.
    pub fn nameservers(&self) -> &[Target] {
        &self.nameservers
    }

    /// Returns these settings with what they would withdraw of those in effect, and which settings that
    /// is, as JSON pointers.
    pub fn keeping(&self, current: &Self) -> (Self, Vec<String>) {
        let mut kept = self.clone();
        let mut pointers = Vec::new();
        if current.subdomains && !self.subdomains {
            kept.subdomains = true;
            pointers.push("/subdomains".to_owned());
        }
        if current.mta_sts.is_some() && self.mta_sts.is_none() {
            kept.mta_sts.clone_from(&current.mta_sts);
            pointers.push("/mta_sts".to_owned());
        }
        match (&current.outbound, &mut kept.outbound) {
            (Some(old), None) => {
                kept.outbound = Some(old.clone());
                pointers.push("/outbound".to_owned());
            }
            (Some(old), Some(new)) => {
                for (selector, target) in &old.dkim {
                    if !new.dkim.contains_key(selector) {
                        new.dkim.insert(selector.clone(), target.clone());
                        pointers.push(format!("/outbound/dkim/{selector}"));
                    }
                }
            }
            (None, _) => {}
        }
        (kept, pointers)
    }

    /// Returns whether the domains send.
    pub fn sends(&self) -> bool {
        self.outbound.is_some()
    }

    /// Returns whether `*` has the MX, too.
    pub fn subdomains(&self) -> bool {
        self.subdomains
    }

    /// Returns who answers for the zones.
    pub fn hostmaster(&self) -> &Mailbox {
        &self.hostmaster
    }

    /// Returns how domains come into use and go out of it.
    pub fn life(&self) -> &LifeSettings {
        &self.life
    }

    /// Returns the mail hosts, in the order written.
    pub fn mail_hosts(&self) -> &[MailHost] {
        &self.mail_hosts
    }

    /// Returns whether an address may stand at the apex.
    pub fn allows_apex_address(&self) -> bool {
        self.apex_address == ApexAddress::Allow
    }

    /// Returns the MTA-STS policy, if there is one.
    pub fn mta_sts(&self) -> Option<&MtaSts> {
        self.mta_sts.as_ref()
    }

    /// Returns where reports go.
    pub fn reports(&self) -> &Reports {
        &self.reports
    }

    /// Returns what activation waits for.
    pub fn readiness(&self) -> &ReadinessSettings {
        &self.readiness
    }

    /// Returns how zones are signed.
    pub fn signing(&self) -> &SigningSettings {
        &self.signing
    }

    /// Returns what waits are made of.
    pub fn timing(&self) -> &TimingSettings {
        &self.timing
    }

    /// Returns the TTL of MX, hosts, TLSA and TXT.
    pub fn ttl(&self) -> Ttl {
        Ttl::from_secs(self.ttl.as_secs())
    }

    /// Returns the TTL of NS.
    pub fn ns_ttl(&self) -> Ttl {
        Ttl::from_secs(self.ns_ttl.as_secs())
    }

    /// Returns the one number of SOA TTL, SOA MINIMUM and NSEC TTL (RFC 9077, section 4).
    pub fn negative_ttl(&self) -> Ttl {
        Ttl::from_secs(self.negative_ttl.as_secs())
    }
}

impl MailHost {
    /// Returns the host's TLSA records: of every certificate and as written, each once.
    pub fn tlsa_records(&self) -> Vec<TlsaRecord> {
        let certified = self.certificates.iter().map(Certificate::tlsa);
        let mut records: Vec<TlsaRecord> = certified.chain(self.tlsa.iter().cloned()).collect();
        records.sort_unstable();
        records.dedup();
        records
    }

    /// Returns whether the pool says anything of the host beside naming it.
    pub fn has_settings(&self) -> bool {
        !(self.addresses.is_empty() && self.certificates.is_empty() && self.tlsa.is_empty())
    }
}

impl SigningSettings {
    /// Returns the TTL of DNSKEY, CDS and CDNSKEY.
    pub fn dnskey_ttl(&self) -> Ttl {
        Ttl::from_secs(self.dnskey_ttl.as_secs())
    }
}

impl ApexAddress {
    /// Every choice with its word.
    pub const WORDS: [(&'static str, Self); 2] = [("refuse", Self::Refuse), ("allow", Self::Allow)];

    /// Returns the choice's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Allow => "allow",
        }
    }
}

impl Retire {
    /// Every choice with its word.
    pub const WORDS: [(&'static str, Self); 2] = [("manual", Self::Manual), ("auto", Self::Auto)];

    /// Returns the choice's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Auto => "auto",
        }
    }
}

impl fmt::Display for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(span) => span.fmt(f),
            Self::Forever => f.write_str("forever"),
        }
    }
}

impl fmt::Display for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.write_str("yes"),
            Self::Within(span) => span.fmt(f),
            Self::No => f.write_str("no"),
        }
    }
}

impl Default for ReadinessSettings {
    /// Everything is waited for.
    fn default() -> Self {
        Self {
            delegated: true,
            secured: Secured::Yes,
            mail_ready: true,
        }
    }
}

impl Default for SigningSettings {
    /// Three weeks, renewed a week after signing: two weeks are left to repair what fails, and a
    /// secondary that is cut off lets the zone expire before its signatures do (RFC 6781,
    /// section 4.4.1).
    fn default() -> Self {
        Self {
            algorithm: Algorithm::default(),
            dnskey_ttl: Span::from_secs(3_600),
            lifetime: Span::from_secs(21 * 86_400),
            refresh: Span::from_secs(14 * 86_400),
        }
    }
}

impl Default for TimingSettings {
    /// Senders give up after four to five days (RFC 5321, section 4.5.4.1).
    fn default() -> Self {
        Self {
            guard: Span::from_secs(3_600),
            destructive_guard: Span::from_secs(24 * 3_600),
            queue_max: Span::from_secs(5 * 86_400),
            propagation: Span::from_secs(60),
        }
    }
}
