//! Records of one owner and type, under absolute names.

use std::fmt;

use crate::wire::{Name, Rdata, Rtype, Ttl, write_master};

/// What an RRset is found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RrsetKey {
    /// The owner name.
    pub owner: Name,
    /// The type.
    pub rtype: Rtype,
}

/// The records of one owner and type: one TTL, canonical order, none twice.
///
/// (RFC 2181, sections 5 and 5.2; RFC 4034, section 6.3.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rrset {
    /// The owner name.
    owner: Name,
    /// The type.
    rtype: Rtype,
    /// The TTL of every record.
    ttl: Ttl,
    /// The data of the records, sorted; at least one.
    rdatas: Vec<Rdata>,
}

impl Rrset {
    /// Makes an RRset out of its records' data, in any order; duplicates are dropped.
    ///
    /// Returns `None` without any data: an empty RRset does not exist.
    pub fn new(owner: Name, rtype: Rtype, ttl: Ttl, mut rdatas: Vec<Rdata>) -> Option<Self> {
        rdatas.sort_unstable();
        rdatas.dedup();
        (!rdatas.is_empty()).then_some(Self {
            owner,
            rtype,
            ttl,
            rdatas,
        })
    }

    /// Returns the owner name.
    pub fn owner(&self) -> &Name {
        &self.owner
    }

    /// Returns the type.
    pub fn rtype(&self) -> Rtype {
        self.rtype
    }

    /// Returns the TTL.
    pub fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// Returns the data of the records, in canonical order.
    pub fn rdatas(&self) -> &[Rdata] {
        &self.rdatas
    }

    /// Returns what the RRset is found by.
    pub fn key(&self) -> RrsetKey {
        RrsetKey {
            owner: self.owner.clone(),
            rtype: self.rtype,
        }
    }
}

impl fmt::Display for Rrset {
    /// Writes the records as a master file has them, one a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.rdatas.iter();
        let records = records.map(|rdata| (&self.owner, self.rtype, self.ttl, rdata));
        f.write_str(write_master(records).trim_end())
    }
}
