//! Which fields the data of a type has, and where its names lie.

use std::ops::Range;

use super::RdataError;
use crate::wire::{Name, Rtype};

/// A field of a record's data.
#[derive(Clone, Copy)]
enum Field {
    /// So many octets.
    Fixed(usize),
    /// A length octet and so many octets.
    Text,
    /// An uncompressed name.
    Name,
    /// One or more texts up to the end.
    Texts,
    /// Whatever is left, perhaps nothing.
    Rest,
    /// Whatever is left, at least so many octets.
    AtLeast(usize),
    /// Service parameters, keys ascending (RFC 9460, section 2.2).
    ServiceParameters,
}

/// Returns the fields of the types that we check.
///
/// The names are those of RFC 4034, section 6.2 (without NSEC and RRSIG, RFC 6840, section 5.1)
/// and the target of SVCB.
fn fields(rtype: Rtype) -> &'static [Field] {
    use Field::*;
    match rtype {
        Rtype::A => &[Fixed(4)],
        Rtype::AAAA => &[Fixed(16)],
        Rtype::NS | Rtype::MD | Rtype::MF | Rtype::CNAME | Rtype::MB | Rtype::MG | Rtype::MR => {
            &[Name]
        }
        Rtype::PTR | Rtype::DNAME => &[Name],
        Rtype::SOA => &[Name, Name, Fixed(20)],
        Rtype::MINFO | Rtype::RP => &[Name, Name],
        Rtype::MX | Rtype::AFSDB | Rtype::RT | Rtype::KX => &[Fixed(2), Name],
        Rtype::PX => &[Fixed(2), Name, Name],
        Rtype::SRV => &[Fixed(6), Name],
        Rtype::NAPTR => &[Fixed(4), Text, Text, Text, Name],
        Rtype::HINFO => &[Text, Text],
        Rtype::TXT | Rtype::SPF => &[Texts],
        Rtype::SVCB | Rtype::HTTPS => &[Fixed(2), Name, ServiceParameters],
        Rtype::CAA => &[Fixed(1), Text, Rest],
        Rtype::DS | Rtype::CDS => &[Fixed(4), AtLeast(1)],
        Rtype::DNSKEY | Rtype::CDNSKEY => &[Fixed(4), AtLeast(1)],
        Rtype::TLSA | Rtype::SMIMEA => &[Fixed(3), AtLeast(1)],
        Rtype::SSHFP => &[Fixed(2), AtLeast(1)],
        Rtype::URI => &[Fixed(4), AtLeast(1)],
        Rtype::NSEC => &[Name, Rest],
        _ => &[Rest],
    }
}

/// Checks the fields of `octets` and returns where the names that are lower-cased lie.
pub(super) fn check(rtype: Rtype, octets: &[u8]) -> Result<Vec<Range<usize>>, RdataError> {
    let malformed = |found: String| RdataError::Malformed { rtype, found };
    let mut names = Vec::new();
    let mut rest = octets;
    for field in fields(rtype) {
        rest = match field {
            Field::Fixed(length) => rest.get(*length..),
            Field::Text => split_text(rest),
            Field::Name => {
                let (_, after) = Name::split_from(rest).map_err(|e| malformed(e.to_string()))?;
                let start = octets.len() - rest.len();
                // NSEC's next name keeps its case (RFC 6840, section 5.1).
                if rtype != Rtype::NSEC {
                    names.push(start..octets.len() - after.len());
                }
                Some(after)
            }
            Field::Texts => texts_end(rest),
            Field::Rest => Some(&[][..]),
            Field::AtLeast(length) => (rest.len() >= *length).then_some(&[][..]),
            Field::ServiceParameters => parameters_end(rest),
        }
        .ok_or_else(|| malformed(format!("{} octets that end inside a field", octets.len())))?;
    }
    if !rest.is_empty() {
        return Err(malformed(format!(
            "{} octets behind the last field",
            rest.len()
        )));
    }
    Ok(names)
}

/// Returns what follows one text.
fn split_text(octets: &[u8]) -> Option<&[u8]> {
    let (&length, rest) = octets.split_first()?;
    rest.get(usize::from(length)..)
}

/// Returns the end, if one or more whole texts lead up to it.
fn texts_end(octets: &[u8]) -> Option<&[u8]> {
    let mut rest = split_text(octets)?;
    while !rest.is_empty() {
        rest = split_text(rest)?;
    }
    Some(rest)
}

/// Returns the end, if whole parameters with ascending keys lead up to it.
fn parameters_end(octets: &[u8]) -> Option<&[u8]> {
    let mut rest = octets;
    let mut last = None;
    while !rest.is_empty() {
        let (head, after) = rest.split_first_chunk::<4>()?;
        let key = u16::from_be_bytes([head[0], head[1]]);
        if last.is_some_and(|last| last >= key) {
            return None;
        }
        last = Some(key);
        rest = after.get(usize::from(u16::from_be_bytes([head[2], head[3]]))..)?;
    }
    Some(rest)
}
