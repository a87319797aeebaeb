use super::PoolSettings;
use crate::document::Fault;
use crate::wire::{Apex, Rdata};
use crate::zone::{RelativeRrset, Rrset};

/// What the operator wrote into one of its own zones.
#[derive(Clone, Copy, Debug)]
pub struct OperatorZone<'z> {
    /// The zone's name.
    pub apex: &'z Apex,
    /// Its RRsets, without what is derived.
    pub rrsets: &'z [RelativeRrset],
}

/// Returns what a pool's shared hosts and report addresses need in the operator's zones: A, AAAA and
/// TLSA of hosts, and the permission to send reports there (RFC 9990), whoever serves the names.
pub fn host_rrsets(_settings: &PoolSettings) -> Vec<Rrset> {
    Vec::new()
}

/// Returns what a pool's domain needs in the operator's zone above it: its NS, and its DS if any
/// are given.
pub fn delegation_rrsets(_settings: &PoolSettings, _apex: &Apex, _ds: Vec<Rdata>) -> Vec<Rrset> {
    Vec::new()
}

/// Picks of `derived` what an operator's zone must be given: what lies in it (and in no zone of
/// `zones` below it), and is not there already. Equal RRsets of several pools count once.
///
/// # Errors
///
/// One fault for each RRset that the operator wrote differently.
pub fn derive_into(
    _zone: OperatorZone<'_>,
    _zones: &[&Apex],
    _derived: &[Rrset],
) -> Result<Vec<RelativeRrset>, Vec<Fault>> {
    Ok(Vec::new())
}

/// Finds what in an operator's zone would break mail: TLSA that no sender can use, or at a wildcard.
pub fn check_zone(_zone: OperatorZone<'_>) -> Vec<Fault> {
    Vec::new()
}
