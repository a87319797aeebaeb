use super::PoolSettings;
use crate::document::Fault;

/// Finds what in a pool's settings would break mail.
pub(super) fn check(_settings: &PoolSettings) -> Vec<Fault> {
    Vec::new()
}
