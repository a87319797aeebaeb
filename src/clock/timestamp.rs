//! Moments, and their two forms: seconds and RFC 3339.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment, in whole seconds since 1970-01-01T00:00:00 UTC.
///
/// Seconds are what DNSSEC counts in (RFC 4034, section 3.1.5); nothing here needs finer ones.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp(u64);

/// A text that is not a moment in RFC 3339 form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("expected a time like 2026-11-24T16:30:00Z, found {found:?}")]
pub struct TimestampError {
    /// The text that was found.
    pub found: String,
}

impl Timestamp {
    /// Returns the moment `seconds` after the epoch.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Returns the seconds since the epoch.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// Returns the 32-bit form that RRSIG carries, modulo 2^32 (RFC 4034, section 3.1.5).
    pub const fn to_rrsig_time(self) -> u32 {
        self.0 as u32
    }

    /// Returns the moment that the 32-bit `rrsig` means, read as the one nearest to `self`.
    pub const fn nearest_rrsig_time(self, rrsig: u32) -> Self {
        let distance = rrsig.wrapping_sub(self.0 as u32) as i32;
        Self(self.0.saturating_add_signed(distance as i64))
    }

    /// Returns the moment `span` earlier, or the epoch if that is later.
    pub const fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.as_secs()))
    }

    /// Returns the moment `span` later, or the last one there is.
    pub const fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_secs()))
    }

    /// Returns how long `earlier` lies back, zero if it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    /// Returns the date as the number `YYYYMMDD`, as SOA serials like it (RFC 1912, section 2.2).
    pub fn date_number(self) -> u32 {
        let date = self.to_date_time().date();
        date.year().unsigned_abs() * 10_000
            + u32::from(u8::from(date.month())) * 100
            + u32::from(date.day())
    }

    /// Returns the calendar form, capped at the end of the year 9999.
    fn to_date_time(self) -> OffsetDateTime {
        // 253402300799 is 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
        let seconds = self.0.min(253_402_300_799);
        OffsetDateTime::from_unix_timestamp(seconds as i64)
            .expect("capped at the year 9999, which `time` can hold")
    }
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339 in UTC, as the API shows times.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self
            .to_date_time()
            .format(&Rfc3339)
            .map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || TimestampError {
            found: text.to_owned(),
        };
        let parsed = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| error())?;
        u64::try_from(parsed.unix_timestamp())
            .map(Self)
            .map_err(|_| error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_and_read_in_rfc_3339() {
        let moment = Timestamp::from_secs(1_795_537_800);

        assert_eq!(moment.to_string(), "2026-11-24T16:30:00Z");
        assert_eq!("2026-11-24T16:30:00Z".parse(), Ok(moment));
        assert_eq!("2026-11-24T17:30:00+01:00".parse(), Ok(moment));
        assert_eq!(moment.date_number(), 20_261_124);
    }

    #[test]
    fn an_rrsig_time_beyond_2106_is_read_as_the_nearest_moment() {
        let now = Timestamp::from_secs((1 << 32) - 10);
        let expiration = now.saturating_add(Duration::from_secs(100));

        assert_eq!(
            now.nearest_rrsig_time(expiration.to_rrsig_time()),
            expiration
        );
    }
}
