use super::{IncludeSource, MasterError, Place};
use crate::wire::{Name, Rdata, Rtype, Ttl};

/// A record as a master file has it, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterRecord {
    /// Where it stands.
    pub place: Place,
    /// The owner name.
    pub owner: Name,
    /// The type.
    pub rtype: Rtype,
    /// The TTL: its own, that of `$TTL`, the last one stated, or the caller's default.
    pub ttl: Ttl,
    /// The data.
    pub rdata: Rdata,
}

/// Reads a master file and all that it includes.
///
/// # Errors
///
/// Returns everything that is wrong, in the order of the text.
pub fn parse_master(
    _text: &str,
    _file: Option<&str>,
    _origin: &Name,
    _default_ttl: Ttl,
    _includes: &dyn IncludeSource,
) -> Result<Vec<MasterRecord>, Vec<MasterError>> {
    Ok(Vec::new())
}
