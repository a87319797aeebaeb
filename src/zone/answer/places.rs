//! Where names stand in a reply, so that later ones can point at them.

use crate::wire::MAX_POINTER;
use crate::zone::layout::NameId;

/// How many names are kept: more than an answer within a datagram writes.
///
/// Room for them is cleared for every query, and looked through for every name.
const CAPACITY: usize = 32;

/// How many pointers may lead on from one name to the next.
///
/// A name that points at one that points at another is legal, but readers have limits, and so
/// has ours.
const MAX_HOPS: u8 = 6;

/// Where some names stand in a reply.
///
/// Of fixed size. A name that finds no room is only not pointed at.
pub(super) struct Places {
    /// The names.
    names: [NameId; CAPACITY],
    /// Where each stands.
    places: [Place; CAPACITY],
    /// How many there are.
    count: usize,
    /// For each remainder of a number by 64, whether there may be names of it: most that are asked
    /// for are not there.
    remainders: u64,
}

/// Where a name stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The octets in front of it, at most [`MAX_POINTER`].
    at: u16,
    /// How many pointers lead on from there.
    pub(super) hops: u8,
}

impl Place {
    /// Returns how many octets stand in front of it.
    pub(super) fn at(self) -> usize {
        self.at.into()
    }
}

impl Places {
    /// Returns that none stands anywhere.
    pub(super) fn new() -> Self {
        Self {
            names: [0; CAPACITY],
            places: [Place { at: 0, hops: 0 }; CAPACITY],
            count: 0,
            remainders: 0,
        }
    }

    /// Notes where a name stands from which no pointer leads on, if a pointer can name the place and
    /// there is room.
    pub(super) fn note(&mut self, name: NameId, at: usize) {
        if at > MAX_POINTER {
            return;
        }
        if let (Some(free), Some(place)) = (
            self.names.get_mut(self.count),
            self.places.get_mut(self.count),
        ) {
            *free = name;
            *place = Place {
                at: at as u16,
                hops: 0,
            };
            self.count += 1;
            self.remainders |= 1 << (name % 64);
        }
    }

    /// Returns where a name stands.
    pub(super) fn find(&self, name: NameId) -> Option<Place> {
        if self.remainders >> (name % 64) & 1 == 0 {
            return None;
        }
        let mut names = self.names[..self.count].iter();
        let at = names.position(|known| *known == name)?;
        Some(self.places[at])
    }

    /// Returns how many names are noted.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Says of the names from `first` on that so many pointers lead on from them; forgets them if
    /// these are too many.
    pub(super) fn settle(&mut self, first: usize, hops: u8) {
        if hops > MAX_HOPS {
            self.forget(first);
        }
        for place in &mut self.places[first..self.count] {
            place.hops = hops;
        }
    }

    /// Forgets the names from `first` on, which were taken back.
    pub(super) fn forget(&mut self, first: usize) {
        self.count = first;
    }
}
