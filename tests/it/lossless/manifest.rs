//! What the operator writes: his manifest and the parts of `mxpool.toml`, with times of seconds.

use std::path::Path;

use super::addresses;

/// The operator's own zone.
pub(super) const INFRA: &str = "infra.example";
/// The first mail host.
pub(super) const MX1: &str = "mx1.infra.example";
/// The second mail host.
pub(super) const MX2: &str = "mx2.infra.example";

/// Seconds that a cache may hold what the pool serves.
pub(super) const TTL: u64 = 2;

/// Returns the manifest; the certificates lie in the folder above the server's.
pub(super) fn text() -> String {
    let (mx1, mx2, ns1) = (addresses::MX1, addresses::MX2, addresses::MXPOOL);
    format!(
        r#"[zone."{INFRA}"]
records = '''
$TTL {TTL}
@    SOA  ns1 hostmaster 1 4h 1h 14d {TTL}
@    NS   ns1
ns1  A    {ns1}
'''

[pool.main]
nameservers  = ["ns1.{INFRA}."]
hostmaster   = "hostmaster@{INFRA}"
ttl          = "{TTL}s"
ns_ttl       = "{TTL}s"
negative_ttl = "{TTL}s"
active       = 4
standby      = 1
drain        = "2s"
fresh        = true

[[pool.main.mail_host]]
name         = "{MX1}."
addresses    = ["{mx1}"]
certificates = ["../{MX1}.pem"]

[[pool.main.mail_host]]
name         = "{MX2}."
addresses    = ["{mx2}"]
certificates = ["../{MX2}.pem"]

[pool.main.readiness]
delegated  = false
secured    = "no"
mail_ready = false

[pool.main.dnssec]
dnskey_ttl = "1m"

[pool.main.timing]
guard             = "1s"
destructive_guard = "2s"
queue_max         = "10s"
propagation       = "1s"
"#
    )
}

/// Returns the sections of `mxpool.toml` beside addresses and folders.
pub(super) fn settings(routing: &Path) -> String {
    format!("[routing]\nlisten = \"unix:{}\"\n", routing.display())
}
