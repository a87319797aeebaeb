//! SOA serials, which count in a circle.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The serial of a SOA record, in the arithmetic of RFC 1982.
///
/// It has no `Ord`: the numbers go round, so "larger" alone means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Serial(u32);

impl Serial {
    /// Takes the number as it stands in a SOA record.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Returns the number as it stands in a SOA record.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Returns whether a secondary that holds `other` would fetch this one (RFC 1982, section 3.2).
    pub const fn is_newer_than(self, other: Self) -> bool {
        let distance = self.0.wrapping_sub(other.0);
        distance != 0 && distance < 1 << 31
    }

    /// Returns the serial of the next version: one more, or today's `YYYYMMDD00` if that is newer
    /// (RFC 1912, section 2.2).
    pub const fn next(self, date_number: u32) -> Self {
        let following = Self(self.0.wrapping_add(1));
        let dated = Self::first(date_number);
        if dated.is_newer_than(following) {
            dated
        } else {
            following
        }
    }

    /// Returns the serial of a zone's first version on a day.
    pub const fn first(date_number: u32) -> Self {
        Self(date_number.wrapping_mul(100))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc1982_3_2_comparison_goes_round() {
        assert!(Serial::new(1).is_newer_than(Serial::new(0)));
        assert!(Serial::new(0).is_newer_than(Serial::new(u32::MAX)));
        assert!(!Serial::new(7).is_newer_than(Serial::new(7)));
        assert!(!Serial::new(1 << 31).is_newer_than(Serial::new(0)));
    }

    #[test]
    fn serials_follow_the_date_and_never_go_back() {
        let today = 20_261_124;

        assert_eq!(
            Serial::new(2_026_112_300).next(today),
            Serial::new(2_026_112_400)
        );
        assert_eq!(
            Serial::new(2_026_112_400).next(today),
            Serial::new(2_026_112_401)
        );
        assert_eq!(
            Serial::new(2_030_010_100).next(today),
            Serial::new(2_030_010_101)
        );
    }
}
