//! The kinds of facts, each with keys of its own.

use std::fmt;

/// A key space: keys of different spaces never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// Facts about the store itself: see [`meta`](crate::store::meta).
    Meta,
    /// Pools, by name.
    Pool,
    /// Domains of pools, by apex.
    Domain,
    /// The operator's own zones, by apex.
    Zone,
    /// Sealed signing keys, by apex.
    Key,
    /// Signed zones, by apex and version.
    SignedZone,
    /// Templates, by id.
    Template,
    /// Events, by revision.
    Event,
    /// The audit log, by a number that only grows.
    Audit,
    /// Idempotency keys of calls that were answered.
    Idempotency,
    /// Credentials of the API, by id.
    Token,
    /// Mail hosts, by name.
    Host,
    /// What is known of changes beside the audit log, by the revision that accepted them.
    Change,
    /// How often domains are asked for, by apex.
    Count,
}

impl Space {
    /// Every space.
    pub const ALL: [Self; 14] = [
        Self::Meta,
        Self::Pool,
        Self::Domain,
        Self::Zone,
        Self::Key,
        Self::SignedZone,
        Self::Template,
        Self::Event,
        Self::Audit,
        Self::Idempotency,
        Self::Token,
        Self::Host,
        Self::Change,
        Self::Count,
    ];

    /// Returns the name under which the space is stored; it never changes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Pool => "pool",
            Self::Domain => "domain",
            Self::Zone => "zone",
            Self::Key => "key",
            Self::SignedZone => "signed_zone",
            Self::Template => "template",
            Self::Event => "event",
            Self::Audit => "audit",
            Self::Idempotency => "idempotency",
            Self::Token => "token",
            Self::Host => "host",
            Self::Change => "change",
            Self::Count => "count",
        }
    }

    /// Returns the place of the space in [`Space::ALL`], which never changes either: backups
    /// carry it.
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From low keys to high ones.
    Ascending,
    /// From high keys to low ones.
    Descending,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_of_a_space_is_its_place_among_all() {
        for (index, space) in Space::ALL.into_iter().enumerate() {
            assert_eq!(space.index(), index);
        }
    }
}
