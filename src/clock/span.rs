//! Spans of time as users write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time as users write it: `"90s"`, `"15m"`, `"1h30m"`, `"21d"`, `"2w"`.
///
/// Whole seconds, at most 100 years: longer is a typing error, and sums of spans cannot overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u32);

/// A text that is not a span of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpanError {
    /// The text is no sequence of numbers with units.
    #[error(
        "expected a time span like \"90s\", \"15m\", \"1h30m\", \"21d\" or \"2w\", found {found:?}"
    )]
    Malformed {
        /// The text that was found.
        found: String,
    },
    /// The span is longer than [`Span::MAX`].
    #[error("expected a time span of at most 100 years, found {found:?}")]
    TooLong {
        /// The text that was found.
        found: String,
    },
}

/// The units, largest first, with their seconds.
const UNITS: [(char, u64); 5] = [
    ('w', 604_800),
    ('d', 86_400),
    ('h', 3_600),
    ('m', 60),
    ('s', 1),
];

impl Span {
    /// The longest span there is: 100 years of 365 days.
    pub const MAX: Self = Self(100 * 365 * 86_400);

    /// Returns a span of `seconds`, at most [`Span::MAX`].
    pub const fn from_secs(seconds: u32) -> Self {
        if seconds > Self::MAX.0 {
            Self::MAX
        } else {
            Self(seconds)
        }
    }

    /// Returns the whole seconds.
    pub const fn as_secs(self) -> u32 {
        self.0
    }

    /// Returns the span as the standard library's type.
    pub const fn as_duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || SpanError::Malformed {
            found: text.to_owned(),
        };
        let mut seconds: u64 = 0;
        let mut rest = text;
        if rest.is_empty() {
            return Err(malformed());
        }
        while !rest.is_empty() {
            let digits = rest
                .find(|c: char| !c.is_ascii_digit())
                .ok_or_else(malformed)?;
            let number: u64 = rest[..digits].parse().map_err(|_| malformed())?;
            let unit = rest[digits..].chars().next().ok_or_else(malformed)?;
            let (_, factor) = UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .copied()
                .ok_or_else(malformed)?;
            seconds = number
                .checked_mul(factor)
                .and_then(|part| seconds.checked_add(part))
                .ok_or_else(|| SpanError::TooLong {
                    found: text.to_owned(),
                })?;
            rest = &rest[digits + unit.len_utf8()..];
        }
        u32::try_from(seconds)
            .ok()
            .filter(|seconds| *seconds <= Self::MAX.0)
            .map(Self)
            .ok_or_else(|| SpanError::TooLong {
                found: text.to_owned(),
            })
    }
}

impl fmt::Display for Span {
    /// Writes the largest units that divide the span, so that what users wrote comes back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::from(self.0);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (name, factor) in UNITS {
            // Weeks only for whole weeks: "21d" reads better than "3w" followed by days.
            if name == 'w' && (rest % factor != 0 || rest / factor < 8) {
                continue;
            }
            if rest >= factor {
                write!(f, "{}{name}", rest / factor)?;
                rest %= factor;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_are_read_as_users_write_them() {
        assert_eq!("90s".parse(), Ok(Span(90)));
        assert_eq!("1h30m".parse(), Ok(Span(5_400)));
        assert_eq!("2w".parse(), Ok(Span(1_209_600)));
        for wrong in ["", "h", "1", "1y", "1h 30m", "-1h", "1.5h"] {
            assert!(
                matches!(wrong.parse::<Span>(), Err(SpanError::Malformed { .. })),
                "{wrong}"
            );
        }
        assert!(matches!(
            "36501d".parse::<Span>(),
            Err(SpanError::TooLong { .. })
        ));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(seconds in 0..=Span::MAX.0) {
            let span = Span(seconds);

            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }
    }
}
