use super::PoolSettings;
use crate::document::Fault;
use crate::wire::{Serial, Ttl};
use crate::zone::{RelativeRrset, Template};

/// Renders what all domains of a pool share while they are standby, active or draining.
///
/// SOA, DNSKEY, CDS, CDNSKEY and NSEC are not in it: they differ by domain or come from signing.
/// `policy_id` is the id of the MTA-STS policy, for a pool that has one.
///
/// # Errors
///
/// What would break mail. Settings that could be read can be rendered.
pub fn render(_settings: &PoolSettings, _policy_id: Option<&str>) -> Result<Template, Vec<Fault>> {
    Template::new(Vec::new()).map_err(|error| vec![Fault::new("", error.to_string())])
}

impl PoolSettings {
    /// Returns the SOA of a domain at `serial`.
    pub fn soa(&self, _serial: Serial) -> RelativeRrset {
        unimplemented!("lands in a moment")
    }

    /// Returns the largest TTL of any RRset of the pool's zones, DNSKEY and NSEC included.
    pub fn max_ttl(&self) -> Ttl {
        self.ns_ttl()
    }
}
