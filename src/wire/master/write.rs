//! From records to a text that every name server reads.

use crate::wire::{Name, Rdata, Rtype, Ttl};

/// Writes records as a master file, one a line, in the order given.
///
/// Names are absolute and every line is complete, so that lines may be cut out, sorted and
/// compared. Read by BIND, NSD, Knot and ldns.
pub fn write_master<'r>(
    records: impl IntoIterator<Item = (&'r Name, Rtype, Ttl, &'r Rdata)>,
) -> String {
    let mut text = String::new();
    for (owner, rtype, ttl, rdata) in records {
        let data = rdata.to_text(rtype);
        text.push_str(&format!("{owner}\t{ttl}\tIN\t{rtype}\t{data}\n"));
    }
    text
}
